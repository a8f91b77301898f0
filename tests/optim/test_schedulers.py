"""Schedules: PyTorch's rates over a hundred epochs, from the start and resumed."""

import json
import math
from functools import partial

import numpy as np
import pytest

from tinygrad_edu import Tensor, optim
from tinygrad_edu.optim import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Scheduler,
    StepLR,
)

RATES = [0.1, 0.5, 3e-3]
METRICS = np.abs(np.random.default_rng(0).normal(np.linspace(3, 0.5, 100), 0.6))
METRICS[[7, 20]] = math.nan, math.inf


def optimizer(rates=RATES):
    return optim.SGD([{"params": [Tensor(0.0)], "lr": lr} for lr in rates])


def warm_cosine(o, **settings):
    return LinearWarmup(o, 7, 0.01, then=CosineAnnealingLR(o, T_max=60, **settings))


def torch_warm_cosine(schedulers, o):
    warm = schedulers.LinearLR(o, start_factor=0.01, total_iters=7)
    return schedulers.SequentialLR(o, [warm, schedulers.CosineAnnealingLR(o, T_max=60)], milestones=[7])


def sequence(o, s=optim.lr_scheduler):
    inner = [s.LinearLR(o, 0.1, total_iters=5), s.ExponentialLR(o, 0.9), s.CosineAnnealingWarmRestarts(o, 7)]
    inner += [s.MultiStepLR(o, [3, 20]), s.LambdaLR(o, lambda epoch: 1 / (epoch + 2))]
    return s.SequentialLR(o, inner, milestones=[9, 20, 41, 80])


def torchs(ours, schedulers, o):
    """PyTorch's scheduler of the same name and settings."""
    if isinstance(ours, partial):
        return getattr(schedulers, ours.func.__name__)(o, **ours.keywords)
    return ours(o, schedulers)


SCHEDULES = {
    "StepLR": (partial(StepLR, step_size=30), lambda s, o: s.StepLR(o, 30)),
    "StepLR of 1": (partial(StepLR, step_size=1, gamma=1.01), lambda s, o: s.StepLR(o, 1, 1.01)),
    "ExponentialLR": (partial(ExponentialLR, gamma=0.93), lambda s, o: s.ExponentialLR(o, 0.93)),
    "CosineAnnealingLR": (partial(CosineAnnealingLR, T_max=100), lambda s, o: s.CosineAnnealingLR(o, 100)),
    "Cosine up again": (
        partial(CosineAnnealingLR, T_max=23, eta_min=1e-3),
        lambda s, o: s.CosineAnnealingLR(o, 23, 1e-3),
    ),
    "LinearWarmup": (LinearWarmup, lambda s, o: s.LinearLR(o)),
    "LinearWarmup of 1": (partial(LinearWarmup, total_iters=1, start_factor=1), lambda s, o: s.LinearLR(o, 1, 1, 1)),
    "LinearWarmup of 40": (
        partial(LinearWarmup, total_iters=40, start_factor=0.05),
        lambda s, o: s.LinearLR(o, 0.05, total_iters=40),
    ),
    "warm-up and cosine": (warm_cosine, torch_warm_cosine),
    "MultiStepLR": (partial(MultiStepLR, milestones=[30, 0, 30, 80], gamma=0.5),) * 2,
    "LinearLR": (partial(LinearLR, start_factor=0.9, end_factor=0.2, total_iters=60),) * 2,
    "LambdaLR": (partial(LambdaLR, lr_lambda=lambda epoch: 0.95**epoch),) * 2,
    "LambdaLR of groups": (
        partial(LambdaLR, lr_lambda=[lambda epoch: 0.95**epoch, lambda epoch: 1 / (1 + epoch), math.cosh]),
    )
    * 2,
    "WarmRestarts": (partial(CosineAnnealingWarmRestarts, T_0=7, T_mult=2, eta_min=1e-3),) * 2,
    "WarmRestarts of 1": (partial(CosineAnnealingWarmRestarts, T_0=13),) * 2,
    "OneCycleLR": (partial(OneCycleLR, max_lr=0.2, total_steps=100),) * 2,
    "OneCycleLR of groups": (
        partial(OneCycleLR, max_lr=[0.2, 0.1, 1.0], epochs=20, steps_per_epoch=6, three_phase=True, pct_start=0.25),
    )
    * 2,
    "SequentialLR": (sequence,) * 2,
}
for name, (ours, theirs) in SCHEDULES.items():
    if ours is theirs:  # the same words make both
        SCHEDULES[name] = ours, partial(torchs, ours)
