"""In which order a loader takes samples, and which go into one batch.

A sampler gives the order of an epoch from the generator of that epoch: `order(rng)`, numbers of samples (n,). A batch
sampler gives batches: `batches(rng)`. Both keep no state, so that an epoch can be resumed anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.data.methods import check_methods


class Sampler:
    """The order of an epoch. Subclass it and write `order` and `__len__`.

    >>> class Backwards(Sampler):
    ...     def __init__(self, count): self.count = count
    ...     def __len__(self): return self.count
    ...     def order(self, rng): return np.arange(self.count)[::-1]
    >>> Backwards(3).order(np.random.default_rng(0))
    array([2, 1, 0])
    """

    #: Whether a sample may come several times in an epoch; if so its random generator differs each time.
    repeats = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, {"order": ("rng",)})

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} is a Sampler without __len__; write it")

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The numbers of the samples of one epoch (n,), in order; chance comes from `rng` alone."""
        raise NotImplementedError(f"{type(self).__name__} is a Sampler without order(rng); write it")


class BatchSampler:
    """The batches of an epoch. Subclass it and write `batches` and `__len__`, the number of batches."""

    #: As in `Sampler`.
    repeats = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, {"batches": ("rng",)})

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} is a BatchSampler without __len__; write it")

    def batches(self, rng: np.random.Generator) -> Sequence[NDArray[np.int64]]:
        """The numbers of the samples of each batch; chance comes from `rng` alone."""
        raise NotImplementedError(f"{type(self).__name__} is a BatchSampler without batches(rng); write it")


class _Counted(Sampler):
    """A sampler of a fixed number of draws."""

    _count: int

    def __len__(self) -> int:
        return self._count


class SequentialSampler(_Counted):
    """One after the other. `samples` is their number, or the data set.

    >>> SequentialSampler(3).order(np.random.default_rng(0))
    array([0, 1, 2])
    """

    repeats = False

    def __init__(self, samples: int | Sized) -> None:
        self._count = _number(samples)

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """0, 1, 2, ..."""
        return np.arange(self._count)


class RandomSampler(_Counted):
    """All in a random order; or `count` of them, with `replacement` each drawn from all.

    `samples` is their number, or the data set. Without replacement `count` is at most that number.

    >>> sorted(RandomSampler(4).order(np.random.default_rng(0)).tolist())
    [0, 1, 2, 3]
    >>> len(RandomSampler(4, count=10, replacement=True).order(np.random.default_rng(0)))
    10
    """

    def __init__(self, samples: int | Sized, count: int | None = None, *, replacement: bool = False) -> None:
        self._samples = _number(samples)
        self._count = _count("RandomSampler", count, self._samples, self._samples, replacement)
        self.repeats = replacement

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """A permutation, or the draws with replacement."""
        if self.repeats:
            return rng.integers(self._samples, size=self._count)
        return rng.permutation(self._samples)[: self._count]


class WeightedSampler(_Counted):
    """`count` draws in which a sample comes in proportion to its weight (n,); weights are 0 or more.

    Without `replacement` no sample comes twice.

    >>> WeightedSampler([0.0, 1.0, 0.0], 4).order(np.random.default_rng(0))
    array([1, 1, 1, 1])
    """

    def __init__(self, weights: ArrayLike, count: int | None = None, *, replacement: bool = True) -> None:
        found = np.asarray(weights, np.float64)
        if found.ndim != 1 or not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
            raise ValueError(
                f"WeightedSampler() needs finite weights (n,) of 0 or more that are not all 0, got shape {found.shape} with "
                f"minimum {found.min() if found.size else None}"
            )
        self._chance = found / found.sum()
        self._count = _count("WeightedSampler", count, len(found), int(np.count_nonzero(found)), replacement)
        self.repeats = replacement

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """So many draws."""
        return rng.choice(len(self._chance), self._count, replace=self.repeats, p=self._chance)


class BalancedSampler(_Counted):
    """Each class equally often: small ones are repeated. `labels` (n,) has the class of each sample.

    An epoch has `count` samples, by default n; the samples of one class come equally often, too (to within one).

    >>> labels = np.array(["cat", "dog", "dog", "dog", "dog", "dog"])
    >>> labels[BalancedSampler(labels).order(np.random.default_rng(0))].tolist().count("cat")
    3
    """

    def __init__(self, labels: ArrayLike, count: int | None = None) -> None:
        self._members = members("BalancedSampler", labels)
        self._count = _count("BalancedSampler", count, sum(map(len, self._members)), 0, True)

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Each class in permutations of its own, all of them mixed."""
        classes = len(self._members)
        # The classes that have one more than others, where it does not come out even.
        more = set(rng.permutation(classes)[: self._count % classes].tolist())
        parts = []
        for number, members in enumerate(self._members):
            share = self._count // classes + (number in more)
            parts += [
                np.concatenate([rng.permutation(members) for _ in range(-(-share // len(members)))] or [members])[
                    :share
                ]
            ]
        return rng.permutation(np.concatenate(parts))


class StratifiedSampler(Sampler):
    """All samples, every stretch of the order with the classes in proportion: so are the batches cut from it.

    `labels` (n,) has the class of each sample. The members of a class come in a random order, at equal distances.

    >>> labels = np.repeat([0, 1], [80, 20])
    >>> order = StratifiedSampler(labels).order(np.random.default_rng(0))
    >>> labels[order].reshape(5, 20).sum(axis=1)
    array([4, 4, 4, 4, 4])
    """

    repeats = False

    def __init__(self, labels: ArrayLike) -> None:
        self._members = members("StratifiedSampler", labels)

    def __len__(self) -> int:
        return sum(map(len, self._members))

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The members of each class, shuffled, at equal distances."""
        parts = [rng.permutation(part) for part in self._members]
        return evenly(parts, rng.random(len(parts)))


