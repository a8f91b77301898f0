"""matplotlib pictures, returned as figures: save them with `figure.savefig(path, dpi=150)`.

matplotlib is an extra, so each function imports it when it is called. The figures are made without
`matplotlib.pyplot`: no window opens, no backend is chosen, and nothing stays in memory once the caller lets go of it.
They are white and at most 9 inches wide, legible on a page of 900 pixels; `title` stands on top. Numbers that are not
finite leave a gap; texts may be numbers, such as labels, and arrays Tensors. Every function raises ImportError without
matplotlib, and ValueError for no data or wrong shapes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.checks import check_positive_int
from tinygrad_edu.engine import plain
from tinygrad_edu.torch_names import answer_names

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "BLUE", "COLORS", "ORANGE", "contours", "curves", "histograms", "images", "regions", "table", "training_curves",
]  # fmt: skip

Floats = NDArray[np.float64]
Columns = Mapping[str, Sequence[float]]
Texts = str | Sequence[str]  # one for all panels, or one for each
Data = ArrayLike | Mapping[str, ArrayLike]  # one for all panels, or one by the title of each
HUGE = 1e280  # beyond it matplotlib's own arithmetic overflows: counts as not finite

# The palette by Okabe and Ito (2008), which colour-blind readers can tell apart; grey stands for its yellow, which is
# too pale on white. Line style and marker carry the same distinction into greyscale print.
BLUE, ORANGE = "#0072B2", "#D55E00"
COLORS = BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777"
DASHES = "-", "--", "-.", ":", (0, (9, 2)), (0, (5, 1, 1, 1, 1, 1)), (0, (2, 1)), (0, (9, 2, 2, 2))
MARKERS = "os^DvPX*"


def training_curves(history: Columns | Sequence[Mapping[str, float]], title: str | None = None) -> Figure:
    """Draws loss (left) and accuracy (right) over the epochs, training against validation.

    Args:
        history: One record per epoch, or a dict of columns of equal length. Needs `train_loss` and `train_accuracy`;
            `val_loss`, `val_accuracy` and `epoch` are used where given. Accuracies are fractions from 0 to 1.
    """
    if not isinstance(history, Mapping):
        first = history[0] if history else {}
        for record in history:
            if record.keys() != first.keys():
                raise ValueError(f"a record has the keys {[*record]}, the first {[*first]}; keep them the same")
        history = {key: [record[key] for record in history] for key in first}
    lengths = {key: len(values) for key, values in history.items()}
    if not any(lengths.values()):
        raise ValueError("the history is empty: record at least one epoch before drawing it")
    missing = [key for key in ("train_loss", "train_accuracy") if key not in history]
    if missing:
        raise ValueError(f"the history has no {' and no '.join(missing)}, only {', '.join(history)}")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns of the history differ in length: {lengths}; each needs one number per epoch")
    epochs = history.get("epoch", range(1, lengths["train_loss"] + 1))
    panels: dict[str, dict[str, tuple[ArrayLike, ArrayLike]]] = {}
    for panel in ("Loss", "Accuracy"):
        names = {"train": f"train_{panel.lower()}", "validation": f"val_{panel.lower()}"}
        panels[panel] = {label: (epochs, history[name]) for label, name in names.items() if name in history}
    figure = curves(panels, xlabel="epoch", title=title, markers=True)
    from matplotlib.ticker import PercentFormatter

    figure.axes[1].yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def curves(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    *,
    xlabel: Texts = "",
    ylabel: Texts = "",
    xscale: Texts = "linear",
    yscale: Texts = "linear",
    title: str | None = None,
    markers: bool | Collection[str] = False,
) -> Figure:
    """Draws lines in panels, one beside the other. A label looks the same in all of them.

    Where all x of a panel are whole numbers, as epochs are, so are the numbers at its axis.

    Args:
        panels: `{panel title: {line label: (x, y)}}`, x and y of shape (n,). Up to 8 labels have their own colours.
        xlabel, ylabel, xscale, yscale: One text for all panels, or a sequence with one for each. The scales are
            matplotlib's ("linear", "log", ...); a logarithmic one leaves a gap for numbers that are not positive.
        markers: True marks points on every line: all of them, or from 20 on about ten. A collection of labels marks
            every point of those lines, and no others.
    """
    for name, lines in panels.items() if isinstance(panels, Mapping) else [("panels", None)]:
        if not isinstance(lines, Mapping) or any(len(xy) != 2 for xy in lines.values()):
            raise ValueError(f"curves: {name} has the wrong form; give {{panel title: {{line label: (x, y)}}}}")
    xlabels, ylabels = for_each("xlabel", xlabel, len(panels)), for_each("ylabel", ylabel, len(panels))
    xscales, yscales = for_each("xscale", xscale, len(panels)), for_each("yscale", yscale, len(panels))
    labels = list(dict.fromkeys([label for lines in panels.values() for label in lines]))
    figure, grid = new_figure(title, list(panels), height=3.3)
    from matplotlib.ticker import MaxNLocator

    for i, (axes, (name, lines)) in enumerate(zip(grid, panels.items(), strict=True)):
        whole_numbers = xscales[i] == "linear"
        for label, (x, y) in lines.items():
            xs = as_floats(x, f"x of {label} in {name}", None)
            ys = as_floats(y, f"y of {label} in {name}", len(xs))
            marks = 10 if markers is True else 0
            if not isinstance(markers, bool) and label in markers:
                marks = len(xs)
            draw_line(axes, xs, ys, label, labels.index(label), marks)
            whole_numbers = whole_numbers and bool(np.all(xs % 1 == 0))
        box = axes.get_subplotspec()
        repeated = isinstance(ylabel, str) and box is not None and not box.is_first_col()
        axes.grid(color="#DDDDDD")
        axes.set(xlabel=clean_text(xlabels[i]), ylabel="" if repeated else clean_text(ylabels[i]))
        set_scale(axes, "x", xscales[i])
        set_scale(axes, "y", yscales[i])
        if whole_numbers:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    add_legend(figure, grid)
    return figure


def histograms(
    rows: Mapping[str, Sequence[ArrayLike]], columns: Sequence[str], *, xlabel: str = "", title: str | None = None
) -> Figure:
    """Draws a grid of small histograms, each as high as its peak; those of a row share the horizontal axis.

    Args:
        rows: `{row label: [array, ...]}`, one array of any shape for each column.
        columns, xlabel: Labels of the columns, and of the axis.
    """
    for name, arrays in rows.items():
        if len(arrays) != len(columns):
            raise ValueError(f"{name} has {len(arrays)} arrays for {len(columns)} columns; give one for each")
    names = [name if row == 0 else "" for row in range(len(rows)) for name in columns]
    figure, grid = new_figure(title, names, height=0.7, aspect=0.4, most=len(columns))
    for row, (name, arrays) in enumerate(rows.items()):
        low, high = finite_range(arrays)
        first = grid[row * len(columns)]
        for column, array in enumerate(arrays):
            axes = grid[row * len(columns) + column]
            counts, edges = np.histogram(finite_numbers(array), bins=31, range=(low, high))
            axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=BLUE)
            axes.set(xlim=(low, high), ylim=(0, 1.05), yticks=[])
            ends = [f"{x:.2g}".replace("-", "\u2212") for x in (low, high)]
            axes.set_xticks([low, high], ["", ""] if column else ends, fontsize=8)
        for tick, side in zip(first.get_xticklabels(), ("left", "right"), strict=True):
            tick.set(horizontalalignment=side)
        first.set_ylabel(textwrap.fill(clean_text(name), 14), fontsize=9)
    figure.supxlabel(clean_text(xlabel), fontsize=10)
    return figure


def regions(
    panels: Mapping[str, Callable[[Floats], ArrayLike]], points: Data, labels: Data, *, title: str | None = None
) -> Figure:
    """Draws what classifiers of points in the plane decide: blue for class 0, orange for class 1.

    Args:
        panels: `{panel title: scores}`; scores of points (m, 2) are m numbers: above 0 for class 1, 0 on the line.
        points, labels: The data, shapes (n, 2) and (n,) with labels 0 or 1; or a dict of them, one for each panel.
    """
    data = []
    for name in panels:
        xy = as_floats(points[name] if isinstance(points, Mapping) else points, f"points of {name}", None, 2)
        own = as_floats(labels[name] if isinstance(labels, Mapping) else labels, f"labels of {name}", len(xy))
        data.append((xy, own))
    sides = [np.nanmax(xy, axis=0) - np.nanmin(xy, axis=0) + 1e-9 for xy, _ in data]
    aspect = np.clip(max((height / width for width, height in sides), default=1), 0.5, 1)
    figure, grid = new_figure(title, list(panels), height=0.6, aspect=0.9 * aspect)
    for axes, (name, scores), (xy, classes), side in zip(grid, panels.items(), data, sides, strict=True):
        x, y = np.linspace(np.nanmin(xy, axis=0) - 0.2 * side, np.nanmax(xy, axis=0) + 0.2 * side, 200).T
        mesh = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        z = as_floats(scores(mesh), f"scores of {len(mesh)} points in {name}", len(mesh)).reshape(200, 200)
        axes.pcolormesh(x, y, np.where(np.isnan(z), z, z > 0), cmap=new_colormap("#BBDDF0", "#FAD9BF"), vmin=0, vmax=1)
        if (z < 0).any() and (z > 0).any():
            axes.contour(x, y, z, levels=[0], colors="black", linewidths=1.5)
        for label, style in enumerate(("o", "s")):
            (dots,) = axes.plot(*xy[classes == label].T, style, color=COLORS[label], label=f"class {label}")
            dots.set(markeredgecolor="white", markersize=9 if len(xy) < 20 else 6)
        axes.set_box_aspect(aspect)
    add_legend(figure, grid)
    return figure


def contours(
    function: Callable[[Floats, Floats], ArrayLike],
    paths: Mapping[str, ArrayLike],
    *,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    minimum: tuple[float, float] | None = None,
    title: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draws paths, as of optimizers, over the contour lines of a function(x, y), arrays to an array of one shape.

    Args:
        paths: `{label: points}`, each of shape (steps, 2). Every step is marked where there are fewer than 100.
        xlim, ylim: What the picture shows, on one scale; a path may leave it.
        minimum: A point to mark with a star.
    """
    x, y = np.meshgrid(np.linspace(*xlim, 200), np.linspace(*ylim, 200))
    z = as_floats(function(x, y), "heights", *x.shape)
    figure, (axes,) = new_figure(title, [""], height=0.6, aspect=min(0.9 * np.ptp(ylim) / np.ptp(xlim), 1))
    # Quantiles follow a narrow valley as well as a wide bowl; squared shares put more lines near the bottom.
    levels = np.unique(np.quantile(finite_numbers(z), np.linspace(0, 1, 18) ** 2))[1:-1]
    if len(levels):
        axes.contour(x, y, z, levels=levels, colors="#AAAAAA", linewidths=0.8)
    for index, (label, path) in enumerate(paths.items()):
        xs, ys = as_floats(path, f"path of {label}", None, 2).T
        draw_line(axes, xs, ys, label, index, marks=50)
    if minimum is not None:
        axes.plot(*minimum, "*", label="minimum", color="black", ms=14, mec="white", zorder=3)
    axes.set(xlim=xlim, ylim=ylim, xlabel=clean_text(xlabel), ylabel=clean_text(ylabel), aspect="equal")
    add_legend(figure, [axes])
    return figure


