"""Products that add up along axes: matmul and what is made of it, and einsum, which has one rule for all of them.

The gradient of an einsum is an einsum again: the output takes the place of the operand. From "ij,jk->ik" come
"ik,jk->ij" and "ij,ik->jk".
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_edu.arrays import beside
from tinygrad_edu.engine import Array, op
from tinygrad_edu.ops.elementwise import Operand, as_operand, multiply
from tinygrad_edu.ops.indexing import diagonal, getitem
from tinygrad_edu.ops.joining import pad
from tinygrad_edu.ops.shapes import expand_dims, moveaxis, ravel, reshape, squeeze, swapaxes, transpose

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "cross", "dot", "einsum", "inner", "kron", "matmul", "matvec", "outer", "tensordot", "vdot", "vecdot", "vecmat",
]  # fmt: skip

Axes: TypeAlias = "int | Sequence[int]"
LOWER = "abcdefghijklmnopqrstuvwxyz"  # the module string has it too, and takes a while to load
UPPER = LOWER.upper()


def outer(x: Operand, y: Operand) -> Tensor:
    """All products of an element of x and one of y: (x.size, y.size)."""
    return multiply(reshape(x, (-1, 1)), reshape(y, (1, -1)))


def kron(x: Operand, y: Operand) -> Tensor:
    """Kronecker product: every element of x times all of y; the lengths multiply axis by axis."""
    x, y = as_operand(x), as_operand(y)
    ndim = max(x.ndim, y.ndim)
    lengths = [(1,) * (ndim - z.ndim) + z.shape for z in (x, y)]
    blocks = [k for n in lengths[0] for k in (n, 1)]  # (n0, 1, n1, 1, ...)
    inside = [k for n in lengths[1] for k in (1, n)]  # (1, m0, 1, m1, ...)
    return reshape(multiply(reshape(x, blocks), reshape(y, inside)), [n * m for n, m in zip(*lengths, strict=True)])


def cross(x: Operand, y: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """Cross product of vectors of 3 components; a third component that is missing counts as 0.

    Args:
        x: Vectors along the axis `axisa`.
        y: Vectors along the axis `axisb`; the other axes of x and y broadcast.
        axisa: See x.
        axisb: See y.
        axisc: Axis of the vectors in the result. Two vectors of 2 components have no such axis: there the result is
            the third component.
        axis: All three at once.

    Raises:
        ValueError: Vectors have neither 2 nor 3 components.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    sizes = (x.shape[-1], y.shape[-1])
    if not {2, 3}.issuperset(sizes):
        raise ValueError(f"cross: vectors have 2 or 3 components; here they have {sizes[0]} and {sizes[1]}")
    if sizes == (2, 2):
        return x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]
    x, y = [pad(z, [(0, 0)] * (z.ndim - 1) + [(0, 1)]) if z.shape[-1] == 2 else z for z in (x, y)]
    after, before = (..., [1, 2, 0]), (..., [2, 0, 1])
    out = getitem(x, after) * getitem(y, before) - getitem(x, before) * getitem(y, after)
    return moveaxis(out, -1, axisc)


def matmul_to_x(g: Array, out: Array, x: Array, y: Array) -> Array:
    """g @ yT; a vector x is a row, a vector y a column."""
    if y.ndim == 1:
        return expand_dims(g, -1) * y  # (..., m, 1) * (k,)
    if x.ndim == 1:
        return (y @ expand_dims(g, -1))[..., 0]  # (..., k, n) @ (..., n, 1)
    return g @ y.swapaxes(-1, -2)


def matmul_to_y(g: Array, out: Array, x: Array, y: Array) -> Array:
    """xT @ g."""
    if x.ndim == 1:
        return x * g if y.ndim == 1 else expand_dims(x, -1) * expand_dims(g, -2)  # (k, 1) * (..., 1, n)
    if y.ndim == 1:
        return (x.swapaxes(-1, -2) @ expand_dims(g, -1))[..., 0]  # (..., k, m) @ (..., m, 1)
    return x.swapaxes(-1, -2) @ g


@op(matmul_to_x, matmul_to_y)
def matmul(x: Operand, y: Operand) -> Array:
    """x @ y: (..., m, k) @ (..., k, n) -> (..., m, n), with 1-D operands and broadcasting as in NumPy."""
    try:
        return np.matmul(x, y)
    except ValueError:
        left, right = np.shape(x), np.shape(y)
        if not left or not right:
            raise ValueError(f"matmul: {left} @ {right}: a number has no axis to sum over; use *") from None
        inner = right[-2] if len(right) > 1 else right[0]
        if left[-1] == inner:
            raise
        hint = "; did you mean w.T?" if left[-1] == right[-1] else ""
        raise ValueError(f"matmul: {left} @ {right}: inner sizes {left[-1]} and {inner} differ{hint}") from None


