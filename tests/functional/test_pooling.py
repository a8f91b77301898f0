"""Pooling and interpolation: every option, against PyTorch, by hand and by finite differences."""

import math

import numpy as np
import pytest
from finite_differences import check, check_dtype
from hypothesis import given, settings, strategies as st
from strategies import spaced
from torch_steps import check_alike

from tinygrad_edu import Tensor
from tinygrad_edu.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d

RNG = np.random.default_rng


def pairs(low, high):
    """A pair of integers or one for both."""
    number = st.integers(low, high)
    return st.tuples(number, number) | number


def images(largest=8):
    """Some images, or one without a batch axis."""
    sides = st.tuples(*[st.integers(1, largest)] * 2)
    lead = st.sampled_from([(2, 2), (1, 1), (2,)])
    return st.tuples(lead, sides).map(lambda shape: RNG(0).standard_normal(sum(shape, ())))


SIZES = {"kernel_size": pairs(1, 4), "stride": st.none() | pairs(1, 4), "padding": pairs(0, 2)}
POOLS = {
    max_pool2d: st.fixed_dictionaries({**SIZES, "dilation": pairs(1, 2), "ceil_mode": st.booleans()}),
    avg_pool2d: st.fixed_dictionaries(
        {
            **SIZES,
            "ceil_mode": st.booleans(),
            "count_include_pad": st.booleans(),
            "divisor_override": st.sampled_from([None, None, 1, 5]),
        }
    ),
    adaptive_avg_pool2d: st.fixed_dictionaries({"output_size": pairs(1, 9) | st.sampled_from([(None, 2), (3, None)])}),
    interpolate: st.fixed_dictionaries({"size": pairs(1, 20)})
    | st.fixed_dictionaries(
        {"scale_factor": st.sampled_from([0.3, 0.5, 1, 1.1, 4 / 3, 2, 3, 2.7, (2, 1.3), (1.0, 3.0)])}
    ),
}
every_pool = pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.__name__)


@every_pool
@given(data=st.data())
@settings(max_examples=40)
def test_pools_are_pytorchs(pool, data):
    torch = pytest.importorskip("torch")
    x, options = data.draw(images()), data.draw(POOLS[pool])
    if pool is interpolate and x.ndim == 3:  # whose axes after the first two are those of the image
        x = x[:, None]
    if pool is max_pool2d and np.min(options["padding"]) >= 0 and np.max(options["dilation"]) > 1:
        options["padding"] = 0 if min(x.shape[-2:]) == 1 else options["padding"]  # of no pixel PyTorch has no gradient
    check_alike(lambda x: pool(x, **options), lambda x: getattr(torch.nn.functional, pool.__name__)(x, **options), x)


@every_pool
@given(data=st.data())
@settings(max_examples=8)
def test_first_and_second_derivatives(pool, data):
    x, options = data.draw(spaced(st.just((1, 2, 4, 5)))), data.draw(POOLS[pool])
    try:
        pool(x, **options)
    except ValueError:
        return
    check(lambda x: pool(x, **options), x)
    check_dtype(lambda x: pool(x, **options), [x], np.float32)


