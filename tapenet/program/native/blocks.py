"""Blocks of memory: where in the arena they lie, so that those needed at the same time lie apart."""

from __future__ import annotations

import heapq
from typing import TypeVar

import numpy as np

from tapenet.kernels import LARGE, PAGE
from tapenet.llvm.addresses import LINE
from tapenet.program.ir import Value
from tapenet.typing import Array

#: A number, or an array of them.
Whole = TypeVar("Whole", int, Array)


class Block:
    """A part of the arena: its size, where it begins, and the values that lie there one after another, from the first entry
    that needs one of them to the last."""

    def __init__(self, size: int, first: int, last: int) -> None:
        self.size, self.offset, self.first, self.last = size, 0, first, last
        self.values: list[Value] = []


#: Blocks that are placed among all others. Those of a program with more of them that are smaller share places with those of
#: about their size.
SEARCHED = 1000


def place(blocks: list[Block]) -> int:
    """Say where blocks begin, and how many bytes they take together. The largest is placed first, each as far in front as it
    fits: so large ones of one size follow each other in the same place, which is in the caches, and what is small lies around
    them. In the order of the entries a small network's step takes 3.4 MB in place of 2.1."""
    total = 0
    blocks = sorted(blocks, key=lambda block: -block.size)
    placed = np.empty((4, SEARCHED), np.int64)  # of each block: first and last entry, where it begins and ends
    for count, block in enumerate(blocks[:SEARCHED]):
        firsts, lasts, begins, ends = placed[:, :count]
        beside = (firsts <= block.last) & (lasts >= block.first)
        begins, ends = begins[beside], ends[beside]
        order = np.argsort(begins)
        # Gaps between those that are needed at the same time: each from where all in front of it end to where the next begins.
        gaps = up(np.maximum.accumulate(np.append(0, ends[order])), _begins(block.size))
        fits = gaps + block.size <= np.append(begins[order], np.iinfo(np.int64).max)
        block.offset = int(gaps[np.argmax(fits)])
        end = block.offset + block.size
        placed[:, count] = block.first, block.last, block.offset, end
        total = max(total, end)
    rooms: dict[int, int] = {}  # by the three leading bits of sizes, the largest
    for block in blocks[SEARCHED:]:
        rooms.setdefault(_leading(block.size), block.size)
    held: list[tuple[int, int, int]] = []  # last entry, room, where it begins
    free: dict[int, list[int]] = {}
    for block in sorted(blocks[SEARCHED:], key=lambda block: block.first):
        while held and held[0][0] < block.first:
            _, room, begin = heapq.heappop(held)
            free.setdefault(room, []).append(begin)
        room = rooms[_leading(block.size)]
        if free.get(room):
            block.offset = free[room].pop()
        else:
            block.offset = up(total, _begins(room))
            total = block.offset + room
        heapq.heappush(held, (block.last, room, block.offset))
    return total


def up(number: Whole, to: int) -> Whole:
    """A number, or numbers, rounded up to a multiple."""
    return -(-number // to) * to


def _begins(size: int) -> int:
    """What a place of so many bytes begins at a multiple of: see `kernels.aligned`."""
    return PAGE if size >= LARGE else LINE


def _leading(size: int) -> int:
    """The three leading bits of a size, the others 0."""
    bits = max(size.bit_length() - 3, 0)
    return size >> bits << bits
