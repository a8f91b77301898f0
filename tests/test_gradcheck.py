"""gradcheck passes right gradients and catches wrong ones: each planted mistake must be found and named."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, gradcheck, op
from tinygrad_edu.engine import REGISTRY


@pytest.fixture
def planted(monkeypatch):
    """Makes an op of a function and wrong rules that is not in the registry afterwards."""

    def plant(*vjps, forward=lambda x: x**3):
        made = op(*vjps)(forward)
        REGISTRY.pop(forward.__name__.lstrip("_"))
        return made

    return plant


def test_right_gradients_pass():
    rng = np.random.default_rng(0)
    assert gradcheck(lambda x, y: tg.tanh(x @ y), rng.normal(size=(2, 3)), rng.normal(size=3), order=2) is True
    assert gradcheck(lambda x: x**2, 3) is True
    net = {"w": rng.normal(size=(3, 2)), "rest": [Tensor(np.ones(2)), (0.5, np.array([0, 1])), None]}
    assert (
        gradcheck(lambda p, x: tg.tanh(x @ p["w"] + p["rest"][0]) * p["rest"][1][0], net, np.ones(3), order=2) is True
    )
    assert gradcheck(lambda x: x**2, np.ones(2, np.float32)) is True
    assert gradcheck(lambda x: x.sum(), np.ones((0, 2))) is True
    assert gradcheck(tg.cross_entropy, rng.normal(size=(3, 4)), np.array([0, 3, 1]), order=2) is True
    assert gradcheck(lambda x: x * 1e6, 1e4, order=2) is True
    assert gradcheck(lambda x, y: x + 0 * y, 1.0, 2.0, order=2) is True


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, out, x: g * 3 * x,  # exponent forgotten
        lambda g, out, x: -g * 3 * x**2,  # sign
        lambda g, out, x: g * 3 * x**2 + 1e-3,  # a small bias
        lambda g, out, x: 3 * x**2,  # chain rule forgotten
        lambda g, out, x: g * 3 * x**2 * np.array([1, 1, 1, 1.001]),  # one element of four
    ],
)
def test_planted_first_derivatives_are_caught(planted, rule):
    f = planted(rule)
    with pytest.raises(AssertionError, match=r"order 1: input 0 at index .*analytic .*numeric"):
        gradcheck(lambda x: f(x) * 2, np.array([0.5, -1.0, 2.0, 1.5]))


def test_a_rule_that_is_right_but_not_differentiable_is_caught_at_order_2(planted):
    f = planted(lambda g, out, x: g * 3 * getattr(x, "data", x) ** 2 if isinstance(x, Tensor) else g * 3 * x**2)
    x = np.array([0.5, 2.0])
    assert gradcheck(f, x)
    with pytest.raises(AssertionError, match="order 2: input 0"):
        gradcheck(f, x, order=2)


def test_the_error_names_input_index_and_both_numbers(planted):
    f = planted(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x * 2, forward=lambda x, y: x * y)
    y = Tensor([[2.0]], name="bias")
    with pytest.raises(AssertionError, match=r"order 1: input 1 \(bias\) at index \(0, 0\): analytic 10.*numeric 5"):
        gradcheck(f, np.array([5.0]), y, rtol=1e-3)


def test_tensors_are_perturbed_in_place_and_restored():
    w = Tensor([1.0, 2.0])
    assert gradcheck(lambda x, _: (w * x).sum(), np.array([3.0, 4.0]), w, order=2)
    np.testing.assert_array_equal(w.data, [1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: x * 2 if x.data[0] == 1.0 else 1 / 0, w)
    np.testing.assert_array_equal(w.data, [1.0, 2.0])


def test_constants_are_handed_on():
    mask = np.array([True, False])
    constant = Tensor([2.0, 3.0], requires_grad=False)
    assert gradcheck(lambda x, m, c: tg.where(m, x, 0) * c, np.array([1.0, 2.0]), mask, constant, order=2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gradcheck(lambda x: x, 1.0, order=3), ValueError, "order must be 1 or 2"),
        (lambda: gradcheck(lambda x: x, Tensor(1.0, dtype=np.float32)), TypeError, "float32.*float64"),
        (lambda: gradcheck(lambda x: x, Tensor(1.0) * 2), TypeError, "leaves"),
        (lambda: gradcheck(lambda x: x, np.array([1, 2])), ValueError, "no input requires a gradient"),
        (lambda: gradcheck(lambda x: x.data, 1.0), TypeError, "float64, not a Tensor"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_inside_no_grad():
    with tg.no_grad():
        assert gradcheck(lambda x: x**3, 2.0, order=2)
