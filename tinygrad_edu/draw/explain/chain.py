"""The chain rule as paths: steps from one named tensor to the next, how many paths they make, and the first of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.arithmetic import add
from tinygrad_edu.draw.algebra.terms import Term, literal
from tinygrad_edu.draw.explain.expressions import Expressions
from tinygrad_edu.draw.record import Card, Wire, slope

__all__ = [
    "ChainStep", "Ends", "cards_between", "count_paths", "first_paths", "step_formula", "steps_between",
    "total_derivative",
]  # fmt: skip

T = TypeVar("T")
Ends = dict[Card, bool]  # the cards between output and input, in forward order, and whether a step ends there
Steps = dict[Card, list["ChainStep"]]  # from each tensor to those that it is made of


@dataclass(frozen=True, eq=False)
class ChainStep:
    """∂ target / ∂ source, other named tensors held still.

    Attributes:
        target: The tensor nearer to the output.
        source: The tensor nearer to the input.
        value: The derivative: a single number, or of the source's shape; between arrays only the number of wires.
    """

    target: Card
    source: Card
    value: ndarray


def forward_order(card: Card) -> int:
    """Its place in forward order."""
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


def step_formula(step: ChainStep, notes: Expressions, ends: Ends) -> Term:
    """The derivative of a step as a formula; the symbol ∂a/∂b if that does not give the number."""
    term = apply_chain_rule(step.target, ends, literal(1), notes.pulled, add)[step.source]
    right = np.allclose(term.value, step.value.reshape(term.shape), 1e-3, 1e-9, equal_nan=True)
    return term if right else notes.partial(step.target, step.source)


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


def count_paths(steps: Steps, output: Card, card: Card) -> int:
    """How many paths lead from the output to a card."""
    counts = {output: 1}
    for target in sorted(steps, key=forward_order, reverse=True):
        for step in steps[target]:
            counts[step.source] = counts.get(step.source, 0) + counts.get(target, 0)
    return counts.get(card, 0)


def first_paths(steps: Steps, output: Card, card: Card, few: int) -> list[list[ChainStep]]:
    """The first few paths, by depth-first search; every step leads on to the card, so there are no dead ends."""
    paths: list[list[ChainStep]] = []
    path: list[ChainStep] = []
    choices = [iter(steps[output])] if output is not card else []
    while choices and len(paths) < few:
        step = next(choices[-1], None)
        if step is None:
            choices.pop()
            if path:
                path.pop()
        elif step.source is card:
            paths.append([*path, step])
        else:
            path.append(step)
            choices.append(iter(steps[step.source]))
    return paths
