"""What differs between an answer and what was expected: numbers by their verdict, containers part by part.

A part is found by its place, as Python writes it: "['w'][0]".
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.numbers import SMALL, format_array, format_count, format_number, format_shape
from tinygrad_edu.draw.verdict import Verdict, judge
from tinygrad_edu.engine import plain
from tinygrad_edu.structure import is_numbers
from tinygrad_edu.tensor import Tensor

__all__ = ["Finding", "compare", "explain"]

SAMPLES = 5  # arguments with which functions are compared
LONGEST = 60  # characters of an answer that are repeated
PERMUTED = 4  # parts of which every order is tried
Numbers = (int, float, complex, np.generic, ndarray, Tensor)


@dataclass(frozen=True)
class Finding:
    """What is found about an answer, or a part of it."""

    is_right: bool
    own: str = ""  # the answer as a message repeats it; "" if it would be long
    hint: str = ""  # what went wrong; of a right one, that it is rounded
    place: str = ""  # of the part


def compare(
    own: Any, right: Any, place: str = "", *, terms: Sequence[Any] = (), at: Iterable[Any] = ()
) -> list[Finding]:
    """A finding for each part of what was expected.

    Args:
        own: The answer.
        right: What was expected.
        place: Of both in what they are parts of.
        terms: What `right` is the sum of, so that a forgotten term is told.
        at: Arguments with which functions are compared.
    """
    if own is None and right is not None:
        return [Finding(False, "None", "no value; is a return missing, or is it still to be set?", place)]
    if own is Ellipsis:
        return [Finding(False, "...", "still to be filled in", place)]
    if callable(right) and not isinstance(right, (type, Tensor)):
        return [compare_functions(own, right, place, list(at))]
    if callable(own) and not isinstance(own, (type, Tensor)):
        return [Finding(False, describe(own), "a function, not its result: call it, with ( ) and its arguments", place)]
    if isinstance(right, Mapping):
        return compare_mappings(own, right, place)
    if isinstance(right, (list, tuple)) and not is_array(right):
        return compare_sequences(own, right, place)
    if isinstance(right, (*Numbers, list)) and not isinstance(right, (bool, np.bool_)):
        return [compare_numbers(own, right, place, terms)]
    return [compare_others(own, right, place)]


def is_array(right: Sequence[Any]) -> bool:
    """Whether a list of numbers is one array; a tuple is several results."""
    return isinstance(right, list) and is_numbers(right) and isinstance(gather(right), ndarray)


def describe(own: Any) -> str:
    """An answer on one short line; "" if it takes more."""
    own = plain(own)
    if isinstance(own, (ndarray, np.generic)) and own.dtype.kind in "fiub":
        return format_array(np.asarray(own), 4) if own.size <= SMALL else ""
    if isinstance(own, float):
        return format_number(own, 4)
    if callable(own):
        return getattr(own, "__name__", type(own).__name__).replace("<lambda>", "")
    if isinstance(own, (list, tuple)) and all(isinstance(x, Numbers) for x in own):
        return describe_sequence(own)
    text = repr(own)
    return text if len(text) <= LONGEST and "\n" not in text else ""


def describe_sequence(own: Sequence[Any]) -> str:
    """A list or tuple of numbers as Python writes it, each of them rounded."""
    parts = [describe(x) for x in own]
    text = ", ".join(parts) + ("," if isinstance(own, tuple) and len(own) == 1 else "")
    if not all(parts) or len(text) > LONGEST:
        return ""
    return f"[{text}]" if isinstance(own, list) else f"({text})"


def compare_numbers(own: Any, right: Any, place: str, terms: Sequence[Any]) -> Finding:
    """Numbers and arrays of numbers."""
    array = np.asarray(plain(right))
    if isinstance(own, (list, tuple)):
        missing = next((i for i, x in enumerate(own) if x is None or x is Ellipsis), None)
        if missing is not None:
            return compare(own[missing], 0.0, f"{place}[{missing}]")[0]
        own = gather(own)
    if array.dtype.kind not in "fiub":
        same = equal_others(plain(own), array)
        return Finding(same, describe(own), "" if same else f"not the right {array.dtype} values", place)
    counts = {n for n in (array.size, *array.shape) if n > 2}
    found = judge(own, array, [np.asarray(plain(term)) for term in terms], adds_up=False, counts=counts)
    if found.status == "right":
        return Finding(True, describe(own), found.hint, place)
    says_it = found.hint == "still 0" and array.ndim == 0 and not place  # "0 is not right"
    return Finding(False, describe(own), "" if says_it else explain(found, bool(len(terms))), place)


def equal_others(own: Any, right: ndarray) -> bool:
    """Whether complex numbers, times or strings agree; NaN agrees with NaN, and NaT with NaT."""
    try:
        own = np.asarray(own)
    except ValueError:  # a list of lists of different lengths
        return False
    if own.shape != right.shape or (own.dtype.kind != right.dtype.kind and own.dtype.kind not in "fiub"):
        return False
    if right.dtype.kind == "c":
        return bool(np.allclose(own, right, rtol=1e-5, equal_nan=True))
    return bool(np.array_equal(own, right, equal_nan=right.dtype.kind in "mM"))


def gather(own: Sequence[Any]) -> Any:
    """A list of numbers, some of which may be Tensors, as an array; itself if its parts have different shapes."""
    try:
        return np.asarray([gather(x) if isinstance(x, (list, tuple)) else plain(x) for x in own])
    except ValueError:
        return own


def explain(found: Verdict, of_terms: bool = False) -> str:
    """What a verdict says of a wrong result, and where it is furthest from the right one."""
    hint = found.hint.replace("paths", "terms") if of_terms else found.hint
    alike = hint and not hint.startswith(("wrong in", "wrong signs in", "NaN"))  # all elements
    return hint if alike else "; ".join(filter(None, [hint, found.difference(4)]))


def compare_sequences(own: Any, right: Sequence[Any], place: str) -> list[Finding]:
    """Several results; numbers that are all wrong in the same way get one finding, and so do swapped ones."""
    if isinstance(own, (ndarray, Tensor)) and plain(own).ndim > max([getattr(x, "ndim", 0) for x in right], default=0):
        own = list(plain(own))
    if not isinstance(own, (list, tuple)):
        wanted = f"{len(right)} values" if len(right) != 1 else f"a {type(right).__name__} of one"
        return [Finding(False, describe(own), f"one value of type {type(own).__name__} instead of {wanted}", place)]
    if len(own) != len(right):
        return [Finding(False, describe(own), f"{format_count(len(own), 'value')} instead of {len(right)}", place)]
    found = [compare(x, y, f"{place}[{i}]") for i, (x, y) in enumerate(zip(own, right, strict=True))]
    parts = list(itertools.chain.from_iterable(found))
    if all(part.is_right for part in parts):
        return parts
    if order := order_hint(own, right):
        return [Finding(False, describe(own), order, place)]
    if all(not part.is_right for part in parts) and len({part.hint for part in parts}) == 1 and parts[0].hint:
        return [Finding(False, describe(own), parts[0].hint, place)]
    return parts


def order_hint(own: Sequence[Any], right: Sequence[Any]) -> str:
    """Whether the parts of a wrong answer would be right in another order."""
    if not 1 < len(own) <= PERMUTED:
        return ""
    fits = [[all(part.is_right for part in compare(x, y)) for y in right] for x in own]
    for order in itertools.permutations(range(len(own))):
        if all(fits[i][j] for j, i in enumerate(order)):
            moved = sum(i != j for i, j in enumerate(order))
            return (
                f"the right values, but {'two values swapped' if moved == 2 else 'in another order'}" if moved else ""
            )
    return ""


def compare_mappings(own: Any, right: Mapping[Any, Any], place: str) -> list[Finding]:
    """A dict key by key, and a key that is missing or one too many."""
    if not isinstance(own, Mapping):
        return [Finding(False, describe(own), f"type {type(own).__name__} instead of dict", place)]
    parts = []
    for key, value in right.items():
        inner = f"{place}[{key!r}]"
        parts += compare(own[key], value, inner) if key in own else [Finding(False, "", "missing", inner)]
    if own.keys() == right.keys() and (order := order_hint([own[key] for key in right], list(right.values()))):
        return [Finding(False, describe(own), order, place)]
    return parts + [Finding(False, "", "one key too many", f"{place}[{key!r}]") for key in own if key not in right]


def compare_others(own: Any, right: Any, place: str) -> Finding:
    """Strings and whatever else Python compares."""
    own = plain(own)
    same = type(own) is type(right) or not isinstance(right, str)
    if same and np.all(own == right):
        return Finding(True, place=place)
    hint = ""
    if type(own) is not type(right):
        hint = f"type {type(own).__name__} instead of {'None' if right is None else type(right).__name__}"
    elif isinstance(right, str) and "".join(own.split()).lower() == "".join(right.split()).lower():
        hint = "right but for spaces or capitals"
    return Finding(False, describe(own), hint, place)


def compare_functions(own: Any, right: Callable[..., Any], place: str, at: list[Any]) -> Finding:
    """Two functions, by what they return for the same arguments; `at` tells these, else they are numbers."""
    if not callable(own):
        return Finding(False, describe(own), f"type {type(own).__name__} instead of a function", place)
    names, samples = sample_arguments(right, at)
    expected = [right(*sample) for sample in samples]
    results: list[Any] = []
    for sample in samples:
        try:
            results.append(own(*sample))
        except Exception as error:
            if isinstance(error, NotImplementedError) and not str(error):  # the stub that a student gets
                return Finding(False, describe(own), "still to be filled in", place)
            hint = f"{write_call(names, sample)} it raises {type(error).__name__}: {error}".strip()
            return Finding(False, describe(own), hint, place)
    pairs = list(zip(results, expected, strict=True))
    first = next(((i, part) for i, (x, y) in enumerate(pairs) for part in compare(x, y) if not part.is_right), None)
    if first is None:
        return Finding(True, describe(own), place=place)
    i, part = first
    overall = overall_hint(results, expected) or swapped_hint(own, samples, expected)
    value = f"{f'result{part.place}' if part.place else 'it'} is {part.own or 'not right'}"
    if part.own not in ("", "None", "...") and not part.place and describe(expected[i]):
        value += f" instead of {describe(expected[i])}"
    reason = overall or ("" if isinstance(expected[i], (int, float)) and part.own not in ("None", "...") else part.hint)
    said = f"{write_call(names, samples[i])} {value}{f': {reason}' if reason else ''}"
    return Finding(False, describe(own), said, place)


def sample_arguments(function: Callable[..., Any], at: list[Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of a function's arguments, and samples of them: those given, else numbers for which it is finite."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    if at:
        return names, [sample if isinstance(sample, tuple) else (sample,) for sample in at]
    rng, samples = np.random.default_rng(0), []
    for _ in range(20):
        sample = tuple(np.round(rng.normal(0, 2, len(names)), 1).tolist())
        try:
            if np.isfinite(plain(function(*sample))).all():
                samples.append(sample)
        except (ArithmeticError, AttributeError, TypeError, ValueError):
            continue
    if not samples:
        raise TypeError("check: the expected function takes no numbers; give arguments to compare it with: at=[(x, y)]")
    return names, samples[:SAMPLES]


def write_call(names: Sequence[str], sample: Sequence[Any]) -> str:
    """ "at x = 2, y = −1"; of a matrix or long array "W [2×3]", of what else is long the name alone."""
    texts = []
    for name, x in itertools.zip_longest(names[: len(sample)], map(plain, sample), fillvalue=""):
        text = describe(x)
        if isinstance(x, ndarray) and (x.ndim > 1 or not text):
            texts.append(f"{name} {format_shape(x.shape)}".strip())
        elif name or text:
            texts.append(f"{name} = {text}".strip(" ="))
    return f"at {', '.join(texts)}"


def overall_hint(results: Sequence[Any], expected: Sequence[Any]) -> str:
    """What is wrong with the results of all samples alike: a sign, a factor."""
    own, right = gather(results), gather(expected)
    if not all(isinstance(x, ndarray) and x.dtype.kind in "fiub" for x in (own, right)):
        return ""
    hint = judge(own, right, adds_up=False).hint
    return "" if hint.startswith(("wrong in", "wrong signs in")) or "shape" in hint else hint


def swapped_hint(own: Callable[..., Any], samples: Sequence[Any], expected: Sequence[Any]) -> str:
    """Whether a function of two arguments takes them in the wrong order."""
    if any(len(sample) != 2 for sample in samples):
        return ""
    try:
        pairs = [(own(y, x), value) for (x, y), value in zip(samples, expected, strict=True)]
    except Exception:  # whatever an answer raises
        return ""
    return "right with its two arguments swapped" if all(f.is_right for a, b in pairs for f in compare(a, b)) else ""
