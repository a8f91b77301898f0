"""Learning-rate schedulers: long steps first to get ahead, short ones later to settle; names are PyTorch's.

Each schedule is a function of the epoch and the group's initial rate, `lr_at`; to multiply the current rate by a cosine
at each epoch would make a product of cosines. So a schedule can be drawn in advance, and a resumed training needs only
two numbers to go on with it. ReduceLROnPlateau alone has to watch the training. Unlike PyTorch's, schedulers do not
chain: of two for one optimizer each would undo what the other did, which is an error. A new one may take over from an
old one, and SequentialLR lets several follow each other.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, cast, get_args

import numpy as np

from tinygrad_edu.arguments import Named, answering_for, others_by_name
from tinygrad_edu.checks import check_bool, check_choice, check_int, check_number, refuse_mask
from tinygrad_edu.optim.base import Optimizer

__all__ = [
    "MOMENTUM", "MOST_EPOCHS", "Monitor", "ReduceLROnPlateau", "Scheduler", "check_monitor", "check_optimizer",
    "check_setting", "take_turn", "watched_number",
]  # fmt: skip

STEPPERS: weakref.WeakKeyDictionary[Optimizer, list[weakref.ref[Scheduler]]] = weakref.WeakKeyDictionary()
# The rates that the scheduler made last has set to begin with, and its base_lrs:
BEGUN: weakref.WeakKeyDictionary[Optimizer, tuple[list[float], list[float]]] = weakref.WeakKeyDictionary()
MOST_EPOCHS = 2**53  # beyond, a float counts no more
SHARE, MOMENTUM = {"at_least": 0, "at_most": 1}, {"at_least": 0, "below": 1}
LIMITS: dict[str, int | dict[str, Any] | tuple[str, ...] | type] = {
    # of the settings and counts: the smallest integer, the limits of a number, names to choose from, or bool
    "step_size": 1, "T_max": 1, "T_0": 1, "T_mult": 1, "total_iters": 1, "total_steps": 1, "epochs": 1,
    "steps_per_epoch": 1, "patience": 0, "cooldown": 0, "last_epoch": 0, "num_bad_epochs": 0, "cooldown_counter": 0,
    "gamma": {"at_least": 0}, "eta_min": {"at_least": 0}, "start_factor": {"above": 0, "at_most": 1},
    "end_factor": SHARE, "factor": {"at_least": 0, "below": 1}, "threshold": {"at_least": 0}, "eps": {"at_least": 0},
    "best": {"finite": False}, "epoch": {"at_least": 0}, "pct_start": SHARE, "div_factor": {"above": 0},
    "final_div_factor": {"above": 0}, "base_momentums": MOMENTUM, "max_momentums": MOMENTUM,
    "threshold_mode": ("rel", "abs"), "anneal_strategy": ("cos", "linear"), "cycle_momentum": bool, "three_phase": bool,
}  # fmt: skip
Monitor = Literal["train_loss", "val_loss", "train_accuracy", "val_accuracy"]


class Scheduler(metaclass=Named):
    """Base class: a subclass defines `lr_at`, the rate of an epoch.

    It sets the rates of epoch 0 when it is made, and those of the next epoch at each step(); rates set by hand in
    between are lost. An epoch is the time between two calls of step(), which may also be a batch.

    Args:
        optimizer: Its groups' learning rates are the initial ones. Several schedulers made one after the other all
            begin with those from before the first, as in PyTorch.

    Attributes:
        base_lrs: The initial learning rate of each group.
        last_epoch: The number of calls of step().

    Raises:
        TypeError: `optimizer` is not an Optimizer.
        ValueError: An argument is out of range.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = check_optimizer(self, optimizer)
        self.base_lrs = self._initial_rates()
        self._go_to(0)
        BEGUN[optimizer] = self.get_last_lr(), self.base_lrs

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """The learning rate in an epoch, counted from 0, of a group whose initial rate is `base_lr`."""
        raise NotImplementedError(f"{type(self).__name__} has no lr_at, so it is not a schedule; define lr_at in it")

    @answering_for
    def step(self) -> None:
        """Goes to the next epoch.

        Raises:
            ValueError: A group was added to the optimizer, or another scheduler has taken over in between.
        """
        take_turn(self)
        self._go_to(self.last_epoch + 1)

    def _go_to(self, epoch: int) -> None:
        """Sets what the schedule says of an epoch."""
        self._set(self._rates(epoch))
        self.last_epoch = epoch

    def _initial_rates(self) -> list[float]:
        """The rates from before the first of several schedulers was made, if each has changed them no further."""
        name = f"{type(self).__name__}: the optimizer's lr"
        now = [check_number(name, group.get("lr"), at_least=0) for group in self.optimizer.param_groups]
        set_last, initial = BEGUN.get(self.optimizer, (now, now))
        return list(initial) if now == set_last else now

    def _rates(self, epoch: int) -> list[float]:
        """The rate of each group in an epoch."""
        try:
            return [self.lr_at(epoch, base) for base in self.base_lrs]
        except OverflowError:
            raise ValueError(f"{type(self).__name__}: the rate of epoch {epoch} is too large for a float") from None

    def _for_each_group(self, name: str, value: Any, limits: Mapping[str, Any]) -> list[float]:
        """A number within its limits for each group, from a list or one for all."""
        owner, groups = type(self).__name__, len(self.optimizer.param_groups)
        values = [value] * groups if np.ndim(value) == 0 else list(value)
        if len(values) != groups:
            raise ValueError(f"{owner}: {name} has {len(values)} entries for {groups} groups; give one for each")
        return [check_number(f"{owner}: {name}", entry, **limits) for entry in values]

    def get_last_lr(self) -> list[float]:
        """The current learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self, rates: list[float]) -> None:
        groups, name = self.optimizer.param_groups, type(self).__name__
        if len(rates) != len(groups):
            have = f"the optimizer has {len(groups)} groups, but had {len(rates)} when this scheduler was made"
            raise ValueError(f"{name}: {have}; add groups first, then make the scheduler")
        rates = [check_number(f"{name}: the rate", lr, at_least=0) for lr in rates]
        for group, lr in zip(groups, rates, strict=True):
            group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """Position, settings and current rates, as plain numbers that JSON can hold."""
        state: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, Scheduler):
                state[name] = value.state_dict()
            elif name == "schedulers":
                state[name] = [inner.state_dict() for inner in value]
            elif name != "optimizer":
                state[name] = list(value) if isinstance(value, list) else value
        return {**state, "last_lr": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from where state_dict() was called, with its settings; sets the optimizer's learning rates.

        Raises:
            ValueError: It is the state of another kind of scheduler, or of one for another number of groups; nothing
                has changed then.
        """
        self._check_state(state)
        self._set(state["last_lr"])
        for name, value in state.items():
            own = vars(self).get(name)
            inner = [own] if isinstance(own, Scheduler) else own if name == "schedulers" else []
            if inner:
                for scheduler, part in zip(inner, value if name == "schedulers" else [value], strict=True):
                    scheduler.load_state_dict({**part, "last_lr": state["last_lr"]})
            elif name != "last_lr":
                setattr(self, name, list(value) if isinstance(own, list) else value)

    def _check_state(self, state: object) -> None:
        """Raises an error if a state does not fit, also that of a scheduler inside."""
        name, own = type(self).__name__, self.state_dict()
        if not isinstance(state, Mapping) or state.keys() != own.keys():
            keys = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"{name}.load_state_dict: expected the keys {', '.join(own)}, got {keys}")
        for key, value in own.items():
            saved, inner, where = state[key], vars(self).get(key), f"{name}.load_state_dict"
            if isinstance(value, dict) != isinstance(saved, Mapping):
                raise ValueError(f"{where}: {key} is {saved!r:.80}, but here {inner!r:.80}")
            if isinstance(inner, Scheduler):
                inner._check_state(saved)
            elif isinstance(value, list):
                self._check_list(where, key, value, saved)
            elif key in LIMITS:
                check_setting(where, key, saved)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                check_number(f"{where}: {key}", saved, finite=False)

    def _check_list(self, where: str, key: str, own: list[Any], saved: Any) -> None:
        """Raises an error if a list of a state, of which most have a number for each group, does not fit."""
        if not isinstance(saved, list) or len(saved) != len(own):
            raise ValueError(f"{where}: {key} is {saved!r:.60}; this optimizer needs {len(own)} of them")
        for i, value in enumerate(saved):
            if key == "schedulers":
                self.schedulers[i]._check_state(value)  # type: ignore[attr-defined]
            elif key in LIMITS:
                check_setting(where, key, value)
            else:
                check_number(f"{where}: {key}", value, at_least=0)


