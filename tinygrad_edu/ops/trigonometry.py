"""Trigonometric and hyperbolic functions, their inverses, and what is made of them. Angles are in radians.

Where a textbook writes 1 + x**2 or x**2 + y**2 the rules divide by a hypotenuse, which neither overflows nor wraps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.elementwise import Operand, as_operand, multiply, sqrt, where

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan",
    "atan2", "atanh", "cos", "cosh", "deg2rad", "degrees", "hypot", "i0", "rad2deg", "radians", "sin", "sinc", "sinh",
    "tan", "tanh",
]  # fmt: skip


@op(lambda g, out, x: g * cos(x))
def sin(x: Operand) -> Array:
    """Sine."""
    return np.sin(x)


@op(lambda g, out, x: -g * sin(x))
def cos(x: Operand) -> Array:
    """Cosine."""
    return np.cos(x)


@op(lambda g, out, x: g * (1 + out * out))
def tan(x: Operand) -> Array:
    """Tangent, sin(x) / cos(x)."""
    return np.tan(x)


@op(lambda g, out, x: g / sqrt((1 - x) * (1 + x)))
def arcsin(x: Operand) -> Array:
    """The angle in [-pi/2, pi/2] whose sine is x; its derivative at -1 and 1 is infinite."""
    return np.arcsin(x)


@op(lambda g, out, x: -g / sqrt((1 - x) * (1 + x)))
def arccos(x: Operand) -> Array:
    """The angle in [0, pi] whose cosine is x; its derivative at -1 and 1 is infinite."""
    return np.arccos(x)


@op(lambda g, out, x: g / hypot(x, 1.0) / hypot(x, 1.0))
def arctan(x: Operand) -> Array:
    """The angle in [-pi/2, pi/2] whose tangent is x."""
    return np.arctan(x)


@op(lambda g, out, y, x: g * turning(x, y), lambda g, out, y, x: -g * turning(y, x))
def arctan2(y: Operand, x: Operand) -> Array:
    """The angle in [-pi, pi] of the point (x, y): the ordinate y comes first. Its gradient at (0, 0) is taken as 0."""
    return np.arctan2(y, x)


def turning(x: Array, y: Array) -> Array:
    """x / (x**2 + y**2): how fast the angle of (x, y) turns as y grows; 0 at (0, 0)."""
    r = hypot(x, y)
    return share(x, r) / where(r == 0, 1.0, r)


@op(lambda g, out, x, y: g * share(x, out), lambda g, out, x, y: g * share(y, out))
def hypot(x: Operand, y: Operand) -> Array:
    """sqrt(x**2 + y**2) without overflow; its gradient at (0, 0) is taken as 0."""
    return np.hypot(x, y)


def share(x: Array, r: Array) -> Array:
    """x / r for the hypotenuse r over x: 0 where r is 0, and a limit (1, -1 or 0) where r is infinite."""
    value, length = plain(x), plain(r)
    special = (length == 0) | np.isinf(length) & ~np.isnan(value)
    limit = np.copysign(np.isinf(value), value)
    return where(special, limit, x) / where(special, 1.0, r)


@op(lambda g, out, x: g * cosh(x))
def sinh(x: Operand) -> Array:
    """Hyperbolic sine, (exp(x) - exp(-x)) / 2."""
    return np.sinh(x)


@op(lambda g, out, x: g * sinh(x))
def cosh(x: Operand) -> Array:
    """Hyperbolic cosine, (exp(x) + exp(-x)) / 2."""
    return np.cosh(x)


@op(lambda g, out, x: g * (1 - out * out))
def tanh(x: Operand) -> Array:
    """Hyperbolic tangent, sinh(x) / cosh(x)."""
    return np.tanh(x)


@op(lambda g, out, x: g / hypot(x, 1.0))
def arcsinh(x: Operand) -> Array:
    """The number whose hyperbolic sine is x."""
    return np.arcsinh(x)


@op(lambda g, out, x: g / (sqrt(x - 1) * sqrt(x + 1)))
def arccosh(x: Operand) -> Array:
    """The number >= 0 whose hyperbolic cosine is x; its derivative at 1 is infinite."""
    return np.arccosh(x)


@op(lambda g, out, x: g / ((1 - x) * (1 + x)))
def arctanh(x: Operand) -> Array:
    """The number whose hyperbolic tangent is x; infinite at -1 and 1."""
    return np.arctanh(x)


acos, asin, atan, atan2, acosh, asinh, atanh = arccos, arcsin, arctan, arctan2, arccosh, arcsinh, arctanh


def deg2rad(x: Operand) -> Tensor:
    """Degrees as radians."""
    return multiply(as_operand(x), math.pi / 180)


def rad2deg(x: Operand) -> Tensor:
    """Radians as degrees."""
    return multiply(as_operand(x), 180 / math.pi)


radians, degrees = deg2rad, rad2deg


def sinc(x: Operand) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0: smooth everywhere."""
    return _sinc(as_operand(x), 0)


@op(lambda g, out, x, n: g * _sinc(x, n + 1))
def _sinc(x: Array, n: int) -> Array:
    """The n-th derivative of sinc.

    With u = pi x, differentiating u s = sin(u) n times gives u s_n + n s_(n-1) = sin(u + n pi/2). Divided by a small u
    that would lose its digits; there the n-th derivative of the power series of sin(u) / u is used.
    """
    if n == 0:
        return np.sinc(x)
    u = math.pi * x.astype(np.result_type(x, float))
    near = np.abs(u) < max(1, n / 2)
    far_u, near_u = np.where(near, 1, u), np.where(near, u, 0)
    waves = [np.sin(far_u), np.cos(far_u)]
    far = waves[0] / far_u
    for k in range(1, n + 1):
        far = ((-1) ** (k // 2) * waves[k % 2] - k * far) / far_u
    first = (n + 1) // 2  # term k is (-1)**k u**m / m! / (2 k + 1) with m = 2 k - n
    power, series = (-1) ** first * near_u ** (2 * first - n), 0 * near_u
    for k in range(first, first + n + 10):
        series = series + power / (2 * k + 1)
        power = power * -near_u * near_u / ((2 * k - n + 1) * (2 * k - n + 2))
    return (math.pi**n * np.where(near, series, far)).astype(x.dtype)[()]


def i0(x: Operand) -> Tensor:
    """The modified Bessel function of the first kind and order 0, the mean of exp(x cos(t)) over all angles t."""
    return _bessel(as_operand(x), 0)


@op(lambda g, out, x, n: 0.5 * g * (_bessel(x, n - 1) + _bessel(x, n + 1)) if n else g * _bessel(x, 1))
def _bessel(x: Array, n: int) -> Array:
    """The modified Bessel function of the first kind and order n >= 0.

    The mean of exp(x cos(t)) cos(n t) over a quarter turn, with the half of exp that has the parity of n. Over equal
    steps it converges geometrically (Trefethen & Weideman 2014): the error is of order 4 steps - n.
    """
    if n == 0:
        return np.i0(x)
    wide = x.astype(np.result_type(x, float))
    largest = float(np.max(np.fmin(np.abs(wide), 720))) if x.size else 0.0  # beyond 713 all are infinite
    steps = 6 + int(n + 9 * math.sqrt(largest)) // 4
    half, total = np.sinh if n % 2 else np.cosh, 0 * wide
    for k in range(steps + 1):
        t, weight = math.pi / 2 * k / steps, (0.5 if k in (0, steps) else 1.0) / steps
        total = total + weight * math.cos(n * t) * half(math.cos(t) * wide)
    return total.astype(x.dtype)[()]
