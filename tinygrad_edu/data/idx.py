"""Reading IDX, the file format in which MNIST is published.

An IDX file is a short header followed by the elements of one array in C order, all of it big-endian:

    2 bytes    zero
    1 byte     element type, a key of `DTYPES`
    1 byte     number of dimensions
    4 bytes    length of each dimension, unsigned
    the rest   the elements

A header is a claim, not a fact: a file of a few kilobytes can declare 10**12 bytes, and gzip data can unpack to a
thousand times their size. So `parse_idx` checks the claim against a limit, collects only the bytes that really arrive,
and never asks for more than the claim plus one byte, which shows that the file is too long. Of a gzip file it believes
no more than a hundred times its size; pictures of digits shrink to a fifth.
"""

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tinygrad_edu.files import StrPath, check_regular, naming

__all__ = ["parse_idx", "read_idx", "unzipped"]

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 2**30
MAX_DIMENSIONS = 64  # NumPy's own limit
CHUNK_BYTES = 2**20
ZIPPED_BYTES, ZIPPED_TIMES = 2**26, 100  # what a gzip file of any size may hold, and more by its size


def read_idx(path: StrPath, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Reads an IDX file, compressed with gzip or plain; its content tells which, not its name.

    Args:
        path: The file.
        max_bytes: Arrays of more bytes are refused. The default is 1 GiB, twice the largest file of the MNIST family.
            From gzip, those of more than 64 MiB and 100 times the size of the file are refused as well.

    Returns:
        A new, writable array of the file's shape: uint8, int8, int16, int32, float32 or float64 in native byte order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a regular file, or not a complete and valid IDX file.
    """
    name = os.fspath(path)
    check_regular(name, "an IDX file")
    with naming(name), open(name, "rb") as file, unzipped(file, name) as stream:
        if stream is not file:
            max_bytes = min(max_bytes, max(ZIPPED_BYTES, ZIPPED_TIMES * os.fstat(file.fileno()).st_size))
        return parse_idx(stream, name, max_bytes)


@contextmanager
def unzipped(file: io.BufferedIOBase, name: str) -> Iterator[io.BufferedIOBase]:
    """Gives a seekable binary file as a stream, unpacked if it is gzip; damage is a ValueError where it is read."""
    magic = file.read(2)
    file.seek(0)
    if magic != b"\x1f\x8b":
        yield file
        return
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise damaged(name, f"the gzip data are damaged or cut short ({error})") from error


def parse_idx(stream: io.BufferedIOBase, name: str, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Reads the array in a stream of uncompressed IDX bytes, which must end where the array ends; see read_idx."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise damaged(name, f"an IDX file starts with 4 bytes, found {len(magic)}")
    zero, code, ndim = struct.unpack(">HBB", magic)
    if zero != 0:
        raise damaged(name, f"an IDX file starts with two zero bytes, found 0x{zero:04x}")
    if code not in DTYPES:
        known = ", ".join(f"0x{key:02x}" for key in DTYPES)
        raise damaged(name, f"expected an IDX element type of {known}, found 0x{code:02x}")
    if ndim > MAX_DIMENSIONS:
        raise damaged(name, f"expected at most {MAX_DIMENSIONS} dimensions, found {ndim}")

    lengths = stream.read(4 * ndim)
    if len(lengths) < 4 * ndim:
        found = f"found {len(lengths)} bytes of the {4 * ndim} that hold their lengths"
        raise damaged(name, f"the header declares {ndim} dimensions, {found}")
    shape: tuple[int, ...] = struct.unpack(f">{ndim}I", lengths)
    dtype = np.dtype(DTYPES[code])
    # NumPy leaves zeros out of this product too: it refuses the shape (0, 2**32 - 1, 2**32 - 1).
    claim = math.prod(length or 1 for length in shape) * dtype.itemsize
    if claim > max_bytes:
        raise damaged(name, f"the header declares the shape {shape}, {claim:,} bytes; expected at most {max_bytes:,}")

    expected = math.prod(shape) * dtype.itemsize
    data = bytearray()
    while chunk := stream.read(min(CHUNK_BYTES, expected + 1 - len(data))):
        data += chunk
    if len(data) != expected:
        found = f"only {len(data):,}" if len(data) < expected else "more"
        raise damaged(name, f"the header declares the shape {shape}, {expected:,} bytes of data, found {found}")
    array = np.frombuffer(data, dtype).reshape(shape)  # the bytes that were read, and no copy
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def damaged(name: str, problem: str) -> ValueError:
    """The error to raise for a file."""
    return ValueError(f"{name}: {problem}; delete it and download it again, or check that it is the file you meant")
