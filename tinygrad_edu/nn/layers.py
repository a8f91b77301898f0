"""Layers with weights of their own, and the small ones between them: Linear, Maxout, Flatten and Dropout.

`Linear.weight` needs a special memory layout. It has the shape (out, in), as in PyTorch, but BLAS is fastest at x @ W
with a row-major W of shape (in, out). A transposed view of such an array satisfies both. Any array made "like" the
weight must keep this layout, as np.zeros_like(weight.data) does and np.zeros(weight.shape) does not, or every update
walks memory in two directions at once and takes many times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import functional, ops
from tinygrad_edu.arguments import LEFT_OUT
from tinygrad_edu.checks import check_axis, check_dtype, check_number, check_positive_int
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, checked_operand
from tinygrad_edu.random import generator_or_default
from tinygrad_edu.tensor import Tensor

__all__ = ["SCHEMES", "Dropout", "Flatten", "Init", "Linear", "Maxout", "initialize", "zero_bias"]

Init = str | Callable[[Tensor], object]

SCHEMES: dict[str, Callable[..., Tensor]] = {
    "kaiming_uniform": initializers.kaiming_uniform,
    "kaiming_normal": initializers.kaiming_normal,
    "xavier_uniform": initializers.xavier_uniform,
    "xavier_normal": initializers.xavier_normal,
    "orthogonal": initializers.orthogonal,
}


def initialize(weight: Tensor, bias: Tensor | None, init: Init, rng: np.random.Generator | None) -> None:
    """Fills a layer's weight of shape (out, in, ...), and with "default" its bias too; see Linear."""
    if callable(init):
        made = init(weight)
        if made is not None and made is not weight:
            raise TypeError(
                f"init returned a new {type(made).__name__}, which would be lost; let it fill the weight in place: "
                "nn.init.normal(weight, std=0.01) or weight.assign(array)"
            )
    elif not isinstance(init, str) or init not in ("default", *SCHEMES):
        raise ValueError(f"unknown init {init!r}; known are default, {', '.join(SCHEMES)}, or a function")
    elif init in SCHEMES:
        SCHEMES[init](weight, rng=rng)
    else:
        bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
        for p in (weight,) if bias is None else (weight, bias):
            initializers.uniform(p, -bound, bound, rng=rng)


def zero_bias(size: int, wanted: bool, dtype: DTypeLike) -> Tensor | None:
    """A layer's bias, zeros of shape (size,), or None if it is not wanted."""
    if not isinstance(wanted, (bool, np.bool_)):
        raise TypeError(f"bias is {wanted!r}; it must be True or False. Initial values are given by name: init=...")
    return Tensor(np.zeros(size, dtype), name="bias") if wanted else None


class Flatten(Module):
    """Joins the axes from start_dim to end_dim: (64, 28, 28) -> (64, 784), the batch axis left alone by default.

    Args:
        start_dim: First axis to join.
        end_dim: Last axis to join, itself included.

    Raises:
        TypeError: One is not an integer.
    """

    _shown = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = check_axis("Flatten: start_dim", start_dim)
        self.end_dim = check_axis("Flatten: end_dim", end_dim)

    def forward(self, input: Operand) -> Tensor:
        """(n, ...) -> (n, product of the rest).

        Raises:
            ValueError: The input lacks one of the axes, or the last comes before the first.
        """
        x = checked_operand(self, input)
        axes = range(x.ndim)
        try:
            start, end = axes[self.start_dim], axes[self.end_dim]
        except IndexError:
            raise ValueError(f"{self} got input of shape {x.shape}, which lacks one of these axes") from None
        if start > end:
            raise ValueError(f"{self} got input of shape {x.shape}, where axis {start} comes after axis {end}")
        length = math.prod(x.shape[start : end + 1])
        return ops.reshape(x, (*x.shape[:start], length, *x.shape[end + 1 :]))


