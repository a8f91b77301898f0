import re

import numpy as np
import pytest
from demo_runs import import_demo, run


def test_end_to_end_on_synthetic_digits(tmp_path):
    options = ["--dataset", "synthetic", "--epochs", "1", "--batch-size", "100"]
    result = run("cnn", *options, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    last = re.search(r"test accuracy: (\d+\.\d\d)% \(synthetic digits\)\nparameters: 18,378\ntime", result.stdout)
    assert last and float(last[1]) > 93


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


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--lr", "-1"], ["--batch-size", "x"], ["--dataset", "cifar"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        import_demo("cnn").main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*not a folder"):
        import_demo("cnn").main(["--data-dir", str(tmp_path / "none")])
