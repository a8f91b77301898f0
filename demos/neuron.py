"""A single neuron: it weighs its inputs, adds a bias, and bends the sum.

The sum z = w · x + b tells on which side of a line the input lies: the weights turn this line, the bias moves it.
The activation a = ReLU(z), sigmoid(z) or tanh(z) turns the sum into an answer.
To learn, the neuron asks how the loss L = (y - a)^2 depends on w: through a and z, so the slope is a product of three.
Run it with `python demos/neuron.py`; `--html FILE` also writes a page with a slider for each of these numbers.
"""

from pathlib import Path

import lesson
import numpy as np
from page import choice, slider, write_page

from tinygrad_edu import Tensor, plots, relu, sigmoid, tanh

ACTIVATIONS = {  # the library's, and for the page a and da/dz in JavaScript
    "sigmoid": (sigmoid, "1 / (1 + Math.exp(-z))", "a * (1 - a)"),
    "tanh": (tanh, "Math.tanh(z)", "1 - a * a"),
    "ReLU": (relu, "Math.max(z, 0)", "z > 0 ? 1 : 0"),
}
NEURONS = {  # inputs, weights, bias
    1: ([0.5, -1, 2], [0.3, -0.6, 0.1], 0.2),
    2: ([1, 3], [2, -1], 0.5),
    3: ([1, 2, 0.5], [0.4, -0.7, 1.2], 0.3),
    4: ([0.5, -1, 2], [0, 0, 0], 0.2),
}
LEARNERS = {8: ("sigmoid", 2.0, 0.5, 0.0, 1.0, 0.01), 9: ("ReLU", 3.0, 0.5, -0.5, 2.0, 0.1)}  # x, w, b, y, rate
LINES = {  # weights, bias
    "w = (2, −1), b = 0.5": ([2.0, -1.0], 0.5),
    "b = −2: the line moves": ([2.0, -1.0], -2.0),
    "w = (1, 2): the line turns": ([1.0, 2.0], 0.5),
}


def weighted_sum(x, w, b):
    """x (..., n) and w (n,) -> z (...)."""
    return np.asarray(x) @ np.asarray(w) + b


def learner(activation, x, w, b, y):
    """A neuron with one input and its loss; returns the Tensors x, w, b, z, a and L by name."""
    x, y = Tensor(x, requires_grad=False, name="x"), Tensor(y, requires_grad=False, name="y")
    w, b = Tensor(w, name="w"), Tensor(b, name="b")
    z = w * x + b
    a = ACTIVATIONS[activation][0](z)
    loss = (y - a) ** 2
    z.name, a.name, loss.name = "z", "a", "L"
    return {"x": x, "w": w, "b": b, "z": z, "a": a, "L": loss}


def step(activation, x, w, b, y, lr):
    """One step of gradient descent on the weight; returns the Tensors before it and the weight after it."""
    before = learner(activation, x, w, b, y)
    before["L"].backward()
    return before, w - lr * before["w"].grad.item()


def main(argv=None):
    parser = lesson.parser(__doc__, page=True)
    parser.add_argument("--points", type=lesson.integer(10, 1000), default=80, help="which the lines are to part")
    args = parser.parse_args(argv)
    if args.html:
        sliders(args.html)

    print("example  input          weights           bias      z    ReLU  sigmoid    tanh")
    for number, (x, w, b) in NEURONS.items():
        z = weighted_sum(x, w, b)
        answers = f"{relu(z).item():6.3f}  {sigmoid(z).item():7.4f}  {tanh(z).item():6.4f}"
        print(f"{number:7}  {x!s:<13}  {w!s:<16}  {b:4}  {z:5.2f}  {answers}")
    print("With every weight 0, in example 4, z is the bias whatever the input.\n")

    for number, (activation, x, w, b, y, lr) in LEARNERS.items():
        before, after = step(activation, x, w, b, y, lr)
        again = learner(activation, x, after, b, y)["L"].item()
        print(f"example {number}: x = {x:g}, w = {w:g}, b = {b:g}; {activation} gives {before['a']:.4f} and not {y:g}")
        print(before["L"].explain(before["w"]))
        print(f"A step of {lr:g} against it makes w {after:.6g}, and the loss {again:.4f} after {before['L']:.4f}.\n")

    points = np.random.default_rng(args.seed).uniform(-3, 3, (args.points, 2))
    labels = [weighted_sum(points, *line) > 0 for line in LINES.values()]
    for title, side in zip(LINES, labels, strict=True):
        print(f"{title + ':':28} {np.sum(side != labels[0]):2} of {args.points} points on the other side than at first")
    panels = {title: lambda x, line=line: weighted_sum(x, *line) for title, line in LINES.items()}
    lesson.save(plots.regions(panels, points, labels[0].astype(int)), args.out / "neuron_line.png")
    graph = learner(*LEARNERS[8][:-1])["L"].graph(title="a = sigmoid(wx + b), L = (y − a)²")
    lesson.save_graph(graph, args.out / "neuron_graph.svg")


def sliders(path):
    """The page: a neuron with one input, its answer, its loss and all the slopes."""
    controls = [
        slider("x", "input x", -5, 5, 2),
        slider("w", "weight w", -3, 3, 0.5),
        slider("b", "bias b", -3, 3, 0),
        slider("y", "target y", -1, 2, 1),
        choice("activation", "activation", ACTIVATIONS),
        slider("lr", "learning rate", 0, 1, 0.1),
    ]
    lead = "The weight makes the curve steeper and the bias moves it. Where does a step against ∂L/∂w take the loss?"
    write_page(
        path, "A neuron: a = f(wx + b), L = (y − a)²", lead, controls, ACTIVATIONS, Path(__file__).with_suffix(".js")
    )


if __name__ == "__main__":
    lesson.run(main)
