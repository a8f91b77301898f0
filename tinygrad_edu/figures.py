"""What the plots are made of: figures and their panels, lines, legends, and numbers and texts that can be drawn."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.engine import plain

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "BLUE", "COLORS", "ORANGE", "Floats", "Texts", "add_legend", "as_floats", "as_limits", "as_numbers", "as_picture",
    "check_form", "clean_text", "draw_line", "finite_numbers", "finite_range", "for_each", "legend_text",
    "new_colormap", "new_figure", "set_scale",
]  # fmt: skip

Floats = NDArray[np.float64]
Texts = str | Sequence[str]  # one for all panels, or one for each
MOST = 500  # panels, each of which takes matplotlib some 15 ms and 0.3 MB
HUGE = 1e280  # beyond it matplotlib's own arithmetic overflows: counts as not finite

# The palette by Okabe and Ito (2008), which colour-blind readers can tell apart; grey stands for its yellow, which is
# too pale on white. Line style and marker carry the same distinction into greyscale print.
BLUE, ORANGE = "#0072B2", "#D55E00"
COLORS = BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777"
DASHES = "-", "--", "-.", ":", (0, (9, 2)), (0, (5, 1, 1, 1, 1, 1)), (0, (2, 1)), (0, (9, 2, 2, 2))
MARKERS = "os^DvPX*"


def new_figure(
    title: str | None, names: Sequence[object], height: float, aspect: float = 0, most: int = 0
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each name, up to `most` in a row; each is height inches + aspect * its width high."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plots are drawn with matplotlib, which is not installed; pip install "tinygrad-edu[demos]" brings it'
        ) from error
    if not names:
        raise ValueError("there is nothing to draw; give at least one entry")
    if len(names) > MOST:
        raise ValueError(f"{len(names):,} panels are too many for one picture; choose up to {MOST}, such as data[:64]")
    rows = math.ceil(len(names) / (most or (3 if len(names) <= 6 else 4)))
    columns = math.ceil(len(names) / rows)
    width, size = 9 if columns > 1 else 6.5, 11 if columns < 4 else 9
    fit = int(105 * width / columns / size)  # letters
    folded = [textwrap.fill(clean_text(name), fit, replace_whitespace=False) for name in names]
    lines = max(name.count("\n") + 1 if name else 0 for name in folded)
    total = rows * (height + aspect * width / columns + 0.17 * lines) + (0.3 if title is not None else 0)
    figure = Figure(figsize=(width, total), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    panels = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, folded, strict=False):
        axes.set_title(name, fontsize=size)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    if title is not None:
        figure.suptitle(textwrap.fill(clean_text(title), int(10 * width)))
    return figure, panels[: len(names)]


def draw_line(axes: Axes, x: Floats, y: Floats, label: str, index: int, marks: int) -> None:
    """Draws a line in the style of that index; `marks` or more of its points are marked, but fewer than twice that."""
    (line,) = axes.plot(
        x, y, label=legend_text(label), color=COLORS[index % 8], ls=DASHES[(index + index // 8) % 8], ms=5
    )
    line.set(linewidth=2 if len(x) < 500 else 1)
    if marks:
        line.set(marker=MARKERS[index % 8], markevery=max(1, len(x) // marks))


def set_scale(axes: Axes, which: str, scale: str) -> None:
    """Sets a scale; a logarithmic one of few decades gets plain numbers at 1, 2 and 5 times the powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = getattr(axes.dataLim, f"minpos{which}"), getattr(axes.dataLim, f"interval{which}")[1]  # low above 0
    if scale == "log" and np.isinf(low):  # an axis without numbers above 0 stays linear
        return
    getattr(axes, f"set_{which}scale")(scale, **({"nonpositive": "mask"} if scale == "log" else {}))
    if scale == "log" and high < 1000 * low:
        axis = axes.xaxis if which == "x" else axes.yaxis
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Writes one legend for all panels, below them in a space of its own."""
    handles: dict[str, Artist] = {}  # by label
    for axes in panels:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if any(handles):
        most = int(72 * figure.get_figwidth() / (65 + 5.7 * max(map(len, handles))))  # in a row; widths in points
        n = min(max(most, 1), len(handles))
        figure.set_figheight(figure.get_figheight() + 0.1 + 0.2 * math.ceil(len(handles) / n))
        legend = figure.legend(handles.values(), handles, loc="outside lower center", ncols=n, handlelength=3.5)
        legend.set_frame_on(False)


def new_colormap(*colors: str) -> Colormap:
    """A map from numbers to colours that runs evenly through the given ones."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("", colors)


