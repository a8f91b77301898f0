"""Expressions that a visitor types: parsed, never run as Python, and answered with a sentence where they are wrong.

    (x + y) * z                     names are leaves, each with a slider
    x = 3; q = x**2; sin(q) + q     a number is where a slider begins; other parts are tensors with a name

Python's own parser makes a tree of the text. The tree is walked here, and what is not a name, a number, an operator or
a function of the list is refused, so that nothing typed can do more than arithmetic.
"""

import ast
import keyword
import math
import re
from difflib import get_close_matches

import numpy as np

import tinygrad_edu
from tinygrad_edu import Tensor, ops

LONGEST, IN_SIGHT, MOST_LEAVES = 300, 28, 12  # characters, those shown around a mistake, and sliders
SMALLEST, LARGEST = 1e-6, 1e9  # sizes of numbers at which a slider may begin
CONSTANTS = {"pi": np.float64(math.pi), "π": np.float64(math.pi), "e": np.float64(math.e)}
NAMES = (
    "abs arccos arcsin arctan cbrt cos cosh elu erf exp expm1 gelu leaky_relu log log10 log1p log2 reciprocal relu "
    "sigmoid silu sin sinh softplus sqrt square tan tanh"
)
FUNCTIONS = {name: (1, getattr(tinygrad_edu, name, None) or getattr(ops, name)) for name in NAMES.split()}
FUNCTIONS |= {name: (2, getattr(ops, name)) for name in ("arctan2", "hypot", "logaddexp", "maximum", "minimum")}
FUNCTIONS |= {"max": FUNCTIONS["maximum"], "min": FUNCTIONS["minimum"], "σ": FUNCTIONS["sigmoid"]}
KNOWN = {*CONSTANTS, *FUNCTIONS}
OTHER_NAMES = {
    "acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "fabs": "abs", "ln": "log",
    "logistic": "sigmoid", "pow": "the operator **", "power": "the operator **", "swish": "silu", "tg": "tan",
}  # fmt: skip
OPERATORS = {
    ast.Add: ops.add, ast.Sub: ops.subtract, ast.Mult: ops.multiply, ast.Div: ops.divide, ast.Pow: ops.power,
    ast.USub: ops.negative, ast.UAdd: ops.positive,
}  # fmt: skip
OTHER_SIGNS = {
    ast.BitXor: "a power is written **: x**2", ast.MatMult: "these are single numbers: write * for their product",
    ast.Mod: "% has no smooth slope", ast.FloorDiv: "// has the slope 0: write / for the quotient",
}  # fmt: skip
OTHER_KINDS = {
    ast.Compare: "a comparison has no slope: max, min and relu choose between numbers",
    ast.BoolOp: "and, or and not have no slope: max, min and relu choose between numbers",
    ast.IfExp: "a choice is written with max, min or relu", ast.Tuple: "a comma stands only between two arguments",
    ast.Attribute: "there is no dot here: write exp(x), not np.exp(x)",
    ast.Subscript: "these are single numbers, without [ ]", ast.List: "these are single numbers, without [ ]",
}  # fmt: skip
DOMAINS = {  # function: where value and slope are finite, and the same in words
    **dict.fromkeys(("log", "log2", "log10"), (lambda x: x > 0, "a logarithm needs a number above 0")),
    "log1p": (lambda x: x > -1, "log1p, the logarithm of 1 + x, needs a number above −1"),
    "sqrt": (lambda x: x > 0, "a square root needs a number above 0, as its slope at 0 is infinite"),
    "cbrt": (lambda x: x != 0, "the slope of a cube root at 0 is infinite"),
    "reciprocal": (lambda x: x != 0, "nothing can be divided by 0"),
    "arcsin": (lambda x: abs(x) < 1, "arcsin needs a number between −1 and 1"),
    "arccos": (lambda x: abs(x) < 1, "arccos needs a number between −1 and 1"),
}
SIGNS = str.maketrans(  # as worked solutions and other programs write them
    {**dict.fromkeys("−\u2013", "-"), **dict.fromkeys("·⋅×", "*"), "÷": "/", "²": "**2", "³": "**3", "\xa0": " "}
)
MISSING_SIGN = re.compile(r"(?<![\w.])[\d.]*\d\s*(?![eE][-+]?\d)[^\W\d]")  # 2x, but not 2e5
MISSING_BRACKETS = re.compile(rf"\b({'|'.join(FUNCTIONS)})\s+\w")
SIDE_BY_SIDE = re.compile(r"\w\s+\w|\)\s*\w")


