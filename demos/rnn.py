"""Memory: an RNN, a GRU and an LSTM see one bit, then noise, and are asked for the bit 5 to 100 steps later.

A sequence of 100 steps is a network of 100 layers with the same weights, and a gradient on its way back to the first is
multiplied by the slope of a step each time. An RNN starts with slopes around a half: what comes back from 50 steps is
less than 1e-10 of what it was, too little to learn from. GRU and LSTM keep a share of their state at each step, as
their gates say: half open they forget as fast as the RNN, but with a bias that opens them from the start some percent
of the gradient come back from 100 steps, and that is enough (Gers, Schmidhuber & Cummins 2000).
With slopes above 1 the gradient grows instead, and one step of training throws the weights far away, unless it is
clipped to length 1: the direction stays, and the run learns (Pascanu, Mikolov & Bengio 2013).
Run it with `python demos/rnn.py`, which takes about half a minute.
"""

import lesson
import numpy as np

from tinygrad_edu import Tensor, functional as F, nn, optim, plots

OPEN = 4.0  # the sigmoid of which, 0.98, is kept of the state at each step
KINDS = {  # layer, and the bias of the gate that keeps the state
    "RNN": (nn.RNN, 0.0),
    "GRU": (nn.GRU, 0.0),
    "LSTM": (nn.LSTM, 0.0),
    "GRU, open": (nn.GRU, OPEN),
    "LSTM, open": (nn.LSTM, OPEN),
}


class Memory(nn.Module):
    """Numbers (length, n, 1) to one logit each, (n,): that the first number was 1."""

    def __init__(self, kind, units, rng):
        make, bias = KINDS[kind]
        self.layer, self.head = make(1, units, rng=rng), nn.Linear(units, 1, rng=rng)
        if bias:
            biases = self.layer.bias_hh_l0.data.copy()
            biases[units : 2 * units] = bias  # the second gate, in both of them
            self.layer.bias_hh_l0.assign(biases)

    def forward(self, x):
        outputs, _ = self.layer(x)
        return self.head(outputs[-1])[:, 0]


def examples(n, length, rng):
    """Sequences (length, n, 1) that begin with 1 or -1, noise after it, and the bits, (n,)."""
    bits, x = rng.integers(0, 2, n), rng.normal(0, 0.3, (length, n, 1))
    x[0, :, 0] = 2 * bits - 1
    return Tensor(x, dtype=np.float32), bits.astype(np.float32)


def gradients(kind, length, units, rng):
    """Root mean square of the loss's gradient with respect to the input at each step, before any training."""
    model = Memory(kind, units, rng)
    x, bits = examples(32, length, rng)
    F.binary_cross_entropy_with_logits(model(x), bits).backward()
    return np.sqrt(np.mean(np.square(x.grad, dtype=np.float64), axis=(1, 2)))


def train(model, optimizer, length, steps, clip, rng):
    """Trains on new sequences at each step; the losses and the norms of the gradients before clipping."""
    losses, norms = [], []
    for _ in range(steps):
        x, bits = examples(32, length, rng)
        loss = F.binary_cross_entropy_with_logits(model(x), bits)
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(optim.clip_grad_norm_(model.parameters(), clip)))
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def remembered(kind, length, units, steps, seed):
    """The share of bits that a network gives back after training."""
    rng = np.random.default_rng(seed)
    model = Memory(kind, units, rng)
    train(model, optim.Adam(model.parameters(), lr=0.01), length, steps, 1.0, rng)
    x, bits = examples(500, length, rng)
    return float(np.mean((model(x).data > 0) == bits))


def exploding(clip, units, steps, seed):
    """Trains an RNN of ReLUs that starts as the identity (Le et al. 2015) on sequences of 20 steps; see train."""
    rng = np.random.default_rng(seed)
    model = Memory("RNN", units, rng)
    model.layer = nn.RNN(1, units, nonlinearity="relu", rng=rng)
    model.layer.weight_hh_l0.assign(np.eye(units))
    return train(model, optim.SGD(model.parameters(), lr=0.1), 20, steps, clip, rng)


def main(argv=None):
    parser, length = lesson.parser(__doc__), lesson.integer(2, most=1000)
    parser.add_argument("--lengths", type=length, nargs="+", default=[5, 10, 20, 50, 100], help="of the sequences")
    parser.add_argument("--units", type=lesson.integer(1, most=1000), default=16, help="numbers in the state")
    parser.add_argument("--steps", type=lesson.integer(1), default=150, help="of training, for each network")
    parser.add_argument("--clip", type=lesson.above(0), default=1.0, help="how long a gradient may be")
    args = parser.parse_args(argv)
    lengths, header = sorted({*args.lengths}), "length  " + "  ".join([f"{kind:>10}" for kind in KINDS])

    print(f"gradient at the first step over gradient at the last, before training; {args.units} units\n{header}")
    for length in lengths:
        found = {kind: gradients(kind, length, args.units, np.random.default_rng(args.seed)) for kind in KINDS}
        print(f"{length:6}  " + "  ".join([f"{g[0] / g[-1]:10.2g}" for g in found.values()]))
    profiles = {kind: (range(length, 0, -1), g / g[-1]) for kind, g in found.items()}

    print(f"\nbits remembered after {args.steps} steps of training; guessing gives half of them\n{header}")
    shares = {kind: [] for kind in KINDS}
    for length in lengths:
        for kind, known in shares.items():
            known.append(remembered(kind, length, args.units, args.steps, args.seed))
        print(f"{length:6}  " + "  ".join([f"{known[-1]:10.1%}" for known in shares.values()]), flush=True)
    best = [kind for kind, known in shares.items() if known[-1] > 0.95]
    print(f"The bit is remembered over {lengths[-1]} steps by: {', '.join(best) or 'none of them'}.\n")

    print("an RNN of ReLUs    longest gradient  last loss (guessing: ln 2 = 0.693)")
    runs = {"unclipped": exploding(1e30, args.units, 2 * args.steps, args.seed)}
    runs[f"clipped at {args.clip:g}"] = exploding(args.clip, args.units, 2 * args.steps, args.seed)
    for name, (losses, norms) in runs.items():
        print(f"{name:17}  {max(norms):16.3g}  {np.mean(losses[-20:]):9.3g}")

    panels = {
        f"gradient at the inputs of {length} steps": profiles,
        "bits remembered": {kind: (lengths, known) for kind, known in shares.items()},
    }
    axes = {"xlabel": ("steps back", "length"), "ylabel": ("of the gradient at the last", "share")}
    scales = {"xscale": ("linear", "log"), "yscale": ("log", "linear")}
    figure = plots.curves(panels, **axes, **scales, title="One bit, and then noise", markers=True)
    lesson.save(figure, args.out / "rnn.png")
    steps, title = range(1, 2 * args.steps + 1), "Two runs of an RNN of ReLUs"
    panels = {"loss": 0, "length of the gradient": 1}
    panels = {what: {name: (steps, run[i]) for name, run in runs.items()} for what, i in panels.items()}
    figure = plots.curves(panels, xlabel="step", yscale="log", title=title)
    lesson.save(figure, args.out / "rnn_clipping.png")


if __name__ == "__main__":
    lesson.run(main)
