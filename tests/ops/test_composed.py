"""A walk over the composed functions of `ops` and `functional`: values in all argument forms, and two derivatives.

A new function needs one line in FUNCTIONS of its chapter in tests/domains/.
"""

from operator import attrgetter

import numpy as np
import pytest
from domains import FUNCTIONS, REFERENCES
from finite_differences import check, check_dtype, check_routes, flat, joined, ours
from hypothesis import assume, given, settings, strategies as st
from strategies import (
    arrays,
    as_function,
    full_nd,
    indices,
    is_variable,
    shapes,
    variables,
)

import tinygrad_edu
from tinygrad_edu import Tensor, functional, linalg, ops
from tinygrad_edu.engine import REGISTRY

every_function = pytest.mark.parametrize("name", sorted(FUNCTIONS))
few = settings(max_examples=8)


def numpys(name):
    """NumPy's function of that name, or what stands in for it."""
    return REFERENCES.get(name) or attrgetter(name)(np)


def test_every_function_has_a_domain_and_every_domain_a_function():
    ruled = {op.call for op in REGISTRY.values()}
    names = {*ops.__all__, *functional.__all__} & {*dir(tinygrad_edu), *FUNCTIONS} - {"linalg"}
    names |= {f"linalg.{name}" for name in linalg.__all__}
    composed = {name for name in names if ours(name) not in ruled}
    missing, stale = composed - FUNCTIONS.keys(), FUNCTIONS.keys() - composed
    assert not missing, f"add a line to FUNCTIONS in tests/domains/ for: {', '.join(sorted(missing))}"
    assert not stale, f"there are domains without a function: {', '.join(sorted(stale))}"


@every_function
@given(data=st.data())
@few
def test_values_are_numpys(name, data):
    args, kwargs = data.draw(FUNCTIONS[name])
    expected = numpys(name)(*args, **kwargs)
    plain = ours(name)(*args, **kwargs)
    f, xs = as_function(ours(name), args, kwargs)
    out = f(*map(Tensor, xs))
    assert isinstance(out, (list, tuple)) == isinstance(expected, (list, tuple))
    for e, p, t in zip(flat(expected), flat(plain), flat(out), strict=True):
        assert not isinstance(p, Tensor) and (type(t) is Tensor) == is_variable(np.asarray(e)[()])
        for values in (p, getattr(t, "_values", t)):
            np.testing.assert_allclose(values, e, rtol=1e-12, atol=1e-13)
            assert np.shape(values) == np.shape(e) and np.asarray(values).dtype == np.asarray(e).dtype


@every_function
@given(data=st.data())
@few
def test_first_and_second_derivatives(name, data):
    f, xs = as_function(joined(ours(name)), *data.draw(FUNCTIONS[name]))
    check(f, *xs)


@every_function
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@given(data=st.data())
@settings(max_examples=4)
def test_dtype_is_kept(name, dtype, data):
    if dtype is np.float16 and (name.startswith("linalg.") or name == "polyfit"):
        pytest.skip("NumPy has no linear algebra of float16")
    if name == "partition":
        pytest.skip("NumPy leaves the others in an order that depends on the dtype")
    if name == "float_power":
        pytest.skip("float_power computes in float64")
    args, kwargs = data.draw(FUNCTIONS[name])
    check_dtype(*as_function(joined(ours(name)), args, kwargs), dtype)


@every_function
@given(data=st.data())
@settings(max_examples=4)
def test_numpys_function_and_the_method_agree(name, data):
    args, kwargs = data.draw(FUNCTIONS[name])
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
    with pytest.raises(TypeError, match="multiply: some entries are masked"):
        Tensor([1.0, 2.0]) * np.ma.array([1.0, 2.0], mask=[True, False])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bias_does_not_widen_the_output(dtype):
    x, weight, bias = Tensor(np.ones((2, 3)), dtype=np.float32), np.ones((1, 3), np.float32), np.ones(4, dtype)
    for linear in (ops.fused.linear, functional.linear):
        with pytest.raises(
            ValueError, match=r"linear: weight of shape \(1, 3\) and bias of shape \(4,\); they must be"
        ):
            linear(x, weight, bias)


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
