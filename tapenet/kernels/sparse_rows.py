"""Rows of a table that are named several times, brought together."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tapenet.kernels import aligned
from tapenet.llvm.kernel import Kernel, Value


def gathered(indices: np.ndarray, values: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are named, each once, in the order of first appearance, and the sums of what is given for each.

    Args:
        indices: (n,) int64 from 0 to length - 1, C-contiguous.
        values: (n, width) floats, C-contiguous.
        length: of the table.
    """
    n, width = values.shape
    places = np.full(length, -1, np.int64)
    rows, sums = np.empty(n, np.int64), aligned(values.shape, values.dtype)
    count = np.zeros(1, np.int64)
    _gathered(values.dtype.char)(indices, values, places, rows, sums, count, n, width)
    return rows[: count[0]], sums[: count[0]]


@functools.cache
def _gathered(char: str) -> Callable[..., None]:
    k = Kernel("gathered", char)
    integer = np.int64
    indices, values = k.array(1, dtype=integer), k.array(1)
    places, rows, sums = k.array(1, dtype=integer), k.array(1, dtype=integer), k.array(1)
    count = k.array(1, dtype=integer)
    n, width = k.integer(), k.integer()
    for i in k.turns(n):
        row = indices.load(i)
        place = places.load(row)
        new = place < 0
        place = new.where(count.load(0), place)
        count.store(count.load(0) + new.convert("zext", "i64"), 0)
        places.store(place, row)
        rows.store(row, place)
        source, target = values.moved(i * width), sums.moved(place * width)
        for j in k.turns(width):
            before = new.where(Value(k, "0.0", values.load(0).type), target.load(j))
            target.store(before + source.load(j), j)
    return k.compile()
