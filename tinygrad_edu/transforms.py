"""Transforms: functions that turn a function into its derivatives, each composable with itself and the others.

All stand on `gradients`, the backward pass that touches no `.grad`. The hard idea is which variable a derivative is
taken of. In

    grad(lambda x: x * grad(lambda y: x + y)(x))(2.0)        # d/dx (x * 1) = 1

the inner function sees x twice, as its argument y and from outside. Differentiating with respect to the tensor x
would count both and give 2 ("perturbation confusion", Siskind & Pearlmutter 2005), so every transform hands the
function a copy of its argument, a tensor of its own.

An argument is a Tensor, an array, a number or a list of numbers, or a structure of these: nested dicts, lists and
tuples, such as the parameters of a net; its gradient has the same structure. (A list or tuple of numbers alone is one
array, see `structure.py`.) Gradients are arrays, but where a gradient can flow on (an argument or a tensor that the
function closes over requires one) they are Tensors, so that nothing is ever detached. Keyword arguments are handed on
as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinygrad_edu.arrays import beside
from tinygrad_edu.engine import backward_pass, current_mode, plain, setting
from tinygrad_edu.ops import Operand, copy, stack
from tinygrad_edu.structure import leaves, pairs, places, rebuild
from tinygrad_edu.tensor import Tensor, seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

Derivative: TypeAlias = "Tensor | NDArray[Any]"  # a Tensor where a gradient can flow on
Structure: TypeAlias = Any  # one array, Tensor or number, or a nested dict, list or tuple of them
Loss: TypeAlias = Callable[..., Tensor]
Function: TypeAlias = Callable[..., Structure]

__all__ = ["grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "pull_back", "value_and_grad", "vjp"]


def gradients(
    output: Tensor, inputs: Structure, *, gradient: Operand | None = None, create_graph: bool = False
) -> Structure:
    """Gradients of `output` with respect to `inputs`, without touching any `.grad`.

    Args:
        output: A Tensor of size 1, or of any shape if `gradient` is given.
        inputs: Tensors, leaves or intermediates: a list, a nested dict, list or tuple, or any iterable of them.
        gradient: The upstream gradient, of output's shape; 1 if left out.
        create_graph: Return Tensors that can be differentiated again.

    Returns:
        One array (Tensor with `create_graph`) per input, of its shape and dtype; zeros where the output does not
        depend on it. They stand in the structure of `inputs`, those of an iterator in a list.

    Raises:
        RuntimeError: `output` requires no gradient, or a tensor was updated after its value was used.
        TypeError: An input is not a Tensor.
        ValueError: `output` has several elements and `gradient` is missing, or an input requires no gradient.
    """
    if type(inputs) is Tensor:
        raise TypeError("gradients: inputs is a single Tensor; put it in a list: gradients(loss, [w])")
    tree = inputs if isinstance(inputs, (dict, list, tuple)) else list(inputs)
    for place, x in places(tree, "inputs"):
        if type(x) is not Tensor:
            raise TypeError(f"gradients: {place} is {x!r:.60}, not a Tensor")
        if not x.requires_grad:
            raise ValueError(f"gradients: {place}, {x!r:.80}, has requires_grad=False, so no gradient reaches it")
    return rebuild(tree, backward(output, leaves(tree), gradient, create_graph))


def backward(output: Tensor, inputs: list[Tensor], gradient: Operand | None, create_graph: bool) -> list[Derivative]:
    """gradients() of a flat list."""
    found: dict[int, Derivative] = {id(x): np.zeros_like(x.data)[()] for x in inputs}

    def keep(tensor: Tensor, g: Derivative) -> None:
        if id(tensor) in found:
            found[id(tensor)] = g

    with setting(recording=True) if create_graph else nullcontext():
        backward_pass(output, seed(output, gradient, create_graph), create_graph, keep)
    if create_graph:
        return [g if type(g) is Tensor else Tensor(g, requires_grad=False) for g in [found[id(x)] for x in inputs]]
    return [found[id(x)] if x.is_leaf else found[id(x)].copy() for x in inputs]


def check_function(name: str, f: object) -> None:
    """Raises TypeError if f cannot be called."""
    if not callable(f):
        how = f"write for example {name}(lambda x: x**2), which returns a function of the values"
        raise TypeError(f"{name}: {f!r:.60} is not a function; {how}")


def traced(
    f: Function, args: Sequence[Any], kwargs: dict[str, Any], argnums: Sequence[int], name: str
) -> tuple[Any, list[Any]]:
    """Calls f with Tensors of its own in the places `argnums`; returns its result and those arguments."""
    check_function(name, f)
    args = list(args)
    with setting(recording=True):
        for i in argnums:
            if not isinstance(i, (int, np.integer)):
                raise TypeError(f"{name}: argnum {i!r} is not an integer; keyword arguments are constants")
            if not -len(args) <= i < len(args):
                raise ValueError(f"{name}: argnum {i}, but there were {len(args)} arguments by position")
            place = f"argument {i % len(args)}"
            args[i] = rebuild(args[i], [variable(x, at, at != place, name) for at, x in places(args[i], place)])
        result = f(*args, **kwargs)
    for at, y in list(places(result, "")) or [("", result)]:
        if type(y) is not Tensor:
            raise TypeError(
                f"{name}: the function returned {type(y).__name__}{at and f' at {at}'}, not a Tensor, so there is "
                "nothing to follow back; does it call float(), .data or .item() on the way?"
            )
    return result, [args[i] for i in argnums]


def variable(x: Any, place: str, inside: bool, name: str) -> Tensor:
    """A tensor of a transform's own for a leaf of an argument; `inside` a structure integers are settings."""
    if type(x) is Tensor and x.requires_grad:
        return copy(x)
    try:
        if inside and isinstance(x, (int, np.integer, np.bool_)):
            raise TypeError("inside a structure an integer or a truth value is taken for a setting")
        return Tensor(plain(x))
    except TypeError as error:
        how = "write a parameter as float or array, and hand a setting on by another argument"
        raise TypeError(f"{name}: {place} is {x!r:.60}, which has no gradient; {how} ({error})") from error


