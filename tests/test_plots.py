import io
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from tinygrad_edu import Tensor, plots
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


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


@pytest.mark.parametrize("history", [COLUMNS, RECORDS], ids=["columns", "records"])
def test_draws_every_column_where_it_belongs(history):
    figure = training_curves(history, title="a title")
    assert isinstance(figure, Figure)
    assert figure.get_suptitle() == "a title"
    for axes, metric in zip(figure.axes, ("loss", "accuracy"), strict=True):
        assert axes.get_title() == metric.capitalize()
        assert axes.get_xlabel() == "epoch"
        for split, label in (("train", "train"), ("val", "validation")):
            line = curves(axes)[label]
            assert list(line.get_xdata()) == [1, 2, 3, 4]
            assert list(line.get_ydata()) == COLUMNS[f"{split}_{metric}"]
    assert legend(figure) == ["train", "validation"]


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


@pytest.mark.parametrize(("x", "whole"), [([1, 2, 3, 4], True), ([-1.0, 1.0], True), ([0, 1.5], False)])
def test_whole_numbers_have_whole_ticks(x, whole):
    figure = plots.curves({"": {"a": (x, x)}})
    draw(figure)
    assert np.all(np.array(figure.axes[0].get_xticks()) % 1 == 0) == whole


@pytest.mark.parametrize(("last", "step"), [(4, 1), (20, 5), (50, 10), (90, 10), (480, 100)])
def test_whole_ticks_are_round(last, step):
    figure = plots.curves({"": {"a": (range(last + 1), range(last + 1))}})
    draw(figure)
    assert set(np.diff(figure.axes[0].get_xticks())) == {step}


@pytest.mark.parametrize("epochs", [1, 4, 100])
def test_no_epoch_is_clipped(epochs):
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
    with pytest.raises(ImportError, match=r'pip install "tinygrad-edu\[demos\]"'):
        training_curves(COLUMNS)


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys, io; from tinygrad_edu import plots; assert 'matplotlib' not in sys.modules;"
        f"plots.training_curves({COLUMNS!r}).savefig(io.BytesIO()); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


X = np.linspace(-1, 1, 30)
POINTS, LABELS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
LONG = "a label that goes on and on, learning rate 0.001"
WIDE = {f"{LONG} {i}": (X, X**i) for i in range(8)}

