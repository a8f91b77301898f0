import numpy as np
import pytest
from demo_runs import import_demo

demo = import_demo("universal_approximation")


def test_a_step_and_a_bump():
    step = demo.values(demo.steps([10_000], [0.4005], [2]))
    assert np.allclose(step, 2 * (demo.X[:, 0] > 0.4005), atol=0.02)
    bump = demo.values(demo.steps([10_000, 10_000], [0.4005, 0.6005], [1, -1]))
    assert np.allclose(bump, (demo.X[:, 0] > 0.4005) & (demo.X[:, 0] < 0.6005), atol=0.01)


def test_bumps_stand_as_high_as_the_curve():
    out = demo.values(demo.bumps(20))
    middles = slice(25, None, 50)
    assert np.allclose(out[middles], demo.curve(demo.X[middles, 0]), atol=1e-6)
    assert np.allclose(out[[0, -1]], demo.curve(np.array([0.025, 0.975])))


def test_twice_the_bumps_halve_the_error():
    errors = np.array([demo.distance(demo.bumps(n)) for n in (32, 64, 128, 256)])
    assert errors[:-1] / errors[1:] == pytest.approx([2, 2, 2], rel=0.15)


def test_trained_networks_follow_the_curve_better_as_they_grow():
    few, many = [
        min(demo.distance(demo.trained(w, 500, np.random.default_rng(seed))) for seed in (0, 1)) for w in (4, 24)
    ]
    assert many < 0.02 < few / 5 and many < demo.distance(demo.bumps(24))  # which has 48 neurons


def test_the_lesson(tmp_path, capsys):
    demo.main(["--widths", "2", "16", "--epochs", "300", "--starts", "1", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert f"{demo.distance(demo.bumps(8)):.4f}" in out
    for path in (tmp_path / "new").iterdir():
        assert str(path) in out and path.stat().st_size > 20_000
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("options", [["--widths", "3"], ["--widths", "0"], ["--epochs", "0"], ["--seed", "-1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(options)
    assert caught.value.code == 2 and options[0] in capsys.readouterr().err
