"""Formulas are read back and evaluated: what a picture prints must be what the rule computes."""

import re
from functools import partial

import numpy as np
import pytest
from domains import DOMAINS, trigonometry
from domains.basics import at_window
from hypothesis import given, settings, strategies as st
from printed import case, local, vjp

from tinygrad_edu import op
from tinygrad_edu.draw.algebra.formulas import RuleCall, local_formula, rule_source, vjp_formula
from tinygrad_edu.draw.record import Record, record
from tinygrad_edu.engine import REGISTRY, plain
from tinygrad_edu.ops.convolution import fold
from tinygrad_edu.tensor import Tensor

MINUS, SIGMA = "\u2212", "\u03c3"
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
PYTHON = str.maketrans({"=": "==", "≤": "<=", "≥": ">="})
ORDERS = str.maketrans("₀₁₂₃₄₅", "abcdef")
ITERATED = re.compile(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")


rng = np.random.default_rng(1)
A, B, ROW = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=3)
X, Y = np.float64(1.5), np.float64(-0.7)


@pytest.mark.parametrize(
    "expected, position, name, values",
    [
        ("∂h ⊙ [a > 0]", 0, "relu", [A]),
        ("∂h @ bᵀ", 0, "matmul", [A, B]),
        ("aᵀ @ ∂h", 1, "matmul", [A, B]),
        ("∂h ⊗ b", 0, "matmul", [A, ROW]),
        ("aᵀ @ ∂h", 1, "matmul", [A, ROW]),
        ("∂h · b", 0, "matmul", [ROW, ROW]),
        ("∂h", 0, "add", [A, ROW]),
        ("sum over rows of ∂h", 1, "add", [A, ROW]),
        ("sum over columns of ∂h", 1, "add", [A, A[:, :1]]),
        ("sum of ∂h", 1, "add", [A, X]),
        ("sum of ∂h ⊙ a", 1, "multiply", [A, X]),
        ("∂h · b", 0, "multiply", [A, X]),
        (f"{MINUS}∂h", 1, "subtract", [A, A]),
        ("∂h ⊙ h", 0, "exp", [A]),
        ("∂h / a", 0, "log", [A + 9]),
        (f"∂h ⊙ h ⊙ (1 {MINUS} h)", 0, "sigmoid", [A]),
        ("2·∂h ⊙ a", 0, "power", [A, 2]),
        ("∂h ⊙ [a > b]", 0, "maximum", [A, A[::-1]]),
        ("∂h ⊙ [a > b] + 0.5·∂h ⊙ [a = b]", 0, "maximum", [A, np.zeros((4, 3)) + A[0]]),
        ("∂h @ b", 0, "linear", [A, B.T, ROW[:2]]),
        ("∂hᵀ @ a", 1, "linear", [A, B.T, ROW[:2]]),
        ("sum over rows of ∂h", 2, "linear", [A, B.T, ROW[:2]]),
        ("∂h ⊗ a", 1, "linear", [ROW, B.T, ROW[:2]]),
        ("∂h / 12", 0, "mean", [A]),
        ("∂h", 0, "sum", [A]),
        ("∂h · [a = h]", 0, "max", [A]),
        ("∂h as (4, 3)", 0, "reshape", [A, (3, 4)]),
        ("∂hᵀ", 0, "transpose", [A]),
        ("∂h placed at [1], 0 elsewhere", 0, "getitem", [A, 1]),
        ("∂h added at [[0, 0]], 0 elsewhere", 0, "getitem", [A, [0, 0]]),
        ("∂h", 0, "getitem", [A, slice(None)]),
        (f"∂h · (softmax(a) {MINUS} onehot(b)) / 4", 0, "cross_entropy", [A, np.array([0, 1, 2, 0])]),
        (f"∂h {MINUS} softmax(a) ⊙ (sum over columns of ∂h)", 0, "log_softmax", [A]),
    ],
)
def test_what_an_operand_receives(expected, position, name, values):
    this = REGISTRY[name]
    extra = {} if this.variadic else dict(zip(this.names[len(this.vjps) :], values[len(this.vjps) :], strict=False))
    extra |= {"reduction": "mean"} if name == "cross_entropy" else {}
    assert vjp(position, name, *values[: len(this.vjps)], **extra) == expected


