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
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.draw.algebra.arithmetic import add
from tinygrad_edu.draw.algebra.formulas import forward_term, random_gradient, vjp_term
from tinygrad_edu.draw.algebra.notation import PHRASE, SUM
from tinygrad_edu.draw.algebra.terms import Term, as_term
from tinygrad_edu.draw.explain.chain import (
    Ends,
    Step,
    between,
    count_paths,
    derivative,
    first_paths,
    formula_of,
    steps_between,
)
from tinygrad_edu.draw.explain.expressions import Expressions, card_term, names_in, rewritten
from tinygrad_edu.draw.explain.solution import Block, Both, Equation, Explanation, Solution
from tinygrad_edu.draw.names import caller_variables, name_cards
from tinygrad_edu.draw.numbers import MINUS, SMALL, format_array, format_nested, format_number, format_shape
from tinygrad_edu.draw.record import Card, Record, Wire, record
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
        ValueError: The precision is no integer from 1 to 17.
        RuntimeError: A leaf was updated after it was used; explain before optimizer.step().
    """
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"explain: {x!r:.60} is no Tensor; pass tensors of the graph, as in loss.explain(w)")
    if isinstance(precision, bool) or not isinstance(precision, (int, np.integer)) or not 1 <= precision <= 17:
        raise ValueError(f"explain: precision is {precision!r}; it has to be an integer from 1 to 17")
    variables = caller_variables()
    with np.errstate(all="ignore"):  # what is not finite is printed
        return explained(record(output), inputs, int(precision), variables)


def explained(found: Record, inputs: tuple[Tensor, ...], precision: int, variables: dict[int, str]) -> Explanation:
    """The worked solutions of a recorded graph; what one has derived and defined, those after it do not repeat."""
    name_cards(found, variables=variables)
    if not found.output.named:
        found.output.name = "output" if any(card.name == "L" for card in found.cards) else "L"
    cards = {id(card.tensor): card for card in found.cards if card.tensor is not None}
    if not inputs:
        leaves = [card.tensor for card in found.cards if card.op is None and card.needs_gradient]
        named = [x for x in leaves if x is not None and cards[id(x)].named]
        inputs = tuple(named or [x for x in leaves if x is not None])
    notes, solutions = Expressions(found, precision), []
    for x in inputs:
        if id(x) in cards and cards[id(x)].gradient is not None:
            solutions.append(solved(notes, cards[id(x)]))
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


def solved(notes: Expressions, card: Card) -> Solution:
    """The solution for a card to which a gradient flows."""
    output, value, relevant = notes.found.output, np.array(card.gradient), between(card)
    scalars = all(other.value.size == 1 for other in relevant[1:]) and value.size <= SMALL
    ends = {x: x is card or not scalars or not rewritten(x, notes.terms[x]) for x in relevant}
    writer = Writer(notes, card, ends, scalars)
    if card is output:
        why = "" if card.before_hooks is None else "A hook changes the gradient:"
        return Solution(card.name, value, [(card.name,)], 1, [Block(why, [writer.result([])])])
    steps = steps_between(ends, scalars)
    count, paths = count_paths(steps, output, card), first_paths(steps, output, card, FEW)
    blocks = writer.chain(paths, count) if scalars else writer.derivation()
    if scalars and not np.allclose(derivative(relevant), value, rtol=1e-3, atol=1e-6, equal_nan=True):
        blocks.append(Block("A hook changes the gradient on the way; with it:", [writer.result([])]))
    blocks += writer.where()
    names = [(output.name, *[step.source.name for step in path]) for path in paths]
    return Solution(card.name, value, names, count, blocks)


class Writer:
    """Writes the blocks of one solution."""

    def __init__(self, notes: Expressions, card: Card, ends: Ends, scalars: bool) -> None:
        self.notes, self.card, self.ends, self.scalars = notes, card, ends, scalars
        self.output, self.precision = notes.found.output, notes.precision
        self.met: set[Any] = set()  # the ids of what the formulas speak of

    def both(self, term: Term) -> Both:
        """A formula in Unicode and in LaTeX."""
        self.met |= names_in(term)
        return Both(*[notation.write(term) for notation in self.notes.notations])

    @property
    def left(self) -> Both:
        """What is worked out."""
        return self.both(self.notes.partial(self.output, self.card))

    def numeric(self, array: Any) -> Both:
        """A number or a small array."""
        values = np.asarray(array).tolist()
        return Both(*[format_nested(values, self.precision, latex) for latex in (False, True)])

    def result(self, before: list[Both]) -> Equation:
        """What the gradient is, at last in numbers."""
        gradient = np.asarray(self.card.gradient)
        return Equation(self.left, [*before, self.numeric(gradient.item() if gradient.size == 1 else gradient)])

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
        lines = [
            joined([write(path[i], i, len(path)) if i >= 0 else DOTS for i in places], DOT)
            for write in (self.symbol, self.formula, self.factor)
        ]
        single = near_one(path[0].number, self.precision) if len(path) == 1 else None
        lines = [*lines[len(path) == 1 :], single or self.numeric(along(path))]
        return [line for i, line in enumerate(lines) if line != (lines[i - 1] if i else self.left)]

    def symbol(self, step: Step, i: int, n: int) -> Both:
        """∂ target / ∂ source."""
        return self.both(self.notes.partial(step.target, step.source))

    def factor(self, step: Step, i: int, n: int) -> Both:
        """The number of a step, in brackets where a product needs them."""
        return bracketed(near_one(step.number, self.precision) or self.numeric(step.number), i)

    def formula(self, step: Step, i: int, n: int) -> Both:
        """The formula of a step, in brackets where a product needs them."""
        term = formula_of(step, self.notes, self.ends)
        if term.kind == "number" and step.number.size == 1:
            return self.factor(step, i, n)  # it may only round to 1
        self.met |= names_in(term)
        (text, precedence), (latex, _) = [notation.text(term) for notation in self.notes.notations]
        negative = term.kind in ("product", "number") and text[0] == MINUS
        if n > 1 and (precedence == PHRASE or term.kind == "@" or (precedence == SUM and (i or not negative))):
            return Both(f"({text})", rf"\left({latex}\right)")
        return Both(f"({text})" if n > 1 and term.kind == "product" and term.parts[2] else text, latex)

    def derivation(self) -> list[Block]:
        """The gradients of all cards on the way, those next to the output first, each from the ones before."""
        out, seed = self.output.name, self.notes.found.seed
        assert seed is not None
        start = "1" if (seed == 1).all() else format_array(seed, self.precision)
        everywhere = " everywhere" if start == "1" and seed.size > 1 else ""
        derived, begun = self.notes.derived, self.output in self.notes.derived
        cards = [card for card in [*reversed(self.ends)][1:] if card is self.card or card not in derived]
        derived |= {self.output, *cards}
        hidden = max(len(cards) - LINES, 0)
        shown = [*cards[: LINES - LAST], *cards[LINES - LAST + hidden :]]
        first = shown[0].name
        sentence = f"∂{first} is short for ∂{out}/∂{first}, and so on. It begins with ∂{out} = {start}{everywhere}."
        sentence *= not begun
        hooked = [f"∂{card.name}" for card in [self.output, *cards] if card.before_hooks is not None]
        if hooked:
            sentence += f" Hooks change {', '.join(hooked)} before it is passed on."
        equations = [self.gradient(card) for card in shown]
        if hidden:
            equations.insert(LINES - LAST, Equation(DOTS, [Both(f"{hidden} more", rf"\text{{{hidden} more}}")]))
        return [Block(sentence.strip(), equations)]

    def where(self) -> list[Block]:
        """What the unnamed tensors were made of that the formulas speak of; of single numbers also what these were."""
        equations, met, defined = list[Equation](), {*self.met}, self.notes.defined
        unnamed = [x for x in self.notes.found.cards if x.op is not None and not x.named and x is not self.output]
        for card in reversed(unnamed):  # operands come after what they make
            wanted = card.id in met or (self.scalars and card.id in self.met and len(equations) < LINES)
            if wanted and card not in defined:
                defined.add(card)
                equations.append(Equation(self.both(as_term(card_term(card))), [self.both(self.definition(card))]))
        return [Block("where", equations)] if equations else []

    def definition(self, card: Card) -> Term:
        """What an unnamed card was made of."""
        assert card.op is not None
        operands = [self.notes.terms[x] if self.scalars else card_term(x) for x in [wire.source for wire in card.wires]]
        term = forward_term(card.op, operands, card.params, card.value)
        if term.kind == "expand":
            return Term("index", term.parts, card.value)  # said even where NumPy does it by itself
        base = term.parts[0] if term.kind == "broadcast" else term
        other = any(isinstance(x, Term) and x.key == base.key and x.shape != card.shape for x in operands)
        return Term("reshape", (base, card.shape), card.value) if other and card.value.size != 1 else term

    def gradient(self, card: Card) -> Equation:
        """The gradient of one card as the sum of what its consumers hand back, with its numbers or its shape."""
        wires: list[Wire | None] = [*card.contributions()]  # all of them lead to the output
        right = self.both(reduce(add, map(self.contribution, shortened(wires, None))))
        left = self.both(Term("partial", (card_term(self.output), card_term(card)), 0))
        if card.value.size <= SMALL:
            return Equation(left, [right, self.numeric(card.gradient)])
        size = r" \times ".join(map(str, card.shape))
        return Equation(left, [Both(f"{right.text}   {format_shape(card.shape)}", rf"{right.latex} \quad [{size}]")])

    def contribution(self, wire: Wire | None) -> Term:
        """What the rule of an op hands back to one operand, as a formula; dots for wires left out."""
        if wire is None:
            return Term("name", ("⋯", "dots"), 0.0)
        target, operands = wire.target, [card_term(other.source) for other in wire.target.wires]
        assert target.op is not None
        g = Term("name", (f"∂{target.name}", "g"), random_gradient(target.value))
        return vjp_term(target.op, wire.position, g, card_term(target), operands, target.params)


def along(path: list[Step]) -> Any:
    """The product of the derivatives along a path."""
    return math.prod([step.number for step in path], start=np.ones(()))


def near_one(value: np.ndarray, precision: int) -> Both | None:
    """A factor that is not 1 but rounds to it, with the digits that tell, "1.0006", or as "1.00"; else None."""
    if value.size != 1 or abs(value) == 1 or format_number(abs(value), precision) != "1":
        return None
    digits = 1 + math.ceil(-math.log10(abs(abs(value.item()) - 1)))
    text = format_number(value, digits) if digits <= precision + 3 else f"{value.item():.{max(precision - 1, 1)}f}"
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
