"""What hypothesis draws: shapes, axes, indices and arrays that keep clear of the functions' kinks.

Hypothesis chooses the structure; the numbers come from a drawn seed, which is faster, and keeps them in a range where
finite differences are exact to ten digits.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

full = npst.array_shapes(min_dims=0, max_dims=3, max_side=3)
full_nd = npst.array_shapes(min_dims=1, max_dims=3, max_side=3)
empty = npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3).filter(lambda shape: 0 in shape)
shapes = full | full | full | empty
shapes_nd = full_nd | full_nd | full_nd | empty
pairs = npst.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3).map(lambda s: s.input_shapes)
triples = npst.mutually_broadcastable_shapes(num_shapes=3, max_dims=2, max_side=3).map(lambda s: s.input_shapes)
products = npst.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3).map(
    lambda s: s.input_shapes
)
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def arrays(draw, shape=shapes, low=-2.0, high=2.0):
    """Numbers in [low, high]."""
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    return draw(generators).uniform(low, high, shape)


@st.composite
def spaced(draw, shape=shapes, offset=0.0):
    """Numbers at least 0.1 apart from each other, from 0, and from those with the other offset (0 or 0.2)."""
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    rng, n = draw(generators), int(np.prod(shape, dtype=int))
    values = 0.4 * (rng.permutation(n) - n // 2) + 0.1 + offset + rng.uniform(-0.05, 0.05, n)
    return np.asarray(values, dtype=np.float64).reshape(shape)[()]


small_factors = spaced(npst.array_shapes(min_dims=0, max_dims=2, max_side=3)).map(
    lambda x: np.clip(np.trunc(x), -2, 2)[()]
)  # zeros among them, and products that float16 holds


@st.composite
def several(draw, shapes=pairs, low=-2.0, high=2.0):
    """One array for each of the drawn shapes."""
    return tuple([draw(arrays(shape, low, high)) for shape in draw(shapes)])


def axis_of(shape):
    """One axis, from either end."""
    return st.integers(-len(shape), len(shape) - 1)


def axes_of(shape):
    """None, one axis, or several, as reductions take."""
    if not shape:
        return st.none()
    several = st.permutations(range(len(shape))).flatmap(
        lambda order: st.integers(1, len(order)).map(lambda n: tuple([k - len(shape) * (k % 2) for k in order[:n]]))
    )
    return st.none() | axis_of(shape) | several


@st.composite
def with_axis(draw, elements=None, keepdims=False, optional=False, several=False):
    """((array,), {"axis": ..., "keepdims": ...})."""
    x = draw(arrays(shapes_nd) if elements is None else elements)
    one = axis_of(np.shape(x)) if np.ndim(x) else st.none()
    axis = axes_of(np.shape(x)) if several else st.none() | one if optional else one
    params = {"axis": draw(axis)}
    return (x,), params | {"keepdims": draw(st.booleans())} if keepdims else params


def indices(shape):
    """Everything that NumPy takes between square brackets, as far as it fits the shape."""
    choices = [npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True), st.just(np.ones(shape, bool))]
    choices.append(generators.map(lambda rng: rng.uniform(size=shape) < 0.5))
    if shape and 0 not in shape:
        n, last = shape[0], shape[-1]
        repeated = st.lists(st.integers(-n, n - 1), min_size=1, max_size=4)
        choices += [
            npst.integer_array_indices(shape, result_shape=npst.array_shapes(max_dims=2, max_side=3)),
            repeated,
            repeated.map(tuple).map(lambda i: (i,)),
            repeated.map(lambda i: (np.array([i, i]), ...)),
            repeated.map(lambda i: (None, np.array(i))),
            generators.map(lambda rng: (..., rng.uniform(size=last) < 0.5)),
        ]
    if len(shape) > 1 and 0 not in shape:
        choices.append(repeated.map(lambda i: (np.array(i), slice(None, None, -1))))
        choices.append(repeated.map(lambda i: (np.array(i), 0)))
        choices.append(repeated.map(lambda i: (np.array(i)[:, None], np.array([-1, 0, -1]))))
        choices.append(repeated.map(lambda i: (i, ..., None, -1)))
    return st.one_of(choices)


EINSUM = {  # subscripts: shapes
    "i->i": [(3,)],
    "i->": [(3,)],
    "ij->ji": [(2, 3)],
    "ij->j": [(2, 3)],
    "ba": [(2, 3)],
    "ij,jk->ik": [(2, 3), (3, 2)],
    "ij,jk": [(2, 3), (3, 2)],
    "ij , kj -> ki": [(2, 3), (2, 3)],
    "i,i": [(3,), (3,)],
    "i,i->i": [(3,), (3,)],
    "i,j->ij": [(2,), (3,)],
    "i,j->": [(2,), (3,)],
    ",ij->ji": [(), (2, 3)],
    "->": [()],
    "ij,ij->": [(2, 3), (2, 3)],
    "bij,bjk->bik": [(2, 2, 3), (2, 3, 1)],
    "ij,jk,kl->il": [(2, 3), (3, 2), (2, 2)],
    "ij,j,i": [(2, 3), (3,), (2,)],
    "aij,j->a": [(2, 2, 3), (3,)],
    "...ij,...jk->...ik": [(2, 1, 2, 3), (2, 3, 2)],
    "...i,...i->...": [(2, 3), (3,)],
    "...ij,jk": [(2, 2, 3), (3, 2)],
    "i...,i...": [(2, 3), (2, 3)],
    "...,...": [(2, 1), (3,)],
    "...i->i...": [(2, 2, 3)],
    "ij,jk->ik ": [(2, 0), (0, 3)],
    "ij,jk-> ik": [(2, 1), (1, 3)],
    "ij,ij->ij": [(1, 3), (2, 3)],
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "ii->": [(2, 2)],
    "iii->i": [(2, 2, 2)],
    "iij->j": [(2, 2, 3)],
    "iji->ij": [(2, 3, 2)],
    "ij,jj->i": [(2, 3), (3, 3)],
    "ij,jj": [(2, 3), (3, 3)],
    "ii,i,jj->ij": [(2, 2), (1,), (2, 2)],
    "jiij->": [(2, 3, 3, 2)],
    "...ii->...i": [(2, 3, 3)],
    "i...i": [(2, 3, 2)],
    "ii...,...i->...": [(2, 2, 3), (3, 2)],
    "bA": [(2, 3)],
    "ij->...ji": [(2, 3)],
}


def repeats(subscripts):
    """Whether an index stands twice in a term."""
    terms = subscripts.partition("->")[0].replace("...", "").split(",")
    return any(len(set(term)) < len(term) for term in terms)


@st.composite
def einsums(draw, explicit=False):
    """(arrays, subscripts) in many forms, or only such that name every axis behind an arrow."""
    letters = [s for s in EINSUM if "->" in s and "..." not in s and " " not in s and not repeats(s)]
    subscripts = draw(st.sampled_from(letters if explicit else list(EINSUM)))
    return draw(several(st.just(EINSUM[subscripts]))), subscripts


@st.composite
def images(draw, elements=arrays, folded=False, dilated=True):
    """((images,), {"size": ..., "stride": ...}), or all their windows and also "shape"; perhaps "dilation"."""
    size, stride = draw(st.tuples(*[st.integers(1, 2)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    places, gaps = draw(st.tuples(*[st.integers(1, 2)] * 2)), draw(st.tuples(*[st.integers(1, 2)] * 2))
    gaps = gaps if dilated else (1, 1)
    rest = draw(st.tuples(*[st.integers(0, 1)] * 2))  # rows and columns that no window reaches
    each = zip(stride, places, gaps, size, rest, strict=True)
    sides = [s * (p - 1) + d * (k - 1) + 1 + r for s, p, d, k, r in each]
    places = [(s * (p - 1) + r) // s + 1 for s, p, r in zip(stride, places, rest, strict=True)]
    shape = (*draw(st.tuples(*[st.integers(1, 2)] * 2)), *sides)
    params = {"size": size, "stride": stride} | ({"dilation": gaps} if dilated else {})
    if folded:
        return (draw(elements((*shape[:2], *places, *size))),), params | {"shape": shape}
    return (draw(elements(shape)),), params


@st.composite
def convolutions(draw, want="y"):
    """Two of images x, weight and maps y, the parameters, and the third's "shape"; a bias for maps."""
    pair = st.tuples(*[st.integers(1, 2)] * 2)
    n, c, o = draw(st.tuples(*[st.integers(1, 2)] * 3))
    groups = draw(st.integers(1, 2))
    size, stride, places, padding = draw(pair), draw(pair), draw(pair), draw(st.tuples(*[st.integers(0, 1)] * 2))
    gaps = draw(pair)
    rest = draw(st.tuples(*[st.integers(0, 1)] * 2))  # rows and columns that no window reaches
    reach = [d * (k - 1) + 1 for d, k in zip(gaps, size, strict=True)]
    each = zip(stride, places, reach, rest, padding, strict=True)
    sides = [max(1, s * (p - 1) + k + r - 2 * b) for s, p, k, r, b in each]
    places = [(h + 2 * b - k) // s + 1 for h, b, k, s in zip(sides, padding, reach, stride, strict=True)]
    shapes = {"x": (n, c * groups, *sides), "weight": (o * groups, c, *size), "y": (n, o * groups, *places)}
    shape = shapes.pop(want)
    operands = [
        draw(arrays(s)) for s in (*shapes.values(), *([(o * groups,)] if want == "y" and draw(st.booleans()) else []))
    ]
    operands = operands[::-1] if want == "x" else operands  # y comes before the weight
    params = {"stride": stride, "padding": padding, "dilation": gaps, "groups": groups}
    return tuple(operands), params if want == "y" else params | {"shape": shape}


def is_variable(x):
    """Whether a gradient can flow to it: an array, or a NumPy scalar, of floats."""
    return isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f"


def variables(args):
    """All floating arrays among the arguments, also within lists."""
    return [
        y for x in args for y in ((v for v in x if is_variable(v)) if isinstance(x, list) else (x,)) if is_variable(y)
    ]


def filled(args, values):
    """The arguments with these values in the places of their variables."""
    values = iter(values)

    def fill(x):
        return [fill(y) for y in x] if isinstance(x, list) else next(values) if is_variable(x) else x

    return [fill(x) for x in args]


def as_function(function, args, params):
    """The function of its variables alone, and these: f(*xs) is function(*args, **params)."""
    return lambda *xs: function(*filled(args, xs), **params), variables(args)


def drawn(strategy, **params):
    """(operands, parameters): operands from one strategy, and parameters that depend on the first one's shape."""

    def complete(operands):
        operands = operands if isinstance(operands, tuple) else (operands,)
        shape = np.shape(operands[0])
        return st.tuples(st.just(operands), st.fixed_dictionaries({k: p(shape) for k, p in params.items()}))

    return strategy.flatmap(complete)
