"""Tensor: an array that remembers how it was made.

The class holds data, gradient and name. What it can compute stands in `ops`; `methods.py` binds these functions as
operators and methods, and NumPy's two protocols lead NumPy's own functions to them (`dispatch.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from tinygrad_edu import ops
from tinygrad_edu.arrays import beside, brought, copied, home, is_elsewhere
from tinygrad_edu.checks import broadcasts_to, refuse_mask
from tinygrad_edu.dispatch import dispatch, dispatch_ufunc
from tinygrad_edu.engine import Array, backward_pass, bind_tensor, current_mode, is_tensor, new_number, plain, setting
from tinygrad_edu.methods import Methods
from tinygrad_edu.ops import Operand
from tinygrad_edu.torch_names import Size, answer_attributes, answering

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from tinygrad_edu.draw import Explanation, Graph

__all__ = ["Handle", "Tensor", "seed"]


class Handle(NamedTuple):
    """What register_hook returns."""

    tensor: Tensor
    hook: Callable[[Any], Any]

    def remove(self) -> None:
        """Takes the hook off."""
        if self.hook in (self.tensor._hooks or ()):
            self.tensor._hooks.remove(self.hook)


@bind_tensor
class Tensor(Methods):
    """An array to differentiate; a NumPy array or a number beside it is a constant.

    Constants, indices and labels are not copied: leave such an array unchanged until backward() has run;
    detect_anomaly() finds one that was not.

    Args:
        data: Number, nested list or array; copied. Floats keep their dtype, integers and booleans become float64.
        requires_grad: False makes it a constant.
        name: Shown in pictures, worked solutions and errors.
        dtype: A floating dtype to convert to.

    Attributes:
        grad: None before backward(), then the gradient, of this shape and dtype (a Tensor under create_graph).

    Raises:
        TypeError: Data or dtype that are not real numbers, or a Tensor.

    Example:
        >>> x = Tensor([1.0, 2.0], name="x")
        >>> (x * x).sum().backward()
        >>> x.grad
        array([2., 4.])
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        why = "ops compare types exactly, for speed, and would take an instance for a constant"
        raise TypeError(f"{cls.__name__}: Tensor cannot be subclassed: {why}; hold a Tensor in an attribute instead")

    def __init__(
        self,
        data: ArrayLike,
        *more: object,
        requires_grad: bool = True,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if more or not (name is None or isinstance(name, str)):
            what = "takes the data alone by position" if more else f"has a text as its name, not {name!r:.40}"
            raise TypeError(f"Tensor {what}; write for example Tensor(1.0, name='x', dtype=np.float32)")
        if type(data) is float and dtype is None:
            self._values = np.float64(data)
        else:
            self._values = floating(data, dtype, np.float64)
        self._requires_grad = bool(requires_grad)
        self.name = name
        self._number = new_number()
        self._inputs = ()
        self._op = self._params = self._hooks = self._scopes = self.grad = None

    @property
    def data(self) -> NDArray[Any]:
        """The values: an ndarray (read-only if an op made it), or a NumPy scalar where the shape is ().

        backward() notices `leaf.data -= step` and assign(), but not writes to single elements, nor that Ctrl-C ended
        `leaf.data -= step` half-way; `leaf -= step` inside no_grad() is noticed even then.
        """
        if self._op is None or type(self._values) is not ndarray:
            return self._values
        view = self._values.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, values: ArrayLike) -> None:
        if values is self._values:  # t.data -= step has already written into the array
            self._renumber("assign")
        else:
            self.assign(values)

    def assign(self, values: ArrayLike) -> Tensor:
        """Replaces the values of a leaf in place, keeping shape and dtype; returns the tensor.

        Raises:
            RuntimeError: The tensor is the result of an op.
            ValueError: The values do not broadcast to its shape.
        """
        new = floating(values, self.dtype, self.dtype)
        if not broadcasts_to(new.shape, self.shape):
            raise ValueError(f"assign: values of shape {new.shape} do not fit a tensor of shape {self.shape}")
        self._renumber("assign")
        if type(self._values) is ndarray or is_elsewhere(self._values):
            self._values[...] = brought(new, self._values)
        else:
            self._values = new
        return self

    def _renumber(self, what: str) -> None:
        """Dates an update, so that backward through an earlier use of this leaf is an error."""
        if self._op is not None:
            made = f"this tensor is the result of {self._op.name}"
            raise RuntimeError(f"{what}: {made}, and only leaves can be changed; compute it again, or detach() it")
        self._number = new_number()

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow here; may be set on a leaf before it is used."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._renumber("requires_grad")
        self._requires_grad = bool(value)

    @property
    def is_leaf(self) -> bool:
        """True unless an op made it."""
        return self._op is None

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._values.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._values.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return Size(self._values.size)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._values.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._values.nbytes

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating dtype."""
        return self._values.dtype

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: of each matrix its transpose."""
        return ops.matrix_transpose(self)

    @property
    def real(self) -> Tensor:
        """The tensor itself: every number here is real."""
        return ops.real(self)

    @property
    def imag(self) -> Tensor:
        """Zeros: every number here is real."""
        return ops.imag(self)

    def item(self, *place: int) -> float:
        """The one number of a tensor of size 1, or the one at a place, as a Python float."""
        if not place and self._values.size != 1:
            raise ValueError(
                f"item: shape {self.shape} is not one number; use tolist(), or item(0, ...) for one of them"
            )
        return float((home(self._values) if place else self._values).item(*place))

    def __float__(self) -> float:
        if self._requires_grad and current_mode().recording:
            how = "use NumPy's function on the tensor (np.exp for math.exp), stack([...]) to join Tensors"
            raise TypeError(f"float(tensor) would lose the gradient; {how}, or .item() and .data for plain values")
        return float(self._values.item())

    def numpy(self) -> ndarray:
        """A copy of the values as an array of NumPy's."""
        return np.array(home(self._values))

    def tolist(self) -> Any:
        """The values as nested lists of Python floats."""
        return self._values.tolist()

    def _in_place(self, symbol: str, function: Callable[[Any, Any], Any], other: Operand) -> Tensor:
        """`self += other` and its like: updates a leaf; of the result of an op it makes a new tensor, as in Python.

        Raises:
            RuntimeError: A leaf that requires a gradient, while operations are recorded.
        """
        recording = current_mode().recording
        if self._op is not None or (recording and not self._requires_grad and getattr(other, "_requires_grad", False)):
            return function(self, other)  # type: ignore[no-any-return]
        if recording and self._requires_grad:
            how = f"wrap the update in no_grad(), or write t = t {symbol} ... for a new tensor"
            raise RuntimeError(f"t {symbol}= ...: a leaf that requires a gradient would change unrecorded; {how}")
        return self.assign(function(self._values, plain(other)))

    def detach(self) -> Tensor:
        """A constant leaf with a copy of the values."""
        return Tensor(self._values, requires_grad=False, name=self.name)

    @answering
    def backward(self, gradient: Operand | None = None, *, create_graph: bool = False) -> None:
        """Fills `.grad` of every tensor that this one was made of: leaves accumulate, intermediates are overwritten.

        Args:
            gradient: The upstream gradient, of this shape; needed unless the size is 1.
            create_graph: Make the leaves' gradients Tensors that can be differentiated; each keeps its graph until
                `.grad` is None.

        Raises:
            RuntimeError: Nothing requires a gradient, or a tensor was updated after it was used.
            ValueError: `gradient` is missing or has the wrong shape.
        """
        if not create_graph:
            return backward_pass(self, seed(self, gradient, False))
        with setting(recording=True):
            backward_pass(self, seed(self, gradient, True), True)

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Calls `hook(gradient)` in each backward pass when this tensor's gradient is complete.

        The hook gets a read-only array (a Tensor under create_graph) and returns a replacement or None. The returned
        handle removes it with `remove()`.
        """
        if not callable(hook):
            raise TypeError(f"register_hook: {hook!r} is not a function of a gradient")
        self._hooks = [*(self._hooks or ()), hook]
        return Handle(self, hook)

    def graph(self, *positional: Any, **options: Any) -> Graph:
        """A picture of how this tensor was computed and of its gradients; options as for `draw.Graph`."""
        from tinygrad_edu import draw  # most programs draw nothing

        return draw.Graph(self, *positional, **options)

    def explain(self, *inputs: Tensor, precision: int = 3) -> Explanation:
        """The chain rule from this tensor to the inputs, worked out with its numbers; see `draw.explain`."""
        from tinygrad_edu import draw

        return draw.explain(self, *inputs, precision=precision)

    def __repr__(self) -> str:
        notes = [np.array2string(np.asarray(home(self._values)), separator=", ", prefix="Tensor(")]
        if self.name is not None:
            notes.append(f"name={self.name!r}")
        if self.dtype != np.float64:
            notes.append(f"dtype={self.dtype}")
        if self._op is not None or not self._requires_grad:
            notes.append(f"op={self._op.name}" if self._op is not None else "requires_grad=False")
        return f"Tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        if spec and self._values.size != 1:
            how = "write np.array2string(tensor.data, precision=2), or choose one, as in tensor[0]"
            raise ValueError(f"format {spec!r}: shape {self.shape} is not one number; {how}")
        return format(self.item(), spec) if spec else repr(self)

    def __bool__(self) -> bool:
        if self._values.size != 1:
            how = "say which: (tensor > 0).any() or .all(), or compare with None by `is`"
            raise ValueError(f"if tensor: shape {self.shape} is neither true nor false; {how}")
        return bool(self._values)

    def __len__(self) -> int:
        if not self._values.ndim:
            raise TypeError("len(tensor): shape () is one number and has no axis; its value is .item()")
        return len(self._values)

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[i] for i in range(len(self))])

    def __reduce__(self) -> Any:  # for copy and pickle: a copied _number would be two tensors with one gradient
        if self._op is not None:
            what = f"copy, pickle and matplotlib would take the result of {self._op.name} without its graph"
            raise TypeError(f"{what}; give them .data, the values, or detach() it")
        return Tensor, (self._values,), (None, {"name": self.name, "_requires_grad": self._requires_grad})

    def __setitem__(self, index: Any, value: Any) -> None:
        how = "make a new tensor with where() or concatenate(), or assign() a leaf"
        raise TypeError(f"t[...] = v: the graph would not know; {how}")

    def __delitem__(self, index: Any) -> None:
        raise TypeError("del t[...]: the graph would not know; make a new tensor with np.delete(t, index, axis)")

    def __array__(self, *args: Any, **kwargs: Any) -> ndarray:
        what = "an array of plain values was asked for, as by np.asarray(tensor), a plot or a table"
        how = "use tensor.data, stack([...]) to join Tensors, or one of several results: outputs, states = lstm(x)"
        raise TypeError(f"{what}, which would lose the gradient; {how}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return dispatch_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch(func, args, kwargs)


answer_attributes(Tensor, vars(np).keys() & ops.__all__)


def floating(data: ArrayLike, dtype: DTypeLike | None, default: DTypeLike) -> Array:
    """A copy of the data in a floating dtype: as given, else the data's own, else the default."""
    if is_tensor(data):
        raise TypeError("a Tensor as data would lose its graph; use copy() to keep it, detach() or .data to leave it")
    if type(data) is not ndarray:
        refuse_mask("Tensor", data)
    try:
        array = copied(data)
    except ValueError as error:
        raise TypeError(f"Tensor: {data!r:.80} is not an array: {error}") from error
    to = np.dtype(dtype or (array.dtype if array.dtype.kind == "f" else default))
    if array.dtype.kind not in "fiub" or to.kind != "f":
        raise TypeError(f"Tensor: cannot make {to} of {data!r:.80} ({array.dtype}); gradients need real floats")
    return array.astype(to, copy=False)[()]


