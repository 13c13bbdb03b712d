"""Files of pictures, written whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write the file whole or not at all: nobody beside us sees half of it.

    As writing into it would, this goes through a symbolic link to the file it names, and keeps the permissions of a file
    that is there.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # a pipe or a device: nothing to put another file in the place of
        path.write_bytes(data)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
        with suppress(FileNotFoundError):
            os.chmod(part, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
