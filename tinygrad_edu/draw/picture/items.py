"""What a picture consists of: items, the lines between them, and how the leaves come in.

An item is a card, or several that are folded into one. What is folded is decided in fold.py, for results of ops only.
`connect` then adds the leaves. It puts those that belong to a folded item into it, and draws those that are used often
once more as chips, so that no line crosses the whole picture.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from tinygrad_edu.draw.numbers import format_count
from tinygrad_edu.draw.record import Card, Record, Scope, Wire

__all__ = ["Item", "Link", "Plan", "common_scope", "connect", "gate_ids", "leaves_of"]

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
        signature: Equal for items that look alike.
    """

    cards: list[Card]
    kind: Literal["card", "module", "run", "part", "chip"] = "card"
    scope: Scope | None = None
    title: str = ""
    outputs: list[Card] = field(default_factory=list)
    leaves: list[Card] = field(default_factory=list)
    signature: Hashable = None

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
    def single(self) -> bool:
        """Whether it shows a single wire between tensors."""
        return not (self.source.folded or self.target.folded)


@dataclass(eq=False)
class Plan:
    """The items in forward order, and the links between them."""

    items: list[Item]
    links: list[Link]

    @property
    def size(self) -> int:
        """The number of nodes, without chips."""
        return sum(item.kind != "chip" for item in self.items)


def gate_ids(card: Card) -> tuple[str, str]:
    """The ids in DOT of the gate that made a card, where gates are drawn, and of the line between the two."""
    return f"gate-{card.id}", f"wire-{card.id}-out"


def connect(found: Record, results: list[Item], large: bool) -> Plan:
    """Adds the leaves and chips, and draws the lines.

    Args:
        found: The record.
        results: Items of all results, in forward order.
        large: Whether many leaves become one node.
    """
    holders = {card: item for item in results for card in item.cards}
    visible = {scope for item in results for scope in item.path}
    before: dict[Item, list[Item]] = {}  # the leaves that stand before the first item that uses them
    for users, leaves in groups_of_leaves(results):
        first = users[0]
        absorbed = [leaf for leaf in leaves if is_absorbed(leaf, users)]
        first.cards = [*absorbed, *first.cards]
        holders.update(dict.fromkeys(absorbed, first))
        for item in leaf_items([leaf for leaf in leaves if leaf not in holders], users, large, visible):
            holders.update(dict.fromkeys(item.cards, item))
            before.setdefault(first, []).append(item)
    for item in results:
        if item.folded:
            item.leaves = leaves_of(item.cards)
    items = inserted(results, before)
    links = links_between(items, holders)
    used = {wire.source for link in links for wire in link.wires} | {found.output}
    for item in items:
        item.outputs = [card for card in item.cards if card in used]
    return with_chips(items, links)


def inserted(items: list[Item], before: dict[Item, list[Item]]) -> list[Item]:
    """The items, each after what stands before it."""
    found = []
    for item in items:
        found += [*before.get(item, []), item]
    return found


def leaves_of(cards: list[Card]) -> list[Card]:
    """The leaves that are operands of the cards, each once."""
    found: dict[Card, None] = {}  # a dict keeps the order
    for card in cards:
        for wire in card.wires:
            if wire.source.op is None:
                found[wire.source] = None
    return list(found)


def groups_of_leaves(results: list[Item]) -> list[tuple[list[Item], list[Card]]]:
    """Leaves of one kind that the same items use, with these items."""
    users: dict[Card, list[Item]] = {}
    for item in results:
        for leaf in leaves_of(item.cards):
            users.setdefault(leaf, []).append(item)
    groups: dict[tuple[str, tuple[Item, ...]], list[Card]] = {}
    for leaf, items in users.items():
        groups.setdefault((leaf.kind, tuple(items)), []).append(leaf)
    return [(list(items), leaves) for (_, items), leaves in groups.items()]


def is_absorbed(leaf: Card, users: list[Item]) -> bool:
    """Whether a leaf goes into the first of the items that use it.

    All must be folded. If one is a module, only parameters and numbers go in, not what the module was called with.
    """
    if not all(user.folded for user in users):
        return False
    if any(user.kind == "module" for user in users):
        return leaf.kind == "parameter" or (leaf.constant is not None and leaf.value.ndim == 0)
    return len(users) == 1


def leaf_items(leaves: list[Card], users: list[Item], large: bool, visible: set[Scope]) -> list[Item]:
    """An item for each leaf, in the innermost of its scopes that is visible; or one for all if they are many."""
    if large and len(leaves) > (LEAVES if len(users) == 1 else SHARED):
        kind = leaves[0].kind
        title = f"{len(leaves):,} data" if kind == "data" else format_count(len(leaves), kind)
        return [Item(leaves, "run", common_scope(leaf.scope for leaf in leaves), title)]
    found = []
    for leaf in leaves:
        scope = leaf.scope
        while scope is not None and scope not in visible:
            scope = scope.parent
        found.append(Item([leaf], scope=scope))
    return found


def common_scope(scopes: Iterable[Scope | None]) -> Scope | None:
    """The innermost scope around all of them."""
    paths = [scope.path() if scope else [] for scope in set(scopes)]
    inside = None
    for level in zip(*paths, strict=False):
        if any(scope is not level[0] for scope in level):
            break
        inside = level[0]
    return inside


def links_between(items: list[Item], holders: dict[Card, Item]) -> list[Link]:
    """The lines: one for each wire between tensors, one for all wires between items of which one is folded.

    A parameter that several folded items share is in the first, and listed in each.
    """
    links: dict[Hashable, Link] = {}
    for target in items:
        for wire in [wire for card in target.cards for wire in card.wires]:
            source = holders[wire.source]
            if source is not target and (wire.source.op is not None or not source.ops):
                key = (source, target) if source.folded or target.folded else wire
                links.setdefault(key, Link(source, target, [])).wires.append(wire)
    return list(links.values())


def with_chips(items: list[Item], links: list[Link]) -> Plan:
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
        if len(targets) <= 2:
            continue
        card = replace(leaf.cards[0], name=leaf.title, named=True) if leaf.folded else leaf.cards[0]
        for target in targets[1:]:
            chip = Item([card], "chip", target.scope)
            chips[leaf, target] = chip
            before.setdefault(target, []).append(chip)
    for link in links:
        link.source = chips.get((link.source, link.target), link.source)
    return Plan(inserted(items, before), links)
