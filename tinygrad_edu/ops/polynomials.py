"""Polynomials as vectors of coefficients, highest power first: NumPy's poly functions.

A np.poly1d counts as its coefficients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.engine import plain
from tinygrad_edu.ops.elementwise import Operand, as_operand, multiply
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.sequences import convolve
from tinygrad_edu.ops.shapes import reshape

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["polyadd", "polyder", "polyint", "polymul", "polysub", "polyval"]


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
    p = as_operand(p)
    p = p if p.ndim else reshape(p, 1)
    return p if len(p) >= n else concatenate([np.zeros(n - len(p), p.dtype), p])


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
    p = as_operand(p)
    if m < 0:
        raise ValueError(f"polyder: m={m}; the order must not be negative, see polyint")
    if m == 0:
        return p
    powers = np.arange(len(p) - 1, m - 1, -1)
    factors = np.prod([powers - i for i in range(m)], axis=0)
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
    k = np.zeros(1, dtype) if k is None else coefficients(k if hasattr(k, "dtype") else np.asarray(k, dtype))
    if len(k) < m and len(k) != 1:
        raise ValueError(f"polyint: {len(k)} constants for {m} integrals; give one for all, or one for each")
    for i in range(m):
        constant = k if len(k) == 1 else getitem(k, slice(i, i + 1))
        p = concatenate([p / np.arange(len(p), 0, -1).astype(dtype), constant])
    return p
