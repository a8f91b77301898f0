"""What is typed and is not there, and how it is called here: for error messages, so that nobody has to search.

The names of this library's functions are NumPy's, because that is what its Tensors are made of; PyTorch's users type
others. And some type a name of another file, or with other capitals: nn.Relu.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from importlib import import_module
from inspect import getattr_static
from types import ModuleType
from typing import Any, NoReturn, ParamSpec, TypeVar

from numpy import ndarray

__all__ = [
    "ATTRIBUTES", "FUNCTIONS", "KEYWORDS", "MODULE", "Answer", "NotCallable", "Size", "answer_attributes",
    "answer_keywords", "answer_module", "answer_names", "answering", "keyword_error", "keyword_hint", "name_hint",
    "values_hint",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

ATTRIBUTES = {  # PyTorch's attributes of a tensor, and some of NumPy's that write in place
    "view": "reshape(shape)",
    "view_as": "reshape(other.shape)",
    "reshape_as": "reshape(other.shape)",
    "unsqueeze": "expand_dims(axis), or x[:, None]",
    "permute": "transpose(*axes)",
    "t": "T, an attribute",
    "mH": "mT, an attribute",
    "H": "T, an attribute",
    "contiguous": "needless: leave it out",
    "expand": "broadcast_to(shape)",
    "expand_as": "broadcast_to(other.shape)",
    "unbind": "list(x), a Tensor for each place of the first axis",
    "chunk": "np.array_split(x, sections, axis=...)",
    "cat": "np.concatenate([x, y], axis=...)",
    "mm": "x @ y",
    "bmm": "x @ y",
    "mv": "x @ y",
    "clamp": "clip(low, high)",
    "clamp_min": "clip(low, None)",
    "clamp_max": "clip(None, high)",
    "where": "np.where(condition, x, y)",
    "masked_fill": "np.where(mask, value, x)",
    "masked_select": "x[mask]",
    "index_select": "take(indices, axis=...)",
    "gather": "np.take_along_axis(x, indices, axis)",
    "scatter": "np.where, or np.concatenate of parts",
    "scatter_add": "np.bincount(indices, weights=x), of vectors",
    "narrow": "x[start:stop]",
    "select": "x[index]",
    "topk": "x.sort()[..., -k:], the largest last",
    "repeat_interleave": "repeat(n, axis=...)",
    "sub": "subtract(y)",
    "mul": "multiply(y)",
    "div": "divide(y)",
    "neg": "-x",
    "eq": "x == y",
    "ne": "x != y",
    "lt": "x < y",
    "le": "x <= y",
    "gt": "x > y",
    "ge": "x >= y",
    "allclose": "np.allclose(x, y)",
    "isnan": "np.isnan(x)",
    "isinf": "np.isinf(x)",
    "isfinite": "np.isfinite(x)",
    "argwhere": "np.argwhere(x)",
    "rsqrt": "x ** -0.5",
    "pow": "x ** y",
    "norm": "np.linalg.norm(x)",
    "inverse": "np.linalg.inv(x)",
    "det": "np.linalg.det(x)",
    "logdet": "np.linalg.slogdet(x).logabsdet",
    "svd": "np.linalg.svd(x)",
    "qr": "np.linalg.qr(x)",
    "cholesky": "np.linalg.cholesky(x)",
    "pinverse": "np.linalg.pinv(x)",
    "amax": "max(axis)",
    "amin": "min(axis)",
    "numel": "size, an attribute",
    "dim": "ndim, an attribute",
    "nelement": "size, an attribute",
    "ndimension": "ndim, an attribute",
    "type": "dtype to read it, astype(dtype) to change it",
    "type_as": "astype(other.dtype)",
    "to": "astype(dtype); on a GPU it is made of an array that lies there: Tensor(cupy.asarray(values))",
    "float": "astype(np.float32)",
    "double": "astype(np.float64)",
    "half": "astype(np.float16)",
    "long": "data.astype(int), which has no gradient",
    "int": "data.astype(int), which has no gradient",
    "bool": "x.data != 0",
    "cpu": "needless: everything is on the CPU",
    "cuda": "needless on a CPU; on a GPU make it of an array that lies there: Tensor(cupy.asarray(values))",
    "device": "needless: everything is on the CPU",
    "clone": "copy()",
    "requires_grad_": "x.requires_grad = True",
    "retain_grad": "needless: backward() fills .grad of all tensors",
    "detach_": "detach()",
    "zero_grad": "x.grad = None",
    "grad_fn": "is_leaf, or graph() for the whole picture",
    "zero_": "assign(0)",
    "fill_": "assign(value)",
    "copy_": "assign(values)",
    "add_": "x.data += y.data, or assign(values)",
    "sub_": "x.data -= y.data, or assign(values)",
    "mul_": "x.data *= y.data, or assign(values)",
    "uniform_": "assign(values), or nn.init.uniform(x)",
    "normal_": "assign(values), or nn.init.normal(x)",
    "scatter_": "np.where, or np.concatenate of parts",
    "fill": "assign(value)",
    "put": "np.where(mask, values, x), or assign(values)",
    "resize": "np.resize(x, shape), a new Tensor",
    "itemset": "assign(values)",
    "ptp": "np.ptp(x)",
    "flat": "ravel()",
    "choose": "np.choose(indices, choices)",
}
FUNCTIONS = {  # what stands in torch itself, besides the functions that are methods too
    "as_tensor": "Tensor(data)",
    "asarray": "Tensor(data)",
    "array": "Tensor(data)",
    "Variable": "Tensor(data)",
    "FloatTensor": "Tensor(data)",
    "from_numpy": "Tensor(array)",
    "is_tensor": "isinstance(x, Tensor)",
    "zeros": "Tensor(np.zeros(shape))",
    "ones": "Tensor(np.ones(shape))",
    "full": "Tensor(np.full(shape, value))",
    "empty": "Tensor(np.zeros(shape))",
    "zeros_like": "Tensor(np.zeros(x.shape))",
    "ones_like": "Tensor(np.ones(x.shape))",
    "full_like": "Tensor(np.full(x.shape, value))",
    "eye": "Tensor(np.eye(n))",
    "arange": "Tensor(np.arange(n))",
    "rand": "Tensor(np.random.default_rng(seed).uniform(size=shape))",
    "randn": "Tensor(np.random.default_rng(seed).normal(size=shape))",
    "randint": "np.random.default_rng(seed).integers(low, high, shape)",
    "randperm": "np.random.default_rng(seed).permutation(n)",
    "float16": "np.float16",
    "float32": "np.float32",
    "float64": "np.float64",
    "enable_grad": "needless: outside no_grad() all is recorded",
    "set_grad_enabled": "no_grad()",
    "inference_mode": "no_grad()",
    "save": "nn.save(model, path)",
    "load": "nn.load(path)",
    "func": "grad, vjp, jvp, jacobian and hessian, in tinygrad_edu itself",
    "autograd": "gradients, grad and the other transforms, in tinygrad_edu itself",
    "Parameter": "a Tensor, as an attribute of a module",
    "F": "tinygrad_edu.functional",
    "utils": "data.DataLoader and optim.clip_grad_norm_",
    "ConstantLR": "LambdaLR(optimizer, lambda epoch: factor if epoch < total_iters else 1.0)",
    "PolynomialLR": "LambdaLR(optimizer, lambda epoch: max(0.0, 1 - epoch / total_iters) ** power)",
    "RandomSampler": "DataLoader(dataset, shuffle=True)",
    "DistributedDataParallel": "training.DataParallel(model), with parallel.average_gradients(len(labels)) in the loop",
    "DistributedSampler": "DataLoader(..., seed=0, shard=parallel.shard)",
    "SequentialSampler": "DataLoader(dataset), in the order of its items",
    "train_test_split": "data.random_split(data.TensorDataset(x, y), [0.8, 0.2])",
    "relu6": "x.clip(0, 6)",
    "Swish": "nn.SiLU()",
    "train": "training.fit(model, loader, optimizer=..., loss=..., epochs=...)",
    "jacrev": "jacobian",
    "jacfwd": "jacobian",
    "vmap": "needless: functions take batches",
    "jit": "needless: there is nothing to compile",
    "compile": "needless: there is nothing to compile",
    "plot": "plots.curves({title: {label: (x, y)}})",
    "imshow": "plots.images([picture])",
    "heatmap": "plots.table(values, rows, columns)",
    "show": "figure.savefig(path); in a notebook a figure shows itself",
}
MODULE = {  # PyTorch's attributes of a module, and some of Keras's
    "cuda": "to(cupy), where the package cupy and a GPU are",
    "cpu": "to(numpy), back from to(cupy); else everything is on the CPU",
    **dict.fromkeys(
        ("float", "double", "half"), "dtype=, when a layer is made, as in nn.Linear(2, 1, dtype=np.float64)"
    ),
    "requires_grad_": "for p in model.parameters(): p.requires_grad = False",
    **dict.fromkeys(
        ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"),
        "model.graph(x), which shows all that is computed, or register_hook of a Tensor in forward",
    ),
    "register_parameter": "setattr(module, name, Tensor(values))",
    **dict.fromkeys(("add_module", "register_module"), "setattr(module, name, child)"),
    "save": "nn.save(model, path)",
    "fit": "training.fit(model, loader, optimizer=..., loss=..., epochs=...)",
    "predict": "model(x).data, within no_grad()",
    "compile": "needless: there is nothing to compile",
}
ROOMS = ("nn", "nn.init", "optim", "functional", "data", "training", "plots", "draw", "")  # where a name may stand
KEYWORDS = {
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
    "unbiased": "ddof, 1 for True and 0 for False",
    "descending": "flip() of the result",
    "input": "the first argument",
    "inplace": "needless: each call makes a new Tensor",
    "other": "the second argument",
    "retain_graph": "needless: the graph stays as long as its output does",
}
VALUES = {  # op and argument: what is meant, where that is a Tensor
    ("max", "axis"): "for the larger of two, element by element, use np.maximum(x, y)",
    ("min", "axis"): "for the smaller of two, element by element, use np.minimum(x, y)",
    ("getitem", "index"): "index with integers or booleans, as in x[tensor.data.astype(int)] or x[tensor > 0]",
    ("concatenate", "axis"): "the arrays are one list: np.concatenate([x, y])",
    ("where", "condition"): "pass a comparison, as in np.where(tensor > 0, x, y)",
}


class Answer:
    """In the place of an attribute that a Tensor or a Module lacks: reading it says how it is called here.

    So there need be no `__getattr__`, which would make every attribute of every Tensor slower.
    """

    __slots__ = ("how", "name")

    def __init__(self, name: str, how: str = "") -> None:
        self.name, self.how = name, how

    def __get__(self, tensor: object, owner: type) -> Any:
        name = self.name
        if self.how:
            raise AttributeError(f"{owner.__name__} has no {name!r}; here it is {self.how}")
        if how := ATTRIBUTES.get(name) or FUNCTIONS.get(name):
            raise AttributeError(f"Tensor has no {name!r}; here it is {how}")
        if hasattr(ndarray, name):
            raise AttributeError(f"Tensor has no {name!r}; of the values it is tensor.data.{name}")
        raise AttributeError(f"Tensor has no method {name!r}; call the function: np.{name}(x)")


def answer_attributes(tensor: type, functions: Iterable[str]) -> None:
    """Gives the class an answer for each attribute of PyTorch's or of NumPy's arrays, and each function, it lacks."""
    arrays = [name for name in dir(ndarray) if not name.startswith("_")]
    for name in {*functions, *arrays, *FUNCTIONS, *ATTRIBUTES}.difference(dir(tensor)):
        setattr(tensor, name, Answer(name))


def answer_module(module: type) -> None:
    """Gives the class of modules an answer for each attribute of PyTorch's that it lacks."""

    def __dir__(self: object) -> list[str]:
        return [name for name in object.__dir__(self) if not isinstance(getattr_static(self, name, None), Answer)]

    for name, how in MODULE.items():
        setattr(module, name, Answer(name, how))
    module.__dir__ = __dir__  # type: ignore[method-assign,assignment]


