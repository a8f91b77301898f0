"""History: what was measured in each epoch, as records that can be drawn, saved and read back exactly.

Training that diverges is just what one wants to look at later, but JSON has neither NaN nor infinity, and other
programs refuse what Python writes for them. So they become strings, "NaN" or "Infinity", which are read back as
numbers. All other floats are written with as many digits as it takes to read the same bits.
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

from tinygrad_edu.checks import check_choice
from tinygrad_edu.files import StrPath, check_regular, naming, visible, write_atomically
from tinygrad_edu.tables import html_table, markdown_table

__all__ = ["History", "Record", "format_value"]

Record = dict[str, float]
MOST_ROWS = 40  # that a notebook shows


class History(list[Record]):
    """A list of records, one for each epoch; `history["val_loss"]` is a column of it.

    Args:
        records: Mappings from names to numbers, as for `append`.

    Raises:
        TypeError: A record is not a mapping, or holds anything other than numbers under strings.
        ValueError: A record is empty, or a number too large for a float.

    Example:
        >>> history = History([{"epoch": 1, "train_loss": 0.5}])
        >>> history.append({"epoch": 2, "train_loss": 0.25})
        >>> history["train_loss"]
        [0.5, 0.25]
        >>> history[-1]
        {'epoch': 2, 'train_loss': 0.25}
    """

    def __init__(self, records: Iterable[Mapping[str, object]] = ()) -> None:
        if isinstance(records, Mapping) or not isinstance(records, Iterable):
            how = "give a list of records, a dict of numbers for each epoch, such as [{'epoch': 1, 'train_loss': 0.5}]"
            raise TypeError(f"History: records is {records!r:.60}; {how}")
        super().__init__([check_record(record) for record in records])

    def append(self, record: Mapping[str, object]) -> None:
        """Adds a copy of a record, with NumPy's numbers as Python's; records may have different names."""
        super().append(check_record(record))

    def extend(self, records: Iterable[Mapping[str, object]]) -> None:
        """Adds several records."""
        super().extend([check_record(record) for record in records])

    def insert(self, index: SupportsIndex, record: Mapping[str, object]) -> None:
        """Adds a record before the one at an index."""
        super().insert(index, check_record(record))

    def copy(self) -> History:
        """A new History of the same records."""
        return History(self)

    def __add__(self, records: Iterable[Mapping[str, object]]) -> History:  # type: ignore[override]
        return History([*self, *records])

    def __iadd__(self, records: Iterable[Mapping[str, object]]) -> History:  # type: ignore[override]
        self.extend(records)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        new = [check_record(record) for record in value] if isinstance(key, slice) else check_record(value)
        super().__setitem__(key, new)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Record: ...

    @overload
    def __getitem__(self, key: slice) -> History: ...

    @overload
    def __getitem__(self, key: str) -> list[float]: ...

    def __getitem__(self, key: SupportsIndex | slice | str) -> Record | History | list[float]:
        """The record at an index, a History for a slice, or for a name its column as a list.

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
        """All names, in the order in which they first occur."""
        return list(dict.fromkeys([name for record in self for name in record]))

    def _table(self) -> tuple[list[list[str]], list[str]]:
        """The rows of all records, or of the first and the last ones, and the headers."""
        names, half = self.names(), MOST_ROWS // 2
        rows = [[format_value(name, record[name]) if name in record else "" for name in names] for record in self]
        if len(rows) > MOST_ROWS:
            rows[half:-half] = [["⋯"] * len(names)]
        return [names, *rows], names

    def _repr_html_(self) -> str | None:
        return html_table(*self._table()) if self else None

    def _repr_markdown_(self) -> str | None:
        return markdown_table(*self._table()) if self else None

    def save(self, path: StrPath) -> None:
        """Writes a table that `load` reads back exactly.

        Args:
            path: It ends in .json (a list of objects) or .csv (a header and a row for each record; cells may be empty).

        Raises:
            ValueError: Another ending, or a name that a CSV file cannot hold.
        """
        history = History(self)  # checks the records again: they may have been changed in place
        if file_suffix(path) == ".json":
            rows = [{k: v if math.isfinite(v) else json.dumps(v) for k, v in record.items()} for record in history]
            text = "[" + ",\n ".join([json.dumps(row, allow_nan=False) for row in rows]) + "]\n"
        else:
            table = io.StringIO(newline="")
            writer = csv.DictWriter(table, history.names() or ["epoch"])
            writer.writeheader()
            writer.writerows(history)
            text = table.getvalue()
        if text.startswith("\ufeff"):  # load takes one away, as spreadsheets put it there
            text = "\ufeff" + text
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            name = f"a name with {error.object[error.start]!r}, half of a surrogate pair"
            raise ValueError(f"History: {os.fspath(path)} cannot hold {name}; rename it, or save .json") from error
        write_atomically(path, data)

    @classmethod
    def load(cls, path: StrPath) -> History:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Another ending, or it is not a file, or does not hold a history.
        """
        read = from_json if file_suffix(path) == ".json" else from_csv
        check_regular(path, "a history")
        with naming(path):
            content = Path(path).read_bytes()
        try:
            return cls(read(content.decode("utf-8-sig")))
        except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
            what = "is not a history, a table of numbers with a name for each column, as History.save writes it"
            raise ValueError(f"{os.fspath(path)} {what} ({visible(error)})") from error


def format_value(name: str, value: float) -> str:
    """A number of a record as a table has it."""
    formats = {"epoch": ".10g", "lr": ".3g", "seconds": ".2f"}
    return format(value, formats.get(name, ".2%" if name.endswith("accuracy") else ".4g"))


def check_record(record: Mapping[str, Any]) -> Record:
    """A copy of a record, with NumPy's numbers and Tensors as Python's."""
    if not isinstance(record, Mapping):
        raise TypeError(f"History: a record is a dict such as {{'epoch': 1, 'train_loss': 0.5}}, got {record!r:.80}")
    if not record:
        raise ValueError("History: a record must hold at least one number, got {}")
    numbers: Record = {}
    for name, value in record.items():
        if getattr(value, "shape", None) == ():
            value = value.item()
        if not isinstance(name, str) or not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"History: {name!r}: {value!r:.80} is not a name with a number")
        try:
            float(value)
        except OverflowError:
            raise ValueError(f"History: {name!r} is too large for a float, which ends at 1.8e308") from None
        numbers[name] = int(value) if isinstance(value, Integral) else float(value)
    return numbers


def file_suffix(path: StrPath) -> str:
    """The ending of a file's name, which says the format."""
    return check_choice(f"History: the ending of {os.fspath(path)!r}", Path(path).suffix.lower(), (".json", ".csv"))


def from_json(text: str) -> list[dict[str, object]]:
    """The records of a JSON text."""
    rows = json.loads(text, object_pairs_hook=without_repeats)
    if not isinstance(rows, list):
        raise TypeError(f"its JSON is a {type(rows).__name__}, not a list")
    return [{k: float(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]


def without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The pairs as a dict; a ValueError if a name stands twice, as a dict would keep one of its values."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"a record has a name twice: {', '.join([name for name, _ in pairs]):.80}")
    return row


def from_csv(text: str) -> list[dict[str, float]]:
    """The records of a CSV text."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    if len(set(header)) < len(header):
        raise ValueError(f"two columns have the same name: {', '.join(header)}")
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"line {line} has {len(row)} cells, the header {len(header)}")
    return [{k: parse_number(v) for k, v in zip(header, row, strict=True) if v} for row in rows]


def parse_number(text: str) -> float:
    """An int if that is what Python would read, else a float."""
    try:
        return int(text)
    except ValueError:
        return float(text)
