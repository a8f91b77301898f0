"""Compares gradient descent on all examples at once, on mini-batches, and on single examples.

The gradient of a batch is a guess at that of all examples, wrong by about 1 / sqrt(batch size): four times the
examples, half the noise.
At one small learning rate the loss falls about as fast per step, whatever the batch, but the 2,000 examples make
2,000 steps an epoch if taken one by one, and a single one if taken together.
Yet seconds count: steps on single examples keep the processor busy with small things, and their noise forbids the
rates at which batches learn best, so mini-batches are first here.
Run it with `python demos/batch_size.py`; without MNIST's files and network it trains on synthetic digits and says so.
"""

import math
import time

import lesson
import numpy as np

from tinygrad_edu import data, gradients, manual_seed, nn, no_grad, optim, plots

RATES = (0.003, 0.03, 0.3)  # the first is small enough for single examples
STEPS = 100  # of a training, or more if its epochs have more
TARGET = 0.5  # the loss to reach
cross_entropy = nn.CrossEntropyLoss()


def build(seed):
    """The network: 784-32-10, the same for each batch size."""
    manual_seed(seed)
    return nn.MLP([784, 32, 10])


def noise(images, labels, batch_size, seed, draws=40):
    """How far a batch's gradient is from that of all examples, relative to its length: root mean square of draws."""
    model, rng = build(seed), np.random.default_rng(seed)

    def gradient(chosen):
        loss = cross_entropy(model(images[chosen]), labels[chosen])
        return np.concatenate([g.ravel() for g in gradients(loss, list(model.parameters()))])

    true = gradient(slice(None))
    batches = [rng.choice(len(labels), batch_size, replace=False) for _ in range(draws)]
    squares = [np.sum((gradient(batch) - true) ** 2) / np.sum(true**2) for batch in batches]
    return float(np.sqrt(np.mean(squares)))


def train(images, labels, batch_size, rate, seed, epochs):
    """Plain gradient descent, for STEPS steps or so many epochs, whichever takes longer.

    Returns:
        The loss of each batch; the loss of all examples by the number of steps before it; seconds per step.
    """
    model, loader = build(seed), data.DataLoader(images, labels, batch_size, shuffle=True, seed=seed)
    optimizer = optim.SGD(model.parameters(), lr=rate)
    total = max(STEPS, epochs * len(loader))
    measured = {STEPS, epochs * len(loader), *np.geomspace(1, total, 40).astype(int).tolist()}
    batch_losses, losses, seconds = [], {}, 0.0
    while len(batch_losses) < total:
        for x, y in loader:
            start = time.perf_counter()
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seconds += time.perf_counter() - start
            batch_losses.append(loss.item())
            if len(batch_losses) in measured:
                with no_grad():
                    losses[len(batch_losses)] = cross_entropy(model(images), labels).item()
    return batch_losses, losses, seconds / len(batch_losses)


def result(run):
    """Seconds until the loss of all examples was first seen at TARGET or below, and the loss at the end.

    The seconds are infinite if it never was, and so is the loss if it is not a number any more: the least result is
    the best.
    """
    _, losses, seconds = run
    last = list(losses.values())[-1]
    reached = min([step * seconds for step, loss in losses.items() if loss <= TARGET], default=math.inf)
    return reached, last if math.isfinite(last) else math.inf


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    parser.add_argument("--images", type=lesson.integer(3), default=2000, help="how many to train on")
    parser.add_argument("--batch-size", type=lesson.integer(2), default=32, help="of the mini-batches")
    parser.add_argument("--epochs", type=lesson.integer(1), default=5)
    args = parser.parse_args(argv)
    source, (images, labels, *_) = lesson.load_digits(args)
    if args.images > len(labels):
        parser.error(f"argument --images: it must be at most {len(labels):,}, the number of {source}'s")
    images, labels = lesson.flat(images[: args.images]), labels[: args.images]
    n = len(labels)
    if args.batch_size >= n:
        parser.error(f"argument --batch-size: it must be below the number of images, {n:,}")

    sizes = {"single example": 1, f"mini-batch of {args.batch_size}": args.batch_size, f"full batch of {n}": n}
    per_epoch = {name: math.ceil(n / size) for name, size in sizes.items()}  # steps
    title, width, last = f"784-32-10 on {n:,} images of {source}", max(map(len, sizes)), f"after {args.epochs} epochs"
    print(f"{title}, SGD at the rate {RATES[0]}")
    print(f"{'':{width}}  steps an epoch  gradient noise  loss after {STEPS} steps  {last}  seconds an epoch")
    runs = {}
    for name, size in sizes.items():
        with np.errstate(over="ignore", invalid="ignore"):  # the highest rate may be too high
            runs[name] = [train(images, labels, size, rate, args.seed, args.epochs) for rate in RATES]
        _, losses, seconds = runs[name][0]
        row = f"{name:{width}}  {per_epoch[name]:14,}  {noise(images, labels, size, args.seed):14.2f}"
        row += f"  {losses[STEPS]:20.2f}  {losses[args.epochs * per_epoch[name]]:{len(last)}.2f}"
        print(f"{row}  {seconds * per_epoch[name]:16.3f}", flush=True)
    print(f"\nseconds to a loss of {TARGET}, or the loss at the end\n{'rate':{width}}", *(f"{r:>14}" for r in RATES))
    for name, tried in runs.items():
        cells = []
        for seconds, loss in map(result, tried):
            cells.append(f"{seconds:.3f} s" if seconds < math.inf else f"ends at {loss:.2f}")
        print(f"{name:{width}}", *(f"{cell:>14}" for cell in cells))
    best = {name: min(tried, key=result) for name, tried in runs.items()}
    first = min(best, key=lambda name: result(best[name]))
    reached = result(best[first])[0] < math.inf
    print(f"First here, each at its best rate: {first if reached else 'none, try more --epochs'}.\n")

    def line(run, unit):
        return np.array([*run[1]]) * unit, [*run[1].values()]

    first_steps = {name: (np.arange(1, STEPS + 1), tried[0][0][:STEPS]) for name, tried in runs.items()}
    panels = {
        f"of each batch, rate {RATES[0]}": first_steps,
        f"of all images, rate {RATES[0]}": {name: line(r[0], 1 / per_epoch[name]) for name, r in runs.items()},
        "of all images, best rates": {name: line(run, run[2]) for name, run in best.items()},
    }
    axes = {"xlabel": ("step", "epoch", "second"), "xscale": ("linear", "log", "log"), "ylabel": "loss"}
    lesson.save(plots.curves(panels, **axes, title=title), args.out / "batch_size.png")


if __name__ == "__main__":
    lesson.run(main)
