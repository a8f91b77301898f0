import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.optim import ReduceLROnPlateau
from tinygrad_edu.training import EarlyStopping

values = st.lists(st.floats() | st.integers(-3, 3).map(float), max_size=12)
modes = st.sampled_from(["min", "max"])


@given(values, st.integers(1, 4), st.sampled_from([0.0, 0.5, 2.0]), modes)
def test_the_definition(values, patience, min_delta, mode):
    """Compared with a slow one that looks at all values each time."""
    stopping = EarlyStopping(patience, min_delta, mode=mode)
    sign = 1 if mode == "min" else -1
    best, best_epoch = math.inf, 0
    for epoch, value in enumerate(values, 1):
        stop = stopping.step(value)
        if best - sign * value > min_delta:
            best, best_epoch = sign * value, epoch
        assert (stopping.best, stopping.best_epoch, stopping.epoch) == (sign * best, best_epoch, epoch)
        assert stopping.bad_epochs == epoch - best_epoch
        assert stop is stopping.stopped is (epoch - best_epoch >= patience)


def test_an_example():
    stopping = EarlyStopping(patience=2, min_delta=0.1)
    assert [stopping.step(v) for v in (1.0, 0.95, 0.8, 0.75, math.nan)] == [False, False, False, False, True]
    assert (stopping.best, stopping.best_epoch) == (0.8, 3)


def test_an_improvement_must_exceed_min_delta():
    stopping = EarlyStopping(1, 0.5)
    assert [stopping.step(v) for v in (2.0, 1.5)] == [False, True]


def layer(value):
    model = nn.Linear(1, 1, bias=False)
    model.running = np.zeros(1)
    set_to(model, value)
    return model


def set_to(model, value):
    model.weight.assign(value)
    model.running[...] = value


def test_the_best_state_comes_back_with_its_buffers():
    model, stopping = layer(0.0), EarlyStopping()
    for epoch, loss in enumerate([3.0, 1.0, 2.0], 1):
        set_to(model, epoch)
        stopping.step(loss, model)
    weight = model.weight
    stopping.restore(model)
    assert model.weight is weight
    assert weight.data.item() == model.running.item() == stopping.best_epoch == 2


@pytest.mark.parametrize(
    ("stopping", "model", "words"),
    [
        (EarlyStopping(restore_best=False), layer(0), "restore_best is False"),
        (EarlyStopping(), None, "got no model"),
        (EarlyStopping(mode="max"), None, "got no model"),
    ],
)
def test_nothing_was_kept(stopping, model, words):
    stopping.step(1.0, model)
    with pytest.raises(RuntimeError, match=words):
        stopping.restore(layer(0))


@given(values, st.integers(0, 12), modes)
def test_a_loaded_state_goes_on_as_the_first_would(values, cut, mode):
    first, second = EarlyStopping(3, mode=mode), EarlyStopping(3, mode=mode)
    model = layer(0.0)
    for epoch, value in enumerate(values):
        set_to(model, epoch)
        first.step(value, model)
        if epoch < cut:
            second.step(value, model)
    resumed = EarlyStopping(3, mode=mode)
    resumed.load_state_dict(second.state_dict())
    for epoch, value in enumerate(values[cut:], cut):
        set_to(model, epoch)
        resumed.step(value, model)
    assert resumed.state_dict() == first.state_dict()


