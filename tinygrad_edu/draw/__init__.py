"""Pictures of what the engine does: the graph forward and backward, worked solutions, and a player of the steps.

    loss.graph()                            # in a notebook the picture; loss.graph().render("loss", format="pdf")
    print(loss.explain(w))                  # the chain rule with its numbers
    loss.graph().player("loss.html")        # forward and backward, step by step

Read `record.py` first: what it finds is all that the others show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_edu.draw.engines import NoEngineError, engine
from tinygrad_edu.draw.explain import explain
from tinygrad_edu.draw.graph import Graph, Mode, Rankdir, Style
from tinygrad_edu.draw.names import caller_variables, name_cards
from tinygrad_edu.draw.record import Record, record
from tinygrad_edu.draw.solution import Explanation
from tinygrad_edu.draw.theme import Theme
from tinygrad_edu.tensor import Tensor

__all__ = ["Explanation", "Graph", "NoEngineError", "Record", "engine", "explain", "graph", "record"]


def graph(
    output: Tensor,
    *,
    mode: Mode = "both",
    style: Style = "auto",
    depth: int | None = None,
    rankdir: Rankdir = "auto",
    precision: int = 3,
    theme: Theme = "light",
    names: Mapping[Any, Any] | None = None,
    title: str | None = None,
) -> Graph:
    """The picture of how a tensor was computed, and of how its gradient flows back.

    Tensors without a name are called by the variables that hold them where this function is called. Drawing runs a
    backward pass of its own and changes no `.grad`.

    Args:
        output: A Tensor; of several elements too.
        mode: "forward", "backward" or "both", all at the same coordinates.
        style: "gates" draws each op as a node of its own, "fused" joins it to its result, "auto" chooses.
        depth: How many levels of modules stay open; None opens all, and folds alike parts of large graphs.
        rankdir: "LR" from left to right, "TB" from top to bottom, "auto" chooses.
        precision: Significant digits.
        theme: "light", "dark" or "auto".
        names: Tensor -> name or name -> Tensor, stronger than all other names.
        title: A heading, or None.

    Returns:
        A graphviz.Digraph, shown as a picture in a notebook.

    Raises:
        RuntimeError: A leaf was updated after it was used; draw before optimizer.step().
        ValueError: An option that does not exist.
    """
    found = record(output)
    name_cards(found, names, caller_variables())
    return Graph(
        found,
        mode=mode,
        style=style,
        depth=depth,
        rankdir=rankdir,
        precision=precision,
        theme=theme,
        title=title,
    )
