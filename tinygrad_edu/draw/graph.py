"""`Graph`, the picture that users hold: it stands above the rooms, and each of its methods leads into one of them.

It is a graphviz.Digraph, so everything known of that class works: source, save, render, pipe, and the picture in a
notebook. But it draws itself with either engine, and finishes its SVG.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import graphviz

from tinygrad_edu.checks import check_choice, check_int, check_path
from tinygrad_edu.draw.explain.words import alt_text, tree
from tinygrad_edu.draw.names import Names, name_cards
from tinygrad_edu.draw.options import check_fold, unknown_options
from tinygrad_edu.draw.picture.choice import choose
from tinygrad_edu.draw.picture.engines import NoEngineError, render
from tinygrad_edu.draw.picture.markup import PictureMode
from tinygrad_edu.draw.picture.notebook import mimebundle, themed_svg
from tinygrad_edu.draw.picture.paper import ENDINGS, Paper, ending, file_of, lay_on, picture_format, sharpen
from tinygrad_edu.draw.picture.svg import finish, parse
from tinygrad_edu.draw.player import Page, Player, frames, page, player
from tinygrad_edu.draw.record import Card, Record, record
from tinygrad_edu.draw.theme import Theme, palette
from tinygrad_edu.draw.variables import caller_variables
from tinygrad_edu.draw.verdict import Verdict, judge_all
from tinygrad_edu.files import StrPath, write_atomically
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from typing import Unpack

    from tinygrad_edu.nn import Module

__all__ = ["CHOICES", "Graph"]

Style = Literal["auto", "gates", "fused", "compact"]
Fold = Literal["auto"] | bool | int | Callable[["Module"], bool]
Rankdir = Literal["auto", "LR", "TB"]
Gradients = Literal["right", "grad"]
CHOICES: dict[str, tuple[str, ...]] = {
    "mode": get_args(PictureMode), "style": get_args(Style), "fold": (), "depth": (), "rankdir": get_args(Rankdir),
    "precision": (), "theme": get_args(Theme), "names": (), "title": (), "gradients": get_args(Gradients),
}  # fmt: skip


class Options(TypedDict, total=False):
    """What the other modes of a picture keep; see Graph."""

    style: Style
    fold: Fold
    depth: int | None
    rankdir: Rankdir
    precision: int
    theme: Theme | None
    title: str | None
    gradients: Gradients


class Graph(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """A picture of how an output was computed, and of how its gradient flows back.

    Tensors without a name are called by the variables that hold them where the picture is asked for. Drawing runs a
    backward pass of its own and changes no `.grad`.

    Args:
        output: A Tensor, of several elements too; or what record(tensor) found.
        mode: "forward" shows values, "backward" gradients too and the wires against the flow, "both" wires both ways;
            nodes stand at the same coordinates in all three.
        style: "gates" draws each op as a node of its own, "fused" joins it to its result, "compact" makes one line of
            a node, without arrays and formulas. "auto" chooses gates for up to 4 ops between single numbers, else
            fused if its letters are legible on a slide (9 pixels of 1600 x 900), else compact.
        fold: "auto" folds alike parts and modules of what is too large: for the style "auto" to be legible on a slide,
            for the others on two. False folds nothing, True as if it were too large, and a number down to so many
            nodes, as far as that goes; a function says which modules are closed: `lambda module: ...`. The legend says
            what was folded or left out without being asked.
        depth: How many levels of modules stay open: 0 makes a card of every outermost module call; None opens all.
        rankdir: "LR" from left to right, "TB" from top to bottom, "auto" takes LR for up to 7 ranks if it is legible on
            a slide, else what makes letters larger there.
        precision: Significant digits, 1 to 17.
        theme: "light", "dark", or "auto", which follows the page around the picture, or the reader's system. None is
            light in files and "auto" in notebooks.
        names: Tensor -> name or name -> Tensor, stronger than all other names.
        title: A heading, or None.
        gradients: "right" shows those that the chain rule gives; "grad" marks beside them what stands in each `.grad`,
            set by hand or by backward(), as right, wrong (with what went wrong, if it can be told) or not set. Results
            whose `.grad` is not set stay as they are. What is right is told for this output: draw the loss itself.

    Raises:
        ValueError: An option that does not exist.
        TypeError: Something other than a Tensor or a Record.
        RuntimeError: A leaf was updated after it was used; draw before optimizer.step().

    Attributes:
        record: What is drawn.
        plan: What of it is folded.
        style: "gates", "fused" or "compact".
        mode, title: As given; set, they draw the picture anew.
        theme: Of files, "light" if none was given; set, it draws the picture anew.
        options: style, fold, rankdir, depth, precision and gradients as given.
        verdicts: On what stands in each `.grad`, if gradients="grad".
        time_limit: Of a layout, in seconds.
    """

    filename: str  # graphviz's, of the DOT source; so is directory
    directory: str
    time_limit = 20.0

    def __init__(
        self, output: Tensor | Record, *positional: Any, mode: PictureMode = "both", style: Style = "auto",
        fold: Fold = "auto", depth: int | None = None, rankdir: Rankdir = "auto", precision: int = 3,
        theme: Theme | None = None, names: Names | None = None, title: str | None = None,
        gradients: Gradients = "right", **unknown: Any,
    ) -> None:  # fmt: skip
        if not isinstance(output, (Tensor, Record)):
            raise TypeError(f"a picture is drawn of a Tensor or a Record, not of {type(output).__name__}")
        if positional or unknown:
            raise unknown_options(unknown, positional, CHOICES)
        super().__init__(name="graph")
        check_choice("graph: mode", mode, get_args(PictureMode))
        check_choice("graph: style", style, get_args(Style))
        check_choice("graph: rankdir", rankdir, get_args(Rankdir))
        if theme is not None:
            check_choice("graph: theme", theme, get_args(Theme))
        fold = check_fold(fold)
        check_choice("graph: gradients", gradients, get_args(Gradients))
        if depth is not None:
            depth = check_int("graph: depth, unless it is None,", depth, 0)
        precision = check_int("graph: precision", precision, 1, 17)
        self.record = record(output) if isinstance(output, Tensor) else output
        self._mode, self._theme, self._title = mode, theme, None if title is None else str(title)
        self.options: Options = {
            "style": style, "fold": fold, "rankdir": rankdir, "depth": depth, "precision": precision,
            "gradients": gradients,
        }  # fmt: skip
        if names is not None or not all(card.name for card in self.record.cards):
            name_cards(self.record, names, caller_variables())
        self.verdicts = judge_all(self.record) if gradients == "grad" else {}
        self._lines = 0
        self._draw()

    def _draw(self) -> None:
        """Writes the DOT, in place of what was drawn before; what a user has added stays."""
        painter, self.rankdir = choose(self)
        self.plan, self.style = painter.plan, painter.style
        drawn = painter.directed(self.rankdir).body
        self.body[: self._lines] = drawn
        self._lines = len(drawn)

    @property
    def error(self) -> Exception | None:
        """The error of a forward that failed, with its traceback: `raise graph.error` shows it."""
        return None if self.record.failure is None else self.record.failure.error

    @property
    def precision(self) -> int:
        """Significant digits."""
        return self.options["precision"]

    @property
    def theme(self) -> Theme:
        """Of files: "light" if none was given."""
        return self._theme or "light"

    @theme.setter
    def theme(self, theme: Theme) -> None:
        check_choice("graph: theme", theme, get_args(Theme))
        self._theme = theme
        self._draw()

    @property
    def title(self) -> str | None:
        """The heading."""
        return self._title

    @title.setter
    def title(self, title: str | None) -> None:
        self._title = None if title is None else str(title)
        self._draw()

    @property
    def mode(self) -> PictureMode:
        """ "forward", "backward" or "both"."""
        return self._mode

    @mode.setter
    def mode(self, mode: PictureMode) -> None:
        check_choice("graph: mode", mode, get_args(PictureMode))
        self._mode = mode
        self._draw()

    @property
    def notebook_theme(self) -> Theme:
        """Of what a notebook shows: "auto" if none was given."""
        return self._theme or "auto"

    def forward(self, **changes: Unpack[Options]) -> Graph:
        """The forward pass at the same coordinates, unless other options than theme and title are changed."""
        return self.at("forward", **changes)

    def backward(self, **changes: Unpack[Options]) -> Graph:
        """The backward pass at the same coordinates; see forward()."""
        return self.at("backward", **changes)

    def both(self, **changes: Unpack[Options]) -> Graph:
        """Both passes at the same coordinates; see forward()."""
        return self.at("both", **changes)

    def copy(self) -> Graph:
        """The same picture once more."""
        return self.at(self.mode)

    def at(self, mode: PictureMode, **changes: Unpack[Options]) -> Graph:
        """The same graph in another mode."""
        options: Options = {"theme": self._theme, "title": self.title, **self.options, **changes}
        return Graph(self.record, mode=mode, **options)

    def frames(self, pattern: StrPath, *, size: Paper = "picture") -> list[Path]:
        """Writes one picture for each step, for slides. All have the same size, with the equation under the picture.

        The steps are those of the passes that the mode shows; "backward" begins with all values.

        Args:
            pattern: A path with a place for the number of the step, "step_{:02d}.svg"; ".png" and ".pdf" do as well.
            size: "picture", or a page that it fits on: "slide" (16:9), "A4" or "letter".

        Returns:
            The paths, in order. Directories are made where there are none.

        Raises:
            ValueError: The pattern has no place for a number, so that all steps would be written to one file, or
                another ending; a path is a folder or a device; or there is no such size.
            NoEngineError: There is no Graphviz to lay out the picture.
        """
        return frames(self, pattern, size)

    def player(self, path: StrPath | None = None, *, title: str | None = None) -> Player:
        """Makes a page that plays the forward and backward pass step by step, or the one that is the mode.

        It needs no network. The mode "backward" begins with all values.

        Args:
            path: Where the page is written, with its folders; None shows it in a notebook only.
            title: The heading; the graph's own if None.

        Raises:
            NoEngineError: There is no Graphviz to lay out the picture.
            ValueError: The path is a folder or a device.
            OSError: The file cannot be written.
        """
        return player(self, path, title=title)

    def page(self, path: StrPath | None = None, *, title: str | None = None) -> Page:
        """Makes a page on which modules and runs of alike blocks open and close; it needs no network.

        It starts folded, with `depth` levels open. Every set of open modules has a layout if these are few; else one
        module at a time is open at each level. What `fold=lambda module: ...` closes stays closed. The style "auto" is
        compact from 13 ops on, and where the first picture would not be legible on a slide.

        Args:
            path: Where the page is written, with its folders; None shows it in a notebook only.
            title: The heading; the graph's own if None.

        Raises:
            NoEngineError: There is no Graphviz to lay out the pictures.
            ValueError: The path is a folder or a device.
            OSError: The file cannot be written.
        """
        return page(self, path, title=title)

    @property
    def _asked(self) -> dict[Card, Verdict] | None:
        """The verdicts, if they were asked for."""
        return self.verdicts if self.options["gradients"] == "grad" else None

    @property
    def alt_text(self) -> str:
        """The picture in words, for screen readers."""
        return alt_text(self.record, self.title, self._asked)

    def text(self) -> str:
        """The graph as an indented tree, for a terminal."""
        return tree(self.record, precision=self.precision, verdicts=self._asked)

    def __str__(self) -> str:
        return self.text()

    def pipe(
        self, format: str | None = None, renderer: str | None = None, formatter: str | None = None,
        neato_no_op: bool | int | None = None, quiet: bool = False, *,
        engine: str | None = None, encoding: str | None = None,
    ) -> bytes | str:  # fmt: skip
        """Draws the graph into bytes, or text if `encoding` is given; the arguments are those of graphviz.Digraph.pipe.

        Raises:
            NoEngineError, TimeoutError, ValueError: See engines.render.
        """
        layout = engine or self.engine
        if neato_no_op:
            layout = "nop2" if neato_no_op == 2 else "nop"
        kinds = (format or self.format, renderer or self.renderer, formatter or self.formatter)
        full = ":".join(map(str, filter(None, kinds)))
        picture = render(sharpen(self.source, full), full, self.time_limit, layout)
        if full == "svg":
            title = self.title or self.name or "graph"
            try:
                picture = finish(picture.decode(), title=title, description=self.alt_text, theme=self.theme).encode()
            except (ET.ParseError, UnicodeDecodeError) as problem:
                what = f"something that begins with {picture[:40]!r} ({problem})"
                raise ValueError(f"Graphviz gave no SVG, but {what}: is the `dot` on the PATH Graphviz's?") from problem
        return picture.decode(encoding) if encoding else picture

    def save(
        self, filename: StrPath | None = None, directory: StrPath | None = None, *, skip_existing: bool | None = False
    ) -> str:
        """Writes the DOT source into a file, and returns its path; the arguments are those of graphviz.Digraph.save."""
        name = self.filename if filename is None else check_path("save: filename", filename, "loss.gv")
        folder = self.directory
        if directory is not None:
            folder = check_path("save: directory", directory, "pictures", folder=True)
        path = os.path.join(folder, name)
        if not (skip_existing and Path(path).exists()):
            write_atomically(path, self.source.encode(self.encoding, "replace"), folders=True)
        self.filename, self.directory = name, folder
        return path

    def render(
        self, filename: StrPath | None = None, directory: StrPath | None = None,
        view: bool = False, cleanup: bool = False, format: str | None = None, renderer: str | None = None,
        formatter: str | None = None, neato_no_op: bool | int | None = None, quiet: bool = False,
        quiet_view: bool = False, *, outfile: StrPath | None = None, engine: str | None = None,
        raise_if_result_exists: bool = False, overwrite_source: bool = False, size: Paper = "picture",
    ) -> str:  # fmt: skip
        """Draws the graph into a file, and returns its path; the other arguments are graphviz.Digraph.render's.

        render("loss.png") writes that picture; a name without the ending of a picture is the DOT source's, beside which
        the picture is written with the format added: render("loss", format="svg") writes "loss" and "loss.svg"; with
        cleanup=True, the picture alone. `outfile` names the picture in any case; then the DOT source is written if
        there is a `filename`, too.

        Args:
            size: The page of an SVG, PNG or PDF: "picture", as large as the picture, or one that it fits on: "slide"
                (16:9), "A4" or "letter".

        Raises:
            NoEngineError, TimeoutError, ValueError: See pipe(); no file is written then.
            ValueError: The ending and the format contradict each other; or there is no such size.
            FileExistsError: raise_if_result_exists, and it does.
        """
        check_choice("render: size", size, get_args(Paper))
        for name, given in (("filename", filename), ("outfile", outfile)):
            if given is not None:
                check_path(f"render: {name}", given, "loss.png")
        if directory is not None:
            check_path("render: directory", directory, "pictures", folder=True)
        if outfile is not None and directory is None:
            directory = Path(outfile).parent
        middle = filter(None, (formatter or self.formatter, renderer or self.renderer))
        target, source, kind = self.places(filename, directory, outfile, format, middle)
        if source is not None and target.resolve() == source.resolve() and not overwrite_source:
            how = "choose another name for one of them"
            raise ValueError(f"the picture would overwrite the DOT source {source}: {how}")
        if raise_if_result_exists and target.exists():
            raise FileExistsError(f"{target} exists already, and raise_if_result_exists was given")
        if size == "picture":
            picture = self.pipe(kind, renderer, formatter, neato_no_op, engine=engine)
        else:
            if renderer or formatter:
                raise ValueError(f"render: size={size!r} has a renderer of its own: leave renderer and formatter out")
            picture = self.on_page(kind, size, self.pipe("svg", neato_no_op=neato_no_op, engine=engine))
        assert isinstance(picture, bytes)
        if source is not None:
            self.save(filename, directory=directory)
        write_atomically(target, picture, folders=True)
        if source is not None and cleanup and target.resolve() != source.resolve():
            source.unlink()
        if view:
            self._view(str(target), format=kind, quiet=quiet_view)
        return str(target)

    def places(
        self, filename: StrPath | None, directory: StrPath | None, outfile: StrPath | None, format: str | None,
        middle: Iterable[str],
    ) -> tuple[Path, Path | None, str]:  # fmt: skip
        """Where render() writes the picture, where the DOT source if it does, and the picture's format."""
        folder, name = self.directory if directory is None else directory, filename or self.filename
        if outfile is None and picture_format(name):
            outfile, filename = Path(folder, name), None
        if outfile is None:
            kind, source = str(format or self.format), Path(folder, name)
            return source.with_name(".".join([source.name, *middle, kind])), source, kind
        target, asked = Path(outfile), picture_format(outfile)
        if asked and format and asked != format:
            how = "leave the format out, or write the file with another ending"
            raise ValueError(
                f"render: {target.name} is to be a picture of the kind {asked}, but format={format!r}: {how}"
            )
        return target, None if filename is None else Path(folder, filename), format or ending(target) or self.format

    def on_page(self, kind: str, size: Paper, svg: bytes | str) -> bytes:
        """A finished picture on a page of this size."""
        if kind not in ENDINGS:
            raise ValueError(f"render: a page of size={size!r} is an svg, a png or a pdf, not {kind}")
        root = parse(svg if isinstance(svg, str) else svg.decode())
        lay_on(root, size, palette(self.theme)["paper"])
        return file_of(root, kind, self.time_limit)

    def unflatten(self, stagger: int | None = None, fanout: bool = False, chain: int | None = None) -> graphviz.Source:
        """As graphviz.Digraph.unflatten; NoEngineError where Graphviz's programs are not installed."""
        try:
            return super().unflatten(stagger=stagger, fanout=fanout, chain=chain)
        except graphviz.ExecutableNotFound:
            how = "it comes with Graphviz, not with pygraphviz"
            raise NoEngineError(f"the program unflatten is not installed: {how}") from None

    def _repr_svg_(self) -> str | None:
        try:
            return themed_svg(self)
        except Exception:  # an error while a notebook shows an object would hide the object
            return None

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, **_: object
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """What a notebook shows: the picture in several kinds, and the text for where no picture can be."""
        return mimebundle(self, include, exclude)