def flows_on(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> bool:
    """Whether there are other variables than the inputs behind the outputs, so that the derivative has a derivative."""
    if not current_mode().recording:
        return False
    own, seen, waiting = {id(x) for x in inputs if x.is_leaf}, set(), [*outputs, *inputs]
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
    """The gradients of a list of inputs; zeros for an output that depends on nothing."""
    if output.requires_grad:
        return backward(output, inputs, gradient, create_graph)
    zeros = [np.zeros_like(x.data)[()] for x in inputs]
    return [Tensor(z, requires_grad=False) if create_graph else z for z in zeros]


def pull_back_all(outputs: list[Tensor], inputs: list[Tensor], upstream: list[Any], create_graph: bool) -> list[Any]:
    """What arrives at the inputs from several outputs, each with an upstream gradient of its own."""
    with setting(recording=True) if create_graph else nullcontext():
        rows = [pull_back(y, inputs, g, create_graph) for y, g in zip(outputs, upstream, strict=True)]
        return [sum(column[1:], column[0]) for column in zip(*rows, strict=True)]


def values(result: Structure, create_graph: bool) -> Structure:
    """What a transform returns of f's result: the Tensors where a gradient can flow on, else their arrays."""
    return result if create_graph else rebuild(result, [y.data for y in leaves(result)])


def value_and_grad(f: Loss, argnum: int | tuple[int, ...] = 0) -> Callable[..., tuple[Derivative, Structure]]:
    """A function that returns f's value and its gradient.

    Args:
        f: Returns a Tensor of size 1.
        argnum: The argument to differentiate with respect to, or several.

    Returns:
        A function of f's arguments that returns (value, gradient); with several argnums a tuple of gradients. The
        gradient has the structure of the argument: for a dict of arrays a dict of gradients.

    Raises:
        TypeError: f does not return a Tensor, or a structure holds what has no gradient: a text, function or integer.
        ValueError: f's result has several elements, or there is no such argument.
    """
    check_function("grad", f)
    single = isinstance(argnum, (int, np.integer))
    argnums: tuple[Any, ...] = (argnum,) if single else tuple(argnum)  # type: ignore[arg-type]

    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Derivative, Structure]:
        output, arguments = traced(f, args, kwargs, argnums, "grad")
        if type(output) is not Tensor:
            raise TypeError(
                f"grad: the function returned a {type(output).__name__}, not one number; return the loss alone"
            )
        if output.size != 1:
            raise ValueError(f"grad: the function returned shape {output.shape}, not one number; use jacobian")
        inputs = leaves(arguments)
        create_graph = flows_on([output], inputs)
        found = rebuild(arguments, pull_back(output, inputs, None, create_graph))
        release(inputs)
        return output if create_graph else output.data, found[0] if single else tuple(found)

    return value_and_gradient


