"""Pictures of what the engine does: the graph forward and backward, worked solutions, and a player of the steps.

    loss.graph()                            # in a notebook the picture; loss.graph().render("loss", format="pdf")
    print(loss.explain(w))                  # the chain rule with its numbers
    loss.graph().player("loss.html")        # forward and backward, step by step
    draw.call(model, x, depth=1)            # one call, also where it fails; draw.failed() after any error

Read `record.py` first: what it finds is all that the others show. `names.py`, `numbers.py` and `theme.py` say how
names, numbers and colours are written, `scopes.py` which calls are boxes, `verdict.py` whether a `.grad` is right; then
come `algebra/` (formulas), `explain/` (words), `picture/` (DOT and SVG), `player/` (pages), `graph.py` and `calls.py`,
each standing on those before it. `observer.py` looks at a call while it runs, and `failure.py` at what is left of one
that failed.
"""

from __future__ import annotations

from tinygrad_edu.draw.calls import call, failed
from tinygrad_edu.draw.explain.explain import Explanation, explain
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture.engines import NoEngineError, engine
from tinygrad_edu.draw.record import Record, record
from tinygrad_edu.torch_names import answer_names

__all__ = ["Explanation", "Graph", "NoEngineError", "Record", "call", "engine", "explain", "failed", "record"]

answer_names(__name__)
