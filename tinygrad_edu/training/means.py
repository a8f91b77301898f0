"""RunningMeans: the loss and the accuracy of an epoch.

The hard idea is the mean over an epoch. The last batch is often shorter, and a mean of means counts its examples more:

    np.mean([loss(model(x), y).item() for x, y in batches])     # 9 examples in batches of 8: one has half of the weight

So each batch's mean is multiplied by its number of examples, and the sum is divided by the number of all examples. With
class weights a batch's mean was divided by the sum of its weights, so the figure still depends on how the batches were
cut, as in PyTorch.
"""

import math

import numpy as np

from tinygrad_edu.arrays import home
from tinygrad_edu.checks import check_bool
from tinygrad_edu.engine import plain
from tinygrad_edu.ops import Operand
from tinygrad_edu.optim.schedulers import watched_number
from tinygrad_edu.training.history import Record

__all__ = ["RunningMeans"]


class RunningMeans:
    """Means of the loss and of the accuracy over all examples so far.

    Attributes:
        examples: How many there were.
        loss_sum: The sum of their losses.
        labels: How many labels there were; 0 unless outputs are scores (..., classes) and targets integers (...).
        correct: How many of these had the largest score.

    Example:
        means = RunningMeans()
        for x, y in batches:
            outputs = model(x)
            means.add(cross_entropy(outputs, y).item(), outputs, y)
        print(means)                                    # loss 0.0721, accuracy 97.80%
    """

    def __init__(self) -> None:
        self.examples = self.labels = self.correct = 0
        self.loss_sum = 0.0

    def add(self, loss: float, outputs: Operand, targets: Operand, *, summed: bool = False) -> None:
        """Takes a batch into account.

        Args:
            loss: The mean over the batch or, if `summed`, the sum.
            outputs, targets: What the model returned and should have, both with a first axis of examples.

        Raises:
            TypeError: The loss is not a number.
            ValueError: The targets have no first axis.
        """
        if type(loss) is not float:
            loss = watched_number("RunningMeans.add: loss", loss)
        if type(summed) is not bool:
            summed = check_bool("RunningMeans.add: summed", summed)
        scores, labels = plain(outputs), np.asarray(home(plain(targets)))
        shape: tuple[int, ...] = getattr(scores, "shape", ())
        if not labels.ndim:
            raise ValueError(f"RunningMeans.add: targets is {targets!r:.60}, without a first axis of examples")
        self.examples += len(labels)
        if len(labels):  # the mean over no examples is NaN
            self.loss_sum += loss if summed else loss * len(labels)
        if labels.dtype.kind in "iu" and shape[:-1] == labels.shape and len(shape) > labels.ndim and shape[-1] > 1:
            right = home(scores.argmax(axis=-1)) == labels
            if not math.isfinite(loss):
                right &= ~home(np.isnan(scores).any(axis=-1))  # of scores of NaN argmax names the first
            self.labels += labels.size
            self.correct += int(right.sum())

    @property
    def loss(self) -> float:
        """The mean loss; NaN before the first batch."""
        return self.loss_sum / self.examples if self.examples else math.nan

    @property
    def accuracy(self) -> float | None:
        """The share of right answers, from 0 to 1; None without labels."""
        return self.correct / self.labels if self.labels else None

    def record(self, split: str) -> Record:
        """The means for a History: {"train_loss": ..., "train_accuracy": ...} if `split` is "train"."""
        means: Record = {f"{split}_loss": self.loss}
        if self.accuracy is not None:
            means[f"{split}_accuracy"] = self.accuracy
        return means

    def __repr__(self) -> str:
        return f"RunningMeans({self})"

    def __str__(self) -> str:
        return f"loss {self.loss:.4f}" + ("" if self.accuracy is None else f", accuracy {self.accuracy:.2%}")
