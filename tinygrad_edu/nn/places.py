"""Where the numbers of a model lie: `Module.to` moves them to another library's arrays, and back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.arrays import AnyArray, home, is_elsewhere
from tinygrad_edu.engine import is_tensor
from tinygrad_edu.nn.paths import MAPPINGS, SEQUENCES, parts_of

__all__ = ["move"]


def converter(place: Any) -> Callable[[Any], Any]:
    """What makes arrays of the place: its `asarray`, or the function itself."""
    if place is np:
        return lambda x: np.asarray(home(x))
    if isinstance(place, str):
        name = {"cpu": "numpy", "cuda": "cupy"}.get(place.partition(":")[0], "cupy")
        raise TypeError(f"to({place!r}): name the library whose arrays hold the numbers: import {name}; to({name})")
    function = getattr(place, "asarray", None) if isinstance(place, ModuleType) else place
    if not callable(function) or isinstance(function, type):
        what = "; a layer has its dtype from dtype=np.float32" if isinstance(place, (type, np.dtype)) else ""
        raise TypeError(f"to({place!r:.60}): give a library with asarray, such as cupy, or such a function{what}")
    return function  # type: ignore[no-any-return]


def moved(convert: Callable[[Any], Any], x: Any) -> Any:
    """An array at its new place, if that is one where it can be computed with."""
    out = convert(x)
    if not isinstance(out, np.ndarray) and not is_elsewhere(out):
        why = "it must answer NumPy's protocols, __array_ufunc__ and __array_function__, as CuPy's does"
        raise TypeError(f"to: {type(out).__name__} is no array that can be computed with here; {why}")
    return out


def move(model: Any, place: Any) -> None:
    """Moves what `Module.to` says: all of it or, on an error, nothing. What is shared stays shared."""
    convert, params = converter(place), list(model.parameters())
    if any(is_tensor(p.grad) for p in params):
        raise TypeError(
            "to: a gradient is a Tensor with a graph (create_graph=True), which cannot move; set it to None"
        )
    buffers = [slot for module in model.modules() for slot in slots(module)]
    arrays = [p._values for p in params] + [p.grad for p in params if p.grad is not None]
    arrays += [array for _, _, array in buffers]
    new = {id(array): moved(convert, array) for array in arrays}
    for p in params:
        p._renumber("to")
        p._values, p.grad = new[id(p._values)][()], None if p.grad is None else new[id(p.grad)][()]
    for holder, key, array in buffers:
        put(holder, key, new[id(array)])


def put(holder: Any, key: Any, value: object) -> None:
    """Puts a value in the place of what a list, a dict or an object holds under a key."""
    if isinstance(holder, (*MAPPINGS, *SEQUENCES)):
        operator.setitem(holder, key, value)  # type: ignore[arg-type]  # those that cannot be changed are refused before
    else:
        setattr(holder, key, value)


def slots(module: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Each buffer of a module with what holds it, and under which key."""
    wanted = {path for path, _ in module._own(AnyArray)}
    waiting: list[tuple[str, Any, Any, Any]] = [(name, vars(module), name, x) for name, x in vars(module).items()]
    for path, holder, key, value in waiting:  # which grows meanwhile
        waiting += [(f"{path}.{inner}", value, inner, part) for inner, part in parts_of(value)]
        if path not in wanted or not isinstance(value, AnyArray):
            continue
        if is_fixed(holder):
            kind = type(holder).__name__
            raise TypeError(
                f"to: the buffer {path} stands in a {kind}, where none can take its place; use a list or dict"
            )
        yield holder, key, value


def is_fixed(holder: object) -> bool:
    """Whether what a thing holds cannot be replaced."""
    params = getattr(type(holder), "__dataclass_params__", None)
    return isinstance(holder, (tuple, MappingProxyType)) or bool(params and params.frozen)
