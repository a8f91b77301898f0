"""demos/numpy_table.py: the whole table, a few words of it, the counts."""

import re

import pytest
from demo_runs import import_demo

from tinygrad_edu.dispatch import NUMPY, REFUSED

demo = import_demo("numpy_table")


def test_the_whole_table(capsys):
    demo.main([])
    *lines, _, differentiates, constant, values, refuses = capsys.readouterr().out.splitlines()
    names = [name for kind in ("D", "Z", "V") for name in NUMPY[kind].split()]
    assert [line.split()[1] for line in lines] == [*names, *[name for group in REFUSED for name in group.split()]]
    assert all(len(line) <= 200 and len(line.split()) > 2 for line in lines)
    found = [int(line.split()[0]) for line in (differentiates, constant, values, refuses)]
    assert sum(found) == len(lines)


def test_the_lines_of_some_functions(capsys):
    demo.main(["tan", "vstack", "linalg.inv", "linalg.norm", "floor_divide"])
    out = capsys.readouterr().out
    assert "D  tan           to x: g * (1 + out * out)" in out
    assert "D  linalg.inv    to x: -out.mT @ g @ out.mT" in out
    assert "D  vstack        made of concatenate([atleast_2d(x) for x in arrays]" in out
    assert re.search(r"D  linalg.norm   made of others, see ops/linalg.py, line \d+", out)
    assert "Z  floor_divide  to x: where(False, g, 0)" in out
    assert "functions" not in out.splitlines()[-1]


def test_a_word_that_is_in_no_name(capsys):
    with pytest.raises(SystemExit):
        demo.main(["fastest"])
    assert "no function of NumPy's has fastest in its name" in capsys.readouterr().err


def test_counts_alone(capsys):
    demo.main(["--counts"])
    assert len(capsys.readouterr().out.splitlines()) == 4
