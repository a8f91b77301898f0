"""Data sets: what has a length and an item for each index. DataLoader makes batches of the items.

A data set of your own may read each item from a file when it is asked for it:

    class Pictures(Dataset):
        def __init__(self, paths, labels):
            self.paths, self.labels = paths, labels

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, index):
            return read_digit(self.paths[index]), self.labels[index]

What is an array already is faster in a TensorDataset: a batch of it is cut out in one piece.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import math
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.arguments import Named, answering_for
from tinygrad_edu.checks import check_int, check_number, refuse_mask
from tinygrad_edu.engine import is_tensor
from tinygrad_edu.random import new_generator

__all__ = [
    "Dataset", "Items", "Subset", "TensorDataset", "as_array", "check_dataset", "default_collate", "random_split",
    "sliced",
]  # fmt: skip

STRUCTURES = (str, bytes, Mapping, tuple, list)  # of items, which are not numbers or arrays


class Items(Protocol):
    """Anything with a length and items, such as a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Dataset(metaclass=Named):
    """Base class of data sets: a subclass defines `__len__` and `__getitem__`, as at the top of the file.

    It need not be used: whatever has these two methods is a data set.
    """

    def __len__(self) -> int:
        """The number of items."""
        raise NotImplementedError(f"{type(self).__name__} has no __len__; define it: the number of items")

    def __getitem__(self, index: int, /) -> Any:
        """The item at an index from 0 to len(self) - 1, such as a pair (image, label)."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__; define it: the item at an index")


class TensorDataset(Dataset):
    """Arrays with one first axis of examples; item i is the tuple of their parts i. The name is PyTorch's.

    Args:
        tensors: Arrays of shape (n, ...), any dtype; one or more.

    Attributes:
        tensors: The arrays, as a tuple.

    Raises:
        TypeError: There are none, or one is a Tensor, or masked.
        ValueError: They differ in length, or one is a single number.

    Example:
        >>> TensorDataset(np.arange(6).reshape(3, 2), np.array([5, 6, 7]))[1]
        (array([2, 3]), np.int64(6))
    """

    def __init__(self, *tensors: ArrayLike) -> None:
        if not tensors:
            raise TypeError("TensorDataset takes at least one array, as in TensorDataset(images, labels)")
        self.tensors = tuple([as_array(f"TensorDataset: array {i}", a) for i, a in enumerate(tensors)])
        lengths = [len(a) for a in self.tensors]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"TensorDataset: the arrays hold {lengths} examples; their first axes must be equally long"
            )

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        """The parts of the arrays at an index, a slice or an array of indices."""
        return tuple([a[index] for a in self.tensors])


class Subset(Dataset):
    """Some items of a data set, in the order of their indices.

    Args:
        dataset: Has a length and items.
        indices: Integers, of a list or array.

    Raises:
        TypeError: There is no data set, or indices are not integers; of a mask, np.flatnonzero(mask) gives them.
        IndexError: An index is outside of the data set.
    """

    def __init__(self, dataset: Items, indices: Sequence[int] | NDArray[np.integer[Any]]) -> None:
        self.dataset = check_dataset("Subset", dataset)
        refuse_mask("Subset: indices", indices)
        found = np.asarray(indices)
        found = found.astype(np.intp) if not found.size else found
        if found.ndim != 1 or found.dtype.kind not in "iu":
            how = "pass a list of integers; those of a mask are np.flatnonzero(mask)"
            raise TypeError(f"Subset: indices are of dtype {found.dtype} and shape {found.shape}; {how}")
        n = len(dataset)
        outside = found[(found < -n) | (found >= n)]
        if outside.size:
            raise IndexError(f"Subset: index {outside[0]} is outside of a data set of {n} items")
        self.indices = found.astype(np.intp)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        chosen = self.indices[index]
        return self.dataset[int(chosen)] if np.ndim(chosen) == 0 else Subset(self.dataset, chosen)


@answering_for
def random_split(
    dataset: Items,
    lengths: Sequence[float],
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> list[Subset]:
    """Deals the items of a data set out at random, each to one part.

    Args:
        dataset: Has a length and items.
        lengths: Numbers of items, which add up to len(dataset), or floats that add up to 1: shares, each rounded down;
            what is left is given one by one to the parts from the first on.
        seed: The same seed gives the same parts.
        rng: Generator to draw from, instead of `seed`; without both, the library's, which manual_seed reseeds.

    Returns:
        A Subset for each length.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The lengths do not add up, or one is negative.

    Example:
        training, validation = random_split(TensorDataset(images, labels), [0.9, 0.1], seed=0)
    """
    n = len(check_dataset("random_split", dataset))
    if isinstance(lengths, (str, Mapping)) or not np.iterable(lengths):
        raise TypeError(f"random_split: lengths is {lengths!r:.60}; pass a list, as [0.9, 0.1] or [50_000, 10_000]")
    counts = part_sizes(n, list(lengths))
    order = new_generator("random_split", seed, rng).permutation(n)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def part_sizes(n: int, lengths: list[Any]) -> list[int]:
    """How many items each part gets."""
    name = "random_split: lengths[{}]".format
    if any(isinstance(length, (float, np.floating)) for length in lengths):
        shares = [check_number(name(i), share, at_least=0, wrong_type=TypeError) for i, share in enumerate(lengths)]
        if not math.isclose(sum(shares), 1):
            raise ValueError(f"random_split: the shares {lengths} add up to {sum(shares):g}; they must add up to 1")
        sizes = [math.floor(n * share) for share in shares]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
        return sizes
    sizes = [check_int(name(i), length, 0, wrong_type=TypeError) for i, length in enumerate(lengths)]
    if sum(sizes) != n:
        raise ValueError(f"random_split: the lengths {lengths} add up to {sum(sizes)}, but there are {n} items")
    return sizes


def sliced(dataset: object, index: NDArray[np.intp]) -> tuple[Any, ...] | None:
    """A batch cut out of arrays in one piece, as a copy, which a slice would not be; None if there are no arrays."""
    getitem = getattr(type(dataset), "__getitem__", None)
    if isinstance(dataset, TensorDataset) and getitem is TensorDataset.__getitem__:
        return dataset[index]
    if isinstance(dataset, Subset) and getitem is Subset.__getitem__:
        return sliced(dataset.dataset, dataset.indices[index])
    return None


@answering_for
def default_collate(items: Sequence[Any]) -> Any:
    """One batch of several items of the same structure.

    Args:
        items: Arrays of one shape, numbers, texts, or tuples, lists and dicts of these; at least one.

    Returns:
        Arrays and numbers are stacked along a new first axis. Of tuples there is a tuple of batches, of lists and dicts
        the like, of texts a list.

    Raises:
        TypeError: Items that cannot be stacked, or Tensors, whose gradients would be lost.
        ValueError: Arrays of different shapes, or tuples of different lengths.
    """
    if not len(items):
        raise ValueError("default_collate: there are no items to make a batch of")
    first = items[0]
    strays = [item for item in items if type(item) is not type(first)]
    if strays and any(isinstance(item, STRUCTURES) for item in (first, *strays)):
        kinds = f"a {type(strays[0]).__name__} beside a {type(first).__name__}"
        raise TypeError(f"default_collate: an item is {kinds}; items of one data set are alike")
    if isinstance(first, (str, bytes)):
        return list(items)
    if isinstance(first, Mapping):
        if any(item.keys() != first.keys() for item in items):
            raise ValueError("default_collate: items of different keys do not make a batch")
        return {key: default_collate([item[key] for item in items]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = {len(item) for item in items}
        if len(lengths) > 1:
            raise ValueError(f"default_collate: items of {sorted(lengths)} parts do not make a batch")
        parts = [default_collate(part) for part in zip(*items, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return stacked(items)


def stacked(items: Sequence[Any]) -> np.ndarray:
    """Arrays and numbers along a new first axis."""
    for item in items:
        if is_tensor(item):
            raise TypeError("default_collate: an item is a Tensor, whose gradient would be lost; return its .data")
        if not isinstance(item, (Number, np.generic)) and not hasattr(item, "__array__"):
            how = "return arrays, numbers, or tuples of them, or pass a collate_fn of your own"
            raise TypeError(f"default_collate: an item is a {type(item).__name__}; {how}")
    refuse_mask("default_collate", list(items))
    arrays = [np.asarray(item) for item in items]
    shapes = sorted({a.shape for a in arrays})
    if len(shapes) > 1:
        raise ValueError(f"default_collate: items of shapes {shapes!s:.80} cannot be stacked; make them equally large")
    return np.stack(arrays)


def as_array(name: str, values: ArrayLike) -> np.ndarray:
    """Examples as an array with a first axis; a TypeError for Tensors and masks, which would be lost."""
    refuse_mask(name, values)
    if is_tensor(values):
        how = "pass an array, such as its .data; the loss needs gradients of the parameters alone"
        raise TypeError(f"{name} is a Tensor; {how}")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if array.ndim == 0:
        raise ValueError(f"{name} is {values!r:.60}, which has no first axis of examples")
    return array


def check_dataset(owner: str, dataset: Any) -> Any:
    """The data set, if it has a length and items."""
    if isinstance(dataset, type) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        hint = f"; write {dataset.__name__}(...)" if isinstance(dataset, type) else ""
        raise TypeError(f"{owner}: dataset is {dataset!r:.60}; it needs a length and items, as TensorDataset{hint}")
    return dataset
