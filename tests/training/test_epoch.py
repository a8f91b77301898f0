"""The parts of an epoch that fit and loops of one's own share."""

import math
import sys
from functools import partial, partialmethod

import numpy as np
import pytest
from fit_runs import RNG, X, Y, loaders

from tinygrad_edu import Tensor, functional, nn
from tinygrad_edu.training import RunningMeans, accuracy, bars, epoch, evaluate, predict, progress_bar


def test_running_means_count_examples_and_not_batches():
    means, model = RunningMeans(), nn.Linear(4, 3, rng=RNG(0))
    assert math.isnan(means.loss) and means.accuracy is None
    for x, y in loaders(batch_size=31)[0]:
        means.add(functional.cross_entropy(model(x), y).item(), model(x), y)
    assert means.loss == pytest.approx(functional.cross_entropy(model(X[:98]), Y[:98]).item(), rel=1e-6)
    assert means.accuracy == accuracy(model(X[:98]), Y[:98])
    assert means.record("train") == {"train_loss": means.loss, "train_accuracy": means.accuracy}
    assert str(means) == f"loss {means.loss:.4f}, accuracy {means.accuracy:.2%}"


def test_without_labels_there_is_no_accuracy():
    means = RunningMeans()
    means.add(6.0, np.zeros((3, 2)), np.zeros((3, 2)), summed=True)
    assert means.record("val") == {"val_loss": 2.0} and str(means) == "loss 2.0000"


def test_a_model_is_measured_and_read_in_evaluation_mode_and_then_as_it_was():
    model = nn.Sequential(nn.Linear(4, 3, rng=RNG(0)), nn.Dropout(0.9))
    model[0].eval()
    batches = [(X[:100], Y[:100]), (X[100:], Y[100:])]
    outputs = predict(model, batches)
    np.testing.assert_array_equal(outputs, np.concatenate([model[0](x).data for x, _ in batches]))
    means = evaluate(model, batches, functional.cross_entropy)
    assert means.accuracy == accuracy(outputs, Y)
    assert means.loss == pytest.approx(functional.cross_entropy(outputs, Y).item(), rel=1e-6)
    assert model.training and model[1].training and not model[0].training


@pytest.mark.parametrize(
    ("batches", "error", "words"),
    [
        ([], ValueError, "evaluate: there are no batches"),
        ([(X, Y, Y)], TypeError, "evaluate, batch 1: a batch must be a pair"),
    ],
)
def test_what_cannot_be_measured(batches, error, words):
    with pytest.raises(error, match=words):
        evaluate(nn.Linear(4, 3), batches, functional.cross_entropy)
    with pytest.raises(error, match=words.replace("evaluate", "predict")):
        predict(nn.Linear(4, 3), batches)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batches": X}, r"evaluate: batches is of type ndarray: .* made with DataLoader\(inputs, targets\)"),
        ({"batches": 3}, "evaluate: batches is of type int: it gives no batches"),
        ({"model": lambda x: x}, "evaluate: model must be of the class Module"),
        ({"model": nn.ReLU}, r"write ReLU\(\.\.\.\)"),
        ({"loss": nn.CrossEntropyLoss}, r"evaluate: loss must be a function .* write CrossEntropyLoss\(\)"),
    ],
)
def test_arguments_of_another_kind(arguments, words):
    arguments = {"model": nn.Linear(4, 3), "batches": [(X, Y)], "loss": functional.cross_entropy} | arguments
    with pytest.raises(TypeError, match=words):
        evaluate(**arguments)
    if arguments.pop("loss") is functional.cross_entropy:
        with pytest.raises(TypeError, match=words.replace("evaluate", "predict")):
            predict(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("0.5", X, Y), TypeError, "RunningMeans.add: loss is '0.5'; it must be a number"),
        ((Tensor([0.5]), X, Y), TypeError, "loss is Tensor"),
        ((0.5, X, 3), ValueError, "targets is 3, without a first axis of examples"),
    ],
)
def test_what_has_no_mean(arguments, error, words):
    means = RunningMeans()
    with pytest.raises(error, match=words):
        means.add(*arguments)
    with pytest.raises(TypeError, match="summed is 'no'; it must be True or False"):
        means.add(0.5, X, Y, summed="no")
    assert (means.examples, means.loss_sum) == (0, 0)
    means.add(Tensor(0.5) * 1, X, Y)
    assert type(means.loss) is float


def test_scores_of_nan_are_not_right():
    means = RunningMeans()
    means.add(math.nan, np.array([[math.nan, 0.0], [1.0, 0.0], [0.0, math.nan]]), np.array([0, 0, 1]))
    assert means.accuracy == pytest.approx(1 / 3)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_not_finite_is_measured_too():
    means = evaluate(nn.Linear(4, 3), [(X, Y), (X * np.float32(np.inf), Y)], functional.cross_entropy)
    assert np.isnan(means.loss) and repr(means).startswith("RunningMeans(loss nan, accuracy")


def test_a_bar_shows_the_means_so_far(monkeypatch, capsys):
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0, miniters=1))
    means = RunningMeans()
    for x, y in progress_bar([(X, Y), (X, Y)], "epoch 1", means):
        means.add(0.5, np.eye(3)[Y], y)
        assert len(x) == 137
    out, err = capsys.readouterr()
    assert out == "" and "epoch 1: " in err and "loss 0.5000, accuracy 100.00%" in err


def test_no_bar_without_a_terminal(capsys):
    assert list(progress_bar([1, 2, 3], "epoch 1")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("installed", [True, False])
def test_a_notebook_without_widgets_has_a_line_of_text_after_a_while(monkeypatch, installed):
    shown = []
    if installed:
        tqdm = pytest.importorskip("tqdm.auto")
        init = partialmethod(tqdm.std_tqdm.__init__, mininterval=0, miniters=1)
        monkeypatch.setattr(tqdm, "tqdm", type("Eager", (tqdm.std_tqdm,), {"__init__": init}))
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(epoch, "notebook_shell", lambda: object())
    monkeypatch.setattr(bars, "show_in_place", lambda thing, raw: shown.append(thing["text/plain"]))
    assert list(progress_bar([1, 2, 3], "epoch 1")) == [1, 2, 3] and shown == []
    monkeypatch.setattr(bars, "PATIENCE", 0)
    means = RunningMeans()
    for x, y in progress_bar([(X, Y)] * 3, "epoch 1", means):
        means.add(0.5, np.eye(3)[Y], y)
        assert len(x) == 137
    lines = [text for text in shown if text]
    if installed:
        assert "epoch 1:  33%" in lines[0] and "loss 0.5000" in lines[-1] and shown[-1] == ""
    assert bool(lines) is installed
    assert list(progress_bar(iter([1, 2, 3]), "epoch 1")) == [1, 2, 3]


def test_a_console_has_its_bar_on_stdout(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    monkeypatch.setenv("SPYDER_ARGS", "[]")
    monkeypatch.setattr(epoch, "notebook_shell", lambda: object())
    monkeypatch.setattr(bars, "PATIENCE", 0)
    assert list(progress_bar([1, 2, 3], "epoch 1")) == [1, 2, 3]
    out, err = capsys.readouterr()
    assert err == "" and "epoch 1:  33%" in out and out.endswith("\r")