class Wrong(ValueError):
    """What is wrong with an expression, and the characters of it from `start` up to `end`."""

    def __init__(self, text, start, end, message):
        super().__init__(message)
        self.text, self.start, self.end = text, start, max(end, start + 1)

    def marked(self):
        """The expression, with carets under what is wrong; of a long one the part around it."""
        first = max(0, min(self.start - IN_SIGHT // 2, len(self.text) - IN_SIGHT))
        last = first + IN_SIGHT
        end = max(min(self.end, last), self.start + 1)
        before, after = "…" * (first > 0), "…" * (last < len(self.text))
        carets = " " * (len(before) + self.start - first) + "^" * (end - self.start)
        return f"{before}{self.text[first:last]}{after}\n{carets}"


class Expression:
    """A parsed expression.

    Args:
        text: What was typed: parts between ";", each with or without "name =" before it. The last one is the output.

    Attributes:
        text: The same on one line.
        leaves: The names that can be turned, in the order in which they occur, with the number given to them or None.

    Raises:
        Wrong: It is not an expression.
    """

    def __init__(self, text):
        lines = (line.partition("#")[0].strip() for line in text.translate(SIGNS).splitlines())
        self.text = "; ".join(filter(None, lines)).rstrip("; ")
        self.leaves, self.own = {}, {}  # own: the trees of named parts, and under "" that of the output
        self.used = set()
        if len(self.text) > LONGEST:
            raise Wrong(self.text[: LONGEST + 1], LONGEST, LONGEST + 1, f"it is longer than {LONGEST} characters")
        statements = self.read()
        if not statements:
            raise Wrong(self.text, 0, 1, "type an expression, such as (x + y) * z")
        for statement in statements:
            self.add(statement)
        last = statements[-1]
        if isinstance(last, ast.Assign):
            self.used.add(last.targets[0].id)
        if not self.own or constant(last.value) is not None:
            raise self.wrong(last, "this is only a number: add what is computed, as in x = 3; x**2")
        if not self.leaves:
            raise self.wrong(last, "there is no name in it that can be turned: write x for one of the numbers")
        for statement in statements:
            name = statement.targets[0].id if isinstance(statement, ast.Assign) else ""
            if (name and name not in self.used) or (not name and statement is not last):
                raise self.wrong(statement, f"{name or 'this'} is not used in what follows: use it, or leave it out")

    def read(self):
        """The statements, as Python's parser sees them."""
        try:
            return ast.parse(self.text).body
        except SyntaxError as error:
            start = min(max((error.offset or 1) - 1, 0), len(self.text))
            end = min((error.end_offset or 0) - 1, len(self.text))
            raise Wrong(self.text, start, end, syntax_hint(self.text, error.msg)) from None
        except (MemoryError, RecursionError):
            raise Wrong(self.text, 0, 1, "there are too many brackets inside each other") from None
        except ValueError:
            raise Wrong(self.text, 0, len(self.text), "there is a character in it that is none of a text") from None

    def wrong(self, node, message):
        """The error about a part of the tree; Python counts its place in bytes."""
        start, end = [
            len(self.text.encode()[:offset].decode(errors="ignore"))
            for offset in (node.col_offset, node.end_col_offset)
        ]
        return Wrong(self.text, start, end, message)

    def add(self, statement):
        """Takes one part of the expression."""
        name = ""
        if isinstance(statement, ast.Assign) and [type(target) for target in statement.targets] == [ast.Name]:
            (target,) = statement.targets
            name = target.id
            self.check_name(target)
            if name in self.leaves or name in self.own or name in CONSTANTS:
                raise self.wrong(target, f"{name} stands for a number already: take another name")
        elif not isinstance(statement, ast.Expr):
            raise self.wrong(statement, "only expressions are read, with or without a name: q = x + y; q * z")
        self.check(statement.value)
        if name and not any(isinstance(node, ast.Name) and node.id not in KNOWN for node in ast.walk(statement.value)):
            self.leaves[name] = self.start(statement.value)
            self.check_count(statement)
        elif name in self.leaves:
            raise self.wrong(target, f"{name} is a part of itself: give one of the two another name")
        else:
            self.own[name] = statement.value

    @np.errstate(all="ignore")
    def start(self, node):
        """The number at which the slider of a leaf begins."""
        number = float(self.evaluate(node, CONSTANTS))
        if number and not SMALLEST <= abs(number) <= LARGEST:
            raise self.wrong(node, f"a slider turns 0, and numbers of a size from {SMALLEST:g} to {LARGEST:g}")
        return number

    def check(self, node):
        """Refuses what is not arithmetic, and notes the leaves."""
        if isinstance(node, ast.Name):
            self.check_name(node)
            self.used.add(node.id)
            if node.id not in CONSTANTS and node.id not in self.own:
                self.leaves.setdefault(node.id, None)
                self.check_count(node)
        elif isinstance(node, ast.Constant):
            if constant(node) is None:
                raise self.wrong(node, "this is not a number that one can compute with")
        elif isinstance(node, (ast.BinOp, ast.UnaryOp)):
            if type(node.op) not in OPERATORS:
                raise self.wrong(node, OTHER_SIGNS.get(type(node.op), "the operators are + − * / and, for powers, **"))
            for operand in operands(node):
                self.check(operand)
        elif isinstance(node, ast.Call):
            self.check_call(node)
            for argument in node.args:
                self.check(argument)
        else:
            words = "an expression has names, numbers, + − * / **, brackets and functions"
            raise self.wrong(node, OTHER_KINDS.get(type(node), words))

    def check_name(self, node):
        if node.id in FUNCTIONS:
            raise self.wrong(node, f"{node.id} is a function: write {node.id}(x) for its value")
        if node.id.startswith("_"):
            raise self.wrong(node, "a name begins with a letter")

    def check_count(self, node):
        if len(self.leaves) > MOST_LEAVES:
            raise self.wrong(node, f"more than {MOST_LEAVES} names are too many sliders")

    def check_call(self, node):
        if not isinstance(node.func, ast.Name):
            words = "a product needs its sign, as in 2 * (x + 1)"
            raise self.wrong(node.func, OTHER_KINDS.get(type(node.func), words))
        name = node.func.id
        if name in self.leaves or name in self.own or name in CONSTANTS:
            raise self.wrong(node.func, f"{name} is a number: a product needs its sign, as in {name} * (x + 1)")
        if name not in FUNCTIONS:
            raise self.wrong(node.func, f"there is no function {name}; {suggestion(name)}")
        count = FUNCTIONS[name][0]
        if node.keywords or len(node.args) != count or any(isinstance(a, ast.Starred) for a in node.args):
            how = f"one number: {name}(x)" if count == 1 else f"two numbers: {name}(x, y)"
            raise self.wrong(node, f"{name} takes {how}")

    def compute(self, values):
        """The expression at a number for each leaf, after its backward pass.

        Returns:
            The output, and the leaves by name: Tensors.

        Raises:
            Wrong: A part of it has no finite value there, or no finite slope.
        """
        leaves = {name: Tensor(float(values[name]), name=name) for name in self.leaves}
        known = {**CONSTANTS, **leaves}
        with np.errstate(all="ignore"):
            for name, tree in self.own.items():
                value = self.evaluate(tree, known)
                if isinstance(value, Tensor):
                    value = ops.positive(value) if isinstance(tree, ast.Name) else value  # which has a name already
                    value.name = name or None
                known[name] = value
            if not isinstance(value, Tensor):
                raise Wrong(self.text, 0, len(self.text), "no name that can be turned takes part in the last number")
            value.name = value.name or "f"
            value.backward()
        for name, leaf in leaves.items():
            if not math.isfinite(leaf.grad):
                raise Wrong(self.text, 0, len(self.text), f"the slope to {name} is not finite here: turn {name}")
        return value, leaves

    def evaluate(self, node, known):
        """The Tensor or, of numbers alone, the float that a part of the tree stands for."""
        if isinstance(node, ast.Name):
            return known[node.id]
        if isinstance(node, ast.Constant):
            return np.float64(node.value)  # which becomes infinite where a float would raise an error
        parts = operands(node)
        inputs = [self.evaluate(part, known) for part in parts]
        if isinstance(node, ast.Call):
            name, function = node.func.id, FUNCTIONS[node.func.id][1]
        else:
            name, function = type(node.op).__name__, OPERATORS[type(node.op)]
        if outside := outside_domain(name, *inputs):
            part = parts[1] if name == "Div" else parts[0]
            value = number(inputs[parts.index(part)])
            here = f", and {ast.unparse(part)} is {value:.6g} here".replace("-", "−")
            here = "" if constant(part) is not None else here
            raise self.wrong(part, f"{outside}{here}")
        out = function(*inputs)
        if not math.isfinite(number(out)):
            raise self.wrong(node, "this becomes too large for a number here")
        return out


def operands(node):
    """The trees that an operator or a function takes."""
    if isinstance(node, ast.Call):
        return node.args
    return [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]


def constant(node):
    """The float that a tree of a single number stands for; None for any other, and for a number that is not finite."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = constant(node.operand)
        return None if inner is None else -inner
    if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
        return None
    try:
        value = float(node.value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def number(value):
    return value.item() if isinstance(value, Tensor) else float(value)


def outside_domain(name, x, y=0.0):
    """In words what a function or an operator cannot do with these numbers, or ""."""
    a, b = number(x), number(y)
    if name == "Div":
        return "" if b else "nothing can be divided by 0"
    if name == "Pow":
        if a > 0:
            return ""
        if isinstance(y, Tensor):
            return "a power whose exponent is turned needs a number above 0 below it: its slope has a logarithm"
        if a < 0:
            return "" if b == round(b) else "a power that is not whole needs a number above 0"
        return "" if b >= 1 or b == 0 else "0 has no such power, or none with a finite slope"
    fits, words = DOMAINS.get(name, (lambda x: True, ""))
    return "" if fits(a) else words


def suggestion(name):
    """What to write instead of a function that is not there."""
    if len(name) == 1:
        return f"a product needs its sign, as in {name} * (x + 1)"
    close = [OTHER_NAMES[name]] if name in OTHER_NAMES else get_close_matches(name.lower(), FUNCTIONS, 1, 0.65)
    return f"did you mean {close[0]}?" if close else "there are exp, log, sin, sigmoid, relu, max and others"


def syntax_hint(text, message):
    """Python's message on a text that it cannot read, or a plainer one."""
    if MISSING_SIGN.search(text):
        return "a product needs its sign: 2*x, not 2x"
    if match := MISSING_BRACKETS.search(text):
        return f"a function needs brackets: {match[1]}(x)"
    if words := [word for word in re.findall(r"\w+", text) if keyword.iskeyword(word)]:
        return f"{words[0]} is a word of Python's own: take another name"
    if message.startswith("cannot assign") or "Maybe you meant" in message:
        return "before = stands one name, and between two parts a ; as in x = 3; y = 2; x*y"
    if SIDE_BY_SIDE.search(text):
        return "there is no sign between two parts of it: write * for their product"
    return f"this cannot be read: {message}"
