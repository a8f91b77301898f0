"""Worked solutions: the chain rule from an output to a tensor, in symbols, formulas, numbers, and the result.

    >>> print(loss.explain(w))
    ∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w
          = −2(y − a) · σ(z)(1 − σ(z)) · x
          = −0.538 · 0.197 · 2
          = −0.212

The steps lead from one named tensor to the next. Between arrays, whose derivatives would have more axes than a page,
the gradients themselves are derived, one tensor after another, as backward() does it. Solutions are blocks of
equations, aligned at their equals signs; `Explanation` writes them as text, Markdown and LaTeX.

The hard idea is the number of paths: `a = a * b + a.sin()` in a loop of 40 makes 2 ** 40 of them to the first a. So
paths are counted, and what they contribute is added up, tensor by tensor; only a few are walked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.checks import check_int
from tinygrad_edu.draw.algebra.arithmetic import add
from tinygrad_edu.draw.algebra.formulas import BLOCKS, forward_term, random_gradient, role, vjp_term
from tinygrad_edu.draw.algebra.terms import PHRASE, SUM, Term, as_term
from tinygrad_edu.draw.explain.expressions import (
    ChainStep,
    Ends,
    Expressions,
    card_term,
    cards_between,
    count_paths,
    find_path,
    ids_in,
    is_rewritten,
    step_formula,
    steps_between,
    total_derivative,
)
from tinygrad_edu.draw.names import name_cards, printable
from tinygrad_edu.draw.numbers import MINUS, SMALL, format_array, format_nested, format_number, format_shape
from tinygrad_edu.draw.record import Card, Record, Wire, record
from tinygrad_edu.draw.variables import caller_variables
from tinygrad_edu.tables import escape_markdown
from tinygrad_edu.tensor import Tensor

__all__ = ["Explanation", "explain"]

T = TypeVar("T")
MOST_FACTORS = 9  # factors of a product that are written out
WRITTEN_OUT = 8  # paths that are written out
MOST_LINES, LAST_LINES = 24, 6  # of a derivation over arrays, and how many of these are the last ones


class Formula(NamedTuple):
    """A formula in Unicode and in LaTeX."""

    text: str
    latex: str


DOTS, DOT, PLUS = Formula("⋯", r"\cdots"), Formula(" · ", r" \cdot "), Formula(" + ", " + ")


class Equation(NamedTuple):
    """A left side and what it is equal to, one right side to a line."""

    left: Formula
    rights: list[Formula]


class Block(NamedTuple):
    """A sentence, which may be empty, and equations aligned with each other."""

    sentence: str
    equations: Sequence[Equation] = ()


@dataclass(frozen=True)
class Solution:
    """The chain rule from an output to one tensor."""

    name: str  # of the tensor
    value: ndarray  # the gradient
    paths: list[tuple[str, ...]]  # the first ones, each as the names from the output to the tensor
    count: int  # of all paths
    blocks: list[Block] = field(repr=False)  # what is printed

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


def rows(equations: Sequence[Equation]) -> list[tuple[Formula, Formula]]:
    """The lines of equations; only the first of each has a left side."""
    return [(Formula("", "") if i else left, right) for left, rights in equations for i, right in enumerate(rights)]


@dataclass(eq=False, repr=False)
class Explanation:
    """The worked solutions for one or several tensors; `str()`, `.markdown()` and `.latex()` write them."""

    solutions: list[Solution]  # later ones do not repeat what earlier ones derived or defined

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


ESCAPES = {c: f"\\{c}" for c in "#$%&_{}"}
ESCAPES |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
MATH = {"←": "\\leftarrow", "∂": "\\partial", "⋯": "\\cdots", MINUS: "-", "∞": "\\infty", "≈": "\\approx"}


def escape_latex(sentence: str) -> str:
    return "".join([f"${MATH[c]}$" if c in MATH else ESCAPES.get(c, c) for c in sentence])


class Writer:
    """Writes the blocks of one solution."""

    def __init__(self, forms: Expressions, card: Card, ends: Ends, scalars: bool) -> None:
        self.forms, self.card, self.ends, self.scalars = forms, card, ends, scalars
        self.output, self.precision = forms.found.output, forms.precision
        self.met: set[str] = set()  # the ids of the tensors in the formulas

    def write(self, term: Term) -> Formula:
        self.met |= ids_in(term)
        return Formula(*[notation.write(term) for notation in self.forms.notations])

    @property
    def left(self) -> Formula:
        return self.write(self.forms.partial(self.output, self.card))

    def numeric(self, array: ArrayLike) -> Formula:
        values = np.asarray(array).tolist()
        return Formula(*[format_nested(values, self.precision, latex) for latex in (False, True)])

    def result(self, before: list[Formula]) -> Equation:
        gradient = np.asarray(self.card.gradient)
        return Equation(self.left, [*before, self.numeric(gradient.item() if gradient.size == 1 else gradient)])

    def chain(self, paths: list[list[ChainStep]], count: int) -> list[Block]:
        """Every path and, where there are several, their sum."""
        if count == 1:
            return [Block("", [Equation(self.left, self.path(paths[0]))])]
        blocks = [Block(f"{self.left.text} is the sum over {format_paths(count)} paths.")]
        labels = [Formula(f"path {i}", rf"\text{{path {i}}}") for i in range(1, len(paths) + 1)]
        for i, path in enumerate(paths):
            stations = leave_out_middle([self.output.name, *[step.source.name for step in path]], "⋯")
            blocks.append(Block(f"Path {i + 1}: {' ← '.join(stations)}", [Equation(labels[i], self.path(path))]))
        parts = [bracket_minus(self.numeric(multiply_along(path)), i) for i, path in enumerate(paths)]
        if count > len(paths):
            blocks.append(Block(f"{format_paths(count - len(paths))} more paths are not shown."))
            labels.append(DOTS)
            parts.append(DOTS)
        sums = [join_formulas(terms, PLUS) for terms in (labels, parts)]
        return [*blocks, Block("", [self.result(sums)])]

    def path(self, path: list[ChainStep]) -> list[Formula]:
        """A path in symbols, formulas and numbers, and its product; a line like the one before is left out."""
        places = leave_out_middle([*range(len(path))], -1)
        lines = [self.left]
        for write in (self.symbol, self.formula, self.factor):  # with the brackets that a product needs
            lines.append(join_formulas([write(path[i], i, len(path)) if i >= 0 else DOTS for i in places], DOT))
        single = near_one(path[0].value, self.precision) if len(path) == 1 else None
        lines.append(single or self.numeric(multiply_along(path)))
        return [line for before, line in pairwise(lines) if line != before]

    def symbol(self, step: ChainStep, i: int, n: int) -> Formula:
        return self.write(self.forms.partial(step.target, step.source))

    def factor(self, step: ChainStep, i: int, n: int) -> Formula:
        return bracket_minus(near_one(step.value, self.precision) or self.numeric(step.value), i)

    def formula(self, step: ChainStep, i: int, n: int) -> Formula:
        term = step_formula(step, self.forms, self.ends)
        if term.kind == "number" and step.value.size == 1:
            return self.factor(step, i, n)  # it may only round to 1
        self.met |= ids_in(term)
        (text, precedence), (latex, _) = [notation.text(term) for notation in self.forms.notations]
        negative = term.kind in ("product", "number") and text[0] == MINUS
        if n > 1 and (precedence == PHRASE or term.kind == "@" or (precedence == SUM and (i or not negative))):
            return Formula(f"({text})", rf"\left({latex}\right)")
        return Formula(f"({text})" if n > 1 and term.kind == "product" and term.parts[2] else text, latex)

    def derivation(self) -> list[Block]:
        """The gradients of all cards on the way, from the output on, each from those before it."""
        derived, sentences = self.forms.derived, []
        cards = [card for card in [*reversed(self.ends)][1:] if card is self.card or card not in derived]
        hidden = max(len(cards) - MOST_LINES, 0)
        shown = [*cards[: MOST_LINES - LAST_LINES], *cards[MOST_LINES - LAST_LINES + hidden :]]
        if self.output not in derived:
            sentences.append(self.beginning(shown[0].name))
        derived |= {self.output, *cards}
        hooked = [f"∂{card.name}" for card in [self.output, *cards] if card.before_hooks is not None]
        if hooked:
            sentences.append(f"Hooks change {', '.join(hooked)} before it is passed on.")
        equations = [self.gradient(card) for card in shown]
        if hidden:
            more = Formula(f"{hidden} more", rf"\text{{{hidden} more}}")
            equations.insert(MOST_LINES - LAST_LINES, Equation(DOTS, [more]))
        return [Block(" ".join(sentences), equations)]

    def beginning(self, first: str) -> str:
        """What the symbols of a derivation mean, and what the backward pass begins with."""
        out, seed = self.output.name, self.forms.found.seed
        assert seed is not None
        start = format_array(seed, self.precision)
        if (seed == 1).all():
            start = "1 everywhere" if seed.size > 1 else "1"
        return f"∂{first} is short for ∂{out}/∂{first}, and so on. It begins with ∂{out} = {start}."

    def where(self) -> list[Block]:
        """What the unnamed tensors in the formulas were made of; of single numbers also what these were made of."""
        equations: list[Equation] = []
        met = set(self.met)
        unnamed = [x for x in self.forms.found.cards if x.op is not None and not x.named and x is not self.output]
        for card in reversed(unnamed):  # operands come after what they make
            wanted = card.id in met or (self.scalars and card.id in self.met and len(equations) < MOST_LINES)
            if wanted and card not in self.forms.defined:
                self.forms.defined.add(card)
                equations.append(Equation(self.write(as_term(card_term(card))), [self.write(self.definition(card))]))
        return [Block("where", equations)] if equations else []

    def definition(self, card: Card) -> Term:
        assert card.op is not None
        operands = [self.forms.terms[x] if self.scalars else card_term(x) for x in card.operands]
        term = forward_term(card.op, operands, card.params, card.value)
        if term.kind == "expand":
            return Term("index", term.parts, card.value)  # said even where NumPy does it by itself
        base = term.parts[0] if term.kind == "broadcast" else term
        other = any(isinstance(x, Term) and x.key == base.key and x.shape != card.shape for x in operands)
        return Term("reshape", (base, card.shape), card.value) if other and card.value.size != 1 else term

    def gradient(self, card: Card) -> Equation:
        """The gradient of one card as the sum of what its consumers hand back, with its numbers or its shape."""
        wires: list[Wire | None] = [*card.contributions()]  # all of them lead to the output
        right = self.write(reduce(add, map(self.contribution, leave_out_middle(wires, None))))
        left = self.write(Term("partial", (card_term(self.output), card_term(card)), 0))
        if card.value.size <= SMALL:
            return Equation(left, [right, self.numeric(np.asarray(card.gradient))])
        size = r" \times ".join(map(str, card.shape))
        return Equation(left, [Formula(f"{right.text}   {format_shape(card.shape)}", rf"{right.latex} \quad [{size}]")])

    def contribution(self, wire: Wire | None) -> Term:
        """What the rule of an op hands back to one operand, as a formula; dots for wires left out."""
        if wire is None:
            return Term("name", ("⋯", "dots"), 0.0)
        target, operands = wire.target, [card_term(x) for x in wire.target.operands]
        assert target.op is not None
        g = Term("name", (f"∂{target.name}", "g"), random_gradient(target.value))
        return vjp_term(target.op, wire.position, g, as_term(card_term(target)), operands, target.params)


def multiply_along(path: list[ChainStep]) -> ndarray:
    return math.prod([step.value for step in path], start=np.ones(()))


def near_one(value: ndarray, precision: int) -> Formula | None:
    """A factor that is not 1 but rounds to it, with enough digits to tell, "1.0006", or as "1.00"; else None."""
    if value.size != 1 or abs(value) == 1 or format_number(abs(value), precision) != "1":
        return None
    digits = 1 + math.ceil(-math.log10(abs(abs(value.item()) - 1)))
    text = format_number(value, digits) if digits <= precision + 3 else f"{value.item():.{max(precision - 1, 1)}f}"
    return Formula(text.replace("-", MINUS), text.replace(MINUS, "-"))


def join_formulas(parts: list[Formula], sign: Formula) -> Formula:
    return Formula(sign.text.join([part.text for part in parts]), sign.latex.join([part.latex for part in parts]))


def bracket_minus(part: Formula, i: int) -> Formula:
    """A formula in brackets if it begins with a minus and is not the first."""
    if i and part.text.startswith(MINUS):
        return Formula(f"({part.text})", rf"\left({part.latex}\right)")
    return part


def leave_out_middle(parts: list[T], dots: T) -> list[T]:
    return parts if len(parts) <= MOST_FACTORS else [*parts[: MOST_FACTORS // 2], dots, *parts[-(MOST_FACTORS // 3) :]]


def format_paths(n: int) -> str:
    return f"{n:,}" if n < 10**15 else f"about 10^{int(math.log10(n))}"


def explain(output: Tensor, *inputs: Tensor, precision: int = 3) -> Explanation:
    """The derivative of an output with respect to tensors of its graph, worked out as in a textbook.

    Args:
        output: A Tensor. Of one with several elements the sum is differentiated or, after `backward(gradient)`, the sum
            weighted with that gradient.
        *inputs: Leaves or intermediates; all named leaves (if there are none, all leaves) if left out.
        precision: Significant digits.

    Returns:
        An Explanation: print it, show it in a notebook, or take `.markdown()` or `.latex()`.

    Raises:
        TypeError: An input is not a Tensor.
        ValueError: The precision is not an integer from 1 to 17.
        RuntimeError: A leaf was updated after it was used; explain before optimizer.step().
    """
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"explain: {x!r:.60} is not a Tensor; pass tensors of the graph, as in loss.explain(w)")
    precision = check_int("explain: precision", precision, 1, 17)
    found, variables = record(output), caller_variables()
    name_cards(found, variables=variables)
    if not found.output.named:
        found.output.name = "output" if any(card.name == "L" for card in found.cards) else "L"
    for card in found.cards:
        card.name = printable(card.name)
    cards = {id(card.tensor): card for card in found.cards if card.tensor is not None}
    if not inputs:
        leaves = [card.tensor for card in found.cards if card.op is None and card.needs_gradient]
        named = [x for x in leaves if x is not None and cards[id(x)].named]
        inputs = tuple(named or [x for x in leaves if x is not None])
    forms, solutions = Expressions(found, precision), []
    for x in inputs:
        if id(x) in cards and cards[id(x)].gradient is not None:
            with np.errstate(all="ignore"):  # what is not finite is printed
                solutions.append(solve(forms, cards[id(x)]))
        else:
            name = cards[id(x)].name if id(x) in cards else printable(x.name or variables.get(id(x), "the tensor"))
            solutions.append(explain_independence(found, x, name))
    return Explanation(solutions)


def explain_independence(found: Record, x: Tensor, name: str) -> Solution:
    out = found.output.name
    if not found.output.needs_gradient:
        why = f"Nothing that {out} was made of needs a gradient."
    elif not x.requires_grad:
        why = f"{name} needs no gradient: it is a constant."
    else:
        why = f"{out} does not depend on {name}: no path leads from one to the other, so the gradient is 0."
    return Solution(name, np.zeros(x.shape), [], 0, [Block(why)])


def blockers(relevant: list[Card]) -> list[Block]:
    """Why nothing flows back through ops that are constant between their jumps."""
    ops = {card.op.name for card in relevant[1:] if card.op is not None and role(card.op) == BLOCKS}
    why = "is constant between its jumps, so its derivative is 0."
    return [Block(f"{name} {why}") for name in sorted(ops)]


def solve(forms: Expressions, card: Card) -> Solution:
    output, value, relevant = forms.found.output, np.array(card.gradient), cards_between(card)
    scalars = all(other.value.size == 1 for other in relevant[1:]) and value.size <= SMALL
    ends = {x: x is card or not scalars or not is_rewritten(x, forms.terms[x]) for x in relevant}
    writer = Writer(forms, card, ends, scalars)
    if card is output:
        why = "" if card.before_hooks is None else "A hook changes the gradient:"
        return Solution(card.name, value, [(card.name,)], 1, [Block(why, [writer.result([])])])
    steps = steps_between(ends, scalars)
    counts = count_paths(steps, card)
    count = counts[output]
    paths = [find_path(steps, counts, output, card, i) for i in range(min(count, WRITTEN_OUT))]
    blocks = writer.chain(paths, count) if scalars else writer.derivation()
    if scalars and not np.allclose(total_derivative(relevant), value, rtol=1e-3, atol=1e-6, equal_nan=True):
        blocks.append(Block("A hook changes the gradient on the way; with it:", [writer.result([])]))
    blocks += blockers(relevant)
    blocks += writer.where()
    names = [(output.name, *[step.source.name for step in path]) for path in paths]
    return Solution(card.name, value, names, count, blocks)
