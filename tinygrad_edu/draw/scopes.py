"""Which calls of modules and functions the cards of a picture belong to: the boxes that it draws.

The marks are those of the package's `scopes.py`: of each result, the calls that it came out of and the numbers at which
they began. What a call made has numbers between that and the number of its newest result.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.numbers import format_number
from tinygrad_edu.draw.record import Card, Record, Scope, common_scope
from tinygrad_edu.draw.variables import Variables, parts_of
from tinygrad_edu.tensor import Tensor

__all__ = [
    "call_label",
    "find_scopes",
    "function_label",
    "held_by",
    "holder_scope",
    "is_module",
    "put_inside",
    "scope_of_uses",
]

SETTING = re.compile(r"(?:(\w+)=)?(\([^()]*\)|[^,()=]+)(?:, |$)")  # of a repr
UNSEEN = {"eps", "momentum", "dropout"}  # which do not say what a layer is
USUAL = {"stride": "1", "padding": "0", "dilation": "1", "groups": "1", "num_layers": "1", "padding_idx": ""}
MOST = 10_000  # objects that are looked at within one


def find_scopes(found: Record, variables: Variables) -> list[tuple[Any, str]]:
    """Finds the scope of every result; returns the models, what the outermost calls were of, with their names."""
    results = [(card, card.tensor) for card in found.cards if card.tensor is not None and card.op is not None]
    ends: dict[tuple[int, int], tuple[Any, int]] = {}  # by start, and id: what was called, and its newest result
    for _, tensor in results:
        for called, start in tensor._scopes or ():
            ends[start, id(called)] = called, tensor._number
    calls = sorted(((start, *end) for (start, _), end in ends.items()), key=lambda call: -call[0])
    models: dict[int, tuple[Any, str]] = {}  # by id, as not every module can be hashed
    paths: dict[int, Variables] = {}  # of what an owner holds
    running: list[tuple[Scope, int]] = []  # the calls around the current tensor, each with the number of its last one
    for card, tensor in results:  # in the order of creation
        while calls and calls[-1][0] < tensor._number:  # the first to begin is popped first: outer calls before inner
            start, called, end = calls.pop()
            while running and running[-1][1] <= start:
                running.pop()
            parent = running[-1][0] if running else None
            if isinstance(called, FunctionType):
                running.append((Scope("", called.__name__, None, parent), end))
                continue
            owner = next((scope.module for scope in (parent.path() if parent else [])[::-1] if scope.module), None)
            if owner is None:
                _, name = models.setdefault(id(called), (called, variables.get(id(called), "")))
            else:
                if id(owner) not in paths:
                    paths[id(owner)] = {id(part): path for path, part in held_by(owner)}
                name = paths[id(owner)].get(id(called), "")
            running.append((Scope(name, call_label(called), called, parent), end))
        while running and running[-1][1] < tensor._number:
            running.pop()
        card.scope = running[-1][0] if running else None
    leave_out_repeats([card for card, _ in results])
    return list(models.values())


def leave_out_repeats(results: list[Card]) -> None:
    """Leaves out the box of a function that has a single op, or all the ops of the box around it, or its title."""
    counts = Counter(scope for card in results if card.scope for scope in card.scope.path())

    def is_left_out(scope: Scope) -> bool:
        around = scope.parent
        same = around is not None and (counts[around] == counts[scope] or around.label == scope.label)
        return scope.module is None and (counts[scope] == 1 or same)

    left_out = {scope for scope in counts if is_left_out(scope)}

    def kept(scope: Scope | None) -> Scope | None:
        while scope in left_out:
            scope = scope.parent
        return scope

    for scope in counts:
        scope.parent = kept(scope.parent)
    for card in results:
        card.scope = kept(card.scope)


def is_module(owner: object) -> bool:
    """Whether it is a Module, told by its methods, so that the class need not be imported."""
    return hasattr(type(owner), "named_parameters") and hasattr(type(owner), "forward")


def call_label(called: Any) -> str:
    """The class of a module and its sizes: Conv2d(1, 8, 3, stride=2); of another object the class alone."""
    if not is_module(called):
        return type(called).__name__
    sizes: dict[str, str] = {}
    for place, (name, text) in enumerate(SETTING.findall(called.extra_repr())):
        usual = USUAL.get(name)
        if name == "stride" and "0" not in sizes:  # a pooling layer, without channels
            usual = sizes.get("kernel_size")
        shown = size_text(text, same=bool(name))
        if shown and name not in UNSEEN and shown != usual:
            sizes[name or str(place)] = shown
    shown = ", ".join([f"{name}={text}" if name in USUAL else text for name, text in sizes.items()])
    return f"{type(called).__name__}({shown})" if shown else type(called).__name__


def size_text(text: str, same: bool) -> str:
    """A number of a repr, or a tuple of numbers, of which one stands for all if they are the `same`; else ""."""
    tuple_of = [part for part in text.strip("()").split(",") if part.strip()]
    try:
        numbers = [format_number(float(part)) for part in tuple_of]
    except ValueError:
        return ""
    if len(numbers) == 1 or (same and len(set(numbers)) == 1):
        return numbers[0]
    return f"({', '.join(numbers)})" if numbers else ""


def held_by(owner: Any) -> Iterator[tuple[str, Any]]:
    """What a module or another object holds, with its path: modules, parameters, buffers; objects, Tensors, arrays."""
    if is_module(owner):
        for named in (owner.named_modules, owner.named_parameters, owner.named_buffers):
            yield from named()
        return
    waiting, seen = deque([("", owner)]), {id(owner)}
    while waiting and len(seen) < MOST:
        above, thing = waiting.popleft()
        for suffix, part in parts_of(thing):
            if id(part) in seen:
                continue
            seen.add(id(part))
            path = (above + suffix).removeprefix(".")
            yield path, part
            if is_module(part):
                yield from ((f"{path}.{inner}", value) for inner, value in held_by(part) if inner)
            elif not isinstance(part, (Tensor, ndarray, type)):
                waiting.append((path, part))


def function_label(result: Tensor) -> str:
    """The outermost function of the library that returned a result; "" if none did."""
    functions = [called.__name__ for called, _ in result._scopes or () if isinstance(called, FunctionType)]
    return functions[-1] if functions else ""


def holder_scope(card: Card, thing: object) -> Scope | None:
    """The scope of a parameter or buffer: of the call that first used it, the innermost whose module holds it."""
    for wire in card.uses:
        scope = wire.target.scope
        while scope is not None:
            if scope.module is not None and holds(scope.module, thing):
                return scope
            scope = scope.parent
    return None


def holds(owner: Any, thing: object) -> bool:
    """Whether an object holds a parameter or an array itself, in an attribute or in a list or dict."""
    if is_module(owner):
        return any(part is thing for kind in (Tensor, ndarray) for _, part in owner._own(kind))
    own = [part for _, part in parts_of(owner)]
    return any(part is thing for part in own) or any(
        part is thing for group in own if type(group) in (list, tuple, dict) for _, part in parts_of(group)
    )


def put_inside(found: Record, given: Sequence[Any], outside: set[int]) -> None:
    """Puts the arrays that a call made for itself, such as masks and positions, into the boxes of what uses them.

    Args:
        found: The record.
        given: What the call got. If nothing of that is in the picture, since the call computed with NumPy what it needs
            of it, the first array in use stays outside in its place.
        outside: The ids of what else there was before the call.
    """
    got = {id(part) for thing in given for part in (thing, *[part for _, part in parts_of(thing)])} - {id(None)}
    shown = {id(x) for card in found.cards for x in (card.tensor, card.constant, getattr(card.constant, "base", None))}
    has_input = not got or bool(got & shown)
    copied = [x for x in given if id(x) not in shown and isinstance(x, (ndarray, list, tuple))]
    made = []
    for card in found.cards:
        array = card.constant
        before = {id(array), id(getattr(array, "base", None))} & (got | outside)
        if not isinstance(array, ndarray) or not array.ndim or card.scope or before:
            continue
        if any(is_copy(card.value, x) for x in copied):
            has_input = True
        else:
            made.append(card)
    inputs = [] if has_input else [card for card in made if not is_plain(card)][:1]
    for card in made:
        if card not in inputs:
            card.scope = scope_of_uses(card)


def is_copy(array: ndarray, thing: Any) -> bool:
    """Whether an array has the numbers of another one or of a list, in its own dtype."""
    try:
        return np.shape(thing) == array.shape and np.array_equal(np.asarray(thing, array.dtype), array)
    except (TypeError, ValueError):  # rows of different lengths, or no numbers
        return False


def is_plain(card: Card) -> bool:
    """Whether it is a mask, or all zeros or ones."""
    array = card.value
    return bool(array.dtype == bool or (array == 0).all() or (array == 1).all()) or card.name.startswith("mask")


def scope_of_uses(card: Card) -> Scope | None:
    """The innermost scope around all that uses a card."""
    return common_scope(wire.target.scope for wire in card.uses)
