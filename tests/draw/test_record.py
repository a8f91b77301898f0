import gc
import weakref

import numpy as np
import pytest
from drawn import f_of_xyz

from tinygrad_edu import Tensor, gradients, nn, no_grad
from tinygrad_edu.draw.player.steps import script
from tinygrad_edu.draw.record import record
from tinygrad_edu.functional import cross_entropy


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
    w = Tensor(1.0, name="w")
    loss = w * w
    w.assign(2.0)
    for draw in (record, lambda y: record(y, backward=False), lambda y: y.graph(mode="forward"), lambda y: y.explain()):
        with pytest.raises(
            RuntimeError, match=r"^graph: tensor w\(\) was updated .* is gone, .* before optimizer.step"
        ):
            draw(loss)


def test_an_error_of_a_hook_is_not_taken_for_an_update():
    def hook(gradient):
        raise RuntimeError("mine")

    x = Tensor(1.0)
    x.register_hook(hook)
    with pytest.raises(RuntimeError, match=r"^mine$"):
        record(x * 2.0)


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def everything():
    output = f_of_xyz()
    graph, explanation = output.graph(depth=0), output.explain()
    steps = script(graph.backward())
    assert graph.source and graph.alt_text and str(graph) and str(explanation) and steps.steps
    return [weakref.ref(x) for x in (output, graph, graph.plan, graph.record, *graph.record.cards)]


def test_reference_counts_free_a_picture(without_collector):
    assert not any(reference() for reference in everything())


def test_a_card_that_outlived_its_record_says_so_when_asked_for_its_uses():
    card, wire = record(f_of_xyz()).cards[0], record(f_of_xyz()).output.wires[0]
    assert card.value == -2 and wire.source.name == "q"
    with pytest.raises(ReferenceError, match=r"found = record\(y\)"):
        card.contributions()
    with pytest.raises(ReferenceError):
        _ = wire.target


def test_a_long_record_is_freed_without_recursion():
    x = y = Tensor(1.0)
    for _ in range(20_000):
        y = y * x
    output = record(y).output
    freed = weakref.ref(output.wires[1].source)
    del output
    assert freed() is None


@pytest.mark.parametrize(("seed", "zero", "blocked"), [(1.0, True, True), (0.0, True, False)])
def test_what_was_0_before_is_not_blocked(seed, zero, blocked):
    found = record(Tensor(-1.0).relu(), gradient=seed)
    (wire,) = found.wires()
    assert (wire.zero, wire.blocked) == (zero, blocked)


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


def test_index_arrays_are_cards_whose_wires_carry_no_gradient():
    x, rows, keep = Tensor(np.arange(6.0).reshape(3, 2), name="x"), np.array([0, 2]), np.array([True, False])
    y = (x[rows, rows // 2] * x[1:, 0])[keep].sum()
    graph = y.graph()
    cards = {card.name: card for card in graph.record.cards}
    assert [wire.source.name for wire in cards["getitem1"].wires] == ["x", "rows", "index1"]
    assert cards["getitem1"].operands == [cards["x"]] and cards["keep"].kind == "data"
    assert [wire.source.name for wire in cards["getitem2"].wires] == ["x"]  # a slice and a number
    assert not any(wire.contribution is not None for name in ("rows", "keep") for wire in cards[name].uses)
    assert "├─ rows [2]  data  = [0, 2]" in str(graph) and "chosen by rows and index1" in graph.alt_text
    assert np.array_equal(cards["x"].gradient, record(y).cards[0].gradient)


def test_the_input_of_an_embedding_is_drawn_and_played():
    ids = np.array([1, 2])
    graph = nn.Embedding(6, 4).graph(ids)
    assert [(card.name, card.scope is None) for card in graph.record.cards[:2]] == [("weight", False), ("ids", True)]
    assert "getitem: [6×4], [2] → [2×4]" in graph.player().html