PICTURES = {
    "training_curves": lambda **k: plots.training_curves(COLUMNS, **k),
    "curves, one panel": lambda **k: plots.curves({"": {"x": (X, X)}}, xlabel="x", ylabel="y", **k),
    "curves, 8 long labels": lambda **k: plots.curves({LONG: WIDE, "b": WIDE}, ylabel=["y", "z"], markers=True, **k),
    "curves, 7 panels": lambda **k: plots.curves({f"{LONG} {i}": {"x": (X, X)} for i in range(7)}, ylabel="y", **k),
    "curves, gaps": lambda **k: plots.curves(
        {scale: {"a": ([1, 2, 3, 4], [1, np.nan, np.inf, -1]), "b": ([1], [np.nan])} for scale in ("linear", "log")},
        yscale=["linear", "log"],
        **k,
    ),
    "curves, nothing finite": lambda **k: plots.curves(
        {"": {"": ([1, 2], [np.nan] * 2)}}, xscale="log", yscale="log", **k
    ),
    "histograms": lambda **k: plots.histograms(
        {"zeros": [np.zeros(9)] * 10, LONG: [X] * 10, "none": [[np.nan, np.inf]] * 10},
        [f"layer {i}" for i in range(1, 11)],
        xlabel="activation",
        **k,
    ),
    "regions": lambda **k: plots.regions({LONG: lambda p: p[:, 0] - 0.5, "b": lambda p: p[:, 0]}, POINTS, LABELS, **k),
    "regions, not finite": lambda **k: plots.regions({"": lambda p: p[:, 0] * np.nan}, POINTS, LABELS, **k),
    "contours": lambda **k: plots.contours(
        lambda x, y: x**2 + 9 * y**2,
        {"short": [[-1, 1], [5, np.nan], [0, 0]], LONG: np.ones((500, 2))},
        xlim=(-2, 2),
        ylim=(-1, 1),
        minimum=(0, 0),
        **k,
    ),
    "contours of a plain": lambda **k: plots.contours(lambda x, y: 0 * x, {}, xlim=(0, 1), ylim=(0, 1), **k),
    "scatter": lambda **k: plots.scatter(
        {"": {"a": [[0, 1], [np.nan, 2]], "_": [[2, 3]]}}, groups={"a": "x", "_": "_y"}, **k
    ),
    "scatter of nothing finite": lambda **k: plots.scatter({"p": {"a": [[np.inf, 0]]}, "q": {}}, **k),
    "images": lambda **k: plots.images(
        np.arange(90.0).reshape(10, 3, 3), [f"{i}, 99.9%" for i in range(10)], marks=[True] * 10, **k
    ),
    "images, signed": lambda **k: plots.images([np.eye(3), -np.ones((3, 5)), [[np.nan]]], signed=True, **k),
    "table": lambda **k: plots.table(
        np.eye(10) * 1000, [LONG, *"123456789"], [LONG, *"abcdefghi"], xlabel="x", ylabel="y", **k
    ),
    "table of one row": lambda **k: plots.table(
        [range(20)], ["a"], [f"{i}, 1024" for i in range(20)], ylabel="learning rate, batch size", **k
    ),
    "table of nothing finite": lambda **k: plots.table([[np.nan, np.inf]], ["a"], ["b", "c"], **k),
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_nothing_is_clipped_and_no_title_or_legend_covers_anything(picture):
    figure = picture(title=LONG + LONG + LONG)
    renderer = draw(figure)
    box = figure.get_tightbbox(renderer)  # of all that is drawn, in inches
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
    assert width <= 9  # text of 10 points is legible where the picture is shown 900 pixels wide

    panels = [axes.get_window_extent(renderer) for axes in figure.axes]
    texts = [figure._suptitle, *(axes.title for axes in figure.axes if axes.get_title()), *figure.legends]
    boxes = [text.get_window_extent(renderer) for text in texts]
    for i, text in enumerate(boxes):
        assert not any(text.overlaps(other) for other in [*panels, *boxes[:i]])


def test_curves_puts_lines_labels_and_scales_in_their_panels():
    figure = plots.curves(
        {"left": {"a": ([1, 2], [3, 4]), "b": ([1, 2], [5, 6])}, "right": {"b": ([1, 10], [1, 1e6])}},
        xlabel="x",
        ylabel=["loss", "error"],
        yscale=["linear", "log"],
        title="a title",
    )
    left, right = figure.axes
    assert figure.get_suptitle() == "a title"
    assert titles(figure) == ["left", "right"]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == [("x", "loss"), ("x", "error")]
    assert [(axes.get_xscale(), axes.get_yscale()) for axes in figure.axes] == [("linear", "linear"), ("linear", "log")]
    assert {label: list(line.get_ydata()) for label, line in curves(left).items()} == {"a": [3, 4], "b": [5, 6]}
    assert list(curves(right)["b"].get_xdata()) == [1, 10]
    assert curves(left)["b"].get_color() == curves(right)["b"].get_color() != curves(left)["a"].get_color()
    assert legend(figure) == ["a", "b"]


def test_one_ylabel_stands_at_the_first_panel_of_each_row():
    figure = plots.curves({str(i): {"a": (X, X)} for i in range(4)}, ylabel="loss")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "", "loss", ""]


def test_eight_lines_differ_in_colour_line_style_and_marker():
    (axes,) = plots.curves({"": WIDE}, markers=True).axes
    looks = [(to_hex(line.get_color()), str(line._dash_pattern), line.get_marker()) for line in axes.get_lines()]
    assert [len(set(kind)) for kind in zip(*looks, strict=True)] == [8, 8, 8]


@pytest.mark.parametrize(("n", "marked"), [(1, 1), (19, 19), (20, 10), (1000, 10)])
def test_markers_are_as_many_as_can_be_told_apart(n, marked):
    (line,) = plots.curves({"": {"a": (range(n), range(n))}}, markers=True).axes[0].get_lines()
    assert len(range(0, n, line.get_markevery())) == marked


