"""Hooks: functions of the user's that see, or replace, the gradient as it passes a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy import ndarray

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor


class Handle(NamedTuple):
    """What register_hook returns."""

    tensor: Tensor
    hook: Callable[[Any], Any]

    def remove(self) -> None:
        """Takes the hook off."""
        if self.hook in (self.tensor._hooks or ()):
            self.tensor._hooks.remove(self.hook)


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
