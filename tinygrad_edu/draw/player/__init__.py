"""Pages that play the two passes step by step: steps.py says what happens, player.py and player.html show it."""

from __future__ import annotations

from tinygrad_edu.draw.player.player import Player, frames, player

__all__ = ["Player", "frames", "player"]
