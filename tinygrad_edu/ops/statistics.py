"""Statistics: variances, averages, order statistics, and covariances."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.arrays import beside, brought, home
from tinygrad_edu.engine import Array, plain
from tinygrad_edu.ops.axes import addends, prepared
from tinygrad_edu.ops.elementwise import Operand, add, as_float, as_operand, astype, divide, sqrt, square, where
from tinygrad_edu.ops.indexing import diagonal, getitem
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.products import matmul
from tinygrad_edu.ops.reductions import max, mean, sum
from tinygrad_edu.ops.shapes import Axis, expand_dims, reshape, squeeze, transpose

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "average", "corrcoef", "cov", "median", "nanmean", "nanmedian", "nanpercentile", "nanquantile", "nanstd", "nanvar",
    "percentile", "quantile", "std", "var",
]  # fmt: skip


def variance(
    x: Operand, axis: Axis, ddof: float, keepdims: bool, dtype: DTypeLike | None, mask: ArrayLike,
    center: Operand | None, correction: float | None, undefined: float,
) -> Tensor:  # fmt: skip
    """The sum of squares of x - center, divided by n - ddof, or by `undefined` where that is not positive.

    It is float32 for float16, and `narrowed` later.
    """
    x = as_operand(x)
    if correction is not None:
        if ddof:
            raise ValueError("var, std: ddof and correction mean the same; give one of them")
        ddof = correction
    if np.dtype(dtype or x.dtype) == np.float16:  # its squares overflow from 256 on
        dtype = np.float32
    x = x if dtype is None else astype(x, dtype)
    n = None if mask is True else addends(x, axis, True, mask)
    if center is None:
        center = mean(x, axis, True) if n is None else sum(x, axis, True, where=mask) / divisor(n, 1.0, x)
    total = sum(square(prepared(x - as_operand(center), mask)), axis, keepdims)
    n = np.float64(x.size // total.size if total.size else np.inf) if n is None else n.reshape(total.shape)
    if np.any(n <= ddof):
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=3)
    return divide(total, divisor(n - ddof, undefined, total))


def narrowed(out: Tensor, x: Operand, dtype: DTypeLike | None) -> Tensor:
    """A statistic of x that was computed in float32 instead of float16."""
    return astype(out, np.float16) if np.dtype(dtype or as_operand(x).dtype) == np.float16 else out


def divisor(n: Array, undefined: float, x: Tensor) -> Array:
    """n, or `undefined` where n is not positive, to divide x by; one Python number if all are equal."""
    first = float(n.flat[0]) if n.size else 1.0
    if (n == first).all():
        return first if first > 0 else undefined
    return np.where(n > 0, n, undefined).astype(x.dtype if x.dtype.kind == "f" else float)


def var(
    x: Operand,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    where: ArrayLike = True,
    mean: Operand | None = None,
    correction: float | None = None,
) -> Tensor:
    """Variance: the mean square of the deviations from the mean.

    PyTorch divides by n - 1; here, as in NumPy, it is n - ddof, and ddof is 0 if not given.

    Args:
        x, axis, keepdims, dtype, where: As for `mean`.
        ddof, correction: Two names for what is subtracted from n. With no degree of freedom left (one element and
            ddof=1) the result is NaN, with NumPy's warning.
        mean: The mean, if it is known already, of the shape that keepdims=True gives.
    """
    return narrowed(variance(x, axis, ddof, keepdims, dtype, where, mean, correction, 0.0), x, dtype)


def std(
    x: Operand,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    where: ArrayLike = True,
    mean: Operand | None = None,
    correction: float | None = None,
) -> Tensor:
    """Standard deviation, the square root of `var`; of one element, or of equal ones, it is 0 with gradient 0.

    PyTorch divides by n - 1; here, as in NumPy, it is n - ddof, and ddof is 0 if not given.
    """
    return narrowed(root(variance(x, axis, ddof, keepdims, dtype, where, mean, correction, 0.0)), x, dtype)


def root(x: Tensor) -> Tensor:
    """Square root with the derivative 0 at 0."""
    zero = plain(x) == 0
    return where(zero, 0.0, sqrt(where(zero, 1.0, x))) if np.any(zero) else sqrt(x)


def present(x: Operand, mask: ArrayLike) -> Array:
    """Where x is not NaN, within the mask."""
    return ~np.isnan(plain(as_operand(x))) & beside(x, np.asarray, mask)


def nanmean(
    x: Operand, axis: Axis = None, keepdims: bool = False, *, dtype: DTypeLike | None = None, where: ArrayLike = True
) -> Tensor:
    """`mean` of what is not NaN; NaN, with NumPy's warning, where nothing is left."""
    return mean(x, axis, keepdims, dtype=dtype, where=present(x, where))


