"""Losses: PyTorch as a reference, and the hard cases; test_composed.py walks over all of them."""

from functools import partial

import numpy as np
import pytest
from domains.losses import LOSSES, REDUCTIONS
from finite_differences import check
from hypothesis import given, settings, strategies as st
from strategies import arrays, full_nd

from tinygrad_edu import Tensor, functional, grad

RNG = np.random.default_rng

X, Y = RNG(0).standard_normal((2, 6, 4)).astype(np.float32)
LABELS, P = RNG(1).integers(0, 4, 6), np.exp(Y) / np.exp(Y).sum(1, keepdims=True)
WEIGHT = np.array([0.5, 2.0, 0.0, 3.0], np.float32)
UNIT = 1 / (1 + np.exp(-X))
TORCH_CASES = [
    ("mse_loss", X, Y, {}),
    ("l1_loss", X, np.where(X > 0, X, Y), {}),
    ("huber_loss", X, Y, {}),
    ("huber_loss", X, X + np.array([0.5, -0.5, 1.0, 0], np.float32), {"delta": 0.5}),
    ("binary_cross_entropy", UNIT, P, {}),
    ("binary_cross_entropy", np.array([0, 1, 0, 1, 1e-30, 1e-9], np.float32), np.float32([1, 0, 0, 1, 1, 0]), {}),
    ("binary_cross_entropy_with_logits", X, P, {}),
    ("binary_cross_entropy_with_logits", X, (Y > 0).astype(np.float32), {"pos_weight": WEIGHT}),
    ("binary_cross_entropy_with_logits", 1e4 * X, (Y > 0).astype(np.float32), {"pos_weight": np.float32(3)}),
    ("binary_cross_entropy", UNIT, P, {"weight": WEIGHT}),
    ("binary_cross_entropy_with_logits", 1e4 * X, P, {"weight": WEIGHT, "pos_weight": np.float32(3)}),
    ("kl_div", np.log(P), UNIT, {}),
    ("kl_div", np.log(P), np.where(X > 0, 0, UNIT), {}),
    ("kl_div", np.log(P), np.log(UNIT), {"log_target": True}),
    *[("smooth_l1_loss", X, Y, {"beta": beta}) for beta in (0, 1e-50, 0.5, 1, 1e30)],
    *[("hinge_embedding_loss", X, np.where(Y > 0, 1, -1), {"margin": margin}) for margin in (1.0, 0.2, -0.5)],
    ("hinge_embedding_loss", np.float32([1, 1, 0, 2]), np.array([1, -1, -1, -1]), {}),
    *[
        ("multi_margin_loss", X, LABELS, {"p": p, "margin": margin, "weight": weight})
        for p, margin in [(1, 1.0), (2, 0.5)]
        for weight in (None, WEIGHT)
    ],
    *[
        (name, X, np.where(ignored == LABELS, wrong, LABELS), {"ignore_index": wrong, **options})
        for name in ("nll_loss", "cross_entropy")
        for ignored, wrong in [(1, -100), (2, 2), (3, -1), (0, 7)]
        for options in ({}, {"weight": WEIGHT})
    ],
    ("cross_entropy", X, np.where(LABELS == 1, -100, LABELS), {"weight": WEIGHT, "label_smoothing": 0.2}),
    ("cross_entropy", X, P, {"ignore_index": -1}),
    ("nll_loss", np.log(P), LABELS, {}),
    ("nll_loss", np.log(P), LABELS, {"weight": WEIGHT}),
    *[
        ("cross_entropy", scale * X, target, {"weight": weight, "label_smoothing": smoothing})
        for scale, target in [(1, LABELS), (1, P), (1e4, LABELS), (1e4, P)]
        for weight in (None, WEIGHT)
        for smoothing in (0.0, 0.1, 1.0)
    ],
]


