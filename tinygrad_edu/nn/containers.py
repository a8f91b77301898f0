"""Modules made of modules: Sequential chains layers, Residual adds its input, MLP builds the most common chain.

ModuleList and ModuleDict hold modules for a forward of one's own, under the keys that they have in PyTorch.

Why Residual has a shortcut: a chain multiplies the gradient by the slope of every layer; after forty layers with slopes
of a half, 10**-12 of it is left. x + layers(x) has slopes around 1 instead, and the first layer learns like the last.
"""

from __future__ import annotations

import operator
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from functools import partial
from itertools import pairwise
from typing import Any, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import ops
from tinygrad_edu.checks import check_bool, check_choice, check_dtype, check_number, check_positive_int
from tinygrad_edu.nn.activations import ACTIVATIONS, PReLU
from tinygrad_edu.nn.layers import Dropout, Init, Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm1d
from tinygrad_edu.ops import checked_operand
from tinygrad_edu.random import generator_or_default

__all__ = ["MLP", "ModuleDict", "ModuleList", "Residual", "Sequential"]

R = TypeVar("R", bound="Row")
S = TypeVar("S", bound="Sequential")


class Holder(Module):
    """What all of these share: each module held is an attribute."""

    def _modules(self) -> dict[str, Module]:
        """The modules by name, in order."""
        # each call of a Sequential does this: isinstance would take seven times as long, since Module is an ABC
        return {name: value for name, value in vars(self).items() if Module in type(value).__mro__}

    def __len__(self) -> int:
        return len(self._modules())


class Row(Holder):
    """What Sequential and ModuleList share: modules in a row, each an attribute whose name is its number."""

    def _key(self, index: SupportsIndex) -> str:
        """The name of a module, which is counted from the front or, below 0, from the end."""
        keys, name = list(self._modules()), type(self).__name__
        try:
            return keys[operator.index(index)]
        except TypeError:
            hint = ""
            if isinstance(index, str):
                hint = f"; write model[{index}]" if index.isdecimal() else f"; write the attribute, model.{index}"
            raise TypeError(f"{name}: index is {index!r:.60}; it must be an integer or a slice{hint}") from None
        except IndexError:
            has = {0: "no modules", 1: "one module, number 0"}.get(len(keys), f"modules 0 to {len(keys) - 1}")
            raise IndexError(f"{name}: index {index} is out of range; it has {has}") from None

    def _renumber(self, modules: Iterable[Module]) -> None:
        """Lets these be the modules, with the names "0", "1" and so on."""
        modules = list(modules)
        for key in self._modules():
            delattr(self, key)
        for i, module in enumerate(modules):
            setattr(self, str(i), module)

    def append(self: R, module: Module) -> R:
        """Adds a module at the end; returns this one.

        Raises:
            TypeError: It is not a Module.
        """
        return self.extend([module])

    def extend(self: R, modules: Iterable[Module]) -> R:
        """Adds several at the end, or on an error none; returns this module.

        Raises:
            TypeError: One is not a Module.
        """
        name, n = type(self).__name__, len(self)
        if isinstance(modules, (Mapping, ModuleDict)) or not isinstance(modules, Iterable):
            hint = "; modules with names are a ModuleDict" if isinstance(modules, (Mapping, ModuleDict)) else ""
            raise TypeError(f"{name}: got {modules!r:.60}; it takes a list of Modules, such as [Linear(2, 3)]{hint}")
        for i, module in enumerate([check_module(f"{name}: layer {n + i}", m) for i, m in enumerate(modules)], n):
            while str(i) in vars(self):  # after a delattr
                i += 1
            setattr(self, str(i), module)
        return self

    def insert(self: R, index: SupportsIndex, module: Module) -> R:
        """Adds a module before the one at `index`, as a list does, and numbers all anew; returns this one.

        Raises:
            IndexError: There is no such place.
            TypeError: It is not a Module.
        """
        modules = list(self)
        if index != len(modules):
            self._key(index)
        modules.insert(operator.index(index), check_module(f"{type(self).__name__}: layer {index}", module))
        self._renumber(modules)
        return self

    def pop(self, index: SupportsIndex = -1) -> Module:
        """Takes a module out and returns it; the others are numbered anew."""
        module: Module = vars(self)[self._key(index)]
        del self[index]
        return module

    def __setitem__(self, index: SupportsIndex, module: Module) -> None:
        setattr(self, self._key(index), check_module(f"{type(self).__name__}: layer {index}", module))

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        keys = list(self._modules())[index] if isinstance(index, slice) else [self._key(index)]
        self._renumber([module for key, module in self._modules().items() if key not in keys])

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules().values())


