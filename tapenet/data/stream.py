"""Streams: samples one after the other, their number unknown. From iterators and functions that make them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar, cast

import numpy as np

from tapenet.data.dataset import takes_rng

Sample = TypeVar("Sample")
Out = TypeVar("Out")


class Stream(Generic[Sample]):
    """Samples from a function that makes an iterator, as a generator function, or from anything to loop over.

    Every epoch asks for a new iterator; a function with a parameter named `rng` gets a random generator for each. An
    iterator that is given itself can be read once. A loader reads the stream in one place and in order, and lets its
    workers do what `map` adds.

    A loader that is resumed skips the samples that were read before; an iterator with the methods `state_dict()` and
    `load_state_dict(state)` is put where it was.

    >>> def lines():
    ...     yield "one"
    ...     yield "two"
    >>> list(Stream(lines)), list(Stream(lines).map(len))
    (['one', 'two'], [3, 3])
    """

    def __init__(self, source: Callable[..., Iterable[Sample]] | Iterable[Sample]) -> None:
        if not callable(source) and not hasattr(source, "__iter__"):
            raise TypeError(f"Stream() needs a function that makes an iterator, or one to loop over; got {source!r}")
        self._source = source
        self._functions: tuple[tuple[Callable[..., object], bool], ...] = ()
        self._buffer = 0
        self._read_once = _OnlyOnce(iter(source) is source) if isinstance(source, Iterable) else _OnlyOnce(False)

    def map(self, function: Callable[..., Out]) -> Stream[Out]:
        """The stream of `function(sample)`; a parameter named `rng` gets a random generator, as in `Dataset.map`."""
        mapped = copy.copy(self)
        mapped._functions = (*self._functions, (function, takes_rng(function)))
        return cast("Stream[Out]", mapped)

    def shuffle(self, buffer: int) -> Stream[Sample]:
        """The stream mixed: each sample is drawn from the `buffer` samples that were read and not yet given.

        Raises:
            ValueError: `buffer` is less than 1.

        >>> mixed = list(Stream(range(8)).shuffle(buffer=4))
        >>> sorted(mixed), mixed[0] < 4
        ([0, 1, 2, 3, 4, 5, 6, 7], True)
        """
        if buffer < 1:
            raise ValueError(f"Stream.shuffle() needs a buffer of at least 1 sample, got {buffer}")
        mixed = copy.copy(self)
        mixed._buffer = buffer
        return mixed

    @property
    def is_random(self) -> bool:
        """Whether a function of `map` uses a generator."""
        return any(random for _, random in self._functions)

    def open(self, rng: np.random.Generator) -> Iterator[object]:
        """A new iterator over the samples as they are before `map`."""
        self._read_once.check()
        if isinstance(self._source, Iterable):
            samples = iter(self._source)
        else:
            samples = iter(self._source(rng=rng) if takes_rng(self._source) else self._source())
        return _mixed(samples, self._buffer, rng.spawn(1)[0]) if self._buffer else samples

    def finish(self, sample: object, rng: np.random.Generator | None) -> Sample:
        """What `map` makes of a sample."""
        for function, random in self._functions:
            sample = function(sample, rng=rng) if random else function(sample)
        return cast("Sample", sample)

    def __iter__(self) -> Iterator[Sample]:
        rng = np.random.default_rng()
        return (self.finish(sample, rng) for sample in self.open(rng))


def _mixed(samples: Iterator[Sample], buffer: int, rng: np.random.Generator) -> Iterator[Sample]:
    waiting = list(itertools.islice(samples, buffer))
    for sample in samples:
        place = int(rng.integers(len(waiting)))
        drawn, waiting[place] = waiting[place], sample
        yield drawn
    rng.shuffle(waiting)
    yield from waiting


class _OnlyOnce:
    """Allows one pass over an iterator; shared by a stream and those that `map` made of it."""

    def __init__(self, once: bool) -> None:
        self._once, self._used = once, False

    def check(self) -> None:
        if self._once and self._used:
            raise RuntimeError(
                "this stream's iterator has been read, and cannot be read again; for several epochs give a function that makes "
                "one: Stream(function)"
            )
        self._used = True
