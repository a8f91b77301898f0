"""The digits that a lesson trains on: MNIST where it can be had, else synthetic ones, and always with their name."""

from __future__ import annotations

from typing import Literal, get_args

from tinygrad_edu.checks import check_choice
from tinygrad_edu.data.mnist import MNIST, MNISTNotFoundError, load_mnist
from tinygrad_edu.data.synthetic import synthetic_digits
from tinygrad_edu.files import StrPath

__all__ = ["load_digits"]

Source = Literal["auto", "mnist", "synthetic"]


def load_digits(source: Source = "auto", root: StrPath | None = None) -> tuple[str, MNIST]:
    """Loads MNIST; where neither its files nor the network are there, draws digits and prints that it did.

    Args:
        source: "mnist" or "synthetic" for one of the two; "auto" for the first that is there.
        root: Folder with the files of MNIST; see load_mnist.

    Returns:
        The name, "MNIST" or "synthetic digits", which belongs beside every figure that is made with them; and the
        arrays (train_images, train_labels, test_images, test_labels): 20,000 and 4,000 images if synthetic.

    Raises:
        MNISTNotFoundError: MNIST is asked for and is not there.
        FileNotFoundError: `root` or TINYGRAD_EDU_DATA lacks files; synthetic digits do not make up for that.
        ValueError: A damaged file, fewer than 2 images to train on or none to test, or another source.
    """
    check_choice("load_digits: source", source, get_args(Source))
    if source != "synthetic":
        try:
            digits = load_mnist(root)
        except MNISTNotFoundError as error:
            if source == "mnist":
                raise
            print(f"{error}\n\nSo this run uses synthetic digits; its figures say nothing about MNIST.\n")
        else:
            train, test = len(digits.train_labels), len(digits.test_labels)
            if train < 2 or test < 1:
                raise ValueError(f"need 2 images to train and 1 to test, got {train} and {test}")
            return "MNIST", digits
    return "synthetic digits", MNIST(*synthetic_digits(20_000, seed=1), *synthetic_digits(4_000, seed=2))
