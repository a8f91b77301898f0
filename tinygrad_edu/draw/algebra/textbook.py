"""Rules as a textbook has them, for ops whose own rules guard special values or overflow, or compute for speed.

The rule of hypot, for one, never divides by 0; here it is g * x / out. Such a formula is printed only where it gives
what the op's own rule gives; where it does not, at a kink, say, the own rule is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.draw.algebra.arithmetic import compare, function_term, named_call
from tinygrad_edu.draw.algebra.arrangement import fold
from tinygrad_edu.draw.algebra.terms import Term, TermLike, as_term, literal, values_of
from tinygrad_edu.engine import REGISTRY
from tinygrad_edu.ops.axes import restore
from tinygrad_edu.ops.convolution import Pair, winners
from tinygrad_edu.ops.linalg import inv
from tinygrad_edu.ops.reductions import mean
from tinygrad_edu.ops.shapes import expand_dims

__all__ = ["RULES"]

PI = Term("name", ("π", "π"), math.pi)


def log_of(base: int) -> Term:
    """The natural logarithm of a number, written as such."""
    return Term("function", ("log", literal(base)), math.log(base))


def larger(g: Term, out: Term, x: Term, y: Term) -> Term:
    """The gradient of x in maximum(x, y)."""
    return g * (x > y) + 0.5 * g * (x == y)


def smaller(g: Term, out: Term, x: Term, y: Term) -> Term:
    return g * (x < y) + 0.5 * g * (x == y)


def to_winners(g: Term, out: Term, x: Term, axis: Any, keepdims: bool) -> Any:
    g, best = [restore(y, axis, keepdims or not x.ndim) for y in (g, out)]
    won = x == best
    return g * won / won.sum(axis=axis, keepdims=True)


def within(g: Term, out: Term, x: Term, low: TermLike, high: TermLike) -> Term:
    """The gradient of x in clip: g times [low ≤ x ≤ high]; infinite limits are not written."""
    low, high = as_term(low), as_term(high)
    inside = (low.value <= x.value) & (x.value <= high.value)
    upper = not np.isposinf(high.value).all()
    if not np.isneginf(low.value).all():
        x = compare("≤", low, x)
        return g * (Term("compare", ("≤", x, high), inside) if upper else x)
    return g * compare("≤", x, high) if upper else g


def to_others(g: Term, out: Term, x: Term, axis: Any, keepdims: bool) -> Any:
    """The gradient of prod where it is 0."""
    if out.all():
        raise ValueError("the quotient out / x is shorter")
    others = REGISTRY["prod"].vjps[0](np.ones(out.shape), out.value, x.value, axis, keepdims)
    return restore(g, axis, keepdims) * Term("sum", (x, "product of all the others of"), others)


def to_running_factors(g: Term, out: Term, x: Term, axis: int | None) -> Term:
    """The gradient of cumprod where it is 0, in words."""
    if x.size == 1:
        return g.reshape(x.shape)
    if out.all():
        raise ValueError("the sum of g * out, divided by x, is shorter")
    own = REGISTRY["cumprod"].vjps[0](g.value, out.value, x.value, axis)
    return Term("phrase", (g * out, "without the factor of each place, added up from there on"), own)


def ramp(g: Term, num: int, endpoint: bool) -> Any:
    """The steps from 0 to 1 along the first axis of g."""
    steps = REGISTRY["linspace"].vjps[1](np.ones(num), None, 0, 1, num, endpoint)
    ends = named_call("linspace", [literal(0), literal(1)], steps, [] if endpoint else ["endpoint=False"])
    return expand_dims(ends, tuple(range(1, g.ndim))) if g.ndim > 1 else ends


def to_det(g: Term, out: Term, x: Term) -> Any:
    """The gradient of det where it is 0: of the adjugate, as a textbook has it."""
    if out.all():
        raise ValueError("det(x) * x^-T is shorter")
    cofactors = REGISTRY["det"].vjps[0](np.ones(out.shape), out.value, x.value)
    return expand_dims(g, (-2, -1)) * named_call("adj", [x], np.swapaxes(cofactors, -1, -2)).mT


def to_cholesky(g: Term, out: Term, x: Term, upper: bool) -> Term:
    """Murray 2016; Φ takes the lower triangle with half of its diagonal, sym(x) is (x + x^T) / 2."""
    factor, g = (out.mT, g.mT) if upper else (out, g)
    inner: Any = inv(factor)
    return function_term("sym", inner.mT @ function_term("Φ", factor.mT @ g) @ inner)


def parts_of(g: Term, out: Term, **shapes: Any) -> list[list[Term]]:
    """The gradients and the values of a decomposition's parts, by their names in the textbook."""
    names = [[f"∂{name}" for name in shapes], [*shapes]]
    ends, found = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1], []
    for inner, packed in zip(names, (g, out), strict=True):
        parts = zip(inner, shapes.values(), np.split(packed.value, ends, axis=-1), strict=True)
        found.append(
            [Term("name", (name, name), part.reshape(packed.shape[:-1] + shape)) for name, shape, part in parts]
        )
    return found


