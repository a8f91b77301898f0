"""Options of pictures that cannot be: the errors say what to write instead."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from tinygrad_edu.checks import check_int

__all__ = ["check_fold", "check_function", "check_within", "unknown_options"]

CLOSED = "lambda module: isinstance(module, nn.Linear)"


def unknown_options(unknown: Collection[str], positional: tuple[Any, ...], options: dict[str, Any]) -> TypeError:
    """The error of a picture that is given options by position, or some that do not exist.

    Args:
        unknown, positional: What was given.
        options: All that exist, with the values that some of them take.
    """
    if positional:
        first = positional[0]
        names = [name for name, values in options.items() if isinstance(first, str) and first in values]
        how = f"{names[0]}={first!r}" if names else "such as depth=1"
        return TypeError(f"graph: options are given by name, {how}, not by position, {first!r:.60}")
    from difflib import get_close_matches  # which takes a while to load, and only errors need

    name = next(iter(unknown))
    close = get_close_matches(name, options, 1)
    meant = f"; did you mean {close[0]}=?" if close else "."
    how = f"draw.call(lambda x: model(x, {name}=...), x)"
    also = "" if close else f". A call gets an argument {name}= in a function of its own: {how}"
    return TypeError(f"graph: there is no option {name}={meant} The options are {', '.join(options)}{also}")


def check_fold(fold: Any) -> Any:
    """What an option `fold` may be; of a function only that it takes a module."""
    if isinstance(fold, type):
        how = f"lambda module: isinstance(module, {fold.__name__})"
        raise TypeError(f"graph: fold is the class {fold.__name__}; write a function of a module: {how}")
    if isinstance(fold, bool) or (isinstance(fold, str) and fold == "auto"):
        return fold
    if not callable(fold):
        return check_int('graph: fold, unless it is "auto", True, False or a function,', fold, 1)
    try:
        inspect.signature(fold).bind(None)
    except TypeError as error:
        what = f"{getattr(fold, '__name__', 'it')} cannot be called with a module alone ({error})"
        raise TypeError(f"graph: fold is a function of a module, but {what}: fold={CLOSED}") from None
    except ValueError:  # a function written in C does not say what it takes
        pass
    return fold


def check_function(function: Any) -> None:
    """What draw.call can call."""
    if callable(function):
        return
    how = "the first argument is what is called, then come its arguments: draw.call(model, x)"
    if hasattr(function, "requires_grad"):
        how = f"a Tensor that is there already draws itself, loss.graph(); of a call, {how}"
    raise TypeError(f"draw.call: {function!r:.60} is not a function or a module; {how}")


def check_within(within: Any) -> None:
    """What can be entered by `with`."""
    name = within.__name__ if isinstance(within, type) else ""
    if within is None or (hasattr(within, "__enter__") and hasattr(within, "__exit__") and not name):
        return
    how = f"with brackets, within={name}()" if name else "such as within=no_grad()"
    raise TypeError(f"draw.call: within is what stands after `with`, {how}, not {within!r:.60}")
