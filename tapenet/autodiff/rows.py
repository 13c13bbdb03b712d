"""Gradients of tables by the rows that were read.

A lookup reads some rows of a table, and its gradient is zero everywhere else. Where that is most of a large leaf, a pass
keeps the rows, and the leaf's gradient becomes an array when somebody looks at it. An optimizer whose update leaves rows
without a gradient as they are does not look.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tape import Leaf, Node
from tapenet.ops.indexing.rows import gathered
from tapenet.ops.op import Scatter

#: A table has at least so many numbers, and so many times those of the rows that were read.
LARGE, SPARSE = 1 << 16, 4


def fits(node: Node, part: Scatter) -> bool:
    """Whether a gradient is worth keeping by rows."""
    index = part.index
    if type(node) is not Leaf or type(index) is not np.ndarray or index.dtype.kind not in "iu" or len(node.shape) < 2:
        return False
    size = math.prod(node.shape)
    row = size // max(node.shape[0], 1)
    return (
        node.dtype.char in "fd"
        and size >= LARGE
        and index.size * row * SPARSE <= size
        and part.g.shape == (*index.shape, *node.shape[1:])
    )


class RowGradient(NamedTuple):
    """The gradient of a table: the rows that have one, each once, and it as (rows, width)."""

    shape: tuple[int, ...]
    rows: Any
    values: Any

    def dense(self) -> Any:
        """It as an array of the table's shape."""
        found = np.zeros(self.shape, self.values.dtype)
        found.reshape(self.shape[0], -1)[self.rows] = self.values
        return found

    def add_to(self, array: Any) -> None:
        """Add it to an array of the table's shape, in place."""
        array[self.rows] += self.values.reshape(-1, *self.shape[1:])

    def joined(self, other: RowGradient) -> RowGradient:
        """The sum with another gradient of the same table."""
        rows, values = (np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True))
        return RowGradient(self.shape, *gathered(rows, values, self.shape[0]))


class Rows:
    """What came to a leaf in a pass so far, lookup by lookup."""

    __slots__ = ("node", "parts")

    def __init__(self, node: Node, part: Scatter) -> None:
        self.node = node
        self.parts = [part]

    def dense(self) -> Any:
        """All of it as a new array."""
        found = np.zeros(self.node.shape, self.node.dtype)
        for part in self.parts:
            part.add_to(found)
        return found

    def total(self) -> RowGradient:
        """All of it by rows, in arrays of its own."""
        shape = self.node.shape
        indices = [part.index.reshape(-1) for part in self.parts]
        width = math.prod(shape[1:])
        values = [part.g.reshape(len(i), width) for part, i in zip(self.parts, indices, strict=True)]
        if len(self.parts) > 1:
            indices, values = [np.concatenate(indices)], [np.concatenate(values)]
        dtype = self.node.dtype
        return RowGradient(shape, *gathered(indices[0], values[0].astype(dtype, copy=False), shape[0]))
