"""Batch norm: each unit gets mean 0 and variance 1 over the batch, then a scale and a shift that are learned.

Whatever the weights before it grow to, the next layer gets numbers of one size, so that steps may be longer: the
same network is trained with and without, at learning rates that the plain one does not survive.
The price is that in training mode the answer for one image depends on the others in its batch.
In evaluation mode running averages take the place of the batch; who forgets model.eval() gets answers that change with
the company, and wrong ones if it is small or all alike.
Run it with `python demos/batch_norm.py`; without MNIST it trains on synthetic digits and says so.
"""

import math
import sys

import lesson
import numpy as np

from tinygrad_edu import data, nn, no_grad, optim, plots
from tinygrad_edu.training import fit

LABELS = {False: "plain", True: "batch norm"}
SIZES = (2, 10, 50, 200, 500)  # of the batches that a trained network is asked about


def train(batch_norm, lr, images, labels, epochs, seed):
    """Trains 784-100-100-10 with SGD and a cosine schedule; returns the model and its last loss, NaN if it diverged."""
    nn.init.manual_seed(seed)
    model = nn.MLP([784, 100, 100, 10], batch_norm=batch_norm)
    batches = {"shuffle": True, "seed": seed, "drop_last": len(images) > 128, "transform": lesson.flat}
    loader = data.DataLoader(images, labels, 128, **batches)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    schedule, loss = optim.CosineAnnealingLR(optimizer, epochs), nn.CrossEntropyLoss()
    try:
        options = {"loss": loss, "epochs": epochs, "scheduler": schedule, "progress": False}
        with np.errstate(over="ignore", invalid="ignore"):
            return model, fit(model, loader, optimizer=optimizer, **options)["train_loss"][-1]
    except FloatingPointError:
        return model, math.nan


@no_grad()
def share_right(model, images, labels, size=500):
    """Accuracy of the model, in the mode it is in, on batches of so many images in the order they have."""
    loader = data.DataLoader(images, labels, size, drop_last=len(images) > size, transform=lesson.flat)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean([model(x).data.argmax(axis=1) == y for x, y in loader]))


def share_right_by_digit(model, images, labels, size):
    """The mean accuracy on the ten digits, each in batches of its own."""
    digits = [(images[labels == digit], labels[labels == digit]) for digit in np.unique(labels)]
    return float(np.mean([share_right(model, *digit, min(size, len(digit[1]))) for digit in digits]))


def company(model, images, labels):
    """Accuracy by batch size: in evaluation mode, in training mode, and so on batches of one digit each."""
    found = {"eval mode": [share_right(model.eval(), images, labels, size) for size in SIZES]}
    model.train()  # from here on the running averages move, but nothing uses them
    found["train mode, mixed digits"] = [share_right(model, images, labels, size) for size in SIZES]
    found["train mode, one digit"] = [share_right_by_digit(model, images, labels, size) for size in SIZES]
    return found


def best(rows):
    """The row (learning rate, loss, share, model) with the largest share, of those that did not diverge, or None."""
    return max([row for row in rows if math.isfinite(row[1])], key=lambda row: row[2], default=None)


def describe_rate(row, lrs):
    """The rate of a row, with a warning if it is the smallest or the largest of those tried."""
    if row is None:
        return "none of these"
    if len(lrs) > 1 and row[0] in (lrs[0], lrs[-1]):
        return f"{row[0]:g} (at the edge of those tried: a better one may lie beyond)"
    return f"{row[0]:g}"


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    rates = [0.01, 0.1, 0.5, 1, 3, 10]
    parser.add_argument("--lrs", type=lesson.above(0, 1e38), nargs="+", default=rates, help="to try")
    parser.add_argument("--epochs", type=lesson.integer(1), default=5)
    parser.add_argument(
        "--images", type=lesson.integer(3), default=10_000, help="to train on, a fifth of them held out"
    )
    args = parser.parse_args(argv)
    name, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    images, labels = images[: args.images], labels[: args.images]
    held = max(1, len(labels) // 5)
    kept, held_out = (images[held:], labels[held:]), (images[:held], labels[:held])

    print(f"784-100-100-10 on {len(kept[1]):,} images of {name}, {args.epochs} epochs of SGD; {held:,} are held out")
    print("learning rate  plain: loss  accuracy  batch norm: loss  accuracy    (nan: it diverged)")
    lrs, tried = sorted(set(args.lrs)), {False: [], True: []}
    for lr in lrs:
        for batch_norm, rows in tried.items():
            model, loss = train(batch_norm, lr, *kept, args.epochs, args.seed)
            rows.append((lr, loss, share_right(model.eval(), *held_out), model))
        cells = [cell for rows in tried.values() for cell in rows[-1][1:3]]
        print("{:13g}  {:11.3g}  {:8.2%}  {:16.3g}  {:8.2%}".format(lr, *cells), flush=True)
    plain, normed = [best(rows) for rows in tried.values()]
    text = f"{describe_rate(plain, lrs)} for the plain network, {describe_rate(normed, lrs)} with batch norm"
    print(f"The best rate is {text}.\n")
    if normed is None:
        sys.exit("error: every training with batch norm diverged; try smaller --lrs")

    lr, *_, model = normed
    found = company(model, test_images, test_labels)
    print(f"the network with batch norm and lr {lr:g}, asked about batches of the test images")
    print("batch  " + "  ".join(found))
    for size, *shares in zip(SIZES, *found.values(), strict=True):
        print(f"{size:5}  " + "  ".join([f"{share:{len(mode)}.2%}" for mode, share in zip(found, shares, strict=True)]))
    print("Only in evaluation mode does an image get the same answer in any company.\n")

    rates = {LABELS[batch_norm]: (lrs, [share for *_, share, _ in rows]) for batch_norm, rows in tried.items()}
    modes = {mode: (SIZES, shares) for mode, shares in found.items()}
    figure = plots.curves(
        {f"trained on {len(kept[1]):,} images of {name}": rates, f"batch norm, lr {lr:g}, by batch": modes},
        xlabel=("learning rate", "images in the batch"),
        ylabel=("held-out accuracy", "test accuracy"),
        xscale="log",
        markers=True,
    )
    lesson.save(figure, args.out / "batch_norm.png")


if __name__ == "__main__":
    lesson.run(main)
