"""Nodes of a line or two."""

import re

import numpy as np
import pytest
from drawn import network

import tinygrad_edu as te
from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.picture.compact import LISTED
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.theme import palette


def words(graph):
    """The texts of each node, by its id."""
    labels = re.findall(r'\[label=<(.*)> id="(node-\w+)"', graph.source)
    return {name: [word.strip() for word in re.findall(r">([^<>]+)</", text)] for text, name in labels}


def test_an_op_lists_its_parameters_with_the_norms_of_their_gradients():
    graph = Graph(record(network()), style="compact")
    lines = [" ".join(text) for text in words(graph).values()]
    first = next(line for line in lines if line.startswith("@ +"))
    assert re.fullmatch(
        r"@ \+ linear1 0 · Linear\(2, 3\) \[4×3\] ‖·‖ \S+ weight \[3×2\] ‖·‖ \S+ bias \[3\] ‖·‖ \S+", first
    )
    shown = {item.cards[-1].name for item in graph.plan.items}
    assert not any("weight" in name or "bias" in name for name in shown)


def test_a_single_number_has_its_value_and_its_signed_gradient():
    a, b = Tensor(2.0, name="a"), Tensor(-3.0, name="b")
    texts = words(Graph(record(te.tanh(a * b * 0.1) * a * 0.5), style="compact"))
    assert texts["node-t0"][:2] == ["a", "2"] and texts["node-t1"][0] == "b"
    assert texts["node-t1"][2].lstrip("−").startswith("0.")
    assert ["0.5"] in texts.values()


def test_values_of_arrays_are_left_out_and_wires_have_no_formulas():
    source = Graph(record(network()), style="compact").source
    assert "mean" not in re.sub(r">mean</B>", "", source) and "everywhere" not in source and "sum over" not in source


def test_shared_parameters_are_listed_by_each_user_and_measured_by_the_first():
    cell, h = nn.RNNCell(3, 3), np.zeros((1, 3))
    for _ in range(3):
        h = cell(np.ones((1, 3)), h)
    found = record((h * h).sum())
    name_cards(found, variables={id(cell): "cell"})
    texts = [" ".join(text) for text in words(Graph(found, style="compact", fold=False)).values()]
    users = [text for text in texts if "weight_hh" in text]
    assert len(users) == 3 and ["‖·‖" in text.split("weight_hh")[1] for text in users] == [True, False, False]


def test_many_parameters_are_counted():
    class Sums(nn.Module):
        def __init__(self):
            self.parts = [Tensor(np.ones(2)) for _ in range(LISTED + 3)]

        def forward(self):
            return np.concatenate(self.parts)

    graph = Sums().graph(style="compact")
    assert "⋯ 3 more" in graph.source and graph.plan.size == 1


@pytest.mark.parametrize("mode", ["forward", "backward", "both"])
def test_a_box_around_one_node_becomes_its_title(mode):
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    source = model.graph(np.ones((1, 2)), style="compact", mode=mode).source
    assert source.count("subgraph cluster") == 1 and "0 · Linear(2, 3)" in source and "0 · ReLU" in source


def test_wrong_gradients_of_ones_own_are_marked():
    w, b = Tensor(2.0, name="w"), Tensor([1.0, -1.0], name="b")
    loss = ((w * b) + b).sum()
    w.grad, b.grad = np.array(0.0), np.array([-3.0, 3.0])  # the first is right
    texts = words(Graph(record(loss), style="compact", gradients="grad"))
    assert texts["node-t0"][-1] == "✓ .grad" and texts["node-t1"][-1].startswith("✗ .grad: ")
    model = nn.Linear(2, 1)
    loss = model(np.ones((3, 2))).sum()
    loss.backward()
    model.bias.grad *= -1
    graph = Graph(record(loss), style="compact", gradients="grad")
    (line,) = [" ".join(text) for text in words(graph).values() if "bias" in " ".join(text)]
    assert re.search(r"weight \[1×2\] ‖·‖ \S+ ✓ bias \[1\] 3 ✗ .grad \[−3\]: wrong sign", line)
    assert f'BGCOLOR="{palette()["highlight"]}"' in graph.source


@pytest.mark.parametrize("named", [True, False])
def test_a_layer_has_the_name_of_its_result_and_its_own(named):
    class Net(nn.Module):
        def __init__(self):
            self.fc1, self.fc2 = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            if not named:
                return self.fc2(self.fc1(x).relu())
            hidden = self.fc1(x)
            active = hidden.relu()
            scores = self.fc2(active)
            return scores

    texts = list(words(Net().graph(np.ones((2, 3)), style="compact")).values())
    first = next(text for text in texts if "fc1 · Linear(3, 4)" in text)
    assert first[1] == ("hidden" if named else "linear1")


def test_what_is_not_finite_is_marked_where_it_is():
    x = Tensor(np.array([0.0, 1.0, 4.0, 9.0, 16.0]), name="x")
    with np.errstate(all="ignore"):
        a = np.log(x)
        b = a - a
        graph = Graph(record((b * x + x).sum()), style="compact")
    amber = f'BGCOLOR="{palette()["highlight"]}"'
    labels = {name: text for text, name in re.findall(r'\[label=<(.*)> id="node-(\w+)"', graph.source)}
    values = {key: amber in text and "-value" in text for key, text in labels.items()}
    cards = {card.id: card.op.name if card.op else card.name for card in graph.record.cards}
    assert {cards[key] for key, odd in values.items() if odd} == {"log", "subtract", "multiply", "add", "sum"}
    assert "NaN" in labels["t2"] + labels["t3"] and "∞" in labels["t1"]
    forward = graph.forward().source
    assert forward.count(amber) == sum(values.values())
