"""Convolution and pooling of images: one view, `windows`, and what is multiplied or chosen in it.

A kernel that slides over an image meets one window of pixels at each place. `windows` shows all of them at once as
an array with two more axes, without copying. A pixel lies in several windows, and its gradient is the sum over them:

    x = Tensor(np.ones((1, 1, 1, 3)))                   # windows of two: (0, 1) and (1, 2)
    conv2d(x, np.ones((1, 1, 1, 2))).sum().backward()   # x.grad is [1, 2, 1]: the middle one counts twice

Writing each window's gradient to its place, as the reverse of reading it, would leave [1, 1, 1]: the last one wins.

The hard idea is that three ops hold every derivative of a convolution. Together with the gradient y that arrives it is

    sum over all indices of y[n, o, i, j] * x[n, c, i + a, j + b] * weight[o, c, a, b]

which is linear in each of the three, so its derivative to one is made of the other two: to y `conv2d`, to x
`conv2d_input`, to the weight `conv2d_weight`. Each therefore has the other two as its rules, and any order comes free.
Strides and dilations change the places only, to i * stride + a * dilation, and groups which c go with which o.

Images have the shape (n, channels, height, width) but lie in memory as (channels, height, width, n), the order of
cuda-convnet (Krizhevsky 2012): whatever the stride, runs of n numbers are copied or added. Every op here makes its
result in this order, and the next one takes it without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.elementwise import unless_nan
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import broadcast_to, expand_dims

__all__ = [
    "NO_GAPS", "Pair", "conv2d", "conv2d_input", "conv2d_weight", "fold", "max_pool", "mean_pool", "reach", "windows",
    "winners",
]  # fmt: skip

Pair = tuple[int, int]
Shape = tuple[int, int, int, int]
NO_GAPS = (1, 1)
SLAB = 2**18  # bytes of windows that are copied at a time, and multiplied while they are in the cache


def reach(size: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How many rows and columns a window reaches over, as it takes each dilation-th alone."""
    return tuple([gap * (n - 1) + 1 for n, gap in zip(size, dilation, strict=True)])


