"""Dead ReLUs: units that put out 0 for every example, pass no gradient on, and hardly ever learn again.

ReLU's slope is 0 left of 0. One step that is too long can push weights and bias so far down that no example makes the
unit positive. Its own gradient is then exactly 0, so plain gradient descent never brings it back; only a change in the
layers before it, or an optimizer's leftover momentum, can.
Three cures: shorter steps, batch norm, which centres what ReLU gets, and a slope left of 0 (LeakyReLU), which keeps
units alive but makes no bad rate a good one.
Run it with `python demos/dead_relu.py`; without MNIST it trains on synthetic digits and says so.
"""

from functools import partial
from itertools import chain, repeat

import lesson
import numpy as np

from tinygrad_edu import Tensor, data, nn, optim, plots, relu
from tinygrad_edu.functional import leaky_relu, mse_loss
from tinygrad_edu.training import accuracy, dead_relu_fraction

SHORT, LONG = 0.1, 1.0  # learning rates of the single unit
UNITS = {  # name -> activation, learning rate of the first step
    "ReLU, short steps": (relu, SHORT),
    "ReLU, a long first step": (relu, LONG),
    "LeakyReLU, a long step": (partial(leaky_relu, negative_slope=0.1), LONG),
}


def one_unit(activation, first, steps=500):
    """Fits a = activation(w x + b), from w = 1 and b = 1/2, to y = x / 2: a step of the rate `first`, then short ones.

    Returns an array (steps + 1, 3): before each step and at the end, the share of the examples with z > 0, dL/dw and L.
    """
    x, w, b, rows = np.linspace(0.1, 2, 20), Tensor(1.0), Tensor(0.5), []
    optimizer = optim.SGD([w, b], lr=first)
    for _ in range(steps + 1):
        z = w * x + b
        loss = mse_loss(activation(z), x / 2)
        optimizer.zero_grad()
        loss.backward()
        rows.append((np.mean(z.data > 0), w.grad, loss.item()))
        optimizer.step()
        optimizer.lr = SHORT
    return np.array(rows)


def networks(lr):
    """Name -> function that makes the network, learning rate."""
    mlp = partial(nn.MLP, [784, 100, 100, 10])
    return {
        f"ReLU, lr {lr:g}": (mlp, lr),
        f"ReLU, lr {lr / 50:g}": (mlp, lr / 50),
        f"LeakyReLU, lr {lr:g}": (partial(mlp, "leaky_relu"), lr),
        f"batch norm, lr {lr:g}": (partial(mlp, batch_norm=True), lr),
    }


def train(model, lr, digits, epochs, seed):
    """Trains with Adam; returns the share of dead units after each step, and the accuracy at the end.

    Units are dead, and answers right, on the test images of digits = (images, labels, test_images, test_labels).
    """
    optimizer, loss = optim.Adam(model.parameters(), lr=lr), nn.CrossEntropyLoss()
    dead, probe = [], lesson.flat(digits[2])
    alone = len(digits[1]) % 64 == 1  # one example has no variance
    loader = data.DataLoader(*digits[:2], 64, shuffle=True, seed=seed, drop_last=alone, transform=lesson.flat)
    for x, y in chain.from_iterable(repeat(loader, epochs)):
        model.train()
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        dead.append(float(np.mean(list(dead_relu_fraction(model.eval(), probe).values()))))
    return dead, accuracy(model(probe), digits[3])


def main(argv=None):
    parser = lesson.parser(__doc__, digits=True)
    parser.add_argument("--lr", type=lesson.real(1e-5, 1), default=0.07, help="Adam's rate that kills")
    parser.add_argument("--epochs", type=lesson.integer(1), default=5)
    parser.add_argument("--images", type=lesson.integer(2), default=4000, help="training images")
    args = parser.parse_args(argv)
    name, (images, labels, test_images, test_labels) = lesson.load_digits(args)

    print(f"one unit, after a first step of {SHORT:g} or {LONG:g} times the gradient; then 500 of {SHORT:g}")
    print("unit                     z > 0    dL/dw   loss  loss at the end")
    losses = {}
    for label, (activation, first) in UNITS.items():
        rows = one_unit(activation, first)
        losses[label] = range(len(rows)), rows[:, 2]
        print("{:23}  {:5.0%}  {:7.3f}  {:5.3f}  {:15.2g}".format(label, *rows[1], rows[-1, 2]))
    print("The long step leaves ReLU with z < 0 everywhere and a gradient of 0, for good; the leaky unit comes back.\n")

    digits = images[: args.images], labels[: args.images], test_images[:1000], test_labels[:1000]
    print(
        f"784-100-100-10, {args.epochs} epochs of Adam; {name}: {len(digits[1]):,} images, {len(digits[3]):,} to test"
    )
    print("network                dead after an epoch  at the end  test accuracy")
    shares = {}
    for label, (make, lr) in networks(args.lr).items():
        nn.init.manual_seed(args.seed)
        dead, right = train(make(), lr, digits, args.epochs, args.seed)
        shares[label] = range(1, len(dead) + 1), dead
        print(f"{label:21}  {dead[len(dead) // args.epochs - 1]:19.1%}  {dead[-1]:10.1%}  {right:13.1%}", flush=True)
    long, short, _, normed = [dead[-1] for _, dead in shares.values()]
    print(f"Long steps leave {long:.1%} of the ReLUs dead, shorter ones {short:.1%}, batch norm {normed:.1%}.")
    print("LeakyReLU has none by construction, as it is 0 at 0 only: what counts for it is the accuracy.\n")

    panels = {"one unit": losses, f"dead units of 784-100-100-10 on {name}": shares}
    figure = plots.curves(panels, xlabel="step", ylabel=("loss", "share of the hidden units"), yscale=("log", "linear"))
    lesson.save(figure, args.out / "dead_relu.png")


if __name__ == "__main__":
    lesson.run(main)