def answer_names(module: str) -> None:
    """Lets a module show its public names only, and answer for those that it lacks.

    Neither function stands in the module itself, where type checkers would take any name for one that is there.
    """

    def __getattr__(name: str) -> NoReturn:
        raise AttributeError(f"module {module!r} has no attribute {name!r}{name_hint(module, name)}")

    names = vars(sys.modules[module])
    names["__getattr__"], names["__dir__"] = __getattr__, lambda: names["__all__"]


def name_hint(module: str, name: str) -> str:
    """What to write instead of a name, as the end of a sentence; empty if nothing is like it."""
    if name.startswith("_"):  # what Python and its tools ask for
        return ""
    from difflib import get_close_matches  # which takes a while to load, and only errors need

    if how := FUNCTIONS.get(name) or ATTRIBUTES.get(name):
        return f"; here it is {how}"
    own = module.removeprefix("tinygrad_edu").lstrip(".")
    places: dict[str, dict[int, str]] = {}  # by the letters of a name: who it is, and where
    for room in dict.fromkeys([own, *ROOMS]):
        with suppress(ImportError):  # of an extra
            where = import_module(f"tinygrad_edu.{room}".rstrip("."))
            for public in getattr(where, "__all__", ()):
                found = places.setdefault(letters(public), {})
                found.setdefault(id(getattr(where, public, None)), f"{room or 'tinygrad_edu'}.{public}")
    close = [letters(name)] if letters(name) in places else []
    if not close and len(name) > 2:
        alike = [k for k, found in places.items() if not is_class(name) or any(map(is_class, found.values()))]
        close = get_close_matches(letters(name), alike, 1, 0.81) or [k for k in alike if k.startswith(letters(name))]
    return f"; did you mean {' or '.join([*places[close[0]].values()][:2])}?" if close else ""


