"""Kinks, jumps and choices: special values, NaN, small integers, and what is refused."""

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import Tensor, functional, gradients, ops

NAN = np.nan
KINKED = {  # what has a kink or takes the winner: a call in which the second of three elements is NaN
    "relu": lambda x: ops.relu(x),
    "abs": lambda x: abs(x),
    "leaky_relu": lambda x: ops.leaky_relu(x),
    "prelu": lambda x: functional.prelu(x, np.array(0.1)),
    "elu": lambda x: functional.elu(x),
    "gelu": lambda x: functional.gelu(x, "tanh"),
    "maximum": lambda x: np.maximum(x, 0.5),
    "minimum": lambda x: np.minimum(0.5, x),
    "clip": lambda x: np.clip(x, -1, 1),
    "clip to a limit": lambda x: np.clip(x, -1, None),
    "copysign": lambda x: np.copysign(x, 1.0),
    "hypot": lambda x: np.hypot(x, 1.0),
    "max": lambda x: x.max() * np.ones(3),
    "min": lambda x: x.min(keepdims=True) * np.ones(3),
    "ptp": lambda x: np.ptp(x) * np.ones(3),
    "median": lambda x: np.median(x) * np.ones(3),
    "quantile": lambda x: np.quantile(x, 0.3) * np.ones(3),
    "l1_loss": lambda x: functional.l1_loss(x, np.zeros(3), reduction="none"),
    "huber_loss": lambda x: functional.huber_loss(x, np.zeros(3), reduction="none"),
    "norm": lambda x: np.linalg.norm(x) * np.ones(3),
    "norm of order 1": lambda x: np.linalg.norm(x, 1) * np.ones(3),
    "norm of order inf": lambda x: np.linalg.norm(x, np.inf) * np.ones(3),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KINKED)
def test_nan_in_nan_gradient_out(name, dtype):
    x = Tensor([-2.0, NAN, 3.0], dtype=dtype)
    out = KINKED[name](x)
    out.sum().backward()
    assert np.isnan(out.data[1]) and np.isnan(x.grad[1]) and x.grad.dtype == dtype


@pytest.mark.parametrize("limits", [(NAN, 1.0), (-1.0, NAN), (np.array([NAN, 0.0]), None)])
def test_clip_to_a_limit_that_is_nan(limits):
    x = Tensor([0.5, 2.0])
    out = np.clip(x, *limits)
    np.testing.assert_array_equal(out.data, np.clip(x.data, *limits))
    out.sum().backward()
    np.testing.assert_array_equal(np.isnan(x.grad), np.isnan(out.data))


def test_what_ignores_nan_gives_it_a_gradient_of_0():
    for function in (np.fmax, np.fmin):
        x, y = Tensor([NAN, 1.0, NAN]), Tensor([2.0, NAN, 5.0])
        out = function(x, y)
        np.testing.assert_array_equal(out.data, [2, 1, 5])
        out.sum().backward()
        assert x.grad.tolist() == [0, 1, 0] and y.grad.tolist() == [1, 0, 1]
    x = Tensor([NAN, 1.0, np.inf, -np.inf])
    np.nan_to_num(x, nan=3.0).sum().backward()
    assert x.grad.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (1.0, 0.0)])
def test_one_of_the_three_takes_the_gradient_of_clip(low, high):
    x, a, b = Tensor([-1.0, 0.0, 0.5, 1.0, 2.0]), Tensor(np.full(5, low)), Tensor(np.full(5, high))
    out = np.clip(x, a, b)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad + a.grad + b.grad, np.ones(5))
    chosen = np.where(x.grad == 1, x.data, np.where(a.grad == 1, low, high))
    np.testing.assert_array_equal(chosen, out.data)
    assert x.grad.tolist() == ([0, 1, 1, 1, 0] if low < high else [0] * 5)


SPECIAL = [  # call, operands, value, gradients
    (np.logaddexp, (np.inf, np.inf), np.inf, (0.5, 0.5)),
    (np.logaddexp, (-np.inf, -np.inf), -np.inf, (0.5, 0.5)),
    (np.logaddexp, (-np.inf, 1.0), 1.0, (0.0, 1.0)),
    (np.logaddexp2, (3.0, 3.0), 4.0, (0.5, 0.5)),
    (np.copysign, (0.0, -1.0), -0.0, (0.0, 0.0)),
    (np.copysign, (-2.0, 3.0), 2.0, (-1.0, 0.0)),
    (np.remainder, (-1.0, 3.0), 2.0, (1.0, 1.0)),
    (np.remainder, (1.0, np.inf), 1.0, (1.0, 0.0)),
    (np.fmod, (-1.0, 3.0), -1.0, (1.0, 0.0)),
    (np.fmod, (7.0, -3.0), 1.0, (1.0, 2.0)),
    (np.heaviside, (0.0, 0.3), 0.3, (0.0, 1.0)),
    (np.maximum, (np.inf, np.inf), np.inf, (0.5, 0.5)),
]


@pytest.mark.parametrize("call, operands, value, gradients", SPECIAL)
def test_special_values(call, operands, value, gradients):
    x, y = map(Tensor, operands)
    out = call(x, y)
    out.backward()
    np.testing.assert_array_equal(out.data, value)
    np.testing.assert_allclose([0.0 if t.grad is None else t.grad for t in (x, y)], gradients, rtol=1e-15)


def test_second_derivative_of_logaddexp_at_a_tie():
    x, y = Tensor(1.0), Tensor(1.0)
    (slope,) = gradients(np.logaddexp(x, y), [x], create_graph=True)
    np.testing.assert_allclose(gradients(slope, [x, y]), [0.25, -0.25], rtol=1e-15)


