"""Transforms: functions that turn a function into its derivatives, each composable with itself and the others.

All stand on `gradients`, the backward pass that touches no `.grad`. The hard idea is which variable a derivative is
taken of. In

    grad(lambda x: x * grad(lambda y: x + y)(x))(2.0)        # d/dx (x * 1) = 1

the inner function sees x twice, as its argument y and from outside. Differentiating with respect to the tensor x
would count both and give 2 ("perturbation confusion", Siskind & Pearlmutter 2005), so every transform hands the
function a copy of its argument, a tensor of its own.

Arguments may be Tensors, arrays, lists or numbers. The result is an array, but where a gradient can flow on (an
argument or a tensor that the function closes over requires one) it is a Tensor, so that nothing is ever detached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.engine import backward_pass, current_mode, plain, setting
from tinygrad_edu.ops import Operand, copy, stack
from tinygrad_edu.tensor import Tensor, seed

Function: TypeAlias = Callable[..., Tensor]
Derivative: TypeAlias = "Tensor | NDArray[Any]"  # a Tensor where a gradient can flow on

__all__ = ["grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "pull_back", "value_and_grad", "vjp"]


def gradients(
    output: Tensor, inputs: Iterable[Tensor], *, gradient: Operand | None = None, create_graph: bool = False
) -> list[Derivative]:
    """Gradients of `output` with respect to `inputs`, without touching any `.grad`.

    Args:
        output: A Tensor of size 1, or of any shape if `gradient` is given.
        inputs: Tensors, leaves or intermediates.
        gradient: The upstream gradient, of output's shape; 1 if left out.
        create_graph: Return Tensors that can be differentiated again.

    Returns:
        One array (Tensor with `create_graph`) per input, of its shape and dtype; zeros where the output does not
        depend on it.

    Raises:
        RuntimeError: `output` requires no gradient, or a tensor was updated after its value was used.
        ValueError: `output` has several elements and `gradient` is missing, or an input requires no gradient.
    """
    if type(inputs) is Tensor:
        raise TypeError("gradients: inputs is a single Tensor; put it in a list: gradients(loss, [w])")
    inputs = list(inputs)
    for x in inputs:
        if not x.requires_grad:
            raise ValueError(f"gradients: {x!r:.80} has requires_grad=False, so no gradient reaches it")
    found: dict[int, Derivative] = {id(x): np.zeros_like(x.data)[()] for x in inputs}

    def keep(tensor: Tensor, g: Derivative) -> None:
        if id(tensor) in found:
            found[id(tensor)] = g

    with setting(recording=True) if create_graph else nullcontext():
        backward_pass(output, seed(output, gradient, create_graph), create_graph, keep)
    if create_graph:
        return [g if type(g) is Tensor else Tensor(g, requires_grad=False) for g in [found[id(x)] for x in inputs]]
    return [found[id(x)] if x.is_leaf else found[id(x)].copy() for x in inputs]


def traced(f: Function, args: Sequence[Any], argnums: Sequence[int], name: str) -> tuple[Tensor, list[Tensor]]:
    """Calls f with Tensors of its own in the places `argnums`; returns its output and those Tensors."""
    args = list(args)
    with setting(recording=True):
        for i in argnums:
            if not -len(args) <= i < len(args):
                raise ValueError(f"{name}: argnum {i}, but the function was called with {len(args)} arguments")
            args[i] = copy(args[i]) if type(args[i]) is Tensor and args[i].requires_grad else Tensor(plain(args[i]))
        output = f(*args)
    if type(output) is not Tensor:
        raise TypeError(
            f"{name}: the function returned {type(output).__name__}, not a Tensor, so there is nothing to follow back; "
            "does it call float(), .data or .item() on the way?"
        )
    return output, [args[i] for i in argnums]


def flows_on(output: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether the graph of output has other leaves than the inputs, so that its derivative has a derivative."""
    if not current_mode().recording:
        return False
    own, seen, waiting = {id(x) for x in inputs if x.is_leaf}, set(), [output]
    while waiting:
        x = waiting.pop()
        if x.requires_grad and x.is_leaf and id(x) not in own:
            return True
        if id(x) not in seen:
            seen.add(id(x))
            waiting += [y for y in x._inputs if type(y) is Tensor and y.requires_grad]
    return False


def release(inputs: Sequence[Tensor]) -> None:
    """Makes the tensors that stood for plain arguments constants again: an enclosing transform must not see them."""
    for x in inputs:
        if x.is_leaf:
            x._requires_grad = False


def pull_back(output: Tensor, inputs: list[Tensor], gradient: Operand | None, create_graph: bool) -> list[Derivative]:
    """gradients(), but zeros for an output that depends on nothing."""
    if output.requires_grad:
        return gradients(output, inputs, gradient=gradient, create_graph=create_graph)
    zeros = [np.zeros_like(x.data)[()] for x in inputs]
    return [Tensor(z, requires_grad=False) if create_graph else z for z in zeros]


