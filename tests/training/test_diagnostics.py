import numpy as np
import pytest

from tinygrad_edu import Tensor, functional, manual_seed, nn, no_grad, optim
from tinygrad_edu.random import default_generator
from tinygrad_edu.training import dead_relu_fraction, diagnose

RNG = np.random.default_rng
SEEDS = range(8)


def batch(seed, n=64, inputs=20, classes=10):
    rng = RNG(seed + 1000)
    return rng.standard_normal((n, inputs)).astype(np.float32), rng.integers(0, classes, n)


def net(activation, depth, *, scale=1.0, bias=0.0, seed=0, **options):
    """An MLP whose initial weights are scaled, with hidden layers of 64 units."""
    model = nn.MLP([20, *[64] * depth, 10], activation, rng=RNG(seed), **options)
    for name, p in model.named_parameters():
        p.assign(p.data * scale if name.endswith("weight") else np.full(p.shape, bias))
    return model


def examined(model, seed=0, learn=True):
    x, y = batch(seed)
    return diagnose(model, x, y, nn.CrossEntropyLoss()) if learn else diagnose(model, x)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize(
    ("activation", "depth", "options", "verdict"),
    [
        ("sigmoid", 20, {}, "vanishing"),
        ("relu", 12, {"scale": 0.3}, "vanishing"),
        ("relu", 10, {"scale": 3.0}, "exploding"),
        ("tanh", 4, {"scale": 20.0}, "saturated"),
        ("sigmoid", 4, {"scale": 40.0}, "saturated"),
        ("relu", 4, {"bias": -100.0}, "dead"),
        ("relu", 3, {}, "healthy"),
        ("relu", 25, {}, "healthy"),
        ("tanh", 10, {}, "healthy"),
        ("sigmoid", 2, {}, "healthy"),
        ("leaky_relu", 10, {}, "healthy"),
        ("elu", 10, {}, "healthy"),
        ("gelu", 6, {}, "healthy"),
        ("silu", 6, {}, "healthy"),
    ],
)
def test_ill_networks_are_named_and_healthy_ones_left_alone(activation, depth, options, verdict, learn, seed):
    assert examined(net(activation, depth, seed=seed, **options), seed, learn).verdict == verdict


@pytest.mark.parametrize("seed", SEEDS)
def test_batch_norm_heals(seed):
    ill = net("relu", 12, scale=0.2, seed=seed)
    cured = nn.MLP([20, *[64] * 12, 10], "relu", batch_norm=True, init=tiny(seed))
    assert examined(ill, seed).verdict == "vanishing"
    assert examined(cured, seed).verdict == "healthy"


def tiny(seed):
    rng = RNG(seed)
    return lambda weight: nn.init.normal(weight, std=0.01, rng=rng)


@pytest.mark.parametrize("seed", SEEDS)
def test_convolutions_and_residual_blocks_are_healthy(seed):
    manual_seed(seed)
    block = nn.Residual(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), block, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(8, 3)
    )
    x, y = batch(seed, 32, 64, 3)
    report = diagnose(model, x.reshape(32, 1, 8, 8), y, nn.CrossEntropyLoss())
    assert report.verdict == "healthy"
    assert [layer.path for layer in report.layers] == ["0", "1", "2", "3.0", "3.1", "3.2", "3", "4", "5", "6"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (nn.Identity(), nn.CrossEntropyLoss()),
        (nn.LogSoftmax(), nn.NLLLoss()),
        (nn.Softmax(), lambda p, y: functional.nll_loss(p.log(), y)),
        (nn.Sigmoid(), lambda p, y: functional.binary_cross_entropy(p, np.eye(10, dtype=np.float32)[y])),
    ],
)
def test_a_sure_prediction_is_not_an_illness(last, loss, seed):
    model = nn.Sequential(nn.MLP([20, 64, 10], rng=RNG(seed)), last)
    x, _ = batch(seed)
    y = x[:, :10].argmax(axis=1)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
    for p in model[0][2].parameters():
        p.data *= 3
    report = diagnose(model, x, y, loss)
    assert report.loss < 0.01
    assert report.verdict == "healthy"


def test_the_numbers():
    model = nn.Sequential(
        nn.Linear(20, 6, rng=RNG(0), dtype=np.float64), nn.ReLU(), nn.Linear(6, 3, rng=RNG(1)), nn.Tanh()
    )
    x, y = batch(0, classes=3)
    report = diagnose(model, x.astype(np.float64), y, nn.CrossEntropyLoss())
    linear, relu, last, tanh = report.layers

    hidden = model[0](x.astype(np.float64))
    h = model[1](hidden)
    scores = model[2](h)
    out = model[3](scores)
    loss = functional.cross_entropy(out, y)
    loss.backward()
    assert report.loss == loss.item()
    for layer, output in ((linear, hidden), (relu, h), (last, scores), (tanh, out)):
        values = output.data
        assert layer.mean == pytest.approx(values.mean())
        assert layer.std == pytest.approx(values.std())
        assert layer.spread == pytest.approx(np.sqrt((values.std(axis=0) ** 2).mean()))
        assert layer.zeros == (values == 0).mean()
        assert layer.gradient == pytest.approx(np.linalg.norm(output.grad))
    assert [layer.kind for layer in report.layers] == ["Linear", "ReLU", "Linear", "Tanh"]
    norms = [np.linalg.norm([np.linalg.norm(p.grad) for p in model[i].parameters()]) for i in (0, 2)]
    assert [linear.weight_gradient, last.weight_gradient] == pytest.approx(norms)
    assert relu.weight_gradient is linear.dead is linear.saturated is relu.saturated is tanh.dead is None
    assert tanh.saturated == (1 - out.data**2 < 0.05).mean()


