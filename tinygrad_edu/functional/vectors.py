"""Vectors: labels as unit vectors, vectors made as long as one, and the angle between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu import ops
from tinygrad_edu.checks import check_axis, check_int, check_number
from tinygrad_edu.functional.losses import HALF, as_floating, check_integers, check_range
from tinygrad_edu.ops import Operand, checked_operand, linalg
from tinygrad_edu.scopes import library_function

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "one_hot"]


@library_function
def one_hot(labels: ArrayLike, num_classes: int = -1) -> NDArray[np.int64]:
    """A 1 at the place of each label and zeros beside it: (...) -> (..., num_classes), of integers.

    Args:
        labels: Integers of any shape, each in [0, num_classes).
        num_classes: -1 for one more than the largest label.

    Raises:
        TypeError: Labels or num_classes that are not integers.
        ValueError: A label out of range, or no labels of which to take the largest.
    """
    values: Any = checked_operand("one_hot", labels, "labels")
    check_integers("one_hot", values)
    classes = check_int("one_hot: num_classes", num_classes, -1, wrong_type=TypeError)
    if classes == -1:
        if not values.size:
            raise ValueError(f"one_hot: of labels of shape {values.shape} there is no largest; give num_classes")
        classes = int(values.max()) + 1
    check_range("one_hot", values, classes)
    onehot: NDArray[np.int64] = (values[..., None] == np.arange(classes)).astype(np.int64)
    return onehot


def in_float32(x: Tensor) -> Tensor:
    """float16 as float32, where squares neither overflow nor vanish; others as they are."""
    return ops.astype(x, np.float32) if x.dtype == HALF else x


@library_function
def normalize(x: Operand, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(norm, eps): vectors along an axis with the norm 1, or, if shorter than eps, as long as they are / eps.

    Args:
        x: Any shape with that axis.
        p: Which norm: sum(|x|**p)**(1 / p), 2 for the Euclidean one, inf for the largest |x|.
        dim: The axis.
        eps: Above 0.

    Raises:
        TypeError: dim is not an integer.
        ValueError: p is not a number, or eps not one above 0.
    """
    x = as_floating("normalize: x", x)
    p, eps = check_number("normalize: p", p, finite=False), check_number("normalize: eps", eps, above=0)
    wide = in_float32(x)
    norm: Any = linalg.vector_norm(wide, axis=check_axis("normalize: dim", dim, x.shape), keepdims=True, ord=p)
    out = ops.divide(wide, ops.clip(norm, eps, None))
    return ops.astype(out, x.dtype) if out.dtype != x.dtype else out


@library_function
def cosine_similarity(x1: Operand, x2: Operand, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along an axis: sum(x1 * x2) / (max(|x1|, eps) * max(|x2|, eps)).

    Args:
        x1, x2: Shapes that broadcast, with that axis, which the result lacks.
        dim: The axis.
        eps: Above 0.

    Raises:
        TypeError: dim is not an integer.
        ValueError: Shapes that do not broadcast, or eps is not above 0.
    """
    eps = check_number("cosine_similarity: eps", eps, above=0)
    x1, x2 = [as_floating(f"cosine_similarity: {name}", x) for name, x in (("x1", x1), ("x2", x2))]
    half = x1.dtype == x2.dtype == HALF
    try:
        x1, x2 = ops.broadcast_arrays(in_float32(x1), in_float32(x2))
    except ValueError:
        have = f"x1 of shape {x1.shape} and x2 of shape {x2.shape}"
        raise ValueError(f"cosine_similarity: {have} do not broadcast; give each x1 its x2, or one for all") from None
    dim = check_axis("cosine_similarity: dim", dim, x1.shape)
    out = ops.sum(normalize(x1, dim=dim, eps=eps) * normalize(x2, dim=dim, eps=eps), axis=dim)
    return ops.astype(out, HALF) if half else out
