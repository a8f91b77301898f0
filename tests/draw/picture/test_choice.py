"""How much of a graph is drawn: what is legible on a slide."""

import re

import numpy as np
import pytest
from drawn import f_of_xyz, network

import tinygrad_edu as te
from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture import choice
from tinygrad_edu.draw.picture.choice import LEGIBLE, SLIDE, letters
from tinygrad_edu.draw.picture.engines import NoEngineError, engine
from tinygrad_edu.draw.record import record

needs_engine = pytest.mark.skipif(engine() is None, reason="needs dot or pygraphviz")


def chain(n, size=4):
    x = Tensor(np.linspace(0.1, 0.5, size), name="x")
    for i in range(n):
        x = (te.tanh, te.sin, te.exp)[i % 3](x) + 0.1 * i
    return x.sum()


def recurrent(steps):
    cell, h = nn.RNNCell(8, 8), np.zeros((2, 8))
    for step in range(steps):
        h = cell(np.full((2, 8), 0.1 * step), h)
    return (h * h).mean()


def nested(levels):
    """A module in a module, each with an op of its own."""

    class Level(nn.Module):
        def __init__(self, inside):
            self.inside = inside

        def forward(self, x):
            return self.inside(x * 2)

    model = nn.Linear(3, 3)
    for _ in range(levels):
        model = Level(model)
    return model(Tensor(np.ones((2, 3)))).sum()


def convolutional():
    net = nn.Sequential(
        *[nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)],
        *[nn.Flatten(), nn.Linear(16 * 4, 10)],
    )
    return net(np.ones((2, 1, 8, 8))).sum()


def shown_letters(graph):
    """Pixels of the smallest letter on a slide, as laid out."""
    svg = graph.pipe("svg", encoding="utf-8")
    width, height = (float(x) for x in re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg).groups())
    smallest = min(float(size) for size in re.findall(r'font-size="([\d.]+)"', svg))
    return smallest * min(SLIDE[0] / width, SLIDE[1] / height)


@needs_engine
@pytest.mark.parametrize(
    ("make", "style", "folded"),
    [
        (f_of_xyz, "gates", False),
        (lambda: chain(2, 2), "fused", False),
        (network, "compact", False),
        (convolutional, "compact", False),
        (lambda: recurrent(30), "compact", True),
        (lambda: chain(300), "compact", True),
        (lambda: nested(14), "compact", True),
    ],
)
@pytest.mark.parametrize("rankdir", ["auto", "TB"])
def test_auto_shows_as_much_as_is_legible(make, style, folded, rankdir):
    graph = Graph(record(make()), rankdir=rankdir)
    assert (graph.style, graph.plan.folded) == (style, folded)
    assert shown_letters(graph) >= LEGIBLE
    assert ("arrays and formulas left out" in graph.source) == (style == "compact")
    assert ("tensors, folded" in graph.source) == folded


@needs_engine
@pytest.mark.parametrize("style", ["fused", "compact", "gates"])
@pytest.mark.parametrize("make", [network, convolutional, lambda: recurrent(30), lambda: chain(300)])
def test_no_picture_is_larger_than_two_slides(make, style):
    """The style that was asked for stays."""
    graph = Graph(record(make()), style=style)
    width, height = choice.measured(choice.Painter(graph, graph.plan, graph.style), graph.rankdir)
    assert letters((width, height), style, slides=2) >= LEGIBLE
    assert graph.style == style and "left out" not in graph.source


def test_folding_can_be_forbidden_and_forced():
    found = record(recurrent(30))
    ops = sum(card.op is not None for card in found.cards)
    whole, few, some = (Graph(found, fold=fold) for fold in (False, 5, True))
    assert not any(item.folded for item in whole.plan.items) and len([i for i in whole.plan.items if i.ops]) == ops
    assert few.plan.size <= 5 < some.plan.size <= 45
    assert "folded" not in few.source + some.source + whole.source
    assert Graph(record(chain(60)), fold=4).plan.size == 4  # operand, first op, the rest, last op
    assert Graph(record(f_of_xyz()), fold=True).style == "gates"  # there is nothing to fold
    assert Graph(found, fold=1).plan.size == 3 < some.plan.size  # True is not 1
    y = chain(12)
    assert {len(y.graph(fold=n).plan.items) for n in (False, 100, 1000)} == {len(y.graph(fold=False).plan.items)}
    with pytest.raises(TypeError, match=r"class Linear.*isinstance\(module, Linear\)"):
        Graph(found, fold=nn.Linear)


def test_a_function_says_which_modules_are_closed():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Linear(3, 2), nn.Linear(2, 1))
    asked = []

    def closed(module):
        asked.append(module)
        return isinstance(module, nn.Linear) and module.out_features < 3

    graph = model.graph(np.ones((4, 2)), fold=closed, style="fused")
    titles = [item.title for item in graph.plan.items if item.folded]
    assert titles == ["1 · Linear(3, 2)", "2 · Linear(2, 1)"]
    assert len(asked) == len(set(map(id, asked))) == 6
    outer = model.graph(np.ones((4, 2)), fold=lambda module: isinstance(module, nn.Sequential))
    assert [item.title for item in outer.plan.items if item.folded] == ["model · Sequential"]


@pytest.mark.parametrize("fold", [0, -3, "none", 2.5, None, np.array([1, 2])])
def test_other_values_of_fold_are_refused(fold):
    with pytest.raises(ValueError, match=r'fold, unless it is "auto", True, False or a function, is .*at least 1'):
        f_of_xyz().graph(fold=fold)


def test_without_an_engine_estimates_decide(monkeypatch):
    def refuse(*_):
        raise NoEngineError

    monkeypatch.setattr(choice, "render", refuse)
    styles = [Graph(record(make())).style for make in (f_of_xyz, network, lambda: chain(300))]
    assert styles == ["gates", "compact", "compact"]


def test_all_modes_show_the_same_and_other_options_choose_anew(monkeypatch):
    graph = Graph(record(recurrent(30)))
    monkeypatch.setattr(choice, "chosen", None)  # what is known is not asked again
    assert all(other.plan is graph.plan for other in (graph.forward(), graph.backward(theme="dark"), graph.copy()))
    with pytest.raises(TypeError, match="not callable"):
        graph.forward(fold=4)


@pytest.mark.parametrize("answer", [None, 1, "yes", np.array([True, False])])
def test_a_function_that_does_not_say_true_or_false_is_told(answer):
    with pytest.raises(TypeError, match=r"the function fold returned .* for Linear; it must be True or False"):
        nn.Linear(2, 1).graph(np.ones((3, 2)), fold=lambda module: answer)
