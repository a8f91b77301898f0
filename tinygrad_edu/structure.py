"""Structures: nested dicts, lists and tuples whose leaves are arrays, such as the parameters of a net.

A list or tuple of numbers alone, nested or not, is one array, as for NumPy: [1.0, 2.0] is a leaf, [W, 2.0] a
structure. Dicts, named tuples and empty lists are always structures, and None is one without leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["is_numbers", "leaves", "pairs", "places", "rebuild"]


class Star:
    """Stands for a leaf where a structure is printed."""

    def __repr__(self) -> str:
        return "*"


def is_numbers(x: Any) -> bool:
    """Whether x is a number, or a list or tuple of nothing else, nested or not."""
    if isinstance(x, (list, tuple)):
        return not hasattr(x, "_fields") and all(map(is_numbers, x))
    return isinstance(x, (int, float, np.number, np.bool_))


def parts(x: Any) -> dict[Any, Any] | None:
    """What a container holds, by key or position; None if x is not a container."""
    if isinstance(x, (list, tuple)):
        return dict(enumerate(x))
    return x if isinstance(x, dict) else {} if x is None else None


def children(tree: Any) -> dict[Any, Any] | None:
    """The parts of a structure; None for a leaf."""
    if hasattr(tree, "shape"):
        return None  # an array or a Tensor, which most are
    return None if isinstance(tree, (list, tuple)) and tree and is_numbers(tree) else parts(tree)


def places(tree: Any, place: str) -> list[tuple[str, Any]]:
    """Each leaf with its place in words: `place` followed by keys, such as argument 0['w'][1]."""
    below = children(tree)
    if below is None:
        return [(place, tree)]
    return [found for key, child in below.items() for found in places(child, f"{place}[{key!r}]")]


def leaves(tree: Any) -> list[Any]:
    """The leaves from left to right; of a dict in the order of its keys."""
    below = children(tree)
    return [tree] if below is None else [leaf for child in below.values() for leaf in leaves(child)]


def rebuild(tree: Any, values: Iterable[Any]) -> Any:
    """The same structure with other leaves, given in the order of leaves()."""
    values = iter(values)
    below = children(tree)
    if below is None:
        return next(values)
    new = [rebuild(child, values) for child in below.values()]
    if isinstance(tree, dict):
        from copy import copy  # which takes a while to load

        filled = copy(tree)  # keeps the class and what else it holds, as a defaultdict does
        filled.update(zip(below, new, strict=True))
        return filled
    if tree is None:
        return None
    return type(tree)(*new) if hasattr(tree, "_fields") else type(tree)(new)


def pairs(tree: Any, other: Any, place: str, what: str) -> Iterator[tuple[Any, Any]]:
    """Yields each leaf of a structure with the leaf of another at the same place.

    Args:
        tree: The structure.
        other: One that must be alike. What stands at a leaf's place is a leaf of the same shape.
        place: The structure in words, for messages.
        what: The other one in words.

    Raises:
        ValueError: They are not alike, here or further down.
    """
    below, others = children(tree), parts(other)
    if below is None and children(other) is None:
        if np.shape(tree) != np.shape(other):
            raise ValueError(f"{what} has shape {np.shape(other)} where {place} has {np.shape(tree)}; make them equal")
        yield tree, other
    elif below is None or others is None or below.keys() != others.keys():
        one, two = [repr(rebuild(x, [Star()] * len(leaves(x)))) for x in (other, tree)]
        raise ValueError(f"{what} has the structure {one} where {place} has {two}; make them equal (* is an array)")
    else:
        for key, child in below.items():
            yield from pairs(child, others[key], f"{place}[{key!r}]", what)
