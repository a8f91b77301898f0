"""Domains of the functions with a rule of their own that a first course begins with, and of convolution.

OP_REFERENCES is for the ops whose operands and parameters are not the arguments of the public function.
"""

import math

import numpy as np
from hypothesis import strategies as st
from strategies import (
    arrays,
    axis_of,
    convolutions,
    drawn,
    einsums,
    full,
    full_nd,
    generators,
    images,
    indices,
    pairs,
    products,
    several,
    shapes,
    small_factors,
    spaced,
    triples,
    with_axis,
)

one = st.tuples(st.tuples(arrays()), st.just({}))
positive = st.tuples(st.tuples(arrays(low=0.5)), st.just({}))
kinked = st.tuples(st.tuples(spaced()), st.just({}))
two = st.tuples(several(), st.just({}))
two_kinked = st.tuples(pairs.flatmap(lambda s: st.tuples(spaced(s[0]), spaced(s[1], offset=0.2))), st.just({}))


def masked(shapes):
    """A mask and two arrays."""
    return st.tuples(
        generators.map(lambda rng: rng.uniform(size=shapes[0]) < 0.5), arrays(shapes[1]), arrays(shapes[2])
    )


def constant_exponents(x):
    """An array and a Python exponent."""
    return st.tuples(st.just(x), st.sampled_from([2, 3, -1, 0, 1, 0.5, -1.5, 2.0]))


def reshaped(shape):
    """Shapes of as many elements."""
    n = int(np.prod(shape))
    return st.sampled_from([n, (n,), (1, n), (n, 1), tuple(shape[::-1]), (*shape[:1], -1) if n else tuple(shape)])


def widened(shape):
    """Shapes to broadcast to."""
    return st.sampled_from([shape, (2, *shape), tuple([3 if n == 1 else n for n in shape]), (2, 1, *shape)])


def inserted(shape):
    """Places for new axes."""
    return st.integers(-len(shape) - 1, len(shape)) | st.sampled_from([(0, -1), (1, 0), (-2,) if shape else (0,)])


def orders(shape):
    """Permutations of the axes, some counted from the end."""
    order = st.permutations(range(len(shape)))
    return st.none() | order.map(lambda k: tuple(k)) | order.map(lambda k: [i - len(shape) for i in k])


@st.composite
def scattered(draw):
    """What getitem would take from an array of a drawn shape, to be put back."""
    shape = draw(shapes)
    index = draw(indices(shape))
    x = draw(arrays(np.zeros(shape)[index].shape))
    return (x,), {"index": index, "shape": shape}


@st.composite
def sequences(draw):
    """Arrays that differ in length along one axis, or in shape where axis is None."""
    axis = draw(st.none() | st.integers(-2, 1))
    n = draw(st.integers(1, 3))
    if axis is None:
        return tuple([draw(arrays(shapes)) for _ in range(n)]), {"axis": None}
    lengths = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return tuple([draw(arrays((m, 2) if axis % 2 == 0 else (2, m))) for m in lengths]), {"axis": axis}


@st.composite
def dense(draw):
    """x, weight and bias of a linear layer."""
    *lead, inputs = draw(full_nd)
    outputs = draw(st.integers(1, 3))
    return (draw(arrays((*lead, inputs))), draw(arrays((outputs, inputs))), draw(arrays((outputs,)))), {}


@st.composite
def classified(draw):
    """Logits, with labels, or with weights that need not add up to 1."""
    shape = draw(full_nd)
    logits, rng = draw(arrays(shape)), draw(generators)
    labels = rng.integers(0, shape[-1], shape[:-1])
    return logits, np.asarray(labels) if draw(st.booleans()) else rng.uniform(0, 1, shape)


@st.composite
def softmax_pairs(draw):
    """A gradient, and what is not changed by more than a factor: any numbers of one shape."""
    x = draw(arrays(full_nd))
    return (draw(arrays(st.just(x.shape))), x), {"axis": draw(axis_of(x.shape))}


