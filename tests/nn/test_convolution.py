import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from strategies import spaced
from torch_steps import check_training

from tinygrad_edu import gradcheck, manual_seed, nn, optim
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.training import accuracy

RNG = np.random.default_rng
pairs = st.tuples(st.integers(1, 3), st.integers(1, 2)) | st.integers(1, 2)
settings_of = st.fixed_dictionaries({"kernel_size": pairs, "stride": pairs})


def numbers(low, high, ndim):
    """A tuple of integers, or one for all axes."""
    number = st.integers(low, high)
    return st.tuples(*[number] * ndim) | number


@st.composite
def layers(draw):
    """(a layer's name, its arguments, an input), by position as far as possible."""
    name, ndim = draw(st.sampled_from([("Conv1d", 1), ("Conv2d", 2), ("ConvTranspose2d", 2)]))
    groups, stride, dilation = draw(st.integers(1, 2)), draw(numbers(1, 2, ndim)), draw(numbers(1, 2, ndim))
    padding, bias = draw(numbers(0, 1, ndim)), draw(st.booleans())
    sizes = [groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)), draw(numbers(1, 3, ndim))]
    if name == "ConvTranspose2d":
        more = draw(numbers(0, 1, ndim))
        more = 0 if np.min(stride) == 1 and np.min(dilation) == 1 else more
        args = [*sizes, stride, padding, more, groups, bias, dilation]
    else:
        padding = draw(st.sampled_from([padding, padding, "same", "valid"]))
        mode = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
        args = [*sizes, 1 if padding == "same" else stride, padding, dilation, groups, bias, mode]
    lead = draw(st.sampled_from([(2, sizes[0]), (sizes[0],)]))
    return name, args, RNG(1).standard_normal((*lead, *[draw(st.integers(5, 6)) for _ in range(ndim)]))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@settings(max_examples=15)
@given(layers())
def test_twenty_steps_are_pytorchs(case):
    torch = pytest.importorskip("torch")
    name, args, x = case
    ours = getattr(nn, name)(*args, rng=RNG(0), dtype=np.float64)
    check_training(ours, getattr(torch.nn, name)(*args), x)


def test_the_order_of_the_arguments_is_pytorchs():
    conv = nn.Conv2d(4, 6, 3, 2, 1, (1, 2), 2, False, "reflect")
    assert repr(conv) == (
        "Conv2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 2), groups=2, "
        "padding_mode='reflect', bias=False)"
    )
    assert conv.weight.shape == (6, 2, 3, 3) and list(conv.state_dict()) == ["weight"]
    conv = nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, True, 1)
    assert repr(conv) == (
        "ConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1), groups=2)"
    )
    assert conv.weight.shape == (4, 3, 3, 3) and list(conv.state_dict()) == ["weight", "bias"]
    assert nn.ConvTranspose2d(1, 1, 3, 2, 1, 1, 1, False, 2)(np.ones((1, 1, 4, 5))).shape == (1, 1, 10, 12)
    conv = nn.Conv1d(4, 6, 3, padding="same")
    assert repr(conv) == "Conv1d(4, 6, kernel_size=(3,), stride=(1,), padding='same')"
    assert conv.weight.shape == (6, 4, 3)


def test_a_transposed_convolution_goes_back_to_the_size_before():
    for size in range(5, 11):
        x = np.zeros((1, 3, size, size), np.float32)
        made = nn.Conv2d(3, 4, 3, stride=3, padding=1)(x)
        back = nn.ConvTranspose2d(4, 3, 3, stride=3, padding=1)
        assert back(made, output_size=size).shape == x.shape
    with pytest.raises(
        ValueError, match=r"output_size is 13, but images of \(4, 4\) become ones of \(10, 10\) to \(12"
    ):
        nn.ConvTranspose2d(4, 3, 3, stride=3, padding=1)(np.zeros((1, 4, 4, 4)), output_size=13)


def test_the_initial_weights_are_pytorchs():
    for conv, fan_in in ((nn.Conv2d(4, 64, 3, groups=2), 18), (nn.ConvTranspose2d(64, 4, 3, groups=2), 18)):
        bound = 1 / np.sqrt(fan_in)
        assert 0.9 * bound < np.abs(conv.weight.data).max() <= bound
        assert np.abs(conv.bias.data).max() <= bound


@settings(max_examples=5)
@given(st.data(), settings_of, st.integers(0, 1), st.booleans())
def test_conv2d_gradients(data, sizes, padding, bias):
    conv = nn.Conv2d(2, 2, **sizes, padding=padding, bias=bias, rng=RNG(0), dtype=np.float64)
    x = data.draw(spaced(st.tuples(st.just(1), st.just(2), st.integers(3, 4), st.just(3)))) / 4
    assert gradcheck(lambda x, *_: conv(x), x, *conv.parameters(), order=2)


