"""The numbers that textbooks and lectures give, computed with the library. Example 25 has no number of its own: every
op is checked in test_ops.py, every layer here."""

import itertools
import math

import numpy as np
import pytest
from finite_differences import check

import tinygrad_edu
from tinygrad_edu import Tensor, functional, manual_seed, nn, ops, optim
from tinygrad_edu.training import accuracy


@pytest.mark.parametrize(
    "x, w, b, z, relu, sigmoid",
    [
        pytest.param([0.5, -1, 2], [0.3, -0.6, 0.1], 0.2, 1.15, 1.15, 0.7595, id="example 1"),
        pytest.param([1, 3], [2, -1], 0.5, -0.5, 0, 0.3775, id="example 2"),
        pytest.param([1, 2, 0.5], [0.4, -0.7, 1.2], 0.3, -0.1, 0, 0.475, id="example 3"),
    ],
)
def test_01_to_03_a_neuron(x, w, b, z, relu, sigmoid):
    out = Tensor(w) @ np.array(x, dtype=float) + Tensor(b)
    assert out.item() == pytest.approx(z, abs=1e-15)
    assert out.relu().item() == pytest.approx(relu, abs=1e-15)
    assert out.sigmoid().item() == pytest.approx(sigmoid, abs=5e-5)


def test_04_zero_weights_give_the_bias():
    layer = nn.Linear(3, 1)
    layer.weight.assign(0)
    layer.bias.assign(0.2)
    for x in ([1, 2, 3], [-50, 0, 4e3]):
        assert layer(np.array(x, np.float32)).item() == np.float32(0.2)


@pytest.mark.parametrize(
    "name, value, slope", [("relu", 1.5, 1), ("sigmoid", 0.8176, 0.1491), ("tanh", 0.9051, 0.1807)]
)
def test_05_activations_and_slopes_at_one_and_a_half(name, value, slope):
    z = Tensor(1.5)
    a = getattr(ops, name)(z)
    a.backward()
    assert a.item() == pytest.approx(value, abs=5e-5) and float(z.grad) == pytest.approx(slope, abs=5e-5)


def test_06_the_slope_of_the_sigmoid_is_at_most_a_quarter():
    z = Tensor(np.linspace(-10, 10, 2001))
    z.sigmoid().sum().backward()
    assert z.grad.max() == 0.25 and abs(z.data[z.grad.argmax()]) < 1e-12


def test_07_a_sum_times_a_number():
    x, y, z = Tensor(-2.0), Tensor(5.0), Tensor(-4.0)
    q = x + y
    f = q * z
    f.backward()
    assert (q.item(), f.item()) == (3, -12)
    assert (x.grad, y.grad, z.grad) == (-4, -4, 3)


def test_08_a_sigmoid_neuron_learns():
    x, y, w, b = 2.0, 1.0, Tensor(0.5), Tensor(0.0)
    z = w * x + b
    a = z.sigmoid()
    loss = (y - a) ** 2
    loss.backward()
    found = [a.item(), loss.item(), a.grad, z.grad / a.grad, w.grad]
    np.testing.assert_allclose(found, [0.7311, 0.0723, -0.5379, 0.1966, -0.2115], atol=5e-5)
    optim.SGD([w], lr=0.01).step()
    assert w.item() == pytest.approx(0.502115, abs=5e-7) == pytest.approx(0.50211, abs=1e-5)


def test_09_a_relu_neuron_learns():
    x, y, w, b = Tensor(3.0), 2.0, Tensor(0.5), Tensor(-0.5)
    product = w * x
    z = product + b
    a = z.relu()
    loss = (y - a) ** 2
    loss.backward()
    assert (z.item(), a.item(), loss.item()) == (1, 1, 1)
    assert (a.grad, z.grad / a.grad, w.grad / product.grad, w.grad) == (-2, 1, 3, -6)
    optim.SGD([w], lr=0.1).step()
    assert w.item() == pytest.approx(1.1, abs=1e-15)


