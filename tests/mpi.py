"""Programs on several ranks: mpiexec, where it and mpi4py are installed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ranks import launch

LIBRARY = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])

needs_mpi = pytest.mark.skipif(
    bool(launch.missing()), reason='no mpi4py or no mpiexec; pip install -e ".[mpi]" brings them'
)


def mpiexec(program, *words):
    """Runs a program on two ranks; returns exit code, stdout, stderr and seconds."""
    command = [launch.mpiexec(), "-n", "2", sys.executable, str(program), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": LIBRARY, "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    return done.returncode, done.stdout, done.stderr, time.perf_counter() - start
