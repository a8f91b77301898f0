"""Synthetic digits: 28x28 images in the style of MNIST, drawn on the spot, for when there are no files.

Each digit is a few pen strokes: bent, slanted, scaled, shifted, and drawn with a pen of random width, no two alike.

To ask how far each pixel is from each piece of line would be slow: 60000 * 784 * 64 = 3 * 10**9 distances. So the pen
leaves round dabs exp(-(dx**2 + dy**2)): the product of exp(-dx**2), which depends only on the pixel's column, and
exp(-dy**2), which depends only on its row. An image, the sum of its dabs, is then a matrix product of shapes
(28, DABS) @ (DABS, 28), with an exponential per row or column and dab instead of one per pixel and dab.
"""

from __future__ import annotations  # importing numpy.random can wait until it is used

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.checks import check_int

__all__ = ["synthetic_digits"]

SIZE = 28
DABS = 64  # dabs of the pen per image
CHUNK = 2048  # images drawn at once, which bounds the memory in use
HEIGHT = 8.8  # pixels per unit of the strokes below

Float32 = NDArray[np.float32]
Point = tuple[float, float]
Stroke = Sequence[Point]


def arc(x: float, y: float, width: float, height: float, start: float, stop: float) -> list[Point]:
    """Points on an ellipse of half-axes (width, height) around (x, y); degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, 25))
    return [(x + width * float(np.cos(a)), y + height * float(np.sin(a))) for a in angles]


# Ways to write each digit. A way is a list of strokes, a stroke a list of points (x, y) with x to the right and y down,
# in the box from (-1, -1) to (1, 1).
STROKES: dict[int, list[list[Stroke]]] = {
    0: [[arc(0, 0, 0.6, 1, -90, 270)]],
    1: [
        [[(0, -1), (0, 1)]],
        [[(-0.35, -0.6), (0.05, -1), (0.05, 1)]],
        [[(-0.35, -0.6), (0.05, -1), (0.05, 1)], [(-0.4, 1), (0.5, 1)]],
    ],
    2: [
        [[*arc(0, -0.45, 0.55, 0.55, -170, 35), (-0.6, 1), (0.65, 1)]],
        [[*arc(0, -0.45, 0.55, 0.55, -170, 50), *arc(-0.35, 0.8, 0.22, 0.2, 50, 290), (0.65, 0.95)]],
    ],
    3: [
        [[*arc(0, -0.5, 0.5, 0.5, -160, 80), *arc(0, 0.48, 0.6, 0.52, -80, 160)]],
        [[(-0.5, -1), (0.5, -1), (-0.05, -0.15), *arc(-0.05, 0.42, 0.6, 0.57, -80, 150)]],
    ],
    4: [
        [[(0.3, 1), (0.3, -1), (-0.65, 0.35), (0.65, 0.35)]],
        [[(-0.45, -0.9), (-0.55, 0.1), (0.5, 0.1)], [(0.45, -0.9), (0.4, 1)]],
    ],
    5: [[[(0.55, -1), (-0.4, -1), (-0.45, -0.1), *arc(-0.05, 0.38, 0.6, 0.62, -120, 145)]]],
    6: [
        [[(0.35, -1), (-0.1, -0.65), (-0.45, -0.1), *arc(0.02, 0.45, 0.55, 0.55, -170, 190)]],
        [[*arc(0.5, 0.2, 1.0, 1.2, -100, -170), *arc(0.05, 0.5, 0.5, 0.5, 180, -180)]],
    ],
    7: [
        [[(-0.55, -1), (0.55, -1), (-0.15, 1)]],
        [[(-0.55, -1), (0.55, -1), (-0.15, 1)], [(-0.3, 0.05), (0.5, 0.05)]],
    ],
    8: [[arc(0, -0.5, 0.45, 0.5, 90, 450), arc(0, 0.5, 0.57, 0.5, -90, 270)]],
    9: [
        [[*arc(-0.02, -0.45, 0.52, 0.55, 0, -360), (0.35, 1)]],
        [[*arc(-0.02, -0.45, 0.52, 0.55, 0, -360), *arc(-0.1, 0.3, 0.6, 0.7, 0, 130)]],
    ],
}


def synthetic_digits(n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws images of handwritten digits, each digit as often as the others, in random order.

    Args:
        n: Number of images.
        seed: The same seed gives the same images and labels.

    Returns:
        The images, uint8 (n, 28, 28), 0 for the black background to 255 for ink, and their labels, uint8 (n,).

    Raises:
        TypeError: `n` or `seed` is not an integer.
        ValueError: `n` or `seed` is negative.
    """
    n = check_int("synthetic_digits: n", n, 0, wrong_type=TypeError)
    rng = np.random.default_rng(check_int("synthetic_digits: seed", seed, 0, wrong_type=TypeError))
    labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    images = np.empty((n, SIZE, SIZE), np.uint8)
    for start in range(0, n, CHUNK):
        images[start : start + CHUNK] = draw_digits(labels[start : start + CHUNK], rng)
    return images, labels


