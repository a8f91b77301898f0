"""Layers without weights that make images smaller or larger, pooling and upsampling: see `functional.pooling`."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_edu import functional
from tinygrad_edu.checks import check_bool, check_pair, check_positive_int
from tinygrad_edu.functional.pooling import Sizes, check_output_size, check_scaling
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand
from tinygrad_edu.ops.convolution import Pair
from tinygrad_edu.tensor import Tensor

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d", "Upsample"]


class Pool(Module):
    """What MaxPool2d and AvgPool2d share."""

    def __init__(
        self, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair, ceil_mode: bool
    ) -> None:
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        for name, low in (("kernel_size", 1), ("stride", 1), ("padding", 0)):
            check_pair(f"{type(self).__name__}: {name}", getattr(self, name), low)
        self.ceil_mode = check_bool(f"{type(self).__name__}: ceil_mode", ceil_mode)


class MaxPool2d(Pool):
    """The largest element of every window: (n, c, h, w) -> (n, c, rows, columns), Zhou & Chellappa 1988.

    A shift of the image by less than a window changes little, and the image becomes smaller. A single image, without n,
    is taken too. PyTorch's return_indices is left out, and ceil_mode, which comes after it, is given by name.

    Args:
        kernel_size: Size of a window, (height, width) or one number for both.
        stride: Step from one window to the next; kernel_size if None, so that windows do not overlap.
        padding: Width of a border that never wins, at most half of the window, which forward checks.
        dilation: A window takes each dilation-th pixel.
        ceil_mode: Whether windows that lie only partly in the image are seen too, at the lower and the right edge.

    Raises:
        TypeError: A size is not an integer, or ceil_mode not a bool.
        ValueError: A size is too small.
    """

    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        check_pair("MaxPool2d: dilation", dilation, 1)
        self.dilation = dilation

    def forward(self, input: Operand) -> Tensor:
        """(n, c, h, w) -> (n, c, rows, columns); see functional.max_pool2d."""
        return functional.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class AvgPool2d(Pool):
    """The mean of every window, in which a border counts as zeros: (n, c, h, w) -> (n, c, rows, columns).

    LeCun et al. 1990.

    Args:
        kernel_size, stride, padding, ceil_mode: As for MaxPool2d; what lies beyond the border does not count.
        count_include_pad: False divides by the number of pixels without those of the border.
        divisor_override: What the sums are divided by, instead of the number of pixels.

    Raises:
        TypeError: A size is not an integer, or ceil_mode or count_include_pad not a bool.
        ValueError: A size, or divisor_override, is too small.
    """

    _shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = check_bool("AvgPool2d: count_include_pad", count_include_pad)
        if divisor_override is not None:
            divisor_override = check_positive_int("AvgPool2d: divisor_override", divisor_override)
        self.divisor_override = divisor_override

    def forward(self, input: Operand) -> Tensor:
        """(n, c, h, w) -> (n, c, rows, columns); see functional.avg_pool2d."""
        counting = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        return functional.avg_pool2d(input, self.kernel_size, self.stride, self.padding, *counting)


class AdaptiveAvgPool2d(Module):
    """The mean of windows that cover images of any size evenly: (n, c, h, w) -> (n, c, *output_size).

    AdaptiveAvgPool2d(1) is the mean of each channel, and a Linear after it fits images of all sizes: Lin et al. 2014.

    Args:
        output_size: (rows, columns) or one number for both; None keeps the image's own.

    Raises:
        TypeError: output_size is not of integers.
        ValueError: It is not one number or a pair, or one is below 1.
    """

    _shown = ("output_size",)

    def __init__(self, output_size: Sizes) -> None:
        check_output_size("AdaptiveAvgPool2d", output_size)
        self.output_size = output_size

    def forward(self, input: Operand) -> Tensor:
        """(n, c, h, w) -> (n, c, *output_size); see functional.adaptive_avg_pool2d."""
        return functional.adaptive_avg_pool2d(input, self.output_size)


class Upsample(Module):
    """Images of another size, each pixel a copy of the nearest one: (n, c, h, w) -> (n, c, *size).

    Args:
        size: (height, width) or one number for both.
        scale_factor: Instead of the size, what the old one is multiplied by: a pair, or one number for both.
        mode: "nearest" is the only one here.

    Raises:
        TypeError: size is not of integers, or scale_factor not of numbers.
        ValueError: Both or none of the two, one that is too small, or another mode.
    """

    def __init__(
        self,
        size: Sizes = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
    ) -> None:
        check_scaling("Upsample", size, scale_factor, mode)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode

    def forward(self, input: Operand) -> Tensor:
        """(n, c, h, w) -> (n, c, *size); see functional.interpolate."""
        return functional.interpolate(input, self.size, self.scale_factor, self.mode)

    def extra_repr(self) -> str:
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)}, mode={self.mode!r}"
