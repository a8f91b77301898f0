"""Terms of arrays: matrix products, sums over axes, and elements in another arrangement.

New axes are written only where NumPy does not add them by itself, which it does from the left alone:

    a.sum(axis=0)       # (3, 4) -> (4,): the gradient of a is ∂sum, for every row
    a.sum(axis=1)       # (3, 4) -> (3,): here it is ∂sum[:, None]; ∂sum alone would not broadcast
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.arithmetic import divide, function_term, multiply, product, split_product
from tinygrad_edu.draw.algebra.terms import Shape, Term, TermLike, as_shape, as_term, builds, literal, values_of
from tinygrad_edu.engine import REGISTRY
from tinygrad_edu.ops.convolution import NO_GAPS, Pair, winners

__all__ = ["fold", "index_text", "sum_over"]

Axis = int | Sequence[int] | None
Index = Any  # what stands between brackets: x[index]


@builds("matmul", operands=2)
def matmul(x: Term, y: Term) -> Term:
    (m, x), (n, y) = scaled(x), scaled(y)
    if m * n != 1:
        return multiply(m * n, matmul(x, y))
    value = np.matmul(x.value, y.value)
    if x.size == y.size == 1:
        return as_shape(multiply(as_shape(x, ()), as_shape(y, ())), value.shape)
    column = x.parts[0].parts[0] if x.kind == "T" and x.parts[0].kind == "reshape" else x
    if column.ndim == 1 == y.ndim - 1 and y.kind == "reshape" and y.parts[0].ndim == 1 and y.shape[0] == 1:
        return Term("outer", (column, y.parts[0]), column.value[:, None] * y.parts[0].value)
    return Term("@", (x, y), value)


def scaled(x: Term) -> tuple[float, Term]:
    """A number and the Term that it multiplies."""
    single = x.kind == "product" and len(x.parts[1]) == 1 and not x.parts[2]
    return (x.parts[0], x.parts[1][0]) if single else (1, x)


@builds("inv")
def inverse(x: Term) -> Term:
    """x^-1; the inverse of x^T is x^-T."""
    if x.size == 1:
        return as_shape(divide(1, as_shape(x, ())), x.shape)
    if x.kind == "T":
        return inverse(x.parts[0]).mT
    return x.parts[0] if x.kind == "inverse" else Term("inverse", (x,), np.linalg.inv(x.value))


@builds("solve", operands=2)
def solve(x: Term, y: Term) -> Term:
    value = np.linalg.solve(x.value, y.value)
    if x.size == y.size == 1:
        return as_shape(divide(as_shape(y, ()), as_shape(x, ())), value.shape)
    return Term("@", (inverse(x), y), value)


@builds("einsum", operands=0)
def einsum(*operands: TermLike, subscripts: str, optimize: object = False) -> Term:
    terms = [as_term(x) for x in operands]
    if len(terms) == 1 and len(set(subscripts.split("->"))) == 1:
        return terms[0]
    value = np.einsum(subscripts, *[x.value for x in terms])
    return Term("function", ("einsum", f'"{subscripts}"', *terms), value)


@builds("transpose")
def transpose(x: Term, axes: Sequence[int] | None = None) -> Term:
    """Axes in another order; two exchanged at the end are a matrix's transpose, and (x @ y)T is yT @ xT."""
    order = [k % x.ndim for k in (range(x.ndim)[::-1] if axes is None else axes)]
    value = np.transpose(x.value, order)
    if order == sorted(order):
        return x
    if x.size == 1 or x.kind == "number":
        return as_shape(x, value.shape)
    if order != [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]:
        return Term("permuted", (x, tuple(order)), value)
    if x.kind == "T":
        return as_shape(x.parts[0], value.shape)
    if x.kind == "outer" and x.ndim == 2:
        return Term("outer", x.parts[::-1], value)
    if x.kind == "@" and x.parts[0].ndim == x.parts[1].ndim == 2:
        return matmul(transpose(x.parts[1]), transpose(x.parts[0]))
    return Term("T", (x,), value)


