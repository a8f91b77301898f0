import copy
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_edu import Tensor, manual_seed, nn
from tinygrad_edu.nn.serialization import DTYPES, encode_arrays, import_safetensors

pytest.importorskip("safetensors")
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
REAL = [name for name in DTYPES.values() if name != "complex64"]  # which old versions of safetensors lack
GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


@st.composite
def stored(draw):
    """An array of any dtype, byte order, shape and memory layout."""
    dtype = np.dtype(draw(st.sampled_from(REAL))).newbyteorder(draw(st.sampled_from("<>")))
    array = draw(npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
    return draw(st.sampled_from([array, array.T, array[::-2] if array.ndim else array, np.asfortranarray(array)]))


def assert_same(loaded, saved):
    assert loaded.keys() == saved.keys()
    for name, array in saved.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded[name], array, strict=False)
        assert loaded[name].shape == array.shape
        assert loaded[name].flags.writeable
        assert loaded[name].flags.c_contiguous


def with_header(header, body=bytes(8)):
    """The bytes of a file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@given(st.dictionaries(st.text(), stored(), max_size=3), st.dictionaries(st.text(), st.text(), max_size=3))
def test_round_trip(path, state, metadata):
    nn.save(state, path, metadata)
    assert_same(nn.load(path), state)
    assert nn.load_metadata(path) == metadata


def test_loaded_arrays_own_their_memory(path):
    nn.save({"a": np.ones(3), "b": np.ones(())}, path)
    arrays = nn.load(path)
    assert all(type(array) is np.ndarray and array.base is None for array in arrays.values())
    arrays["a"][...] = 7
    assert nn.load(path)["a"].tolist() == [1, 1, 1]


def test_loading_takes_the_memory_of_the_arrays_and_little_more(path):
    state = {"a": np.ones((1000, 1000)), "b": np.ones(10**6, np.float32)}
    nn.save(state, path)
    tracemalloc.start()
    arrays = nn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_same(arrays, state)
    assert peak < 13 * 10**6


def test_a_file_that_shrinks_while_it_is_read(path, monkeypatch):
    codec = import_safetensors()

    def opened(name, framework, real=codec.safe_open):
        found = real(name, framework)
        os.truncate(name, os.path.getsize(name) - 1)
        return found

    nn.save({"a": np.ones(3)}, path)
    monkeypatch.setattr(codec, "safe_open", opened)
    with pytest.raises(ValueError, match="the bytes of a are gone"):
        nn.load(path)


def test_names_in_a_file_do_not_steer_the_terminal(path):
    for entry in ({"shape": [3]}, {"dtype": "BF16", "shape": [4]}, {"shape": [0, 2**63], "data_offsets": [0, 0]}):
        header = with_header({"\x1b[31m": GOOD | entry}, bytes(0 if "data_offsets" in entry else 8))
        path.write_bytes(header)
        with pytest.raises(ValueError) as error:
            nn.load(path)
        assert str(error.value).isprintable()


def test_tensors_numbers_and_lists_are_saved_as_arrays(path):
    nn.save({"t": Tensor([1.0, 2.0]), "s": Tensor(3.0, dtype=np.float32), "n": 2.5, "l": [1, 2]}, path)
    expected = {"t": np.array([1.0, 2.0]), "s": np.array(3.0, np.float32), "n": np.array(2.5), "l": np.array([1, 2])}
    assert_same(nn.load(path), expected)
    assert nn.load_metadata(path) == {}


def test_a_model_comes_back_to_the_bit(path):
    model, other = [nn.MLP([3, 4, 2], "prelu", batch_norm=True) for _ in range(2)]
    model(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    nn.save(model, path, {"sizes": "[3, 4, 2]"})
    other.load_state_dict(nn.load(path))
    assert_same(other.state_dict(), model.state_dict())
    assert json.loads(nn.load_metadata(path)["sizes"]) == [3, 4, 2]


def test_shared_parameters_are_saved_under_all_names(path):
    tied = nn.Module()
    tied.first = tied.second = nn.Linear(2, 3)
    nn.save(tied, path)
    assert sorted(nn.load(path)) == ["first.bias", "first.weight", "second.bias", "second.weight"]
    tied.load_state_dict(nn.load(path))


REFUSED = {
    "w is a ndarray .object.": {"w": np.array([None])},
    "w is a ndarray .<U1.": {"w": np.array(["a"])},
    "w is a str": {"w": "text"},
    "w is a dict": {"w": {}},
    "w is a NoneType": {"w": None},
    "complex128": {"w": np.ones(2, complex)},
    "datetime64": {"w": np.zeros(2, "M8[s]")},
    "float32, float16": {"w": np.zeros(2, "f4,i4")},
    "masked array": {"w": np.ma.masked_array([1.0, 2.0], [True, False])},
    "1 cannot name an array": {1: np.ones(2)},
    "__metadata__": {"__metadata__": np.ones(2)},
    "takes a Module or a mapping .* got Tensor": Tensor([1.0]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_format_cannot_hold_is_refused_by_name(tmp_path, message):
    with pytest.raises(TypeError, match=message):
        nn.save(REFUSED[message], tmp_path / "w")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metadata", [{"epochs": 3}, {3: "epochs"}, {"a": None}, [("a", "b")]])
def test_metadata_are_strings(tmp_path, metadata):
    with pytest.raises(TypeError, match=r"json\.dumps|mapping of strings"):
        nn.save({}, tmp_path / "w", metadata)


def test_what_safetensors_refuses_is_a_value_error(path):
    for state, metadata in [({"\ud800": np.ones(1)}, {}), ({}, {"a": "\ud800"})]:
        with pytest.raises(ValueError, match="safetensors cannot hold this"):
            nn.save(state, path, metadata)


def test_complex64_where_safetensors_knows_it(path):
    values = np.array([1 + 2j], np.complex64)
    try:
        nn.save({"z": values}, path)
    except ValueError as error:
        assert "complex64" in str(error)
    else:
        assert_same(nn.load(path), {"z": values})


def pickled():
    return pickle.dumps({"weight": [1.0]})


def npz():
    file = io.BytesIO()
    np.savez(file, a=np.ones(3))
    return file.getvalue()


FOREIGN = {
    "an empty file": b"",
    "a damaged or cut-off one": encode_arrays({"w": np.ones(4)}, {})[:-3],
    "a damaged or cut-off one .*": encode_arrays({"w": np.ones(4)}, {}) + b"x",
    "a zip archive, as torch.save and np.savez write; with PyTorch": npz(),
    "a pickle, as old versions of torch.save": pickled(),
    "a PNG picture": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "a JPEG picture": b"\xff\xd8\xff\xe0" + bytes(50),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(50),
    "a gzip archive": b"\x1f\x8b" + bytes(50),
    "a GGUF model": b"GGUF" + bytes(50),
    "an array of np.save": b"\x93NUMPY" + bytes(50),
    r"something else that begins with b'import n'": b"import numpy as np\n",
    r"something else that begins with b'abc'": b"abc",
}
HOSTILE = {
    "longest header": b"\xff" * 8 + b"{}",
    "header longer than the file": (90_000_000).to_bytes(8, "little") + b"{}",
    "overlapping arrays": with_header({"a": GOOD, "b": GOOD}),
    "beyond the end": with_header({"a": GOOD | {"shape": [200], "data_offsets": [0, 800]}}),
    "shape that overflows": with_header({"a": GOOD | {"shape": [2**62, 2**62]}}),
    "negative shape": with_header({"a": GOOD | {"shape": [-2]}}),
    "shape that does not fit": with_header({"a": GOOD | {"shape": [3]}}),
    "unknown dtype": with_header({"a": GOOD | {"dtype": "PICKLE"}}),
    "metadata of numbers": with_header({"__metadata__": {"a": 1}, "a": GOOD}),
    "list": with_header([1]),
    "no JSON": with_header(b"{{{{"),
    "no UTF-8": with_header(b"{\xff}"),
    "nested": with_header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "huge number": with_header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,' + b"8" * 6000 + b"]}}"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named(tmp_path, kind):
    (tmp_path / "w").write_bytes(FOREIGN[kind])
    for read in (nn.load, nn.load_metadata):
        with pytest.raises(ValueError, match=f"w cannot be read as a safetensors file: it is {kind}"):
            read(tmp_path / "w")


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_refused(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ValueError, match="w cannot be read as a safetensors file"):
        nn.load(tmp_path / "w")


def test_an_axis_that_numpy_cannot_hold(tmp_path):
    (tmp_path / "w").write_bytes(with_header({"a": GOOD | {"shape": [0, 2**63], "data_offsets": [0, 0]}}, b""))
    with pytest.raises(ValueError, match=r"w: a has the shape \(0, 9223372036854775808\), which NumPy cannot"):
        nn.load(tmp_path / "w")


@given(st.data())
def test_every_cut_is_noticed(path, data):
    whole = encode_arrays({"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}, {"text": "x"})
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match="cannot be read"):
        nn.load(path)


@given(st.data())
def test_a_changed_byte_is_an_error_or_other_arrays(path, data):
    whole = bytearray(encode_arrays({"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}, {"text": "x"}))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    try:
        assert sum([array.nbytes for array in nn.load(path).values()]) == 40
    except ValueError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2"])
def test_dtypes_that_numpy_lacks(tmp_path, dtype):
    size = 4 if dtype == "BF16" else 8
    (tmp_path / "w").write_bytes(with_header({"head.weight": GOOD | {"dtype": dtype, "shape": [size]}}))
    with pytest.raises(ValueError, match=rf"w: head\.weight has the dtype {dtype}, which NumPy lacks; .*\.float\(\)"):
        nn.load(tmp_path / "w")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        nn.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="a folder or a device"):
        nn.load(tmp_path)
    with pytest.raises(ValueError, match="a folder or a device"):
        nn.save({}, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        nn.save({}, tmp_path / "nowhere" / "w")


@posix
def test_a_device_or_a_pipe_is_neither_replaced_nor_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for function in (nn.load, nn.load_metadata, lambda path: nn.save({}, path)):
        with pytest.raises(ValueError, match="or a pipe"):
            function(tmp_path / "pipe")
    with pytest.raises(ValueError, match="/dev/null is a folder or a device"):
        nn.save({}, "/dev/null")
    with pytest.raises(ValueError, match=r"/dev/zero .* a device"):
        nn.load("/dev/zero")


@pytest.mark.parametrize("function", [nn.load, nn.load_metadata, lambda path: nn.save({}, path)])
def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch, function):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad-edu\[demos\]" brings it'):
        function(tmp_path / "w")


def test_importing_the_library_does_not_import_the_package():
    code = "import sys, tinygrad_edu.nn, tinygrad_edu.training; sys.exit('safetensors' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def pair(torch):
    """Two of each net, ours and PyTorch's with other weights, and their input."""
    t = torch.nn
    images, rows = (2, 3, 8, 8), (5, 6)
    return {
        "linear": (nn.Linear(6, 4), t.Linear(6, 4), rows),
        "no bias": (nn.Linear(6, 4, bias=False), t.Linear(6, 4, bias=False), rows),
        "mlp": (
            nn.MLP([6, 5, 4], "prelu", batch_norm=True, dropout=0.5),
            t.Sequential(t.Linear(6, 5), t.BatchNorm1d(5), t.PReLU(), t.Dropout(), t.Linear(5, 4)),
            rows,
        ),
        "layer norm": (
            nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.GELU()),
            t.Sequential(t.Linear(6, 5), t.LayerNorm(5), t.GELU()),
            rows,
        ),
        "convolution": (
            nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                nn.Linear(64, 2),
            ),
            t.Sequential(
                t.Conv2d(3, 4, 3, padding=1), t.BatchNorm2d(4), t.ReLU(), t.MaxPool2d(2), t.Flatten(), t.Linear(64, 2)
            ),
            images,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["linear", "no bias", "mlp", "layer norm", "convolution"])
