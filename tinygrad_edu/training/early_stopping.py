"""EarlyStopping: ends the training when a loss or an accuracy no longer improves, and keeps the best weights.

The hard idea is that the best weights are gone by the time one knows that they were the best. Parameters are updated
in place, so a reference follows them:

    best = dict(model.named_parameters())       # what the model will be, not what it is
    best = model.state_dict()                   # copies, buffers included
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal

import numpy as np

from tinygrad_edu.arguments import Named, others_by_name
from tinygrad_edu.checks import check_bool, check_int, check_number, check_positive_int
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim.schedulers import Monitor, check_monitor, watched_number
from tinygrad_edu.training.epoch import check_class

__all__ = ["EarlyStopping"]

COUNTS = ("best_epoch", "epoch", "bad_epochs")


class EarlyStopping(metaclass=Named):
    """Counts the epochs without an improvement and says when to stop (Prechelt 1998).

    Args:
        patience: Epochs in a row without an improvement after which to stop; 1 stops at the first, as in Goodfellow,
            Bengio and Courville 2016, algorithm 7.1, and in Keras.
        min_delta: An improvement must be larger than this, which is at least 0.
        monitor: What `fit` is to pass to step: "train_loss", "val_loss", "train_accuracy" or "val_accuracy"; if None,
            the validation loss or, without validation, the training loss.
        mode: "min" if less is better, as for losses, "max" if more is, as for accuracies; by default "max" if `monitor`
            is an accuracy, else "min". Another mode than that of `monitor` is refused.
        restore_best: Whether `step(value, model)` keeps a copy of the model's state at each improvement.

    Attributes:
        best: The best value so far; before the first, infinity or, with mode "max", minus infinity.
        best_epoch: The number of the step that brought it, from 1; 0 before the first.
        epoch: How many steps there were.
        bad_epochs: How many steps there were since the last improvement.
        best_state: The model's state_dict() after the best step, or None.

    Raises:
        TypeError: `min_delta` is not a number, or `restore_best` neither True nor False.
        ValueError: `patience` below 1, a negative `min_delta`, an unknown monitor, or a mode that does not fit it.

    Example:
        stopping = EarlyStopping(patience=3)
        for epoch in range(100):
            ...
            if stopping.step(val_loss, model):
                break
        stopping.restore(model)
    """

    @others_by_name
    def __init__(
        self,
        patience: int = 5,
        min_delta: float = 0.0,
        *,
        monitor: Monitor | None = None,
        mode: Literal["min", "max"] | None = None,
        restore_best: bool = True,
    ) -> None:
        self.patience = check_positive_int("EarlyStopping: patience", patience)
        self.min_delta = check_number("EarlyStopping: min_delta", min_delta, at_least=0, wrong_type=TypeError)
        self.monitor, self.mode = monitor, check_monitor("EarlyStopping", monitor, mode)
        self.restore_best = check_bool("EarlyStopping: restore_best", restore_best)
        self.reset()

    def reset(self) -> None:
        """Forgets everything, for a new training."""
        self.best = math.inf if self.mode == "min" else -math.inf
        self.best_epoch = self.epoch = self.bad_epochs = 0
        self.best_state: dict[str, np.ndarray] | None = None

    @property
    def stopped(self) -> bool:
        """Whether patience has run out."""
        return self.bad_epochs >= self.patience

    def step(self, value: float, model: Module | None = None) -> bool:
        """Takes an epoch's value into account.

        Args:
            value: What to watch, such as the validation loss. NaN is never an improvement, nor is the worst infinity.
            model: Its state is kept if the value is an improvement and `restore_best` is set.

        Returns:
            True if training should stop.

        Raises:
            TypeError: The value is not a number, nor an array or Tensor of shape (); or the model not a Module.
        """
        value = watched_number("EarlyStopping.step: value", value)
        check_class("EarlyStopping.step: model", model, Module, optional=True)
        self.epoch += 1
        self.bad_epochs += 1
        improvement = self.best - value if self.mode == "min" else value - self.best
        if improvement > self.min_delta:
            self.best, self.best_epoch, self.bad_epochs = value, self.epoch, 0
            if model is not None and self.restore_best:
                self.best_state = model.state_dict()
        return self.stopped

    def restore(self, model: Module) -> None:
        """Brings the best state back into the model.

        Raises:
            RuntimeError: None was kept.
            TypeError: The model is not a Module.
        """
        check_class("EarlyStopping.restore: model", model, Module)
        if self.best_state is None:
            why = "no value was better than infinity" if self.restore_best else "restore_best is False"
            raise RuntimeError(f"EarlyStopping.restore: no state was kept: step(value, model) got no model, or {why}")
        model.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the arguments, as numbers, a string and copies of arrays."""
        state = {name: getattr(self, name) for name in ("monitor", "mode", "best", *COUNTS)}
        return state | {"best_state": deepcopy(self.best_state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what state_dict() returned; `patience` and the other arguments stay.

        Raises:
            ValueError: Missing or unexpected keys, the state of another monitor or mode, or numbers that cannot be;
                nothing is loaded then.
        """
        where = "EarlyStopping.load_state_dict"
        if not isinstance(state, Mapping):
            raise ValueError(f"{where}: the state is a {type(state).__name__}; it must be what state_dict() returned")
        state = {"monitor": None, **state}  # which older files lack
        if state.keys() != self.state_dict().keys():
            expected = ", ".join(self.state_dict())
            raise ValueError(f"{where}: the state has {', '.join(map(str, state))}; it needs {expected}")
        for name in ("monitor", "mode"):
            saved, own = state[name], getattr(self, name)
            if not isinstance(saved, (str, type(None))) or saved != own:
                raise ValueError(f"{where}: the state has {name} {saved!r:.60}, this {own!r}")
        counts = {name: check_int(f"{where}: {name}", state[name], 0) for name in COUNTS}
        best, kept = check_number(f"{where}: best", state["best"], finite=False), state["best_state"]
        if kept is not None and not isinstance(kept, Mapping):
            raise ValueError(f"{where}: best_state is a {type(kept).__name__}; it must be a dict of arrays, or None")
        self.best = best
        vars(self).update(counts)
        self.best_state = deepcopy(state["best_state"])
