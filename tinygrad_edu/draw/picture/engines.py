"""How DOT becomes a picture, on any machine: by the program `dot`, else by the engine in pygraphviz's wheel, else not.

A layout may take minutes, and inside a process nothing can stop it: it runs in C, where neither Ctrl-C nor a timer of
Python's gets through. So both engines run in a process of their own, which can be ended:

    AGraph(string=source).layout("dot")    # 20,000 nodes: the notebook hangs until its kernel is killed
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import Literal

import graphviz

__all__ = ["NoEngineError", "engine", "render"]

GRAPHVIZ = "`apt install graphviz` (macOS: `brew install graphviz`, Windows: `choco install graphviz`)"
RENDER = '`pip install "tinygrad-edu[render]"`'
INSTALL = f"no engine that lays out graphs is installed: {GRAPHVIZ} or, without leaving Python, {RENDER}"

# The current folder is taken off the path: a student's random.py there is not the one that pygraphviz means.
CHILD = """
import sys
sys.path = [folder for folder in sys.path if folder]
from pygraphviz import AGraph
source, format, layout = sys.stdin.buffer.read().decode(), sys.argv[1], sys.argv[2]
sys.stdout.buffer.write(AGraph(string=source).draw(format=format, prog=layout))
"""


class NoEngineError(RuntimeError):
    """Neither Graphviz nor pygraphviz is installed."""

    def __init__(self, message: str = INSTALL) -> None:
        super().__init__(message)


def engine() -> Literal["dot", "pygraphviz"] | None:
    """The engine that pictures are drawn with, looked up anew: it may be installed while a notebook runs."""
    if shutil.which("dot"):
        return "dot"
    return "pygraphviz" if importlib.util.find_spec("pygraphviz") else None


def render(source: str, format: str = "svg", timeout: float = 20.0, layout: str = "dot") -> bytes:
    """Draws a graph, and returns the bytes of a file.

    Args:
        source: The graph in the language DOT.
        format: One of Graphviz's formats: "svg", "png", "pdf", "plain", "json" ...; "png:cairo" names a renderer too.
        timeout: Time limit, in seconds.
        layout: Which of Graphviz's layouts places the nodes: "dot", "neato" ...

    Raises:
        NoEngineError: Neither `dot` nor pygraphviz is installed, or the program cannot be run.
        TimeoutError: The layout was not done in time.
        ValueError: There is no such format or layout, or the engine refused the graph.
    """
    check_known("format", format.partition(":")[0], graphviz.FORMATS, "svg, png and pdf")
    check_known("layout", layout, graphviz.ENGINES | {"nop", "nop2"}, "dot and neato")
    found = engine()
    if found is None:
        raise NoEngineError
    dot = [str(shutil.which("dot")), f"-K{layout}", f"-T{format}"]
    command = dot if found == "dot" else [sys.executable, "-c", CHILD, format, layout]
    try:
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # on Windows
        text = source.encode(errors="replace")
        done = subprocess.run(command, input=text, capture_output=True, timeout=timeout, creationflags=flags)
    except subprocess.TimeoutExpired:
        raise TimeoutError(
            f"{found} was not done with the layout after {timeout:g} s. Draw less: graph(depth=1) makes each module "
            "one card; or draw a tensor on the way instead of the loss. Or give it more time: "
            f"graph.time_limit = {10 * timeout:g}"
        ) from None
    except OSError as problem:
        how = f"install Graphviz anew, {GRAPHVIZ}, or take it off the PATH and {RENDER}"
        raise NoEngineError(f"{command[0]} cannot be run ({problem}): {how}") from problem
    said = done.stderr.decode(errors="replace").strip().splitlines()
    # Both draw what they can after an error: dot ends with code 1 then, pygraphviz with 0. Warnings are not errors.
    errors = [line for line in said if line.startswith("Error")]
    if done.returncode or errors or not done.stdout:
        if unknown := re.search('Format: "[^"]*" not recognized. Use one of: (.*)', "\n".join(said)):
            check_known("format", format, unknown[1].split(), "svg, png and pdf")
        reason = "\n".join(errors or said[-1:]) or f"it ended with code {done.returncode} and no message"
        raise ValueError(f"{found} did not draw the graph: {reason}")
    return done.stdout


def check_known(what: str, name: str, names: Iterable[str], common: str) -> None:
    if name not in names:
        known = ", ".join(sorted(names))
        raise ValueError(f"Graphviz has no {what} {name!r}: the usual ones are {common}; it has {known}")
