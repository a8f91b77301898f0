"""What a picture consists of, items and the lines between them, and what is folded: a large graph to some dozen nodes.

The hard idea is what may be folded together. Wires have to run forward, so no path may lead out of a fold and back in:

    b = a * 2
    c = a + b           # folding a and c into one node gives it a wire to b and a wire from b: a circle

Results that follow each other in the order of creation never have this: whatever is made between two of them is folded
with them. Module calls, steps of a loop and neurons are such stretches; runs.py finds those that repeat.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from tinygrad_edu.draw.numbers import format_count
from tinygrad_edu.draw.picture.runs import Nest, Stretch
from tinygrad_edu.draw.record import Card, Record, Scope, Wire, common_scope

if TYPE_CHECKING:
    from tinygrad_edu.nn import Module

__all__ = ["ENOUGH", "Item", "Link", "Plan", "by_call", "connect", "gate_ids", "op_items", "plan", "title_of"]

ENOUGH = 24  # nodes of a folded picture
LEAVES = 8  # operands of its own that one node may have in a folded picture
SHARED = 2  # operands that the same nodes share, before they become one node


@dataclass(eq=False)
class Item:
    """A node of the picture: a card, or several that are folded into one."""

    cards: list[Card]  # in forward order
    kind: Literal["card", "module", "run", "part", "chip"] = "card"  # run: alike siblings; chip: a leaf once more
    scope: Scope | None = None  # the innermost cluster that it stands in
    title: str = ""  # of a folded item
    outputs: list[Card] = field(default_factory=list)  # what is used outside of it, or is the output of the graph
    signature: Hashable = None  # equal for items that look alike
    lists: bool = False  # whether it lists the parameters that it uses, which are no nodes then

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
        return sum(card.op is not None for card in self.cards)

    @property
    def op_count(self) -> str:
        """How many ops: "1 op", "4,096 ops"."""
        return format_count(self.ops, "op")

    @property
    def leaves(self) -> list[Card]:
        """The leaves that its ops use, each once."""
        sources = [wire.source for card in self.cards for wire in card.wires]
        return list(dict.fromkeys(source for source in sources if source.op is None))

    @property
    def weights(self) -> list[Card]:
        """The parameters that it lists."""
        return [leaf for leaf in self.leaves if leaf.kind == "parameter"] if self.folded or self.lists else []

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
    folded: bool = False  # whether it was made smaller than was asked for

    @property
    def size(self) -> int:
        """The number of nodes, without chips."""
        return sum(item.kind != "chip" for item in self.items)


def plan(
    found: Record,
    depth: int | None = None,
    closed: Callable[[Module], bool] | None = None,
    fits: Callable[[Plan], bool] | None = None,
    compact: bool = False,
) -> Plan:
    """Decides what is drawn: every card is in exactly one item; chips, which repeat a leaf, come on top.

    Args:
        found: The record.
        depth: How many levels of modules stay open: 0 makes a card of every outermost module call, 1 of every module
            call inside one. None opens all.
        closed: Which modules are closed, whatever their depth.
        fits: Whether a picture is small enough. What is not is folded until it is, as far as that goes; by default
            nothing is.
        compact: Parameters are listed by the ops that use them.
    """
    items = op_items(found, compact)
    if closed is not None:
        items = close_modules(items, closed, failed_calls(found))
    if depth is not None:
        items = fold_modules(items, depth, failed_calls(found))
    if fits is None or not items:
        return connect(found, items or [Item([card]) for card in found.ends()], False)
    return shrink(found, items, fits)


def op_items(found: Record, compact: bool = False) -> list[Item]:
    """An item for each op, in forward order."""
    items = []
    for card in found.cards:
        if card.op is not None:
            labels = tuple(scope.label for scope in card.scope.path()) if card.scope else ()
            signature = card.op.name, card.shape, labels
            items.append(Item([card], scope=card.scope, signature=signature, lists=compact))
    return items


def shrink(found: Record, items: list[Item], fits: Callable[[Plan], bool]) -> Plan:
    """Folds runs, then modules from the innermost to the outermost, and at last the middle, until it fits."""
    every = items
    for depth in reversed(range(1 + max(len(item.path) for item in items))):
        nodes = Nest(items).nodes
        drawn = connect(found, shown_items(items, nodes, {}), True)
        if fits(drawn):
            return unfold(found, items, nodes, drawn, fits)
        items = fold_modules(every, depth, failed_calls(found)) if depth else items
    half = ENOUGH // 2
    while half and not fits(drawn):
        if len(nodes) > 2 * half:
            start, stop = nodes[half].start, nodes[-half].start
            count = sum(item.ops for item in items[start:stop])
            nodes[half:-half] = [Stretch(start, stop, title=f"⋯ {count:,} more ops")]
            drawn = connect(found, shown_items(items, nodes, {}), True)
        half //= 2
    return unfold(found, items, nodes, drawn, fits)


def by_call(items: list[Item], depth: int) -> dict[Scope | Item, list[Item]]:
    """The items of each module call that has `depth` module calls around it; an item in no such call stands alone."""
    calls: dict[Scope | Item, list[Item]] = {}  # a dict keeps the order of the first items
    for item in items:
        calls.setdefault(item.path[depth] if len(item.path) > depth else item, []).append(item)
    return calls


def failed_calls(found: Record) -> set[Scope]:
    """The calls around what failed, which stay open."""
    return set(found.output.scope.path()) if found.failure is not None and found.output.scope else set()


def fold_modules(items: list[Item], depth: int, stay_open: set[Scope]) -> list[Item]:
    """Makes one item of each module call, unless its only card says as much: one op without parameters of its own."""
    found = []
    for call, group in by_call(items, depth).items():
        if isinstance(call, Item):
            found.append(call)
        elif call in stay_open:
            found += fold_modules(group, depth + 1, stay_open)
        elif len(group) == 1 and not any(leaf.kind == "parameter" for leaf in group[0].leaves):
            found.append(replace(group[0], scope=call.parent))
        else:
            found.append(module_item(call, group))
    return found


def close_modules(items: list[Item], closed: Callable[[Module], bool], stay_open: set[Scope]) -> list[Item]:
    """Makes one item of each call of a module for which `closed` is true, the outermost of them."""
    answers: dict[int, bool] = {}  # by id: each module is asked once

    def is_closed(scope: Scope) -> bool:
        module = scope.module
        if module is None or scope in stay_open:
            return False
        if id(module) not in answers:
            answer = closed(module)
            if not isinstance(answer, (bool, np.bool_)):
                what = f"returned {answer!r:.40} for {type(module).__name__}; it must be True or False"
                raise TypeError(f"graph: the function fold {what}")
            answers[id(module)] = bool(answer)
        return answers[id(module)]

    found: dict[Scope | Item, list[Item]] = {}
    for item in items:
        found.setdefault(next(filter(is_closed, item.path), item), []).append(item)
    return [group[0] if isinstance(call, Item) else module_item(call, group) for call, group in found.items()]


def module_item(call: Scope, group: list[Item]) -> Item:
    """A call of a module as one item."""
    cards = [card for item in group for card in item.cards]
    return Item(cards, "module", call.parent, title_of(call), signature=tuple(item.signature for item in group))


def title_of(call: Scope) -> str:
    """What a folded module call is called: "fc1 · Linear(2, 3)"."""
    return f"{call.name} · {call.label}" if call.name else call.label


def unfold(found: Record, items: list[Item], nodes: list[Stretch], best: Plan, fits: Callable[[Plan], bool]) -> Plan:
    """Opens what has the largest blocks, first blocks before last ones, as long as the picture fits."""
    opened: dict[Stretch, list[Stretch]] = {}  # with what is in them
    waiting: list[tuple[int, int, int, Stretch]] = []

    def wait(stretch: Stretch, late: int) -> None:
        if stretch.parts:
            block = stretch.parts[0] if stretch.run else stretch
            heapq.heappush(waiting, (late, block.start - block.stop, stretch.start, stretch))

    for node in nodes:
        wait(node, 0)
    while waiting:
        late, *_, stretch = heapq.heappop(waiting)
        opened[stretch] = opened_parts(items, stretch)
        larger = connect(found, shown_items(items, nodes, opened), True)
        if not fits(larger):
            del opened[stretch]
            continue
        best = larger
        for i, part in enumerate(opened[stretch]):
            is_late = stretch.run and i > 0 and part.stop < len(items)  # the output is not late
            wait(part, late + 1 if is_late else late)
    best.folded = True
    return best


def opened_parts(items: list[Item], stretch: Stretch) -> list[Stretch]:
    """First block, what is between, and last block of a run; or the nodes of a block, in a cluster."""
    if not stretch.run:
        return [replace(part, scope=stretch.cluster or stretch.scope) for part in stretch.parts]
    count, around = len(stretch.parts), common_scope(item.scope for item in items[stretch.start : stretch.stop])
    ends = []
    for place in (0, count - 1):  # steps of a loop, which are not calls of a module, get a cluster
        block, title = stretch.parts[place], f"{place + 1:,} of {count:,}"
        is_step = all(item.scope is around for item in items[block.start : block.stop])
        cluster = Scope("", title, None, stretch.scope or around) if is_step else None
        ends.append(replace(block, title=title, scope=stretch.scope, cluster=cluster))
    first, last = ends
    title = f"⋯ {count - 2:,} more, all alike"
    between = Stretch(first.stop, last.start, run=True, title=title, scope=stretch.scope)
    return [first, between, last] if count > 2 else ends


def shown_items(items: list[Item], nodes: list[Stretch], opened: dict[Stretch, list[Stretch]]) -> list[Item]:
    """What is drawn for all nodes."""
    found = []
    for node in nodes:
        found += shown_items(items, opened[node], opened) if node in opened else [closed_item(items, node)]
    return found


def closed_item(items: list[Item], stretch: Stretch) -> Item:
    """What is drawn for a closed stretch."""
    group = items[stretch.start : stretch.stop]
    if len(group) == 1:
        return replace(group[0], scope=stretch.scope or group[0].scope)
    cards = [card for item in group for card in item.cards]
    around = common_scope(item.scope for item in group)
    if around is not None and not stretch.run:
        neighbours = items[max(stretch.start - 1, 0) : stretch.start] + items[stretch.stop : stretch.stop + 1]
        for scope in around.path():
            if not any(scope in item.path for item in neighbours):  # a whole call
                return Item(cards, "module", scope.parent, title_of(scope))
    return Item(cards, "run" if stretch.run else "part", stretch.scope or around, stretch.title)


def gate_ids(card: Card) -> tuple[str, str]:
    """The ids in DOT of the gate that made a card, where gates are drawn, and of the line between the two."""
    return f"gate-{card.id}", f"wire-{card.id}-out"


def connect(found: Record, results: list[Item], large: bool) -> Plan:
    """Adds leaves, chips and lines to the items of all results; in a `large` graph many leaves become one node."""
    holders = {card: item for item in results for card in item.cards}
    visible = {scope for item in results for scope in item.path}
    before: dict[Item, list[Item]] = {}  # the leaves that stand before the first item that uses them
    users_of: dict[Card, list[Item]] = {}
    for item in results:
        for leaf in item.leaves:
            users_of.setdefault(leaf, []).append(item)
    groups: dict[tuple[str, tuple[Item, ...]], list[Card]] = {}  # leaves of one kind that the same items use
    for leaf, items in users_of.items():
        groups.setdefault((leaf.kind, tuple(items)), []).append(leaf)
    for (_, users), leaves in groups.items():
        first = users[0]
        absorbed = [leaf for leaf in leaves if is_absorbed(leaf, users)]
        first.cards = [*absorbed, *first.cards]
        holders.update(dict.fromkeys(absorbed, first))
        for item in leaf_items([leaf for leaf in leaves if leaf not in holders], users, large, visible):
            holders.update(dict.fromkeys(item.cards, item))
            before.setdefault(first, []).append(item)
    items = [node for item in results for node in (*before.get(item, []), item)]
    links: dict[Hashable, Link] = {}  # for each wire between tensors, and for all between items of which one is folded
    for target in items:
        for wire in [wire for card in target.cards for wire in card.wires]:
            source = holders[wire.source]
            if source is target or (wire.source.op is None and source.ops > 0):
                continue  # within the item; or a shared parameter, listed in the first item that uses it
            key = (source, target) if source.folded or target.folded else wire
            links.setdefault(key, Link(source, target, [])).wires.append(wire)
    used = {wire.source for link in links.values() for wire in link.wires} | {*found.ends()}
    for item in items:
        item.outputs = [card for card in item.cards if card in used]
    return with_chips(items, list(links.values()))


def is_absorbed(leaf: Card, users: Sequence[Item]) -> bool:
    """Whether a leaf goes into the first of the items that use it, if all are folded."""
    if leaf.kind == "parameter" and all(user.lists or user.folded for user in users):
        return True
    if not all(user.folded for user in users):
        return False
    if any(user.kind == "module" for user in users):  # what it was called with stays outside
        is_number = leaf.constant is not None and leaf.value.ndim == 0
        return leaf.kind == "parameter" or is_number or (leaf.scope is not None and len(users) == 1)
    return len(users) == 1


def leaf_items(leaves: list[Card], users: Sequence[Item], large: bool, visible: set[Scope]) -> list[Item]:
    """An item for each leaf, in the innermost of its scopes that is visible; or one for all if they are many."""
    if large and len(leaves) > (LEAVES if len(users) == 1 else SHARED):
        kind = leaves[0].kind
        title = f"{len(leaves):,} data" if kind == "data" else format_count(len(leaves), kind)
        return [Item(leaves, "run", common_scope(leaf.scope for leaf in leaves), title)]
    found = []
    for leaf in leaves:
        scope = users[0].scope if leaf.is_number else leaf.scope
        while scope is not None and scope not in visible:
            scope = scope.parent
        found.append(Item([leaf], scope=scope))
    return found


def with_chips(items: list[Item], links: list[Link]) -> Plan:
    """Leaves with more than two consumers keep the line to the first; the others get a chip each."""
    consumers: dict[Item, dict[Item, list[Link]]] = {}  # of each leaf, with the lines that lead there
    for link in links:
        if not link.source.ops:
            consumers.setdefault(link.source, {}).setdefault(link.target, []).append(link)
    before: dict[Item, list[Item]] = {}
    for leaf, targets in consumers.items():
        card = replace(leaf.cards[0], name=leaf.title, named=True) if leaf.folded else leaf.cards[0]
        for target, lines in list(targets.items())[1:] if len(targets) > 2 else []:
            chip = Item([card], "chip", target.scope)
            before.setdefault(target, []).append(chip)
            for line in lines:
                line.source = chip
    return Plan([node for item in items for node in (*before.get(item, []), item)], links)
