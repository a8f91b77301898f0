"""Pages that play the two passes step by step: steps.py says what happens, player.py and player.html show it."""
