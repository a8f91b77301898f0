"""Writes a graph in DOT: nodes with values and gradients, wires with contributions, clusters for modules.

Wires always run forward in DOT; the backward pass is drawn against them by their arrowheads, so that all modes are laid
out alike (see cards.py). Every node, wire and cluster has an id, which Graphviz hands on to the SVG.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import graphviz
import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import gradient_norm
from tinygrad_edu.draw.picture import cards, markup
from tinygrad_edu.draw.picture.compact import compact_label
from tinygrad_edu.draw.picture.failed import failed_label
from tinygrad_edu.draw.picture.fold import Item, Link, Plan, by_call, gate_ids, title_of
from tinygrad_edu.draw.picture.sizes import Labels, extent
from tinygrad_edu.draw.picture.svg import tooltip_text
from tinygrad_edu.draw.record import no_gradients
from tinygrad_edu.draw.theme import FONT, palette
from tinygrad_edu.draw.verdict import verdict_counts

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph
    from tinygrad_edu.draw.record import Scope

__all__ = ["SPACES", "Detail", "Painter"]

Detail = Literal["gates", "fused", "compact"]

HEAT_MAPS = 200  # nodes: larger pictures have none
THINNEST, THICKEST = 1.4, 3.6  # lines of the backward pass, in points
ODD, FAILED = "NaN or ∞", "failed"  # in the legend

# Where one of their inputs goes elsewhere too, they may stand in any order, so that fewer wires cross. All others stand
# in the order of the operands.
COMMUTATIVE = {"add", "multiply", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "logaddexp2"}


class Space(NamedTuple):
    """What is left free, in points, and the size of arrows."""

    nodes: float  # between those of a rank
    ranks: float
    clusters: float  # within their borders
    edges: float  # around the picture
    arrows: float  # in Graphviz's size


WIDE, NARROW = Space(23, 30, 12, 18, 0.7), Space(12, 12, 5, 7, 0.6)
SPACES: dict[Detail, Space] = {"gates": WIDE, "fused": WIDE, "compact": NARROW}


class Painter:
    """Draws a plan of a graph's record in DOT, in one style, and keeps the sizes of all labels.

    Attributes:
        plan, style: As given.
        into: The DOT, but for the direction.
        labels: Their sizes.
    """

    def __init__(self, graph: Graph, drawn: Plan, style: Detail) -> None:
        self.graph, self.plan, self.style = graph, drawn, style
        self.failure, several = graph.record.failure, len(graph.record.ends()) > 1
        self.look = markup.Look(
            graph.mode, graph.theme, graph.precision, graph.record.output.name, len(drawn.items) <= HEAT_MAPS,
            failed=self.failure is not None, backward=self.failure is None and not several, verdicts=graph.verdicts,
        )  # fmt: skip
        self.space = SPACES[style]
        self.node_names = {item: f"n{i}" for i, item in enumerate(drawn.items)}
        self.clusters: list[Scope] = []  # what is drawn as cluster-0, cluster-1 ...
        uses = Counter(link.source for link in drawn.links)
        self.sharing = {link.target for link in drawn.links if uses[link.source] > 1}  # an input with somebody else
        self.strongest = max((strength(gradients_over(link)) for link in drawn.links), default=0.0)
        heading = self.title_and_legend()
        self.labels = Labels(extent(heading), (self.space.nodes, self.space.ranks), margin=self.space.clusters)
        self.into = graphviz.Digraph(name="graph")
        self.draw(heading)

    def draw(self, heading: str) -> None:
        look = self.look
        nodes, ranks, _, edges = (f"{points / 72:.3g}" for points in self.space[:4])
        self.into.attr(
            nodesep=nodes, ranksep=ranks, outputorder="edgesfirst",
            pad=edges, fontname=FONT, bgcolor=look["paper"], label=f"<{heading}>", labelloc="t", labeljust="l",
        )  # fmt: skip
        self.into.attr("node", shape="plain", fontname=FONT, fontcolor=look["text"])
        self.into.attr("edge", fontname=FONT, arrowsize=f"{self.space.arrows}")
        self.draw_inside(self.into, self.plan.items, 0)
        for link in self.plan.links:
            self.link(link)

    def directed(self, rankdir: str) -> graphviz.Digraph:
        """The DOT of a picture that runs in a direction."""
        whole = self.into.copy()
        whole.attr(rankdir=rankdir)
        return whole

    def draw_inside(self, into: graphviz.Digraph, items: list[Item], level: int) -> None:
        """Nodes with `level` clusters around them, and the clusters that they stand in, which are module calls."""
        look = self.look
        for part, inner in by_call(items, level).items():
            if isinstance(part, Item):
                self.node(into, part)
                continue
            if self.style == "compact" and len(inner) == 1:  # a box around one node: it gets the title instead
                self.node(into, inner[0], title_of(inner[0].path[-1]))
                continue
            number = len(self.clusters)
            cluster = graphviz.Digraph(name=f"cluster_{number}")
            title = " · ".join(shorten(text) for text in (part.name, part.label) if text)
            cluster.attr(
                id=f"cluster-{number}", label=f"<{markup.font(title, look['muted'], 12, 'B')}>", labeljust="l",
                style="rounded,filled", fillcolor=look[f"cluster{min(level, 2) + 1}"], color=look["rule"],
                margin=f"{self.space.clusters:g}", tooltip=tooltip_text(title),
            )  # fmt: skip
            self.clusters.append(part)
            self.labels.levels.append(level)
            self.draw_inside(cluster, inner, level + 1)
            into.subgraph(cluster)

    def node(self, into: graphviz.Digraph, item: Item, title: str = "") -> None:
        """One item: a node, or a gate and a node; `title` is that of the module call that it is all of."""
        look, name, card = self.look, self.node_names[item], item.cards[-1]
        gate, compact = self.has_gate(item), self.style == "compact" and item.kind != "chip"
        if self.failure is not None and card is self.graph.record.output:
            text = failed_label(card, self.failure, look)
        elif compact:
            text = compact_label(item, look, title)
        else:
            text = cards.node_label(item, look, not gate)
        label, self.labels.nodes[item] = f"<{text}>", extent(text)
        full = printable(item.title if item.folded else card.name)
        if item.kind == "chip":
            line = look["parameter" if card.kind == "parameter" else "muted"]
            into.node(
                name, label, id=f"chip-{card.id}-{name[1:]}", shape="box", style="rounded,dashed", color=line,
                margin=".08,.04", height="0", tooltip=tooltip_text(f"{full}, drawn in full where it is first used"),
            )  # fmt: skip
            return
        commutes = not item.folded and card.op is not None and card.op.name in COMMUTATIVE
        order = {} if commutes and item in self.sharing else {"ordering": "in"}
        into.node(name, label, id=item.id, tooltip=tooltip_text(full), **({} if gate else order))
        if gate and card.op is not None:
            text = cards.gate_label(card, look)
            gate_id, out = gate_ids(card)
            self.labels.gates[item] = extent(text)
            into.node(
                f"{name}g", f"<{text}>", id=gate_id, shape="box", color=look["op"], style="rounded,filled",
                fillcolor=look["op"], margin=".14,.06", height="0", tooltip=tooltip_text(card.op.name), **order,
            )  # fmt: skip
            self.into.edge(f"{name}g", name, id=out, **self.line([] if card.gradient is None else [card.gradient]))

    def has_gate(self, item: Item) -> bool:
        """Whether an item's op is drawn as a node of its own."""
        failed = self.failure is not None and item.cards[-1] is self.graph.record.output
        return self.style == "gates" and not item.folded and not failed and item.cards[-1].op is not None

    def link(self, link: Link) -> None:
        wire, look = link.wires[0], self.look
        attributes = self.line(gradients_over(link))
        if self.failure is not None and wire.target is self.graph.record.output:
            attributes |= {"color": look["highlight"], "penwidth": "2.4"}
        if self.style != "compact" and (label := cards.wire_label(link, look)):
            self.labels.wires[link] = extent(label)
            attributes["label"] = f"<{markup.table([[markup.cell(label)]], 3)}>"
        ends = (link.source.title or wire.source.name, link.target.title or wire.target.name)
        tooltip = tooltip_text(" → ".join(map(printable, ends)))
        target = self.node_names[link.target] + ("g" if self.has_gate(link.target) else "")
        self.into.edge(
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
            if zeros := [link for link in self.plan.links if carries_nothing(link)]:
                blocked = any(wire.blocked for link in zeros for wire in link.wires)
                entries.append(("blocked", "blocked, 0 flows back" if blocked else "0 flows back"))
        if words := no_gradients(record, self.graph.options["gradients"] == "grad"):
            entries.append(("data", words))
        if self.failure is not None:
            entries.append(("highlight", FAILED))
        if self.graph.verdicts:
            entries.append(verdict_entry(self.graph))
        shown = [item.cards[-1] for item in self.plan.items]
        arrays = [array for card in shown for array in (card.value, card.gradient) if array is not None]
        if not all(np.isfinite(array).all() for array in arrays):
            entries.append(("highlight", ODD))
        legend = ""
        for part, words in entries:
            visible = part == "value_wire" or words in (ODD, FAILED) or look.mode != "forward"
            inks = (look[part], look["muted"]) if visible else ("transparent", "transparent")
            legend += markup.font("■ ", inks[0], 12) + markup.font(words + "\u2003", inks[1], 11)
        legend += markup.font(self.left_out(), look["muted"], 10, "I")
        rows = [[markup.cell(legend, 'ALIGN="LEFT"')]]
        if self.graph.title:
            text = markup.font(shorten(self.graph.title, 100), look["text"], 18, "B")
            rows.insert(0, [markup.cell(text, 'ALIGN="LEFT" CELLPADDING="2"')])
        return markup.table(rows, 2)

    def left_out(self) -> str:
        """What the picture does not show although it was not asked to leave it out."""
        options, notes = self.graph.options, []
        if self.style == "compact" and options["style"] == "auto":
            notes.append("compact: arrays and formulas left out")
        if self.plan.folded and not isinstance(options["fold"], int):
            notes.append(f"{len(self.graph.record.cards):,} tensors, folded")
        return "; ".join(notes)


def verdict_entry(graph: Graph) -> tuple[str, str]:
    """Colour and words of the legend about what stands in `.grad`."""
    verdicts, output = list(graph.verdicts.values()), graph.record.output
    is_sum = graph.record.seed is not None and output.value.size > 1 and bool((graph.record.seed == 1).all())
    against = f", for the sum of {shorten(output.name, 16)}" if is_sum else ""
    wrong = any(verdict.status == "wrong" for verdict in verdicts)
    return "highlight" if wrong else "gradient_wire", f".grad{against}: {verdict_counts(verdicts)}"


def gradients_over(link: Link) -> list[ndarray]:
    return [wire.contribution for wire in link.wires if wire.contribution is not None]


def carries_nothing(link: Link) -> bool:
    """Whether only zeros flow back over a line."""
    gradients = gradients_over(link)
    return bool(gradients) and not any(gradient.any() for gradient in gradients)


def strength(gradients: list[ndarray]) -> float:
    """The sum of the norms of gradients; 0 if it is not finite."""
    norms = sum(gradient_norm(gradient) for gradient in gradients)
    return norms if np.isfinite(norms) else 0.0
