"""Attention: every query takes a weighted mean of the values, with weights that say how well the keys answer it.

The weights are a softmax of products, softmax(query @ key.T / sqrt(d)), and the hard idea is the root: a product of d
numbers with variance 1 has variance d. With d = 64 such scores differ by tens, one weight is 1 and the others are 0,
and there the slope of softmax, p * (1 - p), is 0: nothing would be learned.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.arrays import beside
from tinygrad_edu.checks import broadcasts_to, check_bool, check_number
from tinygrad_edu.engine import Array, is_tensor, plain
from tinygrad_edu.functional.layers import dropout
from tinygrad_edu.functional.losses import HALF
from tinygrad_edu.functional.normalization import wide
from tinygrad_edu.ops import Operand, checked_operand
from tinygrad_edu.scopes import library_function
from tinygrad_edu.tensor import Tensor

__all__ = ["attention_weights", "heads_at_once", "scaled_dot_product_attention"]

BATCHES = "the axes before the last two must be equal, or 1, or missing"


@library_function
def scaled_dot_product_attention(
    query: Operand,
    key: Operand,
    value: Operand,
    attn_mask: Operand | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value: Vaswani et al. 2017, section 3.2.1.

    Args:
        query: Shape (..., n, d): n places that ask.
        key: Shape (..., m, d): what the m places answer to. Leading axes broadcast.
        value: Shape (..., m, e): what they say.
        attn_mask: Broadcasts to (..., n, m). Booleans say where a query may look; numbers are added to the scores, -inf
            where it may not. A query that may look nowhere gets 0.
        dropout_p: Probability to drop a weight; pass 0 in evaluation.
        is_causal: Place i looks at the places up to i only.
        scale: Factor of the products; 1 / sqrt(d) if None.
        rng: Generator of the draws of dropout, instead of the library's.

    Returns:
        Shape (..., n, e).

    Raises:
        TypeError: A mask that is neither of booleans nor of floats.
        ValueError: Shapes that do not fit, both a mask and is_causal, or dropout_p outside [0, 1].
    """
    name = "scaled_dot_product_attention"
    query, key = checked_operand(name, query, "query"), checked_operand(name, key, "key")
    value = checked_operand(name, value, "value")
    weights = attention_weights(name, query, key, attn_mask, is_causal, scale)
    if value.ndim < 2 or value.shape[-2] != weights.shape[-1]:
        raise ValueError(f"{name}: values of shape {value.shape} for {weights.shape[-1]} keys; it must be (..., m, e)")
    dropped = dropout(weights, dropout_p, rng=rng)
    try:
        out = ops.matmul(dropped, wide(value))
    except ValueError:
        have = f"values of shape {value.shape} for weights of shape {weights.shape}"
        raise ValueError(f"{name}: {have}; {BATCHES}") from None
    return ops.astype(out, HALF) if value.dtype == HALF and query.dtype == key.dtype == HALF else out


def attention_weights(
    name: str, query: Tensor, key: Tensor, attn_mask: Operand | None, is_causal: bool, scale: float | None = None
) -> Tensor:
    """The weights of all queries, of shape (..., n, m); arguments as above, `name` is what errors call the caller.

    Of float16 they are float32, as a score soon overflows float16.
    """
    if query.ndim < 2 or key.ndim < 2 or query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"{name}: queries {query.shape} and keys {key.shape}; they must be (..., n, d) and (..., m, d)"
        )
    if check_bool(f"{name}: is_causal", is_causal):
        if attn_mask is not None:
            raise ValueError(
                f"{name}: got both attn_mask and is_causal; leave out places of the future in the mask too"
            )
        attn_mask = beside(query, np.tri, query.shape[-2], key.shape[-2], dtype=bool)
    scale = 1 / math.sqrt(query.shape[-1] or 1) if scale is None else check_number(f"{name}: scale", scale)
    try:
        scores = ops.matmul(ops.multiply(wide(query), scale), ops.swapaxes(wide(key), -1, -2))
    except ValueError:
        have = f"queries {query.shape} and keys {key.shape}"
        raise ValueError(f"{name}: {have}; {BATCHES}") from None
    if attn_mask is None:
        return ops.softmax(scores)
    mask, blind = additive(name, attn_mask, scores.shape, scores.dtype)
    weights = ops.softmax(ops.add(scores, mask))
    return ops.multiply(weights, ~blind) if blind.any() else weights


def heads_at_once(name: str, x: Tensor, mask: Operand | None, heads: int) -> Tensor | None:
    """Self-attention of (n, places, 3 * width), query, key and value side by side; None if it takes more than one op.

    That is a mask that learns, or one that leaves a query nowhere to look.
    """
    if is_tensor(mask):
        return None
    if mask is not None:
        mask, blind = additive(name, mask, (len(x), heads, x.shape[1], x.shape[1]), x.dtype)
        if blind.any():
            return None
    return ops.self_attention(x, mask=mask, heads=heads)


def additive(name: str, mask: Operand, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Operand, Array]:
    """The mask as numbers to be added to scores of a shape and dtype, and which queries look nowhere.

    Theirs are 0, as softmax would give NaN.
    """
    mask = checked_operand(name, mask, "attn_mask")
    mask = mask if is_tensor(mask) or mask.dtype.kind != "f" else mask.astype(dtype)  # it must not widen them
    if not broadcasts_to(mask.shape, shape):
        raise ValueError(f"{name}: a mask of shape {mask.shape} for scores of shape {shape}")
    if mask.dtype.kind not in "bf":
        raise TypeError(
            f"{name}: a mask of dtype {mask.dtype}; it must be of booleans, True where a query may look, or floats"
        )
    allowed = plain(mask) if mask.dtype.kind == "b" else plain(mask) != -np.inf
    blind = ~allowed.any(axis=-1, keepdims=True)
    if mask.dtype.kind == "b":
        mask = np.where(allowed | blind, 0, -np.inf).astype(dtype)
    elif blind.any():
        mask = ops.where(blind, 0.0, mask)
    return mask, blind
