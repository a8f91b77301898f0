"""Writes down what a training step computes, as a Python function of its arrays: for replay.py.

The step runs once with arrays that show their shapes and hide their values. What an op or NumPy makes of them is a line
of the list, and hidden too. Whoever wants to see a value would decide by it what no line says, so that is an error, but
for one question: a yes or no becomes a line that asks again, and gives up where the answer is another.
"""

import re
from functools import cache, partial
from operator import getitem

import numpy as np

from tinygrad_edu import Tensor
from tinygrad_edu.engine import is_tensor, setting, unbroadcast
from tinygrad_edu.tensor import seed

SHOWN = {"shape", "dtype", "ndim", "size", "itemsize", "nbytes"}
ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type}
VALUES = (np.ndarray, np.generic, bool, int, float)
ELSE = "Compute that before the step and give it as an argument, or take plain steps."


class Different(Exception):
    """What a recorded step raises where an answer or a shape is another than when it was recorded."""


class Hidden(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a step that is being recorded: a name, and a value that only the tape looks at."""

    def __init__(self, tape, name, value):
        self.tape, self.name, self.value = tape, name, value

    def __getattr__(self, name):
        if name.startswith("__"):  # by which np.asarray would find its way to the values
            raise AttributeError(name)
        found = getattr(self.value, name)
        if name in SHOWN:
            return found
        if callable(found):
            return lambda *args, **options: self.tape.call(method(name), (self, *args), options)
        return self.tape.call(method(name), (self,))

    def __array_ufunc__(self, ufunc, kind, *inputs, out=None, **options):
        if any(map(is_tensor, inputs)):
            return NotImplemented
        if out is not None or kind == "at":
            self.refuse(f"{ufunc.__name__} writes into an array that a replay would not write into, as running means")
        return self.tape.call(ufunc if kind == "__call__" else getattr(ufunc, kind), inputs, options)

    def __array_function__(self, function, types, args, options):
        if Tensor in types:
            return NotImplemented
        return function(*bare(args), **options) if function in ABOUT_SHAPES else self.tape.call(function, args, options)

    def __op__(self, op, operands, params):
        out = op.call(*[constant(x) if isinstance(x, Hidden) else x for x in operands], **params)
        return out if any(map(is_tensor, operands)) else out._values

    def __getitem__(self, index):
        return self.tape.call(getitem, (self, index))

    def __len__(self):
        return len(self.value)

    def __iter__(self):
        return iter([self[i] for i in range(len(self))])

    def __bool__(self):
        answer = bool(self.value)
        self.tape.guard(f"bool({self.name}) is not {answer}", self.name)
        return answer

    def look(self, *_, **__):
        self.refuse("its values were asked for, as by .item(), .numpy(), detach(), Tensor(x), np.asarray(x) or print")

    __array__ = __float__ = __int__ = __index__ = __complex__ = __setitem__ = tolist = tobytes = look

    def refuse(self, why):
        line = next((line for line in self.tape.lines if line.startswith(f"{self.name} = ")), self.name)
        raise RuntimeError(f"cannot record a step with `{line}`: {why}; the list would not know what comes of it. {ELSE}")


@cache
def method(name):
    """The method or attribute of this name as a function."""

    def get(x, *args, **options):
        found = getattr(x, name)
        return found(*args, **options) if callable(found) else found

    get.__name__ = name
    return get


def constant(values, op=None):
    """A Tensor around hidden values."""
    tensor = Tensor(0.0, requires_grad=False)
    tensor._values, tensor._op = values, op
    return tensor


def mapped(function, x):
    """function(x), or of every part of the lists, tuples, dicts and slices in x."""
    if type(x) in (list, tuple):
        return type(x)([mapped(function, part) for part in x])
    if type(x) is dict:
        return {key: mapped(function, part) for key, part in x.items()}
    if type(x) is slice:
        return slice(*[mapped(function, part) for part in (x.start, x.stop, x.step)])
    return function(x)


def bare(x):
    """The arguments of a call with their values."""
    return mapped(lambda part: part.value if isinstance(part, Hidden) else part, x)


def holds_hidden(x):
    """Whether one of the arguments of a call is hidden."""
    found = []
    mapped(lambda part: found.append(isinstance(part, Hidden)), x)
    return any(found)


class Tape:
    """The lines of a step, and what the names in them stand for. It is a watch of the engine, which tells it of ops."""

    def __init__(self):
        self.lines, self.names, self.known, self.counts = [], {"Different": Different}, {}, {}
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
        """A value under a name of its own."""
        return Hidden(self, self.name(base, Hidden(self, base, value)), value)

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

    def guard(self, unless, name):
        """A line that gives up if something is another than now."""
        self.lines.append(f"if {unless}: raise Different({name!r})")

    def call(self, function, args, options=(), label=None, shape=True):
        """Calls a function and writes the line; what was made of nothing hidden is a constant and needs none."""
        options = dict(options)
        with setting(watch=None):
            value = function(*bare(args), **bare(options))
        if not holds_hidden([args, options]):
            return value
        words = [*map(self.text, args), *[f"{key}={self.text(x)}" for key, x in options.items()]]
        out = self.hide(f"{self.letter}{len(self.lines)}", value)
        label = label or getattr(function, "__name__", "call")
        self.lines.append(f"{out.name} = {self.name(label, function)}({', '.join(words)})")
        if type(value) in (tuple, list):
            return [self.call(getitem, (out, i)) for i in range(len(value))]
        if not isinstance(value, VALUES):
            out.refuse("it is no array or number")
        if shape and np.ndim(value) and not isinstance(function, np.ufunc):  # it may depend on values
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
                what = f"{op.name} gets a Tensor of shape {x.shape} that requires a gradient, and is no parameter"
                raise RuntimeError(f"cannot record a step where {what}; make it an attribute of the model")
        if isinstance(self.last, Hidden):
            tensor._values = self.last
            self.tensors.append(tensor)

    def backward(self, loss):
        """Writes the lines of the chain rule, as backward_pass would walk; returns the gradients by id of the Tensor."""
        self.letter, start = "g", seed(loss, None, False)
        arrived = {id(loss): Hidden(self, self.name("one", start), start)}
        for tensor in reversed(self.tensors):
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
        label = f"{op.name}_to_{op.argument(i)}"
        part = self.call(rule, (g, out, *operands), tensor._params, label, shape=False)
        like, value = x._values, part.value
        if np.shape(value) != like.shape or value.dtype != like.dtype or (type(value) is np.ndarray and not like.shape):
            blank = [constant(np.broadcast_to(v.dtype.type(0), v.shape), op) for v in (like, out)]
            fit = partial(unbroadcast, x=blank[0], tensor=blank[1], position=i)
            part = self.call(fit, (part,), label="unbroadcast", shape=False)
        value = part.value
        if x._op is None and type(value) is np.ndarray:
            if np.may_share_memory(value, g.value) or not value.flags.writeable:
                part = self.call(method("copy"), (part,), shape=False)
        return part

    def function(self, arguments, results):
        """The lines as a function, and its source."""
        source = "\n    ".join([f"def step({', '.join(arguments)}):", *self.lines, f"return {', '.join(results)}"])
        exec(source, names := dict(self.names))
        return names["step"], source

    def difference(self, other):
        """The first line in which two tapes differ, in words; "" if there is none."""
        for i in range(max(len(self.lines), len(other.lines))):
            ours, theirs = ["".join(tape.lines[i : i + 1]) or "nothing" for tape in (self, other)]
            if ours != theirs:
                return f"line {i} was `{ours}` and would be `{theirs}`"
            for name in re.findall(r"\w+", ours):
                if name in self.names and not alike(self.names[name], other.names.get(name)):
                    return f"in line {i}, `{ours}`, {name} is another: {self.names[name]!r:.60}, {other.names[name]!r:.60}"
        return ""


def alike(a, b):
    """Whether two constants are the same; of what is no number nobody can tell."""
    if not isinstance(a, (np.ndarray, np.generic)):
        return True
    return a is b or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
