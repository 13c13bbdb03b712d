"""The IDX file format, in which MNIST and its kin are stored.

An IDX file is two zero bytes, a code for the element type, the number of dimensions, each dimension as a
big-endian unsigned 32-bit integer, then the elements: big-endian too, the last axis running fastest.
"""

import math
import os
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GET_AGAIN = "put a whole copy in its place (in tapenet's cache, delete it: mnist() downloads it again)"


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array that the IDX file at `path` holds; the file may be gzipped, whatever it is called.

    The result is a new, writable array of any shape, its dtype one of uint8, int8, int16, int32, float32
    and float64, in the machine's byte order.

    Raises FileNotFoundError if there is no such file, and ValueError, naming the file, what was expected
    and what was found, if it is not an IDX file, is cut short, is too long, or its gzip data is damaged.

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
        with open(name, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: no such file in {os.getcwd()}; check the path") from None
    return _parse(unpack(data, name), name)


def unpack(data: bytes, name: str) -> bytes:
    """`data`, decompressed if it is gzip, which its first bytes tell.

    Raises ValueError, naming the data's source `name`, where the gzip data is damaged.

    >>> import gzip
    >>> unpack(gzip.compress(b"seven"), "file"), unpack(b"seven", "file")
    (b'seven', b'seven')
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    import gzip
    import zlib

    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        found = f"damaged data ({error}) in {len(data):,} bytes"
        raise _malformed(name, "a whole gzip stream", found, _GET_AGAIN) from error


def _parse(data: bytes, name: str) -> NDArray[Any]:
    if not data.startswith(b"\0\0"):
        found = f"bytes {data[:4].hex(' ')}" if data else "an empty file"
        mend = "give an IDX file, plain or gzipped (a web page in its place is a download that failed)"
        raise _malformed(name, "an IDX file, which begins with the bytes 00 00", found, mend)
    # The fourth byte says how long the header is; a file without one is too short for any.
    ndim = data[3] if len(data) > 3 else 1
    start = 4 + 4 * ndim
    if len(data) < start:
        expected = f"a header of {start} bytes" if len(data) > 3 else "a header of at least 8 bytes"
        raise _malformed(name, expected, f"a file cut short after {len(data)} bytes", _GET_AGAIN)
    if data[2] not in _DTYPES:
        codes = ", ".join(f"{code:02x} ({np.dtype(dtype).name})" for code, dtype in _DTYPES.items())
        raise _malformed(name, f"a dtype code among {codes}", f"{data[2]:02x}", _GET_AGAIN)
    if ndim == 0:
        raise _malformed(name, "at least 1 dimension", "0 dimensions", _GET_AGAIN)

    dtype = np.dtype(_DTYPES[data[2]])
    shape = struct.unpack_from(f">{ndim}I", data, 4)
    size = math.prod(shape) * dtype.itemsize  # Python integers: a header that lies cannot overflow them.
    body = len(data) - start
    if body != size:
        expected = f"{size:,} bytes of data after the header for shape {shape}, dtype {dtype.name}"
        found = f"{body:,}: the file is cut short" if body < size else f"{body:,}: bytes trail the data"
        raise _malformed(name, expected, found, _GET_AGAIN)
    try:
        array: NDArray[Any] = np.ndarray(shape, dtype, buffer=data, offset=start)
    except ValueError as error:  # More than 64 dimensions, or an empty array with absurdly large ones.
        found = f"shape {shape} ({error})"
        raise _malformed(name, "a shape that NumPy can hold", found, _GET_AGAIN) from error
    return array.astype(dtype.newbyteorder("="))


def _malformed(name: str, expected: str, found: str, mend: str) -> ValueError:
    return ValueError(f"{name}: expected {expected}, found {found}; {mend}")
