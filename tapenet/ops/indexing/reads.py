"""The gradient of what was read many times, as one op."""

from __future__ import annotations

from tapenet.ops.indexing.items import scatter_add, scatter_sum
from tapenet.typing import Array, DType, Index, Shape


class Reads:
    """The gradient of an array from its parts that were read, where rules run on tensors: one array for all of them, made
    when there will be no more, in place of one for each."""

    __slots__ = ("dense", "dtype", "indices", "shape", "values")

    def __init__(self, shape: Shape, dtype: DType, dense: Array | None) -> None:
        self.shape = shape
        self.dtype = dtype
        #: What came to the whole array, if anything.
        self.dense = dense
        self.values: list[Array] = []
        self.indices: list[Index] = []

    def total(self) -> Array:
        """The gradient."""
        if len(self.values) == 1:
            found = scatter_add(self.values[0], self.indices[0], self.shape)
        else:
            found = scatter_sum(self.values, self.indices, self.shape)
        found = found if found.dtype == self.dtype else found.astype(self.dtype)
        return found if self.dense is None else self.dense + found
