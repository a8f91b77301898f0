"""The labels of nodes and wires, in Graphviz's HTML-like notation.

A picture must not jump when a lecture goes from the forward to the backward pass, and Graphviz places nodes by the
sizes of their labels. So every label is the same in all modes: what a mode does not show is in transparent ink.

Cells that change while the graph is played have ids: that of the node, followed by "-value", "-gradient" or "-sum"; for
the norms of gradients in a folded module, by "-norm" and "-norm-t3".
"""

from __future__ import annotations

import itertools
import textwrap

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.formulas import RuleCall, local_formula, role, symbol, vjp_formula
from tinygrad_edu.draw.algebra.terms import break_lines
from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import (
    format_count,
    format_number,
    format_product,
    format_shape,
    format_size,
    format_sum,
)
from tinygrad_edu.draw.picture.arrays import array_cells, kind_of
from tinygrad_edu.draw.picture.fold import Item, Link
from tinygrad_edu.draw.picture.markup import Look, bordered, cell, edge_strip, font, table
from tinygrad_edu.draw.record import Card, Wire
from tinygrad_edu.draw.verdict import Verdict, verdict_counts

__all__ = [
    "common_path", "gate_label", "inside_row", "node_label", "rule_call", "shown_output", "symbol_of",
    "weight_gradient", "wire_label", "wire_rule",
]  # fmt: skip

LINE, LOCAL = 24, 38  # characters of a line of a formula on a wire, and of a local derivative
LINES = 4  # of a formula
HINT = 34  # characters of a line about a wrong gradient


def node_label(item: Item, look: Look, fused: bool = True) -> str:
    """The label of any item. `fused` joins an op's symbol to its result."""
    card = item.cards[0]
    if item.kind == "chip":
        return chip_label(card, look)
    if item.folded:
        return folded_label(item, look)
    if card.is_number:
        return bordered([cell(font(look.format(card.value), look["value_text"], 14, "B"), 'CELLPADDING="5"')], look)
    is_output = not card.uses and not look.failed
    kind = {"parameter": "param", "op": ""}.get(card.kind, card.kind)
    words = filter(None, [kind, "output" if is_output else "", format_shape(card.shape)])
    name = cell(font(shorten(card.name), look["text"], 14, "B"), 'ALIGN="LEFT"')
    header = table([[name, cell(font("  ".join(words), look["muted"], 10), 'ALIGN="RIGHT"')]], 4)
    rows = [[cell(header)], value_row(item, "value", card.value, look)]
    if card.note:
        lines = [note_row(line, look["muted"]) for line in textwrap.wrap(printable(card.note), HINT)]
        rows.append([cell(table(lines), 'ALIGN="LEFT" CELLPADDING="4"')])
    if card.gradient is not None:
        label = f"∂{shorten(look.output, 12)}/∂{shorten(card.name, 16)}"
        if is_output and card.before_hooks is None:
            label += " (seed)"
        rows.append(value_row(item, label, card.gradient, look, "gradient"))
        if text := sum_text(card, look):
            style = f'ID="{item.id}-sum" ALIGN="RIGHT" CELLPADDING="4" BGCOLOR="{look["gradient_fill"]}"'
            rows.append([cell(font(text, look["gradient_text"], 10), style)])
    elif look.backward:
        note = "no gradient here" if card.needs_gradient else "no gradient needed"
        rows.append([cell(font(f"{note}\u2002", look["muted"], 10, "I"), 'ALIGN="LEFT" CELLPADDING="4"')])
    if card in look.verdicts:
        rows.append(own_row(item, look.verdicts[card], look))
    if card.op is not None and fused:
        text = symbol_of(card)
        size = 20 if len(text) == 1 else 13 if len(text) <= 5 else 10
        left = cell(font(text, look["op_text"], size, "B"), f'WIDTH="34" CELLPADDING="6" BGCOLOR="{look["op"]}"')
    else:
        left = edge_strip(look[card.kind] if card.op is None else look["rule"])
    right = [edge_strip(look["output"])] if is_output else []
    return bordered([left, cell(table(rows)), *right], look)


