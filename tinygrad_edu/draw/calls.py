"""Pictures of calls: of one that is made for the picture, and of the one that failed last."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from numpy import ndarray

from tinygrad_edu.draw.failure import bound_arguments, failed_record, variables_of
from tinygrad_edu.draw.graph import CHOICES, Graph
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.observer import Observer
from tinygrad_edu.draw.options import check_function, check_within, unknown_options
from tinygrad_edu.draw.record import Record, record, record_ends
from tinygrad_edu.draw.scopes import is_module, put_inside
from tinygrad_edu.draw.variables import caller_variables
from tinygrad_edu.engine import new_number
from tinygrad_edu.scopes import drawing
from tinygrad_edu.structure import leaves
from tinygrad_edu.tensor import Tensor

__all__ = ["call", "failed"]


def call(function: Any, *inputs: Any, within: AbstractContextManager[object] | None = None, **options: Any) -> Graph:
    """A picture of one call of a function, a module or another object: how its result comes from the inputs.

    Tensors are called by the variables that hold them meanwhile; with a tracer or a debugger too, but not while a
    profiler runs. Objects of plain classes with a `__call__` are boxes, as modules are.

    A call that fails is drawn up to where it fails, with what did not fit and the error, which is the picture's
    `error`.

    Args:
        function: Returns a Tensor, or several in a tuple, list or dict. If one is made of all the others, as a loss is
            of logits, gradients are those of that one; else only the forward pass is drawn.
        inputs: What it is called with.
        within: A context manager that is entered for the call.
        options: Those of Graph.

    Raises:
        TypeError: It returns something else, or cannot be called; or `within` cannot be entered.

    Example:
        draw.call(lambda x, y: mse_loss(model(x), y), x, y, depth=1)
    """
    check_function(function)
    check_within(within)
    if unknown := [name for name in options if name not in CHOICES]:
        raise unknown_options(unknown, (), CHOICES)
    observer, since, token = Observer(), new_number(), drawing.set(True)
    try:
        with within or nullcontext(), observer:
            out = function(*inputs)
    except Exception as error:
        found = failed_record(error, observer.starts, since)
    else:
        found = result_record(function, out)
    finally:
        drawing.reset(token)
    callers = caller_variables()
    given = bound_arguments(function.forward if is_module(function) else function, inputs, {})
    inside = {id(x): name for name, x in given.items() if isinstance(x, (Tensor, ndarray)) and name.isidentifier()}
    name_cards(found, options.pop("names", None), {**inside, **observer.names, **callers})
    put_inside(found, leaves(inputs), {*callers, *observer.outer})
    return Graph(found, **options)


def failed(error: BaseException | None = None, **options: Any) -> Graph:
    """A picture of the graph up to an error, by default the last one that Python reported or that is being handled.

    Args:
        error: As caught by `except`.
        options: Those of Graph.

    Raises:
        RuntimeError: There was no error.
    """
    for found in (error, sys.exc_info()[1], getattr(sys, "last_exc", None), getattr(sys, "last_value", None)):
        if isinstance(found, Exception):
            graph = failed_record(found, {})
            name_cards(graph, None, {**variables_of(found), **caller_variables()})
            return Graph(graph, **options)
    if error is not None:
        raise TypeError(f"draw.failed takes an error, as caught by `except ... as error`, not {error!r:.60}")
    raise RuntimeError(
        "draw.failed: there is no error to draw; call it in the notebook's next cell, or give it the error that "
        "`except ... as error` caught"
    )


def result_record(function: Callable[..., Any], out: Any) -> Record:
    """The graph of what a call returned."""
    results = [leaf for leaf in leaves(out) if isinstance(leaf, Tensor)]
    if not results:
        name = type(function).__name__ if is_module(function) else getattr(function, "__name__", "the call")
        raise TypeError(f"{name} returned {type(out).__name__}, and only a Tensor has a graph")
    found = record(max(results, key=lambda result: result._number))
    inside = {id(card.tensor) for card in found.cards}
    return found if all(id(result) in inside for result in results) else record_ends(results)
