import html
import re

import numpy as np
import pytest
from drawn import f_of_xyz, network
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_edu as te
from tinygrad_edu import Tensor, nn
from tinygrad_edu.draw.names import name_cards, shorten
from tinygrad_edu.draw.picture.cards import common_path, formula_lines, node_label, wire_label, wire_rule
from tinygrad_edu.draw.picture.fold import plan
from tinygrad_edu.draw.picture.markup import Look
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.theme import palette, roles
from tinygrad_edu.draw.verdict import judge_all


def look(mode="both", theme="light", **options):
    return Look(mode, theme, 3, "f", **options)


def words(label):
    """The texts of a label."""
    return [html.unescape(text) for text in re.findall(r">([^<>]+)<", f">{label}<")]


def items(output):
    return {item.cards[0].name: item for item in plan(record(output)).items if item.kind != "chip"}


def named(tensor, name):
    tensor.name = name
    return tensor


def test_a_card_shows_name_kind_value_and_gradient():
    x, y = Tensor(3.0, name="x"), Tensor(2.0, name="y", requires_grad=False)
    found = items(named(x * y, "f"))
    assert words(node_label(found["x"], look())) == ["x", "input", "value", "3", "∂f/∂x", "2"]
    assert words(node_label(found["y"], look())) == ["y", "data", "value", "2", "no gradient needed\u2002"]
    assert words(node_label(found["f"], look())) == ["\u00d7", "f", "output", "value", "6", "∂f/∂f (seed)", "1"]
    assert "\u00d7" not in words(node_label(found["f"], look(), fused=False))


def test_the_strip_says_the_kind():
    x, y = Tensor(3.0, name="x"), Tensor(2.0, name="y", requires_grad=False)
    found = items(named(x * y, "f"))
    for name, colour in [("x", "input"), ("y", "data"), ("f", "output"), ("f", "op")]:
        assert f'BGCOLOR="{palette()[colour]}"' in node_label(found[name], look())


