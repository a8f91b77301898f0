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

from tinygrad_edu.draw.algebra.formulas import (
    ARRIVING,
    RuleCall,
    forward_term,
    local_term,
    received_term,
    role,
    rule_source,
)
from tinygrad_edu.draw.algebra.terms import ATOM, PHRASE, POWER, PRODUCT, Notation, Term, TermLike, Text
from tinygrad_edu.draw.explain.expressions import card_term
from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import FEW_ELEMENTS, MINUS, format_array, format_number, format_product, format_shape
from tinygrad_edu.draw.picture import cards
from tinygrad_edu.draw.picture.fold import Item, Link, gate_ids
from tinygrad_edu.draw.record import Card, Wire, no_gradients

if TYPE_CHECKING:
    from tinygrad_edu.draw.graph import Graph

__all__ = ["Script", "Step", "script"]

Phase = Literal["start", "forward", "backward"]
LONG, SHORT = 120, 20  # characters of an expression, and of a name in it


@dataclass(frozen=True)
class Step:
    phase: Phase  # of which pass it is
    equation: str  # what is computed, with numbers
    note: str = ""  # what kind of tensor it is, the running sum, the gate's role
    rule: str = ""  # what the op's rule hands back, in the names of the picture; "" if it shows no single op
    source: str = ""  # the same as it stands in the op's code, such as "multiply: g * y"; "" if it cannot be found
    active: tuple[str, ...] = ()  # the ids of the nodes and wires that it is about


@dataclass
class Script:
    """The steps, and when each part of the picture appears: numbers of steps, by the ids of nodes and wires."""

    steps: list[Step]  # the first one is the picture before anything is computed
    values: dict[str, int] = field(default_factory=dict)  # when a node has its value, a wire carries one
    gradients: dict[str, list[tuple[int, ndarray]]] = field(default_factory=dict)  # when one grows, with the sum so far
    cells: dict[str, int] = field(default_factory=dict)  # when listed parameters have gradients, and `.grad` is judged
    flows: dict[str, int] = field(default_factory=dict)  # when a gradient flows over a wire

    def add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1


def script(graph: Graph) -> Script:
    """The steps of a picture: of every node forward, of every wire backward; what is folded away has none.

    The mode says which passes are played; backward alone begins with all values.
    """
    name = shorten(graph.record.output.name)
    what = f"How {name} is computed" if graph.record.failure is None else "How far the forward pass comes"
    found = Script([Step("start", what, "Nothing has been computed yet.")])
    play_forward(graph, found)
    if graph.mode == "backward":
        found = Script([backward_start(graph)], dict.fromkeys(found.values, 0))
    if graph.mode != "forward":
        play_backward(graph, found)
    return found


def backward_start(graph: Graph) -> Step:
    """What is there before the backward pass, if that is played alone."""
    name = shorten(graph.record.output.name)
    if graph.record.failure is not None:
        return Step("start", f"{name} fails: nothing flows back", graph.record.failure.text)
    if graph.record.seed is None:
        why = no_gradients(graph.record, graph.options["gradients"] == "grad").capitalize()
        return Step("start", f"Nothing flows back from {name}", f"{why or 'It needs no gradient'}.")
    return Step("start", f"How the gradient of {name} flows back", "All values have been computed.")


def play_forward(graph: Graph, found: Script) -> None:
    """A step for each node. Numbers in an expression, and leaves drawn once more, appear with what uses them."""
    into: dict[Item, list[str]] = {}
    for link in graph.plan.links:
        into.setdefault(link.target, []).append(link.id)
    for item in graph.plan.items:
        card = item.cards[-1]
        if item.kind == "chip" or card.is_number:
            continue
        active = [item.id, *into.get(item, [])]
        if card.op is not None and not item.folded:
            active += gate_ids(card)
        equation, note = forward_words(item, graph.precision)
        if (failure := graph.record.failure) is not None and card is graph.record.output:
            equation, note = f"{printable(card.name)} fails", failure.text
        step = found.add(Step("forward", equation, note, active=tuple(active)))
        found.values.update(dict.fromkeys(active, step))


def forward_words(item: Item, precision: int) -> tuple[str, str]:
    card = item.cards[-1]
    if item.folded:
        name, value, _ = cards.shown_output(item)
        note = f"It stands for {item.op_count}." if item.ops else ""
        if value is None:
            return printable(item.title), note
        result = f"{name} {format_shape(value.shape)}".rstrip()
        return f"{result} = {shorten(item.title, 40)}", note
    if card.op is None:
        kinds = {"parameter": "A parameter.", "input": "An input.", "data": "Data: it needs no gradient."}
        return f"{shorten(card.name)} = {format_value(card.value, precision)}", kinds[card.kind] + (
            f" {card.note[0].upper()}{card.note[1:]}." if card.note else ""
        )
    return op_words(card, precision)


