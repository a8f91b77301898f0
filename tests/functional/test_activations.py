"""Activations at infinity, where their formulas say 0 * inf; test_composed.py walks over all of them."""

import numpy as np
import pytest
from finite_differences import check

from tinygrad_edu import Tensor, functional

ENDS = {  # values and slopes at -inf and inf
    "elu": ([-1, np.inf], [0, 1]),
    "gelu": ([0, np.inf], [0, 1]),
    "leaky_relu": ([-np.inf, np.inf], [0.01, 1]),
    "relu": ([0, np.inf], [0, 1]),
    "sigmoid": ([0, 1], [0, 0]),
    "silu": ([0, np.inf], [0, 1]),
    "softplus": ([0, np.inf], [0, 1]),
    "tanh": ([-1, 1], [0, 0]),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), [*[(name, {}) for name in ENDS], ("gelu", {"approximate": "tanh"})])
@pytest.mark.filterwarnings("ignore:invalid value encountered in logaddexp")  # NumPy says so of NaN
def test_limits_at_infinity(name, options, dtype):
    f, (values, slopes) = getattr(functional, name), ENDS[name]
    x, near = Tensor([-np.inf, np.inf, 0.5, np.nan], dtype=dtype), Tensor([0.5], dtype=dtype)
    out, expected = f(x, **options), f(near, **options)
    assert out.dtype == dtype
    np.testing.assert_allclose(out.data[:2], np.array(values, dtype))
    np.testing.assert_array_equal(out.data[2:], [expected.data[0], np.nan])
    out.backward(np.ones(4)), expected.backward(np.ones(1))
    np.testing.assert_allclose(x.grad, np.array([*slopes, near.grad[0], np.nan], dtype))


def test_slopes_that_are_learned_see_only_what_they_scale():
    x, slope = Tensor([np.inf, -2.0, 3.0]), Tensor([0.25])
    out = functional.prelu(x, slope)
    out.backward(np.ones(3))
    np.testing.assert_array_equal(out.data, [np.inf, -0.5, 3])
    np.testing.assert_array_equal(x.grad, [1, 0.25, 1])
    np.testing.assert_array_equal(slope.grad, [-2])


def test_a_negative_infinity_is_left_out_of_softmax():
    x = Tensor([[-np.inf, 0.0, 1.0], [-np.inf, -np.inf, 2.0]])
    out = functional.softmax(x)
    out.backward(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))
    wanted = functional.softmax(np.array([0.0, 1.0]))
    np.testing.assert_allclose(out.data, [[0, *wanted], [0, 0, 1]])
    assert np.isfinite(x.grad).all() and not x.grad[np.isinf(x.data)].any()


@pytest.mark.parametrize("f", [functional.softmax, functional.log_softmax])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_row_without_any_finite_score_is_nan_as_in_pytorch(f):
    x = Tensor([[-np.inf, -np.inf], [0.0, 1.0]])
    out = f(x)
    out.backward(np.ones((2, 2)))
    for values in (out.data, x.grad):
        assert np.isnan(values[0]).all() and np.isfinite(values[1]).all()


@pytest.mark.parametrize("x", [np.array([True, False]), np.array([3, -4], np.int8), np.array([200], np.uint8)])
def test_integers_and_booleans(x):
    for f in (functional.elu, functional.gelu, functional.silu, functional.leaky_relu):
        np.testing.assert_allclose(f(x), f(x.astype(np.float64)), rtol=1e-3)
    np.testing.assert_allclose(functional.prelu(x, 0.25), functional.prelu(x.astype(np.float64), 0.25))


TORCH_CASES = [
    ("relu", {}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("silu", {}),
    ("leaky_relu", {"negative_slope": 0.2}),
    ("softplus", {}),
    ("softplus", {"beta": 3}),
    *[(name, {"dim": dim}) for name in ("softmax", "log_softmax") for dim in (0, 1, -1)],
]


@pytest.mark.parametrize(("name", "options"), TORCH_CASES)
def test_values_and_gradients_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=(2, 3, 4))
    ours, theirs = Tensor(values), torch.tensor(values, requires_grad=True)
    out, expected = getattr(functional, name)(ours, **options), getattr(torch.nn.functional, name)(theirs, **options)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-12)
    (out * values).sum().backward(), (expected * torch.tensor(values)).sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-10, atol=1e-15)
    assert not isinstance(getattr(functional, name)(values, **options), Tensor)
    check(lambda x: getattr(functional, name)(x, **options), values[0, :2, :2])


@pytest.mark.parametrize("f", [functional.softmax, functional.log_softmax])
def test_the_axis_has_two_names(f):
    x = np.arange(6.0).reshape(2, 3) ** 2
    for dim in (0, 1, -2):
        np.testing.assert_array_equal(f(x, dim), f(x, axis=dim))
        np.testing.assert_array_equal(f(x, dim), f(x, dim=dim))
    with pytest.raises(TypeError, match="dim is 0 and axis 1, which mean the same; give one"):
        f(x, 0, axis=1)
    with pytest.raises(TypeError, match=r"softmax: dim is None; it must be an integer"):
        f(x, None)


def test_the_smooth_bend_has_a_sharpness():
    with pytest.raises(ValueError, match="softplus: beta is 0; it must be a number, above 0"):
        functional.softplus(1.0, beta=0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_axis_of_softmax(name):
    function, x = getattr(functional, name), np.ones((2, 3))
    for options in ({"dim": 5}, {"axis": 2}, {"dim": -3}):
        with pytest.raises(
            np.exceptions.AxisError, match=rf"^{name}: (dim|axis) is .*, but the input of shape \(2, 3\)"
        ):
            function(Tensor(x), **options)
    for dim in (-1, 1, True):
        with pytest.raises(TypeError, match=f"{name}: dim is {dim} and axis 1, which mean the same"):
            function(x, dim, axis=1)
    np.testing.assert_array_equal(function(x, axis=-1), function(x))