def symbol_of(card: Card) -> str:
    assert card.op is not None
    return shorten(symbol(card.op, card.params, [x.value for x in card.operands]), 16)


def value_row(item: Item, label: str, value: ndarray, look: Look, part: str = "value") -> list[str]:
    """A tinted row: a label, and beside it one line of numbers or below it what needs more room."""
    kind = kind_of(value, part)
    ink, ground = look.tint(kind)
    words = cell(font(label, ink, 10), 'ALIGN="LEFT"')
    text, beside = array_cells(value, look, kind)
    numbers = cell(text, f'ID="{item.id}-{part}" ALIGN="{"RIGHT" if beside else "LEFT"}"')
    content = table([[words, numbers]] if beside else [[words], [numbers]], 4)
    return [cell(content, f'BGCOLOR="{ground}"')]


def own_row(item: Item, verdict: Verdict, look: Look) -> list[str]:
    """What stands in `.grad`, marked; all of it if it is wrong, with what went wrong."""
    part = "wrong" if verdict.status == "wrong" else "gradient"
    ink, ground = look.tint(part)
    own, beside = "not set" if verdict.own is None else "the same", True
    text = font("" if verdict.hint and verdict.own is None else own, ink, 10)
    if verdict.own is not None and (verdict.status == "wrong" or verdict.own.size == 1):
        text, beside = array_cells(verdict.own, look, part)
    words = cell(font(f"{verdict.mark} .grad", ink, 10, "B"), 'ALIGN="LEFT"')
    number = cell(text, f'ALIGN="{"RIGHT" if beside else "LEFT"}"')
    rows = [[cell(table([[words, number]] if beside else [[words], [number]], 4))]]
    notes = filter(None, [verdict.hint, verdict.difference(look.precision)])
    if lines := [note_row(line, ink) for note in notes for line in textwrap.wrap(note, HINT)]:
        rows.append([cell(table(lines), 'CELLPADDING="4"')])
    return [cell(table(rows), f'ID="{item.id}-own" BGCOLOR="{ground}"')]


def note_row(text: str, ink: str) -> list[str]:
    return [cell(font(f"{text}\u2002", ink, 10), 'ALIGN="LEFT"')]


def sum_text(card: Card, look: Look) -> str:
    """How a gradient adds up: "Σ 3 + 3", "Σ of 5 paths = 15, hook → 150", "seed 1, hook → 3", "1 path, then a hook"."""
    parts = [wire.contribution for wire in card.uses if wire.contribution is not None]
    single = card.value.size == 1
    if len(parts) > 1:
        text = f"Σ {format_sum(parts, look.precision)}" if single and len(parts) <= 4 else f"Σ of {len(parts):,} paths"
    elif card.before_hooks is None:
        return ""
    elif single:
        text = look.format(parts[0]) if parts else f"seed {look.format(card.before_hooks)}"
    else:
        text = "1 path" if parts else "seed"
    if card.before_hooks is None:
        return text
    if not single:
        return f"{text}, then a hook"
    assert card.gradient is not None
    if len(parts) > 1:
        text += f" = {look.format(card.before_hooks)}"
    return f"{text}, hook → {look.format(card.gradient)}"


def chip_label(card: Card, look: Look) -> str:
    ink = look["parameter"] if card.kind == "parameter" else look["text"]
    name = look.format(card.value) if card.is_number else shorten(card.name)
    return table([[cell(font(name, ink, 11, "B")), cell(font("shared", look["muted"], 10))]], 1)


def gate_label(card: Card, look: Look) -> str:
    """The gate of a small graph: its symbol and what it does with gradients."""
    assert card.op is not None
    ink = look["op_text"]
    text, words = font(symbol_of(card), ink, 20, "B"), role(card.op)
    if words:
        text += f"<BR/>{font(words, 'transparent' if look.mode == 'forward' else ink, 10)}"
    return text