class Dropout(Module):
    """In training sets each element to 0 with probability p; in evaluation returns its input: Srivastava et al. 2014.

    What is left is divided by 1 - p ("inverted" dropout), so that the mean is kept and evaluation needs no factor.

    Args:
        p: Probability to drop an element, from 0 to 1.
        rng: Generator of the draws, instead of the library's.

    Raises:
        TypeError: rng is not a generator.
        ValueError: p is not a number in [0, 1].
    """

    _shown = ("p",)

    def __init__(self, p: float = 0.5, rng: np.random.Generator | None = None) -> None:
        self.p = check_number("Dropout: p, the probability to drop an element,", p, at_least=0, at_most=1)
        if isinstance(rng, bool):
            raise TypeError(f"Dropout: rng got {rng}; PyTorch's inplace is left out: {LEFT_OUT['inplace']}")
        self.rng = None if rng is None else generator_or_default(rng)

    def forward(self, input: Operand) -> Tensor:
        """(...) -> (...); draws anew at each call in training."""
        return functional.dropout(input, self.p, self.training, rng=self.rng)


class Linear(Module):
    """x @ weight.T + bias: (..., in_features) -> (..., out_features).

    Args:
        in_features: Length of the input's last axis.
        out_features: Length of the output's last axis.
        bias: Whether a bias is added.
        init: "default", PyTorch's own: weight and bias uniform over +-1 / sqrt(in_features); "kaiming_uniform" or
            "kaiming_normal" (for relu), "xavier_uniform", "xavier_normal" or "orthogonal" (gain 1), all with bias 0;
            or a function that fills the weight Tensor in place and brings its own generator, bias 0 too.
        rng: Generator for the named schemes, instead of the library's.
        dtype: Floating dtype of the parameters.

    Attributes:
        weight: Tensor of shape (out_features, in_features), a transposed view of row-major memory.
        bias: Tensor of shape (out_features,), or None.

    Raises:
        TypeError: `bias` is not a bool, rng not a generator, dtype not a floating one, or the function returns a new
            array instead of filling.
        ValueError: A size below 1, or an unknown `init`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: Init = "default",
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.in_features = check_positive_int("Linear: in_features", in_features)
        self.out_features = check_positive_int("Linear: out_features", out_features)
        dtype = check_dtype("Linear: dtype", dtype)
        self.weight = Tensor(np.zeros((self.in_features, self.out_features), dtype).T, name="weight")
        self.bias = zero_bias(self.out_features, bias, dtype)
        initialize(self.weight, self.bias, init, rng)

    def forward(self, input: Operand) -> Tensor:
        """(..., in_features) -> (..., out_features).

        Raises:
            ValueError: The last axis has another length.
        """
        x = checked_operand(self, input)
        if x.shape[-1:] != (self.in_features,):
            would_fit = x.ndim > 2 and math.prod(x.shape[1:]) == self.in_features
            hint = "; put Flatten() before it" if would_fit else ""
            if x.ndim == 2 and x.size == self.in_features:
                hint = "; of a single example make x.reshape(1, -1)"
            if x.ndim == 1 and self.in_features == 1:
                hint = "; of examples with one number each make x[:, None]"
            name = f"Linear({self.in_features}, {self.out_features})"
            raise ValueError(f"{name} got input of shape {x.shape}; its last axis must be {self.in_features}{hint}")
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Maxout(Module):
    """The largest of several linear functions, an activation that is learned: Goodfellow et al. 2013.

    (..., in_features) -> (..., out_features). With two pieces it can become relu, abs, or any other bend.

    Args:
        in_features, out_features, init, rng, dtype: As for Linear.
        pieces: Number of linear functions for each output.
        bias: Whether each of them has a bias.

    Attributes:
        linear: Linear(in_features, pieces * out_features); the rows of a piece stand together.

    Raises: As for Linear.
    """

    _shown = ("out_features", "pieces")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        *,
        init: Init = "default",
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.out_features = check_positive_int("Maxout: out_features", out_features)
        self.pieces = check_positive_int("Maxout: pieces", pieces)
        self.linear = Linear(in_features, self.pieces * self.out_features, bias, init=init, rng=rng, dtype=dtype)

    def forward(self, input: Operand) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        y = self.linear(input)  # (..., pieces * out_features)
        return ops.max(y.reshape((*y.shape[:-1], self.pieces, self.out_features)), axis=-2)
