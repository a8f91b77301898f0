"""What rules and composed functions do along an axis, and with a mask: helpers, no functions of NumPy's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_edu.arrays import beside
from tinygrad_edu.engine import Array
from tinygrad_edu.ops.elementwise import Operand, as_operand, astype, where
from tinygrad_edu.ops.shapes import Axis, expand_dims

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = ["addends", "at", "backwards", "flag", "prepared", "restore"]


def flag(keepdims: bool) -> bool:
    """keepdims, if it is True or False: x.sum(0, 1) would keep axis 1 and add up axis 0 only."""
    if not isinstance(keepdims, (bool, np.bool_)):
        raise TypeError(f"keepdims is {keepdims!r:.20}; it must be True or False. Two axes are one tuple: axis=(0, 1)")
    return bool(keepdims)


def at(axis: int, x: Array, index: Any) -> tuple[Any, ...]:
    """The index that is `index` along one axis and everything along the others."""
    return (*[slice(None)] * normalize_axis_index(axis, x.ndim), index)


def backwards(x: Array, axis: int) -> Array:
    """x in reverse order along an axis."""
    return x[at(axis, x, slice(None, None, -1))]


def restore(g: Array, axis: Axis, keepdims: bool) -> Array:
    """The gradient or result of a reduction with the reduced axes back, as length 1, to broadcast against x."""
    return g if axis is None or keepdims else expand_dims(g, axis)


def prepared(x: Operand, mask: ArrayLike = True, neutral: Operand = 0, dtype: DTypeLike | None = None) -> Tensor:
    """x in a dtype, with the neutral element where the mask is False."""
    x = as_operand(x)
    x = x if dtype is None or x.dtype == dtype else astype(x, dtype)
    return x if mask is True else where(np.broadcast_to(beside(x, np.asarray, mask), x.shape), x, neutral)


def addends(x: Tensor, axis: Axis, keepdims: bool, mask: ArrayLike) -> Array:
    """How many elements the mask leaves to each sum."""
    return np.sum(np.broadcast_to(beside(x, np.asarray, mask), x.shape), axis, int, keepdims=keepdims)
