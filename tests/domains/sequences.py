"""Domains of ops/sequences.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, axes_of, axis_of, full_nd, generators, shapes, shapes_nd

import tinygrad_edu

vectors = arrays(st.tuples(st.integers(1, 4)))
modes = st.fixed_dictionaries({}, optional={"mode": st.sampled_from(["full", "same", "valid"])})


@st.composite
def differences(draw):
    """How often, along which axis, and what stands before and behind."""
    x = draw(arrays(shapes_nd))
    n, axis = draw(st.integers(0, 3)), draw(axis_of(x.shape))
    end = st.sampled_from([1.5, 2, np.float64(0.5), x[:]])
    if draw(st.booleans()):
        return (x, max(n, 1), axis, draw(end), draw(end)), {}
    return (x,), {"n": n, "axis": axis, draw(st.sampled_from(["prepend", "append"])): 1.5}


@st.composite
def ended(draw):
    """What stands before and behind the differences."""
    end = st.none() | st.sampled_from([1.5, [1, 2]]) | arrays()
    return (draw(arrays()), draw(end), draw(end)), {}


@st.composite
def areas(draw):
    """Widths as a number, an array, coordinates, or coordinates for each sample."""
    y = draw(arrays(shapes_nd))
    axis = draw(axis_of(y.shape))
    n = y.shape[axis]
    along = np.reshape(np.ones(max(n - 1, 0)), (-1,) + (1,) * (y.ndim - 1 - axis % y.ndim))
    x = draw(st.none() | arrays(st.sampled_from([(n,), y.shape])))
    return (y, x, 1.0 if x is not None else draw(st.sampled_from([1.0, 0.5, along * 1.5]))), {"axis": axis}


@st.composite
def sampled(draw):
    """Steps and coordinates, some evenly spaced, of one axis, of several, or of all."""
    order = draw(st.sampled_from([1, 2]))
    shape = draw(st.lists(st.integers(order + 1, 4), min_size=1, max_size=2))
    axis = draw(st.none() | axis_of(shape) | st.permutations(range(len(shape))).map(tuple))
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    rng, forms = draw(generators), [lambda n: 0.5, lambda n: 2, lambda n: np.arange(n) * 2]
    forms += [lambda n: np.cumsum(rng.uniform(0.5, 1.5, n)), lambda n: -np.cumsum(rng.uniform(0.5, 1.5, n))]
    each = [draw(st.sampled_from(forms))(shape[i]) for i in axes]
    spacing = draw(st.sampled_from([(), (0.5,), (np.float64(1.5),), each]))
    return (draw(arrays(tuple(shape))), *spacing), {"axis": axis, "edge_order": order}


@st.composite
def wrapped(draw):
    """Angles whose steps are no odd multiples of half a period."""
    shape, rng = draw(full_nd), draw(generators)
    axis, period = draw(axis_of(shape)), draw(st.sampled_from([2 * np.pi, 3.0]))
    steps = period * (rng.integers(-2, 3, shape) + rng.uniform(-0.4, 0.4, shape))
    params = {"axis": axis, "period": period, "discont": draw(st.sampled_from([None, 1.5 * period]))}
    return (np.cumsum(steps, axis),), params


@st.composite
def points(draw, composed=False):
    """Places inside, before and behind all segments, and points at least 0.5 apart."""
    rng, n = draw(generators), draw(st.integers(1, 4))
    xp = np.cumsum(rng.uniform(0.5, 1.0, n)) - 1
    ends = np.concatenate([xp[:1] - 1, xp, xp[-1:] + 1])
    i = rng.integers(0, n + 1, draw(shapes))
    x = ends[i] + (ends[i + 1] - ends[i]) * rng.uniform(0.2, 0.8, i.shape)
    fp = rng.uniform(-2, 2, n)
    if not composed:
        return (x, xp, fp), {}
    if draw(st.booleans()):
        order, turns = rng.permutation(n), rng.integers(-2, 3, n)
        fitting = float(draw(st.sampled_from([1.0, -1.0])) * (ends[-1] - ends[0]))
        return (x, (xp + turns * fitting)[order], fp), {"period": fitting, "left": 5.0}
    return (x, xp, fp, *draw(st.sampled_from([(), (0.5,), (None, 2.0), (rng.uniform(), rng.uniform())]))), {}


@st.composite
def counted(draw):
    """Numbers and their weights."""
    rng, n = draw(generators), draw(st.integers(1, 5))
    return (rng.integers(0, 4, n), draw(arrays((n,)))), {"minlength": draw(st.sampled_from([0, 2, 7]))}


@st.composite
def along_axis(draw):
    """Functions of a vector that return numbers, vectors of any length, and matrices."""
    x = draw(arrays(full_nd))
    functions = [
        (lambda v: v * v, (), {}),
        (lambda v, c: (c * v * v).sum(), (3.0,), {}),
        (lambda v, *, c: tinygrad_edu.concatenate([v, c * v * v]), (), {"c": 2.0}),
        (lambda v: tinygrad_edu.outer(v, v[:2]), (), {}),
    ]
    function, args, kwargs = draw(st.sampled_from(functions))
    return (function, draw(axis_of(x.shape)), x, *args), kwargs


OPS = {
    "bincount": counted(),
    "convolve": st.tuples(
        st.tuples(vectors, vectors), st.fixed_dictionaries({"mode": st.sampled_from(["full", "valid"])})
    ),
    "interp": points(),
    "unwrap": wrapped(),
}

FUNCTIONS = {
    "apply_along_axis": along_axis(),
    "apply_over_axes": arrays(full_nd).flatmap(
        lambda x: st.tuples(
            st.tuples(
                st.sampled_from([tinygrad_edu.sum, tinygrad_edu.cumsum]),
                st.just(x),
                axes_of(x.shape).filter(lambda axis: axis is not None),
            ),
            st.just({}),
        )
    ),
    "bincount": counted(),
    "convolve": st.tuples(st.tuples(vectors | arrays(()), vectors | arrays(())), modes),
    "correlate": st.tuples(st.tuples(vectors, vectors), modes),
    "diff": differences(),
    "ediff1d": ended(),
    "gradient": sampled(),
    "interp": points(composed=True),
    "trapezoid": areas(),
}

REFERENCES = {}
