import functools
import itertools

import numpy as np
import pytest
from fit_runs import RNG, WRONG, Augment, Run, X, Y, assert_same_bits, flat, simple, without_seconds

from tinygrad_edu import Tensor, data, nn, optim
from tinygrad_edu.training import Checkpoint, EarlyStopping


def adamw(params, lr):
    return optim.AdamW(params, lr, weight_decay=0.1)


def sgd(params, lr):
    return optim.SGD(params, lr, momentum=0.9)


RUNS = {
    "adam, cosine": {"schedule": lambda o: optim.CosineAnnealingLR(o, T_max=6), "stopping": EarlyStopping},
    "sgd, plateau": {"optimizer": sgd, "schedule": lambda o: optim.ReduceLROnPlateau(o, patience=0, factor=0.5)},
    "rmsprop, stops": {"optimizer": optim.RMSprop, "stopping": lambda: EarlyStopping(patience=1), "lr": 0.1},
    "adamw, warm-up": {"optimizer": adamw, "schedule": lambda o: optim.LinearWarmup(o, then=optim.StepLR(o, 1))},
    "nadam, one cycle": {"optimizer": optim.NAdam, "schedule": lambda o: optim.OneCycleLR(o, 0.1, total_steps=6)},
    "adagrad, sequence": {
        "optimizer": optim.Adagrad,
        "schedule": lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.LambdaLR(o, lambda n: 0.5**n)], [2]),
    },
}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("cuts", [[1], [2, 3, 3, 5], [6]])
def test_a_resumed_run_is_the_same_to_the_bit(tmp_path, kind, cuts):
    pytest.importorskip("safetensors")
    whole = Run(**RUNS[kind])
    expected = whole.fit(6)
    for epochs in [*cuts, 6]:
        run = Run(**RUNS[kind])  # as a new process would make it
        history = run.fit(epochs, tmp_path / "run.safetensors")
    assert without_seconds(history) == without_seconds(expected)
    assert_same_bits(run.model.state_dict(), whole.model.state_dict())
    np.testing.assert_equal(run.optimizer.state_dict(), whole.optimizer.state_dict())
    if kind == "rmsprop, stops":
        assert len(expected) < 6


EXAMPLE = [line for line in data.augment.__doc__.splitlines() if line.startswith(("    augment =", "    train ="))]


def notebook():
    """The global variables of a notebook in which the example of augment.py was run."""
    names = {"np": np, "normalize": data.normalize, "RandomAffine": data.RandomAffine, "DataLoader": data.DataLoader}
    names |= {"images": RNG(0).integers(0, 256, (137, 28, 28), np.uint8), "labels": Y}
    exec("\n".join([line.strip() for line in EXAMPLE]), names)
    names["train"].rng.bit_generator.state = RNG(1).bit_generator.state  # for two runs that can be compared
    return names


def shuffled(transform=None, seed=0):
    return data.DataLoader(X, Y, 16, shuffle=True, transform=transform, seed=seed)


def enclosed():
    augment = Augment(0)
    return shuffled(lambda x: augment(x))