def to_eigvalsh(g: Term, out: Term, x: Term, UPLO: Any) -> Term:
    v = named_call("V", [x], np.linalg.eigh(x.value, UPLO).eigenvectors)
    return v @ function_term("diag", g) @ v.mT


def to_eigh(g: Term, out: Term, x: Term, UPLO: Any) -> Term:
    """Giles 2008: F(w) has 1 / (w_j - w_i), sym(x) is (x + x^T) / 2."""
    n = x.shape[-1]
    (gw, gv), (w, v) = parts_of(g, out, w=(n,), V=(n, n))
    inner = function_term("diag", gw) + function_term("F", w) * (v.mT @ gv)
    return function_term("sym", v @ inner @ v.mT)


def to_svdvals(g: Term, out: Term, x: Term) -> Term:
    u, _, vh = np.linalg.svd(x.value, full_matrices=False)
    left, right = named_call("U", [x], u), named_call("V", [x], np.swapaxes(vh, -1, -2))
    return left @ function_term("diag", g) @ right.mT


def to_svd(g: Term, out: Term, x: Term, full_matrices: bool) -> Term:
    """Townsend 2016, of square matrices: F(s²) has 1 / (s_j² - s_i²), skew(x) is x - x^T."""
    n = x.shape[-1]
    (gu, gs, gv), (u, s, v) = parts_of(g, out, U=(n, n), s=(n,), V=(n, n))
    gv, v = [Term("name", y.parts, np.swapaxes(y.value, -1, -2)) for y in (gv, v)]  # packed is its transpose
    f, sigma, g = function_term("F", s * s), function_term("diag", s), function_term("diag", gs)
    left, right = [f * function_term("skew", y.mT @ gy) for y, gy in ((u, gu), (v, gv))]
    return u @ (left @ sigma + sigma @ right + g) @ v.mT


def to_qr(g: Term, out: Term, x: Term, mode: str) -> Term:
    """Walter & Lehmann 2010, of matrices that are not wide; copyltu copies the lower triangle to the upper one."""
    m, n = x.shape[-2:]
    (gq, gr), (q, r) = parts_of(g, out, Q=(m, n), R=(n, n))
    inner = function_term("copyltu", r @ gr.mT - gq.mT @ q)
    return (gq + q @ inner) @ inv(r).mT


def slope_at(x: Term, xp: TermLike, fp: TermLike) -> Term:
    return named_call("slope", [x], REGISTRY["interp"].vjps[0](1.0, None, x.value, *values_of((xp, fp))))


def shared(g: Term, position: int, *operands: TermLike) -> Term:
    """A gradient shared by the knots of interp, in words."""
    own = REGISTRY["interp"].vjps[position](values_of(g), None, *values_of(operands))
    return Term("phrase", (g, "shared by the two knots beside"), own)


def to_over_rms(g: Term, out: Term, x: Term, axis: Any, eps: float) -> Any:
    """The gradient of x in x / rms."""
    shared, square = [mean(y, axis, keepdims=True) for y in (g * out, x * x)]
    return (g - out * shared) / np.sqrt(square + eps)


