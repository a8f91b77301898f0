"""What NumPy's arrays have as operators and methods: the functions of `ops`, bound one name a line.

Those that return booleans or indices work on the values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.arrays import home
from tinygrad_edu.engine import Node, plain
from tinygrad_edu.ops import Operand
from tinygrad_edu.torch_names import Answer, answering

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from tinygrad_edu.tensor import Tensor

__all__ = ["Methods"]

T = TypeVar("T")


def comparison(compare: Callable[..., Any]) -> Callable[[Any, Operand], NDArray[np.bool_]]:
    """The operator for `self < other` and its like: it works on the values and returns booleans."""
    return lambda self, other: compare(self._values, plain(other))


def reflected(function: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    """The operator for `other + self`, where `other` is not a Tensor."""
    return lambda self, other: function(other, self)


def in_place(symbol: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Operand], Tensor]:
    """The operator for `self += other` and its like."""
    return lambda self, other: self._in_place(symbol, function, other)


def of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method for a function of NumPy's that works on the values."""

    def method(self: Methods, *args: Any, **kwargs: Any) -> Any:
        return function(self._values, *[plain(x) for x in args], **kwargs)

    method.__name__, method.__doc__ = function.__name__, f"np.{function.__name__} of the values."
    return answering(method)


class Methods(Node):
    """The operators and methods of Tensor."""

    __slots__ = ()

    __hash__ = object.__hash__  # by identity: == compares elements, as in NumPy
    __eq__ = comparison(operator.eq)  # type: ignore[assignment]  # Python's own returns one bool
    __ne__ = comparison(operator.ne)  # type: ignore[assignment]
    __lt__ = comparison(operator.lt)
    __le__ = comparison(operator.le)
    __gt__ = comparison(operator.gt)
    __ge__ = comparison(operator.ge)

    __getitem__ = ops.getitem
    __pos__ = ops.positive
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
    __floordiv__ = ops.floor_divide
    __rfloordiv__ = reflected(ops.floor_divide)
    __mod__ = ops.remainder
    __rmod__ = reflected(ops.remainder)
    __divmod__ = ops.divmod
    __rdivmod__ = reflected(ops.divmod)
    __pow__ = ops.power
    __rpow__ = reflected(ops.power)
    __matmul__ = ops.matmul
    __rmatmul__ = reflected(ops.matmul)
    __iadd__ = in_place("+", ops.add)
    __isub__ = in_place("-", ops.subtract)
    __imul__ = in_place("*", ops.multiply)
    __itruediv__ = in_place("/", ops.divide)
    __ifloordiv__ = in_place("//", ops.floor_divide)
    __imod__ = in_place("%", ops.remainder)
    __ipow__ = in_place("**", ops.power)
    __imatmul__ = in_place("@", ops.matmul)

    def __dir__(self) -> list[str]:
        answers = vars(type(self))  # of attributes that are not there
        return [name for name in object.__dir__(self) if not isinstance(answers.get(name), Answer)]

    def __int__(self) -> int:
        """The integer part of the one number of a tensor of size 1."""
        return int(self._values.item())

    def __contains__(self, value: Operand) -> bool:
        """Whether an element equals the value."""
        return plain(value) in np.asarray(home(self._values))

    def reshape(self: Any, *shape: Any, order: str = "C", copy: bool | None = None) -> Tensor:
        """The elements in another shape: t.reshape(2, -1) or t.reshape((2, -1))."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)

    def transpose(self: Any, *axes: Any) -> Tensor:
        """Axes in another order: t.transpose(1, 0) or t.transpose((1, 0)); reversed if none is given."""
        return ops.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    def astype(self: Any, dtype: DTypeLike, *, copy: bool = True) -> Tensor:
        """The same values as another floating dtype. `copy` is without effect: nobody can write into a result."""
        return ops.astype(self, dtype)

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

    sign = ops.sign
    round = ops.round
    __round__ = ops.round
    maximum = ops.maximum
    minimum = ops.minimum
    clip = ops.clip
    conj = ops.conj
    conjugate = ops.conjugate
    copy = ops.copy

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
    cumprod = ops.cumprod

    ravel = ops.ravel
    flatten = ops.flatten
    expand_dims = ops.expand_dims
    squeeze = ops.squeeze
    swapaxes = ops.swapaxes
    moveaxis = ops.moveaxis
    broadcast_to = ops.broadcast_to
    tile = ops.tile

    sort = ops.sort
    partition = ops.partition
    take = ops.take

    def compress(self: Any, condition: ArrayLike, axis: int | None = None) -> Tensor:
        """The slices along an axis, or the elements, where the condition holds."""
        return ops.compress(condition, self, axis)

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

    all = of_values(np.all)
    any = of_values(np.any)
    argmax = of_values(np.argmax)
    argmin = of_values(np.argmin)
    argpartition = of_values(np.argpartition)
    argsort = of_values(np.argsort)
    nonzero = of_values(np.nonzero)
    searchsorted = of_values(np.searchsorted)
