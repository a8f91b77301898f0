"""What the step player shows, one step after another: each value forward, then each contribution backward.

The order is the one in which the engine really ran. So a gradient that comes over several wires is not there at once:
it grows, and only after its last contribution does it flow on.

    h = g + g           # step "∂h/∂g += 1": 1 so far; next step "∂h/∂g += 1": 1, then 1 + 1 = 2
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw import cards
from tinygrad_edu.draw.fold import Item, Link
from tinygrad_edu.draw.formulas import role, rule_source
from tinygrad_edu.draw.numbers import factor, number, product, shape_text, statistics
from tinygrad_edu.draw.record import Card, Wire

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

Phase = Literal["start", "forward", "backward"]
INFIX = {"+": "+", "−": "−", "×": "·", "÷": "/", "@": "@"}
BEFORE = {"σ", "ReLU", "Σ", "√"}  # symbols that stand before the operand, as names do
DIGITS = "0123456789−"
RAISED = str.maketrans(DIGITS, "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SEVERAL = 8  # numbers that a card prints


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


def wire_id(link: Link) -> str:
    """The id of a line in the picture."""
    return f"wire-{link.wires[0].target.id}-{link.wires[0].position}"


def script(graph: Graph) -> Script:
    """The steps of a picture: of every node forward, of every wire backward; what is folded away has none."""
    output = graph.record.output
    name = cards.shorten(output.name)
    found = Script([Step("start", f"How {name} is computed", "Nothing has been computed yet.")])
    play_forward(graph, found)
    if graph.record.seed is not None:
        play_backward(graph, found)
    return found


def play_forward(graph: Graph, found: Script) -> None:
    """A step for each node. Numbers in an expression, and leaves drawn once more, appear with what uses them."""
    into: dict[Item, list[str]] = {}
    for link in graph.plan.links:
        into.setdefault(link.target, []).append(wire_id(link))
    for item in graph.plan.items:
        card = item.cards[-1]
        if item.kind == "chip" or card.is_number:
            continue
        wires = into.get(item, [])
        gate = [] if item.folded or card.op is None else [f"gate-{card.id}", f"wire-{card.id}-out"]
        equation, note = forward_words(item, graph.precision)
        step = found.add(Step("forward", equation, note, active=(item.id, *wires, *gate)))
        found.values.update(dict.fromkeys((item.id, *wires, *gate), step))


def forward_words(item: Item, precision: int) -> tuple[str, str]:
    """Equation and note of a node's forward step."""
    if item.folded:
        name, value, _ = cards.shown_output(item)
        result = "" if value is None else f"{name} {shape_text(value.shape)}".rstrip()
        note = f"It stands for {cards.plural(item.ops, 'op')}." if item.ops else ""
        return f"{result} = {cards.shorten(item.title, 40)}" if result else item.title, note
    card = item.cards[-1]
    name = cards.shorten(card.name)
    if card.op is None:
        kinds = {"parameter": "A parameter.", "input": "An input.", "data": "Data: it needs no gradient."}
        return f"{name} = {written(card.value, precision)}", kinds[card.kind]
    names = [operand_name(wire) for wire in card.wires]
    equation = f"{name} = {expression(card, names)}"
    if all(wire.source.value.size == 1 for wire in card.wires) and card.value.size == 1:
        numbers = [number(wire.source.value, precision) for wire in card.wires]
        if numbers != names:
            equation += f" = {expression(card, numbers)}"
        return f"{equation} = {number(card.value, precision)}", f"The op {card.op.name}."
    shapes = [shape_text(wire.source.shape) or "a number" for wire in card.wires]
    return equation, f"The op {card.op.name}: {', '.join(shapes)} → {shape_text(card.shape) or 'a number'}."


def operand_name(wire: Wire) -> str:
    """What an expression calls an operand."""
    source = wire.source
    return number(source.value) if source.is_number else cards.shorten(source.name, 20)


def expression(card: Card, operands: list[str]) -> str:
    """An op applied to operands, which are names or numbers: "x + y", "2 · (−3)", "σ(z)", "sum(a, axis=0)"."""
    assert card.op is not None
    symbol = cards.symbol_of(card)
    if len(operands) == 2 and symbol in INFIX:
        elementwise = symbol == "×" and all(wire.source.value.ndim for wire in card.wires)
        return f"{operands[0]} {'⊙' if elementwise else INFIX[symbol]} {in_brackets(operands[1])}"
    if card.op.name == "power":
        base, exponent = in_brackets(operands[0]), operands[1]
        return base + exponent.translate(RAISED) if set(exponent) <= set(DIGITS) else f"{base}^{exponent}"
    if card.op.name == "negative":
        return "−" + in_brackets(operands[0])
    options = [f"{key}={value}" for key, value in card.params.items() if isinstance(value, (int, float)) and value]
    head = symbol if symbol in BEFORE else card.op.name
    return f"{head}({', '.join(operands + options[:2])})"


