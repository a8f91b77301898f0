"""Trees and alt texts: every tensor is told once, with its numbers, in the room that there is."""

import re
import textwrap

import numpy as np
import pytest

from tinygrad_edu import Tensor, draw, nn, no_grad
from tinygrad_edu.draw.explain.words import TREE_LINES, alt_text, speak_name, speak_text, tree
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.record import record


def named(output, variables=None):
    found = record(output)
    name_cards(found, variables={id(value): name for name, value in (variables or {}).items()})
    return found


def dedent(text):
    return textwrap.dedent(text).strip("\n")


def branch():
    a, b, c = Tensor(2.0, name="a"), Tensor(-3.0, name="b"), Tensor(1.0, requires_grad=False, name="c")
    d = a * b
    e = d.maximum(c)
    g = a + e
    h = g * g
    return named(h, {"d": d, "e": e, "g": g, "h": h})


def test_a_tensor_that_is_met_again_is_a_reference():
    assert tree(branch()) == dedent("""
        h  ×  = 9  gradient 1
        ├─ g  +  = 3  gradient 6
        │  ├─ a  input  = 2  gradient 6
        │  └─ e  max  = 1  gradient 6
        │     ├─ d  ×  = −6  gradient 0
        │     │  ├─ ↑ a, above
        │     │  └─ b  input  = −3  gradient 0
        │     └─ c  data  = 1
        └─ ↑ g, above
        """)


def test_shapes_statistics_and_scopes():
    layer = nn.Linear(3, 4, dtype=np.float64)
    layer.weight.assign(np.ones((4, 3)))
    layer.bias.assign(np.zeros(4))
    x = np.ones((2, 3))
    y = layer(x).relu().sum()
    assert tree(named(y, {"layer": layer, "x": x, "y": y})) == dedent("""
        y  Σ  = 24  gradient 1
        └─ relu1 [2×4]  ReLU  = [[3, 3, 3, 3], [3, 3, 3, 3]]  gradient [[1, 1, 1, 1], [1, 1, 1, 1]]
           └─ linear1 [2×4]  @ +  = 3 everywhere  gradient 1 everywhere  in layer, Linear(3, 4)
              ├─ x [2×3]  data  = [[1, 1, 1], [1, 1, 1]]
              ├─ layer.weight [4×3]  parameter  = 1 everywhere  gradient 2 everywhere
              └─ layer.bias [4]  parameter  = [0, 0, 0, 0]  gradient [2, 2, 2, 2]
        """)


def test_lines_fit_the_terminal_and_names_stay_on_one():
    x = Tensor(np.ones((2, 3)), name="a\nvery\tlong " + "name " * 30)
    lines = tree(named(x * 2.0), width=60).splitlines()
    assert len(lines) == 3 and max(map(len, lines)) <= 60
    assert lines[1].startswith("├─ a very long name") and lines[1].endswith("…")


def test_leaves_constants_and_what_needs_no_gradient():
    assert tree(named(Tensor(2.0, name="x"))) == "x  input  = 2  gradient 1"
    with no_grad():
        y = Tensor(2.0) * 3
    assert tree(named(y, {"y": y})).startswith("y  data  = 6\n   how it was computed was not recorded")
    w = Tensor(1.0, name="w") * -0.5
    assert tree(named(w, {"w2": w})).splitlines()[2] == "└─ −0.5"


@pytest.mark.parametrize("width", [30, 100])
def test_a_long_chain_is_cut_and_the_rest_counted(width):
    y = x = Tensor(1.0, name="x")
    for _ in range(20_000):
        y = y * x
    found = named(y)
    text = tree(found, width=width)
    assert len(text.splitlines()) < 100
    (rest,) = re.findall(r"⋯ (\d+) more", text)
    assert int(rest) + len(re.findall(r"multiply\d+  ", text)) + text.count("x  input") == len(found.cards)


def test_a_wide_graph_is_cut_and_the_rest_counted():
    leaves = [Tensor(float(i), name=f"x{i}") for i in range(1000)]
    y = np.concatenate([x.reshape(1) for x in leaves])
    lines = tree(named(y, {"y": y})).splitlines()
    assert len(lines) == TREE_LINES + 1
    shown = sum("↑" not in line for line in lines[:-1])
    assert lines[-1] == f"⋯ {2001 - shown} more"


