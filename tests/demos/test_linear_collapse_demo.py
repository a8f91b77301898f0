import re

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import nn


def test_worked_example_21_to_the_bit():
    first, second = nn.Linear(2, 3, dtype=float), nn.Linear(3, 2, dtype=float)
    first.weight.assign([[1, 2], [0, -1], [3, 1]])
    second.weight.assign([[1, 0, -1], [2, 1, 0]])
    first.bias.assign([1, -1, 2])
    second.bias.assign([0.5, 4])
    single = import_demo("linear_collapse").multiplied_out(nn.Sequential(first, second))
    np.testing.assert_array_equal(single.weight.data, [[-2, 1], [2, 3]])
    np.testing.assert_array_equal(single.bias.data, [-0.5, 5])
    x = np.array([[3.0, -2], [0.25, 8]])
    np.testing.assert_array_equal(single(x).data, second(first(x)).data)


@pytest.mark.parametrize("activation, alike", [("identity", True), ("relu", False), ("tanh", False)])
def test_layers_collapse_without_an_activation_alone(activation, alike):
    demo, x = import_demo("linear_collapse"), np.random.default_rng(0).normal(size=(20, 2))
    model = nn.MLP([2, 7, 5, 9, 2], activation, rng=np.random.default_rng(1), dtype=float)
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.bias.assign(np.linspace(-1, 1, layer.out_features))
    difference = np.abs(demo.outputs(model, x) - demo.outputs(demo.multiplied_out(model), x)).max()
    assert difference < 1e-13 if alike else difference > 0.1


def test_the_best_straight_border_is_found():
    best_line, labels = import_demo("linear_collapse").best_line, np.array([0, 0, 1, 1])
    assert best_line(np.array([[0.0, 0], [1, 0], [5, 3], [5, 4]]), labels) == 1
    assert best_line(np.array([[0.0, 0], [1, 1], [0, 1], [1, 0]]), labels) == 0.75  # XOR


def test_it_runs_and_draws(tmp_path, capsys):
    import_demo("linear_collapse").main(["--depth", "3", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    rows = {line[:23].strip(): line[23:].split() for line in out.splitlines() if "%  " in line}
    names = ["1 layer", "3 layers", "the 3 multiplied out", "3 layers with ReLU"]
    assert list(rows) == names and [row[0] for row in rows.values()] == ["6", "354", "6", "354"]
    right = [float(row[1].rstrip("%")) for row in rows.values()]
    assert right[1] == right[2] and max(right[:3]) < 75 and right[3] > 99 and f"can bend: {right[3]}% are right" in out
    assert right[3] > float(re.search(r"best of all straight ones (.*)%", out)[1]) > max(right[:3])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["linear_collapse.png"]


def test_what_is_said_of_relu_depends_on_what_it_learned(tmp_path, capsys, monkeypatch):
    demo = import_demo("linear_collapse")
    monkeypatch.setattr(demo, "trained", lambda sizes, *_: nn.MLP(sizes, "relu", init=nn.init.zeros, dtype=float))
    demo.main(["--width", "2", "--out", str(tmp_path)])
    assert "could bend, but this training found no way" in capsys.readouterr().out


def test_options_that_make_no_sense(capsys):
    for option in ("--depth", "--width"):
        with pytest.raises(SystemExit):
            import_demo("linear_collapse").main([option, "1"])
        assert f"argument {option}: expected a whole number of at least 2" in capsys.readouterr().err
