"""The table of derivatives."""

from tinygrad_edu.ops.elementwise import *
from tinygrad_edu.ops.elementwise import Axis, Operand, abs, max, min, sum
from tinygrad_edu.ops.fused import (
    clamped_log,
    clamped_log1p,
    cross_entropy,
    cross_entropy_slope,
    erf,
    expm1,
    leaky_relu,
    linear,
    log1p,
    log_softmax,
    softplus,
)
from tinygrad_edu.ops.products import einsum