@pytest.mark.parametrize(
    "expected, latex, position, name, values",
    [
        ("b", "b", 0, "multiply", [X, Y]),
        ("1", "1", 0, "add", [X, Y]),
        (f"{MINUS}1", "-1", 1, "subtract", [X, Y]),
        (f"{SIGMA}(a)(1 {MINUS} {SIGMA}(a))", r"\sigma(a)(1 - \sigma(a))", 0, "sigmoid", [X]),
        (f"1 {MINUS} tanh²(a)", r"1 - \tanh^{2}(a)", 0, "tanh", [X]),
        ("e^a", "e^{a}", 0, "exp", [X]),
        ("1 / a", r"\frac{1}{a}", 0, "log", [X]),
        ("1 / (2√a)", r"\frac{1}{2 \cdot \sqrt{a}}", 0, "sqrt", [X]),
        ("1 / b", r"\frac{1}{b}", 0, "divide", [X, Y]),
        (f"{MINUS}a / b²", r"-\frac{a}{b^{2}}", 1, "divide", [X, Y]),
        ("2·a", r"2 \cdot a", 0, "power", [X, 2]),
        (f"{MINUS}1 / a²", r"-\frac{1}{a^{2}}", 0, "power", [X, -1]),
        ("[a > b]", "[a > b]", 0, "maximum", [X, Y]),
        ("sign(a)", r"\mathrm{sign}(a)", 0, "abs", [X]),
        ("1 / (1 + a)", r"\frac{1}{1 + a}", 0, "log1p", [X]),
        ("0.5", "0.5", 0, "multiply", [X, 0.5]),
    ],
)
def test_local_derivatives(expected, latex, position, name, values):
    assert local(position, name, *values) == expected
    assert local(position, name, *values, latex=True) == latex


def test_a_name_is_one_factor_whatever_it_says():
    assert local(0, "power", X, 2, names={"x": f"y {MINUS} a"}) == f"2·y {MINUS} a"
    assert vjp(0, "matmul", A, B, names={"y": "u + v"}) == "∂h @ u + vᵀ"
    assert local(0, "power", X, 2, names={"x": r"50%_\x"}, latex=True) == r"2 \cdot \mathrm{50\%\_\backslash x}"


def test_constants_that_are_named_by_their_digits_are_numbers():
    assert local(1, "divide", X, Y, names={"x": "1.5"}) == f"{MINUS}1.5 / b²"
    assert vjp(0, "multiply", A, np.ones((4, 3)), names={"y": "1"}) == "∂h"
    assert vjp(0, "multiply", A, A, names={"y": "1"}) == "∂h ⊙ 1"  # a name: it is not 1
    assert local(0, "power", np.float64(2.0), 2, names={"x": "2"}) == "2·2"  # what is differentiated to stays a name


