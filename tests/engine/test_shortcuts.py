"""The shortcuts against the reference: the same bits, the same order, the same errors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, maximum, op
from tinygrad_edu.engine import REGISTRY, autograd, shortcuts
from tinygrad_edu.ops import elementwise

HERE = Path(__file__).parent
ENGINE_PART = sorted(path.name for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)
SHORTENED = sorted(name for name in elementwise.__all__ if name in REGISTRY and REGISTRY[name].arity in (1, 2))
WITHOUT_SHORTCUTS = """
import sys, pytest
from tinygrad_edu.engine import autograd, backward_pass, op
assert op is autograd.op and backward_pass is autograd.backward_pass
sys.exit(pytest.main(["-q", "-n0", "-p", "no:cacheprovider", sys.argv[1]]))
"""


@pytest.mark.parametrize("name", ENGINE_PART)
def test_the_engines_tests_pass_without_shortcuts(name):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SHORTCUTS, str(HERE / name)],
        env={**os.environ, "TINYGRAD_EDU_SHORTCUTS": "0"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:] + done.stderr


def walked(backward_pass, output, gradient):
    """Every tensor that a pass visits, in order, with its gradient."""
    seen = []
    backward_pass(output, gradient, visit=lambda tensor, g: seen.append((tensor._number, np.array(g), type(g))))
    return seen


@st.composite
def programs(draw):
    """A random program on two leaves, as a Tensor: shared operands, broadcasting, several kinds of ops."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.sampled_from([((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 2), (2, 2))]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    tensors = [Tensor(rng.uniform(0.5, 2, shape), dtype=dtype) for shape in shapes]
    steps = [
        lambda x, y: x * y,
        lambda x, y: x + y,
        lambda x, y: x - 2.0 * y,
        lambda x, y: x / (1.0 + y * y),
        lambda x, y: maximum(x, y),
        lambda x, y: x.tanh() + y,
        lambda x, y: x**2,
        lambda x, y: x.sum(axis=-1, keepdims=True) * y if x.ndim else x.exp() * 0.1,
        lambda x, y: np.stack([x + y, y * x]).mean(axis=0),
        lambda x, y: (x + y).reshape(-1)[::-1].reshape((x + y).shape),
    ]
    for _ in range(draw(st.integers(1, 12))):
        i, j = draw(st.integers(0, len(tensors) - 1)), draw(st.integers(0, len(tensors) - 1))
        tensors.append(draw(st.sampled_from(steps))(tensors[i], tensors[j]))
    return tensors[-1]


@given(programs())
@settings(max_examples=150)
def test_both_passes_visit_the_same_tensors_with_the_same_bits(output):
    gradient = np.ones(output.shape, output.dtype)[()]
    reference = walked(autograd.backward_pass, output, gradient)
    unrolled = walked(shortcuts.backward_pass, output, gradient)
    assert [number for number, *_ in reference] == [number for number, *_ in unrolled]
    for (_, a, kind), (_, b, other) in zip(reference, unrolled, strict=True):
        assert kind is other and a.dtype == b.dtype and a.tobytes() == b.tobytes()


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


@pytest.mark.parametrize("other", [np.ones(3), "a", np.ma.array([1.0, 2.0]), None])
def test_errors_are_the_references(other):
    messages = []
    for call in (REGISTRY["add"].call, REGISTRY["add"].call.__wrapped__):
        with pytest.raises((ValueError, TypeError)) as error:
            call(Tensor([1.0, 2.0]), other)
        messages.append((error.type, str(error.value)))
    assert messages[0] == messages[1]


def test_a_wrong_shortcut_would_be_seen(monkeypatch):
    """The comparison of the two passes fails where one of them forgets an edge."""

    def forgetful(output, gradient, visit):
        edges = iter(range(3))
        autograd.backward_pass(output, gradient, visit=lambda t, g: visit(t, g) if next(edges, 3) < 2 else None)

    x = Tensor(2.0)
    y = x * x + x
    assert len(walked(forgetful, y, np.float64(1))) != len(walked(autograd.backward_pass, y, np.float64(1)))


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
