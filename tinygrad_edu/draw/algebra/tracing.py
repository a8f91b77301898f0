"""Running functions on Terms: the rules of ops, ops themselves, and the functions that rules call.

A rule computes with operators, methods, NumPy's functions and ops. A Term answers the first three by itself, but an op
takes only Tensors and arrays. So a rule runs as a copy, with the same code, in which the global names of ops and
functions mean their versions for Terms: `on_terms` is the one place where code objects are touched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.draw.algebra.arithmetic import function_term
from tinygrad_edu.draw.algebra.terms import BUILDERS, Term, named_call, values_of
from tinygrad_edu.engine import REGISTRY, Op

__all__ = ["on_terms", "op_on_terms"]


def on_terms(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with what stands for its globals and closure where Terms are computed; a built-in one as it is."""
    if not isinstance(f, FunctionType):
        return f
    names = {name: stand_in(f.__globals__[name]) for name in names_used(f.__code__) if name in f.__globals__}
    cells = tuple([CellType(stand_in(cell.cell_contents)) for cell in f.__closure__ or ()])
    copy = FunctionType(f.__code__, names, f.__name__, f.__defaults__, cells)
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def names_used(code: CodeType) -> set[str]:
    """The global names in a function, and in the lambdas and comprehensions within it."""
    inner = [names_used(x) for x in code.co_consts if isinstance(x, CodeType)]
    return set(code.co_names).union(*inner)


def stand_in(x: Any) -> Any:
    """What stands for a global of a rule: for ops and functions, also within modules of this library, their copies."""
    if isinstance(x, partial):
        return partial(stand_in(x.func), *x.args, **x.keywords)
    if isinstance(x, ModuleType) and x.__name__.partition(".")[0] == "tinygrad_edu":
        return ModuleOnTerms(x)
    if not isinstance(x, FunctionType):
        return x
    op = REGISTRY.get(x.__name__.lstrip("_"))
    return op_on_terms(op) if op is not None and op.call is x else helper_on_terms(x)


class ModuleOnTerms:
    """A module of this library, as `ops` in a rule that says ops.exp(x)."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return stand_in(getattr(self._module, name))


def op_on_terms(op: Op) -> Callable[..., Any]:
    """An op as a function of Terms; one without a notation of its own is printed by its name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        operands, params = op.bind(args, kwargs)
        if not any(isinstance(x, Term) for x in operands):
            return op.forward(*operands, **params)
        build = BUILDERS.get(op.name, partial(function_term, op.name))
        return build(*operands, **params)

    return call


def helper_on_terms(f: FunctionType) -> Callable[..., Any]:
    """A function that a rule calls. Its formula is what it does or, where Terms cannot do that, its name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return on_terms(f)(*args, **kwargs)
        except Exception:  # it may do anything with arrays; the values that it returns are right all the same
            value = f(*values_of(args), **{key: values_of(x) for key, x in kwargs.items()})
        if not isinstance(value, (np.ndarray, np.generic)):
            return value
        return named_call(f.__name__, [x for x in (*args, *kwargs.values()) if isinstance(x, Term)], value)

    return call
