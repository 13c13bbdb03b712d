"""Arrays brought into another memory order."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import turn
from tapenet.llvm.kernel import Kernel


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
    quick = x.dtype.char in "fd" and 2 <= x.ndim <= 5 and x.strides[-2] == x.itemsize
    if not quick or x.dtype != target.dtype or x.size < 4096:
        target[...] = x
        return
    outer = (1,) * (5 - x.ndim)
    steps = [s // x.itemsize for a in (x, target) for s in (*outer, *a.strides[:-2])]
    _put(x.shape[-1], x.shape[-2], x.dtype.char)(x, target, x.strides[-1] // x.itemsize, *outer, *x.shape[:-2], *steps)


@functools.lru_cache(maxsize=128)
def _put(rows: int, columns: int, char: str) -> Callable[..., None]:
    """Arguments behind the arrays: numbers between rows of the source; the lengths of the axes around; numbers between
    neighbours along these, in the source and in the target."""
    k = Kernel("put", char)
    source, target, row = k.array(1), k.array(1), k.integer()
    lengths, steps, turned = ([k.integer() for _ in range(3)] for _ in range(3))
    for a in k.turns(lengths[0]):
        for b in k.turns(lengths[1]):
            for c in k.turns(lengths[2]):
                at, to = (a * by[0] + b * by[1] + c * by[2] for by in (steps, turned))
                turn(k, source.moved(at), target.moved(to), rows, columns, row, rows)
    return k.compile()


def transposed(matrix: np.ndarray) -> np.ndarray:
    """The transpose of a matrix in C order, in C order too."""
    rows, columns = matrix.shape
    made = aligned((columns, rows), matrix.dtype)
    _transpose(rows, matrix.dtype.char)(matrix, made, columns)
    return made


@functools.lru_cache(maxsize=128)
def _transpose(rows: int, char: str) -> Callable[..., None]:
    k = Kernel("transpose", char)
    source, target, columns = k.array(1), k.array(1), k.integer()
    turn(k, source, target, rows, columns)
    return k.compile()
