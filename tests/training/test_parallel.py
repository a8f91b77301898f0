"""Several processes that train one model: real ones with mpiexec, and ranks that are threads where that will do."""

import shutil
import sys
import types
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from elsewhere import KIND, PLACE, there
from mpi import mpiexec, needs_mpi
from ranks_in_threads import on_ranks
from ranks_program import CASES, fifty_steps, trained

from tinygrad_edu import Tensor, cross_entropy, nn, optim, ranks
from tinygrad_edu.arrays import home
from tinygrad_edu.data import DataLoader
from tinygrad_edu.training import Checkpoint, DataParallel, EarlyStopping, RunningMeans, evaluate, fit, predict

RNG = np.random.default_rng
PROGRAM = Path(__file__).parents[1] / "ranks_program.py"


@needs_mpi
def test_two_ranks_compute_the_numbers_of_one_process(tmp_path):
    code, out, err, _ = mpiexec(PROGRAM, "numbers", tmp_path / "two.npz")
    assert code == 0, err
    assert out == ""
    with np.load(tmp_path / "two.npz") as found, warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, case in enumerate(CASES):
            alone = fifty_steps(*case)
            close = 1e-5 if case[1] is np.float32 else 1e-12
            assert alone.dtype == case[1]
            np.testing.assert_allclose(found[str(i)], alone, rtol=0, atol=close * abs(alone).max(), err_msg=str(case))


@needs_mpi
def test_a_killed_rank_ends_the_others_and_the_run_resumes_to_the_bit(tmp_path, capsys):
    pytest.importorskip("safetensors")
    run, other = tmp_path / "run.safetensors", tmp_path / "other.safetensors"
    code, out, err, seconds = mpiexec(PROGRAM, "kill", run)
    assert code != 0 and "KILLED" in err.upper() + out.upper() and seconds < 30
    shutil.copy(run, other)
    code, out, err, _ = mpiexec(PROGRAM, "resume", run)
    assert code == 0, err
    assert out.count("train_loss") == 2 and "fit: going on after epoch 2" in out  # rank 0 alone prints
    assert "DataParallel: BatchNorm1d normalizes each rank's share of a batch by itself, 32 of 64 examples\n" in out
    undisturbed, resumed = np.load(f"{run}.npy")
    np.testing.assert_array_equal(resumed, undisturbed)
    assert trained(str(other)).shape == resumed.shape  # on another number of ranks: one
    assert "going on after epoch 2" in capsys.readouterr().out


@needs_mpi
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", "ValueError: I fail\nthis was rank 1 of 2; all of them end\n"),
        ("exit", "rank 1 has ended its program"),
    ],
)
def test_a_rank_that_fails_or_leaves_ends_all(how, words, tmp_path):
    pytest.importorskip("safetensors")
    code, out, err, seconds = mpiexec(PROGRAM, how, tmp_path / "run.safetensors")
    assert code == 1 and words in err and seconds < 30
    assert ("I leave" in err) == (how == "exit") and "epoch" in out


class Setting:
    """A training on one of several ranks, or alone."""

    def __init__(self, comm, n=95, batch_size=10, ignored=False, dtype=np.float64, loss=None, model=None):
        self.x, self.y = RNG(0).normal(size=(n, 6)).astype(dtype), RNG(1).integers(0, 3, n)
        if ignored:
            self.y[RNG(2).random(n) < 0.4] = -100
        self.model = model or nn.MLP([6, 8, 3], dtype=dtype, rng=RNG(3))
        self.parallel = DataParallel(self.model, comm)
        self.optimizer, self.loss = optim.Adam(self.model.parameters(), lr=0.02), loss or nn.CrossEntropyLoss()
        self.batch_size = batch_size

    def loader(self, **options):
        return DataLoader(self.x, self.y, self.batch_size, **{"shard": self.parallel.shard, **options})

    def fit(self, **options):
        training = self.loader(shuffle=True, seed=4)
        defaults = {"optimizer": self.optimizer, "loss": self.loss, "epochs": 3, "progress": False}
        defaults |= {"validation": self.loader(), "parallel": self.parallel}
        return fit(self.model, options.pop("train", training), **defaults | options)


ONES, WEIGHTS = Tensor(np.ones(64)), np.array([1.0, 2.0, 0.5])
LOSSES = {
    "mean": (nn.CrossEntropyLoss(), False),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), False),
    "weights": (nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.1), True),
    "function": (cross_entropy, True),
    "partial": (partial(cross_entropy, weight=WEIGHTS, ignore_index=1), False),
}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_fit_measures_decides_and_learns_as_one_process(name, size):
    loss, ignored = LOSSES[name]

    def run(comm):
        case = Setting(comm, ignored=ignored, loss=loss)
        scheduler = optim.ReduceLROnPlateau(case.optimizer, patience=0)
        stopping = EarlyStopping(1, monitor="train_accuracy")
        history = case.fit(scheduler=scheduler, early_stopping=stopping, epochs=9)
        means = evaluate(case.model, case.loader(), loss, parallel=case.parallel)
        outputs = predict(case.model, case.loader(), parallel=case.parallel)
        return history, (means.loss, means.accuracy, means.examples), outputs

    (alone,), results = on_ranks(1, run), on_ranks(size, run)
    for history, means, outputs in results:
        assert list(history) == list(results[0][0])  # also the seconds
        assert len(history) == len(alone[0]) and history[-1].keys() == alone[0][-1].keys()
        for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
            np.testing.assert_allclose([r[key] for r in history], [r[key] for r in alone[0]], rtol=1e-12)
        np.testing.assert_allclose(means, alone[1], rtol=1e-12)
        np.testing.assert_allclose(outputs, alone[2], rtol=1e-11, atol=1e-12)


