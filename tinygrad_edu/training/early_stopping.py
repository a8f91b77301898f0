"""EarlyStopping: ends the training when the validation loss no longer improves, and keeps the best weights.

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

from tinygrad_edu.checks import check_choice, check_number, check_positive_int
from tinygrad_edu.nn.module import Module

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Counts the epochs without an improvement and says when to stop (Prechelt 1998).

    Args:
        patience: Epochs in a row without an improvement after which to stop; 1 stops at the first, as in Goodfellow,
            Bengio and Courville 2016, algorithm 7.1, and in Keras.
        min_delta: An improvement must be larger than this, which is at least 0.
        mode: "min" if less is better, as for losses, "max" if more is, as for accuracies.
        restore_best: Whether `step(value, model)` keeps a copy of the model's state at each improvement.

    Attributes:
        best: The best value so far; before the first, infinity or, with mode "max", minus infinity.
        best_epoch: The number of the step that brought it, from 1; 0 before the first.
        epoch: How many steps there were.
        bad_epochs: How many steps there were since the last improvement.
        best_state: The model's state_dict() after the best step, or None.

    Raises:
        ValueError: `patience` below 1, a negative `min_delta`, or another mode.

    Example:
        stopping = EarlyStopping(patience=3)
        for epoch in range(100):
            ...
            if stopping.step(val_loss, model):
                break
        stopping.restore(model)
    """

    def __init__(
        self,
        patience: int = 5,
        min_delta: float = 0.0,
        *,
        mode: Literal["min", "max"] = "min",
        restore_best: bool = True,
    ) -> None:
        self.patience = check_positive_int("EarlyStopping: patience", patience)
        self.min_delta = check_number("EarlyStopping: min_delta", min_delta, at_least=0, wrong_type=TypeError)
        self.mode = check_choice("EarlyStopping: mode", mode, ("min", "max"))
        self.restore_best = restore_best
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
        """
        value = float(value)
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
        """
        if self.best_state is None:
            why = "no value was better than infinity" if self.restore_best else "restore_best is False"
            raise RuntimeError(f"EarlyStopping.restore: no state was kept: step(value, model) got no model, or {why}")
        model.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the arguments, as numbers, a string and copies of arrays."""
        state = {name: getattr(self, name) for name in ("mode", "best", "best_epoch", "epoch", "bad_epochs")}
        return state | {"best_state": deepcopy(self.best_state)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what state_dict() returned; `patience` and the other arguments stay.

        Raises:
            ValueError: Missing or unexpected keys, or the state of another mode; nothing is loaded then.
        """
        if state.keys() != self.state_dict().keys():
            expected = ", ".join(self.state_dict())
            raise ValueError(f"EarlyStopping.load_state_dict: the state has {', '.join(state)}; it needs {expected}")
        if state["mode"] != self.mode:
            raise ValueError(f"EarlyStopping.load_state_dict: the state has mode {state['mode']!r}, this {self.mode!r}")
        self.best = float(state["best"])
        self.best_epoch = int(state["best_epoch"])
        self.epoch = int(state["epoch"])
        self.bad_epochs = int(state["bad_epochs"])
        self.best_state = deepcopy(state["best_state"])
