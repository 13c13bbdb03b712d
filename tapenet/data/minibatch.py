"""Mini-batches of arrays."""

# Annotations stay text: evaluating `np.random` in one would load it, a tenth of NumPy's own import time.
from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Batch = TypeVar("Batch", covariant=True)
A = TypeVar("A", bound=np.generic)
B = TypeVar("B", bound=np.generic)
C = TypeVar("C", bound=np.generic)


class Batches(Generic[Batch]):
    """The mini-batches of some arrays, to loop over once per epoch; `batches` makes it.

    `len()` is the number of batches in an epoch. Loops may overlap: each has an order of its own.
    """

    def __init__(
        self,
        arrays: tuple[NDArray[Any], ...],
        batch_size: int,
        rng: np.random.Generator | None,
        drop_last: bool,
    ) -> None:
        self._arrays = arrays
        self._batch_size = batch_size
        self._rng = rng
        rows = len(arrays[0])
        self._stop = rows - rows % batch_size if drop_last else rows

    def __len__(self) -> int:
        return -(-self._stop // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Drawn here, not in a generator's first step: loops get their orders in the order they were begun.
        order = None if self._rng is None else self._rng.permutation(len(self._arrays[0]))
        return self._slices(order)

    def _slices(self, order: NDArray[np.int64] | None) -> Iterator[Batch]:
        for start in range(0, self._stop, self._batch_size):
            rows = slice(start, min(start + self._batch_size, self._stop))
            # A slice is a view and costs nothing; indexing by integers copies each row once.
            index = rows if order is None else order[rows]
            batch = tuple(array[index] for array in self._arrays)
            yield cast(Batch, batch if len(batch) > 1 else batch[0])


@overload
def batches(
    array: NDArray[A],
    /,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
    drop_last: bool = False,
) -> Batches[NDArray[A]]: ...
@overload
def batches(
    array1: NDArray[A],
    array2: NDArray[B],
    /,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
    drop_last: bool = False,
) -> Batches[tuple[NDArray[A], NDArray[B]]]: ...
@overload
def batches(
    array1: NDArray[A],
    array2: NDArray[B],
    array3: NDArray[C],
    /,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
    drop_last: bool = False,
) -> Batches[tuple[NDArray[A], NDArray[B], NDArray[C]]]: ...
@overload
def batches(
    *arrays: ArrayLike,
    batch_size: int,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
    drop_last: bool = False,
) -> Batches[Any]: ...
def batches(
    *arrays: ArrayLike,
    batch_size: int,
    shuffle: bool = False,
    seed: int | np.random.Generator | None = None,
    drop_last: bool = False,
) -> Batches[Any]:
    """Mini-batches along the first axis of `arrays`, the same rows of each.

    The arrays have shapes (N, ...), with one N and any dtypes. A batch is a tuple of arrays of shapes
    (batch_size, ...), or just the array where only one was given; dtypes are kept. The last batch has the
    rows that remain, unless `drop_last`.

    The result can be looped over again and again, and has a length. With `shuffle`, every loop takes the next
    permutation of one generator made from `seed`: epochs differ, runs repeat. (`seed=None` differs from run
    to run; a `np.random.Generator` is used as it is.) Without it batches are views: writing into one
    writes into the array.

    Raises TypeError if no array is given or `batch_size` is no integer, and ValueError if the arrays' lengths differ, one has
    no first axis, or `batch_size` is less than 1. Where `drop_last` leaves no batch at all a warning says so.

    >>> x, y = np.arange(5.0), np.arange(5) ** 2
    >>> for xs, ys in batches(x, y, batch_size=2):
    ...     print(xs, ys)
    [0. 1.] [0 1]
    [2. 3.] [4 9]
    [4.] [16]
    >>> shuffled = batches(y, batch_size=5, shuffle=True, seed=0)
    >>> (first,), (second,) = shuffled, shuffled
    >>> first.tolist() == second.tolist(), sorted(first.tolist())
    (False, [0, 1, 4, 9, 16])
    >>> len(batches(x, batch_size=2, drop_last=True))
    2
    """
    if not arrays:
        raise TypeError("batches() got no arrays; write batches(images, labels, batch_size=64)")
    whole = tuple(np.asarray(array) for array in arrays)
    shapes = ", ".join(str(array.shape) for array in whole)
    if not all(array.ndim for array in whole):
        raise ValueError(
            f"batches() needs arrays with a first axis to cut, got shapes {shapes}; "
            "give a whole array of rows (one value for all is no data: use it inside the loop)"
        )
    if len({len(array) for array in whole}) > 1:
        raise ValueError(
            f"batches() needs arrays of one length, got shapes {shapes}; "
            "the first axis counts the samples and must agree: cut or transpose the odd one"
        )
    try:
        size = operator.index(batch_size)
    except TypeError:
        raise TypeError(
            f"batches() needs an integer batch_size, got {batch_size!r}; for a fraction of the data write "
            "int(fraction * len(array))"
        ) from None
    if size < 1:
        raise ValueError(
            f"batches() needs a batch_size of at least 1, got {size}; for all rows at once write "
            f"batch_size={max(1, len(whole[0]))}"
        )
    rows = len(whole[0])
    if drop_last and 0 < rows < size:
        warnings.warn(
            f"batches() gives no batch at all: drop_last=True drops the only one, of {rows} rows, since it is not full. Leave "
            f"drop_last out, or give a batch_size of at most {rows}, not {size}",
            RuntimeWarning,
            stacklevel=2,
        )
    return Batches(whole, size, np.random.default_rng(seed) if shuffle else None, drop_last)
