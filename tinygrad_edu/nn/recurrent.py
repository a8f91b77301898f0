"""Recurrent layers: what was seen is kept in a hidden state, and one step is applied at every time.

The hard idea is that a long sequence is a deep network with the same weights in each layer. The gradient that goes back
over t steps has been multiplied t times by the slope of one step: with a slope of 0.5 a hundred steps leave 10**-30 of
it, with 1.5 they make 10**17. LSTM and GRU add to a state instead, through gates that may stay open, so that its slope
can be 1; against too large gradients there is `optim.clip_grad_norm_`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import functional, ops
from tinygrad_edu.arrays import beside
from tinygrad_edu.checks import check_bool, check_choice, check_dtype, check_number, check_positive_int
from tinygrad_edu.nn import init
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, checked_operand
from tinygrad_edu.random import generator_or_default
from tinygrad_edu.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

State = tuple[Operand, ...]  # h, and for an LSTM c
Step = Callable[[Tensor, State, Tensor, Tensor | None], State]


def rnn_step(activation: Callable[[Tensor], Tensor]) -> Step:
    """h = activation(W_ih x + b_ih + W_hh h + b_hh): Elman 1990."""

    def step(from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
        return (activation(from_x + functional.linear(state[0], weight_hh, bias_hh)),)

    return step


def lstm_step(from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
    """c = f * c + i * g and h = o * tanh(c): Hochreiter & Schmidhuber 1997, with the gate f of Gers et al. 2000."""
    h, c = state
    i, f, g, o = ops.split(from_x + functional.linear(h, weight_hh, bias_hh), 4, axis=-1)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def gru_step(from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None) -> State:
    """h = (1 - z) * n + z * h, with n = tanh(x's part + r * h's part): Cho et al. 2014, r placed as in cuDNN."""
    (h,) = state
    xr, xz, xn = ops.split(from_x, 3, axis=-1)
    hr, hz, hn = ops.split(functional.linear(h, weight_hh, bias_hh), 3, axis=-1)
    z, n = ops.sigmoid(xz + hz), ops.tanh(xn + ops.sigmoid(xr + hr) * hn)
    return (n + z * (h - n),)


KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OPTIONS = {  # with their defaults, which the repr leaves out
    "num_layers": 1,
    "nonlinearity": "tanh",
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
}
ACTIVATIONS = {"tanh": ops.tanh, "relu": ops.relu}


class Weights(Module):
    """What layers and cells share: the weights of one step, under PyTorch's names."""

    gates: ClassVar[int] = 1  # linear functions in one step
    states: ClassVar[int] = 1  # 2 for h and c

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        name = type(self).__name__
        self.input_size = check_positive_int(f"{name}: input_size", input_size)
        self.hidden_size = check_positive_int(f"{name}: hidden_size", hidden_size)
        self.bias = check_bool(f"{name}: bias", bias)

    def _add_weights(self, n_in: int, suffix: str, rng: np.random.Generator | None, dtype: Any) -> None:
        """Makes the weights and biases of one layer in one direction, uniform over +-1 / sqrt(hidden_size)."""
        rows, bound = self.gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
        for kind, columns in zip(KINDS, (n_in, self.hidden_size, None, None), strict=True):
            if columns is None and not self.bias:
                setattr(self, kind + suffix, None)
            else:
                shape = (rows,) if columns is None else (columns, rows)
                p = Tensor(np.zeros(shape, dtype).T, name=kind + suffix)  # row-major once transposed, as Linear's
                setattr(self, kind + suffix, init.uniform(p, -bound, bound, rng=rng))

    def _weights(self, suffix: str) -> list[Any]:
        """Those of KINDS."""
        return [getattr(self, kind + suffix) for kind in KINDS]

    def _step(self) -> Step:
        """The formula of one step."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        changed = {
            name: vars(self)[name] for name, default in OPTIONS.items() if vars(self).get(name, default) != default
        }
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *[f"{k}={v}" for k, v in changed.items()]])

    def _initial(self, hx: Any, shape: tuple[int, ...], dtype: Any) -> State:
        """The states of the shape as a tuple, zeros if none are given."""
        if hx is None:
            return (beside(next(self.parameters()), np.zeros, shape, dtype),) * self.states
        name, wanted = type(self).__name__, "h" if self.states == 1 else "a pair (h, c), each"
        given = (hx,) if self.states == 1 else hx
        if not isinstance(given, (tuple, list)) or len(given) != self.states:
            size = (
                f" of shape {hx.shape}" if hasattr(hx, "shape") else f" of {len(hx)}" if hasattr(hx, "__len__") else ""
            )
            raise TypeError(
                f"{name}: hx is a {type(hx).__name__}{size}; it must be {wanted} of shape {shape}, or None for zeros"
            )
        states = tuple([checked_operand(self, state, "hx") for state in given])
        for state in states:
            if state.shape != shape:
                raise ValueError(f"{name}: hx has shape {state.shape}; it must be {wanted} of shape {shape}")
        return states


class Recurrent(Weights):
    """What RNN, GRU and LSTM share: layers above each other, in one direction or both."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        name = type(self).__name__
        self.num_layers = check_positive_int(f"{name}: num_layers", num_layers)
        self.batch_first = check_bool(f"{name}: batch_first", batch_first)
        self.bidirectional = check_bool(f"{name}: bidirectional", bidirectional)
        dtype = check_dtype(f"{name}: dtype", dtype)
        self.dropout = check_number(f"{name}: dropout", dropout, at_least=0, at_most=1)
        if self.dropout and self.num_layers == 1:
            raise ValueError(f"{name}: dropout={self.dropout} is between layers, and there is one; raise num_layers")
        self.rng = None if rng is None else generator_or_default(rng)
        for layer in range(self.num_layers):
            suffixes = self._suffixes(layer)
            for suffix in suffixes:
                n_in = self.input_size if layer == 0 else self.hidden_size * len(suffixes)
                self._add_weights(n_in, suffix, rng, dtype)

    def _suffixes(self, layer: int) -> list[str]:
        """The ends of the weights' names in a layer: "_l0" and, if it also runs backwards, "_l0_reverse"."""
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def forward(self, input: Operand, hx: Any = None) -> tuple[Tensor, Any]:
        """(time, n, input_size), and the first states or None, to the outputs at all times and the last states.

        Args:
            input: Shape (time, n, input_size), or (n, time, input_size) with batch_first, or (time, input_size).
            hx: h of shape (layers * directions, n, hidden_size), for an LSTM a pair (h, c); zeros if None.

        Returns:
            The outputs of the last layer, (time, n, hidden_size * directions), the axes in the input's order; and the
            states after the last step, as hx.

        Raises:
            ValueError: Shapes that do not fit.
        """
        x = checked_operand(self, input)
        name = f"{type(self).__name__}({self.input_size}, {self.hidden_size})"
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "n, time" if self.batch_first else "time, n"
            takes = f"it takes ({axes}, {self.input_size}) or (time, {self.input_size})"
            hint = "; send indices through an Embedding first" if x.dtype.kind in "iu" else ""
            raise ValueError(f"{name} got input of shape {x.shape}; {takes}{hint}")
        single = x.ndim == 2
        time = 1 if self.batch_first and not single else 0
        if not x.shape[time]:
            raise ValueError(f"{name} got input of shape {x.shape}: a sequence needs at least one step")
        if time:
            x = ops.swapaxes(x, 0, 1)
        directions = len(self._suffixes(0))
        shape = (self.num_layers * directions, *x.shape[1:-1], self.hidden_size)
        dtype = np.result_type(x.dtype, self._weights("_l0")[0].dtype)
        before = iter(list(zip(*[ops.unstack(state) for state in self._initial(hx, shape, dtype)], strict=True)))
        after: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                out, state = self._run(x, next(before), suffix)
                outputs.append(out)
                after.append(state)
            x = outputs[0] if directions == 1 else ops.concatenate(outputs, axis=-1)
            if self.dropout and layer < self.num_layers - 1:
                x = functional.dropout(x, self.dropout, self.training, rng=self.rng)
        states = tuple([ops.stack(state) for state in zip(*after, strict=True)])
        return ops.swapaxes(x, 0, 1) if time else x, states[0] if self.states == 1 else states

    def _run(self, x: Tensor, state: State, suffix: str) -> tuple[Tensor, State]:
        """The outputs of one layer in one direction at all times, and its last state."""
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights(suffix)
        steps, step, outputs = list(ops.unstack(functional.linear(x, weight_ih, bias_ih))), self._step(), []
        backwards = suffix.endswith("_reverse")
        for from_x in reversed(steps) if backwards else steps:
            state = step(from_x, state, weight_hh, bias_hh)
            outputs.append(state[0])
        return ops.stack(outputs[::-1] if backwards else outputs), state


