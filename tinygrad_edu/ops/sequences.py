"""Functions of neighbours along an axis: differences, slopes, areas, interpolation, convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__: list[str] = []
