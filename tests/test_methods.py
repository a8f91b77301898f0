"""What NumPy's arrays have as operators and methods, and what PyTorch's users type."""

import importlib
import pydoc
import re

import numpy as np
import pytest

import tinygrad_edu
from tinygrad_edu import Tensor, linalg, nn, ops
from tinygrad_edu.torch_names import ATTRIBUTES, FUNCTIONS, KEYWORDS, MODULE

X = np.array([[0.25, 1.5, -0.5], [2.5, -1.25, 0.75]])

OPERATORS = [
    lambda x: +x,
    lambda x: x % 0.4,
    lambda x: 1.3 % x,
    lambda x: x // 0.4,
    lambda x: 1.3 // x,
    lambda x: divmod(x, 0.4)[1],
    lambda x: divmod(1.3, x)[0],
    lambda x: x.round(),
    lambda x: x.round(1),
    lambda x: x.conj(),
    lambda x: x.conjugate(),
    lambda x: x.real,
    lambda x: x.imag,
    lambda x: x.mT,
    lambda x: x.cumprod(axis=1),
    lambda x: x.take([0, 2], axis=1),
    lambda x: x.compress([True, False, True], axis=1),
    lambda x: x.diagonal(),
    lambda x: x.reshape(3, 2, order="F"),
]


@pytest.mark.parametrize("call", OPERATORS)
def test_operators_and_methods_that_give_tensors(call):
    out = call(Tensor(X))
    assert type(out) is Tensor
    np.testing.assert_allclose(out.data, call(X), rtol=1e-15)
    out.sum().backward()


def test_round_as_python_calls_it():
    x = Tensor([1.26, 2.5])
    assert round(x, 1).tolist() == [1.3, 2.5] and round(x).tolist() == [1, 2]


def test_partition_as_sort_returns_a_tensor():
    np.testing.assert_array_equal(Tensor([3.0, 1.0, 2.0]).partition(1).data, np.partition([3.0, 1.0, 2.0], 1))


VALUES = [
    lambda x: x.all(),
    lambda x: x.any(axis=0),
    lambda x: x.argmax(),
    lambda x: x.argmin(axis=1),
    lambda x: x.argmax(axis=0, keepdims=True),
    lambda x: x.argsort(axis=0),
    lambda x: x.argpartition(1),
    lambda x: x.nonzero(),
    lambda x: x[0].searchsorted([0.3]),
    lambda x: x.itemsize,
    lambda x: x.nbytes,
]


@pytest.mark.parametrize("call", VALUES)
def test_methods_that_work_on_the_values(call):
    assert str(call(Tensor(X))) == str(call(X))


NAMES = ["view", "unsqueeze", "permute", "mm", "bmm", "clamp", "cat", "requires_grad_", "clone", "norm", "pow", "t"]
NAMES += ["type", "to", "cpu", "numel", "masked_fill", "gather", "scatter"]


def test_the_names_that_pytorchs_users_type_first_are_there():
    assert set(NAMES) <= ATTRIBUTES.keys()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_name_of_pytorchs_is_answered_by_ours(name):
    with pytest.raises(AttributeError, match=f"Tensor has no '{name}'; here it is "):
        getattr(Tensor(X), name)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_answer_names_what_there_is(name):
    """The first word of an answer is an attribute of Tensor's, a function of NumPy's, or Python."""
    first = ATTRIBUTES[name].split("(")[0].split(",")[0].split()[0].rstrip(":")
    x = Tensor(X)
    known = first in ("x", "y", "-x", "needless", "list") or hasattr(x, first.split(".")[0].split("[")[0])
    if first.startswith("np."):
        assert callable(eval(first, {"np": np}))
    elif first.startswith(("x.", "x[")):
        word = first.removeprefix("x").lstrip(".").split(".")[0].split("[")[0]
        assert not word or hasattr(x, word)
    else:
        assert known, first


@pytest.mark.parametrize("name", MODULE)
def test_a_name_of_pytorchs_modules_is_answered_by_ours(name):
    layer = nn.Linear(2, 1)
    with pytest.raises(AttributeError, match=f"Linear has no '{name}'; here it is "):
        getattr(layer, name)
    assert not hasattr(layer, name) and name not in dir(layer)
    own = type("Own", (nn.Module,), {name: lambda self: 3})()
    assert getattr(own, name)() == 3 and name in dir(own)


def test_a_function_that_is_no_method_is_named_and_other_names_are_pythons():
    with pytest.raises(AttributeError, match=r"no method 'floor'; call the function: np\.floor\(x\)"):
        Tensor(X).floor()
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nonsense'"):
        Tensor(X).nonsense  # noqa: B018
    assert not hasattr(Tensor(X), "unsqueeze")


def test_completion_and_help_show_what_there_is_and_not_what_only_answers():
    names = dir(Tensor([1.0, 2.0]))
    assert {"reshape", "sum", "argmax", "mT", "backward"} <= set(names) and not {"view", "floor"} & set(names)
    assert "Help on class Tensor" in pydoc.render_doc(Tensor, renderer=pydoc.plaintext).replace(
        "Python Library Documentation: ", "Help on "
    )


