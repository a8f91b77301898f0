"""The arithmetic of Terms: sums, products, powers, comparisons and functions, element by element.

A product is kept as a number, factors and divisors, so that x * x becomes x squared and -x / y / y becomes -x / y**2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.draw.terms import (
    BUILDERS,
    Shape,
    Term,
    as_term,
    builds,
    elementwise,
    is_number,
    named_call,
    number,
    reshaped,
)
from tinygrad_edu.registry import REGISTRY


def factors(x: Term) -> tuple[Any, list[Term], list[Term]]:
    """A Term as a number times Terms, divided by Terms."""
    if x.kind == "product":
        return x.parts
    return (x.parts[0], [], []) if x.kind == "number" else (1, [x], [])


def merged(terms: Sequence[Term]) -> list[Term]:
    """x, x as x squared."""
    count, first = Counter(x.key for x in terms), {x.key: x for x in reversed(terms)}
    return [first[key] if n == 1 else power(first[key], n) for key, n in count.items()]


def product(coefficient: Any, tops: Sequence[Term], bottoms: Sequence[Term], shape: Shape) -> Term:
    """coefficient * tops / bottoms, elementwise, simplified."""
    never = any(x.kind == "compare" and x.parts[0] == "=" and not x.value.any() for x in tops)
    if coefficient == 0 or never:
        return number(0, shape)
    if coefficient == 0.5 and bottoms:
        coefficient, bottoms = 1, [number(2), *bottoms]
    tops, whole = merged(tops), merged([x for x in bottoms if x.kind != "number"])
    divisor = np.prod([x.parts[0] for x in bottoms if x.kind == "number"], dtype=object)
    bottoms = [*([] if divisor == 1 else [number(divisor)]), *whole]
    coefficient = int(coefficient) if coefficient == int(coefficient) else coefficient
    if not bottoms and not tops:
        return number(coefficient, shape)
    if coefficient == 1 and len(tops) == 1 and not bottoms:
        return reshaped(tops[0], shape)

    def compute(*values: Any) -> Any:
        out = coefficient * np.ones(())
        for x in values[: len(tops)]:
            out = out * x
        for x in values[len(tops) :]:
            out = out / x
        return out

    parts, value = elementwise(compute, [*tops, *bottoms])
    return reshaped(Term("product", (coefficient, parts[: len(tops)], parts[len(tops) :]), value), shape)


@builds("multiply")
def multiply(x: Any, y: Any) -> Term:
    """x * y, elementwise; of a column and a row the outer product."""
    x, y = as_term(x), as_term(y)
    for a, b in ((x, y), (y, x)):
        row = b.parts[0] if b.kind == "expand" and b.value.ndim > 1 and b.shape[-2] == 1 else b if b.ndim == 1 else None
        if a.kind == "expand" and a.shape[-1:] == (1,) and row is not None and row.size != 1 and row.shape[-1:] != (1,):
            column = a.parts[0]
            if column.ndim == a.ndim - 1 and row.shape[:-1] in ((), column.shape[:-1]):
                value = column.value[..., :, None] * row.value[..., None, :]
                return Term("outer", (column, row), value)
    (m, tops, bottoms), (n, more, below) = factors(x), factors(y)
    return product(m * n, [*tops, *more], [*bottoms, *below], np.broadcast_shapes(x.shape, y.shape))


@builds("divide")
def divide(x: Any, y: Any) -> Term:
    """x / y, elementwise."""
    x, y = as_term(x), as_term(y)
    (m, tops, bottoms), (n, below, more) = factors(x), factors(y)
    m, n = (-m, -n) if n < 0 else (m, n)
    return product(m, [*tops, *more], [*bottoms, number(n), *below], np.broadcast_shapes(x.shape, y.shape))


@builds("negative")
def negative(x: Any) -> Term:
    """-x."""
    return multiply(-1, x)


@builds("square")
def square(x: Any) -> Term:
    """x * x."""
    return multiply(x, x)


@builds("astype")
def astype(x: Any, dtype: Any = None) -> Term:
    """x: dtypes are not shown."""
    return as_term(x)


@builds("add")
def add(x: Any, y: Any) -> Term:
    """x + y."""
    return plus_or_minus("+", as_term(x), as_term(y))


@builds("subtract")
def subtract(x: Any, y: Any) -> Term:
    """x - y; of [x > 0] and [x < 0] it is the sign of x."""
    x, y = as_term(x), as_term(y)
    (m, tops, bottoms), (n, more, below) = factors(x), factors(y)
    if m == n and not bottoms and not below and tops and more and tops[-1].kind == more[-1].kind == "compare":
        up, down = tops[-1], more[-1]
        above = compare(">", *down.parts[1:]) if down.parts[0] == "<" else down
        mirrored = [t.key for t in (*more[:-1], above)] == [t.key for t in tops] and above is not down
        if mirrored and is_number(up.parts[2], 0):
            return product(m, [*tops[:-1], function("sign", up.parts[1])], [], np.broadcast_shapes(x.shape, y.shape))
    return plus_or_minus("-", x, y)


def plus_or_minus(sign: str, x: Term, y: Term) -> Term:
    """x + y or x - y, without zeros and double signs."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    if is_number(y, 0):
        return reshaped(x, shape)
    if is_number(x, 0):
        return reshaped(y if sign == "+" else multiply(-1, y), shape)
    if x.kind == y.kind == "number":
        return number(x.parts[0] + y.parts[0] if sign == "+" else x.parts[0] - y.parts[0], shape)
    if factors(y)[0] < 0:
        return plus_or_minus("-" if sign == "+" else "+", x, multiply(-1, y))
    parts, value = elementwise(np.add if sign == "+" else lambda a, b: a * 1.0 - b, [x, y])
    return reshaped(Term(sign, tuple(parts), value), shape)