for settings in (
    {},
    {"patience": 0, "factor": 0.7},
    {"patience": 2, "cooldown": 3, "factor": 0.5, "min_lr": 1e-3},
    {"patience": 1, "mode": "max", "threshold": 0.05},
    {"patience": 1, "mode": "max", "threshold": 0.3, "threshold_mode": "abs", "min_lr": [1e-2, 1e-3, 0.0]},
    {"patience": 3, "threshold": 0.3, "threshold_mode": "abs", "factor": 0.5},
):
    SCHEDULES[f"Plateau {settings}"] = (
        partial(ReduceLROnPlateau, **settings),
        lambda s, o, settings=settings: s.ReduceLROnPlateau(o, **settings),
    )
EVERY = pytest.mark.parametrize("name", list(SCHEDULES))


def advance(scheduler, epoch):
    """One step, with a metric for those that want it."""
    plateau = hasattr(scheduler, "patience")
    scheduler.step(METRICS[epoch]) if plateau else scheduler.step()


@EVERY
@pytest.mark.filterwarnings("ignore:.*optimizer.step.*:UserWarning")
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
def test_the_rates_of_a_hundred_epochs_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = SCHEDULES[name]
    a = optimizer()
    b = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in RATES])
    mine, other = ours(a), theirs(torch.optim.lr_scheduler, b)
    rates = []
    for epoch in range(100):
        rates.append(mine.get_last_lr())
        np.testing.assert_allclose(rates[-1], [group["lr"] for group in b.param_groups], rtol=0, atol=1e-12)
        assert rates[-1] == [group["lr"] for group in a.param_groups]
        assert mine.last_epoch == epoch
        advance(mine, epoch)
        advance(other, epoch)
    assert len({row[0] for row in rates}) > 1 or name == "LinearWarmup of 1"


@EVERY
@pytest.mark.parametrize("at", [0, 5, 33])
def test_resuming_goes_on_exactly(name, at):
    make = SCHEDULES[name][0]
    straight = make(optimizer())
    for epoch in range(at):
        advance(straight, epoch)
    state = json.loads(json.dumps(straight.state_dict()))
    resumed = make(optimizer([1.0, 1.0, 1.0]))
    advance(resumed, 0)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == straight.state_dict()
    for epoch in range(at, 100):
        assert resumed.get_last_lr() == straight.get_last_lr()
        advance(straight, epoch)
        advance(resumed, epoch)


@EVERY
def test_the_state_holds_the_settings_and_stays_as_it_was_taken(name):
    scheduler = SCHEDULES[name][0](optimizer())
    state = scheduler.state_dict()
    before = json.dumps(state)
    for epoch in range(50):
        advance(scheduler, epoch)
    assert json.dumps(state) == before
    scheduler.load_state_dict(state)
    advance(scheduler, 0)
    assert json.dumps(state) == before


def test_lr_at_is_the_whole_schedule_beforehand():
    scheduler = warm_cosine(optimizer())
    drawn = [scheduler.lr_at(epoch, 0.5) for epoch in range(80)]
    taken = []
    for _ in range(80):
        taken.append(scheduler.get_last_lr()[1])
        scheduler.step()
    assert drawn == taken
    assert drawn[0] == pytest.approx(0.005)
    assert max(drawn) == drawn[7] == 0.5


def test_warm_ups_in_a_row_start_from_the_initial_rate():
    o = optimizer([1.0])
    scheduler = LinearWarmup(o, 2, 0.5, then=LinearWarmup(o, 2, 0.1, then=StepLR(o, 1, 0.5)))
    rates = []
    for _ in range(7):
        rates += scheduler.get_last_lr()
        scheduler.step()
    assert rates == pytest.approx([0.5, 0.75, 0.1, 0.55, 1.0, 0.5, 0.25])


