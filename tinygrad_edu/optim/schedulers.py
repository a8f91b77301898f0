"""Learning-rate schedulers: long steps first to get ahead, short ones later to settle; names are PyTorch's.

Each schedule is a function of the epoch and the group's initial rate, `lr_at`; to multiply the current rate by a cosine
at each epoch would make a product of cosines. So a schedule can be drawn in advance, and a resumed training needs only
two numbers to go on with it. ReduceLROnPlateau alone has to watch the training. Unlike PyTorch's, schedulers do not
chain: of two for one optimizer each would undo what the other did, which is an error. A new one may take over from an
old one, and LinearWarmup(then=...) combines two.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from tinygrad_edu.arguments import Named, others_by_name
from tinygrad_edu.checks import check_choice, check_int, check_number, refuse_mask
from tinygrad_edu.optim.base import Optimizer

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LinearWarmup", "Monitor", "ReduceLROnPlateau", "Scheduler", "StepLR",
    "check_monitor", "watched_number",
]  # fmt: skip

STEPPERS: weakref.WeakKeyDictionary[Optimizer, list[weakref.ref[Scheduler]]] = weakref.WeakKeyDictionary()
MOST_EPOCHS = 2**53  # beyond, a float counts no more
LIMITS: dict[str, int | dict[str, Any]] = {  # of the settings and counts: the smallest integer, or limits of a number
    "step_size": 1, "T_max": 1, "total_iters": 1, "patience": 0, "cooldown": 0,
    "last_epoch": 0, "num_bad_epochs": 0, "cooldown_counter": 0,
    "gamma": {"at_least": 0}, "eta_min": {"at_least": 0}, "start_factor": {"above": 0, "at_most": 1},
    "factor": {"at_least": 0, "below": 1}, "threshold": {"at_least": 0}, "eps": {"at_least": 0},
    "best": {"finite": False},
}  # fmt: skip
Monitor = Literal["train_loss", "val_loss", "train_accuracy", "val_accuracy"]


class Scheduler(metaclass=Named):
    """Base class: a subclass defines `lr_at`, the rate of an epoch.

    It sets the rates of epoch 0 when it is made, and those of the next epoch at each step(); rates set by hand in
    between are lost. An epoch is the time between two calls of step(), which may also be a batch.

    Args:
        optimizer: Its groups' learning rates are the initial ones.

    Attributes:
        base_lrs: The initial learning rate of each group.
        last_epoch: The number of calls of step().

    Raises:
        TypeError: `optimizer` is not an Optimizer.
        ValueError: An argument is out of range.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = check_optimizer(self, optimizer)
        name = f"{type(self).__name__}: the optimizer's lr"
        self.base_lrs = [check_number(name, group.get("lr"), at_least=0) for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set(self._rates(0))

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """The learning rate in an epoch, counted from 0, of a group whose initial rate is `base_lr`."""
        raise NotImplementedError(f"{type(self).__name__} has no lr_at, so it is not a schedule; define lr_at in it")

    def step(self) -> None:
        """Goes to the next epoch.

        Raises:
            ValueError: A group was added to the optimizer, or another scheduler has taken over in between.
        """
        take_turn(self)
        self._set(self._rates(self.last_epoch + 1))
        self.last_epoch += 1

    def _rates(self, epoch: int) -> list[float]:
        """The rate of each group in an epoch."""
        try:
            return [self.lr_at(epoch, base) for base in self.base_lrs]
        except OverflowError:
            raise ValueError(f"{type(self).__name__}: the rate of epoch {epoch} is too large for a float") from None

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
            if isinstance(own, Scheduler):
                own.load_state_dict({**value, "last_lr": state["last_lr"]})
            elif name != "last_lr":
                setattr(self, name, list(value) if isinstance(own, list) else value)

    def _check_state(self, state: object) -> None:
        """Raises an error if a state does not fit, also that of a scheduler inside."""
        name, own = type(self).__name__, self.state_dict()
        if not isinstance(state, Mapping) or state.keys() != own.keys():
            keys = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"{name}.load_state_dict: expected the keys {', '.join(own)}, got {keys}")
        for key, value in own.items():
            saved, inner = state[key], vars(self).get(key)
            where = f"{name}.load_state_dict"
            if isinstance(value, list):
                if not isinstance(saved, list) or len(saved) != len(value):
                    raise ValueError(f"{where}: {key} is {saved!r:.60}; this optimizer needs {len(value)} of them")
                for number in saved:
                    check_number(f"{where}: {key}", number, at_least=0)
            elif key in LIMITS:
                number = check_setting(where, key, saved)
                if isinstance(LIMITS[key], int) and number > MOST_EPOCHS:
                    raise ValueError(f"{where}: {key} is {saved!r:.60}; there are not so many epochs")
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                check_number(f"{where}: {key}", saved, finite=False)
            if isinstance(value, dict) != isinstance(saved, Mapping):
                raise ValueError(f"{name}.load_state_dict: {key} is {saved!r:.80}, but here {inner!r:.80}")
            if isinstance(inner, Scheduler):
                inner._check_state(saved)


