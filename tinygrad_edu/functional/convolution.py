"""Convolutions as functions, with PyTorch's names, arguments and shapes.

They check what they are given, make the border, and hand both to the ops, where the formulas and their derivatives
stand. A sequence is an image of height 1; a transposed convolution is the gradient of a convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, cast

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import check_choice, check_int, check_pair, check_positive_int
from tinygrad_edu.functional.padding import MODES, check_border
from tinygrad_edu.ops import Operand, checked_operand, convolution
from tinygrad_edu.ops.convolution import Pair, reach
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "batch_or_one", "borders", "check_fit", "check_images", "check_sizes", "conv1d", "conv2d",
    "conv_transpose2d",
]  # fmt: skip

P = ParamSpec("P")
Padding: TypeAlias = "int | Pair | str"
AXES = {1: "(n, channels, length)", 2: "(n, channels, height, width)"}


def batch_or_one(ndim: int) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Decorator: a function of batches with so many axes takes a single example, too, which has no first axis."""

    def decorate(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
        @wraps(function)
        def call(x: Operand, *args: Any, **kwargs: Any) -> Any:
            x, of_batches = checked_operand(function.__name__, x), cast(Any, function)
            return of_batches(x[None], *args, **kwargs)[0] if x.ndim == ndim - 1 else of_batches(x, *args, **kwargs)

        return cast("Callable[P, Tensor]", call)

    return decorate


@library_function
@batch_or_one(3)
def conv1d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Tensor:
    """Cross-correlation of sequences (n, channels, length) with kernels (out, channels / groups, length), as conv2d.

    Sizes are integers, or tuples of one.
    """
    return convolve("conv1d", 1, x, weight, bias, stride, padding, dilation, groups, padding_mode)


@library_function
@batch_or_one(4)
def conv2d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Tensor:
    """Cross-correlation of images with kernels, as in LeCun et al. 1989: one matrix product over all windows.

    Args:
        x: Images of shape (n, channels, height, width), or one without n.
        weight: Kernels of shape (out, channels / groups, *kernel_size).
        bias: Shape (out,), or None.
        stride: Step from one window to the next, (down, right) or one number for both.
        padding: Width of a border, (above and below, left and right) or one number for both; "valid" is none, "same"
            one that keeps the size, with stride 1: wider below and on the right if it cannot be equal.
        dilation: A kernel takes each dilation-th pixel (Yu & Koltun 2016), (down, right) or one number for both.
        groups: The channels, and the kernels, are in so many groups, and a kernel sees only those of its own
            (Krizhevsky et al. 2012).
        padding_mode: What the border is made of: "zeros", "reflect" (mirrored at the edge pixels), "replicate" (the
            edge pixels) or "circular" (from the other end).

    Returns:
        Shape (n, out, rows, columns), with rows = (height + 2 * padding - reach) // stride + 1, where the reach of a
        kernel is dilation * (its height - 1) + 1.

    Raises:
        TypeError: Sizes that are not integers.
        ValueError: Shapes or sizes that do not fit, or images without pixels or channels; PyTorch lets the latter pass.
    """
    return convolve("conv2d", 2, x, weight, bias, stride, padding, dilation, groups, padding_mode)


@library_function
@batch_or_one(4)
def conv_transpose2d(
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """The gradient of a convolution as a layer, which makes images larger: Zeiler et al. 2010, Dumoulin & Visin 2016.

    Each number of x paints a kernel, multiplied by it, stride pixels from the next one; where they overlap they add up.

    Args:
        x: Images of shape (n, channels, height, width), or one without n.
        weight: Kernels of shape (channels, out / groups, *kernel_size).
        bias: Shape (out,), or None.
        stride: Step from one kernel to the next, (down, right) or one number for both.
        padding: Width of a border that is cut off, as it was added before the convolution.
        output_padding: Rows and columns added below and on the right: with a stride, images of several sizes give
            convolutions of one size, and this says which is meant. Less than stride or dilation.
        groups, dilation: As for conv2d.

    Returns:
        Shape (n, out, rows, columns), with rows = (height - 1) * stride + dilation * (kernel height - 1) + 1
        - 2 * padding + output_padding.

    Raises:
        TypeError: Sizes that are not integers.
        ValueError: Shapes or sizes that do not fit.
    """
    name = "conv_transpose2d"
    x, weight = check_images(name, x), checked_operand(name, weight, "weight")
    bias = None if bias is None else checked_operand(name, bias, "bias")
    groups = check_positive_int(f"{name}: groups", groups, wrong_type=TypeError)
    out = weight.shape[1] * groups if weight.ndim == 4 else 0
    if not weight.size or weight.ndim != 4 or weight.shape[0] % groups or (bias is not None and bias.shape != (out,)):
        fits = "they must be (channels, out / groups, height, width) and (out,), no length of them 0"
        raise ValueError(f"{name}: {described(weight, bias)} and groups={groups}; {fits}")
    if x.shape[1] != weight.shape[0]:
        raise ValueError(f"{name}: input of shape {x.shape} has {x.shape[1]} channels; weight takes {weight.shape[0]}")
    steps, gaps = check_pair(f"{name}: stride", stride, 1), check_pair(f"{name}: dilation", dilation, 1)
    around, more = check_pair(f"{name}: padding", padding, 0), check_pair(f"{name}: output_padding", output_padding, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, steps, gaps, strict=True)):
        raise ValueError(f"{name}: output_padding {more} must be less than the stride {steps} or the dilation {gaps}")
    every = zip(x.shape[2:], steps, around, reach(weight.shape[2:], gaps), more, strict=True)
    height, width = [(n - 1) * s - 2 * p + far + m for n, s, p, far, m in every]
    if min(height, width) < 1:
        raise ValueError(f"{name}: {x.shape[2:]} pixels would become {(height, width)}; take a smaller padding")
    if more[0] >= steps[0] or more[1] >= steps[1]:  # there is room for more kernels, which nobody paints
        x = ops.pad(x, [(0, 0), (0, 0), (0, more[0] // steps[0]), (0, more[1] // steps[1])])
    painted = convolution.conv2d_input(x, weight, steps, around, (len(x), out, height, width), gaps, groups)
    return painted if bias is None else ops.add(painted, bias[:, None, None])


def convolve(
    name: str,
    ndim: int,
    x: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: str,
) -> Tensor:
    """Of images with so many axes, 1 or 2; the other arguments as above, `name` is what errors call the caller."""
    x, weight = check_images(name, x, ndim), checked_operand(name, weight, "weight")
    bias = None if bias is None else checked_operand(name, bias, "bias")
    groups = check_positive_int(f"{name}: groups", groups, wrong_type=TypeError)
    check_kernels(name, x, weight, bias, groups)
    steps, gaps = check_sizes(f"{name}: stride", stride, 1, ndim), check_sizes(f"{name}: dilation", dilation, 1, ndim)
    around = borders(name, padding, weight.shape[2:], steps, gaps)
    check_fit(name, x.shape[2:], around, weight.shape[2:], gaps)
    if padding_mode != "zeros" or any(before != after for before, after in around):
        check_choice(f"{name}: padding_mode", padding_mode, MODES)
        check_border(name, padding_mode, around, x.shape[2:])
        x, around = ops.pad(x, [(0, 0), (0, 0), *around], MODES[padding_mode]), [(0, 0)] * ndim
    before = tuple([width for width, _ in around])
    if ndim == 1:
        x, weight, steps, gaps, before = x[:, :, None], weight[:, :, None], (1, *steps), (1, *gaps), (0, *before)
    operands = [x, weight] if bias is None else [x, weight, bias]
    how: dict[str, Any] = {"stride": steps, "padding": before, "dilation": gaps, "groups": groups}
    out = convolution.conv2d(*operands, **how)
    return out[:, :, 0] if ndim == 1 else out


def check_images(name: str, x: Operand, ndim: int = 2) -> Tensor:
    """Images with so many axes of their own; integers, which would wrap around and know no -inf, become floats."""
    x = checked_operand(name, x)
    if x.ndim != ndim + 2:
        raise ValueError(f"{name}: input of shape {x.shape}; it must be {AXES[ndim]}, or without n")
    if 0 in x.shape[1:]:
        raise ValueError(f"{name}: input of shape {x.shape} has no {'pixels' if x.shape[1] else 'channels'}")
    return x.astype(np.result_type(x.dtype, np.float32)) if x.dtype.kind in "biu" else x


def check_sizes(name: str, value: object, low: int, ndim: int) -> tuple[int, ...]:
    """A size for each of 1 or 2 axes, from a tuple or from one number for all."""
    if ndim == 2:
        return check_pair(name, value, low)
    (size,) = value if isinstance(value, (tuple, list)) and len(value) == 1 else (value,)
    return (check_int(name, size, low, wrong_type=TypeError),)


def described(weight: Tensor, bias: Tensor | None) -> str:
    """The shapes of both, for messages."""
    return f"weight of shape {weight.shape}" + ("" if bias is None else f", bias of shape {bias.shape}")


def check_kernels(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    """Raises an error about kernels that do not fit the images."""
    if (
        not weight.size
        or weight.ndim != x.ndim
        or (bias is not None and bias.shape != weight.shape[:1])
        or len(weight) % groups
    ):
        axes = AXES[x.ndim - 2].replace("(n, channels", "(out, channels / groups")
        fits = f"they must be {axes} and (out,), no length of them 0, and out a multiple of groups"
        raise ValueError(f"{name}: {described(weight, bias)}, groups={groups}; {fits}")
    if x.shape[1] != weight.shape[1] * groups:
        takes = f"the weight of shape {weight.shape} takes {weight.shape[1] * groups}"
        times = f" with groups={groups}" if groups > 1 else ""
        fits = f"the axes of the input are {AXES[x.ndim - 2]}"
        raise ValueError(f"{name}: input of shape {x.shape} has {x.shape[1]} channels, but {takes}{times}; {fits}")


def borders(
    name: str, padding: object, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """The width of the border before and after each axis; "same" makes both together one less than the reach."""
    if not isinstance(padding, str):
        return [(width, width) for width in check_sizes(f"{name}: padding", padding, 0, len(size))]
    if check_choice(f"{name}: padding", padding, ("same", "valid")) == "valid":
        return [(0, 0)] * len(size)
    if any(step != 1 for step in stride):
        raise ValueError(
            f"{name}: padding is 'same' with the stride {stride}; the size stays the same with stride 1 only"
        )
    return [((n - 1) // 2, n // 2) for n in reach(size, dilation)]


def check_fit(
    name: str, shape: Sequence[int], around: Sequence[Pair], size: Sequence[int], dilation: Sequence[int]
) -> None:
    """Raises an error if a kernel is larger than the images within their border."""
    lengths = tuple([n + before + after for n, (before, after) in zip(shape, around, strict=True)])
    needed = reach(size, dilation)
    if any(n < m for n, m in zip(lengths, needed, strict=True)):
        far = "" if needed == tuple(size) else f", which reaches over {needed},"
        raise ValueError(
            f"{name}: a kernel of {tuple(size)}{far} does not fit into images of {lengths} with their border"
        )
