"""Calls with wrong arguments, of every class and function that PyTorch's users know."""

import inspect
import re
from functools import partial

import numpy as np
import pytest

from tinygrad_edu import Tensor, data, functional, nn, optim, training
from tinygrad_edu.arguments import LEFT_OUT, Named, answering_for, names_and_defaults, splitter

CLASSES = sorted(
    {getattr(place, name) for place in (nn, optim, training, data) for name in place.__all__ if name != "init"}
    & {value for place in (nn, optim, training, data) for value in vars(place).values() if isinstance(value, Named)},
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_error_names_the_class_that_was_called_and_what_it_takes(cls):
    mine = Named("Mine", (cls,), {})
    parameters = inspect.signature(mine).parameters
    with pytest.raises(TypeError, match=r"^Mine\(\) .*'wrong'.*; its arguments are: ") as caught:
        mine(wrong=1)
    assert all(name in str(caught.value).partition("its arguments are")[2] for name in parameters)
    if any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values()):
        with pytest.raises(TypeError, match=r"^Mine(\(\) missing| takes only)"):
            mine()
    if all(p.kind is not p.VAR_POSITIONAL for p in parameters.values()):
        with pytest.raises(TypeError, match=r"^Mine(\(\) takes | takes only |\(\) missing)"):
            mine(*[None] * 20)


def test_the_walk_sees_what_is_public():
    assert {nn.Linear, nn.MaxPool2d, optim.Optimizer, optim.StepLR, data.DataLoader, training.EarlyStopping} <= {
        *CLASSES
    }
    assert len(CLASSES) > 40


P = [Tensor([1.0])]
X, T = np.ones((2, 3)), np.array([0, 1])
ACTIVATIONS = [functional.relu, functional.leaky_relu, functional.sigmoid, functional.tanh, functional.elu]


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (lambda **o: nn.ReLU(**o), "inplace"),
        (lambda **o: nn.Linear(2, 3, **o), "device"),
        (lambda **o: nn.Conv2d(1, 2, 3, **o), "device"),
        (lambda **o: nn.MaxPool2d(2, **o), "return_indices"),
        (lambda **o: nn.Upsample(2, **o), "align_corners"),
        (lambda **o: nn.Softplus(**o), "threshold"),
        (lambda **o: nn.MSELoss(**o), "size_average"),
        (lambda **o: functional.huber_loss(X, X, **o), "weight"),
        (lambda **o: functional.mse_loss(X, X, **o), "reduce"),
        (lambda **o: functional.max_pool2d(X, 2, **o), "return_indices"),
        (lambda **o: functional.interpolate(X, 2, **o), "antialias"),
        (lambda **o: functional.softplus(X, **o), "threshold"),
        (lambda **o: functional.elu(X, **o), "inplace"),
        (lambda **o: optim.SGD(P, **o), "fused"),
        (lambda **o: optim.Adam(P, **o), "decoupled_weight_decay"),
        (lambda **o: optim.AdamW(P, **o), "capturable"),
        (lambda **o: optim.Muon([Tensor(X)], **o), "maximize"),
        (lambda **o: optim.RMSprop(P, **o), "foreach"),
        (lambda **o: optim.StepLR(optim.SGD(P), 1, **o), "last_epoch"),
        (lambda **o: optim.ReduceLROnPlateau(optim.SGD(P), **o), "verbose"),
        (lambda **o: optim.NAdam(P, **o), "amsgrad"),
        (lambda **o: data.DataLoader(X, T, **o), "num_workers"),
        (lambda **o: data.DataLoader(X, T, **o), "in_order"),
        (lambda **o: data.DataLoader(X, T, **o), "pin_memory_device"),
        (lambda **o: nn.Embedding(2, 3, **o), "_weight"),
        (lambda **o: nn.Embedding.from_pretrained(X, **o), "sparse"),
        *[(partial(f, x), "inplace") for f in ACTIVATIONS for x in (X, Tensor(X))],
        *[(partial(f, X), "dtype") for f in (functional.softmax, functional.log_softmax)],
        *[(o.zero_grad, "set_to_none") for o in (optim.Adam(P), nn.Linear(2, 3))],
        *[
            (partial(getattr(nn.init, name), Tensor(X)), "generator")
            for name in ("uniform", "kaiming_normal", "orthogonal")
        ],
        *[(partial(clip, P, 1.0), "foreach") for clip in (optim.clip_grad_norm_, optim.clip_grad_value_)],
        (partial(functional.normalize, X), "out"),
        (optim.SGD(P).step, "closure"),
        (optim.StepLR(optim.SGD(P), 1).step, "epoch"),
    ],
)
def test_an_option_that_only_pytorch_has_is_refused_with_what_to_do_instead(call, option):
    with pytest.raises(TypeError, match=rf"'{option}'.* PyTorch's {option} is left out: ") as caught:
        call(**{option: 1})
    assert str(caught.value).endswith(LEFT_OUT[option])