def test_a_ladder_of_sums_is_not_a_tree():
    x = Tensor(1.0)
    for _ in range(40):
        x = x + x
    assert len(tree(named(x)).splitlines()) < 60


def test_alt_text_tells_the_whole_story():
    assert alt_text(branch(), "A branch") == (
        "A branch. The graph computes h in 4 operations from a, input 2; b, input minus 3 and c, data 1. "
        "d is a times b, which is minus 6. e is the larger of d and c, which is 1. g is a plus e, which is 3. "
        "h is g times g, which is 9. The backward pass starts at h with 1. h hands back 3 to g and 3 to g. "
        "g hands back 6 to a and 6 to e. e hands back 0 to d. d hands back 0 to a and 0 to b. "
        "The gradient of a is 6, the sum of 0 and 6. The gradient of b is 0. "
        "The gradient of g is 6, the sum of 3 and 3. c needs no gradient."
    )


@pytest.mark.parametrize("make", [branch, lambda: named(Tensor(1e-9, name="w[0]<&>_x") * np.inf)])
def test_alt_text_has_no_signs_that_are_read_out(make):
    text = alt_text(make(), "f = (x + y) · z")
    assert re.fullmatch(r"[\w\s.,;'-]+", text) and text.endswith(".") and "_" not in text


def test_numbers_are_said():
    with np.errstate(invalid="ignore"):
        text = alt_text(named(Tensor(-1.25e-7, name="x") * np.inf * 0.0))
    assert "x, input minus 1.25 times 10 to the power minus 7" in text
    assert "x times infinity, which is minus infinity" in text and "not a number" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "largest difference at [0, 1]: −3.3e−8 instead of 1e12",
            "largest difference at 0, 1: minus 3.3 times 10 to the power minus 8 instead of 1 times 10 to the power 12",
        ),
        ("right step, but h2e and x1e5_2 have a wrong", "right step, but h2e and x1e5 2 have a wrong"),
        ("2e−5 times the right one", "2 times 10 to the power minus 5 times the right one"),
        ("off by 1e−5%", "off by 1 times 10 to the power minus 5 percent"),
        ("shape [2×3] instead of ()", "shape 2 by 3 instead of a single number"),
        ("did backward() run twice?", "did backward run twice?"),
        ("NaNny: NaN or −∞", "NaNny: not a number or minus infinity"),
        ("≈0", "about 0"),
    ],
)
def test_numbers_within_sentences_are_said(text, said):
    assert speak_text(text) == said


def test_alt_text_of_a_large_graph_is_a_summary():
    model = nn.MLP([3, *[4] * 12, 2], activation="tanh", rng=np.random.default_rng(0))
    loss = model(np.ones((5, 3), np.float32)).sum()
    text = alt_text(named(loss, {"loss": loss, "model": model}))
    assert "The graph computes loss in 26 operations from 27 tensors." in text
    assert "It uses 13 times linear, 12 times tanh and once sum." in text
    assert "The gradient of model.0.weight is of norm " in text and "18 more leaves have gradients." in text
    assert len(text) < 1500


def test_alt_text_of_single_tensors_and_constants():
    assert alt_text(named(Tensor(2.0, name="x"))) == (
        "x is a single tensor, input 2, which no operation made. The backward pass starts at x with 1. "
        "The gradient of x is 1."
    )
    text = alt_text(named(Tensor(2.0, requires_grad=False, name="x")))
    assert text.endswith("Nothing here needs a gradient. x needs no gradient.")


NUMBER = re.compile(r"−?\d[\d.e−]*")


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100])
def test_entries_are_left_out_but_no_number_is_cut(width):
    rng = np.random.default_rng(0)
    blocks = [(nn.Linear(9, 9, rng=rng), nn.BatchNorm1d(9), nn.ReLU()) for _ in range(8)]  # all arrays are large
    model = nn.Sequential(*[layer for block in blocks for layer in block])
    found = named(model(np.ones((5, 9), np.float32)).sum(), {"model": model})
    whole, lines = tree(found, width=1000).splitlines(), tree(found, width=width).splitlines()
    assert max(map(len, lines)) <= width and any(text.endswith("  …") for text in lines)
    for said in (text.strip("│├└─ ") for text in lines if not text.endswith("more")):
        (original,) = [text for text in whole if text.strip("│├└─ ").startswith(said.split("  ")[0].rstrip("…"))][:1]
        assert set(NUMBER.findall(said.partition("  ")[2])) <= set(NUMBER.findall(original))