def images(
    pictures: Sequence[ArrayLike] | np.ndarray,
    titles: Sequence[object] | np.ndarray | None = None,
    *,
    columns: int = 8,
    signed: bool = False,
    title: str | None = None,
    marks: Sequence[bool] | None = None,
) -> Figure:
    """Draws small pictures in a grid, all on one scale.

    Args:
        pictures: Arrays (h, w), or one of shape (n, h, w) or (n, 1, h, w). Low is white and high is black.
        titles: A text or a number, such as a label, above each.
        columns: The most pictures in a row.
        signed: Whether to draw 0 white, what is below blue and what is above orange.
        marks: Whether the title of each is drawn in orange.
    """
    if not hasattr(pictures, "__iter__"):
        raise ValueError(f"images: pictures is {pictures!r:.60}; give a list of arrays (h, w)")
    arrays = [as_picture(picture) for picture in plain(pictures)]
    titles = plain(titles)
    if isinstance(titles, str) or (titles is not None and not hasattr(titles, "__len__")):
        raise ValueError(f"images: titles is {titles!r:.60}; give one for each picture, and title= for all of them")
    names = [""] * len(arrays) if titles is None else ["" if name is None else name for name in titles]
    warn = [False] * len(arrays) if marks is None else list(marks)
    check_positive_int("images: columns", columns)
    if not len(names) == len(warn) == len(arrays):
        raise ValueError(f"{len(arrays)} pictures have {len(names)} titles and {len(warn)} marks; give one for each")
    aspect = max((array.shape[0] / array.shape[1] for array in arrays), default=1)
    figure, grid = new_figure(title, names, height=0.1, aspect=(0.85 if signed else 0.95) * aspect, most=columns)
    low, high = finite_range([0, *arrays])
    colors: tuple[str, ...] = "white", "black"
    if signed:
        high = max(high, -low)
        low, colors = -high, ("#004B87", "white", "#E69F00")
    for axes, array, warning in zip(grid, arrays, warn, strict=True):
        image = axes.imshow(array, cmap=new_colormap(*colors), vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color="#BBBBBB")
        if warning:
            axes.title.set(color=ORANGE, fontweight="bold")
    if signed:
        figure.colorbar(image, ax=grid, fraction=0.03, pad=0.02)
    return figure


