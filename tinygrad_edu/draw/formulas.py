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
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.draw.arithmetic import function
from tinygrad_edu.draw.arrangement import index_text, total
from tinygrad_edu.draw.notation import RAISED, Notation
from tinygrad_edu.draw.numbers import MINUS, number as number_text
from tinygrad_edu.draw.terms import BUILDERS, Term, as_term, named_call, number, raw, reshaped
from tinygrad_edu.registry import REGISTRY, Op, plain

NUMBER = re.compile(rf"\(?[-{MINUS}]?[\d.]+(e[-{MINUS}+]?\d+)?\)?|-?[\d.]+ \\cdot 10\^\{{-?\d+\}}")
DEFINED = {"relu", "divide", "log_softmax"}  # where out is shown by what it is: [a > 0], x / y**2
DEFINED_LOCALLY = DEFINED | {"exp", "sigmoid", "sqrt", "tanh"}


def vjp_formula(
    op: Op,
    position: int,
    names: Mapping[str, str],
    values: Sequence[Any],
    out_value: Any,
    params: Mapping[str, Any],
    latex: bool = False,
) -> str:
    """The gradient that an operand receives, as a formula.

    Args:
        op: The op.
        position: Which operand.
        names: What to call "g" (the gradient that arrives), "out", and each operand, by `op.argument(i)`. A name that
            is a number is taken for that number, one such as "y - a" gets brackets where it needs them.
        values: The operands, arrays or numbers, as the op got them.
        out_value: The output.
        params: The op's parameters.
        latex: LaTeX instead of Unicode; names must be LaTeX too.

    Returns:
        For example "∂h ⊙ [a > 0]". Branches, ties and sums over broadcast axes are those of these values. If the rule
        cannot be followed: "vjp of hypot to x (∂h, x, y)".
    """
    try:
        return formula(op, position, names, values, out_value, params, latex, False)
    except Exception:  # whatever a user's rule may raise: a picture is drawn nevertheless
        write = Notation(latex).words
        given = [names.get(key, key) for key in ("g", *map(op.argument, range(len(values))))]
        what = write(f"vjp of {op.name} to {op.argument(position)} ")
        return f"{what}({', '.join(given)})"


def local_formula(
    op: Op,
    position: int,
    names: Mapping[str, str],
    values: Sequence[Any],
    out_value: Any,
    params: Mapping[str, Any],
    latex: bool = False,
) -> str:
    """The derivative of the output with respect to an operand, both single numbers, as a formula.

    Args:
        op, position, names, values, out_value, params, latex: As for vjp_formula.

    Returns:
        For example "z", "1", "2·a"; "" if the rule cannot be followed, or something is no single number.
    """
    try:
        return formula(op, position, names, values, out_value, params, latex, True)
    except Exception:
        return ""


def formula(
    op: Op,
    position: int,
    names: Mapping[str, str],
    values: Sequence[Any],
    out_value: Any,
    params: Mapping[str, Any],
    latex: bool,
    local: bool,
) -> str:
    """The text of either, or an exception."""
    out = np.asarray(plain(out_value))[()]
    values = [plain(x) for x in values]
    x = np.asarray(values[position])
    if local and not np.size(out) == x.size == 1:
        raise ValueError("a local derivative is between single numbers")
    g = np.ones(np.shape(out)) if local else np.random.default_rng(0).standard_normal(np.shape(out))
    g = np.asarray(g, out.dtype)[()]
    rule = op.vjps[0 if op.variadic else position]
    follow = rebuilt(rule) if isinstance(rule, FunctionType) else rule
    if op.variadic:
        rule, follow = partial(rule, position), partial(follow, position)
    with np.errstate(all="ignore"):
        operands = [operand(names.get(op.argument(i), op.argument(i)), i, x) for i, x in enumerate(values)]
        operands[position] = Term("name", (names.get(op.argument(position), op.argument(position)), position), x)
        seed = number(1, np.shape(out)) if local else Term("name", (names.get("g", "g"), -2), g)
        result = Term("name", (names.get("out", "out"), -1), out)
        if op.name in (DEFINED_LOCALLY if local else DEFINED) and REGISTRY.get(op.name) is op:
            result = BUILDERS[op.name](*operands, **params)
        term, expected = as_term(follow(seed, result, *operands, **params)), rule(g, out, *values, **params)
        check(
            term.value, expected, [out, *values]
        )  # before they are summed: a sum may cancel, and only rounding is left
        return Notation(latex).write(undo_broadcast(term, x.shape))


def operand(name: str, position: int, value: Any) -> Any:
    """A Term for an operand; a constant that is named by its digits stays a number."""
    if np.ndim(value) == 0 and NUMBER.fullmatch(name):
        return value if type(value) in (int, float) else np.asarray(value).item()
    return Term("name", (name, position), value)


def undo_broadcast(term: Term, shape: tuple[int, ...]) -> Term:
    """The sum over the axes that NumPy broadcast, as the engine takes it."""
    if term.shape == shape or term.size == np.prod(shape, dtype=int) == 1:
        return term
    new = term.ndim - len(shape)
    ones = (1,) * new + shape
    axes = [k for k, (n, m) in enumerate(zip(ones, term.shape, strict=True)) if k < new or n != m]
    return reshaped(total(term, tuple(axes if set(ones) != {1} else range(term.ndim))), shape)


def check(found: Any, expected: Any, values: Sequence[Any]) -> None:
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


ROLES = {  # CS231n's words for what a gate does to gradients
    **dict.fromkeys(("add", "subtract"), "distributes"),
    "multiply": "swaps and scales",
    **dict.fromkeys(("maximum", "minimum", "max", "min", "max_pool"), "routes"),
    "sum": "copies to all",
    **dict.fromkeys(("mean", "mean_pool"), "shares"),
    "broadcast_to": "sums copies",
}
SYMBOLS = {
    "abs": "|x|",
    "add": "+",
    "astype": "as",
    "broadcast_to": "copy",
    "cumsum": "Σ…",
    "divide": "÷",
    "expand_dims": "reshape",
    "linear": "@ +",
    "matmul": "@",
    "maximum": "max",
    "minimum": "min",
    "multiply": "\u00d7",
    "negative": MINUS,
    "prod": "Π",
    "relu": "ReLU",
    "sigmoid": "\u03c3",
    "sqrt": "√",
    "subtract": MINUS,
    "sum": "Σ",
}


def role(op: Op) -> str:
    """What the op does to the gradient, in a word or two; "" for an op that has no such word."""
    return ROLES.get(op.name, "")


def symbol(op: Op, params: Mapping[str, Any], values: Sequence[Any] = ()) -> str:
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
        exponent = number_text(plain(values[1])) if len(values) == 2 and np.size(plain(values[1])) == 1 else ""
        return f"x{exponent.translate(RAISED)}" if exponent.isdigit() else "√" if exponent == "0.5" else "xʸ"
    if op.name == "transpose":
        return "ᵀ" if params.get("axes") is None else "transpose"
    return SYMBOLS.get(op.name, op.name)
