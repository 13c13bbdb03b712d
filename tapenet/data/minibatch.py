"""Mini-batches of arrays."""

# Annotations stay text: evaluating `np.random` in one would load it, a tenth of NumPy's own import time.
from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypedDict, TypeVar, Unpack, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.data.loader_arguments import checked_size, fresh_seed, nothing_left, same_length
from tapenet.data.loader_position import Position, restored
from tapenet.typing import Array, StateDict

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
        arrays: tuple[Array, ...],
        batch_size: int,
        rng: np.random.Generator | None,
        drop_last: bool,
    ) -> None:
        self._arrays = arrays
        self._batch_size = batch_size
        self._rng = rng
        self._position = Position()
        #: Takes from the samples of a batch those of this rank.
        self._part: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None
        rows = len(arrays[0])
        self._stop = rows - rows % batch_size if drop_last else rows

    def __len__(self) -> int:
        return -(-self._stop // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Drawn here, not in a generator's first step: loops get their orders in the order they were begun.
        place = self._position = self._position.begin()
        if self._rng is None:
            return self._slices(place, None)
        place.inner = self._rng.bit_generator.state
        return self._slices(place, self._rng.permutation(len(self._arrays[0])))

    def _slices(self, place: Position, order: NDArray[np.int64] | None) -> Iterator[Batch]:
        for start in range(place.batches * self._batch_size, self._stop, self._batch_size):
            rows = slice(start, min(start + self._batch_size, self._stop))
            # A slice is a view and costs nothing; indexing by integers copies each row once.
            index = rows if order is None else order[rows]
            if self._part is not None:
                index = self._part(np.arange(rows.start, rows.stop) if order is None else order[rows])
            batch = tuple(array[index] for array in self._arrays)
            place.batches += 1
            yield cast("Batch", batch if len(batch) > 1 else batch[0])
        place.end()

    def _settings(self) -> dict[str, object]:
        return {"samples": len(self._arrays[0]), "batch_size": self._batch_size, "shuffle": self._rng is not None}

    def state_dict(self) -> StateDict:
        """Where the loop begun last is: the epoch, the batches given in it, and the generator before its order was drawn.

        >>> epochs = batches(np.arange(6), batch_size=2, shuffle=True, seed=0)
        >>> loop = iter(epochs)
        >>> first, state = next(loop), epochs.state_dict()
        >>> resumed = batches(np.arange(6), batch_size=2, shuffle=True)
        >>> resumed.load_state_dict(state)
        >>> [batch.tolist() for batch in resumed] == [batch.tolist() for batch in loop]
        True
        """
        place = self._position
        random = place.inner if place.begun or self._rng is None else self._rng.bit_generator.state
        return {"epoch": place.epoch, "batches": place.batches, "random": random, **self._settings()}

    def load_state_dict(self, state: StateDict) -> None:
        """Let the next loop go on behind the batches that were given when `state` was taken.

        Raises:
            ValueError: the state is not one of `batches`, or of one with another number of rows or batch size.
        """
        place = restored("batches()", state, {**self._settings(), "random": state.get("random")})
        if self._rng is not None:
            self._rng.bit_generator.state = state["random"]
        self._position = place


class BatchOptions(TypedDict, total=False):
    """The options of `batches`."""

    shuffle: bool
    seed: int | np.random.Generator | None
    drop_last: bool


@overload
def batches(array: NDArray[A], /, *, batch_size: int, **options: Unpack[BatchOptions]) -> Batches[NDArray[A]]: ...
@overload
def batches(
    array1: NDArray[A], array2: NDArray[B], /, *, batch_size: int, **options: Unpack[BatchOptions]
) -> Batches[tuple[NDArray[A], NDArray[B]]]: ...
@overload
def batches(
    array1: NDArray[A], array2: NDArray[B], array3: NDArray[C], /, *, batch_size: int, **options: Unpack[BatchOptions]
) -> Batches[tuple[NDArray[A], NDArray[B], NDArray[C]]]: ...
@overload
def batches(*arrays: ArrayLike, batch_size: int, **options: Unpack[BatchOptions]) -> Batches[Any]: ...
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

    The result can be looped over again and again, has a length, and can go on where a saved run stopped (`state_dict`). With
    `shuffle`, every loop takes the next permutation of one generator made from `seed`: epochs differ, runs repeat.
    (`seed=None` draws one from NumPy's global generator; a `np.random.Generator` is used as it is.) Without it
    batches are views: writing into one writes into the array.

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
    whole = same_length("batches()", arrays)
    rows = len(whole[0])
    size = checked_size("batches()", batch_size, rows)
    if drop_last and 0 < rows < size:
        warnings.warn(nothing_left("batches()", rows, size), RuntimeWarning, stacklevel=2)
    if not shuffle:
        return Batches(whole, size, None, drop_last)
    return Batches(whole, size, np.random.default_rng(fresh_seed() if seed is None else seed), drop_last)
