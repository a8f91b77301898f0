"""Ops that take elements, or put them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.elementwise import Operand, as_operand, where
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import Axis, expand_dims, moveaxis, reshape

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "concatenate", "diagonal", "flip", "getitem", "pad", "repeat", "roll", "scatter", "sort", "split", "stack",
    "trace", "tril", "triu",
]  # fmt: skip


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


def at(axis: int, x: Array, index: Array) -> tuple[Array, ...]:
    """The index that is `index` along one axis and everything along the others."""
    return (*[slice(None)] * normalize_axis_index(axis, x.ndim), index)


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


def split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Equal parts along an axis, or parts that start at the given indices."""
    x = as_operand(x)
    parts = np.split(np.arange(x.shape[axis]), indices_or_sections)
    return [getitem(x, at(axis, x, slice(p[0], p[-1] + 1) if p.size else slice(0, 0))) for p in parts]


def sort(x: Operand, axis: int | None = -1, kind: Any = None) -> Tensor:
    """Ascending along an axis, or flattened; each gradient returns to where its element came from."""
    x = as_operand(x)
    if axis is None:
        x, axis = reshape(x, -1), -1
    order = np.argsort(plain(x), axis=axis, kind=kind or "stable")
    index: list[Any] = list(np.indices(order.shape, sparse=True))
    index[axis] = order
    return getitem(x, tuple(index))


@op(lambda i, g, out, *arrays, axis: getitem(g, block(arrays, i, axis)).reshape(arrays[i].shape), variadic=True)
def _concatenate(*arrays: Operand, axis: int | None) -> Array:
    """Arrays one after another along an axis, or all flattened with axis=None."""
    return np.concatenate(arrays, axis)


def block(arrays: Sequence[Array], i: int, axis: int | None) -> tuple[Array, ...]:
    """Where the i-th array lies within the concatenation."""
    lengths = [x.size if axis is None else x.shape[axis] for x in arrays[: i + 1]]
    before = (slice(None),) * (axis % arrays[i].ndim if axis else 0)
    return (*before, slice(int(np.sum(lengths[:i])), int(np.sum(lengths))))


def concatenate(arrays: Sequence[Operand], axis: int | None = 0) -> Tensor:
    """Arrays one after another along an existing axis, or all flattened with axis=None."""
    return _concatenate(*[as_operand(x) for x in arrays], axis=axis)


def stack(arrays: Sequence[Operand], axis: int = 0) -> Tensor:
    """Arrays of one shape side by side along a new axis."""
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


def pad(x: Operand, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """A constant border.

    Args:
        x: Any shape.
        pad_width: n, (before, after), or one such pair per axis.
        mode: Only "constant".
        constant_values: The number in the border.

    Raises:
        ValueError: Another mode.
    """
    if mode != "constant":
        raise ValueError(f"pad: mode {mode!r} is not differentiable here; only mode='constant' is")
    x = as_operand(x)
    border = np.pad(np.zeros(x.shape, x.dtype), pad_width, constant_values=constant_values)
    before = np.broadcast_to(pad_width, (x.ndim, 2))[:, 0].tolist()
    inside = tuple([slice(b, b + n) for b, n in zip(before, x.shape, strict=True)])
    return scatter(x, inside, border.shape) + border


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
