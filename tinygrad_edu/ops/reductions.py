"""Reductions along axes (sum, mean, max and so on), running sums and products, and those that ignore NaN.

An axis is None for all, one or several, counted from either end. `sum`, `max` and `min` are ops here, not Python's. The
ruled ops have an underscore and know axes alone; the functions add NumPy's keywords, which are composed:

    where     leaves out what a boolean array of x's shape, or one that broadcasts to it, has as False
    initial   one more element for every result, a number, an array or a Tensor
    dtype     a floating dtype that x is converted to first
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import prod as product_of
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.arrays import axis_of, beside
from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.axes import addends, at, backwards, flag, prepared, restore
from tinygrad_edu.ops.elementwise import (
    Operand,
    as_float,
    as_operand,
    astype,
    divide,
    exp,
    log,
    maximum,
    minimum,
    where,
)
from tinygrad_edu.ops.shapes import Axis, broadcast_to, reshape, squeeze, transpose
from tinygrad_edu.sums import accumulator, add_up, mean_of, running_sum

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "logsumexp", "max", "mean", "min", "nancumprod",
    "nancumsum", "nanmax", "nanmin", "nanprod", "nansum", "prod", "ptp", "sum",
]  # fmt: skip


@op(lambda g, out, x, axis, keepdims: broadcast_to(restore(g, axis, keepdims or not x.ndim), x.shape))
def _sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes."""
    return add_up(x, axis, keepdims)


def sum(
    x: Operand,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    initial: Operand | None = None,
    where: ArrayLike = True,
) -> Tensor:
    """Sum over an axis, several, or all; 5,000 ones are 5,000 also in float16."""
    if initial is None and where is True and dtype is None:
        return _sum(x) if axis is None and not keepdims else _sum(x, axis, flag(keepdims))
    out = _sum(prepared(x, where, 0, dtype), axis, flag(keepdims))
    return out if initial is None else out + initial


