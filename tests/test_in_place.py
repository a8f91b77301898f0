"""In-place operators, and the side doors out of the graph: never a wrong gradient without a word."""

import math
import operator
import threading

import numpy as np
import pytest

from tinygrad_edu import Tensor, functional, grad, jacobian, nn, no_grad, vjp

IN_PLACE = {
    "+": operator.iadd,
    "-": operator.isub,
    "*": operator.imul,
    "/": operator.itruediv,
    "//": operator.ifloordiv,
    "%": operator.imod,
    "**": operator.ipow,
}
every = pytest.mark.parametrize("symbol", IN_PLACE)


@every
@pytest.mark.parametrize("values", [2.5, [2.5, 3.5]])
def test_inside_no_grad_a_leaf_is_updated_in_place(symbol, values):
    leaf = Tensor(values, dtype=np.float32, name="w")
    other = Tensor(2.0)
    kept, memory = leaf, leaf.data
    with no_grad():
        leaf = IN_PLACE[symbol](leaf, other)
    assert leaf is kept and leaf.requires_grad and leaf.is_leaf and leaf.dtype == np.float32
    np.testing.assert_allclose(leaf.data, IN_PLACE[symbol](np.array(values), 2.0), rtol=1e-6)
    if isinstance(values, list):
        assert leaf.data is memory


def test_matmul_in_place():
    leaf, turn = Tensor(np.eye(2)), np.array([[0.0, 1.0], [1.0, 0.0]])
    with no_grad():
        leaf @= turn
    np.testing.assert_array_equal(leaf.data, turn)


@every
def test_a_leaf_that_requires_a_gradient_is_not_updated_while_ops_are_recorded(symbol):
    leaf = Tensor(2.5)
    with pytest.raises(RuntimeError, match=r"leaf that requires a gradient.*no_grad\(\)") as caught:
        IN_PLACE[symbol](leaf, 1.0)
    assert f"t {symbol}= ..." in str(caught.value) and leaf.item() == 2.5


@every
def test_the_result_of_an_op_is_a_new_tensor(symbol):
    leaf = Tensor([2.5, 1.5])
    result = before = leaf * 2
    result = IN_PLACE[symbol](result, 1.5)
    assert result is not before and before.tolist() == [5.0, 3.0]
    result.sum().backward()
    assert leaf.grad is not None


def test_a_constant_that_gathers_losses_becomes_part_of_the_graph():
    w, total = Tensor(3.0), Tensor(0.0, requires_grad=False)
    for k in (1.0, 2.0):
        total += w * k
    total.backward()
    assert w.grad == 3.0
    count = same = Tensor([1.0, 2.0], requires_grad=False)
    count += 1.0
    assert count is same and count.tolist() == [2.0, 3.0]


def test_pytorchs_own_loop_trains():
    model = nn.Linear(2, 1)
    x, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0], [-2.0]])
    losses = []
    for _ in range(50):
        loss = ((model(x) - y) ** 2).mean()
        model.zero_grad()
        loss.backward()
        losses.append(loss.item())
        with no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
    assert losses[-1] < 1e-3 * losses[0]


def test_backward_through_a_value_that_was_updated_is_an_error():
    w = Tensor(3.0, name="w")
    loss = w * w
    with no_grad():
        w *= 2
    with pytest.raises(RuntimeError, match=r"w.*updated after multiply used it"):
        loss.backward()


def test_an_update_of_another_shape_is_refused():
    leaf = Tensor([1.0, 2.0])
    with no_grad(), pytest.raises(ValueError, match=r"shape \(3, 2\) do not fit"):
        leaf += np.ones((3, 2))


DOORS = [
    lambda w: w * 2 + math.exp(w),
    lambda w: math.sin(w),
    lambda w: float(w),
    lambda w: np.float64(w),
    lambda w: np.fromiter([w], float),
    lambda w: np.zeros(2).fill(w),
    lambda w: np.ones(3).sum(initial=w),
    lambda w: np.full(2, w),
    lambda w: [np.zeros(2).__setitem__(0, w)],
    lambda w: "%.3f" % w,  # noqa: UP031
    lambda w: complex(w),
    lambda w: np.array([w, 1.0]),
    lambda w: np.linspace(0, 1, 3).put(0, w),
]


@pytest.mark.parametrize("door", DOORS)
def test_no_silent_way_out_of_the_graph(door):
    for w in (Tensor(0.5), Tensor(0.25) * 2):
        with pytest.raises((TypeError, ValueError)) as caught:
            door(w)
        reason = caught.value.__cause__ or caught.value  # NumPy puts words of its own in front
        assert "would lose the gradient" in str(reason) or "np.copyto" in str(reason)


def test_values_that_lose_nothing_can_be_had():
    w = Tensor(0.5)
    assert f"{w:.1f}" == "0.5" and w.item() == 0.5 and int(w) == 0
    assert float(w.detach()) == math.sqrt(Tensor(0.25, requires_grad=False)) == 0.5
    with no_grad():
        assert float(w) == 0.5 and math.exp(w * 0) == 1.0


def test_threads_that_add_to_one_gradient_lose_nothing():
    w = Tensor(np.zeros(1000))

    def work():
        for _ in range(50):
            w.sum().backward()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(w.grad, np.full(1000, 400.0))