def seed(output: Tensor, gradient: Operand | None, create_graph: bool) -> Array:
    """The gradient that a backward pass starts from: 1, or the caller's own, checked; a Tensor if create_graph."""
    shape, dtype = output._values.shape, output._values.dtype
    if not output._requires_grad:
        raise RuntimeError("backward: nothing requires a gradient: all operands were constants, or it was in no_grad()")
    if gradient is None and output._values.size != 1:
        how = f"reduce it, for example with .sum() or .mean(), or pass gradient=, an array of shape {shape}"
        raise ValueError(f"backward: the output has shape {shape}, and only a single number has a gradient; {how}")
    if gradient is None and not create_graph:
        return beside(output, np.ones, shape, dtype)[()]
    here = not create_graph and type(output._values) is ndarray
    if here and type(gradient) is ndarray and gradient.shape == shape and gradient.dtype is dtype:
        return gradient.copy()[()]
    if type(gradient) is not Tensor or not create_graph:
        values = beside(output, np.ones, shape) if gradient is None else brought(plain(gradient), output)
        gradient = Tensor(values, requires_grad=False, dtype=dtype)
    if gradient.shape != shape:
        raise ValueError(f"backward: gradient has shape {gradient.shape}, the output {shape}; make them equal")
    return gradient.astype(dtype) if create_graph else gradient.data
