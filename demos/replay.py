"""How jit works: a training step is written down once, as a list of calls, and the list is run again.

The library's functions find out what to compute: which ops, of which arrays, and by which rules the gradient comes
back. At the next step all this is the same, so jax.jit, torch.compile and CUDA graphs keep the list of what is computed
and leave out modules, Tensors and graph. The danger is what no line says: a random number, a running mean, an `if`.
`jit/` refuses what it sees of that. What it cannot see, a global variable perhaps, is found when every hundredth step
is taken as usual too, and must come out the same: jax.jit has this blind spot and never looks.
Run it with `python demos/replay.py`.
"""

import lesson
import numpy as np
from jit.hidden import EARLIER
from jit.recording import Recording
from jit.tape import Different
from speed.timing import interleaved

from tinygrad_edu import cross_entropy, functional, manual_seed, nn, optim, plots
from tinygrad_edu.engine.modes import PLAIN, current_mode

PATIENCE, KEPT = 10, 100  # steps that a recording should last, and how many are kept


class Replay:
    """A training step that is recorded once for each shape of its arguments, and replayed afterwards.

    Args:
        loss: Function of arrays that returns the model's loss, a Tensor. What it prints or keeps happens when it is
            recorded; what it takes from elsewhere than its arguments, the parameters and the model's buffers, stays.
        model, optimizer: Whose gradients are filled anew, and what makes the step with them.
        check_every: How often a step is also taken as usual and compared, besides the first two.

    Raises:
        RuntimeError: The step cannot be recorded, or it is no longer the one that was recorded.
    """

    def __init__(self, loss, model, optimizer, check_every=100):
        self.loss, self.model, self.optimizer, self.check_every = loss, model, optimizer, check_every
        self.recordings, self.failures = {}, 0

    def __call__(self, *inputs):
        """Takes a step; returns the loss before it."""
        loss = self.replay(inputs) if current_mode() is PLAIN else self.plain(inputs)  # for detect_anomaly()
        self.optimizer.step()
        return loss

    def plain(self, inputs):
        """Loss and gradients as usual."""
        loss = self.loss(*inputs)
        self.optimizer.zero_grad()
        loss.backward()
        return loss.item()

    def replay(self, inputs):
        """Loss and gradients by the recording for such inputs, which is made if none fits."""
        key = tuple([(x.shape, x.dtype) for x in inputs if type(x) is np.ndarray])
        if len(key) < len(inputs):
            raise TypeError(f"replay: a step takes arrays, not {[*map(type, inputs)]}; make them with np.asarray")
        recording, why = self.recordings.get(key), "an attribute of the model or a flag of its parameters"
        try:
            if recording is not None and recording.fits():
                often = recording.runs > 1 and recording.runs % self.check_every
                return recording.run(inputs) if often else self.checked(key, inputs)
        except Different as different:
            why = f"what comes of {different} in\n{recording.source}\n"
        if recording is not None:
            self.recordings.pop(key, None)
            self.failures = self.failures + 1 if recording.runs < PATIENCE else 0
            if self.failures == PATIENCE:
                raise RuntimeError(f"replay: {why} is another at nearly every step, so nothing is gained. {EARLIER}")
        return self.checked(key, inputs)

    def checked(self, key, inputs):
        """The same, compared with a step as usual from the same weights and, at first, with another recording."""
        self.model.zero_grad()
        usual = self.plain(inputs), *[p.grad for p in self.model.parameters()]
        recording = self.recordings.pop(key, None) or Recording(self.loss, self.model, inputs)
        found = recording.run(inputs), *[p.grad for p in recording.params]
        agree, difference = all(self.close(a, b) for a, b in zip(found, usual, strict=True)), ""
        if recording.runs < 3 or not agree:
            difference = recording.tape.difference(Recording(self.loss, self.model, inputs).tape)
        if difference or not agree:
            what = difference or f"its loss {found[0]:.6g} would be {usual[0]:.6g}, or a gradient another"
            what = f"after {recording.runs} runs the step is not the one that was recorded: {what}"
            raise RuntimeError(f"replay: {what}. Something that is no argument of it has changed. {EARLIER}")
        self.recordings = dict([*self.recordings.items(), (key, recording)][-KEPT:])
        return usual[0]

    def close(self, a, b):
        """Whether two results are equal up to rounding."""
        if a is None or b is None:
            return a is b
        slack = 100 * max(np.finfo(p.dtype).eps for p in self.model.parameters())
        return np.allclose(a, b, rtol=slack, atol=slack * np.abs(b).max(initial=0.0), equal_nan=True)

    def listing(self):
        """All recordings as Python functions."""
        return "\n\n".join([recording.source for recording in self.recordings.values()])


def classifier(sizes, batch, rng):
    """A step of a network with these layers; images and labels for it."""
    model = nn.MLP(sizes)
    step = Replay(lambda x, y: cross_entropy(model(x), y), model, optim.Adam(model.parameters()))
    return step, (rng.normal(size=(batch, sizes[0])).astype(np.float32), rng.integers(0, sizes[-1], batch))


def microseconds(step, batch, blocks):
    """The medians of a step as usual and of a replay."""
    contenders = {"as usual": lambda: (step.plain(batch), step.optimizer.step()), "replay": lambda: step(*batch)}
    return [1e6 * np.median(seconds) for seconds in interleaved(contenders, blocks, runs=10).values()]


def main(argv=None):
    parser, size = lesson.parser(__doc__), lesson.integer(1)
    parser.add_argument("--widths", type=lesson.units, nargs="+", default=[4, 16, 64, 256], help="of two hidden layers")
    parser.add_argument("--batch-size", type=size, default=64)
    parser.add_argument("--blocks", type=size, default=40, help="of 10 steps each, of which the median counts")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    manual_seed(args.seed)

    step, batch = classifier([4, 3, 2], 5, rng)
    step(*batch)
    print(f"A step of a network with 4, 3 and 2 units, written down:\n\n{step.listing()}\n")
    attempts = {
        "dropout": lambda x, y: cross_entropy(functional.dropout(step.model(x)), y),
        "if loss.item() > 1": lambda x, y: 2 * loss if (loss := cross_entropy(step.model(x), y)).item() > 1 else loss,
    }
    for name, loss in attempts.items():
        try:
            Replay(loss, step.model, step.optimizer)(*batch)
        except RuntimeError as error:
            print(f"{name}: {error}\n")

    print(f"microseconds a step: 784 inputs, two hidden layers, 10 classes, batch size {args.batch_size}, Adam")
    print("width  as usual  replay  saved")
    times = [microseconds(*classifier([784, n, n, 10], args.batch_size, rng), args.blocks) for n in args.widths]
    for width, (usual, replay) in zip(args.widths, times, strict=True):
        print(f"{width:5}  {usual:8.0f}  {replay:6.0f}  {1 - replay / usual:5.0%}")
    usual, replay = np.transpose(times)
    lines = {"as usual": (args.widths, usual), "replay": (args.widths, replay)}
    axes = {"xlabel": "width of the layers", "ylabel": "microseconds a step", "xscale": "log", "yscale": "log"}
    figure = plots.curves({"A replay saves about as much at any width": lines}, **axes, markers=True)
    lesson.save(figure, args.out / "replay.png")


if __name__ == "__main__":
    lesson.run(main)
