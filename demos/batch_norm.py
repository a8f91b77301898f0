"""Batch norm: each unit gets mean 0 and variance 1 over the batch, then a scale and a shift that are learned.

Whatever the weights before it grow to, the next layer gets numbers of one size, so that steps may be longer: the
same network is trained with and without, at learning rates that the plain one does not survive.
The price is that in training mode the answer for one image depends on the others in its batch.
In evaluation mode running averages take the place of the batch; who forgets model.eval() gets answers that change with
the company, and wrong ones if it is small or all alike.
Run it with `python demos/batch_norm.py`; without MNIST it trains on synthetic digits and says so.
"""

import argparse
import math
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # demos/mnist.py says why

import numpy as np
from lesson import OUT, flat, folder, load_digits, needs

from tinygrad_edu import data, nn, no_grad, optim, plots
from tinygrad_edu.training import fit

needs("matplotlib")

LABELS = {False: "plain", True: "batch norm"}
SIZES = (2, 10, 50, 200, 500)  # of the batches that a trained network is asked about


def train(batch_norm, lr, images, labels, epochs, seed):
    """Trains 784-100-100-10 with SGD and a cosine schedule; returns the model and its last loss, NaN if it diverged."""
    nn.init.manual_seed(seed)
    model = nn.MLP([784, 100, 100, 10], batch_norm=batch_norm)
    loader = data.DataLoader(images, labels, 128, shuffle=True, seed=seed, drop_last=len(images) > 128, transform=flat)
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
    loader = data.DataLoader(images, labels, size, drop_last=len(images) > size, transform=flat)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean([model(x).data.argmax(axis=1) == y for x, y in loader]))


def company(model, images, labels):
    """Accuracy by batch size: in evaluation mode, in training mode, and so on batches of one digit each."""
    alike = np.argsort(labels, kind="stable")
    found = {"eval mode": [share_right(model.eval(), images, labels, size) for size in SIZES]}
    model.train()  # from here on the running averages move, but nothing uses them
    found["train mode, mixed digits"] = [share_right(model, images, labels, size) for size in SIZES]
    found["train mode, one digit"] = [share_right(model, images[alike], labels[alike], size) for size in SIZES]
    return found


def best(lrs, shares):
    """The rate with the largest share, and a warning if it is the smallest or the largest of those tried."""
    lr = lrs[int(np.argmax(shares))]
    return lr, " (at the edge of those tried: a better one may lie beyond)" * (lr in (min(lrs), max(lrs)))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lrs", type=float, nargs="+", default=[0.01, 0.1, 0.5, 1, 3, 10], help="learning rates")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="training images, a fifth of them held out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", choices=["auto", "mnist", "synthetic"], default="auto")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the picture")
    args = parser.parse_args(argv)
    if args.epochs < 1 or args.images < 3 or args.seed < 0 or not all(0 < lr < math.inf for lr in args.lrs):
        parser.error("--epochs must be at least 1, --images at least 3, --seed at least 0, --lrs above 0 and finite")
    folder(parser, args.out)
    name, (images, labels, test_images, test_labels) = load_digits(args.dataset)
    images, labels = images[: args.images], labels[: args.images]
    held = max(1, len(labels) // 5)
    kept, held_out = (images[held:], labels[held:]), (images[:held], labels[:held])

    print(f"784-100-100-10 on {len(kept[1]):,} images of {name}, {args.epochs} epochs of SGD; {held:,} are held out")
    print("learning rate  plain: loss  accuracy  batch norm: loss  accuracy")
    right, losses, models = {False: [], True: []}, [], {}
    for lr in args.lrs:
        cells = []
        for batch_norm in LABELS:
            models[lr], loss = train(batch_norm, lr, *kept, args.epochs, args.seed)  # the last one has batch norm
            right[batch_norm].append(share_right(models[lr].eval(), *held_out))
            cells += [loss, right[batch_norm][-1]]
        losses += cells[::2]
        print("{:13g}  {:11.3f}  {:8.2%}  {:16.3f}  {:8.2%}".format(lr, *cells), flush=True)
    if np.isnan(losses).any():
        print("nan: it diverged.")
    (plain, note), (lr, warning) = [best(args.lrs, shares) for shares in right.values()]
    print(f"The best rate is {plain:g}{note} for the plain network, {lr:g}{warning} with batch norm.\n")

    found = company(models[lr], test_images, test_labels)
    print(f"the network with batch norm and lr {lr:g}, asked about batches of the test images")
    print("batch  " + "  ".join(found))
    for size, *shares in zip(SIZES, *found.values(), strict=True):
        print(f"{size:5}  " + "  ".join([f"{share:{len(mode)}.2%}" for mode, share in zip(found, shares, strict=True)]))
    print("Only in evaluation mode does an image get the same answer in any company.\n")

    rates = {LABELS[batch_norm]: (args.lrs, shares) for batch_norm, shares in right.items()}
    modes = {mode: (SIZES, shares) for mode, shares in found.items()}
    figure = plots.curves(
        {f"trained on {len(kept[1]):,} images of {name}": rates, f"batch norm, lr {lr:g}, by batch": modes},
        xlabel=("learning rate", "images in the batch"),
        ylabel=("held-out accuracy", "test accuracy"),
        xscale="log",
        markers=True,
    )
    path = args.out / "batch_norm.png"
    figure.savefig(path, dpi=150)
    print(path)


if __name__ == "__main__":
    main()
