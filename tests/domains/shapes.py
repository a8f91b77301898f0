"""Domains of ops/shapes.py, ops/indexing.py and ops/joining.py."""

from inspect import signature

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, axes_of, axis_of, drawn, full, full_nd, pairs, several, shapes_nd, spaced

COPY = {"copy": None} if "copy" in signature(np.reshape).parameters else {}  # NumPy 2.0 has none
matrices = arrays(st.tuples(*[st.integers(0, 3)] * 2))
cubes = arrays(st.tuples(*[st.integers(1, 3)] * 3))
one = arrays().map(lambda x: ((x,), {}))


def listed(strategy):
    """A list of drawn arrays as the one argument."""
    return strategy.map(lambda xs: ((list(xs),), {}))


def nested(*each):
    """Arrays of the shapes, in a list."""
    return st.tuples(*[arrays(shape) for shape in each]).map(list)


@st.composite
def alike(draw):
    """A list of arrays of one shape."""
    shape = draw(full_nd)
    return [draw(arrays(shape)) for _ in range(draw(st.integers(1, 3)))]


@st.composite
def reshaped(draw):
    """Shapes of as many elements, in both orders."""
    x = draw(arrays())
    n = x.size
    shape = draw(st.sampled_from([n, (n,), [1, n], (n, 1), x.shape[::-1], (*x.shape[:1], -1) if n else x.shape]))
    return (x, shape), draw(st.sampled_from([{}, {"order": "F"}, COPY]))


@st.composite
def rolled_axis(draw):
    """An axis and where it goes."""
    x = draw(arrays(full_nd))
    return (x, draw(axis_of(x.shape)), draw(st.integers(-x.ndim, x.ndim))), {}


@st.composite
def grids(draw):
    """Coordinates, with all options."""
    axes = [draw(arrays(st.sampled_from([(), (1,), (2,), (3,)]))) for _ in range(draw(st.integers(1, 3)))]
    return tuple(axes), {"sparse": draw(st.booleans()), "indexing": draw(st.sampled_from(["xy", "ij"]))}


@st.composite
def placed(draw, insert=False):
    """obj in all its forms, for delete and insert."""
    x = draw(arrays(full_nd))
    axis = draw(st.none() | axis_of(x.shape))
    n = x.size if axis is None else x.shape[axis]
    last = n if insert else n - 1
    forms = [st.integers(-n, last), st.lists(st.integers(-n, last), max_size=3)]
    forms += [st.sampled_from([slice(None), slice(1, None), slice(None, None, -2), slice(0, 0), slice(-1, None)])]
    if not insert or np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        forms += [st.lists(st.booleans(), min_size=n, max_size=n).map(lambda mask: np.array(mask, bool))]
    obj = draw(st.one_of(forms))
    if not insert:
        return (x, obj), {"axis": axis}
    count = np.arange(n)[obj].size if isinstance(obj, (slice, np.ndarray)) else np.size(obj)
    shape = (n,) if axis is None else x.shape
    i = 0 if axis is None else axis % x.ndim
    rest = (*shape[:i], *shape[i + 1 :])
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        choices = [(), rest, rest[1:], (2, *rest)] if axis is not None else [(), (1,), (3,)]
    else:
        new = (*shape[:i], count, *shape[i + 1 :])
        choices = [(), new, *([(*shape[:i], 1, *shape[i + 1 :])] if count != 1 else [])]
        choices += [(*shape[:i], 2, *shape[i + 1 :])] if count == 1 else []
    return (x, obj, draw(arrays(st.sampled_from(choices)))), {"axis": axis}


@st.composite
def appended(draw):
    """Two arrays along an axis, or flattened."""
    if draw(st.booleans()):
        return (draw(arrays()), draw(arrays())), draw(st.sampled_from([{}, {"axis": None}]))
    x = draw(arrays(full_nd))
    return (x, draw(arrays(x.shape))), {"axis": draw(axis_of(x.shape))}


@st.composite
def parted(draw, low=1, axis=None, uneven=False):
    """Sections or places to split at."""
    shape = draw(full_nd.filter(lambda shape: len(shape) >= low))
    i = draw(axis_of(shape)) if axis is None else axis if len(shape) > axis else 0
    sections = [1, shape[i], [1], [0, 2], [1, 1, 5], [], (-1,), np.array([1, 2]), *([2, 5] if uneven else [])]
    args = (draw(arrays(shape)), draw(st.sampled_from(sections)))
    return args, {"axis": i} if axis is None else {}


@st.composite
def turned(draw):
    """Quarter turns in all planes."""
    x = draw(arrays(full_nd.filter(lambda shape: len(shape) > 1)))
    axes = draw(st.permutations([-1, *range(x.ndim - 1)]))
    return (x,), {"k": draw(st.integers(-4, 4)), "axes": tuple(axes[:2])}


