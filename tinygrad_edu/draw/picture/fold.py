"""What of a record is folded: modules into one card each, and runs of alike siblings.

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
from dataclasses import replace

from tinygrad_edu.draw.picture.items import Item, Plan, common_scope, connect, leaves_of
from tinygrad_edu.draw.picture.runs import Nest, Stretch
from tinygrad_edu.draw.record import Card, Record, Scope

__all__ = ["plan"]

FOLD_ABOVE = 150  # tensors: a larger graph is folded without being asked
ENOUGH = 32  # nodes: no further folds are opened
FEW, MANY = 12, 45  # nodes: so few are opened once more, up to so many
MOST = 150  # nodes made by ops: what no run or module makes fewer is cut in the middle


def plan(found: Record, depth: int | None = None) -> Plan:
    """Decides what is drawn.

    Args:
        found: The record.
        depth: How many levels of modules stay open: 0 makes a card of every outermost module call, 1 of every module
            call inside one. None folds only what is too large: more than 150 tensors.

    Returns:
        Every card is in exactly one item; chips, which repeat a leaf, come on top.
    """
    results = [card for card in found.cards if card.op is not None]
    items = [Item([card], scope=card.scope, signature=signature_of(card)) for card in results]
    if depth is not None:
        items = fold_modules(items, depth)
    large = len(found.cards) > FOLD_ABOVE
    if large and len(items) > ENOUGH:
        return shrink(found, items)
    return connect(found, items or [Item([found.output])], large)


def signature_of(card: Card) -> Hashable:
    """Equal for results that look alike: op, shape, and the classes and sizes of the modules around them."""
    assert card.op is not None
    scopes = tuple(scope.label for scope in card.scope.path()) if card.scope else ()
    return card.op.name, card.shape, scopes


def shrink(found: Record, items: list[Item]) -> Plan:
    """Folds runs, then modules from the innermost to the outermost, until the items are few enough to be looked at."""
    nodes, every = Nest(items).nodes, items
    deepest = max(len(item.path) for item in items)
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
    return unfold(found, items, nodes)


def fold_modules(items: list[Item], depth: int) -> list[Item]:
    """Makes one item of each module call that has `depth` module calls around it."""
    calls: dict[Scope | Item, list[Item]] = {}  # or what is in no such call; a dict keeps the order of the first item
    for item in items:
        call = item.path[depth] if len(item.path) > depth else item
        calls.setdefault(call, []).append(item)
    return [call if isinstance(call, Item) else fold_call(call, group) for call, group in calls.items()]


def fold_call(call: Scope, items: list[Item]) -> Item:
    """One item of a module call, unless its only card says as much: one op without parameters of its own."""
    cards = [card for item in items for card in item.cards]
    if len(cards) == 1 and not any(leaf.kind == "parameter" for leaf in leaves_of(cards)):
        return Item(cards, scope=call.parent, signature=items[0].signature)
    signatures = tuple(item.signature for item in items)
    return Item(cards, "module", call.parent, title_of(call), signature=signatures)


def title_of(call: Scope) -> str:
    """What a folded module call is called: "fc1 · Linear(2, 3)"."""
    return f"{call.name} · {call.label}" if call.name else call.label


def unfold(found: Record, items: list[Item], nodes: list[Stretch]) -> Plan:
    """Opens what has the largest blocks, first blocks before last ones, as long as the picture stays small."""
    opened: dict[Stretch, list[Stretch]] = {}  # with what is in them
    waiting: list[tuple[int, int, int, Stretch]] = []

    def wait(stretch: Stretch, late: int) -> None:
        if stretch.parts:
            block = stretch.parts[0] if stretch.run else stretch
            heapq.heappush(waiting, (late, block.start - block.stop, stretch.start, stretch))

    for node in nodes:
        wait(node, 0)
    best = connect(found, items_of(items, nodes, opened), True)
    while waiting:
        late, *_, stretch = heapq.heappop(waiting)
        opened[stretch] = inside_of(items, stretch)
        larger = connect(found, items_of(items, nodes, opened), True)
        if larger.size > (ENOUGH if best.size > FEW else MANY):
            del opened[stretch]
            continue
        best = larger
        for i, part in enumerate(opened[stretch]):
            is_late = stretch.run and i > 0 and part.stop < len(items)  # the output is not late
            wait(part, late + 1 if is_late else late)
    return best


def inside_of(items: list[Item], stretch: Stretch) -> list[Stretch]:
    """First block, what is between, and last block of a run; or the nodes of a block, in a cluster."""
    if not stretch.run:
        return [replace(part, scope=stretch.cluster or stretch.scope) for part in stretch.parts]
    count, around = len(stretch.parts), scope_around(items, stretch)
    first, last = (end_of(items, stretch, place, around) for place in (0, count - 1))
    if count == 2:
        return [first, last]
    title = f"⋯ {count - 2:,} more, all alike"
    return [first, Stretch(first.stop, last.start, run=True, title=title, scope=stretch.scope), last]


def end_of(items: list[Item], run: Stretch, place: int, around: Scope | None) -> Stretch:
    """The first or the last block of a run. If it is a step of a loop, not a call of a module, it has a cluster."""
    block, title = run.parts[place], f"{place + 1:,} of {len(run.parts):,}"
    is_step = all(item.scope is around for item in items[block.start : block.stop])
    cluster = Scope("", title, None, run.scope or around) if is_step else None
    return replace(block, title=title, scope=run.scope, cluster=cluster)


def scope_around(items: list[Item], stretch: Stretch) -> Scope | None:
    """The innermost scope around all items of a stretch."""
    return common_scope(item.scope for item in items[stretch.start : stretch.stop])


def items_of(items: list[Item], nodes: list[Stretch], opened: dict[Stretch, list[Stretch]]) -> list[Item]:
    """What is drawn for all nodes."""
    found = []
    for node in nodes:
        found += items_of(items, opened[node], opened) if node in opened else [item_of(items, node)]
    return found


def item_of(items: list[Item], stretch: Stretch) -> Item:
    """What is drawn for a closed stretch."""
    group = items[stretch.start : stretch.stop]
    if len(group) == 1:
        return replace(group[0], scope=stretch.scope or group[0].scope)
    cards = [card for item in group for card in item.cards]
    around = scope_around(items, stretch)
    if around is not None and not stretch.run:
        neighbours = items[max(stretch.start - 1, 0) : stretch.start] + items[stretch.stop : stretch.stop + 1]
        for scope in around.path():
            if not any(scope in item.path for item in neighbours):  # a whole call
                return Item(cards, "module", scope.parent, title_of(scope))
    return Item(cards, "run" if stretch.run else "part", stretch.scope or around, stretch.title)
