"""What the step player shows, one step after another: each value forward, then each contribution backward.

The order is the one in which the engine really ran. So a gradient that comes over several wires is not there at once:
it grows, and only after its last contribution does it flow on.

    h = g + g           # step "∂h/∂g += 1": 1 so far; next step "∂h/∂g += 1": 1, then 1 + 1 = 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.captions import role, rule_source
from tinygrad_edu.draw.algebra.formulas import forward_term, named_terms, trace_rule
from tinygrad_edu.draw.algebra.notation import ATOM, PHRASE, PRODUCT, Notation, Text
from tinygrad_edu.draw.algebra.terms import Term, literal
from tinygrad_edu.draw.explain.expressions import card_term
from tinygrad_edu.draw.names import shorten
from tinygrad_edu.draw.numbers import (
    FEW,
    MINUS,
    format_array,
    format_count,
    format_number,
    format_product,
    format_shape,
)
from tinygrad_edu.draw.picture import cards
from tinygrad_edu.draw.picture.fold import Item, Link, gate_ids
from tinygrad_edu.draw.record import Card, Wire

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

Phase = Literal["start", "forward", "backward"]
LONG, SHORT = 120, 20  # characters of an expression, and of a name in it


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        phase: Of which pass it is.
        equation: What is computed, with numbers.
        note: What kind of tensor it is, the running sum, the gate's role.
        rule: The op's own rule, as it stands in its source; "" if there is none.
        active: The ids of the nodes and wires that it is about.
    """

    phase: Phase
    equation: str
    note: str = ""
    rule: str = ""
    active: tuple[str, ...] = ()


@dataclass
class Script:
    """The steps, and when each part of the picture appears: numbers of steps, by the ids of nodes and wires.

    Attributes:
        steps: The first one is the picture before anything is computed.
        values: When a node has its value, a wire carries one.
        gradients: When contributions arrive at a node, with the sum so far; the last one is the gradient.
        norms: When the parameters of a folded module have their gradients.
        flows: When a gradient flows over a wire.
    """

    steps: list[Step]
    values: dict[str, int] = field(default_factory=dict)
    gradients: dict[str, list[tuple[int, ndarray]]] = field(default_factory=dict)
    norms: dict[str, int] = field(default_factory=dict)
    flows: dict[str, int] = field(default_factory=dict)

    def add(self, step: Step) -> int:
        """Appends a step; returns its number."""
        self.steps.append(step)
        return len(self.steps) - 1

    def count(self, phase: Phase) -> int:
        """The number of steps of a pass."""
        return sum(step.phase == phase for step in self.steps)


def script(graph: Graph) -> Script:
    """The steps of a picture: of every node forward, of every wire backward; what is folded away has none."""
    name = shorten(graph.record.output.name)
    found = Script([Step("start", f"How {name} is computed", "Nothing has been computed yet.")])
    play_forward(graph, found)
    if graph.record.seed is not None:
        play_backward(graph, found)
    return found


def play_forward(graph: Graph, found: Script) -> None:
    """A step for each node. Numbers in an expression, and leaves drawn once more, appear with what uses them."""
    into: dict[Item, list[str]] = {}
    for link in graph.plan.links:
        into.setdefault(link.target, []).append(link.id)
    for item in graph.plan.items:
        card = item.cards[-1]
        if item.kind == "chip" or card.is_number:
            continue
        wires = into.get(item, [])
        gate = () if item.folded or card.op is None else gate_ids(card)
        equation, note = forward_words(item, graph.precision)
        step = found.add(Step("forward", equation, note, active=(item.id, *wires, *gate)))
        found.values.update(dict.fromkeys((item.id, *wires, *gate), step))


