"""Writes into arrays that a pending backward pass may still need.

A node saves arrays without a version. Instead each write through tapenet's own API (an optimizer step, `t[...] =`,
`t.data =`) takes a number from the counter that numbers the nodes, and is kept by the range of memory it changed: a
node whose saved array was written after the node was made is stale. Recording pays nothing for this, and backward
only when something was written after its oldest node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.autodiff.tape import Node, next_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Number of the most recent write.
latest = 0
#: First byte -> (one past the last byte, number of the write, what wrote). An entry outlives its array without
#: harm: an array that later takes the same memory is saved by nodes made after the write.
_writes: dict[int, tuple[int, int, str]] = {}
_LIMIT = 100_000


def wrote(array: NDArray[Any], by: str) -> None:
    """Note that `array`'s memory was changed just now; `by` says what did it, for the error."""
    global latest
    latest = next_number()
    if len(_writes) >= _LIMIT:  # only a program that rewrites ever new tensors gets here; drop the oldest half
        for start in list(_writes)[: _LIMIT // 2]:
            del _writes[start]
    first, end = np.lib.array_utils.byte_bounds(array)
    _writes.pop(first, None)  # so that the dict stays in order of writing
    _writes[first] = (end, latest, by)


def stale(node: Node) -> tuple[str, str] | None:
    """The name of a saved array that was written after the node was made, and what wrote it; else None."""
    recent = [(start, end, by) for start, (end, number, by) in list(_writes.items()) if number > node.number]
    if not recent:
        return None
    for slot in node.saved_slots:
        for value in _arrays(getattr(node, slot, None)):
            first, end = np.lib.array_utils.byte_bounds(value)
            for start, stop, by in recent:
                if first < stop and start < end:
                    return slot.removesuffix("_saved"), by
    return None


def _arrays(value: Any) -> list[NDArray[Any]]:
    if isinstance(value, np.ndarray):
        return [value] if value.size else []
    if isinstance(value, (list, tuple)):
        return [a for v in value for a in _arrays(v)]
    return []
