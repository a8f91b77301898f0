"""README.md: its code runs, its output is what it shows, its commands stand where tools look for them."""

import doctest
import re
from pathlib import Path

import pytest

from tinygrad_edu.dispatch import NUMPY, REFUSED
from tinygrad_edu.engine import REGISTRY

README = Path(__file__).parent.parent / "README.md"
BLOCKS = [block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if ">>>" not in block]


def test_the_tour_prints_what_it_shows():
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split("\n", 1)[0] for block in BLOCKS])
def test_code_blocks_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(REGISTRY)
    try:
        exec(block, {})
    finally:
        REGISTRY.clear()  # the op that a block adds, in the place of the library's, is not the library's
        REGISTRY.update(before)


def test_the_two_commands_are_the_first_two_lines_that_begin_with_pip():
    commands = [line for line in README.read_text().splitlines() if line.startswith("pip")]
    assert commands[:2] == [
        'pip install -e ".[demos]" && python demos/mnist.py',
        'pip install -e ".[test]" && pytest',
    ]


def test_the_counts_are_those_of_the_table():
    counts = [int(n) for n in re.findall(r"^\| (\d+) \| ", README.read_text(), re.M)]
    refused = sum(len(names.split()) for names in REFUSED)
    assert counts == [*[len(NUMPY[kind].split()) for kind in "DZV"], refused]
