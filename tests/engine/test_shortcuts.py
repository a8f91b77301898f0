"""The shortcuts against the reference: the same bits, the same order, the same errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from tinygrad_edu import Tensor, functional, maximum, op
from tinygrad_edu.engine import REGISTRY, autograd, shortcuts
from tinygrad_edu.ops import elementwise

HERE = Path(__file__).parent
ENGINE_PART = sorted(path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)
ENGINE_PART += [HERE.parent / name for name in ("test_tensor.py", "test_transforms.py", "test_anomaly.py")]
SHORTENED = sorted(name for name in elementwise.__all__ if name in REGISTRY and REGISTRY[name].arity in (1, 2))
WITHOUT_SHORTCUTS = """
import sys, pytest
from tinygrad_edu.engine import autograd, backward_pass, op
assert op is autograd.op and backward_pass is autograd.backward_pass
sys.exit(pytest.main(["-q", "-n0", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("paths", [ENGINE_PART[:3], ENGINE_PART[3:]], ids=["engine", "what stands on it"])
def test_the_engines_tests_pass_without_shortcuts(paths):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SHORTCUTS, *map(str, paths)],
        env={**os.environ, "TINYGRAD_EDU_SHORTCUTS": "0", "TINYGRAD_EDU_EXAMPLES": "30"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:] + done.stderr


STEPS = [
    lambda x, y: x * y,
    lambda x, y: x + y,
    lambda x, y: x - 2.0 * y,
    lambda x, y: x / (1.0 + y * y),
    lambda x, y: maximum(x, y),
    lambda x, y: x.tanh() + y,
    lambda x, y: x**2,
    lambda x, y: x * np.full(x.shape, 0.5, np.float32),
    lambda x, y: x.sum(axis=-1, keepdims=True) * y if x.ndim else x.exp() * 0.1,
    lambda x, y: np.stack([x + y, y * x]).mean(axis=0),
    lambda x, y: (x + y).reshape(-1)[::-1].reshape((x + y).shape),
]


@st.composite
def programs(draw):
    """A random program on three leaves, one of them a constant: dtypes, broadcasting, shared operands, hooks."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.sampled_from([((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 2), (2, 2))]))
    dtypes = st.sampled_from([np.float32, np.float64])
    tensors = [Tensor(rng.uniform(0.5, 2, shape), dtype=draw(dtypes)) for shape in shapes]
    tensors.append(Tensor(rng.uniform(0.5, 2, shapes[0]), dtype=draw(dtypes), requires_grad=False))
    for _ in range(draw(st.integers(1, 12))):
        x, y = draw(st.sampled_from(tensors)), draw(st.sampled_from(tensors))
        tensors.append(draw(st.sampled_from(STEPS))(x, y))
        if tensors[-1].requires_grad and draw(st.integers(0, 3)) == 0:
            tensors[-1].register_hook(lambda g: 0.5 * g)
    return tensors


def visits(backward_pass, output, gradient):
    """Every tensor that a pass visits, in order: its number, and the type, dtype and bits of its gradient."""
    seen = []
    backward_pass(
        output, gradient, visit=lambda x, g: seen.append((x._number, type(g), g.dtype, g.shape, np.array(g).tobytes()))
    )
    return seen


def gradients_left(backward_pass, tensors, gradient):
    """What stands in each `.grad` after two passes, and whether it may be written to and is nobody else's."""
    for x in tensors:
        x.grad = None
    for _ in range(2):
        backward_pass(tensors[-1], gradient)
    found = [x.grad for x in tensors if x.is_leaf and x.grad is not None]
    alone = [isinstance(g, np.ndarray) and g.flags.writeable and g.base is None for g in found]
    shared = any(np.may_share_memory(a, b) for i, a in enumerate(found) for b in found[:i])
    return [None if x.grad is None else (type(x.grad), np.array(x.grad).tobytes()) for x in tensors], alone, shared


@given(programs())
@settings(max_examples=150)
def test_both_passes_visit_the_same_tensors_with_the_same_bits(tensors):
    output = tensors[-1]
    assume(output.requires_grad)
    gradient = np.ones(output.shape, output.dtype)[()]
    assert visits(shortcuts.backward_pass, output, gradient) == visits(autograd.backward_pass, output, gradient)
    left = gradients_left(autograd.backward_pass, tensors, gradient)
    assert gradients_left(shortcuts.backward_pass, tensors, gradient) == left


def test_a_difference_between_the_passes_is_found(monkeypatch):
    """A pass that forgets hooks, or the last edge, fails the comparison above."""
    x = Tensor([1.0, 2.0])
    y = x * x + x
    y.register_hook(lambda g: 3 * g)
    with monkeypatch.context() as patch:
        patch.setattr(shortcuts, "run_hooks", lambda tensor, g: g)
        hookless = visits(shortcuts.backward_pass, y, np.ones(2))
    assert hookless != visits(autograd.backward_pass, y, np.ones(2))
    with monkeypatch.context() as patch:
        patch.setattr(REGISTRY["add"], "vjps", (lambda g, out, x, y: g, lambda g, out, x, y: 0 * g))
        forgetful = visits(shortcuts.backward_pass, y, np.ones(2))
    assert forgetful != visits(autograd.backward_pass, y, np.ones(2))


@pytest.mark.parametrize("backward_pass", [shortcuts.backward_pass, autograd.backward_pass])
def test_constants_get_no_vjp_call(backward_pass, monkeypatch):
    calls = []
    constant = Tensor([1.0, 2.0], requires_grad=False)
    for name, program in (
        ("multiply", lambda x: constant * x),
        ("where", lambda x: np.where(np.array([True, False]), x, constant)),
        ("linear", lambda x: functional.linear(constant.reshape(1, 2), np.eye(2), x)),
    ):
        this = REGISTRY[name]
        counted = [
            None if vjp is None else (lambda *a, at=(name, i), vjp=vjp, **k: calls.append(at) or vjp(*a, **k))
            for i, vjp in enumerate(this.vjps)
        ]
        x = Tensor([3.0, 4.0])
        output = program(x)
        with monkeypatch.context() as patch:
            patch.setattr(this, "vjps", tuple(counted))
            backward_pass(output, np.ones(output.shape))
    assert calls == [("multiply", 1), ("where", 1), ("linear", 2)]


@pytest.mark.parametrize("backward_pass", [shortcuts.backward_pass, autograd.backward_pass])
def test_values_that_changed_are_noticed(backward_pass):
    for program in (lambda x, w: x * w, lambda x, w: w * x, lambda x, w: x.tanh() * w, lambda x, w: (x * w).sum()):
        x, w = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
        output = program(x, w)
        x.assign([5.0, 6.0])
        with pytest.raises(RuntimeError, match="updated after"):
            backward_pass(output, np.ones(output.shape))


OPERANDS = [float, np.float32, lambda x: np.array([x, 2.0]), lambda x: [x, 2.0], Tensor, lambda x: Tensor([x, 2.0])]


@pytest.mark.parametrize("name", SHORTENED)
@pytest.mark.parametrize("make", OPERANDS)
def test_a_shortened_call_is_the_references(name, make):
    this = REGISTRY[name]
    operands = [make(0.5) for _ in range(this.arity)]
    short, reference = this.call(*operands), this.call.__wrapped__(*operands)
    assert this.call is not this.call.__wrapped__ and type(short) is type(reference)
    if isinstance(short, Tensor):
        assert short._op is reference._op and short._inputs == reference._inputs and short._params == reference._params
        short, reference = short.data, reference.data
    np.testing.assert_array_equal(short, reference, strict=True)


@pytest.mark.parametrize("name", SHORTENED)
@pytest.mark.parametrize("other", ["a", None, np.ma.array([1.0, 2.0], mask=[0, 1]), 1j])
def test_errors_are_the_references(name, other):
    operands = [Tensor([1.0, 2.0]), other][-REGISTRY[name].arity :]
    messages = []
    for call in (REGISTRY[name].call, REGISTRY[name].call.__wrapped__):
        with pytest.raises((ValueError, TypeError)) as error:
            call(*operands)
        messages.append((error.type, str(error.value)))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("other", [np.ones(3), np.ones((2, 3))])
def test_shapes_that_do_not_fit_are_told_as_by_the_reference(other):
    with pytest.raises(ValueError, match=r"add of \(2,\) float64, .*: operands could not be broadcast"):
        Tensor([1.0, 2.0]) + other


def test_a_users_op_has_shortcuts_too():
    @op(lambda g, out, x: 2 * g * x)
    def squared(x):
        return x * x

    try:
        x = Tensor(3.0)
        squared(x).backward()
        assert x.grad == 6.0 and squared(3.0) == 9.0
    finally:
        del REGISTRY["squared"]


def test_a_users_op_takes_its_own_names():
    @op(lambda g, out, a, b: g * b, lambda g, out, a, b: g * a)
    def times(a, b):
        return a * b

    @op(lambda g, out, a: -g)
    def minus(a):
        return -a

    @op(lambda i, g, out, *xs: g, variadic=True)
    def total(*xs):
        return sum(xs)

    try:
        assert times(a=Tensor(2.0), b=3.0).item() == 6.0 and minus(a=Tensor(2.0)).item() == -2.0
        assert total(Tensor(2.0), 3.0, Tensor(1.0)).item() == 6.0
    finally:
        del REGISTRY["times"], REGISTRY["minus"], REGISTRY["total"]
