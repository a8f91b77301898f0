import math

import numpy as np
import pytest

from tinygrad_edu import Tensor, manual_seed
from tinygrad_edu.data import DataLoader, ElasticTransform, RandomAffine, normalize

PICTURES = np.random.default_rng(0).random((2, 8, 8))
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
        ({"labels": 3}, ValueError, r"labels is 3, which has no first axis of examples; .*DataLoader\(images, labels"),
        ({"images": 3}, ValueError, "images is 3, which has no first axis"),
        ({"images": (IMAGES, LABELS), "labels": None}, TypeError, r"a tuple and no labels; .* DataLoader\(\*pair\)"),
        (
            {"images": list(zip(IMAGES, LABELS, strict=True)), "labels": 64},
            ValueError,
            r"labels is 64, .*zip\(\*dataset",
        ),
        ({"images": np.ma.masked_equal(IMAGES, 5)}, TypeError, "images: some entries are masked"),
        ({"labels": np.ma.masked_equal(LABELS, 5)}, TypeError, "labels: some entries are masked"),
        ({"shuffle": "no"}, TypeError, "shuffle is 'no'; it must be True or False"),
        ({"shuffle": 0}, TypeError, "shuffle is 0; it must be True or False"),
        ({"drop_last": None}, TypeError, "drop_last is None; it must be True or False"),
        ({"batch_size": math.nan}, TypeError, "batch_size is nan"),
        ({"seed": -1}, ValueError, "DataLoader: seed is -1; it must be an integer of at least 0"),
        ({"seed": 0.5}, TypeError, "DataLoader: seed is 0.5"),
        ({"seed": True}, TypeError, "DataLoader: seed is True"),
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


def test_numbers_may_be_numpys_and_a_mask_without_entries_is_none():
    settings = {"shuffle": np.True_, "seed": np.uint8(3), "drop_last": np.bool_(True)}
    loader = DataLoader(np.ma.array(IMAGES), LABELS, np.int64(4), **settings)
    assert len(loader) == 2
    assert epoch(loader) == epoch(DataLoader(IMAGES, LABELS, 4, True, 3, drop_last=True))


def test_what_the_messages_advise_works():
    pair, dataset = (IMAGES, LABELS), list(zip(IMAGES, LABELS, strict=True))
    for loader in (DataLoader(*pair, 4), DataLoader(*zip(*dataset, strict=True), 4)):
        assert epoch(loader) == LABELS.tolist()
        np.testing.assert_array_equal(np.concatenate([images for images, _ in loader]), IMAGES)


def test_manual_seed_reaches_loaders_and_augmentations_without_a_seed_of_their_own():
    early = DataLoader(IMAGES, LABELS, shuffle=True), RandomAffine(20), ElasticTransform()

    def draws(loader, *augmentations):
        return [epoch(loader), epoch(loader), *[augment(PICTURES).tolist() for augment in augmentations]]

    found = []
    for seed in (0, 0, 1):
        manual_seed(seed)
        found.append(draws(*early))
        manual_seed(seed)
        assert draws(DataLoader(IMAGES, LABELS, shuffle=True), RandomAffine(20), ElasticTransform()) == found[-1]
    assert found[0] == found[1]
    assert all(a != b for a, b in zip(found[0], found[2], strict=True))
    assert found[0][0] != found[0][1]  # each epoch its own order
    seeded = DataLoader(IMAGES, LABELS, shuffle=True, seed=3)
    expected = draws(DataLoader(IMAGES, LABELS, shuffle=True, seed=3))
    manual_seed(0)
    assert draws(seeded) == expected


def test_a_transform_that_returns_nothing():
    with pytest.raises(TypeError, match="transform returned None, not images; is there a return"):
        next(iter(DataLoader(IMAGES, LABELS, transform=lambda images: None)))


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


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"std": 0.0}, ValueError, "normalize: std is 0.0; it must be a number, above 0"),
        ({"std": math.inf}, ValueError, "std is inf"),
        ({"std": (0.3, 0.3)}, TypeError, "std is"),
        ({"mean": math.nan}, ValueError, "normalize: mean is nan; it must be a finite number"),
        ({"mean": "0.1"}, TypeError, "mean is '0.1'"),
        ({"images": np.ma.masked_equal(IMAGES, 5)}, TypeError, "normalize: images: some entries are masked"),
    ],
)
def test_normalize_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        normalize(**{"images": IMAGES, **arguments})


def test_tensors_are_not_data():
    for pair in ((Tensor(IMAGES), LABELS), (IMAGES, Tensor(LABELS))):
        with pytest.raises(TypeError, match=r"DataLoader: (images|labels) is a Tensor; pass an array, \w+\.data"):
            DataLoader(*pair)
    torch = pytest.importorskip("torch")
    images, labels = next(iter(DataLoader(torch.ones(4, 2), torch.arange(4), batch_size=3)))
    assert type(images) is type(labels) is np.ndarray and len(images) == 3


def test_masks_in_lists_and_ragged_lists():
    with pytest.raises(TypeError, match="DataLoader: images: some entries are masked"):
        DataLoader([np.ma.array([1, 2], mask=[1, 0]), [3, 4]], [0, 1])
    with pytest.raises(ValueError, match="DataLoader: images are not an array"):
        DataLoader([[1, 2], [3]], [0, 1])


@pytest.mark.parametrize("transform", [lambda x: x[:1], lambda x: np.concatenate([x, x]), lambda x: x[None]])
def test_a_transform_keeps_the_number_of_images(transform):
    with pytest.raises(ValueError, match=r"DataLoader: transform made .* images of 4, each with a label"):
        list(DataLoader(np.ones((8, 2)), np.zeros(8), batch_size=4, transform=transform))
