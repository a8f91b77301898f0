"""gradcheck: does backward() agree with finite differences?

A derivative is the limit of (f(x + e) - f(x - e)) / 2e, and the computer can come close: in float64 with e near the
cube root of the rounding error the central difference is right to about ten digits. In float32 it would be noise
that looks like a wrong gradient, so everything is checked in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.arrays import array_of, brought, home
from tinygrad_edu.engine import setting
from tinygrad_edu.ops import Operand
from tinygrad_edu.structure import leaves, places, rebuild
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import pull_back

__all__ = ["gradcheck"]


def gradcheck(
    f: Callable[..., Tensor],
    *inputs: Any,
    order: int = 1,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> bool:
    """Compares the gradients of f with central differences.

    An output of several elements is weighted with fixed random numbers and summed, so one number stands for them all.

    Args:
        f: Returns a Tensor of any shape; smooth near the inputs.
        *inputs: f's arguments, or structures of them, such as a dict of arrays. Numbers, lists and floating arrays are
            checked as float64 Tensors; float64 Tensors with requires_grad are perturbed in place and put back, so f
            may also reach them otherwise (a layer's parameters); integer and boolean arrays and constant Tensors are
            handed on.
        order: 1 for the gradients, 2 for the gradients of the gradients as well.
        eps: Step of the difference, times max(1, |x|).
        rtol: Relative tolerance.
        atol: Absolute tolerance.

    Returns:
        True.

    Raises:
        AssertionError: They differ; names input, index, analytic and numeric value.
        TypeError: A Tensor that is not float64, or f does not return a Tensor.
        ValueError: order is neither 1 nor 2, or nothing is there to check.
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, not {order!r}")
    args = [rebuild(x, [variable(leaf) for leaf in leaves(x)]) for x in inputs]
    found = [pair for i, x in enumerate(args) for pair in places(x, f"input {i}")]
    checked = {place: x for place, x in found if type(x) is Tensor and x.requires_grad}
    for place, x in checked.items():
        if x.dtype != np.float64 or not x.is_leaf:
            raise TypeError(
                f"gradcheck: {place} is {x.dtype}; differences need float64 leaves: Tensor(values, dtype=float)"
            )
    if not checked:
        raise ValueError("gradcheck: no input requires a gradient")

    tensors = list(checked.values())

    def weighted(output: object) -> Tensor:
        if type(output) is not Tensor:
            raise TypeError(f"gradcheck: the function returned {type(output).__name__}, not a Tensor")
        if output.size == 1:
            return output.sum()
        weights = np.random.default_rng(0).uniform(0.5, 1.5, output.shape)
        product: Tensor = output * brought(weights, output)
        return product.sum()

    def first() -> Tensor:
        return weighted(f(*args))

    def second() -> Tensor:
        found = pull_back(first(), tensors, None, create_graph=True)
        return sum([weighted(g * (1 + i)) for i, g in enumerate(found)], Tensor(0.0, requires_grad=False))

    with setting(recording=True):  # also inside the caller's no_grad()
        for level, function in list(enumerate((first, second), 1))[:order]:
            analytic = pull_back(function(), tensors, None, create_graph=False)
            for (place, x), gradient in zip(checked.items(), analytic, strict=True):
                compare(function, x, gradient, place, level, eps, rtol, atol)
    return True


def variable(x: Operand) -> Operand:
    """What stands for x in the check: a float64 Tensor, or x itself if it is one or is made of integers."""
    if type(x) is Tensor or (not isinstance(x, int) and array_of(x).dtype.kind in "iub"):
        return x
    return Tensor(x, dtype=float)


def compare(
    f: Callable[[], Tensor], x: Tensor, analytic: Operand, name: str, order: int, eps: float, rtol: float, atol: float
) -> None:
    """Moves each element of x by +-eps and compares what f does with the analytic gradient."""
    values = x.numpy()
    for index in np.ndindex(x.shape):
        step = eps * max(1.0, abs(float(values[index])))
        numeric = 0.0
        try:
            for sign in (1, -1):
                moved = values.copy()
                moved[index] += sign * step
                x.assign(moved)
                numeric += sign * f().item() / (2 * step)
        finally:
            x.assign(values)
        exact = float(np.asarray(home(analytic))[index])
        if not abs(exact - numeric) <= atol + rtol * abs(numeric):
            at = f"{name}{f' ({x.name})' if x.name else ''} at index {index}"
            raise AssertionError(
                f"gradcheck, order {order}: {at}: analytic {exact:.10g}, numeric {numeric:.10g}. "
                "Either a vjp is wrong, or the function has a kink or a jump there"
            )
