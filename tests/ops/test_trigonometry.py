"""Special values of ops/trigonometry.py."""

import math

import numpy as np
import pytest
from domains import trigonometry as domains
from finite_differences import check

import tinygrad_edu
from tinygrad_edu import Tensor
from tinygrad_edu.engine import REGISTRY

inf, nan, half = math.inf, math.nan, math.sqrt(0.5)

SLOPES = [  # function, operands, gradients
    ("hypot", (0.0, 0.0), (0, 0)),
    ("hypot", (3.0, -4.0), (0.6, -0.8)),
    ("hypot", (3e200, -4e200), (0.6, -0.8)),
    ("hypot", (0.0, -2.0), (0, -1)),
    ("hypot", (inf, 1.0), (1, 0)),
    ("hypot", (2.0, -inf), (0, -1)),
    ("hypot", (nan, 1.0), (nan, nan)),
    ("hypot", (nan, inf), (nan, 1)),
    ("arctan2", (0.0, 0.0), (0, 0)),
    ("arctan2", (1.0, 0.0), (0, -1)),
    ("arctan2", (0.0, -2.0), (-0.5, 0)),
    ("arctan2", (1.0, -1.0), (-0.5, -0.5)),
    ("arctan2", (-1.0, -1e-20), (-1e-20, 1)),
    ("arctan2", (3e200, 4e200), (1.6e-201, -1.2e-201)),
    ("arctan2", (1.0, inf), (0, 0)),
    ("arctan2", (-inf, inf), (0, 0)),
    ("arctan2", (nan, 0.0), (nan, nan)),
    ("arctan2", (1.0, nan), (nan, nan)),
    ("arctan", (1e200,), (0,)),
    ("arctan", (1e100,), (1e-200,)),
    ("arctan", (-inf,), (0,)),
    ("arctan", (nan,), (nan,)),
    ("arcsinh", (-1e200,), (1e-200,)),
    ("arccosh", (1e200,), (1e-200,)),
    ("arccosh", (1 + 2**-40,), (1 / math.sqrt(2**-40 * (2 + 2**-40)),)),
    ("arcsin", (1 - 2**-40,), (1 / math.sqrt(2**-40 * (2 - 2**-40)),)),
    ("arccos", (2**-40 - 1,), (-1 / math.sqrt(2**-40 * (2 - 2**-40)),)),
    ("arctanh", (1 - 2**-40,), (1 / (2**-40 * (2 - 2**-40)),)),
    ("tan", (1.5,), (1 / math.cos(1.5) ** 2,)),
    ("sinc", (0.0,), (0,)),
    ("sinc", (1e-9,), (-1e-9 * math.pi**2 / 3,)),
    ("sinc", (1.0,), (-1,)),
    ("sinc", (nan,), (nan,)),
    ("i0", (0.0,), (0,)),
    ("i0", (1e-9,), (5e-10,)),
    ("i0", (-1.0,), (-0.5651591039924851,)),
    ("i0", (700.0,), (1.5285003902339006e302,)),
    ("i0", (-700.0,), (-1.5285003902339006e302,)),
    ("i0", (nan,), (nan,)),
]


@pytest.mark.parametrize("name, operands, gradients", SLOPES)
@pytest.mark.parametrize("create_graph", [False, True])
def test_slopes_at_special_values(name, operands, gradients, create_graph):
    tensors = [Tensor(x) for x in operands]
    getattr(tinygrad_edu.ops, name)(*tensors).backward(create_graph=create_graph)
    found = [t.grad.item() for t in tensors]
    np.testing.assert_allclose(found, gradients, rtol=1e-13)


@pytest.mark.parametrize("name", ["hypot", "arctan2"])
@pytest.mark.parametrize("point", [(0.0, 0.0), (inf, 1.0), (-inf, -inf)])
def test_second_derivatives_are_finite_where_the_first_are_chosen(name, point):
    tensors = [Tensor(x) for x in point]
    getattr(tinygrad_edu.ops, name)(*tensors).backward(create_graph=True)
    slopes = [t.grad for t in tensors]
    for t in tensors:
        t.grad = None
    (slopes[0] + 2 * slopes[1]).backward()
    assert all(np.isfinite(t.grad) for t in tensors)


