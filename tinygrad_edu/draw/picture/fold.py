"""What of a record is drawn: cards, modules folded into one card, chips for shared leaves, runs of alike siblings.

A picture is read at a glance or not at all, so a large graph is folded until it has some dozen nodes.

The hard idea is what may be folded together. Wires have to run forward from one node of the picture to another, so a
fold must not have a path out of it and back in:

    a = x + 1
    b = a * 2
    c = a + b           # folding a and c into one node gives it a wire to b and a wire from b: a circle

Results that follow each other in the order of creation never have this: whatever is made between two of them is folded
with them. A module call, a step of a loop and a neuron are all such stretches. So alike siblings are repeats in a
sequence of ops, which runs.py finds.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Literal

from tinygrad_edu.draw.picture.runs import Nest, Stretch
from tinygrad_edu.draw.record import Card, Record, Scope, Wire

FOLD_ABOVE = 150  # tensors: a larger graph is folded without being asked
ENOUGH = 32  # nodes: no further folds are opened
FEW, MANY = 12, 45  # nodes: so few are opened once more, up to so many
MOST = 150  # nodes made by ops: what no run or module makes fewer is cut in the middle
LEAVES = 8  # operands of its own that one node may have in a folded picture
SHARED = 2  # operands that the same nodes share, before they become one node


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
    def path(self) -> list[Scope]:
        """The scopes around it, outermost first."""
        return self.scope.path() if self.scope else []

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
    def id(self) -> str:
        """The id in DOT."""
        return f"wire-{self.wires[0].target.id}-{self.wires[0].position}"

    @property
    def plain(self) -> bool:
        """Whether it shows a single wire between tensors."""
        return not (self.source.folded or self.target.folded)


@dataclass(eq=False)
class Plan:
    """The items in forward order, and the links between them."""

    items: list[Item]
    links: list[Link]


def gate_ids(card: Card) -> tuple[str, str]:
    """The ids in DOT of the gate that made a card, where gates are drawn, and of the line between the two."""
    return f"gate-{card.id}", f"wire-{card.id}-out"


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
        return shrink(found, items)
    return connect(found, items or [Item([found.output])], large)


def sign(card: Card) -> Hashable:
    """Equal for results that look alike: op, shape, and the classes and sizes of the modules around them."""
    assert card.op is not None
    scopes = tuple(scope.label for scope in card.scope.path()) if card.scope else ()
    return card.op.name, card.shape, scopes


def shrink(found: Record, items: list[Item]) -> Plan:
    """Folds runs, then modules from the innermost to the outermost, until the items are few enough to be looked at."""
    nodes, every = Nest(items).nodes, items
    deepest = max((len(item.scope.path()) for item in items if item.scope), default=0)
    for depth in reversed(range(deepest)):
        if len(nodes) <= MOST:
            break
        items = fold_modules(every, depth)
        nodes = Nest(items).nodes
    if len(nodes) > MOST:
        half = ENOUGH // 2
        start, stop = nodes[half].start, nodes[-half].start
        count = sum(item.ops for item in items[start:stop])
        nodes[half:-half] = [Stretch(start, stop, title=f"⋯ {count:,} more ops")]
    return opened(found, items, nodes)


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


def opened(found: Record, items: list[Item], nodes: list[Stretch]) -> Plan:
    """Opens what has the largest blocks, first blocks before last ones, as long as the picture stays small."""
    inside: dict[Stretch, list[Stretch]] = {}
    waiting: list[tuple[int, int, int, Stretch]] = []

    def drawn() -> tuple[int, Plan]:
        def shown(nodes: list[Stretch]) -> list[Item]:
            return [x for n in nodes for x in (shown(inside[n]) if n in inside else [item_of(items, n)])]

        result = connect(found, shown(nodes), True)
        return sum(item.kind != "chip" for item in result.items), result

    def wait(stretch: Stretch, late: int) -> None:
        if stretch.parts:
            block = stretch.parts[0] if stretch.run else stretch
            heapq.heappush(waiting, (late, block.start - block.stop, stretch.start, stretch))

    for node in nodes:
        wait(node, 0)
    count, best = drawn()
    while waiting:
        late, *_, stretch = heapq.heappop(waiting)
        inside[stretch] = unfold(items, stretch)
        larger, plan = drawn()
        if larger > (ENOUGH if count > FEW else MANY):
            del inside[stretch]
            continue
        count, best = larger, plan
        for i, part in enumerate(inside[stretch]):
            wait(part, late + (stretch.run and i > 0 and part.stop < len(items)))  # the output is not late
    return best


def unfold(items: list[Item], stretch: Stretch) -> list[Stretch]:
    """First block, what is between, and last block of a run; or the nodes of a block, in a cluster."""
    if not stretch.run:
        return [replace(part, scope=stretch.cluster or stretch.scope) for part in stretch.parts]
    count, around = len(stretch.parts), common(items[stretch.start : stretch.stop])

    def end(position: int) -> Stretch:
        block, title = stretch.parts[position - 1], f"{position:,} of {count:,}"
        plain = all(item.scope is around for item in items[block.start : block.stop])  # a loop, not calls of modules
        cluster = Scope("", title, None, stretch.scope or around) if plain else None
        return replace(block, title=title, scope=stretch.scope, cluster=cluster)

    first, last = end(1), end(count)
    title = f"⋯ {count - 2:,} more, all alike"
    return [first, *[Stretch(first.stop, last.start, run=True, title=title, scope=stretch.scope)][: count - 2], last]


def item_of(items: list[Item], stretch: Stretch) -> Item:
    """What is drawn for a stretch."""
    group = items[stretch.start : stretch.stop]
    if len(group) == 1:
        return replace(group[0], scope=stretch.scope or group[0].scope)
    cards = [card for item in group for card in item.cards]
    around, outside = common(group), [*items[max(stretch.start - 1, 0) : stretch.start], *items[stretch.stop :][:1]]
    for scope in around.path() if around and not stretch.run else []:
        if not any(item.scope and scope in item.scope.path() for item in outside):  # a whole call
            return Item(cards, "module", scope.parent, heading(scope))
    return Item(cards, "run" if stretch.run else "part", stretch.scope or around, stretch.title)


def common(items: list[Item]) -> Scope | None:
    """The innermost scope around all items."""
    paths = [scope.path() if scope else [] for scope in {item.scope for item in items}]
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
    uses: dict[Card, dict[Item, None]] = {}  # of leaves; dicts keep the order
    for item in results:
        for card in item.cards:
            for wire in card.wires:
                if wire.source.op is None:
                    uses.setdefault(wire.source, {})[item] = None
    groups: dict[tuple[str, tuple[Item, ...]], list[Card]] = {}  # leaves of one kind that the same items use
    for leaf, found_in in uses.items():
        groups.setdefault((leaf.kind, tuple(found_in)), []).append(leaf)
    before: dict[Item, list[Item]] = {}
    for (kind, users), leaves in groups.items():
        item = users[0]
        if all(user.folded for user in users):
            modules = any(user.kind == "module" for user in users)
            own = [leaf for leaf in leaves if (belongs(leaf) if modules else len(users) == 1)]
            place.update((leaf.id, item) for leaf in own)
            item.cards, leaves = [*own, *item.cards], [leaf for leaf in leaves if leaf.id not in place]
        few = LEAVES if len(users) == 1 else SHARED
        if not large or len(leaves) <= few:
            new = [Item([leaf], scope=innermost(leaf.scope, visible)) for leaf in leaves]
        else:
            title = f"{len(leaves):,} {kind}{'' if kind == 'data' else 's'}"
            new = [Item(leaves, "run", common([Item([leaf], scope=leaf.scope) for leaf in leaves]), title)]
        place.update((leaf.id, x) for x in new for leaf in x.cards)
        before.setdefault(item, []).extend(new)
    items: list[Item] = []
    for item in results:
        if item.folded:
            item.leaves = leaves_of(item.cards)
        items += [*before.get(item, []), item]
    links = links_of(items, place)
    used = {wire.source.id for link in links for wire in link.wires} | {found.output.id}
    for item in items:
        item.outputs = [card for card in item.cards if card.id in used]
    return Plan(*with_chips(items, links))


def belongs(leaf: Card) -> bool:
    """Whether a leaf goes into a folded module: a parameter or a number, not what the module was called with."""
    return leaf.kind == "parameter" or (leaf.constant is not None and leaf.value.ndim == 0)


def innermost(scope: Scope | None, visible: set[Scope]) -> Scope | None:
    """The scope, or the nearest one around it that has a cluster."""
    while scope is not None and scope not in visible:
        scope = scope.parent
    return scope


def links_of(items: list[Item], place: dict[str, Item]) -> list[Link]:
    """The lines: one for each wire between tensors, one for all wires between items of which one is folded.

    A parameter that several folded items share is in the first, and listed in each.
    """
    links: dict[Hashable, Link] = {}
    for target in items:
        for card in target.cards:
            for wire in card.wires:
                source = place[wire.source.id]
                if source is not target and (wire.source.op or not source.ops):
                    key = (source, target) if source.folded or target.folded else wire
                    links.setdefault(key, Link(source, target, [])).wires.append(wire)
    return list(links.values())


def with_chips(items: list[Item], links: list[Link]) -> tuple[list[Item], list[Link]]:
    """Leaves with more than two consumers keep the line to the first; the others get a chip each."""
    consumers: dict[Item, list[Item]] = {}
    for link in links:
        if not link.source.ops:
            targets = consumers.setdefault(link.source, [])
            if link.target not in targets[-1:]:
                targets.append(link.target)
    chips: dict[tuple[Item, Item], Item] = {}
    before: dict[Item, list[Item]] = {}
    for leaf, targets in consumers.items():
        for target in targets[1:] if len(targets) > 2 else []:
            card = replace(leaf.cards[0], name=leaf.title, named=True) if leaf.folded else leaf.cards[0]
            chip = chips[leaf, target] = Item([card], "chip", target.scope)
            before.setdefault(target, []).append(chip)
    for link in links:
        link.source = chips.get((link.source, link.target), link.source)
    return [x for item in items for x in (*before.get(item, ()), item)], links
