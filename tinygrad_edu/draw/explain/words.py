"""A graph in words: an indented tree for a terminal, and a paragraph of whole sentences for a screen reader.

A graph is not a tree: `x = x + x` forty times makes 41 tensors, but 2 ** 40 ways down from the last to the first. So a
tensor is expanded where it is first met, and is a reference from then on. Depth and number of lines are limited;
tensors beyond are only counted.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw import numbers
from tinygrad_edu.draw.algebra.formulas import symbol
from tinygrad_edu.draw.names import printable, shorten
from tinygrad_edu.draw.numbers import FEW_ELEMENTS, SMALL, Number, format_array, format_number
from tinygrad_edu.draw.record import Card, Failure, Record, Scope, no_gradients
from tinygrad_edu.draw.verdict import Verdict, verdict_text

__all__ = ["alt_text", "tree"]

TREE_LINES = 200
STEPS = 12  # ops that alt_text goes through one by one
PHRASES = {
    "add": "{} plus {}", "subtract": "{} minus {}", "multiply": "{} times {}", "divide": "{} divided by {}",
    "power": "{} to the power {}", "negative": "the negative of {}", "matmul": "the matrix product of {} and {}",
    "maximum": "the larger of {} and {}", "minimum": "the smaller of {} and {}", "max": "the largest element of {}",
    "min": "the smallest element of {}", "relu": "the ReLU of {}", "sqrt": "the square root of {}",
    "exp": "e to the power {}", "log": "the natural logarithm of {}", "abs": "the absolute value of {}",
    "getitem": "an element or a part of {}", "clip": "{} limited to between {} and {}", "floor": "{} rounded down",
    "ceil": "{} rounded up", "round": "{} rounded", "rint": "{} rounded", "sign": "the sign of {}",
    "remainder": "the remainder of {} divided by {}", "inv": "the inverse of {}", "det": "the determinant of {}",
    "solve": "the solution x of {} x = {}", "norm": "the length of {}",
}  # fmt: skip

POWER = re.compile(rf"(?<![\w.])({numbers.MINUS}?\d+(?:\.\d+)?)e({numbers.MINUS}?\d+)\b")
SAID = {
    "≈": "about ", "∞": "infinity", numbers.MINUS: "minus ", "×": " by ", " ()": " a single number", "()": "",
    "%": " percent", "[": "", "]": "", "_": " ",
}  # fmt: skip

SIGNS = dict.fromkeys(" _[](){}\"`…", "") | {
    "+": "plus", numbers.MINUS: "minus", "*": "star", "·": "times", "×": "times", "⊙": "times", "/": "over", "@": "at",
    "^": "to the power", "=": "equals", "∂": "partial", "→": "to", "&": "and", "%": "percent", "\\": "backslash",
    "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar", "\u0307": "dot",
}  # fmt: skip


def tree(found: Record, precision: int = 3, width: int = 100, verdicts: Mapping[Card, Verdict] | None = None) -> str:
    """The graph as an indented tree, the output first and operands below their result.

    One line for each tensor or constant: name, shape, what made it, value, gradient; a tensor that is met again is a
    reference, "↑ q, above". Of a line longer than `width` columns the last entries are left out, "…"; no number is cut.
    There are at most about TREE_LINES lines and width / 8 levels; the rest is counted, "⋯ 4970 more". What failed comes
    with its error, and what was computed besides after it. The last line says why there are no gradients.
    """
    lines: list[str] = []
    seen: set[Card] = set()
    deepest = max(4, width // 8)
    # (card, what stands before its branch, the branch, the scope of its consumer)
    waiting: list[tuple[Card, str, str, Scope | None]] = [(card, "", "", None) for card in found.ends()[::-1]]
    while waiting and len(lines) < TREE_LINES:
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
        if found.failure is not None and card is found.output:
            lines += failure_lines(found.failure, card, width)
        else:
            verdict = (verdicts or {}).get(card)
            lines.append(f"{margin}{branch}{tree_line(card, outer, precision, width - len(margin + branch), verdict)}")
            lines += [
                f"{below}   {line}" for line in textwrap.wrap(printable(card.note), max(width - len(below) - 3, 20))
            ]
        operands = [wire.source for wire in card.wires]
        branches = ["├─ "] * (len(operands) - 1) + ["└─ "]
        waiting += [(x, below, b, card.scope) for x, b in zip(reversed(operands), reversed(branches), strict=False)]
    if hidden := count_unseen([card for card, *_ in waiting], seen):
        lines.append(more_line(hidden))
    return "\n".join([*lines, *filter(None, [no_gradients(found, verdicts is not None)])])


def failure_lines(failure: Failure, card: Card, width: int) -> list[str]:
    """What failed, where, and the error."""
    path = ".".join([scope.name for scope in card.scope.path() if scope.name]) if card.scope else ""
    lines = [f"✗ {printable(card.name)} failed" + (f" in {path}" if path else "")]
    lines += [printable(part) for line in failure.text.splitlines() for part in textwrap.wrap(line, width - 3)]
    place = shorten(failure.place, width - 3, keep_start=True)
    return [*lines[:1], *[f"│  {line}" for line in [*lines[1:], place] if line]]


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
    return f"⋯ {count} more" if count else "⋯ shown above"


def tree_line(card: Card, outer: Scope | None, precision: int, room: int, verdict: Verdict | None) -> str:
    """A card in one line; its scope too where the scope begins."""
    if card.is_number:
        return format_number(card.value, precision)
    for brief in range(3):
        parts = line_entries(card, outer, precision, brief, verdict)
        if len("  ".join(parts)) <= room:
            break
    text = "  ".join(parts)
    while len(parts) > 1 and len(text) > room:
        parts.pop()
        text = "  ".join([*parts, "…"])
    return text if len(text) <= room else shorten(f"{card.name}…", room, keep_start=True)


def line_entries(card: Card, outer: Scope | None, precision: int, brief: int, verdict: Verdict | None) -> list[str]:
    """What a line says, the most important first."""
    what = symbol(card.op, card.params, [x.value for x in card.operands]) if card.op is not None else card.kind
    parts = [f"{printable(card.name)} {numbers.format_shape(card.shape)}".rstrip(), what]
    parts.append(f"= {format_array(card.value, precision, brief)}")
    if card.gradient is not None:
        before = card.before_hooks
        hooked = "" if before is None else f"{format_array(before, precision, brief)}, hook → "
        parts.append(f"gradient {hooked}{format_array(card.gradient, precision, brief)}")
    elif not card.needs_gradient and card.kind != "data":
        parts.append("no gradient needed")
    if verdict is not None:
        parts.insert(2, verdict_text(verdict, precision, brief))
    if card.scope is not None and card.scope is not outer:
        path = ".".join([scope.name for scope in card.scope.path() if scope.name])
        parts.append(f"in {path}, {card.scope.label}" if path else f"in {card.scope.label}")
    return parts


def alt_text(found: Record, title: str | None = None, verdicts: Mapping[Card, Verdict] | None = None) -> str:
    """The picture in words: one paragraph of whole sentences.

    What is computed, with values, then the backward pass in the order in which it ran, with what each op hands to its
    operands and the gradients of the leaves; of more than STEPS ops a summary. Minus signs, powers of ten and the like
    are written out.
    """
    ops = [card for card in found.cards if card.op is not None]
    leaves = [card for card in found.cards if card.op is None and not card.is_number]
    opening = opening_sentence(found.ends(), ops, leaves)
    if found.failure is not None:
        ops, opening = ops[:-1], failure_sentences(found.failure, found.output)
    sentences = [speak_name(title) if title else "", opening]
    if len(ops) > STEPS:
        sentences += summary_sentences(found, ops, leaves)
    else:
        for card in ops:
            sentences.append(f"{speak_name(card.name)} is {describe_op(card)}, which is {speak_array(card.value)}")
        sentences += backward_sentences(found)
        constants = [speak_name(card.name) for card in leaves if not card.needs_gradient]
        if constants:
            sentences.append(f"{speak_list(constants)} {'needs' if len(constants) == 1 else 'need'} no gradient")
    sentences += [no_gradients(found, verdicts is not None).capitalize(), *verdict_sentences(verdicts or {})]
    return " ".join([sentence + "." * (sentence[-1] not in "?!") for sentence in sentences if sentence])


def verdict_sentences(verdicts: Mapping[Card, Verdict]) -> list[str]:
    """How many of the tensors' own gradients are right, and what is wrong with the first that are not."""
    counts = Counter(verdict.status for verdict in verdicts.values())
    if not counts:
        return []
    parts = [f"{count} {'is' if count == 1 else 'are'} {status}" for status, count in counts.items()]
    sentences = [f"Of the tensors' own gradients {speak_list(parts)}"]
    wrong = [(card, verdict) for card, verdict in verdicts.items() if verdict.status == "wrong"]
    for card, verdict in wrong[:SMALL]:
        own = "" if verdict.own is None else f", {speak_array(verdict.own)},"
        why = "; ".join([speak_text(text) for text in (verdict.hint, verdict.difference()) if text])
        sentences.append(f"That of {speak_name(card.name)}{own} is wrong{f': {why}' if why else ''}")
    return sentences


