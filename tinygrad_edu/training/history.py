"""History: what was measured in each epoch, as records that can be drawn, saved and read back exactly.

The hard idea is a number that JSON does not have. Training that diverges is the training one wants to look at later,
and Python writes its loss in a way that other programs refuse to read:

    json.dumps({"train_loss": float("nan")})        # '{"train_loss": NaN}', which is not JSON

So what is not finite is written as a string, "NaN" or "Infinity", and read back as the number. All other floats are
written with as many digits as it takes to read the same bits.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, SupportsIndex, overload

from tinygrad_edu.files import write_atomically

Record = dict[str, float]


class History(list[Record]):
    """A list of records, one for each epoch; `history["val_loss"]` is a column of it.

    Args:
        records: Mappings from names to numbers, as for `append`.

    Raises:
        TypeError: A record is no mapping, or holds something else than numbers under strings.
        ValueError: A record is empty.

    Example:
        >>> history = History()
        >>> history.append({"epoch": 1, "train_loss": 0.5})
        >>> history.append({"epoch": 2, "train_loss": 0.25})
        >>> history["train_loss"]
        [0.5, 0.25]
        >>> history[-1]
        {'epoch': 2, 'train_loss': 0.25}
    """

    def __init__(self, records: Iterable[Mapping[str, Any]] = ()) -> None:
        super().__init__([checked(record) for record in records])

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a copy of a record, with NumPy's numbers as Python's; records may have different names."""
        super().append(checked(record))

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Adds several records."""
        super().extend([checked(record) for record in records])

    def insert(self, index: SupportsIndex, record: Mapping[str, Any]) -> None:
        """Adds a record before that of an index."""
        super().insert(index, checked(record))

    def copy(self) -> History:
        """A History of its own."""
        return History(self)

    def __add__(self, records: Iterable[Mapping[str, Any]]) -> History:  # type: ignore[override]
        return History([*self, *records])

    def __iadd__(self, records: Iterable[Mapping[str, Any]]) -> History:  # type: ignore[override]
        self.extend(records)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, [checked(record) for record in value] if isinstance(key, slice) else checked(value))

    @overload
    def __getitem__(self, key: SupportsIndex) -> Record: ...

    @overload
    def __getitem__(self, key: slice) -> History: ...

    @overload
    def __getitem__(self, key: str) -> list[float]: ...

    def __getitem__(self, key: SupportsIndex | slice | str) -> Record | History | list[float]:
        """The record of an index, a History of a slice, or the column of a name as a list.

        Raises:
            KeyError: Not every record has that name.
        """
        if isinstance(key, slice):
            return History(super().__getitem__(key))
        if not isinstance(key, str):
            return super().__getitem__(key)
        missing = [i for i, record in enumerate(self) if key not in record]
        if missing or not self:
            names = ", ".join(self.names()) or "no records"
            which = f"history[{missing[0]}] has no {key!r}" if missing else f"there is no {key!r} yet"
            raise KeyError(f"{which}; the history has {names}")
        return [record[key] for record in self]

    def names(self) -> list[str]:
        """All names that occur, in the order in which they first do."""
        return list(dict.fromkeys([name for record in self for name in record]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a table that `load` reads back exactly.

        Args:
            path: A name that ends in .json (a list of objects) or .csv (a header and a line for each record, with empty
                cells where a record lacks a name).

        Raises:
            ValueError: Another ending.
        """
        text = (to_json if suffix(path) == ".json" else to_csv)(History(self))
        write_atomically(path, text.encode("utf-8"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Another ending, or the file holds something else.
        """
        read = from_json if suffix(path) == ".json" else from_csv
        try:
            return cls(read(Path(path).read_bytes().decode("utf-8-sig")))
        except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
            what = "is no history: it should be a table of numbers with a name for each column, as History.save writes"
            raise ValueError(f"{os.fspath(path)} {what} ({error})") from error


def checked(record: Mapping[str, Any]) -> Record:
    """A copy of a record with Python's numbers."""
    if not isinstance(record, Mapping):
        raise TypeError(f"History: a record is a dict such as {{'epoch': 1, 'train_loss': 0.5}}, got {record!r:.80}")
    if not record:
        raise ValueError("History: a record must hold at least one number, got {}")
    numbers: Record = {}
    for name, value in record.items():
        value = value.item() if getattr(value, "shape", None) == () else value  # NumPy's, or a Tensor
        if not isinstance(name, str) or not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"History: {name!r}: {value!r:.80} is no name with a number")
        numbers[name] = int(value) if isinstance(value, Integral) else float(value)
    return numbers


def suffix(path: str | os.PathLike[str]) -> str:
    """The ending of a file's name, which says the format."""
    ending = Path(path).suffix.lower()
    if ending not in (".json", ".csv"):
        raise ValueError(f"History: the name of the file must end in .json or .csv, got {os.fspath(path)!r}")
    return ending


def to_json(history: History) -> str:
    """A list of objects, one a line."""
    rows = [{k: v if math.isfinite(v) else word(v) for k, v in record.items()} for record in history]
    return "[" + ",\n ".join([json.dumps(row, allow_nan=False) for row in rows]) + "]\n"


def word(value: float) -> str:
    """How JavaScript writes what is not finite, and float() reads it."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def from_json(text: str) -> list[dict[str, Any]]:
    """The records of a JSON text."""
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise TypeError(f"its JSON is no list but {type(rows).__name__}")
    return [{k: float(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]


def to_csv(history: History) -> str:
    """A header and a line for each record."""
    names = history.names() or ["epoch"]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([names, *[[record.get(name, "") for name in names] for record in history]])
    return out.getvalue()


def from_csv(text: str) -> list[dict[str, Any]]:
    """The records of a CSV text."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    if len(set(header)) < len(header):
        raise ValueError(f"two columns have the same name: {', '.join(header)}")
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"line {line} has {len(row)} cells, the header {len(header)}")
    return [{k: number(v) for k, v in zip(header, row, strict=True) if v} for row in rows]


def number(text: str) -> float:
    """A number as Python writes it: an int without a point."""
    try:
        return int(text)
    except ValueError:
        return float(text)
