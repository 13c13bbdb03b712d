"""The memory of this process, as Linux counts it."""

from __future__ import annotations

import ctypes
import gc
import time
from pathlib import Path

_SELF = Path("/proc/self")


def measurable() -> bool:
    """Whether the system tells."""
    return all((_SELF / file).exists() for file in ("clear_refs", "smaps_rollup"))


def settled() -> int:
    """Bytes of memory in use, once everything that is free has gone back to the system, or is marked as what the system may
    take (`LazyFree`): that is done after a pause."""
    gc.collect()
    time.sleep(0.5)
    ctypes.CDLL(None).malloc_trim(0)
    return _read("VmRSS") - _read("LazyFree", "smaps_rollup")


def peak() -> int:
    """The most bytes that were in use since `forget_peak`."""
    return _read("VmHWM")


def forget_peak() -> None:
    """Take the peak anew from here."""
    (_SELF / "clear_refs").write_text("5", encoding="ascii")


def _read(field: str, file: str = "status") -> int:
    lines = (_SELF / file).read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024
