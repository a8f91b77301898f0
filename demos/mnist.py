"""Trains a small network to read handwritten digits, the "hello world" of machine learning.

It teaches the loop that all of deep learning shares: forward, loss, zero_grad, backward, step.
Around it stand a validation split to watch for overfitting, a learning rate that decays, and a test set used only once.
Run it with `python demos/mnist.py`; without MNIST's files and network it trains on synthetic digits and says so.
`--help` lists what to play with; `--hidden` without a number leaves softmax regression, the line to beat.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

# Matrices this small gain little from a second thread, and lose much where other programs want the processor too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from tinygrad_edu import data, nn, no_grad, optim, plots
from tinygrad_edu.functional import cross_entropy
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair

try:
    import matplotlib  # noqa: F401  (better missed now than after the training)
    from tqdm import tqdm
except ImportError as error:
    sys.exit(f"this demo needs {error.name}, which is not installed; pip install tinygrad-edu[demos] brings it")

OPTIMIZERS = {"adam": partial(optim.Adam, lr=1e-3), "sgd": partial(optim.SGD, lr=0.05, momentum=0.9)}
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def train(model, optimizer, training, validation, epochs, note):
    """Trains, prints a line for each epoch, and returns the curves: a list of records for `plots`.

    Training loss and accuracy are averages over an epoch in which the model improves, so validation looks better first.
    """
    history, first_lr = [], optimizer.lr
    print("epoch  train loss  train acc  val loss  val acc  seconds")
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        optimizer.lr = first_lr * (1 - (epoch - 1) / epochs)  # long steps first, short ones to settle
        loss_sum = correct = seen = 0
        with tqdm(training, desc=f"epoch {epoch}", leave=False, disable=None) as bar:  # no bar without a terminal
            for images, labels in bar:  # (batch, 784) and (batch,)
                logits = model(images)  # (batch, 10)
                loss = cross_entropy(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

                seen += len(labels)
                loss_sum += loss.item() * len(labels)
                correct += (logits.data.argmax(axis=1) == labels).sum()
                bar.set_postfix_str(f"loss {loss_sum / seen:.4f}, accuracy {correct / seen:.2%}", refresh=False)
        if not math.isfinite(loss_sum):
            sys.exit(f"error: the loss became {loss_sum} in epoch {epoch}; the steps are too long, try a smaller --lr")
        val_loss, predictions = evaluate(model, validation)
        row = loss_sum / seen, correct / seen, val_loss, accuracy(predictions, validation.labels)
        history.append(dict(zip(CURVES, row, strict=True)))
        line = "{:5}  {:10.4f}  {:9.2%}  {:8.4f}  {:7.2%}  {:7.2f}".format(epoch, *row, time.perf_counter() - start)
        print(line + note, flush=True)
    return history


@no_grad()
def evaluate(model, loader):
    """Returns the mean loss and the predicted labels, shape (n,)."""
    model.eval()
    losses, predictions = [], []
    for images, labels in loader:
        logits = model(images)
        losses.append(cross_entropy(logits, labels, reduction="sum").item())
        predictions.append(logits.data.argmax(axis=1))
    model.train()
    return sum(losses) / len(loader.labels), np.concatenate(predictions)


def load(dataset, data_dir):
    """Returns the name of the data set, and its training images and labels and test images and labels."""
    if dataset != "synthetic":
        try:
            return "MNIST", data.load_mnist(data_dir)
        except data.MNISTNotFoundError as error:
            if dataset == "mnist":
                raise
            print(f"{error}\n\nSo this run uses synthetic digits; its figures say nothing about MNIST.\n")
    return "synthetic digits", (*data.synthetic_digits(20_000, seed=1), *data.synthetic_digits(4_000, seed=2))


def main(argv=None):
    args = parse(argv)
    try:
        name, (images, labels, test_images, test_labels) = load(args.dataset, args.data_dir)
        if len(labels) < 2 or not len(test_labels):
            raise ValueError(f"need 2 images to train and 1 to test, got {len(labels)} and {len(test_labels)}")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    note = "" if name == "MNIST" else f" ({name})"

    order = np.random.default_rng(args.seed).permutation(len(labels))
    held_out, kept = np.split(order, [max(1, len(labels) // 12)])  # 5,000 and 55,000 of MNIST's 60,000
    options = {"batch_size": args.batch_size, "transform": lambda x: data.normalize(x).reshape(-1, 784)}
    training = data.DataLoader(images[kept], labels[kept], shuffle=True, seed=args.seed, **options)
    validation = data.DataLoader(images[held_out], labels[held_out], **options)
    test = data.DataLoader(test_images, test_labels, **options)

    nn.init.manual_seed(args.seed)
    sizes = [784, *args.hidden, 10]
    model = nn.MLP(sizes, activation=args.activation)
    optimizer = OPTIMIZERS[args.optimizer](model.parameters(), **({"lr": args.lr} if args.lr else {}))

    start = time.perf_counter()
    history = train(model, optimizer, training, validation, args.epochs, note)
    _, predictions = evaluate(model, test)
    seconds = time.perf_counter() - start

    path = args.out / "curves.png"
    plots.training_curves(history, f"{name}: {'-'.join(map(str, sizes))}, {args.optimizer}").savefig(path, dpi=150)
    true, predicted, count = most_confused_pair(confusion_matrix(predictions, test_labels, 10))
    print(f"\nloss and accuracy curves: {path}")
    print(f"test accuracy: {accuracy(predictions, test_labels):.2%}{note}")
    print(f"parameters: {sum(p.size for p in model.parameters()):,}")
    print(f"time: {seconds:.1f} s")
    print(f"most confused: {f'{true} taken for {predicted}' if count else 'none'}{note}")


def parse(argv):
    """Reads the options, and makes the folder for the picture."""

    def above(low, kind, text):
        with suppress(ValueError):
            if low < (value := kind(text)) < math.inf:
                return value
        raise argparse.ArgumentTypeError(f"expected a finite {kind.__name__} > {low}, got {text!r}")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option, size = parser.add_argument, partial(above, 0, int)
    option("--hidden", type=size, nargs="*", default=[256, 128], help="sizes of the hidden layers, or none")
    option("--activation", choices=["relu", "tanh", "sigmoid"], default="relu")
    option("--optimizer", choices=OPTIMIZERS, default="adam", help="sgd has momentum 0.9")
    option("--lr", type=partial(above, 0, float), help="learning rate of the first epoch; adam: 0.001, sgd: 0.05")
    option("--batch-size", type=size, default=64)
    option("--epochs", type=size, default=10)
    option("--seed", type=partial(above, -1, int), default=0, help="of the split, the weights and the batches")
    option("--data-dir", type=Path, help="folder with the four files of MNIST")
    option("--dataset", choices=["auto", "mnist", "synthetic"], default="auto")
    option("--out", type=Path, default=Path(__file__).parent / "out", help="folder for the picture")
    args = parser.parse_args(argv)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.out).close()
    except OSError as error:
        parser.error(f"argument --out: cannot write to the folder {args.out} ({error.strerror})")
    return args


if __name__ == "__main__":
    try:
        main()
    except MemoryError as error:
        sys.exit(f"error: {error}; try fewer or smaller --hidden layers")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
