"""Worked solutions: the chain rule from an output to a tensor, in symbols, formulas, numbers, and the result.

    >>> print(loss.explain(w))
    ∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w
          = −2(y − a) · σ(z)(1 − σ(z)) · x
          = −0.538 · 0.197 · 2
          = −0.212

The steps lead from one named tensor to the next; what stands between them without a name becomes part of a formula, as
`y − a` does here. Between single numbers every path is written out. Between arrays a derivative would have more axes
than a page, so there the gradients themselves are derived, one tensor after another, as backward() does it.

The hard idea is the number of paths. Each step of this loop doubles it:

    for _ in range(40):
        a = a * b + a.sin()     # 2 ** 40 paths to the first a

They are counted, and their contributions added, tensor by tensor, and only a few are walked.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.draw.chain import (
    Step,
    between,
    count_paths,
    derivative,
    first_paths,
    formula_of,
    steps_between,
    wires_as_steps,
)
from tinygrad_edu.draw.expressions import Expressions, array_in_latex, values
from tinygrad_edu.draw.formulas import vjp_formula
from tinygrad_edu.draw.names import caller_variables, name_cards
from tinygrad_edu.draw.numbers import MINUS, number, shape_text
from tinygrad_edu.draw.record import Card, Record, Wire, record
from tinygrad_edu.draw.solution import Block, Both, Equation, Explanation, Solution
from tinygrad_edu.draw.sums import in_brackets, in_latex, name_in_latex, tidy, with_names, written
from tinygrad_edu.draw.text import SMALL, array_text, nested
from tinygrad_edu.tensor import Tensor

T = TypeVar("T")
FEW = 8  # paths that are written out
MANY = 9  # factors of a product that are written out
LINES, LAST = 24, 6  # of a derivation over arrays, and how many of these are the last ones
DOTS, DOT, PLUS = Both("⋯", r"\cdots"), Both(" · ", r" \cdot "), Both(" + ", " + ")


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
        TypeError: An input is no Tensor.
        RuntimeError: A leaf was updated after it was used; explain before optimizer.step().
    """
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"explain: {x!r:.60} is no Tensor; pass tensors of the graph, as in loss.explain(w)")
    variables = caller_variables()
    found = record(output)
    name_cards(found, variables=variables)
    if not found.output.named:
        found.output.name = "output" if any(card.name == "L" for card in found.cards) else "L"
    cards = {id(card.tensor): card for card in found.cards if card.tensor is not None}
    if not inputs:
        leaves = [card.tensor for card in found.cards if card.op is None and card.needs_gradient]
        named = [x for x in leaves if x is not None and cards[id(x)].named]
        inputs = tuple(named or [x for x in leaves if x is not None])
    notes = Expressions(found)
    solutions = []
    for x in inputs:
        if id(x) in cards and cards[id(x)].gradient is not None:
            solutions.append(solved(notes, cards[id(x)], precision))
        else:
            name = cards[id(x)].name if id(x) in cards else x.name or variables.get(id(x), "the tensor")
            solutions.append(independent(found, x, name))
    return Explanation(solutions)


def independent(found: Record, x: Tensor, name: str) -> Solution:
    """Why there is no gradient."""
    out = found.output.name
    if not found.output.needs_gradient:
        why = f"Nothing that {out} was made of needs a gradient."
    elif not x.requires_grad:
        why = f"{name} needs no gradient: it is a constant."
    else:
        why = f"{out} does not depend on {name}: no path leads from one to the other, so the gradient is 0."
    return Solution(name, np.zeros(x.shape), [], 0, [Block(why)])


def solved(notes: Expressions, card: Card, precision: int) -> Solution:
    """The solution for a card to which a gradient flows."""
    output, value, relevant = notes.found.output, np.array(card.gradient), between(card)
    writer = Writer(notes, card, relevant, precision)
    if card is output:
        return Solution(card.name, value, [(card.name,)], 1, [Block("", [writer.result([])])])
    scalars = all(other.value.size == 1 for other in relevant[1:]) and value.size <= SMALL
    steps = steps_between(notes, relevant) if scalars else wires_as_steps(relevant)
    count, paths = count_paths(steps, output, card), first_paths(steps, output, card, FEW)
    blocks = writer.chain(paths, count) if scalars else writer.derivation()
    if scalars and not np.allclose(derivative(steps, output, card), value, rtol=1e-3, atol=1e-6, equal_nan=True):
        blocks.append(Block("A hook changes the gradient on the way; with it:", [writer.result([])]))
    names = [(output.name, *[step.source.name for step in path]) for path in paths]
    return Solution(card.name, value, names, count, blocks)


