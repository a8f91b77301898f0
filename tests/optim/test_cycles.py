"""Restarts, and one cycle of rate and momentum."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from schedules_run import RATES, momenta, optimizer, same_as_torch

from tinygrad_edu import Tensor, optim
from tinygrad_edu.optim import CosineAnnealingWarmRestarts, OneCycleLR

GROUPS = [st.sampled_from(values) | st.just(values) for values in ([0.2, 1.0, 0.03], [0.7, 0.8, 0.0], [0.95, 0.8, 0.9])]
ONE_CYCLE = {
    "max_lr": GROUPS[0],
    "pct_start": st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    "anneal_strategy": st.sampled_from(["cos", "linear"]),
    "cycle_momentum": st.booleans(),
    "base_momentum": GROUPS[1],
    "max_momentum": GROUPS[2],
    "div_factor": st.sampled_from([25.0, 2.0, 0.5]),
    "final_div_factor": st.sampled_from([1e4, 1.0]),
    "three_phase": st.booleans(),
}
STEPS = st.integers(2, 40).map(lambda n: {"total_steps": n}) | st.just({"epochs": 4, "steps_per_epoch": 7})


@settings(max_examples=40, derandomize=True)
@given(options=st.fixed_dictionaries(ONE_CYCLE), steps=STEPS, kind=st.sampled_from([optim.SGD, optim.AdamW]))
def test_one_cycle_is_pytorchs(options, steps, kind):
    total = steps.get("total_steps", 28)
    assume(options["pct_start"] * total != 1)  # there PyTorch divides by zero
    same_as_torch(lambda s, o: s.OneCycleLR(o, **options, **steps), total, kind)


@settings(max_examples=20, derandomize=True)
@given(
    T_0=st.integers(1, 12),
    T_mult=st.integers(1, 3),
    eta_min=st.sampled_from([0.0, 1e-3]),
    every=st.sampled_from([0, 3]),
)
def test_restarts_are_pytorchs(T_0, T_mult, eta_min, every):
    """Step by step, and with epochs of one's own in between, also between two."""

    def step(scheduler, epoch):
        if every and epoch % every == 0:
            scheduler.step(1.375 * epoch)
        else:
            scheduler.step()

    same_as_torch(lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0, T_mult, eta_min), 40, step=step)


def test_restarts_lie_where_they_should():
    scheduler = CosineAnnealingWarmRestarts(optimizer([1.0]), T_0=3, T_mult=3)
    restarts = [epoch for epoch in range(1000) if scheduler.lr_at(epoch, 1.0) == 1.0]
    assert restarts == [0, 3, 12, 39, 120, 363]  # PyTorch's step(363) takes a logarithm, and misses it
    scheduler.step(4.5)
    assert (scheduler.T_cur, scheduler.T_i, scheduler.epoch, scheduler.last_epoch) == (1.5, 9, 4.5, 4)
    scheduler.step()
    assert (scheduler.T_cur, scheduler.T_i, scheduler.epoch, scheduler.last_epoch) == (2.5, 9, 5.5, 5)


def test_one_cycle_by_hand():
    o = optim.SGD([Tensor(0.0)], lr=5.0)
    scheduler = OneCycleLR(o, max_lr=1.0, total_steps=11, pct_start=6 / 11, anneal_strategy="linear", div_factor=2,
                           final_div_factor=5, base_momentum=0.5, max_momentum=0.9)  # fmt: skip
    rates, momentum = [], []
    for _ in range(11):
        rates += scheduler.get_last_lr()
        momentum += momenta(o)
        scheduler.step()
    np.testing.assert_allclose(rates, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.82, 0.64, 0.46, 0.28, 0.1])
    np.testing.assert_allclose(momentum, [0.9, 0.82, 0.74, 0.66, 0.58, 0.5, 0.58, 0.66, 0.74, 0.82, 0.9])
    assert scheduler.get_last_lr() == pytest.approx([0.1]) and momenta(o) == pytest.approx([0.9])
    with pytest.raises(ValueError, match="OneCycleLR: this is step 12, but total_steps is 11; it must be how often"):
        scheduler.step()
    assert scheduler.last_epoch == 11


@pytest.mark.parametrize("pct_start", [0.0, 0.1, 1.0])
def test_phases_of_no_length(pct_start):
    scheduler = OneCycleLR(optimizer([1.0]), 1.0, total_steps=10, pct_start=pct_start)
    rates = []
    for _ in range(11):
        rates += scheduler.get_last_lr()
        scheduler.step() if len(rates) < 11 else None
    assert all(0 < lr <= 1 for lr in rates) and max(rates) > 0.9


def test_the_momentum_is_left_alone_if_asked():
    o = optim.Adagrad([Tensor(0.0)])
    assert OneCycleLR(o, 1.0, total_steps=5, cycle_momentum=False).get_last_lr() == pytest.approx([0.04])
    with pytest.raises(ValueError, match="OneCycleLR: Adagrad has no momentum and no betas; pass cycle_momentum=False"):
        OneCycleLR(o, 1.0, total_steps=5)
    sgd = optim.SGD([Tensor(0.0)], momentum=0.3)
    OneCycleLR(sgd, 1.0, total_steps=5, cycle_momentum=False).step()
    assert momenta(sgd) == [0.3]


