import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from strategies import spaced

from tinygrad_edu import Tensor, gradcheck, manual_seed, nn, optim
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.training import accuracy

RNG = np.random.default_rng
pairs = st.tuples(st.integers(1, 3), st.integers(1, 2)) | st.integers(1, 2)
settings_of = st.fixed_dictionaries({"kernel_size": pairs, "stride": pairs})
images = st.tuples(st.integers(1, 2), st.just(2), st.integers(3, 5), st.integers(3, 4))


def as_pair(value):
    return value if isinstance(value, tuple) else (value, value)


def windows(x, size, stride, padding, border=0.0):
    """Pairs of an output place and the window of x that is seen there, by plain loops."""
    (h, w), (down, right), (top, left) = as_pair(size), as_pair(stride), as_pair(padding)
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)), constant_values=border)
    rows, columns = (x.shape[2] - h) // down + 1, (x.shape[3] - w) // right + 1
    for i, j in np.ndindex(rows, columns):
        yield (i, j), x[:, :, i * down : i * down + h, j * right : j * right + w]


def assembled(places):
    """The output from pairs of a place and its values of shape (n, channels)."""
    places = dict(places)
    rows, columns = (1 + max(axis) for axis in zip(*places, strict=True))
    return np.stack([np.stack([places[i, j] for j in range(columns)], -1) for i in range(rows)], -2)


@settings(max_examples=40)
@given(images, settings_of, st.integers(0, 2), st.booleans())
def test_conv2d_is_the_product_with_every_window(shape, sizes, padding, bias):
    conv = nn.Conv2d(2, 3, **sizes, padding=padding, bias=bias, rng=RNG(0), dtype=np.float64)
    x = RNG(1).standard_normal(shape)
    found = windows(x, conv.kernel_size, conv.stride, padding)
    expected = assembled((place, np.einsum("nchw,ochw->no", seen, conv.weight.data)) for place, seen in found)
    expected = expected + conv.bias.data.reshape(-1, 1, 1) if bias else expected
    np.testing.assert_allclose(conv(x).data, expected, rtol=1e-12, atol=1e-12, strict=True)


@settings(max_examples=40)
@given(images, settings_of, st.integers(0, 1))
def test_pooling_is_the_maximum_or_mean_of_every_window(shape, sizes, padding):
    kernel = sizes["kernel_size"]
    padding = padding if min(as_pair(kernel)) > 1 else 0
    x = RNG(1).standard_normal(shape)
    for pool, reduce, border in ((nn.MaxPool2d, np.max, -np.inf), (nn.AvgPool2d, np.mean, 0.0)):
        found = windows(x, kernel, sizes["stride"], padding, border)
        expected = assembled((place, reduce(seen, (2, 3))) for place, seen in found)
        np.testing.assert_allclose(pool(**sizes, padding=padding)(x), expected, rtol=1e-12, atol=1e-12, strict=True)


@settings(max_examples=8)
@given(st.data(), settings_of, st.integers(0, 1), st.booleans())
def test_conv2d_gradients(data, sizes, padding, bias):
    conv = nn.Conv2d(2, 2, **sizes, padding=padding, bias=bias, rng=RNG(0), dtype=np.float64)
    x = data.draw(spaced(st.tuples(st.just(1), st.just(2), st.integers(3, 4), st.just(3)))) / 4
    assert gradcheck(lambda x, *_: conv(x), x, *conv.parameters(), order=2)


@settings(max_examples=8)
@given(spaced(images), settings_of)
def test_pooling_gradients(x, sizes):
    assert gradcheck(nn.MaxPool2d(**sizes), x)
    assert gradcheck(nn.AvgPool2d(**sizes), x)


@settings(max_examples=10)
@given(images, settings_of, st.integers(0, 1), st.booleans())
def test_agreement_with_pytorch(shape, sizes, padding, bias):
    torch = pytest.importorskip("torch")

    def model(m, **options):
        return m.Sequential(
            m.Conv2d(2, 3, **sizes, padding=padding, bias=bias, **options),
            m.Tanh(),
            m.MaxPool2d(1, (1, 2)),
            m.AvgPool2d(1, 1),
            m.Flatten(),
        )

    ours, theirs = model(nn, rng=RNG(0)), model(torch.nn)
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()}, strict=True)
    x = RNG(1).standard_normal(shape).astype(np.float32)
    a, b = Tensor(x), torch.from_numpy(x).requires_grad_()
    out, expected = ours(a), theirs(b)
    np.testing.assert_allclose(out.data, expected.detach(), rtol=1e-5, atol=1e-5)
    out.backward(out.data), expected.backward(expected.detach())
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])


@pytest.mark.parametrize(
    "scheme", ["kaiming_normal", "xavier_uniform", "orthogonal", lambda w: nn.init.normal(w, std=0.1)]
)
def test_other_schemes_leave_the_bias_0(scheme):
    conv = nn.Conv2d(4, 8, 3, init=scheme)
    assert conv.weight.data.all() and not conv.bias.data.any()


@pytest.mark.parametrize("make", [nn.MaxPool2d, nn.AvgPool2d])
def test_a_padding_of_more_than_half_the_window_is_refused(make):
    with pytest.raises(ValueError, match="more than half of the kernel"):
        make(2, padding=2)(np.ones((1, 1, 4, 4)))


