"""Domains of ops/elementwise.py, what is not in basics.py, and of ops/choices.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, drawn, full, generators, pairs, several, shapes, spaced

from domains.basics import kinked, one, positive, two, two_kinked


@st.composite
def between(draw):
    """Numbers that are not near a multiple of 0.5 or, for round, of 0.05."""
    rng, shape = draw(generators), draw(shapes)
    return np.asarray(rng.integers(-4, 4, shape) + rng.choice([0.13, 0.24, 0.37, 0.63, 0.78, 0.91], shape))[()]


jumps = st.tuples(st.tuples(between()), st.just({}))


@st.composite
def quotients(draw):
    """Two arrays whose quotient is not near an integer."""
    lead, other = draw(pairs)
    y = draw(generators).choice([-0.7, 0.9, 1.3], other)
    x = draw(arrays(lead, -3, 3))
    whole = np.floor(x / y)
    near = np.abs(x / y - whole - 0.5) > 0.45
    shift = np.where(near, 0.2, 0.0) * np.abs(y)
    return (x + shift if (x + shift).shape == x.shape else np.full(lead, 0.4), y), {}


@st.composite
def selections(draw):
    """Conditions, choices and a default of shapes that broadcast."""
    shape, other = draw(pairs)
    rng, n = draw(generators), draw(st.integers(1, 3))
    conditions = [rng.uniform(size=other) < 0.5 for _ in range(n)]
    return (conditions, [draw(arrays(shape)) for _ in range(n)]), {"default": draw(st.sampled_from([0, 2.5]))}


@st.composite
def chosen(draw):
    """Numbers of choices, also outside of their range, and the choices."""
    shape, n = draw(full), draw(st.integers(1, 3))
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    index = draw(generators).integers(*((0, n) if mode == "raise" else (-n, 2 * n)), shape)
    return (np.asarray(index), [draw(arrays(draw(st.sampled_from([shape, ()])))) for _ in range(n)]), {"mode": mode}


@st.composite
def parts(draw):
    """An array, masks that may overlap, and functions or numbers for them."""
    x = draw(arrays(full))
    masks = [x < -0.5, x > 0.5, x > 0.0][: draw(st.integers(1, 3))]
    functions = [lambda z: z * z, 1.5, lambda z: z**3][: len(masks)]
    more = draw(st.sampled_from([[], [lambda z: 2.0 * z], [7]]))
    return (x, masks, functions + more), {}


@st.composite
def holes(draw):
    """Numbers with some NaN and infinities among them, as a list of what varies and a constant: see `nan_to_num`."""
    x = draw(spaced(shapes))
    return (x,), draw(st.sampled_from([{}, {"nan": 1.5}, {"posinf": 2.0, "neginf": -3.0}]))


def limits(elements):
    """Lower and upper limits beside an array, each of a shape that broadcasts."""
    return elements.flatmap(
        lambda x: st.tuples(
            st.just(x),
            st.sampled_from([-0.8, np.full(np.shape(x)[-1:], -0.6), -np.inf]),
            st.sampled_from([0.8, np.full(np.shape(x), 0.6), np.inf]),
        )
    )


OPS = {
    **dict.fromkeys(["positive", "exp2"], one),
    **dict.fromkeys(["cbrt", "log2", "log10"], positive),
    "sign": kinked,
    "logaddexp": two,
    **dict.fromkeys(["floor", "ceil", "trunc", "rint", "imag"], jumps),
    "round": drawn(between(), decimals=lambda shape: st.sampled_from([0, 1, -1])),
    "heaviside": two_kinked,
    "floor_divide": quotients(),
    "remainder": quotients(),
    "fmod": quotients(),
    "copysign": two_kinked,
    "ldexp": pairs.flatmap(
        lambda s: st.tuples(arrays(s[0]), generators.map(lambda rng: np.asarray(rng.integers(-3, 4, s[1]))))
    ).map(lambda operands: (operands, {})),
    "clip": drawn(limits(spaced(full))),
}

FUNCTIONS = {
    "choose": chosen(),
    "divmod": quotients(),
    "fabs": kinked,
    "float_power": drawn(several(low=0.5)),
    "fmax": two_kinked,
    "fmin": two_kinked,
    "logaddexp2": two,
    "modf": jumps,
    "nan_to_num": holes(),
    "piecewise": parts(),
    "real_if_close": one,
    "reciprocal": positive,
    "select": selections(),
}

REFERENCES = {"divmod": lambda x, y: (x // y, x % y)}
