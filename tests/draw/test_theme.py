"""The colours of pictures: each says what it is for, and what is written in them can be read."""

import re

import pytest

from tinygrad_edu.draw.theme import HEAT_LEVELS, LIGHT, heat, mix, palette, roles


def luminance(colour):
    """How bright "#rrggbb" is, from 0 to 1, with the weights that the eye gives red, green and blue."""
    channels = [x / 255 for x in bytes.fromhex(colour[1:])]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, 2023); text needs 4.5, wires and symbols 3."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


PAPERS = ["paper", "card", "cluster1", "cluster2", "cluster3"]
TEXTS = dict.fromkeys(("text", "muted", "value_text", "gradient_text", "parameter"), PAPERS) | {"op_text": ["op"]}
ON_ROWS = [("value_text", "value_fill"), ("gradient_text", "gradient_fill"), ("muted", "value_fill")]
PAIRS = [*((text, paper) for text, papers in TEXTS.items() for paper in papers), *ON_ROWS, ("muted", "gradient_fill")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(theme, text, ground):
    colours = palette(theme)
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("part", ["value_wire", "gradient_wire", "blocked", "parameter", "input", "output", "op"])
def test_wires_and_strips_can_be_seen(theme, part):
    colours = palette(theme)
    assert min(contrast(colours[part], colours[paper]) for paper in PAPERS) >= 3


def test_a_colour_says_what_it_is_for():
    light, dark = roles("light"), roles("dark")
    assert list(light) == list(dark) and len(light) == len(LIGHT) + 2 * HEAT_LEVELS + 1
    colours = [*light.values(), *dark.values()]
    assert len(set(colours)) == len(colours)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_heat_goes_from_blue_to_orange(theme):
    shares = [-2, -1, -0.5, 0, 0.5, 1, 9]
    brightness = [int(heat(x, theme)[1:3], 16) - int(heat(x, theme)[5:], 16) for x in shares]  # red minus blue
    assert brightness == sorted(brightness) and brightness[0] == brightness[1] and brightness[-1] == brightness[-2]
    assert heat(float("nan"), theme) == heat(0, theme)
    assert mix("#000000", "#ff8000", 0.5) == "#804000"
