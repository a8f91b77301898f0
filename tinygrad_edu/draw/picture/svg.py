"""Finishes Graphviz's SVG for a page, and writes names so that every language on the way shows them as they are.

An SVG in an HTML page shares the page's ids and styles. So every id gets a prefix, made from the content:

    page = first + second       # both have a "clip1": without prefixes, the second is cut to the shape of the first

A name is whatever a student typed, and `\\N` means something in DOT, `</script>` in HTML. Each language has a function:
tooltip_text and label_text are for DOT, xml_text for SVG (ElementTree does the rest), script_json for a script
element, and html.escape of the standard library for HTML.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from typing import get_args

import graphviz

from tinygrad_edu.checks import check_choice
from tinygrad_edu.draw.names import shorten
from tinygrad_edu.draw.theme import FONT, Theme, roles
from tinygrad_edu.notebooks import DARK_HOST, LIGHT_HOST

__all__ = [
    "NAMESPACE", "NUMBER", "finish", "label_text", "link_cells", "parse", "script_json", "tooltip_text", "xml_text",
]  # fmt: skip

NAMESPACE = "http://www.w3.org/2000/svg"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")  # within points and paths
TRANSPARENT = ("transparent", "none", "#fffffe")  # the last one is what Graphviz 2.43 writes of transparent text
TOOLTIP = "{http://www.w3.org/1999/xlink}title"


def tooltip_text(text: str) -> str:
    """A text as an attribute of DOT: tooltip, edgetooltip or labeltooltip. Beyond 600 characters it is cut."""
    text = shorten(text, 600).replace("&", "&amp;").replace("\\", "\\\\")  # which Graphviz reads twice in tooltips
    escaped: str = graphviz.escape(text)  # of a class that says that it is not HTML, which str() would undo
    return escaped


def label_text(text: str) -> str:
    """A text within an HTML-like label of DOT, where Graphviz reads \\N as the name of the node."""
    if text in ("]", "]]"):  # which Graphviz 2.43 refuses, if it is all that stands between two tags
        return text.replace("]", "&#93;")
    return html.escape(text).replace("\\", "\\\\")


def xml_text(text: str) -> str:
    """The text with "\ufffd" for each character that XML 1.0 has no way to write."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)


def script_json(value: object) -> str:
    """JSON that may stand in a script element: no `</script>` or `<!--` can end or open anything in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def link_cells(source: str) -> str:
    """Makes each cell with an id a link, in a graph's DOT, until `finish`: Graphviz leaves out the ids of others."""
    return source.replace('<TD ID="', '<TD HREF="#" ID="')  # a label has no other "<", and DOT's strings no other quote


def finish(svg: str, *, title: str, description: str = "", theme: Theme = "light", prefix: str | None = None) -> str:
    """Makes Graphviz's SVG ready for a page.

    The result is well-formed XML without doctype and without references to other files. Its root has role="img", a
    <title> and a <desc>; it is never wider than the page. A tooltip becomes the <title> of its node or edge. The
    palette's colours become CSS variables (`--value_text` ...) of the root, which has the attribute data-theme: a page
    that sets it to "light", "dark" or "auto" switches the theme. A viewer without CSS shows the colours of `theme`.

    Args:
        svg: What Graphviz wrote, in the colours of either theme.
        title, description: The picture's name, and the picture in words.
        theme: "auto" follows the page around the picture, where that says its theme (see notebooks.DARK_HOST), else the
            reader's setting (prefers-color-scheme).
        prefix: The id of the root; that of a part is `prefix-id`, where id is what the DOT says ("node-t0"). By default
            made from the content, so that the same picture has the same ids.

    Raises:
        ValueError: There is no such theme.
    """
    check_choice("theme", theme, get_args(Theme))
    root = parse(svg)
    prefix = prefix or "g" + hashlib.sha256(f"{title}\n{theme}\n{svg}".encode(errors="replace")).hexdigest()[:8]
    for element in list(root.iter())[::-1]:  # parts before what holds them
        unwrap(element)
    for element in list(root.iter()):
        own_ids(element, prefix)
    raise_headings(root)
    used = colour(root, theme)
    words = text_parts("title", title, id=f"{prefix}-title") + text_parts("desc", description, id=f"{prefix}-desc")
    for place, part in enumerate([*words, *text_parts("style", rules(prefix, used))]):
        part.tail = "\n"
        root.insert(place, part)
    root.attrib |= {
        "id": prefix, "role": "img", "aria-labelledby": " ".join(part.get("id", "") for part in words),
        "data-theme": theme, "font-family": FONT, "style": "max-width:100%;height:auto", "xmlns": NAMESPACE,
    }  # fmt: skip
    return ET.tostring(root, encoding="unicode") + "\n"


