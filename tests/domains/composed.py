"""Domains of the composed functions that a first course begins with, of `functional`, and of the losses."""

import math

import numpy as np
from hypothesis import strategies as st
from strategies import (
    arrays,
    axes_of,
    axis_of,
    drawn,
    einsums,
    full,
    full_nd,
    pairs,
    products,
    several,
    shapes,
    spaced,
    with_axis,
)

from domains import losses
from domains.basics import one

OPS = {}

matrices = arrays(st.tuples(*[st.integers(1, 3)] * 2) | st.tuples(*[st.integers(1, 3)] * 3))
dots = products | pairs.map(lambda s: (s[0], ())) | st.sampled_from([((2, 3), (2, 3, 1)), ((3,), (2, 3, 2)), ((), ())])


def with_diagonal(shape):
    """Keyword arguments of diagonal and trace."""
    axes = st.permutations([-1, 0, 1] if len(shape) > 2 else [0, 1])
    return st.tuples(axes, st.integers(-2, 2)).map(lambda a: {"offset": a[1], "axis1": a[0][0], "axis2": a[0][1]})


@st.composite
def lists(draw, equal=False):
    """((arrays,), {"axis": axis}) to join."""
    shape = draw(full_nd)
    n, axis = draw(st.integers(1, 3)), draw(axis_of(shape))
    if equal:
        axis = draw(st.integers(-len(shape) - 1, len(shape)))
        return ([draw(arrays(shape)) for _ in range(n)],), {"axis": axis}
    lengths = [draw(st.integers(0, 3)) for _ in range(n)]
    parts = [draw(arrays((*shape[: axis % len(shape)], m, *shape[axis % len(shape) :][1:]))) for m in lengths]
    return (parts,), {"axis": draw(st.sampled_from([axis, None]))}


@st.composite
def squeezed(draw):
    """An array with axes of length 1, and none, one or several of them."""
    shape = draw(full)
    places = [i - len(shape) * (i % 2) for i, n in enumerate(shape) if n == 1]
    axis = draw(st.sampled_from([None, *places, tuple(places)]))
    return (draw(arrays(shape)),), {"axis": axis}


@st.composite
def moved(draw):
    """Source and destination as numbers or as sequences."""
    shape = draw(full_nd)
    if draw(st.booleans()):
        return (draw(arrays(shape)), draw(axis_of(shape)), draw(axis_of(shape))), {}
    order = draw(st.permutations(range(len(shape))))
    return (draw(arrays(shape)), tuple(range(len(shape))), tuple([k - len(shape) for k in order])), {}


@st.composite
def padded(draw):
    """pad_width in all its forms."""
    shape, width = draw(full_nd), st.integers(0, 2)
    pair = st.tuples(width, width)
    form = draw(st.sampled_from([width, pair, st.tuples(pair), st.tuples(*[pair] * len(shape))]))
    return (draw(arrays(shape)), draw(form)), {"constant_values": draw(st.sampled_from([0, 1.5]))}


@st.composite
def repeated(draw):
    """One number of repeats, or one per element."""
    x = draw(arrays(full))
    axis = draw(st.none() | axis_of(x.shape)) if x.ndim else None
    n = x.size if axis is None else x.shape[axis]
    return (x, draw(st.integers(0, 3) | st.lists(st.integers(0, 2), min_size=n, max_size=n))), {"axis": axis}


@st.composite
def rolled(draw):
    """Shifts of one axis, of several, or of the flattened array."""
    x = draw(arrays(full))
    axis = draw(axes_of(x.shape))
    shift = st.integers(-4, 4)
    return (x, draw(st.tuples(*[shift] * len(axis)) if isinstance(axis, tuple) else shift)), {"axis": axis}


@st.composite
def parted(draw):
    """Sections or places to split at."""
    shape = draw(full_nd)
    axis = draw(axis_of(shape))
    sections = st.sampled_from([1, shape[axis], [1], [0, 2], [1, 1, 5], []])
    return (draw(arrays(shape)), draw(sections)), {"axis": axis}


