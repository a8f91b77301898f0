import math
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_edu import Tensor, manual_seed
from tinygrad_edu.nn import MLP, init
from tinygrad_edu.random import default_generator, generators_in

SHAPE = (300, 400)
RANDOM = [
    *(init.normal, init.uniform, init.xavier_uniform, init.xavier_normal, init.kaiming_uniform, init.kaiming_normal),
    init.orthogonal,
]


def weight(shape=SHAPE, dtype=np.float32):
    return Tensor(np.full(shape, np.nan, dtype))


@pytest.mark.parametrize("fill", [init.zeros, lambda w: init.constant(w, 3.0), *RANDOM])
def test_fills_in_place_and_returns_the_tensor(fill):
    w = weight()
    data = w.data
    assert fill(w) is w
    assert w.data is data
    assert data.dtype == np.float32
    assert np.isfinite(data).all()


def test_fixed_values():
    assert (init.zeros(weight()).data == 0).all()
    assert (init.constant(weight(), val=3.0).data == 3).all()


@pytest.mark.parametrize(
    ("fill", "std", "is_uniform"),
    [
        (lambda w, rng: init.normal(w, 1.0, 0.5, rng=rng), 0.5, False),
        (lambda w, rng: init.uniform(w, -1.0, 3.0, rng=rng), 4 / math.sqrt(12), True),
        (lambda w, rng: init.xavier_uniform(w, rng=rng), math.sqrt(2 / 700), True),
        (lambda w, rng: init.xavier_normal(w, 2.0, rng=rng), 2 * math.sqrt(2 / 700), False),
        (lambda w, rng: init.kaiming_uniform(w, rng=rng), math.sqrt(2 / 400), True),
        (lambda w, rng: init.kaiming_normal(w, mode="fan_out", rng=rng), math.sqrt(2 / 300), False),
        (lambda w, rng: init.kaiming_normal(w, a=1.0, nonlinearity="leaky_relu", rng=rng), math.sqrt(1 / 400), False),
    ],
)
def test_spread(fill, std, is_uniform):
    values = fill(weight(dtype=np.float64), np.random.default_rng(0)).data
    assert values.std() == pytest.approx(std, rel=0.01)  # 120,000 draws: a standard error of 0.2%
    largest = np.abs(values - values.mean()).max() / std
    assert largest == pytest.approx(math.sqrt(3), rel=0.02) if is_uniform else largest > 3.5


def test_fans_count_the_kernel():
    assert init.fans(Tensor(np.zeros((8, 3, 5, 2)))) == (30, 80)
    with pytest.raises(ValueError, match=r"shape \(3,\) has no fan_in"):
        init.kaiming_normal(Tensor(np.zeros(3)))


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7), (3, 2, 2, 2), (20, 2, 3), (1, 3), (3, 1)])
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_orthogonal_rows_or_columns(shape, gain):
    w = init.orthogonal(weight(shape, np.float64), gain, rng=np.random.default_rng(0)).data.reshape(shape[0], -1)
    products = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(products, gain**2 * np.eye(min(w.shape)), atol=1e-13)


def test_orthogonal_matrices_are_uniform():
    rng = np.random.default_rng(0)
    traces = [np.trace(init.orthogonal(weight((3, 3), np.float64), rng=rng).data) for _ in range(4000)]
    assert np.mean(traces) == pytest.approx(0, abs=0.08)  # five standard errors; without the sign fix it is -0.5
    assert np.mean(np.square(traces)) == pytest.approx(1, abs=0.15)


def test_orthogonal_keeps_the_signal_of_any_depth():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(64)
    length = np.linalg.norm(x)
    for _ in range(100):
        x = init.orthogonal(weight((64, 64), np.float64), rng=rng).data @ x
    assert np.linalg.norm(x) == pytest.approx(length)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_orthogonal_needs_a_matrix(shape):
    with pytest.raises(ValueError, match=r"orthogonal: a tensor of shape .* is not a matrix"):
        init.orthogonal(weight(shape))


