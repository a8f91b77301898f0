"""Tries a grid of learning rates, batch sizes, widths and depths, and shows the accuracy of each choice in one table.

In the default grid the rate decides most: ten times too much learns little or nothing, ten times too little learns
late; the best rate depends on the batch size, as a larger batch makes fewer steps an epoch; width and depth matter
less.
Each choice is judged on validation images, and only the chosen one on the test images: the best of a hundred owes some
of its score to luck, and test images it was not chosen on do not repeat the luck.
Run it with `python demos/hyperparameters.py`; what it has found is kept in a file, so that after Ctrl-C the same
command goes on where it was, and one with further values runs only those.
"""

import itertools
import json
import sys
from contextlib import suppress

import lesson
import numpy as np

from tinygrad_edu import data, manual_seed, nn, no_grad, optim, plots
from tinygrad_edu.checks import check_number
from tinygrad_edu.files import check_regular, naming, visible, write_atomically
from tinygrad_edu.training import accuracy, fit

NAMES = ("lr", "batch_size", "depth", "width")


def train(setting, training, validation, seed, epochs):
    """Trains a network with a setting; returns it and its accuracy on the images of validation.

    A loss that is not finite any more ends the training, and the network is judged as it is.
    """
    manual_seed(seed)
    hidden = [setting["width"]] * setting["depth"]
    model = nn.MLP([784, *hidden, 10])
    loader = data.DataLoader(*training, setting["batch_size"], shuffle=True, seed=seed)
    optimizer = optim.Adam(model.parameters(), lr=setting["lr"])
    with np.errstate(over="ignore", invalid="ignore"):
        with suppress(FloatingPointError):
            fit(model, loader, optimizer=optimizer, loss=nn.CrossEntropyLoss(), epochs=epochs, progress=False)
        return model, score(model, *validation)


@no_grad()
def score(model, images, labels):
    """The accuracy on images of shape (n, 784)."""
    return accuracy(model(images).data.argmax(axis=1), labels)


def key(record):
    """What two records of the same run have in common, as text."""
    return json.dumps({name: value for name, value in record.items() if name != "val_accuracy"}, sort_keys=True)


def read(path):
    """The accuracies in a file of JSON lines by key; a last line that an interruption cut off is taken away.

    A line that is not from here ends the program.
    """
    check_regular(path, "a file of results")
    content = path.read_bytes() if path.exists() else b""
    complete, found = content[: content.rfind(b"\n") + 1], {}
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            record = json.loads(line)
            found[key(record)] = check_number("val_accuracy", record["val_accuracy"], at_least=0, at_most=1)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            sys.exit(f"error: {path}, line {number} is not a result of this demo; take another --out")
    if complete != content:
        write_atomically(path, complete)
    return found


def search(settings, path, common, training, validation):
    """The accuracies on the validation images, of all settings; those that are in the file are not run again."""
    from tqdm import tqdm  # here, so that the lesson can say what is missing

    found = read(path)
    missing = [setting for setting in settings if key(setting | common) not in found]
    if len(missing) < len(settings):
        print(f"{len(settings) - len(missing)} of {len(settings)} results are in {visible(path)} already")
    with naming(path), path.open("a", encoding="utf-8") as file:
        for setting in tqdm(missing, desc="grid", leave=False, disable=None):  # no bar without a terminal
            _, val_accuracy = train(setting, training, validation, common["seed"], common["epochs"])
            file.write(json.dumps(setting | common | {"val_accuracy": val_accuracy}) + "\n")
            file.flush()
            found[key(setting | common)] = val_accuracy
    return [found[key(setting | common)] for setting in settings]


def report(grid, values):
    """Prints the accuracies, shape (rates, batch sizes, depths, widths), and what is seen there."""
    nets = list(itertools.product(grid["depth"], grid["width"]))
    print(f"{'depth':>20}", *(f"{depth:5}" for depth, _ in nets))
    print(f"{'lr':>7}{'batch':>7}{'width':>6}", *(f"{width:5}" for _, width in nets))
    ways = itertools.product(grid["lr"], grid["batch_size"])
    for (lr, size), row in zip(ways, values.reshape(-1, len(nets)), strict=True):
        print(f"{lr:7g} {size:6}      ", *(f"{100 * value:5.1f}" for value in row))
    means = [values.mean(axis=tuple({0, 1, 2, 3} - {axis})) for axis in range(4)]
    moved = [f"{name} {100 * np.ptp(mean):.0f}" for name, mean in zip(NAMES, means, strict=True) if len(mean) > 1]
    if moved:
        print(f"Points of accuracy between the best and the worst choice, others averaged: {', '.join(moved)}.")
    rates = [grid["lr"][i] for i in values.mean(axis=(2, 3)).argmax(axis=0)]
    pairs = [f"{rate:g} for {size}" for rate, size in zip(rates, grid["batch_size"], strict=True)]
    print(f"Best rate by batch size, likewise: {', '.join(pairs)}.")


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True, needs=("matplotlib", "tqdm"))
    size, few = lesson.integer(1), lesson.integer(1, most=10_000)
    parser.add_argument("--lr", type=lesson.above(0), nargs="+", default=[0.1, 0.01, 0.001, 0.0001], help="of Adam")
    parser.add_argument("--batch-size", type=size, nargs="+", default=[16, 64, 256])
    parser.add_argument("--depth", type=few, nargs="+", default=[1, 2, 3], help="numbers of hidden layers")
    parser.add_argument("--width", type=few, nargs="+", default=[32, 64, 128], help="sizes of the hidden layers")
    parser.add_argument("--images", type=lesson.integer(2), default=2000, help="to train on; half as many to validate")
    parser.add_argument("--epochs", type=size, default=3)
    args = parser.parse_args(argv)
    grid, n = {name: list(dict.fromkeys(getattr(args, name))) for name in NAMES}, args.images
    source, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    if n + n // 2 > len(labels):
        parser.error(f"argument --images: at most {len(labels) * 2 // 3:,}, two thirds of {source}'s {len(labels):,}")
    x, labels = lesson.flat(images[: n + n // 2]), labels[: n + n // 2]
    training, validation = (x[:n], labels[:n]), (x[n:], labels[n:])

    settings = [dict(zip(NAMES, values, strict=True)) for values in itertools.product(*grid.values())]
    common = {"digits": source, "images": n, "epochs": args.epochs, "seed": args.seed}
    path = args.out / "hyperparameters.jsonl"
    scores = search(settings, path, common, training, validation)
    values = np.reshape(scores, [len(choices) for choices in grid.values()])
    title = f"validation accuracy in %, {args.epochs} epochs on {n:,} images of {source}"
    print(title)
    report(grid, values)
    best = settings[int(np.argmax(scores))]
    model, _ = train(best, training, validation, args.seed, args.epochs)
    chosen = ", ".join(f"{name} {value}" for name, value in best.items())
    right = score(model, lesson.flat(test_images), test_labels)
    print(f"Best: {chosen}; {max(scores):.1%} of the validation and {right:.1%} of the test images.")
    print(f"results: {visible(path)}")
    rows = [f"{lr}, {size}" for lr, size in itertools.product(grid["lr"], grid["batch_size"])]
    columns = [f"{depth}, {width}" for depth, width in itertools.product(grid["depth"], grid["width"])]
    axes = {"xlabel": "depth, width", "ylabel": "learning rate, batch size", "fmt": "{:.0f}", "title": title}
    figure = plots.table(100 * values.reshape(len(rows), len(columns)), rows, columns, **axes)
    lesson.save(figure, args.out / "hyperparameters.png")


if __name__ == "__main__":
    lesson.run(main, "; the same command goes on")
