"""How the tensors of a graph stand in worked solutions, by name or as the expression that made them, and the steps
from one to the next that the chain rule makes.

Expressions within expressions become unreadable soon. So a function within a function, a tensor that several ops use,
and whatever would be long keep their names; the chain rule makes a step there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from heapq import heappop, heappush
from typing import NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.arithmetic import add, multiply
from tinygrad_edu.draw.algebra.formulas import forward_term, trace_rule
from tinygrad_edu.draw.algebra.terms import Notation, Term, TermLike, as_shape, as_term, literal
from tinygrad_edu.draw.record import Card, Record, Wire, slope

__all__ = [
    "ChainStep", "Ends", "Expressions", "card_term", "cards_between", "count_paths", "find_path", "ids_in",
    "is_rewritten", "step_formula", "steps_between", "total_derivative",
]  # fmt: skip

T = TypeVar("T")
Ends = dict[Card, bool]  # the cards between output and input, in forward order, and whether a step ends there
Steps = dict[Card, list["ChainStep"]]  # from each tensor to those that it is made of
LONGEST_EXPRESSION = 40  # characters of an expression, and ops in it
MEASURE = Notation(latex=False, tight=True)
ELEMENTWISE = {"add", "subtract", "multiply", "divide"}
WRITTEN_WITH_SIGNS = ELEMENTWISE | {"matmul", "negative", "power", "getitem"}  # not as a function: tanh(x)


class Expressions:
    """Terms for the tensors of a graph, its cards named."""

    def __init__(self, found: Record, precision: int) -> None:
        self.found, self.precision = found, precision
        self.derived, self.defined = set[Card](), set[Card]()  # whose gradients, and definitions, have been written
        self.notations = [Notation(latex, precision, tight=True) for latex in (False, True)]

    @cached_property
    def terms(self) -> dict[Card, TermLike]:
        """What stands for each card in a formula: a name, an expression or a number."""
        inner, ops, terms = within_functions(self.found), dict[Card, int](), dict[Card, TermLike]()
        for card in self.found.cards:
            terms[card] = card_term(card)
            sources = card.operands
            ops[card] = 1 + sum([ops[x] for x in sources if is_rewritten(x, terms[x])])
            users = {wire.target for wire in card.uses}
            if card.op is None or card.named or len(users) != 1 or ops[card] > LONGEST_EXPRESSION:
                continue
            term = forward_term(card.op, [terms[x] for x in sources], card.params, card.value)
            if card.op.name in WRITTEN_WITH_SIGNS or card not in inner or term.kind == "name":
                terms[card] = term if len(MEASURE.write(term)) <= LONGEST_EXPRESSION else terms[card]
        return terms

    def partial(self, above: Card, below: Card) -> Term:
        return Term("partial", (as_term(self.terms[above]), as_term(self.terms[below])), np.ones(below.shape))

    def pulled(self, upstream: Term, wire: Wire) -> Term:
        """What the op's rule makes of an upstream derivative, a single number; if need be, with the symbol ∂a/∂b."""
        target, source = wire.target, wire.source
        assert target.op is not None
        operands = [self.terms[x] for x in target.operands]
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
            if (x.op is not None and x.op.name not in WRITTEN_WITH_SIGNS) or (x in inner and not x.named):
                inner.add(card)
    return inner


def ids_in(term: Term) -> set[str]:
    if term.kind == "name":
        return {term.parts[1]}
    found = set[str]()
    for part in term.parts:
        for inner in part if isinstance(part, list) else [part]:
            found |= ids_in(inner) if isinstance(inner, Term) else set()
    return found


class ChainStep(NamedTuple):
    """∂ target / ∂ source, other named tensors held still."""

    target: Card  # nearer to the output
    source: Card  # nearer to the input
    value: ndarray  # a single number, or of the source's shape; between arrays only the number of wires


def forward_order(card: Card) -> int:
    return int(card.id[1:])


def cards_between(card: Card) -> list[Card]:
    """The cards through which gradients flow from the output to a card, both included, in forward order."""
    above, waiting = {card}, [card]
    while waiting:
        for wire in waiting.pop().contributions():
            if wire.target not in above:
                above.add(wire.target)
                waiting.append(wire.target)
    return sorted(above, key=forward_order)


def steps_between(ends: Ends, scalars: bool) -> Steps:
    """The steps between cards where one ends; `scalars`: all cards but the first are single numbers."""
    steps: Steps = {}
    for target in list(ends)[1:]:
        if ends[target]:
            through = pass_slope if scalars else lambda upstream, wire: upstream
            found = apply_chain_rule(target, ends, np.ones(()), through, np.add)
            sources = sorted(found, key=forward_order)
            steps[target] = [ChainStep(target, source, np.asarray(found[source])) for source in sources]
    return steps


def step_formula(step: ChainStep, forms: Expressions, ends: Ends) -> Term:
    """The derivative of a step as a formula; the symbol ∂a/∂b if that does not give the number."""
    term = apply_chain_rule(step.target, ends, literal(1), forms.pulled, add)[step.source]
    right = np.allclose(term.value, step.value.reshape(term.shape), 1e-3, 1e-9, equal_nan=True)
    return term if right else forms.partial(step.target, step.source)


def apply_chain_rule(
    target: Card, ends: Ends, one: T, through: Callable[[T, Wire], T], plus: Callable[[T, T], T]
) -> dict[Card, T]:
    """The derivatives of a card with respect to the next ones where a step ends, as arrays or as Terms.

    `one` is the derivative with respect to itself, `through` takes a derivative along a wire, `plus` adds two.
    """
    totals, found = {target: one}, {}
    heap = [(-forward_order(target), target)]  # newest first, so that each is complete when it is passed
    while heap:
        card = heappop(heap)[1]
        if card is not target and ends[card]:
            found[card] = totals[card]
            continue
        for wire in card.wires:
            if wire.contribution is not None and wire.source in ends:
                part = through(totals[card], wire)
                if wire.source not in totals:
                    heappush(heap, (-forward_order(wire.source), wire.source))
                    totals[wire.source] = part
                else:
                    totals[wire.source] = plus(totals[wire.source], part)
    return found


def pass_slope(upstream: ndarray, wire: Wire) -> ndarray:
    """The upstream derivative, a single number, times that of the wire."""
    return np.asarray(upstream.item() * (slope(wire) if wire.local is None else np.asarray(wire.local)))


def total_derivative(relevant: list[Card]) -> ndarray:
    """The sum over all paths from the last card to the first."""
    ends = {card: card is relevant[0] for card in relevant}
    return apply_chain_rule(relevant[-1], ends, np.ones(()), pass_slope, np.add)[relevant[0]]


def count_paths(steps: Steps, card: Card) -> dict[Card, int]:
    """How many paths lead from each tensor to a card."""
    counts = {card: 1}
    for target, found in steps.items():
        counts[target] = sum([counts[step.source] for step in found])
    return counts


def find_path(steps: Steps, counts: dict[Card, int], output: Card, card: Card, number: int) -> list[ChainStep]:
    """A path by its number from 0: those over the first step come before those over the next."""
    path: list[ChainStep] = []
    target = output
    while target is not card:
        for step in steps[target]:
            if number < counts[step.source]:
                break
            number -= counts[step.source]
        path.append(step)
        target = step.source
    return path
