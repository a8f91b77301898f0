"""Augmentation: each image of a batch is moved or bent at random, so that a network never sees the same picture twice.

A 3 that is shifted, turned or slanted a little is still a 3. `RandomAffine` and `ElasticTransform` know that, and turn
one training image into as many as there are epochs. They belong in training only, and come before the images are
flattened, because they need to know which pixels are neighbours:

    augment = RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1), seed=0)
    train = DataLoader(images, labels, 64, shuffle=True, transform=lambda x: normalize(augment(x)).reshape(-1, 784))

The hard idea is to map backwards. A program that maps forwards, as one would think of it, leaves holes:

    for y, x in np.ndindex(28, 28):
        result[2 * y, 2 * x] = image[y, x]      # three quarters of the pixels of `result` are never written

So `bilinear` asks for each pixel of the result where it comes from. That is a point between four pixels; their mean,
weighted by how near they are, is the answer. It takes four gathers from one flat array for the whole batch. Images get
a frame of the fill colour first, and points outside are pulled onto it, so every point has four neighbours.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arguments import Named
from tinygrad_edu.checks import check_number, refuse_mask
from tinygrad_edu.random import new_generator

__all__ = ["ElasticTransform", "RandomAffine"]

CHUNK_PIXELS = 2**14  # images are warped in chunks of about this size, whose arrays stay in the processor's cache


class Augmentation(metaclass=Named):
    """Base class: a callable on batches of images that draws anew at each call. A subclass defines `warp`.

    Attributes:
        rng: The generator of the draws. A loader and its augmentation may share one, so that a checkpoint needs one
            state for both: `DataLoader(..., rng=rng, transform=RandomAffine(10, rng=rng))`.
        fill: What is seen outside the picture.
    """

    def __init__(self, fill: float, seed: int | None, rng: np.random.Generator | None) -> None:
        self.rng = new_generator(type(self).__name__, seed, rng)
        self.fill = check_number(f"{type(self).__name__}: fill", fill, wrong_type=TypeError)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns a new array: the images, each changed in its own way.

        Args:
            images: Array of shape (n, h, w), integers, booleans or floats.

        Returns:
            Array of the same shape and dtype; integers are rounded, float32 is computed in float32.

        Raises:
            TypeError: `images` is not an array of real numbers, or is a masked one.
            ValueError: It has another number of axes, its dtype cannot hold the fill value, or it holds infinity.
        """
        if not isinstance(images, np.ndarray) or images.dtype.kind not in "biuf":
            found = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else type(images).__name__
            raise TypeError(f"augmentation works on NumPy arrays of integers, booleans or floats, got {found}")
        refuse_mask(f"{type(self).__name__}: images", images)
        if images.ndim != 3:
            raise ValueError(
                f"augmentation needs a batch of images of shape (n, h, w), got {images.shape}; it comes before images "
                "are flattened, because it needs to know their rows, and takes a single image as image[None]"
            )
        if images.dtype.kind != "f" and np.array(self.fill).astype(images.dtype) != self.fill:
            raise ValueError(f"fill is {self.fill!r}, which images of dtype {images.dtype} cannot hold")
        if images.dtype.kind == "f" and np.isinf(images).any():  # its neighbours would be inf * 0
            raise ValueError(f"{type(self).__name__}: the images hold infinity, between which and others is no mean")
        result = np.empty(images.shape, images.dtype)
        if images.size:
            step = max(1, CHUNK_PIXELS // math.prod(images.shape[1:]))
            for start in range(0, len(images), step):
                result[start : start + step] = self.warp(images[start : start + step])
        return result

    def warp(self, images: np.ndarray) -> np.ndarray:
        """Draws a change for each image, of shape (n, h, w) with at least one pixel, and returns the results."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes images; define warp in it")


class RandomAffine(Augmentation):
    """Turns, shifts, scales and shears each image by its own random amounts, as torchvision's transform of this name.

    All amounts are drawn uniformly; only the shift moves the centre of the image. Unlike torchvision's, it interpolates
    bilinearly, does not round shifts to whole pixels, and draws for each image of a batch. An image takes six random
    numbers whatever the settings are: the same seed gives the same angles with and without a shear.

    Args:
        degrees: A turn clockwise between -degrees and degrees, or between the two numbers of a pair.
        translate: (a, b): shifts of up to a times the width to the left or right and b times the height up or down.
        scale: (a, b): the factor of size is between a and b.
        shear: A slant along x, given in degrees as a turn is; four numbers are the ranges along x and along y.
        fill: What is seen outside the picture.
        seed: Seed of the draws: the same seed gives the same sequence of batches.
        rng: Generator to draw from, instead of `seed`; without both, the library's, which manual_seed reseeds.

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
        self.degrees = check_range("RandomAffine: degrees", degrees)
        self.translate = check_two_numbers("RandomAffine: translate", (0.0, 0.0) if translate is None else translate)
        if not all(0 <= share <= 1 for share in self.translate):
            raise ValueError(f"translate is {translate!r}; it counts in widths and heights, each from 0 to 1")
        self.scale = check_two_numbers("RandomAffine: scale", (1.0, 1.0) if scale is None else scale)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale is {scale!r}; give the lowest factor, above 0, and then the highest")
        if isinstance(shear, Sequence | np.ndarray) and getattr(shear, "shape", (4,)) == (4,) == (len(shear),):
            self.shear = check_range("RandomAffine: shear", shear[:2]) + check_range("RandomAffine: shear", shear[2:])
        else:
            self.shear = (*check_range("RandomAffine: shear", 0.0 if shear is None else shear), 0.0, 0.0)
        if max(map(abs, self.shear)) >= 90:
            raise ValueError(f"shear is {shear!r}; slants must be less than 90 degrees")

    def warp(self, images: np.ndarray) -> np.ndarray:
        """Draws a map for each image and applies it."""
        n, h, w = images.shape
        most_x, most_y = self.translate[0] * w, self.translate[1] * h
        shifts = [(-most_x, most_x), (-most_y, most_y)]
        low, high = np.array([self.degrees, *shifts, self.scale, self.shear[:2], self.shear[2:]]).T
        amounts = low + (high - low) * self.rng.random((n, 6))  # one column for each range
        return affine(images, amounts.T, self.fill)


class ElasticTransform(Augmentation):
    """Bends each image as if it were drawn on rubber (Simard, Steinkraus & Platt 2003), as torchvision's.

    Each pixel is displaced by smoothed noise: uniform over +-alpha / 2 pixels in x and in y, then averaged with
    Gaussian weights over the neighbours, near an edge over those inside the picture. The paper's alpha counts whole
    pixels: its best values for MNIST, alpha = 34 and sigma = 4, are alpha=68, sigma=4 here and in torchvision.

    Args:
        alpha: Strength, at least 0: displacements along an axis are about 0.08 * alpha / sigma pixels (r.m.s.).
        sigma: Standard deviation of the Gaussian in pixels, above 0: small ones crumple, large ones shift.
        fill, seed, rng: As for RandomAffine; so are the errors.
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
        self.alpha = check_number("ElasticTransform: alpha", alpha, at_least=0, wrong_type=TypeError)
        self.sigma = check_number("ElasticTransform: sigma", sigma, above=0, wrong_type=TypeError)

    def warp(self, images: np.ndarray) -> np.ndarray:
        """Draws a field of displacements for each image and applies it."""
        n, h, w = images.shape
        noise = self.rng.random((n, 2, h, w), np.float32)  # displacements along x and along y, in 0..1
        shift = gaussian_weights(h, self.sigma) @ noise @ gaussian_weights(w, self.sigma).T  # a Gaussian is separable
        shift -= 0.5
        shift *= self.alpha
        x, y = shift[:, 0], shift[:, 1]
        x += np.arange(w, dtype=np.float32)
        y += np.arange(h, dtype=np.float32)[:, None]
        return bilinear(images, y, x, self.fill)


def affine(images: np.ndarray, amounts: np.ndarray, fill: float) -> np.ndarray:
    """Shears, scales, turns and then shifts images bilinearly, as torchvision.transforms.functional.affine does.

    The matrix is scale * rotation @ [[1, 0], [-tan(shear_y), 1]] @ [[1, -tan(shear_x)], [0, 1]], for points (x, y)
    with y down, seen from the centre of the image.

    Images have the shape (n, h, w), and amounts (6, n): degrees clockwise, pixels to the right and down, a factor of
    size above 0, and degrees of the slants along x and y, within +-90.
    """
    h, w = images.shape[1:]
    angle, dx, dy, scale, shear_x, shear_y = amounts[..., None, None]
    turn, slant_x, slant_y = np.radians(angle), np.radians(shear_x), np.radians(shear_y)
    a, c = np.cos(turn - slant_y) / np.cos(slant_y), np.sin(turn - slant_y) / np.cos(slant_y)
    b, d = -a * np.tan(slant_x) - np.sin(turn), -c * np.tan(slant_x) + np.cos(turn)
    # The matrix is scale * [[a, b], [c, d]], where ad - bc = 1, and its inverse [[d, -b], [-c, a]] / scale.
    middle_x, middle_y = (w - 1) / 2, (h - 1) / 2
    to_x = (np.arange(w) - middle_x - dx) / scale  # (n, 1, w)
    to_y = (np.arange(h)[:, None] - middle_y - dy) / scale  # (n, h, 1)
    x = (d * to_x + middle_x).astype(np.float32) - (b * to_y).astype(np.float32)
    y = (a * to_y + middle_y).astype(np.float32) - (c * to_x).astype(np.float32)
    return bilinear(images, y, x, fill)


def bilinear(images: np.ndarray, y: np.ndarray, x: np.ndarray, fill: float) -> np.ndarray:
    """The values of images (n, h, w) at points between the pixels, whose rows y and columns x are (n, height, width).

    Row 0 is the middle of the first row of pixels; within one pixel of an edge image and fill are blended. The result
    has the points' shape and the images' dtype; integers are rounded.
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
    upper = blend(flat.take(index), flat[1:].take(index), x)
    lower = blend(flat[w + 3 :].take(index), flat[w + 4 :].take(index), x)
    values = blend(upper, lower, y)
    if images.dtype.kind != "f":
        np.rint(values, out=values)
    return values.astype(images.dtype, copy=False)


def blend(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """a + share * (b - a), computed in the memory of b."""
    b -= a
    b *= share
    b += a
    return b


def gaussian_weights(size: int, sigma: float) -> NDArray[np.float32]:
    """Matrix (size, size) that smooths a vector; each row holds weights with the sum 1."""
    positions = np.arange(size)
    weights = np.exp(-0.5 * ((positions - positions[:, None]) / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def check_two_numbers(name: str, value: object) -> tuple[float, float]:
    """A pair of finite numbers."""
    if not isinstance(value, Sequence | np.ndarray) or getattr(value, "shape", None) == () or len(value) != 2:
        raise TypeError(f"{name} is {value!r:.60}; it must be a pair of numbers")
    return check_number(name, value[0], wrong_type=TypeError), check_number(name, value[1], wrong_type=TypeError)


def check_range(name: str, value: object) -> tuple[float, float]:
    """The lowest and the highest number, from these two, or from one number for both sides of zero."""
    if isinstance(value, Real):
        number = check_number(name, value, wrong_type=TypeError)
        if number < 0:
            raise ValueError(f"{name} is {value!r}; a single number means both sides of zero and must be at least 0")
        return 0.0 - number, number
    low, high = check_two_numbers(name, value)
    if low > high:
        raise ValueError(f"{name} is {value!r}; give the lower number first")
    return low, high
