import copy
import json
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from tinygrad_edu import Tensor, manual_seed, nn, optim
from tinygrad_edu.data import DataLoader, RandomAffine
from tinygrad_edu.functional import cross_entropy
from tinygrad_edu.random import default_generator
from tinygrad_edu.training import Checkpoint, EarlyStopping, History, fit
from tinygrad_edu.training.checkpoint import (
    CHECKSUM_KEY,
    STATES_KEY,
    checksum,
    get_state,
    put_back_arrays,
    take_out_arrays,
)

pytest.importorskip("safetensors")

OPTIMIZERS = {
    "sgd": partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop": partial(optim.RMSprop, lr=1e-3, momentum=0.5, centered=True),
    "adam": partial(optim.Adam, lr=1e-2),
    "adamw": partial(optim.AdamW, lr=1e-2),
}
SCHEDULERS = {
    "step": partial(optim.StepLR, step_size=2, gamma=0.5),
    "exponential": partial(optim.ExponentialLR, gamma=0.8),
    "cosine": partial(optim.CosineAnnealingLR, T_max=7),
    "warm-up": lambda optimizer: optim.LinearWarmup(optimizer, 2, then=optim.CosineAnnealingLR(optimizer, 4)),
}


class Run:
    """A small training with everything that has a state; two of the same seed train alike."""

    def __init__(self, seed, optimizer="adam", scheduler="step"):
        rng = np.random.default_rng(0)
        images = rng.normal(size=(37, 6)).astype(np.float32)
        labels = rng.integers(0, 3, 37)
        manual_seed(seed)
        self.loader = DataLoader(images, labels, 8, shuffle=True, seed=seed)
        self.model = nn.Sequential(
            nn.MLP([6, 8, 5], batch_norm=True, dropout=0.3),
            nn.Dropout(0.2, rng=np.random.Generator(np.random.MT19937(seed))),
            nn.Linear(5, 3),
        )
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = SCHEDULERS[scheduler](self.optimizer)
        self.stopping = EarlyStopping(patience=100)
        self.history = History()

    def parts(self):
        named = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        named |= {"early_stopping": self.stopping, "history": self.history}
        return named | {"generators": {"train": self.loader.rng}}

    def epoch(self):
        self.model.train()
        losses = []
        for images, labels in self.loader:
            loss = cross_entropy(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        self.history.append({"epoch": len(self.history) + 1, "loss": np.mean(losses)})
        self.scheduler.step()
        self.stopping.step(losses[-1], self.model)

    def state(self):
        """All states at this moment."""
        parts = self.parts()
        own = [module.rng for module in self.model.modules() if getattr(module, "rng", None)]
        generators = [*parts.pop("generators").values(), default_generator(), *own]
        return copy.deepcopy([get_state(part) for part in [*parts.values(), *generators]])


def trained(epochs, seed=0, **kinds):
    run = Run(seed, **kinds)
    for _ in range(epochs):
        run.epoch()
    return run


def assert_same(a, b):
    """Equality of nested states, to the bit and in their types."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert [*a] == [*b]
        assert [type(k) for k in a] == [type(k) for k in b]
        a, b = [*a.values()], [*b.values()]
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    else:
        assert repr(a) == repr(b)


def resumed(path, epochs, **kinds):
    """A new run with other seeds, brought to the checkpoint's state and then to that many epochs."""
    run = Run(99, **kinds)
    run.epoch()
    done = Checkpoint(path).load(**run.parts())
    for _ in range(done, epochs):
        run.epoch()
    return run


@pytest.mark.parametrize("kinds", [{"optimizer": name} for name in OPTIMIZERS] + [{"scheduler": n} for n in SCHEDULERS])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, kinds):
    expected = trained(5, **kinds).state()
    run = trained(3, **kinds)
    before = run.state()
    Checkpoint(tmp_path / "run").save(**run.parts(), epoch=3)
    assert_same(run.state(), before)
    assert_same(resumed(tmp_path / "run", 5, **kinds).state(), expected)


