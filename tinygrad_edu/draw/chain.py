"""The chain rule as paths: steps from one named tensor to the next, how many paths they make, and the first of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.autograd import fit
from tinygrad_edu.draw.expressions import Expressions
from tinygrad_edu.draw.record import Card, Wire
from tinygrad_edu.draw.sums import ONE, Sum, plus, times
from tinygrad_edu.registry import plain

X = TypeVar("X")
Steps = dict["Card", list["Step"]]  # from each tensor to those that it is made of


@dataclass(frozen=True, eq=False)
class Step:
    """∂ target / ∂ source, other named tensors held still.

    Attributes:
        target: The tensor nearer to the output.
        source: The tensor nearer to the input.
        number: The derivative, of the source's shape; None between arrays.
    """

    target: Card
    source: Card
    number: ndarray | None = None


def place(card: Card) -> int:
    """Its place in forward order."""
    return int(card.id[1:])


def between(card: Card) -> list[Card]:
    """The cards through which gradients flow from the output to a card, both included, in forward order."""
    above = {card}
    waiting = [card]
    while waiting:
        for wire in waiting.pop().contributions():
            if wire.target not in above:
                above.add(wire.target)
                waiting.append(wire.target)
    return sorted(above, key=place)


def wires_as_steps(relevant: list[Card]) -> Steps:
    """Each wire a step."""
    inside = set(relevant)
    steps: Steps = {}
    for card in relevant:
        sources = [wire.source for wire in card.wires if wire.contribution is not None and wire.source in inside]
        steps[card] = [Step(card, source) for source in dict.fromkeys(sources)]
    return steps


def steps_between(notes: Expressions, relevant: list[Card]) -> Steps:
    """The steps between stations, with their numbers; all cards but the first are single numbers."""
    passed, steps = passable(notes, relevant), {}
    for target in relevant[1:]:
        if target not in passed:
            found = composed(target, passed, set(relevant), np.ones(target.shape), chained, np.add)
            steps[target] = [Step(target, source, np.asarray(found[source])) for source in sorted(found, key=place)]
    return steps


def formula_of(step: Step, notes: Expressions, relevant: list[Card]) -> Sum:
    """The derivative of a step as a formula."""
    found = composed(
        step.target,
        passable(notes, relevant),
        set(relevant),
        ONE,
        lambda upstream, wire: times(upstream, notes.local(wire)),
        plus,
    )
    return found[step.source]


def passable(notes: Expressions, relevant: list[Card]) -> set[Card]:
    """The cards at which no step ends: they have no name of their own and are not what is differentiated to."""
    return {card for card in relevant[1:] if card not in notes.stations}


def composed(
    target: Card,
    passed: set[Card],
    inside: set[Card],
    one: X,
    through: Callable[[X, Wire], X],
    add: Callable[[X, X], X],
) -> dict[Card, X]:
    """The chain rule from a station to the next ones: derivatives multiplied along wires, added where they meet."""
    totals, found = {target: one}, {}
    heap = [(-place(target), target)]  # newest first, so that each is complete when it is passed
    while heap:
        card = heappop(heap)[1]
        if card is not target and card not in passed:
            found[card] = totals[card]
            continue
        for wire in card.wires:
            if wire.contribution is not None and wire.source in inside:
                part = through(totals[card], wire)
                if wire.source not in totals:
                    heappush(heap, (-place(wire.source), wire.source))
                    totals[wire.source] = part
                else:
                    totals[wire.source] = add(totals[wire.source], part)
    return found


def chained(upstream: ndarray, wire: Wire) -> ndarray:
    """The upstream derivative, a single number, times that of the wire."""
    with np.errstate(all="ignore"):
        return np.asarray(
            upstream.item() * (pulled(wire) if wire.local is None else np.full(wire.source.shape, wire.local))
        )


def pulled(wire: Wire) -> ndarray:
    """∂ target / ∂ source: what the op's rule makes of the upstream gradient 1."""
    tensor, x = wire.target.tensor, wire.source.tensor
    assert tensor is not None and x is not None
    op, given = tensor._op, [plain(y) for y in tensor._inputs]
    before = (wire.position,) if op.variadic else ()
    rule = op.vjps[0 if op.variadic else wire.position]
    one = np.ones(tensor.shape, tensor.dtype)[()]
    return np.asarray(fit(rule(*before, one, tensor._data, *given, **tensor._params), x, tensor, wire.position))


def count_paths(steps: Steps, output: Card, card: Card) -> int:
    """How many paths lead from the output to a card."""
    counts = {output: 1}
    for target in sorted(steps, key=place, reverse=True):
        for step in steps[target]:
            counts[step.source] = counts.get(step.source, 0) + counts.get(target, 0)
    return counts.get(card, 0)


def derivative(steps: Steps, output: Card, card: Card) -> ndarray:
    """The sum over all paths."""
    totals: dict[Card, Any] = {output: np.ones(output.shape)}
    with np.errstate(all="ignore"):
        for target in sorted(steps, key=place, reverse=True):
            for step in steps[target] if target in totals else ():
                part = totals[target].reshape(-1)[0] * step.number
                totals[step.source] = totals[step.source] + part if step.source in totals else part
    return np.asarray(totals[card])


def first_paths(steps: Steps, output: Card, card: Card, few: int) -> list[list[Step]]:
    """The first few paths, by depth-first search; every step leads on to the card, so none is in vain."""
    paths: list[list[Step]] = []
    path: list[Step] = []
    choices = [iter(steps[output])] if output is not card else []
    while choices and len(paths) < few:
        step = next(choices[-1], None)
        if step is None:
            choices.pop()
            del path[-1:]
        elif step.source is card:
            paths.append([*path, step])
        else:
            path.append(step)
            choices.append(iter(steps[step.source]))
    return paths
