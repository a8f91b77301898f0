"""Sequences and polynomials at their kinks and limits: corners and jumps, empty arrays, integers, wrong arguments."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor


def gradients(f, *xs):
    """The gradients of f's sum."""
    tensors = [Tensor(x) for x in xs]
    f(*tensors).sum().backward()
    return [t.grad for t in tensors]


@pytest.mark.parametrize(
    "name, args, kwargs",
    [
        ("diff", ([True, False, False],), {"n": 2}),
        ("diff", (np.uint8([3, 5, 4]),), {}),
        ("diff", ([3, 5, 4],), {"prepend": 0.5, "append": 1}),
        ("diff", (np.array([1, 2]),), {"n": 0}),
        ("diff", ([[1, 2, 4]],), {"prepend": [[0, 1]], "axis": 1}),
        ("ediff1d", ([[1, 2], [4, 8]],), {"to_begin": [-1, 0], "to_end": 99}),
        ("ediff1d", (3.0,), {}),
        ("trapezoid", ([1, 2, 4],), {"x": [1, 2, 5]}),
        ("trapezoid", (np.ones((2, 0)),), {}),
        ("trapezoid", ([[1.0, 2, 4]],), {"x": [[1.0, 2, 5]], "axis": 0}),
        ("gradient", (np.uint8([3, 1, 200]),), {}),
        ("gradient", ([1.0, np.inf, 3, 4, 5],), {}),
        ("gradient", ([1.0, np.inf, 3, 4, 5], np.arange(5)), {"edge_order": 2}),
        ("gradient", ([1.0, np.inf, 3, 4, 5], [0, 1, 3, 4, 7.0]), {}),
        ("gradient", (np.float32([1, 2, 4]), [0.0, 1, 4]), {}),
        ("gradient", (np.float16([1, 2, 4]), 0.1), {}),
        ("gradient", (np.eye(3), 1, np.uint8([3, 1, 0])), {"axis": (-1, 0)}),
        ("gradient", (3.0,), {}),
        ("convolve", ([1, 2], [3, 4, 5]), {"mode": "same"}),
        ("convolve", (2, 3), {}),
        ("correlate", ([1, 2, 3], [0, 1, 5]), {}),
        ("unwrap", ([0, 7, 3, 20],), {"period": 6}),
        ("unwrap", ([0.0, 3.0, np.nan, 9.0],), {}),
        ("unwrap", ([0.0, np.pi, 0.0],), {}),
        ("bincount", ([1, 1, 3],), {}),
        ("bincount", ([1, 1, 3],), {"minlength": 6}),
        ("bincount", ([1, 1, 3], [1, 2, 3]), {}),
        ("bincount", ([],), {"minlength": 2}),
        ("interp", (2.5, [1, 2, 3], [3, 2, 0]), {}),
        ("interp", ([0.0, 1.0, 1.5, 2.0, 3.0], [1.0, 1.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0]), {}),
        ("interp", ([0.0, 1.0, 2.0], [1.0], [5.0]), {"left": -1, "right": 1}),
        ("interp", ([np.nan, -np.inf, np.inf, 1.0, 1.5], [0.0, 1.0, 2.0], [0.0, 1.0, np.inf]), {}),
        ("interp", ([0.5, 1.5, 2.5], [3.0, 1.0, 2.0], [0.0, 1.0, 2.0]), {}),
        ("interp", ([-180, 5, 350, 1e4], [190, -190, 350, -350], [5, 10, 3, 4]), {"period": 360}),
        ("interp", (np.ones((0, 2)), [1.0, 2.0], [3.0, 4.0]), {}),
        ("apply_along_axis", (np.argmax, 0, [[1.0, 5.0], [2.0, 3.0]]), {}),
        ("apply_along_axis", (lambda v: [v[0], v[-1], 0.5], 0, [[1.0, 5.0], [2.0, 3.0]]), {}),
        ("apply_over_axes", (np.sum, np.ones((2, 3, 4)), [0, -1]), {}),
        ("polyval", ([], [1.0, 2.0]), {}),
        ("polyval", ([1, 2, 3], np.uint8([1, 200])), {}),
        ("polyval", (np.poly1d([1.0, 2.0]), 3), {}),
        ("polyval", ([1.0, 2.0], np.nan), {}),
        ("polyadd", ([0, 0, 1], [1]), {}),
        ("polysub", ([], []), {}),
        ("polymul", ([0, 0, 1, 2], [0, 3]), {}),
        ("polymul", ([0, 0], [1, 3]), {}),
        ("polymul", ([], [1.0, 3]), {}),
        ("polyder", (np.uint8([100, 100, 1]),), {"m": 2}),
        ("polyder", ([1, 2],), {"m": 5}),
        ("polyfit", ([0, 1, 2, 5], np.uint8([200, 3, 4, 4]), 1), {"w": [1, 2, 1, 3]}),
        ("polyfit", ([0, 1, 2, 5], [[2, 0], [3, 1], [4, 4], [5, 1]], 1), {"cov": True, "w": [1, 2, 1, 3]}),
        ("polyint", ([3, 4, 5],), {"m": 2, "k": [1, 2, 3]}),
        ("polyint", ([3, 4, 5],), {"m": 2, "k": 7}),
        ("polyint", ([],), {"m": 2}),
    ],
)
def test_plain_values_are_numpys(name, args, kwargs):
    expected, out = getattr(np, name)(*args, **kwargs), getattr(tg, name)(*args, **kwargs)
    assert type(out) is type(expected)
    for a, e in zip(*[y if isinstance(y, tuple) else [y] for y in (out, expected)], strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-12, atol=1e-13)
        assert np.shape(a) == np.shape(e) and np.asarray(a).dtype == np.asarray(e).dtype