class ReduceLROnPlateau(Scheduler):
    """Multiplies the current rates by `factor` when a metric has not improved for more than `patience` epochs.

    Args:
        optimizer: As for Scheduler.
        mode: "min" if the metric should fall, as a loss, "max" if it should rise, as an accuracy; by default "max" if
            `monitor` is an accuracy, else "min".
        factor: What the rates are multiplied by, below 1.
        patience: Epochs without improvement that are tolerated.
        threshold: How much better than the best so far a value must be to count.
        threshold_mode: "rel": the threshold is a share of the size of the best value, "abs": a difference. PyTorch
            takes a share of the value with its sign: of a negative one even the same value again is better there.
        cooldown: Epochs after a reduction in which none is counted.
        min_lr: The lowest rate, or a list with one for each group.
        eps: A reduction by less than this is skipped.
        monitor: What `fit` is to pass to step: "train_loss", "val_loss", "train_accuracy" or "val_accuracy"; if None,
            the validation loss or, without validation, the training loss.

    Attributes:
        best: The best metric so far.
        num_bad_epochs: Epochs without improvement since.

    Example:
        scheduler = ReduceLROnPlateau(optimizer, patience=3)
        scheduler.step(validation_loss)     # after each epoch

    Raises: As for Scheduler.
    """

    @others_by_name
    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] | None = None,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
        *,
        monitor: Monitor | None = None,
    ) -> None:
        name = "ReduceLROnPlateau"
        self.monitor, self.mode = monitor, check_monitor(name, monitor, mode)
        self.threshold_mode: str = check_setting(name, "threshold_mode", threshold_mode)
        self.optimizer = check_optimizer(self, optimizer)
        self.min_lrs = self._for_each_group("min_lr", min_lr, {"at_least": 0})
        self.factor: float = check_setting(name, "factor", factor)
        self.threshold: float = check_setting(name, "threshold", threshold)
        self.patience: int = check_setting(name, "patience", patience)
        self.cooldown: int = check_setting(name, "cooldown", cooldown)
        self.eps: float = check_setting(name, "eps", eps)
        self.best = math.inf if self.mode == "min" else -math.inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0

    @answering_for
    def step(self, metrics: float) -> None:  # type: ignore[override]  # as PyTorch has it
        """Goes to the next epoch.

        Args:
            metrics: The value to watch; NaN is never better.

        Raises:
            TypeError: It is not a number, nor an array or Tensor of shape ().
        """
        value = watched_number("ReduceLROnPlateau.step: metrics", metrics)
        take_turn(self)
        self.last_epoch += 1
        better = self._is_better(value)
        self.best = value if better else self.best
        self.num_bad_epochs = 0 if better else self.num_bad_epochs + 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            rates = []
            for lr, floor in zip(self.get_last_lr(), self.min_lrs, strict=False):
                reduced = max(lr * self.factor, floor)
                rates.append(reduced if lr - reduced > self.eps else lr)
            self._set(rates)  # which notices a group that was added
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As Scheduler; a state without `monitor`, from an older file, had none."""
        super().load_state_dict({"monitor": None, **state} if isinstance(state, Mapping) else state)

    def _check_state(self, state: Any) -> None:
        super()._check_state(state)
        check_choice("ReduceLROnPlateau.load_state_dict: mode", state["mode"], ("min", "max"))
        check_monitor("ReduceLROnPlateau.load_state_dict", state["monitor"], state["mode"])

    def _is_better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if math.isinf(self.best):  # a share of which would be infinite, too
            return sign * value > sign * self.best
        if self.threshold_mode == "rel":
            away = sign if self.best > 0 else -sign  # 1 if an improvement leads away from zero
            return sign * value > sign * self.best * (1 + away * self.threshold)
        return sign * value > sign * self.best + self.threshold


def check_setting(owner: str, name: str, value: object) -> Any:
    """A setting or a count of a scheduler within its limits, as Python's number."""
    limit, where = LIMITS[name], f"{owner}: {name}"
    if limit is bool:
        return check_bool(where, value, wrong_type=ValueError)
    if isinstance(limit, tuple):
        return check_choice(where, value, limit)
    if isinstance(limit, dict):
        return check_number(where, value, **limit)
    number = check_int(where, value, cast(int, limit))
    if number > MOST_EPOCHS:
        raise ValueError(f"{where} is {value!r:.60}; there are not so many epochs")
    return number