def table(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    xlabel: str = "",
    ylabel: str = "",
    fmt: str = "{:.2f}",
    title: str | None = None,
) -> Figure:
    """Draws numbers as a heat map, dark for high, with each number written in.

    Args:
        values: Shape (r, c).
        rows, columns: Labels, r and c of them; xlabel and ylabel say what the columns and the rows are.
        fmt: How a number is written, as for str.format.
    """
    rows, columns = [clean_text(name) for name in rows], [clean_text(name) for name in columns]
    numbers = as_floats(values, "values", len(rows), len(columns))
    texts = [["-" if np.isnan(number) else fmt.format(number) for number in row] for row in numbers.tolist()]
    figure, (axes,) = new_figure(title, [""] if numbers.size else [], height=max(2.4, 1 + 0.42 * len(rows)))
    low, high = finite_range([numbers])
    axes.imshow(numbers, cmap=new_colormap("#F2F8FC", "#56B4E9", "#00436B"), vmin=low, vmax=high, aspect="auto")
    cell = (430 - 6 * max(map(len, rows))) / len(columns)  # width in points; a letter of size 10 takes 6
    size = min(10, 1.5 * cell / max(len(text) for row in texts for text in row))
    for (row, column), number in np.ndenumerate(numbers):
        color = "white" if number - low > 0.6 * (high - low) else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", color=color, fontsize=size)
    longest = max(len(word) for name in columns for word in name.split() or [""])
    axes.set_xticks(range(len(columns)), [textwrap.fill(name, max(int(cell / 6), longest, 1)) for name in columns])
    axes.tick_params("x", labelsize=max(4, min(10, 1.5 * cell / max(longest, 1))))
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel=clean_text(xlabel), ylabel=clean_text(ylabel))
    return figure


