"""The learning-rate range test: the right curve, and no trace of it."""

import copy

import numpy as np
import pytest

from tinygrad_edu import Tensor, manual_seed, nn, optim
from tinygrad_edu.data import DataLoader
from tinygrad_edu.functional import cross_entropy, mse_loss
from tinygrad_edu.optim import lr_finder
from tinygrad_edu.random import default_generator

RNG = np.random.default_rng


class Noisy(nn.Module):
    """Has what training touches: parameters, buffers written and replaced, its own and the library's generator."""

    def __init__(self, fail_at=None):
        self.inner, self.scale = nn.MLP([4, 16, 3], rng=RNG(0)), Tensor(1.0, dtype=np.float32)
        self.seen, self.last, self.calls, self.fail_at = np.zeros(3), np.zeros(1), 0, fail_at
        self.rng = RNG(1)

    def forward(self, x):
        assert self.training
        self.calls += 1
        if self.calls == self.fail_at:
            raise RuntimeError("planted")
        noise = self.rng.standard_normal((len(x), 3)) + default_generator().standard_normal((len(x), 3))
        out = self.inner(x) * self.scale + 0.01 * noise.astype(np.float32)
        self.seen += out.data.mean(axis=0)
        self.last = out.data.copy()
        return out


def digits(n=100, seed=0, **settings):
    """Three well separated clusters in four dimensions."""
    rng = RNG(seed)
    labels = rng.integers(0, 3, n)
    x = 2 * np.eye(4)[labels] + 0.3 * rng.standard_normal((n, 4))
    return DataLoader(x.astype(np.float32), labels, batch_size=16, shuffle=True, seed=seed, **settings)


def train(model, loader, optimizer, epochs=1):
    for _ in range(epochs):
        for x, labels in loader:
            optimizer.zero_grad()
            cross_entropy(model(x), labels).backward()
            optimizer.step()