class Reader:
    """Evaluates a formula as a reader would: the notation turned into Python, and not by the code that printed it."""

    def __init__(self, names):
        self.names = names | {
            "e_": np.e,
            "iverson": lambda condition: np.asarray(condition, float),
            "sigma": lambda x: 1 / (1 + np.exp(-x)),
            "root": np.sqrt,
            "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
            "log_softmax": lambda x: np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
            "onehot": lambda labels: np.eye(self.names["a"].shape[-1])[labels],
            "ReLU": lambda x: np.maximum(x, 0),
            "outer": lambda x, y: x[..., :, None] * y[..., None, :],
            "total": self.total,
            "where": np.where,
            "max": np.maximum,
            "min": np.minimum,
            "inverse": np.linalg.inv,
            "U": lambda x: np.linalg.svd(x, full_matrices=False).U,
            "V": lambda x: np.linalg.svd(x, full_matrices=False).Vh.swapaxes(-1, -2),
            "diag": lambda x: x[..., None] * np.eye(x.shape[-1]),
            "sym": lambda x: (x + x.swapaxes(-1, -2)) / 2,
            "Φ": lambda x: np.tril(x) / (1 + np.eye(x.shape[-1])),
            "cumsum": lambda x, axis=-1: np.cumsum(x, axis),
            "linspace": lambda x, y, endpoint=True: np.linspace(x, y, len(self.names["G"]), endpoint),
            "π": np.pi,
            **{f"I{'abcdef'[n]}": partial(trigonometry.bessel, n=n) for n in range(6)},
            **{"sinc" + n * "d": partial(trigonometry.sinc, n=n) for n in range(6)},
            **{name: getattr(np, name) for name in ("log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign")},
            **{name: getattr(np, name) for name in ("cbrt", "floor", "rint", "trunc", "convolve")},
        }

    def total(self, words, x):
        axes = {"of": None, "rows": 0, "columns": 1}
        if words[0] == "from":
            axis = int(words[-2]) if "along" in words else 0
            return np.flip(np.cumsum(np.flip(x, axis), axis), axis)
        if words[0] == "of":
            return np.sum(x)
        axis = axes[words[1]] if words[1] in axes else tuple(int(k) for k in re.findall(r"\d+", " ".join(words)))
        return np.sum(x, axis, keepdims=True)

    def python(self, text):
        """The text as Python; phrases, which reach to the end of their bracket, from the innermost out."""
        text = text.replace("∂h", "G").replace(MINUS, "-").replace(SIGMA + "(", "sigma(")
        text = (
            text.replace("⌊", "floor(").replace("⌋", ")").replace("\u2032", "d").translate(ORDERS).replace("2^", "2.0^")
        )
        text = re.sub(r"(\w+)⁻([¹ᵀ])", lambda m: f"inverse({m[1]})" + m[2].strip("¹"), text)
        text = re.sub(r"^\((.*)\) as \([\d, ]+\)$|(.*) as \([\d, ]+\)$", r"\1\2", text)  # the test gives it its shape
        text = re.sub(r"(\w+) as (\(\d+,\))", r"\1.reshape(\2)", text)
        text = re.sub(r"(sin|cos|tanh?)([²³])\((\w+)\)", r"\1(\3)\2", text)
        text = ITERATED.sub(lambda m: "**" + m[1].translate(RAISED), text).replace("^", "**")
        text = re.sub(r"\be\*\*", "e_**", text)
        text = re.sub(r"\[([^\[\]]+) ≤ (\w+) ≤ ([^\[\]]+)\]", r"iverson((\1 <= \2) & (\2 <= \3))", text)
        text = re.sub(r"(?<!\w)\[(not )?(\w+)\]", lambda m: f"iverson({'~' if m[1] else ''}{m[2]})", text)
        text = re.sub(r"\[([^\[\]]+(?:\[[^\]]*\])?) ([><=≤≥]) ([^\[\]]+(?:\[[^\]]*\])?)\]", self.iverson, text)
        text = re.sub(r"([√∛])(\w+|\([^()]*\))", lambda m: ("*root" if m[1] == "√" else "cbrt") + f"({m[2]})", text)
        text = re.sub(r"(^|[(/*+-] ?)\*root", r"\1root", text)
        text = text.replace("ᵀ", ".swapaxes(-1, -2)").replace("⊙", "*").replace("·", "*")
        text = re.sub(r"(\w+|\((?:[^()]|\([^()]*\))*\)(?:\[[^\]]*\])?) ⊗ (\w+)", r"outer(\1, \2)", text)
        text = re.sub(r"(\d|\))\(", r"\1*(", text)
        phrase = re.compile(
            r"sum (of|from each place on(?: along axis \d+)? of|over (?:rows|columns|axis \d+|axes [\d, ]+) of) "
        )
        while found := list(phrase.finditer(text)):
            start, depth, end = found[-1].end(), 0, len(text)
            for k in range(start, len(text)):
                depth += (text[k] in "([") - (text[k] in ")]")
                if depth < 0:
                    end = k
                    break
            words = found[-1][1].split()
            text = f"{text[: found[-1].start()]}total({words}, {text[start:end]}){text[end:]}"
        return text

    def iverson(self, m):
        return f"iverson({m[1]} {m[2].translate(PYTHON)} {m[3]})"

    def value(self, text):
        return eval(self.python(text), self.names)


