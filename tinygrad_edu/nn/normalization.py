"""Normalisation: layers that give their inputs mean 0 and variance 1, then a learned scale and shift.

The hard idea is that mean and variance depend on the inputs, so gradients flow through them too. Treat them as
constants, as a plain NumPy line would, and backward is wrong:

    y = (x - x.data.mean(0)) / x.data.std(0)      # x: (n, c)
    y.sum().backward()                            # x.grad is 1 / std, although y.sum() is 0 whatever x is

Every weight before this layer would follow a wrong gradient. So the statistics of a batch are computed with Tensors
here, and only their running averages are plain arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from tinygrad_edu import functional, ops
from tinygrad_edu.checks import check_bool, check_dtype, check_number, check_positive_int
from tinygrad_edu.engine import plain
from tinygrad_edu.functional.normalization import check_lengths, over_rms, standardized
from tinygrad_edu.nn.convolution import shape_hint
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, checked_operand
from tinygrad_edu.sums import first_along
from tinygrad_edu.tensor import Tensor

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "RMSNorm"]


def mean_and_variance(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """(mean, x - mean, variance) over the axes, the divisor being n: the mean an array, the others Tensors.

    The first elements are subtracted before as constants, which changes no gradient.
    """
    first = first_along(plain(x), axes)
    shifted = x - first
    mean = ops.mean(shifted, axes, keepdims=True)
    centered = shifted - mean
    return first + plain(mean), centered, ops.mean(centered * centered, axes, keepdims=True)


def check_eps(layer: Module, eps: float) -> float:
    """What is added to a variance: below 0 it could make that negative."""
    return check_number(f"{type(layer).__name__}: eps", eps, at_least=0)


def through_float32(layer: Module, x: Tensor) -> Tensor:
    """What a layer makes of float16, where the square of 256 overflows: computed in float32, then as NumPy promotes."""
    dtype = np.result_type(x.dtype, *[p.dtype for p in layer.parameters()])
    return ops.astype(layer.forward(ops.astype(x, np.float32)), dtype)


class BatchNorm(Module):
    """What BatchNorm1d and BatchNorm2d share: everything except the number of axes."""

    axes: ClassVar[dict[int, str]]  # number of axes -> their names

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        num_features = check_positive_int(f"{type(self).__name__}: num_features", num_features)
        self.num_features, self.eps = num_features, check_eps(self, eps)
        name = f"{type(self).__name__}: momentum"
        self.momentum = None if momentum is None else check_number(name, momentum, at_least=0, at_most=1)
        dtype = check_dtype(f"{type(self).__name__}: dtype", dtype)
        affine = check_bool(f"{type(self).__name__}: affine", affine)
        track_running_stats = check_bool(f"{type(self).__name__}: track_running_stats", track_running_stats)
        self.weight = Tensor(np.ones(num_features, dtype), name="weight") if affine else None
        self.bias = Tensor(np.zeros(num_features, dtype), name="bias") if affine else None
        wide = np.result_type(dtype, np.float32)  # a variance soon leaves float16
        self.running_mean = np.zeros(num_features, wide) if track_running_stats else None
        self.running_var = np.ones(num_features, wide) if track_running_stats else None
        self.num_batches_tracked = np.array(0, np.int64) if track_running_stats else None

    def forward(self, input: Operand) -> Tensor:
        """(n, c, ...) -> (n, c, ...).

        Raises:
            ValueError: Another number of axes or channels, or, in training, fewer than two values in a channel.
        """
        x = checked_operand(self, input)
        if x.dtype == np.float16:
            return through_float32(self, x)
        self._check_shape(x.shape)
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        if self.training or self.running_mean is None or self.running_var is None:
            mean, centered, var = mean_and_variance(x, (-x.ndim, *range(2 - x.ndim, 0)))
            self._track(mean, plain(var), x.size // self.num_features)
        else:
            centered, var = x - self.running_mean.reshape(per_channel), self.running_var.reshape(per_channel)
        scale = (1.0 if self.weight is None else self.weight.reshape(per_channel)) / ops.sqrt(var + self.eps)
        out: Tensor = centered * scale
        return out if self.bias is None else out + self.bias.reshape(per_channel)

    def _track(self, mean: ndarray, var: ndarray, n: int) -> None:
        """Moves the running averages, if there are any, towards the statistics of a batch with n values per channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean += share * (mean.ravel() - self.running_mean)
        self.running_var += share * (var.ravel() * (n / (n - 1)) - self.running_var)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises an error about inputs that do not fit."""
        name, c = f"{type(self).__name__}({self.num_features})", self.num_features
        if len(shape) not in self.axes:
            fits = " or ".join(self.axes.values())
            raise ValueError(f"{name} takes inputs of shape {fits}, not {shape}{self._axes_hint(shape)}")
        for path in ("running_mean", "running_var"):
            found = getattr(getattr(self, path), "shape", (c,))
            if found != (c,):  # one number would be taken for all channels
                raise ValueError(f"{name}: {path} has shape {found}; it must be {(c,)}")
        if shape[1] != c:
            hint = "; move the channels to axis 1: np.moveaxis(x, -1, 1)" if len(shape) > 2 and shape[-1] == c else ""
            raise ValueError(f"{name} got input of shape {shape}; axis 1, the channels, must have length {c}{hint}")
        if (self.training or self.running_mean is None) and math.prod(shape) < 2 * c:
            to_predict = "call model.eval()" if self.training else "keep track_running_stats=True"
            raise ValueError(
                f"{name} got input of shape {shape}: a variance needs at least two values in each channel; take a "
                f"larger batch, leave out a last batch of one example, or {to_predict} to predict"
            )

    def _axes_hint(self, shape: tuple[int, ...]) -> str:
        """What to do about an input with another number of axes, where that can be guessed."""
        channels, images = self.num_features, 4 in self.axes
        hint = shape_hint(shape, channels) if images else ""
        if not hint and 2 <= len(shape) <= 4 and shape[1] == channels:
            return f"; that fits BatchNorm{1 if images else 2}d"
        return "; of a single example make x[None]" if shape == (channels,) and not images else hint

    def extra_repr(self) -> str:
        settings = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.weight is not None}"
        return f"{settings}, track_running_stats={self.running_mean is not None}"


class BatchNorm1d(BatchNorm):
    """Normalises each channel over the batch: (n, c) or (n, c, l), Ioffe & Szegedy 2015.

    (x - mean) / sqrt(var + eps) * weight + bias. In training, mean and variance (with divisor n) are the batch's own,
    so an example's output depends on the others. In evaluation they are the running averages, and it does not: without
    model.eval() a prediction changes with the batch in which it is made.

    Args:
        num_features: Number of channels c, the length of axis 1.
        eps: Added to the variance, so that a constant channel does not divide by 0.
        momentum: Share of the newest batch in the running averages; None weighs all batches equally.
        affine: Whether there are weight and bias.
        track_running_stats: False keeps no running averages: evaluation takes the batch's statistics too.
        dtype: Floating dtype of parameters and running averages; the averages are at least float32.

    Attributes:
        weight: Tensor of shape (c,), at first 1, or None.
        bias: Tensor of shape (c,), at first 0, or None.
        running_mean: Array of shape (c,), a buffer, or None.
        running_var: Array of shape (c,), with divisor n - 1, a buffer, or None.
        num_batches_tracked: int64 array of shape (), a buffer, or None.

    Raises:
        TypeError: affine or track_running_stats is not a bool, or dtype not a floating one.
        ValueError: num_features is not an integer of at least 1, eps is below 0, or momentum not from 0 to 1.
    """

    axes: ClassVar = {2: "(n, c)", 3: "(n, c, l)"}


class BatchNorm2d(BatchNorm):
    """Normalises each channel over batch, height and width: (n, c, h, w); otherwise as BatchNorm1d."""

    axes: ClassVar = {4: "(n, c, h, w)"}


class LayerNorm(Module):
    """Normalises each example by itself over its last axes: Ba, Kiros & Hinton 2016; see functional.layer_norm.

    (x - mean) / sqrt(var + eps) * weight + bias, the variance with divisor n; the same in training and evaluation.

    Args:
        normalized_shape: Lengths of the last axes, or the length of the last one.
        eps: Added to the variance.
        elementwise_affine: Whether there is a weight.
        bias: Whether a bias comes with it.
        dtype: Floating dtype of the parameters.

    Attributes:
        weight: Tensor of shape normalized_shape, at first 1, or None.
        bias: Tensor of shape normalized_shape, at first 0, or None.

    Raises:
        TypeError: elementwise_affine or bias is not a bool, or dtype not a floating one.
        ValueError: normalized_shape is empty or holds anything but integers of at least 1, or eps is below 0.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.normalized_shape = check_lengths("LayerNorm: normalized_shape", normalized_shape)
        self.eps, dtype = check_eps(self, eps), check_dtype("LayerNorm: dtype", dtype)
        elementwise_affine = check_bool("LayerNorm: elementwise_affine", elementwise_affine)
        bias = check_bool("LayerNorm: bias", bias)
        self.weight = Tensor(np.ones(self.normalized_shape, dtype), name="weight") if elementwise_affine else None
        self.bias = Tensor(np.zeros(self.normalized_shape, dtype), name="bias") if elementwise_affine and bias else None

    def forward(self, input: Operand) -> Tensor:
        """(..., *normalized_shape) -> the same shape.

        Raises:
            ValueError: The last axes have other lengths.
        """
        return standardized(check_last_axes(self, input), len(self.normalized_shape), self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        settings = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"
        return f"{settings}, bias={self.bias is not None}"


class RMSNorm(Module):
    """Divides each example by the root of its mean square: Zhang & Sennrich 2019; see functional.rms_norm.

    x / sqrt(mean(x**2) + eps) * weight over the last axes: LayerNorm without mean and bias, so with fewer passes.

    Args:
        normalized_shape: Lengths of the last axes, or the length of the last one.
        eps: Added to the mean square; if None, what 1 and the next number of the input's dtype differ by, of float32 at
            least.
        elementwise_affine: Whether there is a weight.
        dtype: Floating dtype of the weight.

    Attributes:
        weight: Tensor of shape normalized_shape, at first 1, or None.

    Raises:
        TypeError: elementwise_affine is not a bool, or dtype not a floating one.
        ValueError: normalized_shape is empty or holds anything but integers of at least 1, or eps is below 0.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.normalized_shape = check_lengths("RMSNorm: normalized_shape", normalized_shape)
        self.eps, dtype = None if eps is None else check_eps(self, eps), check_dtype("RMSNorm: dtype", dtype)
        elementwise_affine = check_bool("RMSNorm: elementwise_affine", elementwise_affine)
        self.weight = Tensor(np.ones(self.normalized_shape, dtype), name="weight") if elementwise_affine else None

    def forward(self, input: Operand) -> Tensor:
        """(..., *normalized_shape) -> the same shape.

        Raises:
            ValueError: The last axes have other lengths.
        """
        return over_rms(check_last_axes(self, input), len(self.normalized_shape), self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"


class GroupNorm(Module):
    """Normalises groups of channels, each example by itself: Wu & He 2018; see functional.group_norm.

    Between LayerNorm (one group) and a normalisation of each channel (as many groups as channels), and like them the
    same in training and evaluation, whatever the size of a batch.

    Args:
        num_groups: How many groups the channels are in.
        num_channels: Number of channels, the length of axis 1, a multiple of num_groups.
        eps: Added to the variance.
        affine: Whether there is a weight.
        bias: Whether a bias comes with it.
        dtype: Floating dtype of the parameters.

    Attributes:
        weight: Tensor of shape (num_channels,), at first 1, or None.
        bias: Tensor of shape (num_channels,), at first 0, or None.

    Raises:
        TypeError: affine or bias is not a bool, or dtype not a floating one.
        ValueError: The numbers are not integers of at least 1 that divide, or eps is below 0.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_groups = check_positive_int("GroupNorm: num_groups", num_groups)
        self.num_channels = check_positive_int("GroupNorm: num_channels", num_channels)
        if self.num_channels % self.num_groups:
            what = f"num_channels is {num_channels} and num_groups {num_groups}"
            raise ValueError(f"GroupNorm: {what}; all groups must have equally many channels")
        self.eps, dtype = check_eps(self, eps), check_dtype("GroupNorm: dtype", dtype)
        affine, bias = check_bool("GroupNorm: affine", affine), check_bool("GroupNorm: bias", bias)
        self.weight = Tensor(np.ones(self.num_channels, dtype), name="weight") if affine else None
        self.bias = Tensor(np.zeros(self.num_channels, dtype), name="bias") if affine and bias else None

    def forward(self, input: Operand) -> Tensor:
        """(n, num_channels, ...) -> the same shape.

        Raises:
            ValueError: Another number of channels.
        """
        x, c = checked_operand(self, input), self.num_channels
        if x.ndim < 2 or x.shape[1] != c:
            hint = "; move the channels to axis 1: np.moveaxis(x, -1, 1)" if x.ndim > 2 and x.shape[-1] == c else ""
            name = f"GroupNorm({self.num_groups}, {c})"
            raise ValueError(f"{name} got input of shape {x.shape}; it must be (n, {c}, ...){hint}")
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        settings = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.weight is not None}"
        return f"{settings}, bias={self.bias is not None}"


def check_last_axes(layer: LayerNorm | RMSNorm, x: Operand) -> Tensor:
    """The input, if its last axes are the layer's."""
    x, shape = checked_operand(layer, x), layer.normalized_shape
    if x.shape[-len(shape) :] != shape:
        name = f"{type(layer).__name__}({shape})"
        raise ValueError(f"{name} got input of shape {x.shape}; its last axes must be {shape}")
    return x
