import numpy as np
import pytest

from tinygrad_edu import Tensor, draw, functional, nn, ops
from tinygrad_edu.draw.names import name_cards
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.scopes import call_label


def path_of(card):
    return [scope.name or scope.label for scope in card.scope.path()] if card.scope else []


def paths(graph):
    return {card.name: path_of(card) for card in graph.record.cards}


def ones(*shape):
    return np.ones(shape, np.float32)


class Pair(nn.Module):
    def __init__(self):
        self.lstm, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        out, (h, c) = self.lstm(x)
        return {"logits": self.head(out[-1]), "state": [h, c]}


@pytest.mark.parametrize("part", ["logits", "state"])
def test_modules_that_return_tuples_and_dicts_are_boxes(part):
    net = Pair()
    out = net(ones(2, 1, 3))
    output = out["logits"].sum() if part == "logits" else (out["state"][0] * out["state"][1]).sum()
    found = record(output)
    name_cards(found, None, {id(net): "net"})
    inside = [path_of(card) for card in found.cards if card.op is not None and card.op.name == "sigmoid"]
    assert inside and all(path == ["net", "lstm"] for path in inside)
    assert found.output.scope is None


def test_a_module_that_returns_a_list_is_one_card():
    class Layer(nn.Module):
        def __init__(self):
            self.neurons = [nn.Linear(2, 1) for _ in range(3)]

        def forward(self, x):
            return [neuron(x).tanh() for neuron in self.neurons]

    layer = Layer()
    graph = draw.call(lambda x: sum(layer(x)).sum(), ones(1, 2), depth=0)
    assert [item.title for item in graph.plan.items if item.folded] == ["layer · Layer"]


def test_functions_are_boxes_and_count_as_a_level():
    x, y = Tensor(np.ones((2, 3)), name="x"), np.zeros((2, 3))
    loss = functional.mse_loss(x * 2, y)
    graph = loss.graph()
    assert paths(graph)["subtract1"] == ["mse_loss"] and paths(graph)["multiply1"] == []
    assert "mse_loss" in graph.source and "in mse_loss" in str(graph)
    closed = loss.graph(depth=0)
    assert [item.title for item in closed.plan.items if item.folded] == ["mse_loss"]


def test_what_a_function_returns_is_called_after_it():
    found = record(functional.gelu(Tensor(np.ones(2))))
    name_cards(found)
    assert found.output.name == "gelu1"


def test_no_box_says_the_same_twice():
    x, y = Tensor(np.ones((2, 3)), name="x"), np.zeros((2, 3))
    assert paths(nn.MSELoss()(x, y).graph())["subtract1"] == ["MSELoss"]
    assert paths(nn.Linear(3, 2, bias=False).graph(ones(1, 3)))["transpose1"] == ["Linear(3, 2)"]
    assert paths(functional.softmax(x).graph())["softmax1"] == []
    half = functional.mse_loss(x.astype(np.float16), y.astype(np.float16))  # calls itself in float32
    assert set(map(tuple, paths(half.graph()).values())) == {(), ("mse_loss",)}


def test_functions_within_functions_are_boxes_within_boxes():
    x, y = Tensor(np.ones((2, 3))), Tensor(np.ones((2, 3)))
    graph = functional.cosine_similarity(x, y).graph()
    assert max(map(len, paths(graph).values())) == 2
    assert {tuple(path) for path in paths(graph).values()} >= {
        ("cosine_similarity",),
        ("cosine_similarity", "normalize"),
    }


class Neuron:
    def __init__(self, n):
        self.w, self.b = [Tensor(0.5 + i) for i in range(n)], Tensor(0.1)

    def __call__(self, x):
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act.tanh()


class Layer:
    def __init__(self, n, m):
        self.neurons = [Neuron(n) for _ in range(m)]

    def __call__(self, x):
        outs = [neuron(x) for neuron in self.neurons]
        return outs[0] if len(outs) == 1 else outs


class MLP:
    def __init__(self, *sizes):
        self.layers = {"first": Layer(2, 2), "second": Layer(2, 1)}

    def __call__(self, x):
        for layer in self.layers.values():
            x = layer(x)
        return x


def test_objects_of_plain_classes_are_boxes_with_paths():
    mlp = MLP()
    graph = draw.call(mlp, [1.0, -2.0])
    found = paths(graph)
    assert found["act"] == ["MLP", "layers['first']", "neurons[0]"]
    weight = "layers['second'].neurons[0].w[1]"
    assert found[weight] == ["MLP", "layers['second']", "neurons[0]"]
    assert {card.name: card.kind for card in graph.record.cards}[weight] == "parameter"
    titles = [item.title for item in draw.call(mlp, [1.0, -2.0], depth=1).plan.items if item.folded]
    assert titles == ["layers['first'] · Layer", "layers['second'] · Layer"]


