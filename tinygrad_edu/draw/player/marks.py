"""From which step on each part of the picture is there, and until when, written into the parts of its SVG.

The hard idea is that going backwards has to restore every step exactly. So nothing is ever done or undone: each part
says when it is there, and a step shows what is there then.

    <text data-from="3">                    from step 3 on
    <text data-from="5" data-until="7">     a sum so far: in steps 5 and 6, then the next one stands there

Whoever jumps from step 9 to step 2 sees what those see who came from step 1. Slides are made in the same way.

The parts are found by their ids, which painter.py and cards.py give to nodes, wires and cells. `data-part` says how a
part looks while it is not there: a "node", a "wire" and a line "back" are pale, all else is hidden.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING

from numpy import ndarray

from tinygrad_edu.draw.numbers import SMALL, format_number
from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.picture.svg import finish_tree, link_cells
from tinygrad_edu.draw.player.steps import Script
from tinygrad_edu.draw.theme import palette

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["NUMBER", "marked", "name_of"]

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
PICTURE = "picture"  # the id of the SVG, and the beginning of all ids in it


def marked(graph: Graph, found: Script, heading: str | None, title: str) -> ET.Element:
    """The drawn picture, each part of which says when it is there."""
    svg = render(link_cells(graph.both(title=heading).source), "svg").decode()
    root = finish_tree(svg, title=title, description=graph.alt_text, theme=graph.theme, prefix=PICTURE)
    for group in list(root.iter("g")):
        if group.get("class") == "edge":
            mark_wire(group, found)
        elif group.get("class") == "node":
            mark_node(group, found, graph.precision)
            group.append(ring(group, palette(graph.theme)["highlight"]))
    return root


def name_of(group: ET.Element) -> str:
    """The id that the DOT gave a node, a wire or a cell."""
    return group.get("id", "").removeprefix(f"{PICTURE}-")


def appear(element: ET.Element, start: int | None, stop: int | None = None) -> None:
    """Says when a part is there; it always is if `start` is None."""
    if start is not None:
        element.set("data-from", str(start))
    if stop is not None:
        element.set("data-until", str(stop))


def mark_wire(group: ET.Element, found: Script) -> None:
    """Lines are pale until something flows over them; labels, which are all about the gradient, are hidden."""
    name = name_of(group)
    for element in shapes(group):
        forward = "stroke-value_wire" in element.get("class", "")  # DOT has one id for both lines of an edge
        element.set("data-part", "label" if element.tag == "text" else "wire" if forward else "back")
        appear(element, found.values.get(name) if forward else found.flows.get(name))


def mark_node(group: ET.Element, found: Script, precision: int) -> None:
    """A node is pale until it has its value; numbers are hidden until they are there, their labels are not."""
    name = name_of(group)
    if name in found.values:
        group.set("data-part", "node")
        appear(group, found.values[name])
    events = found.gradients.get(name, [])
    arrived = events[-1][0] if events else None
    for cell in list(group.iter("g")):
        part = name_of(cell).removeprefix(f"{name}-").partition("-")[0]  # see cards.py
        if part == "value":
            appear(cell, found.values.get(name))
        elif part == "gradient":
            appear(cell, arrived)
            add_sums(group, list(cell.iter("text")), events, precision)
        elif part == "sum":
            for text in cell.iter("text"):  # the colour of the row is there from the beginning
                appear(text, arrived)
        elif part == "norm":
            appear(cell, found.norms.get(name))


def add_sums(group: ET.Element, texts: list[ET.Element], events: list[tuple[int, ndarray]], precision: int) -> None:
    """While contributions still arrive, their sum so far stands where the gradient will."""
    for count, ((start, so_far), (stop, _)) in enumerate(pairwise(events), 1):
        if start == stop:
            continue
        words = [f"{count} of {len(events)} contributions"]
        if so_far.size == len(texts) <= SMALL:
            words = [format_number(x, precision) for x in so_far.ravel()]
        for text, word in zip(texts, words, strict=False):
            copy = deepcopy(text)
            copy.text = word
            copy.set("data-part", "sum")
            appear(copy, start, stop)
            group.append(copy)


def ring(group: ET.Element, colour: str) -> ET.Element:
    """The frame around a node that a step is about."""
    found = [float(x) for shape in shapes(group) for x in NUMBER.findall(shape.get("points") or shape.get("d") or "")]
    xs, ys = found[::2] or [0.0], found[1::2] or [0.0]
    left, top = min(xs) - 3, min(ys) - 3
    size = {"x": left, "y": top, "width": max(xs) + 3 - left, "height": max(ys) + 3 - top}
    attributes = {"fill": "none", "stroke": colour, "stroke-width": "4", "rx": "5", "visibility": "hidden"}
    return ET.Element("rect", {"data-part": "ring", **{name: f"{x:g}" for name, x in size.items()}, **attributes})


def shapes(group: ET.Element) -> Iterator[ET.Element]:
    """What is drawn in a group."""
    return (element for element in group.iter() if element.tag in ("polygon", "polyline", "path", "text"))
