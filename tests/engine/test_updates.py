"""Updates of leaves: backward through a value that has changed is an error."""

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import Tensor


def assign(x):
    x.assign(x.data + 1)


def subtract_in_place(x):
    x.data -= 1


def set_data(x):
    x.data = x.data * 0.5


def freeze(x):
    x.requires_grad = False


def set_same_data(x):
    x.data = x.data


UPDATES = [assign, subtract_in_place, set_data, freeze, set_same_data]
USES = [  # the op that uses x, as a function of x and another tensor
    ("multiply", lambda x, w: x * w),
    ("multiply", lambda x, w: w * x),
    ("add", lambda x, w: x + w),
    ("tanh", lambda x, w: x.tanh() * w),
    ("sum", lambda x, w: x.sum() * w),
    ("where", lambda x, w: np.where(np.array([True, False]), x, w)),
    ("concatenate", lambda x, w: np.concatenate([w, x])),
    ("expand_dims", lambda x, w: x.expand_dims(0) @ w.expand_dims(1)),
]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("update", UPDATES)
def test_backward_through_an_updated_tensor_is_an_error(update, create_graph):
    for trainable in (True, False):
        for name, use in USES:
            x = Tensor([1.0, 2.0], name="rate", requires_grad=trainable)
            w = Tensor([3.0, 4.0])
            loss = use(x, w).sum()
            if not trainable and name in ("tanh", "sum", "expand_dims"):
                continue  # a constant goes into a constant: its value was copied
            update(x)
            with pytest.raises(RuntimeError, match=r"rate.*was updated.*again"):
                loss.backward(create_graph=create_graph)
            x.requires_grad = trainable
            use(x, w).sum().backward()
            assert w.grad.shape == (2,)


def test_the_error_of_an_update_names_tensor_and_op():
    weight, x = Tensor(np.ones((2, 3)), name="weight"), np.ones((4, 3))
    loss = (tinygrad_edu.linear(x, weight) ** 2).mean()
    loss.backward()
    weight.data -= 0.1 * weight.grad
    with pytest.raises(RuntimeError, match=r"weight.*\(2, 3\).*(linear|transpose)"):
        loss.backward()


def test_training_goes_on_after_an_update():
    w = Tensor(1.0, name="w")
    for _ in range(3):
        w.grad = None
        loss = (w - 3) ** 2
        loss.backward()
        w.data -= 0.25 * w.grad
    assert w.item() == 3 - 2 * 0.5**3


def test_updates_of_vectors_are_in_place_and_keep_the_dtype():
    x = Tensor([1.0, 2.0], dtype=np.float32)
    array = x.data
    x.data -= np.array([0.5, 0.5])
    assert x.assign([1, 2]) is x
    x.assign(7)
    assert x.data is array and x.dtype == np.float32 and x.tolist() == [7, 7]
    scalar = Tensor(1.0, dtype=np.float32)
    scalar.data -= 0.5
    scalar.data = np.float64(2)
    assert scalar.item() == 2 and scalar.data.dtype == np.float32 and type(scalar.data) is np.float32


def test_updates_that_are_refused():
    x = Tensor([1.0, 2.0])
    y = x * 2
    with pytest.raises(RuntimeError, match=r"result of multiply.*only"):
        y.assign([1.0, 2.0])
    with pytest.raises(RuntimeError, match="multiply"):
        y.requires_grad = False
    with pytest.raises(ValueError, match="shape"):
        x.assign([1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="data"):
        x.assign(Tensor([1.0, 2.0]))
    for wrong in (np.array([1j, 2.0]), [None, 1.0], ["1", "2"]):
        with pytest.raises(TypeError):
            x.assign(wrong)
    y.sum().backward()  # nothing of it counts as an update
    assert x.tolist() == [1, 2] and x.grad.tolist() == [2, 2]


def test_a_failed_update_of_a_result_leaves_its_values():
    for y in (Tensor([1.0, 2.0]) * 2, Tensor([[2.0], [4.0]]).reshape(2), 2 * Tensor([1.0, 2.0]).copy()):
        with pytest.raises((RuntimeError, ValueError)):
            y.data -= 1
        assert y.tolist() == [2, 4]


def test_a_read_of_data_is_no_update():
    x = Tensor([1.0, 2.0])
    y = (x * x).sum()
    assert x.data.sum() == 3 and x.numpy().sum() == 3
    y.backward()


def test_a_hook_may_update_another_leaf():
    x, w = Tensor(2.0), Tensor(3.0)
    y = x * w
    y.register_hook(lambda g: w.assign(5.0) and None)
    with pytest.raises(RuntimeError, match="updated"):
        y.backward()
    x, w = Tensor(2.0), Tensor(3.0)
    y = x * w
    z = y * 2
    x.register_hook(lambda g: w.assign(5.0) and None)  # all values have been used by then
    z.backward()
    assert (x.grad, w.grad, w.data) == (6.0, 4.0, 5.0)
