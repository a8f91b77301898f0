"""Functions in pieces: limits, kinks, jumps and choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__: list[str] = []
