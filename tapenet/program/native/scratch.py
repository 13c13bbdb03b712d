"""Scratch memory: what a program computes on the way lies in it, and nobody needs it when the call has ended.

Small scratch memory is a program's own. Large one is a block that all programs share which do not run: a call takes a block
and gives it back. Calls within calls, and those of several threads at once, have blocks of their own. When no program has
taken a block for a while, the system may take its pages if it is short of memory (`MADV_FREE`). After each call that would
cost a small CNN's step of 1.5 ms a tenth; to give the pages back for good (`MADV_DONTNEED`) would double the time it takes to
fill them.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import threading
import time
from pathlib import Path

import numpy as np

from tapenet.kernels import SMALL, aligned
from tapenet.llvm.addresses import address
from tapenet.typing import Array

#: Bytes from which scratch memory is shared: it takes 0.5 µs a call. Bytes from which the system may take it after a pause.
SHARED, FREED = 1 << 20, 1 << 22
#: Seconds between two looks at what nobody takes.
PAUSE = 0.1
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
        used: how many of them may have been written since the system could last have them.
        rested: whether nobody has taken it since the last look.
    """

    def __init__(self, size: int) -> None:
        self.used = 0
        self.rested = False
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

    def use(self, size: int) -> None:
        """Note that so many bytes may have been written, if the system may have them later."""
        if self._map is not None:
            self.used = max(self.used, size)

    def free(self) -> None:
        """Let the system have it until it is written again, whatever lies in it."""
        assert self._map is not None
        with contextlib.suppress(OSError):  # memory that is locked (`mlockall`) is never given back
            self._map.madvise(mmap.MADV_FREE, self._first, self.used)
        self.used = 0

    def end(self) -> None:
        """Give its memory back for good: programs that had it know it until their next call."""
        if self._map is not None:
            with contextlib.suppress(OSError):
                self._map.madvise(mmap.MADV_DONTNEED)


class _Watch:
    """A thread that lets the system have the blocks that nobody takes. It ends where there are none, and begins anew."""

    def __init__(self) -> None:
        self.on = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._ended)

    def start(self) -> None:
        self.on = True
        try:
            threading.Thread(target=self._run, name="tapenet scratch memory", daemon=True).start()
        except RuntimeError:  # the system gives no thread, or the interpreter ends
            self._ended()

    def _ended(self) -> None:
        self.on = False

    def _run(self) -> None:
        while self.on:
            time.sleep(PAUSE)
            for block in [b for b in _free if b.used]:
                if not block.rested:
                    block.rested = True
                    continue
                try:
                    place = _free.index(block)
                    _free.remove(block)
                except ValueError:  # it has been taken just now
                    continue
                if block.rested:  # else it has been taken, and given back
                    block.free()
                _free.insert(place, block)
            self.on = False
            # What was given back a moment ago relied on this thread.
            self.on = any(block.used for block in [*_free])


_watch = _Watch()


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
        block.rested = False
        if block is not self._block:
            self._block = block
            self._place(block.bytes)

    def give(self) -> None:
        """Let others have it."""
        if self._block is None:
            return
        if self._freed:
            self._block.use(self._size)
        _free.append(self._block)
        if self._block.used and not _watch.on:
            _watch.start()

    def _place(self, memory: Array) -> None:
        self.bytes = memory
        self._table[0] = address(memory)
