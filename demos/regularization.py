"""Overfits a network on 1,000 images of digits, and shows what five remedies do about it.

The network has 400 weights for each image: it learns them by heart, without a mistake, while its loss on images that it
has not seen first falls and then rises, as it gets ever surer of its mistakes.
L2 keeps all weights small, L1 brings most of them below 0.001, and early stopping goes back to where the loss on unseen
images was lowest: each lowers that loss, and the accuracy changes little.
Dropout, which lets no unit rely on another, takes that loss lower for a while, but does not keep it from rising.
Augmentation, which moves, turns and scales the images so that no two epochs see the same ones, does the most.
Run it with `python demos/regularization.py`; without MNIST's files and network it trains on synthetic digits.
"""

from functools import partial

import lesson
import numpy as np

from tinygrad_edu import cross_entropy, data, l1_penalty, l2_penalty, manual_seed, nn, no_grad, optim, plots
from tinygrad_edu.training import EarlyStopping, History, accuracy, fit

METHODS = {  # options of train
    "none": {},
    "L2": {"penalty": partial(l2_penalty, strength=1e-2)},
    "L1": {"penalty": partial(l1_penalty, strength=3e-4)},
    "dropout": {"dropout": 0.5},
    "early stopping": {"patience": 5},
    "augmentation": {"augment": True},
}
HIDDEN = 512
NEARLY_ZERO = 1e-3  # the steps of the training, which overshoot, leave hardly a weight at 0 exactly


@no_grad()
def measure(name, model, images, labels):
    """Loss and accuracy, without any penalty or dropout."""
    model.eval()
    logits = model(lesson.flat(images))
    return {f"{name}_loss": cross_entropy(logits, labels).item(), f"{name}_accuracy": accuracy(logits, labels)}


def train(training, validation, epochs, seed, penalty=None, dropout=0.0, patience=None, augment=False):
    """Trains on a pair (images, labels); returns the network and what was measured after each epoch on both pairs.

    The penalty is a function of the weights, added to the loss. Early stopping goes back to the best epoch.
    """
    manual_seed(seed)
    model = nn.MLP([784, HIDDEN, 10], dropout=dropout)
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]

    def loss(logits, labels):
        return cross_entropy(logits, labels) + (penalty(weights) if penalty else 0)

    move = data.RandomAffine(degrees=10, translate=(0.08, 0.08), scale=(0.9, 1.1), seed=seed)
    transform = (lambda images: lesson.flat(move(images))) if augment else lesson.flat
    batches = data.DataLoader(*training, 50, shuffle=True, seed=seed, transform=transform)
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    stopping, history = EarlyStopping(patience or epochs), History()
    for epoch in range(1, epochs + 1):
        fit(model, batches, optimizer=optimizer, loss=loss, epochs=1, progress=False)
        history.append({"epoch": epoch, **measure("train", model, *training), **measure("val", model, *validation)})
        if stopping.step(history[-1]["val_loss"], model):
            break
    if patience:
        stopping.restore(model)
    return model, history


def near_zero(model):
    """Share of the first layer's weights that are below NEARLY_ZERO."""
    return np.mean(np.abs(model[0].weight.data) < NEARLY_ZERO)


def strongest(model, count):
    """The weights of the units with the longest weight vectors, as images (count, 28, 28)."""
    weights = model[0].weight.data  # (HIDDEN, 784)
    return weights[np.argsort(-np.linalg.norm(weights, axis=1))[:count]].reshape(-1, 28, 28)


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    parser.add_argument("--images", type=lesson.integer(1), default=1000, help="to train on")
    parser.add_argument("--epochs", type=lesson.integer(1), default=50)
    args = parser.parse_args(argv)
    source, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    if args.images > len(labels) // 2:
        parser.error(f"argument --images: at most {len(labels) // 2:,}, half of {source}'s: the others validate")
    order = np.random.default_rng(args.seed).permutation(len(labels))
    seen, unseen = np.split(order[: args.images + 2000], [args.images])
    training, validation = (images[seen], labels[seen]), (images[unseen], labels[unseen])

    print(f"784-{HIDDEN}-10 on {len(seen):,} images of {source}, validated on {len(unseen):,} others")
    print("                train acc  train loss  val loss  lowest (epoch)  test acc  test loss  first weights < 0.001")
    models, histories, ends = {}, {}, {}  # ends: validation losses of the networks as they are kept
    for name, options in METHODS.items():
        model, history = train(training, validation, args.epochs, args.seed, **options)
        models[name], histories[name] = model, history
        best = min(history, key=lambda record: record["val_loss"])
        fitted = measure("train", model, *training) | measure("val", model, *validation)
        fitted |= measure("test", model, test_images, test_labels)
        ends[name] = fitted["val_loss"]
        line = "{:14}  {train_accuracy:9.2%}  {train_loss:10.4f}  {val_loss:8.4f}".format(name, **fitted)
        line += "  {val_loss:6.4f} ({epoch:5})".format(**best)
        line += "  {test_accuracy:8.2%}  {test_loss:9.4f}  {:21.1%}".format(near_zero(model), **fitted)
        print(line, flush=True)
    above = {name: end / min(histories[name]["val_loss"]) - 1 for name, end in ends.items()}
    rises = [f"{name} {share:.0%}" for name, share in above.items() if share > 0.005]
    print(f"The validation loss ends above its lowest: {', '.join(rises) or 'nowhere'}.")
    lower = [f"{name} {1 - end / ends['none']:.0%}" for name, end in ends.items() if end < 0.995 * ends["none"]]
    print(f"It ends lower than without a remedy: {', '.join(lower) or 'nowhere'}.\n")

    panels = {
        f"{title} loss, {source}": {name: (history["epoch"], history[column]) for name, history in histories.items()}
        for title, column in (("training", "train_loss"), ("validation", "val_loss"))
    }
    figure = plots.curves(panels, xlabel="epoch", ylabel="cross-entropy", yscale=("log", "linear"), markers=True)
    lesson.save(figure, args.out / "regularization.png")
    rows = {name: strongest(models[name], 7) for name in ("none", "L2", "L1")}
    titles = [name for name, units in rows.items() for _ in units]
    title = f"The weights of the strongest units, {source}"
    figure = plots.images(np.concatenate([*rows.values()]), titles, columns=7, signed=True, title=title)
    lesson.save(figure, args.out / "regularization_weights.png")


if __name__ == "__main__":
    lesson.run(main)
