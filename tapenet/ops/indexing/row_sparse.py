"""Gradients of tables by the rows that were read.

A lookup reads some rows of a table, and its gradient is zero everywhere else. Where that is most of a large leaf, a pass
keeps the rows, and the leaf's gradient becomes an array when somebody looks at it. An optimizer whose update leaves rows
without a gradient as they are does not look.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tapenet.ops.indexing.sparse_rows import gathered
from tapenet.ops.op import Scatter
from tapenet.typing import Array, DType, Shape

#: A table has at least so many numbers, and so many times those of the rows that were read.
LARGE, SPARSE = 1 << 16, 4


def fits(shape: Shape, dtype: DType, part: Scatter) -> bool:
    """Whether the gradient of a table of this shape and dtype is worth keeping by rows."""
    index = part.index
    if type(index) is not np.ndarray or index.dtype.kind not in "iu" or len(shape) < 2:
        return False
    size = math.prod(shape)
    row = size // max(shape[0], 1)
    return (
        dtype.char in "fd"
        and size >= LARGE
        and index.size * row * SPARSE <= size
        and part.g.shape == (*index.shape, *shape[1:])
    )


class RowSparse(NamedTuple):
    """The gradient of a table: the rows that have one, each once, and it as (rows, width)."""

    shape: Shape
    rows: Array
    values: Array

    def dense(self) -> Array:
        """It as an array of the table's shape."""
        found = np.zeros(self.shape, self.values.dtype)
        found.reshape(self.shape[0], -1)[self.rows] = self.values
        return found

    def add_to(self, array: Array) -> None:
        """Add it to an array of the table's shape, in place."""
        array[self.rows] += self.values.reshape(-1, *self.shape[1:])

    def joined(self, other: RowSparse) -> RowSparse:
        """The sum with another gradient of the same table."""
        rows, values = (np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True))
        return RowSparse(self.shape, *gathered(rows, values, self.shape[0]))


class RowParts:
    """What came to a table in a pass so far, lookup by lookup."""

    __slots__ = ("dtype", "parts", "shape")

    def __init__(self, shape: Shape, dtype: DType, part: Scatter) -> None:
        self.shape = shape
        self.dtype = dtype
        self.parts = [part]

    def dense(self) -> Array:
        """All of it as a new array."""
        found = np.zeros(self.shape, self.dtype)
        for part in self.parts:
            part.add_to(found)
        return found

    def total(self) -> RowSparse:
        """All of it by rows, in arrays of its own."""
        shape = self.shape
        indices = [part.index.reshape(-1) for part in self.parts]
        width = math.prod(shape[1:])
        values = [part.g.reshape(len(i), width) for part, i in zip(self.parts, indices, strict=True)]
        if len(self.parts) > 1:
            indices, values = [np.concatenate(indices)], [np.concatenate(values)]
        return RowSparse(shape, *gathered(indices[0], values[0].astype(self.dtype, copy=False), shape[0]))
