# ruff: noqa: RUF001
import re
import textwrap

import numpy as np
import pytest
from latex import check_latex

from tinygrad_edu import Tensor, gradients, no_grad
from tinygrad_edu.draw.explain import explain


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


def test_several_paths_are_shown_one_after_another_with_their_sum():
    a, b, c = Tensor(2.0), Tensor(-3.0), Tensor(1.0)
    d = a * b
    e = d.maximum(c)
    g = a + e
    h = g * g
    found = explain(h, a)
    assert str(found) == dedent("""
        ∂h/∂a is the sum over 2 paths.

        Path 1: h ← g ← a
        path 1 = ∂h/∂g · ∂g/∂a
               = 2·g · 1
               = 6 · 1
               = 6

        Path 2: h ← g ← e ← d ← a
        path 2 = ∂h/∂g · ∂g/∂e · ∂e/∂d · ∂d/∂a
               = 2·g · 1 · [d > c] · b
               = 6 · 1 · 0 · (−3)
               = 0

        ∂h/∂a = path 1 + path 2
              = 6 + 0
              = 6
        """)
    assert found.paths == [("h", "g", "a"), ("h", "g", "e", "d", "a")] and found.value == 6
    check_latex(found)


def diamonds(n):
    x = a = Tensor(1.0, name="x")
    for i in range(n):
        left, right = a * 0.5, a * 0.7
        left.name, right.name = f"l{i}", f"r{i}"
        a = left + right
        a.name = f"a{i}"
    return x, a


def test_2_to_the_40_paths_are_counted_and_a_few_walked():
    x, a = diamonds(40)
    found = explain(a, x)
    assert found.solutions[0].count == 2**40 and len(found.paths) == len(set(found.paths)) == 8
    assert found.value == pytest.approx(1.2**40)
    assert "∂a39/∂x is the sum over 1,099,511,627,776 paths." in str(found)
    assert "1,099,511,627,768 more paths are not shown." in str(found) and "path 8 + ⋯" in str(found)
    check_latex(found)
    assert "about 10^30" in str(explain(*diamonds(100)[::-1]))


def test_unnamed_tensors_become_part_of_the_formula():
    w, x = Tensor(0.5), Tensor(3.0)
    y = ((w * x + 1.0) ** 2 - x).exp() / (w * w)
    assert "e^((w·x + 1)² − x)" in str(explain(y, w))
    z = w * w * w
    assert str(explain(z, w)) == dedent("""
        ∂z/∂w = 3·w²
              = 0.75
        """)
    long = w
    for _ in range(30):
        long = long * x + w
    lines = str(explain(long, x)).splitlines()
    assert max(map(len, lines)) < 1000


def test_an_output_or_leaf_without_a_name():
    found = explain(Tensor(2.0) * Tensor(3.0))
    assert found.paths == [("L", "input1"), ("L", "input2")]
    L = Tensor(2.0)
    found = explain(L * 1.5)
    assert str(found) == "∂output/∂L = 1.5"


def test_between_arrays_the_gradients_are_derived():
    rng = np.random.default_rng(0)
    x, W1, W2 = rng.normal(size=(4, 3)), Tensor(rng.normal(size=(3, 5))), Tensor(rng.normal(size=(5, 2)))
    b = Tensor([0.0, 0, 0, 0, 0])
    a = x @ W1 + b
    h = a.relu()
    y = h @ W2
    L = y.sum()
    found = explain(L, W1)
    assert str(found) == dedent("""
        ∂a is short for ∂L/∂a, the gradient at a tensor a. It begins with ∂L = 1.
        ∂L/∂y       = ∂L
                    = [[1, 1], [1, 1], [1, 1], [1, 1]]
        ∂L/∂h       = ∂y @ W2ᵀ   [4×5]
        ∂L/∂a       = ∂h ⊙ [a > 0]   [4×5]
        ∂L/∂matmul1 = ∂a   [4×5]
        ∂L/∂W1      = xᵀ @ ∂matmul1   [3×5]

        where
        matmul1 = x @ W1
        """)
    np.testing.assert_array_equal(found.value, gradients(L, [W1])[0])
    assert found.paths == [("L", "y", "h", "a", "matmul1", "W1")]
    check_latex(found)
    assert "∂L/∂b = sum over rows of ∂a\n      = [" in str(explain(L, b))


