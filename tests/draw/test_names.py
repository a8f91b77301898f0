import weakref

import numpy as np
import pytest
from drawn import f_of_xyz

from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.variables import caller_variables


def named(output, names=None, **variables):
    found = record(output)
    name_cards(found, names, {id(value): name for name, value in variables.items()})
    return found


def test_names():
    found = named(f_of_xyz())
    assert [card.name for card in found.cards] == ["x", "y", "q", "z", "f"]
    a, b = Tensor(2.0), np.array([1.0, 2.0])
    c = a * b
    total = c.sum() * 2
    found = named(total, names={a: "alpha"}, a=a, b=b, total=total)
    assert [card.name for card in found.cards] == ["alpha", "b", "multiply1", "sum1", "2", "total"]
    assert [card.named for card in found.cards] == [True, True, False, False, False, True]


class Plain:
    """Attributes of all kinds; nothing here may run when a picture is drawn."""

    shared = Tensor(1.0)

    def __init__(self):
        self.w, self.array, self.again = Tensor(2.0), np.ones(3), {"deep": Tensor(3.0)}

    def variables(self):
        return caller_variables()

    def __getattr__(self, name=""):
        raise AssertionError(name)

    __class__ = property(__getattr__)


class Proxy:
    __slots__ = ()
    __dict__ = __class__ = property(Plain.__getattr__)


def test_variables_of_the_caller():
    weights, x, m, proxy = [Tensor(1.0), Tensor(2.0)], Tensor(3.0), Plain(), Proxy()
    many = {i: Tensor(0.0) for i in range(1001)}
    found = caller_variables()
    assert found[id(x)] == "x" and found[id(weights[1])] == "weights[1]"
    assert found[id(m.w)] == "m.w" and found[id(m.array)] == "m.array" and m.variables()[id(m.w)] == "self.w"
    assert found[id(many[999])] == "many[999]" and id(many[1000]) not in found
    assert not {id(Plain.shared), id(m.again["deep"]), id(proxy)} & found.keys()


hidden = Tensor(1.0)


def test_a_global_variable_that_a_local_one_hides_is_no_name():
    assert caller_variables()[id(hidden)] == "hidden"

    def inner(hidden):
        return caller_variables()

    assert id(hidden) not in inner(1.0)


def test_a_tensor_of_an_object_is_called_by_its_attribute():
    m, x = Plain(), Tensor(3.0)
    assert [card.name for card in (m.w * x).graph().record.cards] == ["m.w", "x", "multiply1"]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (lambda a: a[2], "xs[2]"),
        (lambda a: a[::-1][0], "xs[3]"),
        (lambda a: a[1:3], "xs[1:3]"),
        (lambda a: a[:, 1], "data1"),
        (lambda a: a[1:, 1:], "data1"),
        (lambda a: a[::2], "data1"),
        (lambda a: a.T, "data1"),
        (lambda a: a[2].view(np.int64), "data1"),
        (lambda a: a[2].copy(), "data1"),
        (lambda a: a[:0], "data1"),
    ],
)
@pytest.mark.parametrize("order", "CF")
def test_a_part_of_an_array_is_called_by_its_place(part, name, order):
    xs = np.array(np.arange(24.0).reshape(4, 3, 2), order=order)
    output = Tensor(1.0, name="w") * part(xs)
    assert named(output, xs=xs).cards[1].name == name


def test_parts_of_arrays_without_rows_and_with_other_names():
    number, xs = np.array(3.0), np.arange(6.0)
    row, output = xs[2:4], Tensor(1.0, name="w") * np.broadcast_to(number, 2)
    assert named(output, number=number).cards[1].name == "data1"
    output = Tensor(1.0, name="w") * row
    assert named(output, xs=xs).cards[1].name == "xs[2:4]"
    assert named(output, xs=xs, row=row).cards[1].name == "row"


def test_constants_of_ones_and_zeros():
    w = Tensor(1.0, name="w")
    parts = [np.ones(2), np.zeros((2, 2)), np.ones((2, 1)), np.array([True, True]), np.array([0.0, 1.0])]
    found = named(sum((w * part for part in parts), w))
    names = [card.name for card in found.cards if card.constant is not None]
    assert names == ["ones", "zeros", "ones2", "mask1", "data1"]


def test_the_seed_of_a_second_derivative_is_a_number_in_a_formula():
    x = Tensor(3.0, name="x")
    (x**4).backward(create_graph=True)
    found = named(x.grad)
    assert {card.name for card in found.cards if card.constant is not None} == {"1", "3", "4"}
    assert "12·x²" in str(x.grad.explain(x))
    assert named(Tensor(2.0, requires_grad=False)).output.tensor is not None  # a picture of one tensor


def test_the_seed_of_a_second_derivative_of_a_vector_is_ones():
    x = Tensor([1.0, 2.0], name="x")
    (x**2).backward(np.ones(2), create_graph=True)
    assert "ones" in {card.name for card in named(x.grad).cards}


