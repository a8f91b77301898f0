"""`check` and `check_gradients`: what a student's cell says when it has run.

What is wrong is raised as an error of one line, without a traceback in a notebook: the student's own line is all that
there would be to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy import ndarray

from tinygrad_edu.draw.names import name_cards, shorten
from tinygrad_edu.draw.numbers import SMALL, format_array, format_count, format_shape
from tinygrad_edu.draw.record import Card, Record, no_gradients, record
from tinygrad_edu.draw.variables import caller_variables
from tinygrad_edu.draw.verdict import Verdict, judge_all, verdict_counts
from tinygrad_edu.engine import plain
from tinygrad_edu.notebooks import notebook_shell
from tinygrad_edu.tables import Table
from tinygrad_edu.teach.comparing import Finding, compare, explain
from tinygrad_edu.teach.exercises import note_result
from tinygrad_edu.tensor import Tensor

__all__ = ["NotRight", "check", "check_gradients"]

RIGHT, WRONG = "✓", "✗"
Grads = Mapping[Any, Any]  # Tensor or name -> gradient


class NotRight(AssertionError):
    """An answer is not right; the message says what is off."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it."""
        return [f"\x1b[1;31m{WRONG}\x1b[0m {self}"]


def show(table: Table) -> None:
    """Displays a table in a notebook, and prints it elsewhere."""
    if notebook_shell() is None:
        print(table)
    else:
        from IPython.display import display

        display(table)


def check(
    value: Any, expected: Any, hint: str = "", *, name: str | None = None, terms: Sequence[Any] = (),
    at: Iterable[Any] = (),
) -> None:  # fmt: skip
    """Compares an answer with what was expected, and says "right", or what is off.

    That is, where the numbers tell: the sign, a factor, the shape, a transposed matrix, swapped values, a forgotten
    term. Integers and strings must be equal; other numbers may differ by rounding: a relative 1e-5 (float32: 1e-3), or
    what is left out on paper where two or more digits are given. Shapes must be equal, too: what only broadcasts is
    wrong.

    Args:
        value: The answer: a number, an array, a Tensor, a string, a function, or a list, tuple or dict of them.
        expected: The right one. A function is compared by what it returns.
        hint: What to think of if it is wrong: a sentence.
        name: What the answer is called in the message.
        terms: What `expected` is the sum of, so that a forgotten term is told.
        at: Arguments for which functions are compared, as [(1.0, 2.0), ...]; numbers of both signs if left out.

    Raises:
        NotRight: It is wrong. This is an AssertionError.

    Example:
        check(x.grad, -4.0, hint="the product hands x the other input")
    """
    if not isinstance(hint, str):
        raise TypeError(f"check: hint is {hint!r:.60}; it is the sentence that is said if the answer is wrong")
    findings = compare(value, expected, terms=terms, at=at)
    wrong = [found for found in findings if not found.is_right]
    note_result(not wrong)
    said = f"{name}: " if name else ""
    if not wrong:
        notes = dict.fromkeys(found.hint for found in findings if found.hint)
        print(f"{RIGHT} {said}right{''.join(f', {note}' for note in notes)}")
        return
    if len(wrong) > 1:
        show(parts_table(findings, name or "answer"))
        said += f"{len(wrong)} of {len(findings)} values are wrong"
    else:
        said = write_finding(wrong[0], name)
    raise NotRight(sentence(said, hint))


def sentence(said: str, hint: str) -> str:
    """What is said of a wrong answer, with the hint."""
    end = "" if said.endswith((".", "?", "!")) else "."
    return f"{said}{end} Hint: {hint}" if hint else said


def write_finding(found: Finding, name: str | None) -> str:
    """One wrong answer in words: "x.grad = 4: wrong sign"."""
    what = f"{name or ('answer' if found.place else '')}{found.place}"
    own = " = ".join(filter(None, [what, found.own]))
    if not found.hint:
        return f"{own or 'this'} is not right"
    return f"{own}: {found.hint}" if own else found.hint


def parts_table(findings: list[Finding], name: str) -> Table:
    rows = [["", "yours", "verdict"]]
    for found in findings:
        verdict = f"{RIGHT} right" if found.is_right else f"{WRONG} {found.hint or 'not right'}"
        rows.append([f"{name}{found.place}", found.own, verdict])
    return Table(rows)


