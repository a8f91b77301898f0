"""The gradient that an op hands to an operand, as a formula, and the local derivative between single numbers.

No formula is written down here: each comes out of the op's own rule, the vjp above it in `@op(...)`, which is run on
Terms instead of arrays. It takes the branches that the real call takes, and so does the rule of a user's op.

A wrong formula would be worse than none. So the rule is run a second time, on arrays, with random numbers for the
gradient that arrives. Where the two do not agree, or the rule does what Terms cannot follow, the text only names the
rule: "vjp of hypot to x (∂h, x, y)".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.draw.algebra.arrangement import RULES, sum_over
from tinygrad_edu.draw.algebra.notation import Notation
from tinygrad_edu.draw.algebra.terms import BUILDERS, Term, TermLike, as_shape, as_term, literal, values_of
from tinygrad_edu.draw.numbers import format_number
from tinygrad_edu.engine import REGISTRY, Op

__all__ = ["forward_term", "local_formula", "local_term", "random_gradient", "trace_rule", "vjp_formula", "vjp_term"]

Arrays = Sequence[ArrayLike]
Names = Mapping[str, str]  # by op.argument(i), "g" and "out"
Params = Mapping[str, Any]
UNPRINTED = {"axis", "stride", "padding", "shape"}  # parameters that the formula has already, or that are too long
DEFINED = {"relu", "divide", "log_softmax"}  # where out is shown by what it is: [a > 0], x / y**2
DEFINED_LOCALLY = DEFINED | {"exp", "sigmoid", "sqrt", "tanh"}


def vjp_formula(
    op: Op, position: int, names: Names, values: Arrays, out: ArrayLike, params: Params, latex: bool = False
) -> str:
    """The gradient that an operand receives, as a formula, such as "∂h ⊙ [a > 0]".

    `names` has what to call "g" (the gradient that arrives), "out", and each operand, by `op.argument(i)`. A constant
    that is named by its digits is a number: "2", or "1" for ones of any shape. Branches, ties and sums over broadcast
    axes are those of `values`, the operands as the op got them. If the rule cannot be followed: "vjp of hypot to x".
    """
    value = np.asarray(out)
    g, result, operands = named_terms(op, position, names, random_gradient(value), value, values)
    return Notation(latex).write(vjp_term(op, position, g, result, operands, params))


def random_gradient(out: ndarray) -> ndarray:
    return np.asarray(np.random.default_rng(0).standard_normal(out.shape), out.dtype)


def local_formula(
    op: Op, position: int, names: Names, values: Arrays, out: ArrayLike, params: Params, latex: bool = False
) -> str:
    """The derivative of the output with respect to an operand, both single numbers, as a formula.

    The arguments are those of vjp_formula. Returns "z", "1", "2·a"; "" if there is no local_term.
    """
    term = local_term(op, position, names, values, out, params)
    return "" if term is None else Notation(latex).write(term)


def local_term(op: Op, position: int, names: Names, values: Arrays, out: ArrayLike, params: Params) -> Term | None:
    """The same as a Term; None if the rule cannot be followed, or if one of the two has several elements."""
    value = np.asarray(out)
    if not value.size == np.size(values[position]) == 1:
        return None
    _, result, operands = named_terms(op, position, names, value, value, values)
    try:
        return trace_rule(op, position, literal(1, value.shape), result, operands, params, local=True)
    except Exception:  # whatever a user's rule may raise
        return None


def named_terms(
    op: Op, position: int, names: Names, g: ArrayLike, out: ArrayLike, values: Arrays
) -> tuple[Term, Term, list[TermLike]]:
    """The gradient that arrives, the output and the operands as Terms; a constant named by its digits is a number."""
    operands: list[TermLike] = []
    for i, x in enumerate(values):
        name, array = names.get(op.argument(i), op.argument(i)), np.asarray(x)
        digit = array.flat[0].item() if array.size else 0
        if i == position or name not in (str(digit), format_number(digit)) or (array != digit).any():
            operands.append(Term("name", (name, i), x))
        else:
            operands.append(x if type(x) in (int, float) else literal(digit, array.shape))
    return Term("name", (names.get("g", "g"), -2), g), Term("name", (names.get("out", "out"), -1), out), operands


def vjp_term(op: Op, position: int, g: Term, out: Term, operands: Sequence[TermLike], params: Params) -> Term:
    """The gradient that an operand receives; if the rule cannot be followed, a Term that names the rule."""
    try:
        return trace_rule(op, position, g, out, operands, params)
    except Exception:  # whatever a user's rule may raise: a picture is drawn nevertheless
        given = [as_term(x) for x in (g, *operands)]
        return Term("vjp", (f"vjp of {op.name} to {op.argument(position)} ", *given), as_term(operands[position]).value)


def trace_rule(
    op: Op, position: int, g: Term, out: Term, operands: Sequence[TermLike], params: Params, local: bool = False
) -> Term:
    """What the op's rule makes of Terms, or an exception."""
    x = as_term(operands[position])
    operands = [x if i == position else y for i, y in enumerate(operands)]
    rule = partial(op.vjps[0], position) if op.variadic else op.vjps[position]
    for_terms: Callable[..., Any] = RULES.get(op.name, rule)
    with np.errstate(all="ignore"):
        if op.name in (DEFINED_LOCALLY if local else DEFINED) and REGISTRY.get(op.name) is op:
            out = BUILDERS[op.name](*operands, **params)
        term = as_term(for_terms(g, out, *operands, **params))
        expected = rule(values_of(g) * 1, *values_of((out, *operands)), **params)
        check_formula(term.value, expected, values_of([out, *operands]))  # not after the sum, where errors may cancel
        return undo_broadcast(term, x.shape)


def forward_term(op: Op, operands: Sequence[TermLike], params: Params, value: ArrayLike) -> Term:
    """What the op makes of its operands, with the value that it made of them."""
    try:
        with np.errstate(all="ignore"):
            term = as_term(op.call(*operands, **params))
            check_formula(term.value, value, values_of([value, *operands]))
    except Exception:  # whatever a user's op may raise
        term = Term("function", (op.name, *map(as_term, operands)), value)
    if term.kind != "function" or op.name in BUILDERS:
        return Term(term.kind, term.parts, value)
    shown = [f"{key}={x}" for key, x in params.items() if key not in UNPRINTED and str(x) != str(op.defaults.get(key))]
    return Term("function", (*term.parts, *shown), value)


def undo_broadcast(term: Term, shape: tuple[int, ...]) -> Term:
    """The sum over the axes that NumPy broadcast, as the engine takes it."""
    if term.shape == shape or term.size == np.prod(shape, dtype=int) == 1:
        return term
    new = term.ndim - len(shape)
    axes = [k for k, n in enumerate(term.shape) if k < new or n != shape[k - new]]
    return as_shape(sum_over(term, None if np.prod(shape) == 1 else axes), shape)


def check_formula(found: ArrayLike, expected: ArrayLike, values: Arrays) -> None:
    """Refuses a formula whose value is not that of the rule, within the rounding of these operands."""
    floats = [np.asarray(x).dtype for x in values if np.asarray(x).dtype.kind == "f"]
    tolerance = 64 * max([float(np.finfo(dtype).eps) for dtype in floats], default=1e-16)
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    if not np.allclose(found.reshape(expected.shape), expected, tolerance, tolerance * largest, equal_nan=True):
        raise ValueError("the formula does not give what the rule gives")
