"""Muon: steps along all directions of a matrix alike.

The gradient of a weight matrix is mostly of low rank: a few of its singular values are large, and steps along it or its
mean go into a few directions alone. Muon sets all singular values to about 1, so the rare directions are learnt too.
"""

from __future__ import annotations

import math

import numpy as np
from numpy import ndarray

from tinygrad_edu.optim.base import Optimizer, Params, State
from tinygrad_edu.optim.clip import p_norm
from tinygrad_edu.optim.optimizers import decayed_sum, shrink
from tinygrad_edu.optim.parameters import Group, check_parameters
from tinygrad_edu.tensor import Tensor

__all__ = ["Muon"]


class Muon(Optimizer):
    """Momentum whose steps are made orthogonal (Jordan 2024, "Muon: an optimizer for hidden layers").

        m = momentum * m + (1 - momentum) * grad
        u = momentum * m + (1 - momentum) * grad    if nesterov, else m
        p = p - lr * weight_decay * p - lr * sqrt(max(1, rows / columns)) * orthogonal(u)

    The state is grad_sum = m / (1 - momentum), see the top of optimizers.py. PyTorch rounds to bfloat16 to make u
    orthogonal; here that has the dtype of the parameter, or float32 for float16.

    Args:
        params: Matrices, or groups of them: the weights of hidden layers. Biases and what is not a matrix, and better
            also embeddings and the last layer, go to another optimizer.
        lr: Learning rate: about the root mean square of a step, times the root of the number of columns.
        weight_decay: Share of the weights, times lr, that is taken away at each step, as by AdamW.
        momentum: Decay of the mean of the gradient, in [0, 1).
        nesterov: Look ahead along the mean, see SGD.
        ns_coefficients: a, b and c of the iteration, see `orthogonal`.
        eps: The smallest length that u is divided by.
        ns_steps: Iterations, below 100.
        adjust_lr_fn: "original" or None: as above. "match_rms_adamw": 0.2 * sqrt(max(rows, columns)) takes the place of
            the root; then steps are about as long as AdamW's, whose lr and weight_decay may be used (Liu et al. 2025).

    Raises:
        TypeError: As Optimizer.
        ValueError: As Optimizer, or a parameter is not a matrix.

    Example:
        matrices = [p for p in hidden.parameters() if p.ndim == 2]
        others = [p for p in hidden.parameters() if p.ndim != 2]
        optimizers = [Muon(matrices, lr=0.02), AdamW([*others, *embedding.parameters(), *head.parameters()])]
    """

    torch_names = {"grad_sum": "momentum_buffer"}  # noqa: RUF012

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults: Group = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        defaults |= {"ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps}
        super().__init__(params, {**defaults, "adjust_lr_fn": adjust_lr_fn})

    def _add(self, where: str, params: object, values: Group) -> None:
        params = check_parameters(params, where, self.params)
        for i, p in enumerate(params):
            if p.ndim != 2:
                raise ValueError(
                    f"Muon: {where}[{i}] {p.name or ''}{p.shape} is not a matrix, and only steps of matrices can be "
                    "made orthogonal; give the others to another optimizer, as AdamW([p for p in model.parameters() "
                    "if p.ndim != 2]), and step both"
                )
        super()._add(where, params, values)

    def moments(self, group: Group) -> dict[str, float]:
        """m is this sum times this factor."""
        return {"grad_sum": 1 - group["momentum"]}

    def _decay(self, p: Tensor, grad: ndarray, group: Group, buffer: ndarray) -> ndarray:
        shrink(p, group)
        return super()._decay(p, grad, {}, buffer)

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr, adjusted to the shape, times the orthogonal matrix next to the mean gradient."""
        u = decayed_sum(state, "grad_sum", group["momentum"], grad, scratch)
        if group["nesterov"]:
            np.multiply(u, group["momentum"], out=scratch)
            scratch += grad
            u = scratch
        eps = group["eps"] / (1 - group["momentum"])
        step = orthogonal(u, group["ns_coefficients"], group["ns_steps"], eps)
        rows, columns = grad.shape
        matched = group["adjust_lr_fn"] == "match_rms_adamw"
        ratio = 0.2 * math.sqrt(max(rows, columns)) if matched else math.sqrt(max(1, rows / max(columns, 1)))
        np.multiply(step, group["lr"] * ratio, out=scratch)
        return scratch


def orthogonal(matrix: ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> ndarray:
    """U @ V.T of the singular value decomposition U @ S @ V.T, roughly: singular values from about 0.7 to 1.2.

    That is enough, and the iteration of Newton and Schulz needs products of matrices alone. For a fifth-order
    polynomial it is X = a * X + b * (X @ X.T) @ X + c * (X @ X.T)**2 @ X, which does to every singular value s what
    s = a * s + b * s**3 + c * s**5 says. Jordan's a, b and c lift small ones most.
    """
    a, b, c = coefficients
    x = matrix / max(p_norm(matrix, 2.0), eps)  # no singular value is above 1
    wide = x if x.shape[0] <= x.shape[1] else x.T
    for _ in range(steps):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * (gram @ gram)) @ wide
    return wide if x.shape[0] <= x.shape[1] else wide.T
