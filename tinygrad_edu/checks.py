"""Checks of arguments that many rooms need: each returns the checked value or says what it must be.

`name` is what the error calls the argument, with its owner: "Linear: in_features".
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

__all__ = ["check_choice", "check_int", "check_number", "check_pair", "check_positive_int"]


def check_positive_int(name: str, value: object, *, other: type[Exception] = ValueError) -> int:
    """An integer of at least 1, as a Python int; see check_int."""
    return check_int(name, value, 1, other=other)


def check_int(
    name: str, value: object, low: int, high: int | None = None, *, other: type[Exception] = ValueError
) -> int:
    """An integer from `low` to `high`, as a Python int; a bool is not one.

    Raises:
        ValueError: It is out of range.
        other: It is not an integer.
    """
    is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_int or value < low or (high is not None and value > high):  # type: ignore[operator]
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise (ValueError if is_int else other)(f"{name} is {value!r:.60}; it must be an integer {limits}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_number(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    finite: bool = True,
    other: type[Exception] = ValueError,
) -> float:
    """A real number within the limits, as a Python float: a NumPy float64 would make float32 arithmetic float64.

    Raises:
        ValueError: It is NaN, out of range, or infinite where `finite` is set.
        other: It is not a real number.
    """
    number = float(value) if isinstance(value, Real) else np.nan
    limits = {
        f"at least {at_least}": at_least is None or number >= at_least,
        f"above {above}": above is None or number > above,
        f"at most {at_most}": at_most is None or number <= at_most,
        f"below {below}": below is None or number < below,
        "finite": not finite or np.isfinite(number),
    }
    if np.isnan(number) or not all(limits.values()):
        given = [
            text
            for text, limit in zip(limits, (at_least, above, at_most, below, finite), strict=True)
            if limit not in (None, False)
        ]
        error = ValueError if isinstance(value, Real) else other
        raise error(f"{name} is {value!r:.60}; it must be a number, {' and '.join(given)}".rstrip(", "))
    return number


def check_pair(name: str, value: object, low: int) -> tuple[int, int]:
    """A size in both directions, (vertical, horizontal), from a pair or from one number for both.

    Raises:
        TypeError: One is not an integer.
        ValueError: It is not a pair, or one is below `low`.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} is {value!r:.60}; it must be an integer, or a pair of them")
    return check_int(name, values[0], low, other=TypeError), check_int(name, values[1], low, other=TypeError)


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """One of the names in `choices`.

    Raises:
        ValueError: It is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        known = ", ".join([repr(choice) for choice in choices[:-1]])
        raise ValueError(f"{name} is {value!r:.60}; it must be {known} or {choices[-1]!r}")
    return value
