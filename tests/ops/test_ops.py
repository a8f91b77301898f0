"""A walk over the registry: every op is checked against NumPy and finite differences on a domain of its own.

A new op needs one line in DOMAINS: a strategy for (operands, parameters), away from kinks. What NumPy does not have
under the op's name can have a line in REFERENCES too.
"""

import math

import numpy as np
import pytest
from finite_differences import check, check_dtype, check_routes
from hypothesis import assume, given, settings, strategies as st
from strategies import (
    arrays,
    as_function,
    convolutions,
    drawn,
    einsums,
    full,
    full_nd,
    generators,
    images,
    indices,
    is_variable,
    pairs,
    products,
    several,
    shapes,
    spaced,
    triples,
    with_axis,
)

import tinygrad_edu
from tinygrad_edu import Tensor, op
from tinygrad_edu.engine import REGISTRY

one = st.tuples(st.tuples(arrays()), st.just({}))
positive = st.tuples(st.tuples(arrays(low=0.5)), st.just({}))
kinked = st.tuples(st.tuples(spaced()), st.just({}))
two = st.tuples(several(), st.just({}))
two_kinked = st.tuples(pairs.flatmap(lambda s: st.tuples(spaced(s[0]), spaced(s[1], offset=0.2))), st.just({}))


def masked(shapes):
    """A mask and two arrays."""
    return st.tuples(
        generators.map(lambda rng: rng.uniform(size=shapes[0]) < 0.5), arrays(shapes[1]), arrays(shapes[2])
    )


def constant_exponents(x):
    """An array and a Python exponent."""
    return st.tuples(st.just(x), st.sampled_from([2, 3, -1, 0, 1, 0.5, -1.5, 2.0]))


def reshaped(shape):
    """Shapes of as many elements."""
    n = int(np.prod(shape))
    return st.sampled_from([n, (n,), (1, n), (n, 1), tuple(shape[::-1]), (*shape[:1], -1) if n else tuple(shape)])


def widened(shape):
    """Shapes to broadcast to."""
    return st.sampled_from([shape, (2, *shape), tuple([3 if n == 1 else n for n in shape]), (2, 1, *shape)])


def inserted(shape):
    """Places for new axes."""
    return st.integers(-len(shape) - 1, len(shape)) | st.sampled_from([(0, -1), (1, 0), (-2,) if shape else (0,)])


def orders(shape):
    """Permutations of the axes, some counted from the end."""
    order = st.permutations(range(len(shape)))
    return st.none() | order.map(lambda k: tuple(k)) | order.map(lambda k: [i - len(shape) for i in k])


@st.composite
def scattered(draw):
    """What getitem would take from an array of a drawn shape, to be put back."""
    shape = draw(shapes)
    index = draw(indices(shape))
    x = draw(arrays(np.zeros(shape)[index].shape))
    return (x,), {"index": index, "shape": shape}


@st.composite
def sequences(draw):
    """Arrays that differ in length along one axis, or in shape where axis is None."""
    axis = draw(st.none() | st.integers(-2, 1))
    n = draw(st.integers(1, 3))
    if axis is None:
        return tuple([draw(arrays(shapes)) for _ in range(n)]), {"axis": None}
    lengths = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return tuple([draw(arrays((m, 2) if axis % 2 == 0 else (2, m))) for m in lengths]), {"axis": axis}


@st.composite
def dense(draw):
    """x, weight and bias of a linear layer."""
    *lead, inputs = draw(full_nd)
    outputs = draw(st.integers(1, 3))
    bias = draw(st.sampled_from([(), (outputs,)]))
    return (draw(arrays((*lead, inputs))), draw(arrays((outputs, inputs))), draw(arrays(bias))), {}


@st.composite
def classified(draw):
    """Logits, with labels, or with weights that need not add up to 1."""
    shape = draw(full_nd)
    logits, rng = draw(arrays(shape)), draw(generators)
    labels = rng.integers(0, shape[-1], shape[:-1])
    return logits, np.asarray(labels) if draw(st.booleans()) else rng.uniform(0, 1, shape)