def test_weights_go_to_pytorch_and_back(path, name):
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    torch.manual_seed(0)  # weights that leave a small variance would amplify the last digit
    manual_seed(0)
    ours, theirs, shape = pair(torch)[name]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def outputs():
        with torch.no_grad():
            return ours.eval()(x).data, theirs.eval()(torch.tensor(x)).numpy()

    ours.train()(x)  # running statistics of their own
    theirs.train()(torch.tensor(x))
    theirs(torch.tensor(x))
    files.save_file(theirs.state_dict(), path)
    assert not np.allclose(*outputs(), atol=1e-3)
    ours.load_state_dict(nn.load(path))
    np.testing.assert_allclose(*outputs(), rtol=1e-6, atol=1e-6)
    assert ours.state_dict().keys() == theirs.state_dict().keys()

    for p in ours.parameters():
        p.data += 0.1
    nn.save(ours, path)
    assert not np.allclose(*outputs(), atol=1e-3)
    theirs.load_state_dict(files.load_file(path), strict=True)
    np.testing.assert_allclose(*outputs(), rtol=1e-6, atol=1e-6)


def test_a_file_of_torch_save_is_explained(path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(ValueError, match=r"a zip archive, as torch\.save .* weights_only=True"):
        nn.load(path)
    torch.save({"w": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"a pickle, as old versions of torch\.save"):
        nn.load(path)
    pytest.importorskip("safetensors.torch").save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, path)
    with pytest.raises(ValueError, match="w has the dtype BF16"):
        nn.load(path)


def test_a_model_of_a_thousand_levels_goes_through_pickle_and_copy():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared)
    for i in range(1000):
        model = nn.Sequential(model, shared) if i % 100 == 0 else nn.Sequential(model)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert repr(twin) == repr(model) and len(list(twin.modules())) == 1002
        assert all(np.array_equal(x, model.state_dict()[name]) for name, x in twin.state_dict().items())
        assert all(m is not shared for m in twin.modules())
    assert copy.copy(model)[0] is model[0]
