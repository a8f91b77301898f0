"""Domains of ops/polynomials.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, generators, shapes

coefficients = arrays(st.tuples(st.integers(0, 4)))
two = st.tuples(st.tuples(coefficients | arrays(()), coefficients), st.just({}))


@st.composite
def integrated(draw):
    """No constants, one, and one or more for each integral."""
    m = draw(st.integers(1, 3))
    k = draw(st.none() | st.sampled_from([1.5, [0.5]]) | arrays(()) | arrays(st.tuples(st.integers(m, 4))))
    return (draw(coefficients), *draw(st.sampled_from([(m, k), (0,)]))), {}


@st.composite
def fitted(draw):
    """More points than coefficients, for one polynomial or two, with weights and covariances."""
    rng, deg = draw(generators), draw(st.integers(0, 2))
    n = deg + draw(st.integers(2, 3))
    x = rng.permutation(np.linspace(-1, 1, n)) + rng.uniform(-0.1, 0.1, n)
    y = draw(arrays(st.sampled_from([(n,), (n, 2)])))
    w = draw(st.none() | arrays((n,), low=0.5))
    return (
        x,
        y,
        deg,
        draw(st.sampled_from([None, 1e-9])),
        False,
        w,
        draw(st.sampled_from([False, True, "unscaled"])),
    ), {}


OPS = {}

FUNCTIONS = {
    "polyadd": two,
    "polyder": st.tuples(st.tuples(coefficients, st.integers(0, 5)), st.just({})),
    "polyfit": fitted(),
    "polyint": integrated(),
    "polymul": two,
    "polysub": two,
    "polyval": st.tuples(
        st.tuples(arrays(st.tuples(st.integers(1, 4))), arrays(shapes)) | st.tuples(arrays((3, 2)), arrays((4, 2))),
        st.just({}),
    ),
}

REFERENCES = {}
