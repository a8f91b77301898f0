"""Penalties: their values and gradients, and what they refuse."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, functional, optim

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
ONES = np.ones(3)


def test_penalties_of_float16():
    for number, strength in ((1e-4, 1.0), (3.0, 1e-4)):
        p = Tensor(np.full(100_000, number), dtype=np.float16)
        exact = float(p.data[0])
        for penalty, value in (("l2_penalty", exact**2 / 2), ("l1_penalty", exact)):
            out = getattr(functional, penalty)([p], strength)
            assert out.dtype == np.float16
            assert out.item() == pytest.approx(1e5 * strength * value, rel=1e-3)


def test_l2_penalty_is_weight_decay():
    decayed, penalized = (Tensor(X.copy()) for _ in range(2))
    first = optim.SGD([decayed], lr=0.1, weight_decay=0.3)
    second = optim.SGD([penalized], lr=0.1)
    for _ in range(3):
        for p, optimizer, extra in ((decayed, first, 0), (penalized, second, 0.3)):
            optimizer.zero_grad()
            loss = (p * Y).sum() + functional.l2_penalty([p], extra)
            assert loss.dtype == np.float32
            loss.backward()
            optimizer.step()
    np.testing.assert_allclose(penalized.data, decayed.data, rtol=1e-6)


def test_l1_penalty_makes_small_weights_vanish():
    target = np.float32([2.0, 0.05, -0.05])
    p = Tensor(target)
    for _ in range(200):
        p.grad = None
        (0.5 * functional.mse_loss(p, target, "sum") + functional.l1_penalty(iter([p]), 0.1)).backward()
        p.data -= 0.02 * p.grad
    np.testing.assert_allclose(p.data, [1.9, 0, 0], atol=0.005)  # soft thresholding by 0.1


@pytest.mark.parametrize("penalty", [functional.l1_penalty, functional.l2_penalty])
@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (([], 0.1), ValueError, "there are no parameters"),
        (([ONES], -0.1), ValueError, "strength is -0.1"),
        (([ONES], True), ValueError, "strength is True"),
        (([("0.weight", Tensor(ONES))], 0.1), TypeError, "is a tuple; pass mo"),
        ((Tensor(ONES), 0.1), TypeError, "parameters is a Tensor"),
        ((ONES, 0.1), TypeError, "parameters is a ndarray"),
    ],
)
def test_refusals(penalty, args, error, words):
    with pytest.raises(error, match=f"{penalty.__name__}: .*{words}"):
        penalty(*args)