def test_a_vector_of_weights_before_single_numbers():
    w, x, b = Tensor([0.5, -1.0]), np.array([1.0, 2.0]), Tensor(0.1)
    z = w @ x + b
    L = z**2
    assert str(explain(L, w)) == dedent("""
        ∂L/∂w = ∂L/∂z · ∂z/∂w
              = 2·z · x
              = −2.8 · [1, 2]
              = [−2.8, −5.6]
        """)


def test_elements_of_a_vector():
    w, x, y = Tensor([0.5, -1.0]), Tensor(3.0), Tensor(2.0)
    z = w[0] * x + w[1] * y
    assert str(explain(z, x)) == "∂z/∂x = w[0]\n      = 0.5"
    found = explain(z, w)
    assert found.value.tolist() == [3, 2] and found.solutions[0].count == 1


def test_long_derivations_and_sums_are_cut():
    W = Tensor(np.eye(3) * 0.9)
    h = np.ones((2, 3))
    for _ in range(300):
        h = (h @ W + 0.1).tanh()
    L = h.sum()
    lines = str(explain(L, W)).splitlines()
    assert len(lines) < 100 and max(map(len, lines)) < 200
    assert any(line.startswith("⋯") and line.endswith("more") for line in lines)
    assert " + ⋯ + " in next(line for line in lines if line.startswith("∂L/∂W"))


def test_long_chains_need_no_recursion():
    x = y = Tensor(1.0)
    for i in range(3000):
        y = y * 1.0
        y.name = f"y{i}"
    found = explain(y, x)
    assert len(found.paths[0]) == 3001 and found.value == 1
    assert len(str(found)) < 1000


def test_without_a_path_the_gradient_is_zero():
    x, y, data = Tensor(2.0), Tensor([1.0, 2.0]), constant(3.0, "data")
    f = x * data
    found = explain(f, y)
    assert str(found) == "f does not depend on y: no path leads from one to the other, so the gradient is 0."
    np.testing.assert_array_equal(found.value, [0, 0])
    assert str(explain(f, data)) == "data needs no gradient: it is a constant."
    with no_grad():
        g = x * 2
    assert str(explain(g, x)) == "Nothing that g was made of needs a gradient."
    assert str(explain(g)) == "No tensor here needs a gradient." == explain(g).markdown()
    check_latex(found)


def test_the_output_and_intermediates():
    x = Tensor(2.0)
    y = x * 3
    z = y * y
    assert str(explain(z, z)) == "∂z/∂z = 1"
    assert str(explain(z, y)) == "∂z/∂y = 2·y\n      = 12"
    assert explain(x).value == 1


def test_all_named_leaves_are_explained_if_none_is_given():
    a, b = Tensor(2.0), Tensor(3.0)
    c = a * b * Tensor(4.0)
    found = explain(c)
    assert [solution.name for solution in found.solutions] == ["a", "b"] and found.value == [12, 8]


def test_gradients_that_are_there_are_neither_used_nor_changed():
    a = Tensor([1.0, 2.0])
    s = a.sum()
    loss = s * s
    loss.backward(10.0)
    assert explain(loss, a).value.tolist() == [6, 6]
    assert loss.grad == 10 and a.grad.tolist() == [60, 60]
    twice = a * 2
    twice.backward([1.0, 5.0])
    found = explain(twice, a)
    assert found.value.tolist() == [2, 10] and "It begins with ∂twice = [1, 5]." in str(found)


def test_a_hook_on_the_way_is_noticed():
    x = Tensor(2.0)
    y = x * 3
    z = y * 1.0
    y.register_hook(lambda g: 10 * g)
    assert "A hook changes the gradient on the way; with it:\n∂z/∂x = 30" in str(explain(z, x))


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"loss\.explain\(w\)"):
        explain(Tensor(1.0) * 2, 3.0)


HOSTILE = ["σ(1 − b)", "a_b", "<&>", "50%", r"\frac{", "x}^2", "$", "#1", "line\nbreak", "größe", "−1", "2", "a·b", "("]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_they_are(name):
    x, w = Tensor(2.0, name=name), Tensor(3.0, name="w")
    z = w * x * x
    out = z.exp()
    found = explain(out, w)
    assert f"= e^z · {name}²\n" in str(found)
    check_latex(found)
    check_latex(explain(Tensor(np.ones((3, 4)), name=name) @ Tensor(np.ones((4, 3)), name="v")))
