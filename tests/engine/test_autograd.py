"""The engine: whole expressions, the order of the walk, memory, hooks, modes, updates, aliasing and threads."""

import gc
import math
import tracemalloc
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from finite_differences import check
from hypothesis import given, settings, strategies as st
from strategies import arrays

from tinygrad_edu import Tensor, no_grad, op, ops
from tinygrad_edu.engine import REGISTRY

UNARY = [
    *(ops.sin, ops.cos, ops.tanh, ops.sigmoid, ops.softplus, ops.negative),
    *(lambda x: ops.exp(ops.tanh(x)), lambda x: ops.log(x * x + 1), lambda x: ops.sqrt(x * x + 0.5)),
    *(lambda x: ops.sum(x), lambda x: ops.mean(x) * 2, lambda x: x * 0.5 + 1.5, lambda x: 2 - x, lambda x: x**2 / 4),
]
BINARY = [
    *(ops.add, ops.subtract, ops.multiply, lambda x, y: x / (y * y + 1), lambda x, y: (x * x + 1) ** (0.3 * y)),
    *(lambda x, y: ops.tanh(x) * y, lambda x, y: ops.sin(x * y)),
]


@st.composite
def expressions(draw):
    """A random program: each step applies a function to values that stand already, old ones more than once."""
    shapes = draw(st.lists(st.sampled_from([(), (1,), (3,), (2, 1), (2, 3), (1, 3)]), min_size=1, max_size=3))
    steps = []
    for n in range(len(shapes), len(shapes) + draw(st.integers(2, 8))):
        before = st.integers(0, n - 1)
        unary = st.tuples(st.sampled_from(UNARY), before)
        steps.append(draw(unary | st.tuples(st.sampled_from(BINARY), before, before)))

    def run(*leaves):
        values = list(leaves)
        for function, *places in steps:
            values.append(ops.tanh(function(*[values[i] for i in places])))  # tanh keeps the numbers small
        return sum([ops.sum(v) / (i + 1) for i, v in enumerate(values[len(leaves) :])]) + values[-1]

    return run, [draw(arrays(shape)) for shape in shapes]


@given(expression=expressions())
@settings(max_examples=200)
def test_random_expressions(expression):
    run, leaves = expression
    check(run, *leaves, rtol=1e-5)  # compositions may be steep: truncation of the differences grows


@given(expression=expressions())
@settings(max_examples=30)
def test_gradients_of_every_intermediate(expression):
    run, leaves = expression
    seen = []
    out = run(*[Tensor(x) for x in leaves]).sum()
    out.backward()
    stack = [out]
    while stack:
        tensor = stack.pop()
        seen.append(tensor)
        stack += [x for x in tensor._inputs if isinstance(x, Tensor)]
    for tensor in seen:
        assert tensor.grad.shape == tensor.shape and tensor.grad.dtype == tensor.dtype


def test_an_intermediate_gradient_is_that_of_the_rest_of_the_program():
    x, y = Tensor([0.3, -0.7]), Tensor([1.1, 0.4])
    z = x * y
    (ops.sin(z) * z).sum().backward()
    rest = Tensor(z.data)
    (ops.sin(rest) * rest).sum().backward()
    np.testing.assert_array_equal(z.grad, rest.grad)


def test_under_create_graph_leaves_get_differentiable_gradients_and_intermediates_constants():
    x = Tensor([0.3, -0.7])
    y = x * x
    (y * y).sum().backward(create_graph=True)
    assert x.grad.requires_grad and not y.grad.requires_grad
    np.testing.assert_allclose(y.grad.data, 2 * y.data)
    np.testing.assert_allclose(x.grad.data, 4 * x.data**3)


REPEATED = [
    (lambda a: a + a, 2),
    (lambda a: a * a * a, 27),
    (lambda a: a - a, 0),
    (lambda a: a / a, 0),
    (lambda a: a**a, 27 * (np.log(3) + 1)),
    (lambda a: (a * 2 + 1) * (a * 2), 26),
    (lambda a: sum([a * k for k in range(100)]), 4950),
    (lambda a: a, 1),
]


@pytest.mark.parametrize("f, slope", REPEATED)
@pytest.mark.parametrize("values", [3.0, [3.0, 3.0]])
def test_a_tensor_used_several_times(f, slope, values):
    a = Tensor(values)
    f(a).sum().backward()
    np.testing.assert_allclose(a.grad, np.full(a.shape, slope), rtol=1e-14, atol=1e-14)


