"""The reference engine: `@op` records what NumPy computes, `backward_pass` applies the chain rule backwards.

The hard idea is the order of the backward walk: a tensor may pass its gradient on only when *all* its consumers have
added their part. A stack of tensors to visit, the first thing one would write, goes wrong on

    y = x * 2
    z = (y + 1) * y        # dz/dy = y + (y + 1), over two edges

where the walk may go on from y to x when only one of the two parts has arrived at y. So every tensor has a creation
number. A result is newer than its operands, so the newest tensor that waits has no consumer left: a heap of numbers is
the whole algorithm, without recursion and without a visited set. The numbers also record updates: `assign` renumbers a
leaf, and an operand that is newer than its result was changed after use.
"""

from __future__ import annotations

from _thread import allocate_lock as Lock  # threading has it too, and takes a while to load
from collections.abc import Callable, Iterator
from functools import partial, wraps
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

import numpy as np
from numpy import float64, ndarray

from tinygrad_edu.arrays import CONSTANTS, KINDS, own, placed
from tinygrad_edu.engine.modes import PLAIN, Mode, current_mode, run_hooks, stored_mode
from tinygrad_edu.engine.node import REGISTRY, Node, Op, described, is_tensor, new_number
from tinygrad_edu.garbage import watch_growth
from tinygrad_edu.sums import add_up

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor  # at run time tensor.py sets the name, see engine/__init__.py

__all__ = ["P", "Visit", "Vjp", "backward_pass", "current", "define", "fill_grad", "op", "record_result", "unbroadcast"]

P = ParamSpec("P")
Vjp: TypeAlias = Callable[..., Any] | None
Visit: TypeAlias = "Callable[[Tensor, Any], None]"
new_tensor = object.__new__
ADDING = Lock()  # threads that add to one .grad must not both read it first


def op(*vjps: Vjp, variadic: bool = False) -> Callable[[Callable[P, Any]], Callable[P, Tensor]]:
    """Decorator that makes a differentiable op of a function on arrays: Tensor in, Tensor out; else what NumPy returns.

    Args:
        *vjps: For each operand a function of (g, out, *operands, **parameters) that returns the operand's gradient, g
            being the output's; None for an operand that has none. Written with operators, methods and ops, it runs on
            arrays and, for gradients of gradients, on Tensors. The engine undoes broadcasting.
        variadic: Every positional argument is an operand; the one vjp gets the operand's position first.
    """

    def decorate(forward: Callable[P, Any]) -> Callable[P, Tensor]:
        return define(Op(forward, vjps, variadic)).call

    return decorate


