"""SGD and Adam: from gradients to steps.

An optimizer touches every parameter at every step, so the passes over memory are its cost. All arithmetic is in place
or in one scratch buffer that the parameters share; a step allocates nothing that grows with the model, and gradients
are only read.

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
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.tensor import Tensor

FLUSH_EVERY = 64  # steps: 0.9**64 = 0.001, so nothing gets from the rounding error to the subnormals in between
FLUSH_BY = 1e-23


class Optimizer:
    """Base class: a subclass defines `update`, which says what to subtract from one parameter.

    Args:
        params: Leaf Tensors, such as model.parameters().
        lr: Learning rate, at least 0.

    Attributes:
        params: The list of parameters.
        lr: The learning rate; may be set between steps.
        steps: For each parameter, the number of steps it has taken.

    Raises:
        TypeError: `params` is a single Tensor or contains something else than Tensors.
        ValueError: `params` is empty, or has a duplicate or the result of an op; `lr` is negative or not finite.
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        self.params = checked(params)
        self.lr = self._number("lr", lr)
        self.steps = [0] * len(self.params)
        self._scratch = scratch_arrays(self.params)

    def zero_grad(self) -> None:
        """Forgets the gradients: backward() adds to what is there."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Updates every parameter that has a gradient.

        Raises:
            ValueError: A gradient that was set by hand has another shape than its parameter.
        """
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            grad = p.grad.data if isinstance(p.grad, Tensor) else p.grad
            if getattr(grad, "shape", ()) != p.shape:
                raise ValueError(f"step: parameter {i} has shape {p.shape} but its grad {np.shape(grad)}")
            self.steps[i] += 1
            p.data -= self.update(i, p.data, grad, self._scratch[i])

    def update(self, i: int, data: Any, grad: Any, scratch: ndarray) -> ndarray:
        """What to subtract from parameter i.

        Args:
            i: Its place in `params`.
            data: Its values, to be read.
            grad: Its gradient, of the same shape and dtype, to be read.
            scratch: Array of that shape, dtype and layout to work in; the others use the same memory.
        """
        raise NotImplementedError(f"{type(self).__name__} is no complete optimizer; define update in it")

    def _number(self, name: str, value: Any, below: float = math.inf) -> float:
        """A hyperparameter, checked, as a Python float: a NumPy float64 would make float32 arithmetic float64."""
        if not isinstance(value, Real) or not 0 <= float(value) < below:
            limit = "finite" if below == math.inf else f"below {below:g}"
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}; it must be a number, at least 0 and {limit}")
        return float(value)

    def _flush(self, i: int, moment: ndarray, by: float = FLUSH_BY) -> None:
        """Rounds what is nearly subnormal to zero, every 64 steps."""
        if self.steps[i] % FLUSH_EVERY == 0:
            moment += by
            moment -= by


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964), in PyTorch's form.

        v = momentum * v + grad + weight_decay * p
        p = p - lr * v

    Args:
        params: Leaf Tensors.
        lr: Learning rate.
        momentum: Share of the last step's direction that is kept, in [0, 1).
        weight_decay: Strength of the L2 penalty weight_decay / 2 * p**2.

    Raises:
        TypeError: As Optimizer.
        ValueError: As Optimizer, or a hyperparameter out of range.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr)
        self.momentum = self._number("momentum", momentum, below=1)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self.velocities = [np.zeros_like(p.data) for p in self.params] if momentum else []

    def update(self, i: int, data: Any, grad: Any, scratch: ndarray) -> ndarray:
        """lr * v."""
        if self.weight_decay:
            np.multiply(data, self.weight_decay, out=scratch)
            scratch += grad
            grad = scratch
        if self.velocities:
            v = self.velocities[i]
            v *= self.momentum
            v += grad
            self._flush(i, v)
            grad = v
        np.multiply(grad, float(self.lr), out=scratch)
        return scratch


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with weight decay as an L2 penalty, as PyTorch's.

        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        p = p - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)

    The arrays are kept without the factors (1 - beta): m = beta1 * m + grad. They and the bias corrections then make
    two scalars a step, as at the end of section 2 of the paper, instead of three passes over memory.

    Args:
        params: Leaf Tensors.
        lr: Learning rate: about the length of a step in each coordinate.
        betas: Decay of the mean of the gradient and of its square, in [0, 1).
        eps: Added to the denominator.
        weight_decay: Strength of the L2 penalty weight_decay / 2 * p**2, which is added to the gradient.

    Raises:
        TypeError: As Optimizer.
        ValueError: As Optimizer, or a hyperparameter out of range.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        if np.shape(betas) != (2,):
            raise ValueError(f"{type(self).__name__}: betas is {betas!r}; it must be a pair such as (0.9, 0.999)")
        self.betas = self._number("beta1", betas[0], below=1), self._number("beta2", betas[1], below=1)
        self.eps = self._number("eps", eps)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self.first_moments = [np.zeros_like(p.data) for p in self.params]
        self.second_moments = [np.zeros_like(p.data) for p in self.params]

    def update(self, i: int, data: Any, grad: Any, scratch: ndarray) -> ndarray:
        """lr times the corrected mean over the root of the corrected mean square."""
        (beta1, beta2), t = self.betas, self.steps[i]
        m, v = self.first_moments[i], self.second_moments[i]
        if self.weight_decay:
            np.multiply(data, self.weight_decay, out=scratch)
            scratch += grad
            grad = scratch
        m *= beta1
        m += grad
        np.multiply(grad, grad, out=scratch)
        v *= beta2
        v += scratch
        self._flush(i, m)
        self._flush(i, v, min(FLUSH_BY, 1e-7 * self.eps**2))  # of no weight beside eps under the root
        scale = math.sqrt((1 - beta2) / (1 - beta2**t))  # sqrt(corrected v) = scale * sqrt(v)
        np.sqrt(v, out=scratch)
        scratch += self.eps / scale
        np.divide(m, scratch, out=scratch)
        scratch *= float(self.lr) * (1 - beta1) / (1 - beta1**t) / scale
        return scratch


def checked(params: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, each a leaf Tensor and none twice."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise TypeError(f"params is a {type(params).__name__}; pass model.parameters() or a list of Tensors")
    params = list(params)
    if not params:
        raise ValueError("params is empty: there is nothing to optimize; a generator can be used up only once")
    seen = set()
    for i, p in enumerate(params):
        if not isinstance(p, Tensor):
            raise TypeError(f"params[{i}] is a {type(p).__name__}, no Tensor; pass model.parameters()")
        if not p.is_leaf:
            raise ValueError(f"params[{i}] is the result of an op, and only leaves can be updated; use Tensor(values)")
        if id(p) in seen:
            raise ValueError(f"params[{i}] {p.name or ''}{p.shape} is there twice and would take two steps at once")
        seen.add(id(p))
    return params


def scratch_arrays(params: list[Tensor]) -> list[ndarray]:
    """For each parameter an array of its shape, dtype and layout, all on one piece of memory for each dtype."""
    sizes: dict[Any, int] = {}
    for p in params:
        sizes[p.dtype] = max(sizes.get(p.dtype, 0), p.size)
    buffers = {dtype: np.empty(size, dtype) for dtype, size in sizes.items()}
    return [np.ndarray(p.shape, p.dtype, buffers[p.dtype], strides=p.data.strides) for p in params]
