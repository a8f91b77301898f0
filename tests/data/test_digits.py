import numpy as np
import pytest
from demo_runs import write_mnist

from tinygrad_edu.data import MNISTNotFoundError, load_digits, synthetic_digits


def test_the_files_of_mnist(cache, tmp_path):
    arrays = [*synthetic_digits(4, seed=1), *synthetic_digits(3, seed=2)]
    name, digits = load_digits("auto", write_mnist(tmp_path / "files", *arrays))
    assert name == "MNIST"
    for found, expected in zip(digits, arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_files_and_network_it_says_so(cache, capsys):
    name, (images, labels, test_images, test_labels) = load_digits()
    assert name == "synthetic digits"
    assert "this run uses synthetic digits" in capsys.readouterr().out
    assert images.shape == (20_000, 28, 28) and labels.shape == (20_000,)
    assert test_images.shape == (4_000, 28, 28) and test_labels.shape == (4_000,)
    with pytest.raises(MNISTNotFoundError):
        load_digits("mnist")


def test_synthetic_digits_need_no_words(cache, capsys):
    assert load_digits("synthetic")[0] == "synthetic digits"
    assert capsys.readouterr().out == ""


def test_errors(cache, tmp_path):
    with pytest.raises(ValueError, match="source is 'cifar'; it must be 'auto', 'mnist' or 'synthetic'"):
        load_digits("cifar")
    folder = write_mnist(tmp_path / "files", *synthetic_digits(1), *synthetic_digits(1))
    with pytest.raises(ValueError, match="need 2 images to train and 1 to test, got 1 and 1"):
        load_digits("auto", folder)