def test_every_point_of_a_named_line_is_marked():
    lines = plots.curves({"": {"a": (range(50), range(50)), "b": (X, X)}}, markers=["a"]).axes[0].get_lines()
    assert [line.get_marker() for line in lines] == ["o", "None"] and lines[0].get_markevery() == 1


@pytest.mark.parametrize(
    ("values", "ticks"), [([8, 512], ["10", "20", "50", "100", "200", "500"]), ([0.001, 0.1], ["0.001", "0.002"])]
)
def test_logarithmic_axes_of_few_decades_have_plain_ticks(values, ticks):
    figure = plots.curves({"": {"a": (values, values)}}, xscale="log", yscale="log")
    draw(figure)
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        low, high = axis.get_view_interval()
        shown = [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        assert shown[: len(ticks)] == ticks
        assert not any(tick.label1.get_text() for tick in axis.get_minor_ticks())


def test_histograms_share_the_axis_in_a_row_and_fill_it():
    figure = plots.histograms({"a": [[0.0, 0, 1], [3]], "b": [[5], [np.nan]]}, ["x", "y"], xlabel="activation")
    first, second, third, _ = figure.axes
    assert titles(figure) == ["x", "y", "", ""]
    assert (first.get_ylabel(), third.get_ylabel(), figure.get_supxlabel()) == ("a", "b", "activation")
    assert first.get_xlim() == second.get_xlim() == (0, 3)
    assert third.get_xlim() == (4.5, 5.5)
    heights = [axes.patches[0].get_data().values for axes in figure.axes]
    assert [list(height[height > 0]) for height in heights] == [[1, 0.5], [1], [1], []]
    assert heights[1][-1] == heights[2][15] == 1  # 3 is the highest of its row, 5 in the middle of its own


def test_regions_are_filled_by_the_sign_and_points_by_their_label():
    figure = plots.regions(
        {"a": lambda p: p[:, 0] - 0.5, "b": lambda p: p[:, 1] + 9}, POINTS, {"a": LABELS, "b": [1] * 4}
    )
    first, second = figure.axes
    mesh = first.collections[0]
    colors = {to_hex(color) for color in mesh.to_rgba(mesh.get_array()).reshape(-1, 4)}
    assert colors == {"#bbddf0", "#fad9bf"}
    assert mesh.get_array()[0, 0] == 0 and mesh.get_array()[0, -1] == 1
    line = first.collections[1].get_paths()[0].vertices
    np.testing.assert_allclose(line[:, 0], 0.5)
    assert len(second.collections) == 1  # one class only: no line
    assert curves(first)["class 1"].get_xydata().tolist() == [[0, 1], [1, 0]]
    assert len(curves(second)["class 0"].get_xydata()) == 0
    assert legend(figure) == ["class 0", "class 1"]
    for low, high in (first.get_xlim(), first.get_ylim()):
        assert low < 0 and high > 1


def test_contours_shows_paths_over_levels_of_the_function():
    path = [[-1.0, 1.0], [0.5, 0.5]]
    options = {"xlim": (-2, 2), "ylim": (-1, 1), "minimum": (0, 0), "xlabel": "u", "ylabel": "v"}
    figure = plots.contours(lambda x, y: x**2 + y**2, {"SGD": path}, **options)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("u", "v")
    assert (axes.get_xlim(), axes.get_ylim()) == ((-2, 2), (-1, 1))
    assert curves(axes)["SGD"].get_xydata().tolist() == path
    assert curves(axes)["minimum"].get_xydata().tolist() == [[0, 0]]
    for level, lines in zip(axes.collections[0].levels, axes.collections[0].get_paths(), strict=True):
        np.testing.assert_allclose((lines.vertices**2).sum(axis=1), level, atol=1e-3)
    assert legend(figure) == ["SGD", "minimum"]


@pytest.mark.parametrize(("width", "height"), [(20, 4), (3, 2.2), (4, 4), (1, 5)])
def test_contours_have_one_scale_and_fill_the_picture(width, height):
    figure = plots.contours(lambda x, y: x + y, {"a": [[0, 0]]}, xlim=(0, width), ylim=(0, height), xlabel="x")
    draw(figure)
    box, (wide, high) = figure.axes[0].get_window_extent(), figure.get_size_inches() * figure.dpi
    assert box.width / width == pytest.approx(box.height / height)
    assert box.width > 0.85 * wide or box.height > 0.7 * high


HOSTILE = "\x00\x1b[31m\ud800\u202e\ufffe\t\r\n$x^$"


@pytest.mark.parametrize("text", [HOSTILE, 5])
def test_any_text_can_be_drawn_anywhere(text):
    line, texts = {text: ([1, 2], [1, 2])}, {"title": text, "xlabel": text}
    figures = [
        plots.images(np.eye(3)[None], [text], title=text),
        plots.scatter({text: {text: [[0, 1]]}}, groups={text: text}, **texts, ylabel=text),
        plots.curves({text: line}, **texts, ylabel=[text]),
        plots.histograms({text: [[1, 2]]}, [text], **texts),
        plots.table([[1.0]], [text], [text], **texts, ylabel=text),
        plots.regions({text: lambda xy: xy[:, 0]}, [[0, 1], [1, 0]], [0, 1], title=text),
        plots.contours(lambda x, y: x * x + y, {text: [[0, 1]]}, xlim=(0, 1), ylim=(0, 1), **texts, ylabel=text),
        training_curves(COLUMNS, text),
    ]
    for figure in figures:
        draw(figure)  # warnings are errors


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("$x^2$", "$x^2$"), ("$x^$ $", r"\$x^\$ \$"), ("$5", "$5"), ("a\tb\r\nc", "a b\nc"), (1.5, "1.5"),
     ("\ud800\x07\x9b\u202e\ufeff", 5 * " "), ("\xe9\u03b1\U0001f600", "\xe9\u03b1\U0001f600")],
)  # fmt: skip
def test_texts_lose_what_cannot_be_drawn(text, drawn):
    assert plots.clean_text(text) == drawn