class RNN(Recurrent):
    """Layers of h = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu: Elman 1990.

    Args:
        input_size: Length of the input's last axis.
        hidden_size: Length of the state h.
        num_layers: Layers above each other: each gets the outputs of the one below at all times.
        nonlinearity: "tanh" or "relu".
        bias: Whether there are biases.
        batch_first: Whether the batch comes before time, in inputs and outputs; in states it does not.
        dropout: Probability to drop an element between two layers, in training.
        bidirectional: Whether each layer also runs backwards in time, with weights of its own; the outputs of both are
            joined.
        rng: Generator of the initial weights and of dropout, instead of the library's.
        dtype: Floating dtype of the parameters.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: Tensors of the first layer, (gates * hidden_size,
            input_size), (gates * hidden_size, hidden_size) and (gates * hidden_size,) twice, uniform over
            +-1 / sqrt(hidden_size); "_l1" is the second layer, "_l0_reverse" runs backwards.

    Raises:
        TypeError: A flag is not a bool, rng not a generator, or dtype not a floating one.
        ValueError: A size below 1, an unknown nonlinearity, or dropout outside [0, 1] or with a single layer.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.nonlinearity = check_choice("RNN: nonlinearity", nonlinearity, ACTIVATIONS)
        options = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(input_size, hidden_size, *options, rng=rng, dtype=dtype)

    def _step(self) -> Step:
        return rnn_step(ACTIVATIONS[self.nonlinearity])


class GRU(Recurrent):
    """Layers of gated units with one state: Cho et al. 2014. Arguments, results and names as for RNN, three gates.

    r, z = sigmoid(...)     of W_ih x + b_ih + W_hh h + b_hh, in the order r, z, n
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
    h = (1 - z) * n + z * h
    """

    gates: ClassVar[int] = 3

    def _step(self) -> Step:
        return gru_step


class LSTM(Recurrent):
    """Layers of long short-term memory: Hochreiter & Schmidhuber 1997. Arguments and names as for RNN, four gates.

        i, f, o = sigmoid(...);  g = tanh(...)      of W_ih x + b_ih + W_hh h + b_hh, in the order i, f, g, o
        c = f * c + i * g
        h = o * tanh(c)

    The states are a pair (h, c). PyTorch's proj_size is left out.
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def _step(self) -> Step:
        return lstm_step


