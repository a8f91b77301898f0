"""Models elsewhere: layers, optimizers and training on a stand-in for CuPy's arrays, and the way there and back."""

import math
from collections import ChainMap, UserDict, UserList, deque, namedtuple
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from elsewhere import KIND, PLACE, nothing_is_converted, there

from tinygrad_edu import data, manual_seed, nn, optim, training
from tinygrad_edu.arrays import home
from tinygrad_edu.training import metrics

__all__ = ["nothing_is_converted"]  # a fixture of every test here

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(6, 8)).astype(np.float32), RNG.integers(0, 3, 6)
IMAGES, SEQUENCE = RNG.normal(size=(4, 2, 8, 8)).astype(np.float32), RNG.normal(size=(3, 5, 8)).astype(np.float32)
INDICES = RNG.integers(0, 9, (3, 5))
MODELS = {  # name: (what makes a model, its inputs)
    "mlp": (lambda: nn.MLP([8, 16, 3], "gelu", dropout=0.3, batch_norm=True), X),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
        ),
        IMAGES,
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 3, stride=2), nn.AvgPool2d(2, padding=1), nn.GroupNorm(2, 4)),
        IMAGES,
    ),
    "sequences": (lambda: nn.Sequential(nn.Conv1d(5, 4, 3, dilation=2), nn.PReLU(), nn.Softplus()), SEQUENCE),
    "embedding": (lambda: nn.Sequential(nn.Embedding(9, 8, padding_idx=0), nn.LayerNorm(8), nn.RMSNorm(8)), INDICES),
    "rnn": (lambda: nn.RNN(8, 4, num_layers=2, batch_first=True), SEQUENCE),
    "gru": (lambda: nn.GRU(8, 4, bidirectional=True), SEQUENCE),
    "lstm": (lambda: nn.LSTM(8, 4, num_layers=2, dropout=0.2), SEQUENCE),
    "attention": (lambda: Attending(), SEQUENCE),
    "upsample": (lambda: nn.Sequential(nn.Conv2d(2, 3, 1), nn.Upsample(scale_factor=2)), IMAGES),
}


class Attending(nn.Module):
    """Attention to the past."""

    def __init__(self):
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False, is_causal=True)[0]


def trained(make, x, optimizer, put, steps=3):
    """A model after some steps, its optimizer and the last loss."""
    manual_seed(0)
    model = make()
    if put is there:
        assert model.to(PLACE) is model
    opt = optimizer(list(model.parameters()))
    for _ in range(steps):
        manual_seed(1)
        out = model(put(x))
        out = out[0] if isinstance(out, tuple) else out
        loss = (out * put(np.linspace(-1, 1, out.shape[-1], dtype=np.float32))).mean() + (out * out).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return model, opt, loss.item()


