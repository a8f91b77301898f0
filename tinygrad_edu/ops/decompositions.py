"""Inverses, determinants and decompositions of matrices, batched over leading axes: (..., m, n) is a stack of matrices.

Rules of derivatives are those of Giles 2008 ("Collected matrix derivative results") where no other source stands.
An op returns one array, so a decomposition packs its parts into one, and the public function takes them apart.

A symmetric matrix has half as many free elements: cholesky, eigh and eigvalsh read one triangle, as NumPy's do, and
their gradient is that of a symmetric matrix: symmetric too, each pair of elements sharing what the pair has.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
from numpy.linalg import LinAlgError

from tinygrad_edu.arrays import KINDS, beside, brought
from tinygrad_edu.engine import Array, is_tensor, op, plain
from tinygrad_edu.ops.elementwise import Operand, abs, as_float, as_operand, where
from tinygrad_edu.ops.indexing import getitem, tril
from tinygrad_edu.ops.joining import concatenate
from tinygrad_edu.ops.products import matmul
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import expand_dims

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["cholesky", "det", "eigh", "eigvalsh", "inv", "pinv", "qr", "slogdet", "solve", "svd", "svdvals"]


class SlogdetResult(NamedTuple):
    """What slogdet returns."""

    sign: Tensor
    logabsdet: Tensor


class EighResult(NamedTuple):
    """What eigh returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What qr returns."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """What svd returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def packed(x: Array, *parts: Array) -> Array:
    """The parts of each matrix of x one after another: (..., total)."""
    lead = x.shape[:-2]
    return np.concatenate([p.reshape(*lead, math.prod(p.shape[len(lead) :])) for p in parts], axis=-1)


