"""A worked solution as text, Markdown and LaTeX: blocks of lines, aligned at their equals signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from numpy import ndarray

from tinygrad_edu.draw.numbers import MINUS

__all__ = ["Block", "Both", "Equation", "Explanation", "Solution"]


class Both(NamedTuple):
    """A formula in Unicode and in LaTeX."""

    text: str
    latex: str


class Equation(NamedTuple):
    """A left side and what it is equal to, one right side to a line."""

    left: Both
    rights: list[Both]


class Block(NamedTuple):
    """A sentence, which may be empty, and equations aligned with each other."""

    sentence: str
    equations: Sequence[Equation] = ()


@dataclass(frozen=True)
class Solution:
    """The chain rule from an output to one tensor.

    Attributes:
        name: The tensor's name.
        value: The gradient.
        paths: The first paths, each as the names from the output to the tensor.
        count: How many paths there are.
        blocks: What is printed.
    """

    name: str
    value: ndarray
    paths: list[tuple[str, ...]]
    count: int
    blocks: list[Block] = field(repr=False)

    def __str__(self) -> str:
        parts = []
        for sentence, equations in self.blocks:
            width = max([len(left.text) for left, _ in equations], default=0)
            lines = [f"{head.text:<{width}} = {right.text}".rstrip() for head, right in rows(equations)]
            parts.append("\n".join([sentence, *lines] if sentence else lines))
        return "\n\n".join(parts)

    def latex_blocks(self) -> list[tuple[str, str]]:
        """The sentence of each block and its equations as an aligned environment, "" if there are none."""
        blocks = []
        for sentence, equations in self.blocks:
            body = " \\\\\n".join([f"{head.latex} &= {right.latex}".strip() for head, right in rows(equations)])
            blocks.append((sentence, f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}" if body else ""))
        return blocks


def rows(equations: Sequence[Equation]) -> list[tuple[Both, Both]]:
    """The lines of equations; only the first of each has a left side."""
    return [(Both("", "") if i else left, right) for left, rights in equations for i, right in enumerate(rights)]


class Explanation:
    """The worked solutions for one or several tensors; `str()`, `.markdown()` and `.latex()` write them.

    Attributes:
        solutions: One for each tensor; later ones do not repeat what earlier ones derived or defined.
    """

    def __init__(self, solutions: list[Solution]) -> None:
        self.solutions = solutions

    @property
    def value(self) -> ndarray | list[ndarray]:
        """The gradient; a list of gradients where several tensors are explained."""
        values = [solution.value for solution in self.solutions]
        return values[0] if len(values) == 1 else values

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """The first paths, each as the names from the output to the tensor, of all solutions."""
        return [path for solution in self.solutions for path in solution.paths]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.solutions)) or "No tensor here needs a gradient."

    __repr__ = __str__

    def markdown(self) -> str:
        """Sentences as text and equations between $$, as notebooks and GitHub show them."""
        return self._join(escape_markdown, "$$\n{}\n$$")

    def latex(self) -> str:
        """Sentences as LaTeX text and equations as displays: for a document with amsmath."""
        return self._join(escape_latex, "\\[\n{}\n\\]")

    def _join(self, escape: Callable[[str], str], display: str) -> str:
        """Sentences and equations, one after another."""
        parts = []
        for sentence, body in self._latex_blocks():
            parts += [escape(sentence), display.format(body) if body else ""]
        return "\n\n".join(filter(None, parts)) or str(self)

    def _latex_blocks(self) -> list[tuple[str, str]]:
        return [block for solution in self.solutions for block in solution.latex_blocks()]

    def _repr_latex_(self) -> str:
        """One display: MathJax has no text between displays."""
        rows = []
        for sentence, body in self._latex_blocks():
            rows += [f"\\text{{{escape_latex(sentence)}}}" if sentence else "", body]
        body = " \\\\\n".join([f"&{row}" for row in rows if row])
        return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"

    _repr_markdown_ = markdown


ESCAPES = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"} | {
    c: f"\\{c}" for c in "#$%&_{}"
}
MATH = {"←": "\\leftarrow", "∂": "\\partial", "⋯": "\\cdots", MINUS: "-", "∞": "\\infty", "≈": "\\approx"}


def escape_latex(sentence: str) -> str:
    """A sentence in LaTeX."""
    return "".join([f"${MATH[c]}$" if c in MATH else ESCAPES.get(c, c) for c in sentence])


def escape_markdown(sentence: str) -> str:
    """A sentence in Markdown, where names may hold signs that mean something there."""
    return "".join([f"\\{c}" if c in "\\`*_{}[]<>#|$" else c for c in sentence])
