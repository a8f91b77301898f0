"""What a NumPy function does with a Tensor: one table of all that dispatch on their arguments, in four classes.

D, differentiates: the function of that name in `ops` runs, and a Tensor comes out.
Z, locally constant: the same, and the derivative is 0.
V, works on values: what NumPy returns for the plain data; booleans, indices and shapes have no derivative by nature.
R, refuses, and says why: each reason stands with the functions it is true of.

`python demos/numpy_table.py` prints the table. A function that an older NumPy lacks is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import Parameter, signature
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine import is_tensor, plain

__all__ = ["NUMPY", "REFUSED", "Entry", "dispatch", "dispatch_ufunc", "found", "full_name", "table"]

NUMPY = {
    "D": """
        abs absolute fabs positive negative add subtract multiply divide true_divide reciprocal power pow float_power
        square sqrt cbrt exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sin cos tan arcsin arccos arctan
        arctan2 asin acos atan atan2 sinh cosh tanh arcsinh arccosh arctanh asinh acosh atanh hypot sinc i0 deg2rad
        rad2deg degrees radians maximum minimum fmax fmin clip copysign fmod remainder mod divmod modf ldexp nan_to_num
        real conj conjugate real_if_close where select piecewise choose astype copy

        sum mean prod max min amax amin ptp var average std median quantile percentile nansum nanmean nanprod nanmax
        nanmin nanvar nanstd nanmedian nanquantile nanpercentile nancumsum nancumprod cumsum cumprod cumulative_sum
        cumulative_prod diff ediff1d gradient trapezoid interp convolve correlate cov corrcoef unwrap apply_along_axis
        apply_over_axes bincount

        reshape ravel transpose permute_dims matrix_transpose swapaxes moveaxis rollaxis squeeze expand_dims atleast_1d
        atleast_2d atleast_3d broadcast_to broadcast_arrays meshgrid resize concatenate concat stack vstack hstack
        dstack column_stack block append insert delete split array_split hsplit vsplit dsplit unstack flip fliplr
        flipud roll rot90 tile repeat pad tril triu diag diagflat diagonal trace vander extract compress take
        take_along_axis sort partition unique unique_values trim_zeros linspace geomspace logspace fft.fftshift
        fft.ifftshift lib.stride_tricks.sliding_window_view

        matmul dot vdot inner outer tensordot kron cross einsum vecdot matvec vecmat polyval polyadd polysub polymul
        polyint polyder polyfit

        linalg.norm linalg.vector_norm linalg.matrix_norm linalg.inv linalg.det linalg.slogdet linalg.solve
        linalg.lstsq linalg.pinv linalg.matrix_power linalg.multi_dot linalg.cholesky linalg.qr linalg.eigh
        linalg.eigvalsh linalg.svd linalg.svdvals linalg.cond linalg.cross linalg.outer linalg.tensordot linalg.trace
        linalg.diagonal linalg.matmul linalg.vecdot linalg.matrix_transpose linalg.tensorsolve linalg.tensorinv
    """,
    "Z": "sign floor ceil trunc rint round around fix floor_divide heaviside imag",
    "V": """
        all any allclose array_equal array_equiv array2string array_repr array_str argmax argmin argpartition argsort
        argwhere nanargmax nanargmin can_cast common_type min_scalar_type result_type count_nonzero digitize
        searchsorted lexsort nonzero flatnonzero einsum_path equal not_equal less less_equal greater greater_equal
        isclose isfinite isinf isnan isneginf isposinf isreal isrealobj iscomplex iscomplexobj isin in1d logical_and
        logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_invert bitwise_count
        invert signbit histogram histogram2d histogramdd histogram_bin_edges ndim shape size may_share_memory
        shares_memory zeros_like ones_like empty_like full_like unique_all unique_counts unique_inverse
        linalg.matrix_rank save savetxt savez savez_compressed ravel_multi_index unravel_index diag_indices_from
        tril_indices_from triu_indices_from ix_
    """,
}
IN_PLACE = "writes into its first argument, and the graph would not know; "
COMPLEX = "returns complex numbers, and gradients need real floats; "
REFUSED = {  # names: the reason
    "copyto": IN_PLACE + "use assign() for a leaf, np.broadcast_to instead of np.full, np.where(where, src, dst)",
    "place": IN_PLACE + "use np.where(mask, values, x)",
    "put": IN_PLACE + "use np.where with a mask, or np.concatenate of parts",
    "putmask": IN_PLACE + "use np.where(mask, values, x)",
    "put_along_axis": IN_PLACE + "use np.where(np.arange(n) == indices, values, x)",
    "fill_diagonal": IN_PLACE + "use np.where(np.eye(n, dtype=bool), value, x)",
    "fft.fft fft.fft2 fft.fftn fft.ifft fft.ifft2 fft.ifftn fft.rfft fft.rfft2 fft.rfftn fft.ihfft": COMPLEX
    + "for a spectrum multiply by a matrix of cosines and one of sines, np.cos(2 * np.pi * np.outer(k, n) / N)",
    "fft.irfft fft.irfft2 fft.irfftn fft.hfft": "takes complex numbers, and a Tensor is real; for its sum of waves "
    "multiply by a matrix of cosines and one of sines, np.cos(2 * np.pi * np.outer(n, k) / N)",
    "linalg.eig": COMPLEX + "use np.linalg.eigh if the matrix is symmetric, np.linalg.svd if not",
    "linalg.eigvals": COMPLEX + "use np.linalg.eigvalsh if the matrix is symmetric, np.linalg.svdvals if not",
    "roots": COMPLEX + "pass tensor.data, or find one root with Newton's method and np.polyval",
    "sort_complex": COMPLEX + "use np.sort",
    "angle": "is the argument of a complex number, and numbers here are real; use np.arctan2(y, x)",
    "union1d intersect1d setdiff1d setxor1d": "asks which floats are the same, and its length jumps with the answer; "
    "pass tensor.data, and index the Tensor with what you find",
    "gcd lcm": "works on integers, and a Tensor holds floats; pass tensor.data.astype(int)",
    "packbits unpackbits left_shift right_shift bitwise_left_shift bitwise_right_shift": "works on bits, and a Tensor "
    "holds floats; pass tensor.data.astype(int)",
    "isnat busday_count busday_offset is_busday datetime_as_string": "works on dates, and a Tensor holds floats; pass "
    "an array of dates",
    "poly": "goes by complex roots; multiply the factors with np.polymul, or pass tensor.data",
    "polydiv": "has as many results as leading zeros leave; divide np.polyval of both, or pass tensor.data",
    "frexp": "takes a float apart into bits; use np.log2 and np.exp2, or pass tensor.data",
    "nextafter": "steps to the neighbouring float, which is a property of the dtype; pass tensor.data",
    "spacing": "is the distance to the neighbouring float, a property of the dtype; pass tensor.data",
}
Entry = tuple[str, Any]  # the class, and ours for D and Z, the reason for R


def found(module: Any, name: str) -> Any:
    """module.name, also "linalg.norm"; None where this NumPy lacks it."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def ours(name: str) -> Any:
    """The function of `ops`: only np.linalg has a namespace of its own there."""
    return found(ops, name if name.startswith("linalg.") else name.rpartition(".")[2])


