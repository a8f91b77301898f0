"""The arithmetic of Terms: sums, products, powers, comparisons and functions, element by element.

A product is kept as a number, factors and divisors, so that x * x becomes x squared and -x / y / y becomes -x / y**2.
A sum collects like terms.

The hard idea is that algebra holds only where the numbers behave:

    x = Tensor(0.0)
    y = x * x / x       # NaN, and so are its derivatives; cancelled, it would be x, with the derivative 1

A factor is therefore cancelled against a divisor only if, here and now, it is neither 0 nor infinite.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.draw.algebra.terms import Shape, Term, TermLike, as_shape, as_term, builds, elementwise, literal
from tinygrad_edu.engine import REGISTRY

__all__ = ["add", "compare", "divide", "function_term", "multiply", "named_call", "product", "split_product"]


EXACT = 2**53  # below it floats hold each whole number


def split_product(x: Term) -> tuple[float, list[Term], list[Term]]:
    """A Term as a coefficient times factors, divided by divisors."""
    if x.kind == "product":
        coefficient, tops, bottoms = x.parts
        return coefficient, tops, bottoms
    return (x.parts[0], [], []) if x.kind == "number" else (1, [x], [])


def is_literal(x: Term, value: float) -> bool:
    return bool(x.kind == "number" and x.parts[0] == value)


def as_int(x: float) -> float:
    """2.0 as 2, and a number that is too large for NumPy's integers as a float; other numbers as they are."""
    if abs(x) < EXACT:
        return int(x) if x == int(x) else x
    return float(x)


def reduce_fraction(x: float, y: float) -> tuple[float, float]:
    """A coefficient and a divisor with the same quotient: 2 / 4 is 1 / 2, and 0.5 / 3 is 1 / 6."""
    x, y = as_int(x), as_int(y)
    if y == 1:
        return (as_int(2 * x), 2) if abs(x) == 0.5 else (x, 1)
    if abs(x) == 1 or not y or not np.isfinite([float(x), float(y)]).all():
        return x, y
    quotient = Fraction(x) / Fraction(y)
    exact = isinstance(x + y, int) or quotient.denominator <= 1000
    if exact and abs(quotient.numerator) < EXACT:
        return quotient.numerator, quotient.denominator
    return as_int(x / y), 1


def collect_powers(tops: Sequence[Term], bottoms: Sequence[Term]) -> tuple[list[Term], list[Term]]:
    """Factors and divisors, each once: x * y * x / y is x squared. What is 0 or infinite here is not cancelled."""
    bases: dict[object, Term] = {}
    exponents: Counter[object] = Counter()
    for sign, x in [*((1, x) for x in tops), *((-1, x) for x in bottoms)]:
        base, n = x, 1
        if x.kind == "power" and x.parts[1].kind == "number" and isinstance(x.parts[1].parts[0], int):
            base, n = x.parts[0], x.parts[1].parts[0]
        key = base.key if base.all() and np.isfinite(base.value).all() else (sign, base.key)
        bases.setdefault(key, base)
        exponents[key] = 1 if base.kind in ("compare", "truth") else exponents[key] + sign * n
    over = [power(bases[key], n) for key, n in exponents.items() if n > 0]
    under = [power(bases[key], -n) for key, n in exponents.items() if n < 0]
    return over, under


def product(coefficient: float, tops: Sequence[Term], bottoms: Sequence[Term], shape: Shape) -> Term:
    """coefficient * tops / bottoms, elementwise, simplified."""
    never = any(x.kind == "compare" and x.parts[0] == "=" and not x.value.any() for x in tops)
    finite = all(np.isfinite(x.value).all() for x in tops) and all(x.value.all() for x in bottoms)
    if (coefficient == 0 or never) and finite:  # 0 * inf is NaN
        return literal(0, shape)
    divisor = math.prod([x.parts[0] for x in bottoms if x.kind == "number"])
    tops, bottoms = collect_powers(tops, [x for x in bottoms if x.kind != "number"])
    if divisor == 1 and not bottoms:
        coefficient = as_int(coefficient)
    else:
        coefficient, divisor = reduce_fraction(coefficient, divisor)
    if divisor != 1:
        bottoms = [literal(divisor), *bottoms]
    if not bottoms and not tops:
        return literal(coefficient, shape)
    if coefficient == 1 and len(tops) == 1 and not bottoms:
        return as_shape(tops[0], shape)

    def compute(*values: ndarray) -> ndarray:
        above = reduce(np.multiply, values[: len(tops)], coefficient * np.ones(()))
        return reduce(np.divide, values[len(tops) :], above)

    parts, value = elementwise(compute, [*tops, *bottoms])
    return as_shape(Term("product", (coefficient, parts[: len(tops)], parts[len(tops) :]), value), shape)


