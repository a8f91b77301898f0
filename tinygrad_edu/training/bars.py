"""The progress bar of a notebook: tqdm's widget where ipywidgets is installed, else a line of text.

A widget takes some milliseconds to make, and leaves a place in the notebook where it stood:

    for epoch in range(1000):
        for batch in tqdm.auto.tqdm(batches): ...       # ten seconds, and a thousand times "model not found"

So there is none before a pass has taken a while, and all bars of a cell stand in one place, which is empty afterwards.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Generator, Iterable, Sized
from typing import Any, TypeVar

from tinygrad_edu.notebooks import notebook_shell

__all__ = ["notebook_bar"]

T = TypeVar("T")
PATIENCE = 0.5  # seconds without a bar
EMPTY = {"text/html": "", "text/plain": ""}

places: dict[int, Any] = {}  # by the number of the running cell, the display that its bars share


def notebook_bar(batches: Iterable[T], text: str, means: object = "") -> Generator[T, None, None]:
    """Yields the batches, and shows a bar after a while; see epoch.progress_bar."""
    bar: Any = None
    due = time.perf_counter() + PATIENCE
    try:
        for done, batch in enumerate(batches, 1):
            yield batch
            if bar is not None:
                bar.set_postfix_str(str(means), refresh=False)
                bar.update()
            elif time.perf_counter() > due:
                bar, due = new_bar(text, done, len(batches) if isinstance(batches, Sized) else None), math.inf
    finally:
        if bar is not None:
            bar.close()
            if hasattr(bar, "container"):
                show_in_place(EMPTY, raw=True)


def new_bar(text: str, done: int, total: int | None) -> Any:
    """A bar with so many batches done; None without tqdm, or without a place to print it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that ipywidgets is not installed
            from tqdm.auto import tqdm
            from tqdm.notebook import tqdm as widget
    except ImportError:
        return None
    options: dict[str, Any] = {"desc": text, "initial": done, "total": total, "leave": False}
    if issubclass(tqdm, widget):
        bar = tqdm(**options, display=False)
        show_in_place(bar.container)
        return bar
    if getattr(sys.stdout, "closed", True):
        return None
    return tqdm(**options, file=sys.stdout)  # with the lines of the epochs: stderr would be a block of its own


def show_in_place(thing: object, **options: bool) -> None:
    """Shows it where the cell's last bar stood, or makes a place for it."""
    from IPython.display import display

    cell = getattr(notebook_shell(), "execution_count", 0)
    if cell in places:
        places[cell].update(thing, **options)
    else:
        places.clear()
        places[cell] = display(thing, display_id=True, **options)
