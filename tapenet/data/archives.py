"""Reads gzip and tar files in memory. Stated sizes are not trusted: no more is read than is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

#: What to do about a file that is damaged.
GET_AGAIN = "put a whole copy in its place (in tapenet's cache, delete it: the next call downloads it again)"
_BLOCK = 512  # bytes, in which tar counts
_CHUNK = 1 << 20


@contextlib.contextmanager
def unpacked(file: BinaryIO, name: str, advice: str) -> Iterator[BinaryIO]:
    """`file` from its start, or if it is gzip, which its first bytes tell, a stream that unpacks it as it is read.

    Raises ValueError, naming the data's source `name` and what to do, `advice`, where the gzip data turns out to be damaged.

    >>> import gzip, io
    >>> for data in (gzip.compress(b"seven"), b"seven"):
    ...     with unpacked(io.BytesIO(data), "file", "") as stream:
    ...         stream.read()
    b'seven'
    b'seven'
    """
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not packed:
        yield file
        return
    import gzip
    import zlib

    try:
        with gzip.GzipFile(fileobj=file) as stream:
            yield cast("BinaryIO", stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise malformed(name, "a whole gzip stream", f"damaged data ({error})", advice) from error


def malformed(name: str, expected: str, found: str, advice: str) -> ValueError:
    """The error for a file that is not what it should be.

    >>> malformed("a.gz", "a whole gzip stream", "damaged data", "get it again")
    ValueError('a.gz: expected a whole gzip stream, found damaged data; get it again')
    """
    return ValueError(f"{name}: expected {expected}, found {found}; {advice}")


def tar_members(stream: BinaryIO, wanted: Mapping[str, int], name: str, advice: str) -> dict[str, bytes]:
    """The contents of the `wanted` files in a tar archive, by path with the largest size of each.

    Nothing else in the archive is kept: links, folders and other files are read over, to the end, where a gzip stream
    compares its checksum. At most twice as many bytes are read as are wanted, and a MiB.

    Raises ValueError, naming the archive `name` and what to do, `advice`: where it is no tar archive, is cut short or damaged,
    lacks a file or holds it twice, where one is larger than it may be, and where a path leads outside of the archive.

    >>> import io, tarfile
    >>> archive = io.BytesIO()
    >>> with tarfile.open(fileobj=archive, mode="w") as tar:
    ...     info = tarfile.TarInfo("folder/seven.txt")
    ...     info.size = 5
    ...     tar.addfile(info, io.BytesIO(b"seven"))
    >>> _ = archive.seek(0)
    >>> tar_members(archive, {"folder/seven.txt": 100}, "archive", "")
    {'folder/seven.txt': b'seven'}
    """
    found: dict[str, bytes] = {}
    left = 2 * sum(wanted.values()) + _CHUNK

    def read(length: int) -> bytes:
        nonlocal left
        left -= length
        if left < 0:
            raise malformed(name, f"an archive of {', '.join(wanted)}", "one that goes on far beyond that", advice)
        data = stream.read(length)
        if len(data) < length:
            raise malformed(name, "a whole tar archive", "one that is cut short", advice)
        return data

    while any(header := read(_BLOCK)):
        path, size, kind = _header(header, name, advice)
        padded = -(-size // _BLOCK) * _BLOCK
        if path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/") or path[1:2] == ":":
            raise malformed(name, "paths inside the archive", repr(path), advice)
        if path not in wanted or kind not in "0\0":
            while padded:
                padded -= len(read(min(padded, _CHUNK)))
            continue
        if path in found:
            raise malformed(name, f"{path} once", "it twice", advice)
        if size > wanted[path]:
            raise malformed(name, f"{path} of at most {wanted[path]:,} bytes", f"{size:,}", advice)
        found[path] = read(padded)[:size]
    while stream.read(_CHUNK):  # the rest is zeros; at its end gzip compares its checksum
        read(0)
        left -= _CHUNK
    if missing := [path for path in wanted if path not in found]:
        raise malformed(name, f"an archive of {', '.join(wanted)}", f"one without {', '.join(missing)}", advice)
    return found


def _header(header: bytes, name: str, advice: str) -> tuple[str, int, str]:
    """Path, size and kind that the header of a member states."""
    try:
        stated = int(header[148:156].strip(b" \0") or b"0", 8)
        size = int(header[124:136].strip(b" \0") or b"0", 8)
    except ValueError:
        stated, size = -1, 0
    if size < 0 or stated != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
        raise malformed(name, "a tar archive", "a header with a wrong checksum", advice)
    path = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        path = header[345:500].partition(b"\0")[0] + b"/" + path
    return path.decode("utf-8", "backslashreplace"), size, chr(header[156])
