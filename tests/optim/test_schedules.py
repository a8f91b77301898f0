"""Schedules that are a formula of the epoch."""

import math

import pytest
from hypothesis import given, settings, strategies as st
from schedules_run import RATES, optimizer, same_as_torch

from tinygrad_edu import optim
from tinygrad_edu.optim import CosineAnnealingLR, LambdaLR, LinearLR, MultiStepLR, StepLR

SHARES = st.sampled_from([0.1, 0.5, 0.99, 1.0])
OPTIONS = {
    "StepLR": {"step_size": st.integers(1, 9), "gamma": st.sampled_from([0.0, 0.3, 1.2])},
    "MultiStepLR": {"milestones": st.lists(st.integers(0, 30), max_size=5), "gamma": st.sampled_from([0.3, 1.2])},
    "ExponentialLR": {"gamma": st.sampled_from([0.3, 0.99, 1.2])},
    "LinearLR": {"start_factor": SHARES, "end_factor": SHARES | st.just(0.0), "total_iters": st.integers(1, 30)},
    "CosineAnnealingLR": {"T_max": st.integers(1, 30), "eta_min": st.sampled_from([0.0, 1e-3])},
}


@settings(max_examples=40, derandomize=True)
@given(drawn=st.one_of([st.tuples(st.just(k), st.fixed_dictionaries(v)) for k, v in OPTIONS.items()]))
def test_forty_epochs_are_pytorchs(drawn):
    name, options = drawn
    same_as_torch(lambda s, o: getattr(s, name)(o, **options), 40)


def test_the_function_may_be_any_callable_and_its_factor_any_number():
    class Halves:
        def __call__(self, epoch):
            return 2 if epoch == 0 else 0.5

    scheduler = LambdaLR(optimizer(), Halves())
    assert scheduler.get_last_lr() == [2 * lr for lr in RATES]
    scheduler.step()
    assert scheduler.get_last_lr() == [lr / 2 for lr in RATES]
    assert scheduler.lr_at(5, 1.0) == 0.5
    assert "lr_lambdas" not in scheduler.state_dict()
    functions = [lambda epoch: 1.0, lambda epoch: 2.0, lambda epoch: 3.0]
    assert LambdaLR(optimizer(), functions).lr_at(0, 1.0) == 1.0


def test_a_state_may_bring_other_milestones():
    scheduler, other = MultiStepLR(optimizer(), [3]), MultiStepLR(optimizer(), [1, 2, 2], gamma=0.5)
    for _ in range(2):
        other.step()
    scheduler.load_state_dict(other.state_dict())
    assert scheduler.milestones == [1, 2, 2] and scheduler.get_last_lr() == [lr / 8 for lr in RATES]
    for milestones in ([1.5], [-1], "12", None, 3, [None]):
        with pytest.raises(ValueError, match=r"MultiStepLR.load_state_dict: milestones"):
            scheduler.load_state_dict(other.state_dict() | {"milestones": milestones})


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda o: MultiStepLR(o, 30), ValueError, r"MultiStepLR: milestones is 30; it must be a list of epochs"),
        (lambda o: MultiStepLR(o, "30"), ValueError, "milestones is '30'"),
        (lambda o: MultiStepLR(o, [3, 2.5]), ValueError, r"milestones\[1\] is 2.5; it must be an integer"),
        (lambda o: MultiStepLR(o, [-1]), ValueError, r"milestones\[0\] is -1"),
        (lambda o: MultiStepLR(o, [1], gamma=-1), ValueError, "MultiStepLR: gamma is -1"),
        (lambda o: LinearLR(o, 0.0), ValueError, "LinearLR: start_factor is 0.0; .* above 0 and at most 1"),
        (lambda o: LinearLR(o, end_factor=1.1), ValueError, "LinearLR: end_factor is 1.1"),
        (lambda o: LinearLR(o, total_iters=0), ValueError, "LinearLR: total_iters is 0"),
        (lambda o: LambdaLR(o, 0.95), TypeError, r"LambdaLR: lr_lambda is 0.95; pass a function"),
        (lambda o: LambdaLR(o, [math.cos, 1.0, math.cos]), TypeError, r"lr_lambda is 1.0"),
        (lambda o: LambdaLR(o, [math.cos]), ValueError, "there are 1 functions for 3 groups; give one for each"),
        (lambda o: LambdaLR(o, []), ValueError, "there are 0 functions for 3 groups"),
        (lambda o: LambdaLR(o, lambda epoch: None), ValueError, r"LambdaLR: lr_lambda\(0\) is None; .* a number"),
        (lambda o: LambdaLR(o, lambda epoch: -1.0), ValueError, r"lr_lambda\(0\) is -1.0"),
        (lambda o: LambdaLR(3, math.cos), TypeError, "LambdaLR: optimizer is a int"),
        (lambda o: StepLR(o, 2**54), ValueError, "step_size is 18014398509481984; there are not so many epochs"),
        (lambda o: CosineAnnealingLR(o, 5, eta_min=0.2), ValueError, "above the rate 0.003 that a group begins with"),
    ],
)
def test_errors(make, error, words):
    o = optimizer()
    with pytest.raises(error, match=words):
        make(o)
    assert [group["lr"] for group in o.param_groups] == RATES or "begins" in words


def test_the_place_has_pytorchs_name():
    assert optim.lr_scheduler.StepLR is StepLR and optim.lr_scheduler.LRScheduler is optim.Scheduler
    assert set(dir(optim.lr_scheduler)) == set(optim.lr_scheduler.__all__)
    assert {name for name in optim.__all__ if name.endswith("LR")} <= set(optim.lr_scheduler.__all__)
    with pytest.raises(AttributeError, match=r"did you mean .*\.StepLR"):
        optim.lr_scheduler.StepLr  # noqa: B018
