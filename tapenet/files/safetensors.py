"""The file format: safetensors. A header in JSON with the name, dtype, shape and place of each array, then their bytes.

    8 bytes: the length of the header; the header; the arrays, in C order, little end first, without gaps

Own code and not the package of that name, since this has to know what it writes to (a file that is flushed to the disk),
keeps a checksum in the header, reads straight into the arrays and reads bfloat16 without PyTorch. The format:
https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from tapenet.ops.low import dtype_of

#: The dtypes by their names in files. Those whose names NumPy does not know are ml_dtypes's.
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

#: The longest header that is read, as other readers of the format have it. In memory it takes some thirty times as much.
_LONGEST = 100_000_000
#: What NumPy allows.
_MOST_AXES = 64
#: The checksum stands first in the header, so that it can be put in when all is written.
CHECKSUM = "tapenet.checksum"
_BEFORE = b'{"__metadata__":{"tapenet.checksum":"'
_UNKNOWN = b"0" * 64
#: So many bytes of an array at a time go through the checksum, while they are in the processor's cache. A multiple of
#: those of a row, which are summed.
_PIECE = 1 << 20
_ROW = 2048


class DamagedFile(ValueError):
    """A file does not hold what a file of its kind must: it is cut off, was changed, or is of another kind."""


class _Entry(NamedTuple):
    """What the header says of an array."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int


# -- writing -----------------------------------------------------------------------------------------------------


def write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata to an empty file that can be sought in.

    Args:
        file: where to.
        arrays: by name, of the dtypes in `DTYPES`, in any memory order.
        metadata: texts by name.
    """
    # The widest first, so that each begins at a multiple of its item size.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    places, start = {}, 0
    for name in order:
        places[name] = start, start + arrays[name].nbytes
        start += arrays[name].nbytes
    header: dict[str, Any] = {"__metadata__": {CHECKSUM: _UNKNOWN.decode(), **metadata}}
    for name, array in arrays.items():
        header[name] = {"dtype": NAMES[array.dtype.name], "shape": array.shape, "data_offsets": places[name]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST:
        raise ValueError(
            f"tn.save: names, shapes and metadata take {len(text):,} bytes, and readers of the format take at most "
            f"{_LONGEST:,}: join small arrays, or write several files"
        )
    head = len(text).to_bytes(8, "little") + text
    file.write(head)
    checksum = _Checksum(head)
    for name in order:
        _write_array(file, arrays[name], checksum)
    file.seek(8 + len(_BEFORE))
    file.write(checksum.text.encode())


def _write_array(file: BinaryIO, array: NDArray[Any], checksum: _Checksum) -> None:
    for piece in _pieces(_bytes(array)):  # a copy of the array, if it is one, ends with this call
        checksum.add(piece)
        file.write(piece)


def _bytes(array: NDArray[Any]) -> memoryview:
    """The bytes of an array in C order, little end first. Copied only where it lies otherwise."""
    swapped = array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big")
    little = array.astype(array.dtype.newbyteorder("<")) if swapped else array
    return _raw(np.ascontiguousarray(little))


def _raw(array: Any) -> memoryview:
    # As bytes: bfloat16 arrays have no buffer.
    return memoryview(array.reshape(-1).view(np.uint8))


class _Checksum:
    """SHA-256 of what comes in pieces: of a few bytes as they are, of many over the sums of each 256 words of 64 bits. That
    takes a twentieth of the time, less than the writing. It finds any change within one word, and damage at random but for
    one in 2**64; two words of the same 256 that changed places it does not."""

    def __init__(self, first: bytes) -> None:
        self._hash = hashlib.sha256(first)

    def add(self, piece: memoryview) -> None:
        """Take in what comes next."""
        whole = len(piece) - len(piece) % _ROW
        self._hash.update(np.frombuffer(piece[:whole], "<u8").reshape(-1, _ROW // 8).sum(axis=1).astype("<u8"))
        self._hash.update(piece[whole:])

    @property
    def text(self) -> str:
        """What it is of all, in hexadecimal."""
        return self._hash.hexdigest()


def _pieces(whole: memoryview) -> Iterator[memoryview]:
    return (whole[start : start + _PIECE] for start in range(0, len(whole), _PIECE))


# -- reading -----------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of a file by name, in the order of its header, and its metadata.

    Memory is taken for what is in the file, never for what the file says of itself.

    Raises:
        DamagedFile: says what is wrong with it.
        OSError: it is not there, or may not be read.
        ImportError: it has bfloat16, and ml_dtypes is not installed.
    """
    with open(path, "rb", buffering=0) as file:
        head, entries, metadata = _header(file, path)
        arrays = {entry.name: np.empty(entry.shape, entry.dtype) for entry in entries}
        checksum = _Checksum(head)
        for entry in sorted(entries, key=lambda entry: (entry.start, entry.stop)):
            for piece in _pieces(_raw(arrays[entry.name])):
                _fill(file, piece, path)
                checksum.add(piece)
    if CHECKSUM in metadata and metadata.pop(CHECKSUM) != checksum.text:
        _refuse(
            path,
            "its checksum does not fit: it was damaged since it was written, or another program wrote it and took over the "
            "metadata of a file of tapenet's; such a program has to leave out what begins with 'tapenet.'",
        )
    return arrays if sys.byteorder == "little" else {n: a.byteswap() for n, a in arrays.items()}, metadata


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a file, without its arrays; raises as `read` does."""
    with open(path, "rb", buffering=0) as file:
        return _header(file, path)[2]


def _fill(file: Any, piece: memoryview, path: Any) -> None:
    while len(piece):
        count = file.readinto(piece)
        if not count:
            _refuse(path, "it became shorter while it was read")
        piece = piece[count:]


def _refuse(path: str | os.PathLike[str], why: str) -> NoReturn:
    raise DamagedFile(f"{os.fspath(path)!r} cannot be loaded: {why}")


def _header(file: Any, path: Any) -> tuple[bytes, list[_Entry], dict[str, str]]:
    """The bytes in front of the arrays with the checksum taken out, what they say of arrays, and the metadata."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        _refuse(path, "it is no regular file")
    size = status.st_size
    if size < 8:
        _refuse(path, f"it is cut off or no safetensors file: it has {size} bytes")
    first = bytearray(8)
    _fill(file, memoryview(first), path)
    length = int.from_bytes(first, "little")
    if length > min(size - 8, _LONGEST):
        _refuse(
            path,
            f"it is cut off or no safetensors file: it says that its header has {length} bytes, and it has {size - 8} "
            f"behind that (a header has at most {_LONGEST})" + _other_kind(bytes(first)),
        )
    text = bytearray(length)
    _fill(file, memoryview(text), path)
    entries, metadata = _parsed(bytes(text), size - 8 - length, path)
    if CHECKSUM in metadata:
        if not text.startswith(_BEFORE):
            _refuse(path, f"{CHECKSUM!r} is not where tapenet writes it")
        text[len(_BEFORE) : len(_BEFORE) + len(_UNKNOWN)] = _UNKNOWN
    elif any(name.startswith("tapenet.") for name in metadata):
        _refuse(path, f"{CHECKSUM!r} is missing from its metadata")
    return bytes(first + text), entries, metadata


