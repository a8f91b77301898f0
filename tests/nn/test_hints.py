"""Each layer at inputs of many shapes: the advice in its error is followed, and must lead to a result."""

import re

import numpy as np
import pytest

from tinygrad_edu import nn

LAYERS = [
    nn.Linear(1, 3), nn.Linear(4, 3), nn.Linear(12, 3), nn.Maxout(4, 3), nn.MLP([4, 3]), nn.Conv2d(3, 2, 2),
    nn.Conv2d(1, 2, 2), nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm1d(1), nn.BatchNorm1d(3), nn.BatchNorm2d(1),
    nn.BatchNorm2d(3), nn.LayerNorm(4), nn.LayerNorm((3, 4)), nn.PReLU(3), nn.Flatten(), nn.MaxPool2d(1),
    nn.Conv1d(3, 2, 2), nn.Conv1d(1, 2, 3, padding="same"), nn.ConvTranspose2d(3, 2, 2), nn.RMSNorm(4),
    nn.GroupNorm(1, 3), nn.Conv2d(3, 2, 2, padding="same"),
]  # fmt: skip
SHAPES = [
    (), (1,), (3,), (4,), (12,), (48,), (5, 1), (5, 3), (4, 1), (4, 4), (5, 12), (5, 16), (5, 48), (5, 3, 4), (3, 4, 4),
    (4, 4, 3), (1, 4, 4), (5, 4, 4), (4, 4, 1), (5, 3, 4, 4), (5, 4, 4, 3), (5, 1, 4, 4), (5, 4, 4, 1), (5, 2, 3, 4, 4),
]  # fmt: skip
ADVICE = r"np\.moveaxis\([^)]*\)(?:\[[^\]]*\])?|x\[[^\]]*\]|x\.reshape\([^)]*\)|Flatten\(\)|BatchNorm\dd\b(?=$)"


def follow(advice, layer, x):
    """What the layer makes of the input as advised."""
    if advice.startswith("BatchNorm"):
        return getattr(nn, advice)(layer.num_features)(x)
    return layer(nn.Flatten()(x) if advice == "Flatten()" else eval(advice, {"np": np, "x": x}))


def messages():
    """(layer, input, message) for each that does not fit."""
    for layer in LAYERS:
        for shape in SHAPES:
            x = np.random.default_rng(0).normal(size=shape)
            try:
                layer.eval()(x)
            except ValueError as error:
                yield layer, x, str(error)


@pytest.mark.parametrize(("layer", "x", "message"), [*messages()], ids=lambda value: str(np.shape(value)))
def test_advice_leads_somewhere(layer, x, message):
    assert str(x.shape) in message
    for advice in re.findall(ADVICE, message):
        assert follow(advice, layer, x).size, message


def test_there_is_advice_for_what_students_do():
    found = {(type(layer).__name__, x.shape) for layer, x, message in messages() if re.search(ADVICE, message)}
    assert len(found) > 30
    assert {("Linear", (3,)), ("Linear", (4, 1)), ("Conv2d", (4, 4)), ("Conv2d", (5, 16)), ("BatchNorm2d", (5, 4, 4)),
            ("BatchNorm2d", (5, 3)), ("BatchNorm1d", (3,)), ("BatchNorm1d", (5, 3, 4, 4))} <= found  # fmt: skip
