"""Terms: values that remember how they were computed, so that a rule run on them comes out as a formula; how they are
written, in Unicode for pictures and terminals, in LaTeX for papers.

Run on Terms, a rule such as `g * (1 - out * out)` returns a Term that knows "g times (1 minus out squared)". Every Term
has its value with it, so the rule takes the branches of the real call. Terms answer operators, methods, NumPy's
functions and, by `__op__`, ops; arithmetic.py and arrangement.py have these operations.

Each simplification makes a Term whose value is computed anew from what will be printed. Comparing it with what the rule
returns on arrays therefore tells whether the formula is right.

Every text has a precedence, so that brackets stand only where they are needed. A name is one factor whatever it looks
like: a tensor called "σ(1 − b)", squared, is σ(1 − b)².
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from tinygrad_edu.draw.numbers import MINUS, as_numbers, format_number
from tinygrad_edu.engine import REGISTRY, Op

__all__ = [
    "ATOM", "BUILDERS", "PHRASE", "POWER", "PRODUCT", "RAISED", "SUM", "Notation", "Shape", "Term", "TermLike", "Text",
    "as_shape", "as_term", "break_lines", "builds", "elementwise", "literal", "values_of",
]  # fmt: skip

Shape = tuple[int, ...]
BUILDERS: dict[str, Callable[..., Term]] = {}  # what makes Terms, by the names of ops and of NumPy's functions
PHRASE, SUM, PRODUCT, POWER, ATOM = range(5)  # precedences: from what binds least to what never needs brackets
Text = tuple[str, int]  # with its precedence
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
UNICODE = {"sigmoid": "\u03c3", "relu": "ReLU", "maximum": "max", "minimum": "min", "log2": "log₂", "log10": "log₁₀"}
TRIGONOMETRY = ("sin", "cos", "tan", "sinh", "cosh", "tanh")  # their powers are sin²(x)
LATEX = {name: rf"\{name}" for name in (*TRIGONOMETRY, "log", "det", "arcsin", "arccos", "arctan")}
LATEX |= {"sigmoid": r"\sigma", "maximum": r"\max", "minimum": r"\min", "log2": r"\log_{2}", "log10": r"\log_{10}"}
ROOTS = {"sqrt": ("√", r"\sqrt"), "cbrt": ("∛", r"\sqrt[3]")}
BRACKETS = {"abs": ("|", "|"), "floor": ("⌊", "⌋"), "ceil": ("⌈", "⌉"), "norm": ("‖", "‖")}
LATEX_BRACKETS = {"⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "‖": r"\| "}


class Infix(NamedTuple):
    """How a sign between two Terms is written."""

    text: str
    latex: str
    left: int  # the precedence that the left side needs to stand without brackets
    right: int
    precedence: int  # of the result


class Postfix(NamedTuple):
    """How words after a Term are written."""

    needs: int  # the precedence that the Term needs to stand without brackets
    words: str
    precedence: int  # of the result


INFIX = {
    "+": Infix("+", "+", SUM, SUM, SUM),
    "-": Infix(MINUS, "-", SUM, PRODUCT, SUM),
    "outer": Infix("⊗", r"\otimes", ATOM, ATOM, PRODUCT),
    "@": Infix("@", r"\,@\,", POWER, POWER, PRODUCT),
    "mod": Infix("mod", r"\ \mathrm{mod}\ ", POWER, POWER, PRODUCT),
}
POSTFIX = {
    "index": Postfix(ATOM, "{}", ATOM),
    "expand": Postfix(ATOM, "{}", ATOM),
    "phrase": Postfix(PRODUCT, " {}", PHRASE),
    "reshape": Postfix(ATOM, " as {}", PHRASE),
    "permuted": Postfix(ATOM, " with axes {}", PHRASE),
}
LATEX_SIGNS = {"≥": r"\geq", "≤": r"\leq", "≠": r"\neq", "or": r"\vee", "and": r"\wedge"}
UPRIGHT = {" ": r"\ ", ":": "{:}", "\\": r"\backslash ", "^": r"\ ", "~": r"\ ", MINUS: "-", "·": r"\cdot "}
UPRIGHT |= {"∂": r"\partial ", "σ": r"\sigma ", "π": r"\pi ", "Φ": r"\Phi ", "⋯": r"\cdots ", "…": r"\ldots "}
UPRIGHT |= {"\u2032": "'", '"': ""} | {c: f"\\{c}" for c in "&%_#${}"}
BREAKS = re.compile(r" (?=[-+@·⊙⊗/" + MINUS + r"] )|(?<= of) ")


def builds(*names: str, operands: int = 1) -> Callable[[Callable[..., Term]], Callable[..., Term]]:
    """Decorator: the function makes the Terms of these ops. It gets its first arguments, the operands, as Terms."""

    def decorate(function: Callable[..., Term]) -> Callable[..., Term]:
        @wraps(function)
        def build(*args: Any, **params: Any) -> Term:
            return function(*map(as_term, args[:operands]), *args[operands:], **params)

        BUILDERS.update(dict.fromkeys(names, build))
        return build

    return decorate


class Count(int):
    """A number of elements; the quotient of two is printed as a division: 2 / 16 is 1 / 8, not 0.125."""

    def __truediv__(self, other: object) -> Any:
        if not isinstance(other, int) or not other or not self:
            return int(self) / other  # type: ignore[operator]
        return BUILDERS["divide"](int(self), int(other))


def operator(name: str) -> Callable[..., Term]:
    """A method of Term, as for `x + other`, which calls the builder of this name."""
    return lambda self, *others, **params: BUILDERS[name](self, *others, **params)


def reflected(name: str) -> Callable[..., Term]:
    """A method of Term for `other + x`."""
    return lambda self, other: BUILDERS[name](other, self)


class Term:
    """A value and how it came about.

    Attributes:
        kind: What it is: "name", "number", "product", "+", "function" ...; Notation has a method, or a row in INFIX or
            POSTFIX, for each.
        parts: What it is made of: Terms or, for some kinds, texts and numbers.
        value: Its values, an array, with the same shape, ndim, dtype and size.
        key: Terms with equal keys are printed alike and mean the same.
    """

    __slots__ = ("dtype", "key", "kind", "ndim", "parts", "shape", "size", "value")

    def __init__(self, kind: str, parts: tuple[Any, ...], value: ArrayLike) -> None:
        self.kind, self.parts, self.value = kind, parts, np.asarray(value)
        self.shape, self.ndim, self.dtype = self.value.shape, self.value.ndim, self.value.dtype
        self.size = Count(self.value.size)
        self.key: tuple[Any, ...] = (kind, *map(part_key, parts))

    @property
    def T(self) -> Term:
        return BUILDERS["transpose"](self)

    @property
    def mT(self) -> Term:
        return self.swapaxes(-1, -2)

    def __array__(self, *args: object, **kwargs: object) -> ndarray:
        raise TypeError("a Term is not an array")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            raise TypeError(f"np.{ufunc.__name__}.{method}")
        if ufunc.__name__ in REGISTRY and ufunc.__name__ not in BUILDERS:
            return BUILDERS["name()"](ufunc.__name__, *inputs)
        return call_numpy(ufunc, inputs, {})

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return call_numpy(func, args, kwargs)

    def __op__(self, op: Op, operands: Sequence[Any], params: dict[str, Any]) -> Term:
        """What an op makes of Terms; one without a notation of its own is printed by its name."""
        return BUILDERS.get(op.name, partial(BUILDERS["name()"], op.name))(*operands, **params)

    def __bool__(self) -> bool:
        return bool(self.value)

    def all(self) -> bool:
        return bool(self.value.all())

    def any(self) -> bool:
        return bool(self.value.any())

    def reshape(self, *shape: Any) -> Term:
        return BUILDERS["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def swapaxes(self, first: int, second: int) -> Term:
        order = list(range(self.ndim))
        order[first], order[second] = second % self.ndim, first % self.ndim
        return BUILDERS["transpose"](self, order)

    def transpose(self, *axes: Any) -> Term:
        return BUILDERS["transpose"](self, (axes[0] if len(axes) == 1 else axes) or None)

    __add__, __radd__ = operator("add"), reflected("add")
    __sub__, __rsub__ = operator("subtract"), reflected("subtract")
    __mul__, __rmul__ = operator("multiply"), reflected("multiply")
    __truediv__, __rtruediv__ = operator("divide"), reflected("divide")
    __pow__, __rpow__ = operator("power"), reflected("power")
    __matmul__, __rmatmul__ = operator("matmul"), reflected("matmul")
    __gt__, __lt__ = operator("greater"), operator("less")
    __ge__, __le__ = operator("greater_equal"), operator("less_equal")
    __eq__, __ne__ = operator("equal"), operator("not_equal")  # type: ignore[assignment]
    __hash__ = object.__hash__  # which a class with __eq__ would lose
    __or__, __and__ = operator("bitwise_or"), operator("bitwise_and")
    __neg__, __abs__ = operator("negative"), operator("abs")
    __getitem__, sum = operator("getitem"), operator("sum")


TermLike = Term | ArrayLike  # an array without a name is refused, unless it is a number or all ones


def part_key(part: object) -> Any:
    """What tells one part of a Term from another; lists hold Terms."""
    if isinstance(part, list):
        return tuple([x.key for x in part])
    return part.key if isinstance(part, Term) else part


def as_term(x: TermLike) -> Term:
    if isinstance(x, Term):
        return x
    array = as_numbers(x)
    if array.dtype.kind not in "biuf" or (array.size != 1 and not (array == 1).all()):
        raise TypeError("an array without a name")
    return literal(array.flat[0].item() if array.size else 1, array.shape)


def values_of(x: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return type(x)([values_of(y) for y in x])
    return x.value[()] if isinstance(x, Term) else x


def call_numpy(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A NumPy function on Terms: another Term, or its plain result where there is no notation for it."""
    name = "abs" if func is np.absolute else func.__name__
    build = BUILDERS.get(name)
    return build(*args, **kwargs) if build else func(*map(values_of, args), **kwargs)


