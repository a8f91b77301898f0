"""How what a module holds is found and named, and what is wrong with names and values that could not be given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.tensor import Tensor

__all__ = [
    "Named", "build", "contradictions", "far_below", "find_values", "is_parameter", "mismatches", "walk",
    "without_collisions", "without_repeats",
]  # fmt: skip

T = TypeVar("T")
Named = Iterator[tuple[str, T]]


def is_parameter(value: object) -> bool:
    """Whether this is a Tensor that no op made, recorded or not."""
    return isinstance(value, Tensor) and value._params is None


def walk(path: str, root: T, parts: Callable[[T], Iterable[tuple[object, T]]]) -> Named[T]:
    """A thing and all that it consists of, parents first, with paths; no recursion, as there may be many levels."""
    yield path, root
    above = {id(root)}
    waiting = [(path, root, iter(parts(root)))]
    while waiting:
        path, parent, rest = waiting[-1]
        for name, part in rest:
            inner = f"{path}.{name}" if path else str(name)
            if id(part) in above:
                how = "take it out" if isinstance(part, (dict, list, tuple)) else "make that link a weakref.ref"
                raise ValueError(f"{inner} leads back to the {type(part).__name__} that contains it; {how}")
            yield inner, part
            above.add(id(part))
            waiting.append((inner, part, iter(parts(part))))
            break
        else:
            waiting.pop()
            above.discard(id(parent))


def far_below(root: T, parts: Callable[[T], Iterable[T]], levels: int) -> list[T]:
    """What lies so many levels below a thing, each once."""
    found = {id(root): root}
    for _ in range(levels):
        found = {id(part): part for thing in found.values() for part in parts(thing)}
    return list(found.values())


def build(first: object, make: Callable[..., T], arguments: Iterable[Any]) -> T:
    """What `make` makes of the arguments, for pickle, which reads `first` before."""
    return make(*arguments)


def parts_of(value: object) -> Iterable[tuple[object, object]]:
    """What a list, tuple or dict holds; nothing for other things."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


def find_values(name: str, value: object, kind: type[T]) -> Named[T]:
    """The Tensors, arrays or modules that an attribute's value is or contains, in lists, tuples and dicts."""
    is_one = not isinstance(value, (dict, list, tuple))  # most are
    for path, found in ((name, value),) if is_one else walk(name, value, parts_of):
        if isinstance(found, kind) and (not isinstance(found, Tensor) or is_parameter(found)):
            yield path, found


def without_collisions(owner: object, pairs: Iterable[tuple[str, T]]) -> Named[T]:
    """The pairs; a ValueError if a path names two different objects, of which a dict would keep one."""
    seen: dict[str, T] = {}
    for path, value in pairs:
        if seen.setdefault(path, value) is not value:
            raise ValueError(
                f"{type(owner).__name__}: two different things have the path {path}, and only one could be saved; "
                "rename one, an attribute or a key of a dict: names must differ as text (1 and '1' do not) without dots"
            )
        yield path, value


def without_repeats(pairs: Iterable[tuple[str, T]]) -> Named[T]:
    """The pairs, but each object only at its first path."""
    seen: set[int] = set()
    for path, value in pairs:
        if id(value) not in seen:
            seen.add(id(value))
            yield path, value


def mismatches(path: str, value: ndarray, target: Tensor | ndarray) -> list[str]:
    """Why a saved value cannot be written into a parameter or buffer, in words."""
    if value.shape != target.shape:
        return [f"{path} has shape {value.shape} in the state and {target.shape} in the model"]
    if not np.can_cast(value.dtype, target.dtype, "same_kind"):
        return [f"{path} holds {value.dtype} in the state and {target.dtype} in the model"]
    if isinstance(target, ndarray) and not target.flags.writeable:
        return [f"{path} is a read-only array in the model; give the module a copy"]
    if value.dtype.kind in "iu" and target.dtype.kind in "iu" and not np.array_equal(value.astype(target.dtype), value):
        return [f"{path} holds numbers in the state that {target.dtype} in the model cannot hold"]
    return []


def contradictions(own: Mapping[str, object], values: Mapping[str, ndarray]) -> list[str]:
    """Which of the paths to one shared parameter or buffer have different values in the state, in words."""
    first: dict[int, str] = {}
    problems = []
    for path, value in values.items():
        other = first.setdefault(id(own[path]), path)
        if other != path and not np.array_equal(values[other], value, equal_nan=value.dtype.kind in "fc"):
            problems.append(f"{other} and {path} have different values in the state and are one array in the model")
    return problems
