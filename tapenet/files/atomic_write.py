"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where a file that somebody has open cannot be removed
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str], who: str = "files.atomic") -> Iterator[BinaryIO]:
    """A binary file to write to, that takes the place of `path` at the end of the block, whole.

    It is written under another name in the same folder, flushed to the disk and then renamed. Until then what is at
    `path` stays as it is: after an exception in the block, a full disk or a killed process it still is. What a killed process
    leaves behind (a hidden file ending in `.tmp`) is removed by the next write to the same path.

    A link is followed: the file it points to is replaced. The permissions are those of the file that is replaced, or
    for a new one the usual ones.

    Args:
        path: where the file is to be. Its folder must be there.
        who: the function that errors are to name.

    Raises:
        OSError: of the kind that the system reports, with what to do: no folder, a folder that may not be written to, a
            full disk, or a path that is no regular file.

    >>> import os, tempfile
    >>> from tapenet import files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with files.atomic(os.path.join(folder, "data.bin")) as file:
    ...         before = os.path.exists(os.path.join(folder, "data.bin"))
    ...         _ = file.write(b"all of it")
    ...     before, os.listdir(folder)
    (False, ['data.bin'])
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(target)
        remove_leftovers(target.parent, _stem(target))
        temporary, file = _begin(target)
    except OSError as error:
        raise _explained(error, who, path) from None
    written = False
    try:
        with file:
            yield file
            written = True
            file.flush()
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is locked, so that nobody takes it for a leftover
                os.replace(temporary, target)
        if fcntl is None:
            os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # What else the block raises, such as an error of a network, is its own.
        own = isinstance(error, OSError) and (written or error.filename == os.fspath(temporary))
        if isinstance(error, OSError) and (own or error.errno in _OF_DISKS):
            raise _explained(error, who, path) from None
        raise
    _sync_folder(target.parent)


def write_whole(path: str | os.PathLike[str], data: bytes, who: str) -> None:
    """Write a file at once by `atomic`. A pipe or device is written to directly."""
    # Path's own methods raise where a name is too long.
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        Path(path).write_bytes(data)
        return
    with atomic(path, who) as file:
        file.write(data)


def _mode(target: Path) -> int | None:
    """The permissions of the file to be replaced, None if there is none."""
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found):
        code = errno.EISDIR if stat.S_ISDIR(found) else errno.EINVAL
        raise OSError(code, "it is a folder" if stat.S_ISDIR(found) else "it is no regular file")
    return stat.S_IMODE(found)


def _stem(target: Path) -> str:
    return f".{target.name[:80]}."  # a name may have no more than 255 bytes, of which a character takes up to four


def _begin(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target, locked: if another process can lock it, its writer is gone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        temporary = target.with_name(f"{_stem(target)}{os.urandom(8).hex()}.tmp")
        file: BinaryIO = os.fdopen(os.open(temporary, flags, 0o666), "w+b", buffering=1 << 20)
        if fcntl is None:
            return temporary, file
        with contextlib.suppress(OSError):  # a file system without locks has leftovers that stay
            fcntl.flock(file, fcntl.LOCK_EX)
        if temporary.exists():  # else it was taken for a leftover before it was locked
            return temporary, file
        file.close()


def remove_leftovers(folder: Path, prefix: str) -> None:
    """Remove the files that killed processes began to write; their names begin with a dot and the name of the target."""
    left: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(".tmp")]
    for path in left:
        with contextlib.suppress(OSError):
            if fcntl is None:
                os.unlink(path)
                continue
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)


def _sync_folder(folder: Path) -> None:
    """Put a new name in a folder onto the disk, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(descriptor)


#: The codes of errors that come from writing alone.
_OF_DISKS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
#: What to do, by the code of the error.
_ADVICE = {
    errno.ENOSPC: "the disk is full; make room, or write elsewhere",
    errno.EDQUOT: "the quota is used up; make room, or write elsewhere",
    errno.EFBIG: "the file is larger than the system allows (ulimit -f)",
    errno.ENOENT: "there is no such folder; make it with os.makedirs",
    errno.ENOTDIR: "a part of the path is a file and no folder",
    errno.EACCES: "the folder may not be written to; give another one",
    errno.EPERM: "the folder may not be written to; give another one",
    errno.EROFS: "the disk can only be read; write elsewhere",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EISDIR: "it is a folder; give the name of a file in it",
    errno.EINVAL: "it is no regular file; give the name of one",
}


def _explained(error: OSError, who: str, path: str | os.PathLike[str]) -> OSError:
    """The same kind of error, with what it is about and what to do."""
    reason = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return OSError(
        error.errno, f"{who} did not write {os.fspath(path)!r}: {reason}. What was there before is as it was"
    )
