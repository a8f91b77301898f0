"""What stands for an array within a node: numbers, or a heat map that says what its colours mean."""

import html
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_edu.draw.picture.arrays import array_cells, blocks, number_rows
from tinygrad_edu.draw.picture.markup import Look
from tinygrad_edu.draw.theme import heat, palette


def look(mode="both", theme="light", **options):
    return Look(mode, theme, 3, "f", **options)


def words(label):
    """The texts of a label."""
    return [html.unescape(text).strip() for text in re.findall(r">([^<>]+)<", f">{label}<")]


def shown(value, **options):
    return words(array_cells(np.asarray(value), look(**options), "value")[0])


def squares(text):
    """The colours of all squares of a heat map with its scale."""
    return re.findall(r'FIXEDSIZE="TRUE" BGCOLOR="([^"]+)"', text)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 2), (2, 4), (3, 3), (4, 4), (8, 1), (8, 2), (2, 2, 2), (2, 1, 3)])
def test_a_small_array_shows_its_numbers(shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    assert shown(values) == [str(x) for x in values.ravel()]


@pytest.mark.parametrize("shape", [(17,), (9, 1), (5, 4), (1, 5), (2, 5), (3, 3, 2)])
def test_a_larger_array_shows_statistics(shape):
    assert shown(np.arange(np.prod(shape)).reshape(shape))[::2][:4] == ["mean", "std", "min", "max"]


def test_numbers_stand_in_the_rows_of_the_array():
    text, _ = array_cells(np.arange(12.0).reshape(2, 2, 3), look(), "value")
    rows = [words(row) for row in text.split("<TR>")[1:]]
    assert rows == [["0", "1", "2"], ["3", "4", "5"], [], ["6", "7", "8"], ["9", "10", "11"]]
    assert number_rows(np.array([[1.0], [0.5]]), 3) == [["1"], ["0.5"]]


def test_a_long_vector_is_one_list_in_lines():
    rows = number_rows(np.linspace(-1, 1, 8), 3)
    assert rows == [["[\u22121, \u22120.714, \u22120.429,"], ["\u22120.143, 0.143, 0.429,"], ["0.714, 1]"]]


NARROW = [((3,), True), ((1, 3), True), ((4, 2), True), ((2, 3), False), ((8,), False)]


@pytest.mark.parametrize(("shape", "beside"), NARROW)
def test_what_is_narrow_stands_beside_its_label(shape, beside):
    assert array_cells(np.arange(np.prod(shape)).reshape(shape) / 7, look(), "value")[1] is beside


def test_equal_numbers_are_said_once():
    assert shown(np.zeros((5, 2))) == shown(np.zeros((4, 2))) == ["0 everywhere"]
    assert shown(np.ones(4)) == ["1", "1", "1", "1"] and shown(np.zeros((0, 2))) == ["empty"]


@given(npst.arrays(np.float64, npst.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.floats(-9, 9)))
def test_blocks_are_means_and_at_most_eight_by_eight(grid):
    means = blocks(grid)
    assert means.shape == tuple(min(8, n) for n in grid.shape)
    rows, columns = (np.array_split(np.arange(n), m) for n, m in zip(grid.shape, means.shape, strict=True))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            np.testing.assert_allclose(means[i, j], grid[np.ix_(row, column)].mean(), atol=1e-12)


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_the_colours_of_a_heat_map_and_their_range(theme):
    grid = np.zeros((4, 5))
    grid[0] = [-2, -1, 0, 1, 2]
    text, _ = array_cells(grid, look(theme=theme), "value")
    colours = squares(text)
    assert colours[:6] == [heat(share, theme) for share in (-1, -0.5, 0, 0.5, 1, 0)]
    assert colours[20:] == [heat(share, theme) for share in np.linspace(-1, 1, 9)]
    assert words(text)[8:] == ["\u22122 … 2"]


@pytest.mark.parametrize(
    ("shape", "merged"),
    [
        ((4, 5), []),
        ((8, 8), []),
        ((16, 784), ["cells: means of 2 × 98"]),
        ((100, 1), ["cells: means of 12.5 × 1"]),
        ((6, 3, 5, 5), ["cells: means of 11.2 × 1"]),
        ((20,), ["cells: means of 1 × 2.5"]),
    ],
)
def test_what_is_merged_is_said(shape, merged):
    assert shown(np.random.default_rng(0).normal(size=shape))[9:] == merged


def test_the_range_is_that_of_the_means():
    assert shown(np.tile([1.0, -1.0], 16))[7:] == ["1", "0 … 0", "cells: means of 1 × 4"]


def test_what_is_not_finite_is_highlighted_and_zeros_are_neutral():
    grid = np.zeros((3, 6))
    grid[0, :3] = np.nan, np.inf, 1.0
    colours = squares(array_cells(grid, look(), "value")[0])[:18]
    assert colours.count(palette()["highlight"]) == 2 and colours.count(heat(0)) == 15


def test_without_heat_maps_the_statistics_stay():
    text, _ = array_cells(np.eye(2, 5), look(heat_maps=False), "value")
    assert not squares(text)
    assert words(text) == ["mean", "0.2", "std", "0.4", "min", "0", "max", "1"]


def test_nothing_of_the_gradient_is_seen_in_the_forward_pass():
    for part in ("gradient", "wrong"):
        text, _ = array_cells(np.arange(40.0).reshape(5, 8), look("forward"), part)
        assert set(re.findall(r'COLOR="([^"]+)"', text)) == {"transparent"}
