"""What changes a pass: no_grad() records nothing, a watch is told of everything, hooks see gradients.

A mode belongs to the thread that sets it: were it a global variable, evaluating in one thread would silently stop the
recording of a training step in another. And to the code that sets it: see blocks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from numpy import ndarray

from tinygrad_edu.blocks import Block, Entry

if TYPE_CHECKING:
    from tinygrad_edu.engine.node import Op
    from tinygrad_edu.tensor import Tensor

__all__ = ["PLAIN", "Mode", "current_mode", "no_grad", "run_hooks", "setting", "stored_mode"]


class Watch(Protocol):
    """Wraps every op and every vjp, and is told of each result and each gradient."""

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]: ...
    def forward(self, op: Op, inputs: tuple[Any, ...], tensor: Tensor) -> None: ...
    def backward(self, tensor: Tensor, position: int, gradient: Any) -> None: ...


class Mode(NamedTuple):
    """What the engine asks before it records an op."""

    recording: bool = True
    watch: Watch | None = None
    entries: tuple[Entry, ...] = ()  # the blocks that were entered


PLAIN = Mode()
mode: ContextVar[Mode] = ContextVar("mode", default=PLAIN)
stored_mode = mode.get  # PLAIN outside all blocks, else what current_mode looks at closely


class setting(Block):
    """Context manager and decorator that changes fields of the mode."""

    variable, plain = mode, PLAIN


current_mode = setting.in_force


class no_grad(setting):
    """Context manager and decorator: ops compute but record nothing, so their results are constants.

    Example:
        with no_grad():
            accuracy = (model(x).data.argmax(axis=1) == labels).mean()
    """

    def __init__(self) -> None:
        super().__init__(recording=False)


def run_hooks(tensor: Tensor, g: Any) -> Any:
    """Calls the tensor's hooks with a gradient; what one returns replaces it.

    They get a read-only view: addition hands one array to both operands, and writing would change the other's too.
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
        g = new.astype(tensor.dtype) if type(g) is type(tensor) else new._values
    return g
