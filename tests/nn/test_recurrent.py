import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, gradcheck, nn, no_grad, optim

RNG = np.random.default_rng
KINDS = ["RNN", "GRU", "LSTM"]
LAYERS = [lambda **o: nn.RNN(3, 4, **o), lambda **o: nn.GRU(3, 4, **o), lambda **o: nn.LSTM(3, 4, **o)]


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def grouped(states):
    """The states as a layer or a cell takes them."""
    return states[0] if len(states) == 1 else tuple(states)


def assert_equal(ours, theirs):
    np.testing.assert_allclose(getattr(ours, "data", ours), theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


def twins(kind, *sizes, **options):
    """A module of ours and of PyTorch's in float64, with the same weights."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind)(*sizes, **options, dtype=torch.float64)
    ours = getattr(nn, kind)(*sizes, **options, dtype=np.float64)
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in ours.state_dict().items()}, strict=True)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert ours.load_state_dict(theirs.state_dict(), strict=True) == ([], [])
    assert repr(ours) == repr(theirs) or "nonlinearity" in repr(ours)
    return ours, theirs


def compare(ours, theirs, x, states):
    """Compares outputs, states and all gradients for the input and the states, arrays or None."""
    torch = pytest.importorskip("torch")
    inputs = [x, *(states or ())]
    a, b = [Tensor(v) for v in inputs], [torch.from_numpy(v).requires_grad_() for v in inputs]
    found, expected = [m(v[0], grouped(v[1:]) if states else None) for m, v in ((ours, a), (theirs, b))]
    found, expected = [[*as_tuple(r)] if not isinstance(r, tuple) else list(r) for r in (found, expected)]
    found, expected = [[t for r in results for t in as_tuple(r)] for results in (found, expected)]
    loss, their_loss = 0.0, 0.0
    for i, (mine, other) in enumerate(zip(found, expected, strict=True)):
        assert_equal(mine, other)
        upstream = RNG(i).normal(size=mine.shape)
        loss, their_loss = loss + (mine * upstream).sum(), their_loss + (other * torch.from_numpy(upstream)).sum()
    loss.backward(), their_loss.backward()
    for mine, other in zip([*a, *ours.parameters()], [*b, *theirs.parameters()], strict=True):
        assert_equal(mine.grad, other.grad)


@settings(max_examples=16)
@given(
    kind=st.sampled_from(["RNN", "relu", "GRU", "LSTM"]),
    layers=st.integers(1, 3),
    flags=st.fixed_dictionaries({"bias": st.booleans(), "batch_first": st.booleans(), "bidirectional": st.booleans()}),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    batched=st.booleans(),
    starts=st.booleans(),
)
def test_layers_are_pytorchs(kind, layers, flags, shape, batched, starts):
    options = {"num_layers": layers, **flags} | ({"nonlinearity": "relu"} if kind == "relu" else {})
    ours, theirs = twins("RNN" if kind == "relu" else kind, 3, 4, **options)
    shape = shape if batched else shape[:1]
    batch = shape[1:] if not flags["batch_first"] else shape[:1] if batched else ()
    depth = layers * (2 if flags["bidirectional"] else 1)
    states = [RNG(i).normal(size=(depth, *batch, 4)) for i in range(ours.states)] if starts else None
    compare(ours, theirs, RNG(9).normal(size=(*shape, 3)), states)


@settings(max_examples=12)
@given(st.sampled_from(KINDS), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["tanh", "relu"]))
def test_cells_are_pytorchs(kind, bias, batched, starts, nonlinearity):
    options = {"bias": bias} | ({"nonlinearity": nonlinearity} if kind == "RNN" else {})
    ours, theirs = twins(f"{kind}Cell", 3, 4, **options)
    batch = (2,) if batched else ()
    states = [RNG(i).normal(size=(*batch, 4)) for i in range(ours.states)] if starts else None
    compare(ours, theirs, RNG(9).normal(size=(*batch, 3)), states)


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_training_steps_on_pieces_of_a_sequence_are_pytorchs(kind):
    torch = pytest.importorskip("torch")
    ours, theirs = twins(kind, 3, 4, num_layers=2)
    ours_by, theirs_by = optim.Adam(ours.parameters(), lr=0.02), torch.optim.Adam(theirs.parameters(), lr=0.02)
    x, target = RNG(0).normal(size=(2, 100, 2, 3))
    target = np.cumsum(target, axis=0)[..., :1] / 10
    a = b = None
    losses = []
    for piece in range(0, 100, 5):
        part = slice(piece, piece + 5)
        out, a = ours(x[part], a)
        expected, b = theirs(torch.from_numpy(x[part]), b)
        loss, their_loss = ((out - target[part]) ** 2).mean(), ((expected - torch.from_numpy(target[part])) ** 2).mean()
        for optimizer, value in ((ours_by, loss), (theirs_by, their_loss)):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        a, b = [grouped([state.detach() for state in as_tuple(states)]) for states in (a, b)]
        losses.append(loss.item())
        assert loss.item() == pytest.approx(their_loss.item(), rel=1e-9)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.data, other.detach(), rtol=1e-7, atol=1e-9)
    assert len(set(losses)) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_between_layers_and_in_training_only(kind):
    ours, theirs = twins(kind, 3, 4, num_layers=2, dropout=1.0)
    x = RNG(0).normal(size=(5, 2, 3))
    compare(ours, theirs, x, None)
    ours.eval(), theirs.eval()
    ours.zero_grad(), theirs.zero_grad()
    compare(ours, theirs, x, None)


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
def test_dropout_draws_from_the_generator_given(make):
    x = RNG(0).normal(size=(5, 2, 3))
    first, second = [make(num_layers=3, dropout=0.5, rng=RNG(1))(x)[0].data for _ in range(2)]
    np.testing.assert_array_equal(first, second)
    layer = make(num_layers=3, dropout=0.5, rng=RNG(1))
    assert (layer(x)[0].data != layer(x)[0].data).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].data, layer(x)[0].data)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_by_hand(a, b, h):
    return (np.tanh(a + b),)


def gru_by_hand(a, b, h):
    (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
    n, z = np.tanh(an + sigmoid(ar + br) * bn), sigmoid(az + bz)
    return ((1 - z) * n + z * h[0],)


def lstm_by_hand(a, b, h):
    i, f, g, o = np.split(a + b, 4)
    c = sigmoid(f) * h[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


@pytest.mark.parametrize(("kind", "formula"), [("RNN", rnn_by_hand), ("GRU", gru_by_hand), ("LSTM", lstm_by_hand)])
def test_a_step_follows_the_formula(kind, formula):
    cell = getattr(nn, f"{kind}Cell")(3, 4, dtype=np.float64, rng=RNG(0))
    w_ih, w_hh, b_ih, b_hh = [p.data for p in cell.parameters()]
    states = RNG(1).normal(size=(cell.states, 4))
    for x in RNG(2).normal(size=(3, 3)):
        expected = formula(w_ih @ x + b_ih, w_hh @ states[0] + b_hh, states)
        found = as_tuple(cell(x, grouped(states)))
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine.data, other, rtol=1e-12)
        states = expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_applies_its_cell_at_every_time(kind):
    layer, cell = getattr(nn, kind)(3, 4, dtype=np.float64), getattr(nn, f"{kind}Cell")(3, 4, dtype=np.float64)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()}, strict=True)
    x = RNG(0).normal(size=(20, 2, 3))
    out, last = layer(x)
    state = None
    for t in range(20):
        state = cell(x[t], state)
        np.testing.assert_allclose(as_tuple(state)[0].data, out[t].data, rtol=1e-12)
    for mine, other in zip(as_tuple(last), as_tuple(state), strict=True):
        np.testing.assert_allclose(mine[0].data, other.data, rtol=1e-12)


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
def test_orders_of_axes_and_directions(make):
    layer, x = make(num_layers=2, bidirectional=True, dtype=np.float64), RNG(0).normal(size=(5, 2, 3))
    out, last = layer(x)
    assert out.shape == (5, 2, 8) and {state.shape for state in as_tuple(last)} == {(4, 2, 4)}
    layer.batch_first = True
    turned, again = layer(np.swapaxes(x, 0, 1))
    np.testing.assert_array_equal(np.swapaxes(turned.data, 0, 1), out.data)
    one, single = layer(x[:, 1])
    np.testing.assert_allclose(one.data, out.data[:, 1], rtol=1e-12)
    for a, b, c in zip(*map(as_tuple, (last, again, single)), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        np.testing.assert_allclose(a.data[:, 1], c.data, rtol=1e-12)
    forwards, backwards = make(dtype=np.float64), make(bidirectional=True, dtype=np.float64)
    state = {key.removesuffix("_reverse"): v for key, v in backwards.state_dict().items() if "reverse" in key}
    forwards.load_state_dict(state)
    np.testing.assert_allclose(forwards(x[::-1])[0].data[::-1], backwards(x)[0].data[..., 4:], rtol=1e-12)


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
def test_gradients_against_differences(make):
    layer, x = make(num_layers=2, bidirectional=True, dtype=np.float64, rng=RNG(0)), RNG(1).normal(size=(2, 2, 3))
    starts = [RNG(2 + i).normal(size=(4, 2, 4)) for i in range(layer.states)]

    def f(x, *states):
        out, last = layer(x, grouped(states[: layer.states]))
        return out.sum() + sum([(state**2).sum() for state in as_tuple(last)])

    assert gradcheck(f, x, *starts, layer.weight_hh_l0, layer.bias_ih_l1_reverse)


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
def test_gradients_of_gradients(make):
    layer = make(dtype=np.float64, rng=RNG(0))
    assert gradcheck(lambda x, *_: layer(x)[0], RNG(1).normal(size=(2, 1, 3)), layer.bias_hh_l0, order=2)


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
def test_detached_states_let_no_gradient_through(make):
    layer, x = make(dtype=np.float64), [Tensor(part) for part in RNG(0).normal(size=(2, 3, 1, 3))]
    _, state = layer(x[0])
    layer(x[1], state)[0].sum().backward()
    assert x[0].grad.any() and x[1].grad.any()
    x[0].grad, through = None, x[1].grad
    x[1].grad = None
    layer(x[1], grouped([part.detach() for part in as_tuple(state)]))[0].sum().backward()
    assert x[0].grad is None
    np.testing.assert_array_equal(x[1].grad, through)


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int64, bool])
def test_dtypes_change_nothing_but_the_rounding(make, dtype):
    wide = make(dtype=np.float64, rng=RNG(0))
    floating = np.dtype(dtype).kind == "f"
    narrow = make(dtype=dtype if floating else np.float32)
    narrow.load_state_dict({key: value.astype(narrow.weight_ih_l0.dtype) for key, value in wide.state_dict().items()})
    x = RNG(1).integers(0, 9, size=(40, 3, 3)).astype(dtype)
    (out, state), (expected, _) = narrow(x), wide(x.astype(np.float64))
    np.testing.assert_allclose(out.data, expected.data, atol=0.02 if dtype == np.float16 else 1e-5)
    assert {part.dtype for part in as_tuple(state)} == {out.dtype}
    out.mean().backward()
    assert all(p.grad.dtype == p.dtype and np.isfinite(p.grad).all() for p in narrow.parameters())
    if floating:
        assert out.dtype == dtype and narrow(x, state)[0].dtype == dtype


@pytest.mark.parametrize("make", LAYERS, ids=KINDS)
def test_a_gradient_in_float16_loses_no_count(make):
    layer, x = make(dtype=np.float16), np.zeros((1, 5000, 3), np.float16)
    for p in layer.parameters():
        p.assign(0)
    wide = make(dtype=np.float64)
    wide.load_state_dict(layer.state_dict())
    layer(x)[0].sum().backward(), wide(x)[0].sum().backward()
    for p, q in zip(layer.parameters(), wide.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-3)


def test_weights_begin_uniform_and_repeat_with_a_seed():
    layer, again = [nn.LSTM(20, 100, num_layers=2, rng=RNG(3)) for _ in range(2)]
    for p, q in zip(layer.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        assert 0.095 < np.abs(p.data).max() <= 0.1 and abs(p.data.mean()) < 0.01 and p.dtype == np.float32
    assert [name for name, _ in layer.named_parameters()] == [
        f"{kind}_l{i}" for i in (0, 1) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert layer.weight_ih_l0.data.T.flags.c_contiguous and layer.weight_hh_l1.name == "weight_hh_l1"
    assert list(nn.GRU(2, 3, bidirectional=True, bias=False).state_dict()) == [
        "weight_ih_l0", "weight_hh_l0", "weight_ih_l0_reverse", "weight_hh_l0_reverse",
    ]  # fmt: skip
    assert {key: value.shape for key, value in nn.GRUCell(2, 3).state_dict().items()} == {
        "weight_ih": (9, 2), "weight_hh": (9, 3), "bias_ih": (9,), "bias_hh": (9,),
    }  # fmt: skip


class Net(nn.Module):
    def __init__(self):
        self.memory, self.head = nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.memory(x)[0][:, -1])


def test_copies_tables_and_pictures():
    net, x = Net(), RNG(0).normal(size=(4, 3, 2)).astype(np.float32)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin(x).data, net(x).data)
    table = net.summary((7, 2))
    assert "(7, 3), (1, 3), (1, 3)" in table and "LSTM" in table and f"{4 * 3 * (2 + 3 + 2) + 4:,} parameters" in table
    text = net.graph(x).text()
    assert text.count("tanh") >= 6 and "weight_hh_l0" in text  # two in each of three steps


def test_without_recording_there_is_no_graph():
    with no_grad():
        out, (h, c) = nn.LSTM(2, 3)(np.ones((3, 1, 2), np.float32))
    assert out.is_leaf and h.is_leaf and c.is_leaf


def test_an_lstm_learns_to_repeat_what_came_first():
    rng, layer, head = RNG(0), nn.LSTM(1, 8, rng=RNG(1)), nn.Linear(8, 1, rng=RNG(2))
    optimizer = optim.Adam([*layer.parameters(), *head.parameters()], lr=0.05)
    for _ in range(60):
        bits = rng.integers(0, 2, 32).astype(np.float32)
        x = np.zeros((6, 32, 1), np.float32)
        x[0, :, 0] = 2 * bits - 1
        loss = nn.BCEWithLogitsLoss()(head(layer(x)[0][-1])[:, 0], bits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


X = np.ones((5, 2, 3), np.float32)
H = np.ones((1, 2, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.RNN(3, 4)(X[..., :2]), ValueError, r"RNN\(3, 4\) got input of shape \(5, 2, 2\); it takes \(time"),
        (lambda: nn.GRU(3, 4, batch_first=True)(X[0, 0]), ValueError, r"GRU.* \(3,\); it takes \(n, time, 3\) or"),
        (lambda: nn.LSTM(3, 4)(np.ones((5, 2), int)), ValueError, "send indices through an Embedding first"),
        (lambda: nn.RNN(3, 4)(X[:0]), ValueError, r"\(0, 2, 3\): a sequence needs at least one step"),
        (lambda: nn.RNN(3, 4)(X, H[0]), ValueError, r"RNN: hx has shape \(2, 4\); it must be h of shape \(1, 2, 4\)"),
        (lambda: nn.LSTM(3, 4)(X, H), TypeError, r"hx is a ndarray of shape \(1, 2, 4\); it must be a pair \(h, c\)"),
        (lambda: nn.LSTM(3, 4)(X, (H,)), TypeError, r"LSTM: hx is a tuple of 1; it must be a pair \(h, c\), each"),
        (lambda: nn.LSTM(3, 4)(X, (H, H[:, :1])), ValueError, r"\(1, 1, 4\); it must be a pair .* shape \(1, 2, 4\)"),
        (lambda: nn.GRU(3, 4, 2)(X, H), ValueError, r"GRU: hx has shape \(1, 2, 4\); .* \(2, 2, 4\)"),
        (lambda: nn.RNN(3, 4)(X, (H,)), ValueError, r"hx has shape \(1, 1, 2, 4\)"),
        (lambda: nn.LSTMCell(3, 4)(X), ValueError, r"LSTMCell\(3, 4\) got input of shape \(5, 2, 3\); .* one step"),
        (lambda: nn.LSTMCell(3, 4)(X[0], H[0]), TypeError, r"LSTMCell: hx is a ndarray"),
        (lambda: nn.GRUCell(3, 4)(X[0], H), ValueError, r"GRUCell: hx has shape .* h of shape \(2, 4\)"),
        (lambda: nn.RNN(3, 4, dropout=0.5), ValueError, "RNN: dropout=0.5 is between layers, and there is one; raise"),
        (lambda: nn.RNN(3, 4, 2, "sigmoid"), ValueError, "RNN: nonlinearity is 'sigmoid'; it must be 'tanh' or 'relu'"),
        (lambda: nn.LSTM(3, 4, proj_size=2), TypeError, r"PyTorch's proj_size is left out: .*Linear\(hidden_size, n\)"),
        (lambda: nn.GRU(3, 4, device="cpu"), TypeError, "PyTorch's device is left out"),
        (lambda: nn.GRU(3, 4, nonlinearity="relu"), TypeError, r"GRU\(\) .*'nonlinearity'; its arguments are"),
        (lambda: nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2))(X), TypeError, r"results: outputs, states = lstm\(x\)"),
        (lambda: nn.MSELoss()(nn.GRU(3, 4)(X), X), TypeError, r"one of several results: outputs, states = lstm\(x\)"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
