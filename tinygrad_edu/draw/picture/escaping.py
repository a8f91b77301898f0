"""How a text is written in each language that a picture passes through: one function for each of them.

A name is whatever a student typed, and every language on the way reads something of its own into it. A tensor with the
name `\\N` would be called by the number of its node, one with the name `</script>` would end the script of the player's
page, and a control character would make the SVG a file that nothing can read.

    tooltip in DOT            tooltip_text
    HTML-like label in DOT    label_text
    SVG                       xml_text; ElementTree does the rest
    HTML                      html.escape, of the standard library
    JSON in a script element  script_json
"""

from __future__ import annotations

import html
import json
import re

import graphviz

from tinygrad_edu.draw.names import shorten

__all__ = ["label_text", "script_json", "tooltip_text", "xml_text"]

TOOLTIP = 600  # characters


def tooltip_text(text: str) -> str:
    """A text as an attribute of DOT: tooltip, edgetooltip or labeltooltip. Beyond 600 characters it is cut."""
    text = shorten(text, TOOLTIP).replace("&", "&amp;").replace("\\", "\\\\")  # which Graphviz reads twice in tooltips
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