@pytest.mark.parametrize(
    "scheme", ["kaiming_normal", "xavier_uniform", "orthogonal", lambda w: nn.init.normal(w, std=0.1)]
)
def test_other_schemes_leave_the_bias_0(scheme):
    conv = nn.Conv2d(4, 8, 3, init=scheme)
    assert conv.weight.data.all() and not conv.bias.data.any()


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
        (lambda: nn.Conv2d(1, 3, 3, rng=0), TypeError, "got 0; make one with default_rng"),
        (lambda: nn.Conv2d(1, 3, 3, dilation=0), ValueError, "Conv2d: dilation is 0"),
        (
            lambda: nn.Conv2d(4, 3, 3, groups=2),
            ValueError,
            "Conv2d: .*out_channels=3 and groups=2; both must be multip",
        ),
        (lambda: nn.Conv2d(3, 4, 3, groups=0), ValueError, "Conv2d: groups is 0"),
        (lambda: nn.Conv2d(1, 3, 3, 2, "same"), ValueError, r"Conv2d: padding is 'same' with the stride \(2, 2\)"),
        (lambda: nn.Conv2d(1, 3, 3, padding="full"), ValueError, "Conv2d: padding is 'full'; it must be 'same' or"),
        (lambda: nn.Conv2d(1, 3, 3, padding_mode="edge"), ValueError, "Conv2d: padding_mode is 'edge'"),
        (lambda: nn.Conv1d(1, 3, (3, 3)), TypeError, r"Conv1d: kernel_size is \(3, 3\)"),
        (lambda: nn.ConvTranspose2d(1, 3, 3, padding="same"), TypeError, "ConvTranspose2d: padding is 'same'"),
        (
            lambda: nn.ConvTranspose2d(1, 3, 3, output_padding=1),
            ValueError,
            "output_padding is 1; it must be less than",
        ),
        (lambda: nn.ConvTranspose2d(1, 3, 3, padding_mode="reflect"), ValueError, "padding_mode is 'reflect'; it mus"),
    ],
)
def test_wrong_sizes(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.Conv2d(1, 8, 3), (64, 28, 28), r"add a channel axis: x\[:, None\]"),
        (nn.Conv2d(3, 8, 3), (28, 28, 3), r"batch axis: np.moveaxis\(x, -1, 0\)\[None\]"),
        (nn.Conv2d(1, 8, 3), (28, 28), r"batch and channel axes: x\[None, None\]"),
        (nn.Conv2d(1, 8, 3), (64, 784), r"in rows: x.reshape\(-1, 1, 28, 28\)"),
        (nn.Conv2d(3, 8, 3), (27,), r"in rows: x.reshape\(-1, 3, 3, 3\)"),
        (nn.Conv2d(3, 8, 3), (64, 28, 28, 3), r"np.moveaxis\(x, -1, 1\)"),
        (nn.Conv2d(3, 8, 3), (64, 1, 28, 28), r"\(64, 1, 28, 28\); it must be \(n, 3, height, width\)$"),
        (nn.Conv2d(1, 8, 3), (64, 784), r"Conv2d\(1, 8\) got input of shape \(64, 784\)"),
        (nn.Conv2d(1, 8, 5), (2, 1, 4, 4), "does not fit"),
    ],
)
def test_wrong_inputs_say_what_to_do(layer, shape, words):
    with pytest.raises(ValueError, match=words):
        layer(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("channels", "shape"),
    [(1, (5, 4, 4)), (1, (4, 4)), (1, (5, 9)), (3, (4, 4, 3)), (3, (5, 4, 4, 3)), (3, (5, 12)), (2, (18,))],
)
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
def test_hints_lead_somewhere(make, channels, shape):
    follow(make(channels, 2, 1), np.zeros(shape, np.float32))


@pytest.mark.parametrize(("channels", "shape"), [(1, (5, 9)), (1, (9,)), (3, (5, 9, 3)), (3, (9, 3))])
def test_hints_for_sequences_lead_somewhere(channels, shape):
    follow(nn.Conv1d(channels, 2, 1), np.zeros(shape, np.float32))


def follow(layer, x):
    """Does what the layer's error says."""
    with pytest.raises(ValueError) as caught:
        layer(x)
    hints = re.findall(r"x\[[^\]]*\]|x\.reshape\(.*?\)|np\.moveaxis\(.*?\)(?:\[None\])?", str(caught.value))
    assert hints
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
