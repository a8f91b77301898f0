"""What a picture says of an op besides formulas: its symbol, its role for gradients, its rule as the source has it."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_edu.draw.algebra.arrangement import index_text
from tinygrad_edu.draw.algebra.notation import RAISED
from tinygrad_edu.draw.numbers import MINUS, format_number
from tinygrad_edu.engine import Op

__all__ = ["role", "rule_source", "symbol"]

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


def symbol(op: Op, params: Mapping[str, Any], values: Sequence[ArrayLike] = ()) -> str:
    """What a node of the picture shows for the op, such as "+", "Σ" or "[1]"; else the op's name.

    `values` are its operands, if the exponent of a power is to be shown: "x²".
    """
    if op.name == "getitem":
        text = index_text(params.get("index"))
        return text if len(text) <= 12 else "[…]"
    if op.name == "power":
        exponent = format_number(values[1]) if len(values) == 2 and np.size(values[1]) == 1 else ""
        return f"x{exponent.translate(RAISED)}" if exponent.isdigit() else "√" if exponent == "0.5" else "xʸ"
    if op.name == "transpose":
        return "ᵀ" if params.get("axes") is None else "transpose"
    return SYMBOLS.get(op.name, op.name)


def rule_source(op: Op, position: int) -> str:
    """The rule to an operand as it stands in the source, in one line, such as "g * y".

    Of a rule that is a function of several statements the name and the first line of its docstring; "" if there is no
    rule, or its source cannot be found.
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
    found = None
    for node in functions_of(source):
        lines = [node.lineno, *[decorator.lineno for decorator in node.decorator_list]]
        if node.name == op.forward.__name__ and op.forward.__code__.co_firstlineno in lines:
            (call,) = [d for d in node.decorator_list if isinstance(d, ast.Call) and len(d.args) > place]
            found = call.args[place]
    return found


@lru_cache(maxsize=64)
def functions_of(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())
