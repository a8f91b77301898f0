"""Linear algebra: what np.linalg has, batched over leading axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__: list[str] = []
