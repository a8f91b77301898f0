import builtins
import functools
import io
import sys

import numpy as np
import pytest
from fit_runs import RNG, WRONG, Run, X, Y, assert_same_bits, flat, loaders, simple

from tinygrad_edu import Tensor, data, functional, nn, optim
from tinygrad_edu.training import EarlyStopping, History, accuracy, fit

MODEL, OTHER = nn.Linear(4, 3), nn.Linear(4, 3)
OPTIMIZER = optim.SGD(OTHER.parameters(), lr=0.1)


def test_it_learns():
    history = Run(lr=0.03).fit(30)
    assert list(history[0]) == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    assert history["epoch"] == list(range(1, 31))
    assert history["train_loss"][-1] < 0.7 * history["train_loss"][0]
    assert history["val_accuracy"][-1] > 0.7


def test_it_is_the_loop_written_out():
    model, other = nn.Linear(4, 3, rng=RNG(0)), nn.Linear(4, 3, rng=RNG(0))
    history = simple(loaders()[0], epochs=3, model=model, optimizer=optim.Adam(model.parameters()))
    train, optimizer = loaders()[0], optim.Adam(other.parameters())
    for epoch in range(3):
        loss_sum = 0.0
        for x, y in train:
            loss = functional.cross_entropy(other(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(y)
        assert history["train_loss"][epoch] == loss_sum / 98
    assert_same_bits(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("batch_size", [1, 8, 12, 100])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_measures_are_means_over_the_examples_whatever_the_batches(batch_size, reduction):
    model = nn.Linear(4, 3, rng=RNG(0))
    losses = functional.cross_entropy(model(X), Y, "none").data
    batches = data.DataLoader(X, Y, batch_size)
    loss = nn.CrossEntropyLoss(reduction=reduction)
    [record] = simple(batches, model=model, lr=0.0, loss=loss, validation=batches)
    for split in ("train", "val"):
        assert record[f"{split}_loss"] == pytest.approx(losses.mean(), rel=1e-6)
        assert record[f"{split}_accuracy"] == accuracy(model(X), Y)


def test_accuracy_only_where_outputs_are_scores_and_targets_labels():
    model = nn.Linear(4, 3, rng=RNG(0))
    [record] = simple([(X, np.eye(3, dtype=np.float32)[Y])], model=model)
    assert list(record) == ["epoch", "train_loss", "lr", "seconds"]
    [record] = simple(
        [(X, Y[:, None])], model=nn.Linear(4, 1), loss=lambda a, b: ((a - b.astype(np.float32)) ** 2).mean()
    )
    assert "train_accuracy" not in record
    pixels = np.stack([X, -X], axis=1), np.stack([Y, Y], axis=1)  # (n, 2, 4) and (n, 2): labels of several places
    [record] = simple([pixels], model=model, lr=0.0)
    assert record["train_accuracy"] == accuracy(model(pixels[0]).data.reshape(-1, 3), pixels[1].ravel())
    [record] = simple([(Tensor(X), Tensor(X[:, :3]))], model=model, loss=nn.MSELoss())
    assert "train_accuracy" not in record


class Mode(nn.Module):
    """Notes in which mode it is called, and whether gradients are recorded."""

    def __init__(self, inner):
        self.inner, self.calls = inner, []

    def forward(self, x):
        out = self.inner(x)
        self.calls.append((self.training, out.requires_grad))
        return out


def test_modes_while_it_runs_and_afterwards():
    model = Mode(nn.Linear(4, 3))
    model.inner.eval()
    simple(epochs=2, model=model, validation=[(X, Y)])
    assert model.calls == [(True, True), (False, False)] * 2
    assert model.training and not model.inner.training
    with pytest.raises(ValueError, match="there are no batches"):
        simple(model=model, validation=[])
    assert model.training and not model.inner.training


def test_validation_changes_nothing():
    first = Run()
    first.validation = None
    first.fit(3)
    second = Run()
    second.fit(3)
    assert_same_bits(first.model.state_dict(), second.model.state_dict())


def test_the_scheduler_steps_once_an_epoch():
    model = nn.Linear(4, 3)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    scheduler = optim.StepLR(optimizer, step_size=2, gamma=0.5)
    history = simple([(X, Y)] * 3, epochs=5, model=model, optimizer=optimizer, scheduler=scheduler)
    assert history["lr"] == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("validation", [None, [(-X, Y)]])
def test_the_plateau_and_early_stopping_watch_the_validation_loss_or_the_training_loss(validation):
    seen = []

    class Plateau(optim.ReduceLROnPlateau):
        def step(self, metrics):
            seen.append(metrics)

    class Stopping(EarlyStopping):
        def step(self, value, model=None):
            seen.append(value)
            return super().step(value, model)

    model = nn.Linear(4, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    options = {"scheduler": Plateau(optimizer), "early_stopping": Stopping(), "validation": validation}
    history = simple(epochs=2, model=model, optimizer=optimizer, **options)
    watched = history["train_loss" if validation is None else "val_loss"]
    assert seen == [watched[0]] * 2 + [watched[1]] * 2


SCRIPT = {  # the best is in another epoch of each
    "val_loss": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "train_loss": [3.0, 1.0, 2.0, 2.0, 2.0, 2.0],
    "val_accuracy": [0.1, 0.2, 0.9, 0.3, 0.3, 0.3],
    "train_accuracy": [0.1, 0.2, 0.3, 0.9, 0.5, 0.5],
}


class Scripted(nn.Module):
    """Has the losses and accuracies of SCRIPT; each epoch takes 1 off its weight."""

    def __init__(self):
        self.weight, self.epoch = Tensor([0.0]), -1

    def forward(self, x):
        self.epoch += self.training
        self.split = "train" if self.training else "val"
        right = np.arange(10) < round(10 * SCRIPT[f"{self.split}_accuracy"][self.epoch])
        return self.weight + np.stack([right, ~right], axis=1)

    def loss(self, outputs, targets):
        steep = outputs.mean()
        return steep - steep.item() + SCRIPT[f"{self.split}_loss"][self.epoch]


@pytest.mark.parametrize("monitor", [None, *SCRIPT])
def test_early_stopping_and_the_plateau_watch_what_their_monitor_names(monitor):
    model, batches = Scripted(), [(X[:10], np.zeros(10, int))]
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    options = {"early_stopping": EarlyStopping(patience=2, monitor=monitor), "validation": batches}
    options["scheduler"] = optim.ReduceLROnPlateau(optimizer, patience=1, factor=0.5, monitor=monitor)
    history = simple(batches, epochs=6, model=model, loss=model.loss, optimizer=optimizer, **options)
    assert {name: history[name] for name in SCRIPT} == {name: SCRIPT[name][: len(history)] for name in SCRIPT}
    best = 1 + list(SCRIPT).index(monitor or "val_loss")
    assert len(history) == best + 2
    assert (options["early_stopping"].best_epoch, round(model.weight.item(), 9)) == (best, -best)
    assert (history["lr"], optimizer.lr) == ([1.0] * len(history), 0.5)


SQUARES = {"batches": [(X, X[:, :3])], "loss": nn.MSELoss()}


@pytest.mark.parametrize("make", [EarlyStopping, functools.partial(optim.ReduceLROnPlateau, OPTIMIZER)])
@pytest.mark.parametrize(
    ("watching", "options", "words"),
    [
        ({"mode": "max"}, {}, 'mode="max", but no monitor, .* train_loss, .* with monitor="train_accuracy"'),
        ({"mode": "max"}, {"validation": WRONG}, 'would watch val_loss, .* with monitor="val_accuracy"'),
        ({"monitor": "val_loss"}, {}, 'to watch val_loss, but there is no validation; .* monitor="train_loss"'),
        ({"monitor": "val_accuracy"}, {}, 'to watch val_accuracy, but there is no val.* monitor="train_accuracy"'),
        (
            {"monitor": "train_accuracy"},
            SQUARES,
            "to watch train_accuracy, but there is none: .* labels .* train_loss",
        ),
    ],
)
def test_what_cannot_be_watched(make, watching, options, words):
    watcher = make(**watching)
    before = OTHER.state_dict()
    where = "early_stopping" if isinstance(watcher, EarlyStopping) else "scheduler"
    with pytest.raises(ValueError, match=f"fit: {type(watcher).__name__} .*{words}"):
        simple(model=OTHER, optimizer=OPTIMIZER, **{where: watcher}, **options)
    if "batches" not in options:
        assert_same_bits(OTHER.state_dict(), before)


def test_arguments_without_their_names():
    words = r"fit takes only model, train by position, and got more \(SGD, CrossEntropyLoss, int\); .*: fit\(model, "
    with pytest.raises(TypeError, match=words + r"train, optimizer=\.\.\., loss=\.\.\., epochs=\.\.\., "):
        fit(OTHER, [(X, Y)], OPTIMIZER, nn.CrossEntropyLoss(), 3)
    with pytest.raises(TypeError, match=r"more \(ndarray\); .* go together, as DataLoader\(inputs, targets\)"):
        fit(OTHER, X, Y)
    with pytest.raises(TypeError, match="missing 3 required keyword-only arguments: 'optimizer', 'loss', and 'epochs'"):
        fit(OTHER, [(X, Y)])


def test_early_stopping_stops_and_brings_the_best_weights_back():
    model, stopping = flat(), EarlyStopping(patience=2)
    history = simple(epochs=50, model=model, early_stopping=stopping, validation=WRONG)
    assert history["epoch"] == [1, 2, 3]
    assert stopping.best_epoch == 1
    other = flat()
    simple(epochs=1, model=other)
    assert_same_bits(model.state_dict(), other.state_dict())
    assert len(simple(epochs=50, model=other, early_stopping=stopping, validation=WRONG)) == 3  # it starts anew


def test_without_restore_best_the_last_weights_stay():
    model, other, stopping = flat(), flat(), EarlyStopping(patience=2, restore_best=False)
    simple(epochs=50, model=model, early_stopping=stopping, validation=WRONG)
    simple(epochs=3, model=other)
    assert_same_bits(model.state_dict(), other.state_dict())


def test_nothing_to_do():
    model = nn.Linear(4, 3)
    before = model.state_dict()
    assert simple(epochs=0, model=model) == History()
    assert_same_bits(model.state_dict(), before)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_a_loss_that_is_not_finite_is_named_before_the_step(split):
    model = nn.Linear(4, 3, rng=RNG(0))
    bad, before = [(X, Y), (X * np.float32(np.nan), Y)], model.state_dict()
    options = {"batches": bad} if split == "training" else {"validation": bad}
    with pytest.raises(FloatingPointError, match=f"epoch 1, {split}, batch 2: the loss became nan.*learning rate"):
        simple(model=model, lr=0.0, **options)
    assert_same_bits(model.state_dict(), before)


class Scalar:
    """A loss that returns no Tensor."""

    def __call__(self, outputs, targets):
        return 1.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": lambda x: x, "optimizer": OPTIMIZER}, TypeError, "model must be of the class Module"),
        ({"model": nn.ReLU, "optimizer": OPTIMIZER}, TypeError, r"write ReLU\(...\)"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be of the class Optimizer, got 'adam'"),
        ({"optimizer": optim.Adam}, TypeError, r"write Adam\(...\)"),
        ({"model": MODEL, "optimizer": OPTIMIZER}, ValueError, "none of the model's parameters"),
        ({"loss": "mse"}, TypeError, "loss must be a function"),
        ({"loss": nn.CrossEntropyLoss}, TypeError, r"write CrossEntropyLoss\(\)"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, ValueError, r"got shape \(137,\). Use reduction='mean'"),
        ({"loss": Scalar()}, ValueError, "a Tensor of shape .* got float"),
        ({"epochs": -1}, ValueError, "epochs is -1; it must be an integer of at least 0"),
        ({"epochs": 1.5}, ValueError, "epochs is 1.5; it must be an integer"),
        ({"batches": zip([X], [Y], strict=True)}, TypeError, "train is of type zip: an iterator is used up"),
        ({"validation": (b for b in [(X, Y)])}, TypeError, "validation is of type generator: an iterator is used up"),
        ({"batches": 3}, TypeError, "train is of type int: it gives no batches"),
        ({"batches": []}, ValueError, "epoch 1, training: there are no batches"),
        ({"batches": X}, TypeError, r"train is of type ndarray: inputs without .* with DataLoader\(inputs, targets\)"),
        ({"validation": Tensor(X)}, TypeError, "validation is of type Tensor: inputs without their targets"),
        ({"batches": [X]}, TypeError, r"epoch 1, training, batch 1: a batch must be a pair .* got ndarray"),
        ({"epochs": True}, ValueError, "epochs is True; it must be an integer"),
        ({"progress": "no"}, TypeError, "fit: progress is 'no'; it must be True or False"),
        ({"batches": [(X, Y, Y)]}, TypeError, "must be a pair"),
        ({"batches": [(X[:0], Y[:0])]}, ValueError, r"targets of shape \(0,\) hold no examples"),
        ({"scheduler": 0.1}, TypeError, "scheduler must be of the class Scheduler"),
        ({"scheduler": optim.StepLR(OPTIMIZER, 1)}, ValueError, "belongs to another optimizer"),
        ({"early_stopping": 3}, TypeError, "early_stopping must be of the class EarlyStopping, got 3"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be"),
    ],
)
def test_arguments_that_cannot_work(options, error, words):
    with pytest.raises(error, match=words):
        simple(**options)


def test_progress_is_a_table(capsys):
    run = Run()
    run.fit(2, progress=True)
    out, err = capsys.readouterr()
    header, *lines = out.splitlines()
    assert header.split() == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert {len(line) for line in lines} == {len(header)}
    assert err == ""  # no terminal, no bar


def test_without_progress_it_is_silent(capsys):
    Run().fit(1)
    assert capsys.readouterr() == ("", "")


class Writer:
    """A stream of a student's own."""

    def write(self, text):
        return len(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("names", [["stdout"], ["stderr"], ["stdout", "stderr"]], ids="+".join)
@pytest.mark.parametrize("stream", [lambda: None, closed, io.StringIO, Writer], ids=["None", "closed", "text", "own"])
def test_it_trains_whatever_stdout_and_stderr_are(monkeypatch, tmp_path, names, stream):
    for name in names:
        monkeypatch.setattr(sys, name, stream())
    for epochs in (1, 2):  # the second goes on
        history = Run().fit(epochs, progress=True, checkpoint=tmp_path / "run.safetensors")
    assert len(history) == 2


@pytest.mark.parametrize("installed", [True, False])
def test_a_terminal_gets_a_bar_if_tqdm_is_there(monkeypatch, capsys, installed):
    if installed:
        pytest.importorskip("tqdm")
    real = builtins.__import__

    def refusing(name, *args):
        if name == "tqdm":
            raise ImportError(name)
        return real(name, *args)

    if not installed:
        monkeypatch.setattr(builtins, "__import__", refusing)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    Run().fit(1, progress=True)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert ("epoch 1, training" in err) is installed


def test_a_parameter_that_was_replaced_after_the_optimizer_was_made_is_found():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    batches = [(np.eye(2, dtype=np.float32), np.array([0, 1]))]
    settings = {"optimizer": optimizer, "loss": nn.CrossEntropyLoss(), "epochs": 1, "progress": False}
    setattr(model, "1", nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"fit: the optimizer does not hold 1\.weight, .* make the optimizer last"):
        fit(model, batches, **settings)
    for p in getattr(model, "1").parameters():
        p.requires_grad = False  # frozen, so nothing is lost
    fit(model, batches, **settings)
    head = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    scale = Tensor(1.0)
    settings["optimizer"] = optim.SGD([*head[1].parameters(), scale], lr=0.1)  # the first layer is left as it is
    fit(head, batches, **settings)


def test_an_epoch_without_batches_says_why():
    model = nn.Linear(2, 2)
    loader = data.DataLoader(np.eye(2), np.array([0, 1]), batch_size=3, drop_last=True)
    settings = {"optimizer": optim.SGD(model.parameters()), "loss": nn.CrossEntropyLoss(), "epochs": 1}
    with pytest.raises(ValueError, match=r"there are no batches; .* with drop_last=True shorter than a batch"):
        fit(model, loader, **settings, progress=False)
    with pytest.raises(
        TypeError, match=r"fit\(\) got an unexpected keyword argument 'batch_size'; its arguments are: mod"
    ):
        fit(model, loader, **settings, batch_size=3)
