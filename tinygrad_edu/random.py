"""Random numbers: the library's own generator, and the generators that objects draw from.

Whatever draws takes an `rng` (PyTorch's `generator`) and otherwise draws from one generator for the whole library,
which `manual_seed` starts anew. To go back in time, as a checkpoint does, `generators_in` finds the generators that
other objects draw from.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import dis
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.engine import is_tensor

__all__ = ["default_generator", "generator_or_default", "generators_in", "manual_seed", "new_generator"]

_generator: np.random.Generator | None = None


def manual_seed(seed: int) -> np.random.Generator:
    """Starts the library's generator anew, so that what follows can be repeated; returns it."""
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def default_generator() -> np.random.Generator:
    """The library's generator; without manual_seed it starts from the operating system's entropy."""
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


def generator_or_default(rng: np.random.Generator | None) -> np.random.Generator:
    """The generator to draw from: the one given, or else the library's.

    Raises:
        TypeError: Something else, such as a seed: `rng or default_generator()` would take 0 for no generator.
    """
    if rng is None:
        return default_generator()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}; make one with default_rng(seed)")
    return rng


def new_generator(seed: int | None, rng: np.random.Generator | None) -> np.random.Generator:
    """The generator given, or a new one that starts from the seed, or from the system's entropy if that is None.

    Raises:
        TypeError: rng is not a generator.
        ValueError: Both are given.
    """
    if seed is not None and rng is not None:
        raise ValueError("got both seed and rng; give one of them, as rng already carries its seed")
    return np.random.default_rng(seed) if rng is None else generator_or_default(rng)


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
        elif not isinstance(thing, (type, ModuleType, np.ndarray)) and not is_tensor(thing):
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
