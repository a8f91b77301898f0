"""Keeps Python's garbage collector from walking through a growing graph again and again.

A full collection walks through all objects there are, and comes whenever a quarter more of them have lived for a while.
While a graph of a million tensors is made that happens some twenty times, and takes three times as long as making it;
in vain, as a graph has no cycles, and reference counts free it. So while a graph grows, what a full collection has
found alive is set aside (`gc.freeze`), and the next one walks through what is new.

Nobody's settings change: thresholds are left alone, nothing is set aside where the program has frozen something itself,
and `gc.collect()` sees everything, as does every 24th full collection, and the first one after the graph has stopped
growing. Cycles among what was set aside wait until then. The collector has a callback only while a graph of more than
16,384 tensors grows, since Python swallows a Ctrl-C that comes within one.
"""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

__all__ = ["EVERY", "watch_growth"]

EVERY = 2**14  # tensors: so often the engine calls watch_growth
COMPLETE = 24  # how often objects are set aside before all are seen again
before: list[Any] = []  # a weak reference to the tensor of the last call


def watch_growth(tensor: object) -> None:
    """Is told of each 16,384th tensor: a graph grows if the one before is still alive."""
    grows = bool(before) and before[0]() is not None
    before[:] = [ref(tensor)]
    if grows:
        spared.growing = True
        if spared not in gc.callbacks:
            gc.callbacks.append(spared)


class Spared:
    """The collector's callback."""

    def __init__(self) -> None:
        self.growing = False  # since the last full collection
        self.sets_aside = False  # in the running one
        self.turns = 0  # how often objects have been set aside since all were seen

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            by_itself = gc.isenabled() and gc.get_count()[0] > gc.get_threshold()[0]  # not by gc.collect()
            self.sets_aside = by_itself and self.growing
            if self.turns and (self.turns == COMPLETE or not self.sets_aside):
                gc.unfreeze()
                self.turns = 0
        elif self.sets_aside and (self.turns or not gc.get_freeze_count()):
            gc.freeze()
            self.turns += 1
            self.growing = False
        elif not self.sets_aside:
            self.growing = False
            gc.callbacks.remove(self)


spared = Spared()
