"""Checkpoint: all that a training run needs to go on after a stop, in one file.

The hard idea is what "all" means. The weights are not enough to go on as if nothing had happened:

    model.load_state_dict(nn.load(path))
    optimizer = optim.Adam(model.parameters())      # its moments are zero again: the first steps are far too long
    loader = DataLoader(images, labels, shuffle=True, seed=0)       # and the first epoch's order comes again

A run is its weights, its optimizer's moments and step counts, the place in the schedule, and the state of each random
generator. With all of them restored a run that was stopped gives the same weights, to the bit, as one that was not.

The file has the safetensors format: reading it runs no code, and other programs can read the weights. It holds the
arrays of all states under their paths, such as "optimizer.state.0.grad_sum"; the dicts, lists and numbers around them
are JSON in its metadata, beside a checksum of everything.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinygrad_edu.checks import check_int
from tinygrad_edu.files import StrPath, visible, write_atomically
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.serialization import contiguous_array, decode_file, encode_arrays, import_safetensors
from tinygrad_edu.random import default_generator, generators_in
from tinygrad_edu.training.history import Record

__all__ = ["Checkpoint"]

STATES_KEY = "tinygrad_edu.checkpoint"  # of the JSON, in the file's metadata
CHECKSUM_KEY = "tinygrad_edu.checksum"
MAX_BITS = 128  # of an integer, as in a generator's state
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class HasState(Protocol):
    """A model, an optimizer, a schedule, or whatever else says what it needs to go on."""

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: Any, /) -> object: ...


Part: TypeAlias = "HasState | list[Record] | np.random.Generator"


class Checkpoint:
    """A file that holds the state of a training run.

    A process that is killed at any moment leaves the old or the new checkpoint; `tinygrad_edu.files` explains how.

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
        """Whether the file is there."""
        return self.path.exists()

    def save(
        self,
        *,
        model: Module,
        optimizer: HasState | None = None,
        scheduler: HasState | None = None,
        early_stopping: HasState | None = None,
        history: list[Record] | None = None,
        epoch: int = 0,
        generators: Mapping[str, np.random.Generator] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Writes the file.

        Always with it: the library's random generator, and those that tinygrad_edu.random.generators_in finds in the
        model.

        Args:
            model: Its parameters and buffers are saved.
            optimizer, scheduler, early_stopping: Anything with state_dict() and load_state_dict().
            history: A list of records, one dict of numbers for each epoch.
            epoch: Number of epochs done, which load returns.
            generators: Further random generators by name, such as {"train": loader.rng}.
            metadata: Texts to keep with it, for example the sizes of the layers.

        Raises:
            TypeError: A state holds anything other than dicts, lists, tuples, numbers, strings, None and arrays.
            ValueError: The path is a folder, `epoch` is below 0, or an integer in a state has over 128 bits.
            OSError: The file cannot be written; the one before it is still there.
        """
        texts = dict(metadata or {})
        for key in (STATES_KEY, CHECKSUM_KEY):
            if key in texts:
                raise ValueError(f"metadata: the name {key!r} belongs to the checkpoint itself; take another")
        epoch = check_int("Checkpoint.save: epoch", epoch, 0, wrong_type=TypeError)
        given = {"optimizer": optimizer, "scheduler": scheduler, "early_stopping": early_stopping}
        parts = named_parts(model, given, history) | named_generators(model, generators)
        arrays: dict[str, np.ndarray] = {}
        states = {name: take_out_arrays(get_state(part), name, arrays) for name, part in parts.items()}
        texts[STATES_KEY] = json.dumps({"epoch": epoch, "states": states}, allow_nan=False)
        write_atomically(self.path, encode_arrays(arrays, {**texts, CHECKSUM_KEY: checksum(arrays, texts)}))

    def load(
        self,
        *,
        model: Module,
        optimizer: HasState | None = None,
        scheduler: HasState | None = None,
        early_stopping: HasState | None = None,
        history: list[Record] | None = None,
        generators: Mapping[str, np.random.Generator] | None = None,
    ) -> int:
        """Brings back the saved state of everything that is given, in place: all of it or, on an error, nothing.

        With the model alone, to predict, only its parameters and buffers are restored: to the best state if early
        stopping was saved and had kept one, else to the last. With anything else, to go on training, the last state is
        restored, and so are the library's random generator and those of the model.

        Args:
            model: Made in the same way as the saved one; so are the others.
            optimizer, scheduler, early_stopping, history, generators: As for save; what is not given is not restored.

        Returns:
            The number of epochs done.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged or not a checkpoint, or something does not fit or is not in it.
        """
        epoch, saved, _ = self._content()
        given = {"optimizer": optimizer, "scheduler": scheduler, "early_stopping": early_stopping}
        parts = named_parts(model, given, history)
        if len(parts) > 1 or generators is not None:
            parts |= named_generators(model, generators)
            lost = [name for name in saved if name.startswith("random.") and name not in parts]
            if lost:
                raise ValueError(
                    f"{self.path} holds {visible(', '.join(lost))}, which this model lacks; nothing loaded"
                )
        elif isinstance(stopping := saved.get("early_stopping"), dict) and stopping.get("best_state") is not None:
            saved["model"] = stopping["best_state"]
        missing = [name for name in parts if name not in saved]
        if missing:
            held = visible(", ".join(saved))
            raise ValueError(f"{self.path} holds no {', '.join(missing)}, but only {held}; nothing loaded")
        before = {name: get_state(part) for name, part in parts.items()}
        try:
            for name, part in parts.items():
                set_state(part, saved[name])
        except BaseException as error:
            for other, part in parts.items():
                set_state(part, before[other])
            if not isinstance(error, Exception):
                raise
            reason = error.args[0] if isinstance(error, KeyError) and error.args else error
            raise ValueError(f"{self.path} does not fit {name}, so nothing was loaded: {visible(reason)}") from error
        return epoch

    def metadata(self) -> dict[str, str]:
        """The texts that were saved with it; errors as for load."""
        return self._content()[2]

    def _content(self) -> tuple[int, dict[str, object], dict[str, str]]:
        """The number of epochs, the state of each part, and the metadata."""
        arrays, texts = decode_file(self.path)
        if STATES_KEY not in texts:
            raise ValueError(
                f"{self.path} holds only weights, as nn.save writes them, and not a checkpoint; load them with "
                "model.load_state_dict(nn.load(path))"
            )
        if texts.pop(CHECKSUM_KEY, None) != checksum(arrays, texts):
            raise ValueError(f"{self.path} is a damaged checkpoint: its checksum is wrong, so it has changed since")
        try:
            content = json.loads(texts.pop(STATES_KEY), parse_int=integer, parse_float=real, parse_constant=real)
            states = {name: put_back_arrays(state, arrays) for name, state in content["states"].items()}
            return check_int("epoch", content["epoch"], 0, 2**63 - 1), states, texts
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {visible(error)}"
            raise ValueError(f"{self.path} is a damaged checkpoint ({reason})") from error


def named_parts(model: Module, others: Mapping[str, HasState | None], history: list[Record] | None) -> dict[str, Part]:
    """What was given, by name."""
    if not isinstance(model, Module):
        raise TypeError(f"model is a {type(model).__name__}, not an nn.Module")
    if history is not None and not isinstance(history, list):
        raise TypeError(f"history is a {type(history).__name__}; it must be a list, whose records load can replace")
    parts: dict[str, Part | None] = {"model": model, **others, "history": history}
    return {name: part for name, part in parts.items() if part is not None}


def named_generators(model: Module, generators: Mapping[str, np.random.Generator] | None) -> dict[str, Part]:
    """The library's random generator, those of the model, and the given ones, by name."""
    named: dict[str, Part] = {"random.library": default_generator()}
    named |= {f"random.model.{path}": rng for path, rng in generators_in(model).items()}
    for name, rng in (generators or {}).items():
        if not isinstance(name, str) or not isinstance(rng, np.random.Generator):
            raise TypeError(f"generators: {name!r} is a {type(rng).__name__}; it takes names and np.random.Generators")
        named[f"generators.{name}"] = rng
    return named


def get_state(part: Part) -> object:
    """The state of an object, in dicts, lists, numbers, strings and arrays."""
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return list(part) if isinstance(part, list) else part.state_dict()


def set_state(part: Part, state: Any) -> None:
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


def check_key(where: str, key: object) -> str | int:
    """The key, if it can stand in JSON and in the name of an array."""
    if not isinstance(key, (str, int)):
        raise TypeError(f"{where}: the key {key!r} is a {type(key).__name__}; keys are strings or integers")
    if any("\ud800" <= c <= "\udfff" for c in str(key)):
        raise TypeError(f"{where}: the key {key!r} has half of a surrogate pair, which no file can hold; rename it")
    return key


def take_out_arrays(value: object, path: str, arrays: dict[str, np.ndarray]) -> object:
    """A state as JSON can hold it: its arrays go into `arrays`, under their paths, which take their places."""
    if isinstance(value, Mapping):
        return {
            "dict": [[check_key(path, key), take_out_arrays(x, f"{path}.{key}", arrays)] for key, x in value.items()]
        }
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [take_out_arrays(x, f"{path}.{i}", arrays) for i, x in enumerate(value)]}
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError(f"{path} is an integer of {value.bit_length()} bits; a checkpoint holds up to {MAX_BITS}")
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": json.dumps(value)}  # "NaN", "Infinity" or "-Infinity"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    while path in arrays:  # {"a.b": x, "a": {"b": y}}
        path += "'"
    arrays[path] = contiguous_array(path, value)
    return {"array": path}


def put_back_arrays(value: object, arrays: Mapping[str, np.ndarray]) -> object:
    """The state that `take_out_arrays` took apart."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "float":
        return NOT_FINITE[content]
    if kind == "dict":
        return {check_key("dict", key): put_back_arrays(x, arrays) for key, x in content}
    return {"list": list, "tuple": tuple}[kind]([put_back_arrays(x, arrays) for x in content])


def integer(text: str) -> int:
    """An integer in the JSON."""
    if len(text) > 40 or (number := int(text)).bit_length() > MAX_BITS:
        raise ValueError(f"the number {text:.20}... has more than {MAX_BITS} bits")
    return number


def real(text: str) -> float:
    """A number with a point or exponent in the JSON; what is not finite is saved as a text."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text:.20} is not finite")
    return number


def checksum(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> str:
    """CRC-32 of everything: the format itself notices a file that is cut off, but not a changed byte in an array."""
    crc = zlib.crc32(json.dumps(texts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"
