"""What of a record is drawn: cards, modules folded into one card, chips for shared leaves, runs of alike siblings.

A picture is read at a glance or not at all, so a large graph is folded until it has some dozen nodes.

The hard idea is what may be folded together. Wires have to run forward from one node of the picture to another, so a
fold must not have a path out of it and back in:

    a = x + 1
    b = a * 2
    c = a + b           # folding a and c into one node gives it a wire to b and a wire from b: a circle

Results that follow each other in the order of creation never have this: whatever is made between two of them is folded
with them. A module call, a step of a loop and a neuron are all such stretches. So alike siblings are stretches of the
same ops and shapes, one right after another, and finding them is finding repeats in a sequence.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.record import Card, Record, Scope, Wire

FOLD_ABOVE = 150  # tensors: a larger graph is folded without being asked
ENOUGH = 40  # nodes made by ops: no further runs are folded
MOST = 150  # nodes made by ops: what no run or module makes fewer is cut in the middle
LEAVES = 8  # operands of their own that one node may have in a folded picture


@dataclass(eq=False)
class Item:
    """A node of the picture.

    Attributes:
        cards: What it stands for, in forward order: one card as itself, or several folded ones.
        kind: "card"; "module", a folded module call; "run", alike siblings; "part", a stretch of a graph that is too
            large; "chip", a leaf once more.
        scope: The innermost cluster that it stands in.
        title: Of a folded item.
        outputs: The cards of it that are used outside of it, or are the output of the graph.
        leaves: The leaves that its ops use, of a folded item.
        sign: Equal for items that look alike.
    """

    cards: list[Card]
    kind: Literal["card", "module", "run", "part", "chip"] = "card"
    scope: Scope | None = None
    title: str = ""
    outputs: list[Card] = field(default_factory=list)
    leaves: list[Card] = field(default_factory=list)
    sign: Hashable = None

    @property
    def folded(self) -> bool:
        """Whether it stands for more than it shows."""
        return self.kind in ("module", "run", "part")

    @property
    def ops(self) -> int:
        """Number of ops."""
        return sum(card.op is not None for card in self.cards)

    @property
    def id(self) -> str:
        """The id in DOT, of the card that it shows."""
        return f"node-{(self.outputs or self.cards)[-1].id}"


@dataclass(eq=False)
class Link:
    """One line of the picture: a wire, or all wires between two items of which one is folded."""

    source: Item
    target: Item
    wires: list[Wire]

    @property
    def plain(self) -> bool:
        """Whether it shows a single wire between tensors."""
        return not (self.source.folded or self.target.folded)


@dataclass(eq=False)
class Plan:
    """The items in forward order, and the links between them."""

    items: list[Item]
    links: list[Link]


def plan(found: Record, depth: int | None = None) -> Plan:
    """Decides what is drawn.

    Args:
        found: The record.
        depth: How many levels of modules stay open: 0 makes a card of every outermost module call, 1 of every module
            call inside one. None folds only what is too large: more than 150 tensors.

    Returns:
        Every card is in exactly one item; chips, which repeat a leaf, come on top.
    """
    items = [Item([card], scope=card.scope, sign=sign(card)) for card in found.cards if card.op is not None]
    if depth is not None:
        items = fold_modules(items, depth)
    large = len(found.cards) > FOLD_ABOVE
    if large and len(items) > ENOUGH:
        items = shrink(items)
    return connect(found, items or [Item([found.output])], large)


def sign(card: Card) -> Hashable:
    """Equal for results that look alike: op, shape, and the classes and sizes of the modules around them."""
    assert card.op is not None
    scopes = tuple(scope.label for scope in card.scope.path()) if card.scope else ()
    return card.op.name, card.shape, scopes


def shrink(items: list[Item]) -> list[Item]:
    """Folds runs, then modules from the innermost to the outermost, until the items are few enough to be looked at."""
    smaller = fold_runs(items)
    deepest = max((len(item.scope.path()) for item in items if item.scope), default=0)
    for depth in reversed(range(deepest)):
        if len(smaller) <= MOST:
            break
        smaller = fold_runs(fold_modules(items, depth))
    if len(smaller) > MOST:
        half = ENOUGH // 2
        middle = [card for item in smaller[half:-half] for card in item.cards]
        part = Item(middle, "part", common(smaller[half:-half]), f"⋯ {len(middle):,} more ops")
        smaller = [*smaller[:half], part, *smaller[-half:]]
    return smaller


def fold_modules(items: list[Item], depth: int) -> list[Item]:
    """Makes one item of each module call that has `depth` module calls around it.

    A module of one op without parameters of its own stays as it is: its card says as much as a folded one.
    """
    groups: dict[int, list[Item]] = {}  # dicts keep the order of the first item
    for item in items:
        path = item.scope.path() if item.scope else []
        groups.setdefault(id(path[depth]) if len(path) > depth else id(item), []).append(item)
    folded = []
    for group in groups.values():
        path = group[0].scope.path() if group[0].scope else []
        cards = [card for item in group for card in item.cards]
        if len(path) <= depth:
            folded += group
        elif len(cards) == 1 and not any(card.kind == "parameter" for card in leaves_of(cards)):
            item = group[0]
            folded.append(Item(item.cards, scope=path[depth - 1] if depth else None, sign=item.sign))
        else:
            scope = path[depth]
            signs = tuple(item.sign for item in group)
            folded.append(Item(cards, "module", scope.parent, heading(scope), sign=signs))
    return folded


def heading(scope: Scope) -> str:
    """The title of a module call: "fc1 · Linear(2, 3)"."""
    return f"{scope.name} · {scope.label}" if scope.name else scope.label


def fold_runs(items: list[Item]) -> list[Item]:
    """Replaces runs of alike stretches by the first, one item for those between, and the last."""
    while len(items) > ENOUGH:
        runs = find_runs(items)
        if not runs:
            break
        for start, period, repeats in sorted(runs, reverse=True):
            items = [*items[:start], *fold_run(items, start, period, repeats), *items[start + period * repeats :]]
    return items


def find_runs(items: list[Item]) -> list[tuple[int, int, int]]:
    """Runs of at least four alike stretches that do not overlap: start, length of a stretch, number of stretches."""
    numbers: dict[Hashable, int] = {}
    signs = np.array([numbers.setdefault(item.sign, len(numbers)) for item in items])
    most = min(len(items) // 4, max(100, 10_000_000 // len(items)))
    candidates = [run for period in range(1, most + 1) for run in repeats_of(signs, period)]
    candidates.sort(key=lambda run: ((3 - (run[1] - run[0]) // run[2]) * run[2], run[2]))  # what saves most comes first
    taken = np.zeros(len(items), bool)
    alive = live_values(items)
    runs = []
    for start, stop, period in candidates:
        free = np.flatnonzero(~taken[start:stop])
        if free.size < 4 * period:
            continue
        first, last = max(streaks(free + start), key=lambda streak: streak[1] - streak[0])
        first = align(items, alive, first, last, period)
        repeats = (last - first) // period
        if repeats >= 4:
            taken[first : first + period * repeats] = True
            runs.append((first, period, repeats))
    return runs


def streaks(numbers: ndarray) -> list[tuple[int, int]]:
    """Stretches of ascending integers without a gap, each as start and stop."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]


