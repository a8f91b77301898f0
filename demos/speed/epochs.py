"""One epoch of training on 60,000 images, loading included.

Ours loads as demos/mnist.py does: a DataLoader over uint8 images that scales each batch. PyTorch has float32 images,
scaled beforehand, and takes batches of them by indexing with a random permutation, its fastest way, or with its
DataLoader over a TensorDataset, its usual one. The dark pixels of real digits matter: their weights get no gradient,
and an optimizer whose moments fade into subnormal numbers becomes slower from epoch to epoch.
"""

import os

import numpy as np

from speed import peers
from speed.steps import NETWORKS
from speed.timing import OURS, TORCH, import_torch, interleaved, row
from tinygrad_edu import data

EPOCHS, BATCH, LR = 4, 64, 1e-3
LOADER, GROWTH = "PyTorch, its DataLoader", "epoch 4 / epoch 1"


def cases(quick, threads=1):
    """The number of images."""
    return [60_000] if not quick else [12_000] if threads == 1 else []


def digits(count):
    """Images (count, 28, 28) uint8, labels, and what they are: MNIST where TINYGRAD_EDU_DATA says so."""
    if os.environ.get("TINYGRAD_EDU_DATA"):
        images, labels, _, _ = data.load_mnist()
        return images[:count], labels[:count], "MNIST"
    images, labels = data.synthetic_digits(min(count, 6_000), seed=0)
    again = -(-count // len(labels))
    return np.tile(images, (again, 1, 1))[:count], np.tile(labels, again)[:count], "synthetic digits"


def flat(images):
    return data.normalize(images).reshape(-1, 784)


def ours(images, labels, weights):
    """A function that trains for an epoch."""
    peer = peers.Ours(weights, "Adam", LR)
    loader = data.DataLoader(images, labels, BATCH, shuffle=True, seed=0, transform=flat)

    def epoch():
        for x, y in loader:
            peer.step(x, y)

    return epoch


def pytorch(images, labels, weights, torch, loading):
    """The same; `loading` is True for the DataLoader."""
    peer = peers.PyTorch(weights, "Adam", LR)
    x_all, y_all = torch.from_numpy(flat(images)), torch.from_numpy(labels.astype(np.int64))
    dataset = torch.utils.data.TensorDataset(x_all, y_all)
    loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True)

    def indexing():
        order = torch.randperm(len(y_all))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            peer.step(x_all[chosen], y_all[chosen])

    def with_loader():
        for x, y in loader:
            peer.step(x, y)

    return with_loader if loading else indexing


def contenders(images, labels, threads):
    """Functions that train a new network for an epoch, by name."""
    arrays, torch = (images, labels, peers.initial_weights(NETWORKS["S"])), import_torch(threads)
    epochs = {OURS: ours(*arrays)}
    if torch:
        epochs |= {TORCH: pytorch(*arrays, torch, False), LOADER: pytorch(*arrays, torch, True)}
    return epochs


def measure(case, threads, quick):
    """Rows for the time of an epoch, and for the fourth over the first."""
    images, labels, source = digits(case)
    for epoch in contenders(images[:640], labels[:640], threads).values():
        epoch()  # whatever is done once only
    times, growth = {}, {}
    for _ in range(1 if quick else 3):
        run = interleaved(contenders(images, labels, threads), EPOCHS, 1, threads, warmup=0)
        for name, seconds in run.items():
            times.setdefault(name, []).extend(seconds)
            growth.setdefault(name, []).append(seconds[-1] / seconds[0])
    label = f"epoch of {len(labels):,} images ({source}), 784-128-64-10, batch {BATCH}, Adam"
    found = [row(label, name, seconds) for name, seconds in times.items()]
    return found + [row(GROWTH, name, ratios, unit="") for name, ratios in growth.items()]
