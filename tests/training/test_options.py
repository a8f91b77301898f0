"""A walk over the public signatures of training, optim and the loader: no option is accepted and misread."""

import inspect
import math

import numpy as np
import pytest

from tinygrad_edu import Tensor, data, nn, optim, training

MODEL = nn.Linear(2, 2)
PAIRS = [(np.eye(2), np.array([0, 1]))]
DIGITS = np.zeros((2, 4, 4), np.uint8)


def sgd():
    return optim.SGD(MODEL.parameters(), lr=0.1)


def learning():
    return {"optimizer": sgd(), "loss": nn.CrossEntropyLoss()}


NEEDED = {  # what each needs besides its options; {} by default
    "DataLoader": lambda: {"images": DIGITS, "labels": [0, 1], "batch_size": 1},
    "normalize": lambda: {"images": DIGITS},
    "fit": lambda: {"model": MODEL, "train": PAIRS, **learning(), "epochs": 0},
    "Film": lambda: {"model": MODEL, "x": np.eye(2), "y": np.array([0, 1]), "loss": nn.CrossEntropyLoss()},
    "lr_finder": lambda: {"model": MODEL, "loader": PAIRS, **learning(), "steps": 2},
    "clip_grad_norm_": lambda: {"parameters": [], "max_norm": 1.0},
    "clip_grad_value_": lambda: {"parameters": [], "clip_value": 1.0},
    "StepLR": lambda: {"optimizer": sgd(), "step_size": 1},
    "ExponentialLR": lambda: {"optimizer": sgd(), "gamma": 0.5},
    "CosineAnnealingLR": lambda: {"optimizer": sgd(), "T_max": 1},
    "LinearWarmup": lambda: {"optimizer": sgd()},
    "LinearLR": lambda: {"optimizer": sgd()},
    "MultiStepLR": lambda: {"optimizer": sgd(), "milestones": [3]},
    "CosineAnnealingWarmRestarts": lambda: {"optimizer": sgd(), "T_0": 1},
    "OneCycleLR": lambda: {"optimizer": sgd(), "max_lr": 0.1, "total_steps": 5},
    "ReduceLROnPlateau": lambda: {"optimizer": sgd()},
    **{name: lambda: {"params": [Tensor([1.0])]} for name in ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "NAdam")},
    "Muon": lambda: {"params": [Tensor([[1.0]])]},
}
ALONE = {"EarlyStopping", "RandomAffine", "ElasticTransform"}
SIGNED = {"mean", "fill"}  # may be negative
WRONG = {
    bool: ["no", 0, None, math.nan],
    int: [-1, True, 1.5, math.nan, "3", None],
    float: [math.nan, True, "x", 1j, None],
}


def find(name):
    return next(getattr(place, name) for place in (optim, training, data) if hasattr(place, name))


def wrong_values(name):
    """(option, wrong value) for each option whose value in use is a bool, an integer or a float."""
    needed = NEEDED.get(name, dict)()
    for parameter in inspect.signature(find(name)).parameters.values():
        value, option = needed.get(parameter.name, parameter.default), parameter.name
        kind = float if option in SIGNED else type(value)
        yield from [(option, wrong) for wrong in WRONG.get(kind, ())]
        if kind is float and option not in SIGNED:
            yield option, -0.5
        if option == "seed":
            yield from [(option, wrong) for wrong in (-1, True, 0.5, "0")]


EVERY = pytest.mark.parametrize("name", [*NEEDED, *sorted(ALONE)])


@EVERY
def test_a_wrong_value_is_refused_by_the_name_of_the_option(name):
    cases = list(wrong_values(name))
    assert cases
    for option, wrong in cases:
        with pytest.raises((TypeError, ValueError), match=rf"\b{option}\b.* is .*must be"):
            find(name)(**NEEDED.get(name, dict)() | {option: wrong})


@EVERY
def test_an_option_that_does_not_exist_is_refused_by_its_name(name):
    with pytest.raises(TypeError, match="verbose"):
        find(name)(**NEEDED.get(name, dict)(), verbose=True)


def test_the_walk_knows_every_function_with_such_options():
    for name in {*optim.__all__, *training.__all__} - {"lr_scheduler"}:
        kinds = {type(p.default) for p in inspect.signature(find(name)).parameters.values()}
        assert not kinds & WRONG.keys() or name in {*NEEDED, *ALONE, "summary"}, name  # which is of nn
