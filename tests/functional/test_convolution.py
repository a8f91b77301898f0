"""Convolutions as functions: every option, against PyTorch, by hand and by finite differences."""

import numpy as np
import pytest
from finite_differences import check, check_dtype
from hypothesis import given, settings, strategies as st
from torch_steps import check_alike

from tinygrad_edu import Tensor
from tinygrad_edu.functional import conv1d, conv2d, conv_transpose2d

RNG = np.random.default_rng
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def numbers(draw, n, low, high):
    """So many integers, as a tuple or, if they are equal, perhaps as one."""
    values = tuple([draw(st.integers(low, high)) for _ in range(n)])
    return values[0] if len({*values}) == 1 and draw(st.booleans()) else values


@st.composite
def convolutions(draw, ndim=2, most=3, largest=8):
    """(x, weight and perhaps a bias) and all options of conv1d or conv2d, of which some do not fit."""
    groups, kernel = draw(st.integers(1, 3)), [draw(st.integers(1, most)) for _ in range(ndim)]
    c, out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    padding = draw(st.sampled_from(["same", "valid", None, None, None]))
    options = {
        "stride": 1 if padding == "same" else numbers(draw, ndim, 1, 3),
        "padding": numbers(draw, ndim, 0, 3) if padding is None else padding,
        "dilation": numbers(draw, ndim, 1, 2),
        "groups": groups,
    }
    lead = (c,) if draw(st.integers(0, 3)) == 0 else (draw(st.integers(0, 2)) + (largest < 8), c)
    shape = (*lead, *[draw(st.integers(max(1, k - 1), largest)) for k in kernel])
    arrays = [RNG(0).standard_normal(shape), RNG(1).standard_normal((out, c // groups, *kernel))]
    if draw(st.booleans()):
        arrays.append(RNG(2).standard_normal(out))
    return arrays, options, draw(st.sampled_from([*MODES]))


def layer(ndim, weight, bias, padding_mode, stride, padding, dilation, groups):
    """PyTorch's convolution with these weights: as a function it knows no padding_mode."""
    torch = pytest.importorskip("torch")
    make = torch.nn.Conv1d if ndim == 1 else torch.nn.Conv2d
    found = make(
        weight.shape[1] * groups, len(weight), tuple(weight.shape[2:]), stride, padding, dilation, groups,
        padding_mode=padding_mode, bias=bias is not None,
    )  # fmt: skip
    for name, value in (("weight", weight), ("bias", bias)):
        delattr(found, name)
        setattr(found, name, value)
    return found


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("ndim", [1, 2])
@given(data=st.data())
@settings(max_examples=30)
def test_convolutions_are_pytorchs(ndim, data):
    arrays, options, mode = data.draw(convolutions(ndim))
    function = (conv1d, conv2d)[ndim - 1]
    check_alike(
        lambda *arrays: function(*arrays, **options, padding_mode=mode),
        lambda x, weight, bias=None: layer(ndim, weight, bias, mode, **options)(x),
        *arrays,
    )


@st.composite
def transposed(draw):
    """(x, weight and perhaps a bias) and all options of conv_transpose2d, of which some do not fit."""
    groups, kernel = draw(st.integers(1, 3)), [draw(st.integers(1, 3)) for _ in range(2)]
    c, out = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    lead = (c,) if draw(st.integers(0, 3)) == 0 else (draw(st.integers(1, 2)), c)
    arrays = [
        RNG(0).standard_normal((*lead, *[draw(st.integers(1, 4)) for _ in range(2)])),
        RNG(1).standard_normal((c, out, *kernel)),
    ]
    if draw(st.booleans()):
        arrays.append(RNG(2).standard_normal(out * groups))
    options = {"stride": numbers(draw, 2, 1, 3), "padding": numbers(draw, 2, 0, 1), "groups": groups}
    return arrays, options | {"output_padding": numbers(draw, 2, 0, 2), "dilation": numbers(draw, 2, 1, 3)}


@given(transposed())
@settings(max_examples=30)
def test_transposed_convolutions_are_pytorchs(case):
    torch = pytest.importorskip("torch")
    arrays, options = case
    order = ("stride", "padding", "output_padding", "groups", "dilation")
    check_alike(
        lambda x, weight, bias=None: conv_transpose2d(x, weight, bias, *[options[name] for name in order]),
        lambda x, weight, bias=None: torch.nn.functional.conv_transpose2d(x, weight, bias, **options),
        *arrays,
    )


@given(st.integers(1, 2), st.data())
@settings(max_examples=12)
def test_first_and_second_derivatives(ndim, data):
    arrays, options, mode = data.draw(convolutions(ndim, most=2, largest=3))
    options["padding"] = min(options["padding"], 1) if type(options["padding"]) is int else "valid"
    function = (conv1d, conv2d)[ndim - 1]
    arrays = [np.clip(a, -1, 1) for a in arrays]

    def convolved(*arrays):
        return function(*arrays, **options, padding_mode=mode)

    try:
        convolved(*arrays)
    except ValueError:
        return
    check(convolved, *arrays)
    check_dtype(convolved, arrays, np.float32)


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "output_padding": 1}, {"dilation": 2, "groups": 2, "padding": 1}]
)
def test_derivatives_of_transposed_convolutions(options):
    x, weight = RNG(0).uniform(-1, 1, (1, 2, 2, 2)), RNG(1).uniform(-1, 1, (2, 1, 2, 2))
    bias = RNG(2).uniform(-1, 1, options.get("groups", 1))
    check(lambda *xs: conv_transpose2d(*xs, **options), x, weight, bias)