DOMAINS = {
    "astype": drawn(arrays(), dtype=lambda shape: st.sampled_from([np.float64, "float64", np.longdouble])),
    "negative": one,
    "sqrt": positive,
    "exp": one,
    "expm1": one,
    "log": positive,
    "log1p": positive,
    "abs": kinked,
    "sin": one,
    "cos": one,
    "tanh": one,
    "sigmoid": one,
    "relu": kinked,
    "leaky_relu": drawn(spaced(), negative_slope=lambda shape: st.sampled_from([0.01, 0.5])),
    "softplus": one,
    "erf": one,
    "clamped_log": positive,
    "clamped_log1p": positive,
    "add": two,
    "subtract": two,
    "multiply": two,
    "divide": drawn(pairs.flatmap(lambda s: st.tuples(arrays(s[0]), arrays(s[1], low=0.5)))),
    "power": drawn(several(low=0.5) | arrays(low=0.5).flatmap(constant_exponents)),
    "maximum": two_kinked,
    "minimum": two_kinked,
    "where": drawn(triples.flatmap(masked)),
    "sum": with_axis(keepdims=True, several=True),
    "mean": with_axis(arrays(full), keepdims=True, several=True),
    "max": with_axis(spaced(full), keepdims=True, several=True),
    "min": with_axis(spaced(full), keepdims=True, several=True),
    "prod": with_axis(arrays() | spaced().map(np.trunc), keepdims=True, several=True),
    "log_softmax": with_axis(arrays(full_nd)),
    "cumsum": with_axis(arrays(), optional=True),
    "reshape": drawn(arrays(), shape=reshaped),
    "expand_dims": drawn(arrays(), axis=inserted),
    "broadcast_to": drawn(arrays(), shape=widened),
    "transpose": drawn(arrays(), axes=orders),
    "getitem": drawn(arrays(), index=indices),
    "scatter": scattered(),
    "concatenate": sequences(),
    "matmul": drawn(several(products)),
    "linear": dense(),
    "einsum": einsums(explicit=True).map(lambda case: (case[0], {"subscripts": case[1]})),
    "cross_entropy": drawn(classified(), reduction=lambda shape: st.sampled_from(["mean", "sum", "none"])),
    "cross_entropy_slope": drawn(classified()),
    "windows": images(),
    "fold": images(folded=True),
    "max_pool": images(spaced),
    "mean_pool": images(),
    "conv2d": convolutions(),
    "conv2d_input": convolutions("x"),
    "conv2d_weight": convolutions("weight"),
}


def scatter(x, index, shape):
    """Zeros with x added at index, by NumPy's unbuffered add."""
    out = np.zeros(shape)
    np.add.at(out, index, x)
    return out


def cross_entropy(logits, target, reduction):
    """From the definition."""
    logarithms = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    p = target if target.ndim == logits.ndim else np.eye(logits.shape[-1])[target]
    losses = -(p * logarithms).sum(-1)
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def cross_entropy_slope(logits, target):
    """Softmax, times the total weight, less the weights."""
    p = target if target.ndim == logits.ndim else np.eye(logits.shape[-1])[target]
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) * p.sum(-1, keepdims=True) - p


def each_window(x, size, stride):
    """The windows one by one: (n, c, rows, columns, *size)."""
    rows = [range(0, n - k + 1, s) for n, k, s in zip(x.shape[2:], size, stride, strict=True)]
    return np.stack([np.stack([x[:, :, i : i + size[0], j : j + size[1]] for j in rows[1]], 2) for i in rows[0]], 2)


def fold(x, size, stride, shape):
    """Every window added at its place."""
    out = np.zeros(shape)
    for i, j in np.ndindex(*x.shape[2:4]):
        top, left = i * stride[0], j * stride[1]
        out[:, :, top : top + size[0], left : left + size[1]] += x[:, :, i, j]
    return out


def conv2d(x, weight, *bias, stride, padding):
    """The sum of each window times each kernel, and the bias."""
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    out = np.einsum("ncijab,ocab->noij", each_window(x, weight.shape[2:], stride), weight)
    return out + bias[0][:, None, None] if bias else out


