"""Symbols, roles, and the rules of ops as they stand in the source."""

import linecache

import numpy as np

from tinygrad_edu import op
from tinygrad_edu.draw.algebra.formulas import role, rule_source, symbol
from tinygrad_edu.engine import REGISTRY

A = np.random.default_rng(1).normal(size=(4, 3))


def test_a_notebook_cell_has_a_source(registry):
    cell, name = "@op(\n    lambda g, out, x: 3 * g *\n    x * x)\ndef cube(x):\n    return x ** 3\n", "<cell 1>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    exec(compile(cell, name, "exec"), {"op": op})
    assert rule_source(registry["cube"], 0) == "3 * g * x * x"


def test_rule_sources():
    assert rule_source(REGISTRY["multiply"], 0) == "g * y"
    assert rule_source(REGISTRY["power"], 1) == "g * out * log(where(x == 0, 1.0, x))"
    assert rule_source(REGISTRY["where"], 0) == ""
    assert rule_source(REGISTRY["matmul"], 0).startswith("matmul_to_x(g, out, x, y)  # g @ yT")
    assert rule_source(REGISTRY["concatenate"], 3).startswith("getitem(g, extent(arrays, i, axis))")
    for this in REGISTRY.values():
        for i, rule in enumerate(this.vjps):
            assert bool(rule_source(this, i)) == (rule is not None) and "\n" not in rule_source(this, i)


def test_symbols_and_roles():
    assert symbol(REGISTRY["multiply"], {}) == "\u00d7"
    assert symbol(REGISTRY["getitem"], {"index": (1, slice(0, 2))}) == "[1, 0:2]"
    assert symbol(REGISTRY["getitem"], {"index": np.arange(9)}) == "[indices]"
    assert symbol(REGISTRY["transpose"], {"axes": None}) == "ᵀ"
    assert symbol(REGISTRY["power"], {}, [A, 2]) == "x²" and symbol(REGISTRY["power"], {}, [A, A]) == "xʸ"
    assert symbol(REGISTRY["softplus"], {}) == "softplus"
    assert role(REGISTRY["add"]) == "distributes" and role(REGISTRY["maximum"]) == "routes"
    assert role(REGISTRY["tanh"]) == ""
