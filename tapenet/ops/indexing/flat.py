"""`t.flat`: the elements of a tensor in one row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like

if TYPE_CHECKING:
    from tapenet.typing import Array, ArrayLike, DTypeLike


class Flat:
    """The elements of a tensor in row-major order, as `ndarray.flat` gives those of an array: they are read and written by one
    index, a slice, a mask or a list of indices, and gone through by `for`. What is read is a copy; what is written is written
    to the tensor, as `t[...] = value` does it.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> t.flat[2]
    Tensor(3.)
    >>> t.flat[::3] = 0
    >>> t
    Tensor([[0., 2.],
            [3., 0.]])
    """

    __slots__ = ("base",)

    def __init__(self, base: object) -> None:
        #: The tensor whose elements these are.
        self.base = cast("Array", base)

    def __len__(self) -> int:
        return math.prod(self.base.shape)

    def _places(self, index: object) -> tuple[Array, ...]:
        """The index into the tensor of the elements that one into the row means."""
        if isinstance(index, tuple):
            if len(index) != 1:
                raise IndexError(f"t.flat takes one index, not {len(index)}: it has one axis")
            (index,) = index
        at: Array = np.arange(len(self))[index]  # type: ignore[call-overload]
        return np.unravel_index(at, self.base.shape or (1,))

    def __getitem__(self, index: object) -> Array:
        places = self._places(index)
        return self.base[places] if self.base.shape else np.reshape(self.base, 1)[places]

    def __setitem__(self, index: object, value: ArrayLike) -> None:
        places = self._places(index)
        shape = np.shape(places[0])
        values = np.reshape(np.resize(np.reshape(array_like(value), -1), math.prod(shape)), shape)
        if self.base.shape:
            self.base[places] = values
        elif values.size:
            self.base[...] = values.reshape(-1)[-1]

    def fill_from(self, values: object) -> None:
        """Write values to all elements, from the first value on again where there are too few: `t.flat = values`."""
        row = np.reshape(array_like(values), -1)
        self.base[...] = np.reshape(np.resize(row, len(self)), self.base.shape)

    def __iter__(self) -> Iterator[Array]:
        return (self.base[place] for place in np.ndindex(self.base.shape))

    def copy(self) -> Array:
        """The elements, as a tensor with one axis."""
        return np.copy(np.reshape(self.base, -1))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(np.reshape(self.base, -1), dtype=dtype, copy=copy)