class LengthBatchSampler(BatchSampler):
    """Batches of samples of similar length, so that little is padded; batches come in a random order.

    `lengths` (n,) has the length of each sample. A batch has `batch_size` samples; or with `max_total` as many as fit,
    where one of n samples whose longest is l counts n * l (its size when padded). Give one of the two.

    >>> batches = LengthBatchSampler([5, 1, 5, 1], batch_size=2).batches(np.random.default_rng(0))
    >>> sorted(sorted(batch.tolist()) for batch in batches)
    [[0, 2], [1, 3]]
    >>> [len(b) for b in LengthBatchSampler([1, 2, 9, 2], max_total=9, shuffle=False).batches(np.random.default_rng(0))]
    [3, 1]
    """

    repeats = False

    def __init__(
        self,
        lengths: ArrayLike,
        batch_size: int | None = None,
        *,
        max_total: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        found = np.asarray(lengths)
        if found.ndim != 1 or (found.size and (found.dtype.kind not in "iu" or found.min() < 0)):
            raise ValueError(
                f"LengthBatchSampler() needs lengths (n,) as integers of 0 or more, got {found.dtype} {found.shape}"
            )
        if (batch_size is None) == (max_total is None):
            raise TypeError("LengthBatchSampler() needs one of batch_size= and max_total=")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"LengthBatchSampler() needs a batch_size of at least 1, got {batch_size}")
        if max_total is not None and found.size and found.max() > max_total:
            longest = int(found.argmax())
            raise ValueError(
                f"LengthBatchSampler() cannot put sample {longest}, of length {found[longest]}, into a batch of "
                f"max_total={max_total}"
            )
        self._lengths, self._shuffle = found, shuffle
        self._cuts = self._cut(np.sort(found).tolist(), batch_size, max_total)
        if drop_last and batch_size is not None and len(found) % batch_size:
            self._cuts.pop()

    @staticmethod
    def _cut(lengths: list[int], batch_size: int | None, max_total: int | None) -> list[int]:
        """Where batches begin and end among the samples by length: the same whatever the chance among equals."""
        if batch_size is not None:
            return [*range(0, len(lengths), batch_size), len(lengths)]
        cuts = [0]
        for place, length in enumerate(lengths):
            if max_total is not None and length * (place + 1 - cuts[-1]) > max_total:
                cuts.append(place)
        return [*cuts, len(lengths)] if lengths else cuts

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def batches(self, rng: np.random.Generator) -> Sequence[NDArray[np.int64]]:
        """Sorted by length, equals in a random order, cut, and the batches shuffled."""
        mixed = rng.permutation(len(self._lengths)) if self._shuffle else np.arange(len(self._lengths))
        order = mixed[np.argsort(self._lengths[mixed], kind="stable")]
        numbers = rng.permutation(len(self)) if self._shuffle else np.arange(len(self))
        return [order[self._cuts[number] : self._cuts[number + 1]] for number in numbers.tolist()]


def _number(samples: int | Sized) -> int:
    return len(samples) if isinstance(samples, Sized) else samples


def _count(who: str, count: int | None, default: int, most: int, replacement: bool) -> int:
    if count is None:
        return default if replacement else int(most)
    if count < 0 or (count > most and not replacement):
        raise ValueError(f"{who}(count={count}): there are {most} to draw; with replacement=True some may come again")
    return count


def members(who: str, labels: ArrayLike, samples: int | None = None) -> list[NDArray[np.int64]]:
    """The numbers of the samples of each class, from the class of each sample.

    Raises:
        ValueError: there is not one class for each of so many samples.

    >>> members("split", ["b", "a", "b"])
    [array([1]), array([0, 2])]
    """
    found = np.asarray(labels)
    if found.ndim != 1 or (samples is not None and len(found) != samples):
        wanted = "n" if samples is None else samples
        raise ValueError(f"{who}() needs labels ({wanted},), one per sample, got shape {found.shape}")
    _, classes = np.unique(found, return_inverse=True)
    order = np.argsort(classes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(classes))[:-1]) if len(found) else []


def evenly(parts: list[NDArray[np.int64]], begin: NDArray[np.float64]) -> NDArray[np.int64]:
    """Several lists merged into one, with the numbers of each list evenly spread over it.

    The k-th of n stands at (k + begin) / n between 0 and 1, where `begin`, from 0 to 1, is a number for each list.

    >>> evenly([np.array([1, 2, 3, 4]), np.array([7, 8])], np.array([0.5, 0.5]))
    array([1, 7, 2, 3, 8, 4])
    """
    if not parts:
        return np.arange(0)
    at = [(np.arange(len(part)) + first) / len(part) for part, first in zip(parts, begin, strict=True)]
    return np.concatenate(parts)[np.argsort(np.concatenate(at), kind="stable")]
