"""Schedules that go up as well as down: restarts, and one cycle of rate and momentum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tinygrad_edu.optim.base import Optimizer
from tinygrad_edu.optim.schedulers import MOMENTUM, Scheduler, check_optimizer, check_setting, take_turn
from tinygrad_edu.optim.schedules import check_floor

__all__ = ["CosineAnnealingWarmRestarts", "OneCycleLR"]


class CosineAnnealingWarmRestarts(Scheduler):
    """Half a cosine down to `eta_min`, again and again (Loshchilov & Hutter 2017, "SGDR", equation 5).

        eta_min + (base_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    Args:
        optimizer: As for Scheduler.
        T_0: Epochs of the first cosine, at least 1.
        T_mult: How many times longer each is than the one before, an integer of at least 1.
        eta_min: The lowest rate, not above the initial ones.

    Attributes:
        epoch: As was passed to step, or counted by it; last_epoch is that rounded down.
        T_cur: Epochs since the last restart.
        T_i: Epochs from one restart to the next.

    Raises: As for Scheduler.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        name = "CosineAnnealingWarmRestarts"
        self.T_0: int = check_setting(name, "T_0", T_0)
        self.T_mult: int = check_setting(name, "T_mult", T_mult)
        self.eta_min: float = check_setting(name, "eta_min", eta_min)
        self.epoch = 0.0
        super().__init__(optimizer)
        check_floor(self, self.eta_min)

    @property
    def T_cur(self) -> float:
        return self._place(self.epoch)[0]

    @property
    def T_i(self) -> int:
        return self._place(self.epoch)[1]

    def lr_at(self, epoch: float, base_lr: float) -> float:
        """The rate at any time, also between two epochs."""
        current, length = self._place(epoch)
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * current / length)) / 2

    def step(self, epoch: float | None = None) -> None:
        """Goes to the next epoch, or to the one that is given.

        Args:
            epoch: At least 0; fractions too, as epoch + batch / batches after each batch.

        Raises:
            ValueError: As Scheduler.step, or `epoch` is below 0 or not a number.
        """
        if epoch is not None:
            epoch = check_setting("CosineAnnealingWarmRestarts.step", "epoch", epoch)
        take_turn(self)
        self._go_to(self.epoch + 1 if epoch is None else epoch)

    def _go_to(self, epoch: float) -> None:
        self._set([self.lr_at(epoch, base_lr) for base_lr in self.base_lrs])
        self.epoch, self.last_epoch = epoch, math.floor(epoch)

    def _check_state(self, state: Any) -> None:
        super()._check_state(state)
        if math.floor(state["epoch"]) != state["last_epoch"]:
            where = f"CosineAnnealingWarmRestarts.load_state_dict: last_epoch is {state['last_epoch']}"
            raise ValueError(f"{where}, but epoch {state['epoch']}, of which it must be the whole part")

    def _place(self, epoch: float) -> tuple[float, int]:
        """Epochs since the last restart, and from that to the next."""
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_0
        length = self.T_0
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return epoch, length


