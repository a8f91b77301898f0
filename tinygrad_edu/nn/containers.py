"""Modules made of modules: Sequential chains layers, Residual adds its input, MLP builds the most common chain.

Why Residual has a shortcut: a chain multiplies the gradient by the slope of every layer; after forty layers with slopes
of a half, 10**-12 of it is left. x + layers(x) has slopes around 1 instead, and the first layer learns like the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.checks import check_bool, check_choice, check_dtype, check_number, check_positive_int
from tinygrad_edu.nn.activations import ACTIVATIONS, PReLU
from tinygrad_edu.nn.layers import Dropout, Init, Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm1d
from tinygrad_edu.ops import as_operand
from tinygrad_edu.random import generator_or_default

__all__ = ["MLP", "Residual", "Sequential"]

S = TypeVar("S", bound="Sequential")


class Sequential(Module):
    """Layers one after another; each is an attribute named by its number, so the keys are "0.weight", "2.bias".

    Args:
        *layers: Modules; the output of one is the input of the next.

    Raises:
        TypeError: One is not a Module.
    """

    def __init__(self, *layers: Module) -> None:
        for layer in layers:
            self.append(layer)

    def append(self: S, layer: Module) -> S:
        """Adds a layer at the end; returns this module."""
        if not isinstance(layer, Module):
            is_class = isinstance(layer, type) and issubclass(layer, Module)
            hint = f"write {layer.__name__}()" if is_class else "it takes Modules, such as Linear(2, 3) or ReLU()"
            hint = f"write {type(self).__name__}(*layers)" if isinstance(layer, (list, tuple)) else hint
            raise TypeError(f"{type(self).__name__}: layer {len(self)} is {layer!r}, not a Module; {hint}")
        last = max([int(name) for name in vars(self) if name.isdecimal()], default=-1)
        setattr(self, str(last + 1), layer)
        return self

    def forward(self, x: Any) -> Any:
        """Runs the layers in order."""
        for layer in self:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return iter([layer for name, layer in vars(self).items() if name.isdecimal()])

    def __len__(self) -> int:
        return len(list(iter(self)))

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Module:
        layers = list(iter(self))
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]


class Residual(Sequential):
    """x + layers(x), layers that learn a difference: He et al. 2016.

    Args and Raises: As for Sequential; together the layers must keep the shape of x.
    """

    def forward(self, x: Any) -> Any:
        """(...) -> (...).

        Raises:
            ValueError: The layers change the shape.
        """
        x = as_operand(x)
        change = super().forward(x)
        if change.shape != x.shape:
            raise ValueError(
                f"Residual: the layers made shape {change.shape} of the input's {x.shape}, so the two cannot be added; "
                "let the last layer return the input's shape, or change the shape before or after"
            )
        return ops.add(x, change)


class MLP(Sequential):
    """A multi-layer perceptron: Linear layers with an activation between them and none after the last.

    After each hidden Linear come BatchNorm1d if asked for, the activation, and Dropout if asked for. The weights load
    into a torch.nn.Sequential of the same layers.

    Args:
        sizes: Lengths of input, hidden layers and output: [784, 128, 64, 10].
        activation: A name in nn.activations.ACTIVATIONS: "relu", "tanh", "gelu" and so on.
        init: "auto" takes what suits the activation, with biases 0: kaiming_uniform for relu and its relatives,
            xavier_uniform with the activation's gain for tanh, sigmoid and identity. Otherwise as for Linear.
        dropout: Probability to drop a hidden element in training.
        batch_norm: Whether hidden layers are normalised over the batch.
        rng: Generator for the initial weights and for dropout, instead of the library's.
        dtype: Floating dtype of the parameters.

    Raises:
        TypeError: rng is not a generator, batch_norm not a bool, or dtype not a floating one.
        ValueError: Fewer than two sizes, one below 1, an unknown activation, or dropout outside [0, 1].

    Example:
        >>> MLP([784, 128, 64, 10])(np.zeros((32, 784), np.float32)).shape
        (32, 10)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "relu",
        *,
        init: Init = "auto",
        dropout: float = 0.0,
        batch_norm: bool = False,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if not hasattr(sizes, "__len__") or getattr(sizes, "shape", None) == () or len(sizes) < 2:
            raise ValueError(f"MLP: sizes is {sizes!r:.60}; it needs at least input and output, such as [784, 128, 10]")
        sizes = [check_positive_int(f"MLP: sizes[{i}]", size) for i, size in enumerate(sizes)]
        check_choice("MLP: activation", activation, ACTIVATIONS)
        make_activation, scheme = ACTIVATIONS[activation]
        weight_init = partial(scheme, rng=rng) if isinstance(init, str) and init == "auto" else init
        check_number("MLP: dropout", dropout, at_least=0, at_most=1)
        check_bool("MLP: batch_norm", batch_norm)
        check_dtype("MLP: dtype", dtype)
        generator_or_default(rng)
        super().__init__()
        for n_in, n_out in pairwise(sizes[:-1]):
            self.append(Linear(n_in, n_out, init=weight_init, rng=rng, dtype=dtype))
            if batch_norm:
                self.append(BatchNorm1d(n_out, dtype=dtype))
            self.append(PReLU(dtype=dtype) if make_activation is PReLU else make_activation())
            if dropout:
                self.append(Dropout(dropout, rng))
        self.append(Linear(sizes[-2], sizes[-1], init=weight_init, rng=rng, dtype=dtype))
