"""Formulas of NumPy's functions as textbooks have them, and what is printed where they do not hold."""

import numpy as np
import pytest
from latex import check_latex
from printed import local, vjp

from tinygrad_edu import Tensor
from tinygrad_edu.draw.algebra.formulas import BLOCKS, role, symbol
from tinygrad_edu.draw.explain.explain import explain
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.record import record
from tinygrad_edu.engine import REGISTRY

rng = np.random.default_rng(0)
X, Y, V = rng.uniform(0.2, 0.8, (3, 4)), rng.uniform(1.2, 2.8, (3, 4)), rng.normal(size=3)
S = np.eye(3) * 3 + rng.uniform(-1, 1, (3, 3))
P, PAIR = S @ S.T, np.stack([S, S.T])
x, y = np.float64(0.3), np.float64(1.7)
FORMULAS = [  # the op, the operand, its formula, operands, parameters
    ("relu", 0, "∂h ⊙ [a > 0]", (X,), {}),
    ("abs", 0, "∂h ⊙ sign(a)", (X,), {}),
    ("sign", 0, "0", (X,), {}),
    ("exp2", 0, "∂h ⊙ h · log(2)", (X,), {}),
    ("log10", 0, "∂h / (a · log(10))", (X,), {}),
    ("erf", 0, "2·∂h ⊙ e^(−a²) / √π", (X,), {}),
    ("minimum", 1, "∂h ⊙ [b < a]", (X, Y), {}),
    ("clip", 0, "∂h ⊙ [−1 ≤ a ≤ 0.5]", (X, -1, 0.5), {}),
    ("clip", 0, "∂h ⊙ [a ≤ 0.5]", (X, -np.inf, 0.5), {}),
    ("clip", 0, "∂h ⊙ [0.5 ≤ a]", (X, 0.5, np.inf), {}),
    ("clip", 1, "∂h ⊙ [a < b]", (X, X[::-1], 2.0), {}),
    ("remainder", 1, "−∂h ⊙ ⌊a / b⌋", (Y, X), {}),
    ("fmod", 1, "−∂h ⊙ trunc(a / b)", (Y, X), {}),
    ("ldexp", 0, "∂h ⊙ 2^b", (X, np.arange(4)), {}),
    ("copysign", 0, "∂h ⊙ sign(a) ⊙ sign(b)", (X, Y), {}),
    ("tan", 0, "∂h ⊙ (1 + h²)", (X,), {}),
    ("arcsin", 0, "∂h / √(1 − a²)", (X,), {}),
    ("arctan2", 1, "−∂h ⊙ a / (a² + b²)", (X, Y), {}),
    ("hypot", 0, "∂h ⊙ a / h", (X, Y), {}),
    ("logaddexp", 0, "∂h ⊙ σ(a − b)", (X, Y), {}),
    ("bessel", 0, "∂h ⊙ I₁(a)", (X,), {"n": 0}),
    ("sinc", 0, "∂h ⊙ (cos(π · a) − h) / a", (X,), {"n": 0}),
    ("cumsum", 0, "sum from each place on along axis 1 of ∂h", (X,), {"axis": 1}),
    ("cumprod", 0, "(sum from each place on of ∂h ⊙ h) / a", (V,), {"axis": 0}),
    ("convolve", 0, 'convolve(∂h, b[::-1], "valid")', (V, V), {"mode": "full"}),
    ("bincount", 1, "∂h[a]", (np.array([0, 1, 1]), V), {"minlength": 0}),
    ("linspace", 0, "sum of ∂h ⊙ (1 − linspace(0, 1))", (x, y), {"num": 5, "endpoint": True}),
    ("geomspace", 1, "sum of ∂h ⊙ h ⊙ linspace(0, 1) / b", (x, y), {"num": 5, "endpoint": True}),
    ("interp", 0, "∂h ⊙ slope(a)", (X, np.arange(3.0), V), {}),
    ("interp", 2, "∂h shared by the two knots beside", (X, np.arange(3.0), V), {}),
    ("norm", 0, "∂h · a / h", (V,), {"axis": None, "keepdims": False}),
    ("inv", 0, "−hᵀ @ ∂h @ hᵀ", (S,), {}),
    ("det", 0, "∂h · h · a⁻ᵀ", (S,), {}),
    ("det", 0, "∂h[:, None, None] ⊙ h[:, None, None] ⊙ a⁻ᵀ", (PAIR,), {}),
    ("slogdet", 0, "∂h[1] · a⁻ᵀ", (S,), {}),
    ("solve", 0, "−(a⁻ᵀ @ ∂h) ⊗ h", (S, V), {}),
    ("solve", 1, "a⁻ᵀ @ ∂h", (S, V), {}),
    ("solve", 0, "−a⁻ᵀ @ ∂h @ hᵀ", (S, P), {}),
    ("pinv", 0, "−hᵀ @ ∂h @ hᵀ", (S,), {}),
    ("cholesky", 0, "sym(h⁻ᵀ @ Φ(hᵀ @ ∂h) @ h⁻¹)", (P,), {}),
    ("cholesky", 0, "sym(h⁻¹ @ Φ(h @ ∂hᵀ) @ h⁻ᵀ)", (P,), {"upper": True}),
    ("eigvalsh", 0, "V(a) @ diag(∂h) @ V(a)ᵀ", (P,), {}),
    ("eigh", 0, "sym(V @ (diag(∂w) + F(w) ⊙ (Vᵀ @ ∂V)) @ Vᵀ)", (P,), {}),
    ("svdvals", 0, "U(a) @ diag(∂h) @ V(a)ᵀ", (S,), {}),
    ("qr", 0, "(∂Q + Q @ copyltu(R @ ∂Rᵀ − ∂Qᵀ @ Q)) @ R⁻ᵀ", (np.vstack([S, S]),), {}),
]


@pytest.mark.parametrize(("name", "position", "expected", "values", "params"), FORMULAS)
def test_formulas(name, position, expected, values, params):
    assert vjp(position, name, *values, **params) == expected


def test_stacks_of_matrices_have_the_formulas_of_one():
    stack = np.stack([P, P + np.eye(3)])
    for name in ("inv", "pinv", "cholesky", "eigvalsh", "eigh", "svdvals", "qr", "svd"):
        assert vjp(0, name, stack) == vjp(0, name, P)
        assert not vjp(0, name, stack).startswith("vjp")


def test_formulas_in_latex():
    parser = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    for name, position, _, values, params in FORMULAS:
        parser.parse(f"${vjp(position, name, *values, latex=True, **params)}$")
    assert vjp(0, "det", S, latex=True) == r"\partial h \cdot h \cdot a^{-\top}"
    assert vjp(1, "remainder", Y, X, latex=True) == r"-\partial h \odot \lfloor \frac{a}{b}\rfloor "
    assert local(0, "tan", x, latex=True) == r"1 + \tan^{2}(a)"
    assert local(0, "cbrt", x, latex=True) == r"\frac{1}{3 \cdot (\sqrt[3]{a})^{2}}"
    assert local(0, "log2", x, latex=True) == r"\frac{1}{a \cdot \log(2)}"
    assert local(0, "bessel", x, n=0, latex=True) == "I_{1}(a)"


@pytest.mark.parametrize(
    ("expected", "name", "values", "params"),
    [
        ("1 + tan²(a)", "tan", (x,), {}),
        ("1 / √(1 − a²)", "arcsin", (x,), {}),
        ("a / √(a² + b²)", "hypot", (x, y), {}),
        ("b / (a² + b²)", "arctan2", (x, y), {}),
        ("2^a · log(2)", "exp2", (x,), {}),
        ("(cos(π · a) − sinc(a)) / a", "sinc", (x,), {"n": 0}),
        ("sinc\u2032\u2032(a)", "sinc", (x,), {"n": 1}),
        ("[−1 ≤ a ≤ 1]", "clip", (x, -1, 1), {}),
        ("0", "floor", (x,), {}),
    ],
)
def test_local_derivatives(expected, name, values, params):
    assert local(0, name, *values, **params) == expected


@pytest.mark.parametrize(
    ("expected", "name", "values", "params"),
    [
        ("∂h · adj(a)ᵀ", "det", (np.diag([1.0, 2.0, 0.0]),), {}),
        ("∂h · (product of all the others of a)", "prod", (np.array([0.0, 2.0, 3.0]),), {}),
        ("∂h ⊙ h without the factor of each place", "cumprod", (np.array([0.0, 2.0, 3.0]),), {"axis": 0}),
        ("∂h ⊙ [a > b] + 0.5·∂h ⊙ [a = b]", "maximum", (X, np.minimum(X, 0.5)), {}),
        ("sinc\u2032(a)", "sinc", (np.float64(0),), {"n": 0}),
    ],
)
def test_where_the_usual_formula_does_not_hold(expected, name, values, params):
    assert expected in vjp(0, name, *values, **params)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("relu", (np.array([1.0, np.nan]),)),
        ("hypot", (np.array([0.0, 3.0]), np.array([0.0, 4.0]))),
        ("clip", (np.array([np.nan, 3.0]), -1.0, 1.0)),
        ("copysign", (np.array([1.0, 2.0]), np.array([-0.0, 1.0]))),
    ],
)
def test_a_formula_is_not_printed_where_it_gives_another_number(name, values):
    usual = vjp(0, name, np.full(2, 0.5), *[np.full(2, 0.7) if np.ndim(v) else v for v in values[1:]])
    assert vjp(0, name, *values) != usual


def test_symbols_and_roles():
    assert [symbol(REGISTRY[name], {}) for name in ("floor", "remainder", "norm", "inv")] == ["⌊x⌋", "%", "‖x‖", "x⁻¹"]
    for name in ("sign", "floor", "ceil", "trunc", "rint", "round", "floor_divide", "heaviside"):
        assert role(REGISTRY[name]) == BLOCKS
    assert role(REGISTRY["copysign"]) == role(REGISTRY["tan"]) == ""


@pytest.mark.parametrize("function", [np.floor, np.sign, np.round])
def test_a_function_that_is_constant_between_its_jumps_blocks_its_wire(function):
    x = Tensor(2.5, name="x")
    y = function(x) * x
    found = record(y)
    wires = [wire for wire in found.wires() if wire.source.name == "x"]
    assert [wire.blocked for wire in wires] == [True, False]
    source = Graph(found).source
    assert "blocked, 0 flows back" in source and BLOCKS in source


def test_worked_solutions():
    x, y = Tensor(3.0), Tensor(4.0)
    z = np.hypot(x, y) * np.tan(x)
    found = explain(z, x)
    assert "x / √(x² + y²)" in str(found) and "1 + tan²(x)" in str(found)
    assert r"\sqrt{x^{2} + y^{2}}" in found.latex() and r"\tan^{2}(x)" in found.latex()
    check_latex(found)
    z = np.clip(x, -1, 1) * y
    assert str(explain(z, x)) == "∂z/∂x = y·[−1 ≤ x ≤ 1]\n      = 0"
    z = np.floor(x) * y
    found = explain(z, x)
    assert str(found) == "∂z/∂x = 0\n\nfloor is constant between its jumps, so its derivative is 0."
    check_latex(found)
    A = Tensor(S[:2, :2], name="A")
    z = np.linalg.det(A)
    found = explain(z, A)
    assert "∂z/∂A = z·A⁻ᵀ" in str(found) and r"A^{-\top}" in found.latex()
    check_latex(found)