def unpacked(x: Array, *shapes: tuple[int, ...]) -> list[Any]:
    """The parts of these shapes that lie in x one after another."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(x[..., start:stop].reshape(x.shape[:-1] + shape))
        start = stop
    return parts


@op(lambda g, out, x: -out.mT @ g @ out.mT)
def inv(x: Array) -> Array:
    """The inverse: (..., n, n)."""
    return np.linalg.inv(x)


def solve_to_y(g: Array, x: Array, y: Array) -> Array:
    """x^-T @ g; a vector is a column."""
    return solve(x.mT, g) if y.ndim > 1 else solve(x.mT, expand_dims(g, -1))[..., 0]


def solve_to_x(g: Array, out: Array, x: Array, y: Array) -> Array:
    """-(x^-T @ g) @ out^T."""
    to_y = solve_to_y(g, x, y)
    return -to_y @ out.mT if y.ndim > 1 else -expand_dims(to_y, -1) * expand_dims(out, -2)


@op(solve_to_x, lambda g, out, x, y: solve_to_y(g, x, y))
def solve(x: Array, y: Array) -> Array:
    """x^-1 @ y: (..., n, n), (..., n, k) -> (..., n, k). A y of one dimension is a vector."""
    if type(x) in KINDS and y.ndim > 1 and x.shape[:-2] != y.shape[:-2]:  # CuPy does not broadcast them
        stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        x, y = [np.broadcast_to(each, stack + each.shape[-2:]) for each in (x, y)]
    return np.linalg.solve(x, y)


def cofactors(x: Array, out: Array) -> Array:
    """det(x) * x^-T, the transposed adjugate, which singular matrices have too.

    Where a determinant `out` is 0 the numbers come from the SVD, from det(u) det(v) and for each singular value the
    product of the others. On Tensors, for further derivatives, that formula fails where singular values are equal:
    there they are n**2 determinants of n - 1 rows, which are differentiable to any order.
    """
    if (plain(out) != 0).all():
        return expand_dims(out, (-2, -1)) * inv(x).mT
    n = x.shape[-1]
    if not is_tensor(x):
        u, s, vh = np.linalg.svd(x)
        others = np.where(beside(x, np.eye, n, dtype=bool), 1.0, s[..., None, :]).prod(axis=-1)
        sign = np.linalg.det(u) * np.linalg.det(vh)
        return sign[..., None, None] * (u * others[..., None, :]) @ vh
    i = np.arange(n)
    rest = np.array([i[i != k] for k in i], int)  # (n, n - 1)
    minors = x[..., rest[:, None, :, None], rest[None, :, None, :]]  # (..., n, n, n - 1, n - 1)
    return det(minors) * brought(np.where((i[:, None] + i) % 2, -1, 1).astype(x.dtype), x)


@op(lambda g, out, x: expand_dims(g, (-2, -1)) * cofactors(x, out))
def det(x: Array) -> Array:
    """The determinant: (..., n, n) -> (...). Its gradient is det(x) * x^-T; singular matrices have one too."""
    return np.linalg.det(x)


def slogdet_rule(g: Array, out: Array, x: Array) -> Array:
    """Nothing from the sign, and x^-T from the logarithm."""
    if (plain(out)[0] == 0).any():
        raise LinAlgError("slogdet: a singular matrix has log|det| = -inf, which has no derivative; use det")
    return expand_dims(g[1], (-2, -1)) * inv(x).mT


@op(slogdet_rule)
def _slogdet(x: Array) -> Array:
    """The sign and the logarithm of |det|, one after the other: (2, ...)."""
    return np.stack(np.linalg.slogdet(x))


def slogdet(x: Operand) -> SlogdetResult:
    """The sign of the determinant and the logarithm of its absolute value, which does not overflow.

    Raises:
        LinAlgError: In backward, where a matrix is singular: there the logarithm is -inf.
    """
    both = _slogdet(x)
    return SlogdetResult(both[0], both[1])


def cholesky_rule(g: Array, out: Array, x: Array, upper: bool) -> Array:
    """Murray 2016: the lower triangle of L^T g with half of its diagonal, between L^-T and L^-1, made symmetric."""
    factor, g = (out.mT, g.mT) if upper else (out, g)
    inner = factor.mT @ g
    inner = 0.5 * (tril(inner) + tril(inner, -1))
    part = solve(factor.mT, solve(factor.mT, inner).mT)
    return 0.5 * (part + part.mT)


@op(cholesky_rule)
def cholesky(x: Array, upper: bool = False) -> Array:
    """The lower triangular L of x = L @ L^T, or L^T; of x one triangle is read, and the gradient is symmetric."""
    if type(x) not in KINDS:
        return np.linalg.cholesky(x, upper=upper)
    return np.linalg.cholesky(x.swapaxes(-1, -2)).swapaxes(-1, -2) if upper else np.linalg.cholesky(x)


def eigvalsh_rule(g: Array, out: Array, x: Array, UPLO: Any) -> Array:
    """v @ diag(g) @ v^T."""
    v = eigh(x, UPLO).eigenvectors
    return (v * expand_dims(g, -2)) @ v.mT


@op(eigvalsh_rule)
def eigvalsh(x: Array, UPLO: Any = "L") -> Array:
    """Ascending eigenvalues of symmetric matrices: (..., n, n) -> (..., n); right also where they are equal."""
    return np.linalg.eigvalsh(x, UPLO)


def rounding(values: Array) -> Array:
    """What is 0 up to rounding beside a matrix's eigenvalues or the like: (..., n) -> (..., 1)."""
    largest = np.abs(values).max(axis=-1, keepdims=True) if values.size else np.zeros_like(values[..., :1])
    return values.shape[-1] * np.finfo(values.dtype).eps * largest


@op(lambda g, out, x: g * where(g == 0, 0.0, math.nan))
def _no_derivative(x: Array) -> Array:
    """NaN, or 0 where x, a gradient, is 0: what then flows on does so by chance, and its own derivative is NaN."""
    return np.where(x == 0, 0.0, math.nan).astype(x.dtype)


def over(x: Array, divisor: Array, vanishes: Array, came: Array) -> Array:
    """x / divisor; where that vanishes NaN, or 0 if no gradient came."""
    return where(vanishes, _no_derivative(came), x / where(vanishes, 1.0, divisor))


