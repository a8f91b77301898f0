"""Activations that are composed of ops; those with a rule of their own stand in `ops`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine import plain
from tinygrad_edu.ops import Operand, as_operand

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["elu", "gelu", "prelu", "silu"]


def silu(x: Operand) -> Tensor:
    """x * sigmoid(x): Elfwing, Uchibe & Doya 2018; called swish by Ramachandran, Zoph & Le 2017."""
    return ops.multiply(x, ops.sigmoid(x))


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x) - 1) where x <= 0: Clevert, Unterthiner & Hochreiter 2016. The slope at 0 is alpha."""
    positive = plain(as_operand(x)) > 0
    left = ops.expm1(ops.where(positive, 0, x))  # of min(x, 0): exp(x) overflows where it is not wanted
    return ops.where(positive, x, ops.multiply(left, alpha))


def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x times the probability that a standard normal number is below x: Hendrycks & Gimpel 2016.

    Args:
        x: Any shape.
        approximate: "none" for x / 2 * (1 + erf(x / sqrt(2))), exact and slow (see erf), or "tanh" for the paper's
            x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), fast and at most 0.0005 off.

    Raises:
        ValueError: Another approximation.
    """
    x = as_operand(x)
    if approximate == "none":
        return ops.multiply(0.5 * x, 1 + ops.erf(x * math.sqrt(0.5)))
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    near = ops.clip(x, -10, 10)  # beyond, tanh is 1, and the cube may overflow
    return ops.multiply(0.5 * x, 1 + ops.tanh(math.sqrt(2 / math.pi) * near * (1 + 0.044715 * near * near)))


def prelu(x: Operand, weight: Operand) -> Tensor:
    """leaky_relu with slopes that are learned: He, Zhang, Ren & Sun 2015.

    Args:
        x: Any shape; with several slopes (n, channels, ...).
        weight: One slope, of shape (1,) or (), or one per channel, (channels,).

    Raises:
        ValueError: The number of slopes is neither 1 nor the length of axis 1.
    """
    x, weight = as_operand(x), as_operand(weight)
    if weight.size != 1 and (weight.ndim != 1 or x.shape[1:2] != weight.shape):
        raise ValueError(
            f"prelu: weight of shape {weight.shape} for input {x.shape}; it takes one slope, or one for each place of "
            "axis 1"
        )
    slopes = ops.reshape(weight, () if weight.size == 1 else (-1, *(1,) * (x.ndim - 2)))
    right = np.maximum(np.sign(plain(x)), 0)  # 1 where x > 0, else 0, and NaN stays NaN
    return ops.multiply(x, right + (1 - right) * slopes)
