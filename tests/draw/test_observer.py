import sys

import numpy as np
import pytest

from tinygrad_edu import Tensor, draw, functional, nn
from tinygrad_edu.draw.observer import Observer


def names(graph):
    return [card.name for card in graph.record.cards if card.op is not None]


class Head(nn.Module):
    def __init__(self):
        self.key, self.query, self.mask = nn.Linear(4, 2), nn.Linear(4, 2), np.tril(np.ones((3, 3)))

    def forward(self, x):
        k, q = self.key(x), self.query(x)
        wei = q @ k.swapaxes(-1, -2)
        wei = wei + self.mask
        return functional.softmax(wei)


def test_local_variables_name_what_they_held():
    head, x = Head(), np.ones((3, 4), np.float32)
    assert names(head.graph(x)) == ["k", "q", "transpose1", "wei", "wei₂", "softmax1"]
    assert "head.mask" in {card.name for card in head.graph(x).record.cards}


def test_names_of_submodules_helpers_and_lists():
    def scaled(h):
        twice = h * 2
        return twice

    class Net(nn.Module):
        def __init__(self):
            self.head = Head()

        def forward(self, x):
            parts = [scaled(self.head(x)), self.head(x)]
            return parts[0] + parts[1]

    found = names(Net().graph(np.ones((3, 4), np.float32)))
    assert found == [
        *("k", "q", "transpose1", "wei", "wei₂", "h", "twice"),
        *("k₂", "q₂", "transpose2", "wei₃", "wei₄", "parts[1]", "add1"),
    ]


def test_the_callers_names_are_stronger_and_inputs_have_those_of_the_arguments():
    def square(v):
        return v * v

    w = Tensor(2.0)
    assert draw.call(square, w).record.cards[0].name == "w"
    assert draw.call(square, Tensor(2.0)).record.cards[0].name == "v"
    assert draw.call(square, w, names={w: "u"}).record.cards[0].name == "u"
    assert "input" in [card.name for card in nn.RNN(2, 3).graph(np.ones((1, 1, 2))).record.cards]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_tracers_and_profilers_are_left_alone(error):
    def forward(x):
        h = x * 2
        if error is not None:
            raise error
        return h + 1

    def tracer(*_):
        return None

    before, seen = sys.gettrace(), []
    sys.settrace(tracer)
    try:
        seen.append(draw.call(forward, Tensor(1.0)))
    except KeyboardInterrupt:
        assert error is KeyboardInterrupt
    finally:
        assert sys.gettrace() is tracer and sys.getprofile() is None
        sys.settrace(before)
    assert [names(graph)[0] for graph in seen] == ["h"] * (error is not KeyboardInterrupt)


def test_with_another_profiler_there_are_no_names():
    def profiler(*_):
        return None

    sys.setprofile(profiler)
    try:
        graph = draw.call(lambda x: (x * 2, [h := x * 2, h + 1])[1][1], Tensor(1.0))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert names(graph) == ["multiply1", "add1"]


def test_a_name_is_not_given_to_another_object_with_the_same_id():
    def forward(x):
        for _ in range(50):
            lost = x * 3
        del lost
        return x * 2 + 1

    assert names(draw.call(forward, Tensor(1.0))) == ["multiply1", "add1"]


def test_what_returned_none_keeps_its_start():
    class Nothing:
        def __call__(self):
            pass

    with Observer() as observer:
        Nothing()()
    assert [type(called) for called, _ in observer.starts.values()] == [Nothing]
