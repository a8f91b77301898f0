"""Initial values of parameters: functions that fill a Tensor in place and return it.

Why the scale matters: a layer sums fan_in products, so the variance of its outputs is fan_in * var(weight) times that
of its inputs. Over ten layers of 512 neurons, weights with a standard deviation of 0.01 shrink the signal by a factor
of 10**6; larger ones blow it up or saturate tanh. Xavier (Glorot) and Kaiming (He) choose var(weight) so that the
factor is about 1, forward and backward.

Random numbers come from the library's generator, seeded by `tinygrad_edu.manual_seed`, or from the `rng` you pass. They
are drawn in float64 and rounded to the parameter's dtype, so that one seed gives the same weights in each.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import math
from typing import Literal, get_args

import numpy as np

from tinygrad_edu.arguments import answering_for
from tinygrad_edu.checks import check_choice, check_number
from tinygrad_edu.random import (  # generator, generators_in and manual_seed can be imported from here, too
    default_generator,
    generator_or_default,
    generators_in as generators_in,
    manual_seed as manual_seed,
)
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.torch_names import answer_names

__all__ = [
    "calculate_gain", "constant", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal", "uniform",
    "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

FanMode = Literal["fan_in", "fan_out"]

generator = default_generator

answer_names(__name__)


def checked(tensor: Tensor) -> Tensor:
    """The Tensor, if it is one."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"nn.init: tensor is a {type(tensor).__name__}; for an array use array[...] = values")
    return tensor


def zeros(tensor: Tensor) -> Tensor:
    """All zeros: right for biases; weights that are all equal stay equal, as their gradients are."""
    return checked(tensor).assign(0.0)


def constant(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return checked(tensor).assign(check_number("constant: val", val, finite=False))


@answering_for
def normal(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Independent draws from N(mean, std**2)."""
    mean, std = check_number("normal: mean", mean), check_number("normal: std", std, at_least=0)
    return checked(tensor).assign(generator_or_default(rng).normal(mean, std, tensor.shape))


@answering_for
def uniform(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Independent draws from the uniform distribution over [a, b)."""
    a = check_number("uniform: a", a)
    b = check_number("uniform: b, which a must not exceed,", b, at_least=a)
    return checked(tensor).assign(generator_or_default(rng).uniform(a, b, tensor.shape))


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of shape (out, in, *kernel): how many inputs feed one output, and the reverse."""
    if checked(tensor).ndim < 2:
        raise ValueError(
            f"a tensor of shape {tensor.shape} has no fan_in and fan_out: Xavier and Kaiming need a weight of shape "
            "(out, in, ...); fill a bias with zeros"
        )
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor for the weights' standard deviation that makes up for what an activation takes, as PyTorch has it.

    Args:
        nonlinearity: "linear", "identity", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        param: Negative slope of leaky_relu; 0.01 if None.

    Raises:
        ValueError: The name is unknown.
    """
    slope = 0.01 if param is None else check_number("calculate_gain: param, the negative slope,", param)
    gains = {
        "linear": 1.0,
        "identity": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),  # it sets half of the signal to zero
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    return gains[check_choice("calculate_gain: nonlinearity", nonlinearity, gains)]


def xavier_std(tensor: Tensor, gain: float) -> float:
    """gain * sqrt(2 / (fan_in + fan_out)): a compromise between forward and backward signal."""
    return check_number("xavier: gain", gain, at_least=0) * math.sqrt(2 / sum(fans(tensor)))


@answering_for
def xavier_uniform(tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Uniform over +-gain * sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, for tanh and sigmoid."""
    bound = math.sqrt(3) * xavier_std(tensor, gain)  # the uniform distribution over +-b has variance b**2 / 3
    return uniform(tensor, -bound, bound, rng=rng)


@answering_for
def xavier_normal(tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Normal with std gain * sqrt(2 / (fan_in + fan_out)): Glorot & Bengio 2010, for tanh and sigmoid."""
    return normal(tensor, 0.0, xavier_std(tensor, gain), rng=rng)


def kaiming_std(tensor: Tensor, a: float, mode: FanMode, nonlinearity: str) -> float:
    """gain / sqrt(fan)."""
    check_choice("kaiming: mode", mode, get_args(FanMode))
    a = check_number("kaiming: a, the negative slope,", a)
    fan_in, fan_out = fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


@answering_for
def kaiming_uniform(
    tensor: Tensor,
    a: float = 0.0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Uniform over +-gain * sqrt(3 / fan): He et al. 2015, for relu and its relatives.

    Args:
        tensor: Weight of shape (out, in, ...).
        a: Negative slope of leaky_relu; 0 makes it relu.
        mode: "fan_in" keeps the variance of the forward signal, "fan_out" that of the gradient.
        nonlinearity: The activation that follows, see calculate_gain.
        rng: Generator instead of the library's.
    """
    bound = math.sqrt(3) * kaiming_std(tensor, a, mode, nonlinearity)
    return uniform(tensor, -bound, bound, rng=rng)


@answering_for
def kaiming_normal(
    tensor: Tensor,
    a: float = 0.0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Normal with std gain / sqrt(fan): He et al. 2015; arguments as for kaiming_uniform."""
    return normal(tensor, 0.0, kaiming_std(tensor, a, mode, nonlinearity), rng=rng)


@answering_for
def orthogonal(tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """gain times a random orthogonal matrix: Saxe, McClelland & Ganguli 2014.

    It keeps the length of every signal, not only on average, so a deep linear network starts out as a rotation. Rows
    or columns, whichever are fewer, are orthonormal; a weight of shape (out, in, *kernel) counts as (out, in * kernel).

    Args:
        tensor: Weight of at least two axes, or else a ValueError is raised.
        gain: Length of the rows or columns, see calculate_gain.
        rng: Generator instead of the library's.
    """
    gain = check_number("orthogonal: gain", gain)
    if checked(tensor).ndim < 2:
        raise ValueError(f"orthogonal: a tensor of shape {tensor.shape} is not a matrix; fill a bias with zeros")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    draws = generator_or_default(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    q *= np.copysign(1.0, np.diagonal(r))  # LAPACK's choice of signs favours some rotations (Mezzadri 2007)
    return tensor.assign(gain * (q if rows >= columns else q.T).reshape(tensor.shape))
