"""The labels of nodes and wires, in Graphviz's HTML-like notation.

A picture must not jump when a lecture goes from the forward to the backward pass, and Graphviz places nodes by the
sizes of their labels. So every label is the same in all modes: what a mode does not show is in transparent ink.

Cells that change while the graph is played have ids: that of the node, followed by "-value", "-gradient" or "-sum"; for
the norms of gradients in a folded module, by "-norm" and "-norm-t3".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.formulas import RuleCall, local_formula, role, symbol, vjp_formula
from tinygrad_edu.draw.algebra.terms import break_lines
from tinygrad_edu.draw.names import shorten
from tinygrad_edu.draw.numbers import (
    Number,
    format_count,
    format_number,
    format_product,
    format_shape,
    format_statistics,
    format_sum,
    gradient_norm,
)
from tinygrad_edu.draw.picture.fold import Item, Link
from tinygrad_edu.draw.picture.svg import label_text
from tinygrad_edu.draw.record import Card, Wire
from tinygrad_edu.draw.theme import Theme, heat, palette

__all__ = [
    "Look", "PictureMode", "bordered", "cell", "edge_strip", "font", "gate_label", "node_label", "rule_call",
    "shown_output", "symbol_of", "table", "wire_label", "wire_rule",
]  # fmt: skip

PictureMode = Literal["forward", "backward", "both"]

CELLS = 8  # of a heat map, along each axis
LINE = 24  # of a formula on a wire


@dataclass(frozen=True)
class Look:
    """How a picture is drawn."""

    mode: PictureMode
    theme: Theme
    precision: int  # significant digits
    output: str  # its name
    heat_maps: bool = True  # whether large tensors have one
    failed: bool = False  # whether the forward pass failed, and there is no output
    backward: bool = True  # whether there was a backward pass

    def __getitem__(self, part: str) -> str:
        """A colour; transparent where the mode does not show the backward pass."""
        return "transparent" if self.mode == "forward" and part.startswith("gradient") else palette(self.theme)[part]

    def format(self, x: Number) -> str:
        return format_number(x, self.precision)


def font(text: str, colour: str, size: float = 11, style: str = "") -> str:
    """Text in a colour, its size in points; `style` is "B", "I" or nothing."""
    text = label_text(text) or " "
    text = f"<{style}>{text}</{style}>" if style else text
    return f'<FONT COLOR="{colour}" POINT-SIZE="{size:g}">{text}</FONT>'


def cell(content: str, attributes: str = "") -> str:
    return f"<TD {attributes}>{content}</TD>"


def table(rows: Sequence[Sequence[str]], padding: int = 0, attributes: str = "") -> str:
    """A table without borders; rows are made of cells."""
    opening = f"TABLE {attributes}".rstrip()
    lines = "".join([f"<TR>{''.join(row)}</TR>" for row in rows])
    return f'<{opening} BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}">{lines}</TABLE>'


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
    if card.op is not None and fused:
        text = symbol_of(card)
        size = 20 if len(text) == 1 else 13 if len(text) <= 5 else 10
        left = cell(font(text, look["op_text"], size, "B"), f'WIDTH="34" CELLPADDING="6" BGCOLOR="{look["op"]}"')
    else:
        left = edge_strip(look[card.kind] if card.op is None else look["rule"])
    right = [edge_strip(look["output"])] if is_output else []
    return bordered([left, cell(table(rows)), *right], look)


def bordered(cells: list[str], look: Look, colour: str = "rule", width: int = 1) -> str:
    return (
        f'<TABLE BORDER="{width}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0" COLOR="{look[colour]}" '
        f'BGCOLOR="{look["card"]}"><TR>{"".join(cells)}</TR></TABLE>'
    )


def edge_strip(colour: str) -> str:
    """A coloured edge, which says what kind of tensor it is."""
    return cell("", f'WIDTH="8" BGCOLOR="{colour}"')


def symbol_of(card: Card) -> str:
    assert card.op is not None
    return shorten(symbol(card.op, card.params, [wire.source.value for wire in card.wires]), 16)


def value_row(item: Item, label: str, value: ndarray, look: Look, part: str = "value") -> list[str]:
    """A tinted row: a label, and beside it one line of numbers or below it what needs more room."""
    ink = look[f"{part}_text"]
    words = cell(font(label, ink, 10), 'ALIGN="LEFT"')
    text, beside = array_cells(value, look, part)
    numbers = cell(text, f'ID="{item.id}-{part}" ALIGN="{"RIGHT" if beside else "LEFT"}"')
    content = table([[words, numbers]] if beside else [[words], [numbers]], 4)
    return [cell(content, f'BGCOLOR="{look[f"{part}_fill"]}"')]


def array_cells(value: ndarray, look: Look, part: str) -> tuple[str, bool]:
    """A number, a grid of up to 8 (at most 3 x 4), or a heat map with statistics; and whether that is one line."""
    ink = look[f"{part}_text"]
    if value.size == 1:
        return font(look.format(value), ink, 16, "B"), True
    if not value.size:
        return font("empty", ink, 10, "I"), True
    grid = value.reshape(-1, value.shape[-1])
    if value.ndim <= 2 and value.size <= 8 and grid.shape[0] <= 3 and grid.shape[1] <= 4:
        cells = [[cell(font(look.format(x), ink, 11), 'ALIGN="RIGHT"') for x in row] for row in grid]
        return table(cells, 3), len(grid) == 1
    if (value == value.flat[0]).all():
        return font(f"{look.format(value.flat[0])} everywhere", ink, 11), True
    words = " ".join(format_statistics(value, look.precision)).split()
    lines = [
        [cell(font(f"{name}\u2002", ink, 9), 'ALIGN="LEFT"'), cell(font(x, ink, 9, "B"), 'ALIGN="RIGHT"')]
        for name, x in zip(words[::2], words[1::2], strict=True)
    ]
    beside = [cell(heat_map(grid, look, part))] if look.heat_maps else []
    return table([[*beside, cell(table(lines, 1))]], 2), False


def heat_map(grid: ndarray, look: Look, part: str) -> str:
    """At most 8 x 8 cells, the means of blocks: blue below 0, orange above; what is not finite is highlighted."""
    means = blocks(grid)
    largest = np.abs(means[np.isfinite(means)]).max(initial=0) or 1.0
    hidden = look[f"{part}_text"] == "transparent"
    size = 7 if means.shape[1] > 2 else 9

    def square(x: float) -> str:
        colour = heat(x / largest, look.theme) if math.isfinite(x) else look["highlight"]
        colour = "transparent" if hidden else colour
        return cell("", f'WIDTH="{size}" HEIGHT="{size}" FIXEDSIZE="TRUE" BGCOLOR="{colour}"')

    high, wide = (n * size for n in means.shape)
    attributes = f'FIXEDSIZE="TRUE" WIDTH="{wide}" HEIGHT="{high}" ALIGN="LEFT"'
    return table([[square(x) for x in row] for row in means.tolist()], attributes=attributes)


def blocks(grid: ndarray) -> ndarray:
    """The means of at most 8 x 8 blocks of nearly equal size."""
    with np.errstate(all="ignore"):
        for axis in (0, 1):
            parts = np.array_split(grid, min(CELLS, grid.shape[axis]), axis)
            grid = np.stack([part.mean(axis, dtype=np.float64) for part in parts], axis)
    return grid


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
    return table([[cell(font(name, ink, 11, "B")), cell(font("shared", look["muted"], 9))]], 1)


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
    weights = [leaf for leaf in item.leaves if leaf.kind == "parameter"]
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
    return bordered([cell(table(rows))], look, "muted", 2)


def weight_rows(item: Item, weights: list[Card], shared: set[Card], look: Look) -> list[list[str]]:
    """The parameters of a folded module, or the first five and the last: name, shape, uses and norm of the gradient."""
    has_gradients = any(leaf.gradient is not None for leaf in weights)
    norm = font(f"‖∂{shorten(look.output, 12)}/∂·‖", look["gradient_text"], 9)
    lines = [[cell(""), cell(norm, f'ID="{item.id}-norm" ALIGN="RIGHT"')]] if has_gradients else []
    prefix = common_path([leaf.name for leaf in weights])
    for leaf in weights if len(weights) <= 6 else [*weights[:5], weights[-1]]:
        words = font(f"{shorten(leaf.name[len(prefix) :])} {format_shape(leaf.shape)}", look["parameter"], 10)
        if leaf in shared:
            words += font(f"  {format_count(len(leaf.uses), 'use')}", look["muted"], 9)
        text = "" if leaf.gradient is None else look.format(gradient_norm(leaf.gradient))
        number = cell(font(text, look["gradient_text"], 10, "B"), f'ID="{item.id}-norm-{leaf.id}" ALIGN="RIGHT"')
        lines.append([cell(words, 'ALIGN="LEFT"'), number])
    if len(weights) > 6:
        more = font(f"⋯ {len(weights) - 6:,} more", look["muted"], 10)
        lines.insert(-1, [cell(more, 'ALIGN="LEFT"'), cell("")])
    return lines


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
        lines = break_lines(shorten(wire_rule(wire), 2 * LINE, keep_start=True), LINE)
        return "<BR/>".join([font(line, look["gradient_text"], 11, "B") for line in lines])
    upstream = wire.target.gradient
    assert upstream is not None
    value, text = look.format(wire.local), local_formula(rule_call(wire))
    line = f"local: {value}" if text in ("", value) else f"local: {shorten(text, 32)} = {value}"
    muted = "transparent" if look.mode == "forward" else look["muted"]
    result = format_product(wire.local, upstream, look.precision)
    return f"{font(line, muted, 10)}<BR/>{font(result, look['gradient_text'], 12, 'B')}"


def wire_rule(wire: Wire) -> str:
    """What the rule hands back over a wire, as a formula."""
    return vjp_formula(rule_call(wire))


def rule_call(wire: Wire) -> RuleCall:
    """The call of the rule that hands a gradient back over a wire."""
    target = wire.target
    assert target.op is not None
    short, sources = shorten(target.name, 16), [other.source for other in target.wires]
    names = {"g": f"∂{short}", "out": short}
    for i, x in enumerate(sources):
        names[target.op.argument(i)] = format_number(x.value) if x.is_number else shorten(x.name, 16)
    values = [x.value for x in sources]
    return RuleCall(target.op, wire.position, names, values, target.value, target.params)
