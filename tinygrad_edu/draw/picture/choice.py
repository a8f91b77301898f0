"""How much of a graph a picture shows: as much as is legible on a slide.

A slide has 1600 x 900 pixels, and a letter is legible from 9 of them on. Sizes are estimated first; where the estimate
leaves doubt, Graphviz lays the picture out, which takes some hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tinygrad_edu.draw.picture.engines import NoEngineError, render
from tinygrad_edu.draw.picture.fold import ENOUGH, Plan, plan
from tinygrad_edu.draw.picture.painter import SPACES, Detail, Painter
from tinygrad_edu.draw.picture.sizes import Size, ranks

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["LEGIBLE", "choose", "laid_out", "letters"]

GATES = 4  # ops: up to this many, all between single numbers, are drawn as nodes of their own
RANKS = 7  # up to this many stand side by side, if letters stay legible
MOST = 150  # nodes: no slide has room for more
ATTEMPTS = ENOUGH, 16, 10, 6  # nodes of a folded picture
SLIDE = 1600.0, 900.0  # pixels
LEGIBLE = 9.0  # pixels, of a letter
SMALLEST = {"gates": 9.0, "fused": 9.0, "compact": 10.0}  # letter, in points
DOUBT = 1.4  # one of two estimates may be wrong by this factor
SURE = 2.2  # further from it than this factor no picture is laid out
PATIENCE = 5.0  # seconds for a layout


def choose(graph: Graph) -> tuple[Painter, str]:
    """What is drawn, and its direction: once for each record and options, so that all modes are drawn alike.

    With the style "auto" all is drawn in full if that is legible on a slide, else in compact style, and what is still
    too large is folded until it is legible. With another style what is larger than two slides is folded.
    """
    options, known, fold = graph.options, graph.record.choices, graph.options["fold"]
    others = [options[name] for name in ("style", "depth", "rankdir", "precision", "gradients")]
    key = (*others, type(fold), id(fold) if callable(fold) else fold)  # True is not 1
    if key in known:
        drawn, style, direction, _ = known[key]
        return Painter(graph, drawn, style), direction
    painter, direction = chosen(graph)
    known[key] = painter.plan, painter.style, direction, fold  # which keeps its id
    return painter, direction


def chosen(graph: Graph) -> tuple[Painter, str]:
    """The first of the candidates that is legible, or the last."""
    options = graph.options
    slides = 1 if options["style"] == "auto" else 2
    nothing_open = options["style"] != "auto" and isinstance(options["fold"], int) and options["rankdir"] != "auto"
    for drawn, style in candidates(graph, slides):
        painter = Painter(graph, drawn, style)
        if nothing_open:
            return painter, options["rankdir"]
        size, direction = laid_out(painter)
        if letters(size, style, slides) >= LEGIBLE:
            break
    return painter, direction


def candidates(graph: Graph, slides: int) -> Iterator[tuple[Plan, Detail]]:
    """What may be drawn, from all to little."""
    found, options = graph.record, graph.options
    style, fold, depth = options["style"], options["fold"], options["depth"]
    closed = fold if callable(fold) else None
    count = ENOUGH if fold is True else fold if isinstance(fold, int) else 0
    by_size = fold == "auto" or closed is not None
    styles: list[Detail] = [style] if style != "auto" else ["fused", "compact"]
    too_many = depth is None and closed is None and sum(card.op is not None for card in found.cards) > MOST
    for detail in styles:
        compact = detail == "compact"
        if by_size and too_many:  # no slide has room for it
            continue
        drawn = plan(found, depth, closed, compact=compact)
        if count and (fold is True or drawn.size > count):
            drawn = plan(found, depth, closed, lambda smaller: smaller.size <= count, compact)
        if drawn.size <= MOST or not by_size:
            yield drawn, "gates" if style == "auto" and not compact and is_small(drawn) else detail
    for most in ATTEMPTS if by_size else ():
        yield plan(found, depth, closed, fits(graph, detail, slides, most), compact), detail


def is_small(drawn: Plan) -> bool:
    """Whether it is a few ops between single numbers, whose gates are drawn."""
    few = sum(item.ops for item in drawn.items) <= GATES
    return few and all(not item.folded and item.cards[0].value.ndim == 0 for item in drawn.items)


def fits(graph: Graph, style: Detail, slides: int, most: int) -> Callable[[Plan], bool]:
    """Whether a plan has so few nodes, and is legible by the estimate."""

    def check(drawn: Plan) -> bool:
        if drawn.size > most:
            return False
        sizes = estimates(Painter(graph, drawn, style))
        return max(letters(size, style, slides) for size in sizes.values()) >= LEGIBLE

    return check


def letters(size: Size, style: Detail, slides: int = 1) -> float:
    """Pixels of the smallest letter, where the picture fills a slide, or two beside or below each other."""
    (width, height), (wide, high) = size, SLIDE
    rooms = [(wide, high)] if slides == 1 else [(slides * wide, high), (wide, slides * high)]
    return SMALLEST[style] * max(min(w / width, h / height) for w, h in rooms)


def estimates(painter: Painter) -> dict[str, Size]:
    """The size in each direction that it may have."""
    placed, rankdir = ranks(painter.plan), painter.graph.options["rankdir"]
    names = ("LR", "TB") if rankdir == "auto" else (rankdir,)
    return {name: painter.labels.picture_size(placed, name == "LR") for name in names}


def laid_out(painter: Painter) -> tuple[Size, str]:
    """The size of the picture, and the direction in which letters are larger; LR for up to 7 ranks if it is legible."""
    sizes = estimates(painter)
    found = {name: letters(size, painter.style) for name, size in sizes.items()}
    best = max(found, key=lambda name: found[name])
    doubt = [name for name in found if found[name] * DOUBT >= found[best]]
    if LEGIBLE / SURE <= found[best] <= LEGIBLE * SURE:
        for name in doubt:
            sizes[name] = measured(painter, name) or sizes[name]
            found[name] = letters(sizes[name], painter.style)
        best = max(doubt, key=lambda name: found[name])
    if painter.style != "compact" and found.get("LR", 0) >= LEGIBLE and max(ranks(painter.plan).values()) < RANKS:
        best = "LR"
    return sizes[best], best


def measured(painter: Painter, direction: str) -> Size | None:
    """The size by Graphviz's layout; None where there is no Graphviz, or it takes too long."""
    try:
        plain = render(painter.directed(direction).source, "plain", PATIENCE)
    except (NoEngineError, TimeoutError, ValueError):
        return None
    width, height = (72 * float(inches) + 2 * SPACES[painter.style].edges for inches in plain.split()[2:4])
    return width, height
