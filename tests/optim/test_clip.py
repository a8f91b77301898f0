"""Clipping: PyTorch's norms and factors, in place, with gradients of every kind."""

import math
import tracemalloc

import numpy as np
import pytest
from gradients import with_grad
from hypothesis import given, strategies as st
from strategies import arrays, full

from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.optim import clip_grad_norm_, clip_grad_value_


def parameters(grads):
    return [with_grad(np.zeros_like(g), g) for g in grads]


@given(
    grads=st.lists(arrays(full), min_size=1, max_size=3),
    max_norm=st.sampled_from([0, 1e-3, 1, 1e3, math.inf]),
    norm_type=st.sampled_from([2, 1, 2.5, 0.5, math.inf]),
)
def test_norm_and_gradients_are_pytorchs(grads, max_norm, norm_type):
    torch = pytest.importorskip("torch")
    params = [*parameters(grads), Tensor([1.0])]  # the last has no gradient
    theirs = [torch.zeros(np.shape(g), dtype=torch.float64, requires_grad=True) for g in grads]
    for p, g in zip(theirs, grads, strict=True):
        p.grad = torch.tensor(g)
    before = clip_grad_norm_(iter(params), max_norm, norm_type)
    assert type(before) is float
    assert before == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type).item(), rel=1e-12)
    for p, q in zip(params, theirs, strict=False):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)
        assert np.shape(p.grad) == p.shape
    assert params[-1].grad is None


@given(grads=st.lists(arrays(full), min_size=1, max_size=3), clip_value=st.sampled_from([0, 0.5, 1.0, math.inf]))
def test_clipped_values_are_pytorchs(grads, clip_value):
    torch = pytest.importorskip("torch")
    params = [*parameters(grads), Tensor([1.0])]
    theirs = [torch.zeros(np.shape(g), dtype=torch.float64, requires_grad=True) for g in grads]
    for p, g in zip(theirs, grads, strict=True):
        p.grad = torch.tensor(g)
    clip_grad_value_(params, clip_value)
    torch.nn.utils.clip_grad_value_(theirs, clip_value)
    for p, q in zip(params, theirs, strict=False):
        np.testing.assert_array_equal(p.grad, q.grad.numpy())
    assert params[-1].grad is None


@pytest.mark.parametrize("values", [[1.0, math.nan], [2.0, math.inf], [-math.inf, math.nan], -math.inf, math.nan])
@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
def test_gradients_that_are_not_finite_as_in_pytorch(values, norm_type):
    torch = pytest.importorskip("torch")
    params, theirs = parameters([[1.0, 2.0], values]), [torch.zeros(2, requires_grad=True, dtype=torch.float64)]
    theirs.append(torch.zeros(np.shape(values), requires_grad=True, dtype=torch.float64))
    for p, q in zip(params, theirs, strict=True):
        q.grad = torch.tensor(p.grad)
    np.testing.assert_allclose(
        clip_grad_norm_(params, 1.0, norm_type), torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type).item()
    )
    for p, q in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy())


@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
def test_empty_gradients_add_nothing(norm_type):
    params = parameters([np.zeros((0, 3)), [-2.0], np.zeros(0)])
    assert clip_grad_norm_(params, 1.0, norm_type) == 2
    assert [np.shape(p.grad) for p in params] == [(0, 3), (1,), (0,)]
    clip_grad_value_(params, 0.5)
    assert params[1].grad == -0.5


def test_an_error_on_request_changes_nothing():
    params = parameters([[3.0, 4.0], [math.inf]])
    with pytest.raises(RuntimeError, match=r"the norm is inf, .* detect_anomaly"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[0].grad.tolist() == [3.0, 4.0]
    assert clip_grad_norm_(params[0], 1.0, error_if_nonfinite=True) == 5


@pytest.mark.parametrize("norm_type", [1, 2, 3, math.inf])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        *[(np.float16, 300.0), (np.float16, 1e-5), (np.float32, 1e25), (np.float32, 1e-30)],
        *[(np.float64, 1e100), (np.float64, 1e200), (np.float64, 1e-200)],
    ],
)
def test_norms_whose_powers_the_dtype_cannot_hold(dtype, size, norm_type):
    grad = np.full((400, 10), size, dtype)
    p = with_grad(np.zeros_like(grad), grad)
    exact = float(grad[0, 0]) * (1 if norm_type == math.inf else 4000 ** (1 / norm_type))
    assert clip_grad_norm_(p, math.inf, norm_type) == pytest.approx(exact, rel=1e-5)


def test_float16_takes_factors_that_it_could_not_hold():
    for shape in ((1_000_000,), (2, 500_000)):
        p = with_grad(np.zeros(shape, np.float16), np.full(shape, 6e4, np.float16))
        grad = p.grad
        assert clip_grad_norm_(p, 1.0) == pytest.approx(6e7, rel=1e-3)
        assert p.grad is grad and grad.dtype == np.float16
        np.testing.assert_allclose(grad, 1e-3, rtol=2e-3)


