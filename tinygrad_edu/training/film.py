"""Film: a training as a page with a slider, made of a snapshot after each epoch.

A snapshot is what a page shows of an epoch, and not the model: some thousand bytes of picture, the loss and a sample of
the gradients. So a film of a hundred epochs is some 100 KB, whatever the model.

A training may be longer than a film should be. When there are too many snapshots, every second one goes, and from then
on only every second epoch stays; the last one is always there.
"""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.arguments import Named, others_by_name
from tinygrad_edu.arrays import array_of, home
from tinygrad_edu.checks import check_int, check_path
from tinygrad_edu.engine import no_grad, plain
from tinygrad_edu.files import StrPath, visible, write_atomically
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.summary import preserve_state
from tinygrad_edu.optim.finder import loss_value
from tinygrad_edu.training.epoch import Criterion, RunningMeans, check_class, check_loss
from tinygrad_edu.training.scenes import Region, choose_scene, layers_of, pack_gradients, sample

__all__ = ["Film"]

EXAMPLES = 500  # looked at in a snapshot
FRAME = 720  # pixels: height in a notebook
KINDS = {
    "region": "Decision regions of the model, with the points",
    "images": "The weights of the first layer as images",
    "weights": "Histograms of the weights of each layer",
}
HOW = "call fit(..., callbacks=[film]) or, in a loop of your own, film() after each epoch"


class Snapshot(NamedTuple):
    """What there is to see of an epoch."""

    epoch: int
    shot: Any  # of the scene
    gradients: list[np.ndarray]  # some of each layer


