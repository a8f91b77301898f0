import re
import textwrap

import numpy as np
import pytest
from latex import check_latex

from tinygrad_edu import Tensor, gradients, no_grad, op
from tinygrad_edu.draw.explain.explain import explain
from tinygrad_edu.functional import cross_entropy


def dedent(text):
    return textwrap.dedent(text).strip("\n")


def constant(value, name):
    return Tensor(value, requires_grad=False, name=name)


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
        ∂y is short for ∂L/∂y, and so on. It begins with ∂L = 1.
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


def test_functions_within_functions_are_taken_apart():
    h, w = Tensor(0.5), Tensor(0.9)
    x = h
    for _ in range(3):
        h = (h * w).tanh()
    assert str(explain(h, x)) == dedent("""
        ∂h/∂x = ∂h/∂tanh2 · ∂tanh2/∂tanh1 · ∂tanh1/∂x
              = (1 − tanh²(tanh2·w))·w · (1 − tanh²(tanh1·w))·w · (1 − tanh²(x·w))·w
              = 0.811 · 0.782 · 0.74
              = 0.469

        where
        tanh2 = tanh(tanh1·w)
        tanh1 = tanh(x·w)
        """)
    assert explain(h, w).solutions[0].count == 3


def test_tensors_that_share_a_name_are_numbered():
    t = Tensor(2.0, name="t")
    u = t * 2
    v = u * t
    u.name = v.name = "h"
    del u
    L = v * v
    found = explain(L, t)
    assert found.paths == [("L", "h₂", "t"), ("L", "h₂", "h", "t")]
    assert r"2 \, h_{2} \cdot t" in found.latex()
    check_latex(found)


def test_the_gradient_of_cross_entropy():
    logits = Tensor([2.1, 0.5, -0.8])
    loss = cross_entropy(logits, np.array(0))
    assert str(explain(loss)).startswith(
        "∂loss/∂logits = softmax(logits) − onehot(0)\n              = [−0.204, 0.161, "
    )


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


def test_definitions_name_axes_indices_and_shapes():
    a = Tensor(np.arange(12.0).reshape(3, 4))
    b = np.concatenate([a.sum(axis=1, keepdims=True) * a.mean(axis=0), a[1:].T.reshape(2, 4)], axis=0)
    L = (b.max(axis=1).cumsum() * a[1, :3].prod() * np.transpose(a[None], (1, 0, 2))[0, 0, 0]).sum()
    lines = str(explain(L, a)).partition("where\n")[2].splitlines()
    assert [line.partition(" = ")[2] for line in lines] == [
        *("multiply2·getitem4", "transpose2[0, 0, 0]", "getitem3 with axes (1, 0, 2)", "a[None]"),
        *("cumsum1·prod1", "product of getitem2", "a[1, :3]", "cumsum(max1)", "max over columns of b"),
        *("transpose1 as (2, 4)", "getitem1ᵀ", "a[1:]", "sum1 ⊙ mean1"),
        *("mean over rows of a", "sum over columns of a"),
    ]
    stacked = np.concatenate([a, a], axis=0) * 2.0
    assert "concatenate1 = concatenate(a, a, axis=0)" in str(explain(stacked.sum(), a))
    check_latex(explain(L, a))


@pytest.mark.parametrize("shapes", [((1,), (1, 1)), ((), (1,)), ((1, 1), ())])
def test_single_numbers_of_any_shape_are_written_as_numbers(shapes):
    a, b = Tensor(np.full(shapes[0], 2.0)), Tensor(np.full(shapes[1], 3.0))
    y = a * b
    assert str(explain(y, a)) == "∂y/∂a = b\n      = 3"
    assert explain(y, a).value.shape == shapes[0]


def test_the_ones_that_a_second_derivative_begins_with_are_not_shown():
    x = Tensor(2.0)
    (g,) = gradients(x**4, [x], create_graph=True)
    assert str(explain(g, x)) == "∂g/∂x = 12·x²\n      = 48"
    v = Tensor([1.0, 2.0])
    (g,) = gradients((v**3).sum(), [v], create_graph=True)
    assert "data" not in str(explain(g, v)) and "ones" not in str(explain(g, v))


def test_ones_stay_a_matrix_where_they_are_multiplied_as_one():
    x = Tensor(np.ones((2, 3)))
    L = (x @ np.ones((3, 2))).sum()
    assert "matmul1 @ 1" not in str(explain(L, x)) and "x @ 1" not in str(explain(L, x))


