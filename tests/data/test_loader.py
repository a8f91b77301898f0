import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_edu import Tensor, manual_seed
from tinygrad_edu.data import (
    DataLoader,
    Dataset,
    ElasticTransform,
    RandomAffine,
    Subset,
    TensorDataset,
    normalize,
    random_split,
)

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
        ({"labels": 3}, TypeError, r"DataLoader got a ndarray and no labels; .*DataLoader\(images, labels"),
        ({"images": 3}, ValueError, "images is 3, which has no first axis"),
        ({"images": (IMAGES, LABELS), "labels": None}, TypeError, r"a tuple and no labels; .* DataLoader\(\*pair\)"),
        ({"images": None, "labels": None}, TypeError, "a NoneType and no labels"),
        ({"images": Tensor(IMAGES), "labels": None}, TypeError, "a Tensor and no labels"),
        ({"images": 3, "labels": None}, TypeError, "DataLoader: dataset is 3; it needs a length and items"),
        ({"images": TensorDataset, "labels": None}, TypeError, r"write TensorDataset\(...\)"),
        ({"dataset": [1]}, TypeError, "DataLoader got a dataset, and images or labels too"),
        ({"images": [1, 2], "labels": 2, "batch_size": 2}, TypeError, "a second batch_size beside 2"),
        ({"images": [1, 2], "labels": 0}, ValueError, "batch_size is 0"),
        ({"images": [1, 2], "labels": True}, ValueError, "labels is True, which has no first axis"),
        ({"labels": 2.0}, ValueError, "labels is 2.0, which has no first axis"),
        *[
            ({"images": TensorDataset(IMAGES, LABELS), "labels": wrong}, TypeError, "DataLoader: batch_size is ")
            for wrong in (2.5, True, "32", np.float64(3), np.array(3.0), Tensor(3.0))
        ],
        (
            {"images": TensorDataset(IMAGES, LABELS)},
            TypeError,
            "got a TensorDataset, which brings its labels, and labels",
        ),
        ({"images": [1, 2], "labels": 2, "batch_size": "yes"}, TypeError, "shuffle is 'yes'; it must be True or False"),
        ({"batch_size": None}, TypeError, "batch_size is None"),
        ({"collate_fn": 1}, TypeError, "collate_fn must be callable"),
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
    arrays = TensorDataset(IMAGES, LABELS)
    for loader in (DataLoader(*pair, 4), DataLoader(dataset, 4), DataLoader(arrays, 4), DataLoader(dataset=arrays)):
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
        with pytest.raises(TypeError, match=r"DataLoader: (images|labels) is a Tensor; pass an array, such as"):
            DataLoader(*pair)
    torch = pytest.importorskip("torch")
    images, labels = next(iter(DataLoader(torch.ones(4, 2), torch.arange(4), batch_size=3)))
    assert type(images) is type(labels) is np.ndarray and len(images) == 3


def test_masks_in_lists_and_ragged_lists():
    with pytest.raises(TypeError, match="DataLoader: images: some entries are masked"):
        DataLoader([np.ma.array([1, 2], mask=[1, 0]), [3, 4]], [0, 1])
    with pytest.raises(ValueError, match="DataLoader: images is not an array"):
        DataLoader([[1, 2], [3]], [0, 1])


@pytest.mark.parametrize("transform", [lambda x: x[:1], lambda x: np.concatenate([x, x]), lambda x: x[None]])
def test_a_transform_keeps_the_number_of_images(transform):
    with pytest.raises(ValueError, match=r"DataLoader: transform made .* images of 4, each with a label"):
        list(DataLoader(np.ones((8, 2)), np.zeros(8), batch_size=4, transform=transform))


