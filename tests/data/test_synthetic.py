import numpy as np
import pytest

from tinygrad_edu.data import synthetic, synthetic_digits


@pytest.fixture(scope="module")
def digits():
    return synthetic_digits(4000, seed=1)


@pytest.mark.parametrize("n", [0, 1, 13, np.int64(20)])
def test_shapes_and_dtypes(n):
    images, labels = synthetic_digits(n)
    assert images.shape == (n, 28, 28) and images.dtype == np.uint8
    assert labels.shape == (n,) and labels.dtype == np.uint8


def test_a_seed_repeats_the_images_and_another_does_not():
    images, labels = synthetic_digits(50, seed=4)
    again, labels_again = synthetic_digits(50, seed=4)
    other, labels_other = synthetic_digits(50, seed=5)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, labels_again)
    assert (labels != labels_other).any() and (images != other).any()


def test_labels_are_balanced_and_shuffled(digits):
    labels = digits[1]
    assert np.bincount(labels).tolist() == [400] * 10
    assert np.bincount(labels[:1000]).min() > 60
    assert np.bincount(synthetic_digits(13)[1]).tolist() == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]


def test_no_two_images_are_alike(digits):
    assert len(np.unique(digits[0].reshape(4000, -1), axis=0)) == 4000


def test_grey_levels_are_like_those_of_mnist(digits):
    images = digits[0] / 255
    assert 0.11 < images.mean() < 0.15 and 0.28 < images.std() < 0.33
    assert (images == 0).mean() > 0.6
    assert (images.max((1, 2)) == 1).mean() > 0.9
    assert ((images > 0.1) & (images < 0.9)).mean() > 0.05


def test_digits_stay_inside_the_picture(digits):
    inside = digits[0].copy()
    inside[:, 1:-1, 1:-1] = 0
    assert (inside.max((1, 2)) > 100).mean() < 0.03


def test_memory_is_bounded_by_chunks(monkeypatch):
    sizes = []
    draw = synthetic.draw_digits
    monkeypatch.setattr(synthetic, "CHUNK", 16)

    def counted(labels, rng):
        sizes.append(len(labels))
        return draw(labels, rng)

    monkeypatch.setattr(synthetic, "draw_digits", counted)
    synthetic_digits(40)
    assert sizes == [16, 16, 8]


def test_learnable_but_not_trivial(digits):
    def features(images):
        return np.c_[images.reshape(len(images), -1) / 255, np.ones(len(images))]

    images, labels = digits
    x, y = features(images), np.eye(10)[labels]
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(785), x.T @ y)
    test_images, test_labels = synthetic_digits(1000, seed=2)
    accuracy = ((features(test_images) @ weights).argmax(1) == test_labels).mean()
    assert 0.7 < accuracy < 0.92


@pytest.mark.parametrize(("n", "error"), [(-1, ValueError), (2.0, TypeError), ("3", TypeError)])
def test_bad_n(n, error):
    with pytest.raises(error, match="synthetic_digits: n is"):
        synthetic_digits(n)