ABOUT = {
    *("log_softmax", "linear", "cross_entropy_slope", "einsum", "prod", "recurrence", "no_derivative"),
    *("reshape", "expand_dims", "transpose", "getitem", "scatter", "concatenate", "interp"),
    *("windows", "fold", "max_pool", "mean_pool", "conv2d", "conv2d_input", "conv2d_weight"),
    *("eigh", "qr", "svd", "centred", "over_rms", "self_attention"),
}  # printed with names of functions, or in words that only a human reads
READ = sorted(set(DOMAINS) - ABOUT)
UNFOLLOWED = {"recurrence", "no_derivative"}  # ops of derivatives: no picture shows them
IN_PART = {"qr", "svd"}  # not of wide matrices, of square ones


def positions(this, values):
    """The operands that a gradient flows to."""
    return [
        i
        for i, x in enumerate(values)
        if (this.variadic or this.vjps[i]) and isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f"
    ]


@pytest.mark.parametrize("name", sorted(DOMAINS))
@given(data=st.data())
@settings(max_examples=12)
def test_every_op_of_the_library_has_a_formula(name, data):
    operands, params = data.draw(DOMAINS[name])
    this, names, values, out, params = case(name, *operands, **params)
    for i in positions(this, values):
        for latex in (False, True):
            text = vjp_formula(RuleCall(this, i, names, values, out, params), latex)
            if text.startswith(("vjp of", r"\mathrm{vjp")):
                assert name in UNFOLLOWED | IN_PART


@pytest.mark.parametrize("name", READ)
@given(data=st.data())
@settings(max_examples=12)
def test_a_formula_read_back_gives_what_the_rule_gives(name, data):
    operands, params = data.draw(DOMAINS[name])
    this, names, values, out, params = case(name, *operands, **params)
    if np.size(out) == 0:
        return
    g = np.random.default_rng(3).standard_normal(np.shape(out))
    known = {"G": g, "h": np.asarray(out)} | {"abc"[i]: np.asarray(x) for i, x in enumerate(values)}
    for i in positions(this, values):
        rule = this.vjps[i](g, out, *values, **params)
        x = np.asarray(values[i])
        new = rule.ndim - x.ndim
        axes = tuple(k for k in range(rule.ndim) if k < new or x.shape[k - new] != rule.shape[k])
        expected = rule.sum(axes).reshape(x.shape)
        text = vjp_formula(RuleCall(this, i, names, values, out, params))
        if "without the factor" in text:
            continue
        found = np.asarray(Reader(known).value(text))
        if name == "matmul" and found.ndim and found.size != expected.size:
            continue  # summed over stacked matrices without a word
        found = found.reshape(x.shape) if found.size == x.size else np.broadcast_to(found, x.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=text)
        if np.size(out) == x.size == 1:
            text = local_formula(RuleCall(this, i, names, values, out, params))
            expected = this.vjps[i](np.ones(np.shape(out)), out, *values, **params)
            found = np.asarray(Reader(known).value(text))
            np.testing.assert_allclose(found.item(), np.asarray(expected).item(), rtol=1e-9, err_msg=text)


@pytest.mark.parametrize(
    "expected, name, values, params",
    [
        ("∂h[:, None]", "sum", A, {"axis": 1}),
        ("∂h", "sum", A, {"axis": 0}),
        ("∂h", "sum", A, {"axis": 1, "keepdims": True}),
        ("∂h[:, None]", "sum", np.ones((2, 3, 3)), {"axis": 1}),
        ("∂h[None, :, None]", "sum", np.ones((2, 3, 3)), {"axis": (0, 2)}),
        ("∂h[:, None] / 3", "mean", A, {"axis": 1}),
        ("∂h / 4", "mean", A, {"axis": 0}),
        ("∂h / 3", "mean", A, {"axis": -1, "keepdims": True}),
        ("∂h[:, None] ⊙ [a = h[:, None]]", "max", A, {"axis": 1}),
        ("∂h to the largest of each window", "max_pool", A.reshape(1, 1, 4, 3), {"size": (2, 2), "stride": (1, 1)}),
        ("∂h / 6 to all of each window", "mean_pool", A.reshape(1, 1, 4, 3), {"size": (2, 3), "stride": (2, 1)}),
        ("∂h / 12 to all of each window", "mean_pool", A.reshape(1, 1, 4, 3), {"size": (4, 3), "stride": (1, 1)}),
    ],
)
def test_reductions_say_where_the_gradient_goes(expected, name, values, params):
    assert vjp(0, name, values, **params) == expected


