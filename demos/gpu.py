"""The library on a GPU, where CuPy's arrays take the place of NumPy's.

The ops call NumPy's functions, and NumPy hands an array of CuPy's to CuPy: so one line moves a model, and the loop of
training stays what it is:

    model = nn.MLP([784, 256, 10]).to(cupy)
    loss = cross_entropy(model(cupy.asarray(images)), cupy.asarray(labels))

`python demos/gpu.py` runs the tests of all ops, layers and optimizers with CuPy's arrays, then times a training step of
a wide network, and of the GPT of demos/gpt.py, against PyTorch on the same GPU, both in float32 without TF32. It needs
an NVIDIA GPU and the package cupy (pip install cupy-cuda12x); where they are missing it says so, and that is all.
"""

import importlib
import os
import subprocess
import sys
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path

import lesson
import numpy as np
from speed import models, peers
from speed.timing import OURS, TORCH, import_torch, interleaved

from tinygrad_edu import cross_entropy, nn, optim

ROOT = Path(__file__).parents[1]
TESTS = ["tests/test_arrays.py", "tests/nn/test_places.py"]


def main(argv=None):
    parser = lesson.parser(__doc__, out=False, needs=())
    option, size = parser.add_argument, lesson.integer(1)
    option("--width", type=size, default=4096, help="of the network's two hidden layers and of its input")
    option("--batch", type=size, default=4096, help="examples in each of its steps")
    option("--steps", type=size, default=10, help="in each of 7 turns that the contenders take")
    option("--no-tests", action="store_true", help="take times only")
    args = parser.parse_args(argv)
    cupy, missing = gpu()
    if cupy is None:
        print(f"no GPU to work on: {missing}")
        return
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{name}, CuPy {cupy.__version__}, NumPy {np.__version__}, Python {sys.version.split()[0]}")
    failed = 0 if args.no_tests else walk()
    report(f"network {args.width}-{args.width}-{args.width}-10, batch {args.batch}", wide(cupy, args), args.steps)
    report(models.GPT, transformer(cupy), args.steps)
    sys.exit(failed)


def gpu():
    """CuPy where it can compute on a GPU, else None, and what is missing."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return None, f"the package cupy is not installed ({error}); pip install cupy-cuda12x"
    try:
        cupy.cuda.runtime.getDeviceCount()
        float(cupy.ones(2).sum())  # a driver that does not fit shows at the first kernel
    except Exception as error:  # CuPy has classes of errors for each library below it
        return None, f"cupy {cupy.__version__} finds none that works ({type(error).__name__}: {error})"
    return cupy, ""


def walk():
    """Runs the tests of all ops and layers on CuPy's arrays in place of the stand-in's; 1 if some fail."""
    environment = os.environ | {"TINYGRAD_EDU_ARRAYS": "cupy"}
    options = ["-q", "-rs", "-n", "0", "-W", "default", "--no-header", "--tb=line"]  # CuPy's own warnings are no errors
    command = [sys.executable, "-m", "pytest", *options, *TESTS]
    print(f"TINYGRAD_EDU_ARRAYS=cupy python {' '.join(command[1:])}", flush=True)
    return int(subprocess.run(command, cwd=ROOT, env=environment).returncode != 0)


class There(peers.Training):
    """Our model, with its batches where the model lies."""

    def __init__(self, place, model, make_optimizer):
        super().__init__(model.to(place), cross_entropy, make_optimizer(optim, model=model))
        self.place = place

    def prepare(self, x, y):
        return self.place.asarray(x), self.place.asarray(y)


class Twin(peers.TorchTraining):
    """PyTorch's model on the same GPU."""

    def __init__(self, torch, model, weights, make_optimizer):
        model.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
        super().__init__(model, models.torch_loss(torch), make_optimizer(torch.optim, model=model))
        self.device = next(model.parameters()).device

    def prepare(self, x, y):
        return tuple([tensor.to(self.device) for tensor in super().prepare(x, y)])


def wide(place, args, device="cuda"):
    """Steps of a network of wide layers, by name; each synchronizes, as it returns the loss."""
    model, n = nn.MLP([args.width, args.width, args.width, 10], "relu"), args.width
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((args.batch, n), np.float32), rng.integers(0, 10, args.batch)) for _ in range(2)]

    def adam(library, model):
        return library.Adam(model.parameters(), lr=1e-4)

    def twin(torch):
        first, second, third = [torch.nn.Linear(a, b) for a, b in pairwise([n, n, n, 10])]
        return torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU(), third)

    return contenders(place, device, model, twin, adam, batches)


def transformer(place, device="cuda"):
    """Steps of the GPT of demos/gpt.py, by name."""
    make_optimizer, batches = partial(models.optimizer, case=models.GPT), models.batches(models.GPT, 2)
    return contenders(place, device, models.ours(models.GPT), models.torch_gpt, make_optimizer, batches)


def contenders(place, device, model, make_twin, make_optimizer, batches):
    """The training steps, ours and PyTorch's where it is installed, from the same weights."""
    weights = {name: values.astype(np.float32) for name, values in model.state_dict().items()}
    every = {OURS: There(place, model, make_optimizer)}
    if torch := import_torch(1):
        torch.set_default_device(device)  # also for what a forward makes
        every[TORCH] = Twin(torch, make_twin(torch), weights, make_optimizer)
    steps = {}
    for name, peer in every.items():
        prepared = cycle([peer.prepare(x, y) for x, y in batches])
        steps[name] = lambda step=peer.step, prepared=prepared: step(*next(prepared))
    return steps


def report(title, steps, runs):
    """Prints the losses of a first step, which must agree, then medians in turns and their ratio."""
    losses = {name: step() for name, step in steps.items()}
    print(f"\n{title}: loss of the first step {', '.join(f'{name} {loss:.6f}' for name, loss in losses.items())}")
    medians = {name: float(np.median(samples)) for name, samples in interleaved(steps, 7, runs).items()}
    for name, seconds in medians.items():
        print(f"  {name:14} {1e3 * seconds:9.2f} ms a step")
    if TORCH in medians:
        print(f"  ratio          {medians[OURS] / medians[TORCH]:9.2f}")


if __name__ == "__main__":
    lesson.run(main)