def folded_label(item: Item, look: Look) -> str:
    """Title, number of ops and weights, parameters with the norms of their gradients, value and gradient."""
    weights = item.weights
    own = set(item.cards)
    shared = {leaf for leaf in weights if any(wire.target not in own for wire in leaf.uses)}
    rows = [[cell(font(f"{shorten(item.title, 40)}\u2002", look["text"], 14, "B"), 'ALIGN="LEFT" CELLPADDING="4"')]]
    counts = [item.op_count] if item.ops else []
    if weights:
        size = sum(leaf.value.size for leaf in weights)
        counts.append(format_count(size, "shared weight" if shared else "weight"))
    if counts:
        rows.append([cell(font(", ".join(counts), look["muted"], 10), 'ALIGN="LEFT" CELLPADDING="4"')])
    if weights and item.kind == "module":
        lines = weight_rows(item, weights, shared, look)
        rows.append([cell(table(lines, 4), f'BGCOLOR="{look["cluster2"]}"')])
    name, value, gradient = shown_output(item)
    if value is not None:
        rows.append(value_row(item, f"{name} {format_shape(value.shape)}".rstrip(), value, look))
    if gradient is not None:
        rows.append(value_row(item, f"∂{shorten(look.output, 12)}/∂{name}", gradient, look, "gradient"))
    rows += inside_row(item, look)
    return bordered([cell(table(rows))], look, "muted", 2)


def inside_row(item: Item, look: Look) -> list[list[str]]:
    """How many gradients within a folded item are right and wrong, and the names of the wrong ones."""
    inside = {card: look.verdicts[card] for card in item.cards if card in look.verdicts}
    if not inside:
        return []
    wrong = [shorten(card.name, 16) for card, verdict in inside.items() if verdict.status == "wrong"]
    ink, ground = look.tint("wrong" if wrong else "gradient")
    notes = [f".grad {verdict_counts(list(inside.values()))}"]
    if wrong:
        notes.append(f"wrong: {', '.join(wrong[:4])}{' …' if len(wrong) > 4 else ''}")
    lines = [line for note in notes for line in textwrap.wrap(note, HINT)]
    text = table([note_row(line, ink) for line in lines])
    return [[cell(text, f'ID="{item.id}-own" CELLPADDING="4" BGCOLOR="{ground}"')]]


def weight_rows(item: Item, weights: list[Card], shared: set[Card], look: Look) -> list[list[str]]:
    """The parameters of a folded module, or the first five and the last: name, shape, uses and gradient or its norm."""
    prefix = common_path([leaf.name for leaf in weights])
    gradients = [leaf.gradient for leaf in weights if leaf.gradient is not None]
    heading = f"∂{shorten(look.output, 12)}/∂·" if gradients else ""
    only_norms = all(gradient.size != 1 for gradient in gradients)  # else each says whether it is one
    if gradients and only_norms:
        heading = f"‖{heading}‖"
    words = cell(font(heading, look["gradient_text"], 9), f'ID="{item.id}-norm" ALIGN="RIGHT"')
    lines = [[cell(""), words]] if gradients else []
    for leaf in weights if len(weights) <= 6 else [*weights[:5], weights[-1]]:
        words = font(f"{shorten(leaf.name[len(prefix) :])} {format_shape(leaf.shape)}", look["parameter"], 10)
        if leaf in shared:
            words += font(f"  {format_count(len(leaf.uses), 'use')}", look["muted"], 9)
        text = weight_gradient(leaf, look)
        text = text.removeprefix("‖·‖ ") if only_norms else text
        number = cell(font(text, look["gradient_text"], 10, "B"), f'ID="{item.id}-norm-{leaf.id}" ALIGN="RIGHT"')
        lines.append([cell(words, 'ALIGN="LEFT"'), number])
    if len(weights) > 6:
        more = font(f"⋯ {len(weights) - 6:,} more", look["muted"], 10)
        lines.insert(-1, [cell(more, 'ALIGN="LEFT"'), cell("")])
    return lines