def new_figure(
    title: str | None, names: Sequence[object], height: float, aspect: float = 0, most: int = 0
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each name, up to `most` in a row; each is height inches + aspect * its width high."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "plots are drawn with matplotlib, which is not installed; pip install tinygrad-edu[demos] brings it"
        ) from error
    if not names:
        raise ValueError("there is nothing to draw; give at least one entry")
    rows = math.ceil(len(names) / (most or (3 if len(names) <= 6 else 4)))
    columns = math.ceil(len(names) / rows)
    width, size = 9 if columns > 1 else 6.5, 11 if columns < 4 else 9
    fit = int(105 * width / columns / size)  # letters
    folded = [textwrap.fill(clean_text(name), fit, replace_whitespace=False) for name in names]
    lines = max(name.count("\n") + 1 if name else 0 for name in folded)
    total = rows * (height + aspect * width / columns + 0.17 * lines) + (0.3 if title else 0)
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
    label = clean_text(label)
    label = f"\u200a{label}" if label.startswith("_") else label  # which matplotlib would leave out of the legend
    (line,) = axes.plot(x, y, label=label, color=COLORS[index % 8], ls=DASHES[(index + index // 8) % 8], ms=5)
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


def for_each(name: str, texts: Texts, panels: int) -> Sequence[str]:
    """A text for each panel."""
    if isinstance(texts, str) or not hasattr(texts, "__len__"):
        return [str(texts)] * panels
    if len(texts) != panels:
        raise ValueError(f"{name} has {len(texts)} texts for {panels} panels; give one for each, or one for all")
    return texts


def as_floats(values: ArrayLike, what: str, *shape: int | None) -> Floats:
    """The values with NaN for those that are not finite; their shape is checked, where None stands for any length."""
    values = [plain(value) for value in values] if isinstance(values, (list, tuple)) else plain(values)
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: these are not numbers in an array: {error}") from error
    if array.ndim != len(shape) or any(n not in (None, size) for n, size in zip(shape, array.shape, strict=True)):
        wanted = str(tuple("n" if n is None else n for n in shape)).replace("'", "")
        raise ValueError(f"{what}: the shape must be {wanted}, not {array.shape}")
    return np.where(np.abs(array) < HUGE, array, np.nan)


def as_picture(values: ArrayLike) -> Floats:
    """A picture of shape (h, w) from one of that shape, or with an axis of one channel in front."""
    array = np.asarray(plain(values))
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    if array.ndim == 1 or not array.size:
        how = f"not {array.shape}; make [picture] of a single one, rows.reshape(-1, height, width) of rows of pixels"
        raise ValueError(f"picture: the shape must be (n, n), {how}")
    return as_floats(array, "picture", None, None)


def finite_numbers(values: ArrayLike) -> Floats:
    """The finite numbers among the values, shape (n,)."""
    numbers: Floats = np.asarray(values, float)
    return numbers[np.abs(numbers) < HUGE]


def finite_range(arrays: Iterable[ArrayLike]) -> tuple[float, float]:
    """The lowest and the highest finite number; 0.5 below and above it where there is only one."""
    numbers = np.concatenate([finite_numbers(array) for array in arrays])
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def __dir__() -> list[str]:
    return __all__


answer_names(__name__)