class Sequential(Row):
    """Layers one after another; each is an attribute named by its number, so the keys are "0.weight", "2.bias".

    It is a list of its layers: model[0], model[-1], model[1:3], append, extend, insert, pop, del, and + of two. What
    changes their places numbers them anew, and a slice keeps the names, as in PyTorch.

    Args:
        *layers: Modules; the output of one is the input of the next. Or a single dict of them, such as an OrderedDict,
            whose keys are their names: Sequential({"hidden": Linear(2, 3)}) has the key "hidden.weight".

    Raises:
        TypeError: One is not a Module, or a name not a text.
        ValueError: A name that is empty, has a dot, or is an attribute already.
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            add_by_name(self, layers[0])
        else:
            self.extend(layers)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        """Runs the layers in order."""
        for layer in self:
            input = layer(input)
        return input

    def __add__(self, other: Sequential) -> Sequential:
        for part in (self, other):
            if getattr(type(part), "forward", None) is not Sequential.forward:
                is_one = isinstance(part, Sequential)
                how = "its own forward would be lost; put it into a Sequential as a layer" if is_one else "append it"
                raise TypeError(f"{type(self).__name__} + {type(other).__name__}: + joins two Sequentials; {how}")
        return Sequential(*self, *other)

    def __iadd__(self: S, other: Sequential) -> S:
        return self.extend(Sequential() + other)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules().items())[index]))
        return self._modules()[self._key(index)]


class Residual(Sequential):
    """x + layers(x), layers that learn a difference: He et al. 2016.

    Args and Raises: As for Sequential; together the layers must keep the shape of x.
    """

    def forward(self, input: Any) -> Any:
        """(...) -> (...).

        Raises:
            ValueError: The layers change the shape.
        """
        x = checked_operand(self, input)
        change = super().forward(x)
        if change.shape != x.shape:
            raise ValueError(
                f"Residual: the layers made shape {change.shape} of the input's {x.shape}, so the two cannot be added; "
                "let the last layer return the input's shape, or change the shape before or after"
            )
        return ops.add(x, change)


class MLP(Sequential):
    """A multi-layer perceptron: Linear layers with an activation between them and none after the last.

    After each hidden Linear come BatchNorm1d if asked for, the activation, and Dropout if asked for. The weights load
    into a torch.nn.Sequential of the same layers.

    Args:
        sizes: Lengths of input, hidden layers and output: [784, 128, 64, 10].
        activation: A name in nn.activations.ACTIVATIONS: "relu", "tanh", "gelu" and so on.
        init: "auto" takes what suits the activation, with biases 0: kaiming_uniform for relu and its relatives,
            xavier_uniform with the activation's gain for tanh, sigmoid and identity. Otherwise as for Linear.
        dropout: Probability to drop a hidden element in training.
        batch_norm: Whether hidden layers are normalised over the batch.
        rng: Generator for the initial weights and for dropout, instead of the library's.
        dtype: Floating dtype of the parameters.

    Raises:
        TypeError: rng is not a generator, batch_norm not a bool, or dtype not a floating one.
        ValueError: Fewer than two sizes, one below 1, an unknown activation, or dropout outside [0, 1].

    Example:
        >>> MLP([784, 128, 64, 10])(np.zeros((32, 784), np.float32)).shape
        (32, 10)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "relu",
        *,
        init: Init = "auto",
        dropout: float = 0.0,
        batch_norm: bool = False,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if not hasattr(sizes, "__len__") or getattr(sizes, "shape", None) == () or len(sizes) < 2:
            raise ValueError(f"MLP: sizes is {sizes!r:.60}; it needs at least input and output, such as [784, 128, 10]")
        sizes = [check_positive_int(f"MLP: sizes[{i}]", size) for i, size in enumerate(sizes)]
        check_choice("MLP: activation", activation, ACTIVATIONS)
        make_activation, scheme = ACTIVATIONS[activation]
        weight_init = partial(scheme, rng=rng) if isinstance(init, str) and init == "auto" else init
        check_number("MLP: dropout", dropout, at_least=0, at_most=1)
        check_bool("MLP: batch_norm", batch_norm)
        check_dtype("MLP: dtype", dtype)
        generator_or_default(rng)
        super().__init__()
        for n_in, n_out in pairwise(sizes[:-1]):
            self.append(Linear(n_in, n_out, init=weight_init, rng=rng, dtype=dtype))
            if batch_norm:
                self.append(BatchNorm1d(n_out, dtype=dtype))
            self.append(PReLU(dtype=dtype) if make_activation is PReLU else make_activation())
            if dropout:
                self.append(Dropout(dropout, rng))
        self.append(Linear(sizes[-2], sizes[-1], init=weight_init, rng=rng, dtype=dtype))


