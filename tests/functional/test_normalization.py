"""layer_norm, rms_norm and group_norm: PyTorch, the formulas, finite differences, and dtypes."""

import numpy as np
import pytest
from finite_differences import check, check_dtype
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst
from torch_steps import check_alike

from tinygrad_edu import Tensor, nn
from tinygrad_edu.functional import group_norm, layer_norm, rms_norm

RNG = np.random.default_rng


@st.composite
def normalizations(draw):
    """(function, x, the argument after it, weight and bias or None, eps)."""
    function = draw(st.sampled_from([layer_norm, rms_norm, group_norm]))
    if function is group_norm:
        groups, channels = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        rest = draw(npst.array_shapes(min_dims=0, max_dims=2, max_side=3))
        shape, what, each = (draw(st.integers(2, 3)), groups * channels, *rest), groups, (groups * channels,)
    else:
        each = draw(npst.array_shapes(max_dims=2, max_side=4))
        shape, what = (*draw(npst.array_shapes(min_dims=0, max_dims=2, max_side=3)), *each), list(each)
    weight, bias = [RNG(i).standard_normal(each) if draw(st.booleans()) else None for i in range(2)]
    bias = None if function is group_norm and weight is None else bias  # PyTorch fails at a bias alone
    eps = draw(st.sampled_from([1e-5, 0.1] + [None] * (function is rms_norm)))
    return function, RNG(2).normal(1, 2, shape), what, weight, None if function is rms_norm else bias, eps


def with_arrays(case):
    """A function of the arrays alone, and these."""
    function, x, what, weight, bias, eps = case
    given = [weight is not None, bias is not None]

    def f(x, *parameters, function=function):
        waiting = list(parameters)
        weight, bias = [waiting.pop(0) if there else None for there in given]
        rest = (weight,) if "rms" in function.__name__ else (weight, bias)
        return function(x, what, *rest, eps=eps)

    return f, [a for a in (x, weight, bias) if a is not None]


@given(normalizations())
@settings(max_examples=60)
def test_all_three_are_pytorchs(case):
    torch = pytest.importorskip("torch")
    f, arrays = with_arrays(case)
    theirs = getattr(torch.nn.functional, case[0].__name__)
    check_alike(f, lambda *arrays: f(*arrays, function=theirs), *arrays, tolerance=1e-9)


@given(normalizations())
@settings(max_examples=15)
def test_first_and_second_derivatives(case):
    f, arrays = with_arrays((*case[:-1], 0.5))  # a small eps is a kink for finite differences
    check(f, *arrays, rtol=1e-5)
    check_dtype(f, arrays, np.float32)


def test_the_formulas():
    x, weight, bias = RNG(0).normal(3, 2, (2, 6, 5)), RNG(1).standard_normal(6), RNG(2).standard_normal(6)
    rows = x.reshape(2, 3, 10)
    rows = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    expected = rows.reshape(x.shape) * weight[:, None] + bias[:, None]
    np.testing.assert_allclose(group_norm(x, 3, weight, bias), expected, rtol=1e-10)
    np.testing.assert_allclose(group_norm(x, 1), layer_norm(x, (6, 5)), rtol=1e-10)
    expected = x / np.sqrt((x**2).mean((1, 2), keepdims=True) + 0.1)
    np.testing.assert_allclose(rms_norm(x, (6, 5), eps=0.1), expected, rtol=1e-10)
    np.testing.assert_allclose(rms_norm(x, 5, np.arange(5.0)), rms_norm(x, [5]) * np.arange(5.0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_without_eps_rms_norm_takes_that_of_the_dtype(dtype):
    eps = float(np.finfo(np.promote_types(dtype, np.float32)).eps)
    x = np.full(4, eps**0.5, dtype)
    np.testing.assert_allclose(rms_norm(x, 4), np.sqrt(1 / 2), rtol=1e-3)
    np.testing.assert_array_equal(nn.RMSNorm(4, dtype=dtype)(x).data, rms_norm(x, 4))


FUNCTIONS = [
    lambda x, *p: layer_norm(x, 8, *p),
    lambda x, *p: rms_norm(x, 8, *p[:1]),
    lambda x, *p: group_norm(x, 2, *p),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_float16_beyond_the_root_of_its_largest_number(function):
    x = (5000 * RNG(0).standard_normal((3, 8))).astype(np.float16)
    parameters = [RNG(i).standard_normal(8).astype(np.float16) for i in (1, 2)]
    tensors = [Tensor(a) for a in (x, *parameters)]
    out = function(*tensors)
    out.backward(np.ones(out.shape))
    assert out.dtype == np.float16 and tensors[0].grad.dtype == np.float16
    exact = function(*[a.astype(np.float64) for a in (x, *parameters)])
    np.testing.assert_allclose(out.data, exact, rtol=4e-3, atol=4e-3)
    assert function(Tensor(x), *[p.astype(np.float32) for p in parameters]).dtype == np.float32


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, bool])
def test_integers_do_not_wrap_around(function, dtype):
    x = RNG(0).integers(0, 127, (3, 8)).astype(dtype)
    out = function(x)
    assert out.dtype.kind == "f"
    np.testing.assert_allclose(out, function(x.astype(np.float64)), rtol=1e-4, atol=1e-5)


X = np.ones((2, 6, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layer_norm(X, 6), ValueError, r"layer_norm: input of shape \(2, 6, 5\); its last axes must be \(6,\)"),
        (lambda: layer_norm(X, ()), ValueError, r"layer_norm: normalized_shape is \(\)"),
        (lambda: layer_norm(X, (6, 5.0)), ValueError, r"layer_norm: normalized_shape is 5.0"),
        (lambda: layer_norm(X, 5, np.ones(1)), ValueError, r"layer_norm: weight of shape \(1,\); it must be \(5,\)"),
        (
            lambda: layer_norm(X, 5, None, np.ones(6)),
            ValueError,
            r"layer_norm: bias of shape \(6,\); it must be \(5,\)",
        ),
        (lambda: layer_norm(X, 5, eps=-1), ValueError, "layer_norm: eps is -1"),
        (lambda: rms_norm(X, 6), ValueError, r"rms_norm: input of shape \(2, 6, 5\)"),
        (lambda: rms_norm(X, 5, np.ones((6, 5))), ValueError, r"rms_norm: weight of shape \(6, 5\)"),
        (lambda: rms_norm(X, 5, eps=np.nan), ValueError, "rms_norm: eps is nan"),
        (lambda: group_norm(X, 4), ValueError, r"\(2, 6, 5\) in 4 groups; it must be .* a multiple of 4 channels"),
        (lambda: group_norm(X[0, 0], 1), ValueError, r"group_norm: input of shape \(5,\)"),
        (lambda: group_norm(X, 0), ValueError, "group_norm: num_groups is 0"),
        (lambda: group_norm(X, 2, np.ones(5)), ValueError, r"group_norm: weight of shape \(5,\); it must be \(6,\)"),
        (lambda: group_norm(X[:1, :, 0], 6), ValueError, r"\(1, 6\) in 6 groups, with one value in each group"),
        (lambda: nn.GroupNorm(6, 6)(X[:1, :, :1]), ValueError, r"\(1, 6, 1\) in 6 groups, with one value"),
        (lambda: group_norm(X, 2, eps=-1), ValueError, "group_norm: eps is -1"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