def nanvar(
    x: Operand,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    where: ArrayLike = True,
    mean: Operand | None = None,
    correction: float | None = None,
) -> Tensor:
    """`var` of what is not NaN; NaN, with NumPy's warning, where no degree of freedom is left."""
    return narrowed(variance(x, axis, ddof, keepdims, dtype, present(x, where), mean, correction, np.nan), x, dtype)


def nanstd(
    x: Operand,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    where: ArrayLike = True,
    mean: Operand | None = None,
    correction: float | None = None,
) -> Tensor:
    """`std` of what is not NaN; NaN, with NumPy's warning, where no degree of freedom is left."""
    out = root(variance(x, axis, ddof, keepdims, dtype, present(x, where), mean, correction, np.nan))
    return narrowed(out, x, dtype)


def weights_along(weights: Operand, x: Tensor, axis: Axis) -> Tensor:
    """Weights of x's shape, or of the lengths of the named axes, with x's number of axes."""
    weights = as_operand(weights)
    if weights.shape == x.shape:
        return weights
    if axis is None:
        raise TypeError(f"weights of shape {weights.shape} for {x.shape}: say along which axis, or give one an element")
    axes = normalize_axis_tuple(axis, x.ndim)
    if weights.shape != tuple([x.shape[i] for i in axes]):
        raise ValueError(f"weights of shape {weights.shape} do not fit the axes {axes} of {x.shape}")
    weights = transpose(weights, np.argsort(axes).tolist())
    return reshape(weights, [n if i in axes else 1 for i, n in enumerate(x.shape)])