def test_size_answers_when_it_is_called():
    assert Tensor(X).size == 6 and repr(Tensor(X).size) == "6"
    with pytest.raises(TypeError, match=r"number of elements here.*\.shape"):
        Tensor(X).size()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sum(dim=1),
        lambda x: x.softmax(dim=1),
        lambda x: x.log_softmax(dim=1),
        lambda x: x.argmax(dim=1),
        lambda x: x.cumsum(dim=0),
        lambda x: x.std(dim=0),
        lambda x: tinygrad_edu.softmax(x, dim=1),
        lambda x: tinygrad_edu.concatenate([x, x], dim=1),
        lambda x: tinygrad_edu.median(x, dim=1),
        lambda x: linalg.norm(x, dim=1),
        lambda x: ops.squeeze(x, dim=1),
        lambda x: x.expand_dims(dim=0),
    ],
)
def test_dim_is_answered_by_axis(call):
    with pytest.raises(TypeError, match="PyTorch's dim= is here axis"):
        call(Tensor(X))


@pytest.mark.parametrize("name", [*FUNCTIONS, "cat", "mm", "unsqueeze", "clamp"])
def test_a_function_of_pytorchs_is_answered_by_ours(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; here it is "):
        getattr(tinygrad_edu, name)
    with pytest.raises(AttributeError, match=f"Tensor has no '{name}'; here it is "):
        getattr(Tensor, name)


@pytest.mark.parametrize(
    "name, meant",
    [
        ("nonsense", ""),
        ("_nn", ""),
        ("nn.Relu", "nn.ReLU or functional.relu"),
        ("nn.CrossEntropy", "functional.cross_entropy"),
        ("nn.MSE", "nn.MSELoss or functional.mse_loss"),
        ("nn.functional", "tinygrad_edu.functional"),
        ("nn.init.xavier_uniform_", "nn.init.xavier_uniform"),
        ("optim.adam", "optim.Adam"),
        ("optim.Zebra", ""),
        ("optim.lr_scheduler.Counter", ""),  # not functional.outer
        ("functional.batch_norm", "nn.BatchNorm2d"),
        ("nn.ReLU7", "nn.ReLU or functional.relu"),
        ("functional.Dropout", "functional.dropout or nn.Dropout"),
        ("data.Dataloader", "data.DataLoader"),
        ("training.Accuracy", "training.accuracy"),
        ("plots.image", "plots.images"),
        ("draw.Grap", "draw.Graph"),
        ("Linear", "tinygrad_edu.linear or nn.Linear"),
        ("DataLoader", "data.DataLoader"),
        ("fit", "training.fit"),
        ("manualseed", "tinygrad_edu.manual_seed"),
    ],
)
def test_a_name_that_is_like_one_of_ours_or_stands_elsewhere_is_told(name, meant):
    room, _, attribute = f"tinygrad_edu.{name}".rpartition(".")
    with pytest.raises(AttributeError) as caught:
        getattr(importlib.import_module(room), attribute)
    hint = f"; did you mean {meant}?" if meant else ""
    assert str(caught.value) == f"module '{room}' has no attribute '{attribute}'{hint}"


def test_the_module_tensor_says_that_it_is_none():
    with pytest.raises(TypeError, match=r"tinygrad_edu\.tensor is a module; a tensor is made with Tensor\(data\)"):
        tinygrad_edu.tensor([1.0])


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_other_keywords_of_pytorchs(keyword):
    with pytest.raises(TypeError, match=re.escape(f"PyTorch's {keyword}= is here {KEYWORDS[keyword]}")):
        Tensor(X).sum(**{keyword: 1})


def test_an_error_that_is_not_about_keywords_stays_as_it_is():
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'") as caught:
        Tensor(X).var(axes=1)
    assert "PyTorch" not in str(caught.value)


@pytest.mark.parametrize("name, word", [("max", "argmax"), ("std", "ddof"), ("var", "ddof")])
def test_what_means_something_else_in_pytorch_says_so(name, word):
    text = getattr(Tensor, name).__doc__
    assert "PyTorch" in text and word in text


def test_int_and_in_work_on_the_values():
    x = Tensor([[0.5, 2.0], [-3.7, 1.0]])
    assert int(x[1, 0]) == -3 and type(int(x[0, 1])) is int
    assert 2.0 in x and x[0, 1] in x and 5 not in x and 0.5 in Tensor(0.5)


def test_astype_takes_numpys_copy():
    x = Tensor([0.5, 2.0])
    y = x.astype(np.float32, copy=False)
    y.sum().backward()
    assert y.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


@pytest.mark.parametrize("name", [x for x in dir(np.ndarray) if not x.startswith("_") and not hasattr(Tensor, x)])
def test_each_name_of_an_array_is_there_or_is_answered(name):
    with pytest.raises(AttributeError, match=r"; (here it is|of the values it is tensor\.data)"):
        getattr(Tensor([1.0]), name)
