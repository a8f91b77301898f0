"""Images made smaller or larger without a weight: pooling, and interpolation; PyTorch's names, arguments and shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import check_bool, check_choice, check_int, check_number, check_pair, check_positive_int
from tinygrad_edu.functional.convolution import batch_or_one, check_fit, check_images
from tinygrad_edu.ops import Operand, checked_operand, convolution
from tinygrad_edu.ops.convolution import Pair, reach
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "Sizes", "adaptive_avg_pool2d", "avg_pool2d", "check_output_size", "check_scaling", "interpolate", "max_pool2d",
]  # fmt: skip

Sizes: TypeAlias = "int | Sequence[int | None] | None"


@library_function
@batch_or_one(4)
def max_pool2d(
    x: Operand,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of every window: (n, c, height, width) -> (n, c, rows, columns).

    Args:
        x: Images, or one without n.
        kernel_size: Size of a window, (height, width) or one number for both.
        stride: Step from one window to the next; kernel_size if None, so that windows do not overlap.
        padding: Width of a border of -inf, which never wins against a number; at most half of the kernel.
        dilation: A window takes each dilation-th pixel, (down, right) or one number for both.
        ceil_mode: Whether windows that lie only partly in the image are seen too, at the lower and the right edge.

    Raises:
        TypeError: Sizes that are not integers, or ceil_mode is not a bool.
        ValueError: Shapes or sizes that do not fit.
    """
    x, size, steps, gaps, _ = prepared("max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode, -np.inf)
    return convolution.max_pool(x, size, steps, gaps)


@library_function
@batch_or_one(4)
def avg_pool2d(
    x: Operand,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of every window, in which a border counts as zeros: (n, c, height, width) -> (n, c, rows, columns).

    Args:
        x, kernel_size, stride, padding, ceil_mode: As for max_pool2d; what lies beyond the border does not count.
        count_include_pad: False divides by the number of pixels without those of the border.
        divisor_override: What the sums are divided by, instead of the number of pixels.

    Raises: As max_pool2d.
    """
    x = checked_operand("avg_pool2d", x)
    if x.dtype == np.float16:  # a sum of float16 may overflow where the mean does not
        options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return ops.astype(avg_pool2d(ops.astype(x, np.float32), *options), np.float16)
    with_border = check_bool("avg_pool2d: count_include_pad", count_include_pad)
    shape = x.shape[2:]
    x, size, steps, _, around = prepared("avg_pool2d", x, kernel_size, stride, padding, 1, ceil_mode, 0)
    out = convolution.mean_pool(x, size, steps)
    if divisor_override is not None:
        return out * (math.prod(size) / check_positive_int("avg_pool2d: divisor_override", divisor_override))
    if with_border and not ceil_mode:
        return out
    spans = zip(shape, out.shape[2:], size, steps, [first for first, _ in around], strict=True)
    high, wide = [overlaps(n, places, k, step, first, with_border) for n, places, k, step, first in spans]
    return out * (math.prod(size) / np.outer(high, wide)).astype(out.dtype)


def overlaps(n: int, places: int, size: int, step: int, border: int, with_border: bool) -> np.ndarray:
    """How many of n pixels, or of these and the border on both sides, each window has, along one axis."""
    start = np.arange(places) * step - border
    end = np.minimum(start + size, n + border if with_border else n)
    return np.maximum(end - (start if with_border else np.maximum(start, 0)), 1)  # 1: of no pixel at all the mean is 0


def prepared(
    name: str,
    x: Operand,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    outside: float,
) -> tuple[Tensor, Pair, Pair, Pair, list[Pair]]:
    """The images within their border of `outside`; size, stride and dilation of the windows; the border's widths."""
    x, size = check_images(name, x), check_pair(f"{name}: kernel_size", kernel_size, 1)
    gaps, widths = check_pair(f"{name}: dilation", dilation, 1), check_pair(f"{name}: padding", padding, 0)
    steps = size if stride is None else check_pair(f"{name}: stride", stride, 1)
    if 2 * widths[0] > size[0] or 2 * widths[1] > size[1]:
        raise ValueError(f"{name}: padding {widths} is more than half of the kernel {size}: a window could be empty")
    around = [(width, width) for width in widths]
    if check_bool(f"{name}: ceil_mode", ceil_mode):
        axes = zip(x.shape[2:], widths, reach(size, gaps), steps, strict=True)
        around = [(width, width + missing(n + width, width, far, step)) for n, width, far, step in axes]
    check_fit(name, x.shape[2:], around, size, gaps)
    if any(map(any, around)):
        x = ops.pad(x, [(0, 0), (0, 0), *around], constant_values=outside)
    return x, size, steps, gaps, around


def missing(end: int, border: int, far: int, step: int) -> int:
    """How much further than the border the last window reaches, if it starts before `end`, where the image ends."""
    windows = -((end + border - far) // -step)  # besides the first
    last = (windows if windows * step < end else windows - 1) * step
    return max(0, last + far - end - border)


@library_function
@batch_or_one(4)
def adaptive_avg_pool2d(x: Operand, output_size: Sizes) -> Tensor:
    """The mean of windows that cover an image evenly: (n, c, height, width) -> (n, c, *output_size).

    Window i of n has the rows from floor(i * height / n) to ceil((i + 1) * height / n), as PyTorch cuts them: where
    n does not divide the height, neighbours share a row.

    Args:
        x: Images, or one without n.
        output_size: (rows, columns) or one number for both; None keeps the image's own.

    Raises:
        TypeError: output_size is not of integers.
        ValueError: x has another number of axes, or a size is below 1.
    """
    x, given = check_images("adaptive_avg_pool2d", x), check_output_size("adaptive_avg_pool2d", output_size)
    shape = x.shape[2:]
    sizes = [n if m is None else m for n, m in zip(shape, given, strict=True)]
    if not min(shape):
        raise ValueError(f"adaptive_avg_pool2d: input of shape {x.shape} has no pixels")
    if not any(n % m for n, m in zip(shape, sizes, strict=True)):
        return avg_pool2d(x, (shape[0] // sizes[0], shape[1] // sizes[1]))
    for axis, n, m in zip((2, 3), shape, sizes, strict=True):
        ends = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        parts = [x[(slice(None),) * axis + (slice(*pair),)] for pair in ends]
        x = ops.concatenate([ops.mean(part, axis, keepdims=True) for part in parts], axis)
    return x


def check_output_size(name: str, output_size: object) -> list[int | None]:
    """(rows, columns), each perhaps None."""
    pair = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(pair) != 2:
        raise ValueError(f"{name}: output_size is {output_size!r}; it must be a pair, or one number for both")
    return [None if n is None else check_int(f"{name}: output_size", n, 1, wrong_type=TypeError) for n in pair]


@library_function
def interpolate(
    x: Operand, size: Sizes = None, scale_factor: float | Sequence[float] | None = None, mode: str = "nearest"
) -> Tensor:
    """Images of another size, each pixel a copy of the one whose place it takes: (n, c, ...) -> (n, c, *size).

    Pixel i is that at floor(i * old size / new size), or at floor(i / scale_factor), the nearest to the upper left. As
    in PyTorch, an image (n, c, height, width) whose height comes out the same, or exactly twice as large, has each row
    equally often whatever the factor, such as 2.15, which makes 12 pixels of 6; so with the width.

    Args:
        x: Images (n, c, height, width), or of any other number of axes after the channels.
        size: A number for each of these axes, or one for all.
        scale_factor: Instead of the size, what the old one is multiplied by (and rounded down): one number, or several.
        mode: "nearest" is the only one here.

    Raises:
        TypeError: A size is not an integer.
        ValueError: Both or none of size and scale_factor, another number of axes, or an image without pixels.
    """
    x, (what, given) = checked_operand("interpolate", x), check_scaling("interpolate", size, scale_factor, mode)
    if x.ndim < 3:
        raise ValueError(f"interpolate: input of shape {x.shape}; it must be (n, channels, height, width)")
    each = given if isinstance(given, (tuple, list)) else (given,) * (x.ndim - 2)
    if len(each) != x.ndim - 2:
        raise ValueError(
            f"interpolate: {what} is {given}; it must be one number, or one for each axis of {x.shape[2:]}"
        )
    for axis, number in enumerate(each, 2):
        x = stretched(x, axis, what, number)
    return x


def check_scaling(name: str, size: object, scale_factor: object, mode: str) -> tuple[str, Any]:
    """("size", value) or ("scale_factor", value), whichever of the two is given."""
    check_choice(f"{name}: mode", mode, ("nearest",))
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{name}: size is {size} and scale_factor {scale_factor}; give one of the two")
    what, given = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    for number in given if isinstance(given, (tuple, list)) else (given,):
        if what == "size":
            check_int(f"{name}: size", number, 1, wrong_type=TypeError)
        else:
            check_number(f"{name}: scale_factor", number, above=0, wrong_type=TypeError)
    return what, given


def stretched(x: Tensor, axis: int, what: str, number: float) -> Tensor:
    """An axis with another length: its size, or a factor of it."""
    n = x.shape[axis]
    length, step = (int(number), n / number) if what == "size" else (math.floor(n * number), 1 / number)
    if not n or not length:
        raise ValueError(f"interpolate: {n} pixels along axis {axis} would become {length}; there must be at least one")
    step = n / length if x.ndim == 4 and length in (n, 2 * n) else step
    if step == 1:
        return x
    places = np.floor(np.arange(length, dtype=np.float32) * np.float32(step)).astype(int)  # PyTorch's float32 decides
    if length % n == 0 and np.array_equal(places, np.repeat(np.arange(n), length // n)):
        return ops.repeat(x, length // n, axis)
    return ops.take(x, places, axis, mode="clip")
