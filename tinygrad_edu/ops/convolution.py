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

All windows side by side would be height * width times as large as the images. Only what the columns of a kernel meet is
copied, so width times as much, and it is laid down row below row: the windows whose places are in one row are then
lines that follow each other, a view (Cho & Brand 2017). Of an image of 3 x 4 pixels and a kernel of 2 x 2:

    0 1 2 3        01 12 23
    4 5 6 7   ->   45 56 67        the first two lines are the windows 01/45, 12/56 and 23/67,
    8 9 a b        89 9a ab        the last two those below: 45/89, 56/9a and 67/ab
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from tinygrad_edu.arrays import KINDS, beside
from tinygrad_edu.engine import Array, is_tensor, op, plain
from tinygrad_edu.ops import by_windows
from tinygrad_edu.ops.by_windows import Pair, reach
from tinygrad_edu.ops.elementwise import unless_nan
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import broadcast_to, expand_dims

__all__ = [
    "NO_GAPS", "Pair", "conv2d", "conv2d_input", "conv2d_weight", "fold", "max_pool", "mean_pool", "reach", "windows",
    "winners",
]  # fmt: skip

Shape = tuple[int, int, int, int]
NO_GAPS = (1, 1)
LIKE = np.empty((2, 2, 2, 2)).transpose(3, 0, 1, 2)  # arrays like it lie in memory as (channels, height, width, n)
SLAB = 2**22  # bytes of pixels that are copied at a time


@op(lambda g, out, x, size, stride, dilation: fold(g, size, stride, x.shape, dilation))
def windows(x: Array, size: Pair, stride: Pair, dilation: Pair = NO_GAPS) -> Array:
    """Every window of a size: (n, c, h, w) -> (n, c, rows, columns, *size), a view; it takes each dilation-th pixel."""
    seen = sliding_window_view(x, reach(size, dilation), (2, 3), writeable=type(x) not in KINDS)
    return seen[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


@op(lambda g, out, x, size, stride, shape, dilation: windows(g, size, stride, dilation))
def fold(x: Array, size: Pair, stride: Pair, shape: Shape, dilation: Pair = NO_GAPS) -> Array:
    """The sum of windows at their places: (n, c, rows, columns, *size) -> shape, (n, c, h, w)."""
    if type(x) in KINDS:
        return by_windows.fold(elements(x), size, stride, shape, dilation)
    out = np.zeros_like(LIKE, np.promote_types(x.dtype, np.float32), shape=shape)
    alone = all(step >= far for step, far in zip(stride, reach(size, dilation), strict=True))
    for pixels, part in zip(by_windows.views(out, size, stride, dilation), elements(x), strict=True):
        if alone:  # no pixel is in two windows
            pixels[...] = part
        else:
            pixels += part
    return out.astype(x.dtype, copy=False)


def elements(seen: Array) -> list[Array]:
    """For each element of a window what stands there in all windows: views (n, c, rows, columns), fast to reduce."""
    return [seen[..., i, j] for i, j in np.ndindex(*seen.shape[4:])]


def in_order(x: Array) -> Array:
    """The same images, in memory (c, h, w, n); Tensors and arrays that are not NumPy's as they are."""
    if is_tensor(x) or type(x) in KINDS:
        return x
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)