@st.composite
def padded(draw):
    """Every mode of pad, with its options in all forms."""
    x = draw(spaced(full_nd) | spaced(st.just((4,))))
    width = st.integers(0, 4 if x.ndim == 1 else 2)
    pair = st.tuples(width, width)
    axis = draw(axis_of(x.shape))
    forms = [width, pair, st.tuples(width), st.tuples(pair), st.tuples(*[pair] * x.ndim)]
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        forms += [st.fixed_dictionaries({axis: width}), st.fixed_dictionaries({axis: pair})]
    number = st.sampled_from([0, 1.5, -2])
    numbers = number | st.tuples(number, number) | st.tuples(*[st.tuples(number, number)] * x.ndim)
    length = st.none() | st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3))
    option = {"stat_length": length}
    mode, options = draw(
        st.sampled_from(
            [
                ("constant", {}),
                ("constant", {"constant_values": numbers}),
                ("edge", {}),
                ("linear_ramp", {"end_values": numbers}),
                *[(name, option) for name in ("maximum", "mean", "median", "minimum")],
                *[(name, {"reflect_type": st.sampled_from(["even", "odd"])}) for name in ("reflect", "symmetric")],
                *[("wrap", {}), ("reflect", {}), ("mean", {})],
            ]
        )
    )
    return (x, draw(st.one_of(forms)), mode), draw(st.fixed_dictionaries(options))


@st.composite
def taken(draw):
    """Indices of all forms, in all modes."""
    x = draw(arrays(full))
    axis = draw(st.none() | (axis_of(x.shape) if x.ndim else st.sampled_from([0, -1])))
    n = x.size if axis is None or not x.ndim else x.shape[axis]
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    index = st.integers(-n, n - 1) if mode == "raise" else st.integers(-5, 5)
    forms = index | st.lists(index, max_size=3).map(lambda i: np.array(i, int)) | st.lists(index, min_size=1).map(list)
    forms |= st.tuples(index, index).map(lambda i: np.array([i, i]))
    return (x, draw(forms)), {"axis": axis, "mode": mode}


@st.composite
def taken_along(draw):
    """Indices for each line."""
    x = draw(arrays(full_nd))
    axis = draw(axis_of(x.shape))
    if draw(st.booleans()):
        return (
            x,
            draw(st.lists(st.integers(-x.size, x.size - 1), max_size=3).map(lambda i: np.array(i, int))),
            None,
        ), {}
    shape = list(x.shape) if draw(st.booleans()) else [1] * x.ndim
    shape[axis] = draw(st.integers(0, 3))
    return (x, draw(st.integers(0, 99).map(np.random.default_rng)).integers(-x.shape[axis], x.shape[axis], shape)), {
        "axis": axis
    }


@st.composite
def compressed(draw):
    """A condition for each slice, or for the first few."""
    x = draw(arrays(full))
    axis = draw(st.none() | (axis_of(x.shape) if x.ndim else st.just(0)))
    n = x.size if axis is None or not x.ndim else x.shape[axis]
    condition = draw(st.lists(st.booleans(), max_size=n))
    return (draw(st.sampled_from([condition, np.array(condition, int)])), x), {"axis": axis}


@st.composite
def parts_of_order(draw):
    """Distinct elements, and which of them take their place in order."""
    x = draw(spaced(full_nd))
    axis = draw(st.none() | axis_of(x.shape))
    n = x.size if axis is None else x.shape[axis]
    kth = st.integers(-n, n - 1)
    return (x, draw(kth | st.lists(kth, min_size=1, max_size=2))), {"axis": axis}


@st.composite
def repeating(draw):
    """Distinct values, which the library is to find again."""
    x = draw(spaced(full))
    names = ["return_index", "return_inverse", "return_counts"]
    kwargs = {name: draw(st.booleans()) for name in names}
    return (x,), kwargs | {"axis": draw(st.none() | axis_of(x.shape)) if x.ndim else None}


@st.composite
def ends(draw, geometric=False, low=-2.0):
    """Two ends, as arrays and as numbers."""
    shape = draw(pairs)
    if geometric:
        sign = draw(st.sampled_from([1.0, -1.0]))
        return tuple([draw(arrays(s, low=0.5)) * sign for s in shape])
    return tuple([draw(st.one_of(arrays(s, low=low), *([st.just(1.5)] if i else []))) for i, s in enumerate(shape)])


@st.composite
def spaces(draw, elements, **params):
    """Ends and all options."""
    start, stop = draw(elements)
    ndim = len(np.broadcast_shapes(np.shape(start), np.shape(stop)))
    kwargs = {"num": draw(st.integers(1, 4)), "endpoint": draw(st.booleans())}
    kwargs |= {"axis": draw(st.integers(-ndim - 1, ndim))}
    return (start, stop), kwargs | {k: draw(p) for k, p in params.items()}


