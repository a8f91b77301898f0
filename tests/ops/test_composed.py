"""A walk over the composed functions of `ops` and `functional`: values in all argument forms, and two derivatives.

A new function needs one line in DOMAINS: a strategy for (arguments, keyword arguments), away from kinks.
"""

import math
from operator import attrgetter

import numpy as np
import pytest
from domains import FUNCTIONS, REFERENCES as FUNCTION_REFERENCES
from finite_differences import check, check_dtype, check_routes, flat
from hypothesis import assume, given, settings, strategies as st
from loss_domains import LOSSES, REFERENCES as LOSS_REFERENCES
from op_domains import one
from strategies import (
    arrays,
    as_function,
    axes_of,
    axis_of,
    drawn,
    einsums,
    full,
    full_nd,
    indices,
    is_variable,
    pairs,
    products,
    several,
    shapes,
    spaced,
    variables,
    with_axis,
)

import tinygrad_edu
from tinygrad_edu import Tensor, functional, linalg, ops
from tinygrad_edu.engine import REGISTRY

matrices = arrays(st.tuples(*[st.integers(1, 3)] * 2) | st.tuples(*[st.integers(1, 3)] * 3))
dots = products | pairs.map(lambda s: (s[0], ())) | st.sampled_from([((2, 3), (2, 3, 1)), ((3,), (2, 3, 2)), ((), ())])


def with_diagonal(shape):
    """Keyword arguments of diagonal and trace."""
    axes = st.permutations([-1, 0, 1] if len(shape) > 2 else [0, 1])
    return st.tuples(axes, st.integers(-2, 2)).map(lambda a: {"offset": a[1], "axis1": a[0][0], "axis2": a[0][1]})


@st.composite
def lists(draw, equal=False):
    """((arrays,), {"axis": axis}) to join."""
    shape = draw(full_nd)
    n, axis = draw(st.integers(1, 3)), draw(axis_of(shape))
    if equal:
        axis = draw(st.integers(-len(shape) - 1, len(shape)))
        return ([draw(arrays(shape)) for _ in range(n)],), {"axis": axis}
    lengths = [draw(st.integers(0, 3)) for _ in range(n)]
    parts = [draw(arrays((*shape[: axis % len(shape)], m, *shape[axis % len(shape) :][1:]))) for m in lengths]
    return (parts,), {"axis": draw(st.sampled_from([axis, None]))}


@st.composite
def squeezed(draw):
    """An array with axes of length 1, and none, one or several of them."""
    shape = draw(full)
    places = [i - len(shape) * (i % 2) for i, n in enumerate(shape) if n == 1]
    axis = draw(st.sampled_from([None, *places, tuple(places)]))
    return (draw(arrays(shape)),), {"axis": axis}


@st.composite
def moved(draw):
    """Source and destination as numbers or as sequences."""
    shape = draw(full_nd)
    if draw(st.booleans()):
        return (draw(arrays(shape)), draw(axis_of(shape)), draw(axis_of(shape))), {}
    order = draw(st.permutations(range(len(shape))))
    return (draw(arrays(shape)), tuple(range(len(shape))), tuple([k - len(shape) for k in order])), {}


@st.composite
def padded(draw):
    """pad_width in all its forms."""
    shape, width = draw(full_nd), st.integers(0, 2)
    pair = st.tuples(width, width)
    form = draw(st.sampled_from([width, pair, st.tuples(pair), st.tuples(*[pair] * len(shape))]))
    return (draw(arrays(shape)), draw(form)), {"constant_values": draw(st.sampled_from([0, 1.5]))}


@st.composite
def repeated(draw):
    """One number of repeats, or one per element."""
    x = draw(arrays(full))
    axis = draw(st.none() | axis_of(x.shape)) if x.ndim else None
    n = x.size if axis is None else x.shape[axis]
    return (x, draw(st.integers(0, 3) | st.lists(st.integers(0, 2), min_size=n, max_size=n))), {"axis": axis}


@st.composite
def rolled(draw):
    """Shifts of one axis, of several, or of the flattened array."""
    x = draw(arrays(full))
    axis = draw(axes_of(x.shape))
    shift = st.integers(-4, 4)
    return (x, draw(st.tuples(*[shift] * len(axis)) if isinstance(axis, tuple) else shift)), {"axis": axis}


