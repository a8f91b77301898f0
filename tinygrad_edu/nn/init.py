"""Initial values of parameters: functions that fill a Tensor in place and return it.

Why the scale matters: a layer sums fan_in products, so the variance of its outputs is fan_in * var(weight) times that
of its inputs. Over ten layers of 512 neurons weights with a standard deviation of 0.01 shrink the signal by a factor
of 10**6, and larger ones blow it up or saturate tanh. Xavier (Glorot) and Kaiming (He) choose var(weight) so that the
factor is about 1, forward and backward.

Random numbers come from one generator for the whole library, seeded by `manual_seed`, or from the `rng` you pass
(PyTorch's `generator`).
They are drawn in float64 and rounded to the parameter's dtype: one seed gives the same weights in both. Whoever goes
back in time, as a checkpoint does, finds the generators that other objects draw from with `generators_in`.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import dis
import math
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Literal

import numpy as np

from tinygrad_edu.tensor import Tensor

Mode = Literal["fan_in", "fan_out"]

_generator: np.random.Generator | None = None


def manual_seed(seed: int) -> np.random.Generator:
    """Starts the library's generator anew, so that what follows can be repeated; returns it."""
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def generator() -> np.random.Generator:
    """The library's generator; without manual_seed it starts from the operating system's entropy."""
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


def chosen(rng: np.random.Generator | None) -> np.random.Generator:
    """The generator to draw from: the one given, or else the library's.

    Raises:
        TypeError: Something else, such as a seed: `rng or generator()` would take 0 for no generator.
    """
    if rng is None:
        return generator()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}; make one with default_rng(seed)")
    return rng


def generators_in(thing: Any) -> dict[str, np.random.Generator]:
    """The random generators that an object draws from, by path, each once; the library's own is left out.

    Looks into attributes, lists, tuples and dicts, into what partials and bound methods are made of, and for functions
    into the arguments' defaults and the variables around them. It does not see what the methods of a class find in
    global variables, nor into iterators, such as a generator function's result.

    Example:
        >>> augment = RandomAffine(degrees=10, seed=0)
        >>> list(generators_in(DataLoader(images, labels, transform=lambda x: normalize(augment(x)))))
        ['transform.augment.rng', 'rng']
    """
    found = {}
    seen = {id(_generator): _generator}  # the objects too: a new one could have the id of one that is gone
    waiting = [("", thing)]
    while waiting:
        path, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.random.Generator):
            found[path] = thing
        elif not isinstance(thing, (type, ModuleType, np.ndarray, Tensor)):
            named = [(f"{path}.{name}".lstrip("."), part) for name, part in dict.items(parts(thing))]
            waiting += named[::-1]
    return found


def parts(thing: Any) -> dict[Any, Any]:
    """What an object is made of, by name."""
    if isinstance(thing, (list, tuple)):
        return dict(enumerate(thing))
    if isinstance(thing, partial):
        return {"func": thing.func, "args": thing.args, "keywords": thing.keywords}
    if isinstance(thing, MethodType):
        return {"self": thing.__self__, "func": thing.__func__}
    if isinstance(thing, FunctionType):
        return {**variables(thing), "__dict__": vars(thing)}
    return thing if isinstance(thing, dict) else getattr(thing, "__dict__", {})


