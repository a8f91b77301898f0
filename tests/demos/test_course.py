import re

import pytest
from demo_runs import DEMOS, import_demo

from tinygrad_edu.draw import engine


def test_the_page_is_of_today_and_its_pictures_are_there():
    text = (DEMOS / "README.md").read_text(encoding="utf-8")
    assert text == import_demo("course").page()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all((DEMOS / link).exists() for link in links)


def test_every_lesson_is_in_the_course():
    beside = {"benchmark", "cnn", "course", "draw", "lesson", "mnist_more", "mnist_pictures", "numpy_table", "page"}
    beside |= {"data_parallel", "gpu", "playground", "reference"}
    assert {path.stem for path in DEMOS.glob("*.py")} - beside == set(import_demo("course").LESSONS)


@pytest.mark.parametrize("name", import_demo("course").LESSONS)
def test_a_lesson_begins_with_a_sentence(name):
    assert import_demo("course").sentence(name).endswith((".", ":", "?"))


def test_pictures_are_made_small(tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.effect_noise((1800, 600), 50).save(tmp_path / "large.png")
    import_demo("course").shrink(tmp_path / "large.png", tmp_path / "small.png")
    with image.open(tmp_path / "small.png") as small:
        assert small.size == (900, 300)
    (tmp_path / "a.svg").write_text("<svg/>")
    import_demo("course").shrink(tmp_path / "a.svg", tmp_path / "b.svg")
    assert (tmp_path / "b.svg").read_text() == "<svg/>"


@pytest.mark.skipif(engine() is None, reason="needs dot or pygraphviz")
def test_a_part_is_run(tmp_path, monkeypatch, capfd):
    course = import_demo("course")
    monkeypatch.setattr(course, "GALLERY", tmp_path / "new")
    monkeypatch.setattr(course, "PAGE", tmp_path / "README.md")
    course.main(["--only", "gates"])
    assert "One gate" in capfd.readouterr().out
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["gates_branches.svg"]
    assert (tmp_path / "README.md").exists()


@pytest.mark.parametrize("picture, hint", [("other.png", False), ("other.svg", True)])
def test_a_missing_picture_is_named(picture, hint, monkeypatch, tmp_path):
    course = import_demo("course")
    monkeypatch.setattr(course, "GALLERY", tmp_path)
    monkeypatch.setattr(course, "LESSONS", {"gates": picture})
    with pytest.raises(SystemExit, match=f"made no {picture}") as error:
        course.main([])
    assert ("Graphviz" in str(error.value)) == hint


def test_a_lesson_that_fails_ends_the_course(monkeypatch):
    course = import_demo("course")
    monkeypatch.setattr(course, "COMMANDS", {"gates": ["gates.py", "--seed", "-1"]})
    with pytest.raises(SystemExit, match=r"gates\.py failed"):
        course.main(["--only", "gates"])
