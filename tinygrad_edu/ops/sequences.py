"""Functions of neighbours along an axis: differences, slopes, areas, interpolation, convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.arrays import KINDS, array_of, beside, brought
from tinygrad_edu.engine import Array, is_tensor, op, plain
from tinygrad_edu.ops.axes import at
from tinygrad_edu.ops.choices import remainder
from tinygrad_edu.ops.elementwise import Operand, as_float, as_operand, where
from tinygrad_edu.ops.indexing import flip, getitem
from tinygrad_edu.ops.joining import concatenate, stack
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import atleast_1d, broadcast_to, expand_dims, moveaxis, ravel, reshape

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "apply_along_axis", "apply_over_axes", "bincount", "convolve", "correlate", "diff", "ediff1d", "gradient", "interp",
    "trapezoid", "unwrap",
]  # fmt: skip


def along(x: Tensor, axis: int, start: int | None, stop: int | None = None) -> Tensor:
    """x[start:stop] along an axis."""
    return getitem(x, at(axis, x, slice(start, stop)))


def like(x: Tensor, y: Operand) -> Tensor:
    """y as an operand; numbers and lists take the dtype of a floating x."""
    return as_operand(y if hasattr(y, "dtype") or x.dtype.kind != "f" else beside(x, np.asarray, y, x.dtype))


def laid(axis: int, h: Tensor, ndim: int) -> Tensor:
    """A vector laid along an axis of an array with ndim axes."""
    return reshape(h, (-1,) + (1,) * (ndim - 1 - normalize_axis_index(axis, ndim)))


def diff(
    x: Operand, n: int = 1, axis: int = -1, prepend: Operand | None = None, append: Operand | None = None
) -> Tensor:
    """x[1:] - x[:-1] along an axis, n times.

    Args:
        x: At least one axis.
        n: How often; 0 gives x.
        axis: The axis.
        prepend: What to put before x first: an array, or one number.
        append: What to put behind x.
    """
    x = as_operand(x)
    if n < 0 or not x.ndim:
        raise ValueError(f"diff: n={n} of shape {x.shape}; it takes n >= 0 and at least one axis")
    if n == 0:
        return x
    if prepend is not None or append is not None:
        one = tuple([1 if i == normalize_axis_index(axis, x.ndim) else k for i, k in enumerate(x.shape)])
        ends = [[] if end is None else [like(x, end)] for end in (prepend, append)]
        before, after = [[end if end.ndim else broadcast_to(end, one) for end in part] for part in ends]
        x = concatenate([*before, x, *after], axis)
    new, old = along(x, axis, 1), along(x, axis, None, -1)
    return diff(np.not_equal(new, old) if x.dtype == bool else new - old, n - 1, axis)


def ediff1d(x: Operand, to_end: Operand | None = None, to_begin: Operand | None = None) -> Tensor:
    """Differences of the flattened x, with numbers put behind and before them."""
    x = ravel(x)
    before, after = [[] if end is None else [cast(ravel(brought(end, x)), x.dtype)] for end in (to_begin, to_end)]
    steps = along(x, 0, 1) - along(x, 0, None, -1)
    return concatenate([*before, steps, *after]) if before or after else steps


def cast(x: Tensor, dtype: DTypeLike) -> Tensor:
    """x in a dtype of the same kind."""
    if not np.can_cast(x.dtype, dtype, "same_kind"):
        raise TypeError(f"ediff1d: {x.dtype} does not fit between differences of {dtype}; make x a float array first")
    return x if x.dtype == dtype else x.astype(dtype)


def trapezoid(y: Operand, x: Operand | None = None, dx: Operand = 1.0, axis: int = -1) -> Tensor:
    """The area under y along an axis, by trapezoids: their widths are dx, or the steps of x (a vector, or as y)."""
    y = as_float(y)
    if x is not None:
        x = as_float(x)
        dx = laid(axis, diff(x), y.ndim) if x.ndim == 1 else diff(x, axis=axis)
    return sum(dx * (along(y, axis, 1) + along(y, axis, None, -1)) / 2.0, axis=axis)


def gradient(
    x: Operand, *spacing: Operand, axis: int | Sequence[int] | None = None, edge_order: int = 1
) -> Tensor | tuple[Tensor, ...]:
    """Slopes of samples along axes, by differences: what NumPy calls gradient, and not the gradient of autograd.

    Args:
        x: Samples of a function.
        *spacing: One step for all axes, or for each axis a step or the coordinates of its samples; Tensors too.
        axis: One axis or several; None for all.
        edge_order: At the ends, 1 is the slope to the neighbour, 2 that of the parabola through three samples.

    Returns:
        An array as x for one axis, a tuple of them for several.
    """
    x = as_float(x)
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    steps = [as_float(brought(h, x)) for h in spacing or (1.0,)]
    if len(steps) == 1 and not steps[0].ndim:
        steps *= len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"gradient: {len(steps)} spacings for {len(axes)} axes; give one step, or one spacing an axis")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order is 1 or 2, not {edge_order}")
    slopes = [slope(x, i, h, edge_order) for i, h in zip(axes, steps, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def slope(x: Tensor, axis: int, spacing: Tensor, edge_order: int) -> Tensor:
    """The slopes along one axis: inside, those of the parabola through three neighbours."""
    n, even = x.shape[axis], not spacing.ndim
    if n <= edge_order:
        raise ValueError(f"gradient: axis {axis} has {n} elements; edge_order={edge_order} takes {edge_order + 1}")
    if spacing.shape not in {(), (n,)}:
        raise ValueError(f"gradient: coordinates of shape {spacing.shape} for axis {axis}, which has {n} elements")
    h = laid(axis, spacing if even else diff(spacing), x.ndim)
    if not even and not is_tensor(h) and (h == h[0]).all():
        h, even = h[:1], True
    left, right = (h, h) if even else (h[:-1], h[1:])
    before, here, after = along(x, axis, None, -2), along(x, axis, 1, -1), along(x, axis, 2)
    if even:
        inside = (after - before) / (2.0 * h)
    else:
        a, b, c = -right / (left * (left + right)), (right - left) / (left * right), left / (right * (left + right))
        inside = a * before + b * here + c * after
    if edge_order == 1:
        first = (along(x, axis, 1, 2) - along(x, axis, 0, 1)) / h[:1]
        last = (along(x, axis, -1) - along(x, axis, -2, -1)) / h[-1:]
    else:
        first = edge(along(x, axis, 0, 1), along(x, axis, 1, 2), along(x, axis, 2, 3), left[:1], right[:1])
        last = -edge(along(x, axis, -1), along(x, axis, -2, -1), along(x, axis, -3, -2), right[-1:], left[-1:])
    out = concatenate([first, inside, last], axis)
    return out if out.dtype == x.dtype else out.astype(x.dtype)


def edge(x: Tensor, y: Tensor, z: Tensor, h: Tensor, k: Tensor) -> Tensor:
    """The slope at x of the parabola through x, y and z, which are h and k apart."""
    return -(2.0 * h + k) / (h * (h + k)) * x + (h + k) / (h * k) * y - h / (k * (h + k)) * z


def convolved(g: Array, x: Array, y: Array, mode: str) -> Array:
    """The vjp of a convolution to x: g slides over the reversed y."""
    return _convolve(g, flip(y), mode="full" if mode == "valid" and x.size >= y.size else "valid")


@op(lambda g, out, x, y, mode: convolved(g, x, y, mode), lambda g, out, x, y, mode: convolved(g, y, x, mode))
def _convolve(x: Operand, y: Operand, mode: str) -> Array:
    """np.convolve with mode "full" or "valid", each of which is what the other's vjp needs."""
    return np.convolve(x, y, mode)  # type: ignore[call-overload]


