"""Arrays brought into another memory order."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tapenet.kernels.blocks import turn
from tapenet.native.kernel import Kernel


def batch_last(x: Any) -> Any:
    """x (..., batch) in C order; quick where its memory has the batch in front."""
    if x.flags.c_contiguous:
        return x
    front = x.transpose(x.ndim - 1, *range(x.ndim - 1))
    if x.dtype.char not in "fd" or not front.flags.c_contiguous or x.size < 4096:
        return np.ascontiguousarray(x)
    return transposed(front.reshape(len(front), -1)).reshape(x.shape)


def transposed(matrix: Any) -> Any:
    """The transpose of a matrix in C order, in C order too."""
    rows, columns = matrix.shape
    made = np.empty((columns, rows), matrix.dtype)
    _transpose(rows, matrix.dtype.char)(matrix, made, columns)
    return made


@functools.lru_cache(maxsize=128)
def _transpose(rows: int, char: str) -> Any:
    k = Kernel("transpose", char)
    source, target, columns = k.array(1), k.array(1), k.integer()
    turn(k, source, target, rows, columns)
    return k.compile()
