"""Writes a graph in DOT: nodes with values and gradients, wires with contributions, clusters for modules.

Wires always run forward in DOT; the backward pass is drawn against them by their arrowheads, so that all modes are laid
out alike (see cards.py). Every node, wire and cluster has an id of its own, and so have the cells of a node that change
while the graph is played; Graphviz hands the ids on to the SVG (see svg.link_cells for those of cells).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import graphviz
import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import gradient_norm
from tinygrad_edu.draw.picture import cards
from tinygrad_edu.draw.picture.escaping import tooltip_text
from tinygrad_edu.draw.picture.items import Item, Link, Plan, gate_ids
from tinygrad_edu.draw.picture.sizes import Sizes, extent
from tinygrad_edu.draw.record import Card, Scope
from tinygrad_edu.draw.theme import FONT, palette

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["Painter"]

GATES = 4  # ops: up to this many are drawn as nodes of their own
HEAT_MAPS = 200  # nodes: larger pictures have none
THINNEST, THICKEST = 1.4, 3.6  # lines of the backward pass, in points


class Painter:
    """Writes the DOT statements of a Graph into it, and keeps the sizes of the labels."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.plan, self.sizes = graph, graph.plan, Sizes(graph.plan)
        heat_maps = len(self.plan.items) <= HEAT_MAPS
        output = graph.record.output.name
        self.look = cards.Look(graph.mode, graph.theme, graph.precision, output, heat_maps)
        style = graph.options["style"]
        self.gates = style == "gates" or (style == "auto" and is_small(self.plan))
        self.names = {item: f"n{i}" for i, item in enumerate(self.plan.items)}
        self.contents = contents(self.plan)
        self.clusters = 0
        self.strongest = max((strength(gradients_over(link)) for link in self.plan.links), default=0.0)

    def draw(self) -> None:
        """Fills in the DOT statements."""
        look, heading = self.look, self.heading()
        self.graph.attr(
            nodesep=".32", ranksep=".42", ordering="in", outputorder="edgesfirst",
            pad=".25", fontname=FONT, bgcolor=look["paper"], label=f"<{heading}>", labelloc="t", labeljust="l",
        )  # fmt: skip
        self.graph.attr("node", shape="plain", fontname=FONT, fontcolor=look["text"])
        self.graph.attr("edge", fontname=FONT, arrowsize=".7")
        self.draw_inside(self.graph, None, 0)
        for link in self.plan.links:
            self.link(link)
        self.sizes.heading = extent(heading)
        rankdir = self.graph.options["rankdir"]
        self.graph.attr(rankdir=self.sizes.direction() if rankdir == "auto" else rankdir)

    def draw_inside(self, into: graphviz.Digraph, scope: Scope | None, level: int) -> None:
        """Nodes and clusters of one cluster."""
        for part in self.contents.get(scope, []):
            if isinstance(part, Item):
                self.node(into, part)
            else:
                self.cluster(into, part, level)

    def cluster(self, into: graphviz.Digraph, scope: Scope, level: int) -> None:
        """A module call, with what is in it."""
        look, place = self.look, self.clusters
        self.clusters += 1
        cluster = graphviz.Digraph(name=f"cluster_{place}")
        title = " · ".join(shorten(text) for text in (scope.name, scope.label) if text)
        cluster.attr(
            id=f"cluster-{place}", label=f"<{cards.font(title, look['muted'], 12, 'B')}>", labeljust="l",
            style="rounded,filled", fillcolor=look[f"cluster{min(level, 2) + 1}"], color=look["rule"], margin="12",
            tooltip=tooltip_text(title),
        )  # fmt: skip
        self.draw_inside(cluster, scope, level + 1)
        into.subgraph(cluster)

    def node(self, into: graphviz.Digraph, item: Item) -> None:
        """One item: a node, or a gate and a node."""
        look, name, card = self.look, self.names[item], item.cards[-1]
        gate = self.gates and not item.folded and card.op is not None
        text = cards.node_label(item, look, not gate)
        label, self.sizes.nodes[item] = f"<{text}>", extent(text)
        full = printable(item.title if item.folded else card.name)
        if item.kind == "chip":
            line = look["parameter" if card.kind == "parameter" else "muted"]
            into.node(
                name, label, id=f"chip-{card.id}-{name[1:]}", shape="box", style="rounded,dashed", color=line,
                margin=".08,.04", height="0", tooltip=tooltip_text(f"{full}, drawn in full where it is first used"),
            )  # fmt: skip
            return
        into.node(name, label, id=item.id, tooltip=tooltip_text(full))
        if gate:
            self.sizes.gates[item] = self.gate(into, name, card)

    def gate(self, into: graphviz.Digraph, name: str, card: Card) -> tuple[float, float]:
        """The op before its result, a node of its own; returns the size of its label."""
        assert card.op is not None
        look, (gate, out) = self.look, gate_ids(card)
        text = cards.gate_label(card, look)
        into.node(
            f"{name}g", f"<{text}>", id=gate, shape="box", color=look["op"], style="rounded,filled",
            fillcolor=look["op"], margin=".14,.06", height="0", tooltip=tooltip_text(card.op.name),
        )  # fmt: skip
        self.graph.edge(f"{name}g", name, id=out, **self.line([] if card.gradient is None else [card.gradient]))
        return extent(text)

    def link(self, link: Link) -> None:
        """One line."""
        wire, look = link.wires[0], self.look
        attributes = self.line(gradients_over(link))
        if label := cards.wire_label(link, look):
            self.sizes.wires[link] = extent(label)
            attributes["label"] = f"<{cards.table([[cards.cell(label)]], 3)}>"
        ends = (link.source.title or wire.source.name, link.target.title or wire.target.name)
        tooltip = tooltip_text(" → ".join(map(printable, ends)))
        target = self.names[link.target]
        self.graph.edge(
            self.names[link.source], f"{target}g" if self.gates and not link.target.folded else target,
            id=link.id, edgetooltip=tooltip, labeltooltip=tooltip, **attributes,
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

    def heading(self) -> str:
        """Title and legend."""
        look, legend = self.look, ""
        for part, words in self.legend():
            visible = part in ("value_wire", "highlight") or look.mode != "forward"
            inks = (look[part], look["muted"]) if visible else ("transparent", "transparent")
            legend += cards.font("■ ", inks[0], 12) + cards.font(words + "\u2003", inks[1], 11)
        rows = [[cards.cell(legend, 'ALIGN="LEFT"')]]
        if self.graph.title:
            text = cards.font(shorten(self.graph.title, 100), look["text"], 18, "B")
            rows.insert(0, [cards.cell(text, 'ALIGN="LEFT" CELLPADDING="2"')])
        return cards.table(rows, 2)

    def legend(self) -> list[tuple[str, str]]:
        """Parts of the palette, with what they mean."""
        entries, record = [("value_wire", "value, forward")], self.graph.record
        if record.seed is not None:
            entries.append(("gradient_wire", "gradient, backward"))
            if zeros := [wire for wire in record.wires() if wire.zero]:
                blocked = any(wire.blocked for wire in zeros)
                entries.append(("blocked", "blocked, 0 flows back" if blocked else "0 flows back"))
        shown = [item.cards[-1] for item in self.plan.items]
        arrays = [array for card in shown for array in (card.value, card.gradient) if array is not None]
        if not all(np.isfinite(array).all() for array in arrays):
            entries.append(("highlight", "NaN or ∞"))
        return entries


def is_small(drawn: Plan) -> bool:
    """Whether ops are few, and all between single numbers, so that gates can be nodes of their own."""
    ops = sum(item.ops for item in drawn.items)
    return ops <= GATES and all(not item.folded and item.cards[0].value.ndim == 0 for item in drawn.items)


def contents(drawn: Plan) -> dict[Scope | None, list[Item | Scope]]:
    """What stands directly in each cluster, and what in none (None), in forward order."""
    found: dict[Scope | None, list[Item | Scope]] = {}
    known: set[Scope] = set()
    for item in drawn.items:
        found.setdefault(item.scope, []).append(item)
        for scope in reversed(item.path):
            if scope in known:
                break
            known.add(scope)
            found.setdefault(scope.parent, []).append(scope)
    return found


def gradients_over(link: Link) -> list[ndarray]:
    """What flows back over a line."""
    return [wire.contribution for wire in link.wires if wire.contribution is not None]


def strength(gradients: list[ndarray]) -> float:
    """The sum of the norms of gradients; 0 if it is not finite."""
    norms = sum(gradient_norm(gradient) for gradient in gradients)
    return norms if np.isfinite(norms) else 0.0
