"""Data sets: their items, subsets, random splits, and how items become a batch."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_edu import Tensor, manual_seed, nn, optim
from tinygrad_edu.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split
from tinygrad_edu.functional import mse_loss
from tinygrad_edu.random import generators_in
from tinygrad_edu.training import fit

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6)


def test_items_of_arrays():
    dataset = TensorDataset(X, Y, [[1], [2], [3], [4], [5], [6]])
    assert len(dataset) == 6 and len(dataset.tensors) == 3 and dataset.tensors[0] is X
    x, y, z = dataset[-1]
    assert x.tolist() == [10, 11] and y == 5 and z.tolist() == [6]
    assert [part.tolist() for part in dataset[1:3]] == [[[2, 3], [4, 5]], [1, 2], [[2], [3]]]
    assert len(list(dataset)) == 6  # ends with the arrays' IndexError


def test_subsets():
    subset = Subset(TensorDataset(X, Y), [4, -1, 4])
    assert len(subset) == 3 and [int(y) for _, y in subset] == [4, 5, 4]
    assert [int(y) for _, y in subset[1:]] == [5, 4] and int(subset[np.int64(1)][1]) == 5
    assert Subset("abcdef", np.flatnonzero(Y > 3))[0] == "e"
    assert len(Subset(X, [])) == 0


def test_a_data_set_of_your_own_must_say_its_length_and_items():
    class Half(Dataset):
        def __len__(self):
            return 3

    with pytest.raises(NotImplementedError, match="Half has no __getitem__; define it"):
        Half()[0]
    with pytest.raises(NotImplementedError, match="Dataset has no __len__; define it"):
        len(Dataset())


PARTS = st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any)


@settings(max_examples=40, derandomize=True)
@given(n=st.integers(0, 50), parts=PARTS, seed=st.integers(0, 9))
def test_a_split_deals_every_item_to_one_part(n, parts, seed):
    shares = [part / sum(parts) for part in parts]
    split = random_split(range(n), shares, seed=seed)
    lengths = [len(part) for part in split]
    again = random_split(range(n), lengths, rng=np.random.default_rng(seed))
    assert [list(part) for part in split] == [list(part) for part in again]
    assert sorted(i for part in split for i in part) == list(range(n))
    assert all(abs(length - n * share) <= len(parts) for length, share in zip(lengths, shares, strict=True))


@pytest.mark.filterwarnings("ignore:Length of split")
def test_lengths_of_shares_are_pytorchs():
    torch = pytest.importorskip("torch")
    for shares in ([0.9, 0.1], [0.5, 0.25, 0.25], [1 / 3] * 3, [1.0], [0.3, 0.3, 0.3, 0.1]):
        for n in (7, 10, 101):
            theirs = torch.utils.data.random_split(range(n), shares)
            assert [len(part) for part in random_split(range(n), shares)] == [len(part) for part in theirs]


def test_manual_seed_repeats_splits_and_loaders():
    def labels():
        parts = random_split(TensorDataset(X, Y), [4, 2])
        return [y.tolist() for part in parts for _, y in DataLoader(part, 3, shuffle=True)]

    found = []
    for seed in (3, 3, 4):
        manual_seed(seed)
        found.append(labels())
    assert found[0] == found[1] != found[2]


def test_fit_takes_a_loader_of_pairs():
    class Line(Dataset):
        def __len__(self):
            return 24

        def __getitem__(self, index):
            return np.array([index / 24]), np.array([3 * index / 24])

    training, validation = random_split(Line(), [0.75, 0.25], seed=0)
    model = nn.Linear(1, 1, dtype=np.float64)
    options = {"optimizer": optim.SGD(model.parameters(), lr=0.5), "loss": mse_loss, "progress": False}
    loaders = DataLoader(training, 6, shuffle=True), DataLoader(validation, 6)
    history = fit(model, loaders[0], validation=loaders[1], epochs=3, **options)
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    with pytest.raises(TypeError, match="a batch must be a pair"):
        fit(model, DataLoader([1.0, 2.0]), epochs=1, **options)


def test_a_checkpoint_finds_the_generator_of_a_data_set():
    class Noisy(TensorDataset):
        def __init__(self, *arrays):
            super().__init__(*arrays)
            self.rng = np.random.default_rng(0)

    loader = DataLoader(Subset(Noisy(X), [0]), rng=np.random.default_rng(1))
    assert [*generators_in(loader)] == ["dataset.dataset.rng", "rng"]


Pair = namedtuple("Pair", "x y")


def test_structures_are_kept():
    batch = default_collate([Pair(1.0, "a"), Pair(2.0, "b")])
    assert type(batch) is Pair and batch.x.tolist() == [1, 2] and batch.y == ["a", "b"]
    batch = default_collate([{"a": [np.float16(1), True]}, {"a": [np.float16(2), False]}])
    assert batch["a"][0].dtype == np.float16 and batch["a"][1].dtype == bool and type(batch["a"]) is list
    assert default_collate([np.int8(1), np.int8(2)]).dtype == np.int8
    assert default_collate([np.zeros((0, 2))] * 3).shape == (3, 0, 2)
    assert default_collate([1, 2.5]).tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: TensorDataset(), TypeError, "TensorDataset takes at least one array"),
        (lambda: TensorDataset(X, Y[:5]), ValueError, r"the arrays hold \[6, 5\] examples"),
        (lambda: TensorDataset(X, 3), ValueError, "TensorDataset: array 1 is 3, which has no first axis"),
        (lambda: TensorDataset(Tensor(X)), TypeError, "TensorDataset: array 0 is a Tensor; pass an array"),
        (lambda: TensorDataset(np.ma.masked_equal(X, 1)), TypeError, "array 0: some entries are masked"),
        (lambda: TensorDataset([[1], [2, 3]]), ValueError, "array 0 is not an array"),
        (lambda: Subset(3, [0]), TypeError, "Subset: dataset is 3; it needs a length and items"),
        (lambda: Subset(X, [6]), IndexError, "Subset: index 6 is outside of a data set of 6 items"),
        (lambda: Subset(X, [-7]), IndexError, "index -7"),
        (lambda: Subset(X, Y > 3), TypeError, r"indices are of dtype bool and shape \(6,\); .* np.flatnonzero\(mask\)"),
        (lambda: Subset(X, np.ma.array([0, 1], mask=[1, 0])), TypeError, "Subset: indices: some entries are masked"),
        (lambda: Subset(X, [0.0]), TypeError, "indices are of dtype float64"),
        (lambda: Subset(X, 3), TypeError, r"and shape \(\)"),
        (lambda: random_split(X, [4, 1]), ValueError, r"the lengths \[4, 1\] add up to 5, but there are 6 items"),
        (lambda: random_split(X, [1, 0]), ValueError, "add up to 1, but there are 6"),
        (lambda: random_split(X, [0.5, 0.4]), ValueError, r"the shares .* add up to 0\.9; they must add up to 1"),
        (lambda: random_split(X, [-1, 7]), ValueError, r"random_split: lengths\[0\] is -1"),
        (lambda: random_split(X, [0.5, np.nan]), ValueError, r"lengths\[1\] is nan"),
        (lambda: random_split(X, [3, None]), TypeError, r"lengths\[1\] is None"),
        (lambda: random_split(X, [0.5, True]), TypeError, r"lengths\[1\] is True"),
        (lambda: random_split(X, 0.5), TypeError, r"lengths is 0.5; pass a list, as \[0.9, 0.1\]"),
        (lambda: random_split(X, "ab"), TypeError, "lengths is 'ab'"),
        (lambda: random_split(X, []), ValueError, "add up to 0"),
        (lambda: random_split(None, [1.0]), TypeError, "random_split: dataset is None"),
        (lambda: random_split(X, [1.0], -1), ValueError, "random_split: seed is -1"),
        (lambda: random_split(X, [1.0], 1, np.random.default_rng()), ValueError, "both seed and rng"),
        (lambda: random_split(X, [1.0], generator=1), TypeError, "PyTorch's generator is left out: pass rng="),
        (lambda: default_collate([X, X[:2]]), ValueError, r"items of shapes \[\(2, 2\), \(6, 2\)\] cannot be stacked"),
        (lambda: default_collate([(1, 2), (1,)]), ValueError, r"items of \[1, 2\] parts"),
        (lambda: default_collate([Tensor(1.0)]), TypeError, "an item is a Tensor, whose gradient would be lost"),
        (lambda: default_collate([None]), TypeError, "an item is a NoneType; return arrays"),
        (lambda: default_collate([{1, 2}]), TypeError, "an item is a set"),
        (lambda: default_collate([np.ma.masked_equal(X, 1)]), TypeError, "some entries are masked"),
        (lambda: default_collate([]), ValueError, "there are no items"),
        (lambda: default_collate([1.0, None]), TypeError, "an item is a NoneType"),
        (lambda: default_collate([{"a": 1}, {"b": 1}]), ValueError, "items of different keys"),
        (lambda: default_collate([(1, 2), 3]), TypeError, "an item is a int beside a tuple"),
        (lambda: default_collate([3, (1, 2)]), TypeError, "an item is a tuple beside a int"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
