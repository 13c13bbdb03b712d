"""The gradient of a table by the rows that were read, where a dense array would be mostly zeros."""

from __future__ import annotations

import numpy as np

from tapenet import kernels
from tapenet.ops.indexing.adding import add_at
from tapenet.typing import Array


def gathered(indices: Array, values: Array, length: int) -> tuple[Array, Array]:
    """The rows that are named, each once, in the order of first appearance, and the sums of what is given for each.

    Args:
        indices: (n,) integers from -length to length - 1.
        values: (n, width) floats.
        length: of the table.

    >>> import numpy as np
    >>> gathered(np.array([3, 1, -1]), np.array([[1.0], [2.0], [4.0]]), 4)
    (array([3, 1]), array([[5.],
           [2.]]))
    """
    if indices.size and indices.min() < 0:
        indices = np.where(indices < 0, indices + length, indices)
    kernel = kernels.use("sparse_rows") if values.size > 4096 and kernels.fit(values) else None
    if kernel is not None:
        found: tuple[Array, Array] = kernel.gathered(
            np.ascontiguousarray(indices, np.int64), np.ascontiguousarray(values), length
        )
        return found
    n = len(indices)
    first = np.empty(length, np.intp)
    first[indices[::-1]] = np.arange(n)[::-1]  # of several assignments to one place the last one stays
    at = first[indices]
    begins = at == np.arange(n)
    rows = indices[begins]
    sums = values[begins]
    if len(rows) < n:
        number = np.cumsum(begins) - 1
        add_at(sums, number[at[~begins]], values[~begins])
    return rows.astype(np.int64, copy=False), sums
