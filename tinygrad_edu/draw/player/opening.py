"""A page on which modules, functions and runs of alike blocks open and close, without any network.

Each state is a picture of its own, laid out by Graphviz in advance and packed: twenty pictures of a graph say much the
same, and gzip, which browsers unpack, makes a tenth of them.
"""

from __future__ import annotations

import base64
import gzip
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_edu.checks import check_path
from tinygrad_edu.draw.names import printable
from tinygrad_edu.draw.picture.choice import LEGIBLE, laid_out, letters
from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.picture.notebook import in_a_frame
from tinygrad_edu.draw.picture.painter import Detail, Painter
from tinygrad_edu.draw.picture.svg import NAMESPACE, finish, parse, script_json
from tinygrad_edu.draw.player.parts import Part, State, Tree
from tinygrad_edu.draw.player.player import PICTURE, Player, bounds, lighten
from tinygrad_edu.draw.player.template import fill_page
from tinygrad_edu.files import StrPath, write_atomically

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["Page", "beginning", "page", "tree_of"]

FEW = 12  # ops: more are drawn in compact style, as they would not be legible in full when they are open
DULL = 3  # nodes with ops: so few at the beginning are opened once
BADGE = 6.5  # radius of the sign that says that something opens, in points
FRAME = 640  # height in a notebook, in pixels: there is room for what opens
BAR = 22.0  # height of the heading of an open part
HINT = (
    "Click a card with + to open it, and its heading to close it; drag, ctrl + wheel, pinch or + − 0 and arrows move."
)
ONE_AT_A_TIME = "At each level one part is open at a time."


class Page(Player):
    """A page on which the parts of a graph open and close; in a notebook it shows itself.

    Attributes:
        html, path, title: See Player.
        states: How many layouts it holds.
    """

    def __init__(self, page: str, path: Path | None, title: str, graph: Graph, states: int) -> None:
        super().__init__(page, path, title, graph)
        self.states = states

    def _repr_html_(self) -> str:
        return in_a_frame(self.html, self.title, self._graph.notebook_theme, FRAME)


def page(graph: Graph, path: StrPath | None = None, *, title: str | None = None) -> Page:
    """Makes the page; see Graph.page."""
    name = graph.record.output.name
    what = f"How {name} is computed" if graph.error is None else f"{name}: up to the failure"
    heading = printable(str(title or graph.title or what))
    written = None if path is None else Path(check_path("page: path", path, "page.html"))
    bare = graph.at(graph.mode, title=None)
    style, tree = tree_of(bare)
    states = tree.states()
    opened = beginning(bare, tree, states)
    _, rankdir = laid_out(Painter(bare, tree.plan(opened)[0], style))
    pictures = draw_states(bare, tree, states, style, rankdir, heading)
    keys = [key_of(state) for state in states]
    first = key_of(opened)
    packed = [base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode() for text in pictures]
    data = {
        "parts": [[part.title, part.around.number if part.around else -1] for part in tree.parts],
        "states": dict(zip(keys, packed, strict=True)),
        "first": first, "all": max(keys, key=lambda key: len(key.split(","))), "none": "",
    }  # fmt: skip
    text = fill_page(
        "opening.html", heading, graph.theme, svg=pictures[keys.index(first)], data=script_json(data),
        hint=HINT if tree.any_set else f"{HINT} {ONE_AT_A_TIME}",
    )  # fmt: skip
    if written is not None:
        write_atomically(written, text.encode("utf-8"), folders=True)
    return Page(text, written, heading, graph, len(states))