def literal(x: float, shape: Shape = ()) -> Term:
    """A number that is written out, perhaps repeated to a shape."""
    return Term("number", (x,), np.full(shape, x))


def as_shape(x: Term, shape: Shape) -> Term:
    """The same Term for a value of another shape, where the notation makes no difference."""
    if x.shape == shape:
        return x
    if x.size == np.prod(shape, dtype=int):
        return Term(x.kind, x.parts, x.value.reshape(shape))
    return literal(x.parts[0], shape) if x.kind == "number" else BUILDERS["broadcast_to"](x, shape)


def elementwise(compute: Callable[..., Any], parts: Sequence[Term]) -> tuple[list[Term], ndarray]:
    """The parts of an elementwise operation and its value, without new axes that broadcasting adds anyhow."""
    value = np.asarray(compute(*[x.value for x in parts]))
    short = [x.parts[0] if x.kind == "expand" else x for x in parts]
    if any(a is not b for a, b in zip(short, parts, strict=True)):
        try:
            other = np.asarray(compute(*[x.value for x in short]))
        except ValueError:
            return list(parts), value
        if other.shape == value.shape and np.array_equal(other, value, equal_nan=value.dtype.kind == "f"):
            return short, value
    return list(parts), value


def break_lines(text: str, width: int) -> list[str]:
    """A formula in lines of at most about `width` characters, broken before an operator or after "of"."""
    lines = [""]
    for part in BREAKS.split(text):
        if lines[-1] and len(lines[-1]) + 1 + len(part) > width:
            lines.append(part)
        else:
            lines[-1] += (" " if lines[-1] else "") + part
    return lines


