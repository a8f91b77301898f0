"""Keeps Python's garbage collector from walking through a growing graph again and again.

A full collection walks through all objects there are, and comes whenever a quarter more of them have lived for a while.
While a graph of a million tensors is made that happens some twenty times, and takes three times as long as making it;
in vain, as a graph has no cycles, and reference counts free it. So while a graph grows, what a full collection has
found alive is set aside (`gc.freeze`), and the next one walks through what is new.

Nobody's settings change: thresholds are left alone, nothing is set aside where the program has frozen something itself,
and `gc.collect()` sees everything, as does every 24th full collection, and the first one after the graph has stopped
growing. Cycles among what was set aside wait until then.
"""

from __future__ import annotations

import gc
from typing import Any

from tinygrad_edu.engine import new_number

__all__ = ["spare_growing_graphs"]

GROWING = 20_000  # tensors made since the last full collection
COMPLETE = 24  # how often objects are set aside before all are seen again


class Spared:
    """What a callback of the collector remembers."""

    def __init__(self) -> None:
        self.number = new_number()  # of tensors, at the last full collection
        self.growing = False
        self.turns = 0  # how often objects have been set aside since all were seen

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            number = new_number()
            by_itself = gc.isenabled() and gc.get_count()[0] > gc.get_threshold()[0]  # not by gc.collect()
            self.growing = by_itself and number - self.number >= GROWING
            self.number = number
            if self.turns and (self.turns == COMPLETE or not self.growing):
                gc.unfreeze()
                self.turns = 0
        elif self.growing and (self.turns or not gc.get_freeze_count()):
            gc.freeze()
            self.turns += 1


def spare_growing_graphs() -> None:
    """Tells the collector; once."""
    if not any(isinstance(callback, Spared) for callback in gc.callbacks):
        gc.callbacks.append(Spared())
