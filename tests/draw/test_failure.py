import html
import re

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import Tensor, draw, functional, nn
from tinygrad_edu.draw.theme import LIGHT
from tinygrad_edu.engine import REGISTRY


def ones(*shape):
    return np.ones(shape, np.float32)


class Net(nn.Module):
    """Layers by name, and a forward of one's own."""

    def __init__(self, run, **layers):
        vars(self).update(layers)
        self.run = run

    def forward(self, *inputs):
        return self.run(self, *inputs)


def width(net, x):
    h = net.fc1(x).relu()
    return net.fc2(h)


def no_flatten(net, images):
    h = net.conv(images)
    return net.fc(h)


def loss_of_column(net, x, y):
    out = net.fc(x)
    return functional.mse_loss(out, y)


def loss(net, x, labels):
    logits = net.fc(x)
    return functional.cross_entropy(logits, labels)


def joined(net, x, y):
    left, right = net.fc(x), net.fc(y)
    return np.concatenate([left, right], axis=1)


def scores(net, x):
    k, q = net.fc(x), net.fc(x)
    return q @ k


def normalized(net, images):
    h = net.conv(images)
    return net.norm(h)


def reshaped(net, x):
    h = net.fc(x)
    return h.reshape(3, 5)


def tuple_as_tensor(net, x):
    h = net.lstm(x)
    return net.fc(h)


def too_long(net, idx):
    tok = net.token(idx)
    places = np.arange(len(idx))
    return tok + net.position(places)


CASES = {  # name: the module, its inputs, what failed, the words of its error, its operands
    "wrong width": (
        Net(width, fc1=nn.Linear(4, 3), fc2=nn.Linear(2, 2)), [ones(5, 4)],
        "Linear(2, 2)", "its last axis must be 2", {"input": ("h", "[5×3]"), "weight": ("net.fc2.weight", "[2×2]")},
    ),
    "no Flatten": (
        Net(no_flatten, conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(72, 10)), [ones(2, 1, 8, 8)],
        "Linear(72, 10)", "put Flatten() before it", {"input": ("h", "[2×2×6×6]")},
    ),
    "channels last": (
        Net(no_flatten, conv=nn.Conv2d(3, 2, 3), fc=nn.Linear(72, 10)), [ones(2, 8, 8, 3)],
        "Conv2d(3, 2, 3)", "move the channels to axis 1", {"input": ("images", "[2×8×8×3]")},
    ),
    "broadcast in the loss": (
        Net(loss_of_column, fc=nn.Linear(4, 1)), [ones(5, 4), ones(5)],
        "mse_loss", "reshape one", {"input": ("out", "[5×1]"), "target": ("y", "[5]")},
    ),
    "labels out of range": (
        Net(loss, fc=nn.Linear(4, 3)), [ones(2, 4), np.array([0, 3])],
        "cross_entropy", "labels run from 0 to 3", {"input": ("logits", "[2×3]"), "target": ("labels", "int64")},
    ),
    "floats as labels": (
        Net(loss, fc=nn.Linear(4, 3)), [ones(2, 4), ones(2)],
        "cross_entropy", "labels must be integers", {"input": ("logits", "[2×3]"), "target": ("labels", "float32")},
    ),
    "lengths to join": (
        Net(joined, fc=nn.Linear(4, 3)), [ones(5, 4), ones(2, 4)],
        "concatenate", "must match exactly", {"operand 0": ("left", "[5×3]"), "operand 1": ("right", "[2×3]")},
    ),
    "transposed operand": (
        Net(scores, fc=nn.Linear(4, 3)), [ones(5, 4)],
        "matmul", "inner sizes 3 and 5 differ", {"x": ("q", "[5×3]"), "y": ("k", "[5×3]")},
    ),
    "channels of a norm": (
        Net(normalized, conv=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(3)), [ones(2, 1, 8, 8)],
        "BatchNorm2d(3)", "must have length 3", {"input": ("h", "[2×2×6×6]"), "weight": ("", "[3]")},
    ),
    "size of a reshape": (
        Net(reshaped, fc=nn.Linear(4, 3)), [ones(4, 4)],
        "reshape", "cannot reshape array of size 12", {"x": ("h", "[4×3]"), "shape": ("", "(3, 5)")},
    ),
    "a tuple as a tensor": (
        Net(tuple_as_tensor, lstm=nn.LSTM(3, 4), fc=nn.Linear(4, 2)), [ones(2, 1, 3)],
        "Linear(4, 2)", "one of several results", {"input[0]": ("h[0]", "[2×1×4]"), "input[1][1]": ("", "[1×1×4]")},
    ),
    "too long a sequence": (
        Net(too_long, token=nn.Embedding(10, 4), position=nn.Embedding(6, 4)), [np.arange(8)],
        "embedding", "has no row 6", {"input": ("places", "[8]"), "weight": ("net.position.weight", "[6×4]")},
    ),
}  # fmt: skip


