import re
from collections import Counter

import numpy as np
import pytest
from domains import DOMAINS
from drawn import f_of_xyz, named, network, three_uses
from hypothesis import Phase, given, settings, strategies as st
from printed import case

from tinygrad_edu import Tensor, nn, no_grad
from tinygrad_edu.draw.algebra.formulas import RuleCall
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.player.steps import rule_words, script
from tinygrad_edu.draw.record import record


def equations(output, **options):
    return [step.equation for step in script(Graph(record(output), **options)).steps]


def test_the_textbook_example_step_by_step():
    found = script(Graph(record(f_of_xyz())))
    assert [step.equation for step in found.steps] == [
        "How f is computed",
        "x = −2",
        "y = 5",
        "q = x + y = −2 + 5 = 3",
        "z = −4",
        "f = q · z = 3 · (−4) = −12",
        "∂f/∂f = 1",
        "∂f/∂q += z · ∂f/∂f = −4 · 1 = −4",
        "∂f/∂z += q · ∂f/∂f = 3 · 1 = 3",
        "∂f/∂x += 1 · ∂f/∂q = 1 · (−4) = −4",
        "∂f/∂y += 1 · ∂f/∂q = 1 · (−4) = −4",
    ]
    assert [step.rule for step in found.steps[7:]] == ["∂f/∂f · z", "∂f/∂f · q", "∂f/∂q", "∂f/∂q"]
    assert [step.source for step in found.steps[7:]] == ["multiply: g * y", "multiply: g * x", "add: g", "add: g"]
    assert found.steps[7].note == "The gate × swaps and scales." and found.steps[9].note == "The gate + distributes."
    assert Counter(step.phase for step in found.steps) == {"start": 1, "forward": 5, "backward": 5}


def test_each_mode_plays_its_passes_and_backward_begins_with_all_values():
    both, forward, backward = (script(Graph(record(f_of_xyz()), mode=m)) for m in ("both", "forward", "backward"))
    assert forward.steps == both.steps[:6] and not forward.gradients and forward.values == both.values
    assert backward.steps[1:] == both.steps[6:] and backward.steps[0].equation == "How the gradient of f flows back"
    assert backward.values == dict.fromkeys(both.values, 0)
    assert {step - 5 for step in both.flows.values()} == set(backward.flows.values())
    with no_grad():
        (step,) = script(Graph(record(named(Tensor(2.0) * 3.0, "f")), mode="backward")).steps
    assert (step.equation, step.note) == ("Nothing flows back from f", "It needs no gradient.")


def test_a_gradient_grows_with_each_contribution():
    found = script(Graph(record(three_uses())))
    notes = [step.note for step in found.steps if step.equation.startswith("∂h/∂g")]
    assert [note.split(". ")[0] for note in notes] == [
        "∂h/∂g: 1 so far, 1 of 3 contributions",
        "∂h/∂g: 1, then 1 + 3 = 4",
        "∂h/∂g: 4, then 4 + 3 = 7",
    ]
    assert [float(total) for _, total in found.gradients["node-t0"]] == [1, 4, 7]


def test_the_backward_steps_are_in_the_order_of_the_engine():
    graph = Graph(record(network()), style="fused")
    found = script(graph)
    steps = [step for step in found.steps if step.phase == "backward"][1:]
    wires = [f"wire-{wire.target.id}-{wire.position}" for wire in graph.record.backward]
    assert [next(part for part in step.active if part in wires) for step in steps] == wires
    assert [found.flows[wire] for wire in wires] == sorted(found.flows[wire] for wire in wires)


def test_a_value_appears_after_its_operands_and_a_gradient_before_it_flows_on():
    graph = Graph(record(network()), style="fused")
    found = script(graph)
    for wire in graph.record.wires():
        source, target = f"node-{wire.source.id}", f"node-{wire.target.id}"
        assert found.values[source] < found.values[target]
        if wire.contribution is not None:
            assert found.gradients[target][-1][0] < found.flows[f"wire-{wire.target.id}-{wire.position}"]
    for card in graph.record.cards:
        if card.gradient is not None:
            np.testing.assert_allclose(found.gradients[f"node-{card.id}"][-1][1], card.gradient, rtol=1e-6)


