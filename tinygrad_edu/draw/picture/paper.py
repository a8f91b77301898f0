"""Finished pictures as files: what an ending means, pages of a given size, and PNG and PDF of a finished SVG.

What is finished after the layout, such as a slide of the step player, is no longer a graph, and Graphviz reads no SVG.
But it draws what it is told where it is told: shapes as the background of a graph, each text as a node with a place. So
PNG and PDF need nothing but the engine that drew the SVG, and have its fonts.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, get_args

from tinygrad_edu.checks import check_choice
from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.picture.markup import table
from tinygrad_edu.draw.picture.svg import NAMESPACE, NUMBER, label_text, parse
from tinygrad_edu.draw.theme import FONT
from tinygrad_edu.files import StrPath

__all__ = ["ENDINGS", "Paper", "ending", "file_of", "lay_on", "picture_format", "sharpen"]

Paper = Literal["picture", "slide", "A4", "letter"]
PAPERS = {"slide": (960.0, 540.0), "A4": (841.9, 595.3), "letter": (792.0, 612.0)}  # points, on its side
MARGIN = 18.0  # of a page, in points
ENDINGS = ("svg", "png", "pdf")
OTHERS = ("eps", "ps", "svgz")  # which Graphviz draws too
BITMAPS = ("png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff")
SHARP = 'dpi=192 size="60,60"'  # not more than 60 inches, which still fit into memory


def ending(path: StrPath) -> str:
    """The ending of a file's name, "png", without its dot; "" if there is none."""
    return PurePath(path).suffix[1:].lower()


def picture_format(path: StrPath) -> str:
    """The format that the ending of a file's name asks for; "" if it is not that of a picture, as in "loss.gv"."""
    return ending(path) if ending(path) in (*ENDINGS, *OTHERS, *BITMAPS) else ""


def sharpen(source: str, format: str) -> str:
    """The DOT source of a picture in pixels asks for enough of them, unless it says itself how many."""
    return source.replace("{\n", f"{{\n{SHARP}\n", 1) if format.partition(":")[0] in BITMAPS else source


def lay_on(root: ET.Element, paper: Paper, colour: str) -> None:
    """Puts the picture in the middle of a page, as large as it fits; "picture" is a page of the picture's own size.

    A slide is 16:9; A4 and letter stand upright if the picture is larger on them then. `colour` is the page's.
    """
    check_choice("size", paper, get_args(Paper))
    if paper == "picture":
        return
    left, top, width, height = (float(x) for x in root.attrib["viewBox"].split())
    pages = [PAPERS[paper]] if paper == "slide" else [PAPERS[paper], PAPERS[paper][::-1]]
    scale, (wide, high) = max((min((w - 2 * MARGIN) / width, (h - 2 * MARGIN) / height), (w, h)) for w, h in pages)
    room = wide / scale, high / scale
    view = (left - (room[0] - width) / 2, top - (room[1] - height) / 2, *room)
    root.attrib |= {"width": f"{wide:g}pt", "height": f"{high:g}pt", "viewBox": " ".join(f"{x:.2f}" for x in view)}
    area = dict(zip(("x", "y", "width", "height"), root.attrib["viewBox"].split(), strict=True))
    first = next(place for place, part in enumerate(root) if part.tag == "g")
    root.insert(first, ET.Element("rect", {**area, "fill": colour, "class": "fill-paper"}))


def file_of(root: ET.Element, format: str, timeout: float) -> bytes:
    """The bytes of a file, in one of the formats ENDINGS, of a finished SVG."""
    if format != "svg":
        return convert(root, format, timeout)
    root.set("xmlns", NAMESPACE)
    return ET.tostring(root, encoding="unicode").encode("utf-8")


@dataclass
class Sheet:
    """What is drawn, in the coordinates of DOT, whose y runs upwards."""

    left: float
    bottom: float
    shapes: list[str] = field(default_factory=list)  # operations of xdot
    texts: list[tuple[float, float, ET.Element, str]] = field(default_factory=list)  # x, y of the baseline, ink

    def add(self, element: ET.Element, dx: float = 0.0, dy: float = 0.0, opacity: float = 1.0) -> None:
        """An element of an SVG, moved by dx and dy, and all within it."""
        if element.get("visibility") == "hidden":
            return
        opacity *= float(element.get("opacity", 1))
        if moved := re.search(r"translate\((\S+) (\S+)\)", element.get("transform", "")):
            dx, dy = dx + float(moved[1]), dy + float(moved[2])

        def place(x: float, y: float) -> tuple[float, float]:
            return x + dx - self.left, self.bottom - y - dy

        if element.tag == "text":
            x, y = place(float(element.get("x", 0)), float(element.get("y", 0)))
            self.texts.append((x, y, element, ink(element.get("fill", "#000000"), opacity)))
        elif points := corners(element):
            shape = " ".join(f"{x:.2f} {y:.2f}" for x, y in [place(*point) for point in points])
            filled = element.get("fill", "none") != "none"
            kind = {"path": "bB", "polyline": "LL"}.get(element.tag, "Pp")[0 if filled else 1]
            self.shapes.append(f"{pen(element, opacity)}{kind} {len(points)} {shape} ")
        for child in element:
            self.add(child, dx, dy, opacity)


