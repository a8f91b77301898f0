"""Module: the base class of layers and models.

A module is an ordinary object: what it holds is found by looking at its attributes, each time it is asked. A Tensor
among them is a parameter, a Module a child, an ndarray a buffer (state that is saved, not trained). Lists, dicts and
dataclasses are looked into. Each is named by its dotted path, "layers.0.weight", and the paths are the keys of
PyTorch's state_dict, so that weights can be exchanged.

What a forward keeps to be looked at later (`self.seen = x`) is not state: it belongs to the caller. Buffers are the
arrays that are there at the end of `__init__`, and copies of those that are assigned or registered afterwards.

The hard idea is sharing. A parameter that is reachable by two paths must be updated once but saved under both:

    self.embed = Tensor(...)
    self.unembed = self.embed    # one parameter, two keys

Listed twice, it would take two steps at every step of an optimizer. So all listings of parameters and modules name
each object once, by its first path, and only state_dict has all the paths.
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike

from tinygrad_edu.arguments import Named as NamedClass, answering_for, wrong_arguments
from tinygrad_edu.arrays import AnyArray, brought, copied, home, is_elsewhere
from tinygrad_edu.checks import check_bool, refuse_mask
from tinygrad_edu.engine import new_number, plain
from tinygrad_edu.nn.paths import (
    IncompatibleKeys,
    Named,
    build,
    containers,
    contradictions,
    far_below,
    find_values,
    hidden,
    is_container,
    is_parameter,
    mismatches,
    misplaced,
    parameters_in,
    read_values,
    too_deep,
    walk,
    without_collisions,
    without_repeats,
    written,
)  # fmt: skip
from tinygrad_edu.nn.places import move
from tinygrad_edu.nn.summary import InputShape, preserve_state, summary
from tinygrad_edu.scopes import mark
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_edu.draw import Graph

__all__ = ["IncompatibleKeys", "Module"]

T = TypeVar("T")
M = TypeVar("M", bound="Module")


class Kind(NamedClass):
    """The class of Module itself: notes which arrays are buffers when all of `__init__` is done."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        module = super().__call__(*args, **kwargs)
        problem = hidden(module, (Tensor, Module), Module)
        if problem:
            raise TypeError(f"{cls.__name__}: {problem}, or it would be neither trained nor saved")
        vars(module)["_buffer_names"] = frozenset([name for name, _ in module._own(AnyArray)])
        vars(module)["_has_containers"] = any(is_container(type(value)) for value in vars(module).values())
        return module


