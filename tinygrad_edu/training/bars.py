"""The progress bar of a notebook: tqdm's widget where ipywidgets is installed, else a line of text.

A widget takes some milliseconds to make, and leaves a place in the notebook where it stood:

    for epoch in range(1000):
        for batch in tqdm.auto.tqdm(batches): ...       # ten seconds, and a thousand times "model not found"

So there is none before a pass has taken a while, and all bars of a cell stand in one place, which is empty afterwards.
"""

from __future__ import annotations

import math
import os
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
    """A bar with so many batches done; None without tqdm."""
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
    return tqdm(**options, file=sys.stdout if in_console() else Line())


class Line:
    """What tqdm writes its text to: a file whose only line is the last one, in the place of the cell's bars."""

    def write(self, text: str) -> None:
        show_in_place({"text/plain": text.strip()} if text.strip() else EMPTY, raw=True)

    def flush(self) -> None: ...


def in_console() -> bool:
    """Whether the kernel's cells are lines of a console, Spyder's or Qt's, where no output can be replaced."""
    return any(name == "QT_API" or name.startswith("SPYDER") for name in os.environ)


def show_in_place(thing: object, **options: bool) -> None:
    """Shows it where the cell's last bar stood, or makes a place for it."""
    from IPython.display import display

    cell = getattr(notebook_shell(), "execution_count", 0)
    if cell in places:
        places[cell].update(thing, **options)
    else:
        places.clear()
        places[cell] = display(thing, display_id=True, **options)
