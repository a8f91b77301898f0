"""The step player: one HTML page, without any network, that plays the forward and the backward pass of a graph.

The hard idea is that going backwards has to restore every step exactly. So nothing is ever done or undone: each part of
the picture says from which step on it is there, and until when, and a step shows what is there then.

    <text data-from="3">                    from step 3 on
    <text data-from="5" data-until="7">     a sum so far: in steps 5 and 6, then the next one stands there

Whoever jumps from step 9 to step 2 sees what those see who came from step 1. Slides are made in the same way.
"""

from __future__ import annotations

import html
import math
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from copy import deepcopy
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from numpy import ndarray

from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import SMALL, format_number
from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.picture.escaping import script_json
from tinygrad_edu.draw.picture.svg import finish, parse
from tinygrad_edu.draw.player.steps import Script, Step, script
from tinygrad_edu.draw.theme import DARK, FONT, LIGHT, palette

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
PALE = {"g": "0.4", "wire": "0.2", "back": "0.14"}  # opacity of what is not there yet, elsewhere hidden
CAPTION = 44.0  # height of a slide's caption, in points
HINT = 'such as "step_{:02d}.svg"'
PICTURE = "picture"  # the id of the SVG, and the beginning of all ids in it

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Player:
    """A page that plays a graph.

    In a notebook it shows itself, in a frame of its own.

    Attributes:
        html: The page.
        path: Where it was written; None if it was not.
        title: Its heading.
    """

    def __init__(self, page: str, path: Path | None, title: str) -> None:
        self.html, self.path, self.title = page, path, title

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="{html.escape(self.title)}" sandbox="allow-scripts" '
            'style="width:100%;height:640px;border:1px solid #84909c;border-radius:8px"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Player({self.title!r}, written to {self.path})" if self.path else f"Player({self.title!r})"


def player(graph: Graph, path: str | os.PathLike[str] | None = None, *, title: str | None = None) -> Player:
    """Makes a page that plays the forward and backward pass of a graph, step by step.

    Args:
        graph: What is played. Its theme is the one the page begins with.
        path: Where the page is written, with its folders; None shows it in a notebook only.
        title: The heading; the graph's own if None.

    Returns:
        The player.

    Raises:
        NoEngineError: There is no Graphviz to lay out the picture.
        OSError: The file cannot be written.
    """
    found = script(graph)
    name = graph.record.output.name
    title = printable(title or graph.title or f"{name}: forward and backward")
    text = fill(
        files("tinygrad_edu.draw.player").joinpath("player.html").read_text(encoding="utf-8"),
        title=html.escape(title),
        theme=html.escape(graph.theme),
        font=FONT,
        light=variables(LIGHT),
        dark=variables(DARK),
        svg=picture(graph, found, title),
        steps=script_json([{**vars(step), "count": position(found, i)} for i, step in enumerate(found.steps)]),
    )
    written = None
    if path is not None:
        written = Path(path)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text, encoding="utf-8")
    return Player(text, written, title)


def frames(graph: Graph, pattern: str | os.PathLike[str]) -> list[Path]:
    """Writes one SVG for each step, for slides. All have the same size, with the equation under the picture.

    Args:
        graph: What is shown.
        pattern: A path with a place for the number of the step: "step_{:02d}.svg".

    Returns:
        The paths, in order. Directories are made where there are none.

    Raises:
        ValueError: The pattern has no place for a number, so that all steps would be written to one file.
        NoEngineError: There is no Graphviz to lay out the picture.
    """
    paths = frame_paths(os.fspath(pattern), (found := script(graph)).steps)
    title = graph.title or shorten(graph.record.output.name)
    root = marked(graph, found, graph.title, title)
    width, height = (float(x) for x in root.attrib["viewBox"].split()[2:])
    root.set("viewBox", f"0 0 {width:g} {height + CAPTION:g}")
    root.attrib.update({"width": f"{width:g}pt", "height": f"{height + CAPTION:g}pt"})
    for i, (path, step) in enumerate(zip(paths, found.steps, strict=True)):
        slide = deepcopy(root)
        freeze(slide, i, step)
        for name in slide.findall("title"):
            name.text = f"{title}: {step.equation}"
        caption(slide, step, palette(graph.theme), width, height)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ET.tostring(slide, encoding="unicode"), encoding="utf-8")
    return paths


