"""Linear algebra: what np.linalg has, batched over leading axes. Decompositions stand in their own chapter."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.linalg import LinAlgError

from tinygrad_edu.arrays import beside
from tinygrad_edu.engine import Array, is_tensor, op, plain
from tinygrad_edu.ops import indexing, products, reductions
from tinygrad_edu.ops.axes import restore
from tinygrad_edu.ops.decompositions import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    inv,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
)
from tinygrad_edu.ops.elementwise import Operand, abs, as_float, as_operand, astype, power, square, where
from tinygrad_edu.ops.products import dot, matmul, tensordot
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import Axis, expand_dims, matrix_transpose, moveaxis, reshape
from tinygrad_edu.sums import accumulator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm",
    "matrix_power", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "svd",
    "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def diagonal(x: Operand, *, offset: int = 0) -> Tensor:
    """The diagonals of the matrices in the last two axes."""
    return indexing.diagonal(x, offset, -2, -1)


def trace(x: Operand, *, offset: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The sums of the diagonals; `dtype` is that of the sum and of the result."""
    values = diagonal(x, offset=offset)
    if not is_tensor(values):
        return np.sum(values, axis=-1, dtype=dtype)  # type: ignore[return-value]
    return sum(values if dtype is None else astype(values, dtype), axis=-1)


def outer(x: Operand, y: Operand) -> Tensor:
    """All products of an element of the vector x and one of the vector y: (n,), (m,) -> (n, m)."""
    x, y = as_operand(x), as_operand(y)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"outer: both must be one-dimensional, not {x.ndim} and {y.ndim}; np.outer flattens")
    return products.outer(x, y)


def cross(x: Operand, y: Operand, *, axis: int = -1) -> Tensor:
    """The vector product of 3-vectors along an axis."""
    x, y = as_operand(x), as_operand(y)
    if x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ValueError(f"cross: both must have vectors of length 3, not {x.shape[axis]} and {y.shape[axis]}")
    return products.cross(x, y, axis=axis)


def vecdot(x: Operand, y: Operand, *, axis: int = -1) -> Tensor:
    """The dot products of the vectors along an axis."""
    return products.vecdot(x, y, axis=axis)


def constant(x: Tensor, values: Array) -> Tensor:
    """Values of x's shape, as a Tensor if x is one; no gradient flows to x."""
    return where(np.ones_like(plain(x), bool), values.astype(x.dtype), x)