def test_10_gates_add_distributes_multiply_switches_max_routes():
    g = 5.0
    a, b = Tensor(3.0), Tensor(4.0)
    (a + b).backward(g)
    assert (a.grad, b.grad) == (g, g)
    a.grad = b.grad = None
    (a * b).backward(g)
    assert (a.grad, b.grad) == (g * 4, g * 3)
    x = Tensor([1.0, 7.0, 2.0])
    x.max().backward(g)
    assert x.grad.tolist() == [0, g, 0]


@pytest.mark.parametrize(
    "p, label, loss", [([0.1, 0.2, 0.7], 2, 0.3567), ([0.6, 0.3, 0.1], 2, 2.3026), ([0.0, 1.0, 0.0], 1, 0)]
)
def test_11_cross_entropy_of_probabilities(p, label, loss):
    logits = ops.log(Tensor(np.maximum(p, 1e-300)))  # the softmax of the logarithms is p again
    assert functional.cross_entropy(logits, np.array(label)).item() == pytest.approx(loss, abs=5e-5)
    assert -ops.log(Tensor(p)[label]).item() == pytest.approx(loss, abs=5e-5)


def test_12_softmax_and_loss_of_three_logits():
    logits = Tensor([2.1, 0.5, -0.8])
    np.testing.assert_allclose(logits.softmax().data, [0.7956, 0.1606, 0.0438], atol=5e-5)
    assert functional.cross_entropy(logits, np.array(0)).item() == pytest.approx(0.2287, abs=5e-5)


def test_13_softmax_of_two_one_and_a_tenth():
    np.testing.assert_allclose(Tensor([2, 1, 0.1]).softmax().data, [0.659, 0.242, 0.099], atol=5e-4)


def test_14_the_loss_of_ten_untrained_classes():
    loss = functional.cross_entropy(Tensor(np.zeros((4, 10))), np.array([0, 3, 9, 5]))
    assert loss.item() == pytest.approx(math.log(10), abs=1e-14) == pytest.approx(2.3026, abs=5e-5)


def test_15_one_adam_step():
    w = Tensor(1.0)
    w.grad = np.float64(0.4)
    optim.Adam([w], lr=1e-3).step()
    m, v = 0.1 * 0.4, 0.001 * 0.4**2
    assert (m, v) == (pytest.approx(0.04), pytest.approx(0.00016))
    corrected = m / (1 - 0.9), v / (1 - 0.999)
    assert corrected == (pytest.approx(0.4), pytest.approx(0.16))
    assert w.item() - 1 == pytest.approx(-0.001, rel=1e-6)
    assert w.item() - 1 == pytest.approx(-1e-3 * corrected[0] / (math.sqrt(corrected[1]) + 1e-8), rel=1e-9)


def test_16_one_adam_step_of_a_vector():
    w = Tensor([1.0, 2.0, 3.0])
    (w * np.array([0.5, -0.3, 0.8])).sum().backward()
    optim.Adam([w], lr=1e-3).step()
    np.testing.assert_allclose(w.data, [0.999, 2.001, 2.999], atol=1e-9)


@pytest.mark.parametrize(
    "sizes, count", [([784, 256, 128, 10], 235_146), ([784, 128, 64, 10], 109_386), ([784, 512, 256, 10], 535_818)]
)
def test_17_parameters_of_an_mlp(sizes, count):
    assert sum(i * o + o for i, o in itertools.pairwise(sizes)) == count
    assert sum(p.size for p in nn.MLP(sizes).parameters()) == count


def test_18_three_of_four_right():
    assert accuracy(np.array([1, 0, 2, 9]), np.array([1, 0, 2, 7])) == 0.75