@st.composite
def parted(draw):
    """Sections or places to split at."""
    shape = draw(full_nd)
    axis = draw(axis_of(shape))
    sections = st.sampled_from([1, shape[axis], [1], [0, 2], [1, 1, 5], []])
    return (draw(arrays(shape)), draw(sections)), {"axis": axis}


@st.composite
def limited(draw):
    """Limits by position and by name, as numbers, arrays or nothing."""
    x = draw(spaced(full))
    low, high = draw(st.sampled_from([(-0.8, 0.8), (None, 0.4), (0.0, None)]))
    array = np.full(x.shape, -0.4)
    return draw(st.sampled_from([((x, low, high), {}), ((x,), {"a_min": low, "a_max": high}), ((x, array, high), {})]))


@st.composite
def dense(draw):
    """x, weight and perhaps a bias."""
    *lead, inputs = draw(full_nd)
    outputs = draw(st.integers(1, 3))
    bias = draw(st.none() | arrays((outputs,)))
    return (draw(arrays((*lead, inputs))), draw(arrays((outputs, inputs))), bias), {}


@st.composite
def sloped(draw):
    """An array, with one slope for all or one for each channel."""
    x = draw(spaced(shapes))
    channels = [(x.shape[1],)] if x.ndim > 1 else []
    return (x, draw(arrays(st.sampled_from([(), (1,), *channels]), low=0.1))), {}


def gelu(x, approximate):
    """From the definitions."""
    if approximate == "none":
        return x / 2 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def prelu(x, weight):
    """From the definition, with the channels moved to the end."""
    channels_last = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    out = np.where(channels_last > 0, channels_last, channels_last * (weight if x.ndim > 1 else weight.reshape(())))
    return np.moveaxis(out, -1, 1) if x.ndim > 1 else out


DOMAINS = LOSSES | {
    "clip": limited(),
    "concatenate": lists(),
    "copy": one,
    "diagonal": matrices.flatmap(lambda x: st.tuples(st.just((x,)), with_diagonal(x.shape))),
    "dot": st.tuples(several(dots), st.just({})),
    "elu": drawn(spaced(), alpha=lambda shape: st.sampled_from([1.0, 0.3])),
    "einsum": einsums().map(lambda case: ((case[1], *case[0]), {})),
    "flatten": one,
    "flip": drawn(arrays(), axis=axes_of),
    "gelu": drawn(arrays(), approximate=lambda shape: st.sampled_from(["none", "tanh"])),
    "linear": dense(),
    "logsumexp": with_axis(arrays(full), keepdims=True, several=True),
    "moveaxis": moved(),
    "outer": st.tuples(several(), st.just({})),
    "pad": padded(),
    "prelu": sloped(),
    "ravel": one,
    "repeat": repeated(),
    "roll": rolled(),
    "silu": one,
    "softmax": with_axis(arrays(full_nd)),
    "sort": with_axis(spaced(full_nd), optional=True),
    "split": parted(),
    "square": one,
    "squeeze": squeezed(),
    "stack": lists(equal=True),
    "swapaxes": arrays(full_nd).flatmap(
        lambda x: st.tuples(st.tuples(st.just(x), *[axis_of(x.shape)] * 2), st.just({}))
    ),
    "tile": drawn(arrays(), reps=lambda shape: st.sampled_from([2, 0, (2,), (1, 2), (2, 1, 1, 2)])),
    "trace": matrices.flatmap(lambda x: st.tuples(st.just((x,)), with_diagonal(x.shape))),
    "tril": drawn(arrays(full_nd), k=lambda shape: st.integers(-2, 2)),
    "triu": drawn(arrays(full_nd), k=lambda shape: st.integers(-2, 2)),
}


REFERENCES = LOSS_REFERENCES | {
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "flatten": np.ravel,
    "gelu": gelu,
    "linear": lambda x, weight, bias: np.matmul(x, weight.T) + (0 if bias is None else bias),
    "logsumexp": lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
    "prelu": prelu,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": lambda x, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True),
}
DOMAINS |= FUNCTIONS
REFERENCES |= FUNCTION_REFERENCES
every_function = pytest.mark.parametrize("name", sorted(DOMAINS))
few = settings(max_examples=8)


