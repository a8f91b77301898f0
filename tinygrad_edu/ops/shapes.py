"""Ops that change shapes: the same elements in another shape or order of axes, or repeated along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.engine import Array, op
from tinygrad_edu.ops.elementwise import Operand, as_operand

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "Axis", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to", "expand_dims", "flatten",
    "matrix_transpose", "meshgrid", "moveaxis", "permute_dims", "ravel", "reshape", "rollaxis", "squeeze", "swapaxes",
    "tile", "transpose",
]  # fmt: skip

Axis: TypeAlias = "int | tuple[int, ...] | None"


@op(lambda g, out, x, shape: g.reshape(x.shape))
def _reshape(x: Operand, shape: int | Sequence[int]) -> Array:
    """The elements in row-major order in another shape."""
    return np.reshape(x, shape)


def reshape(x: Operand, shape: int | Sequence[int], order: str = "C", *, copy: bool | None = None) -> Tensor:
    """The elements in another shape.

    Args:
        x: Any shape.
        shape: Of as many elements; one length may be -1.
        order: "C", the last axis runs fastest, in x and in the result, or "F", the first.
        copy: Without effect: nobody can write into the result of an op, so a view is as good as a copy.

    Raises:
        ValueError: Another order ("A" depends on how the elements lie in memory), or a shape that does not fit.
    """
    if order == "C":
        return _reshape(x, shape)
    if order != "F":
        raise ValueError(f"reshape: order {order!r} depends on how x lies in memory; choose 'C' or 'F'")
    return transpose(_reshape(transpose(x), np.atleast_1d(shape)[::-1].tolist()))


def ravel(x: Operand, order: str = "C") -> Tensor:
    """All elements in one axis, row after row or, with order="F", column after column."""
    return reshape(x, -1, order)


flatten = ravel


@op(lambda g, out, x, axis: g.reshape(x.shape))
def expand_dims(x: Operand, axis: int | tuple[int, ...]) -> Array:
    """New axes of length 1 at the given places of the result."""
    return np.expand_dims(x, axis)


def squeeze(x: Operand, axis: Axis = None) -> Tensor:
    """Without the axes of length 1, or without the named ones."""
    x = as_operand(x)
    return reshape(x, np.squeeze(np.empty(x.shape, bool), axis).shape)


@op(lambda g, out, x, axes: transpose(g, None if axes is None else np.argsort(np.asarray(axes) % x.ndim).tolist()))
def transpose(x: Operand, axes: Sequence[int] | None = None) -> Array:
    """Axes in another order, reversed if none is given; PyTorch's x.transpose(i, j) is swapaxes."""
    return np.transpose(x, axes)


permute_dims = transpose


def swapaxes(x: Operand, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_operand(x)
    order = list(range(x.ndim))
    i, j = normalize_axis_index(axis1, x.ndim), normalize_axis_index(axis2, x.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(x, order)


def matrix_transpose(x: Operand) -> Tensor:
    """The last two axes exchanged."""
    x = as_operand(x)
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: the input must be at least 2-dimensional, but it is {x.ndim}")
    return swapaxes(x, -1, -2)


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places, the rest in their order."""
    x = as_operand(x)
    sources = normalize_axis_tuple(source, x.ndim, "source")
    destinations = normalize_axis_tuple(destination, x.ndim, "destination")
    if len(sources) != len(destinations):
        raise ValueError(f"moveaxis: source {source} and destination {destination} name different numbers of axes")
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(place, axis)
    return transpose(x, tuple(order))


def rollaxis(x: Operand, axis: int, start: int = 0) -> Tensor:
    """One axis moved to stand before the axis `start`."""
    x = as_operand(x)
    axis = normalize_axis_index(axis, x.ndim)
    start = normalize_axis_index(start, x.ndim + 1) if start >= 0 else normalize_axis_index(start, x.ndim)
    return moveaxis(x, axis, start - 1 if axis < start else start)


def atleast(ndim: int, arrays: tuple[Operand, ...], widened: Callable[[Tensor], tuple[int, ...]]) -> Any:
    """Arrays of fewer axes in their widened shapes: one, or a tuple of several."""
    operands = [as_operand(x) for x in arrays]
    out = tuple([x if x.ndim >= ndim else reshape(x, widened(x)) for x in operands])
    return out[0] if len(out) == 1 else out


def atleast_1d(*arrays: Operand) -> Any:
    """Numbers as arrays of one element; several arguments give a tuple."""
    return atleast(1, arrays, lambda x: (1,))


def atleast_2d(*arrays: Operand) -> Any:
    """Numbers as (1, 1) and vectors as one row; several arguments give a tuple."""
    return atleast(2, arrays, lambda x: (1, x.size))


def atleast_3d(*arrays: Operand) -> Any:
    """Numbers as (1, 1, 1), vectors as (1, n, 1), matrices as (m, n, 1); several arguments give a tuple."""
    return atleast(3, arrays, lambda x: (*x.shape, 1) if x.ndim == 2 else (1, x.size, 1))


@op(lambda g, out, x, shape: g)
def broadcast_to(x: Operand, shape: int | tuple[int, ...]) -> Array:
    """x repeated along new or length-1 axes; the gradient is the sum over the copies."""
    return np.broadcast_to(x, shape)


def broadcast_arrays(*arrays: Operand) -> tuple[Tensor, ...]:
    """All arrays in the shape that they broadcast to."""
    operands = [as_operand(x) for x in arrays]
    shape = np.broadcast_shapes(*[x.shape for x in operands])
    return tuple([broadcast_to(x, shape) for x in operands])


def meshgrid(*arrays: Operand, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid, one array for each axis.

    Args:
        *arrays: The coordinates along each axis, vectors or numbers.
        copy: Without effect: nobody can write into the result of an op, so a view is as good as a copy.
        sparse: Leave the other axes at length 1, to be broadcast.
        indexing: "xy", the first array runs along the second axis, or "ij", along the first.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing {indexing!r} is neither 'xy' nor 'ij'")
    places = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        places[:2] = 1, 0
    out = [
        reshape(x, [-1 if i == place else 1 for i in range(len(arrays))])
        for x, place in zip(arrays, places, strict=True)
    ]
    return tuple(out) if sparse else broadcast_arrays(*out)


def tile(x: Operand, reps: int | Sequence[int]) -> Tensor:
    """The whole array several times along each axis."""
    x, repeats = as_operand(x), tuple(np.atleast_1d(reps).tolist())
    ndim = max(len(repeats), x.ndim)
    repeats, shape = (1,) * (ndim - len(repeats)) + repeats, (1,) * (ndim - x.ndim) + x.shape
    apart: list[int] = []  # (1, n0, 1, n1, ...)
    copies: list[int] = []  # (r0, n0, r1, n1, ...)
    joined: list[int] = []  # (r0 * n0, r1 * n1, ...)
    for times, size in zip(repeats, shape, strict=True):
        apart += [1, size]
        copies += [times, size]
        joined.append(times * size)
    return reshape(broadcast_to(reshape(x, apart), tuple(copies)), joined)
