"""Names and places: what the cards of a picture are called, and which module calls they stand in.

A tensor is named, in this order, by the picture's own `names=`, by the path of the parameter in its model, by its
`name`, by the variable that holds it where the picture is asked for, or by its op and a number.

The hard idea is which module made a tensor: a result knows its op and operands, not who called. Marking each result
would cost every op something; but numbers are given in the order of creation, so a call that began when the counter
stood at 10 and returned tensor 17 made the tensors 11 to 17. Each module call therefore leaves one mark, on its output:

    y = linear(x)               # y._scopes is ((linear, 10),), and y._number is 17
    z = y * 2                   # 18: outside

A graph has the outputs of all module calls in it, so their marks are enough to find the scope of every tensor.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from numpy import ndarray

from tinygrad_edu.draw.record import Card, Record, Scope
from tinygrad_edu.modes import PACKAGE
from tinygrad_edu.tensor import Tensor

Variables = dict[int, str]  # id of the object -> name
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def caller_variables() -> Variables:
    """The variables of the innermost code outside this package, local ones before global ones.

    Items of lists, tuples and dicts are found too: "weights[0]".
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    found: Variables = {}
    for scope in (frame.f_locals, frame.f_globals):
        for name, value in list(scope.items()):
            if name.isidentifier() and not name.startswith("_"):
                note(found, name, value)
    for scope in (frame.f_locals, frame.f_globals):
        for name, value in list(scope.items()):
            if isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                for key, item in list(items)[:1000]:
                    if isinstance(key, (int, str)):  # others may take long to write
                        note(found, f"{name}[{key!r}]", item)
    return found


def note(found: Variables, name: str, value: Any) -> None:
    """Remembers the first name of a tensor, array or module."""
    if isinstance(value, (Tensor, ndarray)) or is_module(value):
        found.setdefault(id(value), name)


def is_module(value: Any) -> bool:
    """Whether a value is a Module; that class is not imported for it."""
    return not isinstance(value, type) and hasattr(value, "named_parameters") and hasattr(value, "forward")


def name_cards(found: Record, names: Mapping[Any, Any] | None = None, variables: Variables | None = None) -> None:
    """Gives every card its name, its kind and its scope, in place.

    Args:
        found: The record.
        names: Tensor -> name or name -> Tensor, stronger than all other names.
        variables: As from caller_variables().
    """
    variables = variables or {}
    given = {}
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"names is a {type(names).__name__}; it must be a dict, {{tensor: name}} or {{name: tensor}}")
    for key, value in (names or {}).items():
        tensor, name = (key, value) if isinstance(key, Tensor) else (value, key)
        if not isinstance(tensor, (Tensor, ndarray)):
            raise TypeError(f"names: {key!r:.60}: {value!r:.60} names no Tensor and no array")
        given[id(tensor)] = str(name)
    models = place(found, variables)
    paths: dict[int, str] = {}
    for model, name in models.items():
        for path, parameter in model.named_parameters():
            paths.setdefault(id(parameter), f"{name}.{path}" if name else path)
    counts: dict[str, int] = {}
    for card in found.cards:
        thing = card.constant if card.tensor is None else card.tensor
        if card.tensor is not None and id(card.tensor) in paths and card.op is None:
            card.kind = "parameter" if card.needs_gradient else card.kind
            card.scope = owner(card)
        choices = given.get(id(thing)), paths.get(id(thing)), card.name, variables.get(id(thing))
        name = next((choice for choice in choices if choice), None)
        card.named = name is not None
        card.name = name or made_up(card, counts)
    distinguish(found)


def distinguish(found: Record) -> None:
    """Numbers the later ones of tensors that share a name: h, h₂, h₃."""
    counts: Counter[str] = Counter()
    for card in found.cards:
        if card.named:
            counts[card.name] += 1
            card.name += str(counts[card.name]).translate(SUBSCRIPTS) if counts[card.name] > 1 else ""


def made_up(card: Card, counts: dict[str, int]) -> str:
    """A name for a card that has none: its number, or what it is and how many of these there were."""
    if card.constant is not None and card.value.size == 1:
        return f"{card.value.item():.6g}"
    stem = card.op.name if card.op is not None else "data" if card.kind == "data" else "input"
    counts[stem] = counts.get(stem, 0) + 1
    return f"{stem}{counts[stem]}"


def place(found: Record, variables: Variables) -> dict[Any, str]:
    """Finds the scope of every result; returns the models, the modules of the outermost calls, with their names."""
    calls = []
    for card in found.cards:
        if card.tensor is not None and card.op is not None:
            for module, start in card.tensor._scopes or ():
                calls.append((start, -card.tensor._number, module))
    calls.sort(key=lambda call: call[:2])  # outer calls before those inside
    models: dict[Any, str] = {}
    paths: dict[int, dict[int, str]] = {}  # of a model's modules
    results = [card for card in found.cards if card.tensor is not None and card.op is not None]
    open_: list[tuple[Scope, int]] = []
    waiting = iter(calls)
    call = next(waiting, None)
    for card in results:  # in the order of creation
        assert card.tensor is not None
        number = card.tensor._number
        while call is not None and call[0] < number:
            start, end, module = call
            while open_ and open_[-1][1] <= start:
                open_.pop()
            open_.append((scope_of(module, open_[-1][0] if open_ else None, variables, models, paths), -end))
            call = next(waiting, None)
        while open_ and open_[-1][1] < number:
            open_.pop()
        card.scope = open_[-1][0] if open_ else None
    return models


def scope_of(
    module: Any, parent: Scope | None, variables: Variables, models: dict[Any, str], paths: dict[int, dict[int, str]]
) -> Scope:
    """The scope of a module call: named by its variable or, inside another, by its path there."""
    if parent is None:
        name = models.setdefault(module, variables.get(id(module), ""))
        return Scope(name, label(module), module)
    if id(parent.module) not in paths:
        paths[id(parent.module)] = {id(child): path for path, child in parent.module.named_modules()}
    return Scope(paths[id(parent.module)].get(id(module), ""), label(module), module, parent)


def label(module: Any) -> str:
    """The class of a module and its numbers: Linear(784, 128)."""
    numbers = re.findall(r"(?:^|=|, )(-?[\d.]+(?:e-?\d+)?)(?=,|$)", module.extra_repr())
    return f"{type(module).__name__}({', '.join(numbers)})" if numbers else type(module).__name__


def owner(card: Card) -> Scope | None:
    """The scope of a parameter: of the call that first used it, the innermost one whose module holds it."""
    for wire in card.uses:
        scope = wire.target.scope
        while scope is not None:
            if any(p is card.tensor for _, p in scope.module._own(Tensor)):
                return scope
            scope = scope.parent
    return None
