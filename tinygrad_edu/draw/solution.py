"""A worked solution as text, Markdown and LaTeX: blocks of lines, aligned at their equals signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from numpy import ndarray

from tinygrad_edu.draw.numbers import MINUS


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
            lines = [sentence] if sentence else []
            for left, rights in equations:
                heads = [left.text] + [""] * (len(rights) - 1)
                lines += [f"{head:<{width}} = {right.text}".rstrip() for head, right in zip(heads, rights, strict=True)]
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    def latex_blocks(self) -> list[tuple[str, str]]:
        """The sentence of each block and its equations as an aligned environment, "" if there are none."""
        blocks = []
        for sentence, equations in self.blocks:
            lines = []
            for left, rights in equations:
                heads = [left.latex] + [""] * (len(rights) - 1)
                lines += [f"{head} &= {right.latex}".strip() for head, right in zip(heads, rights, strict=True)]
            body = " \\\\\n".join(lines)
            blocks.append((sentence, f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}" if lines else ""))
        return blocks


class Explanation:
    """The worked solutions for one or several tensors; `str()`, `.markdown()` and `.latex()` write them.

    Attributes:
        solutions: One for each tensor.
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
        blocks = [block for solution in self.solutions for block in solution.latex_blocks()]
        parts = [part for sentence, body in blocks for part in (plain_markdown(sentence), body and f"$$\n{body}\n$$")]
        return "\n\n".join([part for part in parts if part]) or str(self)

    def latex(self) -> str:
        """Sentences as LaTeX text and equations as displays: for a document with amsmath."""
        blocks = [block for solution in self.solutions for block in solution.latex_blocks()]
        parts = [part for sentence, body in blocks for part in (plain_latex(sentence), body and f"\\[\n{body}\n\\]")]
        return "\n\n".join([part for part in parts if part]) or str(self)

    def _repr_latex_(self) -> str:
        """One display: MathJax knows no text between displays."""
        rows = []
        for solution in self.solutions:
            for sentence, body in solution.latex_blocks():
                rows += [f"\\text{{{plain_latex(sentence)}}}"] * bool(sentence) + [body] * bool(body)
        body = " \\\\\n".join([f"&{row}" for row in rows]) if len(rows) > 1 else "".join(rows)
        return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$" if len(rows) > 1 else f"$$\n{body}\n$$"

    def _repr_markdown_(self) -> str:
        return self.markdown()


ESCAPES = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"} | {
    c: f"\\{c}" for c in "#$%&_{}"
}
MATH = {"←": "\\leftarrow", "∂": "\\partial", "⋯": "\\cdots", MINUS: "-", "∞": "\\infty", "≈": "\\approx"}


def plain_latex(sentence: str) -> str:
    """A sentence in LaTeX."""
    return "".join([f"${MATH[c]}$" if c in MATH else ESCAPES.get(c, c) for c in sentence])


def plain_markdown(sentence: str) -> str:
    """A sentence in Markdown, where names may hold signs that mean something there."""
    return "".join([f"\\{c}" if c in "\\`*_{}[]<>#|$" else c for c in sentence])