def matvec(x: Operand, y: Operand) -> Tensor:
    """Matrices times vectors: (..., m, n) and (..., n) -> (..., m)."""
    x, y = as_operand(x), as_operand(y)
    if x.ndim < 2 or not y.ndim:
        raise ValueError(f"matvec: takes (..., m, n) and (..., n), not {x.shape} and {y.shape}")
    return matmul(x, y) if y.ndim == 1 else squeeze(matmul(x, expand_dims(y, -1)), -1)


def vecmat(x: Operand, y: Operand) -> Tensor:
    """Vectors times matrices: (..., n) and (..., n, m) -> (..., m)."""
    x, y = as_operand(x), as_operand(y)
    if not x.ndim or y.ndim < 2:
        raise ValueError(f"vecmat: takes (..., n) and (..., n, m), not {x.shape} and {y.shape}")
    return matmul(x, y) if x.ndim == 1 else squeeze(matmul(expand_dims(x, -2), y), -2)


def vdot(x: Operand, y: Operand) -> Tensor:
    """The sum of all products x * y, whatever the shapes: both are flattened."""
    return matmul(ravel(x), ravel(y))


def vecdot(x: Operand, y: Operand, axis: int = -1, keepdims: bool = False) -> Tensor:
    """The sum of x * y along an axis: (..., n) and (..., n) -> (...)."""
    x, y = as_operand(x), as_operand(y)
    if axis != -1:
        x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"vecdot: {x.shape} and {y.shape} have no last axis of one length")
    out = einsum("...i,...i->...", x, y)
    return expand_dims(out, axis) if keepdims else out


def dot(x: Operand, y: Operand) -> Tensor:
    """NumPy's dot: the last axis of x against the last but one of y (the only one of a vector)."""
    x, y = as_operand(x), as_operand(y)
    if not x.ndim or not y.ndim:
        return multiply(x, y)
    return matmul(x, y) if y.ndim <= 2 else tensordot(x, y, (-1, -2))


def inner(x: Operand, y: Operand) -> Tensor:
    """The last axis of x against the last of y."""
    x, y = as_operand(x), as_operand(y)
    return dot(x, swapaxes(y, -1, -2) if x.ndim and y.ndim > 1 else y)


def tensordot(x: Operand, y: Operand, axes: int | tuple[Axes, Axes] = 2) -> Tensor:
    """The sum of products over axes of x paired with axes of y: the axes left of x, then those of y.

    Args:
        x: Any shape.
        y: Any shape.
        axes: How many, the last of x against the first of y; or which of x and which of y.

    Raises:
        ValueError: Paired axes differ in number or length.
    """
    x, y = as_operand(x), as_operand(y)
    chosen: Any = (range(-int(axes), 0), range(axes)) if isinstance(axes, (int, np.integer)) else axes
    mine, theirs = normalize_axis_tuple(chosen[0], x.ndim), normalize_axis_tuple(chosen[1], y.ndim)
    lengths = [x.shape[i] for i in mine]
    if lengths != [y.shape[i] for i in theirs]:
        raise ValueError(f"tensordot: axes {mine} of {x.shape} and {theirs} of {y.shape} differ in number or length")
    rows = [i for i in range(x.ndim) if i not in mine]
    columns = [i for i in range(y.ndim) if i not in theirs]
    kept = [x.shape[i] for i in rows], [y.shape[i] for i in columns]
    left = reshape(transpose(x, (*rows, *mine)), (prod(kept[0]), prod(lengths)))
    right = reshape(transpose(y, (*theirs, *columns)), (prod(lengths), prod(kept[1])))
    return reshape(matmul(left, right), kept[0] + kept[1])


def einsum_rule(i: int, g: Array, out: Array, *arrays: Array, subscripts: str, optimize: Any) -> Array:
    """The vjp to operand i. An index that only this operand has at full length was summed: ones bring it back."""
    *terms, result = subscripts.replace("->", ",").split(",")
    mine, others = terms[i], [result, *terms[:i], *terms[i + 1 :]]
    factors = [g, *arrays[:i], *arrays[i + 1 :]]
    lengths: dict[str, int] = {}
    for term, x in zip(others, factors, strict=True):
        lengths |= {k: max(n, lengths.get(k, 0)) for k, n in zip(term, x.shape, strict=True)}
    lost = [(k, n) for k, n in zip(mine, arrays[i].shape, strict=True) if k not in lengths or lengths[k] < n]
    ones = [beside(g, np.ones, n, g.dtype) for _, n in lost]
    kept = "".join([k for k, n in zip(mine, arrays[i].shape, strict=True) if lengths.get(k, 0) <= n])
    product = ",".join([*others, *[k for k, _ in lost]]) + "->" + kept
    order = optimize if isinstance(optimize, (bool, str)) else True  # a path is one of the operands, not of these
    part = _einsum(*factors, *ones, subscripts=product, optimize=order)
    return part.reshape(arrays[i].shape)  # without the lengths of one that were broadcast


