"""The file format: safetensors. A header in JSON with the name, dtype, shape and place of each array, then their bytes.

    8 bytes: the length of the header; the header; the arrays, in C order, little end first, without gaps

The package `safetensors` reads it, and checks what a file says of itself. It does not write: its `save_file` makes a temporary
file of its own that stays after a kill, flushes nothing to the disk, and has no room for a checksum that is known when all is
written. The format: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NoReturn, Self

import numpy as np

from tapenet.program.low import dtype_of
from tapenet.typing import Array

#: What the format calls the dtypes that are written.
NAMES = {
    "bool": "BOOL",
    **{
        f"{sign}{bits}": f"{letter}{bits}" for bits in (8, 16, 32, 64) for sign, letter in (("uint", "U"), ("int", "I"))
    },
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}

#: The longest header that the package reads.
_LONGEST = 100_000_000
#: The checksum stands first in the header, so that it can be put in when all is written.
CHECKSUM = "tapenet.checksum"
_BEFORE = b'{"__metadata__":{"tapenet.checksum":"'
_UNKNOWN = "0" * 64
#: So many bytes of an array at a time go through the checksum, while they are in the processor's cache. A multiple of
#: those of a row, which are summed.
_PIECE = 1 << 20
_ROW = 2048


class DamagedFile(ValueError):
    """A file does not hold what a file of its kind must: it is cut off, was changed, or is of another kind."""


# -- writing -----------------------------------------------------------------------------------------------------


def write(file: BinaryIO, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata to an empty file that can be sought in.

    Args:
        file: where to.
        arrays: by name, of the dtypes in `NAMES`, in any memory order.
        metadata: texts by name.
    """
    # The widest first, so that each begins at a multiple of its item size.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, object] = {"__metadata__": {CHECKSUM: _UNKNOWN, **metadata}}
    start = 0
    for name in order:
        array, stop = arrays[name], start + arrays[name].nbytes
        header[name] = {"dtype": NAMES[array.dtype.name], "shape": array.shape, "data_offsets": (start, stop)}
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST:
        raise ValueError(
            f"names, shapes and metadata take {len(text):,} bytes, and readers of the format take at most {_LONGEST:,}: join "
            "small arrays, or write several files"
        )
    file.write(len(text).to_bytes(8, "little") + text)
    checksum = _Checksum(arrays, metadata)
    for name in order:
        _write_array(file, arrays[name], checksum)
    file.seek(8 + len(_BEFORE))
    file.write(checksum.text.encode())


def _write_array(file: BinaryIO, array: Array, checksum: _Checksum) -> None:
    for piece in _pieces(_bytes(array)):  # a copy of the array, if it is one, ends with this call
        checksum.add(piece)
        file.write(piece)


def _bytes(array: Array) -> memoryview:
    """The bytes of an array in C order, little end first. Copied only where it lies otherwise."""
    swapped = array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big")
    little = array.astype(array.dtype.newbyteorder("<")) if swapped else array
    return _raw(np.ascontiguousarray(little))


def _raw(array: Array) -> memoryview:
    # As bytes: bfloat16 arrays have no buffer.
    return array.reshape(-1).view(np.uint8).data


class _Checksum:
    """SHA-256 of names, dtypes, shapes and metadata, and then of the arrays in the order in which they lie: of a few bytes as
    they are, of many over the sums of each 256 words of 64 bits. That takes a twentieth of the time, less than the writing. It
    finds any change within one word, and damage at random but for one in 2**64; two words of the same 256 that changed
    places it does not."""

    def __init__(self, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
        said = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
        self._hash = hashlib.sha256(json.dumps([said, dict(metadata)], sort_keys=True).encode())

    def add(self, piece: memoryview) -> None:
        """Add the next bytes."""
        whole = len(piece) - len(piece) % _ROW
        self._hash.update(np.frombuffer(piece[:whole], "<u8").reshape(-1, _ROW // 8).sum(axis=1).astype("<u8"))
        self._hash.update(piece[whole:])

    @property
    def text(self) -> str:
        """The checksum of everything added, in hexadecimal."""
        return self._hash.hexdigest()


def _pieces(whole: memoryview) -> Iterator[memoryview]:
    return (whole[start : start + _PIECE] for start in range(0, len(whole), _PIECE))


# -- reading -----------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file by name, and its metadata.

    Memory is taken for what is in the file, never for what the file says of itself.

    Raises:
        DamagedFile: says what is wrong with it.
        OSError: it is not there, or may not be read.
        ImportError: it has bfloat16, and ml_dtypes is not installed.
    """
    with _Opened(path) as opened:
        metadata = opened.metadata
        arrays = {name: opened.array(name) for name in opened.names}
    if CHECKSUM in metadata:
        told = metadata.pop(CHECKSUM)
        checksum = _Checksum(arrays, metadata)
        for array in arrays.values():
            for piece in _pieces(_bytes(array)):
                checksum.add(piece)
        if told != checksum.text:
            _refuse(
                path,
                "its checksum does not fit: it was damaged since it was written, or another program wrote it and took over the "
                "metadata of a file of tapenet's; such a program has to leave out what begins with 'tapenet.'",
            )
    return arrays, metadata


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a file, without its arrays; raises as `read` does."""
    with _Opened(path) as opened:
        return opened.metadata


class _Opened:
    """A file that the package has open, with errors that say which it is.

    Attributes:
        names: of the arrays, in the order in which they lie.
        metadata: texts by name.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from safetensors import SafetensorError, safe_open

        self._path = path
        self._errors = (SafetensorError, ValueError)
        with open(path, "rb") as file:  # for an error of the system, where it cannot be read
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                _refuse(path, "it is no regular file")
            first = file.read(8)
        opener: Any = safe_open  # whose methods have no types
        try:
            # Read, not mapped: a mapped file that becomes shorter meanwhile ends the process.
            self._file = opener(path, "np", backend="pread")
        except self._errors as error:
            _refuse(path, f"{error}{_other_kind(first)}")
        self.names: list[str] = self._file.offset_keys()
        self.metadata: dict[str, str] = dict(self._file.metadata() or {})

    def __enter__(self) -> Self:
        if CHECKSUM not in self.metadata and any(name.startswith("tapenet.") for name in self.metadata):
            _refuse(self._path, f"{CHECKSUM!r} is missing from its metadata")
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def array(self, name: str) -> Array:
        """An array, new and writable."""
        kind = self._file.get_slice(name).get_dtype()
        if kind not in NAMES.values():
            _refuse(self._path, f"array {name!r} is of dtype {kind}, and known are {', '.join(NAMES.values())}")
        if kind == "BF16":
            dtype_of("bfloat16")  # which loads it
        try:
            found: Array = self._file.get_tensor(name)
        except self._errors as error:
            _refuse(self._path, f"array {name!r}: {error}")
        return found


def _refuse(path: str | os.PathLike[str], why: str) -> NoReturn:
    raise DamagedFile(f"{os.fspath(path)!r} cannot be loaded: {why}")


def _other_kind(first: bytes) -> str:
    if first.startswith(b"PK"):
        return "; it is a zip archive, as numpy.savez and torch.save write: load it with these"
    if first.startswith(b"\x93NUMPY"):
        return "; it was written by numpy.save: load it with numpy.load"
    if first.startswith(b"\x89HDF"):
        return "; it is an HDF5 file: load it with h5py"
    return ""
