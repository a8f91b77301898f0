"""`fit`: the loop that all of deep learning shares, with what one wants around it.

In its middle stand the five lines forward, loss, zero_grad, backward, step. Around them: training and evaluation mode,
means over an epoch, a schedule of the learning rate, early stopping, checkpoints, and a line for each epoch.

The hard idea is the mean over an epoch. The last batch is often shorter, and a mean of means counts its examples more:

    np.mean([loss(model(x), y).item() for x, y in batches])     # 9 examples in batches of 8: one has half of the weight

So each batch's mean is multiplied by its number of examples, and the sum divided by the number of all. That is right
for losses whose mean counts all examples alike. With class weights no number of examples makes up for what a batch was
divided by, the sum of its weights, so the figure depends on how the batches were cut, as it does in PyTorch's loops.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from tinygrad_edu.engine import no_grad, plain
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer, ReduceLROnPlateau, Scheduler
from tinygrad_edu.optim.finder import loss_value
from tinygrad_edu.random import generators_in
from tinygrad_edu.training.checkpoint import Checkpoint
from tinygrad_edu.training.early_stopping import EarlyStopping
from tinygrad_edu.training.history import History, Record

Batches = Iterable[Any]  # of pairs (inputs, targets)

# Attributes of schedulers that are no settings
PROGRESS = {"optimizer", "then", "last_epoch", "best", "num_bad_epochs", "cooldown_counter"}


def fit(
    model: Module,
    train: Batches,
    *,
    optimizer: Optimizer,
    loss: Callable[[Any, Any], Any],
    epochs: int,
    validation: Batches | None = None,
    scheduler: Scheduler | None = None,
    early_stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Trains a model, in place, and returns what was measured.

    Training loss and accuracy are means over an epoch in which the model improves, so validation looks better first.
    If early stopping keeps the best weights, the model has these at the end. Each epoch puts the whole model into
    training mode, also modules that were set to eval() before: the statistics of a frozen BatchNorm go on moving.

    With a checkpoint everything that the training needs is saved after each epoch; if the file is there already,
    training goes on after the epoch that it holds, and the result is the same to the bit as without the interruption.
    For that, random numbers must come from generators that are saved: the library's, and those of the model and of the
    loaders with their transforms, as far as random.generators_in finds them. Settings of the optimizer and the
    scheduler are those of the file; where the arguments have others, a line names them. Training goes on from the last
    weights, but `Checkpoint(path).load(model=model)` gives the best, if early stopping kept them, as fit does.

    Args:
        model: Takes a batch's inputs; in training mode while it trains, in evaluation mode while it is validated, and
            afterwards in the mode it had.
        train: A DataLoader, a list, or whatever can be iterated over once an epoch and gives pairs (inputs, targets);
            both have a first axis of examples.
        optimizer: Holds the model's parameters.
        loss: A function of (outputs, targets) that returns the mean over the batch as a Tensor of shape (). Losses of
            `nn` with the reduction "sum" are understood too.
        epochs: How many there are in all, those of the checkpoint included.
        validation: As `train`; no gradient is computed there.
        scheduler: Steps once an epoch; ReduceLROnPlateau watches the validation loss or, without, the training loss.
        early_stopping: Watches the same loss. It starts anew, unless the training is resumed.
        checkpoint: A Checkpoint, or the path of one.
        progress: Whether to print a line for each epoch, and to show a bar if tqdm is installed and stderr is a
            terminal.

    Returns:
        A record for each epoch: `epoch` from 1; `train_loss`, `val_loss`: means over the examples or, with class
        weights, of the batches' weighted means, each counted by its number of examples; `train_accuracy`,
        `val_accuracy` from 0 to 1, where outputs are scores of shape (..., classes) and targets integer labels of shape
        (...); `lr`, the learning rate of the epoch (of the first group); `seconds`.

    Raises:
        TypeError: An argument of the wrong kind, batches that are no pairs, or an iterator that one epoch uses up.
        ValueError: Arguments that do not belong together, no batches, a loss that is not a single number, or a
            checkpoint of another kind of training.
        FloatingPointError: The loss became NaN or infinite.
    """
    if isinstance(checkpoint, (str, os.PathLike)):
        checkpoint = Checkpoint(checkpoint)
    check(model, train, optimizer, loss, epochs, validation, scheduler, early_stopping, checkpoint)
    history, done = History(), 0
    state: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "history": history}
    state |= {"early_stopping": early_stopping, "generators": generators_in({"train": train, "validation": validation})}
    if checkpoint is not None and checkpoint.exists():
        done = resume(checkpoint, state, progress)
    elif early_stopping is not None:
        early_stopping.reset()
    with same_mode(model):
        for epoch in range(done + 1, epochs + 1):
            if early_stopping is not None and early_stopping.stopped:
                break
            start, lr = time.perf_counter(), optimizer.lr
            model.train()
            measured = run(model, train, loss, f"epoch {epoch}, training", progress, optimizer)
            record = {"epoch": epoch, **{f"train_{name}": value for name, value in measured.items()}}
            if validation is not None:
                model.eval()
                measured = run(model, validation, loss, f"epoch {epoch}, validation", progress)
                record |= {f"val_{name}": value for name, value in measured.items()}
            history.append({**record, "lr": lr, "seconds": time.perf_counter() - start})
            watched = measured["loss"]  # of the validation, if there is one
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(watched)
            elif scheduler is not None:
                scheduler.step()
            if early_stopping is not None:
                early_stopping.step(watched, model)
            if checkpoint is not None:
                checkpoint.save(**state, epoch=epoch)
            if progress:
                print_record(history[-1], header=epoch == done + 1)
    if early_stopping is not None and early_stopping.best_state is not None:
        early_stopping.restore(model)
    return history


