"""Losses: one number that says how wrong the predictions are.

Names, arguments and formulas are PyTorch's, with two differences: `reduction` may be given by position, and the classes
lie along the last axis, whatever the number of axes (PyTorch: axis 1).

The hard idea is to take the logarithm of a probability without computing the probability first. For the logit x = 90
the probability of the other answer is 1 - sigmoid(90) = 8e-40, but

    1 - sigmoid(np.float32(90))     # 0: sigmoid has been rounded to 1, and log(0) is -inf
    softplus(np.float32(90))        # 90, the negative logarithm: log(1 - sigmoid(x)) is -log(1 + exp(x))

So the losses that take logits are right at +-10000, where those that take probabilities have nothing left to see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.arrays import array_of, beside, brought, extremes
from tinygrad_edu.checks import as_array, broadcasts_to, check_bool, check_int, check_number
from tinygrad_edu.engine import Array, is_tensor, plain
from tinygrad_edu.ops import Operand, as_operand, checked_operand, fused
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "HALF", "INT64", "Reduction", "as_floating", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "check_classes", "check_integers", "check_labels", "check_range", "checked_labels", "checked_weights",
    "class_weights", "cross_entropy", "kl_div", "nll_loss", "of_equal_shape", "pick", "reduced", "through_float32",
    "times",
]  # fmt: skip

Reduction = Literal["mean", "sum", "none"]
HALF = np.dtype(np.float16)
INT64 = -(2**63), 2**63 - 1
NO_LABEL = INT64[0] - 1
SLACK = 1e-3  # what rounding to float16 may add to a probability


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The mean, the sum, or all."""
    check_reduction(reduction)
    if reduction == "none":
        return losses
    return ops.mean(losses) if reduction == "mean" else ops.sum(losses)


def check_reduction(reduction: object, more: str = "") -> None:
    """Refuses an unknown reduction."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        hint = "" if isinstance(reduction, str) else "; the other options are given by name: weight=..."
        raise ValueError(f"reduction must be {more}'mean', 'sum' or 'none', not {reduction!r:.60}{hint}")


def as_floating(name: str, x: Operand) -> Tensor:
    """x with a shape; integers and booleans as floats, since unsigned differences wrap around: 1 - 2 = 255."""
    x = checked_operand(name, x, "")
    return x.astype(np.result_type(x.dtype, np.float32)) if x.dtype.kind in "biu" else x


def through_float32(
    loss: Callable[..., Tensor], input: Tensor, target: Tensor, *args: object, **options: Any
) -> Tensor:
    """A loss of float16, where 300**2 overflows, 0.0001**2 is 0 and no count passes 2048: in float32, rounded once."""
    target = ops.astype(target, np.float32) if target.dtype.kind == "f" else target
    return ops.astype(loss(ops.astype(input, np.float32), target, *args, **options), np.float16)


def times(losses: Tensor, weights: Tensor) -> Tensor:
    """losses * weights, where a weight of 0 drops the loss even if that is infinite: as a product, NaN."""
    infinite = np.isinf(plain(losses))
    if infinite.any() and not is_tensor(weights):
        losses = ops.where(infinite & (plain(weights) == 0), 0.0, losses)
    return ops.multiply(losses, weights)


def of_equal_shape(name: str, input: Operand, target: Operand) -> tuple[Tensor, Tensor]:
    """Both as floats of one shape: (n,) against (n, 1) would broadcast to all n * n pairs."""
    input, target = as_floating(f"{name}: input", input), as_floating(f"{name}: target", target)
    if input.shape != target.shape:
        raise ValueError(
            f"{name}: input has shape {input.shape}, target {target.shape}; reshape one so that they are equal"
        )
    return input, target


def constant_like(x: Operand, input: Tensor) -> Tensor:
    """Labels or weights in the dtype of the input, which they must not widen; a Tensor as it is."""
    x = as_operand(brought(x, input))
    return x if is_tensor(x) else x.astype(np.result_type(input.dtype, 1.0), copy=False)


def check_probabilities(name: str, what: str, values: Array, hint: str = "") -> None:
    """Refuses numbers outside [0, 1], and NaN."""
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{name}: {what} runs from {values.min()} to {values.max()}, but must lie in 0 to 1{hint}")


def fitting_weights(name: str, weight: Operand, input: Tensor) -> Tensor:
    """Weights of losses, or of a part of each, that broadcast to the input's shape."""
    weight = constant_like(checked_weights(name, weight), input)
    if not broadcasts_to(weight.shape, input.shape):
        raise ValueError(f"{name} of shape {weight.shape} does not broadcast to the input's {input.shape}")
    return weight