@pytest.mark.parametrize("style", ["fused", "compact"])
def test_tensors_have_formulas_and_shapes(style):
    """Also where an op lists its parameters, to which no line leads."""
    texts = equations(network(), style=style)
    assert "∂L/∂2.bias += sum over rows of ∂linear2" in [text.partition(" = ")[0] for text in texts]
    assert any(text.startswith("multiply1 = subtract1 ⊙ subtract1") for text in texts)
    rules = {step.equation.partition(" ")[0]: step.rule for step in script(Graph(record(network()))).steps}
    assert rules["∂L/∂2.weight"] == "(∂L/∂linear2)ᵀ @ relu1" and rules["∂L/∂L"] == ""


def test_listed_parameters_get_their_gradients_one_after_the_other():
    graph = Graph(record(network()), style="compact")
    found, steps = script(graph), script(Graph(graph.record, style="fused")).steps
    backward = [step.equation for step in found.steps if step.phase == "backward"]
    assert backward == [step.equation for step in steps if step.phase == "backward"]
    for item in graph.plan.items:
        if item.weights:
            times = [found.cells[f"{item.id}-norm-{leaf.id}"] for leaf in item.weights]
            assert found.cells[f"{item.id}-norm"] == min(times) < max(times)
            assert min(times) > found.gradients[item.id][-1][0] > found.values[item.id]


def test_a_mark_stands_there_when_it_is_said():
    net = nn.MLP([4, 8, 3], rng=np.random.default_rng(0))
    loss = nn.CrossEntropyLoss()(net(np.eye(4, dtype=np.float32)), np.array([0, 1, 2, 0]))
    loss.backward()
    net[0].weight.grad *= -1
    graph = loss.graph(gradients="grad", style="compact")
    found = script(graph)
    for item in graph.plan.items:
        times = {leaf: found.cells[f"{item.id}-norm-{leaf.id}"] for leaf in item.weights}
        if item.cards[-1] in graph.verdicts:
            times[item.cards[-1]] = found.cells[f"{item.id}-own"]
        for card, step in times.items():
            assert f".grad of {card.name}" in found.steps[step].note


def test_marks_of_a_folded_module_stand_there_when_all_inside_is_known():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    loss = net(np.ones((4, 2), np.float32)).sum() + (net[2].weight * 2).sum()
    graph = loss.graph(gradients="grad", depth=0)
    found = script(graph)
    folded = next(item for item in graph.plan.items if item.folded)
    assert found.cells[f"{folded.id}-own"] == max(found.cells[f"{folded.id}-norm-{leaf.id}"] for leaf in folded.weights)
    shared = next(item for item in graph.plan.items if item.cards[0].tensor is net[2].weight)
    assert [step for step, _ in found.gradients[shared.id]][-1] == found.cells[f"{shared.id}-own"]


def test_a_folded_module_is_one_step_forward():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = Tensor(np.ones((4, 2)), name="x")
    graph = Graph(record(named(net(x).sum(), "L")), depth=0)
    found = script(graph)
    folded = next(item for item in graph.plan.items if item.folded)
    assert [step.phase for step in found.steps] == ["start", *["forward"] * 3, *["backward"] * 3]
    assert found.steps[found.values[folded.id]].note == "It stands for 3 ops."
    times = [found.cells[f"{folded.id}-norm-{leaf.id}"] for leaf in folded.weights]
    assert max(times) == len(found.steps) - 1 and min(times) == found.cells[f"{folded.id}-norm"] == len(found.steps) - 2


@pytest.mark.parametrize("steps", [2, 80])
def test_a_large_graph_has_a_step_for_each_node_and_line_drawn(steps):
    x = h = Tensor(0.5, name="x")
    for _ in range(steps):
        h = (h * x).tanh()
    graph = Graph(record(h))
    found = script(graph)
    shown = [item for item in graph.plan.items if item.kind != "chip"]
    counts = Counter(step.phase for step in found.steps)
    assert counts["forward"] == len(shown) and counts["backward"] == 1 + len(graph.plan.links)
    assert all(step.active for step in found.steps[1:])


