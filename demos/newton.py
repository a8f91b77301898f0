"""Second derivatives at work: they say how far to go, where the gradient only says in which direction.

Gradient descent must keep its steps short for the steepest direction, and creeps along all others.
Newton's step solves H step = -g, which divides every direction by its own curvature: one step to the bottom of a bowl.
For many parameters H is too large to write down, but conjugate gradients need only products H v, and `hvp` gives these.
Run it with `python demos/newton.py`: two valleys with two parameters, then a classifier of digits with 7,840.
"""

import argparse
import os
import time
from itertools import islice
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # demos/mnist.py says why

import numpy as np
from lesson import OUT, folder, load_digits, needs, run

from tinygrad_edu import cross_entropy, grad, hessian, hvp, plots

needs("matplotlib")

TOLERANCE = 1e-6  # length of the gradient at which a method is done
VALLEYS = {  # functions of x and y, where to start, and a learning rate that suits gradient descent
    "A bowl, (x² + 100 y²) / 2": (lambda x, y: (x**2 + 100 * y**2) / 2, (-2.0, 1.0), 2 / 101),
    "Rosenbrock's valley": (lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, (-1.2, 1.0), 1e-3),
}


def descent(f, x, lr):
    """Yields the points of gradient descent until the gradient is short enough, or no longer finite."""
    yield x
    while TOLERANCE < np.linalg.norm(g := grad(f)(x)) < np.inf:
        yield (x := x - lr * g)


def newton(f, x, direction):
    """Yields the points of Newton's method; a step that does not go down enough is halved (Armijo 1966)."""
    yield x
    while np.linalg.norm(g := grad(f)(x)) > TOLERANCE:
        step = direction(f, x, g)
        if g @ step >= 0:  # the curve bends down: Newton would climb
            step = -g
        before = f(x)
        while f(x + step) > before + 1e-4 * (g @ step) and np.abs(step).max() > 1e-12:
            step = step / 2
        yield (x := x + step)


def solved(f, x, g):
    """Newton's direction from the whole Hessian."""
    return np.linalg.solve(hessian(f)(x), -g)


def conjugate_gradients(f, x, g, most=100):
    """Newton's direction from Hessian-vector products alone (Hestenes & Stiefel 1952).

    It need not be exact while the gradient is long (Dembo, Eisenstat & Steihaug 1982).
    """
    step, residual, v = np.zeros_like(g), -g, -g
    goal = min(0.5, np.linalg.norm(g) ** 0.5) * np.linalg.norm(g)
    for _ in range(most):
        product, squared = hvp(f, x, v), residual @ residual
        length = squared / (v @ product)
        step, residual = step + length * v, residual - length * product
        if np.linalg.norm(residual) < goal:
            break
        v = residual + (residual @ residual) / squared * v
    return step


def softmax_regression(images, labels):
    """The loss of logits = pixels @ w as a function of the weights w (pixels * 10,), with a little weight decay."""
    x = images.reshape(len(images), -1) / 255
    return lambda w: cross_entropy(x @ w.reshape(-1, 10), labels) + 5e-3 * (w * w).sum()


def compare(f, ways, most):
    """Runs at most so many steps of each method and prints where they lead; returns {name: (points, seconds)}."""
    found = {}
    print("method                     steps  seconds        loss  length of the gradient")
    for way, points in ways.items():
        start, path = time.perf_counter(), []
        for x in islice(points, most + 1):
            path.append((x, time.perf_counter() - start))
        found[way] = [np.array(column) for column in zip(*path, strict=True)]
        length = np.linalg.norm(grad(f)(x))
        end = f"{f(x):10.5g}  {length:22.1e}" if length < np.inf else "  diverged"
        print(f"{way:25}  {len(path) - 1:6,}  {path[-1][1]:6.2f}  {end}")
    return found


def valleys(path, most):
    """Both methods on functions of two variables; draws the steps in the second."""
    for name, (valley, start, lr) in VALLEYS.items():
        print(f"{name}:\n")
        f, x = (lambda p, valley=valley: valley(p[0], p[1])), np.array(start)
        found = compare(f, {"gradient descent": descent(f, x, lr), "Newton": newton(f, x, solved)}, most)
        steps = {way: len(points) - 1 for way, (points, _) in found.items()}
        there = np.linalg.norm(grad(f)(found["gradient descent"][0][-1])) <= TOLERANCE
        rest = "" if there else " and is not there"
        print(f"\nSteps: Newton takes {steps['Newton']}, gradient descent {steps['gradient descent']:,}{rest}.\n")
    paths = {f"{way}, {steps[way]:,} steps": points for way, (points, _) in found.items()}
    frame = {"xlim": (-1.5, 1.5), "ylim": (-0.6, 1.6), "minimum": (1, 1), "xlabel": "x", "ylabel": "y"}
    plots.contours(valley, paths, **frame, title=name).savefig(path, dpi=150)
    print(f"picture: {path}\n")


@np.errstate(over="ignore", invalid="ignore")  # a learning rate too high is reported in words
def digits(path, images, labels, note, lr, most):
    """Both methods on a classifier; draws them over steps and over time."""
    f, w = softmax_regression(images, labels), np.zeros(images[0].size * 10)
    title = f"Softmax regression of {len(images):,} digits{note}"
    print(f"{title}: {w.size:,} weights.")
    whole, product = w.nbytes * w.size / 1e6, w.nbytes / 1e6
    print(f"The Hessian would fill {whole:,.0f} MB, its product with a vector {product:.2f} MB.\n")
    ways = {f"gradient descent, lr {lr:g}": descent(f, w, lr), "Newton, by products": newton(f, w, conjugate_gradients)}
    panels, ends = {"over steps": {}, "over time": {}}, []
    for way, (points, seconds) in compare(f, ways, most).items():
        lengths = [np.linalg.norm(grad(f)(x)) for x in points]
        panels["over steps"][way], panels["over time"][way] = (range(len(points)), lengths), (seconds, lengths)
        end = f"{lengths[-1]:.0e}" if lengths[-1] < np.inf else "diverged"
        ends.append(f"{end} after {seconds[-1]:.2f} s of {way.split(',')[0]}")
    print(f"\nLength of the gradient here{note}: {', '.join(ends)}.")
    texts = {"xlabel": ["steps", "seconds"], "ylabel": "length of the gradient", "title": title, "markers": True}
    plots.curves(panels, **texts, yscale="log", xscale=["log", "linear"]).savefig(path, dpi=150)
    print(f"picture: {path}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="most steps on digits; in the valleys 40 times as many")
    parser.add_argument("--images", type=int, default=1000, help="how many digits")
    parser.add_argument("--lr", type=float, default=0.5, help="learning rate of gradient descent on digits")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of digits")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    args = parser.parse_args(argv)
    if min(args.steps, args.images) < 1 or not 0 < args.lr < np.inf or args.seed < 0:
        parser.error("--steps and --images must be at least 1, --lr above 0 and finite, --seed at least 0")
    folder(parser, args.out)
    name, (images, labels, _, _) = load_digits()
    valleys(args.out / "newton_valley.png", 40 * args.steps)
    chosen = np.random.default_rng(args.seed).permutation(len(labels))[: args.images]
    note = "" if name == "MNIST" else f" ({name})"
    digits(args.out / "newton_digits.png", images[chosen], labels[chosen], note, args.lr, args.steps)


if __name__ == "__main__":
    run(main)
