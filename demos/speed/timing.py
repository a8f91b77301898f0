"""How to take times that can be compared.

The hard idea is to be fooled by nothing but the programs themselves. Whoever runs all of A and then all of B

    a = timeit(ours); b = timeit(theirs)

measures also what else the machine did in the first and in the second minute, how warm it was, and who left garbage to
collect. Here the contenders take turns in short blocks, each begun in the same state, and what counts is the median
block of each.
"""

import gc
import importlib.util
import time

import numpy as np

OURS, TORCH, FUSED = "tinygrad_edu", "PyTorch", "PyTorch, fused Adam"
REPLAY = "tinygrad_edu, replayed"
STUDENT, EXPERT, FLOOR = "NumPy by hand", "NumPy, best effort", "matrix products alone"
MICROGRAD, JAX = "micrograd", "jax.jit"

SPIN = 0.13  # seconds: for 0.1 s after its last product OpenBLAS's second thread keeps a core busy with waiting


def installed(name):
    """Whether a package could be imported; it is not."""
    return importlib.util.find_spec(name) is not None


def import_torch(threads):
    """PyTorch on so many threads, or None where it is not installed."""
    if not installed("torch"):
        return None
    import torch

    torch.set_num_threads(threads)
    return torch


def interleaved(contenders, blocks, runs, threads=1, warmup=3, freeze=True):
    """Times functions against each other.

    Args:
        contenders: A function without arguments for each name.
        blocks: How often each gets its turn; who is first changes.
        runs: Calls in a block. Garbage is collected before, so all that a block leaves behind it pays for itself.
        threads: With more than one, contenders wait until the threads of the one before are asleep.
        warmup: Calls at the start of a block that do not count.
        freeze: Hide from the garbage collector what exists by now: walking through all that PyTorch has imported takes
            longer than a block, and says nothing about the contenders. For those that make garbage, False is honest.

    Returns:
        Seconds a call for each name, one number a block.
    """
    order, times = list(contenders), {name: [] for name in contenders}
    if freeze:
        gc.freeze()
    for block in range(blocks):
        first = block % len(order)
        for name in order[first:] + order[:first]:
            run = contenders[name]
            time.sleep(SPIN if threads > 1 else 0)
            gc.collect()
            for _ in range(warmup):
                run()
            start = time.perf_counter()
            for _ in range(runs):
                run()
            times[name].append((time.perf_counter() - start) / runs)
    gc.unfreeze()
    return times


def thread_count(threads):
    """The number with its noun: "1 thread" or "2 threads"."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def row(case, contender, samples, unit="s", size=None):
    """One line of the results: the median of the samples, with the quartiles as its spread."""
    low, median, high = np.percentile(samples, [25, 50, 75]).tolist()
    spread = {"median": median, "low": low, "high": high, "samples": len(samples)}
    return {"case": case, "size": size, "contender": contender, "unit": unit, **spread}


def rows(case, times, size=None):
    """A row for each contender."""
    return [row(case, name, samples, size=size) for name, samples in times.items()]
