"""SGD, RMSprop, Adam and AdamW: from gradients to steps.

An optimizer touches every parameter at every step, so its cost is the passes over memory. All arithmetic is in place
or in two work arrays that the parameters share; a step allocates nothing that grows with the model, and gradients
are only read. Where a formula says m = beta * m + (1 - beta) * grad, the sum m = beta * m + grad is kept: the factor
and the bias correction are then part of the learning rate, one scalar a step, instead of one more pass over memory.

The hard idea is the smallest numbers. Moments decay by a factor at each step, and in float32 that never reaches zero:

    m = np.float32(1)
    for _ in range(1000):
        m *= np.float32(0.9)        # 5.6e-45, and stays there

Below 1.2e-38 a float32 is subnormal, and many processors take some 40 times longer for it. A weight whose input
is a dark pixel gets there after some hundred steps without a gradient, and training slows down epoch by epoch. So every
64 steps 1e-23 is added to the moments and taken away: what is below its rounding error becomes exactly zero.
"""

from __future__ import annotations

import math

import numpy as np
from numpy import ndarray

from tinygrad_edu.arguments import others_by_name
from tinygrad_edu.optim.base import Group, Optimizer, Params, State
from tinygrad_edu.tensor import Tensor

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]

FLUSH_EVERY = 64  # steps: 0.9**64 = 0.001, so nothing gets from the rounding error to the subnormals in between
FLUSH_BY = 1e-23


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964; Sutskever et al. 2013), in PyTorch's form.

        v = momentum * v + grad + weight_decay * p
        p = p - lr * v

    Args:
        params: Leaf Tensors, or groups of them.
        lr: Learning rate.
        momentum: Share of the last step's direction that is kept, in [0, 1).
        weight_decay: Strength of the L2 penalty weight_decay / 2 * p**2.
        nesterov: Step along grad + momentum * v, as if the gradient were taken one step ahead (Nesterov 1983).

    Raises:
        TypeError: As Optimizer.
        ValueError: As Optimizer, or nesterov without momentum.
    """

    @others_by_name
    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        *,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov})

    def moments(self, group: Group) -> dict[str, float]:
        """v, as it is in the formula."""
        return {"momentum_buffer": 1.0}

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr * v."""
        if group["momentum"]:
            v = decayed_sum(state, "momentum_buffer", group["momentum"], grad, scratch)
            if group["nesterov"]:
                np.multiply(v, group["momentum"], out=scratch)
                scratch += grad
                v = scratch
            grad = v
        np.multiply(grad, group["lr"], out=scratch)
        return scratch


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5 of their course): each step over the size of recent gradients.

        v = alpha * v + (1 - alpha) * grad**2
        p = p - lr * grad / (sqrt(v) + eps)

    The state is square_sum = v / (1 - alpha), see the top of the file; grad_sum, the sum of gradients, if centered; and
    step_sum, the decayed sum of grad / sqrt(square_sum), if there is momentum.

    Args:
        params, lr, weight_decay: As for SGD.
        alpha: Decay of the mean square, in [0, 1).
        eps: Added to the denominator.
        momentum: Share of the last step that is kept, in [0, 1).
        centered: Divide by the standard deviation: subtract the squared mean gradient from v (Graves 2013).

    Raises: As for SGD.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "momentum": momentum, "centered": centered})

    def moments(self, group: Group) -> dict[str, float]:
        """v, the mean gradient and the momentum are these sums times these factors."""
        factor = 1 - group["alpha"]
        return {"square_sum": factor, "grad_sum": factor, "step_sum": 1 / math.sqrt(factor)}

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr times the gradient over its root mean square, or the momentum of that."""
        alpha, eps, factor = group["alpha"], group["eps"], 1 - group["alpha"]
        v = decayed_sum(state, "square_sum", alpha, np.multiply(grad, grad, out=scratch), scratch, eps)
        if group["centered"]:
            m = decayed_sum(state, "grad_sum", alpha, grad, scratch)
            np.multiply(m, m, out=scratch)
            scratch *= -factor
            scratch += v
            v = np.maximum(scratch, 0.0, out=scratch)  # rounding makes the variance of a constant negative
        np.sqrt(v, out=scratch)
        scratch += eps / math.sqrt(factor)
        step = np.divide(grad, scratch, out=scratch)
        if group["momentum"]:
            step = decayed_sum(state, "step_sum", group["momentum"], step, scratch)
        np.multiply(step, group["lr"] / math.sqrt(factor), out=scratch)
        return scratch


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with weight decay as an L2 penalty, as PyTorch's.

        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        p = p - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)

    The state is grad_sum = m / (1 - beta1) and square_sum = v / (1 - beta2), see the top of the file and the end of
    section 2 of the paper.

    Args:
        params, weight_decay: As for SGD.
        lr: Learning rate: about the length of a step in each coordinate.
        betas: Decay of the mean of the gradient and of its square, in [0, 1).
        eps: Added to the denominator.

    Raises: As for SGD.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def moments(self, group: Group) -> dict[str, float]:
        """m and v are these sums times these factors."""
        beta1, beta2 = group["betas"]
        return {"grad_sum": 1 - beta1, "square_sum": 1 - beta2}

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr times the corrected mean over the root of the corrected mean square."""
        (beta1, beta2), eps, t = group["betas"], group["eps"], state["step"]
        m = decayed_sum(state, "grad_sum", beta1, grad, scratch)
        v = decayed_sum(state, "square_sum", beta2, np.multiply(grad, grad, out=scratch), scratch, eps)
        scale = math.sqrt((1 - beta2) / (1 - beta2**t))  # sqrt(corrected v) = scale * sqrt(v)
        np.sqrt(v, out=scratch)
        scratch += eps / scale
        np.divide(m, scratch, out=scratch)
        scratch *= group["lr"] * (1 - beta1) / (1 - beta1**t) / scale
        return scratch


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

        p = p - lr * weight_decay * p,    then as Adam without weight decay

    Adam divides each gradient by its usual size, and a penalty that is part of the gradient with it: weights with large
    gradients would hardly decay. Here all decay at the same rate. Arguments as for Adam.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _decay(self, p: Tensor, grad: ndarray, group: Group, buffer: ndarray) -> ndarray:
        p.data *= 1 - group["lr"] * group["weight_decay"]
        return super()._decay(p, grad, {}, buffer)


def decayed_sum(state: State, name: str, decay: float, new: ndarray, like: ndarray, eps: float = 1.0) -> ndarray:
    """decay * sum + new, in place, where the sum is kept in the state; at first it is zeros in the layout of `like`.

    Every 64 steps, nearly subnormal numbers become zero; in mean squares those that are negligible next to eps**2.
    """
    if name not in state:
        state[name] = np.zeros_like(like)
    array: ndarray = state[name]
    array *= decay
    array += new
    if state["step"] % FLUSH_EVERY == 0:
        by = min(FLUSH_BY, 1e-7 * eps**2)
        array += by
        array -= by
    return array
