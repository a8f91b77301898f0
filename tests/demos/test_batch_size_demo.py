import itertools

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.data import normalize, synthetic_digits

batch_size = import_demo("batch_size")
IMAGES, LABELS = synthetic_digits(400, seed=3)
X = normalize(IMAGES).reshape(-1, 784)


def test_noise_falls_with_the_root_of_the_batch_size():
    noise = {size: batch_size.noise(X, LABELS, size, seed=0, draws=100) for size in (1, 4, 16, 400)}
    assert noise[1] / noise[4] == pytest.approx(2, rel=0.15) and noise[4] / noise[16] == pytest.approx(2, rel=0.15)
    assert noise[400] < 1e-5


def test_a_step_is_worth_the_same_but_an_epoch_is_not():
    runs = {size: batch_size.train(X, LABELS, size, 0.003, seed=0, epochs=2)[:2] for size in (1, 20, 400)}
    after_steps = [losses[batch_size.STEPS] for _, losses in runs.values()]
    assert max(after_steps) < 1.2 * min(after_steps)
    single, mini, full = [losses[2 * 400 // size] for size, (_, losses) in runs.items()]
    assert single < 0.6 * mini < 0.6 * full
    spread = [np.std(batch_losses[50:100]) for batch_losses, _ in runs.values()]
    assert spread[0] > 3 * spread[1] and spread[1] > spread[2]


def test_a_rate_that_suits_batches_is_too_much_for_single_examples():
    single, mini = [batch_size.train(X, LABELS, size, 0.1, seed=0, epochs=6)[1].values() for size in (1, 20)]
    assert min(single) > 2 * batch_size.TARGET > batch_size.TARGET > min(mini)


def test_the_best_run_is_first_at_the_target_or_else_ends_lowest():
    endings = {"first": {1: 2.0, 10: 0.4, 20: 0.6}, "later": {20: 0.1}, "low": {1: 0.7}, "high": {1: 2.0}}
    runs = {name: ([], losses, 0.5) for name, losses in endings.items()} | {"nan": ([], {1: 0.6, 2: np.nan}, 0.5)}
    assert sorted(["nan", "high", "low", "later", "first"], key=lambda name: batch_size.result(runs[name])) == [*runs]
    assert batch_size.result(runs["first"]) == (5, 0.6)


def test_seconds_per_step_are_those_of_all_steps(monkeypatch):
    monkeypatch.setattr(batch_size.time, "perf_counter", itertools.count().__next__)  # a second between two looks
    batch_losses, _, seconds = batch_size.train(X, LABELS, 60, 0.003, seed=0, epochs=1)  # 7 steps an epoch
    assert len(batch_losses) == 105 > batch_size.STEPS and seconds == 1


def test_end_to_end(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        batch_size.data, "load_digits", lambda *_: ("synthetic digits", (IMAGES, LABELS, IMAGES, LABELS))
    )
    batch_size.main(["--images", "150", "--batch-size", "20", "--epochs", "1", "--out", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "on 150 images of synthetic digits" in out
    steps = {line[:18].strip(): line[18:].split()[0] for line in out.split("\n\n")[0].splitlines()[2:]}
    assert steps == {"single example": "150", "mini-batch of 20": "8", "full batch of 150": "1"}
    assert (tmp_path / "new" / "batch_size.png").stat().st_size > 10_000 and "batch_size.png" in out


@pytest.mark.parametrize(
    "options",
    [["--batch-size", "1"], ["--batch-size", "400"], ["--images", "2"], ["--images", "401"], ["--epochs", "0"]],
)
def test_wrong_values_are_refused(options, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        batch_size.data, "load_digits", lambda *_: ("synthetic digits", (IMAGES, LABELS, IMAGES, LABELS))
    )
    with pytest.raises(SystemExit) as caught:
        batch_size.main([*options, "--out", str(tmp_path)])
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err
