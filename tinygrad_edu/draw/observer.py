"""Observes one call while it runs: what its local variables held, and which objects of plain classes were called.

A variable is looked at whenever the code that has it calls something, and when it returns: a tensor takes a call to be
made, so none is missed that was in a variable for a while.

    x = self.conv(x)        # looked at when relu is called
    x = relu(x)             # looked at at the return: the picture has x, the input, x₂ and x₃
"""

from __future__ import annotations

import sys
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import Any

from numpy import ndarray

from tinygrad_edu.draw.scopes import is_module
from tinygrad_edu.draw.variables import Variables, is_users, named_parts
from tinygrad_edu.engine import new_number
from tinygrad_edu.scopes import mark
from tinygrad_edu.tensor import Tensor

__all__ = ["Observer"]


class Observer:
    """Context manager: observes this thread by sys.setprofile, unless a profiler does so; tracers are left alone.

    Attributes:
        outer: The ids of arrays that the code takes from around it, from global variables and enclosing functions.
        starts: The calls of objects of plain classes that have not returned, with the numbers at which they began.
    """

    def __init__(self) -> None:
        self.seen: dict[int, tuple[object, str]] = {}  # by id; the object too, so that no other gets its id
        self.starts: dict[FrameType, tuple[object, int]] = {}
        self.outer: set[int] = set()

    @property
    def names(self) -> Variables:
        """Tensors and arrays by id, each with the name that it had first."""
        return {key: name for key, (_, name) in self.seen.items()}

    def __enter__(self) -> Observer:
        self.is_free = sys.getprofile() is None
        if self.is_free:
            sys.setprofile(self.listen)
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_free:
            sys.setprofile(None)

    def listen(self, frame: FrameType, event: str, result: Any) -> None:
        """What Python tells a profiler: a call begins in `frame`, or returns `result`, None also for an error."""
        if event == "call":
            if frame.f_back is not None and is_users(frame.f_back):
                self.look(frame.f_back)
            if frame.f_code.co_name == "__call__" and is_users(frame):
                code = frame.f_code
                called = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
                if callable(called) and not is_module(called):
                    self.starts[frame] = called, new_number()
        elif event == "return" and is_users(frame):
            if frame.f_code.co_flags & CO_OPTIMIZED:
                for name, thing in named_parts(frame.f_locals):
                    self.note(name, thing)
            if result is not None and frame in self.starts:
                mark(result, *self.starts.pop(frame))

    def look(self, frame: FrameType) -> None:
        """Notes the tensors and arrays that the variables of a function hold."""
        code = frame.f_code
        free = {name: frame.f_locals.get(name) for name in code.co_freevars}
        around = free | {name: frame.f_globals.get(name) for name in code.co_names}
        self.outer |= {id(x) for x in around.values() if type(x) is ndarray and id(x) not in self.seen}
        if frame.f_code.co_flags & CO_OPTIMIZED:
            for name, thing in frame.f_locals.items():
                if name.isidentifier() and not name.startswith("_"):
                    self.note(name, thing)

    def note(self, name: str, thing: object) -> None:
        if type(thing) is Tensor or type(thing) is ndarray:
            self.seen.setdefault(id(thing), (thing, name))
