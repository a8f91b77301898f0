import math

import pytest
from demo_runs import import_demo

from tinygrad_edu import data

demo = import_demo("batch_norm")


@pytest.fixture(scope="module")
def digits():
    """1,200 images to train on and 400 to test."""
    return *data.synthetic_digits(1200, seed=3), *data.synthetic_digits(400, seed=4)


def test_a_rate_that_breaks_the_plain_network(digits):
    right = {}
    for batch_norm in (False, True):
        model, loss = demo.train(batch_norm, 3.0, *digits[:2], epochs=4, seed=0)
        right[batch_norm] = demo.share_right(model.eval(), *digits[2:])
        assert (loss < 1) == batch_norm  # NaN is not
    assert right[False] < 0.3 < 0.7 < right[True]


def test_only_evaluation_mode_answers_alike_in_any_company(digits):
    model, loss = demo.train(True, 0.5, *digits[:2], epochs=4, seed=0)
    before = model.state_dict()["1.running_mean"]
    found = demo.company(model, *digits[2:])
    alone, mixed, alike = found.values()
    assert max(alone) - min(alone) < 0.01 and alone[0] > 0.7 and not math.isnan(loss)
    assert mixed[0] < alone[0] - 0.2 and mixed[-1] == pytest.approx(alone[-1], abs=0.1)
    assert max(alike[:2]) < 0.3
    assert (model.state_dict()["1.running_mean"] != before).any()


def test_the_best_rate_comes_with_a_warning_at_the_edge():
    assert demo.best([1, 2, 3], [0.1, 0.9, 0.5]) == (2, "")
    for lrs in ([1, 2, 3], [3, 2, 1], [3]):
        lr, warning = demo.best(lrs, [0.1, 0.2, 0.9][-len(lrs) :])
        assert lr == lrs[-1] and "edge" in warning


@pytest.mark.parametrize("longest, diverges", [("0.3", False), ("1e9", True)])
def test_the_program(tmp_path, capsys, folder, monkeypatch, longest, diverges):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    share_right, judged = demo.share_right, []
    monkeypatch.setattr(demo, "share_right", lambda m, x, *rest: judged.append(len(x)) or share_right(m, x, *rest))
    demo.main(["--lrs", "0.1", longest, "--epochs", "2", "--images", "321", "--out", str(tmp_path / "new")])
    assert (tmp_path / "new" / "batch_norm.png").stat().st_size > 10_000
    out = capsys.readouterr().out
    assert "on 257 images of MNIST" in out and "64 are held out" in out and ("nan: it diverged" in out) == diverges
    assert judged == [64] * 4 + [200] * 15  # the rates on held-out images, the chosen network on test images


@pytest.mark.parametrize("options", [["--lrs", "0.1", "nan"], ["--images", "2"], ["--lrs", "0"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