def average(
    x: Operand, axis: Axis = None, weights: Operand | None = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """sum(weights * x) / sum(weights) along the axes.

    Args:
        x, axis, keepdims: As for `mean`.
        weights: One number an element, or one for each place along the axes; None for equal weights.
        returned: Give the pair (average, sum of the weights).

    Raises:
        ZeroDivisionError: The weights sum to zero.
    """
    x = as_operand(x)
    if weights is None:
        out: Tensor = mean(x, axis, keepdims)
        total: Any = x.size / (out.size or 1)
    else:
        weights = weights_along(weights, x, axis)
        dtype = np.result_type(x.dtype, weights.dtype)
        weights = astype(weights, dtype if dtype.kind == "f" else float)
        total = sum(weights, axis, keepdims)
        if np.any(plain(total) == 0):
            raise ZeroDivisionError("average: the weights sum to zero, so they cannot be normalized")
        out = sum(x * weights, axis, keepdims) / total
    return (out, where(True, total, out)) if returned else out


def parameter(function: str, name: str, value: Any) -> Any:
    """The values of an argument that gets no gradient."""
    if getattr(value, "requires_grad", False):
        raise TypeError(f"{function}: no gradient flows to {name}; pass its values: {name}=tensor.data")
    return plain(value)


def places(n: int, q: Array, method: str, weights: Array | None = None) -> Array:
    """Where quantiles lie among n sorted numbers: 1.25 is a quarter of the way from the second to the third.

    Every one of NumPy's methods is linear in the sorted numbers, so its quantile of 0, 1, ..., n - 1 says where.
    """
    return np.quantile(np.arange(float(n)), q, method=method, weights=weights)  # type: ignore[call-overload]


def quantiles(
    x: Operand, q: Array, axis: Axis, method: str, keepdims: bool, weights: ArrayLike | None, skip: bool
) -> Tensor:
    """All quantiles: between neighbours of the sorted rows, into which the axes are put; `skip` leaves NaN out."""
    x = as_float(x)
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    m, n = [int(np.prod([x.shape[i] for i in part])) for part in (kept, axes)]
    order = [*kept, *axes]
    rows = reshape(x if order == sorted(order) else transpose(x, order), (m, n))
    out = take_quantiles(rows, q.ravel(), method, rows_of_weights(weights, x, axis, order, (m, n)), skip)
    lengths = [1 if i in axes else k for i, k in enumerate(x.shape) if keepdims or i not in axes]
    return reshape(transpose(out) if q.size > 1 else out, (*q.shape, *lengths))


def rows_of_weights(
    weights: ArrayLike | None, x: Tensor, axis: Axis, order: list[int], shape: tuple[int, int]
) -> Array | None:
    """Weights in the order of the rows."""
    if weights is None:
        return None
    weights = weights_along(parameter("quantile", "weights", weights), x, axis)
    return np.broadcast_to(weights, x.shape).transpose(order).reshape(shape)


def take_quantiles(rows: Tensor, q: Array, method: str, weights: Array | None, skip: bool) -> Tensor:
    """Quantiles of each row: (m, n), (k,) -> (m, k)."""
    m, n = rows.shape
    missing = np.isnan(plain(rows)).sum(axis=1)
    counts = n - missing * skip
    order = np.argsort(plain(rows), axis=1, kind="stable")  # NaN comes last
    if skip and not counts.all():
        warnings.warn("All-NaN slice encountered" if n else "Mean of empty slice", RuntimeWarning, stacklevel=4)
    if not rows.size and (skip or n):
        nothing: Tensor = sum(rows, 1, True) + beside(rows, np.full, len(q), np.nan, rows.dtype)
        return nothing
    if weights is None:
        each, row = np.unique(home(counts), return_inverse=True)
        place = np.stack([places(k, q, method) if k or not skip else 0 * q for k in each])[row.reshape(m)]
    else:
        sorted_weights = home(np.take_along_axis(weights, order, 1))
        each_row = zip(home(counts), sorted_weights, strict=True)
        place = np.stack([places(k, q, method, w[:k]) if k or not skip else 0 * q for k, w in each_row])
    place = brought(place, rows)
    lower = np.floor(place).astype(int)
    part = (place - lower).astype(rows.dtype)
    row = beside(rows, np.arange, m)[:, None]
    out = getitem(rows, (row, order[row, lower]))
    if part.any():
        upper = getitem(rows, (row, order[row, lower + (part > 0)]))
        out = out * (1 - part) + where(part > 0, upper, 0.0) * part  # 0 * inf would be NaN
    if skip:
        return where(counts[:, None] == 0, np.nan, out) if not counts.all() else out
    return where(missing[:, None] > 0, max(rows, 1, True), out) if missing.any() else out  # NaN, also as a gradient


def fractions(q: Any, percent: bool = False) -> Array:
    """q as an array of numbers from 0 to 1."""
    name, most = ("percentile", 100) if percent else ("quantile", 1)
    q = np.asarray(home(parameter(name, "q", q)), float) / most
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError(f"{name}: q must be from 0 to {most}")
    return q


def quantile(
    x: Operand,
    q: ArrayLike,
    axis: Axis = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: ArrayLike | None = None,
) -> Tensor:
    """Numbers that the fractions q of the elements do not exceed: q's shape, then that of a reduction.

    The gradient flows to the one or two elements that a quantile lies at or between; a row with NaN gives NaN to all.

    Args:
        x, axis, keepdims: As for `mean`. x keeps its dtype: an array q does not widen it.
        q: Fractions from 0 to 1, of any shape.
        overwrite_input: NumPy's permission to change x, which is not used.
        method: Any of NumPy's: how it is interpolated, "linear", "median_unbiased" ...
        weights: As for `average`, with method="inverted_cdf"; no gradient flows to them, nor to q.
    """
    return quantiles(x, fractions(q), axis, method, keepdims, weights, False)


def percentile(
    x: Operand,
    q: ArrayLike,
    axis: Axis = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: ArrayLike | None = None,
) -> Tensor:
    """`quantile` with q from 0 to 100."""
    return quantiles(x, fractions(q, percent=True), axis, method, keepdims, weights, False)


def nanquantile(
    x: Operand,
    q: ArrayLike,
    axis: Axis = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: ArrayLike | None = None,
) -> Tensor:
    """`quantile` of what is not NaN; NaN, with NumPy's warning, where nothing is left."""
    return quantiles(x, fractions(q), axis, method, keepdims, weights, True)


def nanpercentile(
    x: Operand,
    q: ArrayLike,
    axis: Axis = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: ArrayLike | None = None,
) -> Tensor:
    """`nanquantile` with q from 0 to 100."""
    return quantiles(x, fractions(q, percent=True), axis, method, keepdims, weights, True)


def median(x: Operand, axis: Axis = None, overwrite_input: bool = False, keepdims: bool = False) -> Tensor:
    """The element in the middle, or the mean of the two there, which share the gradient; PyTorch takes the lower."""
    x = as_operand(x)
    return quantiles(x, np.array(0.5), axis, "linear", keepdims, None, False) if x.size else mean(x, axis, keepdims)


def nanmedian(x: Operand, axis: Axis = None, overwrite_input: bool = False, keepdims: bool = False) -> Tensor:
    """`median` of what is not NaN; NaN, with NumPy's warning, where nothing is left."""
    return quantiles(x, np.array(0.5), axis, "linear", keepdims, None, True)


def cov(
    x: Operand,
    y: Operand | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: ArrayLike | None = None,
    aweights: Operand | None = None,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Covariances of variables, a row each: (variables, observations) -> (variables, variables).

    Args:
        x: One or two axes.
        y: More variables.
        rowvar: False if the variables are columns.
        bias, ddof: The divisor is the number of observations less ddof, which is 0 with bias, else 1.
        fweights: How often each observation counts, integers without a gradient.
        aweights: The weight of each observation.
        dtype: A floating dtype; without one x keeps its own, where NumPy makes float64 of float32.
    """
    if ddof is None:
        ddof = 0 if bias else 1
    x = as_variables(x, rowvar, dtype)
    x = x if y is None else concatenate((x, as_variables(y, rowvar, dtype)), 0)
    counts = None if fweights is None else as_operand(parameter("cov", "fweights", fweights))
    if counts is not None and np.any(plain(counts) != np.around(plain(counts))):
        raise TypeError("cov: fweights must be integers; real weights are aweights")
    factors = [as_operand(w) for w in (counts, aweights) if w is not None]
    if any(w.shape != x.shape[1:] or np.any(plain(w) < 0) for w in factors):
        raise ValueError(f"cov: weights must not be negative, and one an observation: ({x.shape[1]},)")
    weights = astype(factors[0] if len(factors) == 1 else factors[0] * factors[1], x.dtype) if factors else None
    centered = x - average(x, 1, weights, keepdims=True)
    freedom: Any = float(x.shape[1]) - ddof
    if weights is not None:
        total = sum(weights)
        lost = ddof if aweights is None else ddof * sum(weights * astype(factors[-1], x.dtype)) / total
        freedom = total - lost
    if plain(freedom) <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        freedom = 0.0
    products = matmul(centered, transpose(centered if weights is None else centered * weights))
    return squeeze(products / freedom)


def as_variables(x: Operand, rowvar: bool, dtype: DTypeLike | None) -> Tensor:
    """Variables as rows of a matrix."""
    x = as_operand(x)
    if x.ndim > 2:
        raise ValueError(f"cov, corrcoef: observations have one or two axes, not {x.ndim}")
    dtype = np.dtype(dtype or (x.dtype if x.dtype.kind == "f" else float))
    x = x if x.dtype == dtype else astype(x, dtype)
    if x.ndim < 2:
        return reshape(x, (1, -1))
    return x if rowvar else transpose(x)


def corrcoef(x: Operand, y: Operand | None = None, rowvar: bool = True, *, dtype: DTypeLike | None = None) -> Tensor:
    """Pearson's correlations, cov_ij / sqrt(cov_ii * cov_jj), with arguments as for `cov`."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviations = sqrt(diagonal(c))
    out = c / expand_dims(deviations, 1) / expand_dims(deviations, 0)
    values = plain(out)
    return add(out, np.clip(values, -1, 1) - values)  # rounding errors are cut off, no gradients
