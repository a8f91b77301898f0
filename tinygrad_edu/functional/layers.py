"""Layers as functions: linear, convolution and pooling, with PyTorch's names and shapes.

They check what they are given and hand it to the ops, where the formulas and their derivatives stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_edu import ops
from tinygrad_edu.arguments import answering_for
from tinygrad_edu.checks import check_bool, check_int, check_number, check_pair
from tinygrad_edu.engine import is_tensor, plain
from tinygrad_edu.ops import Operand, as_operand, convolution, fused
from tinygrad_edu.ops.convolution import Pair
from tinygrad_edu.random import generator_or_default

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["avg_pool2d", "conv2d", "dropout", "embedding", "linear", "max_pool2d"]


def linear(x: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """x @ weight.T + bias: (..., in), (out, in), (out,) -> (..., out).

    Raises:
        ValueError: Shapes that do not fit.
    """
    if bias is None:
        return ops.matmul(x, ops.transpose(weight))
    weight, bias = as_operand(weight), as_operand(bias)
    if bias.shape != weight.shape[:-1]:  # one of shape (1,) would be added to all outputs
        what = f"weight of shape {weight.shape} and bias of shape {bias.shape}"
        raise ValueError(f"linear: {what}; they must be (out, in) and (out,)")
    return fused.linear(x, weight, bias)


@answering_for
def dropout(x: Operand, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None) -> Tensor:
    """Sets each element to 0 with probability p and divides the others by 1 - p: Srivastava et al. 2014.

    Args:
        x: Any shape.
        p: From 0 to 1.
        training: False returns x.
        rng: Generator of the draws, instead of the library's.

    Raises:
        TypeError: `training` is not a bool, or rng not a generator.
        ValueError: p is not a number in [0, 1].
    """
    p, x = check_number("dropout: p, the probability to drop an element,", p, at_least=0, at_most=1), as_operand(x)
    if not check_bool("dropout: training", training) or p == 0:
        return x
    dtype = np.result_type(x.dtype, 0.5)  # the input's own if that is a floating one
    kept = generator_or_default(rng).random(x.shape, np.float32) >= p
    return ops.multiply(x, kept * dtype.type(1 / (1 - p) if p < 1 else 0))


@answering_for
def embedding(input: ArrayLike, weight: Operand, padding_idx: int | None = None) -> Tensor:
    """The rows of a table: integers of any shape (...), (n, length) -> (..., length).

    Args:
        input: From 0 to n - 1.
        weight: The table.
        padding_idx: A row that gets no gradient; below 0 counted from the end.

    Raises:
        TypeError: `input` is not of integers.
        ValueError: An integer without a row, or a table that is not a matrix.
    """
    weight, indices = as_operand(weight), np.asarray(plain(input))
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight of shape {weight.shape}; it must be (rows, length)")
    if indices.dtype.kind not in "iu" or is_tensor(input):
        hint = "; a Tensor holds floats, pass the integers as an array" if is_tensor(input) else ""
        raise TypeError(
            f"embedding: input is of dtype {indices.dtype}; it must be of integers, the numbers of rows{hint}"
        )
    n = len(weight)
    if indices.size and not (indices.min() >= 0 and indices.max() < n):
        wrong = indices[(indices < 0) | (indices >= n)][0]
        raise ValueError(
            f"embedding: there is no row {wrong} in a weight of shape {weight.shape}; rows are 0 to {n - 1}"
        )
    out = ops.getitem(weight, indices)
    if padding_idx is None:
        return out
    padding = indices == check_int("embedding: padding_idx", padding_idx, -n, n - 1) % n
    return ops.where(padding[..., None], plain(out), out)


@answering_for
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
        TypeError: stride or padding that are not integers.
        ValueError: Shapes that do not fit.
    """
    x, weight, bias = as_operand(x), as_operand(weight), None if bias is None else as_operand(bias)
    if weight.ndim != 4 or (bias is not None and bias.shape != weight.shape[:1]):
        what = f"weight of shape {weight.shape}" + ("" if bias is None else f" and bias of shape {bias.shape}")
        raise ValueError(f"conv2d: {what}; they must be (out, channels, height, width) and (out,)")
    channels, height, width = weight.shape[1:]
    if x.ndim == 4 and x.shape[1] != channels:
        raise ValueError(
            f"conv2d: images of shape {x.shape} have {x.shape[1]} channels, but the weight of shape {weight.shape} "
            f"takes {channels}; the axes of images are (n, channels, height, width)"
        )
    x, _, steps = prepared("conv2d", x, (height, width), check_pair("conv2d: stride", stride, 1), padding)
    around = check_pair("conv2d: padding", padding, 0)
    return convolution.conv2d(x, weight, *([] if bias is None else [bias]), stride=steps, padding=around)


@answering_for
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
        TypeError: Sizes that are not integers.
        ValueError: Shapes or sizes that do not fit.
    """
    return convolution.max_pool(*prepared("max_pool2d", x, kernel_size, stride, padding, -np.inf))


@answering_for
def avg_pool2d(
    x: Operand, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The mean of every window, in which a border counts as zeros; arguments as for max_pool2d."""
    x = as_operand(x)
    if x.dtype == np.float16:  # a sum of float16 may overflow where the mean does not
        return ops.astype(avg_pool2d(ops.astype(x, np.float32), kernel_size, stride, padding), np.float16)
    return convolution.mean_pool(*prepared("avg_pool2d", x, kernel_size, stride, padding, 0))


def prepared(
    name: str, x: Operand, size: int | Pair, stride: int | Pair | None, padding: int | Pair, border: float | None = None
) -> tuple[Tensor, Pair, Pair]:
    """The images, within a border if one is given, size and stride of the windows, all checked."""
    x = as_operand(x)
    size = check_pair(f"{name}: kernel_size", size, 1)
    around = check_pair(f"{name}: padding", padding, 0)
    steps = size if stride is None else check_pair(f"{name}: stride", stride, 1)
    if x.dtype.kind in "biu":
        x = x.astype(np.result_type(x.dtype, np.float32))  # integers would wrap around, and know no -inf
    if x.ndim != 4:
        hint = "; add the axis of channels with x[:, None], or to a single image the batch axis with x[None]"
        hint = hint if x.ndim == 3 else ""
        raise ValueError(f"{name}: images must have the shape (n, channels, height, width), not {x.shape}{hint}")
    if border is not None and (2 * around[0] > size[0] or 2 * around[1] > size[1]):
        raise ValueError(f"{name}: padding {around} is more than half of the kernel {size}: a window could be empty")
    height, width = x.shape[2] + 2 * around[0], x.shape[3] + 2 * around[1]
    if height < size[0] or width < size[1]:
        raise ValueError(f"{name}: a kernel of {size} does not fit into images of {(height, width)} with their border")
    if any(around) and border is not None:
        outside = np.full((height, width), border, x.dtype)
        outside[convolution.inside(around)] = 0
        x = ops.scatter(x, convolution.inside(around), (*x.shape[:2], height, width)) + outside
    return x, size, steps
