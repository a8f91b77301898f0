"""Arrays that are not NumPy's, such as CuPy's on a GPU: what the library does with them goes by NumPy's protocols.

NumPy's functions hand an array that answers `__array_ufunc__` and `__array_function__` to the library that it is of, so
an op is computed where its operands lie. Three things NumPy does without asking, and here they are asked for:

    np.asarray(x)               # would bring x to the CPU; `array_of` leaves x where it is
    x * np.eye(3)               # mixes two places; `beside` makes the second array where x lies
    np.asarray(x.sum())[()]     # takes out a number; elsewhere that is an array of shape () and stays one

Quantiles, medians, np.split, np.insert and np.delete bring home which elements are meant. Where a shape or a way
depends on values (x[x > 0], np.unique, is any NaN there?), the program waits for a number. What the other library lacks
is its own TypeError. Writing into the .data of a result is seen by nobody there.

The calls fit CuPy 14, which asks less than NumPy: an index out of bounds wraps around there, and np.linalg answers NaN
or inf for a matrix that cannot be inverted or factored (cupyx.errstate(linalg="raise") makes it an error). It has no
longdouble.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = [
    "CONSTANTS", "KINDS", "AnyArray", "array_of", "axis_of", "beside", "brought", "contiguous", "copied", "extremes",
    "home", "is_elsewhere", "own", "place_hint", "placed",
]  # fmt: skip

CONSTANTS = {float, int, bool, ndarray} | {np.dtype(code).type for code in "?bhilqBHILQefdg"}  # need no conversion
KINDS: set[type] = set()  # the classes of arrays from elsewhere that were met; they are in CONSTANTS too


AnyArray: Any = ABCMeta("AnyArray", (), {})  # what isinstance takes for an array: NumPy's, and those of KINDS
AnyArray.register(ndarray)


def is_elsewhere(x: Any) -> bool:
    """Whether x is an array that is not NumPy's and answers NumPy's protocols."""
    kind = type(x)
    if kind in KINDS:
        return True
    if isinstance(x, (ndarray, np.generic)) or not hasattr(kind, "__array_function__") or hasattr(kind, "__op__"):
        return False
    if getattr(kind, "__array_ufunc__", None) is None or not (hasattr(x, "shape") and hasattr(x, "dtype")):
        return False
    if hasattr(kind, "_values"):  # a Tensor
        return False
    KINDS.add(kind)
    CONSTANTS.add(kind)
    AnyArray.register(kind)
    return True


def array_of(x: Any, dtype: Any = None) -> Any:
    """x as an array where it lies, in a dtype if one is given."""
    if type(x) is not ndarray and is_elsewhere(x):
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)
    return np.asarray(x, dtype)


def copied(x: Any) -> Any:
    """A copy of x as an array where it lies."""
    return np.copy(x) if is_elsewhere(x) else np.array(x)


def beside(x: Any, create: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """create(*args, **kwargs), a function of NumPy's that makes an array, where the array or Tensor x lies."""
    if not KINDS or type(x := getattr(x, "_values", x)) not in KINDS:
        return create(*args, **kwargs)
    # what like=x asks for, but without device=, which np.ones(like=x) adds and CuPy does not know
    out = x.__array_function__(create, (type(x),), args, kwargs)
    if out is NotImplemented:
        raise TypeError(f"{type(x).__module__.partition('.')[0]} has no {create.__name__}, which is needed here")
    return out


def brought(x: Any, to: Any) -> Any:
    """Numbers or an array of NumPy's, brought to where the array or Tensor `to` lies if that is elsewhere; else x."""
    if not KINDS or type(x) in KINDS or hasattr(x, "_values"):
        return x
    return np.asarray(x, like=place) if type(place := getattr(to, "_values", to)) in KINDS else x


def axis_of(x: Any, axis: Any) -> Any:
    """The axis to reduce; None for an array elsewhere of shape (), where NumPy alone takes 0 and -1 too."""
    return None if KINDS and type(x) in KINDS and not x.shape else axis


def extremes(x: Any) -> tuple[Any, Any]:
    """The smallest and the largest element as Python's numbers."""
    if type(x) in KINDS:
        return x.min().item(), x.max().item()
    return x.item(x.argmin()), x.item(x.argmax())  # faster than min and max


def contiguous(x: Any) -> Any:
    """x in C order, copied if it is not yet."""
    return np.copy(x, "C") if type(x) in KINDS else np.ascontiguousarray(x)


def home(x: Any) -> Any:
    """An array from elsewhere as NumPy's, which is a copy; anything else as it is."""
    if type(x) not in KINDS:
        return x
    return x.get() if hasattr(x, "get") else np.asarray(x)


def placed(g: Any, like: Any) -> Any:
    """A gradient where the array lies that it is of; of shape () a scalar, as NumPy's are."""
    if type(like) in KINDS:
        return brought(g, like)
    if type(g) in KINDS:
        return like.dtype.type(g.item())  # of a number beside arrays from elsewhere
    return g[()] if type(g) is ndarray and not g.shape else g


def own(part: Any, g: Any) -> Any:
    """An array that nobody else writes to or reads: `part`, or a copy if it may share memory, with g for example."""
    if type(part) is ndarray:
        shared = np.may_share_memory(part, g) or not part.flags.writeable
    else:
        shared = type(part) in KINDS and (part is g or getattr(part, "base", part) is not None)
    return np.copy(part) if shared else part


def place_hint(values: Sequence[Any], names: Sequence[str]) -> str:
    """What to do about arrays of NumPy's beside others, as the end of a message; "" if there are not both."""
    here = [name for x, name in zip(values, names, strict=True) if isinstance(x, ndarray)]
    kinds = [type(x) for x in values if type(x) in KINDS]
    if not here or not kinds:
        return ""
    module, name = kinds[0].__module__.partition(".")[0], here[0] if here[0].isidentifier() else "x"
    how = f": {module}.asarray({name})" if hasattr(sys.modules.get(module), "asarray") else ""
    return f". {here[0]} is an array of NumPy's beside those of {module}, in another memory; bring it there{how}"
