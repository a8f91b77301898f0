"""tinygrad_edu: NumPy computes, Tensor remembers, and every derivative is one line beside the function it belongs to.

Read `tensor.py`, `autograd.py` and `ops.py` in one sitting; the rest stands on them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygrad_edu import functional
from tinygrad_edu.autograd import op
from tinygrad_edu.einsum import einsum
from tinygrad_edu.functional import (
    clip,
    concatenate,
    copy,
    cross_entropy,
    diagonal,
    dot,
    flatten,
    flip,
    linear,
    logsumexp,
    moveaxis,
    mse_loss,
    outer,
    pad,
    ravel,
    repeat,
    roll,
    softmax,
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
from tinygrad_edu.fused import expm1, log1p, log_softmax, softplus
from tinygrad_edu.gradcheck import gradcheck
from tinygrad_edu.modes import detect_anomaly, no_grad
from tinygrad_edu.ops import (
    abs as abs,
    add,
    astype,
    broadcast_to,
    cos,
    cumsum,
    divide,
    exp,
    expand_dims,
    log,
    matmul,
    max as max,
    maximum,
    mean,
    min as min,
    minimum,
    multiply,
    negative,
    power,
    prod,
    relu,
    reshape,
    sigmoid,
    sin,
    sqrt,
    subtract,
    sum as sum,
    tanh,
    transpose,
    where,
)
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp

if TYPE_CHECKING:
    from tinygrad_edu import data, nn, optim, training
    from tinygrad_edu.nn.init import manual_seed

__version__ = "0.1.0"

__all__ = [  # without abs, max, min and sum: a star import must not hide Python's own
    "Tensor",
    "add",
    "astype",
    "broadcast_to",
    "clip",
    "concatenate",
    "copy",
    "cos",
    "cross_entropy",
    "cumsum",
    "data",
    "detect_anomaly",
    "diagonal",
    "divide",
    "dot",
    "einsum",
    "exp",
    "expand_dims",
    "expm1",
    "flatten",
    "flip",
    "functional",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linear",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "manual_seed",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "moveaxis",
    "mse_loss",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "op",
    "optim",
    "outer",
    "pad",
    "power",
    "prod",
    "ravel",
    "relu",
    "repeat",
    "reshape",
    "roll",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "swapaxes",
    "tanh",
    "tile",
    "trace",
    "training",
    "transpose",
    "tril",
    "triu",
    "value_and_grad",
    "var",
    "vjp",
    "where",
]


def __getattr__(name: str) -> Any:
    """Imports a subpackage when it is first used: the engine alone needs none of them."""
    if name == "manual_seed":
        return import_module("tinygrad_edu.nn").init.manual_seed
    if name in ("data", "nn", "optim", "training"):
        return import_module(f"tinygrad_edu.{name}")
    raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}")
