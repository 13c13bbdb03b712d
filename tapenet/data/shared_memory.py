"""Sends objects between processes; arrays go through shared memory."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.shared_memory import SharedMemory

#: Messages up to this many bytes go through the pipe itself, which holds several of them: sending does not block.
_SMALL = 4096
#: Arrays are views of up to this many blocks of the other end; from further blocks they are copied.
_MOST = 64
#: Arrays in a block begin at multiples of this many bytes.
_ALIGN = 64


class Channel:
    """One end of a pipe between two processes.

    What is sent is pickled, but the bytes of its arrays are copied into a block of shared memory, of which the other end makes
    arrays without another copy. A block is used again when nobody there holds an array in it any more: then a batch
    costs one copy, no new memory and no page faults.

    >>> import multiprocessing
    >>> left, right = multiprocessing.Pipe()
    >>> here, there = Channel(left, "tnexample-a", "tnexample-b"), Channel(right, "tnexample-b", "tnexample-a")
    >>> here.send(("zeros", np.zeros((100, 100))))
    >>> name, zeros = there.receive()
    >>> name, zeros.shape, zeros.flags.writeable
    ('zeros', (100, 100), True)
    >>> del zeros
    >>> here.free()
    """

    def __init__(self, connection: Connection[object, object], name: str, other: str) -> None:
        """`name` begins the names of the blocks that this end makes, `other` those of the other end; no one else has them."""
        self.connection = connection
        self._name, self._made = name, 0
        self._other, self._seen = other, 0
        self._mine: dict[str, SharedMemory] = {}
        self._free: list[str] = []
        self._theirs: dict[str, SharedMemory] = {}
        #: Blocks of the other end that are no longer in use here; the next message says so.
        self._done: deque[str] = deque()

    def send(self, value: object) -> None:
        """Raises ConnectionError if the other end is gone, pickle's error if `value` cannot be pickled, and OSError
        if no shared memory is left."""
        outside: list[pickle.PickleBuffer] = []
        text = pickle.dumps(value, protocol=5, buffer_callback=outside.append)
        parts = [memoryview(text), *(buffer.raw() for buffer in outside)]
        spans, end = [], 0
        for part in parts:
            start = -(-end // _ALIGN) * _ALIGN
            end = start + part.nbytes
            spans.append((start, end))
        dropped: list[str] = []
        block = None
        if end > _SMALL:
            block, dropped = self._block(end)
            memory = _memory(block)
            for (start, stop), part in zip(spans, parts, strict=True):
                memory[start:stop] = part
        done = [self._done.popleft() for _ in range(len(self._done))]
        name, where = ("", [bytes(part) for part in parts]) if block is None else (block.name, spans)
        self.connection.send_bytes(pickle.dumps((done, dropped, name, where)))

    def receive(self) -> Any:
        """Raises EOFError or ConnectionError if the other end is gone."""
        from multiprocessing.shared_memory import SharedMemory

        done, dropped, name, where = pickle.loads(self.connection.recv_bytes())
        self._free += done
        for old in dropped:
            self._theirs.pop(old, None)
        if not self._noted(name):
            return _loaded([bytearray(part) for part in where])
        if name not in self._theirs:
            self._theirs[name] = SharedMemory(name)
        whole = np.asarray(_Loan(self._theirs[name], self._done))
        if len(self._theirs) > _MOST:
            # Somebody keeps batches. A block has a file open, and there may not be many of these.
            whole = whole.copy()
        return _loaded([whole[start:stop] for start, stop in where])

    def _block(self, size: int) -> tuple[SharedMemory, list[str]]:
        """A free block of at least that size, and the names of smaller ones that were removed."""
        from multiprocessing.shared_memory import SharedMemory

        fitting = [name for name in self._free if self._mine[name].size >= size]
        if fitting:
            best = min(fitting, key=lambda name: self._mine[name].size)
            self._free.remove(best)
            return self._mine[best], []
        dropped, self._free = self._free, []
        for name in dropped:
            old = self._mine.pop(name)
            old.close()
            old.unlink()
        # A little more, since batches of sequences differ in size.
        block = SharedMemory(f"{self._name}.{self._made}", create=True, size=size + size // 8)
        try:
            _reserve(block)
        except OSError:
            block.unlink()
            raise
        # Not before: the other end, which frees what it was not told of, counts on.
        self._made += 1
        self._mine[block.name] = block
        return block, dropped

    def free(self) -> None:
        """Close the pipe and free the blocks of both ends: by one of them, when the other is gone.

        Arrays that were received stay good as long as somebody holds them.
        """
        from multiprocessing.shared_memory import SharedMemory

        names = {*self._mine, *self._theirs}
        with contextlib.suppress(EOFError, OSError):
            while self.connection.poll():
                names.add(self._noted(pickle.loads(self.connection.recv_bytes())[2]))
        self.connection.close()
        # The other end may have made one more, and ended before it could say so.
        names.add(f"{self._other}.{self._seen}")
        for name in names - {""}:
            try:
                SharedMemory(name).unlink()
            except FileNotFoundError:
                pass
            except ValueError:  # its maker was ended before it gave the block a size: it cannot be opened
                with contextlib.suppress(OSError):
                    os.unlink(f"/dev/shm/{name}")

    def _noted(self, name: str) -> str:
        """The name of a block of the other end, after taking note of its number."""
        if name:
            self._seen = max(self._seen, 1 + int(name.rpartition(".")[2]))
        return name


class _Loan:
    """The bytes of a block, as NumPy wants to know them, until no array is left that looks into it.

    A memory view of the block would not do: it forbids that the block is ever closed.
    """

    def __init__(self, block: SharedMemory, done: deque[str]) -> None:
        self._block, self._done = block, done
        address = np.frombuffer(_memory(block), np.uint8).ctypes.data
        self.__array_interface__ = {"shape": (block.size,), "typestr": "|u1", "data": (address, False), "version": 3}

    def __del__(self) -> None:
        self._done.append(self._block.name)


def _memory(block: SharedMemory) -> memoryview:
    assert block.buf is not None  # not closed
    return block.buf


def _loaded(parts: list[Any]) -> Any:
    text, *outside = parts
    return pickle.loads(text, buffers=outside)


def _reserve(block: SharedMemory) -> None:
    """Reserve the memory of a block now: a system that overcommits memory would kill the process that writes into it.

    Raises:
        OSError: there is not so much.
    """
    path = f"/dev/shm/{block.name}"
    if not os.path.exists(path):
        return
    file = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(file, 0, block.size)
    except OSError as error:
        raise OSError(
            error.errno,
            f"no shared memory left for {block.size:,} bytes of a batch ({error.strerror}); enlarge /dev/shm (in Docker: "
            '--shm-size), or let the loader work with kind="thread"',
        ) from None
    finally:
        os.close(file)
