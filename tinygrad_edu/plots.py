"""matplotlib pictures, returned as figures: save them with `figure.savefig(path, dpi=150)`.

matplotlib is an extra, so each function imports it when it is called. The figures are made without
`matplotlib.pyplot`: no window opens, no backend is chosen, and nothing stays in memory once the caller lets go of it.
In a notebook each is shown once, by the end of its cell, without `%matplotlib inline`.
They are white and at most 9 inches wide, legible on a page of 900 pixels; `title` stands on top. Numbers that are not
finite leave a gap; texts may be numbers, such as labels, and arrays Tensors. Every function raises ImportError without
matplotlib, and ValueError for no data or wrong shapes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_edu.checks import check_positive_int
from tinygrad_edu.engine import plain
from tinygrad_edu.figures import (
    BLUE,
    COLORS,
    ORANGE,
    Floats,
    Texts,
    add_legend,
    as_floats,
    as_limits,
    as_numbers,
    as_picture,
    check_form,
    clean_text,
    draw_line,
    finite_numbers,
    finite_range,
    for_each,
    legend_text,
    new_colormap,
    new_figure,
    set_scale,
)
from tinygrad_edu.notebooks import shown_in_notebooks
from tinygrad_edu.torch_names import answer_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "BLUE", "COLORS", "ORANGE", "contours", "curves", "histograms", "images", "regions", "scatter", "table",
    "training_curves",
]  # fmt: skip

Columns = Mapping[str, Sequence[float]]
Data = ArrayLike | Mapping[str, ArrayLike]  # one for all panels, or one by the title of each


@shown_in_notebooks
def training_curves(history: Columns | Sequence[Mapping[str, float]], title: str | None = None) -> Figure:
    """Draws loss (left) and accuracy (right) over the epochs, training against validation.

    Args:
        history: One record per epoch, or a dict of columns of equal length. Needs `train_loss` and `train_accuracy`;
            `val_loss`, `val_accuracy` and `epoch` are used where given. Accuracies are fractions from 0 to 1.
    """
    if not isinstance(history, Mapping):
        if not isinstance(history, Sequence) or isinstance(history, str):
            raise ValueError(f"training_curves: history is {history!r:.60}; give a record for each epoch, or columns")
        first = history[0] if history else {}
        for record in history:
            check_form("training_curves: a record", record, "a dict, as {'train_loss': 0.5, 'train_accuracy': 0.9}")
            if record.keys() != first.keys():
                raise ValueError(f"a record has the keys {[*record]}, the first {[*first]}; keep them the same")
        history = {key: [record[key] for record in history] for key in first}
    single = [key for key, values in history.items() if not hasattr(values, "__len__")]
    if single:
        raise ValueError(f"training_curves: {single[0]} is one number; give one for each epoch, or a list of records")
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


@shown_in_notebooks
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
    form = "{panel title: {line label: (x, y)}}"
    check_form("curves: panels", panels, form)
    for name, lines in panels.items():
        check_form(f"curves: {name}", lines, form)
        for label, xy in lines.items():
            if not hasattr(xy, "__len__") or len(xy) != 2:
                raise ValueError(f"curves: {label} in {name} is {xy!r:.60}; give a pair (x, y), as in {form}")
    xlabels, ylabels = for_each("xlabel", xlabel, len(panels)), for_each("ylabel", ylabel, len(panels))
    xscales, yscales = for_each("xscale", xscale, len(panels)), for_each("yscale", yscale, len(panels))
    labels = list(dict.fromkeys([label for lines in panels.values() for label in lines]))
    chosen = [markers] if isinstance(markers, str) else markers
    if not isinstance(chosen, bool) and not (isinstance(chosen, Collection) and set(chosen) <= set(labels)):
        raise ValueError(f"curves: markers is {markers!r:.60}; give True, False, or labels out of {labels!r:.80}")
    figure, grid = new_figure(title, list(panels), height=3.3)
    from matplotlib.ticker import MaxNLocator

    for i, (axes, (name, lines)) in enumerate(zip(grid, panels.items(), strict=True)):
        whole_numbers = xscales[i] == "linear"
        for label, (x, y) in lines.items():
            xs = as_floats(x, f"x of {label} in {name}", None)
            ys = as_floats(y, f"y of {label} in {name}", len(xs))
            marks = 10 if chosen is True else 0
            if not isinstance(chosen, bool) and label in chosen:
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


@shown_in_notebooks
def histograms(
    rows: Mapping[str, Sequence[ArrayLike]], columns: Sequence[str], *, xlabel: str = "", title: str | None = None
) -> Figure:
    """Draws a grid of small histograms, each as high as its peak; those of a row share the horizontal axis.

    Args:
        rows: `{row label: [array, ...]}`, one array of any shape for each column.
        columns, xlabel: Labels of the columns, and of the axis.
    """
    check_form("histograms: rows", rows, "{row label: [array, ...]}, an array for each column")
    if not hasattr(columns, "__len__"):
        raise ValueError(f"histograms: columns is {columns!r:.60}; give a list of labels")
    for name, arrays in rows.items():
        if not hasattr(arrays, "__len__"):
            raise ValueError(f"histograms: {name} is {arrays!r:.60}; give a list of arrays, one for each column")
        if len(arrays) != len(columns):
            raise ValueError(f"{name} has {len(arrays)} arrays for {len(columns)} columns; give one for each")
    names = [name if row == 0 else "" for row in range(len(rows)) for name in columns]
    figure, grid = new_figure(title, names, height=0.7, aspect=0.4, most=len(columns))
    for row, name in enumerate(rows):
        numbers = [as_numbers(array, f"an array of {name}") for array in rows[name]]
        low, high = finite_range(numbers)
        first = grid[row * len(columns)]
        for column, found in enumerate(numbers):
            axes = grid[row * len(columns) + column]
            counts, edges = np.histogram(finite_numbers(found), bins=31, range=(low, high))
            axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=BLUE)
            axes.set(xlim=(low, high), ylim=(0, 1.05), yticks=[])
            ends = [f"{x:.2g}".replace("-", "\u2212") for x in (low, high)]
            axes.set_xticks([low, high], ["", ""] if column else ends, fontsize=8)
        for tick, side in zip(first.get_xticklabels(), ("left", "right"), strict=True):
            tick.set(horizontalalignment=side)
        first.set_ylabel(textwrap.fill(clean_text(name), 14), fontsize=9)
    figure.supxlabel(clean_text(xlabel), fontsize=10)
    return figure


@shown_in_notebooks
def regions(
    panels: Mapping[str, Callable[[Floats], ArrayLike]], points: Data, labels: Data, *, title: str | None = None
) -> Figure:
    """Draws what classifiers of points in the plane decide: blue for class 0, orange for class 1.

    Args:
        panels: `{panel title: scores}`; scores of points (m, 2) are m numbers: above 0 for class 1, 0 on the line.
        points, labels: The data, shapes (n, 2) and (n,) with labels 0 or 1; or a dict of them, one for each panel.
    """
    check_form("regions: panels", panels, "{panel title: function of points (m, 2)}")
    data = []
    for name, scores in panels.items():
        if not callable(scores):
            raise ValueError(f"regions: {name} is {scores!r:.60}; give a function of points (m, 2)")
        for what, values in (("points", points), ("labels", labels)):
            if isinstance(values, Mapping) and name not in values:
                raise ValueError(f"regions: {what} has no {name!r}; give an entry for each panel")
        xy = as_floats(points[name] if isinstance(points, Mapping) else points, f"points of {name}", None, 2)
        own = as_floats(labels[name] if isinstance(labels, Mapping) else labels, f"labels of {name}", len(xy))
        if not np.isfinite(xy).all(axis=1).any():
            raise ValueError(f"points of {name}: there is nothing to draw, as none of {len(xy)} is finite")
        if not np.isin(own, (0, 1)).all():
            other = own[~np.isin(own, (0, 1))][0]
            raise ValueError(f"labels of {name}: {other:g} is neither 0 nor 1; write labels > 0, for example")
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


@shown_in_notebooks
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
    xlim, ylim = as_limits(xlim, "contours: xlim"), as_limits(ylim, "contours: ylim")
    check_form("contours: paths", paths, "{label: points (steps, 2)}")
    if not callable(function):
        raise ValueError(f"contours: function is {function!r:.60}; give a function of x and y")
    x, y = np.meshgrid(np.linspace(*xlim, 200), np.linspace(*ylim, 200))
    z = as_floats(function(x, y), "heights, which function(x, y) returns", *x.shape)
    figure, (axes,) = new_figure(title, [""], height=0.6, aspect=min(0.9 * np.ptp(ylim) / np.ptp(xlim), 1))
    # Quantiles follow a narrow valley as well as a wide bowl; squared shares put more lines near the bottom.
    heights = finite_numbers(z)
    levels = np.unique(np.quantile(heights, np.linspace(0, 1, 18) ** 2))[1:-1] if heights.size else heights
    if len(levels):
        axes.contour(x, y, z, levels=levels, colors="#AAAAAA", linewidths=0.8)
    for index, (label, path) in enumerate(paths.items()):
        xs, ys = as_floats(path, f"path of {label}", None, 2).T
        draw_line(axes, xs, ys, label, index, marks=50)
    if minimum is not None:
        axes.plot(*as_floats(minimum, "minimum", 2), "*", label="minimum", color="black", ms=14, mec="white", zorder=3)
    axes.set(xlim=xlim, ylim=ylim, xlabel=clean_text(xlabel), ylabel=clean_text(ylabel), aspect="equal")
    add_legend(figure, [axes])
    return figure


@shown_in_notebooks
def scatter(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    *,
    groups: Mapping[str, str] | None = None,
    title: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draws points in the plane, each as the text that names it, on one scale in both directions.

    Args:
        panels: `{panel title: {text: points}}`, points of shape (n, 2), up to 5,000 in all.
        groups: `{text: group}`: a colour for each group, and a legend, instead of a colour for each text.
        xlabel, ylabel: Labels of the axes.
    """
    form = "{panel title: {text: points (n, 2)}}"
    check_form("scatter: panels", panels, form)
    for name, texts in panels.items():
        check_form(f"scatter: {name}", texts, form)
    data = {
        name: {text: as_floats(xy, f"points of {text} in {name}", None, 2) for text, xy in texts.items()}
        for name, texts in panels.items()
    }
    total = sum(len(xy) for texts in data.values() for xy in texts.values())
    if total > 5000:
        raise ValueError(f"scatter: {total:,} points are too many texts for one picture; choose up to 5,000")
    names = list(dict.fromkeys([text for texts in panels.values() for text in texts]))
    if groups is not None:
        check_form("scatter: groups", groups, "{text: group}")
        if lost := [text for text in names if text not in groups]:
            raise ValueError(f"scatter: groups has no {lost[0]!r}; give a group for each text")
    kinds = {text: groups[text] if groups is not None else text for text in names}
    colors = {kind: COLORS[i % 8] for i, kind in enumerate(dict.fromkeys(kinds.values()))}
    figure, grid = new_figure(title, list(panels), height=0.6, aspect=0.9)
    for axes, texts in zip(grid, data.values(), strict=True):
        for text, xy in texts.items():
            seen = xy[np.isfinite(xy).all(axis=1)]
            axes.plot(*seen.T, linestyle="")  # which only tells the axes how far they reach
            color, size = colors[kinds[text]], 12 if total < 100 else 7
            for x, y in seen:
                axes.text(x, y, clean_text(text), ha="center", va="center", color=color, fontsize=size, clip_on=True)
        for kind in dict.fromkeys([kinds[text] for text in texts]) if groups is not None else ():
            axes.plot([], [], "o", color=colors[kind], label=legend_text(kind))
        axes.margins(0.08)
        axes.set(xlabel=clean_text(xlabel), ylabel=clean_text(ylabel), aspect="equal", adjustable="datalim")
    add_legend(figure, grid)
    return figure