def test_reductions_in_latex():
    images, pairs = A.reshape(1, 1, 4, 3), {"size": (2, 2), "stride": (1, 1)}
    assert vjp(0, "sum", A, axis=1, latex=True) == r"\partial h\mathrm{[{:},\ None]}"
    assert vjp(0, "mean", A, axis=1, latex=True) == r"\frac{\partial h\mathrm{[{:},\ None]}}{3}"
    assert vjp(0, "max_pool", images, latex=True, **pairs) == r"\partial h\mathrm{\ to\ the\ largest\ of\ each\ window}"
    assert (
        vjp(0, "mean_pool", images, latex=True, **pairs) == r"\frac{\partial h}{4}\mathrm{\ to\ all\ of\ each\ window}"
    )


@pytest.mark.parametrize("name", ["max_pool", "mean_pool"])
@given(data=st.data())
@settings(max_examples=20)
def test_the_words_of_a_pooling_say_what_its_rule_does(name, data):
    (x,), params = data.draw(DOMAINS[name])
    this, names, values, out, params = case(name, x, **params)
    g = np.random.default_rng(3).standard_normal(out.shape)
    text = vjp_formula(RuleCall(this, 0, names, values, out, params))
    if x.size == 1:
        assert text == "∂h" and local_formula(RuleCall(this, 0, names, values, out, params)) == "1"
        return
    each, _, to = text.partition(" to ")
    assert to == {"max_pool": "the largest of each window", "mean_pool": "all of each window"}[name]
    each, found = np.broadcast_to(Reader({"G": g}).value(each), out.shape), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(out.shape):
        part = (n, c, *at_window(i, j, params["size"], params["stride"], params.get("dilation", (1, 1)))[1:])
        if name == "mean_pool":
            found[part] += each[n, c, i, j]
        else:
            found[part][np.unravel_index(x[part].argmax(), params["size"])] += each[n, c, i, j]
    np.testing.assert_allclose(found, this.vjps[0](g, out, x, **params), rtol=1e-9, atol=1e-12)


def test_other_windows_than_those_of_a_pooling_are_not_put_in_its_words(registry):
    def winners(out, x, size, stride):
        return np.ones((*out.shape, *size), bool)  # all of them

    def to_all(g, out, x):
        return fold(g[..., None, None] * winners(plain(out), plain(x), (2, 2), (1, 1)), (2, 2), (1, 1), x.shape)

    @op(to_all)
    def mine(x):
        return x[:, :, 1:, 1:] + x[:, :, :-1, 1:] + x[:, :, 1:, :-1] + x[:, :, :-1, :-1]

    assert "largest" not in shown(registry["mine"], A.reshape(1, 1, 4, 3))


def test_latex_is_understood_by_matplotlib():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    names = {"g": "∂h", "x": "x", "y": "w_1", "out": "h"}
    labels = np.array([0, 1, 2, 0])
    texts = [
        vjp(i, name, A, A + 3, names=names, latex=True) for name in ("multiply", "divide", "maximum") for i in (0, 1)
    ]
    texts += [vjp(i, "linear", A, B.T, ROW[:2], latex=True) for i in range(3)]
    texts += [vjp(0, "cross_entropy", A, labels, reduction="mean", latex=True)]
    texts += [vjp(0, "getitem", A, index=1, names=names, latex=True), vjp(0, "max", A, axis=1, names=names, latex=True)]
    texts += [vjp(0, "mean", A, axis=1, names=names, latex=True)]
    texts += [vjp(0, name, A[None, None], size=(2, 2), stride=(1, 1), latex=True) for name in ("max_pool", "mean_pool")]
    texts += [vjp(0, "reshape", A, shape=(3, 4), names=names, latex=True), vjp(0, "prod", A * 0, latex=True)]
    for text in texts:
        parser.parse(f"${text}$")