def draw_digits(labels: NDArray[np.uint8], rng: np.random.Generator) -> Float32:
    """Draws one image for each label; float32 of shape (n, 28, 28), from 0 to 255."""
    n = len(labels)

    def uniform(low: float, high: float, *shape: int) -> Float32:
        return low + (high - low) * rng.random((n, *shape), np.float32)

    points, distance = choose_dabs(labels, uniform(0, 1))

    # A bend shifts each point by a wave across the image: strokes that meet still meet afterwards.
    wave = np.sin(points @ uniform(-2.5, 2.5, 2, 2) + uniform(0, 2 * np.pi, 1, 2))
    points = points + uniform(0, 0.17, 1, 1) * wave
    points += 0.012 * rng.standard_normal(points.shape, np.float32)

    angle, slant = uniform(-0.3, 0.3), uniform(-0.2, 0.5)
    width, height = HEIGHT * uniform(0.7, 1.15), HEIGHT * uniform(0.75, 1.1)
    cos, sin = np.cos(angle), np.sin(angle)
    # Scale, then slant x by -y, then rotate; as matrices that multiply row vectors (x, y) from the right.
    matrix = np.empty((n, 2, 2), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = width * cos, width * sin
    matrix[:, 1, 0], matrix[:, 1, 1] = height * (-slant * cos - sin), height * (cos - slant * sin)
    points = points @ matrix + (SIZE - 1) / 2 + uniform(-2.3, 2.3, 1, 2)

    thickness = uniform(0.92, 1.48)
    pixels = np.arange(SIZE, dtype=np.float32)
    falloff = np.exp(-(((points[..., None] - pixels) / thickness[:, None, None, None]) ** 2))  # (n, DABS, 2, 28)
    ink = falloff[:, :, 1].transpose(0, 2, 1) @ falloff[:, :, 0]
    # Scaled to 1 in the middle of a straight stroke, whatever the distance of the dabs.
    ink *= (distance * HEIGHT / (math.sqrt(math.pi) * thickness))[:, None, None]
    ink *= uniform(1.2, 2.0, 1, 1) * (1 + 0.15 * rng.standard_normal(ink.shape, np.float32))
    image: Float32 = ink.clip(0, 1) * 255
    return image


def choose_dabs(labels: NDArray[np.uint8], shares: Float32) -> tuple[Float32, Float32]:
    """Dabs for each label, (n, DABS, 2), and their distances, (n,); shares from 0 to 1 choose a way to write it."""
    dabs = [place_dabs(strokes) for ways in STROKES.values() for strokes in ways]
    count = np.array([len(ways) for ways in STROKES.values()])
    first = count.cumsum() - count  # of the ways to write each digit
    chosen = first[labels] + (shares * count[labels]).astype(int)
    points = np.stack([points for points, _ in dabs])[chosen]
    return points, np.array([distance for _, distance in dabs], np.float32)[chosen]


def place_dabs(strokes: list[Stroke]) -> tuple[Float32, float]:
    """Places DABS points along the strokes, evenly; returns them, shape (DABS, 2), and their distance."""
    lines = [np.array(stroke) for stroke in strokes]
    starts = np.concatenate([line[:-1] for line in lines])
    steps = np.concatenate([np.diff(line, axis=0) for line in lines])
    ends = np.cumsum(np.hypot(*steps.T))
    distance = ends[-1] / DABS
    along = (np.arange(DABS) + 0.5) * distance
    segment = np.searchsorted(ends, along)
    lengths = np.hypot(*steps[segment].T)
    fraction = 1 - (ends[segment] - along) / lengths
    return (starts[segment] + fraction[:, None] * steps[segment]).astype(np.float32), float(distance)
