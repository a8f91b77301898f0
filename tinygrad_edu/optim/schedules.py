"""Schedules that are a formula of the epoch: steps, lines, a cosine, or a function of your own."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tinygrad_edu.checks import check_int, check_number
from tinygrad_edu.optim.base import Optimizer
from tinygrad_edu.optim.schedulers import MOST_EPOCHS, Scheduler, check_optimizer, check_setting

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "StepLR", "check_floor",
    "check_milestones",
]  # fmt: skip


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


class MultiStepLR(Scheduler):
    """Multiplies the rate by gamma at each milestone: base_lr * gamma ** (number of milestones up to the epoch).

    Args:
        optimizer: As for Scheduler.
        milestones: Epochs, at least 0; one that is there twice counts twice.
        gamma: The factor, at least 0.

    Raises: As for Scheduler.
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(check_milestones("MultiStepLR", milestones))
        self.gamma: float = check_setting("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        return base_lr * self.gamma ** bisect_right(self.milestones, epoch)

    def _check_list(self, where: str, key: str, own: list[Any], saved: Any) -> None:
        if key == "milestones":
            check_milestones(where, saved)
        else:
            super()._check_list(where, key, own, saved)


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


class LinearLR(Scheduler):
    """A straight line from start_factor * base_lr to end_factor * base_lr, and on at that.

    Args:
        optimizer: As for Scheduler.
        start_factor: Share of the rate to start with, above 0 and at most 1.
        end_factor: Share of the rate to end with, from 0 to 1.
        total_iters: Epochs until the end is reached, at least 1.

    Raises: As for Scheduler.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor: float = check_setting("LinearLR", "start_factor", start_factor)
        self.end_factor: float = check_setting("LinearLR", "end_factor", end_factor)
        self.total_iters: int = check_setting("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class LambdaLR(Scheduler):
    """Multiplies the initial rate by a function of the epoch: base_lr * lr_lambda(epoch).

    The functions are not part of the state: a resumed training passes them again.

    Args:
        optimizer: As for Scheduler.
        lr_lambda: Function of the epoch, counted from 0, that returns a factor; or a list of them, one for each group.

    Raises:
        TypeError: As for Scheduler, or `lr_lambda` is not a function.
        ValueError: As for Scheduler, or there are more or fewer functions than groups, or a factor is not a number.

    Example:
        LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch) ** 0.5)
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        self.optimizer = check_optimizer(self, optimizer)
        several: Any = lr_lambda if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * len(optimizer.param_groups)
        self.lr_lambdas: list[Callable[[int], float]] = list(several)
        for function in self.lr_lambdas:
            if not callable(function):
                how = "pass a function of the epoch, as lambda epoch: 0.95**epoch, or a list of them"
                raise TypeError(f"LambdaLR: lr_lambda is {function!r:.60}; {how}")
        if len(self.lr_lambdas) != len(optimizer.param_groups):
            have = f"{len(self.lr_lambdas)} functions for {len(optimizer.param_groups)} groups"
            raise ValueError(f"LambdaLR: there are {have}; give one for each, or one for all")
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """The rate of the first group, where each has a function of its own."""
        return self._rate(0, epoch, base_lr)

    def _rate(self, i: int, epoch: int, base_lr: float) -> float:
        return base_lr * check_number(f"LambdaLR: lr_lambda({epoch})", self.lr_lambdas[i](epoch), at_least=0)

    def _rates(self, epoch: int) -> list[float]:
        return [self._rate(i, epoch, base_lr) for i, base_lr in enumerate(self.base_lrs)]

    def state_dict(self) -> dict[str, Any]:
        """As Scheduler, without the functions."""
        return {name: value for name, value in super().state_dict().items() if name != "lr_lambdas"}


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
        check_floor(self, self.eta_min)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


def check_floor(scheduler: Scheduler, eta_min: float) -> None:
    """Raises an error if the lowest rate is above one to begin with."""
    first = min(scheduler.base_lrs)
    if eta_min > first:
        name = type(scheduler).__name__
        raise ValueError(f"{name}: eta_min is {eta_min}, above the rate {first} that a group begins with")


def check_milestones(owner: str, milestones: object) -> list[int]:
    """Epochs as a list of Python's integers."""
    if isinstance(milestones, (str, Mapping)) or not isinstance(milestones, Iterable):
        raise ValueError(f"{owner}: milestones is {milestones!r:.60}; it must be a list of epochs, as [30, 80]")
    return [check_int(f"{owner}: milestones[{i}]", epoch, 0, MOST_EPOCHS) for i, epoch in enumerate(milestones)]