def test_a_run_is_resumed_in_another_process(tmp_path):
    expected = trained(4)
    Checkpoint(tmp_path / "run").save(**trained(2).parts(), epoch=2)
    code = "import sys, test_checkpoint as t; t.nn.save(t.resumed(sys.argv[1], 4).model, sys.argv[2])"
    command = [sys.executable, "-c", code, tmp_path / "run", tmp_path / "weights"]
    subprocess.run(command, check=True, cwd=Path(__file__).parent, env=os.environ | {"PYTHONSAFEPATH": ""})
    loaded = nn.load(tmp_path / "weights")
    assert_same({name: loaded[name] for name in expected.model.state_dict()}, expected.model.state_dict())


def test_fit_goes_on_to_the_bit(tmp_path):
    def fitted(run, epochs, checkpoint=None):
        history = fit(
            run.model, run.loader, optimizer=run.optimizer, loss=nn.CrossEntropyLoss(), epochs=epochs,
            scheduler=run.scheduler, checkpoint=checkpoint, progress=False,
        )  # fmt: skip
        return [{k: v for k, v in record.items() if k != "seconds"} for record in history], run.model.state_dict()

    expected = fitted(Run(0), 5)
    fitted(Run(0), 2, tmp_path / "run")
    assert_same(fitted(Run(1), 5, Checkpoint(tmp_path / "run")), expected)


def test_parts_are_restored_in_place(tmp_path):
    run = trained(2)
    Checkpoint(tmp_path / "run").save(**run.parts(), epoch=2)
    weight, rng, library = run.model[2].weight, run.loader.rng, default_generator()
    saved = run.state()
    run.epoch()
    assert Checkpoint(tmp_path / "run").load(**run.parts()) == 2
    assert_same(run.state(), saved)
    assert run.model[2].weight is weight
    assert run.loader.rng is rng
    assert default_generator() is library
    assert type(run.history) is History


def test_the_model_alone_is_loaded_for_prediction(tmp_path):
    run, other = trained(1), Run(5)
    checkpoint = Checkpoint(str(tmp_path / "run"))
    checkpoint.save(**run.parts(), epoch=1, metadata={"sizes": "[6, 3]"})
    states = other.state()
    other.model[1].rng = None
    assert checkpoint.load(model=other.model) == 1
    assert_same(other.model.state_dict(), run.model.state_dict())
    other.model[1].rng = np.random.Generator(np.random.MT19937(5))
    assert_same(other.state()[1:], states[1:])
    arrays = {f"model.{name}": array for name, array in run.model.state_dict().items()}
    loaded = nn.load(tmp_path / "run")
    assert_same({name: loaded[name] for name in arrays}, arrays)
    assert any(name.startswith("optimizer.state.0.") for name in loaded)
    assert checkpoint.metadata() == {"sizes": "[6, 3]"}
    assert nn.load_metadata(tmp_path / "run")["sizes"] == "[6, 3]"


def test_the_model_alone_gets_the_best_weights_and_a_run_the_last(tmp_path):
    run, path = trained(1), tmp_path / "run"
    best = run.model.state_dict()
    run.stopping.best = -math.inf  # nothing will be better
    run.epoch()
    Checkpoint(path).save(**run.parts(), epoch=2)
    last = run.model.state_dict()
    for others, expected in [((), best), (("optimizer",), last), (("early_stopping",), last), (("generators",), last)]:
        other = Run(5)
        assert Checkpoint(path).load(model=other.model, **{name: other.parts()[name] for name in others}) == 2
        assert_same(other.model.state_dict(), expected)


def test_the_json_in_the_file_is_strict(tmp_path):
    Checkpoint(tmp_path / "run").save(model=nn.Module(), early_stopping=EarlyStopping(), history=[{"loss": math.nan}])
    stopping, history = EarlyStopping(), []
    stopping.step(0.0)

    def refuse(name):
        raise AssertionError(name)

    json.loads(nn.load_metadata(tmp_path / "run")[STATES_KEY], parse_constant=refuse)
    Checkpoint(tmp_path / "run").load(model=nn.Module(), early_stopping=stopping, history=history)
    assert stopping.best == math.inf
    assert math.isnan(history[0]["loss"])