@library_function
def binary_cross_entropy(
    input: Operand, target: Operand, reduction: Reduction = "mean", *, weight: Operand | None = None
) -> Tensor:
    """Cross-entropy of yes-or-no answers from probabilities p: -(t * log(p) + (1 - t) * log(1 - p)).

    It is the negative log-likelihood of Bernoulli's distribution (Cox 1958). Where p is 0 or 1 the logarithm is taken
    as -100 and its slope as 1e12, PyTorch's limits: a wrong answer costs 100. A right answer there costs 0 and keeps
    its slope, 1 or -1, where PyTorch has 0. Logits lose nothing, so prefer binary_cross_entropy_with_logits.

    Args:
        input: Probabilities of any shape, each in [0, 1].
        target: Of the same shape: labels 0 and 1 (integers and booleans too), or probabilities.
        reduction: "mean" or "sum" over all elements, or "none".
        weight: Factor of each loss, finite and at least 0, that broadcasts to the input's shape, such as one number per
            class, (classes,). The mean is over the number of elements all the same.

    Raises:
        ValueError: The shapes differ or do not fit, an input or target outside [0, 1] or NaN, a weight out of range, or
            an unknown reduction.
    """
    name = "binary_cross_entropy"
    input, target = of_equal_shape(name, input, target)
    check_probabilities(name, "input", plain(input), "; for logits use binary_cross_entropy_with_logits")
    check_probabilities(name, "target", plain(target))
    if input.dtype == HALF:
        return through_float32(binary_cross_entropy, input, target, reduction, weight=weight)
    target = constant_like(target, input)
    likelihood = fused.clamped_log(input) * target + fused.clamped_log1p(-1.0 * input) * (1 - target)
    losses = ops.negative(likelihood)
    if weight is not None:
        losses = ops.multiply(losses, fitting_weights(f"{name}: weight", weight, input))
    return reduced(losses, reduction)


@library_function
def binary_cross_entropy_with_logits(
    input: Operand,
    target: Operand,
    reduction: Reduction = "mean",
    *,
    weight: Operand | None = None,
    pos_weight: Operand | None = None,
) -> Tensor:
    """Cross-entropy of yes-or-no answers from logits x, exact for large ones: t * softplus(-x) + (1 - t) * softplus(x).

    That is binary_cross_entropy(sigmoid(x), t), since -log(sigmoid(x)) is softplus(-x).

    Args:
        input: Logits of any shape.
        target: Of the same shape: labels 0 and 1 (integers and booleans too), or probabilities.
        reduction: "mean" or "sum" over all elements, or "none".
        weight: Factor of each loss, as for binary_cross_entropy.
        pos_weight: Factor of the first term, for answers that are rarely yes: a number, or an array that broadcasts to
            the input's shape, such as one number per class, (classes,).

    Raises:
        ValueError: The shapes differ or do not fit, a target outside [0, 1], a weight out of range, or an unknown
            reduction.
    """
    name = "binary_cross_entropy_with_logits"
    input, target = of_equal_shape(name, input, target)
    check_probabilities(name, "target", plain(target))
    if input.dtype == HALF:
        options = {"weight": weight, "pos_weight": pos_weight}
        return through_float32(binary_cross_entropy_with_logits, input, target, reduction, **options)
    target = constant_like(target, input)
    if_yes, if_no = ops.softplus(-1.0 * input), ops.softplus(input)
    if pos_weight is not None:
        if_yes = times(if_yes, fitting_weights(f"{name}: pos_weight", pos_weight, input))
    losses = times(if_yes, target) + times(if_no, 1 - target)
    if weight is not None:
        losses = times(losses, fitting_weights(f"{name}: weight", weight, input))
    return reduced(losses, reduction)


