"""How the tensors of a graph are written in worked solutions: by name, or as the expression that made them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.formulas import local_formula, symbol, vjp_formula
from tinygrad_edu.draw.numbers import MINUS, number
from tinygrad_edu.draw.record import Card, Record, Wire
from tinygrad_edu.draw.sums import FIRST_ATOM, NUMBER, Sum, in_latex, name_in_latex, parse, tidy, with_names, without

LONGEST = 40  # characters of an expression
SUM, PRODUCT, SINGLE = range(3)  # how strongly an expression holds together

INFIX = {"add": (" + ", SUM), "subtract": (f" {MINUS} ", SUM), "multiply": ("·", PRODUCT), "divide": (" / ", PRODUCT)}
INFIX["matmul"] = (" @ ", PRODUCT)
PREFIX = {"sigmoid": "σ", "relu": "ReLU", "sum": "Σ", "maximum": "max", "minimum": "min"}


class Expressions:
    """Atoms (see sums) for tensors, and what they stand for in text and LaTeX.

    Attributes:
        found: The graph, its cards named.
        stations: The cards that are called by name: those that have one of their own, the output, the leaves, those
            that several ops use, functions within functions, and those whose expression would be longer than `longest`.
        texts: Atom -> name.
        latex: Atom -> name in LaTeX.
    """

    def __init__(self, found: Record, longest: int = LONGEST) -> None:
        self.found, self.longest = found, longest
        self.texts: dict[str, str] = {}
        self.latex: dict[str, str] = {}
        self.stations: set[Card] = set()
        self.atoms: dict[tuple[Card, str], str] = {}
        self.locals: dict[Wire, Sum] = {}
        self.expressions: dict[Card, tuple[str, int]] = {}
        self.inner = within_functions(found)
        for card in found.cards:
            self.expressions[card] = self.expression(card)

    def atom(self, card: Card, prefix: str = "", latex: str = "") -> str:
        """The atom for a card's name, or for that name with something in front, such as ∂."""
        if (card, prefix) not in self.atoms:
            self.atoms[card, prefix] = self.new_atom(prefix + card.name, latex + name_in_latex(card.name))
        return self.atoms[card, prefix]

    def new_atom(self, text: str, latex: str) -> str:
        """An atom that stands for any text."""
        atom = chr(FIRST_ATOM + len(self.texts))
        self.texts[atom], self.latex[atom] = text, latex
        return atom

    def expression(self, card: Card) -> tuple[str, int]:
        """What stands for a card in a formula, and how strongly it holds together."""
        if card.op is not None and not card.named and len({wire.target for wire in card.uses}) == 1:
            text, strength = self.written(card)
            if len(text) <= self.longest and not (is_function(card) and card in self.inner):
                return tidy(text), strength
        if card.tensor is None and card.value.size == 1 and not card.named:
            text = number(card.value, 6)
            if NUMBER.fullmatch(text.lstrip(MINUS)):
                return text, SUM if text.startswith(MINUS) else SINGLE
            return self.new_atom(text, number(card.value, 6, latex=True)), SINGLE
        if card.tensor is not None:
            self.stations.add(card)
        return self.atom(card), SINGLE

    def operand(self, card: Card, strength: int = SINGLE) -> str:
        """A card's expression, in brackets if it holds together less strongly than asked for."""
        text, own = self.expressions[card]
        return text if own >= strength else f"({text})"

    def written(self, card: Card) -> tuple[str, int]:
        """The op that made a card, written out with its operands."""
        assert card.op is not None
        name, operands = card.op.name, [wire.source for wire in card.wires]
        if name in INFIX:
            sign, strength = INFIX[name]
            if name == "multiply" and all(x.value.size > 1 for x in operands):
                sign = " ⊙ "
            right = strength + (name in ("subtract", "divide"))
            return self.operand(operands[0], strength) + sign + self.operand(operands[1], right), strength
        if name == "negative":
            return f"{MINUS}{self.operand(operands[0], PRODUCT)}", SUM
        if name == "power":
            exponent = self.operand(operands[1])
            return self.operand(operands[0]) + {"2": "²", "3": "³"}.get(exponent, f"^{exponent}"), PRODUCT
        if name == "exp":
            return f"e^{self.operand(operands[0])}", PRODUCT
        if name == "sqrt":
            return f"√{self.operand(operands[0])}", PRODUCT
        if name == "abs":
            return f"|{self.operand(operands[0], SUM)}|", SINGLE
        if name == "getitem":
            return f"{self.operand(operands[0])}{symbol(card.op, card.params)}", SINGLE
        return f"{PREFIX.get(name, name)}({', '.join([self.operand(x, SUM) for x in operands])})", SINGLE

    def names_for(self, card: Card, g: str) -> dict[str, str]:
        """What formulas.py calls the upstream gradient, the output and the operands of the card's op."""
        assert card.op is not None
        names = {card.op.argument(i): self.operand(wire.source) for i, wire in enumerate(card.wires)}
        return names | {"g": g, "out": self.operand(card)}

    def local(self, wire: Wire) -> Sum:
        """∂ target / ∂ source as a formula: the target is a single number, the source one or a small array."""
        if wire not in self.locals:
            self.locals[wire] = self.derived(wire)
        return self.locals[wire]

    def derived(self, wire: Wire) -> Sum:
        """The same from the op's rule; where that cannot be written as a formula, the symbol ∂a/∂b."""
        op, target = wire.target.op, wire.target
        assert op is not None
        g = self.atom(target, "∂")
        given = (op, wire.position, self.names_for(target, g), values(target), target.value[()], target.params)
        if wire.source.value.size == 1:
            text = local_formula(*given)
            found: Sum | None = parse(tidy(text)) if text else None
        else:
            found = without(parse(tidy(vjp_formula(*given))), g)
        if found is not None:
            return found
        return {((self.new_atom(*self.partial(target, wire.source)),), ()): Fraction(1)}

    def partial(self, above: Card, below: Card) -> tuple[str, str]:
        """∂a/∂b in text and LaTeX."""
        a, b = self.operand(above), self.operand(below)
        text = f"∂{with_names(a, self.texts)}/∂{with_names(b, self.texts)}"
        a, b = with_names(in_latex(a), self.latex), with_names(in_latex(b), self.latex)
        return text, rf"\frac{{\partial {a}}}{{\partial {b}}}"


def is_function(card: Card) -> bool:
    """Whether an op is written as a function of its operands, like tanh(x), and not with a sign between them."""
    return card.op is not None and card.op.name not in {*INFIX, "negative", "power", "getitem"}


def within_functions(found: Record) -> set[Card]:
    """The cards that would stand within the brackets of a function, if what lies between had no name."""
    inner: set[Card] = set()
    for card in reversed(found.cards):
        consumers = [wire.target for wire in card.uses]
        if any(is_function(x) or (x in inner and not x.named) for x in consumers):
            inner.add(card)
    return inner


def values(card: Card) -> Sequence[Any]:
    """The operands of the op that made a card, as its rules get them."""
    return [wire.source.constant if wire.source.tensor is None else wire.source.value[()] for wire in card.wires]


def array_in_latex(array: ndarray, precision: int) -> str:
    """A small array in brackets."""
    if array.ndim == 0:
        return number(array, precision, latex=True)
    return f"[{', '.join([array_in_latex(np.asarray(part), precision) for part in array])}]"