@builds("power")
def power(x: Any, y: Any) -> Term:
    """x ** y."""
    x, y = as_term(x), as_term(y)
    shape = np.broadcast_shapes(x.shape, y.shape)
    if x.kind == y.kind == "number":
        return number(float(x.parts[0]) ** y.parts[0], shape)
    if y.kind == "number":
        n = y.parts[0]
        if n in (0, 1):
            return reshaped(x, shape) if n else number(1, shape)
        if n < 0:
            return divide(1, power(x, reshaped(number(-n), y.shape)))
        if n == 0.5:
            return reshaped(function("sqrt", x), shape)
        y = number(int(n) if n == int(n) else n, y.shape)
    parts, value = elementwise(lambda a, b: np.power(a * 1.0, b), [x, y])
    return Term("power", tuple(parts), value)


COMPARE: dict[str, np.ufunc] = {
    ">": np.greater,
    "<": np.less,
    "≥": np.greater_equal,
    "≤": np.less_equal,
    "=": np.equal,
    "≠": np.not_equal,
    "or": np.bitwise_or,
    "and": np.bitwise_and,
}


def compare(sign: str, x: Any, y: Any) -> Term:
    """x > y and its like, a boolean Term; the output of relu is positive where its operand is."""
    x, y = as_term(x), as_term(y)
    if sign == ">" and is_number(y, 0) and x.kind == "function" and x.parts[0] == "relu":
        x = x.parts[1]
    parts, value = elementwise(COMPARE[sign], [x, y])
    return Term("compare", (sign, *parts), value)


@builds("where")
def where(condition: Any, x: Any, y: Any) -> Term:
    """x where the condition holds, else y; only one of them if it is all one way and no gradient is concerned."""
    condition, x, y = as_term(condition), as_term(x), as_term(y)
    value = np.where(condition.value, x.value, y.value)
    if condition.kind in ("compare", "number") and (condition.all() or not condition.any()):
        return reshaped(x if condition.any() else y, value.shape)
    zero = next((z for z in (y, x) if is_number(z, 0)), None)
    if zero is None:
        return Term("function", ("where", condition, x, y), value)
    passes = condition
    if zero is x or condition.kind != "compare":
        passes = Term("truth", (condition, zero is y), condition.value == (zero is y))
    passed = x if zero is y else y
    return Term("product", (1, [*([] if is_number(passed, 1) else [passed]), passes], []), value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "sign": np.sign,
    "onehot": lambda labels, like: np.eye(like.shape[-1])[labels],
    "softmax": lambda x, axis=-1: np.exp(REGISTRY["log_softmax"].forward(x, axis)),
}


def function(name: str, *args: Any, **params: Any) -> Term:
    """name(args), with the function in FUNCTIONS or the op of that name."""
    terms = [as_term(x) for x in args]
    compute = FUNCTIONS.get(name) or REGISTRY[name].forward
    value = compute(*[x.value[()] for x in terms], **params)
    return named_call(name, terms, value, params.get("axis"))


@builds("exp")
def exp(x: Any) -> Term:
    """e to the power x; of log_softmax it is softmax."""
    x = as_term(x)
    if x.kind == "function" and x.parts[0] == "log_softmax":
        return Term("function", ("softmax", *x.parts[1:]), np.exp(x.value))
    return function("exp", x)


@builds("log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Term:
    """log_softmax(x); the last axis need not be named."""
    x = as_term(x)
    return function("log_softmax", x, axis=-1 if axis == x.ndim - 1 else axis)


@builds("cross_entropy_slope")
def cross_entropy_slope(logits: Any, target: Any) -> Term:
    """softmax(logits) - target, a label standing for the distribution with all its weight there."""
    logits, target = as_term(logits), as_term(target)
    share = exp(log_softmax(logits))
    if target.ndim < logits.ndim:
        labels = Term("function", ("onehot", target), FUNCTIONS["onehot"](target.value, logits.value))
        return subtract(share, labels)
    weight = target.sum(axis=-1, keepdims=True)
    return subtract(share if np.allclose(weight.value, 1) else multiply(share, weight), target)


for name in ("abs", "sign", "log", "sin", "cos", "tanh", "sigmoid", "relu", "sqrt", "maximum", "minimum"):
    BUILDERS[name] = partial(function, name)
for sign, ufunc in COMPARE.items():
    BUILDERS[ufunc.__name__] = partial(compare, sign)