def test_what_needs_no_gradient_has_a_forward_pass_only():
    with no_grad():
        output = named(Tensor(2.0) * 3.0, "f")
    steps = script(Graph(record(output))).steps
    assert [(step.phase, step.equation) for step in steps[1:]] == [("forward", "f = 6")]
    assert steps[-1].note.startswith("Data: it needs no gradient. How it was computed was not recorded")


def test_a_single_leaf():
    assert equations(Tensor(2.0, name="x")) == ["How x is computed", "x = 2", "∂x/∂x = 1"]


def test_a_blocked_wire_says_so():
    x, y = Tensor(1.0, name="x"), Tensor(0.0, name="y")
    notes = [step.note for step in script(Graph(record(named(x * y, "f")))).steps]
    assert sum("Blocked" in note for note in notes) == 1


def test_a_wire_that_passes_on_0_blocks_nothing():
    x = named((Tensor(-2.0, name="x") * 3.0).relu(), "f")  # relu blocks; the product passes on what it gets
    notes = [step.note for step in script(Graph(record(x))).steps if step.phase == "backward"]
    assert ["Blocked" in note for note in notes] == [False, True, False]


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x**2, "f = x² = (−3)² = 9"),
        (lambda x: x - 4.0, "f = x − 4 = −3 − 4 = −7"),
        (lambda x: 1.0 / x, "f = 1 / x = 1 / (−3) = −0.333"),
        (lambda x: x.sigmoid(), "f = σ(x) = σ(−3) = 0.0474"),
        (lambda x: x.exp(), "f = e^x = e^(−3) = 0.0498"),
        (lambda x: x**-2, "f = 1 / x² = 1 / (−3)² = 0.111"),
        (lambda x: 2.0**x, "f = 2^x = 2^(−3) = 0.125"),
        (lambda x: -x, "f = −x = −(−3) = 3"),
        (lambda x: x * 1, "f = x · 1 = −3 · 1 = −3"),
        (lambda x: x * x, "f = x · x = −3 · (−3) = 9"),
        (lambda x: x + x, "f = x + x = −3 + (−3) = −6"),
        (lambda x: x.astype(np.float32), "f = astype(x) = astype(−3) = −3"),
    ],
)
def test_expressions_of_ops(f, text):
    found = script(Graph(record(named(f(Tensor(-3.0, name="x")), "f"))))
    assert text in [step.equation for step in found.steps]


def test_a_hook_is_told_when_the_last_contribution_has_arrived():
    x = Tensor(2.0, name="x")
    x.register_hook(lambda g: g * 10)
    y = named(x * x, "y")
    y.register_hook(lambda g: g * 3)
    notes = [step.note for step in script(Graph(record(y))).steps if step.phase == "backward"]
    assert notes[0] == "The backward pass begins at the output. A hook changes it: 1 → 3."
    assert "hook" not in notes[1]
    assert notes[2].startswith("∂y/∂x: 6, then 6 + 6 = 12. A hook changes it: 12 → 120.")


def test_the_verdict_on_grad_is_told_when_the_last_contribution_has_arrived():
    g = Tensor(3.0, name="g")
    y = named(g * g, "y")
    g.grad, y.grad = 3.0, 1.0
    notes = [step.note for step in script(Graph(record(y), gradients="grad")).steps if step.phase == "backward"]
    assert notes[0].endswith(" The .grad of y is right.")
    assert ".grad" not in notes[1] and "The .grad of g, 3, is wrong: only 1 of 2 paths." in notes[2]


def test_a_number_is_said_once():
    assert "f = −x = −2" in equations(named(-Tensor(2.0, name="x"), "f"))