def test_a_number_in_an_expression_is_a_small_plain_card():
    (item,) = [item for item in plan(record(Tensor(3.0) * -0.5)).items if item.cards[0].tensor is None]
    assert words(node_label(item, look())) == ["\u22120.5"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_only_colours_of_the_theme_are_used(theme):
    a = Tensor(np.arange(-8.0, 12.0).reshape(5, 4), name="a")
    for item in items(te.tanh(a * 2).sum()).values():
        colours = re.findall(r'COLOR="([^"]+)"', node_label(item, look(theme=theme)))
        assert set(colours) <= set(roles(theme).values())


@pytest.mark.parametrize(("uses", "text"), [(2, "Σ 0.5 + 0.5"), (4, "Σ 0.5 + 0.5 + 0.5 + 0.5"), (5, "Σ of 5 paths")])
def test_the_sum_row(uses, text):
    a = Tensor(0.5, name="a")
    found = items(named(sum((a * 0.5 for _ in range(uses - 1)), a * 0.5), "f"))
    assert words(node_label(found["a"], look()))[-1] == text


def test_the_sum_of_tensors_counts_paths():
    a = Tensor([1.0, 2.0], name="a")
    found = items((a * a).sum())
    assert "Σ of 2 paths" in words(node_label(found["a"], look()))


def hooked(value, uses):
    x = Tensor(value, name="x")
    x.register_hook(lambda g: g * 10)
    return items(named(sum(x * 3.0 for _ in range(uses)), "f"))


@pytest.mark.parametrize(
    ("value", "uses", "text"),
    [
        (2.0, 1, "3, hook → 30"),
        (2.0, 2, "Σ 3 + 3 = 6, hook → 60"),
        (2.0, 5, "Σ of 5 paths = 15, hook → 150"),
        ([2.0, 1.0], 1, "1 path, then a hook"),
        ([2.0, 1.0], 2, "Σ of 2 paths, then a hook"),
    ],
)
def test_a_hook_that_changes_the_sum_is_told(value, uses, text):
    found = hooked(value, uses)
    assert words(node_label(found["x"], look()))[-1] == text


def test_a_hook_on_the_output_is_told():
    f = named(Tensor(2.0, name="x") * 3.0, "f")
    f.register_hook(lambda g: g * 3)
    found = items(f)
    assert words(node_label(found["f"], look()))[-3:] == ["∂f/∂f", "3", "seed 1, hook → 3"]


@given(npst.arrays(np.float32, 6, elements=st.floats(-1e3, 1e3, width=32)))
def test_rounding_is_no_hook(factors):
    x = Tensor(np.float32(0.1), name="x")
    found = items(named(sum(x * factor for factor in factors), "f"))
    assert "hook" not in node_label(found["x"], look())


def links(output):
    return plan(record(output)).links


def test_a_wire_between_numbers_has_local_derivative_and_product():
    x, y = Tensor(-2.0, name="x"), Tensor(5.0, name="y")
    q = named(x + y, "q")
    f = named(q * Tensor(-4.0, name="z"), "f")
    assert [words(wire_label(link, look())) for link in links(f)] == [
        ["local: 1", "1 · (\u22124) = \u22124"],
        ["local: 1", "1 · (\u22124) = \u22124"],
        ["local: z = \u22124", "\u22124 · 1 = \u22124"],
        ["local: q = 3", "3 · 1 = 3"],
    ]


def test_a_wire_between_tensors_has_the_rule_as_a_formula():
    a = Tensor([[1.0, -2.0]], name="a")
    w = Tensor([[3.0], [1.0]], name="w")
    h = named(te.relu(a), "h")
    texts = [words(wire_label(link, look())) for link in links(named(h @ w, "y").sum())]
    assert texts[:3] == [["∂h ⊙ [a > 0]"], ["∂y @ wᵀ"], ["hᵀ @ ∂y"]]


def test_a_long_formula_on_a_wire_is_broken_before_it_is_cut():
    x = Tensor(np.arange(12.0).reshape(3, 4), name="x")
    (link,) = links(named(te.functional.softmax(x), "softmax1"))
    text = words(wire_label(link, look()))
    assert " ".join(text) == wire_rule(link.wires[0]) and len(text) == 3
    long = formula_lines(" + ".join(["a_long_name"] * 20), 24)
    assert len(long) == 4 and long[-1].endswith(" …") and max(map(len, long)) <= 26
    assert formula_lines("x" * 100, 24) == ["x" * 47 + "…"]


def test_a_local_derivative_is_broken_before_it_is_cut():
    a, b = Tensor(3.0, name="a_rather_long_a"), Tensor(2.0, name="a_rather_long_b")
    *local, _ = words(wire_label(links(named(a / b, "q"))[1], look()))
    assert "…" not in "".join(local) and "".join(local).startswith("local: ") and local[-1].endswith(" = −0.75")


def test_wires_to_data_have_no_label():
    assert wire_label(links(Tensor([1.0]) * np.ones(1))[1], look()) == ""


def test_labels_have_the_same_size_in_all_modes():
    a = Tensor([[1.0, -2.0]] * 4, name="a")
    output = te.relu(a * a).sum()
    plain = [
        [re.sub(r'COLOR="[^"]*"', "", label) for label in all_labels(output, mode)] for mode in ("forward", "both")
    ]
    assert plain[0] == plain[1]


def all_labels(output, mode):
    drawn = plan(record(output))
    return [node_label(item, look(mode)) for item in drawn.items] + [
        wire_label(link, look(mode)) for link in drawn.links
    ]


def test_names_are_escaped_and_cut_in_formulas():
    a, b = Tensor([1.0, 2.0], name="<" * 100), Tensor([1.0, 2.0], name="b")
    link = links(named(a * b, "&").sum())[1]
    assert wire_rule(link.wires[0]) == f"∂& ⊙ {'<' * 7}…{'<' * 7}"
    assert "<<" not in wire_label(link, look())


@given(st.text(), st.integers(5, 40))
def test_short_names_stay_and_long_ones_keep_both_ends(name, longest):
    text = shorten(name, longest)
    assert len(text) <= longest and not re.search(r"[\x00-\x1f\ud800-\udfff]", text)
    if len(name) > longest:
        assert "…" in text


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["net.0.weight", "net.0.bias"], "net.0."),
        (["net.0.weight", "net.01.weight"], "net."),
        (["net.weight"], "net."),
        (["weight", "bias"], ""),
        ([], ""),
    ],
)
def test_what_dotted_names_share(names, prefix):
    assert common_path(names) == prefix


