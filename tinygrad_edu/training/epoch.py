"""The parts of an epoch: running means, a progress bar, and the evaluation of a model.

`fit` is made of them, and so is a training loop that you write yourself, such as that of demos/mnist.py.

The hard idea is the mean over an epoch. The last batch is often shorter, and a mean of means counts its examples more:

    np.mean([loss(model(x), y).item() for x, y in batches])     # 9 examples in batches of 8: one has half of the weight

So each batch's mean is multiplied by its number of examples, and the sum is divided by the number of all examples. With
class weights a batch's mean was divided by the sum of its weights, so the figure still depends on how the batches were
cut, as in PyTorch.
"""

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arrays import home
from tinygrad_edu.checks import check_bool
from tinygrad_edu.engine import is_tensor, no_grad, plain
from tinygrad_edu.files import on_terminal
from tinygrad_edu.nn.module import Module
from tinygrad_edu.notebooks import notebook_shell
from tinygrad_edu.ops import Operand
from tinygrad_edu.optim import Optimizer, ReduceLROnPlateau, Scheduler
from tinygrad_edu.optim.finder import loss_value
from tinygrad_edu.optim.schedulers import watched_number
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.training.bars import notebook_bar
from tinygrad_edu.training.history import Record

__all__ = [
    "Batches", "Criterion", "RunningMeans", "check_class", "check_iterable", "check_loss", "evaluate", "keep_modes",
    "one_pass", "predict", "progress_bar", "step_scheduler",
]  # fmt: skip

Batches = Iterable[Any]  # of pairs (inputs, targets)
Criterion = Callable[[Any, Any], Tensor]  # a loss, as a function of (outputs, targets)
T = TypeVar("T")

NO_BATCHES = "there are no batches; is the data set empty, or with drop_last=True shorter than a batch?"
NOT_FINITE = (
    "Often the steps are too long: try a learning rate ten times smaller, or optim.clip_grad_norm_; see whether the "
    "inputs are finite and about of size 1; detect_anomaly() names the first op that makes a NaN or an infinity"
)


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


def evaluate(model: Module, batches: Batches, loss: Criterion) -> RunningMeans:
    """Measures a model on batches, in evaluation mode and without gradients.

    Afterwards its modules are in the modes they had. A loss of NaN or infinity is a mean like any other.

    Args:
        model: Takes a batch's inputs.
        batches: Pairs (inputs, targets), both with a first axis of examples.
        loss: Returns the mean over a batch as a Tensor of shape (); losses of `nn` with the reduction "sum" will do.

    Raises:
        TypeError, ValueError: As for fit: batches or a loss that cannot be used.
    """
    check_class("evaluate: model", model, Module)
    check_iterable("evaluate: batches", batches)
    check_loss("evaluate", loss)
    with keep_modes(model):
        model.eval()
        return one_pass(model, batches, loss, "evaluate", must_be_finite=False)


def predict(model: Module, batches: Batches) -> NDArray[Any]:
    """The outputs for all inputs, in evaluation mode and without gradients.

    Args:
        model: Takes a batch's inputs.
        batches: Pairs (inputs, targets); the targets are not looked at.

    Returns:
        Array of shape (n, ...), n being the number of all examples.

    Raises:
        TypeError, ValueError: As for evaluate.
    """
    check_class("predict: model", model, Module)
    check_iterable("predict: batches", batches)
    outputs = []
    with keep_modes(model), no_grad():
        model.eval()
        for number, batch in enumerate(batches, 1):
            inputs, _ = inputs_and_targets(batch, f"predict, batch {number}")
            outputs.append(home(plain(model(inputs))))
    if not outputs:
        raise ValueError(f"predict: {NO_BATCHES}")
    return np.concatenate(outputs)


def progress_bar(batches: Iterable[T], text: str, means: object = "") -> Generator[T, None, None]:
    """Yields the batches, and shows a bar if tqdm is installed and stderr is a terminal, or in a notebook.

    The text stands before the bar, and `means`, RunningMeans for example, after it, as str() shows it after each batch.
    In a notebook there is none for passes of less than half a second.
    """
    if not on_terminal():
        yield from batches if notebook_shell() is None else notebook_bar(batches, text, means)
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield from batches
        return
    with tqdm(batches, desc=text, leave=False) as bar:
        for batch in bar:
            yield batch
            bar.set_postfix_str(str(means), refresh=False)


def step_scheduler(scheduler: Scheduler | None, value: float) -> None:
    """Sets the learning rate of the next epoch, if there is a schedule; only ReduceLROnPlateau looks at the value."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(value)
    elif scheduler is not None:
        scheduler.step()


def one_pass(
    model: Module,
    batches: Batches,
    loss: Criterion,
    where: str,
    optimizer: Optimizer | None = None,
    must_be_finite: bool = True,
) -> RunningMeans:
    """The means over all batches, with a step after each if there is an optimizer, else without gradients."""
    means = RunningMeans()
    summed = getattr(loss, "reduction", "mean") == "sum"
    with nullcontext() if optimizer is not None else no_grad():
        for number, batch in enumerate(batches, 1):
            inputs, targets = inputs_and_targets(batch, f"{where}, batch {number}")
            outputs = model(inputs)
            batch_loss = loss(outputs, targets)
            value = loss_value(batch_loss, f"{where}, batch {number}")
            if must_be_finite and not math.isfinite(value):
                raise FloatingPointError(f"{where}, batch {number}: the loss became {value}. {NOT_FINITE}")
            if optimizer is not None:
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
            means.add(value, outputs, targets, summed=summed)
    if not means.examples:
        raise ValueError(f"{where}: {NO_BATCHES}")
    return means


def inputs_and_targets(batch: Any, where: str) -> tuple[Any, Any]:
    """The two parts of a batch."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"{where}: a batch must be a pair (inputs, targets), got {type(batch).__name__}")
    if not np.shape(plain(batch[1])) or not len(batch[1]):
        raise ValueError(f"{where}: targets of shape {np.shape(plain(batch[1]))} hold no examples")
    return batch[0], batch[1]


def check_class(name: str, value: object, kind: type, optional: bool = False) -> None:
    """Raises if the value is not of the class, with a hint if it is the class itself; None may be allowed."""
    if not isinstance(value, kind) and not (optional and value is None):
        hint = f"; write {value.__name__}(...)" if isinstance(value, type) and issubclass(value, kind) else ""
        raise TypeError(f"{name} must be of the class {kind.__name__}, got {value!r:.80}{hint}")


def check_iterable(name: str, batches: object) -> None:
    """Raises if there are no batches to iterate over, only the inputs for example."""
    if isinstance(batches, np.ndarray) or is_tensor(batches):
        made = "batches of pairs are made with DataLoader(inputs, targets), one batch is [(inputs, targets)]"
        raise TypeError(f"{name} is of type {type(batches).__name__}: inputs without their targets; {made}")
    if not isinstance(batches, Iterable):
        raise TypeError(f"{name} is of type {type(batches).__name__}: it gives no batches; use a DataLoader or a list")


def check_loss(owner: str, loss: object) -> None:
    """Raises if the loss is not a function, or is a class."""
    if not callable(loss) or isinstance(loss, type):
        hint = f"write {loss.__name__}()" if isinstance(loss, type) else "for example nn.CrossEntropyLoss()"
        raise TypeError(f"{owner}: loss must be a function of (outputs, targets), got {loss!r:.80}; {hint}")


@contextmanager
def keep_modes(model: Module) -> Iterator[None]:
    """Context manager: afterwards every module is in training or evaluation mode as before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