def op_words(card: Card, precision: int) -> tuple[str, str]:
    """ "q = x + y = −2 + 5 = 3" and "The op add."; "y = h @ W" and "The op matmul: [4×2], [2×3] → [4×3]."."""
    assert card.op is not None
    sources = card.operands
    symbols = [format_number(x.value, precision) if x.is_number else shorten(x.name, SHORT) for x in sources]
    texts = [expression(card, symbols, precision)]
    numbers = all(x.value.size == 1 and x.shape in ((), card.shape) for x in sources)
    if numbers and card.op.name != "getitem":
        texts.append(expression(card, [format_number(x.value, precision) for x in sources], precision))
    if card.value.size <= FEW_ELEMENTS:
        texts.append(format_value(card.value, precision))
    equation = " = ".join([shorten(card.name), *dict.fromkeys(texts)])  # each text once
    if all(x.value.size == 1 for x in (*sources, card)):
        return equation, f"The op {card.op.name}."
    given = [wire.source for wire in card.wires]
    *shapes, shape = [format_shape(x.shape) or "a number" for x in (*given, card)]
    return equation, f"The op {card.op.name}: {', '.join(shapes)} → {shape}."


class Operands(Notation):
    """Writes an op whose operands may be numbers: with a minus they are in brackets, unless they stand first."""

    def name(self, text: str, place: str | int) -> Text:
        if not text.startswith(MINUS):
            return text, ATOM
        return text, PHRASE if place else PRODUCT


def expression(card: Card, texts: list[str], precision: int) -> str:
    """An op applied to operands: "x + y", "−2 + 5", "sum over rows of M"; by name where it changes a shape only.

    An operand is told by its place, so that x · x is not yet x², and x · 1 not yet x; exponents are what they are.
    """
    assert card.op is not None
    sources = card.operands
    first = 1 if card.op.name == "negative" else 0  # a minus stands before its operand
    pairs = enumerate(zip(texts, sources, strict=True), first)
    operands: list[TermLike] = [Term("name", (text, place), x.value) for place, (text, x) in pairs]
    if card.op.name == "power" and sources[1].is_number:
        operands[1] = card_term(sources[1])
    text = Operands(False, precision).write(forward_term(card.op, operands, card.params, card.value))
    if text in texts and card.op.name == "getitem":
        text = texts[0] + cards.symbol_of(card)
    elif text in texts:
        text = f"{card.op.name}({', '.join(texts)})"
    return shorten(text, LONG)


def format_value(value: ndarray, precision: int) -> str:
    """A number, a few in brackets, or shape and mean of a larger array."""
    if value.size == 1:
        return format_number(value, precision)
    if value.size <= FEW_ELEMENTS:
        return format_array(value, precision)
    return f"{format_shape(value.shape)}, {format_array(value, precision, brief=1)}"


def play_backward(graph: Graph, found: Script) -> None:
    """The seed, then a step for each wire in the order of the engine."""
    output, seed = graph.record.output, graph.record.seed
    if seed is None:
        return
    holders = {card: item for item in graph.plan.items if item.kind != "chip" for card in item.cards}
    lines = {wire: link for link in graph.plan.links for wire in link.wires}
    last = {lines[wire]: wire for wire in graph.record.backward if wire in lines}  # a later wire replaces an earlier
    listed: dict[Card, list[str]] = {}  # the nodes that list a parameter
    for item in graph.plan.items:
        for leaf in item.leaves if item.folded else item.weights:
            listed.setdefault(leaf, []).append(item.id)
    equation = f"{derivative(graph, output)} = {format_value(seed, graph.precision)}"
    own = own_sentence(output, graph, [seed])
    note = join_sentences("The backward pass begins at the output.", hook_sentence(output, graph, [seed]), own)
    node = holders[output].id
    step = found.add(Step("backward", equation, note, active=(node,)))
    found.gradients[node], found.cells[f"{node}-own"] = [(step, seed)], step
    arrived: dict[Card, list[ndarray]] = {}
    for wire in graph.record.backward:
        assert wire.contribution is not None
        source, item, link = wire.source, holders[wire.source], lines.get(wire)
        parts = arrived.setdefault(source, [])
        parts.append(wire.contribution)
        user = holders[wire.target]
        if link is not None and last[link] is wire:
            step = found.add(backward_step(graph, item, user, link, wire, parts))
            found.flows[link.id] = step
            if not user.folded:
                found.flows.setdefault(gate_ids(wire.target)[1], step)
        elif link is None and not user.folded:  # to a parameter that the op lists
            found.add(backward_step(graph, item, user, None, wire, parts))
        now = len(found.steps) - 1
        for node in listed.get(source, []):
            found.cells.setdefault(f"{node}-norm", now)  # the heading
            found.cells[f"{node}-norm-{source.id}"] = now
        if item.folded or source is item.cards[-1]:
            found.cells[f"{item.id}-own"] = now
        if source in (item.outputs if item.folded else item.cards[-1:]):
            with np.errstate(all="ignore"):
                found.gradients.setdefault(item.id, []).append((now, np.sum(parts, axis=0)))