def define(op: Op) -> Op:
    """Enters an op into the registry, with a call that records what it computes of Tensors."""

    @wraps(op.forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        inputs, params = op.bind(args, kwargs)
        if others := [x for x in inputs if type(x) is not Tensor and type(x) not in CONSTANTS]:
            for x in others:
                if not is_tensor(x) and hasattr(x, "__op__"):  # follows ops in its own way, as draw's terms do
                    return x.__op__(op, inputs, params)
            inputs = tuple([x if isinstance(x, Node) or type(x) in CONSTANTS else op.constant(x) for x in inputs])
        values = [x._values if isinstance(x, Node) else x for x in inputs]
        mode = PLAIN if stored_mode() is PLAIN else current_mode()
        try:
            out = (mode.watch.run(op.forward) if mode.watch else op.forward)(*values, **params)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explained(error, values) from error
        needs = [x._requires_grad for x in inputs if isinstance(x, Node)]
        return record_result(out, op, inputs, params, any(needs), mode) if needs else out

    op.call = call
    REGISTRY[op.name] = op
    return op


def record_result(out: Any, op: Op, inputs: Any, params: Any, requires_grad: bool, mode: Mode) -> Tensor:
    """The Tensor around what an op computed: a node of the graph if a gradient will flow to it, else a constant."""
    if type(out) is not float64:  # the commonest number needs no look
        out = out if (type(out) is ndarray and out.shape) or type(out) in KINDS else np.asarray(out)[()]
        if out.dtype.kind != "f":
            raise TypeError(f"{op.name} of {described(inputs)}: only real floats have gradients, not {out.dtype}")
    tensor: Tensor = new_tensor(Tensor)
    tensor._values, tensor._requires_grad = out, True
    tensor._op, tensor._inputs, tensor._params = op, inputs, params
    tensor._number = number = new_number()
    tensor._hooks = tensor._scopes = tensor.grad = tensor.name = None
    if not (requires_grad and (mode is PLAIN or mode.recording)):
        tensor._requires_grad, tensor._op, tensor._inputs = False, None, ()
        if getattr(out, "base", None) is not None:
            tensor._values = out.copy()  # a view: an update of what it views would change it unseen
    if mode is not PLAIN and mode.watch is not None:
        mode.watch.forward(op, inputs, tensor)
    if not number & 16383:  # EVERY - 1
        watch_growth(tensor)
    return tensor


def backward_pass(output: Tensor, gradient: Any, create_graph: bool = False, visit: Visit | None = None) -> None:
    """Walks from `output` to the leaves, newest tensor first, each once and with its complete gradient.

    Args:
        output, gradient: Where the walk starts, and the gradient that it starts with.
        create_graph: Run the vjps on Tensors, so that gradients are recorded too, instead of on arrays.
        visit: Is told of each tensor and its gradient; without it `.grad` is filled.
    """
    visit = visit or fill_grad
    waiting = {output._number: (output, gradient)}  # by number: a tensor that waits, and its gradient so far
    heap = [-output._number] if output._op is not None else []
    while heap:
        tensor, g = waiting.pop(-heappop(heap))
        g = run_hooks(tensor, g) if tensor._hooks else g
        visit(tensor, g)
        for x, part in parts(tensor, g, create_graph):
            if x._number in waiting:
                waiting[x._number] = x, waiting[x._number][1] + part
            else:
                waiting[x._number] = x, part
                if x._op is not None:
                    heappush(heap, -x._number)
    for x, g in waiting.values():  # leaves come last: an error on the way leaves their .grad as it was
        visit(x, run_hooks(x, g) if x._hooks else g)


def parts(tensor: Tensor, g: Any, create_graph: bool) -> Iterator[tuple[Tensor, Any]]:
    """Yields each operand of `tensor` that requires a gradient, with what it receives when g arrives at `tensor`."""
    op, inputs, watch = tensor._op, tensor._inputs, current_mode().watch
    arrays = [current(x, tensor) for x in inputs]
    out, operands = (tensor, inputs) if create_graph else (tensor._values, arrays)
    for i, x in enumerate(inputs):
        if is_tensor(x) and x._requires_grad:
            vjp = partial(op.vjps[0], i) if op.variadic else op.vjps[i]
            vjp = watch.run(vjp) if watch else vjp
            part = unbroadcast(vjp(g, out, *operands, **tensor._params), x, tensor, i)
            part = own(part, g) if x._op is None else part  # clipping may write to a leaf's gradient
            if watch is not None:
                watch.backward(tensor, i, part)
            yield x, part


def fill_grad(tensor: Tensor, g: Any) -> None:
    """Fills `.grad`: leaves accumulate, intermediates are overwritten."""
    if tensor._op is None:
        with ADDING:
            tensor.grad = g if tensor.grad is None else tensor.grad + g
    else:  # a gradient with a graph contains `tensor`: a reference cycle
        tensor.grad = g.detach() if is_tensor(g) else g


def current(x: Any, consumer: Tensor) -> Any:
    """The value of an operand, provided it is still the one that its consumer was computed from."""
    if isinstance(x, Node) and x._number > consumer._number:
        changed = f"tensor {x.name or ''}{x._values.shape} was updated after {consumer._op.name} used it"
        how = "by assign, an optimizer's step or a new requires_grad"
        raise RuntimeError(f"backward: {changed} ({how}): old and new values would mix; compute the output again")
    return x._values if isinstance(x, Node) else x


def unbroadcast(g: Any, x: Tensor, tensor: Tensor, position: int) -> Any:
    """Makes of what a vjp of `tensor` returned the gradient of x: sums where NumPy broadcast x, keeps x's dtype."""
    op, shape, dtype = tensor._op, x._values.shape, x._values.dtype
    g = g if hasattr(g, "shape") else np.asarray(g)
    if g.shape != shape:
        extra = g.ndim - len(shape)
        padded = (1,) * extra + shape
        out_shape = ((0,) * g.ndim + tensor._values.shape)[-g.ndim :]  # aligned at the right, as NumPy does
        axes = tuple([i for i, (n, m) in enumerate(zip(padded, g.shape, strict=False)) if i < extra or n != m])
        if extra < 0 or any(padded[i] != 1 or out_shape[i] != g.shape[i] for i in axes):
            what = f"{op.name}: the vjp of {op.argument(position)} returned shape {g.shape}"
            raise ValueError(f"{what} for an operand of shape {shape}; no broadcasting explains that: fix the rule")
        g = (add_up(g, axes) if type(g) is ndarray else g.sum(axes)).reshape(shape)
    g = g if g.dtype == dtype else g.astype(dtype)
    return placed(g, x._values)
