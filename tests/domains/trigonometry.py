"""Domains of ops/trigonometry.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, drawn, pairs

from domains.basics import one

inside = st.tuples(st.tuples(arrays(low=-0.8, high=0.8)), st.just({}))
beyond = st.tuples(st.tuples(arrays(low=1.3, high=3.0)), st.just({}))
nodes, shares = np.polynomial.legendre.leggauss(40)
away = pairs.flatmap(lambda s: st.tuples(arrays(s[0]), arrays(s[1], low=0.5)))


OPS = {
    "arccos": inside,
    "arccosh": beyond,
    "arcsin": inside,
    "arcsinh": one,
    "arctan": one,
    "arctan2": drawn(away),
    "arctanh": inside,
    "bessel": drawn(arrays(low=-5, high=5), n=lambda shape: st.integers(0, 3)),
    "cosh": one,
    "hypot": drawn(away),
    "sinc": drawn(arrays(low=-4, high=4), n=lambda shape: st.integers(0, 1)),
    "sinh": one,
    "tan": st.tuples(st.tuples(arrays(low=-1.2, high=1.2)), st.just({})),
}

FUNCTIONS = dict.fromkeys(("deg2rad", "degrees", "i0", "rad2deg", "radians", "sinc"), one)


def sinc(x, n=0):
    """The n-th derivative of the mean of cos(pi x t) over t in [0, 1], by Gauss and Legendre."""
    t = (nodes + 1) / 2
    waves = np.cos(np.pi * np.multiply.outer(x, t) + n * np.pi / 2)
    return np.sum(shares / 2 * (np.pi * t) ** n * waves, axis=-1)


def bessel(x, n):
    """The mean of exp(x cos(t)) cos(n t) over half a turn, by Gauss and Legendre."""
    t = (nodes + 1) * np.pi / 2
    return np.sum(shares / 2 * np.exp(np.multiply.outer(x, np.cos(t))) * np.cos(n * t), axis=-1)


REFERENCES = {"bessel": bessel, "sinc": sinc}
