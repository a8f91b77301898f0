"""What goes on inside a network: `diagnose` runs one batch through it and says which layers are ill.

A deep network learns only if the signal keeps its size on the way forward and the gradient on the way back (Glorot and
Bengio 2010). Both are products over the layers, so a little at each layer is enough to spoil them:

    0.7 ** 20       # 0.0008: each layer takes a third, and the first one hardly learns
    1.5 ** 20       # 3325: each adds a half, and its steps are wild

A unit's value may be large and carry nothing, if it is the same for every example, as happens in twenty layers of
sigmoids. So the signal is measured as `spread`, how much a unit's value differs between the examples.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arrays import AnyArray, home
from tinygrad_edu.engine import is_tensor, no_grad, plain
from tinygrad_edu.nn.activations import ELU, GELU, LeakyReLU, PReLU, ReLU, Sigmoid, SiLU, Tanh
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.summary import Output, outputs, preserve_state, shorten_start
from tinygrad_edu.optim.finder import loss_value
from tinygrad_edu.tables import format_table, html_table, markdown_table
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.training.epoch import check_class, check_loss

__all__ = ["Layer", "Report", "dead_relu_fraction", "diagnose"]

RECTIFIERS = (ReLU, LeakyReLU, PReLU, ELU, GELU, SiLU)
FACTOR = 1000.0  # by which a signal may grow or shrink along the whole network
DEAD = 0.75  # share of dead units in an ill layer; deep healthy networks come near to a half
SATURATED = 0.5  # share of saturated values in an ill layer
FLAT = 0.05  # a value is saturated where the slope is below this share of the largest

ADVICE = {
    "not finite": "NaN or infinity; detect_anomaly() names the op that made it first",
    "dead": "these units are zero for every example and learn nothing; try a smaller learning rate, Kaiming weights, "
    "biases of 0, LeakyReLU",
    "saturated": "the slope there is nearly 0; try smaller weights (Xavier), standardized inputs, ReLU",
    "exploding": "the signal grows from layer to layer; try smaller weights (Kaiming, Xavier), batch or layer norm, "
    "clip_grad_norm_",
    "vanishing": "hardly any signal gets through; try larger weights (Kaiming, Xavier), ReLU instead of sigmoid, batch "
    "norm, Residual",
    "healthy": "signal and gradient keep their size",
}


class Layer(NamedTuple):
    """What one call of a module did to the signal; None where it does not apply."""

    path: str
    kind: str  # the class
    mean: float  # of the output
    std: float  # of all its numbers
    spread: float  # standard deviation between the examples: root of the mean variance of a unit; 0 if only rounding
    zeros: float  # share of the output's numbers that are 0
    dead: float | None  # share of units that are 0 for every example, after a rectifier
    saturated: float | None  # share of numbers where the slope of tanh or sigmoid is nearly 0
    gradient: float | None  # norm of the gradient of the loss to the output
    weight_gradient: float | None  # norm of that to the module's own parameters
    verdict: str = "healthy"


class Report(NamedTuple):
    """What `diagnose` found; print it for a table, which a notebook shows by itself."""

    layers: list[Layer]  # one for each call of a module, in the order in which they returned
    loss: float | None  # of the batch, where one was asked for

    @property
    def verdict(self) -> str:
        """The worst of the layers' verdicts, in the order of ADVICE: the likely cause of the others."""
        if self.loss is not None and not math.isfinite(self.loss):
            return "not finite"
        found = {layer.verdict for layer in self.layers}
        return next(verdict for verdict in ADVICE if verdict in found)

    def _table(self) -> tuple[list[list[str]], list[str], list[str]]:
        """The rows, the headers of the columns of numbers, and the lines below."""
        shown = [name for name in Layer._fields[2:-1] if any(getattr(layer, name) is not None for layer in self.layers)]
        headers = [name.replace("_", " ") for name in shown]
        rows = [["layer", "class", *headers, "verdict"]]
        for layer in self.layers:
            cells = [format_cell(name, getattr(layer, name)) for name in shown]
            rows.append([shorten_start(layer.path or "(all)"), shorten_start(layer.kind), *cells, layer.verdict])
        verdict = self.verdict
        paths = [layer.path or "(all)" for layer in self.layers if layer.verdict == verdict]
        if paths and verdict != "healthy":
            verdict += f", first in {paths[0]}"
        loss = "" if self.loss is None else f"loss {self.loss:.4g}; "
        return rows, headers, [f"{loss}{verdict}", ADVICE[self.verdict]]

    def __str__(self) -> str:
        rows, numbers, below = self._table()
        return "\n".join([*format_table(rows, numbers), *below])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # IPython's text
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return html_table(*self._table())

    def _repr_markdown_(self) -> str:
        return markdown_table(*self._table())


