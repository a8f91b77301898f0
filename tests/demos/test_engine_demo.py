import ast
from pathlib import Path

import pytest
from demo_runs import import_demo

from tinygrad_edu import Tensor
from tinygrad_edu.draw import engine

CORE = {"Value", "value", "backward"}


@pytest.fixture(scope="module")
def demo():
    return import_demo("engine")


def test_attempts_find_what_the_library_finds_but_for_the_first(demo):
    tensors = [Tensor(x) for x in demo.INPUTS.values()]
    demo.expression(*tensors).backward()
    expected = pytest.approx([x.grad for x in tensors])
    first, second, third = [
        demo.attempt(walk, demo.expression, *demo.INPUTS.values())[0] for walk in demo.ATTEMPTS.values()
    ]
    assert second == expected and third == expected and first != expected


@pytest.mark.parametrize("times", [1, 6])
def test_paths_double_and_numbers_do_not(demo, times):
    visits = [demo.attempt(walk, lambda x: demo.doubled(x, times), 1.0) for walk in demo.ATTEMPTS.values()]
    assert visits == [([1.0], 2 ** (times + 1) - 1), ([2.0**times], 2 ** (times + 1) - 1), ([2.0**times], times + 1)]


def test_the_engine_has_60_lines(demo):
    source = Path(demo.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source)
    parts = [ast.get_source_segment(source, part) for part in tree.body if getattr(part, "name", "") in CORE]
    lines = "\n".join(parts).splitlines()
    assert len([line for line in lines if line.strip()]) <= 60


@pytest.mark.skipif(engine() is None, reason="needs dot or pygraphviz")
def test_what_is_printed_and_drawn(demo, tmp_path, capsys):
    demo.main(["--out", str(tmp_path), "--doublings", "4"])
    printed = capsys.readouterr().out
    assert "slope 16             5 visits" in printed and "slope 16            31 visits" in printed
    assert "RecursionError; here the slope is 5000" in printed and "here 3, as it was added three times" in printed
    assert sorted(path.name for path in tmp_path.glob("engine*")) == ["engine_graph.svg", "engine_visits.png"]


def test_a_short_chain_is_no_trouble(demo, tmp_path, capsys, undrawn):
    demo.main(["--out", str(tmp_path), "--doublings", "2", "--depth", "50"])
    assert "no trouble, Python goes 50 calls deep" in capsys.readouterr().out