def test_modules_give_scopes_and_paths():
    net = nn.MLP([3, 4, 2], rng=np.random.default_rng(0))
    x, y = np.ones((5, 3), np.float32), np.array([0, 1, 1, 0, 1])
    loss = nn.CrossEntropyLoss()(net(x), y)
    found = named(loss, net=net, x=x, loss=loss)
    scopes = {card.name: [scope.name for scope in card.scope.path()] if card.scope else [] for card in found.cards}
    assert scopes["net.0.weight"] == scopes["net.0.bias"] == ["net", "0"]
    assert scopes["linear1"] == ["net", "0"] and scopes["relu1"] == ["net", "1"] and scopes["linear2"] == ["net", "2"]
    assert scopes["x"] == [] and scopes["loss"] == [""]
    labels = {card.name: card.scope.label for card in found.cards if card.scope}
    assert labels["linear1"] == "Linear(3, 4)" and labels["loss"] == "CrossEntropyLoss"
    assert {card.name for card in found.cards if card.kind == "parameter"} == {
        *("net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias")
    }
    assert {id(s) for card in found.cards if card.scope for s in card.scope.path()[:1]} != set()


def test_a_cell_that_is_called_again_is_another_scope():
    cell = nn.Sequential(nn.Linear(2, 2, rng=np.random.default_rng(0)), nn.Tanh())
    h = np.ones((1, 2), np.float32)
    for _ in range(3):
        h = cell(h)
    found = named(h.sum(), cell=cell)
    outer = [card.scope.path()[0] for card in found.cards if card.op is not None and card.op.name == "tanh"]
    assert len(set(map(id, outer))) == 3 and {scope.name for scope in outer} == {"cell"}
    assert found.output.scope is None


def test_equal_names_are_numbered():
    a, b = Tensor(1.0, name="w"), Tensor(2.0, name="w")
    assert [card.name for card in named(a * b + a).cards][:2] == ["w", "w₂"]


def test_new_names_leave_made_up_ones_as_they_were():
    x = Tensor(1.0, name="w")

    def drawn():
        y = x * 2.0
        return (y + Tensor(3.0, name="u")).graph()

    picture = drawn()
    before = [(card.name, card.named) for card in picture.record.cards]
    picture.forward(names={x: "v"})
    assert before == [("w", True), ("2", False), ("y", True), ("u", True), ("add1", False)]
    assert [(card.name, card.named) for card in picture.record.cards] == [("v", True), *before[1:]]


def test_modules_that_nobody_holds():
    def make():
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        return net(np.ones((5, 3), np.float32)).sum()

    found = named(make())
    parameters = [card for card in found.cards if card.kind == "parameter"]
    assert [card.name for card in parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(card.scope is not None for card in parameters)


def test_modules_that_cannot_be_hashed():
    class Scale(nn.Module):
        def __init__(self, *inner):
            self.w, self.inner = Tensor(2.0), list(inner)

        def forward(self, x):
            for module in self.inner:
                x = module(x)
            return x * self.w

        def __eq__(self, other):  # which makes __hash__ None
            return self is other

    net = Scale(Scale(), Scale())
    found = named(net(Tensor(3.0)), net=net)
    names = {card.name: card.scope.name for card in found.cards if card.kind == "parameter"}
    assert names == {"net.inner.0.w": "inner.0", "net.inner.1.w": "inner.1", "net.w": "net"}


@pytest.mark.parametrize("names", [[1], {"A": 3}, {3: "a"}])
def test_names_must_name_tensors(names):
    with pytest.raises(TypeError, match="names"):
        named(Tensor(1.0) * 2, names=names)


def test_a_drawing_function_does_not_keep_its_variables():
    def draw():
        loss = (Tensor([1.0, 2.0]) * 2).sum()
        seen = weakref.ref(loss)
        loss.graph()
        del loss
        return seen()

    assert draw() is None


def test_the_callers_own_locals_stay():
    def draw():
        w = Tensor(1.0)
        mine = locals()
        (w * 2).graph()
        return "w" in mine

    assert draw()


def test_a_frozen_parameter_is_a_parameter():
    net = nn.Linear(2, 1)
    net.bias.requires_grad = False
    found = named(net(np.ones((1, 2))).sum(), net=net)
    assert {card.name: card.kind for card in found.cards}["net.bias"] == "parameter"


def test_an_array_in_another_shape_has_the_same_name():
    xs = np.arange(6.0)
    output = Tensor(2.0, name="w") * xs.reshape(2, 3)
    assert named(output, xs=xs).cards[1].name == "xs"
    turned = xs.copy().reshape(2, 3)
    assert named(Tensor(2.0, name="w") * turned.T, turned=turned).cards[1].name == "data1"
