"""What changes a pass: no_grad() records nothing, a watch is told of everything, hooks see gradients.

A mode belongs to the thread that sets it: were it a global variable, evaluating in one thread would silently stop the
recording of a training step in another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy import ndarray

if TYPE_CHECKING:
    from tinygrad_edu.anomaly import Anomaly
    from tinygrad_edu.tensor import Tensor

__all__ = ["PLAIN", "current_mode", "no_grad", "run_hooks", "setting"]


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


def run_hooks(tensor: Tensor, g: Any) -> Any:
    """Shows a gradient to the tensor's hooks; what a hook returns takes its place.

    Addition hands one array to both operands, so a hook that wrote into it would change the other's gradient too: it
    gets a read-only view.
    """
    for hook in list(tensor._hooks):
        shown = g
        if type(g) is ndarray:
            shown = g.view()
            shown.flags.writeable = False
        new = hook(shown)
        if new is None or new is shown:
            continue
        if type(new) is not type(tensor):
            new = type(tensor)(new, requires_grad=False, dtype=tensor.dtype)
        if new.shape != tensor.shape:
            raise ValueError(f"register_hook: a hook made shape {new.shape} of a gradient of shape {tensor.shape}")
        g = new.astype(tensor.dtype) if type(g) is type(tensor) else new._data
    return g