MESSAGES = [
    (lambda: Tensor(1.0, "x"), TypeError, "takes the data alone by position.*name='x'"),
    (lambda: Tensor(1.0, name=5), TypeError, "a text as its name, not 5"),
    (lambda: Tensor(np.ma.array([1.0, 2.0], mask=[0, 1])), TypeError, "mask would be lost.*filled"),
    (lambda: Tensor([1.0, 2.0]).item(), ValueError, r"item: shape \(2,\) is not one number"),
    (lambda: bool(Tensor([1.0, 2.0])), ValueError, r"if tensor: shape \(2,\) .*\.any\(\)"),
    (lambda: (Tensor(1.0) * 2).__reduce__(), TypeError, "matplotlib.*data.*detach"),
    (lambda: Tensor([1.0]).max(Tensor([2.0])), TypeError, r"max: .* axis; .*larger of two.* np.maximum\(x, y\)"),
    (lambda: np.min(Tensor([1.0]), Tensor([2.0])), TypeError, r"min: .* axis; .*smaller of two.* np.minimum\(x, y\)"),
    (lambda: Tensor([1.0]).sum(Tensor([2.0])), TypeError, "sum: .* axis; pass its values: axis=tensor.data"),
    (lambda: Tensor([1.0])[Tensor([0.0])], TypeError, r"getitem: .* index; .*tensor.data.astype\(int\)"),
    (lambda: np.where(Tensor([1.0]), 1, 2), TypeError, r"where: .* condition; pass a comparison.*tensor > 0"),
    (lambda: np.percentile(Tensor([1.0]), Tensor(5.0)), TypeError, "percentile: no gradient flows to q"),
    (lambda: len(Tensor(1.0)), TypeError, r"len\(tensor\): shape \(\) is one number"),
    (lambda: f"{Tensor([1.0, 2.0]):.2f}", ValueError, r"format '.2f': shape \(2,\).*array2string"),
    (lambda: Tensor([1.0, 2.0]).__delitem__(0), TypeError, r"del t.*np.delete"),
    (lambda: Tensor([[1.0]]).sum(0, 1), TypeError, r"keepdims is 1; .*axis=\(0, 1\)"),
    (lambda: Tensor([[1.0]]).mean(0, 1), TypeError, r"keepdims is 1; .*axis=\(0, 1\)"),
    (lambda: Tensor([[1.0]]).max(0, keepdims="no"), TypeError, "keepdims is 'no'; it must be True or False"),
    (lambda: Tensor([[1.0]]).std(0, keepdims=2), TypeError, "keepdims is 2; it must be True or False"),
    (lambda: Tensor([[1.0]]).prod(0, 1), TypeError, r"keepdims is 1; .*axis=\(0, 1\)"),
    (lambda: Tensor([[1.0]]).logsumexp(0, 1), TypeError, r"keepdims is 1; .*axis=\(0, 1\)"),
    (lambda: np.concatenate(Tensor([1.0]), Tensor([1.0])), TypeError, r"np.concatenate\(\[x, y\]\)"),
    (lambda: np.stack(Tensor([1.0]), Tensor([1.0])), TypeError, r"np.stack\(\[x, y\]\)"),
    (lambda: Tensor([1.0]) @ Tensor(2.0), ValueError, r"matmul: \(1,\) @ \(\): a number has no axis.*use \*"),
    (lambda: Tensor(1.0).backward(retain_graph=True), TypeError, "retain_graph= is here needless"),
    (lambda: grad(2.0), TypeError, "grad: 2.0 is not a function; write for example grad"),
    (lambda: jacobian(Tensor([1.0])), TypeError, "jacobian: .* is not a function"),
    (lambda: vjp([1.0], 1.0), TypeError, "vjp: .* is not a function"),
]


@pytest.mark.parametrize("make", [list, lambda m: [m, m], lambda m: [[1.0], [m]], tuple])
def test_masks_are_not_lost_in_lists(make):
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    data = make(masked) if make is not list else [masked]
    for call in (Tensor, lambda x: Tensor([1.0]) * x, nn.ReLU(), lambda x: np.add(Tensor(1.0), x), functional.softmax):
        with pytest.raises(TypeError, match=r"mask would be lost|is not a Tensor"):
            call(data)
    assert Tensor(np.ma.array([1.0, 2.0])).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "call", [lambda m, x: m * x, lambda m, x: x * m, lambda m, x: m + x, lambda m, x: np.ma.exp(x)]
)
def test_numpys_masked_arrays_do_not_take_the_values_of_a_tensor(call):
    with pytest.raises(TypeError, match=r"lose the gradient|mask would be lost"):
        call(np.ma.array([1.0, 2.0], mask=[0, 1]), Tensor([1.0, 2.0]))


def test_comparisons_are_numpys():
    x = Tensor([1.0, 2.0])
    assert (x == "a").tolist() == [False, False] and (x != [1.0, 3.0]).tolist() == [False, True]
    assert Tensor(1.0) != "a" and np.sum(x, 0, keepdims=1).shape == (1,)


@pytest.mark.parametrize("call, error, message", MESSAGES)
def test_messages_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()