@st.composite
def windowed(draw):
    """Windows along one axis, several, or all."""
    x = draw(arrays(full_nd))
    if draw(st.booleans()):
        return (x, tuple([draw(st.integers(1, n)) for n in x.shape])), {}
    axis = draw(axis_of(x.shape))
    return (x, draw(st.integers(1, x.shape[axis]))), {"axis": axis}


def points(elements):
    """The ruled op below linspace and geomspace."""
    params = {"num": st.integers(0, 4), "endpoint": st.booleans()}
    return st.tuples(elements, st.fixed_dictionaries(params))


OPS = {"linspace": points(ends()), "geomspace": points(ends(geometric=True))}

FUNCTIONS = {
    "append": appended(),
    "array_split": parted(uneven=True),
    "atleast_1d": one | st.tuples(several(), st.just({})),
    "atleast_2d": one | st.tuples(several(), st.just({})),
    "atleast_3d": one | st.tuples(several(), st.just({})),
    "block": one | listed(nested((2,), (), (3,)) | nested((2, 2), (2, 1))),
    "broadcast_arrays": one | st.tuples(several(), st.just({})),
    "column_stack": listed(alike() | nested((2,), (2, 2)) | nested((), ())),
    "compress": compressed(),
    "concat": drawn(nested((2, 3), (2, 3)).map(lambda x: (x,)), axis=lambda s: st.sampled_from([None, 0, -1])),
    "delete": placed(),
    "diag": drawn(matrices | arrays(st.sampled_from([(0,), (1,), (3,)])), k=lambda shape: st.integers(-2, 2)),
    "diagflat": drawn(arrays(), k=lambda shape: st.integers(-2, 2)),
    "dsplit": parted(low=3, axis=2),
    "dstack": listed(alike() | nested((), ()) | nested((2,), (1, 2, 3))),
    "extract": arrays().flatmap(
        lambda x: st.sampled_from([x > 0, x < 3, (x > 0).astype(int)]).map(lambda condition: ((condition, x), {}))
    ),
    "fftshift": drawn(arrays(shapes_nd), axes=axes_of),
    "fliplr": drawn(cubes | matrices),
    "flipud": drawn(arrays(full_nd)),
    "geomspace": spaces(ends(geometric=True)),
    "hsplit": parted(axis=1),
    "hstack": listed(alike() | nested((), (2,)) | nested((2, 1), (2, 3))),
    "ifftshift": drawn(arrays(shapes_nd), axes=axes_of),
    "insert": placed(insert=True),
    "linspace": spaces(ends(), retstep=st.just(False)) | spaces(ends(), num=st.integers(2, 4), retstep=st.just(True)),
    "logspace": spaces(ends(), base=st.sampled_from([10.0, 2])),
    "matrix_transpose": drawn(cubes | matrices),
    "meshgrid": grids(),
    "pad": padded(),
    "partition": parts_of_order(),
    "ravel": drawn(arrays(), order=lambda shape: st.sampled_from(["C", "F"])),
    "reshape": reshaped(),
    "resize": drawn(arrays(), new_shape=lambda shape: st.sampled_from([2, 0, (5,), [2, 3], (4, 0, 2), ()])),
    "rollaxis": rolled_axis(),
    "rot90": turned(),
    "sliding_window_view": windowed(),
    "take": taken(),
    "take_along_axis": taken_along(),
    "trim_zeros": drawn(
        spaced(st.sampled_from([(0,), (1,), (3,)])), trim=lambda shape: st.sampled_from(["fb", "f", "B"])
    ),
    "unique": repeating(),
    "unique_values": drawn(spaced(full)),
    "unstack": drawn(arrays(full_nd), axis=axis_of),
    "vander": drawn(
        arrays(st.sampled_from([(0,), (1,), (3,)])),
        N=lambda shape: st.sampled_from([None, 0, 1, 4]),
        increasing=lambda shape: st.booleans(),
    ),
    "vsplit": parted(low=2, axis=0),
    "vstack": listed(alike() | nested((), ()) | nested((2,), (3, 2))),
}


def unstacked(x, axis):
    """For NumPy 2.0, which has no unstack."""
    return tuple(np.moveaxis(x, axis, 0))


REFERENCES = {
    "fftshift": np.fft.fftshift,
    "ifftshift": np.fft.ifftshift,
    "ravel": lambda x, order: np.reshape(x, -1, order),
    "reshape": lambda x, shape, order="C", copy=None: np.reshape(x, shape, order),
    "sliding_window_view": np.lib.stride_tricks.sliding_window_view,
    "unique_values": lambda x: np.unique(x, equal_nan=False),
    "unstack": unstacked,
}