class Cell(Weights):
    """What the cells share: one step of a layer, for loops of one's own."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._add_weights(self.input_size, "", rng, check_dtype(f"{type(self).__name__}: dtype", dtype))

    def forward(self, input: Operand, hx: Any = None) -> Any:
        """(n, input_size) or (input_size,), and the state before or None for zeros, to the state after.

        Raises:
            ValueError: Shapes that do not fit.
        """
        x = checked_operand(self, input)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            name = f"{type(self).__name__}({self.input_size}, {self.hidden_size})"
            raise ValueError(f"{name} got input of shape {x.shape}; it takes (n, {self.input_size}), one step in time")
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights("")
        shape = (*x.shape[:-1], self.hidden_size)
        before = self._initial(hx, shape, np.result_type(x.dtype, weight_ih.dtype))
        after = self._step()(functional.linear(x, weight_ih, bias_ih), before, weight_hh, bias_hh)
        return after[0] if self.states == 1 else after


class RNNCell(Cell):
    """One step of RNN: (n, input_size), (n, hidden_size) -> (n, hidden_size).

    Args:
        input_size, hidden_size, bias, nonlinearity, rng, dtype: As for RNN.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: Tensors as RNN's.

    Raises: As for RNN.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.nonlinearity = check_choice("RNNCell: nonlinearity", nonlinearity, ACTIVATIONS)
        super().__init__(input_size, hidden_size, bias, rng=rng, dtype=dtype)

    def _step(self) -> Step:
        return rnn_step(ACTIVATIONS[self.nonlinearity])


class GRUCell(Cell):
    """One step of GRU; otherwise as RNNCell."""

    gates: ClassVar[int] = 3

    def _step(self) -> Step:
        return gru_step


class LSTMCell(Cell):
    """One step of LSTM, from a pair (h, c) to the next; otherwise as RNNCell."""

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def _step(self) -> Step:
        return lstm_step
