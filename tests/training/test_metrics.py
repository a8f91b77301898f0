import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_edu import Tensor
from tinygrad_edu.training import accuracy, confusion_matrix, most_confused_pair

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1).map(lambda p: np.array(p).T)


def test_accuracy_of_labels():
    assert accuracy([1, 0, 2, 9], [1, 0, 2, 7]) == 0.75
    assert type(accuracy(np.array([1, 1], np.uint8), [0, 0])) is float


@pytest.mark.parametrize("dtype", [np.float16, np.uint8, np.int8])
def test_counts_beyond_the_labels_dtype(dtype):
    true = np.ones(70_000, dtype)
    predicted = np.where(np.arange(70_000) < 300, 100, true).astype(dtype)
    assert accuracy(predicted, true) == pytest.approx(1 - 300 / 70_000, rel=1e-12)
    matrix = confusion_matrix(predicted, true)
    assert (matrix.shape, matrix[1, 1], matrix[1, 100]) == ((101, 101), 69_700, 300)
    assert accuracy(np.eye(3, dtype=dtype)[[1] * 70_000], true) == 1
    assert most_confused_pair(np.array([[0, 100], [99, 0]], dtype)) == (0, 1, 100)


@pytest.mark.parametrize("wrap", [np.array, Tensor, list])
def test_accuracy_of_scores(wrap):
    scores = [[0.1, 2.0, -1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.1], [5.0, 4.0, 3.0]]
    assert accuracy(wrap(scores), np.array([1, 0, 2, 1])) == 0.75
    assert confusion_matrix(wrap(scores), [1, 0, 2, 1]).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_labels_that_are_tensors():
    assert accuracy(Tensor([1.0, 2.0]), Tensor([1, 0])) == 0.5


@given(pairs)
def test_confusion_matrix_counts_pairs(pair):
    predicted, true = pair
    matrix = confusion_matrix(predicted, true, classes=5)
    assert matrix.shape == (5, 5)
    assert matrix.dtype.kind == "i"
    for i in range(5):
        for j in range(5):
            assert matrix[i, j] == sum((true == i) & (predicted == j))
    assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy(predicted, true))
    assert len(confusion_matrix(predicted, true)) == pair.max() + 1


def test_confusion_matrix_of_nothing():
    assert confusion_matrix([], [], classes=2).tolist() == [[0, 0], [0, 0]]
    assert confusion_matrix(np.zeros((0, 3)), []).shape == (3, 3)


