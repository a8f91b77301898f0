"""Domains of ops/decompositions.py and ops/linalg.py.

cholesky, eigh and eigvalsh read one triangle and have the gradient of a symmetric matrix, which differences of single
elements do not see: here they get matrices of one element, in test_linalg.py functions of x + x^T.
"""

import math
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, axes_of, axis_of, drawn, full, full_nd, spaced

leads = st.sampled_from([(), (2,), (2, 1), (0,)])
sides = st.integers(1, 3)


@st.composite
def matrices(draw, m=None, n=None):
    """Stacks of matrices with singular values far from 0 and from each other.

    They come from few seeds, as LAPACK's signs of vectors may jump, where differences would see a derivative.
    """
    m = draw(sides) if m is None else m
    n = draw(sides) if n is None else n
    shape = (*draw(leads), m, n)
    rng = np.random.default_rng(draw(st.integers(0, 5)))
    return np.eye(m, n) * [2.0, 3.5, 5.5][:n] + rng.uniform(-0.5, 0.5, shape)


@st.composite
def squares(draw, smallest=0):
    """Stacks of matrices that are far from singular, their rows in any order and of any sign."""
    n = draw(st.integers(smallest, 3))
    x = 3 * np.eye(n) + np.random.default_rng(draw(st.integers(0, 99))).uniform(-1, 1, (*draw(leads), n, n))
    signs = np.array(draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=n, max_size=n))).reshape(n, 1)
    return (signs * x)[..., draw(st.permutations(range(n))), :]


@st.composite
def systems(draw):
    """Square matrices with a vector or columns, whose stacks broadcast."""
    x = draw(squares())
    n = x.shape[-1]
    return x, draw(arrays(draw(st.sampled_from([(n,), (n, 2), (n, 0), (*x.shape[:-2], n, 1), (1, n, 2)]))))


@st.composite
def fitted(draw):
    """A tall, wide or square matrix with one or more right sides."""
    m, n = draw(sides), draw(sides)
    x = np.eye(m, n) * 3 + draw(arrays((m, n), -1, 1))
    return (x, draw(arrays(draw(st.sampled_from([(m,), (m, 1), (m, 2)]))))), {}


@st.composite
def normed(draw, vectors_only=False):
    """An array with an order and axes that fit it."""
    x = draw(spaced(full_nd if vectors_only else full))
    keepdims = {"keepdims": draw(st.booleans())}
    order = draw(st.sampled_from([None, 2, 1, 0, 3, 0.5, -1, -2.0, np.inf, -np.inf]))
    if vectors_only:
        return (x,), keepdims | {"ord": order, "axis": draw(axes_of(x.shape))}
    if not x.ndim or draw(st.booleans()):
        return (x,), keepdims
    if x.ndim == 1 or draw(st.booleans()):
        axis = draw(axis_of(x.shape))
        return (x,), keepdims | {"ord": order, "axis": draw(st.sampled_from([axis, (axis,)]))}
    axes = draw(st.permutations(range(x.ndim)))[:2]
    order = draw(st.sampled_from([None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]))
    if x.ndim == 2 and draw(st.booleans()):
        return (x, order), keepdims
    return (x, order, (axes[0], axes[1] - x.ndim)), keepdims


@st.composite
def chains(draw):
    """Matrices to multiply, with vectors at the ends or not."""
    lengths = draw(st.lists(sides, min_size=3, max_size=6))
    shapes = list(pairwise(lengths))
    shapes[0] = shapes[0][1:] if draw(st.booleans()) else shapes[0]
    shapes[-1] = shapes[-1][:1] if draw(st.booleans()) else shapes[-1]
    return ([draw(arrays(shape)) for shape in shapes],), {}


@st.composite
def tensor_equations(draw):
    """A nonsingular tensor, a right side, and axes to move or not."""
    x = (3 * np.eye(6) + draw(arrays((6, 6), -0.5, 0.5))).reshape(2, 3, 6)
    if draw(st.booleans()):
        return (x, draw(arrays((2, 3)))), {}
    return (np.moveaxis(x, 2, 0), draw(arrays((2, 3)))), {"axes": (0,)}


def pairs_of_vectors():
    """Two arrays with vectors of three elements along one axis."""
    axes = st.sampled_from([((2, 3), 1), ((2, 3), -1), ((3, 2), 0), ((3,), -1)])
    return axes.flatmap(lambda a: st.tuples(st.tuples(arrays(a[0]), arrays(a[0])), st.just({"axis": a[1]})))


ones = st.tuples(leads.flatmap(lambda lead: arrays((*lead, 1, 1), low=0.5)))
wide_or_tall = st.sampled_from([(1, 1), (3, 2), (2, 2), (2, 3), (1, 3), (3, 1), (3, 3)])
plain_stacks = wide_or_tall.flatmap(lambda s: leads.flatmap(lambda lead: arrays((*lead, *s))))
offsets = {"offset": lambda shape: st.integers(-2, 2)}


def of_shape(s):
    """Well-conditioned matrices of a shape."""
    return matrices(*s)


def smooth(x):
    """Whether the sums of |x| over rows and columns, and those of the inverse, are not near a kink or a tie."""
    for z in [np.abs(x), *([np.abs(np.linalg.inv(x))] if x.shape[-1] == x.shape[-2] else [])]:
        gaps = [np.diff(np.sort(z.sum(axis), -1)) for axis in (-1, -2)]
        if z.min(initial=1.0) < 0.01 or any(gap.min(initial=1.0) < 0.01 for gap in gaps):
            return False
    return True


