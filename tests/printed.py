"""Formulas that pictures print, for calls of ops."""

import numpy as np

from tinygrad_edu.draw.algebra.formulas import RuleCall, local_formula, vjp_formula
from tinygrad_edu.engine import REGISTRY


def case(name, *values, names=None, **params):
    """The arguments of RuleCall but for the position: operands are called a, b, c, the output h."""
    this = REGISTRY[name]
    values, params = this.bind(tuple(np.asarray(x)[()] if type(x) not in (int, float) else x for x in values), params)
    found = {this.argument(i): str(x) if type(x) in (int, float) else "abc"[i] for i, x in enumerate(values)}
    out = this.forward(*[np.asarray(x)[()] for x in values], **params)
    return this, {"g": "∂h", "out": "h"} | found | (names or {}), values, out, params


def vjp(position, name, *values, latex=False, names=None, **params):
    this, *rest = case(name, *values, names=names, **params)
    return vjp_formula(RuleCall(this, position, *rest), latex)


def local(position, name, *values, latex=False, names=None, **params):
    this, *rest = case(name, *values, names=names, **params)
    return local_formula(RuleCall(this, position, *rest), latex)
