import re

import numpy as np
import pytest
from demo_runs import import_demo, run, write_mnist

from tinygrad_edu import nn
from tinygrad_edu.data import synthetic_digits


def test_the_program(folder, tmp_path):
    result = run("cnn", "--data-dir", folder, "--epochs", "1", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "") and "parameters: 18,378\ntime" in result.stdout


def test_one_epoch_reads_most_digits(tmp_path, capsys):
    folder = write_mnist(tmp_path / "digits", *synthetic_digits(4000, seed=1), *synthetic_digits(500, seed=2))
    import_demo("cnn").main(["--data-dir", str(folder), "--epochs", "1", "--batch-size", "25", "--lr", "0.002"])
    last = re.search(r"test accuracy: (\d+\.\d\d)%\nparameters: 18,378\ntime", capsys.readouterr().out)
    assert last and float(last[1]) > 88


def test_the_loop_is_told_everything(folder, monkeypatch):
    demo, told, modes, forward = import_demo("cnn"), {}, [], nn.Conv2d.forward

    def spied(model, train, **options):
        told.update(options, model=model, train=train)

    monkeypatch.setattr(demo, "fit", spied)
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: modes.append(self.training) or forward(self, x))
    argv = ["--data-dir", str(folder), "--epochs", "7", "--lr", "0.25", "--batch-size", "9", "--checkpoint", "run"]
    demo.main(argv)
    assert told["optimizer"].lr == 0.25 and told["epochs"] == told["scheduler"].T_max == 7
    assert told["scheduler"].optimizer is told["optimizer"] and str(told["checkpoint"]) == "run"
    assert told["train"].shuffle and told["train"].batch_size == 9
    assert len(told["train"].labels) == 550 and len(told["validation"].labels) == 50
    assert set(modes) == {False}  # for the test images


def test_one_seed_gives_the_same_numbers(folder, capsys):
    demo, outputs = import_demo("cnn"), []
    for seed in ("0", "0", "1"):
        demo.main(["--data-dir", str(folder), "--epochs", "1", "--seed", seed])
        outputs.append(re.search("test accuracy.*", capsys.readouterr().out)[0])
    assert outputs[0] == outputs[1] != outputs[2]


def test_shapes():
    demo = import_demo("cnn")
    x = demo.prepared(np.zeros((3, 28, 28), np.uint8))
    assert x.shape == (3, 1, 28, 28) and x.dtype == np.float32
    assert demo.build()(x).shape == (3, 10)


@pytest.mark.parametrize(
    "options", [["--epochs", "0"], ["--lr", "-1"], ["--lr", "nan"], ["--batch-size", "x"], ["--dataset", "cifar"]]
)
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        import_demo("cnn").main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*not a folder"):
        import_demo("cnn").main(["--data-dir", str(tmp_path / "none")])


def test_a_checkpoint_without_a_folder_is_refused_before_the_training(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        import_demo("cnn").main(["--checkpoint", str(tmp_path / "none" / "run")])
    assert "argument --checkpoint: there is no folder" in capsys.readouterr().err