@st.composite
def with_axes(draw, **params):
    """Elements that differ, and the last axis or all."""
    x = draw(spaced(full_nd))
    axes = draw(st.sampled_from([(-1,), tuple(range(-x.ndim, 0))]))
    return (x,), {"axis": axes} | {name: draw(st.sampled_from(values)) for name, values in params.items()}


OPS = {
    "astype": drawn(arrays(), dtype=lambda shape: st.sampled_from([np.float64, "float64", np.longdouble])),
    "negative": one,
    "sqrt": positive,
    "exp": one,
    "expm1": one,
    "log": positive,
    "log1p": positive,
    "abs": kinked,
    "sin": one,
    "cos": one,
    "tanh": one,
    "sigmoid": one,
    "relu": kinked,
    "leaky_relu": drawn(spaced(), negative_slope=lambda shape: st.sampled_from([0.01, 0.5])),
    "softplus": one,
    "erf": one,
    "clamped_log": positive,
    "clamped_log1p": positive,
    "add": two,
    "subtract": two,
    "multiply": two,
    "divide": drawn(pairs.flatmap(lambda s: st.tuples(arrays(s[0]), arrays(s[1], low=0.5)))),
    "power": drawn(several(low=0.5) | arrays(low=0.5).flatmap(constant_exponents)),
    "maximum": two_kinked,
    "minimum": two_kinked,
    "where": drawn(triples.flatmap(masked)),
    "sum": with_axis(keepdims=True, several=True),
    "mean": with_axis(arrays(full), keepdims=True, several=True),
    "max": with_axis(spaced(full), keepdims=True, several=True),
    "min": with_axis(spaced(full), keepdims=True, several=True),
    "prod": with_axis(arrays() | small_factors, keepdims=True, several=True),
    "log_softmax": with_axis(arrays(full_nd)),
    "softmax": with_axis(arrays(full_nd)),
    "softmax_slope": softmax_pairs(),
    "centred": with_axes(),
    "over_rms": with_axes(eps=[0.5, 1e-2]),
    "cumsum": with_axis(arrays(), optional=True),
    "reshape": drawn(arrays(), shape=reshaped),
    "expand_dims": drawn(arrays(), axis=inserted),
    "broadcast_to": drawn(arrays(), shape=widened),
    "transpose": drawn(arrays(), axes=orders),
    "getitem": drawn(arrays(), index=indices),
    "scatter": scattered(),
    "concatenate": sequences(),
    "matmul": drawn(several(products)),
    "linear": dense(),
    "einsum": einsums(explicit=True).map(lambda case: (case[0], {"subscripts": case[1]})),
    "cross_entropy": drawn(classified(), reduction=lambda shape: st.sampled_from(["mean", "sum", "none"])),
    "cross_entropy_slope": drawn(classified()),
    "windows": images(),
    "fold": images(folded=True),
    "max_pool": images(spaced),
    "mean_pool": images(dilated=False),
    "conv2d": convolutions(),
    "conv2d_input": convolutions("x"),
    "conv2d_weight": convolutions("weight"),
}


def scatter(x, index, shape):
    """Zeros with x added at index, by NumPy's unbuffered add."""
    out = np.zeros(shape)
    np.add.at(out, index, x)
    return out


def cross_entropy(logits, target, reduction):
    """From the definition."""
    logarithms = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    p = target if target.ndim == logits.ndim else np.eye(logits.shape[-1])[target]
    losses = -(p * logarithms).sum(-1)
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def cross_entropy_slope(logits, target):
    """Softmax, times the total weight, less the weights."""
    p = target if target.ndim == logits.ndim else np.eye(logits.shape[-1])[target]
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) * p.sum(-1, keepdims=True) - p