@op(einsum_rule, variadic=True)
def _einsum(*arrays: Array, subscripts: str, optimize: Any = False) -> Array:
    """np.einsum of explicit subscripts without ellipsis and without an index that stands twice in a term."""
    *terms, kept = subscripts.replace("->", ",").split(",")
    lengths = {k: n for term, x in zip(terms, arrays, strict=True) for k, n in zip(term, x.shape, strict=True) if n > 1}
    dtype = np.result_type(*arrays)
    addends = prod([n for k, n in lengths.items() if k not in kept])
    if (dtype == np.float16 and addends > 1) or (dtype == np.float32 and addends > 2**22):  # see sums.py
        arrays = tuple([x.astype(np.float64) for x in arrays])
    return np.einsum(subscripts, *arrays, optimize=optimize).astype(dtype, copy=False)[()]


def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Tensor:
    """Einstein summation, explicit ("ij,jk->ik") or implicit ("ij,jk"), with or without ellipsis.

    An index that stands twice in a term takes the diagonal: "ii->i"; "ii" is the trace.

    Args:
        subscripts: One letter per axis.
        *operands: One array or Tensor per term. NumPy's other form is einsum(x, [0, 1], y, [1, 2], [0, 2]): numbers for
            letters, behind each operand, and last, if wanted, those of the output.
        optimize: As NumPy's: the order of the products of three or more terms.

    Raises:
        ValueError: The terms do not fit the operands, or the output drops the axes of an ellipsis.
    """
    if not isinstance(subscripts, str):
        subscripts, operands = lettered(subscripts, *operands)
    arrays = [as_operand(x) for x in operands]
    text, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = text.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"einsum: {subscripts!r} has {len(terms)} terms for {len(arrays)} operands")
    spare = [k for k in LOWER + UPPER if k not in subscripts]
    widest = ""
    for i, (term, x) in enumerate(zip(terms, arrays, strict=True)):
        hidden = "".join(spare[: x.ndim - len(term.replace("...", ""))][::-1]) if "..." in term else ""
        widest = max(widest, hidden, key=len)  # the axes of an ellipsis are aligned at its right end
        terms[i], arrays[i] = without_repeats(term.replace("...", hidden), x)
    if arrow and widest and "..." not in result:
        raise ValueError(
            f"einsum: {subscripts!r} drops the axes of the ellipsis; write ... in the output, or name them"
        )
    if arrow:
        result = result.replace("...", widest)
    else:
        letters = "".join(text.replace("...", "").split(","))
        result = widest + "".join(sorted([k for k in set(letters) if letters.count(k) == 1]))
    return _einsum(*arrays, subscripts=",".join(terms) + "->" + result, optimize=optimize)


def lettered(*arguments: Any) -> tuple[str, tuple[Any, ...]]:
    """The string of subscripts, and the operands, of einsum's form with lists of numbers."""
    letters = UPPER + LOWER  # as NumPy sorts them
    whole = len(arguments) // 2 * 2  # the output comes without an operand
    lists = [*arguments[1::2], *arguments[whole:]]
    if not whole or not all(isinstance(numbers, (list, tuple)) for numbers in lists):
        raise TypeError("einsum: write the subscripts as a string first, for example einsum('ij,jk->ik', x, y)")
    if strange := [k for numbers in lists for k in numbers if k is not ... and k not in range(52)]:
        raise ValueError(f"einsum: index {strange[0]} is not a number from 0 to 51")
    terms = ["".join(["..." if k is ... else letters[k] for k in numbers]) for numbers in lists]
    n = whole // 2
    return ",".join(terms[:n]) + ("->" + terms[n] if terms[n:] else ""), arguments[:whole:2]


def without_repeats(term: str, x: Tensor) -> tuple[str, Tensor]:
    """The term with each index once, and the operand with the diagonal of the axes that share one."""
    if len(term) != x.ndim:
        raise ValueError(f"einsum: {term!r} has {len(term)} indices for an operand of {x.ndim} axes")
    for k in sorted(set(term)):
        while term.count(k) > 1:
            first, last = term.index(k), term.rindex(k)
            if x.shape[first] != x.shape[last]:
                raise ValueError(f"einsum: index {k!r} stands for lengths {x.shape[first]} and {x.shape[last]}")
            x = diagonal(x, 0, first, last)
            term = term[:first] + term[first + 1 : last] + term[last + 1 :] + k
    return term, x
