"""Arrays brought into another memory order."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import turn
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.sharing import Shared

#: What a number costs that is moved, in multiply-adds.
COST = 20


def batch_last(x: np.ndarray) -> np.ndarray:
    """x (..., batch) in C order; quick where its memory has the batch in front."""
    if x.flags.c_contiguous:
        return x
    made = aligned(x.shape, x.dtype)
    put(x, made)
    return made


def put(x: np.ndarray, target: np.ndarray) -> None:
    """Copy x (..., batch) to an array in which batches are dense and lie behind each other along the axis before; quick where
    neighbours along that are neighbours in the memory of x."""
    quick = x.dtype.char in "fd" and 2 <= x.ndim <= 5 and x.strides[-2] == x.itemsize and x.shape[-1] > 1
    if not quick or x.dtype != target.dtype or x.size < 4096:
        target[...] = x
        return
    outer = (1,) * (5 - x.ndim)
    steps = [s // x.itemsize for a in (x, target) for s in (*outer, *a.strides[:-2])]
    run = _put(x.shape[-1], x.shape[-2], x.dtype.char)
    row, lengths = x.strides[-1] // x.itemsize, (*outer, *x.shape[:-2])
    run(math.prod(lengths), COST * x.size, x, target, row, *lengths[1:], *steps)


@functools.lru_cache(maxsize=128)
def _put(rows: int, columns: int, char: str) -> Shared:
    """Arguments behind the arrays: numbers between rows of the source; the lengths of the axes around but the first; numbers
    between neighbours along all three, in the source and in the target. The range is that of the matrices."""
    k = Kernel("put", char)
    source, target, row = k.array(1), k.array(1), k.integer()
    second, third = k.integer(), k.integer()
    steps, turned = ([k.integer() for _ in range(3)] for _ in range(2))
    begin, end = k.range()
    for i in k.turns(end, begin):
        above = i.op("udiv", i, third)
        a = above.op("udiv", above, second)
        b, c = above - a * second, i - above * third
        at, to = (a * by[0] + b * by[1] + c * by[2] for by in (steps, turned))
        turn(k, source.moved(at), target.moved(to), rows, columns, row, rows)
    return k.shared()


def transposed(matrix: np.ndarray) -> np.ndarray:
    """The transpose of a matrix in C order, in C order too."""
    made = aligned(matrix.shape[::-1], matrix.dtype)
    turned_into(matrix, made)
    return made


def turned_into(matrix: np.ndarray, target: np.ndarray) -> None:
    """Write the transpose of a matrix, both in C order."""
    rows, columns = matrix.shape
    _transpose(rows, matrix.dtype.char)(matrix, target, columns)


@functools.lru_cache(maxsize=128)
def _transpose(rows: int, char: str) -> Callable[..., None]:
    k = Kernel("transpose", char)
    source, target, columns = k.array(1), k.array(1), k.integer()
    turn(k, source, target, rows, columns)
    return k.compile()


@functools.lru_cache(maxsize=256)
def turn_each(
    rows: int, columns: int, row: int, turned: int, by_source: int, by_target: int, char: str
) -> Callable[..., None]:
    """Transposes of many matrices (rows, columns), that lie so many numbers apart."""
    k = Kernel("turn", char)
    source, target, count = k.array(1), k.array(1), k.integer()
    for i in k.turns(count):
        turn(k, source.moved(i * by_source), target.moved(i * by_target), rows, columns, k.index(row), turned)
    return k.compile()