def triangle(shape):
    """UPLO."""
    return st.sampled_from("LU")


def whole(shape):
    """full_matrices, where all vectors have a derivative."""
    return st.booleans() if shape[-1] == shape[-2] else st.just(False)


def modes(shape):
    """Modes of qr in which all columns have a derivative."""
    return st.sampled_from(["reduced", "complete"] if shape[-2] <= shape[-1] else ["reduced"])


OPS = {
    "cholesky": drawn(ones, upper=lambda shape: st.booleans()),
    "det": drawn(squares()),
    "eigh": drawn(ones, UPLO=triangle),
    "eigvalsh": drawn(ones, UPLO=triangle),
    "no_derivative": st.tuples(st.tuples(arrays((2, 0))), st.just({})),  # elsewhere its derivative is NaN
    "norm": drawn(spaced(full), axis=axes_of, keepdims=lambda shape: st.booleans()),
    "inv": drawn(squares()),
    "pinv": drawn(wide_or_tall.flatmap(of_shape)),
    "qr": drawn(wide_or_tall.flatmap(of_shape), mode=modes),
    "slogdet": drawn(squares()),
    "solve": drawn(systems()),
    "svd": drawn(wide_or_tall.flatmap(of_shape), full_matrices=whole),
    "svdvals": drawn(wide_or_tall.flatmap(of_shape)),
}

FUNCTIONS = {
    "linalg.cond": drawn(wide_or_tall.flatmap(of_shape), p=lambda shape: st.sampled_from([None, 2, -2]))
    | drawn(squares(1).filter(smooth), p=lambda shape: st.sampled_from(["fro", 2, 1, np.inf, -np.inf, -1])),
    "linalg.cross": pairs_of_vectors(),
    "linalg.diagonal": drawn(plain_stacks, **offsets),
    "linalg.eigh": drawn(ones, UPLO=triangle),
    "linalg.lstsq": fitted(),
    "linalg.matrix_norm": drawn(
        wide_or_tall.flatmap(of_shape).filter(smooth),
        ord=lambda shape: st.sampled_from([None, "fro", "f", "nuc", 1, -1, 2, -2, np.inf, -np.inf]),
        keepdims=lambda shape: st.booleans(),
    ),
    "linalg.matrix_power": drawn(squares(), n=lambda shape: st.integers(-3, 5)),
    "linalg.matrix_transpose": drawn(plain_stacks),
    "linalg.multi_dot": chains(),
    "linalg.norm": normed(),
    "linalg.outer": st.tuples(st.tuples(arrays((2,)), arrays((3,)) | arrays((0,))), st.just({})),
    "linalg.pinv": drawn(wide_or_tall.flatmap(of_shape), rcond=lambda shape: st.sampled_from([None, 1e-8]))
    | drawn(of_shape((3, 3)), rtol=lambda shape: st.sampled_from([None, 1e-8, 0.5])),
    "linalg.qr": drawn(wide_or_tall.flatmap(of_shape), mode=lambda s: modes(s) | st.just("r")),
    "linalg.slogdet": drawn(squares()),
    "linalg.svd": drawn(wide_or_tall.flatmap(of_shape), full_matrices=whole, compute_uv=lambda s: st.booleans()),
    "linalg.tensordot": st.tuples(
        st.tuples(arrays((2, 3, 2)), arrays((3, 2, 2))),
        st.sampled_from([{"axes": 0}, {"axes": ([1, 0], [0, -1])}, {"axes": ((0,), (2,))}]),
    ),
    "linalg.tensorinv": st.tuples(
        arrays((6, 6), -0.5, 0.5).map(lambda x: ((3 * np.eye(6) + x).reshape(2, 3, 6),)),
        st.sampled_from([{}, {"ind": 2}]),
    ),
    "linalg.tensorsolve": tensor_equations(),
    "linalg.trace": drawn(plain_stacks, **offsets, dtype=lambda shape: st.just(None)),
    "linalg.vecdot": pairs_of_vectors(),
    "linalg.vector_norm": normed(vectors_only=True),
}


def packed(x, *parts):
    """The parts of each matrix one after another."""
    return np.concatenate([p.reshape(*x.shape[:-2], math.prod(p.shape[x.ndim - 2 :])) for p in parts], -1)


def lstsq(x, y):
    """NumPy's, with a rank that is a plain int."""
    solution, residuals, rank, values = np.linalg.lstsq(x, y)
    return solution, residuals, int(rank), values


REFERENCES = {
    "cholesky": np.linalg.cholesky,
    "det": np.linalg.det,
    "eigh": lambda x, UPLO: packed(x, *np.linalg.eigh(x, UPLO)),
    "eigvalsh": np.linalg.eigvalsh,
    "norm": lambda x, axis, keepdims: np.sqrt((np.asarray(x) ** 2).sum(axis=axis, keepdims=keepdims)),
    "inv": np.linalg.inv,
    "linalg.lstsq": lstsq,
    "no_derivative": np.array,
    "pinv": np.linalg.pinv,
    "qr": lambda x, mode: packed(x, *np.linalg.qr(x, mode)),
    "slogdet": lambda x: np.stack(np.linalg.slogdet(x)),
    "solve": np.linalg.solve,
    "svd": lambda x, full_matrices: packed(x, *np.linalg.svd(x, full_matrices)),
    "svdvals": np.linalg.svdvals,
}
