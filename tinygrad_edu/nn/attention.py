"""Embedding and attention: the two layers that a transformer adds to Linear and LayerNorm."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tinygrad_edu import functional, ops
from tinygrad_edu.arguments import answering_for
from tinygrad_edu.arrays import beside
from tinygrad_edu.checks import check_bool, check_dtype, check_int, check_number, check_positive_int
from tinygrad_edu.engine import plain
from tinygrad_edu.functional.attention import attention_weights, heads_at_once
from tinygrad_edu.functional.losses import HALF
from tinygrad_edu.functional.normalization import wide
from tinygrad_edu.nn import init
from tinygrad_edu.nn.layers import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, as_operand, checked_operand
from tinygrad_edu.random import generator_or_default
from tinygrad_edu.scopes import drawing
from tinygrad_edu.tensor import Tensor

__all__ = ["Embedding", "MultiheadAttention"]

E = TypeVar("E", bound="Embedding")
APART = ("q_proj_weight", "k_proj_weight", "v_proj_weight")  # PyTorch's names where their lengths differ


class Embedding(Module):
    """A table of learned vectors: integers of any shape (...) -> (..., embedding_dim).

    It is Linear without bias for one-hot vectors, without making these.

    Args:
        num_embeddings: Number of rows: integers run from 0 to num_embeddings - 1.
        embedding_dim: Length of a row.
        padding_idx: A row that is 0 at first and never trained; below 0 counted from the end.
        rng: Generator of the initial values, instead of the library's.
        dtype: Floating dtype of the table.

    Attributes:
        weight: Tensor of shape (num_embeddings, embedding_dim), at first drawn from N(0, 1).

    Raises:
        TypeError: rng is not a generator, or dtype not a floating one.
        ValueError: A size below 1, or padding_idx outside the table.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_embeddings = n = check_positive_int("Embedding: num_embeddings", num_embeddings)
        self.embedding_dim = check_positive_int("Embedding: embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = check_int("Embedding: padding_idx", padding_idx, -n, n - 1) % n
        self.padding_idx = padding_idx
        shape = (n, self.embedding_dim)
        self.weight = init.normal(
            Tensor(np.zeros(shape, check_dtype("Embedding: dtype", dtype)), name="weight"), rng=rng
        )
        if padding_idx is not None:
            self.weight.assign(np.where(np.arange(n)[:, None] == padding_idx, 0, self.weight.data))

    @classmethod
    @answering_for
    def from_pretrained(cls: type[E], embeddings: Operand, freeze: bool = True, padding_idx: int | None = None) -> E:
        """A layer whose table has these values.

        Args:
            embeddings: Shape (num_embeddings, embedding_dim).
            freeze: Whether they stay as they are, as without a gradient; False lets them be trained.
            padding_idx: As for the class, but its row keeps its values.

        Raises:
            TypeError: freeze is not a bool.
            ValueError: The values are no matrix.
        """
        name = f"{cls.__name__}.from_pretrained"
        values = plain(checked_operand(name, embeddings, "embeddings"))
        if values.ndim != 2:
            raise ValueError(f"{name}: embeddings of shape {values.shape}; they must be (rows, length of a row)")
        n, length = values.shape
        layer = cls(n, length, padding_idx, dtype=values.dtype if values.dtype.kind == "f" else np.float32)
        layer.weight.assign(values)
        layer.weight.requires_grad = not check_bool(f"{name}: freeze", freeze)
        return layer

    def forward(self, input: ArrayLike) -> Tensor:
        """(...) integers -> (..., embedding_dim).

        Raises:
            TypeError: Anything but integers.
            ValueError: An integer without a row.
        """
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class MultiheadAttention(Module):
    """Several attentions side by side, each on its own part of the queries, keys and values: Vaswani et al. 2017.

    Linear functions of query, key and value are cut into `num_heads` parts, `scaled_dot_product_attention` is applied
    to each, and a last linear function mixes the results.

    Args:
        embed_dim: Length of the queries' last axis, and of the results'.
        num_heads: Number of heads, which must divide embed_dim.
        dropout: Probability to drop a weight, in training.
        bias: Whether the linear functions have biases.
        kdim, vdim: Lengths of the keys' and values' last axes; embed_dim if None.
        batch_first: Whether the batch comes before the places.
        rng: Generator of the initial weights and of dropout, instead of the library's.
        dtype: Floating dtype of the parameters.

    Attributes:
        in_proj_weight: Tensor of shape (3 * embed_dim, embed_dim), for query, key and value, initialised by Xavier; or
            None, and q_proj_weight, k_proj_weight and v_proj_weight instead, where the lengths differ.
        in_proj_bias: Tensor of shape (3 * embed_dim,), at first 0, or None.
        out_proj: Linear(embed_dim, embed_dim), its bias at first 0.

    Raises:
        TypeError: A flag is not a bool, rng not a generator, or dtype not a floating one.
        ValueError: A size below 1, heads that do not divide embed_dim, or dropout outside [0, 1].
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name = type(self).__name__
        self.embed_dim = n = check_positive_int(f"{name}: embed_dim", embed_dim)
        self.num_heads = check_positive_int(f"{name}: num_heads", num_heads)
        if n % self.num_heads:
            raise ValueError(
                f"{name}: {num_heads} heads cannot share embed_dim={n} equally; make it a multiple of them"
            )
        self.dropout = check_number(f"{name}: dropout", dropout, at_least=0, at_most=1)
        self.batch_first = check_bool(f"{name}: batch_first", batch_first)
        self.kdim = n if kdim is None else check_positive_int(f"{name}: kdim", kdim)
        self.vdim = n if vdim is None else check_positive_int(f"{name}: vdim", vdim)
        self.rng = None if rng is None else generator_or_default(rng)
        dtype, lengths = check_dtype(f"{name}: dtype", dtype), (n, self.kdim, self.vdim)
        self.in_proj_weight = None
        if lengths == (n, n, n):
            self.in_proj_weight = xavier("in_proj_weight", 3 * n, n, rng, dtype)
        else:
            for weight, length in zip(APART, lengths, strict=True):
                setattr(self, weight, xavier(weight, n, length, rng, dtype))
        self.in_proj_bias = None
        if check_bool(f"{name}: bias", bias):
            self.in_proj_bias = Tensor(np.zeros(3 * n, dtype), name="in_proj_bias")
        self.out_proj = Linear(n, n, bias, rng=rng, dtype=dtype)
        if self.out_proj.bias is not None:
            init.zeros(self.out_proj.bias)

    def forward(
        self,
        query: Operand,
        key: Operand,
        value: Operand,
        key_padding_mask: Operand | None = None,
        need_weights: bool = True,
        attn_mask: Operand | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(places, n, embed_dim) -> the same shape, and the weights.

        Args:
            query: Shape (l, n, embed_dim), or (n, l, embed_dim) with batch_first, or (l, embed_dim) without a batch.
            key: Shape (s, n, kdim), its axes in the same order.
            value: Shape (s, n, vdim).
            key_padding_mask: Shape (n, s), or (s,): True, or -inf, where a key is padding and must not be looked at.
            need_weights: Whether to return the weights.
            attn_mask: Shape (l, s) or (n * num_heads, l, s): True where a query must not look (the opposite of
                `scaled_dot_product_attention`), or numbers that are added to the scores.
            average_attn_weights: Whether the weights are the mean of all heads.
            is_causal: Place i looks at the places up to i only, without a mask to say so.

        Returns:
            The results, and the weights, (n, l, s) or (n, num_heads, l, s), or None. A query that may look nowhere gets
            weights of 0.

        Raises:
            TypeError: A mask that is neither of booleans nor of floats.
            ValueError: Shapes that do not fit.
        """
        every = {"query": query, "key": key, "value": value}
        operands = [checked_operand(self, x, what) for what, x in every.items()]
        single = operands[0].ndim == 2
        self._check(operands)
        if single:
            operands = [ops.expand_dims(x, 0) for x in operands]
        elif not self.batch_first:
            operands = [ops.swapaxes(x, 0, 1) for x in operands]
        shape = (len(operands[0]), self.num_heads, operands[0].shape[1], operands[1].shape[1])
        mask = self._mask(key_padding_mask, attn_mask, shape, is_causal)
        at_once = query is key is value and not need_weights and not drawing.get()
        out = self._at_once(operands[0], mask) if at_once else None
        shown: Tensor | None = None
        if out is None:
            out, weights = self._in_steps(operands, mask)
            if need_weights:
                shown = ops.mean(weights, axis=1) if average_attn_weights else weights
        out = self.out_proj(out)
        if single:
            return out[0], None if shown is None else shown[0]
        return out if self.batch_first else ops.swapaxes(out, 0, 1), shown

    def _at_once(self, x: Tensor, mask: Any) -> Tensor | None:
        """What the heads say of themselves, by one op; None where it takes more."""
        weight = self.in_proj_weight
        if weight is None or (self.training and self.dropout) or weight.dtype == HALF:
            return None
        x = functional.linear(x, weight, self.in_proj_bias)
        return heads_at_once(type(self).__name__, x, mask, self.num_heads)

    def _in_steps(self, operands: list[Tensor], mask: Any) -> tuple[Tensor, Tensor]:
        """What the heads say, and the weights (n, heads, places, keys)."""
        q, k, v = [self._heads(x) for x in self._projected(*operands)]  # (n, heads, places, length)
        weights = attention_weights(type(self).__name__, q, k, mask, False)
        dropped = functional.dropout(weights, self.dropout, self.training, rng=self.rng)
        out = ops.swapaxes(ops.matmul(dropped, wide(v)), 1, 2)  # (n, places, heads, length)
        if v.dtype == HALF and q.dtype == k.dtype == HALF:
            out, dropped = ops.astype(out, HALF), ops.astype(dropped, HALF)
        return ops.reshape(out, (*out.shape[:2], self.embed_dim)), dropped

    def _projected(self, *operands: Any) -> list[Tensor]:
        """Linear functions of query, key and value."""
        bias = self.in_proj_bias
        if self.in_proj_weight is None:
            weights = [getattr(self, name) for name in APART]
        else:
            weights = ops.split(self.in_proj_weight, 3)
        biases = [None] * 3 if bias is None else ops.split(bias, 3)
        return [functional.linear(*parts) for parts in zip(operands, weights, biases, strict=True)]

    def _heads(self, x: Tensor) -> Tensor:
        """(n, places, embed_dim) -> (n, heads, places, embed_dim / heads)."""
        n, places, length = x.shape
        return ops.swapaxes(ops.reshape(x, (n, places, self.num_heads, length // self.num_heads)), 1, 2)

    def _mask(self, padding: Any, mask: Any, shape: tuple[int, ...], is_causal: bool) -> Any:
        """All masks as one, to be added to the scores of a shape (n, heads, l, s); None if there is none."""
        n, heads, places, keys = shape
        parts = []
        if mask is not None:
            mask = forbidden(f"{type(self).__name__}: attn_mask", mask, [(places, keys), (n * heads, places, keys)])
            parts.append(mask if mask.ndim == 2 else ops.reshape(mask, shape))
        if padding is not None:
            padding = forbidden(f"{type(self).__name__}: key_padding_mask", padding, [(n, keys), *[(keys,)] * (n == 1)])
            parts.append(ops.reshape(padding, (n, 1, 1, keys)))
        if check_bool(f"{type(self).__name__}: is_causal", is_causal) and mask is None:
            parts.append(np.triu(beside(next(self.parameters()), np.full, (places, keys), -np.inf), 1))
        return sum(parts[1:], parts[0]) if parts else None

    def _check(self, operands: list[Tensor]) -> None:
        """Raises an error about inputs that do not fit."""
        name = f"{type(self).__name__}({self.embed_dim}, {self.num_heads})"
        shapes = [x.shape for x in operands]
        if {x.ndim for x in operands} not in ({2}, {3}) or shapes[1][:-1] != shapes[2][:-1]:
            axes = "(n, places, length)" if self.batch_first else "(places, n, length)"
            raise ValueError(f"{name} got query, key and value of shapes {shapes}; they must be {axes}, or without n")
        batch = 0 if self.batch_first else 1
        if len(shapes[0]) == 3 and shapes[0][batch] != shapes[1][batch]:
            raise ValueError(
                f"{name} got queries {shapes[0]} and keys {shapes[1]}: axis {batch}, the batch, must agree"
            )
        lengths = (self.embed_dim, self.kdim, self.vdim)
        for what, shape, length in zip(("query", "key", "value"), shapes, lengths, strict=True):
            if shape[-1] != length:
                raise ValueError(f"{name} got a {what} of shape {shape}; its last axis must be {length}")

    def extra_repr(self) -> str:
        settings = f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}"
        return f"{settings}, batch_first={self.batch_first}"


def xavier(name: str, rows: int, columns: int, rng: np.random.Generator | None, dtype: Any) -> Tensor:
    """A weight of shape (rows, columns), a transposed view as Linear's."""
    return init.xavier_uniform(Tensor(np.zeros((columns, rows), dtype).T, name=name), rng=rng)


def forbidden(name: str, mask: Any, shapes: list[tuple[int, ...]]) -> Tensor:
    """A mask as numbers to be added, where True forbids."""
    mask = checked_operand(name, mask, "")
    if mask.shape not in shapes:
        raise ValueError(f"{name} has shape {mask.shape}; it must be {' or '.join(map(str, shapes))}")
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{name} is of dtype {mask.dtype}; it must be of booleans, True where not to look, or floats")
    return as_operand(np.where(mask, -np.inf, 0.0)) if mask.dtype.kind == "b" else mask
