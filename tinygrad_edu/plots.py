"""matplotlib pictures, returned as figures: save them with `figure.savefig(path)`.

matplotlib is an extra, so each function imports it when it is called. The figures are made without
`matplotlib.pyplot`: no window opens, no backend is chosen, and nothing stays in memory that the caller lets go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Two colours of the palette by Okabe and Ito (2008), which colour-blind readers can tell apart. Line style and
# marker carry the same distinction into greyscale print.
STYLES = {
    "train": {"label": "train", "color": "#0072B2", "linestyle": "-", "marker": "o"},
    "val": {"label": "validation", "color": "#D55E00", "linestyle": "--", "marker": "s"},
}


def training_curves(
    history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, float]], title: str | None = None
) -> Figure:
    """Draws loss (left) and accuracy (right) over the epochs, training against validation.

    Args:
        history: One record per epoch, or a dict of columns of equal length. Needs `train_loss` and
            `train_accuracy`; draws `val_loss` and `val_accuracy` too where they are given, and numbers the
            epochs from 1 unless `epoch` does. Accuracies are fractions from 0 to 1.
        title: Stands above both panels.

    Returns:
        A figure of 9 by 3.8 inches on white.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the history is empty, lacks a column, or its columns differ in length.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator, PercentFormatter
    except ImportError as error:
        raise ImportError(
            "training_curves draws with matplotlib, which is not installed; pip install tinygrad-edu[demos] brings it"
        ) from error

    columns = _columns(history)
    epochs = columns.get("epoch", range(1, len(columns["train_loss"]) + 1))
    figure = Figure(figsize=(9, 3.8), facecolor="white", layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, style in STYLES.items():
            if f"{split}_{metric}" in columns:
                values = columns[f"{split}_{metric}"]
                axes.plot(epochs, values, **style, markersize=5, linewidth=2, markevery=max(1, len(epochs) // 10))
        axes.set_title(metric.capitalize())
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
        axes.grid(color="#DDDDDD")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, handlelength=3.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    if title is not None:
        figure.suptitle(title)
    return figure


def _columns(history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, float]]) -> Mapping[str, Sequence[float]]:
    """Turns records into columns, and checks that the columns make curves."""
    if isinstance(history, Mapping):
        columns = history
    else:
        keys = history[0].keys() if history else ()
        for record in history:
            if record.keys() != keys:
                raise ValueError(
                    f"a record has the keys {[*record]}, the first one {[*keys]}; record the same each epoch"
                )
        columns = {key: [record[key] for record in history] for key in keys}
    if not any(len(values) for values in columns.values()):
        raise ValueError("the history is empty: record at least one epoch before drawing it")
    missing = [key for key in ("train_loss", "train_accuracy") if key not in columns]
    if missing:
        raise ValueError(f"the history has no {' and no '.join(missing)}, only {', '.join(columns)}")
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns of the history differ in length: {lengths}; each needs one number per epoch")
    return columns
