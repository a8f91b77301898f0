import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_edu import Tensor, gradcheck, nn, optim
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.training import accuracy

RNG = np.random.default_rng
sizes = st.integers(1, 5)


@given(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), sizes, sizes, st.booleans())
def test_linear_is_x_times_the_transposed_weight_plus_bias(batch, n_in, n_out, bias):
    layer = nn.Linear(n_in, n_out, bias, rng=RNG(0), dtype=np.float64)
    x = RNG(1).standard_normal((*batch, n_in))
    out = layer(x)
    assert out.shape == (*batch, n_out)
    expected = np.einsum("...i,oi->...o", x, layer.weight.data) + (layer.bias.data if bias else 0)
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_gradients(shape, bias):
    layer = nn.Linear(3, 2, bias, rng=RNG(0), dtype=np.float64)
    x = RNG(1).standard_normal(shape)
    assert gradcheck(lambda x, *_: layer(x), x, *layer.parameters(), order=2)


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu"])
def test_mlp_gradients(activation):
    model = nn.MLP([3, 4, 2], activation, rng=RNG(0), dtype=np.float64)
    assert gradcheck(lambda x, *_: model(x), RNG(1).standard_normal((5, 3)), *model.parameters())


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.Identity(), lambda x: x),
        (nn.ReLU(), lambda x: np.maximum(x, 0)),
        (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
        (nn.Tanh(), np.tanh),
        (nn.Softmax(), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        (nn.Softmax(axis=0), lambda x: np.exp(x) / np.exp(x).sum(0, keepdims=True)),
        (nn.Flatten(), lambda x: x.reshape(2, 12)),
        (nn.Flatten(0), lambda x: x.reshape(24)),
        (nn.Flatten(-2), lambda x: x.reshape(2, 12)),
        (nn.Flatten(2), lambda x: x),
    ],
)
def test_layers_without_parameters(layer, function):
    x = RNG(0).standard_normal((2, 3, 4))
    out = layer(Tensor(x))
    assert isinstance(out, Tensor)
    np.testing.assert_allclose(out.data, function(x), rtol=1e-12)
    assert list(layer.parameters()) == []


def test_flatten_of_an_empty_batch_and_of_too_few_axes():
    assert nn.Flatten()(np.zeros((0, 28, 28))).shape == (0, 784)
    with pytest.raises(ValueError, match=r"Flatten\(start_dim=1\) got input of shape \(5,\)"):
        nn.Flatten()(np.zeros(5))


def test_the_weight_keeps_its_layout():
    layer = nn.Linear(6, 4, rng=RNG(0))
    assert layer.weight.shape == (4, 6)

    def transposed(array):
        return array.T.flags.c_contiguous and not array.flags.c_contiguous

    for optimizer in (optim.SGD(layer.parameters(), momentum=0.9), optim.Adam(layer.parameters())):
        layer.zero_grad()
        layer(np.ones((3, 6), np.float32)).sum().backward()
        assert transposed(layer.weight.grad)
        optimizer.step()
        assert transposed(layer.weight.data)
        moments = optimizer.velocities if isinstance(optimizer, optim.SGD) else optimizer.second_moments
        assert transposed(moments[0])
    layer.load_state_dict(layer.state_dict())
    layer.weight.assign(np.ones((4, 6)))
    for copied in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert transposed(copied.weight.data)
        assert copied.weight.dtype == np.float32


def test_the_default_init_is_pytorchs():
    layer = nn.Linear(400, 300, rng=RNG(0))
    for p in layer.parameters():
        assert 0.98 < np.abs(p.data).max() * 20 <= 1
        assert p.data.std() * 20 == pytest.approx(1 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("kaiming_uniform", (2 / 400) ** 0.5),
        ("kaiming_normal", (2 / 400) ** 0.5),
        ("xavier_uniform", (2 / 700) ** 0.5),
        ("xavier_normal", (2 / 700) ** 0.5),
        (lambda w: nn.init.normal(w, std=0.1, rng=RNG(0)), 0.1),
    ],
)
def test_schemes(scheme, std):
    layer = nn.Linear(400, 300, init=scheme, rng=RNG(0))
    assert layer.weight.data.std() == pytest.approx(std, rel=0.02)
    assert not layer.bias.data.any()


@pytest.mark.parametrize(
    ("activation", "std"),
    [("relu", (2 / 400) ** 0.5), ("tanh", 5 / 3 * (2 / 700) ** 0.5), ("sigmoid", (2 / 700) ** 0.5)],
)
def test_auto_init_suits_the_activation(activation, std):
    model = nn.MLP([400, 300, 10], activation, rng=RNG(0))
    assert model[0].weight.data.std() == pytest.approx(std, rel=0.02)
    assert not any(layer.bias.data.any() for layer in model[::2])


