"""Gates: what each operation does with the gradient that comes back to it.

A sum distributes: each input gets the whole gradient; a product scales: each gets it times the other input.
A maximum routes: the larger input gets everything, the other nothing.
Where a value takes several paths to the output, the gradients of its paths add up, and that is all of backpropagation.
Run it with `python demos/gates.py`: it prints each gate's numbers and writes two graphs, values blue, gradients orange.
"""

import lesson
import numpy as np

from tinygrad_edu import Tensor, add, maximum, multiply

GATES = {"add": add, "multiply": multiply, "max": maximum}
RULES = {  # what the gates are said to do with g: in words, and for the inputs x and y
    "add": ("distributes: g and g", lambda g, x, y: (g, g)),
    "multiply": ("scales: g·y and g·x", lambda g, x, y: (g * y, g * x)),
    "max": (
        "routes: g to the larger, 0 to the other; half each at a tie",
        lambda g, x, y: (g * np.heaviside(x - y, 0.5), g * np.heaviside(y - x, 0.5)),
    ),
}


def through(name, x, y, g):
    """Output of a gate, and the gradients of x and y when g arrives at it; numbers or arrays of one shape."""
    x, y = Tensor(x), Tensor(y)
    out = GATES[name](x, y)
    out.backward(g)
    return out.data, x.grad, y.grad


def largest_difference(name, rng, count):
    """How far a gate is from its rule, at most, for `count` random inputs and gradients."""
    g, x, y = rng.normal(size=(3, count))
    return np.abs(np.subtract(through(name, x, y, g)[1:], RULES[name][1](g, x, y))).max()


def product(x, y, z):
    """f = (x + y) z, the first example of CS231n; and its inputs."""
    x, y, z = Tensor(x, name="x"), Tensor(y, name="y"), Tensor(z, name="z")
    q = x + y
    q.name = "q"
    f = q * z
    f.name = "f"
    f.backward()
    return f, (x, y, z)


def branches(x, y, z):
    """f = y x + max(x, z), where x has two ways to f; and its inputs."""
    x, y, z = Tensor(x, name="x"), Tensor(y, name="y"), Tensor(z, name="z")
    p, m = y * x, maximum(x, z)
    p.name, m.name = "p", "m"
    f = p + m
    f.name = "f"
    f.backward()
    return f, (x, y, z)


def main(argv=None):
    parser, number = lesson.parser(__doc__, needs=()), lesson.real(-1e6, 1e6)
    for name, value in (("x", -2.0), ("y", 5.0), ("z", -4.0)):
        parser.add_argument(f"--{name}", type=number, default=value, help=f"an input, {value:g} if left out")
    parser.add_argument("-g", "--upstream", type=number, default=3.0, help="gradient that arrives at a gate")
    args = parser.parse_args(argv)
    x, y, z, g = args.x, args.y, args.z, args.upstream

    rng, count = np.random.default_rng(args.seed), 1000
    print(f"One gate: x = {x:g}, y = {y:g}, and the gradient g = {g:g} arrives at its output.\n")
    print("gate      output  x gets  y gets  rule")
    for name in GATES:
        out, to_x, to_y = through(name, x, y, g)
        print(f"{name:8}  {out + 0:6g}  {to_x + 0:6g}  {to_y + 0:6g}  {RULES[name][0]}")  # + 0: no -0
    worst = max(largest_difference(name, rng, count) for name in GATES)
    print(f"\nAt {count:,} random inputs the three rules differ from the autograd by at most {worst:g}.")

    print("\nTwo gates: f = (x + y) z. The product scales, then the sum distributes.\n")
    f, _ = product(x, y, z)
    print(f.explain(), end="\n\n")
    lesson.save_graph(f.graph(title="f = (x + y) z"), args.out / "gates_product.svg")

    print("\nA value used twice: f = y x + max(x, z). The paths add up.\n")
    f, inputs = branches(x, y, z)
    worked = f.explain(*inputs)
    print(worked, end="\n\n")
    way = worked.solutions[0]
    print(f"{way.count} paths lead from f to x, and what they bring adds up to {inputs[0].grad:g}.", end=" ")
    winner, loser = ("x", "z") if x > z else ("z", "x")
    routed = f"let the gradient through to {winner} and none to {loser}" if x != z else "is a tie: half for each"
    print(f"The maximum {routed}.\n")
    lesson.save_graph(f.graph(title="f = y x + max(x, z)"), args.out / "gates_branches.svg")


if __name__ == "__main__":
    lesson.run(main)
