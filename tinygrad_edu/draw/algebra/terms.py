"""Terms: values that remember how they were computed, so that a rule run on them comes out as a formula.

Run on Terms, a rule such as `g * (1 - out * out)` returns a Term that knows "g times (1 minus out squared)". Every Term
has its value with it, so the rule takes the branches of the real call. Terms answer operators, methods, NumPy's
functions and, by `__op__`, ops; arithmetic.py and arrangement.py have these operations.

Each simplification makes a Term whose value is computed anew from what will be printed. Comparing it with what the rule
returns on arrays therefore tells whether the formula is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.engine import Op

__all__ = [
    "BUILDERS", "Shape", "Term", "TermLike", "as_shape", "as_term", "builds", "elementwise", "literal", "values_of",
]  # fmt: skip

Shape = tuple[int, ...]
BUILDERS: dict[str, Callable[..., Term]] = {}  # what makes Terms, by the names of ops and of NumPy's functions


def builds(*names: str, operands: int = 1) -> Callable[[Callable[..., Term]], Callable[..., Term]]:
    """Decorator: the function makes the Terms of these ops. It gets its first arguments, the operands, as Terms."""

    def decorate(function: Callable[..., Term]) -> Callable[..., Term]:
        @wraps(function)
        def build(*args: Any, **params: Any) -> Term:
            return function(*map(as_term, args[:operands]), *args[operands:], **params)

        BUILDERS.update(dict.fromkeys(names, build))
        return build

    return decorate


class Count(int):
    """A number of elements; the quotient of two is printed as a division: 2 / 16 is 1 / 8, not 0.125."""

    def __truediv__(self, other: object) -> Any:
        if not isinstance(other, int) or not other or not self:
            return int(self) / other  # type: ignore[operator]
        return BUILDERS["divide"](int(self), int(other))


def operator(name: str) -> Callable[..., Term]:
    """A method of Term, as for `x + other`, which calls the builder of this name."""
    return lambda self, *others, **params: BUILDERS[name](self, *others, **params)


def reflected(name: str) -> Callable[..., Term]:
    """A method of Term for `other + x`."""
    return lambda self, other: BUILDERS[name](other, self)


class Term:
    """A value and how it came about.

    Attributes:
        kind: What it is: "name", "number", "product", "+", "function" ...; Notation has a method for each.
        parts: What it is made of: Terms or, for some kinds, texts and numbers.
        value: Its values, an array, with the same shape, ndim, dtype and size.
        key: Terms with equal keys are printed alike and mean the same.
    """

    __slots__ = ("dtype", "key", "kind", "ndim", "parts", "shape", "size", "value")

    def __init__(self, kind: str, parts: tuple[Any, ...], value: ArrayLike) -> None:
        self.kind, self.parts, self.value = kind, parts, np.asarray(value)
        self.shape, self.ndim, self.dtype = self.value.shape, self.value.ndim, self.value.dtype
        self.size = Count(self.value.size)
        self.key: tuple[Any, ...] = (kind, *map(part_key, parts))

    @property
    def T(self) -> Term:
        return BUILDERS["transpose"](self)

    def __array__(self, *args: object, **kwargs: object) -> ndarray:
        raise TypeError("a Term is not an array")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            raise TypeError(f"np.{ufunc.__name__}.{method}")
        return call_numpy(ufunc, inputs, {})

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return call_numpy(func, args, kwargs)

    def __op__(self, op: Op, operands: Sequence[Any], params: dict[str, Any]) -> Term:
        """What an op makes of Terms; one without a notation of its own is printed by its name."""
        return BUILDERS.get(op.name, partial(BUILDERS["function"], op.name))(*operands, **params)

    def __bool__(self) -> bool:
        return bool(self.value)

    def all(self) -> bool:
        return bool(self.value.all())

    def any(self) -> bool:
        return bool(self.value.any())

    def reshape(self, *shape: Any) -> Term:
        return BUILDERS["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def swapaxes(self, first: int, second: int) -> Term:
        order = list(range(self.ndim))
        order[first], order[second] = second % self.ndim, first % self.ndim
        return BUILDERS["transpose"](self, order)

    def transpose(self, *axes: Any) -> Term:
        return BUILDERS["transpose"](self, (axes[0] if len(axes) == 1 else axes) or None)

    __add__, __radd__ = operator("add"), reflected("add")
    __sub__, __rsub__ = operator("subtract"), reflected("subtract")
    __mul__, __rmul__ = operator("multiply"), reflected("multiply")
    __truediv__, __rtruediv__ = operator("divide"), reflected("divide")
    __pow__, __rpow__ = operator("power"), reflected("power")
    __matmul__, __rmatmul__ = operator("matmul"), reflected("matmul")
    __gt__, __lt__ = operator("greater"), operator("less")
    __ge__, __le__ = operator("greater_equal"), operator("less_equal")
    __eq__, __ne__ = operator("equal"), operator("not_equal")  # type: ignore[assignment]
    __hash__ = object.__hash__  # which a class with __eq__ would lose
    __or__, __and__ = operator("bitwise_or"), operator("bitwise_and")
    __neg__, __abs__ = operator("negative"), operator("abs")
    __getitem__, sum = operator("getitem"), operator("sum")


TermLike = Term | ArrayLike  # an array without a name is refused, unless it is a number or all ones


def part_key(part: object) -> Any:
    """What tells one part of a Term from another; lists hold Terms."""
    if isinstance(part, list):
        return tuple([x.key for x in part])
    return part.key if isinstance(part, Term) else part


def as_term(x: TermLike) -> Term:
    if isinstance(x, Term):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or (array.size != 1 and not (array == 1).all()):
        raise TypeError("an array without a name")
    return literal(array.flat[0].item() if array.size else 1, array.shape)


def values_of(x: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return type(x)([values_of(y) for y in x])
    return x.value[()] if isinstance(x, Term) else x


def call_numpy(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A NumPy function on Terms: another Term, or its plain result where there is no notation for it."""
    name = "abs" if func is np.absolute else func.__name__
    build = BUILDERS.get(name)
    return build(*args, **kwargs) if build else func(*map(values_of, args), **kwargs)


def literal(x: float, shape: Shape = ()) -> Term:
    """A number that is written out, perhaps repeated to a shape."""
    return Term("number", (x,), np.full(shape, x))


def as_shape(x: Term, shape: Shape) -> Term:
    """The same Term for a value of another shape, where the notation makes no difference."""
    if x.shape == shape:
        return x
    if x.size == np.prod(shape, dtype=int):
        return Term(x.kind, x.parts, x.value.reshape(shape))
    return literal(x.parts[0], shape) if x.kind == "number" else BUILDERS["broadcast_to"](x, shape)


def elementwise(compute: Callable[..., Any], parts: Sequence[Term]) -> tuple[list[Term], ndarray]:
    """The parts of an elementwise operation and its value, without new axes that broadcasting adds anyhow."""
    value = np.asarray(compute(*[x.value for x in parts]))
    short = [x.parts[0] if x.kind == "expand" else x for x in parts]
    if any(a is not b for a, b in zip(short, parts, strict=True)):
        try:
            other = np.asarray(compute(*[x.value for x in short]))
        except ValueError:
            return list(parts), value
        if other.shape == value.shape and np.array_equal(other, value, equal_nan=value.dtype.kind == "f"):
            return short, value
    return list(parts), value
