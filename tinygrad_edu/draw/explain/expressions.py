"""How the tensors of a graph stand in worked solutions: by name, or as the expression that made them.

The hard idea is where to stop putting expressions into each other:

    for _ in range(3):
        h = (h * w).tanh()      # tanh(tanh(tanh(h·w)·w)·w), and the derivative is longer still

A function within a function, a tensor that several ops use, and what would be long keep their names; the chain rule
makes a step there.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.draw.algebra.arithmetic import multiply
from tinygrad_edu.draw.algebra.formulas import forward_term, trace_rule
from tinygrad_edu.draw.algebra.notation import Notation
from tinygrad_edu.draw.algebra.terms import Term, as_shape, as_term, literal
from tinygrad_edu.draw.record import Card, Record, Wire, slope

LONGEST = 40  # characters of an expression, and ops in it
MEASURE = Notation(latex=False, tight=True)
ELEMENTWISE = {"add", "subtract", "multiply", "divide"}
SIGNS = ELEMENTWISE | {"matmul", "negative", "power", "getitem"}  # what is no function like tanh(x)


class Expressions:
    """Terms for the tensors of a graph.

    Attributes:
        found: The graph, its cards named.
        precision: Significant digits of constants.
        notations: For formulas in Unicode and in LaTeX.
        derived, defined: The cards whose gradients, and definitions, have been written.
    """

    def __init__(self, found: Record, precision: int) -> None:
        self.found, self.precision = found, precision
        self.derived, self.defined = set[Card](), set[Card]()
        self.notations = [Notation(latex, precision, tight=True) for latex in (False, True)]

    @cached_property
    def terms(self) -> dict[Card, Any]:
        """What stands for each card in a formula: a name, an expression or a number."""
        inner, ops, terms = within_functions(self.found), dict[Card, int](), dict[Card, Any]()
        for card in self.found.cards:
            terms[card] = card_term(card)
            sources = [wire.source for wire in card.wires]
            ops[card] = 1 + sum([ops[x] for x in sources if rewritten(x, terms[x])])
            if card.op is None or card.named or len({wire.target for wire in card.uses}) != 1 or ops[card] > LONGEST:
                continue
            term = forward_term(card.op, [terms[x] for x in sources], card.params, card.value)
            if card.op.name in SIGNS or card not in inner or term.kind == "name":
                terms[card] = term if len(MEASURE.write(term)) <= LONGEST else terms[card]
        return terms

    def partial(self, above: Card, below: Card) -> Term:
        """∂ above / ∂ below as a symbol."""
        return Term("partial", (as_term(self.terms[above]), as_term(self.terms[below])), np.ones(below.shape))

    def pulled(self, upstream: Term, wire: Wire) -> Term:
        """What the op's rule makes of an upstream derivative, a single number; if need be, with the symbol ∂a/∂b."""
        target, source = wire.target, wire.source
        assert target.op is not None
        operands = [self.terms[other.source] for other in target.wires]
        try:
            g, out = as_shape(upstream, target.shape), self.terms[target]
            term = trace_rule(target.op, wire.position, g, out, operands, target.params, local=True)
        except Exception:  # whatever a user's rule may raise
            symbol = self.partial(target, source)
            term = multiply(as_shape(upstream, ()), Term("partial", symbol.parts, slope(wire)))
        return as_shape(term, ()) if term.size == 1 else term


def card_term(card: Card) -> Any:
    """A card by its name; a constant that has none, and is a single number or ones beside others, as that number."""
    if card.op is None and not card.needs_gradient and not card.named and card.value.size:
        ops = {wire.target.op.name for wire in card.uses if wire.target.op}
        if (card.tensor is None and card.value.size == 1) or (ops <= ELEMENTWISE and (card.value == 1).all()):
            python = type(card.constant) in (int, float)
            return card.constant if python else literal(card.value.flat[0].item(), card.shape)
    return Term("name", (card.name, card.id), card.value)


def rewritten(card: Card, term: Any) -> bool:
    """Whether the term is no constant, nor the card's own name: an expression, or what x * 1 is, the name of x."""
    return isinstance(term, Term) and (term.kind != "name" or term.parts[1] != card.id)


def within_functions(found: Record) -> set[Card]:
    """The cards that would stand within the brackets of a function, if what lies between had no name."""
    inner: set[Card] = set()
    for card in reversed(found.cards):
        for x in [wire.target for wire in card.uses]:
            if (x.op is not None and x.op.name not in SIGNS) or (x in inner and not x.named):
                inner.add(card)
    return inner


def names_in(term: Term) -> set[Any]:
    """The ids of the tensors that a formula speaks of."""
    if term.kind == "name":
        return {term.parts[1]}
    inner = [y for x in term.parts for y in (x if isinstance(x, list) else [x]) if isinstance(y, Term)]
    return set[Any]().union(*map(names_in, inner))