FIVE = Tensor([1.0, 2.0, 4.0, 3.0, 5.0])
REFUSALS = [
    (lambda: tg.diff(FIVE, n=-1), ValueError, "diff: n=-1"),
    (lambda: tg.diff(Tensor(1.0)), ValueError, r"diff: n=1 of shape \(\)"),
    (lambda: tg.diff(FIVE, axis=1), ValueError, "axis 1 is out of bounds"),
    (lambda: tg.ediff1d([1, 2], to_end=FIVE), TypeError, "ediff1d: float64 does not fit"),
    (lambda: tg.trapezoid(FIVE, axis=3), ValueError, "axis 3 is out of bounds"),
    (lambda: tg.gradient(FIVE, 1.0, 2.0), TypeError, "gradient: 2 spacings for 1 axes"),
    (lambda: tg.gradient(FIVE, [1.0, 2.0]), ValueError, r"gradient: coordinates of shape \(2,\) for axis 0"),
    (lambda: tg.gradient(FIVE, edge_order=3), ValueError, "gradient: edge_order is 1 or 2, not 3"),
    (lambda: tg.gradient(Tensor([1.0, 2.0]), edge_order=2), ValueError, "gradient: axis 0 has 2 elements"),
    (lambda: tg.convolve(FIVE, FIVE, mode="valid "), ValueError, "convolve: mode is"),
    (lambda: tg.convolve(FIVE, []), ValueError, "cannot be empty"),
    (lambda: tg.convolve(FIVE, np.eye(2)), ValueError, "convolve of .*: object too deep"),
    (lambda: tg.unwrap(FIVE, period=Tensor(6.0)), TypeError, "unwrap: no gradient flows to period"),
    (lambda: tg.bincount(FIVE, FIVE), TypeError, "bincount: no gradient flows to x; pass its values"),
    (lambda: tg.bincount(FIVE), TypeError, "Cannot cast"),
    (lambda: tg.bincount([0, 1], FIVE), ValueError, "bincount of .*length"),
    (lambda: tg.bincount([0, 1, 1, 1, -1], FIVE), ValueError, "bincount of .*negative"),
    (lambda: tg.interp(FIVE, [0.0, 1.0], [1.0]), ValueError, r"interp: .*not \(2,\) and \(1,\)"),
    (lambda: tg.interp(FIVE, [0.0, 1.0], [1.0, 2.0, 3.0], period=4), ValueError, r"interp: .*not \(2,\) and \(3,\)"),
    (lambda: tg.interp(FIVE, [], []), ValueError, "interp of .*empty"),
    (lambda: tg.interp(FIVE, [0.0], [1.0], period=0), ValueError, "interp: the period must not be 0"),
    (lambda: tg.apply_along_axis(tg.sum, 1, Tensor(np.ones((0, 2)))), ValueError, "apply_along_axis: no vectors"),
    (lambda: tg.apply_over_axes(lambda x, axis: x.sum(), Tensor(np.eye(2)), 0), ValueError, "apply_over_axes: func"),
    (lambda: tg.polyval(FIVE, np.poly1d([1, 2])), TypeError, "polyval: x is a polynomial"),
    (lambda: tg.polyder(FIVE, -1), ValueError, "polyder: m=-1"),
    (lambda: tg.polyint(FIVE, -1), ValueError, "polyint: m=-1"),
    (lambda: tg.polyint(FIVE, 3, [1, 2]), ValueError, "polyint: 2 constants for 3 integrals"),
    (lambda: tg.polyfit(FIVE, FIVE, -1), ValueError, "polyfit: the degree must not be negative"),
    (lambda: tg.polyfit(FIVE, [1.0], 1), TypeError, r"polyfit: takes x of shape \(n,\).*not \(5,\) and \(1,\)"),
    (lambda: tg.polyfit(FIVE, FIVE, 1, w=1.0), TypeError, r"polyfit: w of shape \(\) for 5 points"),
    (lambda: tg.polyfit(FIVE, FIVE, 4, cov=True), ValueError, "polyfit: 5 points are too few"),
    (lambda: tg.polymul(FIVE, np.eye(2)), ValueError, "convolve of .*: object too deep"),
]


