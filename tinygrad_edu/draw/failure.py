"""What an error leaves behind: the graph up to what failed, read from the frames of the error's traceback.

Python keeps all that is needed, the calls with their arguments and local variables, so that no op has to remember
anything in case it fails. What failed is, in this order,

    an op                 matmul of x and W, and its operands
    a function            cross_entropy, which looked at its labels before any op ran
    a module              Linear(4, 3), which looked at its input
    a line of the user    with the tensors that it names
"""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.record import Failure, Record, placeholder_op, record, stand_in
from tinygrad_edu.draw.scopes import call_label, is_module
from tinygrad_edu.draw.variables import Variables, is_users, named_parts
from tinygrad_edu.engine import Op
from tinygrad_edu.structure import places
from tinygrad_edu.tensor import Tensor

__all__ = ["bound_arguments", "failed_record", "variables_of"]

Operands = list[tuple[str, Any]]  # by the names of the arguments
Frames = list[tuple[FrameType, int]]  # outermost first, with the numbers of the lines
Call = tuple[object, int]  # what was called, and the number at which it began


@dataclass
class Culprit:
    """What failed."""

    op: Op
    operands: Operands
    params: dict[str, Any] = field(default_factory=dict)


def failed_record(error: Exception, starts: Mapping[FrameType, Call], since: int | None = None) -> Record:
    """The graph up to an error.

    Args:
        error: With its traceback.
        starts: The calls of objects of plain classes that did not return.
        since: The number at which the call began of which all results are shown; if None, the outermost call of a
            module or function in the traceback is it.
    """
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if not in_file(frame, "draw.")]
    found = culprit(frames)
    running = {i: call for i, (frame, _) in enumerate(frames) if (call := running_call(frame, starts)) is not None}
    first = 0
    if since is None and running:
        first, (_, since) = next(iter(running.items()))
    drawn = [i for i, (_, value) in enumerate(found.operands) if is_drawable(value)]
    others = [] if since is None else results_in(frames[first:], since)
    operands = [*[found.operands[i][1] for i in drawn], *others]
    end = stand_in(found.op, operands, running.values())
    graph = record(end, backward=False, cut=True)
    graph.output.params = dict(found.params)
    wires = graph.output.wires
    graph.output.wires = wires[: len(drawn)]
    for i, wire in zip(drawn, graph.output.wires, strict=True):
        wire.position = i
    for wire in wires[len(drawn) :]:  # which only led to what failed to be found
        wire.source._uses.pop()
    options = [(name, value) for name, value in found.params.items() if value is not None and value is not False]
    graph.failure = Failure(error, found.operands, options, place_of(frames))
    return graph


def culprit(frames: Frames) -> Culprit:
    """What failed, from the frames of a traceback."""
    inside = max([i for i, (frame, _) in enumerate(frames) if is_users(frame)], default=-1) + 1  # after the user's code
    if not any(frame.f_code.co_name == "backward_pass" for frame, _ in frames):
        for found in filter(None, [failed_op(frame) for frame, _ in frames]):
            return found
    for found in filter(None, [failed_call(frame) for frame, _ in reversed(frames[inside:])]):
        return found
    if inside < len(frames):
        frame = frames[inside][0]
        called = frame.f_locals.get("function")  # by a wrapper
        name = getattr(called, "__name__", frame.f_code.co_name.strip("_"))
        return Culprit(placeholder_op(name), flat(arguments(frame)))
    return failed_line(*frames[-1]) if frames else Culprit(placeholder_op("forward"), [])


def failed_op(frame: FrameType) -> Culprit | None:
    """The op whose call this is, if it is one."""
    local = frame.f_locals
    op, inputs = local.get("op"), local.get("inputs")
    if frame.f_code.co_name == "bind" and isinstance(local.get("self"), Op):
        op, inputs = local["self"], local["args"]
    if not isinstance(op, Op) or inputs is None or not in_file(frame, "engine."):
        return None
    names = [op.argument(i) if op.variadic or i < len(op.names) else f"argument {i}" for i in range(len(inputs))]
    operands = [(name, x) for name, x in zip(names, inputs, strict=True) if not is_container(x)]
    operands += flat({name: x for name, x in zip(names, inputs, strict=True) if is_container(x)})
    params = dict(local.get("params") or {})
    operands += flat({name: params.pop(name) for name, value in [*params.items()] if holds_arrays(value)})
    return Culprit(op, operands, params)


