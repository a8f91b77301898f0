"""A network bends the plane until one line parts two moons, or two spirals.

The boundary starts anywhere, soon separates most of the points, and then folds around those still on the wrong side;
each frame of the GIF shows what the network answers everywhere at that moment.
The moons are the demo of micrograd (Karpathy 2020) at its setting: 100 points, a 2-16-16-1 network of ReLUs, the hinge
loss max(0, 1 - sign * score) with a small L2 penalty, and 100 steps of gradient descent on all points at once.
micrograd computes with single numbers, and so can this library: `ScalarMLP` is the same network neuron by neuron, and
has the same losses as one matrix product a layer, only later.
Run it with `python demos/moons.py`; `--scalar 100` goes through all of the moons' training in single numbers.
"""

import argparse
import io
import os
import sys
import time
from copy import deepcopy
from functools import partial
from itertools import islice
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # demos/mnist.py says why

import numpy as np
from lesson import OUT, folder, run

from tinygrad_edu import Tensor, nn, no_grad, optim, plots, stack

try:
    import matplotlib  # noqa: F401
    from PIL import Image
except ImportError as error:
    sys.exit(f"this demo needs {error.name}, which is not installed; pip install tinygrad-edu[demos] brings it")


def moons(n, noise, rng):
    """Two half circles, each around an end of the other: points (n, 2) and labels (n,) of 0 and 1."""
    angle, labels = rng.uniform(0, np.pi, n), np.arange(n) % 2
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(labels[:, None], [1.0, 0.5] - upper, upper)
    return points + rng.normal(0, noise, (n, 2)), labels


def spirals(n, noise, rng):
    """Two arms of one and a half turns, each between the windings of the other: points (n, 2) and labels (n,)."""
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
    init = partial(nn.init.uniform, a=-1.0, b=1.0, rng=rng)
    return *make(n, noise, rng), nn.MLP(sizes, init=init, dtype=np.float64)


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


def train(model, points, labels, optimizer, steps):
    """Yields loss and share of right answers, before the first step and after each."""
    signs, start = 2.0 * labels - 1.0, optimizer.lr
    for step in range(steps + 1):
        scores = model(points)[:, 0]
        loss = (1.0 - signs * scores).relu().mean() + 1e-4 * sum((p * p).sum() for p in model.parameters())
        yield loss.item(), ((scores > 0) == labels).mean()
        if step < steps:
            optimizer.lr = start * (1 - 0.9 * step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def timed(training):
    """The losses of a training, and how many seconds one of its steps took."""
    losses, moments = zip(*[(loss, time.perf_counter()) for loss, _ in training], strict=True)
    return np.array(losses), (moments[-1] - moments[0]) / (len(moments) - 1)


def milestones(rights):
    """At which step at least 90% of the points were right first, and when the most, in words."""
    first = next((step for step, right in enumerate(rights) if right >= 0.9), None)
    early = "never 90% right" if first is None else f"90% right first at step {first}"
    return f"{early}; the most, {max(rights):.1%}, first at step {np.argmax(rights)}"


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


def movie(figures, path):
    """Saves the figures as a GIF that runs again and again."""
    frames = []
    for figure in figures:
        figure.savefig(file := io.BytesIO(), dpi=70)
        frames.append(Image.open(file).convert("RGB").quantize(32, dither=Image.Dither.NONE))
    durations = [150] * (len(frames) - 1) + [2000]  # milliseconds
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="for the moons; the spirals take 4 times as many")
    parser.add_argument("--noise", type=float, default=0.1, help="standard deviation of the points around the curves")
    parser.add_argument("--frames", type=int, default=24, help="of the GIF, 2 or more")
    parser.add_argument("--scalar", type=int, help="steps of the moons in single numbers, 3 if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    args = parser.parse_args(argv)
    scalar = min(3, args.steps) if args.scalar is None else args.scalar
    if args.steps < 1 or args.frames < 2 or not 0 <= scalar <= args.steps:
        parser.error("--steps must be at least 1, --frames at least 2, --scalar from 0 to --steps")
    if args.seed < 0 or not 0 <= args.noise < np.inf:
        parser.error("--seed must be at least 0, --noise at least 0 and finite")
    folder(parser, args.out)

    data, films = {}, {}
    print("points   step    loss   right")
    for name, (*_, optimizer, times) in TASKS.items():
        *data[name], net = prepare(name, args.noise, args.seed)
        training = train(net, *data[name], optimizer(net.parameters()), times * args.steps)
        films[name] = [(*seen, deepcopy(net)) for seen in training]
        for moment in (0, 0.05, 0.15, 0.4, 1):
            step = round(moment * times * args.steps)
            loss, right, _ = films[name][step]
            print(f"{name:7}  {step:4}  {loss:6.4f}  {right:6.1%}")
    for name, film in films.items():
        print(f"{name}: {milestones([right for _, right, _ in film])}.")
    if scalar:
        runs, net = [], prepare("moons", args.noise, args.seed)[2]
        for model, steps in [(net, args.steps), (ScalarMLP(net), scalar)]:
            training = train(model, *data["moons"], TASKS["moons"][3](model.parameters()), args.steps)
            runs.append(timed(islice(training, steps + 1)))
        (losses, fast), (again, slow) = runs
        print(f"In single numbers the losses of the moons up to step {scalar} differ by at most ", end="")
        print(f"{np.abs(again - losses[: scalar + 1]).max():.0e}; here a step took {slow / fast:.0f} times as long.")

    picture, gif = args.out / "moons.png", args.out / "moons.gif"
    moments = np.linspace(0, 1, args.frames) ** 1.5  # closer together at the beginning
    draw(films, data, [0, 0.15, 1]).savefig(picture, dpi=150)
    movie((draw(films, data, [moment]) for moment in moments), gif)
    print(picture, gif, sep="\n")


if __name__ == "__main__":
    run(main)