@pytest.mark.parametrize("name, x, target, options", TORCH_CASES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_values_and_gradients_are_pytorchs(name, x, target, options, reduction):
    torch = pytest.importorskip("torch")
    ours, theirs = Tensor(x), torch.tensor(x, requires_grad=True)
    out = getattr(functional, name)(ours, target, reduction, **options)
    out.backward(np.ones(out.shape))
    converted = {k: torch.tensor(v) if isinstance(v, (np.ndarray, np.floating)) else v for k, v in options.items()}
    expected = getattr(torch.nn.functional, name)(theirs, torch.tensor(target), reduction=reduction, **converted)
    expected.sum().backward()
    assert out.dtype == ours.grad.dtype == np.float32
    largest = max(1.0, float(expected.detach().abs().max()))
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=2e-6, atol=1e-6 * largest)
    gradient = theirs.grad.numpy()
    if name == "binary_cross_entropy" and x.ndim == 1:  # right answers at 0 and 1: PyTorch's slope is 0 there
        gradient = np.where(x == target, gradient + (1 - 2 * target) / (x.size if reduction == "mean" else 1), gradient)
    np.testing.assert_allclose(ours.grad, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("target", ["labels", "probabilities"])
@given(data=st.data())
@settings(max_examples=10)
def test_gradients_flow_to_targets_and_weights_too(target, label_smoothing, data):
    shape = data.draw(full_nd)
    x, weight, q = data.draw(arrays(shape)), data.draw(arrays(shape[-1:], 0.5, 2.0)), data.draw(arrays(shape, 0.1, 0.9))
    options = {"label_smoothing": label_smoothing}
    if target == "probabilities":
        check(lambda x, q, w: functional.cross_entropy(x, q, weight=w, **options), x, q, weight)
    else:
        labels = q.argmax(-1)
        check(lambda x, w: functional.cross_entropy(x, labels, weight=w, **options), x, weight)
        check(lambda x, w: functional.nll_loss(x, labels, weight=w), x, weight)
    check(lambda x, q, w: functional.binary_cross_entropy_with_logits(x, q, pos_weight=w), x, q, weight)


CLASSIFIERS = ("cross_entropy", "multi_margin_loss", "nll_loss")
NAMES = sorted(name for name in LOSSES if "penalty" not in name)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *[(name, shape) for name in NAMES for shape in [(3,), (0, 4), (2, 3, 4), (2, 1, 3, 2)]],
        *[(name, shape) for name in NAMES if name not in CLASSIFIERS for shape in [(), (0,)]],
    ],
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.filterwarnings("ignore:.*(empty slice|invalid value|divide by zero)")  # the mean of nothing: NaN in both
def test_any_number_of_axes_is_as_in_pytorch(name, shape, reduction):
    torch = pytest.importorskip("torch")
    classes, rng = name in CLASSIFIERS, RNG(2)
    x, target = np.asarray(rng.uniform(0.1, 0.9, shape)), np.asarray(rng.uniform(0.1, 0.9, shape))
    if classes:
        target = np.asarray(rng.integers(0, shape[-1], shape[:-1]))
    if name == "hinge_embedding_loss":
        target = np.where(target > 0.5, 1, -1)
    if name == "multi_margin_loss" and (len(shape) > 2 or 0 in shape):
        pytest.skip("PyTorch takes one axis beside the classes, and of none returns what lay in memory")
    ours, theirs = Tensor(x), torch.tensor(x, requires_grad=True)
    out = getattr(functional, name)(ours, target, reduction)
    by_channel = theirs.movedim(-1, 1).contiguous() if classes and len(shape) > 1 else theirs
    expected = getattr(torch.nn.functional, name)(by_channel, torch.tensor(target), reduction=reduction)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-12, strict=True)
    out.backward(np.ones(out.shape)), expected.sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int32, np.int64])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_integers_do_not_wrap_around(name, reduction, dtype):
    x, target = np.array([1, 0, 100, 0], dtype), np.array([0, 1, 0, 120], dtype)
    expected = getattr(functional, name)(x.astype(float), target.astype(float), reduction)
    found = getattr(functional, name)(x, target, reduction)
    np.testing.assert_allclose(found, expected)
    assert found.dtype == np.result_type(dtype, np.float32)
    np.testing.assert_allclose(getattr(functional, name)(Tensor(x.astype(float)), target, reduction).data, expected)


