"""Names: what the cards of a picture are called.

A tensor is named, in this order, by the picture's own `names=`, by the path of the parameter or buffer in its model, by
its `name`, by the variable that holds it where the picture is asked for, by a variable of the code that made it where
the picture ran that code itself (see observer.py), by the array that it is a part of, or by its op and a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.numbers import FEW_ELEMENTS
from tinygrad_edu.draw.record import Card, Record, Scope
from tinygrad_edu.draw.scopes import find_scopes, function_label, held_by, holder_scope, scope_of_uses
from tinygrad_edu.draw.variables import Variables
from tinygrad_edu.tensor import Tensor

__all__ = ["Names", "name_cards", "printable", "shorten"]

Names = Mapping[Tensor, str] | Mapping[str, Tensor | ndarray]
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


def name_cards(found: Record, names: Names | None = None, variables: Variables | None = None) -> None:
    """Gives every card its name, its kind and its scope, in place; `names` are stronger than all other names."""
    variables, given = variables or {}, names_by_id({} if names is None else names)
    paths: Variables = {}
    for model, name in find_scopes(found, variables):
        for path, thing in held_by(model):
            if isinstance(thing, (Tensor, ndarray)):
                paths.setdefault(id(thing), f"{name}.{path}" if name else path)
    variables = variables | paths
    counts: Counter[str] = Counter()  # of the names that are made up
    namesakes: Counter[str] = Counter()
    for card in found.cards:
        thing = card.constant if card.tensor is None else card.tensor
        if id(thing) in paths and card.op is None:
            card.kind = "data" if card.tensor is None else "parameter"
            card.scope = holder_scope(card, thing)
        own = card.name if card.named else None
        choices = given.get(id(thing)), paths.get(id(thing)), own, variables.get(id(thing)), part_name(thing, variables)
        chosen = next(filter(None, choices), None)
        card.named = chosen is not None
        if chosen is None and card.kind == "data" and card.tensor is not None and card.value.ndim == 0 and card.uses:
            card.constant, card.tensor = card.value, None  # a number in an expression like any other
        card.name = chosen or made_up_name(card, counts)
        if chosen is None and is_mask(card):
            card.scope = scope_of_uses(card)
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
    """The name of an array in another shape, or of rows of it: "xs", "xs[3]", "images[64:128]"."""
    if not isinstance(array, ndarray) or not isinstance(base := array.base, ndarray):
        return None
    name = variables.get(id(base))
    if name and array.size == base.size and array.flags.c_contiguous and base.flags.c_contiguous:
        return name if array.dtype == base.dtype else None  # another shape of the same
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


def is_mask(card: Card) -> bool:
    """Whether a constant leaves out a part: it adds 0 and −∞, or multiplies by 0 and one other number, as dropout does.

    Outside a module Dropout that must be a large array: [0, 2] may be anything.
    """
    array, ops = card.constant, {wire.target.op.name for wire in card.uses if wire.target.op is not None}
    if not isinstance(array, ndarray) or array.dtype.kind != "f" or not array.size:
        return False
    if ops == {"multiply"} and is_dropout(scope_of_uses(card)):
        return True
    if not ops <= {"add", "subtract", "multiply"} or (array != 0).all() or not array.any():
        return False
    other = -np.inf if ops != {"multiply"} else array.max()
    large = array.size > FEW_ELEMENTS or other == -np.inf
    return large and other != 1 and bool(((array == 0) | (array == other)).all())


def is_dropout(scope: Scope | None) -> bool:
    return scope is not None and scope.label.startswith("Dropout")


def made_up_name(card: Card, counts: Counter[str]) -> str:
    """A name for a card that has none: its digits, or what it is and a count."""
    if card.is_number:
        return f"{card.value.item():.6g}"
    op = None if card.tensor is None else card.tensor._op
    stem = card.kind if op is None else op.name
    if card.tensor is not None and (function := function_label(card.tensor)):
        stem = function  # mse_loss1, rather than mean1
    if card.kind == "data" and (card.value.dtype.kind == "b" or is_mask(card)):
        stem = "mask"
    elif card.uses and all(wire.parameter for wire in card.uses):
        stem = "index"
    elif card.kind == "data" and card.value.size and card.value.ndim:
        stem = next((name for name, x in (("zeros", 0), ("ones", 1)) if (card.value == x).all()), stem)
    counts[stem] += 1
    return stem if stem in ("zeros", "ones") and counts[stem] == 1 else f"{stem}{counts[stem]}"