def test_a_label_that_begins_with_an_underscore_is_in_the_legend():
    assert legend(plots.curves({"": {"_a": ([1], [1])}})) == ["\u200a_a"]


@pytest.mark.parametrize("labels", [[3, 1], np.array([3, 1]), (np.int64(3), 1), Tensor([3.0, 1.0]), ["3", None]])
def test_labels_are_titles(labels):
    figure = plots.images(np.zeros((2, 1, 4, 4)), labels)
    assert titles(figure)[0] in ("3", "3.0", "$\\mathdefault{3}$")
    assert titles(plots.images([Tensor(np.eye(3)), np.eye(2)], labels))[0][0] == "3"


def test_tensors_and_lists_of_tensors_are_drawn():
    losses = [Tensor(2.0), Tensor(1.0)]
    (line,) = plots.curves({"": {"a": (range(2), losses)}}).axes[0].get_lines()
    assert list(line.get_ydata()) == [2, 1]


def test_images_are_on_one_scale():
    figure = plots.images([[[0, 1]], [[0, 4]], [[2, 2]]], ["a", "b", "c"], columns=2, marks=[False, True, False])
    assert titles(figure) == ["a", "b", "c"]
    assert [axes.images[0].get_clim() for axes in figure.axes] == [(0, 4)] * 3
    assert [to_hex(axes.title.get_color()) == plots.ORANGE.lower() for axes in figure.axes] == [False, True, False]
    ends = [to_hex(figure.axes[1].images[0].to_rgba(value)) for value in (0, 4)]
    assert ends == ["#ffffff", "#000000"]


def test_signed_images_are_blue_below_white_at_and_orange_above_zero():
    image = plots.images([[[-1.0, 3.0]]], signed=True).axes[0].images[0]
    blue, white, orange = (image.to_rgba(value) for value in (-3, 0, 3))
    assert blue[2] > blue[0] and orange[0] > orange[2]
    np.testing.assert_allclose(white, 1, atol=0.01)


