"""Layers: modules with parameters, activations as modules, and Sequential and MLP, which chain them.

The hard idea is a layout. `Linear.weight` has the shape (out, in), as PyTorch's, but BLAS is fastest at x @ W with a
row-major W of shape (in, out). A weight that is the transpose, a view, of such an array has both. Whatever makes an
array "like" the weight must keep its layout, or every update walks memory in two directions at once:

    moment = np.zeros(weight.shape)         # row-major (out, in): `moment += weight.grad` takes many times as long
    moment = np.zeros_like(weight.data)     # the weight's layout
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, overload

import numpy as np

from tinygrad_edu import functional, ops
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand
from tinygrad_edu.registry import as_operand
from tinygrad_edu.tensor import Tensor

Init = str | Callable[[Tensor], Any]

SCHEMES: dict[str, Callable[..., Tensor]] = {
    "kaiming_uniform": initializers.kaiming_uniform,
    "kaiming_normal": initializers.kaiming_normal,
    "xavier_uniform": initializers.xavier_uniform,
    "xavier_normal": initializers.xavier_normal,
}


class Identity(Module):
    """Returns its input."""

    def forward(self, x: Operand) -> Any:
        """(...) -> (...)."""
        return x


class Flatten(Module):
    """Joins all axes from `start_dim` on: (64, 28, 28) -> (64, 784), the batch axis left alone by default."""

    def __init__(self, start_dim: int = 1) -> None:
        self.start_dim = start_dim

    def forward(self, x: Operand) -> Tensor:
        """(n, ...) -> (n, product of the rest).

        Raises:
            ValueError: The input has no axis `start_dim`.
        """
        if not -x.ndim <= self.start_dim < x.ndim:
            raise ValueError(f"{self} got input of shape {x.shape}, which has no axis {self.start_dim} to start from")
        kept, joined = x.shape[: self.start_dim], x.shape[self.start_dim :]
        return ops.reshape(x, (*kept, math.prod(joined)))

    def extra_repr(self) -> str:
        """The first axis to join."""
        return f"start_dim={self.start_dim}"


class ReLU(Module):
    """max(x, 0) as a module."""

    def forward(self, x: Operand) -> Tensor:
        """(...) -> (...)."""
        return ops.relu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)) as a module."""

    def forward(self, x: Operand) -> Tensor:
        """(...) -> (...)."""
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent as a module."""

    def forward(self, x: Operand) -> Tensor:
        """(...) -> (...)."""
        return ops.tanh(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis; not before CrossEntropyLoss, which contains it."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Operand) -> Tensor:
        """(...) -> (...), positive and with the sum 1 along the axis."""
        return functional.softmax(x, axis=self.axis)

    def extra_repr(self) -> str:
        """The axis that sums to 1."""
        return f"axis={self.axis}"


class Linear(Module):
    """x @ weight.T + bias: (..., in_features) -> (..., out_features).

    Args:
        in_features: Length of the input's last axis.
        out_features: Length of the output's last axis.
        bias: Whether a bias is added.
        init: "default", PyTorch's own for Linear: weight and bias uniform over +-1 / sqrt(in_features);
            "kaiming_uniform" or "kaiming_normal" (for relu), "xavier_uniform" or "xavier_normal" (gain 1), all with
            bias 0; or a function that fills the weight Tensor in place and brings its own generator, bias 0 too.
        rng: Generator for the named schemes, instead of the library's.
        dtype: Floating dtype of the parameters.

    Attributes:
        weight: Tensor of shape (out_features, in_features), a transposed view of row-major memory.
        bias: Tensor of shape (out_features,), or None.

    Raises:
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
        dtype: Any = np.float32,
    ) -> None:
        for size in (in_features, out_features):
            if not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"Linear({in_features}, {out_features}): sizes must be integers of at least 1")
        self.in_features, self.out_features = int(in_features), int(out_features)
        self.weight = Tensor(np.zeros((in_features, out_features), dtype).T, name="weight")
        self.bias = Tensor(np.zeros(out_features, dtype), name="bias") if bias else None
        if callable(init):
            init(self.weight)
        elif init in SCHEMES:
            SCHEMES[init](self.weight, rng=rng)
        elif init == "default":
            bound = 1 / math.sqrt(in_features)
            for p in self.parameters():
                initializers.uniform(p, -bound, bound, rng=rng)
        else:
            raise ValueError(f"Linear: unknown init {init!r}; known are default, {', '.join(SCHEMES)}, or a function")

    def forward(self, x: Operand) -> Tensor:
        """(..., in_features) -> (..., out_features).

        Raises:
            ValueError: The last axis has another length.
        """
        x = as_operand(x)
        if x.shape[-1:] != (self.in_features,):
            flat = x.ndim > 2 and math.prod(x.shape[1:]) == self.in_features
            raise ValueError(
                f"Linear({self.in_features}, {self.out_features}) got input of shape {x.shape}; its last axis must be "
                f"{self.in_features}" + ("; put Flatten() before it" if flat else "")
            )
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, as PyTorch shows them."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Sequential(Module):
    """Layers one after another; each is an attribute named by its number, so the keys are "0.weight", "2.bias".

    Args:
        *layers: Modules; the output of one is the input of the next.

    Raises:
        TypeError: One is no Module.
    """

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                made = isinstance(layer, type) and issubclass(layer, Module)
                hint = f"write {layer.__name__}()" if made else "it takes Modules, such as Linear(2, 3) or ReLU()"
                raise TypeError(f"Sequential: layer {i} is {layer!r}, no Module; {hint}")
        vars(self).update({str(i): layer for i, layer in enumerate(layers)})

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


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "identity": Identity,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
}


class MLP(Sequential):
    """A multi-layer perceptron: Linear layers with an activation between them and none after the last.

    Args:
        sizes: Lengths of input, hidden layers and output: [784, 128, 64, 10].
        activation: "relu", "sigmoid", "tanh" or "identity".
        init: "auto" takes what suits the activation, with biases 0: kaiming_uniform for relu, else xavier_uniform with
            the activation's gain. Otherwise as for Linear.
        rng: Generator for the initial weights, instead of the library's.
        dtype: Floating dtype of the parameters.

    Raises:
        ValueError: Fewer than two sizes, one below 1, or an unknown activation.

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
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        if isinstance(sizes, int) or len(sizes) < 2:
            raise ValueError(f"MLP: sizes is {sizes!r}; it needs at least input and output, such as [784, 128, 10]")
        if activation not in ACTIVATIONS:
            raise ValueError(f"MLP: unknown activation {activation!r}; known are {', '.join(ACTIVATIONS)}")
        if init == "auto" and activation == "relu":
            init = partial(initializers.kaiming_uniform, rng=rng)
        elif init == "auto":
            init = partial(initializers.xavier_uniform, gain=initializers.calculate_gain(activation), rng=rng)
        layers: list[Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [Linear(n_in, n_out, init=init, rng=rng, dtype=dtype), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