def test_models_on_a_gpu_share_batches_too():
    def run(comm):
        model = nn.MLP([6, 8, 3], batch_norm=True, dtype=np.float64, rng=RNG(3)).to(PLACE)
        case = Setting(comm, n=20, model=model)
        case.fit(train=case.loader(transform=there), validation=None)
        held = [type(p.grad) for p in model.parameters()]
        outputs = predict(model, case.loader(transform=there), parallel=case.parallel)
        return held, home(model[0].weight.data), outputs

    results = on_ranks(2, run)
    for held, weights, outputs in results:
        assert {*held} == {KIND} and outputs.shape == (20, 3)
        np.testing.assert_array_equal(weights, results[0][1])
        np.testing.assert_array_equal(outputs, results[0][2])


def test_a_plain_loop_measures_over_all_ranks_and_an_empty_share_takes_part():
    def run(comm):
        case, means = Setting(comm, n=21), RunningMeans()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the mean over no examples
            for x, y in case.loader():
                outputs = case.model(x)
                loss = cross_entropy(outputs, y)
                case.optimizer.zero_grad()
                loss.backward()
                case.parallel.average_gradients(len(y))
                case.optimizer.step()
                means.add(loss.item(), outputs, y)
        total = case.parallel.total(means)
        return total.loss, total.accuracy, total.examples, case.model[0].weight.data.copy()

    (alone,), (first, second) = on_ranks(1, run), on_ranks(2, run)
    np.testing.assert_allclose(first[:3], alone[:3], rtol=1e-12)
    np.testing.assert_allclose(first[3], alone[3], rtol=1e-12)
    assert first[:3] == second[:3] and (first[3] == second[3]).all()


def test_gradients_are_averaged_in_place_and_none_stays_none():
    def run(comm):
        model = nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 3, bias=False), nn.Linear(2, 3, bias=False)])
        parallel = DataParallel(model, comm)
        first, some, unused = (layer.weight for layer in model)
        first.grad = np.full((3, 2), 1.0 + parallel.rank, np.float32)
        held = first.grad
        if parallel.rank == 1:
            some.grad = np.ones((3, 2), np.float32)
        parallel.average_gradients(3 - 2 * parallel.rank)  # 3 examples and 1
        return held, first.grad is held, some.grad, unused.grad, model[0].bias.grad

    for held, same, some, *unused in on_ranks(2, run):
        assert same and (held == 1.25).all() and (some == 0.25).all() and some.dtype == np.float32
        assert unused == [None, None]


def test_the_models_become_that_of_rank_0_and_draw_differently():
    def run(comm):
        layers = nn.Linear(4, 4, rng=RNG(comm.rank)), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=RNG(7))
        model = nn.Sequential(*layers)
        model[1].running_mean += comm.rank
        parallel = DataParallel(model, comm)
        first = model[2](ONES).data
        parallel.start_epoch()
        return model.state_dict(), first, model[2](ONES).data

    (state, *draws), (other, *others) = on_ranks(2, run)
    assert all(np.array_equal(state[key], other[key]) for key in state)
    assert (draws[0] != others[0]).any() and (draws[1] != others[1]).any()
    alone = nn.Dropout(0.5, rng=RNG(7))
    assert all((draw == alone(ONES).data).all() for draw in draws)  # rank 0 is as it would be alone


def test_rank_0_alone_prints_saves_and_calls_back(tmp_path, capsys):
    pytest.importorskip("safetensors")
    path, called = tmp_path / "run.safetensors", []

    def run(comm):
        case = Setting(comm)
        calls = [lambda record: called.append((comm.rank, record["epoch"]))]
        return case.fit(epochs=2, checkpoint=path, callbacks=calls, progress=True)

    first, second = on_ranks(2, run)
    assert called == [(0, 1), (0, 2)] and list(first) == list(second)
    assert capsys.readouterr().out.count("\n") == 3
    longer = Setting(None)
    assert len(longer.fit(epochs=3, checkpoint=path)) == 3  # goes on alone
    assert Checkpoint(path).load(model=longer.model) == 3


def raised(size, function):
    """The errors of all ranks, which are of one class, as texts."""
    errors = on_ranks(size, function)
    assert all(isinstance(error, Exception) for error in errors), errors
    assert len({type(error) for error in errors}) == 1, errors
    return f"{type(errors[0]).__name__}: ", [str(error) for error in errors]


class Short:
    """Batches of which one rank has fewer."""

    def __init__(self, loader, rank):
        self.batches, self.shard = list(loader)[rank:], loader.shard

    def __iter__(self):
        return iter(self.batches)


