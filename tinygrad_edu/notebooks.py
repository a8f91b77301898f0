"""Notebooks: whether a program runs in one, and figures that it shows by itself.

A figure that a cell makes is shown once: as the cell's result, by display(), or else at the end of the cell, in the
order in which the figures were made. matplotlib's own way, `%matplotlib inline`, shows one that is also the result of
its cell a second time.
"""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DARK_HOST", "LIGHT_HOST", "follow_host", "notebook_shell", "shown_in_notebooks"]

P = ParamSpec("P")

# What tells that the page around a picture is dark or light, whatever the reader's system is: JupyterLab, VS Code,
# Colab, and the books made of notebooks.
DARK_HOST = (
    ':is([data-jp-theme-light="false"],[data-vscode-theme-kind="vscode-dark"],'
    '[data-vscode-theme-kind="vscode-high-contrast"],.vscode-dark,[theme="dark"],[data-theme="dark"])'
)
LIGHT_HOST = (
    ':is([data-jp-theme-light="true"],[data-vscode-theme-kind="vscode-light"],'
    '[data-vscode-theme-kind="vscode-high-contrast-light"],.vscode-light,[theme="light"],[data-theme="light"])'
)

# A plot, which is drawn for white paper, on a dark page: white turns dark, black turns pale, and hues stay
INVERTED = "{filter:invert(.93) hue-rotate(180deg)}"
DARK_PLOT = (
    f"@media screen{{@media (prefers-color-scheme:dark){{img.tinygrad-plot{INVERTED}}}"
    f"{LIGHT_HOST} img.tinygrad-plot{{filter:none}}{DARK_HOST} img.tinygrad-plot{INVERTED}}}"
)

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
    """What a notebook shows of a figure: a PNG with two pixels for each of its own, and how wide that is.

    In HTML, which the pages of notebooks take, it is dark where the page is.
    """
    if figure in waiting:
        show_waiting(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=2 * figure.dpi)
    png, width = base64.b64encode(file.getvalue()).decode(), round(figure.get_figwidth() * figure.dpi)
    titles = [figure.get_suptitle(), *[axes.get_title() for axes in figure.axes]]
    words = html.escape(", ".join([" ".join(title.split()) for title in titles if title]))
    picture = (
        f'<img class="tinygrad-plot" src="data:image/png;base64,{png}" alt="{words}" width="{width}" '
        'style="display:block;max-width:100%;height:auto">'
    )
    shown = {"text/html": f"<style>{DARK_PLOT}</style>{picture}", "image/png": png, "text/plain": repr(figure)}
    return shown, {"image/png": {"width": width}}


def follow_host(selector: str) -> str:
    """CSS with which an image or a frame gets the theme of the page around it, else that of the reader's system."""
    hosts = (("", "light dark"), (f"{LIGHT_HOST} ", "light"), (f"{DARK_HOST} ", "dark"))
    return "".join([f"{host}{selector}{{color-scheme:{scheme}}}" for host, scheme in hosts])
