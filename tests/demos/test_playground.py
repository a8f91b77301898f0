"""The playground: what may be typed, the training between its pictures, and the page."""

import html
import math
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from demo_runs import DEMOS, import_demo
from hypothesis import example, given, settings, strategies as st
from play.expression import FUNCTIONS, LONGEST, Expression, Wrong
from play.network import CLOUD, DATA, MOST_STEPS, OPTIMIZERS, PENALTIES, SIDE, Trainer, board, cloud, samples

from tinygrad_edu.draw import engine

NUMPY = {"sigmoid": lambda x: 1 / (1 + math.exp(-x)), "relu": lambda x: max(x, 0.0), "max": max, "min": min}
NUMPY |= {name: getattr(math, name) for name in ("sin", "cos", "tanh", "exp")} | {"abs": abs}
LEAVES = {"x": 0.7, "y": -1.3, "ü": 2.5}
safe = st.recursive(
    st.sampled_from([*LEAVES]) | st.floats(-9, 9).map("{:.3f}".format),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("({} / (2 + {}**2))".format, inner, inner)
        | st.builds("-{}".format, inner)
        | st.builds("{}({})".format, st.sampled_from(["sin", "cos", "tanh", "abs", "relu"]), inner)
        | st.builds("{}({}, {})".format, st.sampled_from(["max", "min"]), inner, inner)
    ),
    max_leaves=10,
)


def value(text, **leaves):
    """The output of an expression; a leaf that is not given gets the number in the text, or 1."""
    expression = Expression(text)
    starts = {name: 1.0 if start is None else start for name, start in expression.leaves.items()}
    output, tensors = expression.compute(starts | leaves)
    return output.item(), {name: tensor.grad.item() for name, tensor in tensors.items()}


@given(safe)
@settings(max_examples=80, deadline=None)
def test_an_expression_is_what_python_makes_of_it(text):
    text = f"{text} + x"
    if len(text) <= LONGEST:
        found, slopes = value(text, **LEAVES)
        namespace = {"__builtins__": {}, **NUMPY}
        run = lambda **more: eval(text, namespace, LEAVES | more)
        assert math.isclose(found, run(), rel_tol=1e-9, abs_tol=1e-9)
        step = 1e-6
        slope = (run(x=0.7 + step) - run(x=0.7 - step)) / (2 * step)
        kinked = any(name in text for name in ("abs", "relu", "max", "min"))
        assert kinked or math.isclose(slopes["x"], slope, rel_tol=1e-3, abs_tol=1e-3 * (1 + abs(slope)))


WORDS = [
    "x",
    "y",
    "1",
    "2.5",
    "999",
    "1e300",
    "(",
    ")",
    "+",
    "-",
    "*",
    "/",
    "**",
    ",",
    ";",
    "=",
    "sin",
    "max",
    "ü",
    "λ",
    ".",
]


@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS)).map(" ".join))
@example("x**9**9**9")
@example("999**x / 1e300 * e**e**e**e * x")
@settings(max_examples=200, deadline=None)
def test_whatever_is_typed_is_computed_or_refused(text):
    try:
        output, slopes = value(text)
        assert math.isfinite(output) and all(map(math.isfinite, slopes.values()))
    except Wrong as error:
        assert str(error) and 0 <= error.start < error.end
        assert error.marked().count("\n") == 1 and error.end <= max(len(error.text), 1) + 1


def test_parts_have_names_and_numbers_are_where_sliders_begin():
    expression = Expression("x = -2; y = 5\nz = −4; q = x + y; f = q · z;")
    assert expression.leaves == {"x": -2, "y": 5, "z": -4}
    output, tensors = expression.compute({"x": -2, "y": 5, "z": -4})
    assert (output.item(), output.name, tensors["x"].name) == (-12, "f", "x")
    assert {name: tensor.grad for name, tensor in tensors.items()} == {"x": -4, "y": -4, "z": 3}
    assert "q" in output.graph().text()
    assert Expression("a = 2*3; b = pi/2; c = a; c * b").leaves == {"a": 6, "b": math.pi / 2}
    assert value("a = 2*3; b = x; a * b", x=2)[0] == 12 and value("e**x + 0*pi", x=1)[0] == math.e


def test_signs_of_other_programs_and_remarks_are_read():
    assert Expression("x = 2 # half\n# of it\nx² \u2013 3·x ⋅ 2×y÷y").text == "x = 2; x**2 - 3*x * 2*y/y"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_of_the_list_has_a_value_and_a_slope(name):
    count, function = FUNCTIONS[name]
    assert value(f"{name}({', '.join('xy'[:count])})", x=0.5, y=0.25)[0] == function(*(0.5, 0.25)[:count])


