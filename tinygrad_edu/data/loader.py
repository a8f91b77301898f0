"""Mini-batches: `DataLoader` cuts a data set into batches, in a new random order each epoch if asked.

`normalize` is the usual preparation of a batch of images, made to be the loader's `transform`.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.random import new_generator


class DataLoader:
    """Iterates over images and labels in mini-batches; one pass is one epoch.

    Every batch is a copy, so code that changes a batch in place leaves the data set as it was. The
    smallest program that goes wrong when batches are slices of the data set, which NumPy makes views:

        for epoch in range(2):
            for images, labels in loader:
                images -= images.mean()     # the second epoch starts from already shifted images

    Args:
        images: Array of shape (n, ...), any dtype.
        labels: Array of shape (n, ...), any dtype.
        batch_size: Examples per batch, at least 1. The last batch holds what is left over.
        shuffle: Whether each `iter()` draws a new permutation of the examples.
        seed: Seed of the permutations: the same seed gives the same sequence of epochs. Not used
            without `shuffle`.
        rng: Generator to draw the permutations from, instead of `seed`.
        drop_last: Leave out the last batch if it is shorter than `batch_size`.
        transform: Called on each batch of images; what it returns takes their place. See `normalize`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If images and labels differ in length, `batch_size` is below 1, or both `seed` and
            `rng` are given.
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike,
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
        drop_last: bool = False,
        transform: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        self.images = np.asarray(images)
        self.labels = np.asarray(labels)
        if self.images.ndim == 0 or self.labels.ndim == 0:
            raise ValueError("images and labels must have a first axis of examples, got a single number")
        if len(self.images) != len(self.labels):
            counts = f"{len(self.images)} images but {len(self.labels)} labels"
            raise ValueError(f"got {counts}; each image needs one label")
        if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool):
            raise TypeError(f"batch_size must be an int, got {batch_size!r} ({type(batch_size).__name__})")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be callable or None, got {type(transform).__name__}")
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.transform = transform
        self.rng = new_generator(seed, rng)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yields (images, labels) batches of shapes (batch, ...) and (batch, ...), as copies."""
        n = len(self.images)
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return (self._batch(order[start : start + self.batch_size]) for start in starts)

    def _batch(self, index: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[Any]]:
        images = self.images[index]  # indexing with an array copies, a slice would not
        return images if self.transform is None else self.transform(images), self.labels[index]


def normalize(images: NDArray[np.uint8], mean: float = 0.1307, std: float = 0.3081) -> NDArray[np.float32]:
    """Scales grey levels to 0..1 and standardises them: `(images / 255 - mean) / std`, in float32.

    Args:
        images: uint8 array of any shape, such as (n, 28, 28).
        mean: Mean grey level of the training images in 0..1; that of MNIST by default.
        std: Standard deviation of their grey levels, likewise.

    Returns:
        A new float32 array of the same shape.

    Raises:
        TypeError: If the images are not uint8; they may be scaled already.
        ValueError: If `std` is not above zero.
    """
    if getattr(images, "dtype", None) != np.uint8:
        found = getattr(images, "dtype", type(images).__name__)
        raise TypeError(f"normalize expects a uint8 array of grey levels 0 to 255, got {found}")
    if not std > 0:
        raise ValueError(f"std must be above zero, got {std}")
    # float32 scalars keep it at one multiplication and one subtraction in float32.
    result: NDArray[np.float32] = images * np.float32(1 / (255 * std))
    result -= np.float32(mean / std)
    return result