def is_class(name: str) -> bool:
    """Whether the last part of a name is that of a class."""
    return name.rpartition(".")[2][:1].isupper()


def letters(name: str) -> str:
    """A name without what is easily mistaken: capitals and underscores."""
    return name.lower().replace("_", "")


class NotCallable(ModuleType):
    """A module whose name is a function's in PyTorch."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{self.__name__} is a module; a tensor is made with Tensor(data)")


def keyword_hint(names: Iterable[str]) -> str:
    """What to write instead of PyTorch's keywords, as a sentence; empty if none is among the names."""
    return "".join([f". PyTorch's {name}= is here {KEYWORDS[name]}" for name in names if name in KEYWORDS])


def values_hint(op: str, name: str) -> str:
    """What to pass instead of a Tensor as an argument that gets no gradient."""
    return VALUES.get((op, name), f"pass its values: {name}=tensor.data")


def answering(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose error for a keyword of PyTorch's says what to write instead."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            better = keyword_error(error, kwargs)
            if better is error:
                raise
            raise better from None

    return call


def keyword_error(error: TypeError, kwargs: Iterable[str]) -> TypeError:
    """The error of a call with a keyword of PyTorch's, with what to write instead; other errors as they are."""
    hint = keyword_hint(kwargs)
    return TypeError(f"{error}{hint}") if hint else error


def answer_keywords(names: dict[str, Any], answering: Callable[[Any], Any]) -> None:
    """Lets the composed functions of a namespace that work along an axis answer; ops do so on their own."""
    answers: dict[Any, Any] = {}
    for name in names["__all__"]:
        function = names[name]
        code = getattr(function, "__code__", None)
        if code and not hasattr(function, "__wrapped__") and "axis" in code.co_varnames:
            names[name] = answers.setdefault(function, answering(function))


class Size(int):
    """The number of elements, which says so when it is called as PyTorch's size()."""

    def __call__(self, *args: Any) -> Any:
        raise TypeError("Tensor.size is the number of elements here, an attribute; the lengths of the axes are .shape")
