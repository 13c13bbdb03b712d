"""Adding to parts of an array in place, where an index may name an element several times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapenet.typing import Array, DType, Index

#: From how many elements on it pays to count rows first: along one axis `np.add.at` is several times as quick.
_LARGE = 2048
#: How many positions are counted at a time.
_BLOCK = 1 << 16
#: From how many elements on a row is added as a whole.
_WIDE = 320


def zeros_for(g: Array, shape: int | Sequence[int], dtype: DType | None = None) -> Array:
    """Zeros of a shape, and of the dtype of `g` if none is given, which `add_at` can add it to."""
    dtype = g.dtype if dtype is None else dtype
    # np.zeros takes memory that is zero already; np.zeros_like writes it.
    return np.zeros(shape, dtype) if isinstance(g, np.ndarray) else np.zeros_like(g, dtype, shape=shape)


def add_at(buffer: Array, index: Any, g: Array) -> None:
    """Add `g` to `buffer[index]`, in place; what is named several times gets the sum. Symbols take it too."""
    if type(buffer) is not np.ndarray:
        np.add.at(buffer, index, g)
        return
    if basic_index(index):
        buffer[index] += g
        return
    found = _rows(buffer, index) if np.size(g) >= _LARGE else None
    if found is None or np.size(g) != found[0].size * found[1]:  # else it is repeated
        np.add.at(buffer, index, g)
        return
    rows, width = found
    flat, values = buffer.reshape(-1), np.reshape(g, (-1, width))
    if width == 1:
        np.add.at(flat, rows, values[:, 0])
        return
    if width >= _WIDE:
        for row, value in zip(rows.tolist(), values, strict=True):
            place = flat[row * width : (row + 1) * width]
            place += value
        return
    columns, step = np.arange(width), max(_BLOCK // width, 1)
    for i in range(0, rows.size, step):
        positions = rows[i : i + step, None] * width + columns
        np.add.at(flat, positions.reshape(-1), values[i : i + step].reshape(-1))


def _rows(buffer: Array, index: Index) -> tuple[Array, int] | None:
    """An index of whole axes and then of integer arrays as one into `buffer.reshape(-1, width)`, with that width; None
    for any other."""
    parts = index if type(index) is tuple else (index,)
    lead = 0
    while lead < len(parts) and isinstance(parts[lead], slice) and parts[lead] == slice(None):
        lead += 1
    arrays = [np.asarray(part) for part in parts[lead:] if isinstance(part, (np.ndarray, list, int, np.integer))]
    if len(arrays) < max(len(parts) - lead, 1) or any(a.dtype.kind not in "iu" for a in arrays):
        return None
    shape = buffer.shape
    if len(shape) == 1 or not buffer.flags.c_contiguous:
        return None
    chosen = shape[lead : lead + len(arrays)]
    whole = []
    for a, n in zip(arrays, chosen, strict=True):
        places = a.astype(np.intp, copy=False)
        least = places.min(initial=0)
        if not -n <= least <= places.max(initial=-1) < n:
            return None  # for NumPy to say so
        whole.append(np.where(places < 0, places + n, places) if least < 0 else places)
    rows = whole[0]
    for places, n in zip(whole[1:], chosen[1:], strict=True):
        rows = rows * n + places
    if lead:
        rows = np.add.outer(np.arange(math.prod(shape[:lead])) * math.prod(chosen), rows)
    return rows.reshape(-1), math.prod(shape[lead + len(arrays) :])


def basic_index(index: Index) -> bool:
    """Whether an index is made of integers, slices, None and Ellipsis only: it selects each element at most
    once, and NumPy answers it with a view."""
    parts = index if type(index) is tuple else (index,)
    return all(
        i is None or i is Ellipsis or (isinstance(i, (int, slice, np.integer)) and not isinstance(i, bool))
        for i in parts
    )
