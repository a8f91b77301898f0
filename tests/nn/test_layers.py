import copy
import pickle

import numpy as np
import pytest
from finite_differences import check_dtype
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as npst
from strategies import generators, spaced

from tinygrad_edu import Tensor, gradcheck, manual_seed, nn, no_grad, optim
from tinygrad_edu.nn.losses import Loss
from tinygrad_edu.random import default_generator

RNG = np.random.default_rng
sizes = st.integers(1, 5)
some = st.integers(1, 3)
any_shape = npst.array_shapes(min_dims=1, max_dims=3, max_side=3)


def ending_in(*last):
    return npst.array_shapes(min_dims=1, max_dims=2, max_side=3).map(lambda batch: (*batch, *last))


LAYERS = {  # name: (makes it of nn or torch.nn, shapes of inputs, order up to which it is smooth)
    "AdaptiveAvgPool2d": (lambda m, **o: m.AdaptiveAvgPool2d((2, None)), st.tuples(some, some, some, some), 2),
    "AvgPool2d": (lambda m, **o: m.AvgPool2d(2, 1, 1), st.tuples(some, some, some, some), 2),
    "BatchNorm1d": (lambda m, **o: m.BatchNorm1d(2, **o), st.tuples(st.integers(2, 4), st.just(2), some), 2),
    "BatchNorm2d": (lambda m, **o: m.BatchNorm2d(2, **o), st.tuples(st.integers(2, 3), st.just(2), some, some), 2),
    "Conv1d": (lambda m, **o: m.Conv1d(2, 2, 3, 1, "same", 1, 2, **o), st.tuples(some, st.just(2), some), 2),
    "Conv2d": (
        lambda m, **o: m.Conv2d(2, 2, (2, 1), (1, 2), (1, 0), **o),
        st.tuples(some, st.just(2), some, some),
        2,
    ),
    "ConvTranspose2d": (
        lambda m, **o: m.ConvTranspose2d(2, 4, (2, 1), 2, 0, 1, 2, **o),
        st.tuples(some, st.just(2), some, some),
        2,
    ),
    "Dropout": (lambda m, **o: m.Dropout(0.3), any_shape, 2),
    "ELU": (lambda m, **o: m.ELU(), any_shape, 1),
    "Flatten": (lambda m, **o: m.Flatten(), npst.array_shapes(min_dims=2, max_dims=4, max_side=3), 2),
    "GELU": (lambda m, **o: m.GELU(), any_shape, 2),
    "GroupNorm": (lambda m, **o: m.GroupNorm(1, 2, **o), st.tuples(st.integers(2, 3), st.just(2), some), 2),
    "Identity": (lambda m, **o: m.Identity(), any_shape, 2),
    "LayerNorm": (lambda m, **o: m.LayerNorm((2, 3), **o), ending_in(2, 3), 2),
    "LeakyReLU": (lambda m, **o: m.LeakyReLU(), any_shape, 1),
    "Linear": (lambda m, **o: m.Linear(3, 2, **o), ending_in(3), 2),
    "LogSoftmax": (lambda m, **o: m.LogSoftmax(dim=-1), any_shape, 2),
    "MLP": (lambda m, **o: m.MLP([2, 3, 2], "tanh", dropout=0.2, **o), ending_in(2), 2),
    "MaxPool2d": (lambda m, **o: m.MaxPool2d(2, 1, 1), st.tuples(some, some, some, some), 1),
    "Maxout": (lambda m, **o: m.Maxout(3, 2, **o), ending_in(3), 1),
    "PReLU": (lambda m, **o: m.PReLU(2, **o), st.tuples(some, st.just(2), some), 1),
    "RMSNorm": (lambda m, **o: m.RMSNorm((2, 3), 0.1, **o), ending_in(2, 3), 2),
    "ReLU": (lambda m, **o: m.ReLU(), any_shape, 1),
    "Residual": (lambda m, **o: m.Residual(m.Linear(3, 3, **o), m.Tanh()), ending_in(3), 2),
    "Sequential": (lambda m, **o: m.Sequential(m.Linear(3, 2, **o), m.Tanh(), m.Linear(2, 2, **o)), ending_in(3), 2),
    "SiLU": (lambda m, **o: m.SiLU(), any_shape, 2),
    "Sigmoid": (lambda m, **o: m.Sigmoid(), any_shape, 2),
    "Softmax": (lambda m, **o: m.Softmax(dim=-1), any_shape, 2),
    "Softplus": (lambda m, **o: m.Softplus(), any_shape, 2),
    "Tanh": (lambda m, **o: m.Tanh(), any_shape, 2),
    "Upsample": (lambda m, **o: m.Upsample(scale_factor=(2, 1.5)), st.tuples(some, some, some, some), 2),
}
OURS_ALONE = {"MLP", "Maxout", "Residual"}
ELSEWHERE = {  # tested in files of their own: what takes integers, several inputs, or has several outputs
    *("Module", "ModuleDict", "ModuleList", "Embedding", "MultiheadAttention"),
    *("GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell"),
}
each = pytest.mark.parametrize("name", LAYERS)


