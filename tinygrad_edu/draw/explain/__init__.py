"""Graphs in words: worked solutions, trees for a terminal, alt texts for a screen reader."""