@builds("expand_dims")
def expand_dims(x: Term, axis: int | Sequence[int]) -> Term:
    """New axes of length 1; those of x / 2 are given to x."""
    value = np.expand_dims(x.value, axis)
    if x.size == 1 or x.kind == "number":
        return as_shape(x, value.shape)
    new = {k % value.ndim for k in np.atleast_1d(axis).tolist()}
    marks = ["None" if k in new else ":" for k in range(value.ndim)]
    if x.ndim > 1 and min(new, default=x.ndim) == x.ndim:
        marks = ["...", *marks[x.ndim :]]
    while marks[-1] == ":":
        marks.pop()
    if x.kind == "product" and marks[-1:] == ["None"] and set(marks) != {"None"}:
        coefficient, tops, bottoms = x.parts
        if [y.shape for y in (*tops, *bottoms) if y.ndim] == [x.shape]:
            tops, bottoms = ([expand_dims(y, axis) if y.ndim else y for y in ys] for ys in (tops, bottoms))
            return product(coefficient, tops, bottoms, value.shape)
    return Term("expand", (x, f"[{', '.join(marks)}]"), value)


@builds("broadcast_to")
def broadcast_to(x: Term, shape: int | Sequence[int]) -> Term:
    value = np.broadcast_to(x.value, shape)
    if value.size == x.size or x.kind == "number":
        return as_shape(x, value.shape)
    return Term("broadcast", (x,), value)


@builds("reshape")
def reshape(x: Term, shape: int | Sequence[int]) -> Term:
    value = np.reshape(x.value, shape)
    base = x.parts[0] if x.kind == "reshape" else x
    if value.shape == base.shape or x.size == 1 or x.kind == "number":
        return as_shape(base, value.shape)
    return Term("reshape", (base, value.shape), value)