def test_a_padding_of_half_the_kernel_keeps_the_size():
    x = np.zeros((2, 1, 28, 28), np.float32)
    assert nn.Conv2d(1, 4, 5, padding=2)(x).shape == (2, 4, 28, 28)
    assert nn.Conv2d(1, 4, 3)(x).shape == (2, 4, 26, 26)
    assert nn.Conv2d(1, 4, 3)(x[:0]).shape == (0, 4, 26, 26)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Conv2d(0, 3, 3), ValueError, "Conv2d: in_channels is 0; it must be an integer of at least 1"),
        (lambda: nn.Conv2d(1, 3.0, 3), ValueError, r"Conv2d: out_channels is 3\.0"),
        (lambda: nn.Conv2d(1, 3, 0), ValueError, "Conv2d: kernel_size is 0"),
        (lambda: nn.Conv2d(1, 3, 2.5), TypeError, "Conv2d: kernel_size is 2.5"),
        (lambda: nn.Conv2d(1, 3, (3, 3, 3)), ValueError, "kernel_size"),
        (lambda: nn.Conv2d(1, 3, 3, stride=0), ValueError, "Conv2d: stride is 0"),
        (lambda: nn.Conv2d(1, 3, 3, padding=-1), ValueError, "Conv2d: padding is -1"),
        (lambda: nn.Conv2d(1, 3, 3, init="lecun"), ValueError, "unknown init 'lecun'"),
        (lambda: nn.Conv2d(1, 3, 3, bias="orthogonal"), TypeError, "bias is 'orthogonal'.* init=..."),
        (lambda: nn.Conv2d(1, 3, 3, 1, 1, 2), TypeError, "positional arguments"),  # PyTorch's sixth is dilation
        (lambda: nn.Conv2d(1, 3, 3, rng=0), TypeError, "got 0; make one with default_rng"),
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size is 0"),
        (lambda: nn.MaxPool2d(None), TypeError, "MaxPool2d: kernel_size is None"),
        (lambda: nn.AvgPool2d(2, 0), ValueError, "AvgPool2d: stride is 0"),
        (lambda: nn.AvgPool2d(2, padding=-1), ValueError, "AvgPool2d: padding is -1"),
    ],
)
def test_wrong_sizes(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.Conv2d(1, 8, 3), (64, 28, 28), r"add a channel axis: x\[:, None\]"),
        (nn.Conv2d(1, 8, 3), (1, 28, 28), r"add a batch axis: x\[None\]"),
        (nn.Conv2d(3, 8, 3), (3, 28, 28), r"add a batch axis: x\[None\]"),
        (nn.Conv2d(3, 8, 3), (28, 28, 3), r"batch axis: np.moveaxis\(x, -1, 0\)\[None\]"),
        (nn.Conv2d(1, 8, 3), (28, 28), r"batch and channel axes: x\[None, None\]"),
        (nn.Conv2d(1, 8, 3), (64, 784), r"in rows: x.reshape\(-1, 1, 28, 28\)"),
        (nn.Conv2d(3, 8, 3), (27,), r"in rows: x.reshape\(-1, 3, 3, 3\)"),
        (nn.AvgPool2d(2), (3, 28, 28), r"to a single image the batch axis with x\[None\]"),
        (nn.Conv2d(3, 8, 3), (64, 28, 28, 3), r"np.moveaxis\(x, -1, 1\)"),
        (nn.Conv2d(3, 8, 3), (64, 1, 28, 28), r"\(64, 1, 28, 28\); it must be \(n, 3, height, width\)$"),
        (nn.Conv2d(1, 8, 3), (64, 784), r"Conv2d\(1, 8\) got input of shape \(64, 784\)"),
        (nn.Conv2d(1, 8, 5), (2, 1, 4, 4), "does not fit"),
        (nn.MaxPool2d(2), (64, 28, 28), r"x\[:, None\]"),
        (nn.AvgPool2d(2), (64, 784), "avg_pool2d"),
        (nn.MaxPool2d(9), (2, 1, 4, 4), "does not fit"),
    ],
)
def test_wrong_inputs_say_what_to_do(layer, shape, words):
    with pytest.raises(ValueError, match=words):
        layer(np.zeros(shape, np.float32))


@pytest.mark.parametrize("make", [lambda c: nn.Conv2d(c, 2, 1), lambda c: nn.MaxPool2d(1), lambda c: nn.AvgPool2d(1)])
@pytest.mark.parametrize(
    ("channels", "shape"),
    [(1, (5, 4, 4)), (1, (1, 4, 4)), (1, (4, 4)), (1, (4, 4, 1)), (1, (5, 9)), (3, (3, 4, 4)), (3, (4, 4, 3)),
     (3, (5, 4, 4, 3)), (3, (5, 12)), (2, (18,))],
)  # fmt: skip
def test_hints_lead_somewhere(make, channels, shape):
    layer, x = make(channels), np.zeros(shape, np.float32)
    if x.ndim == 4 and not isinstance(layer, nn.Conv2d):
        return  # a pool takes any number of channels
    with pytest.raises(ValueError) as caught:
        layer(x)
    hints = re.findall(r"x\[[^\]]*\]|x\.reshape\(.*?\)|np\.moveaxis\(.*?\)(?:\[None\])?", str(caught.value))
    assert hints or not isinstance(layer, nn.Conv2d)
    for hint in hints:
        layer(eval(hint, {"np": np, "x": x}))


def test_a_convolutional_network_learns_digits():
    digits, labels = synthetic_digits(48, seed=0)[:2]
    x = digits.reshape(48, 1, 28, 28).astype(np.float32) / 255
    manual_seed(0)
    model = nn.Sequential(
        nn.MaxPool2d(2),  # (n, 1, 14, 14)
        nn.Conv2d(1, 6, 3, padding=1, bias=False),  # (n, 6, 14, 14)
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(2),  # (n, 6, 7, 7)
        nn.Flatten(),
        nn.Linear(6 * 7 * 7, 10),
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(x), labels).backward()
        optimizer.step()
    assert accuracy(model(x), labels) == 1.0
    assert accuracy(model.eval()(x), labels) > 0.9
    assert "(6, 14, 14)" in model.summary((1, 28, 28))