@pytest.mark.parametrize("options", [{}, {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}])
def test_a_transposed_convolution_is_the_gradient_of_a_convolution(options):
    x, weight = (
        Tensor(RNG(0).standard_normal((2, 4, 7, 8))),
        RNG(1).standard_normal((6, 4 // options.get("groups", 1), 3, 2)),
    )
    y = conv2d(x, weight, **options)
    upstream = RNG(2).standard_normal(y.shape)
    y.backward(upstream)
    np.testing.assert_allclose(conv_transpose2d(upstream, weight, **options), x.grad, rtol=1e-12, atol=1e-12)


def test_a_transposed_convolution_by_hand():
    x, weight = np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 10.0, 100.0]]]])
    np.testing.assert_array_equal(conv_transpose2d(x, weight).ravel(), [1, 12, 120, 200])
    np.testing.assert_array_equal(conv_transpose2d(x, weight, stride=(1, 2)).ravel(), [1, 10, 102, 20, 200])
    np.testing.assert_array_equal(conv_transpose2d(x, weight, stride=(1, 2), padding=(0, 1)).ravel(), [10, 102, 20])
    more = conv_transpose2d(x, weight, np.array([0.5]), stride=(1, 2), padding=(0, 1), output_padding=(0, 1))
    np.testing.assert_array_equal(more.ravel(), [10.5, 102.5, 20.5, 200.5])
    wide = conv_transpose2d(x, weight, dilation=(1, 3), output_padding=(0, 2))
    np.testing.assert_array_equal(wide.ravel(), [1, 2, 0, 10, 20, 0, 100, 200, 0, 0])


