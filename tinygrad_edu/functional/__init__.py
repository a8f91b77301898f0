"""PyTorch's F: activations, losses, penalties and layers as functions, with PyTorch's names and arguments.

Each works on Tensors, arrays and nested lists. Those of this folder have no rule of their own: the chain rule finds it.
NumPy's functions stand in `ops`, and the composed ones can be reached from here too.
"""

from __future__ import annotations

from tinygrad_edu.functional.activations import *
from tinygrad_edu.functional.attention import *
from tinygrad_edu.functional.convolution import *
from tinygrad_edu.functional.distances import *
from tinygrad_edu.functional.layers import *
from tinygrad_edu.functional.losses import *
from tinygrad_edu.functional.margins import *
from tinygrad_edu.functional.normalization import *
from tinygrad_edu.functional.padding import *
from tinygrad_edu.functional.penalties import *
from tinygrad_edu.functional.pooling import *
from tinygrad_edu.functional.vectors import *
from tinygrad_edu.ops import (
    clip,
    concatenate,
    copy,
    diagonal,
    dot,
    einsum,
    flatten,
    flip,
    logsumexp,
    moveaxis,
    outer,
    ravel,
    repeat,
    roll,
    sort,
    split,
    square,
    squeeze,
    stack,
    std,
    swapaxes,
    tile,
    trace,
    tril,
    triu,
    var,
)
from tinygrad_edu.torch_names import answer_names

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "binary_cross_entropy", "binary_cross_entropy_with_logits", "clip",
    "concatenate", "conv1d", "conv2d", "conv_transpose2d", "copy", "cosine_similarity", "cross_entropy", "diagonal",
    "dot", "dropout", "einsum", "elu", "embedding", "flatten", "flip", "gelu", "group_norm", "hinge_embedding_loss",
    "huber_loss", "interpolate", "kl_div", "l1_loss", "l1_penalty", "l2_penalty", "layer_norm", "leaky_relu", "linear",
    "log_softmax", "logsumexp", "max_pool2d", "moveaxis", "mse_loss", "multi_margin_loss", "nll_loss", "normalize",
    "one_hot", "outer", "pad", "prelu", "ravel", "relu", "repeat", "rms_norm", "roll", "scaled_dot_product_attention",
    "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus", "sort", "split", "square", "squeeze", "stack", "std",
    "swapaxes", "tanh", "tile", "trace", "tril", "triu", "var",
]  # fmt: skip

answer_names(__name__)
