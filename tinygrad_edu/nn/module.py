"""Module: the base class of layers and models.

A module is an ordinary object: what it holds is found by looking at its attributes, each time it is asked. A Tensor
among them is a parameter, an ndarray a buffer (state that is saved, not trained), a Module a child. Lists, tuples and
dicts are looked into. Each is named by its dotted path, "layers.0.weight", and the paths are the keys of PyTorch's
state_dict, so that weights can be exchanged.

The hard idea is sharing. A parameter that is reachable by two paths must be updated once but saved under both:

    self.embed = Tensor(...)
    self.unembed = self.embed    # one parameter, two keys

Listed twice, it would take two steps at every step of an optimizer. So all listings of parameters and modules name
each object once, by its first path, and only state_dict has all the paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_edu.engine import new_number, plain
from tinygrad_edu.nn.summary import preserve_state, summary
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.draw import Graph

__all__ = ["IncompatibleKeys", "Module"]

T = TypeVar("T")
M = TypeVar("M", bound="Module")
Named = Iterator[tuple[str, T]]


class IncompatibleKeys(NamedTuple):
    """What load_state_dict skipped."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of layers and models: define `forward`, and call the module like a function.

    A Tensor attribute is a parameter; the result of an op is not, so a layer may keep its output to be looked at. A
    link from a child to its parent must be a weakref.ref.

    Attributes:
        training: True while training, False in evaluation: dropout and batch norm differ. Set by train() and eval().

    Example:
        class Net(Module):
            def __init__(self):
                self.hidden, self.scale = Linear(2, 3), Tensor(1.0, dtype=np.float32)

            def forward(self, x):                                # x: (n, 2)
                return self.hidden(x).relu() * self.scale        # (n, 3)
    """

    training = True
    _shown: ClassVar[tuple[str, ...]] = ()  # names of the attributes that the repr shows

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = new_number()
        out = self.forward(*args, **kwargs)
        if type(out) is Tensor and out._op is not None:  # pictures: what is older than out but not than start is inside
            out._scopes = (*(out._scopes or ()), (self, start))
        return out

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass that does not define it raises NotImplementedError."""
        raise NotImplementedError(f"{type(self).__name__} has no forward and cannot be called; define forward(self, x)")

    def _own(self, kind: type[T]) -> Named[T]:
        """The Tensors, arrays or modules held directly, with their names."""
        for name, value in vars(self).items():
            yield from find_values(name, value, kind)

    def _tree(self, path: str = "", parents: tuple[Module, ...] = ()) -> Named[Module]:
        """This module and all below, parents first, under every path that leads to them."""
        if any(self is parent for parent in parents):
            name = type(self).__name__
            raise ValueError(f"{path} leads back to the {name} that contains it; make that link a weakref.ref")
        yield path, self
        for name, child in self._own(Module):
            yield from child._tree(f"{path}.{name}" if path else name, (*parents, self))

    def _all(self, *kinds: type[T]) -> Named[T]:
        """The Tensors or arrays of the whole tree, under every path that leads to them."""
        for path, module in self._tree():
            for kind in kinds:
                for name, value in module._own(kind):
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self) -> Named[Tensor]:
        """Pairs (path, parameter), each parameter once; those with requires_grad=False are frozen."""
        return without_repeats(self._all(Tensor))

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Named[ndarray]:
        """Pairs (path, array), each array once."""
        return without_repeats(self._all(ndarray))

    def buffers(self) -> Iterator[ndarray]:
        """Every buffer once."""
        return (b for _, b in self.named_buffers())

    def named_modules(self) -> Named[Module]:
        """Pairs (path, module), each module once: this one, with path "", and all below."""
        return without_repeats(self._tree())

    def modules(self) -> Iterator[Module]:
        """This module and all below, each once."""
        return (m for _, m in self.named_modules())

    def named_children(self) -> Named[Module]:
        """Pairs (name, module) of the modules held directly, each once."""
        return without_repeats(self._own(Module))

    def children(self) -> Iterator[Module]:
        """The modules held directly, each once."""
        return (m for _, m in self.named_children())

    def state_dict(self) -> dict[str, ndarray]:
        """All parameters and buffers under all their paths, as C-contiguous copies with their own dtypes."""
        return {path: np.array(plain(value), order="C") for path, value in self._all(Tensor, ndarray)}

    def load_state_dict(self, state: Mapping[str, object], strict: bool = True) -> IncompatibleKeys:
        """Writes saved values into the parameters and buffers: all of them or, on an error, none.

        The parameters stay the same objects and keep dtype and memory layout, so an optimizer goes on with them.

        Args:
            state: Path -> array, Tensor or anything NumPy makes an array of, shapes as in state_dict().
            strict: Whether a missing or unexpected key is an error.

        Returns:
            The keys (missing_keys, unexpected_keys), both empty if strict.

        Raises:
            TypeError: `state` is not a mapping, for example the path of a file: pass nn.load(path).
            KeyError: Missing or unexpected keys, if strict; the message lists every other problem too.
            ValueError: Values of another shape, or that do not cast to the dtype (text, floats for integers).
        """
        if not isinstance(state, Mapping):
            hint = f"; for a file pass nn.load({state!r})" if isinstance(state, (str, os.PathLike)) else ""
            what = f"a mapping of names to arrays, got {type(state).__name__}"
            raise TypeError(f"{type(self).__name__}.load_state_dict: needs {what}{hint}")
        own: dict[str, Any] = dict(self._all(Tensor, ndarray))
        keys = IncompatibleKeys([k for k in own if k not in state], [k for k in state if k not in own])
        kinds = {"missing": keys.missing_keys, "unexpected": keys.unexpected_keys} if strict else {}
        problems = [f"{kind} keys {', '.join(paths)}" for kind, paths in kinds.items() if paths]
        error = KeyError if problems else ValueError
        values = {k: np.asarray(plain(state[k])) for k in own if k in state}
        for path, value in values.items():
            problems += mismatches(path, value, own[path])
        if problems:
            hint = "; strict=False skips missing and unexpected keys" if error is KeyError else ""
            raise error(f"{type(self).__name__}.load_state_dict: {'; '.join(problems)}. Nothing was loaded{hint}")
        values = {k: np.array(v, own[k].dtype) for k, v in values.items()}  # whatever can fail has been done now
        for path, value in values.items():
            if isinstance(own[path], Tensor):
                own[path].assign(value)
            else:
                own[path][...] = value
        return keys

    def train(self: M, mode: bool = True) -> M:
        """Sets `training` of this module and all below; returns this module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """The same as train(False): evaluation mode."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters: backward() adds to what is there."""
        for p in self.parameters():
            p.grad = None

    def apply(self: M, fn: Callable[[Module], object]) -> M:
        """Calls `fn(module)` on all below, children before parents, then on this module; returns this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def summary(self, input_shape: int | tuple[int, ...] | None = None) -> str:
        """A table of the layers, their output shapes for one example, and their parameters; see nn.summary."""
        return summary(self, input_shape)

    def graph(self, *inputs: Any, **options: Any) -> Graph:
        """A picture of one call: how the output comes from the inputs; options as for `draw.Graph`, such as depth=1.

        Raises:
            TypeError: The module returned something other than a Tensor.
        """
        from tinygrad_edu import draw  # most programs draw nothing

        with preserve_state(self):  # running statistics and random generators stay as they are
            out = self(*inputs)
        if not isinstance(out, Tensor):
            name = type(self).__name__
            raise TypeError(f"{name}.graph: the module returned {type(out).__name__}, and only a Tensor has a graph")
        return draw.Graph(out, **options)

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr, before the children; here the attributes named in `_shown`."""
        return ", ".join([f"{name}={getattr(self, name)}" for name in self._shown])

    @recursive_repr()
    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {child!r}" for name, child in self._own(Module)]
        if not children:
            return f"{type(self).__name__}({extra})"
        text = "\n".join([extra, *children] if extra else children).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {text}\n)"


def find_values(name: str, value: object, kind: type[T]) -> Named[T]:
    """The Tensors, arrays or modules that an attribute's value is or contains, in lists, tuples and dicts."""
    if isinstance(value, kind):
        if not isinstance(value, Tensor) or value._params is None:  # no op made it, recorded or not
            yield name, value
    elif isinstance(value, (dict, list, tuple)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from find_values(f"{name}.{key}", item, kind)


def without_repeats(pairs: Iterable[tuple[str, T]]) -> Named[T]:
    """The pairs, but each object only at its first path."""
    seen: set[int] = set()
    for path, value in pairs:
        if id(value) not in seen:
            seen.add(id(value))
            yield path, value


def mismatches(path: str, value: ndarray, target: Tensor | ndarray) -> list[str]:
    """Why a saved value cannot be written into a parameter or buffer, in words."""
    if value.shape != target.shape:
        return [f"{path} has shape {value.shape} in the state and {target.shape} in the model"]
    if not np.can_cast(value.dtype, target.dtype, "same_kind"):
        return [f"{path} holds {value.dtype} in the state and {target.dtype} in the model"]
    if isinstance(target, ndarray) and not target.flags.writeable:
        return [f"{path} is a read-only array in the model; give the module a copy"]
    return []