class Squares(Dataset):
    """Item i is (array, number, a dict of texts and pairs)."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return np.full((2,), index, np.float32), index**2, {"name": f"{index}", "pair": (index, [0.5 * index])}


def test_a_data_set_of_your_own():
    batches = list(DataLoader(Squares(5), 2))
    assert len(batches) == len(DataLoader(Squares(5), batch_size=2)) == 3
    arrays, squares, others = batches[1]
    assert type(batches[1]) is tuple and arrays.dtype == np.float32
    np.testing.assert_array_equal(arrays, [[2, 2], [3, 3]])
    assert squares.tolist() == [4, 9] and squares.dtype == np.int64
    assert others["name"] == ["2", "3"] and others["pair"][0].tolist() == [2, 3]
    assert others["pair"][1][0].tolist() == [1.0, 1.5] and type(others["pair"][1]) is list
    assert batches[2][1].tolist() == [16]


def test_the_ways_to_say_it():
    pairs = list(zip(IMAGES, LABELS, strict=True))
    expected = epoch(DataLoader(IMAGES, LABELS, 4, True, 3))
    for loader in (
        DataLoader(pairs, 4, True, seed=3),  # as PyTorch has it
        DataLoader(pairs, 4, shuffle=True, seed=3),
        DataLoader(pairs, batch_size=4, shuffle=True, seed=3),
        DataLoader(dataset=TensorDataset(IMAGES, LABELS), batch_size=4, shuffle=True, seed=3),
        DataLoader(Subset(pairs, range(10)), np.int64(4), shuffle=True, rng=np.random.default_rng(3)),
    ):
        assert loader.batch_size == 4 and loader.shuffle and epoch(loader) == expected
    assert DataLoader(pairs).batch_size == DataLoader(IMAGES, LABELS).batch_size == 32
    assert not DataLoader(pairs, 4, False).shuffle


def test_the_batches_are_pytorchs():
    torch = pytest.importorskip("torch")
    items = [(IMAGES[i] / 2, i, 0.5 * i, bool(i % 2), {"x": (np.float32(i),)}) for i in range(7)]
    ours, theirs = DataLoader(items, 3), torch.utils.data.DataLoader(items, 3)
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip([*a[:4], *a[4]["x"]], [*b[:4], *b[4]["x"]], strict=True):
            np.testing.assert_array_equal(x, y.numpy())
            assert x.dtype == y.numpy().dtype


def test_several_arrays_and_one():
    dataset = TensorDataset(IMAGES, LABELS, 2.0 * LABELS)
    for images, labels, doubled in DataLoader(dataset, 3, shuffle=True, seed=0):
        np.testing.assert_array_equal(images, IMAGES[labels])
        assert (doubled == 2 * labels).all() and doubled.dtype == np.float64
    batches = list(DataLoader(TensorDataset(IMAGES), 4, transform=lambda images: images + 0.5))
    assert all(type(batch) is tuple and len(batch) == 1 for batch in batches)
    np.testing.assert_array_equal(np.concatenate([images for (images,) in batches]), IMAGES + 0.5)


def test_arrays_are_cut_out_in_one_piece():
    class Counting(np.ndarray):
        calls = 0

        def __getitem__(self, index):
            Counting.calls += 1
            return super().__getitem__(index)

    dataset = TensorDataset(IMAGES, LABELS)
    dataset.tensors = tuple([a.view(Counting) for a in dataset.tensors])
    halves = random_split(dataset, [0.5, 0.5], seed=0)
    for data, batches in ((dataset, 4), (halves[0], 2), (Subset(halves[1], [4, 2, 0]), 1)):
        Counting.calls = 0
        assert len(list(DataLoader(data, 3))) == batches and Counting.calls == 2 * batches
        assert epoch(DataLoader(data, 3)) == [label for _, label in data]


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, np.arange(10))])
def test_a_getitem_of_your_own_is_asked(wrap):
    class Shifted(TensorDataset):
        def __getitem__(self, index):
            assert type(index) is int
            images, labels = super().__getitem__(index)
            return images, labels + 1

    class Fewer(Subset):
        def __getitem__(self, index):
            assert type(index) is int
            images, labels = super().__getitem__(index)
            return images, labels - 2

    shifted = wrap(Shifted(IMAGES, LABELS))
    assert epoch(DataLoader(shifted, 4)) == (LABELS + 1).tolist()
    assert epoch(DataLoader(Fewer(shifted, [4, 1]), 4)) == [3, 0]
    assert epoch(DataLoader(Fewer(TensorDataset(IMAGES, LABELS), [4, 3]), 4)) == [2, 1]


def test_batches_of_a_data_set_are_copies():
    items = [(IMAGES[i].copy(), i) for i in range(4)]
    for images, labels in DataLoader(items, 2):
        images[:], labels[:] = 0, 0
    np.testing.assert_array_equal([image for image, _ in items], IMAGES[:4])


def test_a_collate_fn_gets_the_items():
    def padded(items):
        longest = max(len(words) for words, _ in items)
        return np.array([words + [0] * (longest - len(words)) for words, _ in items]), [label for _, label in items]

    items = [([1, 2, 3], "a"), ([4], "b"), ([5, 6], "c")]
    (first, labels), (second, _) = DataLoader(items, 2, collate_fn=padded)
    assert first.tolist() == [[1, 2, 3], [4, 0, 0]] and labels == ["a", "b"] and second.tolist() == [[5, 6]]
    found = list(DataLoader(TensorDataset(LABELS), 5, collate_fn=len))
    assert found == [5, 5]
    assert [int(x) for x in DataLoader(IMAGES, LABELS, 5, collate_fn=lambda items: items[0][1])] == [0, 5]


def test_a_transform_changes_the_first_part_of_a_batch():
    items = [np.full(3, i) for i in range(4)]
    np.testing.assert_array_equal(next(iter(DataLoader(items, 2, transform=np.negative))), [[0, 0, 0], [-1, -1, -1]])
    with pytest.raises(TypeError, match="transform takes the first part of a batch, and a batch is a dict"):
        next(iter(DataLoader([{"x": 1}], 1, transform=np.negative)))
    with pytest.raises(ValueError, match="transform made 1 images of 2"):
        list(DataLoader([(1, 2)] * 2, 2, transform=lambda x: x[:1]))


def test_a_loader_of_a_data_set_has_no_images_and_labels():
    loader = DataLoader(IMAGES, LABELS)
    assert loader.images is IMAGES and loader.labels is LABELS
    with pytest.raises(AttributeError, match=r"made of a data set, loader\.dataset"):
        DataLoader([1, 2]).images  # noqa: B018


def test_the_length_follows_the_data_set():
    items = [1, 2, 3]
    loader = DataLoader(items, 2)
    items.append(4)
    items.append(5)
    assert len(loader) == 3 and [len(batch) for batch in loader] == [2, 2, 1]


@given(n=st.integers(0, 40), batch_size=st.integers(1, 12), size=st.integers(1, 5), drop_last=st.booleans())
def test_shards_hold_each_example_once_in_the_order_of_one_process(n, batch_size, size, drop_last):
    options = {"shuffle": True, "seed": 3, "drop_last": drop_last}
    whole = DataLoader(np.arange(n), np.arange(n), batch_size, **options)
    shards = [DataLoader(np.arange(n), np.arange(n), batch_size, shard=(r, size), **options) for r in range(size)]
    assert {len(shard) for shard in shards} == {len(whole)}
    for _ in range(2):  # epochs
        batches, shares = list(whole), [list(shard) for shard in shards]
        assert {len(share) for share in shares} == {len(batches)}
        for (images, labels), *parts in zip(batches, *shares, strict=True):
            assert np.concatenate([x for x, _ in parts]).tolist() == images.tolist() == labels.tolist()
            counts = [len(y) for _, y in parts]
            assert counts == sorted(counts, reverse=True) and counts[0] - counts[-1] <= 1


def test_a_shard_transforms_its_share_alone():
    seen = []
    loader = DataLoader(IMAGES, LABELS, 4, shard=(1, 2), transform=lambda x: seen.append(len(x)) or x)
    assert [labels.tolist() for _, labels in loader] == [[2, 3], [6, 7], [9]] and seen == [2, 2, 1]


@pytest.mark.parametrize(
    ("shard", "error", "words"),
    [
        ((2, 2), ValueError, "a rank of 2 is 2; it must be an integer from 0 to 1"),
        ((-1, 2), ValueError, "a rank of 2"),
        ((0, 0), ValueError, "number of ranks"),
        ((0.0, 2), ValueError, "a rank of 2"),
        (2, TypeError, r"is 2; it must be \(rank, size\)"),
        ((0, 1, 2), TypeError, "must be"),
    ],
)
def test_shards_that_cannot_be(shard, error, words):
    with pytest.raises(error, match=f"DataLoader: shard.*{words}"):
        DataLoader(IMAGES, LABELS, shard=shard)


def test_ranks_that_would_shuffle_in_different_orders_are_refused():
    with pytest.raises(ValueError, match="library's generator differs by rank; give a seed"):
        DataLoader(IMAGES, LABELS, shuffle=True, shard=(0, 2))
    rng = np.random.default_rng(0)
    move = RandomAffine(degrees=3, rng=rng)
    options = {"rng": rng, "transform": lambda x: move(x), "shard": (0, 2)}
    with pytest.raises(ValueError, match="transform or collate_fn draws from the generator of the order"):
        DataLoader(IMAGES, LABELS, shuffle=True, **options)
    DataLoader(IMAGES, LABELS, **options)  # no order is drawn
    DataLoader(IMAGES, LABELS, shuffle=True, shard=(0, 1))