def layer(name, dtype=np.float64, seed=0):
    manual_seed(seed)
    return LAYERS[name][0](nn, dtype=dtype)


def inputs(name):
    """Drawn shapes, with different numbers of about 2 at most that keep clear of 0."""
    return spaced(LAYERS[name][1]).map(lambda x: x / max(1.0, 0.1 * x.size))


def repeated(module):
    """The module as a function of x alone: dropout draws the same at each call."""

    def call(x, *_):
        manual_seed(7)
        return module(x)

    return call


def same(module, other, x):
    """Asserts that both have the same state and make the same of x."""
    assert list(module.state_dict()) == list(other.state_dict())
    for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    np.testing.assert_array_equal(module(Tensor(x)).data, other(Tensor(x)).data)


def test_every_layer_stands_in_the_table():
    exported = {name: getattr(nn, name) for name in nn.__all__}
    modules = {name for name, c in exported.items() if isinstance(c, type) and issubclass(c, nn.Module)}
    assert set(LAYERS) == {name for name in modules if not issubclass(exported[name], Loss)} - ELSEWHERE


@each
@settings(max_examples=6)
@given(data=st.data(), training=st.booleans())
def test_gradients(name, data, training):
    module, x = layer(name).train(training), data.draw(inputs(name))
    if name == "Maxout":  # a tie of two pieces is a kink
        assume(np.abs(np.diff(module.linear(x).data.reshape(-1, 2, 2), axis=1)).min() > 1e-3)
    assert gradcheck(repeated(module), x, *module.parameters(), order=LAYERS[name][2])


@each
@settings(max_examples=6)
@given(data=st.data(), training=st.booleans())
def test_float32_is_kept(name, data, training):
    x = data.draw(inputs(name))
    narrow, wide = layer(name, np.float32).train(training), layer(name).train(training)
    wide.load_state_dict(narrow.state_dict())
    check_dtype(lambda x: repeated(narrow if x.dtype == np.float32 else wide)(x), [x], np.float32)
    assert all(p.grad is not None and p.grad.data.dtype == np.float32 for p in narrow.parameters())
    assert all(b.dtype in (np.float32, np.int64) for b in narrow.buffers())
    array = repeated(narrow)(x.astype(np.float32))
    assert array.dtype == np.float32 and array.shape == narrow(Tensor(x)).shape


@each
@settings(max_examples=3)
@given(data=st.data())
def test_modules_can_be_saved_copied_and_shown(name, data):
    module, x = layer(name, np.float32), data.draw(inputs(name)).astype(np.float32)
    module(Tensor(x))
    module.eval()
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        same(module, twin, x)
    other = layer(name, np.float32, seed=1).eval()
    parameters, buffers = list(other.parameters()), list(other.buffers())
    assert other.load_state_dict(module.state_dict()) == ([], [])
    same(module, other, x)
    assert all(a is b for a, b in zip(parameters + buffers, [*other.parameters(), *other.buffers()], strict=True))
    assert repr(module).startswith(name + "(")
    before = module.state_dict()
    module.summary(x.shape[1:])
    assert module.train() is module and all(m.training for m in module.modules())
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value, before[key], strict=True)