def convolve(x: Operand, y: Operand, mode: str = "full") -> Tensor:
    """The sums of x[i] * y[k - i] for every k, of two vectors: the product of two polynomials.

    Args:
        x: n elements.
        y: m elements.
        mode: "full" is every k, n + m - 1; "same" the middle max(n, m) of these; "valid" those where the shorter
            vector lies within the longer one.
    """
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"convolve: mode is 'full', 'same' or 'valid', not {mode!r}")
    x, y = atleast_1d(x, y)
    if mode != "same":
        return _convolve(x, y, mode=mode)
    short, long = sorted([x.size, y.size])
    start = (short - 1) // 2
    return getitem(_convolve(x, y, mode="full"), slice(start, start + long))


def correlate(x: Operand, y: Operand, mode: str = "valid") -> Tensor:
    """The sums of x[k + i] * y[i] for every k, of two vectors; the modes are those of convolve."""
    x, y = as_operand(x), as_operand(y)
    return convolve(x, flip(y), mode) if x.size >= y.size else flip(convolve(y, flip(x), mode))


@op(lambda g, out, x, discont, axis, period: g)
def unwrap(x: Operand, discont: float | None = None, axis: int = -1, *, period: float = 2 * pi) -> Array:
    """Angles with whole periods added, so that neighbours along the axis differ by at most half a period."""
    return np.unwrap(array_of(x), discont, axis, period=period)