def test_table_writes_each_number_where_it_belongs():
    figure = plots.table([[0.5, 1], [0, np.nan]], ["r", "s"], ["a", "b"], xlabel="x", ylabel="y", fmt="{:.1f}")
    (axes,) = figure.axes
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "0.5",
        (1, 0): "1.0",
        (0, 1): "0.0",
        (1, 1): "-",
    }
    assert [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())] == ["a", "b", "r", "s"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    for text in axes.texts:  # legible on its cell
        column, row = text.get_position()
        cell, ink = (
            np.mean(to_rgb(c)) for c in (axes.images[0].to_rgba([[0.5, 1], [0, 0]])[row, column], text.get_color())
        )
        assert abs(cell - ink) > 0.4


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (lambda: plots.curves({}), "nothing to draw"),
        (lambda: plots.curves({"p": {"a": ([1, 2], [1])}}), r"y of a in p: the shape must be \(2,\), not \(1,\)"),
        (lambda: plots.curves({"p": {"a": ([[1]], [1])}}), r"x of a in p: the shape must be \(n,\), not \(1, 1\)"),
        (
            lambda: plots.curves({"p": {"a": (X, X)}}, ylabel=["a", "b"]),
            "ylabel has 2 texts for 1 panels",
        ),
        (lambda: plots.histograms({}, ["a"]), "nothing to draw"),
        (lambda: plots.histograms({"r": [X]}, ["a", "b"]), "r has 1 arrays for 2 columns"),
        (lambda: plots.regions({}, POINTS, LABELS), "nothing to draw"),
        (
            lambda: plots.regions({"p": lambda p: p}, POINTS, LABELS),
            r"scores of 40000 points in p: .* not \(40000, 2\)",
        ),
        (lambda: plots.regions({"p": lambda p: p[:, 0]}, X, LABELS), r"points of p: the shape must be \(n, 2\), not"),
        (lambda: plots.regions({"p": lambda p: p[:, 0]}, POINTS, [1]), r"labels of p: the shape must be \(4,\), not"),
        (
            lambda: plots.contours(lambda x, y: 1.0, {}, xlim=(0, 1), ylim=(0, 1)),
            r"heights, which .* \(200, 200\), not \(\)",
        ),
        (lambda: plots.contours(lambda x, y: x, {"a": X}, xlim=(0, 1), ylim=(0, 1)), r"path of a: .* \(n, 2\)"),
        (lambda: plots.scatter({}), "nothing to draw"),
        (lambda: plots.scatter([1]), r"scatter: panels is \[1\]; give {panel title: {text: points"),
        (lambda: plots.scatter({"p": [1]}), r"scatter: p is \[1\]; give {panel title"),
        (lambda: plots.scatter({"p": {"a": [1, 2]}}), r"points of a in p: the shape must be \(n, 2\), not \(2,\)"),
        (lambda: plots.scatter({"p": {"a": np.zeros((5001, 2))}}), "5,001 points are too many texts"),
        (lambda: plots.scatter({"p": {"a": [[0, 0]]}}, groups={"b": "x"}), "groups has no 'a'; give a group for each"),
        (lambda: plots.images([]), "nothing to draw"),
        (lambda: plots.images(5), "images: pictures is 5; give a list"),
        (lambda: plots.images(np.eye(4)), r"not \(4,\); make \[picture\] of a single one"),
        (lambda: plots.images(np.zeros((2, 0, 3))), r"not \(0, 3\)"),
        (lambda: plots.images([[["a"]]]), "these are not real numbers"),
        (lambda: plots.images([[[1]]], "a"), "images: titles is 'a'; give one for each picture, and title="),
        (lambda: plots.images([[[1]]], 3), "images: titles is 3"),
        (lambda: plots.images([[[1]]], columns=0), "images: columns is 0"),
        (lambda: plots.curves([1, 2]), r"panels is \[1, 2\]; give \{panel title"),
        (lambda: plots.curves({"a": {"b": [1, 2, 3]}}), r"curves: b in a is \[1, 2, 3\]; give a pair"),
        (lambda: plots.images([X]), r"picture: the shape must be \(n, n\), not \(30,\)"),
        (lambda: plots.images([[[1]]], ["a", "b"]), "1 pictures have 2 titles and 1 marks"),
        (lambda: plots.images([[[1]]], marks=[]), "1 pictures have 1 titles and 0 marks"),
        (lambda: plots.table([[1, 2]], ["a"], ["b"]), r"values: the shape must be \(1, 1\), not \(1, 2\)"),
        (lambda: plots.table(np.empty((0, 0)), [], []), "nothing to draw"),
        (lambda: training_curves(RECORDS[0]), "train_loss is one number; give one for each epoch"),
        (lambda: training_curves(5), "history is 5; give a record for each epoch"),
        (lambda: training_curves("run"), "history is 'run'"),
        (lambda: training_curves([1, 2]), "a record is 1; give a dict"),
        (lambda: plots.curves({"a": {"b": zip(X, X, strict=True)}}), "b in a is <zip .*; give a pair"),
        (lambda: plots.curves({"a": {"b": (X, X)}}, markers=["c"]), r"markers is \['c'\]; .* out of \['b'\]"),
        (lambda: plots.curves({"a": {"b": (X, X)}}, markers=5), "markers is 5"),
        (lambda: plots.curves({"a": {"b": (X, X + 1j)}}), "not real numbers in an array: got complex128"),
        (lambda: plots.curves({"a": {"b": (X.astype("M8[D]"), X)}}), "got datetime64"),
        (lambda: plots.curves({str(i): {} for i in range(501)}), "501 panels are too many .* choose up to 500"),
        (lambda: plots.histograms([X], ["a"]), r"rows is .*; give \{row label"),
        (lambda: plots.histograms({"r": 5}, ["a"]), "r is 5; give a list of arrays"),
        (lambda: plots.histograms({"r": [["a"]]}, ["a"]), "an array of r: these are not real numbers"),
        (lambda: plots.histograms({"r": [X]}, 5), "columns is 5"),
        (lambda: plots.regions(len, POINTS, LABELS), r"panels is .*; give \{panel title: function"),
        (lambda: plots.regions({"p": 5}, POINTS, LABELS), "p is 5; give a function"),
        (lambda: plots.regions({"p": len}, {"q": POINTS}, LABELS), "points has no 'p'"),
        (lambda: plots.regions({"p": len}, np.empty((0, 2)), []), "none of 0 is finite"),
        (lambda: plots.regions({"p": len}, np.full((4, 2), np.nan), LABELS), "none of 4 is finite"),
        (lambda: plots.regions({"p": len}, POINTS, [0, 1, 2, 1]), "labels of p: 2 is neither 0 nor 1"),
        (lambda: plots.regions({"p": len}, POINTS, [-1, 1, 1, -1]), "labels of p: -1 is neither"),
        (lambda: plots.regions({"p": lambda p: p[:, :1]}, POINTS, LABELS), r"not \(40000, 1\); take a column"),
        (lambda: plots.contours(max, {}, xlim=(1, 1), ylim=(0, 1)), r"xlim is \(1, 1\); give two different"),
        (lambda: plots.contours(max, {}, xlim=(0, 1), ylim=(0, np.inf)), "ylim is .*; give two different, finite"),
        (lambda: plots.contours(max, {}, xlim=(0, 1), ylim=3), r"ylim: the shape must be \(2,\), not \(\)"),
        (lambda: plots.contours(5, {}, xlim=(0, 1), ylim=(0, 1)), "function is 5"),
        (lambda: plots.contours(max, [[0, 0]], xlim=(0, 1), ylim=(0, 1)), "paths is .*; give {label"),
        (lambda: plots.images(np.zeros((2, 8, 8, 3))), r"not \(8, 8, 3\); make grey of colours"),
        (lambda: plots.images([1, 2]), r"not \(\); make \[picture\]"),
        (lambda: plots.images({"a": np.eye(3)}), r"pictures is \{'a': array"),
        (lambda: plots.images(np.zeros((2, 4, 4)), marks=True), "marks is True"),
        (lambda: plots.images(np.zeros((501, 2, 2))), "501 panels are too many"),
        (lambda: plots.table([[1]], 1, ["a"]), "rows is 1; give a list of labels"),
        (lambda: plots.table([[1]], ["a"], ["b"], fmt="%.2f"), r"fmt is '%.2f' \(it writes no number\); give one such"),
        (lambda: plots.table([[1]], ["a"], ["b"], fmt="{:d}"), "fmt is '{:d}' .Unknown format code"),
        (lambda: plots.table([[1]], ["a"], ["b"], fmt=2), "fmt is 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(picture, message):
    with pytest.raises(ValueError, match=message):
        picture()


def test_numbers_that_a_logarithmic_axis_cannot_show_and_overflowing_ones_leave_a_gap():
    figure = plots.curves({"": {"a": (range(6), [1.0, 0, -1, 1e308, -1e308, 2])}}, yscale="log")
    draw(figure)
    (axes,) = figure.axes
    (line,) = axes.get_lines()
    assert axes.get_yscale() == "log"
    assert np.isnan(line.get_ydata()).tolist() == [False, False, False, True, True, False]
    shown = axes.transData.transform(line.get_xydata())
    assert np.isfinite(shown).all(axis=1).tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize(
    "picture",
    [
        lambda: plots.contours(lambda x, y: x * np.nan, {"a": [[0, 0]]}, xlim=(0, 1), ylim=(0, 1)),
        lambda: plots.images(np.zeros((1, 1, 5000))),
        lambda: plots.images(np.zeros((1, 5000, 1))),
        lambda: plots.table([[1, 2]], ["a" * 500], ["b", "c"]),
        lambda: plots.table(np.zeros((1, 300)), ["a"], range(300)),
        lambda: plots.table(np.zeros((300, 3)), range(300), "abc"),
        lambda: plots.images(np.eye(3)[None], title=Tensor([1.0, 2.0])),
    ],
)
def test_what_is_hard_to_see_is_drawn_without_a_warning_in_a_picture_of_moderate_size(picture):
    figure = picture()
    draw(figure)
    assert max(figure.get_size_inches()) < 100


def test_masked_numbers_leave_a_gap_and_lists_of_tensors_are_numbers():
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
    nested = [[Tensor(1.0), Tensor(2.0)], [Tensor(3.0), Tensor(4.0)]]
    (line,) = plots.curves({"": {"a": (range(3), masked)}}).axes[0].get_lines()
    np.testing.assert_array_equal(line.get_ydata(), [1, np.nan, 3])
    assert plots.table(nested, "ab", "cd").axes[0].texts[3].get_text() == "4.00"
    plots.histograms({"r": [Tensor([1.0, 2.0]) * 2, nested]}, "ab")
    plots.contours(max_of, {"a": nested}, xlim=(0, 1), ylim=Tensor([0.0, 1.0]), minimum=Tensor([0.0, 0.0]))


def max_of(x, y):
    return Tensor(np.maximum(x, y))


def test_markers_may_be_one_label():
    lines = plots.curves({"": {"b": (X, X), "ab": (X, X)}}, markers="ab").axes[0].get_lines()
    assert [line.get_marker() for line in lines] == ["None", "s"]


def test_numbers_too_small_to_read_are_left_out_of_a_table():
    assert not plots.table(np.zeros((3, 400)), "abc", range(400)).axes[0].texts


def test_points_are_drawn_as_texts_in_the_colours_of_their_groups():
    points = {"a": [[0.0, 1.0], [2.0, 3.0]], "b": Tensor([[4.0, -1.0]]), "c": [[np.nan, 0.0]]}
    figure = plots.scatter({"p": points}, groups={"a": "vowel", "b": "_other", "c": "_other"}, xlabel="first")
    axes = figure.axes[0]
    drawn = {(text.get_text(), text.get_position()): text.get_color() for text in axes.texts}
    assert drawn == {("a", (0, 1)): plots.BLUE, ("a", (2, 3)): plots.BLUE, ("b", (4, -1)): plots.ORANGE}
    assert legend(figure) == ["vowel", "\u200a_other"] and axes.get_xlabel() == "first"
    draw(figure)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < 0 and right > 4 and low < -1 and high > 3
    assert (right - left) / (high - low) == pytest.approx(axes.bbox.width / axes.bbox.height)
    many = plots.scatter({"p": {str(i): [[i, i]] for i in range(10)}}).axes[0].texts
    assert [text.get_color() for text in many[:8]] == list(plots.COLORS)
