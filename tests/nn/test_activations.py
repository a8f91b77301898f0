import copy
import pickle

import numpy as np
import pytest
from finite_differences import check
from hypothesis import given, settings, strategies as st
from strategies import full, full_nd, shapes, spaced

from tinygrad_edu import Tensor, functional, nn
from tinygrad_edu.nn import activations, init

RNG = np.random.default_rng
MODULES = {  # the repr is PyTorch's, and makes the module
    "Identity()": lambda x: x,
    "ReLU()": lambda x: np.maximum(x, 0),
    "LeakyReLU(negative_slope=0.01)": lambda x: np.where(x > 0, x, 0.01 * x),
    "LeakyReLU(negative_slope=0.2)": lambda x: np.where(x > 0, x, 0.2 * x),
    "PReLU(num_parameters=1)": lambda x: np.where(x > 0, x, 0.25 * x),
    "ELU(alpha=1.0)": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "ELU(alpha=0.5)": lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1)),
    "GELU(approximate='none')": functional.gelu,
    "GELU(approximate='tanh')": lambda x: functional.gelu(x, "tanh"),
    "SiLU()": lambda x: x / (1 + np.exp(-x)),
    "Softplus(beta=1.0)": lambda x: np.log(1 + np.exp(x)),
    "Softplus(beta=3.0)": lambda x: np.log(1 + np.exp(3 * x)) / 3,
    "Sigmoid()": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh()": np.tanh,
    "Softmax(dim=-1)": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "Softmax(dim=0)": lambda x: np.exp(x) / np.exp(x).sum(0, keepdims=True),
    "LogSoftmax(dim=-1)": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
}
every_module = pytest.mark.parametrize("text", MODULES)


def made(text):
    """The module with this repr."""
    return eval(text, vars(nn))


def test_every_activation_is_tested():
    module = activations.__name__
    classes = {name for name, value in vars(activations).items() if getattr(value, "__module__", "") == module}
    assert classes == {text.split("(")[0] for text in MODULES}
    assert {type(make()).__name__ for make, _ in activations.ACTIVATIONS.values()} <= classes


@every_module
@given(data=st.data())
@settings(max_examples=15)
def test_values_and_derivatives(text, data):
    x = data.draw(spaced(full_nd if "oftmax" in text else full))
    module = made(text)
    np.testing.assert_allclose(module(Tensor(x)).data, MODULES[text](x), 1e-12, 1e-15)
    check(module.forward, x) if "PReLU" not in text else check(functional.prelu, x, module.weight.data.astype(float))


@every_module
@given(x=spaced(shapes.filter(len)))
@settings(max_examples=8)
def test_float32_and_the_shape_are_kept(text, x):
    if "oftmax" in text and 0 in x.shape:
        return
    x, module = Tensor(x, dtype=np.float32), made(text)
    out = module(x)
    out.backward(np.ones(x.shape))
    assert out.dtype == x.grad.dtype == np.float32
    assert out.shape == x.grad.shape == x.shape
    assert all(p.dtype == p.grad.dtype == np.float32 for p in module.parameters())


@every_module
def test_huge_numbers(text):
    x = Tensor([-1e30, -1e4, 0.0, 1e4, 1e30], dtype=np.float32)
    out = made(text)(x)
    out.backward(np.ones(5))
    assert np.isfinite(out.data).all() and np.isfinite(x.grad).all()
    x.grad = None
    made(text)(x).backward(np.ones(5), create_graph=True)
    assert np.isfinite(x.grad.data).all()


@every_module
def test_copies_and_repr(text):
    module = made(text)
    x = RNG(0).standard_normal((3, 4)).astype(np.float32)
    for other in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(other) == text
        np.testing.assert_array_equal(plain(other(x)), plain(module(x)))


def plain(x):
    """The values."""
    return x.data if isinstance(x, Tensor) else x


@every_module
def test_values_gradients_and_reprs_are_pytorchs(text):
    torch = pytest.importorskip("torch")
    module, theirs = made(text), eval(text, vars(torch.nn))
    shown = repr(theirs).replace(", threshold=20.0", "")
    assert repr(module) == shown
    values = np.array([[-1e4, -30, -2, -0.5, -0.0], [0.0, 1e-3, 0.7, 3, 1e4]], np.float32)
    x, y = Tensor(values), torch.tensor(values, requires_grad=True)
    out, expected = module(x), theirs(y)
    weights = RNG(0).uniform(0.5, 1.5, values.shape).astype(np.float32)
    out.backward(weights)
    expected.backward(torch.tensor(weights))
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(x.grad, y.grad.numpy(), rtol=1e-5, atol=2e-7)
    for p, q in zip(module.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 2, 2)])