def test_most_confused_pair():
    matrix = np.array([[50, 1, 0], [2, 40, 7], [0, 7, 30]])
    before = matrix.copy()
    assert most_confused_pair(matrix) == (1, 2, 7)
    np.testing.assert_array_equal(matrix, before)
    assert most_confused_pair(np.eye(3, dtype=int))[2] == 0
    assert most_confused_pair([[1.0, 4.0], [2.0, 3.0]]) == (0, 1, 4)
    assert most_confused_pair(confusion_matrix([4, 9, 9], [4, 4, 4], classes=10)) == (4, 9, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: accuracy([], []), ValueError, "no examples"),
        (lambda: accuracy([1, 2, 3], [1, 2]), ValueError, r"shape \(3,\) do not fit labels of shape \(2,\)"),
        (lambda: accuracy(np.zeros((2, 3)), np.zeros((2, 3), int)[:, :1]), ValueError, r"\(2, 3\) .* \(2, 1\)"),
        (lambda: accuracy(np.zeros((2, 1)), [0, 1]), ValueError, "one score per example"),
        (lambda: accuracy([0.2, 0.9], [0, 1]), TypeError, "predictions of dtype float64 .* not labels"),
        (lambda: accuracy(["a"], ["a"]), TypeError, "not labels"),
        (lambda: accuracy([np.nan], [0]), TypeError, "not labels"),
        (lambda: accuracy([np.inf], [0]), TypeError, "not labels"),
        (lambda: accuracy([1e19], [2e19]), TypeError, "not labels"),
        (lambda: accuracy(np.array([2**63], np.uint64), [-(2**63)]), TypeError, "not labels"),
        (lambda: confusion_matrix([0], [0], classes=3.0), TypeError, "classes is 3.0; it must be an integer"),
        (lambda: most_confused_pair([[5, 0.9], [0.2, 3]]), TypeError, "entries of dtype float64 .* not counts"),
        (lambda: confusion_matrix([0, 3], [0, 1], classes=3), ValueError, "predictions run from 0 to 3, but 3 classes"),
        (lambda: confusion_matrix([0, 1], [0, -1]), ValueError, "labels run from -1 to 0"),
        (lambda: most_confused_pair(np.zeros((2, 3))), ValueError, r"square .* got \(2, 3\)"),
        (
            lambda: accuracy([-1, 0], [-1, 0]),
            ValueError,
            "predictions run from -1 to 0, but classes are",
        ),
        (lambda: accuracy([1, 0], [-5, 0]), ValueError, "labels run from -5 to 0"),
        (lambda: accuracy(np.eye(3), [0, 1, 7]), ValueError, "labels run to 7, but 3 scores"),
        (lambda: accuracy([[0.1, np.nan]], [0]), ValueError, r"\(1, 2\) have scores of NaN"),
        (lambda: confusion_matrix([[0.1, np.nan]], [0]), ValueError, "scores of NaN"),
        (lambda: accuracy([[1j, 0]], [0]), TypeError, "dtype complex128 .* not scores"),
        (lambda: accuracy([["a", "b"]], [0]), TypeError, "not scores"),
        (lambda: accuracy(np.ma.masked_equal([0, 1], 1), [0, 1]), TypeError, "predictions: some entries are masked"),
        (lambda: confusion_matrix([0, 1], np.ma.masked_equal([0, 1], 1)), TypeError, "labels: some entries are masked"),
        (lambda: confusion_matrix([0], [0], classes=True), TypeError, "classes is True"),
        (lambda: most_confused_pair([[1, -3], [0, 1]]), ValueError, "an entry is -3; counts are at least 0"),
        (lambda: most_confused_pair(np.ma.masked_equal([[1, 3], [0, 1]], 3)), TypeError, "some entries are masked"),
        (lambda: most_confused_pair([[5]]), ValueError, "two or more classes"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("dtype", [int, float, bool])
@pytest.mark.parametrize("metric", [accuracy, confusion_matrix])
def test_one_hot_labels_are_not_labels(metric, dtype):
    labels = np.array([0, 1, 2, 1])
    one_hot = np.eye(3, dtype=dtype)[labels]
    for predictions in (one_hot, np.zeros((4, 3), int), np.eye(3)[labels]):
        with pytest.raises(
            ValueError, match=r"labels of shape \(4, 3\) have a single 1 in each row.*argmax\(axis=-1\)"
        ):
            metric(predictions, one_hot)
    assert accuracy(one_hot, labels) == 1 and accuracy(labels[:, None], labels[:, None]) == 1


@pytest.mark.parametrize("metric", [accuracy, confusion_matrix])
def test_masks_in_lists_and_ragged_lists(metric):
    for wrong in ([np.ma.masked, 1], [np.ma.array([1, 2], mask=[1, 0]), [1, 2]]):
        with pytest.raises(TypeError, match="some entries are masked"):
            metric(wrong, [0, 1])
    with pytest.raises(ValueError, match="predictions are not an array"):
        metric([[1, 2], [3]], [0, 1])
    with pytest.raises(TypeError, match="most_confused_pair: some entries are masked"):
        most_confused_pair([np.ma.array([1, 2], mask=[1, 0]), [3, 4]])
    assert most_confused_pair(Tensor([[1, 2], [3, 4]])) == (1, 0, 3)


@pytest.mark.parametrize("label", [10**6, 10**9, 2**40])
def test_a_label_that_is_none_does_not_take_all_memory(label):
    with pytest.raises(ValueError, match=f"confusion_matrix: {label + 1} classes would need .* are these labels"):
        confusion_matrix([label], [label])
