"""Calls with wrong arguments, of every class and function that PyTorch's users know."""

import inspect

import numpy as np
import pytest

from tinygrad_edu import Tensor, data, functional, nn, optim, training
from tinygrad_edu.arguments import LEFT_OUT, Named, answering_for

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
        (lambda **o: data.DataLoader(X, T, **o), "num_workers"),
    ],
)
def test_an_option_that_only_pytorch_has_is_refused_with_what_to_do_instead(call, option):
    with pytest.raises(TypeError, match=rf"'{option}'.* PyTorch's {option} is left out: ") as caught:
        call(**{option: 1})
    assert str(caught.value).endswith(LEFT_OUT[option])


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