def test_windows_at_the_edge_by_hand():
    x = np.arange(1.0, 6).reshape(1, 1, 1, 5)
    sizes = {"kernel_size": (1, 2), "stride": (1, 2)}
    np.testing.assert_array_equal(max_pool2d(x, **sizes).ravel(), [2, 4])
    np.testing.assert_array_equal(max_pool2d(x, **sizes, ceil_mode=True).ravel(), [2, 4, 5])
    np.testing.assert_array_equal(avg_pool2d(x, **sizes, ceil_mode=True).ravel(), [1.5, 3.5, 5])
    np.testing.assert_array_equal(max_pool2d(x, (1, 2), 1, dilation=(1, 3)).ravel(), [4, 5])
    sizes["padding"] = (0, 1)
    np.testing.assert_array_equal(avg_pool2d(x, **sizes).ravel(), [0.5, 2.5, 4.5])
    np.testing.assert_array_equal(avg_pool2d(x, **sizes, count_include_pad=False).ravel(), [1, 2.5, 4.5])
    np.testing.assert_array_equal(avg_pool2d(x, **sizes, divisor_override=4).ravel(), [0.25, 1.25, 2.25])
    last = avg_pool2d(x, (1, 3), (1, 3), (0, 1), ceil_mode=True).ravel()  # 0 1 2, 3 4 5: none begins in the border
    np.testing.assert_array_equal(last, [1, 4])
    last = avg_pool2d(x[..., :4], (1, 3), (1, 2), (0, 1), ceil_mode=True).ravel()  # 0 1 2, 2 3 4, and 4 0 of three
    np.testing.assert_array_equal(last, [1, 3, 2])
    np.testing.assert_array_equal(max_pool2d(-x, **sizes, ceil_mode=True).ravel(), [-1, -2, -4])


@given(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 9)] * 2))
@settings(max_examples=30)
def test_adaptive_windows_cover_the_image(shape, size):
    x = RNG(0).standard_normal((2, 3, *shape))
    out = adaptive_avg_pool2d(x, size)
    assert out.shape == (2, 3, *size)
    for place in np.ndindex(*size):
        window = [slice(i * n // m, math.ceil((i + 1) * n / m)) for i, n, m in zip(place, shape, size, strict=True)]
        np.testing.assert_allclose(out[(..., *place)], x[(..., *window)].mean((-2, -1)), rtol=1e-12, atol=1e-12)


def test_infinity_stays_in_its_own_adaptive_window():
    x = np.zeros((1, 1, 1, 5))
    x[..., 0] = np.inf
    np.testing.assert_array_equal(adaptive_avg_pool2d(x, (1, 3)).ravel(), [np.inf, 0, 0])


def test_each_pixel_of_a_larger_image_is_a_copy():
    x = Tensor(np.arange(6.0).reshape(1, 1, 2, 3))
    np.testing.assert_array_equal(interpolate(x, scale_factor=2).data, x.data.repeat(2, 2).repeat(2, 3))
    np.testing.assert_array_equal(interpolate(x, size=(1, 4)).data.ravel(), [0, 0, 1, 2])
    np.testing.assert_array_equal(interpolate(x.data[0], size=2), [[[0, 1], [3, 4]]])  # (n, c, length)
    interpolate(x, size=(4, 4)).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[[4, 2, 2], [4, 2, 2]]]])


@pytest.mark.parametrize("ndim", [3, 4, 5])
@pytest.mark.parametrize("length, factor", [(6, 2.15), (6, 1.1), (5, 2.19), (4, 2.0), (4, 3.1), (6, 0.9)])
def test_a_factor_that_comes_out_twice_or_the_same(ndim, length, factor):
    torch = pytest.importorskip("torch")
    x = np.arange(length * 1.0).reshape(1, 1, *[1] * (ndim - 3), length)
    factors = (1.0,) * (ndim - 3) + (factor,)
    expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=factors)
    np.testing.assert_array_equal(interpolate(x, scale_factor=factors), expected)


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d, adaptive_avg_pool2d])
def test_a_single_image_is_a_batch_of_one(pool):
    x = Tensor(RNG(0).standard_normal((3, 5, 4)))
    out = pool(x, 2)
    np.testing.assert_array_equal(out.data, pool(x.data[None], 2)[0])
    out.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("options", [{}, {"ceil_mode": True}, {"count_include_pad": False}, {"divisor_override": 9}])
def test_means_of_large_float16_numbers(options):
    x = Tensor(np.full((1, 1, 5, 5), 30000, np.float16))
    out = avg_pool2d(x, 3, 2, **options)
    out.backward(np.ones(out.shape))
    assert out.dtype == x.grad.dtype == np.float16
    np.testing.assert_array_equal(out.data, 30000)
    x = Tensor(np.full((1, 1, 64, 65), 30000, np.float16))
    out = adaptive_avg_pool2d(x, (1, 2))
    assert out.dtype == np.float16 and (out.data == 30000).all()