OTHER_NAMES = {"amax": ops.max, "amin": ops.min}
TABLE: dict[Any, Entry] = {}  # by function; what reads it calls `table` first
UNKNOWN = ("R", "is in no class of our table, so no derivative of it is known; pass tensor.data for plain values")

KEYWORDS = {  # why a keyword of NumPy's is refused where ours does not have it
    "out": "it writes into an array, and the graph would not know; use what the function returns",
    "where": "the other places would keep what was in memory; use np.where(condition, f(x), x)",
    "casting": "a Tensor is cast with astype()",
    "copy": "leave it out: nobody can write into a result, so a view is as good as a copy",
    "order": "the order in memory is not part of a Tensor",
    "dtype": "cast the operands or the result with astype()",
}
LOST = {  # the place and name of an argument whose derivative a function of class V would lose
    np.full_like: (1, "fill_value"), np.histogram: (4, "weights"), np.histogram2d: (5, "weights"),
    np.histogramdd: (4, "weights"),
}  # fmt: skip
HANDS_ON = {"apply_along_axis", "piecewise"}  # further keywords to the function that they call
REDUCE = {np.add: ops.sum, np.multiply: ops.prod, np.maximum: ops.max, np.minimum: ops.min, np.logaddexp: ops.logsumexp}
ACCUMULATE = {np.add: ops.cumsum, np.multiply: ops.cumprod}


def table() -> dict[Any, Entry]:
    """TABLE, filled at the first call: np.fft takes a while to load."""
    if not TABLE:
        entries = {found(np, name): ("R", reason) for names, reason in REFUSED.items() for name in names.split()}
        for kind in "VZD":
            entries |= {found(np, name): (kind, OTHER_NAMES.get(name) or ours(name)) for name in NUMPY[kind].split()}
        entries.pop(None, None)  # what this NumPy lacks
        TABLE.update(entries)  # at once, as threads may ask
    return TABLE


def full_name(func: Any) -> str:
    """How the function is called in a program: np.linalg.norm."""
    return "np." + f"{getattr(func, '__module__', '') or ''}.{func.__name__}".removeprefix("numpy.").lstrip(".")


