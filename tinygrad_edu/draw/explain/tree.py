"""A graph as an indented tree, for a terminal.

A graph is not a tree: a tensor that is used twice would be written twice, with everything below it, and that doubles at
every level:

    for _ in range(40):
        x = x + x               # 41 tensors, 2 ** 40 ways down from the last to the first

So a tensor is expanded where it is first met, and is a reference from then on. Depth and number of lines are limited;
tensors beyond are only counted.
"""

from __future__ import annotations

from tinygrad_edu.draw.algebra.captions import symbol
from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import format_array, format_number, format_shape
from tinygrad_edu.draw.record import Card, Record, Scope

__all__ = ["tree"]

LINES = 200  # of a tree


def tree(found: Record, precision: int = 3, width: int = 100) -> str:
    """The graph as an indented tree, the output first and operands below their result.

    Args:
        found: The record, its cards named.
        precision: Significant digits.
        width: Columns of the terminal. Of a longer line the last entries are left out, "…"; no number is cut.

    Returns:
        One line for each tensor or constant: name, shape, what made it, value, gradient. A tensor that is met again is
        a reference, "↑ q, above". At most about LINES lines and width / 8 levels; the rest is counted, "⋯ 4970 more".
    """
    lines: list[str] = []
    seen: set[Card] = set()
    deepest = max(4, width // 8)
    # (card, what stands before its branch, the branch, the scope of its consumer)
    waiting: list[tuple[Card, str, str, Scope | None]] = [(found.output, "", "", None)]
    while waiting and len(lines) < LINES:
        card, margin, branch, outer = waiting.pop()
        if card in seen:
            name = shorten(card.name, width - len(f"{margin}{branch}↑ , above"), keep_start=True)
            lines.append(f"{margin}{branch}↑ {name}, above")
            continue
        below = margin + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        if len(below) >= 3 * deepest and card.op is not None:
            lines.append(f"{margin}{branch}{more_line(count_unseen([card], seen))}")
            continue
        seen.add(card)
        lines.append(f"{margin}{branch}{tree_line(card, outer, precision, width - len(margin + branch))}")
        operands = [wire.source for wire in card.wires]
        branches = ["├─ "] * (len(operands) - 1) + ["└─ "]
        waiting += [(x, below, b, card.scope) for x, b in zip(reversed(operands), reversed(branches), strict=False)]
    if hidden := count_unseen([card for card, *_ in waiting], seen):
        lines.append(more_line(hidden))
    return "\n".join(lines)


def count_unseen(cards: list[Card], seen: set[Card]) -> int:
    """How many tensors can be reached that have not been seen; they are from then on."""
    count, waiting = 0, cards
    while waiting:
        card = waiting.pop()
        if card not in seen:
            seen.add(card)
            count += 1
            waiting += [wire.source for wire in card.wires]
    return count


def more_line(count: int) -> str:
    """What stands for tensors that are not shown."""
    return f"⋯ {count} more" if count else "⋯ shown above"


def tree_line(card: Card, outer: Scope | None, precision: int, room: int) -> str:
    """A card in one line; its scope too where the scope begins."""
    if card.is_number:
        return format_number(card.value, precision)
    for brief in range(3):
        parts = line_entries(card, outer, precision, brief)
        if len("  ".join(parts)) <= room:
            break
    text = "  ".join(parts)
    while len(parts) > 1 and len(text) > room:
        parts.pop()
        text = "  ".join([*parts, "…"])
    return text if len(text) <= room else shorten(f"{card.name}…", room, keep_start=True)


def line_entries(card: Card, outer: Scope | None, precision: int, brief: int) -> list[str]:
    """What a line says, the most important first."""
    what = symbol(card.op, card.params, [w.source.value for w in card.wires]) if card.op is not None else card.kind
    parts = [f"{printable(card.name)} {format_shape(card.shape)}".rstrip(), what]
    parts.append(f"= {format_array(card.value, precision, brief)}")
    if card.gradient is not None:
        before = card.before_hooks
        hooked = "" if before is None else f"{format_array(before, precision, brief)}, hook → "
        parts.append(f"gradient {hooked}{format_array(card.gradient, precision, brief)}")
    elif not card.needs_gradient and card.kind != "data":
        parts.append("no gradient needed")
    if card.scope is not None and card.scope is not outer:
        parts.append(f"in {scope_path(card.scope)}")
    return parts


def scope_path(scope: Scope) -> str:
    """Where a card was made: "net.fc1, Linear(2, 3)"."""
    return ", ".join(filter(None, [".".join([step.name for step in scope.path() if step.name]), scope.label]))