def opening_sentence(ends: list[Card], ops: list[Card], leaves: list[Card]) -> str:
    output = ends[0]
    if not ops:
        why = f"; {output.note}" if output.note else ", which no operation made"
        return f"{speak_name(output.name)} is a single tensor, {describe_leaf(output)}{why}"
    sources = [f"{speak_name(card.name)}, {describe_leaf(card)}" for card in leaves if card is not output]
    if len(sources) > SMALL:
        sources = [f"{len(sources)} tensors"]
    from_what = f" from {speak_list(sources, '; ')}" if sources else ""
    operations = "1 operation" if len(ops) == 1 else f"{len(ops)} operations"
    names = speak_list([speak_name(end.name) for end in ends])
    return f"The graph computes {names} in {operations}{from_what}"


def failure_sentences(failure: Failure, card: Card) -> str:
    """What failed, with the shapes of its operands, and the error."""
    sources = {wire.position: wire.source for wire in card.wires}
    shapes = {x: f" of shape {' by '.join(map(str, x.shape))}" if x.shape else "" for x in sources.values()}
    given = [f"{speak_name(x.name)}{shape}" for x, shape in shapes.items()]
    what = f"{speak_name(card.name)}{f' of {speak_list(given)}' if given else ''}"
    place = f" at {failure.place}" if failure.place else ""
    return f"The forward pass failed in {what}{place}. The error is {failure.text.rstrip('.')}"