def grad(f: Loss, argnum: int | tuple[int, ...] = 0) -> Callable[..., Structure]:
    """A function that returns the gradient of f; grad(grad(f)) is the second derivative.

    Args:
        f: Returns a Tensor of size 1.
        argnum: The argument to differentiate with respect to, or several.

    Example:
        >>> grad(lambda x, power=2: x**power)(2.0, power=3)
        np.float64(12.0)

        A net of two layers; the gradient has the structure of its parameters:

        >>> def loss(net, x, y):
        ...     h = np.tanh(x @ net["hidden"]["W"] + net["hidden"]["b"])
        ...     return np.mean((h @ net["out"]["W"] + net["out"]["b"] - y) ** 2)
        >>> net = {"hidden": {"W": np.ones((2, 3)), "b": np.zeros(3)}, "out": {"W": np.ones(3), "b": 0.0}}
        >>> slope = grad(loss)(net, np.ones((4, 2)), np.ones(4))
        >>> slope["hidden"]["W"].shape, slope["out"]["b"].round(3)
        ((2, 3), np.float64(3.784))
    """
    both = value_and_grad(f, argnum)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def vjp(f: Function, *primals: Structure) -> tuple[Structure, Callable[[Structure], tuple[Structure, ...]]]:
    """f's value and its vector-Jacobian product.

    Args:
        f: Returns a Tensor of any shape, or a structure of Tensors.
        *primals: f's arguments, all differentiated.

    Returns:
        (f(*primals), pull), where pull(g), for g of the value's shape, returns g @ Jacobian for each argument.
    """
    result, arguments = traced(f, primals, {}, range(len(primals)), "vjp")
    outputs, inputs = leaves(result), leaves(arguments)
    create_graph = flows_on(outputs, inputs)
    own = [x for x in inputs if x.is_leaf]
    release(own)

    def pull(g: Structure) -> tuple[Structure, ...]:
        upstream = [v for _, v in pairs(result, g, "the value", "vjp: the gradient")]
        for x in own:
            x._requires_grad = True
        found = pull_back_all(outputs, inputs, upstream, create_graph or any(type(v) is Tensor for v in upstream))
        release(own)
        return tuple(rebuild(arguments, found))

    return values(result, create_graph), pull