def test_the_steps_of_the_optimizer_follow():
    p = Tensor([0.0])
    sgd = optim.SGD([p], lr=1.0)
    scheduler = ExponentialLR(sgd, 0.5)
    for _ in range(3):
        p.grad = np.ones(1)
        sgd.step()
        scheduler.step()
    assert p.data == -1.75


def test_a_schedule_of_your_own():
    class Linear(Scheduler):
        def __init__(self, optimizer, epochs):
            self.epochs = epochs
            super().__init__(optimizer)

        def lr_at(self, epoch, base_lr):
            return base_lr * (1 - epoch / self.epochs)

    o = optimizer()
    scheduler = Linear(o, 10)
    scheduler.step()
    assert scheduler.get_last_lr() == pytest.approx([0.9 * lr for lr in RATES])
    again = Linear(optimizer(), 4)
    again.load_state_dict(scheduler.state_dict())
    assert again.get_last_lr() == scheduler.get_last_lr()
    assert again.epochs == 10


def test_a_metric_may_be_any_number():
    scheduler = ReduceLROnPlateau(optimizer(), patience=0)
    for metric in (Tensor(1.0), np.float32(2.0), 3):
        scheduler.step(metric)
    assert scheduler.get_last_lr() == pytest.approx([lr / 100 for lr in RATES])
    assert scheduler.best == 1


@pytest.mark.parametrize("scale", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 1.0, 2.5])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_improvement_by_less_than_a_share_of_the_size_does_not_count(mode, threshold, scale):
    """Whatever the sign of the metric; and the first finite value is always better than none."""
    sign = -1 if mode == "min" else 1
    scheduler = ReduceLROnPlateau(optimizer(), mode, threshold=threshold, patience=100)
    scheduler.step(8.0 * scale)
    assert (scheduler.best, scheduler.num_bad_epochs) == (8.0 * scale, 0)
    size = 8.0 * abs(scale)
    for change in (-1.0, 0.0, threshold - 0.01):
        scheduler.step(8.0 * scale + sign * min(change * size, threshold * size))
    assert (scheduler.best, scheduler.num_bad_epochs) == (8.0 * scale, 3)
    better = 8.0 * scale + sign * (threshold + 0.01) * (size or 1)
    scheduler.step(better)
    assert (scheduler.best, scheduler.num_bad_epochs) == (better, 0)