def outer_product(a: Term, b: Term) -> Term | None:
    """a * b where a is a column and b a row: each number of one times each of the other. None for other shapes."""
    row = b if b.ndim == 1 else None
    if b.kind == "expand" and b.ndim > 1 and b.shape[-2] == 1:
        row = b.parts[0]
    if a.kind != "expand" or a.shape[-1:] != (1,) or row is None or row.size == 1 or row.shape[-1:] == (1,):
        return None
    column = a.parts[0]
    if column.ndim != a.ndim - 1 or row.shape[:-1] not in ((), column.shape[:-1]):
        return None
    return Term("outer", (column, row), column.value[..., :, None] * row.value[..., None, :])


@builds("multiply", operands=2)
def multiply(x: Term, y: Term) -> Term:
    (m, tops, bottoms), (n, more, below) = split_product(x), split_product(y)
    if len(tops) == len(more) == 1 and not bottoms and not below:
        for a, b in ((tops[0], more[0]), (more[0], tops[0])):
            outer = outer_product(a, b)
            if outer is not None:
                return product(m * n, [outer], [], outer.shape)
    return product(m * n, [*tops, *more], [*bottoms, *below], np.broadcast_shapes(x.shape, y.shape))


@builds("divide", operands=2)
def divide(x: Term, y: Term) -> Term:
    (m, tops, bottoms), (n, below, more) = split_product(x), split_product(y)
    m, n = (-m, -n) if n < 0 else (m, n)
    return product(m, [*tops, *more], [*bottoms, literal(n), *below], np.broadcast_shapes(x.shape, y.shape))


@builds("subtract", operands=2)
def subtract(x: Term, y: Term) -> Term:
    """x - y; of [x > 0] and [x < 0] it is the sign of x."""
    coefficient, tops, bottoms = split_product(x)
    if tops and tops[-1].key[:2] == ("compare", ">") and is_literal(tops[-1].parts[2], 0):
        _, z, zero = tops[-1].parts
        if product(coefficient, [*tops[:-1], compare("<", z, zero)], bottoms, x.shape).key == y.key:
            return product(coefficient, [*tops[:-1], function_term("sign", z)], bottoms, x.shape)
    return plus_or_minus("-", x, y)


def summands(x: Term, sign: int = 1) -> list[tuple[float, list[Term], list[Term], Shape]]:
    """The terms of a sum, each as coefficient, factors, divisors and shape."""
    if x.kind in ("+", "-"):
        return [*summands(x.parts[0], sign), *summands(x.parts[1], sign if x.kind == "+" else -sign)]
    coefficient, tops, bottoms = split_product(x)
    return [(sign * coefficient, tops, bottoms, x.shape)]


