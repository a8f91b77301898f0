"""Penalties: one number that says how large the parameters are, to be added to a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import check_number
from tinygrad_edu.engine import is_tensor
from tinygrad_edu.functional.losses import HALF
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["l1_penalty", "l2_penalty"]


def penalty(name: str, parameters: Iterable[Tensor], of: Callable[[Tensor], Tensor], strength: float) -> Tensor:
    """strength * the sum of `of(p)` over all elements of all parameters."""
    if is_tensor(parameters) or isinstance(parameters, np.ndarray) or not isinstance(parameters, Iterable):
        raise TypeError(f"{name}: parameters is a {type(parameters).__name__}; pass model.parameters() or a list")
    strength, parameters = check_number(f"{name}: strength", strength, at_least=0, finite=False), list(parameters)
    if not parameters:
        raise ValueError(f"{name}: there are no parameters; a generator can be used up only once")
    for p in parameters:
        if not hasattr(p, "dtype"):
            raise TypeError(f"{name}: among the parameters is a {type(p).__name__}; pass model.parameters()")
    half = all(p.dtype == HALF for p in parameters)  # where the square of 0.0001 is 0
    wide = [ops.astype(p, np.float32) if p.dtype == HALF else p for p in parameters]
    out = ops.multiply(reduce(ops.add, [ops.sum(of(p)) for p in wide]), strength)
    return ops.astype(out, HALF) if half else out


@library_function
def l1_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength * sum(|p|), added to a loss: pulls small weights to 0 and keeps the rest, as the lasso, Tibshirani 1996.

    Args:
        parameters: Tensors of any shapes, such as model.parameters().
        strength: At least 0.

    Raises:
        TypeError: A single Tensor, or something among them that is not a Tensor.
        ValueError: No parameters, or strength below 0.
    """
    return penalty("l1_penalty", parameters, ops.abs, strength)


@library_function
def l2_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength / 2 * sum(p**2), added to a loss: keeps weights small (Krogh & Hertz 1992).

    Its gradient is strength * p, so under SGD it is the same as weight_decay=strength.

    Args and Raises: As for l1_penalty.
    """
    return penalty("l2_penalty", parameters, lambda p: ops.multiply(p, 0.5 * p), strength)
