"""A network bends the plane until one line parts two moons, or two spirals.

The boundary starts anywhere, soon separates most of the points, and then folds around those still on the wrong side;
each frame of the GIF shows what the network answers everywhere at that moment.
The moons are the demo of micrograd (Karpathy 2020) at its setting: 100 points, a 2-16-16-1 network of ReLUs, the hinge
loss max(0, 1 - sign * score) with a small L2 penalty, and 100 steps on all points with a rate that falls from 1 to 0.1.
micrograd computes with single numbers, and so can this library: `ScalarMLP` is the same network neuron by neuron, and
has the same losses as one matrix product a layer, but takes longer.
Run it with `python demos/moons.py`; `--scalar 100` trains on the moons in single numbers to the end: one minute more.
"""

import time
from copy import deepcopy
from functools import partial
from itertools import islice

import lesson
import numpy as np

from tinygrad_edu import Tensor, nn, no_grad, optim, plots, stack


def moons(n, noise, rng):
    """Two half circles, each around an end of the other: points (n, 2) and labels (n,) of 0 and 1."""
    angle, labels = rng.uniform(0, np.pi, n), np.arange(n) % 2
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(labels[:, None], [1.0, 0.5] - upper, upper)
    return points + rng.normal(0, noise, (n, 2)), labels


def spirals(n, noise, rng):
    """Two arms of about one and a third turns, each between the other's windings: points (n, 2) and labels (n,)."""
    radius, labels = np.sqrt(rng.uniform(0.02, 1, n)), np.arange(n) % 2
    angle = np.pi * (3 * radius + labels)
    points = 3 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + rng.normal(0, noise, (n, 2)), labels


TASKS = {  # data, how many points, layers, optimizer, steps for each of the moons'
    "moons": (moons, 100, [2, 16, 16, 1], partial(optim.SGD, lr=1.0), 1),
    "spirals": (spirals, 200, [2, 32, 32, 1], partial(optim.Adam, lr=0.02), 4),
}


def prepare(name, noise, seed):
    """Points, labels, and a network of ReLUs with micrograd's initial values: weights from -1 to 1, biases 0."""
    make, n, sizes, *_ = TASKS[name]
    rng = np.random.default_rng(seed)
    points, labels = make(n, noise, rng)
    init = partial(nn.init.uniform, a=-1.0, b=1.0, rng=rng)
    return points, labels, nn.MLP(sizes, init=init, dtype=np.float64)


class ScalarMLP(nn.Module):
    """An MLP of ReLUs in single numbers: each layer a list of neurons, each neuron a list of weights and a bias."""

    def __init__(self, net):
        layers = [zip(linear.weight.tolist(), linear.bias.tolist(), strict=True) for linear in net[::2]]
        self.layers = [[([Tensor(w) for w in ws], Tensor(b)) for ws, b in layer] for layer in layers]

    def forward(self, points):
        """(n, inputs) -> (n, outputs)."""
        outputs = []
        for x in points.tolist():
            for layer in self.layers:
                x = [sum((w * xi for w, xi in zip(ws, x, strict=True)), b) for ws, b in layer]
                if layer is not self.layers[-1]:
                    x = [z.relu() for z in x]
            outputs.append(stack(x))
        return stack(outputs)


def hinge(scores, labels):
    """The mean of max(0, 1 - sign * score), the sign being that of the class."""
    return (1.0 - (2.0 * labels - 1.0) * scores).relu().mean()


def train(model, points, labels, optimizer, steps):
    """Yields loss and share of right answers, before the first step and after each."""
    start = optimizer.lr
    for step in range(steps + 1):
        scores = model(points)[:, 0]
        loss = hinge(scores, labels) + 1e-4 * sum((p * p).sum() for p in model.parameters())
        yield loss.item(), ((scores > 0) == labels).mean()
        if step < steps:
            optimizer.lr = start * (1 - 0.9 * step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def timed(training):
    """The losses of a training, and how many seconds one of its steps took."""
    losses, moments = [], []
    for loss, _ in training:
        losses.append(loss)
        moments.append(time.perf_counter())
    return np.array(losses), (moments[-1] - moments[0]) / (len(moments) - 1)


def draw(films, data, moments):
    """A panel for each data set and moment, from 0 to 1 of the training: what the network answered everywhere."""
    panels, points, labels = {}, {}, {}
    for name, film in films.items():
        for moment in moments:
            step = round(moment * (len(film) - 1))
            _, right, net = film[step]
            title = f"{name}, step {step}: {right:.1%}"
            panels[title] = no_grad()(lambda p, net=net: net(p).data[:, 0])
            points[title], labels[title] = data[name]
    return plots.regions(panels, points, labels)


def main(argv=None):
    parser = lesson.parser(__doc__, needs=("matplotlib", "PIL"))
    parser.add_argument("--steps", type=lesson.integer(10), default=100, help="for the moons; the spirals take 4 times")
    parser.add_argument("--noise", type=lesson.real(0, 1), default=0.1, help="standard deviation around the curves")
    parser.add_argument("--frames", type=lesson.integer(2, most=1000), default=24, help="of the GIF")
    parser.add_argument("--scalar", type=lesson.integer(1), default=3, help="steps of the moons in single numbers")
    args = parser.parse_args(argv)

    data, films = {}, {}
    print("points   step    loss   right")
    for name, (*_, optimizer, times) in TASKS.items():
        points, labels, net = prepare(name, args.noise, args.seed)
        data[name] = points, labels
        training = train(net, points, labels, optimizer(net.parameters()), times * args.steps)
        films[name] = [(*seen, deepcopy(net)) for seen in training]
        for step in [round(moment * times * args.steps) for moment in (0, 0.05, 0.15, 0.4, 1)]:
            loss, right, _ = films[name][step]
            print(f"{name:7}  {step:4}  {loss:6.4f}  {right:6.1%}")
    *_, net = prepare("moons", args.noise, args.seed)
    steps, runs = min(args.scalar, args.steps), []
    for model, most in ((ScalarMLP(net), steps), (net, args.steps)):
        training = train(model, *data["moons"], optim.SGD(model.parameters(), lr=1.0), args.steps)
        runs.append(timed(islice(training, most + 1)))
    (scalar, slow), (array, fast) = runs
    apart = np.abs(scalar - array[: steps + 1]).max()
    print(f"In single numbers the losses of the moons up to step {steps} differ by at most {apart:.0e};", end=" ")
    print(f"a step took {slow / fast:.0f} times as long.")

    lesson.save(draw(films, data, [0, 0.15, 1]), args.out / "moons.png")
    most = 4 * args.steps  # of the spirals
    moments = np.unique(np.round(most * np.linspace(0, 1, args.frames) ** 1.5)) / most  # closer at the beginning
    lesson.save_movie((draw(films, data, [moment]) for moment in moments), args.out / "moons.gif")


if __name__ == "__main__":
    lesson.run(main)
