import copy
import json
import math
import pickle
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_edu import Tensor, plots
from tinygrad_edu.training import History

numbers = st.floats() | st.integers()
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)  # csv writes no NUL
records = st.lists(st.dictionaries(names, numbers, min_size=1), max_size=4)
EPOCHS = [
    {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.1},
    {"epoch": 2, "train_loss": 0.1, "train_accuracy": 1.0},
]


def bits(records):
    """Records in a form in which NaN equals NaN, and 1, 1.0 and -0.0 differ."""
    return [{name: (type(v), repr(v)) for name, v in record.items()} for record in records]


def test_columns_records_and_slices():
    history = History(EPOCHS)
    assert history["train_loss"] == [0.5, 0.1]
    assert history[-1] == EPOCHS[1]
    assert history[1:]["epoch"] == [2]
    assert history.names() == ["epoch", "train_loss", "train_accuracy"]
    assert history == EPOCHS


@pytest.mark.parametrize("ending", ["json", "csv", "JSON"])
@given(records=records)
def test_a_file_gives_the_same_bits_back(tmp_path_factory, ending, records):
    path = tmp_path_factory.mktemp("history") / f"h.{ending}"
    History(records).save(path)
    assert bits(History.load(path)) == bits(records)


@pytest.mark.parametrize("name", ["", " a ", '"', "a,b", "a\r\nb", "\ufeffepoch", "\ufeff", "\ud800"])
@pytest.mark.parametrize("ending", ["json", "csv"])
def test_a_name_comes_back_or_is_refused(tmp_path, name, ending):
    path, history = tmp_path / f"h.{ending}", History([{name: 1}, {name: 2.5, "b": 3}])
    if (name, ending) == ("\ud800", "csv"):
        with pytest.raises(ValueError, match=r"h\.csv cannot hold a name with '\\ud800'.*rename it"):
            history.save(path)
        assert not path.exists()
    else:
        history.save(path)
        assert History.load(path) == history


def test_the_json_is_strict_and_other_programs_read_it(tmp_path):
    path = tmp_path / "h.json"
    History([{"a": math.nan, "b": math.inf}, {"a": -math.inf, "b": 0.1}]).save(path)

    def refuse(name):
        raise AssertionError(name)

    rows = json.loads(path.read_text(), parse_constant=refuse)
    assert rows == [{"a": "NaN", "b": "Infinity"}, {"a": "-Infinity", "b": 0.1}]


def test_the_csv_is_a_table(tmp_path):
    path = tmp_path / "h.csv"
    History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "val_loss": 0.25}]).save(path)
    assert path.read_text().splitlines() == ["epoch,loss,val_loss", "1,0.5,", "2,,0.25"]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as spreadsheets save it
    assert History.load(path)["epoch"] == [1, 2]


def test_numbers_of_numpy_and_tensors_become_pythons():
    history = History()
    history.append({"a": np.float32(0.5), "b": np.int64(3), "c": np.array(2.0), "d": Tensor(1.5)})
    assert bits(history) == bits([{"a": 0.5, "b": 3, "c": 2.0, "d": 1.5}])


def test_the_records_are_copies():
    record = {"epoch": 1}
    history = History([record])
    history.extend([record])
    record["epoch"] = 7
    assert history["epoch"] == [1, 1]


@pytest.mark.parametrize("records", [{}, {"epoch": [1]}, 5])
def test_records_are_a_list(records):
    with pytest.raises(TypeError, match=r"History: records is .*list of records"):
        History(records)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))])
def test_copies(twin):
    history = History(EPOCHS)
    assert type(twin(history)) is History
    assert twin(history) == history


def test_a_notebook_shows_a_table_of_the_first_and_the_last_records():
    history = History([{"epoch": i, "val_accuracy": 0.5} for i in range(1, 1001)])
    rows = history._repr_markdown_().splitlines()
    assert rows[0] == "| epoch | val\\_accuracy |" and len(rows) == 2 + 41
    assert [rows[2], rows[22], rows[-1]] == ["| 1 | 50.00% |", "| ⋯ | ⋯ |", "| 1000 | 50.00% |"]
    assert "<td" in History([{"a": 1.0}, {"b": 2.0}])._repr_html_()
    assert History()._repr_html_() is History()._repr_markdown_() is None


