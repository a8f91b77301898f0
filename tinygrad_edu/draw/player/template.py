"""Pages of one file, without any network: a template, and the styles and scripts that the pages share.

A template has {{name}} where a part comes, and {{page_css}} where the file page.css does.
"""

from __future__ import annotations

import html
import re
from functools import cache
from importlib.resources import files

from tinygrad_edu.draw.theme import DARK, FONT, LIGHT, Theme, css_variables

__all__ = ["fill_page"]

SHARED = ("page.css", "playing.css", "page.js", "playing.js", "view.js", "film.js")


def fill_page(template: str, title: str, theme: Theme, **parts: str) -> str:
    """The page made of a template.

    Args:
        template: The name of a file beside this one.
        title: The heading, as plain text.
        theme: Its theme at the beginning.
        parts: What stands in the places of the template, as HTML or JSON, and in those of the shared files.
    """
    colours = {"light": css_variables(LIGHT), "dark": css_variables(DARK), "font": FONT}
    shared = {name.replace(".", "_"): fill(read(name), colours) for name in SHARED}
    return fill(read(template), colours | shared | parts | {"title": html.escape(title), "theme": theme})


@cache
def read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def fill(text: str, parts: dict[str, str]) -> str:
    """Puts the parts in their places, all at once, so that no part is searched for places."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text)