def checked_labels(name: str, target: Operand) -> Tensor:
    """Labels or distributions with a shape, without a mask."""
    if type(target) is not np.ndarray and not is_tensor(target) and not hasattr(target, "__op__"):
        target = as_array(f"{name}: target", target)
    return as_operand(target)


def checked_weights(name: str, weight: Operand) -> Operand:
    """Weights of losses, which are finite numbers of at least 0; a Tensor as it is, since it may be learned."""
    if is_tensor(weight):
        return weight
    weight = checked_operand(name, weight, "")
    if weight.size and not (weight.min() >= 0 and weight.max() < np.inf):
        raise ValueError(f"{name} runs from {weight.min()} to {weight.max()}; weights are finite and at least 0")
    return weight


def check_classes(name: str, input: Tensor) -> None:
    """Refuses an input without classes."""
    if not input.ndim or not input.shape[-1]:
        raise ValueError(f"{name}: input of shape {input.shape} has no classes; they lie along its last axis")


def check_labels(name: str, input: Tensor, target: Tensor, ignore_index: int = NO_LABEL) -> Array | None:
    """Refuses labels that are not integers in [0, classes); which count, or None if all do: none is ignore_index."""
    classes = input.shape[-1]
    if type(ignore_index) is not int:
        ignore_index = check_int(f"{name}: ignore_index", ignore_index, *INT64, wrong_type=TypeError)
    check_integers(name, target)
    if not target.size:
        return None
    low, high = extremes(target)
    if low >= 0 and high < classes and not 0 <= ignore_index < classes:
        return None
    counts = array_of(target != ignore_index)
    labels = target[counts]
    hint = "; ignore_index=-1 leaves out those of -1, for example" if (labels < 0).any() else ""
    check_range(name, labels, classes, hint)
    return None if counts.all() else counts


def check_integers(name: str, labels: Array) -> None:
    """Refuses labels that are not integers."""
    if is_tensor(labels):
        raise TypeError(f"{name}: labels must be a plain array of integers, not a Tensor, which holds floats")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}; use labels.astype(int)")


def check_range(name: str, labels: Array, classes: int, hint: str = "") -> None:
    """Refuses labels outside of [0, classes)."""
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        what = f"labels run from {labels.min()} to {labels.max()}"
        raise ValueError(f"{name}: {what}, but with {classes} classes they must lie in 0 to {classes - 1}{hint}")


def of_those_that_count(
    loss: Callable[..., Tensor], input: Tensor, target: Tensor, counts: Array, reduction: str, **options: Any
) -> Tensor:
    """The loss of the examples that count; with reduction "none" it is 0 for the others."""
    losses = loss(ops.getitem(input, counts), target[counts], reduction, **options)
    return ops.scatter(losses, counts, counts.shape) if reduction == "none" else losses


def check_distributions(name: str, target: Tensor) -> None:
    """Refuses targets of the logits' shape that are not probabilities, such as labels that were repeated."""
    values, hint = plain(target), "; class labels have no axis for the classes"
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name}: target is of dtype {values.dtype}; it must hold integers or real numbers")
    if not values.size:
        return
    low, high = extremes(values)
    if not (low >= -SLACK and high <= 1 + SLACK):
        what = f"targets of the logits' shape {values.shape} are probabilities; they must lie in 0 to 1"
        raise ValueError(f"{name}: {what}, but run from {low:g} to {high:g}{hint}")
    if values.dtype.kind in "biu" and (np.sum(values, -1, dtype=int) != 1).any():
        what = f"integer targets of the logits' shape {values.shape} are one-hot; each row must hold a single 1"
        raise ValueError(f"{name}: {what}{hint}, and several classes at once take binary_cross_entropy_with_logits")