def clean_text(value: object) -> str:
    """A value as a text that matplotlib can draw: without control characters, or dollars around what is no formula."""
    text = "\n".join(["".join([c if c.isprintable() else " " for c in line]) for line in str(value).splitlines()])
    if text.count("$") > 1:
        from matplotlib.mathtext import MathTextParser

        try:
            MathTextParser("path").parse(text)
        except ValueError:
            text = text.replace("$", r"\$")
    return text


def legend_text(label: str) -> str:
    """A label as matplotlib puts it into the legend, from which it leaves out those that begin with "_"."""
    label = clean_text(label)
    return f"\u200a{label}" if label.startswith("_") else label


def for_each(name: str, texts: Texts, panels: int) -> Sequence[str]:
    """A text for each panel."""
    if isinstance(texts, str) or not hasattr(texts, "__len__"):
        return [str(texts)] * panels
    if len(texts) != panels:
        raise ValueError(f"{name} has {len(texts)} texts for {panels} panels; give one for each, or one for all")
    return texts


def check_form(name: str, value: object, form: str) -> None:
    """Raises ValueError unless the value is a dict; the form says of what."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {value!r:.60}; give {form}")


def as_numbers(values: object, what: str) -> Floats:
    """The values as an array, with NaN for those that are not finite or masked."""
    values = without_tensors(values)
    try:
        array = np.ma.filled(np.ma.asarray(values, float), np.nan) if np.ma.is_masked(values) else np.asarray(values)
        if array.dtype.kind in "cmM":
            raise TypeError(f"got {array.dtype}")
        array = array.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: these are not real numbers in an array: {error}") from error
    return np.where(np.abs(array) < HUGE, array, np.nan)


def without_tensors(values: object) -> object:
    """The values of Tensors, also in lists."""
    return [without_tensors(value) for value in values] if isinstance(values, (list, tuple)) else plain(values)


def as_floats(values: object, what: str, *shape: int | None) -> Floats:
    """as_numbers of values whose shape is checked, where None stands for any length."""
    array = as_numbers(values, what)
    if array.ndim != len(shape) or any(n not in (None, size) for n, size in zip(shape, array.shape, strict=True)):
        wanted = str(tuple("n" if n is None else n for n in shape)).replace("'", "")
        how = "; take a column, x[:, 0]" if array.ndim == 2 and len(shape) == 1 else ""
        raise ValueError(f"{what}: the shape must be {wanted}, not {array.shape}{how}")
    return array


def as_limits(values: object, what: str) -> tuple[float, float]:
    """The two ends of an axis."""
    low, high = as_floats(values, what, 2).tolist()
    if not abs(high - low) > 1 / HUGE:
        raise ValueError(f"{what} is {values!r:.60}; give two different, finite numbers")
    return low, high


def as_picture(values: object) -> Floats:
    """A picture of shape (h, w) from one of that shape, or with an axis of one channel in front."""
    array = as_numbers(values, "picture")
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    if array.ndim != 2 or not array.size:
        how = "make [picture] of a single one, rows.reshape(-1, height, width) of rows of pixels"
        if array.ndim == 3:
            how = "make grey of colours, picture.mean(axis=-1), or axis=0 where they stand first"
        raise ValueError(f"picture: the shape must be (n, n), not {array.shape}; {how}")
    return array


def finite_numbers(array: Floats) -> Floats:
    """The finite numbers of an array, shape (n,)."""
    return array[np.isfinite(array)]


def finite_range(arrays: Iterable[Floats]) -> tuple[float, float]:
    """The lowest and the highest finite number; 0.5 below and above it where there is only one."""
    numbers = np.concatenate([finite_numbers(array) for array in arrays])
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)