@pytest.mark.parametrize("name, shape", [("xavier", (5, 4, 3)), ("kaiming", (5, 4, 3)), ("kaiming", (4, 5))])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_spreads_are_pytorchs(name, shape, mode):
    torch = pytest.importorskip("torch")
    options = {"gain": 2.0} if name == "xavier" else {"mode": mode, "a": math.sqrt(5)}  # torch.nn.Linear's own slope
    shape = (40 * shape[0], 40 * shape[1], *shape[2:])
    for kind in ("uniform", "normal"):
        ours = getattr(init, f"{name}_{kind}")(weight(shape), rng=np.random.default_rng(0), **options)
        theirs = getattr(torch.nn.init, f"{name}_{kind}_")(torch.empty(shape), **options)
        assert ours.data.std() == pytest.approx(float(theirs.std()), rel=0.03)


def test_errors():
    with pytest.raises(ValueError, match="nonlinearity is 'swish'; it must be 'linear'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="mode is 'in'; it must be 'fan_in' or 'fan_out'"):
        init.kaiming_uniform(weight(), mode="in")
    with pytest.raises(TypeError, match="tensor is a ndarray; for an array use"):
        init.zeros(np.zeros(3))
    with pytest.raises(RuntimeError, match="result of"):
        init.zeros(weight() * 2)


@pytest.mark.parametrize("fill", RANDOM)
def test_seeds_repeat(fill):
    manual_seed(5)
    first, second = fill(weight()).data, fill(weight()).data
    assert not np.array_equal(first, second)
    assert manual_seed(5) is default_generator()
    np.testing.assert_array_equal(fill(weight()).data, first)
    np.testing.assert_array_equal(fill(weight(), rng=np.random.default_rng(5)).data, first)


def test_the_random_generator_can_be_reached_from_here_too():
    assert (init.manual_seed, init.generator, init.generators_in) == (manual_seed, default_generator, generators_in)
    assert dir(init) == sorted(init.__all__)
    assert {"manual_seed", "generator", "generators_in"}.isdisjoint(dir(init))


@pytest.mark.parametrize("rng", [0, 1, True])
@pytest.mark.parametrize("fill", RANDOM)
def test_a_seed_is_no_generator(fill, rng):
    with pytest.raises(TypeError, match=rf"rng must be .* got {rng}; make one with default_rng\(seed\)"):
        fill(weight(), rng=rng)


def test_layout_and_dtype_do_not_change_the_draws():
    row_major, transposed = weight(dtype=np.float64), Tensor(np.zeros(SHAPE[::-1], np.float32).T)
    for w in (row_major, transposed):
        init.normal(w, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(row_major.data.astype(np.float32), transposed.data)


def test_import_leaves_numpy_random_alone():
    code = "import sys, numpy; lazy = 'numpy.random' not in sys.modules; import tinygrad_edu.nn, tinygrad_edu.optim; "
    code += "sys.exit(lazy and 'numpy.random' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def layer_stds(activation, **kwargs):
    """Standard deviation of the activations after each of ten layers of 512."""
    rng = np.random.default_rng(0)
    model = MLP([512] * 11, activation, rng=rng, **kwargs)
    x = rng.standard_normal((256, 512)).astype(np.float32)
    stds = []
    for linear, nonlinearity in zip(model[::2], [*model[1::2], model[1]], strict=True):
        x = nonlinearity(linear(x))
        stds.append(float(x.data.std()))
    return stds


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_matching_initial_values_keep_the_signal(activation):
    stds = layer_stds(activation)
    assert max(stds) < 2 * min(stds)


def test_wrong_initial_values_lose_it():
    assert layer_stds("tanh", init=lambda w: init.normal(w, std=0.01, rng=np.random.default_rng(1)))[-1] < 1e-5
    saturated = layer_stds("tanh", init=lambda w: init.normal(w, std=0.5, rng=np.random.default_rng(1)))
    assert saturated[-1] > 0.9
