"""Names and scopes: what the cards of a picture are called, and which module calls they belong to.

A tensor is named, in this order, by the picture's own `names=`, by the path of the parameter in its model, by its
`name`, by the variable that holds it where the picture is asked for, by the array that it is a part of, or by its op
and a number.

Marking every result with its module would slow down every op. Numbers are given in the order of creation, so one mark
for each module call, on its output, is enough:

    y = linear(x)               # y._scopes is ((linear, 10),), and y._number is 17: it made the tensors 11 to 17
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from inspect import CO_OPTIMIZED
from itertools import islice
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from tinygrad_edu.anomaly import calling_frame
from tinygrad_edu.draw.numbers import format_number
from tinygrad_edu.draw.record import Card, Record, Scope
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.nn import Module

__all__ = ["Names", "caller_variables", "name_cards", "printable", "shorten"]

Names = Mapping[Tensor, str] | Mapping[str, Tensor | ndarray]
Variables = dict[int, str]  # id of the object -> name
PARTS = 1000  # of a list, dict or object that are looked at
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
LONGEST_NAME = 28  # characters of a name in a picture
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def printable(name: str) -> str:
    """A name on one line: control characters, and what would reverse the text, become spaces."""
    return UNPRINTABLE.sub(" ", name)


def shorten(name: str, longest: int = LONGEST_NAME, *, keep_start: bool = False) -> str:
    """A printable name, cut if it is too long.

    A dotted path loses its beginning (paths differ at their ends), any other name its middle; with `keep_start` every
    name loses its end.
    """
    name = printable(name)
    if len(name) <= longest:
        return name
    if keep_start:
        return name[: max(longest - 1, 0)] + "…"
    end, half = name[1 - longest :], (longest - 1) // 2
    return f"…{end}" if "." in end else f"{name[:half]}…{name[-half:]}"


def caller_variables() -> Variables:
    """The variables of the innermost code outside this package, local ones before global ones.

    What lists, tuples, dicts and objects hold is found too: "weights[0]", "model.w", in a method "self.w".
    """
    frame = calling_frame()
    local = frame.f_locals
    variables = {**local}
    if sys.version_info < (3, 13) and frame.f_code.co_flags & CO_OPTIMIZED and sys.getrefcount(local) <= 3:
        local.clear()  # a copy that the frame would keep, with all graphs in it; more references: a user's locals()
    for name, value in list(frame.f_globals.items()):
        variables.setdefault(name, value)
    shown = [(name, value) for name, value in variables.items() if name.isidentifier() and not name.startswith("_")]
    inside = [(name + suffix, part) for name, value in shown for suffix, part in parts_of(value)]
    found: Variables = {}
    for name, value in shown + inside:
        kind = type(value)  # a Module is told by its methods, so that the class need not be imported
        if issubclass(kind, (Tensor, ndarray)) or (hasattr(kind, "named_parameters") and hasattr(kind, "forward")):
            found.setdefault(id(value), name)
    return found


def parts_of(value: Any) -> Iterable[tuple[str, Any]]:
    """What a list, tuple, dict or object holds, at most PARTS of it, without running code of its class."""
    kind = type(value)
    if issubclass(kind, (list, tuple)):  # isinstance would ask value.__class__
        return [(f"[{i}]", part) for i, part in enumerate(value[:PARTS])]
    if issubclass(kind, dict):  # only strings and integers: another key may take long to write
        items = list(islice(dict.items(value), PARTS))
        return [(f"[{key!r}]", part) for key, part in items if isinstance(key, (int, str))]
    attributes = object.__getattribute__(value, "__dict__") if kind.__dictoffset__ else None
    if type(attributes) is not dict:  # a class has another kind of mapping
        return []
    return [(f".{name}", part) for name, part in list(islice(attributes.items(), PARTS))]


def name_cards(found: Record, names: Names | None = None, variables: Variables | None = None) -> None:
    """Gives every card its name, its kind and its scope, in place; `names` are stronger than all other names."""
    variables, given = variables or {}, names_by_id({} if names is None else names)
    paths: Variables = {}
    for model, name in find_scopes(found, variables):
        for path, parameter in model.named_parameters():
            paths.setdefault(id(parameter), f"{name}.{path}" if name else path)
    counts: Counter[str] = Counter()  # of the names that are made up
    namesakes: Counter[str] = Counter()
    for card in found.cards:
        thing = card.constant if card.tensor is None else card.tensor
        if card.tensor is not None and id(card.tensor) in paths and card.op is None:
            card.kind = "parameter"
            card.scope = parameter_scope(card)
        own = card.name if card.named else None
        choices = given.get(id(thing)), paths.get(id(thing)), own, variables.get(id(thing)), part_name(thing, variables)
        chosen = next(filter(None, choices), None)
        card.named = chosen is not None
        if chosen is None and card.kind == "data" and card.tensor is not None and card.value.ndim == 0 and card.uses:
            card.constant, card.tensor = card.value, None  # a number in an expression like any other
        card.name = chosen or made_up_name(card, counts)
        if card.named:
            namesakes[card.name] += 1
            if namesakes[card.name] > 1:  # h, h₂, h₃
                card.name += str(namesakes[card.name]).translate(SUBSCRIPTS)


def names_by_id(names: Names) -> Variables:
    if not isinstance(names, Mapping):
        raise TypeError(f"names is a {type(names).__name__}; it must be a dict, {{tensor: name}} or {{name: tensor}}")
    given: Variables = {}
    for key, value in names.items():
        tensor, name = (key, value) if isinstance(key, Tensor) else (value, key)
        if not isinstance(tensor, (Tensor, ndarray)):
            raise TypeError(f"names: {key!r:.60}: {value!r:.60} names neither a Tensor nor an array")
        given[id(tensor)] = str(name)
    return given


def part_name(array: object, variables: Variables) -> str | None:
    """The name of a row or of rows of an array that has a name: "xs[3]", "images[64:128]"."""
    if not isinstance(array, ndarray) or not isinstance(base := array.base, ndarray):
        return None
    name = variables.get(id(base))
    if name is None or not (array.size and base.ndim and base.strides[0]):
        return None
    start, rest = divmod(array.__array_interface__["data"][0] - base.__array_interface__["data"][0], base.strides[0])
    if rest or array.dtype != base.dtype:
        return None
    if (array.shape, array.strides) == (base.shape[1:], base.strides[1:]):
        return f"{name}[{start}]"
    if (array.shape[1:], array.strides) == (base.shape[1:], base.strides):
        return f"{name}[{start}:{start + len(array)}]"
    return None


def made_up_name(card: Card, counts: Counter[str]) -> str:
    """A name for a card that has none: its digits, or what it is and a count."""
    if card.is_number:
        return f"{card.value.item():.6g}"
    stem = card.op.name if card.op is not None else card.kind
    if card.kind == "data" and card.value.dtype.kind == "b":
        stem = "mask"
    elif card.kind == "data" and card.value.size and card.value.ndim:
        stem = next((name for name, x in (("zeros", 0), ("ones", 1)) if (card.value == x).all()), stem)
    counts[stem] += 1
    return stem if stem in ("zeros", "ones") and counts[stem] == 1 else f"{stem}{counts[stem]}"


def find_scopes(found: Record, variables: Variables) -> list[tuple[Module, str]]:
    """Finds the scope of every result; returns the models, the modules of the outermost calls, with their names."""
    results = [(card, card.tensor) for card in found.cards if card.tensor is not None and card.op is not None]
    calls = [(start, tensor._number, module) for _, tensor in results for module, start in tensor._scopes or ()]
    calls.sort(key=lambda call: -call[0])  # the first to begin is popped first: outer calls before those inside
    models: dict[int, tuple[Module, str]] = {}  # by id, as not every module can be hashed
    paths: dict[int, Variables] = {}  # of the modules within a module
    running: list[tuple[Scope, int]] = []  # the calls around the current tensor, each with the number of its last one
    for card, tensor in results:  # in the order of creation
        while calls and calls[-1][0] < tensor._number:
            start, end, module = calls.pop()
            while running and running[-1][1] <= start:
                running.pop()
            parent = running[-1][0] if running else None
            if parent is None or parent.module is None:
                _, name = models.setdefault(id(module), (module, variables.get(id(module), "")))
            else:
                if id(parent.module) not in paths:
                    paths[id(parent.module)] = {id(child): path for path, child in parent.module.named_modules()}
                name = paths[id(parent.module)].get(id(module), "")
            running.append((Scope(name, module_label(module), module, parent), end))
        while running and running[-1][1] < tensor._number:
            running.pop()
        card.scope = running[-1][0] if running else None
    return list(models.values())


def module_label(module: Module) -> str:
    """The class of a module and its numbers: Linear(784, 128)."""
    numbers = re.findall(r"(?:^|=|, )(-?[\d.]+(?:e-?\d+)?)(?=,|$)", module.extra_repr())
    shown = ", ".join([format_number(float(x)) for x in numbers])
    return f"{type(module).__name__}({shown})" if shown else type(module).__name__


def parameter_scope(card: Card) -> Scope | None:
    """The scope of a parameter: of the call that first used it, the innermost one whose module holds it."""
    for wire in card.uses:
        scope = wire.target.scope
        while scope is not None:
            if scope.module is not None and any(p is card.tensor for _, p in scope.module._own(Tensor)):
                return scope
            scope = scope.parent
    return None