@shown_in_notebooks
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
    if not hasattr(pictures, "__iter__") or isinstance(pictures, (str, Mapping)):
        raise ValueError(f"images: pictures is {pictures!r:.60}; give a list of arrays (h, w)")
    arrays = [as_picture(picture) for picture in plain(pictures)]
    titles = plain(titles)
    if isinstance(titles, str) or (titles is not None and not hasattr(titles, "__len__")):
        raise ValueError(f"images: titles is {titles!r:.60}; give one for each picture, and title= for all of them")
    names = [""] * len(arrays) if titles is None else ["" if name is None else name for name in titles]
    if marks is not None and not hasattr(marks, "__len__"):
        raise ValueError(f"images: marks is {marks!r:.60}; give True or False for each picture")
    warn = [False] * len(arrays) if marks is None else list(plain(marks))
    check_positive_int("images: columns", columns)
    if not len(names) == len(warn) == len(arrays):
        raise ValueError(f"{len(arrays)} pictures have {len(names)} titles and {len(warn)} marks; give one for each")
    aspect = np.clip(max((array.shape[0] / array.shape[1] for array in arrays), default=1), 0.1, 10)
    figure, grid = new_figure(title, names, height=0.1, aspect=(0.85 if signed else 0.95) * aspect, most=columns)
    low, high = finite_range([np.zeros(1), *arrays])
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


