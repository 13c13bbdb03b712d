"""Buffers at equal distances in the arena: a function is given a pointer to the first, and finds the others from it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tapenet.llvm.loops import ARRAYS
from tapenet.program.native.functions import Function, Offset, Series
from tapenet.program.native.memory import Arena

#: Buffers that are a series at least.
LEAST = 8


def found(function: Function) -> Function:
    """A function of many buffers with the series among them. LLVM takes 0.15 s for a call with a thousand arguments, and more
    for the function that gets them: it keeps so many pointers on the stack, where distances are parts of addresses."""
    if len(function.buffers) <= ARRAYS:
        return function
    at = list(map(_begin, function.buffers))
    series = []
    first = 0
    while first < len(at):
        end = first + 1
        step = _apart(at, end)
        while step is not None and _apart(at, end) == step:
            end += 1
        if step is not None and end - first >= LEAST:
            series.append(Series(first, end - first, step))
            first = end
        else:
            first = max(first + 1, end - 1)  # the last may be the first of the next
    return function._replace(series=tuple(series))


def _begin(buffer: Hashable) -> int | None:
    """Where in the arena a buffer begins, in bytes."""
    if isinstance(buffer, Arena):
        return buffer.offset
    if isinstance(buffer, Offset) and isinstance(buffer.buffer, Arena):
        return buffer.buffer.offset + buffer.elements * buffer.dtype.itemsize
    return None


def _apart(at: Sequence[int | None], i: int) -> int | None:
    """How far a buffer is from the one before."""
    if i >= len(at):
        return None
    before, here = at[i - 1], at[i]
    return None if before is None or here is None else here - before