def value_and_grad(f: Function, argnum: int | tuple[int, ...] = 0) -> Callable[..., tuple[Derivative, Any]]:
    """A function that returns f's value and its gradient.

    Args:
        f: Returns a Tensor of size 1.
        argnum: The argument to differentiate with respect to, or several.

    Returns:
        A function of f's arguments that returns (value, gradient); with several argnums a tuple of gradients.

    Raises:
        TypeError: f does not return a Tensor.
        ValueError: f's result has several elements, or there is no such argument.
    """
    single = isinstance(argnum, (int, np.integer))
    argnums: tuple[Any, ...] = (argnum,) if single else tuple(argnum)  # type: ignore[arg-type]

    def value_and_gradient(*args: Any) -> tuple[Derivative, Any]:
        output, inputs = traced(f, args, argnums, "grad")
        if output.size != 1:
            raise ValueError(f"grad: the function returned shape {output.shape}, not one number; use jacobian")
        create_graph = flows_on(output, inputs)
        found = pull_back(output, inputs, None, create_graph)
        release(inputs)
        return output if create_graph else output.data, found[0] if single else tuple(found)

    return value_and_gradient


def grad(f: Function, argnum: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of f; grad(grad(f)) is the second derivative.

    Args:
        f: Returns a Tensor of size 1.
        argnum: The argument to differentiate with respect to, or several.

    Example:
        >>> grad(grad(lambda x: x**3))(2.0)
        np.float64(12.0)
    """
    return lambda *args: value_and_grad(f, argnum)(*args)[1]


def vjp(f: Function, *primals: Operand) -> tuple[Derivative, Callable[[Operand], tuple[Derivative, ...]]]:
    """f's value and its vector-Jacobian product.

    Args:
        f: Returns a Tensor of any shape.
        *primals: f's arguments, all differentiated.

    Returns:
        (f(*primals), pull), where pull(g), for g of the output's shape, returns g @ Jacobian for each argument.
    """
    output, inputs = traced(f, primals, range(len(primals)), "vjp")
    create_graph = flows_on(output, inputs)
    own = [x for x in inputs if x.is_leaf]
    release(own)

    def pull(g: Operand) -> tuple[Derivative, ...]:
        for x in own:
            x._requires_grad = True
        found = pull_back(output, inputs, g, create_graph or type(g) is Tensor)
        release(own)
        return tuple(found)

    return output if create_graph else output.data, pull


def jvp(f: Function, primals: Sequence[Operand], tangents: Sequence[Operand]) -> tuple[Derivative, Derivative]:
    """f's value and its Jacobian-vector product: how f moves when its arguments move along the tangents.

    The vjp g @ J is linear in g, and its own vjp at any g, here 0, is J @ tangent: forward mode out of two reverse
    passes, without a second table of rules (Townsend 2017, "A new trick for calculating Jacobian vector products").

    Args:
        f: Returns a Tensor of any shape.
        primals: f's arguments.
        tangents: One direction per argument, of its shape.

    Returns:
        (f(*primals), derivative along the tangents, of the output's shape).
    """
    if not isinstance(primals, Sequence) or not isinstance(tangents, Sequence):
        raise TypeError("jvp: primals and tangents are sequences, one entry per argument of f: jvp(f, (x,), (v,))")
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: {len(primals)} primals need as many tangents, not {len(tangents)}")
    output, inputs = traced(f, primals, range(len(primals)), "jvp")
    for x, v in zip(inputs, tangents, strict=True):
        if x.shape != np.shape(v):
            raise ValueError(f"jvp: a tangent has shape {np.shape(v)}, its primal {x.shape}; make them equal")
    create_graph = flows_on(output, inputs) or any(type(v) is Tensor and v.requires_grad for v in tangents)
    g = Tensor(np.zeros(output.shape, output.dtype))
    with setting(recording=True):
        pulled = pull_back(output, inputs, g, create_graph=True)
        along = sum([(p * v).sum() for p, v in zip(pulled, tangents, strict=True)], Tensor(0.0, requires_grad=False))
    moved = pull_back(along, [g], None, create_graph)[0]
    release([*inputs, g])
    return output if create_graph else output.data, moved


def jacobian(f: Function, argnum: int = 0) -> Callable[..., Derivative]:
    """A function that returns f's Jacobian.

    Args:
        f: Returns a Tensor of any shape.
        argnum: The argument to differentiate with respect to.

    Returns:
        A function of f's arguments whose result has the shape output.shape + argument.shape.
    """
    if not isinstance(argnum, (int, np.integer)):
        raise TypeError(f"jacobian: argnum is {argnum!r}; one argument at a time")

    def matrix(*args: Operand) -> Derivative:
        output, inputs = traced(f, args, (argnum,), "jacobian")
        create_graph = flows_on(output, inputs)
        units = np.eye(output.size, dtype=output.dtype).reshape((output.size, *output.shape))
        rows = [pull_back(output, inputs, unit, create_graph)[0] for unit in units]
        release(inputs)
        shape = output.shape + inputs[0].shape
        if create_graph and rows:
            return stack(rows).reshape(shape)
        return np.array(rows, inputs[0].dtype).reshape(shape)[()]

    return matrix


def hessian(f: Function, argnum: int = 0) -> Callable[..., Derivative]:
    """A function that returns the second derivatives of a scalar f, of shape argument.shape + argument.shape."""
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Function, x: Operand, v: Operand) -> Derivative:
    """Hessian-vector product of a scalar f at x along v, without the Hessian (Pearlmutter 1994): of x's shape."""
    return jvp(grad(f), (x,), (v,))[1]
