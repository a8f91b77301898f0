"""Checkpoint: all that a training run needs to go on after a stop, in one file.

The hard idea is what "all" means. The weights are not enough to go on as if nothing had happened:

    model.load_state_dict(nn.load(path))
    optimizer = optim.Adam(model.parameters())      # its moments are zero again: the first steps are far too long
    loader = DataLoader(images, labels, shuffle=True, seed=0)       # and the first epoch's order comes again

A run is its weights, its optimizer's moments and step counts, the place in the schedule, and the state of each random
generator. With all of them restored a run that was stopped gives the same weights, to the bit, as one that was not.

The file has the safetensors format. The arrays of all states stand in it under their paths, "model.0.weight",
"optimizer.state.0.velocity"; the dicts, lists and numbers around them are JSON in its metadata, with a checksum of it
all. So to read it runs no code, and other programs can read the weights.
"""

from __future__ import annotations

import json
import math
import operator
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_edu.files import StrPath, write_atomically
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.serialization import contiguous_array, decode_file, encode_arrays, import_safetensors
from tinygrad_edu.random import default_generator, generators_in
from tinygrad_edu.training.history import word

KEY = "tinygrad_edu.checkpoint"  # of the JSON, in the file's metadata
SUM = "tinygrad_edu.checksum"

Generators = Mapping[str, "np.random.Generator"]


