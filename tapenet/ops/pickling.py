"""Arrays on their way to another process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.program.low import dtype_of
from tapenet.typing import Array

if TYPE_CHECKING:
    pass

#: The bytes of an array in memory, its dtype, and in which order its axes lie.
Packed = tuple[Array, str, tuple[int, ...]]


def packed(array: Array) -> Packed:
    """An array as pickle takes it without a copy (protocol 5, out of band), whatever its memory order, also in bfloat16.

    >>> array = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)
    >>> whole, dtype, axes = packed(array)
    >>> np.shares_memory(whole, array), whole.flags.c_contiguous, dtype, axes
    (True, True, 'int64', (1, 0, 2))
    """
    axes = tuple(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
    whole = array.transpose(axes)
    if array.dtype.name == "bfloat16":  # which has no buffer
        whole = whole.view(np.uint16)
    return np.asarray(whole, order="C"), array.dtype.name, axes


def unpacked(value: Packed) -> Array:
    """The array that was packed, in the same memory order, and writable.

    >>> unpacked(packed(np.eye(2).T)).strides == np.eye(2).T.strides
    True
    """
    whole, dtype, axes = value
    if not whole.flags.writeable:  # buffers that came as bytes
        whole = whole.copy()
    return whole.view(dtype_of(dtype)).transpose(np.argsort(axes))