def rows(x: Array, groups: int) -> Array:
    """(n, c, h, w) -> (groups, h, c / groups, w, n), a view of what lies in order."""
    n, c, h, w = x.shape
    return x.transpose(1, 2, 3, 0).reshape(groups, c // groups, h, w, n).swapaxes(1, 2)


def matrices(x: Array, groups: int) -> Array:
    """(n, c, h, w) -> (groups, h, c / groups, w * n): for each row a matrix, a view of what lies in order."""
    seen = rows(x, groups)
    return seen.reshape(*seen.shape[:3], prod(seen.shape[3:]))


def columns(x: Array, width: int, stride: int, dilation: int) -> Array:
    """What the columns of a kernel meet in `rows`: a view (groups, h, width, c / groups, columns, n)."""
    groups, h, c, w, n = x.shape
    group, row, channel, pixel, image = x.strides
    places = (w - dilation * (width - 1) - 1) // stride + 1
    strides = group, row, dilation * pixel, channel, stride * pixel, image
    return as_strided(x, (groups, h, width, c, places, n), strides)


def blocks(
    x: Array, size: Sequence[int], stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Iterator[tuple[slice, Array]]:
    """Some rows of places at a time, and the windows there: (groups, rows, height * width * c / groups, columns * n).

    A view of lines that follow each other, unless a dilation skips some: these are copied once more.
    """
    (down, right), (_, h, c, w, n) = padding, rows(x, groups).shape
    border = np.zeros((groups, h + 2 * down, c, w + 2 * right, n), x.dtype)
    border[:, down : down + h, :, right : right + w] = rows(x, groups)
    seen = columns(border, size[1], stride[1], dilation[1])
    below, across, far = size[1] * c, prod(seen.shape[4:]), dilation[0] * (size[0] - 1) + 1
    line, row = across * x.itemsize, below * across * x.itemsize  # bytes
    places = (h + 2 * down - far) // stride[0] + 1
    most = max(1, SLAB // max(row * stride[0], 1))
    for top in range(0, places, most):
        many = min(most, places - top)
        part = np.ascontiguousarray(seen[:, top * stride[0] :][:, : (many - 1) * stride[0] + far])
        strides = part.shape[1] * row, stride[0] * row, dilation[0] * row, line, x.itemsize
        met = as_strided(part, (groups, many, size[0], below, across), strides)
        yield slice(top, top + many), met.reshape(groups, many, size[0] * below, across)


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
    size = weight.shape[2:]
    every = zip(x.shape[2:], padding, reach(size, dilation), stride, strict=True)
    high, wide = [(n + 2 * border - far) // step + 1 for n, border, far, step in every]
    if type(x) in KINDS:
        out = by_windows.conv2d(x, weight, stride, padding, dilation, groups)
    else:
        out = np.empty_like(LIKE, np.result_type(x, weight, *bias), shape=(len(x), len(weight), high, wide))
        kernels = weight.transpose(0, 2, 3, 1).reshape(groups, 1, len(weight) // groups, -1)
        lines = matrices(out, groups)
        for at, seen in blocks(x, size, stride, padding, dilation, groups):
            np.matmul(kernels, seen, out=lines[:, at])
    for each in bias:
        out += each[:, None, None]
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
    if type(y) in KINDS:
        return by_windows.conv2d_input(y, weight, shape, stride, padding, dilation, groups)
    dtype, (n, c, height, width), (high, wide) = np.result_type(y, weight), shape, weight.shape[2:]
    out = np.zeros_like(LIKE, np.promote_types(dtype, np.float32), shape=(n, c, height, width + 2 * padding[1]))
    met = columns(rows(out, groups), wide, stride[1], dilation[1])
    kernels = weight.reshape(groups, 1, len(weight) // groups, c // groups, high, wide).transpose(0, 1, 5, 3, 4, 2)
    down, common = stride[0], gcd(stride[0], dilation[0])
    step, gap = down // common, dilation[0] // common
    for first in range(min(step, high)):  # a row of out meets each step-th row of the kernels, in each gap-th row of y
        some = kernels[..., first::step, :][..., ::-1, :]
        size, start = some.shape[-2], first * dilation[0] - padding[0]
        turned = some.reshape(groups, 1, wide * c // groups, size * len(weight) // groups)
        for at, seen in blocks(y, (size, 1), NO_GAPS, ((size - 1) * gap, 0), (gap, 1), groups):
            lines = [start + i * down for i in range(at.start, at.stop)]
            inner = [i for i, line in enumerate(lines) if 0 <= line < height]
            if inner:
                part = met[:, lines[inner[0]] : lines[inner[-1]] + 1 : down]
                painted = (turned @ seen[:, inner[0] : inner[-1] + 1]).reshape(part.shape)
                for j in range(wide):  # as much at once as has no pixel in common
                    part[:, :, j] += painted[:, :, j]
    return in_order(out[..., padding[1] : padding[1] + width]).astype(dtype, copy=False)


@op(
    lambda g, out, x, y, shape, **how: conv2d_input(y, g, shape=x.shape, **how),
    lambda g, out, x, y, shape, **how: conv2d(x, g, **how),
)
def conv2d_weight(
    x: Array, y: Array, stride: Pair, padding: Pair, shape: Shape, dilation: Pair = NO_GAPS, groups: int = 1
) -> Array:
    """(n, c, h, w), (n, out, rows, columns) -> shape, (out, c, *size): the windows, weighted with y and added up."""
    if type(x) in KINDS:
        return by_windows.conv2d_weight(x, y, shape, stride, padding, dilation, groups)
    dtype, (kernels, c, high, wide) = np.result_type(x, y), shape
    out = np.zeros((groups, c * high * wide, kernels // groups), np.promote_types(dtype, np.float32))
    lines = matrices(y, groups).transpose(1, 0, 3, 2)
    for at, seen in blocks(x, (high, wide), stride, padding, dilation, groups):
        for part, line in zip(seen.swapaxes(0, 1), lines[at], strict=True):
            out += part @ line
    return out.swapaxes(1, 2).reshape(kernels, high, wide, c).transpose(0, 3, 1, 2).astype(dtype, "C")


def winners(out: Array, x: Array, size: Pair, stride: Pair, dilation: Pair = NO_GAPS) -> Array:
    """Where each window has its maximum, the first of equals, or its last element if it has NaN: as `windows`."""
    parts, (n, *shape) = by_windows.views(in_order(x), size, stride, dilation), out.shape
    won = beside(x, np.empty, (*size, *shape, n), bool).transpose(5, 2, 3, 4, 0, 1)
    *every, last = elements(won)
    last[...] = True
    for at, part in zip(every, parts, strict=False):
        np.equal(part, out, out=at)
        at &= last
        last ^= at
    return won


def to_winners(g: Array, out: Array, x: Array, size: Pair, stride: Pair, dilation: Pair) -> Array:
    """The gradient of max_pool: all of it to the winner of each window."""
    won = winners(plain(out), plain(x), size, stride, dilation)
    return fold(expand_dims(in_order(unless_nan(out, g)), (-2, -1)) * won, size, stride, x.shape, dilation)


@op(to_winners)
def max_pool(x: Array, size: Pair, stride: Pair, dilation: Pair = NO_GAPS) -> Array:
    """The largest element of every window; of equal ones the first takes the gradient (PyTorch's rule here)."""
    first, *rest = by_windows.views(in_order(x), size, stride, dilation)
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
    first, *rest = by_windows.views(x, size, stride, NO_GAPS)
    out: Array = first.copy("K")
    for part in rest:
        out += part
    out /= prod(size)
    return out
