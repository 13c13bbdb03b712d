"""The check of data sources finds what is wrong with one, and tapenet's own pass it."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.data import ArrayDataset, Dataset, Stream
from tapenet.testing import check_data

ROWS = ArrayDataset(np.arange(20.0).reshape(10, 2), np.arange(10))


class Waves(Dataset[Any]):
    """A right one, from which the wrong ones differ."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        return np.sin(np.arange(4.0) * index), index


class Noisy(Waves):
    def draw(self, index: int, rng: Any) -> Any:
        wave, label = self[index]
        return wave + rng.normal(size=4), label


class Taken(Waves):
    def take(self, indices: Any) -> Any:
        return np.stack([self[i][0] for i in indices]), np.asarray(indices)


def numbers() -> Any:
    yield from ((np.full(2, i), i) for i in range(7))


def drawn(rng: Any) -> Any:
    yield from (rng.normal(size=2) for _ in range(7))


def noise(sample: Any, rng: Any) -> Any:
    return sample[0] + rng.normal()


@pytest.mark.parametrize(
    "source",
    [
        Waves(), Noisy(), Taken(), ROWS, ROWS.subset([3, 1, 7]), ROWS.map(noise), ROWS + ROWS, tn.data.iris(), range(7),
        [{"a": np.zeros(2), "b": "x"}, {"a": np.ones(2), "b": "y"}], numbers, drawn, Stream(numbers),
        Stream(numbers).map(noise), Stream(numbers).shuffle(3), Waves().map(lambda sample: sample[0]),
    ],
)  # fmt: skip
def test_right_ones_pass(source: Any) -> None:
    check_data(source)


def test_samples_of_different_lengths_need_their_own_collation() -> None:
    ragged = [np.zeros(i) for i in range(1, 5)]
    with pytest.raises(
        AssertionError, match=r"its samples do not make a batch: ValueError: cannot collate: .*PadCollate"
    ):
        check_data(ragged)
    check_data(ragged, collate=tn.data.PadCollate())


class Random(Waves):
    def __getitem__(self, index: int) -> Any:
        return np.random.normal(size=4)


class Counting(Waves):
    asked = 0

    def __getitem__(self, index: int) -> Any:
        self.asked += 1
        return float(self.asked)


class DrawsElsewhere(Noisy):
    def draw(self, index: int, rng: Any) -> Any:
        return np.random.normal(size=4)


class OneBuffer(Waves):
    def __init__(self) -> None:
        self.buffer = np.zeros(4)

    def __getitem__(self, index: int) -> Any:
        self.buffer[:] = index
        return self.buffer


class TooLong(Waves):
    def __getitem__(self, index: int) -> Any:
        return [0.0, 1.0, 2.0][index]


class Endless:
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> int:
        return index


class WithoutLength:
    def __getitem__(self, index: int) -> int:
        return index


class Empty(Waves):
    def __len__(self) -> int:
        return 0


class Sorts(Taken):
    def take(self, indices: Any) -> Any:
        return super().take(np.sort(indices))


class Views(Taken):
    def __init__(self) -> None:
        self.all = np.arange(40.0).reshape(10, 4)

    def __getitem__(self, index: int) -> Any:
        return self.all[index].copy()

    def take(self, indices: Any) -> Any:
        self.batch = vars(self).get("batch", self.all[indices])
        return self.batch


class Locked(Waves):
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Mixed(Waves):
    def __getitem__(self, index: int) -> Any:
        return index if index % 2 else float(index)


def one_buffer() -> Any:
    buffer = np.zeros(2)
    for i in range(7):
        buffer[:] = i
        yield buffer


_turns = itertools.count()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            Random(),
            r"check_data\(Random\): sample 0 is another each time it is asked for: draw random numbers in `draw",
        ),
        (Counting(), r"sample 0 is another each time"),
        (DrawsElsewhere(), r"sample 0 draws from NumPy's global generator"),
        (OneBuffer(), r"sample 0 changed when others were asked for: it gives the same array again and again"),
        (TooLong(), r"sample 3 of 10 fails: IndexError"),
        (Endless(), r"sample 5 of 5 is none, and is to be an IndexError: without it a Python loop .* does not end"),
        (WithoutLength(), r"a DataLoader does not take it: TypeError: .* has __getitem__ and no __len__"),
        (Empty(), r"it is empty"),
        (Sorts(), r"take\(\[9, .*\]\) gives another batch than these samples one by one"),
        (Views(), r"writing into what take\(indices\) gave changes the data set"),
        (Locked(), r"worker processes cannot be sent it: TypeError: cannot pickle '_thread.lock'"),
        (Mixed(), r"its samples do not make a batch: ValueError: cannot collate: sample 1 is a int, sample 0 a float"),
        (iter([1, 2, 3]), r"it can be read once, and training needs an epoch more than once: give a function"),
        (lambda: iter(()), r"it gives no sample"),
        (lambda: (np.random.normal(size=2) for _ in range(5)), r"a second epoch of the same seed gives other samples"),
        (lambda: iter([next(_turns)] * 3), r"a second epoch of the same seed gives other samples: it keeps something"),
        (one_buffer, r"a sample changed when the next was asked for"),
        (lambda: 1 / 0, r"looping over it fails: ZeroDivisionError"),
    ],
)
def test_wrong_sources_are_named(source: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_data(source)
