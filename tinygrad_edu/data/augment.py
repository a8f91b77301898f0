"""Augmentation: each image of a batch is moved or bent at random, so that a network never sees the same picture twice.

A 3 that is shifted, turned or slanted a little is still a 3. `RandomAffine` and `ElasticTransform` know that, and turn
one training image into as many as there are epochs. They belong to training only, and come before the images are
flattened, because they need to know which pixels are neighbours:

    augment = RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1), seed=0)
    train = DataLoader(images, labels, 64, shuffle=True, transform=lambda x: normalize(augment(x)).reshape(-1, 784))

The hard idea is to map backwards. The program that says it forwards, as one thinks of it, leaves holes:

    for y, x in np.ndindex(28, 28):
        result[2 * y, 2 * x] = image[y, x]      # three quarters of the pixels of `result` are never written

So `bilinear` asks for each pixel of the result where it comes from. That is a point between four pixels; their mean,
weighted by how near they are, is the answer. Its work is four gathers from one flat array for the whole batch. Images
get a frame of the fill colour first, and points outside are pulled onto it: then every point has four neighbours.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_edu.random import new_generator

CHUNK_PIXELS = 2**14  # a chunk of images is warped at once; its arrays stay in the processor's cache


class Augmentation:
    """Base class: a callable on batches of images that draws anew at each call. A subclass defines `warp`.

    Attributes:
        rng: The generator of the draws. A loader and its augmentation may share one, so that a checkpoint needs one
            state for both: `DataLoader(..., rng=rng, transform=RandomAffine(10, rng=rng))`.
        fill: What is seen outside the picture.
    """

    def __init__(self, fill: float, seed: int | None, rng: np.random.Generator | None) -> None:
        self.rng = new_generator(seed, rng)
        self.fill = _number("fill", fill)

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        """Returns a new array: the images, each changed in its own way.

        Args:
            images: Array of shape (n, h, w), integers, booleans or floats.

        Returns:
            Array of the same shape and dtype; integers are rounded, float32 is computed in float32.

        Raises:
            TypeError: `images` is not an array of real numbers.
            ValueError: It has another number of axes, or its dtype cannot hold the fill value.
        """
        _check(images, self.fill)
        result = np.empty(images.shape, images.dtype)
        step = max(1, CHUNK_PIXELS // max(1, math.prod(images.shape[1:])))
        for start in range(0, len(images) if images.size else 0, step):
            result[start : start + step] = self.warp(images[start : start + step])
        return result

    def warp(self, images: NDArray[Any]) -> NDArray[Any]:
        """Draws a change for each image, of shape (n, h, w) with at least one pixel, and returns the results."""
        raise NotImplementedError(f"{type(self).__name__} is no complete augmentation; define warp in it")


class RandomAffine(Augmentation):
    """Turns, shifts, scales and shears each image by amounts of its own, as torchvision's transform of this name.

    All amounts are drawn uniformly; the centre of the image stays where it is but for the shift. Unlike torchvision's
    it interpolates bilinearly, does not round shifts to whole pixels, and draws for each image of a batch. An image
    takes six random numbers from the generator whatever the settings are: the same seed turns the images by the same
    angles with and without a shear.

    Args:
        degrees: A turn clockwise between -degrees and degrees, or between the two numbers of a pair.
        translate: (a, b): shifts of up to a times the width to the left or right and b times the height up or down.
        scale: (a, b): the factor of size is between a and b.
        shear: A slant along the x-axis between -shear and shear degrees, or between a pair's two numbers; four numbers
            also give the range of a slant along the y-axis.
        fill: What is seen outside the picture.
        seed: Seed of the draws: the same seed gives the same sequence of batches.
        rng: Generator to draw from, instead of `seed`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or both `seed` and `rng` are given.
    """

    def __init__(
        self,
        degrees: float | Sequence[float] = 0.0,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        fill: float = 0,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(fill, seed, rng)
        self.degrees = _interval("degrees", degrees)
        self.translate = _numbers("translate", (0.0, 0.0) if translate is None else translate)
        if not all(0 <= share <= 1 for share in self.translate):
            raise ValueError(f"translate is {translate!r}; it counts in widths and heights, each from 0 to 1")
        self.scale = _numbers("scale", (1.0, 1.0) if scale is None else scale)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale is {scale!r}; give the lowest factor, above 0, and then the highest")
        if isinstance(shear, Sequence | np.ndarray) and len(shear) == 4:
            self.shear = _interval("shear", shear[:2]) + _interval("shear", shear[2:])
        else:
            self.shear = (*_interval("shear", 0.0 if shear is None else shear), 0.0, 0.0)
        if max(map(abs, self.shear)) >= 90:
            raise ValueError(f"shear is {shear!r}; slants must be less than 90 degrees")

    def warp(self, images: NDArray[Any]) -> NDArray[Any]:
        """Draws a map for each image and applies it."""
        n, h, w = images.shape
        dx, dy = self.translate[0] * w, self.translate[1] * h
        low, high = np.array((*self.degrees, -dx, dx, -dy, dy, *self.scale, *self.shear)).reshape(6, 2).T
        angle, dx, dy, scale, shear_x, shear_y = (low + (high - low) * self.rng.random((n, 6))).T
        return affine(images, angle, (dx, dy), scale, (shear_x, shear_y), self.fill)


class ElasticTransform(Augmentation):
    """Bends each image as if it were drawn on rubber (Simard, Steinkraus & Platt 2003), as torchvision's.

    Each pixel is displaced by smoothed noise: uniform over +-alpha / 2 pixels in x and in y, then averaged with
    Gaussian weights over the neighbours, near an edge over those inside the picture. The paper's alpha counts whole
    pixels: its best values for MNIST, alpha = 34 and sigma = 4, are alpha=68, sigma=4 here and in torchvision.

    Args:
        alpha: Strength, at least 0: displacements in x and in y have a root mean square of
            about 0.08 * alpha / sigma pixels.
        sigma: Standard deviation of the Gaussian in pixels, above 0: small ones crumple, large ones shift.
        fill: What is seen outside the picture.
        seed: Seed of the draws: the same seed gives the same sequence of batches.
        rng: Generator to draw from, instead of `seed`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or both `seed` and `rng` are given.
    """

    def __init__(
        self,
        alpha: float = 50.0,
        sigma: float = 5.0,
        fill: float = 0,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(fill, seed, rng)
        self.alpha, self.sigma = _number("alpha", alpha), _number("sigma", sigma)
        if self.alpha < 0:
            raise ValueError(f"alpha is {alpha!r}; the strength must be at least 0")
        if self.sigma <= 0:
            raise ValueError(f"sigma is {sigma!r}; the width of the Gaussian must be above 0")

    def warp(self, images: NDArray[Any]) -> NDArray[Any]:
        """Draws a field of displacements for each image and applies it."""
        n, h, w = images.shape
        noise = self.rng.random((n, 2, h, w), np.float32)  # displacements along x and along y, in 0..1
        shift = _gaussian(h, self.sigma) @ noise @ _gaussian(w, self.sigma).T  # a Gaussian is separable
        shift -= 0.5
        shift *= self.alpha
        x, y = shift[:, 0], shift[:, 1]
        x += np.arange(w, dtype=np.float32)
        y += np.arange(h, dtype=np.float32)[:, None]
        return bilinear(images, y, x, self.fill)


def affine(
    images: NDArray[Any],
    angle: ArrayLike = 0.0,
    translate: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
    scale: ArrayLike = 1.0,
    shear: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
    fill: float = 0,
) -> NDArray[Any]:
    """Shears, scales, turns and then shifts images, as torchvision.transforms.functional.affine does, bilinearly.

    The matrix is scale * rotation @ [[1, 0], [-tan(shear_y), 1]] @ [[1, -tan(shear_x)], [0, 1]], for points (x, y)
    with y down, seen from the centre of the image.

    Args:
        images: Array of shape (n, h, w), integers, booleans or floats.
        angle: Degrees clockwise. This and all that follow: one number, or an array of shape (n,), one for each image.
        translate: Pixels to the right, and pixels down.
        scale: Factor of size, above 0.
        shear: Degrees of the slant along x and along y, within +-90.
        fill: What is seen outside the picture.

    Returns:
        A new array of the same shape and dtype; integers are rounded.

    Raises:
        TypeError: `images` is not an array of real numbers.
        ValueError: It has another number of axes, its dtype cannot hold the fill value, or scale is not above 0.
    """
    _check(images, fill)
    if not np.all(np.asarray(scale) > 0):
        raise ValueError(f"affine: scale is {scale!r:.60}; it must be above 0")
    n, h, w = images.shape
    given = np.radians(angle), *translate, scale, np.radians(shear[0]), np.radians(shear[1])
    turn, dx, dy, size, slant_x, slant_y = (_per_image(value, n) for value in given)  # (n, 1, 1) or (1, 1, 1)
    a, c = np.cos(turn - slant_y) / np.cos(slant_y), np.sin(turn - slant_y) / np.cos(slant_y)
    b, d = -a * np.tan(slant_x) - np.sin(turn), -c * np.tan(slant_x) + np.cos(turn)
    # The matrix is size * [[a, b], [c, d]], where ad - bc = 1, and its inverse [[d, -b], [-c, a]] / size.
    middle_x, middle_y = (w - 1) / 2, (h - 1) / 2
    to_x = (np.arange(w) - middle_x - dx) / size  # (n, 1, w)
    to_y = (np.arange(h)[:, None] - middle_y - dy) / size  # (n, h, 1)
    x = (d * to_x + middle_x).astype(np.float32) - (b * to_y).astype(np.float32)
    y = (a * to_y + middle_y).astype(np.float32) - (c * to_x).astype(np.float32)
    return bilinear(images, y, x, fill)


def bilinear(
    images: NDArray[Any], y: NDArray[np.floating[Any]], x: NDArray[np.floating[Any]], fill: float = 0
) -> NDArray[Any]:
    """Looks images up at points between the pixels.

    Args:
        images: Array of shape (n, h, w).
        y: Rows of the points, shape (n, height, width); row 0 is the middle of the first row of pixels.
        x: Columns of the points, of the same shape.
        fill: The value outside the images; within one pixel of an edge image and fill are blended.

    Returns:
        The values there, of the points' shape and the images' dtype; integers are rounded.
    """
    n, h, w = images.shape
    framed = np.full((n, h + 3, w + 3), fill, np.result_type(images.dtype, np.float32))
    framed[:, 1:-2, 1:-2] = images
    y, x = y.clip(-1, h), x.clip(-1, w)
    top, left = np.floor(y), np.floor(x)
    y -= top
    x -= left
    index = (top + 1).astype(np.intp) * (w + 3) + (left + 1).astype(np.intp)  # in the frame
    index = index + np.arange(n)[:, None, None] * ((h + 3) * (w + 3))
    flat = framed.reshape(-1)
    upper = _blend(flat.take(index), flat[1:].take(index), x)
    lower = _blend(flat[w + 3 :].take(index), flat[w + 4 :].take(index), x)
    values = _blend(upper, lower, y)
    if images.dtype.kind != "f":
        np.rint(values, out=values)
    return values.astype(images.dtype, copy=False)


def _blend(a: NDArray[Any], b: NDArray[Any], share: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """a + share * (b - a), computed in the memory of b."""
    b -= a
    b *= share
    b += a
    return b


def _gaussian(size: int, sigma: float) -> NDArray[np.float32]:
    """Matrix (size, size) that smooths a vector; each row holds weights with the sum 1."""
    positions = np.arange(size)
    weights = np.exp(-0.5 * ((positions - positions[:, None]) / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def _check(images: Any, fill: float) -> None:
    """Refuses what is no batch of images."""
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "biuf":
        found = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else type(images).__name__
        raise TypeError(f"augmentation works on NumPy arrays of integers, booleans or floats, got {found}")
    if images.ndim != 3:
        raise ValueError(
            f"augmentation needs a batch of images of shape (n, h, w), got {images.shape}; it comes before images are "
            "flattened, because it needs to know their rows, and takes a single image as image[None]"
        )
    if images.dtype.kind != "f" and np.array(fill).astype(images.dtype) != fill:
        raise ValueError(f"fill is {fill!r}, which images of dtype {images.dtype} cannot hold")


def _per_image(value: ArrayLike, n: int) -> NDArray[np.float64]:
    """One number for each of n images, or one for all, to be combined with arrays of shape (n, h, w)."""
    numbers = np.asarray(value, np.float64)
    if numbers.shape not in ((), (n,)):
        raise ValueError(
            f"affine: {numbers.shape} numbers for {n} images; give one number, or an array of shape ({n},)"
        )
    return numbers.reshape(-1, 1, 1)


def _number(name: str, value: Any) -> float:
    """A finite number, as a Python float."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; it must be finite")
    return float(value)


def _numbers(name: str, value: Any) -> tuple[float, float]:
    """A pair of finite numbers."""
    if not isinstance(value, Sequence | np.ndarray) or len(value) != 2:
        raise TypeError(f"{name} is {value!r}; it must be a pair of numbers")
    return _number(name, value[0]), _number(name, value[1])


def _interval(name: str, value: Any) -> tuple[float, float]:
    """The lowest and the highest number, from these two, or from one number for both sides of zero."""
    if isinstance(value, Real) and value < 0:
        raise ValueError(f"{name} is {value!r}; a single number means both sides of zero and must be at least 0")
    low, high = _numbers(name, (-value, value) if isinstance(value, Real) else value)
    if low > high:
        raise ValueError(f"{name} is {value!r}; give the lower number first")
    return low, high
