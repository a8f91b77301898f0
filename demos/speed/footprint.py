"""What a program costs before and beside its arithmetic: memory at its peak, and the time of the import.

Each number is that of a fresh process. The import is timed with the bytecode already compiled, as from the second start
on. Peak memory is that of the whole process, interpreter and library included, in a training run of S with Adam,
which holds 60,000 uint8 images (47 MB) and scales them batch by batch.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from speed import peers
from speed.steps import NETWORKS
from speed.timing import OURS, STUDENT, TORCH, import_torch, installed, row

PEAK, IMPORT = "peak memory, training S with Adam", "import"
PEERS = {OURS: (peers.Ours, None), TORCH: (peers.PyTorch, "torch"), STUDENT: (peers.ByHand, None)}
PACKAGES = {OURS: "tinygrad_edu", "NumPy": "numpy", TORCH: "torch"}


def cases(quick, threads=1):
    """Batch sizes, and the import."""
    return [("memory", 64), *([] if quick else [("memory", 4096)]), ("import", None)]


def measure(case, threads, quick):
    """Rows of one case."""
    what, batch = case
    if what == "import":
        return import_times(2 if quick else 21)
    found = []
    for name, (_, package) in PEERS.items():
        if package is None or installed(package):
            samples = [peak_in_a_process(name, batch, threads) for _ in range(1 if quick else 3)]
            found.append(row(f"{PEAK}, batch {batch}", name, samples, "B"))
    return found


def peak_in_a_process(name, batch, threads):
    """Bytes."""
    code = f"from speed import footprint; print(footprint.train({name!r}, {batch}, {threads}))"
    return int(in_a_process(code, os.environ))


def in_a_process(code, environment):
    """What a fresh Python prints; it finds this package."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), environment.get("PYTHONPATH")]))
    command, environment = [sys.executable, "-c", code], {**environment, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def train(name, batch, threads):
    """Trains on 60,000 uint8 images, scaled batch by batch, for 20 steps; returns the peak memory in bytes."""
    if name == TORCH:
        import_torch(threads)
    images = np.zeros((60_000, 784), np.uint8)
    images[:, ::2] = 255
    labels = np.arange(60_000) % 10
    peer = PEERS[name][0](peers.initial_weights(NETWORKS["S"]), "Adam", 1e-3)
    for i in range(20):
        chosen = np.arange(i * batch, (i + 1) * batch) % len(labels)
        x = images[chosen] * np.float32(1 / 255)
        peer.step(*peer.prepare(x, labels[chosen]))
    return peak_memory()


def peak_memory():
    """The most memory that this process has had, in bytes.

    Linux reports it as VmHWM. Its getrusage begins with the memory of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def import_times(count):
    """Seconds for `import package`, the packages in turn."""
    packages = {name: package for name, package in PACKAGES.items() if installed(package)}
    samples = {name: [] for name in packages}
    with tempfile.TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for turn in range(count + 1):
            for name, package in packages.items():
                start = "import time; start = time.perf_counter()"
                code = f"{start}; import {package}; print(time.perf_counter() - start)"
                seconds = float(in_a_process(code, environment))
                if turn:  # the first compiles
                    samples[name].append(seconds)
    return [row(f"{IMPORT} {PACKAGES[name]}", name, seconds) for name, seconds in samples.items()]
