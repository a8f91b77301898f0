"""Ops that put arrays side by side, take them apart, and fill borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import Array, op
from tinygrad_edu.ops.axes import at
from tinygrad_edu.ops.elementwise import Operand, as_operand
from tinygrad_edu.ops.indexing import getitem, scatter
from tinygrad_edu.ops.shapes import expand_dims

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["concatenate", "pad", "split", "stack"]


@op(lambda i, g, out, *arrays, axis: getitem(g, block(arrays, i, axis)).reshape(arrays[i].shape), variadic=True)
def _concatenate(*arrays: Operand, axis: int | None) -> Array:
    """Arrays one after another along an axis, or all flattened with axis=None."""
    return np.concatenate(arrays, axis)


def block(arrays: Sequence[Array], i: int, axis: int | None) -> tuple[Array, ...]:
    """Where the i-th array lies within the concatenation."""
    lengths = [x.size if axis is None else x.shape[axis] for x in arrays[: i + 1]]
    before = (slice(None),) * (axis % arrays[i].ndim if axis else 0)
    return (*before, slice(int(np.sum(lengths[:i])), int(np.sum(lengths))))


def concatenate(arrays: Sequence[Operand], axis: int | None = 0) -> Tensor:
    """Arrays one after another along an existing axis, or all flattened with axis=None."""
    return _concatenate(*[as_operand(x) for x in arrays], axis=axis)


def stack(arrays: Sequence[Operand], axis: int = 0) -> Tensor:
    """Arrays of one shape side by side along a new axis."""
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


def split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Equal parts along an axis, or parts that start at the given indices."""
    x = as_operand(x)
    parts = np.split(np.arange(x.shape[axis]), indices_or_sections)
    return [getitem(x, at(axis, x, slice(p[0], p[-1] + 1) if p.size else slice(0, 0))) for p in parts]


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
    return scatter(x, inside, border.shape) + border
