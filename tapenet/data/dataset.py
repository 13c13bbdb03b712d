"""Data sets: anything with a length and samples by number; parts of them, several in a row, and functions of them."""

from __future__ import annotations

import bisect
import inspect
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.data.methods import check_methods

Sample = TypeVar("Sample")
Out = TypeVar("Out")
Sample_co = TypeVar("Sample_co", covariant=True)


class Samples(Protocol[Sample_co]):
    """What a loader takes as a data set: `len(it)` samples, `it[0]` the first. A list is one."""

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, index: int, /) -> Sample_co:
        """The sample of that number."""


class Dataset(Generic[Sample]):
    """Samples by number. Subclass it and write `__len__` and `__getitem__`.

    A sample may be anything: an array, a number, a string, a tuple or dict of these. Random changes of a sample belong
    into a function given to `map`, or into `draw`, which are given a random generator: a loader makes that one from its
    seed, the epoch and the sample's number alone, so that results are the same with any number of workers.

    >>> class Squares(Dataset[int]):
    ...     def __len__(self) -> int:
    ...         return 5
    ...     def __getitem__(self, index: int) -> int:
    ...         return index ** 2
    >>> squares = Squares()
    >>> list(squares), list(squares.map(str)), list(squares.subset([3, 1]))
    ([0, 1, 4, 9, 16], ['0', '1', '4', '9', '16'], [9, 1])
    >>> len(squares + squares)
    10
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, {"__getitem__": ("index",), "draw": ("index", "rng"), "take": ("indices",)})

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} is a Dataset without __len__; write it")

    def __getitem__(self, index: int, /) -> Sample:
        raise NotImplementedError(f"{type(self).__name__} is a Dataset without __getitem__; write it")

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __add__(self, other: Samples[Sample]) -> Concat[Sample]:
        return Concat(self, other)

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample as a loader asks for it: here `self[index]`. A data set that is random overrides this."""
        return self[index]

    @property
    def is_random(self) -> bool:
        """Whether `draw` uses its generator."""
        return type(self).draw is not Dataset.draw

    def map(self, function: Callable[..., Out]) -> Mapped[Out]:
        """The data set of `function(sample)`, computed when a sample is asked for.

        A function with a parameter named `rng` gets a `np.random.Generator` by that name. A loader gives one that depends
        on its seed, the epoch and the sample's number alone; `dataset[index]` one that depends on the number alone.

        >>> def noisy(sample, rng):
        ...     return sample + rng.normal()
        >>> data = Subset([1.0, 1.0], [0, 1]).map(noisy)
        >>> data[0] == data[0], data[0] == data[1]
        (True, False)
        """
        return Mapped(self, function)

    def subset(self, indices: ArrayLike) -> Subset[Sample]:
        """The samples of these numbers, in this order."""
        return Subset(self, indices)


class Subset(Dataset[Sample]):
    """The samples of `dataset` whose numbers are `indices`, in that order.

    `indices` are integers (n,), or booleans (len(dataset),) that say which to take. A part of a part refers to the whole:
    `.dataset` is never a `Subset`, and `.indices` are positions in it.

    Raises:
        TypeError: `indices` are no integers.
        IndexError: one is out of range.

    >>> part = Subset(["a", "b", "c"], [2, 0])
    >>> list(part), len(part), Subset(part, [-1]).indices
    (['c', 'a'], 2, array([0]))
    >>> list(Subset(["a", "b", "c"], [True, False, True]))
    ['a', 'c']
    """

    def __init__(self, dataset: Samples[Sample], indices: ArrayLike) -> None:
        chosen = checked_indices("Subset", indices, len(dataset))
        whole = dataset if isinstance(dataset, Subset) else None
        self.dataset: Samples[Sample] = whole.dataset if whole is not None else dataset
        self.indices: NDArray[np.int64] = whole.indices[chosen] if whole is not None else chosen

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> Sample:
        return self.dataset[int(self.indices[index])]

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample as a loader asks for it."""
        return draw(self.dataset, int(self.indices[index]), rng)

    @property
    def is_random(self) -> bool:
        """Whether the whole uses a generator."""
        return is_random(self.dataset)


class Concat(Dataset[Sample]):
    """Several data sets, one after the other.

    >>> both = Concat(["a", "b"], ["c"])
    >>> list(both), both[-1]
    (['a', 'b', 'c'], 'c')
    """

    def __init__(self, *datasets: Samples[Sample]) -> None:
        self.datasets = datasets
        self._ends = list(itertools.accumulate(map(len, datasets)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _find(self, index: int) -> tuple[Samples[Sample], int]:
        """The data set that has the sample, and its number there."""
        index = in_range(index, len(self))
        part = bisect.bisect_right(self._ends, index)
        return self.datasets[part], index - (self._ends[part - 1] if part else 0)

    def __getitem__(self, index: int, /) -> Sample:
        dataset, inside = self._find(index)
        return dataset[inside]

    def draw(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample as a loader asks for it."""
        return draw(*self._find(index), rng)

    @property
    def is_random(self) -> bool:
        """Whether one of them uses a generator."""
        return any(map(is_random, self.datasets))


