"""Your own picture of a digit, made to look like those of MNIST, so that a trained network can read it.

    image = read_digit("seven.jpg")     # a photo, a scan or a drawing; uint8 of shape (28, 28)
    model(normalize(image).reshape(1, 784)).data.argmax()

A network knows only what its training images had in common: light ink on black, the digit as large as a box of 20x20
pixels allows, its centre of mass in the middle of 28x28 (LeCun, Bottou, Bengio & Haffner 1998). To a picture that is
only reduced to that size, dark on white and with the shadow of the hand, it answers nonsense without hesitation.

Neither ink nor paper needs to be black or white, or evenly lit. The paper is guessed first, a smooth surface through
most of the picture's edge, and then fitted again and again to all pixels that agree with it. Ink is what remains, along
the direction in colour space in which pixels differ most from the paper: darker or lighter, red on green or opaque on
transparent. All that is assumed is that there is less ink than paper.
"""

import math
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.files import StrPath, check_regular, visible

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read_digit"]

SIZE = 28  # of the result
BOX = 20  # into which the digit fits
WORKING_SIZE = 400  # larger pictures are reduced before ink is looked for
MAX_PIXELS = 2**26  # of a picture; the largest cameras of telephones have a few more
GREEDY = ("AVIF", "JPEG2000", "WEBP")  # formats whose decoders take four times the memory of the others
TILE = 1024  # pixels along a side of what is converted and reduced at a time
FAINT = 0.1  # less contrast than this is not ink; 1 is black on white
ROUNDS = 8  # of fitting the paper
STROKE = 2.0  # strokes of a thin pen are thickened to this width, in pixels of the result


def read_digit(path: StrPath) -> NDArray[np.uint8]:
    """Reads a picture of one digit into the form of an MNIST image.

    Ink may be dark or light, in any colour, on paper, a screen or nothing (transparency); the paper may be unevenly lit
    and noisy. Lines along the edge and specks are left out. An MNIST image comes out nearly as it was.

    Args:
        path: A file in any format that Pillow reads, such as PNG or JPEG.

    Returns:
        uint8 (28, 28), 0 for background to 255 for ink; the longer side is 20 pixels, the centre of mass in the middle.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: Pillow is not installed.
        ValueError: It is a folder, not a picture, damaged, too large, or there is no digit in it.
    """
    name = os.fspath(path)
    ink, noise = measure_ink(open_picture(name))
    strokes = cut_out_digit(ink, noise)
    if strokes is None:
        raise ValueError(f"{name}: found no digit in the picture; draw one digit with a pen that stands out clearly")
    return centre(fit_into_box(strokes))


def open_picture(name: str) -> NDArray[np.float32]:
    """Reads a picture as (h, w, channels), upright and at most WORKING_SIZE high and wide.

    The channels are red, green and blue, each multiplied by the opacity, and the opacity; or only grey. They are scaled
    so that black and white are at a distance of 1.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('reading pictures needs Pillow; pip install "tinygrad-edu[demos]" brings it') from error
    check_regular(name, "a picture")
    with open(name, "rb") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is lower
                image = Image.open(file)
            pixels, most = image.width * image.height, MAX_PIXELS // (4 if image.format in GREEDY else 1)
            if pixels > most:
                raise Image.DecompressionBombError(f"{pixels:,} pixels, of which {image.format} may have {most:,}")
            return reduced(image)
        except Image.DecompressionBombError as error:
            raise ValueError(f"{name}: the picture is too large ({error}); save it in a smaller size") from error
        except Exception as error:  # on damaged files Pillow raises errors of many kinds
            reason = f"Pillow cannot read it as a picture ({type(error).__name__}: {visible(error)})"
            raise ValueError(f"{name}: {reason}; save it as PNG or JPEG") from error


def reduced(image: "Image.Image") -> NDArray[np.float32]:
    """The channels of an opened picture, for open_picture.

    What is converted is a tile at a time: all of a large picture would take many times the memory of its file.
    """
    from PIL import Image, ImageOps

    image.draft(None, (2 * WORKING_SIZE, 2 * WORKING_SIZE))  # JPEG can be read at a half, a fourth or an eighth
    step = max(1, math.ceil(max(image.size) / WORKING_SIZE))
    grey = image.mode[0] in "IF"  # 16 or 32 bits a pixel
    small = Image.new("F" if grey else "RGBa", (-(-image.width // step), -(-image.height // step)))
    peak, side = 0.0, step * max(1, TILE // step)
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            tile = image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))
            if grey:
                values = np.nan_to_num(np.asarray(tile, np.float32))
                peak = max(peak, float(values.max()))
                tile = Image.fromarray(values)
            else:
                tile = tile.convert("RGBA").convert("RGBa")
            small.paste(tile.reduce(step), (left // step, top // step))
    orientation = 0x0112  # EXIF's number of what says how the camera was held
    small.getexif()[orientation] = image.getexif().get(orientation, 1)
    channels = np.array(ImageOps.exif_transpose(small), np.float32)
    if grey:
        white = min((level for level in (1, 255, 65535) if level >= peak), default=peak)
        return channels[..., None] / white
    channels[..., :3] /= math.sqrt(3)
    channels /= 255
    return channels


def measure_ink(picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """How far each pixel is from the paper, (h, w), about 0 for paper and positive for ink; and the paper's noise."""
    h, w, channels = picture.shape
    pixels = picture.reshape(-1, channels)
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    edge = (np.maximum(abs(x), abs(y)) > 0.9).ravel()
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6).astype(np.float32)
    paper = np.median(pixels[edge], axis=0)
    for _ in range(ROUNDS):
        distance = np.linalg.norm(pixels - paper, axis=1)
        agree = distance <= max(3 * float(np.median(distance[edge])), 0.02)
        known = terms[agree]
        paper = terms @ np.linalg.lstsq(known.T @ known, known.T @ pixels[agree], rcond=None)[0]
    difference = pixels - paper
    _, directions = np.linalg.eigh(difference.T @ difference)
    ink = difference @ directions[:, -1]
    if (ink**3).sum() < 0:  # there is less ink than paper, but its colour is farther off
        ink = -ink
    return ink.reshape(h, w), float(ink[agree].std())


