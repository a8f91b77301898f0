"""Graphs of single numbers: random expressions of 500 operations, and the moons of micrograd's demo.

An expression is written out as the source of a Python function, so every library runs the same lines. What is timed:
make the leaves, build the graph, backpropagate. micrograd's graphs contain cycles, so they wait for the garbage
collector; blocks are long, and collections within a block are part of its time. A collection walks through all objects
there are, PyTorch's too where it is imported, and so micrograd and PyTorch meet ours in processes of their own. With
micrograd a block is 50 runs (moons: 5; with --quick 20 and 1), and nothing is hidden from the collector.

"Single runs" are the other view, again in a process of their own: ours and micrograd in turns, run by run, and the
median of each. Few runs meet a collection, so it leaves the collector out.
"""

import math
import random
import sys
import time
from itertools import pairwise

from speed.timing import MICROGRAD, OURS, TORCH, import_torch, installed, interleaved, rows
from tinygrad_edu import Tensor

README = """
def f(a, b):
    total = 0.0
    for _ in range(20):
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        e = c - d
        f = e**2
        g = f / 2.0
        g += 10.0 / f
        total = total + g
    return total
"""
OPERATORS = {"plain": ("+", "-", "*", "/", "relu"), "powers": ("+", "-", "*", "/", "relu", "**2", "**3", "**-1")}
SIZE = 500
EXPRESSIONS = {
    "micrograd's README expression, 20 times, 520 ops": "readme",
    f"random + - * / relu, {SIZE} ops": "plain",
    f"random + - * / relu **, {SIZE} ops": "powers",
}
POINTS = 100
MOONS = f"moons, 2-16-16-1, {POINTS} points"
SMALLEST, LARGEST = 0.1, 10.0  # of the values in an expression: nothing overflows


def cases(quick, threads=1):
    """Names of what is built."""
    return [*EXPRESSIONS, MOONS]


def expression(kind, seed=0):
    """A function of scalars, and the values of its arguments."""
    source, values = (README, [-4.0, 2.0]) if kind == "readme" else random_source(OPERATORS[kind], seed)
    namespace = {}
    exec(source, namespace)
    return namespace["f"], values


def random_source(operators, seed, leaves=8):
    """The source of a function of SIZE random operations, and arguments; every result counts for the output."""
    rng = random.Random(seed)
    values = {f"x{i}": rng.uniform(0.5, 2.0) * rng.choice((-1, 1)) for i in range(leaves)}
    arguments, lines, unused = list(values), [], set(values)
    while len(lines) + len(unused) - 1 < SIZE:
        operator, names = rng.choice(operators), list(values)
        x, y, new = rng.choice(names[-20:]), rng.choice(names), f"v{len(lines)}"
        if operator == "relu":
            source, value, used = f"{x}.relu()", max(values[x], 0.0), {x}
        elif operator in "+-*/":
            source, used = f"{x} {operator} {y}", {x, y}
            value = eval(source, {}, values) if values[y] else math.inf
        else:
            source, used = f"{x}{operator}", {x}
            value = eval(source, {}, values) if values[x] else math.inf
        if SMALLEST <= abs(value) <= LARGEST or operator == "relu":
            lines.append(f"    {new} = {source}")
            values[new] = value
            unused = unused - used | {new}
    lines.append(f"    return {' + '.join(sorted(unused))}")
    return "\n".join([f"def f({', '.join(arguments)}):", *lines]), [values[name] for name in arguments]


class Moons:
    """One training step of the network of micrograd's demo.ipynb, with any kind of scalar.

    All 100 points, the hinge loss of a support vector machine, an L2 penalty, and gradient descent.

    Args:
        leaf: Makes a scalar that is trained.
        constant: Makes what is cheapest for the library as a constant.
        zero: What `grad` is set to before backward.
    """

    def __init__(self, leaf, constant=float, zero=None):
        rng = random.Random(1337)
        self.zero = zero
        self.layers = [
            [([leaf(rng.uniform(-1, 1)) for _ in range(n)], leaf(0.0)) for _ in range(m)]
            for n, m in pairwise([2, 16, 16, 1])
        ]
        self.parameters = [p for layer in self.layers for w, b in layer for p in (*w, b)]
        self.points, self.labels = [], []
        for i in range(POINTS):
            angle, label = math.pi * rng.random(), 1 if i % 2 else -1
            x, y = math.cos(angle), math.sin(angle)
            x, y = (x, y) if label < 0 else (1 - x, 0.5 - y)  # the other moon, upside down
            self.points.append([constant(x + rng.gauss(0, 0.1)), constant(y + rng.gauss(0, 0.1))])
            self.labels.append(label)

    def score(self, x):
        """How much a point belongs to the second moon."""
        for layer in self.layers:
            x = [sum((wi * xi for wi, xi in zip(w, x, strict=True)), b) for w, b in layer]
            if layer is not self.layers[-1]:
                x = [z.relu() for z in x]
        return x[0]

    def loss(self):
        losses = [(1 + -y * self.score(x)).relu() for x, y in zip(self.points, self.labels, strict=True)]
        return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in self.parameters)

    def step(self):
        """Forward, backward, update; returns the loss."""
        for p in self.parameters:
            p.grad = self.zero
        loss = self.loss()
        loss.backward()
        for p in self.parameters:
            p.data -= 0.1 * p.grad
        return loss


def libraries(peer, threads=1):
    """For ours and the peer: how a leaf is made, and the arguments of Moons."""
    found = {OURS: (Tensor, {})}
    if peer == "micrograd" and installed("micrograd"):
        from micrograd.engine import Value

        sys.setrecursionlimit(max(10_000, sys.getrecursionlimit()))  # its backward() calls itself along the graph
        found[MICROGRAD] = Value, {"constant": Value, "zero": 0}
    elif peer == "torch" and (torch := import_torch(threads)):
        found[TORCH] = lambda value: torch.tensor(value, dtype=torch.float64, requires_grad=True), {}
    return found


def measure(case, threads, quick, peer):
    """Rows of one case, ours against the peer."""
    freeze = peer == "torch"  # neither of the two leaves cycles to the collector
    if case == MOONS:
        steps = {name: Moons(leaf, **options).step for name, (leaf, options) in libraries(peer, threads).items()}
        blocks, runs = (2, 1) if quick else (7, 5)
        return rows(case, interleaved(steps, blocks, runs, threads, warmup=0 if quick else 1, freeze=freeze))

    runs = builders(case, peer, threads)
    return rows(case, interleaved(runs, 5 if quick else 21, 20 if quick else 50, threads, freeze=freeze))


def builders(case, peer, threads=1):
    """For ours and the peer, a function that makes the leaves, builds the graph and backpropagates."""
    function, values = expression(EXPRESSIONS[case])

    def builder(leaf):
        return lambda: function(*[leaf(value) for value in values]).backward()

    return {name: builder(leaf) for name, (leaf, _) in libraries(peer, threads).items()}


def single_cases(quick, threads=1):
    """The expressions."""
    return list(EXPRESSIONS) if installed("micrograd") else []


def measure_single(case, threads, quick):
    """Rows of one expression, each sample a single run."""
    runs = builders(case, "micrograd")
    times = {name: [] for name in runs}
    for _ in range(50 if quick else 500):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return rows(f"single runs, {case}", times)