def _other_kind(first: bytes) -> str:
    if first.startswith(b"PK"):
        return "; it is a zip archive, as numpy.savez and torch.save write: load it with these"
    if first.startswith(b"\x93NUMPY"):
        return "; it was written by numpy.save: load it with numpy.load"
    if first.startswith(b"\x89HDF"):
        return "; it is an HDF5 file: load it with h5py"
    return ""


def _parsed(text: bytes, room: int, path: Any) -> tuple[list[_Entry], dict[str, str]]:
    """What a header says, once it is known to fit in itself and to the number of bytes behind it."""
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        _refuse(path, "its header is no text in UTF-8")
    except RecursionError:
        _refuse(path, "its header is nested too deeply")
    except ValueError as error:
        _refuse(path, f"its header is not what it must be: {error}")
    if not isinstance(header, dict):
        _refuse(path, "its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(path, "its metadata are not texts by name")
    entries = [_entry(name, said, path) for name, said in header.items()]
    place = 0
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.stop)):
        if entry.start != place:
            _refuse(
                path,
                f"array {entry.name!r} begins at byte {entry.start}, and what is before it ends at {place}: there may be no "
                "gap and no overlap",
            )
        place = entry.stop
    if place != room:
        what = "it is cut off" if place > room else "there is more in it than its header says"
        _refuse(path, f"{what}: the arrays take {place} bytes, and there are {room}")
    return entries, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name is there twice, of {', '.join(list(found)[:5])}, ...")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _entry(name: str, said: Any, path: Any) -> _Entry:
    if not isinstance(said, dict) or said.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(path, f"array {name!r} has not just dtype, shape and data_offsets")
    dtype, shape, places = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        _refuse(path, f"array {name!r} is of dtype {dtype!r}, and known are {', '.join(DTYPES)}")
    if not _are_counts(shape) or len(shape) > _MOST_AXES:
        _refuse(path, f"array {name!r} has no list of at most {_MOST_AXES} sizes as its shape")
    if not _are_counts(places) or len(places) != 2 or places[0] > places[1]:
        _refuse(path, f"the place of array {name!r} is {places!r}, and must be [start, stop]")
    found = dtype_of(DTYPES[dtype])
    if math.prod(n for n in shape if n) * found.itemsize > sys.maxsize:
        _refuse(path, f"array {name!r} has the shape {shape}, which no machine can address")
    if math.prod(shape) * found.itemsize != places[1] - places[0]:
        _refuse(path, f"array {name!r}, {dtype} of shape {shape}, does not fit into its {places[1] - places[0]} bytes")
    return _Entry(name, found, tuple(shape), *places)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= sys.maxsize for value in values)
