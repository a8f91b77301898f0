import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from torch_steps import check_training

from tinygrad_edu import functional, nn

RNG = np.random.default_rng
X = RNG(0).standard_normal((2, 2, 7, 8))


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("MaxPool2d", (2,), {}),
        ("MaxPool2d", ((2, 3), (1, 2), 1, (1, 2)), {"ceil_mode": True}),
        ("AvgPool2d", (2,), {}),
        ("AvgPool2d", (3, 2, 1, True, False), {}),
        ("AvgPool2d", ((2, 3), None, 0, False, True, 4), {}),
        ("AdaptiveAvgPool2d", (1,), {}),
        ("AdaptiveAvgPool2d", ((3, None),), {}),
        ("Upsample", (10,), {}),
        ("Upsample", (None, (2, 1.5)), {}),
        ("Upsample", (), {"scale_factor": 3, "mode": "nearest"}),
    ],
)
def test_twenty_steps_through_a_layer_are_pytorchs(name, args, options):
    torch = pytest.importorskip("torch")

    def model(m, **dtype):
        return m.Sequential(m.Conv2d(2, 3, 3, padding=1, **dtype), getattr(m, name)(*args, **options), m.Tanh())

    check_training(model(nn, rng=RNG(1), dtype=np.float64), model(torch.nn), X)


@given(st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=10)
def test_pooling_is_the_maximum_or_mean_of_every_window(size, stride):
    for pool, reduce in ((nn.MaxPool2d, np.max), (nn.AvgPool2d, np.mean)):
        out = pool(size, stride)(X)
        for i, j in np.ndindex(*out.shape[2:]):
            window = X[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            np.testing.assert_allclose(out[:, :, i, j], reduce(window, (2, 3)), rtol=1e-12)


def test_shapes_of_a_network_that_takes_images_of_any_size():
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    for height in (3, 8):
        assert model(np.zeros((4, 2, height, 9), np.float32)).shape == (4, 3)
    assert nn.Upsample(scale_factor=2)(X[0][None]).shape == (1, 2, 14, 16)
    assert nn.MaxPool2d(2)(X[0]).shape == (2, 3, 4)


def test_each_option_reaches_the_function():
    x = X[..., :4]
    found = nn.AvgPool2d(3, 2, 1, True, False, None)(x), functional.avg_pool2d(x, 3, 2, 1, True, False, None)
    np.testing.assert_array_equal(*found)
    assert not np.array_equal(found[0], nn.AvgPool2d(3, 2, 1, True)(x))
    np.testing.assert_allclose(nn.AvgPool2d(3, 2, divisor_override=4)(X) * 4, nn.AvgPool2d(3, 2)(X) * 9)
    found = nn.MaxPool2d(2, 2, 1, 2, ceil_mode=True)(X), functional.max_pool2d(X, 2, 2, 1, 2, True)
    np.testing.assert_array_equal(*found)


def test_the_settings_are_shown():
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
    assert repr(nn.AvgPool2d(3, 2)) == "AvgPool2d(kernel_size=3, stride=2, padding=0)"
    assert repr(nn.AdaptiveAvgPool2d((2, None))) == "AdaptiveAvgPool2d(output_size=(2, None))"
    assert repr(nn.Upsample(size=4)) == "Upsample(size=4, mode='nearest')"
    assert repr(nn.Upsample(scale_factor=2.0)) == "Upsample(scale_factor=2.0, mode='nearest')"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size is 0"),
        (lambda: nn.MaxPool2d(None), TypeError, "MaxPool2d: kernel_size is None"),
        (lambda: nn.MaxPool2d(2, dilation=0), ValueError, "MaxPool2d: dilation is 0"),
        (lambda: nn.MaxPool2d(2, ceil_mode=None), TypeError, "MaxPool2d: ceil_mode is None"),
        (
            lambda: nn.MaxPool2d(2, 2, 0, 1, False),
            TypeError,
            "takes at most 4 arguments by position, and got 5",
        ),  # PyTorch's fifth is return_indices
        (lambda: nn.MaxPool2d(2, return_indices=True), TypeError, "return_indices is left out"),
        (lambda: nn.MaxPool2d(2, padding=2)(X), ValueError, "more than half of the kernel"),
        (lambda: nn.MaxPool2d(9)(X), ValueError, r"a kernel of \(9, 9\) does not fit into images of \(7, 8\)"),
        (
            lambda: nn.MaxPool2d(2)(X[0, 0]),
            ValueError,
            r"input of shape \(7, 8\); it must be \(n, channels, height, wid",
        ),
        (lambda: nn.AvgPool2d(2, 0), ValueError, "AvgPool2d: stride is 0"),
        (lambda: nn.AvgPool2d(2, padding=-1), ValueError, "AvgPool2d: padding is -1"),
        (lambda: nn.AvgPool2d(2, padding=2)(X), ValueError, "more than half of the kernel"),
        (lambda: nn.AvgPool2d(2, count_include_pad=1), TypeError, "AvgPool2d: count_include_pad is 1"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), ValueError, "AvgPool2d: divisor_override is 0"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "AdaptiveAvgPool2d: output_size is 0"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ValueError, "it must be a pair"),
        (lambda: nn.Upsample(), ValueError, "Upsample: size is None and scale_factor None; give one of the two"),
        (lambda: nn.Upsample(2, 2), ValueError, "Upsample: size is 2 and scale_factor 2"),
        (lambda: nn.Upsample(2, mode="bilinear"), ValueError, "Upsample: mode is 'bilinear'; it must be 'nearest'"),
        (lambda: nn.Upsample(2.5), TypeError, "Upsample: size is 2.5"),
        (lambda: nn.Upsample(scale_factor=0), ValueError, "Upsample: scale_factor is 0"),
        (lambda: nn.Upsample(2, align_corners=True), TypeError, "align_corners is left out"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()
