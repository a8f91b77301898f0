"""A convolution is one card in a picture, and its wires say what it hands back."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.algebra.formulas import rule_source
from tinygrad_edu.draw.record import record
from tinygrad_edu.engine import REGISTRY


def small_network():
    """A convolutional network, and images (2, 1, 6, 6) for it."""
    rng = np.random.default_rng(0)
    images = Tensor(rng.standard_normal((2, 1, 6, 6)), requires_grad=False, name="x")
    return images, nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.Conv2d(2, 3, 3, stride=2, rng=rng),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3, 2, rng=rng),
    )


def test_the_picture_of_a_network_has_the_images_and_one_card_an_op():
    x, net = small_network()
    out = net(x).sum()
    cards = record(out).cards
    assert [(card.name, card.shape) for card in cards if card.tensor is x] == [("x", (2, 1, 6, 6))]
    ops = [card.op.name for card in cards if card.op is not None]
    assert ops == ["conv2d", "relu", "conv2d", "max_pool", "reshape", "linear", "sum"]
    (images,) = [line for line in str(out.graph()).splitlines() if "x [2×1×6×6]" in line]
    assert "data" in images


def test_explain_names_the_ops_that_the_gradients_are():
    x, net = small_network()
    out = net(x).sum()
    out.backward()
    lines = {" ".join(line.split()) for line in str(out.explain()).splitlines()}
    assert lines >= {
        "∂out/∂relu1 = conv2d_input(∂conv2d2, net.2.weight) [2×2×6×6]",
        "∂out/∂net.0.weight = conv2d_weight(x, ∂conv2d1) [2×1×3×3]",
        "∂out/∂net.0.bias = sum over axes 0, 2, 3 of ∂conv2d1",
        "conv2d1 = conv2d(x, net.0.weight, net.0.bias)",
    }


def test_explain_says_which_windows_and_groups_are_meant():
    x = Tensor(np.random.default_rng(0).standard_normal((1, 2, 6, 6)), name="x")
    out = nn.MaxPool2d(2, dilation=2)(nn.Conv2d(2, 2, 2, groups=2, dilation=(1, 2))(x)).sum()
    lines = {" ".join(line.split()) for line in str(out.explain()).splitlines()}
    assert "conv2d1 = conv2d(x, weight, bias, dilation=(1, 2), groups=2)" in lines
    assert "∂out/∂conv2d1 = ∂max_pool1 to the largest of each window [1×2×5×4]" in lines
    out = nn.ConvTranspose2d(2, 2, 2, 2, groups=2, bias=False)(x).sum()
    lines = {" ".join(line.split()) for line in str(out.explain()).splitlines()}
    assert "conv2d_input1 = conv2d_input(x, weight, groups=2)" in lines
    assert "∂out/∂x = conv2d(∂conv2d_input1, weight) [1×2×6×6]" in lines


@pytest.mark.parametrize("bias", [True, False])
def test_the_wires_of_a_convolution(bias):
    images = Tensor(np.random.default_rng(0).standard_normal((2, 1, 5, 5)), name="images")
    source = nn.Conv2d(1, 2, 3, bias=bias)(images).sum().graph().source
    assert "conv2d_input(∂conv2d1, weight)" in source and "conv2d_weight(images, ∂conv2d1)" in source
    assert ("sum over axes 0, 2, 3 of" in source) == bias  # on two lines


def test_the_rules_as_they_stand_in_the_source():
    assert (
        rule_source(REGISTRY["conv2d"], 1)
        .partition("  # ")[2]
        .startswith("conv2d_input(g, weight), conv2d_weight(x, g)")
    )
    assert rule_source(REGISTRY["conv2d_input"], 1) == "conv2d_weight(g, y, shape=weight.shape, **how)"
    assert rule_source(REGISTRY["conv2d_weight"], 0) == "conv2d_input(y, g, shape=x.shape, **how)"
