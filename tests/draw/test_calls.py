import sys

import numpy as np
import pytest

from tinygrad_edu import Tensor, draw, functional, nn, no_grad
from tinygrad_edu.draw.player.steps import script
from tinygrad_edu.draw.theme import LIGHT


def train():
    model, xs = nn.Linear(4, 3), np.ones((5, 4), np.float32)
    for _ in range(2):
        out = model(xs)
        targets = np.zeros((5, 1), np.float32)
        functional.mse_loss(out, targets).backward()


def caught():
    try:
        train()
    except ValueError as error:
        return error


def test_the_last_error_is_drawn(monkeypatch):
    error = caught()
    graphs = [draw.failed(error, title="Oh")]
    name = "last_exc" if sys.version_info >= (3, 12) else "last_value"
    monkeypatch.setattr(sys, name, error, raising=False)
    graphs.append(draw.failed())
    try:
        train()
    except ValueError:
        graphs.append(draw.failed())
    for graph in graphs:
        names = [card.name for card in graph.record.cards]
        assert names == ["xs", "model.weight", "model.bias", "out", "targets", "mse_loss"]
    assert graphs[0].title == "Oh" and graphs[0].error is error


def test_without_an_error_there_is_no_picture(monkeypatch):
    for name in ("last_exc", "last_value"):
        monkeypatch.delattr(sys, name, raising=False)
    with pytest.raises(RuntimeError, match="there is no error to draw"):
        draw.failed()
    with pytest.raises(TypeError, match="not 'oh'"):
        draw.failed("oh")


def test_what_was_computed_outside_of_the_call_that_failed_is_not_drawn():
    net, x = nn.Linear(4, 3), np.ones((5, 4), np.float32)

    def step():
        before = net(x) * 2
        return functional.mse_loss(net(x), before[:3])

    try:
        step()
    except ValueError as error:
        after = net(x) * 3
        names = {card.name for card in draw.failed(error).record.cards}
    assert after.shape == (5, 3) and "mse_loss" in names and not {"after", "multiply2"} & names


def test_an_error_of_backward_is_drawn():
    w = Tensor(np.ones(2))
    loss = (w * 2).sum()
    with pytest.raises(ValueError) as info:
        loss.backward(np.ones(7))
    graph = draw.failed(info.value)
    assert graph.record.output.name == "backward" and "loss" in [card.name for card in graph.record.cards]


def test_results_of_which_one_is_made_of_the_others():
    net, x = nn.Linear(2, 2), np.ones((1, 2), np.float32)

    def logits_and_loss(x):
        logits = net(x)
        return logits, {"loss": logits.sum(), "none": None}

    graph = draw.call(logits_and_loss, x)
    assert [card.name for card in graph.record.cards][-2:] == ["logits", "sum1"]
    assert graph.record.seed == 1


def test_several_results_are_drawn_forward():
    graph = nn.LSTM(2, 3).graph(np.ones((2, 1, 2), np.float32))
    assert [card.name for card in graph.record.ends()] == ["stack3", "stack1", "stack2"]
    assert graph.source.count(LIGHT["output"]) == 3 and "gradient," not in graph.source
    assert "computes stack3, stack1 and stack2 in" in graph.alt_text and "\nstack2 [1×1×3]" in str(graph)
    folded = nn.LSTM(2, 3).graph(np.ones((2, 1, 2), np.float32), depth=0)
    assert len(folded.plan.items[-1].outputs) == 3
    two = draw.call(lambda x, y: (x, y), Tensor(1.0), Tensor(2.0))
    assert len(two.plan.items) == 2


@pytest.mark.parametrize(
    ("function", "options", "why"),
    [
        (lambda x: (x * 2, x + 1), {}, "no gradients: 2 outputs; draw one of them, or a loss"),
        (lambda x: (x * 2, x + 1), {"style": "compact"}, "no gradients: 2 outputs; draw one of them, or a loss"),
        (lambda x: x @ x, {"gradients": "grad"}, "no gradients, no .grad: the forward pass failed"),
        (lambda x: x.detach(), {"gradients": "grad"}, "no gradients, no .grad: nothing here needs one"),
    ],
)
def test_why_there_are_no_gradients_is_said_in_picture_tree_and_words(function, options, why):
    graph = draw.call(function, Tensor(np.ones((2, 3))), mode="backward", **options)
    legend = next(line for line in graph.source.splitlines() if "value, forward" in line)
    assert f'"{LIGHT["muted"]}" POINT-SIZE="11">{why}' in legend
    assert str(graph).endswith(f"\n{why}") and why.capitalize() in graph.alt_text
    assert graph.error or script(graph).steps[0].note == f"{why.capitalize()}."
    assert f'"transparent" POINT-SIZE="11">{why}' in graph.forward().source


def test_only_tensors_have_graphs():
    with pytest.raises(TypeError, match="<lambda> returned int, and only a Tensor has a graph"):
        draw.call(lambda: 3)


def test_options_that_do_not_exist_are_errors_as_always():
    with pytest.raises(ValueError, match="style"):
        draw.call(lambda x: x @ np.ones(3), Tensor(np.ones(2)), style="none")


def never(*_):
    raise AssertionError("was called")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda net, x: net(x).graph(stlye="compact"), "no option stlye=; did you mean style=?"),
        (lambda net, x: net(x).graph().forward(stlye="compact"), "did you mean style="),
        (lambda net, x: draw.call(never, x, mask=x), r"draw.call\(lambda x: model\(x, mask=...\), x\)"),
        (lambda net, x: net(x).graph("forward"), "given by name, mode='forward'"),
        (lambda net, x: net(x).graph(x), "such as depth=1"),
        (lambda net, x: draw.call(3, x), "3 is not a function or a module"),
        (lambda net, x: draw.call(net(x)), r"loss.graph\(\)"),
        (lambda net, x: draw.call(net, x, within=3), r"such as within=no_grad\(\)"),
        (lambda net, x: draw.call(net, x, within=no_grad), r"with brackets, within=no_grad\(\)"),
        (lambda net, x: net.graph(x, fold=lambda: True), "cannot be called with a module alone"),
    ],
)
def test_options_that_cannot_be_are_told(wrong, words):
    with pytest.raises(TypeError, match=words):
        wrong(nn.Linear(3, 2), np.ones((1, 3)))