def test_generators_that_the_model_does_not_hold_itself(tmp_path):
    first, second = nn.Module(), nn.Module()
    for model, seed in ((first, 0), (second, 1)):
        model.augment = RandomAffine(10, seed=seed)
    Checkpoint(tmp_path / "run").save(model=first)
    Checkpoint(tmp_path / "run").load(model=second, generators={})
    assert second.augment.rng.random() == first.augment.rng.random()


def test_what_is_not_given_is_left_alone(tmp_path):
    run, other = trained(1), trained(1, seed=5)
    Checkpoint(tmp_path / "run").save(**run.parts())
    scheduler, train = other.scheduler.state_dict(), other.loader.rng.bit_generator.state
    assert Checkpoint(tmp_path / "run").load(model=other.model, optimizer=other.optimizer) == 0
    assert_same(other.optimizer.state_dict(), run.optimizer.state_dict())
    assert_same(other.scheduler.state_dict(), scheduler)
    assert other.loader.rng.bit_generator.state == train
    assert_same(other.model[1].rng.bit_generator.state, run.model[1].rng.bit_generator.state)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_kind_of_generator(tmp_path, kind):
    first, second = [np.random.Generator(getattr(np.random, kind)(seed)) for seed in (0, 1)]
    first.random(5, np.float32)  # half of a 64-bit number is left over for the next
    Checkpoint(tmp_path / "run").save(model=nn.Module(), generators={"g": first})
    Checkpoint(tmp_path / "run").load(model=nn.Module(), generators={"g": second})
    assert_same(second.random(5, np.float32), first.random(5, np.float32))


def change(**attributes):
    """A function that sets attributes of a run."""

    def changed(run):
        for name, value in attributes.items():
            setattr(run, name, value(run))

    return changed


def other_loader(run):
    return DataLoader([0.0], [0], rng=np.random.Generator(np.random.SFC64(0)))


def other_model(run):
    return nn.Sequential(nn.MLP([6, 9, 5], batch_norm=True), run.model[1], run.model[2])


def no_batch_norm(run):
    return nn.Sequential(nn.MLP([6, 8, 5]), run.model[1], run.model[2])


def no_generator(run):
    return nn.Sequential(run.model[0], nn.Dropout(0.2), run.model[2])


def more_generators(run):
    return nn.Sequential(*run.model, nn.Dropout(0.1, rng=np.random.default_rng(0)))


class Interrupted(optim.StepLR):
    """Ctrl-C comes while its state is being loaded, but not when the old one is put back."""

    def load_state_dict(self, state):
        super().load_state_dict(state)
        if state["last_epoch"]:
            raise KeyboardInterrupt


MISFITS = {
    r"fit model, so nothing was loaded: .*shape \(8, 6\) in the state and \(9, 6\)": change(model=other_model),
    r"fit model, so nothing was loaded: .*unexpected keys 0\.1\.": change(model=no_batch_norm),
    r"holds no random\.model\.3\.rng, but only model, optimizer": change(model=more_generators),
    r"holds random\.model\.1\.rng, which this model lacks": change(model=no_generator),
    r"fit optimizer, so nothing": change(optimizer=lambda run: OPTIMIZERS["sgd"](run.model.parameters())),
    r"fit optimizer, so nothing.*parameters": change(optimizer=lambda run: optim.Adam([Tensor([1.0])])),
    r"fit scheduler, so nothing": change(scheduler=lambda run: SCHEDULERS["cosine"](run.optimizer)),
    r"fit early_stopping, so nothing.*mode": change(stopping=lambda run: EarlyStopping(mode="max")),
    r"fit generators\.train, so .*: it is a SFC64 now and was a PCG64": change(loader=other_loader),
}


@pytest.mark.parametrize("message", MISFITS)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(tmp_path, message):
    Checkpoint(tmp_path / "run").save(**trained(2).parts(), epoch=2)
    other = trained(1, seed=5)
    MISFITS[message](other)
    before = other.state()
    with pytest.raises(ValueError, match=f"run (does not )?{message}"):
        Checkpoint(tmp_path / "run").load(**other.parts())
    assert_same(other.state(), before)


