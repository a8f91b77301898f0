"""tinygrad_edu: NumPy computes, Tensor remembers, and every derivative is one line beside the function it belongs to.

Read `engine/`, `ops/` and `tensor.py` in one sitting; the rest stands on them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # what __getattr__ imports
    from tinygrad_edu import data, draw, functional, nn, optim, plots, teach, training
    from tinygrad_edu.functional import *

from tinygrad_edu.anomaly import detect_anomaly
from tinygrad_edu.engine import no_grad, op
from tinygrad_edu.gradcheck import gradcheck
from tinygrad_edu.ops import *  # type: ignore[assignment, has-type]
from tinygrad_edu.random import manual_seed
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.torch_names import NotCallable, name_hint
from tinygrad_edu.transforms import *

del globals()["cross_entropy"], globals()["linear"]  # those of functional check what they are given

# The C library keeps freed memory up to twice the largest block that it has seen go. Else it would hand back what a
# training step frees, and the system would clear it again for the next one: a third of the time of a deep network.
np.empty(2**25 - 2**16, np.uint8)

sys.modules[f"{__name__}.tensor"].__class__ = NotCallable  # torch.tensor is a function

__version__ = "0.1.0"

__all__ = [  # without what Python has too: a star import must not hide it
    "Tensor", "absolute", "acos", "acosh", "add", "append", "apply_along_axis", "apply_over_axes", "arccos", "arccosh",
    "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "around", "array_split", "asin", "asinh", "astype", "atan",
    "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "bincount", "block", "broadcast_arrays", "broadcast_to", "cbrt", "ceil",
    "choose", "clip", "column_stack", "compress", "concat", "concatenate", "conj", "conjugate", "convolve", "copy",
    "copysign", "corrcoef", "correlate", "cos", "cosh", "cosine_similarity", "cov", "cross", "cross_entropy", "cumprod",
    "cumsum", "cumulative_prod", "cumulative_sum", "data", "deg2rad", "degrees", "delete", "detect_anomaly", "diag",
    "diagflat", "diagonal", "diff", "divide", "dot", "draw", "dsplit", "dstack", "ediff1d", "einsum", "elu", "erf",
    "exp", "exp2", "expand_dims", "expm1", "extract", "fabs", "fftshift", "fix", "flatten", "flip", "fliplr", "flipud",
    "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "functional", "gelu", "geomspace", "grad",
    "gradcheck", "gradient", "gradients", "heaviside", "hessian", "hinge_embedding_loss", "hsplit", "hstack",
    "huber_loss", "hvp", "hypot", "i0", "ifftshift", "imag", "inner", "insert", "interp", "jacobian", "jvp", "kl_div",
    "kron", "l1_loss", "l1_penalty", "l2_penalty", "ldexp", "leaky_relu", "linalg", "linear", "linspace", "log",
    "log1p", "log2", "log10", "log_softmax", "logaddexp", "logaddexp2", "logspace", "logsumexp", "manual_seed",
    "matmul", "matrix_transpose", "matvec", "maximum", "mean", "median", "meshgrid", "minimum", "mod", "modf",
    "moveaxis", "mse_loss", "multi_margin_loss", "multiply", "nan_to_num", "nancumprod", "nancumsum", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar",
    "negative", "nll_loss", "nn", "no_grad", "normalize", "op", "ops", "optim", "outer", "pad", "partition",
    "percentile", "permute_dims", "piecewise", "plots", "polyadd", "polyder", "polyfit", "polyint", "polymul",
    "polysub", "polyval", "positive", "power", "prelu", "prod", "ptp", "quantile", "rad2deg", "radians", "ravel",
    "real", "real_if_close", "reciprocal", "relu", "remainder", "repeat", "reshape", "resize", "rint", "roll",
    "rollaxis", "rot90", "select", "sigmoid", "sign", "silu", "sin", "sinc", "sinh", "sliding_window_view",
    "smooth_l1_loss", "softmax", "softplus", "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract",
    "swapaxes", "take", "take_along_axis", "tan", "tanh", "teach", "tensordot", "tile", "trace", "training",
    "transpose", "trapezoid", "tril", "trim_zeros", "triu", "true_divide", "trunc", "unique", "unique_values",
    "unstack", "unwrap", "value_and_grad", "vander", "var", "vdot", "vecdot", "vecmat", "vjp", "vsplit", "vstack",
    "where",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imports a subpackage, or what `functional` has, when it is first used: the engine alone needs none of them."""
    if name in ("data", "draw", "functional", "nn", "optim", "plots", "teach", "training"):
        return import_module(f"tinygrad_edu.{name}")
    if not name.startswith("_") and name in (functional := import_module("tinygrad_edu.functional")).__all__:
        value = globals()[name] = getattr(functional, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{name_hint(__name__, name)}")


def __dir__() -> list[str]:
    return [*__all__, "abs", "divmod", "max", "min", "pow", "round", "sum"]