def test_prelu_has_a_slope_for_each_channel(shape):
    torch = pytest.importorskip("torch")
    module, theirs = nn.PReLU(3), torch.nn.PReLU(3)
    slopes = np.array([0.1, -0.5, 1.5], np.float32)
    module.weight.assign(slopes)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in module.state_dict().items()})
    values = RNG(0).standard_normal(shape).astype(np.float32)
    x, y = Tensor(values), torch.tensor(values, requires_grad=True)
    out, expected = module(x), theirs(y)
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(x.grad, y.grad.numpy(), rtol=1e-6)
    np.testing.assert_allclose(module.weight.grad, theirs.weight.grad.numpy(), rtol=1e-5)
    module.load_state_dict(theirs.state_dict())
    assert list(module.state_dict()) == ["weight"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.PReLU(0), ValueError, "num_parameters is 0; it must be an integer of at least 1"),
        (lambda: nn.PReLU(1.5), ValueError, "num_parameters is 1.5"),
        (lambda: nn.PReLU(3)(np.ones((3, 2))), ValueError, r"weight of shape \(3,\) for input \(3, 2\)"),
        (lambda: nn.PReLU(3)(np.ones(3)), ValueError, "one for each place of axis 1"),
        (lambda: nn.GELU("sigmoid"), ValueError, "GELU: approximate is 'sigmoid'; it must be 'none' or 'tanh'"),
        (lambda: functional.gelu(1.0, "sigmoid"), ValueError, "gelu: approximate .*must be"),
        (lambda: nn.Softplus(0), ValueError, "beta is 0; it must be a number, above 0"),
        (lambda: nn.Softplus("1"), ValueError, "beta is '1'; it must be a number"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("function", [functional.leaky_relu, functional.elu, functional.gelu, functional.silu])
def test_numbers_integers_and_lists_are_taken(function):
    values = [-2, -1, 0, 3]
    expected = function(np.array(values, np.float64))
    np.testing.assert_allclose(function(values), expected, rtol=1e-12)
    np.testing.assert_allclose(function(np.array(values)), expected, rtol=1e-12)
    np.testing.assert_allclose([function(v) for v in values], expected, rtol=1e-12)


def test_the_fast_gelu_is_close():
    x = np.linspace(-8, 8, 2001)
    assert 1e-4 < np.abs(functional.gelu(x) - functional.gelu(x, "tanh")).max() < 5e-4


@pytest.mark.parametrize("name", [n for n in activations.ACTIVATIONS if n not in ("softplus", "sigmoid")])
def test_the_table_keeps_the_signal(name):
    make, scheme = activations.ACTIVATIONS[name]
    x = RNG(0).standard_normal((256, 400)).astype(np.float32)
    first = before = float(np.sqrt(np.mean(x**2)))
    for seed in range(8):
        w = scheme(Tensor(np.zeros((400, 400), np.float32)), rng=RNG(seed))
        x = make()(Tensor(x @ w.data.T)).data if name != "identity" else x @ w.data.T
        before, now = float(np.sqrt(np.mean(x**2))), before
        assert 0.5 < before / now < 1.5
    assert 0.02 < before / first < 20


def test_the_tables_gains():
    w = Tensor(np.zeros((400, 300), np.float64))
    expected = {"leaky_relu": (2 / (1 + 0.01**2) / 300) ** 0.5, "prelu": (2 / (1 + 0.25**2) / 300) ** 0.5}
    expected |= dict.fromkeys(("relu", "elu", "gelu", "silu", "softplus"), (2 / 300) ** 0.5)
    expected |= {"tanh": init.calculate_gain("tanh") * (2 / 700) ** 0.5}
    expected |= dict.fromkeys(("sigmoid", "identity"), (2 / 700) ** 0.5)
    assert expected.keys() == activations.ACTIVATIONS.keys()
    for name, std in expected.items():
        assert activations.ACTIVATIONS[name][1](w, rng=RNG(0)).data.std() == pytest.approx(std, rel=0.01)
