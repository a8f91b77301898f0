"""What is wrong with a gradient that was worked out by hand: the usual mistakes, each told by its trace."""

import numpy as np
import pytest
from drawn import f_of_xyz, named, network
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_edu import Tensor
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.verdict import judge, judge_all, verdict_counts, verdict_text

A = np.array([[1.5, -2.0, 0.25], [3.0, 0.5, -1.25]])
S = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("own", "right"),
    [
        (A, A),
        (-4, np.array(-4.0)),
        (-4.0, np.array(-4.0, np.float32)),
        (A.tolist(), A),
        (Tensor(A), A),
        (A * (1 + 3e-6), A),
        (A.astype(np.float32), A),
        ((A * (1 + 3e-4)).astype(np.float32), A.astype(np.float32)),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0])),
        (np.zeros(3), np.zeros(3)),
    ],
)
def test_what_is_right_up_to_rounding(own, right):
    found = judge(own, right)
    assert (found.status, found.mark, found.hint, found.difference()) == ("right", "✓", "", "")


@pytest.mark.parametrize(
    ("own", "right", "hint"),
    [
        (-0.212, -0.21223, "rounded to 3 digits"),
        (0.21, 0.2083, "rounded to 2 digits"),
        ([0.333, 12.3], [1 / 3, 12.34], "rounded to 3 digits"),
    ],
)
def test_numbers_from_paper_are_right(own, right, hint):
    found = judge(own, np.array(right))
    assert (found.status, found.hint) == ("right", hint)


@pytest.mark.parametrize(
    ("own", "right", "hint"),
    [
        (4.0, -4.0, "wrong sign"),
        (-A, A, "wrong sign"),
        (2 * A, A, "twice the right one: did backward() run twice without zero_grad()?"),
        (3 * A, A, "3 times the right one: did backward() run 3 times without zero_grad()?"),
        (A / 2, A, "half the right one"),
        (A / 32, A, "1/32 of the right one"),
        (-2 * A, A, "−2 times the right one"),
        (0.37 * A, A, "0.37 times the right one"),
        (7.0, -4.0, ""),
        (1.0, 0.996, "off by 0.4%"),
        (S.T, S, "transposed"),
        (A.T, A, "transposed: shape [3×2] instead of [2×3]"),
        (A, A.sum(0), "not summed over axis 0: shape [2×3] instead of [3]"),
        (A, A.sum(), "not summed over axes 0, 1: shape [2×3] instead of ()"),
        (A, A.sum(0, keepdims=True), "not summed over axis 0: shape [2×3] instead of [1×3]"),
        (A.ravel(), A, "right numbers, but shape [6] instead of [2×3]"),
        (1.0, np.ones(3), "right numbers, but shape () instead of [3]"),
        (np.ones(4), A, "shape [4] instead of [2×3]"),
        (np.zeros((2, 3)), A, "still 0"),
        (np.abs(A), A, "wrong signs in 2 of 6 elements"),
        (np.where(A == 0.25, 1.25, A), A, "wrong in 1 of 6 elements"),
        ([np.nan, 1.0], np.array([2.0, 1.0]), "NaN or ∞"),
        ("x", A, "not numbers, but a str"),
        (A * 1j, A, "not real numbers, but complex128"),
        ([[1.0], [1.0, 2.0]], A, "not numbers, but a list"),
        ([Tensor(1.0)], np.ones(1), "not numbers, but a list"),
    ],
)
def test_a_mistake_is_told_by_its_trace(own, right, hint):
    found = judge(own, np.asarray(right))
    assert (found.status, found.mark, found.hint) == ("wrong", "✗", hint)


def test_a_forgotten_path_comes_before_a_factor():
    paths = [np.array(3.0), np.array(3.0), np.array(-1.0)]
    assert judge(6.0, np.array(5.0), paths).hint == "only 2 of 3 paths"
    assert judge(3.0, np.array(6.0), paths[:2]).hint == "only 1 of 2 paths"
    assert judge(7.0, np.array(5.0), paths).hint == ""


