"""Worked examples 7 to 10, as a textbook prints them."""

import re
import textwrap

import pytest
from latex import check_latex

from tinygrad_edu import Tensor
from tinygrad_edu.draw.explain.explain import explain


def dedent(text):
    return textwrap.dedent(text).strip("\n")


def constant(value, name):
    return Tensor(value, requires_grad=False, name=name)


def f_of_xyz():
    x, y, z = Tensor(-2.0), Tensor(5.0), Tensor(-4.0)
    q = x + y
    f = q * z
    return explain(f, x, z)


def sigmoid_neuron():
    x, y, w, b = constant(2.0, "x"), constant(1.0, "y"), Tensor(0.5), Tensor(0.0)
    z = w * x + b
    a = z.sigmoid()
    L = (y - a) ** 2
    return explain(L, w, b)


def relu_neuron():
    x, y, w, b = Tensor(3.0), constant(2.0, "y"), Tensor(0.5), Tensor(-0.5)
    z = w * x + b
    a = z.relu()
    loss = (y - a) ** 2
    return explain(loss, w)


def gates():
    a, b, x = Tensor(3.0), Tensor(4.0), Tensor([1.0, 7.0, 2.0])
    s = a + b
    p = a * b
    m = x.max()
    L = 5 * s + 5 * p + 5 * m
    return explain(L, x), explain(5 * p, a), explain(5 * s, b)


EXAMPLES = {
    "7": (
        f_of_xyz,
        """
        ∂f/∂x = ∂f/∂q · ∂q/∂x
              = z · 1
              = −4 · 1
              = −4

        ∂f/∂z = q
              = 3
        """,
        r"""
        ∂f/∂x &= ∂f/∂q \cdot ∂q/∂x \\
        &= z \cdot 1 \\
        &= -4 \cdot 1 \\
        &= -4
        """,
    ),
    "8": (
        sigmoid_neuron,
        """
        ∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w
              = −2(y − a) · σ(z)(1 − σ(z)) · x
              = −0.538 · 0.197 · 2
              = −0.212

        ∂L/∂b = ∂L/∂a · ∂a/∂z · ∂z/∂b
              = −2(y − a) · σ(z)(1 − σ(z)) · 1
              = −0.538 · 0.197 · 1
              = −0.106
        """,
        r"""
        ∂L/∂w &= ∂L/∂a \cdot ∂a/∂z \cdot ∂z/∂w \\
        &= -2(y - a) \cdot \sigma(z)(1 - \sigma(z)) \cdot x \\
        &= -0.538 \cdot 0.197 \cdot 2 \\
        &= -0.212
        """,
    ),
    "9": (
        relu_neuron,
        """
        ∂loss/∂w = ∂loss/∂a · ∂a/∂z · ∂z/∂w
                 = −2(y − a) · [z > 0] · x
                 = −2 · 1 · 3
                 = −6
        """,
        r"""
        ∂\mathrm{loss}/∂w &= ∂\mathrm{loss}/∂a \cdot ∂a/∂z \cdot ∂z/∂w \\
        &= -2(y - a) \cdot [z > 0] \cdot x \\
        &= -2 \cdot 1 \cdot 3 \\
        &= -6
        """,
    ),
    "10 max": (
        lambda: gates()[0],
        """
        ∂L/∂x = ∂L/∂m · ∂m/∂x
              = 5 · [x = m]
              = 5 · [0, 1, 0]
              = [0, 5, 0]
        """,
        r"""
        ∂L/∂x &= ∂L/∂m \cdot ∂m/∂x \\
        &= 5 \cdot [x = m] \\
        &= 5 \cdot [0, 1, 0] \\
        &= [0, 5, 0]
        """,
    ),
    "10 multiply": (
        lambda: gates()[1],
        """
        ∂L/∂a = ∂L/∂p · ∂p/∂a
              = 5 · b
              = 5 · 4
              = 20
        """,
        r"""
        ∂L/∂a &= ∂L/∂p \cdot ∂p/∂a \\
        &= 5 \cdot b \\
        &= 5 \cdot 4 \\
        &= 20
        """,
    ),
    "10 add": (
        lambda: gates()[2],
        """
        ∂L/∂b = ∂L/∂s · ∂s/∂b
              = 5 · 1
              = 5
        """,
        r"""
        ∂L/∂b &= ∂L/∂s \cdot ∂s/∂b \\
        &= 5 \cdot 1 \\
        &= 5
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES)
def test_worked_examples_read_as_in_a_textbook(example):
    make, text, latex = EXAMPLES[example]
    found = make()
    assert str(found) == dedent(text)
    latex = re.sub(r"∂(\S+)/∂(\w+)", r"\\frac{\\partial \1}{\\partial \2}", dedent(latex))
    display = f"\\begin{{aligned}}\n{latex}\n\\end{{aligned}}"
    assert found.markdown().startswith(f"$$\n{display}\n$$")
    assert found.latex().startswith(f"\\[\n{display}\n\\]")
    assert display in found._repr_latex_() and found._repr_markdown_() == found.markdown()
    check_latex(found)
