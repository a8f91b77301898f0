"""Formulas from the ops' own rules: terms, their operations, how they are written, and what other rooms ask for."""
