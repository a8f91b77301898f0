"""The colours of pictures: each says what it is for, and what is written in them can be read."""

import re

import numpy as np
import pytest

from tinygrad_edu.draw.theme import HEAT_LEVELS, LIGHT, heat, mix, palette, roles

WEIGHTS = (0.2126, 0.7152, 0.0722)  # that the eye gives red, green and blue


def linear(colour):
    """Red, green and blue of "#rrggbb" as amounts of light, from 0 to 1."""
    channels = [x / 255 for x in bytes.fromhex(colour[1:])]
    return [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]


def luminance(colour):
    """How bright "#rrggbb" is, from 0 to 1."""
    return sum(weight * x for weight, x in zip(WEIGHTS, linear(colour), strict=True))


def contrast(a, b):
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, 2023); text needs 4.5, wires and symbols 3."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


PAPERS = ["paper", "card", "cluster1", "cluster2", "cluster3"]
TEXTS = dict.fromkeys(("text", "muted", "value_text", "gradient_text", "parameter"), PAPERS) | {"op_text": ["op"]}
ON_ROWS = [("value_text", "value_fill"), ("gradient_text", "gradient_fill"), ("muted", "value_fill")]
ON_ROWS += [("highlight_text", "highlight")]
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


# What readers see of a colour: Machado, Oliveira, Fernandes 2009, and a print in grey.
READERS = {
    "all": np.eye(3),
    "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deutan": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritan": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
    "grey": [WEIGHTS, WEIGHTS, WEIGHTS],
}
TO_XYZ = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]]  # white is 1, 1, 1


def seen(colour, reader):
    """A colour in CIELAB, lightness first, as a reader sees it: a distance of 10 is seen at a glance."""
    xyz = np.array(TO_XYZ) @ np.clip(np.array(READERS[reader]) @ linear(colour), 0, 1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(a, b, reader):
    return np.linalg.norm(seen(a, reader) - seen(b, reader))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("reader", list(READERS))
def test_every_reader_sees_the_order_of_a_heat_map(theme, reader):
    low, *_, high = scale = [heat(level / HEAT_LEVELS, theme) for level in range(-HEAT_LEVELS, HEAT_LEVELS + 1)]
    assert min(np.diff([seen(colour, reader)[0] for colour in scale])) > 1.5  # ever lighter
    assert apart(low, heat(0, theme), reader) > 15 and apart(heat(0, theme), high, reader) > 15


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("reader", ["all", "protan", "deutan", "tritan"])
def test_the_ends_of_a_heat_map_are_neither_the_blue_nor_the_orange(theme, reader):
    colours = palette(theme)
    for end in (heat(-1, theme), heat(1, theme)):
        for part in ("value_wire", "value_text", "gradient_wire", "gradient_text"):
            assert apart(end, colours[part], reader) > 20, part


def test_a_blue_to_orange_heat_map_would_be_found():
    colours = palette()
    assert (
        apart("#00629c", colours["value_wire"], "all") < 20 and apart("#c85700", colours["gradient_wire"], "all") < 20
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_outside_of_a_heat_map_are_cut_off(theme):
    assert heat(-2, theme) == heat(-1, theme) and heat(9, theme) == heat(1, theme)
    assert heat(float("nan"), theme) == heat(0, theme)
    assert mix("#000000", "#ff8000", 0.5) == "#804000"
