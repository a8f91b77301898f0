"""What each rank measures: the parts of a training step, and Allreduce alone."""

import time
from functools import partial

import numpy as np

PARTS = ("forward", "backward", "averaging", "update")  # of a step
WARMUP = 3  # steps and calls that do not count
STEPS = 16  # of the training


def sizes(weights, count=7):
    """How many float32 are sent to time Allreduce: from 1 KB to the gradients of a model with so many weights."""
    return np.unique(np.geomspace(min(256, weights), weights, count).round().astype(int))


def batch_sizes(args):
    """Examples a rank in the steps that are timed: those of both kinds of scaling, and fewer."""
    return sorted({max(1, args.batch_size // 4), args.batch_size, args.global_batch // 2, args.global_batch})


def job(args, build, step, train):
    """What each rank does: it trains, and then measures; rank 0 saves what is found, see launch.run."""
    n = STEPS * args.batch_size - args.batch_size // 4  # so the last batch is smaller
    found = {"weights": train(*examples(n), args)[:, None]}
    model, optimizer, parallel = build(args)
    found["parts"] = parts(partial(step, model, optimizer, parallel), args)
    if parallel.size > 1:
        found["allreduce"] = allreduce(len(found["weights"]), args.steps)
    if parallel.rank == 0:
        np.savez(args.job, **found)


def examples(n):
    """Random images (n, 784) and labels (n,), the same on all ranks."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 784), np.float32), rng.integers(10, size=n)


def parts(step, args):
    """Seconds of each part of a step on batches of each size, shape (batch_sizes, PARTS, args.steps)."""
    found = []
    for size in batch_sizes(args):
        x, y = examples(size)
        found.append(np.transpose([step(x, y) for _ in range(WARMUP + args.steps)][WARMUP:]))
    return np.array(found)


def allreduce(weights, repeats):
    """Seconds of Allreduce for each of `sizes`, shape (sizes, repeats); all ranks begin together."""
    from mpi4py import MPI  # which is there if mpiexec has started this

    found = []
    for size in sizes(weights):
        numbers, seconds = np.zeros(size, np.float32), []
        for _ in range(WARMUP + repeats):
            MPI.COMM_WORLD.Barrier()
            start = time.perf_counter()
            MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, numbers)
            seconds.append(time.perf_counter() - start)
        found.append(seconds[WARMUP:])
    return np.array(found)
