"""Terms: values that remember how they were computed, so that a rule run on them comes out as a formula.

A rule such as `g * (1 - out * out)` does not care what its arguments are, as long as they multiply and subtract. Run
on Terms it returns a Term that knows "g times (1 minus out squared)", and the branches it takes are those of the real
call, since every Term has its value with it.

Each simplification makes a Term whose value is computed anew from what will be printed. So the value of the last Term,
beside what the rule returns on arrays, tells whether the formula is right: that is how a slip in the algebra is found
out before anybody reads it. This file has the class, arithmetic.py and arrangement.py the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

import numpy as np
from numpy import ndarray

Shape = tuple[int, ...]

BUILDERS: dict[str, Callable[..., Term]] = {}  # what makes Terms, by the names of ops and of NumPy's functions


def builds(*names: str) -> Callable[[Callable[..., Term]], Callable[..., Term]]:
    """Decorator: the function makes the Terms of these ops."""

    def decorate(function: Callable[..., Term]) -> Callable[..., Term]:
        BUILDERS.update(dict.fromkeys(names, function))
        return function

    return decorate


class Opaque(TypeError):
    """A rule did something that has no notation here."""


class Count(int):
    """A number of elements; the quotient of two is printed as a division: 2 / 16 is 1 / 8, not 0.125."""

    def __truediv__(self, other: Any) -> Any:
        if not isinstance(other, int) or not other or not self:
            return int(self) / other
        common = gcd(self, other)
        return BUILDERS["divide"](self // common, other // common)


class Term:
    """A value and how it came about: a kind and its parts, which are Terms or, for some kinds, texts and numbers."""

    __slots__ = ("key", "kind", "parts", "value")

    def __init__(self, kind: str, parts: tuple[Any, ...], value: Any) -> None:
        self.kind, self.parts, self.value = kind, parts, np.asarray(value)
        inner = [p.key if isinstance(p, Term) else tuple(q.key for q in p) if isinstance(p, list) else p for p in parts]
        self.key: tuple[Any, ...] = (kind, *inner)  # equal keys are printed alike and mean the same

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "dtype"):
            return getattr(self.value, name)
        raise AttributeError(f"a Term has no {name}")

    @property
    def size(self) -> Count:
        """Number of elements."""
        return Count(self.value.size)

    @property
    def T(self) -> Term:
        """All axes in reverse order."""
        return BUILDERS["transpose"](self)

    def __array__(self, *args: Any, **kwargs: Any) -> ndarray:
        raise Opaque("a Term is no array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            raise Opaque(f"np.{ufunc.__name__}.{method}")
        return apply(ufunc, inputs, {})

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return apply(func, args, kwargs)

    def __bool__(self) -> bool:
        return bool(self.value)

    def all(self) -> bool:
        """Whether all elements are true, here and now."""
        return bool(self.value.all())

    def any(self) -> bool:
        """Whether one element is true, here and now."""
        return bool(self.value.any())

    def sum(self, axis: Any = None, keepdims: bool = False) -> Term:
        """As the array's method."""
        return BUILDERS["sum"](self, axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Term:
        """As the array's method."""
        return BUILDERS["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def swapaxes(self, first: int, second: int) -> Term:
        """As the array's method."""
        return BUILDERS["transpose"](self, swapped(self.ndim, first, second))

    def transpose(self, *axes: Any) -> Term:
        """As the array's method."""
        return BUILDERS["transpose"](self, (axes[0] if len(axes) == 1 else axes) or None)


ARITHMETIC = {"sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power"}
ARITHMETIC |= {"add": "add", "matmul": "matmul"}
OTHERS = {"gt": "greater", "lt": "less", "ge": "greater_equal", "le": "less_equal", "eq": "equal", "ne": "not_equal"}
OTHERS |= {"or": "bitwise_or", "and": "bitwise_and", "neg": "negative", "abs": "abs", "getitem": "getitem"}


def operator(name: str, swap: bool) -> Callable[..., Any]:
    """A method of Term that calls the builder of this name; swap is for `2 * x`, where x is the second operand."""
    return lambda *args: BUILDERS[name](*(args[::-1] if swap else args))


for sign, name in (ARITHMETIC | OTHERS).items():
    setattr(Term, f"__{sign}__", operator(name, False))
for sign, name in ARITHMETIC.items():
    setattr(Term, f"__r{sign}__", operator(name, True))


def as_term(x: Any) -> Term:
    """A number as a Term; a Term as it is."""
    if isinstance(x, Term):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or (array.size != 1 and not (array == 1).all()):
        raise Opaque("an array without a name")
    return literal(array.flat[0].item() if array.size else 1, array.shape)


def raw(x: Any) -> Any:
    """The values of Terms, also within tuples and lists."""
    if isinstance(x, (tuple, list)):
        return type(x)([raw(y) for y in x])
    return x.value[()] if isinstance(x, Term) else x


def apply(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A NumPy function on Terms: another Term, or its plain result where there is no notation for it."""
    build = BUILDERS.get({"absolute": "abs"}.get(func.__name__, func.__name__))
    return build(*args, **kwargs) if build else func(*map(raw, args), **kwargs)


def literal(x: Any, shape: Shape = ()) -> Term:
    """A number, perhaps repeated to a shape."""
    return Term("number", (x,), np.full(shape, x))


def reshaped(x: Term, shape: Shape) -> Term:
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


def named_call(name: str, args: Sequence[Term], value: Any, params: Sequence[str] = ()) -> Term:
    """A value that is printed as name(args, params)."""
    array = np.asarray(value)
    if array.size and all(x.kind == "number" for x in args) and (array == array.flat[0]).all():
        return literal(array.flat[0].item(), array.shape)
    return Term("function", (name, *args, *params), value)


def swapped(ndim: int, first: int, second: int) -> list[int]:
    """The order of axes with two of them exchanged."""
    order = list(range(ndim))
    order[first], order[second] = order[second], order[first]
    return order
