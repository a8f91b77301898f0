"""What writes files; and, as a program, a process that is killed while it writes, again and again.

Each line on its input, "KIND PATH NUMBER SECONDS", forks a child that writes versions from that number on and is killed
after the seconds.
"""

import os
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from tinygrad_edu import Tensor, nn
from tinygrad_edu.data import mnist
from tinygrad_edu.draw import Graph
from tinygrad_edu.training import Checkpoint, History

MNIST = f"{next(iter(mnist.FILES))}.gz"


def content(n):
    """Bytes each of which says that they are of version n."""
    return (b"%07d\n" % n) * (150_000 + n)


def values(n):
    return np.full(300_000 + 2_000 * n, n, np.float64)


def save_checkpoint(path, n):
    model = nn.Module()
    model.values = values(n)
    history = [{"epoch": i} for i in range(n)]
    Checkpoint(path).save(model=model, history=history, epoch=n, metadata={"n": str(n)})


def load_checkpoint(path):
    model, history = nn.Module(), []
    model.values = nn.load(path)["model.values"] * 0
    n = Checkpoint(path).load(model=model, history=history)
    assert (model.values == n).all() and model.values.shape == values(n).shape
    assert history == [{"epoch": i} for i in range(n)] and Checkpoint(path).metadata() == {"n": str(n)}
    return n


def save_weights(path, n):
    nn.save({"values": values(n)}, path, {"n": str(n)})


def load_weights(path):
    n = int(nn.load_metadata(path)["n"])
    np.testing.assert_array_equal(nn.load(path)["values"], values(n))
    return n


def save_history(path, n):
    History([{"n": n}] * (3_000 + n)).save(path)


def load_history(path):
    column = History.load(path)["n"]
    assert column == [column[0]] * (3_000 + column[0])
    return column[0]


def render(path, n):
    graph = Graph(Tensor(float(n), name="x"))
    graph.pipe = lambda *args, **kwargs: content(n)
    graph.render(outfile=path)


def keep_download(path, n):
    """The data cache."""
    mnist.fetch, mnist.read_published = lambda url, limit: content(n), lambda *args: np.zeros(1)
    mnist.download_file(os.fspath(path.parent), path.name.removesuffix(".gz"), ["http://localhost/"], [])


def load_bytes(path):
    data = path.read_bytes()
    n = int(data[:7])
    assert data == content(n)
    return n


WRITERS = {  # name of the file: what writes version n to a path, and what reads n from it
    "run": (save_checkpoint, load_checkpoint),
    "weights": (save_weights, load_weights),
    "history.json": (save_history, load_history),
    "history.csv": (save_history, load_history),
    "picture.png": (render, load_bytes),
    MNIST: (keep_download, load_bytes),
}


def main():
    warnings.simplefilter("error")
    for name, (write, _) in WRITERS.items():  # whatever is imported late is imported now
        write(Path(sys.argv[1], name), 0)
    for line in sys.stdin:
        path, n, seconds = line.rsplit(maxsplit=2)
        path, n = Path(path), int(n)
        child = os.fork()
        while not child:
            n += 1
            WRITERS[path.name][0](path, n)
            os.write(1, b"written %d\n" % n)
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.write(1, b"killed 0\n")


if __name__ == "__main__":
    main()
