"""What a picture says of an op: the gradient that it hands to an operand, as a formula, its symbol, its rule's source.

Almost no formula is written down here: each comes out of the op's own rule, the vjp above it in `@op(...)`, run on
Terms instead of arrays. It takes the branches that the real call takes, and so does the rule of a user's op. Of a rule
that guards special values there is a textbook's version, in textbook.py, which is tried first and checked likewise.

A wrong formula would be worse than none. So the rule is run a second time, on arrays, with random numbers for the
gradient that arrives. Where the two disagree, or where the rule or a function it calls does what Terms cannot follow,
the text names the rule only: "vjp of hypot to x (∂h, x, y)".
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.draw.algebra import terms
from tinygrad_edu.draw.algebra.arrangement import index_text, sum_over
from tinygrad_edu.draw.algebra.terms import Notation, Term, TermLike, as_shape, as_term, literal, values_of
from tinygrad_edu.draw.algebra.textbook import RULES
from tinygrad_edu.draw.numbers import MINUS, format_number
from tinygrad_edu.engine import REGISTRY, Op
from tinygrad_edu.ops.elementwise import flat

__all__ = [
    "ARRIVING", "BLOCKS", "RuleCall", "forward_term", "local_formula", "local_term", "random_gradient",
    "received_term", "role", "rule_source", "symbol", "trace_rule", "vjp_formula", "vjp_term",
]  # fmt: skip

Arrays = Sequence[ArrayLike]
Parameters = Mapping[str, Any]
UNPRINTED = {"axis", "stride", "padding", "shape"}  # parameters that the formula has already, or that are too long
DEFINED = {"relu", "divide", "log_softmax"}  # written as what the output was computed from: [a > 0], x / y**2
DEFINED_LOCALLY = DEFINED | {"exp", "exp2", "sigmoid", "sqrt", "cbrt", "tan", "tanh", "sinc", "hypot"}
ROLES = {"add": "distributes", "subtract": "distributes", "multiply": "swaps and scales", "sum": "copies to all"}
ROLES |= {"mean": "shares", "mean_pool": "shares", "broadcast_to": "sums copies"}  # CS231n's words for gates
ROLES |= dict.fromkeys(("maximum", "minimum", "max", "min", "max_pool"), "routes")
ARRIVING = -2  # the place of a name in a Term, where those of the operands are 0, 1 ..., and the output's is -1
BLOCKS = "blocks: constant between its jumps"
SYMBOLS = {"add": "+", "subtract": MINUS, "negative": MINUS, "multiply": "\u00d7", "divide": "÷", "abs": "|x|"}
SYMBOLS |= {"matmul": "@", "linear": "@ +", "sum": "Σ", "cumsum": "Σ…", "prod": "Π", "sqrt": "√", "astype": "as"}
SYMBOLS |= {"sigmoid": "\u03c3", "relu": "ReLU", "maximum": "max", "minimum": "min"}
SYMBOLS |= {"broadcast_to": "copy", "expand_dims": "reshape", "positive": "+x", "cumprod": "Π…", "convolve": "\u2217"}
SYMBOLS |= {"floor": "⌊x⌋", "ceil": "⌈x⌉", "floor_divide": "//", "remainder": "%", "norm": "‖x‖", "cbrt": "∛"}
SYMBOLS |= {"exp2": "2ˣ", "log2": "log₂", "log10": "log₁₀", "inv": "x⁻¹", "solve": "x⁻¹ @", "bessel": "I₀"}


class RuleCall(NamedTuple):
    """A call of an op's rule to one operand, with what a formula for it needs to know."""

    op: Op
    position: int  # of the operand
    names: Mapping[str, str]  # what to call "g" (the gradient that arrives), "out", and each operand: op.argument(i)
    values: Arrays  # the operands as the op got them; the formula follows their branches, ties and broadcast axes
    out: ArrayLike
    params: Parameters


def vjp_formula(call: RuleCall, latex: bool = False) -> str:
    """The gradient that an operand receives, as a formula, such as "∂h ⊙ [a > 0]".

    A constant that is named by its digits is a number: "2", or "1" for ones of any shape. If the rule cannot be
    followed: "vjp of hypot to x".
    """
    return Notation(latex).write(received_term(call))


def received_term(call: RuleCall) -> Term:
    """The same as a Term, in which the gradient that arrives has the place ARRIVING."""
    g, out, operands = named_terms(call, random_gradient(np.asarray(call.out)))
    return vjp_term(call.op, call.position, g, out, operands, call.params)


def random_gradient(out: ndarray) -> ndarray:
    return np.asarray(np.random.default_rng(0).standard_normal(out.shape), out.dtype)


def local_formula(call: RuleCall, latex: bool = False) -> str:
    """The derivative of the output with respect to an operand, "z", "1", "2·a"; "" if there is no local_term."""
    term = local_term(call)
    return "" if term is None else Notation(latex).write(term)


def local_term(call: RuleCall) -> Term | None:
    """The same as a Term; None if the rule cannot be followed, or if one of the two has several elements."""
    if not np.size(call.out) == np.size(call.values[call.position]) == 1:
        return None
    _, out, operands = named_terms(call, call.out)
    try:
        return trace_rule(call.op, call.position, literal(1, out.shape), out, operands, call.params, local=True)
    except Exception:  # whatever a user's rule may raise
        return None


