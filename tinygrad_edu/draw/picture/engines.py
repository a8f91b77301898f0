"""How DOT becomes a picture, on any machine: by the program `dot`, else by the engine in pygraphviz's wheel, else not.

A layout may take minutes, and inside a process nothing can stop it: it runs in C, where neither Ctrl-C nor a timer of
Python's gets through. So both engines run in a process of their own, which can be ended:

    AGraph(string=source).layout("dot")    # 20,000 nodes: the notebook hangs until its kernel is killed
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import graphviz

from tinygrad_edu.draw.picture.svg import finish
from tinygrad_edu.draw.theme import Theme
from tinygrad_edu.files import StrPath

__all__ = ["DigraphBase", "NoEngineError", "engine", "render"]

GRAPHVIZ = "`apt install graphviz` (macOS: `brew install graphviz`, Windows: `choco install graphviz`)"
RENDER = "`pip install tinygrad-edu[render]`"
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
        reason = "\n".join(errors or said[-1:]) or f"it ended with code {done.returncode} and no message"
        raise ValueError(f"{found} did not draw the graph: {reason}")
    return done.stdout


def check_known(what: str, name: str, names: Iterable[str], common: str) -> None:
    if name not in names:
        known = ", ".join(sorted(names))
        raise ValueError(f"Graphviz has no {what} {name!r}: the usual ones are {common}; it has {known}")


class DigraphBase(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """A graphviz.Digraph that draws itself with either engine, finishes its SVG, and always shows in a notebook."""

    title: str | None = None
    theme: Theme = "light"
    time_limit: float = 20.0  # of a layout, in seconds

    @property
    def alt_text(self) -> str:
        """The picture in words, for those who cannot see it."""
        return ""

    def text(self) -> str:
        """What is shown where no picture can be."""
        return str(self.source)

    def pipe(
        self, format: str | None = None, renderer: str | None = None, formatter: str | None = None,
        neato_no_op: bool | int | None = None, quiet: bool = False, *,
        engine: str | None = None, encoding: str | None = None,
    ) -> bytes | str:  # fmt: skip
        """Draws the graph into bytes, or text if `encoding` is given; the arguments are those of graphviz.Digraph.pipe.

        Raises:
            NoEngineError, TimeoutError, ValueError: See `render`.
        """
        layout = engine or self.engine
        if neato_no_op:
            layout = "nop2" if neato_no_op == 2 else "nop"
        kinds = (format or self.format, renderer or self.renderer, formatter or self.formatter)
        full = ":".join(filter(None, kinds))
        picture = render(self.source, full, self.time_limit, layout)
        if full == "svg":
            title = self.title or self.name or "graph"
            try:
                picture = finish(picture.decode(), title=title, description=self.alt_text, theme=self.theme).encode()
            except (ET.ParseError, UnicodeDecodeError) as problem:
                what = f"something that begins with {picture[:40]!r} ({problem})"
                raise ValueError(f"Graphviz gave no SVG, but {what}: is the `dot` on the PATH Graphviz's?") from problem
        return picture.decode(encoding) if encoding else picture

    def render(
        self, filename: StrPath | None = None, directory: StrPath | None = None,
        view: bool = False, cleanup: bool = False, format: str | None = None, renderer: str | None = None,
        formatter: str | None = None, neato_no_op: bool | int | None = None, quiet: bool = False,
        quiet_view: bool = False, *, outfile: StrPath | None = None, engine: str | None = None,
        raise_if_result_exists: bool = False, overwrite_source: bool = False,
    ) -> str:  # fmt: skip
        """Draws the graph into a file, and returns its path; the arguments are those of graphviz.Digraph.render.

        The DOT source is written to `filename` and the picture beside it, with the format added to the name:
        render("loss", format="svg") writes "loss" and "loss.svg"; with cleanup=True, the picture alone. `outfile`
        names the picture instead, and gives the format by its ending.

        Raises:
            NoEngineError, TimeoutError, ValueError: See `render`; no file is written then.
            FileExistsError: raise_if_result_exists, and it does.
        """
        kind = format or self.format
        if outfile is None:
            saved = Path(self.directory if directory is None else directory, filename or self.filename)
            endings = (formatter or self.formatter, renderer or self.renderer, kind)
            target = saved.with_name(".".join([saved.name, *filter(None, endings)]))
        else:
            target = Path(outfile)
            kind = format or target.suffix[1:].lower() or self.format
            directory = target.parent if directory is None else directory
            filename = filename or target.with_suffix(".gv").name
            saved = Path(directory, filename)
        if target.resolve() == saved.resolve() and not overwrite_source:
            raise ValueError(f"the picture would overwrite the DOT source {saved}: choose another name for one of them")
        if raise_if_result_exists and target.exists():
            raise FileExistsError(f"{target} exists already, and raise_if_result_exists was given")
        picture = self.pipe(kind, renderer, formatter, neato_no_op, engine=engine)
        assert isinstance(picture, bytes)
        self.save(filename, directory=directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture)
        if cleanup and target.resolve() != saved.resolve():
            saved.unlink()
        if view:
            self._view(str(target), format=kind, quiet=quiet_view)
        return str(target)

    def unflatten(self, stagger: int | None = None, fanout: bool = False, chain: int | None = None) -> graphviz.Source:
        """As graphviz.Digraph.unflatten; NoEngineError where Graphviz's programs are not installed."""
        try:
            return super().unflatten(stagger=stagger, fanout=fanout, chain=chain)
        except graphviz.ExecutableNotFound:
            how = "it comes with Graphviz, not with pygraphviz"
            raise NoEngineError(f"the program unflatten is not installed: {how}") from None

    def _repr_svg_(self) -> str | None:
        return self.attempt()[0]

    def attempt(self) -> tuple[str | None, str]:
        """The picture, or None and the reason: an error while a notebook shows an object would hide the object."""
        try:
            return str(self.pipe("svg", encoding="utf-8")), ""
        except Exception as problem:
            return None, f"\n\nNo picture: {problem}"

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, **_: object
    ) -> dict[str, str]:
        """What a notebook shows: the picture, and the text for where no picture can be, with the reason."""
        kinds = ("image/svg+xml", "text/plain")
        wanted = [kind for kind in kinds if (not include or kind in include) and kind not in (exclude or ())]
        shown, hint = dict[str, str](), ""
        if "image/svg+xml" in wanted:
            picture, hint = self.attempt()
            if picture is not None:
                shown["image/svg+xml"] = picture
        if "text/plain" in wanted or hint:
            try:
                text = self.text()
            except Exception as problem:
                text = f"No text: {problem}"
            shown["text/plain"] = text + hint
        return shown
