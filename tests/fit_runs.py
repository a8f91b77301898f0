"""Small trainings for the tests of fit."""

import numpy as np

from tinygrad_edu import data, nn, optim
from tinygrad_edu.training import fit

RNG = np.random.default_rng
X = RNG(0).standard_normal((137, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)  # three classes


class Augment:
    """A transform with a generator of its own."""

    def __init__(self, seed):
        self.rng = RNG(seed)

    def __call__(self, x):
        return x + 0.1 * self.rng.standard_normal(x.shape).astype(np.float32)


def loaders(batch_size=8, transform=None):
    train = data.DataLoader(X[:98], Y[:98], batch_size, shuffle=True, seed=1, transform=transform)
    return train, data.DataLoader(X[98:], Y[98:], 10)


class Run:
    """All that one training needs, made afresh from the same seeds."""

    def __init__(self, optimizer=optim.Adam, schedule=None, stopping=None, lr=0.01):
        nn.init.manual_seed(5)
        self.model = nn.Sequential(
            nn.Linear(4, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Dropout(0.1, rng=RNG(6)),
            nn.Linear(16, 3),
        )
        self.train, self.validation = loaders(transform=Augment(2))
        self.optimizer = optimizer(self.model.parameters(), lr=lr)
        self.scheduler = schedule(self.optimizer) if schedule else None
        self.stopping = stopping() if stopping else None

    def fit(self, epochs, checkpoint=None, progress=False):
        return fit(
            self.model,
            self.train,
            optimizer=self.optimizer,
            loss=nn.CrossEntropyLoss(),
            epochs=epochs,
            validation=self.validation,
            scheduler=self.scheduler,
            early_stopping=self.stopping,
            checkpoint=checkpoint,
            progress=progress,
        )


def simple(batches=None, *, epochs=1, lr=0.1, model=None, loss=None, progress=False, **options):
    """A short training of a linear model."""
    model = model or nn.Linear(4, 3, rng=RNG(0))
    optimizer = options.pop("optimizer", None) or optim.SGD(model.parameters(), lr=lr)
    loss = loss or nn.CrossEntropyLoss()
    batches = [(X, Y)] if batches is None else batches
    return fit(model, batches, optimizer=optimizer, loss=loss, epochs=epochs, progress=progress, **options)


def without_seconds(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def assert_same_bits(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].tobytes() == b[name].tobytes(), name


WRONG = [(X, (Y + 1) % 3)]  # a validation loss that can only grow


def flat():
    """A model that starts with equal scores."""
    return nn.Linear(4, 3, init=nn.init.zeros)
