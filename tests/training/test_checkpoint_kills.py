"""The kill test: whenever a process dies, what it leaves is a whole checkpoint, the old or the new one."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.training import Checkpoint

pytest.importorskip("safetensors")

WRITER = """
import os, signal, sys, time
import numpy as np
from tinygrad_edu import nn
from tinygrad_edu.random import default_generator
from tinygrad_edu.training import Checkpoint

nn.save({"values": np.zeros(1)}, sys.argv[1] + ".first")     # whatever is imported late is imported now
default_generator()

def write(path, epoch):
    model = nn.Module()
    while True:
        epoch += 1
        model.values = np.full(300_000 + 2_000 * epoch, epoch)
        history = [{"epoch": n} for n in range(epoch)]
        Checkpoint(path).save(model=model, history=history, epoch=epoch, metadata={"epoch": str(epoch)})
        os.write(1, b"saved %d\\n" % epoch)

for line in sys.stdin:
    epoch, delay = line.split()
    writer = os.fork()
    if not writer:
        write(sys.argv[1], int(epoch))
    time.sleep(float(delay))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    os.write(1, b"killed 0\\n")
"""


def complete_epoch(path):
    """The epoch of a checkpoint of WRITER, all of which must be of that epoch."""
    values = nn.load(path)["model.values"]
    model, history = nn.Module(), []
    model.values = np.zeros_like(values)
    epoch = Checkpoint(path).load(model=model, history=history)
    assert values.shape == (300_000 + 2_000 * epoch,)
    assert (model.values == epoch).all()
    assert history == [{"epoch": n} for n in range(epoch)]
    assert Checkpoint(path).metadata() == {"epoch": str(epoch)}
    return epoch


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process that is imported once and forked for each kill")
def test_a_killed_process_leaves_the_old_or_the_new_checkpoint(tmp_path):
    path, rng, kills, inside, epoch = tmp_path / "run", random.Random(0), 0, 0, 0
    model = nn.Module()
    model.values = np.zeros(300_000)
    Checkpoint(path).save(model=model, history=[], metadata={"epoch": "0"})
    longest = 0.01  # seconds that a writer lives; adapted to the machine, so that about one save is done
    command = [sys.executable, "-c", WRITER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        while kills < 60 or inside < 15 or epoch < 15:
            parent.stdin.write(f"{epoch} {rng.uniform(0, longest)}\n")
            parent.stdin.flush()
            done = epoch
            while (line := parent.stdout.readline().split())[0] == "saved":
                done = int(line[1])
            longest *= 1.3 if done == epoch else 0.9
            epoch = complete_epoch(path)
            assert epoch in (done, done + 1)
            left_over = set(os.listdir(tmp_path)) - {"run", "run.first"}
            assert len(left_over) <= 1
            inside += len(left_over)
            kills += 1
        parent.stdin.close()
    print(f"{inside} of {kills} kills fell inside the write, after {epoch} checkpoints")
