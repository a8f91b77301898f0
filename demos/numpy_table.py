"""Prints what a NumPy function does with a Tensor: its class, its name, and the line that makes its gradient.

    python demos/numpy_table.py              # all
    python demos/numpy_table.py norm det     # those whose name contains one of the words
    python demos/numpy_table.py --counts     # how many there are of each class

Of a function with a rule of its own the line is the gradient to each operand, where g is the gradient that arrives and
out the output. A composed one has none: the line is what it is made of, or where to read it; and the rule of the op of
its name with an underscore, if it is made of that.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import lesson
import numpy as np

from tinygrad_edu.dispatch import NUMPY, REFUSED, found, table
from tinygrad_edu.draw.algebra.formulas import one_line, rule_source
from tinygrad_edu.engine import REGISTRY, Op

MEANING = {
    "D": "differentiates",
    "Z": "locally constant: the derivative is 0",
    "V": "works on values",
    "R": "refuses, and says why",
}


def names() -> dict[str, list[str]]:
    """The functions of each class, as in np.linalg.norm without the np."""
    refused = [name for group in REFUSED for name in group.split()]
    return {kind: NUMPY[kind].split() if kind in NUMPY else refused for kind in MEANING}


def rules(op: Op) -> str:
    """The rule to each operand."""
    if op.variadic:
        return f"gradient to operand i: {rule_source(op, 0)}"
    sources = [(name, rule_source(op, i)) for i, name in enumerate(op.names[: len(op.vjps)]) if op.vjps[i]]
    return "; ".join([f"to {name}: {rule}" for name, rule in sources])


def made_of(function: Callable[..., Any]) -> str:
    """What a composed function returns, or where it stands if it does more than that."""
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    definition: Any = ast.parse(source).body[0]
    _, *statements = definition.body  # the docstring comes first
    if len(statements) == 1:
        return f"made of {one_line(ast.get_source_segment(source, statements[0].value))}"
    chapter = function.__module__.rpartition(".")[2]
    return f"made of others, see ops/{chapter}.py, line {function.__code__.co_firstlineno}"


def line(kind: str, name: str) -> str:
    """What the table says about a function."""
    function = found(np, name)
    if function is None:
        return f"(not in NumPy {np.__version__})"
    _, entry = table()[function]
    if kind == "V":
        return "NumPy's result for the values"
    if kind == "R":
        return str(entry)
    for op in REGISTRY.values():
        if op.call is entry:
            return rules(op)
    own = getattr(inspect.getmodule(inspect.unwrap(entry)), f"_{entry.__name__}", None)
    ruled = [f"; _{entry.__name__} {rules(op)}" for op in REGISTRY.values() if op.call is own]
    return made_of(entry) + "".join(ruled)


def rows(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Class, name and line of each function whose name has one of the words in it, or of all."""
    for kind, functions in names().items():
        for name in functions:
            if not words or any(word in name for word in words):
                yield kind, name, line(kind, name)


def main(argv: list[str] | None = None) -> None:
    parser = lesson.Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", help="show only functions whose name contains one of these")
    parser.add_argument("--counts", action="store_true", help="how many functions there are of each class")
    options = parser.parse_args(argv)
    if not options.counts:
        lines = list(rows(options.words))
        if not lines:
            parser.error(f"no function of NumPy's has {' or '.join(options.words)} in its name")
        width = max([len(name) for _, name, _ in lines])
        for kind, name, text in lines:
            print(f"{kind}  {name:{width}}  {textwrap.shorten(text, 150, placeholder=' ...')}")
        print()
    if options.counts or not options.words:
        for kind, functions in names().items():
            print(f"{len(functions):4} {kind}  {MEANING[kind]}")


if __name__ == "__main__":
    lesson.run(main)
