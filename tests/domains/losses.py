"""How to draw arguments of the losses, and their definitions in NumPy."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, axis_of, drawn, full, full_nd, generators, spaced

REDUCTIONS = ["mean", "sum", "none"]
reductions = st.sampled_from(REDUCTIONS)
one_reduction = {"reduction": lambda shape: reductions}
apart = full.flatmap(lambda shape: st.tuples(spaced(shape), spaced(shape, offset=0.2)))  # no difference is near 0


@st.composite
def yes_or_no(draw, probabilities=False):
    """Logits or probabilities, probabilities to aim at, and perhaps weights."""
    shape = draw(full)
    factor = st.sampled_from([None, 3.0, 2]) | arrays(st.sampled_from([(), shape[-1:], shape]), 0.5, 3.0)
    options = {"reduction": draw(reductions), "weight": draw(factor)}
    options |= {} if probabilities else {"pos_weight": draw(factor)}
    return (draw(arrays(shape, 0.1, 0.9) if probabilities else arrays(shape)), draw(arrays(shape, 0.1, 0.9))), options


@st.composite
def classified(draw, probabilities=True):
    """Logits and labels or probabilities, with all options."""
    shape, rng = draw(full_nd), draw(generators)
    labels, p = np.asarray(rng.integers(0, shape[-1], shape[:-1])), rng.uniform(0.1, 1, shape)
    weight = draw(st.none() | arrays(shape[-1:], 0.5, 2.0))
    smoothing = {"label_smoothing": draw(st.sampled_from([0.0, 0.1, 1]))} if probabilities else {}
    q = 0.9 * p / p.sum(-1, keepdims=True)  # below 1, so that a finite difference stays there
    target = q if probabilities and draw(st.booleans()) else labels
    return (draw(arrays(shape)), target), {"reduction": draw(reductions), "weight": weight, **smoothing}


@st.composite
def divergences(draw):
    """Logarithms, and probabilities or their logarithms."""
    as_logarithms, reduction = draw(st.booleans()), draw(st.sampled_from([*REDUCTIONS, "batchmean"]))
    target = arrays(draw(full), -2.0, -0.1) if as_logarithms else arrays(draw(full), 0.1, 0.9)
    target = draw(target)
    return (draw(arrays(np.shape(target))), target), {"reduction": reduction, "log_target": as_logarithms}


@st.composite
def signed(draw):
    """Distances, and 1 or -1 for each."""
    x, rng = draw(spaced(full)), draw(generators)
    return (x, rng.choice([-1, 1], np.shape(x))), {
        "reduction": draw(reductions),
        "margin": draw(st.sampled_from([1, 2])),
    }


@st.composite
def scored(draw):
    """Scores whose differences are not 1 or 0.5, labels, and all options."""
    shape, rng = draw(full_nd), draw(generators)
    x = np.stack([rng.permutation(shape[-1]) * 0.35 for _ in range(int(np.prod(shape[:-1])))]).reshape(shape)
    options = {
        "reduction": draw(reductions),
        "p": draw(st.sampled_from([1, 2])),
        "margin": draw(st.sampled_from([1, 0.5])),
    }
    return (x, np.asarray(rng.integers(0, shape[-1], shape[:-1]))), options | {
        "weight": draw(st.none() | arrays(shape[-1:], 0.5, 2.0))
    }


@st.composite
def along_dim(draw, several=False):
    """Arrays, and the axis of their vectors."""
    shape = draw(full_nd)
    xs = tuple([draw(arrays(shape, 0.3, 2.0)) * draw(generators).choice([-1, 1], shape) for _ in range(1 + several)])
    options = {} if several else {"p": draw(st.sampled_from([1, 2.0, 3, 1.5]))}
    return xs, {"dim": draw(axis_of(shape)), "eps": draw(st.sampled_from([1e-8, 100.0]))} | options


penalized = st.tuples(st.tuples(st.lists(spaced(), min_size=1, max_size=3), st.sampled_from([0, 0.3, 2])), st.just({}))

LOSSES = {
    "binary_cross_entropy": yes_or_no(probabilities=True),
    "binary_cross_entropy_with_logits": yes_or_no(),
    "cross_entropy": classified(),
    "hinge_embedding_loss": signed(),
    "huber_loss": drawn(apart, delta=lambda shape: st.sampled_from([0.4, 0.8, 100]), **one_reduction),
    "kl_div": divergences(),
    "l1_loss": drawn(apart, **one_reduction),
    "l1_penalty": penalized,
    "l2_penalty": penalized,
    "mse_loss": drawn(apart, **one_reduction),
    "multi_margin_loss": scored(),
    "nll_loss": classified(probabilities=False),
    "smooth_l1_loss": drawn(apart, beta=lambda shape: st.sampled_from([0, 0.4, 0.8, 100]), **one_reduction),
}
VECTORS = {"cosine_similarity": along_dim(several=True), "normalize": along_dim()}


def reduced(losses, reduction):
    """The mean, the sum, or all."""
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def huber_loss(input, target, reduction, delta):
    """The two branches as the paper has them."""
    d = np.abs(input - target)
    return reduced(np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)), reduction)


def binary(p, target, reduction, weight=None, pos_weight=None):
    """From the definition."""
    factor, weight = [1 if w is None else w for w in (pos_weight, weight)]
    return reduced(-weight * (factor * target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)


def kl_div(input, target, reduction, log_target):
    """From the definition."""
    q = np.exp(target) if log_target else target
    losses = q * (np.log(q) - input)
    return (
        losses.sum() / (len(losses) if losses.ndim else 1) if reduction == "batchmean" else reduced(losses, reduction)
    )


def smooth_l1_loss(input, target, reduction, beta):
    """The two branches as the paper has them."""
    d = np.abs(input - target)
    return reduced(np.where(d < beta, d**2 / (2 * beta or 1), d - beta / 2), reduction)


def hinge_embedding_loss(x, target, reduction, margin):
    """From the definition."""
    return reduced(np.where(target == 1, x, np.maximum(0, margin - x)), reduction)


def multi_margin_loss(x, target, reduction, p, margin, weight):
    """From the definition, one example after the other."""
    losses = np.zeros(target.shape)
    for at in np.ndindex(target.shape):
        t = target[at]
        terms = [max(0, margin - x[at][t] + x[at][j]) ** p for j in range(x.shape[-1]) if j != t]
        losses[at] = sum(terms) / x.shape[-1] * (1 if weight is None else weight[t])
    return reduced(losses[()], reduction)


def normalize(x, p, dim, eps):
    """From the definition."""
    return x / np.maximum((np.abs(x) ** p).sum(dim, keepdims=True) ** (1 / p), eps)


def cosine_similarity(x1, x2, dim, eps):
    """From the definition."""
    a, b = [np.maximum(np.sqrt((x * x).sum(dim)), eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (a * b)


def nll_loss(input, target, reduction, weight):
    """From the definition."""
    weights = np.ones(target.shape) if weight is None else weight[target]
    losses = -np.take_along_axis(input, target[..., None], -1)[..., 0] * weights
    return losses.sum() / weights.sum() if reduction == "mean" else reduced(losses, reduction)


def cross_entropy(logits, target, reduction, weight, label_smoothing):
    """From the definition."""
    classes = logits.shape[-1]
    q = target if target.ndim == logits.ndim else np.eye(classes)[target]
    q = (1 - label_smoothing) * q + label_smoothing / classes
    w = np.ones(classes) if weight is None else weight
    losses = -(w * q * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1)
    labels = target.ndim < logits.ndim
    return losses.sum() / w[target].sum() if labels and reduction == "mean" else reduced(losses, reduction)


REFERENCES = {
    "binary_cross_entropy": binary,
    "binary_cross_entropy_with_logits": lambda x, *args, **kwargs: binary(1 / (1 + np.exp(-x)), *args, **kwargs),
    "cross_entropy": cross_entropy,
    "cosine_similarity": cosine_similarity,
    "hinge_embedding_loss": hinge_embedding_loss,
    "huber_loss": huber_loss,
    "kl_div": kl_div,
    "l1_loss": lambda input, target, reduction: reduced(np.abs(input - target), reduction),
    "l1_penalty": lambda parameters, strength: strength * sum([np.abs(p).sum() for p in parameters]),
    "l2_penalty": lambda parameters, strength: strength / 2 * sum([np.square(p).sum() for p in parameters]),
    "mse_loss": lambda input, target, reduction: reduced((input - target) ** 2, reduction),
    "multi_margin_loss": multi_margin_loss,
    "nll_loss": nll_loss,
    "normalize": normalize,
    "smooth_l1_loss": smooth_l1_loss,
}