def test_a_diamond_of_many_paths_is_walked_once():
    x = y = Tensor(1.0)
    for _ in range(200):  # 2**200 paths
        y = (y + y) * 0.5
    y.backward()
    assert x.grad == 1


def test_leaves_add_and_intermediates_are_set():
    x = Tensor([1.0, 2.0])
    y = x * 3
    loss = y.sum()
    for n in (1, 2, 3):
        loss.backward()
        np.testing.assert_array_equal(x.grad, np.full(2, 3.0 * n))
        np.testing.assert_array_equal(y.grad, [1, 1])
        assert loss.grad == 1
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [11, 11])
    leaf = Tensor(4.0)
    leaf.backward()
    leaf.backward()
    assert leaf.grad == 2


@pytest.mark.parametrize("values", [1.0, [1.0, 2.0]])
def test_chains_of_100000_ops(values):
    x = Tensor(values)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones(x.shape))
    node = weakref.ref(y)
    del y
    assert node() is None


@contextmanager
def no_garbage_collector():
    """References alone must free everything: what a collection finds afterwards is an error."""
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()


def loss_of(x):
    """A small graph with every kind of edge."""
    y = ops.tanh(x @ x.T) + x.sum()
    return (y * y).sum() + y[0].sum(), y


def use_plain(x):
    return loss_of(x)[0].backward()


def use_twice_differentiated(x):
    loss_of(x)[0].backward(create_graph=True)
    (x.grad * x.grad).sum().backward()
    x.grad = None


def use_hooks(x):
    loss, y = loss_of(x)
    y.register_hook(lambda g: g * 2)
    loss.backward()


def use_errors(x):
    loss, y = loss_of(x)
    with pytest.raises(ValueError):
        y.backward()
    with pytest.raises(ValueError):
        x @ np.ones(99)
    x.assign(x.data)
    with pytest.raises(RuntimeError):
        loss.backward()


@pytest.mark.parametrize("use", [use_plain, use_twice_differentiated, use_hooks, use_errors])
def test_nothing_waits_for_the_garbage_collector(use):
    x = Tensor(np.ones((3, 3)))
    use(x)
    x.grad = None
    with no_garbage_collector():
        for _ in range(5):
            use(x)
            x.grad = None


@pytest.mark.parametrize("create_graph", [False, True])
def test_dropping_the_output_frees_the_graph(create_graph):
    x = Tensor(np.ones((3, 3)))
    with no_garbage_collector():
        loss, y = loss_of(x)
        loss.backward(create_graph=create_graph)
        nodes = [weakref.ref(y), weakref.ref(loss), weakref.ref(loss._inputs[0])]
        del y, loss
        x.grad = None
        assert all(node() is None for node in nodes)


def test_memory_does_not_grow():
    x = Tensor(np.ones((50, 50)))
    traced = []
    with no_garbage_collector():
        tracemalloc.start()
        try:
            for _ in range(2):
                for _ in range(100):
                    use_plain(x)
                    x.grad = None
                assert gc.collect() == 0
                traced.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    # One array has 20,000 bytes, 100 nodes 30,000; the spare tuples that Python keeps for later take up to 15,000
    assert traced[1] - traced[0] < 20_000


@contextmanager
def planted(*vjps, forward, **options):
    """A temporary op, for rules that are wrong."""

    def wrong(x):
        return forward(x)

    try:
        yield op(*vjps, **options)(wrong)
    finally:
        del REGISTRY["wrong"]


def values(x):
    """The plain values, whatever x is."""
    return x.data if isinstance(x, Tensor) else x


WRONG = {  # forward, a rule that is wrong, and the check that finds it
    "sign": (np.sin, lambda g, out, x: -g * ops.cos(x), "first derivative"),
    "factor": (np.square, lambda g, out, x: g * x, "first derivative"),
    "output for input": (np.exp, lambda g, out, x: g * x, "first derivative"),
    "forgets g": (np.sin, lambda g, out, x: ops.cos(x), "first derivative"),
    "tiny": (np.sin, lambda g, out, x: g * ops.cos(x) * (1 + 1e-5), "first derivative"),
    "transposition": (np.transpose, lambda g, out, x: g, "first derivative"),
    "order": (lambda x: x[..., ::-1], lambda g, out, x: g, "first derivative"),
    "second derivative": (np.sin, lambda g, out, x: g * np.cos(values(x)), "second derivative"),
    "detached": (np.square, lambda g, out, x: 2 * g * values(x), "second derivative"),
    "detached g": (np.sin, lambda g, out, x: values(g) * ops.cos(x), "second derivative"),
}