class Module(metaclass=Kind):
    """Base class of layers and models: define `forward`, and call the module like a function.

    A Tensor attribute is a parameter; the result of an op is not, nor is a Tensor that forward was given, so a layer
    may keep its inputs and its output to be looked at, nor is what forward puts into a list or dict. An array that
    replaces a buffer is copied. A link from a child to its parent must be a weakref.ref.

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
    _buffer_names: frozenset[str] | None = None  # None until __init__ is done
    _kept: frozenset[str] = frozenset()  # paths of Tensors that a forward was given and keeps
    _passing: frozenset[tuple[str, Tensor]] = frozenset()  # what a forward put into the list or dict of this name
    _has_containers = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = new_number()
        before = containers(vars(self)) if self._has_containers else None
        try:
            out = self.forward(*args, **kwargs)
        except RecursionError as error:
            raise too_deep(self, error) from None
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise  # from inside forward
            said, instead = f"{getattr(self.forward, '__qualname__', '')}()", f"{type(self).__name__}.forward()"
            raise wrong_arguments(error, said, instead, inspect.signature(self.forward)) from None
        except AttributeError as error:
            if error.obj is not self or not error.name or "__init__" not in vars(type(self)):
                raise
            raise AttributeError(f"{error}; does {type(self).__name__}.__init__ call super().__init__(...)?") from None
        finally:
            if before is not None:
                self._note_additions(before)
        if type(out) is not Tensor:
            return mark(out, self, start)
        if out._op is not None and out._number > start:  # see scopes.py
            out._scopes = (*(out._scopes or ()), (self, start))
        return out

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass that does not define it raises NotImplementedError."""
        raise NotImplementedError(f"{type(self).__name__} has no forward and cannot be called; define forward(self, x)")

    def __setattr__(self, name: str, value: object) -> None:
        old = vars(self).get(name)
        if name == "training":
            value = check_bool(f"{type(self).__name__}: training", value)
        elif value is not old and self._buffer_names is not None:
            is_buffer = name in self._buffer_names
            is_param = is_parameter(old) and name not in self._kept
            problem = misplaced(name, value, is_param, is_buffer)
            if problem:
                raise TypeError(f"{type(self).__name__}.{name} is {problem}, or keep that under another name")
            if (
                is_elsewhere(value)
                or isinstance(value, ndarray)
                or (is_buffer and isinstance(value, (np.generic, int, float)))
            ):
                value = self._new_buffer(name, value)
            elif isinstance(value, Tensor) or self._kept or is_container(type(value)):
                self._note_inputs(name, value)
        super().__setattr__(name, value)

    def _note_additions(self, before: list[tuple[str, object, list[Tensor]]]) -> None:
        """Notes the Tensors that the forward just done has put into lists and dicts: they are not state."""
        known = {(name, tensor) for name, _, held in before for tensor in held} - self._passing
        passing = {(name, tensor) for name, value, _ in before for tensor in parameters_in(value)} - known
        if passing or self._passing:
            vars(self)["_passing"] = frozenset(passing)

    def _new_buffer(self, name: str, value: Any) -> Any:
        """A copy that is a buffer from now on; the array itself if it is a new one that a running forward keeps."""
        if name not in self._names():
            if start_of_call() is not None:
                return value
            vars(self)["_buffer_names"] = self._names() | {name}
        return value.copy() if is_elsewhere(value) else np.array(value, subok=True)

    def _note_inputs(self, name: str, value: object) -> None:
        """Notes what the running forward is given and keeps: arrays, and Tensors older than the call, are not state."""
        start = start_of_call()
        tensors, arrays = dict(find_values(name, value, Tensor)), dict(find_values(name, value, AnyArray))
        kept = {path for path in self._kept if path != name and not path.startswith(f"{name}.")}
        if start is None:
            vars(self)["_buffer_names"] = self._names() | arrays.keys()
        else:
            kept |= {path for path, tensor in tensors.items() if tensor._number < start or not tensor.requires_grad}
        vars(self)["_kept"] = frozenset(kept)
        vars(self)["_has_containers"] = self._has_containers or is_container(type(value))

    def _names(self) -> frozenset[str]:
        """The paths of the buffers held directly."""
        return self._buffer_names or frozenset()

    def register_buffer(self, name: str, values: ArrayLike | None) -> None:
        """Makes a copy of an array a buffer, also in a forward; an array assigned in the place of None will be one.

        Raises:
            TypeError: The values are a Tensor.
            ValueError: The name is taken, or is no name of an attribute.
        """
        owner = type(self).__name__
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{owner}.register_buffer: {name!r} is no name; it must be text without a dot")
        if name not in self._names() and hasattr(self, name):
            raise ValueError(f"{owner}.register_buffer: {owner} has a {name} already; take another name")
        if isinstance(values, Tensor):
            raise TypeError(f"{owner}.register_buffer: {name} is a Tensor; give its values, {name}.data")
        refuse_mask(f"{owner}.register_buffer: {name}", values)
        array = None if values is None else copied(values)
        if array is not None and array.dtype.kind not in "biufc":
            raise TypeError(f"{owner}.register_buffer: {name} is of dtype {array.dtype}; a buffer holds numbers")
        vars(self)[name] = array
        if self._buffer_names is not None:
            vars(self)["_buffer_names"] = self._buffer_names | {name}

    def _own(self, kind: type[T]) -> Named[T]:
        """The Tensors, arrays or modules held directly, with their names."""
        for name, value in vars(self).items():
            for path, found in find_values(name, value, kind):
                if kind is AnyArray:
                    is_own = self._buffer_names is None or path in self._buffer_names
                else:
                    passing = kind is Tensor and path != name and (name, found) in self._passing
                    is_own = path not in self._kept and not passing
                if is_own:
                    yield path, found

    def _tree(self) -> Named[Module]:
        """This module and all below, parents first, under every path that leads to them."""
        return without_collisions(self, walk("", self, lambda module: module._own(Module)))

    def _all(self, *kinds: type[T]) -> Named[T]:
        """The Tensors or arrays of the whole tree, under every path that leads to them."""
        return without_collisions(
            self,
            (
                (f"{path}.{name}" if path else name, value)
                for path, module in self._tree()
                for kind in kinds
                for name, value in module._own(kind)
            ),
        )

    def named_parameters(self) -> Named[Tensor]:
        """Pairs (path, parameter), each parameter once; those with requires_grad=False are frozen."""
        return without_repeats(self._all(Tensor))

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Named[ndarray]:
        """Pairs (path, array), each array once."""
        return without_repeats(self._all(AnyArray))

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
        state = {}
        for path, value in self._all(Tensor, AnyArray):
            problem = "a masked array: its mask would be lost" if hasattr(value, "mask") else ""
            if " at 0x" in path:
                problem = "named by an object without a name of its own, by an address that the next run does not have"
            if problem:
                raise ValueError(f"{type(self).__name__}.state_dict: {path} is {problem}; it could not be given back")
            state[path] = np.array(home(plain(value)), order="C")
        return state

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
            ValueError: Values of another shape, masked, or that the dtype cannot hold (text, floats for integers).
        """
        if not isinstance(state, Mapping):
            hint = f"; for a file pass nn.load({state!r})" if isinstance(state, (str, os.PathLike)) else ""
            what = f"a mapping of names to arrays, got {type(state).__name__}"
            raise TypeError(f"{type(self).__name__}.load_state_dict: needs {what}{hint}")
        strict = check_bool(f"{type(self).__name__}.load_state_dict: strict", strict)
        own: dict[str, Any] = dict(self._all(Tensor, AnyArray))
        keys = IncompatibleKeys([k for k in own if k not in state], [str(k) for k in state if k not in own])
        kinds = {"missing": keys.missing_keys, "unexpected": keys.unexpected_keys} if strict else {}
        problems = [f"{kind} keys {', '.join(paths)}" for kind, paths in kinds.items() if paths]
        error = KeyError if problems else ValueError
        values, unreadable = read_values(state, own)
        problems += unreadable
        for path, value in values.items():
            problems += mismatches(path, value, own[path])
        problems += contradictions(own, values)
        if problems:
            hint = "; strict=False skips missing and unexpected keys" if error is KeyError else ""
            raise error(f"{type(self).__name__}.load_state_dict: {'; '.join(problems)}. Nothing was loaded{hint}")
        values = {k: np.array(v, own[k].dtype) for k, v in values.items()}  # whatever can fail has been done now
        for path, value in values.items():
            if isinstance(own[path], Tensor):
                own[path].assign(value)
            else:
                own[path][...] = brought(value, own[path])
        return keys

    def train(self: M, mode: bool = True) -> M:
        """Sets `training` of this module and all below; returns this module."""
        mode = check_bool(f"{type(self).__name__}.train: mode", mode)
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """The same as train(False): evaluation mode."""
        return self.train(False)

    def to(self: M, place: Any) -> M:
        """Moves parameters, gradients and buffers to(cupy), the GPU, or to(numpy), back; returns this module.

        Make the optimizer afterwards. `place` is a library with `asarray`, or such a function; else it is a TypeError.
        """
        move(self, place)
        return self

    @answering_for
    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters: backward() adds to what is there."""
        for p in self.parameters():
            p.grad = None

    def apply(self: M, fn: Callable[[Module], object]) -> M:
        """Calls `fn(module)` on all below, children before parents, then on this module; returns this module."""
        list(self._tree())  # an error where it leads back to itself
        order: list[Module] = []
        waiting: list[Module] = [self]
        while waiting:
            order.append(waiting.pop())
            waiting += order[-1].children()
        for module in reversed(order):
            fn(module)
        return self

    def summary(self, input_shape: InputShape | None = None, dtype: DTypeLike | None = None) -> str:
        """A table of the layers, their output shapes for one example, and their parameters; see nn.summary."""
        return summary(self, input_shape, dtype)

    def graph(self, *inputs: Any, **options: Any) -> Graph:
        """A picture of one call; options as for `draw.Graph`, such as depth=1. See draw.call, also for what fails.

        Running statistics and random generators stay as they are.

        Raises:
            TypeError: The module returned something other than a Tensor.
        """
        from tinygrad_edu import draw  # most programs draw nothing

        return draw.call(self, *inputs, within=preserve_state(self), **options)

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr, before the children; here the attributes named in `_shown`."""
        return ", ".join([f"{name}={getattr(self, name)}" for name in self._shown])

    @recursive_repr()
    def __repr__(self) -> str:
        return written(self, named_children, Module.__repr__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As for every object, but what lies far below comes first: pickle nests a few calls for each level."""
        make, arguments, *rest = super().__reduce_ex__(protocol)  # type: ignore[str-unpack]
        first = far_below(self, lambda module: [child for _, child in named_children(module)], levels=30)
        return (build, (first, make, arguments), *rest) if first else (make, arguments, *rest)

    def __deepcopy__(self: M, memo: dict[int, Any]) -> M:
        """A copy of everything, made module by module: copy.deepcopy alone nests a few calls for each level."""
        found: dict[int, Module] = {id(self): self}
        waiting: list[Module] = [self]
        while waiting:
            for _, child in named_children(waiting.pop()):
                if type(child).__deepcopy__ is Module.__deepcopy__ and id(child) not in {**found, **memo}:
                    found[id(child)] = child
                    waiting.append(child)
        for key, module in found.items():
            memo[key] = object.__new__(type(module))
        for key, module in found.items():
            state = module.__reduce_ex__(4)[2]  # as pickle sees it
            copied = copy.deepcopy(state, memo)
            if hasattr(module, "__setstate__"):
                memo[key].__setstate__(copied)
            else:
                attributes, slots = copied if isinstance(copied, tuple) else (copied, {})
                vars(memo[key]).update(attributes or {})
                for name, value in slots.items():
                    object.__setattr__(memo[key], name, value)
        twin: M = memo[id(self)]
        return twin


def named_children(module: Module) -> list[tuple[str, Module]]:
    """The children with their names; none where a list contains itself, for those who must not fail."""
    try:
        return list(module._own(Module))
    except ValueError:
        return []


def start_of_call() -> int | None:
    """The number at which the running call of a module began; 0 in a forward that is called itself; None outside."""
    frame, start = sys._getframe(1), None
    while frame is not None:
        if frame.f_code is Module.__call__.__code__:
            return int(frame.f_locals["start"])
        start = 0 if frame.f_code.co_name == "forward" else start
        frame = frame.f_back  # type: ignore[assignment]
    return start
