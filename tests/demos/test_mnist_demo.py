import os
import re
import shlex
import struct
import sys
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from demo_runs import DEMOS, REAL, interrupt, run, write_mnist
from mpi import mpiexec, needs_mpi

from tinygrad_edu.data import synthetic_digits

pytest.importorskip("matplotlib")

DEMO = DEMOS / "mnist.py"
pytestmark = pytest.mark.usefixtures("undrawn")
HEADING = "epoch  train loss  train acc  val loss  val acc  seconds"
ROW = r" +\d+ +\d+\.\d{4} +\d+\.\d\d% +\d+\.\d{4} +\d+\.\d\d% +\d+\.\d\d"
LAST_LINES = (
    r"test accuracy: (\d+\.\d\d)%{0}\nparameters: ([\d,]+)\ntime: \d+\.\d s\nmost confused: \d taken for \d{0}\n\Z"
)
SYNTHETIC = re.escape(" (synthetic digits)")


def numbers(output):
    """The output without what may differ between runs: the seconds."""
    return re.sub(r"time: .*|\d+\.\d\d$|\d+\.\d\d(?= \()", "", output, flags=re.MULTILINE)


def test_end_to_end_from_another_folder(folder, tmp_path):
    result = run("mnist", "--data-dir", folder, "--epochs", 2, "--hidden", 32, "--out", "pictures", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == "" and "\r" not in result.stdout  # no progress bar without a terminal
    lines = result.stdout.splitlines()
    assert lines[0] == HEADING
    assert [bool(re.fullmatch(ROW, line)) for line in lines[1:4]] == [True, True, False]
    last = re.search(LAST_LINES.format(""), result.stdout)
    assert last and float(last[1]) > 30
    assert last[2] == f"{784 * 32 + 32 + 32 * 10 + 10:,}"

    assert f"picture: {Path('pictures', 'curves.png')}" in lines
    picture = (tmp_path / "pictures" / "curves.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert 1000 <= width <= 2000 and 400 <= height <= 1000
    assert len(picture) > 10_000


@needs_mpi
def test_two_ranks_print_what_one_process_prints(demo, folder, tmp_path, capsys):
    options = ["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "2", "--hidden", "8"]
    demo.main(options)
    code, out, err, _ = mpiexec(DEMO, *options)
    assert (code, err) == (0, "")
    first, rest = out.split("\n", 1)
    assert first == "2 ranks share each batch of 64"
    alone, number = capsys.readouterr().out, r"\d+\.?\d*"
    assert re.sub(number, "", rest) == re.sub(number, "", alone)
    shared, alone = [re.findall(number, numbers(text)) for text in (rest, alone)]
    np.testing.assert_allclose([*map(float, shared)], [*map(float, alone)], rtol=0.02)


def test_one_seed_gives_the_same_numbers_and_another_others(demo, folder, tmp_path, capsys):
    outputs = []
    for seed in ("7", "7", "8"):
        demo.main(["--data-dir", str(folder), "--epochs", "2", "--seed", seed, "--out", str(tmp_path)])
        outputs.append(numbers(capsys.readouterr().out))
    assert outputs[0] == outputs[1] != outputs[2]
    assert re.search(r"test accuracy: \d+\.\d\d%\n", outputs[0])


@pytest.mark.parametrize(
    "options",
    [
        "--activation tanh",
        "--activation sigmoid",
        "--optimizer sgd",
        "--optimizer sgd --lr 0.01",
        "--lr 0.003 --batch-size 17",
        "--batch-size 100000 --lr 0.01 --epochs 40",
    ],
)
def test_options_train(demo, folder, tmp_path, capsys, options):
    argv = ["--data-dir", str(folder), "--out", str(tmp_path), "--hidden", "32", "--epochs", "12", *options.split()]
    demo.main(argv)
    last = re.search(LAST_LINES.format(""), capsys.readouterr().out)
    assert last and float(last[1]) > 60


def test_each_activation_and_optimizer_is_another_training(demo, folder, tmp_path, capsys):
    outputs = set()
    for activation in ("relu", "tanh", "sigmoid"):
        for optimizer in ("adam", "sgd"):
            options = ["--activation", activation, "--optimizer", optimizer, "--epochs", "1", "--hidden", "16"]
            demo.main(["--data-dir", str(folder), "--out", str(tmp_path), *options])
            outputs.add(numbers(capsys.readouterr().out).splitlines()[1])
    assert len(outputs) == 6


@pytest.mark.parametrize("hidden", [(), (5,), (32, 16), (256, 128), (9, 8, 7)])
def test_parameters_are_those_of_the_layers_asked_for(demo, folder, tmp_path, capsys, hidden):
    demo.main(["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "1", "--hidden", *map(str, hidden)])
    sizes = [784, *hidden, 10]
    expected = sum(n * m + m for n, m in pairwise(sizes))
    assert re.search(LAST_LINES.format(""), capsys.readouterr().out)[2] == f"{expected:,}"


def test_defaults_are_documented_ones(demo, tmp_path):
    args = demo.parse(["--out", str(tmp_path)])
    assert (args.hidden, args.activation, args.optimizer, args.batch_size, args.epochs, args.dataset) == (
        [256, 128],
        "relu",
        "adam",
        64,
        10,
        "auto",
    )


def pairs(images, labels):
    return Counter((image.tobytes(), label) for image, label in zip(images, labels, strict=True))


def test_no_image_is_in_two_sets_and_the_test_set_is_used_once_at_the_end(demo, folder, tmp_path, monkeypatch):
    seen = []

    def spy(name):
        function = getattr(demo, name)
        monkeypatch.setattr(
            demo, name, lambda model, loader, *a, **k: seen.append(loader) or function(model, loader, *a, **k)
        )

    for name in ("train_epoch", "evaluate", "predict"):
        spy(name)
    demo.main(["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "3", "--hidden"])
    training, validation, test = seen[0], seen[1], seen[-1]
    assert [*map(id, seen)] == [*map(id, [training, validation] * 3 + [test])]

    images, labels = synthetic_digits(600, seed=3)
    assert len(validation.labels) == 50
    assert pairs(training.images, training.labels) + pairs(validation.images, validation.labels) == pairs(
        images, labels
    )
    np.testing.assert_array_equal(test.images, synthetic_digits(200, seed=4)[0])


def test_the_loop_steps_on_fresh_gradients_with_a_rate_that_decays(demo, folder, tmp_path, monkeypatch):
    rates, calls = [], []

    class Spy(demo.optim.SGD):
        def zero_grad(self):
            super().zero_grad()
            assert all(p.grad is None for p in self.params)
            calls.append("zero_grad")

        def step(self):
            assert all(p.grad is not None for p in self.params)
            super().step()
            calls.append("step")
            rates.append(self.lr)

    monkeypatch.setitem(demo.OPTIMIZERS, "sgd", (Spy, 1.0))
    argv = ["--optimizer", "sgd", "--lr", "0.1", "--batch-size", "275", "--epochs", "4", "--hidden"]
    demo.main([*argv, "--data-dir", str(folder), "--out", str(tmp_path)])
    assert calls == ["zero_grad", "step"] * 8
    np.testing.assert_allclose(rates, np.repeat(0.05 * (1 + np.cos(np.pi * np.arange(4) / 4)), 2))


def test_the_progress_bar_shows_running_loss_and_accuracy(demo, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0, miniters=1))
    demo.main(["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "1", "--hidden"])
    out, err = capsys.readouterr()
    assert re.search(r"epoch 1: .* loss \d\.\d{4}, accuracy \d+\.\d\d%", err)
    assert "\r" not in out


def test_without_files_and_network_it_says_so_and_uses_synthetic_digits(demo, tmp_path, capsys):
    demo.main(["--epochs", "1", "--hidden", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert out.index("MNIST is not on this computer") < out.index("this run uses synthetic digits") < out.index(HEADING)
    last = re.search(LAST_LINES.format(SYNTHETIC), out)
    assert last and float(last[1]) > 70
    for line in out[out.index(HEADING) :].splitlines()[1:]:
        assert "%" not in line or line.endswith(" (synthetic digits)")


@pytest.mark.parametrize(("dataset", "expected"), [("synthetic", "synthetic digits: 784-10, adam"), ("mnist", "MNIST")])
def test_the_title_of_the_picture_names_the_data(demo, folder, tmp_path, monkeypatch, dataset, expected):
    titles = []
    draw = demo.plots.training_curves
    monkeypatch.setattr(demo.plots, "training_curves", lambda history, title: titles.append(title) or draw(history))
    argv = ["--dataset", dataset, "--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "1", "--hidden"]
    demo.main(argv)
    assert titles[0].startswith(expected)


def failure(demo, capsys, *argv):
    """What the demo says when it ends with exit code 1, before any training."""
    with pytest.raises(SystemExit) as caught:
        demo.main(list(argv))
    assert HEADING not in capsys.readouterr().out
    assert isinstance(caught.value.code, str)  # Python prints it to stderr and exits with 1
    return caught.value.code


def test_mnist_without_files_and_network_says_what_to_do(demo, tmp_path, capsys):
    message = failure(demo, capsys, "--dataset", "mnist", "--out", str(tmp_path))
    assert "MNIST is not on this computer" in message
    assert "set TINYGRAD_EDU_DATA to a folder" in message


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_damaged_file_is_an_error(demo, folder, tmp_path, capsys, monkeypatch, dataset, how):
    damaged = folder / "train-labels-idx1-ubyte"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    if how == "variable":
        monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    own = ["--data-dir", str(folder)] if how == "option" else []
    assert str(damaged) in failure(demo, capsys, "--dataset", dataset, "--out", str(tmp_path), *own)


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_an_incomplete_folder_is_an_error(demo, folder, tmp_path, capsys, dataset):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    message = failure(demo, capsys, "--dataset", dataset, "--out", str(tmp_path), "--data-dir", str(folder))
    assert "not t10k-labels-idx1-ubyte" in message


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_a_folder_that_is_none_is_an_error(demo, tmp_path, capsys, dataset):
    argv = ["--dataset", dataset, "--out", str(tmp_path), "--data-dir", str(tmp_path / "nowhere")]
    assert "nowhere', not a folder" in failure(demo, capsys, *argv)


def test_too_few_images_are_an_error(demo, tmp_path, capsys):
    folder = write_mnist(tmp_path / "data", *synthetic_digits(1), *synthetic_digits(10))
    assert "need 2 images to train" in failure(demo, capsys, "--data-dir", str(folder), "--out", str(tmp_path))


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_run_that_diverges_ends_with_advice(demo, folder, tmp_path, capsys):
    with pytest.raises(SystemExit, match="try a smaller --lr"):
        demo.main(["--data-dir", str(folder), "--out", str(tmp_path), "--lr", "1e30"])
    assert "test accuracy" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--hidden", "0"),
        ("--hidden", "16 -3"),
        ("--hidden", "2.5"),
        ("--activation", "swish"),
        ("--optimizer", "lion"),
        ("--lr", "0"),
        ("--lr", "-0.1"),
        ("--lr", "nan"),
        ("--lr", "inf"),
        ("--lr", "fast"),
        ("--batch-size", "0"),
        ("--batch-size", "-64"),
        ("--epochs", "0"),
        ("--epochs", "-1"),
        ("--epochs", "1e3"),
        ("--seed", "-1"),
        ("--seed", "x"),
        ("--dataset", "cifar"),
        ("--out", str(DEMO)),
        ("--out", str(DEMO / "below")),
    ],
)
def test_wrong_values_are_refused_by_name(demo, capsys, option, values):
    with pytest.raises(SystemExit) as caught:
        demo.main([option, *values.split()])
    assert caught.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: " in message
    assert "<" not in message  # no repr of a function


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder in which nobody may write")
def test_a_folder_that_takes_no_files_is_refused_before_the_training(demo, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(["--out", "/proc/self"])
    assert caught.value.code == 2
    assert "argument --out: cannot write to the folder /proc/self" in capsys.readouterr().err


def test_unknown_options_are_refused(demo, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(["--momentum", "0.9"])
    assert caught.value.code == 2
    assert "--momentum" in capsys.readouterr().err


def test_other_packages_than_matplotlib_may_be_missing(demo, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for package in ("safetensors", "tqdm"):
        monkeypatch.setitem(sys.modules, package, None)
    demo.main(["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "1", "--hidden"])
    out, err = capsys.readouterr()
    assert "test accuracy" in out and err == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["predict", "my run", "seven.png"],
        ["--resume", "my run"],
        ["--hidden", "32", "--recipe", "best"],
        ["--plots", "--epochs", "2"],
        ["--hidden", "8", "--dropout=0.5", "--batch-norm"],
    ],
)
def test_what_mnist_more_does_is_named_with_the_command(demo, capsys, monkeypatch, argv):
    monkeypatch.setattr(sys, "argv", [str(Path("demos", "mnist.py"))])
    with pytest.raises(SystemExit) as caught:
        demo.main(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.endswith(f"; try {shlex.join(['python', str(Path('demos', 'mnist_more.py')), *argv])}\n")
    assert err.startswith("error: mnist.py does not know ") and err.count("\n") == 1


def test_it_fits_on_one_screen_and_mentions_the_rest():
    source = DEMO.read_text(encoding="utf-8")
    assert source.count("\n") <= 132 and "`python demos/mnist_more.py`" in source


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_in_one_line(folder, tmp_path):
    options = ["--data-dir", folder, "--out", tmp_path, "--epochs", 1_000_000, "--hidden"]
    code, out, err = interrupt("mnist", *options, after=2)
    assert re.fullmatch(f"{HEADING}\n({ROW}\n)+", out)
    assert err == "interrupted; nothing is saved (mnist_more.py saves each epoch, and can go on)\n"
    assert code == 130


def test_perfect_predictions_confuse_no_digits(demo, tmp_path, capsys):
    labels = (np.arange(600) % 10).astype(np.uint8)
    images = np.zeros((600, 28, 28), np.uint8)
    images[np.arange(600), labels] = 255  # the label is the row that is white
    folder = write_mnist(tmp_path / "data", images, labels, images, labels)
    demo.main(["--data-dir", str(folder), "--out", str(tmp_path), "--hidden", "--lr", "0.1"])
    out = capsys.readouterr().out
    assert "test accuracy: 100.00%\n" in out
    assert out.endswith("most confused: none\n")


@pytest.mark.skipif(not REAL, reason="TINYGRAD_EDU_DATA does not name a folder with MNIST")
def test_two_epochs_on_the_real_mnist(tmp_path):
    result = run("mnist", "--dataset", "mnist", "--epochs", 2, "--out", tmp_path, cwd=tmp_path, TINYGRAD_EDU_DATA=REAL)
    assert result.returncode == 0, result.stderr
    last = re.search(LAST_LINES.format(""), result.stdout)
    assert last and float(last[1]) >= 96.5
    assert "synthetic" not in result.stdout


def test_a_network_that_does_not_fit_into_memory(tmp_path):
    result = run("mnist", "--dataset", "synthetic", "--hidden", str(10**12), "--out", str(tmp_path), cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr and "smaller --hidden" in result.stderr
