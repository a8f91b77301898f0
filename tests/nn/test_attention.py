"""Embedding and MultiheadAttention: shapes, masks, keys, and PyTorch's numbers."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, draw, gradcheck, nn, optim

X = np.random.default_rng(0).normal(size=(3, 2, 8))  # places, batch, length


def attention(*args, **options):
    return nn.MultiheadAttention(*args, rng=np.random.default_rng(1), dtype=np.float64, **options)


def test_keys_and_shapes_are_pytorchs():
    layer = nn.MultiheadAttention(8, 2)
    assert {name: x.shape for name, x in layer.state_dict().items()} == {
        "in_proj_weight": (24, 8), "in_proj_bias": (24,), "out_proj.weight": (8, 8), "out_proj.bias": (8,)
    }  # fmt: skip
    apart = nn.MultiheadAttention(8, 2, kdim=5, vdim=6, bias=False).state_dict()
    shapes = {"q_proj_weight": (8, 8), "k_proj_weight": (8, 5), "v_proj_weight": (8, 6), "out_proj.weight": (8, 8)}
    assert {name: x.shape for name, x in apart.items()} == shapes
    assert not layer.in_proj_bias.data.any() and not layer.out_proj.bias.data.any()
    assert 0.4 < np.abs(layer.in_proj_weight.data).max() < np.sqrt(6 / 32)


def test_axes():
    layer = attention(8, 2)
    out, weights = layer(X, X, X)
    first = attention(8, 2, batch_first=True)
    again, _ = first(*[X.swapaxes(0, 1)] * 3)
    single, alone = layer(*[X[:, 0]] * 3)
    np.testing.assert_allclose(again.data, out.data.swapaxes(0, 1), atol=1e-15)
    np.testing.assert_allclose(single.data, out.data[:, 0], atol=1e-15)
    assert weights.shape == (2, 3, 3) and alone.shape == (3, 3)
    assert layer(X, X, X, average_attn_weights=False)[1].shape == (2, 2, 3, 3)
    assert layer(X, X, X, need_weights=False)[1] is None
    np.testing.assert_allclose(weights.data.sum(-1), 1)


def test_three_inputs_are_what_one_three_times_is():
    layer = attention(8, 2)
    np.testing.assert_allclose(layer(X, X, X)[0].data, layer(X, X.copy(), X.copy())[0].data, atol=1e-14)


MASKS = [
    {},
    {"is_causal": True},
    {"attn_mask": np.random.default_rng(3).normal(size=(3, 3)), "key_padding_mask": np.eye(2, 3)[::-1] > 0},
    {"attn_mask": np.eye(3) * np.nan},
]


@pytest.mark.parametrize("masks", MASKS)
def test_all_heads_at_once_give_what_they_give_in_steps(masks):
    layer, found = attention(8, 2), []
    for need_weights in (False, True):
        x = Tensor(X)
        out, _ = layer(x, x, x, need_weights=need_weights, **masks)
        assert ("self_attention" in ops_of(out)) != need_weights
        (out**2).sum().backward()
        found.append([out.data, x.grad, *[p.grad for p in layer.parameters()]])
        layer.zero_grad()
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-13)


def ops_of(x):
    """The names of the ops that a result came out of."""
    return set() if x._op is None else {x._op.name}.union(*[ops_of(y) for y in x._inputs if isinstance(y, Tensor)])


@pytest.mark.parametrize(
    "masks", [{"attn_mask": Tensor(np.zeros((3, 3)))}, {"key_padding_mask": np.ones((2, 3), bool)}]
)
def test_learned_masks_and_queries_that_look_nowhere_take_steps(masks):
    x, layer = Tensor(X), attention(8, 2)
    out, _ = layer(x, x, x, need_weights=False, **masks)
    assert "self_attention" not in ops_of(out) and np.isfinite(out.data).all()


def test_a_picture_of_a_call_shows_the_steps():
    layer = attention(8, 2)
    graph = draw.call(lambda x: layer(x, x, x, need_weights=False)[0], X)
    assert "softmax" in graph.text() and "self_attention" not in graph.text()


def test_masks_hide_keys_and_the_future():
    layer, hidden = attention(8, 2), np.array([[False, False, True], [False, True, True]])
    _, weights = layer(X, X, X, key_padding_mask=hidden, is_causal=True)
    assert not np.triu(weights.data, 1).any() and not weights.data[:, :, 2][hidden[:, 2]].any()
    assert not weights.data[1, :, 1].any() and (weights.data[0, 1:, 1] > 0).all()
    future = np.triu(np.ones((3, 3), bool), 1)
    np.testing.assert_array_equal(weights.data, layer(X, X, X, hidden, attn_mask=future)[1].data)
    changed = X.copy()
    changed[2] += 1
    before, after = [layer(x, x, x, is_causal=True)[0].data for x in (X, changed)]
    np.testing.assert_allclose(before[:2], after[:2], rtol=1e-12)
    assert (before[2] != after[2]).all()


def test_a_query_that_may_look_nowhere_gets_the_bias():
    layer = attention(8, 2)
    layer.out_proj.bias.assign(np.arange(8.0))
    layer.in_proj_bias.assign(np.ones(24))
    out, weights = layer(X, X, X, key_padding_mask=np.array([[True] * 3, [False] * 3]))
    assert not weights.data[0].any() and np.array_equal(out.data[:, 0], np.tile(np.arange(8.0), (3, 1)))


def test_dropout_in_training_only():
    layer = attention(8, 2, dropout=0.5)
    weights, first, second = layer(X, X, X)[1].data, *[layer(X, X, X, need_weights=False)[0].data for _ in range(2)]
    assert (weights == 0).any() and (first != second).any()
    assert not (layer.eval()(X, X, X)[1].data == 0).any()


def test_gradients():
    layer = attention(4, 2, kdim=3, vdim=5)
    rng = np.random.default_rng(2)
    operands = [rng.normal(size=(3, 2, n)) for n in (4, 3, 5)]
    assert gradcheck(lambda *x: layer(*x, is_causal=True)[0], *operands, order=2)
    assert gradcheck(lambda p: layer(*operands, need_weights=False)[0], layer.in_proj_bias)
    layer = attention(4, 2)
    assert gradcheck(lambda x: layer(x, x, x, need_weights=False, is_causal=True)[0], operands[0], order=2)


WRONG = [
    (lambda: nn.MultiheadAttention(8, 3), ValueError, r"3 heads cannot share embed_dim=8"),
    (lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True), TypeError, "add_bias_kv"),
    (lambda: attention(8, 2)(X[..., :7], X, X), ValueError, r"got a query of shape \(3, 2, 7\); .* must be 8"),
    (lambda: attention(8, 2)(X, X, X[:2]), ValueError, r"shapes \[.*\(2, 2, 8\)\]"),
    (lambda: attention(8, 2)(X, X[:, :1], X[:, :1]), ValueError, "axis 1, the batch, must agree"),
    (lambda: attention(8, 2)(X, X, X, np.ones((3, 2), bool)), ValueError, r"key_padding_mask has shape \(3, 2\)"),
    (lambda: attention(8, 2)(X, X, X, np.ones((2, 3), int)), TypeError, "key_padding_mask is of dtype int64"),
    (lambda: attention(8, 2)(X, X, X, attn_mask=np.ones((2, 3), bool)), ValueError, r"attn_mask has shape \(2, 3\)"),
    (lambda: attention(8, 2)(X, X, X, is_causal="yes"), TypeError, "is_causal is 'yes'"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx is 3; it must be an integer from -3 to 2"),
    (lambda: nn.Embedding(3, 2, max_norm=1.0), TypeError, "max_norm is left out"),
    (lambda: nn.Embedding(3, 2)([[0.5]]), TypeError, "must hold integers"),
    (lambda: nn.Embedding(3, 2)(np.array([3])), ValueError, "has no row 3"),
]


@pytest.mark.parametrize("call, error, message", WRONG)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_embedding_learns_the_rows_it_is_asked_for():
    layer = nn.Embedding(4, 3, padding_idx=0, dtype=np.float64)
    before = layer.weight.numpy()
    assert not before[0].any() and before[1:].any() and layer(np.array([[1, 0]])).shape == (1, 2, 3)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    (layer(np.array([0, 2, 2])) ** 2).sum().backward()
    optimizer.step()
    changed = (layer.weight.data != before).any(axis=1)
    assert changed.tolist() == [False, False, True, False]
    np.testing.assert_allclose(layer.weight.data[2], before[2] * 0.6)
    assert "padding_idx=0" in repr(layer)


@st.composite
def cases(draw):
    """Options of the layer and of a call, and operands for both libraries."""
    flag = st.booleans()
    options = {"bias": draw(flag), "batch_first": draw(flag)}
    if draw(flag):
        options |= {"kdim": 5, "vdim": 6}
    n, places, keys = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    order = (n, places) if options["batch_first"] else (places, n)
    other = (n, keys) if options["batch_first"] else (keys, n)
    lengths = (options.get("kdim", 8), options.get("vdim", 8))
    operands = [rng.normal(size=(*order, 8)), *[rng.normal(size=(*other, length)) for length in lengths]]
    call = {"average_attn_weights": draw(flag)}
    mask = draw(st.sampled_from(["none", "booleans", "numbers", "a head"]))
    if mask == "numbers":
        call["attn_mask"] = rng.normal(size=(places, keys))
    elif mask != "none":
        call["attn_mask"] = rng.random((2 * n, places, keys) if mask == "a head" else (places, keys)) < 0.4
        call["attn_mask"][..., 0] = False
    if draw(flag):
        padding = rng.random((n, keys)) < 0.4
        padding[:, 0] = False
        call["key_padding_mask"] = np.where(padding, -np.inf, 0.0) if mask == "numbers" else padding
    return options, operands, call


@given(case=cases())
@settings(max_examples=25, derandomize=True)
def test_pytorchs_numbers(case):
    torch = pytest.importorskip("torch")
    options, operands, call = case
    ours, theirs = attention(8, 2, **options), torch.nn.MultiheadAttention(8, 2, **options).double()
    theirs.load_state_dict({name: torch.tensor(np.array(x)) for name, x in ours.state_dict().items()}, strict=True)
    ours.load_state_dict({name: x.numpy() for name, x in theirs.state_dict().items()}, strict=True)
    steps = optim.SGD(ours.parameters(), lr=0.1), torch.optim.SGD(theirs.parameters(), lr=0.1)
    there = [torch.tensor(x) for x in operands]
    masks = {name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in call.items()}
    for _ in range(5):
        (out, weights), (expected, shares) = ours(*operands, **call), theirs(*there, **masks)
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(weights.data, shares.detach().numpy(), rtol=1e-9, atol=1e-11)
        for step, loss in zip(steps, ((out**2).sum(), (expected**2).sum()), strict=True):
            step.zero_grad()
            loss.backward()
            step.step()
    for (name, p), (other, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-8, atol=1e-10)


def test_float16_and_float32_keep_their_dtype():
    for dtype in (np.float16, np.float32):
        layer = nn.MultiheadAttention(8, 2, dtype=dtype)
        x = Tensor(X, dtype=dtype)
        out, weights = layer(x, x, x, is_causal=True)
        again, _ = layer(x, x, x, is_causal=True, need_weights=False)
        (out + again).sum().backward()
        np.testing.assert_allclose(again.data, out.data, rtol=1e-3 if dtype is np.float16 else 1e-6, atol=1e-6)
        assert out.dtype == again.dtype == weights.dtype == x.grad.dtype == layer.in_proj_weight.grad.dtype == dtype


def test_float16_beyond_its_largest_score_and_nan_in_a_mask():
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float16)
    x = (400 * np.random.default_rng(0).normal(size=(2, 3, 4))).astype(np.float16)
    out, weights = layer(x, x, x)
    assert out.dtype == weights.dtype == np.float16 and np.isfinite(out.data).all()
    mask = np.where(np.arange(3)[:, None] == 1, np.nan, np.zeros((3, 3)))
    out, weights = layer(x, x, x, attn_mask=mask)
    assert np.isnan(weights.data[:, 1]).all() and np.isfinite(out.data[:, ::2]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, int])
def test_an_embedding_of_a_given_table(dtype):
    table = np.arange(6).reshape(3, 2).astype(dtype)
    layer = nn.Embedding.from_pretrained(table, padding_idx=-1)
    assert layer(np.array([2, 0])).data.tolist() == [[4, 5], [0, 1]] and repr(layer) == "Embedding(3, 2, padding_idx=2)"
    assert not layer.weight.requires_grad and layer.weight.dtype == (np.float32 if dtype is int else dtype)
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    with pytest.raises(ValueError, match=r"Embedding.from_pretrained: embeddings of shape \(2,\)"):
        nn.Embedding.from_pretrained(table[0])
    with pytest.raises(TypeError, match=r"Embedding.from_pretrained: freeze is 1"):
        nn.Embedding.from_pretrained(table, freeze=1)
