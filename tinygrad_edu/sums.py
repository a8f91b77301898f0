"""Sums that lose no count.

NumPy adds up in the dtype of the data, along any axis but the last one number after the other. In float16, where the
neighbour of 2048 is 2050, 5,000 ones are 2048; in float32 the count stops at 2**24. What could go wrong that way is
added in float64, and rounded once.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygrad_edu.arrays import KINDS, axis_of

__all__ = ["FEW", "accumulator", "add_up", "first_along", "mean_of", "running_sum"]

FLOAT64 = np.dtype(float)
FEW = 1024
MANY = {np.dtype(np.float16): 1, np.dtype(np.float32): 2**16}  # addends from which on float64 is used


def accumulator(x: Any, axis: int | tuple[int, ...] | None = None) -> np.dtype[Any] | None:
    """The dtype in which to add up along the axes: float64, or None for NumPy's own choice."""
    dtype = getattr(x, "dtype", FLOAT64)
    if dtype is FLOAT64:
        return None
    many = MANY.get(dtype)
    if many is None or x.size <= many:
        return None
    if axis is None and dtype.itemsize > 2 and x.flags.c_contiguous:
        return None  # NumPy adds in pairs, then pairs of pairs
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return FLOAT64 if prod([x.shape[i] for i in axes]) > many else None


def add_up(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """np.sum of an array, in its own dtype."""
    wide = accumulator(x, axis)
    if KINDS and type(x) in KINDS:
        out = np.sum(x, axis_of(x, axis), wide, keepdims=keepdims)
    elif wide is None and axis is not None and x.size > FEW and (out := by_product(x, axis)) is not None:
        return np.expand_dims(out, axis) if keepdims else out
    else:
        out = np.add.reduce(x, axis, wide, None, keepdims)  # type: ignore[call-overload]
    return out if wide is None else out.astype(x.dtype)


def by_product(x: Any, axis: int | tuple[int, ...]) -> Any:
    """The sum along the last axis, or all before it, as a product with ones, which BLAS does much faster; else None."""
    last, axes = x.ndim - 1, axis if isinstance(axis, tuple) else (axis,)
    if last < 1 or x.dtype.char not in "fd":
        return None
    if axes in ((-1,), (last,)):
        return np.matmul(x, np.ones(x.shape[-1], x.dtype)) if x.shape[-1] <= FEW else None
    if x.flags.c_contiguous and axes == tuple(range(last)):
        rows = x.reshape(-1, x.shape[-1])
        return np.matmul(np.ones(len(rows), x.dtype), rows)
    return None


def mean_of(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """np.mean of an array, in its own dtype, or float64 for integers; finite even where the sum is not (float16)."""
    x = x if hasattr(x, "dtype") else np.asarray(x)
    wide = accumulator(x, axis) if x.dtype.kind == "f" else FLOAT64
    total = add_up(x, axis, keepdims) if wide is None else np.sum(x, axis_of(x, axis), wide, keepdims=keepdims)
    if not x.size and total.size:
        return np.mean(x, axis, keepdims=keepdims)  # NaN, with NumPy's warning
    out = total / (x.size // (total.size or 1) or 1)
    return out if wide is None or x.dtype.kind != "f" else out.astype(x.dtype)


def first_along(x: Any, axes: tuple[int, ...]) -> Any:
    """The first elements along the axes, counted from the last, as floats: to subtract before mean and variance.

    mean(x**2) - mean(x)**2 saves a pass but cancels: in float32, around 10,000, nothing is left of a variance of 1.
    A mean is rounded too, at 1e5 to 0.008, which would be the deviation of equal elements, and be scaled up to 1. The
    first element is one of them: what is left has the same deviations and variance, and is small.
    """
    return 1.0 * x[tuple([slice(0, 1) if i in axes else slice(None) for i in range(-x.ndim, 0)])]


def running_sum(x: Any, axis: int | None = None) -> Any:
    """np.cumsum of an array, in its own dtype."""
    wide = accumulator(x, tuple(range(np.ndim(x))) if axis is None else axis)
    out = np.cumsum(x, axis_of(x, axis), wide)
    return out if wide is None else out.astype(x.dtype)
