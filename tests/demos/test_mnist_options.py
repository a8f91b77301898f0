"""Options of demos/mnist_more.py: recipes, and what is refused."""

import json
import math
import sys

import pytest
from demo_runs import import_demo, refused, write_mnist

from tinygrad_edu import nn
from tinygrad_edu.data import synthetic_digits
from tinygrad_edu.training import Checkpoint

for package in ("matplotlib", "tqdm", "safetensors"):
    pytest.importorskip(package)


def test_the_recipe_is_a_set_of_defaults(more, tmp_path):
    args = more.parse(["--recipe", "best", "--epochs", "3", "--out", str(tmp_path)])
    assert args.augment and args.batch_norm and args.dropout > 0 and args.scheduler == "cosine"
    assert args.epochs == 3
    args = more.parse(["--recipe", "best", "--no-augment", "--no-batch-norm", "--out", str(tmp_path)])
    assert not args.augment and not args.batch_norm and args.dropout > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--batch-norm", "--batch-size", "1"], "--batch-norm needs 2 examples"),
        (["--hidden", "--dropout", "0.5"], "need hidden layers"),
        (["--batch-norm", "--hidden"], "need hidden layers"),
    ],
)
def test_options_that_do_not_go_together(more, capsys, options, words):
    assert words in refused(more, capsys, *options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--dropout", "1"),
        ("--dropout", "-0.1"),
        ("--dropout", "half"),
        ("--weight-decay", "nan"),
        ("--scheduler", "linear"),
        ("--patience", "0"),
        ("--init", "ones"),
        ("--recipe", "worst"),
    ],
)
def test_wrong_values_are_refused_by_name(more, capsys, option, value):
    message = refused(more, capsys, option, value)
    assert f"argument {option}: " in message.splitlines()[-1]


NONSENSE = {
    "hidden": [[10**12], [-1], [1.5], ["x"], [[1]], 7, "7", None, [True], "--epochs"],
    "activation": ["none", None, 3, ["relu"]],
    "init": ["ones", {}],
    "batch_norm": [1, "yes", None],
    "optimizer": ["\x1b[31m", []],
    "dropout": [1e999, -1, 2, "0.5", math.nan, None],
    "lr": [1e300, 0, "x"],
    "epochs": [10**30, 1e999, 0, 1.0],
    "batch_size": [0, True],
    "seed": [-1, 1.5],
    "dataset": ["\ud800", 1],
}


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("command", ["predict", "--resume"])
def test_a_run_with_nonsense_in_its_options_is_refused(more, capsys, tmp_path, name, command):
    path, out = tmp_path / "run", ["--out", str(tmp_path)]
    good = {**vars(more.new_parser().parse_args(out)), "labels": 7, "dataset": "synthetic"}
    options = {option: good[option] for option in more.SAVED}
    more.check_options(path, options)
    for value in NONSENSE[name]:
        text = json.dumps(options | {name: value})
        Checkpoint(path).save(model=nn.Linear(1, 1), epoch=1, metadata={"options": text})
        message = refused(more, capsys, command, path, *(["a.png"] if command == "predict" else out))
        line = message.splitlines()[-1]
        assert "is not a run of this demo: among its options is an impossible one" in line
        assert name in line.replace("-", "_")
        assert line.isprintable()


@pytest.mark.parametrize("text", ["", "[]", "9" * 5000, "7", "{}", "null", "[" * 100_000])
def test_options_that_are_none(more, capsys, tmp_path, text):
    path = tmp_path / "run"
    Checkpoint(path).save(model=nn.Linear(1, 1), epoch=1, metadata={"options": text})
    assert "is not a run of this demo" in refused(more, capsys, "predict", path, "a.png")


def test_batch_norm_needs_two_images_to_train_on(more, capsys, tmp_path):
    two = write_mnist(tmp_path / "two", *synthetic_digits(2), *synthetic_digits(1))
    message = refused(more, capsys, "--data-dir", two, "--out", tmp_path, "--batch-norm")
    assert message == "error: --batch-norm needs 2 images to train on, and of 2 one is for validation"


@pytest.mark.parametrize(
    ("package", "argv"),
    [("matplotlib", []), ("safetensors", []), ("tqdm", []), ("safetensors", ["predict", "run", "a.png"])],
)
def test_a_missing_package_is_named_with_the_command(package, argv, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=rf'needs {package}.*pip install -e "\.\[demos\]"'):
        import_demo("mnist_more").main(argv)
