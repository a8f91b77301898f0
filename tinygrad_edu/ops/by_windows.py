"""Convolution as its definition has it: kernels times windows, which `einsum` adds up.

`convolution.py` computes the same several times faster on a CPU, where it arranges the pixels in memory; this is for
arrays from elsewhere, such as CuPy's, and to read. In the subscripts: images n, groups g, input and output channels of
a group c and o, places r and s, and i and j within a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tinygrad_edu.arrays import beside
from tinygrad_edu.engine import Array

__all__ = ["Pair", "conv2d", "conv2d_input", "conv2d_weight", "fold", "reach", "views"]

Pair = tuple[int, int]


def reach(size: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How many rows and columns a window reaches over, as it takes each dilation-th alone."""
    return tuple([gap * (n - 1) + 1 for n, gap in zip(size, dilation, strict=True)])


def views(x: Array, size: Sequence[int], stride: Pair, dilation: Pair) -> list[Array]:
    """For each element of a window what stands there in all windows: views (n, c, rows, columns)."""
    ends = [n - far + 1 for n, far in zip(x.shape[2:], reach(size, dilation), strict=True)]
    corners = [(i * dilation[0], j * dilation[1]) for i, j in np.ndindex(*size)]
    return [x[:, :, i : i + ends[0] : stride[0], j : j + ends[1] : stride[1]] for i, j in corners]


def fold(parts: list[Array], size: Sequence[int], stride: Pair, shape: tuple[int, ...], dilation: Pair) -> Array:
    """The sum of the parts at their places: the transpose of `views`."""
    out = beside(parts[0], np.zeros, shape, parts[0].dtype)
    for pixels, part in zip(views(out, size, stride, dilation), parts, strict=True):
        pixels += part
    return out


def with_border(x: Array, padding: Pair) -> Array:
    """x within zeros."""
    return np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2)) if any(padding) else x


def grouped(x: Array, axis: int, groups: int) -> Array:
    """An axis of channels split into (groups, channels / groups)."""
    return x.reshape((*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :]))


def seen(x: Array, size: Sequence[int], stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """All windows: (n, c, h, w) -> (elements of a window, n, groups, c / groups, rows, columns)."""
    return grouped(np.stack(views(with_border(x, padding), size, stride, dilation)), 2, groups)


def conv2d(x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """(n, c, h, w), (out, c / groups, *size) -> (n, out, rows, columns)."""
    kernels = grouped(weight.reshape((*weight.shape[:2], -1)), 0, groups)
    parts = seen(x, weight.shape[2:], stride, padding, dilation, groups)
    out = np.einsum("kngcrs,gock->ngors", parts, kernels)
    return out.reshape((len(x), len(weight), *out.shape[3:]))


def conv2d_input(
    y: Array, weight: Array, shape: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The transpose of conv2d to its input: (n, out, rows, columns) -> shape, (n, c, h, w)."""
    size, (n, c, h, w) = weight.shape[2:], shape
    kernels = grouped(weight.reshape((*weight.shape[:2], -1)), 0, groups)
    parts = np.einsum("ngors,gock->kngcrs", grouped(y, 1, groups), kernels)
    parts = parts.reshape((prod(size), len(y), -1, *y.shape[2:]))
    out = fold(list(parts), size, stride, (n, c, h + 2 * padding[0], w + 2 * padding[1]), dilation)
    return out[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + w]


def conv2d_weight(
    x: Array, y: Array, shape: tuple[int, ...], stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The transpose of conv2d to its kernels: (n, c, h, w), (n, out, rows, columns) -> shape, (out, c, *size)."""
    parts = seen(x, shape[2:], stride, padding, dilation, groups)
    return np.einsum("kngcrs,ngors->gock", parts, grouped(y, 1, groups)).reshape(shape)
