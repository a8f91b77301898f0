"""Convolutions as layers: of images (n, channels, height, width), of sequences (n, channels, length), and transposed.

The formulas stand in `tinygrad_edu.ops.convolution`. A kernel is moved over the whole image, so the layer's parameters
do not depend on the image's size, but its output does, and the next layer must know: a kernel of size 3 fits in 26 * 26
places of 28 * 28, so Linear(8 * 26 * 26, 10) follows Conv2d(1, 8, 3) and Flatten(). Only padding="same" keeps the size;
an odd kernel's is (kernel_size - 1) / 2. `model.summary((1, 28, 28))` shows the sizes of all layers.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import functional
from tinygrad_edu.checks import check_choice, check_dtype, check_pair, check_positive_int
from tinygrad_edu.functional.convolution import borders, check_sizes
from tinygrad_edu.functional.padding import MODES
from tinygrad_edu.nn.layers import Init, initialize, zero_bias
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, checked_operand
from tinygrad_edu.ops.convolution import Pair, reach
from tinygrad_edu.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "ConvTranspose2d", "shape_hint"]


class Convolution(Module):
    """What the layers of this file share."""

    axes: ClassVar[tuple[str, ...]]  # those after the channels

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        init: Init = "default",
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name, ndim = type(self).__name__, len(self.axes)
        self.in_channels = check_positive_int(f"{name}: in_channels", in_channels)
        self.out_channels = check_positive_int(f"{name}: out_channels", out_channels)
        self.kernel_size = check_sizes(f"{name}: kernel_size", kernel_size, 1, ndim)
        self.stride = check_sizes(f"{name}: stride", stride, 1, ndim)
        self.dilation = check_sizes(f"{name}: dilation", dilation, 1, ndim)
        around = borders(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding: Any = padding if isinstance(padding, str) else tuple([width for width, _ in around])
        self.groups = check_positive_int(f"{name}: groups", groups)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            what = f"in_channels={in_channels}, out_channels={out_channels} and groups={groups}"
            raise ValueError(f"{name}: {what}; both must be multiples of groups")
        self.padding_mode, dtype = self._check_mode(padding_mode), check_dtype(f"{name}: dtype", dtype)
        self.weight = Tensor(np.zeros(self._weight_shape(), dtype), name="weight")
        self.bias = zero_bias(self.out_channels, bias, dtype)
        initialize(self.weight, self.bias, init, rng)

    def forward(self, input: Operand) -> Tensor:
        """(n, in_channels, *sizes) -> (n, out_channels, *sizes), both perhaps without n.

        Raises:
            ValueError: Another number of axes or channels, or images smaller than the kernel.
        """
        x = self._checked(input)
        how: Any = (self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        convolve = functional.conv1d if len(self.axes) == 1 else functional.conv2d
        return convolve(x, *how, padding_mode=self.padding_mode)

    def extra_repr(self) -> str:
        found = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ndim = len(self.axes)
        for name, usual in (
            ("padding", (0,) * ndim),
            ("dilation", (1,) * ndim),
            ("output_padding", (0,) * ndim),
            ("groups", 1),
            ("padding_mode", "zeros"),
        ):
            if (value := getattr(self, name, usual)) != usual:
                found += f", {name}={value!r}"
        return found if self.bias is not None else f"{found}, bias=False"

    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_channels, self.in_channels // self.groups, *self.kernel_size

    def _check_mode(self, padding_mode: str) -> str:
        return check_choice(f"{type(self).__name__}: padding_mode", padding_mode, MODES)

    def _checked(self, x: Operand) -> Tensor:
        """The input, if it fits."""
        x, ndim, channels = checked_operand(self, x), len(self.axes), self.in_channels
        if x.ndim in (ndim + 1, ndim + 2) and x.shape[-ndim - 1] == channels:
            return x
        name = f"{type(self).__name__}({channels}, {self.out_channels})"
        fits = f"(n, {channels}, {', '.join(self.axes)}){self._hint(x.shape)}"
        raise ValueError(f"{name} got input of shape {x.shape}; it must be {fits}")

    def _hint(self, shape: tuple[int, ...]) -> str:
        """What to do about images of a wrong shape, where that can be guessed."""
        return shape_hint(shape, self.in_channels)


class Conv2d(Convolution):
    """Slides kernels over images: (n, in_channels, h, w) -> (n, out_channels, rows, columns), LeCun et al. 1989.

    rows = (h + 2 * padding - reach) // stride + 1 and columns likewise, where a kernel reaches over
    dilation * (kernel_size - 1) + 1 pixels. A single image, without n, is taken too; see functional.conv2d.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour, or those that the layer before makes.
        out_channels: Number of kernels.
        kernel_size: Size of a kernel, (height, width) or one number for both.
        stride: Step from one place to the next, (down, right) or one number for both.
        padding: Width of a border, (above and below, left and right) or one number for both; "valid" is none, "same"
            one that keeps the size, with stride 1.
        dilation: A kernel takes each dilation-th pixel (Yu & Koltun 2016), (down, right) or one number for both.
        groups: Channels and kernels are in so many groups, and a kernel sees its own alone: with groups = in_channels a
            "depthwise" convolution, the first half of MobileNet's (Howard et al. 2017).
        bias: Whether each kernel adds a number of its own.
        padding_mode: What the border is made of: "zeros", "reflect" (mirrored at the edge pixels), "replicate" (the
            edge pixels) or "circular" (from the other end).
        init, rng, dtype: As for Linear, with in_features = in_channels / groups * height * width of the kernel.

    Attributes:
        weight: Tensor of shape (out_channels, in_channels / groups, *kernel_size).
        bias: Tensor of shape (out_channels,), or None.

    Raises:
        TypeError: A size is not an integer, or `bias` not a bool; for `init` and `rng` as Linear.
        ValueError: A size is too small, the channels are not a multiple of groups, or an unknown name.
    """

    axes: ClassVar = ("height", "width")

    def _hint(self, shape: tuple[int, ...]) -> str:
        around = borders("Conv2d", self.padding, self.kernel_size, self.stride, self.dilation)
        needed = zip(reach(self.kernel_size, self.dilation), around, strict=True)
        smallest = max([n - before - after for n, (before, after) in needed])
        return shape_hint(shape, self.in_channels, smallest)


class Conv1d(Convolution):
    """Slides kernels along sequences: (n, in_channels, length) -> (n, out_channels, places), Waibel et al. 1989.

    Arguments, attributes and errors as for Conv2d, where a size is one number; weight has the shape
    (out_channels, in_channels / groups, kernel_size).
    """

    axes: ClassVar = ("length",)

    def _hint(self, shape: tuple[int, ...]) -> str:
        if len(shape) in (2, 3) and shape[-1] == self.in_channels:
            return f"; move the channels: np.moveaxis(x, -1, {len(shape) - 2})"
        return "; add a channel axis: x[..., None, :]" if len(shape) in (1, 2) and self.in_channels == 1 else ""


class ConvTranspose2d(Convolution):
    """The gradient of a Conv2d as a layer, which makes images larger: Zeiler et al. 2010, Dumoulin & Visin 2016.

    (n, in_channels, h, w) -> (n, out_channels, rows, columns), with rows = (h - 1) * stride + reach - 2 * padding
    + output_padding: each number paints a kernel, stride pixels from the next one, and a border is cut off. With the
    same sizes it takes what a Conv2d makes back to the size of its images; see functional.conv_transpose2d.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, bias, dilation, rng, dtype: As for Conv2d.
        padding: Width of the border that is cut off.
        output_padding: Rows and columns added below and on the right, less than stride or dilation.
        padding_mode: "zeros"; there is no other here.
        init: As for Linear, with in_features = out_channels / groups * height * width of the kernel.

    Attributes:
        weight: Tensor of shape (in_channels, out_channels / groups, *kernel_size).
        bias: Tensor of shape (out_channels,), or None.

    Raises: As Conv2d.
    """

    axes: ClassVar = ("height", "width")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        padding_mode: str = "zeros",
        *,
        init: Init = "default",
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        check_pair("ConvTranspose2d: padding", padding, 0)  # not by name
        self.output_padding = check_pair("ConvTranspose2d: output_padding", output_padding, 0)
        sizes = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        super().__init__(*sizes, init=init, rng=rng, dtype=dtype)
        most = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(more >= max(step, gap) for more, step, gap in most):
            limits = f"the stride {self.stride} or the dilation {self.dilation}"
            raise ValueError(f"ConvTranspose2d: output_padding is {output_padding}; it must be less than {limits}")

    def forward(self, input: Operand, output_size: int | Pair | None = None) -> Tensor:
        """(n, in_channels, h, w) -> (n, out_channels, rows, columns), both perhaps without n.

        Args:
            input: Images.
            output_size: (rows, columns) instead of the output_padding that leads there.

        Raises:
            ValueError: Another number of axes or channels, or an output_size that is out of reach.
        """
        x = self._checked(input)
        more = self.output_padding if output_size is None else self._padding_to(output_size, x.shape[-2:])
        how: Any = (self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)
        return functional.conv_transpose2d(x, *how)

    def _padding_to(self, output_size: int | Pair, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The output_padding that leads to a size."""
        size = check_pair("ConvTranspose2d: output_size", output_size, 1)
        every = zip(shape, self.stride, self.padding, reach(self.kernel_size, self.dilation), strict=True)
        least = [(n - 1) * step - 2 * border + far for n, step, border, far in every]
        more = [n - m for n, m in zip(size, least, strict=True)]
        if any(not 0 <= m < step for m, step in zip(more, self.stride, strict=True)):
            most = [n + step - 1 for n, step in zip(least, self.stride, strict=True)]
            ways = f"images of {tuple(shape)} become ones of {tuple(least)} to {tuple(most)}"
            raise ValueError(f"ConvTranspose2d: output_size is {output_size}, but {ways}")
        return tuple(more)

    def _weight_shape(self) -> tuple[int, ...]:
        return self.in_channels, self.out_channels // self.groups, *self.kernel_size

    def _check_mode(self, padding_mode: str) -> str:
        return check_choice("ConvTranspose2d: padding_mode", padding_mode, ("zeros",))


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
