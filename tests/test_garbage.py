import gc
import sys
import weakref
from types import SimpleNamespace

import pytest

from tinygrad_edu import Tensor, garbage
from tinygrad_edu.garbage import COMPLETE, GROWING, Spared, spare_growing_graphs

BY_ITSELF = pytest.mark.skipif(sys.version_info >= (3, 14), reason="collects bit by bit, never everything by itself")


class Collector:
    """The collector's functions; `made` tensors lie between two collections."""

    def __init__(self, monkeypatch):
        self.frozen, self.calls, self.made, self.number = 0, [], GROWING, 0
        functions = {"isenabled": lambda: True, "get_count": lambda: self.count, "get_threshold": lambda: (700, 10, 10)}
        self.freeze = lambda: (self.calls.append("freeze"), setattr(self, "frozen", 1))
        self.unfreeze = lambda: (self.calls.append("unfreeze"), setattr(self, "frozen", 0))
        functions |= {"freeze": self.freeze, "unfreeze": self.unfreeze, "get_freeze_count": lambda: self.frozen}
        monkeypatch.setattr(garbage, "gc", SimpleNamespace(**functions))
        monkeypatch.setattr(garbage, "new_number", lambda: self.number)
        self.spared = Spared()

    def run(self, by_itself=True, generation=2):
        self.count = (701, 11, 11) if by_itself else (3, 2, 1)
        self.number += self.made
        self.spared("start", {"generation": generation})
        self.spared("stop", {"generation": generation})


@pytest.fixture
def collector(monkeypatch):
    return Collector(monkeypatch)


def test_a_growing_graph_is_set_aside_and_seen_again_now_and_then(collector):
    for _ in range(COMPLETE + 1):
        collector.run()
    assert collector.calls == ["freeze"] * COMPLETE + ["unfreeze", "freeze"]


def test_young_collections_do_not_count(collector):
    collector.run(generation=1)
    assert collector.calls == []


@pytest.mark.parametrize("how", [{"by_itself": False}, {"made": GROWING - 1}])
def test_everything_is_seen_by_a_call_and_after_growth(collector, how):
    collector.run()
    collector.made = how.get("made", GROWING)
    collector.run(how.get("by_itself", True))
    collector.run(how.get("by_itself", True))
    assert collector.calls == ["freeze", "unfreeze"]


def test_what_the_program_has_frozen_stays_so(collector):
    collector.frozen = 5
    collector.run()
    collector.run(by_itself=False)
    assert collector.calls == []


@BY_ITSELF
def test_the_real_collector():
    assert sum(isinstance(callback, Spared) for callback in gc.callbacks) == 1
    spare_growing_graphs()
    assert sum(isinstance(callback, Spared) for callback in gc.callbacks) == 1
    settings = gc.isenabled(), gc.get_threshold(), gc.get_debug()
    gc.collect()
    cycle = type("Cycle", (), {})()
    cycle.itself, gone = cycle, weakref.ref(cycle)
    y = Tensor(1.0)
    while not gc.get_freeze_count():  # pytest's own objects count: so many make a quarter more
        for _ in range(10_000):
            y = y * 0.999
        assert y._number < 10**8
    del cycle
    assert gone() is not None
    gc.collect()
    assert gone() is None and not gc.get_freeze_count()
    assert settings == (gc.isenabled(), gc.get_threshold(), gc.get_debug())
    y.backward()