def test_integers_become_floats():
    x = np.full((1, 1, 3, 3), 200, np.uint8)
    for pool in (max_pool2d, avg_pool2d, adaptive_avg_pool2d):
        assert pool(x, 2).dtype == np.float32 and (pool(x, 2) == 200).all()
    assert interpolate(x, 6).dtype == np.uint8  # nothing is computed


IMAGES = np.zeros((2, 3, 5, 6))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: max_pool2d(IMAGES, 6), ValueError, r"max_pool2d: a kernel of \(6, 6\) does not fit"),
        (lambda: max_pool2d(IMAGES, 3, dilation=3), ValueError, r"\(3, 3\), which reaches over \(7, 7\), does not fit"),
        (lambda: max_pool2d(IMAGES, 2, padding=2), ValueError, r"padding \(2, 2\) is more than half of the kernel"),
        (lambda: max_pool2d(IMAGES, 2, dilation=0), ValueError, "max_pool2d: dilation is 0"),
        (lambda: max_pool2d(IMAGES, 2, ceil_mode=1), TypeError, "max_pool2d: ceil_mode is 1"),
        (lambda: max_pool2d(IMAGES, 2, return_indices=True), TypeError, "return_indices is left out"),
        (lambda: avg_pool2d(IMAGES, 2, padding=2), ValueError, r"padding \(2, 2\) is more than half of the kernel"),
        (lambda: avg_pool2d(IMAGES[0, 0], 2), ValueError, r"avg_pool2d: input of shape \(5, 6\); it must be \(n, chan"),
        (lambda: avg_pool2d(IMAGES, (2, "3")), TypeError, "kernel_size"),
        (lambda: avg_pool2d(IMAGES, 2, count_include_pad=0), TypeError, "avg_pool2d: count_include_pad is 0"),
        (lambda: avg_pool2d(IMAGES, 2, divisor_override=0), ValueError, "avg_pool2d: divisor_override is 0"),
        (lambda: adaptive_avg_pool2d(IMAGES, 0), ValueError, "adaptive_avg_pool2d: output_size is 0"),
        (lambda: adaptive_avg_pool2d(IMAGES, 2.0), TypeError, "adaptive_avg_pool2d: output_size is 2.0"),
        (lambda: adaptive_avg_pool2d(IMAGES, (1, 2, 3)), ValueError, r"output_size is \(1, 2, 3\); it must be a pair"),
        (lambda: adaptive_avg_pool2d(IMAGES[..., :0], 1), ValueError, r"\(2, 3, 5, 0\) has no pixels"),
        (lambda: interpolate(IMAGES), ValueError, "size is None and scale_factor None; give one of the two"),
        (lambda: interpolate(IMAGES, 2, 2), ValueError, "size is 2 and scale_factor 2; give one"),
        (
            lambda: interpolate(IMAGES, 2, mode="bilinear"),
            ValueError,
            "interpolate: mode is 'bilinear'; it must be 'nea",
        ),
        (lambda: interpolate(IMAGES, 2.0), TypeError, "interpolate: size is 2.0"),
        (lambda: interpolate(IMAGES, 0), ValueError, "interpolate: size is 0"),
        (lambda: interpolate(IMAGES, (2, 2, 2)), ValueError, r"size is \(2, 2, 2\); .* one for each axis of \(5, 6\)"),
        (lambda: interpolate(IMAGES, scale_factor=-1), ValueError, "scale_factor is -1"),
        (lambda: interpolate(IMAGES, scale_factor="2"), TypeError, "scale_factor is '2'"),
        (lambda: interpolate(IMAGES, scale_factor=0.1), ValueError, "5 pixels along axis 2 would become 0"),
        (lambda: interpolate(IMAGES[0, 0], 2), ValueError, r"input of shape \(5, 6\); it must be \(n, channels"),
        (lambda: interpolate(IMAGES, 2, align_corners=True), TypeError, "align_corners is left out"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
