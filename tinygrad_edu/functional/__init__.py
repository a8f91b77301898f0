"""PyTorch's F: activations, losses, penalties and layers as functions, with PyTorch's names and arguments.

Each works on Tensors, arrays and nested lists. None has a rule of its own: the chain rule finds it. The functions of
`ops`, with NumPy's names, can be reached from here too.
"""

from __future__ import annotations

from tinygrad_edu.functional import activations, layers, losses
from tinygrad_edu.functional.activations import *
from tinygrad_edu.functional.layers import *
from tinygrad_edu.functional.losses import *
from tinygrad_edu.ops import *

__all__ = ["leaky_relu", "log_softmax", "softmax"]
for part in (activations, layers, losses):
    __all__ += part.__all__


def __dir__() -> list[str]:
    return __all__
