"""Batches of a data set, that go on where a saved run stopped."""

from __future__ import annotations

import collections
import contextlib
import itertools
import operator
import os
import warnings
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Literal, Protocol, Self, TypedDict, TypeVar, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from tapenet.data.array_dataset import ArrayDataset
from tapenet.data.dataset import Samples
from tapenet.data.fetch import Fetch, Task
from tapenet.data.loader_arguments import checked_size, fresh_seed, nothing_left
from tapenet.data.loader_position import Position, restored
from tapenet.data.samplers import BatchSampler, RandomSampler, Sampler, SequentialSampler
from tapenet.data.stream import Stream
from tapenet.data.worker_processes import Processes
from tapenet.data.worker_threads import Threads
from tapenet.typing import StateDict

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)
A = TypeVar("A", bound=np.generic)
B = TypeVar("B", bound=np.generic)


class Rows(Samples[Any], Protocol[Batch_co]):
    """A data set that gives the samples of a whole batch at once."""

    def take(self, indices: NDArray[np.int64]) -> Batch_co:
        """The batch of the samples of these numbers."""


class Options(TypedDict, total=False):
    """What a loader takes beside the data set and what makes a batch of it."""

    shuffle: bool
    seed: int | np.random.Generator | None
    sampler: Sampler | Iterable[int] | None
    batch_sampler: BatchSampler | Iterable[object] | None
    drop_last: bool
    workers: int
    kind: Literal["thread", "process"]
    prefetch: int
    persistent: bool
    start_method: str | None


