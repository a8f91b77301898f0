"""Derivatives as sums of products, tidied as a textbook would write them.

A local derivative arrives as text, `2·(y − a)` or `σ(z)(1 − σ(z))`. Here it becomes a sum of terms, a term being a
coefficient, factors and divisors, so that factors can be multiplied, cancelled and collected, and written again, in
Unicode or LaTeX. What a factor says does not matter, only whether two are the same.

The hard idea is that tensors must not be called by their names while this goes on, for names may contain anything:

    x = Tensor(2.0, name="σ(1 − b)")    # one factor, though it looks like a function

So each stands as a single character of a private plane of Unicode, its atom, until the text is finished.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction

from tinygrad_edu.draw.numbers import MINUS, number

Factors = tuple[str, ...]
Sum = dict[tuple[Factors, Factors], Fraction]  # (factors, divisors) -> coefficient

FIRST_ATOM, LAST_ATOM = 0xF0000, 0x10FFFD
ATOM = f"[{chr(FIRST_ATOM)}-{chr(LAST_ATOM)}]"
ONE: Sum = {((), ()): Fraction(1)}
OPEN, CLOSE = "([{", ")]}"
POWERS = {"²": 2, "³": 3}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
NUMBER = re.compile(rf"\d+(\.\d+)?(e{MINUS}?\d+)?")

LATEX = {
    "·": r" \cdot ",
    "⊙": r" \odot ",
    "×": r" \times ",
    "@": r"\,@\,",
    MINUS: "-",
    "∂": r"\partial ",
    "σ": r"\sigma ",
    "Σ": r"\sum ",
    "∞": r"\infty ",
    "≥": r" \geq ",
    "≤": r" \leq ",
    "≠": r" \neq ",
    "²": "^{2}",
    "³": "^{3}",
    "ᵀ": r"^{\top}",
    "⋯": r"\cdots ",
    "…": r"\ldots ",
    "←": r" \leftarrow ",
    "\\": r"\backslash ",
} | {c: f"\\{c}" for c in "&%_#${}"}
FUNCTIONS = {"tanh", "exp", "log", "sin", "cos", "max", "min"}


def parse(text: str) -> Sum:
    """A formula as a sum of terms; what is not understood is one factor."""
    total: Sum = {}
    for sign, term in signed_terms(text.strip()):
        total = plus(total, scaled(parse_term(term), sign))
    return total


def levels(text: str) -> Iterator[tuple[int, str, int]]:
    """Each character with its place and the number of brackets around it, which do not enclose themselves."""
    depth = 0
    for i, c in enumerate(text):
        depth -= c in CLOSE
        yield i, c, depth
        depth += c in OPEN


def signed_terms(text: str) -> list[tuple[int, str]]:
    """The terms of a sum, each with 1 or -1."""
    terms, sign, start = [], 1, 0
    for i, c, depth in levels(text):
        if depth or c not in ("+", MINUS) or re.search(r"\^$|\de$", text[max(i - 2, 0) : i]):
            continue
        before = text[start:i].strip()
        if before.endswith(("·", "⊙", "/")):
            continue
        if before:
            terms.append((sign, before))
            sign = 1
        sign, start = (-sign if c == MINUS else sign), i + 1
    return [*terms, (sign, text[start:].strip())]


def parse_term(text: str) -> Sum:
    """A product of factors and divisors."""
    result, start, divide = ONE, 0, False
    ends = [(i, c) for i, c, depth in levels(text) if depth == 0 and c in "·⊙/"]
    for i, c in [*ends, (len(text), "")]:
        for part in juxtaposed(text[start:i].strip()):
            result = times(result, reciprocal(parse_factor(part)) if divide else parse_factor(part))
        start, divide = i + 1, c == "/"
    return result


def juxtaposed(text: str) -> list[str]:
    """Factors that follow each other without a sign: 2(y − a), σ(z)(1 − σ(z))."""
    leading = NUMBER.match(text)
    if leading and re.match(rf"[(√]|[^\W\d_]|{ATOM}", text[leading.end() :]):
        return [leading.group(), *juxtaposed(text[leading.end() :])]
    for i, c, depth in levels(text):
        if depth == 0 and c == "(" and re.search(rf"([)\]]|{ATOM})[²³]?$", text[max(i - 2, 0) : i]):
            return [text[:i], *juxtaposed(text[i:])]
    return [text]


def parse_factor(text: str) -> Sum:
    """A number, a power, something in brackets, or anything else as it is."""
    if NUMBER.fullmatch(text):
        value = Fraction(text.replace(MINUS, "-"))
        return {((), ()): value} if value else {}
    if text.startswith(MINUS):
        return scaled(parse_factor(text[1:]), -1)
    if text[-1:] in POWERS and (in_brackets(text[:-1]) or re.fullmatch(ATOM, text[:-1])):
        base, result = parse_factor(text[:-1]), ONE
        for _ in range(POWERS[text[-1]]):
            result = times(result, base)
        return result
    if in_brackets(text):
        inside = parse(text[1:-1])
        return inside if len(inside) == 1 else {((text,), ()): Fraction(1)}
    return {((text,), ()): Fraction(1)}


def in_brackets(text: str) -> bool:
    """Whether one pair of round brackets encloses all of it."""
    last = len(text) - 1
    return text[:1] == "(" and text[-1] == ")" and all(depth > 0 for i, _, depth in levels(text) if 0 < i < last)


def plus(a: Sum, b: Sum) -> Sum:
    """a + b, like terms collected."""
    total = dict(a)
    for key, coefficient in b.items():
        total[key] = total.get(key, Fraction(0)) + coefficient
        if not total[key]:
            del total[key]
    return total


def scaled(a: Sum, by: Fraction | int) -> Sum:
    """by * a."""
    return {key: coefficient * by for key, coefficient in a.items()} if by else {}


def times(a: Sum, b: Sum) -> Sum:
    """a * b; a sum of several terms becomes one factor in brackets, unless the other is a number."""
    if not a or not b:
        return {}
    for x, y in ((a, b), (b, a)):
        if x.keys() == ONE.keys():
            return scaled(y, next(iter(x.values())))
    ((over, under), c), ((over2, under2), c2) = single(a), single(b)
    above, below = Counter(over + over2), Counter(under + under2)
    return {(tuple((above - below).elements()), tuple((below - above).elements())): c * c2}


def reciprocal(a: Sum) -> Sum:
    """1 / a."""
    (over, under), c = single(a)
    return {(under, over): 1 / c} if c else {(("∞",), ()): Fraction(1)}


def single(a: Sum) -> tuple[tuple[Factors, Factors], Fraction]:
    """A sum as one term."""
    if len(a) == 1:
        return next(iter(a.items()))
    return (((f"({written(a)})",), ()), Fraction(1)) if a else (((), ()), Fraction(0))


def without(a: Sum, factor: str) -> Sum | None:
    """a / factor, or None if it is not a factor of every term, once."""
    result: Sum = {}
    for (over, under), c in a.items():
        rest = [text for text in over if text != factor]
        if len(rest) != len(over) - 1 or any(factor in text for text in (*rest, *under)):
            return None
        result = plus(result, {(tuple(rest), under): c})
    return result


def written(a: Sum, latex: bool = False) -> str:
    """The sum as a formula."""
    text, minus = "", "-" if latex else MINUS
    for (over, under), c in a.items():
        sign = (minus if c < 0 else "") if not text else f" {minus} " if c < 0 else " + "
        text += sign + written_term(over, under, abs(c), latex)
    return text or "0"


def written_term(over: Factors, under: Factors, c: Fraction, latex: bool) -> str:
    """A product without its sign."""
    decimal = number(float(c), 6, latex)
    exact = NUMBER.fullmatch(decimal) and "e" not in decimal and Fraction(decimal) == c
    if c.denominator > 1000 or (c.denominator != 1 and exact and not under):
        c, over = Fraction(1), (decimal, *over)
    above = product([str(c.numerator)] * (c.numerator != 1) + list(over), latex)
    divisors = [str(c.denominator)] * (c.denominator != 1) + list(under)
    below = product(divisors, latex)
    if not divisors:
        return above
    if latex:
        return rf"\frac{{{above}}}{{{below}}}"
    return f"{above} / {below if len(set(divisors)) == 1 else f'({below})'}"


def product(factors: list[str], latex: bool) -> str:
    """Factors one after another, repeated ones as powers."""
    text = ""
    for factor, n in Counter(factors).items():
        base, power = factor, ""
        if n > 1:
            base = factor if in_brackets(factor) or re.fullmatch(ATOM, factor) else f"({factor})"
            power = f"^{{{n}}}" if latex else str(n).translate(SUPERSCRIPTS)
        joined = factor[0] == "(" and (not text or text[-1] == ")" or NUMBER.fullmatch(text) is not None)
        sign = r" \, " if latex and NUMBER.fullmatch(text) else r" \cdot " if latex else "·"
        text += ("" if joined or not text else sign) + (in_latex(base) if latex else base) + power
    return text or "1"


def tidy(text: str) -> str:
    """Without double brackets, and without brackets around a single atom that no function stands before."""
    text = re.sub(rf"(?<![\w√^|])\(({ATOM})\)", r"\1", text)
    while True:
        closing: dict[int, int] = {}
        waiting = []
        for i, c in enumerate(text):
            if c == "(":
                waiting.append(i)
            elif c == ")" and waiting:
                closing[waiting.pop()] = i
        twice = next((i for i, j in closing.items() if closing.get(i + 1) == j - 1), None)
        if twice is None:
            return text
        j = closing[twice]
        text = text[:twice] + text[twice + 1 : j] + text[j + 1 :]


def in_latex(text: str) -> str:
    """A formula of Unicode in LaTeX, atoms left as they are."""
    parts, i = [], 0
    while i < len(text):
        word = re.compile(r"[A-Za-z][A-Za-z0-9]*(?: [A-Za-z][A-Za-z0-9]*)*").match(text, i)
        if text[i] in "√^" and i + 1 < len(text):
            inside = argument(text, i + 1)
            shown = in_latex(inside[1:-1] if in_brackets(inside) else inside)
            parts.append((r"\sqrt" if text[i] == "√" else "^") + f"{{{shown}}}")
            i += 1 + len(inside)
        elif word:
            name = word.group()
            power = name == "e" and text[i + 1 : i + 2] == "^"
            parts.append(name if power else rf"\{name} " if name in FUNCTIONS else upright(name))
            i += len(name)
        else:
            parts.append(LATEX.get(text[i], text[i]))
            i += 1
    return "".join(parts).replace(" (", "(")


def argument(text: str, start: int) -> str:
    """What a root or a power refers to: brackets, a number or one character."""
    if found := re.compile(rf"{MINUS}?\d+(\.\d+)?").match(text, start):
        return found.group()
    if text[start] == "(":
        end = next((i for i, c, depth in levels(text[start:]) if c == ")" and depth == 0), len(text))
        return text[start : start + end + 1]
    return text[start]


def upright(words: str) -> str:
    """Words in LaTeX."""
    escaped = "".join([r"\ " if c == " " else LATEX.get(c, c) for c in words])
    return rf"\mathrm{{{escaped}}}"


def name_in_latex(name: str) -> str:
    """A tensor's name: x, W_{1}, and everything longer upright."""
    if found := re.fullmatch(r"(.+?)([₀-₉]+)", name):
        base, digits = name_in_latex(found[1]), "".join([str("₀₁₂₃₄₅₆₇₈₉".index(c)) for c in found[2]])
        return f"{{{base}}}_{{{digits}}}" if "_" in base else f"{base}_{{{digits}}}"
    if found := re.fullmatch(r"([A-Za-z])_?(\d*)", name):
        return found[1] + (f"_{{{found[2]}}}" if found[2] else "")
    return upright("".join([c if c.isprintable() and c not in "^~" else " " for c in name]))


def with_names(text: str, names: Mapping[str, str]) -> str:
    """The text with each atom replaced by a name."""
    return re.sub(ATOM, lambda found: names.get(found.group(), found.group()), text)
