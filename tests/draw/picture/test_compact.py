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
    assert re.fullmatch(r"@ \+ 0 · Linear\(2, 3\) \[4×3\] ‖·‖ \S+ weight \[3×2\] ‖·‖ \S+ bias \[3\] ‖·‖ \S+", first)
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
    assert re.search(r"weight \[1×2\] ‖·‖ \S+ ✓ bias \[1\] 3 ✗ −3", line)
    assert f'BGCOLOR="{palette()["highlight"]}"' in graph.source