def test_seeds_repeat():
    models = [nn.MLP([4, 3, 2], rng=RNG(1)), nn.MLP([4, 3, 2], rng=RNG(1))]
    nn.init.manual_seed(1)
    models.append(nn.MLP([4, 3, 2]))
    for a, b, c in zip(*[m.parameters() for m in models], strict=True):
        assert (a.data == b.data).all()
        assert (a.data == c.data).all()


def test_sequential_is_a_sequence():
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)]
    model = nn.Sequential(*layers, layers[1])
    assert len(model) == 4
    assert list(model) == [*layers, layers[1]]
    assert model[0] is layers[0]
    assert model[-1] is layers[1]
    assert list(model[1:3]) == layers[1:]
    assert isinstance(nn.MLP([2, 2, 2])[:2], nn.Sequential)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(IndexError):
        model[4]
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(model(x).data, layers[2](layers[1](layers[0](x))).relu().data)
    assert nn.Sequential()(3) == 3


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Linear(0, 3), ValueError, r"Linear\(0, 3\): sizes must be"),
        (lambda: nn.Linear(2.0, 3), ValueError, "sizes must be integers"),
        (lambda: nn.Linear(2, 3, init="xavier"), ValueError, "unknown init 'xavier'; known are default, kaiming"),
        (lambda: nn.MLP([784]), ValueError, "at least input and output"),
        (lambda: nn.MLP(784), ValueError, "at least input and output"),
        (lambda: nn.MLP([784, -1, 10]), ValueError, r"Linear\(784, -1\)"),
        (lambda: nn.MLP([2, 2], "swish"), ValueError, "'swish'; known are identity, relu, sigmoid, tanh"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU), TypeError, r"layer 1 .* write ReLU\(\)"),
        (lambda: nn.Sequential(np.tanh), TypeError, "layer 0 .* takes Modules"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_wrong_input_size_says_what_to_do():
    model = nn.MLP([784, 256])
    expected = r"Linear\(784, 256\) got input of shape \(64, 28, 28\); its last axis must be 784; put Flatten\(\)"
    with pytest.raises(ValueError, match=expected):
        model(np.zeros((64, 28, 28), np.float32))
    with pytest.raises(ValueError, match=r"\(64, 100\); its last axis must be 784$"):
        model(np.zeros((64, 100), np.float32))
    with pytest.raises(ValueError, match=r"shape \(\)"):
        model(Tensor(1.0))


@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "Sigmoid"])
def test_state_dict_exchange_with_pytorch(activation):
    torch = pytest.importorskip("torch")
    ours = nn.MLP([5, 4, 3], activation.lower(), rng=RNG(0))
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 4), getattr(torch.nn, activation)(), torch.nn.Linear(4, 3))
    x = RNG(1).standard_normal((7, 5)).astype(np.float32)

    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    np.testing.assert_allclose(theirs(torch.from_numpy(x)).detach(), ours(x).data, rtol=1e-5, atol=1e-6)

    other = nn.MLP([5, 4, 3], activation.lower(), rng=RNG(2))
    other.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(other(x).data, ours(x).data)


def test_two_linear_layers_are_one():
    model = nn.MLP([4, 5, 3], "identity", rng=RNG(0), dtype=np.float64)
    first, _, second = model
    x = RNG(1).standard_normal((6, 4))
    single = x @ (second.weight.data @ first.weight.data).T
    np.testing.assert_allclose(model(x).data, single, rtol=1e-12, atol=1e-12)


def test_equal_weights_stay_equal():
    model = nn.MLP([3, 4, 1], "tanh", init=lambda w: nn.init.constant(w, 0.3), dtype=np.float64)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, y = RNG(0).standard_normal((8, 3)), RNG(1).standard_normal((8, 1))
    for _ in range(5):
        optimizer.zero_grad()
        nn.MSELoss()(model(x), y).backward()
        hidden = model[0].weight.grad  # (4, 3)
        assert hidden.any()
        np.testing.assert_allclose(hidden, np.broadcast_to(hidden[0], (4, 3)), rtol=1e-9)
        optimizer.step()
    np.testing.assert_allclose(model[0].weight.data[1:], model[0].weight.data[:-1], rtol=1e-9)


def train(seed, steps=60):
    """An MLP after training on 32 digits, with the losses."""
    images, labels = synthetic_digits(32, seed=0)[:2]
    x = images.reshape(32, 784).astype(np.float32) / 255
    nn.init.manual_seed(seed)
    model, loss_of = nn.MLP([784, 32, 10]), nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses, accuracy(model(x), labels)


def test_a_small_batch_is_learned_by_heart():
    _, losses, share = train(0)
    assert share == 1.0
    assert losses[-1] < 0.05 * losses[0]


def test_training_repeats_with_a_seed():
    (first, losses, _), (second, again, _), (_, other, _) = train(1, 5), train(1, 5), train(2, 5)
    assert losses == again != other
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