def test_a_rule_that_cannot_be_followed_is_a_symbol_in_the_formula(registry):
    @op(lambda g, out, x: g * np.float64(float(x * x) if isinstance(x, np.floating) else {}["missing"]))
    def strange(x):
        return x**3 / 3

    w = Tensor(2.0)
    z = strange(w * 3.0) * 5.0
    assert str(explain(z, w)) == "∂z/∂w = 15·∂strange(3·w)/∂(3·w)\n      = 540"
    check_latex(explain(z, w))


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
    shown = name.replace("\n", " ")
    assert f"= e^z · {shown}²\n" in str(found)
    check_latex(found)
    check_latex(explain(Tensor(np.ones((3, 4)), name=name) @ Tensor(np.ones((4, 3)), name="v")))


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\ud800b", "a\u202eb", "a\x9bb", "\x00"])
def test_a_name_does_not_steer_the_terminal(name):
    x = Tensor([1.0, 2.0], name=name)
    y = (x * x).sum()
    y.name = name
    for worked in (explain(y, x), explain(y, Tensor(1.0, name=name))):
        for text in (str(worked), worked.markdown(), worked.latex()):
            assert text.replace("\n", "").isprintable()
            text.encode()


def test_what_repeats_another_tensor_goes_by_its_name():
    x = Tensor(2.0, name="x")
    o = (x * 1) * np.exp(x)
    assert str(o.explain(x)) == "∂o/∂x = x·e^x + e^x\n      = 22.2"
    losses = sum([(x * float(i) - 1) ** 2 for i in range(3)]) / 3  # which begins with 0 + ...
    assert "∂losses/∂x = 4(2·x − 1) / 3 + 2(x − 1) / 3" in str(losses.explain(x))
    y = (((x + 0) ** 1).reshape(1)[0].astype(np.float64).sum() * 3.0).exp()
    assert str(y.explain(x)).startswith("∂y/∂x = 3·e^(3·x)\n")


def test_a_gradient_is_not_said_to_be_itself(registry):
    total = op(lambda g, out, x: g * np.array([1.0, 2.0]))(lambda x: x @ [1.0, 2.0])  # an array without a name
    v = Tensor([5.0, 6.0])
    L = total(v)
    assert str(L.explain(v)) == "∂L/∂v = [1, 2]"


def test_unnamed_tensors_in_formulas_are_defined():
    x, y = Tensor(2.0), Tensor(0.3)
    L = np.log(np.exp(x) + 1) * np.exp(np.exp(np.sin(y)) + 1)
    for variable in (x, y):
        text, _, where = str(L.explain(variable)).partition("where\n")
        unnamed = set(re.findall(r"(?:exp|sin|log)\d+", text + where))
        assert unnamed == {line.split()[0] for line in where.splitlines()} != set()
    assert "exp1 = e^x" in str(L.explain(x))


def test_what_one_solution_says_the_next_do_not_repeat():
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (Tensor(rng.normal(size=shape)) for shape in ((2, 3), 3, (3, 1), 1))
    L = (((np.ones((4, 2)) @ W1 + b1).tanh() @ W2 + b2) ** 2).mean()
    solutions = L.explain().solutions
    assert [s.name for s in solutions] == ["W1", "b1", "W2", "b2"]
    lines = [line for s in solutions for line in str(s).splitlines() if " = " in line and line.split()[0] != "="]
    heads = [line.split(" = ")[0].strip() for line in lines]
    assert len(heads) == len(set(heads)) and {"∂L/∂W1", "∂L/∂b1", "∂L/∂W2", "∂L/∂b2", "add2"} <= set(heads)
    assert str(solutions[1]).startswith("∂L/∂b1 = sum over rows of ∂add1\n")
    assert str(L.explain(b1)).startswith("∂power1 is short for ∂L/∂power1")  # alone, all of it


@pytest.mark.parametrize("precision", [0, 18, -1, 2.5, 3.0, "a", True, None])
def test_a_precision_that_is_none_is_refused(precision):
    x = Tensor(2.0)
    with pytest.raises(ValueError, match=r"explain: precision is .*; it must be an integer from 1 to 17"):
        (x * 2).explain(x, precision=precision)


def test_hooks_between_arrays_and_on_the_output_are_told():
    x = Tensor([1.0, 2.0], name="x")
    h, y = x * 3, Tensor(1.0, name="y") * 2
    h.name = "h"
    h.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g * 10)
    assert "Hooks change ∂h before it is passed on." in str((h * h).sum().explain(x))
    assert str(y.explain(y)).startswith("A hook changes the gradient:")