def test_the_largest_difference_is_said_with_as_many_digits_as_it_needs():
    own = A.copy()
    own[1, 2] += 0.0004
    found = judge(own, A)
    assert found.place == (1, 2)
    assert found.difference() == "largest difference at [1, 2]: −1.2496 instead of −1.25"
    assert judge([1.0, np.nan], np.array([9.0, 1.0])).difference() == "largest difference at [1]: NaN instead of 1"


def test_rounding_of_large_numbers_that_cancel_is_not_wrong():
    right = np.array([1e-17, 1.0])
    assert judge([0.0, 1.0], right).status == "right"
    assert judge(np.array(3e-17), np.array(1e-17), scale=1.0).status == "right"
    assert judge(np.array(3e-17), np.array(1e-17)).status == "wrong"  # a vanished gradient is a number too


def test_not_set():
    found = judge(None, A)
    assert (found.status, found.mark, verdict_text(found)) == ("not set", "○", "○ .grad not set")


SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
DTYPES = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.bool_])
ARRAYS = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, SHAPES))


@given(ARRAYS, ARRAYS.filter(lambda x: x.dtype.kind == "f"))
def test_every_array_gets_a_verdict_and_a_reason(own, right):
    found = judge(own, right, [right, right])
    assert verdict_text(found)
    assert judge(right, right).status == "right"
    if found.status == "wrong" and right.size > 1:
        assert found.hint


def tensors(found):
    return {card.name: card.tensor for card in found.cards}


def test_a_graph_is_judged_where_grad_is_set_and_at_its_leaves():
    f = f_of_xyz()
    x, y, z = (tensors(record(f))[name] for name in "xyz")
    x.grad, y.grad = -4.0, 4.0
    found = record(f)
    x.grad = y.grad = 0.0  # afterwards: what stood there then is judged
    verdicts = {card.name: verdict for card, verdict in judge_all(found).items()}
    assert {name: verdict.status for name, verdict in verdicts.items()} == {"x": "right", "y": "wrong", "z": "not set"}
    assert verdict_counts(list(verdicts.values())) == "✓ 1 right, ✗ 1 wrong, ○ 1 not set"
    assert verdict_text(verdicts["y"]) == "✗ .grad 4: wrong sign"
    assert z.grad is None


def test_what_backward_fills_in_is_right_until_it_runs_twice():
    loss = network()
    loss.backward()
    assert {verdict.status for verdict in judge_all(record(loss)).values()} == {"right"}
    loss.backward()
    twice = {card: verdict for card, verdict in judge_all(record(loss)).items() if verdict.status == "wrong"}
    assert {card.kind for card in twice} == {"input"} and len(twice) == 4  # results do not add up
    assert all("run twice" in verdict.hint for verdict in twice.values())


def test_a_step_from_a_wrong_gradient_is_a_right_step():
    f = f_of_xyz()
    x, y, q = (tensors(record(f))[name] for name in "xyq")
    q.grad, x.grad, y.grad = 3.0, 3.0, 7.0
    verdicts = {card.name: verdict for card, verdict in judge_all(record(f)).items()}
    assert verdicts["x"].hint == "right step, but q has a wrong gradient"
    assert verdicts["q"].hint == verdicts["y"].hint == ""


def test_only_one_use_of_a_tensor_was_remembered():
    x = Tensor([1.0, 2.0], name="x")
    loss = named((x * x).sum(), "L")
    x.grad = x.data
    (verdict,) = judge_all(record(loss)).values()
    assert verdict.hint == "only 1 of 2 paths"


def test_where_nothing_flows_zero_is_right():
    x, w = Tensor(2.0, name="x"), Tensor(3.0, name="w")
    loss = np.floor(x) * w
    x.grad = 1.0
    verdicts = {card.name: verdict.status for card, verdict in judge_all(record(loss)).items()}
    assert verdicts == {"x": "wrong", "w": "not set"}
    assert judge_all(record(Tensor(1.0, requires_grad=False) * 2.0)) == {}
