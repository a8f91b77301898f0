"""A network on points in the plane that learns a few steps at a time, between which its settings may be turned."""

import math
from functools import partial

import numpy as np
from moons import moons, spirals
from xor import CORNERS, GATES

from tinygrad_edu import l1_penalty, l2_penalty, nn, no_grad, optim
from tinygrad_edu.training import History

OWN = "points that you set"
OPTIMIZERS = {
    "SGD": optim.SGD,
    "SGD with momentum": partial(optim.SGD, momentum=0.9),
    "Adagrad": optim.Adagrad,
    "RMSprop": optim.RMSprop,
    "Adam": optim.Adam,
    "AdamW": optim.AdamW,
}
PENALTIES = {"none": None, "L2": l2_penalty, "L1": l1_penalty}
MOST_STEPS, SIDE, CLOUD = 5000, 1.5, 10  # steps of a run; half a side of the board; points that fill an area of it


def circles(n, noise, rng):
    """A circle around another: points (n, 2) and labels (n,) of 0 and 1."""
    angle, labels = rng.uniform(0, 2 * np.pi, n), np.arange(n) % 2
    points = (1 - 0.5 * labels)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + rng.normal(0, noise, (n, 2)), labels


def corners(n, noise, rng):
    """XOR: the corners of a square, of which opposite ones are alike: points (n, 2) and labels (n,)."""
    which = np.arange(n) % 4
    return 2.0 * CORNERS[which] - 1 + rng.normal(0, noise, (n, 2)), GATES["XOR"][which]


DATA = {"two moons": moons, "circles": circles, "spirals": spirals, "XOR": corners}


def samples(name, noise, seed, n=200):
    """Points to learn from and as many unseen ones: two pairs of points (n, 2) and labels (n,)."""
    points, labels = DATA[name](2 * n, noise, np.random.default_rng(seed))
    return (points[:n], labels[:n]), (points[n:], labels[n:])


class Trainer:
    """A network of one output, and all that its training needs.

    Args:
        hidden: Lengths of the hidden layers.
        activation: A name in nn.activations.ACTIVATIONS.
        optimizer: A name in OPTIMIZERS.
        dropout: The probability that a hidden element is dropped in training.
        seed: Of the initial weights and of dropout.

    Attributes:
        lr, penalty, strength: The learning rate, a name in PENALTIES and its strength; they may change at any time.
        history: A record for each step, the first of them before any step.
        trouble: Why it learns no more, or "".
    """

    def __init__(self, hidden=(8, 8), activation="tanh", optimizer="Adam", dropout=0.0, seed=0):
        rng = np.random.default_rng(seed)
        self.net = nn.MLP([2, *hidden, 1], activation, dropout=dropout, rng=rng, dtype=np.float64)
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters(), lr=0.03)
        self.penalty, self.strength = "none", 0.0
        self.criterion, self.history, self.trouble = nn.BCEWithLogitsLoss(), History(), ""
        self.points, self.labels, self.unseen = np.empty((0, 2)), np.empty(0, int), None

    @property
    def lr(self):
        return self.optimizer.lr

    @lr.setter
    def lr(self, lr):
        self.optimizer.lr = lr

    @property
    def ready(self):
        """Whether there are points of both classes, without which there is nothing to learn."""
        return len(np.unique(self.labels)) == 2

    @property
    def steps(self):
        return max(len(self.history) - 1, 0)

    def use(self, points, labels, unseen=None):
        """Takes the points to learn from, and a pair of unseen ones, or None; what was learned stays."""
        self.points, self.labels, self.unseen = np.asarray(points, float), np.asarray(labels), unseen
        if self.ready and not self.history:
            self.look()
            self.measure()

    @np.errstate(all="ignore")
    def loss(self, points, labels):
        """The mean loss on some points, with the penalty of the weights: a Tensor."""
        loss, penalty = self.criterion(self.net(points)[:, 0], labels), PENALTIES[self.penalty]
        if penalty is None or not self.strength:
            return loss
        return loss + penalty([layer.weight for layer in self.linears()], self.strength)

    def linears(self):
        return [module for module in self.net if isinstance(module, nn.Linear)]

    def look(self):
        """Computes the gradients of all points; whether they can be used."""
        self.net.train()
        loss = self.loss(self.points, self.labels)
        self.optimizer.zero_grad()
        with np.errstate(all="ignore"):
            loss.backward()
        return math.isfinite(loss.item()) and all(np.isfinite(p.grad).all() for p in self.net.parameters())

    @np.errstate(all="ignore")
    def learn(self, steps):
        """Takes some steps down the slope of the loss on all points, unless something is in the way."""
        for _ in range(steps if self.ready else 0):
            if self.steps >= MOST_STEPS:
                self.trouble = f"these were {MOST_STEPS:,} steps, which is enough: start anew"
            elif not self.trouble and not self.look():
                how = "lower the learning rate and start anew"
                self.trouble = f"after step {self.steps} loss or gradients are too large for a number: {how}"
            if self.trouble:
                return
            self.optimizer.step()
            self.measure()

    @no_grad()
    @np.errstate(all="ignore")
    def measure(self):
        """Adds a record of loss, without the penalty, and accuracy."""
        self.net.eval()
        record = {"epoch": len(self.history)}  # a step on all points is an epoch
        for name, pair in (("train", (self.points, self.labels)), ("val", self.unseen)):
            if pair is not None:
                scores = self.net(pair[0])[:, 0]
                right = float(np.mean((scores.data > 0) == pair[1]))
                record |= {f"{name}_loss": self.criterion(scores, pair[1]).item(), f"{name}_accuracy": right}
        self.history.append(record)

    @no_grad()
    @np.errstate(all="ignore")
    def scores(self, points):
        """What the network answers at points (n, 2): shape (n,), above 0 for class 1."""
        self.net.eval()
        return self.net(points).data[:, 0]

    def layers(self):
        """The weights of each layer, and the gradients of the last step: {"layer 1": (weights, gradients)}."""
        return {f"layer {i}": (layer.weight.data, layer.weight.grad) for i, layer in enumerate(self.linears(), 1)}

    def graph(self, one_point, depth=None):
        """The graph of the next step, on one point, whose numbers can be read, or on all of them."""
        net, rows = self.net, slice(1) if one_point else slice(None)
        net.train()
        points, labels = self.points[rows], self.labels[rows]
        loss = self.loss(points, labels)
        title = f"step {self.steps + 1}, {f'1 of {len(self.points)} points' if one_point else 'all points'}"
        return loss.graph(depth=depth, title=title, names={"points": points, "labels": labels, "loss": loss})


def cloud(selection, rng):
    """The points that a click on the board or an area drawn on it stands for: one, or up to CLOUD within the area."""
    width, height = (getattr(selection, f"{a}_max", 9) - getattr(selection, f"{a}_min", -9) for a in "xy")
    if max(width, height) < 0.05 * SIDE:
        return np.array([[selection.x_min + width / 2, selection.y_min + height / 2]])
    anywhere = rng.uniform(-SIDE, SIDE, (5000, 2))
    return anywhere[selection.get_mask(*anywhere.T)][:CLOUD]


def board(points, labels):
    """The figure on which points are set: class 0 blue, class 1 orange."""
    from matplotlib.figure import Figure

    from tinygrad_edu.plots import COLORS

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    for label, marker in enumerate("os"):
        axes.plot(*points[labels == label].T, marker, color=COLORS[label], markeredgecolor="white", markersize=8)
    axes.set(xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), aspect="equal")
    axes.grid(color="#DDDDDD")
    return figure