def resume(checkpoint: Checkpoint, state: dict[str, Any], progress: bool) -> int:
    """Loads the checkpoint, says where its settings differ from the arguments', and returns the number of epochs."""
    saved = checkpoint._content()[1]
    for name in ("scheduler", "early_stopping"):
        if (name in saved) != (state[name] is not None):
            was, now = ("with", "without") if name in saved else ("without", "with")
            raise ValueError(
                f"fit: the training in {checkpoint.path} was begun {was} {name} and cannot go on {now} it, as then the "
                "result would depend on where it was stopped. Call fit as before, or begin anew with another file"
            )
    given = settings(state["optimizer"], state["scheduler"])
    done = checkpoint.load(**state)
    if progress:
        print(f"fit: going on after epoch {done} of {checkpoint.path}")
        kept = settings(state["optimizer"], state["scheduler"])
        changed = [f"{k} {v}, not {given[k]}" for k, v in kept.items() if repr(v) != repr(given[k])]
        if changed:
            print(
                f"fit: going on with the file's {'; '.join(changed)}. To begin anew, delete the file; to change it, "
                "load the model and the optimizer with Checkpoint(path).load, set it, and fit with another file"
            )
    return done


def settings(optimizer: Optimizer, scheduler: Any) -> dict[str, Any]:
    """The hyperparameters by name, without what the training itself changes: a schedule's rates and counts."""
    found: dict[str, Any] = {}
    for i, group in enumerate(optimizer.param_groups):
        where = f" of param_groups[{i}]" if len(optimizer.param_groups) > 1 else ""
        names = group.keys() - ({"params"} if scheduler is None else {"params", "lr"})
        found |= {f"{name}{where}": group[name] for name in sorted(names)}
    while scheduler is not None:
        names = vars(scheduler).keys() - PROGRESS
        found |= {f"{type(scheduler).__name__}.{name}": vars(scheduler)[name] for name in sorted(names)}
        scheduler = getattr(scheduler, "then", None)
    return found


def run(
    model: Module,
    batches: Batches,
    loss: Callable[[Any, Any], Any],
    where: str,
    progress: bool,
    optimizer: Optimizer | None = None,
) -> Record:
    """One pass over the batches, with steps if there is an optimizer; means of loss and, if there is one, accuracy."""
    loss_sum, examples, correct, labels = 0.0, 0, 0, 0
    per_example = getattr(loss, "reduction", "mean") != "sum"
    with bar(batches, where, progress) as shown, nullcontext() if optimizer is not None else no_grad():
        for number, batch in enumerate(shown, 1):
            inputs, targets = pair(batch, f"{where}, batch {number}")
            outputs = model(inputs)
            batch_loss = loss(outputs, targets)
            value = finite(batch_loss, f"{where}, batch {number}")
            if optimizer is not None:
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
            examples += len(targets)
            loss_sum += value * len(targets) if per_example else value
            right = decisions(outputs, targets)
            correct, labels = correct + int(right.sum()), labels + right.size
    if not examples:
        raise ValueError(f"fit, {where}: there are no batches; is the data set empty?")
    means = {"loss": loss_sum / examples}
    return means | {"accuracy": correct / labels} if labels else means


