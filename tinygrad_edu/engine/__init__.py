"""How a graph is recorded and walked: read `node.py`, `autograd.py`, `modes.py`."""

from tinygrad_edu.engine.autograd import Node, backward_pass, new_number, op, seed, unbroadcast
from tinygrad_edu.engine.hooks import Handle
from tinygrad_edu.engine.modes import PACKAGE, current_mode, detect_anomaly, no_grad, setting
from tinygrad_edu.engine.node import REGISTRY, Array, Op, as_operand, floating, is_tensor, plain

__all__ = [
    "PACKAGE",
    "REGISTRY",
    "Array",
    "Handle",
    "Node",
    "Op",
    "as_operand",
    "backward_pass",
    "current_mode",
    "detect_anomaly",
    "floating",
    "is_tensor",
    "new_number",
    "no_grad",
    "op",
    "plain",
    "seed",
    "setting",
    "unbroadcast",
]