@op(None, lambda g, out, x, weights, minlength: g[x])
def _bincount(x: Operand, weights: Operand, minlength: int) -> Array:
    """For each number the sum of the weights where x is that number, added in float64."""
    dtype = array_of(weights).dtype
    out = np.bincount(x, array_of(weights, float), minlength)
    return out.astype(dtype if dtype.kind == "f" else float)


def bincount(x: Operand, weights: Operand | None = None, minlength: int = 0) -> Tensor:
    """How often each of the numbers 0, 1, 2 ... stands in x, or the sums of the weights that stand there.

    Args:
        x: A vector of integers, none negative.
        weights: A vector as long as x, or None, which counts.
        minlength: Least length of the result.
    """
    if weights is None:
        return np.bincount(plain(x), minlength=minlength)  # type: ignore[return-value]
    return _bincount(x, weights, minlength=minlength)


def segments(x: Array, xp: Array, fp: Array) -> tuple[Any, ...]:
    """For each x the two ends (places in xp) of its segment, how far it is between them (0 to 1), and the slope there.

    Before and behind all segments it is at an end, and the slope is 0, as is that of a jump. A corner belongs to the
    segment on its right.
    """
    places, knots = plain(x), plain(xp)
    start = np.clip(np.searchsorted(knots, places, "right") - 1, 0, max(len(knots) - 2, 0))
    stop = np.minimum(start + 1, len(knots) - 1)
    begin = 1.0 * xp[start]  # 1.0: small integers would wrap around
    width, rise = xp[stop] - begin, fp[stop] - 1.0 * fp[start]
    low, high = places < knots[0], (places > knots[-1]) | (knots[stop] == knots[start])
    width = where(low | high, 1.0, width)
    share = where(low, 0.0, where(high, 1.0, (x - begin) / width))
    return start, stop, share, where(low | high, 0.0, where(places != places, np.nan, rise / width))


def to_knots(g: Array, n: int, start: Array, stop: Array, share: Array) -> Tensor:
    """g shared between the ends of the segments, and added up there."""
    start, stop = np.ravel(start), np.ravel(stop)
    return bincount(start, ravel(g * (1.0 - share)), n) + bincount(stop, ravel(g * share), n)


def interp_to_xp(g: Array, out: Array, x: Array, xp: Array, fp: Array) -> Tensor:
    """Where a knot moves to the right, the line moves with it: by -slope, as far as it belongs to the knot."""
    start, stop, share, steep = segments(x, xp, fp)
    return to_knots(-g * steep, len(xp), start, stop, share)