def check_gradients(loss: Tensor, grads: Grads | None = None, hint: str = "") -> None:
    """Shows for each named tensor the gradient that was worked out, the right one and a verdict.

    Looked at are leaves that need a gradient and results with a name or a variable. The right gradients come from a
    backward pass that changes no `.grad`; `loss.graph(gradients="grad")` draws the same verdicts.

    Args:
        loss: A single number, from which the gradients were propagated.
        grads: The gradients that were worked out, by Tensor or by name; if left out, what stands in each `.grad`.
        hint: What to think of if one is wrong: a sentence.

    Raises:
        NotRight: A gradient is wrong, or that of a leaf is not set. This is an AssertionError.

    Example:
        check_gradients(loss, {"w": dw, "b": db})
    """
    found = recorded(loss)
    if grads is not None:
        put_in(found, grads)
    judged = judge_all(found)
    verdicts = {card: verdict for card in found.cards if (verdict := verdict_of(card, found, judged)) is not None}
    rows = [["tensor", "shape", "yours", "right", "verdict"], *[row(*pair) for pair in verdicts.items()]]
    show(Table(rows, [verdict_counts(list(verdicts.values()))]))
    wrong = [(card, verdict) for card, verdict in judged.items() if verdict.status != "right"]
    note_result(not wrong)
    if wrong:
        causes = [f"{shorten(card.name)} ({verdict.hint or verdict.status})" for card, verdict in wrong[:3]]
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        which = f"{len(wrong)} of {format_count(len(verdicts), 'gradient')} not right: {', '.join(causes)}{more}"
        raise NotRight(sentence(which, hint))


def verdict_of(card: Card, found: Record, judged: Mapping[Card, Verdict]) -> Verdict | None:
    """What the table says of a card; None if it has no row: results without a name or a mistake, and the loss."""
    verdict = judged.get(card)
    if verdict is not None and (card.op is None or verdict.status == "wrong"):
        return verdict
    if not card.named or card is found.output or card.gradient is None:
        return None
    return verdict or Verdict("not set", card.gradient)


def recorded(loss: Tensor) -> Record:
    """The graph of a loss with its backward pass, its cards named by the caller's variables."""
    if not isinstance(loss, Tensor):
        raise TypeError(f"check_gradients takes a Tensor, the loss, not a {type(loss).__name__}")
    if loss.size != 1:
        raise ValueError(f"check_gradients: shape {loss.shape} is not a loss; make it one number, as with .sum()")
    found = record(loss)
    name_cards(found, None, caller_variables())
    if why := no_gradients(found, own=True):
        raise ValueError(f"check_gradients: {why}")
    return found


def put_in(found: Record, grads: Grads) -> None:
    """Lets the cards hold the given gradients alone, in the place of what stood in `.grad`."""
    if not isinstance(grads, Mapping):
        raise TypeError(
            f"check_gradients: grads is a {type(grads).__name__}; it must be a dict, {{tensor or name: gradient}}"
        )
    cards: dict[Any, Card] = {card.name: card for card in found.cards if card.needs_gradient}
    cards |= {id(card.tensor): card for card in found.cards if card.tensor is not None}
    for card in found.cards:
        card.own = None
    for key, gradient in grads.items():
        place = id(key) if isinstance(key, Tensor) else key
        if place not in cards:
            what = "a tensor that the loss was not computed from" if isinstance(key, Tensor) else repr(key)
            known = ", ".join(card.name for card in found.cards if card.named and card.needs_gradient)
            raise ValueError(f"check_gradients: grads has {what}; this loss has {known}")
        cards[place].own = plain(gradient)


def row(card: Card, verdict: Verdict) -> list[str]:
    """The row of a tensor in the table of check_gradients."""
    own = "" if verdict.own is None else write(verdict.own)
    words = explain(verdict) or verdict.status
    return [shorten(card.name), format_shape(card.shape), own, write(verdict.right), f"{verdict.mark} {words}"]


def write(array: ndarray) -> str:
    """A small array in full, of a larger one mean and deviation."""
    return format_array(array, 4, brief=int(array.size > SMALL))
