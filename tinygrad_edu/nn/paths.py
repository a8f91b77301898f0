"""How what a module holds is found and named, and what is wrong with names and values that could not be given back."""

from __future__ import annotations

import sys
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, MemberDescriptorType, SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.arrays import AnyArray, home
from tinygrad_edu.checks import refuse_mask
from tinygrad_edu.engine import plain
from tinygrad_edu.tensor import Tensor

__all__ = [
    "MAPPINGS", "SEQUENCES", "IncompatibleKeys", "Named", "build", "containers", "contradictions", "far_below",
    "find_values", "hidden", "is_container", "is_parameter", "mismatches", "misplaced", "parameters_in", "parts_of",
    "read_values", "too_deep", "walk", "without_collisions", "without_repeats", "written",
]  # fmt: skip

T = TypeVar("T")
MAPPINGS = (dict, UserDict, ChainMap, MappingProxyType)
SEQUENCES = (list, tuple, deque, UserList)
KNOWN: dict[type, bool] = {}  # the answers of is_container
Named = Iterator[tuple[str, T]]


class IncompatibleKeys(NamedTuple):
    """What load_state_dict skipped."""

    missing_keys: list[str]
    unexpected_keys: list[str]


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
                how = "take it out" if is_container(type(part)) else "make that link a weakref.ref"
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
    """What a list, dict or dataclass holds, with names; nothing for other things."""
    if not is_container(type(value)):
        return ()
    if isinstance(value, MAPPINGS):
        return value.items()
    if isinstance(value, SEQUENCES):
        return enumerate(value)
    return vars(value).items() if isinstance(value, SimpleNamespace) else named_fields(value)


def named_fields(value: Any) -> list[tuple[str, object]]:
    """The fields of a dataclass that have a value."""
    from dataclasses import fields  # which takes a while to load

    return [(field.name, getattr(value, field.name)) for field in fields(value) if hasattr(value, field.name)]


def is_container(kind: type) -> bool:
    """Whether things of this class are looked into: lists, dicts, dataclasses and their like; a module looks itself."""
    if kind not in KNOWN:
        is_module = hasattr(kind, "named_parameters")
        is_one = issubclass(kind, (*MAPPINGS, *SEQUENCES, SimpleNamespace)) or hasattr(kind, "__dataclass_fields__")
        KNOWN[kind] = is_one and not is_module
    return KNOWN[kind]


def containers(attributes: Mapping[str, object]) -> list[tuple[str, object, list[Tensor]]]:
    """The attributes that are looked into, each with the parameters that it holds."""
    return [(name, value, parameters_in(value)) for name, value in attributes.items() if is_container(type(value))]


def parameters_in(value: object) -> list[Tensor]:
    """The parameters in a container; find_values without the paths, since this is done at each call of a module."""
    found: list[Tensor] = []
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            inside: Iterable[Any] = part if isinstance(part, SEQUENCES) else [inner for _, inner in parts_of(part)]
            for inner in inside:
                kind = type(inner)
                if kind is Tensor:
                    found += [inner] if inner._params is None else []
                elif KNOWN.get(kind, True) and is_container(kind):
                    waiting.append(inner)
    return found


def find_values(name: str, value: object, kind: type[T]) -> Named[T]:
    """The Tensors, arrays or modules that an attribute's value is or contains, in lists, dicts and their like."""
    is_one = not is_container(type(value))  # most are
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


