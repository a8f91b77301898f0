"""`op` and `backward_pass` once more, unrolled for the commonest cases, which takes half the time.

Unusual calls, and those that are watched, go to the reference; with TINYGRAD_EDU_SHORTCUTS=0 in the environment all do.
The tests find no difference but one: wrong keywords, and constants that NumPy refuses, get Python's and NumPy's words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from numpy import may_share_memory, ndarray

from tinygrad_edu.arrays import CONSTANTS, KINDS, own
from tinygrad_edu.engine import autograd
from tinygrad_edu.engine.autograd import P, Visit, Vjp, current, define, fill_grad, record_result, unbroadcast
from tinygrad_edu.engine.modes import PLAIN, current_mode, run_hooks, stored_mode
from tinygrad_edu.engine.node import Op

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor  # at run time tensor.py sets the name, see engine/__init__.py

__all__ = ["backward_pass", "op"]


def op(*vjps: Vjp, variadic: bool = False) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """The decorator of autograd.op; ops of one or two operands are called by a shorter way."""

    def decorate(forward: Callable[P, Any]) -> Callable[P, Tensor]:
        this = define(Op(forward, vjps, variadic))
        if len(vjps) == 1 and this.names[:1] == ("x",) and not variadic:  # the names that `call` below has
            this.call = unary(this, this.forward, this.call)
        elif this.arity == 2 and this.names == ("x", "y"):
            this.call = binary(this, this.forward, this.call)
        return this.call

    return decorate


def unary(op: Op, compute: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """The call of an op of one operand, whose parameters have their defaults."""
    defaults = op.defaults

    @wraps(reference)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        if type(x) in CONSTANTS:  # as in a rule that runs on arrays
            return compute(x, *args, **kwargs)
        if type(x) is not Tensor or args or kwargs:
            return reference(x, *args, **kwargs)
        if (mode := stored_mode()) is not PLAIN and (mode := current_mode()).watch:
            return reference(x)
        try:
            out = compute(x._values, **defaults)
        except (ValueError, TypeError, IndexError):
            return reference(x)
        return record_result(out, op, (x,), defaults, x._requires_grad, mode)

    return call


def binary(op: Op, compute: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """The call of an op of two operands and no parameters."""
    defaults = op.defaults

    @wraps(reference)
    def call(x: Any, y: Any) -> Any:
        a, b, requires_grad = x, y, False
        if type(x) is Tensor:
            a, requires_grad = x._values, x._requires_grad
        elif type(x) not in CONSTANTS or type(y) is not Tensor:
            return compute(x, y) if type(x) in CONSTANTS and type(y) in CONSTANTS else reference(x, y)
        if type(y) is Tensor:
            b, requires_grad = y._values, requires_grad or y._requires_grad
        elif type(y) not in CONSTANTS:
            return reference(x, y)
        if (mode := stored_mode()) is not PLAIN and (mode := current_mode()).watch:
            return reference(x, y)
        try:
            out = compute(a, b)
        except (ValueError, TypeError, IndexError):
            return reference(x, y)
        return record_result(out, op, (x, y), defaults, requires_grad, mode)

    return call


def backward_pass(output: Tensor, gradient: Any, create_graph: bool = False, visit: Visit | None = None) -> None:
    """The walk of autograd.backward_pass, on arrays: no generator, and a gradient that fits is not looked at twice."""
    if create_graph or current_mode().watch is not None:
        return autograd.backward_pass(output, gradient, create_graph, visit)
    waiting: dict[int, list[Any]] = {output._number: [output, gradient]}
    heap = [-output._number] if output._op is not None else []
    tensor, g = output, gradient

    def deliver(part: Any, x: Tensor, position: int) -> None:
        """Adds what came over one edge of `tensor` to the gradient of its operand x."""
        data = x._values
        if type(part) is not type(data) or (KINDS and type(part) in KINDS):
            part = unbroadcast(part, x, tensor, position)
            part = own(part, g) if x._op is None else part
        elif type(part) is ndarray:
            if part.shape != data.shape or part.dtype is not data.dtype:
                part = unbroadcast(part, x, tensor, position)
            if x._op is None and (may_share_memory(part, g) or not part.flags.writeable):
                part = part.copy()
        key = x._number
        if entry := waiting.get(key):
            entry[1] = entry[1] + part
        else:
            waiting[key] = [x, part]
            if x._op is not None:
                heappush(heap, -key)

    while heap:
        number = -heappop(heap)
        tensor, g = waiting.pop(number)
        if tensor._hooks:
            g = run_hooks(tensor, g)
        if visit is None:
            tensor.grad = g
        else:
            visit(tensor, g)
        op, inputs, out = tensor._op, tensor._inputs, tensor._values
        if op.arity == 2:
            x, y = inputs
            to_x, to_y = op.vjps
            a = x if type(x) is not Tensor else x._values if x._number < number else current(x, tensor)
            b = y if type(y) is not Tensor else y._values if y._number < number else current(y, tensor)
            if type(x) is Tensor and x._requires_grad:
                deliver(to_x(g, out, a, b), x, 0)
            if type(y) is Tensor and y._requires_grad:
                deliver(to_y(g, out, a, b), y, 1)
        elif op.arity == 1:
            deliver(op.vjps[0](g, out, current(inputs[0], tensor)), inputs[0], 0)
        else:
            arrays = [current(x, tensor) for x in inputs]
            for i, x in enumerate(inputs):
                if type(x) is Tensor and x._requires_grad:
                    vjp = partial(op.vjps[0], i) if op.variadic else op.vjps[i]
                    deliver(vjp(g, out, *arrays, **tensor._params), x, i)
    for x, g in waiting.values():
        (visit or fill_grad)(x, run_hooks(x, g) if x._hooks else g)
