"""Functions in pieces: jumps, limits and choices.

Between its jumps a step function is constant: its gradient is 0 (`flat`), and a picture shows the wire as blocked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.arrays import array_of, beside
from tinygrad_edu.engine import Array, is_tensor, op, plain
from tinygrad_edu.ops.elementwise import (
    Operand,
    as_float,
    as_operand,
    flat,
    maximum,
    minimum,
    positive,
    sign,
    unless_nan,
    where,
)
from tinygrad_edu.ops.indexing import getitem, scatter
from tinygrad_edu.ops.shapes import broadcast_to

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "around", "ceil", "choose", "clip", "copysign", "divmod", "fix", "floor", "floor_divide", "fmax", "fmin", "fmod",
    "heaviside", "imag", "ldexp", "mod", "modf", "nan_to_num", "piecewise", "real_if_close", "remainder", "rint",
    "round", "select", "trunc",
]  # fmt: skip


@op(flat)
def floor(x: Operand) -> Array:
    """The largest integer that is not above x."""
    return np.floor(x)


@op(flat)
def ceil(x: Operand) -> Array:
    """The smallest integer that is not below x."""
    return np.ceil(x)


@op(flat)
def trunc(x: Operand) -> Array:
    """The integer part, towards 0."""
    return np.trunc(x)


fix = trunc


@op(flat)
def rint(x: Operand) -> Array:
    """The nearest integer; halves go to the even one."""
    return np.rint(x)


@op(flat)
def round(x: Operand, decimals: int = 0) -> Array:
    """Rounded to a number of decimals; halves go to the even digit."""
    return np.round(x, decimals)  # type: ignore[arg-type]


around = round


@op(flat)
def imag(x: Operand) -> Array:
    """The imaginary part: every number here is real, so it is 0."""
    return np.imag(x)


@op(flat, lambda g, out, x, y: g * (x == 0))
def heaviside(x: Operand, y: Operand) -> Array:
    """0 where x < 0, 1 where x > 0, and y where x == 0."""
    return np.heaviside(x, y)


@op(flat, flat)
def floor_divide(x: Operand, y: Operand) -> Array:
    """floor(x / y), as `//`."""
    return np.floor_divide(x, y)


@op(lambda g, out, x, y: g, lambda g, out, x, y: -g * floor_divide(x, y))
def remainder(x: Operand, y: Operand) -> Array:
    """x - y * floor(x / y), as `%`: it has the sign of y."""
    return np.remainder(x, y)


mod = remainder


@op(lambda g, out, x, y: g, lambda g, out, x, y: -g * rint((x - out) / y))
def fmod(x: Operand, y: Operand) -> Array:
    """x - y * trunc(x / y): it has the sign of x."""
    return np.fmod(x, y)


def divmod(x: Operand, y: Operand) -> tuple[Tensor, Tensor]:
    """(x // y, x % y)."""
    return floor_divide(x, y), remainder(x, y)


def modf(x: Operand) -> tuple[Tensor, Tensor]:
    """The fractional and the integral part, both with the sign of x."""
    x = as_float(x)
    return fmod(where(np.isinf(plain(x)), 0.0, x), 1.0), trunc(x)


@op(lambda g, out, x, y: g * sign(x) * copysign(1.0, y), flat)
def copysign(x: Operand, y: Operand) -> Array:
    """The magnitude of x with the sign of y; the derivative at x = 0 is taken as 0."""
    return np.copysign(x, y)


@op(lambda g, out, x, i: ldexp(g, i), None)
def ldexp(x: Operand, i: ArrayLike) -> Array:
    """x * 2**i, for integers i."""
    return np.ldexp(x, i)


def fmax(x: Operand, y: Operand) -> Tensor:
    """The larger of x and y, or the other one beside NaN."""
    return maximum(where(np.isnan(plain(x)), y, x), where(np.isnan(plain(y)), x, y))


def fmin(x: Operand, y: Operand) -> Tensor:
    """The smaller of x and y, or the other one beside NaN."""
    return minimum(where(np.isnan(plain(x)), y, x), where(np.isnan(plain(y)), x, y))


def real_if_close(x: Operand, tol: float = 100) -> Tensor:
    """x, since every number here is real."""
    return positive(x)


@op(
    lambda g, out, x, low, high: unless_nan(out, g * ((x >= low) & (x <= high))),
    lambda g, out, x, low, high: unless_nan(out, g * ((x < low) & (low <= high))),
    lambda g, out, x, low, high: unless_nan(out, g * ((x > high) | (low > high))),
)
def _clip(x: Operand, low: Operand, high: Operand) -> Array:
    """min(max(x, low), high)."""
    return np.clip(x, low, high)


def clip(
    x: Operand,
    a_min: Operand | None = None,
    a_max: Operand | None = None,
    *,
    min: Operand | None = None,
    max: Operand | None = None,
) -> Tensor:
    """Limits x to [a_min, a_max]: no gradient outside, all of it inside and at the limits.

    Args:
        x: Any shape.
        a_min: Lower limit, a number, an array or a Tensor that broadcasts with x; None for none. Also as `min`.
        a_max: Upper limit. Also as `max`. Where the lower limit is above it, the result is the upper one.
    """
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise ValueError("clip: a limit is given twice, as a_min or a_max and as min or max; give it once")
    low, high = a_min if min is None else min, a_max if max is None else max
    if not any(is_tensor(t) for t in (x, low, high)):
        return np.clip(x, low, high)  # type: ignore[return-value]  # integers stay integers
    return _clip(as_operand(x), -math.inf if low is None else low, math.inf if high is None else high)


def nan_to_num(
    x: Operand, copy: bool = True, nan: Operand = 0.0, posinf: Operand | None = None, neginf: Operand | None = None
) -> Tensor:
    """NaN and infinities replaced, by 0 and the largest numbers of the dtype unless others are given.

    Raises:
        ValueError: copy=False, which would write into x.
    """
    if not copy:
        raise ValueError("nan_to_num: copy=False would write into x, which the graph would not see; leave it out")
    x = as_operand(x)
    if x.dtype.kind != "f":
        return array_of(x).copy()[()]  # type: ignore[no-any-return]
    values, limits = plain(x), np.finfo(x.dtype)
    x = where(np.isnan(values), nan, x)
    x = where(np.isposinf(values), float(limits.max) if posinf is None else posinf, x)
    return where(np.isneginf(values), float(limits.min) if neginf is None else neginf, x)


def select(condlist: Sequence[ArrayLike], choicelist: Sequence[Operand], default: Operand = 0) -> Tensor:
    """At each place the choice whose condition is the first to hold, or the default.

    Raises:
        ValueError: The lists differ in length, or are empty.
        TypeError: A condition is not boolean.
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices; give one for each")
    out: Any = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = where(condition, choice, out)
    return out  # type: ignore[no-any-return]


def piecewise(
    x: Operand, condlist: Sequence[ArrayLike] | ArrayLike, funclist: Sequence[Any], *args: Any, **kw: Any
) -> Tensor:
    """Functions or numbers, each where its condition holds; of several that hold the last one counts.

    Args:
        x: Any shape.
        condlist: One boolean array of x's shape, or several.
        funclist: For each a function of the elements x[condition], or a number; one more is for all other places.
        *args: Handed on to the functions.
        **kw: Handed on, too.

    Raises:
        ValueError: The numbers of conditions and functions do not fit.
    """
    x = as_operand(x)
    masks = beside(x, np.asarray, condlist, bool)
    masks = masks.reshape((len(masks), *x.shape)) if masks.ndim > x.ndim else masks[None]
    if len(funclist) == len(masks) + 1:
        masks = np.concatenate([masks, ~masks.any(axis=0, keepdims=True)])
    if len(funclist) != len(masks):
        raise ValueError(f"piecewise: {len(masks)} conditions take as many functions or one more, not {len(funclist)}")
    out = where(np.zeros_like(plain(x), bool), x, 0)
    for i, (mask, f) in enumerate(zip(masks, funclist, strict=True)):
        mask = mask & ~masks[i + 1 :].any(axis=0)
        if mask.any():
            part = f(getitem(x, mask), *args, **kw) if callable(f) else f
            part = part if is_tensor(part) else beside(x, np.asarray, part, x.dtype)
            out = out + scatter(broadcast_to(part, (int(mask.sum()),)), mask, x.shape)
    return out


def choose(a: ArrayLike, choices: Sequence[Operand], mode: str = "raise") -> Tensor:
    """At each place the choice whose number stands there in the integer array a.

    Args:
        a: Integers, which broadcast with the choices.
        choices: Arrays or Tensors, or one whose first axis counts them.
        mode: What to do with numbers that are too large or negative: "raise", "wrap" or "clip".
    """
    index = np.choose(a, beside(a, np.arange, len(choices)), mode=mode)  # type: ignore[call-overload]
    out = choices[-1]
    for i in range(len(choices) - 2, -1, -1):
        out = where(index == i, choices[i], out)
    return broadcast_to(as_operand(out), np.broadcast_shapes(index.shape, out.shape))