def hidden(module: object, kinds: tuple[type, ...], top: type) -> str:
    """What of these kinds a new module holds where it would be neither trained nor saved, in words; or nothing."""
    own = vars(module)
    for cls in type(module).__mro__[: type(module).__mro__.index(top)]:
        for name, value in vars(cls).items():
            if isinstance(value, MemberDescriptorType) and isinstance(getattr(module, name, None), kinds):
                return f"{name} is a slot, in which nothing is found; leave __slots__ out"
            if isinstance(value, kinds) and name not in own and (isinstance(value, Tensor) or has_state(value)):
                return f"{name} belongs to the class {cls.__name__}, not to its instances; assign it in __init__"
    for name, value in own.items():
        if isinstance(value, (set, frozenset)) or (isinstance(value, ndarray) and value.dtype == object):
            held = [part for part in (value.flat if isinstance(value, ndarray) else value) if isinstance(part, kinds)]
            known = {id(part) for part in own.values()}
            if any(id(part) not in known for part in held):
                return f"{name} is a {type(value).__name__}, in which nothing is found; make it a list"
    return ""


def misplaced(name: str, value: object, in_parameter: bool, in_buffer: bool) -> str:
    """Why a value cannot stand in the place of a parameter or a buffer, in words; or nothing."""
    if is_parameter(value) or isinstance(value, (AnyArray, np.generic, type(None))):
        return ""
    what = "the result of an op" if isinstance(value, Tensor) else f"a {type(value).__name__}"
    if in_buffer and not isinstance(value, (int, float)):
        how = "plain values, such as those of .data"
        return f"a buffer, an array, and {what} would not be saved in its place; give it {how}"
    if in_parameter:
        return f"a parameter, and {what} would neither be trained nor saved in its place; write {name}.assign(values)"
    return ""


def has_state(module: Any) -> bool:
    """Whether a module has parameters or buffers."""
    return any(True for found in (module.parameters(), module.buffers()) for _ in found)


def read_values(state: Mapping[str, object], paths: Iterable[str]) -> tuple[dict[str, ndarray], list[str]]:
    """The values of a state as arrays, and what cannot be one, in words."""
    values, problems = {}, []
    for path in paths:
        if path in state:
            try:
                refuse_mask(path, state[path])
                values[path] = np.asarray(home(plain(state[path])))
            except (TypeError, ValueError, RuntimeError) as error:
                problems.append(str(error) if str(error).startswith(path) else f"{path} is not an array: {error}")
    return values, problems


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
    if value.dtype.kind == "f":
        with np.errstate(over="ignore"):
            fits = value.astype(target.dtype)
        if np.isinf(fits).sum() > np.isinf(value).sum():
            return [f"{path} holds numbers in the state that are infinite as {target.dtype}, the dtype in the model"]
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


def written(top: Any, children_of: Callable[[Any], list[tuple[str, Any]]], usual: object) -> str:
    """The repr of a module: those below it each on a line, unless they have another repr than the usual one."""
    lines: list[str] = []
    above: set[int] = set()
    waiting: list[tuple[int, str, Any, bool]] = [(0, "", top, False)]
    while waiting:  # a stack, since there may be more levels than Python nests calls
        depth, label, module, is_end = waiting.pop()
        children = children_of(module)
        if is_end:
            text = ")"
            above.discard(id(module))
        elif id(module) in above:
            text = "..."
        elif module is not top and type(module).__repr__ is not usual:
            text = repr(module)
        else:
            extra = module.extra_repr()
            text = f"{type(module).__name__}({extra})"
            if children:
                above.add(id(module))
                text = "\n  ".join([f"{type(module).__name__}(", *([extra.replace("\n", "\n  ")] if extra else [])])
                waiting.append((depth, "", module, True))
                waiting += [(depth + 1, f"({name}): ", child, False) for name, child in reversed(children)]
        lines.append("  " * depth + (label + text).replace("\n", "\n" + "  " * depth))
    return "\n".join(lines)


def too_deep(module: object, error: RecursionError) -> RecursionError:
    """The error of a call that nests deeper than Python allows, in words; as it is if it is in words already."""
    if "nest" in str(error):
        return error
    return RecursionError(
        f"{type(module).__name__}: its modules nest deeper than Python's {sys.getrecursionlimit()} calls, or one "
        "calls itself; put the layers side by side in one Sequential, or raise the limit with sys.setrecursionlimit"
    )
