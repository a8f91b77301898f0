"""Random programs: calls of all functions, wired to each other, against differences and, where it is, PyTorch."""

from operator import attrgetter

import numpy as np
import pytest
from domains import DOMAINS, FUNCTIONS
from finite_differences import STEP, joined, ours, weights
from hypothesis import given, settings, strategies as st
from strategies import as_function

import tinygrad_edu as te
from tinygrad_edu import Tensor
from tinygrad_edu.engine import REGISTRY, plain

STRATEGIES = DOMAINS | FUNCTIONS
CALLS = {name: REGISTRY[name].call for name in DOMAINS} | {name: joined(ours(name)) for name in FUNCTIONS}


class Program:
    """Calls, each at operands of its domain, which move with what was computed before.

    An operand x becomes x + 0.1 * (sin(u) - s), where u are elements of earlier results or leaves and s is the value
    of sin(u) at the start: so it stands where its function has a derivative, however long the chain before it is.
    """

    def __init__(self, calls, seed):
        self.calls, self.seed = calls, seed
        self.leaves = [x for _, _, xs in calls for x in xs]
        self.starts = []
        self(*self.leaves)

    def __call__(self, *leaves):
        rng, leaves, starts, seen, total = np.random.default_rng(self.seed), iter(leaves), iter(self.starts), [], 0.0
        for _, function, xs in self.calls:
            operands = [next(leaves) for _ in xs]
            own = list(operands)
            for i, x in enumerate(own):
                if seen and rng.random() < 0.7:
                    u = seen[rng.integers(len(seen))]
                    moved = te.sin(u.ravel()[rng.integers(u.size, size=x.shape)])
                    start = next(starts, None)
                    if start is None:
                        start = moved
                        self.starts.append(start)
                    operands[i] = x + 0.1 * (moved - start)
            out = function(*operands)
            total = total + (out * weights(out.shape)).sum()
            seen += [u for u in (out, *own) if u.size and np.isfinite(plain(u)).all()]
        return total


@st.composite
def programs(draw, most=6):
    calls = []
    for _ in range(draw(st.integers(2, most))):
        name = draw(st.sampled_from(sorted(STRATEGIES)))
        calls.append((name, *as_function(CALLS[name], *draw(STRATEGIES[name]))))
    return Program(calls, draw(st.integers(0, 2**32 - 1)))


def slope(program, direction):
    """The derivative along a direction, by five points."""

    def at(t):
        return program(*[x + t * STEP * d for x, d in zip(program.leaves, direction, strict=True)])

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP)


def check(program):
    tensors = [Tensor(x) for x in program.leaves]
    total = program(*tensors)
    np.testing.assert_allclose(total.item(), program(*program.leaves), 1e-10, 1e-10)
    total.backward()
    rng = np.random.default_rng(0)
    direction = [rng.normal(size=np.shape(x)) for x in program.leaves]
    length = np.sqrt(sum([np.sum(d * d) for d in direction])) or 1.0
    parts = [(t.grad if t.grad is not None else np.zeros(t.shape)) * d for t, d in zip(tensors, direction, strict=True)]
    found, scale = sum([np.sum(part) for part in parts]) / length, sum([np.sum(abs(part)) for part in parts]) / length
    expected = slope(program, [d / length for d in direction])
    assert abs(found - expected) <= 1e-6 * max(1.0, scale), (found, expected, [name for name, _, _ in program.calls])


@pytest.mark.parametrize("n", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_gradients_of_random_programs_are_the_slopes(n):
    seen = []

    @settings(max_examples=n, derandomize=True)
    @given(programs())
    def run(program):
        if program.leaves:
            check(program)
            seen.append(len(program.calls))

    run()
    print(f"{len(seen)} programs of {sum(seen)} calls of {len(STRATEGIES)} functions")


ONE = [
    "sin",
    "cos",
    "tanh",
    "exp",
    "square",
    "sigmoid",
    "erf",
    "expm1",
    "arctan",
    "arcsinh",
    "relu",
    "ravel",
    "softplus",
    "silu",
]
TWO = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp", "hypot", "arctan2"]
AWAY_FROM_0 = {"divide", "hypot", "arctan2"}  # in their second argument
ALONG = ["sum", "mean", "cumsum", "softmax", "logsumexp", "max"]
TORCHS = {"softplus": "nn.functional.softplus", "silu": "nn.functional.silu", "max": "amax"}


def broadcast(x, y):
    """Whether two shapes go together."""
    return all(n == m or 1 in (n, m) for n, m in zip(x.shape[::-1], y.shape[::-1], strict=False))


def compute(call, seed, leaves):
    """What a random program makes of leaves, as one number; `call` calls a function by its name."""
    rng, seen, total = np.random.default_rng(seed), list(leaves), 0.0
    for _ in range(rng.integers(3, 12)):
        kind, (x, y) = rng.integers(3), [call("tanh", seen[i]) for i in rng.integers(len(seen), size=2)]
        if kind == 0 and broadcast(x, y):
            name = rng.choice(TWO)
            out = call(name, x, y * y + 0.5 if name in AWAY_FROM_0 else y)
        elif kind == 1 and x.ndim:
            out = call(rng.choice(ALONG), x, int(rng.integers(x.ndim)))
        else:
            out = call(rng.choice(ONE), x)
        seen.append(out)
        total = total + (out * out * rng.uniform(0.5, 1.5)).sum()
    return total


@pytest.mark.parametrize("n", [40, pytest.param(2_000, marks=pytest.mark.slow)])
def test_random_programs_have_the_derivatives_of_pytorch(n):
    torch = pytest.importorskip("torch")
    for seed in range(n):
        rng = np.random.default_rng(seed)
        arrays = [rng.uniform(-2, 2, shape) for shape in ((), (3,), (2, 3), (2, 1))]
        ours, theirs = [Tensor(x) for x in arrays], [torch.tensor(x, requires_grad=True) for x in arrays]
        value = compute(lambda name, *args: getattr(te, name)(*args), seed, ours)
        expected = compute(lambda name, *args: attrgetter(TORCHS.get(name, name))(torch)(*args), seed, theirs)
        np.testing.assert_allclose(value.item(), expected.item(), 1e-12, 1e-12)
        value.backward(create_graph=True)
        first = torch.autograd.grad(expected, theirs, create_graph=True, materialize_grads=True)
        grads = [x.grad for x in ours]
        for g, e in zip(grads, first, strict=True):
            np.testing.assert_allclose(0.0 if g is None else g.data, e.detach().numpy(), 1e-9, 1e-9, err_msg=str(seed))
        for x in ours:
            x.grad = None
        te.stack([(g * g).sum() for g in grads if g is not None]).sum().backward()
        second = torch.autograd.grad(sum([(g * g).sum() for g in first]), theirs, materialize_grads=True)
        for x, e in zip(ours, second, strict=True):
            np.testing.assert_allclose(0.0 if x.grad is None else x.grad, e.numpy(), 1e-8, 1e-8, err_msg=str(seed))
