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
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "LEFT_OUT", "Default", "Named", "answering_for", "corrected", "names_and_defaults", "others_by_name", "splitter",
    "wrong_arguments",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

ONE_WAY = "there is one implementation, for arrays on the CPU"
ONE_BATCH = "batches are made in this process"
NEAREST = "each pixel is a copy of the nearest one, and the mode 'nearest' has no such option"
LEFT_OUT = {  # PyTorch's options that are not here, and what to do instead
    "_weight": "Embedding.from_pretrained(table) takes values",
    "add_bias_kv": "concatenate a row to key and value",
    "add_zero_attn": "concatenate a row of zeros to key and value",
    "align_corners": NEAREST,
    "amsgrad": "Adam and AdamW have it",
    "antialias": NEAREST,
    "batch_sampler": ONE_BATCH,
    "capturable": ONE_WAY,
    "closure": "compute the loss and call backward() before the step",
    "decoupled_weight_decay": "AdamW takes the weight decay off the weights",
    "device": "everything is on the CPU",
    "differentiable": "tinygrad_edu.grad differentiates a step that you write yourself",
    "dtype": "change that of the input, as with x.astype(np.float32)",
    "enable_gqa": "repeat the heads of key and value with np.repeat",
    "epoch": "the schedule counts its own steps; load_state_dict goes on from another one",
    "end_factor": "the warm-up ends at the full rate; LinearLR has it",
    "foreach": ONE_WAY,
    "fused": ONE_WAY,
    "generator": "pass rng=np.random.default_rng(seed)",
    "in_order": ONE_BATCH,
    "inplace": "each call makes a new Tensor",
    "last_epoch": "a schedule is resumed with load_state_dict",
    "max_norm": "clip the table after a step: w.assign(w.data * np.minimum(1, most / norms))",
    "maximize": "minimize the negative, -loss",
    "multiprocessing_context": ONE_BATCH,
    "norm_type": "clip the table after a step: w.assign(w.data * np.minimum(1, most / norms))",
    "num_workers": ONE_BATCH,
    "out": "each call makes a new Tensor",
    "persistent_workers": ONE_BATCH,
    "pin_memory": ONE_BATCH,
    "pin_memory_device": ONE_BATCH,
    "prefetch_factor": ONE_BATCH,
    "recompute_scale_factor": NEAREST,
    "proj_size": "h has hidden_size numbers; Linear(hidden_size, n) after it makes the outputs shorter",
    "reduce": "say it with reduction='none'",
    "return_indices": "only the values are returned",
    "sampler": "shuffle=True, or Subset(dataset, indices) in the order that you want",
    "scale_grad_by_freq": "divide the gradients yourself, w.grad / np.maximum(counts, 1)[:, None]",
    "set_to_none": "a gradient that is forgotten is always None; for zeros write p.grad = np.zeros(p.shape)",
    "size_average": "say it with reduction='mean' or 'sum'",
    "sparse": "a gradient has a row for each of the table's",
    "threshold": "nothing overflows without it",
    "timeout": ONE_BATCH,
    "verbose": "print what you want to see, such as scheduler.get_last_lr()",
    "weight": "weigh the losses that reduction='none' leaves: (weight * losses).mean()",
    "worker_init_fn": ONE_BATCH,
}
NEXT = {  # the option that comes, by position, after those that are here
    "add_bias_kv": "MultiheadAttention",
    "align_corners": "interpolate Upsample",
    "closure": "Optimizer.step",
    "dtype": "log_softmax softmax",
    "epoch": "ReduceLROnPlateau.step Scheduler.step",
    "foreach": "clip_grad_value_",
    "generator": "kaiming_normal kaiming_uniform normal orthogonal uniform xavier_normal xavier_uniform",
    "inplace": "dropout ELU elu LeakyReLU leaky_relu ReLU relu SiLU silu",
    "last_epoch": "CosineAnnealingLR CosineAnnealingWarmRestarts ExponentialLR LambdaLR LinearLR MultiStepLR "
    "OneCycleLR SequentialLR StepLR",
    "max_norm": "Embedding embedding",
    "return_indices": "MaxPool2d max_pool2d",
    "set_to_none": "Module.zero_grad Optimizer.zero_grad",
    "size_average": "BCELoss BCEWithLogitsLoss CrossEntropyLoss HingeEmbeddingLoss KLDivLoss L1Loss MSELoss "
    "MultiMarginLoss NLLLoss SmoothL1Loss binary_cross_entropy binary_cross_entropy_with_logits cross_entropy "
    "hinge_embedding_loss kl_div l1_loss mse_loss multi_margin_loss nll_loss smooth_l1_loss",
    "threshold": "Softplus softplus",
    "weight": "huber_loss",
}
FIRST = ("input", "tensor", "batch")  # PyTorch's names for what is given first