def test_masks_zeros_and_buffers_stand_in_the_box_that_made_them():
    class Masked(nn.Module):
        def __init__(self):
            self.fc, self.shift = nn.Linear(2, 2), np.arange(2.0)

        def forward(self, x):
            keep = np.tri(2, dtype=bool)
            return np.where(keep, self.fc(x), np.zeros((2, 2))) + self.shift

    net = Masked()
    for names in (None, {"start": ones(2, 2)}):  # which are ones too, but came from outside
        found = paths(net.graph(ones(2, 2), names=names))
        assert found["x"] == [] and found["keep"] == found["zeros"] == found["net.shift"] == ["net"]
    assert len(net.graph(ones(2, 2), depth=0).plan.items) == 2


@pytest.mark.parametrize("function", ["std", "logsumexp", "stack"])
def test_functions_that_numpy_has_too_are_boxes(function):
    x = Tensor(np.arange(6.0).reshape(2, 3))
    output = getattr(ops, function)([x, x] if function == "stack" else x)
    found = record(output)
    name_cards(found)
    assert path_of(found.output) == [function] and found.output.name == f"{function}1"


class Shifted(nn.Module):
    """Attention after a preparation in NumPy, with positions and a mask of its own."""

    def __init__(self):
        self.fc, self.embedding = nn.Linear(3, 4), nn.Embedding(5, 4)

    def forward(self, x):
        if isinstance(x, np.ndarray):
            x = x / 2
        positions = np.arange(2)
        causal = np.triu(np.full((2, 2), -np.inf), 1)
        h = self.fc(x) + self.embedding(positions)
        return (h @ h.T + causal) * SCALES


SCALES = np.arange(2.0)


@pytest.mark.parametrize("prepared", [False, True])
def test_arrays_that_a_call_made_are_inside_but_what_it_got_is_not(prepared):
    x = np.arange(6.0).reshape(2, 3)
    found = paths((net := Shifted()).graph(x if prepared else Tensor(x)))
    assert found["x"] == found["SCALES"] == [] and found["positions"] == ["net", "embedding"]
    assert found["causal"] == ["net"] and net is not None


def test_what_a_call_got_may_be_of_any_kind():
    class Settings:
        rows, other = [[1.0], [2.0, 3.0]], None

    settings = Settings()
    settings.none = None
    graph = draw.call(lambda x, rows, _: Shifted()(np.float32(x)), [[0.1, 1, 2], [3, 4, 5]], Settings.rows, settings)
    assert not any(path_of(card) for card in graph.record.cards if card.shape == (2, 3) and card.kind == "data")
    assert paths(graph)["causal"] == ["Shifted"]


@pytest.mark.parametrize("given", [np.ones((2, 3), np.float32), [[1.0, 2.0, 3.0]]])
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_the_mask_of_a_dropout_is_inside(given, p):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(p), nn.Linear(4, 2))
    called = net.graph(given, depth=0)
    for graph in (called, net(given).graph()):
        assert paths(graph)["mask1"] == ["net", "2"]
    assert len(called.plan.items) == 2


def test_the_masks_within_an_attention_are_inside_also_without_a_call():
    attention, x = nn.MultiheadAttention(4, 2, dropout=0.5), ones(3, 1, 4)
    found = paths(attention(x, x, x, attn_mask=np.triu(np.full((3, 3), -np.inf), 1))[0].graph())
    assert [path for name, path in found.items() if name.startswith("mask")] == [["attention"]] * 2


def test_a_mask_is_told_from_a_factor():
    x = Tensor(np.ones(2), name="x")
    factor, mask = draw.record(x * np.array([0.0, 2.0])), draw.record(x + np.array([0.0, -np.inf]))
    for found, name in ((factor, "data1"), (mask, "mask1")):
        name_cards(found)
        assert found.cards[1].name == name


@pytest.mark.parametrize(
    ("layer", "title"),
    [
        (nn.LayerNorm(8), "LayerNorm(8)"),
        (nn.LayerNorm((4, 3)), "LayerNorm((4, 3))"),
        (nn.BatchNorm1d(8), "BatchNorm1d(8)"),
        (nn.Conv2d(1, 8, 3), "Conv2d(1, 8, 3)"),
        (nn.Conv2d(4, 8, (3, 5), stride=2, padding=1, groups=2), "Conv2d(4, 8, (3, 5), stride=2, padding=1, groups=2)"),
        (nn.MaxPool2d(2), "MaxPool2d(2)"),
        (nn.MaxPool2d(3, 1), "MaxPool2d(3, stride=1)"),
        (nn.Dropout(0.5), "Dropout(0.5)"),
        (nn.MultiheadAttention(4, 2, dropout=0.5), "MultiheadAttention(4, 2)"),
        (nn.RNN(3, 4, num_layers=2), "RNN(3, 4, num_layers=2)"),
        (nn.GELU(), "GELU"),
    ],
)
def test_titles_have_the_sizes_of_a_layer(layer, title):
    assert call_label(layer) == title


def test_an_object_may_call_itself_as_it_likes():
    class Twice:
        def __call__(me, x):
            return x * 2 + x

    assert paths(draw.call(Twice(), Tensor(1.0)))["add1"] == ["Twice"]
