"""The table of derivatives, a chapter a file: what has a rule of its own and what is composed, simplest first.

Read `elementwise.py` first: it says how a rule is read. `linalg` keeps its names to itself, as np.linalg does.
"""

from __future__ import annotations

from tinygrad_edu.ops import (
    choices,
    elementwise,
    fused,
    indexing,
    joining,
    linalg,
    polynomials,
    products,
    reductions,
    sequences,
    shapes,
    statistics,
    trigonometry,
)
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
from tinygrad_edu.torch_names import answer_keywords

__all__ = [
    "linalg", *elementwise.__all__, *trigonometry.__all__, *shapes.__all__, *reductions.__all__, *indexing.__all__,
    *joining.__all__, *choices.__all__, *products.__all__, *statistics.__all__, *sequences.__all__,
    *polynomials.__all__, *fused.__all__,
]  # fmt: skip

answer_keywords(globals())  # so that dim= is told from axis=; the chapters call each other without this
answer_keywords(vars(linalg))


def __dir__() -> list[str]:
    return __all__
