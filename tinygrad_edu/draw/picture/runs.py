"""Runs of alike siblings: repeats in the sequence of ops, found from the inside to the outside.

A neuron of two inputs is m a m a t, its multiplies, adds and tanh. Then three neurons of two inputs and three of four
are

    m a m a t  m a m a t  m a m a t  m a m a m a m a t  m a m a m a m a t  m a m a m a m a t

The hard idea is where one neuron ends. The longest repeat would cut neurons in the middle: the end of each of the first
three and the beginning of the next look like parts of the last three. What repeats most closely is therefore folded
first, each sum to one node: 2t 2t 2t 4t 4t 4t. Now the neurons of one layer differ from those of the next, and are
folded to 3N 3M. (Here two repeats are enough; in a picture it takes four.)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.record import Scope

if TYPE_CHECKING:
    from tinygrad_edu.draw.picture.fold import Item

REPEATS = 4  # blocks that make a run


@dataclass(eq=False)
class Stretch:
    """Items in the order of creation: a single one, a run of alike blocks, or a block."""

    start: int
    stop: int
    sign: Hashable = None  # equal for the same ops, shapes and kinds of operands
    loose: Hashable = None  # equal also where one takes a leaf and the other a result, as the first step of a loop
    parts: list[Stretch] = field(default_factory=list)  # of a run or block; none of what cannot be opened
    run: bool = False  # whether the parts are alike
    title: str = ""  # while it is closed
    scope: Scope | None = None  # the cluster of an opened block around it
    cluster: Scope | None = None  # what it becomes if it is opened


class Nest:
    """Folds items into runs, from the shortest period to the longest, again from the shortest after each fold."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.numbers: dict[Hashable, int] = {}  # of signs, which are nested deeply and compared often
        place = {card.id: i for i, item in enumerate(items) for card in item.cards}
        wires = [[wire for card in item.cards for wire in card.wires] for item in items]
        self.operands = [[place[wire.source.id] for wire in into if wire.source.id in place] for into in wires]
        self.nodes = [
            Stretch(
                i, i + 1, self.number(item.sign, *(wire.source.op is None for wire in into)), self.number(item.sign)
            )
            for i, (item, into) in enumerate(zip(items, wires, strict=True))
        ]
        longest = max(200, 3_000_000 // len(items))
        period, signs = 1, np.array([node.sign for node in self.nodes])
        while period <= min(longest, len(self.nodes) // REPEATS):
            self.fold(period, signs)
            period += 1
            if len(self.nodes) < len(signs):
                period, signs = 1, np.array([node.sign for node in self.nodes])

    def number(self, *sign: Hashable) -> int:
        """A small integer for each sign."""
        return self.numbers.setdefault(sign, len(self.numbers))

    def fold(self, period: int, signs: ndarray) -> None:
        """Makes one node of each run of at least four blocks of `period` nodes."""
        nodes, folded, done = self.nodes, [], 0
        same = np.concatenate([[False], signs[:-period] == signs[period:], [False]]).astype(np.int8)
        edges = np.flatnonzero(np.diff(same))
        for start, stop in zip(edges[::2].tolist(), (edges[1::2] + period).tolist(), strict=True):
            earliest = max(done, start - period)
            start = max(done, start)
            if stop - start < (REPEATS - 1) * period:
                continue
            while start > earliest and nodes[start - 1].loose == nodes[start - 1 + period].loose:
                start -= 1
            start += self.phase(start, period)
            repeats = (stop - start) // period
            if repeats >= REPEATS:
                blocks = [self.block(nodes[start + i * period : start + (i + 1) * period]) for i in range(repeats)]
                folded += [*nodes[done:start], *self.runs(blocks)]
                done = start + repeats * period
        self.nodes = [*folded, *nodes[done:]]

    def phase(self, start: int, period: int) -> int:
        """How much later a run begins, so that its blocks begin where module calls do, or fewest values pass between.

        Found by signs alone, it may begin anywhere: the end of a neuron and the beginning of the next look alike too.
        """
        base, third = self.nodes[start].start, self.nodes[start + 2 * period].start
        last: dict[int, int] = {}  # use of a value, in its block or the next
        for place in range(base, min(third + third - base, len(self.items))):
            last.update((x, place) for x in self.operands[place] if base <= x < third and place - x < third - base)
        passing = np.zeros(2 * (third - base) + 1, int)
        for value, use in last.items():
            passing[value + 1 - base] += 1
            passing[use + 1 - base] -= 1
        passing = np.cumsum(passing)

        def key(i: int) -> tuple[int, int, int]:
            here = self.nodes[start + period + i].start
            before, after = (item.scope.path() if item.scope else [] for item in self.items[here - 1 : here + 1])
            return sum(a is b for a, b in zip(before, after, strict=False)), int(passing[here - base]), i

        return min(map(key, range(period)))[-1]

    def block(self, parts: list[Stretch]) -> Stretch:
        """A block; a single item stays as it is."""
        if len(parts) == 1 and not parts[0].parts:
            return parts[0]
        sign, loose = self.number(*(part.sign for part in parts)), self.number(*(part.loose for part in parts))
        return Stretch(parts[0].start, parts[-1].stop, sign, loose, parts)

    def runs(self, blocks: list[Stretch]) -> list[Stretch]:
        """One run; or one for each group of blocks that uses what the group before made, as equal layers do."""
        starts = [0]
        for i, block in enumerate(blocks):
            first = blocks[starts[-1]].start
            if any(first <= x < block.start for place in range(block.start, block.stop) for x in self.operands[place]):
                starts.append(i)
        sizes = np.diff([*starts, len(blocks)])
        if sizes.max() < REPEATS and (sizes.max() == 1 or sizes.min() < sizes.max()):
            starts = [0]
        groups = [blocks[i:j] for i, j in zip(starts, [*starts[1:], len(blocks)], strict=True)]
        return [x for group in groups for x in ([self.run(group)] if len(group) > 1 else group[0].parts or group)]

    def run(self, blocks: list[Stretch]) -> Stretch:
        """A run of blocks, of which the first may differ in its operands."""
        count = len(blocks)
        sign = self.number("run", count, blocks[0].sign, blocks[1].sign)
        loose = self.number("run", count, blocks[0].loose)
        return Stretch(blocks[0].start, blocks[-1].stop, sign, loose, blocks, True, f"⋯ {count:,} alike")