@pytest.mark.parametrize(
    ("call", "most", "option"),
    [
        (lambda: functional.relu(X, True), "at most 1 argument", "inplace"),
        (lambda: functional.leaky_relu(Tensor(X), 0.1, True), "at most 2 arguments", "inplace"),
        (lambda: functional.dropout(X, 0.5, True, True), "at most 3 arguments", "inplace"),
        (lambda: functional.interpolate(X, 2, None, "nearest", False), "at most 4 arguments", "align_corners"),
        (lambda: functional.softmax(X, 1, 3), "at most 2 arguments", "dtype"),
        (lambda: nn.ReLU(True), "no arguments", "inplace"),
        (lambda: nn.LeakyReLU(0.1, True), "at most 1 argument", "inplace"),
        (
            lambda: nn.MaxPool2d(2, 2, 0, 1, True),
            r"at most 4 arguments by position, and got 5;.*\(ceil",
            "return_indices",
        ),
        (lambda: nn.MultiheadAttention(8, 2, 0.0, True, False), "at most 4 arguments", "add_bias_kv"),
        (lambda: nn.CrossEntropyLoss(None, True), "at most 1 argument", "size_average"),
        (lambda: optim.StepLR(optim.SGD(P), 1, 0.1, -1), "at most 3 arguments", "last_epoch"),
        (lambda: nn.init.xavier_uniform(Tensor(X), 1.0, None), "at most 2 arguments", "generator"),
        (lambda: optim.ReduceLROnPlateau(optim.SGD(P)).step(1.0, 3), "at most 1 argument", "epoch"),
        (lambda: optim.SGD(P).step(lambda: 1.0), "no arguments", "closure"),
        (lambda: optim.SGD(P).zero_grad(True), "no arguments", "set_to_none"),
    ],
)
def test_an_option_by_position_that_only_pytorch_has(call, most, option):
    with pytest.raises(
        TypeError, match=rf"takes {most}.* PyTorch's {option} is left out: {re.escape(LEFT_OUT[option])}"
    ):
        call()


IMAGES, ELEMENTWISE = np.ones((2, 3, 4, 4)), ("huber_loss", "kl_div", "l1_loss", "mse_loss", "smooth_l1_loss")
GIVEN = {  # besides X alone
    "adaptive_avg_pool2d": [IMAGES, 1], "avg_pool2d": [IMAGES, 2], "conv1d": [IMAGES[0], np.ones((2, 4, 1))],
    "conv2d": [IMAGES, np.ones((2, 3, 1, 1))], "conv_transpose2d": [IMAGES, np.ones((3, 2, 1, 1))], "dropout": [X, 0.0],
    "embedding": [T, X], "group_norm": [X, 1], "hinge_embedding_loss": [X, X], "interpolate": [IMAGES, 2],
    "layer_norm": [X, 3], "linear": [X, X], "max_pool2d": [IMAGES, 2], "one_hot": [T], "pad": [X, (1, 1)],
    "prelu": [X, np.ones(3)], "rms_norm": [X, 3], "binary_cross_entropy": [X, X],
    "binary_cross_entropy_with_logits": [X, X], **dict.fromkeys(ELEMENTWISE, (X, X)),
    **dict.fromkeys(("cross_entropy", "multi_margin_loss", "nll_loss"), (X, T)),
}  # fmt: skip
OTHERS = {
    "cosine_similarity",
    "l1_penalty",
    "l2_penalty",
    "scaled_dot_product_attention",
}  # nor has PyTorch input= there
NUMPYS = {name for name in functional.__all__ if hasattr(np, name)} - {"pad", "tanh"} | {"flatten", "logsumexp"}


@pytest.mark.parametrize("name", sorted({*functional.__all__} - OTHERS - NUMPYS))
def test_the_input_by_its_name_in_pytorch(name):
    function, (x, *more) = getattr(functional, name), GIVEN.get(name, [X])
    names = [*inspect.signature(function).parameters][1 : len(more) + 1]
    found = function(input=x, **dict(zip(names, more, strict=True)))
    np.testing.assert_array_equal(found, function(x, *more))


def test_the_input_of_layers_by_its_name():
    for layer in (nn.ReLU(), nn.Softmax(), nn.Linear(3, 2), nn.LayerNorm(3), nn.Sequential(nn.Tanh()), nn.Flatten()):
        np.testing.assert_array_equal(layer(input=X).data, layer(X).data)

    class Own(nn.Module):
        def forward(self, x):
            return x

    with pytest.raises(TypeError, match=r"PyTorch's input= is here x, the first argument: write it first, without"):
        Own()(input=X)
    with pytest.raises(TypeError, match=r"relu\(\) got an unexpected keyword argument 'input'"):
        functional.relu(X, input=X)


def test_errors_from_inside_stay_as_they_are():
    @answering_for
    def f(x):
        return x + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        f(1)
    assert f("1") == "11" and f.__name__ == "f"

    class Broken(nn.Module):
        def __init__(self):
            len(3)

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        Broken()


def test_names_and_defaults_are_those_of_the_signature():
    def plain(x, y, /, z=1, *, a, b=2):
        unused = x
        return unused

    def variadic(*parts, axis=0, **others): ...

    for function in (plain, variadic, answering_for(plain), partial(plain, z=3), lambda: 0, int.from_bytes):
        arguments = inspect.signature(function).parameters.values()
        names = [x.name for x in arguments if x.kind not in (x.VAR_POSITIONAL, x.VAR_KEYWORD)]
        defaults = {x.name: x.default for x in arguments if x.default is not x.empty}
        assert names_and_defaults(function) == (tuple(names), defaults)


def test_a_splitter_tells_operands_from_parameters():
    split = splitter(lambda x, y, axis=0, ddof=1: 0, 2, False)
    assert split(1, y=2, ddof=3) == ((1, 2), {"axis": 0, "ddof": 3})
    with pytest.raises(TypeError, match="multiple values for argument 'x'"):
        split(1, 2, x=3)
    assert splitter(lambda first, *rest, axis=0: 0, 1, True)(1, 2, axis=3) == ((1, 2), {"axis": 3})
    assert splitter(lambda x, axis=0, *, out: 0, 1, False)(1, out=2) == ((1,), {"axis": 0, "out": 2})
