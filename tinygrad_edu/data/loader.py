"""Mini-batches: `DataLoader` makes batches of a data set, and `normalize` scales and standardises images."""

from __future__ import annotations  # importing numpy.random can wait until it is used

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.arguments import Default, Named
from tinygrad_edu.checks import check_bool, check_int, check_number, check_positive_int, refuse_mask
from tinygrad_edu.data.dataset import Items, TensorDataset, as_array, check_dataset, default_collate, sliced
from tinygrad_edu.engine import is_tensor
from tinygrad_edu.random import default_generator, generators_in, new_generator

__all__ = ["DataLoader", "normalize"]

WHAT = (
    "two arrays make DataLoader(images, labels), a pair of them DataLoader(*pair), several or one alone "
    "DataLoader(TensorDataset(images, ...))"
)


THIRTY_TWO = Default(32)


class DataLoader(metaclass=Named):
    """Iterates over a data set in mini-batches, as tuples of arrays; one pass is one epoch.

    Batches are made of two arrays, DataLoader(images, labels, batch_size), or of a data set, as PyTorch has it:
    DataLoader(dataset, batch_size). Every batch is a copy, so code that changes a batch in place leaves the data set as
    it was.

    Args:
        images: An array of shape (n, ...), any dtype, with labels; or a data set, without.
        labels: An array of shape (n, ...), any dtype.
        batch_size: Examples per batch, at least 1; 32 by default. The last batch holds what is left over.
        shuffle: Whether each `iter()` draws a new permutation of the examples.
        seed: Seed of the permutations: the same seed gives the same sequence of epochs. Not used without `shuffle`.
        rng: Generator to draw the permutations from, instead of `seed`; without both, the library's, which manual_seed
            reseeds.
        drop_last: Whether to leave out the last batch if it is shorter than `batch_size`.
        transform: Called with the images of each batch, or the first part of a batch of a data set; what it returns
            takes their place. See `normalize`.
        collate_fn: Called with a list of a batch's items, makes the batch of them. Without it default_collate does or,
            of arrays, a TensorDataset or a Subset of it, each batch is cut out in one piece, which is faster.
        dataset: PyTorch's name for a data set in the place of images.
        shard: (rank, size), as training.DataParallel has it: batches are cut and shuffled as without it, and of each
            this loader makes the share of one rank of so many, which may be empty if the last batch is short.

    Attributes:
        dataset: The data set; of two arrays, a TensorDataset.

    Raises:
        TypeError: An argument has the wrong type, or arrays are masked or have no labels.
        ValueError: Images and labels differ in length or are single numbers, `batch_size` or `seed` is too small, or
            both `seed` and `rng` are given; a shard that cannot be, or an order that would differ by rank.

    Example:
        training, validation = random_split(Pictures(paths, labels), [0.9, 0.1])
        for images, labels in DataLoader(training, 64, shuffle=True, transform=normalize):
            ...
    """

    def __init__(
        self,
        images: ArrayLike | Items | None = None,
        labels: ArrayLike | None = None,
        batch_size: int = THIRTY_TWO,
        shuffle: bool = False,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
        drop_last: bool = False,
        transform: Callable[[Any], Any] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        *,
        dataset: Items | None = None,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        is_count = isinstance(labels, (int, np.integer)) and not isinstance(labels, bool)
        if is_count or (labels is not None and has_items_alone(images)):  # DataLoader(dataset, 64, True)
            if not shuffle and (isinstance(batch_size, bool) or not isinstance(batch_size, (int, float, np.number))):
                shuffle = batch_size
            elif batch_size is not THIRTY_TWO:
                raise TypeError(f"DataLoader: labels is {labels!r}, a second batch_size beside {batch_size!r}; {WHAT}")
            if np.ndim(labels):  # type: ignore[arg-type]
                raise TypeError(
                    f"DataLoader got a {type(images).__name__}, which brings its labels, and labels; {WHAT}"
                )
            batch_size, labels = labels, None  # type: ignore[assignment]
        self.dataset: Items = as_dataset(images, labels, dataset)
        for name, function in (("transform", transform), ("collate_fn", collate_fn)):
            if function is not None and not callable(function):
                raise TypeError(f"DataLoader: {name} must be callable or None, got {type(function).__name__}")
        self.batch_size = check_positive_int("DataLoader: batch_size", batch_size, wrong_type=TypeError)
        self.shuffle = check_bool("DataLoader: shuffle", shuffle)
        self.drop_last = check_bool("DataLoader: drop_last", drop_last)
        self.transform, self.collate_fn = transform, collate_fn
        self.rng = new_generator("DataLoader", seed, rng)
        self.shard = check_shard(shard)
        if self.shuffle and self.shard[1] > 1:
            check_order(self.rng, transform, collate_fn)

    @property
    def images(self) -> np.ndarray:
        """The first of the arrays."""
        return self._arrays()[0]

    @property
    def labels(self) -> np.ndarray:
        """The second of the arrays."""
        return self._arrays()[1]

    def _arrays(self) -> tuple[np.ndarray, ...]:
        if not isinstance(self.dataset, TensorDataset):
            raise AttributeError("this DataLoader was made of a data set, loader.dataset, not of images and labels")
        return self.dataset.tensors

    def __len__(self) -> int:
        """Number of batches in an epoch, the same for each shard."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if self.drop_last or rest == 0 else full + 1

    def __iter__(self) -> Iterator[Any]:
        """Yields batches: pairs (images, labels) of shapes (batch, ...), or what the items are made of, stacked."""
        n = len(self.dataset)
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        rank, size = self.shard
        batches = (order[start : start + self.batch_size] for start in starts)
        return (self._batch(batch if size == 1 else np.array_split(batch, size)[rank]) for batch in batches)

    def _batch(self, index: NDArray[np.intp]) -> Any:
        batch = None if self.collate_fn else sliced(self.dataset, index)
        if batch is None:
            collate = self.collate_fn or default_collate
            batch = collate([self.dataset[i] for i in index.tolist()])
        if self.transform is None:
            return batch
        if isinstance(batch, (tuple, list)):
            first, *others = batch
            return (transformed(self.transform, first), *others)
        if not isinstance(batch, np.ndarray):
            how = f"and a batch is a {type(batch).__name__}; change its items in the data set or a collate_fn"
            raise TypeError(f"DataLoader: transform takes the first part of a batch, {how}")
        return transformed(self.transform, batch)


def check_shard(shard: Any) -> tuple[int, int]:
    """(rank, size), if there is such a rank."""
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise TypeError(f"DataLoader: shard is {shard!r:.60}; it must be (rank, size), as DataParallel(model).shard is")
    size = check_positive_int("DataLoader: shard, the number of ranks", shard[1], wrong_type=TypeError)
    return check_int(f"DataLoader: shard, a rank of {size}", shard[0], 0, size - 1), size


def check_order(rng: np.random.Generator, *functions: object) -> None:
    """Raises if ranks would shuffle in different orders."""
    if rng is default_generator():
        raise ValueError(
            "DataLoader: each rank must shuffle alike, or some examples come twice and others never, and the library's "
            "generator differs by rank; give a seed: DataLoader(..., shuffle=True, seed=0, shard=shard)"
        )
    if any(drawn is rng for drawn in generators_in(functions).values()):
        raise ValueError(
            "DataLoader: the transform or collate_fn draws from the generator of the order, each rank for its own "
            "share, and then the orders differ; give the loader a seed of its own: DataLoader(..., seed=0, shard=shard)"
        )


def has_items_alone(images: Any) -> bool:
    """Whether this is a data set that is no array or list."""
    is_array = isinstance(images, (list, tuple, str)) or is_tensor(images) or hasattr(images, "__array__")
    return not is_array and hasattr(images, "__getitem__")


def as_dataset(images: Any, labels: Any, dataset: Any) -> Any:
    """The data set that was given, or one of two arrays."""
    if dataset is not None:
        if images is not None or labels is not None:
            raise TypeError(f"DataLoader got a dataset, and images or labels too; {WHAT}")
        return check_dataset("DataLoader", dataset)
    if labels is not None:
        pair = as_array("DataLoader: images", images), as_array("DataLoader: labels", labels)
        if len(pair[0]) != len(pair[1]):
            raise ValueError(f"{len(pair[0])} images but {len(pair[1])} labels; each image needs one label")
        return TensorDataset(*pair)
    arrays = images[:1] if isinstance(images, tuple) else [images]
    if images is None or any(is_tensor(part) or hasattr(part, "__array__") for part in arrays):
        raise TypeError(f"DataLoader got a {type(images).__name__} and no labels; {WHAT}")
    return check_dataset("DataLoader", images)


def transformed(transform: Callable[[Any], Any], images: Any) -> Any:
    """What a transform makes of the images of a batch, if it makes as many."""
    found = transform(images)
    if found is None:
        raise TypeError("DataLoader: transform returned None, not images; is there a return in it?")
    if len(found) != len(images):
        raise ValueError(
            f"DataLoader: transform made {len(found)} images of {len(images)}, each with a label; it must keep their "
            "number"
        )
    return found


def normalize(images: NDArray[np.uint8], mean: float = 0.1307, std: float = 0.3081) -> NDArray[np.float32]:
    """Scales grey levels to 0..1 and standardises them: `(images / 255 - mean) / std`, in float32.

    Args:
        images: uint8 array of any shape, such as (n, 28, 28).
        mean, std: Mean and standard deviation of the training images' grey levels in 0..1; by default MNIST's.

    Returns:
        A new float32 array of the same shape.

    Raises:
        TypeError: The images are not uint8, or masked; they may be scaled already. `mean` or `std` is not a number.
        ValueError: `std` is not above 0, or one of the two not finite.
    """
    if getattr(images, "dtype", None) != np.uint8:
        found = getattr(images, "dtype", type(images).__name__)
        raise TypeError(f"normalize takes a uint8 array of grey levels 0 to 255, got {found}")
    refuse_mask("normalize: images", images)
    mean = check_number("normalize: mean", mean, wrong_type=TypeError)
    std = check_number("normalize: std", std, above=0, wrong_type=TypeError)
    # With float32 scalars this is one multiplication and one subtraction in float32.
    result: NDArray[np.float32] = images * np.float32(1 / (255 * std))
    result -= np.float32(mean / std)
    return result
