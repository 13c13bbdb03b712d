"""The IDX file format, in which MNIST and the like are stored.

An IDX file is two zero bytes, a code for the element type, the number of dimensions, each dimension as a
big-endian unsigned 32-bit integer, then the elements: big-endian too, the last axis running fastest.
"""

import math
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from tapenet.data.archives import GET_AGAIN, malformed, unpacked
from tapenet.typing import Array

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
#: A gzipped file that says it is more than so many times as long unpacked is read once to see whether it is.
_USUAL_RATIO = 100
#: No header is longer: 255 dimensions.
_LONGEST_HEADER = 4 + 4 * 255
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array that the IDX file at `path` holds; the file may be gzipped, whatever it is called.

    The result is a new, writable array of any shape, its dtype one of uint8, int8, int16, int32, float32
    and float64, in the machine's byte order.

    The header is read first, and then no more than it announces: a small file that unpacks to a large one, or
    says that it is large, is refused before it takes memory.

    Raises FileNotFoundError if there is no such file, MemoryError if the array does not fit, and ValueError,
    naming the file, what was expected and what was found, if it is not an IDX file, is cut short, is too long,
    or its gzip data is damaged.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "numbers-idx1-short")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 0, 1, 1, 0]))
    ...     read_idx(path)
    array([  1, 256], dtype=int16)
    """
    name = os.fspath(path)
    try:
        file = open(name, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: no such file in {os.getcwd()}; check the path") from None
    with file, unpacked(file, name, GET_AGAIN) as stream:
        return _read(stream, 0 if stream is file else os.fstat(file.fileno()).st_size, name)


def _read(stream: BinaryIO, packed: int, name: str) -> Array:
    """The array in a stream; `packed` is how long its file is where that is gzip, else 0."""
    data = bytearray(stream.read(_LONGEST_HEADER))
    if not data.startswith(b"\0\0"):
        found = f"bytes {data[:4].hex(' ')}" if data else "an empty file"
        advice = "give an IDX file, plain or gzipped (a web page in its place is a download that failed)"
        raise malformed(name, "an IDX file, which begins with the bytes 00 00", found, advice)
    # The fourth byte says how long the header is; a file without one is too short for any.
    ndim = data[3] if len(data) > 3 else 1
    start = 4 + 4 * ndim
    if len(data) < start:
        expected = f"a header of {start} bytes" if len(data) > 3 else "a header of at least 8 bytes"
        raise malformed(name, expected, f"a file cut short after {len(data)} bytes", GET_AGAIN)
    if data[2] not in _DTYPES:
        codes = ", ".join(f"{code:02x} ({np.dtype(dtype).name})" for code, dtype in _DTYPES.items())
        raise malformed(name, f"a dtype code among {codes}", f"{data[2]:02x}", GET_AGAIN)
    if ndim == 0:
        raise malformed(name, "at least 1 dimension", "0 dimensions", GET_AGAIN)

    dtype = np.dtype(_DTYPES[data[2]])
    shape = struct.unpack_from(f">{ndim}I", data, 4)
    size = math.prod(shape) * dtype.itemsize  # Python integers: a header that lies cannot overflow them.
    expected = f"{size:,} bytes of data after the header for shape {shape}, dtype {dtype.name}"
    try:
        if packed and size > _USUAL_RATIO * packed:
            rest = sum(map(len, _chunks(stream, start + size - len(data))))
            _check_length(len(data) + rest - start, size, expected, name)
            stream.seek(0)
            data = bytearray()
        for chunk in _chunks(stream, start + size - len(data)):
            data += chunk
    except MemoryError:
        raise MemoryError(f"{name}: an array of shape {shape}, dtype {dtype.name} does not fit into memory") from None
    _check_length(len(data) - start, size, expected, name)
    try:
        array: Array = np.ndarray(shape, dtype, buffer=data, offset=start)
    except ValueError as error:  # More than 64 dimensions, or an empty array with absurdly large ones.
        found = f"shape {shape} ({error})"
        raise malformed(name, "a shape that NumPy can hold", found, GET_AGAIN) from error
    return array.astype(dtype.newbyteorder("="))


def _chunks(stream: BinaryIO, length: int) -> Iterator[bytes]:
    """So many bytes of a stream, and one more if it goes on; at the end of a gzip stream its checksum is compared."""
    while length >= 0 and (chunk := stream.read(min(_CHUNK, length + 1))):
        length -= len(chunk)
        yield chunk


def _check_length(found: int, size: int, expected: str, name: str) -> None:
    if found != size:
        words = f"{found:,}: the file is cut short" if found < size else "more: bytes trail the data"
        raise malformed(name, expected, words, GET_AGAIN)
