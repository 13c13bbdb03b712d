"""Workers of a loader: the same batches with any number of them, errors that arrive, and nothing left behind."""

from __future__ import annotations

import copyreg
import gc
import glob
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn, optim
from tapenet.data import ArrayDataset, DataLoader, Dataset, Subset
from tapenet.data.shared_memory import Channel
from tapenet.data.worker_threads import Threads
from tests.data.test_loader import SOURCES, Counting, epochs, flat

ROOT = Path(__file__).parents[2]
POSIX = os.name == "posix"
pytestmark = [
    pytest.mark.skipif(not POSIX, reason="starts processes by fork"),
    # Newer Pythons say so of every fork beside threads, as those of BLAS.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
THREADS: dict[str, Any] = {"kind": "thread"}
PROCESSES: dict[str, Any] = {"kind": "process", "start_method": "fork"}


def blocks() -> list[str]:
    """The blocks of shared memory that loaders of this process have."""
    return glob.glob(f"/dev/shm/tn{os.getpid():x}-*")


@pytest.fixture(autouse=True, scope="module")
def _what_was_there_before() -> None:
    """The search for garbage after each test is quick if it leaves out what was there before the first."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before
    assert multiprocessing.active_children() == []
    assert blocks() == []


def until(done: Callable[[], bool]) -> None:
    """Wait; the test fails where a minute is not enough."""
    for _ in range(6000):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for a minute")


def gone(pid: int) -> bool:
    """Whether a process that is not ours has ended."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


class Pids(Dataset[int]):
    """Who makes the sample."""

    def __init__(self, count: int = 12) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> int:
        return os.getpid()


class Large(Dataset[Any]):
    """Samples that do not go through a pipe."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int, /) -> Any:
        return np.full((64, 64), index, np.float32), f"no. {index}"


class Stubborn(Exception):
    """An error that cannot be pickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def fails_at_5(sample: int) -> int:
    if sample == 5:
        raise KeyError("not this one")
    return sample


def noisy_row(row: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    return row + rng.normal(size=4).astype(np.float32), row[:1]


def numbers(count: int, function: Callable[..., Any]) -> Dataset[Any]:
    return Subset(range(count), np.arange(count)).map(function)


class TestTheSameBatches:
    @pytest.mark.parametrize("source", SOURCES)
    @settings(max_examples=12)
    @given(
        samples=st.integers(0, 20),
        batch_size=st.integers(1, 6),
        drop_last=st.booleans(),
        shuffle=st.booleans(),
        workers=st.integers(1, 4),
        prefetch=st.integers(1, 3),
        data=st.data(),
    )
    def test_of_threads_and_after_resuming(
        self,
        source: str,
        samples: int,
        batch_size: int,
        drop_last: bool,
        shuffle: bool,
        workers: int,
        prefetch: int,
        data: Any,
    ) -> None:
        self.check(source, samples, batch_size, drop_last, shuffle, data, workers=workers, prefetch=prefetch, **THREADS)

    @pytest.mark.parametrize("source", SOURCES)
    @settings(max_examples=3)
    @given(
        samples=st.integers(0, 20),
        batch_size=st.integers(1, 6),
        drop_last=st.booleans(),
        shuffle=st.booleans(),
        workers=st.integers(1, 3),
        prefetch=st.integers(1, 3),
        data=st.data(),
    )
    def test_of_processes_and_after_resuming(
        self,
        source: str,
        samples: int,
        batch_size: int,
        drop_last: bool,
        shuffle: bool,
        workers: int,
        prefetch: int,
        data: Any,
    ) -> None:
        self.check(
            source, samples, batch_size, drop_last, shuffle, data, workers=workers, prefetch=prefetch, **PROCESSES
        )

    def check(
        self,
        source: str,
        samples: int,
        batch_size: int,
        drop_last: bool,
        shuffle: bool,
        data: st.DataObject,
        **workers: Any,
    ) -> None:
        shuffle = shuffle and "stream" not in source

        def make(seed: int, **options: Any) -> DataLoader[Any]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a drop_last that leaves nothing
                return DataLoader(
                    SOURCES[source](samples), batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last, **options
                )

        expected = epochs(make(0))
        saved = make(0, **workers)
        assert epochs(saved, 1) == expected[:1]
        stop = data.draw(st.integers(0, len(expected[1])))
        loop = iter(saved)
        assert [flat(next(loop)) for _ in range(stop)] == expected[1][:stop]
        for options in ({}, workers):
            resumed = make(1, **options)
            resumed.load_state_dict(saved.state_dict())
            assert epochs(resumed, 1) == [expected[1][stop:]]

    @pytest.mark.slow
    @pytest.mark.parametrize("source", ["arrays", "part", "samples", "list"])
    @pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
    def test_of_processes_that_begin_from_nothing(self, source: str, start_method: str) -> None:
        plain, spawned = (
            DataLoader(SOURCES[source](20), 3, shuffle=True, seed=0, **options)
            for options in ({}, {"kind": "process", "workers": 2, "start_method": start_method, "persistent": True})
        )
        assert epochs(spawned) == epochs(plain)

    def test_global_generators_in_processes(self) -> None:
        def draw(sample: int) -> tuple[float, float]:
            return float(np.random.random()), random.random()

        one, three = (epochs(DataLoader(numbers(12, draw), 2, workers=n, seed=0, **PROCESSES)) for n in (1, 3))
        assert one == three
        values = [value for epoch in one for batch in epoch for part in batch[1:] for value in part[3]]
        assert len(set(values)) == 48

    def test_work_is_done_ahead_and_no_further(self) -> None:
        read: list[int] = []

        def make() -> Iterator[int]:
            for number in range(100):
                read.append(number)
                yield number

        loop = iter(DataLoader(make, 2, workers=2, prefetch=2, **THREADS))
        next(loop)
        until(lambda: len(read) == 10)  # what was given, and 4 batches more
        next(loop)
        until(lambda: len(read) == 12)

    @pytest.mark.parametrize("options", [THREADS, PROCESSES])
    def test_the_state_is_of_what_was_given_not_of_what_was_read(self, options: dict[str, Any]) -> None:
        saved = DataLoader(lambda: Counting(50), 3, workers=3, prefetch=3, **options)
        loop = iter(saved)
        for _ in range(4):
            next(loop)
        assert saved.state_dict()["inner"] == {"next": 12}

    def test_far_ahead(self) -> None:
        """More messages than a pipe holds."""
        loader = DataLoader(np.arange(200_000), 100, workers=1, prefetch=3000, **PROCESSES)
        assert sum(len(batch) for batch in loader) == 200_000


class TestErrors:
    @pytest.mark.parametrize("options", [{}, {**THREADS, "workers": 2}, {**PROCESSES, "workers": 2}])
    def test_arrive_with_type_sample_and_traceback(self, options: dict[str, Any]) -> None:
        loader = DataLoader(numbers(12, fails_at_5), 2, **options)
        for _ in range(2):
            loop = iter(loader)
            assert [next(loop).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
            with pytest.raises(KeyError, match="not this one") as caught:
                next(loop)
            notes = "\n".join(caught.value.__notes__)
            assert "this was sample 5, for batch 2 of epoch" in notes
            if options.get("kind") == "process":
                assert "in worker 0 (process" in notes
                assert 'raise KeyError("not this one")' in notes
            else:
                assert caught.traceback[-1].name == "fails_at_5"

    @pytest.mark.parametrize("options", [THREADS, PROCESSES])
    def test_of_a_loop_that_began_before_a_fork(self, options: dict[str, Any]) -> None:
        """The child would wait for threads that it has not, or take the parent's batches."""
        loader = DataLoader(np.arange(12), 2, workers=2, **options)
        loop = iter(loader)
        first = next(loop).tolist()
        child = os.fork()
        if child == 0:
            try:
                with pytest.raises(RuntimeError, match="began before a fork"):
                    next(loop)
                os._exit(0 if next(iter(loader)).tolist() == first else 1)
            finally:
                os._exit(2)
        watch = threading.Timer(30, os.kill, (child, signal.SIGKILL))
        watch.start()
        status = os.waitpid(child, 0)[1]
        watch.cancel()
        watch.join()
        assert status == 0
        assert [first, *(b.tolist() for b in loop)] == np.arange(12).reshape(6, 2).tolist()

    def test_that_cannot_be_pickled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(copyreg.dispatch_table, Stubborn, raising=False)  # Dask makes every exception picklable

        def fail(sample: int) -> int:
            raise Stubborn("one", "two")

        with pytest.raises(RuntimeError, match="Stubborn: one and two") as caught:
            list(DataLoader(numbers(3, fail), 2, workers=1, **PROCESSES))
        assert "in fail" in "\n".join(caught.value.__notes__)

    def test_a_batch_that_cannot_be_sent(self) -> None:
        loader = DataLoader([1, 2], 2, collate=lambda samples: lambda: samples, workers=1, **PROCESSES)
        with pytest.raises(Exception, match="pickle") as caught:
            list(loader)
        assert "raised in worker 0" in "\n".join(caught.value.__notes__)

    @pytest.mark.parametrize("options", [THREADS, PROCESSES])
    def test_of_a_stream_come_in_their_place(self, options: dict[str, Any]) -> None:
        def make() -> Iterator[int]:
            yield from range(4)
            raise OSError("the line went dead")

        loop = iter(DataLoader(make, 2, workers=2, **options))
        assert [next(loop).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
        with pytest.raises(OSError, match="the line went dead"):
            next(loop)

    def test_a_killed_worker(self) -> None:
        loader = DataLoader(Pids(400), 2, workers=2, **PROCESSES)
        loop = iter(loader)
        first, second = int(next(loop)[0]), int(next(loop)[0])
        assert first != second
        os.kill(second, signal.SIGKILL)
        with pytest.raises(RuntimeError, match=rf"worker 1 of the loader \(process {second}\) was ended by SIGKILL"):
            list(loop)
        assert len(list(loader)) == 200

    def test_a_persistent_worker_killed_between_loops(self) -> None:
        with DataLoader(Pids(), 2, workers=2, persistent=True, **PROCESSES) as loader:
            first = int(next(iter(loader))[0])
            os.kill(first, signal.SIGKILL)
            with pytest.raises(RuntimeError, match="was ended by SIGKILL"):
                list(loader)
            assert len(list(loader)) == 6

    def test_a_worker_that_ends_itself(self) -> None:
        def leave(sample: int) -> int:
            os._exit(3)

        with pytest.raises(RuntimeError, match="exited with code 3"):
            list(DataLoader(numbers(4, leave), 2, workers=2, **PROCESSES))

    @pytest.mark.slow
    def test_what_cannot_be_sent_to_a_worker(self) -> None:
        loader = DataLoader(numbers(4, lambda sample: sample), 2, workers=2, kind="process", start_method="spawn")
        with pytest.raises(TypeError, match=r"cannot be sent to a worker process: .*no lambda.*kind=\"thread\""):
            list(loader)

    def test_no_shared_memory_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(file: int, offset: int, size: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match=r"no shared memory left for .* bytes .*--shm-size.*kind=\"thread\""):
            list(DataLoader(Large(), 2, workers=2, **PROCESSES))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"workers": -1}, "workers of 0 or more"),
            ({"prefetch": 0}, "prefetch of at least 1"),
            ({"kind": "fibre"}, 'kind="thread" or kind="process", got \'fibre\''),
            ({"start_method": "magic"}, "start_method among .*, got 'magic'"),
        ],
    )
    def test_wrong_options(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            DataLoader([1], **options)


class TestNothingIsLeft:
    """The fixture looks after each."""

    @pytest.mark.parametrize("options", [THREADS, PROCESSES, {**PROCESSES, "persistent": True}])
    def test_when_a_loop_is_left(self, options: dict[str, Any]) -> None:
        loader = DataLoader(Large(), 2, workers=2, seed=0, shuffle=True, **options)
        for _ in range(2):
            for _ in loader:
                break
        _, _, third = epochs(DataLoader(Large(), 2, seed=0, shuffle=True), 3)
        assert epochs(loader, 1) == [third]
        del loader

    @pytest.mark.parametrize("options", [THREADS, PROCESSES])
    def test_when_the_loader_is_closed(self, options: dict[str, Any]) -> None:
        with DataLoader(Large(), 2, workers=2, persistent=True, **options) as loader:
            loop = iter(loader)
            batch = next(loop)
        with pytest.raises(RuntimeError, match="the loader was closed in the middle of a loop"):
            list(loop)
        assert batch[0][1, 0, 0] == 1
        assert len(list(loader)) == 20
        loader.close()

    def test_workers_stay_if_they_are_to(self) -> None:
        def workers(loader: DataLoader[Any]) -> set[int]:
            return {int(pid) for batch in loader for pid in batch}

        brief = DataLoader(Pids(), 2, workers=2, **PROCESSES)
        assert not workers(brief) & workers(brief)
        with DataLoader(Pids(), 2, workers=2, persistent=True, **PROCESSES) as staying:
            assert workers(staying) == workers(staying)
            one, two = iter(staying), iter(staying)  # a loop beside one that has the workers gets its own
            assert int(next(one)[0]) != int(next(two)[0])
            del one, two

    def test_when_a_thread_is_late(self) -> None:
        """A loop that is left waits for what its threads are doing, not for what they would do."""
        done: list[int] = []

        def work(task: int) -> int:
            done.append(task)
            return task

        for result, _ in Threads(work, ((n, None) for n in range(1000)), workers=3, ahead=6).run():
            if result == 10:
                break
        assert 11 <= len(done) <= 17

    PROGRAM = """
import os, sys, time
import numpy as np
from tapenet.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self): return 1000
    def __getitem__(self, index):
        time.sleep(0.01 if index else 0)
        return np.full((64, 64), os.getpid())
# A program that is no file cannot be started anew.
start = "fork" if sys.argv[1] == "process" else None
loader = DataLoader(Slow(), 1, workers=2, kind=sys.argv[1], persistent=sys.argv[2] == "stays", start_method=start)
for number, batch in enumerate(loader):
    if number < 2: print(int(batch[0, 0, 0]), flush=True)
"""

    def program(self, *arguments: str) -> tuple[subprocess.Popen[str], list[int]]:
        """A program in the middle of its loop, in a session of its own, and its workers."""
        done = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert done.stdout is not None
        return done, [int(done.stdout.readline()) for _ in range(2)]

    @pytest.mark.parametrize("kind", ["thread", pytest.param("process", marks=pytest.mark.slow)])
    def test_after_ctrl_c(self, kind: str) -> None:
        program, workers = self.program(kind, "stays")
        os.killpg(program.pid, signal.SIGINT)
        _, said = program.communicate(timeout=60)
        assert program.returncode == -signal.SIGINT
        # The last line, unless it came just as Python's own tracker of shared memory was told of a block: that says so too.
        assert "KeyboardInterrupt" in said.splitlines()
        assert said.count("Traceback") == 1
        until(lambda: all(map(gone, workers)))
        assert not glob.glob(f"/dev/shm/tn{program.pid:x}-*")

    @pytest.mark.skipif(not os.path.exists("/proc"), reason="looks into /proc")
    def test_after_the_program_is_killed(self) -> None:
        program, workers = self.program("process", "ends")
        assert program.pid not in workers
        assert glob.glob(f"/dev/shm/tn{program.pid:x}-*")
        program.kill()
        program.communicate(timeout=60)
        until(lambda: all(map(gone, workers)))
        until(lambda: not glob.glob(f"/dev/shm/tn{program.pid:x}-*"))


class TestSharedMemory:
    @pytest.mark.skipif(not os.path.exists("/dev/shm"), reason="looks into /dev/shm")
    def test_a_block_that_has_no_size_yet_is_freed(self) -> None:
        """Its worker was ended while it made the block."""
        here, there = multiprocessing.Pipe()
        name = f"tn{os.getpid():x}-empty"
        Path(f"/dev/shm/{name}b.0").touch()
        Channel(here, f"{name}a", f"{name}b").free()
        there.close()
        assert blocks() == []

    def test_batches_can_be_kept_and_written(self) -> None:
        kept = list(DataLoader(Large(), 1, workers=1, **PROCESSES))
        kept += list(DataLoader(Large(), 1, workers=2, persistent=True, **PROCESSES))
        for number, (images, names) in enumerate(kept):
            assert names == [f"no. {number % 40}"]
            assert images.min() == images.max() == number % 40
            images += 1  # and nobody else sees it
        assert all(images.max() == 1 + number % 40 for number, (images, _) in enumerate(kept))

    def test_it_is_used_again(self) -> None:
        most = 0
        for _ in DataLoader(Large(), 1, workers=2, prefetch=2, **PROCESSES):
            most = max(most, len(blocks()))
        assert 1 <= most <= 8  # four that are made ahead, and what is in the user's hands

    def channels(self) -> tuple[Channel, Channel, list[int]]:
        """Both ends, and how long the messages through the pipe are."""
        left, right = multiprocessing.Pipe()
        names = (f"tn{os.getpid():x}-a", f"tn{os.getpid():x}-b")
        here, there = Channel(left, *names), Channel(right, *names[::-1])
        lengths: list[int] = []
        here.connection = _Noting(left, lengths)  # type: ignore[assignment]
        return here, there, lengths

    @given(
        shapes=st.lists(
            st.tuples(st.sampled_from([(0,), (3,), (1000,), (40, 50), ()]), st.sampled_from("fF?iUM"), st.booleans()),
            max_size=5,
        )
    )
    def test_what_is_sent_arrives(self, shapes: list[Any]) -> None:
        here, there, lengths = self.channels()
        sent = []
        for shape, kind, fortran in shapes:
            dtype = {"F": "complex64", "M": "datetime64[s]", "U": "U5", "f": "f4", "?": "?", "i": "i8"}[kind]
            array = np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)
            sent.append((np.asfortranarray(array) if fortran else array, "text" * len(shape)))
        for _ in range(3):
            here.send(sent)
            found = there.receive()
            for (a, text), (b, other) in zip(sent, found, strict=True):
                np.testing.assert_array_equal(a, b, strict=True)
                assert (text, b.flags.writeable, b.flags.aligned) == (other, True, True)
                assert a.flags.f_contiguous == b.flags.f_contiguous
        assert max(lengths) < 8192
        here.free()

    def test_growing_and_kept(self) -> None:
        here, there, lengths = self.channels()
        for size in range(1, 40):
            here.send(np.full(1000 * size, size))
            array = there.receive()
            assert array.sum() == 1000 * size**2
            del array
            there.send("thanks")
            here.receive()
        assert len(blocks()) == 1
        kept = []
        for number in range(80):
            here.send(np.full(1000, number))
            kept.append(there.receive())
            there.send("thanks")
            here.receive()
        assert 64 <= len(blocks()) <= 67
        here.free()
        assert [int(array.min()) for array in kept] == [int(array.max()) for array in kept] == list(range(80))
        assert max(lengths) < 200


