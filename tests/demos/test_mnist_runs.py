"""Runs of demos/mnist_more.py that are saved, interrupted, resumed and used."""

import json
import re
import shlex
import sys

import numpy as np
import pytest
from demo_runs import DEMOS, interrupt, refused, run, write_mnist
from mpi import mpiexec, needs_mpi

from tinygrad_edu import nn
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.training import Checkpoint, RunningMeans

for package in ("matplotlib", "tqdm", "safetensors", "PIL"):
    pytest.importorskip(package)

pytestmark = pytest.mark.usefixtures("undrawn")
SMALL = ["--hidden", "16", "--batch-size", "50", "--lr", "0.01"]
ALL = [*SMALL, "--dropout", "0.2", "--batch-norm", "--augment", "--weight-decay", "1e-4", "--patience", "5"]


@pytest.fixture
def train(more, folder, tmp_path):
    """Runs the demo on the small data and returns the path of the saved run."""
    out = tmp_path / "my runs"

    def run(*options, name="run"):
        path = out / f"{name}.safetensors"
        more.main(["--data-dir", str(folder), "--out", str(out), "--save", str(path), *map(str, options)])
        return path

    return run


def command(err):
    """The arguments of the command in the message of an interrupted run."""
    python, _, *argv = shlex.split(err.removeprefix("interrupted; to go on: "))
    assert python == "python"
    return argv


def interrupted_in_epoch(more, monkeypatch, epoch):
    """Lets the demo be interrupted when it validates for the nth time; returns how to end that."""
    evaluate, calls = more.evaluate, []

    def stop(*args, **options):
        calls.append(args)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return evaluate(*args, **options)

    monkeypatch.setattr(more, "evaluate", stop)
    return lambda: monkeypatch.setattr(more, "evaluate", evaluate)


def with_loss(loss):
    """What `evaluate` may return, with this loss."""
    means = RunningMeans()
    means.add(loss, np.eye(10), np.arange(10))
    return means


def assert_same(a, b):
    """The same arrays to the bit, and the same words."""
    a, b = nn.load(a), nn.load(b)
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], strict=True, err_msg=key)


@needs_mpi
def test_a_run_of_two_ranks_goes_on_alone(more, folder, tmp_path, capsys):
    options = ["--data-dir", folder, "--out", tmp_path, *ALL, "--epochs", "1"]
    code, out, err, _ = mpiexec(DEMOS / "mnist_more.py", *options)
    assert (code, err) == (0, "") and f"saved run: {tmp_path / 'mnist.safetensors'}\n" in out
    assert out.count("2 ranks share each batch of 50\n") == out.count("epoch ") == out.count("picture: ") == 1
    more.main([*map(str, ["--data-dir", folder, "--resume", tmp_path / "mnist.safetensors", "--epochs", 2])])
    assert "going on after epoch 1" in capsys.readouterr().out


