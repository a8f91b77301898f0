import numpy as np
import pytest

from tinygrad_edu.data import DataLoader, normalize

IMAGES = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2)
LABELS = np.arange(10, dtype=np.uint8)


def epoch(loader):
    return [label for _, labels in loader for label in labels.tolist()]


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (10, 5, False, [5, 5]),
        (10, 5, True, [5, 5]),
        (10, 11, False, [10]),
        (10, 11, True, []),
        (0, 3, False, []),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_batch_sizes(n, batch_size, drop_last, sizes, shuffle):
    loader = DataLoader(IMAGES[:n], LABELS[:n], batch_size, shuffle, drop_last=drop_last)
    assert len(loader) == len(sizes)
    assert [len(images) for images, _ in loader] == sizes
    assert [len(labels) for _, labels in loader] == sizes


def test_in_order_without_shuffle():
    loader = DataLoader(IMAGES, LABELS, 3, seed=1)
    assert epoch(loader) == epoch(loader) == LABELS.tolist()


def test_shuffle_keeps_pairs_and_visits_each_example_once():
    batches = DataLoader(IMAGES, LABELS, 3, shuffle=True, seed=0)
    images, labels = map(np.concatenate, zip(*batches, strict=True))
    assert sorted(labels) == LABELS.tolist() != labels.tolist()
    np.testing.assert_array_equal(images, IMAGES[labels])


def test_epochs_differ_and_a_seed_repeats_them():
    first, second = (DataLoader(IMAGES, LABELS, shuffle=True, seed=3) for _ in range(2))
    third = DataLoader(IMAGES, LABELS, shuffle=True, rng=np.random.default_rng(3))
    epochs = [epoch(first), epoch(first)]
    assert epochs[0] != epochs[1]
    assert [epoch(second), epoch(second)] == [epoch(third), epoch(third)] == epochs


def test_the_order_is_drawn_by_iter():
    loader = DataLoader(IMAGES, LABELS, shuffle=True, seed=3)
    early, late = iter(loader), iter(loader)
    expected = DataLoader(IMAGES, LABELS, shuffle=True, seed=3)
    assert [epoch(late), epoch(early)] == [epoch(expected), epoch(expected)][::-1]


@pytest.mark.parametrize("shuffle", [False, True])
def test_writing_to_a_batch_leaves_the_data_alone(shuffle):
    data = IMAGES.copy(), LABELS.copy()
    for images, labels in DataLoader(*data, batch_size=3, shuffle=shuffle):
        images[:] = 0
        labels[:] = 0
    np.testing.assert_array_equal(data[0], IMAGES)
    np.testing.assert_array_equal(data[1], LABELS)


def test_transform_gets_the_images_of_a_batch():
    loader = DataLoader(IMAGES, LABELS, 4, transform=lambda images: images[:, 0] + 1.5)
    images, labels = next(iter(loader))
    np.testing.assert_array_equal(images, IMAGES[:4, 0] + 1.5)
    assert labels.dtype == np.uint8


def test_takes_array_likes():
    images, labels = next(iter(DataLoader([[1.0], [2.0]], [0, 1])))
    assert images.tolist() == [[1.0], [2.0]] and labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": LABELS[:9]}, ValueError, "10 images but 9 labels"),
        ({"labels": 3}, ValueError, "first axis"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; it must be an integer of at least 1"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0; it must be an integer"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
        ({"seed": 1, "rng": np.random.default_rng(1)}, ValueError, "both seed and rng"),
        ({"rng": 0}, TypeError, "got 0; make one with default_rng"),
        ({"transform": 1}, TypeError, "callable"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(**{"images": IMAGES, "labels": LABELS, **arguments})


def test_batch_size_may_be_a_numpy_integer():
    assert len(DataLoader(IMAGES, LABELS, np.int64(4))) == 3


def test_normalize():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    result = normalize(images)
    assert result.dtype == np.float32 and result.shape == images.shape
    np.testing.assert_allclose(result, (images / 255 - 0.1307) / 0.3081, atol=1e-6)
    result = normalize(images, mean=np.float64(0.5), std=np.float64(0.25))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, (images / 255 - 0.5) / 0.25, atol=1e-6)


@pytest.mark.parametrize("images", [np.zeros((1, 28, 28)), [[0]]])
def test_normalize_refuses_what_is_not_uint8(images):
    with pytest.raises(TypeError, match="uint8"):
        normalize(images)


def test_normalize_refuses_a_zero_std():
    with pytest.raises(ValueError, match="std"):
        normalize(IMAGES, std=0.0)