@pytest.mark.parametrize("metric", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("options", [{}, {"mode": "max"}, {"threshold_mode": "abs"}])
def test_a_metric_that_stays_as_it_is_lowers_the_rate(metric, options):
    scheduler = ReduceLROnPlateau(optimizer([1.0]), patience=2, **options)
    for _ in range(4):
        scheduler.step(metric)
    assert scheduler.get_last_lr() == [0.1]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda o: StepLR(None, 1), TypeError, "StepLR: optimizer is a NoneType, not an Optimizer"),
        (lambda o: ReduceLROnPlateau([Tensor(1.0)]), TypeError, "ReduceLROnPlateau: optimizer is a list"),
        (lambda o: StepLR(o, 0), ValueError, "StepLR: step_size is 0; it must be an integer of at least 1"),
        (lambda o: StepLR(o, 2.0), ValueError, r"step_size is 2\.0; it must be an integer"),
        (lambda o: StepLR(o, 2, -1), ValueError, "StepLR: gamma is -1; it must be a number, at least 0"),
        (lambda o: ExponentialLR(o, math.nan), ValueError, "gamma is nan"),
        (lambda o: CosineAnnealingLR(o, True), ValueError, "T_max is True"),
        (lambda o: CosineAnnealingLR(o, 5, -0.1), ValueError, "eta_min is -0.1"),
        (lambda o: LinearWarmup(o, 0), ValueError, "total_iters is 0"),
        (
            lambda o: LinearWarmup(o, 3, 0.0),
            ValueError,
            "start_factor is 0.0; it must be a number, above 0 and at most 1",
        ),
        (lambda o: LinearWarmup(o, 3, 1.5), ValueError, "start_factor is 1.5"),
        (lambda o: LinearWarmup(o, then="cosine"), TypeError, "then is 'cosine'; pass a scheduler"),
        (lambda o: LinearWarmup(o, then=ReduceLROnPlateau(o)), TypeError, "that only depends on the epoch"),
        (lambda o: LinearWarmup(o, then=StepLR(optimizer(), 1)), ValueError, "of another optimizer"),
        (lambda o: ReduceLROnPlateau(o, "least"), ValueError, "mode is 'least'; it must be 'min' or 'max'"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, "factor is 1.0; it must be .* below 1"),
        (lambda o: ReduceLROnPlateau(o, patience=-1), ValueError, "patience is -1; .* at least 0"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode is 'x'"),
        (lambda o: ReduceLROnPlateau(o, threshold=-0.1), ValueError, "threshold is -0.1"),
        (lambda o: ReduceLROnPlateau(o, cooldown=0.5), ValueError, "cooldown is 0.5; it must be an integer"),
        (lambda o: ReduceLROnPlateau(o, eps=math.nan), ValueError, "eps is nan"),
        (
            lambda o: ReduceLROnPlateau(o, monitor="loss"),
            ValueError,
            "monitor is 'loss'; it must be 'train_loss'",
        ),
        (lambda o: ReduceLROnPlateau(o, monitor="val_accuracy", mode="min"), ValueError, "it must be 'max'"),
        (lambda o: ReduceLROnPlateau(o, "min", 0.1, 10, 1e-4, "rel", 0, 0.0, 1e-8, False), TypeError, r"\(bool\)"),
        (lambda o: ReduceLROnPlateau(o, min_lr=[0.0]), ValueError, "min_lr has 1 entries for 3 groups"),
        (lambda o: Scheduler(o), NotImplementedError, "Scheduler has no lr_at, .* define lr_at"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make(optimizer())


@pytest.mark.parametrize("make", [partial(StepLR, step_size=1), partial(ReduceLROnPlateau, patience=0)])
def test_a_group_added_later_is_refused_with_a_reason(make):
    o = optimizer()
    scheduler = make(o)
    advance(scheduler, 0)
    o.add_param_group({"params": [Tensor(1.0)]})
    with pytest.raises(ValueError, match="has 4 groups, but had 3 when this scheduler was made; add groups first"):
        for epoch in range(1, 9):
            advance(scheduler, epoch)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: None, "LinearWarmup.load_state_dict: expected the keys .*, got NoneType"),
        (lambda s: StepLR(optimizer(), 1).state_dict(), "expected the keys .*, got step_size, gamma"),
        (lambda s: warm_cosine(optimizer([1.0])).state_dict(), r"base_lrs is \[1.0\]; this optimizer needs 3"),
        (lambda s: LinearWarmup(optimizer()).state_dict(), "then is None, but here <"),
        (lambda s: s | {"then": StepLR(optimizer(), 1).state_dict()}, "CosineAnnealingLR.load_state_dict: expected"),
        (lambda s: s | {"last_lr": [0.1, -1, 0.1]}, "last_lr is -1"),
        (lambda s: s | {"last_epoch": math.inf}, "LinearWarmup.load_state_dict: last_epoch is inf; it must be an int"),
        (lambda s: s | {"last_epoch": -1}, "last_epoch is -1"),
        (lambda s: s | {"start_factor": "1"}, "start_factor is '1'; it must be a number"),
        (
            lambda s: s | {"then": s["then"] | {"eta_min": math.nan}},
            "CosineAnnealingLR.*: eta_min is nan",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, words):
    scheduler = warm_cosine(optimizer())
    scheduler.step()
    before, other = scheduler.state_dict(), warm_cosine(optimizer(), eta_min=1e-3)
    for _ in range(3):
        other.step()
    with pytest.raises(ValueError, match=words):
        scheduler.load_state_dict(spoil(other.state_dict()))
    assert scheduler.state_dict() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "least"}, "mode is 'least'"),
        ({"threshold_mode": None}, "threshold_mode is None"),
        ({"monitor": "loss"}, "monitor is 'loss'"),
        ({"monitor": "val_accuracy"}, "mode is 'min', but of val_accuracy more is better"),
        ({"num_bad_epochs": 0.5}, "num_bad_epochs is 0.5"),
        ({"best": math.nan}, "best is nan"),
    ],
)
def test_a_plateaus_state_that_cannot_be(change, words):
    scheduler = ReduceLROnPlateau(optimizer())
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match=words):
        scheduler.load_state_dict(before | change)
    assert scheduler.state_dict() == before


