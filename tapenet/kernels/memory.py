"""Memory that vectors are read from and written to without crossing a cache line: Adam takes an eighth longer on other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet import kernels

#: Bytes of a cache line, on most processors.
LINE = 64


def aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array that begins with a cache line, as `np.empty` gives it."""
    dtype, size = np.dtype(dtype), math.prod(shape)
    room = np.empty(size + LINE // dtype.itemsize, dtype)
    first = -room.ctypes.data % LINE // dtype.itemsize
    return room[first : first + size].reshape(shape)


def vectors_like(a: Any, width: int, dtype: Any) -> Any:
    """A new array for a result, or one that is offered: dense vectors of this width, as many as `a` has along its last axis,
    their axes in the same order of memory. Axes that are broadcast stay where they are."""
    lead = range(a.ndim - 1)
    ranked = iter(sorted((i for i in lead if a.strides[i]), key=lambda i: -a.strides[i]))
    axes = (*(next(ranked) if a.strides[i] else i for i in lead), a.ndim - 1)
    shape = (*a.shape[:-1], width)
    made = kernels.empty(tuple(shape[i] for i in axes), np.dtype(dtype), axes)
    return made.transpose(sorted(range(a.ndim), key=axes.__getitem__))
