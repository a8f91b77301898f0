"""What tests/training/test_parallel.py runs with `mpiexec -n 2`: small trainings, some of which end badly."""

import os
import signal
import sys

import numpy as np

from tinygrad_edu import cross_entropy, data, manual_seed, nn, optim
from tinygrad_edu.ranks import launched
from tinygrad_edu.training import DataParallel, fit

CASES = [  # kind, dtype, optimizer, examples: the last batch of 10 is ragged, or of one example
    ("mlp", np.float32, optim.Adam, 97),
    ("mlp", np.float64, optim.SGD, 91),
    ("cnn", np.float32, optim.SGD, 91),
    ("cnn", np.float64, optim.Adam, 97),
]


def weights(model):
    return np.concatenate([p.data.ravel() for p in model.parameters()])


def fifty_steps(kind, dtype, make_optimizer, n):
    """The weights after 50 steps of a loop as one writes it."""
    manual_seed(0)
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(n, 1, 8, 8)).astype(dtype), rng.integers(0, 4, n)
    if kind == "mlp":
        x, model = x.reshape(n, 64), nn.MLP([64, 16, 4], dtype=dtype)
    else:
        layers = nn.Conv2d(1, 4, 3, dtype=dtype), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        model = nn.Sequential(*layers, nn.Linear(36, 4, dtype=dtype))
    parallel, optimizer = DataParallel(model), make_optimizer(model.parameters(), lr=0.01)
    loader = data.DataLoader(x, y, 10, shuffle=True, seed=1, shard=parallel.shard)
    for _ in range(5):
        for images, labels in loader:
            loss = cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            parallel.average_gradients(len(labels))
            optimizer.step()
    return weights(model)


def trained(checkpoint, watch=None):
    """A fit of four epochs with all that draws random numbers; `watch(parallel, images)` sees each batch."""
    manual_seed(0)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(100, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    layers = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)
    model = nn.Sequential(*layers)
    parallel, noise = DataParallel(model), np.random.default_rng(6)

    def transform(images):
        if watch:
            watch(parallel, images)
        return images + 0.1 * noise.normal(size=images.shape).astype(np.float32)

    training = data.DataLoader(x, y, 10, shuffle=True, seed=1, transform=transform, shard=parallel.shard)
    validation = data.DataLoader(x, y, 32, shard=parallel.shard)
    optimizer = optim.Adam(model.parameters())
    options = {"optimizer": optimizer, "loss": cross_entropy, "epochs": 4, "checkpoint": checkpoint}
    fit(model, training, validation=validation, parallel=parallel, **options)
    return weights(model)


def fails_in_third_epoch(how):
    """A `watch` that lets rank 1 end in the middle of the third epoch."""
    seen = []

    def watch(parallel, images):
        seen.append(images)
        if parallel.rank == 1 and len(seen) == 25:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "exit":
                sys.exit("I leave")
            raise ValueError("I fail")

    return watch


def main(how, path):
    if how == "numbers":
        arrays = {str(i): fifty_steps(*case) for i, case in enumerate(CASES)}
        if launched()[0] == 0:
            np.savez(path, **arrays)
    elif how == "resume":
        undisturbed, resumed = trained(None), trained(path)
        if launched()[0] == 0:
            np.save(f"{path}.npy", [undisturbed, resumed])
    else:
        trained(path, fails_in_third_epoch(how))


if __name__ == "__main__":
    main(*sys.argv[1:])
