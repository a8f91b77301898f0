"""Losses as modules: the functions of `functional` with their settings remembered. Formulas and sources stand there.

Weights are buffers, as in PyTorch: constants that state_dict saves with the model.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu import functional
from tinygrad_edu.checks import check_bool, check_choice, check_int, check_number
from tinygrad_edu.functional.losses import INT64, Reduction, checked_weights
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand
from tinygrad_edu.tensor import Tensor

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss",
    "Loss", "MSELoss", "MultiMarginLoss", "NLLLoss", "SmoothL1Loss",
]  # fmt: skip

BatchReduction = Literal["mean", "sum", "none", "batchmean"]
DEFAULTS = {
    "reduction": "mean", "delta": 1.0, "beta": 1.0, "label_smoothing": 0.0, "ignore_index": -100, "log_target": False,
    "p": 1, "margin": 1.0,
}  # fmt: skip


class Loss(Module):
    """Base class of losses.

    Args:
        reduction: "mean" or "sum" makes one number of the losses of a batch; "none" leaves them as they are.

    Raises:
        ValueError: Another reduction.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        check_choice(f"{type(self).__name__}: reduction", reduction, get_args(Reduction))
        self.reduction: Reduction = reduction

    def extra_repr(self) -> str:
        """The settings that are not the default ones."""
        return ", ".join([f"{k}={v!r}" for k, v in vars(self).items() if k in DEFAULTS and v != DEFAULTS[k]])


class MSELoss(Loss):
    """Squared error (input - target)**2, over all elements."""

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.mse_loss."""
        return functional.mse_loss(input, target, self.reduction)


class L1Loss(Loss):
    """Absolute error |input - target|, over all elements."""

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.l1_loss."""
        return functional.l1_loss(input, target, self.reduction)


class HuberLoss(Loss):
    """Half the squared error up to a distance of delta, a line beyond, over all elements.

    Args:
        reduction: As Loss.
        delta: Largest slope, above 0.

    Raises:
        ValueError: An unknown reduction, or delta is not above 0.
    """

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = check_number("HuberLoss: delta", delta, above=0, finite=False)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.huber_loss."""
        return functional.huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """Absolute error with a round bottom, HuberLoss divided by its delta, over all elements.

    Args:
        reduction: As Loss.
        beta: Where the line begins, at least 0.

    Raises:
        ValueError: An unknown reduction, or beta is below 0.
    """

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = check_number("SmoothL1Loss: beta", beta, at_least=0)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.smooth_l1_loss."""
        return functional.smooth_l1_loss(input, target, self.reduction, self.beta)


