"""A file of draw/ imports only from its own room and from the rooms below; what users import is handed out once."""

import ast
from pathlib import Path

import tinygrad_edu
from tinygrad_edu import draw

FOLDER = Path(tinygrad_edu.__file__).parent / "draw"
ROOMS = ["base", "algebra", "explain", "picture", "player", "graph", "__init__"]


def room(parts):
    """The room of a module, from its path below draw/."""
    return parts[0] if parts[0] in ROOMS else "base"


def imports(tree):
    """The modules of draw/ that a file needs when it runs; those for type checkers stand below `if TYPE_CHECKING`."""
    checked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    skipped = {inner for node in checked for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in skipped and node.module.startswith("tinygrad_edu.draw"):
            yield node.module.split(".")[2:] or ["__init__"]


def test_imports_lead_down():
    for path in FOLDER.rglob("*.py"):
        here = ROOMS.index(room(path.relative_to(FOLDER).with_suffix("").parts))
        for module in imports(ast.parse(path.read_text(encoding="utf-8"))):
            assert ROOMS.index(room(module)) <= here, f"{path.name} imports {'.'.join(module)}"


def test_the_public_names():
    assert sorted(draw.__all__) == ["Explanation", "Graph", "NoEngineError", "Record", "engine", "explain", "record"]
    assert callable(draw.explain) and all(hasattr(draw, name) for name in draw.__all__)
