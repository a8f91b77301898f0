import inspect
import os
import random
import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import graphviz
import pytest

from tinygrad_edu import Tensor
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture import engines
from tinygrad_edu.draw.picture.engines import NoEngineError, render

SOURCE = "digraph { a -> b }"
SVG, PNG, PDF = b"<?xml", b"\x89PNG", b"%PDF"


@pytest.fixture
def picture():
    return Graph(-Tensor(2.0, name="a"), title="a picture")


@pytest.fixture
def no_engine(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def tangle(nodes=1500):
    """A graph whose layout takes minutes."""
    draw = random.Random(0)
    return "digraph {" + " ".join(f"{draw.randrange(nodes)} -> {draw.randrange(nodes)}" for _ in range(4 * nodes)) + "}"


def test_dot_on_the_path_goes_before_pygraphviz(tmp_path, monkeypatch):
    program = tmp_path / ("dot.bat" if os.name == "nt" else "dot")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "pygraphviz" or None)
    assert engines.engine() == "pygraphviz"
    program.write_text("")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert engines.engine() == "dot"


@pytest.mark.parametrize(("format", "start"), [("svg", SVG), ("png", PNG), ("pdf", PDF), ("plain", b"graph ")])
def test_formats(engine, format, start):
    assert render(SOURCE, format).startswith(start)


def test_unicode_arrives(engine):
    assert "∂f/∂x ⊙ 日本 🙂" in render('digraph { a [label="∂f/∂x ⊙ 日本 🙂"] }').decode()


@pytest.mark.parametrize("source", ["digraph { a -> ", "digraph { a [label=<<b>x</i>>] }", ""])
def test_what_the_engine_refuses(engine, source):
    with pytest.raises(ValueError, match=f"{engine} did not draw the graph: .+"):
        render(source)


def test_warnings_do_not_break(engine):
    narrow = 'digraph { a [label="a label that does not fit" width=.01 fixedsize=true fontname="No Such Font"] }'
    assert render(narrow).startswith(SVG)


def test_the_time_limit(engine):
    with pytest.raises(TimeoutError, match=r"after 0\.3 s\. Draw less: graph\(depth=1\).*time_limit = 3"):
        render(tangle(), timeout=0.3)


