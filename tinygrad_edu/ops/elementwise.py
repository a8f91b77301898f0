"""The table of derivatives: every op is a function on arrays, with its vjps (vector-Jacobian products) above it.

Read a rule as the chain rule does: `g` is the gradient that arrives at the output, `out` the output, then come the
operands; its value is the gradient that the operand receives. Rules are textbook mathematics on equal shapes: the
engine sums over what NumPy broadcast, keeps dtypes, and skips operands that need no gradient.

Comparisons of Tensors give boolean arrays, so `g * (x > 0)` runs on arrays and, for gradients of gradients, on Tensors.
Mind two traps. `0.5 * (x > y)` is float64 and turns a float32 gradient into float64; `0.5 * g * (x > y)` does not. And
an infinite g makes `g * mask` NaN, where `where(mask, g, 0)`, several times slower, makes it 0.

Entries are sorted by increasing complexity; arguments are NumPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_edu.engine import Array, op

Operand = Any  # a Tensor, an array or a number
Axis = int | tuple[int, ...] | None


@op(lambda g, out, x, dtype: g)
def astype(x: Operand, dtype: Any) -> Array:
    """The same values as another floating dtype; the gradient comes back in the old one."""
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"astype: {np.dtype(dtype)} has no gradients; use tensor.data.astype(...) for plain values")
    return np.asarray(x).astype(dtype)


@op(lambda g, out, x: -g)
def negative(x: Operand) -> Array:
    """-x."""
    return -x


@op(lambda g, out, x: 0.5 * g / out)
def sqrt(x: Operand) -> Array:
    """Square root; its derivative at 0 is infinite."""
    return np.sqrt(x)


@op(lambda g, out, x: g * out)
def exp(x: Operand) -> Array:
    """e to the power x."""
    return np.exp(x)


@op(lambda g, out, x: g / x)
def log(x: Operand) -> Array:
    """Natural logarithm."""
    return np.log(x)


@op(lambda g, out, x: g * (x > 0) - g * (x < 0))
def abs(x: Operand) -> Array:
    """Absolute value; the derivative at the kink is taken as 0."""
    return np.abs(x)


@op(lambda g, out, x: g * cos(x))
def sin(x: Operand) -> Array:
    """Sine of x in radians."""
    return np.sin(x)


@op(lambda g, out, x: -g * sin(x))
def cos(x: Operand) -> Array:
    """Cosine of x in radians."""
    return np.cos(x)


@op(lambda g, out, x: g * (1 - out * out))
def tanh(x: Operand) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)


@op(lambda g, out, x: g * out * (1 - out))
def sigmoid(x: Operand) -> Array:
    """1 / (1 + exp(-x)), written so that nothing overflows and small values keep all their digits."""
    return np.exp(np.minimum(x, 0.0)) / (1 + np.exp(-1.0 * np.abs(x)))


@op(lambda g, out, x: g * (out > 0))
def relu(x: Operand) -> Array:
    """max(x, 0); the derivative at the kink is taken as 0."""
    if type(x) is np.ndarray:
        return np.maximum(x, 0.0)
    return type(x)(0) if x <= 0 else x  # np.maximum takes 1000 ns for a NumPy scalar


@op(lambda g, out, x, y: g, lambda g, out, x, y: g)
def add(x: Operand, y: Operand) -> Array:
    """x + y: distributes its gradient to both."""
    return x + y


@op(lambda g, out, x, y: g, lambda g, out, x, y: -g)
def subtract(x: Operand, y: Operand) -> Array:
    """x - y."""
    return x - y


@op(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x)
def multiply(x: Operand, y: Operand) -> Array:
    """x * y: each operand scales the gradient of the other."""
    return x * y


@op(lambda g, out, x, y: g / y, lambda g, out, x, y: -g * out / y)
def divide(x: Operand, y: Operand) -> Array:
    """x / y."""
    return x / y


@op(
    lambda g, out, x, y: g * power_slope(x, y),
    lambda g, out, x, y: g * out * log(where(x == 0, 1.0, x)),
)
def power(x: Operand, y: Operand) -> Array:
    """x ** y. With respect to y it is differentiable for x >= 0 only: elsewhere that gradient is NaN."""
    return x**y


def power_slope(x: Operand, y: Operand) -> Any:
    """y * x ** (y - 1), and 0 at x = y = 0, where the formula would say 0 * inf."""
    if isinstance(y, (int, float)):
        return y * x ** (y - 1) if y else 0 * x**0
    return y * x ** where((x == 0) & (y == 0), 1, y - 1)


@op(lambda g, out, x, y: g * (x > y) + 0.5 * g * (x == y), lambda g, out, x, y: g * (x < y) + 0.5 * g * (x == y))
def maximum(x: Operand, y: Operand) -> Array:
    """The larger of x and y: routes its gradient to the winner; a tie shares it equally."""
    return np.maximum(x, y)


@op(lambda g, out, x, y: g * (x < y) + 0.5 * g * (x == y), lambda g, out, x, y: g * (x > y) + 0.5 * g * (x == y))
def minimum(x: Operand, y: Operand) -> Array:
    """The smaller of x and y; a tie shares the gradient equally."""
    return np.minimum(x, y)


@op(None, lambda g, out, c, x, y: where(c, g, 0), lambda g, out, c, x, y: where(c, 0, g))
def where(condition: Operand, x: Operand, y: Operand) -> Array:
    """x where the boolean array `condition` is true, else y."""
    if np.asarray(condition).dtype.kind != "b":
        raise TypeError("where: the condition must be boolean, for example where(x > 0, x, 0)")
    return np.where(condition, x, y)


def restore(g: Any, axis: Axis, keepdims: bool) -> Any:
    """The gradient or result of a reduction with the reduced axes back, as length 1, to broadcast against x."""
    return g if axis is None or keepdims else expand_dims(g, axis)


@op(lambda g, out, x, axis, keepdims: broadcast_to(restore(g, axis, keepdims), x.shape))
def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over an axis, several, or all."""
    return np.sum(x, axis=axis, keepdims=keepdims)


