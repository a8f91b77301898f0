"""What rules and composed functions do along an axis."""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.engine import Array
from tinygrad_edu.ops.shapes import Axis, expand_dims

__all__ = ["at", "backwards", "restore"]


def at(axis: int, x: Array, index: Any) -> tuple[Any, ...]:
    """The index that is `index` along one axis and everything along the others."""
    return (*[slice(None)] * normalize_axis_index(axis, x.ndim), index)


def backwards(x: Array, axis: int) -> Array:
    """x in reverse order along an axis."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)]


def restore(g: Array, axis: Axis, keepdims: bool) -> Array:
    """The gradient or result of a reduction with the reduced axes back, as length 1, to broadcast against x."""
    return g if axis is None or keepdims else expand_dims(g, axis)