def layout_hint(input: Tensor, target: Tensor) -> str:
    """What to do about PyTorch's layout, (n, classes, ...) against (n, ...)."""
    if input.ndim > 2 and target.shape == input.shape[:1] + input.shape[2:]:
        return "; the classes must lie along the last axis: np.moveaxis(input, 1, -1)"
    return ""


def class_weights(name: str, weight: Operand | None, input: Tensor) -> Tensor:
    """The weights of the classes, all 1 by default: (classes,)."""
    weight = beside(input, np.ones, input.shape[-1]) if weight is None else checked_weights(f"{name}: weight", weight)
    weight = constant_like(weight, input)
    if weight.shape != input.shape[-1:]:
        raise ValueError(f"{name}: weight has shape {weight.shape}; for input {input.shape} give one number per class")
    return weight


def weighted(losses: Tensor, weights: Tensor, reduction: str) -> Tensor:
    """Weighted losses, reduced; the mean divides by the sum of the weights."""
    check_reduction(reduction)
    if reduction != "mean":
        return reduced(losses, reduction)
    total = ops.sum(weights)
    return ops.sum(losses) * bool(plain(total)) / total  # without any weight 0 / 0, NaN, also if smoothing adds a loss


def pick(input: Tensor, target: Array) -> Tensor:
    """What stands at the labels: (..., classes), (...) -> (...)."""
    return ops.getitem(input, (*np.indices(target.shape, sparse=True), target))


@library_function
def nll_loss(
    input: Operand,
    target: Operand,
    reduction: Reduction = "mean",
    *,
    weight: Operand | None = None,
    ignore_index: int = -100,
) -> Tensor:
    """Negative log-likelihood -weight[t] * input[t] of labels t, for what log_softmax returns: Fisher 1922.

    Args:
        input: Log-probabilities of shape (..., classes); PyTorch has the classes on axis 1.
        target: Integer labels of shape (...), each in [0, classes).
        reduction: "sum" over the batch, "none" for shape (...), or "mean", the sum over the sum of weight[t].
        weight: One number per class, (classes,), finite and at least 0; 1 if None. The mean is NaN if all labels have
            the weight 0, as in PyTorch.
        ignore_index: Label of the examples that do not count: their loss is 0, and the mean is that of the others, NaN
            if there are none.

    Raises:
        TypeError: Labels that are not integers, or masked ones; ignore_index is not an integer.
        ValueError: Shapes that do not fit, a label or a weight out of range, or an unknown reduction.
    """
    input, target = as_floating("nll_loss: input", input), checked_labels("nll_loss", target)
    check_classes("nll_loss", input)
    if target.shape != input.shape[:-1]:
        raise ValueError(
            f"nll_loss: input {input.shape} takes labels of shape {input.shape[:-1]}, not {target.shape}"
            f"{layout_hint(input, target)}"
        )
    counts = check_labels("nll_loss", input, target, ignore_index)
    if counts is not None:
        return of_those_that_count(nll_loss, input, target, counts, reduction, weight=weight)
    if input.dtype == HALF:
        return through_float32(nll_loss, input, target, reduction, weight=weight)
    losses = -1.0 * pick(input, target)
    if weight is None:
        return reduced(losses, reduction)
    weights = ops.getitem(class_weights("nll_loss", weight, input), target)
    return weighted(times(losses, weights), weights, reduction)