@op(lambda g, out, x, axis, keepdims: broadcast_to(restore(g * (out.size / (x.size or 1)), axis, keepdims), x.shape))
def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over an axis, several, or all."""
    return np.mean(x, axis=axis, keepdims=keepdims)


def shared_by_winners(g: Any, out: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
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


def to_factors(g: Any, out: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
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
    return np.prod(x, axis=axis, keepdims=keepdims)


def backwards(x: Any, axis: int) -> Any:
    """x in reverse order along an axis."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)]


@op(lambda g, out, x, axis: backwards(cumsum(backwards(g, axis or 0), axis or 0), axis or 0).reshape(x.shape))
def cumsum(x: Operand, axis: int | None = None) -> Array:
    """Running sum along an axis, or of the flattened array."""
    return np.cumsum(x, axis=axis)


@op(lambda g, out, x, shape: g.reshape(x.shape))
def reshape(x: Operand, shape: int | Sequence[int]) -> Array:
    """The elements in row-major order in another shape; one length may be -1."""
    return np.reshape(x, shape)


@op(lambda g, out, x, axis: g.reshape(x.shape))
def expand_dims(x: Operand, axis: int | tuple[int, ...]) -> Array:
    """New axes of length 1 at the given places of the result."""
    return np.expand_dims(x, axis)


@op(lambda g, out, x, shape: g)
def broadcast_to(x: Operand, shape: int | tuple[int, ...]) -> Array:
    """x repeated along new or length-1 axes; the gradient is the sum over the copies."""
    return np.broadcast_to(x, shape)


@op(lambda g, out, x, axes: transpose(g, None if axes is None else np.argsort(np.asarray(axes) % x.ndim).tolist()))
def transpose(x: Operand, axes: Sequence[int] | None = None) -> Array:
    """Axes in another order, reversed if none is given."""
    return np.transpose(x, axes)


@op(lambda g, out, x, index: scatter(g, index, x.shape))
def getitem(x: Operand, index: Any) -> Array:
    """x[index]; an element that is taken several times receives the sum of its gradients."""
    return x[index]


@op(lambda g, out, x, index, shape: getitem(g, index))
def scatter(x: Operand, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at [index]: what getitem is to its gradient.

    With integer arrays `out[index] = x` would go wrong: for the index [0, 0] the last value would win, but both count.
    """
    out = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(i is None or isinstance(i, (int, slice, EllipsisType)) for i in parts):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


@op(lambda i, g, out, *arrays, axis: getitem(g, block(arrays, i, axis)).reshape(arrays[i].shape), variadic=True)
def concatenate(*arrays: Operand, axis: int | None) -> Array:
    """Arrays one after another along an axis, or all flattened with axis=None."""
    return np.concatenate(arrays, axis)


def block(arrays: Sequence[Any], i: int, axis: int | None) -> tuple[Any, ...]:
    """Where the i-th array lies within the concatenation."""
    lengths = [x.size if axis is None else x.shape[axis] for x in arrays[: i + 1]]
    before = (slice(None),) * (axis % arrays[i].ndim if axis else 0)
    return (*before, slice(int(np.sum(lengths[:i])), int(np.sum(lengths))))


def matmul_to_x(g: Any, out: Any, x: Any, y: Any) -> Any:
    """g @ yT; a vector x is a row, a vector y a column."""
    if y.ndim == 1:
        return expand_dims(g, -1) * y  # (..., m, 1) * (k,)
    if x.ndim == 1:
        return (y @ expand_dims(g, -1))[..., 0]  # (..., k, n) @ (..., n, 1)
    return g @ y.swapaxes(-1, -2)


def matmul_to_y(g: Any, out: Any, x: Any, y: Any) -> Any:
    """xT @ g."""
    if x.ndim == 1:
        return x * g if y.ndim == 1 else expand_dims(x, -1) * expand_dims(g, -2)  # (k, 1) * (..., 1, n)
    if y.ndim == 1:
        return (x.swapaxes(-1, -2) @ expand_dims(g, -1))[..., 0]  # (..., k, m) @ (..., m, 1)
    return x.swapaxes(-1, -2) @ g


@op(matmul_to_x, matmul_to_y)
def matmul(x: Operand, y: Operand) -> Array:
    """x @ y: (..., m, k) @ (..., k, n) -> (..., m, n), with 1-D operands and broadcasting as in NumPy."""
    try:
        return np.matmul(x, y)
    except ValueError:
        x, y = np.shape(x), np.shape(y)
        if not x or not y or x[-1] == y[-2:][0]:
            raise
        hint = "; did you mean w.T?" if x[-1] == y[-1] else ""
        raise ValueError(f"matmul: {x} @ {y}: inner sizes {x[-1]} and {y[-2:][0]} differ{hint}") from None