def diagnose(model: Module, x: Any, y: Any = None, loss: Callable[[Any, Any], Any] | None = None) -> Report:
    """Runs one batch through the model and looks at each layer's output and, given targets and loss, at its gradient.

    The model runs in the mode it is in, and is afterwards as it was: gradients, running statistics and the states of
    random generators too. Modules are seen, functions called between them are not; a module that only passes on what a
    module inside it returned has no row.

    The verdict on a layer is the first of these that holds:
        not finite: its output or a gradient has a NaN or an infinity.
        dead: more than 3/4 of the units after a rectifier are 0 for every example.
        saturated: more than half of the numbers after tanh or sigmoid are where the slope is below 1/20 of the largest.
        exploding: its spread is over 1000 times that of the first layer, or its gradient that of the last one.
        vanishing: one of the two is below 1/1000 of that; or its spread is 0; or it is the first layer, and its spread
            is below 1/1000 of the input's (of 1, where the input's is larger).
        healthy: none of them.
    The last layer is the last with parameters. What follows it turns scores into probabilities, where a sure prediction
    is not an illness, and can only be dead or not finite. Signals are compared by their spread and gradients by their
    norm, because Kaiming's weights keep these, whatever the widths.

    Args:
        model: What to look at.
        x: A batch of at least 2 inputs, better 32 or more: in a small batch many units are 0 by chance.
        y, loss: Its targets, and a function of (outputs, targets) that returns a Tensor of shape ().

    Returns:
        A Report; without `y` and `loss`, or if the loss is not finite, there are no gradients in it.

    Raises:
        TypeError: Only one of `y` and `loss` is given, or the model or the loss is of the wrong kind.
        ValueError: Fewer than 2 examples, or all the same; a loss that is not a single number; no module with numbers.
    """
    check_class("diagnose: model", model, Module)
    if loss is not None:
        check_loss("diagnose", loss)
    if (y is None) != (loss is None):
        raise TypeError("diagnose: gradients need both y and loss; give both, or neither")
    inputs = np.asarray(home(plain(x)))
    if inputs.ndim < 1 or len(inputs) < 2:
        raise ValueError(f"diagnose: x has shape {inputs.shape}; a batch of at least 2 examples is needed")
    if (inputs == inputs[:1]).all():
        raise ValueError("diagnose: all examples of x are the same, so there is no signal to follow; take a real batch")
    x, y = [value.detach() if is_tensor(value) else value for value in (x, y)]  # without their own graphs
    with preserve_state(model), outputs(model) as seen, np.errstate(all="ignore"):
        model.zero_grad()
        with no_grad() if loss is None else nullcontext():
            out = model(x)
        value = None
        if loss is not None:
            batch_loss = loss(out, y)
            value = loss_value(batch_loss, "diagnose")
            if math.isfinite(value):
                batch_loss.backward()
        new = new_outputs(seen)
        layers = [measure_layer(output) for output in new]
        signal = min(1.0, spread_of(inputs))
    if not layers:
        raise ValueError(f"diagnose: no module of this {type(model).__name__} returned a floating array or Tensor")
    with_parameters = [i for i, output in enumerate(new) if list(output.module._own(Tensor))]
    last = with_parameters[-1] if with_parameters else len(layers) - 1
    first_spread, last_gradient = layers[0].spread, layers[last].gradient
    verdicts = [verdict_on(layer, first_spread, last_gradient, i > last) for i, layer in enumerate(layers)]
    if verdicts[0] == "healthy" and first_spread < signal / FACTOR:
        verdicts[0] = "vanishing"
    return Report([layer._replace(verdict=verdict) for layer, verdict in zip(layers, verdicts, strict=True)], value)


