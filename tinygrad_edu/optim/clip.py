"""Gradient clipping, between backward() and step(): a bound on how far one batch can throw the weights.

Where a loss has cliffs, as in recurrent networks, one gradient can be a thousand times longer than the others.
Pascanu, Mikolov & Bengio 2013 ("On the difficulty of training recurrent neural networks") shorten it. The length
is that of all gradients together, and one factor for all keeps the direction of the step: clipping each parameter's
gradient by itself would make large and small ones equally long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.arguments import answering_for
from tinygrad_edu.arrays import is_elsewhere
from tinygrad_edu.checks import check_bool, check_number
from tinygrad_edu.optim.parameters import check_parameters, gradient_array
from tinygrad_edu.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "p_norm"]


@answering_for
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Scales all gradients by max_norm / (norm + 1e-6) if that is below 1, in place.

    Args:
        parameters: Leaf Tensors, or one; those without a gradient are skipped.
        max_norm: The largest norm allowed, at least 0; math.inf only measures.
        norm_type: The p of the p-norm, above 0: 2 is the length, math.inf the largest entry.
        error_if_nonfinite: Whether a norm that is NaN or infinite is an error. If not, an infinite norm makes all
            gradients 0 or NaN, and NaN makes all NaN, as in PyTorch.

    Returns:
        The norm before clipping of all gradients as one vector; 0.0 if there are none. Worth plotting.

    Raises:
        TypeError: `parameters` are not Tensors, a gradient is a Tensor (create_graph=True) or does not hold real
            numbers, or `error_if_nonfinite` is not a bool.
        ValueError: `max_norm` or `norm_type` is out of range, a parameter is not a leaf or is there twice, or its
            gradient, set by hand, has another shape.
        RuntimeError: The norm is not finite, and `error_if_nonfinite`; nothing has changed.
    """
    params = with_gradients("clip_grad_norm_", parameters)
    max_norm = check_number("clip_grad_norm_: max_norm", max_norm, at_least=0, finite=False)
    norm_type = check_number("clip_grad_norm_: norm_type", norm_type, above=0, finite=False)
    error_if_nonfinite = check_bool("clip_grad_norm_: error_if_nonfinite", error_if_nonfinite)
    norm = p_norm([p_norm(p.grad, norm_type) for p in params], norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        how = "detect_anomaly() finds where that comes from"
        raise RuntimeError(f"clip_grad_norm_: the norm is {norm}, and no factor makes it {max_norm}; {how}")
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # NaN too
        with np.errstate(invalid="ignore"):
            for p in params:
                p.grad = scaled(p.grad, factor)
    return norm


@answering_for
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clips each entry of each gradient to [-clip_value, clip_value], in place; that changes the direction.

    Args:
        parameters: As for clip_grad_norm_.
        clip_value: The largest absolute value allowed, at least 0.

    Raises:
        TypeError, ValueError: As for clip_grad_norm_.
    """
    params = with_gradients("clip_grad_value_", parameters)
    high = check_number("clip_grad_value_: clip_value", clip_value, at_least=0, finite=False)
    for p in params:
        p.grad = np.clip(p.grad, -high, high, out=writable(p.grad))


def p_norm(values: ArrayLike, p: float) -> float:
    """The p-norm of all entries."""
    flat = np.ravel(values, order="K")  # a view, also of a transposed array
    if not flat.size:
        return 0.0
    if p == math.inf:
        return float(np.maximum(flat.max(), -flat.min()))
    with np.errstate(all="ignore"):
        if p == 2:
            square = float(np.dot(flat, flat)) if flat.itemsize > 2 else math.inf
            if not 1e-30 < square < math.inf:  # too small or large for float32, or float16, but not for float64
                square = float(np.einsum("i,i->", flat, flat, dtype=np.float64))
            if 1e-280 < square < math.inf:
                return math.sqrt(square)
        powers = np.abs(flat, dtype=np.float64)
        largest = powers.max()
        scale = float(largest) if 0 < largest < math.inf else 1.0  # of 1e200 the square is infinite, of 1e-200 it is 0
        powers /= scale
        return scale * float(np.power(powers, p, out=powers).sum() ** (1 / p))


def scaled(grad: ndarray, factor: float) -> ndarray:
    """A gradient times a factor, in place where it can be; in float16 a factor of 1e-8 would be 0."""
    wide = np.result_type(grad, np.float32)
    out = np.multiply(grad, factor, out=writable(grad), dtype=wide, casting="same_kind")
    return out.astype(grad.dtype, copy=False)  # type: ignore[no-any-return]


def writable(grad: Any) -> ndarray | None:
    """A gradient if it can be changed in place, or else None: a NumPy scalar, for the shape (), cannot."""
    if is_elsewhere(grad):
        return grad  # type: ignore[no-any-return]
    return grad if isinstance(grad, ndarray) and grad.flags.writeable else None


def with_gradients(function: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The parameters that have a gradient; only leaves, as intermediate results may share theirs."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    params = [p for p in check_parameters(parameters, f"{function}: parameters") if p.grad is not None]
    for i, p in enumerate(params):
        if isinstance(p.grad, Tensor):
            raise TypeError(
                f"{function}: the gradient of {p.name or 'a parameter'}{p.shape} is a Tensor with a graph "
                "(create_graph=True), and clipping would cut it off; drop the graph with p.grad = p.grad.numpy()"
            )
        grad = gradient_array(function, i, p)
        if grad is not None and (grad.dtype.kind != "f" or not hasattr(p.grad, "dtype")):  # set by hand
            p.grad = grad.astype(p.dtype)
    return params