@pytest.mark.parametrize("name", WRONG)
def test_planted_wrong_rules_are_caught(name):
    forward, vjp, message = WRONG[name]
    x = np.array([[0.3, 0.5, 0.7], [1.1, 1.3, 1.7], [-0.2, 0.9, -1.2]])
    with planted(vjp, forward=forward) as wrong, pytest.raises(AssertionError, match=message):
        check(wrong, x)


def test_a_right_rule_passes_where_the_wrong_ones_fail():
    with planted(lambda g, out, x: g * ops.cos(x), forward=np.sin) as right:
        check(right, np.array([[0.3, 0.5], [1.1, 1.3]]))


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("shape, returned", [((2, 3), (3, 2)), ((2, 3), (3,)), ((3,), (2,)), ((2, 1, 3), (2, 3))])
def test_a_rule_of_a_wrong_shape_names_op_and_argument(shape, returned, create_graph):
    x = Tensor(np.ones(shape))
    with (
        planted(lambda g, out, x: g.reshape(-1)[0] * np.ones(returned), forward=np.copy) as wrong,
        pytest.raises(ValueError, match=r"wrong: the vjp of x returned shape \("),
    ):
        wrong(x).sum().backward(create_graph=create_graph)


def test_a_rule_of_a_wrong_dtype_is_cast_back():
    x = Tensor([1.0, 2.0], dtype=np.float32)
    with planted(lambda g, out, x: g * np.ones(2), forward=np.copy) as wrong:
        wrong(x).sum().backward()
    assert x.grad.dtype == np.float32


def test_a_new_op_differentiates_to_any_order_and_is_enumerated():
    with planted(lambda g, out, x: 3 * g * x**2, forward=lambda x: x**3) as cube:
        assert REGISTRY["wrong"].names == ("x",)
        x = Tensor(2.0)
        cube(x).backward(create_graph=True)
        first, x.grad = x.grad, None
        first.backward(create_graph=True)
        assert (first.item(), x.grad.item()) == (12, 12)
        assert cube(2.0) == 8 and not isinstance(cube(2.0), Tensor)
    assert "wrong" not in REGISTRY


def test_only_the_axes_that_numpy_broadcast_are_summed():
    x, y = Tensor(np.ones((2, 1, 3))), Tensor(np.ones((4, 1)))
    (x * y).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 1, 3), 4))
    np.testing.assert_array_equal(y.grad, np.full((4, 1), 6))


def test_third_derivatives():
    x = Tensor(0.7)
    y, expected = ops.sin(x * x), []
    f = lambda v: np.sin(v * v)
    for _ in range(3):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        expected.append(y.item())
    x0, h = 0.7, 1e-2
    third = (f(x0 + 2 * h) - 2 * f(x0 + h) + 2 * f(x0 - h) - f(x0 - 2 * h)) / (2 * h**3)
    assert expected[0] == pytest.approx(2 * x0 * np.cos(x0**2), rel=1e-14)
    assert expected[1] == pytest.approx(2 * np.cos(x0**2) - 4 * x0**2 * np.sin(x0**2), rel=1e-14)
    assert expected[2] == pytest.approx(-12 * x0 * np.sin(x0**2) - 8 * x0**3 * np.cos(x0**2), rel=1e-13)
    assert expected[2] == pytest.approx(third, rel=1e-2)


