"""Outputs whose graphs are drawn in tests."""

import numpy as np

import tinygrad_edu as te
from tinygrad_edu import Tensor, nn


def named(tensor, name):
    tensor.name = name
    return tensor


def f_of_xyz():
    x, y, z = Tensor(-2.0, name="x"), Tensor(5.0, name="y"), Tensor(-4.0, name="z")
    return named(named(x + y, "q") * z, "f")


def three_uses():
    g = Tensor(3.0, name="g")
    return named(named(g * g, "a") + g, "h")


def branch():
    a, b, c = Tensor(2.0, name="a"), Tensor(-3.0, name="b"), Tensor(1.0, name="c")
    g = a + te.maximum(a * b, c)
    return g * g


def network():
    nn.init.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    x = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    return named(nn.MSELoss()(net(x), np.zeros((4, 2), np.float32)), "L")


class Block(nn.Module):
    """Two layers, added to what they get."""

    def __init__(self, rng):
        self.first, self.second = nn.Linear(3, 3, rng=rng), nn.Linear(3, 3, rng=rng)

    def forward(self, x):
        return x + self.second(self.first(x).relu())


def tower(blocks):
    rng = np.random.default_rng(0)
    net = nn.Sequential(*[Block(rng) for _ in range(blocks)], nn.Linear(3, 2, rng=rng))
    return net(Tensor(np.ones((2, 3)), name="x")).sum()
