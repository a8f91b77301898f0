"""The gradient that an op hands to an operand, as a formula, and the local derivative between single numbers.

No formula is written down here: each comes out of the op's own rule, the vjp above it in `@op(...)`. The rule is run on
Terms (see terms.py) instead of arrays, with the functions that it calls replaced by such as build Terms. So it takes
the branches that the real call takes, and a user's rule from a file, a notebook or a string comes out as well.

A wrong formula would be worse than none. The rule is therefore run a second time, on arrays, with random numbers for
the gradient that arrives; where the two do not agree, or the rule does what Terms cannot follow, the text only names
the rule: "vjp of hypot to x (∂h, x, y)".
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.arithmetic import function
from tinygrad_edu.draw.algebra.arrangement import index_text, sum_over
from tinygrad_edu.draw.algebra.notation import RAISED, Notation
from tinygrad_edu.draw.algebra.terms import BUILDERS, Term, as_term, literal, named_call, raw, reshaped
from tinygrad_edu.draw.numbers import MINUS, format_number
from tinygrad_edu.engine import REGISTRY, Op, plain

Names = Mapping[str, str]
Params = Mapping[str, Any]
UNSAID = {"axis", "stride", "padding", "shape"}  # parameters that are said already, or would be too long
DEFINED = {"relu", "divide", "log_softmax"}  # where out is shown by what it is: [a > 0], x / y**2
DEFINED_LOCALLY = DEFINED | {"exp", "sigmoid", "sqrt", "tanh"}


def vjp_formula(
    op: Op, position: int, names: Names, values: Sequence[Any], out: Any, params: Params, latex: bool = False
) -> str:
    """The gradient that an operand receives, as a formula.

    Args:
        op: The op.
        position: Which operand.
        names: What to call "g" (the gradient that arrives), "out", and each operand, by `op.argument(i)`. A constant
            that is named by its digits is a number: "2", or "1" for ones of any shape.
        values: The operands, arrays or numbers, as the op got them.
        out: The output.
        params: The op's parameters.
        latex: LaTeX instead of Unicode.

    Returns:
        For example "∂h ⊙ [a > 0]". Branches, ties and sums over broadcast axes are those of these values. If the rule
        cannot be followed: "vjp of hypot to x (∂h, x, y)".
    """
    value = np.asarray(plain(out))
    g, result, operands = named_terms(op, position, names, random_gradient(value), value, values)
    return Notation(latex).write(vjp_term(op, position, g, result, operands, params))


def random_gradient(out: ndarray) -> ndarray:
    """Random numbers for the gradient that arrives."""
    return np.asarray(np.random.default_rng(0).standard_normal(out.shape), out.dtype)


def local_formula(
    op: Op, position: int, names: Names, values: Sequence[Any], out: Any, params: Params, latex: bool = False
) -> str:
    """The derivative of the output with respect to an operand, both single numbers, as a formula.

    The arguments are those of vjp_formula. Returns "z", "1", "2·a"; "" if the rule cannot be followed, or something is
    no single number.
    """
    value = np.asarray(plain(out))
    if not value.size == np.size(plain(values[position])) == 1:
        return ""
    _, result, operands = named_terms(op, position, names, value, value, values)
    try:
        return Notation(latex).write(trace_rule(op, position, literal(1, value.shape), result, operands, params, True))
    except Exception:  # whatever a user's rule may raise
        return ""


def named_terms(op: Op, position: int, names: Names, g: Any, out: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    """The gradient that arrives, the output and the operands as Terms; a constant named by its digits is a number."""
    operands: list[Any] = []
    for i, x in enumerate(map(plain, values)):
        name, array = names.get(op.argument(i), op.argument(i)), np.asarray(x)
        digit = array.flat[0].item() if array.size else 0
        if i == position or name not in (str(digit), format_number(digit)) or (array != digit).any():
            operands.append(Term("name", (name, i), x))
        else:
            operands.append(x if type(x) in (int, float) else literal(digit, array.shape))
    return Term("name", (names.get("g", "g"), -2), g), Term("name", (names.get("out", "out"), -1), out), operands


def vjp_term(op: Op, position: int, g: Term, out: Term, operands: Sequence[Any], params: Params) -> Term:
    """The gradient that an operand receives; if the rule cannot be followed, a Term that names the rule."""
    try:
        return trace_rule(op, position, g, out, operands, params)
    except Exception:  # whatever a user's rule may raise: a picture is drawn nevertheless
        given = [as_term(x) for x in (g, *operands)]
        return Term("vjp", (f"vjp of {op.name} to {op.argument(position)} ", *given), as_term(operands[position]).value)


def trace_rule(
    op: Op, position: int, g: Term, out: Term, operands: Sequence[Any], params: Params, local: bool = False
) -> Term:
    """What the op's rule makes of Terms, or an exception."""
    x = as_term(operands[position])
    operands = [x if i == position else y for i, y in enumerate(operands)]
    rule = op.vjps[0 if op.variadic else position]
    follow = rebuilt(rule) if isinstance(rule, FunctionType) else rule
    if op.variadic:
        rule, follow = partial(rule, position), partial(follow, position)
    with np.errstate(all="ignore"):
        if op.name in (DEFINED_LOCALLY if local else DEFINED) and REGISTRY.get(op.name) is op:
            out = BUILDERS[op.name](*operands, **params)
        term = as_term(follow(g, out, *operands, **params))
        expected = rule(raw(g) * 1, *raw((out, *operands)), **params)
        check_formula(term.value, expected, raw([out, *operands]))  # before they are summed, where a sum could cancel
        return undo_broadcast(term, x.shape)


