"""The node of what failed: its operands with their shapes, the line of the user's code, and the error below."""

from __future__ import annotations

import textwrap

from numpy import ndarray

from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import format_shape
from tinygrad_edu.draw.picture.markup import Look, bordered, cell, edge_strip, font, table
from tinygrad_edu.draw.record import Card, Failure
from tinygrad_edu.tensor import Tensor

__all__ = ["failed_label"]

LINE, LINES = 52, 14  # of the error's text
OPERANDS = 10  # that are listed


def failed_label(card: Card, failure: Failure, look: Look) -> str:
    """The label of the node."""
    title = font(f"✗ {shorten(card.name, 40)} failed", look["text"], 16, "B")
    rows = [[cell(title, 'ALIGN="LEFT" CELLPADDING="5"')]]
    sources = {wire.position: wire.source for wire in card.wires}
    given = failure.operands + failure.options
    operands = [operand_row(name, value, sources.get(i), look) for i, (name, value) in enumerate(given)]
    if len(operands) > OPERANDS:
        more = font(f"⋯ {len(operands) - OPERANDS} more", look["muted"], 10)
        operands[OPERANDS - 1 : -1] = [[cell(more, 'ALIGN="LEFT"'), cell(""), cell("")]]
    if operands:
        rows.append([cell(table(operands, 3), f'BGCOLOR="{look["cluster2"]}" ALIGN="LEFT"')])
    words = '<BR ALIGN="LEFT"/>'.join([font(line, look["text"], 11) for line in wrap(failure.text)])
    rows.append([cell(words + '<BR ALIGN="LEFT"/>', 'ALIGN="LEFT" BALIGN="LEFT" CELLPADDING="6"')])
    if failure.place:
        place = font(shorten(failure.place, LINE + 8, keep_start=True), look["muted"], 10, "I")
        rows.append([cell(place, 'ALIGN="LEFT" CELLPADDING="5"')])
    return bordered([edge_strip(look["highlight"]), cell(table(rows))], look, "highlight", 3)


def operand_row(argument: str, value: object, source: Card | None, look: Look) -> list[str]:
    """The argument, the name of what was given, and its shape and dtype."""
    name = "" if source is None or source.is_number or source.name == argument else shorten(source.name)
    texts = (font(shorten(argument, 20), look["muted"], 10), font(name, look["text"], 11, "B"))
    return [cell(text, 'ALIGN="LEFT"') for text in (*texts, font(operand_text(value), look["text"], 11))]


def operand_text(value: object) -> str:
    """Shape and dtype of a tensor or an array; other values as Python writes them."""
    if isinstance(value, (Tensor, ndarray)):
        return f"{format_shape(value.shape) or 'a number'} {value.dtype}"
    try:
        return shorten(f"{value!r}", 40, keep_start=True)
    except Exception:  # of a class of the user's own
        return f"a {type(value).__name__}"


def wrap(text: str) -> list[str]:
    """The error's text in lines, at most LINES of them."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(printable(line), LINE) or [""]]
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