def at_window(i, j, size, stride, dilation):
    """The index of the pixels that a window takes."""
    starts = i * stride[0], j * stride[1]
    ends = [start + d * (k - 1) + 1 for start, k, d in zip(starts, size, dilation, strict=True)]
    return (..., *[slice(*each) for each in zip(starts, ends, dilation, strict=True)])


def each_window(x, size, stride, dilation=(1, 1)):
    """The windows one by one: (n, c, rows, columns, *size)."""
    each = zip(x.shape[2:], size, stride, dilation, strict=True)
    rows, columns = [range((n - d * (k - 1) - 1) // s + 1) for n, k, s, d in each]
    return np.stack([np.stack([x[at_window(i, j, size, stride, dilation)] for j in columns], 2) for i in rows], 2)


def fold(x, size, stride, shape, dilation=(1, 1)):
    """Every window added at its place."""
    out = np.zeros(shape)
    for i, j in np.ndindex(*x.shape[2:4]):
        out[at_window(i, j, size, stride, dilation)] += x[:, :, i, j]
    return out


def in_full(weight, groups):
    """Kernels of all channels, with zeros where they do not see one: (out, groups * c, *size)."""
    out = np.zeros((len(weight), groups, *weight.shape[1:]))
    for i, kernel in enumerate(weight):
        out[i, i * groups // len(weight)] = kernel
    return out.reshape(len(weight), -1, *weight.shape[2:])


def conv2d(x, weight, *bias, stride, padding, dilation, groups):
    """The sum of each window times each kernel, and the bias."""
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    out = np.einsum("ncijab,ocab->noij", each_window(x, weight.shape[2:], stride, dilation), in_full(weight, groups))
    return out + bias[0][:, None, None] if bias else out


def conv2d_input(y, weight, stride, padding, shape, dilation, groups):
    """Every kernel, as often as y says, at its place, and the border cut off."""
    whole = (*shape[:2], *[n + 2 * p for n, p in zip(shape[2:], padding, strict=True)])
    seen = np.einsum("noij,ocab->ncijab", y, in_full(weight, groups))
    out = fold(seen, weight.shape[2:], stride, whole, dilation)
    return out[:, :, padding[0] : padding[0] + shape[2], padding[1] : padding[1] + shape[3]]


def conv2d_weight(x, y, stride, padding, shape, dilation, groups):
    """Every window, as often as y says, as far as a kernel sees it."""
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    every = np.einsum("ncijab,noij->ocab", each_window(x, shape[2:], stride, dilation), y)
    mine = in_full(np.ones(shape), groups) == 1
    return every[mine].reshape(shape)


OP_REFERENCES = {
    "astype": lambda x, dtype: np.asarray(x).astype(dtype),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "erf": lambda x: np.vectorize(math.erf, otypes=[float])(x)[()],
    "clamped_log": np.log,
    "clamped_log1p": np.log1p,
    "log_softmax": lambda x, axis: x - np.log(np.exp(x).sum(axis, keepdims=True)),
    "softmax": lambda x, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True),
    "softmax_slope": lambda g, p, axis: p * g - p * (g * p).sum(axis, keepdims=True),
    "centred": lambda x, axis: x - x.mean(axis, keepdims=True),
    "over_rms": lambda x, axis, eps: x / np.sqrt((x * x).mean(axis, keepdims=True) + eps),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "getitem": lambda x, index: np.asarray(x)[index],
    "scatter": scatter,
    "concatenate": lambda *arrays, axis: np.concatenate(arrays, axis),
    "linear": lambda x, weight, bias: np.matmul(x, weight.T) + bias,
    "einsum": lambda *arrays, subscripts: np.einsum(subscripts, *arrays),
    "cross_entropy": cross_entropy,
    "cross_entropy_slope": cross_entropy_slope,
    "windows": each_window,
    "fold": fold,
    "max_pool": lambda x, size, stride, dilation: each_window(x, size, stride, dilation).max((4, 5)),
    "mean_pool": lambda x, size, stride: each_window(x, size, stride).mean((4, 5)),
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
}
