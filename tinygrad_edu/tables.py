"""Tables of strings: as text for a terminal, as HTML and Markdown for a notebook.

The HTML has no colours of its own, so that it looks like the other tables of the notebook, in light and dark. Markdown
is what becomes LaTeX when a notebook is exported.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

__all__ = ["Table", "escape_markdown", "format_table", "html_table", "markdown_table"]

MINUS = re.compile(r"^-(?=\d)")
Rows = Sequence[Sequence[str]]  # the first one is the header


def format_table(rows: Rows, right: Collection[str]) -> list[str]:
    """The lines of a table: header, rule, rows, rule; the columns whose headers are in `right` are flush right."""
    if not rows:
        return []
    widths = [max([len(cell) for cell in column]) for column in zip(*rows, strict=True)]
    formats = [f"{'>' if header in right else '<'}{width}" for header, width in zip(rows[0], widths, strict=True)]
    lines = ["  ".join([format(*cell) for cell in zip(row, formats, strict=True)]).rstrip() for row in rows]
    rule = "-" * max([len(line) for line in lines])
    return [lines[0], rule, *lines[1:], rule]


def html_table(rows: Rows, right: Collection[str], below: Sequence[str] = ()) -> str:
    """The table with a paragraph below it, whose lines are `below`."""
    from html import escape  # which takes a while to load

    parts = []
    if rows:
        sides = ["right" if header in right else "left" for header in rows[0]]
        head, *body = [html_row(map(escape, row), "td" if i else "th", sides) for i, row in enumerate(rows)]
        parts = ['<table style="margin-left:0">', "<thead>", head, "</thead>", "<tbody>", *body, "</tbody>", "</table>"]
    if below:
        parts.append(f"<p>{'<br>'.join(map(escape, below))}</p>")
    return "\n".join(parts)


def html_row(row: Iterable[str], tag: str, sides: Sequence[str]) -> str:
    cells = [f'<{tag} style="text-align:{side}">{cell}</{tag}>' for cell, side in zip(row, sides, strict=True)]
    return f"<tr>{''.join(cells)}</tr>"


def markdown_table(rows: Rows, right: Collection[str], below: Sequence[str] = ()) -> str:
    """The table as GitHub and Pandoc read it, and below it a paragraph."""
    parts = []
    if rows:
        rule = ["---:" if header in right else ":---" for header in rows[0]]
        # A true minus, as lines break after a "-"
        escaped = [[escape_markdown(MINUS.sub("\u2212", cell)) for cell in row] for row in rows]
        parts.append("\n".join([f"| {' | '.join(row)} |" for row in (escaped[0], rule, *escaped[1:])]))
    if below:
        parts.append("\\\n".join(map(escape_markdown, below)))
    return "\n\n".join(parts)


def escape_markdown(text: str) -> str:
    """A text in Markdown, where names may hold signs that mean something there."""
    return "".join([f"\\{c}" if c in "\\`*_{}[]<>#|$~" else c for c in text])


class Table:
    """Rows, the first one the header, and lines below: text in a terminal, a table in a notebook.

    Without rows it is the lines alone.
    """

    def __init__(self, rows: Rows, below: Sequence[str] = ()) -> None:
        self.rows, self.below = rows, below

    def __str__(self) -> str:
        return "\n".join([*format_table(self.rows, ()), *self.below])

    def _repr_html_(self) -> str:
        return html_table(self.rows, (), self.below)

    def _repr_markdown_(self) -> str:
        return markdown_table(self.rows, (), self.below)

    def __repr__(self) -> str:
        return str(self)
