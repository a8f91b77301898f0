"""Muon: PyTorch's steps, made orthogonal in the dtype of the parameter."""

import numpy as np
import pytest
from gradients import with_grad
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.optim.muon import orthogonal

COEFFICIENTS = 3.4445, -4.775, 2.0315
SHAPES = [(4, 3), (3, 5), (2, 2), (1, 4)]
OPTIONS = {
    "lr": st.sampled_from([0.02, 0.1]),
    "weight_decay": st.sampled_from([0.0, 0.1, 0.5]),
    "momentum": st.sampled_from([0.5, 0.95]),
    "nesterov": st.booleans(),
    "ns_coefficients": st.sampled_from([COEFFICIENTS, (2.0, -1.5, 0.5)]),
    "eps": st.sampled_from([1e-7, 10.0]),
    "ns_steps": st.integers(0, 6),
    "adjust_lr_fn": st.sampled_from([None, "original", "match_rms_adamw"]),
}


def steps_apart(torch, options, count=20):
    """How far ours and PyTorch's get apart in some steps with the same gradients."""
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape) for shape in SHAPES]
    ours, theirs = [Tensor(x) for x in start], [torch.tensor(x, requires_grad=True) for x in start]
    groups = [[{"params": p[:2], "lr": 0.01}, {"params": p[2:]}] for p in (ours, theirs)]
    a, b = optim.Muon(groups[0], **options), torch.optim.Muon(groups[1], **options)
    for _ in range(count):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = rng.standard_normal(p.shape)
            q.grad = torch.tensor(p.grad)
        a.step(), b.step()
    return max([np.abs(p.data - q.detach().numpy()).max() for p, q in zip(ours, theirs, strict=True)])


@settings(max_examples=25, derandomize=True)
@given(options=st.fixed_dictionaries(OPTIONS))
def test_twenty_steps_are_pytorchs_without_its_rounding(double, options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(double.Tensor, "bfloat16", double.Tensor.clone)
        assert steps_apart(double, options) < 1e-10


def test_with_its_rounding_they_are_close(double):
    lr = 0.02
    assert 1e-6 < steps_apart(double, {"lr": lr}, count=3) < 3 * lr * 0.02


def test_defaults_are_pytorchs(double):
    theirs = double.optim.Muon([double.zeros(1, 1, requires_grad=True)]).defaults
    assert optim.Muon([Tensor([[0.0]])]).defaults == theirs


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_singular_values_become_about_one(shape, dtype):
    rng = np.random.default_rng(0)
    matrix = (rng.standard_normal(shape) * np.logspace(-1, 2, shape[1])).astype(dtype)
    before = matrix.copy()
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix, COEFFICIENTS, 10, 1e-7)
    assert found.dtype == dtype and values.max() > 50 * values.min()
    after = np.linalg.svd(found, compute_uv=False)
    assert after.min() > 0.6 and after.max() < 1.3
    inner = u.T @ found @ vt.T  # the directions stay
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-3 if dtype == np.float32 else 1e-10)
    np.testing.assert_array_equal(matrix, before)


def test_one_step_by_hand():
    """Of a multiple of an orthogonal matrix: 1 / sqrt(2) at first, then three times a * s + b * s**3 + c * s**5."""
    a, b, c = COEFFICIENTS
    s = 0.5**0.5
    for _ in range(3):
        s = a * s + b * s**3 + c * s**5
    p = with_grad([[1.0, 2.0], [3.0, 4.0]], [[0.0, -7.0], [7.0, 0.0]])
    optim.Muon([p], lr=0.1, weight_decay=0.5, ns_steps=3).step()
    expected = np.array([[1.0, 2.0], [3.0, 4.0]]) * (1 - 0.05) - 0.1 * s * np.array([[0, -1], [1, 0]])
    np.testing.assert_allclose(p.data, expected, rtol=1e-12)


