"""Tensor: an array that remembers how it was made.

The class holds data, gradient and name. What it can compute stands in `ops`; the class body binds these functions as
operators and methods, and NumPy's two protocols lead NumPy's own functions to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tinygrad_edu import ops
from tinygrad_edu.checks import broadcasts_to
from tinygrad_edu.dispatch import dispatch
from tinygrad_edu.engine import Array, Node, backward_pass, bind_tensor, is_tensor, new_number, plain, setting
from tinygrad_edu.ops import Operand

if TYPE_CHECKING:
    from tinygrad_edu.draw import Explanation, Graph

__all__ = ["Handle", "Tensor", "seed"]


def comparison(ufunc: Callable[..., Any]) -> Callable[[Tensor, Operand], NDArray[np.bool_]]:
    """The operator for `self < other` and its like: it works on the values and returns booleans."""
    return lambda self, other: ufunc(self._data, plain(other))


def reflected(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """The operator for `other + self`, where `other` is not a Tensor."""
    return lambda self, other: function(other, self)


class Handle(NamedTuple):
    """What register_hook returns."""

    tensor: Tensor
    hook: Callable[[Any], Any]

    def remove(self) -> None:
        """Takes the hook off."""
        if self.hook in (self.tensor._hooks or ()):
            self.tensor._hooks.remove(self.hook)


@bind_tensor
class Tensor(Node):
    """An array to differentiate; a NumPy array or a number beside it is a constant.

    Constants, indices and labels are not copied: leave such an array unchanged until backward() has run.

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
        *,
        requires_grad: bool = True,
        name: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if type(data) is float and dtype is None:
            self._data = np.float64(data)
        else:
            self._data = floating(data, dtype, np.float64)
        self._requires_grad = bool(requires_grad)
        self.name = name
        self._number = new_number()
        self._inputs = ()
        self._op = self._params = self._hooks = self._scopes = self.grad = None

    @property
    def data(self) -> NDArray[Any]:
        """The values: an ndarray (read-only if an op made it), or a NumPy scalar where the shape is ().

        backward() notices `leaf.data -= step` and assign(), but not writes to single elements.
        """
        if self._op is None or type(self._data) is not ndarray:
            return self._data
        view = self._data.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, values: ArrayLike) -> None:
        if values is self._data:  # t.data -= step has already written into the array
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
        if type(self._data) is ndarray:
            self._data[...] = new
        else:
            self._data = new
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
        return self._data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating dtype."""
        return self._data.dtype

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return ops.transpose(self)

    def item(self) -> float:
        """The one number of a tensor of size 1, as a Python float."""
        return float(self._data.item())

    __float__ = item

    def numpy(self) -> ndarray:
        """A copy of the values as an array."""
        return np.array(self._data)

    def tolist(self) -> Any:
        """The values as nested lists of Python floats."""
        return self._data.tolist()

    def detach(self) -> Tensor:
        """A constant leaf with a copy of the values."""
        return Tensor(self._data, requires_grad=False, name=self.name)

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
        with setting(recording=True) if create_graph else nullcontext():
            backward_pass(self, seed(self, gradient, create_graph), create_graph)

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Calls `hook(gradient)` in each backward pass when this tensor's gradient is complete.

        The hook gets a read-only array (a Tensor under create_graph) and returns a replacement or None. The returned
        handle removes it with `remove()`.
        """
        if not callable(hook):
            raise TypeError(f"register_hook: {hook!r} is not a function of a gradient")
        self._hooks = [*(self._hooks or ()), hook]
        return Handle(self, hook)

    def graph(self, **options: Any) -> Graph:
        """A picture of how this tensor was computed and of its gradients; options as for `draw.Graph`."""
        from tinygrad_edu import draw  # most programs draw nothing

        return draw.Graph(self, **options)

    def explain(self, *inputs: Tensor, precision: int = 3) -> Explanation:
        """The chain rule from this tensor to the inputs, worked out with its numbers; see `draw.explain`."""
        from tinygrad_edu import draw

        return draw.explain(self, *inputs, precision=precision)

    def __repr__(self) -> str:
        notes = [np.array2string(np.asarray(self._data), separator=", ", prefix="Tensor(")]
        if self.name is not None:
            notes.append(f"name={self.name!r}")
        if self.dtype != np.float64:
            notes.append(f"dtype={self.dtype}")
        if self._op is not None or not self._requires_grad:
            notes.append(f"op={self._op.name}" if self._op is not None else "requires_grad=False")
        return f"Tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[i] for i in range(len(self))])

    def __reduce__(self) -> Any:  # for copy and pickle: a copied _number would be two tensors with one gradient
        if self._op is not None:
            raise TypeError(f"cannot copy or pickle the result of {self._op.name} with its graph; use detach()")
        return Tensor, (self._data,), (None, {"name": self.name, "_requires_grad": self._requires_grad})

    def __setitem__(self, index: Any, value: Any) -> None:
        how = "make a new tensor with where() or concatenate(), or assign() a leaf"
        raise TypeError(f"t[...] = v: the graph would not know; {how}")

    def __array__(self, *args: Any, **kwargs: Any) -> ndarray:
        how = "use tensor.data for the values, stack([...]) to join Tensors"
        raise TypeError(f"np.asarray(tensor) would lose the gradient; {how}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            call = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else f" with {', '.join(kwargs)}=")
            raise TypeError(f"{call} is not differentiable here; use np.{ufunc.__name__}(...) alone, or tensor.data")
        return dispatch(ufunc, inputs, {})

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch(func, args, kwargs)

    __hash__ = object.__hash__  # by identity: == compares elements, as in NumPy
    __eq__ = comparison(np.equal)  # type: ignore[assignment]  # Python's own returns one bool
    __ne__ = comparison(np.not_equal)  # type: ignore[assignment]
    __lt__ = comparison(np.less)
    __le__ = comparison(np.less_equal)
    __gt__ = comparison(np.greater)
    __ge__ = comparison(np.greater_equal)

    __getitem__ = ops.getitem
    __neg__ = ops.negative
    __abs__ = ops.abs
    __add__ = ops.add
    __radd__ = reflected(ops.add)
    __sub__ = ops.subtract
    __rsub__ = reflected(ops.subtract)
    __mul__ = ops.multiply
    __rmul__ = reflected(ops.multiply)
    __truediv__ = ops.divide
    __rtruediv__ = reflected(ops.divide)
    __pow__ = ops.power
    __rpow__ = reflected(ops.power)
    __matmul__ = ops.matmul
    __rmatmul__ = reflected(ops.matmul)

    def reshape(self, *shape: Any) -> Tensor:
        """The elements in another shape: t.reshape(2, -1) or t.reshape((2, -1))."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order: t.transpose(1, 0) or t.transpose((1, 0)); reversed if none is given."""
        return ops.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    add = ops.add
    subtract = ops.subtract
    multiply = ops.multiply
    divide = ops.divide
    power = ops.power
    negative = ops.negative
    abs = ops.abs
    square = ops.square
    sqrt = ops.sqrt
    exp = ops.exp
    expm1 = ops.expm1
    log = ops.log
    log1p = ops.log1p
    sin = ops.sin
    cos = ops.cos
    tanh = ops.tanh
    sigmoid = ops.sigmoid
    relu = ops.relu
    softplus = ops.softplus

    maximum = ops.maximum
    minimum = ops.minimum
    clip = ops.clip
    copy = ops.copy
    astype = ops.astype

    sum = ops.sum
    mean = ops.mean
    prod = ops.prod
    max = ops.max
    min = ops.min
    var = ops.var
    std = ops.std
    logsumexp = ops.logsumexp
    softmax = ops.softmax
    log_softmax = ops.log_softmax
    cumsum = ops.cumsum
    sort = ops.sort

    ravel = ops.ravel
    flatten = ops.flatten
    expand_dims = ops.expand_dims
    squeeze = ops.squeeze
    swapaxes = ops.swapaxes
    moveaxis = ops.moveaxis
    broadcast_to = ops.broadcast_to
    tile = ops.tile

    split = ops.split
    repeat = ops.repeat
    roll = ops.roll
    flip = ops.flip
    pad = ops.pad
    tril = ops.tril
    triu = ops.triu
    diagonal = ops.diagonal
    trace = ops.trace

    matmul = ops.matmul
    dot = ops.dot
    outer = ops.outer


def floating(data: ArrayLike, dtype: DTypeLike | None, default: DTypeLike) -> Array:
    """A copy of the data in a floating dtype: as given, else the data's own, else the default."""
    if is_tensor(data):
        raise TypeError("a Tensor as data would lose its graph; use copy() to keep it, detach() or .data to leave it")
    try:
        array = np.array(data)
    except ValueError as error:
        raise TypeError(f"Tensor: {data!r:.80} is not an array: {error}") from error
    to = np.dtype(dtype or (array.dtype if array.dtype.kind == "f" else default))
    if array.dtype.kind not in "fiub" or to.kind != "f":
        raise TypeError(f"Tensor: cannot make {to} of {data!r:.80} ({array.dtype}); gradients need real floats")
    return array.astype(to, copy=False)[()]


def seed(output: Tensor, gradient: Operand | None, create_graph: bool) -> Array:
    """The gradient that a backward pass starts from: 1, or the caller's own, checked; a Tensor if create_graph."""
    shape, dtype = output._data.shape, output._data.dtype
    if not output._requires_grad:
        raise RuntimeError("backward: nothing requires a gradient: all operands were constants, or it was in no_grad()")
    if gradient is None and output._data.size != 1:
        how = f"reduce it, for example with .sum() or .mean(), or pass gradient=, an array of shape {shape}"
        raise ValueError(f"backward: the output has shape {shape}, and only a single number has a gradient; {how}")
    if gradient is None and not create_graph:
        return np.ones(shape, dtype)[()]
    if type(gradient) is not Tensor or not create_graph:
        values = np.ones(shape) if gradient is None else plain(gradient)
        gradient = Tensor(values, requires_grad=False, dtype=dtype)
    if gradient.shape != shape:
        raise ValueError(f"backward: gradient has shape {gradient.shape}, the output {shape}; make them equal")
    return gradient.astype(dtype) if create_graph else gradient.data