def parse(svg: str) -> ET.Element:
    """The root of an SVG, without namespaces; what Graphviz copied but XML does not have becomes "\ufffd" or text."""
    svg = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-fA-F]+);)", "&amp;", xml_text(svg))
    root = ET.fromstring(re.sub(r"&#(x?)([\da-fA-F]+);", legal_reference, svg))
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    return root


def legal_reference(match: re.Match[str]) -> str:
    """A character reference, or "\ufffd" if it means a character that is not legal."""
    code = int(match[2], 16 if match[1] else 10)
    return match[0] if code <= 0x10FFFF and xml_text(chr(code)) == chr(code) else "\ufffd"


def unwrap(element: ET.Element) -> None:
    """Makes Graphviz's tooltip, `<g id="a_x"><a xlink:title="tip">...</a></g>`, the title of what it belongs to."""
    title: list[ET.Element] = []
    parts: list[ET.Element] = []
    for child in element:
        hidden = child.tag == "text" and child.get("fill") in TRANSPARENT
        link = child.find("a") if child.tag == "g" else None
        if hidden or child.tag == "image" or (child.tag == "title" and element.tag in ("g", "svg")):
            continue  # text that only holds a place, pictures from other files, and titles, which are DOT names
        if link is None:
            parts.append(child)
        elif child.get("id") in (f"a_{element.get('id')}", f"a_{element.get('id')}-label"):
            title = title or text_parts("title", link.get(TOOLTIP, ""))
            parts.extend(link)
        else:  # a cell of a table: its tooltip is that of the node
            child.set("id", child.get("id", "").removeprefix("a_"))
            child[:] = link
            parts.append(child)
    element[:] = [*title, *parts]


def text_parts(tag: str, text: str, **attributes: str) -> list[ET.Element]:
    """A <title>, <desc> or <style>; none of an empty text."""
    element = ET.Element(tag, attributes)
    element.text = xml_text(text)
    return [element] if text else []


def raise_headings(root: ET.Element) -> None:
    """Draws the headings of clusters last, with a margin in the cluster's colour: a wire may run where they stand."""
    graph = root.find("g")
    for cluster in root.iter("g"):
        if graph is not None and cluster.get("class") == "cluster":
            texts = cluster.findall("text")
            paper = next((part.get("fill", "") for part in cluster if part.tag in ("path", "polygon")), "")
            for text in texts:
                cluster.remove(text)
                text.attrib |= {"paint-order": "stroke", "stroke": paper, "stroke-width": "5", "class": "heading"}
            graph.extend(texts)


def own_ids(element: ET.Element, prefix: str) -> None:
    """Puts the prefix before the id and before the ids that are referred to; the font is the root's."""
    if "id" in element.attrib:
        element.set("id", f"{prefix}-{element.get('id')}")
    for name in ("fill", "stroke", "clip-path", "filter", "mask"):
        if element.get(name, "").startswith("url(#"):
            element.set(name, f"url(#{prefix}-{element.get(name, '')[5:]}")
    if element.get("font-family") == FONT:
        del element.attrib["font-family"]


def colour(root: ET.Element, theme: Theme) -> set[str]:
    """Marks colours of the palette by a class, sets them to the theme's, and returns the classes, "fill-paper" ..."""
    meaning = {value: role for named in (roles("light"), roles("dark")) for role, value in named.items()}
    meaning |= {"white": "paper", "black": "text"}
    shown = roles(theme)
    used: set[str] = set()
    for element in root.iter():
        if element.tag == "text" and "fill" not in element.attrib:
            element.set("fill", "black")
        for name in ("fill", "stroke"):
            value = element.get(name, "").lower()
            if value == "transparent":
                element.set(name, "none")  # which SVG 1.1 has
            elif value in meaning:
                role = meaning[value]
                element.set(name, shown[role])
                element.set("class", f"{element.get('class', '')} {name}-{role}".strip())
                used.add(f"{name}-{role}")
                if role == "blocked" and element.tag == "path":  # DOT has one style for both lines of an edge
                    element.set("stroke-dasharray", "2,3")
    return used


def rules(prefix: str, used: set[str]) -> str:
    """The style of one picture: the colours of both themes as variables, and what each class takes from them."""
    names = sorted({name.partition("-")[2] for name in used})
    light, dark = (";".join(f"--{name}:{roles(theme)[name]}" for name in names) for theme in ("light", "dark"))
    auto = f'#{prefix}[data-theme="auto"]'
    lines = [
        f"#{prefix},{LIGHT_HOST} {auto}{{{light}}}",
        f'#{prefix}[data-theme="dark"],{DARK_HOST} {auto}{{{dark}}}',
        f"@media (prefers-color-scheme:dark){{{auto}{{{dark}}}}}",
    ]
    for name in sorted(used):
        where, _, role = name.partition("-")
        lines.append(f"#{prefix} .{name}{{{where}:var(--{role})}}")
    return "\n".join(["", *lines, ""])
