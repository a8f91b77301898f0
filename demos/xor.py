"""One neuron draws one line, and XOR needs two.

Rosenblatt's perceptron (1958) moves its line at every example on the wrong side; it learns AND and OR in a few rounds.
For XOR it would need a score above 0 at (0, 1) and (1, 0) and below 0 at (0, 0) and (1, 1), but both pairs have the sum
w1 + w2 + 2b, so no line does it (Minsky & Papert 1969) and the rule goes on for ever.
One hidden neuron still draws one line; two move the corners to places that one line can part, and backpropagation
finds such neurons from some random starts, though not from all.
Run it with `python demos/xor.py`; `--hidden` and `--starts` say which networks are tried, and how often.
"""

import lesson
import numpy as np

from tinygrad_edu import nn, no_grad, optim, plots

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
GATES = {"AND": np.array([0, 0, 0, 1]), "OR": np.array([0, 1, 1, 1]), "XOR": np.array([0, 1, 1, 0])}


@no_grad()
def scores(model, points):
    """What the model puts out at points (n, 2): shape (n,), above 0 for yes."""
    return model(np.asarray(points, np.float32)).data[:, 0]


def wrong(model, labels):
    """How many of the four corners are on the wrong side."""
    return int(((scores(model, CORNERS) > 0) != labels).sum())


def perceptron(labels, epochs, rng):
    """Trains one neuron by Rosenblatt's rule; returns it and the number of moves in each epoch.

    The rule is a step down the slope of max(0, -sign * score), with a learning rate of 1, after each example.
    """
    neuron = nn.Linear(2, 1, rng=rng)
    optimizer = optim.SGD(neuron.parameters(), lr=1.0)
    moves = []
    while len(moves) < epochs and (not moves or moves[-1]):
        moves.append(0)
        for i in rng.permutation(4):
            sign = 1.0 if labels[i] else -1.0
            loss = (-sign * neuron(CORNERS[i])).relu().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            moves[-1] += loss.item() > 0
    return neuron, moves


def two_layers(labels, hidden, steps, rng):
    """Trains a network of one hidden tanh layer on all four corners at once; returns it and its last loss."""
    net = nn.MLP([2, hidden, 1], "tanh", init="default", rng=rng)
    optimizer = optim.Adam(net.parameters(), lr=0.05)
    loss_function = nn.BCEWithLogitsLoss()
    for _ in range(steps):
        loss = loss_function(net(CORNERS), labels[:, None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net, loss.item()


def verdict(learned):
    """What {hidden neurons: starts that learned it} shows, smallest network first."""
    fewest = next((hidden for hidden, count in learned.items() if count), None)
    if fewest is None:
        return "None of these networks learned it."
    larger = [count for hidden, count in learned.items() if hidden > fewest]
    spare = ", and larger ones learned it from more starts" if larger and np.mean(larger) > learned[fewest] else ""
    return f"The smallest of these that learned it has {fewest} hidden neurons{spare}."


def draw(neurons, net):
    """The boundaries of the neurons and of the network and, if it has two hidden neurons, what these make of XOR."""
    panels = {f"{gate}, one neuron": lambda p, neuron=neuron: scores(neuron, p) for gate, neuron in neurons.items()}
    labels = {f"{gate}, one neuron": GATES[gate] for gate in neurons}
    panels["XOR, two layers"] = lambda p: scores(net, p)
    labels["XOR, two layers"] = GATES["XOR"]
    points = dict.fromkeys(panels, CORNERS)
    hidden = net[:2](CORNERS).data  # (4, hidden)
    if hidden.shape[1] == 2:
        title = "XOR, seen by the last layer"
        panels[title] = lambda p: scores(net[2], p)
        points[title], labels[title] = hidden, GATES["XOR"]
    return plots.regions(panels, points, labels)


def main(argv=None):
    parser, size = lesson.parser(__doc__), lesson.integer(1, 1000)
    parser.add_argument("--epochs", type=size, default=100, help="after which the perceptron gives up")
    parser.add_argument("--hidden", type=size, nargs="+", default=[1, 2, 3, 4], help="neurons in the hidden layer")
    parser.add_argument("--steps", type=size, default=300, help="of each network's training")
    parser.add_argument("--starts", type=size, default=10, help="networks to train with each number of neurons")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)

    print(f"one neuron  epochs (at most {args.epochs})  moves of the line  corners right")
    neurons = {}
    for gate, labels in GATES.items():
        neurons[gate], moves = perceptron(labels, args.epochs, rng)
        print(f"{gate:10}  {len(moves):6}  {sum(moves):30}  {4 - wrong(neurons[gate], labels)} of 4")
    s = scores(neurons["XOR"], CORNERS)
    print(f"Its scores for XOR: (0,0) and (1,1) sum to {s[0] + s[3]:.3f}, (0,1) and (1,0) to {s[1] + s[2]:.3f}.")
    print("The first sum should be below 0 and the second above, but they are one number, whatever the weights.\n")

    print("XOR by a net  starts that learned it  lowest loss")
    learned, chosen = {}, None
    for hidden in sorted(set(args.hidden)):
        nets = [two_layers(GATES["XOR"], hidden, args.steps, rng) for _ in range(args.starts)]
        learned[hidden] = sum(wrong(net, GATES["XOR"]) == 0 for net, _ in nets)
        share, loss = f"{learned[hidden]} of {args.starts}", min(loss for _, loss in nets)
        print(f"{f'2-{hidden}-1':12}  {share:>22}  {loss:11.4f}")
        if chosen is None or wrong(chosen, GATES["XOR"]):
            chosen, _ = min(nets, key=lambda pair: (wrong(pair[0], GATES["XOR"]), pair[1]))
    print(verdict(learned))
    if chosen[0].out_features == 2:
        places = ", ".join(f"({a:.1f}, {b:.1f})" for a, b in chosen[:2](CORNERS).data)
        print(f"Its two hidden neurons move (0,0), (0,1), (1,0), (1,1) to {places}.")

    lesson.save(draw(neurons, chosen), args.out / "xor.png")


if __name__ == "__main__":
    lesson.run(main)