@st.composite
def limited(draw):
    """Limits by position and by name, as numbers, arrays or nothing."""
    x = draw(spaced(full))
    low, high = draw(st.sampled_from([(-0.8, 0.8), (None, 0.4), (0.0, None)]))
    array = np.full(x.shape, -0.4)
    return draw(st.sampled_from([((x, low, high), {}), ((x,), {"a_min": low, "a_max": high}), ((x, array, high), {})]))


@st.composite
def dense(draw):
    """x, weight and perhaps a bias."""
    *lead, inputs = draw(full_nd)
    outputs = draw(st.integers(1, 3))
    bias = draw(st.none() | arrays((outputs,)))
    return (draw(arrays((*lead, inputs))), draw(arrays((outputs, inputs))), bias), {}


@st.composite
def sloped(draw):
    """An array, with one slope for all or one for each channel."""
    x = draw(spaced(shapes))
    channels = [(x.shape[1],)] if x.ndim > 1 else []
    return (x, draw(arrays(st.sampled_from([(), (1,), *channels]), low=0.1))), {}


def gelu(x, approximate):
    """From the definitions."""
    if approximate == "none":
        return x / 2 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def prelu(x, weight):
    """From the definition, with the channels moved to the end."""
    channels_last = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    out = np.where(channels_last > 0, channels_last, channels_last * (weight if x.ndim > 1 else weight.reshape(())))
    return np.moveaxis(out, -1, 1) if x.ndim > 1 else out


FUNCTIONS = (
    losses.LOSSES
    | losses.VECTORS
    | {
        "clip": limited(),
        "concatenate": lists(),
        "copy": one,
        "diagonal": matrices.flatmap(lambda x: st.tuples(st.just((x,)), with_diagonal(x.shape))),
        "dot": st.tuples(several(dots), st.just({})),
        "elu": drawn(spaced(), alpha=lambda shape: st.sampled_from([1.0, 0.3])),
        "einsum": einsums().map(lambda case: ((case[1], *case[0]), {})),
        "flatten": one,
        "flip": drawn(arrays(), axis=axes_of),
        "gelu": drawn(arrays(), approximate=lambda shape: st.sampled_from(["none", "tanh"])),
        "linear": dense(),
        "logsumexp": with_axis(arrays(full), keepdims=True, several=True),
        "moveaxis": moved(),
        "outer": st.tuples(several(), st.just({})),
        "pad": padded(),
        "prelu": sloped(),
        "ravel": one,
        "repeat": repeated(),
        "roll": rolled(),
        "silu": one,
        "sort": with_axis(spaced(full_nd), optional=True),
        "split": parted(),
        "square": one,
        "squeeze": squeezed(),
        "stack": lists(equal=True),
        "swapaxes": arrays(full_nd).flatmap(
            lambda x: st.tuples(st.tuples(st.just(x), *[axis_of(x.shape)] * 2), st.just({}))
        ),
        "tile": drawn(arrays(), reps=lambda shape: st.sampled_from([2, 0, (2,), (1, 2), (2, 1, 1, 2)])),
        "trace": matrices.flatmap(lambda x: st.tuples(st.just((x,)), with_diagonal(x.shape))),
        "tril": drawn(arrays(full_nd), k=lambda shape: st.integers(-2, 2)),
        "triu": drawn(arrays(full_nd), k=lambda shape: st.integers(-2, 2)),
    }
)


REFERENCES = losses.REFERENCES | {
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "flatten": np.ravel,
    "gelu": gelu,
    "linear": lambda x, weight, bias: np.matmul(x, weight.T) + (0 if bias is None else bias),
    "logsumexp": lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
    "prelu": prelu,
    "silu": lambda x: x / (1 + np.exp(-x)),
}
