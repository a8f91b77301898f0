"""detect_anomaly: where does the first NaN or infinity come from?

A NaN spreads to all that is computed from it, and is seen long after the line that made it. The engine tells whoever
watches (`Mode.watch`) of each result and each gradient; this watcher checks them all.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import Op, plain, setting

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["calling_frame", "detect_anomaly"]

PACKAGE = os.path.dirname(__file__) + os.sep


class detect_anomaly(setting):
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

    def __init__(self) -> None:
        super().__init__(watch=Anomaly())
        self.quiet: list[Any] = []

    def __enter__(self) -> None:
        self.quiet.append(np.errstate(all="ignore"))
        self.quiet[-1].__enter__()
        super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__()
        self.quiet.pop().__exit__()

    def again(self) -> detect_anomaly:
        """Another one, with a memory of its own."""
        return detect_anomaly()


class Anomaly:
    """Looks at every result and every gradient."""

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}  # creation number -> line of user code

    def forward(self, op: Op, inputs: Sequence[Any], tensor: Tensor) -> None:
        """Checks what an op made, and notes who called it."""
        line = self.lines[tensor._number] = calling_line()
        check_finite(tensor._data, op.name, line, op, inputs)

    def backward(self, tensor: Tensor, position: int, gradient: Any) -> None:
        """Checks what the vjp to one operand of `tensor` made."""
        op = tensor._op
        line = self.lines.get(tensor._number, "a line outside detect_anomaly()")
        check_finite(gradient, f"the backward of {op.name} (to {op.argument(position)})", line, op, tensor._inputs)


def check_finite(values: Any, maker: str, line: str, op: Op, inputs: Sequence[Any]) -> None:
    """Raises if the values are not all finite."""
    values = plain(values)
    if not np.isfinite(values).all():
        what = "NaN" if np.isnan(values).any() else "an infinity"
        operands = "".join([f"\n  {op.argument(i)} = {x!r:.200}" for i, x in enumerate(inputs)])
        raise FloatingPointError(f"{maker} made {what}; called at {line}{operands}")


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
