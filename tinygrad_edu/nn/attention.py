"""Embedding and attention: the two layers that a transformer adds to Linear and LayerNorm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tinygrad_edu import functional, ops
from tinygrad_edu.checks import check_bool, check_dtype, check_number, check_positive_int
from tinygrad_edu.functional.attention import attention_weights
from tinygrad_edu.nn import init
from tinygrad_edu.nn.layers import Linear, zero_bias
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops import Operand, as_operand
from tinygrad_edu.random import generator_or_default
from tinygrad_edu.tensor import Tensor

__all__ = ["Embedding", "MultiheadAttention"]


class Embedding(Module):
    """A table of learned vectors: an integer array of any shape (...) -> (..., embedding_dim).

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
        n = check_positive_int("Embedding: num_embeddings", num_embeddings)
        self.num_embeddings = n
        self.embedding_dim = check_positive_int("Embedding: embedding_dim", embedding_dim)
        self.padding_idx = (
            None if padding_idx is None else check_int("Embedding: padding_idx", padding_idx, -n, n - 1) % n
        )
        values = generator_or_default(rng).normal(size=(n, self.embedding_dim))
        if self.padding_idx is not None:
            values[self.padding_idx] = 0
        self.weight = Tensor(values, dtype=check_dtype("Embedding: dtype", dtype), name="weight")

    def forward(self, input: ArrayLike) -> Tensor:
        """(...) integers -> (..., embedding_dim)."""
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
