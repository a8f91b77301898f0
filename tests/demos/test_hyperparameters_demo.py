import json
import re

import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.data import synthetic_digits

hyperparameters = import_demo("hyperparameters")
SMALL = ["--images", "300", "--batch-size", "20", "60", "--width", "32", "--depth", "1", "--epochs", "2"]


@pytest.fixture
def few(monkeypatch):
    """450 and 200 digits for load_digits."""
    digits = *synthetic_digits(450, seed=3), *synthetic_digits(200, seed=4)
    monkeypatch.setattr(hyperparameters.data, "load_digits", lambda *_: ("synthetic digits", digits))


@pytest.fixture
def search(few, monkeypatch, tmp_path, capsys):
    """Runs the small grid; returns which settings were trained, the lines of the file, and what was printed."""
    train, trained = hyperparameters.train, []

    def spied(setting, *args):
        trained.append((setting["lr"], setting["batch_size"]))
        return train(setting, *args)

    def run(*options):
        trained.clear()
        hyperparameters.main([*SMALL, *options, "--out", str(tmp_path / "new")])
        lines = (tmp_path / "new" / "hyperparameters.jsonl").read_text().splitlines()
        return trained[:-1], lines, capsys.readouterr().out  # the last one is the best again, for the test images

    monkeypatch.setattr(hyperparameters, "train", spied)
    return run


def test_the_rate_decides_most_and_the_chosen_one_learns(search, tmp_path):
    trained, lines, out = search("--lr", "1e-4", "0.003")
    assert trained == [(1e-4, 20), (1e-4, 60), (0.003, 20), (0.003, 60)]
    points = {name: int(value) for name, value in re.findall(r"(\w+) (\d+)[,.]", out.split("averaged: ")[1])[:2]}
    assert points["lr"] > points["batch_size"] > 0 and "depth 0" not in out
    assert "Best: lr 0.003, batch_size 20" in out and "300 images of synthetic digits" in out
    accuracies = [json.loads(line)["val_accuracy"] for line in lines]
    table = [float(line.split()[-1]) for line in out.splitlines() if re.match(r" *0\.", line)]
    np.testing.assert_allclose(table, 100 * np.array(accuracies), atol=0.051)
    assert max(accuracies) == accuracies[2] > 0.5 > accuracies[0]
    assert (tmp_path / "new" / "hyperparameters.png").stat().st_size > 10_000


def test_what_is_in_the_file_is_not_run_again(search, tmp_path):
    _, lines, _ = search("--lr", "0.003")
    assert search("--lr", "0.003")[:2] == ([], lines)
    trained, more, _ = search("--lr", "0.01", "0.003")
    assert trained == [(0.01, 20), (0.01, 60)] and more[:2] == lines and len(more) == 4
    trained, all_lines, _ = search("--lr", "0.003", "--seed", "1")
    assert trained == [(0.003, 20), (0.003, 60)] and all_lines[:4] == more and len(all_lines) == 6


def test_a_line_that_was_cut_off_is_run_again(search, tmp_path):
    _, lines, _ = search("--lr", "0.003")
    (tmp_path / "new" / "hyperparameters.jsonl").write_text(lines[0] + "\n" + lines[1][:40])
    assert search("--lr", "0.003")[:2] == ([(0.003, 60)], lines)


def test_ctrl_c_keeps_what_is_done(search, monkeypatch, tmp_path):
    _, lines, _ = search("--lr", "0.003")
    path, train = tmp_path / "new" / "hyperparameters.jsonl", hyperparameters.train
    path.unlink()

    def interrupted(setting, *args):
        if setting["batch_size"] == 60:
            raise KeyboardInterrupt
        return train(setting, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(hyperparameters, "train", interrupted)
        search("--lr", "0.003")
    assert path.read_text().splitlines() == lines[:1]
    assert search("--lr", "0.003")[:2] == ([(0.003, 60)], lines)


@pytest.mark.parametrize("line", ["[]", "{}", "seven", '{"lr": 1, "val_accuracy": "high"}'])
def test_a_file_of_somebody_else_is_left_alone(line, few, tmp_path):
    path = tmp_path / "hyperparameters.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(SystemExit, match=r"error: .*jsonl, line 1 is not a result of this demo"):
        hyperparameters.main([*SMALL, "--lr", "0.003", "--out", str(tmp_path)])
    assert path.read_text() == line + "\n"


def test_a_rate_that_breaks_the_training_counts_as_chance(few):
    images, labels = synthetic_digits(100)
    digits = images.reshape(-1, 784).astype(np.float32), labels
    setting = {"lr": 1e30, "batch_size": 10, "depth": 2, "width": 8}
    assert hyperparameters.train(setting, digits, digits, seed=0, epochs=1)[1] < 0.3


@pytest.mark.parametrize("options", [["--lr", "0"], ["--lr", "nan"], ["--images", "400"], ["--images", "1"]])
def test_wrong_values_are_refused(options, few, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        hyperparameters.main([*options, "--out", str(tmp_path)])
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err
