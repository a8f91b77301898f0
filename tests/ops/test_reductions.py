"""Special values of the reductions: counts, zeros, ties, NaN, empty axes, keywords."""

import time

import numpy as np
import pytest
from finite_differences import check

import tinygrad_edu
from tinygrad_edu import Tensor, gradients, ops, sums

nan, inf = np.nan, np.inf
PLAIN = ["sum", "mean", "prod", "max", "min", "ptp", "var", "std", "logsumexp", "median", "average"]


def ours(name):
    return getattr(ops, name)


def slope(name, x, **kwargs):
    """The gradient of the sum of what a function returns."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    x.grad = None
    out = ours(name)(x, **kwargs)
    out.backward(np.ones(out.shape))
    return x.grad


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("axis", [0, None, (0, 1)])
def test_no_count_is_lost(dtype, axis, monkeypatch):
    monkeypatch.setitem(sums.MANY, np.dtype(np.float32), 3)
    ones = Tensor(np.full((5000, 2), 1 if dtype is np.float16 else 0.1), dtype=dtype)
    n = 5000 if axis == 0 else 10_000
    exact = n * float(ones.data[0, 0])
    rounding = 3e-7 if dtype is np.float32 and axis is None else 0  # added in pairs there
    np.testing.assert_allclose(ones.sum(axis).data, dtype(exact), rtol=rounding)
    np.testing.assert_allclose(ones.mean(axis).data, ones.data[0, 0], rtol=rounding)
    assert ones.sum(axis).dtype == ones.mean(axis).dtype == dtype
    np.testing.assert_allclose(ones.logsumexp(axis).data, dtype(np.log(n) + float(ones.data[0, 0])), rtol=3e-7)
    np.testing.assert_allclose(ones.std(axis).data, 0, atol=rounding)
    np.testing.assert_allclose(slope("max", ones, axis=axis), dtype(1 / n), rtol=1e-3)
    assert np.cumsum(ones, axis=0 if axis == (0, 1) else axis).data.max() == pytest.approx(
        exact if axis is None else 5000 * float(ones.data[0, 0]), rel=1e-6 if dtype is np.float32 else 1e-3
    )
    back = slope("cumsum", ones, axis=0)
    np.testing.assert_array_equal(back[0], 5000)


def test_float32_past_two_to_the_24():
    ones = np.broadcast_to(np.float32(1), (2**24 + 10, 2))
    assert np.sum(ones, axis=0)[0] == 2**24  # NumPy's own
    assert ops.mean(ones, axis=0)[0] == 1


def test_sums_that_overflow_have_a_finite_mean():
    x = Tensor(np.full(100, 60000.0), dtype=np.float16)
    assert x.mean().data == 60000 and ops.mean(x, where=np.arange(100) < 70).data == 60000
    assert np.isclose(Tensor([300.0, -300.0, 300.0], dtype=np.float16).std().data, 282.8, rtol=1e-3)
    assert ops.nanstd(Tensor([300.0, -300.0, nan], dtype=np.float16)).data == 300


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool, int])
def test_integers_do_not_wrap(dtype):
    x = np.array([[1, 100, 0], [120, 1, 7]]).astype(dtype)
    for name in ("sum", "prod", "mean", "var", "std", "cumsum", "cumprod", "median", "average"):
        np.testing.assert_allclose(ours(name)(x, axis=0), getattr(np, name)(x, axis=0), rtol=1e-14)
    np.testing.assert_allclose(ops.logsumexp(x, 1), np.log(np.exp(x.astype(float)).sum(1)))
    np.testing.assert_allclose(ops.cov(x), np.cov(x.astype(float)))
    weighted = ops.average(np.full(3, 200, np.uint8), weights=np.full(3, 100, np.uint8))
    assert weighted == 200


@pytest.mark.parametrize("name", [*PLAIN[:9], "cumsum", "cumprod", "nansum", "nanmax", "nanmean", "nanstd"])
@pytest.mark.parametrize("axis", [0, -1, None])
def test_a_number_has_one_axis_too(name, axis):
    out = ours(name)(Tensor(3.0), axis=axis)
    expected = {"ptp": 0, "var": 0, "std": 0, "nanstd": 0}.get(name, 3)
    assert out.data == expected and out.shape == ((1,) if name.startswith("cum") else ())
    assert slope(name, 3.0, axis=axis) == (1 if expected else 0)
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        ours(name)(Tensor(3.0), axis=1)


@pytest.mark.parametrize("name", [*PLAIN[:9], "nansum", "nanprod", "nanmax", "nanmean"])
def test_no_axis_at_all(name):
    x = Tensor([[2.0, -1.0], [0.5, 3.0]])
    out = ours(name)(x, axis=())
    assert out.shape == (2, 2)
    np.testing.assert_allclose(out.data, 0 if name in ("ptp", "var", "std") else x.data)
    np.testing.assert_allclose(slope(name, x, axis=()), 0 if name in ("ptp", "var", "std") else 1, atol=1e-15)


EMPTY = [("sum", 0), ("prod", 1), ("logsumexp", -inf), ("nansum", 0), ("nanprod", 1)]


@pytest.mark.parametrize("name, value", EMPTY)
def test_empty_axes(name, value):
    x = Tensor(np.ones((3, 0)))
    for axis, shape in [(1, (3,)), (None, ()), (0, (0,))]:
        out = ours(name)(x, axis=axis)
        assert out.shape == shape and np.all(out.data == value)
        assert slope(name, x, axis=axis).shape == (3, 0)


@pytest.mark.parametrize("name", ["max", "min", "ptp", "nanmax"])
def test_nothing_has_no_largest_element(name):
    with pytest.raises(ValueError, match=r"^(max|min) of \(0, 3\) float64: zero-size array"):
        ours(name)(Tensor(np.ones((0, 3))), axis=0)
    if name != "ptp":
        np.testing.assert_array_equal(ours(name)(Tensor(np.ones((0, 3))), axis=0, initial=-2.0).data, [-2.0] * 3)


@pytest.mark.parametrize("name", ["mean", "var", "std", "median", "nanmean", "nanvar", "nanmedian"])
def test_the_mean_of_nothing_is_nan_with_a_warning(name):
    with pytest.warns(RuntimeWarning):
        assert np.isnan(ours(name)(Tensor(np.ones((2, 0))), axis=1).data).all()
    assert ours(name)(Tensor(np.ones((2, 0))), axis=0).shape == (0,)


def others(x):
    """For each element the product of the others."""
    return np.array([np.prod(np.delete(x, i)) for i in range(len(x))])


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 2.0, 0.0], [2.0, 3.0, 0.0, 4.0], [0.0], [1e-200, 1e-200, 2.0]])
def test_products_with_zeros(x):
    np.testing.assert_allclose(slope("prod", x), others(x))
    check(lambda x: ops.prod(x), np.array(x))
    check(lambda x: ops.cumprod(x), np.array(x))
    stacked = np.array([x, np.arange(1.0, len(x) + 1)])
    np.testing.assert_allclose(slope("prod", stacked, axis=1), [others(row) for row in stacked])
    check(lambda x: ops.prod(x, axis=(-1, 0)), stacked)
    check(lambda x: ops.cumprod(x, axis=1), stacked)


def test_an_infinite_product():
    np.testing.assert_array_equal(slope("prod", [inf, 2.0]), [2.0, inf])
    assert np.isnan(slope("prod", [nan, 2.0])[1])


@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_thirty_thousand_factors(name):
    x = Tensor(np.full(30_000, 0.5))
    start = time.perf_counter()
    out = ours(name)(x)
    (first,) = gradients(out.sum(), [x], create_graph=True)
    (second,) = gradients(first.sum(), [x])
    assert time.perf_counter() - start < 5
    assert np.isfinite(first.data).all() and np.isfinite(second).all()
    assert ops.prod(x).data == 0


def test_cumprod_gradient_values():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    jacobian = [[np.prod(np.delete(x[: i + 1], j)) if j <= i else 0.0 for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(slope("cumprod", x), np.sum(jacobian, 0))


def test_ties_share_equally():
    x = [[1.0, 3.0, 3.0], [3.0, 2.0, 3.0]]
    np.testing.assert_allclose(slope("max", x, axis=1), [[0, 0.5, 0.5], [0.5, 0, 0.5]])
    np.testing.assert_allclose(slope("max", x), np.equal(x, 3) / 4)
    np.testing.assert_allclose(slope("ptp", [1.0, 1.0, 2.0]), [-0.5, -0.5, 1])
    assert slope("max", Tensor([1.0, 1.0], dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("name", ["max", "min", "ptp"])
def test_nan_reaches_the_whole_group_and_no_other(name):
    g = slope(name, [[1.0, nan, 3.0], [1.0, 2.0, 3.0]], axis=1)
    assert np.isnan(g[0]).all() and np.isfinite(g[1]).all()


@pytest.mark.parametrize("name", ["max", "min"])
def test_initial_that_wins_leaves_no_gradient(name):
    sign = 1 if name == "max" else -1
    x, limit = Tensor([sign * 1.0, sign * 2.0]), Tensor(sign * 5.0)
    out = ours(name)(x, initial=limit)
    out.backward()
    assert out.data == limit.data and limit.grad == 1 and not x.grad.any()
    with pytest.raises(ValueError, match="where= needs initial="):
        ours(name)(x, where=[True, False])


def test_keywords_with_tensors():
    x, start = Tensor([2.0, 3.0]), Tensor(4.0)
    (ops.sum(x, initial=start) * ops.prod(x, initial=start)).backward()  # (a + b + s) * (a * b * s)
    np.testing.assert_allclose(start.grad, 24 + 9 * 6)
    np.testing.assert_allclose(x.grad, [24 + 9 * 12, 24 + 9 * 8])


@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "var", "std", "cumsum", "cumprod", "nansum", "nanmean", "nanvar"]
)
def test_dtype(name):
    x = Tensor([1.0, 2.5, 2.0], dtype=np.float32)
    out = ours(name)(x, dtype=np.float64)
    expected = getattr(np, name)(x.data, dtype=np.float64)
    assert out.dtype == np.float64
    np.testing.assert_allclose(out.data, expected, rtol=1e-7 if name == "nanvar" else 1e-15)  # theirs
    assert slope(name, x, dtype=np.float64).dtype == np.float32
    with pytest.raises(TypeError, match="int64"):
        ours(name)(x, dtype=np.int64)


def test_a_mask_must_fit_and_be_boolean():
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"broadcast|dimensions"):
        ops.sum(x, where=np.ones((4, 2, 3), bool))
    with pytest.raises(TypeError, match="boolean"):
        ops.sum(x, where=np.ones(3))
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        np.testing.assert_array_equal(ops.mean(x, axis=1, where=[[True], [False]]).data, [1, nan])
    masked = Tensor([1.0, nan, inf])
    for name in ("sum", "mean", "prod", "var", "std"):
        np.testing.assert_array_equal(slope(name, masked, where=[True, False, False])[1:], 0)


def test_logsumexp_of_infinities():
    x = Tensor([[-inf, -inf], [inf, 1.0], [inf, inf], [-inf, 2.0], [nan, 1.0]])
    out = x.logsumexp(1)
    np.testing.assert_array_equal(out.data, [-inf, inf, inf, 2.0, nan])
    out.backward(np.ones(5))
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5], [1, 0], [0.5, 0.5], [0, 1], [nan, nan]])
    assert Tensor([-inf, -inf]).logsumexp().data == -inf
    half = Tensor(np.full((3000, 1), 11.0), dtype=np.float16).logsumexp(0)
    assert half.dtype == np.float16 and half.data[0] == np.float16(11 + np.log(3000))


def test_cumulative_functions():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match="of 2 axes, say which one"):
        ops.cumulative_sum(x)
    np.testing.assert_array_equal(ops.cumulative_prod(x, axis=-1, include_initial=True).data, [[1, 1, 2], [1, 3, 12]])
    assert ops.cumulative_sum(np.array([1, 2], np.uint8), include_initial=True).dtype.kind == "u"
    assert ops.cumulative_sum(Tensor(np.ones(0)), include_initial=True).data.tolist() == [0]
    assert ops.cumulative_sum(Tensor([1.0], dtype=np.float32), dtype=float).dtype == float


def test_nan_is_left_out():
    x = Tensor([[1.0, nan, 3.0], [nan, -2.0, 4.0]])
    for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nanmedian"):
        np.testing.assert_allclose(ours(name)(x, axis=1).data, getattr(np, name)(x.data, axis=1), rtol=1e-13)
        assert np.all(slope(name, x, axis=1)[np.isnan(x.data)] == 0)


@pytest.mark.parametrize("name", ["nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nanmedian"])
def test_nothing_but_nan(name):
    x = Tensor([[nan, nan], [1.0, 2.0]])
    with pytest.warns(RuntimeWarning) as ourselves:
        out = ours(name)(x, axis=1)
    with pytest.warns(RuntimeWarning) as numpys:
        np.testing.assert_allclose(out.data, getattr(np, name)(x.data, axis=1))
    assert str(ourselves[0].message).strip(".") == str(numpys[0].message).strip(".")
    out.sum().backward()
    np.testing.assert_array_equal(x.grad[0], 0)
    assert np.isfinite(x.grad[1]).all()
    assert ops.nansum(Tensor([nan])).data == 0 and ops.nanprod(Tensor([nan])).data == 1


def test_lists_are_taken():
    for name in PLAIN:
        np.testing.assert_allclose(
            ours(name)([[1.0, 2.0], [3.0, 5.0]], axis=0), ours(name)(np.array([[1.0, 2.0], [3.0, 5.0]]), axis=0)
        )
    assert tinygrad_edu.sum(3) == 3 and tinygrad_edu.mean(2.0) == 2


def test_cumprod_of_float16_with_a_zero_loses_no_count():
    x = np.ones(5000)
    x[-1] = 0
    assert slope("cumprod", Tensor(x, dtype=np.float16))[0] == 4999


@pytest.mark.parametrize("name", ["prod", "cumprod"])
@pytest.mark.parametrize(("factor", "dtype"), [(0.01, np.float16), (1e-107, np.float64)])
def test_subnormal_products(name, factor, dtype):
    found = slope(name, Tensor(np.full(3, factor), dtype=dtype))[-1]  # out / x would have few digits
    np.testing.assert_allclose(found, dtype(factor) * dtype(factor), rtol=1e-13)


@pytest.mark.parametrize(("name", "worst"), [("nanmax", -inf), ("nanmin", inf)])
@pytest.mark.parametrize("axis", [None, 0])
def test_nan_takes_no_part_of_an_infinite_extreme(name, worst, axis):
    np.testing.assert_array_equal(slope(name, np.array([nan, worst, worst]), axis=axis), [0, 0.5, 0.5])
