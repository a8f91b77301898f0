"""Options of demos/mnist_more.py: recipes, and what is refused."""

import sys

import pytest
from demo_runs import import_demo, refused

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


@pytest.mark.parametrize(
    ("package", "argv"),
    [("matplotlib", []), ("safetensors", []), ("tqdm", []), ("safetensors", ["predict", "run", "a.png"])],
)
def test_a_missing_package_is_named_with_the_command(package, argv, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=rf"needs {package}.*pip install tinygrad-edu\[demos\]"):
        import_demo("mnist_more").main(argv)