@pytest.mark.parametrize("call, error, message", REFUSALS)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_ends_of_diff_keep_the_dtype_and_receive_gradients():
    x = Tensor([1.0, 3.0], dtype=np.float32)
    assert tg.diff(x, prepend=0.5, append=1).dtype == np.float32
    assert tg.ediff1d(x, to_end=Tensor([2.0]), to_begin=[1, 2]).dtype == np.float32
    x, end = gradients(lambda x, end: tg.diff(x, append=end), [1.0, 3.0], 4.0)
    assert (x.tolist(), end.tolist()) == ([-1, 0], 1)
    assert gradients(lambda end: tg.diff([[1], [2]], prepend=end, axis=0), 4.0)[0] == -1


def test_areas_and_slopes_of_small_integers_do_not_wrap_around():
    assert tg.trapezoid(np.uint8([200, 200]), Tensor([0.0, 1.0])).item() == 200
    assert tg.trapezoid(Tensor([1.0, 1.0]), np.uint8([5, 3])).item() == -2
    assert tg.gradient(Tensor([1.0, 1.5]), np.uint8([5, 3])).tolist() == [-0.25, -0.25]


@pytest.mark.parametrize("edge_order", [1, 2])
def test_slopes_depend_on_coordinates_also_where_they_are_evenly_spaced(edge_order):
    x, places = np.array([1.0, 2.0, 4.0, 3.0]), np.arange(4.0)
    found = gradients(lambda p: tg.gradient(x, p, edge_order=edge_order) * np.array([1.0, 2, 3, 5]), places)[0]
    shifted = [
        [np.sum(np.gradient(x, places + d * e, edge_order=edge_order) * [1.0, 2, 3, 5]) for d in (1e-6, -1e-6)]
        for e in np.eye(4)
    ]
    np.testing.assert_allclose(found, [(up - down) / 2e-6 for up, down in shifted], rtol=1e-6)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolution_of_all_lengths(name, mode):
    rng = np.random.default_rng(0)
    for n, m in np.ndindex(6, 6):
        x, y = rng.normal(size=n + 1), rng.normal(size=m + 1)
        out = getattr(tg, name)(Tensor(x), Tensor(y), mode=mode)
        np.testing.assert_allclose(out.data, getattr(np, name)(x, y, mode), rtol=1e-12, atol=1e-13)


