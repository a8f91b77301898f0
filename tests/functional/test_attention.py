"""Attention, embedding and dropout as functions; their values and derivatives are walked in tests/ops."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, functional as F, manual_seed
from tinygrad_edu.functional.attention import attention_weights

RNG = np.random.default_rng(0)
Q, K, V = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4)), RNG.normal(size=(2, 5, 6))


def test_weights_are_shares_and_the_mask_leaves_nothing_to_the_future():
    weights = attention_weights("name", Tensor(Q), Q, None, True).data
    np.testing.assert_allclose(weights.sum(-1), 1)
    assert not np.triu(weights, 1).any() and (weights[:, 2] > 0).all()


def test_a_query_that_may_look_nowhere_gets_nothing_and_passes_nothing_back():
    query, mask = Tensor(Q), np.ones((3, 5), bool)
    mask[1] = False
    out = F.scaled_dot_product_attention(query, K, V, mask)
    out.sum().backward()
    assert not out.data[:, 1].any() and not query.grad[:, 1].any() and query.grad[:, 0].all()
    np.testing.assert_array_equal(out.data, F.scaled_dot_product_attention(Q, K, V, np.where(mask, 0.0, -np.inf)))


def test_a_learned_bias_gets_a_gradient():
    bias = Tensor(np.zeros((3, 5)))
    (F.scaled_dot_product_attention(Q, K, V, bias) ** 2).sum().backward()
    assert bias.grad.all() and np.allclose(bias.grad.sum(-1), 0)


def test_dropout_drops_weights():
    manual_seed(0)
    whole = F.scaled_dot_product_attention(Q, K, np.eye(5)[None])
    some = F.scaled_dot_product_attention(Q, K, np.eye(5)[None], dropout_p=0.5)
    kept = some != 0
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(some[kept], 2 * whole[kept])
    again = [F.scaled_dot_product_attention(Q, K, V, dropout_p=0.5, rng=np.random.default_rng(1)) for _ in range(2)]
    np.testing.assert_array_equal(*again)


WRONG = [
    (lambda: F.scaled_dot_product_attention(Q, K[..., :3], V), ValueError, r"queries \(2, 3, 4\) and keys \(2, 5, 3\)"),
    (lambda: F.scaled_dot_product_attention(Q, K, V[:, :4]), ValueError, r"values of shape \(2, 4, 6\) for 5 keys"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, np.ones((5, 3), bool)), ValueError, r"a mask of shape \(5, 3\)"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, np.ones((3, 5), int)), TypeError, "a mask of dtype int64"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, np.ones((3, 5), bool), is_causal=True), ValueError, "got both"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, is_causal=1), TypeError, "is_causal is 1; it must be True or"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, dropout_p=1.5), ValueError, r"dropout: p.* is 1.5"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, scale=np.nan), ValueError, "scale is nan"),
    (lambda: F.scaled_dot_product_attention(Q, K, V, enable_gqa=True), TypeError, "enable_gqa is left out: repeat"),
    (lambda: F.embedding([0.5], np.eye(3)), TypeError, "input is of dtype float64; it must hold integers"),
    (lambda: F.embedding(Tensor([1.0]), np.eye(3)), TypeError, "a Tensor holds floats, pass the integers as an array"),
    (lambda: F.embedding([0, 3], np.eye(3)), ValueError, r"weight of shape \(3, 3\) has no row 3; rows are 0 to 2"),
    (lambda: F.embedding([-1], np.eye(3)), ValueError, "has no row -1"),
    (lambda: F.embedding([0], np.ones(3)), ValueError, r"weight of shape \(3,\); it must be \(rows, length\)"),
    (lambda: F.embedding([0], np.eye(3), padding_idx=3), ValueError, "padding_idx is 3"),
    (lambda: F.embedding([0], np.eye(3), max_norm=1.0), TypeError, "max_norm is left out"),
    (lambda: F.dropout(Q, -0.1), ValueError, "p, the probability to drop an element, is -0.1"),
    (lambda: F.dropout(Q, training=0), TypeError, "training is 0"),
    (lambda: F.dropout(Q, inplace=True), TypeError, "inplace is left out"),
]


@pytest.mark.parametrize("call, error, message", WRONG)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_row_of_padding_gets_no_gradient():
    table = Tensor(np.ones((3, 2)))
    F.embedding(np.array([[0, 2], [2, 2]]), table, padding_idx=-1).sum().backward()
    assert table.grad.tolist() == [[1, 1], [0, 0], [0, 0]]


def test_scores_beyond_the_largest_number_of_float16():
    query, key, value = [(400 * x).astype(np.float16) for x in (Q, K, V)]
    out = F.scaled_dot_product_attention(query, Tensor(key), value, np.tri(3, 5, dtype=bool))
    wide = [x.astype(float) for x in (query, key, value)]
    exact = F.scaled_dot_product_attention(*wide, np.tri(3, 5, dtype=bool))
    assert out.dtype == np.float16
    np.testing.assert_allclose(out.data, exact, rtol=1e-3)
    assert F.scaled_dot_product_attention(query, key, V).dtype == np.float64


def test_nan_in_a_mask_is_seen():
    mask = np.where(np.arange(3)[:, None] == 1, np.nan, np.zeros((3, 5)))
    value = Tensor(V)
    out = F.scaled_dot_product_attention(Q, K, value, mask)
    out[:, 1].sum().backward()
    assert np.isnan(out.data[:, 1]).all() and np.isfinite(out.data[:, ::2]).all() and np.isnan(value.grad).all()


@pytest.mark.parametrize("mask", ["none", "causal", "booleans", "numbers"])
def test_pytorchs_values_and_gradients(mask):
    torch = pytest.importorskip("torch")
    options = {"none": {}, "causal": {"is_causal": True}, "booleans": {"attn_mask": RNG.random((3, 5)) < 0.5}}
    options = options.get(mask, {"attn_mask": RNG.normal(size=(2, 3, 5))})
    ours, theirs = [Tensor(x) for x in (Q, K, V)], [torch.tensor(x, requires_grad=True) for x in (Q, K, V)]
    out = F.scaled_dot_product_attention(*ours, **options)
    options = {name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in options.items()}
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, **options)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    (out**2).sum().backward(), (expected**2).sum().backward()
    for x, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad, other.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [None, np.ones(2)])
def test_linear_names_the_weight_as_it_was_given(bias):
    message = (
        r"^linear: input of shape \(2, 3\) and weight of shape \(2, 4\); they must be \(\.\.\., in\) and \(out, in\)"
    )
    for x in (np.ones((2, 3)), Tensor(np.ones((2, 3)))):
        with pytest.raises(ValueError, match=message):
            F.linear(x, np.ones((2, 4)), bias)
    with pytest.raises(ValueError, match=r"^linear: weight: \[\[1\], \[1, 2\]\] has parts of different lengths"):
        F.linear(np.ones((2, 3)), [[1], [1, 2]], bias)
    assert F.linear(input=np.ones((2, 3)), weight=np.ones((2, 3)), bias=bias).shape == (2, 2)


def test_batch_axes_that_do_not_fit():
    x, y = np.ones((2, 5, 4)), np.ones((3, 5, 4))
    with pytest.raises(
        ValueError, match=r"^scaled_dot_product_attention: queries \(2, 5, 4\) and keys \(3, 5, 4\); the"
    ):
        F.scaled_dot_product_attention(x, y, y)
    with pytest.raises(ValueError, match=r"^scaled_dot_product_attention: values of shape \(3, 5, 4\) for weights of"):
        F.scaled_dot_product_attention(x, Tensor(x), y)