@each
@settings(max_examples=3)
@given(data=st.data())
def test_in_evaluation_nothing_changes_and_nothing_is_drawn(name, data):
    module, x = layer(name).eval(), data.draw(inputs(name))
    before, first = module.state_dict(), module(Tensor(x)).data
    np.testing.assert_array_equal(module(Tensor(x)).data, first)
    with no_grad():
        np.testing.assert_array_equal(module(x) if type(module(x)) is np.ndarray else module(x).data, first)
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value, before[key], strict=True)


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - OURS_ALONE))
@settings(max_examples=4)
@given(data=st.data(), training=st.booleans())
def test_agreement_with_pytorch(name, data, training):
    torch = pytest.importorskip("torch")
    ours, theirs = layer(name), LAYERS[name][0](torch.nn, dtype=torch.float64)
    state = {key: torch.from_numpy(value) for key, value in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)
    if name != "Dropout":  # which draws other elements there
        for _ in range(3):
            x = data.draw(inputs(name))
            ours(x), theirs(torch.from_numpy(x))
    ours.train(training and name != "Dropout"), theirs.train(training and name != "Dropout")

    x = Tensor(data.draw(inputs(name)))
    theirs_x = torch.from_numpy(x.numpy()).requires_grad_()
    out, expected = ours(x), theirs(theirs_x)
    weights = RNG(0).uniform(0.5, 1.5, out.shape)
    out.backward(weights)
    expected.backward(torch.from_numpy(weights))
    np.testing.assert_allclose(out.data, expected.detach(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(x.grad, theirs_x.grad, rtol=1e-9, atol=1e-9)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-9, atol=1e-9)
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert layer(name, seed=1).load_state_dict(theirs.state_dict()) == ([], [])


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.Dropout(0.2), "Dropout(p=0.2)"),
        (nn.Conv2d(1, 8, 3), "Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1))"),
        (
            nn.Conv2d(3, 8, (3, 1), 2, (1, 0), bias=False),
            "Conv2d(3, 8, kernel_size=(3, 1), stride=(2, 2), padding=(1, 0), bias=False)",
        ),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (nn.AvgPool2d((2, 3), 1), "AvgPool2d(kernel_size=(2, 3), stride=1, padding=0)"),
        (nn.BatchNorm1d(4), "BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"),
        (
            nn.BatchNorm2d(4, 1e-3, None, False, False),
            "BatchNorm2d(4, eps=0.001, momentum=None, affine=False, track_running_stats=False)",
        ),
        (nn.LayerNorm(5), "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)"),
    ],
)
def test_reprs_are_pytorchs(module, text):
    assert repr(module) == text


@given(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), sizes, sizes, st.booleans())
def test_linear_is_x_times_the_transposed_weight_plus_bias(batch, n_in, n_out, bias):
    linear = nn.Linear(n_in, n_out, bias, rng=RNG(0), dtype=np.float64)
    x = RNG(1).standard_normal((*batch, n_in))
    out = linear(x)
    assert out.shape == (*batch, n_out)
    expected = np.einsum("...i,oi->...o", x, linear.weight.data) + (linear.bias.data if bias else 0)
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-12)


def test_linear_without_bias_has_the_right_gradients():
    linear = nn.Linear(3, 2, bias=False, rng=RNG(0), dtype=np.float64)
    assert gradcheck(lambda x, *_: linear(x), RNG(1).standard_normal((4, 3)), linear.weight, order=2)


@given(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), sizes, sizes, some, st.booleans())
def test_maxout_is_the_largest_piece(batch, n_in, n_out, pieces, bias):
    maxout = nn.Maxout(n_in, n_out, pieces, bias, rng=RNG(0), dtype=np.float64)
    x = RNG(1).standard_normal((*batch, n_in))
    out = maxout(x)
    assert out.shape == (*batch, n_out)
    weights = np.split(maxout.linear.weight.data, pieces)  # each (n_out, n_in)
    biases = np.split(maxout.linear.bias.data, pieces) if bias else [0] * pieces
    expected = np.max([x @ w.T + b for w, b in zip(weights, biases, strict=True)], axis=0)
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-12)


