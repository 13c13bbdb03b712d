"""Data sets that are published on the web: what their files are, where they lie here, and how they are downloaded."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from tapenet.data.archives import unpacked
from tapenet.files.atomic_write import atomic

_TIMEOUT = 30.0  # seconds without a byte from a mirror
_CHUNK = 1 << 16


class File(NamedTuple):
    """One file of a data set, as it is published.

    >>> File("notes.txt.gz", 1000, ("md5:d41d8cd98f00b204e9800998ecf8427e",)).names
    ('notes.txt.gz', 'notes.txt')
    """

    name: str
    """The name that it has in a folder."""
    largest: int
    """No more bytes than that are received; of the unpacked file where `unpacked`."""
    sums: tuple[str, ...]
    """Its checksums, as `md5:...` or `sha256:...`: all must hold."""
    unpacked: bool = False
    """Whether the checksums are those of what the gzip file holds, not of the gzip file itself."""
    remote: str = ""
    """Its name at the mirrors, where that is another one."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called in a folder: with `.gz` and, unpacked, without."""
        return (self.name, self.name[:-3]) if self.name.endswith(".gz") else (self.name,)

    @property
    def shown(self) -> str:
        """Its name in errors."""
        return f"{self.name[:-3]}[.gz]" if self.name.endswith(".gz") else self.name


class Source(NamedTuple):
    """A data set and where its files are."""

    title: str
    """What people call it."""
    function: str
    """The function of `tapenet.data` that reads it; its files lie in a subfolder of the same name."""
    files: tuple[File, ...]
    mirrors: tuple[str, ...]
    """What the address of each file begins with, in the order in which they are tried."""
    instead: str
    """What to use where the files cannot be had."""
    bare: bool = False
    """Whether the files may also lie in `$TAPENET_DATA` itself."""


def files_in(source: Source, folder: str | os.PathLike[str]) -> dict[str, str]:
    """The paths of those of the files that lie in `folder`, packed or not, by their published names.

    >>> files_in(Source("Notes", "notes", (File("notes.txt", 1000, ()),), (), ""), "nowhere")
    {}
    """
    found = {}
    for file in source.files:
        for name in reversed(file.names):
            if os.path.isfile(path := os.path.join(folder, name)):
                found[file.name] = path
                break
    return found


def find(source: Source, folder: str | os.PathLike[str] | None, download: bool) -> dict[str, str]:
    """The paths of all files of a data set, by their published names.

    Looks in `folder` if it is given, and nowhere else. Otherwise in the data set's subfolder of the folder that
    `$TAPENET_DATA` names, and of the user's cache (`~/.cache/tapenet`, or under `$XDG_CACHE_HOME`, or under `%LOCALAPPDATA%` on
    Windows); if they are whole in none of these, downloads what is missing into the cache, unless `download` is false.

    Raises FileNotFoundError if the files are not there, ConnectionError if no mirror delivers them, and OSError if the cache
    cannot be written.

    >>> find(Source("Notes", "notes", (File("notes.txt", 1000, ()),), (), "write some"), "nowhere", True)
    Traceback (most recent call last):
    FileNotFoundError: Notes is not whole in nowhere (notes.txt missing); put the files there, call tapenet.data.notes() with \
no folder to download, or write some
    """
    if folder is not None:
        places = [os.fspath(folder)]
    else:
        data = os.environ.get("TAPENET_DATA")
        places = [data] if data and source.bare else []
        places += [os.path.join(data, source.function)] if data else []
        places.append(_cache(source))
    for place in places:
        found = files_in(source, place)
        if len(found) == len(source.files):
            return found
    if folder is None and download:
        return _download(source, places[-1])
    looked = ", nor in ".join(f"{place} ({_missing(source, place)} missing)" for place in places)
    call = f"call tapenet.data.{source.function}() with no folder to download"
    advice = "allow download=True" if folder is None else call
    raise FileNotFoundError(
        f"{source.title} is not whole in {looked}; put the files there, {advice}, or {source.instead}"
    )