@pytest.mark.parametrize("name", MODELS)
def test_layers(name):
    make, x = MODELS[name]
    sgd = lambda params: optim.SGD(params, 0.05, momentum=0.9)
    (right, _, expected), (model, _, loss) = [trained(make, x, sgd, put) for put in (lambda x: x, there)]
    assert loss == pytest.approx(expected, rel=1e-5)
    for path, values in right.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[path], values, 1e-4, 1e-6, err_msg=path)
    right.eval(), model.eval()
    out = [values[0] if isinstance(values, tuple) else values for values in (model(there(x)), right(x))]
    np.testing.assert_allclose(out[0].numpy(), out[1].data, 1e-4, 1e-5)


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adagrad": lambda p: optim.Adagrad(p, 0.01, initial_accumulator_value=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01, momentum=0.9, centered=True),
    "adam": lambda p: optim.Adam(p, 0.01, amsgrad=True, maximize=True),
    "adamw": lambda p: optim.AdamW(p, 0.01),
    "nadam": lambda p: optim.NAdam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "muon": lambda p: optim.Muon([x for x in p if x.ndim == 2], 0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    make = lambda: nn.MLP([8, 16, 3], "tanh")
    (right, one, _), (model, two, _) = [trained(make, X, OPTIMIZERS[name], put) for put in (lambda x: x, there)]
    for a, b in zip(model.parameters(), right.parameters(), strict=True):
        assert type(a.data) is type(a.grad) is KIND
        np.testing.assert_allclose(a.numpy(), b.data, 1e-4, 1e-6)
    state = two.state_dict()
    assert not any(isinstance(x, KIND) for entry in state["state"].values() for x in entry.values())
    for i, entry in one.state_dict()["state"].items():
        for key, value in entry.items():
            np.testing.assert_allclose(state["state"][i][key], value, 1e-4, 1e-6, err_msg=key)
    two.load_state_dict(state)
    two.from_torch(two.to_torch())
    two.step()
    one.step()
    for a, b in zip(model.parameters(), right.parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.data, 1e-4, 1e-6)


def test_every_optimizer_is_walked():
    classes = {name: getattr(optim, name) for name in optim.__all__ if isinstance(getattr(optim, name), type)}
    names = {name.lower() for name, found in classes.items() if issubclass(found, optim.Optimizer)}
    assert names - {"optimizer"} == set(OPTIMIZERS)


def small():
    """A model elsewhere and two batches there."""
    manual_seed(0)
    batches = [(there(X[i : i + 3]), there(LABELS[i : i + 3])) for i in (0, 3)]
    return nn.MLP([8, 16, 3]).to(PLACE), batches


def test_fit_evaluates_saves_and_goes_on(tmp_path):
    def run(epochs, name):
        model, batches = small()
        history = training.fit(
            model, batches, optimizer=optim.Adam(model.parameters(), 0.01), loss=nn.CrossEntropyLoss(), epochs=epochs,
            validation=batches, early_stopping=training.EarlyStopping(5), checkpoint=tmp_path / name, progress=False,
        )  # fmt: skip
        return model, history, batches

    right, history, batches = run(4, "whole")
    run(2, "parts")
    model, resumed, _ = run(4, "parts")
    assert [r["val_loss"] for r in resumed] == [r["val_loss"] for r in history]
    for a, b in zip(model.parameters(), right.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    means = training.evaluate(model, batches, nn.CrossEntropyLoss())
    scores = training.predict(model, batches)
    assert means.accuracy == metrics.accuracy(scores, LABELS) == metrics.accuracy(model(there(X)), there(LABELS))
    assert metrics.confusion_matrix(there(scores), there(LABELS)).sum() == 6
    assert "healthy" in str(training.diagnose(model, there(X), there(LABELS), nn.CrossEntropyLoss()))
    assert optim.clip_grad_norm_(model.parameters(), 0.1) > 0
    optim.clip_grad_value_(model.parameters(), 0.01)
    assert max(abs(p.grad.get()).max() for p in model.parameters()) <= np.float32(0.01)
    nn.save(model, tmp_path / "weights.safetensors")
    twin = nn.MLP([8, 16, 3])
    twin.load_state_dict(nn.load(tmp_path / "weights.safetensors"))
    np.testing.assert_allclose(twin(X).data, model(there(X)).numpy(), 1e-5, 1e-6)
    model.load_state_dict(twin.state_dict())


def test_a_film_of_a_model_elsewhere():
    model = nn.MLP([2, 4, 2]).to(PLACE)
    x = RNG.normal(size=(20, 2)).astype(np.float32)
    film = training.Film(model, there(x), there((x[:, 0] > 0).astype(int)), nn.CrossEntropyLoss())
    film({"epoch": 1, "train_loss": 0.5})
    assert "region" in repr(film)


def test_a_model_moves_and_comes_back():
    manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
    model.losses = [np.ones(2)]
    before, expected = model.state_dict(), model(X).data
    model(X).sum().backward()
    model.to(PLACE)
    assert all(type(p.data) is type(p.grad) is KIND for p in model.parameters())
    assert all(type(b) is KIND for b in model.buffers())
    np.testing.assert_allclose(model(there(X)).numpy(), expected, 1e-5, 1e-6)
    model.load_state_dict(before)
    assert model.to(np) is model and all(type(p.data) is np.ndarray for p in model.parameters())
    assert all(not isinstance(b, KIND) for b in model.buffers())
    for path, values in model.state_dict().items():
        np.testing.assert_array_equal(values, before[path])
    model.to(PLACE.asarray).to(home)
    np.testing.assert_allclose(model(X).data, expected, 1e-5, 1e-6)


@dataclass
class Held:
    """Holds one thing."""

    kept: object


@dataclass(frozen=True)
class Cold:
    """Cannot be changed."""

    z: object


HOLDERS = {
    "list": lambda x: [x], "a dict by numbers": lambda x: {1: x}, "a key with a dot": lambda x: {"a.b": x},
    "nested": lambda x: {"k": [1, {"z": x}]}, "deque": lambda x: deque([x]), "UserDict": lambda x: UserDict(z=x),
    "UserList": lambda x: UserList([x]), "ChainMap": lambda x: ChainMap({"z": x}),
    "SimpleNamespace": lambda x: SimpleNamespace(z=x), "dataclass": Held, "twice": lambda x: [x, x],
}  # fmt: skip
FIXED = {
    "tuple": lambda x: (x,), "mappingproxy": lambda x: MappingProxyType({"z": x}),
    "Pair": namedtuple("Pair", "z"), "Cold": Cold,
}  # fmt: skip


def holding(held):
    """A module that holds a parameter and, in something, a buffer."""
    module = nn.Linear(2, 2)
    module.x = held
    assert len(dict(module.named_buffers())) == 1
    return module


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_buffers_move_whatever_holds_them(holder):
    module = holding(holder(np.ones(2)))
    paths = [*module.state_dict()]
    module.to(PLACE)
    assert [type(array) for array in module.buffers()] == [KIND] and [*module.state_dict()] == paths
    module.to(np)
    assert [type(array) for array in module.buffers()] == [np.ndarray]


@pytest.mark.parametrize("kind", FIXED)
def test_what_cannot_be_replaced_is_named_and_nothing_moves(kind):
    module = holding(FIXED[kind](np.ones(2)))
    with pytest.raises(TypeError, match=rf"to: the buffer x\.[0z] stands in a {kind}, where none can take its place"):
        module.to(PLACE)
    assert type(module.weight.data) is np.ndarray


def test_a_move_that_fails_half_way_moves_nothing():
    module, left = nn.Linear(2, 2), [1]

    def full(x):
        if not left:
            raise MemoryError("the GPU is full")
        left.pop()
        return PLACE.asarray(x)

    with pytest.raises(MemoryError, match="the GPU is full"):
        module.to(full)
    assert all(type(p.data) is np.ndarray for p in module.parameters())


def test_what_is_shared_stays_shared():
    layer = nn.Linear(2, 2, bias=False)
    model, array = nn.Sequential(layer, layer), np.ones(2)
    model.a, model.b = [array], {"c": array}
    model.to(PLACE)
    assert model.a[0] is model.b["c"] and model[0].weight is model[1].weight


def test_a_gradient_with_a_graph_does_not_move():
    layer = nn.Linear(2, 1)
    layer(np.ones((1, 2), np.float32)).sum().backward(create_graph=True)
    with pytest.raises(TypeError, match="a gradient is a Tensor with a graph"):
        layer.to(PLACE)


def test_a_graph_from_before_the_move_is_refused():
    model = nn.Linear(8, 3)
    out = model(X).sum()
    model.to(PLACE)
    with pytest.raises(RuntimeError, match="was updated after linear used it"):
        out.backward()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("cuda", r"to\('cuda'\): name the library whose arrays hold the numbers: import cupy; to\(cupy\)"),
        ("cuda:1", "import cupy"),
        ("cpu", r"import numpy; to\(numpy\)"),
        (np.float32, "a layer has its dtype from dtype=np.float32"),
        (np.dtype("f8"), "a layer has its dtype"),
        (None, "give a library with asarray, such as cupy, or such a function"),
        (math, "give a library with asarray"),
        (lambda x: x.tolist(), "to: list is no array that can be computed with here; it must answer NumPy's protocols"),
    ],
)
def test_to_says_what_it_takes(place, message):
    model = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=message):
        model.to(place)
    assert model(X[:, :2]).shape == (6, 2)


def test_loaders_hand_over_what_a_transform_makes():
    loader = data.DataLoader(X, LABELS, 3, transform=PLACE.asarray)
    model, _ = small()
    sgd, loss = optim.SGD(model.parameters(), 0.1), nn.CrossEntropyLoss()
    history = training.fit(model, loader, optimizer=sgd, loss=loss, epochs=2, progress=False)
    assert history[1]["train_loss"] < history[0]["train_loss"]
