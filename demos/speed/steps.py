"""One training step: forward, loss, backward, optimizer.

All contenders begin with equal weights and take the same normally distributed images in turn; the loss is read as a
number. A block is 60 steps, 20 at batch 512 or with --quick. `peers` has the programs.
"""

from functools import partial
from itertools import cycle

from speed import peers, timing
from speed.timing import OURS, import_torch, installed, interleaved, rows

NETWORKS = {"S": [784, 128, 64, 10], "L": [784, 256, 128, 10]}
# So small that the network stays as it was: no neuron dies, and the last step of a long run costs what the first did.
LEARNING_RATES = {"SGD": 1e-4, "momentum": 1e-5, "Adam": 1e-6}
QUICK = [("S", 64, "Adam"), ("S", 64, "SGD"), ("S", 512, "Adam"), ("L", 64, "Adam"), ("L", 512, "Adam")]
QUICK_THREADED = [("S", 64, "Adam")]


def cases(quick, threads=1):
    """Network, batch size and optimizer."""
    if quick:
        return QUICK if threads == 1 else QUICK_THREADED
    return [(net, n, optimizer) for net in NETWORKS for optimizer in LEARNING_RATES for n in (32, 64, 128, 512)]


def label(network, batch, optimizer):
    return f"{network}, batch {batch}, {optimizer}"


def measure(case, threads, quick):
    """Rows of one case, all contenders."""
    network, batch, optimizer = case
    runs = 20 if quick or batch > 128 else 60
    blocks = 3 if quick else 15 if threads == 1 else 9
    return rows(label(*case), step_times(NETWORKS[network], batch, optimizer, threads, blocks, runs))


def contenders(optimizer, threads):
    """The peers that are installed, by name."""
    found = {OURS: peers.Ours, timing.REPLAY: peers.Replayed}
    if import_torch(threads):
        found[timing.TORCH] = peers.PyTorch
        if optimizer == "Adam":
            found[timing.FUSED] = partial(peers.PyTorch, fused=True)
    if installed("jax"):
        found[timing.JAX] = peers.Jax
    return found | {timing.STUDENT: peers.ByHand, timing.EXPERT: peers.BestEffort, timing.FLOOR: peers.Products}


def step_times(sizes, batch, optimizer, threads, blocks, runs, leave_out=()):
    """Seconds a step for each contender, from equal weights and with the same batches in turn."""
    weights = peers.initial_weights(sizes)
    count = max(1, min(8, 256 // batch))  # so few that they stay in the cache, where a loader would leave them
    batches = peers.random_batches(sizes[0], sizes[-1], batch, count)
    steps = {}
    for name, make in contenders(optimizer, threads).items():
        if name not in leave_out:
            peer = make(weights, optimizer, LEARNING_RATES[optimizer])
            prepared = cycle([peer.prepare(x, y) for x, y in batches])
            steps[name] = lambda step=peer.step, prepared=prepared: step(*next(prepared))
    return interleaved(steps, blocks, runs, threads)