def matrix_power(x: Operand, n: int) -> Tensor:
    """x @ x @ ... @ x, n times: (..., k, k); 0 times is the identity, and n < 0 takes the inverse."""
    x, n = as_operand(x), operator.index(n)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise LinAlgError(f"matrix_power: matrices must be square, not {x.shape}")
    if n < 0:
        return matrix_power(inv(x), -n)
    if n == 0:
        return constant(x, np.broadcast_to(beside(x, np.eye, x.shape[-1]), x.shape))
    if n == 1:
        return x
    half = matrix_power(x, n // 2)
    return half @ half @ x if n % 2 else half @ half


def multi_dot(arrays: Sequence[Operand]) -> Tensor:
    """The product of two or more matrices, in the order that costs least; the first and last may be vectors."""
    factors = [as_operand(x) for x in arrays]
    if len(factors) < 2:
        raise ValueError("multi_dot: takes at least two arrays")
    if len(factors) == 2:
        return dot(*factors)
    row, column = factors[0].ndim == 1, factors[-1].ndim == 1
    factors[0] = expand_dims(factors[0], 0) if row else factors[0]
    factors[-1] = expand_dims(factors[-1], 1) if column else factors[-1]
    if any(x.ndim != 2 for x in factors):
        raise LinAlgError(f"multi_dot: takes matrices, not {', '.join([str(x.shape) for x in factors])}")
    out = cheapest_product(factors)
    out = out[0] if row else out
    return out[..., 0] if column else out


def cheapest_product(factors: list[Tensor]) -> Tensor:
    """Cormen et al., "Introduction to Algorithms", 15.2: of the products i to j the cheapest, and where it is split."""
    n, sizes = len(factors), [factors[0].shape[0], *[x.shape[1] for x in factors]]
    best = {(i, i): (0, i) for i in range(n)}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            places = [
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            ]
            best[i, j] = min(places)

    def product(i: int, j: int) -> Tensor:
        k = best[i, j][1]
        return factors[i] if i == j else matmul(product(i, k), product(k + 1, j))

    return product(0, n - 1)


def tensorsolve(x: Operand, y: Operand, axes: Sequence[int] | None = None) -> Tensor:
    """The solution of tensordot(x, solution, solution.ndim) = y, where x has as many elements as a square matrix.

    Args:
        x: y's axes, then those of the solution.
        y: Any shape.
        axes: Axes of x that are moved to the end first.
    """
    x, y = as_operand(x), as_operand(y)
    if axes is not None:
        x = moveaxis(x, axes, range(x.ndim - len(axes), x.ndim))
    shape = x.shape[y.ndim - x.ndim :]
    n = math.prod(shape)
    if x.size != n * n:
        raise LinAlgError(f"tensorsolve: {x.shape} is not a square matrix for y of shape {y.shape}")
    return reshape(solve(reshape(x, (n, n)), reshape(y, -1)), shape)


def tensorinv(x: Operand, ind: int = 2) -> Tensor:
    """The inverse for tensordot over `ind` axes: the first `ind` axes of x as rows, the others as columns."""
    x = as_operand(x)
    if ind <= 0:
        raise ValueError("tensorinv: ind must be positive")
    rows, columns = x.shape[:ind], x.shape[ind:]
    return reshape(inv(reshape(x, (math.prod(rows), math.prod(columns)))), columns + rows)


def order_of(ord: Any) -> Any:
    """The order of a norm, which is a plain number."""
    if is_tensor(ord):
        raise TypeError("norm: no gradient flows to ord; pass its value: ord=tensor.item()")
    return ord


@op(lambda g, out, x, axis, keepdims: restore(g / where(out == 0, 1.0, out), axis, keepdims) * x)
def _norm(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """The root of the sum of squares; its gradient at 0 is taken as 0."""
    return np.sqrt(np.sum(x * x, axis, accumulator(x, axis), keepdims=keepdims)).astype(x.dtype, copy=False)[()]


def powered(x: Tensor, p: float) -> Tensor:
    """x**p for x >= 0; its slope at 0 is taken as 0."""
    zero = plain(x) == 0
    if not zero.any():
        return power(x, p)
    return where(zero, 0.0 if p > 0 else math.inf, power(where(zero, 1.0, x), p))


def largest(x: Tensor, axis: Axis, keepdims: bool = False) -> Tensor:
    """The largest of numbers >= 0: 0 if there are none."""
    reduced = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    reduction = sum if 0 in [x.shape[i] for i in reduced] else reductions.max
    return reduction(x, axis=axis, keepdims=keepdims)


def vector_norm(x: Operand, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """The norm of vectors: sum(|x|**ord)**(1/ord) over the axes. Where it has a kink, as at 0, its slope there is 0.

    Args:
        x: Any shape.
        axis: One axis, several whose elements are one vector, or None for all.
        keepdims: Keep the axes, with length 1.
        ord: inf for the largest |x|, -inf for the smallest, 0 for the number of elements that are not 0, else a number.
    """
    x, ord = as_float(x), order_of(ord)
    if isinstance(ord, str):
        raise ValueError(f"norm: invalid norm order {ord!r} for vectors")
    if ord is None or ord == 2:
        return _norm(x, axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(constant(x, plain(x) != 0), axis=axis, keepdims=keepdims)
    size = abs(x)
    if np.isinf(ord):
        return (largest if ord > 0 else reductions.min)(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(size, axis=axis, keepdims=keepdims)
    return powered(sum(powered(size, float(ord)), axis=axis, keepdims=keepdims), 1 / float(ord))


def matrix_norm(x: Operand, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The norm of the matrices in the last two axes.

    Args:
        x: (..., m, n).
        keepdims: Keep the two axes, with length 1.
        ord: None or "fro" for the Euclidean norm of all elements, "nuc" for the sum of the singular values, 2 for the
            largest and -2 for the smallest of them, 1 and -1 for the largest and smallest column sum of |x|, inf and
            -inf for row sums.
    """
    x, ord = as_float(x), order_of(ord)
    if ord in (None, "fro", "f"):
        return _norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in (2, -2, "nuc"):
        values = svdvals(x)
    elif ord in (1, -1, math.inf, -math.inf):
        values = sum(abs(x), axis=-2 if ord in (1, -1) else -1)
    else:
        raise ValueError(f"norm: invalid norm order {ord!r} for matrices")
    out = (sum if ord == "nuc" else largest if ord > 0 else reductions.min)(values, axis=-1)
    return expand_dims(out, (-2, -1)) if keepdims else out


def norm(x: Operand, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors along an axis, or of matrices in two axes; all elements as one vector if nothing is given.

    Args:
        x: Any shape.
        ord: See vector_norm and matrix_norm; None is the Euclidean norm.
        axis: An axis for vectors, two for matrices; None for the only one or two that x has.
        keepdims: Keep the axes, with length 1.
    """
    x = as_float(x)
    if axis is None and order_of(ord) is None:
        return _norm(x, axis=None, keepdims=keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=ord)
    if len(axes) != 2:
        raise ValueError(f"norm: takes vectors or matrices, one axis or two, not {len(axes)}; name them by axis=")
    out = matrix_norm(moveaxis(x, axes, (-2, -1)), ord=ord)
    return expand_dims(out, axes) if keepdims else out


def cond(x: Operand, p: Any = None) -> Tensor:
    """The condition number, by the norm of order p: |x| |x^-1|. A singular matrix has inf, with a gradient of 0.

    Args:
        x: (..., n, n); (..., m, n) for the orders None, 2 and -2, the ratio of the extreme singular values.
        p: As ord of matrix_norm; None is 2.
    """
    x = as_float(x)
    if 0 in x.shape[-2:]:
        raise LinAlgError("cond: an empty matrix has no condition number")
    if order_of(p) in (None, 2, -2):
        s = svdvals(x)
        top, bottom = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        zero = plain(bottom) == 0
        return where(zero, math.inf, top / where(zero, 1.0, bottom))
    zero = np.linalg.slogdet(plain(x))[0] == 0
    x = where(zero[..., None, None], beside(x, np.eye, x.shape[-1], dtype=x.dtype), x)
    return where(zero, math.inf, matrix_norm(x, ord=p) * matrix_norm(inv(x), ord=p))


def lstsq(x: Operand, y: Operand, rcond: float | None = None) -> tuple[Tensor, Tensor, int, Tensor]:
    """The shortest of the vectors (or columns) that minimize |x @ solution - y|: (m, n), (m,) or (m, k).

    Args:
        x: (m, n). The solution is differentiable where its rank stays as it is.
        y: (m,) or (m, k).
        rcond: Singular values up to this part of the largest count as 0; max(m, n) roundings if None.

    Returns:
        The solution (n,) or (n, k); the sums of squared residuals, empty unless m > n = rank; the rank, a plain int;
        the singular values of x.
    """
    x, y = as_float(x), as_float(y)
    if x.ndim != 2 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise LinAlgError(f"lstsq: takes (m, n) and (m,) or (m, k), not {x.shape} and {y.shape}")
    dtype = np.result_type(x.dtype, y.dtype)
    x, y = [z if z.dtype == dtype else astype(z, dtype) for z in (x, y)]
    m, n = x.shape
    rcond = max(m, n) * float(np.finfo(dtype).eps) if rcond is None else rcond
    s = svdvals(x)
    rank = int((plain(s) > rcond * plain(s)[:1]).sum())
    solution = pinv(x, rcond=rcond) @ y
    residuals = reshape(sum(square(y - x @ solution), axis=0), -1)
    return solution, residuals if rank == n < m else residuals[:0], rank, s