def describe_leaf(card: Card) -> str:
    """Its kind and its value: "input, 3", "parameter of shape 4 by 2"."""
    size = f"of shape {' by '.join(map(str, card.shape))}"
    return f"{card.kind} {speak_array(card.value) if card.value.size <= FEW_ELEMENTS else size}"


def describe_op(card: Card) -> str:
    assert card.op is not None
    operands = [speak_array(x.value) if x.is_number else speak_name(x.name) for x in card.operands]
    chosen = [speak_name(wire.source.name) for wire in card.wires if wire.parameter]
    phrase, axis = PHRASES.get(card.op.name, ""), card.params.get("axis")
    axes = [speak_number(k) for k in np.atleast_1d(() if axis is None else axis)]
    along = f" along {'axis' if len(axes) == 1 else 'axes'} {speak_list(axes)}" if axes else ""
    along += f", chosen by {speak_list(chosen)}" if chosen else ""
    if phrase.count("{}") == len(operands):
        return phrase.format(*operands) + along
    return f"{speak_name(card.op.name)} of {speak_list(operands)}{along}"


def backward_sentences(found: Record) -> list[str]:
    """The backward pass, op by op, and the sums where a tensor is used more than once."""
    if found.seed is None:
        silent = found.failure is not None or found.output.needs_gradient
        return [] if silent else ["Nothing here needs a gradient"]
    start = f"The backward pass starts at {speak_name(found.output.name)} with {speak_array(found.seed)}"
    sentences = [start + hook_clause(found.output)]
    by_target: dict[Card, list[str]] = {}
    for wire in found.backward:
        assert wire.contribution is not None
        part = f"{speak_array(wire.contribution)} to {speak_name(wire.source.name)}"
        by_target.setdefault(wire.target, []).append(part)
    sentences += [f"{speak_name(target.name)} hands back {speak_list(parts)}" for target, parts in by_target.items()]
    for card in found.cards:
        parts = [speak_array(wire.contribution) for wire in card.contributions() if wire.contribution is not None]
        before = card.before_hooks
        if card.gradient is not None and (card.op is None or len(parts) > 1 or (before is not None and parts)):
            added = f", the sum of {speak_list(parts)}" if len(parts) > 1 and card.value.size == 1 else ""
            arrived = speak_array(card.gradient if before is None else before)
            sentences.append(f"The gradient of {speak_name(card.name)} is {arrived}{added}{hook_clause(card)}")
    return sentences


