"""What an optimizer holds, checked: its parameters, their gradients and the hyperparameters of a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.arrays import KINDS, beside
from tinygrad_edu.checks import check_bool, check_choice, check_int, check_number, refuse_mask
from tinygrad_edu.engine import plain
from tinygrad_edu.tensor import Tensor

__all__ = [
    "Group", "check_hyperparameters", "check_parameters", "gradient_array", "hyperparameters", "work_arrays",
]  # fmt: skip

Group = dict[str, Any]  # hyperparameters, and "params", a list of Tensors
NOT_NEGATIVE = ("lr", "eps", "weight_decay", "lr_decay", "initial_accumulator_value", "momentum_decay")
BELOW_ONE = ("momentum", "alpha")
FLAGS = ("nesterov", "centered", "maximize", "amsgrad", "decoupled_weight_decay")


def gradient_array(owner: str, i: int, p: Tensor) -> ndarray | None:
    """The gradient of parameter i as an array, also where it is a Tensor (create_graph) or was set by hand."""
    grad: Any = p.grad
    data = p._values
    if grad is None or (type(grad) is ndarray and grad.dtype is data.dtype and grad.shape == data.shape):
        return grad
    if type(grad) is not ndarray:
        refuse_mask(f"{owner}: the grad of parameter {i}", grad)
        grad = beside(data, np.asarray, plain(grad))
    if grad.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: the grad of parameter {i} is of dtype {grad.dtype}; it must hold real numbers")
    if grad.shape != data.shape:
        raise ValueError(f"{owner}: parameter {i} has shape {data.shape} but its grad {grad.shape}")
    return grad  # type: ignore[no-any-return]


def hyperparameters(group: Mapping[str, Any]) -> Group:
    """A group without its parameters."""
    return {name: value for name, value in group.items() if name != "params"}


def check_hyperparameters(owner: str, values: Mapping[str, Any]) -> Group:
    """Hyperparameters in range, as plain numbers; those that only your own optimizers have, as they are."""
    values = dict(values)
    for name, value in values.items():
        where = f"{owner}: {name}"
        if name in NOT_NEGATIVE:
            values[name] = check_number(where, value, at_least=0)
        elif name in BELOW_ONE:
            values[name] = check_number(where, value, at_least=0, below=1)
        elif name == "dampening":
            values[name] = check_number(where, value, at_least=0, at_most=1)
        elif name in FLAGS:
            values[name] = check_bool(where, value, wrong_type=ValueError)
        elif name == "betas":
            if np.shape(value) != (2,):
                raise ValueError(f"{where} is {value!r}; it must be a pair such as (0.9, 0.999)")
            betas = [check_number(f"{owner}: beta{i}", beta, at_least=0, below=1) for i, beta in enumerate(value, 1)]
            values[name] = tuple(betas)
        elif name == "ns_coefficients":
            if np.shape(value) != (3,):
                raise ValueError(f"{where} is {value!r}; it must be three numbers such as (3.4445, -4.775, 2.0315)")
            values[name] = tuple([check_number(where, number) for number in value])
        elif name == "ns_steps":
            values[name] = check_int(where, value, 0, 99)
        elif name == "adjust_lr_fn" and value is not None:
            check_choice(where, value, ("original", "match_rms_adamw"))
    if values.get("nesterov") and not values["momentum"]:
        raise ValueError(f"{owner}: nesterov needs a momentum to look ahead with; try momentum=0.9")
    if values.get("nesterov") and values.get("dampening"):
        raise ValueError(f"{owner}: nesterov looks ahead along the undamped gradient; leave dampening at 0")
    return values


def check_parameters(params: object, where: str, others: Iterable[Tensor] = ()) -> list[Tensor]:
    """The parameters as a list: each a leaf Tensor, none twice, none among the others."""
    if isinstance(params, (Tensor, Mapping, ndarray, str, set, frozenset)) or not isinstance(params, Iterable):
        why = ", which has no order" if isinstance(params, (set, frozenset)) else ""
        raise TypeError(f"{where} is a {type(params).__name__}{why}; pass model.parameters() or a list of Tensors")
    leaves: list[Tensor] = list(params)
    seen = {id(p) for p in others}
    for i, p in enumerate(leaves):
        if not isinstance(p, Tensor):
            raise TypeError(f"{where}[{i}] is a {type(p).__name__}, not a Tensor; pass model.parameters()")
        if not p.is_leaf:
            raise ValueError(f"{where}[{i}] is the result of an op, and only leaves can be updated; use Tensor(values)")
        if id(p) in seen:
            raise ValueError(f"{where}[{i}] {p.name or ''}{p.shape} is there twice and would take two steps at once")
        seen.add(id(p))
    return leaves


def work_arrays(params: list[Tensor]) -> list[tuple[ndarray, ndarray]]:
    """For each parameter two arrays of its shape and layout, all on the same two pieces of memory.

    The dtype is the parameter's, but float32 for float16, where 1e-8 is zero and 70,000 infinite.
    """
    layouts = [np.empty_like(p.data, np.promote_types(p.dtype, np.float32)) for p in params]
    if any(type(layout) in KINDS for layout in layouts):  # whose memory is not ours to cut up
        return [(layout, np.empty_like(layout)) for layout in layouts]
    size = max([layout.nbytes for layout in layouts])
    first, second = np.empty(size, np.uint8), np.empty(size, np.uint8)

    def shaped_like(a: ndarray, piece: ndarray) -> ndarray:
        return np.ndarray(a.shape, a.dtype, piece, strides=a.strides)

    return [(shaped_like(a, first), shaped_like(a, second)) for a in layouts]
