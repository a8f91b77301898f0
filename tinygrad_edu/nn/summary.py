"""A model from outside: `summary` draws its table, `outputs` watches what its modules return when it is called.

`preserve_state` takes back what such a call leaves in it, inside its arrays too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from tinygrad_edu.arrays import AnyArray, beside
from tinygrad_edu.checks import check_int
from tinygrad_edu.engine import no_grad, plain
from tinygrad_edu.random import default_generator, generators_in
from tinygrad_edu.tables import format_table, html_table, markdown_table
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.nn.module import Module

__all__ = ["InputShape", "Output", "Summary", "outputs", "preserve_state", "shorten_start", "summary"]

Shape = int | tuple[int, ...] | ndarray | Tensor
InputShape = Shape | Sequence[Shape]
WIDEST = 40  # characters of a path, a class or a shape
RIGHT = {"parameters"}  # the columns of numbers


class Output(NamedTuple):
    """What a module returned from one call."""

    path: str
    module: Module
    value: Any  # a Tensor or array, most of the time


@contextmanager
def outputs(model: Module) -> Iterator[list[Output]]:
    """Context manager: a list that grows by one Output at each return of a module of the model, children first.

    A module that is called twice is there twice, one that is not called is not there. Meanwhile an attribute `forward`
    hides each module's method; afterwards, also after an error, the modules are no longer watched.

    Example:
        with outputs(model) as seen:
            model(x)
        shapes = {path: value.shape for path, _, value in seen}     # "" is the model itself
    """
    seen: list[Output] = []

    def watched(path: str, module: Module) -> Callable[..., Any]:
        forward = module.forward

        def run(*args: Any, **kwargs: Any) -> Any:
            value = forward(*args, **kwargs)
            seen.append(Output(path, module, value))
            return value

        return run

    named = list(model.named_modules())
    before = [vars(module).get("forward") for _, module in named]
    try:
        for path, module in named:
            module.forward = watched(path, module)  # type: ignore[method-assign]
        yield seen
    finally:
        for (_, module), forward in zip(named, before, strict=True):
            vars(module).pop("forward", None)
            if forward is not None:
                module.forward = forward  # type: ignore[method-assign]


@contextmanager
def preserve_state(model: Module, *others: object) -> Iterator[None]:
    """Context manager: afterwards, also after an error, a model is as it was, whatever ran through it.

    That is: attributes, values of the buffers, gradients of the parameters, and the states of the library's random
    generator and of those that the model, or one of the other objects, draws from. Not the values of the parameters:
    a forward does not change them.
    """
    attributes = [(module, dict(vars(module))) for module in model.modules()]
    buffers = [(buffer, buffer.copy()) for buffer in model.buffers() if getattr(buffer.flags, "writeable", True)]
    gradients = [(p, p.grad) for p in model.parameters()]
    generators = [default_generator(), *generators_in([model, *others]).values()]
    states = [(generator, generator.bit_generator.state) for generator in generators]
    try:
        yield
    finally:
        for module, values in attributes:
            vars(module).clear()
            vars(module).update(values)
        for buffer, copy in buffers:
            buffer[...] = copy
        for p, gradient in gradients:
            p.grad = gradient
        for generator, state in states:
            generator.bit_generator.state = state


class Summary(str):
    """What `summary` returns: a text, which a notebook shows as a table.

    Attributes:
        rows: The cells of the table, the header first.
        totals: The lines below it.
    """

    def __new__(cls, rows: list[list[str]], totals: list[str]) -> Summary:
        self = super().__new__(cls, "\n".join([*format_table(rows, RIGHT), *totals]))
        self.rows, self.totals = rows, totals
        return self

    rows: list[list[str]]
    totals: list[str]

    def __getnewargs__(self) -> tuple[Any, ...]:  # for copies and pickle
        return self.rows, self.totals

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self.rows, RIGHT, self.totals)

    def _repr_markdown_(self) -> str:
        return markdown_table(self.rows, RIGHT, self.totals)


def summary(model: Module, input_shape: InputShape | None = None, dtype: DTypeLike | None = None) -> Summary:
    """A table of the layers with the number of parameters each holds itself, the totals, and the memory they take.

    A layer inside another has a path like "0.2"; one that is reachable by several paths is listed under the first, and
    counts once; one that is called with several shapes shows them all. Memory is that of the parameters and, with
    `input_shape`, of the activations of one example: the outputs of all modules, which training keeps until backward,
    each output once; what a layer computes on the way to its output is not counted. A training step also needs a
    gradient for each trainable parameter and, with Adam, two moments of the same size.

    Args:
        model: What to describe.
        input_shape: Shape of one example, without the batch axis; a list of shapes for a forward with several inputs.
            If given, a batch of one example of zeros runs through the model in evaluation mode (of two, where a layer
            needs more), and the table shows each layer's output shape, again without the batch axis. An array in the
            place of a shape is a batch that is taken as it is. The model is afterwards as it was.
        dtype: Of the zeros; if None that of the parameters, or int64 where the model takes only that, as indices.

    Raises:
        TypeError, ValueError: What `input_shape` is cannot be a shape.
        Exception: What the model raises for these inputs.
    """
    seen, batch = ([], 1) if input_shape is None else run_example(model, input_shape, dtype)
    shapes: dict[str, str] = {}
    for output in seen:
        shape = describe_shapes(output.value)
        known = shapes.setdefault(output.path, shape)
        if shape not in known.split("; "):
            shapes[output.path] = f"{known}; {shape}"
    rows = [["layer", "class", "output shape", "parameters"]]
    counted: set[int] = set()
    for path, module in model.named_modules():
        new = {id(p): p.size for _, p in module._own(Tensor) if id(p) not in counted}
        counted |= new.keys()
        shape = shapes.get(path, "not called")
        rows.append([path or "(all)", type(module).__name__, shape, f"{sum(new.values()):,}"])
    if input_shape is None:
        rows = [[*row[:2], row[3]] for row in rows]
    rows = [[shorten_start(cell) for cell in row] for row in rows]
    return Summary(rows, format_totals(model, seen, batch))


def format_totals(model: Module, seen: list[Output], batch: int) -> list[str]:
    """The lines below the table, after a run of a batch of so many examples."""
    parameters = list(model.parameters())
    trainable = [p for p in parameters if p.requires_grad]
    size, trained = sum([p.size for p in parameters]), sum([p.size for p in trainable])
    memory, gradients = sum([p.data.nbytes for p in parameters]), sum([p.data.nbytes for p in trainable])
    lines = [f"{size:,} parameters: {trained:,} trainable, {size - trained:,} frozen; {format_bytes(memory)}"]
    if seen:
        arrays = {id(array): array.nbytes for output in seen for array in arrays_in(output.value)}
        lines.append(f"activations of one example: {format_bytes(sum(arrays.values()) // batch)}")
    if gradients:
        moments = format_bytes(2 * gradients)
        lines.append(f"training adds: gradients {format_bytes(gradients)}; Adam's moments {moments}")
    return lines


def run_example(model: Module, input_shape: InputShape, dtype: DTypeLike | None) -> tuple[list[Output], int]:
    """What the modules return in evaluation mode for zeros, and how many examples these were.

    Tried one after another, until the model takes them: floats and, as it may want indices, integers for each input;
    one example or, as a layer may take their variance, two. The error is that of the first.
    """
    inputs: list[Any] = [input_shape]
    if isinstance(input_shape, (list, tuple)) and any(
        isinstance(x, (list, tuple, AnyArray, Tensor)) for x in input_shape
    ):
        inputs = list(input_shape)
    wanted = next((p.dtype for p in model.parameters()), np.dtype(np.float32)) if dtype is None else np.dtype(dtype)
    own = next(model.parameters(), None)
    choices = [wanted] if dtype is not None else [wanted, np.dtype(np.int64)]
    are_given = [isinstance(x, (AnyArray, Tensor)) for x in inputs]
    shapes = [() if given else as_shape(x) for x, given in zip(inputs, are_given, strict=True)]
    first: Exception | None = None
    for kinds in product(*[choices[:1] if given else choices for given in are_given]):
        for batch in (1, 2):
            zeros = [beside(own, np.zeros, (batch, *shape), kind) for shape, kind in zip(shapes, kinds, strict=True)]
            examples = [x if given else zero for x, given, zero in zip(inputs, are_given, zeros, strict=True)]
            try:
                with preserve_state(model), outputs(model) as seen, no_grad():
                    model.eval()
                    model(*examples)
                return seen, max([1, *inputs[0].shape[:1]]) if are_given[0] else batch
            except Exception as error:
                first = first or error
            if all(are_given):
                break
    raise first or ValueError("summary: input_shape is empty; give the shape of one example")


def as_shape(value: object) -> tuple[int, ...]:
    """The shape of an example, checked."""
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    return tuple([check_int("summary: a length in input_shape", n, 0, wrong_type=TypeError) for n in sizes])


def arrays_in(value: object) -> list[np.ndarray]:
    """The arrays in what a module returned: its own, or those of a tuple, list or dict."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [array for item in value for array in arrays_in(item)]
    array = plain(value)
    return [array] if hasattr(array, "nbytes") else []


def describe_shapes(value: object) -> str:
    """The shapes in what a module returned, without the batch axis; its class if it holds no arrays."""
    return ", ".join([str(array.shape[1:]) for array in arrays_in(value)]) or type(value).__name__


def shorten_start(text: str) -> str:
    """A cell that is too wide without its beginning: the end of a path tells layers apart."""
    return text if len(text) <= WIDEST else "..." + text[3 - WIDEST :]


def format_bytes(n: int) -> str:
    """A number of bytes in the unit that suits it: 52 bytes, 4.6 KiB."""
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if n >= size:
            return f"{n / size:,.1f} {unit}"
    return f"{n:,} bytes"