def forward_term(op: Op, operands: Sequence[Any], params: Params, value: Any) -> Term:
    """What the op makes of its operands, with the value that it made of them."""
    try:
        with np.errstate(all="ignore"):
            term = as_term(builder(op)(*operands, **params))
            check_formula(term.value, value, raw([value, *operands]))
    except Exception:  # whatever a user's op may raise
        term = Term("function", (op.name, *map(as_term, operands)), value)
    if term.kind != "function" or op.name in BUILDERS:
        return Term(term.kind, term.parts, value)
    shown = [f"{key}={x}" for key, x in params.items() if key not in UNSAID and str(x) != str(op.defaults.get(key))]
    return Term("function", (*term.parts, *shown), value)


def undo_broadcast(term: Term, shape: tuple[int, ...]) -> Term:
    """The sum over the axes that NumPy broadcast, as the engine takes it."""
    if term.shape == shape or term.size == np.prod(shape, dtype=int) == 1:
        return term
    new = term.ndim - len(shape)
    axes = [k for k, n in enumerate(term.shape) if k < new or n != shape[k - new]]
    return reshaped(sum_over(term, None if np.prod(shape) == 1 else axes), shape)


def check_formula(found: Any, expected: Any, values: Sequence[Any]) -> None:
    """Refuses a formula whose value is not the rule's."""
    floats = [np.asarray(x).dtype for x in values if np.asarray(x).dtype.kind == "f"]
    tolerance = 64 * max([float(np.finfo(dtype).eps) for dtype in floats], default=1e-16)
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    if not np.allclose(found.reshape(expected.shape), expected, tolerance, tolerance * largest, equal_nan=True):
        raise ValueError("the formula does not give what the rule gives")


def traced(x: Any) -> Any:
    """What stands for x where Terms are computed: builders for ops, rebuilt functions for functions."""
    if isinstance(x, partial):
        return partial(traced(x.func), *x.args, **x.keywords)
    if isinstance(x, ModuleType) and x.__name__.partition(".")[0] == "tinygrad_edu":
        return Namespace(x)
    if not isinstance(x, FunctionType):
        return x
    op = REGISTRY.get(x.__name__.lstrip("_"))
    return builder(op) if op is not None and op.call is x else helper(x)


class Namespace:
    """A module of the library, as `ops` in a rule that says ops.exp(x)."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return traced(getattr(self._module, name))


def builder(op: Op) -> Callable[..., Any]:
    """An op as a function of Terms; one without a notation of its own is printed by its name."""

    def build(*args: Any, **kwargs: Any) -> Any:
        operands, params = op.bind(args, kwargs)
        if not any(isinstance(x, Term) for x in operands):
            return op.forward(*operands, **params)
        return BUILDERS.get(op.name, partial(function, op.name))(*operands, **params)

    return build


def rebuilt(f: FunctionType) -> FunctionType:
    """The function with everything traced that it refers to by name."""
    codes, used = [f.__code__], set()
    while codes:
        code = codes.pop()
        used |= set(code.co_names)
        codes += [x for x in code.co_consts if isinstance(x, CodeType)]  # comprehensions and lambdas within
    names = {name: traced(f.__globals__[name]) for name in used if name in f.__globals__}
    cells = tuple([CellType(traced(cell.cell_contents)) for cell in f.__closure__ or ()])
    copy = FunctionType(f.__code__, names, f.__name__, f.__defaults__, cells)
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def helper(f: FunctionType) -> Callable[..., Any]:
    """A function that a rule calls: what is in it or, where Terms cannot follow, its name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return rebuilt(f)(*args, **kwargs)
        except Exception:  # it may do anything with arrays; the values it returns are right all the same
            value = f(*raw(args), **{key: raw(x) for key, x in kwargs.items()})
        if not isinstance(value, (np.ndarray, np.generic)):
            return value
        return named_call(f.__name__, [x for x in (*args, *kwargs.values()) if isinstance(x, Term)], value)

    return call


