"""Ops that take elements: by index, by a condition, in another order, along a diagonal, in parts.

Where slices can say what is taken, they do: a slice is a view, and its gradient is put back by one assignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from operator import index as integer
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.arrays import KINDS, array_of, beside, home
from tinygrad_edu.engine import Array, op, plain
from tinygrad_edu.ops.axes import at
from tinygrad_edu.ops.elementwise import Operand, as_operand, where
from tinygrad_edu.ops.reductions import sum
from tinygrad_edu.ops.shapes import Axis, broadcast_to, expand_dims, moveaxis, ravel, reshape, swapaxes
from tinygrad_edu.sums import accumulator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "array_split", "compress", "delete", "diag", "diagflat", "diagonal", "dsplit", "extract", "flip", "fliplr",
    "flipud", "getitem", "hsplit", "partition", "repeat", "resize", "rot90", "scatter", "sliding_window_view", "sort",
    "split", "take", "take_along_axis", "trace", "tril", "trim_zeros", "triu", "unique", "unique_values", "unstack",
    "vsplit",
]  # fmt: skip
FEW = 8  # parts that are taken one by one


@op(lambda g, out, x, index: scatter(g, index, x.shape))
def getitem(x: Operand, index: Any) -> Array:
    """x[index]; an element that is taken several times receives the sum of its gradients."""
    return x[index]


@op(lambda g, out, x, index, shape: getitem(g, index))
def scatter(x: Operand, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at [index]: what getitem is to its gradient.

    With integer arrays `out[index] = x` would go wrong: for the index [0, 0] the last value would win, but both count.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if all(names_once(i) for i in parts):
        out = beside(x, np.zeros, shape, x.dtype)
        out[index] = x
        return out
    if type(x) in KINDS:
        numbers = beside(x, np.arange, prod(shape)).reshape(shape)[index]
        counted = np.bincount(numbers.ravel(), x.ravel(), minlength=prod(shape))
        return counted.reshape(shape).astype(x.dtype)
    wide = accumulator(x, tuple(range(x.ndim))) or x.dtype
    out, x_wide = np.zeros(shape, wide), np.asarray(x, wide)
    if len(parts) == 1 and len(shape) > 1:  # rows: np.add.at is five times faster for numbers
        row = prod(shape[1:])
        numbers = np.asarray(parts[0], np.intp)[..., None] * row + np.arange(row)
        np.add.at(out.reshape(-1), numbers.reshape(-1), x_wide.reshape(-1))
    else:
        np.add.at(out, index, x_wide)
    return np.asarray(out, x.dtype)


def names_once(i: Any) -> bool:
    """Whether a part of an index cannot name an element twice: all but arrays of integers."""
    return i is None or isinstance(i, (int, np.integer, slice, EllipsisType)) or array_of(i).dtype.kind == "b"


def unstack(x: Operand, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The subarrays along an axis, without it.

    Of many, halves are taken first, and halves of these: each part's gradient is as large as what it was taken from.
    """
    x = as_operand(x)
    if not x.ndim:
        raise ValueError("unstack: a number has no axis to take apart")
    n = x.shape[normalize_axis_index(axis, x.ndim)]
    if n <= FEW:
        return tuple([getitem(x, at(axis, x, i)) for i in range(n)])
    halves = [getitem(x, at(axis, x, part)) for part in (slice(n // 2), slice(n // 2, None))]
    return unstack(halves[0], axis=axis) + unstack(halves[1], axis=axis)


def array_split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Parts along an axis: as many as given, the first ones longer by one if need be, or cut at the given indices."""
    x = as_operand(x)
    n = x.shape[normalize_axis_index(axis, x.ndim)]
    if np.ndim(indices_or_sections):
        cuts = [0, *home(indices_or_sections), n]
    else:
        sections = integer(indices_or_sections)  # type: ignore[arg-type]
        if sections <= 0:
            raise ValueError(f"array_split: {sections} sections; there must be at least one")
        longer = n % sections
        cuts = [n // sections * i + (i if i < longer else longer) for i in range(sections + 1)]
    return [getitem(x, at(axis, x, slice(*ends))) for ends in pairwise(cuts)]


def split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Equal parts along an axis, so many, or cut at the given indices. PyTorch's number is the length of a part."""
    x = as_operand(x)
    n = x.shape[normalize_axis_index(axis, x.ndim)]
    if not np.ndim(indices_or_sections) and n % (int(indices_or_sections) or n + 1):  # type: ignore[arg-type]
        how = "np.array_split takes parts that differ"
        raise ValueError(f"split: {n} elements are not {indices_or_sections} equal parts; {how}")
    return array_split(x, indices_or_sections, axis)


def hsplit(x: Operand, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the second axis, of a vector along its only one."""
    x = as_operand(x)
    return split(with_axes(x, 1, "hsplit"), indices_or_sections, 1 if x.ndim > 1 else 0)


def vsplit(x: Operand, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the first axis of at least two."""
    return split(with_axes(x, 2, "vsplit"), indices_or_sections, 0)


def dsplit(x: Operand, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """`split` along the third axis."""
    return split(with_axes(x, 3, "dsplit"), indices_or_sections, 2)


def with_axes(x: Operand, ndim: int, name: str) -> Tensor:
    """x, if it has at least so many axes."""
    x = as_operand(x)
    if x.ndim < ndim:
        raise ValueError(f"{name}: an array of shape {x.shape} has too few axes, it must have at least {ndim}")
    return x


def flip(x: Operand, axis: Axis = None) -> Tensor:
    """Reversed along the axes, or along all."""
    x = as_operand(x)
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return getitem(x, tuple([slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)]))


def flipud(x: Operand) -> Tensor:
    """Reversed along the first axis: upside down."""
    return flip(with_axes(x, 1, "flipud"), 0)


def fliplr(x: Operand) -> Tensor:
    """Reversed along the second axis: left and right exchanged."""
    return flip(with_axes(x, 2, "fliplr"), 1)


def rot90(x: Operand, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees, from the first of the axes towards the second."""
    x = as_operand(x)
    if len(axes) != 2:
        raise ValueError(f"rot90: a rotation has two axes, not {len(axes)}")
    first, second = normalize_axis_tuple(axes, x.ndim)
    turned = flip(x, ((), (second,), (first, second), (first,))[k % 4])
    return swapaxes(turned, first, second) if k % 2 else turned


def line_up(x: Operand, axis: int | None) -> tuple[Tensor, int]:
    """x and the axis, or, if that is None or x is a number, the flattened x and its only axis."""
    x = as_operand(x)
    return (ravel(x), 0) if axis is None or not x.ndim else (x, normalize_axis_index(axis, x.ndim))


def repeat(x: Operand, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times, along an axis or flattened; `repeats` is a number or one number per element.

    PyTorch's x.repeat(2, 3) repeats the whole array: here x.tile((2, 3)).
    """
    x, axis = line_up(x, axis)
    n = x.shape[axis]
    if np.ndim(repeats):
        return getitem(x, at(axis, x, np.repeat(np.arange(n), repeats)))
    times, before, after = integer(repeats), x.shape[:axis], x.shape[axis + 1 :]
    return reshape(broadcast_to(expand_dims(x, axis + 1), (*before, n, times, *after)), (*before, n * times, *after))


def resize(x: Operand, new_shape: int | Sequence[int]) -> Tensor:
    """Another shape, with the elements repeated or cut off as needed; zeros if there are none."""
    x, shape = ravel(x), tuple(np.atleast_1d(new_shape).tolist())
    size = prod(shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"resize: {new_shape} has a negative length")
    if not x.size:
        return broadcast_to(sum(x), shape)
    copies = ravel(broadcast_to(x, (-(-size // x.size), x.size)))
    return reshape(getitem(copies, slice(size)), shape)


def take(x: Operand, indices: Any, axis: int | None = None, *, mode: str = "raise") -> Tensor:
    """Elements along an axis, or of the flattened array, in the shape of the indices.

    Args:
        x: Any shape.
        indices: Integers of any shape.
        axis: None for the flattened array.
        mode: For indices out of bounds: "raise" an error, "wrap" around or "clip" to the ends.
    """
    x, axis = line_up(x, axis)
    places = within(indices, x.shape[axis], mode)
    return getitem(x, at(axis, x, places if places.ndim else int(places)))


def within(indices: Any, n: int, mode: str) -> Array:
    """The places in 0 to n - 1 that indices name, by a mode of `take`."""
    if type(indices) not in KINDS:
        return np.take(np.arange(n), indices, mode=mode)  # type: ignore[call-overload]
    if mode == "clip":
        return np.clip(indices, 0, n - 1)
    if mode == "raise" and ((indices < -n) | (indices >= n)).any():
        raise IndexError(f"take: an index is out of bounds for axis with size {n}")
    return indices % n


def take_along_axis(x: Operand, indices: Any, axis: int | None = -1) -> Tensor:
    """Elements along an axis, by other indices for each line: what argsort and argmax name.

    Args:
        x: Any shape.
        indices: Integers, with as many axes as x, which broadcast to x along the other axes.
        axis: None for the flattened array, with a vector of indices.
    """
    x, indices = ravel(x) if axis is None else as_operand(x), array_of(indices)
    axis = normalize_axis_index(0 if axis is None else axis, x.ndim)
    if indices.ndim != x.ndim or indices.dtype.kind not in "iu":
        found = f"{indices.dtype} of shape {indices.shape}"
        raise ValueError(f"take_along_axis: indices must be integers with {x.ndim} axes, as x has; they are {found}")
    index: list[Any] = list(np.indices(x.shape, sparse=True))
    index[axis] = indices
    return getitem(x, tuple(index))


def compress(condition: Any, x: Operand, axis: int | None = None) -> Tensor:
    """The slices along an axis, or the elements of the flattened array, for which the condition, a vector, is true."""
    condition = array_of(plain(condition))
    if condition.ndim != 1:
        raise ValueError(f"compress: the condition must be a vector, not of shape {condition.shape}")
    x, axis = line_up(x, axis)
    taken = beside(condition, np.zeros, x.shape[axis], bool)
    taken[np.flatnonzero(condition)] = True
    return getitem(x, at(axis, x, taken))


def extract(condition: Any, x: Operand) -> Tensor:
    """The elements for which the condition, an array of the same shape, is true, in one axis."""
    return compress(np.ravel(plain(condition)), x)


def delete(x: Operand, obj: Any, axis: int | None = None) -> Tensor:
    """Without some of the slices along an axis, or of the elements of the flattened array.

    Args:
        x: Any shape.
        obj: Which: an integer, a slice, integers or a boolean mask.
        axis: None for the flattened array.
    """
    x = ravel(x) if axis is None else as_operand(x)
    axis = normalize_axis_index(0 if axis is None else axis, x.ndim)
    kept = np.zeros(x.shape[axis], bool)
    kept[np.delete(np.arange(len(kept)), obj if isinstance(obj, (slice, list)) else np.asarray(home(obj)))] = True
    return getitem(x, at(axis, x, kept))


def trim_zeros(x: Operand, trim: str = "fb", axis: Axis = None) -> Tensor:
    """Without the zeros before the first and behind the last other element, along the axes or along all.

    Args:
        x: Any shape.
        trim: "f" for the front, "b" for the back, or both.
        axis: Which axes to shorten; along each, slices that hold nothing but zeros count as zeros.
    """
    x = as_operand(x)
    if trim.lower() not in ("f", "b", "fb", "bf"):
        raise ValueError(f"trim_zeros: {trim!r} is neither 'f' nor 'b' nor 'fb'")
    inside: list[Any] = [slice(None)] * x.ndim
    for i in range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim):
        others = tuple([j for j in range(x.ndim) if j != i])
        filled = np.flatnonzero(np.any(plain(x) != 0, axis=others))
        first, last = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (x.shape[i], 0)
        inside[i] = slice(first if "f" in trim.lower() else None, last if "b" in trim.lower() else None)
    return getitem(x, tuple(inside)) if x.ndim else x


def sort(x: Operand, axis: int | None = -1, kind: Any = None, *, stable: bool | None = None) -> Tensor:
    """Ascending along an axis, or flattened; each gradient returns to where its element came from.

    Equal elements always keep their order, as `kind="stable"` and `stable=True` ask. PyTorch's x.sort() returns indices
    too; here they are x.argsort().
    """
    x, axis = (ravel(x), -1) if axis is None else (as_operand(x), axis)
    if kind is not None and stable is not None:
        raise ValueError("sort: give kind or stable, not both")
    values = plain(x)
    kind = "stable" if type(values) in KINDS else kind or "stable"
    order = np.argsort(values, axis=normalize_axis_index(axis, x.ndim), kind=kind)
    return take_along_axis(x, order, axis)


def partition(x: Operand, kth: int | Sequence[int], axis: int | None = -1, kind: Any = "introselect") -> Tensor:
    """Smaller elements before and larger ones behind the kth in order, along an axis or flattened.

    NumPy's own argpartition may leave another order than its partition: so the elements find their places by rank.
    """
    x, axis = (ravel(x), -1) if axis is None else (as_operand(x), axis)
    axis, values = normalize_axis_index(axis, x.ndim), plain(x)
    how = () if type(values) in KINDS else (kind,)
    places = np.argsort(np.partition(values, kth, axis, *how), axis, "stable")
    order = np.empty_like(places)
    np.put_along_axis(order, places, np.argsort(values, axis, "stable"), axis)
    return take_along_axis(x, order, axis)


def unique(
    x: Operand,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The different elements in ascending order; of equal ones the first gets the gradient.

    Args:
        x: Any shape.
        return_index: Also where each stands first, as plain integers.
        return_inverse: Also, for each element of x, which of the different ones it is.
        return_counts: Also how often each occurs.
        axis: None for the elements of the flattened array, or the axis whose slices are compared.
        equal_nan: Take all NaNs for one.
        sorted: Without effect: False allows any order, and this one is allowed.
    """
    x = as_operand(x)
    _, index, *others = np.unique(  # type: ignore[call-overload]
        plain(x), True, return_inverse, return_counts, axis, equal_nan=equal_nan
    )
    out = getitem(ravel(x), index) if axis is None else getitem(x, at(axis, x, index))
    extra = ([index] if return_index else []) + others
    return (out, *extra) if extra else out


def unique_values(x: Operand) -> Tensor:
    """The different elements in ascending order; each NaN is one of its own."""
    return unique(x, equal_nan=False)  # type: ignore[no-any-return]


def tril(x: Operand, k: int = 0) -> Tensor:
    """Zero above the k-th diagonal of the last two axes."""
    x = as_operand(x)
    return where(lower_triangle(x, k), x, 0)


def triu(x: Operand, k: int = 0) -> Tensor:
    """Zero below the k-th diagonal of the last two axes."""
    x = as_operand(x)
    return where(lower_triangle(x, integer(k) - 1), 0, x)


def lower_triangle(x: Tensor, k: int) -> Array:
    """Where the last two axes are on or below their k-th diagonal; the only axis of a vector counts as both."""
    if not x.ndim:
        raise TypeError("tril, triu: a number has no triangle")
    return beside(x, np.tri, x.shape[-2 if x.ndim > 1 else -1], x.shape[-1], integer(k), dtype=bool)


def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two axes, as the last axis of the result."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    *rest, rows, columns = x.shape
    within = diagonal_slice(rows, columns, offset)
    return getitem(reshape(x, (*rest, rows * columns)), (..., within))


def diagonal_slice(rows: int, columns: int, offset: int) -> slice:
    """Where a diagonal lies in a flattened matrix: each of its elements is columns + 1 behind the one before."""
    n = len(np.diagonal(np.broadcast_to(False, (rows, columns)), offset))
    start = offset if offset >= 0 else -offset * columns
    return slice(start, start + n * (columns + 1), columns + 1)


def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Tensor:
    """The sum of the diagonal of two axes, added up in the dtype, if one is given."""
    line = diagonal(x, offset, axis1, axis2)
    return sum(line if dtype is None else line.astype(dtype), axis=-1)


def diag(x: Operand, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix that has a vector there and zeros elsewhere."""
    x = as_operand(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag: x must be a vector or a matrix, not of shape {x.shape}")
    n = x.size + (k if k >= 0 else -k)
    return reshape(scatter(x, diagonal_slice(n, n, k), (n * n,)), (n, n))


def diagflat(x: Operand, k: int = 0) -> Tensor:
    """The matrix that has all elements of x on its k-th diagonal."""
    return diag(ravel(x), k)


def sliding_window_view(x: Operand, window_shape: int | Sequence[int], axis: Axis = None) -> Tensor:
    """All windows of a shape: their places along the axes of x, then, as the last axes, the elements of each.

    Args:
        x: Any shape.
        window_shape: Lengths of the windows along the axes.
        axis: Which axes; None for all, one after another.
    """
    x, sides = as_operand(x), tuple(np.atleast_1d(window_shape).tolist())
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    if len(sides) != len(axes):
        raise ValueError(f"sliding_window_view: a window of {len(sides)} axes along {len(axes)} axes of x")
    for side, i in zip(sides, axes, strict=True):
        places = x.shape[i] - side + 1
        if side < 0 or places < 1:
            raise ValueError(f"sliding_window_view: no window of {side} fits into an axis of {x.shape[i]}")
        x = moveaxis(getitem(x, at(i, x, np.arange(places)[:, None] + np.arange(side))), i + 1, -1)
    return x
