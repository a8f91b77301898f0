"""How to draw arguments of the losses, and their definitions in NumPy."""

import numpy as np
from hypothesis import strategies as st
from strategies import arrays, drawn, full, full_nd, generators, several, spaced

REDUCTIONS = ["mean", "sum", "none"]
reductions = st.sampled_from(REDUCTIONS)
one_reduction = {"reduction": lambda shape: reductions}
apart = full.flatmap(lambda shape: st.tuples(spaced(shape), spaced(shape, offset=0.2)))  # no difference is near 0
answers = several(full.map(lambda shape: (shape, shape)), 0.1, 0.9)  # probabilities, and probabilities to aim at


@st.composite
def yes_or_no(draw):
    """Logits, probabilities to aim at, and perhaps a pos_weight."""
    shape = draw(full)
    factor = draw(st.sampled_from([None, 3.0, 2]) | arrays(st.sampled_from([(), shape[-1:], shape]), 0.5, 3.0))
    return (draw(arrays(shape)), draw(arrays(shape, 0.1, 0.9))), {"reduction": draw(reductions), "pos_weight": factor}


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


penalized = st.tuples(st.tuples(st.lists(spaced(), min_size=1, max_size=3), st.sampled_from([0, 0.3, 2])), st.just({}))

LOSSES = {
    "binary_cross_entropy": drawn(answers, **one_reduction),
    "binary_cross_entropy_with_logits": yes_or_no(),
    "cross_entropy": classified(),
    "huber_loss": drawn(apart, delta=lambda shape: st.sampled_from([0.4, 0.8, 100]), **one_reduction),
    "l1_loss": drawn(apart, **one_reduction),
    "l1_penalty": penalized,
    "l2_penalty": penalized,
    "mse_loss": drawn(apart, **one_reduction),
    "nll_loss": classified(probabilities=False),
}


def reduced(losses, reduction):
    """The mean, the sum, or all."""
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def huber_loss(input, target, reduction, delta):
    """The two branches as the paper has them."""
    d = np.abs(input - target)
    return reduced(np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)), reduction)


def binary(p, target, reduction, pos_weight=None):
    """From the definition."""
    factor = 1 if pos_weight is None else pos_weight
    return reduced(-(factor * target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)


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
    "huber_loss": huber_loss,
    "l1_loss": lambda input, target, reduction: reduced(np.abs(input - target), reduction),
    "l1_penalty": lambda parameters, strength: strength * sum([np.abs(p).sum() for p in parameters]),
    "l2_penalty": lambda parameters, strength: strength / 2 * sum([np.square(p).sum() for p in parameters]),
    "mse_loss": lambda input, target, reduction: reduced((input - target) ** 2, reduction),
    "nll_loss": nll_loss,
}