def frame_paths(pattern: str, steps: list[Step]) -> list[Path]:
    """The path of each slide."""
    try:
        names = [pattern.format(i) for i in range(len(steps))]
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(f"frames: {pattern!r} does not say where the number goes ({error}): {HINT}") from error
    if len(set(names)) < len(names):
        raise ValueError(
            f"frames: all {len(names)} steps would be written to {names[0]!r}, one over the other: give the pattern a "
            f"place for the number of the step, {HINT}"
        )
    return [Path(name) for name in names]


def fill(text: str, **parts: str) -> str:
    """Puts the parts in the places of the template, all at once, so that no part is searched for places."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text)


def variables(colours: dict[str, str]) -> str:
    """A palette as CSS variables."""
    return "".join(f"--{role}:{colour};" for role, colour in colours.items())


def position(found: Script, i: int) -> str:
    """Where a step stands in its pass: "backward 5 of 6"."""
    step = found.steps[i]
    if step.phase == "start":
        return "start"
    before = sum(other.phase == step.phase for other in found.steps[: i + 1])
    return f"{step.phase} {before} of {found.count(step.phase)}"


def picture(graph: Graph, found: Script, title: str) -> str:
    """The SVG of the page, which has a heading of its own and gives the picture its size."""
    root = marked(graph, found, None, title)
    for attribute in ("width", "height", "style"):
        root.attrib.pop(attribute, None)
    for element in root.iter():
        lighten(element)
    return ET.tostring(root, encoding="unicode")


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
    svg = render(graph.both(title=heading).source, "svg").decode()
    root = parse(finish(svg, title=title, description=graph.alt_text, theme=graph.theme, prefix=PICTURE))
    root.set("xmlns", "http://www.w3.org/2000/svg")
    for group in list(root.iter("g")):
        kinds = group.get("class", "").split()
        if "edge" in kinds:
            mark_wire(group, found)
        elif "node" in kinds:
            if name_of(group) in found.values:
                appear(group, found.values[name_of(group)])
            mark_node(group, found, graph.precision)
            group.append(ring(group, palette(graph.theme)))
    return root


def name_of(group: ET.Element) -> str:
    """The id that the DOT gave a node or wire."""
    return group.get("id", "").removeprefix(f"{PICTURE}-")


def has(element: ET.Element, *colours: str) -> bool:
    """Whether a shape is filled or drawn with one of these colours of the palette."""
    return not {f"{kind}-{colour}" for kind in ("fill", "stroke") for colour in colours}.isdisjoint(
        element.get("class", "").split()
    )


def appear(element: ET.Element, start: int, stop: int | None = None) -> None:
    """Says when a part is there."""
    element.set("data-from", str(start))
    if stop is not None:
        element.set("data-until", str(stop))


def mark_wire(group: ET.Element, found: Script) -> None:
    """Lines are pale until something flows over them; labels, which are all about the gradient, are hidden."""
    name = name_of(group)
    for element in shapes(group):
        label, back = element.tag == "text", has(element, "gradient_wire", "blocked")
        element.set("data-part", "label" if label else "back" if back else "wire")
        times = found.flows if label or back else found.values
        if name in times:
            appear(element, times[name])


def mark_node(group: ET.Element, found: Script, precision: int) -> None:
    """Values and gradients are hidden until they are there; their labels, the first text of a row, are not."""
    name = name_of(group)
    events = found.gradients.get(name, [])
    tints = [(element, part) for element in shapes(group) for part in ("value", "gradient")]
    rows = [(box(element), part) for element, part in tints if has(element, f"{part}_fill")]
    labelled: set[Box] = set()
    numbers: list[ET.Element] = []
    for element in shapes(group):
        edges, part = next(((edges, part) for edges, part in rows if inside(box(element), edges)), (None, None))
        is_sum = (element.text or "").startswith("Σ")
        if edges is None:
            if name in found.norms and has(element, "gradient_text"):
                appear(element, found.norms[name])
        elif has(element, "value_fill", "gradient_fill"):
            continue
        elif element.tag == "text" and edges not in labelled and not is_sum:
            labelled.add(edges)
        elif part == "value" and name in found.values:
            appear(element, found.values[name])
        elif part == "gradient" and events:
            appear(element, events[-1][0])
            numbers += [element] if element.tag == "text" and not is_sum else []
    add_sums(group, numbers, events, precision)


def add_sums(group: ET.Element, numbers: list[ET.Element], events: list[tuple[int, ndarray]], precision: int) -> None:
    """While contributions still arrive, their sum so far stands where the gradient will."""
    for k, ((start, total), (stop, _)) in enumerate(pairwise(events)):
        if start == stop:
            continue
        if total.size == len(numbers) <= SMALL:
            texts = [format_number(x, precision) for x in total.ravel()]
        else:
            texts = [f"{k + 1} of {len(events)} contributions"]
        for element, text in zip(numbers, texts, strict=False):
            copy = deepcopy(element)
            copy.text = text
            copy.set("data-part", "sum")
            appear(copy, start, stop)
            group.append(copy)


def ring(group: ET.Element, colours: dict[str, str]) -> ET.Element:
    """The frame around a node that a step is about."""
    boxes = [box(element) for element in shapes(group) if element.tag != "text"] or [(0.0, 0.0, 0.0, 0.0)]
    left, top = (min(edges[i] for edges in boxes) - 3 for i in (0, 1))
    right, bottom = (max(edges[i] for edges in boxes) + 3 for i in (2, 3))
    size = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    looks = {"fill": "none", "stroke": colours["highlight"], "stroke-width": "4", "rx": "5", "visibility": "hidden"}
    return ET.Element("rect", {"data-part": "ring", **{key: f"{x:g}" for key, x in size.items()}, **looks})


def freeze(root: ET.Element, i: int, step: Step) -> None:
    """Leaves of a marked picture what is there in step i."""
    line = "back" if step.phase == "backward" else "wire"
    for group in root.iter("g"):
        active = name_of(group) in step.active
        for element in group.iter() if active else ():
            if element.get("data-part") == "ring":
                del element.attrib["visibility"]
            elif element.tag == "path" and element.get("data-part") == line:
                element.set("stroke-width", "4")
                element.attrib.update({"stroke-dasharray": "9 5"} if line == "back" else {})
    for element in root.iter():
        start, stop = int(element.attrib.pop("data-from", 0)), float(element.attrib.pop("data-until", math.inf))
        part = element.attrib.pop("data-part", element.tag)
        if not start <= i < stop:
            element.set(*(("opacity", PALE[part]) if part in PALE else ("visibility", "hidden")))


def caption(root: ET.Element, step: Step, colours: dict[str, str], width: float, height: float) -> None:
    """The equation under the picture, as large as it fits."""
    size = min(18.0, 1.7 * (width - 24) / max(len(step.equation), 1))
    paper = {"x": "0", "y": f"{height:g}", "width": f"{width:g}", "height": f"{CAPTION:g}", "fill": colours["paper"]}
    ET.SubElement(root, "rect", paper)
    ink = colours["gradient_text" if step.phase == "backward" else "value_text"]
    looks = {"x": "12", "y": f"{height + CAPTION / 2 + size / 3:g}", "font-weight": "bold"}
    ET.SubElement(root, "text", {**looks, "font-size": f"{size:g}", "fill": ink}).text = step.equation


def shapes(group: ET.Element) -> Iterator[ET.Element]:
    """What is drawn in a group."""
    return (element for element in group.iter() if element.tag in ("polygon", "polyline", "path", "text"))


def box(element: ET.Element) -> Box:
    """The box around a shape; of a text, its place on the base line."""
    if element.tag == "text":
        x, y = float(element.get("x", 0)), float(element.get("y", 0)) - float(element.get("font-size", 14)) / 3
        return x, y, x, y
    found = [float(x) for x in NUMBER.findall(element.get("points") or element.get("d") or "")] or [0.0, 0.0]
    return min(found[::2]), min(found[1::2]), max(found[::2]), max(found[1::2])


def inside(small: Box, large: Box) -> bool:
    """Whether a box lies in another one."""
    return large[0] <= small[0] and large[1] <= small[1] and small[2] <= large[2] and small[3] <= large[3]
