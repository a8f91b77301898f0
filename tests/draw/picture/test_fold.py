import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_edu as te
from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.picture.fold import Item, plan
from tinygrad_edu.draw.record import record


class Cell(nn.Module):
    """One step of a recurrent net: six tensors, one of them data."""

    def __init__(self, n=8):
        rng = np.random.default_rng(0)
        self.Wx, self.Wh = Tensor(rng.normal(0, 0.3, (n, n))), Tensor(rng.normal(0, 0.3, (n, n)))
        self.b = Tensor(np.zeros(n))

    def forward(self, x, h):
        return te.tanh(x @ self.Wx + h @ self.Wh + self.b)


def recurrent(steps, *, module=True):
    rng = np.random.default_rng(1)
    cell, h = Cell(), np.zeros((2, 8))
    for _ in range(steps):
        h = (cell if module else cell.forward)(rng.normal(size=(2, 8)), h)
    return (h * h).mean(), cell


def weighted_sum(form, w, b, x):
    """The ways in which students write the sum of a neuron."""
    if form == "sum from b":
        return sum((wi * xi for wi, xi in zip(w, x, strict=True)), b)
    if form == "sum from 0":
        return sum(wi * xi for wi, xi in zip(w, x, strict=True)) + b
    if form == "list":
        return sum([wi * xi for wi, xi in zip(w, x, strict=True)], b)
    total = b if form == "b first" else w[0] * x[0]
    for wi, xi in list(zip(w, x, strict=True))[0 if form == "b first" else 1 :]:
        total = total + wi * xi
    return total if form == "b first" else total + b


FORMS = ("sum from b", "sum from 0", "list", "b first", "b last")


class Neuron(nn.Module):
    """micrograd's neuron."""

    def __init__(self, inputs, form="sum from b", act=te.tanh):
        rng = np.random.default_rng(inputs)
        self.w, self.b = [Tensor(x) for x in rng.normal(size=inputs)], Tensor(0.1)
        for i, wi in enumerate(self.w):
            setattr(self, f"w{i}", wi)
        self.form, self.act = form, act

    def forward(self, x):
        return self.act(weighted_sum(self.form, self.w, self.b, x))


class Network:
    """micrograd's network; the last layer is linear."""

    def __init__(self, *widths, form="sum from b", act=te.tanh):
        acts = [*[act] * (len(widths) - 2), lambda s: s]
        pairs = zip(widths[:-1], widths[1:], acts, strict=True)
        self.layers = [[Neuron(n, form, f) for _ in range(width)] for n, width, f in pairs]

    def __call__(self, x, *, module=False, named=False):
        for number, layer in enumerate(self.layers):
            x = [(neuron if module else neuron.forward)(x) for neuron in layer]
            for i, h in enumerate(x if named else []):
                h.name = f"h{number}_{i}"
        return x[0] if len(x) == 1 else x


def inputs(n):
    return [Tensor(x, requires_grad=False) for x in np.random.default_rng(1).normal(size=n)]


def scalar_mlp(*widths, form="sum from b", act=te.tanh, **options):
    return Network(*widths, form=form, act=act)(inputs(widths[0]), **options)


def moons(examples):
    """The loss of micrograd's demo: a max-margin loss and a penalty."""
    net = Network(2, 16, 16, 1, act=te.relu)
    losses = [te.relu(1 + -1.0 * net(inputs(2))) for _ in range(examples)]
    squares = [p * p for layer in net.layers for neuron in layer for p in (*neuron.w, neuron.b)]
    return sum(losses) * (1 / examples) + 1e-4 * sum(squares)


def two_layers(steps):
    """A recurrent net of two layers, plain."""
    rng, cells, h1, h2 = np.random.default_rng(1), (Cell(), Cell()), np.zeros((2, 8)), np.zeros((2, 8))
    for _ in range(steps):
        h1 = cells[0].forward(rng.normal(size=(2, 8)), h1)
        h2 = cells[1].forward(h1, h2)
    return (h2 * h2).mean()


def both_ways(steps):
    """A bidirectional recurrent net, plain."""
    x, states = np.random.default_rng(1).normal(size=(steps, 2, 8)), ([], [])
    for cell, found, data in zip((Cell(), Cell()), states, (x, x[::-1]), strict=True):
        for xi in data:
            found.append(cell.forward(xi, found[-1] if found else np.zeros((2, 8))))
    return sum((a * b).sum() for a, b in zip(states[0], reversed(states[1]), strict=True))


def deep(layers, *, residual):
    """A plain stack of layers."""
    rng, x = np.random.default_rng(1), np.ones((3, 8))
    for _ in range(layers):
        y = te.tanh(x @ Tensor(rng.normal(0, 0.3, (8, 8))) + Tensor(np.zeros(8)))
        x = x + y if residual else y
    return (x * x).mean()


