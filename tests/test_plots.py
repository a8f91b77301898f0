import io
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tinygrad_edu.plots import training_curves

COLUMNS = {
    "train_loss": [0.9, 0.5, 0.3, 0.2],
    "train_accuracy": [0.7, 0.8, 0.9, 0.95],
    "val_loss": [0.8, 0.6, 0.5, 0.55],
    "val_accuracy": [0.75, 0.8, 0.85, 0.84],
}
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def draw(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def curves(axes):
    return {line.get_label(): line for line in axes.get_lines()}


@pytest.mark.parametrize("history", [COLUMNS, RECORDS], ids=["columns", "records"])
def test_draws_every_column_where_it_belongs(history):
    figure = training_curves(history, title="a title")
    assert isinstance(figure, Figure)
    assert figure.get_suptitle() == "a title"
    for axes, metric in zip(figure.axes, ("loss", "accuracy"), strict=True):
        assert axes.get_title() == metric.capitalize()
        assert axes.get_xlabel() == "epoch"
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "validation"]
        for split, label in (("train", "train"), ("val", "validation")):
            line = curves(axes)[label]
            assert list(line.get_xdata()) == [1, 2, 3, 4]
            assert list(line.get_ydata()) == COLUMNS[f"{split}_{metric}"]


def test_reads_without_colour_and_for_the_colour_blind():
    for axes in training_curves(COLUMNS).axes:
        train, validation = axes.get_lines()
        assert {to_hex(train.get_color()), to_hex(validation.get_color())} == {"#0072b2", "#d55e00"}
        assert train.get_linestyle() != validation.get_linestyle()
        assert train.get_marker() != validation.get_marker()


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 100])
def test_epoch_ticks_are_integers_and_accuracy_is_in_percent(epochs):
    figure = training_curves({key: values[:1] * epochs for key, values in COLUMNS.items()})
    draw(figure)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks and all(tick == int(tick) for tick in ticks)
    assert all("%" in label.get_text() for label in figure.axes[1].get_yticklabels())


@pytest.mark.parametrize("epochs", [1, 4, 100])
def test_nothing_is_clipped(epochs):
    history = {key: (values * epochs)[:epochs] for key, values in COLUMNS.items()}
    figure = training_curves(history, title="synthetic digits: 784-256-128-10, adam")
    box = figure.get_tightbbox(draw(figure))  # of all that is drawn, in inches
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def test_epoch_column_numbers_the_epochs():
    records = [{"epoch": 5 + i, **record} for i, record in enumerate(RECORDS)]
    assert list(training_curves(records).axes[0].get_lines()[0].get_xdata()) == [5, 6, 7, 8]


def test_validation_may_be_missing():
    history = {key: values for key, values in COLUMNS.items() if key.startswith("train")}
    assert [len(axes.get_lines()) for axes in training_curves(history).axes] == [1, 1]


def test_numbers_that_are_not_finite_leave_a_gap():
    training_curves({**COLUMNS, "train_loss": [0.9, float("nan"), float("inf"), 0.2]}).savefig(io.BytesIO())


def test_background_is_white_whatever_the_style():
    import matplotlib

    with matplotlib.rc_context({"figure.facecolor": "black"}):
        assert to_hex(training_curves(COLUMNS).get_facecolor()) == "#ffffff"


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "history is empty"),
        ({}, "history is empty"),
        ({key: [] for key in COLUMNS}, "history is empty"),
        ({"train_loss": [1.0]}, "no train_accuracy, only train_loss"),
        ({**COLUMNS, "val_loss": [1.0]}, "differ in length"),
        ([RECORDS[0], {"train_loss": 1.0}], r"has the keys \['train_loss'\]"),
    ],
)
def test_histories_that_make_no_curves_are_refused(history, message):
    with pytest.raises(ValueError, match=message):
        training_curves(history)


def test_without_matplotlib_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install tinygrad-edu\[demos\]"):
        training_curves(COLUMNS)


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys, io; from tinygrad_edu import plots; assert 'matplotlib' not in sys.modules;"
        f"plots.training_curves({COLUMNS!r}).savefig(io.BytesIO()); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