def failed_call(frame: FrameType) -> Culprit | None:
    """The function of the library or the module whose call this is, if it is one."""
    local = frame.f_locals
    if in_file(frame, "scopes") and "function" in local:
        given = bound_arguments(local["function"], local["args"], local["kwargs"])
        return Culprit(placeholder_op(local["function"].__name__), flat(given))
    module: Any = local.get("self")
    if frame.f_code.co_name == "__call__" and is_module(module):
        given = bound_arguments(module.forward, local["args"], local["kwargs"])
        own = list(module._own(Tensor))
        return Culprit(placeholder_op(call_label(module)), flat(given) + own)
    return None


def failed_line(frame: FrameType, number: int) -> Culprit:
    """A line of the user's code, with the tensors and arrays that it names, or else those that its function got."""
    names = re.findall(r"[^\W\d]\w*", linecache.getline(frame.f_code.co_filename, number))
    local = frame.f_locals
    operands = flat({name: local[name] for name in dict.fromkeys(names) if name in local})
    return Culprit(placeholder_op(f"line {number}"), operands or flat(arguments(frame)))


def in_file(frame: FrameType, name: str) -> bool:
    """Whether a frame runs code of this file of the package, or of a file in this folder of it."""
    return str(frame.f_globals.get("__name__")).startswith(f"tinygrad_edu.{name}")


def bound_arguments(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name; by number if they do not fit."""
    try:
        return inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return {f"argument {i}": x for i, x in enumerate(args)} | kwargs


def arguments(frame: FrameType) -> dict[str, Any]:
    """What the function of a frame got, or what is in the variables now."""
    code, local = frame.f_code, frame.f_locals
    extra = bool(code.co_flags & inspect.CO_VARARGS)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + extra]
    return {name: local[name] for name in names if name in local}


def flat(given: Mapping[str, Any]) -> Operands:
    """The tensors and arrays among the arguments, also in tuples, lists and dicts, with their places."""
    found: Operands = []
    for name, value in given.items():
        for place, leaf in places(value, name):
            if isinstance(leaf, list):  # of numbers
                leaf = np.asarray(leaf)
            if isinstance(leaf, (Tensor, ndarray)) and is_drawable(leaf):
                found.append((place, leaf))
    return found


def is_container(x: object) -> bool:
    return isinstance(x, (tuple, list, dict))


def holds_arrays(x: object) -> bool:
    return any(isinstance(part, ndarray) for part in (x if type(x) is tuple else (x,)))


def is_drawable(x: object) -> bool:
    """Whether it can be a card: a Tensor, or an array or a number that NumPy calculates with."""
    if isinstance(x, Tensor):
        return True
    return isinstance(x, (ndarray, np.generic, int, float)) and np.asarray(x).dtype.kind in "biuf"


def running_call(frame: FrameType, starts: Mapping[FrameType, Call]) -> Call | None:
    """The call of a module, a function of the library or an object that a frame belongs to, and where it began."""
    local = frame.f_locals
    if in_file(frame, "scopes") and "function" in local:
        return local["call"] if "call" in local else local["function"], local["start"]
    if frame.f_code.co_name == "__call__" and is_module(local.get("self")) and "start" in local:
        return local["self"], local["start"]
    return starts.get(frame)


def results_in(frames: Frames, since: int) -> list[Tensor]:
    """The results of ops, newer than the number `since`, that are in local variables of the user's code."""
    users = [frame for frame, _ in frames if is_users(frame) and frame.f_code.co_flags & inspect.CO_OPTIMIZED]
    things = [thing for frame in users for _, thing in named_parts(frame.f_locals)]
    found = [x for x in things if type(x) is Tensor and x._op is not None and x._number > since]
    return list({id(x): x for x in found}.values())


def place_of(frames: Frames) -> str:
    """The innermost line of the user's code: "forward, line 12: return self.fc2(h)"."""
    for frame, number in reversed(frames):
        if is_users(frame):
            code = frame.f_code
            where = f"line {number}" if code.co_name.startswith("<") else f"{code.co_name}, line {number}"
            text = linecache.getline(code.co_filename, number).strip()
            return f"{where}: {text}" if text else where
    return ""


def variables_of(error: Exception) -> Variables:
    """The variables of the user's code in a traceback that hold tensors, arrays and modules; inner code comes first."""
    found: Variables = {}
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if is_users(frame):
            for name, thing in named_parts(frame.f_locals):
                if isinstance(thing, (Tensor, ndarray)) or (is_module(thing) and not name.startswith("self")):
                    found.setdefault(id(thing), name)
    return found