def irregular(n):
    """No two stretches are alike."""
    rng = np.random.default_rng(2)
    x = Tensor(0.5)
    for _ in range(n):
        x = (te.tanh, te.sin, te.cos, lambda y: y + 0.1, lambda y: y * 0.5)[rng.integers(5)](x)
    return x


def folded(found, depth=None, most=32, **options):
    """What is drawn of a graph that is too large."""
    return plan(found, depth, fits=lambda drawn: drawn.size <= most, **options)


def kinds(drawn):
    return [item.kind for item in drawn.items]


def check(found, drawn):
    """Every card is in one item, and every line runs forward."""
    cards = [card for item in drawn.items if item.kind != "chip" for card in item.cards]
    assert sorted(card.id for card in cards) == sorted(card.id for card in found.cards)
    order = {item: i for i, item in enumerate(drawn.items)}
    assert all(order[link.source] < order[link.target] for link in drawn.links)
    place = {card.id: item for item in drawn.items if item.kind != "chip" for card in item.cards}
    listed = {id(w) for w in found.wires() if w.source.op is None and place[w.source.id].ops}  # in a fold's own card
    between = {id(w) for w in found.wires() if place[w.source.id] is not place[w.target.id]} - listed
    drawn_wires = [id(wire) for link in drawn.links for wire in link.wires]
    assert set(drawn_wires) == between and len(drawn_wires) == len(between)


@pytest.mark.parametrize("module", [True, False])
def test_a_long_loop_becomes_first_the_rest_and_last(module):
    loss, cell = recurrent(830, module=module)
    found = record(loss)
    name_cards(found, variables={id(cell): "cell"})
    drawn = folded(found)
    check(found, drawn)
    assert len(found.cards) == 4986
    (run,) = [item for item in drawn.items if item.kind == "run"]
    assert run.title == "⋯ 828 more, all alike" and run.ops == 828 * 5
    assert len(run.outputs) == 1
    assert kinds(drawn).count("chip") == 6  # three weights, for the run and for the last step
    clusters = re.findall(r"<B>(.*?)</B></FONT>> labeljust", Graph(found).source)
    assert clusters == (["cell · Cell"] * 2 if module else ["1 of 830", "830 of 830"])


def runs(drawn, at_least=1):
    """Of each item between the first and the last of a run: how many there are, and the ops of one."""
    found = []
    for item in drawn.items:
        more = re.fullmatch(r"⋯ ([\d,]+) more, all alike", item.title)
        if more and item.kind == "run":
            count = int(more[1].replace(",", ""))
            assert item.ops % count == 0
            if item.ops // count >= at_least:
                found.append((count, item.ops // count))
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"module": True}, {"named": True}])
def test_runs_are_in_phase_with_neurons(form, options):
    found = record(scalar_mlp(8, 16, 16, 1, form=form, **options))
    name_cards(found)
    drawn = folded(found)
    check(found, drawn)
    extra = form == "sum from 0"  # one more add
    ops = {16: 33 + extra, 8: 17 + extra} if form != "b last" else {16: 33, 8: 17}
    assert runs(drawn, 10) == [(14, ops[8]), (14, ops[16])]
    assert len([item for item in drawn.items if item.kind != "chip"]) <= 32
    first, second = [item for item in drawn.items if item.kind == "run" and item.ops > 200]
    assert all(card.op.name == "tanh" for card in first.outputs + second.outputs)
    assert len(first.outputs) == len(second.outputs) == 14


@pytest.mark.parametrize("widths", [(16, 16, 16, 1), (4, 8, 8, 8, 8, 1), (3, 4, 4, 4, 1), (16, 16, 16, 16, 16, 1)])
def test_layers_of_equal_neurons_are_not_one_run(widths):
    found = record(scalar_mlp(*widths))
    drawn = folded(found)
    check(found, drawn)
    results = {count for count, ops in runs(drawn, 2 * min(widths[1:-1]) + 1) if ops < 2 * max(widths) + 2}
    assert results == {widths[1] - 2}


def test_a_loss_over_examples_is_folded_by_examples_and_by_layers():
    found = record(moons(4))
    drawn = folded(found, most=45)
    check(found, drawn)
    example = 16 * 5 + 16 * 33 + 32 + 3
    assert runs(drawn, 5) == [(14, 5), (14, 33), (2, example)]
    assert len([item for item in drawn.items if item.kind != "chip"]) <= 45
    chips = {item.cards[0].name for item in drawn.items if item.kind == "chip"}
    assert "238 inputs" in chips  # the weights of 14 neurons


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: two_layers(100), [(98, 10)]),
        (lambda: both_ways(100), [(98, 5), (98, 5), (98, 3)]),
        (lambda: deep(40, residual=False), [(38, 3)]),
        (lambda: deep(40, residual=True), [(38, 4)]),
    ],
)
def test_steps_and_layers(make, expected):
    found = record(make())
    drawn = folded(found)
    check(found, drawn)
    assert runs(drawn) == expected
    for item in drawn.items:
        if item.kind == "run":
            assert {card.op.name for card in item.outputs} <= {"tanh", "add"}