def conv2d_input(y, weight, stride, padding, shape):
    """Every kernel, as often as y says, at its place, and the border cut off."""
    whole = (*shape[:2], *[n + 2 * p for n, p in zip(shape[2:], padding, strict=True)])
    out = fold(np.einsum("noij,ocab->ncijab", y, weight), weight.shape[2:], stride, whole)
    return out[:, :, padding[0] : padding[0] + shape[2], padding[1] : padding[1] + shape[3]]


def conv2d_weight(x, y, stride, padding, shape):
    """Every window, as often as y says."""
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    return np.einsum("ncijab,noij->ocab", each_window(x, shape[2:], stride), y)


REFERENCES = {
    "astype": lambda x, dtype: np.asarray(x).astype(dtype),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "erf": lambda x: np.vectorize(math.erf, otypes=[float])(x)[()],
    "clamped_log": np.log,
    "clamped_log1p": np.log1p,
    "log_softmax": lambda x, axis: x - np.log(np.exp(x).sum(axis, keepdims=True)),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "getitem": lambda x, index: np.asarray(x)[index],
    "scatter": scatter,
    "concatenate": lambda *arrays, axis: np.concatenate(arrays, axis),
    "linear": lambda x, weight, bias: np.matmul(x, weight.T) + bias,
    "einsum": lambda *arrays, subscripts: np.einsum(subscripts, *arrays),
    "cross_entropy": cross_entropy,
    "cross_entropy_slope": cross_entropy_slope,
    "windows": each_window,
    "fold": fold,
    "max_pool": lambda x, size, stride: each_window(x, size, stride).max((4, 5)),
    "mean_pool": lambda x, size, stride: each_window(x, size, stride).mean((4, 5)),
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
}
NUMPY_TOO = sorted(name for name in DOMAINS if hasattr(np, name) and name not in {*REFERENCES, "transpose"})


def reference(name):
    """NumPy's function, or what stands in for it."""
    return REFERENCES.get(name) or getattr(np, name, None) or REGISTRY[name].forward


every_op = pytest.mark.parametrize("name", sorted(DOMAINS))


def test_every_op_has_a_domain_and_every_domain_an_op():
    missing, stale = REGISTRY.keys() - DOMAINS.keys(), DOMAINS.keys() - REGISTRY.keys()
    assert not missing, f"add a line to DOMAINS in {__file__} for: {', '.join(sorted(missing))}"
    assert not stale, f"DOMAINS has lines without an op: {', '.join(sorted(stale))}"
    assert not REFERENCES.keys() - DOMAINS.keys()


def test_an_op_without_a_domain_is_reported():
    @op(lambda g, out, x: g)
    def forgotten(x):
        return x + 1

    try:
        with pytest.raises(AssertionError, match=r"add a line to DOMAINS in .*test_ops.py for: forgotten"):
            test_every_op_has_a_domain_and_every_domain_an_op()
    finally:
        del REGISTRY["forgotten"]


@every_op
@given(data=st.data())
@settings(max_examples=40)
def test_values_are_numpys(name, data):
    operands, params = data.draw(DOMAINS[name])
    expected = reference(name)(*operands, **params)
    plain = REGISTRY[name].call(*operands, **params)
    assert not isinstance(plain, Tensor)
    f, xs = as_function(REGISTRY[name].call, operands, params)
    out = f(*map(Tensor, xs))
    assert type(out) is Tensor and type(out.data) is (np.ndarray if out.shape else out.dtype.type)
    for values in (plain, out.data):
        assert np.shape(values) == np.shape(expected) and np.asarray(values).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-14)


@every_op
@given(data=st.data())
@settings(max_examples=40)
def test_first_and_second_derivatives(name, data):
    f, xs = as_function(REGISTRY[name].call, *data.draw(DOMAINS[name]))
    check(f, *xs)