def test_dead_units_are_zero_for_every_example():
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
    model[0].weight.assign([[1, 0], [-1, 0], [0, 0], [0, 0]])
    model[0].bias.assign([0, 0, -1, 1])
    x = np.array([[1, 0], [-1, 0]], np.float32)
    assert dead_relu_fraction(model, x) == {"1": 0.25}
    layer = diagnose(model, x).layers[1]
    assert (layer.dead, layer.zeros) == (0.25, 0.5)
    assert dead_relu_fraction(nn.Tanh(), x) == {}
    shared = nn.Sequential(model[0], model[1], nn.Linear(4, 2, init=nn.init.zeros), model[1])
    assert dead_relu_fraction(shared, x) == {"1": 3 / 6}  # one of four, then two of two


@pytest.mark.parametrize("slope", [nn.ReLU(), nn.GELU("tanh"), nn.SiLU(), nn.PReLU(init=0.0)])
def test_relatives_of_relu_die_too(slope):
    model = nn.Sequential(nn.Linear(20, 4), slope)
    model[0].bias.assign(-1e4)
    assert dead_relu_fraction(model, batch(0)[0]) == {"1": 1.0}


def test_dead_units_of_no_examples():
    with pytest.raises(ValueError, match=r"shape \(0, 20\); there are no examples"):
        dead_relu_fraction(net("relu", 1), batch(0)[0][:0])
    with pytest.raises(ValueError, match=r"shape \(\); there are no examples"):
        dead_relu_fraction(net("relu", 1), 3)


