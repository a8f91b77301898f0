"""The colours of the pictures: Okabe and Ito's hues, which the colour-blind tell apart too, for light and dark paper.

Every part of a picture has a colour of its own, even where two look the same (paper and card), and no colour occurs in
both themes. So a colour in a finished SVG says what it is for, and `svg.finish` can turn a light picture dark: with one
white for the paper and for the symbol on a dark op, the dark picture would have black paper and a black symbol.

Okabe, Ito: Color Universal Design, 2008.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["DARK", "FONT", "LIGHT", "Theme", "css_variables", "heat", "mix", "palette", "roles"]

Theme = Literal["light", "dark", "auto"]
FONT = "Helvetica,Arial,sans-serif"

LIGHT: dict[str, str] = {
    "paper": "#ffffff", "card": "#fefefe", "text": "#1c2531",
    "muted": "#56616e", "rule": "#b9c3cf",  # kinds, shapes, `local:`; borders of cards and clusters
    "value_text": "#005a8f", "value_fill": "#e6f2fa", "value_wire": "#0072b2",
    "gradient_text": "#a63c00", "gradient_fill": "#fdeee3", "gradient_wire": "#d55e00",
    "parameter": "#007557", "input": "#5b6775", "data": "#84909c", "output": "#8c4a76",
    "op": "#1b2430", "op_text": "#fdfdfd", "blocked": "#74808c",  # op_text: the symbol of an op, the role of a gate
    "cluster1": "#f5f7f9", "cluster2": "#ebeff3", "cluster3": "#e1e7ed",
    "highlight": "#e69f00", "highlight_text": "#1d2632",  # what is not finite; a wrong gradient
}  # fmt: skip

DARK: dict[str, str] = {
    "paper": "#11161d", "card": "#1b232c", "text": "#eef2f6",
    "muted": "#a9b4c0", "rule": "#465260",
    "value_text": "#7cc4f5", "value_fill": "#12334a", "value_wire": "#56b4e9",
    "gradient_text": "#ffab73", "gradient_fill": "#43230f", "gradient_wire": "#f28a3c",
    "parameter": "#3fc79d", "input": "#a3afbb", "data": "#7f8b98", "output": "#e29cc9",
    "op": "#e6eaf2", "op_text": "#12171e", "blocked": "#8e9aa6",
    "cluster1": "#161d25", "cluster2": "#1d2630", "cluster3": "#252f3a",
    "highlight": "#f2c14e", "highlight_text": "#10151c",
}  # fmt: skip

HEAT_LEVELS = 8
# Purple, grey, yellow-green: neither blue nor orange, and ever lighter, so that a print in grey keeps the order.
HEAT_ENDS = {"light": ("#4b1248", "#9c989f", "#b9e34f"), "dark": ("#93409b", "#98949e", "#dcf05a")}


def palette(theme: Theme = "light") -> dict[str, str]:
    """The colours of a theme by name; those of "auto" are the light ones, which `svg.finish` makes switch."""
    return DARK if theme == "dark" else LIGHT


def heat(share: float, theme: Theme = "light") -> str:
    """The colour of a heat map's cell, one of 17, as "#rrggbb".

    `share` is the cell's number divided by the largest magnitude: -1 is purple, 0 and NaN are grey, 1 is yellow-green.
    Numbers outside are cut off.
    """
    level = 0 if share != share else round(max(-1.0, min(1.0, share)) * HEAT_LEVELS)
    low, neutral, high = HEAT_ENDS["dark" if theme == "dark" else "light"]
    return mix(neutral, high if level > 0 else low, abs(level) / HEAT_LEVELS)


def mix(a: str, b: str, share: float) -> str:
    """The colour at `share` of the way from a to b, both "#rrggbb"."""
    pairs = zip(bytes.fromhex(a[1:]), bytes.fromhex(b[1:]), strict=True)
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)


def roles(theme: Theme = "light") -> dict[str, str]:
    """All the colours that a picture may have, by what they are for: the palette's names and "heat-8" to "heat8"."""
    heats = {f"heat{level}": heat(level / HEAT_LEVELS, theme) for level in range(-HEAT_LEVELS, HEAT_LEVELS + 1)}
    return {**palette(theme), **heats}


def css_variables(colours: dict[str, str]) -> str:
    """Colours by role, as in a palette, as variables of CSS: "--text:#1c2531;"."""
    return "".join([f"--{role}:{colour};" for role, colour in colours.items()])
