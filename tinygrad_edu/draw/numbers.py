"""How numbers, products, shapes and arrays are written: in pictures, trees, worked solutions and steps alike.

Three significant digits are enough to follow a computation and few enough to read at a glance. An exact zero is `0`, so
that nobody takes it for a small number: a blocked gradient and a vanishing one are different lessons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

__all__ = [
    "FEW_ELEMENTS", "MINUS", "SMALL", "Number", "as_numbers", "format_array", "format_count", "format_mean",
    "format_nested", "format_number", "format_product", "format_shape", "format_size", "format_statistics",
    "format_sum", "gradient_norm",
]  # fmt: skip

MINUS = "\u2212"
SMALL = 8  # elements that are printed one by one
FEW_ELEMENTS = 4  # elements that are said one by one, or stand in an equation

Number = complex | np.generic | ndarray  # bool, int, float, complex, NumPy's scalars, or an array of one element


def as_numbers(x: ArrayLike) -> ndarray:
    """An array or a number as an array; a whole number too large for NumPy's integers as a float."""
    return np.asarray(float(x) if isinstance(x, int) and abs(x) >= 2**63 else x)


def format_number(x: Number, precision: int = 3, latex: bool = False) -> str:
    """One number, rounded to `precision` significant digits: "−0.538", "12", "1.23e−5", "∞", "NaN", "true".

    Integers below a million are printed in full. LaTeX has an ASCII minus, and powers of ten with \\cdot.
    """
    value = x.item() if isinstance(x, (ndarray, np.generic)) else x
    x = value.real if isinstance(value, complex) else value
    if isinstance(x, bool) or x != x:
        text = "NaN" if x != x else str(x).lower()
        return rf"\mathrm{{{text}}}" if latex else text
    if abs(x) == math.inf:
        infinity = r"\infty" if latex else "∞"
        text = infinity if x > 0 else f"-{infinity}"
    else:
        text = str(int(x)) if x == int(x) and abs(x) < 1e6 else f"{x:.{precision}g}"
        if "e+" in text and abs(float(text)) < 1e6:
            text = str(int(float(text)))
        mantissa, _, exponent = text.partition("e")
        if exponent:
            text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if latex else f"{mantissa}e{int(exponent)}"
    return text if latex else text.replace("-", MINUS)


def format_factor(x: Number, precision: int = 3) -> str:
    """A number as a second operand: in brackets if it begins with a minus."""
    text = format_number(x, precision)
    return f"({text})" if text[0] == MINUS else text


def format_product(a: Number, b: Number, precision: int = 3) -> str:
    """What goes over a wire between single numbers: "−4 · 1 = −4", "1 · (−4) = −4"."""
    with np.errstate(all="ignore"):
        result = np.asarray(a)[()] * np.asarray(b)[()]
    return f"{format_number(a, precision)} · {format_factor(b, precision)} = {format_number(result, precision)}"


def format_sum(parts: Sequence[Number], precision: int = 3) -> str:
    """A sum, written out: "3 + 3", "1 + (−2)"."""
    return " + ".join([format_number(parts[0], precision), *(format_factor(x, precision) for x in parts[1:])])


def format_mean(array: ndarray, precision: int = 3) -> str:
    """The mean of an array, or "≈0" if it is only rounding: its digits differ from processor to processor.

    The gradients that softmax and cross-entropy hand to the logits add up to 0; in float32 some 1e-10 is left.
    """
    wide = np.result_type(array.dtype, np.float64)
    average = array.mean(dtype=wide)
    size = np.sqrt(np.square(array, dtype=wide).mean())
    rounding = np.finfo(array.dtype).eps * size if array.dtype.kind == "f" else 0
    return "≈0" if 0 < abs(average) < rounding else format_number(average, precision)


def format_statistics(array: ndarray, precision: int = 3) -> tuple[str, str]:
    """("mean 0.35 std 0.539", "min −0.5 max 1.3") of all finite elements; the deviation divides by their number.

    The second also counts the elements that are not finite, "min 0 max 1 NaN 2 ∞ 1". Without a finite element the first
    is empty, and the second has the counts alone.
    """
    if array.dtype == bool:
        array = array.astype(np.int64)
    finite = array[np.isfinite(array)]
    counts = {"NaN": np.isnan(array).sum(), "∞": np.isinf(array).sum()}
    odd = [f"{name} {count}" for name, count in counts.items() if count]
    if not finite.size:
        return "", " ".join(odd)
    with np.errstate(all="ignore"):
        spread = finite.std(dtype=np.result_type(finite.dtype, np.float64))
        mean = format_mean(finite, precision)
        std, low, high = [format_number(x, precision) for x in (spread, finite.min(), finite.max())]
    return f"mean {mean} std {std}", " ".join([f"min {low} max {high}", *odd])


def format_shape(shape: tuple[int, ...]) -> str:
    """A shape, "[4×2]"; empty for a single number, whose shape is ()."""
    return f"[{'×'.join(map(str, shape))}]" if shape else ""


def format_array(array: ndarray, precision: int = 3, brief: int = 0) -> str:
    """A small array in full, "[[1, 2], [0, 4]]"; a larger one as "0 everywhere", or mean, deviation and extremes.

    With `brief=1` every array counts as large, and the extremes are left out; with 2 the deviation too.
    """
    if array.size > (1 if brief else SMALL):
        if (array == array.flat[0]).all():
            return f"{format_number(array.flat[0], precision)} everywhere"
        spread, extremes = format_statistics(array, precision)
        texts = f"{spread}, {extremes}", spread, spread.partition(" std ")[0]
        return texts[brief] if spread else extremes
    return format_nested(array.tolist(), precision)


def format_nested(values: Number | list[Any], precision: int, latex: bool = False) -> str:
    if isinstance(values, list):
        return f"[{', '.join([format_nested(value, precision, latex) for value in values])}]"
    return format_number(values, precision, latex)


def format_count(count: int, word: str) -> str:
    """A count with its word: "1 op", "4,096 weights"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def gradient_norm(gradient: ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))


def format_size(gradient: ndarray, precision: int = 3) -> str:
    """A gradient in one number: itself, with its sign, if it is one, else its norm: "−0.538", "‖·‖ 0.538"."""
    if gradient.size == 1:
        return format_number(gradient, precision)
    return f"‖·‖ {format_number(gradient_norm(gradient), precision)}"
