"""What a film of a training shows beside the loss: the plane and its points, weights as images, or histograms of them.

A scene takes a shot of the model at each snapshot, small enough to keep a hundred of them. At the end it packs all
shots into bytes, the same number for each, and says what a page needs to know once: sizes, names, points.

The plane is in bytes of class * levels + margin, where the margin is how much likelier the class is than the next one.
So two numbers beside each other say where the line between two classes runs, closer than the grid is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.arrays import brought, home
from tinygrad_edu.engine import no_grad, plain
from tinygrad_edu.nn.attention import Embedding
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.summary import shorten_start
from tinygrad_edu.tensor import Tensor

__all__ = ["Region", "Scene", "choose_scene", "layers_of", "pack_gradients", "sample"]

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Layers = dict[str, list[Tensor]]

COLUMNS = 96  # of the grid over the plane
CLASSES = 6  # with a colour of their own
UNITS = 25  # shown as images
SIDE = 8  # of the smallest image that is one: 4 inputs are four numbers, and not 2 x 2 pixels
LEVELS = 8  # of a weight's colour, on either side of 0
BINS = 40
LAYERS = 8  # shown; of more, the first and the last
NOT_FINITE = 255  # instead of a percentage
NUMBERS = 1000  # that are kept of each layer
SMALLEST = 1e-12  # gradient: what is smaller is counted with these


class Scene(Protocol):
    """What is in the picture."""

    kind: str  # under which name the page has its facts
    note: str  # what to see in it, for the reader

    def shoot(self, model: Module) -> Any:
        """What the picture shows at this moment, as arrays of its own."""

    def pack(self, shots: list[Any]) -> tuple[dict[str, Any], Bytes]:
        """The facts for the page, and the bytes of all shots, shape (shots, n)."""


class Region:
    """What the model answers in the plane, and the points that it has to tell apart."""

    kind = "region"
    note = (
        "Colour says which class the model answers, the stronger the surer; on the line two classes are equally "
        "likely. A point with a thick edge is on the wrong side."
    )

    def __init__(self, x: Array, labels: NDArray[np.intp], names: list[str], boundary: float | None) -> None:
        self.x, self.labels, self.names, self.boundary = x, labels, names, boundary
        low, high = x.min(axis=0), x.max(axis=0)
        side = np.maximum(high - low, 1e-9)
        self.low, self.high = low - 0.15 * side, high + 0.15 * side
        self.rows = round(COLUMNS * float(np.clip(side[1] / side[0], 0.5, 1.0)))
        across, up = (np.linspace(a, b, n) for a, b, n in zip(self.low, self.high, (COLUMNS, self.rows), strict=True))
        self.grid = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)  # the top row first
        self.grid = self.grid.astype(x.dtype if x.dtype.kind == "f" else np.float64)

    def shoot(self, model: Module) -> Bytes:
        with no_grad():
            parts = [brought(points, next(model.parameters())) for points in (self.grid, self.x)]
            outputs = [np.asarray(home(plain(model(points))), np.float64) for points in parts]
        (classes, margins), (answers, _) = (self.answer(found) for found in outputs)
        levels = 256 // len(self.names)
        return np.concatenate([classes * levels + np.round(margins * (levels - 1)), answers]).astype(np.uint8)

    def answer(self, outputs: Array) -> tuple[Array, Array]:
        """The class of each output, and how sure it is, from 0 to 1."""
        outputs = np.nan_to_num(outputs, posinf=1e9, neginf=-1e9)
        if self.boundary is not None:
            scores = outputs.reshape(len(outputs)) - self.boundary
            away = np.abs(scores)
            return scores > 0, np.clip(away / abs(self.boundary), 0, 1) if self.boundary else np.tanh(away / 2)
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        shares = outputs if is_distribution(outputs) else powers / powers.sum(axis=1, keepdims=True)
        second, first = np.sort(shares, axis=1)[:, -2:].T
        return shares.argmax(axis=1), first - second

    def pack(self, shots: list[Any]) -> tuple[dict[str, Any], Bytes]:
        places = (self.x - self.low) / (self.high - self.low) * [1, -1] + [0, 1]
        points = [
            [round(float(a), 4), round(float(b), 4), int(label)]
            for (a, b), label in zip(places, self.labels, strict=True)
        ]
        return {"columns": COLUMNS, "rows": self.rows, "classes": self.names, "points": points}, np.stack(shots)


class Images:
    """The weights of the first units, each laid out as the image that it looks at."""

    kind = "images"
    note = (
        "Each picture is a unit of the first layer, its weights laid out as the inputs: yellow-green where it wants "
        "a high input, purple where it wants a low one."
    )

    def __init__(self, path: str, units: int, height: int, width: int) -> None:
        self.path, self.units, self.height, self.width = path, units, height, width

    def shoot(self, model: Module) -> tuple[Array, float]:
        weight = home(plain(dict(model.named_parameters())[self.path]))
        images = np.nan_to_num(weight.reshape(len(weight), -1)[: self.units, : self.height * self.width])
        largest = float(np.abs(images).max())
        return np.round(images / (largest or 1) * LEVELS + LEVELS).astype(np.uint8), largest

    def pack(self, shots: list[Any]) -> tuple[dict[str, Any], Bytes]:
        facts = {"count": self.units, "height": self.height, "width": self.width}
        name = f"{self.path}, first {self.units} units"
        packed = np.stack([images.ravel() for images, _ in shots])
        return {**facts, "name": name, "scales": [largest for _, largest in shots]}, packed


class Weights:
    """Histograms of the weights of each layer."""

    kind = "weights"

    def __init__(self, model: Module, why: str) -> None:
        self.names = list(layers_of(model))
        self.note = f"{why}, so the weights of each layer are shown instead."

    def shoot(self, model: Module) -> list[Array]:
        return [sample([home(plain(p)) for p in own]) for own in layers_of(model).values()]

    def pack(self, shots: list[Any]) -> tuple[dict[str, Any], Bytes]:
        numbers = np.concatenate([values[np.isfinite(values)] for shot in shots for values in shot])
        low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 1.0)
        facts = {"names": self.names, "low": low, "high": high, "bins": BINS}
        odd = [[0 if np.isfinite(values).all() else NOT_FINITE for values in shot] for shot in shots]
        return facts, histograms(shots, odd, low, high)


def choose_scene(model: Module, x: Array, y: Any, outputs: Array, loss: Callable[[Any, Any], Any]) -> Scene:
    """The scene that fits inputs and targets: the plane for points, images for images, else histograms of weights."""
    features = math.prod(x.shape[1:])
    if any(isinstance(module, Embedding) for module in model.modules()):
        return Weights(model, "Inputs that are indices of an embedding have no picture")
    if x.ndim == 2 and features == 2:
        classes = read_classes(x, y, outputs, loss)
        return Weights(model, classes) if isinstance(classes, str) else classes
    path, weight = next(((path, p) for path, p in model.named_parameters() if p.ndim > 1), ("", None))
    if weight is not None and weight.ndim == 4:
        return Images(path, min(UNITS, len(weight)), *weight.shape[2:])
    height, width = x.shape[-2:] if x.ndim > 2 else (math.isqrt(features),) * 2
    if weight is not None and height * width == features == weight.shape[-1] and min(height, width) >= SIDE:
        return Images(path, min(UNITS, len(weight)), height, width)
    return Weights(model, f"Inputs of shape {x.shape[1:]} are neither points in a plane nor images")


def read_classes(x: Array, y: Any, outputs: Array, loss: Callable[[Any, Any], Any]) -> Region | str:
    """The scene of points that belong to classes; or why there is none."""
    targets = np.asarray(plain(y))
    if not np.isfinite(x).all():
        return "Points that are not finite have no place in the plane"
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        labels = targets.argmax(axis=1) if targets.shape == outputs.shape else targets.reshape(-1)
        count = outputs.shape[1]
        if labels.dtype.kind not in "iu" or len(labels) != len(x) or labels.min() < 0 or labels.max() >= count:
            return "Targets are not the classes of points in a plane"
        names, boundary = [f"class {i}" for i in range(count)], None
    else:
        values = np.unique(targets)
        if outputs.size != len(x) or targets.size != len(x) or len(values) != 2:
            return f"Targets with {len(values):,} values and one output are not two classes of points in a plane"
        labels, names = (targets.reshape(-1) == values[1]).astype(int), [f"class {value:g}" for value in values]
        boundary = find_boundary(outputs, targets, values, loss)
    if len(names) > CLASSES:
        return f"{len(names)} classes are more than there are colours ({CLASSES})"
    return Region(x, labels, names, boundary)


def find_boundary(outputs: Array, targets: Array, values: Array, loss: Callable[[Any, Any], Any]) -> float:
    """The score between two classes: 0 or the middle of the targets, whichever is equally wrong for the loss."""

    def unfair(score: float) -> float:
        scores = np.full_like(outputs, score)
        with no_grad(), np.errstate(all="ignore"):
            low, high = (float(np.asarray(plain(loss(Tensor(scores), np.full_like(targets, v))))) for v in values)
        return abs(high - low) if math.isfinite(high - low) else math.inf

    return min((0.0, float(values.mean())), key=unfair)


def is_distribution(outputs: Array) -> bool:
    """Whether each row holds shares that add up to 1."""
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1))


def layers_of(model: Module) -> Layers:
    """The parameters of each module that has its own, by path and class; of many modules the first and the last."""
    found: Layers = {}
    for path, module in model.named_modules():
        if own := [p for _, p in module._own(Tensor) if p.size]:
            found[shorten_start(f"{path} {type(module).__name__}".strip())] = own
    names = list(found)
    half = LAYERS // 2
    return found if len(names) <= LAYERS else {name: found[name] for name in names[:half] + names[-half:]}


def sample(arrays: Sequence[Array]) -> Array:
    """The finite numbers of a layer, or some of them, evenly spaced."""
    numbers = np.concatenate([np.ravel(array) for array in arrays]).astype(np.float32)
    return numbers[:: max(1, len(numbers) // NUMBERS)].copy()


def percent_zero(values: Array) -> int:
    """How many percent of some numbers are 0, or NOT_FINITE if one is not finite."""
    return round(100 * float((values == 0).mean())) if np.isfinite(values).all() else NOT_FINITE


def histograms(shots: list[list[Array]], zeros: list[list[int]], low: float, high: float) -> Bytes:
    """A row for each shot: of each layer BINS heights up to 255, and how many percent of its numbers are 0."""
    rows = []
    for shot, percents in zip(shots, zeros, strict=True):
        row = []
        for values, percent in zip(shot, percents, strict=True):
            finite = values[np.isfinite(values)]
            counts, _ = np.histogram(np.clip(finite, low, high), BINS, (low, high if high > low else low + 1))
            row += [*np.ceil(counts / max(counts.max(), 1) * 255), percent]
        rows.append(row)
    return np.array(rows, np.uint8)


def pack_gradients(names: list[str], shots: list[list[Array]]) -> tuple[dict[str, Any], Bytes]:
    """Histograms of the sizes of gradients: of their logarithms, from one power of ten to another.

    What is far smaller than almost all others is counted in the first bar.
    """
    zeros = [[percent_zero(values) for values in shot] for shot in shots]
    sizes = [[np.log10(np.maximum(np.abs(values[values != 0]), SMALLEST)) for values in shot] for shot in shots]
    every = np.concatenate([values[np.isfinite(values)] for shot in sizes for values in shot] or [np.zeros(1)])
    low, high = (math.floor(np.quantile(every, 0.01)), math.ceil(every.max())) if len(every) else (-1, 0)
    high = max(high, low + 1)
    packed = histograms(sizes, zeros, low, high)
    return {"names": names, "low": low, "high": high, "bins": BINS, "bytes": packed.shape[1]}, packed