def test_training_with_betas_that_change_is_pytorchs():
    """Each new beta1 rescales the sum that is kept."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    p, q = Tensor(np.ones(3)), torch.ones(3, dtype=torch.float64, requires_grad=True)
    pairs = (optim.AdamW([p]), optim.lr_scheduler), (torch.optim.AdamW([q]), torch.optim.lr_scheduler)
    runs = [(o, s.OneCycleLR(o, 0.1, total_steps=25)) for o, s in pairs]
    for _ in range(25):
        p.grad = rng.standard_normal(3)
        q.grad = torch.tensor(p.grad)
        for o, scheduler in runs:
            o.step(), scheduler.step()
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda o: CosineAnnealingWarmRestarts(o, 0), ValueError, "CosineAnnealingWarmRestarts: T_0 is 0"),
        (lambda o: CosineAnnealingWarmRestarts(o, 1, 1.5), ValueError, "T_mult is 1.5"),
        (lambda o: CosineAnnealingWarmRestarts(o, 1, 0), ValueError, "T_mult is 0"),
        (lambda o: CosineAnnealingWarmRestarts(o, 1, eta_min=0.2), ValueError, "above the rate 0.003"),
        (
            lambda o: CosineAnnealingWarmRestarts(o, 1).step(-1),
            ValueError,
            r"Restarts.step: epoch is -1",
        ),
        (lambda o: CosineAnnealingWarmRestarts(o, 1).step("1"), ValueError, r"step: epoch is '1'"),
        (lambda o: OneCycleLR(o, 0.1), ValueError, "total_steps is None; it must be given, or else epochs and"),
        (lambda o: OneCycleLR(o, 0.1, epochs=3), ValueError, "OneCycleLR: total_steps is None"),
        (lambda o: OneCycleLR(o, 0.1, epochs=3, steps_per_epoch=0), ValueError, "steps_per_epoch is 0"),
        (lambda o: OneCycleLR(o, 0.1, 2.5), ValueError, "OneCycleLR: total_steps is 2.5"),
        (lambda o: OneCycleLR(o, -0.1, 5), ValueError, "OneCycleLR: max_lr is -0.1"),
        (lambda o: OneCycleLR(o, [0.1], 5), ValueError, "max_lr has 1 entries for 3 groups; give one for each"),
        (lambda o: OneCycleLR(o, None, 5), ValueError, "max_lr is None"),
        (lambda o: OneCycleLR(o, 0.1, 5, pct_start=1.1), ValueError, "pct_start is 1.1"),
        (lambda o: OneCycleLR(o, 0.1, 5, anneal_strategy="exp"), ValueError, "is 'exp'; it must be 'cos' or 'linear'"),
        (lambda o: OneCycleLR(o, 0.1, 5, cycle_momentum=1), ValueError, "cycle_momentum is 1; it must be True or"),
        (lambda o: OneCycleLR(o, 0.1, 5, three_phase=None), ValueError, "three_phase is None"),
        (lambda o: OneCycleLR(o, 0.1, 5, base_momentum=1.0), ValueError, "base_momentum is 1.0"),
        (lambda o: OneCycleLR(o, 0.1, 5, max_momentum=[0.9]), ValueError, "max_momentum has 1 entries for 3 groups"),
        (lambda o: OneCycleLR(o, 0.1, 5, div_factor=0), ValueError, "div_factor is 0; .* above 0"),
        (lambda o: OneCycleLR(o, 0.1, 5, final_div_factor=math.inf), ValueError, "final_div_factor is inf"),
        (lambda o: OneCycleLR(None, 0.1, 5), TypeError, "OneCycleLR: optimizer is a NoneType"),
    ],
)
def test_errors(make, error, words):
    o = optimizer()
    with pytest.raises(error, match=words):
        make(o)
    assert o.lr == RATES[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_momentums": [0.5, 0.5, 1.0]}, "base_momentums is 1.0"),
        ({"max_momentums": []}, r"max_momentums is \[\]; this optimizer needs 3"),
        ({"anneal_strategy": None}, "anneal_strategy is None"),
        ({"three_phase": 1}, "three_phase is 1"),
        ({"pct_start": 2}, "pct_start is 2"),
        ({"total_steps": 0.5}, "total_steps is 0.5"),
        ({"div_factor": 0}, "div_factor is 0"),
        ({"last_epoch": 6}, "last_epoch is 6, beyond total_steps, 5"),
    ],
)
def test_a_state_that_cannot_be(change, words):
    scheduler = OneCycleLR(optimizer(), 0.1, 5)
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match=words):
        scheduler.load_state_dict(before | change)
    assert scheduler.state_dict() == before
