import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst
from strategies import spaced
from torch_steps import check_training

from tinygrad_edu import Tensor, gradcheck, nn, no_grad

RNG = np.random.default_rng
batches = st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
rank = st.sampled_from([2, 3, 4])


def batch_norm(ndim, *args, dtype=np.float64, **options):
    """The layer that takes so many axes, with weights that are not 1 and 0."""
    norm = (nn.BatchNorm2d if ndim == 4 else nn.BatchNorm1d)(*args, dtype=dtype, **options)
    for p in norm.parameters():
        nn.init.normal(p, 0.5, rng=RNG(5))
    return norm


def per_channel(values, ndim):
    return values.reshape((1, -1) + (1,) * (ndim - 2))


def normalized(x, mean, var, norm):
    y = (x - per_channel(mean, x.ndim)) / np.sqrt(per_channel(var, x.ndim) + norm.eps)
    return y * per_channel(norm.weight.data, x.ndim) + per_channel(norm.bias.data, x.ndim)


@given(batches, rank, st.sampled_from([0.1, 0.9, 0.0, None]))
def test_batch_norm_formulas(shape, ndim, momentum):
    shape = shape[:ndim]
    norm = batch_norm(ndim, shape[1], momentum=momentum)
    axes, n = (0, *range(2, ndim)), np.prod(shape) // shape[1]
    running_mean, running_var = np.zeros(shape[1]), np.ones(shape[1])
    for k in range(1, 4):
        x = RNG(k).normal(k, k, shape)
        mean, var = x.mean(axes), x.var(axes)
        np.testing.assert_allclose(norm(x).data, normalized(x, mean, var, norm), rtol=1e-9, atol=1e-9)
        share = 1 / k if momentum is None else momentum
        running_mean = (1 - share) * running_mean + share * mean
        running_var = (1 - share) * running_var + share * var * n / (n - 1)
    np.testing.assert_allclose(norm.running_mean, running_mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(norm.running_var, running_var, rtol=1e-12, atol=1e-12)
    assert norm.num_batches_tracked == 3
    out = norm.eval()(x).data
    np.testing.assert_allclose(out, normalized(x, running_mean, running_var, norm), rtol=1e-9, atol=1e-9)


@given(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), npst.array_shapes(max_dims=2, max_side=4))
def test_layer_norm_formula(batch, shape):
    norm = nn.LayerNorm(shape, eps=1e-3, dtype=np.float64)
    for p in norm.parameters():
        nn.init.normal(p, 0.5, rng=RNG(5))
    x, axes = RNG(0).normal(3, 2, (*batch, *shape)), tuple(range(len(batch), len(batch) + len(shape)))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-3)
    np.testing.assert_allclose(norm(x).data, y * norm.weight.data + norm.bias.data, rtol=1e-10, atol=1e-10)


@settings(max_examples=20)
@given(st.data(), rank, st.booleans(), st.booleans(), st.booleans())
def test_batch_norm_gradients(data, ndim, training, affine, track):
    x = data.draw(spaced(batches.map(lambda shape: shape[:ndim])))
    norm = batch_norm(ndim, x.shape[1], affine=affine, track_running_stats=track).train(training)
    assert gradcheck(lambda x, *_: norm(x), x, *norm.parameters(), order=2)


@settings(max_examples=20)
@given(st.data(), npst.array_shapes(max_dims=2, max_side=3), st.booleans(), st.booleans())
def test_layer_norm_gradients(data, shape, affine, bias):
    norm = nn.LayerNorm(shape, elementwise_affine=affine, bias=bias, dtype=np.float64)
    x = data.draw(spaced(npst.array_shapes(max_dims=1, max_side=3).map(lambda batch: (*batch, *shape))))
    assert gradcheck(lambda x, *_: norm(x), x, *norm.parameters(), order=2)


def test_gradients_flow_through_the_statistics():
    x = Tensor(RNG(0).standard_normal((5, 3)))
    nn.BatchNorm1d(3, affine=False)(x).sum().backward()  # a sum that is 0 whatever x is
    np.testing.assert_allclose(x.grad, 0, atol=1e-12)
    constant = Tensor(x.numpy())
    ((constant - x.data.mean(0)) / x.data.std(0)).sum().backward()
    assert np.abs(constant.grad).min() > 0.5


