"""The step player: one HTML page, without any network, that plays the forward and the backward pass of a graph.

Going backwards has to restore every step exactly. So nothing is ever done or undone: each part of the picture says from
which step on it is there, and until when, and a step shows what is there then. Slides are made in the same way.

    <text data-from="5" data-until="7">     a sum so far: in steps 5 and 6, then the next one stands there

The parts are found by the ids that painter.py and cards.py give to nodes, wires and cells; the two lines of an edge,
which share an id, by their colour. `data-part` says how a part looks while it is not there: a "node", a "wire" and a
line "back" are pale, all else is hidden.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from numpy import ndarray

from tinygrad_edu.checks import check_choice, check_path
from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.picture.arrays import number_rows
from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.picture.notebook import in_a_frame, mimebundle
from tinygrad_edu.draw.picture.paper import ENDINGS, Paper, ending, file_of, lay_on
from tinygrad_edu.draw.picture.svg import NAMESPACE, NUMBER, finish, link_cells, parse, script_json, xml_text
from tinygrad_edu.draw.player.steps import Script, Step, script
from tinygrad_edu.draw.player.template import fill_page
from tinygrad_edu.draw.theme import palette
from tinygrad_edu.files import StrPath, write_atomically

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["PICTURE", "Player", "bounds", "frames", "lighten", "player"]

PICTURE = "picture"  # the id of the SVG, and the beginning of all ids in it
PALE = {"node": "0.4", "wire": "0.2", "back": "0.14"}  # opacity of what is not there yet, elsewhere hidden
CAPTION = 44.0  # height of a slide's caption, in points
HINT = 'such as "step_{:02d}.svg"'
KNOWN = '".svg", ".png" or ".pdf"'


class Player:
    """A page that plays a graph; in a notebook it shows itself, in a frame of its own, and on paper as a picture.

    Attributes:
        html: The page.
        path: Where it was written; None if it was not.
        title: Its heading.
    """

    def __init__(self, page: str, path: Path | None, title: str, graph: Graph) -> None:
        self.html, self.path, self.title, self._graph = page, path, title, graph

    def _repr_html_(self) -> str:
        return in_a_frame(self.html, self.title, self._graph.notebook_theme)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, Any]]:
        """The frame and, for paper and for readers without scripts, the picture."""
        still, sizes = mimebundle(self._graph, {"image/png", "application/pdf"})
        return {"text/html": self._repr_html_(), **still, "text/plain": repr(self)}, sizes

    def __repr__(self) -> str:
        where = f", written to {self.path}" if self.path else ""
        return f"{type(self).__name__}({self.title!r}{where})"


def player(graph: Graph, path: StrPath | None = None, *, title: str | None = None) -> Player:
    """Makes the page; see Graph.player."""
    found = script(graph)
    both = "forward and backward" if graph.record.seed is not None else "forward"
    what = both if graph.mode == "both" else graph.mode
    what = what if graph.error is None else "forward, up to the failure"
    written = None if path is None else Path(check_path("player: path", path, "player.html"))
    title = printable(str(title or graph.title or f"{graph.record.output.name}: {what}"))
    svg = marked(graph, found, None, title)
    for attribute in ("width", "height", "style"):  # the page says how large the picture is
        svg.attrib.pop(attribute, None)
    for element in svg.iter():
        lighten(element)
    totals, so_far = Counter(step.phase for step in found.steps), Counter[str]()
    steps: list[object] = []
    for step in found.steps:
        so_far[step.phase] += 1
        place = f"{step.phase} {so_far[step.phase]} of {totals[step.phase]}" if step.phase != "start" else "start"
        steps.append({**vars(step), "place": place})
    text = fill_page(
        "player.html", title, graph.theme, svg=ET.tostring(svg, encoding="unicode"), steps=script_json(steps)
    )
    if written is not None:
        write_atomically(written, text.encode("utf-8"), folders=True)
    return Player(text, written, title, graph)


def frames(graph: Graph, pattern: StrPath, size: Paper = "picture") -> list[Path]:
    """Writes the slides; see Graph.frames."""
    check_choice("frames: size", size, get_args(Paper))
    found, pattern = script(graph), check_path("frames: pattern", pattern, "step_{:02d}.svg")
    count = len(found.steps)
    try:
        names = [pattern.format(i) for i in range(count)]
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(f"frames: {pattern!r} does not say where the number goes ({error}): {HINT}") from error
    if len(set(names)) < count:
        how = f"give the pattern a place for the number of the step, {HINT}"
        raise ValueError(f"frames: all {count} steps would be written to {names[0]!r}, one over the other: {how}")
    for name in names:
        if ending(name) not in ENDINGS:
            what = f"ends in .{ending(name)}" if ending(name) else "has no ending"
            raise ValueError(f"frames: {name!r} {what}, which says no kind of picture: let it end in {KNOWN}")
    title = graph.title or shorten(graph.record.output.name)
    root = marked(graph, found, graph.title, title)
    width, height = (float(x) for x in root.attrib["viewBox"].split()[2:])
    root.set("viewBox", f"0 0 {width:g} {height + CAPTION:g}")
    root.attrib.update({"width": f"{width:g}pt", "height": f"{height + CAPTION:g}pt"})

    def write(i: int) -> Path:
        path, step, slide = Path(names[i]), found.steps[i], deepcopy(root)
        freeze(slide, i, step)
        for words in slide.findall("title"):
            words.text = xml_text(f"{title}: {step.equation}")
        caption(slide, step, palette(graph.theme), width, height)
        lay_on(slide, size, palette(graph.theme)["paper"])
        write_atomically(path, file_of(slide, ending(path), graph.time_limit), folders=True)
        return path

    with ThreadPoolExecutor() as pool:
        return list(pool.map(write, range(count)))


def lighten(element: ET.Element) -> None:
    """Leaves out what a browser knows without it: a page of many heat maps is a third smaller then."""
    classes = element.get("class", "")
    for name, default in (("fill", ""), ("stroke", "none"), ("text-anchor", "start")):
        if element.get(name) == default or f"{name}-" in classes:  # the class has the colour, for either theme
            element.attrib.pop(name, None)
    for name in {"points", "d", "x", "y", "font-size"} & element.attrib.keys():
        element.set(name, NUMBER.sub(lambda match: f"{round(float(match[0]), 1):g}", element.attrib[name]))
    points = element.get("points", "").split()
    if element.tag == "polygon" and len(points) > 2 and points[0] == points[-1]:  # it closes itself
        element.set("points", " ".join(points[:-1]))


def marked(graph: Graph, found: Script, heading: str | None, title: str) -> ET.Element:
    """The drawn picture, each part of which says when it is there."""
    svg = render(link_cells(graph.at(graph.mode, title=heading).source), "svg").decode()
    root = parse(finish(svg, title=title, description=graph.alt_text, theme=graph.theme, prefix=PICTURE))
    root.set("xmlns", NAMESPACE)
    for group in list(root.iter("g")):
        if group.get("class") == "edge":
            mark_wire(group, found)
        elif group.get("class") == "node":
            mark_node(group, found, graph.precision)
            group.append(ring(group, palette(graph.theme)["highlight"]))
    return root


def dot_id(group: ET.Element) -> str:
    """The id that the DOT gave a node, a wire or a cell."""
    return group.get("id", "").removeprefix(f"{PICTURE}-")


def appear(element: ET.Element, start: int | None) -> None:
    """Says from when on a part is there; it always is if `start` is None."""
    if start is not None:
        element.set("data-from", str(start))


def mark_wire(group: ET.Element, found: Script) -> None:
    """Lines are pale until something flows over them; labels, which are all about the gradient, are hidden.

    DOT gives both lines of an edge one id; only their colour tells them apart.
    """
    name = dot_id(group)
    for element in shapes(group):
        forward = not {"stroke-value_wire", "stroke-highlight"}.isdisjoint(element.get("class", "").split())
        element.set("data-part", "label" if element.tag == "text" else "wire" if forward else "back")
        appear(element, found.values.get(name) if forward else found.flows.get(name))


def mark_node(group: ET.Element, found: Script, precision: int) -> None:
    """A node is pale until it has its value; numbers are hidden until they are there, their labels are not."""
    name = dot_id(group)
    if name in found.values:
        group.set("data-part", "node")
        appear(group, found.values[name])
    events = found.gradients.get(name, [])
    arrived = events[-1][0] if events else None
    for cell in list(group.iter("g")):
        part = dot_id(cell).removeprefix(f"{name}-").partition("-")[0]  # see cards.py
        if part == "value":
            appear(cell, found.values.get(name))
        elif part == "gradient":
            appear(cell, arrived)
            add_sums(group, list(cell.iter("text")), events, precision)
        elif part == "sum":
            for text in cell.iter("text"):  # the colour of the row is there from the beginning
                appear(text, arrived)
        elif part in ("own", "norm"):
            appear(cell, found.cells.get(dot_id(cell)))


def add_sums(group: ET.Element, texts: list[ET.Element], events: list[tuple[int, ndarray]], precision: int) -> None:
    """While contributions still arrive, their sum so far stands where the gradient will."""
    for count, ((start, so_far), (stop, _)) in enumerate(pairwise(events), 1):
        if start == stop:
            continue
        words = [text for row in number_rows(so_far, precision) for text in row]
        if len(words) != len(texts):  # what stands there are statistics, or lines that end elsewhere
            words = [f"{count} of {len(events)} contributions"]
        for text, word in zip(texts, words, strict=False):
            copy = deepcopy(text)
            copy.text = word
            copy.attrib |= {"data-part": "sum", "data-from": str(start), "data-until": str(stop)}
            group.append(copy)


def bounds(group: ET.Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the shapes of a node or cluster."""
    found = [float(x) for shape in shapes(group) for x in NUMBER.findall(shape.get("points") or shape.get("d") or "")]
    xs, ys = found[::2] or [0.0], found[1::2] or [0.0]
    return min(xs), min(ys), max(xs), max(ys)