def shown(graph):
    """The texts of a picture, row by row."""
    label = next(line for line in graph.source.splitlines() if "✗" in line).partition("label=<")[2]
    rows = re.sub(r"<BR[^>]*>|</TR>", "\n", label)
    return [" ".join(html.unescape(re.sub("<[^>]*>", " ", row)).split()) for row in rows.split("\n")]


@pytest.mark.parametrize("name", CASES)
def test_a_forward_that_fails_is_drawn_up_to_there(name):
    net, _inputs, what, words, operands = CASES[name]  # a variable `inputs` would name the arrays
    graph = net.graph(*_inputs, depth=1)
    rows = shown(graph)
    assert rows[0] == f"✗ {what} failed"
    assert words in " ".join(rows) and words in graph.alt_text and words in str(graph.error)
    assert words in " ".join(str(graph).replace("│", "").split())
    for argument, texts in operands.items():
        row = next(row for row in rows if row.startswith(f"{argument} "))
        assert all(text in row for text in texts), row
    assert type(graph.error).__name__ in " ".join(rows) and any("line" in row for row in rows)
    assert graph.record.seed is None and all(card.gradient is None for card in graph.record.cards)
    assert "no gradient " not in graph.source and LIGHT["output"] not in graph.source


def test_the_error_can_be_raised_with_its_traceback():
    net, inputs, *_ = CASES["transposed operand"]
    graph = net.graph(*inputs)
    with pytest.raises(ValueError, match="inner sizes") as caught:
        raise graph.forward().error
    assert "scores" in [entry.name for entry in caught.traceback]
    assert Tensor(1.0).graph().error is None


def test_what_was_computed_besides_is_drawn():
    net, inputs, *_ = CASES["transposed operand"]

    def forward(x):
        value = net.fc(x)
        other = value * 2
        return net(x), other

    graph = draw.call(forward, *inputs)
    assert {"value", "other", "q", "k"} <= {card.name for card in graph.record.cards}
    assert [card.name for card in graph.record.ends()] == ["matmul", "other"]
    assert "\nother [5×3]" in str(graph) and LIGHT["output"] not in graph.source


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_the_calls_around_what_failed_stay_open(depth):
    class Outer(nn.Module):
        def __init__(self):
            self.first = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
            self.second = Net(width, fc1=nn.Linear(4, 3), fc2=nn.Linear(2, 2))

        def forward(self, x):
            return self.second(self.first(x))

    net = Outer()
    graph = net.graph(ones(1, 4), depth=depth)
    scopes = graph.record.output.scope.path()
    assert [scope.name for scope in scopes] == ["net", "second", "fc2"]
    assert graph.plan.items[-1].path == scopes
    assert ("first · Sequential" in [item.title for item in graph.plan.items]) == (depth is not None)


def test_a_function_without_a_result_yet_shows_what_it_got():
    def forward(x, y):
        raise NotImplementedError

    x, y = Tensor(1.0), np.ones(3)
    graph = draw.call(forward, x, y)
    assert [card.name for card in graph.record.cards] == ["x", "y", graph.record.output.name]
    assert "NotImplementedError" in str(graph)


