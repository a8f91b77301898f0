"""Worked solutions are true: their values are the engine's, and their formulas evaluate to their numbers as written."""

import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from latex import check_balance, check_latex

from tinygrad_edu import Tensor, gradients
from tinygrad_edu.draw.explain.explain import explain


class Draw:
    """A random graph of single numbers, some of its tensors named."""

    def __init__(self, data):
        self.tensors = [Tensor(v, name=n) for v, n in ((0.7, "p"), (1.3, "q"), (-0.4, "r"))]
        self.leaves = list(self.tensors)
        for i in range(data.draw(st.integers(1, 8))):
            a, b = (self.tensors[data.draw(st.integers(0, len(self.tensors) - 1))] for _ in range(2))
            new = data.draw(st.sampled_from(OPS))(a, b)
            if data.draw(st.booleans()):
                new.name = f"n{i}"
            self.tensors.append(new)
        self.output = self.tensors[-1]


OPS = [
    *(lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (2 + b * b), lambda a, b: -a),
    *(lambda a, b: (a - 1.5) ** 2, lambda a, b: a**3, lambda a, b: a.sigmoid(), lambda a, b: a.tanh()),
    *(lambda a, b: (a * 0.1).exp(), lambda a, b: a.relu(), lambda a, b: (a * a + 1).log(), lambda a, b: a.maximum(b)),
    *(lambda a, b: (a * a + 1).sqrt(), lambda a, b: (0.1 * a).sin(), lambda a, b: 0.25 - a),
]


def evaluated(formula, values):
    """The value of a formula as it is printed."""
    text = formula
    for old, new in {"·": "*", "−": "-", "σ": "sigmoid", "ReLU": "relu", "=": "==", "≥": ">=", "≤": "<="}.items():
        text = text.replace(old, new)
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    raised = r"(tanh|sigmoid|sin|cos)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)\("
    text = re.sub(raised, lambda m: f"raised({m[1]}, {m[2].translate(digits)}, ", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "**" + m.group().translate(digits), text)
    text = re.sub(r"(?<=[)\]])(?=[(\[])|(?<=\*\*\d)(?=[(\[])", "*", text)
    text = re.sub(r"(?<!\w)(\d+(?:\.\d+)?)(?=[(\[√])", r"\1*", text)
    text = text.replace("√", "root**").replace("e^", "euler**").replace("^", "**")
    text = text.replace("[", "float(").replace("]", ")")
    names = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: max(x, 0.0), "euler": np.exp(1.0)}
    names |= {"tanh": np.tanh, "log": np.log, "sin": np.sin, "cos": np.cos, "max": max, "root": Root(), "sign": np.sign}
    names["raised"] = lambda f, n, x: f(x) ** n
    return eval(text, names | values)


class Root:
    """`root**x` is the square root of x, and binds as strongly."""

    def __pow__(self, x):
        return np.sqrt(x)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_values_are_the_engines_and_formulas_evaluate_to_the_numbers(data):
    graph = Draw(data)
    grads = [t.grad for t in graph.tensors]
    found = explain(graph.output, *graph.leaves)
    assert [t.grad for t in graph.tensors] == grads
    if graph.output.requires_grad:
        expected = gradients(graph.output, graph.leaves)
        np.testing.assert_allclose(np.array([s.value for s in found.solutions]), expected, rtol=1e-9, atol=1e-12)
    values = {t.name or f"unnamed{i}": t.item() for i, t in enumerate(graph.tensors)}
    values["L"] = graph.output.item()
    for solution in found.solutions:
        for sentence, equations in solution.blocks:
            for _, rights in equations if sentence != "where" else ():
                formula = [r.text for r in rights if "∂" not in r.text and "path" not in r.text and "⋯" not in r.text]
                made_up = formula and re.search(r"[a-z]{3,}\d", formula[0])  # a name whose value is not known here
                if formula and not made_up and re.search("[a-zL]", formula[0]):
                    result = float(rights[-1].text.replace("−", "-"))
                    np.testing.assert_allclose(evaluated(formula[0], values), result, rtol=6e-3, atol=1e-9)
    check_balance(found)


