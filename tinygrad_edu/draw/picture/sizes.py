"""About how large a picture will be, before Graphviz lays it out, and in which direction it should run.

Letters are taken to be 0.55 of their size wide and 1.2 of it high. The result is right to about a quarter, which is
enough to choose between two directions.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from tinygrad_edu.draw.picture.items import Item, Link, Plan

__all__ = ["Sizes", "extent", "ranks"]

Size = tuple[float, float]  # width and height, in points

RANKS = 7  # up to this many stand side by side, if letters stay legible
SLIDE = 1600.0, 900.0  # points
LARGE, LEGIBLE = 0.9, 0.5  # letters on the slide, as a share of their size
BETWEEN_NODES, BETWEEN_RANKS = 23.0, 30.0  # points, as nodesep and ranksep say in inches
SLACK = 1.3  # ranks are this much broader than their nodes, by lines that pass by and by margins of clusters


@dataclass
class Sizes:
    """The sizes of all labels of a picture."""

    plan: Plan
    heading: Size = (0.0, 0.0)  # title and legend
    nodes: dict[Item, Size] = field(default_factory=dict)
    gates: dict[Item, Size] = field(default_factory=dict)  # before the items that they make
    wires: dict[Link, Size] = field(default_factory=dict)

    def direction(self) -> str:
        """The one in which letters are larger on a slide; if they would be too small, the narrower, to scroll down."""
        placed = ranks(self.plan)
        sizes = {"LR": self.picture(placed, True), "TB": self.picture(placed, False)}
        scales = {name: min(SLIDE[0] / width, SLIDE[1] / height) for name, (width, height) in sizes.items()}
        if max(placed.values()) < RANKS and scales["LR"] >= LARGE:
            return "LR"
        best = max(scales, key=lambda name: scales[name])
        return best if scales[best] >= LEGIBLE else min(sizes, key=lambda name: sizes[name][0])

    def picture(self, placed: dict[Item, int], sideways: bool) -> Size:
        """The size of the picture if its ranks follow each other from left to right, or downwards."""
        flow, cross = (0, 1) if sideways else (1, 0)
        lengths = dict.fromkeys(placed.values(), 0.0)  # of ranks, along the flow
        breadths = dict.fromkeys(placed.values(), 0.0)
        gaps = dict.fromkeys(placed.values(), 0.0)  # for labels of lines, before each rank
        for item, rank in placed.items():
            length = self.nodes[item][flow]
            if item in self.gates:
                length += self.gates[item][flow] + BETWEEN_RANKS
            lengths[rank] = max(lengths[rank], length)
            breadths[rank] += self.nodes[item][cross] + BETWEEN_NODES
        for link, size in self.wires.items():
            rank = placed[link.target]
            gaps[rank] = max(gaps[rank], size[flow])
        length = sum(lengths.values()) + BETWEEN_RANKS * len(lengths) + sum(gaps.values())
        breadth = SLACK * max(breadths.values())
        width, height = (length, breadth) if sideways else (breadth, length)
        return max(width, self.heading[0]), height + self.heading[1]


def ranks(drawn: Plan) -> dict[Item, int]:
    """The rank that each item stands in, from 0: one after its last operand; leaves just before their first use."""
    into: dict[Item, list[Item]] = {}
    for link in drawn.links:
        into.setdefault(link.target, []).append(link.source)
    found = dict.fromkeys(drawn.items, 0)
    for item in drawn.items:
        found[item] = max((found[source] + 1 for source in into.get(item, [])), default=0)
    users: dict[Item, list[int]] = {}
    for link in drawn.links:
        users.setdefault(link.source, []).append(found[link.target])
    return found | {item: min(placed) - 1 for item, placed in users.items() if item not in into}


def extent(label: str) -> Size:
    """About how wide and high a label will be."""
    return measure(ET.fromstring(f"<TD>{label}</TD>"), 11)


def measure(part: ET.Element, size: float) -> Size:
    """Width and height of a table, or of lines of text and tables; `size` is that of the letters."""
    if part.tag == "TABLE":
        padding = 2 * float(part.get("CELLPADDING", 0))
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
    padding = 2 * float(part.get("CELLPADDING", 0))
    width, height = max(widths) + padding, above + height + padding
    return max(width, float(part.get("WIDTH", 0))), max(height, float(part.get("HEIGHT", 0)))
