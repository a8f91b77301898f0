"""Trigonometric and hyperbolic functions, their inverses, and what is made of them. Angles are in radians."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.engine import Array, op
from tinygrad_edu.ops.elementwise import Operand

if TYPE_CHECKING:
    pass

__all__ = ["cos", "sin", "tanh"]


@op(lambda g, out, x: g * cos(x))
def sin(x: Operand) -> Array:
    """Sine of x in radians."""
    return np.sin(x)


@op(lambda g, out, x: -g * sin(x))
def cos(x: Operand) -> Array:
    """Cosine of x in radians."""
    return np.cos(x)


@op(lambda g, out, x: g * (1 - out * out))
def tanh(x: Operand) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)
