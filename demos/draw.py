"""Draws the gallery: the pictures of a first course on backpropagation, from one product to an unrolled network.

Each function builds a small computation and returns its output; what the picture shows, the engine has computed.
Run it with `python demos/draw.py`: it writes pictures and pages into demos/gallery/, and prints their names. Two pages
are trainings as films: `python demos/draw.py --only moons digits`.
Blue is the forward pass, orange the backward pass; on every wire stands what the chain rule multiplies there.
"""

import argparse
import sys
from pathlib import Path

import lesson
import numpy as np
from gpt import GPT, LETTERS
from moons import TASKS, hinge, prepare, train

from tinygrad_edu import Tensor, data, functional as F, manual_seed, maximum, nn, optim
from tinygrad_edu.draw import NoEngineError, engine
from tinygrad_edu.files import visible, write_atomically
from tinygrad_edu.training import Film, fit

GALLERY = Path(__file__).parent / "gallery"


def product():
    """f = (x + y) z, the first example of CS231n."""
    x, y, z = Tensor(-2.0, name="x"), Tensor(5.0, name="y"), Tensor(-4.0, name="z")
    q = x + y
    f = q * z
    return f.graph(title="f = (x + y) · z")


class Neuron(nn.Module):
    """A neuron with two inputs and a sigmoid."""

    def __init__(self):
        self.w0, self.w1, self.b = Tensor(2.0), Tensor(-3.0), Tensor(-3.0)

    def forward(self, x0, x1):
        p0, p1 = self.w0 * x0, self.w1 * x1
        p0.name, p1.name = "p0", "p1"
        s = p0 + p1
        s.name = "s"
        z = s + self.b
        z.name = "z"
        return z.sigmoid()


def neuron():
    """A sigmoid neuron: every wire carries local derivative times upstream gradient."""
    neuron = Neuron()
    x0, x1 = Tensor(-1.0, requires_grad=False, name="x0"), Tensor(-2.0, requires_grad=False, name="x1")
    out = neuron(x0, x1)
    return out.graph(title="a sigmoid neuron")


def branch():
    """Add, multiply, max and a tensor used twice: gradients add up, and the loser of max gets none."""
    a, b, c = Tensor(2.0), Tensor(-3.0), Tensor(1.0)
    d = a * b
    e = maximum(d, c)
    g = a + e
    h = g * g
    return h.graph(title="add, multiply, max and a branch")


def softmax_cross_entropy():
    """Three logits, their probabilities, and minus the logarithm of the right one."""
    z = Tensor([2.0, 1.0, -1.0])
    e = np.exp(z)
    s = e.sum()
    p = e / s
    log_p = np.log(p)
    loss = -log_p[1]
    return loss.graph(title="softmax and cross-entropy, label 1", style="fused")


def by_hand():
    """A backward pass by hand: `.grad` as a student has filled it in, beside what is right."""
    x, w, b = Tensor(2.0, name="x"), Tensor(-1.5, name="w"), Tensor(1.0, name="b")
    p = x * w
    z = p + b
    y = z * z
    y.grad = 1.0
    z.grad = z.data  # of the two paths one is forgotten
    p.grad = b.grad = z.grad
    x.grad, w.grad = -1.5 * -4.0, 2.0 * 4.0
    return y.graph(title="backpropagation by hand: what stands in .grad", gradients="grad")


def mlp():
    """Two layers and a squared error, with the rule of each op on its wires."""
    rng = np.random.default_rng(0)
    net = nn.MLP([2, 3, 1], rng=rng)
    x, target = rng.normal(size=(2, 2)).astype(np.float32), rng.normal(size=(2, 1)).astype(np.float32)
    loss = nn.MSELoss()(net(x), target)
    return loss.graph(title="a network of two layers with a squared error", style="fused")


def mnist():
    """The network of demos/mnist.py at batch 64: one card a layer."""
    rng = np.random.default_rng(0)
    net = nn.MLP([784, 256, 128, 10], rng=rng)
    images, labels = rng.normal(size=(64, 784)).astype(np.float32), rng.integers(0, 10, 64)
    loss = nn.CrossEntropyLoss()(net(images), labels)
    return loss.graph(title="784-256-128-10 at batch 64, folded", depth=1)


def convolutions():
    """A network with two convolutions: too large for all numbers, it is drawn in one line a node."""
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding="same", rng=rng), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding="same", rng=rng), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * 7 * 7, 10, rng=rng)),
    )
    images, labels = rng.normal(size=(4, 1, 28, 28)).astype(np.float32), np.arange(4)
    loss = nn.CrossEntropyLoss()(net(images), labels)
    return loss.graph(title="two convolutions, as much as is legible on a slide")


