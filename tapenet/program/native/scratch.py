"""Scratch memory: what a program computes on the way lies in it, and nobody needs it when the call has ended.

Small scratch memory is a program's own. Large one is a block that all programs share which do not run: a call takes a block
and gives it back. Calls within calls, and those of several threads at once, have blocks of their own. While no program has a
block, the system may take its pages if it is short of memory (`MADV_FREE`). To say so takes 3 µs for 1 MB and 46 for 76, and
to write to the pages again no longer than before, since they are huge; to give them back for good (`MADV_DONTNEED`) would
double the time it takes to fill them.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
from pathlib import Path

import numpy as np

from tapenet.kernels import SMALL, aligned
from tapenet.typing import Array

#: Bytes from which scratch memory is shared: it takes 0.5 µs a call. Bytes from which the system may take it between calls.
SHARED, FREED = 1 << 20, 1 << 22
#: Bytes of a huge page on most processors.
HUGE = 1 << 21

#: The blocks that no call has, the last one given back at the end: taken first, it is in the caches. A list's own operations
#: are one step for other threads.
_free: list[Block] = []


@functools.cache
def _huge() -> bool:
    """Whether the system gives huge pages, and takes memory back when it needs it. Who asks NumPy for none gets none here."""
    if not hasattr(mmap, "MADV_FREE") or not hasattr(mmap, "MADV_HUGEPAGE"):
        return False
    try:
        modes = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
    except OSError:
        return False
    return "[never]" not in modes and os.environ.get("NUMPY_MADVISE_HUGEPAGE") != "0"


class Block:
    """Memory that programs share.

    Attributes:
        bytes: an array of all its bytes.
    """

    def __init__(self, size: int) -> None:
        self._map: mmap.mmap | None = None
        if not _huge():
            self.bytes: Array = aligned((max(size, SMALL),), np.uint8)
            return
        size = -(-size // HUGE) * HUGE
        try:
            self._map = mmap.mmap(-1, size + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"{size:,} bytes of scratch memory for a compiled program") from error
        self._map.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(self._map, np.uint8)
        self._first = -whole.ctypes.data % HUGE
        self.bytes = whole[self._first : self._first + size]

    def free(self, size: int) -> None:
        """Let the system have so much of it until it is written again, whatever lies in it."""
        if self._map is not None:
            with contextlib.suppress(OSError):  # memory that is locked (`mlockall`) is never given back
                self._map.madvise(mmap.MADV_FREE, self._first, size)

    def end(self) -> None:
        """Give its memory back for good: programs that had it know it until their next call."""
        if self._map is not None:
            with contextlib.suppress(OSError):
                self._map.madvise(mmap.MADV_DONTNEED)


class Scratch:
    """That of one program.

    Attributes:
        shared: whether it has memory only between `take` and `give`.
        bytes: an array of its memory, which may be another one after each `take`.
    """

    def __init__(self, size: int, table: Array) -> None:
        """Of so many bytes; the address goes into a table, as its first number."""
        self._size = size
        self._table = table
        self.shared = size >= SHARED
        self._freed = size >= FREED
        self._block: Block | None = None
        self.bytes: Array = np.empty(0, np.uint8)
        if not self.shared:
            self._place(aligned((max(size, SMALL),), np.uint8))

    def take(self) -> None:
        """Have memory until `give`."""
        if not self.shared:
            return
        block = None
        while block is None or len(block.bytes) < self._size:  # those that are too small are for nobody any more
            if block is not None:
                block.end()
            try:
                block = _free.pop()
            except IndexError:
                block = Block(self._size)
        if block is not self._block:
            self._block = block
            self._place(block.bytes)

    def give(self) -> None:
        """Let others have it."""
        if self._block is None:
            return
        if self._freed:
            self._block.free(self._size)
        _free.append(self._block)

    def _place(self, memory: Array) -> None:
        self.bytes = memory
        self._table[0] = memory.__array_interface__["data"][0]
