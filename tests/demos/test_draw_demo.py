import re
import xml.etree.ElementTree as ET

import pytest
from demo_runs import DEMOS, import_demo, run

from tinygrad_edu.draw import engine

needs_engine = pytest.mark.skipif(engine() is None, reason="needs dot or pygraphviz")


@needs_engine
def test_the_gallery_is_drawn(tmp_path):
    result = run("draw", "--out", tmp_path / "gallery", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    pictures = sorted(path.name for path in (tmp_path / "gallery").iterdir())
    pages = ["gpt.html", "player.html", *(f"{name}.html" for name in import_demo("draw").FILMS)]
    assert pictures == sorted([f"{name}.svg" for name in import_demo("draw").PICTURES] + pages)
    for path in (tmp_path / "gallery").glob("*.svg"):
        root = ET.parse(path).getroot()
        assert root.get("role") == "img" and path.stat().st_size < 250_000
        assert path.stem in result.stdout
    assert (tmp_path / "gallery" / "player.html").stat().st_size < 200_000
    assert (tmp_path / "gallery" / "gpt.html").stat().st_size < 400_000
    assert 50_000 < (tmp_path / "gallery" / "moons.html").stat().st_size < 200_000


@needs_engine
def test_one_picture_in_the_dark(tmp_path):
    demo = import_demo("draw")
    for theme in ("light", "dark"):
        demo.main(["--only", "product", "--out", str(tmp_path / theme), "--theme", theme])
    light, dark = [(tmp_path / theme / "product.svg").read_text() for theme in ("light", "dark")]
    assert light != dark and [p.name for p in (tmp_path / "dark").iterdir()] == ["product.svg"]


@pytest.mark.parametrize("name", import_demo("draw").PICTURES)
def test_the_gallery_in_the_repository_is_of_today(name):
    graph = import_demo("draw").PICTURES[name]()
    svg = ET.parse(DEMOS / "gallery" / f"{name}.svg").getroot()
    title, description, *_ = svg
    words = [re.sub(r"−?[\d.]+(e−\d+)?", "#", text) for text in (description.text, graph.alt_text)]
    assert title.text == graph.title and words[0] == words[1]  # a mean of nearly 0 is the processor's rounding
    drawn = {element.get("id", "").partition("-")[2] for element in svg.iter()}
    assert {item.id for item in graph.plan.items if item.kind != "chip"} <= drawn


def test_the_numbers_of_the_pictures():
    demo = import_demo("draw")
    found = {name: demo.PICTURES[name]().record for name in ("product", "neuron", "branch")}
    gradients = {card.name: float(card.gradient) for card in found["product"].cards}
    assert gradients == {"x": -4, "y": -4, "q": -4, "z": 3, "f": 1}
    names = {card.name: card for card in found["neuron"].cards}
    assert names["out"].value == pytest.approx(0.731, abs=5e-4)
    assert float(names["neuron.w0"].gradient) == pytest.approx(-0.197, abs=5e-4)
    assert {card.name: float(card.gradient) for card in found["branch"].cards}["a"] == 6


def test_without_an_engine_it_says_how_to_get_one(monkeypatch, tmp_path):
    demo = import_demo("draw")
    monkeypatch.setattr(demo, "engine", lambda: None)
    with pytest.raises(SystemExit, match=r'pip install "tinygrad-edu\[render\]"'):
        demo.main(["--out", str(tmp_path)])


def test_a_film_needs_no_engine(monkeypatch, tmp_path, capsys):
    demo = import_demo("draw")
    monkeypatch.setattr(demo, "engine", lambda: None)
    demo.main(["--only", "moons", "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["moons.html"] and "a film of 51" in capsys.readouterr().out
