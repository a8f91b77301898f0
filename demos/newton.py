"""Second derivatives at work: they say how far to go, where the gradient only says in which direction.

Gradient descent must keep its steps short for the steepest direction, and creeps along all others.
Newton's step solves H step = -g, which divides every direction by its own curvature: one step to the bottom of a bowl.
For many parameters H is too large to write down, but conjugate gradients need only products H v, and `hvp` gives these.
Run it with `python demos/newton.py`: two valleys with two parameters, then a classifier of digits with 7,840.
"""

import time
from itertools import islice

import lesson
import numpy as np

from tinygrad_edu import cross_entropy, grad, hessian, hvp, plots

TOLERANCE = 1e-6  # length of the gradient at which a method is done
VALLEYS = {  # functions of x and y, where to start, and a learning rate that suits gradient descent
    "A bowl, (x² + 100 y²) / 2": (lambda x, y: (x**2 + 100 * y**2) / 2, (-2.0, 1.0), 2 / 101),
    "Rosenbrock's valley": (lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, (-1.2, 1.0), 1e-3),
}


def descent(f, x, lr):
    """Yields the points of gradient descent until the gradient is short enough, or no longer finite."""
    yield x
    g = grad(f)(x)
    while TOLERANCE < np.linalg.norm(g) < np.inf:
        x = x - lr * g
        yield x
        g = grad(f)(x)


def newton(f, x, direction):
    """Yields the points of Newton's method; a step that does not go down enough is halved (Armijo 1966)."""
    yield x
    g = grad(f)(x)
    while np.linalg.norm(g) > TOLERANCE:
        step = direction(f, x, g)
        if g @ step >= 0:  # the curve bends down: Newton would climb
            step = -g
        before = f(x)
        while f(x + step) > before + 1e-4 * (g @ step) and np.abs(step).max() > 1e-12:
            step = step / 2
        x = x + step
        yield x
        g = grad(f)(x)


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
        end = f"{f(x):10.5g}  {length:22.1e}" if length < 1e6 else "  diverged"
        print(f"{way:25}  {len(path) - 1:6,}  {path[-1][1]:6.2f}  {end}")
    print()
    return found


def valleys(most):
    """Both methods on functions of two variables; returns a figure of the steps in the second."""
    print(f"Each method stops where the gradient is shorter than {TOLERANCE:g}, or after {most:,} steps.\n")
    for name, (valley, start, lr) in VALLEYS.items():
        print(f"{name}:\n")
        f, x = (lambda p, valley=valley: valley(p[0], p[1])), np.array(start)
        found = compare(f, {"gradient descent": descent(f, x, lr), "Newton": newton(f, x, solved)}, most)
    paths = {f"{way}, {len(points) - 1:,} steps": points for way, (points, _) in found.items()}
    frame = {"xlim": (-1.5, 1.5), "ylim": (-0.6, 1.6), "minimum": (1, 1), "xlabel": "x", "ylabel": "y"}
    return plots.contours(valley, paths, **frame, title=name)


@np.errstate(over="ignore", invalid="ignore")  # a learning rate too high is reported in words
def digits(name, images, labels, lr, most):
    """Both methods on a classifier; returns a figure of the gradient over steps and over time."""
    f, w = softmax_regression(images, labels), np.zeros(images[0].size * 10)
    title = f"Softmax regression of {len(images):,} images of {name}"
    print(f"\n{title}: {w.size:,} weights.")
    print(f"The Hessian would fill {w.nbytes * w.size / 1e6:,.0f} MB, a product with it {w.nbytes / 1e6:.2f} MB.")
    print(f"Each method may take {most:,} steps here.\n")
    ways = {f"gradient descent, lr {lr:g}": descent(f, w, lr), "Newton, by products": newton(f, w, conjugate_gradients)}
    panels = {"over steps": {}, "over time": {}}
    for way, (points, seconds) in compare(f, ways, most).items():
        lengths = [np.linalg.norm(grad(f)(x)) for x in points]
        panels["over steps"][way] = range(len(points)), lengths
        panels["over time"][way] = seconds, lengths
    texts = {"xlabel": ["steps", "seconds"], "ylabel": "length of the gradient", "title": title, "markers": True}
    return plots.curves(panels, **texts, yscale="log", xscale=["symlog", "linear"])


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    parser.add_argument("--steps", type=lesson.integer(1), default=500, help="most on digits; in the valleys 40 times")
    parser.add_argument("--images", type=lesson.integer(1), default=1000, help="how many digits")
    parser.add_argument("--lr", type=lesson.above(0), default=0.5, help="rate of gradient descent on digits")
    args = parser.parse_args(argv)
    name, (images, labels, *_) = lesson.load_digits(args)
    lesson.save(valleys(40 * args.steps), args.out / "newton_valley.png")
    chosen = np.random.default_rng(args.seed).permutation(len(labels))[: args.images]
    lesson.save(digits(name, images[chosen], labels[chosen], args.lr, args.steps), args.out / "newton_digits.png")


if __name__ == "__main__":
    lesson.run(main)
