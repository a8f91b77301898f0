import math
import os
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu.checks import (
    as_array,
    broadcasts_to,
    check_choice,
    check_int,
    check_number,
    check_pair,
    check_path,
    check_positive_int,
)


@pytest.mark.parametrize("value", [1, 7, np.int8(7), np.uint64(2)])
def test_integers_become_pythons(value):
    assert check_positive_int("n", value) == value
    assert type(check_positive_int("n", value)) is int
    assert check_int("n", value, 1, 7) == value


@pytest.mark.parametrize("value", [0, -1, np.int64(0)])
def test_integers_out_of_range_are_value_errors(value):
    with pytest.raises(ValueError, match=r"Linear: in_features is .*; it must be an integer of at least 1$"):
        check_positive_int("Linear: in_features", value, wrong_type=TypeError)
    with pytest.raises(ValueError, match=r"n is 8; it must be an integer from 1 to 7$"):
        check_int("n", 8, 1, 7, wrong_type=TypeError)


@pytest.mark.parametrize("value", [1.0, "1", None, True, np.float64(1), np.array([1]), math.nan, 1j])
def test_what_is_not_an_integer(value):
    with pytest.raises(ValueError, match=r"n is .*; it must be an integer of at least 0"):
        check_int("n", value, 0)
    with pytest.raises(TypeError, match="n is "):
        check_positive_int("n", value, wrong_type=TypeError)


def test_paths():
    assert check_path("save: path", Path("a/b.gv"), "b.gv") == os.path.join("a", "b.gv")
    assert check_path("save: folder", "", "out", folder=True) == ""
    for value in (7, None, b"a.gv"):
        with pytest.raises(TypeError, match=r"^save: path is .*; it must be a path, such as 'b.gv'$"):
            check_path("save: path", value, "b.gv")
    for value in ("", ".", "/", Path()):
        with pytest.raises(ValueError, match=r"^save: path is .*; it must be the path of a file, such as 'b.gv'$"):
            check_path("save: path", value, "b.gv")


def test_numbers_become_pythons():
    for value in (1, 0.5, np.float32(0.5), np.float64(1), np.int64(1)):
        number = check_number("x", value, at_least=0, at_most=1)
        assert number == value
        assert type(number) is float
    assert check_number("x", math.inf, above=0, finite=False) == math.inf
    assert check_number("x", -1e300) == -1e300


@pytest.mark.parametrize(
    ("value", "limits", "words"),
    [
        (-0.1, {"at_least": 0}, "x is -0.1; it must be a number, at least 0 and finite"),
        (math.inf, {"at_least": 0}, "x is inf; it must be a number, at least 0 and finite"),
        (-math.inf, {"finite": False, "at_least": 0}, "x is -inf; it must be a number, at least 0"),
        (0, {"above": 0, "at_most": 1}, "x is 0; it must be a number, above 0 and at most 1"),
        (1.5, {"above": 0, "at_most": 1}, "x is 1.5; it must be a number, above 0 and at most 1"),
        (1, {"at_least": 0, "below": 1}, "x is 1; it must be a number, at least 0 and below 1"),
        (math.nan, {"finite": False}, "x is nan; it must be a number"),
        (math.nan, {}, "x is nan; it must be a finite number"),
    ],
)
def test_numbers_out_of_range(value, limits, words):
    with pytest.raises(ValueError) as caught:
        check_number("x", value, **limits, wrong_type=TypeError)
    assert str(caught.value) == words


@pytest.mark.parametrize("value", ["1", None, 1j, [1.0], np.ones(1), True, np.True_])
def test_what_is_not_a_number(value):
    with pytest.raises(ValueError, match=r"x is .*; it must be a number, at least 0"):
        check_number("x", value, at_least=0)
    with pytest.raises(TypeError, match=r"x is .*; it must be a finite number"):
        check_number("x", value, wrong_type=TypeError)


def test_pairs():
    assert check_pair("size", 3, 1) == (3, 3)
    assert check_pair("size", (3, np.int64(0)), 0) == check_pair("size", [3, 0], 0) == (3, 0)
    with pytest.raises(ValueError, match=r"size is \(2, 0\); it must be an integer of at least 1, or a pair of them"):
        check_pair("size", (2, 0), 1)
    with pytest.raises(TypeError, match=r"size is \(2, 2.5\); it must be an integer of at least 1, or a pair of them"):
        check_pair("size", (2, 2.5), 1)
    for value in ((), (1,), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"size is \(.*\); it must be an integer of at least 1, or a pair of them"):
            check_pair("size", value, 1)


def test_choices():
    assert check_choice("mode", "max", ("min", "max")) == "max"
    for value in ("m", None, ["max"], np.array(["max", "min"])):
        with pytest.raises(ValueError, match=r"mode is .*; it must be 'min' or 'max'$"):
            check_choice("mode", value, ("min", "max"))
    with pytest.raises(ValueError, match=r"mode is 'd'; it must be 'a', 'b' or 'c'$"):
        check_choice("mode", "d", ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"mode is 'd'; it must be 'a'$"):
        check_choice("mode", "d", {"a": 1})


def test_long_values_do_not_fill_the_message():
    with pytest.raises(ValueError) as caught:
        check_number("x", "long" * 1000)
    assert len(str(caught.value)) < 120


def test_shapes_that_broadcast_to_another():
    for shape in ((), (3,), (1,), (2, 1), (2, 3)):
        assert broadcasts_to(shape, (2, 3))
    for shape in ((2,), (1, 2, 3), (3, 2), (0,)):
        assert not broadcasts_to(shape, (2, 3))
    assert broadcasts_to((1,), (0,)) and not broadcasts_to((2, 3), (3,))


def test_an_array_of_rows_of_one_length():
    assert as_array("f", [[1, 2]]).tolist() == [[1, 2]] and as_array("f", 3).shape == ()
    with pytest.raises(ValueError, match=r"^f: x: \[\[1\], \[1, 2\]\] has parts of different lengths; the rows"):
        as_array("f: x", [[1], [1, 2]])
    with pytest.raises(TypeError, match=r"^f: x: some entries are masked"):
        as_array("f: x", [np.ma.array([1, 2], mask=[True, False])])
