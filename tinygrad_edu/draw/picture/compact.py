"""Nodes of a line or two, for what is too large to be drawn with all its numbers and formulas."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.names import shorten
from tinygrad_edu.draw.numbers import format_array, format_count, format_shape, format_size
from tinygrad_edu.draw.picture.arrays import kind_of
from tinygrad_edu.draw.picture.cards import common_path, inside_row, shown_output, symbol_of, weight_gradient
from tinygrad_edu.draw.picture.fold import Item
from tinygrad_edu.draw.picture.markup import Look, bordered, cell, edge_strip, font, table
from tinygrad_edu.draw.verdict import verdict_text

__all__ = ["compact_label"]

FEW = 4  # numbers that stand on one line
LISTED = 4  # parameters that a node lists
THIN = "\u2009"  # space between a text and the edge of its cell


def compact_label(item: Item, look: Look, title: str) -> str:
    """[symbol] name title [shape] value gradient, and below it the parameters.

    `title` is that of the module call that the item is all of, if there is one.
    """
    card = item.cards[-1]
    if item.folded:
        left, name, words = list[str](), shorten(item.title, 40), [counts(item)]
        _, value, gradient = shown_output(item)
    elif card.is_number:
        return bordered([cell(font(look.format(card.value), look["value_text"], 12, "B"))], look, padding=3)
    else:
        name, words = shorten(card.name), [shorten(title, 40), format_shape(card.shape)]
        value, gradient = card.value, card.gradient
        left = [edge_strip(look[card.kind])]
        if card.op is not None:
            text = symbol_of(card)
            symbol = font(text, look["op_text"], 14 if len(text) == 1 else 10, "B")
            left = [cell(symbol, f'CELLPADDING="3" BGCOLOR="{look["op"]}"')]
    cells = [cell(font(f"{THIN}{name}{THIN}", look["text"], 12, "B"), 'ALIGN="LEFT"')]
    cells += [cell(font(text, look["muted"], 10)) for text in words if text]
    cells += number_cells(item, value, gradient, look)
    if not item.folded and (verdict := look.verdicts.get(card)) is not None:
        part = "wrong" if verdict.status == "wrong" else "gradient"
        cells.append(number_cell(f"{item.id}-own", verdict_text(verdict, look.precision, 1), look, part))
    right = [] if item.folded or card.uses or look.failed else [edge_strip(look["output"])]
    lines = [[cell(table([cells], 2), 'ALIGN="LEFT"')]]
    if item.weights and not item.folded:
        lines.append([cell(table(weight_lines(item, look), 1), 'ALIGN="LEFT"')])
    if card.note and not item.folded:
        lines.append([cell(font(THIN + card.note, look["muted"], 10, "I"), 'ALIGN="LEFT"')])
    lines += inside_row(item, look) if item.folded else []
    inside = cell(table(lines)) if len(lines) > 1 else lines[0][0]
    return bordered([*left, inside, *right], look, *(("muted", 2) if item.folded else ("rule", 1)))


def number_cells(item: Item, value: ndarray | None, gradient: ndarray | None, look: Look) -> list[str]:
    """A few numbers, or of a gradient its norm; of other values only that some are not finite."""
    cells = []
    few = value is not None and (value.size == 1 or (value.ndim == 1 and value.size <= FEW and not item.folded))
    if value is not None:
        kind = kind_of(value, "value", value.size)
        text = format_array(value, look.precision) if few else odd_text(value)
        if text:
            cells.append(number_cell(f"{item.id}-value", text, look, kind))
    if gradient is not None:
        text = (format_array if few else format_size)(gradient, look.precision)
        cells.append(number_cell(f"{item.id}-gradient", text, look, kind_of(gradient, "gradient", gradient.size)))
    return cells


def odd_text(value: ndarray) -> str:
    """Which numbers of an array are not finite: "NaN", "∞", "NaN, ∞"; "" if all are finite."""
    kinds = (("NaN", np.isnan(value)), ("∞", np.isinf(value)))
    return ", ".join([name for name, found in kinds if found.any()])


def number_cell(id: str, text: str, look: Look, part: str) -> str:
    ink, ground = look.tint(part)
    return cell(font(text, ink, 11, "B"), f'ID="{id}" BGCOLOR="{ground}"')


def weight_lines(item: Item, look: Look) -> list[list[str]]:
    """The parameters of an op: name and shape, and where it is used first the gradient or its norm.

    They stand on one line, but for gradients of one's own that are wrong: then each has a line, with what went wrong.
    """
    weights, own = item.weights, set(item.cards)
    prefix = common_path([leaf.name for leaf in weights]) if len(weights) > 1 else weights[0].name.rpartition(".")[0]
    groups, any_wrong = list[list[str]](), False
    for leaf in weights[:LISTED]:
        words = shorten(leaf.name[len(prefix) :].lstrip("."), 16)
        shape = f" {format_shape(leaf.shape)}" if leaf in own and leaf.shape else ""
        groups.append([cell(font(THIN + words + shape, look["parameter"], 10), 'ALIGN="LEFT"')])
        if leaf in own and (text := weight_gradient(leaf, look)):
            verdict = look.verdicts.get(leaf)
            ink, ground = look["gradient_text"], look["card"]
            if verdict is not None and verdict.status == "wrong" and leaf.gradient is not None:
                any_wrong, (ink, ground) = True, look.tint("wrong")
                text = f"{format_size(leaf.gradient, look.precision)} {verdict_text(verdict, look.precision, 1)}"
            style = f'ID="{item.id}-norm-{leaf.id}" ALIGN="LEFT" BGCOLOR="{ground}"'
            groups[-1].append(cell(font(text, ink, 10), style))
    if len(weights) > LISTED:
        groups.append([cell(font(f"⋯ {len(weights) - LISTED:,} more", look["muted"], 10))])
    return groups if any_wrong else [[text for group in groups for text in group]]


def counts(item: Item) -> str:
    """How many ops and weights a folded item stands for."""
    size = sum(leaf.value.size for leaf in item.weights)
    return ", ".join([item.op_count] * bool(item.ops) + [format_count(size, "weight")] * bool(size))
