"""Writes into arrays that a pending backward pass may still need.

A node saves arrays without a version. Instead each write through tapenet's own API (an optimizer step, `t[...] =`,
`t.data =`) takes a number from the counter that numbers the nodes, and is kept by the range of memory it changed: a
node whose saved array was written after the node was made is stale. Recording costs nothing extra. Backward looks only
if something was written after its oldest node.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tapenet.autodiff.node import Node, next_number
from tapenet.locks import lock
from tapenet.program.arguments import elements
from tapenet.typing import Array

if TYPE_CHECKING:
    from collections.abc import Iterable


#: Number of the most recent write.
latest = 0


class _Layout:
    """Stands for an array's memory without keeping it alive. NumPy compares it, and never reads it."""

    __slots__ = ("__array_interface__",)

    def __init__(self, interface: Mapping[str, object]) -> None:
        self.__array_interface__ = interface


class Region:
    """A piece of memory: its bytes, and the layout of an array that is not one run of them."""

    # Plain classes here and below: making a NamedTuple at import costs a hundred times as much.
    __slots__ = ("end", "first", "key", "layout")

    def __init__(self, first: int, end: int, layout: _Layout | None = None) -> None:
        self.first = first
        self.end = end
        self.layout = layout
        #: The same for two writes to the same elements.
        self.key: Hashable = (first, end)
        if layout is not None:
            interface = layout.__array_interface__
            self.key = (first, end, interface["shape"], interface["strides"])


class Write:
    """The last write to a piece of memory."""

    __slots__ = ("where", "writer")

    def __init__(self, writer: Writer, where: Region) -> None:
        self.writer = writer
        self.where = where


#: By what two writes to the same elements have in common. A write that outlives its array does no harm: an array that
#: later takes the same memory is saved by nodes made after the write.
_writes: dict[Hashable, Write] = {}
_LIMIT = 100_000
#: How often something has been entered there.
_entered = 0
_lock = lock()


class Writer:
    """Something that writes the same memory again and again, such as a compiled program. Noting a write takes one
    addition."""

    __slots__ = ("_seen", "by", "number", "regions")

    def __init__(self, by: str, regions: Iterable[Region]) -> None:
        self.by = by
        self.regions = list(regions)
        #: The number of its last write.
        self.number = -1
        self._seen = -1

    def wrote(self) -> None:
        """Note that the memory was changed just now."""
        global latest
        if self._seen != _entered:  # others wrote, perhaps to the same memory
            self._enter()
        self.number = number = next_number()
        latest = number  # last: another thread that sees it must find the write

    def _enter(self) -> None:
        global _entered
        with _lock:
            for where in self.regions:
                found = _writes.get(where.key)
                if found is None or found.writer is not self:
                    if len(_writes) >= _LIMIT:  # only a program that rewrites ever new tensors gets here
                        _drop_older_half()
                    _writes[where.key] = Write(self, where)
                    _entered += 1
            self._seen = _entered


def _drop_older_half() -> None:
    for key, _ in sorted(_writes.items(), key=lambda item: item[1].writer.number)[: len(_writes) // 2]:
        del _writes[key]


def region(array: Array) -> Region:
    """The memory of an array. Stays right as long as the array lives."""
    if array.flags.forc:
        first = array.__array_interface__["data"][0]
        return Region(first, first + array.nbytes)
    return Region(*np.lib.array_utils.byte_bounds(array), _Layout(array.__array_interface__))


def wrote(place: Array | Region, by: str) -> None:
    """Note that an array's memory was changed just now; `by` says what did it, for the error."""
    Writer(by, [place if isinstance(place, Region) else region(place)]).wrote()


def check(node: Node) -> None:
    """Raise if a saved array of a node was written after the node was made.

    Raises:
        RuntimeError: it was; says what wrote it.
    """
    found = stale(node)
    if found is not None:
        name, by = found
        raise RuntimeError(
            f"op {node.name!r}{' in ' + node.path if node.path else ''} needs its {name} for backward, but that was "
            f"changed in place by {by} after the op ran. Call backward first, or let the op see a copy"
        )


class _Index:
    """All writes later than `since`, sorted by their first byte, so that those which overlap a saved array are found
    quickly."""

    __slots__ = ("ends", "firsts", "latest", "since", "writes")

    def __init__(self, latest: int, since: int, writes: list[Write]) -> None:
        self.latest = latest
        self.since = since
        self.writes = sorted(writes, key=lambda write: write.where.first)
        self.firsts = [write.where.first for write in self.writes]
        #: For each write the largest end of it and all before it.
        self.ends = list(itertools.accumulate((write.where.end for write in self.writes), max))


_index = _Index(0, 0, [])


def _indexed(number: int) -> _Index:
    """The writes later than a node's number."""
    global _index
    index, now = _index, latest
    if index.latest != now or index.since > number:
        # Most writes of a long program are earlier. Twice as far back as asked for, since older nodes come next.
        since = 2 * number - now
        index = _index = _Index(now, since, [w for w in list(_writes.values()) if w.writer.number > since])
    return index


def stale(node: Node) -> tuple[str, str] | None:
    """The name of a saved array that was written after the node was made, and what wrote it; else None."""
    from bisect import bisect_left  # seldom needed; `import tapenet` stays fast

    index = _indexed(node.number)
    for slot in node.saved_slots:
        for value in elements(getattr(node, slot, None)):
            if not isinstance(value, np.ndarray) or not value.size:
                continue
            saved = region(value)
            i = bisect_left(index.firsts, saved.end) - 1
            while i >= 0 and index.ends[i] > saved.first:
                write = index.writes[i]
                where = write.where
                if write.writer.number > node.number and where.end > saved.first and _shared(value, saved, where):
                    return slot.removesuffix("_saved"), write.writer.by
                i -= 1
    return None


def _shared(value: Array, saved: Region, written: Region) -> bool:
    """Whether an array and a write that overlap in range, as two columns of a matrix do, have bytes in common."""
    if written.layout is None and saved.layout is None:
        return True
    whole = {"data": (written.first, True), "shape": (written.end - written.first,), "typestr": "|u1", "version": 3}
    return share(value, np.asarray(written.layout or _Layout(whole)), 10_000)


def share(a: Array, b: Array, work: int) -> bool:
    """Whether two arrays have bytes in common, or it takes more than so much work to find out."""
    try:
        return np.shares_memory(a, b, max_work=work)  # type: ignore[arg-type]  # NumPy's stubs know -1 and 0 alone
    except np.exceptions.TooHardError:
        return True


def owner(array: Array) -> object:
    """The object that owns the memory of an array. It lives as long as the array does."""
    found: object = array
    while (base := getattr(found, "base", None)) is not None:
        found = base
    return found