class Writer:
    """Writes the blocks of one solution."""

    def __init__(self, notes: Expressions, card: Card, relevant: list[Card], precision: int) -> None:
        self.notes, self.card, self.relevant, self.precision = notes, card, relevant, precision
        self.output = notes.found.output
        self.left = Both(*notes.partial(self.output, card))

    def numeric(self, array: Any) -> Both:
        """A number or a small array."""
        array = np.asarray(array)
        return Both(nested(array.tolist(), self.precision), array_in_latex(array, self.precision))

    def result(self, before: list[Both]) -> Equation:
        """What the gradient is, at last in numbers."""
        return Equation(self.left, [*before, self.numeric(self.card.gradient)])

    def chain(self, paths: list[list[Step]], count: int) -> list[Block]:
        """Every path, and their sum where there are several."""
        if count == 1:
            return [Block("", [Equation(self.left, self.path(paths[0]))])]
        blocks = [Block(f"{self.left.text} is the sum over {amount(count)} paths.")]
        for i, path in enumerate(paths, 1):
            stations = shortened([self.output.name, *[step.source.name for step in path]], "⋯")
            blocks.append(Block(f"Path {i}: {' ← '.join(stations)}", [Equation(label(i), self.path(path))]))
        rest = [DOTS] * (count > len(paths))
        if rest:
            blocks.append(Block(f"{amount(count - len(paths))} more paths are not shown."))
        labels = [label(i) for i in range(1, len(paths) + 1)]
        parts = [bracketed(self.numeric(along(path)), i) for i, path in enumerate(paths)]
        sums = [joined([*terms, *rest], PLUS) for terms in (labels, parts)]
        return [*blocks, Block("", [self.result(sums)])]

    def path(self, path: list[Step]) -> list[Both]:
        """A path in symbols, formulas, numbers, and its product; a line that repeats the one before is left out."""
        places = shortened([*range(len(path))], -1)
        symbols, formulas, numbers = [
            [write(path[i], i, len(path)) if i >= 0 else DOTS for i in places]
            for write in (self.symbol, self.formula, self.factor)
        ]
        lines = [joined(line, DOT) for line in (symbols, formulas, numbers)]
        lines = [*lines[len(path) == 1 :], self.numeric(along(path))]
        return [line for i, line in enumerate(lines) if not i or line != lines[i - 1]]

    def symbol(self, step: Step, i: int, n: int) -> Both:
        """∂ target / ∂ source."""
        return Both(*self.notes.partial(step.target, step.source))

    def factor(self, step: Step, i: int, n: int) -> Both:
        """The number of a step, in brackets where a product needs them."""
        found = near_one(step.number, self.precision) if step.number is not None else None
        return bracketed(found or self.numeric(step.number), i)

    def formula(self, step: Step, i: int, n: int) -> Both:
        """The formula of a step, in brackets where a product needs them."""
        found = formula_of(step, self.notes, self.relevant)
        text = with_names(written(found), self.notes.texts)
        latex = with_names(written(found, latex=True), self.notes.latex)
        if n == 1 and in_brackets(text):
            return Both(text[1:-1], latex[1:-1])
        if not in_brackets(text) and text.removeprefix(MINUS) == "1":
            return self.factor(step, i, n)  # a constant that only rounds to 1
        ((_, divisors), coefficient), *others = found.items() if found else [(((), ()), 0)]
        if n > 1 and (others or (i and coefficient < 0)):
            return Both(f"({text})", rf"\left({latex}\right)")
        divided = n > 1 and (divisors or coefficient.denominator > 1)
        return Both(f"({text})" if divided and "/" in text else text, latex)

    def derivation(self) -> list[Block]:
        """The gradients of all cards on the way, those next to the output first, each from the ones before."""
        out, seed = self.output.name, self.notes.found.seed
        assert seed is not None
        start = "1" if (seed == 1).all() else array_text(seed, self.precision)
        everywhere = " everywhere" if start == "1" and seed.size > 1 else ""
        cards = [card for card in reversed(self.relevant) if card is not self.output]
        hidden = max(len(cards) - LINES, 0)
        shown = [*cards[: LINES - LAST], *cards[LINES - LAST + hidden :]]
        first = shown[0].name
        sentence = f"∂{first} is short for ∂{out}/∂{first}, and so on. It begins with ∂{out} = {start}{everywhere}."
        equations = [self.gradient(card) for card in shown]
        if hidden:
            equations.insert(LINES - LAST, Equation(DOTS, [Both(f"{hidden} more", rf"\text{{{hidden} more}}")]))
        unnamed = [card for card in shown if not card.named and card.op is not None]
        flat = Expressions(self.notes.found, longest=0)
        where = [Equation(self.named(card), [definition(flat, card)]) for card in unnamed]
        return [Block(sentence, equations), *([Block("where", where)] if where else [])]

    def gradient(self, card: Card) -> Equation:
        """The gradient of one card as the sum of what its consumers hand back, with its numbers or its shape."""
        wires = card.contributions()  # all of them lead to the output
        places = shortened([*range(len(wires))], -1)
        parts = [bracketed(self.contribution(wires[i]), i) if i >= 0 else DOTS for i in places]
        left, right = self.named(self.output, card), joined(parts, PLUS)
        if card.value.size <= SMALL:
            return Equation(left, [right, self.numeric(card.gradient)])
        size = r" \times ".join(map(str, card.shape))
        return Equation(left, [Both(f"{right.text}   {shape_text(card.shape)}", rf"{right.latex} \quad [{size}]")])

    def contribution(self, wire: Wire) -> Both:
        """What the rule of an op hands back to one operand, as a formula."""
        target, op = wire.target, wire.target.op
        assert op is not None
        texts = []
        for latex in (False, True):
            write = name_in_latex if latex else str
            names = {op.argument(i): self.written(other.source, latex) for i, other in enumerate(target.wires)}
            names |= {"g": ("\\partial " if latex else "∂") + write(target.name), "out": write(target.name)}
            given = (op, wire.position, names, values(target), target.value[()], target.params)
            texts.append(vjp_formula(*given, latex=latex))
        return Both(*texts)

    def written(self, card: Card, latex: bool) -> str:
        """A number as it is, anything else by its name."""
        if card.tensor is None and card.value.size == 1 and not card.named:
            return number(card.value, 6, latex=latex)
        return name_in_latex(card.name) if latex else card.name

    def named(self, card: Card, below: Card | None = None) -> Both:
        """A card's name, or ∂a/∂b."""
        name = Both(card.name, name_in_latex(card.name))
        if below is None:
            return name
        return Both(
            f"∂{name.text}/∂{below.name}", rf"\frac{{\partial {name.latex}}}{{\partial {name_in_latex(below.name)}}}"
        )


