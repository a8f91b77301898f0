"""Polynomials as arrays of coefficients, highest power first: NumPy's poly functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__: list[str] = []
