"""MNIST, 70,000 images of handwritten digits: found on disk, or downloaded once into the user's cache.

`load_mnist` reads the files that a user already has, whatever data set of that format they hold. The files that it
downloads itself must be the published ones, bit for bit: each has to match its SHA-256 before it enters the cache
folder and every time it is read from there. `load_digits` draws digits instead where MNIST cannot be had.

The time-out of `urlopen` does not cover the look-up of the host's name, and starts afresh for every address of the
host, every redirection and every few bytes received, so that a server can trickle for ever. So in `fetch` a thread
talks to the network, and the caller waits for its messages no longer than it wants to.
"""

import hashlib
import io
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tinygrad_edu.checks import check_bool, check_choice
from tinygrad_edu.data.idx import parse_idx, read_idx, unzipped
from tinygrad_edu.data.synthetic import synthetic_digits
from tinygrad_edu.files import StrPath, check_regular, naming, say, visible, write_atomically

__all__ = ["MNIST", "MNISTNotFoundError", "load_digits", "load_mnist"]

Source = Literal["auto", "mnist", "synthetic"]
Message = int | bytes | str  # the answer's length, a chunk of it or b"" at its end, or the reason of a failure

MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/")
# Size in bytes and SHA-256 of each file once unpacked, in the order of the fields of `MNIST`.
FILES = {
    "train-images-idx3-ubyte": (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
CONNECT_TIMEOUT = 4.0  # seconds until the answer must begin; each mirror can cost this much when offline
STALL_TIMEOUT = 20.0  # seconds within which each further CHUNK_BYTES must arrive
CHUNK_BYTES = 2**16


class MNISTNotFoundError(FileNotFoundError):
    """MNIST is not on this computer, and downloading it was not allowed or failed."""


class MNIST(NamedTuple):
    """The training set, 60,000 examples, and the test set, 10,000.

    Images are uint8 (n, 28, 28), 0 for the black background to 255 for ink; labels are uint8 (n,), the digits 0 to 9.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def load_digits(source: Source = "auto", root: StrPath | None = None) -> tuple[str, MNIST]:
    """Loads MNIST; where neither its files nor the network are there, draws digits and prints that it did.

    Args:
        source: "mnist" or "synthetic" for one of the two; "auto" for the first that is there.
        root: Folder with the files of MNIST; see load_mnist.

    Returns:
        The name, "MNIST" or "synthetic digits", which belongs beside every figure that is made with them; and the
        arrays (train_images, train_labels, test_images, test_labels): 20,000 and 4,000 images if synthetic.

    Raises:
        MNISTNotFoundError: MNIST is asked for and is not there.
        FileNotFoundError: As for load_mnist; synthetic digits do not make up for that.
        ValueError: A damaged file, fewer than 2 images to train on or none to test, or another source.
    """
    check_choice("load_digits: source", source, get_args(Source))
    if source != "synthetic":
        try:
            digits = load_mnist(root)
        except MNISTNotFoundError as error:
            if source == "mnist":
                raise
            say(f"{error}\n\nSo this run uses synthetic digits; its figures say nothing about MNIST.\n")
        else:
            train, test = len(digits.train_labels), len(digits.test_labels)
            if train < 2 or test < 1:
                raise ValueError(f"need 2 images to train and 1 to test, got {train} and {test}")
            return "MNIST", digits
    return "synthetic digits", MNIST(*synthetic_digits(20_000, seed=1), *synthetic_digits(4_000, seed=2))


def load_mnist(root: StrPath | None = None, download: bool = True) -> MNIST:
    """Loads MNIST from the first of these places that has it.

    1. `root`, if given, or its subfolder `mnist`;
    2. the folder in the environment variable TINYGRAD_EDU_DATA, if set, or its subfolder `mnist`;
    3. the user's cache folder: `tinygrad_edu/mnist` in `$XDG_CACHE_HOME`, `~/.cache` (Linux), `~/Library/Caches`
       (macOS) or `%LOCALAPPDATA%` (Windows);
    4. the internet, if `download` is true. About 11 MB go into the cache folder, never into 1. or 2.

    A folder needs the four files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, each with or without `.gz`. In 1. and 2. any data set of this format will do, such as
    Fashion-MNIST, and with any number of images.

    Args:
        root: A folder to look in first.
        download: Whether to download what the cache folder lacks.

    Returns:
        The arrays `(train_images, train_labels, test_images, test_labels)`.

    Raises:
        TypeError: `root` is not a path, or `download` not a bool.
        MNISTNotFoundError: The files are in none of these places.
        FileNotFoundError: `root` or TINYGRAD_EDU_DATA is given but is not a folder, or has only some of the files.
        ValueError: A file in `root` or TINYGRAD_EDU_DATA is damaged or not in the format of MNIST.
    """
    check_bool("load_mnist: download", download)
    given = None if root is None else os.fspath(root)
    for source, base in (("root", given), ("TINYGRAD_EDU_DATA", os.environ.get("TINYGRAD_EDU_DATA"))):
        if base and (paths := find_files(source, os.path.expanduser(base))):
            mnist = MNIST(*[read_idx(path) for path in paths])
            check_format("training", mnist.train_images, mnist.train_labels, paths[:2])
            check_format("test", mnist.test_images, mnist.test_labels, paths[2:])
            return mnist

    folder = cache_folder()
    mirrors = list(MIRRORS) if download else []
    problems = [] if download else ["downloading is switched off by download=False"]
    arrays = []
    for name in FILES:
        array = read_cached(folder, name, problems)
        if array is None:
            array = download_file(folder, name, mirrors, problems)
        if array is None:
            reasons = "\n  ".join(problems)
            raise MNISTNotFoundError(
                f"MNIST is not on this computer: {name} is neither in root, nor in TINYGRAD_EDU_DATA, nor in {folder}, "
                f"and could not be downloaded:\n  {reasons}\nConnect to the internet and try again, or set "
                f"TINYGRAD_EDU_DATA to a folder with the files {', '.join(f'{name}.gz' for name in FILES)}, or put "
                f"them into {folder}, or use tinygrad_edu.data.synthetic_digits, which needs no files."
            )
        arrays.append(array)
    return MNIST(*arrays)


def find_files(source: str, base: str) -> list[str]:
    """The paths of the four files in `base` or `base/mnist`, or [] if none of them is there."""
    if not os.path.isdir(base):
        raise FileNotFoundError(f"{source} is {base!r}, not a folder; correct it, or leave it out to use the cache")
    some: dict[str, str] = {}
    for folder in (base, os.path.join(base, "mnist")):
        paths = {name: path for name in FILES for path in zipped_and_plain(folder, name) if os.path.isfile(path)}
        if len(paths) == len(FILES):
            return list(paths.values())
        some = some or paths
    if some:
        missing = ", ".join(name for name in FILES if name not in some)
        raise FileNotFoundError(
            f"{source} has some of the MNIST files, such as {next(iter(some.values()))}, but not {missing} "
            "(with or without .gz); add what is missing, since files of different origin are not mixed"
        )
    return []


def check_format(part: str, images: np.ndarray, labels: np.ndarray, paths: list[str]) -> None:
    """Raises ValueError unless the arrays, read from `paths`, are images and labels as in MNIST."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        problem = f"expected uint8 images of shape (n, 28, 28), found {images.dtype} {images.shape}"
    elif labels.dtype != np.uint8 or labels.ndim != 1:
        problem = f"expected uint8 labels of shape (n,), found {labels.dtype} {labels.shape}"
    elif len(images) != len(labels):
        problem = f"found {len(images)} images but {len(labels)} labels"
    elif (labels > 9).any():
        problem = f"expected labels from 0 to 9, found {labels.max()}"
    else:
        return
    raise ValueError(f"{paths[0]} and {paths[1]} are not a {part} set in the format of MNIST: {problem}")


def zipped_and_plain(folder: str, name: str) -> tuple[str, str]:
    """The two paths that a file may have."""
    return os.path.join(folder, f"{name}.gz"), os.path.join(folder, name)


def cache_folder() -> str:
    """The folder for downloaded files, which need not exist yet."""
    cache = os.environ.get("XDG_CACHE_HOME")
    if not cache and sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA")
    if not cache:
        cache = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    return os.path.join(cache, "tinygrad_edu", "mnist")


def read_cached(folder: str, name: str, problems: list[str]) -> np.ndarray | None:
    """Reads a file from the cache folder; None, with the reason in `problems`, if there is no good one."""
    for path in zipped_and_plain(folder, name):
        try:
            check_regular(path, "a file of MNIST")
            with naming(path), open(path, "rb") as file:
                return read_published(file, name, path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problems.append(visible(error))
    return None


def download_file(folder: str, name: str, mirrors: list[str], problems: list[str]) -> np.ndarray | None:
    """Downloads a file and keeps it in the cache folder; None, with the reasons in `problems`, on failure."""
    for mirror in tuple(mirrors):
        url = f"{mirror}{name}.gz"
        try:
            data = fetch(url, limit=FILES[name][0] + 1024)
            array = read_published(io.BytesIO(data), name, url)
        except (OSError, ValueError) as error:
            problems.append(visible(error))
            mirrors.remove(mirror)
            mirrors.append(mirror)  # to the end, so that the other files do not wait for it again
        else:
            path = os.path.join(folder, f"{name}.gz")
            try:
                write_atomically(path, data, folders=True)
            except (OSError, ValueError) as error:
                message = f"could not keep {path} for next time ({error}); set XDG_CACHE_HOME to a writable folder"
                warnings.warn(message, RuntimeWarning, stacklevel=3)
            return array
    return None


def read_published(file: io.BufferedIOBase, name: str, source: str) -> np.ndarray:
    """Reads the array in `file`, or raises ValueError if it is not the published file `name`."""
    size, digest = FILES[name]
    with unzipped(file, source) as stream:
        data = stream.read(size + 1)
    found = hashlib.sha256(data).hexdigest()
    if len(data) != size or found != digest:
        raise ValueError(
            f"{source}: not the published MNIST file, or damaged: expected {size:,} bytes unpacked with the SHA-256 "
            f"{digest[:8]}..., found {len(data):,}{' or more' if len(data) > size else ''} with {found[:8]}..."
        )
    return parse_idx(io.BytesIO(data), source)


def fetch(url: str, limit: int) -> bytes:
    """Downloads at most `limit` bytes, or raises OSError or ValueError with the reason."""
    messages: SimpleQueue[Message] = SimpleQueue()
    given_up = threading.Event()
    threading.Thread(target=send_download, args=(url, messages, given_up.is_set), daemon=True).start()
    data = bytearray()
    patience = CONNECT_TIMEOUT
    try:
        message = messages.get(timeout=patience)
        patience = STALL_TIMEOUT
        with download_bar(url, message) as advance:
            while message != b"":
                if isinstance(message, str):
                    raise ConnectionError(f"{url}: {message}")
                if isinstance(message, bytes):
                    data += message
                    advance(len(message))
                if len(data) > limit:
                    raise ValueError(f"{url}: expected at most {limit:,} bytes, received {len(data):,}")
                message = messages.get(timeout=patience)
    except Empty:
        raise TimeoutError(f"{url}: nothing arrived, or too little, for {patience:g} s") from None
    finally:
        given_up.set()
    return bytes(data)


def send_download(url: str, messages: SimpleQueue[Message], given_up: Callable[[], bool]) -> None:
    """Puts on the queue the answer's length (0 if unknown), its chunks, and b"" or the reason of failure."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=STALL_TIMEOUT) as response:
            length = response.headers.get("Content-Length", "")
            messages.put(int(length) if length.isdecimal() and len(length) < 16 else 0)
            while not given_up() and (chunk := response.read(CHUNK_BYTES)):
                messages.put(chunk)
        messages.put(b"")
    except Exception as error:  # whatever went wrong, the other mirror may do better
        messages.put(str(error) or type(error).__name__)
        if isinstance(error, HTTPError):
            error.close()


@contextmanager
def download_bar(url: str, length: object) -> Iterator[Callable[[int], object]]:
    """Gives a function that advances a progress bar by a number of bytes; no bar without tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None or not isinstance(length, int) or getattr(sys.stderr, "closed", True):
        yield lambda count: None
        return
    with tqdm(desc=url.rpartition("/")[2], total=length or None, unit="B", unit_scale=True) as bar:
        yield bar.update
