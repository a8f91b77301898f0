"""Random numbers: the library's own generator, and the generators that objects draw from.

Whatever draws random numbers takes an `rng` (PyTorch's `generator`) and otherwise draws from one generator for the
whole library. `manual_seed` starts it anew in place, so a loader that was made before follows. A checkpoint must save
the states of all generators, so `generators_in` finds those that an object draws from.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import dis
from _thread import allocate_lock as Lock  # as in engine/autograd.py
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType

import numpy as np

from tinygrad_edu.checks import check_int
from tinygrad_edu.engine import is_tensor

__all__ = ["default_generator", "generator_or_default", "generators_in", "manual_seed", "new_generator"]

library_generator: np.random.Generator | None = None
MAKING = Lock()  # two threads must not make one each: manual_seed would reach one of them


def manual_seed(seed: int) -> np.random.Generator:
    """Reseeds the library's generator, so that what follows can be repeated; returns it.

    Raises:
        TypeError: The seed is not an integer; None would repeat nothing.
        ValueError: It is below 0.
    """
    seed = check_int("manual_seed: seed", seed, 0, wrong_type=TypeError)
    default_generator().bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return default_generator()


def default_generator() -> np.random.Generator:
    """The library's generator; without manual_seed it starts from the operating system's entropy."""
    global library_generator
    if library_generator is None:
        with MAKING:
            if library_generator is None:
                library_generator = np.random.default_rng()
    return library_generator


def generator_or_default(rng: np.random.Generator | None) -> np.random.Generator:
    """The generator to draw from: the one given, or the library's; anything else, such as a seed, is a TypeError."""
    if rng is None:
        return default_generator()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}; make one with default_rng(seed)")
    return rng


def new_generator(owner: str, seed: int | None, rng: np.random.Generator | None) -> np.random.Generator:
    """A new generator from the seed, or the one given, or the library's; both seed and rng are a ValueError."""
    if seed is None:
        return generator_or_default(rng)
    if rng is not None:
        raise ValueError(f"{owner}: got both seed and rng; give one of them, as rng already carries its seed")
    return np.random.default_rng(check_int(f"{owner}: seed", seed, 0, wrong_type=TypeError))


def generators_in(thing: object) -> dict[str, np.random.Generator]:
    """The random generators that an object draws from, by path, each once; the library's own is left out.

    Looks into attributes, lists, tuples and dicts, into what partials and bound methods are made of, and for functions
    into the arguments' defaults and the variables around them. It does not see the global variables that the methods
    of a class use, nor into iterators, such as a generator function's result.

    Example:
        >>> augment = RandomAffine(degrees=10, seed=0)
        >>> list(generators_in(DataLoader(images, labels, transform=lambda x: normalize(augment(x)))))
        ['transform.augment.rng', 'rng']
    """
    found = {}
    seen: dict[int, object] = {id(library_generator): library_generator}  # keeps them alive: an id may return
    waiting = [("", thing)]
    while waiting:
        path, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.random.Generator):
            found[path] = thing
        elif not isinstance(thing, (type, ModuleType, np.ndarray)) and not is_tensor(thing):
            named = [(f"{path}.{name}".lstrip("."), part) for name, part in contents(thing)]
            waiting += reversed(named)
    return found


def contents(thing: object) -> Iterable[tuple[object, object]]:
    """What an object is made of, with names."""
    if isinstance(thing, (list, tuple)):
        return enumerate(thing)
    if isinstance(thing, dict):
        return dict.items(thing)
    if isinstance(thing, partial):
        return [("func", thing.func), ("args", thing.args), ("keywords", thing.keywords)]
    if isinstance(thing, MethodType):
        return [("self", thing.__self__), ("func", thing.__func__)]
    if isinstance(thing, FunctionType):
        return [*variables_of(thing).items(), ("__dict__", vars(thing))]
    return vars(thing).items() if hasattr(thing, "__dict__") else ()


def variables_of(function: FunctionType) -> dict[str, object]:
    """What a function refers to: its arguments' defaults, and variables of the module and the functions around it."""
    variables: dict[str, object] = {"__defaults__": function.__defaults__, "__kwdefaults__": function.__kwdefaults__}
    for name in names_in(function.__code__):
        if name in function.__globals__:
            variables[name] = function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # the variable has no value yet
            variables[name] = cell.cell_contents
    return variables


def names_in(code: CodeType) -> list[str]:
    """The global names that a function and the functions inside it use; co_names would name attributes too."""
    names = [step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += names_in(constant)
    return names


def __dir__() -> list[str]:
    return __all__