class _Noting:
    def __init__(self, connection: Any, lengths: list[int]) -> None:
        self._connection, self._lengths = connection, lengths

    def send_bytes(self, message: bytes) -> None:
        self._lengths.append(len(message))
        self._connection.send_bytes(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class TestMemoryMaps:
    @pytest.fixture
    def mapped(self, tmp_path: Path) -> np.memmap[Any, Any]:
        path = tmp_path / "rows.bin"
        rows = np.arange(50_000, dtype=np.int32)
        path.write_bytes(b"1234" + rows.tobytes())
        return np.memmap(path, np.int32, "r", offset=4, shape=(5000, 10))

    def test_go_to_workers_as_the_name_of_their_file(self, mapped: np.memmap[Any, Any]) -> None:
        views = [mapped, mapped[7:], np.asarray(mapped)[100:200, ::2], mapped[:, 3:5].T]
        for view in views:
            sent = pickle.dumps(ArrayDataset(view))
            assert len(sent) < 1000
            (found,) = pickle.loads(sent).arrays
            np.testing.assert_array_equal(found, np.array(view), strict=True)
        for whole in (np.arange(5.0), mapped[::-1]):
            (found,) = pickle.loads(pickle.dumps(ArrayDataset(whole))).arrays
            np.testing.assert_array_equal(found, whole)

    def test_give_the_batches_of_the_array(self, mapped: np.memmap[Any, Any]) -> None:
        options: dict[str, Any] = {"shuffle": True, "seed": 0}
        expected = epochs(DataLoader(ArrayDataset(np.array(mapped)), 64, **options))
        assert epochs(DataLoader(ArrayDataset(mapped), 64, **options)) == expected
        assert epochs(DataLoader(ArrayDataset(mapped), 64, workers=2, **options, **PROCESSES)) == expected
        for batch in DataLoader(mapped, 64):
            assert type(batch) is np.ndarray
            assert not np.shares_memory(batch, mapped)


@pytest.mark.parametrize("options", [{**THREADS, "workers": 2}, {**PROCESSES, "workers": 2}])
@pytest.mark.parametrize("stop", [5, 7])  # in the middle of an epoch, and behind its last batch
def test_training_goes_on_with_other_workers(options: dict[str, Any], stop: int, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((50, 4), np.float32)

    def run(folder: Path, stop: int | None, **options: Any) -> Any:
        tn.random.seed(0)
        net = nn.Linear(4, 1)
        data = DataLoader(ArrayDataset(rows).map(noisy_row), 8, shuffle=True, seed=3, **options)

        def give_up(state: Any) -> None:
            if state.step == stop:
                raise InterruptedError

        tn.training.fit(
            net,
            tn.nn.functional.mse_loss,
            optim.SGD(net.parameters(), lr=0.1),
            data,
            epochs=2,
            callbacks=[tn.training.every_batch(give_up)],
            checkpoint=tn.training.Checkpoint(folder, steps=1),
            compile=False,
            verbose=False,
        )
        return net.weight.numpy().tolist()

    with pytest.raises(InterruptedError):
        run(tmp_path / "stopped", stop, **options)
    assert run(tmp_path / "stopped", None, workers=3) == run(tmp_path / "whole", None)
