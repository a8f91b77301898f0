"""Schedules that follow each other: a warm-up and what comes then, or any number of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from tinygrad_edu.optim.base import Optimizer
from tinygrad_edu.optim.schedulers import ReduceLROnPlateau, Scheduler, check_optimizer, check_setting
from tinygrad_edu.optim.schedules import check_milestones

__all__ = ["LinearWarmup", "SequentialLR"]


class LinearWarmup(Scheduler):
    """A straight line from start_factor * base_lr to base_lr, then another schedule (Goyal et al. 2017, section 2.2).

    At the start gradients are large and moments unknown; full steps could throw the weights far off. Alone it is
    LinearLR with end_factor=1; with `then` it is a SequentialLR of both.

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
            check_inner("LinearWarmup: then", then, optimizer)
            then._set(then.base_lrs)  # `then` may have changed them when it was made
        self.then = then
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """base_lr * (start_factor + (1 - start_factor) * epoch / total_iters), later as `then` says."""
        if epoch >= self.total_iters:
            return base_lr if self.then is None else self.then.lr_at(epoch - self.total_iters, base_lr)
        return base_lr * (self.start_factor + (1 - self.start_factor) * epoch / self.total_iters)

    def _go_to(self, epoch: int) -> None:
        if self.then is None or epoch < self.total_iters:
            super()._go_to(epoch)
        else:
            self.then._go_to(epoch - self.total_iters)
            self.last_epoch = epoch


class SequentialLR(Scheduler):
    """One schedule after the other: scheduler i + 1 begins with its epoch 0 at milestone i.

    Args:
        optimizer: As for Scheduler.
        schedulers: At least one, made for this optimizer, in their order. Step only the SequentialLR, not these.
        milestones: The epochs at which the second and later ones take over, increasing.

    Raises:
        TypeError: As for Scheduler, or one is not a scheduler, or watches the training: ReduceLROnPlateau.
        ValueError: As for Scheduler, or one has another optimizer, or the milestones do not fit.

    Example:
        warmup = LinearLR(optimizer, start_factor=0.1, total_iters=5)
        cosine = CosineAnnealingLR(optimizer, T_max=95)
        scheduler = SequentialLR(optimizer, [warmup, cosine], milestones=[5])
    """

    def __init__(self, optimizer: Optimizer, schedulers: Iterable[Scheduler], milestones: Iterable[int]) -> None:
        check_optimizer(self, optimizer)
        if not isinstance(schedulers, Iterable):
            raise TypeError(f"SequentialLR: schedulers is {schedulers!r:.60}; pass a list of schedulers")
        self.schedulers = list(schedulers)
        for i, inner in enumerate(self.schedulers):
            check_inner(f"SequentialLR: schedulers[{i}]", inner, optimizer)
        self.milestones = check_milestones("SequentialLR", milestones)
        if len(self.schedulers) != len(self.milestones) + 1:
            have = f"{len(self.schedulers)} schedulers and {len(self.milestones)} milestones"
            raise ValueError(f"SequentialLR: there are {have}; each scheduler but the first has one, where it begins")
        check_increasing("SequentialLR", self.milestones)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """The rate that the scheduler of that epoch gives a group whose initial rate is `base_lr`."""
        scheduler, start = self._place(epoch)
        return scheduler.lr_at(epoch - start, base_lr)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As Scheduler; a momentum is that of the scheduler whose turn it is."""
        super().load_state_dict(state)
        self._go_to(self.last_epoch)
        self._set(state["last_lr"])

    def _initial_rates(self) -> list[float]:
        return list(self.schedulers[0].base_lrs)

    def _go_to(self, epoch: int) -> None:
        scheduler, start = self._place(epoch)
        scheduler._go_to(epoch - start)
        self.last_epoch = epoch

    def _check_list(self, where: str, key: str, own: list[Any], saved: Any) -> None:
        super()._check_list(where, key, own, saved)
        if key == "milestones":
            check_increasing(where, check_milestones(where, saved))

    def _place(self, epoch: int) -> tuple[Scheduler, int]:
        """Whose turn it is, and since which epoch."""
        i = bisect_right(self.milestones, epoch)
        return self.schedulers[i], self.milestones[i - 1] if i else 0


def check_increasing(owner: str, milestones: list[int]) -> None:
    """Raises an error if a milestone does not lie after the one before."""
    if any(b <= a for a, b in pairwise(milestones)):
        raise ValueError(f"{owner}: milestones is {milestones}; they must increase")


def check_inner(name: str, inner: object, optimizer: Optimizer) -> None:
    """Raises an error unless it is a scheduler of this optimizer that another one can lead."""
    if not isinstance(inner, Scheduler) or isinstance(inner, ReduceLROnPlateau):
        raise TypeError(f"{name} is {inner!r:.80}; pass a scheduler that only depends on the epoch")
    if inner.optimizer is not optimizer:
        raise ValueError(f"{name} is a scheduler of another optimizer; make both for the same")