def test_all_shorten_by_one_factor_in_place():
    model = nn.MLP([5, 4, 3], rng=np.random.default_rng(0))
    model(np.ones((2, 5), np.float32)).sum().backward()
    grads = [p.grad for p in model.parameters()]
    before = [g.copy() for g in grads]
    norm = clip_grad_norm_(model.parameters(), 0.1)
    assert norm > 0.1
    for p, g, old in zip(model.parameters(), grads, before, strict=True):
        assert p.grad is g
        assert g.dtype == np.float32
        np.testing.assert_allclose(g, old * np.float32(0.1 / norm), rtol=1e-4)
    assert clip_grad_norm_(model.parameters(), 0.1) == pytest.approx(0.1, rel=1e-4)
    clip_grad_value_(model.parameters(), 1e-3)
    assert max(np.abs(g).max() for g in grads) == np.float32(1e-3)


def test_scalars_read_only_arrays_and_the_single_tensor():
    p, q = with_grad(1.0, -4.0, np.float32), with_grad([1.0, 1.0], [3.0, 0.0])
    q.grad.flags.writeable = False
    read_only = q.grad
    assert clip_grad_norm_([p, q], 2.5) == 5
    assert p.grad == pytest.approx(-2, rel=1e-6)
    assert p.grad.dtype == np.float32
    assert q.grad == pytest.approx([1.5, 0], rel=1e-6)
    assert read_only.tolist() == [3.0, 0.0]
    clip_grad_value_(p, 1)
    clip_grad_value_(q, 1)
    assert p.grad == -1
    assert q.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_nothing_to_clip(clip):
    p = Tensor([1.0])
    for nothing in ([p], [], nn.ReLU().parameters()):
        assert clip(nothing, 1.0) == (0.0 if clip is clip_grad_norm_ else None)
    assert p.grad is None
    p.grad = np.zeros(1)
    clip([p], 1.0)
    assert p.grad == 0


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_no_allocation_that_grows_with_the_model(clip):
    params = parameters([np.ones((300, 400), np.float32).T, np.ones(100_000, np.float32)])
    clip(params, 0.5)
    tracemalloc.start()
    clip(params, 0.3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: (nn.Flatten(), 1.0), TypeError, "parameters is a Flatten; pass model.parameters"),
        (lambda p: ([p.grad], 1.0), TypeError, r"parameters\[0\] is a ndarray"),
        (lambda p: ([p, p], 1.0), ValueError, "there twice"),
        (lambda p: ([p * 2], 1.0), ValueError, "result of an op"),
        (lambda p: (p, -1.0), ValueError, "is -1.0; it must be a number, at least 0"),
        (lambda p: (p, math.nan), ValueError, "is nan; it must be"),
        (lambda p: (p, "1"), ValueError, "is '1'; it must be"),
    ],
)
def test_errors(clip, make, error, words):
    with pytest.raises(error, match=f"{clip.__name__}: .*{words}"):
        clip(*make(with_grad([1.0], [1.0])))


def test_whether_to_raise_is_true_or_false():
    with pytest.raises(TypeError, match="error_if_nonfinite is 'no'; it must be True or False"):
        clip_grad_norm_(with_grad([1.0], [1.0]), 1.0, error_if_nonfinite="no")
    assert clip_grad_norm_(with_grad([3.0], [3.0]), 1.0, error_if_nonfinite=np.True_) == 3


@pytest.mark.parametrize("norm_type", [0, -1, -math.inf, math.nan, "inf"])
def test_orders_that_are_no_norm(norm_type):
    with pytest.raises(ValueError, match=r"norm_type is .*; it must be a number, above 0"):
        clip_grad_norm_(with_grad([1.0], [1.0]), 1.0, norm_type)


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_a_gradient_with_a_graph_is_refused(clip):
    p = Tensor([1.0, 2.0], name="w")
    (p**3).sum().backward(create_graph=True)
    with pytest.raises(TypeError, match=r"the gradient of w\(2,\) is a Tensor with a graph .* p.grad = p.grad.numpy"):
        clip([p], 1.0)
    p.grad = p.grad.numpy()
    clip([p], 1.0)
    optim.SGD([p]).step()


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize("grad", [[3.0, -4.0], np.array([3, -4]), np.array([3, -4], np.int8), (3, -4)])
def test_a_gradient_set_by_hand_is_clipped_as_a_float(clip, grad):
    p, q = Tensor([1.0, 1.0]), with_grad([1.0, 1.0], [3.0, -4.0])
    p.grad = grad
    clip([p], 0.5), clip([q], 0.5)
    np.testing.assert_allclose(p.grad, q.grad)
    assert p.grad.dtype == np.float64


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
@pytest.mark.parametrize(
    "grad",
    [np.ones(1), np.ones((2, 1)), 1.0, ["1", "2"], np.ones(2) * 1j, [None, 1], np.ma.array([1.0, 2], mask=[1, 0])],
)
def test_a_gradient_that_cannot_be_one_is_not_clipped(clip, grad):
    p = Tensor([1.0, 1.0])
    p.grad = grad
    with pytest.raises((TypeError, ValueError), match=clip.__name__):
        clip([p], 0.5)