def test_convolution_takes_no_more_than_the_products_that_it_needs():
    x, y = np.ones(100_000), np.ones(5)
    x_grad, y_grad = gradients(tg.convolve, x, y)
    assert x_grad.tolist() == [5] * 100_000 and y_grad.tolist() == [100_000] * 5
    assert gradients(tg.correlate, x, x)[0].tolist() == x.tolist()


def test_bincount_adds_up_in_float64():
    out = tg.bincount(np.zeros(5000, int), Tensor(np.ones(5000), dtype=np.float16))
    assert out.dtype == np.float16 and out.tolist() == [5000]
    empty = tg.bincount(np.zeros(0, int), Tensor(np.ones(0)), minlength=2)
    assert empty.dtype == float and empty.tolist() == [0, 0]


def test_interp_at_corners_jumps_and_ends():
    xp, fp = np.array([0.0, 1.0, 2.0, 2.0, 3.0, 3.0]), np.array([0.0, 1.0, 5.0, 6.0, 8.0, 9.0])
    x = np.array([-1.0, 0.0, 1.0, 2.0, 2.5, 3.0, 4.0])
    to_x, to_xp, to_fp = gradients(tg.interp, x, xp, fp)
    assert to_x.tolist() == [0, 1, 4, 2, 2, 0, 0]  # a corner has the slope on its right, an end that jumps has none
    assert to_fp.tolist() == [2, 1, 0, 1.5, 0.5, 2]
    assert to_xp.tolist() == [-1, -4, 0, -3, -1, 0]
    assert gradients(lambda x: tg.interp(x, [0.0, 1.0], [0.0, 3.0]), [1.0])[0].tolist() == [3]  # the last has one
    assert [g.tolist() for g in gradients(tg.interp, [1.0, 2.0], [1.0], [4.0])] == [[0, 0], [0], [2]]


def test_interp_of_nan():
    to_x, to_xp, to_fp = gradients(tg.interp, [np.nan, 1.5], [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 3.0, 4.0])
    np.testing.assert_array_equal(to_x, [np.nan, 2])
    np.testing.assert_array_equal(to_fp, [0, 0.5, np.nan, np.nan])
    np.testing.assert_array_equal(to_xp, [0, -1, np.nan, np.nan])


def test_interp_beyond_the_ends_and_with_a_period():
    x, xp, fp = [-1.0, 1.5, 7.0], [0.0, 2.0], [1.0, 3.0]
    to_x, to_fp, low, high = gradients(lambda x, fp, a, b: tg.interp(x, xp, fp, a, b), x, fp, 5.0, 6.0)
    assert (to_x.tolist(), to_fp.tolist(), low, high) == ([0, 1, 0], [0.25, 0.75], 1, 1)
    f = lambda period: tg.interp(
        np.array([1.5, 9.5, 11.2]), np.array([0.0, 2.0, 7.0]), np.array([1.0, 3.0, 2.0]), period=period
    )
    numeric = (f(4.5 + 1e-6) - f(4.5 - 1e-6)).sum() / 2e-6
    np.testing.assert_allclose(gradients(f, 4.5)[0], numeric, rtol=1e-6)


def test_interp_adds_up_the_gradients_of_many_places_in_float64():
    fp = Tensor([1.0, 1.0], dtype=np.float16)
    tg.interp(np.zeros(5000, np.float16), np.float16([0, 1]), fp).sum().backward()
    assert fp.grad.dtype == np.float16 and fp.grad.tolist() == [5000, 0]


