"""A walk over the registry: every op is checked against NumPy and finite differences on a domain of its own.

A new op needs one line in OPS of its chapter in tests/domains/: a strategy for (operands, parameters), away from kinks.
What NumPy does not have under the op's name can have a line in REFERENCES too.
"""

import numpy as np
import pytest
from domains import DOMAINS, OP_REFERENCES
from finite_differences import check, check_dtype, check_routes
from hypothesis import assume, given, settings, strategies as st
from strategies import as_function, is_variable

import tinygrad_edu
from tinygrad_edu import Tensor, linalg, op
from tinygrad_edu.engine import REGISTRY
from tinygrad_edu.ops import decompositions

NUMPY_TOO = sorted(name for name in DOMAINS if hasattr(np, name) and name not in {*OP_REFERENCES, "transpose"})


def reference(name):
    """NumPy's function, or what stands in for it."""
    return OP_REFERENCES.get(name) or getattr(np, name, None) or REGISTRY[name].forward


every_op = pytest.mark.parametrize("name", sorted(DOMAINS))


def test_every_op_has_a_domain_and_every_domain_an_op():
    missing, stale = REGISTRY.keys() - DOMAINS.keys(), DOMAINS.keys() - REGISTRY.keys()
    assert not missing, f"add a line to OPS in tests/domains/ for: {', '.join(sorted(missing))}"
    assert not stale, f"tests/domains/ has lines without an op: {', '.join(sorted(stale))}"


def test_an_op_without_a_domain_is_reported():
    @op(lambda g, out, x: g)
    def forgotten(x):
        return x + 1

    try:
        with pytest.raises(AssertionError, match=r"add a line to OPS in tests/domains/ for: forgotten"):
            test_every_op_has_a_domain_and_every_domain_an_op()
    finally:
        del REGISTRY["forgotten"]


@every_op
@given(data=st.data())
@settings(max_examples=16)
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
@settings(max_examples=16)
def test_first_and_second_derivatives(name, data):
    f, xs = as_function(REGISTRY[name].call, *data.draw(DOMAINS[name]))
    check(f, *xs)


@every_op
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
@given(data=st.data())
@settings(max_examples=5)
def test_dtype_is_kept(name, dtype, data):
    if dtype is not np.float32 and REGISTRY[name].forward.__module__ == decompositions.__name__:
        pytest.skip("NumPy decomposes matrices of float32 and float64 alone")
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
@settings(max_examples=5)
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
@settings(max_examples=5)
def test_numpys_function_and_the_method_agree(name, data):
    operands, params = data.draw(DOMAINS[name])
    check_routes(name, operands, params)


def test_every_op_is_a_function_of_the_package():
    hidden = {"getitem", "scatter", "cross_entropy_slope"}  # x[index], its rule, and that of cross_entropy
    hidden |= {"softmax_slope", "centred", "over_rms"}  # the rule of softmax, and parts of layer_norm
    hidden.add("self_attention")  # a part of MultiheadAttention
    hidden |= {"clamped_log", "clamped_log1p"}  # parts of binary_cross_entropy
    hidden |= {"windows", "fold", "max_pool", "mean_pool"}  # of which max_pool2d and avg_pool2d are made
    hidden |= {
        op.name for op in REGISTRY.values() if op.forward.__module__ in (linalg.__name__, decompositions.__name__)
    }
    hidden |= {op.name for op in REGISTRY.values() if op.forward.__name__.startswith("_")} - {"concatenate", "einsum"}
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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [-1000, -100, -44, -10, 9, 44, 87, 100, 1000])
def test_softmax_is_the_same_wherever_the_largest_is(offset, dtype):
    x = np.array([[0, -1, -8, -16], [-2, -1.5, 0, -np.inf]])
    expected = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    shifted = (x + offset).astype(dtype)  # exact: float16 knows halves there
    close = {"rtol": 20 * np.finfo(dtype).eps, "atol": 1e-7 if dtype is np.float16 else 0}
    np.testing.assert_allclose(tinygrad_edu.softmax(shifted), expected, **close)
    many = tinygrad_edu.softmax(np.tile(shifted, (200, 1)))
    np.testing.assert_allclose(many, np.tile(expected, (200, 1)), **close)


def test_self_attention_finds_its_weights_again():
    rng = np.random.default_rng(0)
    x, g, this = rng.normal(size=(2, 3, 12)), rng.normal(size=(2, 3, 4)), REGISTRY["self_attention"]
    options = {"mask": np.where(np.tri(3, dtype=bool), 0, -np.inf), "heads": 2}
    out = this.forward(x, **options)
    for result in (out.copy(), np.stack([out, out])[0]):
        np.testing.assert_array_equal(this.vjps[0](g, result, x, **options), this.vjps[0](g, out, x, **options))


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