@pytest.mark.parametrize("name, x", [("arcsin", 1.0), ("arccos", -1.0), ("arccosh", 1.0)])
def test_a_vertical_tangent_is_infinite_as_that_of_sqrt(name, x):
    t = Tensor(x)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        getattr(tinygrad_edu.ops, name)(t).backward()
    assert np.isinf(t.grad)


def test_all_four_quadrants():
    angles = np.linspace(-3, 3, 8)
    f = tinygrad_edu.ops.arctan2
    check(f, 2 * np.sin(angles), 2 * np.cos(angles))
    np.testing.assert_allclose(f(Tensor(np.sin(angles)), np.cos(angles)).data, angles)
    check(tinygrad_edu.ops.hypot, 2 * np.sin(angles), 2 * np.cos(angles))


@pytest.mark.parametrize("name", ["hypot", "arctan2"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, bool, int])
def test_small_integers_do_not_wrap(name, dtype):
    f, whole = getattr(tinygrad_edu.ops, name), np.array([100, 1, 0]).astype(dtype)
    for order in (1, -1):
        found, expected = Tensor([-100.0, 2.0, 3.0]), Tensor([-100.0, 2.0, 3.0])
        f(*[found, whole][::order]).sum().backward()
        f(*[expected, whole.astype(float)][::order]).sum().backward()
        np.testing.assert_allclose(found.grad, expected.grad, rtol=1e-14)


@pytest.mark.parametrize(
    "name, n, top", [("sinc", 1, 4), ("sinc", 3, 4), ("sinc", 10, 9), ("bessel", 1, 9), ("bessel", 7, 9)]
)
def test_any_order_on_both_sides_of_every_seam(name, n, top):
    x = np.linspace(-top, top, 91)
    expected = domains.REFERENCES[name](x, n)
    np.testing.assert_allclose(REGISTRY[name].call(x, n), expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_bessel_functions_of_large_numbers():
    from_tables = [1.0683693903381624e42, 1.0262740175651900e42]  # I_1(100), I_3(100)
    found = [REGISTRY["bessel"].call(np.array([100.0, 0.5]), n)[0] for n in (1, 3)]
    np.testing.assert_allclose(found, from_tables, rtol=1e-13)
    np.testing.assert_allclose(REGISTRY["bessel"].call(np.array([1e-8]), 1), [5e-9], rtol=1e-15)


@pytest.mark.parametrize("name", ["sinc", "i0"])
def test_four_derivatives_in_a_row(name):
    t = Tensor(0.0)
    y, slopes = getattr(tinygrad_edu.ops, name)(t), []
    for _ in range(4):
        (y,) = tinygrad_edu.gradients(y, [t], create_graph=True)
        slopes.append(y.item())
    expected = {"sinc": [0, -(math.pi**2) / 3, 0, math.pi**4 / 5], "i0": [0, 1 / 2, 0, 3 / 8]}[name]
    np.testing.assert_allclose(slopes, expected, atol=1e-13)


def test_second_names_are_the_same_functions():
    for name in ("acos", "asin", "atan", "atan2", "acosh", "asinh", "atanh"):
        assert getattr(tinygrad_edu.ops, name) is getattr(tinygrad_edu.ops, f"arc{name[1:]}")
    assert tinygrad_edu.ops.degrees is tinygrad_edu.ops.rad2deg
    assert tinygrad_edu.ops.radians is tinygrad_edu.ops.deg2rad


@pytest.mark.parametrize("name", ["deg2rad", "i0", "sinc", "rad2deg"])
@pytest.mark.parametrize("x", [1, 0.5, [1.0, 2.0], [[1, 2]], []])
def test_lists_and_numbers(name, x):
    found, expected = getattr(tinygrad_edu.ops, name)(x), getattr(np, name)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert np.shape(found) == np.shape(expected) and not isinstance(found, Tensor)