def test_integer_logits_do_not_wrap_around():
    logits, labels = np.array([[200, 3], [0, 250]], np.uint8), np.array([0, 0])
    expected = functional.cross_entropy(logits.astype(float), labels, "none")
    for options in ({}, {"weight": np.ones(2)}):
        np.testing.assert_allclose(functional.cross_entropy(logits, labels, "none", **options), expected, rtol=1e-6)
    np.testing.assert_allclose(functional.nll_loss(logits, labels, "none"), [-200, 0])
    on = np.array([True, False])
    exact = functional.binary_cross_entropy_with_logits(on.astype(float), on)
    np.testing.assert_allclose(functional.binary_cross_entropy_with_logits(on, on), exact, rtol=1e-6)


def test_cross_entropy_of_huge_logits():
    logits = Tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=np.float32)
    loss = functional.cross_entropy(logits, np.array([1, 2]), reduction="none")
    loss.backward(np.ones(2))
    np.testing.assert_allclose(loss.data, [2e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(logits.grad, [[1, -1, 0], [0, 0.5, -0.5]], atol=1e-6)
    assert loss.dtype == logits.grad.dtype == np.float32


def test_options_keep_masked_logits_finite():
    logits, labels = Tensor([[0.0, -np.inf, 1.0]], dtype=np.float32), np.array([2])
    plain = functional.cross_entropy(logits, labels)
    weighted = functional.cross_entropy(logits, labels, weight=np.array([1.0, 2.0, 3.0]))
    assert weighted.item() == pytest.approx(plain.item()) == pytest.approx(np.log(1 + np.exp(-1)))
    weighted.backward()
    assert np.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_yes_or_no_keeps_its_digits_for_large_logits(dtype):
    x = Tensor([1e4, -1e4, 1e4, -1e4, 80.0, -80.0], dtype=dtype)
    loss = functional.binary_cross_entropy_with_logits(x, np.array([1, 1, 0, 0, 1, 0]), "none")
    loss.backward(np.ones(6))
    tiny = np.exp(-80.0)  # 1.8e-35
    np.testing.assert_allclose(loss.data, [0, 1e4, 1e4, 0, tiny, tiny], rtol=1e-5)
    np.testing.assert_allclose(x.grad, [0, -1, 1, 0, -tiny, tiny], rtol=1e-5)
    assert loss.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_distances_of_huge_numbers(scale):
    x = Tensor([scale, -scale, 0.0], dtype=np.float32)
    for loss, expected in (("huber_loss", scale - 0.5), ("l1_loss", scale)):
        x.grad, out = None, getattr(functional, loss)(x, np.zeros(3, np.float32), "none")
        out.backward(np.ones(3))
        np.testing.assert_allclose(out.data, [expected, expected, 0], rtol=1e-6)
        np.testing.assert_array_equal(x.grad, [1, -1, 0])


def test_logarithms_of_0_are_clamped():
    p = Tensor([0.0, 1.0, 1e-9], dtype=np.float32)
    loss = functional.binary_cross_entropy(p, np.array([True, False, False]), "none")
    loss.backward(np.ones(3))
    np.testing.assert_allclose(loss.data, [100, 100, 1e-9], rtol=1e-6)
    np.testing.assert_allclose(p.grad, [-1e12, 1e12, 1], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
def test_every_kind_of_integer_labels(dtype):
    logits = Tensor(np.arange(6.0).reshape(2, 3), dtype=np.float32)
    labels = np.array([0, 2], dtype)
    expected = np.log(np.exp([0, 1, 2]).sum()) - 1
    for loss in (
        functional.cross_entropy(logits, labels),
        functional.cross_entropy(logits, labels, weight=np.ones(3)),
        functional.cross_entropy(logits, np.eye(3, dtype=dtype)[labels]),
        functional.nll_loss(functional.log_softmax(logits), labels),
    ):
        assert loss.dtype == np.float32
        np.testing.assert_allclose(loss.data, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name, x, target, options",
    [
        ("cross_entropy", X, LABELS, {"weight": WEIGHT.tolist(), "label_smoothing": np.float64(0.1)}),
        ("cross_entropy", X, P.astype(np.float64), {}),
        ("nll_loss", np.log(P), LABELS, {"weight": WEIGHT.astype(np.float64)}),
        ("huber_loss", X, Y, {"delta": np.float64(0.5)}),
        ("binary_cross_entropy", P, (P > 0.3).astype(int), {}),
        ("binary_cross_entropy_with_logits", X, Y > 0, {"pos_weight": WEIGHT.astype(np.float64)}),
    ],
)
def test_float64_constants_do_not_widen(name, x, target, options):
    x = Tensor(x)
    loss = getattr(functional, name)(x, target, **options)
    loss.backward()
    assert loss.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_float16_keeps_small_and_many_and_large_numbers(name, reduction):
    rng, rows = RNG(0), 70_000  # as float16 that is infinite
    x, target = rng.uniform(0.1, 0.9, (2, rows, 2)).astype(np.float16)
    options = {}
    if name in ("mse_loss", "l1_loss", "huber_loss"):
        x[:3], target[:3] = [[2e-4, 300], [0.0, -200], [200, 0]], 0.0  # squares that are 0, or near the largest number
        x[3], x[1, 1], target[1, 1] = 1e-4, 240, 1
    if name == "binary_cross_entropy":
        x[:2] = target[:2] = [[0, 1], [1, 0]]
    if name == "hinge_embedding_loss":
        target = np.where(target > 0.5, 1, -1)
    if name == "binary_cross_entropy_with_logits":
        options = {"pos_weight": np.array([2.0, 0.5])}
    if name in CLASSIFIERS:
        x, target, options = np.log(x), rng.integers(0, 2, rows), {"weight": np.array([1.0, 3.0])}
    x[0] = x[0].clip(-200, 200)
    ours, exact = Tensor(x), Tensor(x.astype(np.float64))
    wide = target.astype(np.float64) if target.dtype == np.float16 else target
    loss = getattr(functional, name)(ours, target, reduction, **options)
    expected = getattr(functional, name)(exact, wide, reduction, **options)
    assert loss.dtype == np.float16
    np.testing.assert_allclose(loss.data, expected.data, rtol=1e-3, atol=1e-7)
    loss.backward(np.ones(loss.shape, np.float16)), expected.backward(np.ones(loss.shape))
    assert ours.grad.dtype == np.float16
    np.testing.assert_allclose(ours.grad, exact.grad, rtol=1e-3, atol=1e-7)


IMPOSSIBLE = [[1.0, 0.0, -np.inf], [-np.inf, 2.0, -np.inf]]
HOT = np.array([[0, 1, 0], [0, 1, 0]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"weight": [1.0, 2.0, 0.5]}, {"label_smoothing": 0.25, "weight": [1, 1, 0]}])
def test_an_impossible_class_that_never_happens_costs_nothing(dtype, options):
    rows = 1 if "label_smoothing" in options else 2  # a share of an impossible class costs inf
    logits = Tensor(np.array(IMPOSSIBLE[:rows], dtype))
    far = Tensor(np.maximum(IMPOSSIBLE[:rows], -1e4).astype(dtype))
    for target in (HOT[:rows], HOT[:rows].astype(dtype), HOT[:rows].argmax(-1)):
        for reduction in REDUCTIONS:
            logits.grad = far.grad = None
            loss, expected = [functional.cross_entropy(x, target, reduction, **options) for x in (logits, far)]
            loss.backward(np.ones(loss.shape)), expected.backward(np.ones(loss.shape))
            np.testing.assert_allclose(loss.data, expected.data, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(logits.grad, far.grad, rtol=1e-3, atol=1e-6)
    assert functional.cross_entropy(np.array(IMPOSSIBLE[:1]), HOT[:1]).item() == pytest.approx(1.3133, abs=1e-4)
    assert functional.cross_entropy(logits, 2 * np.ones(rows, int), "sum").item() == np.inf


def test_a_weight_of_0_drops_an_infinite_loss():
    logits, weight = Tensor([[0.0, -np.inf], [0.0, 1.0]]), [1.0, 0.0]
    labels, expected = np.array([1, 0]), np.log(1 + np.e)
    for loss in (
        functional.cross_entropy(logits, labels, weight=weight),
        functional.nll_loss(functional.log_softmax(logits), labels, weight=weight),
    ):
        loss.backward()
        assert loss.item() == pytest.approx(expected)
        assert np.isfinite(logits.grad).all()
    x = Tensor([np.inf, -np.inf, np.inf, -np.inf])
    loss = functional.binary_cross_entropy_with_logits(x, [1, 0, 0, 1], "none", pos_weight=[1, 1, 1, 0])
    loss.backward(np.ones(4))
    np.testing.assert_array_equal(loss.data, [0, 0, np.inf, 0])
    np.testing.assert_array_equal(x.grad, [0, 0, 1, 0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.filterwarnings("ignore:.*(invalid value|divide by zero)")
def test_the_mean_of_labels_that_all_have_the_weight_0_is_nan(smoothing, dtype):
    x = Tensor(X.astype(dtype))
    loss = functional.cross_entropy(x, LABELS * 0 + 2, weight=WEIGHT, label_smoothing=smoothing)
    loss.backward()
    assert np.isnan(loss.data) and np.isnan(x.grad).all()
    assert np.isnan(functional.nll_loss(X, LABELS * 0 + 2, weight=WEIGHT))


@pytest.mark.parametrize("name", ["huber_loss", "smooth_l1_loss"])
@pytest.mark.parametrize("bend", [0.5, 1.0, 1e30])
def test_the_derivatives_where_the_line_begins(name, bend):
    loss = partial(getattr(functional, name), target=0.0, **{"delta" if name == "huber_loss" else "beta": bend})
    steep = bend if name == "huber_loss" else 1.0
    for sign in (-1, 1):
        assert grad(loss)(sign * bend) == sign * steep
        assert grad(grad(loss))(sign * bend) == 0
        np.testing.assert_allclose(grad(grad(loss))(0.9 * sign * bend), steep / bend)


@pytest.mark.parametrize("name", ["huber_loss", "l1_loss"])
def test_the_slope_at_infinity(name):
    x = Tensor([np.inf, -np.inf, 1e300, 0.25, -np.inf])
    loss = getattr(functional, name)(x, [0.0, 0.0, 0.0, 0.0, np.inf], "none")
    loss.backward(np.ones(5))
    np.testing.assert_array_equal(loss.data, [np.inf, np.inf, 1e300, 0.25 if name == "l1_loss" else 1 / 32, np.inf])
    np.testing.assert_array_equal(x.grad, [1, -1, 1, 1 if name == "l1_loss" else 0.25, -1])


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.filterwarnings("ignore:.*(empty slice|invalid value)")
def test_what_is_ignored_has_no_loss_and_no_gradient(name, dtype):
    f, rng = getattr(functional, name), RNG(3)
    values, labels = rng.standard_normal((2, 3, 4)).astype(dtype), rng.integers(0, 4, (2, 3))
    labels[0, 1] = labels[1] = -100
    values[0, 1] = [np.nan, np.inf, -np.inf, 0]
    x = Tensor(values)
    losses = f(x, labels, "none")
    losses.backward(np.ones((2, 3)))
    np.testing.assert_allclose(losses.data[[0, 0], [0, 2]], f(values[0, ::2], labels[0, ::2], "none"))
    assert not losses.data[1].any() and losses.data[0, 1] == 0 and not x.grad[labels == -100].any()
    assert f(x, labels).item() == pytest.approx(losses.data.sum() / 2, rel=1e-3)
    for reduction, expected in (("mean", np.nan), ("sum", 0), ("none", np.zeros(2))):
        out = f(x[0], np.full(3, -100), reduction) if reduction != "none" else f(x[1, :2], np.full(2, -100), "none")
        np.testing.assert_array_equal(out.data, expected)
        assert out.dtype == dtype
    np.testing.assert_array_equal(f(x[1, 0], -100, "none").data, 0)
    if dtype is np.float64:
        check(lambda x: f(x, labels[1:] * 0 + [0, -100, 2]), values[1:])


def test_batchmean_is_the_mean_of_the_divergences():
    input, target = np.log(P), np.full((6, 4), 0.25)
    expected = (target * (np.log(target) - input)).sum(-1).mean()
    np.testing.assert_allclose(functional.kl_div(input, target, "batchmean"), expected, rtol=1e-6)
    assert functional.kl_div(Tensor([0.0, -np.inf]), [1.0, 0.0], "sum").item() == 0  # what never happens costs nothing


def test_the_slope_of_smooth_l1_loss_is_1_far_out():
    x = Tensor([np.inf, -np.inf, 1e300, 3.0])
    loss = functional.smooth_l1_loss(x, np.zeros(4), "none", 0.5)
    loss.backward(np.ones(4))
    np.testing.assert_array_equal(loss.data, [np.inf, np.inf, 1e300, 2.75])
    np.testing.assert_array_equal(x.grad, [1, -1, 1, 1])


ONES = np.ones((2, 3))
BEYOND = r"cross_entropy: targets of the logits' shape \(2, 3\) are probabilities; .* run from "
REFUSALS = [
    ("cross_entropy", (ONES, np.full((2, 3), -5)), {}, ValueError, BEYOND + "-5 to -5; class labels have no axis"),
    ("cross_entropy", (ONES, [[0, 1, 3], [0, 0, 1]]), {"label_smoothing": 0.1}, ValueError, BEYOND + "0 to 3"),
    ("cross_entropy", (ONES, [[0.5, 0.7, -0.2], [0, 0, 1]]), {}, ValueError, BEYOND + "-0.2 to 1;"),
    ("cross_entropy", (ONES, np.array([[1.1, 0, 0], [0, 0, 1]], np.float16)), {}, ValueError, BEYOND + "0 to 1.09961;"),
    ("cross_entropy", (ONES, Tensor(np.full((2, 3), np.nan))), {}, ValueError, BEYOND + "nan"),
    ("cross_entropy", (ONES, [[1, 1, 0], [0, 0, 1]]), {}, ValueError, "one-hot; each row must hold a single 1; class"),
    ("cross_entropy", (ONES, np.zeros((2, 3), bool)), {}, ValueError, "one-hot; .* binary_cross_entropy_with_logits"),
    ("cross_entropy", (ONES, [0, 3]), {}, ValueError, "labels run from 0 to 3.*0 to 2"),
    ("cross_entropy", (ONES, [-1, 0]), {}, ValueError, "labels run from -1 to 0"),
    ("cross_entropy", (ONES, [0.0, 1.0]), {}, TypeError, "labels must be integers, got float64"),
    ("cross_entropy", (ONES, Tensor([0, 1])), {}, TypeError, "labels must be a plain array of integers, not a Tensor"),
    ("cross_entropy", (np.ones((2, 3, 4)), np.zeros((2, 4), int)), {}, ValueError, r"np.moveaxis\(input, 1, -1\)"),
    ("nll_loss", (np.ones((2, 3, 4)), np.zeros((2, 4), int)), {}, ValueError, r"np.moveaxis\(input, 1, -1\)"),
    ("cross_entropy", (ONES, [0, 1], np.ones(3)), {}, ValueError, "reduction must be .* by name: weight=..."),
    ("nll_loss", (ONES, [0, 1], np.ones(3)), {}, ValueError, "reduction must be .* by name: weight=..."),
    ("nll_loss", (ONES, [0, 1], np.ones(3)), {"weight": np.ones(3)}, ValueError, "reduction must be"),
    ("cross_entropy", (ONES, [-1, -1]), {}, ValueError, "from -1 to -1.*; ignore_index=-1 leaves out those of -1"),
    ("cross_entropy", (ONES, [3, -1]), {"ignore_index": -1}, ValueError, "labels run from 3 to 3"),
    (
        "cross_entropy",
        (ONES, ONES / 3),
        {"ignore_index": 2},
        ValueError,
        "ignore_index, as the target is of prob.* is 2",
    ),
    ("cross_entropy", (ONES, [0, 1]), {"ignore_index": 1.0}, TypeError, "ignore_index is 1.0; it must be an integer"),
    ("nll_loss", (ONES, [0, 1]), {"ignore_index": None}, TypeError, "nll_loss: ignore_index is None"),
    ("cross_entropy", (ONES, [True, False]), {}, TypeError, "labels must be integers, got bool"),
    ("cross_entropy", (ONES, [0, 1, 2]), {}, ValueError, r"takes integer labels of shape \(2,\).*not \(3,\)"),
    ("cross_entropy", (ONES, [[0], [1]]), {}, ValueError, r"takes integer labels of shape \(2,\).*not \(2, 1\)"),
    ("cross_entropy", (ONES, np.ones((3, 2))), {}, ValueError, r"probabilities of shape \(2, 3\), not \(3, 2\)"),
    ("cross_entropy", (1.0, 0), {}, ValueError, r"cross_entropy: input of shape \(\) has no classes"),
    ("cross_entropy", (np.ones((2, 0)), [0, 0]), {}, ValueError, r"shape \(2, 0\) has no classes"),
    ("cross_entropy", (ONES, [0, 1]), {"weight": [1.0, 2.0]}, ValueError, r"weight has shape \(2,\)"),
    ("cross_entropy", (ONES, [0, 1]), {"label_smoothing": 1.5}, ValueError, "label_smoothing is 1.5; .* at most 1"),
    ("cross_entropy", (ONES, [0, 1]), {"label_smoothing": np.nan}, ValueError, "label_smoothing is nan"),
    ("nll_loss", (ONES, ONES), {}, ValueError, r"nll_loss: input \(2, 3\) takes labels of shape \(2,\), not \(2, 3\)"),
    ("nll_loss", (ONES, [0, 5]), {}, ValueError, "nll_loss: labels run from 0 to 5"),
    ("nll_loss", (ONES, [0.0, 1.0]), {}, TypeError, "nll_loss: labels must be integers"),
    ("nll_loss", (ONES, [0, 1]), {"weight": 2.0}, ValueError, r"nll_loss: weight has shape \(\)"),
    ("nll_loss", (0.5, 0), {}, ValueError, r"nll_loss: input of shape \(\) has no classes"),
    ("mse_loss", (np.ones((3, 1)), np.ones(3)), {}, ValueError, r"mse_loss: input has shape \(3, 1\), target \(3,\)"),
    ("l1_loss", (np.ones((3, 1)), np.ones(3)), {}, ValueError, r"l1_loss: input has shape \(3, 1\)"),
    ("huber_loss", (np.ones((3, 1)), np.ones(3)), {}, ValueError, r"huber_loss: input has shape \(3, 1\)"),
    ("huber_loss", (ONES, ONES), {"delta": 0}, ValueError, "huber_loss: delta is 0"),
    ("huber_loss", (ONES, ONES), {"delta": -1.0}, ValueError, "huber_loss: delta is -1.0"),
    ("binary_cross_entropy", (np.ones((3, 1)), np.ones(3)), {}, ValueError, r"input has shape \(3, 1\)"),
    ("binary_cross_entropy", (2 * ONES, ONES), {}, ValueError, "input runs from 2.0 to 2.0.*for logits use"),
    ("binary_cross_entropy", (np.nan * ONES, ONES), {}, ValueError, "input runs from nan"),
    ("binary_cross_entropy", (ONES, -ONES), {}, ValueError, "target runs from -1.0 to -1.0, but must lie in 0 to 1"),
    (
        "binary_cross_entropy",
        (ONES, ONES),
        {"weight": [-1.0]},
        ValueError,
        "weight runs from -1.0 to -1.0; weights are",
    ),
    ("binary_cross_entropy", (ONES, ONES), {"weight": [1.0, 2]}, ValueError, r"weight of shape \(2,\) does not broadc"),
    ("binary_cross_entropy_with_logits", (ONES, ONES), {"weight": ONES[None]}, ValueError, r"weight of .* not broadc"),
    ("kl_div", (ONES, 2 * ONES), {}, ValueError, "kl_div: target runs from 2.0.*; logarithms are given with log_targ"),
    ("kl_div", (ONES, ONES), {"log_target": 1}, TypeError, "kl_div: log_target is 1; it must be True or False"),
    ("kl_div", (ONES, [0, 1]), {}, ValueError, r"kl_div: input has shape \(2, 3\), target \(2,\)"),
    (
        "kl_div",
        (ONES, ONES, "batch"),
        {},
        ValueError,
        "reduction must be 'batchmean', 'mean', 'sum' or 'none', not 'ba",
    ),
    ("smooth_l1_loss", (ONES, ONES), {"beta": -1}, ValueError, "smooth_l1_loss: beta is -1; .* at least 0"),
    (
        "hinge_embedding_loss",
        (ONES, 0 * ONES),
        {},
        ValueError,
        r"among the targets is 0; they must be 1 and -1, 2 \* t",
    ),
    ("hinge_embedding_loss", (ONES, ONES, 2.0), {}, ValueError, "not 2.0; the other options are given by name"),
    ("hinge_embedding_loss", (ONES, ONES), {"margin": "1"}, ValueError, "hinge_embedding_loss: margin is '1'"),
    ("multi_margin_loss", (ONES, [0, 1]), {"p": 3}, ValueError, "multi_margin_loss: p is 3; it must be 1 or 2"),
    ("multi_margin_loss", (ONES, [0, -100]), {}, ValueError, "multi_margin_loss: labels run from -100 to 0"),
    ("multi_margin_loss", (ONES, ONES), {}, ValueError, r"takes labels of shape \(2,\), not \(2, 3\)"),
    ("multi_margin_loss", (ONES, [0, 1]), {"weight": [1.0]}, ValueError, r"multi_margin_loss: weight has shape \(1,\)"),
    ("binary_cross_entropy_with_logits", (ONES, -ONES), {}, ValueError, "target runs from -1.0"),
    ("binary_cross_entropy_with_logits", (np.ones((3, 1)), np.ones(3)), {}, ValueError, r"input has shape \(3, 1\)"),
    ("binary_cross_entropy_with_logits", (ONES, ONES), {"pos_weight": [1.0, 2]}, ValueError, r"\(2,\) does not broad"),
    ("binary_cross_entropy_with_logits", (1.0, 1.0), {"pos_weight": [1.0]}, ValueError, r"\(1,\) does not broadcast"),
]


@pytest.mark.parametrize("name, args, options, error, message", REFUSALS)
def test_refusals(name, args, options, error, message):
    with pytest.raises(error, match=message):
        getattr(functional, name)(*args, **options)
    with pytest.raises(error, match=message):
        getattr(functional, name)(Tensor(args[0]), *args[1:], **options)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_reduction_is_refused(name):
    target = np.array([0]) if name in CLASSIFIERS else np.ones((1, 2))
    with pytest.raises(ValueError, match=r"reduction must be .*'mean', 'sum' or 'none', not 'average'"):
        getattr(functional, name)(Tensor(np.ones((1, 2))), target, "average")
