"""With blocks that hold while their code runs, and at no other time.

A context manager that sets a variable and resets it goes wrong where a block is suspended:

    def losses():                       # a generator
        with no_grad():
            yield 1.0
    for _ in losses():
        w * 2                           # is recorded: the block is not this code's

or left in another order than entered, or by Ctrl-C before its last line. So every entry knows the frame that entered it
and holds only while that frame is among the callers.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import wraps
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, iscoroutinefunction, isgeneratorfunction
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, coroutine
from typing import Any, ClassVar, TypeVar

__all__ = ["Block", "Entry", "hold"]

B = TypeVar("B", bound="Block")
F = TypeVar("F", bound=Callable[..., Any])

SUSPENDS = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


class Entry:
    """One with block that was entered: what it changes, and by whom."""

    __slots__ = ("changes", "frame", "left")

    def __init__(self, changes: dict[str, Any]) -> None:
        self.changes = changes
        self.frame = entering_frame()
        self.left = False  # perhaps by another thread, which cannot take it out of this one's variable

    def holds(self) -> bool:
        """Whether the code of the block is running: whether its frame is among the callers."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        return frame is not None

    def suspended(self) -> bool:
        """Whether its code can go on; if it is not running either, it has ended without leaving: Ctrl-C came first."""
        return not self.left and bool(self.frame.f_code.co_flags & SUSPENDS)


def entering_frame() -> FrameType:
    """The frame of the with statement; that of a wrapper's, if __enter__ or a @contextmanager wraps the block."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        outer = frame.f_back if frame.f_code.co_flags & CO_GENERATOR else frame
        if frame.f_code.co_name not in ("__enter__", "__aenter__"):
            if outer.f_globals.get("__name__") != "contextlib":
                break
            frame = outer
        frame = frame.f_back or frame
    return frame


def combined(plain: Any, entries: Sequence[Entry]) -> Any:
    """What the blocks make of the plain state, a named tuple with a field `entries`; the last one last."""
    for entry in entries:
        plain = plain._replace(**entry.changes)
    return plain._replace(entries=tuple(entries)) if entries else plain


class Block:
    """Context manager and decorator that changes fields of the state in a context variable."""

    variable: ClassVar[ContextVar[Any]]
    plain: ClassVar[Any]  # its default

    def __new__(cls: type[B], *args: object, **changes: Any) -> B:
        if args:
            name = cls.__name__
            raise TypeError(f"{name}() takes nothing by position; as a decorator it has parentheses: @{name}()")
        return object.__new__(cls)

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.entered: list[Entry | None] = []

    def __enter__(self) -> None:
        if self.variable.get() is self.plain and self.changes.items() <= self.plain._asdict().items():
            self.entered.append(None)  # changes nothing
            return
        self.entered.append(entry := Entry(self.changes))
        try:
            self.variable.set(combined(self.plain, [*self.variable.get().entries, entry]))
        except BaseException:  # Ctrl-C
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        entry = self.entered.pop()
        if entry is not None:
            entry.left = True
            others = [other for other in self.variable.get().entries if other is not entry]
            self.variable.set(combined(self.plain, others))

    def __call__(self, function: F) -> F:
        return hold(self.again, function)  # type: ignore[return-value]

    def again(self) -> Block:
        """Another one like it: of a decorated function each call has its own."""
        new = object.__new__(type(self))
        Block.__init__(new, **self.changes)
        return new

    @classmethod
    def in_force(cls) -> Any:
        """The state for the code that is running."""
        stored = cls.variable.get()
        for entry in stored.entries:
            if not entry.holds():
                break
        else:
            return stored
        running = [entry for entry in stored.entries if entry.holds()]
        kept = [entry for entry in stored.entries if entry in running or entry.suspended()]
        cls.variable.set(combined(cls.plain, kept))
        return combined(cls.plain, running)


def hold(make: Callable[[], AbstractContextManager[Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose code runs inside a with block; a generator or coroutine each time that it goes on."""
    if isinstance(function, type) or not callable(function):
        what = f"the class {function.__name__}; decorate its methods" if isinstance(function, type) else repr(function)
        raise TypeError(f"a block decorates a function, not {what}")
    if isgeneratorfunction(function):

        @wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from go_on(make, function(*args, **kwargs)))

        return generate
    if iscoroutinefunction(function):

        @wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            return await coroutine(go_on)(make, function(*args, **kwargs))

        return run

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with make():
            out = function(*args, **kwargs)
        if isinstance(out, GeneratorType):  # also of a function that only hands one on, such as another decorator's
            return go_on(make, out)
        if isinstance(out, AsyncGeneratorType):
            return go_on_asynchronously(make, out)
        return coroutine(go_on)(make, out) if isinstance(out, CoroutineType) else out

    return call


def go_on(make: Callable[[], AbstractContextManager[Any]], running: Any) -> Generator[Any, Any, Any]:
    """Hands everything to a generator or coroutine and back, as `yield from` does, with a block around each step."""
    step, value = running.send, None
    while True:
        try:
            with make():
                out = step(value)
        except StopIteration as end:
            return end.value
        try:
            value, step = (yield out), running.send
        except GeneratorExit:
            with make():
                running.close()
            raise
        except BaseException as error:  # thrown in by who resumes it
            value, step = error, running.throw


async def go_on_asynchronously(make: Callable[[], AbstractContextManager[Any]], items: Any) -> AsyncGenerator[Any, Any]:
    """The same for an asynchronous generator."""
    step, value = items.asend, None
    while True:
        try:
            out = await coroutine(go_on)(make, step(value))
        except StopAsyncIteration:
            return
        try:
            value, step = (yield out), items.asend
        except GeneratorExit:
            await coroutine(go_on)(make, items.aclose())
            raise
        except BaseException as error:
            value, step = error, items.athrow