def to_projections(g: Term, out: Term, x: Term, mask: Any, heads: int) -> Term:
    """The gradient of self_attention, in words."""
    own = REGISTRY["self_attention"].vjps[0](g.value, out.value, x.value, mask, heads)
    return Term("phrase", (g, "to query, key and value of each head"), own)


def to_max_pool(g: Term, out: Term, x: Term, size: Pair, stride: Pair, dilation: Pair) -> Term:
    """Terms cannot follow `winners` element by element."""
    won = named_call("winners", [out, x], winners(out.value, x.value, size, stride, dilation))
    return fold(expand_dims(g, (-2, -1)) * won, size, stride, x.shape, dilation)


TEXTBOOK: dict[str, Sequence[Callable[..., Any]]] = {  # a rule for each operand
    "relu": [lambda g, out, x: g * (x > 0)],
    "maximum": [larger, lambda g, out, x, y: larger(g, out, y, x)],
    "minimum": [smaller, lambda g, out, x, y: smaller(g, out, y, x)],
    "max": [to_winners],
    "min": [to_winners],
    "clip": [
        within,
        lambda g, out, x, low, high: g * (x < low),
        lambda g, out, x, low, high: g * (x > high),
    ],
    "exp2": [lambda g, out, x: g * out * log_of(2)],
    "log2": [lambda g, out, x: g / (x * log_of(2))],
    "log10": [lambda g, out, x: g / (x * log_of(10))],
    "erf": [lambda g, out, x: 2 * g * np.exp(-x * x) / np.sqrt(PI)],
    "fmod": [lambda g, out, x, y: g, lambda g, out, x, y: -g * np.trunc(x / y)],
    "copysign": [lambda g, out, x, y: g * np.sign(x) * np.sign(y)],
    "arcsin": [lambda g, out, x: g / np.sqrt(1 - x**2)],
    "arccos": [lambda g, out, x: -g / np.sqrt(1 - x**2)],
    "arctan": [lambda g, out, x: g / (1 + x**2)],
    "arctan2": [lambda g, out, y, x: g * x / (y**2 + x**2), lambda g, out, y, x: -g * y / (y**2 + x**2)],
    "hypot": [lambda g, out, x, y: g * x / out, lambda g, out, x, y: g * y / out],
    "arcsinh": [lambda g, out, x: g / np.sqrt(1 + x**2)],
    "arccosh": [lambda g, out, x: g / np.sqrt(x**2 - 1)],
    "arctanh": [lambda g, out, x: g / (1 - x**2)],
    "sinc": [lambda g, out, x, n: g * ((np.cos(PI * x) - out) / x if n == 0 else REGISTRY["sinc"].call(x, n + 1))],
    "softmax": [lambda g, out, x, axis: out * (g - (g * out).sum(axis=axis, keepdims=True))],
    "prod": [to_others],
    "cumprod": [to_running_factors],
    "linspace": [
        lambda g, out, start, stop, num, endpoint: g * (1 - ramp(g, num, endpoint)),
        lambda g, out, start, stop, num, endpoint: g * ramp(g, num, endpoint),
    ],
    "geomspace": [
        lambda g, out, start, stop, num, endpoint: g * out / start * (1 - ramp(g, num, endpoint)),
        lambda g, out, start, stop, num, endpoint: g * out / stop * ramp(g, num, endpoint),
    ],
    "interp": [
        lambda g, out, x, xp, fp: g * slope_at(x, xp, fp),
        lambda g, out, x, xp, fp: shared(-g * slope_at(as_term(x), xp, fp), 2, x, xp, fp),
        lambda g, out, x, xp, fp: shared(g, 2, x, xp, fp),
    ],
    "det": [to_det],
    "cholesky": [to_cholesky],
    "eigvalsh": [to_eigvalsh],
    "eigh": [to_eigh],
    "svdvals": [to_svdvals],
    "qr": [to_qr],
    "svd": [to_svd],
    "pinv": [lambda g, out, x, rcond, hermitian: -out.mT @ g @ out.mT],
    "max_pool": [to_max_pool],
    "over_rms": [to_over_rms],
    "self_attention": [to_projections],
}
RULES = {REGISTRY[name].forward: rules for name, rules in TEXTBOOK.items()}  # not for a user's op of that name