def test_unwrap_passes_its_gradient():
    assert gradients(lambda x: tg.unwrap(x) * np.array([1.0, 2.0, 3.0]), [0.0, 6.0, 13.0])[0].tolist() == [1, 2, 3]


def test_functions_along_an_axis():
    x = Tensor([[1.0, 5.0], [2.0, 3.0]])
    places = tg.apply_along_axis(np.argmax, 0, x.data)
    assert type(places) is np.ndarray and places.dtype == int
    scale = Tensor(2.0)
    tg.apply_along_axis(lambda v: v * scale, 1, x.data).sum().backward()
    assert scale.grad == 11
    out = tg.apply_over_axes(tg.sum, x, (0, 1))
    assert out.shape == (1, 1) and out.tolist() == [[11]]


def test_products_of_polynomials_drop_leading_zeros():
    x, y = gradients(tg.polymul, [0.0, 0.0, 2.0], [1.0, 3.0])
    assert (x.tolist(), y.tolist()) == ([0, 0, 4], [2, 2])
    x, y = gradients(tg.polymul, [0.0, 0.0], [1.0, 3.0])
    assert (x.tolist(), y.tolist()) == ([0, 4], [0, 0])
    assert gradients(lambda p: tg.polyadd(p, np.poly1d([1.0, 0.0])), [0.0])[0].tolist() == [1]


def test_a_fit_returns_what_least_squares_return():
    x, y = np.array([0.0, 1.0, 2.0, 5.0]), np.array([2.0, 3.0, 4.0, 4.0])
    out, expected = tg.polyfit(Tensor(x), y, 1, full=True), np.polyfit(x, y, 1, full=True)
    for a, e in zip(out, expected, strict=True):
        np.testing.assert_allclose(getattr(a, "data", a), e, rtol=1e-12)
    with pytest.warns(np.exceptions.RankWarning):
        short = tg.polyfit(Tensor(x[:2]), y[:2], 2)
    with pytest.warns(np.exceptions.RankWarning):
        np.testing.assert_allclose(short.data, np.polyfit(x[:2], y[:2], 2), rtol=1e-12, atol=1e-14)


def test_a_fit_through_few_of_many_points_by_their_weights():
    x, y, w = np.linspace(-1, 1, 50), np.cos(np.arange(50.0)), np.zeros(50)
    w[[3, 20, 40]] = 1.0
    to_y = gradients(lambda y: tg.polyval(tg.polyfit(x, y, 2, w=w), x[[3]]), y)[0]
    np.testing.assert_allclose(to_y, np.eye(50)[3], atol=1e-12)


def test_polynomials_keep_the_dtype():
    p = Tensor([1.0, 2.0], dtype=np.float32)
    out = [tg.polyint(p, k=[3.0]), tg.polyint(p, 2, 3.0), tg.polyder(p), tg.polyval(p, 2.0 * p), tg.polyadd(p, p[:1])]
    assert [y.dtype for y in out] == [np.float32] * 5


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint64])
def test_interp_of_small_integers_does_not_wrap_around(dtype):
    for xp, fp in [([0, 1], [1, 0]), ([0, 127], [127, 0])][: 1 if dtype is bool else 2]:
        narrow, wide = [[np.array(v, t) for v in (xp, fp)] for t in (dtype, float)]
        for period in [None, 200.0]:
            x, y = Tensor([0.25, 0.5, 150.0]), Tensor([0.25, 0.5, 150.0])
            a, b = tg.interp(x, *narrow, period=period), tg.interp(y, *wide, period=period)
            np.testing.assert_allclose(a.data, b.data, rtol=1e-14)
            a.sum().backward()
            b.sum().backward()
            np.testing.assert_allclose(x.grad, y.grad, rtol=1e-14)