def upright(text: str) -> str:
    """Words in LaTeX, whatever they contain."""
    letters = [UPRIGHT.get(c, c) if c.isprintable() else UPRIGHT[" "] for c in text]
    return rf"\mathrm{{{''.join(letters)}}}"


def name_in_latex(name: str) -> str:
    """A tensor's name: x, W_{1}, and everything longer upright; ∂ stands before what it refers to."""
    if len(name) > 1 and name[0] == "∂":
        return rf"\partial {name_in_latex(name[1:])}"
    if found := re.fullmatch(r"(.+?)([₀-₉]+)", name):
        base, digits = name_in_latex(found[1]), "".join([str("₀₁₂₃₄₅₆₇₈₉".index(c)) for c in found[2]])
        return f"{{{base}}}_{{{digits}}}" if "_" in base else f"{base}_{{{digits}}}"
    if found := re.fullmatch(r"([A-Za-z])_?([0-9]*)", name):
        return found[1] + (f"_{{{found[2]}}}" if found[2] else "")
    return upright(name)


def broadcasts(x: ndarray, full: ndarray) -> bool:
    """Whether NumPy repeats x to `full` by itself: a row, but not a column that has lost its second axis."""
    try:
        return np.array_equal(np.broadcast_to(x, full.shape), full, equal_nan=full.dtype.kind == "f")
    except ValueError:
        return False