def hook_clause(card: Card) -> str:
    """What a hook makes of the gradient that arrives, after a comma; "" if there is none."""
    changed = None if card.before_hooks is None else card.gradient
    return "" if changed is None else f", which a hook changes to {speak_array(changed)}"


def summary_sentences(found: Record, ops: list[Card], leaves: list[Card]) -> list[str]:
    """A large graph: how often each op stands in it, the output, and the gradients of the first parameters."""
    counts = Counter(speak_name(card.op.name) for card in ops if card.op is not None)
    kinds = [f"{count} times {name}" if count > 1 else f"once {name}" for name, count in counts.most_common(SMALL)]
    if len(counts) > SMALL:
        kinds.append(f"{len(counts) - SMALL} other kinds of operations")
    output, steps = found.output, len(found.backward)
    sentences = [f"It uses {speak_list(kinds)}"]
    if found.failure is None:
        sentences.append(f"{speak_name(output.name)} is {speak_array(output.value)}")
    gradients = [(card, card.gradient) for card in leaves if card.gradient is not None]
    if steps:
        sentences.append(f"The backward pass takes {steps} steps, from the output to {len(gradients)} leaves")
    for card, gradient in gradients[:SMALL]:
        norm = f"of norm {speak_number(numbers.gradient_norm(gradient))}"
        size = speak_array(gradient) if gradient.size == 1 else norm
        sentences.append(f"The gradient of {speak_name(card.name)} is {size}")
    if len(gradients) > SMALL:
        sentences.append(f"{len(gradients) - SMALL} more leaves have gradients")
    hooked = sum(card.before_hooks is not None for card in found.cards)
    if hooked:
        which = f"Hooks change {hooked} of the gradients" if hooked > 1 else "A hook changes a gradient"
        sentences.append(f"{which} on the way")
    return sentences


def speak_array(array: ndarray) -> str:
    """A small array as numbers, row by row; a larger one by shape and mean."""
    if array.size == 1:
        return speak_number(array)
    shape = " by ".join(map(str, array.shape))
    if not array.size:
        return f"an empty array of shape {shape}"
    if array.size > FEW_ELEMENTS:
        with np.errstate(all="ignore"):
            return f"an array of shape {shape} with mean {speak_text(numbers.format_mean(array))}"
    rows = array.reshape(-1, array.shape[-1])
    return "; ".join([speak_list([speak_number(x) for x in row]) for row in rows])


def speak_number(x: Number) -> str:
    """A number as it is said: "minus 12", "1.2 times 10 to the power minus 5"."""
    return speak_text(format_number(x))


def speak_text(text: str) -> str:
    """A text with numbers in it, as it is said; what has digits in its name stays as it is."""
    text = POWER.sub(r"\1 times 10 to the power \2", re.sub(r"\bNaN\b", "not a number", text))
    for sign, words in SAID.items():
        text = text.replace(sign, words)
    return text


def speak_name(name: str) -> str:
    """A name with its signs in words, "w star" for "w*"; brackets, quotes and "_" are pauses, "weights 0".

    A name of pauses alone is read by their Unicode names.
    """
    said = [speak_sign(c) for c in unicodedata.normalize("NFC", name)]
    words = " ".join("".join(said).split())
    return words or " and ".join([unicodedata.name(c, "").lower() for c in name if c.isprintable()][:3]) or "unnamed"


def speak_sign(c: str) -> str:
    """A letter or digit as it is, a sign as a word between spaces."""
    if c.isalnum() or c in ".,:;?!'-":
        return c
    return f" {SIGNS[c] if c in SIGNS else unicodedata.name(c, '').lower().removeprefix('combining ')} "


def speak_list(parts: list[str], comma: str = ", ") -> str:
    """Parts joined by commas and a last "and"."""
    return f"{comma.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
