"""Ops that change shapes: the same elements in another shape or order of axes, or repeated along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.engine import Array, op
from tinygrad_edu.ops.elementwise import Operand, as_operand

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "Axis", "broadcast_to", "expand_dims", "flatten", "moveaxis", "ravel", "reshape", "squeeze", "swapaxes", "tile",
    "transpose",
]  # fmt: skip

Axis: TypeAlias = "int | tuple[int, ...] | None"


@op(lambda g, out, x, shape: g.reshape(x.shape))
def reshape(x: Operand, shape: int | Sequence[int]) -> Array:
    """The elements in row-major order in another shape; one length may be -1."""
    return np.reshape(x, shape)


def ravel(x: Operand) -> Tensor:
    """All elements in one axis, in row-major order."""
    return reshape(x, -1)


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
    """Axes in another order, reversed if none is given."""
    return np.transpose(x, axes)


def swapaxes(x: Operand, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_operand(x)
    order = list(range(x.ndim))
    i, j = normalize_axis_index(axis1, x.ndim), normalize_axis_index(axis2, x.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(x, order)


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


@op(lambda g, out, x, shape: g)
def broadcast_to(x: Operand, shape: int | tuple[int, ...]) -> Array:
    """x repeated along new or length-1 axes; the gradient is the sum over the copies."""
    return np.broadcast_to(x, shape)


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