OPTIMIZERS = [
    lambda params: optim.SGD([{"params": params[:2]}, {"params": params[2:], "lr": 0.01}], lr=0.05, momentum=0.9),
    lambda params: optim.AdamW(params, lr=1e-2),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("trained", [False, True], ids=["fresh", "trained"])
@pytest.mark.parametrize("fail_at", [None, 40])
def test_it_leaves_no_trace(make, trained, fail_at):
    def run(with_test):
        manual_seed(3)
        model, loader = Noisy(), digits()
        outside = Tensor(2.0)  # of no module
        outside.grad = np.array(3.0)
        optimizer = make([*model.parameters(), outside])
        train(model, loader, optimizer, epochs=trained)
        model.eval()
        model.fail_at = fail_at and model.calls + fail_at
        attributes = [dict(vars(m)) for m in model.modules()]
        state, moments, grads = model.state_dict(), optimizer.state_dict(), [p.grad for p in optimizer.params]
        values = [p.numpy() for p in optimizer.params]
        if with_test and fail_at:
            with pytest.raises(RuntimeError, match="planted"):
                lr_finder(model, loader, optimizer=optimizer, loss=cross_entropy)
        elif with_test:
            lr_finder(model, loader, optimizer=optimizer, loss=cross_entropy)
        for module, before in zip(model.modules(), attributes, strict=True):
            assert vars(module).keys() == before.keys()
            assert all(vars(module)[k] is v for k, v in before.items())
        np.testing.assert_equal(model.state_dict(), state)
        np.testing.assert_equal(optimizer.state_dict(), moments)
        assert outside.data == values[-1]
        assert all(p.grad is g for p, g in zip(optimizer.params, grads, strict=True))
        model.fail_at = None
        model.train()
        train(model, loader, optimizer, epochs=2)
        return model.state_dict(), optimizer.state_dict(), default_generator().random()

    np.testing.assert_equal(run(True), run(False))


@pytest.mark.parametrize("hidden", [False, True])
def test_generators_of_the_loaders_transform(hidden):
    class Jitter:
        def __init__(self):
            self.rng = RNG(0)

        def __call__(self, x):
            return x + self.rng.standard_normal(x.shape).astype(np.float32)

    jitter = Jitter()
    loader = digits(transform=(lambda x: jitter(x)) if hidden else jitter)
    model = nn.MLP([4, 3], rng=RNG(0))
    optimizer = optim.SGD(model.parameters())
    before = copy.deepcopy((loader.rng, jitter.rng))
    lr_finder(model, loader, optimizer=optimizer, loss=cross_entropy, steps=12)
    for generator, old in zip((loader.rng, jitter.rng), before, strict=True):
        assert generator.random() == old.random()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
def test_the_suggestion_trains_where_much_shorter_steps_do_not(make, seed):
    def fresh():
        model = nn.MLP([4, 16, 3], rng=RNG(seed))
        return model, make(model.parameters())

    model, optimizer = fresh()
    found = lr_finder(model, digits(seed=seed), optimizer=optimizer, loss=cross_entropy)
    assert len(found.lrs) == len(found.losses)
    assert found.losses.dtype == found.lrs.dtype == np.float64
    assert found.lrs[0] == pytest.approx(1e-7)
    np.testing.assert_allclose(np.diff(np.log(found.lrs)), np.log(1e8) / 99)
    assert found.lrs[0] < found.suggestion < found.lrs[found.losses.argmin()]

    def loss_after(lr):
        model, optimizer = fresh()
        optimizer.lr = lr
        loader = digits(seed=seed)
        train(model, loader, optimizer, epochs=3)
        return cross_entropy(model(loader.images), loader.labels).item()

    assert loss_after(found.suggestion) < 0.5 * loss_after(found.suggestion / 100)


def test_the_curve_by_hand():
    """loss = w * 1 with gradient 1: each step lowers it by the rate before; smoothing 0 keeps the losses themselves."""
    model = nn.Linear(1, 1, bias=False, dtype=np.float64)
    model.weight.assign(5.0)
    found = lr_finder(
        model,
        [(np.ones((1, 1)), None)],
        optimizer=optim.SGD(model.parameters(), lr=0.1),
        loss=lambda out, _: out.sum(),
        start_lr=0.01,
        end_lr=1.0,
        steps=3,
        smoothing=0.0,
    )
    np.testing.assert_allclose(found.lrs, [0.01, 0.1, 1.0])
    np.testing.assert_allclose(found.losses, [5, 4.99, 4.89])
    assert found.suggestion == pytest.approx(10**-0.5)


def test_smoothing_is_an_average_without_bias_to_zero():
    model = nn.Linear(1, 1, bias=False)
    losses = iter([4.0, 2.0, 6.0])
    found = lr_finder(
        model,
        [(np.ones((1, 1), np.float32), None)],
        optimizer=optim.SGD(model.parameters()),
        loss=lambda out, _: out.sum() * 0 + next(losses),
        steps=3,
        smoothing=0.5,
    )
    np.testing.assert_allclose(found.losses, [4, (1 + 1) / 0.75, (3 + 0.5 + 0.5) / 0.875])


@pytest.mark.parametrize("shift", [0.0, -1000.0])
def test_it_stops_when_the_loss_diverges_also_below_zero(shift):
    model = nn.Linear(1, 1, dtype=np.float64, rng=RNG(0))
    x = RNG(0).standard_normal((64, 1))
    loader = DataLoader(x, 3 * x + RNG(1).standard_normal((64, 1)), batch_size=8)
    found = lr_finder(
        model,
        loader,
        optimizer=optim.SGD(model.parameters()),
        loss=lambda out, y: mse_loss(out, y) + shift,
        start_lr=1e-3,
        end_lr=1e4,
    )
    assert 20 < len(found.lrs) < 100
    lowest = np.minimum.accumulate(found.losses)
    over = found.losses > lowest + 3 * np.abs(lowest)
    assert over[-1]
    assert not over[:-1].any()


def test_a_loss_that_is_not_finite_ends_the_curve():
    model = nn.Linear(1, 1, bias=False)
    losses = iter([1.0, 0.5, np.inf, 1.0])
    found = lr_finder(
        model,
        [(np.ones((1, 1), np.float32), None)],
        optimizer=optim.SGD(model.parameters()),
        loss=lambda out, _: out.sum() * 0 + next(losses),
        smoothing=0,
    )
    assert found.losses.tolist() == [1.0, 0.5]
    assert found.suggestion == pytest.approx(np.sqrt(found.lrs.prod()))


def test_no_suggestion_where_the_loss_never_falls():
    model = nn.Linear(1, 1, bias=False)
    losses = iter(np.arange(1.0, 100.0))
    found = lr_finder(
        model,
        [(np.ones((1, 1), np.float32), None)],
        optimizer=optim.SGD(model.parameters()),
        loss=lambda out, _: out.sum() * 0 + next(losses),
    )
    assert found.suggestion is None


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": None}, TypeError, "needs a Module and an Optimizer, got NoneType and SGD"),
        ({"optimizer": "SGD"}, TypeError, "got Linear and str"),
        ({"optimizer": optim.SGD([Tensor(1.0)])}, ValueError, "has none of the model's parameters"),
        ({"start_lr": 0}, ValueError, "lr_finder: start_lr is 0; it must be a number, above 0"),
        ({"start_lr": 1, "end_lr": 0.1}, ValueError, "rises from start_lr, is 0.1; it must be a number, above 1"),
        ({"steps": 1}, ValueError, "lr_finder: steps is 1; it must be an integer of at least 2"),
        ({"smoothing": 1.0}, ValueError, "lr_finder: smoothing is 1.0; .* below 1"),
        ({"divergence": 1}, ValueError, "divergence is 1; it must be a number, above 1"),
        ({"loader": []}, ValueError, "no batches"),
        ({"loader": DataLoader([[1.0]], [[1.0]], shard=(0, 2))}, ValueError, "gives a rank's shares"),
        ({"loader": 3}, TypeError, "loader is of type int; use a DataLoader"),
        ({"loader": np.ones((2, 1, 1))}, TypeError, r"a batch must be a pair \(inputs, targets\), got ndarray"),
        ({"loss": "mse"}, TypeError, "loss must be a function of"),
        ({"loss": nn.MSELoss}, TypeError, "loss must be a function of"),
        ({"smoothing": np.nan}, ValueError, "smoothing is nan"),
        ({"steps": True}, ValueError, "steps is True"),
        ({"loader": iter([(np.ones((1, 1)), np.ones((1, 1)))])}, ValueError, r"\(left\); a generator can be used up"),
        ({"loss": lambda out, y: 1.0}, ValueError, r"lr_finder: the loss must be .* shape \(\); got float"),
        ({"loss": lambda out, y: out}, ValueError, r"got shape \(1, 1\)\. Use reduction='mean'"),
        ({"loss": lambda out, y: out.sum() * np.nan}, ValueError, "the first loss is nan; look at the data"),
    ],
)
def test_errors(change, error, words):
    model = nn.Linear(1, 1)
    arguments = {"model": model, "loader": [(np.ones((1, 1)), np.ones((1, 1)))], "loss": mse_loss}
    arguments |= {"optimizer": optim.SGD(model.parameters())} | change
    before = model.state_dict()
    with pytest.raises(error, match=words):
        lr_finder(arguments.pop("model"), arguments.pop("loader"), **arguments)
    np.testing.assert_equal(model.state_dict(), before)
