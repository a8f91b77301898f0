"""Finishes Graphviz's SVG for a page: words for screen readers, tooltips, both themes, a size that fits, own ids.

An SVG in an HTML page shares the page's ids and styles with all the others there. Graphviz calls the first node of
every picture "node1", and a rule `.node {...}` of one picture restyles the next. So every id gets a prefix, made from
the content, and every rule begins with the picture's own id:

    page = first + second       # both have a "clip1": without prefixes, the second is cut to the shape of the first
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from typing import get_args

from tinygrad_edu.checks import check_choice
from tinygrad_edu.draw.picture.escaping import xml_text
from tinygrad_edu.draw.theme import FONT, Theme, roles

__all__ = ["NAMESPACE", "finish", "link_cells", "parse"]

NAMESPACE = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}"

Element = ET.Element


def link_cells(source: str) -> str:
    """Makes each cell that has an id, in a graph's DOT, a link: Graphviz leaves out the ids of all others.

    `finish` takes the links away again. They are only there for the SVG: in a PDF they could be followed.
    """
    return source.replace('<TD ID="', '<TD HREF="#" ID="')  # a label has no other "<", and DOT's strings no other quote


def finish(svg: str, *, title: str, description: str = "", theme: Theme = "light", prefix: str | None = None) -> str:
    """Makes Graphviz's SVG ready for a page.

    The result is well-formed XML without doctype and without references to other files. Its root has role="img", a
    <title> and a <desc>; it is never wider than the page. A tooltip becomes the <title> of its node or edge. The
    palette's colours become CSS variables (`--value_text` ...) of the root, which has the attribute data-theme: a page
    that sets it to "light", "dark" or "auto" switches the theme. A viewer without CSS shows the colours of `theme`.

    Args:
        svg: What Graphviz wrote, in the colours of either theme.
        title: The name of the picture.
        description: The picture in words.
        theme: "auto" follows the reader's setting (prefers-color-scheme).
        prefix: The id of the root; that of a part is `prefix-id`, where id is what the DOT says ("node-t0"). By default
            made from the content, so that the same picture has the same ids.

    Raises:
        ValueError: There is no such theme.
    """
    check_choice("theme", theme, get_args(Theme))
    root = parse(svg)
    prefix = prefix or "g" + hashlib.sha256(f"{title}\n{theme}\n{svg}".encode(errors="replace")).hexdigest()[:8]
    for element in list(root.iter())[::-1]:  # parts before what holds them
        drop_hidden(element)
        unwrap_links(element)
    for element in list(root.iter()):
        own_ids(element, prefix)
    raise_headings(root)
    used = colour(root, theme)
    words = text_parts("title", title, id=f"{prefix}-title") + text_parts("desc", description, id=f"{prefix}-desc")
    style = ET.Element("style")
    style.text = rules(prefix, used)
    for place, part in enumerate([*words, style]):
        part.tail = "\n"
        root.insert(place, part)
    root.set("id", prefix)
    root.set("role", "img")
    root.set("aria-labelledby", " ".join(part.get("id", "") for part in words))
    root.set("data-theme", theme)
    root.set("font-family", FONT)
    root.set("style", "max-width:100%;height:auto")
    root.set("xmlns", NAMESPACE)
    return ET.tostring(root, encoding="unicode") + "\n"


def parse(svg: str) -> Element:
    """The root of an SVG; names are without namespaces, comments and doctype are gone.

    Graphviz copies names as they are, with characters and entities that XML does not have: those become "\ufffd" and
    plain text.
    """
    svg = xml_text(svg)
    svg = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-fA-F]+);)", "&amp;", svg)
    svg = re.sub(r"&#(x?)([\da-fA-F]+);", lambda m: reference(m[0], int(m[2], 16 if m[1] else 10)), svg)
    root = ET.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    return root


def reference(text: str, code: int) -> str:
    """A character reference, or "\ufffd" if it means a character that is not legal."""
    return text if code <= 0x10FFFF and xml_text(chr(code)) == chr(code) else "\ufffd"


def drop_hidden(element: Element) -> None:
    """Takes out text that only holds a place, pictures from other files, and Graphviz's titles, which are DOT names."""
    for child in list(element):
        hidden = child.tag == "text" and child.get("fill") in ("transparent", "none")
        if hidden or child.tag == "image" or (child.tag == "title" and element.tag in ("g", "svg")):
            element.remove(child)


def unwrap_links(element: Element) -> None:
    """Makes Graphviz's tooltip, `<g id="a_x"><a xlink:title="tip">...</a></g>`, the title of what it belongs to."""
    title: list[Element] = []
    parts: list[Element] = []
    for child in element:
        link = child.find("a") if child.tag == "g" else None
        if link is None:
            parts.append(child)
        elif child.get("id") in (f"a_{element.get('id')}", f"a_{element.get('id')}-label"):
            title = title or text_parts("title", link.get(XLINK + "title", ""))
            parts.extend(link)
        else:  # a cell of a table: its tooltip is that of the node
            child.set("id", child.get("id", "").removeprefix("a_"))
            child[:] = link
            parts.append(child)
    element[:] = [*title, *parts]


def text_parts(tag: str, text: str, **attributes: str) -> list[Element]:
    """A <title> or <desc>; none of an empty text."""
    if not text:
        return []
    element = ET.Element(tag, attributes)
    element.text = xml_text(text)
    return [element]


def raise_headings(root: Element) -> None:
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


def own_ids(element: Element, prefix: str) -> None:
    """Puts the prefix before the id and before the ids that are referred to; the font is the root's."""
    if "id" in element.attrib:
        element.set("id", f"{prefix}-{element.get('id')}")
    for name in ("fill", "stroke", "clip-path", "filter", "mask"):
        if element.get(name, "").startswith("url(#"):
            element.set(name, f"url(#{prefix}-{element.get(name, '')[5:]}")
    if element.get("font-family") == FONT:
        del element.attrib["font-family"]


def colour(root: Element, theme: Theme) -> set[str]:
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
    lines = [
        f"#{prefix}{{{light}}}",
        f'#{prefix}[data-theme="dark"]{{{dark}}}',
        f'@media (prefers-color-scheme:dark){{#{prefix}[data-theme="auto"]{{{dark}}}}}',
    ]
    for name in sorted(used):
        where, _, role = name.partition("-")
        lines.append(f"#{prefix} .{name}{{{where}:var(--{role})}}")
    return "\n".join(["", *lines, ""])
