"""The house: which file may import which, and what completion shows."""

import ast
import builtins
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import tinygrad_edu
from tinygrad_edu import functional

PACKAGE = Path(tinygrad_edu.__file__).parent
FILES = {
    ".".join(["tinygrad_edu", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
FLOORS = [  # from the bottom: a room imports from its own floor's room and from the floors below
    ["arrays"],
    ["arguments", "blocks", "checks", "files", "garbage", "notebooks", "ranks", "structure", "sums", "tables",
     "torch_names"],
    ["engine"],
    ["scopes"],
    ["random", "anomaly", "ops", "figures"],
    ["dispatch", "methods"],
    ["tensor"],
    ["functional", "transforms", "data", "plots"],
    ["gradcheck"],
    ["draw"],
    ["nn", "teach"],
    ["optim"],
    ["training"],
]  # fmt: skip
DRAW = ["base", "algebra", "explain", "picture", "player", "graph", "calls"]  # the rooms of draw/, from the bottom


LATE = {"tinygrad_edu.tensor", "tinygrad_edu.nn.module"}  # import draw in a method: most programs draw nothing


@cache
def parsed(name):
    """The syntax tree of a file."""
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def is_type_checking(node):
    """Whether a statement is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def import_statements(name, late, typing=False):
    """The (module, name or None) that a file imports of the package, when it is loaded and, if `late`, in functions."""
    waiting = list(parsed(name).body)
    while waiting:
        node = waiting.pop()
        if is_type_checking(node) and not typing:
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not late:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinygrad_edu"):
            yield from [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [(alias.name, None) for alias in node.names if alias.name in FILES]
        waiting += ast.iter_child_nodes(node)


def imported(name, late=True):
    """The files of the package that a file needs: when it is loaded and, with `late`, in its functions."""
    found = set()
    for module, inner in import_statements(name, late=late and name not in LATE):
        found.add(f"{module}.{inner}" if f"{module}.{inner}" in FILES else module)
    return found - {name}


def circles(graph):
    """Files that lead back to themselves."""
    reach = {name: set(after) for name, after in graph.items()}
    for middle in graph:
        for after in reach.values():
            if middle in after:
                after |= reach[middle]
    return sorted(name for name, after in reach.items() if name in after)


def test_no_file_imports_itself_in_a_circle():
    assert circles({name: imported(name) for name in FILES if name != "tinygrad_edu"}) == []


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_nothing_imports_the_package_itself_but_what_stands_in_it():
    for name in FILES:
        assert "tinygrad_edu" not in imported(name), f"{name}: import from the file where the name is defined"


@pytest.mark.parametrize("name", sorted(LATE))
def test_the_late_imports_are_those_of_draw(name):
    late = set(import_statements(name, late=True)) - set(import_statements(name, late=False))
    assert late == {("tinygrad_edu", "draw")}


def room(name):
    """The floor of a file, and the name of its room."""
    first = name.split(".")[1]
    return next(i for i, floor in enumerate(FLOORS) if first in floor), first


@pytest.mark.parametrize("name", [n for n in FILES if n != "tinygrad_edu"])
def test_imports_run_one_way(name):
    floor, own = room(name)
    for after in imported(name):
        below, other = room(after)
        assert other == own or below < floor, f"{name} imports {after}, which stands above it or beside it"


def draw_room(name):
    """The place of a file of draw/ among its rooms."""
    parts = name.split(".")[2:]
    if not parts:
        return len(DRAW)  # draw/__init__.py
    return DRAW.index(parts[0]) if parts[0] in DRAW else 0


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("tinygrad_edu.draw.")])
def test_rooms_of_draw_import_from_below(name):
    for after in imported(name):
        if after.startswith("tinygrad_edu.draw."):
            assert draw_room(after) <= draw_room(name), f"{name} imports {after}"


@pytest.mark.parametrize("name", list(FILES))
def test_files_use_only_public_names_of_each_other(name):
    modules = {}
    for module, inner in import_statements(name, late=True, typing=True):
        if f"{module}.{inner}" in FILES:
            modules[inner] = f"{module}.{inner}"
        elif inner not in (None, "*") and (public := getattr(importlib.import_module(module), "__all__", None)):
            assert inner in public, f"{name} imports {inner}, which is private to {module}"
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = importlib.import_module(modules[node.value.id])
            binds = name == "tinygrad_edu.engine" and node.attr == "Tensor"  # the line that tells the engine of Tensor
            known = {*module.__all__, "__all__"}
            assert binds or node.attr in known or f"{module.__name__}.{node.attr}" in FILES, f"{name} uses {node.attr}"


PYTHONS = {"abs", "divmod", "max", "min", "pow", "round", "sum"}  # ours has them too, but not in __all__
PUBLIC = [
    "",
    ".ops",
    ".ops.linalg",
    ".functional",
    ".nn",
    ".nn.init",
    ".optim",
    ".optim.lr_scheduler",
    ".data",
    ".training",
    ".training.metrics",
    ".draw",
    ".plots",
    ".random",
    ".teach",
]


@pytest.mark.parametrize("name", [f"tinygrad_edu{name}" for name in PUBLIC])
def test_completion_shows_public_names_only(name):
    module = importlib.import_module(name)
    shown = set(dir(module))
    assert set(module.__all__) <= shown
    extra = PYTHONS if name == "tinygrad_edu" else set()
    assert shown - extra == set(module.__all__)
    for public in shown:
        assert not public.startswith("_") and getattr(module, public) is not None


@pytest.mark.parametrize("name", [n for n in FILES if not n.endswith(".__main__")])
def test_every_file_says_what_is_public(name):
    tree = parsed(name)
    defined = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    if [n for n in defined if n.name not in ("__getattr__", "__dir__")]:
        module = importlib.import_module(name)
        assert all(hasattr(module, public) for public in module.__all__)


IMPORTS = """
from tinygrad_edu import Tensor, no_grad, detect_anomaly, manual_seed, op, gradcheck
from tinygrad_edu import grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp, gradients
from tinygrad_edu import nn, optim, data, teach, training, draw, functional, ops, plots
from tinygrad_edu import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.functional import conv2d, cross_entropy, mse_loss, softmax
from tinygrad_edu import conv2d, gelu, linear; from tinygrad_edu import linear as again; assert again is linear
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair
from tinygrad_edu.training import Checkpoint, EarlyStopping, History, diagnose, fit
from tinygrad_edu.draw import Graph, explain, record
from tinygrad_edu.ops import add, getitem, matmul, where
import tinygrad_edu.nn.init, tinygrad_edu.training.metrics, tinygrad_edu.functional, tinygrad_edu.draw
""".strip().splitlines()


@pytest.mark.parametrize("line", IMPORTS)
def test_public_paths_work_in_a_new_process(line):
    done = subprocess.run([sys.executable, "-W", "error", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WAITS = [
    "data",
    "draw",
    "figures",
    "files",
    "functional",
    "nn",
    "notebooks",
    "optim",
    "plots",
    "ranks",
    "tables",
    "teach",
    "training",
]
LOADS = {  # what a program begins with: all that it needs of Python and NumPy; more would be time at every start
    "import tinygrad_edu": "__future__, gc, heapq, inspect, numpy",
    "from tinygrad_edu import nn, optim; optim.Adam(nn.MLP([2, 1]).parameters())":
    "__future__, copy, gc, heapq, inspect, numpy.random, numpy.typing",
}  # fmt: skip


def loaded(needs, line):
    """The modules that a line loads in a new process after those that it needs; with -S nobody has loaded others."""
    paths = [str(PACKAGE.parent), *sys.path]
    code = f"import {needs}; before = {{*sys.modules}}; {line}; print(*sys.modules.keys() - before)"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {paths!r}; {code}"]
    return {*subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()}


@pytest.mark.parametrize("line", LOADS)
def test_what_can_wait_is_not_loaded(line):
    found = loaded(LOADS[line], line)
    assert [name for name in found if not name.startswith("tinygrad_edu")] == []
    if line == "import tinygrad_edu":
        assert [name for name in WAITS if f"tinygrad_edu.{name}" in found] == []


def test_the_root_hands_out_what_functional_has():
    for name in functional.__all__:
        assert getattr(tinygrad_edu, name) in (getattr(functional, name), getattr(tinygrad_edu.ops, name, None))
    for name in ("cross_entropy", "linear", "conv2d"):
        assert getattr(tinygrad_edu, name) is getattr(functional, name)


def test_ops_hands_out_what_its_chapters_name():
    chapters = [importlib.import_module(name) for name in FILES if name.startswith("tinygrad_edu.ops.")]
    apart = {
        "axes",
        "by_windows",
        "convolution",
        "decompositions",
        "linalg",
    }  # helpers, and what has a namespace of its own
    named = [
        name for chapter in chapters if chapter.__name__.rpartition(".")[2] not in apart for name in chapter.__all__
    ]
    assert sorted([*named, "linalg"]) == sorted(tinygrad_edu.ops.__all__)


def test_a_star_import_hides_nothing_of_pythons():
    namespace = {}
    exec("from tinygrad_edu import *", namespace)
    assert not set(dir(builtins)) & namespace.keys() - {"__builtins__"}
    assert all(getattr(tinygrad_edu, name) is not getattr(builtins, name) for name in PYTHONS)


def test_the_engine_is_one_sitting():
    engine = sum(len(path.read_text().splitlines()) for path in (PACKAGE / "engine").glob("*.py"))
    assert engine <= 560 and len((PACKAGE / "tensor.py").read_text().splitlines()) <= 420
    for path in FILES.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 450, path
