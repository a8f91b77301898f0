"""Ops that could be composed of others, fused for precision or for speed.

`log_softmax` keeps the digits that its formula would round away, and the clamped logarithms are here because their
derivatives are clamped too. `linear` saves an array, and `cross_entropy` six ops: the two are most of a training step.
`self_attention` is `functional.scaled_dot_product_attention` of all heads, in few passes over the weights, which are as
many as pairs of places.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.arrays import array_of, beside, contiguous
from tinygrad_edu.engine import Array, is_tensor, op
from tinygrad_edu.ops.elementwise import Operand, add, exp, maximum, sqrt
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.reductions import mean, sum
from tinygrad_edu.ops.shapes import expand_dims
from tinygrad_edu.sums import FEW, add_up, first_along, mean_of

__all__ = [
    "centred", "clamped_log", "clamped_log1p", "cross_entropy", "linear", "log_softmax", "over_rms", "self_attention",
    "softmax",
]  # fmt: skip


def max_along(x: Array, axis: int) -> Array:
    """np.max along an axis, which keeps its length; of a long last axis NumPy finds the place twice as fast."""
    if axis not in (-1, np.ndim(x) - 1) or np.size(x) <= FEW:
        return np.max(x, axis, keepdims=True)
    return np.take_along_axis(x, np.argmax(x, axis, keepdims=True), axis)


@op(lambda g, out, x, axis: g - exp(out) * sum(g, axis=axis, keepdims=True))
def log_softmax(x: Operand, axis: int = -1) -> Array:
    """log(softmax(x)) along an axis, exact where softmax itself would round to 0."""
    if not np.size(x):
        return x * 1.0
    shifted = x - 1.0 * max_along(x, axis)  # 1.0: unsigned integers would wrap around
    return shifted - np.log(add_up(np.exp(shifted), axis, keepdims=True))


@op(
    lambda g, out, dp, p, axis: softmax_slope(g, p, axis),
    lambda g, out, dp, p, axis: g * (dp - sum(dp * p, axis, keepdims=True)) - dp * sum(g * p, axis, keepdims=True),
)
def softmax_slope(dp: Array, p: Array, axis: int) -> Array:
    """p * (dp - sum(dp * p)): the gradient of softmax's input, where p came out and dp comes back."""
    out = dp * p
    np.subtract(dp, add_up(out, axis, keepdims=True), out=out)
    out *= p
    return out