M, B = [[1.0, 2.0], [3.0, 4.0]], [1.0, -2.0]


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda m, b: m.sum(axis=0), "f = sum over rows of M = [4, 6]"),
        (lambda m, b: m.mean(axis=1), "f = mean over columns of M = [1.5, 3.5]"),
        (lambda m, b: m.max(axis=0), "f = max over rows of M = [3, 4]"),
        (lambda m, b: m.sum(), "f = sum of M = 10"),
        (lambda m, b: m[0], "f = M[0] = [1, 2]"),
        (lambda m, b: b[1], "f = b[1] = −2"),
        (lambda m, b: b[1:][0], "f = getitem1[0] = −2"),
        (lambda m, b: m[:, 1], "f = M[:, 1] = [2, 4]"),
        (lambda m, b: m.T, "f = Mᵀ = [[1, 3], [2, 4]]"),
        (lambda m, b: m @ b, "f = M @ b = [−3, −5]"),
        (lambda m, b: b @ b, "f = b @ b = 5"),
        (lambda m, b: b * b, "f = b ⊙ b = [1, 4]"),
        (lambda m, b: np.concatenate([m, m]), "f = concatenate(M, M, axis=0)"),
        (lambda m, b: np.concatenate([m, m], axis=1), "f = concatenate(M, M, axis=1)"),
        (lambda m, b: np.expand_dims(b, 0), "f = expand_dims(b) = [[1, −2]]"),
        (lambda m, b: m.astype(np.float32), "f = astype(M) = [[1, 2], [3, 4]]"),
    ],
)
def test_expressions_of_arrays_have_axes_and_indices_and_end_in_a_few_numbers(f, text):
    result = f(Tensor(M, name="M"), Tensor(B, name="b"))
    assert text in equations(named(result, "f"))


def test_contributions_and_sums_of_small_arrays_have_numbers():
    b = Tensor(B, name="b")
    steps = script(Graph(record(named((b * b).sum(), "f")))).steps
    assert [step.equation for step in steps[-3:]] == [
        "∂f/∂multiply1 += ∂f = [1, 1]",
        *["∂f/∂b += ∂multiply1 ⊙ b = [1, −2]"] * 2,
    ]
    assert steps[-2].note.startswith("∂f/∂b: [1, −2] so far, 1 of 2 contributions.")
    assert steps[-1].note.startswith("∂f/∂b: [1, −2], then [1, −2] + [1, −2] = [2, −4].")


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x.sigmoid(), "∂f/∂x += σ(x)(1 − σ(x)) · ∂f/∂f = 0.105 · 1 = 0.105"),
        (lambda x: x.tanh(), "∂f/∂x += (1 − tanh²(x)) · ∂f/∂f = 0.0707 · 1 = 0.0707"),
        (lambda x: -1.0 / x, "∂f/∂x += (1 / x²) · ∂f/∂f = 0.25 · 1 = 0.25"),
        (lambda x: 1.0 / x, "∂f/∂x += (−1 / x²) · ∂f/∂f = −0.25 · 1 = −0.25"),
        (lambda x: x * -3.0, "∂f/∂x += −3 · ∂f/∂f = −3 · 1 = −3"),
        (lambda x: x**2, "∂f/∂x += 2·x · ∂f/∂f = 4 · 1 = 4"),
    ],
)
def test_a_local_derivative_is_in_brackets_where_it_needs_them(f, text):
    assert equations(named(f(Tensor(2.0, name="x")), "f"))[-1] == text


@pytest.mark.parametrize("name", sorted(DOMAINS.keys() - {"eigh", "qr", "svd"}))  # which name parts of the result: ∂Q
@given(data=st.data())
@settings(max_examples=1, phases=[Phase.generate])
def test_the_rule_of_every_op_is_in_the_names_of_the_picture(name, data):
    operands, params = data.draw(DOMAINS[name])
    this, _, values, out, params = case(name, *operands, **params)
    names = {"g": "∂result", "out": "result"} | {this.argument(i): f"operand{i}" for i in range(len(values))}
    for i, x in enumerate(values):
        if (this.variadic or this.vjps[i]) and getattr(x, "dtype", None) in ("float32", "float64") and np.size(out):
            text = rule_words(RuleCall(this, i, names, values, out, params), "∂loss/∂result", 3)
            assert not set(re.findall(r"\b[a-z]+\b", text)) & {"g", "out", "x", "y", "weight", "bias"}, text
            assert "∂loss/∂result" in text or text == "0", text