class Mapped(Dataset[Out]):
    """A function of each sample of a data set; `Dataset.map` makes it.

    >>> list(Mapped([1, 2, 3], lambda number: 10 * number))
    [10, 20, 30]
    """

    def __init__(self, dataset: Samples[object], function: Callable[..., Out]) -> None:
        self.dataset, self.function = dataset, function
        self._takes_rng = takes_rng(function)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int, /) -> Out:
        return (
            self.draw(index, np.random.default_rng(in_range(index, len(self))))
            if self.is_random
            else self.function(self.dataset[index])
        )

    def draw(self, index: int, rng: np.random.Generator) -> Out:
        """The sample as a loader asks for it."""
        sample = draw(self.dataset, index, rng)
        return self.function(sample, rng=rng) if self._takes_rng else self.function(sample)

    @property
    def is_random(self) -> bool:
        """Whether the function or what it is given uses a generator."""
        return self._takes_rng or is_random(self.dataset)


def takes_rng(function: Callable[..., object]) -> bool:
    """Whether a function has a parameter named `rng`, and so wants a random generator.

    >>> takes_rng(lambda sample, rng: sample), takes_rng(lambda sample: sample), takes_rng(int)
    (True, False, False)
    """
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # built-in functions that do not say what they take
        return False


def is_random(dataset: Samples[object]) -> bool:
    """Whether samples of it are drawn with a generator: it has a method `draw`, and if it is a `Dataset`, one that uses it.

    >>> is_random([1, 2]), is_random(Mapped([1, 2], lambda sample, rng: rng.random()))
    (False, True)
    """
    return dataset.is_random if isinstance(dataset, Dataset) else hasattr(dataset, "draw")


def draw(dataset: Samples[Sample], index: int, rng: np.random.Generator | None) -> Sample:
    """A sample of a data set that may be random, which without a generator it is not, or of a plain list.

    >>> draw(["a", "b"], 1, np.random.default_rng(0))
    'b'
    """
    # Not by the type: `draw` is all that a data set needs to be random.
    drawn: Callable[[int, np.random.Generator], Sample] | None = getattr(dataset, "draw", None)
    return dataset[index] if rng is None or drawn is None else drawn(index, rng)


def in_range(index: int, length: int) -> int:
    """`index` counted from the front.

    Raises:
        IndexError: there is no such sample.

    >>> in_range(-1, 10)
    9
    """
    number = operator.index(index)
    if not -length <= number < length:
        raise IndexError(f"sample {number} of a data set of {length}")
    return number % length


def checked_indices(who: str, indices: ArrayLike, length: int) -> NDArray[np.int64]:
    """Numbers of samples (n,) counted from the front, from integers or from one boolean per sample.

    Raises:
        TypeError: they are something else.
        IndexError: one is out of range.

    >>> checked_indices("Subset", [0, -1], 10), checked_indices("Subset", [False, True], 2)
    (array([0, 9]), array([1]))
    """
    found = np.asarray(indices)
    if found.dtype == bool and found.shape == (length,):
        return np.flatnonzero(found)
    if found.size == 0:
        found = found.astype(np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise TypeError(
            f"{who} needs indices as integers (n,) or booleans ({length},), one per sample; got dtype {found.dtype}, shape "
            f"{found.shape}"
        )
    outside = (found < -length) | (found >= length)
    if outside.any():
        raise IndexError(f"{who} got index {found[outside][0]} for a data set of {length} samples")
    found = found.astype(np.int64)
    return np.where(found < 0, found + length, found)
