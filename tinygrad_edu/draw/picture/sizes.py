"""How large a picture will be, before Graphviz lays it out.

Letters are taken to be 0.55 of their size wide and 1.2 of it high; the result is right to about a quarter.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

from tinygrad_edu.draw.picture.fold import Item, Link, Plan

__all__ = ["Labels", "Size", "extent", "ranks"]

Size = tuple[float, float]  # width and height, in points

SLACK = 1.3  # ranks are this much broader than their nodes, by lines that pass by
TITLE = 16.0  # height of a cluster's title, in points


@dataclass
class Labels:
    """The sizes of all labels of a picture."""

    heading: Size
    between: Size  # nodes of a rank, and ranks
    nodes: dict[Item, Size] = field(default_factory=dict)
    gates: dict[Item, Size] = field(default_factory=dict)  # before the items that they make
    wires: dict[Link, Size] = field(default_factory=dict)
    levels: list[int] = field(default_factory=list)  # of each cluster, how many are around it
    margin: float = 0.0  # within a cluster

    def picture_size(self, placed: Mapping[Item, int], sideways: bool) -> Size:
        """The size of the picture if its ranks follow each other from left to right, or downwards."""
        flow, cross = (0, 1) if sideways else (1, 0)
        between_nodes, between_ranks = self.between
        lengths = dict.fromkeys(placed.values(), 0.0)  # of ranks, along the flow
        breadths = dict.fromkeys(placed.values(), 0.0)
        gaps = dict.fromkeys(placed.values(), 0.0)  # for labels of lines, before each rank
        for item, rank in placed.items():
            length = self.nodes[item][flow]
            if item in self.gates:
                length += self.gates[item][flow] + between_ranks
            lengths[rank] = max(lengths[rank], length)
            breadths[rank] += self.nodes[item][cross] + between_nodes
        for link, size in self.wires.items():
            rank = placed[link.target]
            gaps[rank] = max(gaps[rank], size[flow])
        length = sum(lengths.values()) + between_ranks * len(lengths) + sum(gaps.values())
        breadth = SLACK * max(breadths.values())
        nested = max(self.levels, default=-1) + 1
        behind = nested + (len(self.levels) - nested) / 2  # of those that are not nested, some stand side by side
        length += 2 * self.margin * behind
        breadth += 2 * self.margin * nested
        width, height = (length, breadth) if sideways else (breadth, length)
        titles = TITLE * (nested if sideways else behind)
        return max(width, self.heading[0]), height + titles + self.heading[1]


def ranks(drawn: Plan) -> dict[Item, int]:
    """The rank that each item stands in, from 0: one after its last operand; leaves just before their first use."""
    found = dict.fromkeys(drawn.items, 0)
    for link in drawn.links:  # in forward order of their targets
        found[link.target] = max(found[link.target], found[link.source] + 1)
    users: dict[Item, list[int]] = {}
    for link in drawn.links:
        users.setdefault(link.source, []).append(found[link.target])
    targets = {link.target for link in drawn.links}
    return found | {item: min(placed) - 1 for item, placed in users.items() if item not in targets}


def extent(label: str) -> Size:
    return measure(ET.fromstring(f"<TD>{label}</TD>"), 11)


def measure(part: ET.Element, size: float) -> Size:
    """Width and height of a table, or of lines of text and tables; `size` is that of the letters."""
    padding = 2 * float(part.get("CELLPADDING", 0))
    if part.tag == "TABLE":
        rows = [[measure(cell, size) for cell in row] for row in part]
        columns = itertools.zip_longest(*rows, fillvalue=(0.0, 0.0))
        width = sum(max(wide for wide, _ in column) + padding for column in columns)
        return width, sum(max(high for _, high in row) + padding for row in rows)
    size = float(part.get("POINT-SIZE", size))
    widths = [0.55 * size * len(part.text or "")]  # of the lines so far
    height, above = 1.2 * size if part.text else 0.0, 0.0  # of the last line, and of those before it
    for child in part:
        if child.tag == "BR":
            widths.append(0.0)
            above += height
            height = 0.0
        wide, high = measure(child, size)
        widths[-1] += wide
        height = max(height, high)
    width, height = max(widths) + padding, above + height + padding
    return max(width, float(part.get("WIDTH", 0))), max(height, float(part.get("HEIGHT", 0)))
