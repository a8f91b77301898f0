"""Losses as modules: the functions of `functional` with their reduction remembered."""

from __future__ import annotations

from typing import get_args

from tinygrad_edu import functional
from tinygrad_edu.functional import Reduction
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand
from tinygrad_edu.tensor import Tensor


class Loss(Module):
    """Base class of losses.

    Args:
        reduction: "mean" or "sum" makes one number of the losses of a batch, "none" leaves them.

    Raises:
        ValueError: Another reduction.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in get_args(Reduction):
            raise ValueError(f"{type(self).__name__}: reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
        self.reduction: Reduction = reduction

    def extra_repr(self) -> str:
        """The reduction."""
        return f"reduction={self.reduction!r}"


class MSELoss(Loss):
    """Squared error (input - target)**2, over all elements."""

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(...), (...) -> (), or (...) with reduction "none"; see functional.mse_loss."""
        return functional.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits: log-softmax and negative log-likelihood in one stable op."""

    def forward(self, input: Operand, target: Operand) -> Tensor:
        """(n, classes), (n,) -> (), or (n,) with reduction "none"; see functional.cross_entropy."""
        return functional.cross_entropy(input, target, self.reduction)