def weight_gradient(leaf: Card, look: Look) -> str:
    """The gradient of a parameter, or its norm, and the verdict on `.grad`: "‖·‖ 0.538 ✓", "−4 ✗ 4"."""
    text = "" if leaf.gradient is None else format_size(leaf.gradient, look.precision)
    if (verdict := look.verdicts.get(leaf)) is None:
        return text
    own = verdict.own if verdict.status == "wrong" else None
    return f"{text} {verdict.mark}" + ("" if own is None or own.size != 1 else f" {look.format(own)}")


def common_path(names: list[str]) -> str:
    """What all dotted names begin with: "net.0." for net.0.weight and net.0.bias."""
    levels = zip(*[name.split(".")[:-1] for name in names], strict=False)
    return "".join(f"{level[0]}." for level in itertools.takewhile(lambda level: len(set(level)) == 1, levels))


def shown_output(item: Item) -> tuple[str, ndarray | None, ndarray | None]:
    """Name, value and gradient of what comes out of a folded item; several alike results are stacked."""
    if not item.outputs:
        return "", None, None
    alike = [card for card in item.outputs if card.shape == item.outputs[-1].shape]
    if len(item.outputs) == 1 or len(alike) < len(item.outputs):
        card = item.outputs[-1]
        return shorten(card.name, 16), card.value, card.gradient
    gradients = [card.gradient for card in alike if card.gradient is not None]
    gradient = np.stack(gradients) if len(gradients) == len(alike) else None
    return f"{len(alike)} {'results' if item.ops else 'values'}", np.stack([card.value for card in alike]), gradient


def wire_label(link: Link, look: Look) -> str:
    """Local derivative and contribution of a wire between numbers; the rule as a formula between tensors; else ""."""
    wire = link.wires[0]
    if wire.contribution is None or not link.single:
        return ""
    if wire.local is None:
        lines = formula_lines(wire_rule(wire), LINE)
        return "<BR/>".join([font(line, look["gradient_text"], 11, "B") for line in lines])
    upstream = wire.target.gradient
    assert upstream is not None
    value, text = look.format(wire.local), local_formula(rule_call(wire))
    lines = [f"local: {value}"]
    if text not in ("", value):
        lines = formula_lines(f"local: {text}", LOCAL)
        lines[-1] += f" = {value}"
    muted = "transparent" if look.mode == "forward" else look["muted"]
    words = [font(line, muted, 10) for line in lines]
    result = format_product(wire.local, upstream, look.precision)
    return "<BR/>".join([*words, font(result, look["gradient_text"], 12, "B")])


def formula_lines(formula: str, width: int) -> list[str]:
    """A formula in at most LINES lines; of a longer one the end is cut, and of what cannot be broken too."""
    lines = break_lines(printable(formula), width)
    if len(lines) > LINES:
        lines[LINES - 1 :] = [f"{lines[LINES - 1]} …"]
    return [shorten(line, 2 * width, keep_start=True) for line in lines]


def wire_rule(wire: Wire) -> str:
    """What the rule hands back over a wire, as a formula."""
    return vjp_formula(rule_call(wire))


def rule_call(wire: Wire) -> RuleCall:
    """The call of the rule that hands a gradient back over a wire."""
    target = wire.target
    assert target.op is not None
    short, sources = shorten(target.name, 16), target.operands
    names = {"g": f"∂{short}", "out": short}
    for i, x in enumerate(sources):
        names[target.op.argument(i)] = format_number(x.value) if x.is_number else shorten(x.name, 16)
    values = [x.value for x in sources]
    return RuleCall(target.op, wire.position, names, values, target.value, target.params)
