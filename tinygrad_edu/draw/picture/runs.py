"""Runs of alike siblings: repeats in the sequence of ops, found from the inside to the outside.

A neuron of two inputs is m a m a t: multiplies, adds and tanh. Three of two inputs, then three of four, are

    m a m a t  m a m a t  m a m a t  m a m a m a m a t  m a m a m a m a t  m a m a m a m a t

The longest repeat would cut neurons in the middle: the end of each of the first three and the beginning of the next
look like parts of the last three. So what repeats most closely is folded first, each sum to one node:
2t 2t 2t 4t 4t 4t. Now the layers differ, and are folded to 3N 3M. (In a picture it takes four repeats, here two.)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

if TYPE_CHECKING:
    from tinygrad_edu.draw.picture.fold import Item
    from tinygrad_edu.draw.record import Scope

__all__ = ["Nest", "Stretch"]

REPEATS = 4  # blocks that make a run


@dataclass(eq=False)
class Stretch:
    """Items in the order of creation: a single one, a run of alike blocks, or a block."""

    start: int
    stop: int
    signature: Hashable = None  # equal for the same ops, shapes and kinds of operands
    loose: Hashable = None  # equal also where one takes a leaf and the other a result, as the first step of a loop
    parts: list[Stretch] = field(default_factory=list)  # of a run or block; none of what cannot be opened
    run: bool = False  # whether the parts are alike
    title: str = ""  # while it is closed
    scope: Scope | None = None  # the cluster of an opened block around it
    cluster: Scope | None = None  # what it becomes if it is opened


class Nest:
    """Folds items into runs; its `nodes` are the runs, and the items that are in none."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.codes: dict[Hashable, int] = {}  # of signatures, which are nested deeply and compared often
        self.operands: list[list[int]] = []  # of each item, the places of those that it uses
        self.nodes: list[Stretch] = []
        places = {card: place for place, item in enumerate(items) for card in item.cards}
        for place, item in enumerate(items):
            sources = [wire.source for card in item.cards for wire in card.wires]
            self.operands.append([places[source] for source in sources if source in places])
            kinds = [source.op is None for source in sources]
            signature, loose = self.code(item.signature, *kinds), self.code(item.signature)
            self.nodes.append(Stretch(place, place + 1, signature, loose))
        longest = max(200, 3_000_000 // len(items))
        period, signatures = 1, self.signatures()
        while period <= min(longest, len(self.nodes) // REPEATS):
            self.fold_repeats(period, signatures)
            period += 1
            if len(self.nodes) < len(signatures):  # after each fold again from the shortest period
                period, signatures = 1, self.signatures()

    def code(self, *signature: Hashable) -> int:
        return self.codes.setdefault(signature, len(self.codes))

    def signatures(self) -> ndarray:
        return np.array([node.signature for node in self.nodes])

    def fold_repeats(self, period: int, signatures: ndarray) -> None:
        """Makes one node of each run of at least four blocks of `period` nodes."""
        nodes, folded, done = self.nodes, list[Stretch](), 0
        for start, stop in repeats(signatures, period):
            earliest = max(done, start - period)
            start = max(done, start)
            if stop - start < (REPEATS - 1) * period:
                continue
            while start > earliest and nodes[start - 1].loose == nodes[start - 1 + period].loose:
                start -= 1
            start += self.phase(start, period)
            stop -= (stop - start) % period
            if stop - start < REPEATS * period:
                continue
            blocks = [self.block(nodes[i : i + period]) for i in range(start, stop, period)]
            folded += nodes[done:start]
            for layer in self.layers(blocks):
                folded += [self.run(layer)] if len(layer) > 1 else layer[0].parts or layer
            done = stop
        self.nodes = folded + nodes[done:]

    def phase(self, start: int, period: int) -> int:
        """How much later a run begins, so that its blocks begin where module calls do, or where fewest values pass."""
        base = self.nodes[start].start
        passing = self.passing(base, self.nodes[start + 2 * period].start)

        def cost(shift: int) -> tuple[int, int]:
            here = self.nodes[start + period + shift].start
            before, after = self.items[here - 1].path, self.items[here].path
            return sum(a is b for a, b in zip(before, after, strict=False)), int(passing[here - base])

        return min(range(period), key=cost)

    def passing(self, base: int, stop: int) -> ndarray:
        """How many values, made by items from `base` to `stop`, are used at each place after base or later."""
        length = stop - base  # of two blocks; a use that is further away is in neither its block nor the next
        last: dict[int, int] = {}  # use of a value
        for place in range(base, min(stop + length, len(self.items))):
            for value in self.operands[place]:
                if base <= value < stop and place - value < length:
                    last[value] = place
        change = np.zeros(2 * length + 1, int)
        for value, use in last.items():
            change[value + 1 - base] += 1
            change[use + 1 - base] -= 1
        return np.cumsum(change)

    def block(self, parts: list[Stretch]) -> Stretch:
        """A block; a single item stays as it is."""
        if len(parts) == 1 and not parts[0].parts:
            return parts[0]
        signature = self.code(*(part.signature for part in parts))
        return Stretch(parts[0].start, parts[-1].stop, signature, self.code(*(part.loose for part in parts)), parts)

    def layers(self, blocks: list[Stretch]) -> list[list[Stretch]]:
        """All blocks; or groups of them, each of which uses what the group before made, as equal layers do."""
        groups = [[blocks[0]]]
        for block in blocks[1:]:
            first = groups[-1][0].start
            used = [value for place in range(block.start, block.stop) for value in self.operands[place]]
            if any(first <= value < block.start for value in used):
                groups.append([block])
            else:
                groups[-1].append(block)
        sizes = [len(group) for group in groups]
        return groups if max(sizes) >= REPEATS or 1 < min(sizes) == max(sizes) else [blocks]

    def run(self, blocks: list[Stretch]) -> Stretch:
        """A run of blocks, of which the first may differ in its operands."""
        count = len(blocks)
        signature = self.code("run", count, blocks[0].signature, blocks[1].signature)
        loose = self.code("run", count, blocks[0].loose)
        return Stretch(blocks[0].start, blocks[-1].stop, signature, loose, blocks, True, f"⋯ {count:,} alike")


def repeats(signatures: ndarray, period: int) -> list[tuple[int, int]]:
    """From where to where each node looks like the one `period` places before or after it."""
    same = np.concatenate([[False], signatures[:-period] == signatures[period:], [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(same))
    return list(zip(edges[::2].tolist(), (edges[1::2] + period).tolist(), strict=True))