def corners(element: ET.Element) -> list[tuple[float, float]]:
    """The points of a shape, or the control points of a curve; none of other elements."""
    if element.tag == "rect":
        x, y, width, height = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
        return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    found = [float(x) for x in NUMBER.findall(element.get("points") or element.get("d") or "")]
    return list(zip(found[::2], found[1::2], strict=True))


def ink(colour: str, opacity: float) -> str:
    return f"{colour}{round(255 * opacity):02x}" if colour.startswith("#") and opacity < 1 else colour


def pen(element: ET.Element, opacity: float) -> str:
    """The operations of xdot that set colours, width and dashes."""
    stroke, fill = (element.get(name, "none").replace("none", "transparent") for name in ("stroke", "fill"))
    dashes = element.get("stroke-dasharray", "")
    style = "dashed" if len(dashes) > 3 or float(dashes[:1] or 9) > 2 else "dotted"
    words = {
        "c": ink(stroke, opacity), "C": ink(fill, opacity), "S": f"setlinewidth({element.get('stroke-width', 1)})",
    }  # fmt: skip
    operations = [*words.items(), ("S", style if dashes else "solid")]
    return "".join([f"{letter} {len(word)} -{word} " for letter, word in operations])


def convert(root: ET.Element, format: str, timeout: float) -> bytes:
    """A finished SVG in another format, as large as its width and height say.

    Texts are placed twice: where a text's baseline is in its node, only Graphviz knows.
    """
    left, top, width, height = (float(x) for x in root.attrib["viewBox"].split())
    sheet = Sheet(left, top + height)
    sheet.add(root)
    middle = f'pos="{width / 2:.2f},{height / 2:.2f}" width={width / 72:.5f} height={height / 72:.5f}'
    page = f'graph {{\npad=0 margin=0 node [shape=plain fontname="{FONT}"]'
    page += f' paper [shape=box style=invis label="" fixedsize=true {middle}]'
    if sheet.shapes:
        page += " _background=" + "+".join([f'"{shape}"' for shape in sheet.shapes])
    wanted = [y for _, y, *_ in sheet.texts]
    drawn = parse(render(page + texts(sheet, width, wanted) + "}", "svg", timeout, "nop2").decode())
    found = {group.get("id"): text for group in drawn.iter("g") for text in group.findall("text")}
    shifted = [2 * y + float(found[f"text{i}"].get("y", 0)) for i, y in enumerate(wanted)]  # where y runs downwards
    sides = [float(root.attrib[name].removesuffix("pt")) / 72 for name in ("width", "height")]
    size = f' size="{sides[0]:.4f},{sides[1]:.4f}!"'
    return render(sharpen(page + size + texts(sheet, width, shifted) + "}", format), format, timeout, "nop2")


def texts(sheet: Sheet, width: float, heights: list[float]) -> str:
    """A node for each text, at these heights; between its x and an edge of the paper, which it does not reach."""
    nodes = []
    for i, ((x, _, element, colour), y) in enumerate(zip(sheet.texts, heights, strict=True)):
        anchor = element.get("text-anchor", "start")
        room = {"start": width - x, "end": x}.get(anchor, 2 * min(x, width - x)) // 2 * 2
        middle = x + {"start": room / 2, "end": -room / 2}.get(anchor, 0)
        align = {"start": "LEFT", "end": "RIGHT"}.get(anchor, "CENTER")
        text = label_text(element.text or "")
        for tag, name in (("B", "font-weight"), ("I", "font-style")):
            text = f"<{tag}>{text}</{tag}>" if element.get(name) in ("bold", "italic") else text
        font = f'<FONT COLOR="{colour}" POINT-SIZE="{float(element.get("font-size", 14)):g}">{text}</FONT>'
        cell = table([[f'<TD ALIGN="{align}" WIDTH="{room:.0f}">{font}</TD>']])
        nodes.append(f' text{i} [id=text{i} pos="{middle:.2f},{y:.2f}" label=<{cell}>]')
    return "".join(nodes)