def dead_relu_fraction(model: Module, x: Any) -> dict[str, float]:
    """For each ReLU or relative of it, the share of units whose output is 0 for every example of a batch.

    Such a unit passes no gradient on, and only the layers before it can bring it back. The model runs as in diagnose.

    Args:
        model: A model with ReLU modules; functions, such as x.relu(), are not seen.
        x: A batch of inputs; the more examples, the surer.

    Returns:
        Path of the module -> share from 0 to 1, over all its calls.

    Raises:
        TypeError: The model is not a Module.
        ValueError: There are no examples.
    """
    check_class("dead_relu_fraction: model", model, Module)
    if not np.ndim(plain(x)) or not len(x):
        raise ValueError(f"dead_relu_fraction: x has shape {np.shape(plain(x))}; there are no examples to look at")
    with preserve_state(model), outputs(model) as seen, no_grad():
        model(x)
    units: dict[str, list[NDArray[np.bool_]]] = {}
    for path, module, value in seen:
        if isinstance(module, RECTIFIERS):
            units.setdefault(path, []).append(np.all(plain(value) == 0, axis=0).ravel())
    return {path: float(np.concatenate(dead).mean()) for path, dead in units.items()}


def new_outputs(seen: list[Output]) -> list[Output]:
    """Those that are floating arrays or Tensors, without what a module only passes on from one inside it."""
    known: set[int] = set()
    new = []
    for output in seen:
        passed_on = id(output.value) in known and bool(list(output.module.children()))
        known.add(id(output.value))
        array = plain(output.value)
        if not passed_on and isinstance(array, AnyArray) and array.size and array.dtype.kind == "f":
            new.append(output)
    return new


def measure_layer(output: Output) -> Layer:
    """The numbers of one output; the verdict comes later."""
    path, module, value = output
    array = np.asarray(home(plain(value)), np.float64)
    squashed = None  # the output in terms of tanh, whose slope is 1 - tanh**2
    if isinstance(module, Tanh):
        squashed = array
    elif isinstance(module, Sigmoid):
        squashed = 2 * array - 1
    own = [p.grad for _, p in module._own(Tensor) if p.grad is not None]
    gradient = getattr(value, "grad", None)
    return Layer(
        path,
        type(module).__name__,
        mean=float(array.mean()),
        std=float(array.std()),
        spread=spread_of(home(plain(value))),
        zeros=float((array == 0).mean()),
        dead=float(np.all(array == 0, axis=0).mean()) if isinstance(module, RECTIFIERS) else None,
        saturated=None if squashed is None else float((1 - squashed**2 < FLAT).mean()),
        gradient=None if gradient is None else total_norm([gradient]),
        weight_gradient=total_norm(own) if own else None,
    )


def spread_of(values: np.ndarray) -> float:
    """Root of the mean variance of a unit; 0 if values of this size and dtype differ as much by rounding alone."""
    array = np.asarray(values, np.float64)
    spread, size = np.sqrt(array.var(axis=0).mean()), np.sqrt(np.square(array).mean())
    noise = np.finfo(values.dtype).eps * size if values.dtype.kind == "f" else 0.0
    return 0.0 if spread <= noise else float(spread)


def verdict_on(layer: Layer, first_spread: float, last_gradient: float | None, after_last: bool) -> str:
    """What is wrong with a layer, if anything, as the top of this file says."""
    if not all(math.isfinite(value) for value in layer[2:] if isinstance(value, float)):
        return "not finite"
    if layer.dead is not None and layer.dead > DEAD:
        return "dead"
    if after_last:
        return "healthy"
    if layer.saturated is not None and layer.saturated > SATURATED:
        return "saturated"
    ratios = [layer.spread / first_spread] if first_spread else []
    if layer.gradient is not None and last_gradient:
        ratios.append(layer.gradient / last_gradient)
    if any(ratio > FACTOR for ratio in ratios):
        return "exploding"
    return "vanishing" if layer.spread == 0 or any(ratio < 1 / FACTOR for ratio in ratios) else "healthy"


def total_norm(arrays: list[np.ndarray]) -> float:
    """The norm of several arrays as one vector, computed in float64."""
    return math.sqrt(sum([float(np.sum(np.square(np.asarray(home(plain(array)), np.float64)))) for array in arrays]))


def format_cell(name: str, value: float | None) -> str:
    """A number of the table."""
    if value is None:
        return ""
    return f"{value:.0%}" if name in ("zeros", "dead", "saturated") else f"{value:.3g}"
