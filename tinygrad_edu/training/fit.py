"""`fit`: the loop that all of deep learning shares, with what one wants around it.

In its middle stand the five lines forward, loss, zero_grad, backward, step: `one_pass` in epoch.py.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

from tinygrad_edu.arguments import answering_for, others_by_name
from tinygrad_edu.checks import check_bool, check_int
from tinygrad_edu.files import say
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer, ReduceLROnPlateau, Scheduler
from tinygrad_edu.random import generators_in
from tinygrad_edu.training.checkpoint import Checkpoint
from tinygrad_edu.training.early_stopping import EarlyStopping
from tinygrad_edu.training.epoch import (
    Batches,
    Criterion,
    check_class,
    check_iterable,
    check_loss,
    keep_modes,
    one_pass,
    progress_bar,
    step_scheduler,
)
from tinygrad_edu.training.history import History, Record, format_value
from tinygrad_edu.training.parallel import DataParallel
from tinygrad_edu.training.shares import check_parallel, check_shares

__all__ = ["fit"]

# Attributes of schedulers that are not hyperparameters: the training itself changes them
PROGRESS = {
    "optimizer", "then", "schedulers", "lr_lambdas", "last_epoch", "epoch", "best", "num_bad_epochs",
    "cooldown_counter",
}  # fmt: skip


@answering_for
@others_by_name
def fit(
    model: Module,
    train: Batches,
    *,
    optimizer: Optimizer,
    loss: Criterion,
    epochs: int,
    validation: Batches | None = None,
    scheduler: Scheduler | None = None,
    early_stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    callbacks: Iterable[Callable[[Record], object]] = (),
    progress: bool = True,
    parallel: DataParallel | None = None,
) -> History:
    """Trains a model, in place, and returns what was measured.

    Training loss and accuracy are means over an epoch in which the model improves, so validation looks better first.
    If early stopping keeps the best weights, the model has these at the end. Each epoch puts the whole model into
    training mode, also modules that were set to eval() before: the statistics of a frozen BatchNorm go on moving.

    With a checkpoint everything that the training needs is saved after each epoch; if the file is there already,
    training goes on after the epoch that it holds, and the result is the same to the bit as without the interruption.
    For that, random numbers must come from generators that are saved: the library's, and those of the model and of the
    loaders with their transforms, as far as tinygrad_edu.random.generators_in finds them. Settings of the optimizer and
    the scheduler are those of the file; where the arguments have others, a line names them.

    Args:
        model: Takes a batch's inputs; it is validated in evaluation mode, and afterwards in the mode it had.
        train: A DataLoader, a list, or anything that can be iterated over once an epoch. It gives pairs (inputs,
            targets), both with a first axis of examples.
        optimizer: Holds the model's parameters.
        loss: A function of (outputs, targets) that returns the mean over the batch as a Tensor of shape (). Losses of
            `nn` with the reduction "sum" are understood too.
        epochs: How many there are in all, those of the checkpoint included.
        validation: As `train`; no gradient is computed there.
        scheduler: Steps once an epoch; ReduceLROnPlateau watches its `monitor`, a name of the record below; without one
            the validation loss or, without validation, the training loss.
        early_stopping: Watches its own `monitor` in the same way. It starts anew, unless the training is resumed.
        checkpoint: A Checkpoint, or the path of one.
        callbacks: Functions that are called after each epoch, the last thing in it, with a copy of its record: a Film,
            or lambda record: print(record["train_loss"]).
        progress: Whether to print a line for each epoch; with tqdm there is a bar too, on a terminal
            or in a notebook.
        parallel: The processes of mpiexec that share the batches: all return what was measured over all ranks, and rank
            0 alone prints, saves the checkpoint and calls the callbacks. The checkpoint resumes on any number of ranks.

    Returns:
        A record for each epoch: `epoch` from 1; `train_loss`, `val_loss`: means over the examples or, with class
        weights, of the batches' weighted means, each counted by its number of examples; `train_accuracy`,
        `val_accuracy` from 0 to 1, where outputs are scores of shape (..., classes) and targets integer labels of shape
        (...); `lr`, the learning rate of the epoch (of the first group); `seconds`.

    Raises:
        TypeError: An argument of the wrong kind, batches that are not pairs, or an iterator that one epoch uses up.
        ValueError: Arguments or a checkpoint that do not fit, no batches, or a loss that is not a single number.
        FloatingPointError: The loss became NaN or infinite.
        RuntimeError: The ranks of `parallel` no longer do the same, or their weights differ.
    """
    if isinstance(checkpoint, (str, os.PathLike)):
        checkpoint = Checkpoint(checkpoint)
    check_class("fit: model", model, Module)
    check_class("fit: optimizer", optimizer, Optimizer)
    check_class("fit: scheduler", scheduler, Scheduler, optional=True)
    check_class("fit: early_stopping", early_stopping, EarlyStopping, optional=True)
    check_class("fit: checkpoint", checkpoint, Checkpoint, optional=True)
    check_loss("fit", loss)
    check_batches("train", train)
    if validation is not None:
        check_batches("validation", validation)
    check_together(model, optimizer, scheduler)
    ranks = check_parallel("fit", parallel, model)
    for name, batches in (("fit: train", train), ("fit: validation", validation)):
        if batches is not None:
            check_shares(name, batches, ranks)
    epochs = check_int("fit: epochs", epochs, 0)
    callbacks = check_callbacks(callbacks)
    progress = check_bool("fit: progress", progress)
    first = ranks is None or ranks.rank == 0
    progress = progress and first
    for watcher in (scheduler, early_stopping):
        watched_name(watcher, validation is not None)

    history, done = History(), 0
    state: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "history": history}
    state |= {"early_stopping": early_stopping, "generators": generators_in({"train": train, "validation": validation})}
    if checkpoint is not None and (checkpoint.exists() if ranks is None else ranks.ask_rank_0(checkpoint.exists())):
        done = resume(checkpoint, state, progress)
    elif early_stopping is not None:
        early_stopping.reset()
    with keep_modes(model):
        for epoch in range(done + 1, epochs + 1):
            if early_stopping is not None and early_stopping.stopped:
                break
            start, lr = time.perf_counter(), optimizer.lr
            if ranks is not None:
                ranks.start_epoch(train, validation)
            model.train()
            with shown(train, f"epoch {epoch}, training", progress) as batches:
                means = one_pass(model, batches, loss, f"fit, epoch {epoch}, training", optimizer, ranks=ranks)
            record = {"epoch": epoch, **means.record("train")}
            if validation is not None:
                model.eval()
                with shown(validation, f"epoch {epoch}, validation", progress) as batches:
                    means = one_pass(model, batches, loss, f"fit, epoch {epoch}, validation", ranks=ranks)
                record |= means.record("val")
            record |= {"lr": lr, "seconds": time.perf_counter() - start}
            history.append(record if ranks is None else ranks.ask_rank_0(record))
            step_scheduler(scheduler, watched_value(scheduler, history[-1]))
            if early_stopping is not None:
                early_stopping.step(watched_value(early_stopping, history[-1]), model)
            if checkpoint is not None and first:
                checkpoint.save(**state, epoch=epoch)
            if progress:
                print_record(history[-1], header=epoch == done + 1)
            for callback in callbacks if first else ():
                callback(dict(history[-1]))
    if early_stopping is not None and early_stopping.best_state is not None:
        early_stopping.restore(model)
    return history


def watched_name(watcher: object, validation: bool) -> str:
    """The name of what ReduceLROnPlateau or early stopping watches, if it can be; other schedules do not look at it."""
    default = "val_loss" if validation else "train_loss"
    if not isinstance(watcher, (EarlyStopping, ReduceLROnPlateau)):
        return default
    name, owner = watcher.monitor or default, f"fit: {type(watcher).__name__}"
    if watcher.monitor is None and watcher.mode == "max":
        raise ValueError(
            f'{owner} has mode="max", but no monitor, and would watch {name}, of which less is better; an accuracy is '
            f'watched with monitor="{name.replace("loss", "accuracy")}"'
        )
    if name.startswith("val") and not validation:
        raise ValueError(
            f"{owner} is to watch {name}, but there is no validation; pass validation=..., or take "
            f'monitor="{name.replace("val", "train")}"'
        )
    return name


def watched_value(watcher: object, record: Record) -> float:
    """What ReduceLROnPlateau or early stopping watches, of the record of an epoch."""
    name = watched_name(watcher, "val_loss" in record)
    if name not in record:
        raise ValueError(
            f"fit: {type(watcher).__name__} is to watch {name}, but there is none: that takes outputs of shape "
            f"(..., classes) and integer labels of shape (...); measured are {', '.join(record)}"
        )
    return record[name]


def shown(batches: Batches, text: str, progress: bool) -> AbstractContextManager[Batches]:
    """A context manager that gives the batches, under a bar if one is wanted, which is gone afterwards."""
    return closing(progress_bar(batches, text)) if progress else nullcontext(batches)


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
    given = named_settings(state["optimizer"], state["scheduler"])
    done = checkpoint.load(**state)
    if progress:
        say(f"fit: going on after epoch {done} of {checkpoint.path}")
        kept = named_settings(state["optimizer"], state["scheduler"])
        changed = [f"{k} {v}, not {given[k]}" for k, v in kept.items() if repr(v) != repr(given[k])]
        if changed:
            say(
                f"fit: going on with the file's {'; '.join(changed)}. To begin anew, delete the file; to change it, "
                "load the model and the optimizer with Checkpoint(path).load, set it, and fit with another file"
            )
    return done


def named_settings(optimizer: Optimizer, scheduler: Scheduler | None) -> dict[str, object]:
    """Those of both by name, without what the training itself changes: a schedule's rates and counts."""
    schedulers: list[Scheduler] = [] if scheduler is None else [scheduler]
    for one in schedulers:  # which grows meanwhile
        inner = [getattr(one, "then", None), *getattr(one, "schedulers", [])]
        schedulers += [after for after in inner if after is not None]
    changing = {"lr"} if schedulers else set()
    if any(getattr(one, "cycle_momentum", False) for one in schedulers):
        changing |= {"momentum", "betas"}
    found: dict[str, object] = {}
    for i, group in enumerate(optimizer.param_groups):
        where = f" of param_groups[{i}]" if len(optimizer.param_groups) > 1 else ""
        names = group.keys() - {"params", *changing}
        found |= {f"{name}{where}": group[name] for name in sorted(names)}
    for one in schedulers:
        names = vars(one).keys() - PROGRESS
        found |= {f"{type(one).__name__}.{name}": vars(one)[name] for name in sorted(names)}
    return found