class ModuleList(Row):
    """A list of modules, for a forward that goes through them in its own way; the keys are "0.weight", "1.weight".

    It has a list's methods, as Sequential does, and + adds modules of any kind of list.

    Args:
        modules: Modules, or None for none.

    Raises:
        TypeError: One is not a Module.
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(() if modules is None else modules)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Always an error: which module comes when is for the module around it to say."""
        raise NotImplementedError("ModuleList cannot be called: call its modules, as in for layer in layers: x = ...")

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(self).extend(other)

    def __iadd__(self: R, other: Iterable[Module]) -> R:
        return self.extend(other)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Module:
        if isinstance(index, slice):
            return ModuleList(list(self)[index])
        return self._modules()[self._key(index)]


class ModuleDict(Holder):
    """Modules by name, for a forward that chooses among them; the keys are "name.weight".

    Args:
        modules: A dict of them, another ModuleDict, or pairs (name, module); None for none.

    Raises:
        TypeError: One is not a Module, or a name not a text.
        ValueError: A name that is empty, has a dot, or is an attribute already.

    Example:
        self.activations = ModuleDict({"relu": ReLU(), "tanh": Tanh()})
        x = self.activations[choice](x)
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self.update(() if modules is None else modules)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Always an error: which module is called is for the module around it to say."""
        raise NotImplementedError("ModuleDict cannot be called: call one of its modules, as in modules[name](x)")

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds modules, or puts them in the place of those of the same names; all or, on an error, none."""
        add_by_name(self, modules)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules().keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._modules().values()

    def items(self) -> ItemsView[str, Module]:
        """Pairs (name, module)."""
        return self._modules().items()

    def pop(self, key: str) -> Module:
        """Takes a module out and returns it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Takes all modules out."""
        for key in self.keys():
            del self[key]

    def __getitem__(self, key: str) -> Module:
        modules = self._modules()
        if key not in modules:
            raise KeyError(f"ModuleDict has no {key!r}; its names are {', '.join(modules) or 'none'}")
        return modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.update({key: module})

    def __delitem__(self, key: str) -> None:
        self[key]  # an error if it is not there
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self._modules()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


def check_module(name: str, module: object) -> Module:
    """A Module; for anything else a TypeError that says what to write."""
    if isinstance(module, Module):
        return module
    hint = "it takes Modules, such as Linear(2, 3) or ReLU()"
    if isinstance(module, type) and issubclass(module, Module):
        hint = f"write {module.__name__}()"
    if isinstance(module, (list, tuple)):
        hint = f"write {name.partition(':')[0]}(*layers)"
    raise TypeError(f"{name} is {module!r:.60}, not a Module; {hint}")


def add_by_name(owner: Module, modules: Any) -> None:
    """Makes modules attributes: all or, on an error, none; `modules` is a dict, a ModuleDict, or pairs."""
    kind = type(owner).__name__
    pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
    if not isinstance(pairs, Iterable):
        raise TypeError(f"{kind}: got {modules!r:.60}; it takes a dict of Modules, such as {{'hidden': Linear(2, 3)}}")
    pairs = [pair if isinstance(pair, (tuple, list)) else (pair,) for pair in pairs]
    for pair in pairs:
        if len(pair) != 2:
            raise TypeError(f"{kind}: got {pair!r:.60} in the place of a pair (name, module)")
        key, module = pair
        if not isinstance(key, str):
            raise TypeError(f"{kind}: the name {key!r:.60} is not a text; a list of modules is a ModuleList")
        if not key or "." in key:
            raise ValueError(f"{kind}: {key!r} is no name of a module; it must be text without a dot")
        if hasattr(owner, key) and not isinstance(vars(owner).get(key), Module):
            raise ValueError(f"{kind}: the name {key!r} is taken, {kind} has an attribute of that name; take another")
        check_module(f"{kind}: {key}", module)
    for key, module in pairs:
        setattr(owner, key, module)
