"""Worked solutions: the chain rule from an output to a tensor, in symbols, formulas, numbers, and the result.

    >>> print(loss.explain(w))
    ∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w
          = −2(y − a) · σ(z)(1 − σ(z)) · x
          = −0.538 · 0.197 · 2
          = −0.212

The steps lead from one named tensor to the next. Between arrays, whose derivatives would have more axes than a page,
the gradients themselves are derived, one tensor after another, as backward() does it.

The hard idea is the number of paths: `a = a * b + a.sin()` in a loop of 40 makes 2 ** 40 of them to the first a. So
paths are counted, and what they contribute is added up, tensor by tensor; only a few are walked.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.checks import check_int
from tinygrad_edu.draw.explain import expressions
from tinygrad_edu.draw.explain.solution import Block, Explanation, Solution, Writer
from tinygrad_edu.draw.names import Variables, caller_variables, name_cards
from tinygrad_edu.draw.numbers import SMALL
from tinygrad_edu.draw.record import Card, Record, record
from tinygrad_edu.tensor import Tensor

__all__ = ["explain"]

WRITTEN_OUT = 8  # paths that are written out


def explain(output: Tensor, *inputs: Tensor, precision: int = 3) -> Explanation:
    """The derivative of an output with respect to tensors of its graph, worked out as in a textbook.

    Args:
        output: A Tensor. Of one with several elements the sum is differentiated or, after `backward(gradient)`, the sum
            weighted with that gradient.
        *inputs: Leaves or intermediates; all named leaves (if there are none, all leaves) if left out.
        precision: Significant digits.

    Returns:
        An Explanation: print it, show it in a notebook, or take `.markdown()` or `.latex()`.

    Raises:
        TypeError: An input is not a Tensor.
        ValueError: The precision is not an integer from 1 to 17.
        RuntimeError: A leaf was updated after it was used; explain before optimizer.step().
    """
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"explain: {x!r:.60} is not a Tensor; pass tensors of the graph, as in loss.explain(w)")
    precision = check_int("explain: precision", precision, 1, 17)
    variables = caller_variables()
    with np.errstate(all="ignore"):  # what is not finite is printed
        return explain_record(record(output), inputs, precision, variables)


def explain_record(found: Record, inputs: tuple[Tensor, ...], precision: int, variables: Variables) -> Explanation:
    """The worked solutions of a recorded graph; later ones do not repeat what earlier ones derived and defined."""
    name_cards(found, variables=variables)
    if not found.output.named:
        found.output.name = "output" if any(card.name == "L" for card in found.cards) else "L"
    cards = {id(card.tensor): card for card in found.cards if card.tensor is not None}
    if not inputs:
        leaves = [card.tensor for card in found.cards if card.op is None and card.needs_gradient]
        named = [x for x in leaves if x is not None and cards[id(x)].named]
        inputs = tuple(named or [x for x in leaves if x is not None])
    notes, solutions = expressions.Expressions(found, precision), []
    for x in inputs:
        if id(x) in cards and cards[id(x)].gradient is not None:
            solutions.append(solve(notes, cards[id(x)]))
        else:
            name = cards[id(x)].name if id(x) in cards else x.name or variables.get(id(x), "the tensor")
            solutions.append(explain_independence(found, x, name))
    return Explanation(solutions)


def explain_independence(found: Record, x: Tensor, name: str) -> Solution:
    out = found.output.name
    if not found.output.needs_gradient:
        why = f"Nothing that {out} was made of needs a gradient."
    elif not x.requires_grad:
        why = f"{name} needs no gradient: it is a constant."
    else:
        why = f"{out} does not depend on {name}: no path leads from one to the other, so the gradient is 0."
    return Solution(name, np.zeros(x.shape), [], 0, [Block(why)])


def solve(notes: expressions.Expressions, card: Card) -> Solution:
    output, value, relevant = notes.found.output, np.array(card.gradient), expressions.cards_between(card)
    scalars = all(other.value.size == 1 for other in relevant[1:]) and value.size <= SMALL
    ends = {x: x is card or not scalars or not expressions.is_rewritten(x, notes.terms[x]) for x in relevant}
    writer = Writer(notes, card, ends, scalars)
    if card is output:
        why = "" if card.before_hooks is None else "A hook changes the gradient:"
        return Solution(card.name, value, [(card.name,)], 1, [Block(why, [writer.result([])])])
    steps = expressions.steps_between(ends, scalars)
    counts = expressions.count_paths(steps, card)
    count = counts[output]
    paths = [expressions.find_path(steps, counts, output, card, i) for i in range(min(count, WRITTEN_OUT))]
    blocks = writer.chain(paths, count) if scalars else writer.derivation()
    if scalars and not np.allclose(expressions.total_derivative(relevant), value, rtol=1e-3, atol=1e-6, equal_nan=True):
        blocks.append(Block("A hook changes the gradient on the way; with it:", [writer.result([])]))
    blocks += writer.where()
    names = [(output.name, *[step.source.name for step in path]) for path in paths]
    return Solution(card.name, value, names, count, blocks)
