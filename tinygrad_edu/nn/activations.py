"""Activations as modules, and the table that MLP chooses from.

Without one between them, two linear layers are a single one: (x A) B = x (A B). The formulas and their sources stand
in `functional`; a module remembers the settings, and PReLU its learned slope. The table's second column gives the
initial weights of the layer before, which make up for what the activation takes from the signal, see init.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import functional, ops
from tinygrad_edu.checks import check_axis, check_choice, check_dtype, check_number, check_positive_int
from tinygrad_edu.nn.init import calculate_gain, kaiming_uniform, xavier_uniform
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand
from tinygrad_edu.tensor import Tensor

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "Identity", "LeakyReLU", "LogSoftmax", "PReLU", "ReLU", "SiLU", "Sigmoid", "Softmax",
    "Softplus", "Tanh",
]  # fmt: skip

Approximation = Literal["none", "tanh"]


class Identity(Module):
    """Returns its input."""

    def forward(self, input: Operand) -> Operand:
        """(...) -> (...)."""
        return input


class ReLU(Module):
    """max(x, 0) as a module: Nair & Hinton 2010."""

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return ops.relu(input)


class LeakyReLU(Module):
    """x, or negative_slope * x where x < 0: Maas et al. 2013; see functional.leaky_relu."""

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = check_number("LeakyReLU: negative_slope", negative_slope)

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return functional.leaky_relu(input, self.negative_slope)


class PReLU(Module):
    """A leaky relu that learns its slope: He et al. 2015; see functional.prelu.

    Args:
        num_parameters: 1, or the number of channels (the length of axis 1) for a slope each.
        init: The slope to start from.
        dtype: Floating dtype of the slopes.

    Attributes:
        weight: Tensor of shape (num_parameters,), the slopes. Leave weight decay off it: it drives the slope to 0.

    Raises:
        TypeError: dtype is not a floating one.
        ValueError: num_parameters is not an integer of at least 1, or init not a finite number.
    """

    _shown = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        self.num_parameters = check_positive_int("PReLU: num_parameters", num_parameters)
        slope, dtype = check_number("PReLU: init", init), check_dtype("PReLU: dtype", dtype)
        self.weight = Tensor(np.full(self.num_parameters, slope, dtype), name="weight")

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...), or (n, num_parameters, ...) -> the same."""
        return functional.prelu(input, self.weight)


class ELU(Module):
    """x, or alpha * (exp(x) - 1) where x < 0: Clevert, Unterthiner & Hochreiter 2016; see functional.elu."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = check_number("ELU: alpha", alpha)

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return functional.elu(input, self.alpha)


class GELU(Module):
    """x times the probability that a standard normal number is below x: Hendrycks & Gimpel 2016; see functional.gelu.

    Args:
        approximate: "none" for the exact function, "tanh" for the fast one.

    Raises:
        ValueError: Another approximation.
    """

    def __init__(self, approximate: Approximation = "none") -> None:
        check_choice("GELU: approximate", approximate, get_args(Approximation))
        self.approximate: Approximation = approximate

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return functional.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x * sigmoid(x): Elfwing, Uchibe & Doya 2018; called swish by Ramachandran, Zoph & Le 2017."""

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return functional.silu(input)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, a smooth relu: Dugas et al. 2001.

    Args:
        beta: How sharp the bend is, above 0; see functional.softplus.

    Raises:
        ValueError: beta is not a number above 0.
    """

    _shown = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = check_number("Softplus: beta", beta, above=0)

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return functional.softplus(input, self.beta)


class Sigmoid(Module):
    """1 / (1 + exp(-x)) as a module: Verhulst 1845; in networks Rumelhart, Hinton & Williams 1986."""

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return ops.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent, 2 * sigmoid(2 * x) - 1, as a module: advised by LeCun, Bottou, Orr & Müller 1998."""

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...)."""
        return ops.tanh(input)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis: Boltzmann 1868, Bridle 1990; not before CrossEntropyLoss, which contains it.

    Args:
        dim: The axis that sums to 1.

    Raises:
        TypeError: dim is not an integer.
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = check_axis(f"{type(self).__name__}: dim", dim)

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...), positive and with the sum 1 along the axis."""
        return functional.softmax(input, self.dim)


class LogSoftmax(Softmax):
    """The logarithm of Softmax along `dim`, exact where Softmax itself would round to 0; goes before NLLLoss."""

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...), at most 0."""
        return functional.log_softmax(input, self.dim)


ACTIVATIONS: dict[str, tuple[type[Module], Callable[..., Tensor]]] = {  # name: module, weights of the layer before it
    "identity": (Identity, xavier_uniform),
    "relu": (ReLU, kaiming_uniform),
    "leaky_relu": (LeakyReLU, partial(kaiming_uniform, a=0.01)),
    "prelu": (PReLU, partial(kaiming_uniform, a=0.25)),
    "elu": (ELU, kaiming_uniform),
    "gelu": (GELU, kaiming_uniform),
    "silu": (SiLU, kaiming_uniform),
    "softplus": (Softplus, kaiming_uniform),
    "sigmoid": (Sigmoid, xavier_uniform),
    "tanh": (Tanh, partial(xavier_uniform, gain=calculate_gain("tanh"))),
}