def values(x: Any) -> Any:
    """An argument with the plain data of each Tensor in it."""
    if isinstance(x, (list, tuple)):
        return [values(y) for y in x] if type(x) is list else tuple([values(y) for y in x])
    return plain(x)


@cache
def renamed(func: Any, own: Any) -> tuple[tuple[str, ...] | None, dict[str, str | None], dict[str, Any]]:
    """NumPy's positional parameters (None: any number, or unknown), each as ours is called, and NumPy's defaults.

    For np.sum(a, axis, dtype, out, ...) and our sum(x, axis, ...) a becomes x, axis stays, and out, which is None here,
    is refused.
    """
    mine = list(signature(own).parameters.values())
    names = [x.name for x in mine if x.kind is not Parameter.VAR_KEYWORD]
    try:
        theirs = list(signature(func).parameters.values())
    except ValueError:  # an older NumPy knows no signature of what is written in C
        return None, {name: name for name in names}, {}
    known = [x.name for x in theirs]
    places = [x.name for x in mine if x.kind is Parameter.POSITIONAL_OR_KEYWORD]
    other = {x: y for x, y in zip(known, places, strict=False) if y not in known and x != "out"}
    ways = {name: name if name in names else other.get(name) for name in known} | {name: name for name in names}
    variadic = any(x.kind is Parameter.VAR_POSITIONAL for x in theirs)
    positional = tuple([x.name for x in theirs if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)])
    return None if variadic else positional, ways, {x.name: x.default for x in theirs}


def refusal(func: Any, keyword: str) -> TypeError:
    """The error for a keyword that ours does not have."""
    why = KEYWORDS.get(keyword, "it is not differentiable here; pass tensor.data for plain values")
    return TypeError(f"{full_name(func)} with {keyword}=: {why}")


def on_values(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What NumPy returns for the plain data."""
    position, name = LOST.get(func, (0, ""))
    lost = kwargs.get(name, args[position] if name and len(args) > position else None)
    if getattr(lost, "requires_grad", False):
        raise TypeError(f"{full_name(func)}: the derivative to {name} would be lost; pass values: {name}=tensor.data")
    out = kwargs.get("out")
    if any(is_tensor(x) for x in (out if isinstance(out, tuple) else (out,))):
        raise refusal(func, "out")
    return func(*[values(x) for x in args], **{name: values(x) for name, x in kwargs.items()})


def dispatch(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Runs a NumPy function that was called with a Tensor.

    Raises:
        TypeError: The function, or one of its keywords, is refused.
    """
    kind, entry = TABLE.get(func) or table().get(func, UNKNOWN)
    if kind == "R":
        raise TypeError(f"{full_name(func)} {entry}")
    if kind == "V" or (func is np.where and len(args) == 1):
        return on_values(func, args, kwargs)
    positional, ways, defaults = renamed(func, entry)
    if positional is not None:
        args, kwargs = (), dict(zip(positional, args, strict=False)) | kwargs
    hands_on = positional is None and entry.__name__ in HANDS_ON
    named = {}
    for name, value in kwargs.items():
        to = ways.get(name, name if hands_on else None)
        if to is not None:
            named[to] = bool(value) if to == "keepdims" and isinstance(value, int) else value  # NumPy takes 1 for True
        elif value is not None and not (name in defaults and value is defaults[name]):
            raise refusal(func, name)
    return entry(*args, **named)


def dispatch_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Runs a ufunc that was called with a Tensor, or one of its methods: np.add.reduce, np.multiply.outer.

    Raises:
        TypeError: The ufunc, its method, or one of the keywords is refused.
    """
    kind, entry = TABLE.get(ufunc) or table().get(ufunc, UNKNOWN)
    if method == "__call__" and not kwargs and kind in "DZ":
        return entry(*inputs)
    if kind == "V":
        return on_values(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)
    kwargs = {name: x for name, x in kwargs.items() if x is not None or name == "axis"}  # axis=None is all axes
    if "out" in kwargs:
        raise refusal(ufunc, "out")
    if method == "__call__":
        if "dtype" in kwargs:
            dtype = kwargs.pop("dtype")
            inputs = [ops.astype(x, dtype) for x in inputs]
        return dispatch(ufunc, inputs, kwargs)
    if method == "reduce" and ufunc in REDUCE:
        return REDUCE[ufunc](*inputs, **{"axis": 0} | kwargs)
    if method == "accumulate" and ufunc in ACCUMULATE:
        return ACCUMULATE[ufunc](*inputs, **{"axis": 0} | kwargs)
    if method == "outer" and kind in "DZ" and not kwargs:
        x, y = [ops.as_operand(x) for x in inputs]
        return entry(ops.reshape(x, x.shape + (1,) * y.ndim), y)
    raise TypeError(f"{full_name(ufunc)}.{method} is not differentiable here; pass tensor.data for plain values")
