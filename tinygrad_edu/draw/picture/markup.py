"""The pieces that labels are made of: text in a colour, cells and tables in Graphviz's HTML-like notation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tinygrad_edu.draw.numbers import Number, format_number
from tinygrad_edu.draw.picture.svg import label_text
from tinygrad_edu.draw.record import Card
from tinygrad_edu.draw.theme import Theme, palette
from tinygrad_edu.draw.verdict import Verdict

__all__ = ["Look", "PictureMode", "bordered", "cell", "edge_strip", "font", "table"]

PictureMode = Literal["forward", "backward", "both"]


@dataclass(frozen=True)
class Look:
    """How a picture is drawn."""

    mode: PictureMode
    theme: Theme
    precision: int  # significant digits
    output: str  # its name
    heat_maps: bool = True  # whether large tensors have one
    failed: bool = False  # whether the forward pass failed, and there is no output
    backward: bool = True  # whether there was a backward pass
    verdicts: Mapping[Card, Verdict] = field(default_factory=dict)  # on what stands in `.grad`, if that is shown

    def __getitem__(self, part: str) -> str:
        """A colour; transparent where the mode does not show the backward pass."""
        return "transparent" if self.mode == "forward" and part.startswith("gradient") else palette(self.theme)[part]

    def tint(self, part: str) -> tuple[str, str]:
        """The ink and the ground of a row: of the "value", of the "gradient", or of a gradient that is "wrong".

        "odd value" and "odd gradient" are those of numbers that are not finite.
        """
        if part in ("value", "gradient"):
            return self[f"{part}_text"], self[f"{part}_fill"]
        hidden = self.mode == "forward" and part != "odd value"
        return ("transparent",) * 2 if hidden else (self["highlight_text"], self["highlight"])

    def format(self, x: Number) -> str:
        return format_number(x, self.precision)


def font(text: str, colour: str, size: float = 11, style: str = "") -> str:
    """Text in a colour, its size in points; `style` is "B", "I" or nothing."""
    text = label_text(text) or " "
    text = f"<{style}>{text}</{style}>" if style else text
    return f'<FONT COLOR="{colour}" POINT-SIZE="{size:g}">{text}</FONT>'


def cell(content: str, attributes: str = "") -> str:
    return f"<TD {attributes}>{content}</TD>"


def table(rows: Sequence[Sequence[str]], padding: int = 0, attributes: str = "") -> str:
    """A table without borders; rows are made of cells."""
    opening = f"TABLE {attributes}".rstrip()
    lines = "".join([f"<TR>{''.join(row)}</TR>" for row in rows])
    return f'<{opening} BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}">{lines}</TABLE>'


def bordered(cells: list[str], look: Look, colour: str = "rule", width: int = 1, padding: int = 0) -> str:
    return (
        f'<TABLE BORDER="{width}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}" COLOR="{look[colour]}" '
        f'BGCOLOR="{look["card"]}"><TR>{"".join(cells)}</TR></TABLE>'
    )


def edge_strip(colour: str) -> str:
    """A coloured edge, which says what kind of tensor it is."""
    return cell("", f'WIDTH="8" BGCOLOR="{colour}"')
