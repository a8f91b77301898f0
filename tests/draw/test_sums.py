import pytest

from tinygrad_edu.draw import sums

A, B, C = (chr(sums.FIRST_ATOM + i) for i in range(3))
NAMES = {A: "a", B: "b", C: "c"}


@pytest.mark.parametrize(
    "text, expected, latex",
    [
        ("1", "1", "1"),
        ("0", "0", "0"),
        (f"2·({A} − {B})", "2(a − b)", "2(a - b)"),
        (f"{A}·{A} + {A}²", "2·a²", r"2 \, a^{2}"),
        (f"{A} − {A}", "0", "0"),
        (f"−{A} / {B}²", "−a / b²", r"-\frac{a}{b^{2}}"),
        (f"{A} / ({A}·{B})", "1 / b", r"\frac{1}{b}"),
        (f"1 / (2·√{A})", "1 / (2·√a)", r"\frac{1}{2 \, \sqrt{a}}"),
        (f"({A} + {B})({A} + {B})", "(a + b)²", "(a + b)^{2}"),
        ("1 / 3", "1 / 3", r"\frac{1}{3}"),
        ("1 / 8", "0.125", "0.125"),
        (f"e^({A} − {B})", "e^(a − b)", "e^{a - b}"),
        (f"3·[{A} ≥ {B}]", "3·[a ≥ b]", r"3 \, [a  \geq  b]"),
    ],
)
def test_sums_are_tidied(text, expected, latex):
    found = sums.parse(text)
    assert sums.with_names(sums.written(found), NAMES) == expected
    assert sums.with_names(sums.written(found, latex=True), NAMES) == latex


def test_products_of_sums():
    product = sums.times(sums.parse(f"2·({A} − {B})"), sums.parse("−1"))
    assert sums.with_names(sums.written(product), NAMES) == "−2(a − b)"
    product = sums.times(sums.parse(f"{A} + 1"), sums.parse(f"{A} + {B}"))
    assert sums.with_names(sums.written(product), NAMES) == "(a + 1)(a + b)"
    assert sums.without(sums.parse(f"{A}·{B} + 2·{A}"), A) == sums.parse(f"{B} + 2")
    assert sums.without(sums.parse(f"{A}·{B} + {B}"), A) is None