def cut_out_digit(ink: NDArray[np.float32], noise: float) -> NDArray[np.float32] | None:
    """The digit alone, cropped to its bounding box, from 0 to 1 (fully inked); None if there is none."""
    inked = ink > max(otsu_threshold(ink), 4 * noise, FAINT)
    digit = np.zeros_like(inked)
    for rows, columns in digit_parts(inked):
        digit[rows, columns] = True
    if not digit.any():
        return None
    framed = np.pad(digit, 1)
    wide = framed[:, :-2] | framed[:, 1:-1] | framed[:, 2:]
    near = wide[:-2] | wide[1:-1] | wide[2:]  # the digit and the pixels around it
    strokes = np.where(near, ink / np.percentile(ink[digit], 80), 0).clip(0, 1)
    rows, columns = np.nonzero(strokes > 0.08)
    return strokes[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def otsu_threshold(values: NDArray[np.float32]) -> float:
    """The threshold with the largest variance between the classes, n1 * n2 * (mean1 - mean2)**2 (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    sums = counts * (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]  # numbers of values below each inner edge
    above = values.size - below
    sums_below = sums.cumsum()[:-1]
    sums_above = sums[::-1].cumsum()[::-1][1:]
    difference = sums_above / np.maximum(above, 1) - sums_below / np.maximum(below, 1)  # of the means
    return float(edges[1:-1][np.argmax(below * above * difference**2)])


def digit_parts(inked: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The connected parts of a mask that make up the digit, each as rows and columns (2, n); [] if there are none.

    These are the largest part and its neighbours. Parts that touch or follow the picture's edge are taken for the
    paper's edge, a shadow or a frame, unless there is nothing else.
    """
    last = np.array(inked.shape)[:, None] - 1
    parts = list(connected_parts(inked))

    def length(part: NDArray[np.intp]) -> int:
        return int(np.ptp(part, axis=1).max()) + 1

    def off_edge(part: NDArray[np.intp]) -> bool:
        to_edge = np.minimum(part, last - part)
        return bool(to_edge.min() > 0 and (to_edge < last / 8).any(axis=0).mean() < 0.9)

    least = max((part.size for part in parts), default=0) / 40  # smaller ones are specks beside the largest part
    candidates = [p for p in parts if p.size >= least and length(p) >= max(inked.shape) / 10 and off_edge(p)]
    main = max(candidates or parts, key=lambda part: part.shape[1], default=None)
    if main is None or length(main) < max(3, max(inked.shape) / 40):
        return []
    reach = length(main) / 4
    low, high = main.min(axis=1, keepdims=True) - reach, main.max(axis=1, keepdims=True) + reach
    return [
        part
        for part in parts
        if part.shape[1] >= 0.03 * main.shape[1]
        and ((low <= part) & (part <= high)).all(axis=0).any()
        and (off_edge(part) or not candidates)
    ]


def connected_parts(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """The parts of a mask whose pixels touch, if only by a corner; each as rows and columns, shape (2, n)."""
    width = mask.shape[1] + 2  # a frame, so that no step leads from the end of a row to the start of the next
    steps = [dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    waiting = set(np.flatnonzero(np.pad(mask, 1)).tolist())
    while waiting:
        newest = {waiting.pop()}
        part = list(newest)
        while newest:
            newest = waiting.intersection([pixel + step for pixel in newest for step in steps])
            waiting -= newest
            part += newest
        yield np.array(np.divmod(np.array(part), width)) - 1


def fit_into_box(strokes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Resizes a digit, antialiased, so that its longer side is BOX pixels; a thin pen is thickened first."""
    from PIL import Image, ImageFilter

    outline = np.hypot(*np.gradient(np.pad(strokes, 2))).sum()  # the length of both sides of the strokes
    width = 2 * float(strokes.sum() / outline)
    grow = max(0, round((STROKE * max(strokes.shape) / BOX - width) / 2))  # pixels on each side
    image = Image.fromarray(np.rint(255 * np.pad(strokes, grow)).astype(np.uint8))
    if grow:  # some versions of Pillow crash on a filter of one pixel
        image = image.filter(ImageFilter.MaxFilter(2 * grow + 1))
    scale = BOX / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    fitted = np.array(image.resize(size, Image.Resampling.BILINEAR), np.float32)
    fitted /= fitted.max()
    return fitted


def centre(digit: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Puts a digit into a picture (28, 28) so that its centre of mass is in the middle, to the nearest pixel."""
    result = np.zeros((SIZE, SIZE), np.uint8)
    h, w = digit.shape
    mass = digit.sum()
    top = SIZE / 2 - digit.sum(axis=1) @ np.arange(h) / mass
    left = SIZE / 2 - digit.sum(axis=0) @ np.arange(w) / mass
    row = int(np.clip(round(top), 0, SIZE - h))
    column = int(np.clip(round(left), 0, SIZE - w))
    result[row : row + h, column : column + w] = np.rint(255 * digit)
    return result
