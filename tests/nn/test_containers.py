import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, gradcheck, manual_seed, nn, optim
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.nn.activations import ACTIVATIONS
from tinygrad_edu.training import accuracy

RNG = np.random.default_rng


def test_sequential_is_a_sequence():
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)]
    model = nn.Sequential(*layers, layers[1])
    assert len(model) == 4
    assert list(model) == [*layers, layers[1]]
    assert model[0] is layers[0]
    assert model[-1] is layers[1]
    assert list(model[1:3]) == layers[1:]
    assert type(nn.MLP([2, 2, 2])[:2]) is nn.Sequential
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(IndexError):
        model[4]
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(model(x).data, layers[2](layers[1](layers[0](x))).relu().data)
    assert nn.Sequential()(3) == 3


def test_append_returns_the_module():
    model = nn.Sequential()
    assert model.append(nn.Linear(2, 3)).append(nn.Tanh()) is model
    assert repr(model[1]) == "Tanh()" and list(model.state_dict()) == ["0.weight", "0.bias"]


def test_append_after_a_removal_replaces_no_layer():
    model = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Linear(2, 3))
    last = model[2]
    delattr(model, "1")
    assert list(model.append(nn.Sigmoid()))[1] is last
    assert list(model.state_dict()) == ["2.weight", "2.bias"] and repr(model[2]) == "Sigmoid()"


def test_residual_adds_its_input():
    block = nn.Residual(nn.Linear(3, 4, rng=RNG(0)), nn.Tanh(), nn.Linear(4, 3, rng=RNG(1)))
    x = RNG(2).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_array_equal(block(x).data, x + block[:](x).data)
    block[2].weight.assign(0.0)
    np.testing.assert_allclose(block(x).data, x + block[2].bias.data, rtol=1e-6)


@pytest.mark.parametrize("n_out", [2, 1])
def test_residual_refuses_another_shape_even_one_that_broadcasts(n_out):
    with pytest.raises(ValueError, match=rf"made shape \(5, {n_out}\) of the input's \(5, 3\)"):
        nn.Residual(nn.Linear(3, n_out))(np.ones((5, 3), np.float32))


def first_and_last_gradient(block):
    rng = RNG(0)
    model = nn.Sequential(*[block(nn.Linear(8, 8, rng=rng), nn.Tanh()) for _ in range(40)])
    model(rng.standard_normal((16, 8)).astype(np.float32)).sum().backward()
    return [np.linalg.norm(model[i][0].weight.grad) for i in (0, -1)]


def test_gradients_pass_forty_residual_layers_and_vanish_without():
    first, last = first_and_last_gradient(nn.Sequential)
    assert first < 1e-8 * last
    first, last = first_and_last_gradient(nn.Residual)
    assert 0.1 < first / last < 10


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in ("relu", "leaky_relu", "prelu")])
@pytest.mark.parametrize("extras", [{}, {"batch_norm": True, "dropout": 0.3}])
def test_mlp_gradients(activation, extras):
    model = nn.MLP([3, 4, 2], activation, rng=RNG(0), dtype=np.float64, **extras)
    x = RNG(1).standard_normal((5, 3))

    def f(x, *_):
        for dropout in [layer for layer in model if isinstance(layer, nn.Dropout)]:
            dropout.rng = RNG(2)
        return model(x)

    assert gradcheck(f, x, *model.parameters())


def test_mlp_has_the_layers_in_order():
    model = nn.MLP([4, 5, 6, 2], "gelu", batch_norm=True, dropout=0.1)
    hidden = [nn.Linear, nn.BatchNorm1d, nn.GELU, nn.Dropout]
    assert [type(layer) for layer in model] == [*hidden, *hidden, nn.Linear]
    assert [type(layer) for layer in nn.MLP([4, 2], batch_norm=True, dropout=0.1)] == [nn.Linear]
    assert [type(layer) for layer in nn.MLP((4, 3, 2), "tanh")] == [nn.Linear, nn.Tanh, nn.Linear]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_keeps_the_dtype(activation, dtype):
    model = nn.MLP([3, 4, 2], activation, batch_norm=True, dropout=0.5, dtype=dtype)
    out = model(np.ones((5, 3), dtype))
    out.sum().backward()
    assert {out.dtype, *(a.dtype for p in model.parameters() for a in (p, p.grad))} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("activation", "std"),
    [
        *[(name, (2 / 400) ** 0.5) for name in ("relu", "elu", "gelu", "silu", "softplus")],
        ("leaky_relu", (2 / 1.0001 / 400) ** 0.5),
        ("prelu", (2 / 1.0625 / 400) ** 0.5),
        ("tanh", 5 / 3 * (2 / 700) ** 0.5),
        *[(name, (2 / 700) ** 0.5) for name in ("sigmoid", "identity")],
    ],
)
def test_auto_init_suits_the_activation(activation, std):
    model = nn.MLP([400, 300, 10], activation, rng=RNG(0))
    assert model[0].weight.data.std() == pytest.approx(std, rel=0.02)
    assert not any(layer.bias.data.any() for layer in model[::2])


