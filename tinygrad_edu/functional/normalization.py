"""Normalization as functions: each example by itself, over its last axes or over groups of channels.

What is left after the mean and the scale are `centred` and `over_rms` in ops/fused.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import check_number, check_positive_int
from tinygrad_edu.functional.losses import HALF
from tinygrad_edu.ops import Operand, as_operand, checked_operand, fused
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["check_lengths", "group_norm", "layer_norm", "over_rms", "rms_norm", "standardized", "wide"]


@library_function
def layer_norm(
    x: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes: Ba, Kiros & Hinton 2016.

    Args:
        x: Shape (..., *normalized_shape).
        normalized_shape: Lengths of the last axes, or the length of the last one.
        weight, bias: Shape normalized_shape, or None.
        eps: Added to the variance, which has the divisor n.

    Raises:
        ValueError: Shapes that do not fit, or eps below 0.
    """
    x, shape = checked_operand("layer_norm", x), check_lengths("layer_norm: normalized_shape", normalized_shape)
    check_shapes("layer_norm", x, shape, weight, bias)
    return standardized(x, len(shape), weight, bias, check_number("layer_norm: eps", eps, at_least=0))


@library_function
def rms_norm(
    x: Operand, normalized_shape: int | Sequence[int], weight: Operand | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x**2) + eps) * weight over the last axes: Zhang & Sennrich 2019; the mean of x stays.

    Args:
        x: Shape (..., *normalized_shape).
        normalized_shape: Lengths of the last axes, or the length of the last one.
        weight: Shape normalized_shape, or None.
        eps: Added to the mean square; if None, what 1 and the next number of x's dtype differ by, of float32 at least.

    Raises:
        ValueError: Shapes that do not fit, or eps below 0.
    """
    x, shape = checked_operand("rms_norm", x), check_lengths("rms_norm: normalized_shape", normalized_shape)
    check_shapes("rms_norm", x, shape, weight)
    return over_rms(x, len(shape), weight, None if eps is None else check_number("rms_norm: eps", eps, at_least=0))


@library_function
def group_norm(
    x: Operand, num_groups: int, weight: Operand | None = None, bias: Operand | None = None, eps: float = 1e-5
) -> Tensor:
    """layer_norm of each group of channels, then a weight and a bias for each channel: Wu & He 2018.

    Args:
        x: Shape (n, channels, ...).
        num_groups: How many groups the channels are in.
        weight, bias: Shape (channels,), or None.
        eps: Added to the variance, which has the divisor n.

    Raises:
        ValueError: Shapes that do not fit, a batch with a single value in each group, or eps below 0.
    """
    x = checked_operand("group_norm", x)
    groups = check_positive_int("group_norm: num_groups", num_groups)
    if x.ndim < 2 or x.shape[1] % groups:
        fits = f"it must be (n, channels, ...) with a multiple of {groups} channels"
        raise ValueError(f"group_norm: input of shape {x.shape} in {groups} groups; {fits}")
    if x.size == groups:
        few = "with one value in each group, which is its own mean, so all results would be 0"
        raise ValueError(f"group_norm: input of shape {x.shape} in {groups} groups, {few}; take fewer groups")
    each = check_parameters("group_norm", x.shape[1:2], weight, bias)
    rows = ops.reshape(wide(x, *each), (len(x), groups, math.prod(x.shape[1:]) // groups))
    normal = fused.over_rms(fused.centred(rows, (-1,)), (-1,), check_number("group_norm: eps", eps, at_least=0))
    columns = (-1, *[1] * (x.ndim - 2))
    return scaled(ops.reshape(normal, x.shape), x, *[None if p is None else ops.reshape(p, columns) for p in each])


def standardized(x: Tensor, ndim: int, weight: Operand | None, bias: Operand | None, eps: float) -> Tensor:
    """layer_norm over so many last axes, without checks."""
    axes = tuple(range(-ndim, 0))
    return scaled(fused.over_rms(fused.centred(wide(x, weight, bias), axes), axes, eps), x, weight, bias)


def over_rms(x: Tensor, ndim: int, weight: Operand | None, eps: float | None) -> Tensor:
    """rms_norm over so many last axes, without checks."""
    y = wide(x, weight)
    if eps is None:
        own = x.dtype if x.dtype.kind == "f" else y.dtype
        eps = float(np.finfo(np.promote_types(own, np.float32)).eps)
    return scaled(fused.over_rms(y, tuple(range(-ndim, 0)), eps), x, weight)


def check_lengths(name: str, lengths: int | Sequence[int]) -> tuple[int, ...]:
    """Lengths of axes, at least one, as a tuple of Python integers."""
    every = lengths if isinstance(lengths, (tuple, list)) else (lengths,)
    if not every:
        raise ValueError(f"{name} is {lengths!r}; it must name an axis")
    return tuple([check_positive_int(name, n) for n in every])


def check_shapes(name: str, x: Tensor, shape: tuple[int, ...], *parameters: Operand | None) -> None:
    """Raises an error unless x has these last axes, and the parameters no others."""
    if x.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: input of shape {x.shape}; its last axes must be {shape}")
    check_parameters(name, shape, *parameters)


def check_parameters(name: str, shape: tuple[int, ...], *parameters: Operand | None) -> list[Tensor | None]:
    """Weight and bias, if they have the shape: others would be broadcast."""
    named = zip(("weight", "bias"), parameters, strict=False)
    checked = [None if p is None else checked_operand(name, p, what) for what, p in named]
    for what, p in zip(("weight", "bias"), checked, strict=False):
        if p is not None and p.shape != shape:
            raise ValueError(f"{name}: {what} of shape {p.shape}; it must be {shape}")
    return checked


def wide(x: Tensor, *parameters: Operand | None) -> Tensor:
    """float16, where the square of 256 overflows, as float32 at least, and integers as floats."""
    if x.dtype.kind == "f" and x.dtype != HALF:
        return x
    return ops.astype(
        x, np.result_type(x.dtype, np.float32, *[as_operand(p).dtype for p in parameters if p is not None])
    )


def scaled(normal: Tensor, x: Tensor, weight: Operand | None, bias: Operand | None = None) -> Tensor:
    """normal * weight + bias, of float16 x in the dtype that NumPy makes of x's and theirs."""
    out = normal if weight is None else ops.multiply(normal, weight)
    out = out if bias is None else ops.add(out, bias)
    if x.dtype != HALF:
        return out
    return ops.astype(out, np.result_type(x.dtype, *[as_operand(p).dtype for p in (weight, bias) if p is not None]))