def variables(function: FunctionType) -> dict[str, Any]:
    """What a function refers to: the defaults of its arguments, and variables of the functions and module around it."""
    defaults = {"__defaults__": function.__defaults__, "__kwdefaults__": function.__kwdefaults__}
    codes, names = [function.__code__], []
    for code in codes:
        names += [step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"]
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    outside = {name: function.__globals__[name] for name in names if name in function.__globals__}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return defaults | outside | {name: cell.cell_contents for name, cell in cells if cell != CellType()}


def fill(tensor: Tensor, values: Any) -> Tensor:
    """Writes the values into a leaf Tensor in place."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"nn.init fills Tensors, got {type(tensor).__name__}; for an array use array[...] = values")
    return tensor.assign(values)


def zeros(tensor: Tensor) -> Tensor:
    """All zeros: right for biases; weights that are all equal stay equal, as their gradients are."""
    return fill(tensor, 0.0)


def constant(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return fill(tensor, val)


def normal(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Independent draws from N(mean, std**2)."""
    return fill(tensor, chosen(rng).normal(mean, std, tensor.shape))


def uniform(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Independent draws from the uniform distribution over [a, b)."""
    return fill(tensor, chosen(rng).uniform(a, b, tensor.shape))


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of shape (out, in, *kernel): how many inputs feed one output, and the reverse.

    Raises:
        ValueError: The tensor has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(
            f"a tensor of shape {tensor.shape} has no fan_in and fan_out: Xavier and Kaiming need a weight of shape "
            "(out, in, ...); fill a bias with zeros"
        )
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights must grow to make up for what an activation takes from the signal, as PyTorch has it.

    Args:
        nonlinearity: "linear", "identity", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        param: Negative slope of leaky_relu; 0.01 if None.

    Returns:
        The factor for the standard deviation, for example sqrt(2) for relu, which sets half of the signal to zero.

    Raises:
        ValueError: Another name.
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        "identity": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise ValueError(f"no gain is known for {nonlinearity!r}; known are {', '.join(gains)}")
    return gains[nonlinearity]


def xavier_std(tensor: Tensor, gain: float) -> float:
    """gain * sqrt(2 / (fan_in + fan_out)): a compromise between forward and backward signal."""
    return gain * math.sqrt(2 / sum(fans(tensor)))


def xavier_uniform(tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Uniform over +-gain * sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, for tanh and sigmoid."""
    bound = math.sqrt(3) * xavier_std(tensor, gain)  # the uniform distribution over +-b has variance b**2 / 3
    return uniform(tensor, -bound, bound, rng=rng)


def xavier_normal(tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """Normal with std gain * sqrt(2 / (fan_in + fan_out)): Glorot & Bengio 2010, for tanh and sigmoid."""
    return normal(tensor, 0.0, xavier_std(tensor, gain), rng=rng)


def kaiming_std(tensor: Tensor, a: float, mode: Mode, nonlinearity: str) -> float:
    """gain / sqrt(fan)."""
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', not {mode!r}")
    fan_in, fan_out = fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def kaiming_uniform(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Uniform over +-gain * sqrt(3 / fan): He et al. 2015, for relu and its relatives.

    Args:
        tensor: Weight of shape (out, in, ...).
        a: Negative slope of leaky_relu; 0 makes it relu.
        mode: "fan_in" keeps the variance of the forward signal, "fan_out" that of the gradient.
        nonlinearity: The activation that follows, see calculate_gain.
        rng: Generator instead of the library's.
    """
    bound = math.sqrt(3) * kaiming_std(tensor, a, mode, nonlinearity)
    return uniform(tensor, -bound, bound, rng=rng)


def kaiming_normal(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Normal with std gain / sqrt(fan): He et al. 2015; arguments as for kaiming_uniform."""
    return normal(tensor, 0.0, kaiming_std(tensor, a, mode, nonlinearity), rng=rng)


def orthogonal(tensor: Tensor, gain: float = 1.0, *, rng: np.random.Generator | None = None) -> Tensor:
    """gain times a random orthogonal matrix: Saxe, McClelland & Ganguli 2014.

    It keeps the length of every signal, not only on average, so a deep linear network starts out as a rotation. The
    shorter of rows and columns are orthonormal; a weight of shape (out, in, *kernel) counts as (out, in * kernel).

    Args:
        tensor: Weight of at least two axes.
        gain: Length of the rows or columns, see calculate_gain.
        rng: Generator instead of the library's.

    Raises:
        ValueError: The tensor has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal: a tensor of shape {tensor.shape} is no matrix; fill a bias with zeros")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    draws = chosen(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    q *= np.copysign(1.0, np.diagonal(r))  # LAPACK's choice of signs favours some rotations (Mezzadri 2007)
    return fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))
