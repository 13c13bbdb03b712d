"""Numbers along one axis of signals."""

from __future__ import annotations

import numpy as np

from tapenet.typing import Array, DType


def along(values: Array, axis: int, ndim: int, dtype: DType | None = None) -> Array:
    """Numbers as an array with as many axes, along one of them; of the precision of a dtype."""
    shape = [1] * ndim
    shape[axis] = -1
    kind = np.dtype(
        np.float32 if dtype is not None and dtype.itemsize <= (8 if dtype.kind == "c" else 4) else np.float64
    )
    if values.dtype.kind == "c":
        kind = np.result_type(kind, np.complex64)
    return values.reshape(shape).astype(kind)