class Checkpoint:
    """A file that holds the state of a training run.

    Saving replaces the file at once or not at all, so a process that is killed at any moment leaves the old or the new
    checkpoint; `nn.serialization` explains how.

    Args:
        path: The file; it need not exist yet.

    Raises:
        ImportError: The package safetensors is not installed.

    Example:
        checkpoint = Checkpoint("run.safetensors")
        run = {"model": model, "optimizer": optimizer, "generators": {"train": loader.rng}}
        done = checkpoint.load(**run) if checkpoint.exists() else 0
        for epoch in range(done + 1, 11):
            train(model, optimizer, loader)
            checkpoint.save(**run, epoch=epoch)
    """

    def __init__(self, path: StrPath) -> None:
        import_safetensors()  # missed now rather than after the first epoch
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r})"

    def exists(self) -> bool:
        """Whether there is something to load."""
        return self.path.exists()

    def save(
        self,
        *,
        model: Module,
        optimizer: Any = None,
        scheduler: Any = None,
        early_stopping: Any = None,
        history: list[Any] | None = None,
        epoch: int = 0,
        generators: Generators | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Writes the file.

        The states of the library's random generator and of those that the model draws from, as far as
        random.generators_in finds them, are always saved.

        Args:
            model: Its parameters and buffers are saved.
            optimizer: Anything with state_dict() and load_state_dict(), as the next two.
            scheduler: The learning rate's schedule.
            early_stopping: What decides when to stop.
            history: A list of records, one dict of numbers for each epoch.
            epoch: Number of epochs done, which load gives back.
            generators: Further random generators by name, such as {"train": loader.rng}.
            metadata: Texts to keep with it, for example the sizes of the layers.

        Raises:
            TypeError: A state holds something else than dicts, lists, tuples, numbers, strings, None and arrays.
            ValueError: The path is a folder, or `epoch` is below 0.
            OSError: The file cannot be written; the one before it is still there.
        """
        texts = dict(metadata or {})
        for key in (KEY, SUM):
            if key in texts:
                raise ValueError(f"metadata: the name {key!r} belongs to the checkpoint itself; take another")
        if operator.index(epoch) < 0:
            raise ValueError(f"epoch is {epoch}; it is the number of epochs done, at least 0")
        parts = parts_of(model, optimizer, scheduler, early_stopping, history)
        parts |= generators_of(model, generators)
        arrays: dict[str, ndarray] = {}
        states = {name: divided(state_of(part), name, arrays) for name, part in parts.items()}
        texts[KEY] = json.dumps({"epoch": operator.index(epoch), "states": states}, allow_nan=False)
        write_atomically(self.path, encode_arrays(arrays, {**texts, SUM: checksum(arrays, texts)}))

    def load(
        self,
        *,
        model: Module,
        optimizer: Any = None,
        scheduler: Any = None,
        early_stopping: Any = None,
        history: list[Any] | None = None,
        generators: Generators | None = None,
    ) -> int:
        """Brings everything that is given back to its saved state, in place: all of it or, on an error, nothing.

        With the model alone, to predict, only its parameters and buffers are restored: to the best state if early
        stopping was saved and had kept one, else to the last. With anything beside it, to train on, it is the last, and
        the library's random generator and those of the model are restored too.

        Args:
            model: As for save, made in the same way as the saved one; so are the others.
            optimizer: Or None, to leave what was saved of it.
            scheduler: Likewise.
            early_stopping: Likewise.
            history: Likewise; the list's records are replaced.
            generators: Likewise; of the saved ones those named here.

        Returns:
            The number of epochs done.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged or no checkpoint, or something does not fit or is not in it; the message says
                what.
        """
        epoch, saved, _ = self._content()
        parts = parts_of(model, optimizer, scheduler, early_stopping, history)
        if len(parts) > 1 or generators is not None:
            parts |= generators_of(model, generators)
            lost = [name for name in saved if name.startswith("random.") and name not in parts]
            if lost:
                raise ValueError(f"{self.path} holds {', '.join(lost)}, which this model lacks; nothing loaded")
        elif isinstance(stopping := saved.get("early_stopping"), dict) and stopping.get("best_state") is not None:
            saved["model"] = stopping["best_state"]
        missing = [name for name in parts if name not in saved]
        if missing:
            raise ValueError(f"{self.path} holds no {', '.join(missing)}, but only {', '.join(saved)}; nothing loaded")
        before = {name: state_of(part) for name, part in parts.items()}
        touched: list[str] = []
        try:
            for name, part in parts.items():
                touched.append(name)
                restore(part, saved[name])
        except BaseException as error:
            for name in touched:
                restore(parts[name], before[name])
            if not isinstance(error, Exception):
                raise
            reason = error.args[0] if isinstance(error, KeyError) and error.args else error
            raise ValueError(f"{self.path} does not fit {touched[-1]}, so nothing was loaded: {reason}") from error
        return epoch

    def metadata(self) -> dict[str, str]:
        """The texts that were saved with it.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged or no checkpoint.
        """
        return self._content()[2]

    def _content(self) -> tuple[int, dict[str, Any], dict[str, str]]:
        """The number of epochs, the state of each part, and the metadata."""
        arrays, texts = decode_file(self.path)
        if KEY not in texts:
            raise ValueError(
                f"{self.path} holds no checkpoint but weights alone, as nn.save writes them; load them with "
                "model.load_state_dict(nn.load(path))"
            )
        if texts.pop(SUM, None) != checksum(arrays, texts):
            raise ValueError(f"{self.path} is a damaged checkpoint: its checksum is wrong, so it was changed since")
        try:
            content = json.loads(texts.pop(KEY))
            return int(content["epoch"]), {name: joined(x, arrays) for name, x in content["states"].items()}, texts
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path} is a damaged checkpoint ({type(error).__name__}: {error})") from error


def parts_of(model: Module, optimizer: Any, scheduler: Any, early_stopping: Any, history: Any) -> dict[str, Any]:
    """What has a state, by name."""
    if not isinstance(model, Module):
        raise TypeError(f"model is a {type(model).__name__}, no nn.Module")
    if history is not None and not isinstance(history, list):
        raise TypeError(f"history is a {type(history).__name__}; it must be a list, whose records load can replace")
    parts = {"optimizer": optimizer, "scheduler": scheduler, "early_stopping": early_stopping, "history": history}
    return {"model": model} | {name: part for name, part in parts.items() if part is not None}


def generators_of(model: Module, generators: Generators | None) -> dict[str, Any]:
    """The library's random generator, those of the model, and the given ones."""
    for name, rng in (generators or {}).items():
        if not isinstance(name, str) or not isinstance(rng, np.random.Generator):
            raise TypeError(f"generators: {name!r} is a {type(rng).__name__}; it takes names and np.random.Generators")
    own = {f"random.model.{path}": rng for path, rng in generators_in(model).items()}
    given = {f"generators.{name}": rng for name, rng in (generators or {}).items()}
    return {"random.library": default_generator()} | own | given


def state_of(part: Any) -> Any:
    """The state of an object, in dicts, lists, numbers, strings and arrays."""
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return [*part] if isinstance(part, list) else part.state_dict()


def restore(part: Any, state: Any) -> None:
    """Puts an object into a state."""
    if isinstance(part, np.random.Generator):
        kind = type(part.bit_generator).__name__
        if state["bit_generator"] != kind:
            raise ValueError(f"it is a {kind} now and was a {state['bit_generator']}; make it as in the saved run")
        part.bit_generator.state = state
    elif isinstance(part, list):
        part[:] = type(part)(state)
    else:
        part.load_state_dict(state)


def divided(value: Any, path: str, arrays: dict[str, ndarray]) -> Any:
    """What JSON can hold of a state; its arrays go into `arrays` under their paths, which stand in their places."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, (str, int)):
                raise TypeError(f"{path}: the key {key!r} is a {type(key).__name__}; keys are strings or integers")
        return {"dict": [[key, divided(x, f"{path}.{key}", arrays)] for key, x in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [divided(x, f"{path}.{i}", arrays) for i, x in enumerate(value)]}
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": word(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    while path in arrays:  # {"a.b": x, "a": {"b": y}}
        path += "'"
    arrays[path] = contiguous_array(path, value)
    return {"array": path}


def joined(value: Any, arrays: Mapping[str, ndarray]) -> Any:
    """The state that `divided` took apart."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "float":
        return float(content)
    if kind == "dict":
        return {key: joined(x, arrays) for key, x in content}
    items = [joined(x, arrays) for x in content]
    return tuple(items) if kind == "tuple" else items


def checksum(arrays: Mapping[str, ndarray], texts: Mapping[str, str]) -> str:
    """CRC-32 of everything: the format itself notices a file that is cut off, but not a changed byte in an array."""
    total = zlib.crc32(json.dumps(texts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        total = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    return f"{total:08x}"
