import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.data import DataLoader, synthetic_digits

optimizers = import_demo("optimizers")


@pytest.fixture
def few(monkeypatch):
    """600 and 200 digits for load_digits."""
    digits = *synthetic_digits(600, seed=3), *synthetic_digits(200, seed=4)
    monkeypatch.setattr(optimizers.data, "load_digits", lambda *_: ("synthetic digits", digits))


def steps(angle=0.0):
    paths = {name: optimizers.descend(name, angle) for name in optimizers.OPTIMIZERS}
    return {name: optimizers.arrival(optimizers.ravine(*path.T, angle)) for name, path in paths.items()}


def test_on_the_ravine_all_others_are_before_sgd():
    found = steps()
    assert found["Nesterov"] < found["momentum"] < found["SGD"]
    assert max(found["RMSprop"], found["Adam"]) < found["SGD"]


def test_only_those_that_scale_coordinates_mind_a_turn():
    found, turned = steps(), steps(np.pi / 4)
    assert all(found[name] == turned[name] for name in ("SGD", "momentum", "Nesterov"))
    assert turned["RMSprop"] is None or turned["RMSprop"] > 1.5 * found["RMSprop"]


def test_sgd_goes_as_its_formula_says():
    rate, path = optimizers.RAVINE_RATES["SGD"], optimizers.descend("SGD")
    t = np.arange(len(path))
    np.testing.assert_allclose(path[:, 0], -10 * (1 - rate) ** t)
    np.testing.assert_allclose(path[:, 1], 1.5 * (1 - 50 * rate) ** t, atol=1e-12)


def test_arrival_is_for_good():
    assert optimizers.arrival(np.array([1, 0.001, 1, 0.009, 0.001])) == 3
    assert optimizers.arrival(np.array([1, 0.001, 1])) is None


def test_on_digits_momentum_and_adam_leave_sgd_behind(few, tmp_path, capsys):
    optimizers.main(["--epochs", "3", "--out", str(tmp_path / "new")])
    ravine, digits = capsys.readouterr().out.split("784-256-10 on synthetic digits")
    rows = [line.split() for line in digits.splitlines()]
    lowest = {row[0]: (float(row[4]), float(row[5])) for row in rows if row and row[0] in optimizers.OPTIMIZERS}
    assert [*lowest] == ["SGD", "momentum", "Adam"]
    for name in ("momentum", "Adam"):
        assert np.all(np.less(lowest[name], lowest["SGD"]))
    assert "as low a test loss as SGD ever gets." in digits
    for name in ("optimizers_ravine.png", "optimizers_digits.png"):
        assert name in ravine + digits and (tmp_path / "new" / name).stat().st_size > 10_000


def test_one_seed_gives_the_same_losses():
    images, labels = synthetic_digits(100)
    test = DataLoader(images, labels, 20, transform=optimizers.lesson.flat)
    losses = [optimizers.train("Adam", 1e-3, (images, labels), test, 1, seed)["train_loss"] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_a_rate_that_is_too_large_leaves_the_others(few, tmp_path, capsys):
    optimizers.main(["--lr", "1e30", "--epochs", "1", "--out", str(tmp_path)])
    digits = capsys.readouterr().out.split("784-256-10 on synthetic digits")[1]
    assert "SGD        1e+30  its loss is not a number any more; try a smaller --lr\n" in digits
    assert (tmp_path / "optimizers_digits.png").exists() and "\nAdam " in digits


@pytest.mark.parametrize("option", ["--epochs=0", "--lr=0", "--lr=nan", "--seed=-1", "--angle=inf"])
def test_wrong_values_are_refused(option, capsys):
    with pytest.raises(SystemExit) as caught:
        optimizers.main([option])
    assert caught.value.code == 2
    assert option.split("=")[0] in capsys.readouterr().err
