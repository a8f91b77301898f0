"""What a notebook shows of a picture, in the kinds that its readers take.

    text/html         JupyterLab, VS Code, Colab: an image that follows their theme, as wide as the column
    image/svg+xml     the same picture by itself
    image/png         GitHub, and a notebook that nobody has trusted yet
    application/pdf   LaTeX, where letters stay letters
    text/plain        the graph as a tree

JupyterLab shows an SVG as an image, which sees nothing of the page: it only knows the reader's system. But an image has
the `color-scheme` of its element, so a line of CSS around it hands on the theme of the page. As an image the SVG also
gets through the filters that take SVG elements, or their tags alone, out of HTML:

    HTML(svg)       # in a notebook from somebody else: all words of the picture in a row
"""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from tinygrad_edu.draw.picture.engines import render
from tinygrad_edu.draw.theme import Theme
from tinygrad_edu.notebooks import follow_host

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["in_a_frame", "mimebundle", "themed_svg"]

Size = tuple[float, float]  # width and height, in pixels of CSS

PIXELS = 4 / 3  # of CSS, for a point
COLUMN = 1000  # pixels: about as wide as a notebook, and half as wide as a PNG becomes
HIGHEST = 700  # pixels: a picture is made smaller to be no higher, or scrolls
LOWEST_FRAME, WORDS = 460, 240  # pixels: of a player, and of what it says above and below its picture
LETTER = 9  # pixels: smaller letters cannot be read
AREA = 6e6  # pixels of a PNG: some 300 KB
SHORTEST = 0.2  # of its size: a PNG that must be smaller than that shows nothing
EXTRA = 5.0  # seconds for each kind that is there beside the SVG

# Scrollbars that are always in sight, and on paper none: there the picture fits a page
BOX = (
    "BOX::-webkit-scrollbar{width:12px;height:12px}"
    "BOX::-webkit-scrollbar-thumb{background:#84909c;border:2px solid transparent;background-clip:padding-box;"
    "border-radius:6px}BOX::-webkit-scrollbar-corner{background:transparent}"
    "@media print{BOX{max-height:none!important;break-inside:avoid}"
    "BOX img{min-width:0!important;width:auto!important;max-width:100%!important;max-height:95vh;"
    "color-scheme:light!important}}"
)

# Seen where the frame was filtered out, and the style with it
UNTRUSTED = "Run this cell, or trust the notebook, to see the player: pages from elsewhere are not shown before."
HIDDEN = ".player-frame+p{display:none}:has(>.player-frame)+.player-note{display:none}"  # marimo wraps frames

KINDS = ("text/html", "image/svg+xml", "image/png", "application/pdf", "text/plain")


def mimebundle(
    graph: Graph, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> tuple[dict[str, str], dict[str, Any]]:
    """The data of each kind and, of a PNG, its size; without an engine the text, with the reason. It never raises."""
    include, exclude = set(KINDS if include is None else include) or set(KINDS), set(exclude or ())
    wanted = [kind for kind in KINDS if kind in include - exclude]
    shown, metadata, hint = dict[str, str](), dict[str, Any](), ""
    if wanted not in ([], ["text/plain"]):
        try:
            shown, metadata = pictures(graph, wanted)
        except Exception as problem:  # an error here would hide the object
            hint = f"\n\nNo picture: {problem}"
    if "text/plain" in wanted or hint:
        try:
            text = graph.text()
        except Exception as problem:
            text = f"No text: {problem}"
        shown["text/plain"] = text + hint
    return shown, metadata


def pictures(graph: Graph, wanted: Collection[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """The SVG, alone and in HTML, and what the engine makes of the same DOT for those who take no SVG."""
    svg, shown, metadata = themed_svg(graph), dict[str, str](), dict[str, Any]()
    size = picture_size(svg)
    if "text/html" in wanted:
        shown["text/html"] = in_a_box(svg, size, graph.alt_text)
    if "image/svg+xml" in wanted:
        shown["image/svg+xml"] = svg
    scale = min(1.0, COLUMN / size[0], math.sqrt(AREA / size[0] / size[1]) / 2)
    if scale >= SHORTEST and "image/png" in wanted:
        source = graph.source.replace("{", f"{{\n\tgraph [dpi={2 * 96 * scale:.2f}]", 1)
        if data := extra(graph, source, "png:cairo:gd") or extra(graph, source, "png"):  # 256 colours, if possible
            shown["image/png"] = data
            metadata["image/png"] = {"width": round(size[0] * scale), "height": round(size[1] * scale)}
    if "application/pdf" in wanted and (data := extra(graph, graph.source, "pdf")):
        shown["application/pdf"] = data
    return shown, metadata


def extra(graph: Graph, source: str, format: str) -> str:
    """A picture in base64; "" where the engine cannot draw this kind, or not in time."""
    try:
        return base64.b64encode(render(source, format, min(graph.time_limit, EXTRA), graph.engine)).decode()
    except Exception:
        return ""


def themed_svg(graph: Graph) -> str:
    """The SVG, which follows the page around it unless the graph was given a theme."""
    return with_theme(str(graph.pipe("svg", encoding="utf-8")), graph.notebook_theme)


def with_theme(text: str, theme: Theme) -> str:
    """An SVG or a page whose root has another theme."""
    return re.sub(r'\bdata-theme="\w+"', f'data-theme="{theme}"', text, count=1)


def picture_size(svg: str) -> Size:
    width, height = [re.search(rf'\b{name}="([\d.]+)pt"', svg) for name in ("width", "height")]  # the first: the root's
    return (float(width[1]) * PIXELS, float(height[1]) * PIXELS) if width and height else (COLUMN, HIGHEST)


def in_a_box(svg: str, size: Size, words: str) -> str:
    """The SVG as an image, as wide as the column and no higher than a screen as long as its letters can be read.

    Else it is larger, in a box with scrollbars.
    """
    width, height = size
    letters = [float(points) * PIXELS for points in re.findall(r'font-size="([\d.]+)', svg)]
    least = min(1.0, LETTER / min(letters, default=LETTER))
    most = max(least, min(1.0, HIGHEST / height))
    name = re.search(r'<svg[^>]*\bid="([\w-]+)"', svg)
    box = f"box-{name[1]}" if name else "box"
    rules = follow_host(f"#{box} img") + BOX.replace("BOX", f"#{box}")
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<style>{rules}</style><div id="{box}" style="overflow:auto;max-height:{HIGHEST + 20}px">'
        f'<img src="data:image/svg+xml;base64,{data}" alt="{html.escape(words)}" width="{width * most:.0f}" '
        f'style="display:block;width:100%;height:auto;max-width:{width * most:.0f}px;min-width:{width * least:.0f}px">'
        "</div>"
    )


def in_a_frame(page: str, title: str, theme: Theme, lowest: float = LOWEST_FRAME) -> str:
    """A page in a frame as high as its picture needs beside the words and buttons, with no scrollbar of its own."""
    size = re.search(r'<svg[^>]*viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"[^>]*>', page)  # the first is the picture
    stage = COLUMN * float(size[2]) / float(size[1]) if size else HIGHEST
    height = max(lowest, min(WORDS + stage, HIGHEST))
    return (
        f"<style>{follow_host('.player-frame')}{HIDDEN}</style>"
        f'<iframe class="player-frame" srcdoc="{html.escape(with_theme(page, theme))}" title="{html.escape(title)}" '
        f'sandbox="allow-scripts" style="display:block;box-sizing:border-box;width:100%;height:{height:.0f}px;'
        f'border:1px solid #84909c;border-radius:8px"></iframe><p class="player-note">{UNTRUSTED}</p>'
    )
