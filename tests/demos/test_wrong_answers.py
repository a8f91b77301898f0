"""Right and wrong answers to the exercises of the notebooks, each run with the cells that it needs alone.

Typical wrong answers stand beside this file, in wrong_answers_*.py: the exercise, the answer, and a part of what is
said of it. The cells that students have must say it, without the hidden tests.
"""

import ast
import dis
import runpy
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType

import numpy as np
import pytest
from demo_runs import import_demo, write_mnist

from tinygrad_edu import teach
from tinygrad_edu.teach import NotRight, exercises

for package in ("jupytext", "nbclient", "ipywidgets"):
    pytest.importorskip(package, reason='needs `pip install -e ".[notebooks]"`')

build = import_demo("notebooks/build")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the notebooks' own packages
TABLES = sorted(Path(__file__).parent.glob("wrong_answers_*.py"))
WRONG = [entry for path in TABLES for entry in runpy.run_path(str(path))["WRONG"]]


@cache
def cells_of(name):
    """The code cells of a notebook without the one that installs the library."""
    cells = build.read_source(name).cells
    return [cell for cell in cells[:1] + cells[2:] if cell.cell_type == "code"]


@cache
def places():
    """For each exercise its notebook, and the place of its test among the code cells; its solution stands before it."""
    return {
        build.exercise_of(cell): (name, i)
        for name in build.names()
        for i, cell in enumerate(cells_of(name))
        if build.is_marked(cell, "grade")
    }


@cache
def names_in(source):
    """The names that a cell makes, those whose elements or attributes it sets, and those that it finds made."""
    codes = [compile(source, "cell", "exec")]
    for code in codes:
        codes += [part for part in code.co_consts if isinstance(part, CodeType)]
    made = {step.argval for step in dis.get_instructions(codes[0]) if step.opname == "STORE_NAME"}
    steps = [step for code in codes for step in dis.get_instructions(code)]
    found = {step.argval for step in steps if step.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    changed = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            while isinstance(node, (ast.Attribute, ast.Subscript)):
                node = node.value
            changed |= {node.id} if isinstance(node, ast.Name) else set()
    return made, changed, found - made


def cells_before(exercise):
    """The sources of the cells that an answer and its test need: imports, and what makes the names that they find."""
    name, place = places()[exercise]
    cells = cells_of(name)
    wanted = set().union(*[names_in(cell.source)[2] for cell in cells[place - 1 : place + 1]])
    needed = []
    for cell in reversed(cells[: place - 1]):
        made, changed, found = names_in(cell.source)
        is_test = build.is_marked(cell, "grade")
        if cell.source.startswith("import ") or (wanted & (made | changed) and not is_test):
            needed.append(cell.source)
            wanted = wanted - made | found
    return needed[::-1]


def run(exercise, answer, test):
    """Runs an answer between the cells that it needs and a test."""
    namespace = {}
    for source in ("import tinygrad_edu", *cells_before(exercise), answer, test):
        exec(source, namespace)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of MNIST's files with 600 and 200 images of noise: no answer depends on what they show."""
    rng = np.random.default_rng(0)
    arrays = [(rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8)) for n in (600, 200)]
    return write_mnist(tmp_path_factory.mktemp("noise") / "data", *arrays[0], *arrays[1])


@pytest.fixture(autouse=True)
def nothing_checked(noise, monkeypatch):
    """A small setting, and no exercise that was checked."""
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(noise))
    monkeypatch.setenv("TINYGRAD_EDU_QUICK", "1")
    monkeypatch.setattr(exercises, "results", {})
    monkeypatch.setattr(exercises, "running", [])


@pytest.mark.parametrize("name", build.names())
def test_right_answers_score_full(name):
    names = [exercise for exercise, (notebook, _) in places().items() if notebook == name]
    for exercise in names:
        _, place = places()[exercise]
        solution, test = cells_of(name)[place - 1 : place + 1]
        run(exercise, solution.source, test.source)
    assert teach.score(names).right == len(names)


@pytest.mark.parametrize(("exercise", "wrong", "said"), WRONG, ids=[exercise for exercise, *_ in WRONG])
def test_a_wrong_answer_gets_its_hint(exercise, wrong, said):
    name, place = places()[exercise]
    visible = build.without(cells_of(name)[place].source, "HIDDEN TESTS")
    with pytest.raises(NotRight) as caught:
        run(exercise, wrong, visible)
    assert said in str(caught.value)
    assert teach.score().results == {exercise: False}


def test_every_exercise_has_two_wrong_answers():
    counts = Counter(exercise for exercise, *_ in WRONG)
    assert {exercise: counts[exercise] for exercise in places() if counts[exercise] < 2} == {}
    assert counts.keys() <= places().keys()


def is_written_out(node):
    """Whether an expression is a number or text as such, or a dict, list or tuple of them."""
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", build.names())
def test_no_test_that_students_see_holds_the_answer(name):
    """What a function returns for some numbers is an example; where numbers are asked for, it is the answer."""
    for exercise, (notebook, place) in places().items():
        solution, test = cells_of(notebook)[place - 1 : place + 1]
        if notebook != name or "def " in solution.source:
            continue
        tree = ast.parse(build.without(test.source, "HIDDEN TESTS"))
        checks = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "check"]
        assert [exercise for node in checks if is_written_out(node.args[1])] == []
