import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_edu as te
from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.fold import ENOUGH, MOST, plan
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.names import name_cards
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


def scalar_mlp(*widths):
    """micrograd's network: each neuron a loop over its inputs."""
    rng = np.random.default_rng(1)
    x = [Tensor(v) for v in rng.normal(size=3)]
    for width in widths:
        x = [te.tanh(sum((Tensor(rng.normal()) * xi for xi in x), Tensor(0.1))) for _ in range(width)]
    return sum(x)


def irregular(n):
    """No two stretches are alike."""
    rng = np.random.default_rng(2)
    x = Tensor(0.5)
    for _ in range(n):
        x = (te.tanh, te.sin, te.cos, lambda y: y + 0.1, lambda y: y * 0.5)[rng.integers(5)](x)
    return x


def kinds(drawn):
    return [item.kind for item in drawn.items]


def check(found, drawn):
    """Every card is in one item, and every line runs forward."""
    cards = [card for item in drawn.items if item.kind != "chip" for card in item.cards]
    assert sorted(card.id for card in cards) == sorted(card.id for card in found.cards)
    order = {item: i for i, item in enumerate(drawn.items)}
    assert all(order[link.source] < order[link.target] for link in drawn.links)
    place = {card.id: item for item in drawn.items if item.kind != "chip" for card in item.cards}
    between = {id(w) for w in found.wires() if place[w.source.id] is not place[w.target.id]}
    drawn_wires = [id(wire) for link in drawn.links for wire in link.wires]
    assert set(drawn_wires) == between and len(drawn_wires) == len(between)


@pytest.mark.parametrize("module", [True, False])
def test_a_long_loop_becomes_first_the_rest_and_last(module):
    loss, cell = recurrent(830, module=module)
    found = record(loss)
    name_cards(found, variables={id(cell): "cell"})
    drawn = plan(found)
    check(found, drawn)
    assert len(found.cards) == 4986
    (run,) = [item for item in drawn.items if item.kind == "run"]
    assert run.title == "⋯ 828 more, all alike" and run.ops == 828 * 5
    assert len(run.outputs) == 1
    assert kinds(drawn).count("chip") == 6  # three weights, for the run and for the last step
    clusters = re.findall(r"<B>(.*?)</B></FONT>> labeljust", Graph(found).source)
    assert clusters == (["cell · Cell"] * 2 if module else ["1 of 830", "830 of 830"])


def test_neurons_are_folded_where_they_begin():
    found = record(scalar_mlp(16, 16, 1))
    drawn = plan(found)
    check(found, drawn)
    assert len(found.cards) > 900
    runs = [item for item in drawn.items if item.kind == "run"]
    assert {item.title for item in runs} >= {"⋯ 14 more, all alike"}
    assert len([item for item in drawn.items if item.ops]) <= 2 * ENOUGH


@pytest.mark.parametrize("make", [lambda: irregular(1000), lambda: irregular(200), lambda: recurrent(40)[0]])
def test_any_large_graph_becomes_small(make):
    found = record(make())
    drawn = plan(found)
    check(found, drawn)
    assert len([item for item in drawn.items if item.ops]) <= MOST


@given(st.integers(1, 60), st.integers(0, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_folding_loses_nothing_and_makes_no_circles(repeats, before, period, seed):
    rng = np.random.default_rng(seed)
    ops = [te.tanh, te.sin, te.cos, lambda x: x + 0.1, lambda x: te.sin(x) * x]
    body, pool = [ops[i] for i in rng.integers(5, size=period)], [Tensor(0.3), Tensor(0.2)]
    for f in [*body[:before], *body * repeats]:
        pool.append(f(pool[-1]) + pool[rng.integers(len(pool))] * 0.1)
    found = record(pool[-1])
    check(found, plan(found))


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
    assert "weight [4\u00d73]" in source and "/∂weight‖ = " in source
    assert source.count("no gradient needed") == 1  # what the model was called with stays outside


def test_the_gradient_norm_is_the_engine_s():
    model = nn.Linear(3, 2)
    output = model(np.ones((5, 3))).sum()
    source = Graph(record(output), depth=0).source
    assert "‖ = 12.2<" in source  # each of six weights gets 5: sqrt(6 * 25)


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
    drawn = plan(found)
    check(found, drawn)
    assert [item.title for item in drawn.items if item.kind == "run"] == ["⋯ 298 more operands"]


@pytest.mark.parametrize("make", [lambda: recurrent(830)[0], lambda: scalar_mlp(16, 16, 1), lambda: irregular(1000)])
@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's dot")
def test_large_graphs_can_be_laid_out(make):
    source = Graph(record(make())).source
    assert len(source) < 300_000
    found = subprocess.run(["dot", "-Tsvg"], input=source.encode(), capture_output=True, timeout=60, check=True)
    assert not found.stderr
