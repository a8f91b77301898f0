"""How a graph is recorded and walked, in one sitting: read `node.py`, `autograd.py`, then `modes.py`.

`shortcuts.py` is for speed alone. Nothing here knows `ops` or Tensor; both stand above.
"""

from __future__ import annotations

import os
from typing import TypeVar

from tinygrad_edu.engine import autograd, shortcuts
from tinygrad_edu.engine.autograd import unbroadcast
from tinygrad_edu.engine.modes import current_mode, no_grad, setting
from tinygrad_edu.engine.node import REGISTRY, Array, Node, Op, is_tensor, new_number, plain

__all__ = [
    "REGISTRY", "Array", "Node", "Op", "backward_pass", "bind_tensor", "current_mode", "is_tensor", "new_number",
    "no_grad", "op", "plain", "setting", "unbroadcast",
]  # fmt: skip

T = TypeVar("T", bound=type)
short = os.environ.get("TINYGRAD_EDU_SHORTCUTS") != "0"
op, backward_pass = (shortcuts.op, shortcuts.backward_pass) if short else (autograd.op, autograd.backward_pass)


def bind_tensor(tensor: T) -> T:
    """Class decorator that tells the engine of Tensor: ops return Tensors, whose methods are ops."""
    autograd.Tensor = shortcuts.Tensor = tensor  # type: ignore[attr-defined, assignment]
    return tensor