@op(lambda g, out, x, axis: softmax_slope(g, out, axis))
def softmax(x: Operand, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis, without overflow: positive numbers that add up to 1.

    Where x is -inf, as in an attention mask, it is 0, and so is the gradient; if that is all there is, NaN.
    """
    out, total = exp_and_total(array_of(x), axis)
    out /= total
    return out


def exp_and_total(x: Array, axis: int, out: Array | None = None) -> tuple[Array, Array]:
    """exp(x - c) and its sum along an axis, c being the largest x of each line.

    To find the largest takes as long as exp. So c is first 0, which serves unless a sum is infinite, or so small that
    it has lost digits.
    """
    x = x if x.dtype.kind == "f" else 1.0 * x  # of small integers NumPy would make float16
    if x.size > FEW or not x.size:
        with np.errstate(over="ignore"):
            out = np.exp(x, out=out)
            total = add_up(out, axis, keepdims=True)
        if not x.size or (total.min() > np.finfo(total.dtype).tiny ** 0.5 and total.max() < np.inf):
            return out, total
    out = np.subtract(x, max_along(x, axis), out=out)
    np.exp(out, out=out)
    return out, add_up(out, axis, keepdims=True)


def heads_of(x: Array, heads: int) -> tuple[Array, Array, Array]:
    """Views of query, key and value: (n, places, 3 * heads * d) -> three of (n, heads, places, d)."""
    n, places, length = x.shape
    parts = x.reshape((n, places, 3, heads, length // (3 * heads))).transpose((2, 0, 3, 1, 4))
    return parts[0], parts[1], parts[2]


def weigh(q: Array, k: Array, mask: Array | None, out: Array) -> Array:
    """Writes softmax(q @ k.T / sqrt(d) + mask) to `out`."""
    scores = np.matmul(q / math.sqrt(q.shape[-1]), k.swapaxes(-1, -2))
    if mask is not None:
        scores += mask
    _, total = exp_and_total(scores, -1, out)
    out /= total
    return out


def to_projections(g: Array, out: Array, x: Array, mask: Array | None, heads: int) -> Array:
    """The gradients of query, key and value, side by side as they came."""
    q, k, v = heads_of(x, heads)
    n, _, places, d = q.shape
    if is_tensor(g) or is_tensor(x):
        g = g.reshape((n, places, heads, d)).swapaxes(1, 2)
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(d)
        weights = softmax(scores if mask is None else add(scores, mask))
        slope = softmax_slope(g @ v.swapaxes(-1, -2), weights, -1) / math.sqrt(d)
        parts = [slope @ k, slope.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g]
        return stack(parts).transpose((1, 3, 0, 2, 4)).reshape(x.shape)
    size = n * heads * places * places
    if out.base is not None and out.base.size == size + out.size:
        weights = out.base[:size].reshape((n, heads, places, places))
    else:  # a copy
        weights = weigh(q, k, mask, beside(x, np.empty, (n, heads, places, places), out.dtype))
    scaled = g / math.sqrt(d)
    ones = beside(x, np.ones, d, out.dtype)
    shared = np.matmul((scaled * out).reshape((-1, d)), ones)  # sum(slope * weights), for less
    g, scaled = [z.reshape((n, places, heads, d)).swapaxes(1, 2) for z in (g, scaled)]
    slope = np.matmul(scaled, v.swapaxes(-1, -2))
    slope -= shared.reshape((n, places, heads, 1)).swapaxes(1, 2)
    slope *= weights
    dx = np.empty_like(x, order="C")
    dq, dk, dv = heads_of(dx, heads)
    np.matmul(slope, k, out=dq)
    np.matmul(slope.swapaxes(-1, -2), q, out=dk)
    np.matmul(weights.swapaxes(-1, -2), g, out=dv)
    return dx


@op(to_projections)
def self_attention(x: Array, mask: Array | None, heads: int) -> Array:
    """softmax(query @ key.T / sqrt(d) + mask) @ value of each head: (n, places, 3 * width) -> (n, places, width).

    Query, key and value of a place lie side by side. The weights stay in the array whose last part is the result.
    """
    q, k, v = heads_of(x, heads)
    n, _, places, d = q.shape
    size = n * heads * places * places
    kept = beside(x, np.empty, size + n * places * heads * d, x.dtype)
    weights = weigh(q, k, mask, kept[:size].reshape((n, heads, places, places)))
    np.matmul(weights, v, out=kept[size:].reshape((n, places, heads, d)).swapaxes(1, 2))
    return kept[size:].reshape((n, places, heads * d))


@op(lambda g, out, x, axis: g - mean(g, axis, keepdims=True))
def centred(x: Array, axis: tuple[int, ...]) -> Array:
    """x - mean over the axes, counted from the last."""
    out = x - first_along(x, axis)
    out -= mean_of(out, axis, keepdims=True)
    return out


def to_over_rms(g: Array, out: Array, x: Array, axis: tuple[int, ...], eps: float) -> Array:
    """(g - out * mean(g * out)) / rms; of arrays in place, which saves two."""
    part = out * mean_product(g, out, axis)
    part -= g
    part /= -sqrt(mean_product(x, x, axis) + eps)
    return part


@op(to_over_rms)
def over_rms(x: Array, axis: tuple[int, ...], eps: float) -> Array:
    """x / sqrt(mean(x * x) + eps), the mean over the axes, counted from the last."""
    return x / np.sqrt(mean_product(x, x, axis) + eps)


def mean_product(x: Array, y: Array, axis: tuple[int, ...]) -> Array:
    """The mean of x * y over the axes, which keep their lengths."""
    if axis == (-1,) and type(x) is type(y) is np.ndarray and x.dtype.char in "fd" and 0 < x.shape[-1] <= FEW:
        return np.vecdot(x, y)[..., None] / x.shape[-1]  # a pass less
    return mean(x * y, axis, keepdims=True)


@op(lambda g, out, x: g / maximum(x, 1e-12))
def clamped_log(x: Array) -> Array:
    """log(x) for x >= 0, at least -100, and its slope at most 1e12."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), -100.0)


@op(lambda g, out, x: g / maximum(1 + x, 1e-12))
def clamped_log1p(x: Array) -> Array:
    """log(1 + x) for x >= -1, at least -100, and its slope at most 1e12."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(x), -100.0)


@op(
    lambda g, out, x, weight, bias: unrolled(rows(g) @ weight, x.shape[:-1]),
    lambda g, out, x, weight, bias: (rows(x).T @ rows(g)).T,
    lambda g, out, x, weight, bias: sum(rows(g), axis=0),
)
def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x @ weight.T + bias: (..., in), (out, in), (out,) -> (..., out)."""
    if bias.shape != weight.shape[:-1]:  # one of shape (1,) would be added to all outputs
        what = f"weight of shape {weight.shape} and bias of shape {bias.shape}"
        raise ValueError(f"linear: {what}; they must be (out, in) and (out,)")
    out = np.dot(rows(x), weight.T)  # one product; of three axes np.matmul makes many small ones
    out = np.add(out, bias, out=out if out.dtype is bias.dtype else None)
    return unrolled(out, x.shape[:-1])


def rows(x: Array) -> Array:
    """All leading axes as one: (..., n) -> (m, n)."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def unrolled(x: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of `rows`: (m, n) -> (*shape, n)."""
    return x if len(shape) == 1 else x.reshape((*shape, x.shape[-1]))


def class_major(logits: Array) -> Array:
    """(..., classes) -> (classes, ...), less the largest: NumPy reduces along the first axis several times faster."""
    z = contiguous(logits.T if logits.ndim == 2 else np.moveaxis(logits, -1, 0))
    return z - (np.maximum.reduce(z) if type(z) is np.ndarray else z.max(0))


def weighted_softmax(logits: Array, target: Array) -> Array:
    """softmax(logits) times the target's total, which is 1 for a distribution."""
    total = 1 if target.ndim < logits.ndim else sum(target, axis=-1, keepdims=True)
    return exp(log_softmax(logits)) * total


def curvature(g: Array, out: Array, logits: Array, target: Array) -> Array:
    """The vjp of softmax: p * (g - sum(p * g))."""
    return weighted_softmax(logits, target) * (g - sum(g * exp(log_softmax(logits)), axis=-1, keepdims=True))


@op(curvature, lambda g, out, logits, target: sum(g * exp(log_softmax(logits)), axis=-1, keepdims=True) - g)
def cross_entropy_slope(logits: Array, target: Array) -> Array:
    """softmax(logits) - target: the gradient of cross_entropy with respect to the logits."""
    p = np.exp(class_major(logits))  # (classes, ...)
    p /= add_up(p, 0)
    if target.ndim < logits.ndim:
        p.reshape(len(p), -1)[target.ravel(), beside(p, np.arange, target.size)] -= 1  # a view: p is contiguous
    else:
        p = p * add_up(target, -1) - np.moveaxis(target, -1, 0)
    return p.T if p.ndim == 2 else np.moveaxis(p, 0, -1)


def upstream(g: Array, logits: Array, reduction: str) -> Array:
    """The gradient of each row's loss."""
    if reduction == "none":
        return expand_dims(g, -1)
    return g if reduction == "sum" else g / (logits.size // logits.shape[-1])


@op(
    lambda g, out, logits, target, reduction: upstream(g, logits, reduction) * cross_entropy_slope(logits, target),
    lambda g, out, logits, target, reduction: upstream(g, logits, reduction) * -log_softmax(logits),
)
def cross_entropy(logits: Array, target: Array, reduction: str = "none") -> Array:
    """-sum(target * log_softmax(logits)) over the last axis; a label is the distribution with all its weight there."""
    z = class_major(logits)
    log_total = np.log(add_up(np.exp(z), 0))
    if target.ndim < logits.ndim:
        right = z.reshape(len(z), -1)[target.ravel(), beside(z, np.arange, target.size)]
        losses = log_total - right.reshape(target.shape)
    else:
        p = np.moveaxis(target, -1, 0)
        cost = log_total - z
        if z.size and z.min() == -np.inf:  # an impossible class costs nothing if it never happens
            cost = np.where(p == 0, 0.0, cost)
        losses = add_up(p * cost, 0)
    if reduction == "none":
        return losses
    total = add_up(losses)
    return total if reduction == "sum" else total / losses.size if losses.size else losses.mean()
