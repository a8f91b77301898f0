"""Which calls a result came out of, so that pictures draw the ops of one call of a module or a function in one box.

Marking every result would slow down every op. Numbers are given in the order of creation, so one mark for each call, on
its output, is enough:

    y = linear(x)               # y._scopes is ((linear, 10),), and y._number is 17: it made the tensors 11 to 17
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from tinygrad_edu.arguments import corrected
from tinygrad_edu.engine import Node, new_number
from tinygrad_edu.torch_names import keyword_error

__all__ = ["composed", "drawing", "library_function", "mark"]

P = ParamSpec("P")
T = TypeVar("T")

# Whether a call is made to be drawn: what one op could do is then done in the steps that a reader knows.
drawing: ContextVar[bool] = ContextVar("drawing", default=False)


def mark(out: T, call: object, start: int) -> T:
    """Marks the result of a call that began at the number `start`, or the results in a tuple, list or dict."""
    waiting: list[Any] = [out]
    seen: set[int] = set()  # a list may contain itself
    while waiting:
        x = waiting.pop()
        if isinstance(x, Node):
            if x._op is not None and x._number > start:  # not what was there before the call
                x._scopes = (*(x._scopes or ()), (call, start))
        elif isinstance(x, (tuple, list, dict)) and id(x) not in seen:
            seen.add(id(x))
            waiting += x.values() if isinstance(x, dict) else x
    return out


def library_function(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator for functions that PyTorch has too: pictures draw the ops of a call in one box.

    And calls are answered as by `answering_for`.
    """
    return boxed(function, corrected)


def composed(function: Callable[P, T]) -> Callable[P, T]:
    """The same for functions that NumPy has too; their errors say what PyTorch's dim= is called here."""
    return boxed(function, explained)


def explained(_: object, __: object, error: TypeError, args: Any, kwargs: dict[str, Any]) -> NoReturn:
    """Raises the error of a call, with what to write instead of a keyword of PyTorch's."""
    better = keyword_error(error, kwargs)
    if better is error:
        raise error
    raise better from None


def boxed(function: Callable[P, T], correct: Callable[..., Any]) -> Callable[P, T]:
    """The function, whose result is marked; `correct` answers its TypeErrors."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        start = new_number()
        try:
            out = function(*args, **kwargs)
        except TypeError as error:
            return correct(call, function, error, args, kwargs)  # type: ignore[no-any-return]
        if isinstance(out, Node) and out._number > start + 1 and out._op is not None:  # a single op needs no box
            out._scopes = (*(out._scopes or ()), (call, start))
        return out

    return call