class OneCycleLR(Scheduler):
    """The rate goes up to `max_lr` and down to nearly nothing, the momentum down and up (Smith & Topin 2018).

    Long steps keep out of narrow valleys, and meanwhile less momentum is enough. The scheduler steps after each batch.
    The step after the last batch changes nothing more, where PyTorch's goes on beyond the end, down to negative rates.

    Args:
        optimizer: As for Scheduler; its own rates are not used.
        max_lr: The highest rate, or a list with one for each group.
        total_steps: How many steps there are; without it, epochs * steps_per_epoch.
        epochs, steps_per_epoch: Epochs, and batches in each.
        pct_start: Share of the steps in which the rate rises.
        anneal_strategy: "cos" for half a cosine up and one down, "linear" for straight lines.
        cycle_momentum: Whether the momentum, or the first of the betas, changes too.
        base_momentum, max_momentum: The momentum at the highest rate, and at the start and end; numbers in [0, 1), or
            lists with one for each group.
        div_factor: The rate to begin with is max_lr / div_factor.
        final_div_factor: The rate at the end is that to begin with / final_div_factor.
        three_phase: Down to the rate to begin with in as many steps as up, then in a third phase down to the last.

    Raises:
        TypeError: As for Scheduler.
        ValueError: As for Scheduler, or the number of steps is not given, or the optimizer has no momentum to cycle.

    Example:
        scheduler = OneCycleLR(optimizer, max_lr=0.1, epochs=10, steps_per_epoch=len(loader))
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        name = "OneCycleLR"
        self.optimizer = check_optimizer(self, optimizer)
        if total_steps is not None:
            self.total_steps: int = check_setting(name, "total_steps", total_steps)
        elif epochs is None or steps_per_epoch is None:
            raise ValueError(f"{name}: total_steps is None; it must be given, or else epochs and steps_per_epoch")
        else:
            product = check_setting(name, "epochs", epochs) * check_setting(name, "steps_per_epoch", steps_per_epoch)
            self.total_steps = check_setting(name, "total_steps", product)
        self.pct_start: float = check_setting(name, "pct_start", pct_start)
        self.anneal_strategy: str = check_setting(name, "anneal_strategy", anneal_strategy)
        self.cycle_momentum: bool = check_setting(name, "cycle_momentum", cycle_momentum)
        self.div_factor: float = check_setting(name, "div_factor", div_factor)
        self.final_div_factor: float = check_setting(name, "final_div_factor", final_div_factor)
        self.three_phase: bool = check_setting(name, "three_phase", three_phase)
        self.max_lrs = self._for_each_group("max_lr", max_lr, {"at_least": 0})
        self.base_momentums: list[float] = []
        self.max_momentums: list[float] = []
        if self.cycle_momentum:
            if not {"momentum", "betas"} & optimizer.defaults.keys():
                kind = type(optimizer).__name__
                raise ValueError(f"{name}: {kind} has no momentum and no betas; pass cycle_momentum=False")
            self.base_momentums = self._for_each_group("base_momentum", base_momentum, MOMENTUM)
            self.max_momentums = self._for_each_group("max_momentum", max_momentum, MOMENTUM)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """The rate of a step, counted from 0, of a group that begins with `base_lr`: max_lr / div_factor."""
        lowest = base_lr / self.final_div_factor
        return self._between(epoch, base_lr, base_lr * self.div_factor, *[base_lr] * self.three_phase, lowest)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As Scheduler; sets the momentum too."""
        super().load_state_dict(state)
        self._set_momentum(self.last_epoch)

    def _check_state(self, state: Any) -> None:
        super()._check_state(state)
        if state["last_epoch"] > state["total_steps"]:
            where = f"OneCycleLR.load_state_dict: last_epoch is {state['last_epoch']}"
            raise ValueError(f"{where}, beyond total_steps, {state['total_steps']}")

    def _initial_rates(self) -> list[float]:
        return [lr / self.div_factor for lr in self.max_lrs]

    def _go_to(self, epoch: int) -> None:
        super()._go_to(epoch)
        self._set_momentum(epoch)

    def _set_momentum(self, epoch: int) -> None:
        momenta = zip(self.base_momentums, self.max_momentums, strict=True)
        for group, (low, high) in zip(self.optimizer.param_groups, momenta, strict=False):  # none to cycle: no pairs
            momentum = self._between(epoch, high, low, *[high] * self.three_phase, high)
            if "betas" in group:
                group["betas"] = momentum, *group["betas"][1:]
            else:
                group["momentum"] = momentum

    def _between(self, epoch: int, *levels: float) -> float:
        """The value in a step between those at the start and at the end of each phase."""
        if epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: this is step {epoch}, but total_steps is {self.total_steps}; it must be how often step() "
                "is called: once a batch or, with fit, once an epoch"
            )
        risen = self.pct_start * self.total_steps - 1
        ends = [risen, 2 * risen, self.total_steps - 1] if self.three_phase else [risen, self.total_steps - 1]
        phase = next((i for i, end in enumerate(ends[:-1]) if epoch <= end), len(ends) - 1)
        start, end, first, last = [0.0, *ends][phase], ends[phase], *levels[phase : phase + 2]
        done = min((epoch - start) / (end - start), 1.0) if end != start else 1.0  # more after the last step
        if self.anneal_strategy == "linear":
            return first + (last - first) * done
        return last + (first - last) / 2 * (1 + math.cos(math.pi * done))
