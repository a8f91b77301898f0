"""One op with its backward pass, on arrays so small that the library's own work is most of it.

What is timed: forget the old gradients, compute one op of leaves, backpropagate from it with a given upstream gradient.
NumPy computes the forward pass alone: what the arithmetic costs. float32; float64 for shape (), as literals are.
"""

import numpy as np

from speed.timing import OURS, TORCH, import_torch, interleaved, rows
from tinygrad_edu import Tensor

FORWARD = "NumPy, forward only"
SHAPES = [(), (4,), (64, 64)]
OPS = {  # for Tensors of either library, and for arrays
    "add": (lambda x, y: x + y, np.add),
    "subtract": (lambda x, y: x - y, np.subtract),
    "multiply": (lambda x, y: x * y, np.multiply),
    "divide": (lambda x, y: x / y, np.divide),
    "square": (lambda x, y: x**2, lambda x, y: x**2),
    "exp": (lambda x, y: x.exp(), lambda x, y: np.exp(x)),
    "log": (lambda x, y: x.log(), lambda x, y: np.log(x)),
    "tanh": (lambda x, y: x.tanh(), lambda x, y: np.tanh(x)),
    "relu": (lambda x, y: x.relu(), lambda x, y: np.maximum(x, 0)),
    "sum": (lambda x, y: x.sum(), lambda x, y: np.sum(x)),
    "mean": (lambda x, y: x.mean(), lambda x, y: np.mean(x)),
    "matmul": (lambda x, y: x @ y, lambda x, y: x @ y),
}


def cases(quick, threads=1):
    """Name and shape."""
    return [(name, shape) for shape in SHAPES for name in OPS if shape or name != "matmul"]


def label(name, shape):
    return f"{name} {shape}"


def measure(case, threads, quick):
    """Rows of one op and shape."""
    name, shape = case
    differentiable, plain = OPS[name]
    rng = np.random.default_rng(0)
    dtype = np.float32 if shape else np.float64
    a, b = [rng.uniform(0.5, 1.0, shape).astype(dtype)[()] for _ in range(2)]
    upstream = np.ones_like(plain(a, b))

    def with_backward(x, y, gradient):
        def run():
            x.grad = y.grad = None
            differentiable(x, y).backward(gradient)

        return run

    contenders = {OURS: with_backward(Tensor(a), Tensor(b), upstream)}
    if torch := import_torch(threads):
        x, y = [torch.tensor(value, requires_grad=True) for value in (a, b)]
        contenders[TORCH] = with_backward(x, y, torch.tensor(upstream))
    contenders[FORWARD] = lambda: plain(a, b)
    return rows(label(*case), interleaved(contenders, 3 if quick else 21, 200 if quick else 1000, threads))
