"""Mini-batches: `DataLoader` cuts a data set into batches, and `normalize` scales and standardises images."""

from __future__ import annotations  # importing numpy.random can wait until it is used

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.arguments import Named
from tinygrad_edu.checks import check_bool, check_number, check_positive_int, refuse_mask
from tinygrad_edu.engine import is_tensor
from tinygrad_edu.random import new_generator

__all__ = ["DataLoader", "normalize"]

TWO_ARRAYS = (
    "it takes two arrays: DataLoader(images, labels, batch_size). A pair of arrays becomes DataLoader(*pair), "
    "a data set of pairs (image, label) DataLoader(*zip(*dataset))"
)


class DataLoader(metaclass=Named):
    """Iterates over images and labels in mini-batches; one pass is one epoch.

    Every batch is a copy, so code that changes a batch in place leaves the data set as it was.

    Args:
        images, labels: Arrays of shape (n, ...), any dtype.
        batch_size: Examples per batch, at least 1. The last batch holds what is left over.
        shuffle: Whether each `iter()` draws a new permutation of the examples.
        seed: Seed of the permutations: the same seed gives the same sequence of epochs. Not used without `shuffle`.
        rng: Generator to draw the permutations from, instead of `seed`; without both, the library's, which manual_seed
            reseeds.
        drop_last: Whether to leave out the last batch if it is shorter than `batch_size`.
        transform: Called with each batch of images; what it returns takes their place. See `normalize`.

    Raises:
        TypeError: An argument has the wrong type, or there are no labels, or an array is masked.
        ValueError: Images and labels differ in length or are single numbers, `batch_size` or `seed` is too small, or
            both `seed` and `rng` are given.
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,  # needed; the default is there for the message
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
        drop_last: bool = False,
        transform: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        if labels is None:
            raise TypeError(f"DataLoader got a {type(images).__name__} and no labels; {TWO_ARRAYS}")
        self.labels = as_array("labels", labels)
        if self.labels.ndim == 0:  # as in PyTorch's DataLoader(dataset, 64)
            raise ValueError(f"DataLoader: labels is {labels!r:.60}, which has no first axis of examples; {TWO_ARRAYS}")
        self.images = as_array("images", images)
        if self.images.ndim == 0:
            raise ValueError(f"DataLoader: images is {images!r:.60}, which has no first axis of examples; {TWO_ARRAYS}")
        if len(self.images) != len(self.labels):
            raise ValueError(f"{len(self.images)} images but {len(self.labels)} labels; each image needs one label")
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be callable or None, got {type(transform).__name__}")
        self.batch_size = check_positive_int("DataLoader: batch_size", batch_size, wrong_type=TypeError)
        self.shuffle = check_bool("DataLoader: shuffle", shuffle)
        self.drop_last = check_bool("DataLoader: drop_last", drop_last)
        self.transform = transform
        self.rng = new_generator("DataLoader", seed, rng)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full if self.drop_last or rest == 0 else full + 1

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (images, labels) batches of shapes (batch, ...) and (batch, ...), as copies."""
        n = len(self.images)
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return (self._batch(order[start : start + self.batch_size]) for start in starts)

    def _batch(self, index: NDArray[np.intp]) -> tuple[np.ndarray, np.ndarray]:
        images = self.images[index]  # indexing with an array copies, a slice would not
        if self.transform is not None:
            images = self.transform(images)
            if images is None:
                raise TypeError("DataLoader: transform returned None, not images; is there a return in it?")
            if len(images) != len(index):
                raise ValueError(
                    f"DataLoader: transform made {len(images)} images of {len(index)}, each with a label; it must "
                    "keep their number"
                )
        return images, self.labels[index]


def as_array(name: str, values: ArrayLike) -> np.ndarray:
    """Images or labels as an array; a TypeError for Tensors and masks, which would be lost."""
    refuse_mask(f"DataLoader: {name}", values)
    if is_tensor(values):
        how = f"pass an array, {name}.data; the loss needs gradients of the parameters alone"
        raise TypeError(f"DataLoader: {name} is a Tensor; {how}")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"DataLoader: {name} are not an array: {error}") from None


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