@pytest.mark.parametrize("mode", MODES)
def test_a_border_is_numpys(mode):
    x, weight = RNG(0).standard_normal((2, 2, 4, 5)), RNG(1).standard_normal((3, 2, 3, 2))
    found = conv2d(x, weight, padding=(2, 1), padding_mode=mode)
    around = np.pad(x, [(0, 0), (0, 0), (2, 2), (1, 1)], MODES[mode])
    np.testing.assert_allclose(found, conv2d(around, weight), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dilation", [1, 2, (2, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_same_keeps_the_size(mode, dilation):
    x = RNG(0).standard_normal((1, 1, 6, 7))
    for size in ((1, 1), (3, 3), (2, 3), (4, 2)):
        if mode == "zeros" or max(size) < 4:
            assert conv2d(x, np.ones((1, 1, *size)), None, 1, "same", dilation, padding_mode=mode).shape == x.shape
    even = np.array([[[[1.0, 0.0]]]])  # shows the left one of two pixels, so the wider border is on the right
    np.testing.assert_array_equal(conv2d(x, even, padding="same"), x)


def test_groups_are_convolutions_beside_each_other():
    x, weight, bias = RNG(0).standard_normal((2, 6, 5, 4)), RNG(1).standard_normal((4, 3, 2, 2)), np.arange(4.0)
    halves = [conv2d(x[:, 3 * i : 3 * i + 3], weight[2 * i : 2 * i + 2], bias[2 * i : 2 * i + 2]) for i in range(2)]
    np.testing.assert_allclose(conv2d(x, weight, bias, groups=2), np.concatenate(halves, 1), rtol=1e-12, atol=1e-12)
    depthwise = conv2d(x, weight.reshape(12, 1, 2, 2)[:6], groups=6)
    np.testing.assert_allclose(depthwise[:, 5], conv2d(x[:, 5:], weight[1:2, 2:])[:, 0], rtol=1e-12, atol=1e-12)


def test_dilation_takes_each_second_pixel():
    x = np.arange(5.0).reshape(1, 1, 5)
    np.testing.assert_array_equal(conv1d(x, np.array([[[1.0, 10.0]]]), dilation=2)[0, 0], [20, 31, 42])
    spread = np.array([[[[1.0, 0.0, 10.0]]]])
    image = RNG(0).standard_normal((1, 1, 4, 6))
    np.testing.assert_allclose(conv2d(image, spread), conv2d(image, spread[..., ::2], dilation=2), rtol=1e-12)


@pytest.mark.parametrize("function", [conv1d, conv2d, conv_transpose2d])
def test_a_single_image_is_a_batch_of_one(function):
    shape = (2, 5) if function is conv1d else (2, 5, 4)
    x, weight = Tensor(RNG(0).standard_normal(shape)), RNG(1).standard_normal((2, 3, *[2] * (len(shape) - 1)))
    weight = weight if function is conv_transpose2d else np.swapaxes(weight, 0, 1)
    out = function(x, weight)
    np.testing.assert_array_equal(out.data, function(x.data[None], weight)[0])
    out.sum().backward()
    assert x.grad.shape == shape


def test_integers_become_floats_and_dtypes_stay():
    x = np.full((1, 1, 2, 2), 200, np.uint8)
    assert conv2d(x, np.full((1, 1, 2, 2), 2, np.uint8)).item() == 1600
    assert conv_transpose2d(x, np.full((1, 1, 1, 1), 2, np.uint8)).max() == 400
    for function in (conv2d, conv_transpose2d):
        a, weight = Tensor(np.ones((2, 2, 4, 4)), dtype=np.float16), Tensor(np.ones((2, 1, 3, 3)), dtype=np.float16)
        out = function(a, weight, np.ones(2, np.float16), groups=2)
        out.sum().backward()
        assert out.dtype == a.grad.dtype == weight.grad.dtype == np.float16


def test_a_transposed_convolution_loses_no_count_in_float16():
    x, weight = np.ones((1, 4096, 1, 1), np.float16), np.ones((4096, 1, 1, 1), np.float16)
    assert conv_transpose2d(x, weight).item() == 4096
    x, weight = np.ones((1, 1, 64, 64), np.float16), np.ones((1, 1, 64, 64), np.float16)
    assert conv_transpose2d(x, weight, padding=63).item() == 64 * 64


IMAGES, KERNELS, LINES = np.zeros((2, 3, 5, 6)), np.zeros((4, 3, 3, 3)), np.zeros((2, 3, 9))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv2d(IMAGES[:, 0], KERNELS), ValueError, r"\(1, 2, 5, 6\) has 2 channels, but the w.* takes 3"),
        (lambda: conv2d(IMAGES[0, 0], KERNELS), ValueError, r"\(5, 6\); it must be \(n, channels, height, width\), or"),
        (lambda: conv2d(IMAGES[:, :1], KERNELS), ValueError, r"has 1 channels, but the weight of shape .* takes 3;"),
        (lambda: conv2d(IMAGES, KERNELS[0]), ValueError, r"weight of shape \(3, 3, 3\), groups=1; they must be \(out,"),
        (lambda: conv2d(IMAGES, KERNELS, np.zeros(3)), ValueError, r"bias of shape \(3,\)"),
        (lambda: conv2d(IMAGES, KERNELS[:, :1], groups=3), ValueError, "and out a multiple of groups"),
        (lambda: conv2d(IMAGES, KERNELS[:, :2], groups=2), ValueError, "takes 4 with groups=2"),
        (lambda: conv2d(IMAGES, KERNELS, groups=0), ValueError, "conv2d: groups is 0"),
        (lambda: conv2d(IMAGES, KERNELS, groups=1.0), TypeError, "conv2d: groups is 1.0"),
        (lambda: conv2d(IMAGES, np.zeros((4, 3, 7, 3))), ValueError, r"kernel of \(7, 3\) does not fit .* \(5, 6\)"),
        (lambda: conv2d(IMAGES, KERNELS, dilation=3), ValueError, r"\(3, 3\), which reaches over \(7, 7\), does not"),
        (lambda: conv2d(IMAGES, KERNELS, dilation=0), ValueError, "conv2d: dilation is 0"),
        (lambda: conv2d(IMAGES, KERNELS, stride=0), ValueError, "conv2d: stride is 0; it must be an integer of at lea"),
        (lambda: conv2d(IMAGES, KERNELS, stride=1.0), TypeError, "stride is 1.0"),
        (lambda: conv2d(IMAGES, KERNELS, stride=(1, 2, 3)), ValueError, r"stride is \(1, 2, 3\); .* or a pair"),
        (lambda: conv2d(IMAGES, KERNELS, padding=-1), ValueError, "padding is -1"),
        (lambda: conv2d(IMAGES, KERNELS, padding="full"), ValueError, "is 'full'; it must be 'same' or 'valid'"),
        (lambda: conv2d(IMAGES, KERNELS, stride=2, padding="same"), ValueError, r"'same' with the stride \(2, 2\)"),
        (lambda: conv2d(IMAGES, KERNELS, padding_mode="edge"), ValueError, "padding_mode is 'edge'; it must be 'ze"),
        (lambda: conv2d(IMAGES, KERNELS, padding=5, padding_mode="reflect"), ValueError, "reflect border must be na"),
        (lambda: conv2d(IMAGES, KERNELS, padding=6, padding_mode="circular"), ValueError, "circular .* at most as w"),
        (lambda: conv1d(IMAGES, KERNELS), ValueError, r"conv1d: input of shape \(2, 3, 5, 6\); it must be \(n, chan"),
        (lambda: conv1d(LINES, np.zeros((4, 2, 3))), ValueError, r"\(2, 3, 9\) has 3 channels, but .* takes 2; the"),
        (lambda: conv1d(LINES, np.zeros((4, 3, 11))), ValueError, r"kernel of \(11,\) does not fit"),
        (lambda: conv1d(LINES, np.zeros((4, 3, 3)), stride=(1, 1)), TypeError, r"conv1d: stride is \(1, 1\)"),
        (lambda: conv_transpose2d(IMAGES, KERNELS), ValueError, r"has 3 channels; weight takes 4"),
        (lambda: conv_transpose2d(IMAGES, KERNELS[:3, 0]), ValueError, r"they must be \(channels, out / groups, h"),
        (lambda: conv_transpose2d(IMAGES, KERNELS[:3], np.zeros(4)), ValueError, r"bias of shape \(4,\) and groups=1"),
        (lambda: conv_transpose2d(IMAGES, KERNELS[:3], groups=2), ValueError, "groups=2; they must be"),
        (lambda: conv_transpose2d(IMAGES, KERNELS[:3], output_padding=1), ValueError, r"\(1, 1\) must be less than th"),
        (lambda: conv_transpose2d(IMAGES, KERNELS[:3], padding=4), ValueError, r"would become \(-1, 0\); take a sm"),
        (lambda: conv_transpose2d(IMAGES, KERNELS[:3], padding="same"), TypeError, "padding is 'same'"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("function", [conv1d, conv2d, conv_transpose2d])
def test_no_pixels_no_channels_and_kernels_of_size_0(function):
    axes = 1 if function is conv1d else 2
    name = function.__name__
    with pytest.raises(ValueError, match=rf"^{name}: input of shape \(1, 0, 3.* has no channels"):
        function(np.ones((1, 0, *[3] * axes)), np.ones((2, 0, *[2] * axes)))
    with pytest.raises(ValueError, match=rf"^{name}: input of shape \(1, 1, 0.* has no pixels"):
        function(np.ones((1, 1, 0, *[3] * (axes - 1))), np.ones((1, 1, *[2] * axes)), padding=1)
    for shape in [(1, 1, 0, *[2] * (axes - 1)), (1, 0, *[2] * axes), (0, 1, *[2] * axes)]:
        with pytest.raises(ValueError, match=rf"^{name}: weight of shape .*, no length of them 0"):
            function(np.ones((1, 1, *[3] * axes)), np.ones(shape))
    assert function(np.ones((0, 1, *[3] * axes)), np.ones((1, 1, *[2] * axes))).shape[0] == 0
