import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.draw import engine


@pytest.mark.parametrize(
    "name, output, gradients", [("add", 3, (3, 3)), ("multiply", -10, (15, -6)), ("max", 5, (0, 3))]
)
def test_a_gate_follows_its_rule(name, output, gradients):
    demo = import_demo("gates")
    assert demo.through(name, -2.0, 5.0, 3.0) == (output, *gradients)
    assert demo.largest_difference(name, np.random.default_rng(0), 100) == 0


def test_at_a_tie_the_maximum_gives_half_each():
    demo = import_demo("gates")
    assert demo.through("max", 1.0, 1.0, 3.0) == (1, 1.5, 1.5) == (1, *demo.RULES["max"][1](3.0, 1.0, 1.0))


def test_worked_example_7_and_the_sum_over_two_paths():
    demo = import_demo("gates")
    f, inputs = demo.product(-2.0, 5.0, -4.0)
    assert f.item() == -12 and [x.grad for x in inputs] == [-4, -4, 3]
    f, inputs = demo.branches(-2.0, 5.0, -4.0)
    assert f.item() == -12 and [x.grad for x in inputs] == [5 + 1, -2, 0]


def test_it_runs_and_draws(tmp_path, capsys):
    import_demo("gates").main(["--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "2 paths lead from f to x, and what they bring adds up to 6." in out
    assert "to x and none to z" in out
    pictures = {path.name for path in (tmp_path / "new").iterdir()}
    assert pictures == ({"gates_product.svg", "gates_branches.svg"} if engine() else set())


def test_without_an_engine_it_prints_trees(tmp_path, monkeypatch, capsys):
    demo = import_demo("gates")
    monkeypatch.setattr("tinygrad_edu.draw.engine", lambda: None)
    demo.main(["--x", "1", "--z", "1", "--out", str(tmp_path)])
    assert "├─ " in (out := capsys.readouterr().out) and "is a tie: half for each." in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [("--x", "nan"), ("--upstream", "inf")])
def test_options_that_make_no_sense(option, capsys):
    with pytest.raises(SystemExit):
        import_demo("gates").main(["=".join(option)])
    assert "expected a number from -1e+06 to 1e+06" in capsys.readouterr().err