def test_19_gradients_vanish_through_sigmoids():
    for layers, expected in ((1, 0.25), (5, 0.25**5), (10, 0.25**10), (20, 9.1e-13)):
        x = a = Tensor(0.0)
        for _ in range(layers):
            z = a * 1.0 if a is x else a - 0.5  # every z is 0
            assert z.item() == 0
            a = z.sigmoid()
        a.backward()
        assert float(x.grad) == pytest.approx(0.25**layers, rel=1e-12) == pytest.approx(expected, rel=1e-2)


def test_20_without_zero_grad_the_gradient_is_n_times_too_large():
    model, x, y = nn.MLP([3, 4, 2]), np.ones((5, 3), np.float32), np.array([0, 1, 1, 0, 1])
    functional.cross_entropy(model(x), y).backward()
    once = [p.grad.copy() for p in model.parameters()]
    for _ in range(6):
        functional.cross_entropy(model(x), y).backward()
    for p, g in zip(model.parameters(), once, strict=True):
        np.testing.assert_allclose(p.grad, 7 * g, rtol=1e-5, atol=1e-7)
    model.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    for p, g in zip(model.parameters(), once, strict=True):
        np.testing.assert_array_equal(p.grad, g)


def test_21_two_linear_layers_are_one():
    rng = np.random.default_rng(0)
    first, second = nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False)
    x = rng.normal(size=(10, 5)).astype(np.float32)
    single = second.weight.data @ first.weight.data
    np.testing.assert_allclose(second(first(x)).data, x @ single.T, rtol=1e-4, atol=1e-6)


def test_22_equal_weights_stay_equal():
    model, x = nn.MLP([3, 4, 1], activation="tanh"), np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    for p in model.parameters():
        p.assign(0.3)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for _ in range(3):
        model.zero_grad()
        functional.mse_loss(model(x), x[:, :1]).backward()
        hidden = next(iter(model.parameters()))
        assert hidden.grad.any() and np.ptp(hidden.grad, axis=0).max() < 1e-7
        optimizer.step()
        assert np.ptp(hidden.data, axis=0).max() < 1e-6


def activations(initialise, activation, layers=10, width=512):
    """What comes out of each layer."""
    rng = np.random.default_rng(0)
    found = [rng.normal(size=(32, width)).astype(np.float32)]
    for _ in range(layers):
        weight = initialise(Tensor(np.zeros((width, width), np.float32)), rng)
        found.append(activation(Tensor(found[-1], requires_grad=False) @ weight.T).data)
    return found[1:]


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_23_xavier_with_tanh_and_kaiming_with_relu_keep_the_scale(kind):
    xavier, kaiming = getattr(nn.init, f"xavier_{kind}"), getattr(nn.init, f"kaiming_{kind}")
    gain = nn.init.calculate_gain("tanh")
    tanh = activations(lambda w, rng: xavier(w, gain=gain, rng=rng), ops.tanh)
    relu = activations(lambda w, rng: kaiming(w, nonlinearity="relu", rng=rng), ops.relu)
    for layers in (tanh, relu):
        stds = [float(a.std()) for a in layers]
        assert max(stds) / min(stds) < 2, stds
    assert np.mean(np.abs(tanh[-1]) > 0.9) < 0.3


def test_23_wrong_scales_vanish_or_saturate():
    small = [a.std() for a in activations(lambda w, rng: nn.init.normal(w, std=0.01, rng=rng), ops.tanh)]
    assert all(np.diff(small) < 0) and small[-1] < 1e-5
    large = activations(lambda w, rng: nn.init.normal(w, std=0.05, rng=rng), ops.tanh, layers=3, width=4096)
    assert np.mean(np.abs(large[-1]) > 0.9) > 0.5


CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)


def learned(model, targets):
    """Whether the model tells the four corners apart after training."""
    targets = np.array(targets)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(400):
        model.zero_grad()
        functional.cross_entropy(model(CORNERS), targets).backward()
        optimizer.step()
    return accuracy(model(CORNERS), targets) == 1