def in_brackets(text: str) -> str:
    """An operand after a sign, or under an exponent: in brackets if it begins with a minus."""
    return f"({text})" if text.startswith("−") else text


def written(value: ndarray, precision: int) -> str:
    """A number, a short vector, or shape and mean of a larger array."""
    if value.size == 1:
        return number(value, precision)
    if value.ndim == 1 and 0 < value.size <= 4:
        return f"[{', '.join(number(x, precision) for x in value)}]"
    return f"{shape_text(value.shape)}, {statistics(value, precision)[0]}".rstrip(", ")


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
    root = cards.shorten(output.name, 20)
    assert graph.record.seed is not None
    seed = written(graph.record.seed, precision)
    note = joined("The backward pass begins at the output.", hooked(output, graph, [graph.record.seed]))
    step = found.add(Step("backward", f"∂{root}/∂{root} = {seed}", note, active=(place[output.id].id,)))
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
            gate = () if link.target.folded else (f"wire-{wire.target.id}-out",)
            for part in (wire_id(link), *gate):
                found.flows.setdefault(part, step)
        now = len(found.steps) - 1
        if wire.source in listed:
            found.norms.update(dict.fromkeys(listed[wire.source], now))
        elif not item.folded or wire.source in item.outputs:
            with np.errstate(all="ignore"):
                found.gradients.setdefault(item.id, []).append((now, np.sum(parts, axis=0)))


def backward_step(graph: Graph, link: Link, wire: Wire, parts: list[ndarray], place: dict[str, Item]) -> Step:
    """A contribution over a line."""
    around = () if link.target.folded else (f"gate-{wire.target.id}", f"wire-{wire.target.id}-out")
    active = (place[wire.source.id].id, wire_id(link), *around, link.target.id)
    root, precision = cards.shorten(graph.record.output.name, 20), graph.precision
    left = f"∂{root}/∂{cards.shorten(wire.source.name, 20)}"
    sums = running_sum(left, parts, len(wire.source.contributions()), precision), hooked(wire.source, graph, parts)
    if not link.plain:
        note = joined(f"Through {cards.shorten(link.target.title or link.source.title, 40)}.", *sums)
        return Step("backward", f"{left} += {written(parts[-1], precision)}", note, "", active)
    op = wire.target.op
    assert op is not None
    blocked = "Blocked: nothing flows back over this wire." if wire.blocked else ""
    gate = f"The gate {cards.symbol_of(wire.target)} {words}." if (words := role(op)) else ""
    equation = f"{left} += {contribution(wire, root, precision)}"
    return Step("backward", equation, joined(*sums, blocked, gate), rule_source(op, wire.position), active)


def joined(*sentences: str) -> str:
    """The sentences that there are."""
    return " ".join(filter(None, sentences))


def contribution(wire: Wire, root: str, precision: int) -> str:
    """ "z · ∂f/∂f = −4 · 1 = −4" between single numbers, else the rule as a formula."""
    if wire.local is None:
        return cards.formula(wire)
    assert wire.target.gradient is not None
    local, upstream = number(wire.local, precision), wire.target.gradient
    symbols = cards.local_text(wire) or local
    if " + " in symbols or " − " in symbols:
        symbols = f"({symbols})"
    formula = f"{symbols} · ∂{root}/∂{cards.shorten(wire.target.name, 20)}"
    return f"{formula} = {product(wire.local, upstream, precision)}"


def running_sum(left: str, parts: list[ndarray], expected: int, precision: int) -> str:
    """How a gradient of several contributions has grown so far: "∂h/∂g: 3, then 3 + 3 = 6"."""
    if expected < 2:
        return ""
    if parts[0].size > 1 or len(parts) > 4:
        return f"{left}: {len(parts)} of {expected:,} contributions."
    if len(parts) == 1:
        return f"{left}: {number(parts[0], precision)} so far, 1 of {expected:,} contributions."
    with np.errstate(all="ignore"):
        before, total = np.sum(parts[:-1], axis=0), np.sum(parts, axis=0)
    sums = f"{number(before, precision)} + {factor(parts[-1], precision)} = {number(total, precision)}"
    return f"{left}: {number(before, precision)}, then {sums}."


def hooked(card: Card, graph: Graph, parts: list[ndarray]) -> str:
    """What a hook makes of the gradient when its last contribution has arrived."""
    before = card.before_hooks if len(parts) >= len(card.contributions()) else None
    if before is None or card.gradient is None:
        return ""
    return f"A hook changes it: {written(before, graph.precision)} → {written(card.gradient, graph.precision)}."
