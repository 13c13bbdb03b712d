"""Arrays and memory maps as a data set: the first axis counts the samples."""

from __future__ import annotations

import mmap
import os
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import ArrayLike, NDArray

from tapenet.data.dataset import Dataset, in_range
from tapenet.data.loader_arguments import same_length
from tapenet.typing import Array, DType, StateDict

Batch_co = TypeVar("Batch_co", covariant=True)
A = TypeVar("A", bound=np.generic)
B = TypeVar("B", bound=np.generic)
C = TypeVar("C", bound=np.generic)


class ArrayDataset(Dataset[Any], Generic[Batch_co]):
    """Arrays, memory maps (`np.memmap`) among them, whose first axis counts the samples.

    A sample of one array is its row; of several, a tuple of rows; of arrays given by name, a dict of rows. A loader takes the
    rows of a whole batch at once (`take`), which is far faster than one by one. Memory maps are read where samples are
    asked for, nothing else of them; worker processes open the file anew.

    Raises:
        TypeError: no array is given, or arrays with and without names.
        ValueError: their lengths differ, or one has no first axis.

    >>> data = ArrayDataset(np.arange(6.0).reshape(3, 2), np.array([7, 8, 9]))
    >>> len(data), data[1]
    (3, (array([2., 3.]), np.int64(8)))
    >>> data.take(np.array([2, 0]))
    (array([[4., 5.],
           [0., 1.]]), array([9, 7]))
    >>> ArrayDataset(height=np.array([1.8, 1.7]), name=np.array(["Eva", "Tom"]))[1]
    {'height': np.float64(1.7), 'name': np.str_('Tom')}
    """

    @overload
    def __init__(self: ArrayDataset[NDArray[A]], array: NDArray[A], /) -> None: ...
    @overload
    def __init__(
        self: ArrayDataset[tuple[NDArray[A], NDArray[B]]], array1: NDArray[A], array2: NDArray[B], /
    ) -> None: ...
    @overload
    def __init__(
        self: ArrayDataset[tuple[NDArray[A], NDArray[B], NDArray[C]]],
        array1: NDArray[A],
        array2: NDArray[B],
        array3: NDArray[C],
        /,
    ) -> None: ...
    @overload
    def __init__(self: ArrayDataset[dict[str, Array]], **named: ArrayLike) -> None: ...
    @overload
    def __init__(self: ArrayDataset[object], *arrays: ArrayLike) -> None: ...
    def __init__(self, *arrays: ArrayLike, **named: ArrayLike) -> None:
        if bool(arrays) == bool(named):
            raise TypeError(
                "ArrayDataset() needs arrays, all of them with names or none: write ArrayDataset(images, labels) or "
                "ArrayDataset(image=images, label=labels)"
            )
        self.arrays = same_length("ArrayDataset()", arrays or tuple(named.values()))
        self.names = tuple(named)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int, /) -> Any:
        index = in_range(index, len(self))
        return self._together(tuple([array[index] for array in self.arrays]))

    def take(self, indices: NDArray[np.int64]) -> Batch_co:
        """The samples of these numbers (n,) as one batch: arrays of shape (n, ...), copied."""
        batch: Batch_co = self._together(tuple([array.take(indices, axis=0) for array in self.arrays]))
        return batch

    def _together(self, values: tuple[object, ...]) -> Any:
        if self.names:
            return dict(zip(self.names, values, strict=True))
        return values if len(values) > 1 else values[0]

    def __getstate__(self) -> dict[str, object]:
        """For worker processes: a memory map goes as its file's name, not as what is in it."""
        return {**self.__dict__, "arrays": [_InFile.of(array) or array for array in self.arrays]}

    def __setstate__(self, state: StateDict) -> None:
        arrays = tuple(array.open() if isinstance(array, _InFile) else array for array in state["arrays"])
        self.__dict__.update(state, arrays=arrays)


class _InFile(NamedTuple):
    """What it takes to open a memory map, or a view of one, again."""

    path: str
    mode: Any
    offset: int
    end: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType

    @classmethod
    def of(cls, array: Array) -> _InFile | None:
        """None where the array is no view of a memory map of a file."""
        root: object = array
        while isinstance(root, np.ndarray) and not isinstance(root, np.memmap):
            root = root.base
        if not isinstance(root, np.memmap) or root.filename is None or array.size == 0:
            return None
        low, high = byte_bounds(array)
        # The map begins where a page of the file does, at or before the memmap's own offset.
        pages = np.frombuffer(root._mmap, np.uint8).__array_interface__["data"][0]  # type: ignore[attr-defined]
        start = root.offset - root.offset % mmap.ALLOCATIONGRANULARITY - pages
        if low != array.__array_interface__["data"][0]:
            return None  # a view that runs backwards
        mode = "r+" if root.mode == "w+" else root.mode
        return cls(os.fspath(root.filename), mode, low + start, high + start, array.shape, array.strides, array.dtype)

    def open(self) -> Array:
        whole = np.memmap(self.path, np.uint8, self.mode, shape=(self.end,))
        return np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)
