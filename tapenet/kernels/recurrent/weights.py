"""Weights as the turns read them: those of one tile behind each other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.kernels import aligned
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.processor import registers


def vectors_of(blocks: int) -> int:
    """How many vectors of each block a strip has, so that a tile has about four beside each other if there are 32
    registers."""
    return max(1, registers().number // 8 // blocks)


def packed(weight: np.ndarray, blocks: int) -> np.ndarray:
    """The columns of a matrix (inner, blocks · columns), strip by strip: each is (inner, blocks, columns of a strip), with
    zeros for what is missing in the last vector."""
    inner, columns = weight.shape[0], weight.shape[1] // blocks
    lanes = registers().bytes // weight.itemsize
    weight = weight.reshape(inner, blocks, columns)
    short = -columns % lanes
    if short:
        weight = np.concatenate([weight, np.zeros((inner, blocks, short), weight.dtype)], 2)
    columns += short
    width = lanes * vectors_of(blocks)
    whole = columns // width * width
    out = aligned((blocks * columns * inner,), weight.dtype)
    first, last = out[: blocks * whole * inner], out[blocks * whole * inner :]
    strips = first.reshape(-1, inner, blocks, width)
    strips[...] = weight[:, :, :whole].reshape(inner, blocks, -1, width).transpose(2, 0, 1, 3)
    last.reshape(inner, blocks, -1)[...] = weight[:, :, whole:]
    return out


def packed_turned(weight: np.ndarray, order: Sequence[tuple[int, int]]) -> np.ndarray:
    """The columns of the transpose of a matrix (columns, inner), strip by strip, as `_packed` has those of one block.

    Args:
        order: runs of the inner axis, first and last, in the order in which they are packed.
    """
    columns, inner = weight.shape
    lanes = registers().bytes // weight.itemsize
    width = lanes * vectors_of(1)
    out = aligned((inner * -(-columns // lanes) * lanes,), weight.dtype)
    if columns % lanes:
        out[...] = 0
    run, place = _turned(weight.dtype.char), out
    for begin in range(0, columns, width):
        count = min(width, columns - begin)
        row = -(-count // lanes) * lanes
        for first, last in order:
            run(weight[begin:, first:], place, inner, row, count, last - first)
            place = place[(last - first) * row :]
    return out


@functools.cache
def _turned(char: str) -> Callable[..., None]:
    """Transposes a matrix: target[c, r] = source[r, c]. Arguments behind the arrays: numbers between rows of the source and
    of the target, rows and columns of the source."""
    k = Kernel("turned", char)
    source, target = k.array(1), k.array(1)
    row, turned, rows, columns = (k.integer() for _ in range(4))
    lanes = k.lanes
    high, wide = (n.op("udiv", n, lanes) * lanes for n in (rows, columns))
    for r in k.turns(high, 0, lanes):
        for c in k.turns(wide, 0, lanes):
            values = k.transposed([source.load((r + i) * row + c, lanes=lanes) for i in range(lanes)])
            for i, value in enumerate(values):
                target.store(value, (c + i) * turned + r)
    for begin, end, first in ((0, high, wide), (high, rows, 0)):
        for r in k.turns(end, begin):
            for c in k.turns(columns, first):
                target.store(source.load(r * row + c), c * turned + r)
    return k.compile()
