"""Ops that could be composed of others, fused for speed: they are most of a training step.

`linear` keeps one array fewer than a matmul and an addition; `cross_entropy` is one op instead of seven.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.autograd import op
from tinygrad_edu.ops import Operand, exp, expand_dims
from tinygrad_edu.registry import Array


@op(
    lambda g, out, x, weight, bias: g @ weight,
    lambda g, out, x, weight, bias: (rows(x).T @ rows(g)).T,
    lambda g, out, x, weight, bias: g,
)
def linear(x: Operand, weight: Operand, bias: Operand = 0.0) -> Array:
    """x @ weight.T + bias: (..., in), (out, in), (out,) -> (..., out). One op, so one array fewer to keep."""
    out = np.matmul(x, weight.T)
    out += bias
    return out


def rows(x: Any) -> Any:
    """All leading axes as one: (..., n) -> (m, n)."""
    return x if x.ndim == 2 else x.reshape((-1, x.shape[-1]))


@op(lambda g, out, x, axis: g - exp(out) * g.sum(axis=axis, keepdims=True))
def log_softmax(x: Operand, axis: int = -1) -> Array:
    """log(softmax(x)) along an axis, exact where softmax itself would round to 0."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def to_logits(g: Any, out: Any, logits: Any, target: Any) -> Any:
    """softmax(logits) - target, where a label stands for the distribution with all its weight there."""
    predicted = exp(log_softmax(logits))
    if target.ndim < logits.ndim:
        return expand_dims(g, -1) * (predicted - np.equal.outer(target, np.arange(logits.shape[-1])))
    return expand_dims(g, -1) * (predicted * target.sum(axis=-1, keepdims=True) - target)


@op(to_logits, lambda g, out, logits, target: expand_dims(g, -1) * -log_softmax(logits))
def cross_entropy(logits: Operand, target: Operand) -> Array:
    """-sum(p * log_softmax(logits)) of each row, worked class-major: NumPy reduces fastest along the first axis."""
    z = np.ascontiguousarray(np.moveaxis(logits, -1, 0))  # (classes, ...)
    z = z - z.max(axis=0)
    log_total = np.log(np.exp(z).sum(axis=0))
    if target.ndim < logits.ndim:
        return log_total - np.take_along_axis(z, target[None], 0)[0]
    p = np.moveaxis(target, -1, 0)
    return log_total * p.sum(axis=0) - (p * z).sum(axis=0)