@pytest.mark.parametrize("offset", [1e3, 1e4, -1e5])
def test_a_large_mean_costs_no_more_digits_than_float32_has(offset):
    x = (RNG(0).standard_normal((256, 4)) + offset).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    tolerance = 10 * float(np.spacing(np.float32(abs(offset))))
    norm = nn.BatchNorm1d(4, momentum=1.0)
    out = norm(x)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.data, exact, atol=tolerance)
    np.testing.assert_allclose(norm.eval()(x).data, exact * np.sqrt(255 / 256), atol=tolerance)
    np.testing.assert_allclose(norm.running_var, x.astype(np.float64).var(0, ddof=1), rtol=tolerance)
    np.testing.assert_allclose(nn.LayerNorm(256)(x.T).data, exact.T, atol=tolerance)
    naive = (x * x).mean(0) - x.mean(0) ** 2  # what the layers must not do
    assert offset == 1e3 or np.abs(naive - 1).max() > 0.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "make", [lambda **o: nn.BatchNorm1d(3, momentum=1.0, **o), lambda **o: nn.LayerNorm(3, **o)], ids=["batch", "layer"]
)
def test_float16_beyond_the_root_of_its_largest_number(make, dtype):
    norm, exact = make(dtype=dtype), make(dtype=np.float64)
    values = (3000 * RNG(0).standard_normal((6, 3))).astype(np.float16)
    x, wide, weights = Tensor(values), Tensor(values.astype(np.float64)), RNG(1).uniform(-1e3, 1e3, (6, 3))
    for mode in (True, False):
        out, expected = norm.train(mode)(x), exact.train(mode)(wide)
        assert out.dtype == dtype
        np.testing.assert_allclose(out.data, expected.data, rtol=2e-3, atol=2e-3)
        x.grad = wide.grad = None
        out.backward(weights.astype(dtype)), expected.backward(weights)
        assert x.grad.dtype == np.float16
        np.testing.assert_allclose(x.grad, wide.grad, rtol=5e-3, atol=2e-3)
    for a, b in zip(norm.buffers(), exact.buffers(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    with pytest.raises(ValueError, match="shape"):
        norm(values[:, :2])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 7, 10, 100, 784])
@pytest.mark.parametrize("value", [1e5, -1e5 / 3, 1e15 / 3])
def test_equal_elements_give_0(value, n, dtype):
    x = np.full((n, 3), np.clip(value, -6e4, 6e4) if dtype == np.float16 else value, dtype)
    norms = [nn.BatchNorm1d(3, dtype=dtype, momentum=1.0), nn.LayerNorm(n, dtype=dtype)]
    for norm, rows in zip(norms, (x, x.T), strict=True):
        rows = Tensor(rows)
        out = norm(rows)
        np.testing.assert_array_equal(out.data, 0)
        out.sum().backward()
        np.testing.assert_allclose(rows.grad, 0, atol=0.01)  # of slopes up to 316
    np.testing.assert_array_equal(norms[0].running_mean, x[0])
    np.testing.assert_array_equal(norms[0].running_var, 0)
    np.testing.assert_array_equal(norms[0].eval()(x).data, 0)


@pytest.mark.parametrize("offset", [0, 1e5, -1e6])
def test_small_deviations_from_a_large_mean_keep_their_digits(offset):
    x = (offset + RNG(0).standard_normal((64, 5))).astype(np.float32)
    exact = x.astype(np.float64) - x.astype(np.float64).mean(0)
    exact /= np.sqrt((exact**2).mean(0) + 1e-5)
    norm = nn.BatchNorm1d(5, momentum=1.0)
    np.testing.assert_allclose(norm(x).data, exact, atol=2e-6)
    np.testing.assert_allclose(nn.LayerNorm(64)(x.T).data.T, exact, atol=2e-6)
    np.testing.assert_allclose(norm.running_mean, x.astype(np.float64).mean(0), rtol=1e-7, atol=1e-7)


def test_unsigned_integers_do_not_wrap_around():
    x = RNG(0).integers(0, 256, (6, 3)).astype(np.uint8)
    for norm in (nn.BatchNorm1d(3), nn.LayerNorm(3)):
        np.testing.assert_allclose(norm(x).data, norm(x.astype(float)).data, rtol=1e-6)


