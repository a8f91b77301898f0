"""The learning rate: how far to go against the slope, the one number that must be right.

Too small, and nothing moves; larger, and each step brings the loss down; larger still, and it jumps across the valley.
Beyond 2 divided by the curvature of the valley each jump ends higher than it began, and the descent diverges.
A real loss has no formula for its curvature, but `lr_finder` tries ever larger rates and shows where the loss falls.
Run it with `python demos/learning_rate.py`; `--html FILE` also writes a page with sliders.
"""

import sys
from pathlib import Path

import lesson
import numpy as np
from page import choice, slider, write_page

from tinygrad_edu import Tensor, data, grad, manual_seed, nn, optim, plots
from tinygrad_edu.training import fit

FUNCTIONS = {  # of x, and for the page value, slope and curvature in JavaScript, where x is called z
    "x²": (lambda x: x**2, "z * z", "2 * z", "2"),
    "4 x²": (lambda x: 4 * x**2, "4 * z * z", "8 * z", "8"),
    "x⁴/4 − x² + x/4": (
        lambda x: x**4 / 4 - x**2 + x / 4,
        "z ** 4 / 4 - z * z + z / 4",
        "z ** 3 - 2 * z + 1 / 4",
        "3 * z * z - 2",
    ),
}
RATES = {"too small": 0.02, "right": 0.4, "too large": 0.95, "diverging": 1.03}
START, NEAR, LONG = -2.0, 1e-3, 400
MULTIPLES = (0.01, 0.1, 1, 10, 100)


def descend(f, start, lr, steps):
    """Gradient descent; returns the places (steps + 1,)."""
    x = Tensor(start, name="x")
    optimizer, places = optim.SGD([x], lr=lr), [x.item()]
    with np.errstate(all="ignore"):  # overflow is where divergence leads
        for _ in range(steps):
            optimizer.zero_grad()
            f(x).backward()
            optimizer.step()
            places.append(x.item())
    return np.array(places)


def valley(steps):
    """Descends into x² at four rates, prints a table, and returns the figure."""
    f, panels = FUNCTIONS["x²"][0], {}
    curvature = grad(grad(f))(0.0)
    print(f"x² from {START:g}: its curvature is {curvature:g}, so a step multiplies x by 1 - {curvature:g} lr")
    print(f"              lr  factor  x after 1        2        3  {steps:7}  steps to |x| < {NEAR:g}")
    for title, lr in RATES.items():
        x = descend(f, START, lr, LONG)
        near = np.flatnonzero(np.abs(x) < NEAR)
        needed = near[0] if len(near) else f"> {LONG}"
        places = "  ".join(f"{x[k].round(4) + 0:7.4f}" for k in (1, 2, 3, steps))  # + 0: no -0
        print(f"{title:10}  {lr:4}  {1 - lr * curvature:6.2f}    {places}  {needed:>8}")
        x = x[: steps + 1]
        line = np.linspace(-1.1, 1.1, 201) * np.abs(x).max()
        panels[f"{title}: lr = {lr}"] = {"x²": (line, f(line).data), f"{steps} steps": (x, f(x).data)}
    print(f"Below 2 / {curvature:g} = {2 / curvature:g} the factor is between -1 and 1 and x shrinks; above, x grows.")
    return plots.curves(panels, xlabel="x", ylabel="x²", markers=[f"{steps} steps"])


def network(images, labels, lr, seed):
    """A small network at its first weights, its batches in their first order, its optimizer and its loss."""
    manual_seed(seed)
    model = nn.MLP([784, 128, 10])
    batches = data.DataLoader(images, labels, 64, shuffle=True, seed=seed)
    return (model, batches), {"optimizer": optim.SGD(model.parameters(), lr=lr), "loss": nn.CrossEntropyLoss()}


def finder(name, images, labels, epochs, seed):
    """Finds a rate for a network on these digits, trains with it and its multiples, prints, and returns the figure."""
    parts, options = network(images, labels, 0.1, seed)  # lr_finder sets the rate
    found = optim.lr_finder(*parts, **options, start_lr=1e-4, end_lr=100)
    if found.suggestion is None:
        sys.exit("error: the loss never fell in the range test; try another --seed or more --images")
    digits = f"{len(labels):,} images of {name}"
    print(f"\nlr_finder tried {len(found.lrs)} rates on 784-128-10 and {digits}, and suggests {found.suggestion:.3g}")
    print(f"                      lr  mean loss and accuracy during epoch {epochs}")
    trainings, last = {}, {}
    for multiple in MULTIPLES:
        lr = multiple * found.suggestion
        parts, options = network(images, labels, lr, seed)
        try:
            with np.errstate(all="ignore"):
                history = fit(*parts, **options, epochs=epochs, progress=False)
        except FloatingPointError:
            print(f"{multiple:4g} times it {lr:10.3g}  diverged")
            continue
        last[lr] = history[-1]["train_loss"]
        print(f"{multiple:4g} times it {lr:10.3g}  {last[lr]:6.3f}  {history[-1]['train_accuracy']:.1%}")
        trainings[f"{multiple:g} × suggestion"] = history["epoch"], history["train_loss"]
    if last:
        print(f"The lowest loss came with lr {min(last, key=last.get):.3g}: the suggestion is where to begin looking.")
    height = [np.nanmin(found.losses), found.losses[0]]
    test = {"range test": (found.lrs, found.losses), "suggestion": ([found.suggestion] * 2, height)}
    panels = {f"range test on {name}": test, f"training on {name}": trainings}
    axes = {"xlabel": ["learning rate", "epoch"], "xscale": ["log", "linear"], "ylabel": "loss", "yscale": "log"}
    return plots.curves(panels, **axes, markers=True)


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True, page=True)
    parser.add_argument("--steps", type=lesson.integer(4, LONG), default=20, help="of the descents on x²")
    parser.add_argument("--images", type=lesson.integer(1000), default=20_000, help="for the network to train on")
    parser.add_argument("--epochs", type=lesson.integer(1), default=4, help="of the network, for each rate")
    args = parser.parse_args(argv)
    if args.html:
        sliders(args.html)
    name, (images, labels, *_) = lesson.load_digits(args)
    lesson.save(valley(args.steps), args.out / "learning_rate_valley.png")
    figure = finder(name, lesson.flat(images[: args.images]), labels[: args.images], args.epochs, args.seed)
    lesson.save(figure, args.out / "learning_rate_finder.png")


def sliders(path):
    """The page: a descent on one of the functions."""
    controls = [
        choice("f", "function f(x)", FUNCTIONS),
        slider("start", "start x", -3, 3, START, 0.05),
        slider("lr", "learning rate", 0, 1.2, 0.4),
        slider("steps", "steps", 1, 40, 20, 1),
    ]
    lead = "Where does it begin to zigzag, where to diverge? Which valley does the third function end in?"
    write_page(
        path, "Gradient descent: x ← x − lr · slope", lead, controls, FUNCTIONS, Path(__file__).with_suffix(".js")
    )


if __name__ == "__main__":
    lesson.run(main)
