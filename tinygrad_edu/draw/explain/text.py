"""A graph in words: an indented tree for a terminal, a paragraph for a screen reader.

The hard idea is that a graph is no tree. A tensor that is used twice would be written twice with everything below it,
and that doubles at every level:

    for _ in range(40):
        x = x + x               # 41 tensors, 2 ** 40 ways down from the last to the first

So a tensor is expanded where it is first met, and is a reference from then on; and both the depth and the number of
lines have a limit, beyond which tensors are only counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.algebra.formulas import symbol
from tinygrad_edu.draw.numbers import MINUS, mean, number, shape_text, statistics
from tinygrad_edu.draw.picture.cards import length, printable
from tinygrad_edu.draw.record import Card, Record, Scope

SMALL = 8  # elements that are printed one by one
LINES = 200  # of a tree
FEW = 4  # elements that are said one by one, or stand in an equation
STEPS = 12  # ops that alt_text goes through one by one

PHRASES = {
    "add": "{} plus {}",
    "subtract": "{} minus {}",
    "multiply": "{} times {}",
    "divide": "{} divided by {}",
    "power": "{} to the power {}",
    "negative": "the negative of {}",
    "matmul": "the matrix product of {} and {}",
    "maximum": "the larger of {} and {}",
    "minimum": "the smaller of {} and {}",
    "max": "the largest element of {}",
    "min": "the smallest element of {}",
    "relu": "the ReLU of {}",
    "sqrt": "the square root of {}",
    "exp": "e to the power {}",
    "log": "the natural logarithm of {}",
    "abs": "the absolute value of {}",
    "getitem": "an element or a part of {}",
}


def array_text(array: ndarray, precision: int = 3, brief: int = 0) -> str:
    """A small array in full, "[[1, 2], [0, 4]]"; of a larger one "0 everywhere", or mean, deviation and extremes.

    In brief (1) all arrays are large, and there are no extremes; more briefly (2), no deviation.
    """
    if array.size > (1 if brief else SMALL):
        if (array == array.flat[0]).all():
            return f"{number(array.flat[0], precision)} everywhere"
        spread, extremes = statistics(array, precision)
        texts = f"{spread}, {extremes}", spread, spread.partition(" std ")[0]
        return texts[brief] if spread else extremes
    return nested(array.tolist(), precision)


def nested(values: Any, precision: int, latex: bool = False) -> str:
    """Nested lists of numbers in brackets."""
    if isinstance(values, list):
        return f"[{', '.join([nested(value, precision, latex) for value in values])}]"
    return number(values, precision, latex)


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
            name = clipped(printable(card.name), width - len(f"{margin}{branch}↑ , above"))
            lines.append(f"{margin}{branch}↑ {name}, above")
            continue
        below = margin + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        if len(below) >= 3 * deepest and card.op is not None:
            lines.append(f"{margin}{branch}{more(unseen([card], seen))}")
            continue
        seen.add(card)
        lines.append(f"{margin}{branch}{line(card, outer, precision, width - len(margin + branch))}")
        operands = [wire.source for wire in card.wires]
        branches = ["├─ "] * (len(operands) - 1) + ["└─ "]
        waiting += [(x, below, b, card.scope) for x, b in zip(reversed(operands), reversed(branches), strict=False)]
    if hidden := unseen([card for card, *_ in waiting], seen):
        lines.append(more(hidden))
    return "\n".join(lines)


def unseen(cards: list[Card], seen: set[Card]) -> int:
    """How many tensors can be reached that have not been seen; they are from then on."""
    count, waiting = 0, cards
    while waiting:
        card = waiting.pop()
        if card not in seen:
            seen.add(card)
            count += 1
            waiting += [wire.source for wire in card.wires]
    return count


def more(count: int) -> str:
    """What stands for tensors that are not shown."""
    return f"⋯ {count} more" if count else "⋯ shown above"


def line(card: Card, outer: Scope | None, precision: int, room: int) -> str:
    """A card in one line; its scope too where the scope begins."""
    if card.is_number:
        return number(card.value, precision)
    for brief in range(3):
        parts = entries(card, outer, precision, brief)
        if len("  ".join(parts)) <= room:
            break
    whole = len(parts)
    while len(parts) > 1 and len("  ".join([*parts, "…"][:whole])) > room:
        parts.pop()
    text = "  ".join([*parts, "…"][:whole])
    return text if len(text) <= room else clipped(f"{printable(card.name)}…", room)


def entries(card: Card, outer: Scope | None, precision: int, brief: int) -> list[str]:
    """What a line says, the most important first."""
    what = symbol(card.op, card.params, [w.source.value for w in card.wires]) if card.op is not None else card.kind
    parts = [f"{printable(card.name)} {shape_text(card.shape)}".rstrip(), what]
    parts.append(f"= {array_text(card.value, precision, brief)}")
    if card.gradient is not None:
        before = card.before_hooks
        hooked = "" if before is None else f"{array_text(before, precision, brief)}, hook → "
        parts.append(f"gradient {hooked}{array_text(card.gradient, precision, brief)}")
    elif not card.needs_gradient and card.kind != "data":
        parts.append("no gradient needed")
    if card.scope is not None and card.scope is not outer:
        parts.append(f"in {scope_path(card.scope)}")
    return parts


def clipped(name: str, room: int) -> str:
    """A name, cut if it is too long; unlike a number it is still true then."""
    return name if len(name) <= room else name[: max(room - 1, 0)] + "…"


def scope_path(scope: Scope) -> str:
    """Where a card was made: "net.fc1, Linear(2, 3)"."""
    return ", ".join(filter(None, [".".join([step.name for step in scope.path() if step.name]), scope.label]))


def alt_text(found: Record, title: str | None = None) -> str:
    """The picture in words, for those who hear it: one paragraph of whole sentences.

    Args:
        found: The record, its cards named.
        title: The title of the picture, if it has one.

    Returns:
        What is computed, with values, then the backward pass in the order in which it ran, with what each op hands to
        its operands and the gradients of the leaves. Beyond STEPS ops a summary. Minus signs, powers of ten and the
        like are written out.
    """
    ops = [card for card in found.cards if card.op is not None]
    leaves = [card for card in found.cards if card.op is None and not card.is_number]
    sentences = [f"{spoken(title)}" if title else "", opening(found.output, ops, leaves)]
    if len(ops) > STEPS:
        sentences += summary(found, ops, leaves)
    else:
        sentences += [f"{spoken(card.name)} is {called(card)}, which is {amount(card.value)}" for card in ops]
        sentences += backward_sentences(found)
        unneeding = [spoken(card.name) for card in leaves if not card.needs_gradient]
        sentences += [f"{listed(unneeding)} need{'' if len(unneeding) > 1 else 's'} no gradient"] if unneeding else []
    return " ".join([sentence + "." for sentence in sentences if sentence])


def opening(output: Card, ops: list[Card], leaves: list[Card]) -> str:
    """What is computed from what."""
    if not ops:
        return f"{spoken(output.name)} is a single tensor, {described(output)}, which no operation made"
    sources = [f"{spoken(card.name)}, {described(card)}" for card in leaves if card is not output]
    if len(sources) > SMALL:
        sources = [f"{len(sources)} tensors"]
    from_what = f" from {listed(sources, '; ')}" if sources else ""
    steps = "1 operation" if len(ops) == 1 else f"{len(ops)} operations"
    return f"The graph computes {spoken(output.name)} in {steps}{from_what}"


def described(card: Card) -> str:
    """Its kind and its value: "input, 3", "parameter of shape 4 by 2"."""
    if card.value.size <= FEW:
        return f"{card.kind} {amount(card.value)}"
    return f"{card.kind} of shape {' by '.join(map(str, card.shape))}"


def called(card: Card) -> str:
    """An op and its operands."""
    assert card.op is not None
    sources = [wire.source for wire in card.wires]
    operands = [amount(x.value) if x.is_number else spoken(x.name) for x in sources]
    phrase, axis = PHRASES.get(card.op.name, ""), card.params.get("axis")
    axes = [said(k) for k in np.atleast_1d(() if axis is None else axis)]
    along = f" along ax{'i' if len(axes) == 1 else 'e'}s {listed(axes)}" if axes else ""
    if phrase.count("{}") == len(operands):
        return phrase.format(*operands) + along
    return f"{spoken(card.op.name)} of {listed(operands)}{along}"


def backward_sentences(found: Record) -> list[str]:
    """The backward pass, op by op, and the sums where a tensor is used more than once."""
    if found.seed is None:
        return [] if found.output.needs_gradient else ["Nothing here needs a gradient"]
    start = f"The backward pass starts at {spoken(found.output.name)} with {amount(found.seed)}"
    sentences = [start + changed(found.output)]
    by_target: dict[Card, list[str]] = {}
    for wire in found.backward:
        assert wire.contribution is not None
        part = f"{amount(wire.contribution)} to {spoken(wire.source.name)}"
        by_target.setdefault(wire.target, []).append(part)
    sentences += [f"{spoken(target.name)} hands back {listed(parts)}" for target, parts in by_target.items()]
    for card in found.cards:
        parts = [amount(wire.contribution) for wire in card.contributions() if wire.contribution is not None]
        before = card.before_hooks
        if card.gradient is not None and (card.op is None or len(parts) > 1 or (before is not None and parts)):
            added = f", the sum of {listed(parts)}" if len(parts) > 1 and card.value.size == 1 else ""
            arrived = amount(card.gradient if before is None else before)
            sentences.append(f"The gradient of {spoken(card.name)} is {arrived}{added}{changed(card)}")
    return sentences


def changed(card: Card) -> str:
    """What a hook makes of the gradient that arrives, after a comma; "" if there is none."""
    if card.gradient is None or card.before_hooks is None:
        return ""
    return f", which a hook changes to {amount(card.gradient)}"


def summary(found: Record, ops: list[Card], leaves: list[Card]) -> list[str]:
    """A large graph: how often each op stands in it, the output, and the gradients of the first parameters."""
    counts = Counter(spoken(card.op.name) for card in ops if card.op is not None)
    kinds = [f"{count} times {name}" if count > 1 else f"once {name}" for name, count in counts.most_common(SMALL)]
    if len(counts) > SMALL:
        kinds.append(f"{len(counts) - SMALL} other kinds of operations")
    sentences = [f"It uses {listed(kinds)}", f"{spoken(found.output.name)} is {amount(found.output.value)}"]
    needing = [card for card in leaves if card.gradient is not None]
    if found.backward:
        sentences.append(
            f"The backward pass takes {len(found.backward)} steps, from the output to {len(needing)} leaves"
        )
    for card in needing[:SMALL]:
        assert card.gradient is not None
        text = amount(card.gradient) if card.gradient.size == 1 else f"of norm {said(length(card.gradient))}"
        sentences.append(f"The gradient of {spoken(card.name)} is {text}")
    if len(needing) > SMALL:
        sentences.append(f"{len(needing) - SMALL} more leaves have gradients")
    hooked = sum(card.before_hooks is not None for card in found.cards)
    if hooked:
        which = f"Hooks change {hooked} of the gradients" if hooked > 1 else "A hook changes a gradient"
        sentences.append(f"{which} on the way")
    return sentences


def amount(array: ndarray) -> str:
    """A small array as numbers, row by row; a larger one by shape and mean."""
    if array.size == 1:
        return said(array)
    shape = " by ".join(map(str, array.shape))
    if not array.size:
        return f"an empty array of shape {shape}"
    if array.size > FEW:
        with np.errstate(all="ignore"):
            return f"an array of shape {shape} with mean {aloud(mean(array))}"
    rows = array.reshape(-1, array.shape[-1])
    return "; ".join([listed([said(x) for x in row]) for row in rows])


def said(x: Any) -> str:
    """A number as it is said: "minus 12", "1.2 times 10 to the minus 5"."""
    return aloud(number(x))


def aloud(text: str) -> str:
    """A printed number as it is said."""
    text = text.replace("≈", "about ").replace("∞", "infinity").replace("NaN", "not a number")
    mantissa, found, exponent = text.partition("e") if re.search(r"\de", text) else (text, "", "")
    text = f"{mantissa} times 10 to the power {exponent}" if found else text
    return text.replace(MINUS, "minus ")


def spoken(name: str) -> str:
    """A name without the signs that are read out one by one, "weights 0" for "weights[0]"; of signs alone, theirs."""
    words = " ".join(re.sub(r"[^\w\s.,'-]|_", " ", name).split())
    return words or " and ".join([unicodedata.name(c, "").lower() for c in name if c.isprintable()][:3]) or "unnamed"


def listed(parts: list[str], comma: str = ", ") -> str:
    """Parts joined by commas and a last "and"."""
    return f"{comma.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
