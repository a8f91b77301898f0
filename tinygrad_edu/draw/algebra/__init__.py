"""Formulas that come out of the ops' own rules, checked numerically: nobody has written them down.

Read terms.py, arithmetic.py and arrangement.py (values that remember how they were computed), notation.py (how they are
written), formulas.py (what the other rooms ask for) and captions.py (what else a
picture says of an op). Names are imported from the files.
"""
