"""Arrays of a step that is being recorded: they show their shapes and hide their values.

What NumPy makes of one is a line of the list, and hidden too. Whoever wants to see a value would decide by it what no
line says, so that is an error, but for one question: a yes or no becomes a line that asks again.
"""

from functools import cache
from operator import getitem

import numpy as np

from tinygrad_edu import Tensor
from tinygrad_edu.engine import is_tensor

SHOWN = {"shape", "dtype", "ndim", "size", "itemsize", "nbytes"}
ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type}
EARLIER = "Compute that before the step and give it as an argument, or take plain steps."


class Hidden(np.lib.mixins.NDArrayOperatorsMixin):
    """A name, which stands in the list, and a value, at which only the tape looks."""

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
            return NotImplemented  # it is the Tensor's turn
        if out is not None or kind == "at":
            target = (out or inputs)[0]
            target = target if isinstance(target, Hidden) else self
            target.refuse(f"{ufunc.__name__} writes into an array, as for a running mean")
        function = ufunc if kind == "__call__" else getattr(ufunc, kind)
        label = ufunc.__name__ if kind == "__call__" else f"{ufunc.__name__}_{kind}"
        return self.tape.call(function, inputs, options, label)

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

    def __repr__(self):
        return f"<{self.name}, hidden>"

    def show(self, *_, **__):
        self.refuse("its values were asked for, as by .item(), .numpy(), detach(), Tensor(x), np.asarray(x) or print")

    __array__ = __float__ = __int__ = __index__ = __complex__ = __round__ = __format__ = __contains__ = show
    tolist = tobytes = show

    def __setitem__(self, index, value):
        self.refuse("somebody writes into it")

    def refuse(self, why):
        """The error about what no line can say."""
        line = next((line for line in self.tape.lines if line.startswith(f"{self.name} = ")), self.name)
        raise RuntimeError(f"cannot record a step at `{line}`: {why}, and a replay would not know of that. {EARLIER}")


@cache
def method(name):
    """The method or attribute of this name as a function."""

    def get(x, *args, **options):
        found = getattr(x, name)
        return found(*args, **options) if callable(found) else found

    get.__name__ = f".{name}"
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
