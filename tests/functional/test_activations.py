"""Activations at infinity, where their formulas say 0 * inf; test_composed.py walks over all of them."""

import numpy as np
import pytest

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