class BCELoss(Loss):
    """Cross-entropy of yes-or-no answers from probabilities, over all elements; BCEWithLogitsLoss is more exact.

    Args:
        weight: Factor of each loss, an array that broadcasts to the input's shape, or None.
        reduction: As Loss.
    """

    def __init__(self, weight: ArrayLike | Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.weight = weight_buffer(f"{type(self).__name__}: weight", weight)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.binary_cross_entropy."""
        return functional.binary_cross_entropy(input, target, self.reduction, weight=self.weight)


class BCEWithLogitsLoss(BCELoss):
    """Cross-entropy of yes-or-no answers from logits, over all elements: sigmoid and BCELoss in one.

    Args:
        weight, reduction: As for BCELoss.
        pos_weight: Factor of the answers that should be yes, a number or an array such as (classes,).
    """

    def __init__(
        self,
        weight: ArrayLike | Tensor | None = None,
        *,
        reduction: Reduction = "mean",
        pos_weight: ArrayLike | Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.pos_weight = weight_buffer(f"{type(self).__name__}: pos_weight", pos_weight)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.binary_cross_entropy_with_logits."""
        return functional.binary_cross_entropy_with_logits(
            input, target, self.reduction, weight=self.weight, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """Divergence of the target's distribution from the model's, which is given as logarithms.

    Args:
        reduction: "mean" or "sum" over all elements, "none", or "batchmean", the sum over the length of the first axis.
        log_target: The target too is given as logarithms.

    Raises:
        TypeError: log_target is not True or False.
        ValueError: Another reduction.
    """

    def __init__(self, reduction: BatchReduction = "mean", log_target: bool = False) -> None:
        check_choice("KLDivLoss: reduction", reduction, get_args(BatchReduction))
        self.reduction: BatchReduction = reduction  # type: ignore[assignment]  # one more than the others take
        self.log_target = check_bool("KLDivLoss: log_target", log_target)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.kl_div."""
        return functional.kl_div(input, target, self.reduction, self.log_target)


class HingeEmbeddingLoss(Loss):
    """Brings pairs with the target 1 near, and keeps those with -1 a margin apart, over all elements.

    Args:
        margin: Distance from which on two count as apart.
        reduction: As Loss.

    Raises:
        ValueError: An unknown reduction, or the margin is not a finite number.
    """

    def __init__(self, margin: float = 1.0, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.margin = check_number("HingeEmbeddingLoss: margin", margin)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.hinge_embedding_loss."""
        return functional.hinge_embedding_loss(input, target, self.reduction, margin=self.margin)


class ClassLoss(Loss):
    """Base class of losses of labels, which may weigh the classes.

    Args:
        weight: One number per class, (classes,), or None.
        reduction: As Loss.
    """

    def __init__(self, weight: ArrayLike | Tensor | None, reduction: Reduction) -> None:
        super().__init__(reduction)
        self.weight = weight_buffer(f"{type(self).__name__}: weight", weight)
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(f"{type(self).__name__}: weight has shape {self.weight.shape}; give one number per class")


class MultiMarginLoss(ClassLoss):
    """The hinge of support vector machines for several classes.

    Args:
        p: Power of the hinge, 1 or 2.
        margin: By how much the score of the right class must be ahead.
        weight: One number per class, (classes,), or None.
        reduction: As Loss.

    Raises:
        ValueError: An unknown reduction, another p, or the margin is not a finite number.
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: ArrayLike | Tensor | None = None,
        *,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(weight, reduction)
        self.p = check_int("MultiMarginLoss: p", p, 1, 2)
        self.margin = check_number("MultiMarginLoss: margin", margin)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(n, classes), (n,) -> (), or (n,) with reduction "none"; see functional.multi_margin_loss."""
        return functional.multi_margin_loss(
            input, target, self.reduction, p=self.p, margin=self.margin, weight=self.weight
        )


class NLLLoss(ClassLoss):
    """Negative log-likelihood of labels, for a model that ends in LogSoftmax.

    Args:
        weight: One number per class, (classes,), or None.
        ignore_index: Label of the examples that do not count.
        reduction: As Loss.

    Raises:
        TypeError: ignore_index is not an integer.
        ValueError: An unknown reduction.
    """

    def __init__(
        self, weight: ArrayLike | Tensor | None = None, *, ignore_index: int = -100, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(weight, reduction)
        name = f"{type(self).__name__}: ignore_index"
        self.ignore_index = check_int(name, ignore_index, *INT64, wrong_type=TypeError)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(n, classes), (n,) -> (), or (n,) with reduction "none"; see functional.nll_loss."""
        return functional.nll_loss(input, target, self.reduction, weight=self.weight, ignore_index=self.ignore_index)


class CrossEntropyLoss(NLLLoss):
    """Cross-entropy of logits: LogSoftmax and NLLLoss in one stable op.

    Args:
        weight, ignore_index, reduction: As for NLLLoss.
        label_smoothing: The share, in [0, 1], that the target gives up to all classes.

    Raises:
        TypeError: ignore_index is not an integer.
        ValueError: An unknown reduction, or label_smoothing out of range.
    """

    def __init__(
        self,
        weight: ArrayLike | Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        name = "CrossEntropyLoss: label_smoothing"
        self.label_smoothing = check_number(name, label_smoothing, at_least=0, at_most=1)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(n, classes), (n,) or (n, classes) -> (), or (n,) with reduction "none"; see functional.cross_entropy."""
        return functional.cross_entropy(
            input,
            target,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


def weight_buffer(name: str, weight: ArrayLike | Tensor | None) -> NDArray[np.floating] | Tensor | None:
    """Weights as an array of their own; None and a Tensor, which is a parameter, as they are."""
    if isinstance(weight, str):
        hint = f"; write reduction={weight!r}" if weight in get_args(BatchReduction) else ""
        raise TypeError(f"{name} is {weight!r:.60}, but it takes one number per class{hint}")
    if weight is None or isinstance(weight, Tensor):
        return weight
    array = np.asarray(checked_weights(name, weight))
    return np.array(array, np.result_type(array, 1.0))
