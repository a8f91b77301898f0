"""demos/COMING_FROM.md: what stands in its tables runs, and both sides compute the same."""

import re
from importlib.util import find_spec

import numpy as np
import pytest
from demo_runs import DEMOS

from tinygrad_edu.engine import REGISTRY

SECTIONS = dict(
    re.findall(r"## (.*?)\n(.*?)(?=\n## |\Z)", (DEMOS / "COMING_FROM.md").read_text(encoding="utf-8"), re.S)
)
RANDOM = {"images", "targets", "value", "right", "p"}  # which differ from run to run
NAMES = {  # between backquotes, but no statements
    "DataLoader(num_workers=4)", "Value", "axis=", "create_graph=True", "dim=", "draw_dot(d)", "dtype=np.float64",
    "float(tensor)", "keepdim=", "keepdims=", "model.graph(x)", "model.to(cupy)", "ours.load_state_dict(state)",
    "relu", "repeat", "retain_graph=True", "state_dict", "torch.compile", "transpose", "x = cupy.asarray(x)",
    "x.double()", "*", "**", "+", "_",
}  # fmt: skip


def rows(title):
    """Of each row the code of both columns, without what is no statement: operators, names of options."""
    found = re.findall(r"^\| (.*?) \| (.*) \|$", SECTIONS[title], re.M)[1:]
    cells = [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in found]
    return [["\n".join(code for code in cell if code not in NAMES) for cell in row] for row in cells]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Files go to a folder of the test's, and ops leave the registry again."""
    monkeypatch.chdir(tmp_path)
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def numbers(value):
    """A number, array or tensor as an array; None of anything else."""
    if type(value).__module__.startswith(("micrograd", "tinygrad_edu.tensor")):
        value = getattr(value, "data", None)
    try:
        array = np.asarray(getattr(value, "detach", lambda: value)())
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "fi" else None


def installed(title):
    """Whether the left column can run."""
    return find_spec("micrograd" if "micrograd" in title else "torch") is not None


def compare(theirs, ours, before, skipped):
    """Compares the variables that a row has set on both sides, and returns their names."""
    set_by_both = [name for name in theirs.keys() & ours.keys() if before.get(name) is not ours[name]]
    found = []
    for name in set_by_both:
        left, right = numbers(theirs[name]), numbers(ours[name])
        if left is not None and right is not None and name not in skipped:
            np.testing.assert_allclose(left, right, rtol=1e-4, err_msg=name)
            found.append(name)
    return found


def test_every_section_has_rows_with_code_on_both_sides():
    assert len(SECTIONS) == 5 and [title for title in SECTIONS if not rows(title)] == []
    assert sum(bool(left) and bool(right) for title in SECTIONS for left, right in rows(title)) > 60


@pytest.mark.parametrize("title", SECTIONS)
@pytest.mark.filterwarnings(
    "ignore:Anomaly Detection", "ignore::DeprecationWarning:torch", "ignore:Converting a tensor"
)
def test_both_columns_run_and_compute_the_same(title):
    if "there and back" in title:
        pytest.importorskip("torch")
    theirs, ours, compared = {}, {}, []
    for left, right in rows(title):
        before = dict(ours)
        exec(right, ours)
        if installed(title):
            exec(left, theirs)
            compared += compare(theirs, ours, before, RANDOM | ({"loss"} if "micrograd" in title else set()))
    assert not installed(title) or len(compared) >= {
        "From micrograd": 6,
        "Weights there and back": 0,
        "Different on purpose": 2,
    }.get(title, 9)
