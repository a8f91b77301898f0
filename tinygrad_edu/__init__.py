"""tinygrad_edu: NumPy computes, Tensor remembers, and every derivative is one line beside the function it belongs to.

Read `engine/`, `ops/` and `tensor.py` in one sitting; the rest stands on them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygrad_edu import functional
from tinygrad_edu.anomaly import detect_anomaly
from tinygrad_edu.engine import no_grad, op
from tinygrad_edu.functional import *
from tinygrad_edu.gradcheck import gradcheck
from tinygrad_edu.ops import linalg
from tinygrad_edu.ops.choices import *
from tinygrad_edu.ops.elementwise import *
from tinygrad_edu.ops.fused import log_softmax, softmax
from tinygrad_edu.ops.indexing import *
from tinygrad_edu.ops.joining import *
from tinygrad_edu.ops.polynomials import *
from tinygrad_edu.ops.products import *
from tinygrad_edu.ops.reductions import *
from tinygrad_edu.ops.sequences import *
from tinygrad_edu.ops.shapes import *
from tinygrad_edu.ops.statistics import *
from tinygrad_edu.ops.trigonometry import *
from tinygrad_edu.random import manual_seed
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.transforms import *

if TYPE_CHECKING:
    from tinygrad_edu import data, draw, nn, optim, plots, training

__version__ = "0.1.0"

__all__ = [  # without abs, max, min and sum: a star import must not hide Python's own
    "Tensor", "add", "astype", "binary_cross_entropy", "binary_cross_entropy_with_logits", "broadcast_to", "clip",
    "concatenate", "copy", "cos", "cross_entropy", "cumsum", "data", "detect_anomaly", "diagonal", "divide", "dot",
    "draw", "einsum", "elu", "erf", "exp", "expand_dims", "expm1", "flatten", "flip", "functional", "gelu", "grad",
    "gradcheck", "gradients", "hessian", "huber_loss", "hvp", "jacobian", "jvp", "l1_loss", "l1_penalty", "l2_penalty",
    "leaky_relu", "linalg", "linear", "log", "log1p", "log_softmax", "logsumexp", "manual_seed", "matmul", "maximum",
    "mean", "minimum", "moveaxis", "mse_loss", "multiply", "negative", "nll_loss", "nn", "no_grad", "op", "ops",
    "optim", "outer", "pad", "plots", "power", "prelu", "prod", "ravel", "relu", "repeat", "reshape", "roll", "sigmoid",
    "silu", "sin", "softmax", "softplus", "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract",
    "swapaxes", "tanh", "tile", "trace", "training", "transpose", "tril", "triu", "value_and_grad", "var", "vjp",
    "where",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imports a subpackage when it is first used: the engine alone needs none of them."""
    if name in ("data", "draw", "nn", "optim", "plots", "training"):
        return import_module(f"tinygrad_edu.{name}")
    raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "abs", "max", "min", "sum"]
