"""The ops of convolution.py are walked in test_ops.py; here is what they do at the edges, in memory and by hand."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from strategies import convolutions

from tinygrad_edu import Tensor, gradients, no_grad
from tinygrad_edu.engine import REGISTRY
from tinygrad_edu.functional import avg_pool2d, conv2d, max_pool2d
from tinygrad_edu.ops import convolution

RNG = np.random.default_rng


@pytest.mark.parametrize("name", ["conv2d", "conv2d_input", "conv2d_weight"])
@given(data=st.data())
@settings(max_examples=25)
def test_the_two_gradients_are_torch_nn_grads(name, data):
    torch = pytest.importorskip("torch")
    operands, params = data.draw(convolutions({"conv2d": "y", "conv2d_input": "x", "conv2d_weight": "weight"}[name]))
    found = REGISTRY[name].call(*operands, **params)
    first, second, *bias = map(torch.tensor, operands)
    steps = {option: value for option, value in params.items() if option != "shape"}
    if name == "conv2d":
        expected = torch.nn.functional.conv2d(first, second, *bias, **steps)
    elif name == "conv2d_input":
        expected = torch.nn.grad.conv2d_input(params["shape"], second, first, **steps)
    else:
        expected = torch.nn.grad.conv2d_weight(first, params["shape"], second, **steps)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_the_three_ops_are_one_sum(stride, dilation):
    x, weight = RNG(0).standard_normal((2, 4, 13, 14)), RNG(1).standard_normal((6, 2, 3, 4))
    for padding in [(0, 0), (1, 2), (9, 0)]:  # the last is wider than a kernel
        how = {"stride": (stride, 2), "padding": padding, "dilation": (dilation, 1), "groups": 2}
        border = np.pad(x, [(0, 0), (0, 0), *[(width, width) for width in padding]])
        seen = convolution.windows(border, (3, 4), (stride, 2), (dilation, 1))
        seen = seen.reshape(2, 2, 2, *seen.shape[2:])  # (n, groups, c / groups, rows, columns, *size)
        out = np.einsum("ngcijab,gocab->ngoij", seen, weight.reshape(2, 3, 2, 3, 4)).reshape(2, 6, *seen.shape[3:5])
        np.testing.assert_allclose(convolution.conv2d(x, weight, **how), out, rtol=1e-12, atol=1e-12)
        y = RNG(2).standard_normal(out.shape)
        to_x = convolution.conv2d_input(y, weight, shape=x.shape, **how)
        to_weight = convolution.conv2d_weight(x, y, shape=weight.shape, **how)
        np.testing.assert_allclose([(to_x * x).sum(), (to_weight * weight).sum()], (out * y).sum(), rtol=1e-10)


@pytest.mark.parametrize("slab", [1, 1000, 5000])
@pytest.mark.parametrize(
    "steps", [{}, {"stride": (2, 1), "padding": (1, 2)}, {"stride": 3}, {"stride": (4, 1), "dilation": (2, 1)}]
)
def test_how_many_windows_are_copied_at_a_time_changes_nothing(slab, steps, monkeypatch):
    def results():
        x, weight = Tensor(RNG(0).standard_normal((2, 3, 12, 7))), Tensor(RNG(1).standard_normal((4, 3, 3, 2)))
        out = conv2d(x, weight, np.ones(4), **steps)
        out.backward(RNG(2).standard_normal(out.shape))
        return out.data, x.grad, weight.grad

    expected = results()  # all at once
    monkeypatch.setattr(convolution, "SLAB", slab)
    for a, b in zip(results(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_third_derivatives_are_made_of_the_same_three_ops():
    x, weight = Tensor(RNG(0).standard_normal((2, 2, 4, 4))), Tensor(RNG(1).standard_normal((3, 2, 2, 2)))
    out = conv2d(x, weight, stride=2, padding=1)
    (slope,) = gradients((out**3).sum(), [x], create_graph=True)
    (curve,) = gradients((slope**2).sum(), [weight], create_graph=True)
    waiting, used = [curve], set()
    while waiting:
        t = waiting.pop()
        used |= {t._op.name} if t._op else set()
        waiting += [y for y in t._inputs if isinstance(y, Tensor)]
    assert used <= {"conv2d", "conv2d_input", "conv2d_weight", "multiply", "power", "add"}
    (third,) = gradients((curve**2).sum(), [x])
    step, v = 1e-4, RNG(2).standard_normal(x.shape)

    def value(t):
        moved = Tensor(x.data + t * v)
        (slope,) = gradients((conv2d(moved, weight, stride=2, padding=1) ** 3).sum(), [moved], create_graph=True)
        return (gradients((slope**2).sum(), [weight])[0] ** 2).sum()

    np.testing.assert_allclose((third * v).sum(), (value(step) - value(-step)) / (2 * step), rtol=1e-5)


def test_convolution_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    corners = np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    np.testing.assert_array_equal(conv2d(x, corners), np.full((1, 1, 3, 3), -5.0))
    np.testing.assert_array_equal(conv2d(x, corners, np.array([2.0]), stride=2), np.full((1, 1, 2, 2), -3.0))
    out = conv2d(x, corners, padding=(1, 0))
    assert out.shape == (1, 1, 5, 3)
    np.testing.assert_array_equal(out[0, 0, 0], -x[0, 0, 0, 1:])


def test_the_first_of_equal_winners_takes_the_gradient():
    x = Tensor([[[[1.0, 3.0, 3.0], [3.0, 3.0, 3.0]]]])
    max_pool2d(x, (2, 3)).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[[0, 1, 0], [0, 0, 0]]]])
    x = Tensor(np.zeros((1, 1, 4, 4)))
    max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_a_pixel_in_several_windows_gets_all_their_gradients():
    x = Tensor(np.arange(5.0).reshape(1, 1, 1, 5))
    max_pool2d(x, (1, 3), stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad.ravel(), [0, 0, 1, 1, 1])
    x = Tensor([[[[0.0, 0.0, 9.0, 0.0, 0.0]]]])
    max_pool2d(x, (1, 3), stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad.ravel(), [0, 0, 3, 0, 0])
    x = Tensor(np.zeros((1, 1, 3, 3)))
    conv2d(x, np.ones((1, 1, 2, 2))).sum().backward()
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


def test_negative_images_pooled_with_a_border():
    x = np.full((1, 1, 2, 2), -3.0)
    np.testing.assert_array_equal(max_pool2d(x, 2, padding=1), np.full((1, 1, 2, 2), -3.0))  # the border never wins
    np.testing.assert_array_equal(avg_pool2d(x, 2, padding=1), np.full((1, 1, 2, 2), -0.75))  # but counts as zeros


def test_empty_batches():
    x, weight = Tensor(np.zeros((0, 2, 5, 5))), Tensor(np.ones((3, 2, 2, 2)))
    out = max_pool2d(avg_pool2d(conv2d(x, weight, padding=1), 2), 2)
    assert out.shape == (0, 3, 1, 1)
    out.sum().backward()
    assert x.grad.shape == x.shape
    np.testing.assert_array_equal(weight.grad, np.zeros(weight.shape))


def test_float32_stays_and_the_results_are_chained_without_a_copy():
    x, weight = RNG(0).standard_normal((4, 2, 6, 6)), RNG(1).standard_normal((3, 2, 3, 3))
    x, weight = Tensor(x, dtype=np.float32), Tensor(weight, dtype=np.float32)
    out = max_pool2d(conv2d(x, weight, np.zeros(3, np.float32), padding=1).relu(), 2)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == weight.grad.dtype == np.float32
    assert out.data.transpose(1, 2, 3, 0).flags.c_contiguous


@pytest.mark.parametrize(
    "step", [lambda x: max_pool2d(x, 2), lambda x: max_pool2d(x, 3, 1), lambda x: avg_pool2d(x, 2)]
)
def test_pooling_gives_the_same_whatever_the_order_in_memory(step):
    values, found = RNG(0).integers(0, 3, (3, 2, 6, 5)) / 2, []  # with equal ones
    for order in [(0, 1, 2, 3), (1, 2, 3, 0), (2, 0, 3, 1)]:
        x = Tensor(values.transpose(order).copy().transpose(np.argsort(order)))
        out = step(x)
        out.backward(RNG(1).standard_normal(out.shape))
        assert x.grad.transpose(1, 2, 3, 0).flags.c_contiguous
        found += [out.data, x.grad]
    for a, b in zip(found[2:], found[:2] * 2, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nan_wins_and_the_gradient_of_its_window_is_nan():
    x = Tensor([[[[1.0, np.nan, 5.0, 6.0], [2.0, 3.0, 7.0, 8.0]]]])
    out = max_pool2d(x, 2)
    out.sum().backward()
    assert np.isnan(out.data[..., 0]).all()
    np.testing.assert_array_equal(x.grad, [[[[np.nan, np.nan, 0, 0], [np.nan, np.nan, 0, 1]]]])


def test_integers_become_floats():
    x = np.full((1, 1, 2, 2), 200, np.uint8)
    assert conv2d(x, np.full((1, 1, 2, 2), 2, np.uint8)).item() == 1600
    assert avg_pool2d(x, 2).item() == 200
    np.testing.assert_array_equal(
        max_pool2d(np.full((1, 1, 2, 2), -5, np.int8), 2, padding=1), np.full((1, 1, 2, 2), -5)
    )
    assert max_pool2d(x, 2).dtype == np.float32


def test_the_mean_of_large_float16_numbers():
    x = Tensor(np.full((1, 1, 2, 2), 30000, np.float16))
    out = avg_pool2d(x, 2)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == np.float16
    assert out.item() == 30000 and (x.grad == 0.25).all()


def test_images_without_gradient_are_not_copied_for_each_window():
    x, weight = Tensor(np.ones((8, 2, 30, 30)), requires_grad=False), Tensor(np.ones((2, 2, 5, 5)))
    recorded = conv2d(x, weight)
    with no_grad():
        tracemalloc.start()
        out = conv2d(x, weight)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_array_equal(out.data, recorded.data)
    columns = 8 * 26 * 26 * 2 * 25 * 8  # bytes of the windows, of which the product needs some at a time
    assert peak < columns / 2
    assert isinstance(conv2d(x, np.ones((2, 2, 5, 5))), Tensor)


def test_a_pixel_in_many_windows_loses_no_count_in_float16():
    pixel, kernel = Tensor(np.ones((1, 1, 1, 1)), dtype=np.float16), np.ones((1, 1, 64, 64), np.float16)
    conv2d(pixel, kernel, padding=63).sum().backward()
    assert pixel.grad.dtype == np.float16 and pixel.grad.item() == 64 * 64
    out = convolution.fold(np.ones((1, 1, 64, 64, 64, 64), np.float16), (64, 64), (1, 1), (1, 1, 127, 127))
    assert out.dtype == np.float16 and out.max() == 64 * 64