@builds("sum")
def sum_over(x: Term, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Term:
    """The sum over axes. Where it counts the winners of a comparison and there is one in each place, it is 1."""
    axes = tuple(range(x.ndim)) if axis is None else tuple([k % x.ndim for k in np.atleast_1d(axis).tolist()])
    value = x.value.sum(axes, keepdims=keepdims)
    if x.kind == "compare" and x.parts[0] == "=" and (value == 1).all():
        return literal(1, value.shape)
    if x.size == 1 or not axes:
        return as_shape(x, value.shape)
    if x.kind == "number" and value.size:
        return literal(value.flat[0].item(), value.shape)
    if x.kind == "reshape" and x.parts[0].shape == value.shape and x.size == value.size:
        return as_shape(x.parts[0], value.shape)
    if x.kind == "sum" and x.parts[1].startswith("sum") and len(axes) == x.ndim:
        return Term("sum", (x.parts[0], "sum of"), value)
    return Term("sum", (x, sum_words(axes, x.ndim)), value)


def reduction(name: str, x: Term, axis: Axis = None, keepdims: bool = False) -> Term:
    value = np.asarray(REGISTRY[name].forward(x.value, axis, keepdims))
    if x.size == 1:
        return as_shape(x, value.shape)
    axes = range(x.ndim) if axis is None else [k % x.ndim for k in np.atleast_1d(axis).tolist()]
    return Term("sum", (x, sum_words(axes, x.ndim, "product" if name == "prod" else name)), value)


def build_reductions() -> None:
    for name in ("mean", "prod", "max", "min"):
        builds(name)(partial(reduction, name))


build_reductions()


def sum_words(axes: Sequence[int], ndim: int, name: str = "sum") -> str:
    if len(axes) == ndim:
        return f"{name} of"
    if ndim == 2:
        return f"{name} over {('rows', 'columns')[axes[0]]} of"
    return f"{name} over {'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, sorted(axes)))} of"


@builds("getitem")
def getitem(x: Term, index: Index) -> Term:
    """x[index]; matrix times column, its last axis dropped, is matrix times vector."""
    text = f"[{index.parts[0]}]" if isinstance(index, Term) and index.kind == "name" else index_text(values_of(index))
    index = values_of(index)
    value = x.value[index]
    if x.kind == "@" and takes_column(index) and x.shape[-1] == 1:
        left, right = x.parts
        vector = right.parts[0] if right.kind == "expand" else right if right.size == 1 else None
        if vector is not None and right.ndim == 2:
            return Term("@", (left, as_shape(vector, right.shape[:1])), value)
    if x.kind == "function" and x.parts[0] == "cumsum" and x.parts[1].kind == "index" and text.endswith("::-1]"):
        base, before = x.parts[1].parts
        if before == text:  # reversed, added up, and reversed again
            along = f" along axis {text.count(',')}" if x.ndim > 1 else ""
            return Term("sum", (base, f"sum from each place on{along} of"), value)
    if x.size == np.size(value) == 1 or x.kind == "number" or (x.shape == value.shape and in_order(index)):
        return as_shape(x, np.shape(value))
    return Term("index", (x, text), value)


@builds("scatter")
def scatter(x: Term, index: Index, shape: Shape) -> Term:
    value = REGISTRY["scatter"].forward(x.value, index, shape)
    if x.size == value.size and (x.size == 1 or in_order(index)):
        return reshape(x, shape)
    parts = index if isinstance(index, tuple) else (index,)
    several = any(isinstance(i, (list, ndarray)) and np.asarray(i).dtype != bool for i in parts)
    return Term("phrase", (x, ("added" if several else "placed") + f" at {index_text(index)}, 0 elsewhere"), value)


@builds("fold")
def fold(x: Term, size: Pair, stride: Pair, shape: Shape, dilation: Pair = NO_GAPS) -> Term:
    """Windows added up at their places; of a pooling in words: each has one gradient, for its largest or for all."""
    value = REGISTRY["fold"].forward(x.value, size, stride, shape, dilation)
    coefficient, tops, bottoms = split_product(x.parts[0] if x.kind == "broadcast" else x)
    won = next((y for y in tops if y.key[:2] == ("function", "winners") and len(y.parts) == 3), None)
    each = [y.parts[0] if y.kind == "expand" else y for y in tops if y is not won]
    places = x.shape[:4]
    if [y.size for y in each] in ([], [np.prod(places)]):
        g = product(coefficient, [as_shape(y, places) for y in each], bottoms, places)
        chosen = (
            np.ones(x.shape) if won is None else winners(won.parts[1].value, won.parts[2].value, size, stride, dilation)
        )
        if np.allclose(x.value, g.value[..., None, None] * chosen, equal_nan=True):
            to = "all" if won is None else "the largest"  # the first of equals
            return as_shape(g, shape) if value.size == 1 else Term("phrase", (g, f"to {to} of each window"), value)
    return function_term("fold", x, size=size, stride=stride, shape=shape, dilation=dilation)


def takes_column(index: Index) -> bool:
    """Whether an index is [..., 0]."""
    return isinstance(index, tuple) and len(index) == 2 and index[0] is ... and type(index[1]) is int and index[1] == 0


def in_order(index: Index) -> bool:
    """Whether an index that takes as many elements as there are takes them in their order: [:, :], [...], [:, None]."""
    parts = index if isinstance(index, tuple) else (index,)
    return all((i.step or 1) > 0 if isinstance(i, slice) else i is None or i is ... or type(i) is int for i in parts)


def index_text(index: Index) -> str:
    """An index as one writes it between brackets: [1], [:, 0:3], [..., None]; long lists are cut."""
    parts = index if isinstance(index, tuple) else (index,)
    return f"[{', '.join([index_part(part) for part in parts])}]"


def index_part(part: Index) -> str:
    if isinstance(part, slice):
        step = "" if part.step is None else f":{part.step}"
        return f"{'' if part.start is None else part.start}:{'' if part.stop is None else part.stop}{step}"
    if part is ...:
        return "..."
    if isinstance(part, (list, ndarray)) and np.ndim(part):
        array = np.asarray(part)
        if array.dtype == bool:
            return "mask"
        return str(array.tolist()) if array.size <= 6 else "indices"
    return str(part)