def test_modf_of_infinities():
    x = Tensor([np.inf, -np.inf, -2.5])
    fraction, whole = np.modf(x)
    for found, expected in zip((fraction, whole), np.modf(x.data), strict=True):
        np.testing.assert_array_equal(found.data, expected)


BINARY = ["add", "subtract", "multiply", "divide", "power", "remainder", "fmod", "hypot", "arctan2", "copysign"]
BINARY += ["logaddexp", "maximum", "minimum", "fmax", "fmin", "floor_divide", "heaviside", "float_power"]
SMALL = [np.array([-128, 3], np.int8), np.array([0, 200], np.uint8), np.array([1, 2], np.uint16)]


@pytest.mark.parametrize("other", SMALL, ids=["int8", "uint8", "uint16"])
@pytest.mark.parametrize(
    "name",
    BINARY,
)
@pytest.mark.parametrize("swapped", [False, True])
def test_small_integers_beside_a_tensor_are_the_numbers_that_they_are(name, other, swapped):
    if name in ("divide", "remainder", "fmod", "floor_divide") and not swapped and 0 in other:
        pytest.skip("a division by 0")
    if name in ("power", "float_power") and swapped and other.min() < 0:
        pytest.skip("a root of a negative number")
    results = []
    for y in (other, other.astype(float)):
        x = Tensor([1.5, 0.75])
        out = getattr(np, name)(*((y, x) if swapped else (x, y)))
        out.sum().backward()
        results.append((out.data, x.grad))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_exponent_whose_predecessor_does_not_fit_its_dtype():
    x = Tensor([1.1])
    (x ** np.array([-128], np.int8)).backward()
    np.testing.assert_allclose(x.grad, -128 * 1.1**-129)


@pytest.mark.parametrize("number", [2, 0.5])
@pytest.mark.parametrize(
    "name",
    [
        "fmax",
        "fmin",
        "logaddexp",
        "logaddexp2",
        "remainder",
        "fmod",
        "hypot",
        "arctan2",
        "copysign",
        "floor_divide",
        "heaviside",
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_python_number_does_not_widen(name, number, dtype):
    for swapped in (False, True):
        x = Tensor([1.5, 0.75], dtype=dtype)
        out = getattr(tinygrad_edu, name)(*((number, x) if swapped else (x, number)))
        out.sum().backward()
        assert out.dtype == dtype and (x.grad is None or x.grad.dtype == dtype)


@pytest.mark.parametrize(
    "call, dtype",
    [
        (lambda x: np.clip(x, 0, 0.5), np.float32),
        (lambda x: np.nan_to_num(x, nan=0.5), np.float32),
        (lambda x: np.select([x > 1], [x], 0.5), np.float32),
        (lambda x: np.piecewise(x, [x > 1], [2.5, lambda z: z * 0.5]), np.float32),
        (lambda x: np.choose([0, 1], [x, 2 * x]), np.float32),
    ],
)
def test_choices_keep_the_dtype(call, dtype):
    x = Tensor([1.5, 0.75], dtype=dtype)
    assert call(x).dtype == dtype


ERRORS = [
    (lambda x: np.clip(x, 0, 1, min=0), "clip: a limit is given twice"),
    (lambda x: np.nan_to_num(x, copy=False), "nan_to_num: copy=False would write into x"),
    (lambda x: ops.select([x > 0], [x, x]), "select: 1 conditions for 2 choices"),
    (lambda x: ops.select([], []), "select: 0 conditions"),
    (
        lambda x: np.piecewise(x, [x > 0], [1, 2, 3]),
        "piecewise: 1 conditions take as many functions or one more",
    ),
    (lambda x: np.choose([0, 2], [x, x]), "invalid entry in choice array"),
    (lambda x: np.ldexp(1.0, x), "ldexp"),
]


@pytest.mark.parametrize("call, message", ERRORS)
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(Tensor([1.0, 2.0]))


def test_a_bias_over_many_rows_of_float16_loses_no_count():
    x, weight, bias = Tensor(np.ones((5000, 3)), dtype=np.float16), Tensor(np.ones((2, 3)), dtype=np.float16), None
    bias = Tensor(np.zeros(2), dtype=np.float16)
    functional.linear(x, weight, bias).sum().backward()
    assert bias.grad.tolist() == [5000, 5000] and weight.grad.tolist() == [[5000] * 3] * 2
    y = Tensor(np.float16(1.0))
    (y + np.ones((5000, 1), np.float16)).sum().backward()
    assert y.grad == 5000


def test_softmax_of_no_classes_is_empty():
    for function in (ops.softmax, ops.log_softmax):
        x = Tensor(np.ones((5, 0)))
        out = function(x)
        out.sum().backward()
        assert out.shape == x.grad.shape == (5, 0)
    assert np.isneginf(ops.logsumexp(np.ones((5, 0)), axis=1)).all()


@pytest.mark.parametrize("name", ["fabs", "modf", "nan_to_num"])
@pytest.mark.parametrize("x", [[-3, 0, 2], -3, np.array([[1, -2]], np.int8)])
def test_integers_are_taken_as_numpy_takes_them(name, x):
    ours, theirs = getattr(ops, name)(x), getattr(np, name)(x)
    for y, expected in zip(np.atleast_1d(ours), np.atleast_1d(theirs), strict=True):
        np.testing.assert_array_equal(y, expected)
    if name != "modf" and not isinstance(x, np.ndarray):
        assert ours.dtype == theirs.dtype
    if name == "modf":
        assert ours[1].dtype.kind == "f"


@pytest.mark.parametrize("shape", [(0,), (0, 4)])
def test_piecewise_of_nothing(shape):
    x = Tensor(np.ones(shape))
    y = np.piecewise(x, [x.data < 0, x.data > 2], [lambda part: part, 1.0, 2.0])
    assert type(y) is Tensor and y.shape == shape
