"""How Terms are written: in Unicode for pictures and terminals, in LaTeX for papers.

Every text has a precedence, so that brackets stand where they are needed and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from tinygrad_edu.draw.numbers import MINUS, number as number_text
from tinygrad_edu.draw.terms import Term

PHRASE, SUM, PRODUCT, POWER, ATOM = range(5)
Text = tuple[str, int]
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
UNICODE = {"log": "log", "sigmoid": "\u03c3", "relu": "ReLU", "maximum": "max", "minimum": "min"}
LATEX = {name: rf"\{name}" for name in ("log", "sin", "cos", "tanh")}
LATEX |= {"sigmoid": r"\sigma", "maximum": r"\max", "minimum": r"\min"}
SIGNS = {"≥": r"\geq", "≤": r"\leq", "≠": r"\neq", "or": r"\vee", "and": r"\wedge"}


def name_precedence(text: str) -> int:
    """The precedence of a text that came from outside: "y + a" needs brackets where "h" does not."""
    depth, outside = 0, ""
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        outside += "" if depth or c in ")]}" else c
    if outside[:1] in ("-", MINUS) or any(sign in outside for sign in (" + ", " - ", f" {MINUS} ", " of ")):
        return SUM
    if any(sign in outside for sign in ("·", "⊙", "/", "@", "\\cdot", "\\odot")):
        return PRODUCT
    return POWER if "^" in outside or outside[-1:] in "²³⁴⁵⁶⁷⁸⁹ᵀ" else ATOM


def broadcasts(x: ndarray, whole: ndarray) -> bool:
    """Whether NumPy makes the whole of x by itself: of a row, but not of a column that has lost its second axis."""
    try:
        return np.array_equal(np.broadcast_to(x, whole.shape), whole, equal_nan=whole.dtype.kind == "f")
    except ValueError:
        return False


class Notation:
    """Writes Terms, in Unicode or in LaTeX."""

    def __init__(self, latex: bool) -> None:
        self.latex = latex

    def write(self, term: Term) -> str:
        """The text of a whole formula; that it is copied along axes goes without saying where NumPy would do that."""
        whole = term.value
        while term.kind == "broadcast" or (term.kind == "expand" and broadcasts(term.parts[0].value, whole)):
            term = term.parts[0]
        return self.text(term)[0]

    def text(self, term: Term) -> Text:
        """A Term's text and its precedence."""
        write = getattr(self, {"+": "plus", "-": "minus", "@": "at"}.get(term.kind, term.kind))
        result: Text = write(*term.parts)
        return result

    def within(self, term: Term, least: int) -> str:
        """The text as part of another, in brackets if it binds less than that asks for."""
        text, precedence = self.text(term)
        return text if precedence >= least else f"({text})"

    def words(self, text: str) -> str:
        """Plain words."""
        escaped = text.replace("_", r"\_").replace(" ", r"\ ").replace(":", "{:}")  # the colon of a slice, no relation
        return rf"\mathrm{{{escaped}}}" if self.latex else text

    def name(self, text: str, position: int) -> Text:
        """A name that the caller gave."""
        return text, name_precedence(text)

    def number(self, x: float) -> Text:
        """A number."""
        text = number_text(x, latex=self.latex)
        return text, SUM if text[0] in "-" + MINUS else PRODUCT if "cdot" in text else ATOM

    def product(self, coefficient: float, tops: Sequence[Term], bottoms: Sequence[Term]) -> Text:
        """A number, factors, and divisors below a line or behind a slash."""
        leading = [self.number(abs(coefficient))[0]] if abs(coefficient) != 1 or not tops else []
        text = self.factors(leading, tops, PRODUCT)
        if bottoms and self.latex:
            above, below = (
                self.text(terms[0])[0] if len(terms) == 1 and not given else self.factors(given, terms, PRODUCT)
                for given, terms in ((leading, tops), ([], bottoms))
            )
            text = rf"\frac{{{above}}}{{{below}}}"
        elif bottoms:
            below = self.factors([], bottoms, POWER)
            text += f" / {below}" if len(bottoms) == 1 else f" / ({below})"
        minus = "-" if self.latex else MINUS
        return (minus + text, SUM) if coefficient < 0 else (text, PRODUCT)

    def factors(self, leading: list[str], terms: Sequence[Term], least: int) -> str:
        """Factors with the signs between them."""
        text, arrays = "".join(leading), False
        for term in terms:
            factor = self.within(term, ATOM if term.kind == "@" and len(terms) > 1 else least)
            several = term.value.size != 1
            text = text + self.times(text, factor, arrays and several) if text else factor
            arrays = arrays or several
        return text

    def times(self, left: str, right: str, arrays: bool) -> str:
        """The right factor with the sign before it: 2·a, a · b, a ⊙ b, 2(y - a)."""
        if arrays:
            return rf" \odot {right}" if self.latex else f" ⊙ {right}"
        digits = left.replace(".", "").isdigit()
        if right[0] == "(" and (digits or (left[-1] == ")" and not right.startswith(("(sum", r"(\mathrm")))):
            return right
        if self.latex:
            return rf" \cdot {right}"
        return f"·{right}" if digits and right[0] != "√" else right if digits else f" · {right}"

    def outer(self, x: Term, y: Term) -> Text:
        """An outer product."""
        sign = r"\otimes" if self.latex else "⊗"
        return f"{self.within(x, ATOM)} {sign} {self.within(y, ATOM)}", PRODUCT

    def plus(self, x: Term, y: Term) -> Text:
        """A sum."""
        return f"{self.within(x, SUM)} + {self.within(y, SUM)}", SUM

    def minus(self, x: Term, y: Term) -> Text:
        """A difference."""
        return f"{self.within(x, SUM)} {'-' if self.latex else MINUS} {self.within(y, PRODUCT)}", SUM

    def at(self, x: Term, y: Term) -> Text:
        """A matrix product."""
        left, sign = self.within(x, PRODUCT if x.kind == "@" else POWER), r"\,@\," if self.latex else "@"
        return f"{left} {sign} {self.within(y, POWER)}", PRODUCT

    def power(self, x: Term, y: Term) -> Text:
        """A power; a whole exponent is raised."""
        exponent = self.text(y)[0]
        if y.kind == "number" and not self.latex and exponent.isdigit():
            raised = exponent.translate(RAISED)
        else:
            raised = f"^{{{exponent}}}" if self.latex else f"^{self.within(y, ATOM)}"
        if x.kind == "function" and x.parts[0] in ("sin", "cos", "tanh") and y.kind == "number":
            return f"{self.function_name(x.parts[0])}{raised}({self.text(x.parts[1])[0]})", ATOM
        return self.within(x, ATOM) + raised, POWER

    def compare(self, sign: str, x: Term, y: Term) -> Text:
        """A comparison in Iverson's bracket: 1 where it holds, else 0."""
        return f"[{self.condition(sign, x, y)}]", ATOM

    def condition(self, sign: str, x: Term, y: Term) -> str:
        """A comparison without its bracket; one within another needs none."""
        sides = [self.condition(*z.parts) if z.kind == "compare" else self.within(z, SUM) for z in (x, y)]
        return f"{sides[0]} {SIGNS.get(sign, sign) if self.latex else sign} {sides[1]}"

    def truth(self, x: Term, positive: bool) -> Text:
        """A mask in the same bracket."""
        return f"[{'' if positive else self.words('not ')}{self.text(x)[0]}]", ATOM

    def function_name(self, name: str) -> str:
        """A function's usual sign."""
        return LATEX.get(name) or self.words(UNICODE.get(name, name)) if self.latex else UNICODE.get(name, name)

    def function(self, name: str, *args: Term | str) -> Text:
        """A function of Terms; texts among the arguments are printed as they are."""
        texts = [x if isinstance(x, str) else self.text(x)[0] for x in args]
        first = args[0] if args and isinstance(args[0], Term) else None
        if name == "exp" and first is not None:
            return (f"e^{{{texts[0]}}}" if self.latex else f"e^{self.within(first, ATOM)}"), POWER
        if name == "sqrt" and first is not None:
            return (rf"\sqrt{{{texts[0]}}}" if self.latex else f"√{self.within(first, ATOM)}"), POWER
        if name == "abs":
            return f"|{texts[0]}|", ATOM
        texts = [self.words(x) if isinstance(a, str) else x for a, x in zip(args, texts, strict=True)]
        return f"{self.function_name(name)}({', '.join(texts)})", ATOM

    def T(self, x: Term) -> Text:
        """A transpose."""
        return self.within(x, ATOM) + (r"^\top" if self.latex else "ᵀ"), POWER

    def permuted(self, x: Term, order: tuple[int, ...]) -> Text:
        """Axes in another order."""
        return f"{self.within(x, ATOM)}{self.words(f' with axes {order}')}", PHRASE

    def expand(self, x: Term, index: str) -> Text:
        """New axes, as NumPy writes them."""
        return self.index(x, index)

    def index(self, x: Term, index: str) -> Text:
        """An element or a part."""
        return self.within(x, ATOM) + self.words(index), ATOM

    def broadcast(self, x: Term) -> Text:
        """Copies along axes, which are not written."""
        return self.text(x)

    def reshape(self, x: Term, shape: tuple[int, ...]) -> Text:
        """Another shape."""
        return f"{self.within(x, ATOM)}{self.words(f' as {shape}')}", PHRASE

    def scatter(self, x: Term, where: str) -> Text:
        """Elements at their places among zeros."""
        return f"{self.within(x, ATOM)}{self.words(f' {where}')}", PHRASE

    def pooled(self, x: Term, where: str) -> Text:
        """What each window of a pooling hands back, and to which of its elements."""
        return f"{self.within(x, PRODUCT)}{self.words(f' {where}')}", PHRASE

    def sum(self, x: Term, words: str) -> Text:
        """A sum over axes, in words."""
        return f"{self.words(words + ' ')}{self.within(x, PRODUCT)}", PHRASE
