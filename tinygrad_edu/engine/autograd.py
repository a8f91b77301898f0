"""The engine: `@op` records what NumPy computes, `backward_pass` applies the chain rule backwards.

The node of the graph is the output Tensor: it knows its op, its operands and the op's parameters, and nothing points
from an operand to its results. So a graph lives as long as somebody holds its output, and reference counts free it.

The hard idea is the order of the backward walk: a tensor may pass its gradient on only when *all* its consumers have
added their part. A stack of tensors to visit, the first thing one would write, goes wrong on

    y = x * 2
    z = (y + 1) * y        # dz/dy = y + (y + 1), over two edges

where it may leave y for x with the part of one edge. Every tensor therefore has a creation number. A result is newer
than its operands, so the newest tensor that waits has no consumer left: a heap of numbers is the whole algorithm,
without recursion and without a visited set. The numbers date updates too: `assign` renumbers a leaf, and an operand
that is newer than its result was changed after use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
from numpy import ndarray

from tinygrad_edu.engine.hooks import run_hooks
from tinygrad_edu.engine.modes import PLAIN, current_mode
from tinygrad_edu.engine.node import CONSTANTS, REGISTRY, Op, constant, described, explained, plain

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

P = ParamSpec("P")
new_number = count().__next__
new_tensor = object.__new__


class Node:
    """What the engine knows of a tensor.

    `_data` is an ndarray or, where the shape is (), a NumPy scalar: a tenth of the cost. `_inputs` is a tuple of the
    operands as given, so that a + a has two edges; `_number` dates creation or update; `_op` is None for a leaf, and
    `_params` for a leaf that no op made; `_scopes` tells which module calls it came out of. Tensor adds methods, which
    are ops, which make Tensors: that circle is cut here, where Tensor's class announces itself.
    """

    __slots__ = (
        *("__weakref__", "_data", "_hooks", "_inputs", "_number", "_op", "_params", "_requires_grad", "_scopes"),
        *("grad", "name"),
    )

    def __init_subclass__(cls) -> None:
        if "Tensor" in globals():
            why = "ops compare types exactly, for speed, and would take an instance for a constant"
            raise TypeError(
                f"{cls.__name__}: Tensor cannot be subclassed: {why}; hold a Tensor in an attribute instead"
            )
        globals()["Tensor"] = cls


def op(*vjps: Any, variadic: bool = False) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator that makes a differentiable op of a function on arrays: Tensor in, Tensor out; else what NumPy returns.

    Args:
        *vjps: For each operand a function of (g, out, *operands, **parameters) that returns the operand's gradient, g
            being the output's; None for an operand that has none. Written with operators, methods and ops, it runs on
            arrays and, for gradients of gradients, on Tensors. The engine undoes broadcasting.
        variadic: Every positional argument is an operand; the one vjp gets the operand's position first.
    """

    def decorate(forward: Callable[P, Any]) -> Callable[P, Tensor]:
        this = Op(forward, vjps, variadic)
        REGISTRY[this.name], defaults = this, this.defaults
        compute: Any = forward

        @wraps(forward)
        def call(*args: Any, **kwargs: Any) -> Any:
            inputs, params = this.bind(args, kwargs)
            inputs = tuple([x if type(x) is Tensor or type(x) in CONSTANTS else constant(x, this) for x in inputs])
            values = [x._data if type(x) is Tensor else x for x in inputs]
            try:
                out = compute(*values, **params)
            except (ValueError, TypeError, IndexError) as error:
                raise explained(error, this, values) from error
            needs = [x._requires_grad for x in inputs if type(x) is Tensor]
            return result(out, this, inputs, params, True in needs) if needs else out

        # `call` unrolled for the two commonest cases, which takes half the time; what is unusual goes back to it

        @wraps(forward)
        def unary(x: Any, *args: Any, **kwargs: Any) -> Any:
            if type(x) in CONSTANTS:  # as in a rule that runs on arrays
                return compute(x, *args, **kwargs)
            if type(x) is not Tensor or args or kwargs:
                return call(x, *args, **kwargs)
            try:
                out = compute(x._data, **defaults)
            except (ValueError, TypeError, IndexError):
                return call(x)
            return result(out, this, (x,), defaults, x._requires_grad)

        @wraps(forward)
        def binary(x: Any, y: Any) -> Any:
            requires_grad = False
            a, b = x, y
            if type(x) is Tensor:
                a = x._data
                requires_grad = x._requires_grad
            elif type(x) not in CONSTANTS or type(y) is not Tensor:
                return compute(x, y) if type(x) in CONSTANTS and type(y) in CONSTANTS else call(x, y)
            if type(y) is Tensor:
                b = y._data
                if y._requires_grad:
                    requires_grad = True
            elif type(y) not in CONSTANTS:
                return call(x, y)
            try:
                out = compute(a, b)
            except (ValueError, TypeError, IndexError):
                return call(x, y)
            return result(out, this, (x, y), defaults, requires_grad)

        this.call = binary if this.arity == 2 else unary if len(vjps) == 1 and not variadic else call
        return this.call  # type: ignore[return-value]

    return decorate