def test_states_are_copies():
    stopping, other = EarlyStopping(), EarlyStopping()
    stopping.step(1.0, layer(5.0))
    state = stopping.state_dict()
    other.load_state_dict(state)
    state["best_state"]["weight"][...] = 7
    for kept in (stopping, other):
        assert kept.best_state["weight"].item() == 5
    assert other.best_state["weight"].dtype == np.float32
    other.reset()
    assert other.state_dict() == EarlyStopping().state_dict()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s | {"extra": 1}, "has monitor, mode, .*extra; it needs monitor, mode, "),
        (lambda s: {"best": 1.0}, "has monitor, best; it needs"),
        (lambda s: s | {"mode": "max"}, "mode 'max', this 'min'"),
        (lambda s: s | {"monitor": "train_loss"}, "monitor 'train_loss', this None"),
        (lambda s: s | {"epoch": math.inf}, "epoch is inf; it must be an integer of at least 0"),
        (lambda s: s | {"bad_epochs": -1}, "bad_epochs is -1"),
        (lambda s: s | {"best": math.nan}, "best is nan"),
        (lambda s: s | {"best": "1"}, "best is '1'"),
    ],
)
def test_states_that_do_not_fit(change, words):
    stopping = EarlyStopping()
    stopping.step(1.0)
    before = stopping.state_dict()
    with pytest.raises(ValueError, match=words):
        stopping.load_state_dict(change(before))
    assert stopping.state_dict() == before


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [(None, "min"), ("val_loss", "min"), ("train_loss", "min"), ("val_accuracy", "max"), ("train_accuracy", "max")],
)
def test_the_mode_follows_from_the_monitor(monitor, mode):
    optimizer = optim.SGD([Tensor(1.0)])
    for make in (EarlyStopping, partial(ReduceLROnPlateau, optimizer)):
        for watcher in (make(monitor=monitor), make(monitor=monitor, mode=mode)):
            assert (watcher.monitor, watcher.mode) == (monitor, mode)
            assert watcher.best == (math.inf if mode == "min" else -math.inf)
        if monitor:
            with pytest.raises(ValueError, match=f"of {monitor} .* is better; it must be '{mode}'"):
                make(monitor=monitor, mode="max" if mode == "min" else "min")


VALUES = [(0.5, 0.5), (np.float32(0.5), 0.5), (np.array(0.5), 0.5), (Tensor(0.5), 0.5), (2, 2.0), (np.int8(2), 2.0)]
NO_VALUES = ["0.5", None, True, np.True_, 1j, [0.5], np.array([0.5]), Tensor([0.5])]


@pytest.mark.parametrize("value", VALUES + [(value, None) for value in NO_VALUES])
def test_what_is_watched_is_one_number(value):
    value, expected = value
    for watcher, name in ((EarlyStopping(), "value"), (ReduceLROnPlateau(optim.SGD([Tensor(1.0)])), "metrics")):
        if expected is None:
            with pytest.raises(TypeError, match=rf"\.step: {name} is .*; it must be a number"):
                watcher.step(value)
        else:
            watcher.step(value)
            assert watcher.best == expected
            assert type(watcher.best) is float


def test_arguments_of_another_type():
    with pytest.raises(TypeError, match="restore_best is 'no'; it must be True or False"):
        EarlyStopping(restore_best="no")
    with pytest.raises(TypeError, match=r"takes only patience, min_delta by position.* \(str\); .*mode=.."):
        EarlyStopping(3, 0.0, "max")
    with pytest.raises(TypeError, match=r"EarlyStopping\.step: model must be of the class Module, got 'model'"):
        EarlyStopping().step(1.0, "model")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"monitor": "loss"}, "monitor is 'loss'; it must be 'train_loss', 'val_loss', 'train_accuracy' or 'val_acc"),
        ({"patience": True}, "patience is True"),
        ({"patience": 0}, "patience is 0"),
        ({"patience": 1.5}, "patience is 1.5"),
        ({"min_delta": -1.0}, "min_delta is -1.0"),
        ({"min_delta": math.nan}, "min_delta is nan"),
        ({"mode": "auto"}, "mode is 'auto'; it must be 'min' or 'max'"),
    ],
)
def test_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        EarlyStopping(**options)


def test_states_of_older_files_have_no_monitor():
    optimizer = optim.SGD([Tensor(1.0)])
    for make in (EarlyStopping, partial(ReduceLROnPlateau, optimizer)):
        watcher, other = make(), make()
        watcher.step(0.5)
        state = watcher.state_dict()
        assert state.pop("monitor") is None
        other.load_state_dict(state)
        assert other.state_dict() == watcher.state_dict()
