"""Writes a graph in DOT: nodes with values and gradients, wires with contributions, clusters for modules.

Wires always run forward in DOT; the backward pass is drawn against them by their arrowheads, so that all modes are laid
out alike (see cards.py). Every node, wire and cluster has an id, which Graphviz hands on to the SVG.

Which direction the picture runs in is decided before Graphviz lays it out, by sizes that are right to about a quarter:
letters are taken to be 0.55 of their size wide and 1.2 of it high.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import graphviz
import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import gradient_norm
from tinygrad_edu.draw.picture import cards
from tinygrad_edu.draw.picture.failed import failed_label
from tinygrad_edu.draw.picture.fold import Item, Link, Plan, by_call, gate_ids
from tinygrad_edu.draw.picture.svg import tooltip_text
from tinygrad_edu.draw.theme import FONT, palette

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["Painter"]

Size = tuple[float, float]  # width and height, in points

GATES = 4  # ops: up to this many, all between single numbers, are drawn as nodes of their own
HEAT_MAPS = 200  # nodes: larger pictures have none
THINNEST, THICKEST = 1.4, 3.6  # lines of the backward pass, in points
RANKS = 7  # up to this many stand side by side, if letters stay legible
SLIDE = 1600.0, 900.0  # points
LARGE, LEGIBLE = 0.9, 0.5  # letters on the slide, as a share of their size
BETWEEN_NODES, BETWEEN_RANKS = 23.0, 30.0  # points, as nodesep and ranksep say in inches
SLACK = 1.3  # ranks are this much broader than their nodes, by lines that pass by and by margins of clusters


class Painter:
    """Writes the DOT statements of a Graph into it, and keeps the sizes of all labels."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.plan = graph, graph.plan
        self.nodes: dict[Item, Size] = {}  # the sizes of labels
        self.gates: dict[Item, Size] = {}  # before the items that they make
        self.wires: dict[Link, Size] = {}
        heat_maps = len(graph.plan.items) <= HEAT_MAPS
        self.failure, output = graph.record.failure, graph.record.output
        failed, several = self.failure is not None, len(graph.record.ends()) > 1
        self.look = cards.Look(
            graph.mode, graph.theme, graph.precision, output.name, heat_maps, failed, backward=not (failed or several)
        )  # fmt: skip
        style, items = graph.options["style"], self.plan.items
        few = sum(item.ops for item in items) <= GATES
        small = few and all(not item.folded and item.cards[0].value.ndim == 0 for item in items)
        self.has_gates = style == "gates" or (style == "auto" and small)
        self.node_names = {item: f"n{i}" for i, item in enumerate(items)}
        self.clusters = 0
        self.strongest = max((strength(gradients_over(link)) for link in self.plan.links), default=0.0)
        self.heading = self.title_and_legend()
        self.heading_size = extent(self.heading)

    def draw(self) -> None:
        look = self.look
        self.graph.attr(
            nodesep=".32", ranksep=".42", ordering="in", outputorder="edgesfirst",
            pad=".25", fontname=FONT, bgcolor=look["paper"], label=f"<{self.heading}>", labelloc="t", labeljust="l",
        )  # fmt: skip
        self.graph.attr("node", shape="plain", fontname=FONT, fontcolor=look["text"])
        self.graph.attr("edge", fontname=FONT, arrowsize=".7")
        self.draw_inside(self.graph, self.plan.items, 0)
        for link in self.plan.links:
            self.link(link)
        rankdir = self.graph.options["rankdir"]
        self.graph.attr(rankdir=self.direction() if rankdir == "auto" else rankdir)

    def draw_inside(self, into: graphviz.Digraph, items: list[Item], level: int) -> None:
        """Nodes with `level` clusters around them, and the clusters that they stand in, which are module calls."""
        look = self.look
        for part, inner in by_call(items, level).items():
            if isinstance(part, Item):
                self.node(into, part)
                continue
            cluster = graphviz.Digraph(name=f"cluster_{self.clusters}")
            title = " · ".join(shorten(text) for text in (part.name, part.label) if text)
            cluster.attr(
                id=f"cluster-{self.clusters}", label=f"<{cards.font(title, look['muted'], 12, 'B')}>", labeljust="l",
                style="rounded,filled", fillcolor=look[f"cluster{min(level, 2) + 1}"], color=look["rule"], margin="12",
                tooltip=tooltip_text(title),
            )  # fmt: skip
            self.clusters += 1
            self.draw_inside(cluster, inner, level + 1)
            into.subgraph(cluster)

    def node(self, into: graphviz.Digraph, item: Item) -> None:
        """One item: a node, or a gate and a node."""
        look, name, card = self.look, self.node_names[item], item.cards[-1]
        gate = self.has_gate(item)
        if self.failure is not None and card is self.graph.record.output:
            text = failed_label(card, self.failure, look)
        else:
            text = cards.node_label(item, look, not gate)
        label, self.nodes[item] = f"<{text}>", extent(text)
        full = printable(item.title if item.folded else card.name)
        if item.kind == "chip":
            line = look["parameter" if card.kind == "parameter" else "muted"]
            into.node(
                name, label, id=f"chip-{card.id}-{name[1:]}", shape="box", style="rounded,dashed", color=line,
                margin=".08,.04", height="0", tooltip=tooltip_text(f"{full}, drawn in full where it is first used"),
            )  # fmt: skip
            return
        into.node(name, label, id=item.id, tooltip=tooltip_text(full))
        if gate and card.op is not None:
            text = cards.gate_label(card, look)
            gate_id, out = gate_ids(card)
            self.gates[item] = extent(text)
            into.node(
                f"{name}g", f"<{text}>", id=gate_id, shape="box", color=look["op"], style="rounded,filled",
                fillcolor=look["op"], margin=".14,.06", height="0", tooltip=tooltip_text(card.op.name),
            )  # fmt: skip
            self.graph.edge(f"{name}g", name, id=out, **self.line([] if card.gradient is None else [card.gradient]))

    def has_gate(self, item: Item) -> bool:
        """Whether an item's op is drawn as a node of its own."""
        failed = self.failure is not None and item.cards[-1] is self.graph.record.output
        return self.has_gates and not item.folded and not failed and item.cards[-1].op is not None

    def link(self, link: Link) -> None:
        wire, look = link.wires[0], self.look
        attributes = self.line(gradients_over(link))
        if self.failure is not None and wire.target is self.graph.record.output:
            attributes |= {"color": look["highlight"], "penwidth": "2.4"}
        if label := cards.wire_label(link, look):
            self.wires[link] = extent(label)
            attributes["label"] = f"<{cards.table([[cards.cell(label)]], 3)}>"
        ends = (link.source.title or wire.source.name, link.target.title or wire.target.name)
        tooltip = tooltip_text(" → ".join(map(printable, ends)))
        target = self.node_names[link.target] + ("g" if self.has_gate(link.target) else "")
        self.graph.edge(
            self.node_names[link.source], target, id=link.id, edgetooltip=tooltip, labeltooltip=tooltip, **attributes,
        )  # fmt: skip

    def line(self, gradients: list[ndarray]) -> dict[str, str]:
        """Colour, style and arrowheads, in this mode, of a line over which these gradients flow back."""
        mode, colours = self.look.mode, palette(self.look.theme)
        if mode == "forward":
            return {"color": colours["value_wire"], "penwidth": "1.6"}
        if not gradients and mode == "both":
            return {"color": colours["value_wire"], "penwidth": "1.2"}
        if not gradients:
            return {"color": colours["data"], "dir": "none", "penwidth": "1"}
        blocked = not any(gradient.any() for gradient in gradients)
        back, tail = (colours["blocked"], "tee") if blocked else (colours["gradient_wire"], "normal")
        if mode == "both":
            return {"color": f"{colours['value_wire']}:{back}", "dir": "both", "arrowtail": tail, "penwidth": "1.6"}
        share = min(strength(gradients) / self.strongest, 1.0) if self.strongest else 0.0
        width = THINNEST + (THICKEST - THINNEST) * share**0.5  # the square root, so that small gradients are seen too
        style = "dotted" if blocked else "dashed"
        return {"color": back, "dir": "back", "arrowtail": tail, "style": style, "penwidth": f"{width:.2f}"}

    def title_and_legend(self) -> str:
        look, record = self.look, self.graph.record
        entries = [("value_wire", "value, forward")]
        if record.seed is not None:
            entries.append(("gradient_wire", "gradient, backward"))
            if zeros := [wire for wire in record.wires() if wire.zero]:
                blocked = any(wire.blocked for wire in zeros)
                entries.append(("blocked", "blocked, 0 flows back" if blocked else "0 flows back"))
        if self.failure is not None:
            entries.append(("highlight", "failed"))
        shown = [item.cards[-1] for item in self.plan.items]
        arrays = [array for card in shown for array in (card.value, card.gradient) if array is not None]
        if not all(np.isfinite(array).all() for array in arrays):
            entries.append(("highlight", "NaN or ∞"))
        legend = ""
        for part, words in entries:
            visible = part in ("value_wire", "highlight") or look.mode != "forward"
            inks = (look[part], look["muted"]) if visible else ("transparent", "transparent")
            legend += cards.font("■ ", inks[0], 12) + cards.font(words + "\u2003", inks[1], 11)
        rows = [[cards.cell(legend, 'ALIGN="LEFT"')]]
        if self.graph.title:
            text = cards.font(shorten(self.graph.title, 100), look["text"], 18, "B")
            rows.insert(0, [cards.cell(text, 'ALIGN="LEFT" CELLPADDING="2"')])
        return cards.table(rows, 2)

    def direction(self) -> str:
        """The one in which letters are larger on a slide; if they would be too small, the narrower, to scroll down."""
        placed = ranks(self.plan)
        sizes = {"LR": self.picture_size(placed, True), "TB": self.picture_size(placed, False)}
        scales = {name: min(SLIDE[0] / width, SLIDE[1] / height) for name, (width, height) in sizes.items()}
        if max(placed.values()) < RANKS and scales["LR"] >= LARGE:
            return "LR"
        best = max(scales, key=lambda name: scales[name])
        return best if scales[best] >= LEGIBLE else min(sizes, key=lambda name: sizes[name][0])

    def picture_size(self, placed: dict[Item, int], sideways: bool) -> Size:
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
        return max(width, self.heading_size[0]), height + self.heading_size[1]


def gradients_over(link: Link) -> list[ndarray]:
    return [wire.contribution for wire in link.wires if wire.contribution is not None]


def strength(gradients: list[ndarray]) -> float:
    """The sum of the norms of gradients; 0 if it is not finite."""
    norms = sum(gradient_norm(gradient) for gradient in gradients)
    return norms if np.isfinite(norms) else 0.0


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