def to_all(g: Array, out: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """The gradient of mean: to all elements, in equal shares."""
    return broadcast_to(restore(g * (out.size / (x.size or 1)), axis, keepdims or not x.ndim), x.shape)


@op(to_all)
def _mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes."""
    return mean_of(x, axis, keepdims)


def mean(
    x: Operand, axis: Axis = None, keepdims: bool = False, *, dtype: DTypeLike | None = None, where: ArrayLike = True
) -> Tensor:
    """Mean over an axis, several, or all."""
    if where is True and dtype is None:
        return _mean(x) if axis is None and not keepdims else _mean(x, axis, flag(keepdims))
    x, keepdims = prepared(x, dtype=dtype), flag(keepdims)
    if where is not True and not np.all(addends(x, axis, keepdims, where)):
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=2)
    return masked_mean(x, axis, keepdims, where)


def masked_mean(x: Tensor, axis: Axis, keepdims: bool, mask: ArrayLike) -> Tensor:
    """The mean of what the mask leaves, NaN where that is nothing."""
    if mask is True:
        return _mean(x, axis, keepdims)
    if x.dtype == np.float16:  # the sum of numbers with a mean can overflow
        return astype(masked_mean(astype(x, np.float32), axis, keepdims, mask), np.float16)
    n = addends(x, axis, keepdims, mask)
    out = _sum(prepared(x, mask), axis, keepdims)
    return divide(out, np.where(n == 0, np.nan, n).astype(x.dtype if x.dtype.kind == "f" else float))


def to_winners(g: Array, out: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """The gradient of max and min: to the winners, in equal shares; NaN to all where the result is NaN."""
    g, best = restore(g, axis, keepdims or not x.ndim), restore(out, axis, keepdims or not x.ndim)
    won = x == best
    if not (best == best).all():
        won, g = won | (best != best), where(best == best, g, np.nan)
    count = np.sum(won, axis=axis_of(won, axis), keepdims=True, dtype=accumulator(x, axis) or x.dtype)
    return g * won / count


@op(to_winners)
def _max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest element over axes."""
    return np.max(x, axis=axis_of(x, axis), keepdims=keepdims)


@op(to_winners)
def _min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Smallest element over axes."""
    return np.min(x, axis=axis_of(x, axis), keepdims=keepdims)


def max(
    x: Operand, axis: Axis = None, keepdims: bool = False, *, initial: Operand | None = None, where: ArrayLike = True
) -> Tensor:
    """Largest element along the axes; ties share the gradient equally, and NaN wins and gives NaN to all.

    PyTorch's x.max(1) returns indices too; here it returns the values alone, and x.argmax(1) the indices.
    """
    if initial is None and where is True:
        return _max(x) if axis is None and not keepdims else _max(x, axis, flag(keepdims))
    return extreme(_max, maximum, x, axis, flag(keepdims), initial, where)


def min(
    x: Operand, axis: Axis = None, keepdims: bool = False, *, initial: Operand | None = None, where: ArrayLike = True
) -> Tensor:
    """Smallest element along the axes, as `max`."""
    if initial is None and where is True:
        return _min(x) if axis is None and not keepdims else _min(x, axis, flag(keepdims))
    return extreme(_min, minimum, x, axis, flag(keepdims), initial, where)


def extreme(
    reduction: Callable[..., Tensor],
    winner: Callable[..., Tensor],
    x: Operand,
    axis: Axis,
    keepdims: bool,
    initial: Operand | None,
    mask: ArrayLike,
) -> Tensor:
    """max or min with one more candidate, which stands for everything that the mask leaves out."""
    if initial is None:
        raise ValueError("max and min: where= needs initial=, the result where nothing is left, for example -np.inf")
    x = prepared(x, mask, initial)
    if not x.size:
        return _sum(x, axis, keepdims) + initial
    return winner(reduction(x, axis, keepdims), initial)


def ptp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The range from the smallest to the largest element ("peak to peak")."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over the axes without overflow: the largest element is taken out of the sum.

    Where that is infinite it is the result, and equal infinities share the gradient, as in the limit.
    """
    x = as_float(x)
    if not x.size:
        return _sum(x, axis, keepdims) - np.inf
    top = np.max(plain(x), axis=axis, keepdims=True)
    infinite = np.isinf(top)
    if infinite.any():
        out = where(infinite, _max(x, axis, True), logsumexp(where(infinite, 0.0, x), axis, True))
    else:
        out = log(_sum(exp(x - top), axis, True)) + top
    return out if flag(keepdims) or not x.ndim else squeeze(out, axis)


@op(lambda g, out, x, axis: backwards(_cumsum(backwards(g, axis or 0), axis or 0), axis or 0).reshape(x.shape))
def _cumsum(x: Operand, axis: int | None = None) -> Array:
    """Running sum."""
    return running_sum(x, axis)


def cumsum(x: Operand, axis: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """Running sum along an axis, or of the flattened array."""
    return _cumsum(prepared(x, dtype=dtype), axis)


def adjoint(g: Array, a: Array, axis: int) -> Array:
    """s_k = g_k + a_(k+1) * s_(k+1): the recurrence from the other end, which sums up what depends on element k."""
    return backwards(_recurrence(backwards(g, axis), after(1.0, backwards(a, axis), axis), axis), axis)


def after(first: float, x: Array, axis: int) -> Array:
    """(first, x_0, x_1, ...) of x's length: each element one place further."""
    start = np.full_like(plain(x[at(axis, x, slice(0, 1))]), first)
    return np.concatenate((start, x[at(axis, x, slice(0, -1))]), axis)


@op(
    lambda g, out, x, a, axis: adjoint(g, a, axis),
    lambda g, out, x, a, axis: adjoint(g, a, axis) * after(0.0, out, axis),
)
def _recurrence(x: Array, a: Array, axis: int) -> Array:
    """y_k = x_k + a_k * y_(k-1) along an axis, from y_(-1) = 0; x and a of one shape.

    Its gradients are a recurrence from the other end, so every derivative takes linear time: Martin & Cundy 2018.
    """
    shape = np.moveaxis(x, axis, 0).shape
    rows = shape[0], product_of(shape[1:])
    dtype = np.result_type(x, a)
    y = np.moveaxis(x, axis, 0).astype(accumulator(x, axis) or dtype, "C").reshape(rows)
    for before, y_k, a_k in zip(y, y[1:], np.moveaxis(a, axis, 0).reshape(rows)[1:], strict=False):
        y_k += a_k * before
    return np.moveaxis(y.reshape(shape).astype(dtype, copy=False), 0, axis)


def divides(products: Array) -> bool:
    """Whether all products are right to the last digit, so that the others' product is theirs over one factor."""
    size = np.abs(plain(products))
    return bool(((size >= np.finfo(size.dtype).tiny) & (size < np.inf)).all())


def to_running_factors(g: Array, out: Array, x: Array, axis: int | None) -> Array:
    """The product before x_k times s_k = g_k + x_(k+1) * s_(k+1), which is (sum of g * out from k on) / x_k."""
    factors, axis = (x, axis) if axis is not None and x.ndim else (x.reshape((-1,)), 0)
    if divides(out):
        part = backwards(_cumsum(backwards(g * out, axis), axis), axis) / factors
    else:
        part = after(1.0, out, axis) * adjoint(g, factors, axis)
    return part.reshape(x.shape)


@op(to_running_factors)
def _cumprod(x: Operand, axis: int | None = None) -> Array:
    """Running product."""
    return np.cumprod(x, axis_of(x, axis))  # type: ignore[arg-type]


def cumprod(x: Operand, axis: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """Running product along an axis, or of the flattened array; zeros are factors like others."""
    return _cumprod(prepared(x, dtype=dtype), axis)


def cumulative_sum(
    x: Operand, *, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Tensor:
    """Running sum along an axis, which must be named if there are several; include_initial puts a 0 in front."""
    return cumulative(cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Operand, *, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Tensor:
    """Running product along an axis, which must be named if there are several; include_initial puts a 1 in front."""
    return cumulative(cumprod, 1, x, axis, dtype, include_initial)


def cumulative(
    running: Callable[..., Tensor],
    first: int,
    x: Operand,
    axis: int | None,
    dtype: DTypeLike | None,
    include_initial: bool,
) -> Tensor:
    """The running sum or product in the Array API's manner."""
    x = as_operand(x)
    x = x if x.ndim else reshape(x, 1)
    if axis is None and x.ndim > 1:
        raise ValueError(f"cumulative_sum, cumulative_prod: of {x.ndim} axes, say which one: axis=")
    out = running(x, axis or 0, dtype=dtype)
    if not include_initial:
        return out
    shape = list(out.shape)
    shape[axis or 0] = 1
    return np.concatenate((beside(out, np.full, shape, first, out.dtype), out), axis or 0)  # type: ignore[return-value]


def to_factors(g: Array, out: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """g times, for each element, the product of all the others along the axes.

    That is out / x, but where out is 0, subnormal or infinite it is the product of those before times that of those
    behind: 0 / 0 would make prod([0, 2, 3]) send NaN to its first element, whose gradient is 6.
    """
    if not x.ndim:
        return g
    g, product = restore(g, axis, keepdims), restore(out, axis, keepdims)
    if divides(product):
        return g * product / x
    reduced = range(x.ndim) if axis is None else (np.atleast_1d(axis) % x.ndim).tolist()
    order = [i for i in range(x.ndim) if i not in reduced] + list(reduced)
    last = transpose(x, order)  # (kept..., reduced...)
    rows = last.reshape((out.size, x.size // out.size))
    before = _cumprod(after(1.0, rows, 1), 1)
    behind = backwards(_cumprod(after(1.0, backwards(rows, 1), 1), 1), 1)
    return g * transpose((before * behind).reshape(last.shape), np.argsort(order).tolist())


@op(to_factors)
def _prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Product over axes."""
    return np.prod(x, axis=axis_of(x, axis), keepdims=keepdims)  # type: ignore[arg-type]


def prod(
    x: Operand,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    initial: Operand | None = None,
    where: ArrayLike = True,
) -> Tensor:
    """Product over an axis, several, or all; zeros are factors like others."""
    out = _prod(prepared(x, where, 1, dtype), axis, flag(keepdims))
    return out if initial is None else out * initial


def without_nan(x: Operand, value: float) -> Tensor:
    """x with the value for every NaN."""
    x = as_operand(x)
    missing = np.isnan(plain(x))
    return where(missing, value, x) if missing.any() else x


def nansum(
    x: Operand,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    initial: Operand | None = None,
    where: ArrayLike = True,
) -> Tensor:
    """`sum` of what is not NaN; what is gets the gradient 0, in this function and the following ones."""
    return sum(without_nan(x, 0.0), axis, keepdims, dtype=dtype, initial=initial, where=where)


def nanprod(
    x: Operand,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    initial: Operand | None = None,
    where: ArrayLike = True,
) -> Tensor:
    """`prod` of what is not NaN."""
    return prod(without_nan(x, 1.0), axis, keepdims, dtype=dtype, initial=initial, where=where)


def nancumsum(x: Operand, axis: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """`cumsum` with 0 for NaN."""
    return cumsum(without_nan(x, 0.0), axis, dtype=dtype)


def nancumprod(x: Operand, axis: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """`cumprod` with 1 for NaN."""
    return cumprod(without_nan(x, 1.0), axis, dtype=dtype)


def nanmax(
    x: Operand, axis: Axis = None, keepdims: bool = False, *, initial: Operand | None = None, where: ArrayLike = True
) -> Tensor:
    """`max` of what is not NaN; NaN, with NumPy's warning, where nothing is left."""
    return nan_extreme(max, -np.inf, x, axis, keepdims, initial, where)


def nanmin(
    x: Operand, axis: Axis = None, keepdims: bool = False, *, initial: Operand | None = None, where: ArrayLike = True
) -> Tensor:
    """`min` of what is not NaN; NaN, with NumPy's warning, where nothing is left."""
    return nan_extreme(min, np.inf, x, axis, keepdims, initial, where)


def nan_extreme(
    reduction: Callable[..., Tensor],
    worst: float,
    x: Operand,
    axis: Axis,
    keepdims: bool,
    initial: Operand | None,
    mask: ArrayLike,
) -> Tensor:
    """max or min with the worst of all numbers for NaN."""
    out = reduction(without_nan(x, worst), axis, keepdims, initial=initial, where=mask)
    missing = np.isnan(plain(as_operand(x)))
    if initial is not None or not missing.any():
        return out
    lost = np.all(missing, axis=axis, keepdims=keepdims)
    tied = ~lost & (plain(out) == worst)  # NaN takes no part of the gradient
    if np.any(tied):
        out = where(tied, masked_mean(as_operand(x), axis, keepdims, ~missing), out)
    if not np.any(lost):
        return out
    warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=3)
    return where(lost, np.nan, out)
