"""Layers for images of shape (n, channels, height, width): convolution and pooling.

The formulas stand in `tinygrad_edu.ops.convolution`. A kernel is moved over the whole image, so the layer's parameters
do not depend on the image's size, but its output does, and the next layer must know: a kernel of size 3 fits in 26 * 26
places of 28 * 28, so Linear(8 * 26 * 26, 10) follows Conv2d(1, 8, 3) and Flatten(). Only a padding of
(kernel_size - 1) / 2 keeps the size. `model.summary((1, 28, 28))` shows the sizes of all layers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import functional
from tinygrad_edu.checks import check_dtype, check_pair, check_positive_int
from tinygrad_edu.nn.layers import Init, initialize, zero_bias
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, as_operand
from tinygrad_edu.ops.convolution import Pair
from tinygrad_edu.tensor import Tensor

__all__ = ["AvgPool2d", "Conv2d", "MaxPool2d", "shape_hint"]


class Conv2d(Module):
    """Slides kernels over images: (n, in_channels, h, w) -> (n, out_channels, rows, columns), LeCun et al. 1989.

    rows = (h + 2 * padding - kernel_size) // stride + 1, and columns likewise. PyTorch's dilation, groups, padding_mode
    and paddings by name ("same", "valid") are left out.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour, or those that the layer before makes.
        out_channels: Number of kernels.
        kernel_size: Size of a kernel, (height, width) or one number for both.
        stride: Step from one place to the next, (down, right) or one number for both.
        padding: Width of a border of zeros, (above and below, left and right) or one number for both.
        bias: Whether each kernel adds a number of its own.
        init, rng, dtype: As for Linear, with in_features = in_channels * height * width of the kernel.

    Attributes:
        weight: Tensor of shape (out_channels, in_channels, *kernel_size).
        bias: Tensor of shape (out_channels,), or None.

    Raises:
        TypeError: A size is not an integer, or `bias` not a bool; for `init` and `rng` as Linear.
        ValueError: A size is too small, or `init` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        *,
        bias: bool = True,
        init: Init = "default",
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.in_channels = check_positive_int("Conv2d: in_channels", in_channels)
        self.out_channels = check_positive_int("Conv2d: out_channels", out_channels)
        self.kernel_size = check_pair("Conv2d: kernel_size", kernel_size, 1)
        self.stride = check_pair("Conv2d: stride", stride, 1)
        self.padding = check_pair("Conv2d: padding", padding, 0)
        shape, dtype = (self.out_channels, self.in_channels, *self.kernel_size), check_dtype("Conv2d: dtype", dtype)
        self.weight = Tensor(np.zeros(shape, dtype), name="weight")
        self.bias = zero_bias(self.out_channels, bias, dtype)
        initialize(self.weight, self.bias, init, rng)

    def forward(self, x: Operand) -> Tensor:
        """(n, in_channels, h, w) -> (n, out_channels, rows, columns).

        Raises:
            ValueError: Another number of axes or channels, or images smaller than the kernel.
        """
        x = as_operand(x)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            name = f"Conv2d({self.in_channels}, {self.out_channels})"
            smallest = max(self.kernel_size[0] - 2 * self.padding[0], self.kernel_size[1] - 2 * self.padding[1])
            fits = f"(n, {self.in_channels}, height, width){shape_hint(x.shape, self.in_channels, smallest)}"
            raise ValueError(f"{name} got input of shape {x.shape}; it must be {fits}")
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            sizes += f", padding={self.padding}"
        return sizes if self.bias is not None else f"{sizes}, bias=False"


def shape_hint(shape: tuple[int, ...], channels: int, smallest: int = 1) -> str:
    """What to do about images of a wrong shape, where that can be guessed: none is smaller than so many pixels."""
    if len(shape) == 4 and shape[-1] == channels:
        return "; move the channels to axis 1: np.moveaxis(x, -1, 1)"
    if len(shape) == 3 and shape[-1] == channels != shape[0]:
        return "; for a single image move the channels to the front and add a batch axis: np.moveaxis(x, -1, 0)[None]"
    if len(shape) == 3 and shape[0] == channels:
        return "; for a single image add a batch axis: x[None]"
    if len(shape) == 3 and channels == 1:
        return "; add a channel axis: x[:, None]"
    if len(shape) == 2 and channels == 1 and shape[0] == shape[1]:
        return "; for a single image add batch and channel axes: x[None, None]"
    side = math.isqrt(shape[-1] // channels) if len(shape) in (1, 2) else 0
    if side >= max(smallest, 2) and side * side * channels == shape[-1]:
        return f"; for images in rows: x.reshape(-1, {channels}, {side}, {side})"
    return ""


class MaxPool2d(Module):
    """The largest element of every window: (n, c, h, w) -> (n, c, rows, columns), Zhou & Chellappa 1988.

    A shift of the image by less than a window changes little, and the image becomes smaller. PyTorch's dilation,
    ceil_mode and return_indices are left out: rows and columns at the lower right that fill no window are not seen.

    Args:
        kernel_size: Size of a window, (height, width) or one number for both.
        stride: Step from one window to the next; kernel_size if None, so that windows do not overlap.
        padding: Width of a border that never wins, at most half of the window, which forward checks.

    Raises:
        TypeError: A size is not an integer.
        ValueError: A size is too small.
    """

    _shown = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        for name, low in (("kernel_size", 1), ("stride", 1), ("padding", 0)):
            check_pair(f"{type(self).__name__}: {name}", getattr(self, name), low)

    def forward(self, x: Operand) -> Tensor:
        """(n, c, h, w) -> (n, c, rows, columns); see functional.max_pool2d."""
        return functional.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(MaxPool2d):
    """The mean of every window, in which a border counts as zeros: LeCun et al. 1990; arguments as for MaxPool2d.

    PyTorch's ceil_mode, count_include_pad (True here) and divisor_override are left out.
    """

    def forward(self, x: Operand) -> Tensor:
        """(n, c, h, w) -> (n, c, rows, columns); see functional.avg_pool2d."""
        return functional.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
