"""Activations that are composed of ops, or take PyTorch's arguments; those with a rule of their own stand in `ops`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.arguments import Default, answering_for
from tinygrad_edu.checks import check_axis, check_choice, check_number
from tinygrad_edu.engine import is_tensor, plain
from tinygrad_edu.ops import Operand, checked_operand
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "elu", "gelu", "leaky_relu", "log_softmax", "prelu", "relu", "sigmoid", "silu", "softmax", "softplus", "tanh",
]  # fmt: skip


LAST = Default(-1)
leaky_relu, sigmoid = answering_for(ops.leaky_relu), answering_for(ops.sigmoid)
relu, tanh = answering_for(ops.relu), answering_for(ops.tanh)


def with_limits(name: str, f: Callable[[Tensor], Tensor], x: Operand) -> Tensor:
    """x times a factor that goes from 0 to 1, with its limits at -inf and inf: as a product, 0 * inf."""
    x = checked_operand(name, x)
    infinite = np.isinf(plain(x))
    if not infinite.any():
        return f(x)
    return ops.where(infinite, ops.relu(x), f(ops.where(infinite, 0.0, x)))


@library_function
def silu(x: Operand) -> Tensor:
    """x * sigmoid(x): Elfwing, Uchibe & Doya 2018; called swish by Ramachandran, Zoph & Le 2017."""
    return with_limits("silu", lambda x: ops.multiply(x, ops.sigmoid(x)), x)


@library_function
def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x) - 1) where x <= 0: Clevert, Unterthiner & Hochreiter 2016. The slope at 0 is alpha."""
    if not is_tensor(alpha):  # which may be learned
        alpha = check_number("elu: alpha", alpha)
    x = checked_operand("elu", x)
    positive = plain(x) > 0
    left = ops.expm1(ops.where(positive, 0, x))  # of min(x, 0): exp(x) overflows where it is not wanted
    return ops.where(positive, x, ops.multiply(left, alpha))


@library_function
def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x times the probability that a standard normal number is below x: Hendrycks & Gimpel 2016.

    Args:
        x: Any shape.
        approximate: "none" for x / 2 * (1 + erf(x / sqrt(2))), exact and slow (see erf), or "tanh" for the paper's
            x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), fast and at most 0.0005 off.

    Raises:
        ValueError: Another approximation.
    """
    check_choice("gelu: approximate", approximate, ("none", "tanh"))
    return with_limits("gelu", by_erf if approximate == "none" else by_tanh, x)


def by_erf(x: Tensor) -> Tensor:
    """gelu as it is defined."""
    return ops.multiply(0.5 * x, 1 + ops.erf(x * math.sqrt(0.5)))


def by_tanh(x: Tensor) -> Tensor:
    """gelu as the paper approximates it."""
    near = ops.clip(x, -10, 10)  # beyond, tanh is 1, and the cube may overflow
    return ops.multiply(0.5 * x, 1 + ops.tanh(math.sqrt(2 / math.pi) * near * (1 + 0.044715 * near * near)))


@library_function
def prelu(x: Operand, weight: Operand) -> Tensor:
    """leaky_relu with slopes that are learned: He, Zhang, Ren & Sun 2015.

    Args:
        x: Any shape; with several slopes (n, channels, ...).
        weight: One slope, of shape (1,) or (), or one per channel, (channels,).

    Raises:
        ValueError: The number of slopes is neither 1 nor the length of axis 1.
    """
    x, weight = checked_operand("prelu", x), checked_operand("prelu", weight, "weight")
    if weight.size != 1 and (weight.ndim != 1 or x.shape[1:2] != weight.shape):
        raise ValueError(
            f"prelu: weight of shape {weight.shape} for input {x.shape}; it takes one slope, or one for each place of "
            "axis 1"
        )
    slopes = ops.reshape(weight, () if weight.size == 1 else (-1, *(1,) * (x.ndim - 2)))
    right = np.maximum(np.sign(1.0 * plain(x)), 0)  # 1 where x > 0, else 0, and NaN stays NaN
    above = plain(x) == math.inf  # its gradient with respect to the slope would be inf * 0
    left = ops.where(above, 0.0, x) if above.any() else x
    out = ops.multiply(left, right + (1 - right) * slopes)
    return ops.where(above, x, out) if above.any() else out


@library_function
def softplus(x: Operand, beta: float = 1.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, a smooth relu: Dugas et al. 2001.

    Args:
        x: Any shape.
        beta: How sharp the bend is, above 0. PyTorch's `threshold` is left out: the exponential cannot overflow here,
            only beta * x can: in float16 with a beta of 20 beyond 3275.

    Raises:
        ValueError: beta is not a number above 0.
    """
    beta = check_number("softplus: beta", beta, above=0)
    return ops.softplus(x) if beta == 1 else ops.divide(ops.softplus(ops.multiply(x, beta)), beta)


@library_function
def softmax(x: Operand, dim: int = LAST, *, axis: int | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis: Boltzmann 1868, Bridle 1990. Positive numbers that add up to 1.

    Args:
        x: Any shape with that axis.
        dim: The axis.
        axis: NumPy's word for it, as in np.sum; give one of the two.

    Raises:
        AxisError: x has no such axis.
        TypeError: Both are given, or one that is not an integer.
    """
    x = checked_operand("softmax", x)
    return ops.softmax(x, one_axis("softmax", x, dim, axis))


@library_function
def log_softmax(x: Operand, dim: int = LAST, *, axis: int | None = None) -> Tensor:
    """log(softmax(x)) along an axis, exact where softmax itself would round to 0.

    Args and Raises: As for softmax.
    """
    x = checked_operand("log_softmax", x)
    return ops.log_softmax(x, one_axis("log_softmax", x, dim, axis))


def one_axis(name: str, x: Tensor, dim: int, axis: int | None) -> int:
    """The axis of x by one of its two names."""
    if axis is None:
        return check_axis(f"{name}: dim", -1 if dim is LAST else dim, x.shape)
    if dim is not LAST:
        raise TypeError(f"{name}: dim is {dim!r:.60} and axis {axis!r:.60}, which mean the same; give one of them")
    return check_axis(f"{name}: axis", axis, x.shape)