def named_terms(call: RuleCall, g: ArrayLike) -> tuple[Term, Term, list[TermLike]]:
    """The gradient that arrives, the output and the operands as Terms; a constant named by its digits is a number."""
    names, operands = call.names, list[TermLike]()
    for i, x in enumerate(call.values):
        name, array = names.get(call.op.argument(i), call.op.argument(i)), np.asarray(x)
        digit = array.flat[0].item() if array.size else 0
        if i == call.position or name not in (str(digit), format_number(digit)) or (array != digit).any():
            operands.append(Term("name", (name, i), x))
        else:
            operands.append(x if type(x) in (int, float) else literal(digit, array.shape))
    return (
        Term("name", (names.get("g", "g"), ARRIVING), g),
        Term("name", (names.get("out", "out"), -1), call.out),
        operands,
    )


def vjp_term(op: Op, position: int, g: Term, out: Term, operands: Sequence[TermLike], params: Parameters) -> Term:
    """The gradient that an operand receives; if the rule cannot be followed, a Term that names the rule."""
    try:
        return trace_rule(op, position, g, out, operands, params)
    except Exception:  # whatever a user's rule may raise: a picture is drawn nevertheless
        given = [as_term(x) for x in (g, *operands)]
        return Term("vjp", (f"vjp of {op.name} to {op.argument(position)} ", *given), as_term(operands[position]).value)


def trace_rule(
    op: Op, position: int, g: Term, out: Term, operands: Sequence[TermLike], params: Parameters, local: bool = False
) -> Term:
    """What the op's rule makes of Terms, or an exception."""
    x = as_term(operands[position])
    operands = [x if i == position else y for i, y in enumerate(operands)]
    rule = partial(op.vjps[0], position) if op.variadic else op.vjps[position]
    with np.errstate(all="ignore"):
        if op.name in (DEFINED_LOCALLY if local else DEFINED) and REGISTRY.get(op.name) is op:
            out = terms.BUILDERS[op.name](*operands, **params)
        expected = rule(values_of(g) * 1, *values_of((out, *operands)), **params)
        textbook = RULES.get(op.forward, ())[position : position + 1]
        for follow in (*textbook, rule):
            try:
                term = as_term(follow(g, out, *operands, **params))
                check_formula(term.value, expected, values_of([out, *operands]))  # the sum may cancel errors
                return undo_broadcast(term, x.shape)
            except Exception:  # whatever a rule may raise; the textbook's where special values are met
                if follow is rule:
                    raise
    raise AssertionError("the loop ends with the rule")


def forward_term(op: Op, operands: Sequence[TermLike], params: Parameters, value: ArrayLike) -> Term:
    """What the op makes of its operands, with the value that it made of them."""
    try:
        with np.errstate(all="ignore"):
            term = as_term(op.call(*operands, **params))
            check_formula(term.value, value, values_of([value, *operands]))
    except Exception:  # whatever a user's op may raise
        term = Term("function", (op.name, *map(as_term, operands)), value)
    if term.kind != "function" or op.name in terms.BUILDERS:
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


def role(op: Op) -> str:
    """What the op does to the gradient, in a word or two; "" for an op that has no such word."""
    return ROLES.get(op.name, BLOCKS if op.vjps[0] is flat else "")


def symbol(op: Op, params: Parameters, values: Arrays = ()) -> str:
    """What a node of the picture shows for the op: "+", "Σ", "[1]", for these operands "x²"; else the op's name."""
    if op.name == "getitem":
        text = index_text(params.get("index"))
        return text if len(text) <= 12 else "[…]"
    if op.name == "power":
        exponent = format_number(np.asarray(values[1])) if len(values) == 2 and np.size(values[1]) == 1 else ""
        return f"x{exponent.translate(terms.RAISED)}" if exponent.isdigit() else "√" if exponent == "0.5" else "xʸ"
    if op.name == "transpose":
        return "ᵀ" if params.get("axes") is None else "transpose"
    return SYMBOLS.get(op.name, op.name)


def rule_source(op: Op, position: int) -> str:
    """The rule to an operand as it stands in the source, in one line, such as "g * y"; "" if it cannot be found.

    Of a rule that is a function of several statements it is the name and the first line of the docstring.
    """
    place = 0 if op.variadic else position
    vjp = op.vjps[place]
    try:
        return read_source(op, place, vjp) if vjp is not None else ""
    except (OSError, TypeError, SyntaxError, ValueError, LookupError):
        return ""


def read_source(op: Op, place: int, vjp: Callable[..., Any]) -> str:
    """What stands at a place of `@op(...)`, or an exception."""
    source = "".join(linecache.getlines(op.forward.__code__.co_filename, op.forward.__globals__))
    rule = rule_node(op, place, source)
    if rule is None:
        return ""
    if isinstance(rule, ast.Lambda):
        return one_line(ast.get_source_segment(source, rule.body))
    text = textwrap.dedent(inspect.getsource(vjp))
    (function,) = ast.parse(text).body
    if not isinstance(function, ast.FunctionDef):
        return one_line(ast.get_source_segment(source, rule))
    statements = [x for x in function.body if not (isinstance(x, ast.Expr) and isinstance(x.value, ast.Constant))]
    if len(statements) == 1 and isinstance(statements[0], ast.Return) and statements[0].value is not None:
        return one_line(ast.get_source_segment(text, statements[0].value))
    summary = (vjp.__doc__ or "").strip().partition("\n")[0]
    return f"{function.name}({', '.join(a.arg for a in function.args.args)})" + (f"  # {summary}" if summary else "")


def rule_node(op: Op, place: int, source: str) -> ast.expr | None:
    """The argument of `@op(...)` at a place, in the module that defines the op."""
    for node in functions_of(source):
        lines = [node.lineno, *[decorator.lineno for decorator in node.decorator_list]]
        if node.name == op.forward.__name__ and op.forward.__code__.co_firstlineno in lines:
            (call,) = [d for d in node.decorator_list if isinstance(d, ast.Call) and len(d.args) > place]
            return call.args[place]
    return None


@lru_cache(maxsize=64)
def functions_of(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())