def test_training_curves_take_it():
    pytest.importorskip("matplotlib")
    figure = plots.training_curves(History(EPOCHS))
    assert [axes.get_title() for axes in figure.axes] == ["Loss", "Accuracy"]


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (History([{"a": 1}, {"b": 2}]), r"history\[1\] has no 'a'; the history has a, b"),
        (History([{"b": 1}]), "has no 'a'; the history has b"),
        (History(), "no 'a' yet; the history has no records"),
    ],
)
def test_a_missing_column_is_named(history, words):
    with pytest.raises(KeyError, match=words):
        history["a"]


@pytest.mark.parametrize(
    ("record", "error", "words"),
    [
        ([1.0], TypeError, "a record is a dict"),
        ({}, ValueError, "at least one number"),
        ({"a": "1"}, TypeError, "'a': '1' is not a name with a number"),
        ({"a": None}, TypeError, "not a name with a number"),
        ({"a": True}, TypeError, "not a name with a number"),
        ({"a": np.bool_(True)}, TypeError, "not a name with a number"),
        ({"a": 1j}, TypeError, "not a name with a number"),
        ({"a": np.ones(1)}, TypeError, "not a name with a number"),
        ({1: 2.0}, TypeError, "not a name with a number"),
        ({"a": 10**309}, ValueError, "'a' is too large for a float"),
        ({"a": Fraction(10**309)}, ValueError, "'a' is too large for a float"),
    ],
)
def test_what_is_not_a_record_is_refused(record, error, words):
    history = History(EPOCHS)
    adders = [history.append, lambda r: history.extend([{"a": 1}, r]), lambda r: History([r])]
    adders += [lambda r: history.__add__([r]), lambda r: history.__iadd__([{"a": 1}, r]), partial(history.insert, 0)]
    adders += [partial(history.__setitem__, 0), lambda r: history.__setitem__(slice(1), [r])]
    for add in adders:
        with pytest.raises(error, match=words):
            add(record)
    assert history == EPOCHS


def test_what_changes_a_list_gives_a_history():
    history = History(EPOCHS)
    assert type(history.copy()) is type(history[:1]) is type(history + EPOCHS) is History
    assert history.copy() is not history
    assert (history + EPOCHS)["epoch"] == [1, 2, 1, 2]
    history += [{"epoch": np.int64(3)}]
    history.insert(0, {"epoch": np.int64(0)})
    history[1] = {"epoch": np.int64(10)}
    history[2:3] = [{"epoch": np.int64(20)}]
    assert type(history) is History
    assert bits(history) == bits([{"epoch": 0}, {"epoch": 10}, {"epoch": 20}, {"epoch": 3}])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b""),
        ("a.json", b"{"),
        ("a.json", b'{"epoch": 1}'),
        ("a.json", b"[1, 2]"),
        ("a.json", b'[{"epoch": "one"}]'),
        ("a.json", b'[{"epoch": null}]'),
        ("a.json", b"[{}]"),
        ("a.json", b'[{"epoch": 1, "epoch": 1}]'),
        ("a.json", b"[" * 100_000),
        ("a.json", b'[{"epoch": 1' + b"0" * 309 + b"}]"),
        ("a.json", b"\x80\x04PNG"),
        ("a.csv", b""),
        ("a.csv", b"epoch,loss\r\n1\r\n"),
        ("a.csv", b"epoch,epoch\r\n1,2\r\n"),
        ("a.csv", b"epoch\r\none\r\n"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0"),
    ],
)
def test_foreign_files_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a history") as caught:
        History.load(path)
    assert str(path) in str(caught.value)


def test_other_endings_and_missing_files(tmp_path):
    for call in (History().save, History.load):
        with pytest.raises(ValueError, match=r"h\.txt' is '\.txt'; it must be '\.json' or '\.csv'"):
            call(tmp_path / "h.txt")
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "h.csv")