def take_turn(scheduler: Scheduler) -> None:
    """Notes who steps an optimizer's rates; an error if this one did before another one took over."""
    steppers = STEPPERS.setdefault(scheduler.optimizer, [])
    if all(stepper() is not scheduler for stepper in steppers):
        steppers.append(weakref.ref(scheduler))
    last = steppers[-1]()
    if last is not scheduler:
        raise ValueError(
            f"{type(scheduler).__name__}.step: {type(last).__name__} has taken over this optimizer, and each of the "
            "two would undo what the other did; step one alone, or let them follow each other: SequentialLR(optimizer, "
            "[first, second], milestones=[epoch])"
        )


def check_optimizer(scheduler: Scheduler, optimizer: object) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}: optimizer is a {type(optimizer).__name__}, not an Optimizer")
    return optimizer


def check_monitor(owner: str, monitor: object, mode: object) -> Literal["min", "max"]:
    """The mode that fits what is watched, if the given one does: more is better for an accuracy alone."""
    if monitor is not None:
        check_choice(f"{owner}: monitor", monitor, get_args(Monitor))
    fitting: Literal["min", "max"] = "max" if str(monitor).endswith("accuracy") else "min"
    if mode is None:
        return fitting
    check_choice(f"{owner}: mode", mode, ("min", "max"))
    if monitor is not None and mode != fitting:
        better = "more" if fitting == "max" else "less"
        raise ValueError(f"{owner}: mode is {mode!r}, but of {monitor} {better} is better; it must be {fitting!r}")
    return "max" if mode == "max" else "min"


def watched_number(name: str, value: Any) -> float:
    """A number of any size, NaN too, also in an array or a Tensor of shape (); anything else is a TypeError."""
    refuse_mask(name, value)
    number = value.item() if getattr(value, "shape", None) == () else value
    if not isinstance(number, Real) or isinstance(number, bool):
        raise TypeError(f"{name} is {value!r:.60}; it must be a number, such as loss.item() or a mean over the epoch")
    return float(number)