def by_hand(**grads):
    """The cards of f = (x + y) z, with what a student has put into .grad."""
    f = f_of_xyz()
    found = record(f)
    for card in found.cards:
        card.own = grads.get(card.name)
    return {item.cards[0].name: item for item in plan(found).items}, look(verdicts=judge_all(found))


def test_what_stands_in_grad_is_marked_beside_the_right_gradient():
    found, how = by_hand(x=-4.0, y=4.0, f=1)
    last = {name: words(node_label(item, how))[-4:] for name, item in found.items()}
    assert last["x"] == ["∂f/∂x", "\u22124", "✓ .grad", "\u22124"]
    assert last["y"] == ["\u22124", "✗ .grad", "4", "wrong sign\u2002"]
    assert last["z"] == ["∂f/∂z", "3", "○ .grad", "not set"]
    assert ".grad" not in " ".join(words(node_label(found["q"], how)))  # a result needs none
    assert f'ID="{found["y"].id}-own" BGCOLOR="{palette()["highlight"]}"' in node_label(found["y"], how)
    assert palette()["highlight"] not in node_label(found["x"], how)


def test_a_wrong_array_is_shown_with_its_largest_difference():
    w = Tensor([[1.0, 2.0], [3.0, 4.0]], name="w")
    found = record((w * w).sum())
    found.cards[0].own = np.array([[2.0, 4.0], [6.0, 7.0]])
    text = words(node_label(plan(found).items[0], look(verdicts=judge_all(found))))
    lines = ["wrong in 1 of 4 elements", "largest difference at [1, 1]: 7", "instead of 8"]
    assert text[-8:] == ["✗ .grad", "2", "4", "6", "7", *[f"{line}\u2002" for line in lines]]
    how = look("forward", verdicts=judge_all(found))
    assert palette()["highlight"] not in node_label(plan(found).items[0], how)


class Scaled(nn.Module):
    """A module with a parameter that is a number, and one that is not."""

    def __init__(self, *names):
        self.names = names
        for name in names:
            setattr(self, name, Tensor(-2.0 if name == "scale" else [1.0, 2.0]))

    def forward(self, x):
        for name in self.names:
            x = x * getattr(self, name)
        return x


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["scale"], ["∂f/∂·", "scale ", "\u22127"]),
        (["shift"], ["‖∂f/∂·‖", "shift [2]", "5"]),
        (["scale", "shift"], ["∂f/∂·", "scale ", "\u221211", "shift [2]", "‖·‖ 10"]),
    ],
)
def test_parameters_that_are_numbers_show_their_gradients_with_a_sign(names, shown):
    module = Scaled(*names)
    output = named(module(Tensor([-3.0, -4.0], requires_grad=False)).sum(), "f")
    found = record(output)
    name_cards(found)
    (item,) = [item for item in plan(found, depth=0).items if item.kind == "module"]
    text = [word for word in words(node_label(item, look())) if word != " "]
    assert text[2 : 2 + len(shown)] == shown


def test_a_folded_card_says_what_is_wrong_inside():
    loss = network()
    loss.backward()
    found = record(loss)
    name_cards(found)
    wrong = next(card for card in found.cards if card.name == "0.bias")
    wrong.own = -wrong.own
    how = look(verdicts=judge_all(found))
    net, mse = [item for item in plan(found, depth=0).items if item.kind == "module"]
    text = words(node_label(net, how))
    assert text[-2:] == [".grad ✓ 6 right, ✗ 1 wrong\u2002", "wrong: 0.bias\u2002"]
    assert [word[-1] for word in text if word[-1:] in "✓✗"] == list("✓✗✓✓")
    assert words(node_label(mse, how))[-1] == ".grad ✓ 3 right\u2002"


def test_a_parameter_that_is_a_number_shows_both_numbers_in_a_folded_card():
    module = Scaled("scale")
    found = record(module(Tensor(-3.0, requires_grad=False)))
    name_cards(found)
    next(card for card in found.cards if card.name == "scale").own = 3.0
    (item,) = [item for item in plan(found, depth=0).items if item.kind == "module"]
    assert "\u22123 ✗ 3" in words(node_label(item, look(verdicts=judge_all(found))))