LOADERS = {
    "augment.py's example": lambda: notebook()["train"],
    "enclosed": enclosed,
    "partial": lambda: shuffled(functools.partial(Augment.__call__, Augment(0))),
    "method": lambda: shuffled(Augment(0).__call__),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_resuming_and_the_finder_know_the_generators_of_transforms(tmp_path, kind):
    pytest.importorskip("safetensors")

    def run(epochs, checkpoint=None, find=False):
        train, model = LOADERS[kind](), nn.Linear(784 if "example" in kind else 4, 3, rng=RNG(0))
        optimizer, loss = optim.Adam(model.parameters()), nn.CrossEntropyLoss()
        if find:
            optim.lr_finder(model, train, optimizer=optimizer, loss=loss, steps=3)
        options = {"optimizer": optimizer, "epochs": epochs, "checkpoint": checkpoint}
        history = simple(train, model=model, loss=loss, **options)
        return without_seconds(history), [array.tobytes() for array in model.state_dict().values()]

    expected = run(4)
    run(2, tmp_path / "run")
    assert run(4, tmp_path / "run") == expected
    assert run(4, find=True) == expected


def test_a_validation_loader_with_random_numbers_is_resumed_too(tmp_path):
    pytest.importorskip("safetensors")

    def run(epochs, checkpoint=None):
        validation = shuffled(Augment(0))
        return without_seconds(simple(epochs=epochs, validation=validation, checkpoint=checkpoint))

    run(2, tmp_path / "run")
    assert run(4, tmp_path / "run") == run(4)


def test_the_checkpoint_holds_the_model_that_fit_returns(tmp_path):
    pytest.importorskip("safetensors")
    model, other = flat(), flat()
    options = {"early_stopping": EarlyStopping(patience=2), "validation": WRONG, "checkpoint": tmp_path / "run"}
    simple(epochs=50, model=model, **options)
    assert Checkpoint(tmp_path / "run").load(model=other) == 3
    assert_same_bits(model.state_dict(), other.state_dict())


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ({"lr": 0.5}, {"lr": 0.01}, "lr 0.5, not 0.01. To begin anew, delete the file; to change it"),
        ({"schedule": lambda o: optim.CosineAnnealingLR(o, T_max=3)},
         {"schedule": lambda o: optim.CosineAnnealingLR(o, T_max=6)}, "CosineAnnealingLR.T_max 3, not 6. To"),
        ({"schedule": optim.ReduceLROnPlateau}, {"schedule": lambda o: optim.ReduceLROnPlateau(o, patience=3)},
         "ReduceLROnPlateau.patience 10, not 3. To"),
        ({"schedule": lambda o: optim.StepLR(o, 1), "lr": 0.5}, {"schedule": lambda o: optim.StepLR(o, 1), "lr": 0.1},
         "StepLR.base_lrs [0.5], not [0.1]. To"),
        ({"schedule": lambda o: optim.LinearWarmup(o, 1, then=optim.StepLR(o, 1))},
         {"schedule": lambda o: optim.LinearWarmup(o, 2, then=optim.StepLR(o, 2))},
         "LinearWarmup.total_iters 1, not 2; StepLR.step_size 1, not 2. To"),
        ({"schedule": lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.StepLR(o, 1)], [2])},
         {"schedule": lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.StepLR(o, 2)], [3])},
         "SequentialLR.milestones [2], not [3]; StepLR.step_size 1, not 2. To"),
        ({"optimizer": optim.Adam, "schedule": lambda o: optim.OneCycleLR(o, 0.1, total_steps=5)},
         {"optimizer": optim.Adam, "schedule": lambda o: optim.OneCycleLR(o, 0.1, total_steps=6)},
         "OneCycleLR.total_steps 5, not 6. To"),
        ({"optimizer": lambda p, lr: optim.SGD([{"params": list(p), "momentum": 0.5}, {"params": Tensor([1.0])}], lr)},
         {"optimizer": lambda p, lr: optim.SGD([{"params": list(p)}, {"params": Tensor([1.0])}], lr)},
         "momentum of param_groups[0] 0.5, not 0.0. To"),
    ],
)  # fmt: skip
def test_settings_that_differ_from_the_files_are_named(tmp_path, capsys, first, second, line):
    pytest.importorskip("safetensors")
    Run(**first).fit(2, tmp_path / "run")
    Run(**second).fit(3, tmp_path / "run", progress=True)
    assert f"\nfit: going on with the file's {line}" in capsys.readouterr().out
    Run(**second).fit(3, tmp_path / "run")
    Run(**first).fit(4, tmp_path / "run", progress=True)
    assert "the file's" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["schedule", "stopping"])
@pytest.mark.parametrize("first", [False, True])
def test_a_run_of_another_kind_is_not_resumed(tmp_path, name, first):
    pytest.importorskip("safetensors")
    kinds = [{}, {name: {"schedule": lambda o: optim.StepLR(o, 1), "stopping": EarlyStopping}[name]}]
    Run(**kinds[first]).fit(1, tmp_path / "run")
    other = Run(**kinds[not first])
    before = other.model.state_dict()
    was, now = ("with", "without") if first else ("without", "with")
    with pytest.raises(ValueError, match=f"run was begun {was} .*{name}.* and cannot go on {now} it, .* another file"):
        other.fit(2, tmp_path / "run")
    assert_same_bits(other.model.state_dict(), before)


def interrupt_in_the_middle(run, error):
    """Makes the third batch of the second epoch raise."""
    model, forward = run.model, run.model.forward
    batches, last = itertools.count(1), len(run.train) + 3

    def interrupted(x):
        if model.training and next(batches) == last:
            raise error
        return forward(x)

    model.forward = interrupted


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_goes_on_after_its_last_whole_epoch(tmp_path, error, capsys):
    pytest.importorskip("safetensors")
    checkpoint = Checkpoint(tmp_path / "run.safetensors")
    run = Run(**RUNS["adam, cosine"])
    interrupt_in_the_middle(run, error)
    with pytest.raises(error):
        run.fit(4, checkpoint)
    assert checkpoint.load(model=Run().model) == 1
    assert run.model.training
    run = Run(**RUNS["adam, cosine"])
    history = run.fit(4, checkpoint, progress=True)
    assert f"going on after epoch 1 of {checkpoint.path}" in capsys.readouterr().out
    whole = Run(**RUNS["adam, cosine"])
    assert without_seconds(history) == without_seconds(whole.fit(4))
    assert_same_bits(run.model.state_dict(), whole.model.state_dict())


def test_a_finished_run_is_only_read(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "run.safetensors"
    first = Run()
    history = first.fit(2, path)
    content, second = path.read_bytes(), Run()
    for epochs in (2, 1, 0):
        assert second.fit(epochs, path) == history
        assert_same_bits(first.model.state_dict(), second.model.state_dict())
    assert path.read_bytes() == content
