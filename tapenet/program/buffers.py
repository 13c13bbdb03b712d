"""Which values may share memory: how long each one's is needed, and a place for it in one block of scratch.

Nothing here knows how a backend computes. A backend walks over the instructions in order; for each result it takes room
in an `Arena`, and gives it back after the instruction that `last_uses` names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from tapenet.kernels import LINE
from tapenet.program.ir import Instruction, Program, Value


def last_uses(program: Program, shares: Callable[[Instruction], bool]) -> dict[Value, int]:
    """The position in the body of the last instruction that needs each value's memory; the length of the body for
    what is needed at the end, as outputs and what is written are. A value that nothing needs is missing.

    Args:
        program: the program.
        shares: whether the results of an instruction may lie in the memory of its arguments, as a view's do; then
            that is needed as long as they are.
    """
    end = len(program.body)
    last: dict[Value, int] = dict.fromkeys(program.outputs, end)
    last.update((value, end) for _, value in program.writes)
    for i in range(end - 1, -1, -1):
        instruction = program.body[i]
        until = i
        if shares(instruction):
            until = max(i, *(last.get(r, i) for r in instruction.results))
        for arg in instruction.args:
            if last.get(arg, -1) < until:
                last[arg] = until
    return last


class Arena:
    """One block of scratch memory that grows as needed; room given back is used again.

    Room is taken where it fits most closely. Neighbours that are free become one.
    """

    def __init__(self) -> None:
        #: Bytes of the block.
        self.size = 0
        #: Free room, by offset: where each piece begins and how long it is.
        self._begins: list[int] = []
        self._lengths: list[int] = []

    def take(self, nbytes: int) -> int:
        """Room for so many bytes; the offset where it begins, a multiple of a cache line."""
        length = _rounded(nbytes)
        best = -1
        for k, free in enumerate(self._lengths):
            if free >= length and (best < 0 or free < self._lengths[best]):
                best = k
        if best < 0:
            return self._grow(length)
        begin = self._begins[best]
        if self._lengths[best] == length:
            del self._begins[best], self._lengths[best]
        else:
            self._begins[best] += length
            self._lengths[best] -= length
        return begin

    def _grow(self, length: int) -> int:
        begin = self.size
        if self._begins and self._begins[-1] + self._lengths[-1] == begin:  # free room at the end is part of it
            begin = self._begins.pop()
            self._lengths.pop()
        self.size = begin + length
        return begin

    def give(self, begin: int, nbytes: int) -> None:
        """Give room back that was taken for so many bytes."""
        length = _rounded(nbytes)
        k = bisect_left(self._begins, begin)
        if k < len(self._begins) and begin + length == self._begins[k]:
            length += self._lengths[k]
            del self._begins[k], self._lengths[k]
        if k and self._begins[k - 1] + self._lengths[k - 1] == begin:
            self._lengths[k - 1] += length
        else:
            self._begins.insert(k, begin)
            self._lengths.insert(k, length)


def _rounded(nbytes: int) -> int:
    return max(1, -(-nbytes // LINE)) * LINE
