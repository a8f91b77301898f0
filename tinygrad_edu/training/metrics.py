"""Metrics: how often a classifier is right, and which classes it confuses.

Labels are integers from 0. Predictions are labels, or scores (logits or probabilities) with one more axis, whose
largest entry decides. All arguments may be arrays, lists or Tensors; the results are plain numbers and arrays.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.arrays import home
from tinygrad_edu.checks import check_int, refuse_mask
from tinygrad_edu.engine import plain
from tinygrad_edu.ops import Operand

__all__ = ["accuracy", "confusion_matrix", "most_confused_pair"]

MOST_CLASSES = 20_000  # 3 GB


def accuracy(predictions: Operand, labels: Operand) -> float:
    """Share of the predictions that are right, from 0 to 1.

    Args:
        predictions: Scores of shape (n, classes), or labels of shape (n,).
        labels: True labels of shape (n,).

    Raises:
        TypeError: Labels that are not whole numbers, or masked entries.
        ValueError: Shapes that do not fit, no examples, scores of NaN, or labels below 0 or without a score.
    """
    predicted, true = predicted_and_true(predictions, labels)
    if not true.size:
        raise ValueError("accuracy: there are no examples, so there is no share of right ones")
    scores = np.shape(plain(predictions))
    if len(scores) > true.ndim and true.max() >= scores[-1]:
        raise ValueError(f"accuracy: labels run to {true.max()}, but {scores[-1]} scores are of the classes from 0")
    return float((predicted == true).mean())


def confusion_matrix(predictions: Operand, labels: Operand, classes: int | None = None) -> NDArray[np.intp]:
    """Counts of each pair of true and predicted label.

    Args:
        predictions, labels: As for accuracy.
        classes: Number of classes; if None, that of the scores, else one more than the largest label.

    Returns:
        Integers of shape (classes, classes): rows are true labels, columns predicted ones; right ones on the diagonal.

    Raises:
        TypeError: Labels or `classes` that are not whole numbers, or masked entries.
        ValueError: Shapes that do not fit, scores of NaN, or labels outside of 0 to classes - 1.
    """
    if classes is not None:
        classes = check_int("confusion_matrix: classes", classes, 0, wrong_type=TypeError)
    predicted, true = predicted_and_true(predictions, labels)
    if classes is None:
        scores = np.shape(plain(predictions))
        classes = scores[-1] if len(scores) > true.ndim else 1 + max(predicted.max(initial=-1), true.max(initial=-1))
    for name, values in (("predictions", predicted), ("labels", true)):
        if values.size and values.max() >= classes:
            raise ValueError(
                f"confusion_matrix: {name} run from {values.min()} to {values.max()}, but {classes} classes are "
                f"numbered 0 to {classes - 1}"
            )
    if classes > MOST_CLASSES:
        raise ValueError(f"confusion_matrix: {classes} classes would need {classes}**2 counts; are these labels?")
    counts = np.bincount((true * classes + predicted).ravel(), minlength=classes * classes)
    return counts.reshape(classes, classes)


def most_confused_pair(matrix: ArrayLike) -> tuple[int, int, int]:
    """The most common mistake in a confusion matrix; of equally common ones, the first.

    Args:
        matrix: Counts of shape (classes, classes) from confusion_matrix, with at least two classes.

    Returns:
        (true label, predicted label, count); the count is 0 if there is no mistake.

    Raises:
        TypeError: Entries that are not counts, as in a matrix that was normalized.
        ValueError: The matrix is not square, has fewer than two classes, or negative entries.
    """
    refuse_mask("most_confused_pair", matrix)
    counts = np.asarray(plain(matrix))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise ValueError(f"most_confused_pair: needs a square matrix of two or more classes, got {counts.shape}")
    mistakes = as_integers(counts, "most_confused_pair: entries", "counts")
    if mistakes.min() < 0:
        raise ValueError(f"most_confused_pair: an entry is {mistakes.min()}; counts are at least 0")
    np.fill_diagonal(mistakes, -1)
    true, predicted = divmod(int(mistakes.argmax()), len(mistakes))
    return true, predicted, int(mistakes[true, predicted])


def predicted_and_true(predictions: Operand, labels: Operand) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Predicted and true labels as integers of one shape."""
    predicted, true = as_array("predictions", predictions), as_array("labels", labels)
    if predicted.ndim == true.ndim + 1 and predicted.shape[:-1] == true.shape:
        if predicted.shape[-1] < 2:
            raise ValueError(
                f"predictions of shape {predicted.shape} have one score per example, and its class is always 0; "
                "compare it with a threshold, for example (scores[:, 0] > 0).astype(int)"
            )
        if predicted.dtype.kind not in "biuf":
            raise TypeError(
                f"predictions of dtype {predicted.dtype} and shape {predicted.shape} are not scores: numbers"
            )
        if np.isnan(predicted).any():
            raise ValueError(f"predictions of shape {predicted.shape} have scores of NaN, none of which is the largest")
        predicted = predicted.argmax(axis=-1)
    if predicted.shape != true.shape:
        raise ValueError(
            f"predictions of shape {predicted.shape} do not fit labels of shape {true.shape}; for labels (n,) "
            "predictions are scores (n, classes) or labels (n,)"
        )
    if true.ndim == 2 and true.shape[1] > 1 and true.size and is_one_hot(true):
        raise ValueError(
            f"labels of shape {true.shape} have a single 1 in each row, as one-hot labels; use labels.argmax(axis=-1), "
            "and predictions as scores (n, classes) or labels (n,)"
        )
    integers = as_integers(predicted, "predictions", "labels"), as_integers(true, "labels", "labels")
    for name, values in zip(("predictions", "labels"), integers, strict=True):
        if values.size and values.min() < 0:
            raise ValueError(f"{name} run from {values.min()} to {values.max()}, but classes are numbered from 0")
    return integers


def as_array(name: str, values: Operand) -> np.ndarray:
    """Predictions or labels as an array."""
    refuse_mask(name, values)
    try:
        return np.asarray(home(plain(values)))
    except ValueError as error:
        raise ValueError(f"{name} are not an array: {error}") from None


def is_one_hot(values: np.ndarray) -> bool:
    """Whether each row has a single 1 and else zeros."""
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=-1) == 1).all())


def as_integers(values: np.ndarray, name: str, what: str) -> NDArray[np.intp]:
    """A copy of labels or counts, as integers."""
    with np.errstate(invalid="ignore"):
        integers = values.astype(np.intp) if values.dtype.kind in "biuf" else np.zeros(values.shape, np.intp)
    if values.dtype.kind not in "biuf" or (integers != values).any():  # NaN, fractions, and what wraps around: 1e19
        raise TypeError(f"{name} of dtype {values.dtype} and shape {values.shape} are not {what}: whole numbers from 0")
    return integers


def __dir__() -> list[str]:
    return __all__