def result(out: Any, op: Op, inputs: tuple[Any, ...], params: dict[str, Any], requires_grad: bool) -> Tensor:
    """The Tensor around what an op computed: a node of the graph if a gradient will flow to it, else a constant."""
    if type(out) is not np.float64:
        out = out if type(out) is ndarray and out.shape else np.asarray(out)[()]
        if out.dtype.kind != "f":
            raise TypeError(f"{op.name} of {described(inputs)}: only real floats have gradients, not {out.dtype}")
    mode = current_mode()
    tensor: Tensor = new_tensor(Tensor)
    tensor._number = new_number()
    tensor._hooks = tensor._scopes = tensor.grad = tensor.name = None
    tensor._params = params
    if requires_grad and (mode is PLAIN or mode.recording):
        tensor._data = out
        tensor._requires_grad = True
        tensor._op = op
        tensor._inputs = inputs
    else:  # copied if it is a view: an update of what it views would change it unseen
        tensor._data = out.copy() if type(out) is ndarray and out.base is not None else out
        tensor._requires_grad = False
        tensor._op = None
        tensor._inputs = ()
    if mode is not PLAIN and mode.watch is not None:
        mode.watch.forward(op, inputs, tensor)
    return tensor


def unbroadcast(g: Any, x: Tensor, tensor: Tensor, position: int) -> Any:
    """Makes of what a rule of `tensor` returned the gradient of x: sums where NumPy broadcast, keeps x's dtype."""
    op, shape, dtype, made = tensor._op, x._data.shape, x._data.dtype, tensor._data.shape
    g = g if hasattr(g, "shape") else np.asarray(g)
    if g.shape != shape:
        new = g.ndim - len(shape)
        ones = (1,) * new + shape
        axes = tuple([i for i, (n, m) in enumerate(zip(ones, g.shape, strict=False)) if i < new or n != m])
        made = ((0,) * g.ndim + made)[len(made) :]  # the output's shape as seen from the right
        if new < 0 or any(ones[i] != 1 or made[i] != g.shape[i] for i in axes):
            what = f"{op.name}: the vjp of {op.argument(position)} returned shape {g.shape}"
            raise ValueError(f"{what} for an operand of shape {shape}; no broadcasting explains that: mend the rule")
        g = (np.add.reduce(g, axes) if type(g) is ndarray else g.sum(axes)).reshape(shape)
    if g.dtype != dtype:
        g = g.astype(dtype)
    return g[()] if type(g) is ndarray and not shape else g


