"""Is what stands in a tensor's `.grad`, or another result, the right one, and if not, what went wrong?

Whoever does the backward pass by hand makes the same few mistakes, and each leaves its trace in the numbers:

    y = x * x           # x.grad = x.data: "only 1 of 2 paths", for the right one adds up x and x

What is right is what the record computes. `.grad` is taken as it stood when the record was made.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from tinygrad_edu.arrays import home
from tinygrad_edu.draw.names import shorten
from tinygrad_edu.draw.numbers import FEW_ELEMENTS, format_array, format_number, format_shape
from tinygrad_edu.draw.record import Card, Record, hand_back
from tinygrad_edu.engine import plain

__all__ = ["Verdict", "judge", "judge_all", "verdict_counts", "verdict_text"]

Status = Literal["right", "wrong", "not set"]
MARKS: dict[Status, str] = {"right": "✓", "wrong": "✗", "not set": "○"}
TOLERANCES = {2: 1e-2, 4: 1e-3, 8: 1e-5}  # relative, by the bytes of a number: float16, float32, float64
PATHS = 6  # of so many paths every choice is tried
RELATED = {  # what a right result is taken for, where a step more or less was made
    "the reciprocal": np.reciprocal,
    "the square": np.square,
    "the square root": np.sqrt,
}
DIGITS = range(2, 7)  # to which a number worked out on paper may be rounded


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is found about one `.grad`."""

    status: Status
    right: ndarray
    own: ndarray | None = None  # what stands in .grad; None if nothing does, or no numbers do
    hint: str = ""  # what went wrong: "wrong sign"; of a right one, that it is rounded
    place: tuple[int, ...] | None = None  # of the largest difference, in an array of the right shape

    @property
    def mark(self) -> str:
        return MARKS[self.status]

    def difference(self, precision: int = 3) -> str:
        """Where an array is furthest from the right one: "largest difference at [1, 2]: 5 instead of 2"; else ""."""
        if self.place is None or self.own is None:
            return ""
        own, right = self.own[self.place], self.right[self.place]
        texts = [format_number(x, precision) for x in (own, right)]
        while texts[0] == texts[1] and precision < 17:
            precision += 1
            texts = [format_number(x, precision) for x in (own, right)]
        where = ", ".join(map(str, self.place))
        return f"largest difference at [{where}]: {texts[0]} instead of {texts[1]}"


def judge_all(found: Record) -> dict[Card, Verdict]:
    """A verdict on each leaf that needs a gradient, and on each result whose `.grad` is set, in forward order."""
    verdicts: dict[Card, Verdict] = {}
    if found.seed is None:
        return verdicts
    counts = mean_counts(found)
    for card in found.cards:
        if card.needs_gradient and (card.op is None or card.own is not None):
            right = np.zeros(card.shape) if card.gradient is None else card.gradient
            wires = card.contributions()
            paths = [wire.contribution for wire in wires if wire.contribution is not None]
            sources = [*paths, *(wire.target.gradient for wire in wires if wire.target.gradient is not None)]
            adds_up = card.op is None and type(card.own) not in (int, float)  # which are set by hand
            verdicts[card] = judge(card.own, right, paths, largest(sources), adds_up=adds_up, counts=counts)
    for card, verdict in verdicts.items():
        if verdict.status == "wrong" and (names := wrong_upstream(card, verdicts)):
            what = f"{names[0]} has" if len(names) == 1 else f"{' and '.join(names)} have"
            hint = f"right step, but {what} a wrong gradient"
            verdicts[card] = Verdict("wrong", verdict.right, verdict.own, hint, verdict.place)
    return verdicts