def repeats_of(signs: ndarray, period: int) -> Iterable[tuple[int, int, int]]:
    """Stretches of a sequence that are at least four periods long: start, stop, period."""
    same = np.concatenate([[False], signs[:-period] == signs[period:], [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(same))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - start >= 3 * period:
            yield start, stop + period, period


def live_values(items: list[Item]) -> list[int]:
    """For each item, how many results of earlier items are still needed by it or by later ones."""
    place = {card.id: i for i, item in enumerate(items) for card in item.cards}
    change = np.zeros(len(items) + 1, int)
    for i, item in enumerate(items):
        last = max((place[wire.target.id] for card in item.cards for wire in card.uses), default=i)
        change[i + 1] += 1
        change[last + 1 if last > i else i + 1] -= 1
    return [int(x) for x in np.cumsum(change)]


def align(items: list[Item], alive: list[int], start: int, stop: int, period: int) -> int:
    """Where a run begins, so that its stretches begin where module calls do, or else where fewest values are alive.

    Found by signs alone, a run may begin anywhere: the end of a neuron and the beginning of the next look alike too.
    """

    def shared(i: int) -> int:
        before, here = (item.scope.path() if item.scope else [] for item in (items[i - 1], items[i]))
        return sum(a is b for a, b in zip(before, here, strict=False))

    second = start + period
    if second + period > stop:
        return start
    return start + min(range(period), key=lambda i: (shared(second + i), alive[second + i], i))


def fold_run(items: list[Item], start: int, period: int, repeats: int) -> list[Item]:
    """First stretch, one item for those between, last stretch."""
    first, last = items[start : start + period], items[start + period * (repeats - 1) : start + period * repeats]
    middle = items[start + period : start + period * (repeats - 1)]
    cards = [card for item in middle for card in item.cards]
    scope = common(middle)
    signs = tuple(item.sign for item in first)
    between = Item(cards, "run", scope, f"⋯ {repeats - 2:,} more, all alike", sign=("run", repeats, signs))
    if period > 1 and all(item.scope is scope for item in [*first, *last]):  # a loop, no modules: clusters of their own
        ends = [Scope("", f"{number:,} of {repeats:,}", None, scope) for number in (1, repeats)]
        first, last = ([replace(item, scope=end) for item in x] for end, x in zip(ends, (first, last), strict=True))
    return [*first, between, *last]


def common(items: list[Item]) -> Scope | None:
    """The innermost scope around all items."""
    paths = [item.scope.path() if item.scope else [] for item in items]
    inside = None
    for scopes in zip(*paths, strict=False):
        if any(scope is not scopes[0] for scope in scopes):
            break
        inside = scopes[0]
    return inside


def leaves_of(cards: list[Card]) -> list[Card]:
    """The leaves that are operands of the cards, each once."""
    return list({wire.source.id: wire.source for card in cards for wire in card.wires if not wire.source.op}.values())


def connect(found: Record, results: list[Item], large: bool) -> Plan:
    """Adds the leaves and chips, and draws the lines."""
    place = {card.id: item for item in results for card in item.cards}
    visible = {scope for item in results if item.scope for scope in item.scope.path()}
    items: list[Item] = []
    for item in results:
        own = leaves_of(item.cards)
        if item.folded:
            item.leaves = own
        new = [leaf for leaf in own if leaf.id not in place]
        private = [leaf for leaf in new if all(place[wire.target.id] is item for wire in leaf.uses)]
        if item.folded:
            private = [leaf for leaf in private if item.kind != "module" or belongs(leaf)]
            place.update((leaf.id, item) for leaf in private)
            item.cards = [*private, *item.cards]
        elif large and len(private) > LEAVES:
            between = private[1:-1]
            run = Item(between, "run", item.scope, f"⋯ {len(between):,} more operands")
            items.append(run)
            place.update((leaf.id, run) for leaf in between)
        for leaf in new:
            if leaf.id not in place:
                place[leaf.id] = Item([leaf], scope=innermost(leaf.scope, visible))
                items.append(place[leaf.id])
        items.append(item)
    for item in items:
        item.outputs = [card for card in item.cards if used_outside(card, item, place) or card is found.output]
    return Plan(*with_chips(items, links_of(items, place)))


def belongs(leaf: Card) -> bool:
    """Whether a leaf goes into a folded module: a parameter or a number, not what the module was called with."""
    return leaf.kind == "parameter" or (leaf.constant is not None and leaf.value.ndim == 0)


def used_outside(card: Card, item: Item, place: dict[str, Item]) -> bool:
    """Whether a card is used outside of its item."""
    return any(place[wire.target.id] is not item for wire in card.uses)


def innermost(scope: Scope | None, visible: set[Scope]) -> Scope | None:
    """The scope, or the nearest one around it that has a cluster."""
    while scope is not None and scope not in visible:
        scope = scope.parent
    return scope


def links_of(items: list[Item], place: dict[str, Item]) -> list[Link]:
    """The lines: one for each wire between tensors, one for all wires between items of which one is folded."""
    links: dict[Hashable, Link] = {}
    for target in items:
        for card in target.cards:
            for wire in card.wires:
                source = place[wire.source.id]
                if source is not target:
                    key = (source, target) if source.folded or target.folded else wire
                    links.setdefault(key, Link(source, target, [])).wires.append(wire)
    return list(links.values())


def with_chips(items: list[Item], links: list[Link]) -> tuple[list[Item], list[Link]]:
    """Leaves with more than two consumers keep the line to the first; the others get a chip each."""
    consumers: dict[Item, list[Item]] = {}
    for link in links:
        if link.source.kind == "card" and link.source.cards[0].op is None:
            targets = consumers.setdefault(link.source, [])
            if link.target not in targets[-1:]:
                targets.append(link.target)
    chips: dict[tuple[Item, Item], Item] = {}
    before: dict[Item, list[Item]] = {}
    for leaf, targets in consumers.items():
        for target in targets[1:] if len(targets) > 2 else []:
            chip = chips[leaf, target] = Item(leaf.cards, "chip", target.scope)
            before.setdefault(target, []).append(chip)
    for link in links:
        link.source = chips.get((link.source, link.target), link.source)
    return [x for item in items for x in (*before.get(item, ()), item)], links
