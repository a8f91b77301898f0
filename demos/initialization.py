"""Initial weights: what equal ones, small ones and large ones do to a network before it has learned anything.

Units that start equal get equal gradients and stay equal: a layer of them is one unit, and random numbers part them.
How large the numbers may be is a matter of the product of ten layers: each multiplies the signal by about
std * sqrt(width) and by what the activation takes, and the gradient on its way back likewise.
Over ten layers Xavier's weights keep both within a factor of about 2 before tanh, Kaiming's before ReLU, which needs
sqrt(2) as it drops half of the signal; 0.05 is as good at width 512, by chance, and far too large at width 4096.
Run it with `python demos/initialization.py`.
"""

from functools import partial

import lesson
import numpy as np

from tinygrad_edu import nn, optim, plots

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
XOR = np.array([[0], [1], [1], [0]], np.float32)
GAIN = nn.init.calculate_gain("tanh")  # 5/3


def symmetry(init, steps=300):
    """Trains 2-8-1 on XOR from these initial weights: (first gradient of the hidden layer, distinct units, loss)."""
    hidden = nn.Linear(2, 8, init=init)
    model = nn.Sequential(hidden, nn.Tanh(), nn.Linear(8, 1, init=init))
    optimizer, loss, first = optim.Adam(model.parameters(), lr=0.05), nn.BCEWithLogitsLoss(), None
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(CORNERS), XOR)
        value.backward()
        first = abs(hidden.weight.grad).max() if first is None else first
        optimizer.step()
    return first, len(np.unique(hidden.weight.data.round(4), axis=0)), value.item()


def starts(rng):
    """Name -> function that fills a weight, for `symmetry`."""
    random = partial(nn.init.xavier_normal, gain=GAIN, rng=rng)
    return {"zeros": nn.init.zeros, "all 0.5": partial(nn.init.constant, val=0.5), "random": random}


def scales(width, rng):
    """Name -> (activation, function that fills a weight), for `flow`."""
    wide = 0.05 * np.sqrt(4096 / width)  # multiplies the signal as 0.05 does in layers of 4096
    return {
        "tanh, 0.01": (nn.Tanh, partial(nn.init.normal, std=0.01, rng=rng)),
        "tanh, 0.05": (nn.Tanh, partial(nn.init.normal, std=0.05, rng=rng)),
        f"tanh, {wide:.2f}": (nn.Tanh, partial(nn.init.normal, std=wide, rng=rng)),
        "tanh, Xavier": (nn.Tanh, partial(nn.init.xavier_normal, gain=GAIN, rng=rng)),
        "ReLU, Xavier": (nn.ReLU, partial(nn.init.xavier_normal, rng=rng)),
        "ReLU, Kaiming": (nn.ReLU, partial(nn.init.kaiming_normal, rng=rng)),
    }


def flow(activation, init, width, layers, rng, examples=128):
    """Sends N(0, 1) through the layers, and N(0, 1) as a gradient back.

    Returns std * sqrt(width) of the weights, by which a sum of `width` products is larger than its inputs, and the
    outputs of the layers, with their gradients.
    """
    x, gradient = rng.normal(size=(2, examples, width)).astype(np.float32)
    outputs = []
    for _ in range(layers):
        layer = nn.Sequential(nn.Linear(width, width, init=init), activation())
        x = layer(x)
        outputs.append(x)
    x.backward(gradient)
    return layer[0].weight.data.std() * np.sqrt(width), outputs


def keeps_sizes(outputs, most=3):
    """Whether the layers change neither the signal nor the gradient by more than this factor."""
    first, last = outputs[0], outputs[-1]
    pairs = [(first.data.std(), last.data.std()), (first.grad.std(), last.grad.std())]
    return all(max(pair) < most * min(pair) for pair in pairs)


def visible(arrays):
    """The numbers up to 3 standard deviations of the widest array, so that one sets no range; of ReLU's zeros one."""
    limit = 3 * max([a.std() for a in arrays])
    return [np.append(a[(abs(a) <= limit) & (a != 0)], 0) for a in arrays]


def main(argv=None):
    parser = lesson.parser(__doc__)
    parser.add_argument("--width", type=lesson.integer(2, 10_000), default=512, help="units of a layer")
    parser.add_argument("--layers", type=lesson.integer(2, 100), default=10)
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)

    print("XOR, 8 hidden tanh units\nweights  first gradient  distinct units  loss after training")
    for name, init in starts(rng).items():
        print("{:7}  {:14.2g}  {:14}  {:19.4f}".format(name, *symmetry(init)))
    print("Units that start equal stay equal, and one unit alone cannot learn XOR.\n")

    print(f"{args.layers} layers of {args.width}: N(0, 1) goes in, and N(0, 1) comes back as a gradient")
    print("                                  std of the output               std of the gradient")
    print("weights        std * sqrt(width)  layer 1      last  |tanh|>0.9  in layer 1")
    values, gradients, good = {}, {}, []
    for name, (activation, init) in scales(args.width, rng).items():
        factor, outputs = flow(activation, init, args.width, args.layers, rng)
        values[name], gradients[name] = [o.data for o in outputs], [o.grad for o in outputs]
        first, last = outputs[0], outputs[-1]
        flat = f"{(abs(last.data) > 0.9).mean():.0%}" if activation is nn.Tanh else ""
        cells = f"{factor:17.2f}  {first.data.std():7.2g}  {last.data.std():8.2g}  {flat:>10}"
        print(f"{name:13}  {cells}  {first.grad.std():19.2g}", flush=True)
        if keeps_sizes(outputs):
            good.append(f"'{name}' ({factor:.2f})")
    print(f"Signal and gradient stay within a factor of 3: {', '.join(good) or 'none of them'}.")
    here, wide = 0.05 * np.sqrt([args.width, 4096])
    print(f"0.05 makes a factor of {here:.2f} in layers of {args.width}, and of {wide:.2f} in layers of 4096.\n")

    shown = np.unique(np.linspace(1, args.layers, min(args.layers, 10)).astype(int))
    for what, note, found in (("activations", " without ReLU's zeros", values), ("gradients", "", gradients)):
        rows = {name: visible([arrays[i - 1] for i in shown]) for name, arrays in found.items()}
        title = f"{what}{note}, {args.width} units a layer, up to 3 standard deviations"
        figure = plots.histograms(rows, [str(i) for i in shown], title=title)
        lesson.save(figure, args.out / f"initialization_{what}.png")


if __name__ == "__main__":
    lesson.run(main)
