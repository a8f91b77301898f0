"""Modes of the engine: no_grad() records nothing, detect_anomaly() finds where the first NaN or infinity comes from.

A mode belongs to the thread that sets it: were it a global variable, evaluating in one thread would silently stop the
recording of a training step in another.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_edu.engine.node import plain

if TYPE_CHECKING:
    from tinygrad_edu.engine.node import Op
    from tinygrad_edu.tensor import Tensor

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Mode(NamedTuple):
    """What the engine asks before it records an op."""

    recording: bool = True
    watch: Anomaly | None = None  # is told of every result and every gradient


PLAIN = Mode()
mode: ContextVar[Mode] = ContextVar("mode", default=PLAIN)
current_mode = mode.get


@contextmanager
def setting(**changes: Any) -> Iterator[None]:
    """Changes fields of the mode inside a with block."""
    token = mode.set(mode.get()._replace(**changes))
    try:
        yield
    finally:
        mode.reset(token)


def no_grad() -> AbstractContextManager[None]:
    """Context manager and decorator: ops compute but record nothing, so their results are constants.

    Example:
        with no_grad():
            accuracy = (model(x).data.argmax(axis=1) == labels).mean()
    """
    return setting(recording=False)


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Context manager and decorator: the first op that makes a NaN or an infinity raises, forward or backward.

    The error names the op, its operands and the line of user code that called it; for a backward pass to know that
    line, the forward pass must run inside too. NumPy's own warnings are silent meanwhile. Slow: every result is
    searched.

    Raises:
        FloatingPointError: Where it happens.

    Example:
        with detect_anomaly():
            loss = log(Tensor(0.0))     # FloatingPointError: log made an infinity; called at ...
    """
    with np.errstate(all="ignore"), setting(watch=Anomaly()):
        yield


class Anomaly:
    """Looks at every result and every gradient."""

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}  # creation number -> line of user code

    def forward(self, op: Op, inputs: Sequence[Any], tensor: Tensor) -> None:
        """Checks what an op made, and notes who called it."""
        line = self.lines[tensor._number] = calling_line()
        check(tensor._data, op.name, line, op, inputs)

    def backward(self, tensor: Tensor, position: int, gradient: Any) -> None:
        """Checks what the vjp to one operand of `tensor` made."""
        op = tensor._op
        line = self.lines.get(tensor._number, "a line outside detect_anomaly()")
        check(gradient, f"the backward of {op.name} (to {op.argument(position)})", line, op, tensor._inputs)


def check(values: Any, maker: str, line: str, op: Op, inputs: Sequence[Any]) -> None:
    """Raises if the values are not all finite."""
    values = plain(values)
    if not np.isfinite(values).all():
        what = "NaN" if np.isnan(values).any() else "an infinity"
        operands = "".join([f"\n  {op.argument(i)} = {x!r:.200}" for i, x in enumerate(inputs)])
        raise FloatingPointError(f"{maker} made {what}; called at {line}{operands}")


def calling_line() -> str:
    """File, number and text of the innermost line outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{number}: {linecache.getline(file, number).strip()}"