@pytest.mark.parametrize("scheduler", ["cosine", "warmup", "plateau"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(more, train, capsys, monkeypatch, optimizer, scheduler):
    options = [*ALL, "--optimizer", optimizer, "--scheduler", scheduler, "--epochs", "5"]
    whole = train(*options, name="whole")
    expected = capsys.readouterr().out
    go_on = interrupted_in_epoch(more, monkeypatch, 3)
    with pytest.raises(SystemExit) as caught:
        train(*options, name="parts")
    assert caught.value.code == 130
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    go_on()
    more.main(command(err))
    resumed = capsys.readouterr().out
    assert resumed.startswith("going on after epoch 2 of ")
    assert_same(whole, whole.with_stem("parts"))
    line = re.compile(r"^ +\d .*(?=  .*)|^test accuracy.*", re.MULTILINE)
    assert line.findall(out)[:2] + line.findall(resumed) == line.findall(expected)


def test_an_interruption_in_the_first_epoch_is_saved_too(more, train, capsys, monkeypatch):
    go_on = interrupted_in_epoch(more, monkeypatch, 1)
    with pytest.raises(SystemExit):
        train(*SMALL, "--epochs", "2", name="parts")
    go_on()
    more.main(command(capsys.readouterr().err))
    whole = train(*SMALL, "--epochs", "2", name="whole")
    assert_same(whole, whole.with_stem("parts"))


@pytest.mark.parametrize("where", ["confusion_matrix", "accuracy"])
def test_an_interruption_after_the_training_loses_nothing(more, train, capsys, monkeypatch, where):
    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(f"mnist.{where}", stop)
        with pytest.raises(SystemExit):
            train(*SMALL, "--epochs", "2")
    err = capsys.readouterr().err
    more.main(command(err))
    out = capsys.readouterr().out
    assert out.startswith("going on after epoch 2 of ") and "test accuracy" in out


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_in_one_line_with_the_command(folder, tmp_path):
    options = ["--data-dir", folder, "--out", tmp_path, "--epochs", 1_000_000, "--hidden"]
    code, out, err = interrupt("mnist_more", *options, after=2)
    assert out.startswith("epoch  train loss") and "test accuracy" not in out
    resume = ["python", DEMOS / "mnist_more.py", "--resume", tmp_path / "mnist.safetensors", *options[:4]]
    assert err == f"interrupted; to go on: {shlex.join(map(str, resume))}\n"
    assert code == 130


def test_the_run_that_was_there_is_kept_until_the_new_one_has_an_epoch(more, train, capsys, monkeypatch):
    path = train(*SMALL, "--epochs", "1")
    before = path.read_bytes()
    capsys.readouterr()
    go_on = interrupted_in_epoch(more, monkeypatch, 1)
    with pytest.raises(SystemExit):
        train(*SMALL, "--epochs", "2", "--seed", "1")
    assert capsys.readouterr().err == "interrupted; in the first epoch: nothing is saved\n"
    assert path.read_bytes() == before
    go_on()
    train(*SMALL, "--epochs", "2", "--seed", "1")
    assert path.read_bytes() != before


def test_nothing_but_a_run_is_overwritten(more, folder, tmp_path, capsys):
    diary = tmp_path / "diary.txt"
    diary.write_text("dear diary")
    message = refused(more, capsys, "--data-dir", folder, "--out", tmp_path, "--save", diary)
    assert "argument --save: " in message and "diary.txt" in message
    assert diary.read_text() == "dear diary"


def test_a_full_disk_is_an_error_in_words(more, train, monkeypatch):
    save, calls = more.Checkpoint.save, []

    def full(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        save(*args, **kwargs)

    monkeypatch.setattr(more.Checkpoint, "save", full)
    with pytest.raises(SystemExit, match=r"error: .*No space left on device"):
        more.lesson.run(lambda: train(*SMALL, "--epochs", "3"))


def test_a_run_can_be_prolonged_and_a_finished_one_changes_nothing(train, capsys):
    first = train(*SMALL, "--scheduler", "exponential", "--epochs", "2", name="first")
    again = train("--resume", str(first), name="again")
    assert_same(first, again)
    capsys.readouterr()
    longer = train("--resume", str(first), "--epochs", "4", name="longer")
    epochs = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:4]]
    assert epochs == ["3", "4"]
    assert not np.array_equal(nn.load(longer)["model.0.weight"], nn.load(first)["model.0.weight"])
    assert json.loads(Checkpoint(longer).metadata()["options"])["epochs"] == 4


def test_a_resumed_run_is_saved_where_it_was(more, folder, tmp_path, train, capsys):
    path = train(*SMALL, "--epochs", "1")
    more.main(["--data-dir", str(folder), "--out", str(tmp_path), "--resume", str(path), "--epochs", "2"])
    assert f"saved run: {path}\n" in capsys.readouterr().out
    assert json.loads(Checkpoint(path).metadata()["options"])["epochs"] == 2


def test_a_run_is_saved_beside_the_picture_unless_told_otherwise(more, folder, tmp_path, capsys):
    more.main(["--data-dir", str(folder), "--out", str(tmp_path), "--epochs", "1", *SMALL])
    assert f"saved run: {tmp_path / 'mnist.safetensors'}\n" in capsys.readouterr().out
    assert "model.0.weight" in nn.load(tmp_path / "mnist.safetensors")


def test_files_that_cannot_be_resumed(more, folder, tmp_path, train, capsys):
    run = train(*SMALL, "--epochs", "1")
    capsys.readouterr()
    foreign, weights = tmp_path / "notes.txt", tmp_path / "weights.safetensors"
    foreign.write_text("not a run")
    nn.save(nn.MLP([784, 16, 10]), weights)
    before = run.read_bytes()
    data = ["--data-dir", folder, "--out", tmp_path]
    other = write_mnist(tmp_path / "other", *synthetic_digits(600, seed=5), *synthetic_digits(200, seed=4))
    for path, words in ((tmp_path / "none", "none"), (foreign, "notes.txt"), (weights, "weights.safetensors")):
        message = refused(more, capsys, *data, "--resume", path)
        assert "argument --resume: " in message and words in message
    for options, words in (
        (["--hidden", 17], r"--hidden: the run was begun with \[16\], which cannot change"),
        (["--hidden"], "--hidden: the run was begun"),
        (["--optimizer", "sgd"], "--optimizer: the run was begun with adam"),
        (["--activation", "tanh"], "--activation: the run was begun with relu"),
        (["--batch-norm"], "--batch-norm: the run was begun with False"),
        (["--seed", 1], "--seed: the run was begun with 0"),
        (["--dataset", "synthetic"], "--dataset: the run was begun with mnist"),
        (["--recipe", "best"], "--recipe: it begins a run"),
    ):
        assert re.search(f"argument {words}", refused(more, capsys, *data, "--resume", run, *options))
    message = refused(more, capsys, "--data-dir", other, "--out", tmp_path, "--resume", run)
    assert "was trained on other images" in message
    assert run.read_bytes() == before


def test_patience_may_begin_on_resuming(train, capsys):
    path = train(*SMALL, "--epochs", "1")
    train("--resume", path, "--patience", "2", "--epochs", "3")
    train("--resume", path, "--epochs", "4")
    assert json.loads(Checkpoint(path).metadata()["options"])["patience"] == 2


def test_a_file_that_cannot_be_written_is_refused_before_the_training(more, folder, tmp_path, capsys):
    path = tmp_path / "no" / "folder" / "run"
    message = refused(more, capsys, "--data-dir", folder, "--out", tmp_path, "--save", path)
    assert str(tmp_path / "no" / "folder") in message


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("none", [1, 1, 1, 1, 1, 1]),
        ("step", [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("exponential", 0.01 ** (np.arange(6) / 6)),
        ("cosine", 0.5 + 0.5 * np.cos(np.pi * np.arange(6) / 6)),
        ("warmup", [1 / 3, 5 / 9, 7 / 9, 1, 0.75, 0.25]),
        ("plateau", [1, 1, 1, 1, 0.1, 0.1]),
    ],
)
def test_schedulers(more, train, monkeypatch, scheduler, expected):
    rates = []
    monkeypatch.setattr(more, "evaluate", lambda *args, **options: with_loss(1.0))  # nothing ever improves
    train_more = more.train

    def spied(run, *args):
        optimizer = run["optimizer"]
        step = optimizer.step
        monkeypatch.setattr(optimizer, "step", lambda: rates.append(optimizer.lr) or step())
        train_more(run, *args)

    monkeypatch.setattr(more, "train", spied)
    train("--hidden", "--batch-size", "550", "--lr", "0.5", "--epochs", "6", "--scheduler", scheduler)
    np.testing.assert_allclose(rates, 0.5 * np.array(expected), rtol=1e-12)


def test_patience_stops_and_keeps_the_weights_of_the_best_epoch(more, train, capsys, monkeypatch):
    losses, evaluated, predict = iter([0.5, 0.4, 0.45, 0.41, 0.6, 0.0]), [], more.predict

    def note(model):
        evaluated.append(model.state_dict()["0.weight"])

    monkeypatch.setattr(more, "evaluate", lambda model, *a, **k: note(model) or with_loss(next(losses)))
    monkeypatch.setattr(more, "predict", lambda model, *a, **k: note(model) or predict(model, *a, **k))
    train(*SMALL, "--patience", "3", "--epochs", "20")
    out = capsys.readouterr().out
    assert "no lower val loss for 3 epochs; epoch 2 had the lowest\n" in out
    assert len(evaluated) == 6
    np.testing.assert_array_equal(evaluated[-1], evaluated[1])  # for the test images


def test_augmented_are_the_training_images_and_no_others(more, train, monkeypatch):
    seen = {}
    train_more = more.train

    def spied(run, scheduler, training, validation, *rest):
        seen["training"], seen["validation"] = training, validation
        train_more(run, scheduler, training, validation, *rest)

    monkeypatch.setattr(more, "train", spied)
    for augment in (False, True):
        train(*SMALL, "--epochs", "1", "--augment" if augment else "--no-augment")
        flat = more.lesson.flat(seen["training"].images)
        batch = np.concatenate([images for images, _ in seen["training"]])
        assert batch.shape == flat.shape and batch.dtype == np.float32
        same = {row.tobytes() for row in batch} == {row.tobytes() for row in flat}
        assert same != augment
        np.testing.assert_array_equal(next(iter(seen["validation"]))[0], more.lesson.flat(seen["validation"].images))


def test_options_reach_model_and_optimizer(more, train, monkeypatch):
    seen = []
    train_more = more.train
    monkeypatch.setattr(more, "train", lambda *args: seen.append(args[0]) or train_more(*args))
    layers = ["--hidden", "8", "4", "--activation", "gelu", "--dropout", "0.25", "--batch-norm", "--init", "zeros"]
    train(*layers, "--optimizer", "adamw", "--weight-decay", "0.3", "--epochs", "1")
    model, optimizer = seen[0]["model"], seen[0]["optimizer"]
    expected = [*["Linear", "BatchNorm1d", "GELU", "Dropout"] * 2, "Linear"]
    assert [type(layer).__name__ for layer in model] == expected
    assert model[3].p == 0.25
    assert not model[0].weight.data.any()  # zeros: symmetry, so that only the last bias learns
    assert type(optimizer).__name__ == "AdamW" and optimizer.param_groups[0]["weight_decay"] == 0.3


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer rmsprop",
        "--optimizer adamw --weight-decay 0.01",
        "--init orthogonal --activation elu",
        "--activation prelu",
        "--dropout 0.1 --batch-norm",
        "--augment",
    ],
)
def test_options_train(train, capsys, options):
    train("--hidden", "32", "--epochs", "12", *options.split())
    assert float(re.search(r"test accuracy: (.*)%", capsys.readouterr().out)[1]) > 60


