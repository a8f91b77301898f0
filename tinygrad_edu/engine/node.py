"""What an op is: a function on arrays, its derivatives, and how the arguments of a call are divided between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any  # an ndarray, or a NumPy scalar where the shape is ()
CONSTANTS = {float, int, bool, np.ndarray} | {np.dtype(code).type for code in "?bhilqBHILQefdg"}


class Op:
    """A function on arrays with one vjp per operand, as `@op` made it; `call` is its public face."""

    __slots__ = ("arity", "call", "defaults", "every", "forward", "name", "names", "variadic", "vjps")

    def __init__(self, forward: Callable[..., Any], vjps: tuple[Any, ...], variadic: bool) -> None:
        code, defaults = forward.__code__, forward.__defaults__ or ()
        self.name, self.forward, self.vjps, self.variadic = forward.__name__.lstrip("_"), forward, vjps, variadic
        self.names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.every = frozenset(self.names)
        self.defaults = dict(zip(self.names[code.co_argcount - len(defaults) :], defaults, strict=False))
        self.defaults |= forward.__kwdefaults__ or {}
        fixed = not variadic and len(self.names) == len(vjps) and None not in vjps
        self.arity = len(vjps) if fixed else 0  # 0: has parameters, or a varying number of operands
        self.call: Callable[..., Any] = forward

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Splits the arguments of a call into operands and parameters, with defaults filled in."""
        if len(args) == self.arity and not kwargs:
            return args, self.defaults
        operands, params = args, self.defaults | kwargs
        if not self.variadic:
            given = dict(zip(self.names, args, strict=False))
            params |= given
            twice = kwargs and given.keys() & kwargs
            if twice or len(args) > len(self.names) or params.keys() != self.every:
                raise TypeError(
                    f"{self.name} takes ({', '.join(self.names)}); got {len(args)} arguments by position and "
                    f"({', '.join(kwargs)}) by name. NumPy's out=, where=, dtype= and so on are not differentiable here"
                )
            operands = tuple([params.pop(name) for name in self.names[: len(self.vjps)]])
            for name, x, vjp in zip(self.names, operands, self.vjps, strict=False) if None in self.vjps else ():
                if vjp is None and getattr(x, "_requires_grad", False):
                    raise TypeError(f"{self.name}: it has no derivative to {name}; pass values: {name}=tensor.data")
        for name, value in params.items():
            if is_tensor(value):
                raise TypeError(f"{self.name}: no gradient flows to {name}; pass its values: {name}=tensor.data")
        return operands, params

    def argument(self, position: int) -> str:
        """The name of an operand, for messages."""
        return f"operand {position}" if self.variadic else self.names[position]


REGISTRY: dict[str, Op] = {}


def is_tensor(x: Any) -> bool:
    """Whether x is a Tensor, for the files that stand below tensor.py."""
    return hasattr(x, "_op")


def plain(x: Any) -> Any:
    """The values of a Tensor; anything else as it is."""
    return x._data if is_tensor(x) else x


def as_operand(x: Any) -> Any:
    """x with a shape: lists and numbers become arrays."""
    return x if hasattr(x, "shape") else np.asarray(x)


def constant(x: Any, op: Op) -> Array:
    """An operand of another type than ops take as it is: a list becomes an array, what is not real is refused."""
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or hasattr(x, "mask"):
        raise TypeError(f"{op.name}: {x!r:.60} is no Tensor, real array or number")
    return array


def described(values: Sequence[Any]) -> str:
    """Operands in words, for messages: (2, 3) float64, 2.0."""
    return ", ".join([f"{x.shape} {x.dtype}" if hasattr(x, "dtype") else repr(x) for x in values])


def explained(error: Exception, op: Op, values: Sequence[Any]) -> Exception:
    """NumPy's error with the op's name and the operands' shapes in front."""
    text = str(error)
    kind = TypeError if isinstance(error, TypeError) else type(error)  # NumPy's own TypeErrors take other arguments
    return kind(text if text.startswith(op.name) else f"{op.name} of {described(values)}: {text}")


def floating(data: Any, dtype: Any, default: Any) -> Any:
    """A copy of the data in a floating dtype: as given, else the data's own, else the default."""
    if is_tensor(data):
        raise TypeError("a Tensor as data would lose its graph; use copy() to keep it, detach() or .data to leave it")
    try:
        array = np.array(data)
    except ValueError as error:
        raise TypeError(f"Tensor: {data!r:.80} is no array: {error}") from error
    to = np.dtype(dtype or (array.dtype if array.dtype.kind == "f" else default))
    if array.dtype.kind not in "fiub" or to.kind != "f":
        raise TypeError(f"Tensor: cannot make {to} of {data!r:.80} ({array.dtype}); gradients need real floats")
    return array.astype(to, copy=False)[()]
