"""The table of derivatives, a chapter a file: what has a rule of its own and what is composed, simplest first.

Read `elementwise.py` first: it says how a rule is read.
"""

from __future__ import annotations

from tinygrad_edu.ops import elementwise, fused, indexing, products, reductions, shapes
from tinygrad_edu.ops.elementwise import *
from tinygrad_edu.ops.fused import *
from tinygrad_edu.ops.indexing import *
from tinygrad_edu.ops.products import *
from tinygrad_edu.ops.reductions import *
from tinygrad_edu.ops.shapes import *

__all__ = [
    *elementwise.__all__, *shapes.__all__, *reductions.__all__, *indexing.__all__, *products.__all__, *fused.__all__,
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