@op(
    lambda g, out, x, xp, fp: g * segments(x, xp, fp)[-1],
    interp_to_xp,
    lambda g, out, x, xp, fp: to_knots(g, len(fp), *segments(x, xp, fp)[:3]),
)
def _interp(x: Operand, xp: Operand, fp: Operand) -> Array:
    """np.interp, in the dtype of floating operands."""
    dtype = np.result_type(x, xp, fp)
    operands: Any = [array_of(each, float) for each in (x, xp, fp)]
    operands = [np.copy(each, "C") if type(each) in KINDS else each for each in operands]
    out = np.interp(*operands)
    return array_of(out).astype(dtype if dtype.kind == "f" else float)[()]


def interp(
    x: Operand,
    xp: Operand,
    fp: Operand,
    left: Operand | None = None,
    right: Operand | None = None,
    period: Operand | None = None,
) -> Tensor:
    """The value at each x of the line that joins the points (xp, fp).

    Args:
        x: Any shape.
        xp: A vector that increases, which nobody checks; with a period it need not.
        fp: The values there.
        left: The value before the first point; None for fp[0].
        right: The value behind the last point; None for fp[-1].
        period: The length after which all repeats itself; left and right do not count then.
    """
    x, xp, fp = as_operand(x), as_operand(xp), as_operand(fp)
    if xp.ndim != 1 or fp.shape != xp.shape:
        raise ValueError(f"interp: xp and fp are vectors of one length, not {xp.shape} and {fp.shape}")
    if period is None:
        out = _interp(x, xp, fp)
        out = out if left is None else where(plain(x) < plain(xp)[0], left, out)
        return out if right is None else where(plain(x) > plain(xp)[-1], right, out)
    if plain(period) == 0:
        raise ValueError("interp: the period must not be 0")
    length: Any = 1.0 * abs(period)  # type: ignore[arg-type]  # Python's: a number stays one, and widens no dtype
    x, xp = remainder(1.0 * x, length), remainder(1.0 * xp, length)
    order = np.argsort(plain(xp))
    xp, fp = xp[order], fp[order]
    return _interp(x, concatenate([xp[-1:] - length, xp, xp[:1] + length]), concatenate([fp[-1:], fp, fp[:1]]))


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Operand, *args: Any, **kwargs: Any) -> Tensor:
    """The results of func1d(vector, *args, **kwargs) for all vectors along an axis, whose place the results take.

    Args:
        func1d: Takes a vector, a Tensor where arr is one; returns a number, or an array or Tensor of any shape.
        axis: The axis.
        arr: Any shape.
        *args: More arguments of func1d.
        **kwargs: More arguments of func1d.
    """
    x = as_operand(arr)
    axis = normalize_axis_index(axis, x.ndim)
    x = moveaxis(x, axis, -1)
    lead = x.shape[:-1]
    results = [as_operand(func1d(x[i], *args, **kwargs)) for i in np.ndindex(lead)]
    if not results:
        raise ValueError(f"apply_along_axis: no vectors along axis {axis} of an empty array")
    shape = results[0].shape
    out = reshape(stack(results), lead + shape)
    return moveaxis(out, range(len(lead), out.ndim), range(axis, axis + len(shape)))


def apply_over_axes(func: Callable[..., Any], a: Operand, axes: int | Sequence[int]) -> Tensor:
    """func(a, axis) for one axis after another; an axis that func takes away comes back with length 1."""
    a = as_operand(a)
    for axis in np.atleast_1d(axes).tolist():
        axis = normalize_axis_index(axis, a.ndim)
        out = func(a, axis)
        out = out if out.ndim == a.ndim else expand_dims(out, axis)
        if out.ndim != a.ndim:
            raise ValueError(f"apply_over_axes: func made shape {out.shape} of {a.shape}; it may take away one axis")
        a = out
    return a
