"""What a NumPy function does with a Tensor: one table, function by function.

A function in DIFFERENTIABLE runs as ours and returns a Tensor. One in VALUES returns what NumPy does for the plain
data: booleans and shapes have no derivative by nature. Any other refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine import plain

__all__ = ["DIFFERENTIABLE", "VALUES", "dispatch"]

DIFFERENTIABLE: dict[Callable[..., Any], Callable[..., Any]] = {
    np.abs: ops.abs, np.add: ops.add, np.subtract: ops.subtract, np.multiply: ops.multiply, np.divide: ops.divide,
    np.power: ops.power, np.negative: ops.negative, np.maximum: ops.maximum, np.minimum: ops.minimum,
    np.sqrt: ops.sqrt, np.square: ops.square, np.exp: ops.exp, np.expm1: ops.expm1, np.log: ops.log,
    np.log1p: ops.log1p, np.sin: ops.sin, np.cos: ops.cos, np.tanh: ops.tanh,
    np.clip: ops.clip, np.where: ops.where, np.copy: ops.copy, np.astype: ops.astype,
    np.sum: ops.sum, np.mean: ops.mean, np.prod: ops.prod, np.max: ops.max, np.amax: ops.max, np.min: ops.min,
    np.amin: ops.min, np.var: ops.var, np.std: ops.std, np.cumsum: ops.cumsum, np.sort: ops.sort,
    np.reshape: ops.reshape, np.ravel: ops.ravel, np.expand_dims: ops.expand_dims, np.squeeze: ops.squeeze,
    np.transpose: ops.transpose, np.swapaxes: ops.swapaxes, np.moveaxis: ops.moveaxis,
    np.broadcast_to: ops.broadcast_to, np.tile: ops.tile, np.concatenate: ops.concatenate, np.stack: ops.stack,
    np.split: ops.split, np.repeat: ops.repeat, np.roll: ops.roll, np.flip: ops.flip, np.pad: ops.pad,
    np.tril: ops.tril, np.triu: ops.triu, np.diagonal: ops.diagonal, np.trace: ops.trace,
    np.matmul: ops.matmul, np.dot: ops.dot, np.outer: ops.outer, np.einsum: ops.einsum,
}  # fmt: skip
VALUES: set[Callable[..., Any]] = {
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.isnan, np.isinf, np.isfinite, np.shape, np.ndim, np.size),
}
FIRST_OPERAND = {"a", "A", "array", "ary", "m", "v"}  # NumPy's names for it
NOT_DIFFERENTIABLE = {"out", "where", "dtype", "initial", "order", "casting"}  # keyword arguments that ours lack


def dispatch(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Runs a NumPy function that was called with a Tensor."""
    if func in VALUES:
        return func(*[plain(x) for x in args], **kwargs)
    for name in kwargs.keys() & FIRST_OPERAND:
        args, kwargs = (kwargs[name], *args), {k: v for k, v in kwargs.items() if k != name}
    refused = kwargs.keys() & NOT_DIFFERENTIABLE
    if func not in DIFFERENTIABLE or refused:
        name = f"{getattr(func, '__module__', None) or 'numpy'}.{func.__name__}"
        name += f" with {', '.join(sorted(refused))}=" if refused else ""
        raise TypeError(
            f"{name} has no derivative here; for plain values pass tensor.data, for a gradient compose it from the "
            "functions of tinygrad_edu or add an op with @op"
        )
    return DIFFERENTIABLE[func](*args, **kwargs)
