"""Hooks, no_grad and threads."""

import threading

import numpy as np
import pytest

from tinygrad_edu import Tensor, no_grad


def test_a_hook_sees_the_complete_gradient_once():
    x, seen = Tensor([1.0, 2.0]), []
    y = x * 3
    y.register_hook(seen.append)
    x.register_hook(seen.append)
    (y * y + y).sum().backward()
    np.testing.assert_array_equal(seen, [[7, 13], [21, 39]])
    np.testing.assert_array_equal(x.grad, [21, 39])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("leaf", [False, True])
def test_what_a_hook_returns_replaces_the_gradient(leaf, create_graph):
    x = Tensor([1.0, 2.0])
    y = x * 3
    (x if leaf else y).register_hook(lambda g: g * 10)
    (y * y).sum().backward(create_graph=create_graph)
    grad = x.grad
    np.testing.assert_array_equal(grad.data if create_graph else grad, [180, 360])
    np.testing.assert_array_equal(y.grad.data if create_graph else y.grad, [6, 12] if leaf else [60, 120])
    if create_graph:
        x.grad = None
        grad.sum().backward()
        np.testing.assert_array_equal(x.grad, [1800, 1800])  # the second pass goes through the hook again


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), [1, 2], np.float32([1, 2])], ids=str)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_may_return_any_array_of_the_shape(value, create_graph):
    x = Tensor([5.0, 6.0], dtype=np.float32)
    x.register_hook(lambda g: value)
    (x * x).sum().backward(create_graph=create_graph)
    assert type(x.grad) is (Tensor if create_graph else np.ndarray) and x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [1, 2])


def test_several_hooks_run_in_order_and_come_off_one_by_one():
    x = Tensor(1.0)
    double, plus = x.register_hook(lambda g: g * 2), x.register_hook(lambda g: g + 1)
    for expected in (3, 2, 1):
        x.grad = None
        (x * 1).backward()
        assert x.grad == expected
        (plus if expected == 3 else double).remove()
    double.remove()


def test_the_same_hook_twice_counts_twice():
    x, calls = Tensor(1.0), []
    first, _ = x.register_hook(calls.append), x.register_hook(calls.append)
    first.remove()
    (x * 2).backward()
    assert calls == [2]


def test_a_hook_must_be_a_function():
    with pytest.raises(TypeError, match="register_hook"):
        Tensor(1.0).register_hook(None)


def test_a_hook_must_keep_the_shape():
    x = Tensor([1.0, 2.0])
    handle = x.register_hook(lambda g: g[0])
    with pytest.raises(ValueError, match=r"register_hook: .*shape \(\) of a gradient of shape \(2,\)"):
        (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()


def test_a_hook_must_not_write_into_the_gradient():
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])

    def clear(g):
        g *= 0

    c = a + b
    c.register_hook(clear)
    with pytest.raises(ValueError, match="read-only"):
        c.sum().backward()


def test_a_hook_that_only_looks_leaves_a_writable_gradient():
    x = Tensor([1.0, 2.0])
    x.register_hook(lambda g: None)
    x.register_hook(lambda g: g)
    (x * x).sum().backward()
    x.grad *= 2
    np.testing.assert_array_equal(x.grad, [4, 8])


def test_no_grad_records_nothing():
    x = Tensor([1.0, 2.0])
    with no_grad():
        y = x * 2
        with no_grad():
            z = x.sum()
        w = x + 1
    for t in (y, z, w):
        assert t.is_leaf and not t.requires_grad
    assert (x * 2).requires_grad


def test_no_grad_as_a_decorator_and_after_an_error():
    x = Tensor(2.0)

    @no_grad()
    def evaluate():
        return x * x

    assert not evaluate().requires_grad and not evaluate().requires_grad
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (x * x).requires_grad


def test_no_grad_stays_in_its_thread():
    x, results = Tensor(2.0), {}
    inside, done = threading.Event(), threading.Event()

    def evaluate():
        with no_grad():
            inside.set()
            done.wait(10)
            results["evaluate"] = (x * x).requires_grad

    thread = threading.Thread(target=evaluate)
    thread.start()
    assert inside.wait(10)
    results["train"] = (x * x).requires_grad
    done.set()
    thread.join(10)
    assert results == {"train": True, "evaluate": False}


def test_results_of_no_grad_do_not_share_memory_with_their_operand():
    x = Tensor([1.0, 2.0])
    with no_grad():
        views = [x.reshape(2, 1), x[:], x.T, x.broadcast_to((2, 2)), x.expand_dims(0), x.flip(), x.detach(), x.copy()]
    x.assign([7.0, 7.0])
    assert all(1.0 in view.data and 7.0 not in view.data for view in views)


def test_two_threads_may_share_leaves():
    shared, starting, results = Tensor(np.linspace(0, 1, 50)), threading.Barrier(2), {}

    def work(k):
        gradients = []
        starting.wait(10)
        for _ in range(100):
            own = Tensor(float(k))
            y = shared * own
            (y * y).sum().backward()
            gradients.append((own.grad, y.grad.copy()))
        results[k] = gradients

    threads = [threading.Thread(target=work, args=(k,)) for k in (2, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for k in (2, 5):
        for own, y in results[k]:
            assert own == pytest.approx(2 * k * (shared.data**2).sum(), rel=1e-12)
            np.testing.assert_allclose(y, 2 * k * shared.data)
