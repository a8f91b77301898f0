import xml.etree.ElementTree as ET

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.draw import engine


@pytest.fixture(scope="module")
def demo():
    return import_demo("neuron")


def test_the_worked_examples(demo):
    before, after = demo.step(*demo.LEARNERS[8])
    before["z"].backward()
    assert [before[name].item() for name in ("a", "L")] == pytest.approx([0.7311, 0.0723], abs=5e-5)
    assert after == pytest.approx(0.50212, abs=5e-6)  # 0.502115
    before, after = demo.step(*demo.LEARNERS[9])
    assert [before[name].item() for name in ("z", "a", "L")] == [1, 1, 1]
    assert before["w"].grad == -6 and after == pytest.approx(1.1)


def test_the_bias_moves_the_line_and_the_weights_turn_it(demo):
    """Along the line z = 0 nothing but the bias is left, and it is square to the weights."""
    (w, b), (_, moved), (turned, _) = demo.LINES.values()
    along = np.array([-w[1], w[0]])
    on = np.outer(np.linspace(-2, 2, 5), along) - b * np.array(w) / np.dot(w, w)
    assert demo.weighted_sum(on, w, b) == pytest.approx(np.zeros(5))
    assert demo.weighted_sum(on, w, moved) == pytest.approx(np.full(5, moved - b))
    assert np.ptp(demo.weighted_sum(on, turned, b)) > 1


@pytest.mark.skipif(engine() is None, reason="needs dot or pygraphviz")
def test_what_is_printed_and_drawn(demo, tmp_path, capsys):
    demo.main(["--out", str(tmp_path / "new"), "--points", "20"])
    printed = capsys.readouterr().out
    for row in ("1.15   1.150   0.7595", "-0.50   0.000   0.3775", "-0.10   0.000   0.4750", "0.20   0.200   0.5498"):
        assert row in printed
    assert "= −0.538 · 0.197 · 2\n      = −0.212\n" in printed and "= −2 · 1 · 3\n      = −6\n" in printed
    assert " 0 of 20 points" in printed
    assert (tmp_path / "new" / "neuron_line.png").read_bytes().startswith(b"\x89PNG")
    assert ET.parse(tmp_path / "new" / "neuron_graph.svg").getroot().get("role") == "img"


def test_without_an_engine_the_graph_is_a_text(demo, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tinygrad_edu.draw.engine", lambda: None)
    demo.main(["--out", str(tmp_path)])
    assert "a  σ  = 0.731  gradient −0.538" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["neuron_line.png"]


@pytest.mark.parametrize("options", [["--points", "0"], ["--points", "few"]])
def test_options_out_of_range(demo, options):
    with pytest.raises(SystemExit, match="2"):
        demo.main(options)