def ring(group: ET.Element, colour: str) -> ET.Element:
    """The frame around a node that a step is about."""
    left, top, right, bottom = bounds(group)
    size = {"x": left - 3, "y": top - 3, "width": right - left + 6, "height": bottom - top + 6}
    attributes = {"fill": "none", "stroke": colour, "stroke-width": "4", "rx": "5", "visibility": "hidden"}
    return ET.Element("rect", {"data-part": "ring", **{name: f"{x:g}" for name, x in size.items()}, **attributes})


def shapes(group: ET.Element) -> Iterator[ET.Element]:
    return (element for element in group.iter() if element.tag in ("polygon", "polyline", "path", "text"))


def freeze(root: ET.Element, i: int, step: Step) -> None:
    """Leaves of a marked picture what is there in step i; nodes that it is about get a ring, and lines are thick."""
    line = "back" if step.phase == "backward" else "wire"
    for element in [part for group in root.iter("g") if dot_id(group) in step.active for part in group.iter()]:
        if element.get("data-part") == "ring":
            del element.attrib["visibility"]
        elif element.get("data-part") == line and element.tag == "path":
            element.set("stroke-width", "4")
            if line == "back":
                element.set("stroke-dasharray", "9 5")
    for element in root.iter():
        start, stop = int(element.attrib.pop("data-from", 0)), float(element.attrib.pop("data-until", math.inf))
        part = element.attrib.pop("data-part", "")
        if start <= i < stop:
            continue
        if part in PALE:
            element.set("opacity", PALE[part])
        else:
            element.set("visibility", "hidden")


def caption(root: ET.Element, step: Step, colours: dict[str, str], width: float, height: float) -> None:
    """The equation under the picture, as large as it fits."""
    paper = {"x": "0", "y": f"{height:g}", "width": f"{width:g}", "height": f"{CAPTION:g}", "fill": colours["paper"]}
    ET.SubElement(root, "rect", paper)
    size = min(18.0, 1.7 * (width - 24) / max(len(step.equation), 1))
    ink = colours["gradient_text" if step.phase == "backward" else "value_text"]
    place = {"x": "12", "y": f"{height + CAPTION / 2 + size / 3:g}"}
    text = ET.SubElement(root, "text", {**place, "font-weight": "bold", "font-size": f"{size:g}", "fill": ink})
    text.text = step.equation
