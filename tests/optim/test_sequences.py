"""Schedules that follow each other."""

import pytest
from hypothesis import given, settings, strategies as st
from schedules_run import RATES, momenta, optimizer, same_as_torch

from tinygrad_edu import Tensor, optim
from tinygrad_edu.optim import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LinearWarmup,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

PARTS = [
    lambda s, o: s.LinearLR(o, 0.1, 0.8, total_iters=4),
    lambda s, o: s.StepLR(o, 3, 0.5),
    lambda s, o: s.MultiStepLR(o, [2, 5]),
    lambda s, o: s.ExponentialLR(o, 0.9),
    lambda s, o: s.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    lambda s, o: s.CosineAnnealingLR(o, 10, 1e-3),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2),
]


@settings(max_examples=25, derandomize=True)
@given(
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4),
    lengths=st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_thirty_epochs_are_pytorchs(parts, lengths):
    def make(s, o):
        milestones = [sum(lengths[: i + 1]) for i in range(len(parts) - 1)]
        return s.SequentialLR(o, [part(s, o) for part in parts], milestones)

    same_as_torch(make, 30)


def rates(scheduler, count):
    found = []
    for _ in range(count):
        found.append(scheduler.get_last_lr()[0])
        scheduler.step()
    return found


def test_a_warm_up_is_a_sequence():
    o, other = optimizer([1.0]), optimizer([1.0])
    warm = LinearWarmup(o, 3, 0.1, then=CosineAnnealingLR(o, 10))
    sequence = SequentialLR(other, [LinearLR(other, 0.1, total_iters=3), CosineAnnealingLR(other, 10)], [3])
    assert sequence.lr_at(5, 2.0) == warm.lr_at(5, 2.0)
    assert rates(sequence, 12) == pytest.approx(rates(warm, 12))


def test_a_sequence_of_sequences():
    """PyTorch's begins the inner one with its second epoch."""
    o, other = optimizer([1.0]), optimizer([1.0])
    flat = SequentialLR(o, [LinearLR(o, 0.1), StepLR(o, 2), CosineAnnealingLR(o, 9)], [3, 8])
    nested = SequentialLR(other, [LinearLR(other, 0.1), StepLR(other, 2)], [3])
    nested = SequentialLR(other, [nested, CosineAnnealingLR(other, 9)], [8])
    assert rates(flat, 20) == rates(nested, 20)


def test_what_follows_may_have_functions_for_groups_or_cycle_the_momentum():
    o = optimizer([1.0, 1.0])
    scheduler = LinearWarmup(o, 2, 0.5, then=LambdaLR(o, [lambda epoch: 2.0, lambda epoch: 3.0]))
    for _ in range(2):
        scheduler.step()
    assert scheduler.get_last_lr() == [2.0, 3.0]

    o = optim.SGD([Tensor(0.0)], lr=0.1)
    flat, cycle = StepLR(o, 100), OneCycleLR(o, 1.0, total_steps=4, base_momentum=0.5, max_momentum=0.75)
    scheduler = SequentialLR(o, [flat, cycle, StepLR(o, 1)], [3, 7])
    seen = []
    for _ in range(9):
        seen.append(momenta(o)[0])
        scheduler.step()
    assert seen[:4] == [0.75] * 4 and min(seen[4:7]) < 0.6 and seen[7] == seen[8] == seen[6]


def test_a_loaded_momentum_is_that_of_the_scheduler_whose_turn_it_is():
    def make():
        o = optim.SGD([Tensor(0.0)], lr=0.1)
        first, second = [OneCycleLR(o, 1.0, total_steps=9, max_momentum=high) for high in (0.9, 0.95)]
        return o, SequentialLR(o, [first, second], [9])

    for at in (0, 4, 12):
        (o, straight), (other, resumed) = make(), make()
        for _ in range(at):
            straight.step()
        resumed.load_state_dict(straight.state_dict())
        assert (momenta(other), resumed.get_last_lr()) == (momenta(o), straight.get_last_lr())


def test_the_initial_rates_are_those_before_the_first_scheduler():
    o = optimizer([1.0])
    warm, then = LinearLR(o, 0.1), StepLR(o, 2)
    assert o.lr == 1.0 and then.base_lrs == warm.base_lrs == [1.0]
    o.lr = 0.3  # a new phase
    assert StepLR(o, 2).base_lrs == [0.3]


def test_only_the_sequence_is_stepped():
    o = optimizer()
    inner = StepLR(o, 1)
    sequence = SequentialLR(o, [inner], [])
    inner.step(), sequence.step()
    with pytest.raises(ValueError, match=r"StepLR.step: SequentialLR has taken over"):
        inner.step()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda o: SequentialLR(o, [], []), ValueError, "there are 0 schedulers and 0 milestones; each scheduler but"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)], [3]), ValueError, "there are 1 schedulers and 1 milestones"),
        (lambda o: SequentialLR(o, StepLR(o, 1), [3]), TypeError, "schedulers is .*; pass a list"),
        (lambda o: SequentialLR(o, [3], []), TypeError, r"SequentialLR: schedulers\[0\] is 3; pass a scheduler"),
        (lambda o: SequentialLR(o, [ReduceLROnPlateau(o)], []), TypeError, r"\[0\] is .* only depends on the epoch"),
        (lambda o: SequentialLR(o, [StepLR(optimizer(), 1)], []), ValueError, "a scheduler of another optimizer"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)] * 3, [3, 3]), ValueError, r"milestones is \[3, 3\]; they must incr"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)] * 2, [1.0]), ValueError, r"milestones\[0\] is 1.0"),
        (lambda o: SequentialLR(None, [], []), TypeError, "SequentialLR: optimizer is a NoneType"),
    ],
)
def test_errors(make, error, words):
    o = optimizer()
    with pytest.raises(error, match=words):
        make(o)
    assert [group["lr"] for group in o.param_groups] == RATES


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: s | {"schedulers": s["schedulers"][:1]}, "SequentialLR.load_state_dict: schedulers is"),
        (lambda s: s | {"schedulers": None}, "schedulers is None"),
        (lambda s: s | {"schedulers": s["schedulers"][::-1]}, "LinearLR.load_state_dict: expected the keys"),
        (lambda s: s | {"schedulers": [3, 4]}, "LinearLR.load_state_dict: expected the keys .*, got int"),
        (lambda s: s | {"milestones": [2, 3]}, r"milestones is \[2, 3\]; this .* needs 1"),
        (lambda s: s | {"milestones": [2.5]}, r"milestones.* is 2.5"),
        (lambda s: s | {"last_epoch": -1}, "last_epoch is -1"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, words):
    def make():
        o = optimizer()
        return SequentialLR(o, [LinearLR(o), StepLR(o, 2)], [5])

    scheduler, other = make(), make()
    for _ in range(7):
        other.step()
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match=words):
        scheduler.load_state_dict(spoil(other.state_dict()))
    assert scheduler.state_dict() == before
