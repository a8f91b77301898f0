"""SGD, Adagrad, RMSprop, Adam, AdamW and NAdam: from gradients to steps.

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
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.arguments import others_by_name
from tinygrad_edu.optim.base import Optimizer, Params, State
from tinygrad_edu.optim.parameters import Group
from tinygrad_edu.tensor import Tensor

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "NAdam", "RMSprop", "decayed_sum", "shrink"]

FLUSH_EVERY = 64  # steps: 0.9**64 = 0.001, so nothing gets from the rounding error to the subnormals in between
FLUSH_BY = 1e-23


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964; Sutskever et al. 2013), in PyTorch's form.

        v = momentum * v + (1 - dampening) * (grad + weight_decay * p),    at first without the dampening
        p = p - lr * v

    Args:
        params: Leaf Tensors, or groups of them.
        lr: Learning rate.
        momentum: Share of the last step's direction that is kept, in [0, 1).
        dampening: Share of the gradient that is not added to v, from 0 to 1; not used without momentum.
        weight_decay: Strength of the L2 penalty weight_decay / 2 * p**2.
        nesterov: Step along grad + momentum * v, as if the gradient were taken one step ahead (Nesterov 1983).
        maximize: Go up instead of down, along -grad in the place of grad.

    Raises:
        TypeError: As Optimizer.
        ValueError: As Optimizer, or nesterov without momentum or with dampening.
    """

    torch_names = {"momentum_buffer": "momentum_buffer"}  # noqa: RUF012

    @others_by_name
    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "nesterov": nesterov, "maximize": maximize})

    def moments(self, group: Group) -> dict[str, float]:
        """v, as it is in the formula."""
        return {"momentum_buffer": 1.0}

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr * v."""
        if group["momentum"]:
            new = grad
            if group["dampening"] and "momentum_buffer" in state:
                new = np.multiply(grad, 1 - group["dampening"], out=scratch)
            v = decayed_sum(state, "momentum_buffer", group["momentum"], new, scratch)
            if group["nesterov"]:
                np.multiply(v, group["momentum"], out=scratch)
                scratch += grad
                v = scratch
            grad = v
        np.multiply(grad, group["lr"], out=scratch)
        return scratch


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer 2011): each step over the size of all gradients so far.

        s = s + grad**2
        p = p - lr / (1 + (t - 1) * lr_decay) * grad / (sqrt(s) + eps)

    What is rarely in use, such as the embedding of a rare word, keeps long steps; but those of all others shrink for
    ever, which RMSprop mends. The state is sum, s.

    Args:
        params, weight_decay, maximize: As for SGD.
        lr: Learning rate: about the length of the first step in each coordinate.
        lr_decay: How fast the rate falls with the number t of steps.
        initial_accumulator_value: s before the first step.
        eps: Added to the denominator.

    Raises: As for SGD.
    """

    torch_names = {"step": "step", "sum": "sum"}  # noqa: RUF012

    @others_by_name
    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        super().__init__(
            params, {**defaults, "initial_accumulator_value": initial_accumulator_value, "maximize": maximize}
        )

    def moments(self, group: Group) -> dict[str, float]:
        """s, as it is in the formula."""
        return {"sum": 1.0}

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr times the gradient over the root of the sum of its squares."""
        if "sum" not in state:
            state["sum"] = np.full_like(scratch, group["initial_accumulator_value"])
        total: ndarray = state["sum"]
        total += np.multiply(grad, grad, out=scratch)
        flush(total, state, group["eps"])
        np.sqrt(total, out=scratch)
        scratch += group["eps"]
        np.divide(grad, scratch, out=scratch)
        scratch *= group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        return scratch

    def to_torch(self) -> dict[str, Any]:
        """As Optimizer; PyTorch's Adagrad has a state of every parameter before the first step."""
        state = super().to_torch()
        for group in state["param_groups"]:
            for i in group["params"]:
                start = np.full(self.params[i].shape, group["initial_accumulator_value"], self._work[i][1].dtype)
                state["state"].setdefault(i, {"step": np.asarray(0.0), "sum": start})
        return state


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5 of their course): each step over the size of recent gradients.

        v = alpha * v + (1 - alpha) * grad**2
        p = p - lr * grad / (sqrt(v) + eps)

    The state is square_sum = v / (1 - alpha), see the top of the file; grad_sum, the sum of gradients, if centered; and
    step_sum, the decayed sum of grad / sqrt(square_sum), if there is momentum.

    Args:
        params, lr, weight_decay, maximize: As for SGD.
        alpha: Decay of the mean square, in [0, 1).
        eps: Added to the denominator.
        momentum: Share of the last step that is kept, in [0, 1).
        centered: Divide by the standard deviation: subtract the squared mean gradient from v (Graves 2013).

    Raises: As for SGD.
    """

    torch_names = {  # noqa: RUF012
        "step": "step", "square_sum": "square_avg", "grad_sum": "grad_avg", "step_sum": "momentum_buffer",
    }  # fmt: skip

    @others_by_name
    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "momentum": momentum, "centered": centered, "maximize": maximize})

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
    section 2 of the paper; with amsgrad also max_square_sum, the largest square_sum so far.

    Args:
        params, weight_decay, maximize: As for SGD.
        lr: Learning rate: about the length of a step in each coordinate.
        betas: Decay of the mean of the gradient and of its square, in [0, 1).
        eps: Added to the denominator.
        amsgrad: Divide by the root of the largest v so far, with which steps cannot grow again (Reddi, Kale & Kumar
            2018).

    Raises: As for SGD.
    """

    torch_names = {  # noqa: RUF012
        "step": "step", "grad_sum": "exp_avg", "square_sum": "exp_avg_sq", "max_square_sum": "max_exp_avg_sq",
    }  # fmt: skip

    @others_by_name
    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad, "maximize": maximize})

    def moments(self, group: Group) -> dict[str, float]:
        """m and v are these sums times these factors."""
        beta1, beta2 = group["betas"]
        return {"grad_sum": 1 - beta1, "square_sum": 1 - beta2, "max_square_sum": 1 - beta2}

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr times the corrected mean over the root of the corrected mean square."""
        (beta1, beta2), eps, t = group["betas"], group["eps"], state["step"]
        m = decayed_sum(state, "grad_sum", beta1, grad, scratch)
        v = decayed_sum(state, "square_sum", beta2, np.multiply(grad, grad, out=scratch), scratch, eps)
        if group["amsgrad"]:
            v = largest(state, v, eps)
        return over_root(m, v, group, t, group["lr"] * (1 - beta1) / (1 - beta1**t), scratch)


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
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def _decay(self, p: Tensor, grad: ndarray, group: Group, buffer: ndarray) -> ndarray:
        shrink(p, group)
        return super()._decay(p, grad, {"maximize": group["maximize"]}, buffer)


class NAdam(Optimizer):
    """Adam with Nesterov's look ahead (Dozat 2016), in PyTorch's form.

        mu(t) = beta1 * (1 - 0.96**(t * momentum_decay) / 2),    M(t) = mu(1) * mu(2) * ... * mu(t)
        u = (1 - mu(t)) / (1 - M(t)) * grad + mu(t + 1) / (1 - M(t + 1)) * m
        p = p - lr * u / (sqrt(v / (1 - beta2**t)) + eps)

    with m and v as in Adam. The state is grad_sum and square_sum as there, and mu_product, M.

    Args:
        params, weight_decay, maximize: As for SGD.
        lr, betas, eps: As for Adam.
        momentum_decay: How fast mu grows from half of beta1 to beta1.
        decoupled_weight_decay: Take the weight decay off the weights, as AdamW.

    Raises: As for SGD.
    """

    scalars = ("mu_product",)
    torch_names = {  # noqa: RUF012
        "step": "step", "mu_product": "mu_product", "grad_sum": "exp_avg", "square_sum": "exp_avg_sq",
    }  # fmt: skip

    @others_by_name
    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        more = {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, {**defaults, **more})

    def moments(self, group: Group) -> dict[str, float]:
        """m and v are these sums times these factors."""
        beta1, beta2 = group["betas"]
        return {"grad_sum": 1 - beta1, "square_sum": 1 - beta2}

    def _decay(self, p: Tensor, grad: ndarray, group: Group, buffer: ndarray) -> ndarray:
        """As Optimizer, but always in the buffer, where update may change it."""
        if group["decoupled_weight_decay"]:
            shrink(p, group)
            group = {"maximize": group["maximize"]}
        found = super()._decay(p, grad, group, buffer)
        if found is not buffer:
            buffer[...] = found
        return buffer

    def update(self, grad: ndarray, state: State, group: Group, scratch: ndarray) -> ndarray:
        """lr times the corrected look ahead over the root of the corrected mean square."""
        (beta1, beta2), eps, t = group["betas"], group["eps"], state["step"]
        mu, next_mu = [beta1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (t, t + 1)]
        product = state["mu_product"] = state.get("mu_product", 1.0) * mu
        m = decayed_sum(state, "grad_sum", beta1, grad, scratch)
        v = decayed_sum(state, "square_sum", beta2, np.multiply(grad, grad, out=scratch), scratch, eps)
        np.multiply(m, next_mu * (1 - beta1) / (1 - product * next_mu), out=scratch)
        grad *= (1 - mu) / (1 - product)
        grad += scratch
        return over_root(grad, v, group, t, group["lr"], scratch)


def decayed_sum(state: State, name: str, decay: float, new: ndarray, like: ndarray, eps: float = 1.0) -> ndarray:
    """decay * sum + new, in place, where the sum is kept in the state; at first it is zeros in the layout of `like`."""
    if name not in state:
        state[name] = np.zeros_like(like)
    array: ndarray = state[name]
    array *= decay
    array += new
    flush(array, state, eps)
    return array


def over_root(x: ndarray, square_sum: ndarray, group: Group, t: int, factor: float, scratch: ndarray) -> ndarray:
    """factor * x / (sqrt(v / (1 - beta2**t)) + eps), in the scratch, where v is (1 - beta2) * square_sum: Adam's."""
    beta2 = group["betas"][1]
    scale = math.sqrt((1 - beta2) / (1 - beta2**t))  # of the root of square_sum
    np.sqrt(square_sum, out=scratch)
    scratch += group["eps"] / scale
    np.divide(x, scratch, out=scratch)
    scratch *= factor / scale
    return scratch


def largest(state: State, square_sum: ndarray, eps: float) -> ndarray:
    """The largest square_sum so far, in place; it is kept in the state."""
    if "max_square_sum" not in state:
        state["max_square_sum"] = np.zeros_like(square_sum)
    array: ndarray = state["max_square_sum"]
    np.maximum(array, square_sum, out=array)
    flush(array, state, eps)
    return array


def flush(array: ndarray, state: State, eps: float) -> None:
    """Every 64 steps, makes nearly subnormal numbers zero; in mean squares those negligible next to eps**2."""
    if state["step"] % FLUSH_EVERY == 0:
        by = min(FLUSH_BY, 1e-7 * eps**2)
        array += by
        array -= by


def shrink(p: Tensor, group: Group) -> None:
    """Decoupled weight decay."""
    p.data *= 1 - group["lr"] * group["weight_decay"]