REFUSED = {
    "": "type an expression",
    "# x": "type an expression",
    "x" * 400: "longer than 300",
    "(x + y * z": "cannot be read",
    "2x": r"2\*x, not 2x",
    "2(x + 1)": "a product needs its sign",
    "x(x + 1)": "there is no function x; a product needs its sign",
    "x*x(2)": "x is a number",
    "pi(x)": "pi is a number",
    "sin x": r"needs brackets: sin\(x\)",
    "sin + x": r"sin is a function: write sin\(x\)",
    "sin(x) cos(x)": r"no sign between two parts of it: write \*",
    "x = 3, y = 2; x*y": "between two parts a ;",
    "f(x) = x*2": "before = stands one name",
    "x = 1e300; x + 1": "a slider turns",
    "x = -1e-300; x + 1": "a slider turns",
    "lambda + 1": "lambda is a word of Python's own",
    "sigmod(x)": "did you mean sigmoid",
    "ln(x)": "did you mean log",
    "wobble(x)": "there are exp, log",
    "np.exp(x)": r"write exp\(x\), not np.exp",
    "x.y": "there is no dot",
    "max(x, y, z)": "max takes two numbers",
    "sin(x, y)": "sin takes one number",
    "sin(*x)": "sin takes one number",
    "sin(x=1)": "sin takes one number",
    "x^2": r"a power is written \*\*",
    "x % 2": "no smooth slope",
    "x // 2": "write / for the quotient",
    "x @ y": r"write \* for their product",
    "x & y": "the operators are",
    "~x": "the operators are",
    "x < y": "a comparison has no slope",
    "x and y": "no slope",
    "x if y else z": "max, min or relu",
    "[x]": "single numbers",
    "x[0]": "single numbers",
    "x, y": "a comma stands only",
    "lambda: x": "an expression has names",
    "{x}": "an expression has names",
    "f'{x}'": "an expression has names",
    "'x'": "not a number",
    "True": "not a number",
    "1e999 * x": "not a number",
    "1j * x": "not a number",
    "x = 1; x = 2; x": "stands for a number already",
    "e = 2; e*x": "stands for a number already",
    "x = x + 1": "a part of itself",
    "_x": "begins with a letter",
    "x += 1": "only expressions are read",
    "x = y = 2": "only expressions are read",
    "import os": "word of Python's own|only expressions",
    "__import__('os')": "there is no function",
    "3 + 4": "no name in it that can be turned",
    "3": "only a number",
    "x = 3": "only a number",
    "q = x + y; x * 2": "q is not used",
    "x + y; x * 2": "this is not used",
    "x = 2; 3 * 4": "x is not used",
    "+".join("abcdfghijklmn"): "too many sliders",
    "x\0": "a character in it|cannot be read",
    "\ud800": "a character in it",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_arithmetic_is_refused(text):
    with pytest.raises(Wrong, match=REFUSED[text]):
        Expression(text)


IMPOSSIBLE = {
    "x / y": ("y", "divided by 0, and y is 0 here"),
    "1 / 0 * x": ("0", "divided by 0$"),
    "x + log(x - 5)": ("x - 5", "logarithm needs a number above 0, and x - 5 is −4".replace("-", "[-−]")),
    "sqrt(y)": ("y", "its slope at 0 is infinite"),
    "(y - 1)**x": ("y - 1", "its slope has a logarithm"),
    "(y - 1)**0.5": ("y - 1", "not whole needs a number above 0"),
    "y**-1": ("y", "0 has no such power"),
    "arcsin(2 * x)": ("2 * x", "between −1 and 1"),
    "x*exp(999*x)": ("exp(999*x)", "too large"),
    "x**9**9**9": ("9**9**9", "too large"),
    "x*log(-1)": ("-1", "above 0$"),
    "x = 1; 2*3 + 0*(5 - 5)": None,
}  # fmt: skip


@pytest.mark.parametrize("text", [text for text, found in IMPOSSIBLE.items() if found])
def test_where_a_part_has_no_value_its_place_is_shown(text):
    place, words = IMPOSSIBLE[text]
    with pytest.raises(Wrong, match=words) as caught:
        value(text, x=1, y=0)
    assert text[caught.value.start : caught.value.end] == place


def test_places_are_counted_in_letters():
    with pytest.raises(Wrong) as caught:
        Expression("ü + λ*sen(ü)")
    assert caught.value.marked() == "ü + λ*sen(ü)\n      ^^^"


@pytest.mark.parametrize(
    "text", ["x + " * 20 + "[y]" + " + x" * 20, "[y]" + " + x" * 40, "x + " * 40 + "[y]", "x + " * 40]
)
def test_of_a_long_expression_the_mistake_is_in_sight(text):
    with pytest.raises(Wrong) as caught:
        Expression(text)
    shown, carets = caught.value.marked().splitlines()
    assert len(shown) <= 30 and len(carets) <= 30
    assert shown[carets.index("^") : len(carets)] == ("[y]" if "y" in text else "")


@pytest.mark.parametrize("name", DATA)
def test_points_of_both_classes_are_made(name):
    seen, unseen = samples(name, 0.0, seed=0, n=40)
    for points, labels in (seen, unseen):
        assert points.shape == (40, 2) and labels.sum() == 20
    assert not np.array_equal(*[points for points, _ in (seen, unseen)]) or name == "XOR"


def trainer_of(name="two moons", **options):
    trainer = Trainer(**options)
    seen, unseen = samples(name, 0.1, seed=0)
    trainer.use(*seen, unseen)
    return trainer


@pytest.mark.parametrize("name", ["two moons", "circles", "XOR"])
def test_the_network_of_the_page_learns_what_no_line_parts(name):
    trainer = trainer_of(name)
    trainer.learn(150)
    assert trainer.history[-1]["train_accuracy"] > 0.95 and trainer.history[-1]["val_accuracy"] > 0.95
    assert trainer.history["epoch"] == [*range(151)] and trainer.steps == 150 and not trainer.trouble
    assert ((trainer.scores(trainer.points) > 0) == trainer.labels).mean() == trainer.history[-1]["train_accuracy"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_moves_each_layer(optimizer):
    trainer = trainer_of(optimizer=optimizer, hidden=(4,), activation="relu")
    before = {name: weights.copy() for name, (weights, _) in trainer.layers().items()}
    assert all(np.any(gradients) for _, gradients in trainer.layers().values())
    trainer.learn(1)
    assert all(np.any(weights != before[name]) for name, (weights, _) in trainer.layers().items())


def test_settings_that_may_change_on_the_way_do():
    trainer = trainer_of(optimizer="SGD")
    bare = trainer.loss(trainer.points, trainer.labels).item()
    squares = sum(np.square(weights).sum() for weights, _ in trainer.layers().values())
    trainer.strength = 0.1
    for trainer.penalty in PENALTIES:
        more = {"none": 0.0, "L2": 0.05 * squares}.get(trainer.penalty)
        assert more is None or math.isclose(trainer.loss(trainer.points, trainer.labels).item(), bare + more)
    trainer.lr = 0.0
    before = trainer.history[-1]["train_loss"]
    trainer.learn(3)
    assert trainer.history[-1]["train_loss"] == before


def test_dropout_is_for_steps_only():
    trainer = trainer_of(dropout=0.5, seed=1)
    losses = {trainer.loss(trainer.points, trainer.labels).item() for _ in range(3) if trainer.net.train()}
    assert len(losses) == 3
    assert np.array_equal(trainer.scores(trainer.points), trainer.scores(trainer.points))


def test_a_rate_that_is_too_high_ends_the_run_with_a_sentence():
    trainer = trainer_of(optimizer="SGD", activation="identity", hidden=(8, 8, 8, 8))
    trainer.lr = 1e6
    trainer.learn(50)
    assert "lower the learning rate" in trainer.trouble and trainer.steps < 50
    trainer.learn(5)
    assert trainer.steps < 50


def test_a_run_ends_at_last():
    trainer = trainer_of(hidden=())
    trainer.history.extend([trainer.history[0]] * MOST_STEPS)
    trainer.learn(1)
    assert "5,000 steps" in trainer.trouble and trainer.steps == MOST_STEPS


def test_points_are_set_one_by_one_and_keep_what_was_learned():
    trainer = Trainer(hidden=(4,))
    trainer.use([[0.0, 0.0]], [0])
    trainer.learn(5)
    assert not trainer.ready and not trainer.history
    trainer.use([[0.0, 0.0], [1.0, 1.0]], [0, 1])
    trainer.learn(5)
    trainer.use([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]], [0, 1, 1])
    assert trainer.steps == 5 and "val_loss" not in trainer.history[-1]


def test_a_click_is_a_point_and_an_area_is_filled():
    rng = np.random.default_rng(0)
    click = SimpleNamespace(x_min=0.5, x_max=0.5, y_min=-1.0, y_max=-0.99)
    assert np.allclose(cloud(click, rng), [[0.5, -0.995]])
    inside = lambda x, y: (x > 0) & (x < 1) & (y > 0) & (y < 1)
    box = SimpleNamespace(x_min=0, x_max=1, y_min=0, y_max=1, get_mask=inside)
    points = cloud(box, rng)
    assert points.shape == (CLOUD, 2) and (points > 0).all() and (points < 1).all()
    lasso = SimpleNamespace(get_mask=lambda x, y: x < -SIDE)
    assert cloud(lasso, rng).shape == (0, 2)
    assert board(points, np.arange(CLOUD) % 2).axes[0].get_xlim() == (-SIDE, SIDE)


@pytest.mark.parametrize("one_point", [True, False])
def test_the_next_step_is_drawn_before_it_is_made(one_point):
    trainer = trainer_of(hidden=(2,))
    trainer.learn(2)
    graph = trainer.graph(one_point)
    assert graph.title.startswith("step 3") and "points" in graph.text() and "0.weight" in graph.text()


def test_the_options(capsys, monkeypatch):
    demo = import_demo("playground")
    for options, words in ((["--port", "0"], "from 1 to 65535"), (["--port", "x"], "from 1 to 65535")):
        with pytest.raises(SystemExit, match="2"):
            demo.main(options)
        assert words in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "marimo", None)
    with pytest.raises(SystemExit, match=r'needs marimo.*pip install -e "\.\[playground\]"'):
        demo.main([])


