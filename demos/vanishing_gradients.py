"""Vanishing gradients: what is left of a gradient after 1, 5, 10 and 20 sigmoid layers, and three ways to keep it.

The chain rule multiplies the slopes of all layers, and a sigmoid's is at most 1/4: twenty of them leave 0.25^20, 1e-12,
unless large weights make up for it. So the first layers of a deep sigmoid network hardly learn, and the layers above
them only see their random numbers.
ReLU has the slope 1 where it is not 0, batch norm divides by the small spread that sigmoids leave, and a residual
connection, x + layer(x), adds a path whose slope is 1; with each of them a network of 20 layers learns.
Run it with `python demos/vanishing_gradients.py`; without MNIST it trains on synthetic digits and says so.
"""

import math
from functools import partial

import lesson
import numpy as np

from tinygrad_edu import Tensor, data, nn, optim, plots
from tinygrad_edu.training import fit

XAVIER, KAIMING = partial(nn.Linear, init="xavier_normal"), partial(nn.Linear, init="kaiming_normal")
KINDS = {  # functions of the width and the generator that make one layer; the last two are sigmoids with an addition
    "sigmoid": lambda n, rng: nn.Sequential(XAVIER(n, n, rng=rng), nn.Sigmoid()),
    "ReLU": lambda n, rng: nn.Sequential(KAIMING(n, n, rng=rng), nn.ReLU()),
    "+ batch norm": lambda n, rng: nn.Sequential(XAVIER(n, n, rng=rng), nn.BatchNorm1d(n), nn.Sigmoid()),
    "+ residual": lambda n, rng: nn.Residual(XAVIER(n, n, rng=rng), nn.Sigmoid()),
}


def chain(layers):
    """The slope of sigmoids in a row, each of them at z = 0, where it is steepest."""
    x = z = Tensor(0.0)
    for _ in range(layers):
        a = z.sigmoid()
        z = a - 0.5  # 0 again, for the next one
    a.backward()
    return float(x.grad)


def gradients(kind, layers, width, rng, examples=128):
    """Sends N(0, 1) back through random layers: root mean square of the gradient at the input and after each layer."""
    x, gradient = rng.normal(size=(2, examples, width)).astype(np.float32)
    signals = [Tensor(x)]
    for _ in range(layers):
        signals.append(KINDS[kind](width, rng)(signals[-1]))
    signals[-1].backward(gradient)
    return [float(np.sqrt(np.mean(np.square(s.grad, dtype=np.float64)))) for s in signals]


def learn(kind, layers, width, digits, epochs, seed):
    """Trains a network of such layers with Adam; digits as (images, labels) to train on, and to test; fit's history."""
    rng = np.random.default_rng(seed)
    hidden = [KINDS[kind](width, rng) for _ in range(layers)]
    model = nn.Sequential(XAVIER(784, width, rng=rng), *hidden, XAVIER(width, 10, rng=rng))
    alone = len(digits[1]) % 64 == 1  # one example has no variance
    training = data.DataLoader(*digits[:2], 64, shuffle=True, seed=seed, drop_last=alone, transform=lesson.flat)
    validation = data.DataLoader(*digits[2:], 500, transform=lesson.flat)
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=1e-3)
    return fit(model, training, optimizer=optimizer, loss=loss, epochs=epochs, validation=validation, progress=False)


def main(argv=None):
    parser, size = lesson.parser(__doc__, digits=True), lesson.integer(1)
    few = lesson.integer(1, most=1000)
    parser.add_argument(
        "--layers",
        type=lesson.integer(1, most=1000),
        nargs="+",
        default=[1, 5, 10, 20],
        help="numbers of layers to compare",
    )
    parser.add_argument("--width", type=few, default=64, help="units of a layer")
    parser.add_argument("--epochs", type=size, default=5)
    parser.add_argument("--images", type=lesson.integer(2), default=5000, help="training images")
    args = parser.parse_args(argv)
    name, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    rng, deepest = np.random.default_rng(args.seed), max(args.layers)

    print(f"gradient at the input over gradient at the output; networks of width {args.width}")
    print("layers     0.25^L  sigmoids, z=0  " + "  ".join([f"{kind:>12}" for kind in KINDS]))
    for layers in args.layers:
        found = {kind: gradients(kind, layers, args.width, rng) for kind in KINDS}
        ratios = "  ".join([f"{g[0] / g[-1]:12.2g}" for g in found.values()])
        print(f"{layers:6}  {0.25**layers:9.2g}  {chain(layers):13.2g}  {ratios}")
        if layers == deepest:
            profiles = {kind: (range(layers + 1), g) for kind, g in found.items()}
            kept = [kind for kind, g in found.items() if 0.1 < g[0] / g[-1] < 10]
    print(f"A tenth to ten times the gradient gets through {deepest} layers of: {', '.join(kept) or 'none of them'}.\n")

    digits = images[: args.images], labels[: args.images], test_images, test_labels
    print(f"{deepest} layers trained on {len(digits[1]):,} images of {name} for {args.epochs} epochs of Adam")
    print("layers of     first loss  last loss  test accuracy")
    losses, accuracies = {}, {}
    for kind in KINDS:
        history = learn(kind, deepest, args.width, digits, args.epochs, args.seed)
        losses[kind], accuracies[kind] = (history["epoch"], history["train_loss"]), history["val_accuracy"][-1]
        ends = history["train_loss"][0], history["train_loss"][-1]
        print("{:12}  {:10.3f}  {:9.3f}  {:13.2%}".format(kind, *ends, accuracies[kind]), flush=True)
    best = max(accuracies, key=accuracies.get)
    print(f"Guessing has a loss of ln 10 = {math.log(10):.3f} and an accuracy of about 10%; best here: {best}.\n")
    panels = {"gradient on its way back": profiles, f"training on {name}": losses}
    axes = {"xlabel": ("layer (0: the input)", "epoch"), "ylabel": ("root mean square of the gradient", "loss")}
    title = f"{deepest} layers of {args.width}"
    figure = plots.curves(panels, **axes, yscale=("log", "linear"), title=title, markers=True)
    lesson.save(figure, args.out / "vanishing_gradients.png")


if __name__ == "__main__":
    lesson.run(main)
