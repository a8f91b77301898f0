"""Formulas from the rules of the ops, checked numerically."""
