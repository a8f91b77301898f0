"""Checks of arguments, once for the whole package: each returns the value, or raises an error that says what is wrong.

`name` is what the message calls the argument, with its owner in front: "Linear: in_features". `wrong_type` is the class
of the error for values that are not even of the right kind; one of the right kind but out of range is a ValueError.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Collection
from contextlib import suppress
from numbers import Real
from typing import Any, SupportsIndex

import numpy as np

from tinygrad_edu.arrays import is_elsewhere

__all__ = [
    "as_array", "broadcasts_to", "check_axis", "check_bool", "check_choice", "check_dtype", "check_int", "check_number",
    "check_pair", "check_path", "check_positive_int", "refuse_mask",
]  # fmt: skip


def refusal(name: str, value: object, allowed: str) -> str:
    """The message of every check here."""
    return f"{name} is {value!r:.60}; it must be {allowed}"


def check_positive_int(name: str, value: object, *, wrong_type: type[Exception] = ValueError) -> int:
    """An integer of at least 1, as a Python int; errors as for check_int."""
    return check_int(name, value, 1, wrong_type=wrong_type)


def check_int(
    name: str, value: object, low: int, high: int | None = None, *, wrong_type: type[Exception] = ValueError
) -> int:
    """An integer from `low` to `high`, both included, as a Python int. True and False are not integers here.

    Raises:
        ValueError: It is out of range.
        wrong_type: It is not an integer.
    """
    if type(value) is int and low <= value and (high is None or value <= high):
        return value
    allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, SupportsIndex):
        raise wrong_type(refusal(name, value, allowed))
    try:
        number = operator.index(value)  # also of a NumPy integer, or an array of shape ()
    except TypeError:
        raise wrong_type(refusal(name, value, allowed)) from None
    if number < low or (high is not None and number > high):
        raise ValueError(refusal(name, value, allowed))
    return number


def check_axis(name: str, value: object, shape: tuple[int, ...] | None = None) -> int:
    """The number of an axis, counted from the front or, below 0, from the end; arrays have up to 64."""
    axis = check_int(name, value, -64, 63, wrong_type=TypeError)
    if shape is not None and not -len(shape) <= axis < len(shape):
        axes = f"axes {-len(shape)} to {len(shape) - 1}" if shape else "no axes"
        raise np.exceptions.AxisError(f"{name} is {axis}, but the input of shape {shape} has {axes}")
    return axis


def check_number(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    finite: bool = True,
    wrong_type: type[Exception] = ValueError,
) -> float:
    """A real number within the limits, as a Python float: a NumPy float64 would make float32 arithmetic float64.

    True and False are not numbers here.

    Raises:
        ValueError: It is NaN, out of range, or infinite although `finite` is set.
        wrong_type: It is not a real number.
    """
    is_number = type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))
    try:
        number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if (
        math.isnan(number)
        or (finite and math.isinf(number))
        or (at_least is not None and number < at_least)
        or (above is not None and number <= above)
        or (at_most is not None and number > at_most)
        or (below is not None and number >= below)
    ):
        limits = {"at least": at_least, "above": above, "at most": at_most, "below": below}
        words = [f"{word} {limit:g}" for word, limit in limits.items() if limit is not None]
        if finite and len(words) == 1:  # two limits say so already
            words.append("finite")
        allowed = f"a number, {' and '.join(words)}" if words else "a finite number" if finite else "a number"
        error = ValueError if is_number else wrong_type
        raise error(refusal(name, value, allowed))
    return number


def check_pair(name: str, value: object, low: int) -> tuple[int, int]:
    """A size in both directions, (vertical, horizontal), from a pair of integers or from one for both.

    Raises:
        TypeError: One is not an integer.
        ValueError: It is not a pair, or one is below `low`.
    """
    sizes = value if isinstance(value, (tuple, list)) else (value, value)
    message = refusal(name, value, f"an integer of at least {low}, or a pair of them")
    if len(sizes) != 2:
        raise ValueError(message)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(message)
        if size < low:
            raise ValueError(message)
    return int(sizes[0]), int(sizes[1])


def check_bool(name: str, value: object, *, wrong_type: type[Exception] = TypeError) -> bool:
    """True or False, also NumPy's; anything else, 0 and "no" too, is an error."""
    if not isinstance(value, (bool, np.bool_)):
        raise wrong_type(refusal(name, value, "True or False"))
    return bool(value)


def check_dtype(name: str, value: object) -> np.dtype[Any]:
    """A floating dtype in the byte order of this machine; anything else, None too, is a TypeError."""
    dtype = None
    if isinstance(value, (type, str, np.dtype)):  # of any other object np.dtype takes its attribute `dtype`
        with suppress(TypeError):
            dtype = np.dtype(value)
    if dtype is None or dtype.kind != "f":
        raise TypeError(refusal(name, value, "a floating dtype, such as np.float32 or np.float64"))
    return np.dtype(dtype.type)  # NumPy's own object for it, which shortcuts compare by identity


def check_choice(name: str, value: object, choices: Collection[str]) -> str:
    """One of the names in `choices`; anything else is a ValueError."""
    if not isinstance(value, str) or value not in choices:
        *first, last = [repr(choice) for choice in choices]
        raise ValueError(refusal(name, value, f"{', '.join(first)} or {last}" if first else last))
    return value


def check_path(name: str, value: object, example: str, *, folder: bool = False) -> str:
    """The path of a file or folder as text; what is no path is a TypeError, a file without a name a ValueError."""
    from pathlib import Path  # which takes a while to load

    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TypeError(refusal(name, value, f"a path, such as {example!r}"))
    if not (folder or Path(text).name):
        raise ValueError(refusal(name, value, f"the path of a file, such as {example!r}"))
    return text


def broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether NumPy stretches an array of one shape to exactly the other."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def as_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """An array of what a list holds, without masked entries and of rows of one length."""
    if is_elsewhere(value):
        return value  # type: ignore[no-any-return]
    refuse_mask(name, value)
    try:
        return np.asarray(value)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise ValueError(f"{name}: {error}") from None
        how = "the rows of an array have one length: cut them, fill them up, or give them one by one"
        raise ValueError(f"{name}: {value!r:.60} has parts of different lengths; {how}") from None


def refuse_mask(name: str, value: object) -> None:
    """Raises a TypeError for masked entries, also in lists: what is computed would count them like the others."""
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, (list, tuple)) and id(part) not in seen:
            seen.add(id(part))
            waiting += [inner for inner in part if isinstance(inner, (list, tuple)) or hasattr(inner, "mask")]
        elif hasattr(part, "mask") and np.ma.is_masked(part):
            how = "leave these examples out, or fill them, as with .filled(0)"
            raise TypeError(f"{name}: some entries are masked, and the mask would be lost; {how}")
