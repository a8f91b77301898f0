"""Calls with wrong arguments: the error names the class that was called, what it takes, and what replaces an option.

Python names the function in which the arguments did not fit. Of a class that inherits its __init__, that is one of
another class, which the caller may never have heard of.
"""

from __future__ import annotations

import inspect
import re
from abc import ABCMeta
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["Named", "answering_for", "better_error", "others_by_name", "wrong_arguments"]

P = ParamSpec("P")
T = TypeVar("T")

ONE_WAY = "there is one implementation, for arrays on the CPU"
ONE_BATCH = "batches are made in this process"
NEAREST = "each pixel is a copy of the nearest one, and the mode 'nearest' has no such option"
LEFT_OUT = {  # PyTorch's options that are not here, and what to do instead
    "add_bias_kv": "concatenate a row to key and value",
    "add_zero_attn": "concatenate a row of zeros to key and value",
    "align_corners": NEAREST,
    "antialias": NEAREST,
    "batch_sampler": ONE_BATCH,
    "capturable": ONE_WAY,
    "decoupled_weight_decay": "AdamW takes the weight decay off the weights",
    "device": "everything is on the CPU",
    "differentiable": "tinygrad_edu.grad differentiates a step that you write yourself",
    "enable_gqa": "repeat the heads of key and value with np.repeat",
    "end_factor": "the warm-up ends at the full rate; LinearLR has it",
    "foreach": ONE_WAY,
    "fused": ONE_WAY,
    "generator": "pass rng=np.random.default_rng(seed)",
    "inplace": "each call makes a new Tensor",
    "last_epoch": "a schedule is resumed with load_state_dict",
    "max_norm": "clip the table after a step: w.assign(w.data * np.minimum(1, most / norms))",
    "maximize": "minimize the negative, -loss",
    "num_workers": ONE_BATCH,
    "persistent_workers": ONE_BATCH,
    "pin_memory": ONE_BATCH,
    "prefetch_factor": ONE_BATCH,
    "recompute_scale_factor": NEAREST,
    "proj_size": "h has hidden_size numbers; Linear(hidden_size, n) after it makes the outputs shorter",
    "reduce": "say it with reduction='none'",
    "return_indices": "only the values are returned",
    "sampler": "shuffle=True, or Subset(dataset, indices) in the order that you want",
    "scale_grad_by_freq": "divide the gradients yourself, w.grad / np.maximum(counts, 1)[:, None]",
    "size_average": "say it with reduction='mean' or 'sum'",
    "sparse": "a gradient has a row for each of the table's",
    "threshold": "nothing overflows without it",
    "timeout": ONE_BATCH,
    "verbose": "print what you want to see, such as scheduler.get_last_lr()",
    "weight": "weigh the losses that reduction='none' leaves: (weight * losses).mean()",
    "worker_init_fn": ONE_BATCH,
}


def wrong_arguments(error: TypeError, start: str, instead: str, signature: inspect.Signature) -> TypeError:
    """Python's error about a call's arguments, in the name of what was meant; other errors as they are."""
    if not str(error).startswith(start):
        return error
    takes = ", ".join(signature.parameters) or "none"
    option = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    hint = f". PyTorch's {option[1]} is left out: {LEFT_OUT[option[1]]}" if option and option[1] in LEFT_OUT else ""
    return TypeError(f"{instead}{str(error).removeprefix(start)}; its arguments are: {takes}{hint}")


class Named(ABCMeta):
    """The class of classes whose errors about the arguments of a call name the class that was called.

    It is an ABCMeta, so that what is derived from them may be an abstract class too.
    """

    @property
    def __signature__(cls) -> inspect.Signature:  # for help(), which would show the one below
        initializer: Any = getattr(cls, "__init__")  # noqa: B009
        if initializer is object.__init__:
            return inspect.Signature()
        signature = inspect.signature(initializer)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except TypeError as error:
            start = f"{getattr(getattr(cls, '__init__'), '__qualname__', '')}()"  # noqa: B009
            if str(error) == f"{cls.__name__}() takes no arguments":  # Python's words, which do not say what it got
                got = f"an unexpected keyword argument {next(iter(kwargs))!r}" if kwargs else f"{len(args)} arguments"
                error = TypeError(f"{start} takes no arguments, but got {got}")
            better = wrong_arguments(error, start, f"{cls.__name__}()", inspect.signature(cls))
            if better is error:
                raise
            raise better from None


def answering_for(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator for functions that PyTorch has too: an error about the arguments says what replaces an option."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            better = better_error(function, error)
            if better is error:
                raise
            raise better from None

    return call


def better_error(function: Callable[..., Any], error: TypeError) -> TypeError:
    """Python's error about the arguments of a function, with what replaces an option; other errors as they are."""
    name = f"{function.__qualname__}()"
    return wrong_arguments(error, name, name, inspect.signature(function))


def others_by_name(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator for functions with keyword-only arguments: too many positional ones are named in the message."""
    known = inspect.signature(function).parameters.values()
    leading = [p.name for p in known if p.kind is not p.KEYWORD_ONLY]
    named = [f"{p.name}=..." for p in known if p.kind is p.KEYWORD_ONLY]
    shown = [name for name in leading if name != "self"]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if len(args) > len(leading):
            extra = ", ".join([type(value).__name__ for value in args[len(leading) :]])
            owner = type(args[0]).__name__ if leading[0] == "self" else function.__name__
            arrays = any(hasattr(value, "shape") for value in args[1:])
            pairs = "; arrays of inputs and targets go together, as DataLoader(inputs, targets)" if arrays else ""
            raise TypeError(
                f"{owner} takes only {', '.join(shown)} by position, and got more ({extra}); give the others by "
                f"name: {owner}({', '.join([*shown, *named])}){pairs}"
            )
        return function(*args, **kwargs)

    return checked