GRADIENTS = [
    np.array([1.0, 2.0]),
    [1.0, 2.0],
    (1, 2),
    np.array([1, 2]),
    np.array([1, 2], np.float32),
    Tensor([1.0, 2.0]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gradient", GRADIENTS, ids=str)
@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_from_a_gradient(gradient, dtype, create_graph):
    x = Tensor([3.0, 4.0], dtype=dtype)
    y = x * x
    y.backward(gradient, create_graph=create_graph)
    for t, expected in ((x, [6, 16]), (y, [1, 2])):
        assert type(t.grad) is (Tensor if create_graph else np.ndarray) and t.grad.dtype == dtype
        np.testing.assert_array_equal(t.grad.data, expected)


def test_the_gradient_that_was_passed_is_not_shared():
    for gradient in (np.ones(2), Tensor([1.0, 1.0])):
        x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
        x.backward(gradient)
        (out := y + 0).backward(gradient)
        x.grad *= 5
        y.grad *= 7
        np.testing.assert_array_equal(getattr(gradient, "data", gradient), [1, 1])
        np.testing.assert_array_equal(out.grad, [1, 1])


def test_backward_refuses():
    x = Tensor([1.0, 2.0])
    y = x * 2
    with pytest.raises(ValueError, match=r"shape \(2,\).*only a single number has a gradient.*\.sum\(\)"):
        y.backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\).*output.*\(2,\)"):
        y.backward(np.ones(3))
    with pytest.raises(ValueError, match=r"gradient has shape \(\).*output.*\(2,\)"):
        y.backward(1.0)
    constants = Tensor([1.0], requires_grad=False) * Tensor([2.0], requires_grad=False)
    with pytest.raises(RuntimeError, match="nothing requires a gradient"):
        constants.backward()
    with no_grad():
        silent = x.sum()
    with pytest.raises(RuntimeError, match="no_grad"):
        silent.backward()
    assert x.grad is None


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_a_single_element_of_any_shape_needs_no_gradient(shape):
    x = Tensor(np.full(shape, 3.0))
    (x * x).backward()
    np.testing.assert_array_equal(x.grad, np.full(shape, 6.0))


@pytest.mark.parametrize(
    "make", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: (a + b) + a, lambda a, b: a + b * 1]
)
@pytest.mark.parametrize("reduce", [lambda t: t.sum(), lambda t: t.mean(), lambda t: t])
def test_gradients_share_no_memory(make, reduce):
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    out = make(a, b)
    last = reduce(out)
    upstream = np.ones(last.shape)
    last.backward(upstream)
    before = b.grad.copy(), np.copy(out.grad)
    kept = a.grad
    a.grad *= 100
    np.testing.assert_array_equal(b.grad, before[0])
    np.testing.assert_array_equal(out.grad, before[1])
    np.testing.assert_array_equal(upstream, np.ones(last.shape))
    copy = kept.copy()
    last.backward(upstream)
    np.testing.assert_array_equal(kept, copy)
    np.testing.assert_array_equal(b.grad, 2 * before[0])
    b.grad[0] = 7


VIEWS = [
    "sum",
    "mean",
    "reshape",
    "T",
    "ravel",
    "flip",
    "copy",
    "index",
    "broadcast_to",
    "concatenate",
    "square",
    "max",
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_leafs_gradient_is_a_writable_array_of_its_own(view):
    x, y = Tensor(np.ones((2, 2))), Tensor(np.ones((2, 2)))
    made = {
        "reshape": lambda t: t.reshape(4),
        "T": lambda t: t.T,
        "index": lambda t: t[:],
        "broadcast_to": lambda t: t.broadcast_to((2, 2)),
        "concatenate": lambda t: np.concatenate([t, y]),
    }.get(view) or (lambda t: getattr(t, view)())
    out = made(x)
    out.backward(np.ones(out.shape))
    before = np.copy(out.grad)
    x.grad *= 3
    x.grad[0, 0] = 9
    np.testing.assert_array_equal(out.grad, before)


@pytest.fixture
def temporary():
    """Ops that a test makes are gone after it."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize("rule", [lambda g, out, x: g[None], lambda g, out, x: g * np.ones((2, 2))])
def test_axes_that_numpy_did_not_broadcast_are_not_summed_away(temporary, rule):
    twice = op(rule)(lambda x: 2 * x)
    with pytest.raises(ValueError, match="no broadcasting explains"):
        twice(Tensor([1.0, 2.0])).backward(np.ones(2))


def test_an_op_may_compute_with_python_numbers(temporary):
    @op(lambda g, out, x: float(g) * math.cos(x))
    def sine(x):
        return math.sin(x)

    x = Tensor(1.0)
    y = sine(x)
    y.backward()
    assert type(y.data) is np.float64 and x.grad == math.cos(1.0)

    @op(lambda g, out, x: g)
    def winner(x):
        return np.argmax(x)

    with pytest.raises(TypeError, match=r"winner.*only real floats"):
        winner(Tensor([1.0, 2.0]))
