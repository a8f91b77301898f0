"""einsum: products and sums over named indices, with one rule for all of them.

The gradient of an einsum is an einsum again: the output takes the place of the operand. From "ij,jk->ik" come
"ik,jk->ij" and "ij,ik->jk".
"""

from __future__ import annotations

from string import ascii_letters
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.engine import Array, as_operand, op
from tinygrad_edu.ops.elementwise import Operand

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor


def rule(i: int, g: Any, out: Any, *arrays: Any, subscripts: str, optimize: Any) -> Any:
    """The vjp to operand i. An index that it alone has, in full length, is laid out again by a vector of ones."""
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
def _einsum(*arrays: Operand, subscripts: str, optimize: Any = False) -> Array:
    """np.einsum of explicit subscripts without ellipsis."""
    return np.einsum(subscripts, *arrays, optimize=optimize)


def einsum(subscripts: str, *operands: Operand, optimize: Any = False) -> Tensor:
    """Einstein summation, explicit ("ij,jk->ik") or implicit ("ij,jk"), with or without ellipsis.

    Args:
        subscripts: One letter per axis.
        *operands: One array or Tensor per term.
        optimize: As NumPy's: the order of the products of three or more terms.

    Raises:
        TypeError: `subscripts` is no string.
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
        terms[i] = term.replace("...", hidden)  # axes behind an ellipsis are aligned at its right end
        widest = max(widest, hidden, key=len)
        twice = [k for k in term.replace("...", "") if term.count(k) > 1]
        if twice:
            raise ValueError(
                f"einsum: index {twice[0]!r} stands twice in {term!r}; take diagonal() or trace() of that operand first"
            )
    if arrow and widest and "..." not in result:
        raise ValueError(
            f"einsum: {subscripts!r} drops the axes behind the ellipsis; write ... in the output, or name them"
        )
    if arrow:
        result = result.replace("...", widest)
    else:
        letters = "".join(terms)
        result = widest + "".join(sorted([k for k in set(letters) - set(widest) if letters.count(k) == 1]))
    return _einsum(*arrays, subscripts=",".join(terms) + "->" + result, optimize=optimize)
