"""What stands for an array within a node: its numbers if it is small, else a heat map with statistics.

The colours of a heat map say nothing without their range, and a cell that stands for several numbers may hide that
they differ: `[1, -1]` in one cell is 0. So the range stands under the map, and what was averaged is said.
"""

from __future__ import annotations

import math
import textwrap

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.numbers import FEW_ELEMENTS, MINUS, format_number, format_statistics
from tinygrad_edu.draw.picture.markup import Look, cell, font, table
from tinygrad_edu.draw.theme import heat

__all__ = ["array_cells", "kind_of", "number_rows"]

CELLS = 8  # of a heat map, along each axis
NUMBERS, ROWS, COLUMNS = 16, 8, 4  # the most that take no more room than a heat map
LINE = 26  # characters of a vector's line
NARROW = 2  # columns of numbers that fit beside a label
HIGH_ROWS = 3  # more than these are set closer


def kind_of(value: ndarray, part: str, most: int = NUMBERS) -> str:
    """The part, "odd" if an array without a heat map, which would show it, has numbers that are not finite."""
    finite = np.isfinite(value)
    return part if finite.all() or (value.size > most and finite.any()) else f"odd {part}"


def array_cells(value: ndarray, look: Look, part: str) -> tuple[str, bool]:
    """A number, some rows of numbers, or a heat map with statistics; and whether that fits beside a label."""
    ink = look.tint(part)[0]
    if value.size == 1:
        return font(look.format(value), ink, 16, "B"), True
    if not value.size:
        return font("empty", ink, 10, "I"), True
    is_even = bool((value == value.flat[0]).all())
    rows = number_rows(value, look.precision)
    if rows and not (is_even and value.size > FEW_ELEMENTS):
        return number_table(rows, value, ink), len(rows) == 1 or (value.ndim > 1 and value.shape[-1] <= NARROW)
    if is_even:
        return font(f"{look.format(value.flat[0])} everywhere", ink, 11), True
    words = " ".join(format_statistics(value, look.precision)).split()
    lines = [
        [cell(font(f"{name}\u2002", ink, 9), 'ALIGN="LEFT"'), cell(font(x, ink, 9, "B"), 'ALIGN="RIGHT"')]
        for name, x in zip(words[::2], words[1::2], strict=True)
    ]
    statistics = table(lines, 1)
    return (heat_cells(value, statistics, look, part) if look.heat_maps else statistics), False


def number_rows(value: ndarray, precision: int) -> list[list[str]]:
    """The numbers of a small array as rows of texts, [] if it is not small; a vector above 4 numbers as lines."""
    if not 0 < value.size <= NUMBERS:
        return []
    texts = [format_number(x, precision) for x in value.ravel()]
    if value.ndim == 1 and value.size > COLUMNS:
        return [[line] for line in textwrap.wrap(f"[{', '.join(texts)}]", LINE, break_on_hyphens=False)]
    columns = value.shape[-1] if value.ndim else 1
    if columns > COLUMNS or value.size > ROWS * columns:
        return []
    return [texts[i : i + columns] for i in range(0, len(texts), columns)]


def number_table(rows: list[list[str]], value: ndarray, ink: str) -> str:
    """Rows of numbers; a gap stands between the matrices of a stack."""
    size, padding = (11, 3) if len(rows) <= HIGH_ROWS else (10, 1)
    is_vector = value.ndim == 1 and len(rows) > 1
    side, gap = ("LEFT", "") if is_vector else ("RIGHT", "\u2002" if padding < 3 else "")
    lines = []
    for i, row in enumerate(rows):
        if value.ndim > 2 and i and i % value.shape[-2] == 0:
            lines.append([cell("", 'HEIGHT="5"')])
        lines.append([cell(font(gap + text, ink, size), f'ALIGN="{side}"') for text in row])
    return table(lines, padding)


def heat_cells(value: ndarray, statistics: str, look: Look, part: str) -> str:
    """A heat map with statistics beside it and its range below; of how many numbers a cell is the mean, if of several.

    The colours are the theme's, from minus the largest magnitude to the largest; what is not finite is highlighted.
    """
    ink = look.tint(part)[0]
    grid = value.reshape(-1, value.shape[-1])
    means = blocks(grid)
    largest = float(np.abs(means[np.isfinite(means)]).max(initial=0))
    size = 7 if means.shape[1] > 2 else 9
    number = look.format(largest)
    ends = f"{MINUS if largest else ''}{number} … {number}"
    scale = squares(np.linspace(-1.0, 1.0, 9)[np.newaxis], 4, 6, ink, look)
    rows = [
        [cell(squares(means / (largest or 1.0), size, size, ink, look)), cell(statistics)],
        [cell(scale), cell(font(ends, ink, 9), 'ALIGN="LEFT"')],
    ]
    text = table(rows, 2)
    if means.shape == grid.shape:
        return text
    high, wide = [f"{n / m:.3g}" for n, m in zip(grid.shape, means.shape, strict=True)]
    merged = font(f"cells: means of {high} × {wide}", ink, 9)
    return table([[cell(text, 'ALIGN="LEFT"')], [cell(merged, 'ALIGN="LEFT"')]])


def squares(shares: ndarray, wide: int, high: int, ink: str, look: Look) -> str:
    """Cells in the colours of shares of the largest number, each so wide and high; transparent where the ink is."""

    def square(x: float) -> str:
        colour = heat(x, look.theme) if math.isfinite(x) else look["highlight"]
        colour = "transparent" if ink == "transparent" else colour
        return cell("", f'WIDTH="{wide}" HEIGHT="{high}" FIXEDSIZE="TRUE" BGCOLOR="{colour}"')

    rows, columns = shares.shape
    attributes = f'FIXEDSIZE="TRUE" WIDTH="{columns * wide}" HEIGHT="{rows * high}" ALIGN="LEFT"'
    return table([[square(x) for x in row] for row in shares.tolist()], attributes=attributes)


def blocks(grid: ndarray) -> ndarray:
    """The means of at most 8 x 8 blocks of nearly equal size."""
    with np.errstate(all="ignore"):
        for axis in (0, 1):
            parts = np.array_split(grid, min(CELLS, grid.shape[axis]), axis)
            grid = np.stack([part.mean(axis, dtype=np.float64) for part in parts], axis)
    return grid
