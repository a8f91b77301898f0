"""The picture of a graph, in DOT: nodes with values and gradients, wires with contributions.

`Graph` is a graphviz.Digraph, so everything known of that class works: source, save, render, pipe, and the picture in
a notebook. Wires always run forward in DOT; the backward pass is drawn against them by their arrowheads, so that all
modes are laid out alike (see cards.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

import graphviz
import numpy as np

from tinygrad_edu.draw.names import caller_variables, name_cards, printable, shorten
from tinygrad_edu.draw.numbers import gradient_norm
from tinygrad_edu.draw.picture import cards
from tinygrad_edu.draw.picture.engines import DigraphBase
from tinygrad_edu.draw.picture.fold import Item, Link, Plan, gate_ids, plan
from tinygrad_edu.draw.record import Record, Scope, record
from tinygrad_edu.draw.theme import FONT, Theme, palette
from tinygrad_edu.tensor import Tensor

Mode = cards.Mode
Style = Literal["auto", "gates", "fused"]
Rankdir = Literal["auto", "LR", "TB"]
T = TypeVar("T")

GATES = 4  # ops: up to this many are drawn as nodes of their own
RANKS = 7  # up to this many stand side by side, if letters stay legible
SLIDE = 1600.0, 900.0  # points
LARGE, LEGIBLE = 0.9, 0.5  # letters on the slide, as a share of their size
BETWEEN_NODES, BETWEEN_RANKS = 23.0, 30.0  # points, as nodesep and ranksep say in inches
SLACK = 1.3  # ranks are this much broader than their nodes, by lines that pass by and by margins of clusters
HEAT_MAPS = 200  # nodes: larger pictures have none
THINNEST, THICKEST = 1.4, 3.6  # lines of the backward pass, in points


class Graph(DigraphBase):
    """A picture of how an output was computed, and of how its gradient flows back.

    Tensors without a name are called by the variables that hold them where the picture is asked for. Drawing runs a
    backward pass of its own and changes no `.grad`.

    Args:
        output: A Tensor, of several elements too; or what record(tensor) found.
        mode: "forward" shows values, "backward" gradients too and the wires against the flow, "both" wires both ways;
            nodes stand at the same coordinates in all three.
        style: "gates" draws each op as a node of its own, "fused" joins it to its result, "auto" chooses gates for up
            to 4 ops between single numbers.
        depth: How many levels of modules stay open: 0 makes a card of every outermost module call. None opens all, and
            folds alike parts of graphs above 150 tensors.
        rankdir: "LR" from left to right, "TB" from top to bottom, "auto" takes LR for up to 7 ranks if it fits a slide
            of 16:9, else what makes letters larger there, or what is narrower if neither fits.
        precision: Significant digits, 1 to 17.
        theme: "light", "dark", or "auto", which follows the reader's system.
        names: Tensor -> name or name -> Tensor, stronger than all other names.
        title: A heading, or None.

    Raises:
        ValueError: An option that does not exist.
        TypeError: Something other than a Tensor or a Record.
        RuntimeError: A leaf was updated after it was used; draw before optimizer.step().

    Attributes:
        record: What is drawn.
        plan: What of it is folded.
        mode: As given; so are theme and title.
        options: style, rankdir, depth and precision as given.
    """

    def __init__(
        self,
        output: Tensor | Record,
        *,
        mode: Mode = "both",
        style: Style = "auto",
        depth: int | None = None,
        rankdir: Rankdir = "auto",
        precision: int = 3,
        theme: Theme = "light",
        names: Mapping[Any, Any] | None = None,
        title: str | None = None,
    ) -> None:
        if not isinstance(output, (Tensor, Record)):
            raise TypeError(f"a picture is drawn of a Tensor or a Record, not of {type(output).__name__}")
        super().__init__(name="graph")
        self.record = record(output) if isinstance(output, Tensor) else output
        self.mode: Mode = choose("mode", mode, get_args(Mode))
        self.theme: Theme = choose("theme", theme, get_args(Theme))
        self.title = None if title is None else str(title)
        self.options: dict[str, Any] = {
            "style": choose("style", style, get_args(Style)),
            "rankdir": choose("rankdir", rankdir, get_args(Rankdir)),
            "depth": whole("depth", depth, 0),
            "precision": whole("precision", precision, 1, 17),
        }
        if names is not None or not all(card.name for card in self.record.cards):
            name_cards(self.record, names, caller_variables())
        self.plan = plan(self.record, depth)
        Painter(self).draw()

    @property
    def precision(self) -> int:
        """Significant digits."""
        return int(self.options["precision"])

    def forward(self, **changes: Any) -> Graph:
        """The forward pass at the same coordinates, unless other options than theme and title are changed."""
        return self.at("forward", **changes)

    def backward(self, **changes: Any) -> Graph:
        """The backward pass at the same coordinates; see forward()."""
        return self.at("backward", **changes)

    def both(self, **changes: Any) -> Graph:
        """Both passes at the same coordinates; see forward()."""
        return self.at("both", **changes)

    def copy(self) -> Graph:
        """The same picture once more."""
        return self.at(self.mode)

    def at(self, mode: Mode, **changes: Any) -> Graph:
        """The same graph in another mode."""
        return Graph(self.record, mode=mode, **{"theme": self.theme, "title": self.title, **self.options, **changes})

    def frames(self, pattern: str) -> Any:
        """Writes one SVG for each step, for slides.

        Args:
            pattern: A path with a place for the number of the step: "step_{:02d}.svg".

        Returns:
            The paths.
        """
        from tinygrad_edu.draw.player.player import frames

        return frames(self, pattern)

    def player(self, path: Any = None, **options: Any) -> Any:
        """Writes a page that plays the forward and backward pass step by step; it needs no network.

        Args:
            path: Where the page is written; None shows it in a notebook only.
            options: As of tinygrad_edu.draw.player.player.
        """
        from tinygrad_edu.draw.player.player import player

        return player(self, path, **options)

    @property
    def alt_text(self) -> str:
        """The picture in words, for screen readers."""
        from tinygrad_edu.draw.explain.alt_text import alt_text

        return alt_text(self.record, self.title)

    def text(self) -> str:
        """The graph as an indented tree, for a terminal."""
        from tinygrad_edu.draw.explain.tree import tree

        return tree(self.record, precision=self.precision)

    def __str__(self) -> str:
        return self.text()


class Painter:
    """Writes the DOT statements of a Graph into it."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.plan = graph, graph.plan
        heat_maps = len(self.plan.items) <= HEAT_MAPS
        output = graph.record.output.name
        self.look = cards.Look(graph.mode, graph.theme, graph.precision, output, heat_maps)
        style = graph.options["style"]
        self.gates = style == "gates" or (style == "auto" and is_small(self.plan))
        self.names = {item: f"n{i}" for i, item in enumerate(self.plan.items)}
        self.clusters = 0
        self.sizes: dict[Item, tuple[float, float]] = {}
        self.gate_sizes: dict[Item, tuple[float, float]] = {}
        self.label_sizes: dict[Link, tuple[float, float]] = {}
        self.strongest = max((strength(link) for link in self.plan.links), default=0.0)

    def draw(self) -> None:
        """Fills in the DOT statements."""
        look = self.look
        self.graph.attr(
            nodesep=".32", ranksep=".42", ordering="in", outputorder="edgesfirst",
            pad=".25", fontname=FONT, bgcolor=look["paper"], label=self.heading(), labelloc="t", labeljust="l",
        )  # fmt: skip
        self.graph.attr("node", shape="plain", fontname=FONT, fontcolor=look["text"])
        self.graph.attr("edge", fontname=FONT, arrowsize=".7")
        inside: dict[Scope | None, list[Item | Scope]] = {}
        known: set[Scope] = set()
        for item in self.plan.items:
            inside.setdefault(item.scope, []).append(item)
            for scope in reversed(item.scope.path() if item.scope else []):
                if scope in known:
                    break
                known.add(scope)
                inside.setdefault(scope.parent, []).append(scope)
        self.fill(self.graph, None, inside, 0)
        for link in self.plan.links:
            self.link(link)
        self.graph.attr(rankdir=self.direction())

    def fill(self, into: Any, scope: Scope | None, inside: dict[Scope | None, list[Item | Scope]], level: int) -> None:
        """Nodes and clusters of one cluster."""
        look = self.look
        for part in inside.get(scope, []):
            if isinstance(part, Item):
                self.node(into, part)
                continue
            number = self.clusters
            self.clusters += 1
            cluster = graphviz.Digraph(name=f"cluster_{number}")
            title = " · ".join(shorten(text) for text in (part.name, part.label) if text)
            cluster.attr(
                id=f"cluster-{number}", label=f"<{cards.font(title, look['muted'], 12, 'B')}>", labeljust="l",
                style="rounded,filled", fillcolor=look[f"cluster{min(level, 2) + 1}"], color=look["rule"], margin="12",
                tooltip=quote(title),
            )  # fmt: skip
            self.fill(cluster, part, inside, level + 1)
            into.subgraph(cluster)

    def node(self, into: Any, item: Item) -> None:
        """One item: a node, or a gate and a node."""
        look, name = self.look, self.names[item]
        card = item.cards[-1]
        op = card.op if self.gates and not item.folded else None
        text = cards.node_label(item, look, op is None)
        label, self.sizes[item] = f"<{text}>", cards.extent(text)
        full = printable(item.title if item.folded else card.name)
        if item.kind == "chip":
            line = look["parameter" if card.kind == "parameter" else "muted"]
            into.node(
                name, label, id=f"chip-{card.id}-{name[1:]}", shape="box", style="rounded,dashed", color=line,
                margin=".08,.04", height="0", tooltip=quote(f"{full}, drawn in full where it is first used"),
            )  # fmt: skip
            return
        into.node(name, label, id=item.id, tooltip=quote(full))
        if op is not None:
            gate, out = gate_ids(card)
            text = cards.gate_label(card, look)
            self.gate_sizes[item] = cards.extent(text)
            into.node(
                f"{name}g", f"<{text}>", id=gate, shape="box", color=look["op"],
                style="rounded,filled", fillcolor=look["op"], margin=".14,.06", height="0", tooltip=quote(op.name),
            )  # fmt: skip
            flow = self.line(False, False, 1.0)
            if card.gradient is not None:
                flow = self.line(True, not card.gradient.any(), self.width(gradient_norm(card.gradient)))
            self.graph.edge(f"{name}g", name, id=out, **flow)

    def link(self, link: Link) -> None:
        """One line."""
        look, wire = self.look, link.wires[0]
        parts = [wire.contribution for wire in link.wires if wire.contribution is not None]
        blocked = bool(parts) and not any(part.any() for part in parts)
        gate = self.gates and not link.target.folded
        label = cards.wire_label(link, look)
        attributes = self.line(bool(parts), blocked, self.width(strength(link)) if parts else 1.0)
        if label:
            self.label_sizes[link] = cards.extent(label)
            attributes["label"] = f"<{cards.table([[cards.cell(label)]], 3)}>"
        ends = (link.source.title or wire.source.name, link.target.title or wire.target.name)
        tooltip = quote(" → ".join(map(printable, ends)))
        self.graph.edge(
            self.names[link.source], self.names[link.target] + ("g" if gate else ""),
            id=link.id, edgetooltip=tooltip, labeltooltip=tooltip, **attributes,
        )  # fmt: skip

    def width(self, carried: float) -> float:
        """The width of a line of the backward pass; by the square root, so that small gradients are still seen."""
        share = min(carried / self.strongest, 1.0) if self.strongest else 0.0
        return THINNEST + (THICKEST - THINNEST) * float(share**0.5)

    def line(self, flows: bool, blocked: bool, width: float) -> dict[str, str]:
        """Colour, style and arrowheads of a line in this mode."""
        look = self.look
        value, gradient = look["value_wire"], palette(self.look.theme)["blocked" if blocked else "gradient_wire"]
        tail = "tee" if blocked else "normal"
        if self.look.mode == "forward":
            return {"color": value, "penwidth": "1.6"}
        if self.look.mode == "both":
            if not flows:
                return {"color": value, "penwidth": "1.2"}
            return {"color": f"{value}:{gradient}", "dir": "both", "arrowtail": tail, "penwidth": "1.6"}
        if not flows:
            return {"color": look["data"], "dir": "none", "penwidth": "1"}
        line = "dotted" if blocked else "dashed"
        return {"color": gradient, "dir": "back", "arrowtail": tail, "style": line, "penwidth": f"{width:.2f}"}

    def heading(self) -> str:
        """Title and legend."""
        look = self.look
        entries = [("value_wire", "value, forward"), ("gradient_wire", "gradient, backward")]
        if self.graph.record.seed is None:
            del entries[1]
        elif zeros := [wire for wire in self.graph.record.wires() if wire.zero]:
            blocked = any(wire.blocked for wire in zeros)
            entries.append(("blocked", "blocked, 0 flows back" if blocked else "0 flows back"))
        shown = [item.cards[-1] for item in self.plan.items]
        if any(not np.isfinite(x).all() for card in shown for x in (card.value, card.gradient) if x is not None):
            entries.append(("highlight", "NaN or ∞"))
        legend = ""
        for part, words in entries:
            visible = part in ("value_wire", "highlight") or self.look.mode != "forward"
            inks = (look[part], look["muted"]) if visible else ("transparent", "transparent")
            legend += cards.font("■ ", inks[0], 12) + cards.font(words + "\u2003", inks[1], 11)
        rows = [[cards.cell(legend, 'ALIGN="LEFT"')]]
        if self.graph.title:
            text = cards.font(shorten(self.graph.title, 100), look["text"], 18, "B")
            rows.insert(0, [cards.cell(text, 'ALIGN="LEFT" CELLPADDING="2"')])
        return f"<{cards.table(rows, 2)}>"

    def direction(self) -> str:
        """The one in which letters are larger on a slide; if they would be too small, the narrower, to scroll down."""
        if self.graph.options["rankdir"] != "auto":
            return str(self.graph.options["rankdir"])
        placed = ranks(self.plan)
        sizes = {rankdir: self.size(placed, rankdir == "LR") for rankdir in ("LR", "TB")}
        scales = {rankdir: min(SLIDE[0] / width, SLIDE[1] / height) for rankdir, (width, height) in sizes.items()}
        if max(placed.values()) < RANKS and scales["LR"] >= LARGE:
            return "LR"
        best = max(scales, key=lambda rankdir: scales[rankdir])
        return best if scales[best] >= LEGIBLE else min(sizes, key=lambda rankdir: sizes[rankdir][0])

    def size(self, placed: dict[Item, int], sideways: bool) -> tuple[float, float]:
        """About the width and height of the picture if its ranks follow each other from left to right, or downwards."""
        flow, cross = (0, 1) if sideways else (1, 0)
        nodes: dict[int, list[tuple[float, float]]] = {}
        gaps = dict.fromkeys(placed.values(), 0.0)
        for item, rank in placed.items():
            size, gate = self.sizes[item], self.gate_sizes.get(item)
            along = size[flow] + (gate[flow] + BETWEEN_RANKS if gate else 0)
            nodes.setdefault(rank, []).append((along, size[cross] + BETWEEN_NODES))
        for link, size in self.label_sizes.items():
            gaps[placed[link.target]] = max(gaps[placed[link.target]], size[flow])
        rows = nodes.values()
        length = sum(max(along for along, _ in row) + BETWEEN_RANKS for row in rows) + sum(gaps.values())
        breadth = SLACK * max(sum(across for _, across in row) for row in rows)
        width, height = (length, breadth) if sideways else (breadth, length)
        wide, high = cards.extent(self.heading()[1:-1])
        return max(width, wide), height + high