def ours(name):
    """The function of the package, also "linalg.norm"."""
    return attrgetter(name)(tinygrad_edu)


def numpys(name):
    """NumPy's function of that name, or what stands in for it."""
    return REFERENCES.get(name) or attrgetter(name)(np)


def joined(function):
    """The function with several results joined to one, so that its derivatives can be checked."""

    def f(*args, **kwargs):
        out = [x for x in flat(function(*args, **kwargs)) if isinstance(x, Tensor) or is_variable(np.asarray(x)[()])]
        return out[0] if len(out) == 1 else tinygrad_edu.concatenate(out, None)

    return f


def test_every_function_has_a_domain_and_every_domain_a_function():
    ruled = {op.call for op in REGISTRY.values()}
    names = {*ops.__all__, *functional.__all__} & set(dir(tinygrad_edu)) - {"linalg"}
    names |= {f"linalg.{name}" for name in linalg.__all__}
    composed = {name for name in names if ours(name) not in ruled}
    missing, stale = composed - DOMAINS.keys(), DOMAINS.keys() - composed
    assert not missing, f"add a line to FUNCTIONS in tests/domains/ for: {', '.join(sorted(missing))}"
    assert not stale, f"there are domains without a function: {', '.join(sorted(stale))}"


@every_function
@given(data=st.data())
@few
def test_values_are_numpys(name, data):
    args, kwargs = data.draw(DOMAINS[name])
    expected = numpys(name)(*args, **kwargs)
    plain = ours(name)(*args, **kwargs)
    f, xs = as_function(ours(name), args, kwargs)
    out = f(*map(Tensor, xs))
    assert isinstance(out, (list, tuple)) == isinstance(expected, (list, tuple))
    for e, p, t in zip(flat(expected), flat(plain), flat(out), strict=True):
        assert not isinstance(p, Tensor) and (type(t) is Tensor) == is_variable(np.asarray(e)[()])
        for values in (p, getattr(t, "_data", t)):
            np.testing.assert_allclose(values, e, rtol=1e-12, atol=1e-13)
            assert np.shape(values) == np.shape(e) and np.asarray(values).dtype == np.asarray(e).dtype


@every_function
@given(data=st.data())
@few
def test_first_and_second_derivatives(name, data):
    f, xs = as_function(joined(ours(name)), *data.draw(DOMAINS[name]))
    check(f, *xs)


@every_function
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@given(data=st.data())
@settings(max_examples=4)
def test_dtype_is_kept(name, dtype, data):
    if dtype is np.float16 and (name.startswith("linalg.") or name == "polyfit"):
        pytest.skip("NumPy has no linear algebra of float16")
    if name == "float_power":
        pytest.skip("float_power computes in float64")
    args, kwargs = data.draw(DOMAINS[name])
    check_dtype(*as_function(joined(ours(name)), args, kwargs), dtype)


@every_function
@given(data=st.data())
@settings(max_examples=4)
def test_numpys_function_and_the_method_agree(name, data):
    args, kwargs = data.draw(DOMAINS[name])
    assume(variables(args))
    check_routes(name, args, kwargs)


@given(x=arrays(full_nd))
def test_lists_and_numbers_are_taken(x):
    for function in (functional.var, functional.sort, functional.ravel, functional.logsumexp):
        np.testing.assert_array_equal(function(x.tolist()), function(x))
    t = Tensor(x)
    np.testing.assert_array_equal((t + x.tolist()).data, x + x)


@given(data=st.data())
def test_indexing_by_tensor_method(data):
    x = data.draw(arrays(shapes))
    index = data.draw(indices(x.shape))
    np.testing.assert_array_equal(Tensor(x)[index].data, x[index], strict=True)


