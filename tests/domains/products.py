"""Domains of ops/products.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, drawn, pairs, several, shapes

sizes = st.integers(0, 3)
vdots = st.sampled_from([((2, 3), (3, 2)), ((), ()), ((6,), (2, 3)), ((0,), (2, 0)), ((), (1, 1))])
INNERS = [
    *[((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 3), (4, 3))],
    *[((0,), (0,)), ((2, 3), (2, 1, 3)), ((3,), (2, 2, 3)), ((1, 2, 3), (2, 3)), ((2, 0), (3, 2, 0))],
]
CONTRACTED = [  # axes, shapes
    *[(0, ((2,), (3, 1))), (0, ((), (2,))), (1, ((2, 3), (3, 2))), (2, ((2, 3), (2, 3))), (2, ((2, 2, 3), (2, 3, 2)))],
    *[((0, 0), ((2, 3), (2, 2))), ((-1, 1), ((2, 3), (2, 3))), (([0, 1], [1, 0]), ((2, 3), (3, 2)))],
    *[(((-1,), (-1,)), ((2, 1, 3), (3,))), (([1, 0], [0, -1]), ((3, 2, 1), (2, 2, 3))), (([], []), ((2,), (2,)))],
    *[(1, ((2, 0), (0, 3))), ((0, 1), ((2, 3), (0, 2))), ([[0, 2], [1, 0]], ((2, 1, 3), (3, 2, 2)))],
]


@st.composite
def crossed(draw):
    """Vectors of 2 or 3 components along axes of their own, with broadcasting."""
    x, y = [(*shape, draw(st.sampled_from([3, 3, 2]))) for shape in draw(pairs)]
    x, y = (draw(arrays(x)), draw(arrays(y)))
    ndim = max(x.ndim, y.ndim) - (x.shape[-1] == y.shape[-1] == 2)
    form = draw(st.sampled_from(["", "axes", "axis"]))
    if form == "axis" and x.ndim == y.ndim == ndim:
        axis = draw(st.integers(-x.ndim, x.ndim - 1))
        return (np.moveaxis(x, -1, axis), np.moveaxis(y, -1, axis)), {"axis": axis}
    if form == "axes":
        axes = {"axisa": draw(st.integers(-x.ndim, x.ndim - 1)), "axisb": draw(st.integers(-y.ndim, y.ndim - 1))}
        x, y = np.moveaxis(x, -1, axes["axisa"]), np.moveaxis(y, -1, axes["axisb"])
        return (x, y), axes | ({"axisc": draw(st.integers(-ndim, ndim - 1))} if ndim else {})
    return (x, y), {}


@st.composite
def batches(draw, *cores):
    """Arrays of a core shape each, named by letters, behind axes that broadcast."""
    lengths = {"m": draw(sizes), "n": draw(sizes)}
    fronts = draw(pairs.map(lambda s: [shape[-2:] for shape in s]))
    return tuple([draw(arrays((*f, *[lengths[k] for k in c]))) for f, c in zip(fronts, cores, strict=True)]), {}


@st.composite
def paired(draw):
    """Vectors along an axis of both arrays, behind axes that broadcast."""
    (x, y), _ = draw(batches("n", "n"))
    if draw(st.booleans()):
        return (x, y), {}
    smaller = min(x.ndim, y.ndim)
    axis = draw(st.integers(-smaller, smaller - 1))
    return (np.moveaxis(x, -1, axis), np.moveaxis(y, -1, axis)), {"axis": axis, "keepdims": draw(st.booleans())}


OPS = {}

FUNCTIONS = {
    "cross": crossed(),
    "inner": st.tuples(several(st.sampled_from(INNERS)), st.just({})),
    "kron": drawn(st.tuples(arrays(shapes.map(lambda s: s[:2])), arrays(shapes))),
    "matvec": batches("mn", "n"),
    "tensordot": st.sampled_from(CONTRACTED).flatmap(
        lambda case: st.tuples(several(st.just(case[1])), st.just({"axes": case[0]}))
    ),
    "vdot": st.tuples(several(vdots), st.just({})),
    "vecdot": paired(),
    "vecmat": batches("n", "nm"),
}


def cross(x, y, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """np.cross, which no longer takes vectors of 2 components, with a third one that is 0."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x, y = np.moveaxis(x, axisa, -1), np.moveaxis(y, axisb, -1)
    flat = x.shape[-1] == y.shape[-1] == 2
    x, y = [np.concatenate([z, np.zeros((*z.shape[:-1], 3 - z.shape[-1]))], -1) for z in (x, y)]
    return np.cross(x, y)[..., 2] if flat else np.moveaxis(np.cross(x, y), -1, axisc)


def vecdot(x, y, axis=-1, keepdims=False):
    """From the definition."""
    out = np.sum(np.moveaxis(x, axis, -1) * np.moveaxis(y, axis, -1), -1)
    return np.expand_dims(out, axis) if keepdims else out


REFERENCES = {  # NumPy has the last three since 2.2
    "cross": cross,
    "vecdot": vecdot,
    "matvec": lambda x, y: np.einsum("...mn,...n->...m", x, y),
    "vecmat": lambda x, y: np.einsum("...n,...nm->...m", x, y),
}