class Film(metaclass=Named):
    """A training as a page without network: a slider over the epochs, and what the model was like after each.

    The page shows, for inputs of two numbers and targets that are classes, what the model answers everywhere in the
    plane; for images of at least 8 x 8 pixels, flat or not, the weights of the first layer as images; for anything else
    histograms of the weights. Beside it the loss, and histograms of the gradients of each layer. In a notebook a film
    shows itself.

    The first snapshot is taken at once, of the model before the training. All are taken in evaluation mode, and leave
    the model, its gradients and the random generators as they were.

    Args:
        model: The one that is trained.
        x, y: Examples, as the model and the loss take them: of more than 500 some, evenly spaced. The film's loss and
            gradients are measured on them.
        loss: A function of (outputs, targets) that returns a Tensor of shape ().
        title: The heading of the page.
        snapshots: The most that are kept; of a longer training every second epoch, or every fourth, and the last.

    Raises:
        TypeError: The model is not a Module, or the loss not a function.
        ValueError: No examples, inputs and targets of different lengths, or a loss that is not a single number.

    Example:
        film = Film(model, points, labels, nn.CrossEntropyLoss())
        fit(model, loader, optimizer=optimizer, loss=nn.CrossEntropyLoss(), epochs=50, callbacks=[film])
        film.save("moons.html")
    """

    @others_by_name
    def __init__(
        self, model: Module, x: Any, y: Any, loss: Criterion, *, title: str | None = None, snapshots: int = 100
    ) -> None:
        check_class("Film: model", model, Module)
        check_loss("Film", loss)
        self.model, self.loss = model, loss
        self.title = str(title) if title is not None else f"How {type(model).__name__} learns, epoch by epoch"
        self.most = check_int("Film: snapshots", snapshots, 2)
        self.x, self.y = choose_examples(x, y)
        self.snapshots: list[Snapshot] = []
        self.every = 1  # epochs from one snapshot to the next
        self.lines: dict[str, dict[int, float]] = {}  # losses by label and epoch
        self.words: dict[int, str] = {}  # of each epoch
        with preserve_state(model), no_grad():
            outputs = plain(model.eval()(self.x))
        self.scene = choose_scene(model, home(self.x), home(self.y), home(outputs), loss)
        self._take(0, {})

    def __call__(self, record: Mapping[str, float] | None = None) -> None:
        """Takes the snapshot of an epoch that has just ended.

        Args:
            record: What was measured in it, as `fit` passes it to its callbacks: epoch, train_loss and val_loss are
                used. An epoch without a number, or with one that was there already, is the next one.
        """
        record = {} if record is None else record
        after = max(self.words) + 1
        self._take(max(check_int("Film: epoch", record.get("epoch", after), 0), after), record)

    def _take(self, epoch: int, record: Mapping[str, float]) -> None:
        """Measures the model, and keeps what is to be seen."""
        model, means = self.model, RunningMeans()
        with preserve_state(model), np.errstate(all="ignore"):
            model.eval()
            model.zero_grad()
            outputs = model(self.x)
            loss = self.loss(outputs, self.y)
            value = loss_value(loss, f"Film, epoch {epoch}")
            none = np.zeros(1) if math.isfinite(value) else np.full(1, math.nan)  # where there is no gradient
            if math.isfinite(value):
                loss.backward()
            own = layers_of(model).values()
            gradients = [sample([none if p.grad is None else home(plain(p.grad)) for p in layer]) for layer in own]
            shot = self.scene.shoot(model)
        means.add(value, outputs, self.y)
        right = means.accuracy
        if isinstance(self.scene, Region):
            right = float((shot[-len(self.scene.labels) :] == self.scene.labels).mean())
        share = "" if right is None or not math.isfinite(value) else f", {right:.1%} of them right"
        self.words[epoch] = f"epoch {epoch}: loss {value:.4g} on {len(self.x):,} examples{share}"
        for label, loss_of in {f"on {len(self.x):,} examples": value, **named_losses(record)}.items():
            self.lines.setdefault(label, {})[epoch] = loss_of
        if self.snapshots and self.snapshots[-1].epoch % self.every:  # it stood there as the last one only
            self.snapshots.pop()
        self.snapshots.append(Snapshot(epoch, shot, gradients))
        if len(self.snapshots) > self.most:
            self.every *= 2
            last = self.snapshots.pop()
            self.snapshots = [*(kept for kept in self.snapshots if kept.epoch % self.every == 0), last]

    @property
    def html(self) -> str:
        """The page."""
        from tinygrad_edu.draw.picture.svg import script_json
        from tinygrad_edu.draw.player import fill_page

        return fill_page("film.html", self.title, "auto", film=script_json(self._data()))

    def _data(self) -> dict[str, Any]:
        """All that the page shows, with the pictures as bytes: the difference to the one before, packed."""
        from tinygrad_edu.draw.theme import heat

        if len(self.snapshots) < 2:
            raise ValueError(f"Film: there is no epoch to show, only the model before the training; {HOW}")
        facts, pictures = self.scene.pack([snapshot.shot for snapshot in self.snapshots])
        gradients, bars = pack_gradients(list(layers_of(self.model)), [x.gradients for x in self.snapshots])
        frames = np.concatenate([pictures, bars], axis=1)
        packed = gzip.compress(np.diff(frames, axis=0, prepend=np.zeros_like(frames[:1])).tobytes(), mtime=0)
        epochs = sorted(self.words)
        known = [value for line in self.lines.values() for value in line.values() if math.isfinite(value)]
        kept = [snapshot.epoch for snapshot in self.snapshots]
        return {
            "kind": self.scene.kind, "kinds": KINDS, self.scene.kind: facts, "note": self.scene.note,
            "epochs": kept, "words": [self.words[epoch] for epoch in kept], "gradients": gradients,
            "losses": {
                "epochs": epochs, "lines": [[label, column(line, epochs)] for label, line in self.lines.items()],
                "log": bool(known) and 0 < min(known) < max(known) / 30,
            },
            "heat": {theme: [heat(i / 8, theme) for i in range(-8, 9)] for theme in ("light", "dark")},
            "packed": base64.b64encode(packed).decode(),
        }  # fmt: skip

    def save(self, path: StrPath) -> Path:
        """Writes the page, and returns where; folders are made if missing.

        Raises:
            ValueError: There is no epoch to show yet, or the path is a folder.
            OSError: The file cannot be written.
        """
        target = Path(check_path("Film.save: path", path, "film.html"))
        write_atomically(target, self.html.encode("utf-8"), folders=True)
        return target

    def _repr_html_(self) -> str | None:
        from tinygrad_edu.draw.picture.notebook import in_a_frame

        return in_a_frame(self.html, self.title, "auto", FRAME) if len(self.snapshots) > 1 else None

    def __len__(self) -> int:
        return len(self.snapshots)

    def __repr__(self) -> str:
        kept = "1 snapshot" if len(self) == 1 else f"{len(self)} snapshots"
        return f"Film({visible(self.title)!r}, {kept}, {self.scene.kind}, up to epoch {max(self.words)})"


def choose_examples(x: Any, y: Any) -> tuple[Any, Any]:
    """Inputs and targets as arrays of their own; of many some, evenly spaced."""
    inputs, targets = (array_of(plain(value)) for value in (x, y))
    if inputs.ndim < 2 or not len(inputs):
        raise ValueError(f"Film: x has shape {inputs.shape}; a batch of inputs is needed, of shape (n, ...)")
    if not targets.ndim or len(targets) != len(inputs):
        raise ValueError(f"Film: x has {len(inputs)} examples, but y has shape {targets.shape}; give a target for each")
    chosen = np.unique(np.linspace(0, len(inputs) - 1, min(len(inputs), EXAMPLES)).astype(int))
    return inputs[chosen], targets[chosen]


def named_losses(record: Mapping[str, float]) -> dict[str, float]:
    """The losses of a record, by what the page calls them."""
    names = {"train_loss": "training", "val_loss": "validation"}
    return {label: float(record[name]) for name, label in names.items() if name in record}


def column(line: dict[int, float], epochs: list[int]) -> list[float | None]:
    """The losses of all epochs, with None where there is none that can be drawn."""
    values = [line.get(epoch, math.nan) for epoch in epochs]
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