def test_buffers_are_updated_in_place_and_hold_no_graph():
    norm = nn.BatchNorm1d(2)
    buffers = dict(norm.named_buffers())
    assert list(norm.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    for _ in range(2):
        norm(Tensor(RNG(0).standard_normal((4, 2)).astype(np.float32)))
    for name, array in norm.named_buffers():
        assert type(array) is np.ndarray and array is buffers[name]
    assert norm.num_batches_tracked.shape == () and norm.num_batches_tracked.dtype == np.int64
    assert norm.num_batches_tracked == 2


def test_a_forward_in_no_grad_tracks_too_and_one_in_evaluation_does_not():
    norm, x = nn.BatchNorm2d(2), RNG(0).standard_normal((4, 2, 3, 3)).astype(np.float32)
    with no_grad():
        norm(x)
    state = norm.state_dict()
    assert state["num_batches_tracked"] == 1 and state["running_mean"].any()
    norm.eval()(Tensor(x)).sum().backward()
    for key, value in norm.state_dict().items():
        np.testing.assert_array_equal(value, state[key])


def test_backward_works_after_a_later_batch_was_tracked():
    norm, x = batch_norm(2, 3).eval(), Tensor(RNG(0).standard_normal((4, 3)))
    norm(x).sum().backward()
    expected, x.grad = x.grad, None
    out = norm(x).sum()
    norm.train()(RNG(1).standard_normal((4, 3)))
    out.backward()
    np.testing.assert_array_equal(x.grad, expected)


def test_in_evaluation_an_example_does_not_depend_on_its_neighbours():
    norm, x = nn.BatchNorm1d(3), RNG(0).standard_normal((8, 3)).astype(np.float32)
    together = norm(x).data
    assert np.abs(norm(x[:2]).data - together[:2]).max() > 0.1
    together = norm.eval()(x).data
    np.testing.assert_array_equal(norm(x[:1]).data, together[:1])
    assert norm(x[:0]).shape == (0, 3)


def test_a_constant_channel_gives_the_bias_and_finite_gradients():
    norm, x = nn.BatchNorm1d(1), Tensor(np.full((4, 1), 3.0, np.float32))
    norm.bias.assign(2.0)
    out = norm(x)
    out.backward(np.arange(4.0).reshape(4, 1))
    np.testing.assert_array_equal(out.data, 2.0)
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("options", "ndim"),
    [
        ({}, 2),
        ({"momentum": None}, 3),
        ({"affine": False, "eps": 0.1}, 4),
        ({"track_running_stats": False}, 2),
        ({"momentum": 0.7}, 4),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_agrees_with_pytorch_after_several_batches(options, ndim, training):
    torch = pytest.importorskip("torch")
    ours = batch_norm(ndim, 3, dtype=np.float32, **options)
    theirs = getattr(torch.nn, type(ours).__name__)(3, **options)
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()}, strict=True)
    for k in range(4):
        if k == 3:
            ours.train(training), theirs.train(training)
        x = RNG(k).normal(k, 1 + k, (6, 3, 4, 5)[:ndim]).astype(np.float32)
        a, b = Tensor(x), torch.from_numpy(x).requires_grad_()
        out, expected = ours(a), theirs(b)
        ours.zero_grad(), theirs.zero_grad()
        upstream = RNG(k).standard_normal(x.shape).astype(np.float32)
        out.backward(upstream), expected.backward(torch.from_numpy(upstream))
        np.testing.assert_allclose(out.data, expected.detach(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-4, atol=1e-5)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4)
    state = theirs.state_dict()
    assert list(state) == list(ours.state_dict())
    for key, value in ours.state_dict().items():
        np.testing.assert_allclose(value, state[key], rtol=1e-5, atol=1e-6)
    assert ours.load_state_dict(state) == ([], [])


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        *[("LayerNorm", (shape,), options) for shape in (5, (4, 5), [4, 5])
          for options in ({}, {"bias": False}, {"elementwise_affine": False, "eps": 0.1})],
        ("RMSNorm", (5,), {}), ("RMSNorm", ((4, 5), 0.1), {}), ("RMSNorm", ([5], None, False), {}),
        ("GroupNorm", (2, 4), {}), ("GroupNorm", (4, 4, 0.1), {"bias": False}), ("GroupNorm", (1, 4, 1e-3, False), {}),
    ],
)  # fmt: skip
def test_twenty_steps_are_pytorchs(name, args, options):
    torch = pytest.importorskip("torch")
    ours = getattr(nn, name)(*args, **options, dtype=np.float64)
    for p in ours.parameters():
        nn.init.normal(p, 0.5, rng=RNG(1))
    x = RNG(0).normal(2, 3, (2, 4, 5))
    upstream = RNG(2).standard_normal(x.shape)

    def weighted(m, norm, constant):
        class Weighted(m.Module):  # the mean of squares alone is the same whatever the direction
            def __init__(self):
                super().__init__()
                self.norm = norm

            def forward(self, x):
                return self.norm(x) + constant

        return Weighted()

    theirs = getattr(torch.nn, name)(*args, **options)
    check_training(weighted(nn, ours, upstream), weighted(torch.nn, theirs, torch.tensor(upstream)), x)


def test_eps_is_added_to_the_variance():
    x = RNG(0).standard_normal((2, 4))
    for norm in (nn.LayerNorm(4, 10.0), nn.RMSNorm(4, 10.0), nn.GroupNorm(1, 4, 10.0)):
        y = x if isinstance(norm, nn.RMSNorm) else x - x.mean(1, keepdims=True)
        expected = y / np.sqrt((y**2).mean(1, keepdims=True) + 10)
        np.testing.assert_allclose(norm(x).data, expected, rtol=1e-6)