def derivative(graph: Graph, card: Card) -> str:
    """The gradient that a card has, as a symbol: "∂f/∂x"."""
    return f"∂{shorten(graph.record.output.name, SHORT)}/∂{shorten(card.name, SHORT)}"


def backward_step(
    graph: Graph, source: Item, target: Item, link: Link | None, wire: Wire, parts: list[ndarray]
) -> Step:
    """A contribution over a line to the node `source`; `parts` are all that have arrived there, this one last."""
    gate = () if target.folded else gate_ids(wire.target)
    active = (source.id, *([link.id] if link else []), *gate, target.id)
    left, precision = derivative(graph, wire.source), graph.precision
    sums = running_sum(left, parts, len(wire.source.contributions()), precision)
    hook = join_sentences(hook_sentence(wire.source, graph, parts), own_sentence(wire.source, graph, parts))
    if link is not None and not link.single:
        through = f"Through {shorten(target.title or source.title, 40)}."
        equation = f"{left} += {format_value(parts[-1], precision)}"
        return Step("backward", equation, join_sentences(through, sums, hook), active=active)
    op = wire.target.op
    assert op is not None
    blocked = "Blocked: nothing flows back over this wire." if wire.blocked else ""
    words = f"The gate {cards.symbol_of(wire.target)} {role(op)}." if role(op) else ""
    note = join_sentences(sums, hook, blocked, words)
    equation = f"{left} += {right_side(wire, derivative(graph, wire.target), precision)}"
    code = rule_source(op, wire.position)
    rule = rule_words(cards.rule_call(wire), derivative(graph, wire.target), precision)
    return Step("backward", equation, note, rule, f"{op.name}: {code}" if code else "", active)


class Rule(Notation):
    """Writes a rule with the gradient that arrives as a derivative: (∂L/∂h)ᵀ @ x."""

    def name(self, text: str, place: str | int) -> Text:
        return text, POWER if place == ARRIVING else ATOM


def rule_words(call: RuleCall, upstream: str, precision: int) -> str:
    """What the rule hands back: "∂f/∂q · z", where the picture's `upstream` is what the code calls g."""
    call = call._replace(names={**call.names, "g": upstream})
    return shorten(Rule(False, precision).write(received_term(call)), LONG)


def join_sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def right_side(wire: Wire, upstream: str, precision: int) -> str:
    """ "z · ∂f/∂f = −4 · 1 = −4" between single numbers, else the rule as a formula."""
    assert wire.contribution is not None
    if wire.local is None or wire.target.gradient is None:
        formula = cards.wire_rule(wire)
        is_long = wire.contribution.size > FEW_ELEMENTS
        return formula if is_long else f"{formula} = {format_value(wire.contribution, precision)}"
    factor = format_number(wire.local, precision)  # if its rule cannot be followed
    if (term := local_term(cards.rule_call(wire))) is not None:
        factor, precedence = Notation(False, precision).text(term)
        has_denominator = term.kind == "product" and term.parts[2]
        if has_denominator or (precedence < PRODUCT and term.kind not in ("product", "number")):
            factor = f"({factor})"
    return f"{factor} · {upstream} = {format_product(wire.local, wire.target.gradient, precision)}"


def running_sum(left: str, parts: list[ndarray], expected: int, precision: int) -> str:
    """How a gradient of several contributions has grown so far: "∂h/∂g: 3, then 3 + 3 = 6"."""
    if expected < 2:
        return ""
    if parts[0].size > FEW_ELEMENTS or len(parts) > 4:
        return f"{left}: {len(parts)} of {expected:,} contributions."
    if len(parts) == 1:
        return f"{left}: {format_value(parts[0], precision)} so far, 1 of {expected:,} contributions."
    with np.errstate(all="ignore"):
        sums = [np.sum(parts[:-1], axis=0), parts[-1], np.sum(parts, axis=0)]
    before, part, after = [format_value(np.asarray(x), precision) for x in sums]
    if part.startswith(MINUS):
        part = f"({part})"
    return f"{left}: {before}, then {before} + {part} = {after}."


def hook_sentence(card: Card, graph: Graph, parts: list[ndarray]) -> str:
    """What a hook makes of the gradient when its last contribution has arrived."""
    if card.before_hooks is None or card.gradient is None or len(parts) < len(card.contributions()):
        return ""
    before, after = format_value(card.before_hooks, graph.precision), format_value(card.gradient, graph.precision)
    return f"A hook changes it: {before} → {after}."


def own_sentence(card: Card, graph: Graph, parts: list[ndarray]) -> str:
    """The verdict on its `.grad`, if that is shown, when its last contribution has arrived."""
    verdict = graph.verdicts.get(card)
    if verdict is None or len(parts) < len(card.contributions()):
        return ""
    shown = verdict.own if verdict.status == "wrong" else None
    own = "" if shown is None else f", {format_value(shown, graph.precision)},"
    text = f"The .grad of {shorten(card.name, SHORT)}{own} is {verdict.status}"
    return f"{text}: {verdict.hint}." if verdict.hint else f"{text}."
