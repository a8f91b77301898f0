import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.data import synthetic_digits


def test_every_remedy_does_what_is_said_of_it(monkeypatch):
    demo = import_demo("regularization")
    monkeypatch.setattr(demo, "HIDDEN", 64)
    training, validation = synthetic_digits(100, seed=1), synthetic_digits(200, seed=2)
    models, last, lowest = {}, {}, {}
    for name, options in demo.METHODS.items():
        models[name], history = demo.train(training, validation, 60, 0, **options)
        last[name], lowest[name] = history[-1], min(history["val_loss"])
    assert last["none"]["train_accuracy"] == 1 and last["none"]["val_accuracy"] < 0.9  # overfits
    assert last["none"]["val_loss"] > lowest["none"]
    ends = {name: demo.measure("val", model, *validation)["val_loss"] for name, model in models.items()}
    assert (
        ends["augmentation"] == min(ends.values())
        and max(ends[name] for name in ("L2", "L1", "early stopping")) < ends["none"]
    )
    assert lowest["dropout"] < 0.95 * lowest["none"] and ends["dropout"] > 1.1 * lowest["dropout"]
    size = {name: np.linalg.norm(model[0].weight.data) for name, model in models.items()}
    assert size["L2"] < 0.9 * size["none"]
    assert demo.near_zero(models["L1"]) > 4 * demo.near_zero(models["none"])
    assert ends["early stopping"] == pytest.approx(lowest["early stopping"])
    assert last["early stopping"]["epoch"] < last["none"]["epoch"]


def test_the_strongest_units_come_first():
    demo = import_demo("regularization")
    model = demo.nn.MLP([784, 3, 10])
    model[0].weight.assign(np.repeat([[1.0], [-3.0], [2.0]], 784, axis=1).astype(np.float32))
    np.testing.assert_array_equal(demo.strongest(model, 2)[:, 0, 0], [-3, 2])


def test_the_table_and_the_pictures(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    out = tmp_path / "new" / "folder"
    import_demo("regularization").main(["--epochs", "2", "--images", "100", "--out", str(out)])
    text = capsys.readouterr().out
    assert "784-512-10 on 100 images of MNIST, validated on 500 others" in text
    assert len([line for line in text.splitlines() if line.endswith("%")]) == 6
    for name in ("regularization.png", "regularization_weights.png"):
        assert str(out / name) in text and (out / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--images", "0"], ["--seed", "-1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        import_demo("regularization").main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err.splitlines()[-1]
