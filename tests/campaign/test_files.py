"""Damaged files: each is read as what it says, or refused by an error that names it, and nothing is half loaded.

The slow run reads 100,000. A file is made again from its kind and number: `make("weights", 17)`.
"""

import gzip
import hashlib
import io
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import hyperparameters
import mnist_mirror
import mnist_more
import numpy as np
import pytest
from campaign.damage import damaged, inside_gzip, inside_png, set_token
from campaign.run import Run

from tinygrad_edu import nn
from tinygrad_edu.data import load_mnist, mnist, read_digit, read_idx
from tinygrad_edu.nn.serialization import decode_file, encode_arrays
from tinygrad_edu.training import Checkpoint, History
from tinygrad_edu.training.checkpoint import CHECKSUM_KEY, STATES_KEY, checksum

safetensors = pytest.importorskip("safetensors.numpy")
Image = pytest.importorskip("PIL.Image")

LIMIT_S, LIMIT_MB = 2.0, 300  # for a file
IMAGES, LABELS = mnist_mirror.NAMES[:2]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where the files are written; small files stand for the published ones of MNIST."""
    global FOLDER, RUN, BEFORE
    FOLDER = tmp_path_factory.mktemp("damaged")
    RUN = Run()
    Checkpoint(FOLDER / "whole").save(**RUN.objects, epoch=2, metadata={"options": json.dumps(options())})
    BEFORE = RUN.state()
    mnist_mirror.write(FOLDER / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TINYGRAD_EDU_DATA", raising=False)
        digests = {name: (len(x), hashlib.sha256(x).hexdigest()) for name, x in mnist_mirror.PLAIN.items()}
        patch.setattr(mnist, "FILES", digests)
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


def options():
    """Those of a run of demos/mnist_more.py."""
    given = vars(mnist_more.new_parser(out=False, needs=()).parse_args([]))
    return {name: given.get(name, 7) for name in mnist_more.SAVED} | {"dataset": "mnist", "labels": 7}


def saved(write, name="sample"):
    """What a function writes to a path."""
    write(FOLDER / name)
    return (FOLDER / name).read_bytes()


def weights():
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(2, 3)), "b.c": np.arange(5, dtype=np.int16), "empty": np.ones((0, 2), np.float16)}
    arrays |= {"one": np.array(True), "z": np.array([1 + 2j], np.complex64)}
    return [
        saved(lambda path: nn.save(arrays, path, {"sizes": "[1, 2]"})),
        saved(lambda path: nn.save({}, path)),
        saved(lambda path: nn.save(RUN.model, path)),
    ]


def histories(ending):
    records = [{"epoch": i, "train_loss": 1 / i, "val_loss": float("inf")} for i in range(1, 5)]
    return [saved(History(rows).save, f"sample.{ending}") for rows in (records, [*records, {"other": -1.5}], [])]


def idx_files():
    arrays = [np.arange(6, dtype=code).reshape(2, 3) for code in (">u1", ">i2", ">f8")]
    codes = [b"\x08", b"\x0b", b"\x0e"]
    head = b"\2\0\0\0\2\0\0\0\3"
    return [b"\0\0" + code + head + x.tobytes() for code, x in zip(codes, arrays, strict=True)]


def pictures():
    """A digit in many formats."""
    ink = np.zeros((48, 40), np.uint8)
    ink[8:40, 18:23] = 230
    image, found = Image.fromarray(ink), []
    for name, mode in [("PNG", "L"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("PNG", "I;16"), ("JPEG", "RGB"),
                       ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "F"), ("TIFF", "L"), ("PPM", "RGB"), ("WEBP", "RGB"),
                       ("TGA", "L"), ("ICO", "L")]:  # fmt: skip
        file = io.BytesIO()
        image.convert(mode).save(file, name)
        found.append(file.getvalue())
    return found


def results():
    """The file of demos/hyperparameters.py."""
    lines = [json.dumps({"lr": 0.1 * i, "hidden": [8], "seed": 0, "val_accuracy": 0.1 * i}) for i in range(1, 5)]
    return ["".join(f"{line}\n" for line in lines).encode()]


def inside_checkpoint(rng, data, others):
    """A state or an array is another, and the checksum is right."""
    arrays, texts = decode_file(FOLDER / "whole")
    texts.pop(CHECKSUM_KEY)
    key, name = rng.choice([STATES_KEY, STATES_KEY, "options"]), rng.choice(list(arrays))
    if rng.random() < 0.7:
        for _ in range(rng.choice((1, 1, 2))):
            texts[key] = set_token(rng, texts[key].encode(), others).decode(errors="replace")
    else:
        x = arrays.pop(name)
        changes = [[], [x.astype(rng.choice("?bQefdF"))], [x.reshape(-1)], [x[..., None]], [x * np.float32(np.nan)]]
        changes += [[-x], [np.zeros(3)], [arrays[rng.choice(list(arrays))]]]
        for new in rng.choice(changes):  # none takes the array out
            arrays[name] = new
    return encode_arrays(arrays, {**texts, CHECKSUM_KEY: checksum(arrays, texts)})


def read_weights(path, data):
    found, expected = nn.load(path), safetensors.load(data)
    assert found.keys() == expected.keys() and all(type(x) is str for x in nn.load_metadata(path).values())
    for name, x in found.items():
        np.testing.assert_array_equal(x, expected[name], strict=True)
        assert x.flags.writeable and x.flags.owndata


def read_model(path, data):
    arrays = nn.load(path)
    try:
        RUN.model.load_state_dict(arrays)
    except (KeyError, ValueError) as error:
        assert RUN.state() == BEFORE
        raise ValueError(f"{path}: {error}") from error
    assert all(np.array_equal(x, arrays[name], equal_nan=True) for name, x in RUN.model.state_dict().items())
    Checkpoint(FOLDER / "whole").load(**RUN.objects)


def read_checkpoint(path, data, alone=False):
    """Loads all or nothing; what was loaded can be saved, and loaded again."""
    objects = {"model": RUN.model} if alone else RUN.objects
    try:
        epoch = Checkpoint(path).load(**objects)
    except BaseException:
        assert RUN.state() == BEFORE
        raise
    try:
        after = RUN.state()
        Checkpoint(FOLDER / "again").save(**RUN.objects, epoch=epoch, metadata=Checkpoint(path).metadata())
        assert Checkpoint(FOLDER / "again").load(**RUN.objects) == epoch >= 0 and RUN.state() == after
    finally:
        Checkpoint(FOLDER / "whole").load(**RUN.objects)
    assert RUN.state() == BEFORE


def read_history(path, data):
    history = History.load(path)
    again = path.with_stem("again")
    history.save(again)
    for one, other in zip(History.load(again), history, strict=True):
        assert repr(sorted(one.items())) == repr(sorted(other.items()))


def read_array(path, data):
    array = read_idx(path)
    raw = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    assert array.astype(array.dtype.newbyteorder(">")).tobytes() == raw[4 + 4 * raw[3] :]
    assert array.flags.writeable and [*raw[4 : 4 + 4 * raw[3]][3::4]] == [n % 256 for n in array.shape]


def read_mnist(name, path, data):
    whole, target = mnist_mirror.PLAIN[name], FOLDER / "root" / name
    target.write_bytes(data)
    try:
        digits = load_mnist(FOLDER / "root", download=False)
    except ValueError as error:
        assert str(target) in str(error)
        raise ValueError(f"{path}: {error}") from error
    finally:
        target.write_bytes(whole)
    assert digits.train_images.shape == (len(digits.train_labels), 28, 28) and digits.train_labels.max(initial=0) <= 9


def read_cached(path, data):
    """A file in the cache is the published one, or none."""
    target, problems = FOLDER / f"{IMAGES}.gz", []
    target.write_bytes(data)
    array = mnist.read_cached(str(FOLDER), IMAGES, problems)
    if array is None:
        raise ValueError(f"{path}: {problems[0]}" if str(target) in problems[0] else problems)
    assert not problems
    np.testing.assert_array_equal(array, mnist_mirror.ARRAYS[0], strict=True)


def read_picture(path, data):
    digit = read_digit(path)
    assert digit.shape == (28, 28) and digit.dtype == np.uint8 and digit.max() == 255


def read_results(path, data):
    found = hyperparameters.read(path)
    assert all(0 <= accuracy <= 1 for accuracy in found.values())


def read_options(path, data):
    found = mnist_more.saved_options(path)
    assert found.keys() == set(mnist_more.SAVED)
    json.dumps(found)


class Kind(NamedTuple):
    """How many of each hundred files, the whole ones, what reads one, what damages one inside, and how it is refused"""

    share: int
    samples: Callable[[], list[bytes]]
    read: Callable[[Path, bytes], None]
    inside: Callable[[random.Random, bytes, list[bytes]], bytes] = None
    refusals: tuple[type[BaseException], ...] = (ValueError,)
    name: str = "file"


def checkpoints():
    return [(FOLDER / "whole").read_bytes()]


def zipped(make):
    return [gzip.compress(data, mtime=0) for data in make()]


def published(name):
    return [mnist_mirror.PLAIN[name]]


KINDS = {
    "weights": Kind(15, weights, read_weights),
    "model": Kind(8, weights, read_model),
    "checkpoint": Kind(20, checkpoints, read_checkpoint, inside_checkpoint),
    "prediction": Kind(5, checkpoints, partial(read_checkpoint, alone=True), inside_checkpoint),
    "history.json": Kind(12, partial(histories, "json"), read_history, name="file.json"),
    "history.csv": Kind(8, partial(histories, "csv"), read_history, name="file.csv"),
    "idx": Kind(10, idx_files, read_array),
    "idx.gz": Kind(6, partial(zipped, idx_files), read_array, inside_gzip),
    "mnist images": Kind(3, partial(published, IMAGES), partial(read_mnist, IMAGES)),
    "mnist labels": Kind(2, partial(published, LABELS), partial(read_mnist, LABELS)),
    "cache": Kind(2, partial(zipped, partial(published, IMAGES)), read_cached, inside_gzip),
    "picture": Kind(4, pictures, read_picture, None),
    "png": Kind(1, lambda: pictures()[:5], read_picture, inside_png),
    "results": Kind(2, results, read_results, refusals=(SystemExit, ValueError)),
    "options": Kind(2, checkpoints, read_options, inside_checkpoint),
}


@cache
def samples(kind):
    return KINDS[kind].samples()


@cache
def others(kind):
    """Files of this kind and of every other."""
    return [data for other in KINDS for data in samples(other)] + samples(kind) * 20


def make(kind, number):
    rng = random.Random(f"{kind} {number}")
    data = rng.choice(samples(kind))
    inside = KINDS[kind].inside
    if rng.random() < 0.05:
        return data
    if inside and rng.random() < 0.5:
        return inside(rng, data, others(kind))
    return damaged(rng, data, others(kind), texts=data.isascii() or data[8:9] == b"{")


def peak_memory():
    """MB that this process has held at most since the last call, where the system says so."""
    try:
        peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return peak


@pytest.mark.filterwarnings("ignore")  # of overflow in absurd numbers, and of Pillow about its files
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_damaged_file_is_read_right_or_refused(kind, n):
    share, _, read, _, refusals, name = KINDS[kind]
    path, seen, faults = FOLDER / name, Counter(), []
    make(kind, 0), peak_memory()
    before = peak_memory()
    for number in range(n * share // 100):
        data = make(kind, number)
        path.write_bytes(data)
        start, outcome = time.thread_time(), "read"
        try:
            read(path, data)
        except BaseException as error:
            outcome = type(error).__name__
            if not isinstance(error, refusals) or str(path) not in str(error):
                faults.append(f"{kind} {number}: {error!r}")
        seen[outcome] += 1
        if time.thread_time() - start > LIMIT_S:
            faults.append(f"{kind} {number}: {time.thread_time() - start:.1f} s")
    print(f"{kind}: {seen.total()} files, {dict(seen)}")
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])
    assert 0 < seen["read"] < seen.total(), "the damage is too little, or too much, to test anything"
    assert peak_memory() - before < LIMIT_MB


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "mnist" not in kind and kind != "cache"])
def test_a_pipe_is_refused(tmp_path, pipe, kind):
    path = tmp_path / KINDS[kind].name
    pipe(path)
    with pytest.raises(KINDS[kind].refusals) as caught:
        KINDS[kind].read(path, b"")
    assert "pipe" in str(caught.value) and str(path) in str(caught.value)
