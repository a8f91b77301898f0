"""Losses as modules: the functions of `functional` with their settings remembered. Formulas and sources stand there.

Class weights are buffers, as in PyTorch: constants that state_dict saves with the model. PyTorch's `ignore_index`
and the `weight` of its two BCE losses are left out.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu import functional
from tinygrad_edu.checks import check_choice, check_number
from tinygrad_edu.functional.losses import Reduction, checked_weights
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand
from tinygrad_edu.tensor import Tensor

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "L1Loss", "Loss", "MSELoss", "NLLLoss"]


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
        defaults = {"reduction": "mean", "delta": 1.0, "label_smoothing": 0.0}
        return ", ".join([f"{k}={v!r}" for k, v in vars(self).items() if k in defaults and v != defaults[k]])


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


class BCELoss(Loss):
    """Cross-entropy of yes-or-no answers from probabilities, over all elements; BCEWithLogitsLoss is more exact."""

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.binary_cross_entropy."""
        return functional.binary_cross_entropy(input, target, self.reduction)


class BCEWithLogitsLoss(Loss):
    """Cross-entropy of yes-or-no answers from logits, over all elements: sigmoid and BCELoss in one.

    Args:
        reduction: As Loss.
        pos_weight: Factor of the answers that should be yes, a number or an array such as (classes,).
    """

    def __init__(self, reduction: Reduction = "mean", pos_weight: ArrayLike | Tensor | None = None) -> None:
        super().__init__(reduction)
        self.pos_weight = weight_buffer(f"{type(self).__name__}: pos_weight", pos_weight)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.binary_cross_entropy_with_logits."""
        return functional.binary_cross_entropy_with_logits(input, target, self.reduction, pos_weight=self.pos_weight)


class NLLLoss(Loss):
    """Negative log-likelihood of labels, for a model that ends in LogSoftmax.

    Args:
        weight: One number per class, (classes,), or None.
        reduction: As Loss.
    """

    def __init__(self, weight: ArrayLike | Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.weight = weight_buffer(f"{type(self).__name__}: weight", weight)
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(f"{type(self).__name__}: weight has shape {self.weight.shape}; give one number per class")

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(n, classes), (n,) -> (), or (n,) with reduction "none"; see functional.nll_loss."""
        return functional.nll_loss(input, target, self.reduction, weight=self.weight)


class CrossEntropyLoss(NLLLoss):
    """Cross-entropy of logits: LogSoftmax and NLLLoss in one stable op.

    Args:
        weight, reduction: As for NLLLoss.
        label_smoothing: The share, in [0, 1], that the target gives up to all classes.

    Raises:
        ValueError: An unknown reduction, or label_smoothing out of range.
    """

    def __init__(
        self, weight: ArrayLike | Tensor | None = None, *, reduction: Reduction = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(weight, reduction=reduction)
        name = "CrossEntropyLoss: label_smoothing"
        self.label_smoothing = check_number(name, label_smoothing, at_least=0, at_most=1)

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(n, classes), (n,) or (n, classes) -> (), or (n,) with reduction "none"; see functional.cross_entropy."""
        return functional.cross_entropy(
            input, target, self.reduction, weight=self.weight, label_smoothing=self.label_smoothing
        )


def weight_buffer(name: str, weight: ArrayLike | Tensor | None) -> NDArray[np.floating] | Tensor | None:
    """Weights as an array of their own; None and a Tensor, which is a parameter, as they are."""
    if isinstance(weight, str):
        raise TypeError(f"{name} is {weight!r}, but it takes one number per class; write reduction={weight!r}")
    if weight is None or isinstance(weight, Tensor):
        return weight
    array = np.asarray(checked_weights(name, weight))
    return np.array(array, np.result_type(array, 1.0))
