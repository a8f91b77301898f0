import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.data import read_idx
from tinygrad_edu.data.idx import DTYPES

CODES = {np.dtype(dtype).newbyteorder("="): code for code, dtype in DTYPES.items()}
VALID = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(6))
ZIPPED = gzip.compress(VALID, mtime=0)


def to_idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "some-file"


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_idx(path)
    assert str(path) in str(error.value)
    assert "download it again" in str(error.value)
    return str(error.value)


@settings(deadline=None)
@given(data=st.data(), zipped=st.booleans())
def test_round_trip(path, data, zipped):
    dtype = data.draw(st.sampled_from(list(CODES)))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
    array = data.draw(hnp.arrays(dtype, shape))
    content = to_idx(array)
    path.write_bytes(gzip.compress(content) if zipped else content)
    result = read_idx(path)
    assert result.dtype == array.dtype and result.dtype.isnative
    assert result.flags.writeable and result.flags.c_contiguous
    np.testing.assert_array_equal(result, array)


def mutations(content):
    def overwritten(edits):
        changed = bytearray(content)
        for position, byte in edits:
            changed[position % len(content)] = byte
        return bytes(changed)

    edits = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)
    return st.one_of(
        edits.map(overwritten),
        st.integers(0, len(content)).map(lambda length: content[:length]),
        st.binary(max_size=50).map(lambda tail: content + tail),
        st.binary(max_size=50),
    )


@settings(deadline=None, max_examples=300)
@given(content=st.one_of(mutations(VALID), mutations(ZIPPED)))
def test_damaged_files_are_read_right_or_refused(path, content):
    path.write_bytes(content)
    tracemalloc.start()
    try:
        array = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert to_idx(array) == plain
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * 2**20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0"),
        (VALID[:3], "found 3"),
        (b"<htm" + VALID[4:], "two zero bytes"),
        (b"\0\0\x0a\x01" + VALID[4:], "found 0x0a"),
        (b"\0\0\x08\xff" + bytes(4 * 255), "at most 64 dimensions"),
        (VALID[:9], "5 bytes of the 8"),
        (VALID[:-1], "only 5"),
        (VALID + b"x", "found more"),
        (gzip.compress(VALID[:-1], mtime=0), "only 5"),
        (gzip.compress(VALID + b"x", mtime=0), "found more"),
        (ZIPPED[:-3], "gzip data are damaged"),
        (ZIPPED[:-8] + bytes(8), "gzip data are damaged"),
        (ZIPPED + b"tail", "gzip data are damaged"),
        (b"\x1f\x8b", "gzip data are damaged"),
    ],
    ids=[
        "empty",
        "three bytes",
        "web page",
        "unknown type",
        "255 dimensions",
        "cut in the header",
        "cut",
        "too long",
        "cut before gzip",
        "too long before gzip",
        "gzip cut",
        "gzip checksum",
        "tail after gzip",
        "gzip magic only",
    ],
)
def test_refusals_name_the_file_and_say_what_was_found(path, content, message):
    assert message in refused(path, content)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">HBB2I", 0, 8, 2, 10**6, 10**6) + b"few",
        struct.pack(">HBB3I", 0, 8, 3, 0, 2**32 - 1, 2**32 - 1),
        struct.pack(">HBBI", 0, 8, 1, 10**9) + b"few",
        struct.pack(">HBBI", 0, 8, 1, 10) + bytes(5 * 10**7),
    ],
    ids=["10**12 bytes", "zero times too many", "10**9 bytes over 3", "much more than declared"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_false_promises_cost_little_memory(path, content, zipped):
    content = gzip.compress(content, 1) if zipped else content
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match="header declares"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_max_bytes(path):
    path.write_bytes(VALID)
    assert read_idx(path, max_bytes=6).shape == (2, 3)
    with pytest.raises(ValueError, match="at most 5"):
        read_idx(path, max_bytes=5)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        read_idx(tmp_path / "nothing-here")
    with pytest.raises(ValueError, match="expected an IDX file"):
        read_idx(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe; expected an IDX file"):
        read_idx(tmp_path / "pipe")


def test_a_small_gzip_file_holds_no_huge_array(path):
    content = struct.pack(">HBBI", 0, 8, 1, 2**30) + bytes(2**20)
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match="1,073,741,824 bytes; expected at most 67,108,864"):
        read_idx(path)


def test_an_array_takes_its_own_memory_and_little_more(path):
    path.write_bytes(to_idx(np.arange(2**20, dtype=np.float64)))
    tracemalloc.start()
    array = read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert array[-1] == 2**20 - 1 and peak < 1.5 * array.nbytes + 2**21