def check_batches(name: str, batches: object) -> None:
    """Raises unless one can iterate over the batches once an epoch."""
    check_iterable(f"fit: {name}", batches)
    if isinstance(batches, Iterator):
        why = "an iterator is used up after one epoch; use a DataLoader or a list"
        raise TypeError(f"fit: {name} is of type {type(batches).__name__}: {why}")


def check_callbacks(callbacks: object) -> list[Callable[[Record], object]]:
    """The callbacks as a list, if they are functions."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks is {callbacks!r:.80}; give a list of functions of an epoch's record: [film]")
    found = list(callbacks)
    for callback in found:
        if not callable(callback) or isinstance(callback, type):
            hint = f"write {callback.__name__}(...)" if isinstance(callback, type) else "such as print"
            raise TypeError(f"fit: callbacks holds {callback!r:.80}; each is a function of an epoch's record; {hint}")
    return found


def check_together(model: Module, optimizer: Optimizer, scheduler: Scheduler | None) -> None:
    """Raises if the three do not belong together."""
    own, held = {id(p) for p in model.parameters()}, {id(p) for p in optimizer.params}
    if not own & held:
        raise ValueError("fit: the optimizer holds none of the model's parameters, so nothing would be learnt")
    strays = [(p.name, p.shape) for p in optimizer.params if id(p) not in own]
    for path, p in model.named_parameters():
        if p.requires_grad and id(p) not in held and (p.name, p.shape) in strays:
            raise ValueError(
                f"fit: the optimizer does not hold {path}, but something of the same name and shape that is not the "
                "model's: the parameter was replaced after the optimizer was made; make the optimizer last"
            )
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError("fit: the scheduler belongs to another optimizer, so the learning rate would stay as it is")


def print_record(record: Record, header: bool) -> None:
    """Prints a line of a table with a column for each name, below a header if asked."""
    cells = [format_value(name, value).rjust(max(len(name), 8)) for name, value in record.items()]
    if header:
        say("  ".join([name.rjust(8) for name in record]))
    say("  ".join(cells))