def test_a_file_of_the_students_does_not_get_in_the_way(engine, tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit('my own random')")
    (tmp_path / "pygraphviz.py").write_text("raise SystemExit('my own pygraphviz')")
    monkeypatch.chdir(tmp_path)
    assert render(SOURCE).startswith(SVG)


def test_other_layouts(engine, picture):
    assert render(SOURCE, "plain", layout="neato") != render(SOURCE, "plain")
    placed = 'digraph { a [pos="10,20"] b [pos="300,20"] }'
    assert b"node a 0" in render(placed, "plain", layout="nop2")
    assert picture.pipe("plain", engine="neato") == render(picture.source, "plain", layout="neato")


@pytest.mark.parametrize(("option", "value"), [("format", "svgg"), ("layout", "dott")])
def test_unknown_names_are_refused_with_those_there_are(option, value):
    with pytest.raises(ValueError, match=rf"no {option} '{value}': the usual ones are .*; it has "):
        render(SOURCE, **{option: value})


@pytest.mark.parametrize("format", ["bmp", "png:nobody"])
def test_what_this_graphviz_cannot_draw_is_refused_in_the_same_words(engine, format):
    with pytest.raises(ValueError, match=rf"no format '{format}': the usual ones are svg, png and pdf; it has "):
        render(SOURCE, format)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda g: g.render(5), TypeError, "render: filename is 5; it must be a path"),
        (lambda g: g.render(outfile=5), TypeError, "render: outfile is 5; it must be a path"),
        (lambda g: g.render("a.svg", directory=5), TypeError, "render: directory is 5; it must be a path"),
        (lambda g: g.render(""), ValueError, "render: filename is ''; it must be the path of a file"),
        (lambda g: g.render("."), ValueError, r"render: filename is '\.'; it must be the path of a file"),
        (lambda g: g.render("x.A5.jpg", size="A5"), ValueError, "render: size is 'A5'; it must be 'picture'"),
        (lambda g: g.render("a", format=5), ValueError, "no format '5': the usual ones are svg"),
        (lambda g: g.save(5), TypeError, "save: filename is 5; it must be a path"),
        (lambda g: g.save(""), ValueError, "save: filename is ''; it must be the path of a file"),
        (lambda g: g.frames(7), TypeError, "frames: pattern is 7; it must be a path, such as 'step_"),
        (lambda g: g.player(7.5), TypeError, "player: path is 7.5; it must be a path"),
        (lambda g: g.page(""), ValueError, "page: path is ''; it must be the path of a file"),
    ],
)
def test_what_is_no_path_is_refused_and_not_kept(picture, use, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        use(picture)
    assert not list(tmp_path.iterdir()) and picture.save() == "graph.gv"


@pytest.mark.parametrize("make", ["player", "page"])
def test_titles_become_texts(picture, make):
    assert getattr(picture, make)(title=7).title == "7"


def test_without_an_engine_the_error_names_both_ways(no_engine, picture, tmp_path):
    assert engines.engine() is None
    for draw in (lambda: render(SOURCE), picture.pipe, lambda: picture.render(tmp_path / "g")):
        with pytest.raises(NoEngineError, match=r'apt install graphviz.*pip install "tinygrad-edu\[render\]"'):
            draw()
    assert list(tmp_path.iterdir()) == []
    assert (tmp_path / "g.dot").samefile(picture.save(tmp_path / "g.dot"))


def test_unflatten_says_where_it_comes_from(no_engine, picture):
    with pytest.raises(NoEngineError, match="unflatten is not installed: it comes with Graphviz"):
        picture.unflatten(stagger=2)


@pytest.mark.parametrize("method", ["pipe", "render", "save", "unflatten", "_repr_mimebundle_"])
def test_the_arguments_are_those_of_graphviz(method):
    ours, theirs = (dict(inspect.signature(getattr(kind, method)).parameters) for kind in (Graph, graphviz.Digraph))
    if method == "render":
        assert ours.pop("size").kind is inspect.Parameter.KEYWORD_ONLY
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


def test_pipe_finishes_the_svg(engine, picture):
    svg = picture.pipe("svg", encoding="utf-8")
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert [part.text for part in root[:2]] == ["a picture", picture.alt_text]
    assert picture.pipe("svg").decode() == svg
    assert picture.pipe("png").startswith(PNG)
    assert picture.pipe().startswith(PDF), "graphviz's default"


def test_a_renderer_can_be_chosen(engine, picture):
    assert picture.pipe("png", renderer="cairo", formatter="cairo").startswith(PNG)
    with pytest.raises(ValueError, match=r"no format 'png:dot'.*; it has png:cairo:cairo"):
        picture.pipe("png", renderer="dot")


def test_render_writes_the_source_and_the_picture(engine, picture, tmp_path):
    assert picture.render("g", tmp_path, format="png") == str(tmp_path / "g.png")
    assert (tmp_path / "g.png").read_bytes().startswith(PNG)
    assert (tmp_path / "g").read_text() == picture.source
    assert picture.render(tmp_path / "h", format="svg", cleanup=True) == str(tmp_path / "h.svg")
    assert picture.render(outfile=tmp_path / "new" / "k.pdf") == str(tmp_path / "new" / "k.pdf")
    assert {path.name for path in tmp_path.iterdir()} == {"g", "g.png", "h.svg", "new"}
    assert picture.render("l.gv", outfile=tmp_path / "new" / "l.svg") == str(tmp_path / "new" / "l.svg")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"k.pdf", "l.gv", "l.svg"}
    named = picture.copy()
    named.format, named.directory = "svg", tmp_path
    assert named.render() == str(tmp_path / "graph.gv.svg")


