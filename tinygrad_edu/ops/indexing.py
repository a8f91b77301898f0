"""Ops that take elements: by index, in another order, along a diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.axes import at
from tinygrad_edu.ops.elementwise import Operand, as_operand, where
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import Axis, moveaxis, reshape

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["diagonal", "flip", "getitem", "repeat", "roll", "scatter", "sort", "trace", "tril", "triu"]


@op(lambda g, out, x, index: scatter(g, index, x.shape))
def getitem(x: Operand, index: Any) -> Array:
    """x[index]; an element that is taken several times receives the sum of its gradients."""
    return x[index]


@op(lambda g, out, x, index, shape: getitem(g, index))
def scatter(x: Operand, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at [index]: what getitem is to its gradient.

    With integer arrays `out[index] = x` would go wrong: for the index [0, 0] the last value would win, but both count.
    """
    out = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(i is None or isinstance(i, (int, slice, EllipsisType)) for i in parts):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


def flip(x: Operand, axis: Axis = None) -> Tensor:
    """Reversed along the axes, or along all."""
    x = as_operand(x)
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return getitem(x, tuple([slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)]))


def roll(x: Operand, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Elements shifted along the axes; what leaves at one end comes in at the other."""
    x = as_operand(x)
    return reshape(getitem(reshape(x, -1), np.roll(np.arange(x.size).reshape(x.shape), shift, axis)), x.shape)


def repeat(x: Operand, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times, along an axis or flattened; `repeats` is a number or one number per element."""
    x = as_operand(x)
    if axis is None:
        x, axis = reshape(x, -1), 0
    return getitem(x, at(axis, x, np.repeat(np.arange(x.shape[axis]), repeats)))


def sort(x: Operand, axis: int | None = -1, kind: Any = None) -> Tensor:
    """Ascending along an axis, or flattened; each gradient returns to where its element came from."""
    x = as_operand(x)
    if axis is None:
        x, axis = reshape(x, -1), -1
    order = np.argsort(plain(x), axis=axis, kind=kind or "stable")
    index: list[Any] = list(np.indices(order.shape, sparse=True))
    index[axis] = order
    return getitem(x, tuple(index))


def tril(x: Operand, k: int = 0) -> Tensor:
    """Zero above the k-th diagonal of the last two axes."""
    x = as_operand(x)
    return where(lower_triangle(x, k), x, 0)


def triu(x: Operand, k: int = 0) -> Tensor:
    """Zero below the k-th diagonal of the last two axes."""
    x = as_operand(x)
    return where(lower_triangle(x, k - 1), 0, x)


def lower_triangle(x: Tensor, k: int) -> Array:
    """Where the last two axes are on or below their k-th diagonal; the only axis of a vector counts as both."""
    return np.tri(x.shape[-min(2, x.ndim)], x.shape[-1], k, dtype=bool)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two axes, as the last axis of the result."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    n = len(np.diagonal(np.empty((rows, columns), bool), offset))
    i = np.arange(n) + (-offset if offset < 0 else 0)
    return getitem(x, (..., i, i + offset))


def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal of two axes."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)