def definition(flat: Expressions, card: Card) -> Both:
    """What an unnamed card was made of."""
    text = tidy(flat.written(card)[0])
    return Both(with_names(text, flat.texts), with_names(in_latex(text), flat.latex))


def along(path: list[Step]) -> Any:
    """The product of the derivatives along a path."""
    out: Any = 1.0
    with np.errstate(all="ignore"):
        for step in path:
            out = out * (step.number.item() if step.number is not None and step.number.size == 1 else step.number)
    return out if path[-1].source.shape else np.asarray(out)


def near_one(value: np.ndarray, precision: int) -> Both | None:
    """A factor that is not 1 but rounds to it, with the digits that tell, "1.0006", or as "1.00"; else None."""
    if value.size != 1 or abs(value) == 1 or number(abs(value), precision) != "1":
        return None
    digits = 1 + math.ceil(-math.log10(abs(abs(value.item()) - 1)))
    text = number(value, digits) if digits <= precision + 3 else f"{value.item():.{max(precision - 1, 1)}f}"
    return Both(text.replace("-", MINUS), text.replace(MINUS, "-"))


def joined(parts: list[Both], sign: Both) -> Both:
    """Formulas with a sign between them."""
    return Both(sign.text.join([part.text for part in parts]), sign.latex.join([part.latex for part in parts]))


def bracketed(part: Both, i: int) -> Both:
    """A formula in brackets if it begins with a minus and is not the first."""
    if i and part.text.startswith(MINUS):
        return Both(f"({part.text})", rf"\left({part.latex}\right)")
    return part


def label(i: int) -> Both:
    """What a path is called."""
    return Both(f"path {i}", rf"\text{{path {i}}}")


def shortened(parts: list[T], dots: T) -> list[T]:
    """A long list with its middle left out."""
    return parts if len(parts) <= MANY else [*parts[: MANY // 2], dots, *parts[-MANY // 3 :]]


def amount(n: int) -> str:
    """A number of paths, however large."""
    return f"{n:,}" if n < 10**15 else f"about 10^{int(math.log10(n))}"