def decisions(outputs: Any, targets: Any) -> Any:
    """For each integer label whether the largest score is its own; empty if these are no scores and labels."""
    scores, labels = plain(outputs), np.asarray(plain(targets))
    shape: tuple[int, ...] = getattr(scores, "shape", ())
    if labels.dtype.kind not in "iu" or shape[:-1] != labels.shape or len(shape) <= labels.ndim or shape[-1] < 2:
        return np.empty(0, bool)
    return scores.argmax(axis=-1) == labels


def pair(batch: Any, where: str) -> tuple[Any, Any]:
    """Inputs and targets of a batch."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"fit, {where}: a batch must be a pair (inputs, targets), got {type(batch).__name__}")
    if not np.shape(plain(batch[1])) or not len(batch[1]):
        raise ValueError(f"fit, {where}: targets of shape {np.shape(plain(batch[1]))} hold no examples")
    return batch[0], batch[1]


def finite(loss: Any, where: str) -> float:
    """The value of a batch's loss."""
    value = loss_value(loss, f"fit, {where}")
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit, {where}: the loss became {value}. Often the steps are too long: try a learning rate ten times "
            "smaller, or optim.clip_grad_norm_; see whether the inputs are finite and about of size 1; "
            "detect_anomaly() names the first op that makes a NaN or an infinity"
        )
    return value


def check(
    model: Any,
    train: Any,
    optimizer: Any,
    loss: Any,
    epochs: Any,
    validation: Any,
    scheduler: Any,
    early_stopping: Any,
    checkpoint: Any,
) -> None:
    """Raises if the arguments of fit cannot work together."""
    kinds = [("model", model, Module), ("optimizer", optimizer, Optimizer)]
    kinds += [("scheduler", scheduler, Scheduler), ("early_stopping", early_stopping, EarlyStopping)]
    kinds += [("checkpoint", checkpoint, Checkpoint)]
    for name, value, kind in kinds:
        if not isinstance(value, kind) and (value is not None or kind in (Module, Optimizer)):
            hint = f"; write {value.__name__}(...)" if isinstance(value, type) and issubclass(value, kind) else ""
            raise TypeError(f"fit: {name} must be of the class {kind.__name__}, got {value!r:.80}{hint}")
    if not callable(loss) or isinstance(loss, type):
        hint = f"write {loss.__name__}()" if isinstance(loss, type) else "for example nn.CrossEntropyLoss()"
        raise TypeError(f"fit: loss must be a function of (outputs, targets), got {loss!r:.80}; {hint}")
    if not isinstance(epochs, (int, np.integer)) or isinstance(epochs, bool) or epochs < 0:
        raise ValueError(f"fit: epochs must be an integer of at least 0, got {epochs!r}")
    for name, batches in (("train", train), ("validation", validation)):
        if batches is None and name == "validation":
            continue
        if isinstance(batches, Iterator) or not isinstance(batches, Iterable):
            why = "an iterator is used up after one epoch" if isinstance(batches, Iterator) else "it gives no batches"
            raise TypeError(f"fit: {name} is of type {type(batches).__name__}: {why}; use a DataLoader or a list")
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for p in optimizer.params):
        raise ValueError("fit: the optimizer holds none of the model's parameters, so nothing would be learnt")
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError("fit: the scheduler belongs to another optimizer, so the learning rate would stay as it is")


@contextmanager
def same_mode(model: Module) -> Iterator[None]:
    """Context manager: afterwards every module is in training or evaluation mode as before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def bar(batches: Batches, text: str, progress: bool) -> Any:
    """A context manager that gives the batches: under a bar if one is wanted and possible."""
    if progress and sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            return nullcontext(batches)
        return tqdm(batches, desc=text, leave=False)
    return nullcontext(batches)


def print_record(record: Record, header: bool) -> None:
    """Prints a line of a table with a column for each name, below a header if asked."""
    formats = {"epoch": "d", "lr": ".3g", "seconds": ".2f"}
    cells = []
    for name, value in record.items():
        cell = format(value, formats.get(name, ".2%" if name.endswith("accuracy") else ".4g"))
        cells.append((name, cell, max(len(name), 8)))
    if header:
        print("  ".join([f"{name:>{width}}" for name, _, width in cells]))
    print("  ".join([f"{cell:>{width}}" for _, cell, width in cells]), flush=True)
