"""How cost grows with depth: a chain of 1e3 to 1e6 ops, y = y * 0.999, a product with a constant.

Everything is per node, so that a flat line means a cost in proportion to the length. The garbage collector stays on: it
walks through the growing graph now and then, as it does for everyone. PyTorch is measured in another process, where the
collector walks through PyTorch's objects as well. Bytes are those that Python and NumPy have allocated (tracemalloc)
when the graph stands, and when backward has filled every `.grad`.
"""

import gc
import time
import tracemalloc
from functools import partial

from speed.timing import OURS, TORCH, import_torch, row
from tinygrad_edu import Tensor

FORWARD, BACKWARD = "chain: forward a node", "chain: backward a node"
GRAPH, FILLED = "chain: the graph, a node", "chain: graph and gradients, a node"


def cases(quick, threads=1):
    """Lengths."""
    return [10**k for k in range(3, 7)]


def measure(length, threads, quick, peer=None):
    """Rows of one length, for ours or for the peer."""
    if peer is None:
        name, leaf = OURS, partial(Tensor, 1.0)
    elif (torch := import_torch(threads)) and not (quick and length > 10_000):
        name, leaf = TORCH, partial(torch.tensor, 1.0, dtype=torch.float64, requires_grad=True)
    else:
        return []
    forward, backward = times(leaf, length, blocks=1 if quick else 5)
    found = [row(FORWARD, name, forward, size=length), row(BACKWARD, name, backward, size=length)]
    if peer or (quick and length > 100_000):
        return found
    graph, filled = allocated(length)
    return [*found, row(GRAPH, name, [graph], "B", length), row(FILLED, name, [filled], "B", length)]


def build(x, length):
    """The end of a chain that begins at x."""
    for _ in range(length):
        x = x * 0.999
    return x


def times(leaf, length, blocks):
    """Seconds a node, forward and backward, one number a block."""
    runs = max(1, 10_000 // length)  # a block takes some milliseconds at least
    forward, backward = [], []
    for _ in range(blocks):
        gc.collect()
        build(leaf(), 100).backward()
        start = time.perf_counter()
        outputs = [build(leaf(), length) for _ in range(runs)]
        middle = time.perf_counter()
        for y in outputs:
            y.backward()
        end = time.perf_counter()
        del outputs, y
        forward.append((middle - start) / runs / length)
        backward.append((end - middle) / runs / length)
    return forward, backward


def allocated(length):
    """Bytes a node of ours, before and after backward."""
    x = Tensor(1.0)
    tracemalloc.start()
    y = build(x, length)
    graph, _ = tracemalloc.get_traced_memory()
    y.backward()
    filled, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return graph / length, filled / length