def used(g: Array) -> Array:
    """How much of a gradient came to each column: (..., m, n) -> (..., n)."""
    return sum(abs(g), axis=-2)


def skew_over(x: Array, divisor: Array, values: Array, columns: Array) -> Array:
    """(x - x^T) / divisor for each pair of vectors; NaN where their values are equal and one of them is used."""
    pairs = expand_dims(columns, -2) + expand_dims(columns, -1)
    pairs = where(beside(x, np.eye, x.shape[-1], dtype=bool), 0.0, pairs)
    values = plain(values)
    equal = np.abs(values[..., None, :] - values[..., :, None]) <= rounding(values)[..., None]
    return over(x - x.mT, divisor, equal, pairs)


def on_diagonal(x: Array) -> Array:
    """The vectors as diagonal matrices: (..., n) -> (..., n, n)."""
    return expand_dims(x, -2) * beside(x, np.eye, x.shape[-1], dtype=x.dtype)


def eigh_rule(g: Array, out: Array, x: Array, UPLO: Any) -> Array:
    """v @ (diag(gw) + (v^T gv - gv^T v) / 2 (w_j - w_i)) @ v^T."""
    n = x.shape[-1]
    (gw, gv), (w, v) = unpacked(g, (n,), (n, n)), unpacked(out, (n,), (n, n))
    turn = skew_over(v.mT @ gv, expand_dims(w, -2) - expand_dims(w, -1), w, used(gv))
    return v @ (on_diagonal(gw) + 0.5 * turn) @ v.mT


@op(eigh_rule)
def _eigh(x: Array, UPLO: Any = "L") -> Array:
    """Eigenvalues and eigenvectors, packed."""
    return packed(x, *np.linalg.eigh(x, UPLO))


def eigh(x: Operand, UPLO: Any = "L") -> EighResult:
    """Ascending eigenvalues (..., n) and, as columns, eigenvectors (..., n, n) of symmetric matrices.

    The gradient is symmetric. Of equal eigenvalues the gradient is right, but their vectors have no derivative: a
    gradient that comes through them is NaN.

    Args:
        x: (..., n, n), of which one triangle is read.
        UPLO: "L" for the lower triangle, "U" for the upper.
    """
    x = as_operand(x)
    n = x.shape[-1] if x.ndim else 0
    return EighResult(*unpacked(_eigh(x, UPLO=UPLO), (n,), (n, n)))


def refuse(g: Array, what: str) -> Array:
    """0; an error if a gradient came to columns that complete an orthogonal basis, as any others would."""
    if (plain(g) != 0).any():
        raise LinAlgError(f"{what} that only complete the basis are arbitrary and have no derivative; leave them out")
    return sum(_no_derivative(g))


def qr_rule(g: Array, out: Array, x: Array, mode: str) -> Array:
    """Walter & Lehmann 2010; of wide matrices the columns beyond the square follow from x = q @ r."""
    m, n = x.shape[-2:]
    k = min(m, n)
    rows = m if mode == "complete" else k
    (gq, gr), (q, r) = unpacked(g, (m, rows), (rows, n)), unpacked(out, (m, rows), (rows, n))
    none = refuse(gq[..., k:], "qr: columns of Q")
    gq, gr, q, r = gq[..., :k], gr[..., :k, :], q[..., :k], r[..., :k, :]
    square, gq = r[..., :k], gq + x[..., k:] @ gr[..., k:].mT
    pivots = np.abs(np.diagonal(plain(square), axis1=-2, axis2=-1))
    if (pivots <= rounding(pivots)).any():
        raise LinAlgError("qr: a matrix whose first columns are linearly dependent has no derivative")
    inner = square @ gr[..., :k].mT - gq.mT @ q
    inner = tril(inner) + tril(inner, -1).mT
    part = solve(square, (gq + q @ inner).mT).mT + none
    return part if m >= n else concatenate([part, q @ gr[..., k:]], axis=-1)


@op(qr_rule)
def _qr(x: Array, mode: Any = "reduced") -> Array:
    """Q and R, packed."""
    return packed(x, *np.linalg.qr(x, mode))


