"""Pages that need no network.

Those that play the two passes step by step: steps.py says what happens, player.py and player.html show it. And those
whose parts open and close: parts.py says what opens, opening.py and opening.html show it.
"""

from __future__ import annotations

from tinygrad_edu.draw.player.opening import Page, page
from tinygrad_edu.draw.player.player import Player, frames, player
from tinygrad_edu.draw.player.template import fill_page

__all__ = ["Page", "Player", "fill_page", "frames", "page", "player"]