def test_maxout_can_become_the_absolute_value():
    maxout = nn.Maxout(1, 1, bias=False)
    maxout.linear.weight.assign([[1.0], [-1.0]])
    np.testing.assert_array_equal(maxout(np.array([[-2.0], [3.0]])).data, [[2.0], [3.0]])


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Flatten(), (2, 12)),
        (nn.Flatten(0), (24,)),
        (nn.Flatten(-2), (2, 12)),
        (nn.Flatten(2), (2, 3, 4)),
        (nn.Flatten(0, 1), (6, 4)),
        (nn.Flatten(end_dim=1), (2, 3, 4)),
        (nn.Flatten(-3, -2), (6, 4)),
    ],
)
def test_flatten(module, shape):
    x = RNG(0).standard_normal((2, 3, 4))
    np.testing.assert_array_equal(module(x), x.reshape(shape), strict=True)


def test_flatten_of_an_empty_batch_and_of_too_few_axes():
    assert nn.Flatten()(np.zeros((0, 28, 28))).shape == (0, 784)
    with pytest.raises(ValueError, match=r"Flatten\(start_dim=1, end_dim=-1\) got input of shape \(5,\), which lacks"):
        nn.Flatten()(np.zeros(5))
    with pytest.raises(ValueError, match="axis 2 comes after axis 0"):
        nn.Flatten(2, 0)(np.zeros((2, 3, 4)))


@given(generators, st.sampled_from([0.1, 0.5, 0.9]))
def test_dropout_keeps_the_mean(rng, p):
    x = np.full((200, 200), 3.0, np.float32)
    out = nn.Dropout(p, rng)(x)
    zero = out == 0
    np.testing.assert_allclose(out[~zero], np.float32(3 / (1 - p)), rtol=1e-6)
    assert abs(zero.mean() - p) < 6 * np.sqrt(p * (1 - p) / x.size)
    assert out.mean() == pytest.approx(3, abs=18 * np.sqrt(p / (1 - p) / x.size))


def test_dropout_gives_the_gradient_to_what_is_kept():
    x = Tensor(np.ones((30, 30), np.float32))
    out = nn.Dropout(0.4, RNG(0))(x)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad, out.data, strict=True)
    assert (x.grad == 0).any() and (x.grad > 1).any()


def test_dropout_at_the_ends_and_in_evaluation():
    x = RNG(0).standard_normal((3, 4)).astype(np.float32)
    state = manual_seed(0).bit_generator.state
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(0.7).eval()(x) is x
    assert default_generator().bit_generator.state == state
    np.testing.assert_array_equal(nn.Dropout(1.0)(x), np.zeros_like(x), strict=True)
    assert nn.Dropout(0.5)(np.zeros((0, 3), np.float32)).shape == (0, 3)
    np.testing.assert_allclose(nn.Dropout(0.75, RNG(0))(np.ones(1000, np.uint8)).max(), 4.0)


def test_dropout_draws_from_the_librarys_generator_or_its_own():
    x = np.ones(1000, np.float32)
    module = nn.Dropout()
    manual_seed(3)
    first, second = module(x), module(x)
    assert (first != second).any()
    manual_seed(3)
    np.testing.assert_array_equal(module(x), first)
    np.testing.assert_array_equal(nn.Dropout(rng=RNG(3))(x), first)


def test_the_weight_keeps_its_layout():
    linear = nn.Linear(6, 4, rng=RNG(0))
    assert linear.weight.shape == (4, 6)

    def transposed(array):
        return array.T.flags.c_contiguous and not array.flags.c_contiguous

    for optimizer in (optim.SGD(linear.parameters(), momentum=0.9), optim.Adam(linear.parameters())):
        linear.zero_grad()
        linear(np.ones((3, 6), np.float32)).sum().backward()
        assert transposed(linear.weight.grad)
        optimizer.step()
        assert transposed(linear.weight.data)
    linear.load_state_dict(linear.state_dict())
    linear.weight.assign(np.ones((4, 6)))
    for copied in (linear, copy.deepcopy(linear), pickle.loads(pickle.dumps(linear))):
        assert transposed(copied.weight.data)
        assert copied.weight.dtype == np.float32


