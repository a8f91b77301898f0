"""Functions composed of ops: none has a derivative rule of its own, the chain rule finds it.

First the NumPy functions that rearrange or combine what `ops` has, then activations; `losses` has the losses. Each
works on Tensors, arrays and nested lists; shapes and argument names are NumPy's (PyTorch's for activations and losses).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu import ops
from tinygrad_edu.engine import REGISTRY, as_operand, is_tensor, plain
from tinygrad_edu.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    l1_penalty,
    l2_penalty,
    mse_loss,
    nll_loss,
)
from tinygrad_edu.ops import Axis, Operand, fused
from tinygrad_edu.ops.convolution import avg_pool2d as avg_pool2d, conv2d as conv2d, max_pool2d as max_pool2d
from tinygrad_edu.ops.fused import leaky_relu, log_softmax
from tinygrad_edu.ops.products import einsum

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "clip",
    "concatenate",
    "copy",
    "cross_entropy",
    "diagonal",
    "dot",
    "einsum",
    "elu",
    "flatten",
    "flip",
    "gelu",
    "huber_loss",
    "l1_loss",
    "l1_penalty",
    "l2_penalty",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "moveaxis",
    "mse_loss",
    "nll_loss",
    "outer",
    "pad",
    "prelu",
    "ravel",
    "repeat",
    "roll",
    "silu",
    "softmax",
    "sort",
    "split",
    "square",
    "squeeze",
    "stack",
    "std",
    "swapaxes",
    "tile",
    "trace",
    "tril",
    "triu",
    "var",
]


def at(axis: int, x: Any, index: Any) -> tuple[Any, ...]:
    """The index that is `index` along one axis and everything along the others."""
    return (*(slice(None),) * normalize_axis_index(axis, x.ndim), index)


def copy(x: Operand) -> Tensor:
    """The same values in memory of their own; the gradient flows through."""
    return ops.astype(x, x.dtype) if is_tensor(x) else np.copy(x)  # type: ignore[return-value]


def clip(x: Operand, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Tensor:
    """Limits x to [a_min, a_max]: no gradient outside, all of it inside and at the limits.

    Args:
        x: Any shape.
        a_min: Lower limit, a number, an array or a Tensor that broadcasts to x; None for none. Also as `min`.
        a_max: Upper limit. Also as `max`.
    """
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise ValueError("clip: a limit is given twice, as a_min or a_max and as min or max; give it once")
    low, high = a_min if min is None else min, a_max if max is None else max
    if low is not None:
        x = ops.where(np.less(plain(x), plain(low)), low, x)
    return x if high is None else ops.where(np.greater(plain(x), plain(high)), high, x)


def square(x: Operand) -> Tensor:
    """x * x."""
    return ops.multiply(x, x)


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis, without overflow: positive numbers that add up to 1."""
    return ops.exp(log_softmax(x, axis))


def ravel(x: Operand) -> Tensor:
    """All elements in one axis, in row-major order."""
    return ops.reshape(x, -1)


flatten = ravel


def squeeze(x: Operand, axis: Axis = None) -> Tensor:
    """Without the axes of length 1, or without the named ones."""
    x = as_operand(x)
    return ops.reshape(x, np.squeeze(np.empty(x.shape, bool), axis).shape)


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places, the rest in their order."""
    x = as_operand(x)
    labels = np.moveaxis(np.empty(range(x.ndim), bool), source, destination).shape  # each axis is as long as its number
    return ops.transpose(x, labels)


def roll(x: Operand, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Elements shifted along the axes; what leaves at one end comes in at the other."""
    x = as_operand(x)
    return ops.reshape(
        ops.getitem(ops.reshape(x, -1), np.roll(np.arange(x.size).reshape(x.shape), shift, axis)), x.shape
    )


def swapaxes(x: Operand, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_operand(x)
    order = list(range(x.ndim))
    i, j = normalize_axis_index(axis1, x.ndim), normalize_axis_index(axis2, x.ndim)
    order[i], order[j] = order[j], order[i]
    return ops.transpose(x, order)


def flip(x: Operand, axis: Axis = None) -> Tensor:
    """Reversed along the axes, or along all."""
    x = as_operand(x)
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return ops.getitem(x, tuple([slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)]))


def stack(arrays: Sequence[Operand], axis: int = 0) -> Tensor:
    """Arrays of one shape side by side along a new axis."""
    return concatenate([ops.expand_dims(x, axis) for x in arrays], axis)