def test_a_port_that_is_taken_is_named(capsys):
    pytest.importorskip("marimo")
    demo = import_demo("playground")
    with demo.socket.create_server((demo.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match="2"):
            demo.main(["--port", str(port)])
    assert f"port {port} is taken" in capsys.readouterr().err


def test_the_page_shows_both_parts():
    pytest.importorskip("marimo")
    outputs, names = import_demo("play/app").app.run()
    assert names["output"].item() == -12 and names["trainer"].ready
    (page,) = [output.text for output in outputs if "q = x + y" in getattr(output, "text", "")]
    assert "arithmatex" in page and (("data:image/svg+xml" in page) == (engine() is not None))


def test_what_the_page_is_made_of():
    pytest.importorskip("marimo")
    pieces = import_demo("play/pieces")
    trainer = trainer_of()
    region, loss = pieces.progress(trainer)
    assert "decision region, step 0: 84.0% right, 86.5% of unseen points" in region.text and "loss: 0." in loss.text
    images, table = pieces.weights(trainer)
    assert "data:image/png" in images.text and "<th" in table.text and 'class="scrolls"' in table.text
    with pytest.raises(Wrong) as caught:
        Expression("<b>x</b>")
    assert "<b>" not in html.unescape(pieces.refusal(caught.value).text)
    output, _ = Expression("x*y").compute({"x": 2, "y": 3})
    for view in pieces.VIEWS.values():
        shown = pieces.drawn(output, view).text
        assert ("<iframe" in shown) == (view == "player" and engine() is not None)


def test_a_slider_begins_where_it_was_told_or_where_it_was():
    pytest.importorskip("marimo")
    pieces, remembered = import_demo("play/pieces"), {}
    assert pieces.slider("x", None, remembered).value == -2 and pieces.slider("y", None, remembered).value == 5
    assert pieces.slider("x", None, remembered | {"x": 4.5}).value == 4.5
    far = pieces.slider("z", 30.25, remembered)
    assert (far.value, far.start, far.stop, far.step) == (30.25, -60.5, 60.5, 0.001)
    for start in (1e-6, 0.05, math.pi, 12345.678, -1e9):
        slider = pieces.slider("x", start, {})
        assert slider.value == start and 100 <= slider.stop / slider.step <= 1e5


def test_every_example_can_be_computed():
    pytest.importorskip("marimo")
    for text in import_demo("play/pieces").EXAMPLES.values():
        assert math.isfinite(value(text)[0])


def test_python_waits_for_what_is_still_drawn():
    demo, done = import_demo("playground"), []
    drawing = threading.Thread(target=lambda: (time.sleep(0.05), done.append(True)), daemon=True)
    drawing.start()
    demo.let_finish([threading.current_thread(), drawing])
    assert done
    endless = threading.Thread(target=time.sleep, args=(5,), daemon=True)
    endless.start()
    demo.let_finish([endless], seconds=0.01)
    assert endless.is_alive()


def test_the_command_serves_the_page_on_this_machine_and_ends_with_ctrl_c(tmp_path):
    pytest.importorskip("marimo")
    command = [sys.executable, str(DEMOS / "playground.py"), "--no-browser"]
    reset = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, preexec_fn=reset, **pipes) as process:
        try:
            address = process.stdout.readline().split()[1]
            assert address.startswith("http://127.0.0.1:")
            for _ in range(100):
                try:
                    page = urllib.request.urlopen(address, timeout=5).read()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.1)
            assert b"playground" in page
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
