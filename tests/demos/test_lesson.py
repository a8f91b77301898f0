"""What the lessons share, and what holds for each of them."""

import argparse
import ast
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from demo_runs import DEMOS, import_demo, run
from PIL import Image

from tinygrad_edu import Tensor, data, plots
from tinygrad_edu.draw import engine

lesson = import_demo("lesson")
LESSONS = [*import_demo("course").LESSONS, "data_parallel"]
ALL = pytest.mark.parametrize("name", LESSONS)


@ALL
def test_a_lesson_says_what_is_wrong_with_an_option(name, tmp_path, capsys):
    (tmp_path / "file").touch()
    wrong = {"--seed": ("-1", "expected a whole number of at least 0, got '-1'")}
    wrong["--out"] = (str(tmp_path / "file"), f"cannot write to the folder {tmp_path / 'file'} (it is a file)")
    for option, (value, words) in wrong.items():
        with pytest.raises(SystemExit, match="2"):
            import_demo(name).main([option, value])
        assert f"argument {option}: {words}" in capsys.readouterr().err


@ALL
def test_a_lesson_that_draws_says_at_once_that_it_needs_matplotlib(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    if name == "gates":  # draws graphs alone
        import_demo(name).main(["--out", str(tmp_path)])
        return
    with pytest.raises(SystemExit, match=r'^error: .*needs matplotlib, .*pip install -e "\.\[demos\]"'):
        import_demo(name).main([])


@pytest.mark.parametrize("name", ["xor", "neuron", "mnist_more", "draw", "numpy_table", "playground"])
def test_a_program_without_its_packages_says_how_to_install_them(name, tmp_path):
    command = [sys.executable, "-ES", DEMOS / f"{name}.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r'error: this demo needs graphviz, .*pip install -e "\.\[demos\]".*\n', result.stderr)


@pytest.mark.parametrize("name", [*LESSONS, "cnn"])
def test_a_lesson_sets_the_number_of_threads_before_numpy_is_loaded(name):
    body = ast.parse((DEMOS / f"{name}.py").read_text(encoding="utf-8")).body
    loaded = [
        alias.name if isinstance(node, ast.Import) else node.module.partition(".")[0]
        for node in body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    ]
    assert min(loaded.index(other) for other in ("numpy", "tinygrad_edu") if other in loaded) > loaded.index("lesson")


@ALL
def test_a_lesson_is_short_and_begins_with_some_five_sentences(name):
    source = (DEMOS / f"{name}.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source))
    assert f"`python demos/{name}.py`" in text
    assert 4 <= len(re.findall(r"[.?](?=\s|$)", text)) <= 7
    assert source.count("\n") < 150


@pytest.mark.parametrize(
    ("kind", "good", "bad", "words"),
    [
        (lesson.integer(2), {"2": 2, "30": 30}, ["1", "2.5", "x", ""], "a whole number of at least 2"),
        (lesson.integer(0, 10), {"0": 0, "10": 10}, ["-1", "11"], "a whole number from 0 to 10"),
        (lesson.above(0), {"1e-9": 1e-9, "3": 3.0}, ["0", "-1", "nan", "inf", "x"], "a finite number above 0"),
        (lesson.real(-1, 100), {"-1": -1.0, "100": 100.0}, ["-2", "inf", "nan", "x"], "a number from -1 to 100"),
    ],
)
def test_kinds_of_options(kind, good, bad, words):
    for text, value in good.items():
        assert kind(text) == value and type(kind(text)) is type(value)
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError) as error:
            kind(text)
        assert str(error.value) == f"expected {words}, got {text!r}"


class Parsed(Exception):
    """Ends a demo when it has made its parser."""


PROGRAMS = [*LESSONS, "mnist_more", "cnn", "draw", "benchmark", "numpy_table", "playground"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_number_is_too_absurd_for_any_option(name, monkeypatch):
    def parse_args(parser, *args):
        raise Parsed(parser)

    monkeypatch.setattr(lesson.Parser, "parse_args", parse_args)
    monkeypatch.setattr(lesson.Parser, "parse_known_args", parse_args)
    monkeypatch.setitem(sys.modules, "lesson", lesson)
    with pytest.raises(Parsed) as caught:
        import_demo(name).main([])
    for action in caught.value.args[0]._actions:
        if action.type not in (None, Path, lesson.folder):
            for text in ("9" * 40, "9" * 5000, "1e308", "1e400", "-1e308", "nan", "\x1b[31m", "\n", "\ud800"):
                with pytest.raises((argparse.ArgumentTypeError, MemoryError)) as error:
                    action.type(text)
                assert str(error.value).isprintable() and len(str(error.value)) < 150, action.dest


@pytest.mark.parametrize("name", [*PROGRAMS, "course"])
def test_help_stays_when_python_drops_docstrings(name, monkeypatch, capsys):
    demo = import_demo(name)
    monkeypatch.setattr(demo, "__doc__", None)  # as with python -OO
    with pytest.raises(SystemExit, match="0"):
        demo.main(["--help"])
    assert "--help" in capsys.readouterr().out


def test_what_a_lesson_asks_for_it_gets(tmp_path):
    parser = lesson.parser("text", digits=True, page=True)
    args = parser.parse_args(["--out", str(tmp_path / "a" / "b"), "--dataset", "synthetic"])
    assert args.out == tmp_path / "a" / "b" and args.out.is_dir() and not [*args.out.iterdir()]
    assert (args.seed, args.dataset, args.data_dir, args.html) == (0, "synthetic", None, None)
    bare = lesson.parser("text", out=False, needs=()).parse_args([])
    assert vars(bare) == {"seed": 0}


@pytest.mark.parametrize("name", ["n" * 300, "d/" * 3000, "\0"])
def test_a_name_that_no_folder_can_have_is_refused(tmp_path, name):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)) as error:
        lesson.folder(str(tmp_path / name))
    assert len(str(error.value)) < 400


def test_digits_or_the_error_of_those_who_read_them(tmp_path, monkeypatch):
    args = argparse.Namespace(dataset="auto", data_dir=tmp_path / "none")
    with pytest.raises(SystemExit, match=r"^error: .*none(.|\n)*--dataset synthetic"):
        lesson.load_digits(args)
    monkeypatch.setattr(data, "load_digits", lambda *options: options)
    assert lesson.load_digits(args) == ("auto", tmp_path / "none")


def test_flat_images():
    images = data.synthetic_digits(3)[0]
    flat = lesson.flat(images)
    assert flat.shape == (3, 784) and flat.dtype == np.float32
    np.testing.assert_array_equal(flat.reshape(images.shape), data.normalize(images))


def test_pictures_and_films(tmp_path, capsys):
    figures = [plots.curves({"": {"a": ([0, 1], [0, y])}}) for y in (1, 2, 3)]
    lesson.save(figures[0], tmp_path / "a.png")
    lesson.save_movie(iter(figures), tmp_path / "b.gif")
    assert capsys.readouterr().out == f"picture: {tmp_path / 'a.png'}\npicture: {tmp_path / 'b.gif'}\n"
    with Image.open(tmp_path / "a.png") as still, Image.open(tmp_path / "b.gif") as film:
        assert still.width == 150 * figures[0].get_figwidth()
        assert film.n_frames == 3 and film.info["loop"] == 0 and film.info["duration"] == 150
        film.seek(2)
        assert film.info["duration"] == 2000


def test_graphs_are_drawn_or_printed(tmp_path, monkeypatch, capsys):
    a = Tensor(2.0, name="a")
    graph = (a * a).graph(title="a squared")
    if engine() is not None:
        lesson.save_graph(graph, tmp_path / "a.svg")
        assert capsys.readouterr().out == f"picture: {tmp_path / 'a.svg'}\n"
        assert "a squared" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    monkeypatch.setattr("tinygrad_edu.draw.engine", lambda: None)
    lesson.save_graph(graph, tmp_path / "b.svg")
    out = capsys.readouterr().out
    assert "└─ " in out and "neither Graphviz nor pygraphviz" in out and not (tmp_path / "b.svg").exists()


@pytest.mark.parametrize("path", sorted(DEMOS.glob("*.py")), ids=lambda path: path.stem)
def test_no_program_prints_a_path_that_could_steer_the_terminal(path):
    source = path.read_text(encoding="utf-8")
    assert not re.findall(r"print\((?:f\".*\{)?(?:path|args\.(?:save|resume|out|html|checkpoint))[})]", source)


def test_a_path_is_printed_on_one_line(tmp_path, capsys):
    out = tmp_path / "\x1b[31m\n"
    out.mkdir()
    lesson.save(plots.curves({"": {"a": ([0, 1], [0, 1])}}), out / "a.png")
    assert capsys.readouterr().out == f"picture: {out / 'a.png'}\n".replace("\x1b", "\\x1b")


def test_ctrl_c_is_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        lesson.run(interrupted, "; the same command goes on")
    assert capsys.readouterr().err == "interrupted; the same command goes on\n"


@pytest.mark.parametrize("package", ["numpy", "tinygrad_edu.nn"])
def test_ctrl_c_while_packages_are_imported_is_one_line(tmp_path, package):
    code = f"""
import runpy, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {package!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder)
sys.path.insert(0, {str(DEMOS)!r})
runpy.run_path({str(DEMOS / "xor.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and (done.stdout, done.stderr) == ("", "interrupted\n")


def test_too_little_memory_ends_with_advice():
    def greedy():
        np.empty(10**18)

    with pytest.raises(SystemExit, match=r"^error: Unable to allocate .*; try smaller numbers$"):
        lesson.run(greedy)


def test_a_full_disk_that_is_no_files_is_the_outputs():
    """Where Python does not buffer, print itself fails."""

    def failing():
        raise OSError(28, "No space left on device")

    with pytest.raises(SystemExit, match=r"^error: cannot write the output \(.*No space left on device\)$"):
        lesson.run(failing)


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device", "a.png"), FloatingPointError("the loss became nan"), ImportError("no PIL")],
)
def test_what_fails_is_one_line(error):
    def failing():
        raise error

    with pytest.raises(SystemExit) as caught:
        lesson.run(failing)
    assert caught.value.code == f"error: {error}"


@pytest.mark.parametrize(
    "error",
    [ValueError("array is too big"), OverflowError("too large"), RecursionError("too deep"), OSError("\x1b[2J")],
)
def test_what_no_option_should_have_is_one_line(error):
    def failing():
        raise error

    with pytest.raises(SystemExit) as caught:
        lesson.run(failing)
    assert caught.value.code == f"error: {error}".replace("\x1b", r"\x1b")


def test_an_error_of_a_program_does_not_steer_the_terminal(capsys):
    with pytest.raises(SystemExit) as caught:
        lesson.run(lambda: sys.exit("error: \x1b[31m"))
    assert caught.value.code == r"error: \x1b[31m"
    with pytest.raises(SystemExit):
        lesson.parser("text", out=False, needs=()).parse_args(["\x1b[31m"])
    assert r"unrecognized arguments: \x1b[31m" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        import_demo("mnist").main(["\x1b[31m"])
    assert capsys.readouterr().err.replace("\n", "").isprintable()


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {"pythonw": lambda: None, "closed": closed, "Jupyter": io.StringIO}  # a StringIO has no reconfigure either


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("words", [[], ["--seed", "-1"], ["--help"]])
def test_any_kind_of_output_will_do(tmp_path, monkeypatch, kind, words):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, STREAMS[kind]())
    streams, argv = (sys.stdout, sys.stderr), ["--out", str(tmp_path), *words]
    monkeypatch.setattr(sys, "argv", ["gates.py"])
    if words:
        with pytest.raises(SystemExit) as caught:
            lesson.run(lambda: import_demo("gates").main(argv))
        assert caught.value.code == (0 if words == ["--help"] else 2)
    else:
        lesson.run(lambda: import_demo("gates").main(argv))
        assert kind != "Jupyter" or "picture: " in sys.stdout.getvalue() or "└─" in sys.stdout.getvalue()
    assert (sys.stdout, sys.stderr) == streams


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    ("name", "words"), [("gates", ["--out", "."]), ("numpy_table", []), ("draw", ["--only", "mlp"])]
)
def test_a_full_disk_behind_the_output_is_one_line(tmp_path, name, words):
    words = [*words, "--out", str(tmp_path)] if name == "draw" else words
    command = [sys.executable, DEMOS / f"{name}.py", *words]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 1 and re.fullmatch(r"error: .*No space left on device.*\n", result.stderr)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_no_picture_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    figure = plots.curves({"": {"a": ([0, 1], [0, 1])}})
    for save, content in ((lesson.save, figure), (lesson.save_movie, [figure])):
        with pytest.raises(ValueError, match="or a pipe"):
            save(content, tmp_path / "pipe")


def test_a_lesson_runs_from_any_folder(tmp_path):
    result = run("gates", "--out", "pictures", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "") and (tmp_path / "pictures").is_dir()


def test_a_terminal_without_greek_letters(tmp_path):
    result = run("gates", "--out", tmp_path, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "") and "?f/?x" in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_what_reads_the_output_may_leave(tmp_path):
    command = [sys.executable, DEMOS / "gates.py", "--out", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