def hooked(value):
    x = Tensor(value, name="x")
    x.register_hook(lambda g: g * 10)
    y = (x * x).sum()
    y.register_hook(lambda g: g * 3)
    return named(y, {"y": y})


def test_a_gradient_that_a_hook_changed_is_told_with_both_numbers():
    assert "y  Σ  = 4  gradient 1, hook → 3" in tree(hooked(2.0))
    assert "x  input  = 2  gradient 12, hook → 120" in tree(hooked(2.0))
    assert "gradient [6, 12], hook → [60, 120]" in tree(hooked([1.0, 2.0]))
    text = alt_text(hooked(2.0))
    assert "The backward pass starts at y with 1, which a hook changes to 3." in text and text.count("hook") == 2
    assert "The gradient of x is 12, the sum of 6 and 6, which a hook changes to 120." in text


def test_a_summary_tells_of_hooks():
    y = x = Tensor(1.0, name="x")
    for _ in range(20):
        y = y * 2.0
    assert "ook" not in alt_text(named(y))
    x.register_hook(lambda g: -g)
    assert "A hook changes a gradient on the way." in alt_text(named(y))
    y.register_hook(lambda g: -g)
    assert "Hooks change 2 of the gradients on the way." in alt_text(named(y))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_is_not_taken_for_a_hook(dtype):
    x = Tensor(np.full(3, 0.1, dtype), name="x")
    parts = np.random.default_rng(0).normal(size=(50, 3)).astype(dtype)
    found = named(sum(x * part for part in parts).sum())
    assert "hook" not in tree(found) + alt_text(found)


def test_a_gradient_that_is_not_a_number_is_not_taken_for_a_hook():
    x = Tensor(0.0, name="x")
    with np.errstate(all="ignore"):
        found = named(x * np.inf - x * np.inf + x * np.nan)
    assert "hook" not in tree(found) + alt_text(found)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda m: m.sum(axis=0), "y is sum of M along axis 0, which is"),
        (lambda m: m.max(axis=-1), "y is the largest element of M along axis minus 1, which is"),
        (lambda m: m.mean(axis=(0, 2)), "y is mean of M along axes 0 and 2, which is"),
        (lambda m: m.sum(), "y is sum of M, which is"),
    ],
)
def test_alt_text_of_a_reduction_has_its_axes(f, text):
    y = f(Tensor(np.arange(24.0).reshape(2, 3, 4), name="M"))
    assert text in alt_text(named(y, {"y": y}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("w*", "w star"),
        ("θ\u0302", "θ hat"),
        ("y\u0302", "ŷ"),
        ("a/b", "a over b"),
        ("x+h", "x plus h"),
        ("x−h", "x minus h"),
        ("∂L/∂w\u2032", "partial L over partial w prime"),
        ("weights[0]", "weights 0"),
        ("net.0.weight", "net.0.weight"),
        ("What flows back: f?", "What flows back: f?"),
        ("a<b", "a less-than sign b"),
        ("<", "less-than sign"),
        ("🙂2", "slightly smiling face 2"),
        ("_", "low line"),
        ("\n", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_signs_of_names_are_said(name, said):
    assert speak_name(name) == said


def test_words_of_what_overflows_raise_no_warning():
    found = named(Tensor([np.inf, -np.inf] * 5, name="x") * 1.0)
    with np.errstate(all="raise"):
        assert "mean not a number" in alt_text(found)


def test_a_mean_that_is_rounding_is_about_0():
    x = Tensor(np.array([1, -1, 1, -1, 1 - 2.0**-53], np.float64) - np.array([0, 0, 0, 0, 1]), name="x")
    assert "mean about 0" in alt_text(record(x * 1.0))


def test_what_was_not_recorded_is_told():
    layer = nn.Linear(3, 2)
    with no_grad():
        graph = layer(np.ones((1, 3))).graph()
    frozen = draw.call(lambda x: (layer(x), x + 1), np.ones((1, 3)), within=no_grad())
    for found in (graph, frozen):
        said = "was not recorded: no_grad() was on"
        assert said in str(found) and said in found.alt_text and "which no operation" not in found.alt_text
    assert "no_grad() was on" in graph.source and "no_grad" in graph.player().html
    assert "recorded" not in str(Tensor(2.0, requires_grad=False).graph())
