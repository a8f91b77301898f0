"""Gradient checking: is what backward() finds the slope that one measures?

A difference quotient needs no theory: move one number by h, see how much the loss moves, divide.
A short step loses to rounding, a long one-sided step to the curve's bend, so the error over the step makes a V.
The central difference (f(x + h) - f(x - h)) / 2h cancels the bend; its long steps lose to how that changes, a deeper V.
It costs two evaluations for each parameter where backward() costs one pass for all, so it is for checking alone.
Run it with `python demos/gradcheck.py`: it draws the V and the cost, and lets the library's `gradcheck` find a mistake.
"""

import time

import lesson
import numpy as np

from tinygrad_edu import gradcheck, plots, value_and_grad


def neuron(n, rng, dtype=np.float64):
    """The squared error of a tanh neuron over 8 examples as a function of its n weights; and weights to start from."""
    x, target, w = rng.normal(size=(8, n)) / np.sqrt(n), rng.normal(size=8), rng.normal(size=n)
    x, target, w = x.astype(dtype), target.astype(dtype), w.astype(dtype)
    return lambda w: ((np.tanh(x @ w) - target) ** 2).sum(), w


def moved(w, i, h):
    """A copy of w with h added to its i-th number."""
    w = w.copy()
    w[i] += h
    return w


def one_sided(f, w, h):
    """Difference quotients (f(w + h) - f(w)) / h, one weight at a time: n + 1 evaluations."""
    start = f(w)
    return np.array([(f(moved(w, i, h)) - start) / h for i in range(len(w))])


def central(f, w, h):
    """Difference quotients (f(w + h) - f(w - h)) / 2h: 2 n evaluations."""
    return np.array([(f(moved(w, i, h)) - f(moved(w, i, -h))) / (2 * h) for i in range(len(w))])


CURVES = {
    "one-sided, float64": (one_sided, np.float64),
    "central, float64": (central, np.float64),
    "central, float32": (central, np.float32),
}


def errors(measure, dtype, steps, seed):
    """The relative error |measured - exact| / |exact| at each length of the step; exact is float64's backward()."""
    f, w = neuron(10, np.random.default_rng(seed), dtype)
    exact_f, exact_w = neuron(10, np.random.default_rng(seed))
    exact = value_and_grad(exact_f)(exact_w)[1]
    found = [measure(f, w, dtype(h)) - exact for h in steps]
    return np.linalg.norm(found, axis=1) / np.linalg.norm(exact)


def cost(n, seed, repeats=3):
    """Milliseconds for all n slopes by backward() and by central differences, the shortest of several attempts."""
    f, w = neuron(n, np.random.default_rng(seed))
    ways = (value_and_grad(f), lambda w: central(f, w, 1e-5))
    best = []
    for way in ways:
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            way(w)
            taken.append(1e3 * (time.perf_counter() - start))
        best.append(min(taken))
    return best


def mistaken(x):
    """x squared, with one x detached too many: the value is right, the gradient half."""
    return (x * x.detach()).sum()


def main(argv=None):
    parser = lesson.parser(__doc__)
    sizes = [10, 30, 100, 300, 1000, 3000]
    parser.add_argument(
        "--sizes", type=lesson.integer(1, 10_000), nargs="+", default=sizes, help="numbers of parameters"
    )
    args = parser.parse_args(argv)

    steps = np.logspace(-14, 0, 57)
    found = {name: errors(measure, dtype, steps, args.seed) for name, (measure, dtype) in CURVES.items()}
    print("Error of the measured gradient of a neuron with 10 weights, relative to backward():\n")
    print("step h  " + "  ".join(f"{name:>18}" for name in found))
    for i in range(0, len(steps), 8):
        print(f"{steps[i]:6.0e}  " + "  ".join(f"{curve[i]:18.1e}" for curve in found.values()))
    print("\nat best " + "  ".join(f"{curve.min():18.1e}" for curve in found.values()))
    print("with h ~" + "  ".join(f"{steps[curve.argmin()]:18.1e}" for curve in found.values()))
    i, j = np.searchsorted(steps, [0.9e-3, 0.9e-2])
    grown = [found[name][j] / found[name][i] for name in list(CURVES)[:2]]
    print("\nShort steps lose to rounding; the shortest do not change a float32 at all: slope 0, error 1.")
    print("One-sided, long ones lose to the bend; central, to how the bend changes:")
    print(f"from {steps[i]:.0e} to {steps[j]:.0e} the errors grow {grown[0]:.0f}-fold and {grown[1]:.0f}-fold.")

    print("\nparameters  evaluations  by differences  by backward()   ratio")
    times = {n: cost(n, args.seed) for n in sorted(set(args.sizes))}
    for n, (backward, differences) in times.items():
        print(f"{n:10,}  {2 * n:11,}  {differences:11.2f} ms  {backward:10.2f} ms  {differences / backward:6.1f}")
    print("\nDifferences take two evaluations for each parameter; backward() takes all slopes in one pass.")

    print(f"\ngradcheck of the neuron: {gradcheck(*neuron(10, np.random.default_rng(args.seed)))}")
    try:
        gradcheck(mistaken, [3.0])
    except AssertionError as error:
        print(f"gradcheck of x * x.detach():\n  {error}\n")

    n = list(times)
    backward, differences = np.transpose([*times.values()])
    panels = {"Error of the measured gradient": {name: (steps, curve) for name, curve in found.items()}}
    panels["Time for all slopes"] = {"backward()": (n, backward), "central differences": (n, differences)}
    texts = {"xlabel": ["step h", "parameters"], "ylabel": ["relative error", "milliseconds"]}
    figure = plots.curves(panels, **texts, xscale="log", yscale="log", markers=True)
    lesson.save(figure, args.out / "gradcheck.png")


if __name__ == "__main__":
    lesson.run(main)
