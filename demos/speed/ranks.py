"""Two processes that share each batch of 1,024, beside one that has it alone.

The network is 784-1024-1024-10 with Adam. Both are measured in turns in one run of mpiexec, each process on one thread;
while one has the batch alone, the other naps. As many images pass in both, so 1.6 times as many a second on two ranks
are a time of 0.62.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from ranks import launch

from speed import peers
from speed.timing import interleaved, rows
from tinygrad_edu.training import DataParallel

SIZES, BATCH = [784, 1024, 1024, 10], 1024
CASE = "step of 784-1024-1024-10, global batch 1024, Adam"
ALONE, SHARED = "tinygrad_edu, 1 rank", "tinygrad_edu, 2 ranks"


def missing():
    """Why this cannot be measured, or None."""
    if launch.missing():
        return 'ranks: there is no mpi4py or no mpiexec (pip install -e ".[mpi]" brings both)'
    return "ranks: there is one core, and two ranks need two" if os.cpu_count() == 1 else None


def cases(quick, threads=1):
    """One, where there is MPI."""
    return [] if missing() else [CASE]


def measure(case, threads, quick):
    """Rows of one rank and of two."""
    numbers = [*((2, 2) if quick else (15, 8)), BATCH, *SIZES]
    command = [launch.mpiexec(), "-n", "2", sys.executable, "-m", "speed.ranks", *map(str, numbers)]
    where = {"cwd": Path(__file__).parents[1], "env": {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **where)
    return rows(case, json.loads(done.stdout))


def program(blocks, runs, batch, *sizes):
    """What each rank does; rank 0 prints the seconds."""
    peer = peers.Ours(peers.initial_weights(sizes), "Adam", 1e-6)
    parallel = DataParallel(peer.model)
    [(x, y)] = peers.random_batches(sizes[0], sizes[-1], batch, 1)
    half = slice(parallel.rank * batch // 2, (parallel.rank + 1) * batch // 2)

    def alone():
        if parallel.rank == 0:
            peer.step(x, y)
        parallel.ask_rank_0(None)

    def shared():
        loss = peer.loss(peer.model(x[half]), y[half])
        peer.optimizer.zero_grad()
        loss.backward()
        parallel.average_gradients(batch // 2)
        peer.optimizer.step()
        return loss.item()

    times = interleaved({ALONE: alone, SHARED: shared}, blocks, runs)
    if parallel.rank == 0:
        print(json.dumps(times))


if __name__ == "__main__":
    program(*map(int, sys.argv[1:]))
