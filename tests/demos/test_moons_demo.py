import sys
from types import SimpleNamespace

import numpy as np
import pytest
from demo_runs import import_demo
from PIL import Image

demo = import_demo("moons")


@pytest.mark.parametrize(("name", "steps"), [("moons", 100), ("spirals", 200)])
def test_a_network_parts_what_no_line_does(name, steps):
    points, labels, net = demo.prepare(name, noise=0.1, seed=0)
    film = list(demo.train(net, points, labels, demo.TASKS[name][3](net.parameters()), steps))
    line = np.linalg.lstsq(np.c_[points, np.ones(len(points))], 2 * labels - 1, rcond=None)[0]
    assert (((points @ line[:2] + line[2]) > 0) == labels).mean() < 0.93
    loss, right = film[-1]
    assert len(film) == steps + 1 and right >= 0.99 and loss < 0.1 * film[0][0]
    assert ((net(points).data[:, 0] > 0) == labels).mean() == right > film[0][1]
    assert (
        next(demo.train(net, points, labels, demo.optim.SGD(net.parameters()), 1))[0] == loss
    )  # no step after the last


def test_a_step_is_timed_from_the_first_loss_to_the_last(monkeypatch):
    monkeypatch.setattr(demo, "time", SimpleNamespace(perf_counter=iter([5.0, 7.0, 11.0]).__next__))
    losses, seconds = demo.timed([(3.0, 0.5), (2.0, 0.5), (1.0, 1.0)])
    assert list(losses) == [3, 2, 1] and seconds == 3


def test_single_numbers_learn_the_same_as_arrays():
    points, labels, net = demo.prepare("moons", noise=0.1, seed=3)
    scalar, runs = demo.ScalarMLP(net), []
    assert len(list(scalar.parameters())) == sum(p.size for p in net.parameters()) == 337  # as micrograd's demo prints
    for model in (net, scalar):
        optimizer = demo.optim.SGD(model.parameters(), lr=1.0)
        run = demo.train(model, points[:20], labels[:20], optimizer, 10)
        runs.append([loss for loss, *_ in demo.islice(run, 4)])
    assert runs[0] == pytest.approx(runs[1], rel=1e-12) and len(set(runs[0])) == 4


def test_the_data_lie_on_their_curves():
    rng = np.random.default_rng(0)
    points, labels = demo.moons(50, 0.0, rng)
    centres = np.where(labels[:, None], [1.0, 0.5], [0.0, 0.0])
    assert np.allclose(np.hypot(*(points - centres).T), 1) and labels.sum() == 25
    assert ((points[:, 1] - centres[:, 1] > 0) == (labels == 0)).all()
    points, labels = demo.spirals(50, 0.0, rng)
    radius = np.hypot(*points.T)
    turned = np.arctan2(*points.T[::-1]) - np.pi * labels
    assert np.allclose(np.exp(1j * turned), np.exp(1j * np.pi * radius)) and labels.sum() == 25


def test_the_lesson(tmp_path, capsys):
    demo.main(["--steps", "10", "--frames", "3", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "up to step 3 differ" in out
    for name in ("moons.png", "moons.gif"):
        assert str(tmp_path / "new" / name) in out and 10_000 < (tmp_path / "new" / name).stat().st_size < 500_000
    with Image.open(tmp_path / "new" / "moons.gif") as gif:
        assert gif.n_frames == 3 and gif.info["loop"] == 0


def test_a_missing_package_is_named_before_the_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SystemExit, match=r'needs PIL.*pip install -e "\.\[demos\]"'):
        demo.main([])


@pytest.mark.parametrize("options", [["--steps", "9"], ["--frames", "1"], ["--scalar", "0"], ["--noise", "nan"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(options)
    assert caught.value.code == 2 and options[0] in capsys.readouterr().err
