"""Trains a small network to read handwritten digits, the "hello world" of machine learning.

It teaches the loop that all of deep learning shares: forward, loss, zero_grad, backward, step.
Around it stand a validation split to watch for overfitting, a learning rate that decays, and a test set used only once.
Run it with `python demos/mnist.py`; without MNIST's files and network it trains on synthetic digits and says so.
`mpiexec -n 2 python demos/mnist.py` trains on two processes, which share each batch.
`--help` lists what to play with; `--hidden` without a number leaves softmax regression, the line to beat.
`python demos/mnist_more.py` is the same with more options: recipes, dropout, augmentation, runs that are saved and can
go on after Ctrl-C, pictures of the mistakes, and `predict`, which reads pictures of your own.
"""

import math
import shlex
import sys
import time
from functools import partial
from pathlib import Path

import lesson
import numpy as np

from tinygrad_edu import cross_entropy, data, manual_seed, nn, optim, plots
from tinygrad_edu.training import DataParallel, History, RunningMeans, evaluate, predict, progress_bar
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair

OPTIMIZERS = {  # with the learning rate to start from
    "sgd": (partial(optim.SGD, momentum=0.9), 0.05),
    "rmsprop": (optim.RMSprop, 1e-3),
    "adam": (optim.Adam, 1e-3),
    "adamw": (optim.AdamW, 1e-3),
}
HEADING = "epoch  train loss  train acc  val loss  val acc  seconds"
ROW = "{:5}  {:10.4f}  {:9.2%}  {:8.4f}  {:7.2%}  {:7.2f}"


def train_epoch(model, training, optimizer, epoch, parallel):
    """Shows the model every training image once, with a step after each batch; returns the means of loss and accuracy.

    The model improves during the epoch and is validated after it, so validation looks better at first.
    """
    means = RunningMeans()
    for images, labels in progress_bar(training, f"epoch {epoch}", means):  # (batch, 784) and (batch,)
        logits = model(images)  # (batch, 10)
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        parallel.average_gradients(len(labels))  # over the processes of mpiexec; of one alone it leaves them
        optimizer.step()
        means.add(loss.item(), logits, labels)
    means = parallel.total(means)
    if not math.isfinite(means.loss):
        sys.exit(f"error: the loss became {means.loss} in epoch {epoch}; the steps are too long, try a smaller --lr")
    return means


def main(argv=None):
    args = parse(sys.argv[1:] if argv is None else argv)
    name, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    note = "" if name == "MNIST" else f" ({name})"
    held_out, kept = split(len(labels), args.seed)
    manual_seed(args.seed)
    sizes = [784, *args.hidden, 10]
    model = nn.MLP(sizes, args.activation)
    parallel = DataParallel(model)

    options = {"transform": lesson.flat, "shard": parallel.shard}
    training = data.DataLoader(images[kept], labels[kept], args.batch_size, shuffle=True, seed=args.seed, **options)
    validation = data.DataLoader(images[held_out], labels[held_out], 500, **options)
    test = data.DataLoader(test_images, test_labels, 500, **options)
    make_optimizer, lr = OPTIMIZERS[args.optimizer]
    optimizer = make_optimizer(model.parameters(), lr=args.lr or lr)
    scheduler = optim.CosineAnnealingLR(optimizer, args.epochs)
    history = History()

    start = time.perf_counter()
    lesson.say_shares(parallel, args.batch_size)
    print(HEADING)
    for epoch in range(1, args.epochs + 1):
        epoch_start = time.perf_counter()
        record = train_epoch(model, training, optimizer, epoch, parallel).record("train")
        record |= evaluate(model, validation, cross_entropy, parallel=parallel).record("val")
        scheduler.step()
        history.append(record)
        print(ROW.format(epoch, *record.values(), time.perf_counter() - epoch_start) + note, flush=True)
    logits = predict(model, test, parallel=parallel)
    seconds = time.perf_counter() - start

    print()
    title = f"{name}: {'-'.join(map(str, sizes))}, {args.optimizer}"
    lesson.save(plots.training_curves(history, title), args.out / "curves.png")
    report(model, logits, test_labels, seconds, note)


def split(count, seed):
    """Indices of the images to validate with, a twelfth, and of those to train on: 5,000 and 55,000 of MNIST's."""
    return np.split(np.random.default_rng(seed).permutation(count), [max(1, count // 12)])


def report(model, logits, labels, seconds, note):
    """Prints what came of the training; `logits` (n, 10) are the model's answers to the test images."""
    true, predicted, count = most_confused_pair(confusion_matrix(logits, labels))
    print(f"test accuracy: {accuracy(logits, labels):.2%}{note}")
    print(f"parameters: {sum(p.size for p in model.parameters()):,}")
    print(f"time: {seconds:.1f} s")
    print(f"most confused: {f'{true} taken for {predicted}' if count else 'none'}{note}")


def add_options(parser):
    """What one plays with first."""
    option, size = parser.add_argument, lesson.integer(1)
    option("--hidden", type=lesson.units, nargs="*", default=[256, 128], help="sizes of the hidden layers, or none")
    option("--activation", choices=nn.activations.ACTIVATIONS, default="relu")
    option("--optimizer", choices=OPTIMIZERS, default="adam", help="sgd has momentum 0.9")
    option("--lr", type=lesson.above(0, most=1e38), help="learning rate to start from; sgd: 0.05, others: 0.001")
    option("--batch-size", type=size, default=64)
    option("--epochs", type=size, default=10)


def parse(argv):
    """Reads the options, and makes the folder for the picture."""
    parser = lesson.parser(__doc__, digits=True)
    add_options(parser)
    args, others = parser.parse_known_args(argv)
    if others:
        command = ["python", str(Path(sys.argv[0]).with_name("mnist_more.py")), *argv]
        parser.exit(2, f"error: mnist.py does not know {shlex.join(others)}; try {shlex.join(command)}\n")
    return args


if __name__ == "__main__":
    note = "; nothing is saved (mnist_more.py saves each epoch, and can go on)"
    lesson.run(main, note, advice="fewer or smaller --hidden layers")