def backward_pass(
    output: Tensor, gradient: Any, create_graph: bool, visit: Callable[[Tensor, Any], Any] | None = None
) -> None:
    """Walks from `output` to the leaves, newest tensor first, each once and with its complete gradient.

    Only vjps of operands that require a gradient are called: on arrays, or on Tensors if `create_graph`. A gradient is
    never written to once it is made. `visit(tensor, gradient)` is told of each; without it `.grad` is filled.
    """
    watch = current_mode().watch
    arrived: dict[int, list[Any]] = {
        output._number: [output, gradient]
    }  # tensors that wait, and their gradients so far
    heap: list[int] = [-output._number] if output._op is not None else []  # leaves wait until the end: it stays small

    def deliver(part: Any, x: Any, position: int) -> None:
        """Adds what came over one edge of the current `tensor` to the gradient of its operand x."""
        data = x._data
        if type(part) is not type(data):
            part = unbroadcast(part, x, tensor, position)
        elif type(part) is ndarray:
            if part.shape != data.shape or part.dtype is not data.dtype:
                part = unbroadcast(part, x, tensor, position)
            if x._op is None and (np.may_share_memory(part, g) or not part.flags.writeable):
                part = part.copy()  # clipping may write to a leaf's gradient: it must be nobody else's
        if watch is not None:
            watch.backward(tensor, position, part)
        key = x._number
        if key in arrived:
            entry = arrived[key]
            entry[1] = entry[1] + part
        else:
            arrived[key] = [x, part]
            if x._op is not None:
                heappush(heap, -key)

    while heap:
        number = -heappop(heap)
        tensor, g = arrived.pop(number)
        if tensor._hooks:
            g = run_hooks(tensor, g)
        if visit is None:
            tensor.grad = g.detach() if create_graph else g  # the graph of g contains `tensor`: a reference cycle
        else:
            visit(tensor, g)
        op, inputs, out = tensor._op, tensor._inputs, tensor._data
        if op.arity == 2 and not create_graph:  # what follows, unrolled for the commonest ops: half the time
            x, y = inputs
            to_x, to_y = op.vjps
            a = x if type(x) is not Tensor else x._data if x._number < number else valid(x, tensor)
            b = y if type(y) is not Tensor else y._data if y._number < number else valid(y, tensor)
            if type(x) is Tensor and x._requires_grad:
                deliver(to_x(g, out, a, b), x, 0)
            if type(y) is Tensor and y._requires_grad:
                deliver(to_y(g, out, a, b), y, 1)
            continue
        if op.arity == 1 and not create_graph:
            (x,) = inputs
            deliver(op.vjps[0](g, out, valid(x, tensor)), x, 0)
            continue
        arrays = [valid(x, tensor) for x in inputs]
        values, out = (inputs, tensor) if create_graph else (arrays, out)
        for i, x in enumerate(inputs):
            if type(x) is Tensor and x._requires_grad:
                vjp = partial(op.vjps[0], i) if op.variadic else op.vjps[i]
                deliver(vjp(g, out, *values, **tensor._params), x, i)
    for x, g in arrived.values():
        g = run_hooks(x, g) if x._hooks else g
        if visit is None:
            x.grad = g if x.grad is None else x.grad + g
        else:
            visit(x, g)


def valid(x: Any, consumer: Tensor) -> Any:
    """The value of an operand, provided it is still the one that its consumer was computed from."""
    if type(x) is not Tensor:
        return x
    if x._number > consumer._number:
        changed = f"tensor {x.name or ''}{x._data.shape} was updated after {consumer._op.name} used it"
        how = "by assign, an optimizer's step or a new requires_grad"
        raise RuntimeError(f"backward: {changed} ({how}): old and new values would mix; compute the output again")
    return x._data


def seed(output: Tensor, gradient: Any, create_graph: bool) -> Any:
    """The gradient that a backward pass starts from: 1, or the caller's own, checked."""
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
    if gradient._data.shape != shape:
        raise ValueError(f"backward: gradient has shape {gradient._data.shape}, the output {shape}; make them equal")
    return gradient.astype(dtype) if create_graph else gradient._data