def test_rescaled_when_the_momentum_changes():
    """The mean stays what it is, as in PyTorch; only eps sees how large it is."""
    steps = []
    for momentum in (0.5, 0.9):
        p = with_grad(np.eye(2), [[1.0, 2.0], [3.0, 4.0]])
        step = optim.Muon([p], momentum=0.5)
        step.step()
        step.param_groups[0]["momentum"] = momentum
        state = step.state_dict()["state"][0]
        steps.append(state["grad_sum"] * (1 - momentum))
    np.testing.assert_allclose(*steps)
    np.testing.assert_allclose(steps[0], np.array([[1.0, 2.0], [3.0, 4.0]]) / 2)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 2), (1, 1)])
def test_no_gradient_and_no_entries(shape):
    p = with_grad(np.ones(shape, np.float32), np.zeros(shape))
    optim.Muon([p], weight_decay=0.0).step()
    np.testing.assert_array_equal(p.data, np.ones(shape))
    assert p.dtype == np.float32


@pytest.mark.parametrize("scale", [1.0, 1e-6, 6e4])
def test_float16_is_computed_in_float32(scale):
    grad = np.array([[1.0, -0.5], [0.5, 1.0]])
    found, wanted = [with_grad(np.eye(2), grad * scale, dtype) for dtype in (np.float16, np.float64)]
    for p in (found, wanted):
        optim.Muon([p], lr=0.1, eps=1e-12).step()
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.data, wanted.data, atol=2e-2)


@pytest.mark.parametrize("scale", [1e-25, 1e30])
def test_the_length_of_tiny_and_huge_gradients_is_found(scale):
    grad = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)
    steps = []
    for factor in (1.0, scale):
        p = with_grad(np.zeros((2, 2)), grad * np.float32(factor), np.float32)
        optim.Muon([p], eps=0.0).step()
        steps.append(p.data)
    np.testing.assert_allclose(*steps, rtol=1e-3)


def test_a_resumed_training_is_the_uninterrupted_one():
    rng = np.random.default_rng(0)
    p, q = Tensor(np.eye(3)), Tensor(np.zeros((3, 3)))
    a, b = optim.Muon([p], lr=0.1), optim.Muon([q])
    for t in range(8):
        if t == 4:
            q.assign(p.data)
            b.load_state_dict(a.state_dict())
        p.grad = q.grad = rng.standard_normal((3, 3))
        a.step()
        if t >= 4:
            b.step()
    np.testing.assert_array_equal(p.data, q.data)
    assert b.param_groups[0]["ns_coefficients"] == COEFFICIENTS


def test_only_matrices():
    model = nn.MLP([2, 3, 1])
    with pytest.raises(ValueError, match=r"Muon: params\[1\] .*\(3,\) is not a matrix, .* step both"):
        optim.Muon(model.parameters())
    optimizer = optim.Muon([p for p in model.parameters() if p.ndim == 2])
    with pytest.raises(ValueError, match=r"param_groups\[1\]\['params'\]\[0\] b\(2, 2, 1\) is not a matrix"):
        optimizer.add_param_group({"params": [Tensor(np.ones((2, 2, 1)), name="b")]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ns_coefficients": (1.0, 2.0)}, "Muon: ns_coefficients is .*; it must be three numbers"),
        ({"ns_coefficients": (1.0, 2.0, np.nan)}, "ns_coefficients is nan"),
        ({"ns_steps": 100}, "ns_steps is 100; it must be an integer from 0 to 99"),
        ({"ns_steps": 2.0}, "ns_steps is 2.0"),
        ({"adjust_lr_fn": "rms"}, "adjust_lr_fn is 'rms'; it must be 'original' or 'match_rms_adamw'"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"momentum": 0.0}, "nesterov needs a momentum"),
        ({"eps": -1.0}, "eps is -1"),
    ],
)
def test_errors(options, words):
    with pytest.raises(ValueError, match=words):
        optim.Muon([Tensor([[1.0]])], **options)