class StepLR(Scheduler):
    """Multiplies the rate by gamma every `step_size` epochs: base_lr * gamma ** (epoch // step_size).

    Args:
        optimizer: As for Scheduler.
        step_size: Epochs from one reduction to the next, at least 1.
        gamma: The factor, at least 0.

    Raises: As for Scheduler.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size: int = check_setting("StepLR", "step_size", step_size)
        self.gamma: float = check_setting("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (epoch // self.step_size)


class ExponentialLR(Scheduler):
    """Multiplies the rate by gamma every epoch: base_lr * gamma ** epoch.

    Args:
        optimizer: As for Scheduler.
        gamma: The factor, at least 0.

    Raises: As for Scheduler.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma: float = check_setting("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        return base_lr * self.gamma**epoch


class CosineAnnealingLR(Scheduler):
    """Half a cosine from the initial rate to `eta_min` (Loshchilov & Hutter 2017, equation 5, without restarts).

        eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2

    Args:
        optimizer: As for Scheduler.
        T_max: Epochs until the rate is lowest, at least 1; afterwards it rises again, as the cosine does.
        eta_min: The lowest rate, not above the initial ones.

    Raises: As for Scheduler.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max: int = check_setting("CosineAnnealingLR", "T_max", T_max)
        self.eta_min: float = check_setting("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer)
        if self.eta_min > min(self.base_lrs):
            first = min(self.base_lrs)
            raise ValueError(
                f"CosineAnnealingLR: eta_min is {eta_min}, above the rate {first} that a group begins with"
            )

    def lr_at(self, epoch: int, base_lr: float) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class LinearWarmup(Scheduler):
    """A straight line from start_factor * base_lr to base_lr, then another schedule (Goyal et al. 2017, section 2.2).

    At the start gradients are large and moments unknown; full steps could throw the weights far off. Alone it is
    PyTorch's LinearLR with end_factor=1; with `then` it is a SequentialLR of both.

    Args:
        optimizer: As for Scheduler.
        total_iters: Epochs until the full rate is reached, at least 1.
        start_factor: Share of the rate to start with, above 0 and at most 1.
        then: Scheduler of the same optimizer that takes over: its epoch 0 is the one after the warm-up. Step only the
            warm-up, not `then`.

    Raises:
        TypeError: As Scheduler, or `then` is not a Scheduler, or one that watches the training: ReduceLROnPlateau.
        ValueError: As Scheduler, or `then` has another optimizer.

    Example:
        scheduler = LinearWarmup(optimizer, total_iters=5, then=CosineAnnealingLR(optimizer, T_max=95))
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, start_factor: float = 1 / 3, then: Scheduler | None = None
    ) -> None:
        self.total_iters: int = check_setting("LinearWarmup", "total_iters", total_iters)
        self.start_factor: float = check_setting("LinearWarmup", "start_factor", start_factor)
        if then is not None:
            if not isinstance(then, Scheduler) or isinstance(then, ReduceLROnPlateau):
                raise TypeError(f"LinearWarmup: then is {then!r:.80}; pass a scheduler that only depends on the epoch")
            if then.optimizer is not optimizer:
                raise ValueError("LinearWarmup: then is a scheduler of another optimizer; make both for the same")
            then._set(then.base_lrs)  # `then` may have changed them when it was made
        self.then = then
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """base_lr * (start_factor + (1 - start_factor) * epoch / total_iters), later as `then` says."""
        if epoch >= self.total_iters:
            return base_lr if self.then is None else self.then.lr_at(epoch - self.total_iters, base_lr)
        return base_lr * (self.start_factor + (1 - self.start_factor) * epoch / self.total_iters)


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
        check_choice(f"{name}: threshold_mode", threshold_mode, ("rel", "abs"))
        self.optimizer = check_optimizer(self, optimizer)
        groups = len(optimizer.param_groups)
        floors: list[Any] = [min_lr] * groups if np.ndim(min_lr) == 0 else list(min_lr)  # type: ignore[arg-type]
        if len(floors) != groups:
            raise ValueError(f"{name}: min_lr has {len(floors)} entries for {groups} groups; give one for each")
        self.min_lrs = [check_number(f"{name}: min_lr", floor, at_least=0) for floor in floors]
        self.threshold_mode = threshold_mode
        self.factor: float = check_setting(name, "factor", factor)
        self.threshold: float = check_setting(name, "threshold", threshold)
        self.patience: int = check_setting(name, "patience", patience)
        self.cooldown: int = check_setting(name, "cooldown", cooldown)
        self.eps: float = check_setting(name, "eps", eps)
        self.best = math.inf if self.mode == "min" else -math.inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0

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
        check_choice("ReduceLROnPlateau.load_state_dict: threshold_mode", state["threshold_mode"], ("rel", "abs"))

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
    limit = LIMITS[name]
    if isinstance(limit, int):
        return check_int(f"{owner}: {name}", value, limit)
    return check_number(f"{owner}: {name}", value, **limit)


def take_turn(scheduler: Scheduler) -> None:
    """Notes who steps an optimizer's rates; an error if this one did before another one took over."""
    steppers = STEPPERS.setdefault(scheduler.optimizer, [])
    if all(stepper() is not scheduler for stepper in steppers):
        steppers.append(weakref.ref(scheduler))
    last = steppers[-1]()
    if last is not scheduler:
        raise ValueError(
            f"{type(scheduler).__name__}.step: {type(last).__name__} has taken over this optimizer, and each of the "
            "two would undo what the other did; step one alone, or combine two with LinearWarmup(optimizer, then=...)"
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
