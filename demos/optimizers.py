"""Compares optimizers on a ravine of two variables and on handwritten digits: same start, same batches, other steps.

Plain gradient descent (SGD) zigzags between the steep walls of a ravine, which limit its rate, and so creeps along the
floor; momentum keeps nine tenths of its last step, so that steps along the floor grow while those across swing and die
out, and Nesterov, which looks a step ahead, swings less.
RMSprop and Adam divide each coordinate by the size of its recent gradients, so that along and across a ravine on an
axis their steps are of one size; turn it with `--angle 45`, and RMSprop has its troubles too.
On the digits momentum, at SGD's rate, and Adam are ahead from the first epoch, but SGD at ten times that rate
(`--lr 0.1`) keeps up with them: an optimizer is only as good as its rate.
Run it with `python demos/optimizers.py`; without MNIST's files and network it trains on synthetic digits and says so.
"""

import math
from functools import partial

import lesson
import numpy as np

from tinygrad_edu import Tensor, data, manual_seed, nn, optim, plots
from tinygrad_edu.training import fit

OPTIMIZERS = {
    "SGD": optim.SGD,
    "momentum": partial(optim.SGD, momentum=0.9),
    "Nesterov": partial(optim.SGD, momentum=0.9, nesterov=True),
    "RMSprop": optim.RMSprop,
    "Adam": optim.Adam,
}
RAVINE_RATES = {"SGD": 0.036, "momentum": 0.025, "Nesterov": 0.025, "RMSprop": 0.1, "Adam": 0.5}
DIGITS_RATES = {"SGD": 0.01, "momentum": 0.01, "Adam": 0.001}
BATCH = 64  # of digits
ALONG, ACROSS, STEPS = -10.0, 1.5, 200  # where the descent of the ravine begins, and how many steps it has


def ravine(x, y, angle=0.0):
    """Height (u² + 50 v²) / 2, where u runs along the ravine and v across; angle in radians."""
    u, v = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    return 0.5 * (u * u + 50 * v * v)


def descend(name, angle=0.0):
    """The path of an optimizer down the ravine, shape (STEPS + 1, 2)."""
    cos, sin = math.cos(angle), math.sin(angle)
    point = Tensor([cos * ALONG - sin * ACROSS, sin * ALONG + cos * ACROSS])
    optimizer = OPTIMIZERS[name]([point], lr=RAVINE_RATES[name])
    path = [point.data.copy()]
    for _ in range(STEPS):
        height = ravine(point[0], point[1], angle)
        optimizer.zero_grad()
        height.backward()
        optimizer.step()
        path.append(point.data.copy())
    return np.array(path)


def arrival(heights, bottom=0.01):
    """The number of steps after which the height stays below the bottom; None if it does not."""
    above = np.flatnonzero(heights >= bottom)
    return None if above[-1] == len(heights) - 1 else int(above[-1]) + 1


def train(name, rate, training, test, epochs, seed):
    """Trains 784-256-10 on images and labels and returns the history; the images of `test` are only looked at."""
    manual_seed(seed)
    model = nn.MLP([784, 256, 10])
    optimizer = OPTIMIZERS[name](model.parameters(), lr=rate)
    batches = data.DataLoader(*training, BATCH, shuffle=True, seed=seed, transform=lesson.flat)  # the same for all
    loss = nn.CrossEntropyLoss()
    return fit(model, batches, optimizer=optimizer, loss=loss, epochs=epochs, validation=test, progress=False)


def row(name, rate, history):
    """The line of the table for a history."""
    reached = next((str(record["epoch"]) for record in history if record["val_accuracy"] >= 0.95), "never")
    lowest = min(history, key=lambda record: record["val_loss"])
    text = f"{name:9}  {rate:5}  {reached:>21}  {history[-1]['val_accuracy']:13.2%}"
    return f"{text}  {min(history['train_loss']):17.4g}  {lowest['val_loss']:16.4g} (epoch {lowest['epoch']})"


def race(angle):
    """All optimizers down the ravine, turned by so many degrees: prints a table, and returns a figure of the paths."""
    height = partial(ravine, angle=math.radians(angle))
    paths = {name: descend(name, math.radians(angle)) for name in OPTIMIZERS}
    turned = f", turned by {angle:g} degrees" if angle else ""
    print(f"(u² + 50 v²) / 2 from u = {ALONG}, v = {ACROSS}{turned}; rates chosen by hand")
    print(f"optimizer   rate  steps to stay below 0.01  after {STEPS} steps")
    for name, path in paths.items():
        heights = height(*path.T)
        print(f"{name:9}  {RAVINE_RATES[name]:5}  {arrival(heights) or 'more':>24}  {heights[-1]:15.1e}")
    begun = {name: path[:61] for name, path in paths.items()}  # later ones crowd around the minimum
    corners = np.concatenate([*begun.values()])
    (left, low), (right, high) = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    frame = {"xlim": (left, right), "ylim": (low, high), "minimum": (0, 0)}
    frame |= {"xlabel": "x", "ylabel": "y"} if turned else {"xlabel": "u", "ylabel": "v"}
    return plots.contours(height, begun, **frame, title=f"60 steps down a ravine, (u² + 50 v²) / 2{turned}")


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    parser.add_argument("--angle", type=lesson.real(-360, 360), default=0.0, help="degrees to turn the ravine by")
    rate = DIGITS_RATES["SGD"]
    parser.add_argument("--lr", type=lesson.above(0, 1e38), default=rate, help="rate of SGD on the digits")
    parser.add_argument("--epochs", type=lesson.integer(1), default=10)
    args = parser.parse_args(argv)
    lesson.save(race(args.angle), args.out / "optimizers_ravine.png")

    source, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    training = images, labels
    test = data.DataLoader(test_images, test_labels, 2000, transform=lesson.flat)
    print(f"\n784-256-10 on {source}, batches of {BATCH}, epochs: {args.epochs}")
    print("optimizer   rate  epochs to 95% of test  test accuracy  lowest train loss  lowest test loss")
    histories = {}
    for name, rate in {**DIGITS_RATES, "SGD": args.lr}.items():
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                histories[name] = train(name, rate, training, test, args.epochs, args.seed)
        except FloatingPointError:
            print(f"{name:9}  {rate:5}  its loss is not a number any more; try a smaller --lr")
        else:
            print(row(name, rate, histories[name]), flush=True)
    ranked = sorted(histories, key=lambda name: min(histories[name]["val_loss"]))
    best, worst = ranked[0], ranked[-1]
    target = min(histories[worst]["val_loss"])
    epoch = next(record["epoch"] for record in histories[best] if record["val_loss"] <= target)
    print(f"After epoch {epoch}, {best} has as low a test loss as {worst} ever gets.")
    panels = {
        title: {name: (history["epoch"], history[column]) for name, history in histories.items()}
        for title, column in (("training loss", "train_loss"), ("test loss", "val_loss"))
    }
    title, scales = f"784-256-10 on {source}, one seed", ("log", "linear")
    figure = plots.curves(panels, xlabel="epoch", ylabel="cross-entropy", yscale=scales, title=title, markers=True)
    lesson.save(figure, args.out / "optimizers_digits.png")


if __name__ == "__main__":
    lesson.run(main)