def jvp(f: Function, primals: Sequence[Structure], tangents: Sequence[Structure]) -> tuple[Structure, Structure]:
    """f's value and its Jacobian-vector product: how f moves when its arguments move along the tangents.

    The vjp g @ J is linear in g, and its own vjp at any g, here 0, is J @ tangent: forward mode out of two reverse
    passes, without a second table of rules (Townsend 2017, "A new trick for calculating Jacobian vector products").

    Args:
        f: Returns a Tensor of any shape, or a structure of Tensors.
        primals: f's arguments.
        tangents: One direction per argument, of its shape and structure.

    Returns:
        (f(*primals), derivative along the tangents, of the value's shape and structure).
    """
    if not isinstance(primals, Sequence) or not isinstance(tangents, Sequence):
        raise TypeError("jvp: primals and tangents are sequences, one entry per argument of f: jvp(f, (x,), (v,))")
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: {len(primals)} primals need as many tangents, not {len(tangents)}")
    result, arguments = traced(f, primals, {}, range(len(primals)), "jvp")
    outputs, inputs = leaves(result), leaves(arguments)
    along = [v for _, v in pairs(arguments, list(tangents), "primals", "jvp: a tangent")]
    create_graph = flows_on(outputs, inputs) or any(type(v) is Tensor and v.requires_grad for v in along)
    upstream = [Tensor(np.zeros_like(y.data)) for y in outputs]
    with setting(recording=True):
        pulled = pull_back_all(outputs, inputs, upstream, create_graph=True)
        product = sum([(p * v).sum() for p, v in zip(pulled, along, strict=True)], Tensor(0.0, requires_grad=False))
    moved = pull_back(product, upstream, None, create_graph)
    release([*inputs, *upstream])
    return values(result, create_graph), rebuild(result, moved)


def jacobian(f: Function, argnum: int = 0) -> Callable[..., Structure]:
    """A function that returns f's Jacobian.

    Args:
        f: Returns a Tensor of any shape, or a structure of Tensors.
        argnum: The argument to differentiate with respect to.

    Returns:
        A function of f's arguments whose result has the shape output.shape + argument.shape. For a structure it is a
        structure of such Jacobians: of an argument d by "w" and of outputs by 0 and 1, jacobian(f)(d)[1]["w"].
    """
    check_function("jacobian", f)
    if not isinstance(argnum, (int, np.integer)):
        raise TypeError(f"jacobian: argnum is {argnum!r}; one argument at a time")

    def matrix(*args: Any, **kwargs: Any) -> Structure:
        result, (argument,) = traced(f, args, kwargs, (argnum,), "jacobian")
        outputs, inputs = leaves(result), leaves(argument)
        create_graph = flows_on(outputs, inputs)
        blocks = [rebuild(argument, jacobians(output, inputs, create_graph)) for output in outputs]
        release(inputs)
        return rebuild(result, blocks)

    return matrix


def jacobians(output: Tensor, inputs: list[Tensor], create_graph: bool) -> list[Derivative]:
    """The Jacobian of one output for each input, row by row."""
    units = beside(output, np.eye, output.size, dtype=output.dtype).reshape((output.size, *output.shape))
    rows = [pull_back(output, inputs, unit, create_graph) for unit in units]
    columns = [[row[i] for row in rows] for i in range(len(inputs))]
    every = zip(columns, inputs, strict=True)
    joined = [stack(c) if create_graph and rows else beside(x, np.array, c, x.dtype) for c, x in every]
    return [whole.reshape(output.shape + x.shape)[()] for whole, x in zip(joined, inputs, strict=True)]


def hessian(f: Loss, argnum: int = 0) -> Callable[..., Structure]:
    """A function that returns the second derivatives of a scalar f, of shape argument.shape + argument.shape.

    For a structure it is a structure of structures: of an argument with keys "w" and "b", hessian(f)(d)["w"]["b"].
    """
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Loss, x: Structure, v: Structure) -> Structure:
    """Hessian-vector product of a scalar f at x along v, without the Hessian (Pearlmutter 1994): of x's shape.

    The Hessian is symmetric, so it is the vjp of the gradient. x and v may be structures, alike.
    """
    list(pairs(x, v, "x", "hvp: v"))  # only to refuse what is not alike
    return vjp(grad(f), x)[1](v)[0]