@pytest.mark.parametrize("make", [lambda: irregular(1000), lambda: irregular(200), lambda: recurrent(40)[0]])
def test_any_large_graph_becomes_small(make):
    found = record(make())
    drawn = folded(found)
    check(found, drawn)
    assert drawn.folded and drawn.size <= 32


@given(st.integers(1, 60), st.integers(0, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_folding_loses_nothing_and_makes_no_circles(repeats, before, period, seed):
    rng = np.random.default_rng(seed)
    ops = [te.tanh, te.sin, te.cos, lambda x: x + 0.1, lambda x: te.sin(x) * x]
    body, pool = [ops[i] for i in rng.integers(5, size=period)], [Tensor(0.3), Tensor(0.2)]
    for f in [*body[:before], *body * repeats]:
        pool.append(f(pool[-1]) + pool[rng.integers(len(pool))] * 0.1)
    found = record(pool[-1])
    check(found, folded(found))


@pytest.mark.parametrize(
    ("depth", "titles"),
    [
        (0, ["model · Sequential", "MSELoss"]),
        (1, ["0 · MLP", "1 · Linear(4, 2)"]),
        (2, ["0 · Linear(3, 4)", "2 · Linear(4, 4)"]),
        (9, []),
    ],
)
def test_depth_says_how_many_levels_stay_open(depth, titles):
    model = nn.Sequential(nn.MLP([3, 4, 4]), nn.Linear(4, 2))
    found = record(nn.MSELoss()(model(np.ones((5, 3))), np.zeros((5, 2))))
    name_cards(found, variables={id(model): "model"})
    drawn = plan(found, depth)
    check(found, drawn)
    assert [item.title for item in drawn.items if item.kind == "module"] == titles
    assert sum(item.ops for item in drawn.items) == sum(card.op is not None for card in found.cards)


def test_a_folded_module_shows_its_weights_and_counts():
    model = nn.MLP([3, 4, 2])
    source = Graph(record(model(np.ones((5, 3))).sum()), depth=1).source
    assert "1 op, 16 weights" in source and "1 op, 10 weights" in source
    assert "weight [4\u00d73]" in source and "/∂·‖" in source
    assert source.count("no gradient needed") == 1  # what the model was called with stays outside


def test_the_gradient_norm_is_the_engine_s():
    model = nn.Linear(3, 2)
    output = model(np.ones((5, 3))).sum()
    source = Graph(record(output), depth=0).source
    assert ">12.2<" in source  # each of six weights gets 5: sqrt(6 * 25)


@pytest.mark.parametrize(("uses", "chips"), [(2, 0), (3, 2), (5, 4)])
def test_a_leaf_used_more_than_twice_gets_chips(uses, chips):
    a, x = Tensor(2.0, name="a"), Tensor(3.0, name="x")
    for _ in range(uses):
        x = x * a
    drawn = plan(record(x))
    assert kinds(drawn).count("chip") == chips
    assert len(drawn.links) == 2 * uses


def test_small_graphs_are_not_folded():
    drawn = plan(record(recurrent(20)[0]))
    assert set(kinds(drawn)) == {"card", "chip"}


def test_many_operands_of_one_op():
    found = record(te.concatenate([Tensor([float(i)]) for i in range(300)]).sum())
    drawn = folded(found)
    check(found, drawn)
    assert [item.title for item in drawn.items if item.kind == "run"] == ["300 inputs"]


def test_planning_takes_time_in_proportion_to_the_graph(monkeypatch):
    looked_at, count = [], Item.ops.fget
    monkeypatch.setattr(Item, "ops", property(lambda item: looked_at.append(len(item.cards)) or count(item)))
    a, y = Tensor(0.5), Tensor(0.1)
    for _ in range(2400):
        y = y * a + 0.1 * y.sin()
    found = record(y)
    folded(found)
    assert sum(looked_at) < 5 * len(list(found.wires()))


@pytest.mark.parametrize("make", [lambda: recurrent(830)[0], lambda: scalar_mlp(8, 16, 16, 1), lambda: irregular(1000)])
@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's dot")
def test_large_graphs_can_be_laid_out(make):
    source = Graph(record(make())).source
    assert len(source) < 300_000
    found = subprocess.run(["dot", "-Tsvg"], input=source.encode(), capture_output=True, timeout=60, check=True)
    assert not found.stderr


def test_a_parameter_that_folded_modules_share_is_listed_in_each():
    found = record(recurrent(830)[0])
    name_cards(found)
    closed = [item for item in folded(found, depth=0).items if item.kind == "module"]
    assert len(closed) == 2 and all(len(item.leaves) >= 3 for item in closed)
    source = Graph(found, depth=0, style="fused").source
    assert "chip-" not in source and source.count("830 uses") == 6
