"""Domains of ops/statistics.py."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, axes_of, full, generators, spaced

from domains.reductions import reduced

METHODS = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull"),
    *("linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
]


@st.composite
def varied(draw, holes=False):
    """Elements that differ, and NumPy's keywords of var and std; at least two elements are left to each."""
    shape = draw(st.sampled_from([(3,), (4,), (3, 3), (3, 4, 3)]))
    (x,), kwargs = draw(reduced(spaced(shape), holes=holes))
    mask = kwargs.get("where", True) & ~np.isnan(x)
    if np.any(np.sum(mask, kwargs["axis"]) < 2):
        kwargs.pop("where", None)
        x = draw(spaced(shape))
    degrees = draw(st.sampled_from([{}, {"ddof": 0}, {"ddof": 1}, {"correction": 1}, {"ddof": 0.5}]))
    return (x,), kwargs | degrees


@st.composite
def weighted(draw):
    """Weights for each element, or for each place along the axes, or none."""
    x = draw(arrays(full))
    axis = draw(axes_of(np.shape(x)))
    axes = range(np.ndim(x)) if axis is None else np.atleast_1d(axis).tolist()
    forms = [np.shape(x)] + ([] if axis is None else [tuple([x.shape[i] for i in axes])])
    weights = draw(st.none() | arrays(st.sampled_from(forms), low=0.5))
    return (x, axis, weights, draw(st.booleans())), {"keepdims": draw(st.booleans())}


@st.composite
def ranked(draw, scale=1, q=True, holes=False):
    """Distinct elements, fractions of any shape, and the methods of interpolation."""
    (x,), kwargs = draw(reduced(spaced(full), masked=False, holes=holes, scalar_axes=(None, ())))
    if not q:
        return (x,), kwargs
    fractions = st.sampled_from([0.0, 0.3, 0.5, 1.0, [0.0, 0.25, 1.0], [[0.1, 0.9], [0.5, 0.7]], []])
    fractions = draw(fractions.map(lambda q: (np.multiply(q, scale)).tolist()))
    if holes and np.ndim(fractions) == 2 and isinstance(kwargs["axis"], tuple):
        fractions = fractions[0]  # here np.nanquantile puts the axes in another order than np.quantile
    if np.ndim(x) and draw(st.booleans()) and not np.isnan(x).any():
        return (x, fractions), kwargs | {"weights": draw(generators).integers(1, 4, np.shape(x)), "method": METHODS[0]}
    return (x, fractions), kwargs | {"method": draw(st.sampled_from(METHODS))}


@st.composite
def observed(draw, correlated=False):
    """Observations of some variables in rows or columns, once or twice, with weights and divisors."""
    n, rowvar = draw(st.integers(4, 5)), draw(st.booleans())
    rows = st.integers(1, 3).map(lambda k: (k, n) if rowvar else (n, k)) | st.just((n,))
    args = (draw(arrays(rows)), draw(st.none() | arrays(rows)))
    kwargs = {"rowvar": rowvar}
    if correlated:
        return args, kwargs
    rng = draw(generators)
    kwargs |= draw(st.sampled_from([{}, {"bias": True}, {"ddof": 0}, {"ddof": 2}, {"ddof": 1, "bias": True}]))
    kwargs |= draw(st.sampled_from([{}, {"fweights": rng.integers(1, 4, n)}]))
    return args, kwargs | draw(st.sampled_from([{}, {"aweights": rng.uniform(0.5, 1.5, n)}]))


OPS = {}

FUNCTIONS = {
    "average": weighted(),
    "corrcoef": observed(correlated=True),
    "cov": observed(),
    "median": ranked(q=False),
    "nanmean": reduced(arrays(full), holes=True, scalar_axes=(None, ())),
    "nanmedian": ranked(q=False, holes=True),
    "nanpercentile": ranked(100, holes=True),
    "nanquantile": ranked(holes=True),
    "nanstd": varied(holes=True),
    "nanvar": varied(holes=True),
    "percentile": ranked(100),
    "quantile": ranked(),
    "std": varied(),
    "var": varied(),
}

REFERENCES = {}
