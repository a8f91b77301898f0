import numpy as np
import pytest
from drawn import branch, f_of_xyz

from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.record import record


@pytest.mark.parametrize("ready", [False, True])
def test_drawing_changes_no_grad(ready):
    output = branch()
    if ready:
        output.backward()
    cards = record(output).cards
    before = [card.tensor.grad for card in cards]
    graph = Graph(record(output))
    assert graph.source and graph.forward().source and graph.backward().source
    assert all(card.tensor.grad is grad for card, grad in zip(cards, before, strict=True))


def test_names_given_for_the_picture_come_first():
    x = Tensor(2.0, name="x")
    assert ">speed</B>" in Graph(record(x * 2.0), names={x: "speed"}).source


def test_graphs_of_modules_and_tensors_know_the_callers_names():
    net, x = nn.MLP([2, 3, 1], rng=np.random.default_rng(0)), np.ones((4, 2), np.float32)
    graph = net.graph(x, depth=0, title="a net")
    assert graph.title == "a net" and "net · MLP" in graph.source and len(graph.plan.items) == 2
    hidden = net[0](x)
    total = hidden.sum()
    graph = total.graph(names={"answer": total})
    assert [card.name for card in graph.record.cards][-2:] == ["hidden", "answer"]
    with pytest.raises(TypeError, match="Identity returned ndarray, and only a Tensor has a graph"):
        nn.Identity().graph(x)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "sideways"},
        {"style": "plain"},
        {"theme": "blue"},
        {"rankdir": "up"},
        {"depth": -1},
        {"depth": 1.5},
        {"depth": True},
        {"precision": 0},
        {"precision": 18},
        {"gradients": "own"},
    ],
    ids=str,
)
def test_an_option_that_does_not_exist_is_named_with_those_that_do(options):
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=rf"graph: {name}(, unless it is None,)? is .*it must be .*( or |an integer)"):
        Graph(record(Tensor(1.0)), **options)


def test_only_tensors_and_records_are_drawn():
    with pytest.raises(TypeError, match="of a Tensor or a Record, not of ndarray"):
        Graph(np.ones(3))


def test_the_other_modes_keep_the_options():
    graph = Graph(record(f_of_xyz()), mode="forward", title="T", theme="dark", precision=5, rankdir="TB", style="fused")
    assert graph.both().forward().source == graph.source == graph.copy().source
    assert graph.both().options == graph.options and graph.both().precision == 5


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("theme", "light", "dark"),
        ("theme", "dark", "light"),
        ("theme", "dark", "auto"),
        ("title", None, "T"),
        ("title", "T", None),
        ("mode", "both", "forward"),
    ],
)
def test_what_is_set_draws_the_picture_anew(name, before, after):
    found = record(f_of_xyz())
    graph, expected = Graph(found, **{name: before}), Graph(found, **{name: after})
    for picture in (graph, expected):
        picture.node("mine")
    setattr(graph, name, after)
    assert getattr(graph, name) == after and graph.source == expected.source
    assert graph.both().source == expected.both().source and graph.alt_text == expected.alt_text
    with pytest.raises(ValueError, match="mode is 'sideways'"):
        graph.mode = "sideways"


def test_printing_shows_the_tree_and_not_the_source():
    graph = Graph(record(f_of_xyz()))
    assert "digraph" not in str(graph) and "q" in str(graph)
    assert graph.alt_text


def test_printing_shows_the_text_of_a_subclass():
    class Titled(Graph):
        def text(self):
            return "f\n" + super().text()

    found = record(f_of_xyz())
    assert str(Titled(found)) == f"f\n{Graph(found)}"


def test_what_stands_in_grad_is_shown_beside_the_right_gradient_in_picture_and_words():
    f = f_of_xyz()
    (q, z), (x, y) = f._inputs, f._inputs[0]._inputs
    x.grad, y.grad, q.grad = -4.0, 4.0, -4.0
    graph = f.graph(gradients="grad")
    q.grad = None  # the picture stays as it was
    assert graph.forward().both().source == graph.source and "gradients" in graph.options
    assert "✗ .grad" in graph.source and "✗ .grad" not in f.graph().source
    assert ".grad: ✓ 2 right, ✗ 1 wrong, ○ 1 not set" in graph.source
    assert "y  input  ✗ .grad 4: wrong sign  = 5" in str(graph) and "q  +  ✓ .grad" in str(graph)
    assert "2 are right, 1 is wrong and 1 is not set. That of y, 4, is wrong: wrong sign." in graph.alt_text
    assert "✗" not in str(f.graph()) and "wrong" not in f.graph().alt_text
    assert z.grad is None


def test_a_hint_calls_tensors_by_the_variables_that_hold_them():
    x = Tensor(3.0)
    hidden = x * 2
    y = hidden * 5
    hidden.grad, x.grad = 1.0, 2.0
    assert "right step, but hidden has" in str(y.graph(gradients="grad"))


def test_the_own_gradients_of_an_array_are_compared_with_those_of_its_sum():
    net, x = nn.Linear(2, 3), np.ones((4, 2), np.float32)
    net(x).sum().backward()
    source = net.graph(x, gradients="grad").source
    assert ".grad, for the sum of linear1: ✓ 2 right" in source and "✗" not in source
