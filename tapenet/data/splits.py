"""Parts of a data set: training and validation, folds."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.data.dataset import Samples, Subset
from tapenet.data.loader_arguments import fresh_seed
from tapenet.data.samplers import evenly, members

Sample = TypeVar("Sample")


def split(
    dataset: Samples[Sample],
    parts: Sequence[float],
    *,
    seed: int | np.random.Generator | None = None,
    shuffle: bool = True,
    stratify: ArrayLike | None = None,
) -> list[Subset[Sample]]:
    """The data set in parts without a common sample: `train, test = split(data, (0.8, 0.2), seed=0)`.

    `parts` are fractions that add up to 1, or numbers of samples that add up to all; of fractions the sizes are rounded so
    that every sample is in one part. Which samples go where is random, unless `shuffle` is False: then parts follow one
    another. Within a part samples keep their order.

    `stratify` has the class of each sample (n,): then each part has of each class about what its size gives (to within one
    or two).

    Raises:
        ValueError: the parts do not add up, one is negative, or there is not one class per sample.

    >>> train, test = split(range(10), (0.7, 0.3), seed=0)
    >>> list(train), list(test)
    ([2, 3, 4, 5, 6, 7, 9], [0, 1, 8])
    >>> labels = np.repeat([0, 1], [6, 4])
    >>> labels[split(labels, (5, 5), seed=0, stratify=labels)[0].indices]
    array([0, 0, 0, 1, 1])
    """
    _check("split", dataset)
    order = _order("split", dataset, seed, shuffle, stratify)
    ends = np.cumsum(_sizes(parts, len(order)))
    return [Subset(dataset, np.sort(part)) for part in np.split(order, ends[:-1])]


def kfold(
    dataset: Samples[Sample],
    folds: int,
    *,
    seed: int | np.random.Generator | None = None,
    shuffle: bool = True,
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Iterator[tuple[Subset[Sample], Subset[Sample]]]:
    """`folds` times the data set in two, `(train, test)`: every sample is in one of the tests.

    Folds differ in size by at most one. `seed`, `shuffle` and `stratify` are those of `split`. `groups` has the group of each
    sample (n,), as the patient an image is of: a group is never in train and test at once. Folds are then as equal in size
    as filling the smallest with the largest group that is left makes them.

    Raises:
        ValueError: there are fewer than 2 folds, fewer samples or groups than folds, or not one class or group per sample.
        TypeError: both `stratify` and `groups` are given.

    >>> [(list(train), list(test)) for train, test in kfold(range(4), 2, shuffle=False)]
    [([2, 3], [0, 1]), ([0, 1], [2, 3])]
    >>> patient = np.array([7, 7, 8, 8, 8, 9])
    >>> [set(patient[test.indices].tolist()) for _, test in kfold(patient, 2, groups=patient, shuffle=False)]
    [{8}, {9, 7}]
    """
    _check("kfold", dataset)
    folds = operator.index(folds)
    if groups is None:
        order = _order("kfold", dataset, seed, shuffle, stratify)
        few, tests = len(order), np.array_split(order, max(folds, 1))
    elif stratify is not None:
        raise TypeError("kfold() takes stratify= or groups=, not both")
    else:
        parts = members("kfold", groups, len(dataset))
        few, tests = len(parts), _filled(parts, folds, np.random.default_rng(_seeded(seed)) if shuffle else None)
    if not 2 <= folds <= few:
        raise ValueError(
            f"kfold() needs from 2 folds to one per {'sample' if groups is None else 'group'}, of which there are {few}; "
            f"got {folds}"
        )
    return _pairs(dataset, tests)


def _check(who: str, dataset: object) -> None:
    """Raise TypeError for a tuple of arrays: as a data set, arrays would be its samples."""
    if isinstance(dataset, tuple) and dataset and all(isinstance(part, np.ndarray) for part in dataset):
        raise TypeError(
            f"{who}() got a tuple of {len(dataset)} arrays, of which each would be one sample; write "
            f"{who}(tn.data.ArrayDataset(x, y), ...)"
        )


def _pairs(
    dataset: Samples[Sample], tests: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[Subset[Sample], Subset[Sample]]]:
    for test in tests:
        outside = np.ones(len(dataset), bool)
        outside[test] = False
        yield Subset(dataset, np.flatnonzero(outside)), Subset(dataset, np.sort(test))


def _filled(groups: list[NDArray[np.int64]], folds: int, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
    """Folds of whole groups: the largest group first, each put into the smallest fold so far. The order of equal
    groups is random."""
    if rng is not None:
        groups = [groups[number] for number in rng.permutation(len(groups)).tolist()]
    filled: list[list[NDArray[np.int64]]] = [[] for _ in range(folds)]
    sizes = [0] * folds
    for group in sorted(groups, key=len, reverse=True):
        smallest = sizes.index(min(sizes))
        filled[smallest].append(group)
        sizes[smallest] += len(group)
    return [np.concatenate(fold) if fold else np.arange(0) for fold in filled]


def _order(
    who: str,
    dataset: Samples[Sample],
    seed: int | np.random.Generator | None,
    shuffle: bool,
    stratify: ArrayLike | None,
) -> NDArray[np.int64]:
    """All sample numbers, to be cut into parts."""
    rng = np.random.default_rng(_seeded(seed)) if shuffle else None
    if stratify is None:
        return np.arange(len(dataset)) if rng is None else rng.permutation(len(dataset))
    parts = members(who, stratify, len(dataset))
    return evenly(parts if rng is None else [rng.permutation(part) for part in parts], np.full(len(parts), 0.5))


def _seeded(seed: int | np.random.Generator | None) -> int | np.random.Generator:
    return fresh_seed() if seed is None else seed


def _sizes(parts: Sequence[float], samples: int) -> list[int]:
    """How many samples each part has."""
    if not len(parts) or any(part < 0 for part in parts):
        raise ValueError(f"split() needs parts of 0 or more, got {parts!r}")
    if all(isinstance(part, (int, np.integer)) for part in parts) and list(parts) != [1]:
        if sum(parts) != samples:
            raise ValueError(f"split() got numbers {parts!r} that add up to {sum(parts)}, for {samples} samples")
        return [int(part) for part in parts]
    if abs(sum(parts) - 1) > 1e-9:
        raise ValueError(f"split() got fractions {parts!r} that add up to {sum(parts)}, not 1")
    exact = [part * samples for part in parts]
    sizes = [int(size + 1e-9) for size in exact]
    # The largest remainders get one more.
    for number in sorted(range(len(parts)), key=lambda i: sizes[i] - exact[i])[: samples - sum(sizes)]:
        sizes[number] += 1
    return sizes