def test_24_and_or_by_one_perceptron_and_xor_by_two_layers():
    manual_seed(0)
    assert learned(nn.Linear(2, 2), [0, 0, 0, 1])
    assert learned(nn.Linear(2, 2), [0, 1, 1, 1])
    assert not learned(nn.Linear(2, 2), [0, 1, 1, 0])
    assert learned(nn.MLP([2, 8, 2], activation="tanh"), [0, 1, 1, 0])


LAYERS = {
    "Linear": lambda: nn.Linear(3, 2),
    "MLP": lambda: nn.MLP([3, 4, 2], activation="tanh"),
    "Sequential": lambda: nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 2)),
    "Flatten": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 2)),
    "Softmax": lambda: nn.Sequential(nn.Linear(3, 2), nn.Softmax()),
    "Tanh": lambda: nn.Tanh(),
    "Sigmoid": lambda: nn.Sigmoid(),
    "Softmax alone": lambda: nn.Softmax(),
    "BatchNorm1d": lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)),
    "LayerNorm": lambda: nn.LayerNorm(3),
    "Maxout": lambda: nn.Maxout(3, 2),
    "Residual": lambda: nn.Residual(nn.Linear(3, 3), nn.GELU()),
}


@pytest.mark.parametrize("name", LAYERS)
def test_25_analytic_against_numeric_gradients_of_layers(name):
    model = LAYERS[name]()
    parameters = dict(model.named_parameters())
    rng = np.random.default_rng(0)

    def f(x, *values):
        return replaced(model, parameters, values)(x)

    check(f, rng.normal(size=(2, 3)), *[rng.normal(size=p.shape) for p in parameters.values()])


def replaced(model, parameters, values):
    """The model with other parameters, which may be Tensors or arrays."""
    for path, value in zip(parameters, values, strict=True):
        *owners, name = path.split(".")
        owner = model
        for step in owners:
            owner = owner[int(step)] if step.isdigit() else getattr(owner, step)
        setattr(owner, name, value)
    return model


def test_26_a_small_batch_overfits():
    manual_seed(0)
    images, labels = tinygrad_edu.data.synthetic_digits(32, 0)
    x = images.reshape(32, -1).astype(np.float32) / 255
    model = nn.MLP([784, 32, 10])
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        model.zero_grad()
        loss = functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
    assert accuracy(model(x), labels) == 1


def test_27_dropout_keeps_the_mean_and_is_the_identity_in_evaluation():
    x = Tensor(np.ones((1000, 1000), np.float32))
    for p in (0.1, 0.5, 0.8):
        layer = nn.Dropout(p, rng=np.random.default_rng(0))
        out = layer(x).data
        values, counts = np.unique(out, return_counts=True)
        np.testing.assert_allclose(values, [0, 1 / (1 - p)], rtol=1e-6)
        assert counts[0] / out.size == pytest.approx(p, abs=0.002)
        assert out.mean() == pytest.approx(1, abs=0.01)
        assert layer.eval()(x) is x


def test_28_batch_norm_in_training_and_in_evaluation():
    rng = np.random.default_rng(0)
    layer = nn.BatchNorm1d(3, dtype=np.float64)
    batches = rng.normal([5, -2, 0], [1, 3, 0.5], size=(200, 50, 3))
    for x in batches:
        out = layer(x).data  # scale 1 and shift 0
        np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(out.var(axis=0), 1, rtol=1e-4)  # less by eps beside the variance
    np.testing.assert_allclose(layer.running_mean, [5, -2, 0], atol=0.3)
    np.testing.assert_allclose(layer.running_var, [1, 9, 0.25], rtol=0.3)

    running = 0.0
    for x in batches:
        running = 0.9 * running + 0.1 * x.mean(axis=0)
    np.testing.assert_allclose(layer.running_mean, running, rtol=1e-12)
    x = batches[0]
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + layer.eps)
    np.testing.assert_allclose(layer.eval()(x).data, expected, rtol=1e-12)
    np.testing.assert_allclose(layer(x[:1]).data, expected[:1], rtol=1e-12)  # whatever the batch