def rule_source(op: Op, position: int) -> str:
    """The rule to an operand as it stands in the source, in one line, such as "g * y".

    Of a rule that is a function of several statements the name and the first line of its docstring; "" if there is no
    rule, or its source cannot be found.
    """
    vjp = op.vjps[0 if op.variadic else position]
    try:
        return source_of(op, 0 if op.variadic else position, vjp) if vjp is not None else ""
    except (OSError, TypeError, SyntaxError, ValueError, LookupError):
        return ""


def source_of(op: Op, place: int, vjp: Any) -> str:
    """What stands at a place of `@op(...)`, or an exception."""
    source = "".join(linecache.getlines(op.forward.__code__.co_filename, op.forward.__globals__))
    first = op.forward.__code__.co_firstlineno
    rule: ast.expr | None = None
    for node in parsed(source):
        lines = [node.lineno, *[decorator.lineno for decorator in node.decorator_list]]
        if node.name == op.forward.__name__ and first in lines:
            (call,) = [d for d in node.decorator_list if isinstance(d, ast.Call) and len(d.args) > place]
            rule = call.args[place]
    if rule is None:
        return ""
    if isinstance(rule, ast.Lambda):
        return one_line(ast.get_source_segment(source, rule.body))
    text = inspect.getsource(vjp)
    (function,) = ast.parse(textwrap.dedent(text)).body
    if not isinstance(function, ast.FunctionDef):
        return one_line(ast.get_source_segment(source, rule))
    statements = [x for x in function.body if not (isinstance(x, ast.Expr) and isinstance(x.value, ast.Constant))]
    if len(statements) == 1 and isinstance(statements[0], ast.Return) and statements[0].value is not None:
        return one_line(ast.get_source_segment(textwrap.dedent(text), statements[0].value))
    summary = (vjp.__doc__ or "").strip().partition("\n")[0]
    return f"{function.name}({', '.join(a.arg for a in function.args.args)})" + (f"  # {summary}" if summary else "")


@lru_cache(maxsize=64)
def parsed(source: str) -> list[ast.FunctionDef]:
    """All functions of a module."""
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]


def one_line(text: str | None) -> str:
    """The text without line breaks."""
    return " ".join((text or "").split())


ROLES = {"add": "distributes", "subtract": "distributes", "multiply": "swaps and scales", "sum": "copies to all"}
ROLES |= {"mean": "shares", "mean_pool": "shares", "broadcast_to": "sums copies"}  # CS231n's words for gates
ROLES |= dict.fromkeys(("maximum", "minimum", "max", "min", "max_pool"), "routes")
SYMBOLS = {"add": "+", "subtract": MINUS, "negative": MINUS, "multiply": "\u00d7", "divide": "÷", "abs": "|x|"}
SYMBOLS |= {"matmul": "@", "linear": "@ +", "sum": "Σ", "cumsum": "Σ…", "prod": "Π", "sqrt": "√", "astype": "as"}
SYMBOLS |= {"sigmoid": "\u03c3", "relu": "ReLU", "maximum": "max", "minimum": "min"}
SYMBOLS |= {"broadcast_to": "copy", "expand_dims": "reshape"}


def role(op: Op) -> str:
    """What the op does to the gradient, in a word or two; "" for an op that has no such word."""
    return ROLES.get(op.name, "")


def symbol(op: Op, params: Params, values: Sequence[Any] = ()) -> str:
    """What a node of the picture shows for the op, such as "+", "Σ" or "[1]"; else the op's name.

    Args:
        op: The op.
        params: Its parameters.
        values: Its operands, if the exponent of a power is to be shown: "x²".
    """
    if op.name == "getitem":
        text = index_text(params.get("index"))
        return text if len(text) <= 12 else "[…]"
    if op.name == "power":
        exponent = format_number(plain(values[1])) if len(values) == 2 and np.size(plain(values[1])) == 1 else ""
        return f"x{exponent.translate(RAISED)}" if exponent.isdigit() else "√" if exponent == "0.5" else "xʸ"
    if op.name == "transpose":
        return "ᵀ" if params.get("axes") is None else "transpose"
    return SYMBOLS.get(op.name, op.name)
