"""Reductions along axes (sum, mean, max and so on), and cumsum. `sum`, `max` and `min` are ops here, not Python's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.axes import backwards, restore
from tinygrad_edu.ops.elementwise import Operand, as_operand, divide, exp, log, sqrt, square, where
from tinygrad_edu.ops.shapes import Axis, broadcast_to, squeeze, transpose

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["cumsum", "logsumexp", "max", "mean", "min", "prod", "std", "sum", "var"]


@op(lambda g, out, x, axis, keepdims: broadcast_to(restore(g, axis, keepdims), x.shape))
def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over an axis, several, or all."""
    return np.sum(x, axis=axis, keepdims=keepdims)


@op(lambda g, out, x, axis, keepdims: broadcast_to(restore(g * (out.size / (x.size or 1)), axis, keepdims), x.shape))
def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over an axis, several, or all."""
    return np.mean(x, axis=axis, keepdims=keepdims)  # type: ignore[arg-type]


def var(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """Variance with the divisor n - ddof (0, NumPy's default, is the population's; PyTorch's is 1)."""
    x = as_operand(x)
    squares = square(x - mean(x, axis=axis, keepdims=True))
    total = sum(squares, axis=axis, keepdims=keepdims)
    divisor = x.size / (total.size or 1) - ddof
    return divide(total, divisor if divisor > 0 else 0.0)


def std(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation, the square root of `var`; where it is 0 it has no derivative (the gradient is NaN)."""
    return sqrt(var(x, axis, ddof, keepdims))


def shared_by_winners(g: Array, out: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """The gradient of max and min: to the winners, in equal shares."""
    won = x == restore(out, axis, keepdims)
    return restore(g, axis, keepdims) * won / np.sum(won, axis=axis, keepdims=True, dtype=x.dtype)


@op(shared_by_winners)
def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest element along the axes; ties share the gradient equally."""
    return np.max(x, axis=axis, keepdims=keepdims)


@op(shared_by_winners)
def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Smallest element along the axes; ties share the gradient equally."""
    return np.min(x, axis=axis, keepdims=keepdims)


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over the axes without overflow: the largest element is taken out of the sum."""
    x = as_operand(x)
    top = np.max(plain(x), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(top.dtype)
    out = log(sum(exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else squeeze(out, axis)


@op(lambda g, out, x, axis: backwards(cumsum(backwards(g, axis or 0), axis or 0), axis or 0).reshape(x.shape))
def cumsum(x: Operand, axis: int | None = None) -> Array:
    """Running sum along an axis, or of the flattened array."""
    return np.cumsum(x, axis=axis)


def to_factors(g: Array, out: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """g times, for each element, the product of all the others along the axes.

    That is out / x, but where out is 0 or infinite it comes from an n x n table with ones on the diagonal: 0 / 0 would
    make prod([0, 2, 3]) send NaN to its first element, whose gradient is 6.
    """
    g, product = restore(g, axis, keepdims), restore(out, axis, keepdims)
    if (product != 0).all() and np.isfinite(product).all():
        return g * product / x
    reduced = range(x.ndim) if axis is None else np.atleast_1d(axis) % x.ndim
    order = [i for i in range(x.ndim) if i not in reduced] + list(reduced)
    last = transpose(x, order)  # (kept..., reduced...)
    n = x.size // out.size
    table = last.reshape((-1, 1, n))  # (kept, 1, n)
    others = prod(where(np.eye(n, dtype=bool), 1, table), axis=-1)  # (kept, n)
    return g * transpose(others.reshape(last.shape), np.argsort(order).tolist())


@op(to_factors)
def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Product over an axis, several, or all."""
    return np.prod(x, axis=axis, keepdims=keepdims)  # type: ignore[arg-type]