@pytest.mark.parametrize("look", [diagnose, dead_relu_fraction])
@pytest.mark.parametrize("model", [lambda x: x, nn.ReLU, None])
def test_what_is_not_a_model(look, model):
    with pytest.raises(TypeError, match=f"{look.__name__}: model must be of the class Module, got "):
        look(model, np.eye(4, 20))


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("scale", [0.0, 1e-9])
@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize("lost", [0, 2, 4])
def test_a_layer_that_the_signal_does_not_pass_is_found(lost, bias, scale, learn):
    model = net("tanh", 2, bias=bias)
    model[lost].weight.assign(model[lost].weight.data * scale)
    report = examined(model, learn=learn)
    assert report.verdict == "vanishing"
    without = [layer for layer in report.layers if layer.path == str(lost)]
    assert [layer.verdict for layer in without] == ["vanishing"]
    assert without[0].spread < 1e-6
    if scale == 0:
        assert {layer.verdict for layer in report.layers[lost:]} == {"vanishing"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_spread_that_is_only_rounding_is_none(dtype):
    model, x = nn.Linear(20, 5, dtype=dtype, rng=RNG(0)), batch(0)[0].astype(dtype)
    model.bias.assign(1e5 if dtype is np.float32 else 1e14)
    model.weight.data *= 1e-2
    assert np.ptp(model(x).data, axis=0).any()
    assert diagnose(model, x).layers[0].spread == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
def test_inputs_in_other_units(scale):
    """The first layer is compared with its input, but may bring large numbers down to size."""
    x = scale * batch(0)[0]
    assert diagnose(net("leaky_relu", 3), x).verdict == "healthy"
    assert diagnose(nn.Sequential(nn.BatchNorm1d(20), net("relu", 3)), x).verdict == "healthy"


@pytest.mark.parametrize(("share", "verdict"), [(0.7, "healthy"), (0.8, "dead")])
def test_dead_means_more_than_three_quarters(share, verdict):
    model = nn.Sequential(nn.Linear(20, 10, rng=RNG(0)), nn.ReLU(), nn.Linear(10, 3))
    model[0].bias.data[: round(10 * share)] = -1e4
    layer = diagnose(model, batch(0)[0]).layers[1]
    assert (layer.dead, layer.verdict) == (share, verdict)


@pytest.mark.parametrize(("slope", "verdict"), [(0.04, "saturated"), (0.06, "healthy")])
@pytest.mark.parametrize("squash", [nn.Tanh(), nn.Sigmoid()])
def test_saturated_is_where_the_slope_is_below_a_twentieth(squash, slope, verdict):
    """tanh' = 1 - tanh**2, and sigmoid(2x) = (1 + tanh(x)) / 2 has a slope in proportion to it."""
    x = np.arctanh(np.sqrt(1 - slope)) * (2 if isinstance(squash, nn.Sigmoid) else 1)
    model = nn.Sequential(nn.Linear(1, 1, init=nn.init.zeros), squash, nn.Linear(1, 1))
    model[0].weight.assign(1.0)
    assert diagnose(model, np.array([[x], [-x]], np.float32)).layers[1].verdict == verdict


def test_what_is_not_finite_is_named_where_it_begins():
    model = net("relu", 3)
    model[2].weight.data[0, 0] = np.nan
    report = examined(model)
    assert report.verdict == "not finite"
    assert [layer.verdict for layer in report.layers] == ["healthy"] * 2 + ["not finite"] * 5
    assert np.isnan(report.loss)
    assert "not finite, first in 2\n" in str(report)


def test_a_loss_that_is_not_finite():
    x, y = batch(0)
    report = diagnose(net("relu", 1), x, y, lambda out, y: (out.sum() * 0.0 - 1.0).log())
    assert report.verdict == "not finite"
    assert {layer.verdict for layer in report.layers} == {"healthy"}
    assert "loss nan; not finite\n" in str(report)


def test_overflow_is_reported_and_not_warned_of():
    report = examined(net("relu", 3, scale=1e20))
    assert report.verdict == "not finite"


class Functional(nn.Module):
    """Computes between its modules, calls one twice, and one not at all."""

    def __init__(self):
        self.first, self.second, self.unused = nn.Linear(20, 20), nn.Flatten(), nn.ReLU()

    def forward(self, x):
        return self.first(self.first(self.second(x)).relu()).tanh()


def test_modules_of_all_kinds():
    report = examined(Functional())
    assert [layer.path for layer in report.layers] == ["second", "first", "first", ""]
    assert report.layers[0].gradient is None  # an array
    assert "(all)   Functional" in str(report)


def test_the_table():
    lines = str(examined(net("relu", 2))).splitlines()
    headers = ["layer", "class", "mean", "std", "spread", "zeros"]
    assert lines[0].split() == [*headers, "dead", "gradient", "weight", "gradient", "verdict"]
    assert len(lines) == 2 + 5 + 3
    assert lines[-2].startswith("loss ")
    assert lines[-2].endswith("; healthy")
    assert max(map(len, lines)) <= 100
    without = str(examined(net("tanh", 2), learn=False)).splitlines()
    assert without[0].split() == [*headers, "saturated", "verdict"]
    assert without[-2] == "healthy"


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    manual_seed(0)
    rng = RNG(1)
    model = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Dropout(0.5, rng=rng))
    model.last = nn.Linear(8, 10)
    model.train(training)
    x, y = Tensor(batch(0)[0]) * 2.0, batch(0)[1]
    clean = diagnose(model, x, y % 8, nn.CrossEntropyLoss())
    loss = functional.cross_entropy(model(x), y % 8)
    loss.backward()

    def state():
        return (
            {name: array.tobytes() for name, array in model.state_dict().items()},
            [p.grad is not None and p.grad.tobytes() for p in model.parameters()],
            [dict(vars(m)) for m in model.modules() if not isinstance(m, nn.BatchNorm1d)],
            [rng.bit_generator.state, default_generator().bit_generator.state],
            x.grad.tobytes(),
        )

    before = state()
    first = diagnose(model, x, y % 8, nn.CrossEntropyLoss())
    assert diagnose(model, x, y % 8, nn.CrossEntropyLoss()) == first  # the same masks of dropout
    assert [layer.weight_gradient is None for layer in clean.layers] == [False, False, True, True, True, False]
    if not training:
        assert clean == first  # the gradients that were there are not counted
    dead_relu_fraction(model, x)
    assert state() == before
    with pytest.raises(ZeroDivisionError):
        diagnose(model, x, y, lambda out, y: 1 / 0)
    assert state() == before
    loss.backward()  # no parameter was touched, so the old graph is good


def test_inside_no_grad_without_a_loss():
    with no_grad():
        assert examined(net("relu", 3), learn=False).verdict == "healthy"


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        ((np.ones((4, 20)), np.ones(4)), TypeError, "both y and loss"),
        ((np.ones((4, 20)), None, nn.MSELoss()), TypeError, "both y and loss"),
        ((np.ones((1, 20)),), ValueError, r"shape \(1, 20\); a batch of at least 2"),
        ((np.float64(3.0),), ValueError, r"shape \(\); a batch"),
        ((np.eye(4, 20), np.ones((4, 10)), nn.MSELoss("none")), ValueError, r"shape \(\); got shape \(4, 10\)"),
        ((np.eye(4, 20), 1, lambda out, y: 1.0), ValueError, r"shape \(\); got float"),
        ((np.ones((4, 20)),), ValueError, "all examples of x are the same"),
        ((np.eye(4, 20), 1, nn.MSELoss), TypeError, r"diagnose: loss must be a function .* write MSELoss\(\)"),
    ],
)
def test_arguments(args, error, words):
    with pytest.raises(error, match=words):
        diagnose(nn.Linear(20, 10), *args)


def test_no_output_to_measure():
    class Count(nn.Module):
        def forward(self, x):
            return len(x)

    with pytest.raises(ValueError, match="no module of this Count returned"):
        diagnose(Count(), np.arange(3))