@every_op
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
@given(data=st.data())
@settings(max_examples=8)
def test_dtype_is_kept(name, dtype, data):
    operands, params = data.draw(DOMAINS[name])
    params = params | {"dtype": dtype} if name == "astype" else params
    check_dtype(*as_function(REGISTRY[name].call, operands, params), dtype)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("number", [3, 0.5, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_python_number_does_not_widen(name, shape, number, dtype):
    for swapped in (False, True):
        x = Tensor(np.full(shape, 1.5), dtype=dtype)
        out = getattr(tinygrad_edu, name)(*((number, x) if swapped else (x, number)))
        out.backward(np.ones(shape), create_graph=True)
        assert out.dtype == x.grad.dtype == dtype
        x.grad.backward(np.ones(shape)) if x.grad.requires_grad else None
        assert x.grad.dtype == dtype


@every_op
@given(data=st.data())
@settings(max_examples=8)
def test_constants_get_no_vjp_call(name, data):
    this = REGISTRY[name]
    operands, params = data.draw(DOMAINS[name])
    f, xs = as_function(this.call, operands, params)
    assume(xs)
    places = [i for i, x in enumerate(operands) if is_variable(x)]
    chosen = data.draw(st.integers(0, len(xs) - 1))
    called = []

    def counting(i, vjp):
        def count(*args, **kwargs):
            called.append(args[0] if this.variadic else i)
            return vjp(*args, **kwargs)

        return count

    vjps, this.vjps = this.vjps, tuple([counting(i, vjp) for i, vjp in enumerate(this.vjps)])
    try:
        for constant in (np.asarray, lambda x: Tensor(x, requires_grad=False)):
            tensors = [Tensor(x) if i == chosen else constant(x) for i, x in enumerate(xs)]
            out = f(*tensors)
            out.backward(np.ones(out.shape))
            assert called == [places[chosen]]
            assert all(t.grad is None for i, t in enumerate(tensors) if isinstance(t, Tensor) and i != chosen)
            called.clear()
    finally:
        this.vjps = vjps


@pytest.mark.parametrize("name", NUMPY_TOO)
@given(data=st.data())
@settings(max_examples=8)
def test_numpys_function_and_the_method_agree(name, data):
    operands, params = data.draw(DOMAINS[name])
    check_routes(name, operands, params)


def test_every_op_is_a_function_of_the_package():
    hidden = {"getitem", "scatter", "cross_entropy_slope"}  # x[index], its rule, and that of cross_entropy
    hidden |= {"clamped_log", "clamped_log1p"}  # parts of binary_cross_entropy
    hidden |= {"windows", "fold", "max_pool", "mean_pool"}  # of which max_pool2d and avg_pool2d are made
    hidden |= {"conv2d", "conv2d_input", "conv2d_weight"}  # conv2d is in functional, the others are its rules
    for name in DOMAINS.keys() - hidden:
        assert callable(getattr(tinygrad_edu, name)), name


@pytest.mark.parametrize(
    "name, operands, shape",
    [
        ("matmul", [(0, 3), (3, 2)], (0, 2)),
        ("matmul", [(2, 0), (0, 3)], (2, 3)),
        ("matmul", [(0,), (0,)], ()),
        ("matmul", [(0, 2, 3), (3,)], (0, 2)),
        ("linear", [(0, 3), (2, 3), (2,)], (0, 2)),
        ("cross_entropy", [(0, 3), (0, 3)], (0,)),
        ("log_softmax", [(0, 3)], (0, 3)),
        ("prod", [(0, 3)], ()),
    ],
)
def test_shapes_with_zeros(name, operands, shape):
    tensors = [Tensor(np.ones(s)) for s in operands]
    out = REGISTRY[name].call(*tensors)
    out.backward(np.ones(shape))
    assert out.shape == shape and all(t.grad.shape == t.shape for t in tensors)


KINKS = [  # op, operands, gradients of the sum
    ("relu", [[-1.0, 0.0, 1.0]], [[0, 0, 1]]),
    ("abs", [[-2.0, 0.0, 3.0]], [[-1, 0, 1]]),
    ("maximum", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]], [[0, 0.5, 1], [1, 0.5, 0]]),
    ("minimum", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]], [[1, 0.5, 0], [0, 0.5, 1]]),
    ("max", [[1.0, 3.0, 3.0, 3.0]], [[0, 1 / 3, 1 / 3, 1 / 3]]),
    ("min", [[1.0, 1.0, 3.0, 3.0]], [[0.5, 0.5, 0, 0]]),
    ("prod", [[0.0, 2.0, 3.0]], [[6, 0, 0]]),
    ("prod", [[0.0, 2.0, 0.0]], [[0, 0, 0]]),
    ("power", [[0.0, 2.0], [2.0, 0.0]], [[0, 0], [0, np.log(2)]]),
    ("where", [[True, False], [np.inf, 1.0], [1.0, np.inf]], [[1, 0], [0, 1]]),
]


