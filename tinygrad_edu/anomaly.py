"""detect_anomaly: where does the first NaN or infinity come from?

A NaN spreads to all that is computed from it, and is seen long after the line that made it. The engine tells whoever
watches (`Mode.watch`) of each result and each gradient; this watcher checks them all.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from tinygrad_edu.engine import Op, plain, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_edu.tensor import Tensor

__all__ = ["calling_frame", "detect_anomaly"]

PACKAGE = os.path.dirname(__file__) + os.sep


class detect_anomaly(setting):
    """Context manager and decorator: the first op that makes a NaN or an infinity raises, forward or backward.

    The error names the op, its operands and the line of user code that called it; for a backward pass to know that
    line, the forward pass must run inside too. Then it also finds an array that an op remembers (an operand, a
    constant, an index, labels) and that was changed before backward() by writing into it, as in a.data[0] = 1. NumPy's
    warnings of an op are silent. A -inf that an operand brings passes, as masks are made of it. Slow: every result is
    searched.

    Raises:
        FloatingPointError: Where it happens.
        RuntimeError: In backward, where an array has changed.

    Example:
        with detect_anomaly():
            loss = log(Tensor(0.0))     # FloatingPointError: log made an infinity; called at ...
    """

    def __init__(self) -> None:
        super().__init__(watch=Anomaly())

    def again(self) -> detect_anomaly:
        """Another one, with a memory of its own."""
        return detect_anomaly()


class Anomaly:
    """Looks at every result and every gradient, and at whether what an op remembers has changed meanwhile."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}  # by creation number, as long as the tensor lives

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same without NumPy's warnings: what they say is said here with the line."""
        return np.errstate(all="ignore")(function)

    def forward(self, op: Op, inputs: Sequence[Any], tensor: Tensor) -> None:
        """Checks what an op made, and notes who called it with what."""
        arrays, params = {op.argument(i): plain(x) for i, x in enumerate(inputs)}, tensor._params or {}
        number, calls = tensor._number, self.calls
        alive = ref(tensor, lambda _: calls.pop(number, None))
        call = calls[number] = Call(calling_line(), list(checksums(arrays | params)), alive)
        if what := worst(tensor._values):
            for name, bad in [(name, worst(x)) for name, x in arrays.items()]:
                if bad == what == "-inf":
                    return
                if bad and (bad == "NaN") == (what == "NaN"):
                    raise anomaly(f"{op.name} got {bad} in {name}", call.line, op, inputs)
            places = [i for i, x in enumerate(inputs) if getattr(x, "_requires_grad", False)]
            at = steep(places, op, tensor._values, inputs, params)
            raise anomaly(f"{op.name} made {what}", call.line, op, inputs, at)

    def backward(self, tensor: Tensor, position: int, gradient: Any) -> None:
        """Checks what the vjp to one operand of `tensor` made, and of what."""
        op = tensor._op
        call = self.calls.get(tensor._number, UNSEEN)
        for name, array, before in call.used:
            if checksum(array) != before:
                how = "a gradient of the new values would be wrong; change it after backward(), or give the op a copy"
                raise RuntimeError(f"backward: {name} of {op.name}, called at {call.line}, was changed since; {how}")
        if what := worst(plain(gradient)):
            event = f"the backward of {op.name} (to {op.argument(position)}) made {what}"
            places = [position] if what == "NaN" else []
            at = steep(places, op, tensor._values, tensor._inputs, tensor._params)
            raise anomaly(event, call.line, op, tensor._inputs, at)


class Call:
    """The line that called an op, and the arrays that it works with: name, array, checksum."""

    def __init__(self, line: str, used: list[tuple[str, NDArray[Any], int]], alive: ref[Tensor] | None = None) -> None:
        self.line, self.used = line, used
        self.alive = alive  # forgets the call when its tensor goes


UNSEEN = Call("a line outside detect_anomaly()", [])


def checksums(values: dict[str, Any]) -> Iterator[tuple[str, NDArray[Any], int]]:
    """Each array among the values, also in an index, with its name and checksum."""
    for name, value in values.items():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, np.ndarray):
                yield name, part, checksum(part)


def checksum(array: NDArray[Any]) -> int:
    """A number that hardly any other array has."""
    from zlib import crc32  # which takes a while to load

    return crc32(array.tobytes())


def worst(values: Any) -> str:
    """NaN, an infinity or -inf, if there is one among the values."""
    if np.isfinite(values).all():
        return ""
    return "NaN" if np.isnan(values).any() else "an infinity" if np.isposinf(values).any() else "-inf"


def steep(places: Sequence[int], op: Op, out: Any, inputs: Sequence[Any], params: dict[str, Any]) -> int | None:
    """The first of the operands to which the derivative is infinite somewhere: times an upstream 0 it is NaN."""
    for i in places:
        vjp = partial(op.vjps[0], i) if op.variadic else op.vjps[i]
        with np.errstate(all="ignore"):
            slope = vjp(np.ones_like(out), out, *[plain(x) for x in inputs], **params)
        if np.isinf(slope).any():
            return i
    return None


def anomaly(event: str, line: str, op: Op, inputs: Sequence[Any], at: int | None = None) -> FloatingPointError:
    """The error for what happened, with the operands and, where the derivative to one is infinite, how to mask it."""
    event = event.replace("-inf", "an infinity")
    operands = "".join([f"\n  {op.argument(i)} = {x!r:.200}" for i, x in enumerate(inputs)])
    hint = ""
    if at is not None:
        name = op.argument(at)
        hint = (
            f"\nThe derivative to {name} is infinite there, and 0 times it is NaN: a where() or a mask that comes "
            f"after {op.name} does not help in backward. Mask what goes in: {name} = np.where(good, {name}, 1.0)."
        )
    return FloatingPointError(f"{event}; called at {line}{operands}{hint}")


def calling_line() -> str:
    """File, number and text of the innermost line outside this package."""
    frame = calling_frame()
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{number}: {linecache.getline(file, number).strip()}"


def calling_frame() -> FrameType:
    """The innermost frame outside this package: the user's code."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame
