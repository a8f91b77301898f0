"""Terms simplify as a textbook does, and only where the numbers allow it."""

import numpy as np
import pytest

from tinygrad_edu.draw.algebra.terms import Notation, Term, break_lines

MINUS = "\u2212"


def name(text, value):
    return Term("name", (text, text), value)


@pytest.mark.parametrize(
    ("make", "expected", "latex"),
    [
        (lambda a, b: 2 * (a - b), "2(a − b)", "2(a - b)"),
        (lambda a, b: a * a + a**2, "2·a²", r"2 \, a^{2}"),
        (lambda a, b: a - a, "0", "0"),
        (lambda a, b: b + 2 * a + 3 - a - 3, "b + a", "b + a"),
        (lambda a, b: a * b + b * a, "2·a·b", r"2 \, a \cdot b"),
        (lambda a, b: -a / b / b, "−a / b²", r"-\frac{a}{b^{2}}"),
        (lambda a, b: a / (a * b), "1 / b", r"\frac{1}{b}"),
        (lambda a, b: a**3 * b / a / b, "a²", "a^{2}"),
        (lambda a, b: (a + b) * (a + b), "(a + b)²", "(a + b)^{2}"),
        (lambda a, b: -1 * (2 * (a - b)), "−2(a − b)", "-2(a - b)"),
        (lambda a, b: (a + 1) * (a + b), "(a + 1)(a + b)", "(a + 1)(a + b)"),
        (lambda a, b: (a + 1) ** 0.5 * (a + b), "√(a + 1)·(a + b)", r"\sqrt{a + 1} \cdot (a + b)"),
        (lambda a, b: 2 * a / 6, "a / 3", r"\frac{a}{3}"),
        (lambda a, b: np.exp(a - b), "e^(a − b)", "e^{a - b}"),
        (lambda a, b: 3 * (a >= b), "3·[a ≥ b]", r"3 \, [a \geq b]"),
        (lambda a, b: (a > a) + (a >= a), "1", "1"),
    ],
)
def test_terms_are_collected_as_in_a_textbook(make, expected, latex):
    term = make(name("a", 3.0), name("b", -0.7))
    assert [Notation(in_latex, tight=True).write(term) for in_latex in (False, True)] == [expected, latex]
    np.testing.assert_allclose(term.value, make(np.float64(3.0), np.float64(-0.7)) * 1, atol=1e-12)


def test_nothing_is_cancelled_where_that_would_hide_a_nan():
    zero = name("a", 0.0)
    with np.errstate(all="ignore"):
        term = zero * zero / zero
    assert Notation(False, tight=True).write(term) == "a² / a" and np.isnan(term.value)


def test_long_formulas_are_broken_at_operators():
    assert break_lines("∂h ⊙ [a > 0]", 20) == ["∂h ⊙ [a > 0]"]
    text = f"sum over axes 0, 2, 3 of multiply2 ⊙ subtract1 {MINUS} ∂a @ bᵀ"
    assert break_lines(text, 44) == ["sum over axes 0, 2, 3 of multiply2", f"⊙ subtract1 {MINUS} ∂a @ bᵀ"]
    assert break_lines(text, 24) == ["sum over axes 0, 2, 3 of", "multiply2 ⊙ subtract1", f"{MINUS} ∂a @ bᵀ"]
    assert break_lines("without_a_place_to_break", 5) == ["without_a_place_to_break"]