def test_an_interrupt_while_loading_changes_nothing(tmp_path):
    Checkpoint(tmp_path / "run").save(**trained(2).parts(), epoch=2)
    other = Run(5)
    other.scheduler = Interrupted(other.optimizer, 2)
    before = other.state()
    with pytest.raises(KeyboardInterrupt):
        Checkpoint(tmp_path / "run").load(**other.parts())
    assert_same(other.state(), before)


def test_what_was_not_saved_cannot_be_loaded(tmp_path):
    run, checkpoint = Run(0), Checkpoint(tmp_path / "run")
    checkpoint.save(model=run.model, history=[])
    with pytest.raises(ValueError, match=r"holds no optimizer, but only model, history, random\.library"):
        checkpoint.load(model=run.model, optimizer=run.optimizer)
    with pytest.raises(ValueError, match=r"holds no generators\.test"):
        checkpoint.load(model=run.model, generators={"test": run.loader.rng})


def test_a_file_of_weights_is_told_apart(tmp_path):
    run = Run(0)
    nn.save(run.model, tmp_path / "w", {"a": "b"})
    with pytest.raises(ValueError, match=r"w holds only weights, .* not a checkpoint.*nn\.load\(path\)"):
        Checkpoint(tmp_path / "w").load(model=run.model)


@pytest.mark.parametrize("share", np.linspace(0, 1, 21, endpoint=False))
def test_a_cut_file_changes_nothing(tmp_path, share):
    Checkpoint(tmp_path / "run").save(**trained(1).parts(), epoch=1)
    content = (tmp_path / "run").read_bytes()
    (tmp_path / "run").write_bytes(content[: int(share * len(content))])
    other = Run(5)
    before = other.state()
    with pytest.raises(ValueError, match="cannot be read as a safetensors file"):
        Checkpoint(tmp_path / "run").load(**other.parts())
    assert_same(other.state(), before)


@pytest.mark.parametrize("position", [*range(8, 600, 37), *range(0, -2000, -111)])
def test_a_changed_byte_changes_nothing(tmp_path, position):
    Checkpoint(tmp_path / "run").save(**trained(1).parts(), epoch=1)
    content = bytearray((tmp_path / "run").read_bytes())
    content[position] ^= 1
    (tmp_path / "run").write_bytes(content)
    other = Run(5)
    before = other.state()
    with pytest.raises(ValueError, match="run"):
        Checkpoint(tmp_path / "run").load(**other.parts())
    assert_same(other.state(), before)


def write(path, text):
    """A file with any JSON in the place of a checkpoint's."""
    nn.save({}, path, {STATES_KEY: text, CHECKSUM_KEY: checksum({}, {STATES_KEY: text})})


DAMAGED = ["", "[]", "{}", '{"epoch": 1}', '{"epoch": 1, "states": {"model": {"array": "x"}}}', "[" * 100_000]
DAMAGED += ['{"epoch": 1, "states": {"model": {"dict": [[[], 1]]}}}', '{"epoch": 1, "states": {"model": {"dict": 1}}}']
DAMAGED += ['{"epoch": "x", "states": {}}', '{"epoch": 1, "states": {"model": {}}}', '{"epoch": 1, "states": []}']
NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "1.5", "-1", "true", "null", "[]", "9" * 50, "9" * 5000, '"1"']
DAMAGED += [f'{{"epoch": {number}, "states": {{}}}}' for number in NUMBERS]
IN_STATES = ["1e999", "-Infinity", "NaN", "9" * 50, "9" * 5000, '{"float": "1e999"}', '{"float": 1}', '{"set": []}']
IN_STATES += ['{"dict": [[0.5, 1]]}', '{"dict": [[null, 1]]}', '{"dict": [["\\ud800", 1]]}']
DAMAGED += [f'{{"epoch": 1, "states": {{"model": {{"list": [{number}]}}}}}}' for number in IN_STATES]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_skeleton_is_refused(tmp_path, text):
    write(tmp_path / "run", text)
    with pytest.raises(ValueError, match="run is a damaged checkpoint"):
        Checkpoint(tmp_path / "run").load(model=nn.Linear(1, 1))


