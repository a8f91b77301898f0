"""Products that add up along axes: matmul, and einsum, which has one rule for all of them.

The gradient of an einsum is an einsum again: the output takes the place of the operand. From "ij,jk->ik" come
"ik,jk->ij" and "ij,ik->jk".
"""

from __future__ import annotations

from string import ascii_letters
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_edu.engine import Array, op
from tinygrad_edu.ops.elementwise import Operand, as_operand, multiply
from tinygrad_edu.ops.shapes import expand_dims, moveaxis, reshape

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["dot", "einsum", "matmul", "outer"]


def outer(x: Operand, y: Operand) -> Tensor:
    """All products of an element of x and one of y: (x.size, y.size)."""
    return multiply(reshape(x, (-1, 1)), reshape(y, (1, -1)))


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
            raise
        inner = right[-2] if len(right) > 1 else right[0]
        if left[-1] == inner:
            raise
        hint = "; did you mean w.T?" if left[-1] == right[-1] else ""
        raise ValueError(f"matmul: {left} @ {right}: inner sizes {left[-1]} and {inner} differ{hint}") from None


def dot(x: Operand, y: Operand) -> Tensor:
    """NumPy's dot: the last axis of x against the last but one of y (the only one of a vector)."""
    x, y = as_operand(x), as_operand(y)
    if not x.ndim or not y.ndim:
        return multiply(x, y)
    if y.ndim <= 2:
        return matmul(x, y)
    columns = reshape(moveaxis(y, -2, 0), (y.shape[-2], -1))  # (k, the rest of y)
    return reshape(matmul(x, columns), x.shape[:-1] + y.shape[:-2] + y.shape[-1:])


def rule(i: int, g: Array, out: Array, *arrays: Array, subscripts: str, optimize: bool | str) -> Array:
    """The vjp to operand i. An index that only this operand has at full length was summed: ones bring it back."""
    *terms, result = subscripts.replace("->", ",").split(",")
    mine, others = terms[i], [result, *terms[:i], *terms[i + 1 :]]
    factors = [g, *arrays[:i], *arrays[i + 1 :]]
    lengths: dict[str, int] = {}
    for term, x in zip(others, factors, strict=True):
        lengths |= {k: max(n, lengths.get(k, 0)) for k, n in zip(term, x.shape, strict=True)}
    lost = [(k, n) for k, n in zip(mine, arrays[i].shape, strict=True) if k not in lengths or lengths[k] < n]
    ones = [np.ones(n, g.dtype) for _, n in lost]
    kept = "".join([k for k, n in zip(mine, arrays[i].shape, strict=True) if lengths.get(k, 0) <= n])
    product = ",".join([*others, *[k for k, _ in lost]]) + "->" + kept
    part = _einsum(*factors, *ones, subscripts=product, optimize=optimize)
    return part.reshape(arrays[i].shape)  # without the lengths of one that were broadcast


@op(rule, variadic=True)
def _einsum(*arrays: Array, subscripts: str, optimize: bool | str = False) -> Array:
    """np.einsum of explicit subscripts without ellipsis."""
    return np.einsum(subscripts, *arrays, optimize=optimize)


def einsum(subscripts: str, *operands: Operand, optimize: bool | str = False) -> Tensor:
    """Einstein summation, explicit ("ij,jk->ik") or implicit ("ij,jk"), with or without ellipsis.

    Args:
        subscripts: One letter per axis.
        *operands: One array or Tensor per term.
        optimize: As NumPy's: the order of the products of three or more terms.

    Raises:
        TypeError: `subscripts` is not a string.
        ValueError: An index stands twice in one operand, or the terms do not fit the operands.
    """
    if not isinstance(subscripts, str):
        raise TypeError("einsum: write the subscripts as a string first, for example einsum('ij,jk->ik', x, y)")
    arrays = [as_operand(x) for x in operands]
    text, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = text.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"einsum: {subscripts!r} has {len(terms)} terms for {len(arrays)} operands")
    spare = [k for k in ascii_letters if k not in subscripts]
    widest = ""
    for i, (term, x) in enumerate(zip(terms, arrays, strict=True)):
        hidden = "".join(spare[: x.ndim - len(term.replace("...", ""))][::-1]) if "..." in term else ""
        terms[i] = term.replace("...", hidden)  # the axes of an ellipsis are aligned at its right end
        widest = max(widest, hidden, key=len)
        twice = [k for k in term.replace("...", "") if term.count(k) > 1]
        if twice:
            raise ValueError(
                f"einsum: index {twice[0]!r} stands twice in {term!r}; take diagonal() or trace() of that operand first"
            )
    if arrow and widest and "..." not in result:
        raise ValueError(
            f"einsum: {subscripts!r} drops the axes of the ellipsis; write ... in the output, or name them"
        )
    if arrow:
        result = result.replace("...", widest)
    else:
        letters = "".join(terms)
        result = widest + "".join(sorted([k for k in set(letters) - set(widest) if letters.count(k) == 1]))
    return _einsum(*arrays, subscripts=",".join(terms) + "->" + result, optimize=optimize)