def test_seeds_repeat():
    models = [nn.MLP([4, 3, 2], rng=RNG(1)), nn.MLP([4, 3, 2], rng=RNG(1))]
    manual_seed(1)
    models.append(nn.MLP([4, 3, 2]))
    for a, b, c in zip(*[m.parameters() for m in models], strict=True):
        assert (a.data == b.data).all()
        assert (a.data == c.data).all()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MLP([784]), ValueError, "at least input and output"),
        (lambda: nn.MLP(784), ValueError, "at least input and output"),
        (lambda: nn.MLP([784, -1, 10]), ValueError, r"MLP: sizes\[1\] is -1; it must be an integer of at least 1"),
        (
            lambda: nn.MLP([2, 2], "swish"),
            ValueError,
            "MLP: activation is 'swish'; it must be 'identity', 'relu', .* or 'tanh'",
        ),
        (lambda: nn.MLP([2, 2], nn.ReLU), ValueError, "MLP: activation is .*ReLU"),
        (lambda: nn.MLP(np.int64(784)), ValueError, "at least input and output"),
        (lambda: nn.MLP(n for n in (2, 3)), ValueError, "at least input and output"),
        (lambda: nn.MLP([2, 2, 2], dropout=-0.5), ValueError, "MLP: dropout is -0.5"),
        (lambda: nn.MLP([2, 2], dropout=1.5), ValueError, "MLP: dropout is 1.5"),
        (lambda: nn.MLP([2, 2], rng=0), TypeError, "got 0; make one with default_rng"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU), TypeError, r"layer 1 .* write ReLU\(\)"),
        (lambda: nn.Sequential(np.tanh), TypeError, "layer 0 .* takes Modules"),
        (lambda: nn.Residual("relu"), TypeError, "Residual: layer 0 is 'relu'"),
        (lambda: nn.Sequential().append(None), TypeError, "layer 0 is None"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


@settings(max_examples=8)
@given(st.sampled_from(["ReLU", "Tanh", "Sigmoid", "GELU", "PReLU"]), st.booleans(), st.booleans())
def test_mlp_is_the_same_as_pytorchs_layers(activation, batch_norm, training):
    torch = pytest.importorskip("torch")
    ours = nn.MLP([5, 4, 3], activation.lower(), batch_norm=batch_norm, rng=RNG(0))
    hidden = [torch.nn.Linear(5, 4), *[torch.nn.BatchNorm1d(4)] * batch_norm, getattr(torch.nn, activation)()]
    theirs = torch.nn.Sequential(*hidden, torch.nn.Linear(4, 3))
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    for seed in range(3):
        x = RNG(seed).standard_normal((7, 5)).astype(np.float32)
        np.testing.assert_allclose(theirs(torch.from_numpy(x)).detach(), ours(x).data, rtol=1e-4, atol=1e-5)
    ours.train(training), theirs.train(training)
    np.testing.assert_allclose(theirs(torch.from_numpy(x)).detach(), ours(x).data, rtol=1e-4, atol=1e-5)

    other = nn.MLP([5, 4, 3], activation.lower(), batch_norm=batch_norm, rng=RNG(2))
    other.load_state_dict(theirs.state_dict())
    for key, array in other.state_dict().items():
        np.testing.assert_allclose(array, ours.state_dict()[key], rtol=1e-5, atol=1e-6)


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


def train(seed, steps=60, **extras):
    """An MLP after training on 32 digits, with the losses."""
    images, labels = synthetic_digits(32, seed=0)[:2]
    x = images.reshape(32, 784).astype(np.float32) / 255
    manual_seed(seed)
    model, loss_of = nn.MLP([784, 32, 10], **extras), nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses, accuracy(model.eval()(x), labels)


@pytest.mark.parametrize("extras", [{}, {"batch_norm": True, "dropout": 0.2}, {"activation": "silu"}])
def test_a_small_batch_is_learned_by_heart(extras):
    _, losses, share = train(0, **extras)
    assert share == 1.0
    assert losses[-1] < 0.15 * losses[0]


@pytest.mark.parametrize("extras", [{}, {"batch_norm": True, "dropout": 0.5}])
def test_training_repeats_with_a_seed(extras):
    runs = [train(1, 5, **extras), train(1, 5, **extras), train(2, 5, **extras)]
    (first, losses, _), (second, again, _), (_, other, _) = runs
    assert losses == again != other
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rng_serves_weights_and_dropout():
    x = np.ones((4, 3), np.float32)

    def run(seed):
        manual_seed(seed)
        model = nn.MLP([3, 50, 2], dropout=0.5, rng=RNG(9))
        return model(Tensor(x)).data

    np.testing.assert_array_equal(run(0), run(1))
