"""How long a picture takes: a graph of 5,000 tensors with its SVG.

The graph is a recurrent neuron of many steps, the picture the one by default, which closes what no slide has room for.
It needs Graphviz.
"""

import time

from speed.timing import OURS, row
from tinygrad_edu import Tensor
from tinygrad_edu.draw import engine

TENSORS = 5_000
PICTURE = f"graph and SVG of {TENSORS:,} tensors"


def cases(quick, threads=1):
    """The picture, if something can lay it out."""
    return [PICTURE] if engine() is not None else []


def output():
    """The end of a graph of so many tensors: a recurrent neuron, step after step."""
    h, w = Tensor(0.5), Tensor(1.5)
    for _ in range((TENSORS - 2) // 3):
        h = (h * w - 0.1).tanh()
    return h


def measure(case, threads, quick):
    """One row: from the output of the graph to the text of the SVG."""
    y = output()
    samples = []
    for _ in range(2 if quick else 7):
        start = time.perf_counter()
        y.graph().pipe("svg")
        samples.append(time.perf_counter() - start)
    return [row(case, OURS, samples)]
