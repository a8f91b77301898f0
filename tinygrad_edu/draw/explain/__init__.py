"""Graphs in words: worked solutions, trees, alt texts. `tinygrad_edu.draw.explain`, to users, is the function."""
