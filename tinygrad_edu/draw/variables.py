"""The names that the user's own code has for tensors, arrays and modules: its variables, read from its frames."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import CO_OPTIMIZED
from itertools import islice
from types import FrameType
from typing import Any

from numpy import ndarray

from tinygrad_edu.anomaly import calling_frame
from tinygrad_edu.tensor import Tensor

__all__ = ["Variables", "caller_variables", "frame_variables", "is_users", "named_parts", "parts_of"]

Variables = dict[int, str]  # id of the object -> name
PARTS = 1000  # of a list, dict or object that are looked at
LIBRARIES = {"tinygrad_edu", "numpy", *sys.stdlib_module_names}


@cache
def is_library(module: str) -> bool:
    return module.partition(".")[0] in LIBRARIES


def is_users(frame: FrameType) -> bool:
    """Whether a frame runs code of the user, rather than of this package, NumPy or Python itself."""
    return not is_library(frame.f_globals.get("__name__") or "")


def caller_variables() -> Variables:
    """The variables of the innermost code outside this package, local ones before global ones.

    What lists, tuples, dicts and objects hold is found too: "weights[0]", "model.w", in a method "self.w".
    """
    return frame_variables(calling_frame())


def frame_variables(frame: FrameType) -> Variables:
    """The variables of one frame, as for caller_variables()."""
    local = frame.f_locals
    variables = {**local}
    if sys.version_info < (3, 13) and frame.f_code.co_flags & CO_OPTIMIZED and sys.getrefcount(local) <= 3:
        local.clear()  # a copy that the frame would keep, with all graphs in it; more references: a user's locals()
    for name, value in list(frame.f_globals.items()):
        variables.setdefault(name, value)
    found: Variables = {}
    for name, value in named_parts(variables):
        kind = type(value)  # a Module is told by its methods, so that the class need not be imported
        if issubclass(kind, (Tensor, ndarray)) or (hasattr(kind, "named_parameters") and hasattr(kind, "forward")):
            found.setdefault(id(value), name)
    return found


def named_parts(variables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The variables whose names are not private, then what they hold."""
    shown = [(name, value) for name, value in variables.items() if name.isidentifier() and not name.startswith("_")]
    yield from shown
    for name, value in shown:
        yield from ((name + suffix, part) for suffix, part in parts_of(value))


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