@pytest.mark.parametrize(("name", "start"), [("g.svg", b"<svg"), ("g.PNG", PNG), ("g.v2.pdf", PDF)])
def test_a_name_with_the_ending_of_a_picture_is_that_of_the_picture(picture, tmp_path, name, start):
    picture.format = "jpg"
    assert picture.render(name, tmp_path / "new", cleanup=True) == str(tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(start)
    picture.filename = name
    assert picture.render(directory=tmp_path) == str(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"new", name}
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_an_ending_and_another_format_are_refused(picture, tmp_path):
    for names in ({"filename": tmp_path / "g.pdf"}, {"outfile": tmp_path / "g.pdf"}):
        with pytest.raises(ValueError, match=r"render: g\.pdf is to be a picture of the kind pdf, but format='png'"):
            picture.render(**names, format="png")
    assert list(tmp_path.iterdir()) == []
    assert picture.render(tmp_path / "g.gv", format="svg") == str(tmp_path / "g.gv.svg"), "a name for DOT"


def test_render_opens_the_picture_when_asked(engine, picture, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Graph, "_view", lambda self, path, **options: seen.append((path, options["format"])))
    path = picture.render(tmp_path / "g", format="svg", view=True)
    assert seen == [(path, "svg")]


def test_render_overwrites_only_what_it_may(engine, picture, tmp_path):
    path = picture.render(tmp_path / "g", format="svg")
    with pytest.raises(FileExistsError, match="exists already"):
        picture.render(tmp_path / "g", format="svg", raise_if_result_exists=True)
    kept = Path(path).read_bytes()
    with pytest.raises(ValueError, match="would overwrite the DOT source"):
        picture.render(path, outfile=path)
    assert Path(path).read_bytes() == kept
    picture.render(path, outfile=path, overwrite_source=True, cleanup=True)
    assert Path(path).read_bytes().startswith(b"<svg")


def test_a_notebook_without_an_engine_shows_the_text_and_how_to_get_one(no_engine, picture):
    shown, sizes = picture._repr_mimebundle_()
    assert list(shown) == ["text/plain"] and sizes == {}
    assert shown["text/plain"].startswith(f"{picture}\n\nNo picture: no engine")
    assert shown["text/plain"].count("\n") == str(picture).count("\n") + 2
    assert picture._repr_svg_() is None


def test_a_notebook_never_sees_an_error(engine, picture):
    picture.body[:] = [tangle().removeprefix("digraph {").removesuffix("}")]
    picture.time_limit = 0.3
    assert "No picture: " in picture._repr_mimebundle_()[0]["text/plain"]
    assert picture._repr_svg_() is None
    picture.body[:], picture.time_limit = ["a -> "], 20.0
    assert "did not draw the graph" in picture._repr_mimebundle_()[0]["text/plain"]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a `dot` of one's own on the path."""
    if os.name == "nt":
        pytest.skip("programs here are shell scripts")

    def put(script):
        program = tmp_path / "dot"
        program.write_text(script)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("#!/bin/sh\ncat > /dev/null; echo rubbish", ValueError, "Graphviz gave no SVG.*rubbish"),
        ("#!/bin/sh\ncat > /dev/null; printf '\\377\\377'", ValueError, "Graphviz gave no SVG"),
        ("#!/no/such/shell\n", NoEngineError, r'dot cannot be run .*pip install "tinygrad-edu\[render\]"'),
    ],
    ids=["no xml", "no text", "no program"],
)
def test_a_dot_that_is_no_graphviz(install, picture, script, error, message):
    install(script)
    with pytest.raises(error, match=message):
        picture.pipe("svg")
    assert picture._repr_svg_() is None
    assert f"{picture}\n\nNo picture: " in picture._repr_mimebundle_()[0]["text/plain"]


def test_a_notebook_shows_an_object_whose_words_fail(no_engine, picture, monkeypatch):
    def fail(self):
        raise KeyError("bug")

    monkeypatch.setattr(Graph, "text", fail)
    assert picture._repr_mimebundle_()[0]["text/plain"].startswith("No text: 'bug'\n\nNo picture: no engine")
