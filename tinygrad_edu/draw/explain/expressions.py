"""How the tensors of a graph stand in worked solutions: by name, or as the expression that made them.

Expressions within expressions become unreadable soon:

    for _ in range(3):
        h = (h * w).tanh()      # tanh(tanh(tanh(h·w)·w)·w), and the derivative is longer still

So a function within a function, a tensor that several ops use, and whatever would be long keep their names; the chain
rule makes a step there.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tinygrad_edu.draw.algebra.arithmetic import multiply
from tinygrad_edu.draw.algebra.formulas import forward_term, trace_rule
from tinygrad_edu.draw.algebra.notation import Notation
from tinygrad_edu.draw.algebra.terms import Term, TermLike, as_shape, as_term, literal
from tinygrad_edu.draw.record import Card, Record, Wire, slope

__all__ = ["Expressions", "card_term", "ids_in", "is_rewritten"]

LONGEST = 40  # characters of an expression, and ops in it
MEASURE = Notation(latex=False, tight=True)
ELEMENTWISE = {"add", "subtract", "multiply", "divide"}
SIGNS = ELEMENTWISE | {"matmul", "negative", "power", "getitem"}  # written with signs, not as a function: tanh(x)


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
    def terms(self) -> dict[Card, TermLike]:
        """What stands for each card in a formula: a name, an expression or a number."""
        inner, ops, terms = within_functions(self.found), dict[Card, int](), dict[Card, TermLike]()
        for card in self.found.cards:
            terms[card] = card_term(card)
            sources = [wire.source for wire in card.wires]
            ops[card] = 1 + sum([ops[x] for x in sources if is_rewritten(x, terms[x])])
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
            g, out = as_shape(upstream, target.shape), as_term(self.terms[target])
            term = trace_rule(target.op, wire.position, g, out, operands, target.params, local=True)
        except Exception:  # whatever a user's rule may raise
            symbol = self.partial(target, source)
            term = multiply(as_shape(upstream, ()), Term("partial", symbol.parts, slope(wire)))
        return as_shape(term, ()) if term.size == 1 else term


def card_term(card: Card) -> TermLike:
    """A card by its name. A constant without a name that is a single number, or all ones, is that number."""
    if card.op is None and not card.needs_gradient and not card.named and card.value.size:
        ops = {wire.target.op.name for wire in card.uses if wire.target.op}
        if (card.tensor is None and card.value.size == 1) or (ops <= ELEMENTWISE and (card.value == 1).all()):
            python = type(card.constant) in (int, float)
            return card.value.item() if python else literal(card.value.flat[0].item(), card.shape)
    return Term("name", (card.name, card.id), card.value)


def is_rewritten(card: Card, term: TermLike) -> bool:
    """Whether the term is an expression or another card's name, as x * 1 is x: not its own name, not a constant."""
    return isinstance(term, Term) and (term.kind != "name" or term.parts[1] != card.id)


def within_functions(found: Record) -> set[Card]:
    """The cards that would stand within the brackets of a function, if what lies between had no name."""
    inner: set[Card] = set()
    for card in reversed(found.cards):
        for x in [wire.target for wire in card.uses]:
            if (x.op is not None and x.op.name not in SIGNS) or (x in inner and not x.named):
                inner.add(card)
    return inner


def ids_in(term: Term) -> set[str]:
    """The ids of the tensors that a formula speaks of."""
    if term.kind == "name":
        return {term.parts[1]}
    found = set[str]()
    for part in term.parts:
        for inner in part if isinstance(part, list) else [part]:
            found |= ids_in(inner) if isinstance(inner, Term) else set()
    return found
