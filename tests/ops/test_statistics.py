"""Special values of variances, averages, quantiles and covariances."""

import numpy as np
import pytest
from domains.statistics import METHODS
from finite_differences import check

from tinygrad_edu import Tensor, gradients, ops

nan, inf = np.nan, np.inf


def slope(name, x, *args, **kwargs):
    """The gradient of the sum of what a function returns."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    x.grad = None
    out = getattr(ops, name)(x, *args, **kwargs)
    out.backward(np.ones(out.shape))
    return x.grad


@pytest.mark.parametrize("name", ["std", "nanstd"])
@pytest.mark.parametrize("x", [[3.0], [2.0, 2.0, 2.0], [0.1, 0.1, 0.1]])
def test_std_of_equal_elements(name, x):
    assert getattr(ops, name)(Tensor(x)).data == np.std(x)
    np.testing.assert_allclose(slope(name, x), 0, atol=1e-15)
    rows = np.array([x, np.arange(1.0, len(x) + 1)])
    g = slope(name, rows, axis=1)
    np.testing.assert_allclose(g[0], 0, atol=1e-15)
    np.testing.assert_allclose(g[1], slope(name, rows[1]))


def test_second_derivative_of_std_beside_a_zero():
    x = Tensor([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]])
    (first,) = gradients(x.std(axis=1).sum(), [x], create_graph=True)
    (second,) = gradients((first * np.array([[1.0, 2.0, 3.0]] * 2)).sum(), [x])
    y = Tensor(x.data[1])
    (alone,) = gradients(y.std(), [y], create_graph=True)
    np.testing.assert_allclose(second[1], gradients((alone * np.array([1.0, 2.0, 3.0])).sum(), [y])[0])
    np.testing.assert_array_equal(second[0], 0)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_no_degree_of_freedom_left(name):
    for keywords in ({"ddof": 1}, {"correction": 1}, {"ddof": 2}):
        with pytest.warns(RuntimeWarning):  # NumPy's two
            assert np.isnan(getattr(ops, name)(Tensor([3.0]), **keywords).data)
    with pytest.raises(ValueError, match="ddof and correction mean the same"):
        getattr(ops, name)(Tensor([3.0, 4.0]), ddof=1, correction=1)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_a_mean_that_is_known(name):
    x, center = np.array([[1.0, 4.0, 2.0], [0.0, 1.0, 5.0]]), np.array([[2.0], [1.5]])
    out = getattr(ops, name)(Tensor(x), axis=1, mean=Tensor(center))
    np.testing.assert_allclose(out.data, getattr(np, name)(x, axis=1, mean=center))
    check(lambda x, center: getattr(ops, name)(x, axis=1, mean=center), x, center)
    check(lambda x, center: getattr(ops, name)(x, axis=1, mean=center, where=[True, False, True]), x, center)


def test_average_errors():
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(ZeroDivisionError, match="weights sum to zero"):
        ops.average(x, axis=1, weights=[1.0, -1.0, 0.0])
    with pytest.raises(TypeError, match="say along which axis"):
        ops.average(x, weights=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="do not fit the axes"):
        ops.average(x, axis=0, weights=[1.0, 2.0, 3.0])


def test_average_of_tuples_of_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    weights = np.arange(1.0, 9).reshape(4, 2)
    out, total = ops.average(Tensor(x), axis=(2, 0), weights=weights, returned=True)
    expected, numpys_total = np.average(x, axis=(2, 0), weights=weights, returned=True)
    np.testing.assert_allclose(out.data, expected)
    np.testing.assert_allclose(total.data, numpys_total)
    assert ops.average(Tensor(x, dtype=np.float32), weights=weights.astype(int), axis=(2, 0)).dtype == np.float64
    small = ops.average(Tensor(x, dtype=np.float32), weights=np.array([1, 2], np.uint8), axis=0)
    assert small.dtype == np.float32


@pytest.mark.parametrize("method", METHODS)
def test_quantiles_of_ties_even_counts_and_both_ends(method):
    rng = np.random.default_rng(0)
    for x in (np.array([1.0, 1.0, 2.0, 2.0, 5.0]), rng.normal(size=(4, 10)), rng.integers(0, 4, (5, 20)) * 1.0):
        q = np.linspace(0, 1, 41).reshape(1, 41)
        for axis in (None, -1):
            expected = np.quantile(x, q, axis, method=method)
            np.testing.assert_allclose(ops.quantile(Tensor(x), q, axis, method=method).data, expected, rtol=1e-12)
            holed = np.array(x)
            holed.flat[1] = nan
            expected = np.nanquantile(holed, q, axis, method=method)
            np.testing.assert_allclose(
                ops.nanquantile(Tensor(holed), q, axis, method=method).data, expected, rtol=1e-12
            )
    g = slope("quantile", [3.0, 1.0, 2.0, 2.0], 0.4, method=method)
    assert g.sum() == pytest.approx(1) and g[0] == 0


def test_the_median_is_shared_by_the_two_in_the_middle():
    np.testing.assert_array_equal(slope("median", [4.0, 1.0, 3.0, 2.0]), [0, 0, 0.5, 0.5])
    np.testing.assert_array_equal(slope("nanmedian", [4.0, nan, 3.0, 2.0, nan]), [0, 0, 1, 0, 0])
    assert Tensor([1.0, 2.0], dtype=np.float16).data.dtype == ops.median(Tensor([1.0, 2.0], dtype=np.float16)).dtype


def test_infinite_neighbours():
    assert ops.quantile(Tensor([1.0, inf]), 0.0).data == 1  # NumPy: NaN, of 0 * inf
    assert ops.median(Tensor([1.0, 2.0, inf])).data == 2
    np.testing.assert_array_equal(slope("median", [1.0, 2.0, inf]), [0, 1, 0])


@pytest.mark.parametrize("name, args", [("median", ()), ("quantile", ([0.2, 0.7],)), ("percentile", (30,))])
def test_a_row_with_nan_is_nan(name, args):
    x = [[1.0, nan, 3.0], [1.0, 2.0, 4.0]]
    out = getattr(ops, name)(Tensor(x), *args, axis=1)
    np.testing.assert_allclose(out.data, getattr(np, name)(x, *args, axis=1))
    g = slope(name, x, *args, axis=1)
    assert np.isnan(g[0]).all() and np.isfinite(g[1]).all() and g[1].any()
    np.testing.assert_array_equal(slope("nan" + name, x, *args, axis=1)[0, 1], 0)


def test_weighted_quantiles():
    rng = np.random.default_rng(1)
    x, q = rng.normal(size=(3, 4, 5)), [0.1, 0.5, 0.8, 1.0]
    keywords = {"method": "inverted_cdf", "keepdims": True}
    for axis, weights in [(1, [1, 0, 2, 1]), (None, rng.uniform(size=x.shape))]:
        out = ops.quantile(Tensor(x), q, axis, weights=weights, **keywords)
        np.testing.assert_array_equal(out.data, np.quantile(x, q, axis, weights=weights, **keywords))
    weights = rng.integers(1, 4, (5, 3))
    out = ops.quantile(Tensor(x), q, (2, 0), weights=weights, method="inverted_cdf")
    for i in range(4):  # NumPy 2.0 takes the wrong weights for several axes
        flat = np.quantile(x[:, i].ravel(), q, weights=weights.T.ravel(), method="inverted_cdf")
        np.testing.assert_array_equal(out.data[:, i], flat)
    holed = np.where(rng.uniform(size=x.shape) < 0.2, nan, x)
    weights = rng.uniform(size=x.shape)
    out = ops.nanpercentile(Tensor(holed), 60, 2, weights=weights, method="inverted_cdf")
    np.testing.assert_array_equal(out.data, np.nanpercentile(holed, 60, 2, weights=weights, method="inverted_cdf"))
    with pytest.raises(ValueError, match="inverted_cdf"):
        ops.quantile(Tensor(x), 0.5, weights=np.ones(x.shape))
    with pytest.raises(ValueError, match="must be non-negative"):
        ops.quantile(Tensor(x), 0.5, weights=-np.ones(x.shape), method="inverted_cdf")


@pytest.mark.parametrize("name", ["quantile", "percentile", "nanquantile", "nanpercentile"])
def test_fractions_have_no_gradient(name):
    x, q, own = Tensor([1.0, 2.0]), Tensor(0.5), name.removeprefix("nan")
    with pytest.raises(TypeError, match=rf"{own}: no gradient flows to q; pass its values: q=tensor.data"):
        getattr(ops, name)(x, q)
    with pytest.raises(TypeError, match="no gradient flows to weights"):
        getattr(ops, name)(x, 0.5, weights=x, method="inverted_cdf")
    with pytest.raises(ValueError, match="q must be from 0 to 1"):
        getattr(ops, name)(x, [0.5, 101])
    with pytest.raises(ValueError, match="is not a valid method"):
        getattr(ops, name)(x, 0.5, method="best")
    assert getattr(ops, name)(x, Tensor(0.0, requires_grad=False), overwrite_input=True).data == 1


def test_quantiles_of_nothing():
    with pytest.raises(IndexError):
        ops.quantile(Tensor(np.ones(0)), 0.5)
    assert ops.quantile(Tensor(np.ones((0, 3))), [0.5, 0.6], axis=1).shape == (2, 0)
    with pytest.warns(RuntimeWarning):
        assert np.isnan(ops.nanquantile(Tensor(np.ones((2, 0))), [0.5], axis=1).data).all()


@pytest.mark.parametrize("aweights", [False, True])
@pytest.mark.parametrize("keywords", [{}, {"ddof": 0}, {"ddof": 2}, {"fweights": np.array([1, 2, 1, 3, 1])}])
def test_covariances_by_weights(aweights, keywords):
    rng = np.random.default_rng(2)
    x, y, w = rng.normal(size=(2, 5)), rng.normal(size=5), rng.uniform(0.5, 1, 5)
    if aweights:
        check(lambda x, y, w: ops.cov(x, y, aweights=w, **keywords), x, y, w)
        np.testing.assert_allclose(
            ops.cov(Tensor(x), y, aweights=Tensor(w), **keywords).data, np.cov(x, y, aweights=w, **keywords)
        )
    else:
        check(lambda x, y: ops.cov(x, y, **keywords), x, y)


def test_covariance_errors_and_dtypes():
    x = Tensor(np.ones((2, 3)), dtype=np.float32)
    assert ops.cov(x).dtype == np.float32 and ops.cov(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="one or two axes, not 3"):
        ops.cov(np.ones((1, 2, 3)))
    with pytest.raises(TypeError, match="fweights must be integers"):
        ops.cov(x, fweights=[1.5, 1, 1])
    with pytest.raises(TypeError, match="no gradient flows to fweights"):
        ops.cov(x, fweights=Tensor(np.ones(3)))
    with pytest.raises(ValueError, match="weights must not be negative"):
        ops.cov(x, aweights=[1.0, -1.0, 1.0])
    with pytest.raises(ValueError, match="one an observation"):
        ops.cov(x, aweights=[1.0, 1.0])
    with pytest.warns(RuntimeWarning):  # NumPy's two
        assert np.isnan(ops.cov(Tensor(np.ones((2, 1)))).data).all()


def test_correlations_stay_within_one():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 7))
    x = np.concatenate([x, 3 * x, -0.1 * x])
    out = ops.corrcoef(Tensor(x))
    assert np.all(np.abs(out.data) <= 1)
    np.testing.assert_allclose(out.data, np.corrcoef(x), rtol=1e-14)
    np.testing.assert_allclose(slope("corrcoef", x), 0, atol=1e-13)
    assert ops.corrcoef(Tensor([1.0, 2.0])).data == 1


def test_quantiles_between_infinities():
    x = Tensor([1.0, 2.0, inf])
    out = ops.quantile(x, [0.25, 0.75, 1.0])  # only the first two lie between elements
    np.testing.assert_array_equal(out.data, [1.5, inf, inf])
    out.backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, [0.5, 1.0, 1.5])
