"""Layers as functions: linear, dropout and embedding, with PyTorch's names and shapes.

They check what they are given and hand it to the ops, where the formulas and their derivatives stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_edu import ops
from tinygrad_edu.arrays import brought
from tinygrad_edu.checks import check_bool, check_int, check_number
from tinygrad_edu.engine import is_tensor, new_number, plain
from tinygrad_edu.ops import Operand, checked_operand, fused
from tinygrad_edu.random import generator_or_default
from tinygrad_edu.scopes import library_function, mark

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["dropout", "embedding", "linear"]


def linear(input: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """input @ weight.T + bias: (..., in), (out, in), (out,) -> (..., out).

    Raises:
        ValueError: Shapes that do not fit.
    """
    start = new_number()
    try:
        if bias is None:
            return mark(ops.matmul(input, ops.transpose(weight)), linear, start)
        return fused.linear(input, weight, bias)
    except (TypeError, ValueError):
        x, w = checked_operand("linear", input), checked_operand("linear", weight, "weight")
        if x.ndim and w.ndim in (1, 2) and x.shape[-1] == w.shape[-1]:
            raise
        have = f"input of shape {x.shape} and weight of shape {w.shape}"
        raise ValueError(f"linear: {have}; they must be (..., in) and (out, in), with the same number in") from None


@library_function
def dropout(x: Operand, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None) -> Tensor:
    """Sets each element to 0 with probability p and divides the others by 1 - p: Srivastava et al. 2014.

    Args:
        x: Any shape.
        p: From 0 to 1.
        training: False returns x.
        rng: Generator of the draws, instead of the library's.

    Raises:
        TypeError: `training` is not a bool, or rng not a generator.
        ValueError: p is not a number in [0, 1].
    """
    x = checked_operand("dropout", x)
    p = check_number("dropout: p, the probability to drop an element,", p, at_least=0, at_most=1)
    if not check_bool("dropout: training", training) or p == 0:
        return x
    dtype = np.result_type(x.dtype, 0.5)  # the input's own if that is a floating one
    kept = generator_or_default(rng).random(x.shape, np.float32) >= p
    return ops.multiply(x, brought(kept, x) * dtype.type(1 / (1 - p) if p < 1 else 0))


@library_function
def embedding(input: ArrayLike, weight: Operand, padding_idx: int | None = None) -> Tensor:
    """The rows of a table: integers of any shape (...), (n, length) -> (..., length).

    Args:
        input: From 0 to n - 1.
        weight: The table.
        padding_idx: A row that gets no gradient; below 0 counted from the end.

    Raises:
        TypeError: `input` is not of integers.
        ValueError: An integer without a row, or a table that is not a matrix.
    """
    weight = checked_operand("embedding", weight, "weight")
    indices = plain(checked_operand("embedding", input))
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight of shape {weight.shape}; it must be (rows, length)")
    if indices.dtype.kind not in "iu" or is_tensor(input):
        hint = "; a Tensor holds floats, pass the integers as an array" if is_tensor(input) else ""
        raise TypeError(f"embedding: input is of dtype {indices.dtype}; it must hold integers, numbers of rows{hint}")
    n = len(weight)
    if indices.size and not (indices.min() >= 0 and indices.max() < n):
        wrong = indices[(indices < 0) | (indices >= n)][0]
        raise ValueError(f"embedding: a weight of shape {weight.shape} has no row {wrong}; rows are 0 to {n - 1}")
    out = ops.getitem(weight, indices)
    if padding_idx is None:
        return out
    padding = indices == check_int("embedding: padding_idx", padding_idx, -n, n - 1) % n
    return ops.where(padding[..., None], plain(out), out)