def shown(this, *values, position=0):
    """The formula of a user's op."""
    names = {"g": "∂h", "out": "h"} | {this.argument(i): "xyz"[i] for i in range(len(values))}
    return vjp_formula(RuleCall(this, position, names, values, this.forward(*values), {}))


def test_ops_of_a_user(registry):
    @op(lambda g, out, x, y: g * x / out, lambda g, out, x, y: g * y / out)
    def hypot(x, y):
        return np.hypot(x, y)

    half = 0.5

    def slope(x):
        if (x > 0).all():
            return half * np.exp(x)
        return np.cos(x)

    @op(lambda g, out, x: slope(x) * g)
    def strange(x):
        return half * np.exp(x) if x > 0 else np.sin(x)

    assert shown(registry["hypot"], A, A) == "∂h ⊙ x / h"
    assert shown(registry["strange"], X) == "0.5·e^x · ∂h"
    assert shown(registry["strange"], Y) == "cos(x) · ∂h"
    assert rule_source(registry["hypot"], 1) == "g * y / out"
    assert rule_source(registry["strange"], 0) == "slope(x) * g"


def test_an_op_of_a_user_may_have_any_name(registry):
    @op(lambda g, out, x: 3 * g)
    def max_pool(x):
        return 3 * x

    @op(lambda g, out, x: g * 2)
    def function(x):
        return x * 2

    @op(lambda g, out, x: function(g) * function(x))
    def use(x):
        return 2 * x * x

    assert shown(registry["max_pool"], A) == "3·∂h"
    assert shown(registry["function"], A) == "2·∂h"
    assert shown(registry["use"], A) == "function(∂h) ⊙ function(x)"


def test_an_op_from_a_string_has_a_formula_but_no_source(registry):
    names = {"op": op, "np": np}
    exec("@op(lambda g, out, x: 3 * g * x * x)\ndef cube(x):\n    return x ** 3", names)
    assert shown(registry["cube"], X) == "3·∂h · x²"
    assert rule_source(registry["cube"], 0) == ""


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, out, x, y: g * np.random.default_rng(0).normal(size=x.shape),  # an array that has no name
        lambda g, out, x, y: np.asarray(g) * 2,  # leaves the Terms
        lambda g, out, x, y: {}["missing"],  # raises
        lambda g, out, x, y: g * (2 if isinstance(x, np.ndarray) else 3),  # tells Terms from arrays: a wrong formula
    ],
)
def test_a_rule_that_cannot_be_followed_is_named_and_nothing_wrong_is_printed(rule, registry):
    op(rule, None)(lambda x, y: x)
    this = registry["<lambda>"]
    assert shown(this, A, A) == "vjp of <lambda> to x (∂h, x, y)"
    if rule.__code__.co_names[-1:] != ("shape",):  # a single number needs no name
        names = {"g": "∂h", "out": "h", "x": "x", "y": "y"}
        assert local_formula(RuleCall(this, 0, names, (np.ones(1), np.ones(1)), np.ones(1), {})) == ""


def test_a_recorded_graph():
    x, w, b = Tensor(2.0), Tensor(0.5), Tensor(0.0)
    found: Record = record((x * w + b).sigmoid())
    for wire in found.wires():
        this = wire.target.op
        names = {"g": "∂h", "out": "h"} | {this.argument(i): "abc"[i] for i in range(len(this.names))}
        values = [other.source.value for other in wire.target.wires]
        given = RuleCall(this, wire.position, names, values, wire.target.value, wire.target.params)
        text = local_formula(given)
        known = {"h": wire.target.value} | {"abc"[i]: value for i, value in enumerate(values)}
        np.testing.assert_allclose(Reader(known).value(text), wire.local)