def plus_or_minus(sign: str, x: Term, y: Term) -> Term:
    """x + y or x - y, without zeros and double signs, like terms collected."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    if is_literal(y, 0):
        return as_shape(x, shape)
    if is_literal(x, 0):
        return as_shape(y if sign == "+" else multiply(-1, y), shape)
    if x.kind == y.kind == "number":
        return literal(x.parts[0] + y.parts[0] if sign == "+" else x.parts[0] - y.parts[0], shape)
    terms = [*summands(x), *summands(y, 1 if sign == "+" else -1)]
    alike: dict[object, tuple[list[Term], list[Term], Shape]] = {}
    coefficients: dict[object, float] = {}
    for coefficient, tops, bottoms, inner in terms:
        key = frozenset([t.key for t in tops]), frozenset([t.key for t in bottoms])
        alike.setdefault(key, (tops, bottoms, inner))
        coefficients[key] = coefficients.get(key, 0) + coefficient
    if len(alike) < len(terms):
        return as_shape(reduce(add, [product(coefficients[key], *parts) for key, parts in alike.items()]), shape)
    if split_product(y)[0] < 0:
        return plus_or_minus("-" if sign == "+" else "+", x, multiply(-1, y))
    parts, value = elementwise(np.add if sign == "+" else lambda a, b: a * 1.0 - b, [x, y])
    return as_shape(Term(sign, tuple(parts), value), shape)


add = builds("add", operands=2)(partial(plus_or_minus, "+"))


@builds("power", operands=2)
def power(x: Term, y: Term) -> Term:
    shape = np.broadcast_shapes(x.shape, y.shape)
    if x.kind == y.kind == "number":
        return literal(float(x.parts[0]) ** y.parts[0], shape)
    if y.kind == "number":
        n = y.parts[0]
        if n in (0, 1):
            return as_shape(x, shape) if n else literal(1, shape)
        if n < 0:
            return divide(1, power(x, as_shape(literal(-n), y.shape)))
        if n == 0.5:
            return as_shape(function_term("sqrt", x), shape)
        y = literal(as_int(n), y.shape)
    parts, value = elementwise(lambda a, b: np.power(a * 1.0, b), [x, y])
    return Term("power", tuple(parts), value)


COMPARE: dict[str, np.ufunc] = {"or": np.bitwise_or, "and": np.bitwise_and, "=": np.equal, "≠": np.not_equal}
COMPARE |= {">": np.greater, "<": np.less, "≥": np.greater_equal, "≤": np.less_equal}


def compare(sign: str, x: Term, y: Term) -> Term:
    """x > y and the like, a boolean Term; the output of relu is positive where its operand is."""
    if sign == ">" and is_literal(y, 0) and x.kind == "function" and x.parts[0] == "relu":
        x = x.parts[1]
    parts, value = elementwise(COMPARE[sign], [x, y])
    if x.key == y.key and value.all() == value.any():
        return literal(int(value.all()), value.shape)
    return Term("compare", (sign, *parts), value)


@builds("where", operands=3)
def where(condition: Term, x: Term, y: Term) -> Term:
    """x where the condition holds, else y; only one of them if the condition is the same everywhere."""
    value = np.where(condition.value, x.value, y.value)
    if condition.kind in ("compare", "number") and (condition.all() or not condition.any()):
        return as_shape(x if condition.any() else y, value.shape)
    zero = next((z for z in (y, x) if is_literal(z, 0)), None)
    if zero is None:
        return Term("function", ("where", condition, x, y), value)
    passes = condition
    if zero is x or condition.kind != "compare":
        passes = Term("truth", (condition, zero is y), condition.value == (zero is y))
    passed = x if zero is y else y
    coefficient, tops, bottoms = split_product(passed)
    return Term("product", (coefficient, [*tops, passes], bottoms), value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sign": np.sign,
    "onehot": lambda labels, like: np.eye(like.shape[-1])[labels],
    "softmax": lambda x, axis=-1: np.exp(REGISTRY["log_softmax"].forward(x, axis)),
    "diag": lambda x: x[..., None] * np.eye(x.shape[-1]),
    "sym": lambda x: (x + np.swapaxes(x, -1, -2)) / 2,
    "skew": lambda x: x - np.swapaxes(x, -1, -2),
    "Φ": lambda x: np.tril(x) - np.tril(np.triu(x)) / 2,  # the lower triangle with half of its diagonal
    "copyltu": lambda x: np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2),  # the lower triangle copied to the upper one
}


def reciprocal_gaps(x: ndarray) -> ndarray:
    """1 / (x_j - x_i) for each pair, and 0 on the diagonal: F of Giles 2008."""
    gaps = x[..., None, :] - x[..., :, None]
    return np.where(gaps == 0, 0, 1 / np.where(gaps == 0, 1, gaps))


FUNCTIONS["F"] = reciprocal_gaps


def named_call(name: str, args: Sequence[Term], value: ArrayLike, params: Sequence[str] = ()) -> Term:
    """A value that is printed as name(args, params); as a number if it is one whatever the tensors are."""
    array = np.asarray(value)
    if array.size and all(x.kind == "number" for x in args) and (array == array.flat[0]).all():
        return literal(array.flat[0].item(), array.shape)
    return Term("function", (name, *args, *params), value)


@builds("name()", operands=0)  # no op can be called that
def function_term(name: str, *args: TermLike, **params: Any) -> Term:
    terms = [as_term(x) for x in args]
    compute = FUNCTIONS.get(name) or REGISTRY[name].forward
    value = compute(*[x.value[()] for x in terms], **params)
    axis = params.get("axis")
    shown = [f"axis={axis}"] if axis not in (None, -1) and terms[0].ndim > 1 else []  # the last one needs no word
    shown += [f'"{params["mode"]}"'] if "mode" in params else []
    return named_call(name, terms, value, shown)


@builds("exp")
def exp(x: Term) -> Term:
    if x.kind == "function" and x.parts[0] == "log_softmax":
        return Term("function", ("softmax", *x.parts[1:]), np.exp(x.value))
    return function_term("exp", x)


@builds("log_softmax")
def log_softmax(x: Term, axis: int = -1) -> Term:
    return function_term("log_softmax", x, axis=-1 if axis == x.ndim - 1 else axis)  # the last is not printed


@builds("softmax_slope", operands=2)
def softmax_slope(g: Term, p: Term, axis: int) -> Term:
    """p * (g - sum(g * p)), the gradient that comes out of softmax."""
    return multiply(p, subtract(g, multiply(g, p).sum(axis=axis, keepdims=True)))


@builds("cross_entropy_slope", operands=2)
def cross_entropy_slope(logits: Term, target: Term) -> Term:
    """softmax(logits) - target; a label stands for the distribution with all its weight there."""
    share = exp(log_softmax(logits))
    if target.ndim < logits.ndim:
        labels = Term("function", ("onehot", target), FUNCTIONS["onehot"](target.value, logits.value))
        return subtract(share, labels)
    weight = target.sum(axis=-1, keepdims=True)
    return subtract(share if np.allclose(weight.value, 1) else multiply(share, weight), target)


@builds("sinc")
def sinc(x: Term, n: int = 0) -> Term:
    """sinc and its n-th derivative."""
    return named_call("sinc" + n * "\u2032", [x], REGISTRY["sinc"].forward(x.value, n))


@builds("bessel")
def bessel(x: Term, n: int) -> Term:
    order = "".join(["₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(n)])
    return named_call(f"I{order}", [x], REGISTRY["bessel"].forward(x.value, n))


@builds("floor_divide", operands=2)
def floor_divide(x: Term, y: Term) -> Term:
    return named_call("floor", [divide(x, y)], np.floor_divide(x.value, y.value))


@builds("remainder", operands=2)
def remainder(x: Term, y: Term) -> Term:
    return Term("mod", (x, y), np.remainder(x.value, y.value))


builds("negative")(partial(multiply, -1))
builds("positive")(lambda x: x)
builds("square")(lambda x: multiply(x, x))
builds("exp2")(lambda x: power(2, x))
builds("ldexp", operands=2)(lambda x, i: multiply(x, power(2, i)))
builds("hypot", operands=2)(lambda x, y: function_term("sqrt", add(multiply(x, x), multiply(y, y))))
builds("logaddexp", operands=2)(lambda x, y: function_term("log", add(exp(x), exp(y))))
builds("astype")(lambda x, dtype=None: x)  # dtypes are not shown


def build_functions() -> None:
    names = ("abs", "sign", "log", "sin", "cos", "tan", "tanh", "sigmoid", "relu", "sqrt", "cbrt", "maximum", "minimum")
    for name in names:
        builds(name)(partial(function_term, name))
    for sign, ufunc in COMPARE.items():
        builds(ufunc.__name__, operands=2)(partial(compare, sign))


build_functions()
