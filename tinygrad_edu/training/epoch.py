"""The parts of an epoch: a pass over the batches, a progress bar, and the evaluation of a model.

`fit` is made of them, and so is a training loop that you write yourself, such as that of demos/mnist.py.
"""

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arrays import home
from tinygrad_edu.engine import no_grad, plain
from tinygrad_edu.files import on_terminal
from tinygrad_edu.nn.module import Module
from tinygrad_edu.notebooks import notebook_shell
from tinygrad_edu.optim import Optimizer, ReduceLROnPlateau, Scheduler
from tinygrad_edu.optim.finder import loss_value
from tinygrad_edu.training.bars import notebook_bar
from tinygrad_edu.training.batches import (
    NO_BATCHES,
    NOT_FINITE,
    Batches,
    Criterion,
    check_class,
    check_iterable,
    check_loss,
    inputs_and_targets,
)
from tinygrad_edu.training.means import RunningMeans
from tinygrad_edu.training.parallel import DataParallel
from tinygrad_edu.training.shares import check_parallel, check_shares, shared_outputs, shared_pass

__all__ = [
    "Batches", "Criterion", "RunningMeans", "check_class", "check_iterable", "check_loss", "evaluate", "keep_modes",
    "one_pass", "predict", "progress_bar", "step_scheduler",
]  # fmt: skip

T = TypeVar("T")


def evaluate(model: Module, batches: Batches, loss: Criterion, *, parallel: DataParallel | None = None) -> RunningMeans:
    """Measures a model on batches, in evaluation mode and without gradients.

    Afterwards its modules are in the modes they had. A loss of NaN or infinity is a mean like any other.

    Args:
        model: Takes a batch's inputs.
        batches: Pairs (inputs, targets), both with a first axis of examples.
        loss: Returns the mean over a batch as a Tensor of shape (); losses of `nn` with the reduction "sum" will do.
        parallel: The ranks that share the batches, each with a loader of its shard; all get the means of all.

    Raises:
        TypeError, ValueError: As for fit: batches or a loss that cannot be used.
    """
    check_class("evaluate: model", model, Module)
    check_iterable("evaluate: batches", batches)
    check_loss("evaluate", loss)
    ranks = check_parallel("evaluate", parallel, model)
    if ranks is not None:
        check_shares("evaluate: batches", batches, ranks)
        ranks.agree()
    with keep_modes(model):
        model.eval()
        return one_pass(model, batches, loss, "evaluate", must_be_finite=False, ranks=ranks)


def predict(model: Module, batches: Batches, *, parallel: DataParallel | None = None) -> NDArray[Any]:
    """The outputs for all inputs, in evaluation mode and without gradients.

    Args:
        model: Takes a batch's inputs.
        batches: Pairs (inputs, targets); the targets are not looked at.
        parallel: As for evaluate; all ranks get all outputs, in the order of one process.

    Returns:
        Array of shape (n, ...), n being the number of all examples.

    Raises:
        TypeError, ValueError: As for evaluate.
    """
    check_class("predict: model", model, Module)
    check_iterable("predict: batches", batches)
    ranks = check_parallel("predict", parallel, model)
    if ranks is not None:
        check_shares("predict: batches", batches, ranks)
        ranks.agree()
    with keep_modes(model), no_grad():
        model.eval()
        outputs = outputs_of(model, batches) if ranks is None else shared_outputs(model, batches, ranks)
    if not outputs:
        raise ValueError(f"predict: {NO_BATCHES}")
    return np.concatenate(outputs)


def outputs_of(model: Module, batches: Batches) -> list[NDArray[Any]]:
    """The outputs of each batch."""
    pairs = (inputs_and_targets(batch, f"predict, batch {number}") for number, batch in enumerate(batches, 1))
    return [home(plain(model(inputs))) for inputs, _ in pairs]


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
    ranks: DataParallel | None = None,
) -> RunningMeans:
    """The means over all batches, with a step after each if there is an optimizer, else without gradients."""
    if ranks is not None:
        return shared_pass(model, batches, loss, where, ranks, optimizer, must_be_finite)
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


@contextmanager
def keep_modes(model: Module) -> Iterator[None]:
    """Context manager: afterwards every module is in training or evaluation mode as before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
