"""Convolution and pooling of images: one view, `windows`, and ordinary functions on it.

A kernel that slides over an image meets one window of pixels at each place. `windows` shows all of them at once as
an array with two more axes, without copying: neighbouring windows share their pixels, so only strides are needed. A
convolution is then a single matrix product of the kernels with the windows, and pooling takes a maximum or a mean.

The hard idea is the way back. A pixel lies in several windows, and its gradient is the sum over all of them:

    x = Tensor(np.ones((1, 1, 1, 3)))                   # windows of two: (0, 1) and (1, 2)
    windows(x, (1, 2), (1, 1)).sum().backward()         # x.grad is [1, 2, 1]: the middle one counts twice

Writing each window's gradient to its place, as the reverse of reading it, would leave [1, 1, 1]: the last one wins.
`fold` adds. It is to `windows` what scatter is to getitem: each is the other's derivative, so any order comes free.

Images have the shape (n, channels, height, width), but the results lie in memory as (channels, n, height, width): the
product of the kernels with all windows comes out in that order, and the next layer takes it without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_edu import ops
from tinygrad_edu.autograd import op
from tinygrad_edu.ops import Operand, broadcast_to, expand_dims
from tinygrad_edu.registry import Array, as_operand, is_tensor, plain

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

Pair = tuple[int, int]


@op(lambda g, out, x, size, stride: fold(g, size, stride, x.shape))
def windows(x: Operand, size: Pair, stride: Pair) -> Array:
    """Every window of a size: (n, c, h, w) -> (n, c, rows, columns, *size), a view."""
    return sliding_window_view(x, size, (2, 3))[:, :, :: stride[0], :: stride[1]]


@op(lambda g, out, x, size, stride, shape: windows(g, size, stride))
def fold(x: Operand, size: Pair, stride: Pair, shape: tuple[int, ...]) -> Array:
    """The sum of windows at their places: (n, c, rows, columns, *size) -> shape, (n, c, h, w)."""
    n, c, h, w = shape
    out = np.zeros((c, n, h, w), x.dtype).swapaxes(0, 1)
    for at, part in positions(out, size, stride, x.shape[2:4]):
        part += x[(..., *at)]
    return out


def positions(images: Array, size: Pair, stride: Pair, places: Pair) -> Iterator[tuple[Pair, Array]]:
    """For each element (i, j) of a window the pixels that stand there in all windows: a view (n, c, *places).

    NumPy is fast along long axes. A reduction over the short axes of `windows` would take 25 times as long.
    """
    (down, right), (rows, columns) = stride, places
    for i, j in product(range(size[0]), range(size[1])):
        yield (i, j), images[:, :, i : i + down * rows : down, j : j + right * columns : right]


def places(x: Array, size: Pair, stride: Pair) -> Pair:
    """How many windows there are below and beside each other."""
    return (x.shape[2] - size[0]) // stride[0] + 1, (x.shape[3] - size[1]) // stride[1] + 1


def winners(out: Array, x: Array, size: Pair, stride: Pair) -> Array:
    """Where each window has its maximum, the first of equals: booleans of the shape of `windows`."""
    won, open_ = np.empty((*size, *out.shape), bool), np.ones(out.shape, bool)
    for at, part in positions(x, size, stride, out.shape[2:]):
        np.logical_and((part == out) | (part != part), open_, out=won[at])  # NaN wins, and is equal to nothing
        open_ &= ~won[at]
    return np.moveaxis(won, (0, 1), (-2, -1))


def to_winners(g: Any, out: Any, x: Any, size: Pair, stride: Pair) -> Any:
    """The gradient of max_pool: all of it to the winner of each window."""
    return fold(expand_dims(g, (-2, -1)) * winners(plain(out), plain(x), size, stride), size, stride, x.shape)


@op(to_winners)
def max_pool(x: Operand, size: Pair, stride: Pair) -> Array:
    """The largest element of every window; of equal ones the first takes the gradient (PyTorch's rule here)."""
    (_, first), *rest = positions(x, size, stride, places(x, size, stride))
    out: Array = first.copy("K")
    for _, part in rest:
        np.maximum(out, part, out=out)
    return out


def to_all(g: Any, out: Any, x: Any, size: Pair, stride: Pair) -> Any:
    """The gradient of mean_pool: an equal share to each element of the window."""
    return fold(broadcast_to(expand_dims(g / prod(size), (-2, -1)), (*g.shape, *size)), size, stride, x.shape)


@op(to_all)
def mean_pool(x: Operand, size: Pair, stride: Pair) -> Array:
    """The mean of every window."""
    (_, first), *rest = positions(x, size, stride, places(x, size, stride))
    out: Array = first.copy("K")
    for _, part in rest:
        out += part
    out /= prod(size)
    return out


def conv2d(
    x: Operand, weight: Operand, bias: Operand | None = None, stride: int | Pair = 1, padding: int | Pair = 0
) -> Tensor:
    """Cross-correlation of images with kernels, as in LeCun et al. 1989: one matrix product over all windows.

    Args:
        x: Images of shape (n, channels, height, width).
        weight: Kernels of shape (out, channels, *kernel_size).
        bias: Shape (out,), or None.
        stride: Step from one window to the next, (down, right) or one number for both.
        padding: Width of a border of zeros, (above and below, left and right) or one number for both.

    Returns:
        Shape (n, out, rows, columns), with rows = (height + 2 * padding - kernel height) // stride + 1.

    Raises:
        TypeError: stride or padding that are no integers.
        ValueError: Shapes that do not fit.
    """
    x, weight, bias = as_operand(x), as_operand(weight), None if bias is None else as_operand(bias)
    if weight.ndim != 4 or (bias is not None and bias.shape != weight.shape[:1]):
        what = f"weight of shape {weight.shape}" + ("" if bias is None else f" and bias of shape {bias.shape}")
        raise ValueError(f"conv2d: {what}; they must be (out, channels, height, width) and (out,)")
    out, channels, *size = weight.shape
    if x.ndim == 4 and x.shape[1] != channels:
        raise ValueError(
            f"conv2d: images of shape {x.shape} have {x.shape[1]} channels, but the weight of shape {weight.shape} "
            f"takes {channels}; the axes of images are (n, channels, height, width)"
        )
    x, size, steps = prepared("conv2d", x, size, stride, padding)
    if is_tensor(weight) and not getattr(x, "requires_grad", False):
        x = plain(x)  # where nothing is recorded a Tensor's views are copied, windows a hundredfold; an array's are not
    seen = windows(x, size, steps)  # (n, channels, rows, columns, *size)
    n, _, rows, columns = seen.shape[:4]
    seen = ops.transpose(seen, (1, 4, 5, 0, 2, 3)).reshape((channels * prod(size), -1))  # a column for each window
    maps = (weight.reshape((out, -1)) @ seen).reshape((out, n, rows, columns))
    maps = maps if bias is None else maps + bias.reshape((-1, 1, 1, 1))
    return ops.transpose(maps, (1, 0, 2, 3))


def max_pool2d(
    x: Operand, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The largest element of every window: (n, c, height, width) -> (n, c, rows, columns).

    Args:
        x: Images.
        kernel_size: Size of a window, (height, width) or one number for both.
        stride: Step from one window to the next; kernel_size if None, so that windows do not overlap.
        padding: Width of a border of -inf, which never wins against a number; at most half of the kernel.

    Raises:
        TypeError: Sizes that are no integers.
        ValueError: Shapes or sizes that do not fit.
    """
    return max_pool(*prepared("max_pool2d", x, kernel_size, stride, padding, -np.inf))


def avg_pool2d(
    x: Operand, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The mean of every window, in which a border counts as zeros; arguments as for max_pool2d."""
    x = as_operand(x)
    if x.dtype == np.float16:  # a sum of float16 may overflow where the mean does not
        return ops.astype(avg_pool2d(ops.astype(x, np.float32), kernel_size, stride, padding), np.float16)
    return mean_pool(*prepared("avg_pool2d", x, kernel_size, stride, padding))


def pair(name: str, value: Any, low: int) -> Pair:
    """A size in both directions, checked."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(isinstance(v, (int, np.integer)) and v >= low for v in values):
        error = ValueError if all(isinstance(v, (int, np.integer)) for v in values) else TypeError
        raise error(f"{name} is {value!r}; it must be an integer of at least {low}, or a pair of such")
    return int(values[0]), int(values[1])


def prepared(
    name: str, x: Operand, size: Any, stride: Any, padding: Any, border: float = 0.0
) -> tuple[Any, Pair, Pair]:
    """The images with their border, size and stride of the windows, all checked."""
    x, size, around = as_operand(x), pair(f"{name}: kernel_size", size, 1), pair(f"{name}: padding", padding, 0)
    steps = size if stride is None else pair(f"{name}: stride", stride, 1)
    if x.dtype.kind in "biu":
        x = x.astype(np.result_type(x.dtype, np.float32))  # integers would wrap around, and know no -inf
    if x.ndim != 4:
        hint = "; add the axis of channels with x[:, None]" if x.ndim == 3 else ""
        raise ValueError(f"{name}: images must have the shape (n, channels, height, width), not {x.shape}{hint}")
    if name != "conv2d" and (2 * around[0] > size[0] or 2 * around[1] > size[1]):
        raise ValueError(f"{name}: padding {around} is more than half of the kernel {size}: a window could be empty")
    height, width = x.shape[2] + 2 * around[0], x.shape[3] + 2 * around[1]
    if height < size[0] or width < size[1]:
        raise ValueError(f"{name}: a kernel of {size} does not fit into images of {(height, width)} with their border")
    if any(around):
        inside = (..., slice(around[0], height - around[0]), slice(around[1], width - around[1]))
        outside = np.full((height, width), border, x.dtype)
        outside[inside] = 0
        x = ops.scatter(x, inside, (*x.shape[:2], height, width)) + outside
    return x, size, steps
