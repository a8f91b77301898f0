"""Why a network needs activations: layers without them are one layer, however many there are.

W2 (W1 x + b1) + b2 is (W2 W1) x + (W2 b1 + b2), so two layers can be multiplied out into one, and so can twenty.
The deep linear network has many more numbers to train, and still draws nothing but a straight line; only its training
takes another path (Saxe et al. 2013), so a layer trained alone need not be the same one.
A ReLU between the layers cannot be multiplied out, and with it the same layers learn to draw a ring.
Run it with `python demos/linear_collapse.py`: it trains on a ring of points, multiplies out, and compares.
"""

import lesson
import numpy as np

from tinygrad_edu import data, manual_seed, nn, no_grad, optim, plots
from tinygrad_edu.training import accuracy, fit


def rings(n, rng):
    """Points (n, 2): a disc, label 0, inside a ring, label 1."""
    labels = np.arange(n) % 2
    radius = np.where(labels, rng.uniform(1.3, 2.0, n), rng.uniform(0, 0.9, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


def multiplied_out(model):
    """The one Linear that does what those of the model do one after another, if there is nothing between them."""
    first, *rest = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    weight, bias = first.weight.data, first.bias.data  # (out, in) and (out,)
    for layer in rest:
        weight, bias = layer.weight.data @ weight, layer.weight.data @ bias + layer.bias.data
    single = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    single.weight.assign(weight)
    single.bias.assign(bias)
    return single


def trained(sizes, activation, points, labels, seed, epochs=60):
    """A network of these sizes after training on the points; float64, so that only rounding is left to see."""
    manual_seed(seed)
    model = nn.MLP(sizes, activation, dtype=np.float64)
    loader = data.DataLoader(points, labels, batch_size=32, shuffle=True, seed=seed)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    fit(model, loader, optimizer=optimizer, loss=nn.CrossEntropyLoss(), epochs=epochs, progress=False)
    return model


def best_line(points, labels, angles=360):
    """The share of the points that a straight border gets right, the best one of so many directions."""
    best = 0.0
    for angle in np.linspace(0, 2 * np.pi, angles, endpoint=False):
        far = labels[np.argsort(points @ [np.cos(angle), np.sin(angle)])]  # labels, the nearest point first
        wrong = np.cumsum([np.sum(far == 0), *(2 * far - 1)])  # with the border after 0, 1, 2 ... points
        best = max(best, 1 - wrong.min() / len(labels))
    return best


@no_grad()
def outputs(model, points):
    """Logits of the two classes, shape (n, 2)."""
    return model(points).data


def main(argv=None):
    parser = lesson.parser(__doc__)
    parser.add_argument(
        "--depth", type=lesson.integer(2, most=1000), default=5, help="layers of the deep networks, 2 or more"
    )
    parser.add_argument(
        "--width", type=lesson.integer(2, most=2000), default=16, help="units of each hidden layer, 2 or more"
    )
    args = parser.parse_args(argv)

    points, labels = rings(400, np.random.default_rng(args.seed))
    sizes = [2, *[args.width] * (args.depth - 1), 2]
    single = trained([2, 2], "identity", points, labels, args.seed)
    linear = trained(sizes, "identity", points, labels, args.seed)
    relu = trained(sizes, "relu", points, labels, args.seed)
    product = multiplied_out(linear)
    networks = {
        "1 layer": single,
        f"{args.depth} layers": linear,
        f"the {args.depth} multiplied out": product,
        f"{args.depth} layers with ReLU": relu,
    }
    print(f"{len(points)} points, a disc in a ring. Each network against its own layers multiplied out:\n")
    print("network                  parameters  accuracy  largest difference of outputs")
    right = {}
    for name, model in networks.items():
        logits, alone = outputs(model, points), outputs(multiplied_out(model), points)
        count, right[name] = sum(p.size for p in model.parameters()), accuracy(logits.argmax(axis=1), labels)
        print(f"{name:23}  {count:10,}  {right[name]:8.1%}  {np.abs(logits - alone).max():8.1e}")
    (w0, w1), bias = np.diff(product.weight.data, axis=0)[0], np.diff(product.bias.data)[0]
    border = f"{w0:.3g} x0 {w1:+.3g} x1 {bias:+.3g} > 0"
    print(f"\nMultiplied out, the {args.depth} layers say: ring where {border}, a straight border.")
    print("They can say nothing that one layer cannot: against their product all that differs is rounding.")
    *straight, bent = right.values()
    verdict = "can bend" if bent > max(straight) else "could bend, but this training found no way"
    print(f"With ReLU between them the border {verdict}: {bent:.1%} are right. With the straight ones found here")
    print(f"{max(straight):.1%} are, and with the best of all straight ones {best_line(points, labels):.1%}.\n")

    def score(model):
        return lambda points: np.diff(outputs(model, points), axis=1)[:, 0]

    panels = {name: score(model) for name, model in networks.items()}
    figure = plots.regions(panels, points, labels, title="Without an activation, layers are one layer")
    lesson.save(figure, args.out / "linear_collapse.png")


if __name__ == "__main__":
    lesson.run(main)