@pytest.mark.parametrize(
    ("factor", "text"),
    [(1.0006, "1.0006"), (1.0001, "1.0001"), (0.9996, "0.9996"), (1 + 1e-9, "1.00"), (-1 - 1e-9, "−1.00"), (1.0, "1")],
)
def test_a_factor_that_only_rounds_to_1_does_not_look_like_it(factor, text):
    x = Tensor(2.0, name="x")
    y = x * factor
    y.name = "y"
    z = y * 3.0
    z.name = "z"
    lines = str(z.explain(x)).splitlines()
    assert lines[1].split("= ")[1] == f"3 · {f'({text})' if text[0] == '−' else text}"
    assert "−" not in z.explain(x).latex() and text.removeprefix("−") in z.explain(x).latex()


def test_a_gradient_that_rounds_to_1_and_constants():
    x, c = Tensor(2.0), Tensor(1.0004, requires_grad=False)
    y = x * c * c
    assert str(y.explain(x)) == "∂y/∂x = c²\n      = 1.0008"
    loss = 2**x
    assert str(loss.explain(x)).splitlines()[0] == "∂loss/∂x = 0.693·loss"
    assert "0.69315·loss" in str(loss.explain(x, precision=5))
    cube = (x * 1.0004) ** 3
    assert "= 3·(1.0004·x)²\n" in str(cube.explain(x))
    one = Tensor(5.0, name="1")
    z = x * one
    assert str(z.explain(x)) == "∂z/∂x = 1\n      = 5"


def tiny():
    x = Tensor(0.0)
    return 1e300 * (x - 1e300) / (x + 1e-300) * x, x


def overflow():
    z = Tensor(1.0)
    return np.exp(z + 1000) - np.exp(z + 1000), z


def nans():
    v = Tensor([1.0, np.inf])
    return ((v - v) * v * 1e200 * 1e200).sum(), v


def zero_times_infinity():
    v, w = Tensor([1.0, np.inf]), Tensor([1.0, 2.0])
    return (v * 0 * w).sum(), v


@pytest.mark.parametrize("make", [tiny, overflow, nans, zero_times_infinity])
def test_what_is_not_finite_neither_warns_nor_raises(make):
    with np.errstate(all="ignore"):
        output, x = make()
        expected = gradients(output, [x])[0]
    with np.errstate(all="raise"):
        found = output.explain(x)
    np.testing.assert_array_equal(found.value, expected)
    assert " multiply(" not in str(found)


def formula_of(text, left):
    """What a derivation, or a definition in it, says that something is."""
    return next(line for line in text.splitlines() if line.startswith(left)).split(" = ", 1)[1]


M = np.array([[1.0, 2.0], [3.0, 4.0]])
GRADIENTS = {
    "(sum over rows of ∂add1) + 2·∂multiply1 ⊙ b": lambda b: (M + b).sum() + (b * b).sum(),
    "Mᵀ @ ∂matmul1 + (∂getitem1 placed at [0], 0 elsewhere)": lambda b: (M @ b).sum() + b[0],
    "2·∂power1 ⊙ b − ∂subtract2": lambda b: (b**2 - 1).sum() + (4 - b).sum(),
    "∂getitem1 as (2,)": lambda b: (b[:, None] * M).sum(),
    "1 placed at [mask], 0 elsewhere": lambda b: b[np.array([True, False])].sum(),
}


@pytest.mark.parametrize("formula", GRADIENTS)
def test_sums_of_phrases_have_brackets_and_like_terms_are_collected(formula):
    b = Tensor([1.0, 2.0], name="b")
    found = GRADIENTS[formula](b).explain(b)
    assert formula_of(str(found), "∂L/∂b ") == formula
    check_latex(found)


def test_definitions_say_another_shape():
    v = Tensor([1.0, 2.0, 3.0])
    text = str((np.expand_dims(v, 0) * np.reshape(v, (1, 3)) * np.broadcast_to(v, (2, 3))).sum().explain(v))
    definitions = [formula_of(text, f"{name}1 ") for name in ("expand_dims", "reshape", "broadcast_to")]
    assert definitions == ["v[None]", "v as (1, 3)", "v as (2, 3)"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, y: 1e300 * x * y, "1e300·y"),
        (lambda x, y: x * 4e9 * 4e9 * 4e9 + y, "6.4e28"),
        (lambda x, y: x / 1e300 * y, "y / 1e300"),
        (lambda x, y: x**1e300 * y, "1e300·y·x^1e300"),
        (lambda x, y: x * 10**20 * y, "1e20·y"),
    ],
)
def test_whole_numbers_may_be_larger_than_numpys_integers(function, expected):
    x, y = Tensor(1.0, name="x"), Tensor(1.0, name="y")
    loss = function(x, y)
    assert f" = {expected}\n" in f"{explain(loss, x)}\n" and "x" in loss.graph().text()