def test_a_last_batch_of_one_example_is_left_out_where_it_would_have_no_variance(train):
    train("--hidden", "8", "--batch-norm", "--batch-size", "61", "--epochs", "1")  # 550 = 9 * 61 + 1


@pytest.fixture
def pictures(tmp_path):
    """Digits 0 to 9, enlarged, dark on a light ground; with their paths."""
    from PIL import Image

    images, labels = synthetic_digits(40, seed=9)
    paths = []
    for digit in range(10):
        paths.append(tmp_path / f"digit {digit}.png")
        image = images[np.flatnonzero(labels == digit)[0]]
        Image.fromarray(255 - image).resize((200, 200)).save(paths[-1])
    return paths


def test_predict_reads_pictures(train, pictures, tmp_path):
    path = train("--dataset", "synthetic", "--hidden", "64", "--epochs", "3", "--patience", "2")
    result = run("mnist_more", "predict", path, *pictures, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    line = r"(.*): (\d) \((\d+\.\d)%\) \(trained on synthetic digits\)"
    lines = [re.fullmatch(line, text) for text in result.stdout.splitlines()]
    assert [line[1] for line in lines] == [str(p) for p in pictures]
    assert all(10 < float(line[3]) <= 100 for line in lines)
    assert np.mean([int(line[2]) == digit for digit, line in enumerate(lines)]) >= 0.8


def test_predict_goes_on_after_a_file_that_is_no_picture(more, train, pictures, tmp_path, capsys):
    path = train(*SMALL, "--epochs", "1")
    noise = tmp_path / "noise.png"
    noise.write_bytes(b"no picture at all")
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        more.main(["predict", str(path), str(noise), str(tmp_path / "none.png"), str(pictures[0])])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{pictures[0]}: ")
    errors = err.splitlines()
    assert len(errors) == 2 and all(line.startswith("error: ") for line in errors)
    assert str(noise) in errors[0] and "none.png" in errors[1]


def test_predict_needs_a_run_of_this_demo(more, pictures, tmp_path, capsys):
    weights = tmp_path / "weights.safetensors"
    nn.save(nn.MLP([784, 16, 10]), weights)
    for path in (weights, pictures[0], tmp_path / "none"):
        assert path.name in refused(more, capsys, "predict", path, pictures[0])
    assert "IMAGE" in refused(more, capsys, "predict", weights)


def test_predict_needs_a_finished_epoch(more, train, pictures, capsys, monkeypatch):
    interrupted_in_epoch(more, monkeypatch, 1)
    with pytest.raises(SystemExit):
        train(*SMALL)
    path = command(capsys.readouterr().err)[1]
    assert "no epoch of this run is over" in refused(more, capsys, "predict", path, pictures[0])


def test_predict_uses_the_weights_of_the_best_epoch(more, train, pictures, capsys, monkeypatch):
    losses = iter([0.1, 0.2, 0.3])
    best = []
    monkeypatch.setattr(
        more, "evaluate", lambda model, *a, **k: best.append(model.state_dict()) or with_loss(next(losses))
    )
    path = train(*SMALL, "--patience", "9", "--epochs", "3")
    used, build = [], more.build
    monkeypatch.setattr(more, "build", lambda args: used.append(build(args)) or used[-1])
    with pytest.raises(SystemExit):
        more.main(["predict", str(path), str(pictures[0])])
    np.testing.assert_array_equal(used[0].state_dict()["0.weight"], best[0]["0.weight"])
    assert not np.array_equal(best[2]["0.weight"], best[0]["0.weight"])


def test_pictures_and_validation_images_are_read_without_dropout_and_with_running_statistics(
    more, train, pictures, capsys, monkeypatch
):
    modes, forward = [], nn.Dropout.forward
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: modes.append(self.training) or forward(self, x))
    path = train("--hidden", "16", "--dropout", "0.5", "--batch-norm", "--batch-size", "550", "--epochs", "2")
    assert modes == [True, False, True, False, False]  # two epochs with their validation, and the test
    modes.clear()
    with pytest.raises(SystemExit):
        more.main(["predict", str(path), str(pictures[0])])
    assert modes == [False]