def test_the_lowest_rates_may_be_an_array():
    scheduler = ReduceLROnPlateau(optimizer(), min_lr=np.array([0.05, 0.1, 0.0]), patience=0)
    for _ in range(2):
        scheduler.step(1.0)
    assert scheduler.get_last_lr() == pytest.approx([0.05, 0.1, 3e-4])


def test_two_schedulers_of_one_optimizer_are_not_stepped_in_turns():
    o = optimizer([0.1])
    first, second = StepLR(o, 1, gamma=0.5), ExponentialLR(o, gamma=0.9)
    first.step(), first.step()
    second.step(), second.step()  # a new phase
    with pytest.raises(ValueError, match=r"StepLR.step: ExponentialLR has taken over .* SequentialLR\("):
        first.step()
    plateau = ReduceLROnPlateau(o, patience=0)
    plateau.step(1.0)
    with pytest.raises(ValueError, match="ReduceLROnPlateau has taken over"):
        second.step()
    other = StepLR(optimizer([0.1]), 1)
    other.step(), plateau.step(2.0), other.step()


@pytest.mark.parametrize("lr", [None, "0.1", True, np.array([0.1]), math.nan])
def test_a_rate_that_was_spoilt_by_hand_is_no_initial_rate(lr):
    o = optimizer([0.1])
    o.param_groups[0]["lr"] = lr
    with pytest.raises(ValueError, match=r"StepLR: the optimizer's lr is .*; it must be a number, at least 0"):
        StepLR(o, 1)


def test_rates_at_the_boundaries():
    zero, grows = StepLR(optimizer([0.1]), 1, gamma=0), ExponentialLR(optimizer([0.1]), gamma=1e200)
    zero.step(), grows.step()
    assert zero.get_last_lr() == [0] and grows.get_last_lr() == [0.1 * 1e200]
    with pytest.raises(ValueError, match="ExponentialLR: the rate of epoch 2 is too large for a float"):
        grows.step()
    with pytest.raises(ValueError, match=r"eta_min is 0.5, above the rate 0.1 that a group begins with"):
        CosineAnnealingLR(optimizer([1.0, 0.1]), 10, eta_min=0.5)
    with pytest.raises(TypeError, match="metrics: some entries are masked"):
        ReduceLROnPlateau(optimizer([0.1])).step(np.ma.masked)
    with pytest.raises(ValueError, match="min_lr is array"):
        ReduceLROnPlateau(optimizer([0.1]), min_lr=np.array(0.1))


JUNK = [None, True, -1, math.nan, "x", [], {}, [None], np.ones(2), object(), 10**400, 1j]


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepLR(optimizer([0.1]), 2),
        lambda: CosineAnnealingLR(optimizer([0.1]), 5),
        lambda: ReduceLROnPlateau(optimizer([0.1])),
        lambda: warm_cosine(optimizer([0.1])),
        lambda: MultiStepLR(optimizer([0.1]), [2, 3]),
        lambda: LinearLR(optimizer([0.1])),
        lambda: LambdaLR(optimizer([0.1]), math.cosh),
        lambda: CosineAnnealingWarmRestarts(optimizer([0.1]), 3),
        lambda: OneCycleLR(optimizer([0.1]), 0.1, 9),
        lambda: sequence(optimizer([0.1])),
    ],
)
def test_a_state_of_nonsense_changes_nothing(make):
    state = make().state_dict()
    for key in state.keys() - {"then", "monitor", "best", "schedulers"}:
        for junk in [junk for junk in JUNK if not (junk is True and isinstance(state[key], bool))]:
            for value in (junk, [junk]) if isinstance(state[key], list) else (junk,):
                if key == "milestones" and isinstance(value, list) and not value:  # none at all
                    continue
                scheduler = make()
                with pytest.raises(ValueError, match=key):
                    scheduler.load_state_dict({**state, key: value})
                assert scheduler.state_dict() == state