class DataLoader(Generic[Batch]):
    """The batches of a data set, to loop over once per epoch.

    `dataset` is anything with a length and samples by number: a `Dataset`, a list, an array, a tuple or dict of arrays
    (their rows are the samples). Or it is a stream: a `Stream`, a function that makes an iterator, or anything else to loop
    over.

    A batch has `batch_size` samples, the last one what remains unless `drop_last`; with `batch_size=None` each sample
    comes alone, as it is. Samples are put together by `collate(samples)`; by default as `tapenet.data.collate` does, and
    from arrays by taking all rows at once. `transform(batch)` is then applied to the whole batch. If it has a
    parameter named `rng` it gets a random generator, as functions of `Dataset.map` do for a sample.

    The order is that of the data set; with `shuffle` a new random one in each epoch; or that of `sampler`, a `Sampler` or
    anything that gives sample numbers. A `batch_sampler`, a `BatchSampler` or anything that gives lists of sample numbers,
    says which samples make each batch. Streams come as they are.

    The order and all random generators follow from `seed` and the number of the epoch. A seed is an integer of 0 or more;
    a `np.random.Generator`, from which one is drawn; or None for one from NumPy's global generator.

    `state_dict()` has the epoch, the number of batches that were given in it, and the seed. After `load_state_dict(state)`
    the next loop goes on behind them, and gives what the saved loader would have given, bit for bit. If all were given
    but the loop had not ended, the next loop is empty. Loops may overlap; the state is that of the one begun last.

    With `workers` batches are made by so many threads, or with `kind="process"` processes, up to `prefetch` for each of
    them before they are asked for. The batches are the same with any number of workers of either kind. Threads are for
    long work of NumPy, Pillow or the disk, which let other threads run; processes for samples made in Python. They are
    started by `start_method` ("fork", "spawn", "forkserver"; None for Python's default) for each loop, or once if they
    are `persistent`: then they work on the data set as it was at that time. What they make comes by shared memory. A
    stream is read in this process; workers do what its `map` adds. An error in a worker is raised here, and says in
    which sample and where it was. Leaving the loop ends the workers; so does `close()`, or leaving `with
    DataLoader(...) as loader:`.

    Raises:
        TypeError: an argument is of the wrong kind, or two exclude each other.
        ValueError: `batch_size` is less than 1, or arrays differ in length.

    Where `drop_last` leaves no batch at all a warning says so.

    >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> loader = DataLoader((x, y), batch_size=2, shuffle=True, seed=0)
    >>> for xs, ys in loader:
    ...     print(xs.shape, ys)
    (2, 2) [2 4]
    (2, 2) [3 0]
    (1, 2) [1]
    >>> batches = iter(loader)
    >>> first, state = next(batches), loader.state_dict()
    >>> resumed = DataLoader((x, y), batch_size=2, shuffle=True)
    >>> resumed.load_state_dict(state)
    >>> [ys.tolist() for _, ys in resumed] == [ys.tolist() for _, ys in batches]
    True
    """

    @overload
    def __init__(
        self: DataLoader[Batch_co],
        dataset: Rows[Batch_co],
        batch_size: int = 32,
        *,
        collate: None = None,
        transform: None = None,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: DataLoader[tuple[NDArray[A], NDArray[B]]],
        dataset: tuple[NDArray[A], NDArray[B]],
        batch_size: int = 32,
        *,
        collate: None = None,
        transform: None = None,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: DataLoader[Batch_co],
        dataset: object,
        batch_size: int = 32,
        *,
        collate: Callable[[list[object]], Batch_co],
        transform: None = None,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: DataLoader[Batch_co],
        dataset: object,
        batch_size: int | None = 32,
        *,
        collate: Callable[..., object] | None = None,
        transform: Callable[..., Batch_co],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: DataLoader[object],
        dataset: object,
        batch_size: int | None = 32,
        *,
        collate: Callable[..., object] | None = None,
        transform: Callable[..., object] | None = None,
        **options: Unpack[Options],
    ) -> None: ...
    def __init__(
        self,
        dataset: object,
        batch_size: int | None = 32,
        *,
        shuffle: bool = False,
        seed: int | np.random.Generator | None = None,
        sampler: Sampler | Iterable[int] | None = None,
        batch_sampler: BatchSampler | Iterable[object] | None = None,
        collate: Callable[..., object] | None = None,
        transform: Callable[..., object] | None = None,
        drop_last: bool = False,
        workers: int = 0,
        kind: Literal["thread", "process"] = "thread",
        prefetch: int = 2,
        persistent: bool = False,
        start_method: str | None = None,
        **unknown: object,
    ) -> None:
        for name in unknown:
            raise _unknown(name)
        self.dataset: Samples[object] | Stream[object] = _dataset(dataset)
        self._samples = None if isinstance(self.dataset, Stream) else len(self.dataset)
        self.batch_size = None if batch_size is None else checked_size("DataLoader()", batch_size, self._samples)
        if drop_last and batch_sampler is not None:
            raise TypeError("DataLoader() got drop_last and batch_sampler: the sampler alone says what the batches are")
        self._drop_last = drop_last
        self._order = _order(self.dataset, shuffle, sampler, batch_sampler)
        self._by_batches = batch_sampler is not None
        self._seed = _seed(seed)
        self._fetch = Fetch(
            self.dataset,
            collate,
            transform,
            alone=batch_size is None and not self._by_batches,
            repeats=getattr(self._order, "repeats", True),
        )
        self._workers, self._kind, self._ahead = _checked_workers(workers, kind, prefetch, start_method)
        self._persistent, self._start_method = persistent, start_method
        self._idle: Processes | None = None
        self._at_work: weakref.WeakSet[Threads[Task, object] | Processes] = weakref.WeakSet()
        self._position = Position()
        #: Takes from the samples of a batch those of this rank.
        self._part: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None
        if drop_last and self._samples and not self._by_batches and 0 < self._count() < (self.batch_size or 1):
            text = nothing_left("DataLoader()", self._count(), self.batch_size or 1)
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    @property
    def epoch(self) -> int:
        """The number of the epoch that the loop begun last is in, or the next one if it has ended; the first is 0."""
        return self._position.epoch

    def _count(self) -> int:
        """How many samples an epoch has, or with a batch sampler how many batches."""
        if isinstance(self.dataset, Stream):
            raise TypeError("the length of a stream is not known: a DataLoader over one has no len()")
        return len(self._order)

    def __len__(self) -> int:
        count = self._count()
        if self._by_batches:
            return count
        size = self.batch_size or 1
        return count // size if self._drop_last else -(-count // size)

    def __iter__(self) -> Iterator[Batch]:
        # Begun here, not in a generator's first step: loops get their epochs in the order they were begun.
        place = self._position = self._position.begin()
        if hasattr(self._order, "state_dict"):
            if place.inner is not None:
                self._order.load_state_dict(place.inner)
            place.inner = self._order.state_dict()
        return self._loop(place)

    def _loop(self, place: Position) -> Generator[Batch, None, None]:
        tasks = self._read(self.dataset, place) if isinstance(self.dataset, Stream) else self._tasks(place)
        owner = os.getpid()
        with contextlib.closing(self._results(tasks)) as results:
            for batch, after in results:
                place.batches += 1
                place.inner = after
                yield batch
                if self._workers and os.getpid() != owner:
                    raise RuntimeError(
                        "this loop began before a fork: its workers give their batches to the parent. "
                        "Begin a new loop in the child"
                    )
        place.end()

    def _results(self, tasks: Iterator[tuple[Task, object]]) -> Generator[tuple[Any, object], None, None]:
        if not self._workers:
            for task, after in tasks:
                yield self._fetch(task), after
        elif self._kind == "thread":
            threads = Threads(self._fetch, tasks, workers=self._workers, ahead=self._ahead)
            self._at_work.add(threads)
            yield from threads.run()
        else:
            yield from self._by_processes(tasks)

    def _by_processes(self, tasks: Iterator[tuple[Task, object]]) -> Generator[tuple[Any, object], None, None]:
        processes, self._idle = self._idle, None
        if processes is None or not processes.usable or processes.owner != os.getpid():
            processes = Processes(
                self._fetch, workers=self._workers, ahead=self._ahead, start_method=self._start_method
            )
            self._at_work.add(processes)
        try:
            yield from processes.run(tasks)
        finally:
            if self._persistent and self._idle is None and processes.usable:
                self._idle = processes
            else:
                processes.close()

    def close(self) -> None:
        """End all workers. A loop that uses some fails; a new one starts its own.

        They end by themselves when a loop ends or is left, and `persistent` ones when the loader is collected.
        """
        for workers in list(self._at_work):
            workers.close()
        self._idle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _tasks(self, place: Position) -> Iterator[tuple[Task, object]]:
        """The batches of an epoch that are still to be made, and what stays the sampler's state during it."""
        before, begin, inner = 0, place.batches, place.inner
        for number, samples in enumerate(self._numbers(np.random.default_rng((self._seed, place.epoch)))):
            if number >= begin:
                own = samples if self._part is None else self._part(samples)
                yield Task(self._seed, place.epoch, number, before, own), inner
            before += len(samples)

    def _numbers(self, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """The sample numbers of each batch of an epoch."""
        order = self._order
        if self._by_batches:
            for batch in order.batches(rng) if isinstance(order, BatchSampler) else order:
                yield _integers("batch_sampler", batch)
            return
        size = self.batch_size or 1
        if isinstance(order, Sampler):
            whole = _integers("sampler", order.order(rng))
            batches = (whole[start : start + size] for start in range(0, len(whole), size))
        else:
            drawn = iter(order)
            batches = (
                _integers("sampler", numbers) for numbers in iter(lambda: list(itertools.islice(drawn, size)), [])
            )
        for numbers in batches:
            if len(numbers) == size or not self._drop_last:
                yield numbers

    def _read(self, stream: Stream[object], place: Position) -> Iterator[tuple[Task, object]]:
        """The batches of a stream, and the state of its iterator behind each."""
        size = self.batch_size or 1
        iterator: Any = stream.open(np.random.default_rng((self._seed, place.epoch)))
        if place.inner is not None:
            iterator.load_state_dict(place.inner)
        else:
            collections.deque(itertools.islice(iterator, place.batches * size), maxlen=0)
        state_dict = getattr(iterator, "state_dict", lambda: None)
        for number in itertools.count(place.batches):
            samples = list(itertools.islice(iterator, size))
            if not samples or (self._drop_last and len(samples) < size):
                return
            yield Task(self._seed, place.epoch, number, number * size, samples), state_dict()

    def _settings(self) -> dict[str, object]:
        """What a saved position depends on."""
        order = None if self._order is None else type(self._order).__name__
        return {"samples": self._samples, "batch_size": self.batch_size, "order": order}

    def state_dict(self) -> StateDict:
        """Where the loop begun last is, as a dict of numbers, strings and None: the epoch, the batches given in it, the seed.

        A stream's iterator or a sampler with a `state_dict()` of its own adds that.
        """
        place = self._position
        inner = place.inner
        if not place.begun and inner is None and hasattr(self._order, "state_dict"):
            inner = self._order.state_dict()
        return {"epoch": place.epoch, "batches": place.batches, "seed": self._seed, "inner": inner, **self._settings()}

    def load_state_dict(self, state: StateDict) -> None:
        """Let the next loop go on where the saved one was.

        Raises:
            ValueError: the state is not a loader's, or one's with another data set, batch size or sampler.
        """
        place = restored("DataLoader", state, {**self._settings(), "seed": state.get("seed")})
        place.inner = state.get("inner")
        self._position, self._seed = place, _seed(state["seed"])


#: Arguments of PyTorch's loader, and what they are here.
_PYTORCHS = {
    "num_workers": "workers=",
    "collate_fn": "collate=",
    "prefetch_factor": "prefetch=",
    "persistent_workers": "persistent=",
    "multiprocessing_context": 'kind="process", start_method=',
    "generator": "seed=",
    "worker_init_fn": "a transform with a parameter rng, which draws the same with any number of workers",
    "pin_memory": "nothing: batches are arrays in memory; leave it out",
}


def _unknown(name: str) -> TypeError:
    said = "" if name not in _PYTORCHS else f" PyTorch's {name} is here {_PYTORCHS[name]}."
    takes = "dataset, batch_size, collate, transform, " + ", ".join(Options.__annotations__)
    return TypeError(f"DataLoader() takes no {name}=.{said} It takes {takes}")


def _dataset(given: object) -> Samples[object] | Stream[object]:
    if isinstance(given, Stream):
        return given
    if isinstance(given, np.ndarray):
        return ArrayDataset(given)
    if isinstance(given, tuple) and given and all(isinstance(part, np.ndarray) for part in given):
        return ArrayDataset(*given)
    if isinstance(given, dict):
        return ArrayDataset(**given)
    if hasattr(given, "iloc") or hasattr(given, "to_pandas"):
        raise TypeError(
            f"DataLoader() got a {type(given).__name__} as data set, of which it cannot know what is to be predicted; write "
            'DataLoader(tn.data.table(frame, target="name of its column"))'
        )
    if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        return cast("Samples[object]", given)
    if hasattr(given, "__iter__") or callable(given):
        return Stream(given)
    title = type(given).__name__
    if hasattr(given, "__getitem__") or hasattr(given, "__len__"):
        has, lacks = ("__getitem__", "__len__") if hasattr(given, "__getitem__") else ("__len__", "__getitem__")
        raise TypeError(
            f"DataLoader() got a {title} as data set, which has {has} and no {lacks}; a data set has a length and samples by "
            f"number: define {lacks}, or give a function that makes an iterator over samples whose number is not known"
        )
    raise TypeError(
        f"DataLoader() got a {title} as data set; give something with a length and samples by number (a "
        "Dataset, a list, arrays), something to loop over, or a function that makes an iterator"
    )


def _order(
    dataset: Samples[object] | Stream[object],
    shuffle: bool,
    sampler: Sampler | Iterable[int] | None,
    batch_sampler: BatchSampler | Iterable[object] | None,
) -> Any:
    given = {"shuffle=True": shuffle, "sampler": sampler is not None, "batch_sampler": batch_sampler is not None}
    names = [name for name, there in given.items() if there]
    if len(names) > 1:
        raise TypeError(
            f"DataLoader() got {' and '.join(names)}: each says in which order samples come; give one of them"
        )
    if isinstance(dataset, Stream):
        if names:
            raise TypeError(
                f"DataLoader() cannot use {names[0]} with a stream, whose samples come in their own order; write "
                "Stream(source).shuffle(buffer=1000)"
            )
        return None
    if sampler is not None or batch_sampler is not None:
        chosen = batch_sampler if sampler is None else sampler
        if hasattr(chosen, "__next__"):
            raise TypeError(
                f"DataLoader() got a {type(chosen).__name__} as {names[0]}, which can be looped over once, so that every "
                "epoch but the first would be empty; give a list, or a Sampler, whose order(rng) gives the order of an epoch"
            )
        return chosen
    return RandomSampler(dataset) if shuffle else SequentialSampler(dataset)


def _checked_workers(workers: int, kind: str, prefetch: int, start_method: str | None) -> tuple[int, str, int]:
    """The number of workers, their kind, and how many batches are begun before their turn."""
    for name, value in (("workers", workers), ("prefetch", prefetch)):
        if not hasattr(value, "__index__"):
            raise TypeError(f"DataLoader() needs an integer {name}, got {value!r}")
    count, each = operator.index(workers), operator.index(prefetch)
    if count < 0 or each < 1:
        raise ValueError(
            f"DataLoader() needs workers of 0 or more and a prefetch of at least 1, got {count} and {each}"
        )
    if kind not in ("thread", "process"):
        raise ValueError(f'DataLoader() needs kind="thread" or kind="process", got {kind!r}')
    if start_method is not None:
        from multiprocessing import get_all_start_methods

        if start_method not in get_all_start_methods():
            raise ValueError(f"DataLoader() needs a start_method among {get_all_start_methods()}, got {start_method!r}")
    return count, kind, count * each


def _seed(given: int | np.random.Generator | None) -> int:
    if given is None:
        return fresh_seed()
    if isinstance(given, np.random.Generator):
        return int(given.integers(2**63 - 1))
    seed = operator.index(given)
    if not 0 <= seed < 2**63:
        raise ValueError(f"DataLoader() needs a seed from 0 to 2**63 - 1, got {seed}")
    return seed


def _integers(who: str, numbers: object) -> NDArray[np.int64]:
    found = np.asarray(numbers)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise TypeError(f"DataLoader's {who} gave {numbers!r}, not sample numbers; give integers (n,)")
    return found.astype(np.int64, copy=False)
