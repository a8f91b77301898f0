"""Shows what a shift of a few pixels does to a fully connected network and to a convolutional one.

To the fully connected network each pixel is an input of its own: what it learned about a stroke in one place, it does
not know about the same stroke two pixels further on.
The kernels of the convolutional network of demos/cnn.py slide over the image and find the stroke wherever it is, and
pooling forgets where exactly, so that its accuracy falls later.
It falls in the end, as its last layer has a weight for each place again; moved images to train on, the augmentation of
demos/regularization.py, teach a network the rest.
Run it with `python demos/shift.py`; without MNIST's files and network it trains on synthetic digits and says so.
"""

import lesson
import numpy as np
from cnn import build, prepared

from tinygrad_edu import data, manual_seed, nn, optim, plots
from tinygrad_edu.training import accuracy, fit, predict

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # right, left, down, up
SHIFTS = range(5)
NETWORKS = {
    "MLP": lambda: nn.Sequential(nn.Flatten(), nn.MLP([784, 256, 128, 10])),
    "CNN": build,
}


def shifted(images, down, right):
    """Images (n, h, w) moved by whole pixels, black where nothing comes from; negative: up, left."""
    result = np.zeros_like(images)
    height, width = images.shape[1:]
    here = np.s_[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    there = np.s_[:, max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)]
    result[here] = images[there]
    return result


def train(name, images, labels, epochs, seed):
    """A network of NETWORKS, trained with Adam."""
    manual_seed(seed)
    model = NETWORKS[name]()
    batches = data.DataLoader(images, labels, 64, shuffle=True, seed=seed, transform=prepared)
    optimizer, loss = optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    fit(model, batches, optimizer=optimizer, loss=loss, epochs=epochs, progress=False)
    return model


def read(model, images):
    """The labels that a network predicts, shape (n,)."""
    batches = data.DataLoader(images, np.zeros(len(images), int), 500, transform=prepared)
    return predict(model, batches).argmax(axis=1)


def accuracies(model, images, labels):
    """The accuracy at each shift of SHIFTS, the mean of four directions."""
    every = [[accuracy(read(model, shifted(images, s * y, s * x)), labels) for y, x in DIRECTIONS] for s in SHIFTS[1:]]
    return [accuracy(read(model, images), labels), *np.mean(every, axis=1)]


def first_lost_digit(models, images, labels):
    """The index of the first digit that both networks read, and the MLP no longer two pixels aside; None without."""
    lost = read(models["MLP"], shifted(images, 0, 2)) != labels
    found = np.flatnonzero(np.all([lost, *(read(model, images) == labels for model in models.values())], axis=0))
    return found[0] if len(found) else None


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    parser.add_argument("--epochs", type=lesson.integer(1), default=4)
    parser.add_argument("--images", type=lesson.integer(1), default=10_000, help="to train on")
    parser.add_argument("--test-images", type=lesson.integer(1), default=2_000, help="to test with, in four directions")
    args = parser.parse_args(argv)
    source, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    rng = np.random.default_rng(args.seed)
    kept, tested = rng.permutation(len(labels))[: args.images], rng.permutation(len(test_labels))[: args.test_images]
    test_images, test_labels = test_images[tested], test_labels[tested]

    models = {name: train(name, images[kept], labels[kept], args.epochs, args.seed) for name in NETWORKS}
    found = {name: accuracies(model, test_images, test_labels) for name, model in models.items()}
    print(f"{source}: {len(kept):,} images to train on, {len(tested):,} to test with; epochs: {args.epochs}")
    for name, model in models.items():
        print(f"{name}: {sum(p.size for p in model.parameters()):,} parameters")
    print("accuracy, the mean of shifts to the right, to the left, down and up")
    print("shift in pixels  " + "  ".join(f"{name:>7}" for name in found))
    for row in zip(SHIFTS, *found.values(), strict=True):
        print(f"{row[0]:15}  " + "  ".join(f"{value:7.2%}" for value in row[1:]))
    ways = [f"{1 - values[2]:.1%} by the {name} ({1 - values[0]:.1%} in place)" for name, values in found.items()]
    print(f"Misread two pixels aside: {', '.join(ways)}.\n")

    figure = plots.curves(
        {f"{source}, shifted": {name: (SHIFTS, 100 * np.array(values)) for name, values in found.items()}},
        xlabel="shift in pixels",
        ylabel="test accuracy in %",
        markers=True,
    )
    lesson.save(figure, args.out / "shift.png")
    digit = first_lost_digit(models, test_images, test_labels)
    if digit is None:
        (args.out / "shift_digit.png").unlink(missing_ok=True)  # another run's
        print("a digit: no picture, for the MLP misreads none that both networks read until it is moved")
        return
    row = np.concatenate([shifted(test_images[[digit]], 0, s) for s in SHIFTS])
    answers = {name: read(model, row) for name, model in models.items()}
    titles = [f"shift {s}\nMLP {a}, CNN {b}" for s, a, b in zip(SHIFTS, *answers.values(), strict=True)]
    title = f"{source}: a digit on its way to the right (orange: the MLP misreads it)"
    marks = answers["MLP"] != test_labels[digit]
    lesson.save(plots.images(row, titles, title=title, marks=marks), args.out / "shift_digit.png")


if __name__ == "__main__":
    lesson.run(main)
