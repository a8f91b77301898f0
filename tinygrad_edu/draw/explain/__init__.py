"""Graphs in words: worked solutions, trees for a terminal, alt texts for a screen reader.

Read solution.py (what a worked solution consists of), expressions.py (how tensors stand in it), chain.py (steps and
paths), writer.py (its blocks) and explain.py, where users come in. tree.py and alt_text.py stand for themselves. Names
are imported from the files; `tinygrad_edu.draw.explain` itself is the function for users.
"""