class Head(nn.Module):
    """One head of attention, in which each place looks at those before it."""

    def __init__(self, width, rng):
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False, rng=rng) for _ in range(3))

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.mT / np.float32(np.sqrt(q.shape[-1]))
        past = np.tri(len(x), dtype=bool)
        weights = F.softmax(np.where(past, scores, -np.inf))
        return weights @ v


def attention():
    """A head of attention, drawn by model.graph(x): the names are those of the variables in its forward."""
    rng = np.random.default_rng(0)
    head = Head(4, rng)
    x = rng.normal(size=(5, 4)).astype(np.float32)
    return head.graph(x, title="a head of attention")


def failure():
    """A forward that fails, drawn up to the failure: a Flatten is missing before the Linear layer."""
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.ReLU(), nn.Linear(72, 10, rng=rng))
    return net.graph(np.ones((2, 1, 8, 8), np.float32), title="a forward that fails")


class Cell(nn.Module):
    """One step of a recurrent network: tanh(x Wx + h Wh + b)."""

    def __init__(self, inputs, hidden, rng):
        self.input, self.hidden = nn.Linear(inputs, hidden, rng=rng), nn.Linear(hidden, hidden, bias=False, rng=rng)

    def forward(self, x, h):
        return (self.input(x) + self.hidden(h)).tanh()


def recurrent(steps=830):
    """A recurrent network unrolled: the first step, the last, and how many alike between them."""
    rng = np.random.default_rng(0)
    cell, h = Cell(8, 8, rng), np.zeros((2, 8), np.float32)
    xs = rng.normal(size=(steps, 2, 8)).astype(np.float32)
    for i in range(steps):
        h = cell(xs[i], h)
    loss = h.mean()
    return loss.graph(title=f"a recurrent network, unrolled for {steps} steps", depth=1)


def gpt():
    """The network of demos/gpt.py, for a page on which its blocks open and close."""
    manual_seed(0)
    model = GPT(len(LETTERS), context=16, width=32, heads=4, layers=4)
    return model.graph(np.arange(16)[None], title="a small GPT")


def moons():
    """The training of demos/moons.py: how the line between two moons bends, step by step."""
    points, labels, net = prepare("moons", 0.1, seed=0)
    film = Film(
        net, points, labels, lambda scores, y: hinge(scores[:, 0], y), title="Two moons, 100 steps", snapshots=51
    )
    for step, _ in enumerate(train(net, points, labels, TASKS["moons"][3](net.parameters()), 100)):
        if step:
            film()
    return film


def digits():
    """The first layer of a small network that learns to read digits, drawn by the library itself."""
    manual_seed(0)
    images, labels = data.synthetic_digits(2000, seed=0)
    x = lesson.flat(images)
    net, loss = nn.MLP([784, 32, 10]), nn.CrossEntropyLoss()
    film = Film(net, x, labels, loss, title="Reading digits: the weights of the first layer")
    optimizer = optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.3)
    batches = data.DataLoader(x, labels, 64, shuffle=True)
    fit(net, batches, optimizer=optimizer, loss=loss, epochs=30, progress=False, callbacks=[film])
    return film


FILMS = {"moons": moons, "digits": digits}
PICTURES = {
    "product": product,
    "neuron": neuron,
    "branch": branch,
    "softmax": softmax_cross_entropy,
    "by_hand": by_hand,
    "mlp": mlp,
    "mnist": mnist,
    "convolutions": convolutions,
    "attention": attention,
    "recurrent": recurrent,
    "failure": failure,
}


def main(argv=None):
    parser = lesson.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=lesson.folder, default=str(GALLERY), help="folder for the pictures")
    parser.add_argument(
        "--only", choices=[*PICTURES, *FILMS], nargs="+", default=[*PICTURES, *FILMS], help="draw these alone"
    )
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    args = parser.parse_args(argv)
    if engine() is None and not FILMS.keys() >= {*args.only}:
        sys.exit(f"error: {NoEngineError()}")
    for name in [name for name in args.only if name in FILMS]:
        film = FILMS[name]()
        path = film.save(args.out / f"{name}.html")
        print(f"{visible(path)}: {film.title}, a film of {len(film)} snapshots")
    for name in [name for name in args.only if name in PICTURES]:
        graph = PICTURES[name]()
        graph.theme = args.theme
        path = args.out / f"{name}.svg"
        write_atomically(path, graph.pipe("svg"))
        print(f"{visible(path)}: {graph.title}")
    if "neuron" in args.only:
        path = args.out / "player.html"
        neuron().player(path)
        print(f"{visible(path)}: the sigmoid neuron, step by step")
    if "attention" in args.only:
        path = args.out / "gpt.html"
        gpt().page(path)
        print(f"{visible(path)}: a small GPT, whose blocks open and close")


if __name__ == "__main__":
    lesson.run(main)
