"""Notebooks: whether a program runs in one, and figures that it shows by itself.

A figure that a cell makes is shown once: as the cell's result, by display(), or else at the end of the cell, in the
order in which the figures were made. matplotlib's own way, `%matplotlib inline`, shows one that is also the result of
its cell a second time.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["notebook_shell", "shown_in_notebooks"]

P = ParamSpec("P")
waiting: list[Figure] = []  # made by the running cell, and not shown yet


def notebook_shell() -> Any | None:
    """IPython's shell in a notebook's kernel; None in a script, and in IPython on a terminal."""
    find = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = find() if find is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def shown_in_notebooks(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator of a function that makes a figure: in a notebook its figures wait to be shown."""

    @wraps(plot)
    def run(*args: P.args, **kwargs: P.kwargs) -> Figure:
        figure = plot(*args, **kwargs)
        shell = notebook_shell()
        if shell is not None and figure not in waiting:
            waiting.append(figure)
            vars(figure)["_repr_mimebundle_"] = partial(figure_data, figure)
            if show_waiting not in shell.events.callbacks["post_execute"]:
                shell.events.register("post_execute", show_waiting)
        return figure

    return run


def show_waiting(until: Figure | None = None) -> None:
    """Shows the figures that wait, or those that were made before one of them, which is being shown."""
    from IPython.display import display

    while waiting and (figure := waiting.pop(0)) is not until:
        display(figure)


def figure_data(figure: Figure, **_: object) -> tuple[dict[str, str], dict[str, Any]]:
    """What a notebook shows of a figure: a PNG with two pixels for each of its own, and how wide that is."""
    if figure in waiting:
        show_waiting(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=2 * figure.dpi)
    shown = {"image/png": base64.b64encode(file.getvalue()).decode(), "text/plain": repr(figure)}
    return shown, {"image/png": {"width": round(figure.get_figwidth() * figure.dpi)}}
