"""Ops that put arrays side by side, put something in, shift, fill borders, and fill the space between two ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_edu.arrays import KINDS, beside, brought, home
from tinygrad_edu.engine import Array, is_tensor, op, plain
from tinygrad_edu.ops.axes import at
from tinygrad_edu.ops.elementwise import Operand, as_operand, astype, power, where
from tinygrad_edu.ops.indexing import flip, getitem, repeat, scatter, sort
from tinygrad_edu.ops.reductions import max, mean, min
from tinygrad_edu.ops.shapes import (
    Axis,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from tinygrad_edu.tensor import Tensor

__all__ = [
    "append", "block", "column_stack", "concat", "concatenate", "dstack", "fftshift", "geomspace", "hstack",
    "ifftshift", "insert", "linspace", "logspace", "pad", "roll", "stack", "vander", "vstack",
]  # fmt: skip


@op(lambda i, g, out, *arrays, axis: getitem(g, extent(arrays, i, axis)).reshape(arrays[i].shape), variadic=True)
def _concatenate(*arrays: Operand, axis: int | None) -> Array:
    """Arrays one after another along an axis, or all flattened with axis=None."""
    return np.concatenate(arrays, axis)


def extent(arrays: Sequence[Array], i: int, axis: int | None) -> tuple[Array, ...]:
    """Where the i-th array lies within the concatenation."""
    lengths = [x.size if axis is None else x.shape[axis] for x in arrays[: i + 1]]
    before = (slice(None),) * (axis % arrays[i].ndim if axis else 0)
    return (*before, slice(int(np.sum(lengths[:i])), int(np.sum(lengths))))


def concatenate(arrays: Sequence[Operand], axis: int | None = 0, *, dtype: DTypeLike | None = None) -> Tensor:
    """Arrays one after another along an existing axis, or all flattened with axis=None."""
    out = _concatenate(*[as_operand(x) for x in arrays], axis=axis)
    return out if dtype is None else out.astype(dtype)


concat = concatenate


def stack(arrays: Sequence[Operand], axis: int = 0, *, dtype: DTypeLike | None = None) -> Tensor:
    """Arrays of one shape side by side along a new axis."""
    if is_tensor(axis):
        raise TypeError("stack: the arrays are one list: np.stack([x, y])")
    operands = [as_operand(x) for x in arrays]
    if len({x.shape for x in operands}) != 1:
        raise ValueError(f"stack: the arrays must have one shape; they have {[x.shape for x in operands]}")
    axis = normalize_axis_index(axis, operands[0].ndim + 1)
    return concatenate([expand_dims(x, axis) for x in operands], axis, dtype=dtype)


def vstack(arrays: Sequence[Operand], *, dtype: DTypeLike | None = None) -> Tensor:
    """Arrays one below the other, along the first axis; vectors are rows."""
    return concatenate([atleast_2d(x) for x in arrays], 0, dtype=dtype)


def hstack(arrays: Sequence[Operand], *, dtype: DTypeLike | None = None) -> Tensor:
    """Arrays side by side, along the second axis, vectors along their only one."""
    parts = [atleast_1d(x) for x in arrays]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1, dtype=dtype)


def dstack(arrays: Sequence[Operand]) -> Tensor:
    """Arrays one behind the other, along the third axis."""
    return concatenate([atleast_3d(x) for x in arrays], 2)


def column_stack(arrays: Sequence[Operand]) -> Tensor:
    """Vectors as the columns of a matrix, and matrices beside them."""
    operands = [as_operand(x) for x in arrays]
    return concatenate([reshape(x, (x.size, 1)) if x.ndim < 2 else x for x in operands], 1)


def block(arrays: Any) -> Tensor:
    """Nested lists of arrays put together: the innermost lists along the last axis, those around along the one before.

    Raises:
        ValueError: An empty list, or arrays at different depths.
        TypeError: A tuple.
    """
    leaves = list(leaves_of(arrays))
    depth = leaves[0][0]
    if any(other != depth for other, _ in leaves):
        raise ValueError("block: some arrays lie deeper in the lists than others")
    ndim = int(np.max([depth, *[x.ndim for _, x in leaves]]))

    def join(part: Any, level: int) -> Tensor:
        if level == 0:
            x = as_operand(part)
            return reshape(x, (1,) * (ndim - x.ndim) + x.shape)
        return concatenate([join(inner, level - 1) for inner in part], -level)

    return join(arrays, depth)


def leaves_of(arrays: Any, depth: int = 0) -> Iterator[tuple[int, Tensor]]:
    """Each array within nested lists, with its depth."""
    if isinstance(arrays, tuple):
        raise TypeError("block: a tuple; arrays are nested in lists only")
    if not isinstance(arrays, list):
        yield depth, as_operand(arrays)
    elif not arrays:
        raise ValueError("block: a list is empty")
    else:
        for inner in arrays:
            yield from leaves_of(inner, depth + 1)


def append(x: Operand, values: Operand, axis: int | None = None) -> Tensor:
    """values behind x along an axis, or both flattened."""
    return concatenate([x, brought(values, x)], axis)


def insert(x: Operand, obj: Any, values: Operand, axis: int | None = None) -> Tensor:
    """x with values before some of its slices along an axis, or of its elements if it is flattened.

    Args:
        x: Any shape.
        obj: Before which, counted in x: an integer, a slice, integers or a boolean mask.
        values: What broadcasts to the new slices; for one place also any number of them. In the dtype of x.
        axis: None for the flattened array.
    """
    x = ravel(x) if axis is None else as_operand(x)
    values = as_operand(brought(values, x))
    axis = normalize_axis_index(0 if axis is None else axis, x.ndim)
    n, shape = x.shape[axis], list(x.shape)
    places = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(home(obj))
    places = np.flatnonzero(places) if places.dtype.kind == "b" and places.ndim == 1 else places
    places = places if places.size else places.astype(int)
    if places.ndim > 1 or places.dtype.kind not in "iu":
        raise ValueError(f"insert: obj must be an integer, a slice, integers in one axis or a mask; it is {obj!r:.60}")
    if not ((places >= -n) & (places <= n)).all():
        raise IndexError(f"insert: {obj!r:.60} is out of bounds for an axis of {n}")
    if places.size == 1:  # any number of slices, with their own axis if obj is in a list
        values = reshape(values, (1,) * (x.ndim - values.ndim) + values.shape)
        values = values if places.ndim else moveaxis(values, 0, axis)
        shape[axis] = values.shape[axis]
    else:
        shape[axis] = places.size
    new = broadcast_to(values if values.dtype == x.dtype else values.astype(x.dtype), tuple(shape))
    if places.size == 1:
        i = places.item() % n if places.item() < 0 else places.item()
        return concatenate([getitem(x, at(axis, x, slice(i))), new, getitem(x, at(axis, x, slice(i, None)))], axis)
    order = np.argsort(np.concatenate([np.where(places < 0, places + n, places), np.arange(n)]), kind="stable")
    both = concatenate([new, x], axis)  # the new ones first: they come before the old one of the same place
    return getitem(both, at(axis, both, order))


def roll(x: Operand, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Elements shifted along the axes; what leaves at one end comes in at the other."""
    x = as_operand(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    steps = np.broadcast(shift, normalize_axis_tuple(axis, x.ndim, allow_duplicate=True))
    if steps.ndim > 1:
        raise ValueError("roll: shift and axis must be numbers or vectors")
    for step, i in steps:
        cut = -int(step) % x.shape[i] if x.shape[i] else 0
        x = concatenate([getitem(x, at(i, x, slice(cut, None))), getitem(x, at(i, x, slice(cut)))], i)
    return x


def fftshift(x: Operand, axes: Axis = None) -> Tensor:
    """The element at index 0 shifted to the middle, n // 2, along the axes or along all."""
    return roll(x, *halves(x, axes))


def ifftshift(x: Operand, axes: Axis = None) -> Tensor:
    """The element in the middle shifted to index 0: the inverse of `fftshift`."""
    half, chosen = halves(x, axes)
    return roll(x, [-n for n in half], chosen)


def halves(x: Operand, axes: Axis) -> tuple[list[int], tuple[int, ...]]:
    """Half of each length, rounded down, and the axes that have these lengths."""
    shape = np.shape(plain(x))
    chosen = tuple(range(len(shape))) if axes is None else normalize_axis_tuple(axes, len(shape), allow_duplicate=True)
    return [shape[i] // 2 for i in chosen], chosen


STATISTICS = {"maximum": max, "mean": mean, "median": lambda x, axis, keepdims: middle(x, axis), "minimum": min}
OPTIONS = {"constant": "constant_values", "linear_ramp": "end_values", "reflect": "reflect_type"}
OPTIONS |= {"symmetric": "reflect_type", "edge": "", "wrap": "", "empty": ""} | dict.fromkeys(STATISTICS, "stat_length")


def pad(
    x: Operand,
    pad_width: Any,
    mode: str = "constant",
    *,
    constant_values: Any = None,
    end_values: Any = None,
    stat_length: Any = None,
    reflect_type: str | None = None,
) -> Tensor:
    """A border, made axis after axis: that of a later axis continues the border of those before it, too.

    Args:
        x: Any shape.
        pad_width: n, (before, after), one such pair per axis, or a dictionary from axes to n or (before, after).
        mode: "constant"; "edge", the element at the edge; "linear_ramp", from there to an end value; "maximum", "mean",
            "median" or "minimum" of the elements next to the edge; "reflect", mirrored at the edge element;
            "symmetric", mirrored at the edge; "wrap", from the other end; "empty", here zeros.
        constant_values: For "constant", in the forms of pad_width; 0 if None. Tensors in it get gradients.
        end_values: For "linear_ramp", likewise.
        stat_length: For the statistics, how many elements, in the same forms; all if None.
        reflect_type: For "reflect" and "symmetric", "even" or, to mirror also the values at the edge's, "odd".

    Raises:
        ValueError: An unknown mode, an option that the mode does not have, or an empty axis that has nothing to repeat.
        TypeError: A function as mode, or a width that is not an integer.
    """
    x = as_operand(x)
    if callable(mode):
        raise TypeError("pad: a function as mode writes in place; join your own border with np.concatenate")
    every = {"constant_values": constant_values, "end_values": end_values, "stat_length": stat_length}
    options = {k: v for k, v in (every | {"reflect_type": reflect_type}).items() if v is not None}
    if mode not in OPTIONS or options.keys() - {OPTIONS[mode]}:
        given = "".join([f" with {name}=" for name in options])
        raise ValueError(f"pad: mode {mode!r}{given} is not one of NumPy's; modes and options: {OPTIONS}")
    if reflect_type not in (None, "even", "odd"):
        raise ValueError(f"pad: reflect_type must be 'even' or 'odd', not {reflect_type!r}")
    widths = widths_of(pad_width, x.ndim)
    choices: Any = options.get(OPTIONS[mode], None if OPTIONS[mode] == "stat_length" else 0)
    choices = pairs(stacked(choices) if OPTIONS[mode] in ("constant_values", "end_values") else choices, x.ndim)
    if not is_tensor(x) and not is_tensor(choices):
        return np.pad(x, widths or 0, mode, **options)  # type: ignore[call-overload, no-any-return]
    if mode == "empty" or (mode == "constant" and not is_tensor(choices)):
        return framed(x, widths, choices)
    for axis, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        if not x.shape[axis] and mode != "constant":
            raise ValueError(f"pad: axis {axis} is empty; only the modes 'constant' and 'empty' can extend it")
        n = x.shape[axis]
        if mode == "wrap":
            x = getitem(x, at(axis, x, np.arange(-before, n + after) % n))
        elif OPTIONS[mode] == "reflect_type":
            x = mirrored(x, axis, before, after, mode == "symmetric", odd=reflect_type == "odd")
        else:
            first, last = choices[axis]
            x = concatenate([side(x, axis, mode, before, first), x, side(x, axis, mode, -after, last)], axis)
    return x


def widths_of(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """(before, after) for each axis."""
    if isinstance(pad_width, dict):
        named, pad_width = pad_width, [(0, 0)] * ndim
        for axis, width in named.items():
            pad_width[axis] = tuple(np.broadcast_to(width, 2).tolist())
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad: pad_width must be integers, not {pad_width!r:.60}")
    if (widths < 0).any():
        raise ValueError(f"pad: pad_width {pad_width!r:.60} has negative numbers")
    return [(before, after) for before, after in pairs(widths, ndim).tolist()]


def pairs(values: Any, ndim: int) -> Any:
    """(before, after) for each axis."""
    return (broadcast_to if is_tensor(values) else np.broadcast_to)(values, (ndim, 2))


def stacked(values: Any) -> Tensor:
    """Nested sequences of numbers and Tensors as one array."""
    return stack([stacked(v) for v in values]) if isinstance(values, (list, tuple)) else as_operand(values)


def framed(x: Tensor, widths: list[tuple[int, int]], choices: Array) -> Tensor:
    """x within a border of constants."""
    shape = tuple([before + n + after for (before, after), n in zip(widths, x.shape, strict=True)])
    out = scatter(x, tuple([slice(w[0], w[0] + n) for w, n in zip(widths, x.shape, strict=True)]), shape)
    if not choices.any():
        return out
    return out + np.pad(np.zeros_like(plain(x)), widths, constant_values=choices.tolist())


def side(x: Tensor, axis: int, mode: str, count: int, choice: Any) -> Tensor:
    """The border of so many slices before x along an axis, or behind it if the count is negative."""
    behind = count < 0
    count = -count if behind else count
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if mode == "constant":
        return broadcast_to(astype(choice, x.dtype), shape)
    if mode in STATISTICS:
        length = x.shape[axis] if choice is None else index(choice)
        if length < 1:
            raise ValueError(f"pad: stat_length must be at least 1, not {length}")
        near = getitem(x, at(axis, x, slice(-length, None) if behind else slice(length)))
        return broadcast_to(STATISTICS[mode](near, axis=axis, keepdims=True), shape)
    edge = getitem(x, at(axis, x, slice(-1, None) if behind else slice(1)))
    if mode == "edge":
        return broadcast_to(edge, shape)
    ramp = linspace(astype(choice, x.dtype), getitem(edge, at(axis, x, 0)), count, endpoint=False, axis=axis)
    return flip(ramp, axis) if behind else ramp


def middle(x: Tensor, axis: int) -> Tensor:
    """The median along an axis, which is kept; of NaN it is the maximum, which is NaN and gives NaN to all."""
    line, n, top = sort(x, axis), x.shape[axis], max(x, axis, keepdims=True)
    low, high = [getitem(line, at(axis, x, slice(i, i + 1))) for i in ((n - 1) // 2, n // 2)]
    return where(np.isnan(plain(top)), top, 0.5 * low + 0.5 * high)


def mirrored(x: Tensor, axis: int, before: int, after: int, edge: bool, odd: bool) -> Tensor:
    """x and its mirror images, with or without the edge, as often as needed; if odd, turned about the edge elements."""
    n = x.shape[axis]
    if n == 1:
        return repeat(x, before + 1 + after, axis)
    period = n if edge else n - 1
    while before or after:
        length = x.shape[axis]
        whole = (length - 1 + edge) // period * period  # no part of an image is mirrored
        b, a = before if before < whole else whole, after if after < whole else whole
        left = flip(getitem(x, at(axis, x, slice(1 - edge, b + 1 - edge))), axis)
        right = flip(getitem(x, at(axis, x, slice(length - a - 1 + edge, length - 1 + edge))), axis)
        if odd:
            left = 2 * getitem(x, at(axis, x, slice(1))) - left
            right = 2 * getitem(x, at(axis, x, slice(-1, None))) - right
        x, before, after = concatenate([left, x, right], axis), before - b, after - a
    return x


def vander(x: Operand, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of the elements of a vector, each in a row: x**(N-1), ..., x, 1, or increasing."""
    x = as_operand(x)
    if x.ndim != 1:
        raise ValueError(f"vander: x must be a vector, not of shape {x.shape}")
    exponents = beside(x, np.arange, x.size if N is None else N)
    exponents = exponents.astype(x.dtype if x.dtype.kind == "f" else np.promote_types(x.dtype, int))
    return power(expand_dims(x, 1), exponents if increasing else exponents[::-1])


def way(g: Array, num: int, endpoint: bool) -> Array:
    """How far each of num points is on the way from start, 0, to stop, 1, along the first axis of g."""
    steps = num - 1 if endpoint and num > 1 else num or 1
    return (beside(g, np.arange, num) / steps).astype(g.dtype).reshape((num,) + (1,) * (g.ndim - 1))


@op(
    lambda g, out, start, stop, num, endpoint: g * (1 - way(g, num, endpoint)),
    lambda g, out, start, stop, num, endpoint: g * way(g, num, endpoint),
)
def _linspace(start: Array, stop: Array, num: int, endpoint: bool) -> Array:
    """Numbers from start to stop with equal differences."""
    return np.linspace(start, stop, num, endpoint)


def linspace(
    start: Operand,
    stop: Operand,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Any:
    """Numbers from start to stop with equal differences.

    Args:
        start, stop: Numbers or arrays, which broadcast.
        num: How many numbers.
        endpoint: Whether stop is the last one.
        retstep: Return (numbers, difference).
        dtype: A floating dtype of the result.
        axis: Which axis of the result the numbers run along.
    """
    start, stop = [x if isinstance(x, (int, float)) else as_operand(x) for x in (start, stop)]
    out = finished(_linspace(start, stop, num, endpoint), dtype, axis)
    steps = num - 1 if endpoint else num
    return (out, (stop - 1.0 * start) / (steps if steps > 0 else np.nan)) if retstep else out


def finished(out: Tensor, dtype: DTypeLike | None, axis: int) -> Tensor:
    """The numbers along the first axis in a dtype and along another axis."""
    out = out if dtype is None else astype(out, dtype)
    return moveaxis(out, 0, axis) if axis else out


@op(
    lambda g, out, start, stop, num, endpoint: g * out / start * (1 - way(g, num, endpoint)),
    lambda g, out, start, stop, num, endpoint: g * out / stop * way(g, num, endpoint),
)
def _geomspace(start: Array, stop: Array, num: int, endpoint: bool) -> Array:
    """Numbers from start to stop with equal ratios."""
    if type(start) not in KINDS and type(stop) not in KINDS:
        return np.geomspace(start, stop, num, endpoint, np.result_type(start, stop, 1.0))
    ratio = (stop / start)[None]
    return (start * ratio ** way(ratio, num, endpoint)).astype(np.result_type(start, stop, 1.0))


def geomspace(
    start: Operand, stop: Operand, num: int = 50, endpoint: bool = True, dtype: DTypeLike | None = None, axis: int = 0
) -> Tensor:
    """Numbers from start to stop, of one sign, with equal ratios: start**(1 - t) * stop**t, for t from 0 to 1.

    In the dtype of start and stop, where NumPy's function would make float64 of all. Arguments as for `linspace`.
    """
    start, stop = [x if isinstance(x, (int, float)) else as_operand(x) for x in (start, stop)]
    return finished(_geomspace(start, stop, num, endpoint), dtype, axis)


def logspace(
    start: Operand,
    stop: Operand,
    num: int = 50,
    endpoint: bool = True,
    base: Operand = 10.0,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Tensor:
    """Numbers from base**start to base**stop with equal ratios. `base`, too, may be an array, which broadcasts."""
    exponents = linspace(start, stop, num, endpoint)
    ndim = np.ndim(plain(base))
    if ndim > exponents.ndim - 1:  # the points are along the first axis: make room behind it
        places = tuple(range(1, ndim - exponents.ndim + 2))
        exponents = expand_dims(exponents, places)
    return finished(power(base if isinstance(base, (int, float)) else as_operand(base), exponents), dtype, axis)
