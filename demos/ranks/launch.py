"""Starts a program on 1 and 2 ranks, and reads what rank 0 of each run has written."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from speed.timing import installed

from tinygrad_edu.files import visible

# Read when NumPy is imported: each rank computes on one thread, so that the ranks alone share the cores.
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def mpiexec():
    """The path of mpiexec, or None; pip puts it beside Python, which need not be where a shell looks."""
    places = [os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]
    return shutil.which("mpiexec", path=os.pathsep.join(places))


def missing():
    """What a run on several ranks lacks, in words; empty if nothing."""
    if not installed("mpi4py"):
        return "mpi4py is not installed"
    return "" if mpiexec() else "there is no mpiexec"


def run(ranks, command):
    """Runs a Python program with `--job FILE` on so many ranks; returns the arrays that it has saved to the file."""
    environment = {**os.environ, **dict.fromkeys(VARIABLES, "1")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.npz"
        words = [mpiexec(), "-n", str(ranks), sys.executable, *command, "--job", str(path)]
        # In a session of its own Ctrl-C does not reach it, so that this process alone says what became of it.
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(words, env=environment, start_new_session=True, **pipes) as process:
            try:
                said, _ = process.communicate()
            except BaseException:
                process.terminate()  # a signal that mpiexec hands on to the ranks
                raise
        print(visible(said), end="", file=sys.stderr)
        if process.returncode:
            sys.exit(f"error: mpiexec -n {ranks} ended with exit code {process.returncode}; what it said stands above")
        with np.load(path) as found:
            return dict(found)


def rounds(count, command):
    """Runs the program on 1 rank and on 2, in turns, as what else the machine does changes with time.

    Returns:
        For each number of ranks the arrays of all rounds, joined along their last axis.
    """
    found = {1: [], 2: []}
    for _ in range(count):
        for ranks, runs in found.items():
            runs.append(run(ranks, command))
    return {
        ranks: {name: np.concatenate([arrays[name] for arrays in runs], axis=-1) for name in runs[0]}
        for ranks, runs in found.items()
    }
