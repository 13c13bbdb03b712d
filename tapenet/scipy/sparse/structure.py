"""Where the stored values of a sparse array are. Nothing here is differentiated."""

from __future__ import annotations

import copy
import functools
from typing import Literal, Protocol, Self, cast

import numpy as np

from tapenet.typing import Array

Format = Literal["csr", "csc", "coo"]
FORMATS: tuple[Format, ...] = ("csr", "csc", "coo")


class Scipys(Protocol):
    """What is used of SciPy's sparse arrays."""

    format: Format
    shape: tuple[int, int]
    data: Array
    coords: tuple[Array, Array]
    indices: Array
    indptr: Array
    has_canonical_format: bool

    def tocsr(self) -> Self: ...
    def tocoo(self) -> Self: ...
    def toarray(self) -> Array: ...
    def asformat(self, format: str) -> Self: ...
    def reshape(self, shape: object, order: str) -> Self: ...
    def sorted_indices(self) -> Self: ...
    def nonzero(self) -> tuple[Array, Array]: ...
    def __matmul__(self, x: Array) -> Array: ...
    def __getitem__(self, index: object) -> Self: ...


class Structure:
    """The places of the stored values of a matrix, value by value.

    Attributes:
        format: "csr", "csc" or "coo".
        shape: of the matrix.
        first, second: the arrays that SciPy keeps: indices and indptr, or rows and columns of "coo".
    """

    def __init__(self, kind: Format, shape: tuple[int, int], first: Array, second: Array) -> None:
        self.format: Format = kind
        self.shape = shape
        # SciPy sorts indices in place here and there: not these, which others have.
        self.first, self.second = _fixed(first), _fixed(second)

    @classmethod
    def of(cls, matrix: Scipys) -> Structure:
        """The structure of a SciPy array of two axes.

        Raises:
            ValueError: it has another number of axes.
        """
        if len(matrix.shape) != 2:
            raise ValueError(f"a sparse array of tensors has two axes, this one has shape {matrix.shape}")
        if matrix.format == "coo":
            return cls("coo", matrix.shape, matrix.coords[0], matrix.coords[1])
        return cls(matrix.format, matrix.shape, matrix.indices, matrix.indptr)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Structure)
            and (self.format, self.shape) == (other.format, other.shape)
            and all(a is b or np.array_equal(a, b) for a, b in ((self.first, other.first), (self.second, other.second)))
        )

    def __hash__(self) -> int:
        return hash((self.format, self.shape, self.size))

    def __repr__(self) -> str:
        return f"{self.format} of shape {self.shape}, {self.size} stored values"

    @property
    def size(self) -> int:
        """How many values are stored."""
        return int(self.first.size)

    @functools.cached_property
    def _empty(self) -> Scipys:
        from scipy import sparse

        parts = (self.first, self.second)
        data = np.zeros(self.size)
        given = (data, parts) if self.format == "coo" else (data, *parts)
        return cast("Scipys", getattr(sparse, f"{self.format}_array")(given, shape=self.shape, copy=False))

    def filled(self, data: Array) -> Scipys:
        """SciPy's array of this structure with these values."""
        made = copy.copy(self._empty)  # SciPy's constructor takes five times as long
        made.data = data
        return made

    @functools.cached_property
    def _spread(self) -> Array:
        """Of a compressed format, the row (column) of each value."""
        count = self.shape[0 if self.format == "csr" else 1]
        return np.repeat(np.arange(count, dtype=self.first.dtype), np.diff(self.second))

    @property
    def rows(self) -> Array:
        """The row of each value."""
        return self.first if self.format != "csr" else self._spread

    @property
    def columns(self) -> Array:
        """The column of each value."""
        if self.format == "csc":
            return self._spread
        return self.first if self.format == "csr" else self.second

    @functools.cached_property
    def T(self) -> Structure:
        """That of the transpose, whose values are in the same order."""
        if self.format == "coo":
            return Structure("coo", self.shape[::-1], self.second, self.first)
        made = Structure("csc" if self.format == "csr" else "csr", self.shape[::-1], self.first, self.second)
        made.T = self
        return made

    @functools.cached_property
    def keys(self) -> Array:
        """A number for each value that says where it is: rows counted before columns."""
        return self.rows.astype(np.int64) * self.shape[1] + self.columns

    @functools.cached_property
    def distinct(self) -> bool:
        """Whether no two values are in one place."""
        return self.canonical or bool(np.unique(self.keys).size == self.size)

    @functools.cached_property
    def canonical(self) -> bool:
        """Whether, in a compressed format, the values of each row (column) are in order, and distinct."""
        return self.format != "coo" and bool(self._empty.has_canonical_format)

    def places_in(self, other: Structure) -> Array:
        """Where the places of this structure are among those of another, which has them all, once each."""
        order = np.argsort(other.keys, kind="stable")
        return order[np.searchsorted(other.keys, self.keys, sorter=order)]


def _fixed(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