def forward_words(item: Item, precision: int) -> tuple[str, str]:
    """Equation and note of a node's forward step."""
    if item.folded:
        name, value, _ = cards.shown_output(item)
        result = "" if value is None else f"{name} {format_shape(value.shape)}".rstrip()
        note = f"It stands for {format_count(item.ops, 'op')}." if item.ops else ""
        return f"{result} = {shorten(item.title, 40)}" if result else item.title, note
    card = item.cards[-1]
    name = shorten(card.name)
    if card.op is None:
        kinds = {"parameter": "A parameter.", "input": "An input.", "data": "Data: it needs no gradient."}
        return f"{name} = {written(card.value, precision)}", kinds[card.kind]
    sources = [wire.source for wire in card.wires]
    symbols = [format_number(x.value, precision) if x.is_number else shorten(x.name, SHORT) for x in sources]
    texts, single = [expression(card, symbols, precision)], all(x.value.size == 1 for x in sources)
    if single and all(x.shape in ((), card.shape) for x in sources) and card.op.name != "getitem":
        texts.append(expression(card, [format_number(x.value, precision) for x in sources], precision))
    if card.value.size <= FEW:
        texts.append(written(card.value, precision))
    equation = " = ".join([name, *dict.fromkeys(texts)])
    if single and card.value.size == 1:
        return equation, f"The op {card.op.name}."
    shapes = [format_shape(x.shape) or "a number" for x in (*sources, card)]
    return equation, f"The op {card.op.name}: {', '.join(shapes[:-1])} → {shapes[-1]}."


class Operands(Notation):
    """Writes an op whose operands may be numbers: with a minus they are in brackets, unless they stand first."""

    def name(self, text: str, place: int) -> Text:
        """An operand."""
        return text, ATOM if not text.startswith(MINUS) else PHRASE if place else PRODUCT


def expression(card: Card, texts: list[str], precision: int) -> str:
    """An op applied to operands: "x + y", "−2 + 5", "sum over rows of M"; by name where it changes a shape only.

    An operand is told by its place, so that x · x is not yet x², and x · 1 not yet x; exponents are what they are.
    """
    assert card.op is not None
    sources = [wire.source for wire in card.wires]
    places = enumerate(texts, card.op.name == "negative")  # whose own minus stands first
    operands: list[Any] = [Term("name", (text, i), x.value) for (i, text), x in zip(places, sources, strict=True)]
    if card.op.name == "power" and sources[1].is_number:
        operands[1] = card_term(sources[1])
    text = Operands(False, precision).write(forward_term(card.op, operands, card.params, card.value))
    if text in texts:
        text = texts[0] + cards.symbol_of(card) if card.op.name == "getitem" else f"{card.op.name}({', '.join(texts)})"
    return shorten(text, LONG)


def written(value: ndarray, precision: int) -> str:
    """A number, a few in brackets, or shape and mean of a larger array."""
    if value.size == 1:
        return format_number(value, precision)
    text = format_array(value, precision, value.size > FEW)
    return f"{format_shape(value.shape)}, {text}" if value.size > FEW else text


def play_backward(graph: Graph, found: Script) -> None:
    """The seed, then a step for each wire in the order of the engine."""
    output, precision = graph.record.output, graph.precision
    place = {card.id: item for item in graph.plan.items if item.kind != "chip" for card in item.cards}
    lines = {wire: link for link in graph.plan.links for wire in link.wires}
    last = {lines[wire]: wire for wire in graph.record.backward if wire in lines}  # a later wire replaces an earlier
    listed: dict[Card, list[str]] = {}  # the folded modules that show a parameter
    for item in graph.plan.items:
        for leaf in item.leaves:
            listed.setdefault(leaf, []).append(item.id)
    root = shorten(output.name, SHORT)
    assert graph.record.seed is not None
    equation = f"∂{root}/∂{root} = {written(graph.record.seed, precision)}"
    note = join_sentences("The backward pass begins at the output.", hooked(output, graph, [graph.record.seed]))
    step = found.add(Step("backward", equation, note, active=(place[output.id].id,)))
    found.gradients[place[output.id].id] = [(step, graph.record.seed)]
    arrived: dict[str, list[ndarray]] = {}
    for wire in graph.record.backward:
        assert wire.contribution is not None
        parts = arrived.setdefault(wire.source.id, [])
        parts.append(wire.contribution)
        item = place[wire.source.id]
        link = lines.get(wire)
        if link is not None and last[link] is wire:
            step = found.add(backward_step(graph, link, wire, parts, place))
            gate = () if link.target.folded else gate_ids(wire.target)[1:]
            for part in (link.id, *gate):
                found.flows.setdefault(part, step)
        now = len(found.steps) - 1
        if wire.source in listed:
            found.norms.update(dict.fromkeys(listed[wire.source], now))
        elif not item.folded or wire.source in item.outputs:
            with np.errstate(all="ignore"):
                found.gradients.setdefault(item.id, []).append((now, np.sum(parts, axis=0)))


