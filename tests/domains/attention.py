"""Domains of attention, embedding and dropout."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, full, generators


@st.composite
def joint(draw):
    """Queries, keys and values side by side, with a mask or without."""
    n, places, heads, d = [draw(st.integers(1, 3)) for _ in range(4)]
    mask = draw(
        st.sampled_from([None, np.where(np.tri(places, dtype=bool), 0.5, -np.inf), np.zeros((n, 1, 1, places))])
    )
    return (draw(arrays((n, places, 3 * heads * d))),), {"mask": mask, "heads": heads}


OPS = {"self_attention": joint()}


@st.composite
def attended(draw):
    """Queries, keys and values, with a mask of booleans or numbers, a causal one or none, and a scale."""
    lead = draw(st.sampled_from([(), (2,), (2, 1)]))
    n, m, d, e = [draw(st.integers(1, 3)) for _ in range(4)]
    operands = tuple([draw(arrays((*lead, *shape))) for shape in ((n, d), (m, d), (m, e))])
    kind, rng = draw(st.sampled_from(["none", "causal", "booleans", "numbers", "blind"])), draw(generators)
    options = {"scale": draw(st.sampled_from([None, 0.5]))}
    if kind == "causal":
        options["is_causal"] = True
    elif kind == "numbers":
        options["attn_mask"] = np.where(rng.random((n, m)) < 0.3, -np.inf, 0.5)
    elif kind != "none":
        options["attn_mask"] = rng.random((*lead, n, m)) < (0.6 if kind == "booleans" else 0.2)
    return operands, options


def attention(query, key, value, attn_mask=None, is_causal=False, scale=None):
    """From the definition, one query after the other."""
    query, key, value = [np.asarray(x) for x in (query, key, value)]
    scores = query @ np.swapaxes(key, -1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    allowed = np.tri(*scores.shape[-2:], dtype=bool) if is_causal else True if attn_mask is None else attn_mask
    bias = np.where(allowed, 0.0, -np.inf) if np.asarray(allowed).dtype == bool else allowed
    weights = np.exp(scores + bias)
    total = weights.sum(-1, keepdims=True)
    return (weights / np.where(total == 0, 1, total)) @ value


def self_attention(x, mask, heads):
    """Head by head."""
    x, every = np.asarray(x), []
    for q, k, v in zip(*[np.split(part, heads, -1) for part in np.split(x, 3, -1)], strict=True):
        shown = None if mask is None else np.broadcast_to(mask, (len(x), 1, *x.shape[1:2] * 2))[:, 0]
        every.append(attention(q, k, v, shown))
    return np.concatenate(every, -1)


@st.composite
def looked_up(draw):
    """Integers, a table, and perhaps a row that is not trained; values are the table's all the same."""
    rows, length = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shape = draw(full)
    indices = draw(generators).integers(0, rows, shape)
    return (indices, draw(arrays((rows, length)))), {}


FUNCTIONS = {
    "dropout": st.tuples(
        st.tuples(arrays(full)), st.sampled_from([{"p": 0.0}, {"p": 1.0}, {"p": 0.3, "training": False}])
    ),
    "embedding": looked_up(),
    "scaled_dot_product_attention": attended(),
}
REFERENCES = {
    "dropout": lambda x, p, training=True: np.asarray(x) * (0.0 if p == 1 else 1.0),
    "embedding": lambda indices, table: np.asarray(table)[np.asarray(indices)],
    "scaled_dot_product_attention": attention,
    "self_attention": self_attention,
}
