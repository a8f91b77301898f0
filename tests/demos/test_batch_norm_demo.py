import math

import numpy as np
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
    rows = [(1, 0.5, 0.1, "a"), (2, 0.5, 0.8, "b"), (3, 0.5, 0.5, "c"), (4, math.nan, 0.9, "d")]
    assert demo.best(rows) == rows[1] and demo.describe_rate(rows[1], [1, 2, 3, 4]) == "2"
    assert demo.describe_rate(rows[0], [1, 2]).startswith("1 (at the edge") and "edge" in demo.describe_rate(
        rows[1], [1, 2]
    )
    assert demo.describe_rate(rows[0], [1]) == "1"
    assert demo.best(rows[3:]) is None and demo.describe_rate(None, [4]) == "none of these"


def test_batches_of_one_digit_are_pure(monkeypatch):
    images, labels, seen = np.arange(12), np.array([0, 1, 0, 1, 2, 0, 0, 1, 2, 0, 0, 0]), []
    monkeypatch.setattr(demo, "share_right", lambda model, x, y, size: seen.append((x.tolist(), size)) or y[0])
    assert demo.share_right_by_digit(None, images, labels, 5) == 1
    assert seen == [([0, 2, 5, 6, 9, 10, 11], 5), ([1, 3, 7], 3), ([4, 8], 2)]


def test_if_all_rates_diverge_it_says_so(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    monkeypatch.setattr(demo, "train", lambda *args: (demo.nn.MLP([784, 10]), math.nan))
    with pytest.raises(SystemExit, match="every training with batch norm diverged; try smaller --lrs"):
        demo.main(["--out", str(tmp_path), "--images", "20"])


@pytest.mark.parametrize("longest, diverges", [("0.3", False), ("1e9", True)])
def test_the_program(tmp_path, capsys, folder, monkeypatch, longest, diverges):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    share_right, judged = demo.share_right, []
    monkeypatch.setattr(demo, "share_right", lambda m, x, *rest: judged.append(len(x)) or share_right(m, x, *rest))
    demo.main(["--lrs", longest, "0.1", "--epochs", "2", "--images", "321", "--out", str(tmp_path / "new")])
    assert (tmp_path / "new" / "batch_norm.png").stat().st_size > 10_000
    out = capsys.readouterr().out
    assert "on 257 images of MNIST" in out and "64 are held out" in out and (" nan " in out) == diverges
    assert judged[:14] == [64] * 4 + [200] * 10  # the rates on held-out images, the chosen network on test images
    assert sum(judged[14:]) == 5 * 200


@pytest.mark.parametrize("options", [["--lrs", "0.1", "nan"], ["--images", "2"], ["--lrs", "0"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
