"""Tensor: an array that remembers how it was made.

The class holds data, gradient and name. What it can compute stands in `ops` and `functional`; the class body binds
those functions as operators and methods, and NumPy's two protocols lead NumPy's own functions to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from tinygrad_edu import functional, ops
from tinygrad_edu.engine import Handle, Node, backward_pass, floating, new_number, plain, seed, setting
from tinygrad_edu.functional.activations import dispatch
from tinygrad_edu.ops import fused

if TYPE_CHECKING:
    from tinygrad_edu.draw import Explanation, Graph


def compares(ufunc: Any) -> Callable[[Any, Any], Any]:
    """A comparison operator: it works on the values and returns booleans."""
    return lambda self, other: ufunc(self._data, plain(other))


def reflected(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """The operator for `other + self`, where `other` is no Tensor."""
    return lambda self, other: function(other, self)


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

    def __init__(self, data: Any, *, requires_grad: bool = True, name: str | None = None, dtype: Any = None) -> None:
        self._data = np.float64(data) if type(data) is float and dtype is None else floating(data, dtype, np.float64)
        self._requires_grad = bool(requires_grad)
        self.name = name
        self._number = new_number()
        self._inputs: tuple[Any, ...] = ()
        self._op: Any = None
        self._params: Any = None
        self._hooks: Any = None
        self._scopes: Any = None
        self.grad: Any = None

    @property
    def data(self) -> Any:
        """The values: an ndarray (read-only if an op made it), or a NumPy scalar where the shape is ().

        backward() knows of `leaf.data -= step` as it knows of assign(); writing to elements it cannot see.
        """
        if self._op is None or type(self._data) is not ndarray:
            return self._data
        view = self._data.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, values: Any) -> None:
        if values is self._data:  # t.data -= step has already written into the array
            self._renumber("assign")
        else:
            self.assign(values)

    def assign(self, values: Any) -> Tensor:
        """Replaces the values of a leaf in place, keeping shape and dtype; returns the tensor.

        Raises:
            RuntimeError: The tensor is the result of an op.
            ValueError: The values do not broadcast to its shape.
        """
        new = floating(values, self.dtype, self.dtype)
        if new.ndim > self.ndim or any(
            n not in (1, m) for n, m in zip(new.shape[::-1], self.shape[::-1], strict=False)
        ):
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

    def backward(self, gradient: Any = None, *, create_graph: bool = False) -> None:
        """Fills `.grad` of every tensor that this one was made of: leaves add to theirs, intermediates are set.

        Args:
            gradient: The upstream gradient, of this shape; needed unless the size is 1.
            create_graph: Make leaf gradients Tensors to differentiate; each holds its graph until `.grad` is None.

        Raises:
            RuntimeError: Nothing requires a gradient, or a tensor was updated after it was used.
            ValueError: `gradient` is missing or has the wrong shape.
        """
        with setting(recording=True) if create_graph else nullcontext():
            backward_pass(self, seed(self, gradient, create_graph), create_graph)

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Calls `hook(gradient)` in each backward pass when this tensor's gradient is complete.

        The hook gets a read-only array (a Tensor under create_graph) and returns a replacement or None; the handle
        that comes back takes it off with `remove()`.
        """
        if not callable(hook):
            raise TypeError(f"register_hook: {hook!r} is no function of a gradient")
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
        return len(self._data)  # type: ignore[arg-type]

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
    __eq__, __ne__, __lt__ = compares(np.equal), compares(np.not_equal), compares(np.less)
    __le__, __gt__, __ge__ = compares(np.less_equal), compares(np.greater), compares(np.greater_equal)
    __getitem__, __neg__, __abs__, __pow__ = ops.getitem, ops.negative, ops.abs, ops.power
    __add__, __sub__, __mul__, __truediv__, __matmul__ = ops.add, ops.subtract, ops.multiply, ops.divide, ops.matmul
    __radd__, __rsub__, __rmul__ = reflected(ops.add), reflected(ops.subtract), reflected(ops.multiply)
    __rtruediv__, __rpow__, __rmatmul__ = reflected(ops.divide), reflected(ops.power), reflected(ops.matmul)

    def reshape(self, *shape: Any) -> Tensor:
        """The elements in another shape: t.reshape(2, -1) or t.reshape((2, -1))."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order: t.transpose(1, 0) or t.transpose((1, 0)); reversed if none is given."""
        return ops.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    add, subtract, multiply, divide, power = ops.add, ops.subtract, ops.multiply, ops.divide, ops.power
    negative, abs, square, sqrt, copy = ops.negative, ops.abs, functional.square, ops.sqrt, functional.copy
    exp, expm1, log, log1p, sin, cos = ops.exp, fused.expm1, ops.log, fused.log1p, ops.sin, ops.cos
    tanh, sigmoid, relu, softplus, astype = ops.tanh, ops.sigmoid, ops.relu, fused.softplus, ops.astype
    maximum, minimum, clip, matmul = ops.maximum, ops.minimum, functional.clip, ops.matmul
    dot, outer, sum, mean, max, min = functional.dot, functional.outer, ops.sum, ops.mean, ops.max, ops.min
    prod, var, std, logsumexp = ops.prod, functional.var, functional.std, functional.logsumexp
    softmax, log_softmax, cumsum, sort = functional.softmax, fused.log_softmax, ops.cumsum, functional.sort
    ravel, flatten, expand_dims, squeeze = functional.ravel, functional.flatten, ops.expand_dims, functional.squeeze
    swapaxes, moveaxis, broadcast_to = functional.swapaxes, functional.moveaxis, ops.broadcast_to
    split, pad, flip, tile = functional.split, functional.pad, functional.flip, functional.tile
    repeat, roll, tril, triu = functional.repeat, functional.roll, functional.tril, functional.triu
    diagonal, trace = functional.diagonal, functional.trace
