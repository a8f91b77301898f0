"""One hidden layer can follow any continuous curve on an interval, as closely as wanted (Cybenko 1989).

A sigmoid neuron with a large weight is a step, and its bias says where; the difference of two steps is a bump.
A row of bumps, each as high as the curve at its middle, is a network with weights set by hand; once the bumps are
narrower than the waves of the curve, twice as many halve its error.
Training starts from steps at random places and moves them to where the curve needs them, so it gets further with as
many neurons, but from some starts it gets stuck: the theorem says that good weights exist, not that descent finds them.
Run it with `python demos/universal_approximation.py`; `--widths` says how many neurons to try.
"""

import lesson
import numpy as np

from tinygrad_edu import nn, no_grad, optim, plots
from tinygrad_edu.training import fit

X = np.linspace(0, 1, 1001)[:, None]  # where errors are measured


def curve(x):
    """What is to be followed for x from 0 to 1: a wave that gets faster."""
    return np.sin(20 * x**2)


def steps(weights, places, heights):
    """A network of one hidden layer: the sum of height * sigmoid(weight * (x - place)) over its neurons."""
    net = nn.MLP([1, len(places), 1], "sigmoid", dtype=np.float64)
    net[0].weight.assign(np.reshape(weights, (-1, 1)))
    net[0].bias.assign(-np.multiply(weights, places))
    net[2].weight.assign([heights])
    return net


def bumps(n, steepness=40.0):
    """A network of n bumps side by side, of two neurons each; a step's steepest part takes 4 / steepness of a bump."""
    edges = np.linspace(0, 1, n + 1)
    heights = curve((edges[:-1] + edges[1:]) / 2)
    edges[[0, -1]] = -1, 2  # far outside: the ends of the curve lie on whole bumps
    places = np.stack([edges[:-1], edges[1:]], axis=1).ravel()  # up, down, up, down ...
    return steps(np.full(2 * n, steepness * n), places, np.repeat(heights, 2) * np.tile([1, -1], n))


def trained(width, epochs, rng):
    """A network of one hidden layer that has learned the curve from 200 points; its steps start at random places."""
    net = steps(np.full(width, 40.0), rng.uniform(0, 1, width), rng.uniform(-1, 1, width) / np.sqrt(width))
    points = np.linspace(0, 1, 200)[:, None]
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    schedule = optim.CosineAnnealingLR(optimizer, epochs)
    options = {"loss": nn.MSELoss(), "epochs": epochs, "scheduler": schedule, "progress": False}
    fit(net, [(points, curve(points))], optimizer=optimizer, **options)
    return net


@no_grad()
def values(net):
    """The network's outputs at X, shape (1001,)."""
    return net(X).data[:, 0]


def distance(net):
    """The mean distance between network and curve."""
    return np.abs(values(net) - curve(X)[:, 0]).mean()


def draw_bumps(counts):
    """From one neuron to a curve, with weights set by hand."""
    x, weights = X[:, 0], (10, 40, 200)
    step = {f"weight {w}": (x, values(steps([w], [0.4], [1]))) for w in weights}
    bump = {f"weight {w}": (x, values(steps([w, w], [0.4, 0.6], [1, -1]))) for w in weights}
    panels = {"one neuron: a step at 0.4": step, "two neurons: a bump from 0.4 to 0.6": bump}
    for n in counts:
        panels[f"{2 * n} neurons: {n} bumps"] = {"curve": (x, curve(x)), "network": (x, values(bumps(n)))}
    return plots.curves(panels, xlabel="x")


def draw_fits(nets, hand):
    """What the trained networks put out, and how the errors fall."""
    x = X[:, 0]
    panels = {
        f"{width} neurons, trained": {"curve": (x, curve(x)), "network": (x, values(net))}
        for width, net in nets.items()
    }
    errors = {"set by hand": (list(hand), list(hand.values()))}
    errors["trained, best start"] = list(nets), [distance(net) for net in nets.values()]
    scale = ["linear"] * len(nets) + ["log"]
    texts = {"xlabel": ["x"] * len(nets) + ["neurons"], "ylabel": [""] * len(nets) + ["mean error"]}
    return plots.curves({**panels, "error": errors}, xscale=scale, yscale=scale, **texts, markers=[*errors])


def main(argv=None):
    parser = lesson.parser(__doc__)
    even, widths = (
        lesson.option(int, lambda n: n > 0 and n % 2 == 0, "an even number above 0", 10_000),
        [4, 8, 16, 32, 64],
    )
    parser.add_argument("--widths", type=even, nargs="+", default=widths, help="neurons, of which a bump takes two")
    parser.add_argument("--epochs", type=lesson.integer(1), default=1500, help="of each training")
    parser.add_argument(
        "--starts", type=lesson.integer(1), default=3, help="trainings of each width; the best is drawn"
    )
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)

    print("neurons  set by hand  trained: best  worst start    (mean distance from the curve)")
    hand, nets = {}, {}
    for width in sorted(set(args.widths)):
        hand[width] = distance(bumps(width // 2))
        found = sorted([trained(width, args.epochs, rng) for _ in range(args.starts)], key=distance)
        nets[width] = found[0]
        print(f"{width:7}  {hand[width]:11.4f}  {distance(found[0]):13.4f}  {distance(found[-1]):11.4f}", flush=True)
    matched = [width for width in nets if distance(nets[width]) <= min(hand.values())]
    if matched:
        print(f"{matched[0]} trained neurons, from the best start, come at least as close as {max(hand)} set by hand.")
    lesson.save(draw_bumps([8, 32]), args.out / "universal_approximation_bumps.png")
    lesson.save(draw_fits(nets, hand), args.out / "universal_approximation_trained.png")


if __name__ == "__main__":
    lesson.run(main)
