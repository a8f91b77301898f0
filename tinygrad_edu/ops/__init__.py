"""The table of derivatives, a chapter a file: what has a rule of its own and what is composed, simplest first.

Read `elementwise.py` first: it says how a rule is read. `linalg` keeps its names to itself, as np.linalg does, and its
decompositions are a chapter of their own. `axes.py` holds what the chapters share.
"""

from __future__ import annotations

from tinygrad_edu.ops import linalg
from tinygrad_edu.ops.choices import *
from tinygrad_edu.ops.elementwise import *
from tinygrad_edu.ops.fused import *
from tinygrad_edu.ops.indexing import *
from tinygrad_edu.ops.joining import *
from tinygrad_edu.ops.polynomials import *
from tinygrad_edu.ops.products import *
from tinygrad_edu.ops.reductions import *
from tinygrad_edu.ops.sequences import *
from tinygrad_edu.ops.shapes import *
from tinygrad_edu.ops.statistics import *
from tinygrad_edu.ops.trigonometry import *
from tinygrad_edu.scopes import composed
from tinygrad_edu.torch_names import answer_keywords

__all__ = [
    "Axis", "Operand", "abs", "absolute", "acos", "acosh", "add", "append", "apply_along_axis", "apply_over_axes",
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "around", "array_split", "as_float",
    "as_operand", "asin", "asinh", "astype", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d",
    "average", "bincount", "block", "broadcast_arrays", "broadcast_to", "cbrt", "ceil", "centred", "checked_operand",
    "choose", "clamped_log", "clamped_log1p", "clip", "column_stack", "compress", "concat", "concatenate", "conj",
    "conjugate", "convolve", "copy", "copysign", "corrcoef", "correlate", "cos", "cosh", "cov", "cross",
    "cross_entropy", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "deg2rad", "degrees", "delete", "diag",
    "diagflat", "diagonal", "diff", "divide", "divmod", "dot", "dsplit", "dstack", "ediff1d", "einsum", "erf", "exp",
    "exp2", "expand_dims", "expm1", "extract", "fabs", "fftshift", "fix", "flat", "flatten", "flip", "fliplr", "flipud",
    "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "geomspace", "getitem", "gradient", "heaviside",
    "hsplit", "hstack", "hypot", "i0", "ifftshift", "imag", "inner", "insert", "interp", "kron", "ldexp", "leaky_relu",
    "linalg", "linear", "linspace", "log", "log1p", "log2", "log10", "log_softmax", "logaddexp", "logaddexp2",
    "logspace", "logsumexp", "matmul", "matrix_transpose", "matvec", "max", "maximum", "mean", "median", "meshgrid",
    "min", "minimum", "mod", "modf", "moveaxis", "multiply", "nan_to_num", "nancumprod", "nancumsum", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar",
    "negative", "outer", "over_rms", "pad", "partition", "percentile", "permute_dims", "piecewise", "polyadd",
    "polyder", "polyfit", "polyint", "polymul", "polysub", "polyval", "positive", "pow", "power", "prod", "ptp",
    "quantile", "rad2deg", "radians", "ravel", "real", "real_if_close", "reciprocal", "relu", "remainder", "repeat",
    "reshape", "resize", "rint", "roll", "rollaxis", "rot90", "round", "scatter", "select", "self_attention", "sigmoid",
    "sign", "sin", "sinc", "sinh", "sliding_window_view", "softmax", "softplus", "sort", "split", "sqrt", "square",
    "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot",
    "tile", "trace", "transpose", "trapezoid", "tril", "trim_zeros", "triu", "true_divide", "trunc", "unique",
    "unique_values", "unless_nan", "unstack", "unwrap", "vander", "var", "vdot", "vecdot", "vecmat", "vsplit", "vstack",
    "where",
]  # fmt: skip

answer_keywords(globals(), composed)  # the chapters call each other without this
answer_keywords(vars(linalg), composed)


def __dir__() -> list[str]:
    return __all__
