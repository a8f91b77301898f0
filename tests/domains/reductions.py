"""Domains of ops/reductions.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, axes_of, axis_of, full, generators, shapes_nd, small_factors, spaced, with_axis


@st.composite
def masks(draw, x, axis):
    """A mask of x's shape, or of its last axis, that leaves something to each sum along the axes."""
    shape = x.shape[draw(st.integers(0, 1)) * (x.ndim - 1) :] if x.ndim else ()
    mask = draw(generators).uniform(size=shape) < 0.7
    return mask if np.all(np.any(np.broadcast_to(mask, x.shape), axis)) else np.ones(shape, bool)


@st.composite
def reduced(draw, elements, initial=None, masked=True, holes=False, scalar_axes=(None, 0, -1, ())):
    """((x,), axis, keepdims, and perhaps where= and initial=); with holes, some elements are NaN.

    NumPy's max and min take where= only with initial=.
    """
    x = np.array(draw(elements))
    axis = draw(axes_of(x.shape)) if x.ndim else draw(st.sampled_from(scalar_axes))
    kwargs = {"axis": axis, "keepdims": draw(st.booleans())}
    if initial is not None and draw(st.booleans()):
        kwargs["initial"] = draw(st.sampled_from(initial))
    if masked and (masked != "with initial" or "initial" in kwargs) and draw(st.booleans()):
        kwargs["where"] = draw(masks(x, axis))
    if holes and draw(st.booleans()):
        mask = np.broadcast_to(draw(masks(x, axis)), x.shape)
        left = mask & kwargs.get("where", True)
        x[~mask if np.all(np.any(left, axis)) else False] = np.nan
    return (x[()],), kwargs


@st.composite
def running(draw, holes=False):
    """An array to run along an axis, or flattened; factors may be 0."""
    x = np.array(draw(arrays(shapes_nd | st.just(())) | small_factors))
    if holes:
        x[draw(generators).uniform(size=x.shape) < 0.3] = np.nan
    axis = draw(st.none() | (axis_of(x.shape) if x.ndim else st.sampled_from([0, -1])))
    return (x[()],), {"axis": axis}


@st.composite
def cumulated(draw):
    """The Array API's keywords."""
    x = draw(arrays(full))
    axis = draw(axis_of(x.shape) if np.ndim(x) > 1 else st.sampled_from([None, 0, -1]))
    return (x,), {"axis": axis, "include_initial": draw(st.booleans())}


@st.composite
def recurrent(draw):
    """Two arrays of one shape, and an axis."""
    shape = draw(shapes_nd)
    return (draw(arrays(shape)), draw(arrays(shape))), {"axis": draw(axis_of(shape))}


def recurrence(x, a, axis):
    """One element after the other."""
    x, a = np.moveaxis(x, axis, 0), np.moveaxis(a, axis, 0)
    out = np.zeros(x.shape)
    for k in range(len(x)):
        out[k] = x[k] + (a[k] * out[k - 1] if k else 0)
    return np.moveaxis(out, 0, axis)


def cumulative(function, first):
    """NumPy has it from 2.1 on."""

    def cumulate(x, axis, include_initial):
        x, axis = np.atleast_1d(x), axis or 0
        out = function(x, axis)
        one = np.full([1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)], float(first))
        return np.concatenate((one, out), axis) if include_initial else out

    return cumulate


anything = arrays(shapes_nd | st.just(()))
factors = anything | small_factors
peaked = spaced(full)
limits = [-100.0, 0.0, 100.0]

OPS = {
    "cumprod": with_axis(factors, optional=True),
    "recurrence": recurrent(),
}

FUNCTIONS = {
    "cumprod": running(),
    "cumsum": running(),
    "cumulative_prod": cumulated(),
    "cumulative_sum": cumulated(),
    "max": reduced(peaked, limits, masked="with initial"),
    "mean": reduced(arrays(full), scalar_axes=(None, ())),  # NumPy's mean knows no axis 0 there
    "min": reduced(peaked, limits, masked="with initial"),
    "nancumprod": running(holes=True),
    "nancumsum": running(holes=True),
    "nanmax": reduced(peaked, limits, masked="with initial", holes=True),
    "nanmin": reduced(peaked, limits, masked="with initial", holes=True),
    "nanprod": reduced(arrays(full), [2.5], holes=True),
    "nansum": reduced(arrays(full), [2.5], holes=True),
    "prod": reduced(factors, [2.5]),
    "ptp": reduced(peaked, masked=False),
    "sum": reduced(anything, [2.5]),
}

REFERENCES = {
    "cumulative_prod": cumulative(np.cumprod, 1),
    "cumulative_sum": cumulative(np.cumsum, 0),
    "recurrence": recurrence,
}