@library_function
def cross_entropy(
    input: Operand,
    target: Operand,
    reduction: Reduction = "mean",
    *,
    weight: Operand | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy -sum(weight * q * log_softmax(input)) of logits: Bridle 1990; one stable op in the plain case.

    q is the distribution that the target means: all at the label, or the probabilities given. Label smoothing
    (Szegedy et al. 2016) makes it (1 - label_smoothing) * q + label_smoothing / classes.

    Args:
        input: Logits (unnormalised scores, no softmax before) of shape (..., classes); PyTorch has the classes on
            axis 1.
        target: Integer labels of shape (...), each in [0, classes), or probabilities of input's shape, each in [0, 1]
            but for rounding. As in PyTorch a row may add up to another number than 1, which weighs it; one of integers
            or booleans has a single 1.
        reduction: "sum" over the batch, "none" for shape (...), or "mean". The mean of labels with weights is the sum
            over the sum of weight[label], that of probabilities the sum over the size of the batch, as in PyTorch.
        weight: One number per class, (classes,); 1 if None.
        ignore_index: As for nll_loss; with probabilities below 0, since these have no label.
        label_smoothing: The share, in [0, 1], that is spread over all classes.

    Raises:
        TypeError: Labels that are not integers, or ignore_index.
        ValueError: Shapes that do not fit, a label or label_smoothing out of range, or an unknown reduction.
    """
    input, target = as_floating("cross_entropy: input", input), checked_labels("cross_entropy", target)
    check_classes("cross_entropy", input)
    classes, labels, counts = input.shape[-1], target.shape == input.shape[:-1], None
    if labels:
        counts = check_labels("cross_entropy", input, target, ignore_index)
    elif target.shape == input.shape:
        check_distributions("cross_entropy", target)
        check_int("cross_entropy: ignore_index, as the target is of probabilities,", ignore_index, INT64[0], -1)
    else:
        raise ValueError(
            f"cross_entropy: input {input.shape} takes integer labels of shape {input.shape[:-1]} "
            f"or probabilities of shape {input.shape}, not {target.shape}{layout_hint(input, target)}"
        )
    check_reduction(reduction)
    spread = check_number("cross_entropy: label_smoothing", label_smoothing, at_least=0, at_most=1)
    options = {"weight": weight, "label_smoothing": spread}
    if counts is not None:
        return of_those_that_count(cross_entropy, input, target, counts, reduction, **options)
    if input.dtype == HALF:
        return through_float32(cross_entropy, input, target, reduction, **options)
    target = target if labels else constant_like(target, input)
    if weight is None and not spread:
        return fused.cross_entropy(input, target, reduction)

    weight = class_weights("cross_entropy", weight, input)
    if not labels:
        return reduced(fused.cross_entropy(input, (target * (1 - spread) + spread / classes) * weight), reduction)
    weights = ops.getitem(weight, target)  # (...)
    losses = times(fused.cross_entropy(input, target), weights * (1 - spread))
    if spread:
        losses = losses + fused.cross_entropy(input, ops.broadcast_to(weight * (spread / classes), input.shape))
    return weighted(losses, weights, reduction)


@library_function
def kl_div(
    input: Operand,
    target: Operand,
    reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
    log_target: bool = False,
) -> Tensor:
    """Divergence target * (log(target) - input) of distributions: Kullback & Leibler 1951. It is 0 where they agree.

    Args:
        input: Logarithms of the model's probabilities, such as log_softmax returns, of any shape.
        target: Probabilities of the same shape; 0 costs nothing.
        reduction: "sum", "none", "mean" over all elements, or "batchmean", the sum over the length of the first axis:
            only that is the mean of the divergences.
        log_target: The target too is given as logarithms.

    Raises:
        TypeError: log_target is not True or False.
        ValueError: The shapes differ, probabilities outside [0, 1], or an unknown reduction.
    """
    if reduction != "batchmean":
        check_reduction(reduction, "'batchmean', ")
    input, target = of_equal_shape("kl_div", input, target)
    as_logarithms = check_bool("kl_div: log_target", log_target)
    if not as_logarithms:
        check_probabilities("kl_div", "target", plain(target), "; logarithms are given with log_target=True")
    if input.dtype == target.dtype == HALF:
        return through_float32(kl_div, input, target, reduction, as_logarithms)
    target = constant_like(target, input)
    if as_logarithms:
        probabilities, logarithms = ops.exp(target), target
    else:
        probabilities, logarithms = target, ops.log(ops.where(plain(target) > 0, target, 1.0))
    losses = times(ops.subtract(logarithms, input), probabilities)
    if reduction == "batchmean":
        return ops.sum(losses) / (len(losses) if losses.ndim else 1)
    return reduced(losses, reduction)