def choose(name: str, value: T, allowed: tuple[T, ...]) -> T:
    """The value, if it is allowed."""
    if value not in allowed:
        raise ValueError(f"graph: {name} is {value!r}; choose from {', '.join(map(repr, allowed))}")
    return value


def whole(name: str, value: int | None, least: int, most: int | None = None) -> int | None:
    """The value, if it is an integer in the range; None is allowed for what has no upper end."""
    if value is None and most is None:
        return None
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least or (most and value > most):
        wanted = f"an integer from {least} to {most}" if most else f"an integer from {least} on, or None"
        raise ValueError(f"graph: {name} is {value!r}; it has to be {wanted}")
    return int(value)


def quote(text: str) -> str:
    """A text for a tooltip: its backslashes and ampersands are no escapes of DOT, and <...> is no HTML."""
    text = shorten(text, 600).replace("&", "&amp;").replace("\\", "\\\\")  # which tooltips read twice
    escaped: str = graphviz.escape(text)  # of a class that says that it is no HTML, which str() would undo
    return escaped


def is_small(drawn: Plan) -> bool:
    """Whether ops are few, and all between single numbers, so that gates can be nodes of their own."""
    ops = sum(item.ops for item in drawn.items)
    return ops <= GATES and all(not item.folded and item.cards[0].value.ndim == 0 for item in drawn.items)


def strength(link: Link) -> float:
    """The length of the gradient that comes over a line."""
    with np.errstate(all="ignore"):
        parts = [wire.contribution for wire in link.wires if wire.contribution is not None]
        total = sum(gradient_norm(part) for part in parts)
    return total if np.isfinite(total) else 0.0


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
