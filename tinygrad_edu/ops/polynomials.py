"""Polynomials as vectors of coefficients, highest power first: NumPy's poly functions.

A np.poly1d counts as its coefficients.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.arrays import beside, brought
from tinygrad_edu.engine import plain
from tinygrad_edu.ops.decompositions import inv
from tinygrad_edu.ops.elementwise import Operand, as_float, as_operand, multiply, sqrt
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import concatenate, vander
from tinygrad_edu.ops.linalg import lstsq
from tinygrad_edu.ops.products import outer
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.sequences import convolve
from tinygrad_edu.ops.shapes import atleast_1d, expand_dims, transpose

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["polyadd", "polyder", "polyfit", "polyint", "polymul", "polysub", "polyval"]


def polyval(p: Operand, x: Operand) -> Tensor:
    """The value at each x, by Horner's method: ((p[0] * x + p[1]) * x + p[2]) ..."""
    if isinstance(x, np.poly1d):
        raise TypeError("polyval: x is a polynomial; there is no poly1d of Tensors, pass numbers")
    p, x = as_operand(p), as_operand(x)
    out = x * 0
    for i in range(len(p)):
        out = (out * x if i else out) + getitem(p, i)
    return out


def coefficients(p: Operand, n: int = 0) -> Tensor:
    """A vector, with zeros in front of it up to the length n."""
    out: Tensor = atleast_1d(p)
    return out if len(out) >= n else concatenate([beside(out, np.zeros, n - len(out), out.dtype), out])


def polyadd(x: Operand, y: Operand) -> Tensor:
    """The sum of two polynomials; leading zeros stay."""
    x, y = coefficients(x), coefficients(y)
    return coefficients(x, len(y)) + coefficients(y, len(x))


def polysub(x: Operand, y: Operand) -> Tensor:
    """The difference of two polynomials; leading zeros stay."""
    x, y = coefficients(x), coefficients(y)
    return coefficients(x, len(y)) - coefficients(y, len(x))


def polymul(x: Operand, y: Operand) -> Tensor:
    """The product of two polynomials, without leading zeros in either."""
    return convolve(trimmed(x), trimmed(y))


def trimmed(p: Operand) -> Tensor:
    """The coefficients from the first that is not 0, or one 0."""
    p = coefficients(p, 1)
    nonzero = np.flatnonzero(plain(p))
    first = int(nonzero[0]) if nonzero.size else len(p) - 1
    return getitem(p, slice(first, None)) if first else p


def polyder(p: Operand, m: int = 1) -> Tensor:
    """The m-th derivative: k * (k - 1) * ... * (k - m + 1) times the coefficient of x**k, for each k >= m."""
    p, m = as_operand(p), int(m)
    if m < 0:
        raise ValueError(f"polyder: m={m}; the order must not be negative, see polyint")
    if m == 0:
        return p
    powers = np.arange(len(p) - 1, m - 1, -1)
    factors = brought(np.prod([powers - i for i in range(m)], axis=0), p)
    return multiply(getitem(p, slice(len(powers))), factors.astype(p.dtype) if p.dtype.kind == "f" else factors)


def polyint(p: Operand, m: int = 1, k: Operand | None = None) -> Tensor:
    """The m-th integral.

    Args:
        p: Coefficients.
        m: How often to integrate.
        k: The constants of integration, one for all or one for each of the m integrals, first to last; None for 0.

    Raises:
        ValueError: m is negative, or k has less than m elements.
    """
    if m < 0:
        raise ValueError(f"polyint: m={m}; the order must not be negative, see polyder")
    p = as_operand(p)
    dtype = p.dtype if p.dtype.kind == "f" else np.dtype(float)
    k = [0] if k is None else k
    k = coefficients(k if hasattr(k, "dtype") else beside(p, np.asarray, k, dtype))
    if len(k) < m and len(k) != 1:
        raise ValueError(f"polyint: {len(k)} constants for {m} integrals; give one for all, or one for each")
    for i in range(m):
        constant = k if len(k) == 1 else getitem(k, slice(i, i + 1))
        p = concatenate([p / beside(p, np.arange, len(p), 0, -1).astype(dtype), constant])
    return p


def polyfit(
    x: Operand,
    y: Operand,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Operand | None = None,
    cov: bool | str = False,
) -> Any:
    """The polynomial whose sum of squared differences from the points (x, y) is least.

    Args:
        x: (n,).
        y: (n,), or (n, k) for k polynomials.
        deg: The degree.
        rcond: Singular values up to this part of the largest count as 0; n roundings if None.
        full: Return also what linalg.lstsq returns, and rcond.
        w: (n,): what the differences are multiplied by, before they are squared.
        cov: Return also the covariance matrix of the coefficients; "unscaled" if w are one over the deviations.

    Returns:
        The coefficients, (deg + 1,) or (deg + 1, k), or a tuple of them and what is asked for.
    """
    x, y = as_float(x), as_float(y)
    if deg < 0:
        raise ValueError(f"polyfit: the degree must not be negative, but is {deg}")
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or len(y) != len(x):
        raise TypeError(f"polyfit: takes x of shape (n,), y of (n,) or (n, k), n > 0, not {x.shape} and {y.shape}")
    powers = vander(x, deg + 1)
    if w is not None:
        w = as_float(w)
        if w.shape != x.shape:
            raise TypeError(f"polyfit: w of shape {w.shape} for {len(x)} points; it takes one weight a point")
        powers, y = expand_dims(w, 1) * powers, (w if y.ndim == 1 else expand_dims(w, 1)) * y
    scale = sqrt(sum(powers * powers, axis=0))
    powers = powers / scale
    rcond = len(x) * float(np.finfo(x.dtype).eps) if rcond is None else rcond
    c, residuals, rank, s = lstsq(powers, y, rcond)
    c = c / (scale if y.ndim == 1 else expand_dims(scale, 1))
    if full:
        return c, residuals, rank, s, rcond
    if rank <= deg:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if not cov:
        return c
    if cov != "unscaled" and len(x) <= deg + 1:
        raise ValueError(f"polyfit: {len(x)} points are too few to scale the covariance of {deg + 1} coefficients")
    base = inv(transpose(powers) @ powers) / outer(scale, scale)
    base = base if y.ndim == 1 else expand_dims(base, 2)
    return c, base if cov == "unscaled" else base * (residuals / (len(x) - deg - 1))
