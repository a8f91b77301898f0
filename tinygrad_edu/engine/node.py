"""What a graph is made of: ops, and the tensors they made.

The node of the graph is the output tensor itself: it links to the operands it was computed from, and nothing links from
an operand to its results. So a graph lives as long as somebody holds its output, and reference counts free it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from tinygrad_edu.arguments import names_and_defaults, splitter
from tinygrad_edu.arrays import place_hint
from tinygrad_edu.checks import as_array
from tinygrad_edu.torch_names import keyword_hint, values_hint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_edu.tensor import Tensor

__all__ = ["REGISTRY", "Array", "Node", "Op", "described", "is_tensor", "new_number", "plain"]

Array: TypeAlias = Any  # an ndarray, or a NumPy scalar where the shape is (): NumPy's stubs know no type for both
new_number = count().__next__


class Node:
    """A tensor as the engine sees it; `Tensor` adds the methods."""

    __slots__ = (
        *("__weakref__", "_values", "_hooks", "_inputs", "_number", "_op", "_params", "_requires_grad", "_scopes"),
        *("grad", "name"),
    )

    _values: NDArray[Any]  # an ndarray or, where the shape is (), a NumPy scalar, which costs a tenth
    _requires_grad: bool  # whether a gradient flows here
    _op: Any  # the Op that made it; None for a leaf
    _inputs: tuple[Any, ...]  # the operands of the op as they were given, so a + a has two edges
    _params: Any  # the parameters of the op, a dict; None if no op made it
    _number: int  # dates the creation or the last update: newer is larger
    _hooks: Any  # list of functions that see the gradient, or None
    _scopes: Any  # tuple of the module calls that it came out of, for pictures, or None
    grad: Any  # the gradient after a backward pass: None, an array or, with a graph of its own, a Tensor
    name: str | None  # for pictures and messages


class Op:
    """A differentiable function on arrays, as `@op` made it."""

    __slots__ = ("arity", "call", "defaults", "forward", "name", "names", "split", "variadic", "vjps")

    forward: Callable[..., Array]  # the function on arrays
    vjps: tuple[Any, ...]  # one function per operand that returns its gradient; None for an operand without one
    variadic: bool  # whether every positional argument is an operand
    name: str  # in the registry, in messages and pictures
    names: tuple[str, ...]  # of all arguments, operands first
    defaults: dict[str, Any]  # parameter -> default
    split: Any  # takes the arguments of a call, returns (operands, parameters); made when it is first needed
    arity: int  # number of operands if a call needs no binding: no parameters, a vjp for each; else 0
    call: Callable[..., Any]  # the public face: takes Tensors too

    def __init__(self, forward: Callable[..., Array], vjps: tuple[Any, ...], variadic: bool) -> None:
        self.forward, self.vjps, self.variadic = forward, vjps, variadic
        self.name = forward.__name__.lstrip("_")
        self.names, self.defaults = names_and_defaults(forward)
        self.split = None
        self.arity = len(vjps) if len(self.names) == len(vjps) and not variadic and None not in vjps else 0

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Splits the arguments of a call into operands and parameters, with defaults filled in."""
        if len(args) == self.arity and not kwargs:
            return args, self.defaults
        if self.split is None:
            self.split = splitter(self.forward, len(self.vjps), self.variadic)
        try:
            operands, params = self.split(*args, **kwargs)
        except TypeError:
            got = f"{len(args)} arguments by position and ({', '.join(kwargs)}) by name{keyword_hint(kwargs)}"
            raise TypeError(f"{self.name} takes ({', '.join(self.names)}); got {got}") from None
        constants = [name for name, value in params.items() if isinstance(value, Node)]
        if None in self.vjps:
            pairs = zip(self.names, operands, self.vjps, strict=False)
            constants += [name for name, x, vjp in pairs if vjp is None and getattr(x, "_requires_grad", False)]
        for name in constants:
            raise TypeError(f"{self.name}: no gradient flows to {name}; {values_hint(self.name, name)}")
        return operands, params

    def argument(self, position: int) -> str:
        """The name of an operand, for messages."""
        return f"operand {position}" if self.variadic else self.names[position]

    def constant(self, x: object) -> Array:
        """Makes an array of an operand that is neither a Tensor nor in CONSTANTS; refuses what is not real."""
        if (array := as_array(self.name, x)).dtype.kind not in "biuf":
            raise TypeError(f"{self.name}: {x!r:.60} is not a Tensor, a real array or a number")
        return array

    def explained(self, error: Exception, values: Sequence[Any]) -> Exception:
        """NumPy's error with the op's name and the operands' shapes in front."""
        text, kind = str(error), TypeError if isinstance(error, TypeError) else type(error)  # NumPy's takes no text
        text = text if text.startswith(self.name) else f"{self.name} of {described(values)}: {text}"
        return kind(text + place_hint(values, [self.argument(i) for i in range(len(values))]))


REGISTRY: dict[str, Op] = {}


def is_tensor(x: object) -> TypeGuard[Tensor]:
    """Whether x is a Tensor, for the files that stand below tensor.py."""
    return isinstance(x, Node)


def plain(x: Any) -> Any:
    """The values of a Tensor; anything else as it is."""
    return x._values if isinstance(x, Node) else x


def described(values: Sequence[Any]) -> str:
    """Operands in words, for messages: (2, 3) float64, 2.0."""
    return ", ".join([f"{x.shape} {x.dtype}" if hasattr(x, "dtype") else repr(x) for x in values])