@shown_in_notebooks
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
    for what, names in (("rows", rows), ("columns", columns)):
        if not hasattr(names, "__len__"):
            raise ValueError(f"table: {what} is {names!r:.60}; give a list of labels")
    rows, columns = [clean_text(name)[:60] for name in rows], [clean_text(name) for name in columns]
    numbers = as_floats(values, "values", len(rows), len(columns))
    try:
        texts = [["-" if np.isnan(number) else fmt.format(number) for number in row] for row in numbers.tolist()]
        if fmt.format(1.0) == fmt.format(2.0):
            raise ValueError("it writes no number")
    except (AttributeError, LookupError, ValueError) as error:
        raise ValueError(f"table: fmt is {fmt!r:.40} ({error}); give one such as '{{:.2f}}'") from error
    line = min(0.42, 30 / max(1, len(rows)))  # inches a row
    figure, (axes,) = new_figure(title, [""] if numbers.size else [], height=max(2.4, 1 + line * len(rows)))
    low, high = finite_range([numbers])
    axes.imshow(numbers, cmap=new_colormap("#F2F8FC", "#56B4E9", "#00436B"), vmin=low, vmax=high, aspect="auto")
    cell = max(430 - 6 * max(map(len, rows)), 43) / len(columns)  # width in points; a letter of size 10 takes 6
    size = min(10, 50 * line, 1.5 * cell / max(len(text) for row in texts for text in row))
    for (row, column), number in np.ndenumerate(numbers) if size > 1.5 else ():  # smaller ones are grey dust
        color = "white" if number - low > 0.6 * (high - low) else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", color=color, fontsize=size)
    longest = max(len(word) for name in columns for word in name.split() or [""])
    axes.set_xticks(range(len(columns)), [textwrap.fill(name, max(int(cell / 6), longest, 1)) for name in columns])
    axes.tick_params("x", labelsize=max(4, min(10, 1.5 * cell / max(longest, 1))))
    axes.tick_params("y", labelsize=min(10, 50 * line))
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel=clean_text(xlabel), ylabel=clean_text(ylabel))
    return figure


answer_names(__name__)