@pytest.mark.parametrize(
    ("wrong", "title", "words"),
    [
        (lambda x: nowhere(x * 2), "line", "NameError"),  # noqa: F821
        (lambda x: te.sum(x * 2, dim=0), "sum", "PyTorch's dim="),
        (lambda x: functional.softmax(x, dims=0), "softmax", "dims"),
        (lambda x: (x * 2)[7], "getitem", "out of bounds"),
        (lambda x: x * 2 + None, "add", "None is not a Tensor"),
        (lambda x: x * 2 + "one", "add", "'one' is not a Tensor"),
        (lambda x: float(x * 2), "float", "would lose the gradient"),
        (lambda x: np.ones((2, 3)) @ np.ones((2, 3)) * x, "line", "mismatch"),
        (lambda x: nn.Linear(3, 2)(x, 1, 2), "Linear(3, 2)", "by position"),
        (lambda x: te.linalg.inv(x), "inv", "LinAlgError"),
        (lambda x: functional.cross_entropy(x[None], [9]), "cross_entropy", "labels run from 9"),
    ],
)
@pytest.mark.parametrize("style", ["gates", "fused"])
def test_errors_of_all_kinds(wrong, title, words, style):
    graph = draw.call(wrong, Tensor(np.ones(3)), style=style, theme="dark")
    assert shown(graph)[0].startswith(f"✗ {title}") and words in " ".join(shown(graph))
    assert graph.alt_text and str(graph)


def test_an_op_of_the_users_own(registry):
    @te.op(lambda g, out, x: g)
    def inverse(x):
        return np.linalg.inv(x)

    graph = draw.call(lambda x: inverse(x * 2), Tensor(np.ones((2, 3))))
    assert [card.name for card in graph.record.cards] == ["x", "2", "multiply1", "inverse"]
    assert graph.record.output.op is REGISTRY["inverse"]


def test_a_long_loop_that_fails_is_folded_but_for_the_failure():
    def loop(net, xs):
        h = ones(1, 4)
        for x in xs:
            h = net.cell(x, h)
        return net.out(h)

    graph = Net(loop, cell=nn.RNNCell(3, 4), out=nn.Linear(5, 2)).graph(ones(60, 1, 3))
    assert len(graph.plan.items) < 60 and graph.plan.items[-1].cards[-1] is graph.record.output


def test_an_index_that_does_not_fit_is_an_operand():
    index = np.array([0, 7])
    graph = draw.call(lambda x: x[index], Tensor(np.ones(3)))
    assert [name for name, _ in graph.record.failure.operands] == ["x", "index"]
    assert [card.name for card in graph.record.cards] == ["x", "index", "getitem"]


class SilentError(Exception):
    def __str__(self):
        raise KeyError("text")


def test_an_error_without_a_text_is_drawn():
    def forward(x):
        raise SilentError

    graph = draw.call(forward, Tensor(1.0))
    assert isinstance(graph.error, SilentError) and "__str__ raises KeyError" in str(graph) + graph.alt_text


def updated_since():
    W = Tensor(np.ones((3, 2)), name="W")
    loss = (np.ones((2, 3)) @ W).sum()
    loss.backward()
    W.assign(W.data - 1)
    return loss


def test_what_was_computed_before_an_update_is_drawn_without_its_operands():
    loss = updated_since()
    with pytest.raises(RuntimeError, match="updated after") as caught:
        loss.backward()
    graph = draw.failed(caught.value)
    made = graph.record.cards[0]
    assert (made.name, made.op, made.kind, made.note) == (
        "matmul1",
        None,
        "data",
        "made by matmul before an update of W",
    )
    assert made.note in str(graph) and made.note.split()[-1] in graph.source and graph.alt_text
    assert "Made by matmul" in graph.player().html
    with pytest.raises(RuntimeError, match="graph: tensor W"):
        loss.graph()


def test_an_update_hides_no_other_error():
    cell, x = nn.RNNCell(3, 4), np.ones((2, 3))
    h = cell(x)
    for weight in cell.parameters():
        weight.assign(weight.data * 2)
    graph = draw.call(cell, np.ones((2, 5)), h)
    assert isinstance(graph.error, ValueError)
    assert [card.name for card in graph.record.cards if card.note] == ["linear1", "linear2"]


def test_the_player_plays_up_to_the_failure():
    net, inputs, *_ = CASES["wrong width"]
    page = net.graph(*inputs).player().html
    assert "Linear(2, 2) fails" in page and "backward 1" not in page
