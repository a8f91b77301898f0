"""Weights in files: save and load, in the safetensors format.

The format is a list of names, dtypes and shapes in JSON, followed by the bytes of the arrays. PyTorch, JAX and others
read it too. Reading it runs no code, whereas a pickle may run any program that its author chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy import ndarray

from tinygrad_edu.engine import plain
from tinygrad_edu.files import StrPath, check_regular, naming, visible, write_atomically
from tinygrad_edu.nn.module import Module

__all__ = ["contiguous_array", "decode_file", "encode_arrays", "import_safetensors", "load", "load_metadata", "save"]

DTYPES = {  # safetensors' name: NumPy's name
    "F64": "float64", "F32": "float32", "F16": "float16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
TORCH = "; with PyTorch, safetensors.torch.save_file(torch.load(path, weights_only=True), new_path) converts it"
SIGNATURES = {  # first bytes: what such a file is
    b"PK\x03\x04": f"a zip archive, as torch.save and np.savez write{TORCH}",
    b"\x80": f"a pickle, as old versions of torch.save write{TORCH}",
    b"\x93NUMPY": "an array of np.save",
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
    b"GGUF": "a GGUF model",
}


def save(
    model_or_state: Module | Mapping[str, object], path: StrPath, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes weights into a safetensors file; a file of that name is replaced at once or not at all.

    Args:
        model_or_state: A model, whose state_dict() is saved, or a mapping of names to arrays or Tensors of any shape
            and memory layout, with real dtypes of up to 64 bits, bool or complex64. An array that has two names is
            saved under both.
        path: The file; a symbolic link stays, and the file it leads to is replaced.
        metadata: Texts to keep with the weights, for example the sizes of the layers.

    Raises:
        ImportError: The package safetensors is not installed.
        TypeError: A name or metadata are not strings, or a value is not such an array.
        ValueError: The path is a folder or a device, or safetensors refuses the content.
        FileNotFoundError: The folder of the path does not exist.

    Example:
        nn.save(model, "digits.safetensors", {"sizes": json.dumps([784, 128, 10])})
        sizes = json.loads(nn.load_metadata("digits.safetensors")["sizes"])
        model = nn.MLP(sizes)
        model.load_state_dict(nn.load("digits.safetensors"))
    """
    state = model_or_state.state_dict() if isinstance(model_or_state, Module) else model_or_state
    write_atomically(path, encode_arrays(state, {} if metadata is None else metadata))


def load(path: StrPath) -> dict[str, ndarray]:
    """Reads the arrays of a safetensors file, for `model.load_state_dict(nn.load(path))`.

    Returns:
        Name -> array, in the file's dtypes and shapes; each is writable and its own copy, and the file is closed.

    Raises:
        ImportError: The package safetensors is not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is not a safetensors file, or a damaged one, or has a dtype that NumPy lacks.
    """
    return decode_file(path)[0]


def load_metadata(path: StrPath) -> dict[str, str]:
    """Reads the texts that were saved with the weights; errors as for load."""
    return decode_file(path)[1]


def decode_file(path: StrPath) -> tuple[dict[str, ndarray], dict[str, str]]:
    """The arrays and the metadata of a safetensors file, both from one reading."""
    import json  # which takes a while to load

    codec = import_safetensors()
    check_regular(path, "a safetensors file")
    with naming(path), open(path, "rb") as file:
        try:
            with codec.safe_open(path, "numpy"):
                pass  # it checks lengths, offsets and shapes; the arrays are read here, as it would copy them
            start = 8 + int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(start - 8))
            texts = header.pop("__metadata__", None) or {}
            arrays = {name: read_array(file, path, name, start, entry) for name, entry in header.items()}
        except codec.SafetensorError as error:
            file.seek(0)
            what = f"it is {describe_content(file.read(16))} ({visible(error)})"
            raise ValueError(f"{path} cannot be read as a safetensors file: {what}") from error
    return arrays, texts


def read_array(file: BinaryIO, path: StrPath, name: str, start: int, entry: dict[str, Any]) -> ndarray:
    """An array of its own from the bytes of an entry; the bytes of all begin at `start`."""
    dtype, shape, name = entry["dtype"], tuple(entry["shape"]), visible(name)
    if dtype not in DTYPES:
        raise ValueError(
            f"{path}: {name} has the dtype {dtype}, which NumPy lacks; read the file with safetensors.torch.load_file, "
            "convert it with .float() and save it again"
        )
    try:
        array = np.empty(shape, np.dtype(DTYPES[dtype]).newbyteorder("<"))
    except (OverflowError, ValueError) as error:  # an axis too long for NumPy, beside one of length 0
        raise ValueError(f"{path}: {name} has the shape {shape}, which NumPy cannot hold ({error})") from error
    file.seek(start + entry["data_offsets"][0])
    if array.size and file.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
        raise ValueError(f"{path}: the bytes of {name} are gone: another program is changing the file; load it again")
    return array.astype(DTYPES[dtype], copy=False)


def encode_arrays(state: Mapping[str, object], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file."""
    codec = import_safetensors()
    if not isinstance(state, Mapping):
        raise TypeError(f"save takes a Module or a mapping of names to arrays, got {type(state).__name__}")
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata is a {type(metadata).__name__}; it must be a mapping of strings to strings")
    for key, text in metadata.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"metadata {key!r}: {text!r:.60} must be strings; json.dumps(value) makes one")
    arrays = {name: contiguous_array(name, value) for name, value in state.items()}
    try:
        return bytes(codec.numpy.save(arrays, dict(metadata) or None))  # {} without arrays makes an invalid file
    except (codec.SafetensorError, UnicodeEncodeError) as error:
        raise ValueError(f"safetensors cannot hold this: {error}") from error


def contiguous_array(name: object, value: object) -> ndarray:
    """The value as an array in C order: safetensors writes memory as it lies, and would mix up a transposed view."""
    if not isinstance(name, str) or name == "__metadata__":
        raise TypeError(f"{name!r} cannot name an array; names are strings other than '__metadata__'")
    array = np.asarray(plain(value))
    if array.dtype.name not in DTYPES.values() or hasattr(value, "mask"):
        kind = "masked array" if hasattr(value, "mask") else f"{type(value).__name__} ({array.dtype})"
        raise TypeError(f"{name} is a {kind}, which safetensors cannot hold; it takes {', '.join(DTYPES.values())}")
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def describe_content(data: bytes) -> str:
    """What kind of file this is, as it is not a valid safetensors file."""
    if not data:
        return "an empty file"
    if data[8:9] == b"{":
        return "a damaged or cut-off one"
    known = [kind for signature, kind in SIGNATURES.items() if data.startswith(signature)]
    return known[0] if known else f"something else that begins with {data[:8]!r}"


def import_safetensors() -> ModuleType:
    """The package, which only this file needs; an ImportError says how to get it."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('saving and loading need safetensors; pip install "tinygrad-edu[demos]" brings it') from error
    return safetensors