@pytest.mark.parametrize(
    ("module", "fan_in"), [(nn.Linear(400, 300, rng=RNG(0)), 400), (nn.Conv2d(16, 300, 5, rng=RNG(0)), 400)]
)
def test_the_default_init_is_pytorchs(module, fan_in):
    for p in module.parameters():
        assert 0.98 < np.abs(p.data).max() * np.sqrt(fan_in) <= 1
        assert p.data.std() * np.sqrt(fan_in) == pytest.approx(1 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("kaiming_uniform", (2 / 400) ** 0.5),
        ("kaiming_normal", (2 / 400) ** 0.5),
        ("xavier_uniform", (2 / 700) ** 0.5),
        ("xavier_normal", (2 / 700) ** 0.5),
        ("orthogonal", (1 / 400) ** 0.5),
        (lambda w: nn.init.normal(w, std=0.1, rng=RNG(0)), 0.1),
    ],
)
def test_schemes(scheme, std):
    linear = nn.Linear(400, 300, init=scheme, rng=RNG(0))
    assert linear.weight.data.std() == pytest.approx(std, rel=0.02)
    assert not linear.bias.data.any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Linear(0, 3), "Linear: in_features is 0; it must be an integer of at least 1"),
        (lambda: nn.Linear(2.0, 3), r"Linear: in_features is 2\.0; it must be an integer"),
        (lambda: nn.Linear(2, 3, init="xavier"), "unknown init 'xavier'; known are default, kaiming"),
        (lambda: nn.Maxout(2, 0), "Maxout: out_features is 0"),
        (lambda: nn.Maxout(2, 3, pieces=1.5), r"Maxout: pieces is 1\.5"),
        (lambda: nn.Linear(2, 3, init=["xavier_normal"]), r"unknown init \['xavier_normal'\]"),
        (lambda: nn.Dropout(1.5), "p, the probability to drop an element, is 1.5"),
        (lambda: nn.Dropout(-0.1), "is -0.1; it must be a number, at least 0 and at most 1"),
        (lambda: nn.Dropout(float("nan")), "is nan"),
        (lambda: nn.Dropout("0.5"), "is '0.5'"),
        (lambda: nn.Linear(2, 3, rng=0), "got 0; make one with default_rng"),
        (lambda: nn.Maxout(2, 3, rng=0), "got 0; make one with default_rng"),
        (lambda: nn.Dropout(0.5, rng=0), "got 0; make one with default_rng"),
        (
            lambda: nn.Dropout(0.5, True),
            "rng got True; PyTorch's inplace is left out",
        ),  # PyTorch's second argument is inplace
        (lambda: nn.Linear(2, 3, "orthogonal"), "bias is 'orthogonal'; it must be True or False.* init=..."),
        (lambda: nn.Maxout(2, 3, bias=2), "bias is 2"),
        (lambda: nn.Linear(2, 3, init=lambda w: np.ones(w.shape)), "returned a new ndarray.* fill the weight in place"),
    ],
)
def test_errors(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()


def test_an_initial_function_may_return_the_weight_or_nothing():
    for init in (lambda w: w.assign(2.0), lambda w: nn.init.constant(w, 2.0), lambda w: w.data.fill(2.0)):
        assert (nn.Linear(2, 3, init=init).weight.data == 2).all()


def test_wrong_input_size_says_what_to_do():
    linear = nn.Linear(784, 256)
    expected = r"Linear\(784, 256\) got input of shape \(64, 28, 28\); its last axis must be 784; put Flatten\(\)"
    with pytest.raises(ValueError, match=expected):
        linear(np.zeros((64, 28, 28), np.float32))
    with pytest.raises(ValueError, match=r"\(64, 100\); its last axis must be 784$"):
        linear(np.zeros((64, 100), np.float32))
    with pytest.raises(ValueError, match=r"\(28, 28\); .* of a single example make x\.reshape\(1, -1\)$"):
        linear(np.zeros((28, 28), np.float32))
    with pytest.raises(ValueError, match=r"\(1, 28, 28\); .* put Flatten\(\)"):
        linear(np.zeros((1, 28, 28), np.float32))
    with pytest.raises(ValueError, match=r"shape \(\)"):
        linear(Tensor(1.0))
