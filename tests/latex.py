"""Whether the LaTeX of a worked solution is valid."""

import re

import pytest


def check_latex(found):
    """LaTeX is balanced, and each line is one that matplotlib can set."""
    check_balance(found)
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for solution in found.solutions:
        for _, body in solution.latex_blocks():
            for line in re.split(r" ?\\\\\n|\n", body):
                if line and "aligned" not in line:
                    parser.parse(f"${line.replace('&', '').strip()}$")


def check_balance(found):
    """Brackets and environments are balanced."""
    for text in (found.latex(), found.markdown(), found._repr_latex_()):
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}")
        assert text.count(r"\begin{aligned}") == text.count(r"\end{aligned}")
        assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right")
