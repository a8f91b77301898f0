"""An engine of your own: reverse-mode differentiation in 60 lines, built in three attempts, and what they cannot do.

A number that remembers of what it was made, and how steeply it depends on each of these, is enough: the chain rule
multiplies slopes along a path and adds up the paths (Karpathy's micrograd has the same idea, and about as many lines).
Attempt 1 forgets to add, attempt 2 walks along every path, of which there may be a billion, attempt 3 visits each
number once, when all that was made of it has been there. The library does as attempt 3, for arrays of any shape and
without recursion, in `tinygrad_edu/engine/autograd.py`. Run it with `python demos/engine.py`.
"""

import lesson
import numpy as np

from tinygrad_edu import Tensor, plots


class Value:
    """A number, the numbers it was made of, and its slope with respect to each of them."""

    def __init__(self, data, inputs=(), slopes=()):
        self.data, self.inputs, self.slopes, self.grad = data, inputs, slopes, 0.0

    def __add__(self, other):
        other = value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, exponent):
        return Value(self.data**exponent, (self,), (exponent * self.data ** (exponent - 1),))

    def tanh(self):
        return Value(np.tanh(self.data), (self,), (1 - np.tanh(self.data) ** 2,))

    def __sub__(self, other):
        return self + value(other) * -1.0

    def __truediv__(self, other):
        return self * value(other) ** -1

    __radd__, __rmul__ = __add__, __mul__
    visits = 0  # of all numbers, since it was last set to 0


def value(x):
    """x as a Value."""
    return x if isinstance(x, Value) else Value(x)


def overwrite(output, g=1.0):
    """Attempt 1: hands the gradient on at once, and keeps the last one that came."""
    output.grad, Value.visits = g, Value.visits + 1
    for x, slope in zip(output.inputs, output.slopes, strict=True):
        overwrite(x, slope * g)


def every_path(output, g=1.0):
    """Attempt 2: the same, but adds up what comes."""
    output.grad, Value.visits = output.grad + g, Value.visits + 1
    for x, slope in zip(output.inputs, output.slopes, strict=True):
        every_path(x, slope * g)


def backward(output):
    """Attempt 3: each number once, after all that were made of it."""
    order, seen = [], set()

    def visit(number):
        if number not in seen:
            seen.add(number)
            for x in number.inputs:
                visit(x)
            order.append(number)  # after all that it was made of

    visit(output)
    output.grad = 1.0
    for number in reversed(order):
        Value.visits += 1
        for x, slope in zip(number.inputs, number.slopes, strict=True):
            x.grad = x.grad + slope * number.grad


ATTEMPTS = {"1, the last path counts": overwrite, "2, along every path": every_path, "3, each number once": backward}
INPUTS = {"a": 2.0, "b": -0.5, "c": 1.0}


def expression(a, b, c):
    """Some numbers are used twice: b and the answer."""
    product = a * b
    answer = (product + c + b).tanh()
    return answer * answer + product / (answer - 3.0)


def doubled(x, times):
    """x + x, and the sum of that with itself, and so on: 2**times paths lead back to x."""
    return doubled(x + x, times - 1) if times else x


def attempt(walk, make, *numbers):
    """The gradients that an attempt finds, and how many numbers it visited."""
    inputs, Value.visits = [Value(x) for x in numbers], 0
    walk(make(*inputs))
    return [x.grad for x in inputs], Value.visits


def main(argv=None):
    parser = lesson.parser(__doc__)
    parser.add_argument("--doublings", type=lesson.integer(1, 18), default=15, help="of x + x")
    parser.add_argument("--depth", type=lesson.integer(1, most=10**6), default=5000, help="of the chain of additions")
    args = parser.parse_args(argv)

    tensors = {name: Tensor(x, name=name) for name, x in INPUTS.items()}
    output = expression(*tensors.values())
    output.backward()
    print(f"y = p² + ab / (p − 3), p = tanh(ab + c + b): {output:.6f}   slope to a, b and c")
    found = {f"attempt {name}": attempt(walk, expression, *INPUTS.values())[0] for name, walk in ATTEMPTS.items()}
    for name, slopes in (found | {"tinygrad_edu": [x.grad for x in tensors.values()]}).items():
        print(f"{name:32}  " + "  ".join([f"{x:10.6f}" for x in slopes]))

    print(f"\nx + x, {args.doublings} times in a row: the slope is {2**args.doublings}")
    additions, visits = range(1, args.doublings + 1), {}
    for name, walk in ATTEMPTS.items():
        runs = [attempt(walk, lambda x, n=n: doubled(x, n), 1.0) for n in additions]
        (slope,), steps = runs[-1]
        print(f"attempt {name:24}  slope {slope:<8g}  {steps:6} visits")
        visits[f"attempt {name}"] = additions, [steps for _, steps in runs]

    print("\nWhat attempt 3 cannot do, and the library can:")
    try:
        backward(sum([Value(1.0)] * args.depth))
        print(f"a chain of {args.depth} additions: no trouble, Python goes {args.depth} calls deep")
    except RecursionError:
        x = Tensor(1.0)
        sum([x] * args.depth).backward()
        print(f"a chain of {args.depth} additions: RecursionError; here the slope is {x.grad:g}")
    (_, number), _ = attempt(backward, lambda x, b: x + b, np.array([1.0, 2.0, 3.0]), 10.0)
    x, b = Tensor([1.0, 2.0, 3.0]), Tensor(10.0)
    (x + b).sum().backward()
    print(f"three numbers + one: the slope to the one is {number}; here {b.grad:g}, as it was added three times")

    panels, title = {"numbers visited on the way back": visits}, "x + x again and again: every path, or every number"
    figure = plots.curves(panels, xlabel="additions", ylabel="visits", yscale="log", title=title)
    lesson.save(figure, args.out / "engine_visits.png")
    lesson.save_graph(output.graph(title="the same in the library"), args.out / "engine_graph.svg")


if __name__ == "__main__":
    lesson.run(main)
