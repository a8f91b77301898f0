"""What opens and closes on a page: module calls, functions, and runs of alike blocks, one within the other.

A page holds a layout for each of its states, made by Graphviz in advance. Twenty modules have a million states, so not
all of them can be there: either every set of open parts is a state, or one part at a time is open at each level.

    net: 0, 1, 2        every set: 0 and 2 may be open together        one at a time: opening 2 closes 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from tinygrad_edu.draw.picture.fold import Item, Plan, by_call, connect, op_items, title_of
from tinygrad_edu.draw.picture.runs import Nest, Stretch
from tinygrad_edu.draw.record import Record, Scope

if TYPE_CHECKING:
    from tinygrad_edu.nn import Module

__all__ = ["Part", "State", "Tree"]

SETS = 64  # states: up to this many, every set of open parts is one
STATES, NODES = 100, 1500  # states, and nodes in all of them: beyond that, what lies deepest does not open
SHOWN = 4  # blocks of an open run; of more, the first and the last


@dataclass(eq=False)
class Part:
    """Something that is one card while it is closed, and a cluster while it is open."""

    title: str
    inside: list[Part | Item]
    call: Scope | None = None  # the module or function; None of a run and of its blocks
    run: bool = False
    opens: bool = True
    thin: bool = False  # never a card: one op, which has the call's title
    around: Part | None = None
    level: int = 0  # how many parts are around it
    scope: Scope | None = None  # its cluster
    number: int = 0  # in forward order

    def items(self) -> list[Item]:
        """All ops in it."""
        return [item for part in self.inside for item in ([part] if isinstance(part, Item) else part.items())]

    def closed(self) -> Item:
        """Its card."""
        items = self.items()
        cards, signature = [card for item in items for card in item.cards], tuple(item.signature for item in items)
        scope = self.around.scope if self.around else None
        return Item(cards, "run" if self.run else "module", scope, self.title, signature=signature)


State = frozenset[Part]  # the parts that are open; with a part, all around it
Sibling = Part | Item


class Tree:
    """The parts of a record, and the states of a page."""

    def __init__(self, found: Record, compact: bool, stays_closed: Callable[[Module], bool] | None = None) -> None:
        self.record, self.compact, self.stays_closed = found, compact, stays_closed
        self.roots = self.siblings(op_items(found, compact), 0)
        self.parts = list[Part]()
        self.settle(self.roots, None)
        self.any_set = True  # whether every set of open parts is a state
        self.any_set = count_sets(self.roots) <= SETS and self.fits()
        deepest = max((part.level for part in self.openable), default=0)
        while deepest and not self.fits():
            for part in self.parts:
                part.opens = part.opens and part.level < deepest
            deepest -= 1

    @property
    def openable(self) -> list[Part]:
        return [part for part in self.parts if part.opens]

    def fits(self) -> bool:
        """Whether the states are so few that they are drawn in some seconds."""
        states = self.states()
        return len(states) <= STATES and sum(self.plan(state)[0].size for state in states) <= NODES

    def siblings(self, items: list[Item], depth: int) -> list[Sibling]:
        """What stands side by side, each with `depth` calls around it."""
        found = list[Sibling]()
        for call, group in by_call(items, depth).items():
            if isinstance(call, Item):
                found.append(call)
            elif len(group) > 1:
                found.append(Part(title_of(call), self.siblings(group, depth + 1), call))
            elif self.compact or any(leaf.kind == "parameter" for leaf in group[0].leaves):
                found.append(Part(title_of(call), [*group], call, thin=self.compact))
            else:
                found += group
        cards = [x.closed() if isinstance(x, Part) else x for x in found]
        return [unfolded(node, found) for node in Nest(cards).nodes] if found else []

    def settle(self, siblings: Sequence[Sibling], around: Part | None) -> None:
        """Numbers the parts, and says where each of them is."""
        for part in siblings:
            if isinstance(part, Item):
                continue
            part.number, part.around, part.level = len(self.parts), around, around.level + 1 if around else 0
            part.scope = replace(part.call or Scope("", part.title, None), parent=around.scope if around else None)
            module = part.scope.module
            closed = self.stays_closed is not None and module is not None and self.stays_closed(module)
            part.opens = part.opens and not part.thin and not closed and (around is None or around.opens)
            self.parts.append(part)
            self.settle(part.inside, part)

    def states(self) -> list[State]:
        """All of them; the first one is the page's at the beginning."""
        if self.any_set:
            return list(sets(self.roots))
        parts, found = self.openable, {State(): None}
        for part in parts:
            found[State(chain(part))] = None
        for level in range(max((part.level for part in parts), default=-1) + 1):
            found[State(part for part in parts if part.level <= level)] = None
        return list(found)

    def plan(self, state: State) -> tuple[Plan, dict[Item, Part]]:
        """What is drawn of a state, and which of the items are closed parts."""
        closed = dict[Item, Part]()
        shown = self.shown(self.roots, None, state, closed)
        drawn = connect(self.record, shown or [Item([self.record.output])], True)
        clusters = {part.call: part.scope for part in self.parts if part.call and (part in state or part.thin)}
        for item in drawn.items:
            if not item.ops and item.kind != "chip":  # leaves stand where they do in the record
                calls = item.path or (
                    item.cards[0].scope.path() if item.cards[0].scope and len(item.cards) == 1 else []
                )
                item.scope = next((clusters[call] for call in reversed(calls) if call in clusters), None)
        return drawn, closed

    def shown(
        self, siblings: Sequence[Sibling], around: Part | None, state: State, closed: dict[Item, Part]
    ) -> list[Item]:
        """What is drawn for the siblings; adds those that are closed parts."""
        found = list[Item]()
        for part in siblings:
            if isinstance(part, Item):
                found.append(replace(part, scope=around.scope if around else None))
            elif part in state or part.thin:
                found += self.shown(part.inside, part, state, closed)
            else:
                found.append(part.closed())
                closed[found[-1]] = part
        return found


def unfolded(stretch: Stretch, siblings: Sequence[Sibling]) -> Sibling:
    """A stretch of siblings as a part."""
    if not stretch.parts:
        return siblings[stretch.start]
    blocks = [unfolded(part, siblings) for part in stretch.parts]
    if not stretch.run:
        return Part("", blocks)
    count = len(blocks)
    for i, block in enumerate(blocks, 1):
        if isinstance(block, Part) and not block.title:
            block.title = f"{i:,} of {count:,}"
    first = blocks[0]
    if isinstance(first, Item):
        name = first.cards[-1].op.name if first.cards[-1].op else ""
    else:
        name = first.call.label if first.call else ""
    if count > SHOWN:
        blocks = [blocks[0], Part(f"⋯ {count - 2:,} more, all alike", blocks[1:-1], run=True, opens=False), blocks[-1]]
    return Part(f"{name} × {count:,}".lstrip(), blocks, run=True)


def chain(part: Part | None) -> Iterator[Part]:
    """A part and all around it."""
    while part is not None:
        yield part
        part = part.around


def count_sets(siblings: Sequence[Sibling]) -> int:
    return prod(1 + count_sets(part.inside) for part in siblings if isinstance(part, Part) and part.opens)


def sets(siblings: Sequence[Sibling]) -> Iterator[State]:
    """Every set of open parts."""
    parts = [part for part in siblings if isinstance(part, Part) and part.opens]
    choices = [[State(), *[State({part, *inner}) for inner in sets(part.inside)]] for part in parts]
    for chosen in product(*choices):
        yield State().union(*chosen)
