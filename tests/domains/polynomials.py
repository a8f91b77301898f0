"""Domains of ops/polynomials.py."""

from hypothesis import strategies as st
from strategies import arrays, shapes

coefficients = arrays(st.tuples(st.integers(0, 4)))
two = st.tuples(st.tuples(coefficients | arrays(()), coefficients), st.just({}))


@st.composite
def integrated(draw):
    """No constants, one, and one or more for each integral."""
    m = draw(st.integers(1, 3))
    k = draw(st.none() | st.sampled_from([1.5, [0.5]]) | arrays(()) | arrays(st.tuples(st.integers(m, 4))))
    return (draw(coefficients), *draw(st.sampled_from([(m, k), (0,)]))), {}


OPS = {}

FUNCTIONS = {
    "polyadd": two,
    "polyder": st.tuples(st.tuples(coefficients, st.integers(0, 5)), st.just({})),
    "polyint": integrated(),
    "polymul": two,
    "polysub": two,
    "polyval": st.tuples(
        st.tuples(arrays(st.tuples(st.integers(1, 4))), arrays(shapes)) | st.tuples(arrays((3, 2)), arrays((4, 2))),
        st.just({}),
    ),
}

REFERENCES = {}