def test_what_a_layer_shows_and_keeps():
    assert repr(nn.RMSNorm(4)) == "RMSNorm((4,), eps=None, elementwise_affine=True)"
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"
    assert list(nn.RMSNorm((2, 3)).state_dict()) == ["weight"] and nn.RMSNorm((2, 3)).weight.shape == (2, 3)
    assert list(nn.GroupNorm(2, 4).state_dict()) == ["weight", "bias"]
    assert list(nn.GroupNorm(2, 4, bias=False).state_dict()) == ["weight"]
    assert list(nn.GroupNorm(2, 4, affine=False).state_dict()) == list(nn.RMSNorm(2, None, False).state_dict()) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.BatchNorm1d(0), "BatchNorm1d: num_features is 0; it must be an integer of at least 1"),
        (lambda: nn.BatchNorm2d(2.0), "BatchNorm2d: num_features is 2.0"),
        (lambda: nn.BatchNorm1d(3, eps=-1), "BatchNorm1d: eps is -1; it must be a number, at least 0 and finite"),
        (lambda: nn.BatchNorm2d(3, eps=np.nan), "BatchNorm2d: eps is nan"),
        (lambda: nn.BatchNorm2d(3, momentum=5), "BatchNorm2d: momentum is 5; it must be a number, at least 0 and at"),
        (lambda: nn.BatchNorm1d(3, momentum=-0.1), "momentum is -0.1"),
        (lambda: nn.BatchNorm1d(3, momentum="0.1"), "momentum is '0.1'"),
        (lambda: nn.RMSNorm(3, eps=-1e-5), "RMSNorm: eps is -1e-05"),
        (lambda: nn.RMSNorm(0), "RMSNorm: normalized_shape is 0"),
        (lambda: nn.RMSNorm(5)(np.ones((5, 4))), r"RMSNorm\(\(5,\)\) got input of shape \(5, 4\); its last axes"),
        (lambda: nn.GroupNorm(3, 4), "num_channels is 4 and num_groups 3; all groups must have equally many channels"),
        (lambda: nn.GroupNorm(0, 4), "GroupNorm: num_groups is 0"),
        (lambda: nn.GroupNorm(1, 4, -1), "GroupNorm: eps is -1"),
        (
            lambda: nn.GroupNorm(2, 4)(np.ones((3, 6))),
            r"GroupNorm\(2, 4\) got input of shape \(3, 6\); it must be \(n, 4,",
        ),
        (lambda: nn.GroupNorm(2, 4)(np.ones((3, 6, 4))), "move the channels to axis 1"),
        (lambda: nn.LayerNorm(3, eps=-1e-5), "LayerNorm: eps is -1e-05"),
        (lambda: nn.LayerNorm(0), r"normalized_shape is 0; it must be an integer of at least 1"),
        (lambda: nn.LayerNorm(()), r"normalized_shape is \(\)"),
        (lambda: nn.LayerNorm((2, 0.5)), r"normalized_shape is 0.5; it must be"),
        (lambda: nn.LayerNorm("5"), r"normalized_shape is '5'"),
        (lambda: nn.LayerNorm(5)(np.ones((5, 4))), r"LayerNorm\(\(5,\)\) got input of shape \(5, 4\); its last axes"),
        (lambda: nn.LayerNorm((2, 5))(np.ones(5)), r"got input of shape \(5,\)"),
        (
            lambda: nn.BatchNorm1d(3)(np.ones(3)),
            r"takes inputs of shape \(n, c\) or \(n, c, l\), not \(3,\); of a single example make x\[None\]$",
        ),
        (lambda: nn.BatchNorm1d(3)(np.ones((2, 3, 4, 4))), r"\(n, c, l\), not \(2, 3, 4, 4\); that fits BatchNorm2d$"),
        (lambda: nn.BatchNorm2d(1)(np.ones((9, 28, 28))), r"\(n, c, h, w\), not .* add a channel axis: x\[:, None\]"),
        (lambda: nn.BatchNorm1d(3)(np.ones((2, 4))), r"shape \(2, 4\); axis 1, the channels, must have length 3$"),
        (lambda: nn.BatchNorm2d(3)(np.ones((9, 28, 28, 3))), "length 3; move the channels"),
        (lambda: nn.BatchNorm1d(3)(np.ones((1, 3))), r"shape \(1, 3\): a variance needs .* model.eval\(\) to predict"),
        (lambda: nn.BatchNorm2d(3)(np.ones((1, 3, 1, 1))), "at least two values"),
        (lambda: nn.BatchNorm1d(3)(np.ones((0, 3))), "at least two values"),
        (lambda: nn.BatchNorm1d(3, track_running_stats=False).eval()(np.ones((1, 3))), "keep track_running"),
    ],
)
def test_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_refused_batch_leaves_the_running_statistics_alone():
    norm = nn.BatchNorm1d(3)
    before = norm.state_dict()
    with pytest.raises(ValueError, match="two values"):
        norm(np.ones((1, 3), np.float32))
    for key, value in norm.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