def tree_of(graph: Graph) -> tuple[Detail, Tree]:
    """The style of the page, and what opens on it; what `fold=` closes stays closed.

    Few ops are drawn in full if what the page begins with is legible on a slide, else all in compact style.
    """
    found, style, fold = graph.record, graph.options["style"], graph.options["fold"]
    stays_closed = fold if callable(fold) else None
    if style == "auto":
        style = "compact"
        if sum(card.op is not None for card in found.cards) <= FEW:
            tree = Tree(found, False, stays_closed)
            size, _ = laid_out(Painter(graph, tree.plan(beginning(graph, tree, tree.states()))[0], "fused"))
            if letters(size, "fused") >= LEGIBLE:
                return "fused", tree
    return style, Tree(found, style == "compact", stays_closed)


def key_of(state: State) -> str:
    """A state as the page calls it: "0,3"."""
    return ",".join(map(str, sorted(part.number for part in state)))


def beginning(graph: Graph, tree: Tree, states: list[State]) -> State:
    """All closed, or the first level if that says too little; what `depth=` or `fold=False` leave open is open."""
    depth, fold = graph.options["depth"], graph.options["fold"]
    if depth is None:
        depth = len(tree.parts) if fold is False else 0
        if not depth and sum(item.ops > 0 for item in tree.plan(State())[0].items) <= DULL:
            depth = 1
    wanted = State(part for part in tree.openable if part.level < depth)
    return max((state for state in states if state <= wanted), key=len)


def draw_states(graph: Graph, tree: Tree, states: list[State], style: Detail, rankdir: str, title: str) -> list[str]:
    """The SVG of each state, all in one direction."""
    drawn = [tree.plan(state) for state in states]
    painters = [Painter(graph, plan, style) for plan, _ in drawn]
    with ThreadPoolExecutor() as pool:
        draw = partial(render, format="svg", timeout=graph.time_limit)
        pictures = list(pool.map(draw, [painter.directed(rankdir).source for painter in painters]))
    found = []
    for picture, painter, (_, cards), state in zip(pictures, painters, drawn, states, strict=True):
        words = finish(picture.decode(), title=title, description=graph.alt_text, theme=graph.theme, prefix=PICTURE)
        root = parse(words)
        closed = {f"{PICTURE}-{item.id}": part for item, part in cards.items() if part.opens}
        opened = {part.scope: part for part in state}
        mark(root, closed, [opened.get(scope) for scope in painter.clusters])
        found.append(ET.tostring(root, encoding="unicode"))
    return found


def mark(root: ET.Element, closed: dict[str, Part], clusters: list[Part | None]) -> None:
    """Makes buttons of the cards that open, and of the headings of clusters that close."""
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib |= {"xmlns": NAMESPACE, "data-size": f"{width} {height}", "role": "group"}
    for attribute in ("width", "height", "style"):  # the page says how large the picture is
        root.attrib.pop(attribute, None)
    groups = list(root.iter("g"))
    for group in groups:
        name = group.get("id", "")
        if name in closed:
            button(group, closed[name])
            group.append(badge(group, "M-3.5 0H3.5M0 -3.5V3.5"))
        elif group.get("class") == "cluster" and (part := clusters[int(name.rpartition("-")[2])]):
            left, top, right, _ = bounds(group)
            bar = {"x": left, "y": top, "width": right - left, "height": BAR, "rx": 6}
            heading = ET.SubElement(groups[0], "g")
            button(heading, part)
            ET.SubElement(heading, "rect", {"class": "bar", **{key: f"{x:g}" for key, x in bar.items()}})
            heading.append(badge(group, "M-3.5 0H3.5"))
    for element in root.iter():
        lighten(element)


def button(group: ET.Element, part: Part) -> None:
    group.attrib |= {"data-part": str(part.number), "tabindex": "0", "role": "button", "aria-label": part.title}


def badge(group: ET.Element, sign: str) -> ET.Element:
    """A sign on the upper right corner of a node or cluster."""
    _, top, right, _ = bounds(group)
    found = ET.Element("g", {"transform": f"translate({right + 1:g} {top - 1:g})"})
    ET.SubElement(found, "circle", {"class": "badge", "r": f"{BADGE:g}"})
    ET.SubElement(found, "path", {"class": "sign", "d": sign})
    return found
