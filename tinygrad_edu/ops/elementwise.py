"""Ops that work element by element, and the first pages of the table of derivatives.

Every op is a function on arrays, with its vjps (vector-Jacobian products) above it. Read a rule as the chain rule does:
`g` is the gradient that arrives at the output, `out` the output, then come the operands; its value is the gradient that
the operand receives. Rules are textbook mathematics on equal shapes: the engine sums over what NumPy broadcast, keeps
dtypes, and skips operands that need no gradient. What can be composed of ops has no rule.

Comparisons of Tensors give boolean arrays, so `g * (x > 0)` runs on arrays and, for gradients of gradients, on Tensors.
Mind two traps. `0.5 * (x > y)` is float64 and turns a float32 gradient into float64; `0.5 * g * (x > y)` does not. And
an infinite g makes `g * mask` NaN, where `where(mask, g, 0)`, several times slower, makes it 0.

At a kink the derivative is the mean of both sides or 0; each function says so. Where a function with a kink is NaN, its
gradient is NaN too (`unless_nan`), since no comparison holds for NaN and `g * (x > 0)` would hide it as 0.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.arrays import KINDS, array_of, brought
from tinygrad_edu.checks import as_array
from tinygrad_edu.engine import Array, Node, is_tensor, op, plain

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "Operand", "abs", "absolute", "add", "as_float", "as_operand", "astype", "cbrt", "checked_operand", "conj",
    "conjugate", "copy", "divide", "erf", "exp", "exp2", "expm1", "fabs", "flat", "float_power", "leaky_relu", "log",
    "log1p", "log2", "log10", "logaddexp", "logaddexp2", "maximum", "minimum", "multiply", "negative", "positive",
    "pow", "power", "real", "reciprocal", "relu", "sigmoid", "sign", "softplus", "sqrt", "square", "subtract",
    "true_divide", "unless_nan", "where",
]  # fmt: skip

Operand: TypeAlias = "Tensor | ArrayLike"
math_erf = np.frompyfunc(math.erf, 1, 1)


def as_operand(x: Operand) -> Tensor:
    """x with a shape: lists and numbers become arrays, which for the type checker are Tensors, as they do the same."""
    if type(x) is np.ndarray or isinstance(x, Node) or (hasattr(x, "shape") and not hasattr(x, "mask")):
        return x  # type: ignore[return-value]
    return as_array("an operand", x)[()]  # type: ignore[return-value]


def checked_operand(owner: object, x: Operand, what: str = "input") -> Tensor:
    """x with a shape, if it is a Tensor or holds real numbers; errors name the owner, a layer or a text, and `what`."""
    if isinstance(x, Node) or (type(x) is np.ndarray and x.dtype.kind in "biuf") or hasattr(x, "__op__"):
        return x  # type: ignore[return-value]
    name = owner if isinstance(owner, str) else type(owner).__name__
    name = f"{name}: {what}" if what else name
    array = x if isinstance(x, (np.ndarray, np.generic)) and not hasattr(x, "mask") else as_array(name, x)
    if array.dtype.kind not in "biuf":
        found = f"of dtype {array.dtype}" if array.ndim else f"{x!r:.60}"
        raise TypeError(f"{name} is {found}; it must hold real numbers")
    return array  # type: ignore[return-value]


def as_float(x: Operand) -> Tensor:
    """x with a shape, and integers as floats, which do not wrap around."""
    x = as_operand(x)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{x!r:.60} is not a Tensor, a real array or a number")
    return x if x.dtype.kind == "f" else array_of(x, np.float64)


@op(lambda g, out, x, dtype: g)
def astype(x: Operand, dtype: DTypeLike) -> Array:
    """The same values as another floating dtype; the gradient comes back in the old one."""
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"astype: {np.dtype(dtype)} has no gradients; use tensor.data.astype(...) for plain values")
    return array_of(x).astype(dtype)[()]


def copy(x: Operand) -> Tensor:
    """The same values in memory of their own; the gradient flows through."""
    x = as_operand(x)
    return astype(x, x.dtype) if is_tensor(x) else np.copy(x)  # type: ignore[return-value]


@op(lambda g, out, x: g)
def positive(x: Operand) -> Array:
    """+x, a copy."""
    return +x


real = conj = conjugate = positive  # every number here is real


@op(lambda g, out, x: -g)
def negative(x: Operand) -> Array:
    """-x."""
    return -x


def square(x: Operand) -> Tensor:
    """x * x."""
    return multiply(x, x)


@op(lambda g, out, x: 0.5 * g / out)
def sqrt(x: Operand) -> Array:
    """Square root; its derivative at 0 is infinite."""
    return np.sqrt(x)


@op(lambda g, out, x: g / (3 * out * out))
def cbrt(x: Operand) -> Array:
    """Cube root, also of negative numbers; its derivative at 0 is infinite."""
    return np.cbrt(x)


@op(lambda g, out, x: g * out)
def exp(x: Operand) -> Array:
    """e to the power x."""
    return np.exp(x)


@op(lambda g, out, x: g * exp(x))
def expm1(x: Operand) -> Array:
    """exp(x) - 1, exact for small x."""
    return np.expm1(x)


@op(lambda g, out, x: math.log(2) * g * out)
def exp2(x: Operand) -> Array:
    """2 to the power x."""
    return np.exp2(x)


@op(lambda g, out, x: g / x)
def log(x: Operand) -> Array:
    """Natural logarithm."""
    return np.log(x)


@op(lambda g, out, x: g / (1 + x))
def log1p(x: Operand) -> Array:
    """log(1 + x), exact for small x."""
    return np.log1p(x)


@op(lambda g, out, x: g / math.log(2) / x)
def log2(x: Operand) -> Array:
    """Logarithm to base 2."""
    return np.log2(x)


@op(lambda g, out, x: g / math.log(10) / x)
def log10(x: Operand) -> Array:
    """Logarithm to base 10."""
    return np.log10(x)


@op(lambda g, out, x: g * out * (1 - out))
def sigmoid(x: Operand) -> Array:
    """1 / (1 + exp(-x)), written so that nothing overflows and small values keep all their digits."""
    return np.exp(np.minimum(x, 0.0)) / (1 + np.exp(-1.0 * np.abs(x)))


@op(lambda g, out, x: g * sigmoid(x))
def softplus(x: Operand) -> Array:
    """log(1 + exp(x)), a smooth relu, without overflow."""
    return np.logaddexp(x, 0.0)  # 0.0: of small integers NumPy would make float16


def flat(g: Array, out: Array, *operands: Array, **params: Any) -> Array:
    """The vjp of what is constant between its jumps: 0, also where g is infinite."""
    return where(False, g, 0)


@op(flat)
def sign(x: Operand) -> Array:
    """-1, 0 or 1; its derivative is taken as 0."""
    return np.sign(x)


@op(lambda g, out, x: g * sign(x))
def abs(x: Operand) -> Array:
    """Absolute value; the derivative at the kink is taken as 0."""
    return np.abs(x)


absolute = abs


def fabs(x: Operand) -> Tensor:
    """Absolute value as a float."""
    return abs(as_float(x))


@op(lambda g, out, x: g * sign(out))
def relu(x: Operand) -> Array:
    """max(x, 0); the derivative at the kink is taken as 0."""
    if type(x) is np.ndarray or type(x) in KINDS:
        return np.maximum(x, 0.0)
    return type(x)(0) if x <= 0 else x  # type: ignore[call-arg]  # np.maximum takes 1000 ns for a NumPy scalar


def unless_nan(out: Array, part: Array) -> Array:
    """A gradient, and NaN where the output is NaN."""
    lost = plain(out) != plain(out)
    return where(lost, plain(out), part) if lost.any() else part


@op(lambda g, out, x, negative_slope: unless_nan(out, where(x > 0, g, negative_slope * g)))
def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Array:
    """x, or negative_slope * x where x <= 0: Maas, Hannun & Ng 2013. The slope at 0 is negative_slope."""
    return np.where(x > 0, x, negative_slope * x) if negative_slope else np.maximum(x, 0)  # and not 0 * -inf


@op(lambda g, out, x, y: g, lambda g, out, x, y: g)
def add(x: Operand, y: Operand) -> Array:
    """x + y: distributes its gradient to both."""
    return x + y


@op(lambda g, out, x, y: g, lambda g, out, x, y: -g)
def subtract(x: Operand, y: Operand) -> Array:
    """x - y."""
    return x - y


@op(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x)
def multiply(x: Operand, y: Operand) -> Array:
    """x * y: each operand scales the gradient of the other."""
    return x * y


@op(lambda g, out, x, y: g / y, lambda g, out, x, y: -g * out / y)
def divide(x: Operand, y: Operand) -> Array:
    """x / y."""
    return x / y


true_divide = divide


def to_larger(g: Array, out: Array, x: Array, y: Array) -> Array:
    """The gradient of x in maximum(x, y)."""
    return unless_nan(out, g * (x > y) + 0.5 * g * (x == y))


@op(to_larger, lambda g, out, x, y: to_larger(g, out, y, x))
def maximum(x: Operand, y: Operand) -> Array:
    """The larger of x and y: routes its gradient to the winner; a tie shares it equally."""
    return np.maximum(x, y)


@op(lambda g, out, x, y: to_larger(g, out, y, x), to_larger)
def minimum(x: Operand, y: Operand) -> Array:
    """The smaller of x and y; a tie shares the gradient equally."""
    return np.minimum(x, y)


@op(None, lambda g, out, c, x, y: where(c, g, 0), lambda g, out, c, x, y: where(c, 0, g))
def where(condition: Operand, x: Operand, y: Operand) -> Array:
    """x where the boolean array `condition` is true, else y."""
    if array_of(condition).dtype.kind != "b":
        raise TypeError("where: the condition must be boolean, for example where(x > 0, x, 0)")
    if KINDS and isinstance(condition, (bool, np.bool_)):
        condition = brought(brought(condition, x), y)
    return np.where(condition, x, y)


@op(
    lambda g, out, x, y: g * power_slope(x, y),
    lambda g, out, x, y: g * out * log(where(x == 0, 1.0, x)),
)
def power(x: Operand, y: Operand) -> Array:
    """x ** y. With respect to y it is differentiable for x >= 0 only: elsewhere that gradient is NaN."""
    return x**y


def power_slope(x: Array, y: Array) -> Array:
    """y * x ** (y - 1), and 0 at x = y = 0, where the formula would say 0 * inf."""
    if isinstance(y, (int, float)):
        return y * x ** (y - 1) if y else 0 * x**0
    return y * x ** where((x == 0) & (y == 0), 1, y - 1.0)  # 1.0: small integers would wrap around


pow = power


def float_power(x: Operand, y: Operand) -> Tensor:
    """x ** y in float64 or wider."""
    x, y = as_operand(x), as_operand(y)
    wide = np.result_type(plain(x), plain(y), float)
    return power(astype(x, wide), astype(y, wide))


def reciprocal(x: Operand) -> Tensor:
    """1 / x."""
    return divide(1, x)


@op(lambda g, out, x, y: g * weight(x, y), lambda g, out, x, y: g * weight(y, x))
def logaddexp(x: Operand, y: Operand) -> Array:
    """log(exp(x) + exp(y)) without overflow."""
    return np.logaddexp(x, y)


def weight(x: Array, y: Array) -> Array:
    """exp(x) / (exp(x) + exp(y)); equal infinities share equally."""
    tied = (x == y) & (abs(x) == math.inf)
    return sigmoid(where(tied, 0.0, x) - where(tied, 0.0, y))


def logaddexp2(x: Operand, y: Operand) -> Tensor:
    """log2(2**x + 2**y) without overflow."""
    base = math.log(2)
    return divide(logaddexp(multiply(x, base), multiply(y, base)), base)


@op(lambda g, out, x: g * (2 / math.sqrt(math.pi)) * bell(x))
def erf(x: Operand) -> Array:
    """The error function 2 / sqrt(pi) * (integral of exp(-t**2) from 0 to x), exact but slow.

    NumPy has no erf; the standard library's takes one number at a time, some hundred times longer than tanh.
    """
    if type(x) in KINDS:
        return erf_elsewhere(x)
    x = np.asarray(x)
    return np.asarray(math_erf(x), np.result_type(x.dtype, 1.0))[()]


def erf_elsewhere(x: Array) -> Array:
    """erf of an array that is not NumPy's, to 14 digits: x times a polynomial of x**2 that was fitted to math.erf."""
    from numpy.polynomial.chebyshev import chebval  # which takes a while to load

    near = np.clip(x, -6.0, 6.0)  # beyond them it is 1 or -1
    fitted = erf_over_x().astype(x.dtype if x.dtype.kind == "f" else float)
    return near * chebval(near * near / 18.0 - 1.0, fitted)


@cache
def erf_over_x() -> Array:
    """Coefficients of Chebyshev's polynomials of x**2 / 18 - 1 for erf(x) / x, with x from 0 to 6."""
    from numpy.polynomial.chebyshev import chebfit, chebpts1

    places = [math.sqrt(18 * (u + 1)) for u in chebpts1(41).tolist()]
    return chebfit(chebpts1(41), [math.erf(x) / x for x in places], 40)


def bell(x: Array) -> Array:
    """exp(-x**2), which is 0 long before the square overflows."""
    near = where((x > 100) | (x < -100), 100, x)
    return exp(-near * near)
