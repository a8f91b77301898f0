import numpy as np
import pytest

from tinygrad_edu import Tensor, gradients, nn, no_grad
from tinygrad_edu.draw.names import caller_variables, name_cards
from tinygrad_edu.draw.record import record
from tinygrad_edu.functional import cross_entropy


def f_of_xyz():
    x, y, z = Tensor(-2.0, name="x"), Tensor(5.0, name="y"), Tensor(-4.0, name="z")
    q = x + y
    q.name = "q"
    f = q * z
    f.name = "f"
    return f


def test_cards_and_wires_of_a_textbook_example():
    found = record(f_of_xyz())
    assert [card.name for card in found.cards] == ["x", "y", "q", "z", "f"]
    assert [card.kind for card in found.cards] == ["input", "input", "op", "input", "op"]
    assert [float(card.gradient) for card in found.cards] == [-4, -4, -4, 3, 1]
    wires = {(w.source.name, w.target.name): (float(w.contribution), w.local) for w in found.wires()}
    assert wires == {("x", "q"): (-4, 1), ("y", "q"): (-4, 1), ("q", "f"): (-4, -4), ("z", "f"): (3, 3)}
    assert [(w.target.name, w.source.name) for w in found.backward] == [
        ("f", "q"),
        ("f", "z"),
        ("q", "x"),
        ("q", "y"),
    ]
    assert found.seed == 1 and found.output.name == "f"


def test_a_tensor_used_twice_has_two_wires_and_the_sum_of_both():
    a = Tensor(3.0)
    h = a * a
    h.backward()
    h.backward()
    assert a.grad == 12
    h.grad = None
    found = record(h)
    card = found.cards[0]
    assert float(card.gradient) == 6 and [float(w.contribution) for w in card.contributions()] == [3, 3]
    assert a.grad == 12 and h.grad is None


def test_the_gradient_that_backward_was_given_is_the_seed():
    x = Tensor([1.0, 2.0])
    y = x * 3
    y.backward([10.0, 1.0])
    found = record(y)
    np.testing.assert_array_equal(found.seed, [10, 1])
    np.testing.assert_array_equal(found.cards[0].gradient, [30, 3])
    np.testing.assert_array_equal(x.grad, [30, 3])


def test_what_needs_no_gradient():
    x = Tensor([1.0, -2.0])
    data = np.array([3.0, 4.0])
    y = (x * data + 2.0).relu()
    found = record(y.sum())
    names = {id(card.constant): card for card in found.cards if card.constant is not None}
    assert len(names) == 2 and names[id(data)].gradient is None and not names[id(data)].needs_gradient
    wire = found.output.wires[0].source.wires[0]
    assert not wire.blocked
    blocked = record((Tensor(-1.0) * 2).relu())
    assert blocked.output.wires[0].blocked and blocked.output.wires[0].local == 0


def test_leaves_constants_and_no_grad():
    x = Tensor(2.0)
    assert [float(card.gradient) for card in record(x).cards] == [1]
    constant = Tensor(2.0, requires_grad=False)
    assert record(constant).cards[0].gradient is None and record(constant).backward == []
    with no_grad():
        y = x * 2
    assert record(y).cards == [record(y).output] or len(record(y).cards) == 1


def test_a_leaf_that_was_updated_is_an_error():
    w = Tensor(1.0)
    loss = w * w
    w.assign(2.0)
    with pytest.raises(RuntimeError, match=r"the picture's backward: .* updated after .* before optimizer.step"):
        record(loss)
    assert len(record(loss, backward=False).cards) == 2


def test_long_chains_need_no_recursion():
    x = y = Tensor(1.0)
    for _ in range(5000):
        y = y * 1.0
    found = record(y)
    assert len(found.cards) == 10_001 and float(found.cards[0].gradient) == 1
    assert found.cards[0].tensor is x


def test_numbers_are_the_engines():
    model = nn.MLP([3, 4, 2], activation="tanh", rng=np.random.default_rng(0), dtype=np.float64)
    loss = cross_entropy(model(np.ones((5, 3))), np.array([0, 1, 1, 0, 1]))
    found = record(loss)
    parameters = list(model.parameters())
    expected = gradients(loss, parameters)
    cards = {id(card.tensor): card for card in found.cards}
    for p, g in zip(parameters, expected, strict=True):
        np.testing.assert_array_equal(cards[id(p)].gradient, g)
    for card in found.cards:
        if card.uses and card.gradient is not None:
            total = sum(w.contribution for w in card.contributions())
            np.testing.assert_allclose(total, card.gradient, rtol=1e-12, atol=1e-15)
    assert all(p.grad is None for p in parameters)


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


def test_variables_of_the_caller():
    weights, x = [Tensor(1.0), Tensor(2.0)], Tensor(3.0)
    found = caller_variables()
    assert found[id(x)] == "x" and found[id(weights[1])] == "weights[1]"


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


def test_a_record_is_a_snapshot():
    w, x = Tensor([1.0, 2.0]), np.array([3.0, 4.0])
    view = w.reshape(2, 1)
    found = record((view[:, 0] * x).sum())
    before = [card.value.copy() for card in found.cards]
    w.data -= 10
    x[:] = 7
    for card, value in zip(found.cards, before, strict=True):
        np.testing.assert_array_equal(card.value, value)


def test_a_single_number_is_derived_from_1_whatever_its_grad():
    x = Tensor(3.0)
    h = x * x
    (h * 5).backward()
    assert h.grad == 5
    assert [float(card.gradient) for card in record(h).cards] == [6, 1]
    assert float(record(x).output.gradient) == 1


def test_equal_names_are_numbered():
    a, b = Tensor(1.0, name="w"), Tensor(2.0, name="w")
    assert [card.name for card in named(a * b + a).cards][:2] == ["w", "w₂"]


def test_modules_that_nobody_holds():
    def make():
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        return net(np.ones((5, 3), np.float32)).sum()

    found = named(make())
    parameters = [card for card in found.cards if card.kind == "parameter"]
    assert [card.name for card in parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(card.scope is not None for card in parameters)


@pytest.mark.parametrize("names", [[1], {"A": 3}, {3: "a"}])
def test_names_must_name_tensors(names):
    with pytest.raises(TypeError, match="names"):
        named(Tensor(1.0) * 2, names=names)


def test_drawing_a_module_leaves_it_as_it_was():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))
    nn.init.manual_seed(0)
    before, state = net.state_dict(), nn.init.generator().bit_generator.state
    net.graph(np.arange(6, dtype=np.float32).reshape(3, 2))
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert nn.init.generator().bit_generator.state == state


def test_what_arrived_before_a_hook_changed_it():
    x, w = Tensor(2.0), Tensor([0.1, 0.2, 0.3], dtype=np.float32)
    x.register_hook(lambda g: g * 10)
    w.register_hook(lambda g: None)
    y = x * x
    y.register_hook(lambda g: g * 3)
    total = y + (w * 0.7 + w * w * w).sum()
    cards = {id(card.tensor): card for card in record(total).cards}
    assert float(cards[id(x)].before_hooks) == 12 and float(cards[id(x)].gradient) == 120
    assert float(cards[id(y)].before_hooks) == 1 and float(cards[id(y)].gradient) == 3
    assert cards[id(w)].before_hooks is None and cards[id(total)].before_hooks is None

    def once(g):
        handle.remove()
        return g * 2

    handle = x.register_hook(once)
    assert {id(c.tensor): c for c in record(y).cards}[id(x)].before_hooks == 12