def concatenate(arrays: Sequence[Operand], axis: int | None = 0) -> Tensor:
    """Arrays one after another along an existing axis, or all flattened with axis=None."""
    return ops.concatenate(*[as_operand(x) for x in arrays], axis=axis)


def split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Equal parts along an axis, or parts that start at the given indices."""
    x = as_operand(x)
    parts = np.split(np.arange(x.shape[axis]), indices_or_sections)
    return [ops.getitem(x, at(axis, x, slice(p[0], p[-1] + 1) if p.size else slice(0, 0))) for p in parts]


def repeat(x: Operand, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times, along an axis or flattened; `repeats` is a number or one number per element."""
    x = as_operand(x)
    if axis is None:
        x, axis = ops.reshape(x, -1), 0
    return ops.getitem(x, at(axis, x, np.repeat(np.arange(x.shape[axis]), repeats)))


def tile(x: Operand, reps: int | Sequence[int]) -> Tensor:
    """The whole array several times along each axis."""
    x, repeats = as_operand(x), tuple(np.atleast_1d(reps).tolist())
    ndim = max(len(repeats), x.ndim)
    repeats, shape = (1,) * (ndim - len(repeats)) + repeats, (1,) * (ndim - x.ndim) + x.shape
    apart = [n for size in shape for n in (1, size)]  # (1, n0, 1, n1, ...)
    copies = tuple([n for pair in zip(repeats, shape, strict=True) for n in pair])  # (r0, n0, r1, n1, ...)
    return ops.reshape(
        ops.broadcast_to(ops.reshape(x, apart), copies), [r * n for r, n in zip(repeats, shape, strict=True)]
    )


