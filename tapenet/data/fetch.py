"""Making one batch, here or in a worker: draw its samples, collate them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapenet.data.collation import PadCollate, collate
from tapenet.data.dataset import Dataset, Samples, Subset, draw, is_random, takes_rng
from tapenet.data.stream import Stream


class Task(NamedTuple):
    """One batch to make."""

    seed: int
    epoch: int
    #: Its number in the epoch.
    number: int
    #: How many samples of the epoch come before it.
    before: int
    #: The numbers of its samples (n,); of a stream the samples, as they were read.
    samples: Any


class Fetch:
    """Makes batches of tasks; what it makes of a task depends on nothing else. Worker processes get a copy."""

    def __init__(
        self,
        dataset: Samples[object] | Stream[object],
        put_together: Callable[..., object] | None,
        transform: Callable[..., object] | None,
        *,
        alone: bool,
        repeats: bool,
    ) -> None:
        """`put_together` makes a batch of samples (None: `collate`, or the data set's own way); with `alone` a batch is one
        sample as it is; with `repeats` a sample may come several times in an epoch."""
        self._dataset, self._transform = dataset, transform
        self._alone, self._repeats = alone, repeats
        self._is_random = dataset.is_random if isinstance(dataset, Stream) else is_random(dataset)
        self._transform_takes_rng = transform is not None and takes_rng(transform)
        self._rows = None if put_together or alone or self._is_random else rows_of(dataset)
        self._put_together = put_together or collate

    def __call__(self, task: Task) -> object:
        """The batch."""
        if self._rows is not None:
            batch = self._rows(task.samples)
            _check_rows(self._dataset, batch, len(task.samples))
        else:
            numbers: Sequence[int] = range(task.before, task.before + len(task.samples))
            if not isinstance(self._dataset, Stream):
                numbers = task.samples.tolist()
            samples = self._draw(task, numbers)
            if self._alone:
                batch = samples[0]
            elif self._put_together is collate or isinstance(self._put_together, PadCollate):
                batch = self._put_together(samples, numbers)
            else:
                batch = self._put_together(samples)
        if self._transform is None:
            return batch
        if not self._transform_takes_rng:
            return self._transform(batch)
        return self._transform(batch, rng=Generators(task.seed, task.epoch)(task.number, of_batches=True))

    def _draw(self, task: Task, numbers: Sequence[int]) -> list[object]:
        dataset, samples = self._dataset, []
        generators = Generators(task.seed, task.epoch) if self._is_random else None
        number, rng = task.before, None
        try:
            for place, number in enumerate(numbers):
                if generators is not None:
                    rng = generators(number, 1 + task.before + place if self._repeats else 0)
                if isinstance(dataset, Stream):
                    samples.append(dataset.finish(task.samples[place], rng))
                else:
                    samples.append(draw(dataset, number, rng))
        except Exception as error:
            error.add_note(f"tapenet.data: this was sample {number}, for batch {task.number} of epoch {task.epoch}")
            raise
        return samples


def _check_rows(dataset: object, batch: object, count: int) -> None:
    """Raise ValueError unless the arrays of a batch that a data set made at once have a row for each sample."""
    for part in batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple) else (batch,):
        if isinstance(part, (np.ndarray, np.generic)) and part.shape[:1] != (count,):
            whole = dataset.dataset if isinstance(dataset, Subset) else dataset
            raise ValueError(
                f"{type(whole).__name__}.take(indices) was asked for {count} samples and gave an array of shape {part.shape}: "
                f"each array of the batch has its samples along the first axis, ({count}, ...)"
            )


def rows_of(dataset: Samples[object] | Stream[object]) -> Callable[[NDArray[np.int64]], object] | None:
    """What gives the samples of some numbers as one batch, where a `Dataset` or the whole it is a part of can.

    Foreign types have a `take` that means something else.

    >>> rows_of([1, 2]) is None
    True
    """
    if isinstance(dataset, Subset):
        return None if rows_of(dataset.dataset) is None else _PartOf(dataset)
    return getattr(dataset, "take", None) if isinstance(dataset, Dataset) else None


class _PartOf:
    def __init__(self, part: Subset[object]) -> None:
        self._part = part

    def __call__(self, numbers: NDArray[np.int64]) -> object:
        take = rows_of(self._part.dataset)
        assert take is not None
        return take(self._part.indices[numbers])


class Generators:
    """Random generators of the samples of an epoch. One is good until the next is asked for: they share their memory.

    Philox makes its numbers from a key and a counter, here the seed and epoch, and the sample's number: to turn to
    another sample costs 2 µs, where a new generator costs 20.

    >>> generators = Generators(seed=0, epoch=1)
    >>> first = generators(5).random()
    >>> generators(6).random() != first, generators(5).random() == first
    (True, True)
    """

    def __init__(self, seed: int, epoch: int) -> None:
        self._bits = np.random.Philox(key=(epoch << 64) | seed)
        self._state = self._bits.state
        self._counter = self._state["state"]["counter"]
        self._rng = np.random.Generator(self._bits)

    def __call__(self, number: int, occurrence: int = 0, *, of_batches: bool = False) -> np.random.Generator:
        """The generator of a sample; `occurrence` tells those apart that come several times."""
        self._counter[:] = 0, number, occurrence, of_batches
        self._bits.state = self._state
        return self._rng
