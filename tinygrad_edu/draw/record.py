"""What a picture shows: the recorded graph as cards and wires, with values, gradients and contributions.

Pictures, text trees, worked solutions and the step player are made of these alone, so their numbers agree.

The hard idea is where the numbers of the backward pass come from. `.grad` adds up over several calls of backward(), and
before the first call there is none. So a record runs a backward pass of its own, which leaves every `.grad` alone:

    a = Tensor(3.0)
    h = a * a
    h.backward(); h.backward()          # a.grad is 12, but the picture of h shows 6, the sum of 3 and 3

A result holds its operands, and the way back to its uses is a weak reference: reference counts free the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar
from weakref import ref

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.arrays import AnyArray, brought, home
from tinygrad_edu.draw.numbers import as_numbers
from tinygrad_edu.engine import Array, Op, backward_pass, new_number, plain, setting, unbroadcast
from tinygrad_edu.tensor import Tensor, seed

__all__ = [
    "Card", "Failure", "Record", "Scope", "Wire", "common_scope", "hand_back", "no_gradients", "placeholder_op",
    "record", "record_ends", "slope", "stand_in",
]  # fmt: skip

Kind = Literal["parameter", "input", "data", "op"]
T = TypeVar("T")
UNRECORDED = "how it was computed was not recorded: no_grad() was on, or nothing in it needs a gradient"


@dataclass(eq=False)
class Scope:
    """One call of a module, of an object that is called like one, or of a function: a cluster of the picture."""

    name: str  # "0", "fc1", or the variable that holds the outermost module; "" of a function
    label: str  # "Linear(2, 3)", "mse_loss"
    module: Any  # what was called; None for a function, and for a group of calls that a picture has made up
    parent: Scope | None = None

    def path(self) -> list[Scope]:
        """The scopes around this one, outermost first, and this one."""
        return [*(self.parent.path() if self.parent else ()), self]


def common_scope(scopes: Iterable[Scope | None]) -> Scope | None:
    """The innermost scope around all of them."""
    paths = [scope.path() if scope else [] for scope in set(scopes)]
    shared = [level[0] for level in zip(*paths, strict=False) if len(set(level)) == 1]
    return shared[-1] if shared else None


@dataclass(eq=False)
class Card:
    """A tensor, or a constant operand, in the picture.

    `gradient` is the derivative of the output with respect to the card, in the shape of `value`; None where none is
    needed.
    """

    id: str  # "t0", "t1" ... in forward order; constants "c0" ...
    name: str  # what the picture calls it
    kind: Kind  # "input" is a leaf that needs a gradient, "data" what needs none
    value: ndarray
    tensor: Tensor | None = None
    constant: ArrayLike | None = None  # the array or number that it is instead of a Tensor
    gradient: ndarray | None = None
    own: Any = None  # what stood in `.grad`, whatever it was
    before_hooks: ndarray | None = None  # the gradient that arrived, if a hook changed it
    op: Op | None = None  # which made it
    params: dict[str, Any] = field(default_factory=dict)  # of the op, such as axis
    wires: list[Wire] = field(default_factory=list, repr=False)  # from its operands, in their order, then from indices
    scope: Scope | None = None  # the innermost module call that it was made in
    named: bool = False  # whether the name is its own, a path, or from a variable, rather than made up here
    note: str = ""  # why what made it is not in the picture
    _uses: list[ref[Wire]] = field(default_factory=list, repr=False)

    @property
    def uses(self) -> list[Wire]:
        """The wires to its consumers within this graph, in forward order; they last as long as the record."""
        return [dereference(wire) for wire in self._uses]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def needs_gradient(self) -> bool:
        return self.tensor is not None and self.tensor.requires_grad

    @property
    def is_number(self) -> bool:
        """Whether it is a constant number without a name, which is called by its value."""
        return self.tensor is None and self.value.size == 1 and not self.named

    @property
    def operands(self) -> list[Card]:
        """What the op computed with, but for the arrays among its parameters."""
        return [wire.source for wire in self.wires if not wire.parameter]

    def contributions(self) -> list[Wire]:
        """The wires over which its gradient comes, in forward order."""
        return [wire for wire in self.uses if wire.contribution is not None]


@dataclass(eq=False)
class Wire:
    """From an operand to the result of an op."""

    source: Card  # the operand
    position: int  # which operand of the op it is
    _target: ref[Card] = field(repr=False)
    parameter: bool = False  # whether it comes from an array among the op's parameters, such as an index
    contribution: ndarray | None = None  # what the rule hands back over it, of the source's shape; None: nothing flows
    local: float | None = None  # d target / d source where both are single numbers and a gradient flows

    @property
    def target(self) -> Card:
        """The result; it lasts as long as the record."""
        return dereference(self._target)

    @property
    def zero(self) -> bool:
        """Whether what flows back over it is 0."""
        return self.contribution is not None and self.contribution.size > 0 and not self.contribution.any()

    @property
    def blocked(self) -> bool:
        """Whether a gradient other than 0 arrives at the op, but nothing of it passes this wire."""
        return self.zero and self.target.gradient is not None and bool(self.target.gradient.any())


def dereference(reference: ref[T]) -> T:
    found = reference()
    if found is None:
        how = "keep it in a variable, found = record(y), as long as you follow its cards to their uses"
        raise ReferenceError(f"this card or wire outlived its record, and what used it is gone: {how}")
    return found


@dataclass(eq=False)
class Failure:
    """What went wrong where a graph ends with an op, a function or a module that failed: its output stands for that."""

    error: Exception
    operands: list[tuple[str, object]]  # what it got, by the names of its arguments; wires have their positions
    options: list[tuple[str, object]]  # the op's other arguments
    place: str  # the line of the user's code

    @property
    def text(self) -> str:
        """The error as Python writes it."""
        try:
            said = str(self.error)
        except Exception as problem:  # of a class of the user's own
            said = f"its text cannot be shown, as __str__ raises {type(problem).__name__}"
        return f"{type(self.error).__name__}: {said}" if said else type(self.error).__name__


@dataclass(eq=False)
class Record:
    """A graph, from its leaves to one output."""

    output: Card
    cards: list[Card]  # all of them, operands before results
    backward: list[Wire] = field(default_factory=list)  # in the order in which the backward pass ran over them
    seed: ndarray | None = None  # the gradient that the backward pass began with
    failure: Failure | None = None  # why it ends there
    choices: dict[Any, Any] = field(default_factory=dict, repr=False)  # see draw/picture/choice.py

    def wires(self) -> Iterator[Wire]:
        """All wires in forward order, each operand of each op once."""
        return (wire for card in self.cards for wire in card.wires)

    def ends(self) -> list[Card]:
        """The output, and what else was computed that nothing uses."""
        return [self.output, *[card for card in self.cards if not card._uses and card is not self.output]]


class Listener:
    """Hears what the engine hands to each operand."""

    def __init__(self) -> None:
        self.parts: list[tuple[Tensor, int, Array]] = []

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def forward(self, op: Op, inputs: object, tensor: Tensor) -> None:
        """Ignored: a rule may compute with ops, which do not belong to the graph."""

    def backward(self, tensor: Tensor, position: int, gradient: Array) -> None:
        self.parts.append((tensor, position, gradient))


def record(
    output: Tensor, *, backward: bool = True, gradient: Tensor | ArrayLike | None = None, cut: bool = False
) -> Record:
    """Walks the graph of an output, without recursion, and runs a backward pass that leaves no trace in it.

    Args:
        output: Any Tensor; a single leaf makes a record of one card.
        backward: False leaves out gradients and contributions.
        gradient: What the backward pass starts with, in the output's shape. By default 1 for a single number, so that
            gradients are derivatives; for an array what backward(gradient) left in `output.grad`, else ones.
        cut: What was computed from a leaf that was updated since is drawn as a leaf with a note, instead of an error.

    Hooks of the tensors are called, as in any backward pass. Leaves show the values that they have now: an array
    that was written to after its use does not agree with what was computed from it.

    Raises:
        RuntimeError: A leaf was updated after it was used: values that were computed with are gone. Draw before
            optimizer.step().
    """
    made = [x for x in reachable(output, cut) if x._op is not None and not (cut and newer_operands(x))]
    made.sort(key=lambda tensor: tensor._number)  # a result is newer than its operands
    cards: dict[int | tuple[int, int], Card] = {}
    for tensor in made or [output]:
        wires = []
        for x in newer_operands(tensor):
            raise RuntimeError(outdated(x, tensor))
        for position, x in enumerate((*tensor._inputs, *parameter_arrays(tensor))):
            key = id(x) if isinstance(x, (Tensor, AnyArray)) else (id(tensor), position)  # a number: one card for each
            if key not in cards and isinstance(x, Tensor):
                cards[key] = card_of(x, len(cards))
            elif key not in cards:
                cards[key] = Card(f"c{len(cards)}", "", "data", as_numbers(home(x)).copy(), constant=x)
            wires.append((cards[key], position))
        card = cards.setdefault(id(tensor), card_of(tensor, len(cards)))
        for source, position in wires:
            wire = Wire(source, position, ref(card), position >= len(tensor._inputs))
            card.wires.append(wire)
            source._uses.append(ref(wire))
    found = Record(cards[id(output)], list(cards.values()))
    note_what_is_missing(found)
    if backward and output.requires_grad:
        start = output.grad if gradient is None and output.size > 1 and output._op is not None else gradient
        run_backward(found, cards, seed(output, np.ones(output.shape) if start is None else plain(start), False))
    return found


def record_ends(ends: Sequence[Tensor]) -> Record:
    """The graph of several tensors, of which none is made of all the others, without a backward pass."""
    found = record(stand_in(placeholder_op("ends"), ends), backward=False)
    cards = {id(card.tensor): card for card in found.cards}
    for wire in found.cards.pop().wires:
        wire.source._uses.pop()
    found = Record(max([cards[id(end)] for end in ends], key=found.cards.index), found.cards)
    note_what_is_missing(found)
    return found


def no_gradients(found: Record, own: bool = False) -> str:
    """Why there are no gradients to draw; "" if there are, or if none was asked for and nothing needs one.

    Args:
        own: Whether what stands in each `.grad` was asked for.
    """
    ends, why = found.ends(), "recorded without a backward pass"
    needed = any(end.needs_gradient for end in ends)
    if found.seed is not None or not (needed or own or found.failure):
        return ""
    if found.failure is not None:
        why = "the forward pass failed"
    elif not needed:
        why = "nothing here needs one"
    elif len(ends) > 1:
        why = f"{len(ends)} outputs; draw one of them, or a loss"
    return f"no gradients{', no .grad' if own else ''}: {why}"


def stand_in(op: Op, operands: Sequence[Any], scopes: Iterable[tuple[object, int]] = ()) -> Tensor:
    """A tensor that nothing has computed, so that graphs can end in it."""
    end: Tensor = object.__new__(Tensor)
    end._values, end._requires_grad, end._hooks, end.grad = np.zeros(0), False, None, None
    end._op, end._params, end.name, end._number = op, {}, op.name, new_number()
    end._inputs, end._scopes = tuple(operands), tuple(scopes)
    return end


def placeholder_op(name: str) -> Op:
    """Stands for what is not an op."""
    op = Op(lambda *operands: operands, (), True)
    op.name = name
    return op


def outdated(x: Tensor, consumer: Tensor) -> str:
    """Why there is no picture, not even of the forward pass, after an update."""
    changed = f"tensor {x.name or ''}{x.shape} was updated after {consumer._op.name} used it"
    how = "by assign, an optimizer's step or a new requires_grad"
    why = "the value that the results were computed with is gone, and with the new one the picture would be wrong"
    return f"graph: {changed} ({how}): {why}; draw or explain before optimizer.step(), or compute the output again"


def newer_operands(tensor: Tensor) -> list[Tensor]:
    """The operands that were updated after the op that made a tensor had used them."""
    return [x for x in tensor._inputs if isinstance(x, Tensor) and x._number > tensor._number]


def note_what_is_missing(found: Record) -> None:
    """Makes leaves of results that have no operands in the picture, and says why if no op was recorded at all."""
    for card in found.cards:
        if card.tensor is not None and (updated := newer_operands(card.tensor)):
            names = ", ".join(dict.fromkeys([x.name or f"a tensor {x.shape}" for x in updated]))
            card.kind, card.op, card.params = "data", None, {}
            card.note = f"made by {card.tensor._op.name} before an update of {names}"
    if not any(card.op for card in found.cards):
        for card in found.cards:
            if card.tensor is not None and card.tensor._op is None and card.tensor._params is not None:
                card.note = UNRECORDED


def reachable(output: Tensor, cut: bool = False) -> Iterable[Tensor]:
    seen, waiting = {id(output): output}, [output]
    while waiting:
        tensor = waiting.pop()
        for x in () if cut and newer_operands(tensor) else tensor._inputs:
            if type(x) is Tensor and id(x) not in seen:
                seen[id(x)] = x
                waiting.append(x)
    return seen.values()


def parameter_arrays(tensor: Tensor) -> list[ndarray]:
    """The arrays among the parameters of the op that made a tensor: the i and j of x[i, j]."""
    if tensor._op is None:
        return []
    values = [x for value in (tensor._params or {}).values() for x in (value if type(value) is tuple else (value,))]
    return [x for x in values if isinstance(x, AnyArray) and x.ndim and x.dtype.kind in "biuf"]


def card_of(tensor: Tensor, number: int) -> Card:
    kind: Kind = "op" if tensor._op is not None else "input" if tensor.requires_grad else "data"
    shared = tensor._op is None or getattr(tensor._values, "base", None) is not None  # may change under the picture
    value = np.array(home(tensor._values)) if shared else np.asarray(home(tensor._values))
    card = Card(f"t{number}", tensor.name or "", kind, value, tensor, named=tensor.name is not None)
    card.op, card.params = tensor._op, dict(tensor._params or {})
    own = home(plain(tensor.grad))
    card.own = own.copy() if isinstance(own, ndarray) else own
    return card


def run_backward(found: Record, cards: dict[int | tuple[int, int], Card], start: Array) -> None:
    """Fills in gradients, contributions, local derivatives and the order of the backward pass."""
    output = found.output.tensor
    assert output is not None
    listener = Listener()
    hooked = [card for card in found.cards if card.tensor is not None and card.tensor._hooks]

    def keep(tensor: Tensor, gradient: Array) -> None:
        cards[id(tensor)].gradient = np.array(home(gradient))

    with setting(watch=listener), np.errstate(all="ignore"):
        backward_pass(output, start, False, keep)
    found.seed = np.array(home(start))
    arrived = {found.output: start}
    for tensor, position, part in listener.parts:
        wire = cards[id(tensor)].wires[position]
        part = home(part)
        wire.contribution = np.array(part)
        with np.errstate(all="ignore"):
            arrived[wire.source] = arrived[wire.source] + part if wire.source in arrived else part
        if wire.source.value.size == 1 == wire.target.value.size:
            wire.local = slope(wire).item()
        found.backward.append(wire)
    for card in hooked:  # added in the engine's order, the sums are equal to the bit unless a hook changed one
        if card.gradient is not None and not np.array_equal(arrived[card], card.gradient, equal_nan=True):
            card.before_hooks = np.array(arrived[card])


def slope(wire: Wire) -> ndarray:
    """∂ target / ∂ source, the target a single number: what the op's rule makes of the upstream gradient 1."""
    return hand_back(wire, np.ones(wire.target.shape, wire.target.value.dtype)[()])


def hand_back(wire: Wire, upstream: Array) -> ndarray:
    """What the op's rule makes of an upstream gradient, in the source's shape."""
    tensor, x = wire.target.tensor, wire.source.tensor
    assert tensor is not None and x is not None
    op, given = tensor._op, [plain(y) for y in tensor._inputs]
    rule = partial(op.vjps[0], wire.position) if op.variadic else op.vjps[wire.position]
    upstream = brought(upstream, tensor)
    with np.errstate(all="ignore"):
        gradient = rule(upstream, tensor._values, *given, **tensor._params)
        return np.asarray(home(unbroadcast(gradient, x, tensor, wire.position)))