@overload
def qr(x: Operand, mode: Literal["reduced", "complete"] = ...) -> QRResult: ...
@overload
def qr(x: Operand, mode: Literal["r"]) -> Tensor: ...
def qr(x: Operand, mode: str = "reduced") -> QRResult | Tensor:
    """x = Q @ R with orthonormal columns Q and an upper triangular R: (..., m, n), k = min(m, n).

    Args:
        x: (..., m, n). Its first k columns must be linearly independent to have a derivative.
        mode: "reduced" for (..., m, k) and (..., k, n); "complete" for (..., m, m) and (..., m, n), where columns of Q
            beyond n have no derivative; "r" for R alone.

    Raises:
        ValueError: Another mode.
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode {mode!r} is not differentiable here; use 'reduced', 'complete' or 'r'")
    x = as_operand(x)
    both = _qr(x, mode="reduced" if mode == "r" else mode)
    m, n = x.shape[-2:]
    rows = m if mode == "complete" else min(m, n)
    result = QRResult(*unpacked(both, (m, rows), (rows, n)))
    return result.R if mode == "r" else result


def svdvals_rule(g: Array, out: Array, x: Array) -> Array:
    """u @ diag(g) @ v^T; 0 for singular values of 0."""
    u, _, vh = svd(x, full_matrices=False)
    return (u * expand_dims(g * (out > 0), -2)) @ vh


@op(svdvals_rule)
def svdvals(x: Array) -> Array:
    """Descending singular values: (..., m, n) -> (..., k); right also where they are equal, and 0 at the kink 0."""
    return np.linalg.svd(x, compute_uv=False)


def svd_rule(g: Array, out: Array, x: Array, full_matrices: bool) -> Array:
    """Townsend 2016 ("Differentiating the singular value decomposition"), with the gaps s_j**2 - s_i**2 as divisors."""
    m, n = x.shape[-2:]
    k = min(m, n)
    shapes = [(m, m if full_matrices else k), (k,), (n if full_matrices else k, n)]
    (gu, gs, gvh), (u, s, vh) = unpacked(g, *shapes), unpacked(out, *shapes)
    none = refuse(gu[..., k:], "svd: columns of U") + refuse(gvh[..., k:, :], "svd: rows of Vh")
    u, gu, v, gv = u[..., :k], gu[..., :k], vh[..., :k, :].mT, gvh[..., :k, :].mT
    row, column, columns = expand_dims(s, -2), expand_dims(s, -1), used(gu) + used(gv)
    gaps = (row - column) * (row + column)
    inner = skew_over(u.mT @ gu, gaps, s, columns) * row + column * skew_over(v.mT @ gv, gaps, s, columns)
    inner = inner + on_diagonal(gs * (s > 0))
    zero, columns = (plain(s) <= rounding(plain(s)))[..., None, :], expand_dims(columns, -2)
    total = u @ inner + none
    if m > k:
        total = total + over(gu - u @ (u.mT @ gu), row, zero, columns)
    total = total @ v.mT
    if n > k:
        total = total + u @ over(gv - v @ (v.mT @ gv), row, zero, columns).mT
    return total


@op(svd_rule)
def _svd(x: Array, full_matrices: bool = True) -> Array:
    """U, S and Vh, packed."""
    return packed(x, *np.linalg.svd(x, full_matrices))


def svd(x: Operand, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> SVDResult | Tensor:
    """x = U @ diag(S) @ Vh with descending singular values S: (..., m, n), k = min(m, n).

    Of equal singular values the gradient is right, but their vectors have no derivative, nor those of several that are
    0: a gradient that comes through them is NaN. A singular value has a kink at 0, where its derivative is taken as 0.

    Args:
        x: (..., m, n).
        full_matrices: U (..., m, m) and Vh (..., n, n), whose vectors beyond k have no derivative; else (..., m, k) and
            (..., k, n).
        compute_uv: False for S alone.
        hermitian: x is symmetric; by eigh, whose lower triangle it reads.

    Raises:
        LinAlgError: In backward, where a gradient comes to vectors beyond k.
    """
    x = as_operand(x)
    if hermitian:
        return symmetric_svd(x, compute_uv)
    if not compute_uv:
        return svdvals(x)
    packed_parts = _svd(x, full_matrices=full_matrices)
    m, n = x.shape[-2:]
    rows, columns = (m, n) if full_matrices else (min(m, n),) * 2
    return SVDResult(*unpacked(packed_parts, (m, rows), (min(m, n),), (columns, n)))


def symmetric_svd(x: Tensor, compute_uv: bool) -> SVDResult | Tensor:
    """The SVD from eigenvalues and eigenvectors, in the order of the absolute values."""
    w, v = eigh(x) if compute_uv else (eigvalsh(x), None)
    order = np.argsort(np.abs(plain(w)))[..., ::-1]
    places = np.indices(order.shape, sparse=True)[:-1]
    w = getitem(w, (*places, order))
    if v is None:
        return abs(w)
    u = getitem(v.mT, (*places, order)).mT  # whole rows of v^T
    return SVDResult(u, abs(w), (u * np.sign(plain(w))[..., None, :]).mT)


def pinv_rule(g: Array, out: Array, x: Array, rcond: Any, hermitian: bool) -> Array:
    """Golub & Pereyra 1973. In it no singular vector occurs: equal singular values do no harm.

    The products are in such an order that none is square in the longer side of x.
    """
    p, pT, gT = out, out.mT, g.mT
    if x.shape[-2] >= x.shape[-1]:
        part = (gT - x @ (p @ gT)) @ (p @ pT) + pT @ (p @ (gT - gT @ (p @ x)) - g @ pT)
    else:
        part = ((gT - (x @ p) @ gT) @ p - pT @ g) @ pT + (pT @ p) @ (gT - (gT @ p) @ x)
    return 0.5 * (part + part.mT) if hermitian else part


@op(pinv_rule)
def _pinv(x: Array, rcond: Any = 1e-15, hermitian: bool = False) -> Array:
    """np.linalg.pinv."""
    if type(x) not in KINDS:
        return np.linalg.pinv(x, rcond, hermitian)
    return np.linalg.pinv(np.tril(x) + np.tril(x, -1).swapaxes(-1, -2) if hermitian else x, brought(rcond, x))


def pinv(x: Operand, rcond: Any = None, hermitian: bool = False, *, rtol: Any = ...) -> Tensor:
    """The pseudo-inverse: (..., m, n) -> (..., n, m). Differentiable where the rank stays as it is.

    Args:
        x: (..., m, n).
        rcond: Singular values up to this part of the largest count as 0; 1e-15 if None. One number or one a matrix.
            Where it cuts off more than rounding errors, the rule is that of svd: NaN for equal singular values.
        hermitian: x is symmetric; its lower triangle is read.
        rtol: Another name of rcond; None means max(m, n) times the dtype's rounding error.
    """
    x = as_float(x)
    if rcond is not None and rtol is not ...:
        raise ValueError("pinv: rcond and rtol are two names of one number; give one")
    if is_tensor(rcond) or is_tensor(rtol):
        raise TypeError("pinv: no gradient flows to rcond; pass its values: rcond=tensor.data")
    if rcond is None:
        rcond = 1e-15 if rtol is ... else rtol
    noise = max(1, *x.shape[-2:]) * np.finfo(x.dtype).eps
    rcond = noise if rcond is None else rcond
    if np.max(rcond) <= 10 * noise or 0 in x.shape:
        return _pinv(x, rcond=rcond, hermitian=hermitian)
    u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)  # what is cut off need not be 0, as the rule assumes
    kept = plain(s) > beside(s, np.asarray, rcond)[..., None] * plain(s)[..., :1]
    if (kept | (plain(s) <= 10 * noise * plain(s)[..., :1])).all():
        return _pinv(x, rcond=rcond, hermitian=hermitian)
    return matmul(vh.mT * expand_dims(where(kept, 1 / where(kept, s, 1.0), 0.0), -2), u.mT)
