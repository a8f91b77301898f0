"""How the cost of a training step grows with the width of the network and with the batch."""

from speed.steps import NETWORKS, step_times
from speed.timing import EXPERT, FUSED, REPLAY, STUDENT, rows

WIDTH, BATCH = "step of 784-w-w-10, batch 64, Adam", "step of S, Adam"


def cases(quick, threads=1):
    """What grows, and how far."""
    width = [("width", 2**k) for k in ((4, 10) if quick else range(4, 13))]
    batch = [("batch", 2**k) for k in ((0, 10) if quick else range(13))]
    return width + batch


def measure(case, threads, quick):
    """Rows of one size."""
    what, size = case
    blocks, runs = (2 if quick else 7), max(2, min(40, 1280 // (size // 8 + 1)))
    if what == "width":
        label, network, batch, leave_out = WIDTH, [784, size, size, 10], 64, (FUSED, STUDENT, EXPERT, REPLAY)
    else:
        label, network, batch, leave_out = BATCH, NETWORKS["S"], size, (FUSED, STUDENT, REPLAY)
    return rows(label, step_times(network, batch, "Adam", threads, blocks, runs, leave_out), size)
