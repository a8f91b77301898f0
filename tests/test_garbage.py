import gc
import sys
import weakref
from types import SimpleNamespace

import pytest

from tinygrad_edu import Tensor, garbage
from tinygrad_edu.engine import autograd
from tinygrad_edu.garbage import COMPLETE, EVERY, Spared, watch_growth

BY_ITSELF = pytest.mark.skipif(sys.version_info >= (3, 14), reason="collects bit by bit, never everything by itself")


class Collector:
    """The collector's functions, and a graph that may have grown between two collections."""

    def __init__(self, monkeypatch):
        self.frozen, self.calls, self.callbacks, self.spared = 0, [], [], Spared()
        functions = {"isenabled": lambda: True, "get_count": lambda: self.count, "get_threshold": lambda: (700, 10, 10)}
        functions |= {name: lambda name=name: self.set_frozen(name) for name in ("freeze", "unfreeze")}
        functions |= {"get_freeze_count": lambda: self.frozen, "callbacks": self.callbacks}
        monkeypatch.setattr(garbage, "gc", SimpleNamespace(**functions))
        monkeypatch.setattr(garbage, "spared", self.spared)
        monkeypatch.setattr(garbage, "before", [])
        self.graph = [Tensor(1.0)]
        watch_growth(self.graph[0])

    def set_frozen(self, name):
        self.calls.append(name)
        self.frozen = int(name == "freeze")

    def run(self, by_itself=True, generation=2, grown=True):
        if grown:
            self.graph.append(Tensor(1.0))
            watch_growth(self.graph[-1])
        self.count = (701, 11, 11) if by_itself else (3, 2, 1)
        for phase in ("start", "stop"):
            for callback in [*self.callbacks]:
                callback(phase, {"generation": generation})


@pytest.fixture
def collector(monkeypatch):
    return Collector(monkeypatch)


def test_a_growing_graph_is_set_aside_and_seen_again_now_and_then(collector):
    for _ in range(COMPLETE + 1):
        collector.run()
    assert collector.calls == ["freeze"] * COMPLETE + ["unfreeze", "freeze"]
    assert collector.callbacks == [collector.spared]


def test_young_collections_do_not_count(collector):
    collector.run(generation=1)
    assert collector.calls == []


@pytest.mark.parametrize("how", [{"by_itself": False}, {"grown": False}])
def test_everything_is_seen_by_a_call_and_after_growth(collector, how):
    collector.run()
    collector.run(**how)
    assert collector.calls == ["freeze", "unfreeze"] and collector.callbacks == []


def test_what_the_program_has_frozen_stays_so(collector):
    collector.frozen = 5
    collector.run()
    collector.run(by_itself=False)
    assert collector.calls == []


def test_a_graph_that_does_not_last_needs_no_callback(collector):
    collector.graph.clear()
    collector.run()
    assert collector.callbacks == []


def test_the_engine_tells_of_tensors_at_equal_distances(monkeypatch):
    told = []
    monkeypatch.setattr(autograd, "watch_growth", lambda tensor: told.append(tensor._number))
    y = Tensor(1.0)
    for _ in range(2 * EVERY):
        y = y * 0.999
    assert len(told) == 2 and all(number % EVERY == 0 for number in told)


@BY_ITSELF
def test_the_real_collector():
    settings = gc.isenabled(), gc.get_threshold(), gc.get_debug()
    gc.collect()
    assert not any(isinstance(callback, Spared) for callback in gc.callbacks)
    cycle = type("Cycle", (), {})()
    cycle.itself, gone = cycle, weakref.ref(cycle)
    y = Tensor(1.0)
    for _ in range(300):  # pytest's own objects count: many make a quarter more
        for _ in range(EVERY):
            y = y * 0.999
        if gc.get_freeze_count():
            break
    assert gc.get_freeze_count()
    del cycle
    assert gone() is not None
    gc.collect()
    assert gone() is None and not gc.get_freeze_count()
    assert settings == (gc.isenabled(), gc.get_threshold(), gc.get_debug())
    assert not any(isinstance(callback, Spared) for callback in gc.callbacks)
