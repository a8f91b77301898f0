"""The notebooks: their sources and what is built from them. What exercises say of answers: test_wrong_answers.py."""

import ast
import base64
import subprocess
import sys

import pytest
from demo_runs import DEMOS, import_demo

for package in ("jupytext", "nbclient", "ipywidgets"):
    pytest.importorskip(package, reason='needs `pip install -e ".[notebooks]"`')
nbformat = pytest.importorskip("nbformat")  # which jupytext brings

FOLDER = DEMOS / "notebooks"
build = import_demo("notebooks/build")
NAMES = build.names()
FIRST = NAMES[0]
pytestmark = pytest.mark.filterwarnings("ignore")  # of the notebooks' own packages


def answers_of(notebook):
    """The answers in the metadata of a student's version."""
    coded = notebook.metadata.tinygrad_edu.answers
    return {name: base64.b64decode(text).decode() for name, text in coded.items()}


def filled(name):
    """A student's version with the right answers."""
    notebook = build.student_version(build.read_source(name))
    answers = answers_of(notebook)
    for cell in notebook.cells:
        if build.is_marked(cell, "solution"):
            cell.source = answers[cell.metadata.nbgrader.grade_id]
    return notebook


def test_the_notebooks_are_numbered():
    assert [int(name[:2]) for name in NAMES] == [*range(1, len(NAMES) + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_is_built_from_the_source(name):
    assert build.stale(name) == []
    for path in (FOLDER / f"{name}.ipynb", FOLDER / "student" / f"{name}.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert build.complaints(notebook) == [] and path.stat().st_size <= build.LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_the_teachers_version_shows_that_its_solutions_are_right(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    for cell in cells:
        if build.is_marked(cell, "grade"):
            assert "✓" in str(cell.outputs) and "✗" not in str(cell.outputs)
    count = sum(build.is_marked(cell, "solution") for cell in cells)
    assert f"{count} of {count} exercises right" in cells[-1].outputs[0].data["text/plain"]


@pytest.mark.parametrize("name", NAMES)
def test_the_students_version_holds_no_answer(name):
    teacher = build.read_source(name)
    student = nbformat.read(FOLDER / "student" / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in student.cells)
    assert "BEGIN" not in text and "END" not in text
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in student.cells)
    shown, hidden = set(), set()
    for cell in teacher.cells:
        kept = build.without(build.without(cell.source, "SOLUTION"), "HIDDEN TESTS").splitlines()
        shown |= {line.strip() for line in kept}
        hidden |= {line.strip() for line in cell.source.splitlines()} - {line.strip() for line in kept}
    for line in {line for line in hidden - shown if not line.startswith("### ")}:
        assert line not in {other.strip() for other in text.splitlines()}
    solutions = [cell for cell in student.cells if build.is_marked(cell, "solution")]
    assert len(solutions) == len(answers_of(student)) and all("NotImplementedError()" in c.source for c in solutions)


def test_a_source_is_told_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HERE", tmp_path)
    (tmp_path / "01_bad.py").write_text("# %% [markdown]\n# # 2. Bad\n\n# %%\nimport numpy\n\n# %%\n1 + 1\n")
    with pytest.raises(SystemExit) as caught:
        build.read_source("01_bad")
    assert str(caught.value).splitlines() == [
        "error: 01_bad.py: the first cell is not markdown that begins with '# 1. '",
        "error: 01_bad.py: the second cell is not the one that installs the library",
        "error: 01_bad.py: the last cell is not score()",
        "error: 01_bad.py: 0 exercises; there should be 3 to 5",
    ]


def test_what_differs_from_machine_to_machine_is_found():
    cell = nbformat.v4.new_code_cell("x")
    for output in (
        {"output_type": "stream", "name": "stdout", "text": "<object at 0x7f0123456789>"},
        {"output_type": "stream", "name": "stderr", "text": "a warning"},
        {"output_type": "stream", "name": "stdout", "text": f"{build.ROOT}/x"},
    ):
        cell.outputs = [nbformat.from_dict(output)]
        assert len(build.complaints(nbformat.v4.new_notebook(cells=[cell]))) == 1


EXECUTE = """
import sys
sys.path.insert(0, sys.argv[1])
import build, nbformat
nbformat.write(build.execute(nbformat.read(sys.argv[2], 4), quick=True), sys.argv[2])
"""  # in a process of its own, without what other tests have made of this one


@pytest.mark.parametrize("name", [FIRST, *[pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:]]])
def test_right_answers_score_full_in_a_kernel(name, tmp_path):
    path = tmp_path / "filled.ipynb"
    nbformat.write(filled(name), path)
    done = subprocess.run([sys.executable, "-c", EXECUTE, FOLDER, path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (shown,) = nbformat.read(path, as_version=4).cells[-1].outputs
    count = len(answers_of(build.student_version(build.read_source(name))))
    assert f"{count} of {count} exercises right" in shown.data["text/plain"]


def nbgrader(course, *arguments):
    """Runs nbgrader in a course's folder; what it printed."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_nbgrader_releases_validates_and_grades(tmp_path, monkeypatch):
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook

    monkeypatch.setenv("PYTHONPATH", str(build.ROOT))
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course'\n")
    (tmp_path / "source" / "class").mkdir(parents=True)
    teachers = (FOLDER / f"{FIRST}.ipynb").read_text(encoding="utf-8")
    (tmp_path / "source" / "class" / f"{FIRST}.ipynb").write_text(teachers, encoding="utf-8")
    nbgrader(tmp_path, "generate_assignment", "class")
    released = nbformat.read(tmp_path / "release" / "class" / f"{FIRST}.ipynb", as_version=4)
    answers = answers_of(build.student_version(build.read_source(FIRST)))
    wrong = {"by-hand-2": "def gradients_of_g(x, y, z):\n    s = x * y + z\n    return s * y, s * x, s"}
    for student, given in (("right", answers), ("wrong", answers | wrong)):
        notebook = nbformat.from_dict(released)
        for cell in notebook.cells:
            if build.is_marked(cell, "solution"):
                assert "NotImplementedError" in cell.source
                cell.source = given[cell.metadata.nbgrader.grade_id]
        folder = tmp_path / "submitted" / student / "class"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{FIRST}.ipynb")
    said = nbgrader(tmp_path, "validate", f"submitted/right/class/{FIRST}.ipynb")
    assert "Success! Your notebook passes all the tests." in said
    assert "half the right one" in nbgrader(tmp_path, "validate", f"submitted/wrong/class/{FIRST}.ipynb")
    nbgrader(tmp_path, "autograde", "class")
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        assert [book.find_submission("class", student).score for student in ("right", "wrong")] == [4.0, 3.0]


def test_the_sources_are_plain_python():
    for name in NAMES:
        ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
