"""The state of an optimizer in PyTorch's names and scales, and back: a run can go on there and return.

Here sums are kept where PyTorch keeps means, see the top of optimizers.py; `Optimizer.moments` has their scales, and
`torch_names` the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from tinygrad_edu.checks import refuse_mask
from tinygrad_edu.optim.parameters import Group, check_hyperparameters, hyperparameters

__all__ = ["from_torch", "to_torch"]

TORCH_ONLY = {  # what PyTorch's groups hold besides: how a step is computed, and what schedules note down
    "foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay", "param_names",
    "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum",
}  # fmt: skip


MARKS = {  # a hyperparameter by which PyTorch's groups tell whose they are
    "ns_steps": "Muon", "momentum_decay": "NAdam", "amsgrad": "Adam", "centered": "RMSprop", "lr_decay": "Adagrad",
    "dampening": "SGD",
}  # fmt: skip


class Translated(Protocol):
    """What is needed of an optimizer here."""

    defaults: Group
    param_groups: list[Group]
    torch_names: ClassVar[Mapping[str, str]]

    @property
    def steps(self) -> list[int]: ...

    def moments(self, group: Group) -> dict[str, float]: ...

    def state_dict(self) -> dict[str, Any]: ...


def to_torch(optimizer: Translated) -> dict[str, Any]:
    """The optimizer's state as PyTorch's has it; see Optimizer.to_torch."""
    saved, names = optimizer.state_dict(), optimizer.torch_names
    states: dict[int, dict[str, Any]] = {}
    for group in saved["param_groups"]:
        scales = optimizer.moments(group)
        for i in group["params"]:
            entry = saved["state"].get(i, {})
            unknown = [name for name in entry if name != "step" and name not in names]
            if unknown:
                what = f"{type(optimizer).__name__}.to_torch: the state of parameter {i} has {', '.join(unknown)}"
                raise ValueError(f"{what}, of which torch_names does not say how PyTorch calls it")
            known = {name: value for name, value in entry.items() if name in names}
            if known:  # SGD without momentum has only a number of steps, which PyTorch's does not count
                states[i] = {names[k]: np.asarray(value * scales.get(k, 1.0)) for k, value in known.items()}
    return {"state": states, "param_groups": saved["param_groups"]}


def from_torch(optimizer: Translated, state: Mapping[str, Any]) -> dict[str, Any]:
    """PyTorch's state as optimizer.load_state_dict takes it, which checks the values."""
    name = type(optimizer).__name__
    where = f"{name}.from_torch"
    groups, entries = parts_of(state, where)
    scales, own_groups = {}, []
    for group in groups:
        group = {key: plain_numbers(value) for key, value in group.items()}
        check_owner(optimizer, group, where)
        own_groups.append({k: v for k, v in group.items() if k in optimizer.defaults or k not in TORCH_ONLY})
        values = check_hyperparameters(where, {**optimizer.defaults, **hyperparameters(own_groups[-1])})
        if isinstance(numbers := group.get("params"), (list, tuple)):
            scales.update({str(i): optimizer.moments(values) for i in numbers})
    steps = {str(i): count for i, count in enumerate(optimizer.steps)}
    states = {}
    for i, entry in entries.items():
        if str(i) not in scales:  # load_state_dict says so
            states[i] = dict(entry)
            continue
        own = own_values(optimizer, entry, scales[str(i)], f"{where}: parameter {i}")
        if "step" not in optimizer.torch_names:
            own["step"] = max(1, steps.get(str(i), 0))
        if own.get("step") != 0:  # PyTorch's Adagrad has a state before the first step
            states[i] = own
    return {"optimizer": name, "state": states, "param_groups": own_groups}


def check_owner(optimizer: Translated, group: Mapping[str, Any], where: str) -> None:
    """Refuses a group of another optimizer's state, by its hyperparameters."""
    name, decoupled = type(optimizer).__name__, group.get("decoupled_weight_decay")
    theirs, own = [next((MARKS[k] for k in MARKS if k in held), None) for held in (group, optimizer.defaults)]
    if theirs and theirs != own:
        theirs = "AdamW" if theirs == "Adam" and decoupled else theirs
        raise ValueError(f"{where}: this is the state of {theirs}; make that optimizer, then load its state")
    if theirs != own:
        lacking = ", ".join([k for k in optimizer.defaults if k not in group])
        raise ValueError(f"{where}: param_groups lack {lacking}; is this the state of another optimizer?")
    if name in ("Adam", "AdamW") and decoupled in (True, False) and decoupled != (name == "AdamW"):
        other = "AdamW" if decoupled else "Adam"
        raise ValueError(f"{where}: the weight decay is that of {other}; make that optimizer, then load its state")


def plain_numbers(value: Any) -> Any:
    """What is an array or a tensor of shape () as a number, also in a pair."""
    if isinstance(value, tuple):
        return tuple(map(plain_numbers, value))
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def parts_of(state: Any, where: str) -> tuple[list[Mapping[str, Any]], Mapping[Any, Mapping[str, Any]]]:
    """The groups and the parameters' states of what PyTorch's state_dict() returns."""
    if not isinstance(state, Mapping) or state.keys() != {"state", "param_groups"}:
        keys = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"{where}: expected the keys state, param_groups, as of PyTorch's state_dict, got {keys}")
    groups, entries = state["param_groups"], state["state"]
    if not isinstance(groups, (list, tuple)) or not all(isinstance(group, Mapping) for group in groups):
        raise ValueError(f"{where}: param_groups is {groups!r:.60}; it must be a list of dicts")
    if not isinstance(entries, Mapping) or not all(isinstance(entry, Mapping) for entry in entries.values()):
        raise ValueError(f"{where}: state is {entries!r:.60}; it must be a dict of dicts")
    return list(groups), entries


def own_values(optimizer: Translated, entry: Mapping[str, Any], scales: dict[str, float], where: str) -> dict[str, Any]:
    """What PyTorch holds for a parameter, in the names and scales of this package."""
    names = {theirs: ours for ours, theirs in optimizer.torch_names.items()}
    found: dict[str, Any] = {}
    for theirs, value in entry.items():
        if theirs not in names:
            raise ValueError(f"{where} has {theirs!r:.60}, but {type(optimizer).__name__} has {', '.join(names)} there")
        if value is None:  # SGD's momentum_buffer without momentum
            continue
        refuse_mask(f"{where}: {theirs}", value)
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:  # a ragged list, or a tensor of a dtype that NumPy lacks
            raise ValueError(f"{where}: {theirs} is not an array: {error}") from None
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{where}: {theirs} is of dtype {array.dtype}; it must hold real numbers")
        ours = names[theirs]
        if ours in scales:
            found[ours] = array / scales[ours]
        elif array.ndim:
            raise ValueError(f"{where}: {theirs} is of shape {array.shape}; it must be a single number")
        else:
            number = float(array)
            found[ours] = int(number) if number.is_integer() else number
    return found