@op(lambda g, out, x, size, stride, dilation: fold(g, size, stride, x.shape, dilation))
def windows(x: Array, size: Pair, stride: Pair, dilation: Pair = NO_GAPS) -> Array:
    """Every window of a size: (n, c, h, w) -> (n, c, rows, columns, *size), a view; it takes each dilation-th pixel."""
    seen = sliding_window_view(x, reach(size, dilation), (2, 3), writeable=True)
    return seen[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


@op(lambda g, out, x, size, stride, shape, dilation: windows(g, size, stride, dilation))
def fold(x: Array, size: Pair, stride: Pair, shape: Shape, dilation: Pair = NO_GAPS) -> Array:
    """The sum of windows at their places: (n, c, rows, columns, *size) -> shape, (n, c, h, w)."""
    out = zeros(shape, np.promote_types(x.dtype, np.float32))
    for pixels, part in zip(elements(windows(out, size, stride, dilation)), elements(x), strict=True):
        pixels += part
    return out.astype(x.dtype, copy=False)


def elements(seen: Array) -> list[Array]:
    """For each element of a window what stands there in all windows: views (n, c, rows, columns), fast to reduce."""
    return [seen[..., i, j] for i, j in np.ndindex(*seen.shape[4:])]


def inside(padding: Pair) -> tuple[Any, ...]:
    """The index of what a border surrounds."""
    return (..., *[slice(n, -n or None) for n in padding])


def zeros(shape: Shape, dtype: Any, padding: Pair = (0, 0)) -> Array:
    """Black images (n, c, h, w) and a border around them, in memory (c, h, w, n)."""
    (n, c, h, w), (down, right) = shape, padding
    return np.zeros((c, h + 2 * down, w + 2 * right, n), dtype).transpose(3, 0, 1, 2)


def bordered(x: Array, padding: Pair) -> Array:
    """A copy of the images with a border of zeros."""
    out = zeros(x.shape, x.dtype, padding)
    out[inside(padding)] = x
    return out


def matrix(x: Array) -> Array:
    """(n, c, h, w) -> (c, h * w * n), a row for each channel; a view of what lies so in memory."""
    n, c, h, w = x.shape
    return x.transpose(1, 2, 3, 0).reshape(c, h * w * n)


def slabs(seen: Array) -> Iterator[tuple[slice, Array]]:
    """Some rows of windows at a time, a view (c, *size, rows, columns, n), and which columns of `matrix` they give."""
    seen = seen.transpose(1, 4, 5, 2, 3, 0)
    row = prod(seen.shape[4:])
    step = max(1, SLAB // max(prod(seen.shape[:3]) * row * seen.itemsize, 1))
    for top in range(0, seen.shape[3], step):
        yield slice(top * row, (top + step) * row), seen[:, :, :, top : top + step]


def grouped(x: Array, groups: int) -> Array:
    """(out, ...) -> (groups, out / groups, product of the rest): a matrix for each group of channels or kernels."""
    return x.reshape(groups, len(x) // groups, prod(x.shape[1:]))


def to_operand(i: int, g: Array, out: Array, x: Array, weight: Array, *bias: Array, **how: Any) -> Array:
    """conv2d_input(g, weight), conv2d_weight(x, g) or, for the bias, the sum of g over images and places."""
    if i == 0:
        return conv2d_input(g, weight, shape=x.shape, **how)
    return conv2d_weight(x, g, shape=weight.shape, **how) if i == 1 else sum(g, (0, 2, 3))


@op(to_operand, variadic=True)
def conv2d(
    x: Array, weight: Array, *bias: Array, stride: Pair, padding: Pair, dilation: Pair = NO_GAPS, groups: int = 1
) -> Array:
    """(n, c, h, w), (out, c, *size), perhaps (out,) -> (n, out, rows, columns): the kernels times all windows.

    The channels, as the kernels, are in so many groups: a kernel sees those of its own, c / groups.
    """
    seen = windows(bordered(x, padding), weight.shape[2:], stride, dilation)
    out = zeros((len(x), len(weight), seen.shape[2], seen.shape[3]), np.result_type(x, weight, *bias))
    out = np.empty_like(out)  # not itself a view, which no_grad would copy
    kernels, flat = grouped(weight, groups), matrix(out)
    each_group = grouped(flat, groups)
    for at, part in slabs(seen):
        np.matmul(kernels, part.reshape(groups, kernels.shape[2], -1), out=each_group[..., at])
        for each in bias:
            flat[:, at] += each[:, None]
    return out


@op(
    lambda g, out, y, weight, shape, **how: conv2d(g, weight, **how),
    lambda g, out, y, weight, shape, **how: conv2d_weight(g, y, shape=weight.shape, **how),
)
def conv2d_input(
    y: Array, weight: Array, stride: Pair, padding: Pair, shape: Shape, dilation: Pair = NO_GAPS, groups: int = 1
) -> Array:
    """(n, out, rows, columns), (out, c, *size) -> shape, (n, c, h, w): each number of y paints kernels, which add up.

    Named as in torch.nn.grad; a layer that does this is a ConvTranspose2d (Zeiler et al. 2010).
    """
    kernels, each_group = grouped(weight, groups).swapaxes(1, 2), grouped(matrix(y), groups)
    dtype = np.result_type(y, weight)
    out = zeros(shape, np.promote_types(dtype, np.float32), padding)
    for at, seen in slabs(windows(out, weight.shape[2:], stride, dilation)):
        part = (kernels @ each_group[..., at]).reshape(seen.shape)
        for j, row in np.ndindex(weight.shape[3], part.shape[3]):  # as much at once as has no pixel in common
            seen[:, :, j, row] += part[:, :, j, row]
    return out[inside(padding)].astype(dtype, copy=False)


@op(
    lambda g, out, x, y, shape, **how: conv2d_input(y, g, shape=x.shape, **how),
    lambda g, out, x, y, shape, **how: conv2d(x, g, **how),
)
def conv2d_weight(
    x: Array, y: Array, stride: Pair, padding: Pair, shape: Shape, dilation: Pair = NO_GAPS, groups: int = 1
) -> Array:
    """(n, c, h, w), (n, out, rows, columns) -> shape, (out, c, *size): the windows, weighted with y and added up."""
    dtype, each_group = np.result_type(x, y), grouped(matrix(y), groups)
    out = np.zeros((groups, shape[0] // groups, prod(shape[1:])), np.promote_types(dtype, np.float32))
    for at, part in slabs(windows(bordered(x, padding), shape[2:], stride, dilation)):
        out += each_group[..., at] @ part.reshape(groups, out.shape[2], -1).swapaxes(1, 2)
    return out.reshape(shape).astype(dtype, copy=False)


def winners(out: Array, x: Array, size: Pair, stride: Pair, dilation: Pair = NO_GAPS) -> Array:
    """Where each window has its maximum, the first of equals: booleans of the shape of `windows`."""
    won, open_ = [], np.ones_like(out, bool)
    for part in elements(windows(x, size, stride, dilation)):
        won.append(((part == out) | (part != part)) & open_)  # NaN wins, and is equal to nothing
        open_ &= ~won[-1]
    return np.moveaxis(np.stack(won).reshape((*size, *out.shape)), (0, 1), (-2, -1))


def to_winners(g: Array, out: Array, x: Array, size: Pair, stride: Pair, dilation: Pair) -> Array:
    """The gradient of max_pool: all of it to the winner of each window."""
    won = winners(plain(out), plain(x), size, stride, dilation)
    return fold(expand_dims(unless_nan(out, g), (-2, -1)) * won, size, stride, x.shape, dilation)


@op(to_winners)
def max_pool(x: Array, size: Pair, stride: Pair, dilation: Pair = NO_GAPS) -> Array:
    """The largest element of every window; of equal ones the first takes the gradient (PyTorch's rule here)."""
    first, *rest = elements(windows(x, size, stride, dilation))
    out: Array = first.copy("K")
    for part in rest:
        np.maximum(out, part, out=out)
    return out


def to_all(g: Array, out: Array, x: Array, size: Pair, stride: Pair) -> Array:
    """The gradient of mean_pool: an equal share to each element of the window."""
    return fold(broadcast_to(expand_dims(g / prod(size), (-2, -1)), (*g.shape, *size)), size, stride, x.shape)


@op(to_all)
def mean_pool(x: Array, size: Pair, stride: Pair) -> Array:
    """The mean of every window."""
    first, *rest = elements(windows(x, size, stride))
    out: Array = first.copy("K")
    for part in rest:
        out += part
    out /= prod(size)
    return out
