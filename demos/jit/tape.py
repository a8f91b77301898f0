"""The list: what a step calls, line by line, and then the lines of the chain rule."""

import re
from functools import partial
from operator import getitem

import numpy as np

from jit.hidden import Hidden, bare, constant, holds_hidden, method
from tinygrad_edu.engine import is_tensor, setting, unbroadcast
from tinygrad_edu.tensor import seed

SYMBOLS = {
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
}  # fmt: skip
ARRAYS, NUMBERS = (np.ndarray, np.generic), (bool, int, float)


class Different(Exception):
    """What a recorded step raises where an answer or a shape is another than when it was recorded."""


class Tape:
    """The lines, and what the names in them stand for. It is a watch of the engine, which tells it of ops."""

    def __init__(self):
        self.lines, self.names, self.known, self.counts = [], {"Different": Different, "step": None}, {}, {}
        self.tensors, self.letter, self.last = [], "v", None

    def name(self, base, thing):
        """A name for a thing, the same whenever it is asked for."""
        if id(thing) not in self.known:
            name = base = re.sub(r"\W", "_", base)
            while name in self.names:
                self.counts[base] = self.counts.get(base, 1) + 1
                name = f"{base}_{self.counts[base]}"
            self.names[name], self.known[id(thing)] = thing, name
        return self.known[id(thing)]

    def hide(self, base, value):
        """A hidden array under a name of its own."""
        hidden = Hidden(self, base, value)
        hidden.name = self.name(base, hidden)
        return hidden

    def text(self, x):
        """An argument as it stands in a line."""
        if isinstance(x, Hidden):
            return x.name
        if type(x) is tuple:
            return f"({''.join([f'{self.text(part)}, ' for part in x])})"
        if type(x) is list:
            return f"[{', '.join(map(self.text, x))}]"
        if type(x) is dict:
            return f"{{{', '.join([f'{key!r}: {self.text(part)}' for key, part in x.items()])}}}"
        if type(x) is slice:
            return f"slice({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        if x is None or x is Ellipsis or type(x) in (bool, int, str) or (type(x) is float and np.isfinite(x)):
            return repr(x)
        return self.name(str(x) if isinstance(x, np.dtype) else getattr(x, "__name__", "constant"), x)

    def expression(self, function, label, args, options):
        """A call as it stands in a line."""
        words = [*map(self.text, args), *[f"{key}={self.text(x)}" for key, x in options.items()]]
        if function in SYMBOLS and len(words) == 2:
            return f"{words[0]} {SYMBOLS[function]} {words[1]}"
        if label.startswith("."):
            is_method = callable(getattr(args[0].value, label[1:]))
            return f"{words[0]}{label}({', '.join(words[1:])})" if is_method else words[0] + label
        return f"{self.name(label, function)}({', '.join(words)})"

    def guard(self, unless, name):
        """A line that gives up if something is another than now."""
        self.lines.append(f"if {unless}: raise Different({name!r})")

    def call(self, function, args, options=(), label=None, shape=True):
        """Calls a function and writes the line; what was made of nothing hidden is a constant and needs none.

        With `shape` a second line asks whether the result's shape is the same, as it may depend on values.
        """
        options = dict(options)
        with setting(watch=None):
            value = function(*bare(args), **bare(options))
        if not holds_hidden([args, options]):
            return value
        line = self.expression(function, label or getattr(function, "__name__", "call"), args, options)
        out = self.hide(f"{self.letter}{len(self.lines)}", value)
        self.lines.append(f"{out.name} = {line}")
        if type(value) in (tuple, list):
            return [self.call(getitem, (out, i)) for i in range(len(value))]
        if not isinstance(value, ARRAYS + NUMBERS):
            out.refuse("that is no array or number")
        if shape and np.ndim(value) and not isinstance(function, np.ufunc):
            self.guard(f"{out.name}.shape != {value.shape}", out.name)
        return out

    def run(self, function):
        """Calls an op's function; the engine asks for it."""

        def call(*values, **params):
            out = self.last = self.call(function, values, params, shape=holds_hidden(params))
            return out.value if holds_hidden(values) else out

        return call

    def forward(self, op, inputs, tensor):
        """Hides the result of an op; the engine tells of it."""
        for x in inputs:
            if is_tensor(x) and x._requires_grad and not isinstance(x._values, Hidden):
                what = f"{op.name} gets a Tensor of shape {x.shape} that requires a gradient and is no parameter"
                raise RuntimeError(f"cannot record a step where {what}; make it an attribute of the model")
        if isinstance(self.last, Hidden):
            tensor._values = self.last
            self.tensors.append(tensor)

    def backward(self, tensor, position, gradient):
        """Refuses a backward pass inside of the step; the engine tells of it."""
        raise RuntimeError("cannot record a step that calls backward() or grad() itself; take plain steps")

    def chain_rule(self, loss):
        """Writes the lines that backward_pass would run; returns the gradients by id of the Tensor."""
        self.letter, start = "g", seed(loss, None, False)
        arrived = {id(loss): Hidden(self, self.name("one", start), start)}
        for tensor in reversed(self.tensors):  # newest first: all that was made of it has been there
            g = arrived.pop(id(tensor), None)
            for i, x in enumerate(tensor._inputs if g is not None else ()):
                if is_tensor(x) and x._requires_grad:
                    part = self.part(tensor, i, g)
                    arrived[id(x)] = self.call(np.add, (arrived[id(x)], part)) if id(x) in arrived else part
        return arrived

    def part(self, tensor, i, g):
        """What operand i of a tensor receives when g arrives there: the rule, in the operand's own shape and memory."""
        op, x, out = tensor._op, tensor._inputs[i], tensor._values
        operands = [x._values if is_tensor(x) else x for x in tensor._inputs]
        rule = partial(op.vjps[0], i) if op.variadic else op.vjps[i]
        part = self.call(rule, (g, out, *operands), tensor._params, f"{op.name}_to_{op.argument(i)}", shape=False)
        like, value = x._values, part.value
        if np.shape(value) != like.shape or value.dtype != like.dtype or (type(value) is np.ndarray and not like.shape):
            blank = [constant(np.broadcast_to(v.dtype.type(0), v.shape), op) for v in (like, out)]
            fit = partial(unbroadcast, x=blank[0], tensor=blank[1], position=i)
            part = self.call(fit, (part,), label="unbroadcast", shape=False)
        value = part.value
        owned = type(value) is not np.ndarray or not (np.may_share_memory(value, g.value) or not value.flags.writeable)
        return part if owned or x._op is not None else self.call(method("copy"), (part,), label=".copy", shape=False)

    def frugal(self, results):
        """The lines, each of which lets go of what none needs any more: the next arrays take its memory."""
        last = {name: i for i, line in enumerate(self.lines) for name in re.findall(r"\b[vg]\d+\b", line)}
        for i, line in enumerate(self.lines):
            dead = [name for name in set(re.findall(r"\b[vg]\d+\b", line)) - {*results} if last[name] == i]
            yield line if line.startswith("if ") or not dead else f"{line}; del {', '.join(sorted(dead))}"

    def function(self, arguments, results):
        """The lines as a function, and its source; the arrays of the recorded step are let go."""
        lines = [f"def step({', '.join(arguments)}):", *self.frugal(results), f"return {', '.join(results)}"]
        source = "\n    ".join(lines)
        self.tensors, self.last, self.known = [], None, {}
        self.names = {name: x for name, x in self.names.items() if not isinstance(x, Hidden)}
        exec(source, names := dict(self.names))
        return names["step"], source

    def difference(self, other):
        """The first line in which two tapes differ, in words; "" if there is none."""
        for i in range(max(len(self.lines), len(other.lines))):
            ours, theirs = ["".join(tape.lines[i : i + 1]) or "the end" for tape in (self, other)]
            if ours != theirs:
                return f"`{ours}` would be `{theirs}` now"
            for name in re.findall(r"\w+", ours):
                if name in self.names and not alike(self.names[name], other.names.get(name)):
                    return f"in `{ours}` the array {name} has other values now"
        return ""


def alike(a, b):
    """Whether two constants are the same; of what is no array nobody can tell."""
    if not isinstance(a, ARRAYS):
        return True
    return a is b or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