@pytest.mark.parametrize("state", ["1", "null", '"text"', '{"list": []}', '{"dict": [["weight", 1]]}'])
def test_a_state_of_another_kind_is_refused(tmp_path, state):
    write(tmp_path / "run", f'{{"epoch": 1, "states": {{"model": {state}}}}}')
    with pytest.raises(ValueError, match="does not fit model, so nothing was loaded"):
        Checkpoint(tmp_path / "run").load(model=nn.Linear(1, 1))


def test_foreign_missing_and_unwritable_files(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run")
    assert not checkpoint.exists() and repr(checkpoint) == f"Checkpoint({str(tmp_path / 'run')!r})"
    for function in (checkpoint.metadata, partial(checkpoint.load, model=nn.Module())):
        with pytest.raises(FileNotFoundError, match="run"):
            function()
    (tmp_path / "run").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    assert checkpoint.exists()
    with pytest.raises(ValueError, match=r"run .* a PNG picture"):
        checkpoint.load(model=nn.Module())
    with pytest.raises(ValueError, match="folder"):
        Checkpoint(tmp_path).save(model=nn.Module())


def test_arguments_are_checked(tmp_path):
    checkpoint, model = Checkpoint(tmp_path / "run"), nn.Linear(1, 1)
    wrong = {
        "not an nn.Module": {"model": model.state_dict()},
        "'train' is a RandomState": {"model": model, "generators": {"train": np.random.RandomState(0)}},
        "history.0.note is a set": {"model": model, "history": [{"note": {1}}]},
        r"history.0: the key \(1,\) is a tuple": {"model": model, "history": [{(1,): 2}]},
        r"history.0: the key '\\ud800' has half of a surrogate pair": {"model": model, "history": [{"\ud800": 2}]},
        "history.0.epoch is an integer of 129 bits": {"model": model, "history": [{"epoch": 2**128}]},
        "must be strings": {"model": model, "metadata": {"epochs": 3}},
        "save: epoch is 1.5; it must be an integer": {"model": model, "epoch": 1.5},
        "history is a tuple; it must be a list": {"model": model, "history": ({"epoch": 1},)},
        r"save: epoch is -3; .* at least 0": {"model": model, "epoch": -3},
        f"{STATES_KEY}' belongs to the checkpoint itself": {"model": model, "metadata": {STATES_KEY: ""}},
        f"{CHECKSUM_KEY}' belongs to the checkpoint itself": {"model": model, "metadata": {CHECKSUM_KEY: ""}},
    }
    for message, arguments in wrong.items():
        with pytest.raises((TypeError, ValueError), match=message):
            checkpoint.save(**arguments)
    assert not checkpoint.exists()


def test_without_the_package_the_error_comes_before_the_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match="pip install"):
        Checkpoint("run")


keys = st.text("a.'0", max_size=4) | st.integers(0, 9)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
leaves |= st.sampled_from([np.arange(3.0), np.ones((2, 0), np.float32), np.array(7), np.array([True, False])])
states = st.recursive(
    leaves,
    lambda s: st.lists(s, max_size=3) | st.lists(s, max_size=3).map(tuple) | st.dictionaries(keys, s, max_size=3),
)


@given(states)
@example({"a.b": np.arange(2.0), "a": {"b": np.arange(3.0), "b'": np.arange(4.0)}, 0: np.ones(1), "0": np.ones(2)})
def test_a_state_is_taken_apart_and_put_together_exactly(state):
    arrays = {}
    text = json.dumps(take_out_arrays(state, "part", arrays), allow_nan=False)
    assert all(isinstance(array, np.ndarray) and name.startswith("part") for name, array in arrays.items())
    assert_same(put_back_arrays(json.loads(text), arrays), state)


def test_numbers_of_numpy_become_those_of_python():
    state = [np.float32(0.1), np.float64(0.1), np.int64(3), np.bool_(True), np.float32("-inf")]
    words = {"float": "-Infinity"}
    assert_same(take_out_arrays(state, "", {})["list"], [float(np.float32(0.1)), 0.1, 3, True, words])
