"""Distances: losses of predictions that are numbers, over all their elements; how they treat a large error differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import check_number
from tinygrad_edu.engine import plain
from tinygrad_edu.functional.losses import HALF, Reduction, of_equal_shape, reduced, through_float32
from tinygrad_edu.ops import Operand
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


@library_function
def mse_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Tensor:
    """Squared error (input - target)**2: Legendre 1805, Gauss 1809.

    Args:
        input: Predictions of any shape.
        target: Of the same shape.
        reduction: "mean" or "sum" over all elements, or "none".

    Raises:
        ValueError: The shapes differ, or an unknown reduction.
    """
    input, target = of_equal_shape("mse_loss", input, target)
    if input.dtype == target.dtype == HALF:
        return through_float32(mse_loss, input, target, reduction)
    difference = ops.subtract(input, target)
    return reduced(ops.multiply(difference, difference), reduction)


@library_function
def l1_loss(input: Operand, target: Operand, reduction: Reduction = "mean") -> Tensor:
    """Absolute error |input - target|, Laplace 1774: outliers pull on it no harder than others. Its slope at 0 is 0.

    Args and Raises: As for mse_loss.
    """
    input, target = of_equal_shape("l1_loss", input, target)
    if input.dtype == target.dtype == HALF:
        return through_float32(l1_loss, input, target, reduction)
    return reduced(ops.abs(ops.subtract(input, target)), reduction)


@library_function
def huber_loss(input: Operand, target: Operand, reduction: Reduction = "mean", delta: float = 1.0) -> Tensor:
    """Squared error / 2 up to a distance d = |input - target| of delta, a line beyond: Huber 1964.

        d**2 / 2                    where d <= delta
        delta * (d - delta / 2)     elsewhere

    Where the line begins the second derivative is 0, as in PyTorch.

    Args:
        input: Predictions of any shape.
        target: Of the same shape.
        reduction: "mean" or "sum" over all elements, or "none".
        delta: Largest slope, above 0.

    Raises:
        ValueError: The shapes differ, delta is not above 0, or an unknown reduction.
    """
    input, target = of_equal_shape("huber_loss", input, target)
    delta = check_number("huber_loss: delta", delta, above=0, finite=False)
    if input.dtype == target.dtype == HALF:
        return through_float32(huber_loss, input, target, reduction, delta)
    return reduced(bent(ops.subtract(input, target), delta), reduction)


def bent(difference: Tensor, delta: float, unit: float = 1.0) -> Tensor:
    """The losses of huber_loss, divided by the unit."""
    near = (np.abs(plain(difference)) < delta) | (delta == np.inf)
    inside = difference if near.all() else ops.where(near, difference, 0.0)
    losses = inside * (0.5 * inside) if unit == 1 else (inside / unit) * (0.5 * inside)  # no square overflows
    if near.all():
        return losses
    return ops.where(near, losses, delta / unit * (ops.abs(difference) - 0.5 * delta))


@library_function
def smooth_l1_loss(input: Operand, target: Operand, reduction: Reduction = "mean", beta: float = 1.0) -> Tensor:
    """Absolute error with a round bottom, huber_loss with delta beta over beta: Girshick 2015. Its largest slope is 1.

        d**2 / (2 * beta)     where d < beta, for the distance d = |input - target|
        d - beta / 2          elsewhere

    Where the line begins the second derivative is 0.

    Args:
        input, target, reduction: As for huber_loss.
        beta: Where the line begins, at least 0; with 0 it is l1_loss.

    Raises:
        ValueError: The shapes differ, beta is below 0 or not finite, or an unknown reduction.
    """
    input, target = of_equal_shape("smooth_l1_loss", input, target)
    beta = check_number("smooth_l1_loss: beta", beta, at_least=0)
    if input.dtype == target.dtype == HALF:
        return through_float32(smooth_l1_loss, input, target, reduction, beta)
    difference = ops.subtract(input, target)
    sharp = not difference.dtype.type(beta)
    return reduced(ops.abs(difference) if sharp else bent(difference, beta, beta), reduction)
