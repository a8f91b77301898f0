"""How to draw the arguments of each function of `ops`, a chapter a file.

A chapter has OPS, for the functions with a rule of their own: name -> strategy of (operands, parameters); FUNCTIONS,
for the composed ones: name -> strategy of (arguments, keyword arguments); and REFERENCES: what computes the value where
NumPy has no function of that name, or calls its arguments otherwise.
"""

from domains import (
    attention,
    basics,
    choices,
    composed,
    linalg,
    polynomials,
    products,
    reductions,
    sequences,
    shapes,
    statistics,
    trigonometry,
)

CHAPTERS = [
    attention, choices, composed, linalg, polynomials, products, reductions, sequences, shapes, statistics,
    trigonometry,
]  # fmt: skip
DOMAINS, FUNCTIONS, REFERENCES = dict(basics.OPS), {}, {}
for chapter in CHAPTERS:
    DOMAINS |= chapter.OPS
    FUNCTIONS |= chapter.FUNCTIONS
    REFERENCES |= chapter.REFERENCES
OP_REFERENCES = REFERENCES | basics.OP_REFERENCES
