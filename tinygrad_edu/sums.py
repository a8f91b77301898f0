"""Sums that lose no count.

NumPy adds up in the dtype of the data, along any axis but the last one number after the other. In float16, where the
neighbour of 2048 is 2050, 5,000 ones are 2048; in float32 the count stops at 2**24. What we add up on our own (a
broadcast undone, a bias over its rows, a mean) is added in float64 where that could happen, and rounded once.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

__all__ = ["accumulator", "add_up"]

MANY = {np.dtype(np.float16): 1, np.dtype(np.float32): 2**16}  # addends from which on float64 is used


def accumulator(x: Any, axis: int | tuple[int, ...] | None = None) -> np.dtype[Any] | None:
    """The dtype in which to add up along the axes: float64, or None for NumPy's own choice."""
    many = MANY.get(x.dtype)
    if many is None or x.size <= many:
        return None
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return np.dtype(float) if prod([x.shape[i] for i in axes]) > many else None


def add_up(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """np.sum of an array, in its own dtype."""
    wide = accumulator(x, axis)
    out = np.add.reduce(x, axis, wide, keepdims=keepdims)  # type: ignore[call-overload]
    return out if wide is None else out.astype(x.dtype)