def mean_counts(found: Record) -> set[int]:
    """How many elements each mean of a record is taken of; sum() / n is one, too."""
    counts = set()
    for wire in found.wires():
        op, source, target = wire.target.op, wire.source, wire.target
        if op is None:
            continue
        if op.name == "mean" and target.value.size:
            counts.add(source.value.size // target.value.size)
        elif op.name == "cross_entropy" and wire.position == 0:
            counts.add(source.value.size // (source.shape[-1] or 1))
        elif op.name == "divide" and wire.position == 1 and source.is_number and source.value % 1 == 0:
            counts.add(int(source.value))
    return counts - {0, 1}


@np.errstate(all="ignore")  # infinities and numbers too small are numbers too
def judge(
    own: object, right: ndarray, paths: Sequence[ndarray] = (), scale: float = 0.0, *, adds_up: bool = True,
    counts: Collection[int] = (),
) -> Verdict:  # fmt: skip
    """Compares a gradient, or another result, with the right one.

    An element may differ by a relative 1e-5 (float32: 1e-3), and by a tenth of that times the largest element. Numbers
    that are the right ones rounded to two digits or more are right too. Integers are exact.

    Args:
        own: What stands in `.grad`: an array, a number, a list, a Tensor or None.
        right: The right gradient.
        paths: What comes over each path, if there are several: `right` is their sum.
        scale: The largest number that went into the right one, whose rounding may be left in it.
        adds_up: Whether each backward() adds to it, as in leaves.
        counts: The numbers of elements that a mean in it may be taken of.
    """
    if own is None:
        return Verdict("not set", right)
    if own is Ellipsis:
        return Verdict("wrong", right, None, "still to be filled in")
    numbers = real_numbers(own)
    if numbers is None:
        dtype = own.dtype if isinstance(own, ndarray) else None
        what = "real numbers" if dtype or isinstance(own, complex) else "numbers"
        hint = f"not {what}, but {dtype or f'a {type(own).__name__}'}"
        return Verdict("wrong", right, None, hint)
    right = np.asarray(home(right))
    equal = Equality(numbers, right, scale)
    right = right if right.dtype.kind == "f" else right.astype(np.float64)
    if numbers.shape != right.shape:
        return Verdict("wrong", right, numbers, shape_hint(numbers, right, equal))
    if equal(numbers, right):
        return Verdict("right", right, numbers)
    if digits := rounded_digits(numbers, right):
        return Verdict("right", right, numbers, f"rounded to {digits} digits")
    hint = paths_hint(numbers, paths, equal) or factor_hint(numbers, right, equal, adds_up, counts)
    hint = hint or relation_hint(numbers, right, equal) or elements_hint(numbers, right, equal)
    return Verdict("wrong", right, numbers, hint, furthest(numbers, right) if right.ndim else None)


def real_numbers(own: object) -> ndarray | None:
    """An array of real numbers; None if it is something else."""
    try:
        array = np.asarray(home(plain(own)))
    except (TypeError, ValueError):  # a list of lists of different lengths, or of Tensors
        return None
    return array if array.dtype.kind in "fiub" else None


def largest(arrays: Sequence[ndarray]) -> float:
    """The largest finite magnitude."""
    return max((float(np.abs(x[np.isfinite(x)]).max(initial=0)) for x in arrays), default=0.0)


class Equality:
    """Whether arrays agree as far as numbers of their precision can."""

    def __init__(self, own: ndarray, right: ndarray, scale: float) -> None:
        floats = [x.dtype for x in (own, right) if x.dtype.kind == "f"]
        coarsest = min(floats, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float64))
        rounding = 16 * float(np.finfo(coarsest).eps)
        self.relative = TOLERANCES.get(coarsest.itemsize, 1e-5) if floats else 0.0
        self.rounding = rounding * scale

    def __call__(self, a: ndarray, b: ndarray) -> bool:
        return bool(self.each(a, b).all())

    def each(self, a: ndarray, b: ndarray) -> ndarray:
        """Element by element; NaN agrees with NaN."""
        a, b = (np.asarray(x, np.float64) for x in (a, b))
        floor = self.relative / 10 * largest([b]) + self.rounding
        return np.isclose(a, b, self.relative, floor, equal_nan=True)


def rounded_digits(own: ndarray, right: ndarray) -> int:
    """To how many significant digits the right numbers were rounded: 2 of 0.21 for 0.2083; 0 if they were not.

    Whole numbers are taken as exact: 1 is not the derivative 0.996 of tanh.
    """
    own, right = own.astype(np.float64), right.astype(np.float64)
    if not (np.isfinite(own).all() and np.isfinite(right).all()) or (own == np.round(own)).all():
        return 0
    magnitude = np.floor(np.log10(np.abs(right), where=right != 0, out=np.zeros_like(right)))
    for digits in DIGITS:
        unit = 10.0 ** (magnitude - digits + 1)
        if np.allclose(own, np.round(right / unit) * unit, rtol=1e-9, atol=0):
            return digits
    return 0


def shape_hint(own: ndarray, right: ndarray, equal: Equality) -> str:
    """What a wrong shape comes from, if the numbers tell."""
    shapes = f"shape {format_shape(own.shape) or '()'} instead of {format_shape(right.shape) or '()'}"
    if own.ndim == 2 and own.shape == right.shape[::-1] and equal(own.T, right):
        return f"transposed: {shapes}"
    extra = own.ndim - right.ndim
    if extra >= 0 and own.size > right.size:
        padded = (1,) * extra + right.shape
        axes = tuple([i for i, (n, m) in enumerate(zip(own.shape, padded, strict=True)) if n != m or i < extra])
        summed = own.sum(axis=axes)
        if summed.size == right.size and equal(summed.reshape(right.shape), right):
            return f"not summed over {'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}: {shapes}"
    same = own.size in (1, right.size) and right.size
    if same and equal(np.broadcast_to(own.reshape(-1), right.size).reshape(right.shape), right):
        return f"right numbers, but {shapes}"
    return shapes


def paths_hint(own: ndarray, paths: Sequence[ndarray], equal: Equality) -> str:
    """Which number of paths was added up, if some were forgotten."""
    for count in range(1, len(paths) if len(paths) <= PATHS else 1):
        for chosen in itertools.combinations(paths, count):
            if equal(own, np.sum(chosen, axis=0)):
                return f"only {count} of {len(paths)} paths"
    return ""


def factor_hint(own: ndarray, right: ndarray, equal: Equality, adds_up: bool, counts: Collection[int] = ()) -> str:
    """By which factor all elements differ; between single numbers, where there always is one, only a telling one."""
    if right.ndim == 2 and own.shape[0] == own.shape[1] > 1 and equal(own.T, right):
        return "transposed"
    if not own.any():
        return "still 0" if right.any() else ""
    factor = float(np.sum(own * right, dtype=np.float64) / np.sum(right * right, dtype=np.float64))
    if not 1e-6 < abs(factor) < 1e6 or not equal(own, factor * right):
        return ""
    is_single = np.count_nonzero(right) == 1
    whole, part = round(factor), round(1 / factor)
    if whole == -1 and abs(factor + 1) < 1e-2:
        return "wrong sign"
    telling = {*range(2, FEW_ELEMENTS + 1), *counts}
    if abs(whole) > 1 and abs(factor / whole - 1) < 1e-3 and (not is_single or whole in telling):
        times = "twice" if whole == 2 else f"{format_number(whole)} times"
        return f"{times} the right one{why_more(whole, times, adds_up, counts)}"
    if abs(part) > 1 and abs(factor * part - 1) < 1e-3 and (not is_single or part in telling):
        why = ": is a mean taken where a sum should be?" if part in counts else ""
        share = "half" if part == 2 else f"{'1' if part > 0 else '−1'}/{abs(part)} of"
        return f"{share} the right one{why}"
    return "" if is_single else f"{format_number(factor)} times the right one"


def why_more(factor: int, times: str, adds_up: bool, counts: Collection[int]) -> str:
    """What makes a result larger by a whole factor: what may be forgotten, as the end of a sentence."""
    forgotten = [f"is the 1/{factor} of a mean missing"] if factor in counts else []
    if adds_up and factor > 1:
        forgotten.append(f"did backward() run {times} without zero_grad()")
    return f": {', or '.join(forgotten)}?" if forgotten else ""


def relation_hint(own: ndarray, right: ndarray, equal: Equality) -> str:
    """Whether an array is a function of the right one; of a single number that may be chance."""
    if np.unique(right).size > 1 and np.isfinite(right).all():
        for name, function in RELATED.items():
            if equal(own, function(right)):
                return f"{name} of the right one"
    return ""


def elements_hint(own: ndarray, right: ndarray, equal: Equality) -> str:
    """How many elements are wrong, or by how much a number is, if it is close."""
    if not np.isfinite(own).all() and np.isfinite(right).all():
        return "NaN or ∞"
    if right.size == 1:
        share = abs(float(own.item()) / float(right.item()) - 1) if right.any() else 1.0
        return f"off by {format_number(100 * share, 2)}%" if share < 0.01 else ""
    count = int(np.sum(~equal.each(own, right)))
    what = "wrong signs" if equal(np.abs(own), np.abs(right)) else "wrong"
    return f"{what} in {count:,} of {right.size:,} elements"


def furthest(own: ndarray, right: ndarray) -> tuple[int, ...]:
    """Where two arrays differ most."""
    gaps = np.abs(own.astype(np.float64) - right.astype(np.float64))
    gaps[(own == right) | (np.isnan(own) & np.isnan(right))] = 0  # ∞ − ∞ too
    gaps[np.isnan(gaps)] = np.inf
    return tuple(int(i) for i in np.unravel_index(np.argmax(gaps), gaps.shape))


def wrong_upstream(card: Card, verdicts: dict[Card, Verdict]) -> list[str]:
    """The names of the results with wrong gradients from which this one follows by the right rules; else []."""
    own, arrived = verdicts[card].own, []
    wires = card.contributions()
    wrong = [t for t in dict.fromkeys(wire.target for wire in wires) if t in verdicts and verdicts[t].status == "wrong"]
    if own is None or own.shape != card.shape or not wrong:
        return []
    for wire in wires:
        verdict = verdicts.get(wire.target)
        gradient = wire.target.gradient if verdict is None else verdict.own
        if gradient is None or gradient.shape != wire.target.shape:
            return []
        arrived.append(hand_back(wire, gradient.astype(wire.target.value.dtype)[()]))
    with np.errstate(all="ignore"):
        follows = Equality(own, verdicts[card].right, largest(arrived))(own, np.sum(arrived, axis=0))
    return [shorten(target.name, 16) for target in wrong] if follows else []


def verdict_counts(verdicts: Sequence[Verdict]) -> str:
    """ "✓ 3 right, ✗ 1 wrong, ○ 1 not set", without what there is none of."""
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in MARKS}
    return ", ".join([f"{MARKS[status]} {count:,} {status}" for status, count in counts.items() if count])


def verdict_text(verdict: Verdict, precision: int = 3, brief: int = 0) -> str:
    """A verdict in one line: "✗ .grad 4: wrong sign". `brief` leaves out numbers of arrays (1) and explanations (2)."""
    if verdict.status == "not set":
        return f"{verdict.mark} .grad not set"
    hint = verdict.hint.partition(":")[0] if brief > 1 else verdict.hint
    if verdict.status == "right":
        return f"{verdict.mark} .grad {hint}".rstrip()
    shown = verdict.own is not None and (not brief or verdict.own.size == 1)
    own = f" {format_array(verdict.own, precision)}" if shown and verdict.own is not None else ""
    reasons = "; ".join(filter(None, [hint, "" if brief else verdict.difference(precision)]))
    return f"{verdict.mark} .grad{own}" + (f": {reasons}" if reasons else "")