class Default(int):
    """A default that can be told from the same number given by the caller."""


def names_and_defaults(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The names of a function's arguments, but not of *args and **kwargs, and the defaults of those that have one."""
    if isinstance(function, FunctionType) and not vars(function):  # signature() takes ten times as long
        code, defaults = function.__code__, function.__defaults__ or ()
        optional = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        return names, dict(zip(optional, defaults, strict=True)) | (function.__kwdefaults__ or {})
    arguments = inspect.signature(function).parameters.values()  # also of what is wrapped
    names = tuple([x.name for x in arguments if x.kind not in (x.VAR_POSITIONAL, x.VAR_KEYWORD)])
    return names, {x.name: x.default for x in arguments if x.default is not x.empty}


def splitter(function: Callable[..., Any], operands: int, variadic: bool) -> Callable[..., Any]:
    """A function that Python itself binds the arguments of a call to; it returns (operands, a dict of the others).

    Args:
        function: Whose arguments they are.
        operands: How many of them are operands; they come first.
        variadic: Whether instead all that are given by position are operands.
    """
    names, defaults = names_and_defaults(function)
    by_name = [x.name for x in inspect.signature(function).parameters.values() if x.kind is x.KEYWORD_ONLY]
    first, others = (("*operands",), by_name) if variadic else (names[:operands], names[operands:])
    takes = [f"{x}={x}" if x in defaults else x for x in (*first, *others)]
    if by_name and not variadic:
        takes.insert(-len(by_name), "*")
    makes = f"({', '.join(first)},), dict({', '.join([f'{x}={x}' for x in others])})"
    return eval(f"lambda {', '.join(takes)}: ({makes})", {"__name__": __name__, **defaults})  # type: ignore[no-any-return]


def wrong_arguments(error: TypeError, start: str, instead: str, signature: inspect.Signature) -> TypeError:
    """Python's error about a call's arguments, in the name of what was meant; other errors as they are."""
    if not str(error).startswith(start):
        return error
    text = str(error).removeprefix(start)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    leading = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    takes = ", ".join([p.name for p in parameters]) or "none"
    takes += f" ({', '.join(named)} by name only)" if named and leading else ""
    option = re.search(r"unexpected keyword argument '(\w+)'", text)
    missing = option[1] if option else ""
    if count := re.match(r" (?:takes (?:from \d+ to )?(\d+) positional arguments? but (\d+)|too many)", text):
        text = too_many(count, len(leading))
        missing = next((option for option, names in NEXT.items() if instead[:-2] in names.split()), "")
    hint = f". PyTorch's {missing} is left out: {LEFT_OUT[missing]}" if missing in LEFT_OUT else ""
    if missing in FIRST and leading:
        hint = f". PyTorch's {missing}= is here {leading[0]}, the first argument: write it first, without a name"
    return TypeError(f"{instead}{text}; its arguments are: {takes}{hint}")


def too_many(count: re.Match[str], most: int) -> str:
    """What is said of more arguments by position than there may be; of a method Python counts self too."""
    takes = f"at most {most} argument{'s' * (most > 1)}" if most else "no arguments"
    got = f", and got {int(count[2]) - int(count[1]) + most}" if count[1] else ""
    return f" takes {takes} by position{got}"


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
                takes = f"takes 0 positional arguments but {len(args)} were given"
                got = f"got an unexpected keyword argument {next(iter(kwargs))!r}" if kwargs else takes
                error = TypeError(f"{start} {got}")
            better = wrong_arguments(error, start, f"{cls.__name__}()", inspect.signature(cls))
            if better is error:
                raise
            raise better from None


def unbound(signature: inspect.Signature, name: str, args: Any, kwargs: Any) -> TypeError | None:
    """The error about arguments that a function does not take."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return TypeError(f"{name} {error}")
    return None


def answering_for(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator for functions that PyTorch has too: an error about the arguments says what replaces an option.

    Of two names for what is given first, PyTorch's input= works besides the function's own.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            return corrected(call, function, error, args, kwargs)

    return call


def corrected(
    call: Callable[..., T], function: Callable[..., T], error: TypeError, args: Any, kwargs: dict[str, Any]
) -> T:
    """What a call that failed returns with the first argument under the function's own name; else an error."""
    signature, name = inspect.signature(function), f"{function.__qualname__}()"
    first = next((name for name in FIRST if name in kwargs and name not in signature.parameters), None)
    if first and not args:
        return call(kwargs.pop(first), **kwargs)
    if str(error).startswith(f"{function.__name__} takes ("):  # an op's words
        error = unbound(signature, name, args, kwargs) or error
    better = wrong_arguments(error, name, name, signature)
    if better is error:
        raise error
    raise better from None


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