@pytest.mark.parametrize("name, operands, gradients", KINKS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_kinks_and_ties(name, operands, gradients, create_graph):
    operands = [Tensor(x) if np.asarray(x).dtype.kind == "f" else np.array(x) for x in operands]
    getattr(tinygrad_edu, name)(*operands).sum().backward(create_graph=create_graph)
    found = [np.array(x.grad.data, dtype=float) for x in operands if isinstance(x, Tensor)]
    np.testing.assert_allclose(found, gradients, rtol=1e-15)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.0, 1.0])
def test_power_at_zero_and_of_negative_numbers(exponent):
    x = Tensor([-2.0, 0.0])
    (x**exponent).sum().backward()
    expected = [exponent * (-2.0) ** (exponent - 1), 1.0 if exponent == 1 else 0.0]
    np.testing.assert_allclose(x.grad, expected)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "tanh", "log_softmax", "softmax", "cross_entropy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_do_not_overflow(name, dtype):
    x = Tensor([-1e4, 0.0, 1e4], dtype=dtype)
    args = (np.array(0),) if name == "cross_entropy" else ()
    out = getattr(tinygrad_edu, name)(x, *args)
    out.sum().backward()
    assert np.isfinite(out.data).all() and np.isfinite(x.grad).all()
    if name == "cross_entropy":
        assert out.item() == 2e4


def test_float16_and_longdouble_through_astype():
    x = Tensor([1.5, -2.0], dtype=np.float32)
    for dtype in (np.float16, np.float64, np.longdouble):
        y = x.astype(dtype)
        x.grad = None
        (y * y).sum().backward()
        assert y.dtype == y.grad.dtype == dtype and x.grad.dtype == np.float32
        np.testing.assert_array_equal(x.grad, [3, -4])
    with pytest.raises(TypeError, match="astype: int64 has no gradients"):
        x.astype(int)


def test_gradients_where_plain_formulas_lose_digits():
    x = Tensor([1.0, 2.0])
    x.cumsum().backward(np.array([1e16, 1.0]))
    np.testing.assert_array_equal(x.grad, [1e16 + 1, 1.0])  # a running sum from the other end, without cancellation
    tiny = Tensor([1e-200, 1e-200])
    tiny.prod().backward()
    np.testing.assert_array_equal(tiny.grad, [1e-200, 1e-200])  # though the product itself underflows
    many = Tensor(np.ones(100_000), dtype=np.float16)
    many.mean().backward()
    assert many.grad.max() == np.float16(1e-5)
    a, b = Tensor(2.0), Tensor(0.0)
    (slope,) = tinygrad_edu.gradients(a**b, [a], create_graph=True)
    assert tinygrad_edu.gradients(slope, [b])[0] == 0.5  # d2/(da db) a**b = a**(b - 1) * (1 + b log a)


def test_unsigned_integers_beside_a_tensor_do_not_wrap():
    small = np.array([5, 5], np.uint8)
    x = Tensor([1.0, 300.0])
    np.testing.assert_array_equal(np.minimum(x, small).data, [1.0, 5.0])
    (small**x).sum().backward()
    np.testing.assert_allclose(x.grad, 5.0**x.data * np.log(5.0))
    np.testing.assert_allclose(tinygrad_edu.sigmoid(small), 1 / (1 + np.exp(-5.0)))
    np.testing.assert_allclose(tinygrad_edu.softmax(np.array([1, 0], np.uint8)), [0.731058578, 0.268941421])


def test_powers_of_zero_and_infinity():
    for x, y, by_x, by_y in [(0.0, 0.0, 0.0, 0.0), (0.0, 2.0, 0.0, 0.0), (np.inf, 0, 0.0, None), (-2.0, 2, -4.0, None)]:
        a, b = Tensor(x), Tensor(y) if isinstance(y, float) else y
        (a**b).backward()
        assert a.grad == by_x
        assert by_y is None or b.grad == by_y
