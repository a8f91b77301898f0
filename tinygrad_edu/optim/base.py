"""Optimizer, the base class: groups of parameters, the loop over them, and the state from which training goes on.

A subclass only says what to subtract from one parameter; see optimizers.py. An optimizer holds the Tensors themselves,
and its moments belong to these objects. After `model = copy.deepcopy(best)` it would still train the old model's. So
model.load_state_dict() and optimizer.load_state_dict() write in place, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import is_
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.arguments import Named, answering_for
from tinygrad_edu.arrays import KINDS, AnyArray, brought, home
from tinygrad_edu.checks import check_number, check_positive_int, refuse_mask
from tinygrad_edu.optim.parameters import (
    Group,
    check_hyperparameters,
    check_parameters,
    gradient_array,
    hyperparameters,
    work_arrays,
)
from tinygrad_edu.optim.torch_state import from_torch, to_torch
from tinygrad_edu.tensor import Tensor

__all__ = ["Optimizer", "Params", "State"]

ADDED = {"maximize": False, "amsgrad": False, "dampening": 0.0}  # what groups in older files lack

State = dict[str, Any]  # of one parameter: "step", an int, and its moments, arrays
Params = Iterable[Tensor] | Iterable[Mapping[str, Any]]


class Optimizer(metaclass=Named):
    """Base class: a subclass defines `update`, which says what to subtract from one parameter, and names its `moments`.

    Parameters come in groups, each with hyperparameters of its own. `step` reads them at every step, so they may be
    changed in between, as schedulers do: optimizer.param_groups[0]["lr"] = 0.01.

    Args:
        params: Leaf Tensors, such as model.parameters(), or groups of them: dicts {"params": [...], "lr": 0.1}.
        defaults: The hyperparameters and their values where a group has none of its own. Of those, two work without
            your doing: `weight_decay` adds the gradient of the penalty weight_decay / 2 * p**2 to the gradient, and
            `maximize` turns the gradient round before, so that steps lead uphill.

    Attributes:
        param_groups: A list of dicts with "params" and every hyperparameter.
        state: For each parameter a dict with "step", the number of its steps, and its moments; {} before the first.
        scalars: Names of the plain numbers, at least 0, that `update` keeps in the state beside "step" and the moments.
        torch_names: PyTorch's names for what the state holds, see `to_torch`.

    Raises:
        TypeError: `params` is a single Tensor, or contains anything other than Tensors, or than groups.
        ValueError: A group is empty, or has a duplicate or the result of an op; a hyperparameter is out of range or
            unknown.

    Example:
        class SignSGD(Optimizer):       # Bernstein et al. 2018
            def __init__(self, params, lr=1e-3):
                super().__init__(params, {"lr": lr})

            def update(self, grad, state, group, scratch):
                return np.multiply(np.sign(grad), group["lr"], out=scratch)
    """

    scalars: ClassVar[tuple[str, ...]] = ()
    torch_names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, params: Params, defaults: Mapping[str, Any]) -> None:
        self.defaults = check_hyperparameters(type(self).__name__, defaults)
        self.param_groups: list[Group] = []
        self.state: list[State] = []
        self._seen: list[Group] = []  # the groups as they were last checked
        self._added: list[Tensor] = []  # the parameters, in the order of the state
        self._work: list[tuple[ndarray, ndarray]] = []
        if isinstance(params, Iterator):
            params = list(params)
        if isinstance(params, (list, tuple)) and any(isinstance(x, Mapping) for x in params):
            for group in params:
                self.add_param_group(group)
        else:
            self._add("params", params, {})

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Adds a group, for example layers that were frozen so far.

        Args:
            group: {"params": [...], ...}; hyperparameters that it does not name have the defaults.

        Raises:
            TypeError, ValueError: As for the class; the latter also where a parameter is in another group.
        """
        where = f"param_groups[{len(self.param_groups)}]"
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f'{where} is {group!r:.80}; a group is a dict such as {{"params": [...], "lr": 0.1}}')
        params = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
        self._add(f"{where}['params']", params, hyperparameters(group))

    def _add(self, where: str, params: object, values: Group) -> None:
        params = check_parameters(params, where, self.params)
        if not params:
            raise ValueError(f"{where} is empty: there is nothing to optimize; a generator can be used up only once")
        values = self._check_group(len(self.param_groups), {**self.defaults, **values})
        self.param_groups.append({"params": params, **values})
        self._seen.append({"params": params, **values})
        self.state += [{} for _ in params]
        self._added += params
        self._work = work_arrays(self.params)

    def _check_group(self, n: int, values: Group) -> Group:
        """The hyperparameters of group n, if they are those of this optimizer and in range."""
        where = f"{type(self).__name__}, param_groups[{n}]"
        if values.keys() != self.defaults.keys():
            wrong = ", ".join(sorted(map(str, values.keys() ^ self.defaults.keys())))
            raise ValueError(f"{where}: unknown or missing {wrong}; it has params, {', '.join(self.defaults)}")
        return check_hyperparameters(where, values)

    @property
    def params(self) -> list[Tensor]:
        """The parameters of all groups, in their order."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def steps(self) -> list[int]:
        """For each parameter, the number of steps it has taken."""
        return [state.get("step", 0) for state in self.state]

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of every group."""
        return float(self.param_groups[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        value = check_number(f"{type(self).__name__}: lr", value, at_least=0)
        for group in self.param_groups:
            group["lr"] = value

    @answering_for
    def zero_grad(self) -> None:
        """Forgets the gradients: backward() adds to what is there."""
        for p in self.params:
            p.grad = None

    @answering_for
    def step(self) -> None:
        """Updates every parameter that has a gradient.

        Raises:
            TypeError: A gradient that was set by hand does not hold real numbers, or param_groups is no list of dicts.
            ValueError: A hyperparameter was set to a value out of range, a gradient that was set by hand has another
                shape than its parameter, or a group was changed by other means than add_param_group. No parameter has
                changed then.
        """
        pairs = self._parameters_and_groups()
        grads = [gradient_array("step", i, p) for i, (p, _) in enumerate(pairs)]
        for (p, group), grad, state, (buffer, scratch) in zip(pairs, grads, self.state, self._work, strict=True):
            if grad is not None:
                p._renumber("step")  # first: Ctrl-C must not leave new values with an old date
                state["step"] = state.get("step", 0) + 1
                step = self.update(self._decay(p, grad, group, buffer), state, group, scratch)
                if type(p._values) is ndarray or type(p._values) in KINDS:
                    p._values -= step
                else:
                    p.assign(p._values - step)

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """What to subtract from a parameter.

        Args:
            grad: Its gradient, of the parameter's shape, which must not be changed; float32 for float16 parameters.
            state: What is kept for this parameter; state["step"] is 1 at its first step.
            group: The hyperparameters.
            scratch: Array of the gradient's shape and dtype to work in; all parameters use the same memory.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update, so it cannot step; define update in it")

    def moments(self, group: Group) -> dict[str, float]:
        """The names of the arrays that `update` keeps in the state, each with its scale.

        The array times its scale is the moment of the formula. Where a scale depends on the group's hyperparameters and
        these are changed, the array is rescaled, so that the moment stays what it is.
        """
        return {}

    def _parameters_and_groups(self) -> list[tuple[Tensor, Group]]:
        """Each parameter with its group, after what was changed in the groups is checked and the moments rescaled."""
        groups, name = self.param_groups, type(self).__name__
        try:
            pairs = [(p, group) for group in groups for p in group["params"]]
        except (TypeError, KeyError):
            how = 'it must stay a list of dicts, each with a list of Tensors as "params"'
            raise TypeError(f"{name}: param_groups is {groups!r:.60}; {how}") from None
        if len(pairs) != len(self._added):
            have = f"{len(pairs)} parameters in param_groups, but {len(self._added)} were added"
            raise ValueError(f"{name}: there are {have}; use add_param_group")
        if len(groups) != len(self._seen):
            raise ValueError(f"{name}: there are {len(groups)} param_groups, but {len(self._seen)} were added")
        if len(self.state) != len(pairs):
            raise ValueError(
                f"{name}: state has {len(self.state)} entries for {len(pairs)} parameters; leave it as it is"
            )
        changed = [i for i, ((p, _), added) in enumerate(zip(pairs, self._added, strict=True)) if p is not added]
        if changed:
            raise ValueError(
                f"{name}: parameter {changed[0]} is another object than the one that was added, of "
                f"shape {self._added[changed[0]].shape}, to which the moments belong; change values with "
                "p.assign(values), or make a new optimizer"
            )
        for n, (group, seen) in enumerate(zip(groups, self._seen, strict=True)):
            if group.keys() != seen.keys() or not all(map(is_, group.values(), seen.values())):
                if not isinstance(group["params"], (list, tuple)):
                    raise TypeError(f"{name}: params of param_groups[{n}] is {group['params']!r:.60}, not a list")
                group.update(self._check_group(n, hyperparameters(group)))
                before = self.moments(seen)
                factors = {k: before[k] / scale for k, scale in self.moments(group).items() if scale != before[k]}
                for state, (_, owner) in zip(self.state, pairs, strict=True):
                    if owner is group:
                        for moment in state.keys() & factors.keys():
                            state[moment] *= factors[moment]
                self._seen[n] = dict(group)
        return pairs

    def _decay(self, p: Tensor, grad: ndarray, group: Group, buffer: ndarray) -> ndarray:
        """The gradient, turned round to maximize, with that of the penalty; `buffer` may hold it, to compute in."""
        if group.get("weight_decay"):
            np.multiply(p.data, group["weight_decay"], out=buffer, dtype=buffer.dtype)
            (np.subtract if group.get("maximize") else np.add)(buffer, grad, out=buffer)
        elif group.get("maximize"):
            np.negative(grad, out=buffer, dtype=buffer.dtype)
        elif grad.dtype == buffer.dtype:
            return grad
        else:
            buffer[...] = grad
        return buffer

    def state_dict(self) -> dict[str, Any]:
        """Everything that training needs to go on as if it had not stopped.

        Returns:
            {"optimizer": name of the class, "state": {i: {"step": n, "<moment>": array}}, "param_groups": [...]}, where
            a group has its hyperparameters and, as "params", the numbers i of its parameters. The arrays are
            C-contiguous copies; everything else is plain numbers. Save the model's state_dict() with it.

        Raises:
            ValueError: A group was changed in a wrong way, as for step().
        """
        self._parameters_and_groups()
        groups, first = [], 0
        for group in self.param_groups:
            last = first + len(group["params"])
            groups.append({**group, "params": list(range(first, last))})
            first = last
        state: dict[int, State] = {}
        for i, entry in enumerate(self.state):
            if entry:
                state[i] = {k: np.array(home(v), order="C") if isinstance(v, AnyArray) else v for k, v in entry.items()}
        return {"optimizer": type(self).__name__, "state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what state_dict() returned: all of it or, on an error, nothing.

        Moments that exist already stay the same arrays, with their memory layout.

        Args:
            state: As from state_dict(); the numbers of the parameters may be strings, as JSON makes them.

        Raises:
            ValueError: It is the state of another class of optimizer, or of other groups or shapes of parameters, or
                has moments of other names, such as PyTorch's, for which there is from_torch().
        """
        self._load(state, "load_state_dict", {})

    def _load(self, state: Mapping[str, Any], method: str, shown: Mapping[str, str]) -> None:
        """Restores a state; errors name the method, and moments as `shown` has them."""
        where = f"{type(self).__name__}.{method}"
        if not isinstance(state, Mapping) or state.keys() != {"optimizer", "state", "param_groups"}:
            keys = ", ".join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            is_torchs = isinstance(state, Mapping) and state.keys() == {"state", "param_groups"}
            hint = "; the state of PyTorch's optimizer is loaded with from_torch()" if is_torchs else ""
            raise ValueError(f"{where}: expected the keys optimizer, state, param_groups, got {keys}{hint}")
        made_by = state["optimizer"]
        if not isinstance(made_by, str) or made_by != type(self).__name__:
            raise ValueError(f"{where}: this is the state of {made_by!s:.60}; make that optimizer, then load it")
        groups, moments = state["param_groups"], state["state"]
        if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
            raise ValueError(f"{where}: param_groups is {groups!r:.60}; it must be a list of dicts")
        if not isinstance(moments, Mapping) or not all(
            str(i).isdecimal() and isinstance(entry, Mapping) for i, entry in moments.items()
        ):
            raise ValueError(f"{where}: state is {moments!r:.60}; it must be a dict by the parameters' numbers")
        numbers = [group.get("params", ()) for group in groups]
        numbers = [part if isinstance(part, (list, tuple)) else () for part in numbers]
        saved, own = [len(part) for part in numbers], [len(group["params"]) for group in self.param_groups]
        if saved != own:
            raise ValueError(f"{where}: the state has groups of {saved} parameters, this optimizer of {own}")
        if [str(i) for part in numbers for i in part] != [str(i) for i in range(sum(own))]:
            raise ValueError(f"{where}: the groups' params are {numbers!r:.60}; they must count up from 0")
        known = {name: value for name, value in ADDED.items() if name in self.defaults}
        values = [self._check_group(n, {**known, **hyperparameters(group)}) for n, group in enumerate(groups)]
        entries = {int(i): entry for i, entry in moments.items() if entry}
        if not entries.keys() <= set(range(len(self.state))):
            raise ValueError(f"{where}: the state is of parameters {[*entries]}, this optimizer has {len(self.state)}")
        arrays = [self._moment_arrays(i, entries.get(i, {}), where, shown) for i in range(len(self.state))]
        for group, seen, new in zip(self.param_groups, self._seen, values, strict=True):  # nothing can fail from here
            group.update(new)
            seen.update(new)
        for i, own_arrays in enumerate(arrays):
            self.state[i].clear()
            if i in entries:
                self.state[i]["step"] = int(entries[i]["step"])
                self.state[i].update({name: float(entries[i][name]) for name in self.scalars if name in entries[i]})
            for name, array in own_arrays.items():
                array[...] = brought(entries[i][name], array)
                self.state[i][name] = array

    def to_torch(self) -> dict[str, Any]:
        """The state as PyTorch's optimizer of the same name has it, for a run that is to go on there.

        Returns:
            {"state": {i: {"step": n, "exp_avg": array, ...}}, "param_groups": [...]}, with PyTorch's names and scales
            and copies of the arrays; steps are arrays of shape (). Made into tensors, it is a state that PyTorch loads:

                state = optimizer.to_torch()
                for entry in state["state"].values():
                    entry.update({name: torch.tensor(value) for name, value in entry.items()})
                torch_optimizer.load_state_dict(state)

        Raises:
            ValueError: As state_dict(), or `torch_names` lacks what the state holds.
        """
        return to_torch(self)

    def from_torch(self, state: Mapping[str, Any]) -> None:
        """Loads what to_torch() returned, or the state_dict() of PyTorch's optimizer: all or, on an error, nothing.

        PyTorch's SGD and Muon do not count their steps; those of this optimizer go on from where they were.

        Args:
            state: {"state": ..., "param_groups": ...}; what it holds may be arrays or tensors.

        Raises:
            ValueError: As load_state_dict.
        """
        self._load(from_torch(self, state), "from_torch", self.torch_names)

    def _moment_arrays(
        self, i: int, entry: Mapping[str, Any], where: str, shown: Mapping[str, str]
    ) -> dict[str, ndarray]:
        """The arrays that the saved moments of parameter i will be written to; missing ones are made."""
        if entry and check_positive_int(f"{where}: parameter {i}: step", entry.get("step")) > 2**53:
            raise ValueError(f"{where}: parameter {i}: step is {entry['step']!r:.60}; a float counts no further")
        known, arrays = self.moments(self.defaults), {}
        for name in self.scalars:
            check_number(f"{where}: parameter {i}: {shown.get(name, name)}", entry.get(name, 0), at_least=0)
        for name in [name for name in entry if name not in ("step", *self.scalars)]:
            if name not in known:
                keeps = f"{type(self).__name__} keeps {', '.join([*known, *self.scalars]) or 'nothing'}"
                why = "PyTorch's are scaled differently and have other names; from_torch() loads them"
                raise ValueError(f"{where}: parameter {i} has {name}, but {keeps}; {why}")
            refuse_mask(f"{where}: parameter {i}: {shown.get(name, name)}", entry[name])
            value = np.asarray(home(entry[name]))
            arrays[name] = array = self.state[i].get(name, np.empty_like(self._work[i][1]))
            if value.shape != array.shape or not np.can_cast(value.dtype, array.dtype, "same_kind"):
                found = f"{shown.get(name, name)} of shape {value.shape} {value.dtype}"
                raise ValueError(f"{where}: parameter {i} needs {array.shape} {array.dtype}, the state has {found}")
        return arrays
