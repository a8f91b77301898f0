"""Pages that play the two passes step by step."""