def backward_step(graph: Graph, link: Link, wire: Wire, parts: list[ndarray], place: dict[str, Item]) -> Step:
    """A contribution over a line."""
    around = () if link.target.folded else gate_ids(wire.target)
    active = (place[wire.source.id].id, link.id, *around, link.target.id)
    root, precision = shorten(graph.record.output.name, SHORT), graph.precision
    left = f"∂{root}/∂{shorten(wire.source.name, SHORT)}"
    sums = running_sum(left, parts, len(wire.source.contributions()), precision), hooked(wire.source, graph, parts)
    if not link.plain:
        note = join_sentences(f"Through {shorten(link.target.title or link.source.title, 40)}.", *sums)
        return Step("backward", f"{left} += {written(parts[-1], precision)}", note, "", active)
    op = wire.target.op
    assert op is not None
    blocked = "Blocked: nothing flows back over this wire." if wire.blocked else ""
    gate = f"The gate {cards.symbol_of(wire.target)} {words}." if (words := role(op)) else ""
    equation = f"{left} += {contribution(wire, root, precision)}"
    return Step("backward", equation, join_sentences(*sums, blocked, gate), rule_source(op, wire.position), active)


def join_sentences(*sentences: str) -> str:
    """The sentences that there are."""
    return " ".join(filter(None, sentences))


def contribution(wire: Wire, root: str, precision: int) -> str:
    """ "z · ∂f/∂f = −4 · 1 = −4" between single numbers, else the rule as a formula."""
    assert wire.contribution is not None
    if wire.local is None:
        few = wire.contribution.size <= FEW
        return cards.formula(wire) + (f" = {written(wire.contribution, precision)}" if few else "")
    formula = f"{local_factor(wire, precision)} · ∂{root}/∂{shorten(wire.target.name, SHORT)}"
    return f"{formula} = {format_product(wire.local, wire.target.gradient, precision)}"


def local_factor(wire: Wire, precision: int) -> str:
    """The local derivative as the first factor of a product; a number if its rule cannot be followed."""
    op, names, values = cards.operands(wire)
    value, params = wire.target.value, wire.target.params
    _, out, operands = named_terms(op, wire.position, names, value, value, values)
    try:
        term = trace_rule(op, wire.position, literal(1, value.shape), out, operands, params, local=True)
    except Exception:  # whatever a user's rule may raise
        return format_number(wire.local, precision)
    text, precedence = Notation(False, precision).text(term)
    divided = term.kind == "product" and term.parts[2]
    return f"({text})" if divided or (precedence < PRODUCT and term.kind not in ("product", "number")) else text


def running_sum(left: str, parts: list[ndarray], expected: int, precision: int) -> str:
    """How a gradient of several contributions has grown so far: "∂h/∂g: 3, then 3 + 3 = 6"."""
    if expected < 2:
        return ""
    if parts[0].size > FEW or len(parts) > 4:
        return f"{left}: {len(parts)} of {expected:,} contributions."
    with np.errstate(all="ignore"):
        sums = [np.sum(parts[:-1], axis=0), parts[-1], np.sum(parts, axis=0)]
    before, part, total = [written(np.asarray(x), precision) for x in sums]
    if len(parts) == 1:
        return f"{left}: {part} so far, 1 of {expected:,} contributions."
    return f"{left}: {before}, then {before} + {f'({part})' if part.startswith(MINUS) else part} = {total}."


def hooked(card: Card, graph: Graph, parts: list[ndarray]) -> str:
    """What a hook makes of the gradient when its last contribution has arrived."""
    before = card.before_hooks if len(parts) >= len(card.contributions()) else None
    if before is None or card.gradient is None:
        return ""
    return f"A hook changes it: {written(before, graph.precision)} → {written(card.gradient, graph.precision)}."