EINSUM_REFUSALS = [
    ("ii->i", [(1, 2)], "index 'i' stands for lengths 1 and 2"),
    ("ij,jj", [(2, 2), (2, 3)], "index 'j' stands for lengths 2 and 3"),
    ("ij->i", [(2, 2, 2)], "'ij' has 2 indices for an operand of 3 axes"),
    ("...ijk->...", [(2, 2)], "indices for an operand of 2 axes"),
    ("......", [(2,)], "2 indices for an operand of 1 axes"),
    ("i->->i", [(2,)], "einsum"),
    ("i..->i", [(2, 1, 1)], "einsum"),
    ("ij,jk", [(2, 2)], "2 terms for 1 operands"),
    ("i", [(2,), (2,)], "1 terms for 2 operands"),
    ("ij->i", [(2,)], "einsum"),
    ("ij,jk->ik", [(2, 3), (2, 3)], "einsum"),
    ("ij->k", [(2, 3)], "einsum"),
    ("i->ii", [(3,)], "einsum"),
    ("...i->i", [(2, 3)], "ellipsis"),
    ("i$->i", [(3, 2)], "einsum"),
]


@pytest.mark.parametrize("subscripts, shapes, message", EINSUM_REFUSALS)
def test_einsum_refuses(subscripts, shapes, message):
    with pytest.raises(ValueError, match=message.replace("$", "")):
        functional.einsum(subscripts, *[Tensor(np.ones(s)) for s in shapes])


def test_equal_elements_share_nothing_in_sort():
    x = Tensor([2.0, 1.0, 2.0, 1.0])
    (x.sort() * np.array([1.0, 2, 3, 4])).sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 1, 4, 2])


def test_clip_at_the_limits_passes_all_of_the_gradient():
    x = Tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    x.clip(-1, 1).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 1, 1, 0])
    x.clip(min=-1).sum().backward()
    x.clip(max=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 3, 3, 3, 1])


def test_logsumexp_of_infinite_and_huge_numbers():
    x = Tensor([[-np.inf, 0.0], [1e4, 1e4], [-1e4, -1e4]])
    out = x.logsumexp(axis=1)
    np.testing.assert_allclose(out.data, [0, 1e4 + np.log(2), -1e4 + np.log(2)])
    out.sum().backward()
    np.testing.assert_allclose(x.grad, [[0, 1], [0.5, 0.5], [0.5, 0.5]])


def test_einsum_that_broadcasts_a_length_of_one():
    x, y = Tensor([[2.0], [3.0]]), Tensor([1.0, 10.0, 100.0])
    out = np.einsum("ij,j->i", x, y)
    np.testing.assert_array_equal(out.data, [222.0, 333.0])
    out.sum().backward()
    np.testing.assert_array_equal(x.grad, [[111.0], [111.0]])
    np.testing.assert_array_equal(y.grad, [5.0, 5.0, 5.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.flip(x, 7),
        lambda x: np.flip(x, (0, 0)),
        lambda x: np.repeat(x, 2, axis=4),
        lambda x: np.swapaxes(x, 0, 5),
        lambda x: np.split(x, 2, axis=3),
        lambda x: np.sort(x, axis=2),
    ],
)
def test_axes_that_are_not_there(call):
    with pytest.raises((ValueError, IndexError), match=r"axis|out of range"):
        call(Tensor(np.ones((2, 2))))


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="multiply: masked_array"):
        Tensor([1.0, 2.0]) * np.ma.array([1.0, 2.0], mask=[True, False])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bias_does_not_widen_the_output(dtype):
    with pytest.raises(ValueError, match=rf"linear of .*{np.dtype(dtype)}: .*broadcast"):
        functional.linear(Tensor(np.ones((2, 3)), dtype=np.float32), np.ones((1, 3), np.float32), np.ones(4, dtype))


def test_numpys_own_keywords():
    x = Tensor([[3.0, 1.0], [2.0, 4.0]])
    assert np.sum(a=x, axis=0).data.tolist() == [5.0, 5.0]
    assert np.pad(array=x, pad_width=1).shape == (4, 4)
    assert np.sort(x, kind="stable").data.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    out = np.einsum("ij,jk,kl->il", x, x, x, optimize=True)
    np.testing.assert_allclose(out.data, x.data @ x.data @ x.data)
    out.sum().backward()
    assert x.grad.shape == (2, 2)
    with pytest.raises(ValueError, match="clip: a limit is given twice"):
        functional.clip(x, 0, 1, min=0.5)
    assert functional.copy(np.array([1, 2])).dtype == int