def pad(x: Operand, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """A constant border.

    Args:
        x: Any shape.
        pad_width: n, (before, after), or one such pair per axis.
        mode: Only "constant".
        constant_values: The number in the border.

    Raises:
        ValueError: Another mode.
    """
    if mode != "constant":
        raise ValueError(f"pad: mode {mode!r} is not differentiable here; only mode='constant' is")
    x = as_operand(x)
    border = np.pad(np.zeros(x.shape, x.dtype), pad_width, constant_values=constant_values)
    before = np.broadcast_to(pad_width, (x.ndim, 2))[:, 0].tolist()
    inside = tuple([slice(b, b + n) for b, n in zip(before, x.shape, strict=True)])
    return ops.scatter(x, inside, border.shape) + border


def tril(x: Operand, k: int = 0) -> Tensor:
    """Zero above the k-th diagonal of the last two axes."""
    x = as_operand(x)
    return ops.where(np.tri(x.shape[-2:][0], x.shape[-1], k, dtype=bool), x, 0)


def triu(x: Operand, k: int = 0) -> Tensor:
    """Zero below the k-th diagonal of the last two axes."""
    x = as_operand(x)
    return ops.where(np.tri(x.shape[-2:][0], x.shape[-1], k - 1, dtype=bool), 0, x)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two axes, as the last axis of the result."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    n = len(np.diagonal(np.empty((rows, columns), bool), offset))
    i = np.arange(n) + (-offset if offset < 0 else 0)
    return ops.getitem(x, (..., i, i + offset))


def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal of two axes."""
    return ops.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def sort(x: Operand, axis: int | None = -1, kind: Any = None) -> Tensor:
    """Ascending along an axis, or flattened; each gradient returns to where its element came from."""
    x = as_operand(x)
    if axis is None:
        x, axis = ops.reshape(x, -1), -1
    order = np.argsort(plain(x), axis=axis, kind=kind or "stable")
    index: list[Any] = list(np.indices(order.shape, sparse=True))
    index[axis] = order
    return ops.getitem(x, tuple(index))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over the axes without overflow: the largest element is taken out of the sum."""
    x = as_operand(x)
    top = np.max(plain(x), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(top.dtype)
    out = ops.log(ops.sum(ops.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else squeeze(out, axis)


def var(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """Variance with the divisor n - ddof (0, NumPy's default, is the population's; PyTorch's is 1)."""
    x = as_operand(x)
    squares = square(x - ops.mean(x, axis=axis, keepdims=True))
    total: Tensor = ops.sum(squares, axis=axis, keepdims=keepdims)
    return ops.divide(total, max(x.size / (total.size or 1) - ddof, 0.0))


def std(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation, the square root of `var`; where it is 0 it has no derivative (the gradient is NaN)."""
    return ops.sqrt(var(x, axis, ddof, keepdims))


def outer(x: Operand, y: Operand) -> Tensor:
    """All products of an element of x and one of y: (x.size, y.size)."""
    return ops.multiply(ops.reshape(x, (-1, 1)), ops.reshape(y, (1, -1)))


def dot(x: Operand, y: Operand) -> Tensor:
    """NumPy's dot: the last axis of x against the last but one of y (the only one of a vector)."""
    x, y = as_operand(x), as_operand(y)
    if not x.ndim or not y.ndim:
        return ops.multiply(x, y)
    if y.ndim <= 2:
        return ops.matmul(x, y)
    columns = ops.reshape(moveaxis(y, -2, 0), (y.shape[-2], -1))  # (k, the rest of y)
    return ops.reshape(ops.matmul(x, columns), x.shape[:-1] + y.shape[:-2] + y.shape[-1:])


def linear(x: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """x @ weight.T + bias: (..., in), (out, in), (out,) -> (..., out)."""
    if bias is None:
        return ops.matmul(x, ops.transpose(weight))
    return fused.linear(x, weight, bias)


def prelu(x: Operand, weight: Operand) -> Tensor:
    """leaky_relu with slopes that are learned: He, Zhang, Ren & Sun 2015.

    Args:
        x: Any shape; with several slopes (n, channels, ...).
        weight: One slope, of shape (1,) or (), or one per channel, (channels,).

    Raises:
        ValueError: The number of slopes is neither 1 nor the length of axis 1.
    """
    x, weight = as_operand(x), as_operand(weight)
    if weight.size != 1 and (weight.ndim != 1 or x.shape[1:2] != weight.shape):
        raise ValueError(
            f"prelu: weight of shape {weight.shape} for input {x.shape}; it takes one slope, or one for each place of "
            "axis 1"
        )
    slopes = ops.reshape(weight, () if weight.size == 1 else (-1, *(1,) * (x.ndim - 2)))
    return ops.multiply(x, ops.where(plain(x) > 0, 1, slopes))


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x, or alpha * (exp(x) - 1) where x <= 0: Clevert, Unterthiner & Hochreiter 2016. The slope at 0 is alpha."""
    positive = plain(as_operand(x)) > 0
    left = fused.expm1(ops.where(positive, 0, x))  # of min(x, 0): exp(x) overflows where it is not wanted
    return ops.where(positive, x, ops.multiply(left, alpha))


def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x times the probability that a standard normal number is below x: Hendrycks & Gimpel 2016.

    Args:
        x: Any shape.
        approximate: "none" for x / 2 * (1 + erf(x / sqrt(2))), exact and slow (see erf), or "tanh" for the paper's
            x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), fast and at most 0.0005 off.

    Raises:
        ValueError: Another approximation.
    """
    x = as_operand(x)
    if approximate == "none":
        return ops.multiply(0.5 * x, 1 + fused.erf(x * math.sqrt(0.5)))
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    near = clip(x, -10, 10)  # beyond, tanh is 1, and the cube may overflow
    return ops.multiply(0.5 * x, 1 + ops.tanh(math.sqrt(2 / math.pi) * near * (1 + 0.044715 * near * near)))


def silu(x: Operand) -> Tensor:
    """x * sigmoid(x): Elfwing, Uchibe & Doya 2018; called swish by Ramachandran, Zoph & Le 2017."""
    return ops.multiply(x, ops.sigmoid(x))


NUMPY = {getattr(np, name): op.call for name, op in REGISTRY.items() if hasattr(np, name)}
NUMPY |= {getattr(np, name): globals()[name] for name in __all__ if hasattr(np, name)}
NUMPY |= {np.amax: ops.max, np.amin: ops.min}
PREDICATES = {  # their results have no gradient by nature, so they see the plain data
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.isnan, np.isinf, np.isfinite, np.shape, np.ndim, np.size),
}


def dispatch(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Runs a NumPy function that was called with a Tensor: by its op, or a predicate on the plain data."""
    if func in PREDICATES:
        return func(*[plain(x) for x in args], **kwargs)
    for name in kwargs.keys() & {"a", "A", "array", "ary", "m", "v"}:  # NumPy's names for the first operand
        args, kwargs = (kwargs[name], *args), {k: v for k, v in kwargs.items() if k != name}
    refused = kwargs.keys() & {"out", "where", "dtype", "initial", "order", "casting"}
    if func not in NUMPY or refused:
        name = f"{getattr(func, '__module__', None) or 'numpy'}.{func.__name__}"
        name += f" with {', '.join(sorted(refused))}=" if refused else ""
        raise TypeError(
            f"{name} has no derivative here; for plain values pass tensor.data, for a gradient compose it from the "
            "functions of tinygrad_edu or add an op with @op"
        )
    return NUMPY[func](*args, **kwargs)