def other_model(comm):
    DataParallel(nn.MLP([2, 3 + comm.rank, 1]), comm)


def nan_on_one_rank(comm):
    case = Setting(comm)
    case.x[1] = np.nan
    case.fit(train=case.loader())


def trains_alone(comm):
    case = Setting(comm)
    for x, y in case.loader():
        loss = cross_entropy(case.model(x), y)
        case.optimizer.zero_grad()
        loss.backward()
        case.optimizer.step()  # without average_gradients
    evaluate(case.model, case.loader(), case.loss, parallel=case.parallel)


def without_jump(comm):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5, rng=np.random.Generator(np.random.SFC64(0))))
    DataParallel(model, comm)


ERRORS = {
    "all examples": (lambda c: Setting(c).fit(train=Setting(None).loader()), "ValueError", "shard=parallel.shard"),
    "a list": (lambda c: Setting(c).fit(train=[]), "ValueError", "train is a list that gives all examples"),
    "another shard": (
        lambda c: Setting(c).fit(validation=Setting(c).loader(shard=(1 - c.rank, 2))), "ValueError", "this is rank"),
    "no parallel": (lambda c: Setting(c).fit(parallel=None), "ValueError", "there is no parallel="),
    "evaluates": (
        lambda c: evaluate((s := Setting(c)).model, [], s.loss, parallel=s.parallel), "ValueError", "is a list"),
    "another model": (lambda c: Setting(c).fit(parallel=Setting(c).parallel), "ValueError", "made of another model"),
    "unlike models": (other_model, "ValueError", "rank 1 is not that of rank 0: it has 0.weight of shape (4, 2)"),
    "fewer batches": (
        lambda c: (s := Setting(c)).fit(train=Short(s.loader(), c.rank)), "RuntimeError",
        "rank 1 is at the end of a pass, but rank 0 averages gradients"),
    "fewer to validate": (
        lambda c: (s := Setting(c)).fit(validation=Short(s.loader(), c.rank)), "ValueError",
        "rank 0 had 10 batches in this pass, and rank 1 9"),
    "NaN": (nan_on_one_rank, "FloatingPointError", "epoch 1, training, batch 1: the loss became nan"),
    "trains alone": (trains_alone, "RuntimeError", "the weights of rank 1 are no longer those of rank 0"),
    "no examples": (lambda c: Setting(c).parallel.average_gradients(0), "ValueError", "0 examples on every rank"),
    "generator": (without_jump, "TypeError", "SFC64"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_come_on_all_ranks(name):
    function, kind, words = ERRORS[name]
    found, texts = raised(2, function)
    assert found == f"{kind}: " and all(words in text for text in texts), texts


@pytest.mark.parametrize("value", [-1, np.nan, "64", Tensor(2.0)])
def test_the_number_of_examples_is_checked(value):
    with pytest.raises((TypeError, ValueError), match="average_gradients: examples"):
        DataParallel(nn.Linear(2, 2)).average_gradients(value)


def test_many_ranks_are_named_in_few_words():
    assert ranks.named_ranks([3]) == "rank 3"
    assert ranks.named_ranks([0, 2]) == "each of ranks 0, 2"
    assert ranks.named_ranks([*range(9)]) == "each of ranks 0, 1, 2, 3 and 5 more"


def test_without_mpiexec_nothing_is_imported_and_nothing_done(monkeypatch):
    for name in [name for pair in ranks.LAUNCHERS for name in pair]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # an import would fail
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    model = nn.Linear(2, 2)
    parallel = DataParallel(model)
    assert (parallel.rank, parallel.size, parallel.shard) == (0, 1, (0, 1)) and repr(parallel)
    model.weight.grad = held = np.ones((2, 2))
    parallel.average_gradients(3)
    parallel.start_epoch()
    assert model.weight.grad is held and (held == 1).all()
    with pytest.raises(TypeError, match="DataParallel: model must be of the class Module"):
        DataParallel([model])
    with pytest.raises(TypeError, match=r"DataParallel: comm is 2; it must be an mpi4py communicator: MPI\.COMM_WORLD"):
        DataParallel(model, 2)


@pytest.mark.parametrize("names", ranks.LAUNCHERS[:2])
def test_under_mpiexec_a_rank_does_not_train_alone(names, monkeypatch):
    for name, value in zip(names, "12", strict=True):
        monkeypatch.setenv(name, value)
    assert ranks.launched() == (1, 2)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r'mpiexec has started 2 processes, but .*pip install "tinygrad-edu\[mpi\]"'):
        DataParallel(nn.Linear(2, 2))
    alone = types.SimpleNamespace(Get_size=lambda: 1)
    mpi = types.SimpleNamespace(COMM_WORLD=alone, Get_library_version=lambda: "Some MPI 1.0\n")
    monkeypatch.setitem(sys.modules, "mpi4py", types.SimpleNamespace(MPI=mpi))
    with pytest.raises(RuntimeError, match=r"mpi4py sees one: .* which is Some MPI 1\.0"):
        DataParallel(nn.Linear(2, 2))
