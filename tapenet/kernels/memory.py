"""Memory that vectors are read from and written to without crossing a cache line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Bytes of a cache line.
LINE = 64


def aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array that begins with a cache line, as `np.empty` gives it."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + LINE - 1, np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(dtype).reshape(shape)