class Notation:
    """Writes Terms; `tight` is for parts of a longer product, a·b instead of a · b."""

    def __init__(self, latex: bool, precision: int = 3, tight: bool = False) -> None:
        self.latex, self.precision, self.tight = latex, precision, tight

    def write(self, term: Term) -> str:
        """The text of a whole formula. Copies along axes are not written where NumPy makes them by itself."""
        full = term.value
        while term.kind == "broadcast" or (term.kind == "expand" and broadcasts(term.parts[0].value, full)):
            term = term.parts[0]
        return self.text(term)[0]

    def text(self, term: Term) -> Text:
        if term.kind in INFIX:
            return self.infix(term.kind, *term.parts)
        if term.kind in POSTFIX:
            return self.postfix(term.kind, *term.parts)
        result: Text = getattr(self, term.kind)(*term.parts)
        return result

    def within(self, term: Term, least: int) -> str:
        """The text as part of another, in brackets if it binds less than that asks for."""
        text, precedence = self.text(term)
        return text if precedence >= least else f"({text})"

    def words(self, text: str) -> str:
        return upright(text) if self.latex else text

    def name(self, text: str, place: str | int) -> Text:
        return name_in_latex(text) if self.latex else text, ATOM

    def partial(self, above: Term, below: Term) -> Text:
        """A derivative that has no formula."""
        a, b = self.within(above, ATOM), self.within(below, ATOM)
        return rf"\frac{{\partial {a}}}{{\partial {b}}}" if self.latex else f"∂{a}/∂{b}", PRODUCT

    def vjp(self, words: str, *given: Term) -> Text:
        """A rule that has no formula, and what it is given."""
        return f"{self.words(words)}({', '.join([self.text(x)[0] for x in given])})", PHRASE

    def number(self, x: float) -> Text:
        text = format_number(x, self.precision, self.latex)
        if text.lstrip("-" + MINUS) == "1" and abs(x) != 1:
            text = format_number(x, 6, self.latex)  # 1.0004 is not 1 in a product
        return text, SUM if text[0] in "-" + MINUS else PRODUCT if "cdot" in text else ATOM

    def product(self, coefficient: float, tops: Sequence[Term], bottoms: Sequence[Term]) -> Text:
        above = [*tops]
        if abs(coefficient) != 1 or not tops:
            above.insert(0, literal(abs(coefficient)))
        text = self.factors(above, PRODUCT)
        if bottoms and self.latex:
            over, under = (self.text(x[0])[0] if len(x) == 1 else self.factors(x, PRODUCT) for x in (above, bottoms))
            text = rf"\frac{{{over}}}{{{under}}}"
        elif bottoms:
            below = self.factors(bottoms, POWER)
            text += f" / {below}" if len(bottoms) == 1 else f" / ({below})"
        minus = "-" if self.latex else MINUS
        return (minus + text, SUM) if coefficient < 0 else (text, PRODUCT)

    def factors(self, terms: Sequence[Term], least: int) -> str:
        """Factors with the signs between them: 2·a, a · b, a ⊙ b, 2(y - a), and (a + b)(c + d)."""
        text = ""
        arrays = False  # whether one of the factors so far is not a single number
        digits = False  # whether the last factor is a number, and nothing else stands before it
        closed = False  # whether the last factor ends with a bracket of its own
        for term in terms:
            factor, precedence = self.text(term)
            brackets = precedence < (ATOM if term.kind == "@" and len(terms) > 1 else least)
            factor = f"({factor})" if brackets else factor
            several = term.value.size != 1
            if arrays and several:
                sign = r" \odot " if self.latex else " ⊙ "
            elif not text or (brackets and (digits or (closed and term.kind != "sum"))):
                sign = ""
            elif self.latex:
                sign = r" \, " if self.tight and digits else r" \cdot "
            elif digits:
                sign = "" if factor[0] in "√∛" else "·"
            else:
                sign = "·" if self.tight else " · "
            text += sign + factor
            closed = factor[-1] == ")" and (brackets or (term.kind == "function" and precedence == ATOM))
            arrays = arrays or several
            digits = term.kind == "number" and text.replace(".", "").isdigit()
        return text

    def infix(self, kind: str, x: Term, y: Term) -> Text:
        form = INFIX[kind]
        sign, left = form.latex if self.latex else form.text, PRODUCT if kind == x.kind == "@" else form.left
        return f"{self.within(x, left)} {sign} {self.within(y, form.right)}", form.precedence

    def power(self, x: Term, y: Term) -> Text:
        exponent = self.text(y)[0]
        if y.kind == "number" and not self.latex and exponent.isdigit():
            raised = exponent.translate(RAISED)
        else:
            raised = f"^{{{exponent}}}" if self.latex else f"^{self.within(y, ATOM)}"
        if x.kind == "function" and x.parts[0] in TRIGONOMETRY and y.kind == "number":
            return f"{self.function_name(x.parts[0])}{raised}({self.text(x.parts[1])[0]})", ATOM
        return self.within(x, ATOM) + raised, POWER

    def compare(self, sign: str, x: Term, y: Term) -> Text:
        """A comparison in Iverson's bracket: 1 where it holds, else 0."""
        return f"[{self.condition(sign, x, y)}]", ATOM

    def condition(self, sign: str, x: Term, y: Term) -> str:
        """A comparison without its bracket; one within another needs none."""
        sides = [self.condition(*z.parts) if z.kind == "compare" else self.within(z, SUM) for z in (x, y)]
        return f"{sides[0]} {LATEX_SIGNS.get(sign, sign) if self.latex else sign} {sides[1]}"

    def truth(self, x: Term, positive: bool) -> Text:
        return f"[{'' if positive else self.words('not ')}{self.text(x)[0]}]", ATOM

    def function_name(self, name: str) -> str:
        text = UNICODE.get(name, name)
        return LATEX.get(name) or name_in_latex(text) if self.latex else text

    def function(self, name: str, *args: Term | str) -> Text:
        """A function of Terms; texts among the arguments are printed as they are."""
        texts = [self.words(x) if isinstance(x, str) else self.text(x)[0] for x in args]
        first = args[0] if args and isinstance(args[0], Term) else None
        if name == "exp" and first is not None:
            return (f"e^{{{texts[0]}}}" if self.latex else f"e^{self.within(first, ATOM)}"), POWER
        if name in ROOTS and first is not None:
            sign, latex = ROOTS[name]
            return (f"{latex}{{{texts[0]}}}" if self.latex else f"{sign}{self.within(first, ATOM)}"), POWER
        if name in BRACKETS and len(texts) == 1:
            left, right = [LATEX_BRACKETS.get(c, c) if self.latex else c for c in BRACKETS[name]]
            return f"{left}{texts[0]}{right}", ATOM
        return f"{self.function_name(name)}({', '.join(texts)})", ATOM

    def T(self, x: Term) -> Text:
        if x.kind == "inverse":
            return self.within(x.parts[0], ATOM) + (r"^{-\top}" if self.latex else "⁻ᵀ"), POWER
        return self.within(x, ATOM) + (r"^\top" if self.latex else "ᵀ"), POWER

    def inverse(self, x: Term) -> Text:
        return self.within(x, ATOM) + ("^{-1}" if self.latex else "⁻¹"), POWER

    broadcast = text  # copies along axes are not written

    def postfix(self, kind: str, x: Term, what: object) -> Text:
        form = POSTFIX[kind]
        return self.within(x, form.needs) + self.words(form.words.format(what)), form.precedence

    def sum(self, x: Term, words: str) -> Text:
        return f"{self.words(words + ' ')}{self.within(x, PRODUCT)}", PHRASE
