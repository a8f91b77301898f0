import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_edu.draw.numbers import (
    format_array,
    format_factor,
    format_mean,
    format_number,
    format_product,
    format_shape,
    format_statistics,
    format_sum,
)

CASES = [
    (0, "0"),
    (-0.0, "0"),
    (3.0, "3"),
    (-4, "\u22124"),
    (784.0, "784"),
    (123_456, "123456"),
    (0.53788, "0.538"),
    (2.5, "2.5"),
    (1234.5, "1230"),
    (999.96, "1000"),
    (12_345_678, "1.23e7"),
    (-0.0000123456, "\u22121.23e\u22125"),
    (1e-300, "1e\u2212300"),
    (math.inf, "∞"),
    (-math.inf, "\u2212∞"),
    (math.nan, "NaN"),
    (True, "true"),
    (np.float32(0.1), "0.1"),
    (np.array([[7.0]]), "7"),
]


@pytest.mark.parametrize(("x", "text"), CASES)
def test_three_digits_an_exact_zero_and_a_real_minus(x, text):
    assert format_number(x) == text


def test_more_digits():
    assert format_number(1 / 3, precision=6) == "0.333333"


@pytest.mark.parametrize(
    ("x", "text"), [(-2.5e-7, r"-2.5 \cdot 10^{-7}"), (-math.inf, r"-\infty"), (math.nan, r"\mathrm{NaN}"), (2, "2")]
)
def test_latex(x, text):
    assert format_number(x, latex=True) == text


@given(st.floats(-1e300, 1e300), st.integers(1, 17))
def test_what_is_printed_is_the_number_to_that_many_digits(x, precision):
    read = float(format_number(x, precision).replace("\u2212", "-"))
    assert read == x if x == 0 else abs(read - x) <= abs(x) * (0.5 * 10.0 ** (1 - precision) + 1e-15) + 5e-324


def test_negative_factors_are_in_brackets():
    assert format_product(-4, 1) == "\u22124 · 1 = \u22124"
    assert format_product(1, -4) == "1 · (\u22124) = \u22124"
    assert format_factor(-1) == "(\u22121)"
    assert format_sum([3.0, -2.0, 1.5]) == "3 + (\u22122) + 1.5"


def test_a_product_that_overflows_is_infinite():
    assert format_product(1e200, 1e200).endswith("= ∞")


def test_statistics():
    assert format_statistics(np.array([[0.0, 2.0], [4.0, -2.0]])) == ("mean 1 std 2.24", "min \u22122 max 4")
    assert format_statistics(np.array([True, False])) == ("mean 0.5 std 0.5", "min 0 max 1")
    assert format_statistics(np.empty((0, 3))) == ("", "")


def test_statistics_of_small_floats_do_not_overflow():
    assert format_statistics(np.full(100_000, 1000.0, np.float16))[0] == "mean 1000 std 0"


@pytest.mark.parametrize(("shape", "text"), [((), ""), ((3,), "[3]"), ((4, 2), "[4\u00d72]"), ((0, 3), "[0\u00d73]")])
def test_shapes(shape, text):
    assert format_shape(shape) == text


def test_statistics_are_of_the_finite_elements():
    assert format_statistics(np.array([1.0, np.nan, 3.0, np.inf, np.nan])) == ("mean 2 std 1", "min 1 max 3 NaN 2 ∞ 1")
    assert format_statistics(np.array([np.nan])) == ("", "NaN 1")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mean_that_is_rounding_is_about_0(dtype):
    rounding = np.array([1, -1, 1, -1 + np.finfo(dtype).eps], dtype)
    assert format_mean(rounding) == "≈0" and format_statistics(rounding)[0] == "mean ≈0 std 1"
    assert format_mean(np.array([1, -1], dtype)) == "0"
    assert format_mean(np.array([1, -0.999], dtype)) == "0.0005"
    assert format_mean(np.full(3, np.finfo(dtype).tiny, dtype)) == format_number(np.finfo(dtype).tiny)


@pytest.mark.parametrize("brief", [0, 1, 2])
@pytest.mark.parametrize(("x", "text"), [(0.0, "0 everywhere"), (-2.5, "−2.5 everywhere"), (np.nan, "NaN 9")])
def test_an_array_of_one_number_says_so(x, text, brief):
    assert format_array(np.full((3, 3), x), brief=brief) == text
