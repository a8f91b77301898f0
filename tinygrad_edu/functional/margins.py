"""Margins: losses that are content once the right answer is ahead by some distance, and then teach nothing more.

Their kink is that of a hinge, max(0, margin - x); compare cross-entropy, which never quite ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.arrays import beside
from tinygrad_edu.checks import check_number
from tinygrad_edu.engine import plain
from tinygrad_edu.functional.losses import (
    HALF,
    Reduction,
    as_floating,
    check_classes,
    check_labels,
    checked_labels,
    class_weights,
    of_equal_shape,
    pick,
    reduced,
    through_float32,
    times,
)
from tinygrad_edu.ops import Operand
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["hinge_embedding_loss", "multi_margin_loss"]


@library_function
def hinge_embedding_loss(
    input: Operand, target: Operand, reduction: Reduction = "mean", *, margin: float = 1.0
) -> Tensor:
    """Brings pairs that belong together near, and keeps the others a margin apart: Mobahi, Collobert & Weston 2009.

        x                     where the target is 1
        max(0, margin - x)    where it is -1

    Args:
        input: Distances x of the pairs, of any shape.
        target: Of the same shape: 1 for two that belong together, -1 for two that do not.
        reduction: "mean" or "sum" over all elements, or "none".
        margin: Distance from which on two count as apart.

    Raises:
        ValueError: The shapes differ, a target is neither 1 nor -1, the margin is not a finite number, or an unknown
            reduction.
    """
    name = "hinge_embedding_loss"
    input, target = of_equal_shape(name, input, target)
    margin, values = check_number(f"{name}: margin", margin), plain(target)
    if not (np.abs(values) == 1).all():
        other = values[np.abs(values) != 1].flat[0]
        raise ValueError(f"{name}: among the targets is {other:g}; they must be 1 and -1, 2 * t - 1 of 0 and 1")
    if input.dtype == HALF:
        return through_float32(hinge_embedding_loss, input, target, reduction, margin=margin)
    return reduced(ops.where(values == 1, input, ops.clip(margin - input, 0, None)), reduction)


@library_function
def multi_margin_loss(
    input: Operand,
    target: Operand,
    reduction: Reduction = "mean",
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: Operand | None = None,
) -> Tensor:
    """The hinge of support vector machines for several classes: Weston & Watkins 1999.

    sum(max(0, margin - input[t] + input[j])**p) / classes, over all classes j but the right one t.

    Args:
        input: Scores of shape (..., classes).
        target: Integer labels t of shape (...), each in [0, classes).
        reduction: "mean" or "sum" over the batch, or "none" for shape (...).
        p: 1 or 2.
        margin: By how much the right class must be ahead.
        weight: Factor weight[t] of the loss, one number per class, (classes,); 1 if None. The mean is over the size of
            the batch all the same.

    Raises:
        TypeError: Labels that are not integers.
        ValueError: Shapes that do not fit, a label or a weight out of range, another p, a margin that is not a finite
            number, or an unknown reduction.
    """
    name = "multi_margin_loss"
    input, target = as_floating(f"{name}: input", input), checked_labels(name, target)
    check_classes(name, input)
    if target.shape != input.shape[:-1]:
        shape = input.shape[:-1]
        raise ValueError(f"{name}: input {input.shape} takes labels of shape {shape}, not {target.shape}")
    check_labels(name, input, target)
    margin = check_number(f"{name}: margin", margin)
    if isinstance(p, bool) or p not in (1, 2):
        raise ValueError(f"{name}: p is {p!r:.60}; it must be 1 or 2")
    if input.dtype == HALF:
        return through_float32(multi_margin_loss, input, target, reduction, p=p, margin=margin, weight=weight)
    others = beside(input, np.arange, input.shape[-1]) != target[..., None]
    excess = ops.where(others, ops.relu(margin - ops.expand_dims(pick(input, target), -1) + input), 0.0)
    losses = ops.sum(excess if p == 1 else excess * excess, axis=-1) / input.shape[-1]
    if weight is not None:
        losses = times(losses, class_weights(name, weight, input)[target])
    return reduced(losses, reduction)