def check(file: File, stream: BinaryIO, name: str) -> None:
    """Raise ValueError, naming where the data comes from, unless `stream`, from its start, has the published checksums.

    >>> import io
    >>> notes = File("notes.txt", 1000, ("md5:d41d8cd98f00b204e9800998ecf8427e",))
    >>> check(notes, io.BytesIO(b"<html>"), "http://example.org")
    Traceback (most recent call last):
    ValueError: http://example.org: wrong checksum: expected MD5 d41d8cd98f00b204e9800998ecf8427e for notes.txt, found \
166248a6129a1e4370d20adc2d4c23f3 in 6 bytes
    """
    import hashlib

    kinds = [total.partition(":")[::2] for total in file.sums]
    sums = [hashlib.new(kind, usedforsecurity=False) for kind, _ in kinds]
    received, length = stream.seek(0, os.SEEK_END), 0
    stream.seek(0)
    with unpacked(stream, name, "get it again") if file.unpacked else contextlib.nullcontext(stream) as content:
        while length <= file.largest and (chunk := content.read(_CHUNK)):  # whatever it unpacks to, no more than this
            length += len(chunk)
            for total in sums:
                total.update(chunk)
    for (kind, expected), total in zip(kinds, sums, strict=True):
        if total.hexdigest() != expected:
            shown = {"md5": "MD5", "sha256": "SHA-256"}[kind]
            title = f"{file.name.removesuffix('.gz')} (unpacked)" if file.unpacked else file.name
            raise ValueError(
                f"{name}: wrong checksum: expected {shown} {expected} for {title}, found {total.hexdigest()} in "
                f"{received:,} bytes"
            )


def _missing(source: Source, place: str) -> str:
    found = files_in(source, place)
    first, *more = (file.shown for file in source.files if file.name not in found)
    return first + (f" and {len(more)} more" if more else "")


def _cache(source: Source) -> str:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "tapenet", source.function)


class _Undelivered(Exception):
    """A mirror does not deliver a file. No OSError: those are about the disk."""


def _download(source: Source, folder: str) -> dict[str, str]:
    """Completes the files in `folder` and returns their paths."""
    try:
        os.makedirs(folder, exist_ok=True)
        for file in source.files:
            if file.name not in files_in(source, folder):
                _fetch(source, file, folder)
    except ConnectionError:
        raise
    except OSError as error:
        advice = "make it writable, or set XDG_CACHE_HOME (LOCALAPPDATA on Windows) to a folder that is"
        raise OSError(f"cannot keep {source.title} in {folder} ({error}); {advice}") from error
    return files_in(source, folder)


def _fetch(source: Source, file: File, folder: str) -> None:
    """Writes the file into `folder`, from the first mirror that delivers it whole."""
    failures = []
    for mirror in source.mirrors:
        url = f"{mirror}{file.remote or file.name}"
        try:
            with atomic(os.path.join(folder, file.name), f"tapenet.data.{source.function}") as out:
                for chunk in _receive(url, file):
                    out.write(chunk)
                check(file, out, url)
        except (_Undelivered, ValueError) as error:
            failures.append(str(error))
        else:
            return
    reasons = "\n  ".join(failures)
    by_hand = (
        "\n  ".join(f"{source.mirrors[0]}{each.remote or each.name}" for each in source.files) if source.mirrors else ""
    )
    renamed = "".join(f" ({each.remote} as {each.name})" for each in source.files if each.remote)
    raise ConnectionError(
        f"could not download {file.name}:\n  {reasons}\n"
        f"Try again; or get these files by hand, on a machine with a network, and put them{renamed} in\n"
        f"{folder} or in the subfolder {source.function} of a folder that $TAPENET_DATA names:\n  {by_hand}\n"
        f"or {source.instead}."
    )


def _receive(url: str, file: File) -> Iterator[bytes]:
    """The bytes at an address, as they come."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from tqdm import tqdm

    received = 0
    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            length = response.length  # None where the server does not say
            # disable=None: no bar where standard error is no terminal.
            with tqdm(desc=file.name, total=length, unit="B", unit_scale=True, disable=None) as bar:
                while chunk := response.read(_CHUNK):
                    received += len(chunk)
                    if received > file.largest:
                        raise _Undelivered(
                            f"{url}: sends more than {file.largest:,} bytes, which no file of that name has"
                        )
                    bar.update(len(chunk))
                    yield chunk
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is a response too
        raise _Undelivered(f"{url}: {error}") from error
    if length is not None and received < length:
        raise _Undelivered(f"{url}: the transfer was cut short: {received:,} of {length:,} bytes")
