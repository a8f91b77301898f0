"""Where the numbers of a model lie: `Module.to` moves them to another library's arrays, and back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.arrays import home, is_elsewhere
from tinygrad_edu.engine import is_tensor

__all__ = ["converter", "put_at"]


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
    """An array at its new place; a number of NumPy's for the shape (), as everywhere."""
    out = convert(x)
    if not isinstance(out, np.ndarray) and not is_elsewhere(out):
        why = "it must answer NumPy's protocols, __array_ufunc__ and __array_function__, as CuPy's does"
        raise TypeError(f"to: {type(out).__name__} is no array that can be computed with here; {why}")
    return out


def put_at(owner: object, path: str, convert: Callable[[Any], Any], value: Any) -> None:
    """Moves a parameter, with its gradient, or the buffer that stands at a path of its owner."""
    if is_tensor(value):
        value._renumber("to")
        value._values = moved(convert, value._values)[()]
        value.grad = None if value.grad is None else moved(convert, value.grad)[()]
        return
    holder: Any = vars(owner)
    *parts, last = path.split(".")
    for part in parts:
        inner = holder[int(part)] if isinstance(holder, (list, tuple)) else holder[part]
        holder = inner if isinstance(inner, (list, tuple, dict)) else vars(inner)
    holder[int(last) if isinstance(holder, list) else last] = moved(convert, value)
